"""Commands that make videos, from words, pictures and videos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from clients.cli import options as o
from clients.cli.carrying import make
from clients.cli.console import Json, Parts, perform

Command = Callable[..., None]

Words = Annotated[str, typer.Argument(help="What is seen, what moves, how the camera moves.")]
Video = Annotated[str, typer.Argument(help="Input video: gallery id, path or URL.")]
Frames = Annotated[int | None, typer.Option(help="Frames; the model's own where none are named.")]
Rate = Annotated[float | None, typer.Option(help="Frames a second.")]
Motion = Annotated[float | None, typer.Option("--motion", help="How much moves, 0 to 2; 1 is the model's own.")]
Rounds = Annotated[int, typer.Option(help="Rounds in all; each takes as long as the first.")]


def video_command(parts: Parts) -> Command:
    def video(
        prompt: Words,
        negative_prompt: o.Negative = "",
        model: o.Model = None,
        engine: o.Engine = "auto",
        quality: o.Quality = "balanced",
        width: o.Edge = None,
        height: o.Edge = None,
        aspect: o.Aspect = None,
        frames: Frames = None,
        fps: Rate = None,
        steps: o.Steps = None,
        cfg: o.Cfg = None,
        sampler: o.Sampler = None,
        scheduler: o.Scheduler = None,
        loras: o.Lora = None,
        seed: o.Seed = -1,
        validate: o.Validate = True,
        retry_limit: Rounds = 1,
        checks: o.Checks = None,
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "txt2vid"))

    return video


def animate_command(parts: Parts) -> Command:
    def animate(
        input_image: o.Image,
        prompt: Words,
        motion_strength: Motion = None,
        negative_prompt: o.Negative = "",
        model: o.Model = None,
        engine: o.Engine = "auto",
        quality: o.Quality = "balanced",
        width: o.Edge = None,
        height: o.Edge = None,
        frames: Frames = None,
        fps: Rate = None,
        steps: o.Steps = None,
        cfg: o.Cfg = None,
        loras: o.Lora = None,
        seed: o.Seed = -1,
        validate: o.Validate = True,
        retry_limit: Rounds = 1,
        checks: o.Checks = None,
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "img2vid"))

    return animate


def extend_command(parts: Parts) -> Command:
    def extend_video(
        input_video: Video,
        prompt: Words,
        extend_frames: Annotated[int | None, typer.Option("--frames", help="Frames to add.")] = None,
        motion_strength: Motion = None,
        negative_prompt: o.Negative = "",
        model: o.Model = None,
        engine: o.Engine = "auto",
        quality: o.Quality = "balanced",
        steps: o.Steps = None,
        cfg: o.Cfg = None,
        loras: o.Lora = None,
        seed: o.Seed = -1,
        validate: o.Validate = True,
        retry_limit: Rounds = 1,
        checks: o.Checks = None,
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "extend_video"))

    return extend_video


def interpolate_command(parts: Parts) -> Command:
    def interpolate(
        input_video: Video,
        target_fps: Annotated[float, typer.Option("--fps", help="Frames a second.")] = 30.0,
        engine: o.Engine = "auto",
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: make(app, given, "interpolate"))

    return interpolate
