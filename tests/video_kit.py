"""Real small videos, and fake engines that draw them or carry out workflows."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from tests.fakes import PROFILE, FakeEngine
from utils.video import encoded
from workflows.ports import Report
from workflows.types import VIDEOS, Artifact, FamilyProfile, Media, Recipe, RenderStep, Ticket

FILM_PROFILE: FamilyProfile = PROFILE.but(
    name="fake-film", title="Fake Film", multiple=16, frames=9, frame_step=4, most_frames=17, fps=8.0
)
Colour = tuple[int, int, int]
RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)


def film(frames: int = 5, size: tuple[int, int] = (64, 48), fps: float = 8.0, colour: Colour = RED) -> bytes:
    """An MP4 of one colour in which a white bar moves."""
    pictures: list[Image.Image] = []
    for place in range(frames):
        picture = Image.new("RGB", size, colour)
        picture.paste((255, 255, 255), (4 * place, 0, 4 * place + 4, size[1]))
        pictures.append(picture)
    return encoded(pictures, fps)


def moving_gif(frames: int = 4) -> bytes:
    """An animated GIF of 32 x 32."""
    buffer = io.BytesIO()
    first, *others = (Image.new("RGB", (32, 32), (60 * place, 30, 30)) for place in range(frames))
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=100)
    return buffer.getvalue()


def mp4(content: bytes) -> Media:
    return Media(data=content, media_type="video/mp4")


def colour_of(picture: bytes) -> Colour:
    """The colour of the lowest right pixel, in steps of 10: H.264 does not keep it exactly."""
    found = Image.open(io.BytesIO(picture)).convert("RGB")
    pixel = found.getpixel((found.width - 1, found.height - 1))
    assert isinstance(pixel, tuple)
    red, green, blue = (round(part / 10) * 10 for part in pixel)
    return red, green, blue


@dataclass(kw_only=True)
class FilmEngine(FakeEngine):
    """Draws a video of the colour given for the seed, of as many frames as the recipe says; pictures as its parent."""

    profile_: FamilyProfile = FILM_PROFILE
    colour: Colour = GREEN
    broken: bytes | None = None
    """What it gives instead of a video."""

    def _drawn(self, recipe: Recipe, inputs: Mapping[str, Media], number: int) -> Artifact:
        if recipe.task not in VIDEOS:
            return super()._drawn(recipe, inputs, number)
        size = recipe.width or 64, recipe.height or 48
        content = (
            film(recipe.frames or 10, size, recipe.fps or 8.0, self.colour) if self.broken is None else self.broken
        )
        return Artifact(
            media=mp4(content),
            seed=recipe.seed or 0,
            width=size[0],
            height=size[1],
            model="fake-film",
            facts=self.facts,
        )


@dataclass(kw_only=True)
class FlowEngine(FakeEngine):
    """Carries out any workflow: it gives the outputs it was made with, and remembers graph, files and tickets."""

    outputs: Sequence[Artifact] = ()

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        self.recipes.append(recipe)
        self.inputs.append(inputs)
        self.tickets.append(ticket)
        self.started.set()
        if self.errors:
            raise self.errors.pop(0)
        report(RenderStep(step=1, steps=2, node="FakeNode"))
        try:
            await (self.gate.wait() if self.gate else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return self.outputs


def output(content: bytes, media_type: str, node: str = "9") -> Artifact:
    """One file that a workflow made."""
    facts: dict[str, object] = {"node": node, "graph": {"9": {"class_type": "SaveImage", "inputs": {}}}}
    return Artifact(
        media=Media(data=content, media_type=media_type), seed=3, width=0, height=0, model="m.safetensors", facts=facts
    )
