"""A refinery on a real studio, ledger and store; who draws, looks and rewords is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.input_pictures import InputPictures
from clients.ledger import Ledger, open_ledger
from clients.local_store import LocalStore
from clients.presence import LockedPresence
from tests.fakes import FakeEngine, FakeJudge
from workflows.gallery import Gallery
from workflows.ports import ChatModel, Engine
from workflows.prompts.writers import Writers
from workflows.prompts.writing import Scribe
from workflows.refinery import ClipEvaluator, Evaluator, Refinery
from workflows.spending import account
from workflows.studio import Studio
from workflows.types import Brief, Evaluation, FamilyProfile, Media, Message, Refinement, Verdict

WISH = "a red circle in a hat"
Said = Evaluation | Exception


def seen(score: float, *, passed: bool | None = False, missing: Sequence[str] = ()) -> Evaluation:
    return Evaluation(by="fake", text=f"It scores {score}.", score=score, passed=passed, missing=tuple(missing))


@dataclass(kw_only=True)
class FakeEvaluator:
    """Says what it was given in turn, then the last for ever; errors are raised. `gate` holds every look."""

    name: str = "fake"
    says: list[Said] = field(default_factory=lambda: list[Said]([seen(5)]))
    gate: asyncio.Event | None = None
    prompts: list[str] = field(default_factory=list[str])
    profiles: list[str] = field(default_factory=list[str])
    accounts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def evaluate(self, picture: Media, prompt: str, profile: FamilyProfile) -> Evaluation:
        self.prompts.append(prompt)
        self.profiles.append(profile.name)
        self.accounts.append((account().run_id, account().brief_id))
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return said


@dataclass(kw_only=True)
class FakeWriter:
    """A language model that answers with the given texts in turn; errors are raised."""

    name: str = "writer"
    replies: list[str | Exception] = field(default_factory=list[str | Exception])
    asked: list[str] = field(default_factory=list[str])

    async def chat(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listener: Callable[[str], None] | None = None,
    ) -> str:
        self.asked.append(messages[-1].content)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        raise NotImplementedError

    async def installed(self) -> Sequence[str]:
        return [self.name]


@dataclass(frozen=True, kw_only=True)
class House:
    refinery: Refinery
    studio: Studio
    gallery: Gallery
    ledger: Ledger

    async def ended(self, refinement: Refinement, seconds: float = 30) -> Refinement:
        return await self.refinery.wait(refinement.id, seconds)

    async def refine(self, *, iterations: int = 3, evaluator: str = "auto", **words: Any) -> Refinement:
        """One refinement to its end."""
        begun = await self.refinery.start(brief(**words), iterations, evaluator)
        return await self.ended(begun)


def brief(number: int = 1, **changes: Any) -> Brief:
    facts: dict[str, Any] = {"id": f"brief-{number}", "prompt": WISH}
    return Brief(**facts | changes)


@asynccontextmanager
async def house(
    home: Path,
    *,
    engine: Engine | None = None,
    judge: FakeJudge | None = None,
    evaluators: Sequence[Evaluator] | None = None,
    writers: Sequence[ChatModel] = (),
    grace: float = 0.0,
) -> AsyncGenerator[House]:
    judge = judge or FakeJudge(scores=[0.3])
    async with AsyncExitStack() as stack:
        presence = await stack.enter_async_context(LockedPresence(home / "processes"))
        ledger = await stack.enter_async_context(open_ledger(home / "atelier.db"))
        store = LocalStore(home / "pictures")
        studio = Studio(
            engines=[engine or FakeEngine()],
            judges={"clip": judge},
            store=store,
            jobs=ledger.jobs,
            items=ledger.items,
            sources=InputPictures((home,)),
            presence=presence,
        )
        await stack.enter_async_context(studio)
        gallery = Gallery(ledger.items, store, filing=ledger.filing)
        asked: Sequence[Evaluator] = [ClipEvaluator(judge)] if evaluators is None else evaluators
        refinery = Refinery(
            studio=studio,
            gallery=gallery,
            refinements=ledger.refinements,
            evaluators={one.name: one for one in asked},
            scribe=Scribe(writers=Writers(models=writers)),
            calls=ledger.calls,
            grace=grace,
        )
        await stack.enter_async_context(refinery)
        yield House(refinery=refinery, studio=studio, gallery=gallery, ledger=ledger)


def failing(reason: str = "low") -> Verdict:
    return Verdict(judge="clip", passed=False, score=0.1, reason=reason)
