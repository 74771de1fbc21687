"""What a call to a service used, told by the adapter that made it to whoever counts. It counts nothing itself."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Usage:
    """What one operation used until now: images, seconds, input_tokens, output_tokens, ..."""

    units: dict[str, float] = field(default_factory=dict[str, float])
    model: str = ""
    """The model that answered, where it is not the one that was asked for."""


_usage: ContextVar[Usage | None] = ContextVar("atelier_usage", default=None)


@contextmanager
def counting() -> Generator[Usage]:
    """Hear what is used within, by tasks started within, too."""
    usage = Usage()
    token = _usage.set(usage)
    try:
        yield usage
    finally:
        _usage.reset(token)


def note(units: Mapping[str, float], model: str = "") -> None:
    """Tell what was used, on top of what was told before; nobody need be listening."""
    usage = _usage.get()
    if usage is None:
        return
    for name, amount in units.items():
        usage.units[name] = usage.units.get(name, 0.0) + amount
    usage.model = model or usage.model
