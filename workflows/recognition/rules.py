"""The tables of signs and their reading: which rule holds for the tensors of a file. It knows no model by itself.

A rule holds when all its `when`, and one of its `either` if it has any, are true of the tensors. A condition is

    blocks.0.attn.weight             there is a tensor of that name (the model's prefix is put in front)
    blocks.0.attn.weight[1] = 768    and that dimension is one of these: 768|1024; [n] is the number of dimensions
    blocks.0....                     there is a name that begins so
    ...time_stack...                 there is a name that holds this
    /v_pred                          there is a tensor of just that name, without any prefix
    !condition                       it is not so
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from utils.safetensors_header import Tensor

DOTS = "..."


class Names:
    """The tensors of a file, ready to be asked."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors
        self.text = "\n".join(("", *tensors, ""))
        """Every name between two line ends: a search in one text is much quicker than one in a thousand names."""

    @cached_property
    def flat(self) -> str:
        """The text with each dot as an underscore, as some trainers write: same length, same places."""
        return self.text.replace(".", "_")

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.tensors)

    def begins(self, start: str) -> bool:
        """Whether any name does."""
        place = bisect_left(self._sorted, start)
        return place < len(self._sorted) and self._sorted[place].startswith(start)


@dataclass(frozen=True)
class Condition:
    """One sign; see the module's docstring."""

    name: str
    way: str
    """tensor, start, part, or root."""
    dimension: int | None = None
    """-1: the number of dimensions."""
    sizes: frozenset[int] = frozenset()
    negated: bool = False

    def holds(self, names: Names, prefix: str) -> bool:
        return self._found(names, prefix) is not self.negated

    def _found(self, names: Names, prefix: str) -> bool:
        if self.way == "part":
            return self.name in names.text
        if self.way == "start":
            return names.begins(prefix + self.name)
        tensor = names.tensors.get(self.name if self.way == "root" else prefix + self.name)
        if tensor is None or self.dimension is None:
            return tensor is not None
        if self.dimension < 0:
            return len(tensor.shape) in self.sizes
        return self.dimension < len(tensor.shape) and tensor.shape[self.dimension] in self.sizes


_CONDITION = re.compile(r"(?P<no>!?)(?P<name>[^\s\[]+)(?:\[(?P<dimension>\d|n)\] = (?P<sizes>[\d|]+))?")


def condition(text: str) -> Condition:
    """Reads one. Raises ValueError for what is none."""
    found = _CONDITION.fullmatch(text)
    if not found:
        raise ValueError(f"not a condition: {text}")
    name, dimension = found["name"], found["dimension"]
    return Condition(
        name.strip("/").removeprefix(DOTS).removesuffix(DOTS),
        _way(name),
        None if dimension is None else -1 if dimension == "n" else int(dimension),
        frozenset(map(int, (found["sizes"] or "").split("|"))) if found["sizes"] else frozenset(),
        bool(found["no"]),
    )


def _way(name: str) -> str:
    if name.startswith("/"):
        return "root"
    if name.startswith(DOTS):
        return "part"
    return "start" if name.endswith(DOTS) else "tensor"


@dataclass(frozen=True)
class Rule:
    """What a file is for which the conditions hold."""

    family: str
    kind: str = ""
    when: tuple[Condition, ...] = ()
    either: tuple[Condition, ...] = ()
    variant: str = ""
    variants: tuple[tuple[Condition, str], ...] = ()
    """The first that holds says more."""
    flavours: tuple[str, ...] = ()
    """Families that look just the same here; the metadata or the name tells them apart."""
    guess: bool = False
    """The family is but the likeliest of the flavours."""
    parts: tuple[str, ...] = ()
    """What such a file always holds."""

    def holds(self, names: Names, prefix: str = "") -> bool:
        return all(sign.holds(names, prefix) for sign in self.when) and (
            not self.either or any(sign.holds(names, prefix) for sign in self.either)
        )

    def variant_of(self, names: Names, prefix: str = "") -> str:
        return next((variant for sign, variant in self.variants if sign.holds(names, prefix)), self.variant)


@cache
def rules(table: str) -> tuple[Rule, ...]:
    """The rules of one of the tables here, in the order in which they are tried."""
    text = files("workflows.recognition").joinpath(f"{table}.toml").read_text(encoding="utf-8")
    return tuple(rule_of(row) for row in tomllib.loads(text)["rule"])


def rule_of(row: Mapping[str, Any]) -> Rule:
    """Raises ValueError for what is no rule."""
    if unknown := set(row) - {field.name for field in fields(Rule)}:
        raise ValueError(f"a rule has no {', '.join(sorted(unknown))}")
    return Rule(
        family=row["family"],
        kind=row.get("kind", ""),
        when=tuple(map(condition, row.get("when", ()))),
        either=tuple(map(condition, row.get("either", ()))),
        variant=row.get("variant", ""),
        variants=tuple((condition(sign), variant) for sign, variant in row.get("variants", ())),
        flavours=tuple(row.get("flavours", ())),
        guess=row.get("guess", False),
        parts=tuple(row.get("parts", ())),
    )


def first(table: str, names: Names, prefixes: Iterable[str] = ("",)) -> tuple[Rule, str] | None:
    """The first rule that holds, and the prefix under which it does."""
    known = rules(table)
    for prefix in prefixes:
        for rule in known:
            if rule.holds(names, prefix):
                return rule, prefix
    return None


def present(names: Names, prefixes: Sequence[str]) -> list[str]:
    """Those prefixes that a name has."""
    return [prefix for prefix in prefixes if not prefix or names.begins(prefix)]
