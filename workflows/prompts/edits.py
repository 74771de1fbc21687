"""Edits: a message about a prompt applied to the wish by rules, for where no language model is asked.

English, as people write it in a chat. What is not understood is put behind the wish, so that nothing said is lost. The
first call imports inflect, which takes a second: a caller with an event loop puts it on a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from utils.reading import vocabulary as grammar
from utils.reading.phrases import NounPhrase, colour_family, noun_phrases
from workflows.prompts import looks, surgery
from workflows.prompts.messages import MOST_READ, is_talk, new_description, orders, subject_of
from workflows.prompts.spelling import QUOTED
from workflows.types import MAX_PROMPT, Change


@dataclass(frozen=True)
class Edit:
    """The wish after a message. `understood` False: it was appended as it stands, or left as it was for a question."""

    words: str
    changes: tuple[Change, ...] = ()
    understood: bool = True


Done = tuple[str, Change]
_TO_WRITE = re.compile(
    r"\b(?:text|words?|wording|lettering|letters|caption|title|name|sign|label|slogan)$", re.IGNORECASE
)


def edited(words: str, message: str) -> Edit:
    """The wish as the message changes it.

    Adds, removes, replaces and counts things, sets times, weathers, media, framing and looks, several in one message; a
    new description takes the wish's place. Thanks and questions change nothing.
    """
    text = " ".join(message[:MOST_READ].split())
    if not words.strip():
        return Edit(subject_of(text) or text)
    if new := new_description(words, text):
        return Edit(new, (Change(what=f"a new description: {_short(new)}", why="you asked for something else"),))
    if not text or is_talk(text):
        return Edit(words, (), understood=False)
    changes, understood = list[Change](), True
    for order in orders(text):
        done = _follow(words, order)
        if done is None and is_talk(order):
            continue
        understood = understood and done is not None
        words, change = done or _appended(words, order.removesuffix(" instead"))
        changes.append(change)
    return Edit(words[:MAX_PROMPT], tuple(changes), understood and bool(changes))


def _wanted(what: str) -> Change:
    return Change(what=what, why="you asked for it")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57].rstrip()}..."


def _appended(words: str, order: str) -> Done:
    return surgery.added(words, order), Change(what=f"added: {_short(order)}", why="it is in your message as it stands")


# ---------------------------------------------------------------------- orders


def _follow(words: str, order: str) -> Done | None:
    """What the order does to the words; None when it is not understood."""
    if order.endswith(" instead"):
        order = order.removesuffix(" instead")
        if done := _instead(words, order):
            return done
    for pattern, rule in _RULES:
        if (found := pattern.fullmatch(order)) and (done := rule(words, found)):
            return done
    return _bare(words, order)


def _remove(words: str, found: re.Match[str]) -> Done | None:
    what, gone, unknown = found["x"].strip(" .,"), list[str](), list[str]()
    for thing in _listed(what):
        place = surgery.find(words, thing)
        count = place.phrase.number.value if place and place.phrase and place.phrase.number else None
        if place and place.phrase and count and 0 < (_count(thing) or 0) < count:
            words = surgery.counted(words, place.phrase, count - (_count(thing) or 0))
            gone.append(thing)
            continue
        rest = surgery.without(words, place) if place else ""
        if place and len(rest) > 2:
            words = rest
            gone.append(thing)
        else:
            unknown.append(surgery.bare(thing))
    if unknown:
        words = surgery.added(words, f"without {' and '.join(unknown)}")
        return words, Change(what=f"without {', '.join([*gone, *unknown])}", why="your words did not name all of it")
    return words, Change(what=f"removed {', '.join(gone)}", why="you asked for it")


def _instead(words: str, new: str) -> Done | None:
    """ "use blueberries instead": in the place of what the picture is of, or of what a bowl holds."""
    thing = re.sub(r"^(?:use|have|with|do|try)\s+", "", new)
    if done := _look(words, thing):
        return done
    phrase = surgery.subject(words)
    if phrase is None or not noun_phrases(thing) or (thing == new and not re.match(r"(?:an?|the|some)\s", thing)):
        return None
    after = words[phrase.noun_span[1] :]
    held = next((one for one in noun_phrases(words) if one.span[0] == phrase.noun_span[1] + 4), None)
    phrase = held if held and after.startswith(" of ") else phrase
    place = surgery.find(words, phrase.noun)
    change = Change(what=f"{thing} instead of {phrase.noun}", why="you asked for it")
    return (surgery.exchanged(words, place, thing), change) if place else None


def _listed(things: str) -> list[str]:
    return [
        thing.strip()
        for thing in re.split(r",\s*(?:and\s+|or\s+)?|\s+and\s+|\s+or\s+|\s*&\s*", things)
        if thing.strip()
    ]


def _replace(words: str, found: re.Match[str]) -> Done | None:
    old, new = found["x"].strip(" .,"), re.sub(r"^(?:into|to|be|become)\s+", "", found["y"].strip(" .,"))
    if old.lower() in {"it", "this", "that", "everything", "the picture", "the image", "the style"}:
        return _look(words, new)
    change = Change(what=f"{new} instead of {old}", why="you asked for it")
    if _TO_WRITE.search(old) and QUOTED.fullmatch(new) and (quote := QUOTED.search(words)):
        return f"{words[: quote.start()]}{new}{words[quote.end() :]}", change
    if _count(old) and (counted := _recounted(words, new, _count(old))):
        return counted, change
    place = surgery.find(words, old)
    if place is None and looks.slot_of(surgery.bare(new)):
        return _look(words, surgery.bare(new))
    if place is None:
        return surgery.added(words, new), Change(
            what=f"added {new}", why=f"there was no {surgery.bare(old)} in your words"
        )
    coloured = colour_family(new.split()[-1].lower()) is not None and len(new.split()) < 3
    if coloured and place.phrase:
        return surgery.described(words, place.phrase, new), change
    if colour_family(old.split()[-1].lower()) and place.phrase is None:
        new = surgery.bare(new)
    return surgery.exchanged(words, place, new), change


def _if_there(words: str, found: re.Match[str]) -> Done | None:
    return _replace(words, found) if surgery.find(words, found["x"]) else None


def _count(text: str) -> int | None:
    """The number that the text is, alone or with a thing."""
    low = text.lower().split()
    if not low:
        return None
    digits = low[0].isascii() and low[0].isdigit() and len(low[0]) < 3
    number = grammar.NUMBERS.get(low[0]) or (int(low[0]) if digits else None)
    return number if number and 0 < number < 100 else None


def _recounted(words: str, new: str, old: int | None = None) -> str:
    """The words with another number of a thing in them: "two", "three birds". "" where it is no number of theirs."""
    number = _count(new)
    rest = new.split(maxsplit=1)[1] if len(new.split()) > 1 else ""
    phrases = noun_phrases(words)
    first = surgery.subject(words)
    if rest and rest.lower() not in {"of them", "of it", "of these"}:
        place = surgery.find(words, rest)
        target = place.phrase if place else None
    else:
        target = next((one for one in phrases if old and one.number and one.number.value == old), first)
    return surgery.counted(words, target, number) if number and target else ""


def _make(words: str, found: re.Match[str]) -> Done | None:
    """ "make the car blue", "the sky should be purple", "make him smile" """
    thing, look = _thing_and_look(words, found["x"].strip(" .,"))
    look, _, second = re.sub(r"^(?:(?:be|look|a bit|a little|much|slightly|way|some)\s+)+", "", look).partition(
        " and the "
    )
    if not look:
        return None
    if second and (first := _changed(words, thing, look)):
        then = _changed(first[0], *_thing_and_look(first[0], f"the {second}"))
        return (then[0], first[1].but(what=f"{first[1].what}, {then[1].what}")) if then else None
    return _changed(words, thing, look)


def _changed(words: str, thing: str, look: str) -> Done | None:
    """The words with one thing, or the whole picture, in another look."""
    if thing.lower() in _WHOLE:
        return _look(words, look) or _other_subject(words, look)
    change = Change(what=f"{surgery.bare(thing)}: {look}", why="you asked for it")
    place = None if thing.lower() in _PRONOUNS else surgery.find(words, thing)
    phrase = surgery.subject(words) if thing.lower() in _PRONOUNS else place.phrase if place else None
    if re.match(r"(?:an?|the)\s", look):
        return (surgery.exchanged(words, place, look), change) if place else _other_subject(words, look)
    text = looks.tables()["sizes"].get(look.lower(), re.sub(r"^more\s+", "", look))
    if phrase is None:
        return surgery.added(words, f"{text} {surgery.bare(thing)}"), change
    if len(look.split()) == 1 and (number := _count(look)):
        return surgery.counted(words, phrase, number), change
    if _is_doing(text) or text.split()[0].lower() in grammar.STOPS:
        return surgery.behind(words, phrase, _doing(text) if _is_doing(text) else text), change
    return _with_adjectives(words, phrase, _listed(text)), change


def _with_adjectives(words: str, phrase: NounPhrase, adjectives: Sequence[str]) -> str:
    for adjective in reversed(adjectives):
        words = surgery.described(words, phrase, adjective)
        phrase = next((one for one in noun_phrases(words) if one.noun == phrase.noun), phrase)
    return words


def _thing_and_look(words: str, text: str) -> tuple[str, str]:
    """ "the red car blue" -> "the red car", "blue": the most words that the wish names, else the first ones."""
    parts = text.split()
    if parts and parts[0].lower() in _WHOLE:
        return parts[0], " ".join(parts[1:])
    if whole := next((one for one in _WHOLE if " " in one and text.lower().startswith(f"{one} ")), ""):
        return whole, text[len(whole) :].strip()
    for length in range(min(4, len(parts) - 1), 1, -1):
        place = surgery.find(words, parts[length - 1])
        if place and place.phrase and "and" not in parts[:length]:
            return " ".join(parts[:length]), " ".join(parts[length:])
    alone = len(parts) < 3 or _is_doing(parts[1]) or parts[1].lower() in {"a", "an", "the", "more", "look", "be"}
    first = 1 if parts[0].lower() in _PRONOUNS and alone else 2
    return " ".join(parts[:first]), " ".join(parts[first:])


def _other_subject(words: str, look: str) -> Done | None:
    """ "make it a dog", "make it a painting by the sea" """
    medium = looks.pattern(looks.slots()["medium"]).match(surgery.bare(look))
    if medium:
        words, change = _into_slot(words, medium.group().lower(), "medium")
        rest = surgery.bare(look)[medium.end() :].strip()
        return (surgery.added(words, rest) if rest else words), change
    phrase = surgery.subject(words)
    if phrase is None or not re.match(r"(?:an?|some|the)\s+[a-z]", look, re.IGNORECASE) or not noun_phrases(look):
        return None
    place = surgery.find(words, phrase.noun)
    return (surgery.exchanged(words, place, look), Change(what=look, why="you asked for it")) if place else None


_WHOLE = (*"it this that them everything all".split(), "the picture", "the image", "the scene", "the whole picture")
_PRONOUNS = frozenset("him her he she they them".split())
_DEEDS = frozenset(
    "fly smile run jump look sit stand dance sleep hold wear ride walk eat laugh cry wave read swim sing play lie "
    "drink climb float glow kiss hug fight point carry drive cook".split()
)


def _should(words: str, found: re.Match[str]) -> Done | None:
    look = re.sub(r"^(?:be|look|become)\s+", "", found["y"])
    joined = re.fullmatch("(?P<x>.*)", f"{found['x']} {look}")
    return _make(words, joined) if joined else None


def _too(words: str, found: re.Match[str]) -> Done | None:
    """ "it is too dark" """
    return _less(words, found["x"].lower()) if found["x"].lower() in looks.tables()["less"] else None


def _keep(words: str, found: re.Match[str]) -> Done | None:
    return words, Change(what=f"kept {_short(found['x'])}", why="you asked for it")


def _set(words: str, found: re.Match[str]) -> Done | None:
    return _look(words, found["x"])


def _is_doing(look: str) -> bool:
    first = look.split(maxsplit=1)[0].lower() if look.split() else ""
    return first in _DEEDS or (first.endswith("ing") and len(first) > 4)


def _doing(look: str) -> str:
    """ "smile at us" -> "smiling at us" """
    first, _, rest = look.partition(" ")
    if not first.endswith("ing"):
        double = first in {"run", "sit", "swim", "hug"}
        stem = first[:-1] if first.endswith("e") and first != "lie" else f"{first}{first[-1]}" if double else first
        first = "lying" if first == "lie" else f"{stem}ing"
    return f"{first} {rest}".strip()


def _add(words: str, found: re.Match[str]) -> Done | None:
    more = re.sub(r"^(?:him|her|it|them)\s+(?=(?:in|on|at|by|near|under|inside)\b)", "", found["x"].strip(" .,"))
    if not more or more.lower() in words.lower():
        return words, Change(what="nothing", why=f"{more or 'it'} is in your words already")
    if (looks.slot_of(surgery.bare(more)) or surgery.bare(more).lower() in looks.more()) and (
        done := _look(words, surgery.bare(more))
    ):
        return done
    if _count(more) and (counted := _recounted(words, more)):
        return counted, Change(what=more, why="you asked for it")
    phrases = noun_phrases(more)
    if phrases and _wants_article(phrases[0]):
        more = surgery.with_article(more)
    return surgery.added(words, more), Change(what=f"added {_short(more)}", why="you asked for it")


def _wants_article(phrase: NounPhrase) -> bool:
    """Whether it is one thing, named without an article at the beginning: "dog", but not "glasses" or "rain"."""
    whole = phrase.article or phrase.number or phrase.plural or phrase.proper or phrase.span[0]
    return not whole and phrase.noun not in grammar.MASS | grammar.PARTS and not re.search(r"[^su]s$", phrase.noun)


def _with(words: str, found: re.Match[str]) -> Done | None:
    more = found["x"].strip(" .,")
    if looks.slot_of(surgery.bare(more)) and (done := _look(words, surgery.bare(more))):
        return done
    return surgery.added(words, f"with {more}"), Change(what=f"added {_short(more)}", why="you asked for it")


def _give(words: str, found: re.Match[str]) -> Done | None:
    """ "give him a hat" """
    whom, what = found["x"], found["y"].strip(" .,")
    place = None if whom.lower() in {"him", "her", "it", "them"} else surgery.find(words, whom)
    phrase = place.phrase if place else surgery.subject(words)
    if phrase is None:
        return None
    return surgery.behind(words, phrase, f"with {what}"), Change(
        what=f"{phrase.noun} with {what}", why="you asked for it"
    )


def _style(words: str, found: re.Match[str]) -> Done | None:
    style = found["x"].strip(" .,")
    return surgery.added(words, f"in the style of {style}"), Change(
        what=f"in the style of {style}", why="you asked for it"
    )


def _bare(words: str, order: str) -> Done | None:
    """A look without a verb: "closer, from above", "more dramatic", "at night", "a dog"."""
    order = re.sub(r"^(?:only|just)\s+(?=\w+\s\w)", "", order, flags=re.IGNORECASE)
    if done := _look(words, order):
        return done
    article = re.fullmatch(
        r"(?:an?|one|two|three|four|five|six|some|another|\d{1,2}) [^,.?!]{2,60}", order, re.IGNORECASE
    )
    if article and len(order.split()) <= 7 and noun_phrases(order):
        found = re.fullmatch(r"(?P<x>.*)", order)
        return _add(words, found) if found else None
    return None


def _look(words: str, look: str) -> Done | None:
    """Every look of a list; None when one of them is not known."""
    whole = _one_look(words, look.strip(" .,"))
    if whole:
        return whole
    parts, what = _listed(look), list[str]()
    if len(parts) < 2:
        return None
    taken = set[str]()
    for part in parts:
        slot = looks.slot_of(part)
        again = bool(slot) and slot in taken  # rainy and foggy: the second is beside the first
        done = (surgery.added(words, looks.said(part)), _wanted(looks.said(part))) if again else _one_look(words, part)
        if done is None:
            return None
        taken.add(slot)
        words = done[0]
        what.append(done[1].what)
    return words, Change(what=", ".join(what), why="you asked for it")


def _one_look(words: str, look: str) -> Done | None:
    text = re.sub(
        r"^(?:(?:be|look|looks|looking|become|set|taken|seen|shown|more like|like)\s+)+",
        "",
        look.strip(),
        flags=re.IGNORECASE,
    )
    low = re.sub(r"^(?:(?:a bit|a little|much|slightly|way|some|a lot|even|lot|bit)\s+)+", "", text.lower())
    if less := re.fullmatch(r"(?:less|not so|not as|not that) (.{2,40})", low):
        return _less(words, less[1])
    if known := looks.more().get(low) or looks.more().get(re.sub(r"^more\s+", "", low)):
        return _more(words, known)
    bare = re.sub(r"^(?:(?:at|in|during|as|on|a|an|the|more|shot)\s+)+", "", low)
    bare = re.sub(r"\s+(?:style|time|scene|version|painting style)$", "", bare)
    if slot := looks.slot_of(low) or looks.slot_of(bare):
        return _into_slot(words, bare if looks.slot_of(bare) else low, slot)
    return _of_subject(words, text, low)


def _of_subject(words: str, text: str, low: str) -> Done | None:
    """A look of what the picture is of: a colour, a size, a number, or another thing in its place."""
    phrase = surgery.subject(words)
    change = Change(what=text, why="you asked for it")
    size = looks.tables()["sizes"].get(low)
    colour = colour_family(low.split()[-1]) if low.split() and len(low.split()) < 3 else None
    if phrase and (size or colour):
        return surgery.described(words, phrase, size or low), change
    if counted := _recounted(words, low):
        return counted, change
    *adjectives, noun = low.split() or [""]
    place = surgery.find(words, noun) if 0 < len(adjectives) < 3 else None
    if place and place.phrase and adjectives[0] in {*looks.tables()["sizes"], *grammar.ADJECTIVES}:
        return surgery.described(words, place.phrase, looks.tables()["sizes"].get(adjectives[0], adjectives[0])), change
    if more := re.fullmatch(r"more ([a-z][a-z -]{2,30})", low):
        return surgery.added(words, more[1]), change
    return None


def _more(words: str, known: looks.More) -> Done:
    change = Change(what=known.add, why="you asked for more of it")
    if known.slot:
        return _into_slot(words, known.add, known.slot)
    words = surgery.without_any(words, known.out)
    return (words if known.add in words else surgery.added(words, known.add)), change


def _less(words: str, look: str) -> Done:
    change = Change(what=f"less {look}", why="you asked for less of it")
    place = surgery.find(words, look)
    if place and place.phrase is None and len(rest := surgery.without(words, place)) > 2:
        return rest, change
    return surgery.added(words, looks.tables()["less"].get(look, f"less {look}")), change


def _into_slot(words: str, term: str, slot: str) -> Done:
    """A time, medium or framing in the place of the one that was there."""
    change = Change(what=looks.said(term), why="you asked for it; a picture has one of it")
    old = looks.pattern(looks.slots()[slot]).search(words)
    if slot == "medium":
        return _into_medium(words, term, old), change
    if old is None:
        return surgery.added(words, looks.said(term)), change
    lead = re.compile(r"(?:\b(?:at|in|during|on|under|with)\s+(?:the\s+|an?\s+)?)$", re.IGNORECASE).search(
        words[: old.start()][-16:]
    )
    start = old.start() - (len(lead.group()) if lead else 0)
    new = looks.said(term) if lead or not _between_commas(words, old) else term
    return f"{words[:start]}{new}{words[old.end() :]}", change


def _between_commas(words: str, old: re.Match[str]) -> bool:
    return words[: old.start()].rstrip()[-1:] in {",", ""} and words[old.end() :].lstrip()[:1] in {",", ".", ""}


def _into_medium(words: str, term: str, old: re.Match[str] | None) -> str:
    """A medium in the place of the old one: "photo of a cat" -> "watercolor painting of a cat"."""
    name = {"watercolor": "watercolor painting", "anime": "anime illustration"}.get(term, term)
    if old is None:
        return surgery.added(words, name)
    before = words[: old.start()]
    if re.match(r"\s*of\b", words[old.end() :], re.IGNORECASE):
        return surgery.articles(f"{before}{name}{words[old.end() :]}")
    return f"{before}{term}{words[old.end() :]}"


_ANY = (
    r"(?:remove|delete|drop|erase|lose|get rid of|leave out|take (?:away|out|off)|cut(?: out)?|without|no more|no|not|"
    r"there (?:should|must) be no|(?:i )?do(?:n['’]t| not) (?:want|need|show|draw|include)(?: any| the)?|have no|be no)"
)
_ABOUT = r"(?:style|mood|lighting|light|time|weather|angle|view|colou?rs?)"
_USE = r"(?:use|make it|put|take|have|with|it|add|show|draw)"
_RULES: tuple[tuple[re.Pattern[str], Callable[[str, re.Match[str]], Done | None]], ...] = tuple(
    (re.compile(text, re.IGNORECASE), rule)
    for text, rule in (
        (r"(?:replace|swap(?: out)?|exchange|switch) (?P<x>.{1,200}?) (?:with|for|by|to) (?P<y>.{1,300})", _replace),
        (r"(?:change|turn|switch|transform|convert) (?P<x>.{1,200}?) (?:in)?to (?P<y>.{1,300})", _replace),
        (rf"(?:{_USE} )?(?P<y>.{{1,200}}?) (?:instead of|rather than|in place of) (?P<x>.{{1,200}})", _replace),
        (r"(?P<y>.{1,200}?),? (?:and )?not (?P<x>(?:an?|the|any|his|her|its|their) .{1,200})", _if_there),
        (rf"instead of (?P<x>.{{1,200}}?),? (?:{_USE} )(?P<y>.{{1,300}})", _replace),
        (rf"{_ANY} (?P<x>.{{1,300}})", _remove),
        (r"take (?P<x>.{1,200}?) (?:away|out|off)", _remove),
        (r"give (?P<x>him|her|it|them|the [\w-]{1,40}(?: [\w-]{1,40})?) (?P<y>.{1,300})", _give),
        (r"(?:(?:make|do|draw|paint|have) it |be )?in the (?:style|manner) of (?P<x>.{1,200})", _style),
        (r"(?:make|have|let|turn|colou?r|paint) (?P<x>(?:it|this|that|them|him|her|everything|all|the|his|its|their)"
         r" .{1,300})", _make),
        (r"(?P<x>(?:it|this|that|they|he|she|(?:the|his|her|its|their) [\w-]{1,40}(?: [\w-]{1,40}){0,2}?))"
         r" (?:should|must|needs to|has to|have to|could|is|are) (?P<y>.{1,300})", _should),
        (r"(?:(?:it|this|that|the [\w-]{1,40})(?:['’]s| is| are| looks?) )?(?:far |much |way |a bit |a little )?"
         r"too (?P<x>[\w-]{1,40})", _too),
        (r"(?:keep|leave) (?P<x>.{1,300})", _keep),
        (r"(?:add|include|insert|draw|paint|put(?: in)?|show|have|there should be|be)(?: also)? (?P<x>.{1,400})", _add),
        (r"with (?P<x>.{1,400})", _with),
        (rf"(?:set|use|make|change)(?: the)?(?: {_ABOUT})?(?: to)? (?P<x>.{{1,200}})", _set),
    )
)  # fmt: skip
"""Orders by how they are spelled; the first that fits and can be followed is."""
