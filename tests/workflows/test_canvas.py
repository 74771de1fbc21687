"""What an engine gets to paint of a picture, and what comes back into it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from tests.fakes import PROFILE, mask_png, png
from utils.images import decode, encode_png
from workflows.canvas import canvas_for, grown_size, work_size
from workflows.completion import complete
from workflows.errors import BadRecipe, RenderFailed
from workflows.families import families, family
from workflows.inputs import InputPicture
from workflows.types import Artifact, Extension, Media, Recipe

XL = family("sdxl").profile
WISH = Recipe.checked(prompt="a red door", steps=1, cfg=1.0, seed=1)


def media(data: bytes) -> Media:
    return Media(data=data, media_type="image/png")


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    return Image.merge(mode, [Image.effect_noise((width, height), 90).convert("L") for _ in mode])


def painted(width: int, height: int) -> Artifact:
    drawn = media(png(width, height, (1, 2, 3)))
    return Artifact(media=drawn, seed=1, width=width, height=height, model="m")


def completed(recipe: Recipe, source: Image.Image, mask: bytes | None = None) -> Recipe:
    given = InputPicture(media=media(encode_png(source)), width=source.width, height=source.height)
    return complete(recipe, PROFILE, given, media(mask) if mask else None)


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(64, 500), st.integers(64, 500)),
    corner=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)),
    mode=st.sampled_from(["RGB", "RGBA"]),
)
def test_an_inpaint_leaves_every_pixel_outside_the_mask_as_it_was(
    size: tuple[int, int], corner: tuple[float, float], mode: str
) -> None:
    source = noise(*size, mode)
    left, top = int(size[0] * corner[0]), int(size[1] * corner[1])
    mask = mask_png(*size, (left, top, min(size[0], left + 50), min(size[1], top + 30)))
    recipe = completed(WISH.but(task="inpaint", mask="m"), source, mask)
    canvas = canvas_for(recipe, {"source": media(encode_png(source)), "mask": media(mask)})
    assert recipe.width and recipe.height
    done = canvas.finish(painted(recipe.width, recipe.height))
    after, keep = decode(done.media.data), ImageChops.invert(decode(mask).convert("L"))
    black = Image.new(mode, size)
    assert (done.width, done.height) == after.size == size
    assert after.tobytes() != source.tobytes()
    assert Image.composite(after, black, keep).tobytes() == Image.composite(source, black, keep).tobytes()


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(16, 300), st.integers(16, 300)),
    by=st.tuples(*[st.integers(0, 200)] * 4).filter(any),
)
def test_an_outpaint_pastes_the_original_back_bit_by_bit(size: tuple[int, int], by: tuple[int, int, int, int]) -> None:
    source = noise(*size)
    left, right, top, bottom = by
    extend = Extension(left=left, right=right, top=top, bottom=bottom)
    recipe = completed(WISH.but(task="outpaint", extend=extend), source)
    canvas = canvas_for(recipe, {"source": media(encode_png(source))})
    assert recipe.width and recipe.height
    done = canvas.finish(painted(recipe.width, recipe.height))
    after = decode(done.media.data)
    assert after.size == (size[0] + left + right, size[1] + top + bottom)
    inner = (left, top, left + size[0], top + size[1])
    assert after.crop(inner).tobytes() == source.tobytes()
    flat = Image.new("RGB", after.size, (1, 2, 3))
    flat.paste(source, inner[:2])
    assert after.tobytes() == flat.tobytes()


def test_the_engine_gets_source_and_mask_at_exactly_the_recipes_size() -> None:
    source, mask = noise(900, 700), mask_png(900, 700, (300, 300, 360, 340))
    recipe = completed(WISH.but(task="inpaint", mask="m"), source, mask)
    inputs = canvas_for(recipe, {"source": media(encode_png(source)), "mask": media(mask)}).inputs()
    assert {role: decode(given.data).size for role, given in inputs.items()} == {
        "source": (recipe.width, recipe.height),
        "mask": (recipe.width, recipe.height),
    }
    assert set(decode(inputs["mask"].data).convert("L").tobytes()) == {0, 255}


def test_only_the_box_around_the_mask_is_handed_over() -> None:
    source = Image.new("RGB", (1000, 1000), "white")
    source.paste((0, 0, 255), (400, 400, 600, 600))
    mask = mask_png(1000, 1000, (450, 450, 550, 550))
    recipe = WISH.but(task="inpaint", width=64, height=64)
    given = canvas_for(recipe, {"source": media(encode_png(source)), "mask": media(mask)}).inputs()["source"]
    # the box is 386..614, so that the blue square fills it but for 14 of 228 pixels at each side
    assert decode(given.data).getpixel((8, 8)) == (0, 0, 255)
    assert decode(given.data).getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_of_another_size_from_the_engine_is_scaled_into_its_place() -> None:
    source, mask = noise(300, 300), mask_png(300, 300, (100, 100, 200, 200))
    recipe = completed(WISH.but(task="inpaint", mask="m"), source, mask)
    canvas = canvas_for(recipe, {"source": media(encode_png(source)), "mask": media(mask)})
    done = canvas.finish(painted(32, 32))
    assert decode(done.media.data).getpixel((150, 150)) == (1, 2, 3)


def test_what_was_painted_fades_in_behind_the_edge_of_its_mask() -> None:
    source, mask = Image.new("RGB", (600, 600), "white"), mask_png(600, 600, (200, 200, 400, 400))
    recipe = WISH.but(task="inpaint", width=64, height=64)
    canvas = canvas_for(recipe, {"source": media(encode_png(source)), "mask": media(mask)})
    after = decode(canvas.finish(painted(64, 64)).media.data)
    row = [after.getpixel((x, 300)) for x in (199, 203, 300)]
    assert (row[0], row[2]) == ((255, 255, 255), (1, 2, 3))
    assert row[1] not in {row[0], row[2]}


def test_what_is_no_picture_is_the_engines_failure() -> None:
    source, mask = noise(100, 100), mask_png(100, 100, (10, 10, 90, 90))
    canvas = canvas_for(
        WISH.but(task="inpaint", width=64, height=64), {"source": media(encode_png(source)), "mask": media(mask)}
    )
    broken = Artifact(media=media(b"no picture"), seed=1, width=1, height=1, model="m")
    with pytest.raises(RenderFailed, match="no picture"):
        canvas.finish(broken)


@given(
    name=st.sampled_from(sorted(families())),
    size=st.tuples(st.integers(64, 4000), st.integers(64, 4000)),
    add=st.integers(1, 2000),
)
def test_every_family_gets_a_canvas_that_it_can_draw(name: str, size: tuple[int, int], add: int) -> None:
    profile = family(name).profile
    wide, high = work_size(WISH.but(task="outpaint", extend=Extension(left=add)), profile, size, None)
    assert wide % profile.multiple == high % profile.multiple == 0
    assert min(wide, high) >= 64 and max(wide, high) <= 4096
    assert wide * high <= 2.3 * profile.width * profile.height


def test_a_canvas_near_the_familys_area_keeps_its_own_size_and_a_larger_one_is_scaled() -> None:
    grow = WISH.but(task="outpaint", extend=Extension(right=256))
    assert work_size(grow, XL, (1024, 1024), None) == (1280, 1024)
    assert work_size(grow, XL, (3744, 4000), None) == (1024, 1024)
    assert work_size(grow, XL, (64, 320), None) == (640, 640)


def test_an_inpaint_draws_the_box_in_the_familys_own_area() -> None:
    mask = media(mask_png(2000, 2000, (950, 950, 1050, 1050)))
    assert work_size(WISH.but(task="inpaint"), XL, (2000, 2000), mask) == (1024, 1024)


def test_a_small_picture_is_painted_at_twice_its_size_at_most() -> None:
    mask = media(mask_png(128, 96, (40, 40, 60, 60)))
    assert work_size(WISH.but(task="inpaint"), XL, (128, 96), mask) == (256, 192)


def test_a_canvas_of_too_many_pixels_is_refused_with_the_limit() -> None:
    with pytest.raises(BadRecipe, match="64,000,000"):
        grown_size((9000, 7000), Extension(left=2000))


def test_an_empty_mask_is_refused_in_words() -> None:
    inputs = {"source": media(png(64, 64)), "mask": media(png(64, 64, (0, 0, 0)))}
    with pytest.raises(BadRecipe, match=r"mask_image cannot be.*white"):
        canvas_for(WISH.but(task="inpaint", width=64, height=64), inputs)
