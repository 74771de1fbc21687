"""What judging gains: how many prompts end with the right picture, read from its pixels and not by any judge."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from world import captions, reader, scenes

from clients.tools.control import get_progress
from clients.tools.generation import generate_image
from utils.images import decode

SEED = 4242
"""That of evaluate.py, so that its held-out captions are met again."""
WAYS: Mapping[str, Mapping[str, Any]] = {
    "no retry": {"auto_retry": False},
    "3 rounds": {"retry_limit": 3},
    "best of 4": {"auto_retry": False, "best_of": 4},
}


@dataclass(frozen=True)
class Wish:
    """A prompt with its meaning, and the seed that it is drawn from."""

    caption: captions.Caption
    seed: int


@dataclass(frozen=True)
class Ending:
    """What came of a wish: `right` is what the pixels show, `accepted` what the judges said."""

    prompt: str
    right: bool
    accepted: bool | None
    drawn: int
    seconds: float
    path: str


def held_out_wishes(count: int) -> list[Wish]:
    """The prompts and seeds of `evaluate.py t2i`: captions that no training has seen."""
    rng = random.Random(SEED)
    wishes: list[Wish] = []
    for number in range(count):
        facts = scenes.sample_scene(rng, scenes.GENERATOR_MIX).facts
        wishes.append(Wish(captions.held_out_caption(facts, rng, captions.GENERATOR_WORDING), 1000 * number))
    return wishes


def meant(text: str, count: int, kind: str, colour: str, background: str, more: Mapping[int, int]) -> captions.Caption:
    """A prompt written by hand with what it says; `more`: symbols of size, place or pose by their field.

    A thing of medium size does not belie "small", nor one in a corner "at the bottom", as in the captions of training.
    """
    true, tolerated = [captions.ANY] * len(scenes.FACT_FIELDS), [0] * len(scenes.FACT_FIELDS)
    said = {
        captions.COUNT: count,
        captions.SHAPE: scenes.SHAPES.index(kind),
        captions.COLOUR: scenes.COLOUR_NAMES.index(colour),
        captions.BACKGROUND: scenes.COLOUR_NAMES.index(background),
        **more,
    }
    for fact, symbol in said.items():
        true[fact] = captions.bits(symbol)
    tolerated[captions.SIZE] = captions.bits(scenes.MEDIUM)
    tolerated[captions.PLACE] = captions.bits(*captions.PLACE_TOLERANCE.get(more.get(captions.PLACE, 0), ()))
    return captions.Caption(text, tuple(true), tuple(tolerated))


SMALL = {captions.SIZE: scenes.SMALL}
DOWN, UP, OUT = ({captions.POSE: pose} for pose in range(3))
CORNERS = {name: {captions.PLACE: scenes.PLACES.index(name)} for name in scenes.PLACES}
HARD = (
    meant("three cyan people with their arms down, orange background", 3, "person", "cyan", "orange", DOWN),
    meant("a trio of white human figures on green, arms up", 3, "person", "white", "green", UP),
    meant("three red people with arms down on a white background", 3, "person", "red", "white", DOWN),
    meant("two purple people with arms up on a white background", 2, "person", "purple", "white", UP),
    meant("two green people in a t-pose on black", 2, "person", "green", "black", OUT),
    meant("two white people with arms outstretched, blue background", 2, "person", "white", "blue", OUT),
    meant("a gray person with arms out on a cyan background", 1, "person", "gray", "cyan", OUT),
    meant("three small brown rings on cyan", 3, "ring", "brown", "cyan", SMALL),
    meant("two tiny blue rings on a yellow background", 2, "ring", "blue", "yellow", SMALL),
    meant("two tiny orange crosses, gray background", 2, "cross", "orange", "gray", SMALL),
    meant("two small black stars on a pink background", 2, "star", "black", "pink", SMALL),
    meant("three small white hearts on a brown background", 3, "heart", "white", "brown", SMALL),
    meant("three small green triangles, purple background", 3, "triangle", "green", "purple", SMALL),
    meant("one tiny red star in the top left corner, pink background", 1, "star", "red", "pink",
          SMALL | CORNERS["top left"]),
    meant("a small white ring in the top right corner, orange background", 1, "ring", "white", "orange",
          SMALL | CORNERS["top right"]),
    meant("a small cyan ring at the bottom of a red background", 1, "ring", "cyan", "red",
          SMALL | CORNERS["bottom"]),
    meant("two brown stars on an orange canvas", 2, "star", "brown", "orange", {}),
    meant("three white stars on a gray background", 3, "star", "white", "gray", {}),
    meant("two purple rings on a brown background", 2, "ring", "purple", "brown", {}),
    meant("two cyan diamonds on a blue background", 2, "diamond", "cyan", "blue", {}),
)  # fmt: skip


def hard_wishes() -> list[Wish]:
    """Prompts written by hand: crowds, small things, odd pairs of colours.

    Of sixty of these the twenty of which one to three of four seeds gave the right picture, by the reader; the seeds
    here are others. What never or always comes out right shows nothing of what choosing gains.
    """
    return [Wish(caption, 50_000 + 1000 * number) for number, caption in enumerate(HARD)]


async def endings(wishes: Sequence[Wish], checks: Sequence[str], way: Mapping[str, Any]) -> list[Ending]:
    """Each wish through the tool that an assistant calls, within an open App."""
    return [await _ending(wish, checks, way) for wish in wishes]


async def _ending(wish: Wish, checks: Sequence[str], way: Mapping[str, Any]) -> Ending:
    began = time.perf_counter()
    answer = await generate_image(prompt=wish.caption.text, seed=wish.seed, checks=list(checks), **way)
    while answer["status"] in {"queued", "running"}:
        answer = await get_progress(answer["job_id"], wait_seconds=40)
    if answer["status"] != "success":
        raise RuntimeError(f"{wish.caption.text!r} ended as {answer['status']} and not with a picture.")
    return Ending(
        prompt=wish.caption.text,
        right=await asyncio.to_thread(_shows, Path(answer["path"]), wish.caption),
        accepted=answer["validation"].get("passed"),
        drawn=len(answer["attempts"]),
        seconds=time.perf_counter() - began,
        path=answer["path"],
    )


def _shows(path: Path, caption: captions.Caption) -> bool:
    """What the pixels of the file say."""
    return reader.read(np.asarray(decode(path.read_bytes()).convert("RGB"))).shows(caption)
