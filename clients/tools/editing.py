"""Tools that work on a picture that is there."""

from __future__ import annotations

from typing import Any

from clients.tools import arguments as a
from clients.tools.carrying import carry_out, make
from clients.tools.contract import Tool
from workflows.app import current_app
from workflows.asking import overrides_from


async def inpaint(
    input_image: a.InputImage,
    prompt: a.Prompt,
    mask_image: a.MaskImage = None,
    mask_text: a.MaskText = None,
    denoise: a.OwnDenoise = None,
    negative_prompt: a.Negative = "",
    model: a.ModelName = "auto",
    steps: a.Steps = None,
    seed: a.Seed = -1,
    count: a.Count = 1,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    style: a.Also[a.StyleName] = None,
    quality: a.Also[a.QualityName] = "balanced",
    preset: a.Also[a.PresetNames] = None,
    loras: a.Also[a.Loras] = None,
    cfg: a.Also[a.Guidance] = None,
    sampler: a.Also[a.Sampler] = None,
    scheduler: a.Also[a.Scheduler] = None,
    control: a.Also[a.Controls] = None,
    reference: a.Also[a.References] = None,
    engine: a.Also[a.EngineName] = "auto",
    enhance: a.Also[a.Enhance] = False,
    validate: a.Also[a.Validate] = True,
    auto_retry: a.Also[a.AutoRetry] = True,
    retry_limit: a.Also[a.RetryLimit] = 3,
    retry_strategy: a.Also[a.Strategy] = "auto",
    positive_threshold: a.Also[a.Threshold] = 0.25,
    checks: a.Also[a.Checks] = None,
    best_of: a.Also[a.BestOf] = 1,
    keep: a.Also[a.Keep] = "best",
) -> dict[str, Any]:
    """Use this to replace or repair part of a picture: a mask or mask_text says where, the prompt what is there then.

    Pixels outside the mask stay identical. Takes the other arguments of generate_image too, but for a size.
    """
    return await make(dict(locals()), "inpaint")


async def outpaint(
    input_image: a.InputImage,
    prompt: a.Prompt,
    left: a.Added = 0,
    right: a.Added = 0,
    top: a.Added = 0,
    bottom: a.Added = 0,
    negative_prompt: a.Negative = "",
    model: a.ModelName = "auto",
    seed: a.Seed = -1,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    steps: a.Also[a.Steps] = None,
    count: a.Also[a.Count] = 1,
    style: a.Also[a.StyleName] = None,
    quality: a.Also[a.QualityName] = "balanced",
    preset: a.Also[a.PresetNames] = None,
    loras: a.Also[a.Loras] = None,
    cfg: a.Also[a.Guidance] = None,
    sampler: a.Also[a.Sampler] = None,
    scheduler: a.Also[a.Scheduler] = None,
    control: a.Also[a.Controls] = None,
    reference: a.Also[a.References] = None,
    engine: a.Also[a.EngineName] = "auto",
    enhance: a.Also[a.Enhance] = False,
    validate: a.Also[a.Validate] = True,
    auto_retry: a.Also[a.AutoRetry] = True,
    retry_limit: a.Also[a.RetryLimit] = 3,
    retry_strategy: a.Also[a.Strategy] = "auto",
    positive_threshold: a.Also[a.Threshold] = 0.25,
    checks: a.Also[a.Checks] = None,
    best_of: a.Also[a.BestOf] = 1,
    keep: a.Also[a.Keep] = "best",
) -> dict[str, Any]:
    """Use this to extend a picture beyond its edges. The prompt says what the whole then shows.

    Takes the other arguments of generate_image too, but for a size.
    """
    return await make(dict(locals()), "outpaint")


async def upscale(
    input_image: a.InputImage,
    scale: a.Scale = 4,
    method: a.Method = "auto",
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
) -> dict[str, Any]:
    """Use this to enlarge a picture."""
    return await make(dict(locals()), "upscale")


async def face_restore(
    input_image: a.InputImage, strength: a.FaceStrength = 0.8, wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT
) -> dict[str, Any]:
    """Use this to repair the faces in a picture."""
    return await make(dict(locals()), "face_restore")


async def remove_background(input_image: a.InputImage, wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT) -> dict[str, Any]:
    """Use this to cut out the subject of a picture: gives a PNG with a transparent background."""
    return await make(dict(locals()), "remove_background")


async def regenerate(
    image_id: a.ImageName,
    prompt: a.NewPrompt = None,
    negative_prompt: a.NewNegative = None,
    model: a.NewModel = None,
    seed: a.NewSeed = None,
    steps: a.Steps = None,
    cfg: a.Guidance = None,
    denoise: a.OwnDenoise = None,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    width: a.Also[a.Edge] = None,
    height: a.Also[a.Edge] = None,
    sampler: a.Also[a.Sampler] = None,
    scheduler: a.Also[a.Scheduler] = None,
    count: a.Also[a.NewCount] = None,
) -> dict[str, Any]:
    """Use this to make a picture of the gallery again with some settings changed; without any, the same picture.

    Takes width, height, sampler, scheduler and count as in generate_image too.
    """
    overrides = overrides_from(dict(locals()))
    return await carry_out(lambda: current_app().studio.regenerate(image_id, **overrides), wait_seconds)


TOOLS = (
    Tool(function=inpaint, title="Paint over part of a picture", shows="picture", read_only=False),
    Tool(function=outpaint, title="Extend a picture", shows="picture", read_only=False),
    Tool(function=upscale, title="Enlarge a picture", shows="picture", read_only=False),
    Tool(function=face_restore, title="Repair faces", shows="picture", read_only=False),
    Tool(function=remove_background, title="Remove the background", shows="picture", read_only=False),
    Tool(function=regenerate, title="Make a picture again", shows="picture", read_only=False),
)
