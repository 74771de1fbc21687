"""Frames between the frames of a video: with what, how many, and at which rate."""

from dataclasses import replace
from typing import Any

import pytest

from tests.workflows.drawing.golden import golden
from tests.workflows.drawing.video_kit import asked, studio
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft
from workflows.drawing.finishing import lacks
from workflows.drawing.fitting import fit
from workflows.drawing.interpolating import frames_of, rate, rate_note
from workflows.drawing.inventory import Inventory
from workflows.errors import BadRecipe, EngineUnavailable
from workflows.graph import Graph

CORE = ("FrameInterpolate", "FrameInterpolationModelLoader")
BOTH = ("RIFE VFI", "FILM VFI")
SERVERS = {
    "interpolate": studio(packs=BOTH),
    "interpolate_rife": studio(lacking=CORE, packs=BOTH),
    "interpolate_film": studio("a", packs=["FILM VFI"]),
}
"""The template that each has whole."""


def drafted(inventory: Inventory, fps: float | None = 60, source_fps: float | None = 16) -> Graph:
    recipe = asked(task="interpolate", prompt="", fps=fps)
    setup = fit(recipe, inventory)
    facts: dict[str, Any] = {"source_fps": source_fps} if source_fps else {}
    return draft(recipe, replace(setup, pictures={"source": "atelier/film.mp4"}, facts=facts, prefix="atelier/x"))


@pytest.mark.parametrize("name", SERVERS)
def test_each_way_is_drawn_as_it_was_looked_at_and_taken_by_the_server(name: str) -> None:
    graph = drafted(SERVERS[name])
    assert golden(f"video_{name}", {"plain": graph.as_prompt()}) == {"plain": graph.as_prompt()}
    assert problems(graph, SERVERS[name]) == []
    assert fit(asked(task="interpolate", prompt=""), SERVERS[name]).template.name == name


@pytest.mark.parametrize("name", SERVERS)
def test_the_video_keeps_its_length_and_its_sound(name: str) -> None:
    graph = drafted(SERVERS[name])
    assert (graph["between"].inputs["multiplier"], graph["video"].inputs["fps"]) == (4, 64)
    assert graph["video"].inputs["audio"] == ("parts", 1)
    assert graph["source"].inputs == {"file": "atelier/film.mp4"}


@pytest.mark.parametrize(
    ("wish", "source", "times", "fps"),
    [
        (32, 16, 2, 32),
        (48, 16, 3, 48),
        (60, 16, 4, 64),
        (60, 30, 2, 60),
        (59.94, 29.97, 2, 59.94),
        (60, 29.97, 2, 59.94),
        (33, 16, 3, 48),
        (17, 16, 2, 32),
        (None, 24, 2, 48),
        (60, None, 2, 60),
        (None, None, 2, 48),
    ],
)
def test_the_rate_is_the_multiple_that_is_not_below_the_wish(
    wish: float | None, source: float | None, times: int, fps: float
) -> None:
    assert rate(wish, source) == (times, pytest.approx(fps))


@pytest.mark.parametrize(
    ("wish", "source", "said"),
    [
        (16, 16, "has 16 frames a second already; ask for more"),
        (12, 24, "has 24 frames a second already"),
        (120, 6, "at most 16 times the video's own 6: 96"),
        (120, 50, "at most 100 for this video"),
        (120, 70, "120 are the most, and twice the video's own 70 are more"),
    ],
)
def test_a_rate_that_nobody_can_make_is_refused_with_what_is_possible(wish: float, source: float, said: str) -> None:
    with pytest.raises(BadRecipe, match=said):
        rate(wish, source)
    with pytest.raises(BadRecipe, match=said):
        drafted(SERVERS["interpolate"], wish, source)


def test_another_rate_than_the_one_asked_for_is_said() -> None:
    assert rate_note(60, 16) == "64 frames a second instead of 60: frames between frames come 4 for 1, of 16."
    assert [rate_note(48, 16), rate_note(None, 16), rate_note(60, None)] == ["", "", ""]


def test_between_each_pair_there_are_as_many_frames() -> None:
    assert [frames_of(81, 2), frames_of(1, 4), frames_of(2, 3)] == [161, 1, 4]


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (studio("a"), r"a newer ComfyUI.* with film_net_fp16.* or the node pack ComfyUI-Frame-Interpolation"),
        (studio(lacking=["film_net_fp16.safetensors"]), r"put film_net_fp16\.safetensors .* in models/frame_interp"),
    ],
)
def test_without_any_way_it_is_said_what_to_install(server: Inventory, said: str) -> None:
    with pytest.raises(EngineUnavailable, match=said):
        fit(asked(task="interpolate", prompt=""), server)


def test_a_template_without_its_model_is_told_to_lack_it() -> None:
    assert "film_net_fp16" in (lacks("interpolate", studio(lacking=["film_net_fp16.safetensors"])) or "")
    assert lacks("interpolate", studio()) is None
