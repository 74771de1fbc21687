"""The tracks of an MP4 without dates and names of devices, and without those that are neither picture nor sound."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from utils.images import BadPicture
from utils.metadata.boxes import Box, boxes_in, packed

MEDIA = frozenset({b"vide", b"soun"})
"""Kinds of tracks that are seen or heard. Text is not among them: cameras write their places into subtitles."""
_TELLING = frozenset({b"udta", b"meta", b"uuid", b"free", b"skip"})
_DATED = frozenset({b"mvhd", b"tkhd", b"mdhd"})
_WITHIN = (b"trak", b"mdia", b"minf")
"""Boxes of boxes, each within the one before it."""
_DAMAGED = "a table of this MP4 is damaged"
Piece = tuple[int, int]
"""Where a part of a stream begins and ends in the file."""


def bare(mp4: bytes, movie: Box) -> tuple[bytes, list[Piece]]:
    """What the movie box holds, for a copy to share, and where the streams lie that it no longer names."""
    inside = boxes_in(mp4, movie)
    others = [box for box in inside if box.kind == b"trak" and _kind(mp4, box) not in MEDIA]
    gone = [piece for track in others for piece in _pieces(mp4, track)]
    # A track may refer to one that is gone.
    left_out = _TELLING | ({b"tref"} if others else set[bytes]())
    return b"".join(_plain(mp4, box, left_out) for box in inside if box not in others), gone


def blank(mp4: bytes, gone: Sequence[Piece], streams: Sequence[Piece]) -> bytes:
    """The file with zeros in these pieces, as far as they lie in its streams."""
    if not gone:
        return mp4
    changed = bytearray(mp4)
    for first, last in streams:
        done = first  # pieces may lie over each other, in a file that was made to take long
        for begin, end in sorted(gone):
            start, stop = max(begin, done), min(end, last)
            if start < stop:
                changed[start:stop] = bytes(stop - start)
                done = stop
    return bytes(changed)


def _plain(mp4: bytes, box: Box, left_out: frozenset[bytes] | set[bytes], within: Sequence[bytes] = _WITHIN) -> bytes:
    """The box without dates and names, and without what is left out anywhere in it."""
    if box.kind in left_out:
        return b""
    if box.kind in within[:1]:
        return packed(box.kind, b"".join(_plain(mp4, one, left_out, within[1:]) for one in boxes_in(mp4, box)))
    body = box.body(mp4)
    if box.kind in _DATED:
        width = 16 if body[:1] == b"\1" else 8
        return packed(box.kind, body[:4] + bytes(len(body[4 : 4 + width])) + body[4 + width :])
    if box.kind == b"hdlr":
        return packed(box.kind, body[:24] + b"\0")
    return mp4[box.start : box.end]


def _kind(mp4: bytes, track: Box) -> bytes:
    """vide, soun, text, tmcd, meta, ..."""
    handler = _at(mp4, track, b"mdia", b"hdlr")
    return handler.body(mp4)[8:12] if handler else b""


def _at(mp4: bytes, box: Box, *path: bytes) -> Box | None:
    found: Box | None = box
    for kind in path:
        found = next((one for one in boxes_in(mp4, found) if one.kind == kind), None) if found else None
    return found


def _pieces(mp4: bytes, track: Box) -> Iterator[Piece]:
    """Where the track's stream lies: chunk by chunk, each as long as its samples."""
    table = _at(mp4, track, b"mdia", b"minf", b"stbl")
    parts = {box.kind: box.body(mp4) for box in boxes_in(mp4, table)} if table else {}
    wide = b"co64" in parts
    starts = _numbers(parts.get(b"co64" if wide else b"stco", b""), 4, 1, "Q" if wide else "I")
    counts = _numbers(parts.get(b"stsc", b""), 4, 3)
    if starts and not (counts and b"stsz" in parts):
        raise BadPicture("a track of this MP4 does not say how long its pieces are")
    several, sizes = dict(zip(counts[::3], counts[1::3], strict=True)), _Sizes(parts.get(b"stsz", b""))
    held = 1
    for number, start in enumerate(starts, 1):
        held = several.get(number, held)
        yield start, start + sizes.next(held)


class _Sizes:
    """Bytes of one sample after the other."""

    def __init__(self, body: bytes) -> None:
        self._each = int.from_bytes(body[4:8], "big")
        self._sizes = () if self._each else _numbers(body, 8, 1)
        self._place = 0

    def next(self, count: int) -> int:
        """Of so many samples together."""
        begin, self._place = self._place, self._place + count
        return self._each * count or sum(self._sizes[begin : self._place])


def _numbers(body: bytes, place: int, each: int, form: str = "I") -> tuple[int, ...]:
    """The rows of a table, of `each` numbers, whose count stands at `place`."""
    count = int.from_bytes(body[place : place + 4], "big") * each
    if not count:
        return ()
    if struct.calcsize(f">{form}") * count > len(body) - place - 4:
        raise BadPicture(_DAMAGED)
    return struct.unpack_from(f">{count}{form}", body, place + 4)
