"""utils.metadata in PNG, JPEG, WebP and MP4: what is written is read by us, Pillow and ffmpeg; nothing else moves."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.utils.metadata_kit import GRAPH, PIXELS, PNG, WORKFLOW, boxes, encoded, shown, told, video
from utils.metadata import SourceType, Stamp, carried, media_type_of, read, stamped, stripped

RGBA = PIXELS.copy()
RGBA.putalpha(Image.linear_gradient("L").resize(PIXELS.size))
CLASSIC = "the graph is here"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A file of every kind, none of which says anything yet."""
    folder = tmp_path_factory.mktemp("files")
    frames = [PIXELS, PIXELS.rotate(90, expand=False), PIXELS.rotate(180)]
    return {
        "png": PNG,
        "png rgba": encoded("PNG", RGBA),
        "apng": encoded("PNG", PIXELS, save_all=True, append_images=frames[1:]),
        "jpeg": encoded("JPEG"),
        "jpeg grey": encoded("JPEG", PIXELS.convert("L")),
        "jpeg cmyk": encoded("JPEG", PIXELS.convert("CMYK")),
        "jpeg progressive": encoded("JPEG", progressive=True),
        "webp": encoded("WEBP"),
        "webp lossless": encoded("WEBP", lossless=True),
        "webp rgba": encoded("WEBP", RGBA),
        "webp lossless rgba": encoded("WEBP", RGBA, lossless=True),
        "webp animated": encoded("WEBP", frames[0], save_all=True, append_images=frames[1:]),
        "mp4": video(folder),
        "mp4 moov first": video(folder, movflags="faststart"),
        "mp4 h264": video(folder, "libx264", movflags="use_metadata_tags+faststart"),
    }


KINDS = (
    "png;png rgba;apng;jpeg;jpeg grey;jpeg cmyk;jpeg progressive;webp;webp lossless;webp rgba;webp lossless rgba;"
    "webp animated;mp4;mp4 moov first;mp4 h264"
).split(";")


def written(content: bytes, **changes: Any) -> bytes:
    facts: dict[str, Any] = {
        "parameters": "a 猫\nSteps: 1, Seed: 2",
        "record": {"prompt": "a 猫 <b>&amp;", "model": "demo", "model_hash": "67ab2fd8ec"},
        "source_type": SourceType.COMPOSITE,
        "graph": GRAPH,
        "workflow": WORKFLOW,
    }
    return stamped(content, media_type_of(content) or "", **facts | changes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_tells_all_of_it_and_shows_the_same(kind: str, files: dict[str, bytes]) -> None:
    content = written(files[kind])
    stamp = read(content)

    assert shown(content) == shown(files[kind])
    assert stamp.parameters == "a 猫\nSteps: 1, Seed: 2"
    assert stamp.record == {"schema": 1, "prompt": "a 猫 <b>&amp;", "model": "demo", "model_hash": "67ab2fd8ec"}
    assert (stamp.texts["prompt"], stamp.texts["workflow"]) == (json.dumps(GRAPH), json.dumps(WORKFLOW))
    assert stamp.source_type == SourceType.COMPOSITE


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_stamp_replaces_the_first(kind: str, files: dict[str, bytes]) -> None:
    once = written(files[kind])
    twice = written(written(files[kind], parameters="old", record={"old": 1}, source_type=SourceType.ENHANCED))

    assert read(twice) == read(once)
    assert len(twice) == len(once)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_to_share_says_only_that_a_machine_made_it(kind: str, files: dict[str, bytes]) -> None:
    bare = stripped(written(files[kind]))
    stamp = read(bare)

    assert shown(bare) == shown(files[kind])
    assert (stamp.parameters, stamp.record, stamp.source_type) == (None, None, SourceType.COMPOSITE)
    assert list(stamp.texts) == ["XML:com.adobe.xmp"]
    for secret in ("猫".encode(), "猫".encode("utf-16-be"), b"Seed", b"KSampler", b"demo", b"67ab2fd8ec", b"Lavf"):
        assert secret not in bare


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_what_says_nothing_claims_nothing(kind: str, files: dict[str, bytes]) -> None:
    bare = stripped(files[kind])

    assert shown(bare) == shown(files[kind])
    assert read(bare) == Stamp(parts=read(bare).parts)


letters = st.text(st.characters(exclude_categories=[]), max_size=120)
"""All there are: line ends, quotes, NUL, emoji, control characters, halves of surrogate pairs."""
documents = st.dictionaries(letters.filter(lambda key: key != "schema"), letters | st.integers(), max_size=4)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "mp4 moov first"])
@settings(max_examples=150, deadline=None)
@given(parameters=letters, record=documents, graph=documents)
def test_whatever_is_written_is_read_back(
    kind: str, files: dict[str, bytes], parameters: str, record: dict[str, Any], graph: dict[str, Any]
) -> None:
    stamp = read(content := written(files[kind], parameters=parameters, record=record, graph=graph))

    told_of = parameters.replace("\0", "").encode("utf-8", "replace").decode()
    assert stamp.parameters == (told_of if told_of.strip() or kind == "png" else None)
    # JSON takes two halves of a surrogate pair that stand together for the one letter that they are.
    assert stamp.record == json.loads(json.dumps({"schema": 1, **record}))
    assert json.loads(stamp.texts["prompt"]) == json.loads(json.dumps(graph))
    assert shown(content) == shown(files[kind])


@pytest.mark.parametrize("kind", ["jpeg", "webp", "webp lossless rgba"])
def test_pillow_reads_the_exif_that_a1111_and_comfyui_write(kind: str, files: dict[str, bytes]) -> None:
    with Image.open(io.BytesIO(written(files[kind]))) as opened:
        exif = opened.getexif()

    assert exif.get_ifd(0x8769)[0x9286] == b"UNICODE\0" + "a 猫\nSteps: 1, Seed: 2".encode("utf-16-be")
    assert exif[0x0110] == "prompt:" + json.dumps(GRAPH)
    assert exif[0x010F] == "workflow:" + json.dumps(WORKFLOW)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_the_files_own_exif_stays_but_for_its_places(form: str, order: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x0112], exif[0x0131], exif[0x011A] = 6, "Camera 1.0", 72.5
    exif.get_ifd(0x8769)[0x829A] = 0.25
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 14.0)
    camera = encoded(form, exif=exif)

    with Image.open(io.BytesIO(written(camera))) as opened:
        after = opened.getexif()
    assert (after[0x0112], after[0x0131], after[0x011A]) == (6, "Camera 1.0", 72.5)
    assert after.get_ifd(0x8769)[0x829A] == 0.25
    assert bool(after.get_ifd(0x8825)) == (form == "PNG")  # whose texts have chunks of their own

    with Image.open(io.BytesIO(stripped(camera))) as opened:
        bare = opened.getexif()
    assert dict(bare) == {0x0112: 6}


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_a_colour_profile_outlives_the_stamp_and_the_copy_to_share(form: str) -> None:
    profile = ImageCms.ImageCmsProfile(cast("Any", ImageCms.createProfile("sRGB"))).tobytes()
    content = encoded(form, icc_profile=profile)

    for made in (written(content), stripped(written(content))):
        with Image.open(io.BytesIO(made)) as opened:
            assert opened.info["icc_profile"] == profile


def test_what_is_too_long_for_a_jpeg_segment_is_kept_all_the_same() -> None:
    facts: dict[str, Any] = {
        "parameters": "ключ " * 20_000,
        "record": {"prompt": "猫" * 60_000, "model": "m"},
        "graph": {"1": {"class_type": "X", "inputs": {"text": "a" * 70_000}}},
        "workflow": {"nodes": ["b" * 90_000]},
    }
    content = written(encoded("JPEG"), **facts)
    stamp = read(content)

    assert stamp.parameters == facts["parameters"]
    assert stamp.record == {"schema": 1, **facts["record"]}
    assert json.loads(stamp.texts["prompt"]) == facts["graph"]
    assert json.loads(stamp.texts["workflow"]) == facts["workflow"]
    assert shown(content) == shown(encoded("JPEG"))
    with Image.open(io.BytesIO(content)) as opened:
        assert "extension" not in opened.info
        assert b"HasExtendedXMP" in opened.info["xmp"]
    assert content[2:4] == b"\xff\xe0"  # JFIF wants its own segment first
    assert "workflow" not in read(content.replace(b"b" * 1000, b"c" * 1000, 1)).texts  # not what the packet names
    assert shown(stripped(content)) == shown(encoded("JPEG"))
    assert len(stripped(content)) < 2 * len(encoded("JPEG"))


def test_ffmpeg_reads_the_texts_of_a_video_where_comfyui_looks_for_them(files: dict[str, bytes]) -> None:
    content = written(files["mp4"])

    assert (
        told(content).items()
        >= {
            "comment": "a 猫\nSteps: 1, Seed: 2",
            "prompt": json.dumps(GRAPH),
            "workflow": json.dumps(WORKFLOW),
        }.items()
    )
    movie = dict(boxes(content))["moov"]
    meta = dict(boxes(dict(boxes(movie))["udta"]))["meta"]
    assert [kind for kind, _ in boxes(meta, 4)] == ["hdlr", "keys", "ilst"]


def test_texts_that_ffmpeg_wrote_either_way_are_read_and_kept(tmp_path: Path) -> None:
    said = {"comment": CLASSIC, "title": "Häuser"}
    classic = video(tmp_path, metadata=said)
    keys = video(tmp_path, metadata=said | {"prompt": json.dumps(GRAPH)}, movflags="use_metadata_tags")

    assert read(classic).texts.items() >= said.items()
    assert read(keys).texts.items() >= (said | {"prompt": json.dumps(GRAPH)}).items()
    after = stamped(classic, "video/mp4", parameters=None, record={"id": 1}, source_type=None)
    assert told(after).items() >= said.items()


def test_a_video_in_fragments_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    fragments = video(tmp_path, metadata={"comment": CLASSIC}, movflags="frag_keyframe+empty_moov")

    assert read(fragments).parameters == CLASSIC
    with pytest.raises(ValueError, match="fragments"):
        written(fragments)
    with pytest.raises(ValueError, match="fragments"):
        stripped(fragments)


@pytest.mark.parametrize("kind", ["jpeg", "webp", "png rgba"])
@pytest.mark.parametrize("source", ["jpeg", "webp lossless", "png"])
def test_another_format_carries_all_that_was_told(source: str, kind: str, files: dict[str, bytes]) -> None:
    first = written(files[source])
    second = carried(first, files[kind], media_type_of(files[kind]) or "")

    before, after = read(first), read(second)
    assert (after.parameters, after.record, after.source_type) == (before.parameters, before.record, before.source_type)
    names = ("prompt", "workflow")
    assert [after.texts[name] for name in names] == [before.texts[name] for name in names]
    assert b"<Iptc4xmpExt:AISystemUsed>demo<" in second
    assert shown(second) == shown(files[kind])


def test_texts_of_another_program_are_carried_by_their_names() -> None:
    info = {"invokeai_metadata": '{"positive_prompt": "猫"}', "Ünlike any": "x"}
    content = stamped(PNG, "image/png", parameters=None, record=None, source_type=None)
    with Image.open(io.BytesIO(content)) as opened:
        from PIL.PngImagePlugin import PngInfo

        chunks = PngInfo()
        for name, text in info.items():
            chunks.add_itxt(name, text)
        buffer = io.BytesIO()
        opened.save(buffer, "PNG", pnginfo=chunks)

    there = carried(buffer.getvalue(), encoded("WEBP"), "image/webp")
    back = carried(there, PNG, "image/png")
    for made in (there, back):
        assert read(made).texts.items() >= info.items()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_format_than_was_said_is_refused(kind: str, files: dict[str, bytes]) -> None:
    wrong = "image/webp" if "png" in kind else "image/png"
    with pytest.raises(ValueError, match=f"not {wrong}"):
        stamped(files[kind], wrong, parameters="x", record={}, source_type=None)


def test_of_a_text_that_a_video_holds_twice_the_first_counts_and_is_kept(files: dict[str, bytes]) -> None:
    once = stamped(files["mp4"], "video/mp4", parameters="old", record=None, source_type=None)
    movie = dict(boxes(once))["moov"]
    meta = dict(boxes(dict(boxes(movie))["udta"]))["meta"]
    longer = movie + packed_box(b"meta", meta)  # QuickTime's place, behind user data
    twice = once.replace(packed_box(b"moov", movie), packed_box(b"moov", longer))
    first = stamped(twice, "video/mp4", parameters="new", record=None, source_type=None)

    assert first.count(b"old") == 1
    assert read(first).parameters == "new"
    assert read(stamped(first, "video/mp4", parameters=None, record={}, source_type=None)).parameters == "new"
    assert shown(first) == shown(files["mp4"])
    assert b"old" not in stripped(first)


def packed_box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def test_a_video_whose_tables_have_64_bits_moves_too(files: dict[str, bytes]) -> None:
    content = files["mp4 moov first"]
    place = content.index(b"stco") - 4
    size = int.from_bytes(content[place : place + 4], "big")
    count = int.from_bytes(content[place + 12 : place + 16], "big")
    starts = [content[place + 16 + 4 * n : place + 20 + 4 * n] for n in range(count)]
    wider = packed_box(b"co64", bytes(4) + count.to_bytes(4, "big") + b"".join(bytes(4) + one for one in starts))
    grown = content[:place] + wider + content[place + size :]
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        here = grown.index(name) - 4
        length = int.from_bytes(grown[here : here + 4], "big") + len(wider) - size
        grown = grown[:here] + length.to_bytes(4, "big") + grown[here + 4 :]
    shift = len(wider) - size
    table = grown.index(b"co64") + 12
    for n in range(count):
        here = table + 8 * n
        moved = int.from_bytes(grown[here : here + 8], "big") + shift
        grown = grown[:here] + moved.to_bytes(8, "big") + grown[here + 8 :]

    assert shown(grown) == shown(content)
    assert shown(written(grown)) == shown(content)
    assert shown(stripped(written(grown))) == shown(content)
