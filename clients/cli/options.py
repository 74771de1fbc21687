"""The options that several making commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Prompt = Annotated[str, typer.Argument(help="What the picture shows.")]
Image = Annotated[str, typer.Argument(help="Input picture: gallery id, path or URL.")]
Negative = Annotated[str, typer.Option("--negative", "-n", help="What it must not show.")]
Model = Annotated[str | None, typer.Option(help="Model to draw with.")]
Engine = Annotated[str, typer.Option(help="Engine to draw on.")]
Quality = Annotated[str, typer.Option(help="fast, balanced, high or ultra.")]
Edge = Annotated[int | None, typer.Option(help="Pixels.")]
Aspect = Annotated[str | None, typer.Option(help="Such as 16:9, square, portrait.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps.")]
Cfg = Annotated[float | None, typer.Option(help="Guidance scale.")]
Sampler = Annotated[str | None, typer.Option(help="Sampler name.")]
Scheduler = Annotated[str | None, typer.Option(help="Scheduler name (ComfyUI).")]
Style = Annotated[str | None, typer.Option(help="realistic, anime, artistic, 3d, ...: helps to choose the model.")]
Preset = Annotated[
    list[str] | None,
    typer.Option("--preset", help="A look, artist, light, ...: see atelier presets list; several times."),
]
Enhance = Annotated[bool, typer.Option("--enhance", help="Have the prompt written for the model.")]
Lora = Annotated[
    list[str] | None,
    typer.Option("--lora", help="name or name:0.8, several times; none: do not choose any."),
]
Control = Annotated[
    list[str] | None, typer.Option("--control", help="Structure to follow: kind=picture, such as canny=edges.png.")
]
Reference = Annotated[list[str] | None, typer.Option("--reference", help="Picture whose look or content is taken up.")]
Transparent = Annotated[bool, typer.Option("--transparent", help="Without background.")]
Hires = Annotated[bool, typer.Option("--hires", help="A second pass for detail.")]
Seed = Annotated[int, typer.Option("--seed", "-s", help="-1: a new one.")]
Count = Annotated[int, typer.Option("--count", "-c", help="Pictures to make.")]
Denoise = Annotated[float | None, typer.Option(help="How far to leave the input picture, 0 to 1.")]
Validate = Annotated[bool, typer.Option("--validate/--no-validate", help="Have it judged.")]
Retry = Annotated[bool, typer.Option("--retry/--no-retry", help="Try again when the judge says no.")]
RetryLimit = Annotated[int, typer.Option(help="Rounds in all.")]
Strategy = Annotated[str, typer.Option(help="What a retry changes: auto (what is wrong), seed, prompt, progressive.")]
Checks = Annotated[
    list[str] | None,
    typer.Option("--check", help="clip (alone by default), people, pose, quality, content, vision; several times."),
]
BestOf = Annotated[int, typer.Option(help="Candidates that the judges choose from.")]
Keep = Annotated[str, typer.Option(help="best, or all: file every candidate.")]
Threshold = Annotated[float, typer.Option("--threshold", help="CLIP score that passes.")]
Added = Annotated[int, typer.Option(help="Pixels to add at this side.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Copy to this file or folder.")]
