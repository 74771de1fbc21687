"""The sound of a video as pieces of stereo samples: cut, filled up with silence, put one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from utils._video.reading import broken, opened, readable

RATE = 48_000
PIECE = 1024
"""Samples that AAC packs at once."""


class Sound:
    """So many samples, made when they are asked for."""

    def __init__(self, pieces: Callable[[], Iterator[Any]]) -> None:
        self._pieces = pieces

    def frames(self, av: Any) -> Iterator[Any]:
        """Audio frames of at most PIECE samples, in order, with their times."""
        place = 0
        for piece in self._pieces():
            for start in range(0, piece.shape[1], PIECE):
                part = piece[:, start : start + PIECE].copy()
                made = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
                made.sample_rate, made.pts = RATE, place
                place += part.shape[1]
                yield made


def sound_of(data: bytes, seconds: float) -> Sound | None:
    """The video's sound, cut or filled up to its length; None without any."""
    return Sound(lambda: _within(data, 0.0, seconds)) if _has_sound(data) else None


def joined_sound(first: bytes, lasts: float, second: bytes, goes_on: float, skip: float) -> Sound | None:
    """Both sounds one after the other, of the second from `skip` seconds on; silence for one that has none."""
    heard = _has_sound(first), _has_sound(second)
    if not any(heard):
        return None

    def pieces() -> Iterator[Any]:
        yield from _within(first if heard[0] else None, 0.0, lasts)
        yield from _within(second if heard[1] else None, skip, goes_on - skip)

    return Sound(pieces)


def _has_sound(data: bytes) -> bool:
    with opened(data) as reel:
        return reel.has_audio


def _within(data: bytes | None, skip: float, seconds: float) -> Iterator[Any]:
    """Exactly `seconds` of samples (2 x n, float32) from `skip` on, with silence where they end."""
    import numpy as np

    left, early = max(0, round(seconds * RATE)), round(skip * RATE)
    for piece in _samples(data) if data is not None else ():
        cut = min(early, piece.shape[1])
        early -= cut
        part = piece[:, cut : cut + left]
        if part.shape[1]:
            left -= part.shape[1]
            yield part
        if not left:
            return
    while left:
        length = min(left, RATE)
        left -= length
        yield np.zeros((2, length), np.float32)


def _samples(data: bytes) -> Iterator[Any]:
    """All that can be read of the sound, up to where it is damaged."""
    from utils._video.reading import container_of

    with container_of(data) as (av, container):
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        try:
            for frame in container.decode(audio=0):
                with readable():
                    yield from (one.to_ndarray() for one in resampler.resample(frame))
            yield from (one.to_ndarray() for one in resampler.resample(None))
        except broken():
            return
