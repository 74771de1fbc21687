"""What a tool is before any protocol: a plain async function with the words and hints that describe it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

Shows = Literal["text", "picture"]


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One line of a family's TOOLS. The function's docstring is the tool's description.

    `shows` "picture": the answer is text and an inline preview of the picture named by its `image_id`
    (at most `max_edge` pixels when that argument was given); "text": structured content, and its output
    schema is that of the function's return type.
    """

    function: Callable[..., Awaitable[Mapping[str, Any]]]
    title: str
    shows: Shows = "text"
    read_only: bool
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False
    view: str | None = None
    """The `ui://` resource that shows its answer, in hosts that show MCP Apps."""

    @property
    def name(self) -> str:
        return self.function.__name__


def _never() -> bool:
    return False


_going_down: ContextVar[Callable[[], bool]] = ContextVar("atelier_going_down", default=_never)


def going_down() -> bool:
    """Whether calls are being cancelled because the server ends, not because the caller lost interest."""
    return _going_down.get()()


@contextmanager
def serving(ending: Callable[[], bool]) -> Generator[None]:
    """Let the calls made within know from `ending` whether the server is on its way out."""
    token = _going_down.set(ending)
    try:
        yield
    finally:
        _going_down.reset(token)
