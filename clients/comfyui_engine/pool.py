"""Which server of the pool draws next: a pure choice, and the words when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WARM_WORTH = 2
"""Renders that one waits for a server with the model in memory before another loads it: about what a cold load costs.

Without a bound the second server would never be used once the first is warm.
"""
BACK_OFF = (2.0, 5.0, 15.0, 30.0)
"""Seconds until a server that failed is looked at again; the last for ever after."""
TRUSTED = 10.0
"""Seconds for which an answer of the server counts as a sign that it is up."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A server as the choice sees it. `load`: renders before ours, everyone's; `against`: why it will not do."""

    url: str
    against: str | None = None
    draining: bool = False
    warm: bool = False
    load: int = 0


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """The warm one, unless a cold one is WARM_WORTH renders less busy; then the least busy; then the first named."""
    able = [candidate for candidate in candidates if candidate.against is None and not candidate.draining]
    return min(able, key=lambda one: (one.load - WARM_WORTH * one.warm, not one.warm), default=None)


def why_none(candidates: Sequence[Candidate]) -> str:
    """Why no server takes it, each reason once, with the servers that give it."""
    reasons: dict[str, list[str]] = {}
    for candidate in candidates:
        drained = f"it is draining: it gets no new work until `atelier servers resume {candidate.url}`"
        reasons.setdefault(candidate.against or drained, []).append(candidate.url)
    if len(candidates) == 1:
        return next(iter(reasons))
    return " ".join(f"{' and '.join(urls)}: {reason}" for reason, urls in reasons.items())


@dataclass(kw_only=True)
class Health:
    """What is known of one server's life. Times are the event loop's."""

    failures: int = 0
    reason: str = ""
    """Why it was down when last looked at; empty while it is up or unknown."""
    seen: float = float("-inf")
    _again: float = float("-inf")

    def answered(self, now: float) -> None:
        self.failures, self.reason, self.seen = 0, "", now

    def failed(self, now: float, reason: str) -> None:
        self._again = now + BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
        self.failures, self.reason = self.failures + 1, reason

    def doubted(self) -> None:
        """It is looked at before it is used again."""
        self.seen = float("-inf")

    @property
    def down(self) -> bool:
        return bool(self.reason)

    def due(self, now: float) -> bool:
        """Whether it is time to look again."""
        return now >= self._again if self.down else now - self.seen > TRUSTED
