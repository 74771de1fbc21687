"""Judging: pictures a second of the CLIP judge beside the bare open_clip forward on the same files and thread count.

The bare path decodes, prepares and embeds the same PNG files in one batch and compares them with the prompt alone; the
judge has foils, atoms and verdicts on top. No picture is judged twice, because ours are kept.
"""

from __future__ import annotations

import io
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

import clients
from tests.bench.figure import Figure
from tests.fakes import PROFILE
from utils.torch_threads import threads_for
from utils.validation import ClipScorer
from workflows.judges.clip import ClipJudge
from workflows.types import Media, Recipe

CLIP = Path(clients.__file__).parent / "demo" / "clip"
ROOT = Path(__file__).parents[2]
TEXT = "three red circles on a white background"
BATCH = 32
ROUNDS = 15
FIRST_VERDICT = """
import asyncio, sys, time
began = time.perf_counter()
import psutil
memory = psutil.Process().memory_info
from tests.bench.bench_judge import drawings, judge_of
from tests.fakes import PROFILE
from utils.validation import ClipScorer
from workflows.types import Recipe
from tests.bench.bench_judge import CLIP, TEXT
before = memory().rss
asyncio.run(judge_of(ClipScorer(CLIP)).judge([next(drawings())], Recipe(prompt=TEXT), PROFILE))
sys.stdout.write(f"{time.perf_counter() - began} {(memory().rss - before) / 1e6}")
"""
BARE_FIRST = """
import sys, time
began = time.perf_counter()
import psutil
before = psutil.Process().memory_info().rss
from tests.bench.bench_judge import bare, drawings
bare()([next(drawings())])
sys.stdout.write(f"{time.perf_counter() - began} {(psutil.Process().memory_info().rss - before) / 1e6}")
"""


async def figures() -> list[Figure]:
    scorer, plain, shown = ClipScorer(CLIP), bare(), drawings()
    judge = judge_of(scorer)
    recipe = Recipe(prompt=TEXT)
    batch = await _in_turn(lambda new: judge.judge(new, recipe, PROFILE), plain, shown, BATCH)
    one = await _in_turn(lambda new: judge.judge(new, recipe, PROFILE), plain, shown, 1)
    wishes = (Recipe(prompt=f"{TEXT}, number {number}") for number in count())
    fresh, _ = await _in_turn(lambda new: judge.judge(new, next(wishes), PROFILE), plain, shown, 1)
    cold, memory = _first(FIRST_VERDICT)
    cold_bare, memory_bare = _first(BARE_FIRST)
    aim = "ratio at least 0.9"
    return [
        Figure(
            name=f"CLIP judge, {BATCH} a batch", ours=BATCH / batch[0], bare=BATCH / batch[1], unit="a second", aim=aim
        ),
        Figure(name="CLIP judge, one", ours=1 / one[0], bare=1 / one[1], unit="a second", aim=aim),
        Figure(name="CLIP judge, one, new prompt", ours=fresh * 1000, bare=None, unit="ms", aim="told"),
        Figure(name="CLIP judge, first verdict of a process", ours=cold, bare=cold_bare, unit="s", aim="ratio near 1"),
        Figure(name="CLIP judge, memory of that", ours=memory, bare=memory_bare, unit="MB", aim="ratio near 1"),
    ]


def judge_of(scorer: ClipScorer) -> ClipJudge:
    return ClipJudge(lambda profile: scorer)


async def _in_turn(
    ours: Callable[[list[Media]], Awaitable[Any]], bare: Callable[[list[Media]], Any], shown: Iterator[Media], size: int
) -> tuple[float, float]:
    """Median seconds of both on the same new pictures, one after the other so that both meet the same load."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 2):
        new = [next(shown) for _ in range(size)]
        began = time.perf_counter()
        await ours(new)
        seconds[0].append(time.perf_counter() - began)
        began = time.perf_counter()
        bare(new)
        seconds[1].append(time.perf_counter() - began)
    warm = [statistics.median(taken[2:]) for taken in seconds]
    return warm[0], warm[1]


def bare() -> Callable[[list[Media]], Any]:
    """open_clip by itself: PNG files in, their cosines with the prompt out."""
    import open_clip
    import torch

    library: Any = open_clip
    name = f"local-dir:{CLIP}"
    model, _, prepare = library.create_model_and_transforms(name)
    model.eval()
    words = library.get_tokenizer(name, bpe_path=str(CLIP / "bpe.txt.gz"))([TEXT])

    def score(pictures: list[Media]) -> Any:
        opened = [Image.open(io.BytesIO(picture.data)).convert("RGB") for picture in pictures]
        with threads_for(0), torch.inference_mode():
            rows = model.encode_image(torch.stack([prepare(picture) for picture in opened]), normalize=True)
            return (rows @ model.encode_text(words, normalize=True).T).numpy()

    return score


def drawings() -> Iterator[Media]:
    """PNG pictures of 512 x 512, no two alike."""
    for number in count():
        picture = Image.new("RGB", (512, 512), "white")
        ImageDraw.Draw(picture).ellipse((number % 200, number // 200, 250, 250), fill="red")
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        yield Media(data=buffer.getvalue(), media_type="image/png")


def _first(program: str) -> tuple[float, float]:
    """Seconds and megabytes of a process of its own, as it tells them."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)
