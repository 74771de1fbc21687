"""Readers of a language model's reply that comes in pieces: thoughts, the prompt in JSON, plain characters.

Each takes time in proportion to the reply, however it is cut. What the reply means is for `utils.prompt_enhancer`.
"""

from __future__ import annotations

import re

_TAG = re.compile(
    r"(?P<open><(?:think|thinking|reasoning)>|◁think▷)"
    r"|(?P<close></(?:think|thinking|reasoning)>|◁/think▷|<\|channel\|>final<\|message\|>)",
    re.IGNORECASE,
)
_LONGEST_TAG = 28
_PROMPT_KEY = re.compile(r'["\'](?:(?:positive|enhanced|final|image)_?)?prompt["\']\s*:\s*(?=(\S))', re.IGNORECASE)
_LONGEST_KEY = 60
MOST_HELD = 100
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": " "}
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff`]"
)


class Thoughts:
    """Takes <think>...</think> out of a text that comes in pieces, in time proportional to it."""

    def __init__(self) -> None:
        self._held = ""
        self._hidden = False
        self.begun_anew = False
        """Whether the last piece ended a thought whose beginning was not told apart: all before it was thought."""

    def feed(self, piece: str) -> str:
        """What of it is spoken. What may be the beginning of a tag is kept for the next piece."""
        text, at, seen = self._held + piece, 0, list[str]()
        self.begun_anew = False
        for tag in _TAG.finditer(text):
            if tag["close"] and self._hidden:
                self._hidden = False
            elif tag["close"]:
                seen, self.begun_anew = [], True
            elif not self._hidden:
                seen.append(text[at : tag.start()])
                self._hidden = True
            at = tag.end()
        rest = text[at:]
        cut = max(rest.rfind("<", -_LONGEST_TAG), rest.rfind("◁", -_LONGEST_TAG))
        if cut >= 0 and "<|" in rest[-_LONGEST_TAG:]:
            cut = rest.find("<|", max(0, len(rest) - _LONGEST_TAG))
        cut = len(rest) if cut < 0 else cut
        self._held = rest[cut:]
        if not self._hidden:
            seen.append(rest[:cut])
        return "".join(seen)

    def rest(self) -> str:
        """What was kept, at the end."""
        return "" if self._hidden else self._held


class PromptValue:
    """Finds the prompt in JSON that comes in pieces, and decodes it as far as it is there."""

    def __init__(self, *, begun: bool = False) -> None:
        self._text = ""
        self._at = 0
        self._parts: list[str] = []
        self._high = ""
        self.begun, self.ended, self.other = begun, False, False
        """Whether the text of the prompt has begun and ended; `other`: the prompt is no text."""

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def feed(self, piece: str) -> str:
        """What came to be known of the prompt by this piece."""
        self._text = self._text[self._at :] + piece
        self._at, known = 0, len(self._parts)
        if not self.begun and not self.other:
            self._seek()
        while self.begun and not self.ended and self._step():
            pass
        return "".join(self._parts[known:])

    def _seek(self) -> None:
        key = _PROMPT_KEY.search(self._text)
        if key is None:
            self._at = max(0, len(self._text) - _LONGEST_KEY)
        elif key[1] == '"':
            self.begun, self._at = True, key.end() + 1
        else:
            self.other, self._at = True, len(self._text)

    def _step(self) -> bool:
        """Decode the next run of letters, escape or quote; False when more must come first."""
        text, at = self._text, self._at
        if at >= len(text):
            return False
        if text[at] == "\\":
            return self._escape()
        if text[at] == '"':
            return self._quote()
        run = re.compile(r'[^"\\]+').match(text, at)
        assert run is not None
        self._add(run.group())
        self._at = run.end()
        return True

    def _escape(self) -> bool:
        text, at = self._text, self._at
        letter = text[at + 1 : at + 2]
        if not letter:
            return False
        if letter != "u":
            self._add(_ESCAPES.get(letter, letter))
            self._at += 2
            return True
        digits = text[at + 2 : at + 6]
        if len(digits) < 4 and re.fullmatch(r"[0-9a-fA-F]*", digits):
            return False
        exact = re.fullmatch(r"[0-9a-fA-F]{4}", digits) is not None
        self._code(int(digits, 16)) if exact else self._add("u")
        self._at += 6 if exact else 2
        return True

    def _code(self, code: int) -> None:
        """A UTF-16 unit: two surrogates make one letter, a lone one none."""
        if 0xD800 <= code < 0xDC00:
            self._high = chr(code)
        elif 0xDC00 <= code < 0xE000:
            if self._high:
                self._parts.append((self._high + chr(code)).encode("utf-16", "surrogatepass").decode("utf-16"))
            self._high = ""
        else:
            self._add(chr(code))

    def _add(self, text: str) -> None:
        self._high = ""
        self._parts.append(text)

    def _quote(self) -> bool:
        """Whether a quote ends the text is told by what follows it: a comma with a key, or a bracket."""
        after = re.compile(r"\s*(?:(,)\s*)?(\S)?").match(self._text, self._at + 1)
        assert after is not None
        if not after[2]:
            return False
        self.ended = after[2] in "\"'}" if after[1] else after[2] in "}]"
        if not self.ended:
            self._add('"')
        self._at += 1
        return True


class Plainly:
    """Takes control characters, backticks and ** out of a text that comes in pieces; single spaces between words."""

    def __init__(self) -> None:
        self._held = ""
        self._begun = False

    def feed(self, piece: str) -> str:
        text = self._held + _UNSEEN.sub("", piece)
        kept = len(text)
        while kept and (text[kept - 1] == "*" or text[kept - 1].isspace()):
            kept -= 1
        self._held = re.sub(r"\*\*+", "**", re.sub(r"\s+", " ", text[kept:]))
        if len(self._held) > MOST_HELD:  # a run of stars and spaces without end is text
            cut = self._held.rfind(" ")
            kept, text, self._held = kept + cut, text[:kept] + self._held, self._held[cut:]
        return self._shown(text[:kept])

    def rest(self) -> str:
        """What was held back; spaces at the end are nothing."""
        return self._shown(self._held).rstrip()

    def _shown(self, text: str) -> str:
        shown = re.sub(r"\s+", " ", re.sub(r"\*\*+", "", text))
        shown = shown if self._begun else shown.lstrip()
        self._begun = self._begun or bool(shown)
        return shown
