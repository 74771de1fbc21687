"""Families: who comes from whom, and what changed in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.workflows.gallery.kit import RECIPE, Filed, item_named
from workflows.gallery import Node, Tree
from workflows.gallery.family import change
from workflows.types import Item, LoraUse, Recipe

START = datetime(2026, 5, 1, tzinfo=UTC)


async def test_lineage_gives_parents_nearest_first_and_children_newest_first(filed: Filed) -> None:
    line = [await filed.add(str(n), parent_id=str(n - 1) if n else None) for n in range(4)]
    twin = await filed.add("twin", parent_id="1")

    assert await filed.gallery.lineage(line[1]) == ([line[0]], [twin, line[2]])
    assert await filed.gallery.lineage(line[3]) == ([line[2], line[1], line[0]], [])


async def test_lineage_ends_at_a_deleted_parent_and_at_a_circle(filed: Filed) -> None:
    orphan = await filed.add("orphan", parent_id="gone")
    one, two = await filed.add("one", parent_id="two"), await filed.add("two", parent_id="one")

    assert await filed.gallery.lineage(orphan) == ([], [])
    assert (await filed.gallery.lineage(one))[0] == [two]


def shape(tree: Tree) -> dict[str, str | None]:
    return {node.image_id: node.parent_id for node in tree.nodes}


async def test_a_tree_is_the_whole_family_whichever_member_is_asked_for(filed: Filed) -> None:
    parents = {"root": None, "left": "root", "right": "root", "leaf": "left", "stranger": None}
    added: dict[str, Item] = {}
    for place, (name, parent) in enumerate(parents.items()):
        added[name] = await filed.add(name, parent_id=parent, created=START + timedelta(minutes=place))

    expected = {"root": None, "left": "root", "right": "root", "leaf": "left"}
    for name in expected:
        tree = await filed.gallery.tree(added[name])
        assert shape(tree) == expected
        assert list(shape(tree)) == list(expected)
    root = added["root"]
    assert (await filed.gallery.tree(root)).nodes[0] == Node(image_id="root", task="txt2img", created=root.created)
    assert shape(await filed.gallery.tree(added["stranger"])) == {"stranger": None}


async def test_the_line_of_a_deleted_picture_is_told_and_an_erased_parent_ends_it(filed: Filed) -> None:
    for name, parent in {"root": None, "middle": "root", "leaf": "middle"}.items():
        await filed.add(name, parent_id=parent)
    await filed.gallery.delete("middle")
    leaf = await filed.gallery.find("leaf")

    tree = await filed.gallery.tree(leaf)
    assert shape(tree) == {"root": None, "middle": "root", "leaf": "middle"}
    assert [node.deleted is not None for node in tree.nodes] == [False, True, False]
    assert shape(await filed.gallery.tree(await filed.gallery.find("root"))) == {"root": None}
    await filed.gallery.erase("middle")
    assert shape(await filed.gallery.tree(leaf)) == {"leaf": None}


async def test_a_circle_of_parents_is_told_once(filed: Filed) -> None:
    one, _ = await filed.add("one", parent_id="two"), await filed.add("two", parent_id="one")

    assert shape(await filed.gallery.tree(one)) == {"two": None, "one": "two"}


PARENT = item_named("p", rendered=RECIPE.but(steps=20, cfg=7.0))


@pytest.mark.parametrize(
    ("fields", "rendered", "told"),
    [
        ({}, {}, "the same again"),
        ({"seed": 12}, {}, "another seed (1 to 12)"),
        ({}, {"steps": 30, "cfg": 5.5}, "steps 20 to 30; cfg 7 to 5.5"),
        ({"prompt": "a  blue\nsquare"}, {}, "prompt: a blue square"),
        ({"model": "b", "negative": "fog"}, {}, "negative: fog; model b"),
        ({"width": 600, "height": 400}, {"task": "upscale", "scale": 2.0}, "upscale; 300x200 to 600x400; scale 2"),
        ({}, {"task": "img2img", "denoise": 0.4}, "img2img; denoise 0.4"),
        ({}, {"loras": (LoraUse(name="ink", strength=0.8),)}, "LoRAs: ink:0.8"),
        (
            {"prompt": "x" * 100, "model": "b", "seed": 2, "width": 1},
            {"steps": 5},
            f"prompt: {'x' * 59}…; model b; another seed (1 to 2); 300x200 to 1x200; and more",
        ),
    ],
)
def test_a_change_is_told_in_words(fields: dict[str, Any], rendered: dict[str, Any], told: str) -> None:
    made: Recipe = PARENT.rendered.but(**rendered)

    assert change(PARENT, PARENT.but(**fields, rendered=made)) == told
