"""What the rules add where a wish leaves something open: light, framing, depth, surface, palette, by what is drawn.

The rows are in dressing.toml. Nothing is added to what the words or a preset say already.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from workflows.families import Family
from workflows.prompts.dialects import Dialect
from workflows.prompts.reading import Reading, grams, tables, terms
from workflows.types import Change

MOST_SENTENCES, MOST_TAGS = 4, 4
"""Rows that are taken at most; of families that want long captions one more."""
WANTS_MORE = 60
"""Least words of a family that wants long captions."""
_ASPECTS = {
    "light": "the light was left open",
    "framing": "the framing was left open",
    "depth": "what is sharp was left open",
    "surface": "how it is made was left open",
    "palette": "the colours of the whole were left open",
    "motion": "the camera's movement was left open",
}
Aspect = Literal["light", "framing", "depth", "surface", "palette", "motion"]


class Row(BaseModel):
    """An addition and where it fits; empty lists fit everywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aspect: Aspect
    content: str = ""
    look: str = ""
    when: str = ""
    unless: str = ""
    several: bool = False
    """Only of several people."""
    flat: bool = False
    """Only of marks and sheets, such as icons and maps."""
    say: str
    """One sentence, or several ways to say it between bars."""
    tags: str = ""
    booru: str = ""

    def sentence(self, reading: Reading) -> str:
        """What it says of these words: the same for the same words."""
        ways = [way.strip() for way in self.say.split("|")]
        return ways[zlib.crc32(reading.words.lower().encode()) % len(ways)]

    def fits(self, reading: Reading) -> bool:
        """Whether it may be said of a picture of these words."""
        return (
            reading.content in (_parts(self.content) or (reading.content,))
            and reading.look in (_parts(self.look) or (reading.look,))
            and (not self.when or terms(self.when).among(reading.told if self.aspect == "surface" else reading.grams))
            and (reading.several or not self.several)
            and (reading.flat or not self.flat)
            and not (self.unless and terms(self.unless).among(reading.grams))
        )


@dataclass(frozen=True)
class Addition:
    """Words to add, and why."""

    text: str
    change: Change


def additions(reading: Reading, family: Family, dialect: Dialect) -> Iterator[Addition]:
    """What to add, the most telling first; nothing where the wish is long, or not understood."""
    if dialect.edits or reading.long or reading.foreign or dialect.form == "plain":
        return
    sentences = dialect.form == "sentences"
    told, length, taken = reading.told, _words_said(reading), 0
    most = (MOST_SENTENCES if sentences else MOST_TAGS) + (dialect.words[0] >= WANTS_MORE)
    for row in _rows(reading, family):
        text = row.sentence(reading) if sentences else row.booru if dialect.booru else row.tags
        if not sentences:
            text = ", ".join(part for part in _parts(text) if not grams(part) <= told)
        enough = length >= dialect.words[0] and taken >= 2 if sentences else False
        if not text or enough or taken >= most:
            continue
        taken, length, told = taken + 1, length + len(text.split()), told | grams(text)
        yield Addition(text, Change(what=f"added: {text}", why=_ASPECTS[row.aspect]))


def _words_said(reading: Reading) -> int:
    return reading.count + sum(len(preset.text.split()) for preset in reading.wish.presets)


def _rows(reading: Reading, family: Family) -> Iterator[Row]:
    """The first fitting row of each aspect that is open, in the order of what is drawn."""
    order = tables()["order"].get("flat" if reading.flat else reading.content, "light framing").split()
    if reading.look not in {"realistic", ""} and "surface" in order:
        order = ["surface", *(aspect for aspect in order if aspect != "surface")]
    for aspect in [*(["motion"] if family.video else []), *order]:
        if reading.says(aspect):
            continue
        row = next((row for row in _all_rows() if row.aspect == aspect and row.fits(reading)), None)
        if row:
            yield row


@cache
def _all_rows() -> tuple[Row, ...]:
    return tuple(Row.model_validate(row) for row in tables()["row"])


@cache
def _parts(listed: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in listed.split(",") if part.strip())
