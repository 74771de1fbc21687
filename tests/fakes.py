"""Scriptable, recording stand-ins for the ports, and an app built on them with a real ledger and a real store."""

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
from utils.images import decode
from workflows.app import App, use_app
from workflows.catalog import Catalog
from workflows.choosing import Chooser
from workflows.content import ContentRules
from workflows.gallery import Gallery
from workflows.importing import Imports
from workflows.library import Library
from workflows.ports import ChatModel, Engine, Graphs, Recorder, Report
from workflows.presets import Presets
from workflows.prompts.desk import PromptDesk
from workflows.prompts.memory import Memory
from workflows.prompts.targets import Targets
from workflows.prompts.writers import Writers
from workflows.prompts.writing import Scribe
from workflows.refinery import ClipEvaluator, Refinery
from workflows.starters import Machine
from workflows.studio import Studio
from workflows.types import (
    WORDLESS,
    Advice,
    Artifact,
    DraftedGraph,
    EngineStatus,
    FamilyProfile,
    Job,
    Media,
    ModelInfo,
    Problem,
    Progress,
    Recipe,
    RenderStep,
    ServerStatus,
    TemplateInfo,
    Ticket,
    Verdict,
)

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


TICKET = Ticket(id="00000000-0000-4000-8000-000000000000")


def png(width: int = 64, height: int = 64, colour: tuple[int, ...] = (200, 30, 30)) -> bytes:
    """A real PNG of one colour; four numbers make a transparent one."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def mask_png(width: int, height: int, box: tuple[int, int, int, int]) -> bytes:
    """A black mask with one white box: left, top, right, bottom."""
    from io import BytesIO

    from PIL import Image

    buffer, mask = BytesIO(), Image.new("L", (width, height), 0)
    mask.paste(255, box)
    mask.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(kw_only=True)
class FakeEngine:
    """Draws one colour made from the seed; `errors` are raised in turn.

    `gate` holds every render, from the `held_from`th on, until it is set. `facts` go with every picture. `batch`: how
    many it draws at once where a recipe's count asks for more; their seeds follow each other. `places`: like ComfyUI
    it draws them from one seed instead, and tells each one's place.
    """

    name: str = "fake"
    profile_: FamilyProfile = PROFILE
    refuses: str | None = None
    gate: asyncio.Event | None = None
    held_from: int = 1
    errors: list[Exception] = field(default_factory=list[Exception])
    facts: dict[str, object] = field(default_factory=dict[str, object])
    servers: tuple[ServerStatus, ...] = ()
    batch: int = 1
    places: bool = False
    preview: Media | None = None
    """The glimpse that goes with every step."""
    recipes: list[Recipe] = field(default_factory=list[Recipe])
    inputs: list[Mapping[str, Media]] = field(default_factory=list[Mapping[str, Media]])
    tickets: list[Ticket] = field(default_factory=list[Ticket])
    started: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: int = 0
    lingers: str = ""
    """What it says of a stop that is not at once."""

    async def refusal(self, recipe: Recipe) -> str | None:
        return self.refuses

    async def profile(self, recipe: Recipe) -> FamilyProfile:
        return self.profile_

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        self.recipes.append(recipe)
        self.inputs.append(inputs)
        self.tickets.append(ticket)
        if len(self.recipes) >= self.held_from:
            self.started.set()
        if self.errors:
            raise self.errors.pop(0)
        assert recipe.steps and recipe.seed is not None
        assert (recipe.width and recipe.height) or recipe.task in WORDLESS
        try:
            for step in range(1, recipe.steps + 1):
                report(RenderStep(step=step, steps=recipe.steps, node="FakeSampler", preview=self.preview))
                held = self.gate is not None and len(self.recipes) >= self.held_from
                await (self.gate.wait() if self.gate and held else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.stopped += 1
            raise asyncio.CancelledError(self.lingers) from None
        count = min(recipe.count, self.batch)
        return [await asyncio.to_thread(self._drawn, recipe, inputs, number) for number in range(count)]

    def _drawn(self, recipe: Recipe, inputs: Mapping[str, Media], number: int) -> Artifact:
        place = (recipe.batch_index or 0) + number if self.places else 0
        seed = ((recipe.seed or 0) + (0 if self.places else number)) % 2**32
        colour = (seed % 256, seed // 256 % 256, (seed // 65536 + place) % 256)
        told: dict[str, object] = {"batch_index": place} if place or (self.places and recipe.count > 1) else {}
        clear = recipe.transparent or recipe.task == "remove_background"
        width, height = recipe.width, recipe.height
        if not width or not height:
            size = decode(inputs["source"].data).size
            width, height = (round(edge * (recipe.scale or 1)) for edge in size)
        return Artifact(
            media=Media(data=png(width, height, (*colour, 128) if clear else colour), media_type="image/png"),
            seed=seed,
            width=width,
            height=height,
            model="fake-model",
            model_hash="0123456789",
            facts=self.facts | told,
        )

    async def models(self, kind: str = "all") -> Sequence[ModelInfo]:
        return [ModelInfo(name="fake-model", family="fake", engine=self.name)]

    async def status(self) -> EngineStatus:
        available = self.refuses is None
        return EngineStatus(name=self.name, available=available, detail="fake", device="cpu", servers=self.servers)


@dataclass(kw_only=True)
class FakeGraphs:
    """Knows the given templates and problems; finds the mask it was given, recording the words; holds at the gate."""

    infos: Sequence[TemplateInfo] = ()
    faults: Sequence[Problem] = ()
    mask: bytes = b""
    gate: asyncio.Event | None = None
    words: list[str] = field(default_factory=list[str])
    drafted: list[Recipe] = field(default_factory=list[Recipe])
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def templates(self) -> Sequence[TemplateInfo]:
        return self.infos

    async def draft(self, recipe: Recipe) -> DraftedGraph:
        self.drafted.append(recipe)
        graph = {"1": {"class_type": "EmptyImage", "inputs": {"width": recipe.width or 64}}}
        return DraftedGraph(graph=graph, template="fake", family="sd15", model="m.safetensors", server="http://fake")

    async def problems(self, graph: Mapping[str, object]) -> Sequence[Problem]:
        return self.faults

    async def find_mask(self, source: Media, words: str) -> Media:
        self.words.append(words)
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
        return Media(data=self.mask, media_type="image/png")


@dataclass(kw_only=True)
class FakeJudge:
    """Gives the scripted scores in turn, then the last for ever; `missing` says why it cannot judge.

    `advice` goes with every picture that fails; `hard` and `barred`: numbers, from 1, of pictures that are out.
    `gate` holds every judgement until it is set.
    """

    name: str = "clip"
    scores: list[float] = field(default_factory=lambda: [0.3])
    missing: str | None = None
    advice: tuple[Advice, ...] = ()
    hard: tuple[int, ...] = ()
    barred: tuple[int, ...] = ()
    gate: asyncio.Event | None = None
    prompts: list[str] = field(default_factory=list[str])
    """One for each picture that was judged."""
    started: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: int = 0

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        self.started.set()
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return [self._verdict(recipe) for _ in pictures]

    def _verdict(self, recipe: Recipe) -> Verdict:
        self.prompts.append(recipe.prompt)
        number = len(self.prompts)
        if self.missing:
            return Verdict(judge=self.name, passed=None, reason=self.missing)
        score = self.scores.pop(0) if len(self.scores) > 1 else self.scores[0]
        threshold = recipe.acceptance.positive_threshold
        passed = score >= threshold and number not in (*self.hard, *self.barred)
        return Verdict(
            judge=self.name,
            passed=passed,
            score=score,
            merit=min(max(0.5 + (score - threshold), 0.0), 1.0),
            reason="Image passed validation" if passed else f"Low positive CLIP score: {score:.3f} < {threshold}",
            measures={"positive_score": score},
            advice=() if passed else self.advice,
            hard=number in (*self.hard, *self.barred),
            barred=number in self.barred,
        )


async def until(app: App, state: Callable[[Job], bool], seconds: float = 5.0) -> None:
    """Wait until the job in hand is in that state. Raises TimeoutError."""
    (job,) = app.studio.active()
    reached = asyncio.Event()

    def look(_: Progress) -> None:
        if any(state(one) for one in app.studio.active()):
            reached.set()

    watching = asyncio.create_task(app.studio.wait(job.id, seconds, look))
    async with asyncio.timeout(seconds):
        await reached.wait()
    watching.cancel()


def _gallery(home: Path, ledger: Ledger, studio: Studio) -> dict[str, Any]:
    """The parts of the App that keep pictures and take them in."""

    def tell() -> None:
        studio.changes.tell("images")

    gallery = Gallery(
        ledger.items,
        studio.store,
        filing=ledger.filing,
        likenesses=ledger.likenesses,
        previews=LocalStore(home / "previews"),
        on_change=tell,
    )
    imports = Imports(gallery=gallery, filing=ledger.filing, rules=studio.rules, gate=studio.gate, on_change=tell)
    return {"gallery": gallery, "imports": imports}


def _machine(home: Path, library: Library) -> dict[str, Any]:
    """What an app tells of the machine it runs on, and of its graphs."""
    machine = Machine(ram_gb=16, disk_gb=100)
    memory = {"total": 1.0}
    return {
        "version": "0",
        "library": library,
        "places": {"home": str(home)},
        "memory": lambda: memory,
        "machine_facts": lambda: machine,
    }


def _prompts(ledger: Ledger, chooser: Chooser, writers: Sequence[ChatModel], folders: Sequence[Path]) -> PromptDesk:
    """The real desk, whose language models are those given."""
    return PromptDesk(
        presets=Presets(folders, adult=chooser.rules.adult),
        own=ledger.presets,
        kept=ledger.conversations,
        memory=Memory(history=ledger.history),
        targets=Targets(chooser=chooser, engines=chooser.catalog.engines),
        scribe=Scribe(rules=chooser.rules, writers=Writers(models=writers)),
    )


async def _refinery(ledger: Ledger, studio: Studio, stack: AsyncExitStack, prompts: PromptDesk) -> dict[str, Any]:
    """Words and the real refinery, with the app's own judge to look, and the record of calls."""
    evaluators = {"clip": ClipEvaluator(studio.judges["clip"])} if "clip" in studio.judges else {}
    refinery = Refinery(
        studio=studio,
        gallery=Gallery(ledger.items, studio.store, filing=ledger.filing),
        refinements=ledger.refinements,
        evaluators=evaluators,
        scribe=prompts.scribe,
        calls=ledger.calls,
    )
    return {"prompts": prompts, "refinery": await stack.enter_async_context(refinery), "calls": ledger.calls}


@asynccontextmanager
async def fake_app(
    home: Path,
    *,
    engine: Engine | None = None,
    judge: FakeJudge | None = None,
    further: Sequence[FakeJudge] = (),
    gate: FakeJudge | None = None,
    recorder: Recorder | None = None,
    graphs: Graphs | None = None,
    library: Library | None = None,
    resume: bool = False,
    allowed_roots: tuple[Path, ...] = (),
    chooser: Chooser | None = None,
    writers: Sequence[ChatModel] = (),
    preset_folders: Sequence[Path] = (),
) -> AsyncGenerator[App]:
    """An app whose engine and judge are fakes, the rest is real; without a `chooser` nothing is chosen for a recipe."""
    engines = [engine or FakeEngine()]
    choosing = chooser or Chooser(catalog=Catalog(engines=engines), rules=ContentRules())
    async with AsyncExitStack() as stack:
        presence = await stack.enter_async_context(LockedPresence(home / "processes"))
        ledger = await stack.enter_async_context(open_ledger(home / "atelier.db"))
        prompts = _prompts(ledger, choosing, writers, preset_folders)
        studio = Studio(
            engines=engines,
            judges={one.name: one for one in (judge or FakeJudge(), *further)},
            gate=gate,
            recorder=recorder,
            store=LocalStore(home / "pictures"),
            jobs=ledger.jobs,
            items=ledger.items,
            sources=InputPictures(allowed_roots),
            presence=presence,
            graphs=graphs,
            chooser=chooser,
            words=prompts,
        )
        await stack.enter_async_context(studio)
        stack.callback(lambda: setattr(presence, "unfinished", bool(studio.active())))
        app = App(
            studio=studio,
            **_gallery(home, ledger, studio),
            chooser=choosing,
            **_machine(home, library or Library(graphs)),
            **await _refinery(ledger, studio, stack, prompts),
        )
        await studio.recover(resume)
        await app.refinery.recover(resume)
        stack.enter_context(use_app(app))
        yield app
