"""Masks: what paints, what is cut out around it, and that nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from utils.masks import EmptyMask, area, border, box_around, covering, extended, feathered, pasted, read_mask


def masked(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size, 0)
    mask.paste(255, box)
    return mask


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    bands = [Image.effect_noise(size, 90).convert("L") for _ in mode]
    return Image.merge(mode, bands)


def test_white_paints_and_black_stays() -> None:
    mask = read_mask(masked((40, 30), (5, 5, 20, 15)).convert("RGB"), (40, 30))
    assert (mask.mode, mask.getbbox(), set(mask.tobytes())) == ("L", (5, 5, 20, 15), {0, 255})


def test_where_a_picture_is_transparent_it_paints_whatever_its_colours_are() -> None:
    picture = Image.new("RGBA", (40, 30), "white")
    picture.paste((0, 0, 0, 0), (10, 10, 20, 20))
    assert read_mask(picture, (40, 30)).getbbox() == (10, 10, 20, 20)


def test_a_mask_of_another_size_is_scaled() -> None:
    mask = read_mask(masked((20, 20), (0, 0, 10, 20)), (80, 40))
    assert (mask.size, mask.getbbox()) == ((80, 40), (0, 0, 40, 40))


@pytest.mark.parametrize("picture", [Image.new("L", (8, 8), 0), Image.new("RGBA", (8, 8), (255, 255, 255, 255))])
def test_an_empty_mask_is_refused(picture: Image.Image) -> None:
    with pytest.raises(EmptyMask):
        read_mask(picture, (8, 8))


def test_the_faint_noise_of_a_jpeg_is_no_mask() -> None:
    with pytest.raises(EmptyMask):
        read_mask(Image.new("L", (8, 8), 12), (8, 8))


def test_a_box_has_its_surroundings_a_quarter_at_least_and_at_least_64_pixels() -> None:
    assert box_around(masked((2000, 2000), (1000, 1000, 1040, 1040))) == (936, 936, 1104, 1104)
    assert box_around(masked((2000, 2000), (800, 800, 1200, 1200))) == (700, 700, 1300, 1300)


def test_a_box_at_the_edge_is_moved_inside() -> None:
    assert box_around(masked((2000, 2000), (0, 1960, 40, 2000))) == (0, 1832, 168, 2000)


def test_a_box_that_is_most_of_the_picture_is_the_picture() -> None:
    assert box_around(masked((200, 200), (60, 60, 140, 140))) == (0, 0, 200, 200)


def test_a_thin_mask_gets_a_box_that_is_no_strip() -> None:
    left, top, right, bottom = box_around(masked((4000, 4000), (1000, 2000, 3000, 2010)))
    assert (left, right, bottom - top) == (500, 3500, 1500)
    left, top, right, bottom = box_around(masked((4000, 4000), (2000, 1000, 2010, 3000)))
    assert (right - left, top, bottom) == (1500, 500, 3500)


@given(
    wide=st.integers(8, 3000),
    high=st.integers(8, 3000),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    share=st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)),
)
def test_a_box_holds_its_mask_and_lies_in_the_picture(
    wide: int, high: int, corner: tuple[float, float], share: tuple[float, float]
) -> None:
    left, top = int(corner[0] * (wide - 1)), int(corner[1] * (high - 1))
    right, bottom = left + max(1, int((wide - left) * share[0])), top + max(1, int((high - top) * share[1]))
    box = box_around(masked((wide, high), (left, top, right, bottom)))
    assert box[0] <= left < right <= box[2] and box[1] <= top < bottom <= box[3]
    assert min(box) >= 0 and box[2] <= wide and box[3] <= high and area(box) > 0


def test_a_line_does_not_get_lost_when_its_mask_shrinks() -> None:
    assert covering(masked((1000, 1000), (500, 0, 501, 1000)), (50, 50)).getbbox() is not None


def test_a_feather_rises_inside_of_the_edge_and_is_full_in_the_middle() -> None:
    mask = masked((400, 400), (100, 100, 300, 300))
    soft = feathered(mask)
    row = list(soft.crop((95, 200, 140, 201)).tobytes())
    assert row == sorted(row)
    assert len(set(row)) > 5
    assert soft.getpixel((200, 200)) == 255
    assert ImageChops.subtract(soft, mask).getbbox() is None


def test_a_mask_too_thin_for_a_feather_still_paints() -> None:
    mask = masked((400, 400), (200, 0, 202, 400))
    assert feathered(mask).tobytes() == mask.tobytes()


def test_a_feather_does_not_rise_at_the_pictures_own_edge() -> None:
    assert feathered(masked((200, 200), (0, 0, 200, 100))).getpixel((100, 0)) == 255


@given(
    mode=st.sampled_from(["RGB", "RGBA"]),
    corner=st.tuples(st.integers(0, 60), st.integers(0, 40)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_outside_of_the_mask_every_pixel_is_the_originals_own(
    mode: str, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    original = noise((97, 71), mode)
    box = (*corner, min(97, corner[0] + size[0]), min(71, corner[1] + size[1]))
    mask = masked(original.size, box)
    around = box_around(mask)
    whole = pasted(original, noise((64, 48)), around, feathered(mask.crop(around)))
    changed = Image.new(mode, original.size)
    assert (whole.size, whole.mode) == (original.size, mode)
    assert whole.tobytes() != original.tobytes()
    keep = ImageChops.invert(mask)
    assert Image.composite(whole, changed, keep).tobytes() == Image.composite(original, changed, keep).tobytes()


def test_what_is_painted_on_a_transparent_picture_is_opaque() -> None:
    original = Image.new("RGBA", (40, 40), (9, 9, 9, 0))
    whole = pasted(original, Image.new("RGB", (40, 40), "red"), (0, 0, 40, 40), masked((40, 40), (10, 10, 30, 30)))
    assert (whole.getpixel((20, 20)), whole.getpixel((0, 0))) == ((255, 0, 0, 255), (9, 9, 9, 0))


def test_a_picture_grows_by_its_mirrored_edges() -> None:
    picture = Image.new("RGB", (4, 1))
    picture.putdata([(value, 0, 0) for value in (10, 20, 30, 40)])
    grown = extended(picture, 2, 1, 3, 0)
    assert grown.size == (9, 2)
    assert list(grown.getchannel(0).crop((0, 1, 9, 2)).tobytes()) == [20, 10, 10, 20, 30, 40, 40, 30, 20]


def test_growing_by_more_than_the_picture_has_stretches_it() -> None:
    grown = extended(Image.new("RGB", (10, 10), "blue"), 50, 0, 0, 30)
    assert (grown.size, grown.getcolors()) == ((60, 40), [(2400, (0, 0, 255))])


def test_a_border_reaches_a_little_into_the_picture_where_it_grows() -> None:
    mask = border((300, 200), (100, 0, 300, 200))
    assert [mask.getpixel((x, 100)) for x in (0, 99, 109, 110, 299)] == [255, 255, 255, 0, 0]
    assert mask.getpixel((200, 0)) == 0
