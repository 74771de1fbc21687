"""WebP: EXIF and XMP chunks of its RIFF file, everything else as it was."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from utils.images import BadPicture
from utils.metadata import exif, xmp
from utils.metadata.stamps import MOST_PARTS, PARAMETERS, PROMPT, WORKFLOW, XMP, Found, Texts, Writing

_HEAD, _LOSSY, _LOSSLESS, _FOLDER, _PACKET, _MANIFEST = b"VP8X", b"VP8 ", b"VP8L", b"EXIF", b"XMP ", b"C2PA"
_ANIMATED = b"ANMF"
_PIXELS = frozenset({_LOSSY, _LOSSLESS, _ANIMATED, b"ALPH"})
_SHOWN = _PIXELS | {_HEAD, b"ICCP", b"ANIM"}
_HAS_XMP, _HAS_EXIF, _HAS_ALPHA = 0x04, 0x08, 0x10
"""Flags of VP8X."""


def found(webp: bytes) -> Found:
    """Raises BadPicture when the file is no whole WebP."""
    texts, parts, manifest = Texts(), list[tuple[str, int]](), b""
    for kind, body in _chunks(webp):
        if kind == _FOLDER:
            exif.texts(body, texts)
        elif kind == _PACKET:
            texts.take(XMP, body.rstrip(b"\0").decode("utf-8", "replace"))
        elif kind == _MANIFEST:
            manifest = body
        if kind not in _PIXELS:
            parts.append((kind.decode("latin-1").strip(), len(body)))
    return Found(texts=texts, parts=tuple(parts), manifest=manifest)


def written(webp: bytes, writing: Writing) -> bytes:
    """The WebP with these texts; its EXIF and XMP are replaced, a manifest, which they break, is gone."""
    every = list(_chunks(webp))
    old = next((body for kind, body in every if kind == _FOLDER), b"")
    texts = dict(writing.texts)
    graphs = {name: texts.pop(name) for name in (PROMPT, WORKFLOW) if name in texts}
    ours = [(_FOLDER, exif.written(old, texts.pop(PARAMETERS, None), graphs))]
    if writing.facts or texts:
        ours.append((_PACKET, xmp.packet(writing.facts, texts)))
    replaced = {_MANIFEST, *(kind for kind, _ in ours)}
    return _whole([(kind, body) for kind, body in every if kind not in replaced], ours)


def stripped(webp: bytes, mark: bytes) -> bytes:
    """What decides how the picture looks, and the XMP packet `mark`."""
    every = list(_chunks(webp))
    turned = next((exif.upright(body) for kind, body in every if kind == _FOLDER), b"")
    ours = [(kind, body) for kind, body in ((_FOLDER, turned), (_PACKET, mark)) if body]
    return _whole([(kind, body) for kind, body in every if kind in _SHOWN], ours)


def _chunks(webp: bytes) -> Iterator[tuple[bytes, bytes]]:
    if webp[:4] != b"RIFF" or webp[8:12] != b"WEBP":
        raise BadPicture("the bytes are not a WebP")
    end = 8 + struct.unpack_from("<I", webp, 4)[0]
    if end > len(webp) + 1:  # some writers leave out the last byte of padding, yet count it
        raise BadPicture("the WebP is cut short")
    place, number, pixels = 12, 0, False
    while place + 8 <= min(end, len(webp)):
        kind, size = struct.unpack_from("<4sI", webp, place)
        if place + 8 + size > len(webp) or number == MOST_PARTS:
            raise BadPicture(f"the WebP's chunk {kind!r} is cut short, or it has too many")
        yield kind, webp[place + 8 : place + 8 + size]
        pixels = pixels or kind in _PIXELS
        place, number = place + 8 + size + size % 2, number + 1
    if not pixels:
        raise BadPicture("the WebP holds no pixels")


def _whole(kept: list[tuple[bytes, bytes]], ours: list[tuple[bytes, bytes]]) -> bytes:
    """A WebP of these chunks; one with more than pixels has a head that says what else there is."""
    chunks = _ordered(kept, ours)
    if kept[0][0] == _HEAD or ours:
        head = kept[0][1] if kept[0][0] == _HEAD else _head(*kept[0])
        there = {kind for kind, _ in chunks}
        flags = (head[0] & ~(_HAS_XMP | _HAS_EXIF)) if head else 0
        flags |= _HAS_EXIF * (_FOLDER in there) | _HAS_XMP * (_PACKET in there)
        chunks = [(_HEAD, bytes([flags]) + head[1:]), *(one for one in chunks if one[0] != _HEAD)]
    body = b"WEBP" + b"".join(_packed(chunks))
    if len(body) > 0xFFFFFFFE:
        raise BadPicture("the WebP would have more than 4 GB")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _ordered(kept: list[tuple[bytes, bytes]], ours: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Ours last, as most write it; but EXIF before a chunk of odd length, whose padding ComfyUI's page does not count:
    behind it the page finds no graph. The format allows either place."""
    odd = next((place for place, (_, body) in enumerate(kept) if len(body) % 2), len(kept))
    folder = [one for one in ours if one[0] == _FOLDER]
    return [*kept[:odd], *folder, *kept[odd:], *(one for one in ours if one[0] != _FOLDER)]


def _packed(chunks: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for kind, body in chunks:
        yield struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2)


def _head(kind: bytes, body: bytes) -> bytes:
    """The VP8X chunk for a file that had none: flags, three bytes of nothing, width - 1, height - 1."""
    if kind == _LOSSLESS and len(body) >= 5 and body[0] == 0x2F:
        bits = struct.unpack_from("<I", body, 1)[0]
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    elif kind == _LOSSY and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        wide, high = struct.unpack_from("<HH", body, 6)
        width, height, alpha = (wide & 0x3FFF) - 1, (high & 0x3FFF) - 1, 0
    else:
        raise BadPicture("the WebP is damaged: its pixels do not begin as they must")
    if width < 0 or height < 0:
        raise BadPicture("the WebP says that it has no pixels")
    return bytes([_HAS_ALPHA * alpha, 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
