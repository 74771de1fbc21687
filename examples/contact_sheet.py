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

from clients.tools.generation import generate_image
from clients.wiring import open_app
from workflows.sheets import Tile, contact_sheet

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


async def drawn(prompts: Sequence[str]) -> list[dict[str, Any]]:
    """The answers, in the order of the prompts."""
    async with open_app():
        return [await generate_image(prompt=prompt, seed=7) for prompt in prompts]


def sheet(prompts: Sequence[str], answers: Sequence[dict[str, Any]]) -> bytes:
    """A PNG, four tiles wide, with the verdict below each picture."""
    return contact_sheet([_tile(*pair) for pair in zip(prompts, answers, strict=True)], columns=4, edge=216)


def _tile(prompt: str, answer: dict[str, Any]) -> Tile:
    verdict = answer["validation"]
    told = "passed" if verdict["passed"] else "not accepted"
    line = f"{told} {verdict['positive_score']:.3f}, attempt {answer['attempt']}"
    mark = "passed" if verdict["passed"] else "failed"
    return Tile(picture=Path(answer["path"]).read_bytes(), lines=(prompt, line), mark=mark)


def main(arguments: Sequence[str]) -> None:
    target = Path(arguments[0] if arguments else "sheet.png")
    prompts = arguments[1:] or PROMPTS
    target.write_bytes(sheet(prompts, asyncio.run(drawn(prompts))))
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
