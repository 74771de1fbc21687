"""utils.signing with certificates made here: C2PA's own reader says what holds, and what was changed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.utils.certificates import pair
from tests.utils.metadata_kit import GRAPH, PNG, WORKFLOW, encoded, shown, video
from utils.metadata import SourceType, media_type_of, read, stamped, stripped
from utils.signing import BadCertificate, C2paSigner, Manifest, NotSigned, manifest_of
from workflows.ports import Signer
from workflows.types import Media

KINDS = ("png", "jpeg", "webp", "mp4")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> C2paSigner:
    made = pair(tmp_path_factory.mktemp("certificate"))
    return C2paSigner(made.cert, made.key)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A file of each format that says nothing."""
    return {
        "png": PNG,
        "jpeg": encoded("JPEG"),
        "webp": encoded("WEBP"),
        "mp4": video(tmp_path_factory.mktemp("video"), movflags="faststart"),
    }


@pytest.fixture(scope="module")
def files(bare: dict[str, bytes]) -> dict[str, Media]:
    """The same, stamped."""
    return {kind: _stamped(content) for kind, content in bare.items()}


def _stamped(content: bytes) -> Media:
    media_type = media_type_of(content) or ""
    facts: dict[str, Any] = {"graph": GRAPH, "workflow": WORKFLOW, "source_type": SourceType.TRAINED}
    return Media(
        data=stamped(content, media_type, parameters="猫\nSteps: 1", record={"prompt": "猫", "model": "m"}, **facts),
        media_type=media_type,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_file_holds_a_manifest_and_all_that_it_said_before(
    kind: str, signer: C2paSigner, files: dict[str, Media]
) -> None:
    port: Signer = signer
    signed = port.sign(files[kind], SourceType.TRAINED, "x.png")

    assert manifest_of(signed.data) == Manifest(
        valid=True,
        trusted=False,
        faults=("signingCredential.untrusted",),
        signer="Test signer, Tests",
        title="x.png",
        made_by="Atelier",
        actions=("c2pa.created",),
        source_types=(SourceType.TRAINED,),
    )
    before, after = read(files[kind].data), read(signed.data)
    assert (after.texts, after.record, after.source_type) == (before.texts, before.record, before.source_type)
    assert (before.signed, after.signed) == (False, True)
    assert shown(signed.data) == shown(files[kind].data)
    assert signed.media_type == files[kind].media_type
    assert len(signed.data) - len(files[kind].data) < 8_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_of_the_pixels_that_was_changed_is_found(kind: str, signer: C2paSigner, files: dict[str, Media]) -> None:
    data = signer.sign(files[kind], SourceType.TRAINED, "x").data
    place = data.index({"png": b"IDAT", "jpeg": b"\xff\xda", "webp": b"VP8 ", "mp4": b"mdat"}[kind]) + 60
    changed = manifest_of(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])

    assert changed is not None
    assert not changed.valid
    assert {"assertion.dataHash.mismatch", "assertion.bmffHash.mismatch"} & {*changed.faults}


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_was_changed_after_signing_is_found(kind: str, signer: C2paSigner, files: dict[str, Media]) -> None:
    data = signer.sign(files[kind], SourceType.TRAINED, "x").data
    manifest = manifest_of(data.replace(json.dumps(GRAPH).encode(), json.dumps(GRAPH).replace("5", "6").encode()))

    assert manifest is not None
    assert not manifest.valid


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_stamp_and_the_copy_to_share_leave_out_the_manifest_that_they_break(
    kind: str, signer: C2paSigner, files: dict[str, Media]
) -> None:
    signed = signer.sign(files[kind], SourceType.TRAINED, "x")

    assert _stamped(signed.data) == files[kind]
    assert manifest_of(stripped(signed.data)) is None
    assert read(stripped(signed.data)).source_type == SourceType.TRAINED


@pytest.mark.parametrize("kind", KINDS)
def test_the_mark_that_only_a_manifest_holds_stays_in_the_copy_to_share(
    kind: str, signer: C2paSigner, bare: dict[str, bytes]
) -> None:
    unsigned = Media(data=bare[kind], media_type=media_type_of(bare[kind]) or "")
    shared = stripped(signer.sign(unsigned, SourceType.COMPOSITE, "a secret title").data)

    assert read(bare[kind]).source_type is None
    assert read(shared).source_type == SourceType.COMPOSITE
    assert b"secret" not in shared


def test_an_edit_says_so_in_its_actions(signer: C2paSigner, files: dict[str, Media]) -> None:
    manifest = manifest_of(signer.sign(files["png"], SourceType.ENHANCED, "x").data)

    assert manifest is not None
    assert manifest.actions == ("c2pa.created", "c2pa.edited")
    assert {*manifest.source_types} == {SourceType.ENHANCED}


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA", "P-384", "P-521", "Ed25519"],
)
def test_every_kind_of_key_that_c2pa_takes_signs(key: Any, tmp_path: Path, files: dict[str, Media]) -> None:
    made = pair(tmp_path, key)
    manifest = manifest_of(C2paSigner(made.cert, made.key).sign(files["png"], SourceType.TRAINED, "x").data)

    assert manifest is not None
    assert manifest.valid


def test_what_cannot_sign_is_told_when_it_is_opened(tmp_path: Path) -> None:
    def folder(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    good, other = pair(folder("good")), pair(folder("other"))
    expired = pair(folder("expired"), until=timedelta(days=-1))
    wrong_use = pair(folder("use"), use=ExtendedKeyUsageOID.SERVER_AUTH)
    locked = pair(folder("locked"), password=b"secret")
    odd = pair(folder("odd"), ec.generate_private_key(ec.SECP256K1()))
    cases = {
        "cannot be read": (tmp_path / "none.pem", good.key),
        "no certificate": (good.key, good.key),
        "no private key": (good.cert, good.cert),
        "does not match": (good.cert, other.key),
        "not valid at time": (expired.cert, expired.key),
        "certificate is invalid": (wrong_use.cert, wrong_use.key),
        "encrypted": (locked.cert, locked.key),
        "of a kind": (odd.cert, odd.key),
    }
    for said, (cert, key) in cases.items():
        with pytest.raises(BadCertificate, match=said) as raised:
            C2paSigner(cert, key)
        assert str(tmp_path) in str(raised.value)


def test_what_is_no_picture_is_not_signed(signer: C2paSigner) -> None:
    with pytest.raises(NotSigned):
        signer.sign(Media(data=b"no picture", media_type="image/png"), SourceType.TRAINED, "x")


@pytest.mark.parametrize("content", [b"", b"no picture", PNG, PNG[:100]])
def test_what_has_no_manifest_has_none(content: bytes) -> None:
    assert manifest_of(content) is None
