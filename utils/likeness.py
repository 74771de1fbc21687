"""How alike two pictures are: by fingerprints of their pixels, and by vectors that a model made of them.

It neither loads models nor keeps anything.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from utils.images import decode

if TYPE_CHECKING:
    from PIL.Image import Image

LIGHT = (9, 5)
"""Columns and rows that the lightness is averaged to: 40 differences of neighbours."""
COLOUR = (5, 3)
"""The same for each of the two opponent colours, red to green and yellow to blue: 12 differences each. Without them a
red and a green apple in the same place would be one picture."""
STEP = 2
"""Levels of 256 by which a cell must exceed its neighbour: even areas, which are not even after JPEG, give no bits."""
GROUND = (128, 128, 128)
"""What shows through transparent pixels: neither the dark nor the light of a subject is lost in it."""
DIGITS = 16


def fingerprint(picture: bytes) -> str:
    """A difference hash of 64 bits as 16 hex digits; near duplicates differ in few of them.

    40 bits say where the lightness falls from left to right, 24 the same of two opponent colours. It outlives another
    encoding and another size, not cropping, mirroring or turning. A dHash (N. Krawetz), with colour added. Raises
    BadPicture. Nearly all of its time is the decoding; who has the pixels asks `fingerprint_of`.
    """
    return fingerprint_of(decode(picture))


def fingerprint_of(picture: Image) -> str:
    """The same of a picture as `utils.images.decode` gives it: RGB or RGBA."""
    shown = _on_ground(picture)
    light = _cells(shown.convert("L"), LIGHT)
    red, green, blue = (_cells(channel, COLOUR) for channel in shown.split())
    warm = [r - g for r, g in zip(red, green, strict=True)]
    yellow = [(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)]
    bits = [*_falls(light, LIGHT[0]), *_falls(warm, COLOUR[0]), *_falls(yellow, COLOUR[0])]
    return f"{int(''.join('01'[bit] for bit in bits), 2):0{DIGITS}x}"


def distance(a: str, b: str) -> int:
    """In how many of their 64 bits two fingerprints differ. Raises ValueError for what is none."""
    return (_bits(a) ^ _bits(b)).bit_count()


def vector(values: Iterable[float]) -> bytes:
    """The values scaled to length 1, as float16 little-endian. Raises ValueError for none, for zero and infinity."""
    numbers = [float(value) for value in values]
    length = math.hypot(*numbers)
    if not length or not math.isfinite(length):
        raise ValueError(f"A vector of {len(numbers)} values and length {length:g} has no direction.")
    return struct.pack(f"<{len(numbers)}e", *(number / length for number in numbers))


def cosine(a: bytes, b: bytes) -> float:
    """The cosine similarity of two vectors, -1 to 1. Raises ValueError for vectors of different sizes."""
    one, other = _values(a), _values(b)
    if len(one) != len(other):
        raise ValueError(f"Vectors of {len(one)} and {len(other)} values cannot be compared: they are of two models.")
    return max(-1.0, min(1.0, math.fsum(x * y for x, y in zip(one, other, strict=True))))


def _on_ground(picture: Image) -> Image:
    if picture.mode != "RGBA":
        return picture
    from PIL import Image

    ground = Image.new("RGBA", picture.size, (*GROUND, 255))
    return Image.alpha_composite(ground, picture).convert("RGB")


def _cells(channel: Image, cells: tuple[int, int]) -> Sequence[int]:
    """The mean levels of so many columns and rows."""
    from PIL import Image

    return channel.resize(cells, Image.Resampling.BOX).tobytes()


def _falls(levels: Sequence[float], columns: int) -> list[bool]:
    """For each cell but the last of each row, whether it is above its right neighbour."""
    rows = [levels[start : start + columns] for start in range(0, len(levels), columns)]
    return [left > right + STEP for row in rows for left, right in pairwise(row)]


def _bits(fingerprint: str) -> int:
    if len(fingerprint) != DIGITS:
        raise ValueError(f"{fingerprint!r} is no fingerprint: it has {DIGITS} hex digits.")
    return int(fingerprint, 16)


def _values(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 2}e", vector)
