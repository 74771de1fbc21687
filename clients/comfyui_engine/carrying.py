"""Carrying: one render over the servers of the pool, from the first choice to what comes of a server that is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from workflows.errors import EngineUnavailable, JobCancelled, RenderLost, StudioError

if TYPE_CHECKING:
    from clients.comfyui_client import Pace
    from clients.comfyui_engine.fleet import Fleet
    from clients.comfyui_engine.progress import Tracker
    from clients.comfyui_engine.server import Server
    from workflows.types import Artifact, Ticket

WORTH = 0.5
"""A server that is lost is waited for, where no other takes its render, this share of the time it has worked on it."""
MOST_WORTH = 1800.0
"""Seconds of that, at most."""


class Work(Protocol):
    """A render on one server."""

    server: Server
    ticket: Ticket
    prompt_id: str
    """Of the prompt that was sent last."""
    notes: list[str]

    @property
    def model(self) -> str:
        """What it loads there; empty where that is not known."""
        ...

    async def artifacts(self) -> Sequence[Artifact]:
        """Raises EngineUnavailable when the server, not the render, is at fault."""
        ...


class Chooser(Protocol):
    """Knows which server suits a render. Raises StudioError where none does."""

    async def anywhere(self, besides: Collection[str] = ()) -> Work:
        """On the best server but those named."""
        ...

    async def there(self, server: Server) -> Work: ...


@dataclass(kw_only=True)
class Carrying:
    """One render. A server that dies with it loses it, once, to another: same seed, same id."""

    fleet: Fleet
    chooser: Chooser
    ticket: Ticket
    tracker: Tracker
    pace: Pace
    _began: float = field(default_factory=time.monotonic)

    async def carried_out(self) -> Sequence[Artifact]:
        """Raises what the chooser and the work raise; EngineUnavailable when it was lost for good."""
        holder = await self.fleet.holder(self.ticket.id) if self.ticket.again else None
        work = await (self.chooser.there(holder) if holder else self.chooser.anywhere())
        try:
            return await _carried(work)
        except EngineUnavailable as error:
            return await self._again(work, error)

    async def _again(self, lost: Work, why: EngineUnavailable) -> Sequence[Artifact]:
        """What one server lost, drawn by another; by the same where no other takes it and it comes back in time."""
        before = lost.server.url
        self.tracker.say(f"{before} was lost; looking for another server")
        work = await self._after(lost, why)
        same = work.server is lost.server
        if not same:
            lost.server.abandon(lost.prompt_id)
        # A server that was only out of reach may have the prompt still: it is looked for there.
        work.ticket = replace(lost.ticket, again=same or lost.ticket.again)
        ending = " and came back." if same else f"; drawn anew on {work.server.url}."
        work.notes.append(f"{before} was lost in the middle{ending}")
        kept = same and await work.server.knows(lost.prompt_id)
        try:
            return await _carried(work)
        except EngineUnavailable as error:
            if kept:  # nothing was lost yet
                return await self._again(work, error)
            work.server.abandon(work.prompt_id)
            raise _lost_twice(before, why, work.server.url, error) from error

    async def _after(self, lost: Work, why: EngineUnavailable) -> Work:
        """The work after a loss. Raises EngineUnavailable when nobody takes it in the time that it is worth."""
        worked = (time.monotonic() - self._began) * WORTH
        patience = max(self.pace.comeback, min(worked, MOST_WORTH)) if isinstance(why, RenderLost) else 0.0
        deadline = time.monotonic() + patience
        while True:
            try:
                return await self.chooser.anywhere(besides=[lost.server.url])
            except StudioError as error:
                nobody = error
            if isinstance(why, RenderLost) and await lost.server.back():
                with suppress(EngineUnavailable):  # gone again
                    return await self.chooser.there(lost.server)
            if time.monotonic() > deadline:
                lost.server.abandon(lost.prompt_id)
                raise _lost_for_good(lost.server.url, why, patience, nobody) from nobody
            self.tracker.say(f"{lost.server.url} was lost and nobody else takes this: waiting for it to come back")
            await asyncio.sleep(self.pace.apart)


async def _carried(work: Work) -> Sequence[Artifact]:
    """Raises EngineUnavailable when the server is lost with it, and JobCancelled when it was taken out of its queue."""
    server = work.server
    try:
        with server.berth(work.model):
            return await work.artifacts()
    except asyncio.CancelledError:
        server.abandon(work.prompt_id)  # a server that hangs was told in vain: it is told again when it answers
        raise
    except EngineUnavailable as error:
        if isinstance(error, RenderLost) and not error.restarted:
            raise JobCancelled(f"Somebody took this render out of the queue of {server.url}.") from error
        server.failed(error)
        raise


def _lost_for_good(url: str, why: EngineUnavailable, patience: float, nobody: StudioError) -> EngineUnavailable:
    waited = f" It did not come back within {patience:.3g} s." if patience else ""
    return EngineUnavailable(f"{_told(url, why)}{waited} No other server takes it: {nobody}")


def _lost_twice(before: str, why: EngineUnavailable, url: str, error: EngineUnavailable) -> EngineUnavailable:
    step = "See what ails them (get_system_status), then ask again."
    return EngineUnavailable(f"{_told(before, why)} Then {url} was lost as well: {error} {step}")


def _told(url: str, why: EngineUnavailable) -> str:
    return f"{url} was lost in the middle: {why}"
