"""Search, versions, hashes and offers of CivitAI, against a stand-in on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from clients._civitai.site import Turns
from clients.civitai_client import CivitAIClient
from tests.fake_civitai import KEY, LOGIN_PAGE, FakeCivitAI
from workflows.errors import AccessDenied, BadRecipe, NotFound, RateLimited, ServiceError, ServiceUnavailable
from workflows.ports import ModelSource
from workflows.types import FoundModel, ModelFacts, ModelQuery

DOOR = "/api/v1/models"


@pytest.fixture
async def fake() -> AsyncIterator[FakeCivitAI]:
    async with FakeCivitAI() as fake:
        yield fake


def client_of(fake: FakeCivitAI, key: str | None = None) -> CivitAIClient:
    return CivitAIClient(fake.url, key, min_interval=0, backoff=0)


@pytest.fixture
async def client(fake: FakeCivitAI) -> AsyncIterator[CivitAIClient]:
    async with client_of(fake) as client:
        yield client


def names(found: Any) -> list[str]:
    return [model.name for model in found]


# Search


async def test_a_found_model_has_everything_that_a_choice_needs(fake: FakeCivitAI) -> None:
    picture = {"url": "https://image/1.jpeg", "type": "image", "nsfwLevel": 1}
    told = {"trainedWords": ["neon style, <lora:neon:1>"], "images": [picture]}
    added = fake.add("Neon Style", base_model="Pony", version=told, tags=["Style", "neon"])
    async with client_of(fake) as client:
        source: ModelSource = client
        [found] = await source.search(ModelQuery(query="neon"))
    assert found == FoundModel(
        reference="civitai:101@5001",
        source="civitai",
        name="Neon Style",
        version="v1.0",
        kind="lora",
        family="pony",
        size=len(added.data),
        creator="friend",
        facts=ModelFacts(
            title="Neon Style - v1.0",
            base_model="Pony",
            kind="LORA",
            triggers=("neon style",),
            tags=("style", "neon"),
            description="Neon Style by a friend.",
            downloads=100,
            rating=0.9,
            licence="commercial use: selling pictures, generation services on CivitAI",
            preview_url="https://image/1.jpeg",
            sha256=added.sha256,
            source="civitai",
            reference="civitai:101@5001",
            page_url="https://civitai.com/models/101?modelVersionId=5001",
        ),
    )


async def test_a_search_is_asked_in_the_sites_own_words(fake: FakeCivitAI, client: CivitAIClient) -> None:
    await client.search(
        ModelQuery(query=" neon  night ", model_type="lora", base_model="pony", limit=5, tags=("style",))
    )
    assert fake.asked[0].query == {
        "query": ("neon night",),
        "types": ("LORA", "LoCon", "DoRA"),
        "baseModels": ("Pony",),
        "sort": ("Most Downloaded",),
        "nsfw": ("false",),
        "limit": ("5",),
        "tag": ("style",),
    }


async def test_kind_family_words_and_order_are_kept_to(fake: FakeCivitAI, client: CivitAIClient) -> None:
    fake.add("Old Ink", base_model="SDXL 1.0")
    fake.add("Ink Checkpoint", type="Checkpoint", base_model="SDXL 1.0")
    fake.add("New Ink", base_model="SDXL 1.0")
    fake.add("Flux Ink", base_model="Flux.1 D")
    fake.add("Ink Workflow", type="Workflows", base_model="SDXL 1.0")
    query = ModelQuery(query="ink", model_type="lora", base_model="sdxl")
    assert names(await client.search(query)) == ["New Ink", "Old Ink"]
    assert names(await client.search(query.but(base_model="flux.1 d"))) == ["Flux Ink"]
    everything = await client.search(ModelQuery(query="ink", sort="newest"))
    assert names(everything) == ["Flux Ink", "New Ink", "Ink Checkpoint", "Old Ink"]


async def test_what_is_adult_is_hidden_even_where_the_server_lets_it_through(
    fake: FakeCivitAI, client: CivitAIClient
) -> None:
    fake.leaks = True
    fake.add("Safe", nsfwLevel=1)
    fake.add("Mixed", nsfwLevel=1 | 8)
    fake.add("Adult by level", nsfwLevel=4 | 8 | 16)
    fake.add("Blocked", nsfwLevel=1 | 32)
    fake.add("Adult by word", nsfw=True)
    fake.add("Never", nsfw=True, minor=True)
    assert names(await client.search(ModelQuery())) == ["Mixed", "Safe"]
    assert names(await client.search(ModelQuery(nsfw=True))) == [
        "Adult by word",
        "Blocked",
        "Adult by level",
        "Mixed",
        "Safe",
    ]


async def test_rows_that_are_dropped_are_made_up_for_from_the_next_page(
    fake: FakeCivitAI, client: CivitAIClient
) -> None:
    fake.leaks = True
    for number in range(6):
        fake.add(f"Model {number}", nsfwLevel=4 if number == 4 else 1)
    found = await client.search(ModelQuery(limit=3))
    assert names(found) == ["Model 5", "Model 3", "Model 2"]
    assert [asked.query.get("cursor", ("",))[0].partition("|")[0] for asked in fake.asked] == ["", "3"]


async def test_an_endless_search_ends(fake: FakeCivitAI, client: CivitAIClient) -> None:
    page: dict[str, object] = {"items": [], "metadata": {"nextCursor": "again"}}
    fake.answer(DOOR, 200, page, times=50)
    assert await client.search(ModelQuery()) == ()
    assert len(fake.asked) == 2


async def test_models_without_files_are_not_offered_and_other_versions_stand_in(
    fake: FakeCivitAI, client: CivitAIClient
) -> None:
    fake.add("Gone", version={"files": []})
    assert await client.search(ModelQuery()) == ()


async def test_rows_of_nulls_and_of_other_types_are_passed_over(fake: FakeCivitAI, client: CivitAIClient) -> None:
    good = fake.add("Good")
    whole = good.model | {"modelVersions": [good.version]}
    empty = dict.fromkeys(whole)
    wrong = {"id": "x", "modelVersions": {"files": 3}, "tags": 7}
    bare = {name: (value if name in {"id", "modelVersions"} else None) for name, value in whole.items()}
    fake.answer(DOOR, 200, {"items": [empty, None, 3, wrong, bare], "metadata": None})
    [found] = await client.search(ModelQuery())
    assert (found.reference, found.name, found.kind) == (good.reference, good.reference, "other")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sort": "Best"}, r"sort cannot be 'Best': CivitAI sorts by one of Most Downloaded, Highest Rated"),
        ({"model_type": "loras"}, "model_type cannot be 'loras': it is one of all, checkpoint, "),
        ({"base_model": "demo"}, "base_model cannot be 'demo'"),
    ],
)
async def test_a_wrong_argument_is_told_before_anyone_is_asked(
    fake: FakeCivitAI, client: CivitAIClient, changed: dict[str, str], words: str
) -> None:
    with pytest.raises(BadRecipe, match=words):
        await client.search(ModelQuery().but(**changed))
    assert fake.asked == []


async def test_types_and_base_models_may_be_spelled_as_the_site_does(fake: FakeCivitAI, client: CivitAIClient) -> None:
    await client.search(ModelQuery(model_type="textualinversion", base_model="flux.1 KREA"))
    asked = fake.asked[0].query
    assert (asked["types"], asked["baseModels"]) == (("TextualInversion",), ("Flux.1 Krea",))


async def test_a_base_model_that_the_site_does_not_take_is_sifted_here(
    fake: FakeCivitAI, client: CivitAIClient
) -> None:
    fake.add("Newest", base_model="Nova 9")
    fake.add("Usual")
    assert names(await client.search(ModelQuery(base_model="nova 9"))) == ["Newest"]
    assert ["baseModels" in asked.query for asked in fake.asked] == [True, False]


# What goes wrong


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "words"),
    [
        (
            400,
            {"error": {"issues": [{"message": "Invalid option: x"}]}},
            {},
            ServiceError,
            r"\(400: Invalid option: x\)",
        ),
        (
            401,
            {"error": "Unauthorized"},
            {},
            AccessDenied,
            r"401: Unauthorized\)\. Set CIVITAI_API_KEY: a key is",
        ),
        (403, "error code: 1010", {}, AccessDenied, r"refuses this \(403\).*CIVITAI_URL names another host"),
        (404, "<html>nginx</html>", {}, ServiceUnavailable, r"no such route \(404\): is CIVITAI_URL right\?"),
        (200, LOGIN_PAGE, {}, ServiceUnavailable, "answered with a page instead of JSON"),
        (200, "", {}, ServiceUnavailable, "answered with nothing instead of JSON"),
        (200, "[" * 100_000, {}, ServiceUnavailable, "something else instead of JSON"),
        (307, "", {"Location": "/login?reason=x"}, AccessDenied, "wants a log-in for this. Set CIVITAI_API_KEY"),
        (
            301,
            "",
            {"Location": "https://civitai.red/x"},
            ServiceUnavailable,
            "sends us on to https://civitai.red. Set CIV",
        ),
    ],
)
async def test_each_bad_answer_is_told_with_its_next_step_and_not_repeated(
    fake: FakeCivitAI,
    client: CivitAIClient,
    status: int,
    body: object,
    headers: dict[str, str],
    kind: type[Exception],
    words: str,
) -> None:
    fake.answer(DOOR, status, body, headers, times=9)
    with pytest.raises(kind, match=words):
        await client.search(ModelQuery())
    assert len(fake.asked) == 1


@pytest.mark.parametrize(("status", "headers"), [(429, {"Retry-After": "0"}), (429, {}), (500, {}), (503, {}), (0, {})])
async def test_what_may_pass_is_asked_three_times(
    fake: FakeCivitAI, client: CivitAIClient, status: int, headers: dict[str, str]
) -> None:
    fake.add("Neon")
    fake.answer(DOOR, status, {"error": "busy"}, headers, times=2)
    assert names(await client.search(ModelQuery())) == ["Neon"]
    fake.answer(DOOR, status, {"error": "busy"}, headers, times=9)
    with pytest.raises((RateLimited, ServiceUnavailable)):
        await client.search(ModelQuery())
    assert len(fake.asked) == 6


async def test_a_rest_that_is_too_long_is_told_instead_of_taken(fake: FakeCivitAI, client: CivitAIClient) -> None:
    fake.answer(DOOR, 429, {"error": "slow down"}, {"Retry-After": "600"}, times=9)
    with pytest.raises(RateLimited, match="in 600 s") as caught:
        await client.search(ModelQuery())
    assert (caught.value.retry_after, len(fake.asked)) == (600, 1)


async def test_a_site_that_is_not_there_names_the_setting(fake: FakeCivitAI, client: CivitAIClient) -> None:
    await fake.stop()
    with pytest.raises(ServiceUnavailable, match=r"could not be reached.*CIVITAI_URL"):
        await client.search(ModelQuery())


def test_requests_to_a_host_have_their_turns() -> None:
    now = 100.0
    turns = Turns(lambda: now)
    assert [turns.take("a", 1.0), turns.take("b", 1.0), turns.take("a", 1.0), turns.take("a", 1.0)] == [0, 0, 1, 2]
    now = 110.5
    assert [turns.take("a", 1.0), turns.take("a", 0.0), turns.take("a", 1.0)] == [0, 0, 1]


@pytest.mark.parametrize("url", ["civitai.com", "ftp://civitai.com", "https://", "https://civitai.com/?token=secret"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="CIVITAI_URL is an address such as") as caught:
        CivitAIClient(url)
    assert "secret" not in str(caught.value)


# The key


async def test_the_key_is_in_a_header_and_nowhere_else(fake: FakeCivitAI) -> None:
    added = fake.add("Neon")
    async with client_of(fake, KEY) as client:
        await client.search(ModelQuery())
        offer = await client.offer(added.reference)
        here = await client.headers(offer)
        elsewhere = await client.headers(offer.but(url="https://cdn.example/x"))
        mimic = await client.headers(offer.but(url=offer.url.replace("://", "://127.0.0.1:1@")))
    assert all(asked.headers["Authorization"] == f"Bearer {KEY}" for asked in fake.asked)
    assert here == {"User-Agent": "atelier-mcp", "Authorization": f"Bearer {KEY}"}
    assert elsewhere == mimic == {"User-Agent": "atelier-mcp"}
    assert KEY not in offer.url + offer.side_car


async def test_a_wrong_key_is_named_by_its_setting_and_not_repeated(fake: FakeCivitAI) -> None:
    async with client_of(fake, "sk-wrong") as client:
        with pytest.raises(AccessDenied, match="It does not take the key in CIVITAI_API_KEY") as caught:
            await client.search(ModelQuery())
    assert caught.value.setting == "CIVITAI_API_KEY"
    assert "sk-wrong" not in str(caught.value)


async def test_a_key_that_may_not_see_it_is_told_apart_from_none(fake: FakeCivitAI) -> None:
    fake.answer("/api/v1/models/7", 403, {"error": "Forbidden"})
    async with client_of(fake, KEY) as client:
        with pytest.raises(AccessDenied, match=r"\(403: Forbidden\)\. The account of CIVITAI_API_KEY may not see it"):
            await client.model(7)


# By id and by hash


async def test_models_and_versions_are_had_by_their_numbers(fake: FakeCivitAI, client: CivitAIClient) -> None:
    added = fake.add("Neon")
    model, version = await client.model(added.model_id), await client.version(added.version_id)
    assert (model["name"], model["modelVersions"][0]["id"]) == ("Neon", added.version_id)
    assert (version["modelId"], version["model"]["name"]) == (added.model_id, "Neon")
    with pytest.raises(NotFound, match=r"no CivitAI model version '9'.*hidden from this host"):
        await client.version(9)


async def test_files_are_recognised_by_hash(fake: FakeCivitAI, client: CivitAIClient) -> None:
    first, second = fake.add("One"), fake.add("Two")
    found = await client.by_hash(first.sha256)
    assert found is not None
    assert found["id"] == first.version_id
    assert await client.by_hash("0" * 64) is None
    many = await client.by_hashes([second.sha256, "0" * 64, first.sha256[:10]])
    assert {key: version["id"] for key, version in many.items()} == {
        second.sha256: second.version_id,
        first.sha256[:10]: first.version_id,
    }
    with pytest.raises(BadRecipe, match="hash cannot be 'what'"):
        await client.by_hash("what")
