"""`atelier models`: what a person reads, what a program reads, and the exit codes; sources and files are fakes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from clients.cli import Parts, run
from clients.config import load_settings
from clients.wiring import open_app
from tests.fake_models import GB, FakeFiles, FakeSource, checkpoint, lora
from tests.fakes import FakeEngine, fake_app
from tests.workflows.download_kit import LORA
from workflows.app import App
from workflows.catalog import Catalog, LookedUp, Report
from workflows.choosing import Chooser
from workflows.content import ContentRules
from workflows.downloads import Downloads
from workflows.downloads.fetching import Arrived, Check
from workflows.downloads.fetching import Report as Arrival
from workflows.errors import NotFound, ServiceUnavailable
from workflows.types import FoundModel, ModelFacts, ModelInfo, ModelQuery, Offer, Scanned

Shown = pytest.CaptureFixture[str]
PHOTO = checkpoint("photo-real", engine="fake", tags=("photo", "realistic"), downloads=90_000)
INK = lora("ink", engine="fake", title="Ink drawing", tags=("ink",), triggers=("inked",), downloads=9_000)
DIT = PHOTO.but(name="dit.safetensors", kind="diffusion_model", family="flux-dev", engine="", path="/models/dit")
GRAIN = FoundModel(
    reference="civitai:1@2",
    source="civitai",
    name="Film Grain",
    version="v2",
    kind="lora",
    family="sdxl",
    size=36_000_000,
    creator="friend",
    facts=ModelFacts(triggers=("film grain",), downloads=1200, licence="MIT"),
)


@dataclass(kw_only=True)
class Shop(FakeSource):
    """A source that has one file, of that size."""

    size: int | None = 36_000_000

    async def offer(self, reference: str, version: str | None = None) -> Offer:
        if reference != "civitai:1@2":
            raise NotFound("CivitAI model", reference, hint="search_models gives references.")
        return Offer(reference=reference, source=self.name, name="grain.safetensors", url="x", size=self.size)


@dataclass
class Carrier:
    """The Fetcher port: writes these bytes, or fails; `asked` counts."""

    data: bytes = LORA
    fault: ServiceUnavailable | None = None
    asked: list[str] = field(default_factory=list[str])

    async def fetch(
        self, offer: Offer, headers: Mapping[str, str], path: Path, report: Arrival, check: Check | None = None
    ) -> str:
        self.asked.append(offer.reference)
        report(Arrived(received=1, size=offer.size))
        if self.fault is not None:
            raise self.fault
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(path.write_bytes, self.data)
        return hashlib.sha256(self.data).hexdigest()

    async def discard(self, path: Path) -> None: ...


@dataclass(kw_only=True)
class Room(FakeFiles):
    """Files in a real folder; a scan finds what was put into it."""

    root: Path
    kind: str = "lora"

    async def scan(self, report: Callable[[int, int], None] | None = None, *, anew: bool = False) -> Scanned:
        known = {info.path for info in self.infos}
        for path in await asyncio.to_thread(lambda: sorted(self.root.rglob("*.safetensors"))):
            if str(path) not in known:
                info = lora(path.stem) if self.kind == "lora" else DIT.but(name=path.name)
                self.infos.append(info.but(path=str(path)))
        return await super().scan(report, anew=anew)

    def folder_for(self, kind: str, destination: str = "auto") -> str:
        return str(self.root / f"{kind}s")


@dataclass
class House:
    """A command line with everything that its commands about models need."""

    home: Path
    models: Sequence[ModelInfo] = (PHOTO, INK)
    source: Shop = field(default_factory=lambda: Shop(name="civitai", found=[GRAIN]))
    hub: FakeSource = field(default_factory=lambda: FakeSource(name="huggingface"))
    carrier: Carrier = field(default_factory=Carrier)
    off: bool = False
    """Downloads are switched off by the owner."""
    found: LookedUp | None = None
    looked: list[Path] = field(default_factory=list[Path])
    kind: str = "lora"

    def __post_init__(self) -> None:
        self.files = Room(infos=list(self.models), root=self.home / "models", kind=self.kind)

    def __call__(self, *arguments: str) -> int:
        parts = Parts(open_app=self._open, examine=lambda: [], serve=lambda given: None, version="0")
        return run(["models", *arguments], parts)

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[App]:
        engine = FakeEngine()
        sources = {} if self.off else {"civitai": self.source, "huggingface": self.hub}
        catalog = Catalog(engines=[engine], files=self.files, sources=sources)
        catalog.lookup = None if self.found is None else self._look_up
        async with AsyncExitStack() as stack:
            if not self.off:
                downloads = Downloads(
                    sources=sources,
                    fetch=self.carrier,
                    files=self.files,
                    journal=self.home / "downloads",
                    changed=catalog.forget,
                )
                catalog.downloads = await stack.enter_async_context(downloads)
            chooser = Chooser(catalog=catalog, rules=ContentRules())
            yield await stack.enter_async_context(fake_app(self.home, engine=engine, chooser=chooser))

    async def _look_up(self, folder: Path, report: Report) -> LookedUp:
        self.looked.append(folder)
        report(1, 1)
        assert self.found is not None
        return self.found


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


# ------------------------------------------------------------------ what is here


def test_the_list_has_a_line_for_each_model(house: House, capsys: Shown) -> None:
    assert house("list", "--kind", "lora") == 0
    assert capsys.readouterr().out == "ink.safetensors  lora  sdxl  200 MB  Ink drawing  wakes to inked\n"
    assert house("list", "photo", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["total"], answer["models"][0]["name"]) == (1, "photo-real.safetensors")


def test_the_list_says_what_cannot_be_drawn_with_and_what_is_only_guessed(tmp_path: Path, capsys: Shown) -> None:
    assert House(tmp_path, models=[DIT.but(guessed=True)])("list", "dit") == 0
    shown = capsys.readouterr().out
    assert "flux-dev (a guess)" in shown and "no engine here draws with it" in shown


def test_a_list_that_was_narrowed_to_nothing_says_so(house: House, capsys: Shown) -> None:
    assert house("list", "--family", "Pony") == 0
    assert "without options" in capsys.readouterr().out
    assert house("list", "--limit", "1") == 0
    assert "more: --limit" in capsys.readouterr().out


def test_families_are_taken_as_catalogues_spell_them(house: House, capsys: Shown) -> None:
    assert house("list", "--family", "SDXL 1.0", "--kind", "lora") == 0
    assert house("list", "--works-with", "SDXL 1.0") == 0
    assert house("list", "--works-with", "photo-real") == 0
    assert capsys.readouterr().out.count("ink.safetensors") == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("list", "--kind", "lorra"), 2, "lora"),
        (("list", "--family", "ponny"), 1, "pony"),
        (("list", "--works-with", "nobody"), 1, "`atelier models list`"),
        (("info", "photo-rael"), 1, "photo-real"),
        (("set", "ink"), 2, "--family"),
        (("set", "nobody", "--family", "pony"), 1, "There is no model"),
        (("search", "x", "--source", "nowhere"), 2, "civitai"),
        (("download", "rubbish"), 2, "`atelier models search` gives references"),
        (("download", "civitai:9"), 1, "`atelier models search` gives references"),
        (("lookup", "/nowhere"), 2, "/nowhere"),
    ],
)
def test_what_is_wrong_is_named_with_the_next_step(
    arguments: Sequence[str], code: int, words: str, house: House, capsys: Shown
) -> None:
    assert house(*arguments) == code
    told = capsys.readouterr()
    assert words in told.err and told.err.startswith("Error:") and told.out == ""
    assert house(*arguments, "--json") == code
    assert json.loads(capsys.readouterr().out)["status"] == "failed"


def test_a_model_is_told_of_without_saying_anything_twice(house: House, capsys: Shown) -> None:
    assert house("info", "ink") == 0
    shown = capsys.readouterr().out
    assert shown.count("Ink drawing") == 1 and "triggers: inked" in shown and "size: 200 MB" in shown
    assert house("info", "ink", "--json") == 0
    assert json.loads(capsys.readouterr().out)["size_gb"] == 0.2


def test_names_from_outside_do_nothing_to_the_terminal(tmp_path: Path, capsys: Shown) -> None:
    bad = lora("bad", title="[red]x[/nothing]\x1b[2J\x07")
    assert House(tmp_path, models=[bad])("list", "--kind", "lora") == 0
    assert "[red]x[/nothing][2J" in capsys.readouterr().out


def test_a_correction_stays(house: House, capsys: Shown) -> None:
    assert house("set", "ink", "--family", "pony") == 0
    assert house("info", "ink", "--json") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("ink.safetensors  lora  pony")
    assert '"told_by": "owner"' in shown


def test_a_scan_tells_the_folders(house: House, capsys: Shown) -> None:
    assert house("scan") == 0
    assert "2 files in" in (shown := capsys.readouterr().out) and "/models" in shown
    assert house("scan", "--json", "--anew") == 0
    assert json.loads(capsys.readouterr().out)["files"] == 2


# ------------------------------------------------------------------ what suits


def test_a_suggestion_says_why_and_what_to_type(house: House, capsys: Shown) -> None:
    assert house("suggest", "photo of a harbour") == 0
    shown = capsys.readouterr().out
    assert "photo-real.safetensors" in shown and "popularity" in shown
    assert shown.endswith('atelier "PROMPT" --model photo-real.safetensors\n')
    assert house("suggest", "an ink drawing of a cat", "--loras") == 0
    shown = capsys.readouterr().out
    assert "wakes to inked" in shown and 'atelier "PROMPT" --lora ink.safetensors:' in shown
    assert house("suggest", "a harbour", "--json") == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["name"] == "photo-real.safetensors"


def test_where_nothing_suits_the_next_step_is_told(tmp_path: Path, capsys: Shown) -> None:
    house = House(tmp_path, models=[PHOTO])
    assert house("suggest", "an ink drawing", "--loras") == 0
    assert "photo-real.safetensors: `atelier models search WORDS --kind lora`" in capsys.readouterr().out


# ------------------------------------------------------------------ what could be had


def test_a_search_tells_what_to_know_before_a_download(house: House, capsys: Shown) -> None:
    assert house("search", "film", "--kind", "lora", "--base-model", "SDXL 1.0", "--limit", "5") == 0
    assert capsys.readouterr().out == (
        "civitai:1@2  Film Grain v2 by friend\n"
        "  lora, sdxl, 36 MB, 1,200 downloads, wakes to film grain\n"
        "  MIT\n"
        "`atelier models download REFERENCE` fetches one.\n"
    )
    wanted = ModelQuery(query="film", model_type="lora", base_model="SDXL 1.0", limit=5)
    assert house.source.asked == house.hub.asked == [wanted]
    assert house("search", "film", "--json") == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["reference"] == "civitai:1@2"


def test_a_source_that_is_down_is_told_beside_the_results_of_the_other(house: House, capsys: Shown) -> None:
    house.hub.fault = ServiceUnavailable("the hub is away")
    assert house("search", "film") == 0
    told = capsys.readouterr()
    assert "civitai:1@2" in told.out and "huggingface: the hub is away" in told.err
    house.source.fault = ServiceUnavailable("civitai is away")
    assert house("search", "film") == 1
    assert "is away" in capsys.readouterr().err


def test_a_search_without_results_says_what_to_try(house: House, capsys: Shown) -> None:
    house.source.found = []
    assert house("search", "film") == 0
    assert "other words" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("search", "x"), ("download", "civitai:1@2"), ("lookup",)])
def test_where_the_owner_wants_no_downloads_that_is_said(
    arguments: Sequence[str], tmp_path: Path, capsys: Shown
) -> None:
    assert House(tmp_path, off=True)(*arguments) == 2
    assert "ATELIER_DOWNLOADS=on." in capsys.readouterr().err


async def test_where_the_owner_wants_no_downloads_nobody_is_asked_about_files(tmp_path: Path) -> None:
    settings = await asyncio.to_thread(load_settings, atelier_home=tmp_path, atelier_downloads="off")
    async with open_app(settings) as app:
        assert (app.catalog.lookup, app.catalog.downloads, dict(app.catalog.sources)) == (None, None, {})


# ------------------------------------------------------------------ getting it


def test_a_download_ends_with_what_to_type(house: House, capsys: Shown) -> None:
    assert house("download", "civitai:1@2") == 0
    path = house.home / "models" / "loras" / "grain.safetensors"
    assert path.read_bytes() == LORA
    assert capsys.readouterr().out == (
        f'{path}\ngrain.safetensors  lora  sdxl  200 MB\natelier "PROMPT" --lora grain.safetensors:0.8\n'
    )
    assert house("download", "civitai:1@2", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["path"]) == ("success", str(path))
    assert "engine" not in answer["model"] and "loras=['grain.safetensors:0.8']" in answer["next"]


def test_a_model_that_no_engine_takes_is_said_to_be_one(tmp_path: Path, capsys: Shown) -> None:
    house = House(tmp_path, kind="diffusion_model")
    assert house("download", "civitai:1@2") == 0
    shown = capsys.readouterr().out
    assert "no engine here draws with it" in shown and "atelier doctor" in shown and "--model" not in shown


@pytest.mark.parametrize("size", [3 * GB, None])
def test_nothing_large_comes_without_a_yes(size: int | None, tmp_path: Path, capsys: Shown) -> None:
    house = House(tmp_path, source=Shop(name="civitai", size=size))
    assert house("download", "civitai:1@2") == 1
    told = capsys.readouterr()
    assert ("3.00 GB" if size else "unknown size") in told.err and "--yes" in told.err
    assert house("download", "civitai:1@2", "--json") == 1
    assert json.loads(capsys.readouterr().out)["status"] == "planned"
    assert house.carrier.asked == []
    assert house("download", "civitai:1@2", "--yes") == 0
    assert house.carrier.asked == ["civitai:1@2"]


ASKS = """
import asyncio
from clients.cli.console import agreed

async def asks():
    print(agreed("Download it?"))

asyncio.run(asks())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
@pytest.mark.parametrize(("typed", "said"), [("y\n", "True"), ("n\n", "False"), ("", "False")])
def test_a_question_at_a_terminal_ends_with_one_answer_or_one_ctrl_c(typed: str, said: str) -> None:
    """`typed` empty: Ctrl-C."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", ASKS]
    with subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True) as process:
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, typed.encode()) if typed else process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0].split()[-1] == said
    os.close(ours)
    os.close(theirs)


def test_a_download_that_fails_is_code_one_with_its_reason(house: House, capsys: Shown) -> None:
    house.carrier.fault = ServiceUnavailable("the line is dead")
    assert house("download", "civitai:1@2") == 1
    assert "the line is dead" in capsys.readouterr().err
    assert house("download", "civitai:1@2", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["error"]) == ("failed", "the line is dead")
    assert answer["next"] == "Do what the error says, then download_model('civitai:1@2') tries again."


def test_side_cars_are_asked_for_folder_by_folder(tmp_path: Path, capsys: Shown) -> None:
    found = LookedUp(written=["/models/a"], kept=2, unknown=["/models/b"])
    house = House(tmp_path, found=found)
    assert house("lookup", str(tmp_path)) == 0
    assert house.looked == [tmp_path]
    assert "1 new side-cars, 2 were there, 1 unknown" in capsys.readouterr().out
    house.found = replace(found, failures={"/models/c": "no answer"})
    assert house("lookup", str(tmp_path), "--json") == 1
    assert json.loads(capsys.readouterr().out)["failures"] == {"/models/c": "no answer"}
