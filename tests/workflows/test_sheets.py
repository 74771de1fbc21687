"""Sheets: pictures of pictures, with every picture in its place and words that always fit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from tests.fakes import png
from utils.images import BadPicture, decode
from workflows.errors import BadRecipe
from workflows.sheets import PAPER, Difference, Tile, comparison, contact_sheet, difference, grid

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 60), (30, 60, 200)


def tile(colour: tuple[int, int, int] = RED, *lines: str, width: int = 200, height: int = 200) -> Tile:
    return Tile(picture=png(width, height, colour), lines=lines)


def places(sheet: Image.Image, colours: list[tuple[int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The box of each colour: left, top, right, bottom."""
    found: list[tuple[int, int, int, int]] = []
    for colour in colours:
        apart = ImageChops.difference(sheet, Image.new("RGB", sheet.size, colour)).split()
        largest = ImageChops.lighter(ImageChops.lighter(apart[0], apart[1]), apart[2])
        box = largest.point([255] + [0] * 255).getbbox()
        assert box is not None
        found.append(box)
    return found


def test_a_contact_sheet_sets_pictures_in_rows_of_one_size() -> None:
    sheet = decode(contact_sheet([tile(RED), tile(GREEN), tile(BLUE, "blue")], columns=2, edge=200))
    red, green, blue = places(sheet, [RED, GREEN, BLUE])

    assert [(right - left, bottom - top) for left, top, right, bottom in (red, green, blue)] == [(200, 200)] * 3
    assert (red[1], red[0]) == (green[1], blue[0])
    assert green[0] > red[2] and blue[1] > red[3]
    assert sheet.getpixel((2, 2)) == PAPER


def test_pictures_of_other_shapes_are_shrunk_whole_and_centred() -> None:
    sheet = decode(contact_sheet([tile(RED, width=800, height=400), tile(GREEN)], columns=2, edge=200))
    red, green = places(sheet, [RED, GREEN])

    assert (red[2] - red[0], red[3] - red[1]) == (200, 100)
    assert red[1] - green[1] == 50


def test_a_grid_has_its_columns_and_rows_in_order_and_tells_of_an_empty_place() -> None:
    cells = [[tile(RED), tile(GREEN)], [tile(BLUE), Tile(lines=("out of memory",), mark="broken")]]
    sheet = decode(grid(cells, columns=["3", "5"], rows=["20", "30"], across="cfg", down="steps", edge=200))
    red, green, blue = places(sheet, [RED, GREEN, BLUE])

    assert (red[1], red[0]) == (green[1], blue[0])
    assert green[0] > red[2] and blue[1] > red[3]


def test_a_comparison_stands_side_by_side_and_tells_the_difference() -> None:
    same, none = comparison(tile(RED), tile(RED))
    _, all_ = comparison(tile((0, 0, 0)), tile((255, 255, 255)))
    picture, half = comparison(tile(RED), tile(BLUE, width=100, height=100))
    red, blue = places(decode(picture), [RED, BLUE])

    assert (none, none.line) == (Difference(mean=0.0, changed=0.0), "Not one pixel differs.")
    assert (all_, all_.line) == (
        Difference(mean=255.0, changed=1.0),
        "100.0% of the pixels differ visibly; mean difference 255.0 of 255.",
    )
    assert half.changed == 1.0
    assert (red[1], red[3]) == (blue[1], blue[3]) and red[2] < blue[0]
    assert decode(same).width > 400


def test_what_is_transparent_counts_as_white() -> None:
    clear, white = Image.new("RGBA", (9, 9), (0, 0, 0, 0)), Image.new("RGB", (9, 9), "white")

    assert difference(clear, white) == Difference(mean=0.0, changed=0.0)
    clear.putpixel((0, 0), (255, 0, 0, 255))
    assert difference(clear, white).changed == round(1 / 81, 6)


@settings(max_examples=60, deadline=None)
@given(
    words=st.text(max_size=80)
    | st.sampled_from(["森の家 🏠", "شجرة", "a" * 5000, "\ud800x", "\0\r\n\t", "e\u0301" * 30, "…"]),
    columns=st.integers(1, 4),
)
def test_any_words_fit_below_any_picture(words: str, columns: int) -> None:
    sheet = decode(contact_sheet([tile(RED, words, words)] * 3, title=words, columns=columns, edge=96))
    red = places(sheet, [RED])[0]

    assert red[0] > 0 and red[2] < sheet.width
    right = sheet.crop((sheet.width - 12, 0, sheet.width, sheet.height))
    assert right.getcolors() == [(right.width * right.height, PAPER)]


def test_a_large_sheet_has_smaller_pictures_and_too_many_are_refused() -> None:
    sheet = decode(contact_sheet([tile(RED, width=16, height=16)] * 400, edge=1024))

    assert max(sheet.size) <= 12_000 and sheet.width * sheet.height <= 31_000_000
    for count in (0, 401):
        with pytest.raises(BadRecipe, match="1 to 400"):
            contact_sheet([tile()] * count)


def test_a_broken_picture_says_so() -> None:
    with pytest.raises(BadPicture):
        comparison(tile(), Tile(picture=b"no picture"))
