"""Pictures and their verdicts on one sheet: python examples/contact_sheet.py sheet.png ["PROMPT" ...]

It draws each prompt with the demo model, checked as always, and sets what came back beside what the judge said.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image, ImageDraw

from clients.tools.generation import generate_image
from clients.wiring import open_app

PROMPTS = (
    "a red circle on a white background",
    "two yellow stars on a purple background",
    "a pair of blue squares",
    "a big yellow heart on navy",
    "an orange person with raised arms",
    "draw me a purple diamond please",
    "a cyan ring in the top left corner",
    "single red car on a country road",
)
TILE = 216
MARGIN = 8
CAPTION = 44
COLUMNS = 4
GREEN, RED, INK, PAPER = (22, 128, 60), (176, 42, 32), (40, 40, 40), (250, 250, 248)


async def drawn(prompts: Sequence[str]) -> list[dict[str, Any]]:
    """The answers, in the order of the prompts."""
    async with open_app():
        return [await generate_image(prompt=prompt, seed=7) for prompt in prompts]


def sheet(prompts: Sequence[str], answers: Sequence[dict[str, Any]]) -> Image.Image:
    """RGB, COLUMNS tiles wide."""
    rows = -(-len(prompts) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + CAPTION)), PAPER)
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        left, top = number % COLUMNS * TILE, number // COLUMNS * (TILE + CAPTION)
        edge = TILE - 2 * MARGIN
        with Image.open(answer["path"]) as picture:
            tile = picture.convert("RGB").resize((edge, edge), Image.Resampling.LANCZOS)
        page.paste(tile, (left + MARGIN, top + MARGIN))
        write_caption(ImageDraw.Draw(page), (left + MARGIN, top + TILE - 4), prompt, answer)
    return page


def write_caption(pen: ImageDraw.ImageDraw, place: tuple[int, int], prompt: str, answer: dict[str, Any]) -> None:
    left, top = place
    verdict = answer["validation"]
    pen.text((left, top), prompt, INK, font_size=11)
    told = "passed" if verdict["passed"] else "not accepted"
    line = f"{told} {verdict['positive_score']:.3f}, attempt {answer['attempt']}"
    pen.text((left, top + 16), line, GREEN if verdict["passed"] else RED, font_size=11)


def main(arguments: Sequence[str]) -> None:
    target = Path(arguments[0] if arguments else "sheet.png")
    prompts = arguments[1:] or PROMPTS
    sheet(prompts, asyncio.run(drawn(prompts))).save(target, optimize=True)
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
