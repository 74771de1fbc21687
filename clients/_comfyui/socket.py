"""The one WebSocket of a client: opened with the first run, drained without pause, opened again when it breaks.

What it brings is a hint; the history is the truth. Who listens learns of every gap.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clients._comfyui.address import Address
from clients._comfyui.messages import FEATURES, Frame, Message, read
from clients._http import USER_AGENT
from workflows.types import new_id

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection, connect

log = logging.getLogger("atelier.comfyui")

PING_SECONDS, PONG_SECONDS = 20.0, 60.0
"""A server that loads a checkpoint can be deaf for long."""
CLOSE_SECONDS = 2.0
LASTING_SECONDS = 5.0
"""A connection that held for so long was a real one; after a shorter one the pauses go on growing."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds. How often things are looked at and how long they are waited for."""

    silence: float = 1.5
    """A socket that says nothing of a prompt for so long makes us look into history and queue."""
    first: float = 1.0
    """The same for a prompt that has not begun."""
    blind: float = 0.3
    """The same while there is no socket, or none that would tell of this prompt."""
    apart: float = 1.0
    """Between two looks that must agree before a prompt counts as lost."""
    refused: float = 1.5
    """A server that had a prompt and refuses connections for so long is dead, and its queue with it."""
    unreachable: float = 60.0
    """A server that cannot be reached for so long is given up."""
    comeback: float = 45.0
    """A server that died with a render is waited for so long where no other takes it: one with many custom nodes
    needs most of a minute to start."""
    stop: float = 30.0
    """How long a cancel waits for a node that is at work to notice."""
    call_off: float = 10.0
    """The same when the task that waits for a prompt is cancelled."""
    reopen: float = 0.25
    """First pause before a broken socket is opened again; it doubles up to `reopen_most`."""
    reopen_most: float = 15.0
    rest: float = 5.0
    """Between two looks at a server that draws, before it is asked for what can wait."""


class Inbox:
    """What the socket has for one prompt. `None` in it stands for a gap: something may have been missed."""

    def __init__(self) -> None:
        self._waiting: deque[Message | Frame | None] = deque()
        self._arrived = asyncio.Event()

    def put(self, message: Message | Frame | None) -> None:
        self._waiting.append(message)
        self._arrived.set()

    async def get(self, patience: float) -> Message | Frame | None:
        """The next message or gap. Raises TimeoutError after `patience` seconds of silence."""
        while not self._waiting:
            self._arrived.clear()
            async with asyncio.timeout(patience):
                await self._arrived.wait()
        return self._waiting.popleft()


class Socket:
    """Hands each message to who listens for its prompt; several may listen at once."""

    def __init__(self, address: Address, open_seconds: float, pace: Pace, client_id: str | None = None) -> None:
        self.client_id = client_id or new_id()
        """Prompts sent with it are told of here. It changes only while nobody listens, if it may change at all."""
        self._fixed = client_id is not None
        self._address = address
        self._open_seconds = open_seconds
        self._pace = pace
        self._inboxes: dict[str, Inbox] = {}
        self._connection: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._outcome: asyncio.Future[bool] | None = None
        self._hurry = asyncio.Event()
        self._reused = self._parted = False
        self._current = ""
        self.openings = 0
        """How often it was opened: whoever finds another number than before has a gap behind him."""

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def ready(self) -> bool:
        """Open, or the outcome of one attempt to open it."""
        if self._connection is not None and self._reused and not self._inboxes:
            # The server may still have to notice the end of an earlier connection with this id, and would then make
            # this one deaf. Nobody is on it: take another.
            connection, self._connection, self._parted = self._connection, None, True
            await connection.close()
        if self._connection is not None:
            return True
        if self._outcome is None:
            self._outcome = asyncio.get_running_loop().create_future()
        outcome = self._outcome
        if self._task is None:
            self._task = asyncio.create_task(self._live(), name="comfyui-socket")
        self._hurry.set()
        return await asyncio.shield(outcome)

    def listen(self, prompt_id: str) -> Inbox:
        return self._inboxes.setdefault(prompt_id, Inbox())

    def tell_of_removal(self, prompt_id: str) -> None:
        """What the server tells nobody: a prompt was taken out of its queue."""
        self._put(prompt_id, Message("execution_interrupted", prompt_id, {}))
        self._put(prompt_id, Message("executing", prompt_id, {"node": None}))

    def leave(self, prompt_id: str) -> None:
        self._inboxes.pop(prompt_id, None)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _live(self) -> None:
        pause = self._pace.reopen
        try:
            while True:
                begun = asyncio.get_running_loop().time()
                if not await self._open_and_drain():
                    self._settle(False)
                self._gap()
                if asyncio.get_running_loop().time() - begun > LASTING_SECONDS:
                    pause = self._pace.reopen
                await self._nap(pause)
                pause = min(pause * 2, self._pace.reopen_most)
        except Exception:
            log.exception("the socket of %s is given up", self._address.url)
        finally:
            self._task = None
            self._settle(False)

    async def _open_and_drain(self) -> bool:
        """One connection from its opening to its end; False when it could not be opened."""
        from websockets.exceptions import WebSocketException

        self._renew_id()
        opened = False
        try:
            async with self._connect() as connection:
                await connection.send(json.dumps(FEATURES))
                self._connection, opened = connection, True
                self.openings += 1
                self._gap()
                self._settle(True)
                async for raw in connection:
                    self._deliver(raw)
        except (OSError, WebSocketException, EOFError) as error:
            log.debug("the socket of %s: %s", self._address.url, error)
        finally:
            self._connection = None
        return opened

    def _connect(self) -> connect:
        from websockets.asyncio.client import connect

        return connect(
            self._address.socket(self.client_id),
            additional_headers=self._address.headers,
            user_agent_header=USER_AGENT,
            compression=None,
            proxy=None if self._address.loopback else True,
            open_timeout=self._open_seconds,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            close_timeout=CLOSE_SECONDS,
            max_size=None,
            max_queue=None,  # a client that does not read stalls the server for everyone
        )

    def _renew_id(self) -> None:
        kept = self.openings > 0 and (self._fixed or bool(self._inboxes))
        if self.openings and not kept:
            self.client_id = new_id()
        self._reused, self._parted = kept and not self._parted, False
        self._current = ""

    def _deliver(self, raw: str | bytes) -> None:
        message = read(raw)
        if message is None:
            return
        name = message.prompt_id or (self._current if isinstance(message, Frame) else "")
        if isinstance(message, Message) and name:
            self._current = "" if message.last else name
        self._put(name, message)

    def _put(self, prompt_id: str, message: Message | Frame) -> None:
        inbox = self._inboxes.get(prompt_id)
        if inbox is not None:
            inbox.put(message)

    def _gap(self) -> None:
        for inbox in self._inboxes.values():
            inbox.put(None)

    def _settle(self, opened: bool) -> None:
        outcome, self._outcome = self._outcome, None
        self._hurry.clear()
        if outcome is not None and not outcome.done():
            outcome.set_result(opened)

    async def _nap(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
