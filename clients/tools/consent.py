"""A yes from the person in front of the client, where the client can be asked; in both protocol eras."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from mcp.server.elicitation import AcceptedElicitation
from mcp.server.mcpserver import Context
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from pydantic import BaseModel, Field

ASKED_BY_RESULT = "2026-07-28"
"""From this protocol version on a server asks by answering "input required", and is called again."""
KEY = "consent"


class Consent(BaseModel):
    """The form that the person sees."""

    go_ahead: bool = Field(default=True, title="Go ahead")


class MustAsk(Exception):
    """The call has to end here with a question; the client calls again with the answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def question(self) -> InputRequiredResult:
        form = ElicitRequestFormParams(message=self.message, requested_schema=Consent.model_json_schema())
        return InputRequiredResult(input_requests={KEY: ElicitRequest(params=form)})


Ask = Callable[[str], Awaitable[bool | None]]


async def _nobody(message: str) -> bool | None:
    return None


_ask: ContextVar[Ask] = ContextVar("atelier_ask", default=_nobody)


async def agreed(message: str) -> bool | None:
    """Whether the person said yes; None where nobody can be asked."""
    return await _ask.get()(message)


@contextmanager
def asking(context: Context[Any, Any]) -> Generator[None]:
    """Let the call made within ask through this request."""
    token = _ask.set(lambda message: _asked(context, message))
    try:
        yield
    finally:
        _ask.reset(token)


async def _asked(context: Context[Any, Any], message: str) -> bool | None:
    able = context.client_capabilities
    if able is None or able.elicitation is None:
        return None
    if (context.protocol_version or "") < ASKED_BY_RESULT:
        answer = await context.elicit(message, Consent)
        return isinstance(answer, AcceptedElicitation) and answer.data.go_ahead
    given = (context.input_responses or {}).get(KEY)
    if given is None:
        raise MustAsk(message)
    return isinstance(given, ElicitResult) and given.action == "accept" and bool((given.content or {}).get("go_ahead"))
