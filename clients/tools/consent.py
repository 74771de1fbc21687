"""A yes from the person in front of the client, where the client can be asked; in both protocol eras."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from mcp.server.elicitation import AcceptedElicitation
from mcp.server.mcpserver import Context
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from pydantic import BaseModel, Field, ValidationError

ASKED_BY_RESULT = "2026-07-28"
"""From this protocol version on a server asks by answering "input required", and is called again."""


class Consent(BaseModel):
    """The form that the person sees."""

    go_ahead: bool = Field(default=True, title="Go ahead")


class MustAsk(Exception):
    """The call has to end here with a question; the client calls again with the answer, under the question's key."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.message = message
        self.key = key

    @property
    def question(self) -> InputRequiredResult:
        form = ElicitRequestFormParams(message=self.message, requested_schema=Consent.model_json_schema())
        return InputRequiredResult(input_requests={self.key: ElicitRequest(params=form)})


Ask = Callable[[str, str], Awaitable[bool | None]]


async def _nobody(message: str, about: str) -> bool | None:
    return None


_ask: ContextVar[Ask] = ContextVar("atelier_ask", default=_nobody)


async def agreed(message: str, about: str) -> bool | None:
    """Whether the person said yes; None where nobody can be asked.

    `about`: what the yes is for; the answer to a question about something else is none.
    """
    return await _ask.get()(message, about)


@contextmanager
def asking(context: Context[Any, Any]) -> Generator[None]:
    """Let the call made within ask through this request."""
    token = _ask.set(lambda message, about: _asked(context, message, about))
    try:
        yield
    finally:
        _ask.reset(token)


async def _asked(context: Context[Any, Any], message: str, about: str) -> bool | None:
    able = context.client_capabilities
    if able is None or able.elicitation is None:
        return None
    if (context.protocol_version or "") < ASKED_BY_RESULT:
        try:
            answer = await context.elicit(message, Consent)
        except ValueError:  # an acceptance whose form is none
            return False
        return isinstance(answer, AcceptedElicitation) and answer.data.go_ahead
    key = f"consent-{hashlib.sha256(about.encode()).hexdigest()[:16]}"
    given = (context.input_responses or {}).get(key)
    if given is None:
        raise MustAsk(message, key)
    return isinstance(given, ElicitResult) and given.action == "accept" and _says_yes(given.content)


def _says_yes(form: object) -> bool:
    """As the earlier protocol reads it; what is no such form is no yes."""
    try:
        return Consent.model_validate(form).go_ahead
    except ValidationError:
        return False
