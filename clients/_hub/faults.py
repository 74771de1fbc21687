"""The errors of huggingface_hub in our words."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from clients._http import service_errors
from workflows.errors import (
    AccessDenied,
    BadRecipe,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    StorageError,
    StudioError,
)

HUB = "Hugging Face"
SETTING = "HF_TOKEN"


@contextmanager
def hub_errors(repository: str = "") -> Generator[None]:
    """ServiceError, NotFound, BadRecipe or StorageError for whatever the library raises. Call it from a thread."""
    with service_errors(HUB), _library_errors(repository):
        yield


@contextmanager
def _library_errors(repository: str) -> Generator[None]:
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise ServiceUnavailable(f"{HUB} is switched off here by HF_HUB_OFFLINE: unset it.") from error
    except errors.LocalEntryNotFoundError as error:  # the library looked in its cache after an error
        raise _of_cause(error, repository) from error
    except errors.HfHubHTTPError as error:
        raise _answered(error, repository) from error
    except errors.HFValidationError as error:
        raise BadRecipe("reference", repository, "a repository is named OWNER/NAME") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageError(f"The disk of the {HUB} cache is full: make room, and ask again.") from error
        if error.errno is not None and error.filename:
            raise StorageError(f"{error.filename} cannot be written ({error.strerror}).") from error
        raise ServiceUnavailable(f"{HUB} did not give {repository!r} whole: {_line(error)} Try again.") from error


def _of_cause(error: Exception, repository: str) -> StudioError:
    from huggingface_hub import errors

    cause = error.__cause__
    if isinstance(cause, errors.HfHubHTTPError):
        return _answered(cause, repository)
    return ServiceUnavailable(
        f"{HUB} could not be reached, and {repository!r} is not in its cache: connect, try again."
    )


def _answered(error: Any, repository: str) -> StudioError:
    from huggingface_hub import errors

    status = error.response.status_code
    page = f"https://huggingface.co/{repository}"
    if isinstance(error, errors.GatedRepoError) or status == 403:
        words = f"{repository} is gated: accept its terms on {page}, and set {SETTING} to a key of that account"
        return AccessDenied(f"{words}.", SETTING)
    if isinstance(error, errors.RepositoryNotFoundError):
        return NotFound("repository at Hugging Face", repository, hint=f"A private one needs {SETTING}.")
    if isinstance(error, errors.RevisionNotFoundError | errors.EntryNotFoundError) or status == 404:
        return NotFound("file or version at Hugging Face", repository, hint=f"See {page}.")
    if status == 401:
        return AccessDenied(f"{HUB} does not take the key. Set {SETTING} to one that it takes, or to nothing.", SETTING)
    if status == 429:
        told = error.response.headers.get("retry-after", "")
        wait = float(told) if told.isdecimal() else None
        return RateLimited(f"{HUB} wants fewer requests. Try again {f'in {wait:g} s' if wait else 'later'}.", wait)
    if status < 500:
        return BadRecipe("reference", repository, f"{HUB} answered {status}: {_line(error)}")
    return ServiceUnavailable(f"{HUB} answered {status}. Try again later.")


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{lines[0][:200].rstrip('.')}." if lines else f"{type(error).__name__}."
