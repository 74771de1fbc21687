"""Certificates that sign pictures, made in place: a root of our own and a signer, as C2PA wants them, or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_USES = (
    "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
    "encipher_only decipher_only"
).split()


@dataclass(frozen=True)
class Pair:
    """A chain and its key, as PEM files."""

    cert: Path
    key: Path


def pair(
    folder: Path,
    key: Any = None,
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    until: timedelta = timedelta(days=30),
    password: bytes | None = None,
) -> Pair:
    """Files `chain.pem` and `key.pem` in the folder; the signer is called "Test signer"."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), key or ec.generate_private_key(ec.SECP256R1())
    root = (
        _begun("Test root", "Test root", authority.public_key(), timedelta(days=60))
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(_use("key_cert_sign", "crl_sign"), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), False)
        .sign(authority, hashes.SHA256())
    )
    signer = (
        _begun("Test signer", "Test root", key.public_key(), until)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(_use("digital_signature"), True)
        .add_extension(x509.ExtendedKeyUsage([use]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False)
        .sign(authority, hashes.SHA256())
    )
    made = Pair(folder / "chain.pem", folder / "key.pem")
    made.cert.write_bytes(signer.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    secret = BestAvailableEncryption(password) if password else NoEncryption()
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    return made


def _begun(subject: str, issuer: str, public: Any, until: timedelta) -> x509.CertificateBuilder:
    today = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(today - timedelta(days=90)).not_valid_after(today + until)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _use(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in _USES})
