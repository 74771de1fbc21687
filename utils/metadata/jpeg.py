"""JPEG: EXIF and XMP in APP1 segments, everything else as it was."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

from utils.images import BadPicture
from utils.metadata import exif, xmp
from utils.metadata.stamps import COMMENT, MOST_PARTS, PARAMETERS, PROMPT, WORKFLOW, XMP, Found, Texts, Writing

MOST_SEGMENT = 65_533
"""Bytes of a segment after its length."""
_EXIF, _PACKET, _FURTHER = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_PROFILE, _ADOBE = b"ICC_PROFILE\0", b"Adobe"
_APP0, _APP1, _APP2, _APP11, _APP14, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEB, 0xEE, 0xFE
_END, _SCAN = 0xD9, 0xDA
_TELLS = frozenset({*range(0xE0, 0xF0), _COMMENT})
"""Markers of segments that hold no pixels."""
_FILLED = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends the pixels of a scan: neither a stuffed byte, nor a restart, nor filling."""


def found(jpeg: bytes) -> Found:
    """Raises BadPicture when the file is no whole JPEG."""
    texts, parts, manifest, further = Texts(), list[tuple[str, int]](), list[bytes](), list[bytes]()
    for marker, body in _segments(jpeg)[0]:
        if marker == _APP1 and body.startswith(_EXIF):
            exif.texts(body, texts)
        elif marker == _APP1 and body.startswith(_PACKET):
            texts.take(XMP, body.removeprefix(_PACKET).decode("utf-8", "replace"))
        elif marker == _APP1 and body.startswith(_FURTHER):
            further.append(body.removeprefix(_FURTHER))
        elif marker == _COMMENT:
            texts.take(COMMENT, body.rstrip(b"\0").decode("utf-8", "replace"))
        elif _is_manifest(marker, body):
            manifest.append(body)
        if marker in _TELLS:
            parts.append((_title(marker, body), len(body)))
    if further and (name := xmp.properties(texts.get(XMP, "").encode()).get(xmp.EXTENDED)):
        xmp.own_texts(xmp.properties(xmp.joined(further, name)), texts)
    return Found(texts=texts, parts=tuple(parts), manifest=b"".join(manifest))


def written(jpeg: bytes, writing: Writing) -> bytes:
    """The JPEG with these texts; its EXIF and XMP are replaced, a manifest, which they break, is gone."""
    every, rest = _segments(jpeg)
    old = next((body.removeprefix(_EXIF) for marker, body in every if _is_exif(marker, body)), b"")
    folder, texts = _exif(old, writing.texts)
    packet, further = xmp.split(writing.facts, texts, MOST_SEGMENT - len(_PACKET))
    ours = [_EXIF + folder]
    if writing.facts or texts:
        ours += [_PACKET + packet, *(_FURTHER + one for one in xmp.cut(further, MOST_SEGMENT - len(_FURTHER) - 40))]
    replaced = (_is_exif, _is_packet, _is_manifest) if len(ours) > 1 else (_is_exif, _is_manifest)
    kept = [one for one in every if not any(is_one(*one) for is_one in replaced)]
    return _whole(kept, ours, rest)


def stripped(jpeg: bytes, mark: bytes) -> bytes:
    """What decides how the picture looks, and the XMP packet `mark`. What lies behind the end is gone."""
    every, _ = _segments(jpeg)
    turned = next((exif.upright(body) for marker, body in every if _is_exif(marker, body)), b"")
    kept = [(marker, body) for marker, body in every if marker not in _TELLS or _is_shown(marker, body)]
    # JFIF may hold a small picture of what it was before it was cut.
    kept = [(marker, body[:12] + b"\0\0" if marker == _APP0 else body) for marker, body in kept]
    return _whole(kept, [_EXIF + turned] * bool(turned) + [_PACKET + mark] * bool(mark), b"")


def _exif(old: bytes, texts: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The EXIF with what fits into one segment of these texts, and the others, which XMP takes."""
    others = {name: text for name, text in texts.items() if name not in {PARAMETERS, PROMPT, WORKFLOW}}
    inside = {name: text for name, text in texts.items() if name not in others}
    for name in (WORKFLOW, PROMPT, PARAMETERS, ""):
        graphs = {name: text for name, text in inside.items() if name != PARAMETERS}
        folder = exif.written(old, inside.get(PARAMETERS), graphs)
        if len(_EXIF) + len(folder) <= MOST_SEGMENT:
            return folder, others
        if name in inside:
            others[name] = inside.pop(name)
    return exif.upright(old), others


def _segments(jpeg: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """(marker, content) of each segment, and what follows the end. A scan's content is its header and its pixels."""
    if not jpeg.startswith(b"\xff\xd8"):
        raise BadPicture("the bytes are not a JPEG")
    place, segments = 2, list[tuple[int, bytes]]()
    while True:
        marker, place = _marker(jpeg, place)
        if marker == _END:
            break
        length = struct.unpack_from(">H", jpeg, place)[0] if place + 2 <= len(jpeg) else 0
        if length < 2 or place + length > len(jpeg) or len(segments) == MOST_PARTS:
            raise BadPicture("the JPEG is damaged, cut short or has too many segments")
        after = place + length
        if marker == _SCAN:
            pixels = _MARKER.search(jpeg, after)
            after = pixels.start() if pixels else len(jpeg)
        segments.append((marker, jpeg[place + 2 : after]))
        place = after
    if not any(marker == _SCAN for marker, _ in segments):
        raise BadPicture("the JPEG holds no pixels")
    return segments, jpeg[place:]


def _marker(jpeg: bytes, place: int) -> tuple[int, int]:
    """The marker at `place`, which any number of FF may fill, and the place after it."""
    found = _FILLED.match(jpeg, place)
    if not found:
        raise BadPicture("the JPEG is damaged or cut short")
    return found[1][0], found.end()


def _whole(kept: list[tuple[int, bytes]], ours: list[bytes], rest: bytes) -> bytes:
    # JFIF wants its own segment first.
    first = 1 if kept and kept[0][0] == _APP0 else 0
    segments = [*kept[:first], *((_APP1, body) for body in ours), *kept[first:]]
    return b"\xff\xd8" + b"".join(_packed(marker, body) for marker, body in segments) + b"\xff\xd9" + rest


def _packed(marker: int, body: bytes) -> bytes:
    # The length of a scan's header is in its content's first byte: 6 bytes and 2 for each component.
    length = 6 + 2 * body[0] if marker == _SCAN else len(body) + 2
    return struct.pack(">BBH", 0xFF, marker, length) + body


def _is_exif(marker: int, body: bytes) -> bool:
    return marker == _APP1 and body.startswith(_EXIF)


def _is_packet(marker: int, body: bytes) -> bool:
    return marker == _APP1 and body.startswith((_PACKET, _FURTHER))


def _is_manifest(marker: int, body: bytes) -> bool:
    return marker == _APP11 and body.startswith(b"JP")


def _is_shown(marker: int, body: bytes) -> bool:
    profile, colours = marker == _APP2 and body.startswith(_PROFILE), marker == _APP14 and body.startswith(_ADOBE)
    return profile or colours or (marker == _APP0 and body.startswith(b"JFIF\0"))


def _title(marker: int, body: bytes) -> str:
    name = "COM" if marker == _COMMENT else f"APP{marker - _APP0}"
    said = re.match(rb"[A-Za-z][\w:/. ]{2,40}(?=\0)", body) if marker != _COMMENT else None
    return f"{name} {said[0].decode()}" if said else name
