"""Sessions of browsers: values that only who knows the secret can make, and that hold for a time. No list is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

COOKIE = "atelier_session"
SECONDS = 30 * 86_400
"""How long a login lasts."""
FORM = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")
PURPOSE = b"atelier session 1"


def session(secret: str, now: float) -> str:
    """A value that holds until SECONDS after `now` (seconds since 1970), and for that secret alone."""
    end, nonce = f"{int(now) + SECONDS}", secrets.token_urlsafe(16)
    return f"{end}.{nonce}.{_seal(secret, end, nonce)}"


def holds(value: str, secret: str, now: float) -> bool:
    """Whether the value was made with the secret, and its time is not over."""
    told = FORM.fullmatch(value)
    if told is None:
        return False
    end, nonce, seal = told.groups()
    return hmac.compare_digest(seal, _seal(secret, end, nonce)) and now < int(end) <= now + SECONDS


def _seal(secret: str, end: str, nonce: str) -> str:
    key = hmac.digest(secret.encode(), PURPOSE, hashlib.sha256)
    return hmac.digest(key, f"{end}.{nonce}".encode(), hashlib.sha256).hex()
