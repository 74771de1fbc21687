"""Tags and favourites: one spelling, a bound, and nothing lost between two who tag at once."""

from __future__ import annotations

import asyncio
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workflows.gallery.kit import Filed
from workflows.errors import BadRecipe, NotFound
from workflows.gallery.tags import MAX_TAG, retagged, tag_of
from workflows.types import ItemQuery


async def test_tags_are_added_and_taken_away_and_found(filed: Filed) -> None:
    item = await filed.add("a")
    await filed.add("b")

    tagged = await filed.gallery.tag("a.png", add=["  Holiday ", "HOLIDAY", "sea  side", "ﬁne"])
    assert tagged == item.but(tags=("fine", "holiday", "sea side"))
    assert [one.id for one in (await filed.gallery.search(ItemQuery(tag="holiday"))).items] == ["a"]
    assert (await filed.gallery.tag("a", remove=["Holiday", "never there"])).tags == ("fine", "sea side")
    assert dict((await filed.gallery.facets()).tags) == {"fine": 1, "sea side": 1}


async def test_a_favourite_is_set_and_unset_and_otherwise_stays(filed: Filed) -> None:
    await filed.add("a")

    assert [
        (await filed.gallery.tag("a", favourite=True)).favourite,
        (await filed.gallery.tag("a", add=["x"])).favourite,
        (await filed.gallery.tag("a", favourite=False)).favourite,
    ] == [True, True, False]


@pytest.mark.parametrize(
    ("add", "remove", "told"),
    [
        ([""], [], "it is empty"),
        ([" \u3000 "], [], "it is empty"),
        (["a\nb"], [], "in one line"),
        (["a\x1b[31m"], [], "control characters"),
        (["x" * 61], [], "at most 60 characters, this one has 61"),
        (["ß" * 31], [], "this one has 62"),
        (["\ud800"], [], "control characters"),
        (["One"], ["one"], "name it once"),
        ([str(number) for number in range(51)], [], "at most 50 tags, it would have 51"),
    ],
)
async def test_bad_tags_are_refused_and_nothing_is_written(
    filed: Filed, add: list[str], remove: list[str], told: str
) -> None:
    item = await filed.add("a", tags=("one",)) if remove else await filed.add("a")

    with pytest.raises(BadRecipe, match=told):
        await filed.gallery.tag("a", add, remove, favourite=True)
    assert await filed.gallery.find("a") == item


async def test_a_picture_with_too_many_tags_from_elsewhere_can_still_lose_some(filed: Filed) -> None:
    await filed.add("a", tags=tuple(f"{number:02}" for number in range(60)))

    assert len((await filed.gallery.tag("a", remove=["00"])).tags) == 59
    with pytest.raises(BadRecipe, match="at most 50"):
        await filed.gallery.tag("a", add=["new"])


async def test_two_who_tag_at_once_lose_nothing(filed: Filed) -> None:
    await filed.add("a")
    await asyncio.gather(*(filed.gallery.tag("a", add=[f"t{number}"]) for number in range(10)))

    assert len((await filed.gallery.find("a")).tags) == 10


async def test_an_unknown_picture_is_not_tagged(filed: Filed) -> None:
    with pytest.raises(NotFound, match="list_images"):
        await filed.gallery.tag("nobody", add=["x"])


@given(st.text())
def test_a_tag_is_one_line_of_one_spelling_or_refused(text: str) -> None:
    try:
        tag = tag_of(text)
    except BadRecipe:
        return
    assert tag_of(tag) == tag == tag.strip() == unicodedata.normalize("NFKC", tag)
    assert 0 < len(tag) <= MAX_TAG and len(tag.splitlines()) == 1 and "  " not in tag
    assert tag_of(text.upper()) == tag_of(text.upper().lower()) or "İ" in text.upper()


words = st.sampled_from(["a", "B", "b", "C ", "ﬁ", "fi", "ß", "SS"])


@given(before=st.sets(words.map(tag_of)), add=st.lists(words), remove=st.lists(words))
def test_tags_after_a_change_are_those_before_and_added_without_the_removed(
    before: set[str], add: list[str], remove: list[str]
) -> None:
    added, removed = set(map(tag_of, add)), set(map(tag_of, remove))
    if added & removed:
        with pytest.raises(BadRecipe):
            retagged(before, add, remove)
    else:
        assert retagged(before, add, remove) == tuple(sorted((before | added) - removed))
