"""Looking at people: pictures a second of PoseDetector beside ultralytics' own predict on the same batch and threads,
and how long the first verdict of a process and the next one take."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

import clients
from tests.bench.figure import Figure
from tests.figures import Pictogram, picture
from utils.pose_validation import PoseDetector
from utils.torch_threads import threads_for

ROOT = Path(clients.__file__).parents[1]
POSE = ROOT / "clients" / "demo" / "pose" / "demo-pose.pt"
BATCH = 16
ROUNDS = 15
SIZES = (128, 1024)
"""The demo's pictures, and such as other models draw."""
COLD_ROUNDS = 3
COLD = (
    "import time; began = time.perf_counter()\n"
    "import sys\n"
    "from PIL import Image\n"
    "from utils.pose_validation import PoseDetector, validate_pose\n"
    "validate_pose(Image.new('RGB', (128, 128)), 1, detector=PoseDetector(sys.argv[1]))\n"
    "print(time.perf_counter() - began)\n"
)


async def figures() -> list[Figure]:
    detector = PoseDetector(POSE, draws=True)
    detector.detect([_drawing(0, 128)])
    bare = _bare()
    return [
        *(_batch(detector, bare, size) for size in SIZES),
        Figure(name="Pose, first verdict of a process", ours=_cold(), bare=None, unit="s", aim="under 10 s"),
        Figure(name="Pose, a verdict when warm", ours=_warm(detector) * 1000, bare=None, unit="ms", aim="under 100 ms"),
    ]


def _batch(detector: PoseDetector, bare: Callable[[list[Image.Image]], Any], size: int) -> Figure:
    """Median seconds of both on new pictures, in turn so that both meet the same load."""
    seconds: tuple[list[float], list[float]] = ([], [])
    numbers = itertools.count(1)
    for _ in range(ROUNDS + 2):
        pictures = [_drawing(next(numbers), size) for _ in range(BATCH)]
        for call, taken in zip((detector.detect, bare), seconds, strict=True):
            began = time.perf_counter()
            call(pictures)
            taken.append(time.perf_counter() - began)
    ours, theirs = (BATCH / statistics.median(taken[2:]) for taken in seconds)
    name = f"Pose, {BATCH} pictures of {size} x {size} in a batch"
    return Figure(name=name, ours=ours, bare=theirs, unit="pictures/s", aim="ratio at least 0.9")


def _bare() -> Callable[[list[Image.Image]], Any]:
    from ultralytics import YOLO  # the detector has imported it already, quietly

    model: Any = YOLO(str(POSE), task="pose")

    def look(pictures: list[Image.Image]) -> Any:
        with threads_for(0):
            return model.predict(pictures, conf=0.15, device="cpu", verbose=False)

    return look


def _cold() -> float:
    command = [sys.executable, "-c", COLD, str(POSE)]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(COLD_ROUNDS)]
    return statistics.median(float(run.stdout) for run in runs)


def _warm(detector: PoseDetector) -> float:
    taken: list[float] = []
    for number in range(ROUNDS):
        drawing = _drawing(10_000 + number, 128)
        began = time.perf_counter()
        detector.detect([drawing])
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _drawing(number: int, size: int) -> Image.Image:
    """A figure with one pixel of its own, so that no picture is remembered from an earlier round."""
    drawing = picture(Pictogram()).resize((size, size))
    drawing.putpixel((number % size, number // size % size), (number % 251, 3, 7))
    return drawing
