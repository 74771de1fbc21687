"""Sketches of vectors: 512 bits each, of which more differ the wider the angle between the vectors is.

A bit is the side of a plane on which the vector lies (Charikar 2002, "Similarity Estimation Techniques from Rounding
Algorithms"); the planes are always the same. A million sketches take 64 MB and are gone through in some 30 ms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from workflows.errors import ExtraMissing

try:
    import numpy as np
except ImportError as error:  # a light installation
    raise ExtraMissing("judges", "Finding pictures that are alike") from error

BITS = 512
WORDS = BITS // 64


def _none() -> Any:
    return np.empty(0, np.int64)


def _no_bits() -> Any:
    return np.empty((WORDS, 0), np.uint64)


@dataclass(frozen=True, kw_only=True)
class Sketches:
    """Those of one model, by the numbers of their rows; `stamp` is the newest that is among them."""

    stamp: int = 0
    seqs: Any = field(default_factory=_none)
    bits: Any = field(default_factory=_no_bits)

    def with_more(self, batches: Iterable[Sequence[tuple[int, int, bytes]]]) -> Sketches:
        """With the sketches of (stamp, seq, sketch) in the order of their stamps, each in place of an older one."""
        stamp, numbers, sketches = self.stamp, [_none()], [_no_bits()]
        for rows in batches:
            stamp = rows[-1][0]
            numbers.append(np.array([seq for _, seq, _ in rows], np.int64))
            sketches.append(np.frombuffer(b"".join(bytes(sketch) for _, _, sketch in rows), "<u8").reshape(-1, WORDS).T)
        if len(numbers) == 1:
            return self
        newer = np.concatenate(numbers)
        stay = ~np.isin(self.seqs, newer)
        bits = np.concatenate([self.bits[:, stay], *sketches], axis=1)
        return Sketches(stamp=stamp, seqs=np.concatenate([self.seqs[stay], newer]), bits=bits)

    def nearest(self, vector: bytes, count: int) -> list[int]:
        """The row numbers of the nearest `count` sketches, in no order."""
        if self.seqs.size <= count:
            return self.seqs.tolist()
        wanted = np.frombuffer(sketches_of([vector])[0], "<u8")
        apart = np.zeros(self.seqs.size, np.uint16)
        for mine, other in zip(self.bits, wanted, strict=True):
            apart += np.bitwise_count(mine ^ other)
        return self.seqs[np.argpartition(apart, count)[:count]].tolist()


def sketches_of(vectors: Sequence[bytes]) -> list[bytes]:
    """64 bytes for each vector of float16; all of one length."""
    floats = np.frombuffer(b"".join(vectors), "<f2").reshape(len(vectors), -1).astype(np.float32)
    sides = floats @ _planes(floats.shape[1]) >= 0
    return [row.tobytes() for row in np.packbits(sides, axis=1)]


def nearest(vector: bytes, found: Sequence[tuple[str, bytes]], limit: int) -> list[tuple[str, float]]:
    """Those of `found` most alike first, with their cosines."""
    alike = [(name, stored) for name, stored in found if len(stored) == len(vector)]
    if not alike:
        return []
    floats = np.frombuffer(b"".join(stored for _, stored in alike), "<f2").reshape(len(alike), -1)
    cosines = floats.astype(np.float32) @ np.frombuffer(vector, "<f2").astype(np.float32)
    order = np.argsort(-cosines, kind="stable")[:limit]
    return [(alike[place][0], float(min(1.0, max(-1.0, cosines[place])))) for place in order.tolist()]


@lru_cache(maxsize=4)
def _planes(dimensions: int) -> Any:
    """The normals of BITS planes, of 1 and -1: the same on every machine and with every version of numpy."""
    drawn = hashlib.shake_256(b"atelier sketches 1").digest(dimensions * BITS // 8)
    bits = np.unpackbits(np.frombuffer(drawn, np.uint8)).reshape(dimensions, BITS)
    return bits.astype(np.float32) * 2 - 1
