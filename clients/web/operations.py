"""Operation: one thing that can be asked over HTTP. What it takes and gives is read off its function, once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel

from workflows.app import App

if TYPE_CHECKING:
    from workflows.prompts.desk import Listener, PromptDesk

ROOT = "/api"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, besides what it asks for."""

    app: Callable[[], Awaitable[App]]
    cookie: str = ""
    """The conversation that this browser was in last; "" for none."""
    begins: str = ""
    """The id that a conversation gets which begins now: a stream's headers tell it before there is one."""
    entered: list[str] = field(default_factory=list[str])
    """The id of the conversation that it is about, as soon as that is known."""
    listener: Listener | None = None
    signed_in: bool = False
    """The browser brought a login's cookie."""

    async def desk(self) -> PromptDesk:
        return (await self.app()).prompts


@dataclass(frozen=True)
class Operation:
    """`run` takes the Call, the parts of the path by name, and a `body`, an `upload` or a `query`; it gives the answer.

    With `events` it gives them one by one; with `files` it gives what is to be sent.
    """

    method: str
    path: str
    run: Callable[..., Any]
    status: int = 200
    asks: bool = False
    """A language model or an engine may be asked."""
    streams: bool = False
    """It answers with server-sent events, `run`'s answer the last of them."""
    events: tuple[type[BaseModel], ...] = ()
    """The server-sent events that it answers with; what follows one with `done` is the end."""
    files: tuple[str, ...] = ()
    """The media types of the file that it answers with."""
    uploads: tuple[str, ...] = ()
    """The media types of the file that it takes."""

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.run)

    @property
    def body(self) -> type[BaseModel] | None:
        return self._hints.get("body")

    @property
    def query(self) -> type[BaseModel] | None:
        return self._hints.get("query")

    @property
    def answer(self) -> type[BaseModel] | None:
        return None if self.events or self.files else self._hints["return"]

    @property
    def parts(self) -> list[str]:
        """Names in the path."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]

    @property
    def details(self) -> str:
        """The rest of it."""
        return (inspect.getdoc(self.run) or "").partition("\n\n")[2]
