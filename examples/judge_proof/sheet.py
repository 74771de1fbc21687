"""Traps on one sheet, each picture with its prompt and what every judge said of it."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Sequence
from pathlib import Path

import traps
from PIL import Image, ImageDraw
from verdicts import Heard, heard, judges_of, own_app

TILES, COLUMNS = 4, 3
EDGE, GAP, TEXT, TITLE = 112, 8, 44, 20
INK, PAPER, NO, YES, SILENT = (40, 40, 40), (250, 250, 248), (190, 40, 30), (24, 130, 62), (190, 190, 186)
SEED = 7


async def draw_sheet(target: Path) -> None:
    """Write the sheet as a PNG of 128 colours."""
    chosen = [pair for pairs in of_every_trap(traps.labelled()).values() for pair in pairs]
    async with own_app() as app:
        page = sheet(await heard(chosen, judges_of(app)))
    page.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


def of_every_trap(pairs: Sequence[traps.Pair]) -> dict[str, list[traps.Pair]]:
    """TILES pairs of every kind: the first half crisp, the rest in the model's look."""
    rng, chosen = random.Random(SEED), dict[str, list[traps.Pair]]()
    for trap in dict.fromkeys(pair.trap for pair in pairs):
        looks = [[pair for pair in pairs if pair.trap == trap and pair.look == look] for look in ("crisp", "model's")]
        chosen[trap] = [pair for seen in looks for pair in rng.sample(seen, min(len(seen), TILES // 2))]
    return chosen


def sheet(said: Sequence[Heard]) -> Image.Image:
    """RGB; one strip for every trap, COLUMNS strips side by side."""
    strips = [[one for one in said if one.pair.trap == trap] for trap in dict.fromkeys(one.pair.trap for one in said)]
    width, height = TILES * (EDGE + GAP) + 2 * GAP, TITLE + EDGE + TEXT
    rows = -(-len(strips) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * width, rows * height), PAPER)
    for number, strip in enumerate(strips):
        column, row = divmod(number, rows)
        _draw_strip(page, (column * width + GAP, row * height), strip)
    return page


def _draw_strip(page: Image.Image, corner: tuple[int, int], strip: Sequence[Heard]) -> None:
    left, top = corner
    ImageDraw.Draw(page).text((left, top + 4), strip[0].pair.trap, INK, font_size=12)
    for place, one in enumerate(strip):
        _draw_tile(page, (left + place * (EDGE + GAP), top + TITLE), one)


def _draw_tile(page: Image.Image, corner: tuple[int, int], one: Heard) -> None:
    """The picture, its prompt, and a word for every judge: red where it objects, struck out where it is mistaken."""
    left, top = corner
    pen = ImageDraw.Draw(page)
    page.paste(Image.fromarray(one.pair.picture).resize((EDGE, EDGE), Image.Resampling.LANCZOS), corner)
    for line, text in enumerate(textwrap.wrap(one.pair.prompt, 25)[:3]):
        pen.text((left, top + EDGE + 1 + 9 * line), text, INK, font_size=8)
    for judge, verdict in one.said.items():
        colour = SILENT if verdict.passed is None else YES if verdict.passed else NO
        pen.text((left, top + EDGE + 29), judge, colour, font_size=9)
        width = pen.textlength(judge, font_size=9)
        if verdict.passed is not None and one.pair.truth[judge] is (not verdict.passed):
            pen.line((left, top + EDGE + 35, left + width, top + EDGE + 35), INK)
        left += round(width) + 6
