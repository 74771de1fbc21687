"""From a reference to a file in the index: the real clients, downloader and index, against both sites on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clients.civitai_client import CivitAIClient
from clients.downloader import Downloader
from clients.hf_client import HuggingFaceClient
from clients.model_files import InstalledModels
from tests.fake_civitai import KEY, FakeCivitAI
from tests.local_hub import LocalHub
from tests.workflows.download_kit import DIT, LARGE, LORA, at_once, plenty
from workflows.downloads import Downloads
from workflows.families import families
from workflows.types import Download, ModelRow, TrackRecord


@dataclass
class Rows:
    """The ledger's table, in memory."""

    rows: dict[str, ModelRow] = field(default_factory=dict[str, ModelRow])

    async def all(self) -> Sequence[ModelRow]:
        return list(self.rows.values())

    async def replace(self, changed: Sequence[ModelRow], gone: Sequence[str]) -> None:
        self.rows = {path: row for path, row in self.rows.items() if path not in gone} | {
            row.path: row for row in changed
        }

    async def correct(self, path: str, corrections: Mapping[str, str]) -> ModelRow | None:
        raise NotImplementedError

    async def records(self) -> Mapping[str, TrackRecord]:
        return {}


@dataclass
class House:
    """Downloads with everything real but the ledger."""

    root: Path
    civitai: FakeCivitAI
    downloads: Downloads

    async def get(self, reference: str) -> Download:
        download = await self.downloads.start(await self.downloads.plan(reference))
        return await self.downloads.wait(download.id, 60)

    def here(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    await asyncio.to_thread(families)  # the table is read once in a process, from a file
    async with FakeCivitAI() as fake, CivitAIClient(fake.url, KEY) as client:
        downloads = Downloads(
            sources={"civitai": client},
            fetch=Downloader(pause=at_once, free=plenty),
            files=InstalledModels(Rows(), [tmp_path / "models"], (), hub_cache=tmp_path / "hub", patience=0.0),
            journal=tmp_path / "home",
        )
        async with downloads:
            yield House(tmp_path / "models", fake, downloads)


async def test_a_lora_of_civitai_is_known_by_its_header_and_what_the_site_says(house: House) -> None:
    added = house.civitai.add("Neon Style", data=LORA, version={"trainedWords": ["neon style"]})
    done = await house.get(added.reference)
    assert (done.state, done.fault) == ("succeeded", "")
    assert house.here() == ["loras/neon_style.civitai.info", "loras/neon_style.safetensors"]
    info = done.info
    assert info is not None
    assert (info.kind, info.family, info.told_by, info.guessed) == ("lora", "sdxl", "header", False)
    assert (info.facts.triggers, info.facts.reference) == (("neon style",), added.reference)
    assert info.facts.sha256 == added.sha256
    again = await house.get(f"civitai:{added.model_id}")
    assert (again.path, again.note) == (done.path, "The same file was here already.")
    assert len(house.civitai.of("/storage")) == 1


async def test_a_denoiser_that_the_site_calls_a_checkpoint_lies_with_the_denoisers(house: House) -> None:
    added = house.civitai.add("Flux", type="Checkpoint", base_model="Flux.1 S", data=DIT)
    await house.get(added.reference)
    assert house.here() == ["diffusion_models/flux.civitai.info", "diffusion_models/flux.safetensors"]


async def test_cuts_and_links_that_ran_out_end_in_a_whole_file(house: House) -> None:
    added = house.civitai.add("Large", data=LARGE)
    house.civitai.cut(1_200_000, 900_000)
    done = await house.get(added.reference)
    assert (done.state, done.fault) == ("succeeded", "")
    stored = house.civitai.of("/storage")
    assert [asked.headers.get("Range") for asked in stored] == [None, "bytes=1200000-", "bytes=2100000-"]
    assert not any("Authorization" in asked.headers for asked in stored)
    assert {asked.host.partition(":")[0] for asked in stored} == {"localhost"}
    assert (house.root / "loras" / "large.safetensors").read_bytes() == LARGE


async def test_a_wrong_hash_and_a_login_page_are_told_apart_and_leave_nothing(house: House) -> None:
    spoilt, walled = house.civitai.add("Spoilt", data=LORA), house.civitai.add("Walled", data=LORA)
    house.civitai.wrong.add(spoilt.version_id)
    house.civitai.walled.add(walled.version_id)
    first, second = await house.get(spoilt.reference), await house.get(walled.reference)
    assert first.state == second.state == "failed"
    assert "SHA-256" in first.fault and "CIVITAI_API_KEY" in second.fault
    assert [name for name in house.here() if not name.endswith((".part", ".part.json"))] == []


async def test_early_access_is_told_as_a_missing_key(house: House) -> None:
    early = house.civitai.add("Early", data=LORA)
    house.civitai.early.add(early.version_id)
    done = await house.get(early.reference)
    assert done.state == "failed" and "CIVITAI_API_KEY" in done.fault
    assert "Early Access. Please use the site" in done.fault


async def test_a_lora_of_the_hub_is_known_by_what_its_card_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    about: dict[str, dict[str, Any]] = {"a/neon": {"tags": ["lora"], "cardData": {"instance_prompt": "neon style"}}}
    files = {"a/neon": {"pytorch_lora_weights.safetensors": LORA}}
    with LocalHub(files, about=about, storage=True) as hub:
        downloads = Downloads(
            sources={"huggingface": HuggingFaceClient(endpoint=hub.url, cache_dir=tmp_path / "hub")},
            fetch=Downloader(pause=at_once, free=plenty),
            files=InstalledModels(Rows(), [tmp_path / "models"], (), hub_cache=tmp_path / "hub", patience=0.0),
            journal=tmp_path / "home",
        )
        async with downloads:
            house = House(tmp_path / "models", FakeCivitAI(), downloads)
            done = await house.get("hf:a/neon")
            again = await house.get("hf:a/neon")
    assert house.here() == ["loras/neon.civitai.info", "loras/neon.safetensors"]
    info = done.info
    assert info is not None
    assert (info.kind, info.family, info.facts.title, info.facts.triggers) == ("lora", "sdxl", "neon", ("neon style",))
    assert again.note == "The same file was here already."
