"""Answers taken apart as their bytes come: JSON in lines, server-sent events, and answers in one piece. Pure.

The pieces of a stream end anywhere, also inside a character, and bytes are decoded only in whole lines. What is kept
is bounded; Overlong is raised beyond that.
"""

from __future__ import annotations

import json
from typing import Protocol

MAX_ANSWER = 4_000_000
"""Bytes of an answer in one piece: a reply of MAX_REPLY characters, escaped, with its thoughts, and of a line."""
MAX_REPLY = 200_000
"""Characters of a reply: ten times the longest prompt."""
NEWLINE = b"\n"


class Overlong(Exception):
    """There is more than is read."""


class Unreadable(Exception):
    """It is no text, no JSON, or JSON of another shape."""


class Reader(Protocol):
    """Bytes in, the texts of whole JSON objects out. Raises Overlong, Unreadable."""

    def feed(self, piece: bytes) -> list[str]: ...

    def end(self) -> list[str]:
        """What is left when the bytes are at their end."""
        ...


class Whole:
    """An answer in one piece."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, piece: bytes) -> list[str]:
        self._bytes += piece
        if len(self._bytes) > MAX_ANSWER:
            raise Overlong
        return []

    def end(self) -> list[str]:
        return [_decoded(self._bytes)]


class JsonLines:
    """Ollama's streams: an object on each line. The last one may lack the end of its line."""

    def __init__(self) -> None:
        self._lines = Lines()

    def feed(self, piece: bytes) -> list[str]:
        return [line for line in self._lines.feed(piece) if line.strip()]

    def end(self) -> list[str]:
        return [line for line in self._lines.end() if line.strip()]


class EventLines:
    """Server-sent events, as the HTML standard reads them (9.2.6), but for lines that end in a bare CR.

    Some servers of llama.cpp write a field `error` where others write data with an error in it.
    """

    def __init__(self) -> None:
        self._lines = Lines()
        self._data: list[str] = []
        self._length = 0

    def feed(self, piece: bytes) -> list[str]:
        return [text for line in self._lines.feed(piece) for text in self._read(line)]

    def end(self) -> list[str]:
        return [text for line in [*self._lines.end(), ""] for text in self._read(line)]

    def _read(self, line: str) -> list[str]:
        """The event that this line ends, or none."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "error":
            return [f'{{"error": {value if _is_json(value) else json.dumps(value)}}}']
        if name == "data":
            self._data.append(value)
            self._length += len(value) + 1
            if self._length > MAX_ANSWER:
                raise Overlong
        if line or not self._data:
            return []
        text, self._data, self._length = "\n".join(self._data), [], 0
        return [text]


class Lines:
    """Bytes in, whole lines out, without their ends; only LF and CRLF end one, as JSON may hold all other marks."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._first = True

    def feed(self, piece: bytes) -> list[str]:
        if NEWLINE not in piece:
            self._begin(piece)
            return []
        first, *others = piece.split(NEWLINE)
        self._begin(first)
        lines = [bytes(self._begun), *others[:-1]]
        self._begun.clear()
        self._begin(others[-1])
        return [self._text(line) for line in lines]

    def end(self) -> list[str]:
        begun = bytes(self._begun)
        self._begun.clear()
        return [self._text(begun)] if begun else []

    def _begin(self, piece: bytes) -> None:
        self._begun += piece
        if len(self._begun) > MAX_ANSWER:
            raise Overlong

    def _text(self, line: bytes) -> str:
        encoding = "utf-8-sig" if self._first else "utf-8"  # a stream may begin with a byte order mark
        self._first = False
        return _decoded(line.removesuffix(b"\r"), encoding)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _decoded(text: bytes | bytearray, encoding: str = "utf-8-sig") -> str:
    try:
        return text.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable from error
