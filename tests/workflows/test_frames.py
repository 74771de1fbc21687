"""How many frames are drawn where another number was asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.families import families, family
from workflows.frames import allowed_frames, frames_note


@pytest.mark.parametrize(
    ("name", "asked", "got"),
    [
        ("wan21-14b", 81, 81),
        ("wan21-14b", 80, 81),
        ("wan21-14b", 79, 81),
        ("wan21-14b", 78, 77),
        ("wan21-14b", 1, 5),
        ("wan21-14b", 1000, 81),
        ("ltx-video", 100, 97),
        ("ltx-video", 101, 105),
        ("ltx-video", 1000, 257),
        ("svd", 14, 14),
        ("svd", 26, 25),
        ("sdxl", 50, 1),
    ],
)
def test_the_nearest_number_that_the_family_draws(name: str, asked: int, got: int) -> None:
    assert allowed_frames(family(name).profile, asked) == got


@given(st.sampled_from(sorted(families())), st.integers(-5, 3000))
def test_it_is_always_a_number_that_is_allowed_and_never_asked_for_again(name: str, asked: int) -> None:
    profile = families()[name].profile
    got = allowed_frames(profile, asked)
    assert 1 <= got <= profile.most_frames
    assert (got - 1) % profile.frame_step == 0
    assert allowed_frames(profile, got) == got
    nearer = range(1 + profile.frame_step, profile.most_frames + 1, profile.frame_step)
    assert all(abs(got - asked) <= abs(n - asked) for n in nearer)


def test_every_video_family_draws_its_own_number_of_frames() -> None:
    films = [one.profile for one in families().values() if one.templates and one.video]
    assert len(films) >= 8
    assert [allowed_frames(one, one.frames) for one in films] == [one.frames for one in films]
    assert all(one.fps > 0 and one.frames > 1 for one in films)
    assert all(one.profile.frames == 1 for one in families().values() if not one.video)


@pytest.mark.parametrize(
    ("name", "asked", "note"),
    [
        ("wan21-14b", 81, ""),
        ("wan21-14b", 80, "81 frames instead of 80: Wan 2.1 14B draws 4n+1 frames."),
        (
            "wan21-14b",
            200,
            "81 frames instead of 200: Wan 2.1 14B draws at most 81 (4n+1 frames) in one go; extend_video adds.",
        ),
        (
            "svd",
            40,
            "25 frames instead of 40: Stable Video Diffusion draws at most 25 in one go; extend_video adds.",
        ),
        ("svd", 1, "2 frames instead of 1: Stable Video Diffusion draws at least 2."),
    ],
)
def test_another_number_is_explained(name: str, asked: int, note: str) -> None:
    profile = family(name).profile
    assert frames_note(asked, allowed_frames(profile, asked), profile) == note
