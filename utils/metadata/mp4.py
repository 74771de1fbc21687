"""MP4: the texts of its movie box and an XMP box behind it; tracks and streams as they were.

The texts stand where ffmpeg puts them with use_metadata_tags (moov/udta/meta, keys and ilst), which is what ComfyUI
writes and reads. A video that is sent in fragments is read, and not written: its boxes name places everywhere.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from utils.images import BadPicture
from utils.metadata import xmp
from utils.metadata.stamps import COMMENT, MOST_PARTS, PARAMETERS, XMP, Found, Texts, Writing, clean

PACKET_ID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
MANIFEST_ID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_CLASSIC = {
    b"\xa9cmt": COMMENT,
    b"\xa9too": "encoder",
    b"\xa9nam": "title",
    b"\xa9ART": "artist",
    b"\xa9day": "date",
    b"desc": "description",
    b"ldes": "synopsis",
}
"""iTunes' names of the same texts, which ffmpeg writes by default."""
_TEXT = 1
"""Type of a value in UTF-8."""
_MOST_KEYS = 1000


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int
    head: int
    """Bytes of its header."""
    end: int

    def body(self, content: bytes) -> bytes:
        return content[self.start + self.head : self.end]


def found(mp4: bytes) -> Found:
    """Raises BadPicture when the file is no whole MP4."""
    texts, parts, manifest = Texts(), list[tuple[str, int]](), b""
    boxes = list(_boxes(mp4, 0, len(mp4)))
    for box in boxes:
        name = mp4[box.start + box.head : box.start + box.head + 16] if box.kind == b"uuid" else b""
        if name == PACKET_ID:
            texts.take(XMP, box.body(mp4)[16:].decode("utf-8", "replace"))
        elif name == MANIFEST_ID:
            manifest = manifest or box.body(mp4)[16:]
        if box.kind != b"mdat":
            title = {PACKET_ID: "uuid XMP", MANIFEST_ID: "uuid C2PA"}.get(name, box.kind.decode("latin-1"))
            parts.append((title, box.end - box.start))
    for name, text in _told(mp4, _movie(boxes)):
        texts.take(name, text)
        parts.append((f"moov/udta/meta {name[:80]}", len(text.encode())))
    return Found(texts=texts, parts=tuple(parts), manifest=manifest)


def written(mp4: bytes, writing: Writing) -> bytes:
    """The MP4 with these texts; its XMP is replaced, a manifest, which they break, is gone."""
    boxes = list(_boxes(mp4, 0, len(mp4)))
    movie = _movie(boxes)
    texts: dict[str, str] = {}
    for name, text in _told(mp4, movie):
        texts.setdefault(name, text)
    texts |= {COMMENT if name == PARAMETERS else name: clean(text) for name, text in writing.texts.items()}
    packet = xmp.packet(writing.facts, {}) if writing.facts else b""
    gone = {MANIFEST_ID} | ({PACKET_ID} if packet else set[bytes]())
    kept = [box for box in boxes if not (box.kind == b"uuid" and box.body(mp4)[:16] in gone)]
    data = [one for box in _inside(mp4, movie) if box.kind == b"udta" for one in _user_data(mp4, box)]
    rest = b"".join(mp4[box.start : box.end] for box in data if box.kind != b"meta")
    own = _packed(b"udta", rest + _meta(texts))
    content = b"".join(mp4[box.start : box.end] for box in _inside(mp4, movie) if box.kind != b"udta")
    _check_whole(boxes)
    return _whole(mp4, kept, movie, content + own, packet)


def stripped(mp4: bytes, mark: bytes) -> bytes:
    """The tracks and their streams, and the XMP packet `mark`."""
    boxes = list(_boxes(mp4, 0, len(mp4)))
    movie = _movie(boxes)
    kept = [box for box in boxes if box.kind in {b"ftyp", b"moov", b"mdat"}]
    _check_whole([box for box in boxes if box.kind != b"meta"])
    return _whole(mp4, kept, movie, _bare(mp4, movie), mark)


def _check_whole(boxes: Sequence[_Box]) -> None:
    if any(box.kind in {b"moof", b"meta"} for box in boxes):
        raise BadPicture("this MP4 comes in fragments or holds items; its metadata is read, but cannot be changed")


def _bare(mp4: bytes, box: _Box) -> bytes:
    """The boxes inside the movie, without what tells of more than its tracks."""
    inside = [one for one in _inside(mp4, box) if one.kind not in {b"udta", b"meta", b"uuid", b"free", b"skip"}]
    return b"".join(
        _packed(b"trak", _bare(mp4, one)) if one.kind == b"trak" else mp4[one.start : one.end] for one in inside
    )


def _whole(mp4: bytes, kept: Sequence[_Box], movie: _Box, content: bytes, packet: bytes) -> bytes:
    """The file of these boxes with `content` in its movie, whose tables name where the streams now are."""
    place, moved = 0, list[tuple[int, int]]()
    for box in kept:
        moved.append((box.start, place - box.start))
        place += len(content) + 8 if box is movie else box.end - box.start
    at_last = [_packed(b"uuid", PACKET_ID + packet)] if packet else []
    moov = _packed(b"moov", _pointed(content, moved))
    return b"".join([*(moov if box is movie else _raw(mp4, box, bool(at_last)) for box in kept), *at_last])


def _raw(mp4: bytes, box: _Box, followed: bool) -> bytes:
    """The box as it is; one that ran to the end of the file says its length when another follows."""
    raw = mp4[box.start : box.end]
    if followed and box.end == len(mp4) and raw[:4] == b"\0\0\0\0":
        if len(raw) > 0xFFFFFFFF:
            raise BadPicture("the last box of this MP4 has more than 4 GB and does not say how much")
        return struct.pack(">I", len(raw)) + raw[4:]
    return raw


def _pointed(content: bytes, moved: Sequence[tuple[int, int]]) -> bytes:
    """The movie's boxes with every place of a stream's piece moved as the box that it lies in."""
    if not any(by for _, by in moved):
        return content
    starts, changed = [start for start, _ in moved], bytearray(content)
    for table in _tables(content, 0, len(content)):
        wide = table.kind == b"co64"
        first = table.start + table.head + 8
        count = struct.unpack_from(">I", content, first - 4)[0] if first <= table.end else 0
        form = f">{count}{'Q' if wide else 'I'}"
        if struct.calcsize(form) > table.end - first:
            raise BadPicture("a table of this MP4 is damaged")
        places = struct.unpack_from(form, content, first)
        here = [place + moved[max(0, bisect_right(starts, place) - 1)][1] for place in places]
        if here and (min(here) < 0 or max(here) > (0xFFFFFFFFFFFFFFFF if wide else 0xFFFFFFFF)):
            raise BadPicture("a table of this MP4 names places that cannot be")
        struct.pack_into(form, changed, first, *here)
    return bytes(changed)


def _tables(content: bytes, start: int, end: int) -> Iterator[_Box]:
    """The boxes that name where pieces of streams lie."""
    pending = list(_boxes(content, start, end))
    while pending:
        box = pending.pop()
        if box.kind in {b"trak", b"mdia", b"minf", b"stbl"}:
            pending += _boxes(content, box.start + box.head, box.end)
        elif box.kind in {b"stco", b"co64"}:
            yield box
        elif box.kind == b"saio":
            raise BadPicture("this MP4 is encrypted; its metadata is read, but cannot be changed")


def _boxes(content: bytes, start: int, end: int) -> Iterator[_Box]:
    """The boxes that lie side by side between these places. Raises BadPicture at a wrong length."""
    number = 0
    while start < end:
        size, kind = struct.unpack_from(">I4s", content, start) if start + 8 <= end else (1, b"")
        head = 8
        if size == 1:
            head = 16
            size = struct.unpack_from(">Q", content, start + 8)[0] if start + 16 <= end else 0
        elif size == 0:
            size = end - start
        if size < head or start + size > end or number == MOST_PARTS:
            raise BadPicture("the MP4 is damaged or cut short")
        yield _Box(kind, start, head, start + size)
        start, number = start + size, number + 1


def _movie(boxes: Sequence[_Box]) -> _Box:
    movie = next((box for box in boxes if box.kind == b"moov"), None)
    if movie is None or boxes[0].kind != b"ftyp":
        raise BadPicture("the bytes are not an MP4 video")
    if not any(box.kind == b"mdat" for box in boxes):
        raise BadPicture("the MP4 is cut short: it holds no streams")
    return movie


def _inside(content: bytes, box: _Box) -> list[_Box]:
    return list(_boxes(content, box.start + box.head, box.end))


def _user_data(content: bytes, box: _Box) -> list[_Box]:
    """The boxes inside user data, which QuickTime ends with four zeros."""
    try:
        return _inside(content, box)
    except BadPicture:
        if content[box.end - 4 : box.end] != b"\0" * 4:
            raise
        return list(_boxes(content, box.start + box.head, box.end - 4))


def _told(mp4: bytes, movie: _Box) -> Iterator[tuple[str, str]]:
    """The texts of the movie box, from user data and from QuickTime's place. What is damaged is left out."""
    try:
        inside = _inside(mp4, movie)
        places = [meta for box in inside if box.kind == b"udta" for meta in _user_data(mp4, box)]
        metas = [box.body(mp4) for box in [*places, *inside] if box.kind == b"meta"]
    except BadPicture:
        return
    for meta in metas:
        try:
            yield from list(_values(meta))
        except BadPicture:
            continue


def _values(meta: bytes) -> Iterator[tuple[str, str]]:
    # QuickTime's own box has no version; MP4's has four bytes of it, which are no length of a box.
    parts = {box.kind: box.body(meta) for box in _boxes(meta, 4 if meta[:4] == b"\0" * 4 else 0, len(meta))}
    items = parts.get(b"ilst", b"")
    keys = _keys(parts.get(b"keys", b""))
    for box in _boxes(items, 0, len(items)):
        number = int.from_bytes(box.kind, "big")
        name = keys[number - 1] if 0 < number <= len(keys) else _CLASSIC.get(box.kind)
        body = box.body(items)
        value = next((one.body(body) for one in _boxes(body, 0, len(body)) if one.kind == b"data"), b"")
        if name and value[:4] == struct.pack(">I", _TEXT):
            yield name, value[8:].decode("utf-8", "replace")


def _keys(body: bytes) -> list[str]:
    boxes = list(_boxes(body, 8, len(body))) if len(body) > 8 else []
    return [box.body(body).decode("utf-8", "replace") for box in boxes[:_MOST_KEYS]]


def _meta(texts: Mapping[str, str]) -> bytes:
    handler = _packed(b"hdlr", b"\0" * 8 + b"mdta" + b"\0" * 13)
    names = b"".join(_packed(b"mdta", name.encode("utf-8", "replace")) for name in texts)
    keys = _packed(b"keys", struct.pack(">II", 0, len(texts)) + names)
    items = (
        _packed(
            struct.pack(">I", number), _packed(b"data", struct.pack(">II", _TEXT, 0) + text.encode("utf-8", "replace"))
        )
        for number, text in enumerate(texts.values(), 1)
    )
    return _packed(b"meta", b"\0" * 4 + handler + keys + _packed(b"ilst", b"".join(items)))


def _packed(kind: bytes, body: bytes) -> bytes:
    if len(body) + 8 > 0xFFFFFFFF:
        raise BadPicture("a box of this MP4 would have more than 4 GB")
    return struct.pack(">I4s", len(body) + 8, kind) + body
