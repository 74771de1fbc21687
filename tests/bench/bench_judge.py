"""Judging: pictures a second of ClipScorer beside the bare open_clip forward on the same batch and thread count."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

import clients
from tests.bench.figure import Figure
from utils.torch_threads import threads_for
from utils.validation import ClipScorer

CLIP = Path(clients.__file__).parent / "demo" / "clip"
TEXT = "a red circle on a white background"
BATCH = 32
ROUNDS = 15


async def figures() -> list[Figure]:
    pictures = [_drawing(number) for number in range(BATCH)]
    scorer = ClipScorer(CLIP)
    bare = _bare()
    ours, theirs = _in_turn(lambda: scorer.scores(pictures, [TEXT]), lambda: bare(pictures))
    one, one_bare = _in_turn(lambda: scorer.scores(pictures[:1], [TEXT]), lambda: bare(pictures[:1]))
    return [
        Figure(
            name=f"CLIP, {BATCH} pictures in a batch",
            ours=ours / BATCH * 1000,
            bare=theirs / BATCH * 1000,
            unit="ms a picture",
            aim="ratio at most 1.05",
        ),
        Figure(name="CLIP, one picture", ours=one * 1000, bare=one_bare * 1000, unit="ms", aim="ratio at most 1.05"),
    ]


def _in_turn(ours: Callable[[], Any], bare: Callable[[], Any]) -> tuple[float, float]:
    """Median seconds of both, measured one after the other so that both meet the same load."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 2):
        for call, taken in zip((ours, bare), seconds, strict=True):
            began = time.perf_counter()
            call()
            taken.append(time.perf_counter() - began)
    warm = [statistics.median(taken[2:]) for taken in seconds]
    return warm[0], warm[1]


def _bare() -> Callable[[list[Image.Image]], Any]:
    import open_clip
    import torch

    library: Any = open_clip
    name = f"local-dir:{CLIP}"
    model, _, prepare = library.create_model_and_transforms(name)
    model.eval()
    tokenizer = library.get_tokenizer(name, bpe_path=str(CLIP / "bpe.txt.gz"))

    def score(pictures: list[Image.Image]) -> Any:
        with threads_for(0), torch.inference_mode():
            rows = model.encode_image(torch.stack([prepare(picture) for picture in pictures]), normalize=True)
            return (rows @ model.encode_text(tokenizer([TEXT]), normalize=True).T).numpy()

    return score


def _drawing(number: int) -> Image.Image:
    picture = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(picture).ellipse((20 + number, 30, 80 + number, 90), fill="red")
    return picture
