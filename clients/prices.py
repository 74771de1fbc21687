"""Prices: what a call to a service costs, from our list and the owner's. Asks nobody."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Self, cast

UNITS: Mapping[str, str] = {
    "image": "images",
    "megapixel": "megapixels",
    "second": "seconds",
    "video": "videos",
    "request": "requests",
    "million_tokens": "",
}
"""What a price can be for, and what the calls name it in their units."""
KEYS = frozenset({"per", "usd", "rounded", "source", "date"})
MILLION = 1_000_000
_LINE = re.compile(r"\(at line (\d+)")
_NAME = re.compile(r"[a-z][a-z0-9_-]*(:\S.*)?")


class BadPrices(ValueError):
    """A price list that cannot be used; the text names the file and the line."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """US dollars for one of what it is per; of tokens, for a million that go in, and that come out."""

    per: str
    usd: float
    usd_out: float = 0.0
    rounded: bool = False

    def of(self, units: Mapping[str, float]) -> float | None:
        """What so much costs; None where the units do not say how much it was."""
        if not self.usd and not self.usd_out:
            return 0.0
        if self.per == "million_tokens":
            if "input_tokens" not in units:
                return None
            return (units["input_tokens"] * self.usd + units.get("output_tokens", 0.0) * self.usd_out) / MILLION
        amount = units.get(UNITS.get(self.per, ""))
        if amount is None:
            return None
        return self.usd * (math.ceil(amount) if self.rounded else amount)


class Prices:
    """By service and model; a service's own price is for all its models that have none."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = dict(prices)

    @classmethod
    def read(cls, own: Path | None = None) -> Self:
        """Our list, and the owner's file above it. Blocking. Raises BadPrices."""
        ours = _read(files("clients").joinpath("prices.toml").read_text(encoding="utf-8"), "prices.toml")
        if own is None:
            return cls(ours)
        try:
            text = own.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadPrices(f"ATELIER_PRICES: {own} cannot be read: {error}.") from error
        return cls(ours | _read(text, str(own)))

    def known(self, service: str, model: str = "") -> bool:
        return f"{service}:{model}" in self._prices or service in self._prices

    def of(self, service: str, model: str, units: Mapping[str, float]) -> float | None:
        """US dollars, or None where nobody knows."""
        price = self._prices.get(f"{service}:{model}") or self._prices.get(service)
        return price.of(units) if price else None

    def learn(self, service: str, model: str, unit: str, usd: float) -> None:
        """What the service itself said: `unit` in its own word, such as megapixels. One that we do not count in says
        nothing, unless it is free."""
        per = unit.strip().lower().removesuffix("s")
        if per in UNITS or not usd:
            self._prices.setdefault(f"{service}:{model}", Price(per=per, usd=usd, rounded=per == "megapixel"))


def _read(text: str, name: str) -> dict[str, Price]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _LINE.search(str(error))
        where = f"{name}, line {line[1]}" if line else name
        raise BadPrices(f"{where} is no TOML: {str(error).partition(' (at')[0]}.") from error
    return {key: _price(key, table, _Place(name=name, text=text)) for key, table in tables.items()}


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where in a file something is wrong."""

    name: str
    text: str

    def fault(self, key: str, word: str, what: str) -> BadPrices:
        return BadPrices(f"{self.name}, line {self._line(key, word)}: the price of {key!r} {what}.")

    def _line(self, key: str, word: str) -> int:
        """That of the word below the table's head, else of the head."""
        head = 0
        for number, line in enumerate(self.text.splitlines(), 1):
            if line.lstrip().startswith("["):
                if head:
                    break
                head = number if key in line else 0
            elif head and word and line.lstrip().startswith(word):
                return number
        return head or 1


def _price(key: str, table: object, place: _Place) -> Price:
    if not isinstance(table, dict) or _NAME.fullmatch(key) is None:
        raise place.fault(key, "", 'is written ["service:model"] with per and usd below it')
    found = cast("dict[str, Any]", table)
    strange = sorted(set(found) - KEYS)
    if strange:
        raise place.fault(key, strange[0], f"has {strange[0]!r}; known are {', '.join(sorted(KEYS))}")
    per, usd = str(found.get("per")), found.get("usd")
    if per not in UNITS:
        raise place.fault(key, "per", f"is per {found.get('per')!r}; it can be per {', '.join(UNITS)}")
    if per == "million_tokens" and isinstance(usd, dict):
        both = cast("dict[str, Any]", usd)
        if set(both) == {"input", "output"} and all(map(_is_money, both.values())):
            return Price(per=per, usd=float(both["input"]), usd_out=float(both["output"]))
    elif per != "million_tokens" and _is_money(usd):
        return Price(per=per, usd=float(cast("float", usd)), rounded=found.get("rounded") is True)
    right = "{ input = 0.3, output = 2.5 }" if per == "million_tokens" else "0.002"
    raise place.fault(key, "usd", f"has usd = {usd!r}; write it like usd = {right}")


def _is_money(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
