"""PNG: texts in their chunks, everything else as it was. tEXt, zTXt and iTXt are read; zTXt is never written."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from utils.images import SIGNATURE, BadPicture, chunks, packed
from utils.metadata import exif, xmp
from utils.metadata.stamps import MOST_PARTS, PROMPT, RECORD, WORKFLOW, XMP, Found, Texts, Writing

MANIFEST = b"caBX"
_KEYWORD = re.compile("[\x21-\x7e\xa1-\xff](?:[\x20-\x7e\xa1-\xff]{0,77}[\x21-\x7e\xa1-\xff])?")
"""1 to 79 letters of Latin-1 without spaces at the ends, as PNG has it."""
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"comf"})
"""comf is tEXt under another name: ComfyUI's, in moving PNGs."""
_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fdAT"})
_SHOWN = _PIXELS | {*b"tRNS gAMA cHRM sRGB iCCP sBIT bKGD pHYs hIST cICP mDCV cLLI acTL fcTL".split()}
"""Chunks that decide how the picture looks."""


def found(png: bytes) -> Found:
    """Raises BadPicture when the file is no whole PNG; a damaged text is left out."""
    texts, parts, manifest = Texts(), list[tuple[str, int]](), b""
    for kind, body in _chunks(png):
        keyword = _keyword(kind, body)
        if keyword is not None:
            texts.take(keyword, _text(kind, body, texts.left))
        elif kind == b"eXIf":
            exif.texts(body, texts)
        elif kind == MANIFEST:
            manifest = body
        if kind not in _PIXELS:
            parts.append((" ".join(filter(None, (kind.decode("latin-1"), keyword))), len(body)))
    return Found(texts=texts, parts=tuple(parts), manifest=manifest)


def written(png: bytes, writing: Writing) -> bytes:
    """The PNG with these texts in place of earlier ones of the same names; a manifest, which they break, is gone."""
    texts = {name: text for name, text in writing.texts.items() if _KEYWORD.fullmatch(name)}
    ours = [(_itxt if name == RECORD else _chunk)(name, text) for name, text in texts.items()]
    replaced = {*texts}
    if writing.facts:
        ours.append(_itxt(XMP, xmp.packet(writing.facts, {}).decode()))
        replaced.add(XMP)
    kept = [(kind, body) for kind, body in _chunks(png) if kind != MANIFEST and _keyword(kind, body) not in replaced]
    return _whole(kept, ours)


def stripped(png: bytes, mark: bytes) -> bytes:
    """What decides how the picture looks, and the XMP packet `mark`."""
    kept: list[tuple[bytes, bytes]] = []
    for kind, body in _chunks(png):
        if kind in _SHOWN:
            kept.append((kind, body))
        elif kind == b"eXIf" and (turned := exif.upright(body)):
            kept.append((kind, turned))
    return _whole(kept, [_itxt(XMP, mark.decode())] if mark else [])


def _whole(kept: list[tuple[bytes, bytes]], ours: list[tuple[bytes, bytes]]) -> bytes:
    first = next((place for place, (kind, _) in enumerate(kept) if kind == b"IDAT"), None)
    if first is None:
        raise BadPicture("the PNG holds no pixels")
    return SIGNATURE + b"".join(packed(kind, body) for kind, body in [*kept[:first], *ours, *kept[first:]])


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    for number, chunk in enumerate(islice(chunks(png), MOST_PARTS + 1)):
        if number == MOST_PARTS:
            raise BadPicture(f"the PNG has more than {MOST_PARTS:,} chunks")
        yield chunk


def _chunk(keyword: str, text: str) -> tuple[bytes, bytes]:
    """tEXt when the text is Latin-1, else iTXt; NUL ends a text in both, so it is left out."""
    clean = _ascii(text) if keyword in {PROMPT, WORKFLOW} else text.replace("\0", "")
    try:
        return b"tEXt", keyword.encode("latin-1") + b"\0" + clean.encode("latin-1")
    except UnicodeEncodeError:
        return _itxt(keyword, clean)


def _ascii(document: str) -> str:
    """The same JSON in ASCII: ComfyUI's page takes tEXt for UTF-8, and reads nothing in iTXt."""
    with suppress(ValueError, RecursionError):
        return document if document.isascii() else json.dumps(json.loads(document))
    return document.replace("\0", "")


def _itxt(keyword: str, text: str) -> tuple[bytes, bytes]:
    # keyword NUL, not compressed (two zero bytes), no language NUL, no translated keyword NUL, UTF-8
    return b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8", "replace")


def _keyword(kind: bytes, body: bytes) -> str | None:
    return body[:80].partition(b"\0")[0].decode("latin-1") if kind in _TEXTS else None


def _text(kind: bytes, body: bytes, most: int) -> str | None:
    """The text of a tEXt, zTXt or iTXt chunk; None when it is damaged or has more than `most` bytes."""
    rest = body.partition(b"\0")[2]
    if kind in {b"tEXt", b"comf"}:
        return rest.decode("latin-1")
    if kind == b"zTXt":
        unpacked = _inflated(rest[1:], most)
        return None if unpacked is None else unpacked.decode("latin-1")
    compressed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    unpacked = _inflated(rest, most) if compressed else rest
    return None if unpacked is None else unpacked.decode("utf-8", "replace")


def _inflated(packed: bytes, most: int) -> bytes | None:
    if most <= 0:
        return None
    machine = zlib.decompressobj()
    try:
        unpacked = machine.decompress(packed, most)
    except zlib.error:
        return None
    return unpacked if machine.eof else None
