"""How people name a model of CivitAI's: numbers, civitai:MODEL@VERSION, AIRs and addresses of pages. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from workflows.errors import BadRecipe

HOSTS = frozenset({"civitai.com", "www.civitai.com", "civitai.red", "www.civitai.red", "civitai.green"})
ALLOWED = (
    "it is civitai:MODEL or civitai:MODEL@VERSION with their numbers, a model's number, "
    "an AIR (urn:air:...:civitai:MODEL@VERSION) or the address of a model's page on CivitAI"
)
_PLAIN = re.compile(r"(?:civitai:)?(\d{1,12})?(?:@(\d{1,12}))?", re.IGNORECASE | re.ASCII)
_AIR = re.compile(r"(?:urn:)?(?:air:)?[^:\s]+:[^:\s]+:civitai:(\d{1,12})(?:@(\d{1,12}))?(?:\.\w+)?", re.IGNORECASE)
_MODEL_PAGE = re.compile(r"/(?:api/v1/)?models/(\d{1,12})(?:/.*)?")
_VERSION_PAGE = re.compile(r"/api/(?:download/models|v1/model-versions)/(\d{1,12})/?")


@dataclass(frozen=True)
class Named:
    """A model's number, a version's, or both."""

    model: int | None
    version: int | None

    def __str__(self) -> str:
        return f"civitai:{self.model or ''}{f'@{self.version}' if self.version else ''}"


def parse(reference: str, own_host: str = "") -> Named:
    """What a reference names; `own_host`: another host that is CivitAI here. Raises BadRecipe."""
    text = reference.strip()
    found = _address(text, own_host) if "://" in text else _PLAIN.fullmatch(text) or _AIR.fullmatch(text)
    numbers = found if isinstance(found, Named) else _numbers(found)
    if numbers is None:
        # An address may hold a key (?token=...), which no error may repeat.
        raise BadRecipe("reference", text.partition("?")[0], ALLOWED)
    return numbers


def _numbers(found: re.Match[str] | None) -> Named | None:
    if found is None or not any(found.groups()):
        return None
    model, version = found.groups()
    return Named(int(model) if model else None, int(version) if version else None)


def _address(text: str, own_host: str) -> Named | None:
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2].lower()
    if not (host == own_host or (host in HOSTS and parts.scheme == "https")):
        return None
    if found := _VERSION_PAGE.fullmatch(parts.path):
        return Named(None, int(found[1]))
    version = next(iter(parse_qs(parts.query).get("modelVersionId", [])), "")
    if found := _MODEL_PAGE.fullmatch(parts.path):
        return Named(int(found[1]), int(version) if re.fullmatch(r"\d{1,12}", version, re.ASCII) else None)
    return None
