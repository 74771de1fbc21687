"""The garbage collector out of the way while much is made that stays: it would look at all of it again and again."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock


class _Pause:
    """Held by any number of threads; the collector runs again when the last one lets go."""

    def __init__(self) -> None:
        self._changing = Lock()
        self._holders = 0
        self._was_on = False

    def hold(self) -> None:
        with self._changing:
            if not self._holders:
                self._was_on = gc.isenabled()
                gc.disable()
            self._holders += 1

    def release(self) -> None:
        with self._changing:
            self._holders -= 1
            if not self._holders and self._was_on:
                gc.enable()


_pause = _Pause()


@contextmanager
def no_collecting() -> Generator[None]:
    """Nothing is collected in this process meanwhile. For imports, and for stretches below a second or so."""
    _pause.hold()
    try:
        yield
    finally:
        _pause.release()
