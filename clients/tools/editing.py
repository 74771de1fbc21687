"""Tools that work on a picture that is there."""

from __future__ import annotations

from typing import Any, Unpack

from clients.tools import arguments as a
from clients.tools.carrying import carry_out, given, make
from clients.tools.contract import Tool
from workflows.app import current_app
from workflows.asking import overrides_from


async def inpaint(
    input_image: a.InputImage,
    prompt: a.Prompt,
    mask_image: a.MaskImage = None,
    mask_text: a.MaskText = None,
    denoise: a.OwnDenoise = None,
    model: a.ModelName = "auto",
    seed: a.Seed = -1,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    **also: Unpack[a.AsInGenerate],
) -> dict[str, Any]:
    """Use this to replace or repair part of a picture: a mask or mask_text says where, the prompt what is then there.

    Pixels outside the mask stay identical. Takes the other arguments of generate_image too, but for a size.
    """
    return await make(given(locals(), a.AsInGenerate), "inpaint")


async def outpaint(
    input_image: a.InputImage,
    prompt: a.Prompt,
    left: a.Added = 0,
    right: a.Added = 0,
    top: a.Added = 0,
    bottom: a.Added = 0,
    model: a.ModelName = "auto",
    seed: a.Seed = -1,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    **also: Unpack[a.AsInGenerate],
) -> dict[str, Any]:
    """Use this to extend a picture beyond its edges. The prompt says what the whole then shows.

    Takes the other arguments of generate_image too, but for a size.
    """
    return await make(given(locals(), a.AsInGenerate), "outpaint")


async def upscale(
    input_image: a.InputImage,
    scale: a.Scale = 4,
    method: a.Method = "auto",
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
) -> dict[str, Any]:
    """Use this to enlarge a picture."""
    return await make(given(locals()), "upscale")


async def face_restore(
    input_image: a.InputImage, strength: a.FaceStrength = 0.8, wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT
) -> dict[str, Any]:
    """Use this to repair the faces in a picture."""
    return await make(given(locals()), "face_restore")


async def remove_background(input_image: a.InputImage, wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT) -> dict[str, Any]:
    """Use this to cut out the subject of a picture: gives a PNG with a transparent background."""
    return await make(given(locals()), "remove_background")


async def regenerate(
    image_id: a.ImageName,
    prompt: a.NewPrompt = None,
    negative_prompt: a.NewNegative = None,
    model: a.NewModel = None,
    seed: a.NewSeed = None,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    **also: Unpack[a.Redrawn],
) -> dict[str, Any]:
    """Use this to make a picture or video of the gallery again with some settings changed; without any, the same.

    Takes steps, cfg, denoise, width, height, sampler, scheduler, count, frames and fps too.
    """
    overrides = overrides_from(given(locals(), a.Redrawn))
    return await carry_out(lambda: current_app().studio.regenerate(image_id, **overrides), wait_seconds)


TOOLS = (
    Tool(function=inpaint, title="Paint over part of a picture", shows="picture", read_only=False),
    Tool(function=outpaint, title="Extend a picture", shows="picture", read_only=False),
    Tool(function=upscale, title="Enlarge a picture", shows="picture", read_only=False),
    Tool(function=face_restore, title="Repair faces", shows="picture", read_only=False),
    Tool(function=remove_background, title="Remove the background", shows="picture", read_only=False),
    Tool(function=regenerate, title="Make a picture again", shows="picture", read_only=False),
)
