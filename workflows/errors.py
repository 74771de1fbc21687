"""The errors of the studio: one tree, each class a kind of remedy.

    StudioError
    ├── BadRecipe            an argument, its value, and what is allowed
    ├── NotFound             nothing has that name; near names are suggested
    ├── Refused              the content rules say no (.rule)
    ├── JobCancelled         someone asked for the stop
    ├── EngineError          the renderer could not draw
    │   ├── EngineUnavailable    it does not answer, or nobody takes this recipe
    │   │   └── RenderLost           it took the render and no longer knows it (.restarted)
    │   ├── GraphRejected        it answers and says the graph is wrong (.problems)
    │   ├── RenderFailed         it started and broke (.node)
    │   └── OutOfMemory          it ran out of memory
    ├── ServiceError         a service that we call could not answer
    │   ├── ServiceUnavailable   nobody answers, or not now
    │   │   ├── ServiceTimedOut      the answer took too long
    │   │   └── ServiceFailed        it answered with an error, or with what cannot be read
    │   ├── ModelMissing         the service has no such model (.known)
    │   ├── RateLimited          too many requests (.retry_after seconds)
    │   └── AccessDenied         no key or a wrong one (.setting names where it belongs)
    ├── BudgetSpent          one more call would pass what the caller set as the most
    ├── StorageError         the picture or its row could not be kept
    └── ExtraMissing         an optional package is not installed (.extra)

The text of every error is written for the model or person that reads it: what is wrong, the value,
the allowed values, the next step.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflows.types import Problem


class StudioError(Exception):
    """Anything Atelier raises on purpose. `code` is the kind in snake case, for machines."""

    @property
    def code(self) -> str:
        name = type(self).__name__
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class BadRecipe(StudioError):
    """One argument cannot be used as given."""

    def __init__(self, argument: str, value: object, allowed: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        super().__init__(f"{argument} cannot be {shown}: {allowed}.")
        self.argument = argument
        self.allowed = allowed


class NotFound(StudioError):
    """Nothing of that kind has that name."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = (), hint: str = "") -> None:
        self.near = nearest(name, known)
        suggestion = f" Did you mean {', '.join(self.near)}?" if self.near else ""
        super().__init__(f"There is no {kind} {name[:80]!r}.{suggestion}{' ' + hint if hint else ''}")
        self.kind = kind
        self.name = name


class Refused(StudioError):
    """The content rules say no; the text holds nothing of what was asked. `rule` is the one that refused a text."""

    rule = ""

    def __init__(self, message: str, rule: str = "") -> None:
        super().__init__(f"Refused ({rule}): {message}" if rule else message)
        self.rule = rule


class JobCancelled(StudioError):
    """The job was stopped because someone asked for it."""


class EngineError(StudioError):
    """The renderer could not draw."""


class EngineUnavailable(EngineError):
    """No engine answers, or none takes this recipe; the text holds each one's reason."""


class RenderLost(EngineUnavailable):
    """The engine took the render, and then died, was restarted, or had it deleted: it can be drawn elsewhere.

    `restarted` False: the connection held all the time, so that somebody deleted it.
    """

    def __init__(self, message: str, restarted: bool = True) -> None:
        super().__init__(message)
        self.restarted = restarted


class GraphRejected(EngineError):
    """The engine says that the graph is wrong; `problems` says where, when it is known."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class RenderFailed(EngineError):
    """The render started and broke."""

    def __init__(self, message: str, node: str | None = None) -> None:
        super().__init__(message)
        self.node = node


class OutOfMemory(EngineError):
    """The engine ran out of memory; a smaller picture or a smaller model may fit."""


class ServiceError(StudioError):
    """A service that we call could not answer."""


class ServiceUnavailable(ServiceError):
    """Nobody answers there, or not now; the kinds below say more."""


class ServiceTimedOut(ServiceUnavailable):
    """The service did not answer in time."""


class ServiceFailed(ServiceUnavailable):
    """The service answered with an error, broke off, or gave what cannot be read."""


class ModelMissing(ServiceError):
    """The service has no model of that name; `known` are those that it has."""

    def __init__(self, message: str, known: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.known = tuple(known)


class RateLimited(ServiceError):
    """The service wants us to wait."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AccessDenied(ServiceError):
    """The service wants a key that we do not have."""

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message)
        self.setting = setting


class BudgetSpent(StudioError):
    """One more call would pass the budget that was set for this work; it was not made."""


class StorageError(StudioError):
    """A picture or its row could not be kept; nothing half-written is listed."""


class ExtraMissing(StudioError):
    """An optional part of Atelier is not installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the extra '{extra}': pip install 'atelier-mcp[{extra}]'.")
        self.extra = extra


LIMITS: Mapping[str, str] = {
    "less_than_equal": "it is at most {le:.12g}",
    "greater_than_equal": "it is at least {ge:.12g}",
    "greater_than": "it is above {gt:.12g}",
    "multiple_of": "it is a multiple of {multiple_of:.12g}",
    "literal_error": "it is {expected}",
    "missing": "it is required",
}
"""What a fault of pydantic's says of the value that would be right, by the fault's type."""


def allowed_by(fault: Mapping[str, Any]) -> str:
    """What is allowed where pydantic found this fault."""
    words = LIMITS.get(str(fault["type"]))
    return words.format_map(fault.get("ctx") or {}) if words else str(fault["msg"])


def nearest(name: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """The known names most like `name`, nearest first."""
    return tuple(difflib.get_close_matches(name, list(known), n=most, cutoff=0.5))


def revived(code: str, message: str) -> StudioError:
    """The error that a ledger row tells of, as the class it was, with its text."""
    pending: list[type[StudioError]] = [StudioError]
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        error = kind.__new__(kind)
        if error.code == code:
            Exception.__init__(error, message)
            return error
    return StudioError(message)
