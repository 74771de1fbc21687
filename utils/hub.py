"""The Hugging Face Hub as the model libraries reach it: whether it answers, before they wait for it, and its cache."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

HUB = "https://huggingface.co"
PATIENCE = 3.0
"""Seconds to connect. The libraries' own retries take more than a minute to say that there is no network."""


def hub_answers(endpoint: str | None = None, patience: float = PATIENCE) -> bool:
    """Whether a connection to the Hub (or HF_ENDPOINT) opens. Behind a proxy only the proxy knows: then True."""
    address = urlsplit(endpoint or os.environ.get("HF_ENDPOINT") or HUB)
    if getproxies().keys() - {"no"} and not proxy_bypass(address.hostname or ""):
        return True
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), patience).close()
    except OSError:
        return False
    return True


@contextmanager
def local_files_without_hub() -> Generator[None]:
    """While the Hub does not answer, the model libraries look in their local cache alone.

    Raises OSError for whatever they miss there, in one short sentence, and at once.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or hub_answers():
        yield
        return
    constants.HF_HUB_OFFLINE = True  # the libraries read it at every request; they take no argument for it
    try:
        yield
    except Exception as error:
        raise OSError("the Hub does not answer, and they are not in its local cache") from error
    finally:
        constants.HF_HUB_OFFLINE = False


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it fetched, found without importing it."""
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def in_hub_cache(repository: str) -> bool:
    """Whether anything of the repository was fetched once."""
    return (hub_cache() / f"models--{repository.replace('/', '--')}").is_dir()
