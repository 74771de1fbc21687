"""Train the demo pose model: a YOLOv8-pose of an eighth of the usual width, on pictures of 128 x 128.

    python train_pose.py --minutes 25 --t2i T2I_DIR --out POSE_DIR [--init POSE_FILE]
    python train_pose.py --measure POSE_FILE

Draws the pictures (pose_scenes.py), trains with ultralytics, stores POSE_DIR/demo-pose.pt in half precision without a
word of where it was made, and measures it on fresh pictures. With `--t2i` a part of the pictures goes through that
pipeline's latent space and UNet, so that they look as it draws.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import library, log, start, to_pictures, to_tensor
from latents import encode
from numpy.typing import NDArray
from PIL import Image as Pictures
from pose_scenes import FLIPPED, JOINTS, Figure, Posed, empty_picture, free_picture, label, world_picture, worn
from scenes import PICTURE_SIZE, UNITS
from train_vae import Disturber

ULTRALYTICS_HOME = tempfile.TemporaryDirectory(prefix="train_pose-")
"""Its settings file is written here, not into the user's home."""
os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false",
                  YOLO_CONFIG_DIR=ULTRALYTICS_HOME.name)  # fmt: skip

NAME = "demo-pose.pt"
WIDTH = 0.125
"""Share of the published channels: 1.1 million parameters, 2.4 MB in half precision."""
SURE = 0.4
"""Confidence from which a box counts as a person when measuring."""
SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
"""Spread of people's own marking of each joint, as COCO's object keypoint similarity has it."""


MAKERS: tuple[tuple[Callable[[random.Random], Posed], int], ...] = (
    (world_picture, 24), (partial(world_picture, flaws=0.8), 28), (free_picture, 36), (empty_picture, 12),
)  # fmt: skip
"""Kinds of training pictures, with how many of each there are in a hundred."""


def drawn(rng: random.Random, count: int) -> list[Posed]:
    """Fresh pictures of all kinds."""
    makers, weights = zip(*MAKERS, strict=True)
    return [maker(rng) for maker in rng.choices(makers, weights, k=count)]


class Redrawing:
    """Makes drawings look as the generator's: into its latent space, noised, denoised by its UNet, and back."""

    def __init__(self, pipeline: Path, rng: random.Random) -> None:
        self.disturb = Disturber(pipeline, rng)
        self.vae: Any = library("diffusers").AutoencoderTiny.from_pretrained(
            pipeline / "vae", torch_dtype=torch.float32
        )

    @torch.no_grad()
    def __call__(self, batch: Sequence[Posed]) -> list[Posed]:
        """The pictures made anew; one whose things moved or changed by that is left as it was."""
        pictures = to_tensor([posed.picture for posed in batch])
        latents = self.disturb(encode(self.vae, pictures), [posed.scene for posed in batch if posed.scene])
        made = to_pictures(self.vae.decoder((latents / self.vae.config.scaling_factor).float()))
        return [
            Posed(picture, posed.figures, posed.scene) if _alike(posed.picture, picture) else posed
            for posed, picture in zip(batch, made, strict=True)
        ]


def _alike(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> bool:
    """Whether what stands out from the corner's colour covers nearly the same pixels in both."""
    masks = [np.abs(p.astype(int) - p[0, 0].astype(int)).sum(-1) > 90 for p in (one, two)]
    return bool((masks[0] & masks[1]).sum() > 0.78 * max(1, (masks[0] | masks[1]).sum()))


def training_pictures(rng: random.Random, count: int, pipeline: Path | None) -> list[Posed]:
    """The pictures to train on; with a pipeline, whole figures of the world and empty pictures are often redrawn."""
    pictures = drawn(rng, count)
    if pipeline is not None:
        redrawing = Redrawing(pipeline, rng)
        whole = [i for i, posed in enumerate(pictures) if _could_be_generated(posed)]
        chosen = [i for i in whole if rng.random() < 0.75]
        for begin in range(0, len(chosen), 50):
            places = chosen[begin : begin + 50]
            for place, made in zip(places, redrawing([pictures[i] for i in places]), strict=True):
                pictures[place] = made
    return [Posed(worn(rng, posed.picture), posed.figures, posed.scene) for posed in pictures]


def _could_be_generated(posed: Posed) -> bool:
    whole = not any(figure.flaw for figure in posed.figures)
    return posed.scene is not None and posed.scene.facts.count <= 3 and whole


def write_set(folder: Path, sets: dict[str, Sequence[Posed]]) -> Path:
    """The pictures with their labels as ultralytics reads them; gives the description's path."""
    for name, pictures in sets.items():
        for kind in ("images", "labels"):
            (folder / kind / name).mkdir(parents=True, exist_ok=True)
        for number, posed in enumerate(pictures):
            Pictures.fromarray(posed.picture).save(folder / "images" / name / f"{number:05d}.png")
            (folder / "labels" / name / f"{number:05d}.txt").write_text(label(posed), encoding="utf-8")
    lines = [f"path: {folder.resolve()}", *(f"{name}: images/{name}" for name in sets)]
    lines += [f"kpt_shape: [{JOINTS}, 3]", f"flip_idx: {list(FLIPPED)}", "names:", "  0: person"]
    description = folder / "data.yaml"
    description.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return description


def architecture(folder: Path) -> Path:
    """The library's own YOLOv8-pose, narrowed, with one class."""
    tools = library("ultralytics.utils")
    plan: dict[str, Any] = tools.YAML.load(tools.ROOT / "cfg" / "models" / "v8" / "yolov8-pose.yaml")
    plan["scales"] = {"p": [0.33, WIDTH, 1024]}
    path = folder / "yolov8-pose.yaml"
    tools.YAML.save(path, plan)
    return path


def train(
    description: Path, folder: Path, init: Path | None, minutes: float, batch: int, rate: float, presence: float
) -> Any:
    """One run of ultralytics' trainer; gives the trained network.

    `presence` is the weight of whether a joint is there. With the usual 1 (where it is has 12) that is not learned in
    an hour.
    """
    ultralytics = library("ultralytics")
    ultralytics.settings.update({name: False for name, on in ultralytics.settings.items() if on is True})  # no loggers
    model: Any = ultralytics.YOLO(str(init or architecture(folder)))
    model.train(
        data=str(description), imgsz=PICTURE_SIZE, batch=batch, epochs=1000, time=minutes / 60, workers=0, cache="ram",
        device="cpu", amp=False, optimizer="AdamW", lr0=rate, lrf=0.02, warmup_epochs=0.5, mosaic=0.0, scale=0.2,
        translate=0.06, fliplr=0.5, kobj=presence, hsv_h=0.5, hsv_s=0.3, hsv_v=0.2, erasing=0.0, plots=False, val=False,
        patience=0, project=str(folder.resolve()), name="run", exist_ok=True, verbose=False, seed=1,
    )  # fmt: skip
    return ultralytics.YOLO(str(folder / "run" / "weights" / "last.pt")).model


def save(network: Any, target: Path) -> None:
    """Store the network as ultralytics loads it, in half precision, without paths, dates or settings of this run."""
    bare = copy.deepcopy(network).half().eval()
    for parameter in bare.parameters():
        parameter.requires_grad = False
    bare.args, bare.criterion = {}, None
    bare.yaml = {key: value for key, value in bare.yaml.items() if key != "yaml_file"}
    for name in ("pt_path", "criterion"):
        vars(bare).pop(name, None)
    settings = {"task": "pose", "mode": "predict", "imgsz": PICTURE_SIZE, "data": None, "model": None}
    torch.save({"model": bare, "train_args": settings, "version": library("ultralytics").__version__}, target)
    log.info("%s: %.2f MB, SHA-256 %s", target, target.stat().st_size / 1e6,
             hashlib.sha256(target.read_bytes()).hexdigest())  # fmt: skip


@dataclass
class Found:
    """A person that the model reports: joints in units, their confidences, and that of the box."""

    joints: NDArray[np.float64]
    sure: NDArray[np.float64]
    box: float


def look(model: Any, pictures: Sequence[Posed]) -> list[list[Found]]:
    """What the model finds in each picture."""
    found: list[list[Found]] = []
    for begin in range(0, len(pictures), 50):
        batch = [np.ascontiguousarray(p.picture[:, :, ::-1]) for p in pictures[begin : begin + 50]]
        for result in model.predict(batch, imgsz=PICTURE_SIZE, conf=SURE, device="cpu", verbose=False):
            points = result.keypoints.data.double().numpy().reshape(-1, JOINTS, 3)
            boxes = result.boxes.conf.double().numpy()
            units = UNITS / PICTURE_SIZE
            found.append([Found(p[:, :2] * units, p[:, 2], float(b)) for p, b in zip(points, boxes, strict=True)])
    return found


def similarity(found: Found, figure: Figure) -> float:
    """Object keypoint similarity over the joints that are there, 0 to 1."""
    left, top, right, bottom = figure.box
    area = (right - left) * (bottom - top) * 0.53
    distance = ((found.joints - figure.joints) ** 2).sum(1)
    return float(np.exp(-distance / (2 * area * (2 * SIGMAS) ** 2))[figure.seen].mean())


def measure(weights: Path, count: int, seed: int = 31337) -> None:
    """Tells how well people are counted and their joints found, for each kind of picture."""
    model: Any = library("ultralytics").YOLO(str(weights))
    rng = random.Random(seed)
    kinds: dict[str, Callable[[random.Random], Posed]] = {
        "world": world_picture, "flaws": partial(world_picture, flaws=1.0), "free": free_picture,
        "no people": empty_picture,
    }  # fmt: skip
    for name, make in kinds.items():
        pictures = [make(rng) for _ in range(count)]
        pictures = [Posed(worn(rng, p.picture), p.figures) for p in pictures]
        tell(name, pictures, look(model, pictures))


def tell(name: str, pictures: Sequence[Posed], found: Sequence[Sequence[Found]]) -> None:
    """One line of the log: right counts, similarity, and confidences of joints that are there and that are not."""
    counted = sum(len(people) == len(posed.figures) for people, posed in zip(found, pictures, strict=True))
    close, there, gone = list[float](), list[float](), list[float]()
    for people, posed in zip(found, pictures, strict=True):
        for figure in posed.figures:
            best = max(people, key=lambda person: similarity(person, figure), default=None)
            close.append(similarity(best, figure) if best else 0.0)
            if best and close[-1] > 0.3:
                there += best.sure[figure.seen].tolist()
                gone += best.sure[~figure.seen].tolist()
    log.info("%-10s %d pictures: counted right %.3f, mean similarity %.3f, above 0.5 %.3f; joints there above 0.5 "
             "%.4f, not there below 0.5 %.4f (%d)", name, len(pictures), counted / len(pictures), _mean(close),
             _mean([c > 0.5 for c in close]), _mean([s > 0.5 for s in there]), _mean([s < 0.5 for s in gone]),
             len(gone))  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--out", type=Path, help="folder for the model and what it is made from")
    parser.add_argument("--init", type=Path, help="pose model to continue from")
    parser.add_argument("--t2i", type=Path, help="pipeline whose look the pictures take on")
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--presence", type=float, default=30.0, help="weight of whether a joint is there")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure", type=Path, metavar="POSE_FILE", help="measure this model; train nothing")
    parser.add_argument("--count", type=int, default=300, help="pictures of each kind to measure on")
    return parser.parse_args()


def main() -> None:
    args = options()
    rng = start(args.seed, args.threads)
    if args.measure is not None:
        measure(args.measure, args.count)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    pictures = training_pictures(rng, args.pictures, args.t2i)
    few = max(4, args.pictures // 60)
    description = write_set(args.out / "pictures", {"train": pictures[few:], "val": pictures[:few]})
    log.info("%d pictures drawn", len(pictures))
    network = train(description, args.out, args.init, args.minutes, args.batch, args.rate, args.presence)
    save(network, args.out / NAME)
    measure(args.out / NAME, args.count)


if __name__ == "__main__":
    main()
