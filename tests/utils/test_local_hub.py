"""The default weights come from the Hub: the real download and loading code against a hub on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.local_hub import LocalHub

pytestmark = pytest.mark.models
ROOT = Path(__file__).parents[2]
REPOSITORY = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
WEIGHTS = "open_clip_model.safetensors"
PROGRAM = """
import json, sys
from PIL import Image
from utils.validation import WeightsUnavailable, shared_scorer, validate_image
try:
    result = validate_image(Image.new("RGB", (320, 200), "red"), "a red picture", "a blue picture")
    told = {"score": result.positive_score, "delta": result.score_delta, "threshold": shared_scorer().threshold}
except WeightsUnavailable as error:
    told = {"unavailable": str(error)}
sys.stdout.write(json.dumps(told))
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of ViT-B-32's true shapes, in half precision: 303 MB that open_clip takes as the real ones."""
    import open_clip
    import safetensors.torch
    import torch

    library: Any = open_clip
    files: Any = safetensors.torch
    with torch.device("meta"):
        shapes = library.CLIP(**library.get_model_config("ViT-B-32")).state_dict()
    noise = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0)).half() * 0.03
    tensors = {
        name: noise.repeat(tensor.numel() // noise.numel() + 1)[: tensor.numel()].reshape(tensor.shape).contiguous()
        for name, tensor in shapes.items()
        if name != "attn_mask"
    }
    path = tmp_path_factory.mktemp("weights") / WEIGHTS
    files.save_file(tensors, path)
    return path


def score_with(hub: LocalHub, home: Path) -> tuple[dict[str, Any], str]:
    """What a fresh process with this hub and an empty cache says, and what it wrote to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=hub.environment(home),
        capture_output=True,
        text=True,
        check=True,
        timeout=170,
    )
    return json.loads(done.stdout), done.stderr


def test_the_default_weights_are_fetched_loaded_and_scored_with_and_kept_for_when_there_is_no_hub(
    weights: Path, tmp_path: Path
) -> None:
    with LocalHub({REPOSITORY: {WEIGHTS: weights}}) as hub:
        first, noise = score_with(hub, tmp_path)
    gone, _ = score_with(hub, tmp_path)
    assert -1 <= first["score"] <= 1 and first["threshold"] == 0.25
    assert gone == first
    assert hub.asked.count(("GET", f"/{REPOSITORY}/resolve/main/{WEIGHTS}")) == 1
    assert "ERROR" not in noise


def test_weights_that_the_hub_does_not_have_are_unavailable(tmp_path: Path) -> None:
    with LocalHub({}) as hub:
        told, noise = score_with(hub, tmp_path)
    assert told["unavailable"].startswith("The CLIP weights 'ViT-B-32' (laion2b_s34b_b79k) cannot be loaded: ")
    assert "ERROR" not in noise


def test_a_file_that_is_cut_short_is_said_to_be_damaged(weights: Path, tmp_path: Path) -> None:
    cut = tmp_path / WEIGHTS
    with weights.open("rb") as whole:
        cut.write_bytes(whole.read(1 << 20))
    with LocalHub({REPOSITORY: {WEIGHTS: cut}}) as hub:
        told, noise = score_with(hub, tmp_path / "home")
    assert "The file is damaged: delete it (a downloaded one is in " in told["unavailable"]
    assert str(tmp_path / "home") in told["unavailable"]
    assert "ERROR" not in noise


def test_a_download_that_breaks_off_is_told_and_leaves_nothing_that_looks_whole(weights: Path, tmp_path: Path) -> None:
    small = tmp_path / WEIGHTS
    with weights.open("rb") as whole:
        small.write_bytes(whole.read(1 << 16))
    with LocalHub({REPOSITORY: {WEIGHTS: small}}, broken={WEIGHTS}) as hub:
        told, noise = score_with(hub, tmp_path / "home")
    assert "cannot be loaded" in told["unavailable"]
    assert list((tmp_path / "home").rglob(WEIGHTS)) == []
    assert "ERROR" not in noise
