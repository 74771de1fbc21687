"""What kind of message about a prompt it is, and the orders in it. What they do to the wish is for `edits`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from utils.reading.phrases import noun_phrases
from workflows.prompts import surgery

MOST_READ = 8000
"""Characters of a message that are read."""
MOST_ORDERS = 24
"""Orders of one message; what comes later is added as it stands."""
LONG = 8
"""Words from which a message that begins with a thing of its own may be a new description."""
_VERBS = (
    "add|include|insert|put|give|remove|delete|drop|erase|lose|replace|swap|change|make|turn|switch|get rid|take|"
    "leave out|zoom|set|use|have|show|draw|paint|keep|no more"
)
_ORDER = re.compile(rf"(?:{_VERBS})\b", re.IGNORECASE)
_CUT = re.compile(
    rf",?\s+(?:and|then|but|also)\s+(?:then\s+|also\s+|please\s+)?(?=(?:{_VERBS}|with(?:out)?|no)\b)"
    rf"|,\s+(?=(?:{_VERBS}|with(?:out)?|no)\b)",
    re.IGNORECASE,
)
_POLITE = re.compile(
    r"(?:no,\s*|(?:please|pls|plz|kindly|ok|okay|hey|hi|hello|now|then|also|and|but|so|just|actually|maybe|perhaps|hmm+|well|oh|"
    r"great|nice|cool|perfect|good|thanks|thank you|yes|yeah|alright|let['’]?s|next|finally|first|again)\b[\s,.!:]*|"
    r"(?:can|could|would|will) (?:you|we|i)\b(?: please| kindly| maybe| perhaps| also| just)*(?: mind)?[\s,]*|"
    r"(?:i['’]?d|i would) (?:really )?(?:like|love|prefer)\b(?: you| it| this| if you| if it| to see| to have| to|"
    r" if)*\s*|have it (?=at|in|on|with|from)|"
    r"i (?:really )?(?:want|need|wish)\b(?: you| it| this| to see| to have| to)*\s*|try(?: to| and)?\s+|"
    r"it (?:would|could|should) be (?:nice|great|cool|good|better|nicer)(?: if you| if| to| with)?(?: could)?\s*|"
    r"(?:it|there|the picture|the image) (?:should|must|needs to|has to|could|can) (?=be|have|get|look|show)|"
    r"how about|what about|go ahead and|feel free to)",
    re.IGNORECASE,
)
_TAILS = ("please", "thanks", "thank you", "if possible", "for me", "as well", "too", "now", "then", "instead")
_TALK = frozenset(
    "thanks thank thx you very so much a lot great nice perfect cool awesome wow lovely beautiful good love like i "
    "really it this that that's thats is looks look ok okay yes no hi hello hey bye amazing wonderful excellent "
    "fantastic well done job work one for the your help now already fine better best way".split()
)
"""A message of these words alone asks for nothing."""
_QUESTION = re.compile(
    r"(?:why|when|who|where|which|how|what|is|are|was|does|do|did|has|have you|(?:will|can) (?:it|this)|should i)\b",
    re.IGNORECASE,
)
_ANEW = re.compile(
    r"(?:(?:please|ok|okay|now|actually|hmm)[\s,]*)?"
    r"(?:(?:forget|scrap|ignore|drop|discard) (?:that|it|all(?: of (?:that|it))?|everything|about (?:that|it)|"
    r"the (?:last|old|previous) (?:one|idea|picture|prompt))|new (?:idea|picture|prompt|image)|"
    r"start (?:over|again|anew|fresh)|"
    r"(?:something|a) (?:completely |totally )?(?:else|different|new)(?: idea| picture| image| one)?|"
    r"different idea|let['’]?s (?:do|try) something (?:else|different|new)|"
    r"instead,?(?= (?:of (?:that|this|it|all that),? )?(?:draw|paint|make|create|generate|show|give)))\b"
    r"(?:\s*(?:and\b|[:,.;!—-]|of (?:that|this|it|all that)\b))*\s*(?:with\s+)?",
    re.IGNORECASE,
)
_DRAW = re.compile(
    r"(?:instead,? )?(?:draw|paint|make|create|generate|show|give|render|imagine|design)\s+(?:me\s+|us\s+)?"
    r"(?:instead\s+)?"
    r"(?=(?:an?|the|some|two|three|four|\d+)\s)|(?:an?|the) (?:picture|image) of\s+",
    re.IGNORECASE,
)
_PICTURE = re.compile(r"(?:an?|the) (?:picture|image) of\s+", re.IGNORECASE)
_BACK = re.compile(
    r"\b(?:it|him|her|them|his|their|its|the (?:same|background|foreground)|in the|to the|instead of)\b", re.IGNORECASE
)
_QUOTED = re.compile(r"\"[^\"\n]{0,200}\"|“[^”\n]{0,200}”")
_HOLE = "\ue000"


def subject_of(text: str) -> str:
    """What a message says is to be seen: "please draw me a picture of a cat" -> "a cat"."""
    return _PICTURE.sub("", _DRAW.sub("", ordered(text), count=1), count=1)


def is_talk(text: str) -> bool:
    """Thanks, praise, and questions that ask for no change."""
    words = re.findall(r"[^\W_]+(?:['’][^\W_]+)?", text.lower())
    if all(word in _TALK for word in words):
        return bool(words)
    about = re.match(r"(?:how|what) about\b", text, re.IGNORECASE)
    return text.endswith("?") and not about and not _ORDER.match(ordered(text)) and _QUESTION.match(text) is not None


def new_description(words: str, text: str) -> str:
    """The new description that takes the wish's place, if the message is one."""
    if marked := _ANEW.match(text):
        rest = subject_of(text[marked.end() :])
        return rest if len(rest) > 2 else ""
    order = ordered(text)
    drawn = _DRAW.match(order)
    body = order[drawn.end() :] if drawn else order
    if _BACK.search(body) or _shares(words, body):
        return ""
    begins = re.match(r"(?:an?|two|three|four|five|\d+|1girl|1boy|portrait of|photo of)\b", body, re.IGNORECASE)
    makes = re.match(r"(?:draw|paint|create|generate|render|imagine|design)\b", order, re.IGNORECASE)
    whole = len(body.split()) >= LONG and begins is not None
    fits = (drawn and makes) or (whole and len(noun_phrases(body)) > 1)
    return _PICTURE.sub("", body, count=1) if body and fits else ""


def _shares(words: str, body: str) -> bool:
    """Whether it speaks of a thing of the wish, and so of the same picture."""
    return any(surgery.find(words, phrase.noun) for phrase in noun_phrases(body))


def ordered(text: str) -> str:
    """Without the politeness around it."""
    rest = text.strip(" ,")
    for _ in range(8):
        polite = _POLITE.match(rest)
        if polite is None or not polite.end():
            break
        rest = rest[polite.end() :].lstrip(" ,")
    return _without_tail(rest)


def _without_tail(text: str) -> str:
    """Without "please", "too" and full stops at the end."""
    shorter = text.rstrip(" ,.!?")
    while tail := next((word for word in _TAILS if shorter.lower().endswith(f" {word}")), ""):
        shorter = shorter[: -len(tail)].rstrip(" ,.!?")
    return shorter


def orders(text: str) -> Iterator[str]:
    """The orders of a message: its sentences, and those that a verb begins after a comma or "and"."""
    quotes = [found.group() for found in _QUOTED.finditer(text)]
    holed = _QUOTED.sub(_HOLE, text)
    parts = re.split(r"(?<=[.!?;])\s+|;\s*", holed)
    found = [order for part in parts for order in _CUT.split(part) if order.strip(" ,.!?")]
    if len(found) > MOST_ORDERS:
        found[MOST_ORDERS - 1 :] = [" ".join(found[MOST_ORDERS - 1 :])]
    filled = iter(quotes)
    for order in found:
        whole = re.sub(_HOLE, lambda _: next(filled, ""), order)
        if order := whole if is_talk(whole) else ordered(whole):
            yield f"{order} instead" if re.search(r"\w instead[\s.!]*$", whole) else order
