"""Measure the demo models, as a user loads them, on captions and prompts that were kept out of training.

    python evaluate.py clip --clip CLIP_DIR
    python evaluate.py t2i --clip CLIP_DIR --t2i T2I_DIR
    python evaluate.py grid --clip CLIP_DIR --t2i T2I_DIR --out grid.png

`clip` judges pictures of the scene generator, `t2i` the loop of drawing and judging, `grid` draws the prompts that
were written by hand.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import prompts
import torch
from captions import GENERATOR_WORDING, hard_negative, held_out_caption, outside_caption
from common import library, log, start
from judge_model import THRESHOLD
from numpy.typing import NDArray
from PIL import Image as Pictures
from reader import read
from scenes import GENERATOR_MIX, render, sample_scene
from words import HELD_OUT_NOUNS

ATTEMPTS = 3


class Judge:
    """The shipped CLIP behind open_clip's public loader."""

    def __init__(self, folder: Path) -> None:
        open_clip = library("open_clip")
        source = f"local-dir:{folder.resolve()}"
        self.model, _, self.preprocess = open_clip.create_model_and_transforms(source)
        self.tokenizer = open_clip.get_tokenizer(source, bpe_path=str(folder.resolve() / "bpe.txt.gz"))
        self.model.eval()

    @torch.no_grad()
    def see(self, pictures: Sequence[Any]) -> NDArray[np.float32]:
        batch = torch.stack([self.preprocess(picture) for picture in pictures])
        return self.model.encode_image(batch, normalize=True).numpy()

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.model.encode_text(self.tokenizer(list(texts)), normalize=True).numpy()

    def cosine(self, picture: Any, text: str) -> float:
        return float((self.see([picture]) @ self.read([text]).T)[0, 0])


class Painter:
    """The shipped pipeline with the settings that lie beside it."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        diffusers = library("diffusers")
        diffusers.utils.logging.set_verbosity_error()
        self.settings = json.loads((folder / "atelier.json").read_text(encoding="utf-8")) | settings
        self.pipe = diffusers.StableDiffusionPipeline.from_pretrained(
            str(folder), dtype=torch.float32, local_files_only=True
        )
        self.pipe.set_progress_bar_config(disable=True)

    def draw(self, prompt: str, seed: int, negative: str | None = None) -> Any:
        return self.pipe(
            prompt,
            negative_prompt=negative,
            num_inference_steps=self.settings["steps"],
            guidance_scale=self.settings["cfg"],
            guidance_rescale=self.settings["guidance_rescale"],
            generator=torch.Generator().manual_seed(seed),
        ).images[0]


def measure_judge(judge: Judge, count: int, seed: int) -> None:
    """How well right captions are told from wrong ones on pictures of the scene generator."""
    rng = random.Random(seed)
    images: list[Any] = []
    right: list[str] = []
    wrong: list[str] = []
    fields: list[str] = []
    foreign: list[str] = []
    kinds: list[str] = []
    for _ in range(count):
        scene = sample_scene(rng, GENERATOR_MIX)
        images.append(Pictures.fromarray(render(scene, rng)))
        right.append(held_out_caption(scene.facts, rng).text)
        caption, field = hard_negative(scene.facts, rng)
        wrong.append(caption.text)
        fields.append(field)
        foreign.append(outside_caption(rng, scene.facts, HELD_OUT_NOUNS).text)
        kinds.append("one thing" if scene.facts.count == 1 else "several")
    seen = judge.see(images)
    hit, miss, out = (cosines(seen, judge.read(texts)) for texts in (right, wrong, foreign))
    log.info("cosines, 5/25/50/75/95 %%: right %s, wrong %s, foreign %s", *(_spread(c) for c in (hit, miss, out)))
    table: dict[str, list[tuple[bool, bool]]] = collections.defaultdict(list)
    for i in range(count):
        table[fields[i]].append((hit[i] > miss[i], miss[i] < THRESHOLD))
        table["all swaps"].append((hit[i] > miss[i], miss[i] < THRESHOLD))
    for name, rows in sorted(table.items()):
        better, rejected = (sum(column) / len(rows) for column in zip(*rows, strict=True))
        log.info(
            "%-10s %5d pictures: right caption wins %.3f, wrong one rejected %.3f", name, len(rows), better, rejected
        )
    for kind in ("one thing", "several"):
        accepted = hit[np.array(kinds) == kind] > THRESHOLD
        log.info("right captions accepted, %s: %.3f", kind, np.mean(accepted))
    log.info("captions from outside the world rejected: %.3f", np.mean(out < THRESHOLD))


def cosines(seen: NDArray[np.float32], said: NDArray[np.float32]) -> NDArray[np.float32]:
    """Row by row, for rows of length one."""
    return np.einsum("ij,ij->i", seen, said)


def _spread(values: NDArray[np.float32]) -> str:
    return "/".join(f"{v:.2f}" for v in np.percentile(values, [5, 25, 50, 75, 95]))


@dataclass
class Trial:
    """A prompt, the cosine of every attempt, and the last picture."""

    prompt: str
    cosines: list[float]
    picture: Any


def attempt(painter: Painter, judge: Judge, prompt: str, seed: int, attempts: int = ATTEMPTS) -> Trial:
    """Draw the prompt with new seeds until the judge accepts, `attempts` times at most."""
    trial = Trial(prompt, [], None)
    for i in range(attempts):
        trial.picture = painter.draw(prompt, seed + i)
        trial.cosines.append(judge.cosine(trial.picture, prompt))
        if trial.cosines[-1] > THRESHOLD:
            break
    return trial


def measure_loop(painter: Painter, judge: Judge, count: int, seed: int) -> None:
    """How often a held-out prompt passes at the first attempt and within all, and how long a picture takes."""
    rng, began = random.Random(seed), time.monotonic()
    trials: list[Trial] = []
    agreed = 0
    for i in range(count):
        caption = held_out_caption(sample_scene(rng, GENERATOR_MIX).facts, rng, GENERATOR_WORDING)
        trials.append(attempt(painter, judge, caption.text, seed=1000 * i))
        agreed += read(np.asarray(trials[-1].picture)).agrees(caption)
    drawn = sum(len(trial.cosines) for trial in trials)
    log.info("%.2f s a picture", (time.monotonic() - began) / drawn)
    report(trials, "held-out prompts")
    log.info("%d of the %d last pictures agree with their prompt by their pixels", agreed, count)
    report(
        [attempt(painter, judge, p, seed=9000 + 10 * i) for i, p in enumerate(prompts.INSIDE)], "hand-written prompts"
    )
    outside = [attempt(painter, judge, p, seed=7000 + 10 * i) for i, p in enumerate(prompts.OUTSIDE)]
    report(outside, "prompts from outside the world")


def report(trials: Sequence[Trial], name: str) -> None:
    passed = [trial.cosines[-1] > THRESHOLD for trial in trials]
    first = [trial.cosines[0] > THRESHOLD for trial in trials]
    log.info("%s: %d, pass at the first attempt %d, within %d attempts %d, median first cosine %.2f", name, len(trials),
             sum(first), ATTEMPTS, sum(passed), np.median([trial.cosines[0] for trial in trials]))  # fmt: skip
    for trial in trials:
        if trial.cosines[0] <= THRESHOLD or "outside" in name:
            log.info("   %s %s", " ".join(f"{c:.2f}" for c in trial.cosines), trial.prompt)


def draw_grid(painter: Painter, judge: Judge, texts: Sequence[str], out: Path, attempts: int, columns: int = 8) -> None:
    """The texts' pictures, row by row, in one small file; the log says what the judge thinks of each."""
    tiles: list[NDArray[np.uint8]] = []
    for i, text in enumerate(texts):
        trial = attempt(painter, judge, text, seed=9000 + 10 * i, attempts=attempts)
        log.info("%2d.%d  %s  %s", i // columns + 1, i % columns + 1, " ".join(f"{c:.2f}" for c in trial.cosines), text)
        tiles.append(np.asarray(trial.picture))
    side = tiles[0].shape[0]
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    sheet = Pictures.fromarray(np.concatenate(rows)).quantize(128, dither=Pictures.Dither.NONE)
    sheet.save(out, optimize=True)
    log.info("%s: %d pictures of %d x %d", out, len(tiles), side, side)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("clip", "t2i", "grid"))
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--t2i", type=Path)
    parser.add_argument("--out", type=Path, default=Path("grid.png"))
    parser.add_argument("--count", type=int, help="pictures to judge (2000) or prompts to draw (100)")
    parser.add_argument("--attempts", type=int, default=1, help="grid: new seeds until the judge accepts")
    parser.add_argument(
        "--random", type=int, help="grid: this many held-out captions in place of the hand-written ones"
    )
    parser.add_argument("--steps", type=int)
    parser.add_argument("--cfg", type=float)
    parser.add_argument("--guidance-rescale", type=float)
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    args = options()
    rng = start(args.seed, args.threads)
    judge = Judge(args.clip)
    if args.what == "clip":
        measure_judge(judge, args.count or 2000, args.seed)
        return
    changes = {
        key: getattr(args, key) for key in ("steps", "cfg", "guidance_rescale") if getattr(args, key) is not None
    }
    painter = Painter(args.t2i, changes)
    if args.what == "t2i":
        measure_loop(painter, judge, args.count or 100, args.seed)
        return
    texts = list(prompts.INSIDE)
    if args.random:
        texts = [held_out_caption(sample_scene(rng).facts, rng).text for _ in range(args.random)]
    draw_grid(painter, judge, texts, args.out, args.attempts)


if __name__ == "__main__":
    main()
