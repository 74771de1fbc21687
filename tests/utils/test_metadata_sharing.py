"""Copies to share tell nothing of whoever made them; graphs stand where ComfyUI's own page finds them."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.utils.metadata_kit import GRAPH, PIXELS, WORKFLOW, boxes, encoded, shown, video
from utils.images import BadPicture, chunks, packed
from utils.metadata import SourceType, carried, read, stamped, stripped

PARENTS = {"moov", "trak", "mdia", "minf", "stbl"}


def camera() -> bytes:
    """A video as a camera writes it: a date, a title, the device's name, and beside the film a track of places."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        container.metadata.update({"creation_time": "2024-01-02T03:04:05Z", "title": "Jane's garden"})
        film: Any = container.add_stream("mpeg4", rate=8)
        film.width = film.height = 64
        film.pix_fmt = "yuv420p"
        film.metadata["handler_name"] = "Jane's telephone"
        places: Any = container.add_data_stream("bin_data")
        for number in range(6):
            pixels = np.full((64, 64, 3), number * 40, np.uint8)
            container.mux(film.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            place: Any = av.Packet(f"place 48.857{number}".encode())
            place.stream, place.pts, place.dts, place.duration = places, number, number, 1
            place.time_base = Fraction(1, 8)
            container.mux(place)
        container.mux(film.encode())
    return file.getvalue()


def within(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Every box of a video, those inside others too."""
    for kind, body in boxes(content):
        yield kind, body
        if kind in PARENTS:
            yield from within(body)


def test_a_shared_video_has_its_film_and_neither_dates_nor_names_nor_places() -> None:
    film = camera()
    assert (film.count(b"place 48"), film.count(b"Jane")) == (6, 2)

    shared = stripped(film)

    assert not [told for told in (b"place", b"Jane") if told in shared]
    dates = [body[4 : 4 + (16 if body[0] else 8)] for kind, body in within(shared) if kind in {"mvhd", "tkhd", "mdhd"}]
    assert len(dates) == 3
    assert not any(b"".join(dates))
    assert next(body[8:] for kind, body in within(shared) if kind == "hdlr") == b"vide" + bytes(13)
    assert shown(shared) == shown(film)
    with av.open(io.BytesIO(shared)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_a_stream_that_runs_to_the_end_of_the_file_still_ends_when_something_follows(tmp_path: Path) -> None:
    film = video(tmp_path, movflags="faststart")
    place = film.rindex(b"mdat") - 4
    endless = film[:place] + bytes(4) + film[place + 4 :]

    ours = stamped(endless, "video/mp4", parameters="x", record=None, source_type=SourceType.TRAINED)

    assert [kind for kind, _ in boxes(ours)][-2:] == ["mdat", "uuid"]
    assert boxes(ours)[-2][1] == boxes(film)[-1][1]
    assert (read(ours).source_type, shown(ours)) == (SourceType.TRAINED, shown(film))


def test_a_track_that_does_not_tell_how_long_it_is_is_not_shared() -> None:
    nameless = camera()[::-1].replace(b"zsts", b"2zts", 1)[::-1]  # the last stsz is that of the places

    with pytest.raises(BadPicture, match="how long its pieces are"):
        stripped(nameless)


def test_pieces_that_claim_the_whole_file_many_times_are_gone_as_soon_as_one() -> None:
    film = camera()
    table = film.rfind(b"stsz")
    wide = struct.pack(">II", 0x7FFFFFFF, struct.unpack_from(">I", film, table + 12)[0])

    shared = stripped(film[: table + 8] + wide + film[table + 16 :])

    assert b"place" not in shared


def test_boxes_within_boxes_without_end_are_no_way_down() -> None:
    film, nest = camera(), b""
    for _ in range(5000):
        nest = struct.pack(">I4s", len(nest) + 8, b"trak") + nest
    place = film.find(b"moov") - 4
    (size,) = struct.unpack_from(">I", film, place)
    inner = film[place + 8 : place + size] + nest

    deep = film[:place] + struct.pack(">I4s", len(inner) + 8, b"moov") + inner + film[place + size :]

    assert shown(stripped(deep)) == shown(film)


def test_the_small_picture_in_a_jpegs_own_head_is_not_shared() -> None:
    jpeg = encoded("JPEG")
    assert jpeg[2:4] == b"\xff\xe0"
    small = jpeg[6:18] + b"\x04\x04" + b"face" * 12
    with_small = jpeg[:4] + struct.pack(">H", len(small) + 2) + small + jpeg[20:]

    shared = stripped(with_small)

    assert b"face" not in shared
    assert shared == stripped(jpeg)


def comfyui_page(webp: bytes) -> str | None:
    """The prompt as ComfyUI's page looks for it in a WebP: it counts no padding, and reads texts in EXIF's folder."""
    place = 12
    while place + 8 <= len(webp):
        kind, size = struct.unpack_from("<4sI", webp, place)
        if kind == b"EXIF":
            folder = Image.Exif()
            folder.load(webp[place + 8 : place + 8 + size])
            texts = dict(text.split(":", 1) for text in folder.values() if isinstance(text, str))
            return texts.get("prompt")
        place += 8 + size
    return None


@pytest.mark.parametrize("height", [24, 31, 32])
def test_comfyuis_page_finds_the_graph_in_a_webp_of_any_length(height: int) -> None:
    noise = Image.fromarray(np.random.default_rng(height).integers(0, 255, (height, 33, 4), dtype=np.uint8))
    told: dict[str, Any] = {"parameters": "Steps: 1", "record": {"a": 1}, "source_type": SourceType.TRAINED}

    for webp in (encoded("WEBP", noise), encoded("WEBP", noise, lossless=True), encoded("WEBP", noise.convert("RGB"))):
        ours = stamped(webp, "image/webp", graph=GRAPH, workflow=WORKFLOW, **told)

        assert json.loads(comfyui_page(ours) or "null") == GRAPH
        assert shown(ours) == shown(webp)
        assert shown(stripped(ours)) == shown(webp)


def test_a_graph_in_plain_letters_stands_in_a_png_as_comfyuis_page_reads_it() -> None:
    plain = json.dumps(GRAPH, ensure_ascii=False)
    words = PngInfo()
    words.add_itxt("prompt", plain)

    png = carried(encoded("PNG", pnginfo=words), encoded("PNG"), "image/png")

    found = [body.partition(b"\0") for kind, body in chunks(png) if kind == b"tEXt"]
    assert [(name, json.loads(text.decode("utf-8"))) for name, _, text in found] == [(b"prompt", GRAPH)]


def test_words_under_the_name_of_a_graph_stay_words() -> None:
    words = PngInfo()
    words.add_itxt("prompt", "ein Käse, 猫")

    png = carried(encoded("PNG", pnginfo=words), encoded("PNG"), "image/png")

    assert read(png).texts["prompt"] == "ein Käse, 猫"


def test_the_graph_of_a_moving_png_is_read_where_comfyui_writes_it() -> None:
    png = encoded("PNG", save_all=True, append_images=[PIXELS.rotate(180)])
    graph = packed(b"comf", b"prompt\0" + json.dumps(GRAPH).encode())
    moving = png[:-12] + graph + png[-12:]

    assert json.loads(read(moving).texts["prompt"]) == GRAPH
    assert shown(stripped(moving)) == shown(moving)
    assert b"comf" not in stripped(moving)
