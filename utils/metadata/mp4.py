"""MP4: the texts of its movie box and an XMP box behind it; tracks and streams as they were.

The texts stand where ffmpeg puts them with use_metadata_tags (moov/udta/meta, keys and ilst), which is what ComfyUI
writes and reads. A video that is sent in fragments is read, and not written: its boxes name places everywhere.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from utils.images import BadPicture
from utils.metadata import tracks, xmp
from utils.metadata.boxes import Box, boxes_in, boxes_of, packed
from utils.metadata.stamps import COMMENT, PARAMETERS, XMP, Found, Texts, Writing, clean

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


def found(mp4: bytes) -> Found:
    """Raises BadPicture when the file is no whole MP4."""
    texts, parts, manifest = Texts(), list[tuple[str, int]](), b""
    boxes = list(boxes_of(mp4, 0, len(mp4)))
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
    boxes = list(boxes_of(mp4, 0, len(mp4)))
    movie = _movie(boxes)
    texts: dict[str, str] = {}
    for name, text in _told(mp4, movie):
        texts.setdefault(name, text)
    texts |= {COMMENT if name == PARAMETERS else name: clean(text) for name, text in writing.texts.items()}
    packet = xmp.packet(writing.facts, {}) if writing.facts else b""
    gone = {MANIFEST_ID} | ({PACKET_ID} if packet else set[bytes]())
    kept = [box for box in boxes if not (box.kind == b"uuid" and box.body(mp4)[:16] in gone)]
    data = [one for box in boxes_in(mp4, movie) if box.kind == b"udta" for one in _user_data(mp4, box)]
    rest = b"".join(mp4[box.start : box.end] for box in data if box.kind != b"meta")
    own = packed(b"udta", rest + _meta(texts))
    content = b"".join(mp4[box.start : box.end] for box in boxes_in(mp4, movie) if box.kind != b"udta")
    _check_whole(boxes)
    return _whole(mp4, kept, movie, content + own, packet)


def stripped(mp4: bytes, mark: bytes) -> bytes:
    """The tracks of pictures and sound with their streams, and the XMP packet `mark`.

    Tracks of anything else (places of a camera, clocks, titles) are gone, and nothing is left where their pieces lay.
    """
    boxes = list(boxes_of(mp4, 0, len(mp4)))
    movie = _movie(boxes)
    kept = [box for box in boxes if box.kind in {b"ftyp", b"moov", b"mdat"}]
    _check_whole([box for box in boxes if box.kind != b"meta"])
    content, gone = tracks.bare(mp4, movie)
    streams = [(box.start + box.head, box.end) for box in kept if box.kind == b"mdat"]
    return _whole(tracks.blank(mp4, gone, streams), kept, movie, content, mark)


def _check_whole(boxes: Sequence[Box]) -> None:
    if any(box.kind in {b"moof", b"meta"} for box in boxes):
        raise BadPicture("this MP4 comes in fragments or holds items; its metadata is read, but cannot be changed")


def _whole(mp4: bytes, kept: Sequence[Box], movie: Box, content: bytes, packet: bytes) -> bytes:
    """The file of these boxes with `content` in its movie, whose tables name where the streams now are."""
    place, moved = 0, list[tuple[int, int]]()
    for box in kept:
        moved.append((box.start, place - box.start))
        place += len(content) + 8 if box is movie else box.end - box.start
    at_last = [packed(b"uuid", PACKET_ID + packet)] if packet else []
    moov = packed(b"moov", _pointed(content, moved))
    return b"".join([*(moov if box is movie else _raw(mp4, box, bool(at_last)) for box in kept), *at_last])


def _raw(mp4: bytes, box: Box, followed: bool) -> bytes:
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


def _tables(content: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes that name where pieces of streams lie."""
    pending = list(boxes_of(content, start, end))
    while pending:
        box = pending.pop()
        if box.kind in {b"trak", b"mdia", b"minf", b"stbl"}:
            pending += boxes_of(content, box.start + box.head, box.end)
        elif box.kind in {b"stco", b"co64"}:
            yield box
        elif box.kind == b"saio":
            raise BadPicture("this MP4 is encrypted; its metadata is read, but cannot be changed")


def _movie(boxes: Sequence[Box]) -> Box:
    movie = next((box for box in boxes if box.kind == b"moov"), None)
    if movie is None or boxes[0].kind != b"ftyp":
        raise BadPicture("the bytes are not an MP4 video")
    if not any(box.kind == b"mdat" for box in boxes):
        raise BadPicture("the MP4 is cut short: it holds no streams")
    return movie


def _user_data(content: bytes, box: Box) -> list[Box]:
    """The boxes inside user data, which QuickTime ends with four zeros."""
    try:
        return boxes_in(content, box)
    except BadPicture:
        if content[box.end - 4 : box.end] != b"\0" * 4:
            raise
        return list(boxes_of(content, box.start + box.head, box.end - 4))


def _told(mp4: bytes, movie: Box) -> Iterator[tuple[str, str]]:
    """The texts of the movie box, from user data and from QuickTime's place. What is damaged is left out."""
    try:
        inside = boxes_in(mp4, movie)
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
    parts = {box.kind: box.body(meta) for box in boxes_of(meta, 4 if meta[:4] == b"\0" * 4 else 0, len(meta))}
    items = parts.get(b"ilst", b"")
    keys = _keys(parts.get(b"keys", b""))
    for box in boxes_of(items, 0, len(items)):
        number = int.from_bytes(box.kind, "big")
        name = keys[number - 1] if 0 < number <= len(keys) else _CLASSIC.get(box.kind)
        body = box.body(items)
        value = next((one.body(body) for one in boxes_of(body, 0, len(body)) if one.kind == b"data"), b"")
        if name and value[:4] == struct.pack(">I", _TEXT):
            yield name, value[8:].decode("utf-8", "replace")


def _keys(body: bytes) -> list[str]:
    boxes = list(boxes_of(body, 8, len(body))) if len(body) > 8 else []
    return [box.body(body).decode("utf-8", "replace") for box in boxes[:_MOST_KEYS]]


def _meta(texts: Mapping[str, str]) -> bytes:
    handler = packed(b"hdlr", b"\0" * 8 + b"mdta" + b"\0" * 13)
    names = b"".join(packed(b"mdta", name.encode("utf-8", "replace")) for name in texts)
    keys = packed(b"keys", struct.pack(">II", 0, len(texts)) + names)
    items = (
        packed(
            struct.pack(">I", number), packed(b"data", struct.pack(">II", _TEXT, 0) + text.encode("utf-8", "replace"))
        )
        for number, text in enumerate(texts.values(), 1)
    )
    return packed(b"meta", b"\0" * 4 + handler + keys + packed(b"ilst", b"".join(items)))
