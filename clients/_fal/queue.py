"""Queue: FAL's queue through fal-client, with its errors as ours and its own retries bounded.

fal-client tries every request up to ten times, paid ones among them. It is stopped by hooks on its HTTP client, which
its handles give out: an answer that it would wait for is raised at once, and a submit that may have arrived is never
repeated.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from clients._fal.models import known
from clients._fal.replies import SETTING, error_of, step_in
from workflows.errors import (
    AccessDenied,
    ExtraMissing,
    RenderFailed,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
    StudioError,
)
from workflows.types import Media

if TYPE_CHECKING:
    import httpx
    from fal_client import AsyncClient, AsyncRequestHandle

PURPOSE = "Drawing at FAL.ai"
REQUEST_SECONDS = 60.0
UPLOAD_SECONDS = 120.0
CANCEL_SECONDS = 10.0
POLL_SECONDS = 0.5
TRIES = 3
"""Of one request that costs nothing, after a connection that broke."""
WAITED_FOR = frozenset({408, 409, 429, 502, 503, 504})
"""Answers that fal-client would wait for by itself."""
KEPT = "1d"
"""How long FAL keeps an input picture."""

REQUESTED = "CANCELLATION_REQUESTED"
FINISHED = "ALREADY_COMPLETED"
"""FAL's words for what comes of a cancel."""

Heard = Callable[["Place"], None]


@dataclass(frozen=True, kw_only=True)
class Place:
    """How far a request is: before it in the queue, or the share that is done and the last line of its log."""

    ahead: int | None = None
    share: float | None = None
    words: str = ""

    @property
    def begun(self) -> bool:
        return self.ahead is None


@dataclass(kw_only=True)
class _Asked:
    """One call of fal-client, as its hooks see it."""

    model: str
    paid: bool = False
    tries: int = 0
    sent: bool = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore tells what it does; a proxy's CONNECT carries nothing of the request."""
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.sent = True


_asked: ContextVar[_Asked | None] = ContextVar("atelier_fal_asked", default=None)


class Queue:
    """FAL's queue for one key. Opened at the first request."""

    def __init__(
        self,
        key: str | None,
        *,
        poll_seconds: float = POLL_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._key = key
        self._poll_seconds = poll_seconds
        self._request_seconds = request_seconds
        self._opening = asyncio.Lock()
        self._client: AsyncClient | None = None
        self._http: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        http, self._http, self._client = self._http, None, None
        if http is not None:
            await http.aclose()

    async def upload(self, model: str, picture: Media) -> str:
        """The address under which FAL can read it."""
        client = await self._opened()
        from fal_client import StorageSettings

        try:
            async with self._answering(model), asyncio.timeout(UPLOAD_SECONDS):
                suffix = picture.media_type.rpartition("/")[2]
                lifecycle = StorageSettings(expires_in=KEPT)
                return await client.upload(picture.data, picture.media_type, f"input.{suffix}", lifecycle=lifecycle)
        except TimeoutError as error:
            raise ServiceTimedOut(
                f"FAL did not take a picture within {UPLOAD_SECONDS:g} s. Try again later."
            ) from error

    async def submit(self, model: str, arguments: Mapping[str, Any]) -> AsyncRequestHandle:
        """Ask for a render. Raises RenderFailed when nobody can say whether FAL took it."""
        client = await self._opened()
        async with self._answering(model, paid=True):
            return await client.submit(model, dict(arguments))

    async def found(self, model: str, request_id: str) -> AsyncRequestHandle:
        """The handle of an earlier request."""
        return await (await self._opened()).get_handle(model, request_id)

    async def follow(self, model: str, handle: AsyncRequestHandle, heard: Heard) -> tuple[object, Mapping[str, Any]]:
        """Wait for the result, and tell how far it is; the result, and FAL's metrics of it."""
        from fal_client import Completed, InProgress, Queued

        metrics: Mapping[str, Any] = {}
        async with self._answering(model):
            async for status in handle.iter_events(with_logs=True, interval=self._poll_seconds):
                if isinstance(status, Queued):
                    heard(Place(ahead=status.position))
                elif isinstance(status, InProgress):
                    share, words = step_in(status.logs)
                    heard(Place(share=share, words=words))
                elif isinstance(status, Completed):
                    metrics = status.metrics or {}
                    if status.error:
                        raise _told(500, status.error, status.error_type, {}, model)
        async with self._answering(model):
            return await handle.get(interval=self._poll_seconds), metrics

    async def cancel(self, handle: AsyncRequestHandle) -> str:
        """Ask for the stop; FAL's word for what came of it, "" where it said nothing."""
        import httpx
        from fal_client import FalClientHTTPError

        token = _asked.set(_Asked(model=handle.request_id))
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                await handle.cancel()
                return REQUESTED
        except FalClientHTTPError as error:
            return str(_body(error.response.content).get("status", ""))
        except (StudioError, httpx.HTTPError, TimeoutError):
            return ""
        finally:
            _asked.reset(token)

    @asynccontextmanager
    async def _answering(self, model: str, *, paid: bool = False) -> AsyncGenerator[None]:
        """Errors of fal-client and of the network become ours."""
        import httpx
        from fal_client import FalClientHTTPError

        token = _asked.set(_Asked(model=model, paid=paid))
        try:
            yield
        except FalClientHTTPError as error:
            raise _told(error.status_code, error.message, error.error_type, error.response_headers, model) from error
        except httpx.TimeoutException as error:
            raise ServiceTimedOut("FAL did not answer in time. Try again later.") from error
        except httpx.ConnectError as error:
            raise ServiceUnavailable("FAL could not be reached. Is this machine on the network?") from error
        except httpx.HTTPError as error:
            raise ServiceFailed(f"The connection to FAL broke: {str(error) or type(error).__name__}.") from error
        except (KeyError, ValueError, TypeError, AttributeError) as error:  # an answer of another shape
            raise ServiceFailed(f"FAL gave an answer that could not be read: {str(error)[:200]}.") from error
        finally:
            _asked.reset(token)

    async def _opened(self) -> AsyncClient:
        if not self._key:
            raise AccessDenied(f"{PURPOSE} needs a key. Set {SETTING} (fal.ai/dashboard/keys).", SETTING)
        async with self._opening:
            if self._client is None:
                client = await asyncio.to_thread(self._made)
                self._http = (await client.get_handle("fal-ai/none", "none")).client
                self._http.event_hooks = {"request": [self._before], "response": [self._after]}
                self._client = client
            return self._client

    def _made(self) -> AsyncClient:
        if find_spec("fal_client") is None:
            raise ExtraMissing("fal", PURPOSE)
        import fal_client

        return fal_client.AsyncClient(key=self._key, default_timeout=self._request_seconds)

    async def _before(self, request: httpx.Request) -> None:
        asked = _asked.get()
        if asked is None:
            return
        if asked.paid and asked.sent:
            raise RenderFailed(
                "The connection to FAL broke while it was asked. It may have taken the request and charge for it, so "
                "that nothing was asked again: see fal.ai/dashboard, or ask anew."
            )
        if asked.tries == TRIES:
            raise ServiceUnavailable(f"FAL could not be reached: {TRIES} connections broke. Try again later.")
        asked.tries += 1
        request.extensions = {**request.extensions, "trace": asked.trace}

    async def _after(self, response: httpx.Response) -> None:
        asked = _asked.get()
        if asked is None:
            return
        asked.tries = 0
        if response.status_code not in WAITED_FOR:
            return
        body = _body(await response.aread())
        kind = str(body.get("error_type") or response.headers.get("x-fal-error-type", ""))
        raise _told(response.status_code, body.get("detail", ""), kind, dict(response.headers), asked.model)


def _body(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _told(status: int, detail: object, kind: str | None, headers: Mapping[str, str], model: str) -> StudioError:
    return error_of(status, detail, kind or "", headers, model, tuple(known()))
