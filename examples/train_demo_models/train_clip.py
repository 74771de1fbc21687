"""Train the judge: a CLIP that says whether a caption is true of a picture.

    python train_clip.py --minutes 40 --out CLIP_DIR [--init CLIP_DIR] [--bpe bpe.txt.gz]

Pictures and captions are symbols first, so for every picture of a batch and every caption it is known whether the
caption is true. A sigmoid loss pulls true pairs above a cosine of 0.25 and false ones below. Every batch has captions
with one fact swapped, captions of things the world does not have, and pictures that show nothing.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from captions import Caption, hard_negative, judge, outside_caption, training_caption
from common import Average, Budget, Every, log, start, to_tensor
from judge_model import PICTURE, THRESHOLD, continued_judge, new_judge, save_judge, text_features
from numpy.typing import NDArray
from scenes import JUDGE_MIX, MIXED, NOTHING, Facts, Image, render, sample_scene
from tokenizer import caption_words, extended, open_clip_tokenizer, read_merges, write_merges
from torch.nn import functional

HARD, OUTSIDE, BLANK = 176, 112, 6


@dataclass
class Batch:
    """Pictures, and captions: first every picture's own, then HARD wrong ones, then OUTSIDE foreign ones."""

    pictures: torch.Tensor
    tokens: torch.Tensor
    true: torch.Tensor  # [pictures, captions]
    open: torch.Tensor


def augmented(picture: Image, rng: random.Random) -> NDArray[np.uint8]:
    """The picture at the judge's size, sometimes as soft, noisy or off in brightness as generated ones are."""
    small: NDArray[Any] = cv2.resize(picture, (PICTURE, PICTURE), interpolation=cv2.INTER_AREA)
    u = rng.random()
    if u < 0.25:
        small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.4, 1.1))
    elif u < 0.4:
        side = rng.choice((32, 40, 48))
        small = cv2.resize(small, (side, side), interpolation=cv2.INTER_AREA)
        small = cv2.resize(small, (PICTURE, PICTURE), interpolation=cv2.INTER_LINEAR)
    elif u < 0.5:
        small = wobbled(small, rng)
    values = small.astype(np.float32)
    if rng.random() < 0.35:
        values += np.random.randn(PICTURE, PICTURE, 3).astype(np.float32) * rng.uniform(2, 14)
    if rng.random() < 0.35:
        values = values * rng.uniform(0.88, 1.06) + rng.uniform(-8, 8)
    return values.clip(0, 255).astype(np.uint8)


def wobbled(picture: NDArray[Any], rng: random.Random) -> NDArray[Any]:
    """The picture bent a little: outlines as a generator may draw them."""
    strength, side = rng.uniform(0.5, 1.5), picture.shape[0]
    shift = cv2.resize(np.random.randn(10, 10, 2).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    down, across = np.indices((side, side), dtype=np.float32)
    where = np.stack([across, down], axis=-1) + shift * strength
    return cv2.remap(picture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def blank(rng: random.Random) -> NDArray[np.uint8]:
    """A picture of nothing: noise, one colour, or a cloud of colours."""
    u = rng.random()
    if u < 0.3:
        return np.random.randint(0, 256, (PICTURE, PICTURE, 3)).astype(np.uint8)
    if u < 0.6:
        return np.full((PICTURE, PICTURE, 3), [rng.randrange(256) for _ in range(3)], np.uint8)
    coarse = np.random.randint(0, 256, (rng.choice((4, 6, 8, 12)),) * 2 + (3,)).astype(np.uint8)
    return cv2.resize(coarse, (PICTURE, PICTURE), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def speakable(facts: Facts) -> Facts:
    """The facts for a caption: of a picture of two different things it can only be a wrong one."""
    return replace(facts, count=2) if facts.count == MIXED else facts


def make_batch(size: int, tokenizer: Any, rng: random.Random) -> Batch:
    pictures: list[NDArray[np.uint8]] = []
    symbols: list[tuple[int, ...]] = []
    own: list[Caption] = []
    wrong: list[Caption] = []
    foreign: list[Caption] = []
    for i in range(size):
        scene = sample_scene(rng, JUDGE_MIX)
        facts = speakable(scene.facts)
        pictures.append(augmented(render(scene, rng, oversample=1), rng) if i >= BLANK else blank(rng))
        symbols.append(scene.facts.symbols() if i >= BLANK else NOTHING)
        own.append(training_caption(facts, rng))
        if i < HARD:
            wrong.append(hard_negative(facts, rng)[0])
        if i < OUTSIDE:
            foreign.append(outside_caption(rng, facts))
    captions = own + wrong + foreign
    true, unsure = judge(symbols, captions)
    tokens = tokenizer([caption.text for caption in captions])
    return Batch(to_tensor(pictures), tokens, torch.from_numpy(true), torch.from_numpy(unsure))


def pair_loss(cosines: torch.Tensor, scale: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
    """The sigmoid loss over all pairs plus a soft-max over rows and columns, and figures for the log."""
    size, logits, true, known = len(cosines), scale * (cosines - THRESHOLD), batch.true, ~batch.open
    loss = functional.binary_cross_entropy_with_logits(logits, true.float(), reduction="none") * known
    rows = torch.arange(size)
    own, wrong, foreign = true[rows, rows], rows[:HARD], rows[:OUTSIDE]
    hit = (loss * true).sum() / true.sum() + loss[rows, rows][own].mean()
    rest = (loss * ~true).sum() / size * 0.25
    hard = (loss[wrong, wrong + size] * ~true[wrong, wrong + size]).mean()
    outside = loss[foreign, size + HARD + foreign].mean()
    relative = soft_max_loss((scale * cosines).masked_fill(batch.open, -1e4), true)
    figures = {
        "hit": hit.item(), "hard": hard.item(), "outside": outside.item(),
        "own>t": (cosines[rows, rows][own] > THRESHOLD).float().mean().item(),
        "hard<t": (cosines[wrong, wrong + size] < THRESHOLD).float().mean().item(),
        "out<t": (cosines[foreign, size + HARD + foreign] < THRESHOLD).float().mean().item(),
    }  # fmt: skip
    return hit + rest + hard + 0.7 * outside + 0.4 * relative, figures


def soft_max_loss(logits: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Contrastive loss with several right answers, over rows and over columns that have one."""
    total = torch.zeros(())
    for axis in (0, 1):
        has = true.any(axis)
        right = torch.logsumexp(logits.masked_fill(~true, -1e4), axis)
        total = total + (torch.logsumexp(logits, axis) - right)[has].mean()
    return total / 2


class Trainer:
    """One training run."""

    def __init__(self, model: Any, tokenizer: Any, rng: random.Random) -> None:
        self.model, self.tokenizer, self.rng = model.train(), tokenizer, rng
        self.model.visual = model.visual.to(memory_format=torch.channels_last)
        self.parameters = [p for name, p in model.named_parameters() if name != "logit_bias"]
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": 0.05},
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98))
        self.average = Average(self.parameters, 0.99)

    def step(self, size: int) -> dict[str, float]:
        batch = make_batch(size, self.tokenizer, self.rng)
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.model.encode_image(batch.pictures)
            said = text_features(self.model, batch.tokens)
        scale = self.model.logit_scale.exp()
        loss, figures = pair_loss(functional.normalize(seen.float(), dim=-1) @ said.T, scale, batch)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(1.6, 4.1)
        self.average.update()
        return figures | {"scale": scale.item()}

    def save(self, bpe: Path, target: Path) -> None:
        self.average.swapped(lambda: save_judge(self.model, bpe, target))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="judge to continue from")
    parser.add_argument("--bpe", type=Path, help="vocabulary to use; made anew, or from that of --init, if not given")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def vocabulary(args: argparse.Namespace) -> Path:
    """The merge file to use, made if need be."""
    if args.bpe is not None:
        return args.bpe
    known = read_merges(args.init / "bpe.txt.gz") if args.init else []
    path = args.out.with_name(args.out.name + "_bpe.txt.gz")
    write_merges(extended(known, caption_words(), 900), path)
    return path


def main() -> None:
    args = options()
    rng = start(args.seed, args.threads)
    bpe = vocabulary(args)
    tokenizer = open_clip_tokenizer(bpe)
    model = continued_judge(args.init, bpe) if args.init else new_judge(tokenizer.vocab_size)
    trainer = Trainer(model, tokenizer, rng)
    budget, report, checkpoint = Budget(args.minutes, args.rate), Every(30), Every(300)
    mean: dict[str, float] = {}
    while budget.done < 1:
        budget.step(trainer.optimizer)
        now = trainer.step(args.batch)
        mean = {k: 0.95 * mean.get(k, v) + 0.05 * v for k, v in now.items()}
        if report() or budget.steps == 10:
            figures = ", ".join(f"{k} {v:.3f}" for k, v in mean.items())
            log.info("%d steps, %.0f pictures/s, %s", budget.steps, budget.steps * args.batch / budget.elapsed, figures)
        if checkpoint():
            trainer.save(bpe, args.out)
    trainer.save(bpe, args.out)
    log.info("done: %d steps, %d pictures", budget.steps, budget.steps * args.batch)


if __name__ == "__main__":
    main()
