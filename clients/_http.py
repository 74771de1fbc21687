"""The one place where httpx2's errors and answers become ServiceError, RateLimited and AccessDenied."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workflows.errors import AccessDenied, RateLimited, ServiceFailed, ServiceTimedOut, ServiceUnavailable

if TYPE_CHECKING:
    import httpx2

USER_AGENT = "atelier-mcp"


@contextmanager
def service_errors(service: str, unreachable: str = "", late: str = "Try again later.") -> Generator[None]:
    """Transport errors become ServiceUnavailable, ServiceTimedOut or ServiceFailed.

    `service` is named in the text, such as a host.
    `unreachable` and `late`: the next step when nobody answers there, and when the answer takes too long.
    """
    import httpx2

    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        said = f"{service} could not be reached: {_words(error)}. {unreachable}"
        raise ServiceUnavailable(said.strip()) from error
    except httpx2.TimeoutException as error:
        raise ServiceTimedOut(f"{service} did not answer in time. {late}".strip()) from error
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise ServiceFailed(f"{service} could not be reached: {_words(error)}.") from error


def check_answer(response: httpx2.Response, service: str, setting: str | None = None) -> None:
    """Raise RateLimited for 429 and ServiceFailed for 5xx; other answers are the caller's to read.

    `setting`, where a key belongs: 401 and 403 are AccessDenied, which names it.
    """
    if setting and response.status_code in {401, 403}:
        said = f"{service} does not let us in ({response.status_code}). Set {setting} to a key that it takes."
        raise AccessDenied(said, setting)
    if response.status_code == 429:
        wait = _seconds(response.headers.get("retry-after"))
        when = f"in {wait:g} s" if wait is not None else "later"
        raise RateLimited(f"{service} wants fewer requests. Try again {when}.", retry_after=wait)
    if response.status_code >= 500:
        raise ServiceFailed(f"{service} answered {response.status_code}. Try again later.")


def _words(error: Exception) -> str:
    return str(error).rstrip(". ") or type(error).__name__


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
