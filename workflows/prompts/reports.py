"""Reports: what a prompt says of a picture, what it leaves to the model, and what is wrong with it for a family.

Rules on words; no model is asked. The first call imports inflect, which takes a second: a caller with an event loop
puts it on a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, zip_longest
from typing import Literal

from utils.emphasis import emphasis
from utils.reading import vocabulary as grammar
from utils.reading.atoms import gist, spoken
from utils.reading.phrases import colour_family
from utils.tokens import estimate
from workflows.errors import NotFound
from workflows.families import Family
from workflows.presets import Shelf
from workflows.prompts import looks, surgery
from workflows.prompts.dialects import Dialect, boosters, dialect_of
from workflows.prompts.spelling import BREAK, NETS
from workflows.selection.analysis import analyse
from workflows.types import Change, PromptAnalysis, PromptReport
from workflows.wording import find_subject

MOST_READ = 8000
"""Characters of a prompt that are read for phrases."""
MOST_FOUND = 12
"""Phrases told for an area."""
MOST_WEIGHT = 1.6
"""Beyond it CLIP encoders distort."""
MOST_SUGGESTIONS = 8
AREAS = ("medium", "setting", "composition", "lighting", "colour", "mood", "quality", "text")
NEEDED = ("medium", "setting", "composition", "lighting", "colour", "mood")
"""What a picture has in any case, so that a prompt without a word on it leaves it to the model."""
_CHOICES = re.compile(r"\{[^{}|\n]{0,80}(?:\|[^{}|\n]{0,80})+\}|__[\w/*-]+?__")
"""Wildcards: {red|blue}, __colour__."""
_QUOTED = re.compile(r"\"([^\"\n]{1,120})\"|“([^”\n]{1,120})”|「([^」\n]{1,60})」")
_SCORES = re.compile(r"(?<![^\W_])(?:score_\d(?:_up)?|source_\w+|rating_\w+)(?![^\W_])", re.IGNORECASE)
_NOT = re.compile(
    r"(?<![\w-])(?:without|no|not|never|don['’]t|do not)\s+(?:(?:any|a|an|the|have|show|include|draw|add)\s+){0,2}"
    r"(?P<thing>[a-z][\w-]*(?:\s+[a-z][\w-]*)?)",
    re.IGNORECASE,
)
_NO_THINGS = frozenset("one longer more less only humans doubt matter".split())
"""Words after "no" that rule out no thing; "no humans" is a tag that anime models know."""
_BRACKETED = re.compile(r"\(([^()]*):\s*(-?\d+(?:\.\d+)?)\s*\)")
_PART = re.compile(r"[,;.\n]+")
_WORDS = re.compile(r"[^\W_]+")
_FITTING: dict[str, dict[str, tuple[str, ...]]] = {
    "medium": {
        "": ("style:cinematic", "style:digital-art"),
        "portrait": ("style:studio-portrait-photo", "style:oil-painting"),
        "character": ("style:concept-art", "style:cinematic"),
        "landscape": ("style:matte-painting", "style:photorealistic"),
        "object": ("style:product-photo", "style:3d-render"),
        "animal": ("style:photorealistic", "style:storybook-illustration"),
        "architecture": ("style:photorealistic", "style:isometric"),
    },
    "composition": {
        "": ("composition:rule-of-thirds",),
        "portrait": ("composition:close-up", "composition:eye-level"),
        "character": ("composition:medium-shot", "composition:low-angle"),
        "landscape": ("composition:wide-shot", "composition:leading-lines"),
        "scene": ("composition:wide-shot", "composition:layered-depth"),
        "object": ("composition:close-up", "composition:negative-space"),
        "animal": ("composition:eye-level", "composition:close-up"),
        "architecture": ("composition:symmetrical", "composition:low-angle"),
    },
    "lighting": {
        "": ("lighting:golden-hour", "lighting:volumetric"),
        "portrait": ("lighting:window-light", "lighting:rembrandt"),
        "object": ("lighting:softbox",),
        "architecture": ("lighting:blue-hour",),
    },
    "colour": {"": ("colour-palette:warm-tones", "colour-palette:muted")},
    "mood": {"": ("mood:dramatic", "mood:peaceful")},
    "setting": {"": ("time-of-day:dusk", "weather:fog")},
}  # fmt: skip
"""Presets that fill an area, by what the prompt shows; "": anything else."""


def report(prompt: str, family: Family, shelf: Shelf | None = None) -> PromptReport:
    """What the prompt says by area, what it lacks, and what is wrong with it for the family, each with what to do.

    `shelf`: presets that would fill what is missing are suggested from it.
    """
    text = _Prompt(prompt)
    dialect = dialect_of(family.profile.name)
    read = analyse(prompt)
    styled = bool(read.style) or "anime" in family.style
    missing = tuple(area for area in NEEDED if not (text.has.get(area) or (area == "medium" and styled)))
    return PromptReport(
        family=family.profile.name,
        subject=text.subject,
        style=read.style,
        content_type=read.content_type,
        kind=text.kind,
        has=text.has,
        missing=missing,
        problems=tuple(_problems(text, family, dialect)),
        tokens=estimate(prompt, dialect.encoder),
        budget=dialect.budget,
        suggestions=_suggestions(missing, read, text, shelf),
    )


@dataclass(frozen=True)
class _Prompt:
    """A prompt and what its words are about, each found once."""

    raw: str

    @cached_property
    def plain(self) -> str:
        """Without weights, brackets and LoRA tags."""
        return spoken(self.raw[:MOST_READ])

    @cached_property
    def shown(self) -> str:
        """Without what is to be written in the picture, and what it says no to."""
        return _NOT.sub(" ", _QUOTED.sub(" ", self.plain))

    @cached_property
    def subject(self) -> str:
        """What the picture is of, without words of quality."""
        said = re.sub(r"\b(?:that|which)?\s*(?:says|reads|saying|reading)\s*$", "", gist(self.shown).strip())
        said = re.sub(r"\bBREAK\b", ",", said)
        found, phrase = find_subject(said), surgery.subject(said)
        if found and phrase and colour_family(found.noun) is None and found.noun not in grammar.MEDIA:
            return said[found.start : found.end]
        if phrase is None:
            return said[found.start : found.end] if found else ""
        return said[slice(*phrase.span)]

    @cached_property
    def parts(self) -> list[str]:
        """What stands between commas and full stops."""
        return [part.strip() for part in _PART.split(self.plain) if part.strip()]

    @cached_property
    def kind(self) -> Literal["tags", "sentences", "mixed"]:
        """Whether it is a list of short phrases, sentences, or both."""
        lengths = [len(_WORDS.findall(part.replace("_", " "))) for part in self.parts]
        short, long = sum(length <= 3 for length in lengths), sum(length > 5 for length in lengths)
        if not long and short * 10 >= len(lengths) * 6 and len(lengths) > 1:
            return "tags"
        return "mixed" if short >= 4 and long else "sentences"

    @cached_property
    def has(self) -> dict[str, tuple[str, ...]]:
        found = {area: self._found(area) for area in AREAS}
        return {area: phrases for area, phrases in found.items() if phrases}

    def _found(self, area: str) -> tuple[str, ...]:
        if area == "text":
            return tuple(next(filter(None, one.groups())) for one in _QUOTED.finditer(self.plain))[:MOST_FOUND]
        terms = tuple(sorted(boosters(), key=len, reverse=True)) if area == "quality" else looks.areas()[area]
        told = looks.pattern(looks.areas()["composition"]).sub(" ", self.shown) if area == "setting" else self.shown
        found = [one.group().lower() for one in looks.pattern(terms).finditer(told)]
        if area == "colour":
            found += [word for word in self.words if _is_colour(word)]
        return tuple(dict.fromkeys(found))[:MOST_FOUND]

    @cached_property
    def words(self) -> list[str]:
        return [word.lower() for word in _WORDS.findall(self.shown)]

    def named(self, terms: Sequence[str]) -> str:
        """The first of the terms that it names, or ""."""
        found = looks.pattern(tuple(terms)).search(self.shown)
        return found.group() if found else ""


def _is_colour(word: str) -> bool:
    return colour_family(word) is not None and word not in grammar.NAMED_AFTER_THINGS - {"gold", "silver"}


# ---------------------------------------------------------------------- problems


def _problems(text: _Prompt, family: Family, dialect: Dialect) -> Iterator[Change]:
    if not text.plain.strip():
        yield Change(what="it says nothing", why="name a subject, and where it is")
        return
    yield from _of_length(text, dialect)
    yield from _of_weights(text, family)
    yield from _of_negatives(text, family)
    yield from _of_marks(text)
    yield from _of_quality(text, family, dialect)
    yield from _of_form(text, dialect)
    yield from _against_itself(text)
    yield from _said_twice(text)


def _of_length(text: _Prompt, dialect: Dialect) -> Iterator[Change]:
    tokens, count = estimate(text.raw, dialect.encoder), len(_WORDS.findall(text.plain))
    if dialect.budget and tokens > dialect.budget:
        what = f"about {tokens} tokens, and {dialect.budget} are read well"
        yield Change(
            what=what, why="what comes last counts least or is cut off: say the most important first, and less"
        )
    least = dialect.words[0]
    if least and count < least // 2 and dialect.form != "plain":
        what = f"{count} word{'s' if count > 1 else ''}, and the model was trained on long descriptions"
        yield Change(what=what, why=f"about {least} words leave less to chance: place, light, framing, colours")


def _of_weights(text: _Prompt, family: Family) -> Iterator[Change]:
    weighted = [(one[1].strip(), float(one[2])) for one in _BRACKETED.finditer(text.raw[:MOST_READ])]
    if not family.profile.weights:
        if weighted or any(part.weight != 1.0 for part in emphasis(text.raw[:MOST_READ])):
            first = f"({weighted[0][0]}:{weighted[0][1]:g})" if weighted else "brackets"
            yield Change(
                what=f"weights such as {first}", why="this family reads them as letters: say it first, or in more words"
            )
    else:
        for phrase, weight in weighted:
            if weight > MOST_WEIGHT or weight < 0:
                why = f"beyond {MOST_WEIGHT} the picture distorts: use 1.1 to 1.4"
                yield Change(what=f"a weight of {weight:g} on {phrase[:40]}", why=why)
    plain = re.sub(r"\\[()\[\]]", "", text.raw)
    for opener, closer in ("()", "[]"):
        if plain.count(opener) != plain.count(closer):
            what = f"{plain.count(opener)} of {opener} and {plain.count(closer)} of {closer}"
            yield Change(what=what, why="close every bracket; one without its partner is read as a letter")


def _of_marks(text: _Prompt) -> Iterator[Change]:
    """What other programs read, and no encoder does."""
    told = _QUOTED.sub(" ", text.raw[:MOST_READ])
    for tag in dict.fromkeys(NETS.findall(told)):
        yield Change(what=tag, why="it would be read as words: name a LoRA beside the prompt")
    if BREAK.search(told):
        yield Change(what="BREAK", why="it would be read as a word: a comma says the same")
    for found in dict.fromkeys(_CHOICES.findall(told)):
        yield Change(
            what=found, why="nothing chooses for you here: write the one you mean, or ask for several pictures"
        )


def _of_negatives(text: _Prompt, family: Family) -> Iterator[Change]:
    told = _QUOTED.sub(" ", text.plain)
    things = [found for found in _NOT.finditer(told) if found["thing"].split()[0].lower() not in _NO_THINGS]
    for found in things[:4]:
        thing = found["thing"]
        read = f"put {thing} into the negative prompt" if family.profile.negatives else "say what is there instead"
        why = f"what a prompt names tends to be drawn: {read}, such as an empty street for no people"
        yield Change(what=" ".join(found.group().split()), why=why)


def _of_quality(text: _Prompt, family: Family, dialect: Dialect) -> Iterator[Change]:
    scores = [one.group() for one in _SCORES.finditer(text.raw[:MOST_READ])]
    reads_scores = family.dialect == "pony" or family.profile.name == "pony-v7"
    if scores and not reads_scores:
        yield Change(what=", ".join(dict.fromkeys(scores)), why="only Pony knows these tags: leave them out")
    if reads_scores and not scores and dialect.first:
        yield Change(what="no score tags", why=f"begin with {', '.join(dialect.first)}; enhancing adds them")
    quality = text.has.get("quality", ())
    if quality and not dialect.boosters:
        why = "this family was trained on plain descriptions: they do nothing or harm; say what is seen instead"
        yield Change(what=", ".join(quality), why=why)


def _of_form(text: _Prompt, dialect: Dialect) -> Iterator[Change]:
    if dialect.form == "sentences" and text.kind == "tags" and len(text.parts) > 5:
        yield Change(what="a list of tags", why="this family follows sentences better: say how things go together")
    if dialect.form == "tags" and text.kind == "sentences" and len(text.words) > 25:
        yield Change(what="long sentences", why="this family was trained on short phrases with commas")
    if dialect.booru and re.search(r"\b[a-z]+_[a-z]+", _SCORES.sub("", text.raw)):
        yield Change(what="underscores in tags", why="write spaces: long hair instead of long_hair")
    unread = sum(letter.isalpha() and not letter.isascii() for letter in text.shown)
    if dialect.encoder == "clip" and unread * 2 > sum(map(str.isalpha, text.shown)):
        yield Change(what="a script that its encoder does not know", why="write it in English")


def _against_itself(text: _Prompt) -> Iterator[Change]:
    for about, (one, other) in ((name, lists) for name, lists in looks.against().items()):
        first, second = text.named(one), text.named(other)
        if first and second:
            yield Change(what=f"{first} and {second}", why=f"they contradict each other ({about}): keep one")


def _said_twice(text: _Prompt) -> Iterator[Change]:
    seen: dict[str, int] = {}
    for part in text.parts:
        low = " ".join(_WORDS.findall(part.lower()))
        seen[low] = seen.get(low, 0) + 1
    for phrase, times in seen.items():
        if times > 1 and phrase:
            yield Change(
                what=f"{phrase[:60]}, {times} times", why="once is enough: a repeated phrase takes room from others"
            )


# ---------------------------------------------------------------------- suggestions


def _suggestions(missing: Sequence[str], read: PromptAnalysis, text: _Prompt, shelf: Shelf | None) -> tuple[str, ...]:
    """Paths of presets that fill what is missing, go with what is shown, and say nothing against the prompt."""
    if shelf is None:
        return ()
    rows = [_FITTING[area].get(read.content_type) or _FITTING[area].get("", ()) for area in missing]
    ranked = (path for rank in zip_longest(*rows) for path in rank if path)  # of each area the first before the second
    fitting = (path for path in ranked if _is_there(path, shelf) and _goes_with(path, text, shelf))
    return tuple(dict.fromkeys(islice(fitting, MOST_SUGGESTIONS)))


def _is_there(path: str, shelf: Shelf) -> bool:
    try:
        return any(preset.path == path for preset in shelf.find(path))
    except NotFound:
        return False


def _goes_with(path: str, text: _Prompt, shelf: Shelf) -> bool:
    said = " ".join(preset.text for preset in shelf.find(path))
    return not any(_against_itself(_Prompt(f"{text.plain}, {said}"))) or any(_against_itself(text))
