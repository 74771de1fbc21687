"""The training scripts of the demo models run from nothing to a judged grid, on a budget of seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "examples" / "train_demo_models"
BRIEFLY = ("--minutes", "0.02")
"""A step or two."""


def run(script: str, *arguments: str) -> str:
    """One script, with warnings as they come; its output, or a failure that shows it."""
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPTS, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.models
@pytest.mark.timeout(600)
def test_the_models_are_trained_assembled_and_measured_from_nothing(tmp_path: Path) -> None:
    clip, vae, t2i, demo = (str(tmp_path / name) for name in ("clip", "vae", "t2i", "demo"))
    run("train_clip.py", *BRIEFLY, "--out", clip)
    run("train_vae.py", *BRIEFLY, "--batch", "8", "--out", vae)
    run("train_t2i.py", *BRIEFLY, "--batch", "8", "--scenes", "250", "--vae", vae, "--clip", clip, "--out", t2i)
    run("assemble.py", "--t2i", t2i, "--vae", vae, "--clip", clip, "--out", demo)
    assert (tmp_path / "demo" / "t2i" / "model_index.json").is_file()
    assert (tmp_path / "demo" / "clip" / "open_clip_config.json").is_file()
    told = run("evaluate.py", "clip", "--clip", f"{demo}/clip", "--count", "20")
    assert "20" in told


@pytest.mark.models
@pytest.mark.timeout(600)
def test_the_pose_model_is_trained_and_measured_from_nothing(tmp_path: Path) -> None:
    few = ("--pictures", "24", "--batch", "8", "--count", "4")
    t2i = str(SCRIPTS.parents[1] / "clients" / "demo" / "t2i")
    told = run("train_pose.py", *BRIEFLY, *few, "--t2i", t2i, "--out", str(tmp_path))
    weights = tmp_path / "demo-pose.pt"
    assert "no people  4 pictures: counted right" in told
    assert 2_000_000 < weights.stat().st_size < 2_450_000
    assert str(tmp_path).encode() not in weights.read_bytes()
