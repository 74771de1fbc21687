"""Headers of many safetensors files in a row, faster than one by one."""

from __future__ import annotations

import codecs
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, cast

from utils.safetensors_header import BadHeader, Header, Tensor, header_bytes_needed, parse_header

LENGTH_BYTES = 8
SPACE = 32
FIRST_BYTES = 64 * 1024
"""In which most metadata ends: the tensors that follow it are not made into text when their bytes are known."""
_Decoder = codecs.getincrementaldecoder("utf-8")
_HALF_LETTER = re.compile(rb"\\u[dD][89a-fA-F]")
_METADATA = re.compile(rb'\s*\{\s*"__metadata__"\s*:\s*')
KEPT_BYTES = 24 * 1024 * 1024
"""Of tensor tables that are remembered, as they stand in the files; parsed they take about as much again."""


class Headers:
    """Reads headers, each table of tensors once; for any number of threads.

    LoRAs of one trainer with the same settings differ in their metadata alone, and the metadata comes first: what
    follows it is then, byte for byte, what was parsed and checked before.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._known: OrderedDict[bytes, tuple[Mapping[str, Tensor], int]] = OrderedDict()
        self._bytes = 0
        self._changing = Lock()

    def read(self, path: Path) -> Header:
        """As `utils.safetensors_header.read_header`. Raises BadHeader, OSError."""
        with path.open("rb") as file:
            first = file.read(LENGTH_BYTES)
            size = file.seek(0, 2)
            needed = header_bytes_needed(first)
            if needed > size:
                raise BadHeader(f"its header should take {needed:,} bytes, but the file has {size:,}: it was cut")
            file.seek(LENGTH_BYTES)
            body = file.read(needed - LENGTH_BYTES)
        metadata, tensors = _parted(body)
        found = self._remembered(metadata, tensors, needed, size)
        return found or self._parsed(first + body, metadata, tensors, size)

    def _remembered(self, metadata: Mapping[str, str], tensors: bytes, needed: int, size: int) -> Header | None:
        with self._changing:
            found = self._known.get(tensors)
            if found is None or needed + found[1] != size:
                return None
            self._known.move_to_end(tensors)
        return Header(found[0], metadata, found[1])

    def _parsed(self, raw: bytes, metadata: Mapping[str, str], tensors: bytes, size: int) -> Header:
        header = parse_header(raw, size)
        if tensors and header.metadata == metadata:  # else there is metadata in another place too
            with self._changing:
                self._bytes += 0 if tensors in self._known else len(tensors)
                self._known[tensors] = (header.tensors, header.data_bytes)
                while self._bytes > self._kept_bytes:
                    self._bytes -= len(self._known.popitem(last=False)[0])
        return header


def _parted(body: bytes) -> tuple[dict[str, str], bytes]:
    """The metadata at the beginning, and what follows it; nothing follows where the metadata is not plain."""
    begin = _METADATA.match(body)
    if begin is None:
        return {}, _unfilled(body)
    told, end = _value(body, begin.end(), FIRST_BYTES) or _value(body, begin.end(), len(body)) or ({}, len(body))
    return told, _unfilled(body, end)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


_decoder = json.JSONDecoder(object_pairs_hook=_pairs)


def _value(body: bytes, begin: int, end: int) -> tuple[dict[str, str], int] | None:
    """The object of texts that begins there, and where it ends; None where it is none or goes beyond `end`.

    None too for what only the whole reading can judge: a name that comes twice, letters that may be halves.
    """
    if _HALF_LETTER.search(body, begin, end):
        return None
    try:
        text = _Decoder().decode(body[begin:end])  # without the letter that `end` may cut
        told, length = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    metadata = cast(dict[str, Any], told)
    if not all(isinstance(value, str) for value in metadata.values()):
        return None
    return cast(dict[str, str], metadata), begin + (length if text.isascii() else len(text[:length].encode()))


def _unfilled(body: bytes, begin: int = 0) -> bytes:
    """Without the spaces with which a header is filled up to a multiple of eight bytes."""
    end = len(body)
    least = max(begin, end - LENGTH_BYTES)
    while end > least and body[end - 1] == SPACE:
        end -= 1
    return body[begin:end]
