"""How large a picture is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.errors import BadRecipe
from workflows.families import families, family
from workflows.sizes import ratio_of, size_for, size_like

XL = family("sdxl").profile


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (1024, 1024)),
        ({"width": 768}, (768, 1024)),
        ({"width": 768, "height": 512}, (768, 512)),
        ({"aspect": "square"}, (1024, 1024)),
        ({"aspect": "16:9"}, (1368, 768)),
        ({"aspect": "9x16"}, (768, 1368)),
        ({"aspect": " Portrait "}, (840, 1256)),
        ({"aspect": "landscape", "width": 960}, (960, 640)),
        ({"aspect": "1:2", "height": 1024}, (512, 1024)),
    ],
)
def test_edges_come_from_the_caller_the_aspect_or_the_family(
    asked: dict[str, int | str], size: tuple[int, int]
) -> None:
    width, height, aspect = (asked.get(name) for name in ("width", "height", "aspect"))
    assert (
        size_for(
            XL,
            width if isinstance(width, int) else None,
            height if isinstance(height, int) else None,
            aspect if isinstance(aspect, str) else None,
        )
        == size
    )


@given(
    name=st.sampled_from(sorted(families())),
    wide=st.integers(1, 40),
    high=st.integers(1, 40),
)
def test_an_aspect_keeps_the_familys_area_and_grid(name: str, wide: int, high: int) -> None:
    profile = family(name).profile
    if not 1 / 4 <= wide / high <= 4:
        return
    width, height = size_for(profile, aspect=f"{wide}:{high}")
    area = profile.width * profile.height
    assert width % profile.multiple == height % profile.multiple == 0
    assert abs(width * height - area) <= (width + height) * profile.multiple
    assert abs(width - height * wide / high) <= profile.multiple * (1 + wide / high)


@pytest.mark.parametrize("aspect", ["wide", "16:", "0:1", "5:1", "1:5", "16:9:1", ""])
def test_an_aspect_that_is_none_is_refused_with_examples(aspect: str) -> None:
    with pytest.raises(BadRecipe, match=r"^aspect cannot be"):
        size_for(XL, aspect=aspect)


def test_an_aspect_beside_both_edges_is_a_contradiction() -> None:
    with pytest.raises(BadRecipe, match="already say the shape"):
        size_for(XL, 512, 512, "1:1")


def test_an_edge_off_the_grid_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(BadRecipe, match=r"^width cannot be 1000: FLUX.1 dev takes multiples of 16.*nearest is 992"):
        size_for(family("flux-dev").profile, width=1000)


def test_an_edge_that_an_aspect_makes_too_small_is_refused() -> None:
    with pytest.raises(BadRecipe, match="edges lie from 64"):
        size_for(XL, width=128, aspect="4:1")


def test_ratios_are_width_over_height() -> None:
    assert (ratio_of("3:2"), ratio_of("landscape"), ratio_of("1.5:1")) == (1.5, 1.5, 1.5)


@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000))
def test_any_input_picture_gives_a_size_that_the_family_takes(width: int, height: int) -> None:
    for profile in (XL, family("demo").profile):
        assert size_for(profile, *size_like(profile, width, height)) == size_like(profile, width, height)


def test_an_input_picture_keeps_its_shape() -> None:
    assert size_like(XL, 4000, 4000) == (1024, 1024)
    assert size_like(family("demo").profile, 640, 320) == (184, 88)
