"""What is told when something fails: one JSON form, with the status that fits the kind of remedy."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from clients.web.sending import Json
from workflows.errors import (
    AccessDenied,
    BadRecipe,
    EngineError,
    EngineUnavailable,
    ExtraMissing,
    ModelMissing,
    NotFound,
    RateLimited,
    Refused,
    ServiceError,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
    StorageError,
    StudioError,
)

log = logging.getLogger("atelier.web")

RETRY_SECONDS = 5
"""When to come back to a service that does not say so itself: a server that restarts takes about that long."""


class BadRequest(StudioError):
    """The request cannot be read: its body, a field, the query."""


class Fault(BaseModel):
    """An error, told."""

    error: str = Field(description="What went wrong, in a word or two")
    message: str = Field(description="For people: what is wrong, what is allowed, what to do")
    status: int = Field(description="The HTTP status, also where the answer had begun with another")
    type: str = Field(description="For programs: the kind of error in snake case")


KINDS: tuple[tuple[type[StudioError], int, str], ...] = (
    (BadRequest, 400, "Bad request"),
    (BadRecipe, 400, "Bad request"),
    (Refused, 400, "Refused"),
    (NotFound, 404, "Not found"),
    (ModelMissing, 404, "Model not installed"),
    (ServiceTimedOut, 504, "Timed out"),
    (ServiceFailed, 502, "Service failed"),
    (AccessDenied, 502, "Access denied"),
    (RateLimited, 503, "Too many requests"),
    (ServiceUnavailable, 503, "Cannot connect"),
    (ServiceError, 502, "Service failed"),
    (EngineUnavailable, 503, "Cannot connect"),
    (EngineError, 502, "Service failed"),
    (ExtraMissing, 503, "Not installed"),
)
"""The first that fits counts."""
UNFORESEEN = Fault(
    error="Internal error",
    message="Something went wrong inside Atelier; its log says what. Nothing was changed by it that is not told.",
    status=500,
    type="internal_error",
)
STOPPED = Fault(
    error="Server stopped",
    message="Atelier was stopped in the middle of this, and did not finish it. Send it again once it is back.",
    status=503,
    type="server_stopped",
)
NOT_KEPT = UNFORESEEN.model_copy(
    update={
        "message": "The ledger could not be read or written; the log says why, and get_system_status where it is.",
        "type": "storage_error",
    }
)


def fault_of(error: Exception) -> Fault:
    """What is told of an error; what was not foreseen is logged here, and nothing of its inside is told."""
    for kind, status, name in KINDS:
        if isinstance(error, kind):
            return Fault(error=name, message=str(error), status=status, type=error.code)
    if isinstance(error, StorageError):
        log.error("a request failed: %s", error)
        return NOT_KEPT
    log.error("a request failed", exc_info=error)
    return UNFORESEEN


def fault_headers(error: Exception, fault: Fault) -> Mapping[str, str]:
    """Retry-After where coming back later helps."""
    if isinstance(error, RateLimited) and error.retry_after:
        return {"Retry-After": str(math.ceil(error.retry_after))}
    return {"Retry-After": str(RETRY_SECONDS)} if fault.status == 503 else {}


def stopped_response() -> Json:
    return Json(STOPPED.model_dump(), STOPPED.status, {"Retry-After": str(RETRY_SECONDS)})


def fault_response(error: Exception) -> Json:
    fault = fault_of(error)
    return Json(fault.model_dump(), fault.status, fault_headers(error, fault))


def wrong_method(method: str, allowed: str) -> Json:
    fault = Fault(
        error="Method not allowed",
        message=f"{method} is not understood here; this address takes {allowed}.",
        status=405,
        type="method_not_allowed",
    )
    return Json(fault.model_dump(), 405, {"Allow": allowed})


async def nothing_there(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer below /api where no route is."""
    hint = "/api/openapi.json lists what there is."
    await fault_response(NotFound("route", scope["path"], hint=hint))(scope, receive, send)
