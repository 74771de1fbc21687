"""What error answers mean: their words and statuses as our errors. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

from clients._llm.connection import MayPass
from clients._llm.dialects import Dialect
from workflows.errors import AccessDenied, RateLimited, ServiceFailed, ServiceTimedOut, StudioError

ERROR_TEXT = 300
"""Characters of a server's own words that are told on."""
SHORT_WAIT = 5.0
"""Seconds that a server may want us to wait and is asked again; beyond that somebody else is better asked."""
NO_PICTURES = ("image input", "images", "image_url", "multimodal", "mmproj", "vision")
"""What servers say when a model is sent a picture and cannot see."""
NO_MODEL = ("not found", "does not exist", "no such model", "not a valid model", "model_not_found")
"""What servers say of a model that they have not."""


def names(said: str, words: Sequence[str]) -> bool:
    return any(word in said.lower() for word in words)


def takes_no_pictures(status: int, said: str) -> bool:
    return status in {400, 415, 422, 500, 501} and names(said, NO_PICTURES)


def knows_no_model(status: int, said: str) -> bool:
    return names(said, ("model",)) and (status == 404 or (status == 400 and names(said, NO_MODEL)))


def refusal(
    status: int, said: str, headers: Mapping[str, str], shown: str, dialect: Dialect, what: str
) -> StudioError | MayPass:
    """The error that an answer other than 200 is. `what`: who was asked, such as the model's name."""
    after = seconds(headers.get("retry-after"))
    answered = f"{shown} answered {status}: {said or 'nothing more'}."
    if status in {401, 403}:
        words = f" ({said})" if said else ""
        return AccessDenied(f"{shown} does not let us in{words}, {status}. {dialect.key_step}", dialect.key_setting)
    if status == 429:
        when = f"in {after:g} s" if after is not None else "later"
        words = f" ({said})" if said else ""
        limited = RateLimited(f"{shown} wants fewer requests{words}. Try again {when}.", retry_after=after)
        return MayPass(limited, after) if after is not None and after <= SHORT_WAIT else limited
    if status in {502, 503, 504}:
        late = ServiceTimedOut if status == 504 else ServiceFailed
        error = late(f"{answered} {what} may be loading or busy: try again later.")
        return MayPass(error, after or 0.0) if (after or 0.0) <= SHORT_WAIT else error
    return ServiceFailed(answered)


def words_of(body: bytes, secret: str | None) -> str:
    """What an error answer says, in one bounded line without our key."""
    text = body.decode(errors="replace")
    try:
        answer: object = json.loads(text)
    except (ValueError, RecursionError):
        answer = {"error": text}
    return bounded(fault_in(answer, ("error", "detail", "message")), secret)


def fault_in(answer: object, keys: Sequence[str] = ("error",)) -> str:
    """The error under one of these keys of an answer, a text or {"message": text}; "" without one."""
    fields: Mapping[str, Any] = cast(Mapping[str, Any], answer) if isinstance(answer, dict) else {}
    found: object = next((fields[key] for key in keys if fields.get(key)), "")
    if isinstance(found, dict):
        inner = cast(Mapping[str, Any], found)
        found = inner.get("message") or inner.get("code") or json.dumps(inner)
    return " ".join(str(found).split())


def bounded(said: str, secret: str | None) -> str:
    """A server's words as they are told on: short, and without our key."""
    return (said.replace(secret, "...") if secret else said)[:ERROR_TEXT].rstrip(". ")


def seconds(retry_after: str | None) -> float | None:
    """What a Retry-After header means, which is seconds or a date; None for neither."""
    if not retry_after:
        return None
    try:
        wait = float(retry_after)
    except ValueError:
        try:
            wait = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # no date, or one without a time zone
            return None
    return max(0.0, wait) if wait < float("inf") else None
