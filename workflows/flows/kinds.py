"""What one input of a workflow takes: its kind, its limits and choices, and a value of the caller's as the graph's."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workflows.drawing.inventory import plain, spelled
from workflows.errors import BadRecipe
from workflows.flows.bounds import COUNTS, LARGEST_WHOLE, MOST_TEXT
from workflows.flows.rules import file_kind, optional
from workflows.importing.values import number, whole
from workflows.types import FlowInput, Media

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory, NodeInput
    from workflows.graph import Graph
    from workflows.template import Spot
    from workflows.types import FlowKind

FILES = frozenset({"image", "video", "audio", "file"})
MODEL_ROLES = frozenset({
    "model", "lora", "vae", "text_encoder", "clip_vision", "controlnet", "style_model", "upscale_model", "model_file",
})  # fmt: skip
KINDS: dict[str, FlowKind] = {"INT": "integer", "FLOAT": "number", "BOOLEAN": "boolean", "STRING": "text"}
SHOWN = 20
MOST_REFERENCE = 2_000_000
"""Characters of a reference to a file: a data URI may hold a picture."""
ANY_SEED = -1


def typed(name: str, role: str, spots: Sequence[tuple[Spot, Spot]], graph: Graph, inventory: Inventory) -> FlowInput:
    """The input that sets these places; each is given with the input that reads it, which knows the limits."""
    (place, field), at = spots[0]
    value = graph[place].inputs[field]
    specs = [one for spot in spots for each in spot if (one := _spec(each, graph, inventory))]
    file = file_kind(graph[place].class_type, field, inventory)
    kind = file or _kind(role, value, _spec(at, graph, inventory) or _spec((place, field), graph, inventory))
    choices = _choices(specs)
    class_type = graph[place].class_type
    missing = file is not None and value not in choices and not optional(class_type, field, value, inventory)
    least, most = _range(role, [field for spot in spots for _, field in spot], specs)
    return FlowInput(
        name=name,
        kind=kind,  # pyright: ignore[reportArgumentType] - the four of FILES are kinds
        role=role,
        default=None if missing else value,
        choices=choices if kind in {"choice", "model"} else (),
        least=least if kind in {"integer", "number"} else None,
        most=most if kind in {"integer", "number"} else None,
        required=missing,
        about=_about(graph, at),
        spots=tuple(dict.fromkeys(spot for spot, _ in spots)),
    )


def _spec(spot: Spot, graph: Graph, inventory: Inventory) -> NodeInput | None:
    known = inventory.classes.get(graph[spot[0]].class_type)
    return known.inputs.get(spot[1]) if known else None


def _kind(role: str, value: object, spec: NodeInput | None) -> FlowKind:
    if role in MODEL_ROLES:
        return "model"
    if spec is not None and spec.choices is not None:
        return "choice"
    if spec is not None and spec.type in KINDS:
        return KINDS[spec.type]
    if isinstance(value, bool):
        return "boolean"
    return "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "text"


def _choices(specs: Sequence[NodeInput]) -> tuple[str, ...]:
    """What every place allows."""
    offered = [spec.choices for spec in specs if spec.choices is not None]
    if not offered:
        return ()
    return tuple(one for one in offered[0] if all(one in others for others in offered[1:]))


def _range(role: str, fields: Sequence[str], specs: Sequence[NodeInput]) -> tuple[float | None, float | None]:
    """The narrowest of all places, and of what is taken here at all."""
    least = [spec.least for spec in specs if spec.least is not None]
    most = [spec.most for spec in specs if spec.most is not None] + [COUNTS[one] for one in fields if one in COUNTS]
    low, high = max(least, default=None), min(most, default=None)
    return (ANY_SEED, high) if role == "seed" else (low, high)


def _about(graph: Graph, spot: Spot) -> str:
    node = graph[spot[0]]
    title = node.title.strip()
    shown = f"{title} ({node.class_type})" if title and title != node.class_type else node.class_type
    return f"{spot[1]} of {' '.join(shown.split())}"[:160]


# ------------------------------------------------------------------ a caller's value


def value_of(one: FlowInput, given: object) -> Any:
    """The caller's value as it goes into the graph; a file's reference as it is. Raises BadRecipe."""
    if one.kind in FILES:
        return _reference(one, given)
    if one.kind == "text":
        return _text(one, given)
    if one.kind == "boolean":
        return _truth(one, given)
    if one.kind in {"integer", "number"}:
        return _number(one, given)
    return _choice(one, given)


def _reference(one: FlowInput, given: object) -> str | Media:
    if isinstance(given, Media):
        return given
    if isinstance(given, str) and given.strip() and len(given) <= MOST_REFERENCE:
        return given.strip()
    raise BadRecipe(one.name, given, f"it takes {_article(one.kind)}: a gallery id, a path or a URL")


def _article(kind: str) -> str:
    return {"image": "an image", "audio": "a sound", "video": "a video"}.get(kind, "a file")


def _text(one: FlowInput, given: object) -> str:
    if not isinstance(given, str) or "\0" in given or len(given) > MOST_TEXT:
        raise BadRecipe(one.name, given, f"it takes text of at most {MOST_TEXT:,} letters")
    return given


def _truth(one: FlowInput, given: object) -> bool:
    said = given.strip().lower() if isinstance(given, str) else given
    if isinstance(said, bool):
        return said
    if said in {"true", "false"}:
        return said == "true"
    raise BadRecipe(one.name, given, "it is true or false")


def _number(one: FlowInput, given: object) -> int | float:
    found = whole(given) if one.kind == "integer" else number(given)
    fits = found is not None and math.isfinite(found) and abs(found) < LARGEST_WHOLE
    if one.kind == "integer" and isinstance(given, float) and given != found:
        fits = False
    low, high = one.least, one.most
    if not fits or found is None or (low is not None and found < low) or (high is not None and found > high):
        raise BadRecipe(one.name, given, f"it takes {_numbers(one)}")
    return found


def _numbers(one: FlowInput) -> str:
    what = "a whole number" if one.kind == "integer" else "a number"
    if one.role == "seed":
        return f"{what} from 0, or {ANY_SEED} for any"
    low = f" from {one.least:g}" if one.least is not None else ""
    return what + low + (f" to {one.most:.15g}" if one.most is not None else "")


def _choice(one: FlowInput, given: object) -> Any:
    """One of the choices; a model's name also without its folder and ending."""
    said = str(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else None
    if said is not None and not one.choices and one.default is not None:
        return said
    found = said if said in one.choices else None
    if said is not None and found is None:
        found = spelled(said, one.choices) if one.kind == "model" else _cased(said, one.choices)
    if found is None:
        raise BadRecipe(one.name, given, _offered(one, said or ""))
    return _as_was(found, one.default)


def _as_was(found: str, default: object) -> Any:
    """Choices that are numbers stay numbers: the server compares them as they are."""
    if isinstance(default, bool) or not isinstance(default, int | float):
        return found
    return int(found) if isinstance(default, int) else float(found)


def _cased(said: str, choices: Sequence[str]) -> str | None:
    same = [one for one in choices if one.lower() == said.strip().lower()]
    return same[0] if len(same) == 1 else None


def _offered(one: FlowInput, said: str) -> str:
    """The choices, nearest first."""
    if not one.choices:
        return "the server has nothing there to choose from"
    alike = {each: difflib.SequenceMatcher(None, plain(said[:100]), plain(each)).ratio() for each in one.choices}
    nearest = sorted(one.choices, key=lambda each: -alike[each])[:SHOWN]
    more = f" and {len(one.choices) - SHOWN} more" if len(one.choices) > SHOWN else ""
    return f"it is one of {', '.join(nearest)}{more}"
