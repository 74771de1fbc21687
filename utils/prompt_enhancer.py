"""What a language model writes when it is asked for a prompt: the form of its reply, and the reading of it.

Pure text in, plain values out. What is asked is for `workflows.prompts.asking`; nothing here asks a model, and
nothing that a reply says is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from utils.reply_pieces import Plainly, PromptValue, Thoughts

MOST_PROMPT = 4000
"""Characters of a prompt that are taken over; a longer one ends with its last whole sentence before."""
MOST_NEGATIVE = 1000
MOST_SAID = 1000
MOST_REPLY = 20_000
"""Characters of a reply, without its thoughts, that are read."""
MOST_OBJECTS = 20
"""Places in a reply at which a JSON object is tried, so that a reply of brackets costs no more than another."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"prompt": {"type": "string"}, "negative": {"type": "string"}, "said": {"type": "string"}},
    "required": ["prompt", "negative", "said"],
    "additionalProperties": False,
}
"""JSON schema of a reply, in the strict form that OpenAI asks for."""

_KEYS = {
    "prompt": ("prompt", "positive_prompt", "positive", "enhanced_prompt", "final_prompt", "image_prompt", "text"),
    "negative": ("negative", "negative_prompt", "negativeprompt"),
    "said": ("said", "reply", "message", "comment", "explanation", "note"),
}
_OTHER_KEY = r'["\'](?:{})["\']\s*:\s*"((?:[^"\\]|\\.)*)'
_MARKUP = re.compile(
    r"</?(?:b|i|p|br|em|strong|div|span|prompt|answer|output)\s*/?>|<\|[^|<>]{1,40}\|>|</?s>", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?。！？][\"'”’)」』]?(?=\s)|[。！？](?=\S)")
_PAIRS = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "「": "」"}
_NOTHING = frozenset(
    "string prompt text null none n/a na empty todo nothing undefined your prompt here the prompt here".split()
) | {"your prompt here", "the prompt", "not applicable", "not needed", "no negative prompt", "none needed"}
_REFUSAL = re.compile(
    r"(?:(?:i['’]?m|i am) (?:(?:really |very |so )?sorry|unable|not able|afraid)|sorry[,.! ]|apologies|as an ai\b"
    r"|(?:i )?(?:can['’]?t|cannot|can not|won['’]?t|will not|must decline|am not able)\b|unfortunately,? i\b"
    r"|(?:this|that|your) request (?:violates|goes against|cannot|can't)|no puedo\b|es tut mir leid|je ne peux pas"
    r"|ich kann (?:das|dies|dir|ihnen)?\s*nicht|我无法|我不能|抱歉|申し訳)",
    re.IGNORECASE,
)
_MAY_REFUSE = re.compile(r"(?:i|i['’]m|sorry|as an|apologies|unfortunately|this request|your request)\b", re.IGNORECASE)
_HELD = 60
"""Characters of a beginning that may turn out to be a refusal or a preamble, which a stream does not show yet."""


@dataclass(frozen=True)
class Reply:
    """What a language model wrote: a prompt, what should not be there, and what it says to the user."""

    prompt: str
    negative: str = ""
    said: str = ""


def read_reply(text: str) -> Reply | None:
    """The prompt of a reply, in whatever dress it came; None for a refusal, a question back, or nothing.

    Reads JSON, also fenced, wrapped in text, cut short, doubled or not quite JSON; and plain text with preambles,
    labels and a "Negative prompt:" line. Thoughts, markdown and control characters are taken out.
    """
    visible = _spoken(text)[:MOST_REPLY]
    found = _from_json(visible) or _from_broken_json(visible)
    if found is None:
        found = None if visible.lstrip("` \n").startswith('{"') or _is_other_json(visible) else _from_plain(visible)
    return _checked(found) if found else None


def _is_other_json(text: str) -> bool:
    """Whether all of it is JSON, and no text: a list, a number, true."""
    try:
        return not isinstance(json.loads(text), str)
    except (ValueError, RecursionError):
        return False


def _spoken(text: str) -> str:
    """The reply without its thoughts."""
    thoughts = Thoughts()
    visible = thoughts.feed(text) + thoughts.rest()
    return visible.strip()


def _from_json(text: str) -> Reply | None:
    """From the first JSON object that has a prompt; a string that holds such an object counts as one."""
    for depth, start in enumerate(found.start() for found in re.finditer(r'[{\[]|^\s*"', text)):
        if depth == MOST_OBJECTS:
            break
        at = text.find('"', start) if text[start] not in "{[" else start
        try:
            value: object = json.JSONDecoder(strict=False).raw_decode(text, at)[0]
        except (ValueError, RecursionError):
            continue
        if reply := _from_value(value):
            return reply
    return None


def _from_value(value: object, depth: int = 0) -> Reply | None:
    if depth > 3:
        return None
    if isinstance(value, str):
        return _from_json(value) if value.lstrip().startswith("{") and depth < 2 else None
    if isinstance(value, list):
        inner = (_from_value(one, depth + 1) for one in cast(list[object], value)[:3])
        return next(filter(None, inner), None)
    if not isinstance(value, dict):
        return None
    table = {str(key).casefold().replace(" ", "_"): one for key, one in cast(dict[object, object], value).items()}
    prompt = _first(table, "prompt")
    if prompt is None:
        inner = (_from_value(one, depth + 1) for one in list(table.values())[:5] if not isinstance(one, str))
        return next(filter(None, inner), None)
    if isinstance(prompt, str) and (doubled := _from_value(prompt, 1)):
        return doubled
    return Reply(_flat(prompt), _flat(_first(table, "negative")), _flat(_first(table, "said")))


def _first(table: Mapping[str, object], name: str) -> object:
    return next((table[key] for key in _KEYS[name] if key in table), None)


def _flat(value: object) -> str:
    """A text; of a list or an object the texts in it, in their order."""
    return ", ".join(text for text in _texts(value) if text.strip())


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case bool() | None:
            return
        case int() | float():
            yield f"{value:g}"
        case list():
            for one in cast(list[object], value):
                yield from _texts(one)
        case dict():
            for one in cast(dict[str, object], value).values():
                yield from _texts(one)
        case _:
            return


def _from_broken_json(text: str) -> Reply | None:
    """From JSON that is cut short, has loose quotes in its texts, or is written with single quotes."""
    if "{" not in text:
        return None
    value = PromptValue()
    value.feed(text)
    prompt = value.text
    if not value.begun:
        single = re.search(r"'prompt'\s*:\s*'(.*?)'\s*(?:,\s*'|\}|$)", text[:MOST_REPLY], re.DOTALL)
        return Reply(single[1]) if single and single[1].strip() else None
    if not value.ended:
        prompt = _whole_words(prompt)
    negative = re.search(_OTHER_KEY.format("negative(?:_prompt)?"), text)
    said = re.search(_OTHER_KEY.format("said|reply|message"), text)
    return Reply(prompt, _unescaped(negative[1]) if negative else "", _unescaped(said[1]) if said else "")


def _unescaped(text: str) -> str:
    value = PromptValue(begun=True)
    value.feed(text)
    return value.text


def _whole_words(text: str) -> str:
    """A text that broke off, up to its last whole sentence or part, or word, that is not too far back."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    comma, space = text.rfind(", "), text.rfind(" ")
    place = max((end for end in [*ends, comma] if end > len(text) // 2), default=space)
    return text[:place] if place > 0 else text


def _plainly(text: str) -> str:
    cleaner = Plainly()
    return (cleaner.feed(text) + cleaner.rest()).strip()


def _unwrapped(text: str) -> str:
    """Without quotes around the whole."""
    close = _PAIRS.get(text[:1])
    return text[1:-1].strip() if close and len(text) > 1 and text.find(close, 1) == len(text) - 1 else text


def _cut(text: str, most: int) -> str:
    """At most so many characters, with a whole sentence at the end where there is one in the second half."""
    if len(text) <= most:
        return text
    ends = [found.end() for found in _SENTENCE_END.finditer(text[: most + 1]) if most // 2 <= found.end() <= most]
    if ends:
        return text[: ends[-1]]
    space = text.rfind(" ", most // 2, most)
    return text[: space if space > 0 else most].rstrip(" ,;")


def _checked(found: Reply) -> Reply | None:
    prompt, inner = _split_negative(found.prompt)
    prompt = _unwrapped(_plainly(_MARKUP.sub(" ", _without_label(prompt))))
    if _is_nothing(prompt) or _REFUSAL.match(prompt):
        return None
    negative = _unwrapped(_plainly(_MARKUP.sub(" ", found.negative or inner)))
    negative = "" if _is_nothing(negative) else _cut(negative, MOST_NEGATIVE)
    said = _cut(_plainly(_MARKUP.sub(" ", found.said)), MOST_SAID)
    return Reply(_cut(prompt, MOST_PROMPT), negative, said)


def _is_nothing(text: str) -> bool:
    return text.casefold().strip(" .<>[]{}()") in _NOTHING or not any(map(str.isalnum, text))


_LABEL = re.compile(
    r"^[ \t#>*_]{0,6}(?:(?:positive|enhanced|final|improved|refined|revised|optimi[sz]ed|updated|image|generation|new)"
    r"[ \t]+){0,4}prompt[*_]{0,3}[ \t]*[:：][*_]{0,3}[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_NEGATIVE_LABEL = re.compile(
    r"(?:^|\n|(?<=[.,;] ))[ \t#>*_]{0,6}negative(?:[ \t_]prompt)?s?[*_]{0,3}[ \t]*[:：][*_]{0,3}[ \t]*", re.IGNORECASE
)
_SETTINGS = re.compile(r"^[ \t]*steps: ?\d{1,3}\b.*", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_PREAMBLE = re.compile(
    r"\s*(?:(?:sure|certainly|of course|okay|ok|absolutely|great|alright|got it|no problem|gladly|yes)\b"
    r"[^\n:.!]{0,80}[!.,]*\s*)?"
    r"(?:(?:here(?:['’]s| is| are|)|below is|this is)\b[^\n:]{0,120}:(?=\s|\Z)\s*"
    r"|(?:my|the|your|i(?:['’]ve| have)?)\b[^\n:]{0,60}\b(?:prompt|description|version|caption|result)\b"
    r"[^\n:]{0,60}:\s+)?",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"[ \t#>*_(]{0,6}(?:let me know|i hope|hope this|feel free|would you like|do you want|if you(?:['’]d)? |enjoy"
    r"|this (?:prompt|description|version|image)|in this (?:prompt|version)|why (?:this|it)|explanation|alternative"
    r"|i(?:['’]ve| have) |i (?:added|kept|made|changed|used|included)|(?:option|version) 2|-{3,}"
    r"|the (?:above |enhanced )?prompt (?:is|has|keeps|above|describes)|(?:notes?|changes?|tips?|parameters?)[*_]*:)",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"(?:what|which|who|where|how|would|could|can|do|should|is|are)\b[^.!\n]*\?", re.IGNORECASE)
_BULLET = re.compile(r"^[ \t]*(?:[-*•]|#{1,6}|>|(?:option )?\d[.):])[ \t]+", re.IGNORECASE)
_FENCE = re.compile(r"```[ \t]*(?:[a-z]{1,12}[ \t]*)?\n?(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


def _without_label(text: str) -> str:
    label = _LABEL.match(text.lstrip())
    return text.lstrip()[label.end() :] if label else text


def _split_negative(text: str) -> tuple[str, str]:
    """What stands before and after "Negative prompt:", without the settings that may follow."""
    plain = _SETTINGS.sub("", text)
    label = _NEGATIVE_LABEL.search(plain)
    return (plain[: label.start()], plain[label.end() :]) if label else (plain, "")


def _from_plain(text: str) -> Reply | None:
    """From a reply that is no JSON."""
    if _REFUSAL.match(text):
        return None
    fence = _FENCE.search(text)
    body = fence[1] if fence and any(map(str.isalnum, fence[1])) else text
    positive, rest = _split_negative(body)
    label = _LABEL.search(positive)
    preamble = _PREAMBLE.match(positive)
    start = label.end() if label else preamble.end() if preamble else 0
    lines, chatter = _before_chatter(positive[start:])
    if not lines or (len(lines) == 1 and _QUESTION.fullmatch(lines[0])):
        return None
    separator = ", " if all(len(line) < _HELD and not line.endswith((".", ",")) for line in lines) else " "
    negative, _ = _before_chatter(rest.strip().split("\n\n")[0])
    return Reply(separator.join(lines), " ".join(negative), chatter)


def _before_chatter(text: str) -> tuple[list[str], str]:
    """The lines up to what is said about them, without bullets; and the line that says it. Of options the first."""
    lines = [line for line in text.splitlines() if line.strip(" \t*_#`")]
    options = [
        line for line in lines if re.match(r"\s*(?:\**option )?\d[.):]", line, re.IGNORECASE) and len(line) > _HELD
    ]
    if len(options) > 1:
        return [_BULLET.sub("", options[0]).strip()], ""
    kept: list[str] = []
    for line in lines:
        if kept and _CHATTER.match(line):
            return kept, line
        if not re.match(r"\s*#{1,6} ", line) or len(lines) == 1:
            kept.append(_BULLET.sub("", line).strip())
    return kept, ""


class PromptStream:
    """The prompt in a reply that comes in pieces: thoughts hidden, JSON unwrapped, as it will be read in the end.

    Takes time in proportion to the reply, however it is cut. What is shown of a prompt in JSON only grows; of plain
    text it may change, as what turns out to be a preamble is taken back.
    """

    def __init__(self) -> None:
        self._thoughts = Thoughts()
        self._begin()

    def _begin(self) -> None:
        self._buffer, self._shown, self._known = "", "", ""
        self._value, self._cleaner = PromptValue(), Plainly()
        self._tries, self._read_to = MOST_OBJECTS, 0

    def feed(self, piece: str) -> str:
        """The prompt as far as it is known after this piece."""
        spoken = self._thoughts.feed(piece)
        if self._thoughts.begun_anew:
            self._begin()
        if spoken and len(self._buffer) < MOST_REPLY and not self._value.ended:
            self._buffer += spoken
            self._read(spoken)
        return self._shown

    def _read(self, spoken: str) -> None:
        new = self._value.feed(spoken) if len(self._known) <= 2 * MOST_PROMPT else ""
        if self._value.ended:
            self._shown = _final(self._value.text)
        elif self._value.begun and new:
            self._known += self._cleaner.feed(new)
            self._shown = _settled(self._known)
        elif self._value.begun:
            return
        elif self._value.other or self._buffer.lstrip()[:1] in {"{", "["} or self._buffer.lstrip().startswith("```"):
            self._whole(spoken)
        elif len(self._buffer) < MOST_PROMPT + MOST_SAID and self._grown():
            self._shown = _plain_so_far(self._buffer.lstrip())

    def _grown(self) -> bool:
        """Whether enough came to read a plain reply anew, so that all readings together take linear time."""
        enough = len(self._buffer) - self._read_to > len(self._buffer) // 64
        self._read_to = len(self._buffer) if enough else self._read_to
        return enough

    def _whole(self, spoken: str) -> None:
        """The prompt of JSON that must be whole to be read; a fence may hold plain text as well."""
        if "}" in spoken and self._tries:
            self._tries -= 1
            found = _from_json(self._buffer)
            self._shown = _prompt_of(found) if found else self._shown
        fence = _FENCE.match(self._buffer.lstrip())
        plain = fence is not None and fence[1].lstrip()[:1] not in {"", "{", "["}
        if plain and len(self._buffer) < MOST_PROMPT and self._grown():
            self._shown = _prompt_of(_from_plain(self._buffer))


def _final(text: str) -> str:
    return _prompt_of(_from_value(text) or Reply(text))


def _prompt_of(found: Reply | None) -> str:
    reply = _checked(found) if found else None
    return reply.prompt if reply else ""


def _settled(text: str) -> str:
    """What will surely stay of a prompt that goes on: not what may be a refusal, or within quotes that wrap it."""
    text = text.strip()
    short = len(text) < _HELD and _MAY_REFUSE.match(text) is not None
    if short or _is_nothing(text) or _REFUSAL.match(text) or text.startswith("{"):
        return ""
    close = _PAIRS.get(text[:1])
    if close and text.find(close, 1) in {-1, len(text) - 1}:
        return ""
    if len(text) <= MOST_PROMPT // 2:
        return text
    ends = [found.end() for found in _SENTENCE_END.finditer(text[: MOST_PROMPT + 1]) if found.end() <= MOST_PROMPT]
    return text[: max(MOST_PROMPT // 2, *ends)] if ends else text[: MOST_PROMPT // 2]


def _plain_so_far(text: str) -> str:
    """Of a plain reply that goes on: not what may be a preamble, a refusal or the beginning of a label."""
    first = text.split("\n", 1)[0]
    begins = re.match(
        r"(?:sure|certainly|of course|okay|ok|here|below|great|absolutely|\W*\w{0,12} ?prompt)\b", text, re.IGNORECASE
    )
    if len(text) < _HELD and (
        _MAY_REFUSE.match(text) or (text.isascii() and " " not in text) or (begins and first == text)
    ):
        return ""
    head, _, last = text.rpartition("\n")
    label = last.strip(" *#_").casefold()
    waiting = (
        head and any(word.startswith(label[: len(word)]) for word in ("negative prompt", "steps:")) and len(label) < 16
    )
    prompt = _prompt_of(_from_plain(head if waiting else text))
    close = _PAIRS.get(prompt[:1])
    return prompt[1:] if close and close not in prompt[1:] else prompt
