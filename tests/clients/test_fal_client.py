"""FAL's SDK itself, over TLS and a proxy on loopback, against a stand-in for its queue, storage and media."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clients import _usage
from clients._fal.downloads import Downloads
from clients.fal_client import FalEngine
from tests.clients.fal_kit import AGAIN, FOX, MASK, PICTURE, TICKET, WAN, drawn, engine_in, sent
from tests.fake_fal import BALANCE, FakeFal, Work, drawing, fal_fault
from utils import images, video
from workflows.errors import (
    AccessDenied,
    ModelMissing,
    RateLimited,
    Refused,
    RenderFailed,
    ServiceFailed,
    ServiceTimedOut,
    StudioError,
)
from workflows.types import Media, RenderStep


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[FakeFal]:
    async with FakeFal() as fake:
        fake.environment(monkeypatch, tmp_path)
        yield fake


@pytest.fixture
async def engine(fake: FakeFal, tmp_path: Path) -> AsyncIterator[FalEngine]:
    async with engine_in(tmp_path) as engine:
        yield engine


# ------------------------------------------------------------------ drawing


async def test_a_picture_is_asked_for_followed_and_fetched(fake: FakeFal, engine: FalEngine) -> None:
    fake.plan(Work(queue=(3, 0), logs=("warm", "25%|## | 1/4", "100%|####| 4/4")))
    artifact, steps = await drawn(engine)
    assert sent(fake) == [
        (
            "fal-ai/fast-lightning-sdxl",
            {
                "prompt": "a fox",
                "image_size": {"width": 128, "height": 64},
                "num_inference_steps": "4",
                "seed": 5,
                "num_images": 1,
                "format": "png",
            },
        )
    ]
    assert (artifact.seed, artifact.width, artifact.height, artifact.model) == (5, 128, 64, sent(fake)[0][0])
    assert artifact.media == Media(data=drawing(128, 64), media_type="image/png")
    assert artifact.facts["steps"] == 4
    assert [(step.step, step.ahead, step.message) for step in steps] == [
        (0, None, "Sent to FAL"),
        (0, 3, "Waiting at FAL, 3 before this"),
        (0, 0, "Waiting at FAL, 0 before this"),
        (0, None, "FAL draws: warm"),
        (1, None, "FAL draws: 25%|## | 1/4"),
        (4, None, "FAL draws: 100%|####| 4/4"),
        (4, None, "Fetching what FAL made"),
    ]
    assert {step.steps for step in steps} == {4}


async def test_a_jpeg_is_handed_on_as_png(fake: FakeFal, engine: FalEngine) -> None:
    fake.plan(Work(content=drawing(64, 64, "jpeg")))
    artifact, _ = await drawn(engine)
    assert images.sniff(artifact.media.data) == "image/png"


async def test_what_was_used_is_told(fake: FakeFal, engine: FalEngine) -> None:
    with _usage.counting() as usage:
        await drawn(engine)
    assert usage == _usage.Usage(
        units={"requests": 1.0, "images": 1.0, "megapixels": 128 * 64 / 1e6, "inference_seconds": 0.42},
        model="fal-ai/fast-lightning-sdxl",
    )


async def test_an_edit_uploads_its_pictures_for_a_day_and_goes_to_the_endpoint_that_edits(
    fake: FakeFal, engine: FalEngine
) -> None:
    recipe = FOX.but(task="inpaint", source="a", mask="b", denoise=0.9, width=64, height=64)
    artifact, _ = await drawn(engine, recipe, {"source": PICTURE, "mask": MASK})
    [(endpoint, arguments)] = sent(fake)
    assert endpoint == "fal-ai/fast-lightning-sdxl/inpainting"
    assert fake.uploads[arguments["image_url"]] == PICTURE.data
    assert arguments["mask_url"] in fake.uploads
    assert arguments["strength"] == 0.9
    assert fake.lifecycles == [{"expiration_duration_seconds": 86_400}] * 2
    assert (artifact.width, artifact.height) == (64, 64)


async def test_what_is_pasted_has_the_size_that_was_asked_for(fake: FakeFal, engine: FalEngine) -> None:
    fake.plan(Work(content=drawing(96, 96)))
    recipe = FOX.but(task="inpaint", source="a", mask="b", denoise=0.9, width=64, height=64)
    artifact, _ = await drawn(engine, recipe, {"source": PICTURE, "mask": MASK})
    assert images.decode(artifact.media.data).size == (64, 64)


async def test_a_video_comes_with_its_frames_rate_and_length(fake: FakeFal, engine: FalEngine) -> None:
    clip = await asyncio.to_thread(lambda: video.encoded([images.decode(drawing(64, 64))] * 9, 8))
    fake.plan(Work(video=True, content=clip))
    recipe = FOX.but(task="txt2vid", model=WAN, frames=9, fps=8, width=832, height=480)
    with _usage.counting() as usage:
        artifact, _ = await drawn(engine, recipe)
    [(_, arguments)] = sent(fake)
    assert {name: arguments[name] for name in ("num_frames", "frames_per_second", "resolution", "aspect_ratio")} == {
        "num_frames": 17,
        "frames_per_second": 8,
        "resolution": "480p",
        "aspect_ratio": "16:9",
    }
    assert artifact.media.media_type == "video/mp4"
    assert (artifact.facts["frames"], artifact.facts["fps"]) == (9, 8)
    assert artifact.facts["seconds"] == pytest.approx(1.125)
    assert artifact.facts["notes"] == ["num frames 17 instead of 9: what the endpoint allows"]
    assert usage.units["seconds"] == artifact.facts["seconds"]


async def test_a_seed_of_the_result_is_the_artifacts(fake: FakeFal, engine: FalEngine) -> None:
    url = "https://v3b.fal.media/files/x.png"
    fake.files["/files/x.png"] = (drawing(64, 64), "image/png")
    fake.plan(Work(result={"images": [{"url": url}], "seed": 99}))
    artifact, _ = await drawn(engine)
    assert artifact.seed == 99


# ------------------------------------------------------------------ one request for one render


async def test_a_finished_request_is_taken_up_and_not_paid_again(fake: FakeFal, tmp_path: Path) -> None:
    async with engine_in(tmp_path) as engine:
        first, _ = await drawn(engine)
    async with engine_in(tmp_path) as engine:
        again, _ = await drawn(engine, ticket=AGAIN)
    assert len(fake.requests) == 1
    assert again.media == first.media


async def test_a_running_request_is_taken_up(fake: FakeFal, tmp_path: Path) -> None:
    gate = fake.hold()
    async with engine_in(tmp_path) as engine:
        killed = asyncio.create_task(drawn(engine))
        await asyncio.wait_for(gate.reached.wait(), 10)
        copy = {path.name: path.read_bytes() for path in (tmp_path / "fal").iterdir()}
        killed.cancel()
        await asyncio.wait({killed})
    for name, content in copy.items():  # as if the process had died before it could cancel
        (tmp_path / "fal" / name).write_bytes(content)
    [request] = fake.requests.values()
    request.state = "IN_PROGRESS"
    gate.go.set()
    async with engine_in(tmp_path) as engine:
        await drawn(engine, ticket=AGAIN)
    assert len(fake.requests) == 1


async def test_another_wish_under_the_same_ticket_is_asked_anew(fake: FakeFal, engine: FalEngine) -> None:
    await drawn(engine)
    await drawn(engine, FOX.but(prompt="a cat"), ticket=AGAIN)
    assert [arguments["prompt"] for _, arguments in sent(fake)] == ["a fox", "a cat"]


async def test_a_ticket_that_is_not_again_asks_anew(fake: FakeFal, engine: FalEngine) -> None:
    await drawn(engine)
    await drawn(engine)
    assert len(fake.requests) == 2


async def test_a_request_that_fal_forgot_is_asked_anew(fake: FakeFal, engine: FalEngine) -> None:
    await drawn(engine)
    fake.requests.clear()
    await drawn(engine, ticket=AGAIN)
    assert len(fake.requests) == 1


async def test_a_broken_note_of_a_request_is_as_none(fake: FakeFal, engine: FalEngine, tmp_path: Path) -> None:
    await drawn(engine)
    [path] = (tmp_path / "fal").iterdir()
    await asyncio.to_thread(path.write_text, "{half")
    await drawn(engine, ticket=AGAIN)
    assert len(fake.requests) == 2


async def test_a_submit_that_may_have_arrived_is_not_repeated(fake: FakeFal, engine: FalEngine) -> None:
    fake.cut()
    with pytest.raises(RenderFailed, match="may have taken the request"):
        await drawn(engine)
    assert len(fake.requests) == 1


# ------------------------------------------------------------------ stopping


async def test_a_cancel_while_it_waits_takes_it_out_of_the_queue(fake: FakeFal, tmp_path: Path) -> None:
    fake.plan(Work(queue=(1,) * 100_000))
    async with engine_in(tmp_path) as engine:
        waiting = asyncio.Event()

        def hear(step: RenderStep) -> None:
            if step.ahead == 1:
                waiting.set()

        task = asyncio.create_task(engine.render(FOX, {}, hear, TICKET))
        async with asyncio.timeout(10):
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as cancelled:
                await task
    assert str(cancelled.value) == ""
    assert [one.state for one in fake.requests.values()] == ["CANCELLED"]
    assert list((tmp_path / "fal").iterdir()) == []


async def test_a_cancel_after_the_beginning_says_that_it_may_cost(fake: FakeFal, engine: FalEngine) -> None:
    gate = fake.hold()
    told = asyncio.Event()

    def hear(step: RenderStep) -> None:
        if "draws" in step.message:
            told.set()

    task = asyncio.create_task(engine.render(FOX, {}, hear, TICKET))
    async with asyncio.timeout(10):
        await gate.reached.wait()
        await told.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError, match=r"had begun with it.+may charge"):
            await task
    assert [one.state for one in fake.requests.values()] == ["CANCELLED"]


async def test_a_cancel_that_comes_too_late_keeps_what_was_paid(fake: FakeFal, tmp_path: Path) -> None:
    gate = fake.hold()
    async with engine_in(tmp_path) as engine:
        task = asyncio.create_task(drawn(engine))
        async with asyncio.timeout(10):
            await gate.reached.wait()
            [request] = fake.requests.values()
            request.state = "COMPLETED"
            task.cancel()
            with pytest.raises(asyncio.CancelledError, match="finished it already"):
                await task
        gate.go.set()
        await drawn(engine, ticket=AGAIN)
    assert len(fake.requests) == 1


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "words"),
    [
        (401, {"detail": "Invalid key"}, {}, AccessDenied, "does not take the key.+FAL_KEY"),
        (403, BALANCE, {}, AccessDenied, "Exhausted balance.+Top it up"),
        (402, {"detail": "Payment required"}, {}, AccessDenied, "Top it up"),
        (429, {"detail": "Slow down"}, {"Retry-After": "7"}, RateLimited, "in 7 s"),
        (500, {"detail": "Internal error"}, {}, ServiceFailed, "answered 500.+Internal error"),
        (503, {"detail": "No runner"}, {}, ServiceFailed, "answered 503"),
        (504, {"detail": "late", "error_type": "request_timeout"}, {}, ServiceTimedOut, "in time"),
    ],
)
async def test_refused_requests_say_what_to_do(
    fake: FakeFal,
    engine: FalEngine,
    status: int,
    body: dict[str, Any],
    headers: dict[str, str],
    error: type[StudioError],
    words: str,
) -> None:
    fake.refuse(status, body, headers)
    with pytest.raises(error, match=words):
        await drawn(engine)
    assert len(fake.paths) == 1, "fal-client tried again by itself"


async def test_a_rate_limit_says_when(fake: FakeFal, engine: FalEngine) -> None:
    fake.refuse(429, {"detail": "Slow down"}, {"Retry-After": "7"})
    with pytest.raises(RateLimited) as limited:
        await drawn(engine)
    assert limited.value.retry_after == 7


async def test_a_fault_of_an_argument_is_named_as_we_name_it(fake: FakeFal, engine: FalEngine) -> None:
    fault = fal_fault("greater_than_equal", "image_size", "width", message="Input should be at least 512")
    fake.plan(Work(fails=(422, fault)))
    with pytest.raises(RenderFailed, match="does not take this: width and height: Input should be at least 512"):
        await drawn(engine)


@pytest.mark.parametrize(
    "work",
    [
        Work(nsfw=True),
        Work(fails=(422, fal_fault("content_policy_violation", "prompt", message="The content was flagged"))),
    ],
)
async def test_what_fal_holds_back_is_refused_without_its_words(fake: FakeFal, engine: FalEngine, work: Work) -> None:
    fake.plan(work)
    with pytest.raises(Refused) as refused:
        await drawn(engine)
    assert "fox" not in str(refused.value) and "Ask for something else" in str(refused.value)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (Work(result={"images": []}), "holds no pictures"),
        (Work(result={"text": "a fox"}), "holds no pictures, but text"),
        (Work(result=[1]), "no object"),
        (Work(content=drawing(64, 64)[:100]), "no picture"),
        (Work(url="http://v3b.fal.media/files/x.png"), "only https"),
        (Work(url="https://10.0.0.1/x.png"), "no public address"),
        (Work(url="https://[::ffff:127.0.0.1]/x.png"), "no public address"),
        (Work(url="https://v3b.fal.media/files/none.png"), "answers 404"),
    ],
)
async def test_half_and_hostile_results_are_told_apart(
    fake: FakeFal, engine: FalEngine, work: Work, words: str
) -> None:
    fake.plan(work)
    with pytest.raises((ServiceFailed, RenderFailed), match=words):
        await drawn(engine)


async def test_a_name_that_leads_into_this_network_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    async def inward(host: str, port: int) -> list[str]:
        return ["192.168.0.7"]

    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    with pytest.raises(ServiceFailed, match="no public address"):
        await Downloads(inward).fetch("https://media.example/x.png", 100)


async def test_a_file_that_is_too_large_is_not_read_to_its_end(fake: FakeFal) -> None:
    fake.files["/files/big.png"] = (bytes(5000), "image/png")
    with pytest.raises(ServiceFailed, match="more than 4,000 bytes"):
        await Downloads().fetch("https://v3b.fal.media/files/big.png", 4000)


async def test_a_missing_app_names_the_nearest(fake: FakeFal, engine: FalEngine) -> None:
    fake.plan(Work(fails=(404, {"detail": "Path /x not found"})))
    with pytest.raises(ModelMissing) as missing:
        await drawn(engine)
    assert "Did you mean fal-ai/fast-lightning-sdxl" in str(missing.value)


async def test_without_a_key_nothing_is_asked(tmp_path: Path) -> None:
    with pytest.raises(AccessDenied, match="set FAL_KEY"):
        await engine_in(tmp_path, key=None).refusal(FOX)
    with pytest.raises(AccessDenied) as denied:
        await drawn(engine_in(tmp_path, key=None))
    assert denied.value.setting == "FAL_KEY"
