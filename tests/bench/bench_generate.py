"""Rendering: the engine, and a whole generate call without validation, beside the bare pipeline's same render."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import clients
from clients.config import load_settings
from clients.diffusers_engine import DiffusersEngine
from clients.tools.generation import generate_image
from clients.wiring import open_app
from tests.bench.figure import Figure
from tests.fakes import TICKET
from utils.torch_threads import threads_for
from workflows.types import FamilyProfile, Recipe

DEMO = Path(clients.__file__).parent / "demo" / "t2i"
PROMPT = "a red circle on a white background"
ROUNDS = 12


async def figures() -> list[Figure]:
    async with DiffusersEngine(None, DEMO, idle_unload=0, offline=True) as engine:
        recipe = Recipe(prompt=PROMPT, seed=1)
        profile = await engine.profile(recipe)
        bare = _bare(profile)
        complete = recipe.but(width=profile.width, height=profile.height, steps=profile.steps, cfg=profile.cfg)
        drawn = await _in_turn(lambda: engine.render(complete, {}, lambda step: None, TICKET), bare)
    with tempfile.TemporaryDirectory() as home:
        async with open_app(load_settings(atelier_home=Path(home), comfyui_url="off")):
            whole = await _in_turn(
                lambda: generate_image(prompt=PROMPT, seed=1, steps=profile.steps, validate=False, wait_seconds=45),
                bare,
            )
    return [
        _figure("engine.render, warm", drawn),
        _figure("generate_image without validation, warm", whole),
    ]


def _figure(name: str, seconds: tuple[float, float]) -> Figure:
    return Figure(name=name, ours=seconds[0], bare=seconds[1], unit="s", aim="ratio at most 1.05")


async def _in_turn(ours: Callable[[], Awaitable[Any]], bare: Callable[[], Any]) -> tuple[float, float]:
    """Median seconds of both, measured one after the other so that both meet the same load; the first two warm up."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 2):
        began = time.perf_counter()
        await ours()
        between = time.perf_counter()
        await asyncio.to_thread(bare)
        seconds[0].append(between - began)
        seconds[1].append(time.perf_counter() - between)
    warm = [statistics.median(taken[2:]) for taken in seconds]
    return warm[0], warm[1]


def _bare(profile: FamilyProfile) -> Callable[[], Any]:
    """The pipeline as its own documentation calls it, on as many threads as ours."""
    import diffusers
    import torch

    library: Any = diffusers
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
    pipe = library.DiffusionPipeline.from_pretrained(str(DEMO), dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)

    def render() -> Any:
        with threads_for(0):
            return pipe(
                PROMPT,
                width=profile.width,
                height=profile.height,
                num_inference_steps=profile.steps,
                guidance_scale=profile.cfg,
                guidance_rescale=profile.guidance_rescale,
                generator=torch.Generator("cpu").manual_seed(1),
            ).images[0]

    return render
