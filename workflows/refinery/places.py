"""Places: JSON and YAML read into plain values, with the line on which each part of them stands. Pure; nothing that
a text says is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from yaml.nodes import Node

MOST_PARTS = 400_000
"""Values in all, those that aliases repeat included: the bomb of a few lines of aliases has billions."""
MOST_DEPTH = 40

Where = tuple[str | int, ...]


class Places:
    """Lines by path, from 1; looked for when the first is asked for."""

    def __init__(self, text: str, lines: Mapping[Where, int] | None = None) -> None:
        self._text = text
        self._lines = lines

    def line(self, where: Where) -> int | None:
        """Of that place, or of the nearest around it; None where it cannot be told."""
        lines = self._lines = self._found() if self._lines is None else self._lines
        while where not in lines:
            if not where:
                return None
            where = where[:-1]
        return lines[where]

    def _found(self) -> Mapping[Where, int]:
        """JSON is YAML, but for tabs, which never stand in its texts."""
        try:
            return yaml_places(self._text.replace("\t", " "))[1].lines
        except ValueError:
            return {}

    @property
    def lines(self) -> Mapping[Where, int]:
        return self._lines or {}


def json_places(text: str) -> tuple[Any, Places]:
    """The value of a JSON text. Raises ValueError that names line and column."""
    try:
        value = json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value, Places(text)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice is a mistake whose half would go unnoticed."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:80]!r} stands twice in one object")
        found[name] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number that JSON knows")


def yaml_places(text: str) -> tuple[Any, Places]:
    """The value of a YAML text, by the safe loader. Raises ValueError that names line and column."""
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise ValueError("it is empty")
        lines: dict[Where, int] = {}
        _walk(node, (), lines, _Count())
        value = cast(Any, loader.construct_document(node))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise ValueError(f"it is no YAML of plain values: {said}{where}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"it is no YAML: {str(error)[:200]}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    finally:
        loader.dispose()
    return _plain(value), Places(text, lines)


class _Count:
    parts = 0


def _walk(node: Node, where: Where, lines: dict[Where, int], count: _Count) -> None:
    """Lines of all parts as the value will have them, aliases followed; that is where a bomb is found."""
    import yaml

    count.parts += 1
    if count.parts > MOST_PARTS:
        raise ValueError("its aliases blow it up; write its parts out")
    if len(where) > MOST_DEPTH:
        raise ValueError(f"it is nested deeper than {MOST_DEPTH} levels, or holds itself")
    lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for number, one in enumerate(node.value):
            _walk(one, (*where, number), lines, count)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, one in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                raise ValueError(f"the key {name[:80]!r} stands twice (line {key.start_mark.line + 1})")
            seen.add(name)
            lines[*where, name] = key.start_mark.line + 1
            _walk(one, (*where, name), lines, count)


def _plain(value: Any) -> Any:
    """As JSON would have it: keys are texts, and dates are the texts that they were written as."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
