"""What is told about words: the one mapping that tools, command line, page and Python callers see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workflows.answers import Answer
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
    """What there is to pick, one level at a time: all in short, a flat kind, a category's types, a type's artists.

    Raises NotFound.
    """
    if category and category in shelf.flat:
        rows = [preset_row(preset) for name, presets in shelf.flat.items() if name == category for preset in presets]
        return {"presets": rows, "total": len(rows)}
    if category in {"packs", "pack"}:
        return {"packs": [pack_row(pack) for pack in shelf.packs], "total": len(shelf.packs)}
    if category in {"universal", "options"}:
        return {"groups": [group_row(group) for group in shelf.universal], "total": len(shelf.universal)}
    if category and kind:
        node = shelf.type(category, kind)
        return {
            "type": type_row(node),
            "artists": [artist_row(one) for one in node.artists],
            "total": len(node.artists),
        }
    if category:
        found = shelf.category(category)
        return {
            "category": category_row(found),
            "types": [type_row(one) for one in found.types],
            "total": len(found.types),
        }
    return _overview(shelf)


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
