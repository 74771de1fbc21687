"""Commands that make pictures, from words and from pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from clients.cli import options as o
from clients.cli.carrying import carry_out, make
from clients.cli.console import Json, Parts, perform
from workflows.asking import overrides_from

Command = Callable[..., None]


def generate_command(parts: Parts) -> Command:
    def generate(
        prompt: o.Prompt,
        negative_prompt: o.Negative = "",
        model: o.Model = None,
        engine: o.Engine = "auto",
        quality: o.Quality = "balanced",
        style: o.Style = None,
        preset: o.Preset = None,
        enhance: o.Enhance = False,
        width: o.Edge = None,
        height: o.Edge = None,
        aspect: o.Aspect = None,
        steps: o.Steps = None,
        cfg: o.Cfg = None,
        sampler: o.Sampler = None,
        scheduler: o.Scheduler = None,
        loras: o.Lora = None,
        control: o.Control = None,
        reference: o.Reference = None,
        transparent: o.Transparent = False,
        hires: o.Hires = False,
        seed: o.Seed = -1,
        count: o.Count = 1,
        input_image: Annotated[
            str | None, typer.Option("--image", "-i", help="Input picture: gallery id, path or URL.")
        ] = None,
        denoise: o.Denoise = None,
        validate: o.Validate = True,
        auto_retry: o.Retry = True,
        retry_limit: o.RetryLimit = 3,
        retry_strategy: o.Strategy = "auto",
        positive_threshold: o.Threshold = 0.25,
        checks: o.Checks = None,
        best_of: o.BestOf = 1,
        keep: o.Keep = "best",
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "img2img" if input_image else "txt2img"))

    return generate


def inpaint_command(parts: Parts) -> Command:
    def inpaint(
        input_image: o.Image,
        prompt: o.Prompt,
        mask_image: Annotated[
            str | None, typer.Option("--mask", help="Picture of the same shape; white is painted anew.")
        ] = None,
        mask_text: Annotated[str | None, typer.Option(help="Or: what to paint over, in words (ComfyUI).")] = None,
        denoise: o.Denoise = None,
        negative_prompt: o.Negative = "",
        model: o.Model = None,
        loras: o.Lora = None,
        steps: o.Steps = None,
        cfg: o.Cfg = None,
        seed: o.Seed = -1,
        count: o.Count = 1,
        validate: o.Validate = True,
        auto_retry: o.Retry = True,
        retry_limit: o.RetryLimit = 3,
        checks: o.Checks = None,
        best_of: o.BestOf = 1,
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "inpaint"))

    return inpaint


def outpaint_command(parts: Parts) -> Command:
    def outpaint(
        input_image: o.Image,
        prompt: o.Prompt,
        left: o.Added = 0,
        right: o.Added = 0,
        top: o.Added = 0,
        bottom: o.Added = 0,
        negative_prompt: o.Negative = "",
        model: o.Model = None,
        steps: o.Steps = None,
        cfg: o.Cfg = None,
        seed: o.Seed = -1,
        count: o.Count = 1,
        validate: o.Validate = True,
        auto_retry: o.Retry = True,
        retry_limit: o.RetryLimit = 3,
        checks: o.Checks = None,
        best_of: o.BestOf = 1,
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "outpaint"))

    return outpaint


def upscale_command(parts: Parts) -> Command:
    def upscale(
        input_image: o.Image,
        scale: Annotated[float, typer.Option(help="How many times each edge.")] = 4.0,
        method: Annotated[str, typer.Option(help="auto, model (faithful) or diffusion (invents detail).")] = "auto",
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "upscale"))

    return upscale


def face_restore_command(parts: Parts) -> Command:
    def face_restore(
        input_image: o.Image,
        strength: Annotated[float, typer.Option(help="How much may change, 0 to 1.")] = 0.8,
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "face_restore"))

    return face_restore


def remove_background_command(parts: Parts) -> Command:
    def remove_background(input_image: o.Image, output: o.Output = None, as_json: Json = False) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "remove_background"))

    return remove_background


def regenerate_command(parts: Parts) -> Command:
    def regenerate(
        name: Annotated[str, typer.Argument(help="Id or file name of a picture of the gallery.")],
        prompt: Annotated[str | None, typer.Option(help="Another prompt.")] = None,
        negative_prompt: Annotated[str | None, typer.Option("--negative", "-n", help="Another negative.")] = None,
        model: o.Model = None,
        seed: Annotated[int | None, typer.Option("--seed", "-s", help="Another seed; -1: a new one.")] = None,
        steps: o.Steps = None,
        cfg: o.Cfg = None,
        width: o.Edge = None,
        height: o.Edge = None,
        sampler: o.Sampler = None,
        scheduler: o.Scheduler = None,
        denoise: o.Denoise = None,
        count: Annotated[int | None, typer.Option("--count", "-c", help="Pictures to make.")] = None,
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        overrides = overrides_from(given)
        perform(parts, lambda app: carry_out(app, lambda: app.studio.regenerate(name, **overrides), given))

    return regenerate
