"""Likeness and duplicates: with an embedder that sees mean colours, and once with the real CLIP of the demo."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

import clients
from tests.fakes import png
from tests.workflows.gallery.kit import RECIPE, Filed
from utils.images import decode
from utils.likeness import fingerprint, vector
from utils.validation import ClipScorer
from workflows.errors import BadRecipe, ExtraMissing, NotFound, StorageError
from workflows.gallery import Gallery, likeness
from workflows.judges import ClipEmbedder
from workflows.judges.resting import Resting
from workflows.types import ItemQuery, LoraUse, Media, Progress

DEMO_CLIP = Path(clients.__file__).parent / "demo" / "clip"


class MeanColour:
    """An Embedder whose vectors are mean colours; records what it looked at."""

    name = "mean colour"

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def embed(self, pictures: Sequence[Media]) -> Sequence[bytes]:
        self.batches.append(len(pictures))
        return await asyncio.to_thread(lambda: [vector(self._mean(one.data)) for one in pictures])

    def _mean(self, picture: bytes) -> tuple[float, ...]:
        pixel: Any = decode(picture).resize((1, 1)).getpixel((0, 0))
        return tuple(float(level) + 1 for level in pixel)


COLOURS = {"red": (250, 0, 0), "rose": (250, 90, 90), "blue": (0, 0, 250), "navy": (0, 0, 90), "grey": (99, 99, 99)}


async def filed_colours(filed: Filed) -> tuple[Gallery, MeanColour]:
    for name, colour in COLOURS.items():
        await filed.add(name, Media(data=png(64, 64, colour), media_type="image/png"))
    embedder = MeanColour()
    return filed.another(embedder=embedder), embedder


async def test_the_most_alike_come_first_and_the_picture_itself_not_at_all(filed: Filed) -> None:
    gallery, embedder = await filed_colours(filed)
    page = await gallery.search(ItemQuery(similar_to="red.png"))

    assert [item.id for item in page.items] == ["rose", "grey", "navy", "blue"]
    assert page.total == 4 and page.cursor is None
    assert page.likeness == pytest.approx([0.891, 0.579, 0.015, 0.008], abs=0.01)
    await gallery.search(ItemQuery(similar_to="blue"))
    assert sum(embedder.batches) == 5  # each once


async def test_pages_follow_each_other_also_when_pictures_come_and_go(filed: Filed) -> None:
    gallery, _ = await filed_colours(filed)
    first = await gallery.search(ItemQuery(similar_to="red", limit=2))
    await filed.add("scarlet", Media(data=png(64, 64, (240, 5, 5)), media_type="image/png"))
    await gallery.delete("grey")
    second = await gallery.search(ItemQuery(similar_to="red", limit=1, cursor=first.cursor))
    third = await gallery.search(ItemQuery(similar_to="red", limit=1, cursor=second.cursor))

    assert [[item.id for item in page.items] for page in (first, second, third)] == [
        ["rose", "grey"],
        ["navy"],
        ["blue"],
    ]
    assert third.cursor is None


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJibHVlIiwgImEiLCAwLjVd"])
async def test_a_cursor_of_another_list_is_refused(filed: Filed, cursor: str) -> None:
    gallery, _ = await filed_colours(filed)

    with pytest.raises(BadRecipe, match="cursor"):
        await gallery.search(ItemQuery(similar_to="red", cursor=cursor))


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "wanted",
    [
        {"model": "Other-Model"},
        {"engine": "comfyui"},
        {"tag": "Keep"},
        {"lora": "ink"},
        {"min_score": 0.5},
        {"until": LONG_AGO + timedelta(days=1)},
        {"since": LONG_AGO, "until": LONG_AGO + timedelta(days=1)},
        {"favourite": True},
        {"prefix": "bl"},
        {"query": "Café gree"},
        {"query": "green", "kind": "image"},
    ],
)
async def test_other_filters_apply_as_in_a_plain_search(filed: Filed, wanted: dict[str, Any]) -> None:
    special: dict[str, Any] = {
        "model": "other-model",
        "engine": "ComfyUI",
        "tags": ("keep",),
        "rendered": RECIPE.but(loras=(LoraUse(name="styles/Ink.safetensors"),)),
        "score": 0.6,
        "created": LONG_AGO,
        "favourite": True,
        "prompt": "a café, greenish, green",
    }
    for name, changes in {"red": {}, "grey": {"score": 0.4}, "blue": special}.items():
        await filed.add(name, Media(data=png(64, 64, COLOURS[name]), media_type="image/png"), **changes)
    gallery = filed.another(embedder=MeanColour())
    page = await gallery.search(ItemQuery(similar_to="red", **wanted))

    assert ([item.id for item in page.items], page.total) == (["blue"], 1)
    assert [item.id for item in (await gallery.search(ItemQuery(**wanted))).items] == ["blue"]


async def test_several_callers_at_once_embed_each_picture_once(filed: Filed) -> None:
    gallery, embedder = await filed_colours(filed)
    await asyncio.gather(*(gallery.embed_missing(100) for _ in range(5)))

    assert sum(embedder.batches) == 5
    assert await gallery.embed_missing(100) == 0


async def test_embedding_is_bounded_newest_first_and_tells_how_far_it_is(
    filed: Filed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likeness, "AT_ONCE", 2)
    gallery, embedder = await filed_colours(filed)
    heard: list[Progress] = []

    assert await gallery.embed_missing(3, heard.append) == 3
    assert embedder.batches == [2, 1]
    assert [round(one.fraction, 2) for one in heard] == [0.67, 1.0]
    left = await filed.ledger.likenesses.missing(embedder.name, 10)
    assert [item.id for item in left] == ["rose", "red"]


async def test_files_that_are_gone_damaged_or_no_pictures_are_left_out_and_asked_for_once(filed: Filed) -> None:
    gallery, embedder = await filed_colours(filed)
    await filed.store.delete((await filed.add("gone")).key)
    await filed.add("damaged", Media(data=png()[:50], media_type="image/png"))
    await filed.add("film", Media(data=b"mp4", media_type="video/mp4"), kind="video")
    await gallery.embed_missing(100)
    looked = sum(embedder.batches)

    assert await gallery.embed_missing(100) == 0
    assert sum(embedder.batches) == looked
    assert len((await gallery.search(ItemQuery(similar_to="red"))).items) == 4
    with pytest.raises(StorageError, match="gone"):
        await gallery.search(ItemQuery(similar_to="gone"))
    with pytest.raises(StorageError, match="cannot be looked at"):
        await gallery.search(ItemQuery(similar_to="damaged"))
    with pytest.raises(BadRecipe, match="a video"):
        await gallery.search(ItemQuery(similar_to="film"))


async def test_pictures_from_before_fingerprints_get_one_when_they_are_looked_at(filed: Filed) -> None:
    gallery, _ = await filed_colours(filed)
    await gallery.embed_missing(100)

    assert (await gallery.find("red")).fingerprint == await asyncio.to_thread(fingerprint, png(64, 64, (250, 0, 0)))


async def test_what_cannot_be_asked_is_told(filed: Filed) -> None:
    gallery, _ = await filed_colours(filed)

    with pytest.raises(ExtraMissing, match=r"atelier-mcp\[judges\]"):
        await filed.gallery.search(ItemQuery(similar_to="red"))
    with pytest.raises(NotFound, match="Did you mean rose"):
        await gallery.search(ItemQuery(similar_to="roses"))
    with pytest.raises(BadRecipe, match="not known of the trash"):
        await gallery.search(ItemQuery(similar_to="red", deleted=True))


async def test_what_is_in_the_trash_is_not_alike_but_can_be_compared_with(filed: Filed) -> None:
    gallery, _ = await filed_colours(filed)
    await gallery.delete("red")
    await gallery.delete("rose")
    page = await gallery.search(ItemQuery(similar_to="red"))

    assert [item.id for item in page.items] == ["grey", "navy", "blue"]
    assert page.total == 3


def drawn(shape: str, colour: str, place: int) -> Media:
    picture = Image.new("RGB", (96, 96), "white")
    box = (18 + place, 20, 72 + place, 74)
    draw = ImageDraw.Draw(picture)
    draw.ellipse(box, fill=colour) if shape == "circle" else draw.rectangle(box, fill=colour)
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return Media(data=buffer.getvalue(), media_type="image/png")


@pytest.mark.models
async def test_red_circles_are_nearer_to_red_circles_than_to_blue_squares(filed: Filed) -> None:
    for place in range(3):
        await filed.add(f"circle-{place}", await asyncio.to_thread(drawn, "circle", "red", 3 * place))
        await filed.add(f"square-{place}", await asyncio.to_thread(drawn, "square", "blue", 3 * place))
    scorer = ClipScorer(DEMO_CLIP)
    resting = Resting[ClipScorer]()
    gallery = filed.another(embedder=ClipEmbedder(scorer, resting))
    page = await gallery.search(ItemQuery(similar_to="circle-0"))

    names = [item.id.partition("-")[0] for item in page.items]
    assert names == ["circle", "circle", "square", "square", "square"]
    assert page.likeness[1] > page.likeness[2] + 0.1
    assert scorer.loaded


async def test_duplicates_are_grouped_and_the_one_worth_keeping_comes_first(filed: Filed) -> None:
    prints = {"one": "3c" * 8, "two": "3c" * 7 + "3f", "other": "c3" * 8, "none": None, "deleted": "3c" * 8}
    worth: dict[str, dict[str, Any]] = {"two": {"score": 0.9}, "one": {"score": 0.2}}
    for name, made in prints.items():
        await filed.add(name, fingerprint=made, **worth.get(name, {}))
    await filed.gallery.delete("deleted")

    async def groups(**given: int) -> list[list[str]]:
        return [[item.id for item in group] for group in await filed.gallery.duplicates(**given)]

    assert await groups() == [["two", "one"]]
    assert await groups(distance=1) == []
    await filed.gallery.tag("one", favourite=True)
    assert await groups() == [["one", "two"]]
    with pytest.raises(BadRecipe, match="distance"):
        await filed.gallery.duplicates(distance=40)


async def test_a_video_is_no_duplicate_of_a_picture_and_has_its_own(filed: Filed) -> None:
    for name, kind in {"a": "image", "b": "video", "c": "image", "d": "video", "e": "file"}.items():
        await filed.add(name, kind=kind, fingerprint="3c" * 8)
    groups = await filed.gallery.duplicates()
    assert sorted(sorted(item.id for item in group) for group in groups) == [["a", "c"], ["b", "d"]]


async def test_a_sound_is_looked_at_by_nobody(filed: Filed) -> None:
    gallery = filed.another(embedder=MeanColour())
    await filed.add("song", Media(data=b"RIFF", media_type="audio/wav"), kind="audio", facts={"poster": "x"})
    with pytest.raises(BadRecipe, match=r"it is a sound \(audio/wav\), which has no picture to show"):
        await gallery.search(ItemQuery(similar_to="song"))
    assert await gallery.embed_missing(5) == 0
