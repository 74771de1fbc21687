"""What the training scripts share: logging, reproducible starts, batches of pictures, learning rates."""

from __future__ import annotations

import importlib
import logging
import math
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from scenes import PICTURE_SIZE, Scene, render

log = logging.getLogger("train_demo_models")


def library(name: str) -> Any:
    """A module of a library that is slow to import or not fully typed, imported where it is needed."""
    return importlib.import_module(name)


def start(seed: int, threads: int) -> random.Random:
    """Set up logging, threads and seeds; the returned generator is the only source of random scenes."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    np.random.seed(seed)
    return random.Random(seed)


def to_tensor(pictures: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> torch.Tensor:
    """RGB pictures as a channels-last float tensor in [-1, 1]."""
    batch = torch.from_numpy(np.stack(list(pictures))).permute(0, 3, 1, 2)
    return batch.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def to_pictures(batch: torch.Tensor) -> NDArray[np.uint8]:
    """The inverse of `to_tensor`, rounded and clipped."""
    array = batch.detach().float().clamp(-1, 1).permute(0, 2, 3, 1).numpy()
    return np.round((array + 1) * 127.5).astype(np.uint8)


def render_batch(scenes: Sequence[Scene], rng: random.Random, size: int = PICTURE_SIZE) -> torch.Tensor:
    """The scenes drawn, as a tensor."""
    return to_tensor([render(scene, rng, size) for scene in scenes])


class Budget:
    """A training time in minutes, with the learning rate that goes with it.

    The rate rises over the first `warmup` steps, holds for the share `hold` of the time and then falls along a
    cosine to the share `floor` of its height. A budget therefore always ends cooled down, on any machine.
    """

    def __init__(self, minutes: float, peak: float, hold: float = 0.0, floor: float = 0.02, warmup: int = 50) -> None:
        self.seconds, self.peak, self.hold, self.floor, self.warmup = minutes * 60, peak, hold, floor, warmup
        self.began, self.steps = time.monotonic(), 0

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    @property
    def done(self) -> float:
        """The share of the time that is gone, 0 to 1 and more."""
        return self.elapsed / self.seconds

    def step(self, optimizer: torch.optim.Optimizer) -> float:
        """Set the optimizer's rate for the next step (times each group's own `scale`) and count the step."""
        self.steps += 1
        falling = max(0.0, min(1.0, (self.done - self.hold) / max(1e-9, 1 - self.hold)))
        rate = self.peak * min(1.0, self.steps / self.warmup)
        rate *= self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * falling))
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        return rate


class Every:
    """Says yes once per `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last = seconds, time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self.last < self.seconds:
            return False
        self.last = time.monotonic()
        return True


class Average:
    """Exponential moving averages of a model's weights."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter], decay: float = 0.999) -> None:
        self.parameters, self.decay, self.steps = list(parameters), decay, 0
        self.shadow = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for shadow, parameter in zip(self.shadow, self.parameters, strict=True):
            shadow.lerp_(parameter.detach(), 1 - decay)

    @torch.no_grad()
    def swapped(self, action: Callable[[], None]) -> None:
        """Run `action` while the model holds the averages."""
        backup = [p.detach().clone() for p in self.parameters]
        for p, s in zip(self.parameters, self.shadow, strict=True):
            p.copy_(s)
        action()
        for p, b in zip(self.parameters, backup, strict=True):
            p.copy_(b)


def replace_folder(made: Path, target: Path) -> None:
    """Put the folder `made` in the place of `target`; readers see the old or the new one, never half of it."""
    for path in made.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    old = target.with_name(target.name + ".old")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(old)
    made.rename(target)
    if old.exists():
        for path in sorted(old.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        old.rmdir()
