"""Presets over HTTP: to pick, to add and to delete."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from clients.web.answers import (
    ArtistsAnswer,
    CategoriesAnswer,
    OptionsAnswer,
    PacksAnswer,
    PresetRemoved,
    PresetRow,
    PresetsAnswer,
    SpecificsAnswer,
    TechnicalAnswer,
    TypesAnswer,
)
from clients.web.bodies import NONE, PresetBody
from clients.web.operations import Call
from workflows.errors import BadRecipe, NotFound
from workflows.prompts.answers import artist_row, category_row, group_row, pack_row, preset_row, type_row
from workflows.types import FlatKind, Preset

LISTS: dict[str, FlatKind] = {
    "styles": "style",
    "artists": "artist",
    "composition": "composition",
    "lighting": "lighting",
}
MAX_ID = 60


async def flat_presets(call: Call) -> PresetsAnswer:
    """Styles, artists, compositions and lightings with their texts."""
    shelf = await (await call.desk()).shelf()
    lists = {name: _texts(shelf.flat.get(kind, ())) for name, kind in LISTS.items()}
    own = [preset_row(one) for presets in shelf.flat.values() for one in presets if one.own]
    more = {"own": own, "faults": list(shelf.faults)}
    return PresetsAnswer.model_validate(lists | {name: value for name, value in more.items() if value})


def _texts(presets: Iterable[Preset]) -> dict[str, str]:
    return {NONE: ""} | {preset.name: preset.text for preset in presets}


async def add_preset(call: Call, body: PresetBody) -> PresetRow:
    """Keep a preset of one's own; one of the same name is written over."""
    name = body.name.strip()
    if name.casefold() == NONE.casefold():
        raise BadRecipe("name", body.name, "it is the name of no preset; choose another")
    preset = Preset.checked(
        id=_id_of(name), kind=body.kind, name=name, text=body.text.strip(), negative=body.negative, hint=body.hint
    )
    return PresetRow.model_validate(preset_row(await (await call.desk()).add_preset(preset)))


async def remove_preset(call: Call, kind: str, id: str) -> PresetRemoved:
    """Delete a preset of one's own."""
    desk = await call.desk()
    if not await desk.remove_preset(kind, id):
        own = [one for presets in (await desk.shelf()).flat.values() for one in presets if one.own]
        hint = "Only presets of one's own that were added here can be deleted."
        raise NotFound("preset of one's own", f"{kind}:{id}", [one.path for one in own], hint)
    return PresetRemoved(deleted=f"{kind}:{id}")


async def categories(call: Call) -> CategoriesAnswer:
    """The categories: level 1."""
    shelf = await (await call.desk()).shelf()
    return CategoriesAnswer.model_validate({"categories": [category_row(node) for node in shelf.categories]})


async def types(call: Call, id: str) -> TypesAnswer:
    """The types of a category: level 2."""
    node = (await (await call.desk()).shelf()).category(id)
    rows = [type_row(one) for one in node.types]
    return TypesAnswer.model_validate({"category": preset_row(node.preset), "types": rows})


async def artists(call: Call, cat: str, type: str) -> ArtistsAnswer:
    """The artists of a type: level 3."""
    shelf = await (await call.desk()).shelf()
    node = shelf.type(cat, type)
    rows = [artist_row(one) for one in node.artists]
    above = preset_row(shelf.category(cat).preset)
    return ArtistsAnswer.model_validate({"category": above, "type": preset_row(node.preset), "artists": rows})


async def technical(call: Call, cat: str, type: str, artist: str) -> TechnicalAnswer:
    """The technical options of an artist: level 4."""
    node = (await (await call.desk()).shelf()).artist(cat, type, artist)
    groups = [group_row(group) for group in node.technical]
    return TechnicalAnswer.model_validate({"artist": preset_row(node.preset), "technical": groups})


async def specifics(call: Call, cat: str, type: str, artist: str) -> SpecificsAnswer:
    """The scene specifics of an artist: level 5."""
    node = (await (await call.desk()).shelf()).artist(cat, type, artist)
    groups = [group_row(group) for group in node.specifics]
    return SpecificsAnswer.model_validate({"artist": preset_row(node.preset), "specifics": groups})


async def packs(call: Call) -> PacksAnswer:
    """Quick starts: presets that go together."""
    shelf = await (await call.desk()).shelf()
    return PacksAnswer.model_validate({"packs": [pack_row(pack) for pack in shelf.packs]})


async def universal_options(call: Call) -> OptionsAnswer:
    """Options that go with everything: mood, time of day, weather and the like."""
    shelf = await (await call.desk()).shelf()
    return OptionsAnswer.model_validate({"options": [group_row(group) for group in shelf.universal]})


def _id_of(name: str) -> str:
    """Small letters, digits and hyphens; for a name that has none of them a number made of it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_ID].strip("-")
    return words or f"own-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
