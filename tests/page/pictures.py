"""A gallery for the eye: pictures of many colours and shapes, with words, verdicts, tags and ancestors."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from tests.fakes import FakeEngine
from utils.images import sha256
from workflows.app import App
from workflows.types import Artifact, Item, Job, LoraUse, Media, Progress, Recipe, Verdict, new_id, now

SIZES = ((64, 64), (96, 64), (64, 96), (112, 64), (64, 112), (80, 64))
SUBJECTS = (
    "a red fox in the snow",
    "a lighthouse at dusk",
    "an astronaut reading a newspaper in a café",
    "雪の中の赤い狐、水彩",
    "a bowl of ramen, steam, macro photography",
    "portrait of an old sailor, oil painting",
    "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>",
    "isometric tiny house, clay render 🏠",
    "a city street after rain, neon reflections, a very long prompt that goes on and on, " + "more detail, " * 20,
    "mountains, lake, morning mist",
)
MODELS = ("sd_xl_base_1.0.safetensors", "dreamshaper_8.safetensors", "flux1-dev.safetensors", "demo")
TAGS = ("portfolio", "draft", "client a", "猫")
DONE = Progress(fraction=1.0, message="Done")
SCALE = 8
"""Recipes tell sizes so many times those of the files, as large as real pictures are."""


@dataclass(kw_only=True)
class Painter(FakeEngine):
    """Draws gradients and circles from the seed instead of one colour, with a glimpse at every step."""

    def _drawn(self, recipe: Recipe, inputs: object, number: int) -> Artifact:
        seed = ((recipe.seed or 0) + number) % 2**32
        width, height = recipe.width or 64, recipe.height or 64
        return Artifact(
            media=Media(data=painting(seed, width, height), media_type="image/png"),
            seed=seed,
            width=width,
            height=height,
            model="fake-model",
            model_hash="0123456789",
        )


def painter() -> Painter:
    return Painter(preview=Media(data=painting(5, 64, 64), media_type="image/png"))


def painting(seed: int, width: int, height: int) -> bytes:
    """A PNG that is another for each seed."""
    dice = random.Random(seed)
    base, other = ([dice.randrange(256) for _ in range(3)] for _ in range(2))
    slope = Image.linear_gradient("L").resize((width, height))
    picture = Image.composite(
        Image.new("RGB", slope.size, (base[0], base[1], base[2])),
        Image.new("RGB", slope.size, (other[0], other[1], other[2])),
        slope,
    )
    pen = ImageDraw.Draw(picture)
    for _ in range(3):
        x, y, r = dice.randrange(width), dice.randrange(height), dice.randrange(4, max(6, min(width, height) // 3))
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(dice.randrange(256), dice.randrange(256), dice.randrange(256)))
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


async def seeded(app: App, home: Path, count: int) -> list[Item]:
    """File `count` pictures, the newest first in the answer. Their files are few, each under many names."""
    drawn = await asyncio.to_thread(_drawings, home / "drawn")
    made: list[Item] = []
    batch = 4 if count <= 2000 else 1000
    for start in range(0, count, batch):
        job_id = new_id()
        items = [_item(number, job_id, count, made) for number in range(start, min(start + batch, count))]
        await asyncio.to_thread(_link, home / "pictures", drawn, items)
        listed = tuple(item.id for item in items) if batch == 4 else ()
        job = Job(id=job_id, recipe=items[0].recipe, state="succeeded", engine="fake", item_ids=listed, progress=DONE)
        await app.studio.jobs.save(job, await app.studio.jobs.add(job.but(state="running")), items)
        made += items
    return made[::-1]


def _recipe(number: int, parent: Item | None) -> Recipe:
    width, height = (SCALE * edge for edge in SIZES[number % len(SIZES)])
    loras = (LoraUse(name="add-detail-xl", strength=0.7),) if number % 3 == 0 else ()
    return Recipe(
        prompt=SUBJECTS[number % len(SUBJECTS)],
        negative="blurry, text",
        model=MODELS[number % len(MODELS)],
        width=width,
        height=height,
        steps=20 + number % 3 * 10,
        cfg=4.0 + number % 4,
        seed=number,
        loras=loras,
        source_item=parent.id if parent else None,
        task="img2img" if parent else "txt2img",
    )


def _item(number: int, job_id: str, count: int, before: Sequence[Item]) -> Item:
    score = round(random.Random(number).uniform(0.15, 0.4), 4)
    parent = before[-4] if number % 7 == 6 and len(before) >= 4 else None
    recipe = _recipe(number, parent)
    verdict = _judged(score)
    return Item(
        job_id=job_id,
        key=f"{job_id}/1/{number}.png",
        media_type="image/png",
        width=recipe.width or 0,
        height=recipe.height or 0,
        size=1000,
        sha256=sha256(str(number).encode()),
        created=now() - timedelta(hours=count - number),
        prompt=recipe.prompt,
        negative=recipe.negative,
        model=recipe.model or "",
        model_hash="0123456789",
        engine="fake" if number % 2 else "comfyui",
        seed=number,
        score=score,
        passed=verdict.passed,
        favourite=number % 9 == 0,
        tags=(TAGS[number % len(TAGS)],) if number % 5 == 0 else (),
        parent_id=parent.id if parent else None,
        recipe=recipe,
        rendered=recipe,
        verdicts=(verdict,),
        facts={"sampler": "euler", "seconds": 4.2, "graph": {"1": {"class_type": "KSampler", "inputs": {}}}},
    )


def _judged(score: float) -> Verdict:
    passed = score >= 0.25
    return Verdict(
        judge="clip",
        passed=passed,
        score=score,
        merit=score,
        reason="Image passed validation" if passed else f"Low positive CLIP score: {score} < 0.25",
        measures={"positive_score": score, "negative_score": 0.1, "score_delta": round(score - 0.1, 4)},
    )


def _drawings(folder: Path) -> list[Path]:
    """Eight pictures of each size."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(8 * len(SIZES))]
    for number, path in enumerate(paths):
        width, height = (4 * edge for edge in SIZES[number % len(SIZES)])
        path.write_bytes(painting(number, width, height))
    return paths


def _link(root: Path, drawn: Sequence[Path], items: Iterable[Item]) -> None:
    for item in items:
        path = root / item.key
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(drawn[item.seed % len(drawn)], path)
