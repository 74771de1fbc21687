"""What CivitAI offers for download, by every way to name it, against a stand-in on a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clients._civitai.references import Named, parse
from clients.civitai_client import CivitAIClient
from tests.fake_civitai import KEY, FakeCivitAI
from workflows.errors import AccessDenied, BadRecipe, NotFound
from workflows.types import ModelFacts


@pytest.fixture
async def fake() -> AsyncIterator[FakeCivitAI]:
    async with FakeCivitAI() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeCivitAI) -> AsyncIterator[CivitAIClient]:
    async with client_of(fake) as client:
        yield client


def client_of(fake: FakeCivitAI, key: str | None = None) -> CivitAIClient:
    return CivitAIClient(fake.url, key, min_interval=0, backoff=0)


async def test_an_offer_has_what_a_download_needs(fake: FakeCivitAI, client: CivitAIClient) -> None:
    added = fake.add("Neon", base_model="Illustrious", tags=["neon"])
    offer = await client.offer("civitai:101@5001")
    assert offer.but(facts=ModelFacts(), side_car="").model_dump(exclude={"facts", "side_car"}) == {
        "reference": "civitai:101@5001",
        "source": "civitai",
        "name": "neon.safetensors",
        "url": f"{fake.url}/api/download/models/5001",
        "size": len(added.data),
        "sha256": added.sha256,
        "kind": "lora",
        "family": "illustrious",
        "title": "Neon - v1.0",
    }
    assert (offer.facts.tags, offer.facts.reference) == (("neon",), offer.reference)
    beside = json.loads(offer.side_car)
    assert (beside["id"], beside["modelId"], beside["model"]["tags"]) == (5001, 101, ["neon"])
    assert "modelVersions" not in beside["model"]


@pytest.mark.parametrize(
    "reference", ["101", "civitai:101", "101@5001", "https://civitai.com/models/101/neon", "@5001", "civitai:101@v1.0"]
)
async def test_whatever_names_the_model_offers_the_same(
    fake: FakeCivitAI, client: CivitAIClient, reference: str
) -> None:
    fake.add("Neon")
    head, _, name = reference.partition("@v")
    offer = await client.offer(head, f"v{name}" if name else None)
    assert offer.reference == "civitai:101@5001"


async def test_a_version_can_be_named_beside_the_model(fake: FakeCivitAI, client: CivitAIClient) -> None:
    first, second = fake.add("One"), fake.add("Two")
    assert (await client.offer("101", str(first.version_id))).title == "One - v1.0"
    with pytest.raises(BadRecipe, match=r"version cannot be 5002: it is a version of civitai:102, not of 101"):
        await client.offer("101", str(second.version_id))
    with pytest.raises(NotFound, match=r"no version of civitai:101 'v9'.*It has v1\.0"):
        await client.offer("101", "v9")


async def test_safetensors_are_taken_before_a_pickle_that_is_primary(fake: FakeCivitAI, client: CivitAIClient) -> None:
    safe = fake.add("Both", type="Checkpoint")
    row: dict[str, Any] = safe.version["files"][0]
    training = row | {"name": "pictures.zip", "type": "Training Data", "primary": False}
    pickle = row | {"name": "both.ckpt", "metadata": {"format": "PickleTensor"}}
    pruned = row | {"primary": False, "type": "Pruned Model", "downloadUrl": None}
    safe.version["files"] = [training, pickle, pruned]
    offer = await client.offer("101")
    assert offer.name == "both.safetensors"
    assert offer.url == (f"{fake.url}/api/download/models/5001?type=Pruned+Model&format=SafeTensor&size=pruned&fp=fp16")
    safe.version["files"] = [training, pickle]
    assert (await client.offer("101")).name == "both.ckpt"


@pytest.mark.parametrize(
    ("model", "version", "kind", "words"),
    [
        (
            {},
            {"files": [], "downloadUrl": None},
            NotFound,
            "no file to download for 'civitai:101'.*may have been archived",
        ),
        ({"mode": "Archived"}, {}, NotFound, "Its creator archived it"),
        ({"mode": "TakenDown"}, {"files": []}, NotFound, "CivitAI took it down"),
        ({}, {"usageControl": "Generation"}, NotFound, "used on CivitAI only"),
        ({}, {"earlyAccessEndsAt": "2999-01-02T00:00:00.000Z"}, AccessDenied, "early access until 2999-01-02.*bought"),
        ({}, {"availability": "EarlyAccess"}, AccessDenied, "early access until some day"),
    ],
)
async def test_what_cannot_be_had_is_refused_with_the_reason(
    fake: FakeCivitAI,
    client: CivitAIClient,
    model: dict[str, Any],
    version: dict[str, Any],
    kind: type[Exception],
    words: str,
) -> None:
    fake.add("Neon", version=version, **model)
    with pytest.raises(kind, match=words):
        await client.offer("101")


async def test_the_newest_version_that_everybody_may_have_is_the_one(fake: FakeCivitAI, client: CivitAIClient) -> None:
    good = fake.add("Neon")
    early = good.version | {"id": 6000, "name": "v3", "availability": "EarlyAccess"}
    gone: dict[str, Any] = good.version | {"id": 6001, "name": "v2", "files": []}
    fake.answer("/api/v1/models/101", 200, good.model | {"modelVersions": [early, gone, good.version]})
    assert (await client.offer("101")).title == "Neon - v1.0"


async def test_early_access_that_is_over_or_bought_is_offered(fake: FakeCivitAI, client: CivitAIClient) -> None:
    fake.add("Old", version={"earlyAccessEndsAt": "2025-01-01T00:00:00.000Z"})
    fake.add("Bought", version={"earlyAccessEndsAt": "2999-01-01T00:00:00Z"})
    assert (await client.offer("101")).title == "Old - v1.0"
    async with client_of(fake, KEY) as buyer:
        assert (await buyer.offer("102")).title == "Bought - v1.0"


async def test_a_file_that_a_scan_found_dangerous_is_not_offered(fake: FakeCivitAI, client: CivitAIClient) -> None:
    fake.add("Bad", file_fields={"virusScanResult": "Danger"})
    with pytest.raises(BadRecipe, match="found its file dangerous"):
        await client.offer("101")


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("../../etc/cron.safetensors", "cron.safetensors"),
        ("C:\\models\\a.safetensors", "a.safetensors"),
        ("a\n<b>.safetensors", "a _b_.safetensors"),
        (".hidden.safetensors", "hidden.safetensors"),
        (f"{'x' * 300}.safetensors", f"{'x' * 138}.safetensors"),
    ],
)
async def test_a_file_name_is_a_name_alone(fake: FakeCivitAI, client: CivitAIClient, told: str, name: str) -> None:
    fake.add("Neon", file=told)
    assert (await client.offer("101")).name == name


async def test_a_file_is_asked_of_this_host_whatever_the_answer_names(fake: FakeCivitAI, client: CivitAIClient) -> None:
    fake.add("Neon", file_fields={"downloadUrl": "https://civitai.com/api/download/models/5001?type=Model&format=x"})
    fake.add("Evil", file_fields={"downloadUrl": "https://evil.example/steal"})
    fake.add("Told", file_fields={"downloadUrl": "https://civitai.com/api/download/models/5003?token=secret"})
    assert (await client.offer("101")).url == f"{fake.url}/api/download/models/5001?type=Model&format=x"
    assert (await client.offer("102")).url == f"{fake.url}/api/download/models/5002"
    assert (await client.offer("103")).url == f"{fake.url}/api/download/models/5003"


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ("123", Named(123, None)),
        (" civitai:123@456 ", Named(123, 456)),
        ("urn:air:sdxl:lora:civitai:123@456", Named(123, 456)),
        ("air:flux1:checkpoint:civitai:123@456.safetensors", Named(123, 456)),
        ("https://civitai.com/models/123?modelVersionId=456", Named(123, 456)),
        ("https://www.civitai.red/models/123/a-name?modelVersionId=456&x=1", Named(123, 456)),
        ("https://civitai.com/api/download/models/456?token=abc", Named(None, 456)),
        ("https://civitai.com/api/v1/model-versions/456", Named(None, 456)),
        ("http://here:1/models/7", Named(7, None)),
    ],
)
def test_every_usual_way_to_name_a_model_is_read(reference: str, named: Named) -> None:
    assert parse(reference, "here:1") == named


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "@",
        "civitai:",
        "neon style",
        "hf:owner/name",
        "https://evil.example/models/123",
        "http://civitai.com/models/123",
        "https://civitai.com.evil.example/models/1",
        "https://civitai.com/posts/1?token=secret",
        "urn:air:sdxl:lora:huggingface:1@2",
    ],
)
def test_what_names_no_model_is_refused_with_what_would(reference: str) -> None:
    with pytest.raises(BadRecipe, match="it is civitai:MODEL or civitai:MODEL@VERSION") as caught:
        parse(reference)
    assert "secret" not in str(caught.value)
