"""Frames of animations on one sheet: python examples/animation.py sheet.png ["PROMPT" ...]

It has the demo model animate each prompt (-> stands between scenes), judged as always, and sets frames side by side.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clients.tools.video import generate_video
from clients.wiring import open_app
from utils.video import sampled
from workflows.sheets import Tile, contact_sheet

PROMPTS = ("a red circle on white -> a blue square on white", "a big yellow star on a purple background")
SHOWN = 6
"""Frames of each, the first and the last among them."""


async def animated(prompts: Sequence[str]) -> list[dict[str, Any]]:
    """The answers, in the order of the prompts."""
    async with open_app():
        return [await generate_video(prompt=prompt, seed=7) for prompt in prompts]


def sheet(prompts: Sequence[str], answers: Sequence[dict[str, Any]]) -> bytes:
    """A PNG with a row for each video, the verdict below its first frame."""
    rows = [_row(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    return contact_sheet([tile for row in rows for tile in row], columns=SHOWN, edge=160)


def _row(prompt: str, answer: dict[str, Any]) -> list[Tile]:
    verdict, facts = answer["validation"], answer["metadata"]
    told = f"{'passed' if verdict['passed'] else 'not accepted'} {verdict['positive_score']:.3f}"
    first, *others = sampled(Path(answer["path"]).read_bytes(), SHOWN)
    lines = (prompt, f"{told}, {facts['frames']} frames")
    mark = "passed" if verdict["passed"] else "failed"
    return [Tile(picture=first, lines=lines, mark=mark), *(Tile(picture=one, lines=()) for one in others)]


def main(arguments: Sequence[str]) -> None:
    target = Path(arguments[0] if arguments else "animation.png")
    prompts = arguments[1:] or PROMPTS
    target.write_bytes(sheet(prompts, asyncio.run(animated(prompts))))
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
