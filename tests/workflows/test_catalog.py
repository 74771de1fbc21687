"""The catalogue: what is here, what could be had, and what the owner says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.fake_models import FakeFiles, FakeSource, checkpoint, lora
from tests.fakes import FakeEngine
from workflows.catalog import Catalog
from workflows.errors import BadRecipe, NotFound, RateLimited, ServiceUnavailable
from workflows.model_answers import lora_list, model_details, model_list, search_answer
from workflows.types import FoundModel, ModelFacts, ModelInfo, ModelQuery

ANIME = checkpoint("anime/wai-v14", "illustrious", title="WAI illustrious", tags=("anime",), downloads=900)
PHOTO = checkpoint("juggernaut", "sdxl", title="Juggernaut XL", tags=("photo", "realistic"), downloads=5000)
INK = lora("ink", "sdxl", triggers=("ink drawing",), tags=("style",))
FLUX_INK = lora("flux-ink", "flux-dev", triggers=("inked",))


def shelf(*infos: ModelInfo) -> Catalog:
    return Catalog(engines=[FakeEngine()], files=FakeFiles(infos=list(infos)))


async def test_a_model_is_found_by_every_way_people_name_it() -> None:
    catalog = shelf(ANIME, PHOTO)

    for name in (
        "anime/wai-v14.safetensors",
        "anime\\WAI-v14.safetensors",
        "wai-v14.safetensors",
        "wai-v14",
        "wai illustrious",
    ):
        assert (await catalog.find(name)).path == ANIME.path


async def test_a_hash_is_what_the_last_look_knew_by_every_name_and_kind() -> None:
    known = INK.but(facts=INK.facts.but(sha256="ABCDEF0123456789" * 4))
    catalog = shelf(PHOTO, known)
    assert catalog.short_hash("ink", ("lora",)) is None  # nobody looked yet, and nobody does for this

    await catalog.stand()

    assert [catalog.short_hash(name, ("lora",)) for name in ("INK", "ink.safetensors")] == ["abcdef0123"] * 2
    assert catalog.short_hash("ink", ("checkpoint",)) is None
    assert (catalog.short_hash("juggernaut"), catalog.short_hash("nobody")) == (None, None)


async def test_an_unknown_name_is_told_with_the_near_ones() -> None:
    with pytest.raises(NotFound, match="juggernaut"):
        await shelf(ANIME, PHOTO).find("jugernaut")


async def test_a_list_holds_every_word_of_the_query_and_the_most_used_first() -> None:
    catalog = shelf(ANIME, PHOTO, INK)

    answer = await model_list(catalog, kind="checkpoint")
    assert [row["name"] for row in answer["models"]] == [
        "fake-model",
        "juggernaut.safetensors",
        "anime/wai-v14.safetensors",
    ]
    assert (answer["total"], answer["by_kind"]) == (3, {"checkpoint": 3})
    assert [row["name"] for row in (await model_list(catalog, query="realistic xl"))["models"]] == [
        "juggernaut.safetensors"
    ]
    assert (await model_list(catalog, limit=1))["total"] == 4


async def test_a_kind_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(BadRecipe, match="all, checkpoint, diffusion_model, lora, vae"):
        await shelf(ANIME, INK).models("loras")
    assert await shelf(ANIME, INK).models("vae") == []


async def test_loras_are_listed_by_what_they_work_with() -> None:
    catalog = shelf(ANIME, PHOTO, INK, FLUX_INK)

    works = await lora_list(catalog, compatible_with="juggernaut")
    assert ([row["name"] for row in works["loras"]], works["family"]) == (["ink.safetensors"], "sdxl")
    assert [row["name"] for row in (await lora_list(catalog, compatible_with="flux-dev"))["loras"]] == [
        "flux-ink.safetensors"
    ]
    with pytest.raises(NotFound):
        await lora_list(catalog, compatible_with="nothing like it")


async def test_the_details_tell_the_familys_ways_and_how_many_loras_go_with_it() -> None:
    info = await model_details(shelf(PHOTO, INK, FLUX_INK), "juggernaut")

    assert (info["family"], info["loras"], info["precision"], info["path"]) == ("sdxl", 1, "fp16", PHOTO.path)
    assert info["profile"]["width"] == 1024
    assert info["facts"]["downloads"] == 5000


async def test_a_guess_is_told_with_the_way_to_correct_it_and_corrected() -> None:
    files = FakeFiles(infos=[ANIME.but(family="sdxl", guessed=True, told_by="name")])
    catalog = Catalog(engines=[], files=files)
    assert "atelier models set 'wai-v14'" in (await model_details(catalog, "wai-v14"))["correct"]

    await catalog.correct("wai-v14", {"family": "Illustrious"})

    after = await catalog.find("wai-v14")
    assert (after.family, after.guessed, after.told_by) == ("illustrious", False, "owner")


async def test_nothing_can_be_noted_of_what_lies_elsewhere() -> None:
    with pytest.raises(BadRecipe, match="does not lie on this machine"):
        await Catalog(engines=[FakeEngine()]).correct("fake-model", {"family": "sdxl"})


async def test_an_engine_that_is_down_takes_nobodys_models_away() -> None:
    class Down(FakeEngine):
        async def models(self, kind: str = "all") -> list[ModelInfo]:
            raise ServiceUnavailable("nobody answers")

    catalog = Catalog(engines=[Down()], files=FakeFiles(infos=[PHOTO]))

    assert await catalog.models() == [PHOTO]


def found(source: str, name: str, sha256: str = "") -> FoundModel:
    facts = ModelFacts(licence="MIT", sha256=sha256)
    return FoundModel(reference=f"{source}:{name}", source=source, name=name, kind="lora", family="sdxl", facts=facts)


async def test_a_search_takes_from_each_source_in_turn_and_tells_what_is_here_already() -> None:
    one = FakeSource(name="civitai", found=[found("civitai", "a", "ab" * 32), found("civitai", "b")])
    two = FakeSource(name="huggingface", found=[found("huggingface", "c")])
    here = FakeFiles(infos=[INK.but(facts=ModelFacts(sha256="ab" * 32))])
    catalog = Catalog(engines=[], files=here, sources={"civitai": one, "huggingface": two})

    answer = await search_answer(catalog, ModelQuery(query="ink"))

    assert [row["name"] for row in answer["results"]] == ["a", "c", "b"]
    assert [row.get("installed") for row in answer["results"]] == [True, None, None]
    assert [row["name"] for row in (await search_answer(catalog, ModelQuery(query="ink", limit=2)))["results"]] == [
        "a",
        "c",
    ]


async def test_one_source_that_is_down_is_told_and_both_are_an_error() -> None:
    down = FakeSource(name="civitai", fault=RateLimited("wait a minute", 60))
    up = FakeSource(name="huggingface", found=[found("huggingface", "c")])
    catalog = Catalog(engines=[], sources={"civitai": down, "huggingface": up})

    answer = await search_answer(catalog, ModelQuery(query="ink"))
    assert ([row["name"] for row in answer["results"]], answer["unanswered"]) == (["c"], {"civitai": "wait a minute"})
    with pytest.raises(RateLimited):
        await search_answer(catalog, ModelQuery(query="ink"), "civitai")


async def test_adult_models_are_searched_for_only_where_the_owner_allows() -> None:
    source = FakeSource(name="civitai")
    for adult in (False, True):
        catalog = Catalog(engines=[], sources={"civitai": source}, adult=adult)
        await catalog.search(ModelQuery(query="ink", nsfw=True))

    assert [query.nsfw for query in source.asked] == [False, True]


async def test_a_source_that_is_none_is_refused() -> None:
    catalog = Catalog(engines=[], sources={"civitai": FakeSource(name="civitai")})

    with pytest.raises(BadRecipe, match="all, civitai"):
        await catalog.search(ModelQuery(query="ink"), "github")
    with pytest.raises(BadRecipe, match="ATELIER_DOWNLOADS"):
        await Catalog(engines=[]).search(ModelQuery(query="ink"))


# ------------------------------------------------------------------ looked at again


@dataclass(kw_only=True)
class Held(FakeFiles):
    """Answers once it may."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def all(self) -> Sequence[ModelInfo]:
        found = tuple(self.infos)
        self.asked.set()
        await self.may.wait()
        return found


async def test_what_has_not_changed_is_not_looked_through_again() -> None:
    files = FakeFiles(infos=[ANIME])
    catalog = Catalog(engines=[FakeEngine()], files=files)

    first = await catalog.stand()
    catalog.forget()
    second = await catalog.stand()
    files.infos[0] = ANIME.but(family="noobai")
    catalog.forget()
    third = await catalog.stand()

    assert second.libraries is first.libraries and second.models is first.models
    assert second.until >= first.until
    assert third.models[-1].family == (await catalog.find("wai-v14")).family == "noobai"


async def test_a_change_in_the_middle_of_a_look_is_seen_by_whoever_waits_for_it() -> None:
    files = Held(infos=[ANIME])
    catalog = Catalog(engines=[FakeEngine()], files=files)

    waiting = [asyncio.create_task(catalog.models()) for _ in range(2)]
    await files.asked.wait()
    files.infos.append(PHOTO)
    catalog.forget()
    files.may.set()

    for task in waiting:
        assert PHOTO in await task


async def test_a_name_is_looked_for_among_the_kinds_that_are_asked_for() -> None:
    catalog = shelf(checkpoint("ink"), INK)

    assert (await catalog.find("ink")).kind == "checkpoint"
    assert (await catalog.find("ink", ("lora",))).kind == "lora"
