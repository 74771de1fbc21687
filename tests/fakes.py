"""Scriptable, recording stand-ins for the ports, and an app built on them with a real ledger and a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clients.input_pictures import InputPictures
from clients.ledger import open_ledger
from clients.local_store import LocalStore
from clients.presence import LockedPresence
from workflows.app import App, use_app
from workflows.gallery import Gallery
from workflows.ports import Report
from workflows.studio import Studio
from workflows.types import Artifact, EngineStatus, FamilyProfile, Media, ModelInfo, Recipe, RenderStep, Verdict

PROFILE = FamilyProfile(
    name="fake",
    title="Fake",
    width=64,
    height=64,
    steps=3,
    cfg=4.0,
    weights=True,
    negatives=True,
    note="A fake drew this.",
)


def png(width: int = 64, height: int = 64, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """A real PNG of one colour."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(kw_only=True)
class FakeEngine:
    """Draws one colour made from the seed; `errors` are raised in turn.

    `gate` holds every render, from the `held_from`th on, until it is set.
    """

    name: str = "fake"
    profile_: FamilyProfile = PROFILE
    refuses: str | None = None
    gate: asyncio.Event | None = None
    held_from: int = 1
    errors: list[Exception] = field(default_factory=list[Exception])
    recipes: list[Recipe] = field(default_factory=list[Recipe])
    inputs: list[Mapping[str, Media]] = field(default_factory=list[Mapping[str, Media]])
    started: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: int = 0

    async def refusal(self, recipe: Recipe) -> str | None:
        return self.refuses

    async def profile(self, recipe: Recipe) -> FamilyProfile:
        return self.profile_

    async def render(self, recipe: Recipe, inputs: Mapping[str, Media], report: Report) -> Sequence[Artifact]:
        self.recipes.append(recipe)
        self.inputs.append(inputs)
        if len(self.recipes) >= self.held_from:
            self.started.set()
        if self.errors:
            raise self.errors.pop(0)
        assert recipe.width and recipe.height and recipe.steps and recipe.seed is not None
        try:
            for step in range(1, recipe.steps + 1):
                report(RenderStep(step=step, steps=recipe.steps))
                held = self.gate is not None and len(self.recipes) >= self.held_from
                await (self.gate.wait() if self.gate and held else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        colour = (recipe.seed % 256, recipe.seed // 256 % 256, recipe.seed // 65536 % 256)
        media = Media(data=await asyncio.to_thread(png, recipe.width, recipe.height, colour), media_type="image/png")
        return [
            Artifact(
                media=media,
                seed=recipe.seed,
                width=recipe.width,
                height=recipe.height,
                model="fake-model",
                model_hash="0123456789",
            )
        ]

    async def models(self, kind: str = "all") -> Sequence[ModelInfo]:
        return [ModelInfo(name="fake-model", family="fake", engine=self.name)]

    async def status(self) -> EngineStatus:
        return EngineStatus(name=self.name, available=self.refuses is None, detail="fake", device="cpu")


@dataclass(kw_only=True)
class FakeJudge:
    """Gives the scripted scores in turn, then the last for ever; `missing` says why it cannot judge."""

    name: str = "clip"
    scores: list[float] = field(default_factory=lambda: [0.3])
    missing: str | None = None
    prompts: list[str] = field(default_factory=list[str])

    async def judge(self, picture: Media, recipe: Recipe, profile: FamilyProfile) -> Verdict:
        self.prompts.append(recipe.prompt)
        if self.missing:
            return Verdict(judge=self.name, passed=None, reason=self.missing)
        score = self.scores.pop(0) if len(self.scores) > 1 else self.scores[0]
        threshold = recipe.acceptance.positive_threshold
        passed = score >= threshold
        reason = "Image passed validation" if passed else f"Low positive CLIP score: {score:.3f} < {threshold}"
        return Verdict(judge=self.name, passed=passed, score=score, reason=reason, measures={"positive_score": score})


@asynccontextmanager
async def fake_app(
    home: Path,
    *,
    engine: FakeEngine | None = None,
    judge: FakeJudge | None = None,
    resume: bool = False,
    allowed_roots: tuple[Path, ...] = (),
) -> AsyncGenerator[App]:
    """An app whose engine and judge are fakes; ledger, store, presence and gallery are the real ones."""
    async with AsyncExitStack() as stack:
        presence = await stack.enter_async_context(LockedPresence(home / "processes"))
        ledger = await stack.enter_async_context(open_ledger(home / "atelier.db"))
        store = LocalStore(home / "pictures")
        studio = await stack.enter_async_context(
            Studio(
                engines=[engine or FakeEngine()],
                judges={"clip": judge or FakeJudge()},
                store=store,
                jobs=ledger.jobs,
                items=ledger.items,
                sources=InputPictures(allowed_roots),
                presence=presence,
            )
        )
        stack.callback(lambda: setattr(presence, "unfinished", bool(studio.active())))
        app = App(
            studio=studio,
            gallery=Gallery(ledger.items, store),
            version="0",
            places={"home": str(home)},
            memory=lambda: {"total": 1.0},
        )
        await studio.recover(resume)
        stack.enter_context(use_app(app))
        yield app
