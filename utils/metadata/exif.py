"""EXIF, as far as it says how a picture was made: a small reader and writer of its TIFF directories.

Directories are read at most once each and never followed to the next, so a loop ends at its first step.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from utils.metadata.stamps import PROMPT, USER_COMMENT, WORKFLOW, Texts, clean

DESCRIPTION, MAKE, MODEL, ORIENTATION, SOFTWARE = 0x010E, 0x010F, 0x0110, 0x0112, 0x0131
_EXIF_FOLDER, _COMMENT = 0x8769, 0x9286
_NAMES = {
    DESCRIPTION: "ImageDescription",
    MAKE: "Make",
    MODEL: "Model",
    SOFTWARE: "Software",
    0x013B: "Artist",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
}
NAMES = frozenset(_NAMES.values())
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of a value by its type."""
_WIDTHS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}
"""Bytes of which the order tells, where it is not one."""
_ASCII, _SHORT, _LONG, _UNDEFINED = 2, 3, 4, 7
_MOST_ENTRIES = 1000
_ELSEWHERE = frozenset({_EXIF_FOLDER, 0x8825, 0xA005, 0x014A, 0x927C, 0x0111, 0x0117, 0x0201, 0x0202})
"""Pointers to places of the old file, and a maker's notes, which are full of them."""
_GRAPH = re.compile(r"([A-Za-z][\w .-]{0,60}):\s*(?=[{\[])")

Entry: TypeAlias = tuple[int, bytes]
"""Type and content of a tag."""
Folder: TypeAlias = dict[int, Entry]


def texts(exif: bytes, into: Texts) -> None:
    """Put what it tells into `into`: by the tag's name, and ComfyUI's `prompt:{...}` also as prompt. Never raises."""
    order, main, inner = _folders(exif)
    for tag, name in _NAMES.items():
        if tag in main:
            text = _wide(main[tag][1]) if name.startswith("XP") else _narrow(main[tag][1])
            into.take(name, text or None)
            if found := _GRAPH.match(text):
                into.take(found[1], text[found.end() :])
    if _COMMENT in inner:
        into.take(USER_COMMENT, _comment(inner[_COMMENT][1], order) or None)


def written(old: bytes, parameters: str | None, graphs: Mapping[str, str]) -> bytes:
    """The EXIF with these: `parameters` as UserComment, `graphs` (JSON by name) as ComfyUI writes them.

    Of what was there, orientation and all plain tags stay; maker's notes, GPS and thumbnail do not.
    """
    order, main, inner = _folders(old)
    main, inner = _kept(main, order), _kept(inner, order)
    places = {PROMPT: MODEL, WORKFLOW: MAKE}
    main |= {
        places[name]: (_ASCII, f"{name}:{text}".encode("utf-8", "replace") + b"\0") for name, text in graphs.items()
    }
    if parameters is not None:
        # The high byte first, whatever the file's order: CivitAI reads no other.
        inner[_COMMENT] = (_UNDEFINED, b"UNICODE\0" + clean(parameters).encode("utf-16-be"))
    return _packed(main, inner)


def upright(old: bytes) -> bytes:
    """An EXIF that says nothing but how the picture is turned; nothing when it is not."""
    order, main, _ = _folders(old)
    turned = main.get(ORIENTATION)
    if turned is None or turned[0] != _SHORT or turned[1] == struct.pack(f"{order}H", 1):
        return b""
    return _packed(_kept({ORIENTATION: turned}, order), {})


def _folders(exif: bytes) -> tuple[str, Folder, Folder]:
    """Byte order, main directory, EXIF directory; what is damaged is left out."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4], "")
    if not order or len(exif) < 8:
        return ">", {}, {}
    main = dict(_entries(exif, order, struct.unpack_from(f"{order}I", exif, 4)[0]))
    kind, place = main.get(_EXIF_FOLDER, (0, b""))
    if kind != _LONG or len(place) != 4:
        return order, main, {}
    return order, main, dict(_entries(exif, order, struct.unpack(f"{order}I", place)[0]))


def _entries(exif: bytes, order: str, start: int) -> Iterator[tuple[int, Entry]]:
    if start + 2 > len(exif):
        return
    count = min(struct.unpack_from(f"{order}H", exif, start)[0], _MOST_ENTRIES, (len(exif) - start - 2) // 12)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", exif, place)
        size = _SIZES.get(kind, 0) * values
        begin = place + 8 if size <= 4 else struct.unpack_from(f"{order}I", exif, place + 8)[0]
        if size and begin + size <= len(exif):
            yield tag, (kind, exif[begin : begin + size])


def _kept(folder: Folder, order: str) -> Folder:
    """The tags that hold their values themselves, with the high byte first."""
    plain = {tag: entry for tag, entry in folder.items() if tag not in _ELSEWHERE}
    return plain if order == ">" else {tag: (kind, _turned(kind, body)) for tag, (kind, body) in plain.items()}


def _turned(kind: int, body: bytes) -> bytes:
    """The same values in the other byte order."""
    width = _WIDTHS.get(kind, 1)
    turned = bytearray(len(body))
    for place in range(width):
        turned[place::width] = body[width - 1 - place :: width]
    return bytes(turned)


def _packed(main: Folder, inner: Folder) -> bytes:
    """A TIFF file with the high byte first."""
    if inner:
        after = 8 + len(_folder(main | {_EXIF_FOLDER: (_LONG, b"\0" * 4)}, 8))
        main = main | {_EXIF_FOLDER: (_LONG, struct.pack(">I", after))}
    first = _folder(main, 8)
    return b"MM\0*" + struct.pack(">I", 8) + first + (_folder(inner, 8 + len(first)) if inner else b"")


def _folder(folder: Folder, start: int) -> bytes:
    """A directory and the values that do not fit into it, at `start` of the TIFF file."""
    place = start + 2 + 12 * len(folder) + 4
    entries, values = [struct.pack(">H", len(folder))], [b"\0" * 4]  # no next directory
    for tag, (kind, body) in sorted(folder.items()):
        entries.append(struct.pack(">HHI", tag, kind, len(body) // _SIZES[kind]))
        if len(body) <= 4:
            entries.append(body.ljust(4, b"\0"))
            continue
        entries.append(struct.pack(">I", place))
        values.append(body + b"\0" * (len(body) % 2))
        place += len(values[-1])
    return b"".join([*entries, *values])


def _comment(body: bytes, order: str) -> str:
    """A UserComment, which names its encoding in its first eight bytes."""
    code, body = body[:8], body[8:]
    if code == b"UNICODE\0":
        return body.decode("utf-16-le" if _little(body, order) else "utf-16-be", "replace").strip("\0")
    if code in {b"ASCII\0\0\0", b"\0" * 8}:
        return _narrow(body)
    return _narrow(code + body)


def _little(body: bytes, order: str) -> bool:
    """Whether the low byte comes first. A1111 and we write the high one first; others follow the file's order, or do
    not: what tells then is where the zeros of plain letters are."""
    return order == "<" and body[1::2].count(0) > body[0::2].count(0)


def _narrow(body: bytes) -> str:
    return body.rstrip(b"\0").decode("utf-8", "replace")


def _wide(body: bytes) -> str:
    return body.decode("utf-16-le", "replace").rstrip("\0")
