"""Changes: who wants to hear that jobs or pictures are not what they were. It tells that, not what is new."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal

What = Literal["jobs", "images"]
Hearer = Callable[[What], object]


class Changes:
    """Told on the event loop by whoever changes something in this process; hearers answer at once and never raise."""

    def __init__(self) -> None:
        self._hearers: list[Hearer] = []

    def tell(self, what: What) -> None:
        for hearer in tuple(self._hearers):
            hearer(what)

    @contextmanager
    def heard_by(self, hearer: Hearer) -> Generator[None]:
        """Let `hearer` know of every change made meanwhile."""
        self._hearers.append(hearer)
        try:
            yield
        finally:
            self._hearers.remove(hearer)
