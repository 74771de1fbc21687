"""Tools that make videos."""

from __future__ import annotations

from typing import Any, Unpack

from clients.tools import arguments as a
from clients.tools.carrying import given, make
from clients.tools.contract import Tool


async def generate_video(
    prompt: a.Prompt,
    negative_prompt: a.Negative = "",
    width: a.OwnEdge = a.OWN_WIDTH,
    height: a.OwnEdge = a.OWN_HEIGHT,
    frames: a.Frames = a.OWN_FRAMES,
    fps: a.Rate = a.OWN_FPS,
    steps: a.Steps = None,
    cfg: a.Guidance = None,
    seed: a.Seed = -1,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    **also: Unpack[a.AsInVideo],
) -> dict[str, Any]:
    """Use this whenever the user wants a video from words: what is seen, what moves, how the camera moves.

    Size, frames and fps are the model's own unless named. Takes model, engine, checks and the like as generate_image.
    """
    return await make(given(locals(), a.AsInVideo), "txt2vid")


async def image_to_video(
    input_image: a.InputImage,
    prompt: a.Prompt,
    motion_strength: a.Motion = 1.0,
    frames: a.Frames = a.OWN_FRAMES,
    fps: a.Rate = a.OWN_FPS,
    seed: a.Seed = -1,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    **also: Unpack[a.AsInVideoBySize],
) -> dict[str, Any]:
    """Use this to set a picture in motion: it is the first frame. Takes the other arguments of generate_video too."""
    return await make(given(locals(), a.AsInVideoBySize), "img2vid")


async def extend_video(
    input_video: a.InputVideo,
    prompt: a.Prompt,
    extend_frames: a.Frames = a.OWN_FRAMES,
    seed: a.Seed = -1,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    **also: Unpack[a.AsInVideoOn],
) -> dict[str, Any]:
    """Use this to let a video go on from its last frame; gives the whole. Takes the arguments of generate_video too."""
    return await make(given(locals(), a.AsInVideoOn), "extend_video")


async def interpolate_frames(
    input_video: a.InputVideo, target_fps: a.TargetRate = 30, wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT
) -> dict[str, Any]:
    """Use this to make a video smoother: frames between its frames, the same length."""
    return await make(given(locals()), "interpolate")


TOOLS = (
    Tool(function=generate_video, title="Make a video", shows="picture", read_only=False),
    Tool(function=image_to_video, title="Set a picture in motion", shows="picture", read_only=False),
    Tool(function=extend_video, title="Extend a video", shows="picture", read_only=False),
    Tool(function=interpolate_frames, title="Smooth a video", shows="picture", read_only=False),
)
