"""Where an S3 server is: host, port and TLS, read from what a person wrote in a setting."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_BUCKET = re.compile(r"(?!.*(?:\.\.|\.-|-\.))[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")


@dataclass(frozen=True)
class Address:
    """`netloc` is host or host:port, as the server will be told it."""

    netloc: str
    secure: bool

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.netloc}"


def read_address(given: str, setting: str, secure: bool | None = None) -> Address:
    """Read host:port or a URL; `secure` None: as the URL's scheme says, without one no TLS.

    Raises ValueError that names `setting`; a password in the address is not repeated.
    """
    text = given.strip().rstrip("/")
    scheme, mark, _ = text.partition("://")
    parts = urlsplit(text if mark else f"http://{text}")
    if "@" in parts.netloc:
        raise ValueError(f"{setting} holds a user name: keys belong into MINIO_ACCESS_KEY and MINIO_SECRET_KEY.")
    if mark and scheme.lower() not in {"http", "https"}:
        raise ValueError(f"{setting} is {given!r}: S3 is reached by http or https, not {scheme}.")
    if parts.path or parts.query or parts.fragment:
        raise ValueError(f"{setting} is {given!r}: write host:port or https://host alone; the bucket is MINIO_BUCKET.")
    try:
        usable = bool(parts.hostname) and parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        usable = False
    if not usable or any(mark.isspace() for mark in text):
        raise ValueError(f"{setting} is {given!r}: write it like 127.0.0.1:9000 or https://s3.example.org.")
    return Address(parts.netloc, parts.scheme.lower() == "https" if secure is None else secure)


def check_bucket(name: str) -> str:
    """The name, when every S3 server takes it. Raises ValueError."""
    if not _BUCKET.fullmatch(name) or _DIGITS_AND_DOTS.fullmatch(name):
        raise ValueError(
            f"MINIO_BUCKET is {name!r}: a bucket has 3 to 63 small letters, digits, '-' and '.', "
            "with a letter or digit at both ends, and is no IP address."
        )
    return name
