"""Server-sent events: a text told while it is written, and work that stops when nobody is there any more to hear it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from clients.web.answers import Generated
from clients.web.faults import STOPPED, fault_of, fault_response
from clients.web.sending import NEVER_KEPT, Sending, compact

Listener = Callable[[str], None]

HEARTBEAT_SECONDS = 10.0
"""Of silence. Proxies and browsers give a silent connection half a minute and more."""
HEARTBEAT = b": it goes on\n\n"


class Hearing:
    """A text as it was heard last, and how far it was told."""

    def __init__(self) -> None:
        self._text = ""
        self._told = ""
        self._news = asyncio.Event()

    @property
    def silent(self) -> bool:
        """Nothing was ever heard."""
        return not self._text and not self._told

    def hear(self, text: str) -> None:
        """The whole text as far as it is known. What nobody was told yet is told together."""
        self._text = text
        self._news.set()

    def wake(self, _: object = None) -> None:
        self._news.set()

    async def wait(self, seconds: float) -> bool:
        """Whether there was something new within that time."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def events(self) -> Iterator[dict[str, Any]]:
        """What is to be told, so that the tokens since the last restart are the text."""
        if not self._text.startswith(self._told):
            self._told = ""
            yield {"restart": True}
        if piece := self._text[len(self._told) :]:
            self._told = self._text
            yield {"token": piece}


class EventStream:
    """An answer that is told while it is made; an error before its first byte has its own status.

    `headers`: further ones, asked for with the first byte.
    """

    def __init__(
        self,
        run: Callable[[Listener], Awaitable[Generated]],
        headers: Callable[[], Mapping[str, str]],
        heartbeat: float,
    ) -> None:
        self._run = run
        self._headers = headers
        self._heartbeat = heartbeat
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hearing = Hearing()
        writing = asyncio.create_task(self._outcome(hearing.hear))
        writing.add_done_callback(hearing.wake)
        try:
            while not writing.done():
                await self._tell_news(hearing, send)
            outcome = writing.result()
            if isinstance(outcome, Exception) and not self._started:
                await fault_response(outcome)(scope, receive, send)
                return
            await self._tell_end(outcome, hearing, send)
        finally:
            await ended(writing)

    async def _outcome(self, listener: Listener) -> Generated | Exception:
        try:
            return await self._run(listener)
        except Exception as error:  # noqa: BLE001 - it is told to the client, and logged where it was not foreseen
            return error

    async def _tell_news(self, hearing: Hearing, send: Send) -> None:
        if not await hearing.wait(self._heartbeat):
            await self._say(HEARTBEAT, send)
            return
        for event in hearing.events():
            await self._say(line(event), send)

    async def _tell_end(self, outcome: Generated | Exception, hearing: Hearing, send: Send) -> None:
        if isinstance(outcome, Exception):
            last = fault_of(outcome).model_dump()
        else:
            last = {"done": True, **outcome.model_dump(mode="json", exclude_unset=True)}
            if hearing.silent:  # the rules write in one go: whoever only gathers tokens has the prompt too
                hearing.hear(outcome.result)
            for event in hearing.events():
                await self._say(line(event), send)
        await self._say(line(last), send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _say(self, chunk: bytes, send: Send) -> None:
        if not self._started:
            self._started = True
            await begin(send, self._headers())
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


class Feed:
    """Events one by one as they come, beats of the heart between them; an error before the first has its own status."""

    def __init__(self, events: AsyncGenerator[BaseModel], heartbeat: float) -> None:
        self._events = events
        self._heartbeat = heartbeat
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        coming = asyncio.ensure_future(anext(self._events))
        try:
            if scope["method"] == "HEAD":  # how a GET would begin
                await coming
                await begin(send, {})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            while True:
                event = await self._next(coming, send)
                await self._say(line(event.model_dump(mode="json", exclude_unset=True)), send)
                coming = asyncio.ensure_future(anext(self._events))
        except StopAsyncIteration:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception as error:  # noqa: BLE001 - it is told to the client, and logged where it was not foreseen
            await self._fail(error, scope, receive, send)
        finally:
            await ended(coming)
            await self._events.aclose()

    async def _next(self, coming: asyncio.Future[BaseModel], send: Send) -> BaseModel:
        while not (await asyncio.wait({coming}, timeout=self._heartbeat))[0]:
            await self._say(HEARTBEAT, send)
        return coming.result()

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._started:
            await fault_response(error)(scope, receive, send)
            return
        await self._say(line(fault_of(error).model_dump()), send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _say(self, chunk: bytes, send: Send) -> None:
        if not self._started:
            self._started = True
            await begin(send, {})
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def begin(send: Send, further: Mapping[str, str]) -> None:
    """The first byte of a stream."""
    told = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", **NEVER_KEPT, **further}
    headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def line(event: Mapping[str, Any]) -> bytes:
    return b"data: " + compact(event) + b"\n\n"


async def farewell(sending: Sending) -> None:
    """The last event of a stream that ends because the server does."""
    if not sending.ended:
        event = line(STOPPED.model_dump())
        await sending({"type": "http.response.body", "body": event, "more_body": False})


async def while_there(receive: Receive, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, whose request was read to its end, and cancel it when the client goes away, or the server.

    Whether the server stays.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:  # uvicorn's, once its patience is over; nobody above has anything left to clean up
        return False
    finally:
        await ended(working, leaving)
    if not working.cancelled():
        working.result()
    return True


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what still runs, and wait until it has cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
