"""The header of a safetensors file: names, types and shapes of its tensors, and its metadata. It reads no weights.

A header comes from strangers, so everything in it is bounded and checked before it is believed: what the safetensors
library refuses is refused here, without that library and without loading anything.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
"""The safetensors library's own limit."""
MOST_VALUES = 1_500_000
"""Commas and brackets in a header: a bound on the memory that parsing can take. A real one has a few per tensor."""
MOST_DIMENSIONS = 32
MOST_ELEMENTS = 2**63
BITS: Mapping[str, int] = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8"), 8),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
"""Bits of one element. A type that is not here is taken as told: new ones appear every year."""


class BadHeader(ValueError):
    """The file is no sound safetensors file; the text says why, without the path."""


@dataclass(frozen=True, slots=True)
class Tensor:
    dtype: str
    """As the file spells it, such as F16 or F8_E4M3."""
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    data_bytes: int
    """Bytes of all weights together."""


def read_header(path: Path) -> Header:
    """The header of that file. Raises BadHeader; OSError where it cannot be opened. Never waits on a pipe."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    opened = os.open(path, flags)
    try:
        facts = os.fstat(opened)
        if not stat.S_ISREG(facts.st_mode):
            raise BadHeader("it is not a regular file")
        first = _read(opened, LENGTH_BYTES)
        needed = header_bytes_needed(first)
        if needed > facts.st_size:
            raise BadHeader(f"its header should take {needed:,} bytes, but the file has {facts.st_size:,}: it was cut")
        return parse_header(first + _read(opened, needed - LENGTH_BYTES), facts.st_size)
    finally:
        os.close(opened)


def header_bytes_needed(first8: bytes) -> int:
    """How many bytes of the file, from its beginning, hold the header; at most 8 + 100,000,000. Raises BadHeader."""
    if len(first8) < LENGTH_BYTES:
        raise BadHeader(f"it has {len(first8)} bytes, too few for a safetensors file")
    length = int.from_bytes(first8[:LENGTH_BYTES], "little")
    if 2 <= length <= MOST_HEADER_BYTES:
        return LENGTH_BYTES + length
    raise BadHeader(
        _other_format(first8) or f"its header says that it is {length:,} bytes long; 2 to {MOST_HEADER_BYTES:,} can be"
    )


def parse_header(raw: bytes, file_bytes: int | None = None) -> Header:
    """The header in the first bytes of a file (more may follow); checked against the file's size where that is given.

    Raises BadHeader, and nothing else, whatever the bytes are.
    """
    needed = header_bytes_needed(raw[:LENGTH_BYTES])
    if len(raw) < needed:
        raise BadHeader(f"its header takes {needed:,} bytes, and only {len(raw):,} are here: it was cut")
    entries = _parsed(raw[LENGTH_BYTES:needed])
    metadata = _metadata(entries.pop("__metadata__", None))
    tensors, data_bytes = _tensors(entries)
    if file_bytes is not None and needed + data_bytes != file_bytes:
        why = "it was cut" if file_bytes < needed + data_bytes else "something is appended to it"
        raise BadHeader(f"it should have {needed + data_bytes:,} bytes and has {file_bytes:,}: {why}")
    return Header(tensors, metadata, data_bytes)


def _read(opened: int, count: int) -> bytes:
    """So many bytes, or all that there are: one call may give fewer."""
    pieces: list[bytes] = []
    while count > 0 and (piece := os.read(opened, count)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"GGUF", "it is a GGUF file, not safetensors; ComfyUI reads it with the ComfyUI-GGUF nodes"),
    (b"PK\x03\x04", "it is a zip archive, most likely a pickle (.pt, .ckpt), which can run code and is never opened"),
    (b"\x80", "it is a pickle (.pt, .ckpt), which can run code and is never opened"),
    (b"version ", "it is a Git LFS pointer: the weights themselves were not downloaded"),
    (b"<", "it is a web page, not a weight file: the download needs a login or went wrong"),
    (b"{", "it is JSON text, not a weight file: the download needs a login or went wrong"),
)


def _other_format(first8: bytes) -> str:
    """What a file is whose first bytes give no possible length. A real length may begin with the same bytes."""
    return next((words for magic, words in MAGIC if first8.lstrip().startswith(magic)), "")


_Entry = tuple[Any, Any, Any]
"""dtype, shape and offsets of a tensor. JSON gives lists, never tuples: nothing else in a header looks like it."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Entry:
    """A tensor's three facts as a tuple, any other object as a dictionary without repeated keys."""
    if len(pairs) == 3:
        (dtype, one), (shape, two), (offsets, three) = pairs
        if dtype == "dtype" and shape == "shape" and offsets == "data_offsets":
            return one, two, three
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadHeader("a name in its header comes twice")
    if found.keys() == {"dtype", "shape", "data_offsets"}:
        return found["dtype"], found["shape"], found["data_offsets"]
    return found


def _no_number(text: str) -> NoReturn:
    raise BadHeader(f"its header holds the number {text[:20]}; only whole numbers can be")


_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_no_number, parse_constant=_no_number)


def _parsed(raw: bytes) -> dict[str, Any]:
    if len(raw) > MOST_VALUES and sum(map(raw.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise BadHeader(f"its header has more than {MOST_VALUES:,} values")
    try:
        found: object = _decoder.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadHeader("its header is not UTF-8 text") from error
    except RecursionError as error:
        raise BadHeader("its header is nested too deeply") from error
    except BadHeader:
        raise
    except ValueError as error:  # no JSON, or a number of thousands of digits
        raise BadHeader("its header is not JSON") from error
    if not isinstance(found, dict):
        raise BadHeader("its header is no JSON object of tensors")
    if b"\\u" in raw and _HALF_LETTER.search(raw):
        _check_text(cast("dict[str, Any]", found))
    return cast("dict[str, Any]", found)


_HALF_LETTER = re.compile(rb"\\u[dD][89a-fA-F]")


def _check_text(entries: Mapping[str, Any]) -> None:
    """Half of a surrogate pair can be written in JSON, but neither stored nor printed."""
    try:
        json.dumps(entries, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise BadHeader("its header is not UTF-8 text") from error


def _metadata(found: object) -> Mapping[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadHeader("its __metadata__ is no object")
    told = cast("dict[str, Any]", found)
    if not all(isinstance(value, str) for value in told.values()):
        raise BadHeader("its __metadata__ holds something else than text")
    return told


def _tensors(entries: Mapping[str, Any]) -> tuple[dict[str, Tensor], int]:
    """The tensors by name, and where the last one ends. Equal shapes share one Tensor: there are few in a file."""
    known: dict[tuple[str, tuple[int, ...]], tuple[Tensor, int | None]] = {}
    tensors: dict[str, Tensor] = {}
    spans: list[tuple[int, int]] = []
    last = 0
    in_order = True
    for name, entry in entries.items():
        try:
            dtype, shape, (begin, end) = entry
            key = dtype, tuple(shape)
            tensor, size = known.get(key) or known.setdefault(key, _tensor(dtype, shape))
            if end - begin != size and (size is not None or end < begin):
                raise BadHeader(f"the offsets of {_short(name)} do not fit its type and shape")
        except (TypeError, ValueError) as error:
            raise error if isinstance(error, BadHeader) else BadHeader(_fault(name)) from error
        in_order = in_order and begin == last
        last = end
        spans.append((begin, end))
        tensors[name] = tensor
    return tensors, last if in_order else _end_of(spans)


def _tensor(dtype: object, shape: object) -> tuple[Tensor, int | None]:
    """A tensor and its bytes; None for a type of unknown width. Raises TypeError and ValueError for what is none."""
    if not isinstance(dtype, str) or not isinstance(shape, list):
        raise TypeError
    sizes = cast("list[object]", shape)
    if len(sizes) > MOST_DIMENSIONS or not all(type(size) is int and 0 <= size < MOST_ELEMENTS for size in sizes):
        raise ValueError
    tensor = Tensor(dtype, tuple(cast("list[int]", sizes)))
    if tensor.elements >= MOST_ELEMENTS:
        raise ValueError
    bits = BITS.get(dtype)
    return tensor, None if bits is None else -(-tensor.elements * bits // 8)


def _end_of(spans: list[tuple[int, int]]) -> int:
    """Where the weights end, when they lie one behind the other from the start, as they must."""
    end = 0
    for begin, after in sorted(spans):
        if begin != end:
            raise BadHeader(
                f"two of its tensors overlap at byte {begin:,}"
                if begin < end
                else f"between its tensors there is a hole at byte {end:,}"
            )
        end = after
    return end


def _fault(name: str) -> str:
    return f"the entry of {_short(name)} is no type (text), shape (whole numbers, none negative) and two offsets"


def _short(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:77]}...")
