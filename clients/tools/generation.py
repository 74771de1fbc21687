"""Tools that make pictures."""

from __future__ import annotations

from typing import Any, Unpack

from clients.tools import arguments as a
from clients.tools.carrying import given, make
from clients.tools.contract import Tool


async def generate_image(
    prompt: a.Prompt,
    negative_prompt: a.Negative = "",
    style: a.StyleName = None,
    quality: a.QualityName = "balanced",
    preset: a.PresetNames = None,
    model: a.ModelName = "auto",
    width: a.Edge = None,
    height: a.Edge = None,
    aspect: a.Aspect = None,
    steps: a.Steps = None,
    cfg: a.Guidance = None,
    sampler: a.Sampler = None,
    scheduler: a.Scheduler = None,
    loras: a.Loras = None,
    control: a.Controls = None,
    reference: a.References = None,
    seed: a.Seed = -1,
    count: a.Count = 1,
    transparent: a.Transparent = False,
    hires: a.Hires = False,
    engine: a.EngineName = "auto",
    enhance: a.Enhance = False,
    validate: a.Validate = True,
    auto_retry: a.AutoRetry = True,
    retry_limit: a.RetryLimit = 3,
    retry_strategy: a.Strategy = "auto",
    positive_threshold: a.Threshold = 0.25,
    checks: a.Checks = None,
    best_of: a.BestOf = 1,
    keep: a.Keep = "best",
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
) -> dict[str, Any]:
    """Use this whenever the user wants a new picture from words.

    Renders, judges the picture against the prompt, retries by what the judges miss, and files the best attempt.
    checks adds judges: people (their number), pose (bodies), quality. Leave out what you have no opinion on. Status
    "running": call get_progress.
    """
    return await make(given(locals()))


async def img2img(
    input_image: a.InputImage,
    prompt: a.Prompt,
    denoise: a.Denoise = 0.7,
    model: a.ModelName = "auto",
    seed: a.Seed = -1,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    **also: Unpack[a.AsInGenerateBySize],
) -> dict[str, Any]:
    """Use this to make a new picture out of an existing one: a variation, another style, a changed detail.

    Takes the other arguments of generate_image too.
    """
    return await make(given(locals(), a.AsInGenerateBySize), "img2img")


TOOLS = (
    Tool(function=generate_image, title="Make a picture", shows="picture", read_only=False),
    Tool(
        function=img2img,
        title="Make a picture from a picture",
        shows="picture",
        read_only=False,
    ),
)
