"""The example that judges one picture with the measures alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.judge_a_picture import judged, main
from tests.fakes import png
from utils.pose_validation import PoseDetector
from utils.validation import ClipScorer


@pytest.mark.models
def test_our_own_picture_is_judged_by_the_shipped_models(capsys: pytest.CaptureFixture[str]) -> None:
    lines = main([])
    assert list(lines) == ["clip", "atoms", "people", "quality", "to ask a vision model"]
    assert lines["clip"].startswith("Low positive CLIP score")
    assert "three people -" in lines["atoms"]
    assert "orange people +" in lines["atoms"]
    assert lines["people"].startswith("2 found: ")
    assert "(A)" in lines["quality"]
    assert "How many people are in the picture?" in lines["to ask a vision model"]
    assert f"  people: {lines['people']}\n" in capsys.readouterr().out


def test_weights_that_are_not_here_are_told_and_the_rest_is_judged(tmp_path: Path) -> None:
    picture = tmp_path / "own.png"
    picture.write_bytes(png(64, 64))
    lines = judged(picture, "two people", ClipScorer(tmp_path), PoseDetector(tmp_path / "none.pt"))
    assert lines["clip"].startswith("not judged: ")
    assert lines["atoms"].startswith("not judged: ")
    assert lines["people"].startswith("not judged: ")
    assert " of 10 (" in lines["quality"]
