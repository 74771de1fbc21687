"""Pictures made of pictures: a contact sheet, a comparison of two, a grid with labelled axes. Pure; PNG comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from utils.images import decode, encode_png
from workflows.errors import BadRecipe

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Mark = Literal["passed", "failed", "broken", ""]
Colour = tuple[int, int, int]

PAPER, FRAME, INK, FAINT = (249, 249, 247), (223, 223, 219), (34, 36, 40), (112, 116, 122)
EMPTY = (238, 238, 235)
MARKS: dict[str, Colour] = {"passed": (24, 124, 66), "failed": (184, 98, 10), "broken": (176, 40, 36)}
MARGIN, GAP, INNER = 28, 20, 8
TITLE, BODY, SMALL = 22, 15, 13
MOST_TILES = 400
MOST_EDGE = 12_000
MOST_PIXELS = 30_000_000
"""Pixels of a sheet, along its longest edge and in all; beyond them the tiles become smaller."""
LEAST_TILE, LEAST_BOX = 96, 180
WIDE_FONTS = ("NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial Unicode.ttf", "arialuni.ttf", "arial.ttf")
EAST_FONTS = ("NotoSansCJK-Regular.ttc", "msyh.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc", "wqy-microhei.ttc")
"""Fonts of the systems for letters that Pillow's own has not."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A picture with the lines below it; without a picture its place stays empty. `mark` colours the last line."""

    picture: bytes | None = None
    lines: tuple[str, ...] = ()
    mark: Mark = ""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far two pictures are from each other, the second at the first one's size."""

    mean: float
    """Of all channels, 0 (the same) to 255."""
    changed: float
    """Share of the pixels of which a channel differs by more than 8."""

    @property
    def line(self) -> str:
        if self.mean == 0:
            return "Not one pixel differs."
        return f"{self.changed:.1%} of the pixels differ visibly; mean difference {self.mean:.1f} of 255."


def contact_sheet(tiles: Sequence[Tile], *, title: str = "", columns: int | None = None, edge: int = 256) -> bytes:
    """All pictures in rows, each with its lines. Raises BadRecipe for none and for more than 400."""
    _check(len(tiles))
    across = columns or _columns(len(tiles))
    down = -(-len(tiles) // across)
    box = _Box(tiles, _fitting(edge, across, down))
    step = (box.width + GAP, box.height + box.caption + GAP)
    top = MARGIN + (TITLE + GAP if title else 0)
    page, pen = _page(2 * MARGIN + across * step[0] - GAP, top + down * step[1] - GAP + MARGIN)
    if title:
        _write(pen, (MARGIN, MARGIN - 4), title, TITLE, INK, page.width - 2 * MARGIN)
    for number, tile in enumerate(tiles):
        y, x = divmod(number, across)
        box.place(page, pen, (MARGIN + x * step[0], top + y * step[1]), tile)
    return encode_png(page)


def grid(
    cells: Sequence[Sequence[Tile]],
    *,
    columns: Sequence[str],
    rows: Sequence[str],
    across: str = "",
    down: str = "",
    title: str = "",
    edge: int = 256,
) -> bytes:
    """An X/Y grid: `columns` and `rows` are the labels, `across` and `down` what they are values of."""
    _check(len(columns) * len(rows))
    box = _Box([tile for row in cells for tile in row], _fitting(edge, len(columns), len(rows)))
    heads = [f"{across} {label}".strip() for label in columns]
    sides = [f"{down} {label}".strip() for label in rows]
    left = min(240, max((_length(side, BODY) for side in sides), default=0)) + (GAP if any(sides) else 0)
    step = (box.width + GAP, box.height + box.caption + GAP)
    top = MARGIN + (TITLE + GAP if title else 0) + (BODY + GAP if any(heads) else 0)
    width = 2 * MARGIN + left + len(columns) * step[0] - GAP
    page, pen = _page(max(width, 420), top + len(rows) * step[1] - GAP + MARGIN)
    if title:
        _write(pen, (MARGIN, MARGIN - 4), title, TITLE, INK, page.width - 2 * MARGIN)
    for x, head in enumerate(heads):
        place = MARGIN + left + x * step[0]
        _write(pen, (place, top - BODY - GAP // 2), head, BODY, INK, box.width, centred=True)
    for y, (side, row) in enumerate(zip(sides, cells, strict=True)):
        _write(pen, (MARGIN, top + y * step[1] + box.height // 2 - BODY // 2), side, BODY, INK, max(1, left - GAP))
        for x, tile in enumerate(row):
            box.place(page, pen, (MARGIN + left + x * step[0], top + y * step[1]), tile)
    return encode_png(page)


def comparison(before: Tile, after: Tile, *, labels: tuple[str, str] = ("before", "after")) -> tuple[bytes, Difference]:
    """Two pictures side by side, as high as each other, with a line that says how far they differ. Raises BadPicture.

    Both tiles have pictures.
    """
    first, second = (decode(tile.picture or b"") for tile in (before, after))
    told = difference(first, second)
    high = min(768, max(first.height, second.height))
    shown = [_scaled(picture, high) for picture in (first, second)]
    widths = [max(220, picture.width) for picture in shown]
    lines = max(len(before.lines), len(after.lines))
    top = MARGIN + BODY + GAP // 2
    foot = top + high + _caption(lines)
    page, pen = _page(2 * MARGIN + sum(widths) + GAP, foot + GAP + BODY + MARGIN)
    places = (MARGIN, MARGIN + widths[0] + GAP)
    for place, width, picture, tile, label in zip(places, widths, shown, (before, after), labels, strict=True):
        _write(pen, (place, MARGIN - 4), label, BODY, INK, width)
        page.paste(picture, (place + (width - picture.width) // 2, top), picture if picture.mode == "RGBA" else None)
        _caption_lines(pen, (place, top + high), tile, width)
    pen.line((MARGIN, foot + GAP // 2, page.width - MARGIN, foot + GAP // 2), FRAME)
    _write(pen, (MARGIN, foot + GAP), told.line, BODY, FAINT, page.width - 2 * MARGIN)
    return encode_png(page), told


def difference(first: Image, second: Image) -> Difference:
    """Measured at the first one's size, transparency on white."""
    from PIL import Image, ImageChops

    pair = [_opaque(first), _opaque(second)]
    if pair[1].size != pair[0].size:
        pair[1] = pair[1].resize(pair[0].size, Image.Resampling.LANCZOS)
    apart = ImageChops.difference(*pair)
    counts = apart.histogram()
    total = sum(level % 256 * count for level, count in enumerate(counts))
    red, green, blue = apart.split()
    largest = ImageChops.lighter(ImageChops.lighter(red, green), blue).histogram()
    pixels = apart.width * apart.height
    return Difference(mean=round(total / (3 * pixels), 4), changed=round(sum(largest[9:]) / pixels, 6))


# Layout


def _check(count: int) -> None:
    if not 1 <= count <= MOST_TILES:
        raise BadRecipe("pictures", count, f"a sheet has 1 to {MOST_TILES}; narrow the choice")


def _columns(count: int) -> int:
    """A sheet a little wider than high, without a last row that is nearly empty."""
    best = max(1, round(math.sqrt(count * 1.4)))
    near = [n for n in range(max(1, best - 1), best + 2) if n <= count] or [1]
    return min(near, key=lambda n: (-(-count // n) * n - count, abs(n - best)))


def _fitting(edge: int, across: int, down: int) -> int:
    by_edge = (MOST_EDGE - 2 * MARGIN - 240) // max(across, down)
    by_area = math.isqrt(MOST_PIXELS // (across * down))
    return max(LEAST_TILE, min(edge, min(by_edge, by_area) - GAP - 60))


def _caption(lines: int) -> int:
    return lines * (SMALL + 5) + (INNER if lines else 0)


def _page(width: int, height: int) -> tuple[Image, ImageDraw]:
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (width, height), PAPER)
    return page, ImageDraw.Draw(page)


class _Box:
    """The place of one tile, the same for all: as large as the largest picture at that edge, shrunk once."""

    def __init__(self, tiles: Sequence[Tile], edge: int) -> None:
        self._shown = {id(tile): _thumbnail(tile.picture, edge) for tile in tiles if tile.picture is not None}
        self.width = max([min(edge, LEAST_BOX), *(picture.width for picture in self._shown.values())])
        self.height = max([picture.height for picture in self._shown.values()], default=edge)
        self.caption = _caption(max((len(tile.lines) for tile in tiles), default=0))

    def place(self, page: Image, pen: ImageDraw, corner: tuple[int, int], tile: Tile) -> None:
        """The picture in the middle of its place, its lines below."""
        left, top = corner
        pen.rectangle((left, top, left + self.width - 1, top + self.height - 1), EMPTY)
        picture = self._shown.get(id(tile))
        if picture is None:
            middle = top + self.height // 2 - SMALL
            _write(pen, (left, middle), "no picture", SMALL, FAINT, self.width, centred=True)
        else:
            place = left + (self.width - picture.width) // 2, top + (self.height - picture.height) // 2
            page.paste(picture, place, picture if picture.mode == "RGBA" else None)
        _caption_lines(pen, (left, top + self.height), tile, self.width)


def _thumbnail(picture: bytes, edge: int) -> Image:
    """As large as fits into the edge; small models' pictures are enlarged, so that all are of one size."""
    from PIL import Image, ImageOps

    return ImageOps.contain(decode(picture), (edge, edge), Image.Resampling.LANCZOS)


def _caption_lines(pen: ImageDraw, corner: tuple[int, int], tile: Tile, width: int) -> None:
    for number, line in enumerate(tile.lines):
        last = number == len(tile.lines) - 1
        colour = MARKS.get(tile.mark, FAINT) if last else INK if number == 0 else FAINT
        _write(pen, (corner[0], corner[1] + INNER + number * (SMALL + 5)), line, SMALL, colour, width)


def _scaled(picture: Image, height: int) -> Image:
    from PIL import Image

    if picture.height == height:
        return picture
    return picture.resize((max(1, round(picture.width * height / picture.height)), height), Image.Resampling.LANCZOS)


def _opaque(picture: Image) -> Image:
    from PIL import Image

    if picture.mode != "RGBA":
        return picture.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


# Words


def _write(
    pen: ImageDraw, place: tuple[int, int], words: str, size: int, colour: Colour, width: int, *, centred: bool = False
) -> None:
    """One line of words, shortened to the width, in a font that has their letters."""
    line = _shortened(_one_line(words), size, width)
    if not line:
        return
    left = place[0] + (max(0, width - _length(line, size)) // 2 if centred else 0)
    pen.text((left, place[1]), line, colour, font=_font_for(line, size))


def _one_line(words: str) -> str:
    """Without line breaks, control letters and halves of letters."""
    plain = words.encode("utf-8", "ignore").decode()
    return " ".join("".join(letter if letter.isprintable() else " " for letter in plain[:2000]).split())


def _shortened(line: str, size: int, width: int) -> str:
    if _length(line, size) <= width:
        return line
    least, most = 0, len(line)
    while least < most:
        middle = (least + most + 1) // 2
        fits = _length(f"{line[:middle].rstrip()}…", size) <= width
        least, most = (middle, most) if fits else (least, middle - 1)
    return f"{line[:least].rstrip(' ,.;:')}…"


def _length(line: str, size: int) -> int:
    return math.ceil(_font_for(line, size).getlength(line)) if line else 0


def _font_for(line: str, size: int) -> Any:
    """Pillow's own font for Latin letters, one of the system's for others where it has one."""
    highest = max(map(ord, line), default=0)
    wanted = () if highest < 0x250 or highest in {0x2026} else WIDE_FONTS if highest < 0x2E80 else EAST_FONTS
    return _font(wanted, size)


@lru_cache(maxsize=64)
def _font(names: tuple[str, ...], size: int) -> Any:
    from PIL import ImageFont

    for name in names:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
