"""What is told about words: the one mapping that tools, command line, page and Python callers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workflows.answers import Answer
from workflows.errors import BadRecipe, NotFound
from workflows.types import (
    ArtistNode,
    CategoryNode,
    HistoryEntry,
    HistoryPage,
    Negative,
    OptionGroup,
    Pack,
    Preset,
    PromptReport,
    Spoken,
    TypeNode,
    Written,
)

if TYPE_CHECKING:
    from workflows.presets import Shelf

ALWAYS = frozenset({"prompt", "words", "family", "by"})
"""Keys that are told even when there is nothing in them."""


def written_answer(written: Written) -> Answer:
    """A prompt, with the user's words apart from what was added, and why."""
    told = written.model_dump(mode="json", exclude={"negative"})
    return _filled({"prompt": told.pop("prompt"), "negative_prompt": written.negative} | told)


def spoken_answer(spoken: Spoken) -> Answer:
    """One turn of a conversation: the prompt as it is now, besides what was said."""
    said = {"conversation_id": spoken.conversation_id, "turn": spoken.turn, "reply": spoken.reply}
    return written_answer(spoken.written) | _filled(said | {"reset": spoken.reset})


def negative_answer(negative: Negative) -> Answer:
    return {
        "negative_prompt": negative.negative,
        "family": negative.family,
        "used": negative.used,
        "why": negative.why,
    }


def report_answer(report: PromptReport) -> Answer:
    return _filled(report.model_dump(mode="json"))


def preset_row(preset: Preset) -> Answer:
    row: Answer = {"path": preset.path, "id": preset.id, "name": preset.name, "kind": preset.kind, "text": preset.text}
    more = {"negative": preset.negative, "dates": preset.dates, "adult": preset.adult, "own": preset.own}
    return row | {name: value for name, value in more.items() if value}


def group_row(group: OptionGroup) -> Answer:
    return {
        "id": group.id,
        "name": group.name,
        "several": group.several,
        "options": [preset_row(option) for option in group.options],
    }


def pack_row(pack: Pack) -> Answer:
    return pack.model_dump(mode="json", exclude={"adult"}) | {"path": f"pack:{pack.id}"}


def category_row(node: CategoryNode) -> Answer:
    return preset_row(node.preset) | {"types": len(node.types)}


def type_row(node: TypeNode) -> Answer:
    return preset_row(node.preset) | {"artists": len(node.artists)}


def artist_row(node: ArtistNode) -> Answer:
    """With the ids of its groups of options: level 4 and 5."""
    groups = {"technical": [group.id for group in node.technical], "specifics": [group.id for group in node.specifics]}
    return preset_row(node.preset) | groups


def preset_list(shelf: Shelf, category: str | None = None, kind: str | None = None) -> Answer:
    """What there is to pick, one level at a time: all in short, a flat kind, packs, options or one group of them, a
    category's types, a type's artists, an artist's options.

    Names as people write them: "Styles", "photography/portrait". Raises NotFound, and BadRecipe for a type of what has
    none.
    """
    from workflows.presets.shelf import folded  # not before somebody asks: the module is imported with the server

    first, *below = [step for part in (category, kind) for step in (part or "").split("/") if step.strip()] or [""]
    if not first:
        return _overview(shelf)
    lists = _lists(shelf)
    name = folded(first)
    name = name if name in lists else name.removesuffix("s")
    if name in lists:
        if below:
            raise BadRecipe("type", "/".join(below), f"{first} has no types: leave it out")
        return lists[name]
    if folded(first) not in {folded(word) for node in shelf.categories for word in (node.preset.id, node.preset.name)}:
        known = dict.fromkeys([*shelf.flat, "options", "packs", *(node.preset.id for node in shelf.categories)])
        raise NotFound("category", first, [*known, *lists], f"There are: {', '.join(known)}.")
    return _below(shelf, first, below)


def _lists(shelf: Shelf) -> dict[str, Answer]:
    """What has no types below it, by the names that it is asked for."""
    flat = {
        kind: {"presets": [preset_row(preset) for preset in presets], "total": len(presets)}
        for kind, presets in shelf.flat.items()
    }
    groups = {group.id: {"groups": [group_row(group)], "total": 1} for group in shelf.universal}
    packs: Answer = {"packs": [pack_row(pack) for pack in shelf.packs], "total": len(shelf.packs)}
    options: Answer = {"groups": [group_row(group) for group in shelf.universal], "total": len(shelf.universal)}
    return {**groups, **flat, "pack": packs, "option": options, "universal": options}


def _below(shelf: Shelf, category: str, below: Sequence[str]) -> Answer:
    """A category with its types, one of them with its artists, one of these with its options. Raises NotFound."""
    if not below:
        found = shelf.category(category)
        types = [type_row(one) for one in found.types]
        return {"category": category_row(found), "types": types, "total": len(types)}
    if len(below) == 1:
        node = shelf.type(category, below[0])
        artists = [artist_row(one) for one in node.artists]
        return {"type": type_row(node), "artists": artists, "total": len(artists)}
    artist = shelf.artist(category, below[0], "/".join(below[1:]))
    groups = [group_row(group) for group in (*artist.technical, *artist.specifics)]
    return {"artist": artist_row(artist), "groups": groups, "total": len(groups)}


def _overview(shelf: Shelf) -> Answer:
    """The names of all, without their texts."""
    answer: Answer = {kind: [preset.name for preset in presets] for kind, presets in shelf.flat.items()}
    answer["categories"] = {node.preset.id: [one.preset.id for one in node.types] for node in shelf.categories}
    answer["options"] = {group.id: [option.id for option in group.options] for group in shelf.universal}
    answer["packs"] = [pack.name for pack in shelf.packs]
    answer["total"] = sum(map(len, shelf.flat.values()))
    return answer | ({"faults": list(shelf.faults)} if shelf.faults else {})


def history_row(entry: HistoryEntry) -> Answer:
    told = entry.model_dump(mode="json", exclude={"negative"})
    return _filled(told | {"negative_prompt": entry.negative}, {"id", "input", "output", "mode"})


def history_answer(page: HistoryPage) -> Answer:
    answer: Answer = {"prompts": [history_row(entry) for entry in page.entries], "total": page.total}
    return answer | ({"cursor": page.cursor} if page.cursor else {})


def _filled(told: Mapping[str, Any], always: frozenset[str] | set[str] = ALWAYS) -> Answer:
    return {name: value for name, value in told.items() if name in always or value not in (None, "", [], {}, 0)}
