"""One prompt carried out: sent, watched over the socket, and never waited for in vain.

The socket tells what goes on; when it is silent or was cut, history and queue tell the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import anyio

from clients._comfyui.answers import all_cached, error_of, read_failure
from clients._comfyui.messages import (
    Cached,
    Event,
    Frame,
    Message,
    NodeDone,
    NodeProgress,
    NodeStarted,
    Preview,
    Started,
    Waiting,
    events,
)
from clients._comfyui.prompts import Prompts
from clients._comfyui.socket import Inbox, Pace, Socket
from clients._comfyui.values import Accepted, Finished
from clients._comfyui.web import Unheard
from workflows.errors import EngineError, RenderLost, ServiceError, StudioError
from workflows.types import Media

Json = Mapping[str, Any]
OnEvent = Callable[[Event], None]

STREAMING = "SaveImageWebsocket"
"""The node whose pictures come over the socket alone."""
BUSY = "The server was told to stop it, and goes on until the node at work looks up."
UNHEARD = "The server does not answer; it is told to stop it when it does."
SLOWER = 1.5
"""By what factor looks get rarer while there is no socket."""


class Run:
    """What is known of one prompt on its way. Used once."""

    def __init__(
        self, prompts: Prompts, socket: Socket, pace: Pace, graph: Json, prompt_id: str, on_event: OnEvent | None
    ) -> None:
        self._prompts = prompts
        self._socket = socket
        self._pace = pace
        self._graph = graph
        self._id = prompt_id
        self._on_event = on_event
        self._streams = any(_class(node) == STREAMING for node in graph.values())
        self._whole = True
        """Nothing the socket had to say was missed, so that its word is enough."""
        self._blind = pace.blind
        self._started = self._joined = False
        self._ending: Finished | None = None
        self._ended: Finished | None = None
        self._node = ""
        self._cached: tuple[str, ...] = ()
        self._outputs: dict[str, Json] = {}
        self._frames: list[tuple[str, Media]] = []
        self._last: NodeProgress | Waiting | None = None
        self._missing_since: float | None = None
        self._unheard_since: float | None = None

    async def carried_out(self, again: bool, extra_data: Json | None) -> Finished:
        self._whole = await self._socket.ready()
        inbox = self._socket.listen(self._id)
        try:
            if not (again and await self._join()):
                await self._send(extra_data)
            while self._ended is None:
                await self._step(inbox)
            return self._result(self._ended)
        except asyncio.CancelledError as stop:
            if self._ended is None and (still := await self._call_off()):
                raise asyncio.CancelledError(still) from stop
            raise
        except BaseException as error:
            if self._ended is None and not isinstance(error, StudioError):
                await self._call_off()
            raise
        finally:
            self._socket.leave(self._id)

    async def _join(self) -> bool:
        """Take up a prompt that an earlier process sent under this id; False when it must be sent anew."""
        where = await self._whereabouts()
        if where is None:
            return False
        ended = isinstance(where, Finished)
        if self._streams and not ended:
            await self._prompts.cancel(self._id)  # its pictures would go to a socket that is gone
        if self._streams or (ended and where.status == "interrupted"):
            await self._prompts.forget(self._id)
            return False
        self._whole = False  # it was sent under another client id, and its events go there
        self._joined = True
        self._found(where)
        return True

    async def _whereabouts(self) -> Finished | int | None:
        """As Prompts.where, with the patience for a server that swallows a question."""
        while True:
            asked = asyncio.get_running_loop().time()
            try:
                where = await self._prompts.where(self._id)
            except Unheard as error:
                self._unheard(error, asked)
                await asyncio.sleep(self._pace.apart)
            else:
                self._unheard_since = None
                return where

    async def _send(self, extra_data: Json | None) -> Accepted:
        """In a task of its own: a request that is given up half-way may be obeyed all the same."""
        sending = asyncio.create_task(self._prompts.prompt(self._graph, prompt_id=self._id, extra_data=extra_data))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await self._bounded(asyncio.wait({sending}))
            if not sending.done() or (not sending.cancelled() and sending.exception() is not None):
                sending.cancel()
            raise

    async def _step(self, inbox: Inbox) -> None:
        try:
            message = await inbox.get(self._patience())
        except TimeoutError:
            await self._look()
            return
        if message is None:
            self._whole = False
            self._blind = self._pace.blind
            await self._look()
        else:
            self._take(message)
            if isinstance(message, Message) and message.last and self._ended is None:
                await self._look()  # something was missed, and the history has it by now

    def _patience(self) -> float:
        if self._missing_since is not None:
            return self._pace.apart
        if not self._whole:
            self._blind = min(self._blind * SLOWER, self._pace.silence)
            return self._blind
        return self._pace.silence if self._started else self._pace.first

    def _take(self, message: Message | Frame) -> None:
        for event in events(message):
            self._note(event)
        if isinstance(message, Message):
            self._hear_the_end(message)

    def _note(self, event: Event) -> None:
        match event:
            case Started():
                self._start()
                return
            case Cached():
                self._cached = event.nodes
            case NodeStarted():
                self._node = event.node
            case NodeDone():
                self._outputs[event.node] = event.output
            case Preview() if self._is_result(event):
                self._frames.append((event.node or self._node, event.media))
                return
            case _:
                pass
        self._start()
        self._tell(event)

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._tell(Started(unheard=self._joined))

    def _tell(self, event: Event) -> None:
        """Once: the server counts a node's steps in two kinds of messages."""
        if isinstance(event, NodeProgress | Waiting):
            if event == self._last:
                return
            self._last = event
        if self._on_event is not None:
            self._on_event(event)

    def _is_result(self, preview: Preview) -> bool:
        """SaveImageWebsocket sends what it has to give as if it were a preview, but as PNG."""
        node = preview.node or self._node
        return preview.media.media_type == "image/png" and _class(self._graph.get(node)) == STREAMING

    def _hear_the_end(self, message: Message) -> None:
        """How it ended is said first, and that it ended last: only then does the history have it."""
        match message.kind:
            case "execution_error":
                self._ending = Finished(prompt_id=self._id, status="error", failure=read_failure(message.body))
            case "execution_interrupted":
                self._ending = Finished(prompt_id=self._id, status="interrupted")
            case "execution_success" if self._whole and self._told_enough:
                cached = all_cached(self._outputs, self._cached)
                self._ending = Finished(prompt_id=self._id, outputs=self._outputs, cached=cached)
            case "executing" if message.last:
                self._ended = self._ending
            case _:
                pass

    @property
    def _told_enough(self) -> bool:
        """Whether the socket told of something that the prompt made, as nearly every prompt makes something."""
        return bool(self._outputs) or self._streams

    async def _look(self) -> None:
        """Ask the server itself. Raises RenderLost when it does not know the prompt, or cannot be asked for long."""
        asked = asyncio.get_running_loop().time()
        try:
            where = await self._prompts.where(self._id)
        except Unheard as error:
            self._unheard(error, asked)
            return
        self._unheard_since = None
        if where is None:
            self._missing()
        else:
            self._missing_since = None
            self._found(where)

    def _found(self, where: Finished | int) -> None:
        if isinstance(where, Finished):
            self._ended = where
        elif where:
            self._tell(Waiting(ahead=where))
        else:
            self._start()

    def _missing(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since >= self._pace.apart:
            what = "the server was restarted, or the job was deleted from its queue"
            raise RenderLost(f"ComfyUI no longer knows this render: {what}. Render again.", restarted=not self._whole)

    def _unheard(self, error: Unheard, asked: float) -> None:
        """Count from the first question without an answer, which may have waited long for one."""
        self._unheard_since = asked if self._unheard_since is None else self._unheard_since
        bound = self._pace.refused if error.refused else self._pace.unreachable
        if asyncio.get_running_loop().time() - self._unheard_since >= bound:
            raise RenderLost(f"The render is lost: {error}", restarted=True) from error

    def _result(self, ended: Finished) -> Finished:
        if error := error_of(ended):
            raise error
        if self._streams and not self._whole:
            raise RenderLost("The pictures were sent over a connection that broke; render again.", restarted=False)
        nodes, frames = tuple(node for node, _ in self._frames), tuple(frame for _, frame in self._frames)
        return replace(ended, frames=frames, frame_nodes=nodes)

    async def _call_off(self) -> str:
        """Nobody waits any more: stop it at the server, and do not wait for ever. What is to be said if it goes on."""
        stopping = asyncio.ensure_future(self._prompts.cancel(self._id, self._pace.call_off))
        try:
            await self._bounded(asyncio.wait({stopping}))
            if stopping.done() and stopping.result() != "stopping":
                return ""
        except (EngineError, ServiceError):
            return UNHEARD
        finally:
            stopping.cancel()
        return BUSY

    async def _bounded(self, work: Awaitable[object]) -> None:
        with anyio.move_on_after(self._pace.call_off, shield=True):
            await work


def _class(node: object) -> str:
    return str(cast(Json, node).get("class_type") or "") if isinstance(node, Mapping) else ""
