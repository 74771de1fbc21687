"""Presets over HTTP: a folder of the owner's beside those that come with Atelier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.web.served import ScriptedDesk, browser

GROUP = {"id": "lens", "name": "Lens", "options": [{"id": "wide", "name": "Wide", "text": "wide angle"}]}
SCENE = {"id": "place", "name": "Place", "several": True, "options": [{"id": "bay", "name": "Bay", "text": "a bay"}]}
TESTING = {
    "kind": "category",
    "id": "testing",
    "name": "Testing",
    "text": "test shot",
    "types": [
        {
            "id": "boats",
            "name": "Boats",
            "text": "boats",
            "technical": [GROUP],
            "artists": [{"id": "ada", "name": "Ada", "text": "clear lines", "specifics": [SCENE]}],
        }
    ],
}
STYLE = {"kind": "style", "presets": [{"id": "chalk", "name": "Chalk", "text": "chalk on slate"}]}
PACKS = {"kind": "packs", "packs": [{"id": "slate", "name": "Slate", "presets": ["style:chalk", "testing/boats"]}]}
UNIVERSAL = {"kind": "universal", "groups": [GROUP | {"id": "tide"}]}


def folder(home: Path) -> Path:
    place = home / "presets"
    place.mkdir()
    files = {"testing": TESTING, "style": STYLE, "packs": PACKS, "universal": UNIVERSAL}
    for name, content in files.items():
        (place / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return place


def row(path: str, name: str, kind: str, text: str) -> dict[str, Any]:
    last = path.replace(":", "/").rpartition("/")[2]
    return {"path": path, "id": last, "name": name, "kind": kind, "text": text, "own": True}


async def test_flat_presets_are_told_by_name_with_none_first_and_with_broken_files(tmp_path: Path) -> None:
    place = folder(tmp_path)
    (place / "broken.json").write_text("{", encoding="utf-8")
    async with browser(tmp_path, ScriptedDesk(folders=(place,))) as client:
        answer = (await client.get("/api/presets")).json()
    assert {"styles", "artists", "composition", "lighting", "faults"} <= set(answer)
    assert next(iter(answer["styles"].items())) == ("None", "")
    assert answer["styles"]["Chalk"] == "chalk on slate"
    assert answer["own"] == [row("style:chalk", "Chalk", "style", "chalk on slate")]
    (fault,) = answer["faults"]
    assert "broken.json" in fault


async def test_a_category_is_walked_down_to_the_options_of_an_artist(tmp_path: Path) -> None:
    category = row("category:testing", "Testing", "category", "test shot")
    boats = row("testing/boats", "Boats", "type", "boats")
    ada = row("testing/boats/ada", "Ada", "artist", "clear lines")
    at = "testing/boats/ada"
    wide, bay = row(f"{at}/lens/wide", "Wide", "option", "wide angle"), row(f"{at}/place/bay", "Bay", "option", "a bay")
    async with browser(tmp_path, ScriptedDesk(folders=(folder(tmp_path),))) as client:

        async def told(path: str) -> Any:
            return (await client.get(f"/api/{path}")).json()

        assert category | {"types": 1} in (await told("categories"))["categories"]
        types = await told("categories/testing/types")
        assert types == {"category": category, "types": [boats | {"artists": 1}]}
        artists = await told("categories/testing/types/boats/artists")
        ids = {"technical": ["lens"], "specifics": ["place"]}
        assert artists == {"category": category, "type": boats, "artists": [ada | ids]}
        technical = [GROUP | {"several": False, "options": [wide]}]
        assert await told("artists/testing/boats/ada/technical") == {"artist": ada, "technical": technical}
        assert await told("artists/testing/boats/ada/specifics") == {
            "artist": ada,
            "specifics": [SCENE | {"options": [bay]}],
        }
        assert (await told("categories/testin/types"))[
            "message"
        ] == "There is no category 'testin'. Did you mean testing?"
        assert (await told("categories/testing/types/boat/artists"))["status"] == 404
        assert (await told("artists/testing/boats/eve/technical"))["status"] == 404


async def test_packs_and_universal_options_are_told_with_what_picks_them(tmp_path: Path) -> None:
    async with browser(tmp_path, ScriptedDesk(folders=(folder(tmp_path),))) as client:
        packs = (await client.get("/api/preset-packs")).json()["packs"]
        options = (await client.get("/api/universal-options")).json()["options"]
    slate = {"id": "slate", "name": "Slate", "description": "", "presets": ["style:chalk", "testing/boats"]}
    assert slate | {"path": "pack:slate"} in packs
    wide = row("tide:wide", "Wide", "option", "wide angle")
    assert {"id": "tide", "name": "Lens", "several": False, "options": [wide]} in options


async def test_a_preset_of_ones_own_is_added_told_and_deleted(tmp_path: Path) -> None:
    asked = {"kind": "lighting", "name": "Wéird  Glow!", "text": " green glow ", "negative": "sun", "hint": "3d"}
    kept = row("lighting:weird-glow", "Wéird  Glow!", "lighting", "green glow") | {"negative": "sun"}
    desk = ScriptedDesk()
    async with browser(tmp_path, desk) as client:
        added = await client.post("/api/presets", json=asked)
        assert (added.status_code, added.json()) == (201, kept)
        assert (await client.get("/api/presets")).json()["lighting"]["Wéird  Glow!"] == "green glow"
        gone = await client.delete("/api/presets/lighting/weird-glow")
        assert gone.json() == {"deleted": "lighting:weird-glow"}
        again = await client.delete("/api/presets/lighting/weird-glow")
        assert (again.status_code, again.json()["type"]) == (404, "not_found")
        assert "Wéird  Glow!" not in (await client.get("/api/presets")).json()["lighting"]


async def test_names_in_other_scripts_get_ids_that_differ_and_none_is_no_name(tmp_path: Path) -> None:
    async with browser(tmp_path, ScriptedDesk()) as client:

        async def add(name: str) -> Any:
            return (await client.post("/api/presets", json={"kind": "style", "name": name, "text": "ink"})).json()

        first, second, same = await add("水彩"), await add("油彩"), await add("水彩")
        assert first["id"] == same["id"] != second["id"]
        assert (await add("none"))["status"] == 400
        assert (await add("x" * 81))["status"] == 400
        assert len((await add("y" * 80))["id"]) == 60
