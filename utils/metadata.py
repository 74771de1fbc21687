"""What made a PNG, written into it and read back: the A1111 `parameters` text and our own JSON. Pixels never change.

The A1111 line format is the one that CivitAI and most viewers read: the prompt, `Negative prompt: ...`, and a last
line `Steps: 30, Sampler: ..., Model: ...` whose values are JSON strings where they hold a comma, colon or newline.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from utils.images import SIGNATURE, BadPicture, chunks, packed

PARAMETERS = "parameters"
RECORD = "atelier"
SCHEMA = 1
"""Version of the record's layout; raised when a reader of the old one would misread the new one."""
MAX_TEXT = 4_000_000
"""Characters of one text that are unpacked from a file; more is a decompression bomb."""

MAX_LINE = 50_000
"""Characters of a settings line that are searched."""

_NEGATIVE = "Negative prompt:"
_SETTING = re.compile(r'\s*(\w[\w \-/]{0,60}):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a PNG says of itself; None where it says nothing (or nothing readable)."""

    parameters: str | None = None
    record: dict[str, Any] | None = None
    texts: dict[str, str] = field(default_factory=dict[str, str])
    """Every text chunk by its keyword, ours included."""


def stamp_png(png: bytes, parameters: str, record: Mapping[str, Any]) -> bytes:
    """The same PNG with `parameters` and, under the key `atelier`, `record` with its schema version.

    Earlier stamps of these two keys are replaced; every other chunk stays as it is. Raises BadPicture.
    """
    document = json.dumps({"schema": SCHEMA, **record}, ensure_ascii=False, separators=(",", ":"))
    ours = [_text_chunk(PARAMETERS, parameters), _itxt_chunk(RECORD, document)]
    kept = [(kind, body) for kind, body in chunks(png) if _keyword(kind, body) not in {PARAMETERS, RECORD}]
    first = next((place for place, (kind, _) in enumerate(kept) if kind == b"IDAT"), None)
    if first is None:
        raise BadPicture("the PNG holds no pixels")
    return SIGNATURE + b"".join(packed(kind, body) for kind, body in [*kept[:first], *ours, *kept[first:]])


def read_png(png: bytes) -> Stamp:
    """The texts of a PNG. A damaged text is left out; raises BadPicture when the file is no whole PNG."""
    texts: dict[str, str] = {}
    for kind, body in chunks(png):
        keyword = _keyword(kind, body)
        if keyword is not None and (text := _text(kind, body)) is not None:
            texts[keyword] = text
    return Stamp(parameters=texts.get(PARAMETERS), record=_record(texts.get(RECORD)), texts=texts)


def parameters_text(
    *,
    prompt: str,
    negative: str = "",
    steps: int,
    sampler: str | None,
    cfg: float | None,
    seed: int,
    width: int,
    height: int,
    model: str,
    model_hash: str | None,
    version: str,
    denoise: float | None = None,
    further: Mapping[str, str | float] | None = None,
) -> str:
    """The A1111 text. `version` is Atelier's own; `further` settings come before it; what is None is left out."""
    settings: dict[str, str | float | None] = {
        "Steps": steps,
        "Sampler": sampler,
        "CFG scale": cfg,
        "Seed": seed,
        "Size": f"{width}x{height}",
        "Model hash": model_hash,
        "Model": model,
        "Denoising strength": denoise,
        **(further or {}),
        "Version": f"atelier {version}",
    }
    last = ", ".join(f"{name}: {_quoted(value)}" for name, value in settings.items() if value is not None)
    lines = [prompt.strip(), f"{_NEGATIVE} {negative.strip()}" if negative.strip() else "", last]
    return "\n".join(line for line in lines if line)


def read_parameters(text: str) -> dict[str, str]:
    """An A1111 text taken apart: `prompt`, `negative_prompt` and each setting under its own name.

    The format cannot tell a prompt's own line "Negative prompt: ..." from the real one: the first counts, as in
    A1111. Our record (see `read_png`) has no such doubt. Text without a settings line is all prompt.
    """
    *lines, last = text.strip().split("\n")
    settings = _settings(last)
    if not settings:
        lines.append(last)
    start = next((place for place, line in enumerate(lines) if line.startswith(_NEGATIVE)), len(lines))
    negative = "\n".join(lines[start:]).removeprefix(_NEGATIVE)
    return settings | {"prompt": "\n".join(lines[:start]).strip(), "negative_prompt": negative.strip()}


def _settings(line: str) -> dict[str, str]:
    """The settings of a last line; none when it is not one (or absurdly long, which would be slow to search)."""
    if "Steps:" not in line or len(line) > MAX_LINE:
        return {}
    return {name: _unquoted(value) for name, value in _SETTING.findall(line)}


def _quoted(value: str | float) -> str:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    # A1111 quotes at comma, colon and newline; the others would be lost or misread on the way back.
    plain = shown and shown == shown.strip() and not set(shown) & set(',:"\n\r')
    return shown if plain else json.dumps(shown, ensure_ascii=False)


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    try:
        return str(json.loads(value, strict=False))
    except ValueError:
        return value


def _record(text: str | None) -> dict[str, Any] | None:
    try:
        record: Any = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None  # pyright: ignore[reportUnknownVariableType]


def _text_chunk(keyword: str, text: str) -> tuple[bytes, bytes]:
    """tEXt when the text is Latin-1, else iTXt; NUL ends a text in both, so it is left out."""
    clean = text.replace("\0", "")
    try:
        return b"tEXt", keyword.encode("latin-1") + b"\0" + clean.encode("latin-1")
    except UnicodeEncodeError:
        return _itxt_chunk(keyword, clean)


def _itxt_chunk(keyword: str, text: str) -> tuple[bytes, bytes]:
    # keyword NUL, not compressed (two zero bytes), no language NUL, no translated keyword NUL, UTF-8
    return b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8", "replace")


def _keyword(kind: bytes, body: bytes) -> str | None:
    return body.partition(b"\0")[0].decode("latin-1") if kind in {b"tEXt", b"zTXt", b"iTXt"} else None


def _text(kind: bytes, body: bytes) -> str | None:
    """The text of a tEXt, zTXt or iTXt chunk; None when it is damaged or too long."""
    rest = body.partition(b"\0")[2]
    if kind == b"tEXt":
        return rest.decode("latin-1")
    if kind == b"zTXt":
        unpacked = _inflated(rest[1:])
        return None if unpacked is None else unpacked.decode("latin-1")
    compressed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    unpacked = _inflated(rest) if compressed else rest
    return None if unpacked is None else unpacked.decode("utf-8", "replace")


def _inflated(packed: bytes) -> bytes | None:
    machine = zlib.decompressobj()
    try:
        unpacked = machine.decompress(packed, MAX_TEXT)
    except zlib.error:
        return None
    return unpacked if machine.eof else None
