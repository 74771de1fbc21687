"""Errors of S3 servers, of the minio SDK and of the network below it, as ours. No text holds a key or a signature."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from workflows.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
    StorageError,
    StudioError,
)

if TYPE_CHECKING:
    from minio.error import S3Error

MISSING = frozenset({"NoSuchKey", "NoSuchObject", "NoSuchVersion"})
DAMAGED = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest", "IncompleteBody"})
"""The server saw other bytes than were sent."""
BUSY = frozenset({"SlowDown", "TooManyRequests", "RequestLimitExceeded"})
FULL = frozenset({"XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"})
SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
SKEW_SECONDS = 900
"""S3 servers refuse requests whose time is further off."""
KEYS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "InvalidAccessKeyId": ("MINIO_ACCESS_KEY", "does not know the access key"),
        "SignatureDoesNotMatch": ("MINIO_SECRET_KEY", "says that the secret key does not belong to the access key"),
        "InvalidSecretAccessKey": ("MINIO_SECRET_KEY", "does not take the secret key"),
        "ExpiredToken": ("MINIO_SECRET_KEY", "says that the keys have expired"),
        "InvalidToken": ("MINIO_ACCESS_KEY", "does not take the keys"),
        "AccountProblem": ("MINIO_ACCESS_KEY", "does not serve this account"),
    }
)
"""Codes that speak of the keys: which setting is wrong, and what the server means."""
_SCOPE = re.compile(r"/([a-z0-9-]{1,40})/s3/aws4_request")


@dataclass(frozen=True)
class Place:
    """What the texts name: where was asked, and for what."""

    url: str
    bucket: str
    key: str | None = None

    @property
    def server(self) -> str:
        return f"The S3 server at {self.url}"


@contextmanager
def s3_errors(place: Place) -> Generator[None]:
    """Everything that the SDK and urllib3 raise becomes one of ours."""
    import urllib3
    from minio.error import InvalidResponseError, S3Error, ServerError

    try:
        yield
    except S3Error as error:
        raise _refused(error, place) from error
    except (InvalidResponseError, ValueError, SyntaxError) as error:  # the last two: XML of others, or none
        told = "MINIO_ENDPOINT may name a web console or a proxy: name the port of its S3 interface"
        raise ServiceFailed(f"{place.server} does not answer as an S3 server does. {told}.") from error
    except ServerError as error:
        raise _broken(error.status_code, place) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _unreachable(error, place) from error


def told_region(error: S3Error) -> str | None:
    """The region that the server wants to be asked for, when its refusal says so."""
    told = error.response.headers.get("x-amz-bucket-region")
    if told or error.code not in {"AuthorizationHeaderMalformed", "PermanentRedirect", "InvalidRegion"}:
        return told
    text = (error.response.data or b"").decode(errors="replace")
    _, found, rest = text.partition("<Region>")
    if found:
        return rest.partition("<")[0] or None
    named = _SCOPE.findall(text)  # Garage words it: expected scope date/REGION/s3/aws4_request
    return named[-1] if named else None


def _refused(error: S3Error, place: Place) -> StudioError:
    code = error.code or ""
    off = _seconds_off(error.response.headers)
    if code in SKEWED or (error.response.status == 403 and off is not None and abs(off) > SKEW_SECONDS):
        return _skewed(off, place)
    if code in KEYS:
        setting, said = KEYS[code]
        return AccessDenied(f"{place.server} {said}: check MINIO_ACCESS_KEY and MINIO_SECRET_KEY.", setting)
    if code == "AuthorizationHeaderMalformed":
        region = told_region(error)
        wanted = f" to {region}" if region else ""
        return AccessDenied(f"{place.server} is asked for a wrong region: set MINIO_REGION{wanted}.", "MINIO_REGION")
    if code in MISSING and place.key is not None:
        return NotFound("file", place.key, hint=f"It is not in bucket {place.bucket} at {place.url}.")
    return _other(code, error.response.status, place)


def _other(code: str, status: int, place: Place) -> StudioError:
    if code == "NoSuchBucket":
        told = f"There is no bucket {place.bucket} at {place.url}: check MINIO_BUCKET, or make it."
        return StorageError(told)
    if code in FULL or status == 507:
        return StorageError(f"{place.server} is full, or the quota of bucket {place.bucket} is used up: free space.")
    if code in DAMAGED:
        return StorageError(f"{place.server} received other bytes than were sent of {place.key}: try again.")
    if code in BUSY or status == 429:
        return RateLimited(f"{place.server} wants fewer requests. Try again later.")
    if status >= 500:
        return _broken(status, place)
    if status in {401, 403} or code == "AccessDenied":
        told = f"{place.server} refuses ({code}): check MINIO_ACCESS_KEY and MINIO_SECRET_KEY, and that this key may "
        return AccessDenied(f"{told}list, read, write and delete in bucket {place.bucket}.", "MINIO_ACCESS_KEY")
    about = f" for {place.key}" if place.key else ""
    return StorageError(f"{place.server} refused a request{about}: {code or status}. Its log says more.")


def _skewed(off: float | None, place: Place) -> StorageError:
    much = ""
    if off is not None:
        much = f" by {_span(abs(off))} ({'behind' if off > 0 else 'ahead of'} the server)"
    return StorageError(
        f"{place.server} refuses every request: the clock of this machine is off{much}. Set it right (turn on NTP)."
    )


def _seconds_off(headers: Mapping[str, str]) -> float | None:
    """How far the server's clock is ahead of ours."""
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return (theirs - datetime.now(UTC)).total_seconds() if theirs.tzinfo else None


def _span(seconds: float) -> str:
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _broken(status: int, place: Place) -> StudioError:
    if status in {401, 403}:
        told = f"{place.server} does not let us in ({status}): check MINIO_ACCESS_KEY and MINIO_SECRET_KEY."
        return AccessDenied(told, "MINIO_ACCESS_KEY")
    return ServiceFailed(f"{place.server} answered {status}. Try again later.")


def _unreachable(error: Exception, place: Place) -> ServiceUnavailable:
    import urllib3.exceptions as kinds

    cause = error.reason if isinstance(error, kinds.MaxRetryError) and error.reason else error
    if isinstance(cause, kinds.SSLError):
        told = "check its certificate, MINIO_SECURE, and the scheme of MINIO_ENDPOINT"
        return ServiceUnavailable(f"{place.server} and this machine cannot agree on TLS: {told}.")
    if isinstance(cause, kinds.NameResolutionError):
        return ServiceUnavailable(f"{place.server} is not found: nobody knows its name. Check MINIO_ENDPOINT.")
    if isinstance(cause, (kinds.NewConnectionError, kinds.ConnectTimeoutError)):
        return ServiceUnavailable(f"{place.server} does not answer. Start it, or check MINIO_ENDPOINT.")
    if isinstance(cause, (kinds.TimeoutError, TimeoutError)):
        return ServiceTimedOut(f"{place.server} did not answer in time. Try again later.")
    return ServiceFailed(f"{place.server} broke off in the middle. Try again.")
