"""What somebody wrote, brought into a family's form: its own words, no weights it cannot read, its budget, negatives.

The rules and language models both end here, so that no prompt leaves in another form. Nobody is asked anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from utils.tokens import estimate
from workflows.families import Family
from workflows.prompts.dialects import Dialect, dialect_of
from workflows.prompts.negatives import joined, merged, negative_for, parts_of
from workflows.prompts.reading import Reading, all_stems
from workflows.prompts.saying import capital, ended
from workflows.prompts.spelling import QUOTED, Spelt, spelt
from workflows.selection.words import stems
from workflows.types import MAX_PROMPT, Change, Wish, Written

_SENTENCE = re.compile(r"(?<=[.!?。！？])[\"”’]?\s+(?=[\"“A-Z0-9])|(?<=[。！？])")
_CLAUSE = re.compile(r"\s*[,;]\s*|(?<=[.!?])\s+")
_SMALL = frozenset(
    "a an the of in on at by with and or to from for is are it its as into over under near this that there one his her "
    "their very picture image photograph photo scene".split()
)
TOOK_UP = "took up "
"""How a change begins that took up what was picked."""
_PHOTOS = frozenset({"photo", "photograph", "photography", "photorealism", "photographic"})


@dataclass(frozen=True)
class Unit:
    """A sentence, or the words between two commas. `own`: the user's words are in it, so that it stays."""

    text: str
    own: bool = False
    added: tuple[str, ...] = ()
    """What of it is not the user's."""
    change: Change | None = None
    spare: int = 0
    """How well it can be done without: what has more goes first where there is no room."""

    @classmethod
    def extra(cls, text: str, change: Change | None = None, spare: int = 0) -> Unit:
        return cls(text, False, (text,), change, spare)


@dataclass(frozen=True)
class Draft:
    """A prompt before it is fitted."""

    units: Sequence[Unit]
    negative: str = ""
    changes: Sequence[Change] = ()
    notes: Sequence[str] = field(default=())


def fitted(
    prompt: str, negative: str, wish: Wish, family: Family, *, by: str, adult: bool = False, model: str = ""
) -> Written:
    """What was written for a wish, in the family's form, with every change and its reason.

    `by`: who wrote it. What of it is not the user's is told apart by the words that both have.
    """
    dialect = dialect_of(family.profile.name)
    own = spelt(wish.words, family, dialect)
    body = spelt(prompt, family, dialect)
    against = joined(merged(parts_of(negative), body.against))
    draft = Draft(tuple(_units(body.text, own.text, dialect)), against, _fresh(own.changes, body.changes))
    return assembled(draft, own, wish, family, by=by, adult=adult, model=model)


def assembled(
    draft: Draft, own: Spelt, wish: Wish, family: Family, *, by: str = "rules", adult: bool = False, model: str = ""
) -> Written:
    """The draft with the family's own words around it, within its budget, and its negative prompt."""
    dialect = dialect_of(family.profile.name)
    reading = Reading(own.text, wish, family)
    first, last = _own_words(dialect, reading, draft, adult=adult)
    units, over = _within_budget([*first, *_once(_body(draft.units, dialect), dialect), *last], first, last, dialect)
    prompt = _text(units, dialect)
    negative, told = _negative(draft, own, wish, family, reading, adult=adult)
    changes = [*draft.changes, *(unit.change for unit in units if unit.change), *told, *over]
    return Written(
        prompt=prompt[:MAX_PROMPT],
        negative=negative,
        words=wish.words,
        added=tuple(part for unit in units for part in unit.added),
        changes=tuple(dict.fromkeys(changes)),
        family=family.profile.name,
        model=model,
        tokens=estimate(prompt, dialect.encoder),
        budget=dialect.budget,
        presets=tuple(preset.path or preset.id for preset in wish.presets),
        by=by,
        notes=(*draft.notes, *_notes(reading, dialect, family), *_over_budget(prompt, dialect)),
    )


# ---------------------------------------------------------------------------------------------------- words around


def _own_words(dialect: Dialect, reading: Reading, draft: Draft, *, adult: bool) -> tuple[list[Unit], list[Unit]]:
    """What the family wants before and after all else; without what is there already, but for the tags that have to
    stand first: those come from where they stand in the draft."""
    there = {_plain(part) for unit in draft.units for part in unit.text.split(",")}
    own = {_plain(part) for unit in draft.units if unit.own for part in unit.text.split(",")}
    source = dialect.sources.get("furry" if "furry" in dialect.sources and _furry(reading) else reading.look, "")
    sourced = any(part.startswith("source ") for part in there)
    rating = [] if adult or not dialect.rating else [dialect.rating]
    before = [*dialect.first, *([source] if source and not sourced else [])]
    fits = not dialect.last_for or (reading.look in dialect.last_for and not reading.writes)
    after = [*(dialect.last if fits else ()), *(rating if dialect.rating_last else [])]
    before += [] if dialect.rating_last else rating
    tags = {_plain(tag) for tag in dialect.first}
    first = [
        Unit(word, own=True) if _plain(word) in own & tags else Unit.extra(word, _of_its_own(word, dialect))
        for word in before
        if _plain(word) not in there - tags
    ]
    last = [Unit.extra(word, _of_its_own(word, dialect)) for word in after if _plain(word) not in there]
    if dialect.system and not draft_has(draft, dialect.system):
        why = "its encoder was trained with it"
        first.insert(0, Unit.extra(dialect.system, Change(what="put its system prompt first", why=why)))
    return first, last


def _body(units: Sequence[Unit], dialect: Dialect) -> list[Unit]:
    """The units without the tags that stand before them all."""
    tags = {_plain(tag) for tag in dialect.first}
    if not tags:
        return list(units)
    kept = [(unit, [part for part in unit.text.split(",") if _plain(part) not in tags]) for unit in units]
    return [replace(unit, text=",".join(parts).strip()) for unit, parts in kept if parts]


def draft_has(draft: Draft, text: str) -> bool:
    return any(unit.text.startswith(text) for unit in draft.units)


def _of_its_own(word: str, dialect: Dialect) -> Change:
    if word.startswith("score_"):
        return Change(what="put its score tags first", why="they are what it was taught quality by")
    if word.startswith("source_"):
        return Change(what=f"added {word}", why="it tells it which kind of pictures to draw like")
    if word == dialect.rating:
        return Change(what=f"added {word}", why="it keeps the picture fit for everybody")
    if dialect.form == "sentences":
        return Change(what=f"added: {word}", why="its makers end their prompts so")
    return Change(what="added its quality tags", why="it was trained with them")


def _furry(reading: Reading) -> bool:
    return any(gram in reading.grams for gram in (("furry",), ("anthro",), ("kemono",)))


def _plain(part: str) -> str:
    return " ".join(part.replace("_", " ").strip(" ().").lower().split())


# ---------------------------------------------------------------------------------------------------- the parts


def _units(body: str, own: str, dialect: Dialect) -> Iterator[Unit]:
    """The body in its sentences or tags, each with what is not the user's."""
    said = all_stems([own]) - _SMALL
    at = body.lower().find(own.lower()) if own else -1
    if at < 0:
        yield from (_unit(part, said) for part in _split(body, dialect))
        return
    before, after = body[:at].rstrip(), body[at + len(own) :]
    found = re.match(r"[^.!?,;]*", after) if dialect.form == "sentences" else None
    glued = found[0] if found else ""
    head = _split(before, dialect)
    lead = head.pop() if head and not re.search(r"[.!?,;]$", before) else ""
    yield from (_unit(part, frozenset()) for part in head)
    yield Unit(
        f"{lead} {body[at : at + len(own)]}{glued}".strip(),
        True,
        tuple(part.strip() for part in (lead, glued) if part.strip()),
    )
    yield from (_unit(part, frozenset()) for part in _split(after[len(glued) :].lstrip(" ,;.!?"), dialect))


def _split(text: str, dialect: Dialect) -> list[str]:
    """Sentences, or what stands between commas; nothing is split inside quotation marks or brackets."""
    if dialect.form == "sentences":
        return [part.strip() for part in _SENTENCE.split(text) if part and re.search(r"\w", part)]
    held = QUOTED.sub(lambda quote: quote[0].replace(",", "\ue000"), text)
    return [part.replace("\ue000", ",").strip(" .") for part in parts_of(held) if re.search(r"\w", part)]


def _unit(part: str, said: frozenset[str]) -> Unit:
    """A part of what somebody wrote: the user's where it has words of theirs."""
    if not said & _content(part):
        return Unit.extra(part)
    clauses = [clause.strip(" .") for clause in _CLAUSE.split(part) if re.search(r"\w", clause)]
    return Unit(part, True, tuple(clause for clause in clauses if not said & _content(clause)))


def _content(text: str) -> set[str]:
    return set(stems(text)) - _SMALL


def _once(units: Sequence[Unit], dialect: Dialect) -> Iterator[Unit]:
    """The units without those that were said before; the user's stay, however often they say it."""
    known: set[str] = set()
    for unit in units:
        key = _plain(unit.text)
        if unit.own or key not in known:
            yield unit
        known.add(key)
        if dialect.form != "sentences":
            known |= {_plain(part) for part in unit.text.split(",")}


def _text(units: Sequence[Unit], dialect: Dialect) -> str:
    if dialect.form == "plain":
        return " ".join(unit.text for unit in units)
    if dialect.form == "sentences":
        spoken = [unit.text if unit.text == dialect.system else ended(capital(unit.text)) for unit in units]
        return " ".join(spoken)
    last = len(units) - 1
    texts = (unit.text.rstrip(" ,;") if place == last else unit.text.rstrip(" ,;.") for place, unit in enumerate(units))
    return ", ".join(text for text in texts if text)


def _within_budget(
    units: Sequence[Unit], first: Sequence[Unit], last: Sequence[Unit], dialect: Dialect
) -> tuple[list[Unit], list[Change]]:
    """Without the additions that do not fit: the most spare ones first, of these the last, then the family's own."""
    kept = list(units)
    budget = dialect.budget
    dropped: list[Unit] = []
    if not budget:
        return kept, []
    extra = [unit for unit in reversed(kept) if not unit.own and unit not in first and unit not in last]
    spare = sorted(extra, key=lambda unit: -unit.spare)
    repeated = [unit for place, unit in reversed(list(enumerate(kept))) if unit.own and _repeats(place, kept)]
    for unit in (*spare, *repeated, *reversed(last)):
        if estimate(_text(kept, dialect), dialect.encoder) <= budget:
            break
        kept.remove(unit)
        dropped.append(unit)
    if not dropped:
        return kept, []
    return kept, [_left_out(dropped, kept, budget)]


def _left_out(dropped: Sequence[Unit], kept: Sequence[Unit], budget: int) -> Change:
    """How many additions there was no room for, and which picks nothing is left of."""
    there = [unit.change for unit in kept]
    gone = dict.fromkeys(unit.change.what for unit in dropped if unit.change and unit.change not in there)
    picks = [what.removeprefix(TOOK_UP) for what in gone if what.startswith(TOOK_UP)]
    what = f"left out {len(dropped)} addition{'s' if len(dropped) > 1 else ''}"
    named = f"{what}, and so all of {', '.join(reversed(picks))}" if picks else what
    return Change(what=named, why=f"{budget} tokens are read well; your own words come first")


def _repeats(place: int, units: Sequence[Unit]) -> bool:
    """Whether the units before that one say all that it has of the user's."""
    unit = units[place]
    before = all_stems(one.text for one in units[:place])
    return place > 0 and _content(unit.text) - all_stems(unit.added) <= before


# ---------------------------------------------------------------------------------------------------- the negative


def _negative(
    draft: Draft, own: Spelt, wish: Wish, family: Family, reading: Reading, *, adult: bool
) -> tuple[str, list[Change]]:
    """The user's negative prompt, the presets' and the family's, each part once; and what is to be said of it."""
    theirs = parts_of(wish.negative)
    if not family.profile.negatives:
        return "", [_unread(wish, family)] if theirs else []
    picked = [part for preset in wish.presets for part in parts_of(preset.negative)]
    defaults = parts_of(negative_for(family, own.text, reading.look, adult=adult).negative)
    defaults = [part for part in defaults if part.endswith(".") or not _names_what_is_wanted(part, reading)]
    if family.profile.name == "demo":
        picked = []
    written = [part for part in parts_of(draft.negative) if not _names_what_is_wanted(part, reading)]
    picked = [part for part in picked if not _names_what_is_wanted(part, reading)]
    parts = merged(theirs, own.against, written, picked, defaults)
    told: list[Change] = []
    if len(parts) > len(merged(theirs, own.against)):
        told.append(Change(what="wrote a negative prompt", why=f"{family.profile.title} reads one"))
    return joined(parts), told


def _names_what_is_wanted(part: str, reading: Reading) -> bool:
    key = _content(part) or set(stems(part))
    said = {stem for gram in reading.told for stem in gram}
    if said & _PHOTOS:
        said |= _PHOTOS
    return bool(key) and key <= said


def _unread(wish: Wish, family: Family) -> Change:
    return Change(
        what="left out your negative prompt", why=f"{family.profile.title} reads none: say what you want to see"
    )


def _notes(reading: Reading, dialect: Dialect, family: Family) -> list[str]:
    if reading.foreign and dialect.encoder == "clip":
        return [f"{family.profile.title} reads English: the same in English will be drawn better."]
    return []


def _over_budget(prompt: str, dialect: Dialect) -> tuple[str, ...]:
    if not dialect.budget or estimate(prompt, dialect.encoder) <= dialect.budget:
        return ()
    return (f"Your own words are longer than the {dialect.budget} tokens that are read well: the end counts for less.",)


def _fresh(*lists: Sequence[Change]) -> tuple[Change, ...]:
    return tuple(dict.fromkeys(change for some in lists for change in some))
