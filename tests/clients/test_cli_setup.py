"""`atelier setup`: what is proposed, what is asked, and that the first picture is drawn with what was fetched."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from clients.cli import Parts, run
from tests.fake_models import FakeFiles, FakeSource
from tests.fakes import FakeEngine, fake_app
from workflows.app import App
from workflows.catalog import Catalog
from workflows.choosing import Chooser
from workflows.content import ContentRules
from workflows.downloads import PIPELINE, Downloads
from workflows.downloads.fetching import Arrived, Check, Report
from workflows.errors import AccessDenied
from workflows.starters import Machine
from workflows.types import Offer

Shown = pytest.CaptureFixture[str]
LAPTOP = Machine(ram_gb=16, disk_gb=100)
GAMER = Machine(gpu="RTX", gpu_gb=16, ram_gb=32, disk_gb=200)
OLD = Machine(ram_gb=4, disk_gb=2)
SD15 = "hf:stable-diffusion-v1-5/stable-diffusion-v1-5"


@dataclass(kw_only=True)
class Hub(FakeSource):
    """Has every pipeline; `gated` refuses."""

    root: Path
    gated: bool = False
    fetched: list[str] = field(default_factory=list[str])

    @property
    def cache(self) -> Path:
        return self.root

    async def offer(self, reference: str, version: str | None = None) -> Offer:
        if self.gated:
            raise AccessDenied("it is gated: accept its terms", "HF_TOKEN")
        return Offer(reference=reference, source=self.name, name="tiny", url="x", size=3_000_000_000, kind=PIPELINE)

    async def snapshot(self, offer: Offer, report: Report) -> Path:
        report(Arrived(received=1, size=offer.size))
        self.fetched.append(offer.reference)
        return self.root


class NoFetcher:
    """The Fetcher port, where nothing but pipelines comes."""

    async def fetch(
        self, offer: Offer, headers: Mapping[str, str], path: Path, report: Report, check: Check | None = None
    ) -> str:
        raise AssertionError("a pipeline is its source's to fetch")

    async def discard(self, path: Path) -> None: ...


@dataclass
class House:
    home: Path
    machine: Machine = LAPTOP
    engine: FakeEngine = field(default_factory=lambda: FakeEngine(name="diffusers"))
    off: bool = False

    def __post_init__(self) -> None:
        self.hub = Hub(name="huggingface", root=self.home)

    def __call__(self, *arguments: str) -> int:
        parts = Parts(open_app=self._open, examine=lambda: [], serve=lambda given: None, version="0")
        return run(["setup", *arguments], parts)

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[App]:
        catalog = Catalog(engines=[self.engine], files=FakeFiles(), sources={"huggingface": self.hub})
        async with Downloads(
            sources=catalog.sources, fetch=NoFetcher(), files=FakeFiles(), journal=self.home / "downloads"
        ) as downloads:
            catalog.downloads = None if self.off else downloads
            chooser = Chooser(catalog=catalog, rules=ContentRules())
            async with fake_app(self.home, engine=self.engine, chooser=chooser) as app:
                yield replace(app, machine_facts=lambda: self.machine)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_could_be_taken_is_shown_with_size_licence_and_time(house: House, capsys: Shown) -> None:
    assert house("--show") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("This machine: no GPU, 16 GB of memory, 100 GB of disk free.\nStable Diffusion 1.5 (sd15")
    assert "2.8 GB, about 4 min at 100 Mbit/s; CreativeML OpenRAIL-M, pictures may be sold" in shown
    assert "it wants a GPU with 24 GB, here is none" in shown
    assert house("--show", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["machine"]["ram_gb"] == 16
    assert [one["starter"]["name"] for one in answer["proposals"]] == ["sd15", "flux-schnell", "sdxl"]
    assert house.hub.fetched == []


def test_one_command_fetches_a_model_and_draws_with_it(house: House, tmp_path: Path, capsys: Shown) -> None:
    assert house("--yes", "--prompt", "a boat", "--output", str(tmp_path / "boat.png")) == 0
    assert house.hub.fetched == [SD15]
    [recipe] = house.engine.recipes
    assert (recipe.prompt, recipe.model, recipe.engine) == ("a boat", SD15.removeprefix("hf:"), "diffusers")
    assert (tmp_path / "boat.png").read_bytes().startswith(b"\x89PNG")
    assert f"Stable Diffusion 1.5 is here, as {recipe.model}." in capsys.readouterr().out


def test_a_program_gets_one_answer(house: House, capsys: Shown) -> None:
    assert house("--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "success"


def test_nothing_is_fetched_without_a_yes(house: House, capsys: Shown) -> None:
    assert house() == 1
    told = capsys.readouterr()
    assert "Download Stable Diffusion 1.5 (2.8 GB) and draw with it?" in told.err and "--yes" in told.err
    assert house.hub.fetched == []


def test_the_best_that_fits_is_taken_and_another_one_by_name(tmp_path: Path) -> None:
    house = House(tmp_path, GAMER)
    assert house("--yes") == house("--yes", "--model", "sd15") == 0
    assert house.hub.fetched == ["hf:stabilityai/stable-diffusion-xl-base-1.0", SD15]


def test_where_nothing_fits_the_reasons_are_told(tmp_path: Path, capsys: Shown) -> None:
    house = House(tmp_path, OLD)
    assert house("--yes") == 1
    assert "it wants 6 GB of memory, here are 4" in capsys.readouterr().err
    assert house("--show") == 0
    assert house("--yes", "--model", "sd15") == 0
    assert house.hub.fetched == [SD15]


def test_where_no_engine_can_draw_that_is_a_failure(tmp_path: Path, capsys: Shown) -> None:
    house = House(tmp_path, engine=FakeEngine(name="diffusers", refuses="torch is missing"))
    assert house("--yes") == 1
    assert "`atelier doctor`" in capsys.readouterr().err
    assert house("--show") == 0


def test_a_name_that_is_none_is_refused_with_all_that_are(house: House, capsys: Shown) -> None:
    assert house("--yes", "--model", "stable") == 1
    assert "sdxl-comfyui" in capsys.readouterr().err


def test_a_gated_model_says_what_to_do_and_draws_nothing(house: House, capsys: Shown) -> None:
    house.hub.gated = True
    assert house("--yes") == 1
    assert "accept its terms" in capsys.readouterr().err
    assert house.engine.recipes == []


def test_where_the_owner_wants_no_downloads_that_is_said_first(tmp_path: Path, capsys: Shown) -> None:
    assert House(tmp_path, off=True)("--yes") == 2
    told = capsys.readouterr()
    assert "ATELIER_DOWNLOADS" in told.err and told.out == ""
