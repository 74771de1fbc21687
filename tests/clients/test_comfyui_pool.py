"""The pool's pure parts: who draws, who is looked at again when, who drains; and what is read and said on the way."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest

from clients.comfyui_client import Cached, NodeProgress, NodeStarted, Preview, Started, Waiting
from clients.comfyui_engine.drains import Drains, bare
from clients.comfyui_engine.memory import LADDER, given_up, said
from clients.comfyui_engine.pictures import size_of
from clients.comfyui_engine.pool import Candidate, Health, choose, why_none
from clients.comfyui_engine.progress import Tracker
from tests.fakes import png
from utils.images import BadPicture, decode
from workflows.errors import OutOfMemory, StorageError
from workflows.graph import Graph
from workflows.types import Media, RenderStep

A, B, C = "http://a", "http://b", "http://c"


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        pytest.param([Candidate(url=A), Candidate(url=B)], A, id="equals: the first named"),
        pytest.param([Candidate(url=A, load=1), Candidate(url=B)], B, id="the shortest queue"),
        pytest.param([Candidate(url=A), Candidate(url=B, warm=True, load=1)], B, id="warm wins over a shorter queue"),
        pytest.param([Candidate(url=A), Candidate(url=B, warm=True, load=2)], B, id="warm wins at the worth of a load"),
        pytest.param([Candidate(url=A), Candidate(url=B, warm=True, load=3)], A, id="until loading is faster"),
        pytest.param([Candidate(url=A, draining=True), Candidate(url=B, load=9)], B, id="a draining one gets nothing"),
        pytest.param([Candidate(url=A, against="no"), Candidate(url=B, load=9)], B, id="nor does one that refuses"),
        pytest.param([Candidate(url=A, against="no"), Candidate(url=B, draining=True)], None, id="nobody"),
        pytest.param([], None, id="none at all"),
    ],
)
def test_who_draws(candidates: list[Candidate], chosen: str | None) -> None:
    found = choose(candidates)
    assert (found.url if found else None) == chosen


def test_equal_reasons_are_told_once_with_the_servers_that_give_them() -> None:
    told = why_none(
        [Candidate(url=A, against="No flux."), Candidate(url=B, against="No flux."), Candidate(url=C, draining=True)]
    )
    assert told.startswith("http://a and http://b: No flux. http://c: it is draining")
    assert why_none([Candidate(url=A, against="No flux.")]) == "No flux."


def test_a_server_that_fails_is_looked_at_again_ever_more_rarely() -> None:
    health = Health()
    assert health.due(0.0)
    now, pauses = 0.0, list[float]()
    for _ in range(6):
        health.failed(now, "gone")
        pause = next(seconds for seconds in range(100) if health.due(now + seconds))
        pauses.append(pause)
        now += pause
    assert pauses == [2, 5, 15, 30, 30, 30]
    health.answered(now)
    assert (health.down, health.failures, health.due(now + 10), health.due(now + 10.1)) == (False, 0, False, True)
    health.failed(now, "gone again")
    assert health.due(now + 2)


async def test_what_one_process_drains_every_process_sees_until_it_resumes(tmp_path: Path) -> None:
    mine, theirs = Drains(tmp_path / "home"), Drains(tmp_path / "home")
    assert await theirs.urls() == frozenset()
    assert await mine.drain("http://user:word@GPU:8188/") == {"http://gpu:8188"}
    assert await mine.drain(B) == {"http://gpu:8188", B}
    assert await theirs.urls() == {"http://gpu:8188", B}
    assert await theirs.resume("gpu:8188") == {B}
    assert await mine.urls() == {B}
    assert (tmp_path / "home" / "draining").read_text(encoding="utf-8") == f"{B}\n"
    (tmp_path / "home" / "draining").unlink()
    assert await mine.urls() == frozenset()


async def test_drains_are_read_again_only_when_the_file_has_changed(tmp_path: Path) -> None:
    drains, file = Drains(tmp_path), tmp_path / "draining"
    await drains.drain(A)
    seen = await drains.urls()
    file.write_text(f"{B}\n\n", encoding="utf-8")
    os.utime(file, ns=(1, 1))
    assert (seen, await drains.urls()) == ({A}, {B})


async def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="set ATELIER_HOME"):
        await Drains(tmp_path / "file").drain(A)


def test_an_address_is_shown_without_what_opens_it() -> None:
    assert bare("https://user:word@Host:8188/Comfy/") == "https://host:8188/Comfy"


# ------------------------------------------------------------------ pictures


def test_the_size_of_a_whole_picture_is_read_from_its_bytes() -> None:
    assert size_of(png(72, 40)) == (72, 40)


def test_a_picture_of_another_kind_is_decoded() -> None:
    import io

    buffer = io.BytesIO()
    decode(png(24, 16)).save(buffer, "WEBP")
    assert size_of(buffer.getvalue()) == (24, 16)


@pytest.mark.parametrize("cut", [8, 20, 33, 60, -12, -1])
def test_a_picture_that_is_cut_short_is_noticed(cut: int) -> None:
    with pytest.raises(BadPicture, match="damaged or cut short"):
        size_of(png(64, 64)[:cut])


def test_a_flipped_bit_is_noticed() -> None:
    content = bytearray(png(64, 64))
    content[len(content) // 2] ^= 1
    with pytest.raises(BadPicture):
        size_of(bytes(content))


def test_an_ending_without_a_beginning_is_no_picture() -> None:
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    with pytest.raises(BadPicture):
        size_of(b"\x89PNG\r\n\x1a\n" + end)


# ------------------------------------------------------------------ the ladder


def test_the_ladder_gives_up_what_is_seen_least_first() -> None:
    steps = [(rung.thrift.tiled, rung.thrift.small_weights, rung.thrift.shrink) for rung in LADDER]
    assert steps == [(False, False, 1.0), (True, False, 1.0), (True, True, 1.0), (True, True, 0.75), (True, True, 0.5)]


def test_every_step_of_the_ladder_is_said() -> None:
    words = "with the server's memory freed and the picture decoded in tiles"
    assert said(LADDER[1]) == f"The server ran out of memory, so this was drawn {words}."
    error = given_up(LADDER[:2], OutOfMemory("node 3 wants 4 GB."), A)
    assert str(error).startswith(f"http://a ran out of memory each time. Tried: as asked; {words}. Last: ")
    assert "node 3 wants 4 GB." in str(error)


# ------------------------------------------------------------------ progress

GRAPH = Graph.read(
    {
        "loader": {"class_type": "CheckpointLoaderSimple", "inputs": {}},
        "positive": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["loader", 1]}},
        "sampler": {"class_type": "KSampler", "inputs": {"positive": ["positive", 0], "steps": 4}},
        "decode": {"class_type": "VAEDecode", "inputs": {"samples": ["sampler", 0]}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["decode", 0]}},
    }
)


def test_a_render_is_told_in_steps_of_its_sampler_and_in_words() -> None:
    steps: list[RenderStep] = []
    tracker = Tracker(steps.append)
    tracker.begin(GRAPH, {"sampler": 4}, A)
    glimpse = Media(data=b"jpeg", media_type="image/jpeg")
    for event in (
        Waiting(ahead=2),
        Started(),
        NodeStarted(node="loader"),
        NodeStarted(node="positive"),
        NodeStarted(node="sampler"),
        NodeProgress(node="sampler", value=1, most=4),
        NodeProgress(node="sampler", value=1, most=4),
        Preview(media=glimpse),
        NodeProgress(node="sampler", value=4, most=4),
        NodeStarted(node="decode"),
        NodeStarted(node="save"),
    ):
        tracker.hear(event)
    tracker.finish()
    expected = [
        (0, "Waiting: 2 ahead on http://a", "", 2),
        (0, "Started on http://a", "", None),
        (0, "Loading the model", "CheckpointLoaderSimple", None),
        (0, "Reading the prompt", "CLIPTextEncode", None),
        (0, "Drawing", "KSampler", None),
        (1, "Step 1 of 4", "KSampler", None),
        (1, "Step 1 of 4", "KSampler", None),
        (4, "Step 4 of 4", "KSampler", None),
        (4, "Decoding", "VAEDecode", None),
        (4, "Saving", "SaveImage", None),
        (5, "Drawn", "SaveImage", None),
    ]
    assert [(step.step, step.message, step.node, step.ahead) for step in steps] == expected
    assert {step.steps for step in steps} == {5}
    assert [step.preview for step in steps if step.preview] == [glimpse]


def test_progress_never_falls_when_it_is_drawn_again() -> None:
    steps: list[RenderStep] = []
    tracker = Tracker(steps.append)
    tracker.begin(GRAPH, {"sampler": 4}, A)
    tracker.hear(NodeProgress(node="sampler", value=3, most=4))
    tracker.begin(GRAPH, {"sampler": 2}, B)
    for value in (1, 2):
        tracker.hear(NodeProgress(node="sampler", value=value, most=2))
    tracker.finish()
    assert [step.step for step in steps] == [3, 3, 4, 5]
    assert {step.steps for step in steps} == {5}


def test_a_graph_without_a_sampler_counts_its_nodes() -> None:
    steps: list[RenderStep] = []
    tracker = Tracker(steps.append)
    tracker.begin(GRAPH, {}, A)
    for event in (Cached(nodes=("loader",)), *(NodeStarted(node=name) for name in ("positive", "decode", "save"))):
        tracker.hear(event)
    tracker.finish()
    assert [(step.step, step.steps) for step in steps] == [(0, 5), (1, 5), (2, 5), (5, 5)]
