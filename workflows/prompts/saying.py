"""Descriptors with commas, as presets have them, said in sentences: grammar alone, nothing is added to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from utils.reading.atoms import with_article
from utils.reading.phrases import singular
from workflows.prompts.reading import tables
from workflows.types import Preset

_TAIL = re.compile(
    r"\s+(?:of|in|at|on|from|with|without|against|between|through|under|over|above|behind|below|by|for|into|across|inside|"
    r"near|around|along|beyond|within|beneath|amid|onto|beside|before|out|up|to|as|like|than|where|that|which|visible)\s+\S.*$"
    r"|\s+(?:seen|taken|made|drawn|lit|set|shot|cut|split|cast|left|\w{3,}ed)\s+"
    r"(?:on|in|into|from|with|at|by|through|as|against|to|out|bare|straight|large|small|visible)\b.*$"
    r"|\s+(?:sharp|bare|intact)$"
    r"|\s+(?!(?:painting|drawing|lighting|framing|shading)\b)\w{3,}ing\s+"
    r"(?:the|an?|its|his|her|up|down|at|in|into|from|out|behind|toward|towards|away|through|against)\b.*$"
)
_OPENS_OTHERWISE = re.compile(
    r"^(?:in|at|on|from|with|without|against|between|through|under|over|above|behind)\b"
    r"|^(?:sharp|soft|dark|bright) from\b|^\w+ed and \w+ing (?:an?|the|at|up|down)\b"
    r"|^(?:shot|seen|taken|painted|drawn|printed|lit|framed|set|filmed|rendered|darkened|made)\s+"
    r"(?:in|on|with|by|from|at|as|against|through|to|like|straight)\b"
)
_DETERMINED = re.compile(
    r"^(?:a|an|the|its|his|her|their|no|each|every|any|some|all|one|two|three|four|five|six|seven|eight|nine|ten|many|"
    r"several|few|own|half|most|more|both|what)\b|^\d+\s(?!mm\b)"
)
_ADJECTIVAL = re.compile(r"^(?:black and white|black-and-white|[\w-]+(?:ic|ive|ful|ous|less|esque|lit))$")
_CLAUSE = re.compile(
    r"\b(?:is|are|fills|towers(?= (?:over|above|against))|run(?= (?:from|to|across))|appears|picks|falls|wraps|leads|"
    r"stands|sits|rises|spills|draws|catches)\b"
)


@dataclass(frozen=True)
class Said:
    """Descriptors by their grammar, each as it can stand in a sentence."""

    things: tuple[str, ...] = ()
    """With an article where they need one."""
    qualities: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    """Such as "shot from below"."""
    clauses: tuple[str, ...] = ()
    """With a verb of their own."""

    @classmethod
    def of(cls, descriptors: Sequence[str]) -> Said:
        found: dict[str, list[str]] = {"things": [], "qualities": [], "rest": [], "clauses": []}
        for descriptor in descriptors:
            kind = _kind(descriptor)
            found[kind].append(_with_its_article(descriptor, kind))
        return cls(**{kind: tuple(texts) for kind, texts in found.items()})


def _with_its_article(descriptor: str, kind: str) -> str:
    if kind == "clauses":
        return f"the {descriptor}" if re.match(r"(?:subject|figure|face|background)\b", descriptor) else descriptor
    return determined(descriptor) if kind == "things" else descriptor


def descriptors_of(text: str) -> list[str]:
    """The parts of a preset's text; "a palette of blue, teal and slate" is one."""
    parts: list[str] = []
    for part in (" ".join(raw.split()).strip(" .") for raw in text.split(",")):
        if parts and re.fullmatch(r"[\w-]+ and [\w-]+", part) and re.search(r" of [\w-]+(?:, [\w-]+)*$", parts[-1]):
            parts[-1] = f"{parts[-1]}, {part}"
        elif part:
            parts.append(part)
    return parts


def _head(thing: str) -> str:
    """The noun that a descriptor is about."""
    words = (_TAIL.sub("", thing) or thing).split()
    return re.split(r"[-\s]", words[-1].strip("'’").lower())[-1] if words else ""


def _many(noun: str) -> bool:
    if noun in {"lens", "canvas", "chaos", "gas"}:
        return False
    return (noun.endswith("s") and not noun.endswith(("ss", "us", "is"))) or singular(noun) != noun


def medium_of(descriptor: str) -> tuple[str, str] | None:
    """The medium that a descriptor names and what it says besides: "macro photograph at life size" -> both halves."""
    if _OPENS_OTHERWISE.match(descriptor):
        return None
    tail = _TAIL.search(descriptor)
    head = descriptor[: tail.start()] if tail else descriptor
    if not head.strip() or head.split()[-1].lower() not in _listed("media_nouns"):
        return None
    return head, tail[0].strip() if tail else ""


def determined(thing: str) -> str:
    """The thing with an article, where it is one of many."""
    if _DETERMINED.match(thing.lower()):
        return thing
    head = _head(thing)
    if head == "subject":
        return f"the {thing}"
    if head in _listed("media_nouns") and head != "art":
        return thing if _many(head) else with_article(thing)
    countless = head in _listed("mass") or (head.endswith(("ing", "ness", "ism", "graphy", "ity")) and head != "city")
    if countless or _many(head) or " and " in _TAIL.sub("", thing):
        return thing
    return f"an {thing}" if re.match(r"(?:8|11|18)\d? ", thing) else with_article(thing)


def listed(parts: Sequence[str]) -> str:
    """ "a, b and c", with "and" only where no part has one of its own."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])}{',' if ' and ' in parts[-2] + parts[-1] else ''} and {parts[-1]}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def ended(text: str) -> str:
    """The text as a sentence: with a full stop, unless it ends with one, or with a quotation that does."""
    text = text.rstrip(" ,;:")
    if re.search(r"[.!?…。！？][\"”’')\]]?$", text):
        return text
    return text + ("。" if re.search("[\u3000-\u9fff]$", text) else ".")


_LOOKS = ("has", "shows", "carries")
TOPICS: Mapping[str, str] = {
    "mood": "mood", "time-of-day": "time", "time": "time", "weather": "weather", "atmosphere": "weather",
    "light": "light", "lighting": "light", "colour-palette": "colour", "color-palette": "colour", "colour": "colour",
    "color": "colour", "palette": "colour", "composition": "framing", "framing": "framing", "shot": "framing",
    "angle": "framing",
}  # fmt: skip
"""What groups of options speak of, by their ids; others of the look."""


def topic_of(preset: Preset) -> str:
    """What a preset speaks of: look, framing, light, mood, time, weather, colour."""
    if preset.kind in {"composition", "lighting"}:
        return "framing" if preset.kind == "composition" else "light"
    if preset.kind != "option":
        return "look"
    group = preset.path.partition(":")[0] if ":" in preset.path else preset.path.rpartition("/")[0].rpartition("/")[2]
    return TOPICS.get(group, "look")


def sentence_about(topic: str, descriptors: Sequence[str], place: int = 0) -> str:
    """One sentence that says the descriptors, as its topic is spoken of; "" for none.

    `place`: among the sentences on its topic.
    """
    if not descriptors:
        return ""
    said = Said.of(descriptors)
    spoken = {
        "light": _light,
        "framing": _framing,
        "mood": _mood,
        "time": _time,
        "weather": _weather,
        "colour": _colour,
    }
    main = spoken[topic](said) if topic in spoken else _look(said, _LOOKS[min(place, len(_LOOKS) - 1)])
    return " ".join(ended(capital(part)) for part in (main, *said.clauses) if part)


def _look(said: Said, verb: str) -> str:
    medium = next((thing for thing in said.things[:1] if _is_a_medium(thing)), None)
    things = [thing for thing in said.things if thing != medium]
    being = listed([*said.qualities, *([medium] if medium and not said.qualities else [])])
    if medium and said.qualities:
        things = [medium, *things]
    if being:
        told = f"It is {being}{f', with {listed(things)}' if things else ''}"
    else:
        told = f"It {verb} {listed(things)}" if things else ""
    return _and_rest(told, said.rest)


def _is_a_medium(thing: str) -> bool:
    found = medium_of(re.sub(r"^an? ", "", thing))
    return found is not None and found[0].split()[-1] != "art"


def _light(said: Said) -> str:
    if said.qualities and not said.things:
        return _and_rest(f"The light is {listed(said.qualities)}", said.rest)
    if not said.things:
        return f"It is {listed(said.rest)}" if said.rest else ""
    many = len(said.things) > 1 or not all(map(_is_one, said.things))
    lit = f"{listed(said.things)} {'shape' if many else 'shapes'} the picture"
    return _and_rest(lit, (*said.qualities, *said.rest))


def _framing(said: Said) -> str:
    if not said.things:
        return _and_rest(f"The composition is {listed(said.qualities)}" if said.qualities else "", said.rest)
    first, others = said.things[0], [*said.things[1:]]
    shot = _head(first) in _listed("shots")
    if shot:
        told = f"It is {first if first.startswith(('a ', 'an ', 'the ')) else with_article(first)}"
        return _and_rest(f"{told}{f', with {listed(others)}' if others else ''}", (*said.qualities, *said.rest))
    return _and_rest(f"The composition uses {listed([first, *others])}", (*said.qualities, *said.rest))


def _mood(said: Said) -> str:
    if said.qualities and not said.things:
        return _and_rest(f"The mood is {listed(said.qualities)}", said.rest)
    first = re.sub(r"^an? ", "", next(iter(said.things), ""))
    if first.endswith((" mood", " atmosphere", " feeling", " feel")):
        others = said.things[1:]
        word = first.rpartition(" ")
        return _and_rest(f"The {word[2]} is {word[0]}{f', with {listed(others)}' if others else ''}", said.rest)
    return _and_rest(f"The mood comes from {listed(said.things)}" if said.things else "", (*said.qualities, *said.rest))


def _time(said: Said) -> str:
    things = [*said.qualities, *said.things]
    if not things:
        return _and_rest("", said.rest)
    return _and_rest(f"It is {things[0]}{f', with {listed(things[1:])}' if things[1:] else ''}", said.rest)


def _weather(said: Said) -> str:
    things = [*said.things]
    return _and_rest(f"The air and weather bring {listed(things)}" if things else "", (*said.qualities, *said.rest))


def _colour(said: Said) -> str:
    if not said.things:
        return _and_rest(f"The colours are {listed(said.qualities)}" if said.qualities else "", said.rest)
    first = said.things[0]
    if re.match(r"(?:an? )?[\w -]*palette\b", first):
        return _and_rest(f"It keeps to {listed(said.things)}", (*said.qualities, *said.rest))
    being = f"The picture is {listed(said.qualities)}, with" if said.qualities else "Its colour comes from"
    return _and_rest(f"{being} {listed(said.things)}", said.rest)


def _and_rest(told: str, rest: Sequence[str]) -> str:
    if not rest:
        return told
    return f"{told}, {listed(rest)}" if told else f"It is {listed(rest)}"


def _is_one(thing: str) -> bool:
    return not _many(_head(thing))


def _kind(descriptor: str) -> str:
    low = descriptor.lower()
    if _CLAUSE.search(low) and not _OPENS_OTHERWISE.match(low) and len(low.split()) > 3 and not _relative(low):
        return "clauses"
    if _OPENS_OTHERWISE.match(low):
        return "rest"
    if low in _listed("qualities") or (_ADJECTIVAL.match(low) and low not in _listed("mass")):
        return "qualities"
    if re.match(r"^\w{4,}ing (?:the|a|an|up|down|at|from|away|toward|towards|ahead|through|into)\b", low):
        return "rest"
    return "things"


def _relative(low: str) -> bool:
    return re.search(r"\b(?:that|which|who|where|what)\b", low) is not None


@cache
def _listed(name: str) -> frozenset[str]:
    return frozenset(word.strip() for word in tables()["grammar"][name].replace("\n", " ").split(",") if word.strip())


_TOLD: Mapping[str, Callable[[Said], str]] = {
    "light": _light, "framing": _framing, "mood": _mood, "time": _time, "weather": _weather, "colour": _colour,
}  # fmt: skip
