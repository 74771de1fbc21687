"""The video tools as a client sees them, in both protocol eras, on a fake engine that draws real small videos."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from mcp_types import BlobResourceContents, CallToolResult, ContentBlock, ResourceLink

from tests.fakes import FakeJudge, png
from tests.mcp.desk import ERAS, Desk, Era, desk, pictures, told
from tests.mcp.test_editing import data_uri
from tests.video_kit import GREEN, RED, FilmEngine, colour_of, film, moving_gif
from utils.video import frame, probe

both_eras = pytest.mark.parametrize("era", ERAS)
MOST = 900_000


async def call(at: Desk, tool: str, **arguments: Any) -> CallToolResult:
    return await at.client.call_tool(tool, arguments)


def kinds(result: CallToolResult) -> list[str]:
    return [block.type for block in result.content]


def link(block: ContentBlock) -> ResourceLink:
    assert isinstance(block, ResourceLink)
    return block


@both_eras
async def test_a_video_comes_as_text_a_link_that_can_be_read_and_its_poster(era: Era, tmp_path: Path) -> None:
    engine = FilmEngine()
    async with desk(tmp_path, era, engine=engine) as at:
        result = await call(at, "generate_video", prompt="a green field", width=64, height=64, frames=8, fps=8, seed=7)
        answer = told(result)
        [contents] = (await at.client.read_resource(str(link(result.content[1]).uri))).contents
    assert kinds(result) == ["text", "resource_link", "image"]
    assert len(result.model_dump_json()) < MOST
    assert link(result.content[1]).model_dump(include={"uri", "name", "mime_type"}) == {
        "uri": f"media://videos/{answer['image_id']}", "name": answer["image_id"], "mime_type": "video/mp4",
    }  # fmt: skip
    assert isinstance(contents, BlobResourceContents)
    video = await asyncio.to_thread(Path(answer["path"]).read_bytes)
    assert (contents.mime_type, base64.b64decode(contents.blob)) == ("video/mp4", video)
    assert colour_of(pictures(result)[0]) == colour_of(await asyncio.to_thread(frame, video, 0))
    assert (answer["status"], answer["kind"], answer["metadata"]["frames"]) == ("success", "video", 9)
    assert "9 frames" in answer["note"]
    assert (engine.recipes[0].task, engine.recipes[0].seed, engine.recipes[0].fps) == ("txt2vid", 7, 8.0)


@both_eras
async def test_each_tool_goes_on_from_what_the_one_before_made(era: Era, tmp_path: Path) -> None:
    engine = FilmEngine(colour=RED)
    async with desk(tmp_path, era, engine=engine) as at:
        still = await at.ask("generate_image", prompt="a red wall")
        moved = await at.ask(
            "image_to_video", input_image=still["image_id"], prompt="it shakes", motion_strength=0.5, frames=5
        )
        engine.colour = GREEN
        longer = await at.ask("extend_video", input_video=moved["image_id"], prompt="it goes green", extend_frames=5)
        engine.colour = RED
        smooth = await call(at, "interpolate_frames", input_video=longer["image_id"], target_fps=24)
        info = await at.ask("get_image_info", image_name=told(smooth)["image_id"])
        listed = await at.ask("list_images", kind="video")
    asked = engine.recipes[1:]
    assert [recipe.task for recipe in asked] == ["img2vid", "extend_video", "interpolate"]
    assert (asked[0].motion, asked[1].frames, asked[2].fps) == (0.5, 5, 24.0)
    assert [inputs["source"].media_type for inputs in engine.inputs[1:]] == ["image/png", "image/png", "video/mp4"]
    whole = await asyncio.to_thread(Path(longer["path"]).read_bytes)
    ends = await asyncio.to_thread(lambda: [colour_of(frame(whole, place)) for place in (0, -1)])
    wanted = await asyncio.to_thread(lambda: [colour_of(frame(film(colour=one), -1)) for one in (RED, GREEN)])
    assert ends == wanted
    assert (longer["metadata"]["frames"], longer["metadata"]["added"]) == (9, 4)
    assert kinds(smooth) == ["text", "resource_link", "image"]
    assert info["parents"] == [answer["image_id"] for answer in (longer, moved, still)]
    assert {row["image_id"] for row in listed["images"]} == {
        answer["image_id"] for answer in (moved, longer, told(smooth))
    }


@both_eras
async def test_a_long_video_goes_on_after_the_call_and_can_be_cancelled(era: Era, tmp_path: Path) -> None:
    engine = FilmEngine(gate=asyncio.Event())
    async with desk(tmp_path, era, engine=engine) as at:
        first = await call(at, "generate_video", prompt="a cat", wait_seconds=0)
        answer = told(first)
        stopped = await at.ask("cancel", job_id=answer["job_id"])
        assert engine.gate is not None
        engine.gate.set()
        second = await at.ask("generate_video", prompt="a cat", wait_seconds=0)
        done = await call(at, "get_progress", job_id=second["job_id"], wait_seconds=20)
    assert (answer["status"] in {"queued", "running"}, kinds(first)) == (True, ["text"])
    assert stopped["stopped"] is True
    assert (told(done)["status"], kinds(done)) == ("success", ["text", "resource_link", "image"])


async def test_several_videos_have_a_link_and_a_poster_each(tmp_path: Path) -> None:
    async with desk(tmp_path, engine=FilmEngine()) as at:
        result = await call(at, "generate_video", prompt="a cat", count=2)
    assert kinds(result) == ["text", "resource_link", "resource_link", "image", "image"]


async def test_without_inline_pictures_the_link_stays(tmp_path: Path) -> None:
    async with desk(tmp_path, engine=FilmEngine(), inline=False) as at:
        assert kinds(await call(at, "generate_video", prompt="a cat")) == ["text", "resource_link"]
        assert kinds(await call(at, "generate_image", prompt="a cat")) == ["text"]


async def test_a_video_is_made_once_unless_more_rounds_are_asked_for(tmp_path: Path) -> None:
    async with desk(tmp_path, engine=FilmEngine(), judge=FakeJudge(scores=[0.1])) as at:
        once = await at.ask("generate_video", prompt="a cat")
        thrice = await at.ask("generate_video", prompt="a cat", retry_limit=3)
    assert (len(once["attempts"]), once["warning"]) == (1, "Not tried again: retry_limit is 1")
    assert (len(thrice["attempts"]), thrice["warning"]) == (3, "Max retries (3) reached")


async def test_a_gif_is_a_video_that_can_be_extended(tmp_path: Path) -> None:
    given = f"data:image/gif;base64,{base64.b64encode(moving_gif()).decode()}"
    async with desk(tmp_path, engine=FilmEngine()) as at:
        answer = await at.ask("extend_video", input_video=given, prompt="on it goes", extend_frames=5)
    video = await asyncio.to_thread(Path(answer["path"]).read_bytes)
    assert (await asyncio.to_thread(probe, video)).frames == 4 + answer["metadata"]["added"]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("generate_video", {"prompt": "a", "frames": 0}, "frames cannot be 0: must be a whole number from 1 to"),
        ("generate_video", {"prompt": "a", "fps": 500}, "fps cannot be 500: must be a number from 1 to 120."),
        ("generate_video", {"prompt": ""}, "prompt cannot be ''"),
        ("generate_video", {"prompt": "a", "input_image": "b"}, "There is no argument 'input_image'."),
        ("image_to_video", {"prompt": "a"}, "input_image is missing"),
        ("image_to_video", {"prompt": "a", "input_image": "b", "motion_strength": 3}, "motion_strength cannot be 3"),
        ("image_to_video", {"prompt": "a", "input_image": data_uri(png()), "width": 63}, "width cannot be 63"),
        ("extend_video", {"prompt": "a", "input_video": data_uri(png())}, "image_to_video"),
        ("extend_video", {"prompt": "a", "input_video": "/etc/passwd"}, "ATELIER_ALLOWED_ROOTS"),
        ("extend_video", {"prompt": "a", "input_video": "no-such-id"}, "no-such-id"),
        ("interpolate_frames", {"input_video": data_uri(b"no video")}, "input_video cannot be"),
        ("interpolate_frames", {"input_video": "a", "target_fps": 0.5}, "target_fps cannot be 0.5"),
    ],
)
async def test_what_is_wrong_is_refused_in_words(
    tool: str, arguments: dict[str, Any], says: str, tmp_path: Path
) -> None:
    engine = FilmEngine()
    async with desk(tmp_path, engine=engine) as at:
        assert says in await at.refused(tool, **arguments)
    assert engine.recipes == []


async def test_what_an_engine_gives_instead_of_a_video_is_an_error_in_words(tmp_path: Path) -> None:
    async with desk(tmp_path, engine=FilmEngine(broken=b"not a video")) as at:
        assert "no usable video" in await at.refused("generate_video", prompt="a cat")
