"""Widget values of a node by name. The editor keeps them in a row without names; the server's class says the order.

Files are older or newer than the server, so the row does not always fit the class. What fits best is sought: each
widget takes a value or its default, each value goes to a widget or is left over, and every misfit has its price.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, cast

from workflows.drawing.inventory import DYNAMIC, NodeClass, NodeInput
from workflows.editor.promoting import CONTROLS

PLAIN = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR", DYNAMIC})
DRAWN = frozenset(
    {
        *("COLORS", "BOUNDING_BOX", "BOUNDING_BOXES", "CURVE", "COMPOSITOR", "IMAGECOMPARE", "LOAD_3D", "WEBCAM"),
        *("AUDIO_RECORD", "AUDIO_UI", "PAINTER", "RANGE", "GALLERIA", "CHART", "MARKDOWN", "TEXTAREA", "MULTISELECT"),
    }
)
"""Types whose widgets the editor draws itself; their values are objects, or empty."""
SEEDS = frozenset({"seed", "noise_seed"})
"""Whole numbers of these names have a word on how they change, asked for or not."""
BUTTONS = frozenset({"image", "upload", "upload3dmodel", "uploadExtraResources", "clear", "video", "audio", "file"})
"""What stands after a file's name for the buttons beside it."""
MOST_TRIES = 3_000
"""Steps tried for one node; a row that fits takes one for each value."""
LEFT_OVER, NOT_GIVEN, NOT_GIVEN_LAST, WRONG = 3.0, 3.0, 0.4, 6.0
"""Prices: a value without a widget, a widget without a value, that after the last value, a value of another kind."""
SPARE = 0.05
"""Price of a value after the last widget: some nodes show more in the editor than they take."""
SURE = 2.0
"""Below this price the row fits."""


@dataclass(frozen=True)
class Filled:
    """Values by input. `defaults`: inputs that the file has no fit value for; `sure`: whether the row fitted."""

    values: Mapping[str, Any]
    defaults: tuple[str, ...] = ()
    sure: bool = True
    tries: int = 0
    """Steps that the search took."""


Widget = tuple[str, NodeInput]


def is_widget(given: NodeInput) -> bool:
    """Whether the editor keeps a value for this input."""
    return not given.forced and bool(
        given.choices is not None or given.widget or given.type in PLAIN or given.type in DRAWN
    )


def filled(known: NodeClass, row: Sequence[Any], named: Mapping[str, Any], most: int = MOST_TRIES) -> Filled:
    """Every widget of the class with its value: by name where the file has names, else by its place in the row, for
    which at most so many steps are tried."""
    widgets = tuple(_widgets(known.inputs))
    if not row or (named and all(name in named for name, _ in widgets)):
        return _named(widgets, named)
    placed = _by_place(widgets, row, min(most, MOST_TRIES))
    whole = _named(widgets, {**placed.values, **named})
    return replace(whole, sure=placed.sure or bool(named), tries=placed.tries)


def default_of(given: NodeInput) -> Any:
    """What the editor puts into a new widget; None where it has nothing to put."""
    if given.default is not None:
        return given.default
    if given.type == DYNAMIC:
        return next(iter(given.branches), None)
    if given.choices is not None:
        return given.choices[0] if given.choices else None
    kind = given.widget or given.type
    fixed: dict[str, Any] = {
        "STRING": "",
        "BOOLEAN": False,
        "COLOR": "#000000",
        "LOAD_3D": "",
        "AUDIO_RECORD": "",
        "WEBCAM": "",
    }
    if kind in {"INT", "FLOAT"}:
        return given.least or 0
    return fixed.get(kind, dict[str, Any]())


def _widgets(inputs: Mapping[str, NodeInput], prefix: str = "") -> Iterator[Widget]:
    return ((prefix + name, given) for name, given in inputs.items() if is_widget(given))


def _inner(widget: Widget, value: Any) -> tuple[Widget, ...]:
    """The widgets that a choice brings."""
    name, given = widget
    branch = given.branches.get(str(value)) if given.branches and isinstance(value, str | int | float) else None
    return tuple(_widgets(branch, f"{name}.")) if branch else ()


def _named(widgets: tuple[Widget, ...], named: Mapping[str, Any]) -> Filled:
    values: dict[str, Any] = {}
    defaults: list[str] = []
    pending = list(widgets)
    while pending:
        widget = pending.pop(0)
        name, given = widget
        value = named.get(name)
        if value is None or misfit(given, value) >= WRONG:
            value = default_of(given)
            defaults.append(name)
        if value is not None:
            values[name] = value
        pending = [*_inner(widget, value), *pending]
    return Filled(values, tuple(defaults))


# ------------------------------------------------------------------ by place


@dataclass(frozen=True)
class _Way:
    """So many values of the row are placed, these widgets are still to come; `last` took a value last."""

    at: int
    pending: tuple[Widget, ...]
    last: Widget | None = None
    before: _Way | None = None
    took: tuple[str, Any] | None = None

    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        way: _Way | None = self
        while way is not None:
            if way.took is not None:
                found[way.took[0]] = way.took[1]
            way = way.before
        return found


def _by_place(widgets: tuple[Widget, ...], row: Sequence[Any], most: int) -> Filled:
    """The cheapest way through row and widgets; of equal ones that which takes values in their order."""
    numbers = count()
    heap: list[tuple[float, int, int, _Way]] = [(0.0, 0, next(numbers), _Way(0, widgets))]
    seen: set[tuple[int, tuple[str, ...], str]] = set()
    best = heap[0]
    for tries in range(1, most + 1):
        if not heap:
            break
        price, _, _, way = state = heapq.heappop(heap)
        if (way.at, len(way.pending)) >= (best[3].at, 0):
            best = state
        if way.at == len(row) and not way.pending:
            return Filled(way.values(), sure=price < SURE, tries=tries)
        key = (way.at, tuple(name for name, _ in way.pending), way.last[0] if way.last else "")
        if key in seen:
            continue
        seen.add(key)
        for more, further in _further(way, row):
            heapq.heappush(heap, (price + more, -further.at, next(numbers), further))
    return Filled(best[3].values(), sure=False, tries=most)


def _further(way: _Way, row: Sequence[Any]) -> Iterator[tuple[float, _Way]]:
    """Each next step with its price: a widget takes the value, the value is left over, the widget gets none."""
    if way.at < len(row):
        value = row[way.at]
        if way.pending:
            widget, *rest = way.pending
            pending = (*_inner(widget, value), *rest)
            yield misfit(widget[1], value), _Way(way.at + 1, pending, widget, way, (widget[0], value))
        yield _price_left(way.last, value) if way.pending else SPARE, _Way(way.at + 1, way.pending, way.last, way)
    if way.pending:
        widget, *rest = way.pending
        price = NOT_GIVEN if way.at < len(row) else NOT_GIVEN_LAST
        yield price, _Way(way.at, (*_inner(widget, default_of(widget[1])), *rest), way.last, way)


def _price_left(last: Widget | None, value: Any) -> float:
    """What it costs to leave a value over: nothing where the editor puts such a one beside the widget before it."""
    if last is None:
        return LEFT_OVER
    name, given = last
    controlled = given.control or (given.type == "INT" and name.rpartition(".")[2] in SEEDS)
    if controlled and isinstance(value, str) and value in CONTROLS:
        return 0.0
    if controlled and (isinstance(value, bool) or (given.type == "COMBO" and value == "")):
        return 0.3
    if (given.upload or given.type in {"LOAD_3D", "AUDIO_RECORD"}) and (value in ("", None) or _is_button(value)):
        return 0.1
    beside = given.type in DRAWN and isinstance(value, int | float) and not isinstance(value, bool)
    return 0.2 if beside or value in ("", None) else LEFT_OVER


def _is_button(value: Any) -> bool:
    return isinstance(value, str) and value in BUTTONS


def misfit(given: NodeInput, value: Any) -> float:
    """How ill a value sits in a widget: 0 for one that the server takes, WRONG for one of another kind."""
    if value is None:
        return 2.0
    if given.type == DYNAMIC:
        return 0.0 if str(value) in given.branches else NOT_GIVEN if isinstance(value, str) else WRONG
    if given.choices is not None:
        return _choice_misfit(given, value)
    kind = given.widget or given.type
    if kind in {"INT", "FLOAT"}:
        return _number_misfit(given, value, kind)
    if kind == "BOOLEAN":
        return 0.0 if isinstance(value, bool) else WRONG
    if kind == "COLOR":
        return (0.0 if value.startswith("#") else 2.5) if isinstance(value, str) else WRONG
    if kind == "STRING":
        return (1.0 if value in CONTROLS else 0.0) if isinstance(value, str) else WRONG - 1
    return 0.0 if isinstance(value, dict | list) else 0.3 if isinstance(value, str) else 2.5


def _choice_misfit(given: NodeInput, value: Any) -> float:
    if isinstance(value, list):
        return 0.3
    if isinstance(value, bool | int | float | str) and str(value) in (given.choices or ()):
        return 0.0
    if isinstance(value, bool | dict):
        return WRONG
    if isinstance(value, str):
        return 2.5 if value in CONTROLS else 0.2 if given.upload or "." in value else 0.6
    return 2.5


def _number_misfit(given: NodeInput, value: Any, kind: str) -> float:
    if isinstance(value, str):
        return 1.5 if value.replace(".", "", 1).lstrip("-").isdigit() else WRONG
    if isinstance(value, bool) or not isinstance(value, int | float):
        return WRONG
    least, most = given.least, given.most
    outside = (least is not None and value < least) or (most is not None and value > most)
    return 0.7 * outside + (0.7 if kind == "INT" and value != int(value) else 0.0)


def literal(value: Any) -> Any:
    """As API format writes it: a list that is a value must not be taken for a link."""
    return {"__value__": cast("list[Any]", value)} if isinstance(value, list) else value
