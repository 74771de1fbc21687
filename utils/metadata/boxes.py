"""The boxes of an MP4: where they lie, what is inside, and how one is put together. It knows no kind of box."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from utils.images import BadPicture
from utils.metadata.stamps import MOST_PARTS


@dataclass(frozen=True)
class Box:
    """One box of a file, by its places there."""

    kind: bytes
    start: int
    head: int
    """Bytes of its header."""
    end: int

    def body(self, content: bytes) -> bytes:
        return content[self.start + self.head : self.end]


def boxes_of(content: bytes, start: int, end: int) -> Iterator[Box]:
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
        yield Box(kind, start, head, start + size)
        start, number = start + size, number + 1


def boxes_in(content: bytes, box: Box) -> list[Box]:
    """The boxes that one holds. Raises BadPicture."""
    return list(boxes_of(content, box.start + box.head, box.end))


def packed(kind: bytes, body: bytes) -> bytes:
    """A box. Raises BadPicture when it would have more than 4 GB."""
    if len(body) + 8 > 0xFFFFFFFF:
        raise BadPicture("a box of this MP4 would have more than 4 GB")
    return struct.pack(">I4s", len(body) + 8, kind) + body
