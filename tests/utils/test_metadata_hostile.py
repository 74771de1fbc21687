"""utils.metadata on files that nobody vouches for: refused as a picture, or read without the part that lies."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.utils.metadata_kit import GRAPH, PNG, WORKFLOW, encoded, video
from utils.images import SIGNATURE, BadPicture, chunks, packed
from utils.metadata import MAX_TEXT, XMP, SourceType, media_type_of, read, stamped, stripped
from utils.metadata.stamps import MOST_TEXT, MOST_TEXTS

FACTS: dict[str, Any] = {"record": {"prompt": "p", "model": "m"}, "source_type": SourceType.TRAINED}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A stamped file of each format."""
    folder = tmp_path_factory.mktemp("files")
    bare = {
        "png": PNG,
        "jpeg": encoded("JPEG"),
        "webp": encoded("WEBP"),
        "mp4": video(folder, movflags="faststart"),
    }
    return {
        name: stamped(
            content, media_type_of(content) or "", parameters="猫\nSteps: 1", graph=GRAPH, workflow=WORKFLOW, **FACTS
        )
        for name, content in bare.items()
    }


def stamped_anew(content: bytes) -> bytes:
    return stamped(content, media_type_of(content) or "", parameters="x", graph={"1": {}}, **FACTS)


def handled(content: bytes) -> None:
    """Read, strip and stamp it; each may only refuse it as a picture."""
    for work in (read, stripped, stamped_anew):
        try:
            work(content)
        except BadPicture as refusal:
            assert str(refusal)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "mp4"])
@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4))
def test_no_change_of_bytes_raises_anything_but_bad_picture(
    kind: str, files: dict[str, bytes], changes: list[tuple[float, bytes]]
) -> None:
    content = bytearray(files[kind])
    for share, piece in changes:
        place = int(share * (len(content) - 1))
        content[place : place + len(piece)] = piece
    handled(bytes(content))


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4))
def test_no_change_within_a_pngs_chunks_does_either(
    files: dict[str, bytes], changes: list[tuple[float, bytes]]
) -> None:
    parts = list(chunks(files["png"]))
    for share, piece in changes:
        number = int(share * (len(parts) - 1))
        kind, body = parts[number]
        place = int(share * len(body))
        parts[number] = kind, body[:place] + piece + body[place + len(piece) :]
    handled(SIGNATURE + b"".join(packed(kind, body) for kind, body in parts))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "mp4"])
def test_a_file_that_is_cut_short_anywhere_is_no_picture(kind: str, files: dict[str, bytes]) -> None:
    content = files[kind]
    for place in range(0, len(content) - 2, 3):
        if kind == "mp4" and place == content.index(b"uuid\xbe\x7a\xcf\xcb") - 4:
            continue  # whole, without the last box
        with pytest.raises(BadPicture):
            read(content[:place])


def with_texts(*bodies: tuple[bytes, bytes]) -> bytes:
    parts = list(chunks(PNG))
    return SIGNATURE + b"".join(packed(kind, body) for kind, body in [parts[0], *bodies, *parts[1:]])


def test_a_text_that_unpacks_to_too_much_is_left_out() -> None:
    bomb = zlib.compress(b"a" * (MAX_TEXT + 1), 9)
    content = with_texts(
        (b"zTXt", b"parameters\0\0" + bomb),
        (b"iTXt", b"workflow\0\1\0\0\0" + bomb),
        (b"tEXt", b"Title\0kept"),
    )

    assert read(content).texts == {"Title": "kept"}


def test_a_thousand_texts_that_unpack_to_much_stay_within_the_bounds_of_memory() -> None:
    bomb = zlib.compress(b"a" * MAX_TEXT, 9)
    largest = zlib.compress(bytes(30 * MAX_TEXT))
    bombs = [largest, *[bomb] * 1000]
    content = with_texts(*((b"zTXt", f"k{number}\0\0".encode() + one) for number, one in enumerate(bombs)))

    tracemalloc.start()
    texts = read(content).texts
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(map(len, texts.values())) == MOST_TEXT
    assert peak < 5 * MOST_TEXT


def test_more_texts_than_any_program_writes_are_left_out() -> None:
    content = with_texts(*((b"tEXt", f"k{number}\0x".encode()) for number in range(MOST_TEXTS + 5)))

    assert len(read(content).texts) == MOST_TEXTS


@pytest.mark.parametrize("deep", ["[" * 200_000, '{"a":' * 200_000, "1" * 50_000, '{"schema":' + "9" * 5_000 + "}"])
def test_json_too_deep_or_too_long_to_read_is_no_record(deep: str) -> None:
    stamp = read(with_texts((b"tEXt", b"atelier\0" + deep.encode())))

    assert (stamp.record, stamp.texts) == (None, {"atelier": deep})


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
PACKETS = {
    "laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>%s',
    "file": '<!DOCTYPE x [<!ENTITY l9 SYSTEM "file:///etc/hostname">]>%s',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x">%%p;]>%s',
    "dtd elsewhere": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x">%s',
    "unknown entity": "%s",
    "deep": "<a>" * 100_000 + "%s",
    "no xml": "%s\x01",
    "cut short": "%s<",
}


@pytest.mark.parametrize("kind", PACKETS)
def test_an_xmp_packet_that_is_a_trap_says_nothing(kind: str) -> None:
    mark = '<rdf:Description xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:I="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    inside = f"{mark}<I:DigitalSourceType>{SourceType.TRAINED}&l9;</I:DigitalSourceType></rdf:Description>"
    packet = PACKETS[kind].replace("%s", inside).replace("%%", "%")

    assert read(with_texts((b"iTXt", XMP.encode() + b"\0" * 5 + packet.encode()))).source_type is None


def exif_of(*entries: tuple[int, int, int, int], order: str = ">", more: bytes = b"") -> bytes:
    head = b"MM\0*" if order == ">" else b"II*\0"
    body = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    return head + struct.pack(f"{order}IH", 8, len(entries)) + body + b"\0" * 4 + more


TRAPS = {
    "folder that is itself": exif_of((0x8769, 4, 1, 8)),
    "folder behind the end": exif_of((0x8769, 4, 1, 0xFFFFFFF0)),
    "4 GB of text": exif_of((0x0110, 2, 0xFFFFFFFF, 8)),
    "more values than 32 bits": exif_of((0x0110, 12, 0xFFFFFFFF, 8)),
    "unknown type": exif_of((0x0110, 99, 4, 8)),
    "orientation as text": exif_of((0x0112, 2, 3, 0x41414100)),
    "many entries": b"MM\0*" + struct.pack(">IH", 8, 0xFFFF) + b"\1\x10\0\2" * 20,
    "no folder": b"MM\0*\xff\xff\xff\xff",
    "cut short": b"MM\0*\0",
    "comment of a byte": exif_of((0x8769, 4, 1, 26), more=struct.pack(">HHHII", 1, 0x9286, 7, 1, 0) + b"\0" * 4),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_an_exif_that_is_a_trap_is_left_out(trap: str) -> None:
    for content in (encoded("WEBP", exif=b"Exif\0\0" + TRAPS[trap]), with_texts((b"eXIf", TRAPS[trap]))):
        stamp = read(content)
        assert not stamp.texts.keys() & {"Model", "UserComment"}
        handled(content)


def test_lengths_that_lie_are_found_before_anything_is_read() -> None:
    gigabytes = struct.pack(">I", 0xFFFFFFF0)
    lies = {
        "png": PNG[:8] + gigabytes + PNG[12:],
        "jpeg": b"\xff\xd8\xff\xe1\xff\xff" + b"Exif\0\0",
        "jpeg of nothing": b"\xff\xd8\xff\xe1\0\0",
        "webp": b"RIFF\xff\xff\xff\xfeWEBPVP8 \xff\xff\xff\xfe",
        "webp chunk": b"RIFF\x10\0\0\0WEBPVP8 \xff\xff\xff\xfe",
        "mp4": b"\0\0\0\x10ftypisom\0\0\0\0" + gigabytes + b"moov",
        "mp4 of 64 bits": b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x01moov" + b"\xff" * 8,
        "mp4 box of nothing": b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x04moov",
    }
    for content in lies.values():
        with pytest.raises(BadPicture):
            read(content)


def test_a_table_of_a_video_that_claims_more_than_is_there_is_refused(tmp_path: Path) -> None:
    mp4 = video(tmp_path, movflags="faststart")
    place = mp4.index(b"stco") + 8

    with pytest.raises(BadPicture, match="table"):
        stamped(mp4[:place] + b"\xff\xff\xff\xff" + mp4[place + 4 :], "video/mp4", parameters="x", **FACTS)


def test_user_data_that_ends_as_quicktimes_does_is_read(tmp_path: Path) -> None:
    mp4 = video(tmp_path, metadata={"comment": "said"})
    place = mp4.index(b"udta") - 4
    size = struct.unpack_from(">I", mp4, place)[0]
    movie = mp4.index(b"moov") - 4
    whole = struct.unpack_from(">I", mp4, movie)[0]
    longer = bytearray(mp4[: place + size] + b"\0" * 4 + mp4[place + size :])
    struct.pack_into(">I", longer, place, size + 4)
    struct.pack_into(">I", longer, movie, whole + 4)

    assert read(bytes(longer)).parameters == "said"
    assert read(stamped(bytes(longer), "video/mp4", parameters="new", **FACTS)).parameters == "new"


def test_chunks_without_number_are_refused() -> None:
    with pytest.raises(BadPicture, match="more than 200,000 chunks"):
        read(with_texts(*[(b"tIME", b"")] * 200_001))


def test_data_behind_the_end_is_not_in_the_copy_to_share() -> None:
    for form in ("PNG", "JPEG", "WEBP"):
        content = encoded(form) + b"a secret behind the end"
        assert b"secret" not in stripped(content)
        with Image.open(io.BytesIO(stripped(content))) as opened:
            opened.load()
