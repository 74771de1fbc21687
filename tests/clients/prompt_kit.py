"""A desk that is a fake, and a command line that asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from clients.cli import Parts, run
from tests.clients.ledger_kit import START
from tests.fakes import fake_app
from workflows.app import App
from workflows.errors import NotFound, Refused
from workflows.presets import Shelf
from workflows.types import (
    ArtistNode,
    CategoryNode,
    Change,
    Conversation,
    HistoryEntry,
    HistoryPage,
    HistoryQuery,
    Message,
    Negative,
    OptionGroup,
    Pack,
    Preset,
    PromptReport,
    Spoken,
    TypeNode,
    Written,
)

if TYPE_CHECKING:
    from workflows.prompts.desk import PromptDesk

Shown = pytest.CaptureFixture[str]


def preset(path: str, kind: str = "style", **changes: Any) -> Preset:
    name = path.replace(":", "/").rpartition("/")[2]
    facts: dict[str, Any] = {"id": name, "name": name.title(), "kind": kind, "path": path, "text": f"{name} text"}
    return Preset.checked(**facts | changes)


INK = preset("style:ink", negative="photo", hint="artistic")
SHELF = Shelf(
    flat={"style": (INK, preset("style:mine", own=True)), "artist": (), "composition": (), "lighting": ()},
    categories=(
        CategoryNode(
            preset=preset("photography", "category"),
            types=(
                TypeNode(
                    preset=preset("photography/portrait", "type"),
                    artists=(ArtistNode(preset=preset("photography/portrait/irving-penn", "artist")),),
                ),
            ),
        ),
    ),
    packs=(Pack(id="start", name="Start", description="a start", presets=("style:ink", "mood:epic")),),
    universal=(OptionGroup(id="mood", name="Mood", several=True, options=(preset("mood:epic", "option"),)),),
    faults=("broken.json: no list",),
)
WRITTEN = Written(
    prompt="masterpiece, a red [fox], sharp focus",
    negative="blurry",
    words="a red [fox]",
    added=("masterpiece", "sharp focus"),
    changes=(Change(what="masterpiece first", why="this family was trained on it"),),
    family="sdxl",
    model="ink.safetensors",
    tokens=9,
    budget=75,
    presets=("style:ink",),
    notes=("The language model did not answer.",),
)
ENTRY = HistoryEntry(id="e1", created=START, input="a\nfox", output="a red fox", family="sdxl", mode="chat")


@dataclass
class FakeDesk:
    """The desk's calls, recorded, with the same answers to all; says each of `pieces` to whoever listens."""

    fault: Exception | None = None
    pieces: Sequence[str] = ()
    asked: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    talks: set[str] = field(default_factory=lambda: {"talk"})
    kept: list[Preset] = field(default_factory=list[Preset])
    writer_names: tuple[str, ...] = ("ollama/qwen3",)

    def _heard(self, *call: Any) -> None:
        self.asked.append(call)
        if self.fault is not None:
            raise self.fault

    async def build(self, subject: str, **given: Any) -> Written:
        self._heard("build", subject, given)
        return WRITTEN

    async def enhance(self, prompt: str, *, listener: Callable[[str], None] | None, **given: Any) -> Written:
        self._heard("enhance", prompt, given, listener is not None)
        for piece in self.pieces:
            assert listener is not None
            listener(piece)
        return WRITTEN

    async def negative(self, model_type: str, prompt: str) -> Negative:
        self._heard("negative", model_type, prompt)
        return Negative(negative="blurry, [text]", family="sd15", used=True, why="it reads one")

    async def analyze(self, prompt: str, model: str) -> PromptReport:
        self._heard("analyze", prompt, model)
        problems = (Change(what="weights", why="leave them out"),)
        has = {"medium": ("photo", "film"), "mood": ()}
        return PromptReport(
            family="flux-dev", subject="fox", has=has, missing=("lighting",), problems=problems, tokens=7
        )

    async def converse(self, message: str, *, listener: Callable[[str], None] | None, **given: Any) -> Spoken:
        self._heard("converse", message, given)
        if message == "bad":
            raise Refused("not this")
        if message == "hang":
            assert listener is not None
            listener("hanging > ...")
            await asyncio.Event().wait()
        reset = "asked" if given.get("reset") else ""
        written = WRITTEN.but(prompt=f"prompt of {message}", added=(), changes=())
        return Spoken(conversation_id="talk", written=written, reply="Shall it [rain]?", turn=3, reset=reset)

    async def reset(self, conversation_id: str) -> bool:
        self._heard("reset", conversation_id)
        return conversation_id in self.talks

    async def conversation(self, conversation_id: str) -> Conversation:
        if conversation_id not in self.talks:
            raise NotFound("conversation", conversation_id)
        said = (Message(role="user", content="hello [there]"), Message(role="assistant", content="a fox"))
        return Conversation(id=conversation_id, family="sdxl", messages=said)

    async def shelf(self) -> Shelf:
        return SHELF

    async def add_preset(self, preset: Preset) -> Preset:
        self._heard("add", preset)
        return preset.but(own=True, path=f"{preset.kind}:{preset.id}")

    async def remove_preset(self, kind: str, preset_id: str) -> bool:
        self._heard("remove", kind, preset_id)
        return preset_id == "mine"

    async def history(self, query: HistoryQuery) -> HistoryPage:
        self._heard("history", query)
        failed = ENTRY.but(id="e2", output="", fault="nobody [answers]")
        return HistoryPage(entries=() if query.query == "none" else (failed, ENTRY), cursor="next", total=9)

    async def forget(self, entry_id: str) -> HistoryEntry:
        self._heard("forget", entry_id)
        if entry_id != ENTRY.id:
            raise NotFound("prompt", entry_id, [ENTRY.id], "prompt_history lists them.")
        return ENTRY

    async def writers(self) -> list[str]:
        self._heard("writers")
        return [*self.writer_names, "ollama/other"]


@dataclass
class House:
    """A command line whose desk is a fake; everything else of the app is as in the other tests."""

    home: Path
    desk: FakeDesk = field(default_factory=FakeDesk)

    def __call__(self, *arguments: str) -> int:
        parts = Parts(open_app=self._open, examine=list, serve=lambda _: None, version="1")
        return run(arguments, parts)

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[App]:
        async with fake_app(self.home) as app:
            yield replace(app, prompts=cast("PromptDesk", self.desk))


def answer(capsys: Shown) -> Any:
    return json.loads(capsys.readouterr().out)


def lines(capsys: Shown) -> list[str]:
    return capsys.readouterr().out.splitlines()
