"""The rule-based writer: a wish as a model family wants it, without any language model. Deterministic, and good alone.

The user's words stand as they are where the family wants its subject. Presets follow in the family's form; then what
the wish leaves open. Every prompt goes through `fitting`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from utils.reading.atoms import with_article
from utils.reading.phrases import noun_phrases
from utils.reading.vocabulary import MASS
from workflows.families import Family
from workflows.prompts.dialects import Dialect, dialect_of
from workflows.prompts.dressing import additions
from workflows.prompts.fitting import TOOK_UP, Draft, Unit, assembled
from workflows.prompts.negatives import parts_of
from workflows.prompts.reading import Reading, grams, tables
from workflows.prompts.saying import capital, descriptors_of, determined, medium_of, sentence_about, topic_of
from workflows.prompts.spelling import spelt
from workflows.types import Change, Preset, Wish, Written

MEDIA = {
    "realistic": "photograph",
    "anime": "anime illustration",
    "3d": "3D render",
    "illustration": "illustration",
    "pixel art": "pixel art picture",
    "artistic": "painting",
}
"""How the medium of a look is named where no preset names it better."""
ADJECTIVES = {
    "realistic": "photographic",
    "anime": "anime",
    "3d": "3D-rendered",
    "illustration": "illustrated",
    "pixel art": "pixel art",
    "artistic": "painted",
}
"""The same before a framing, as in "a photographic portrait of"."""
_FRAMED = re.compile(
    r"(?:close-?up|pov|interior|(?:head|wide |macro )?shot|headshot|portrait|panorama|view|still life)\b", re.IGNORECASE
)
SPARE = 200
"""How spare what nobody picked is."""
_SPARE = {"category": 150, "type": 100}
"""The same of what is picked along with something below it; what was picked itself is needed."""
_SOLO = {"girl": "1girl", "woman": "1girl", "lady": "1girl", "man": "1boy", "boy": "1boy", "guy": "1boy"}
_MANY = frozenset(
    "kids children people men women girls boys teenagers friends tourists workers soldiers dogs cats birds".split()
)
"""Words that may stand before a deed, and are read as one thing with it."""
_NUMBERS = {"two": 2, "three": 3, "four": 4, "2": 2, "3": 3, "4": 4}
_GROUPS = re.compile(r"^(two|three|four|[234]) (?:\w+ )?(women|girls|ladies|men|boys|guys)\b")
_COUPLE = re.compile(
    r"^an? (?:\w+ )?(?:(?:man|boy) and an? (?:\w+ )?(?:woman|girl)|(?:woman|girl) and an? (?:\w+ )?(?:man|boy))\b"
)
_NO_DEEDS = frozenset(
    "building evening morning ceiling painting drawing spring ring king string wing lighting clothing".split()
)
"""Words that end as deeds do and are none; where something is done, somebody may do it."""


def write(wish: Wish, family: Family, *, adult: bool = False, model: str = "") -> Written:
    """The wish, written for the family. `adult`: the owner allows adult content. Takes milliseconds; asks nobody."""
    dialect = dialect_of(family.profile.name)
    own = spelt(wish.words, family, dialect)
    reading = Reading(own.text, wish, family)
    if dialect.form == "plain":
        units = [Unit(own.text, own=True)]
        said = [Change(what="left out the presets", why=f"{family.profile.title} knows no such words")]
        draft = Draft(units, changes=[*own.changes, *(said if wish.presets else [])])
    elif dialect.form == "sentences":
        draft = Draft(list(_sentences(reading, family, dialect)), changes=own.changes)
    else:
        draft = Draft(list(_tags(reading, family, dialect)), changes=own.changes)
    named = [*draft.changes, *_names_left_out(wish, family, dialect)]
    return assembled(Draft(draft.units, changes=named), own, wish, family, adult=adult, model=model)


# ---------------------------------------------------------------------------------------------------- sentences


def _sentences(reading: Reading, family: Family, dialect: Dialect) -> Iterator[Unit]:
    opening, rest = _opening(reading, dialect)
    yield opening
    for place, unit in enumerate(_of_presets(rest)):
        yield unit if opening.added or place else _of_the_picture(unit)
    yield from _positively(reading, family)
    for addition in additions(reading, family, dialect):
        yield Unit.extra(addition.text, addition.change, SPARE)


def _of_the_picture(unit: Unit) -> Unit:
    """A sentence that begins with "It", where nothing before it names the picture."""
    text = re.sub(r"^It (?=is|has|shows|keeps)", "The picture ", unit.text)
    return Unit.extra(text, unit.change, unit.spare)


def _opening(reading: Reading, dialect: Dialect) -> tuple[Unit, list[tuple[Preset, list[str]]]]:
    """The medium and the user's words; and what the presets say besides."""
    told = [(preset, _unsaid(preset, reading)) for preset in reading.wish.presets]
    plain = Unit(reading.words, own=True)
    if reading.named or reading.sentence or reading.foreign or reading.tagged or dialect.edits:
        return plain, told
    why = "naming the medium first settles how it is drawn"
    if _FRAMED.match(reading.words):
        return _with_look(reading, why), told
    for place, (preset, parts) in enumerate(told):
        medium = medium_of(parts[0]) if parts and topic_of(preset) == "look" else None
        if medium:
            rest = [*told[:place], (preset, [*([medium[1]] if medium[1] else []), *parts[1:]]), *told[place + 1 :]]
            return _with_medium(reading, medium[0], f"the medium comes first; it is that of {preset.name}"), rest
    asked = _medium_asked(reading)
    return (_with_medium(reading, asked, why) if asked else plain), told


def _with_look(reading: Reading, why: str) -> Unit:
    """ "portrait of ..." -> "A photographic portrait of ..." """
    if reading.look not in ADJECTIVES:
        return Unit(reading.words, own=True)
    lead = with_article(ADJECTIVES[reading.look])
    return Unit(
        f"{lead} {_lowered(reading.words)}", True, (capital(lead),), Change(what=f"began with: {lead}", why=why)
    )


def _medium_asked(reading: Reading) -> str:
    style = " ".join(reading.wish.style.split()).lower()
    if style and medium_of(style):
        return style
    vague = reading.look == "artistic" and any(preset.kind == "style" for preset in reading.wish.presets)
    return "" if vague else MEDIA.get(reading.look, "")


def _with_medium(reading: Reading, medium: str, why: str) -> Unit:
    lead = f"{determined(medium)} of"
    return Unit(
        f"{lead} {_with_its_article(reading.words)}",
        True,
        (capital(lead),),
        Change(what=f"began with: {lead}", why=why),
    )


def _with_its_article(words: str) -> str:
    """ "cat on a sofa" -> "a cat on a sofa": as a sentence has it; otherwise as it is, but for a capital."""
    phrases = noun_phrases(words.split(",")[0])
    first = phrases[0] if phrases else None
    lowered = _lowered(words)
    if first is None or first.span[0] != 0 or first.plural or first.proper or first.number or first.article:
        return lowered
    many = first.noun.endswith("s") and not first.noun.endswith(("us", "ss", "is"))
    many = many or lowered.split()[0].rstrip(",.").lower() in _MANY
    countless = first.noun in MASS or first.noun.endswith(("ing", "ness")) or many
    if lowered[:1].isupper() or countless or not words.split(",")[0].isascii():
        return lowered
    start = words.split()[0].lower()
    return (
        lowered
        if start in {"the", "a", "an", "my", "your", "his", "her", "its", "our", "their", "some", "no"}
        else (f"{with_article(lowered).split()[0]} {lowered}")
    )


def _lowered(words: str) -> str:
    """Without the capital of a sentence's beginning; names keep theirs."""
    begins = re.match(r"(?:An?|The|Some|Two|Three|Four|Five|One|Several|Portrait|Close-up|View)\s", words)
    return words[:1].lower() + words[1:] if begins else words


def _unsaid(preset: Preset, reading: Reading) -> list[str]:
    """What the preset says that the words do not."""
    return [part for part in descriptors_of(preset.text) if not _said(part, reading)]


def _said(part: str, reading: Reading) -> bool:
    key = {stem for gram in grams(part) for stem in gram}
    longest = max(grams(part), key=len, default=())
    return bool(key) and len(key) <= 3 and longest in reading.grams and len(longest) == len(key)


def _of_presets(told: Sequence[tuple[Preset, list[str]]]) -> Iterator[Unit]:
    """What was picked in sentences: one for each look, and one for each other topic, in the order of picking."""
    known: set[str] = set()
    topics: dict[str, list[tuple[str, list[str]]]] = {}
    spare = {preset.name: _SPARE.get(preset.kind, 0) for preset, _ in told}
    for preset, parts in told:
        fresh = [part for part in parts if part.lower() not in known]
        known |= {part.lower() for part in fresh}
        topics.setdefault(topic_of(preset), []).append((preset.name, fresh))
    for topic, picked in topics.items():
        groups = _looks(picked) if topic == "look" else [_together(picked)]
        for place, (name, parts) in enumerate(groups):
            if sentence := sentence_about(topic, parts, place):
                yield Unit.extra(sentence, _taken_up(name), spare.get(name, 0))


def _taken_up(name: str) -> Change:
    return Change(what=f"{TOOK_UP}{name}", why="you picked it")


def _together(picked: Sequence[tuple[str, list[str]]]) -> tuple[str, list[str]]:
    return ", ".join(name for name, _ in picked), [part for _, parts in picked for part in parts]


def _looks(picked: Sequence[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Each look by itself; the medium is said once, by the last that names one, which is the nearest."""
    naming = [place for place, (_, parts) in enumerate(picked) if parts and medium_of(parts[0])]
    return [
        (name, parts[1:] if place in naming[:-1] and len(parts) > 1 else parts)
        for place, (name, parts) in enumerate(picked)
    ]


def _positively(reading: Reading, family: Family) -> Iterator[Unit]:
    """The opposite of what is ruled out, where no negative prompt is read and a plain sentence says it."""
    if family.profile.negatives:
        return
    opposites: dict[str, str] = tables()["opposites"]
    for part in parts_of(reading.wish.negative):
        said = opposites.get(part.lower().strip())
        if said and not (said == "The place is deserted." and not reading.nobody):
            why = f"{family.profile.title} reads no negative prompt"
            yield Unit.extra(said, Change(what=f'said "{part}" the other way round', why=why))


# ---------------------------------------------------------------------------------------------------- tags


def _tags(reading: Reading, family: Family, dialect: Dialect) -> Iterator[Unit]:
    for tag in _counted(reading) if dialect.booru else ():
        yield Unit.extra(tag, Change(what=f"added {tag}", why="it counts people by tags"))
    yield Unit(reading.words.rstrip(" ,;"), own=True)
    yield from _medium_tag(reading, dialect)
    yield from _picked_tags(reading, dialect)
    for addition in additions(reading, family, dialect):
        for part in descriptors_of(addition.text):
            yield Unit.extra(part, addition.change, SPARE)


def _picked_tags(reading: Reading, dialect: Dialect) -> Iterator[Unit]:
    """What was picked: the medium, then the most special first, as the front is read best."""
    told = reading.grams
    presets = sorted(reading.wish.presets, key=lambda preset: _SPARE.get(preset.kind, 0))
    medium = _picked_medium(presets, reading)
    if medium:
        yield medium
        told = told.union(grams(medium.text))
    for preset in presets:
        parts = [part for part in _unsaid(preset, reading) if not _told(part, told)]
        told = told.union(*(grams(part) for part in parts)) if parts else told
        most = _SPARE.get(preset.kind, 0)
        for place, part in enumerate([*_artist_tag(preset, reading, dialect), *parts]):
            yield Unit.extra(part, _taken_up(preset.name), most + (place // 2 if preset.kind == "artist" else place))


def _picked_medium(presets: Sequence[Preset], reading: Reading) -> Unit | None:
    """The medium of a category or type, where nothing more special that was picked names one."""
    for preset in presets:
        parts = _unsaid(preset, reading)
        if parts and medium_of(parts[0]) and topic_of(preset) == "look":
            return Unit.extra(parts[0], _taken_up(preset.name)) if preset.kind in _SPARE else None
    return None


def _told(part: str, told: frozenset[tuple[str, ...]]) -> bool:
    mine = grams(part)
    return bool(mine) and mine <= told


def _medium_tag(reading: Reading, dialect: Dialect) -> Iterator[Unit]:
    """The medium as a tag, where nothing names it."""
    medium = _medium_asked(reading)
    picked = any(medium_of(part) for preset in reading.wish.presets for part in descriptors_of(preset.text)[:1])
    if medium and not reading.named and not picked and not dialect.booru and not reading.foreign:
        yield Unit.extra(medium, Change(what=f"added {medium}", why="naming the medium settles how it is drawn"))


def _counted(reading: Reading) -> list[str]:
    """Danbooru's tags of how many people there are, as the words have it."""
    if reading.has("media") and any(tag in reading.words for tag in ("girl", "boy")) and reading.tagged:
        return []
    asked = reading.asked
    low = set(re.findall(r"[a-z]+", reading.words.lower()))
    if re.search(r"\b\d\+?(?:girl|boy|other)s?\b|\bno humans\b", reading.words.lower()):
        return []
    if asked and asked.least == asked.most == 1:
        kinds = {_SOLO[word] for word in low if word in _SOLO}
        return [*kinds, "solo"] if len(kinds) == 1 else []
    group = _GROUPS.search(reading.words.lower())
    if group and asked and asked.least == asked.most == _NUMBERS[group[1]]:
        return [f"{_NUMBERS[group[1]]}{'girls' if group[2] in {'women', 'girls', 'ladies'} else 'boys'}"]
    if asked and asked.least == asked.most == 2 and _COUPLE.search(reading.words.lower()):
        return ["1boy", "1girl"]
    empty = asked is None and reading.nobody and reading.content in {"landscape", "architecture", "object"}
    acts = any(word.endswith("ing") and word not in _NO_DEEDS for word in low)
    return ["no humans"] if empty and not acts and not reading.has("fantastic") and not reading.has("animals") else []


def _artist_tag(preset: Preset, reading: Reading, dialect: Dialect) -> list[str]:
    if not (preset.artist and dialect.artists) or preset.artist.lower() in reading.words.lower():
        return []
    return [preset.artist.lower()] if dialect.booru else [f"by {preset.artist}"]


def _names_left_out(wish: Wish, family: Family, dialect: Dialect) -> Iterator[Change]:
    for preset in wish.presets:
        if preset.artist and not dialect.artists and dialect.form != "plain":
            why = f"{family.profile.title} follows looks, not names"
            yield Change(what=f"described the look of {preset.artist}, without the name", why=why)
