"""The user's words as a family reads them: weights, underscores, brackets, words of quality, and what is ruled out.

The words themselves stay as they are. Pure text; what is added to them is for `rules` and `fitting`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from utils.emphasis import without_emphasis
from workflows.families import Family
from workflows.prompts.dialects import Dialect, boosters
from workflows.types import Change

MOST_RULED_OUT = 4
"""Words of a thing that is ruled out: a longer run says more than a thing."""
QUOTED = re.compile(r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|「[^」\n]{1,120}」|『[^』\n]{1,120}』")
SCORE_TAG = re.compile(r"(?:score_\d+(?:_up)?|rating_[a-z]+|source_[a-z]+)")
_WEIGHT = re.compile(r":\s*-?(\d*\.?\d+)\s*[)\]]")
_NO_WEIGHT, _HELD = 4.0, "\ue000"
"""A number of this size after a colon is a time or a ratio; and what stands for its colon meanwhile."""
_MOST_LAYERS = 12
"""How often brackets inside brackets, or behind a backslash, are taken out."""
_WHOLE_BRACKETS = re.compile(r"(^|,)(\s*)[(\[]{1,20}([^()\[\]]{1,400})[)\]]{1,20}(?=\s*(?:,|\.?\s*$))")
_DOUBLE_BRACKETS = re.compile(r"\({2,20}([^()]{1,400})\){2,20}|\[{2,20}([^\[\]]{1,400})\]{2,20}")
_UNDERSCORE = re.compile(r"(?<=[^\W_])_+(?=[^\W_]|\\?\(|$)")
_OF_A_NAME = re.compile(r"(?<=[^\W_])( ?)\(([^()\\:]{1,60})\)(?=\s*(?:,|$))")
_REQUEST = re.compile(
    r"^\s*(?:please[, ]+)?(?:can you |could you )?(?:please )?"
    r"(?:(?:create|generate|make|show|give|render)(?: me)?|draw me|"
    r"i(?: want|'d like| would like|'d love| need)(?: to see)?(?: you to (?:create|make|generate))?)"
    r"\s+(?=(?:an?|the|some|\d+|two|three|four|five)\b)",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"(?<=[.!?,])\s*(?:(?:please|pls|thx|thanks|thank you|cheers)(?: (?:you|so much|very much|a lot|in advance|again))*"
    r"[\s.!,]*)+$",
    re.IGNORECASE,
)
NETS = re.compile(r"<(?:lora|lyco|hypernet):[^<>\n]{1,200}>", re.IGNORECASE)
_EMBEDDING = re.compile(r"\bembedding:[\w.-]*\w", re.IGNORECASE)
BREAK = re.compile(r"\s*,?\s*(?<![A-Z] )\bBREAK\b(?! [A-Z]{2})\s*,?\s*")
_WILDCARD = re.compile(r"__[\w/*-]+?__")
_CLAUSE = re.compile(r"[^,;.\n]+")
_DETERMINERS = r"(?:an?\s+|the\s+|any\s+|his\s+|her\s+|its\s+|their\s+|other\s+)?"
_ONLY_RULED_OUT = re.compile(
    rf"^\s*(?:(?:and\s+)?(?:there\s+(?:is|are)\s+no|with\s+no|without|no)\s+){_DETERMINERS}(?P<things>.+?)\s*(?:please)?\s*$",
    re.IGNORECASE,
)
_RULED_OUT_AT_LAST = re.compile(
    rf"\s+(?:and\s+)?(?:without|with\s+no|but\s+no)\s+{_DETERMINERS}(?P<things>[\w' -]+?)\s*$", re.IGNORECASE
)
_ALTERNATIVES = re.compile(
    r"\s+(?:or|nor|and(?:\s+no)?(?!\s+(?:an?|the|his|her|its|their|one|two|with)\b))\s+", re.IGNORECASE
)
_SAYS_MORE = re.compile(
    r"\b(?:in|on|at|of|from|to|for|with|by|under|over|behind|near|is|are|was|that|who|which|and|but|as|than|"
    r"looking|wearing|holding)\b",
    re.IGNORECASE,
)
_NO_THING = frozenset(
    "longer matter way more less doubt idea need limits limit problem parking smoking entry exit time such other "
    "one".split()
)
_GARMENTS = re.compile(
    r"\b(?:cloth(?:es|ing|ed)|shirt|t-?shirt|top|blouse|dress|skirt|pants|trousers|jeans|shorts|underwear|bra|bikini|"
    r"swimsuit|outfit|garment|sweater|jacket|coat|robe)s?\b",
    re.IGNORECASE,
)
_LOOSE_ENDS = re.compile(r"\s*,(?:\s*,)+")


@dataclass(frozen=True)
class Spelt:
    """A text as a family reads it, what was done to it, and what it rules out."""

    text: str
    changes: tuple[Change, ...] = ()
    against: tuple[str, ...] = ()


def spelt(text: str, family: Family, dialect: Dialect) -> Spelt:
    """The text for that family. The same text comes back when it is spelt again."""
    tags = dialect.form != "sentences"
    told = re.sub(r"\s*[\r\n]+\s*", ", " if tags else " ", text.strip())
    changes: list[Change] = []
    if asked := _REQUEST.match(told):
        told = _THANKS.sub("", told[asked.end() :]).rstrip(" ?")
        changes.append(Change(what="left out the request before the subject", why="only what is seen is drawn"))
    told = " ".join(told.split())
    for step in (_nets, _breaks, _weights, _underscores, _brackets, _qualities):
        after = step(told, family, dialect)
        if after.text != told:
            told = " ".join(after.text.split())
            changes += after.changes
    ruled = _ruled_out(told, family)
    return Spelt(ruled.text, (*changes, *ruled.changes), ruled.against)


def outside_quotes(text: str, change: Callable[[str], str]) -> str:
    """The text with everything changed but what stands in quotation marks: that is to be written as it is."""
    parts: list[str] = []
    last = 0
    for quote in QUOTED.finditer(text):
        parts += [change(text[last : quote.start()]), quote[0]]
        last = quote.end()
    return "".join([*parts, change(text[last:])])


def _nets(text: str, family: Family, dialect: Dialect) -> Spelt:
    """Without tags of LoRAs, which are picked beside the prompt, and of embeddings where none are read."""
    unread = (NETS,) if family.profile.weights or dialect.form == "plain" else (NETS, _EMBEDDING)
    tags = [found.group() for pattern in unread for found in pattern.finditer(text)]
    if not tags:
        return Spelt(text)
    plain = outside_quotes(text, lambda part: NETS.sub("", part))
    if len(unread) > 1:
        plain = outside_quotes(plain, lambda part: _EMBEDDING.sub("", part))
    if not re.search(r"\w", plain):
        return Spelt(text)
    why = f"{family.profile.title} would read it as words; name a LoRA beside the prompt"
    return Spelt(_tidy(plain), (Change(what=f"took out {', '.join(tags)}", why=why),))


def _breaks(text: str, family: Family, dialect: Dialect) -> Spelt:
    plain = outside_quotes(text, lambda part: BREAK.sub(", ", part))
    return Spelt(plain.strip(" ,"), (Change(what="wrote BREAK as a comma", why="it would be read as a word"),))


def _weights(text: str, family: Family, dialect: Dialect) -> Spelt:
    if family.profile.weights or dialect.form == "plain":
        return Spelt(text)
    plain = text
    for _ in range(_MOST_LAYERS):
        weighted = any(float(found[1]) < _NO_WEIGHT for found in _WEIGHT.finditer(plain))
        after = outside_quotes(plain, _without_weights if weighted else _without_bare_brackets)
        if after == plain:
            break
        plain = after
    why = f"{family.profile.title} reads brackets and weights as text"
    if plain != text:
        plain = plain.strip(" ,")  # commas that the brackets had kept at the ends
    return Spelt(plain, (Change(what="took the weights and brackets out, and kept their words", why=why),))


def _without_weights(text: str) -> str:
    def held(found: re.Match[str]) -> str:
        return found[0] if float(found[1]) < _NO_WEIGHT else found[0].replace(":", _HELD)

    text = re.sub(r":\s*-\s*(?=\d*\.?\d+\s*\))", ":", text)
    return without_emphasis(_WEIGHT.sub(held, text)).replace(_HELD, ":")


def _without_bare_brackets(text: str) -> str:
    text = _DOUBLE_BRACKETS.sub(lambda found: found[1] or found[2], text)
    return _WHOLE_BRACKETS.sub(r"\1\2\3", text).replace("\\(", "(").replace("\\)", ")")


def _underscores(text: str, family: Family, dialect: Dialect) -> Spelt:
    def spaced(part: str) -> str:
        return re.sub(r"[^\s,()]+", lambda word: word[0] if SCORE_TAG.fullmatch(word[0]) else _spaces(word[0]), part)

    why = "Danbooru's tags are read with spaces" if dialect.booru else "it reads words, not tags"
    return Spelt(outside_quotes(text, spaced), (Change(what="wrote underscores as spaces", why=why),))


def _spaces(word: str) -> str:
    apart = word.startswith(("http", "<", "embedding:")) or _WILDCARD.search(word)
    return word if apart else _UNDERSCORE.sub(" ", word)


def _brackets(text: str, family: Family, dialect: Dialect) -> Spelt:
    if not (dialect.booru and family.profile.weights):
        return Spelt(text)
    escaped = outside_quotes(text, lambda part: _OF_A_NAME.sub(r"\1\\(\2\\)", part))
    why = "brackets that belong to a name would be read as weights"
    return Spelt(escaped, (Change(what="escaped the brackets of names", why=why),))


def _qualities(text: str, family: Family, dialect: Dialect) -> Spelt:
    """Without words of quality where they do harm, and without score tags where nobody learnt them."""
    if dialect.form == "plain":
        return Spelt(text)
    scored = any(SCORE_TAG.fullmatch(tag) for tag in dialect.first)
    out: list[str] = []

    def kept(clause: re.Match[str]) -> str:
        said = clause[0].strip(" ()[]").lower()
        if (SCORE_TAG.fullmatch(said) and not scored) or (said in boosters() and not dialect.boosters):
            out.append(clause[0].strip())
            return ""
        return clause[0]

    plain = outside_quotes(text, lambda part: _CLAUSE.sub(kept, part))
    if not out or not re.search(r"\w", plain):
        return Spelt(text)
    why = f"{family.profile.title} gains nothing by words of quality"
    return Spelt(_tidy(plain), (Change(what=f"left out {', '.join(dict.fromkeys(out))}", why=why),))


def _ruled_out(text: str, family: Family) -> Spelt:
    """What "no ..." and "without ..." rule out, taken out of the text where a negative prompt is read."""
    if not family.profile.negatives or family.profile.name == "demo":
        return Spelt(text)
    against: list[str] = []

    def kept(clause: re.Match[str]) -> str:
        whole = _ONLY_RULED_OUT.match(clause[0])
        last = None if whole else _RULED_OUT_AT_LAST.search(clause[0])
        said = whole or last
        things = _things(str(said["things"])) if said else []
        against.extend(things)
        if not things:
            return clause[0]
        return "" if last is None else clause[0][: last.start()]

    plain = _tidy(outside_quotes(text, lambda part: _CLAUSE.sub(kept, part)))
    clothing = any(_GARMENTS.search(thing) for thing in against)  # the rules refuse negative prompts with these alone
    if not against or not re.search(r"\w", plain) or clothing:
        return Spelt(text)
    said = ", ".join(against)
    why = "a prompt that names a thing draws it; the negative prompt is read"
    return Spelt(
        plain, (Change(what=f"moved what you ruled out to the negative prompt: {said}", why=why),), tuple(against)
    )


def _things(said: str) -> list[str]:
    """ "people or cars" -> people, cars; nothing where more is said than things."""
    things = [re.sub(rf"^{_DETERMINERS}", "", part, flags=re.IGNORECASE).strip() for part in _ALTERNATIVES.split(said)]
    for thing in things:
        first = thing.split()[0].lower() if thing else ""
        if not first or first in _NO_THING or len(thing.split()) > MOST_RULED_OUT or _SAYS_MORE.search(thing):
            return []
    return things


def _tidy(text: str) -> str:
    """Without the commas that stood around what was taken out."""
    text = _LOOSE_ENDS.sub(",", text)
    text = re.sub(r",\s*(?=[.;])", "", text)
    text = re.sub(r"([.;])\s*[,.;]+", r"\1", text)
    return " ".join(text.split()).strip(" ,;")
