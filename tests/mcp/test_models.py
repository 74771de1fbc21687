"""The model tools as a client sees them; the yes that a large download needs, in both protocol eras."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult

from clients.tools.door import Door
from clients.tools.server import build_server
from tests.fake_models import GB, FakeFiles, FakeSource, checkpoint, lora
from tests.fakes import FakeEngine, fake_app
from tests.mcp.desk import ERAS, Era, told
from workflows.catalog import Catalog
from workflows.choosing import Chooser
from workflows.content import ContentRules
from workflows.downloads import Downloads
from workflows.downloads.fetching import Arrived, Check, Report
from workflows.types import FoundModel, ModelFacts, Offer

both_eras = pytest.mark.parametrize("era", ERAS)
PHOTO = checkpoint("photo-real", engine="fake", tags=("photo", "realistic"), downloads=90_000)
INK = lora("ink", engine="fake", title="Ink drawing", tags=("ink",), triggers=("inked",), downloads=9_000)


@dataclass(kw_only=True)
class Shop(FakeSource):
    """A source with one file of a given size."""

    size: int = 3 * GB

    async def offer(self, reference: str, version: str | None = None) -> Offer:
        facts = ModelFacts(licence="MIT")
        return Offer(
            reference=reference, source=self.name, name="big.safetensors", url="x", size=self.size, facts=facts
        )


@dataclass(kw_only=True)
class Carrier:
    """The Fetcher port: nothing arrives, and it says so; enough to see whether it was asked."""

    asked: list[str] = field(default_factory=list[str])

    async def fetch(
        self, offer: Offer, headers: Mapping[str, str], path: Path, report: Report, check: Check | None = None
    ) -> str:
        self.asked.append(offer.reference)
        report(Arrived(received=1, size=offer.size))
        await asyncio.to_thread(_written, path)
        return "0" * 64

    async def discard(self, path: Path) -> None: ...


def _written(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no safetensors")


@dataclass(kw_only=True)
class Room(FakeFiles):
    """Files in a real folder."""

    root: Path

    def folder_for(self, kind: str, destination: str = "auto") -> str:
        return str(self.root / f"{kind}s")


Answerer = Callable[[ElicitRequestParams], ElicitResult]


@asynccontextmanager
async def shop(
    home: Path, era: Era, *, size: int = 3 * GB, answer: Answerer | None = None
) -> AsyncGenerator[tuple[Client, Carrier]]:
    engine, files, carrier = FakeEngine(), Room(root=home / "models", infos=[PHOTO, INK]), Carrier()
    found = FoundModel(
        reference="civitai:1@2", source="civitai", name="Big", kind="checkpoint", family="sdxl", size=size
    )
    sources = {"civitai": Shop(name="civitai", found=[found], size=size)}
    catalog = Catalog(engines=[engine], files=files, sources=sources)

    async def elicited(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert answer is not None
        return answer(params)

    async with Downloads(
        sources=sources, fetch=carrier, files=files, journal=home / "downloads", changed=catalog.forget
    ) as downloads:
        catalog.downloads = downloads
        chooser = Chooser(catalog=catalog, rules=ContentRules())
        door = Door(lambda: fake_app(home, engine=engine, chooser=chooser))
        server = build_server(door, inline=True, version="0")
        asks: dict[str, Any] = {"elicitation_callback": elicited} if answer else {}
        async with Client(server, mode=era, **asks) as client:
            yield client, carrier


@both_eras
async def test_models_are_listed_told_of_and_suggested(era: Era, tmp_path: Path) -> None:
    async with shop(tmp_path, era) as (client, _):
        listed = await client.call_tool("list_models", {"kind": "checkpoint"})
        loras = told(await client.call_tool("list_loras", {"compatible_with": "photo-real"}))
        info = told(await client.call_tool("get_model_info", {"model_name": "photo-real"}))
        suggested = told(await client.call_tool("suggest_model", {"task": "photo of a harbour"}))
        matching = told(await client.call_tool("suggest_loras", {"prompt": "an ink drawing of a cat"}))
        found = told(await client.call_tool("search_models", {"query": "big"}))

    assert listed.structured_content == told(listed)
    assert {row["name"] for row in told(listed)["models"]} == {"fake-model", "photo-real.safetensors"}
    assert [row["triggers"] for row in loras["loras"]] == [["inked"]]
    assert (info["family"], info["loras"]) == ("sdxl", 1)
    assert suggested["models"][0]["name"] == "photo-real.safetensors"
    assert [row["name"] for row in matching["loras"]] == ["ink.safetensors"]
    assert (found["results"][0]["reference"], found["results"][0]["size_gb"]) == ("civitai:1@2", 3.0)


@both_eras
async def test_a_client_that_cannot_be_asked_is_told_what_would_happen(era: Era, tmp_path: Path) -> None:
    async with shop(tmp_path, era) as (client, carrier):
        planned = told(await client.call_tool("download_model", {"reference": "civitai:1@2"}))

    assert (planned["status"], planned["size_gb"], planned["licence"]) == ("planned", 3.0, "MIT")
    assert "confirm=true" in planned["next"] and "3.00 GB" in planned["would"]
    assert carrier.asked == []


@both_eras
async def test_a_person_who_says_yes_gets_the_download(era: Era, tmp_path: Path) -> None:
    asked: list[str] = []

    def yes(params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"go_ahead": True})

    async with shop(tmp_path, era, answer=yes) as (client, carrier):
        answer = told(await client.call_tool("download_model", {"reference": "civitai:1@2"}))

    assert carrier.asked == ["civitai:1@2"]
    assert (len(asked), answer["status"]) == (1, "failed")
    assert "safetensors" in answer["error"]  # what came was no model: it was looked at, and thrown away


@both_eras
@pytest.mark.parametrize(
    "said",
    [
        ElicitResult(action="decline"),
        ElicitResult(action="cancel"),
        ElicitResult(action="accept", content={"go_ahead": False}),
        ElicitResult(action="accept", content={"go_ahead": "false"}),
        ElicitResult(action="accept", content={"go_ahead": "whatever"}),
        ElicitResult(action="accept", content={"go_ahead": ["x"]}),
        ElicitResult(action="accept"),
    ],
)
async def test_a_person_who_says_no_gets_nothing(era: Era, said: ElicitResult, tmp_path: Path) -> None:
    async with shop(tmp_path, era, answer=lambda params: said) as (client, carrier):
        answer = told(await client.call_tool("download_model", {"reference": "civitai:1@2"}))

    assert (answer["status"], carrier.asked) == ("declined", [])


async def test_what_is_small_or_confirmed_needs_no_question(tmp_path: Path) -> None:
    async with shop(tmp_path / "a", "2026-07-28", size=GB) as (client, carrier):
        await client.call_tool("download_model", {"reference": "civitai:1@2"})
        assert carrier.asked == ["civitai:1@2"]
    async with shop(tmp_path / "b", "2026-07-28") as (client, carrier):
        await client.call_tool("download_model", {"reference": "civitai:1@2", "confirm": True})
        assert carrier.asked == ["civitai:1@2"]


async def test_a_download_is_followed_and_stopped_like_a_job(tmp_path: Path) -> None:
    async with shop(tmp_path, "2026-07-28", size=GB) as (client, _):
        job_id = told(await client.call_tool("download_model", {"reference": "civitai:1@2"}))["job_id"]
        followed = told(await client.call_tool("get_progress", {"job_id": job_id}))
        stopped = told(await client.call_tool("cancel", {"job_id": job_id}))

    assert (followed["job_id"], followed["file"]) == (job_id, "big.safetensors")
    assert (stopped["stopped"], stopped["status"]) == (False, "failed")
