"""Signed manifests (C2PA): put into a finished picture or video with a certificate, and looked at again.

A certificate that no trust list knows (one's own) signs as well as any: whoever reads the file is told that nothing was
changed since, and that the signer is not known. No timestamp authority is asked, so nothing leaves this machine; the
signature is good as long as its certificate.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from utils.images import SIGNATURE, packed
from utils.metadata import CREATOR, SourceType, media_type_of

MAX_PEM = 1_000_000
"""Bytes of a certificate chain or key that are read."""
_ALGORITHMS = {
    "2a8648ce3d030107": "es256",
    "2b81040022": "es384",
    "2b81040023": "es512",
    "2a864886f70d010101": "ps256",
    "06032b6570": "ed25519",
}
"""By the object identifier in the key: the curves P-256, P-384 and P-521, RSA, and Ed25519."""
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY)-----(.*?)-----END", re.DOTALL)
_SETTINGS: Mapping[str, Any] = {
    # A picture says what it is; a thumbnail of it would only make it larger. Nothing is fetched when it is read.
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}
_WANTED = (
    "It must be a PEM chain, the signer's certificate first, valid now, for digital signatures (key usage) and with an "
    "extended key usage that C2PA takes, such as emailProtection; the key must be the signer's, as unencrypted PKCS #8 "
    "(openssl pkcs8 -topk8 -nocrypt), RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519"
)


class _Media(Protocol):
    """Bytes with a media type, as a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def data(self) -> bytes: ...

    @property
    def media_type(self) -> str: ...


M = TypeVar("M", bound=_Media)


class C2paMissing(ImportError):
    """c2pa-python is not installed."""

    def __init__(self) -> None:
        super().__init__("Signing pictures needs the extra 'c2pa': pip install 'atelier-mcp[c2pa]'.")


class BadCertificate(ValueError):
    """Nothing can be signed with this certificate and key; the text says why and what is wanted."""


class NotSigned(RuntimeError):
    """This file could not be signed."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a file's C2PA manifest says, and whether it holds."""

    valid: bool
    """Nothing was changed since it was signed."""
    trusted: bool
    """The signer is on a list of those trusted. None is asked here, so it is False for anybody."""
    faults: tuple[str, ...]
    """What speaks against it, in C2PA's codes, such as assertion.dataHash.mismatch."""
    signer: str | None
    title: str | None
    made_by: str | None
    actions: tuple[str, ...]
    source_types: tuple[str, ...]


class C2paSigner:
    """Signs with the chain in `cert` and the key in `key`, both PEM files, which are tried when it is opened.

    Raises C2paMissing, and BadCertificate when they cannot be read, do not fit each other or are not taken by C2PA.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        _library()
        self._cert, self._key = _content(cert, "certificate"), _content(key, "key")
        if b"BEGIN CERTIFICATE" not in self._cert:
            raise BadCertificate(f"{cert} holds no certificate in PEM form. {_WANTED}.")
        self._algorithm = _algorithm(self._key, key)
        try:
            self._signed(_tiny(), "image/png", SourceType.TRAINED, "a try")
        except NotSigned as error:
            raise BadCertificate(f"C2PA cannot sign with {cert} and {key}: {error}. {_WANTED}.") from error

    def sign(self, media: M, source_type: str, title: str) -> M:
        """The same picture or video with a signed manifest in it, in place of an earlier one.

        `source_type`: an IPTC digital source type's URI. Blocking; safe from any thread. Raises NotSigned.
        """
        return replace(media, data=self._signed(media.data, media.media_type, source_type, title))

    def _signed(self, data: bytes, media_type: str, source_type: str, title: str) -> bytes:
        c2pa = _library()
        signed = io.BytesIO()
        try:
            info = c2pa.C2paSignerInfo(self._algorithm, self._cert, self._key, None)
            with c2pa.Signer.from_info(info) as signer, _builder(source_type, title) as builder:
                builder.sign(signer, media_type, io.BytesIO(data), signed)
        except c2pa.C2paError as error:
            raise NotSigned(str(error)) from error
        return signed.getvalue()


def manifest_of(data: bytes) -> Manifest | None:
    """The active manifest of a picture or video, checked against its bytes; None when it has none that can be read.

    Raises C2paMissing.
    """
    c2pa = _library()
    try:
        with c2pa.Reader(media_type_of(data), io.BytesIO(data), context=_context()) as reader:
            told = json.loads(reader.json())
    except (c2pa.C2paError, ValueError):
        return None
    return _manifest(told)


def _manifest(told: Mapping[str, Any]) -> Manifest:
    active: dict[str, Any] = told.get("manifests", {}).get(told.get("active_manifest"), {})
    faults: list[dict[str, Any]] = told.get("validation_status") or []
    codes = [str(fault.get("code")) for fault in faults]
    lists = [one["data"]["actions"] for one in active.get("assertions", []) if "actions" in (one.get("data") or {})]
    actions = [action for each in lists for action in each]
    makers = [
        f"{one.get('name', '')} {one.get('version', '')}".strip() for one in active.get("claim_generator_info", [])
    ]
    issued: dict[str, Any] = active.get("signature_info") or {}
    names = [str(issued[name]) for name in ("common_name", "issuer") if issued.get(name)]
    return Manifest(
        valid=told.get("validation_state") in {"Valid", "Trusted"},
        trusted=told.get("validation_state") == "Trusted",
        faults=tuple(dict.fromkeys(codes)),
        signer=", ".join(names) or None,
        title=active.get("title"),
        made_by=", ".join(filter(None, makers)) or None,
        actions=tuple(str(action.get("action")) for action in actions),
        source_types=tuple(str(one["digitalSourceType"]) for one in actions if one.get("digitalSourceType")),
    )


def _builder(source_type: str, title: str) -> Any:
    agent = {"name": CREATOR}
    actions: list[dict[str, Any]] = [
        {"action": "c2pa.created", "digitalSourceType": source_type, "softwareAgent": agent}
    ]
    if source_type != SourceType.TRAINED:
        actions.append({"action": "c2pa.edited", "digitalSourceType": source_type, "softwareAgent": agent})
    said = {
        "claim_generator_info": [agent],
        "title": title,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }
    return _library().Builder.from_json(json.dumps(said), context=_context())


def _library() -> Any:
    try:
        import c2pa
    except ImportError as missing:
        raise C2paMissing from missing
    return c2pa


@cache
def _context() -> Any:
    c2pa = _library()
    return c2pa.Context(c2pa.Settings.from_dict(dict(_SETTINGS)))


def _content(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_PEM)
    except OSError as error:
        raise BadCertificate(f"the {what} {path} cannot be read ({error.strerror})") from error


def _algorithm(key: bytes, path: Path) -> str:
    """The algorithm that the key's own kind wants."""
    found = _PEM.search(key)
    if not found:
        raise BadCertificate(f"{path} holds no private key in PEM form. {_WANTED}.")
    if b"ENCRYPTED" in found[1] or b"ENCRYPTED" in found[2]:
        raise BadCertificate(f"the key {path} is encrypted, and nobody can be asked for its password. {_WANTED}.")
    try:
        inside = base64.b64decode(b"".join(found[2].split()), validate=True)
    except binascii.Error:
        inside = b""
    kind = next((name for mark, name in _ALGORITHMS.items() if bytes.fromhex(mark) in inside[:64]), None)
    if kind is None:
        raise BadCertificate(f"the key {path} is of a kind that C2PA does not take. {_WANTED}.")
    return kind


def _tiny() -> bytes:
    """A PNG of one grey pixel."""
    head = packed(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return SIGNATURE + head + packed(b"IDAT", zlib.compress(b"\0\x80")) + packed(b"IEND", b"")
