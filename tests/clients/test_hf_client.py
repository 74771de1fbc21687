"""HuggingFaceClient through the real huggingface_hub, against a hub on loopback."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.downloader import Downloader
from clients.hf_client import HuggingFaceClient, Reference, read_reference
from tests.local_hub import COMMIT, LocalHub
from utils.sidecars import read_sidecars
from workflows.downloads.fetching import Arrived
from workflows.errors import AccessDenied, BadRecipe, NotFound, RateLimited, ServiceUnavailable, StudioError
from workflows.types import FoundModel, ModelFacts, ModelQuery, Offer

KEY = "hf_secret"
NOTHING: dict[str, str] = {}
WEIGHTS = bytes(range(256)) * 4000
SHA = hashlib.sha256(WEIGHTS).hexdigest()
SDXL = "base_model:stabilityai/stable-diffusion-xl-base-1.0"
PIPELINE: dict[str, bytes] = {
    "model_index.json": b'{"_class_name": "StableDiffusionXLPipeline"}',
    "README.md": b"A card.",
    "sd_xl_base.safetensors": WEIGHTS,
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.safetensors": WEIGHTS,
    "unet/diffusion_pytorch_model.fp16.safetensors": WEIGHTS[:5000],
    "unet/diffusion_pytorch_model.bin": WEIGHTS,
    "text_encoder/config.json": b'{"a": 1}',
    "text_encoder/model-00001-of-00002.safetensors": WEIGHTS[:400],
    "text_encoder/model-00002-of-00002.safetensors": WEIGHTS[:300],
    "text_encoder/model.safetensors.index.json": b'{"b": 2}',
    "tokenizer/merges.txt": b"a b",
    "vae_decoder/openvino_model.bin": WEIGHTS,
    "vae_decoder/model.onnx": WEIGHTS,
}
HALVES = [
    "model_index.json",
    "text_encoder/config.json",
    "text_encoder/model-00001-of-00002.safetensors",
    "text_encoder/model-00002-of-00002.safetensors",
    "text_encoder/model.safetensors.index.json",
    "tokenizer/merges.txt",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
]
REPOSITORIES: dict[str, dict[str, bytes]] = {
    "maker/great-sdxl": PIPELINE,
    "maker/neon-lora": {"pytorch_lora_weights.safetensors": WEIGHTS, "README.md": b"A card."},
    "maker/two-files": {"a_v1.safetensors": WEIGHTS, "b_v1.safetensors": WEIGHTS[:9], "vae/x.safetensors": WEIGHTS},
    "maker/deep": {"split/vae/ae.safetensors": WEIGHTS},
    "maker/quant": {"flux1-dev-Q4_K_S.gguf": b"GGUF" + WEIGHTS},
    "maker/pickles": {"model.ckpt": WEIGHTS},
    "maker/old-pipeline": {"model_index.json": b"{}", "unet/diffusion_pytorch_model.bin": WEIGHTS},
    "maker/closed": {"closed.safetensors": WEIGHTS},
    "maker/adult": {"adult.safetensors": WEIGHTS},
}
IMAGES: dict[str, Any] = {"pipeline_tag": "text-to-image", "library_name": "diffusers"}
ABOUT: dict[str, dict[str, Any]] = {
    "maker/great-sdxl": IMAGES
    | {"tags": ["diffusers", "license:openrail++", "diffusers:StableDiffusionXLPipeline"], "downloads": 50, "likes": 1},
    "maker/neon-lora": IMAGES
    | {
        "tags": ["diffusers", "lora", SDXL, "base_model:adapter:stabilityai/stable-diffusion-xl-base-1.0", "neon"],
        "cardData": {
            "instance_prompt": "neon style",
            "license": "other",
            "license_name": "neon-licence",
            "widget": [{"text": "x", "output": {"url": "images/one.png"}}],
        },
        "downloads": 90,
        "likes": 7,
        "createdAt": "2026-01-01T00:00:00.000Z",
    },
    "maker/quant": {"tags": ["gguf", "base_model:quantized:black-forest-labs/FLUX.1-dev"], "downloads": 3},
    "maker/closed": {"tags": ["license:other"], "gated": "manual"},
    "maker/adult": IMAGES | {"tags": ["lora", "not-for-all-audiences", SDXL], "downloads": 999, "likes": 999},
}


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite switches the library off; here it has a hub."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN_PATH", "/nonexistent")
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with LocalHub(REPOSITORIES, about=ABOUT, key=KEY, storage=True) as hub:
        yield hub


def client(hub: LocalHub, tmp_path: Path, **other: Any) -> HuggingFaceClient:
    return HuggingFaceClient(endpoint=hub.url, cache_dir=tmp_path / "hub", **other)


def ignored(_: Arrived) -> None:
    pass


# ---------------------------------------------------------------------- search


async def test_a_lora_is_found_with_all_that_its_card_tells(hub: LocalHub, tmp_path: Path) -> None:
    found = await client(hub, tmp_path).search(ModelQuery(query="neon", model_type="lora", base_model="SDXL"))
    assert found == [
        FoundModel(
            reference="hf:maker/neon-lora",
            source="huggingface",
            name="neon-lora",
            kind="lora",
            family="sdxl",
            size=len(WEIGHTS),
            creator="maker",
            facts=ModelFacts(
                title="neon-lora",
                base_model="stabilityai/stable-diffusion-xl-base-1.0",
                kind="lora",
                triggers=("neon style",),
                tags=("lora", "neon"),
                downloads=90,
                licence="neon-licence",
                preview_url=f"{hub.url}/maker/neon-lora/resolve/main/images/one.png",
                source="huggingface",
                reference="hf:maker/neon-lora",
                page_url=f"{hub.url}/maker/neon-lora",
            ),
        )
    ]
    asked = hub.heard[0].query.split("&")
    assert {"search=neon", "pipeline_tag=text-to-image", "sort=downloads", "filter=lora"} <= set(asked)
    assert f"filter={SDXL}" in asked


async def test_a_search_takes_one_request_and_one_for_each_result(hub: LocalHub, tmp_path: Path) -> None:
    found = await client(hub, tmp_path).search(ModelQuery())
    assert [(one.name, one.kind, one.family, one.facts.licence) for one in found] == [
        ("neon-lora", "lora", "sdxl", "neon-licence"),
        ("great-sdxl", "checkpoint", "sdxl", "openrail++"),
    ]
    assert len(hub.heard) == 3
    assert found[1].size == sum(len(content) for name, content in PIPELINE.items() if name in HALVES)


@pytest.mark.parametrize(
    ("sort", "asked", "first"),
    [
        ("Most Downloaded", "downloads", "neon-lora"),
        ("newest", "createdAt", "neon-lora"),
        ("Highest Rated", "likes", "neon-lora"),
        ("Trending", "trendingScore", "great-sdxl"),
    ],
)
async def test_orders_are_those_of_the_hub(hub: LocalHub, tmp_path: Path, sort: str, asked: str, first: str) -> None:
    found = await client(hub, tmp_path).search(ModelQuery(sort=sort, limit=1))
    assert [one.name for one in found] == [first]
    assert f"sort={asked}" in hub.heard[0].query


async def test_an_order_or_kind_that_is_not_known_is_said(hub: LocalHub, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="sort cannot be 'Best'"):
        await client(hub, tmp_path).search(ModelQuery(sort="Best"))
    with pytest.raises(BadRecipe, match="model_type cannot be 'odd'"):
        await client(hub, tmp_path).search(ModelQuery(model_type="odd"))
    assert hub.heard == []


async def test_adult_models_are_shown_only_when_asked_for(hub: LocalHub, tmp_path: Path) -> None:
    plain = await client(hub, tmp_path).search(ModelQuery(model_type="lora"))
    asked = await client(hub, tmp_path).search(ModelQuery(model_type="lora", nsfw=True))
    assert [one.name for one in plain] == ["neon-lora"]
    assert [(one.name, one.facts.nsfw) for one in asked] == [("adult", True), ("neon-lora", False)]


async def test_a_family_keeps_its_own_and_a_gate_is_said_in_words(hub: LocalHub, tmp_path: Path) -> None:
    flux = await client(hub, tmp_path).search(ModelQuery(model_type="diffusion_model", base_model="Flux.1 D"))
    assert [(one.name, one.family) for one in flux] == [("quant", "flux-dev")]
    info = (await client(hub, tmp_path, token=KEY).offer("hf:maker/closed")).facts
    assert info.licence == "other (gated: accept the terms on its page and set HF_TOKEN)"


# ---------------------------------------------------------------------- offers


async def test_the_only_file_is_offered_with_its_hash_under_a_name_of_its_own(hub: LocalHub, tmp_path: Path) -> None:
    offer = await client(hub, tmp_path).offer("hf:maker/neon-lora")
    facts = offer.facts
    assert offer == Offer(
        reference="hf:maker/neon-lora/pytorch_lora_weights.safetensors",
        source="huggingface",
        name="neon-lora.safetensors",
        url=f"{hub.url}/maker/neon-lora/resolve/{COMMIT}/pytorch_lora_weights.safetensors",
        size=len(WEIGHTS),
        sha256=SHA,
        kind="lora",
        family="sdxl",
        title="maker/neon-lora",
        facts=facts,
        side_car=offer.side_car,
    )
    assert (facts.triggers, facts.sha256, facts.reference) == (("neon style",), SHA, offer.reference)
    assert len(hub.heard) == 1


async def test_what_the_hub_says_of_a_file_can_be_read_beside_it(hub: LocalHub, tmp_path: Path) -> None:
    offer = await client(hub, tmp_path).offer("hf:maker/neon-lora")
    model = tmp_path / offer.name
    model.write_bytes(WEIGHTS)
    model.with_suffix(".civitai.info").write_text(offer.side_car, encoding="utf-8")
    told = await asyncio.to_thread(read_sidecars, model)
    assert {key: told[key] for key in ("title", "triggers", "base_model", "sha256")} == {
        "title": "neon-lora",
        "triggers": ("neon style",),
        "base_model": "stable-diffusion-xl-base-1.0",
        "sha256": SHA,
    }
    assert "source" not in told


@pytest.mark.parametrize(
    ("reference", "path", "name"),
    [
        ("hf:maker/two-files/b_v1.safetensors", "b_v1.safetensors", "b_v1.safetensors"),
        ("maker/two-files/vae/x.safetensors", "vae/x.safetensors", "x.safetensors"),
        ("hf:maker/deep", "split/vae/ae.safetensors", "ae.safetensors"),
        ("hf:maker/quant", "flux1-dev-Q4_K_S.gguf", "flux1-dev-Q4_K_S.gguf"),
        ("{hub}/maker/two-files/blob/main/a_v1.safetensors", "a_v1.safetensors", "a_v1.safetensors"),
        ("{hub}/maker/two-files/resolve/main/a_v1.safetensors?download=true", "a_v1.safetensors", "a_v1.safetensors"),
        (
            "hf:maker/great-sdxl/unet/diffusion_pytorch_model.fp16.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "great-sdxl-unet.safetensors",
        ),
    ],
)
async def test_a_file_is_named_in_many_ways(
    hub: LocalHub, tmp_path: Path, reference: str, path: str, name: str
) -> None:
    offer = await client(hub, tmp_path).offer(reference.format(hub=hub.url))
    assert (offer.url.rpartition(f"/resolve/{COMMIT}/")[2], offer.name) == (path, name)


async def test_a_version_is_a_revision(hub: LocalHub, tmp_path: Path) -> None:
    offer = await client(hub, tmp_path).offer("hf:maker/neon-lora", COMMIT)
    assert offer.reference == f"hf:maker/neon-lora/pytorch_lora_weights.safetensors@{COMMIT}"
    assert hub.heard[0].path == f"/api/models/maker/neon-lora/revision/{COMMIT}"
    assert (await client(hub, tmp_path).offer(offer.reference)).reference == offer.reference
    with pytest.raises(NotFound):
        await client(hub, tmp_path).offer("hf:maker/neon-lora@nightly")


async def test_several_files_are_listed_for_a_choice(hub: LocalHub, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"name one: hf:maker/two-files/a_v1.safetensors \(1.0 MB\), hf:.*b_v1"):
        await client(hub, tmp_path).offer("hf:maker/two-files")


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        ("hf:maker/nothing", NotFound, "no repository at Hugging Face 'maker/nothing'"),
        ("hf:maker/deep/other.safetensors", NotFound, "no file in maker/deep 'other.safetensors'"),
        ("hf:maker/pickles", BadRecipe, "no .safetensors or .gguf"),
        ("hf:maker/old-pipeline", BadRecipe, "its unet can run code"),
        ("hf:maker/closed", AccessDenied, "is gated: accept its terms on http.*maker/closed, and set HF_TOKEN"),
    ],
)
async def test_what_cannot_be_had_is_said_with_the_next_step(
    hub: LocalHub, tmp_path: Path, reference: str, error: type[StudioError], words: str
) -> None:
    with pytest.raises(error, match=words):
        await client(hub, tmp_path).offer(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "hf:",
        "hf:name",
        "hf:a/b/../../etc/passwd",
        "hf:a/b/./c",
        "hf:a b/c",
        "https://evil.example/a/b",
        "civitai:1",
    ],
)
async def test_what_is_no_place_at_the_hub_is_refused(hub: LocalHub, tmp_path: Path, reference: str) -> None:
    with pytest.raises(BadRecipe, match="reference cannot be"):
        await client(hub, tmp_path).offer(reference)
    assert hub.heard == []


def test_references_are_read_as_they_are_written() -> None:
    assert read_reference("hf:a/b") == Reference("a/b")
    assert read_reference("HF:a/b/c/d.safetensors@v1.0") == Reference("a/b", "c/d.safetensors", "v1.0")
    assert read_reference("https://huggingface.co/a/b/") == Reference("a/b")
    assert read_reference("https://huggingface.co/a/b/tree/main") == Reference("a/b")
    assert read_reference("https://huggingface.co/a/b/blob/v2/x%20y.safetensors") == Reference(
        "a/b", "x y.safetensors", "v2"
    )


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((429, {"Retry-After": "9"}), RateLimited, "in 9 s"),
        ((503, NOTHING), ServiceUnavailable, "answered 503"),
        ((401, NOTHING), AccessDenied, "HF_TOKEN"),
    ],
)
async def test_errors_of_the_hub_are_told_apart(
    hub: LocalHub, tmp_path: Path, answer: tuple[int, dict[str, str]], error: type[StudioError], words: str
) -> None:
    hub.instead.extend([answer] * 2)
    with pytest.raises(error, match=words):
        await client(hub, tmp_path).offer("hf:maker/deep")


async def test_a_hub_that_is_not_there_or_switched_off_is_said(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    gone = HuggingFaceClient(endpoint="http://127.0.0.1:9", cache_dir=tmp_path)
    with pytest.raises(ServiceUnavailable, match="Hugging Face could not be reached"):
        await gone.search(ModelQuery(query="x"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ServiceUnavailable, match="HF_HUB_OFFLINE"):
        await client(hub, tmp_path).offer("hf:maker/deep")


# ---------------------------------------------------------------------- fetching


async def test_a_gated_file_comes_through_the_downloader_and_the_key_stays_at_the_hub(
    hub: LocalHub, tmp_path: Path
) -> None:
    source = client(hub, tmp_path, token=KEY)
    offer = await source.offer("hf:maker/closed")
    path = tmp_path / "closed.safetensors"
    hub.cuts.append(300_000)

    async def at_once(_: float) -> None:
        pass

    downloader = Downloader(pause=at_once)
    assert await downloader.fetch(offer, await source.headers(offer), path, ignored) == SHA
    assert path.read_bytes() == WEIGHTS
    assert [(one.host, one.range, one.authorization) for one in hub.heard[1:]] == [
        ("127.0.0.1", None, f"Bearer {KEY}"),
        ("localhost", None, None),
        ("127.0.0.1", "bytes=300000-", f"Bearer {KEY}"),
        ("localhost", "bytes=300000-", None),
    ]
    with pytest.raises(AccessDenied, match=r"Access to this model is restricted.*set HF_TOKEN"):
        await downloader.fetch(offer, {}, tmp_path / "again.safetensors", ignored)


async def test_a_pipeline_comes_whole_into_the_cache_of_the_library(hub: LocalHub, tmp_path: Path) -> None:
    source, heard = client(hub, tmp_path), list[Arrived]()
    offer = await source.offer("hf:maker/great-sdxl")
    assert (offer.kind, offer.name, offer.family) == ("pipeline", "great-sdxl", "sdxl")
    folder = await source.snapshot(offer, heard.append)
    there = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert there == HALVES
    assert offer.size == sum((folder / name).stat().st_size for name in there)
    assert (tmp_path / "hub/models--maker--great-sdxl/refs/main").read_text() == COMMIT
    await asyncio.sleep(0)
    assert heard[-1].received == offer.size == heard[-1].size


async def test_full_precision_is_fetched_where_it_is_asked_for(hub: LocalHub, tmp_path: Path) -> None:
    source = client(hub, tmp_path, half=False)
    folder = await source.snapshot(await source.offer("hf:maker/great-sdxl"), ignored)
    assert (folder / "unet/diffusion_pytorch_model.safetensors").read_bytes() == WEIGHTS
    assert not (folder / "unet/diffusion_pytorch_model.fp16.safetensors").exists()


async def test_a_pipeline_can_be_stopped_and_goes_on_with_what_is_missing(hub: LocalHub, tmp_path: Path) -> None:
    await client(hub, tmp_path).snapshot(await client(hub, tmp_path).offer("hf:maker/great-sdxl"), ignored)
    source = client(hub, tmp_path, half=False)
    offer = await source.offer("hf:maker/great-sdxl")
    hub.hold.set()
    doing = asyncio.create_task(source.snapshot(offer, ignored))
    assert await asyncio.to_thread(hub.reached.wait, 20)
    doing.cancel()
    await asyncio.sleep(0)
    hub.hold.clear()
    with pytest.raises(asyncio.CancelledError):
        await doing
    blobs = tmp_path / "hub/models--maker--great-sdxl/blobs"
    assert not any(file.stat().st_size == len(WEIGHTS) for file in blobs.iterdir())
    asked = len(hub.heard)
    folder = await source.snapshot(offer, ignored)
    assert (folder / "unet/diffusion_pytorch_model.safetensors").read_bytes() == WEIGHTS
    assert [one.path.rpartition("/unet/")[2] for one in hub.heard[asked:] if one.host == "localhost"] == [
        "diffusion_pytorch_model.safetensors"
    ]


async def test_a_pipeline_without_room_is_refused_before_it_begins(hub: LocalHub, tmp_path: Path) -> None:
    source = client(hub, tmp_path)
    offer = await source.offer("hf:maker/great-sdxl")
    asked = len(hub.heard)
    with pytest.raises(StudioError, match="make room"):
        await source.snapshot(offer.but(size=1 << 60), ignored)
    assert all(one.path.startswith("/api/") for one in hub.heard[asked:])
