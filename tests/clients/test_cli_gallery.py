"""`atelier gallery`: what it lists, shows, deletes, restores, tags and finds twice, on a real ledger and store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clients.cli import Parts, run
from tests.fakes import fake_app, png
from tests.workflows.gallery.kit import item_named
from workflows.app import App
from workflows.types import Item, LoraUse, Media

Shown = pytest.CaptureFixture[str]


class House:
    """The commands on one home, and pictures filed there without being drawn."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: str) -> int:
        return run(["gallery", *arguments], Parts(open_app=self.open, examine=list, serve=lambda _: None, version="0"))

    def open(self) -> AbstractAsyncContextManager[App]:
        return fake_app(self.home)

    def within(self, work: Callable[[App], Awaitable[Any]]) -> Any:
        async def opened() -> Any:
            async with self.open() as app:
                return await work(app)

        return asyncio.run(opened())

    def add(self, name: str, **changes: Any) -> Item:
        item = item_named(name, **changes)

        async def file(app: App) -> None:
            from clients.ledger import open_ledger

            await app.gallery.store.put(item.key, Media(data=png(), media_type="image/png"))
            async with open_ledger(self.home / "atelier.db") as ledger:
                await ledger.filing.add([item])

        self.within(file)
        return item

    def pictures(self) -> list[str]:
        return self.within(lambda app: app.gallery.store.keys(""))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def ids(capsys: Shown) -> list[str]:
    return [row["image_id"] for row in json.loads(capsys.readouterr().out)["items"]]


def test_every_filter_finds_its_picture(house: House, capsys: Shown) -> None:
    plain = item_named("plain").rendered
    marked: dict[str, Any] = {
        "prompt": "a lighthouse",
        "model": "sdxl",
        "engine": "comfyui",
        "tags": ("sea",),
        "score": 0.9,
        "favourite": True,
        "created": datetime(2020, 6, 1, tzinfo=UTC),
        "rendered": plain.but(loras=(LoraUse(name="ink"),)),
    }
    house.add("marked", **marked)
    house.add("plain", score=0.1)
    house.add("film", kind="video", key="job-film/1/film.mp4")
    filters = {
        "marked": [
            ("lighth",),
            ("--model", "sdxl"),
            ("--engine", "comfyui"),
            ("--tag", "Sea"),
            ("--lora", "ink"),
            ("--min-score", "0.5"),
            ("--favourite",),
            ("--since", "2020-05-31", "--until", "2020-06-02"),
            ("--limit", "1", "--sort", "best"),
        ],
        "film": [("--kind", "video"), ("--limit", "1", "--sort", "newest")],
        "plain": [("--no-favourite", "--kind", "image")],
    }
    for expected, several in filters.items():
        for given in several:
            assert house("list", *given, "--json") == 0
            assert ids(capsys) == [expected], given


@pytest.mark.parametrize("given", [("--kind", "sound"), ("--sort", "worst"), ("--limit", "0"), ("--since", "monday")])
def test_wrong_filters_are_code_two(house: House, given: tuple[str, ...]) -> None:
    assert house("list", *given) == 2


def test_rows_show_what_matters_and_markup_stays_text(house: House, capsys: Shown) -> None:
    house.add("a", prompt="[red]boo[/nothing]\x1b[2J", tags=("[b]",), favourite=True, score=0.5, passed=True)

    assert house("list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "a  0.500  300x200  demo  ★  [b]  [red]boo[/nothing][2J",
        "1 of 1",
    ]


def test_pages_go_on_at_the_cursor(house: House, capsys: Shown) -> None:
    for name in ("a", "b", "c"):
        house.add(name)

    assert house("list", "--limit", "2", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert house("list", "--limit", "2", "--cursor", first["cursor"], "--json") == 0
    assert ([row["image_id"] for row in first["items"]], ids(capsys), first["total"]) == (["c", "b"], ["a"], 3)


def test_likeness_without_the_judges_names_what_to_install(house: House, capsys: Shown) -> None:
    house.add("a")

    assert house("list", "--similar-to", "a") == 1
    assert "atelier-mcp[judges]" in capsys.readouterr().err


def test_a_picture_is_shown_with_its_family(house: House, capsys: Shown) -> None:
    house.add("root")
    house.add("left", parent_id="root", seed=2)
    house.add("leaf", parent_id="left", seed=3)
    house.add("right", parent_id="root", prompt="a [bold]blue[/bold] one")

    assert house("show", "left.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5:] == [
        "family",
        "  root  txt2img",
        "  ├─ left  another seed (1 to 2)",
        "  │  └─ leaf  another seed (2 to 3)",
        "  └─ right  prompt: a [bold]blue[/bold] one",
    ]
    assert house("show", "root", "--json") == 0
    info = json.loads(capsys.readouterr().out)
    assert [node["image_id"] for node in info["tree"]["nodes"]] == ["root", "left", "right", "leaf"]
    assert house("show", "nobody") == 1


def test_deleted_pictures_are_in_the_trash_and_come_back(house: House, capsys: Shown) -> None:
    for name in ("a", "b", "c"):
        house.add(name)

    assert house("delete", "a", "b.png") == 0
    assert "atelier gallery restore a" in capsys.readouterr().out
    assert house("list", "--trash", "--json") == 0
    assert ids(capsys) == ["b", "a"]
    assert house.pictures() == ["job-c/1/c.png", "trash/job-a/1/a.png", "trash/job-b/1/b.png"]
    assert house("delete", "a") == 1
    assert "atelier gallery restore a" in capsys.readouterr().err
    assert house("restore", "a", "nobody", "b", "--json") == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"restored": ["a", "b"]}
    assert "nobody" in shown.err
    assert house("list", "--json") == 0
    assert ids(capsys) == ["c", "b", "a"]


def test_nothing_is_erased_without_a_yes(house: House, capsys: Shown) -> None:
    for name in ("a", "b"):
        house.add(name)

    assert house("delete", "a", "--for-good") == 1
    shown = capsys.readouterr().err
    assert "Erase a for good?" in shown and "--yes" in shown
    assert house("delete", "a", "--for-good", "-y", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": ["a"], "for_good": True, "until": None}
    assert house("delete", "b", "--json") == 0
    assert json.loads(capsys.readouterr().out)["until"] > datetime.now(UTC).isoformat()
    assert house("empty-trash") == 1
    assert "Erase the picture of the trash" in capsys.readouterr().err
    assert house.pictures() == ["trash/job-b/1/b.png"]
    assert house("empty-trash", "-y", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"erased": 1}
    assert house.pictures() == []
    assert house("empty-trash") == 0


def test_tags_are_added_and_taken_away(house: House, capsys: Shown) -> None:
    house.add("a")

    assert house("tag", "a", "--add", "Sea", "--add", "[b]", "--favourite") == 0
    assert capsys.readouterr().out == "a ★  [b], sea\n"
    assert house("tag", "a", "--remove", "sea", "--no-favourite", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"image_id": "a", "tags": ["[b]"], "favourite": False}
    assert house("tag", "a", "--add", "x" * 61) == 2
    assert "at most 60" in capsys.readouterr().err


def test_duplicates_are_told_in_groups_with_the_one_to_keep(house: House, capsys: Shown) -> None:
    house.add("worse", fingerprint="3c" * 8, score=0.1, size=1000)
    house.add("better", fingerprint="3c" * 7 + "3d", score=0.2, size=2000)
    house.add("other", fingerprint="0f" * 8)

    assert house("duplicates") == 0
    assert capsys.readouterr().out.splitlines() == [
        "keep better  0.200  300x200  2,000 bytes  a red circle",
        "     worse  0.100  300x200  1,000 bytes  a red circle",
        "atelier gallery delete worse",
        "1 group of pictures that are nearly the same",
    ]
    assert house("duplicates", "--json") == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert (group["keep"], [row["image_id"] for row in group["images"]]) == ("better", ["better", "worse"])
    assert house("duplicates", "--distance", "0", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"groups": []}
    assert house("duplicates", "--distance", "99") == 2
