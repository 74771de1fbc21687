"""The validation loop from Python: defaults, validation off, own threshold, and what the answer holds.

Run it: python examples/mcp_validation_example.py
It draws with the demo model, needs no key and no network, and files the pictures under ATELIER_HOME.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clients.tools.generation import generate_image
from clients.wiring import open_app


async def main() -> list[dict[str, Any]]:
    """Four calls, each told in a line; returns the four answers."""
    async with open_app():
        checked = await generate_image(prompt="a red circle on a white background", seed=1)
        unchecked = await generate_image(prompt="two blue squares", validate=False, seed=1)
        strict = await generate_image(prompt="a yellow star, black backdrop", positive_threshold=0.3, retry_limit=5)
        hopeless = await generate_image(prompt="single red car on a country road", retry_limit=2)
    answers = [checked, unchecked, strict, hopeless]
    for answer in answers:
        tell(answer)
    return answers


def tell(answer: dict[str, Any]) -> None:
    """One line: what was asked, how it was judged, where it lies."""
    verdict = answer.get("validation", {"reason": "not asked to judge"})
    line = f"{answer['metadata']['prompt']!r}: {verdict.get('reason', verdict.get('skipped'))}"
    sys.stdout.write(f"{line} (attempt {answer['attempt']}) -> {answer['path']}\n")


if __name__ == "__main__":
    asyncio.run(main())
