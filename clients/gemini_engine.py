"""GeminiEngine: pictures drawn and edited by Google's models, through google-genai (extra `gemini`). Costs money."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from clients import _usage
from clients._gemini import drawing
from clients._gemini.connection import SERVICE, SETTING, Connection, may_pass, usage_of
from clients._gemini.drawing import Model
from clients._gemini.kept import Kept
from utils import images
from workflows.errors import AccessDenied, ExtraMissing, ModelMissing, RenderFailed, StudioError, nearest
from workflows.families import family
from workflows.ports import Report
from workflows.types import Artifact, EngineStatus, FamilyProfile, Media, ModelInfo, Recipe, RenderStep, Ticket

PURPOSE = "Drawing with Gemini"
ALLOW = "ATELIER_CLOUD"
CLOUD = "cloud"
"""Kind of its models: none is a file, so that none is chosen for being the best file for a prompt."""
READ_SECONDS = 180.0
MAX_EDGE = 2048
MAX_PICTURE = 6_000_000
"""Bytes of a picture that is given: a request may have 20 MB."""
NOTE = "Gemini promises no like picture for a like seed, and has no steps, no cfg and no negative prompt."
LATE = "Gemini had been asked already, and may charge for it."
TASKS = ("txt2img", "img2img")
NOT_HERE: Mapping[str, str] = {
    "controls": "control pictures",
    "loras": "LoRAs",
    "transparent": "transparent backgrounds",
    "hires": "a second pass",
}


class GeminiEngine:
    """The Engine port.

    `home`: Atelier's folder, where what was paid for is kept until its job has filed it. `allowed`: whether engine auto
    may take it. One picture is asked for at a time.
    """

    name = "gemini"

    def __init__(
        self,
        *,
        api_key: str | None,
        home: Path,
        allowed: bool = False,
        model: str = drawing.DEFAULT,
        base_url: str | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._key = api_key
        self._allowed = allowed
        self._model = model
        self._kept = Kept(folder=home / "gemini")
        self._connection = Connection(
            model,
            api_key=api_key,
            base_url=base_url,
            read_seconds=read_seconds,
            purpose=PURPOSE,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the next render opens new ones."""
        await self._connection.aclose()

    async def model_of(self, recipe: Recipe) -> str:
        """The model that the recipe would be drawn with, as prices name it: a large size has a price of its own."""
        name = recipe.model or self._model
        model = await asyncio.to_thread(drawing.model_of, name)
        return model.priced_as(recipe) if model else name

    def passes(self, error: StudioError) -> bool:
        """Whether it may be gone in a moment."""
        return may_pass(error)

    async def refusal(self, recipe: Recipe) -> str | None:
        if recipe.engine == "auto" and not self._allowed:
            return f'Gemini costs money: ask for engine "{self.name}", or set {ALLOW}=true to let auto choose it.'
        if not self._key:
            no_key = AccessDenied(f"{PURPOSE} needs a key: set {SETTING}.", SETTING)
            if recipe.engine == self.name:
                raise no_key
            return str(no_key)
        if find_spec("google") is None or find_spec("google.genai") is None:
            return str(ExtraMissing("gemini", PURPOSE))
        try:
            return _misfit(await self._found(recipe), recipe)
        except StudioError as error:
            return str(error)

    async def profile(self, recipe: Recipe) -> FamilyProfile:
        model = await self._found(recipe)
        unknown = await asyncio.to_thread(family, "unknown")
        return unknown.profile.but(title=model.title, multiple=8, steps=1, cfg=1.0, negatives=False)

    async def models(self, kind: str = "all") -> Sequence[ModelInfo]:
        """Those that are known here, where there is a key."""
        if not self._key or kind not in {"all", CLOUD}:
            return ()
        models = await asyncio.to_thread(drawing.known)
        return [
            ModelInfo(
                name=one.name, kind=CLOUD, family="unknown", engine=self.name, description=f"{one.title} at Google"
            )
            for one in models.values()
        ]

    async def status(self) -> EngineStatus:
        if not self._key:
            return EngineStatus(name=self.name, available=False, set_up=False, detail=f"It needs a key: set {SETTING}.")
        if find_spec("google") is None or find_spec("google.genai") is None:
            return EngineStatus(name=self.name, available=False, detail=str(ExtraMissing("gemini", PURPOSE)))
        auto = "may choose it" if self._allowed else f"does not choose it ({ALLOW})"
        detail = f"Google draws with {self._model} unless a recipe names another; engine auto {auto}."
        return EngineStatus(name=self.name, available=True, detail=detail, loaded=self._model)

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        """One picture. Raises ServiceError and its kinds, RenderFailed, Refused, StorageError, ExtraMissing.

        What was drawn under this ticket before is given again, for a week; Gemini itself keeps nothing.
        """
        started = time.perf_counter()
        model = await self._found(recipe)
        unfit = _misfit(model, recipe)
        if unfit:
            raise RenderFailed(unfit)
        report(RenderStep(step=0, steps=1, message=f"{model.title} draws", node=model.name))
        asked = await asyncio.to_thread(_asked_for, model, recipe, inputs)
        content = await asyncio.to_thread(self._kept.find, ticket.id, asked) if ticket.again else None
        if content is None:
            content = await self._drawn(model, recipe, inputs)
            await asyncio.to_thread(self._kept.keep, ticket.id, asked, content)
        media, width, height = await asyncio.to_thread(_picture, content, model.name)
        report(RenderStep(step=1, steps=1, message="Drawn", node=model.name))
        facts = {"seconds": round(time.perf_counter() - started, 3), "notes": [NOTE]}
        return [Artifact(media=media, seed=recipe.seed or 0, width=width, height=height, model=model.name, facts=facts)]

    async def _drawn(self, model: Model, recipe: Recipe, inputs: Mapping[str, Media]) -> bytes:
        try:
            content = await self._asked(model, recipe, inputs)
        except asyncio.CancelledError:
            raise asyncio.CancelledError(LATE) from None
        _usage.note({"images": 1.0}, model.priced_as(recipe))
        return content

    async def _asked(self, model: Model, recipe: Recipe, inputs: Mapping[str, Media]) -> bytes:
        client = await self._connection.opened()
        from google.genai import types

        pictures = [await asyncio.to_thread(_small, inputs[role]) for role in _roles(inputs)]
        parts = [types.Part.from_bytes(data=one.data, mime_type=one.media_type) for one in pictures]
        parts.append(types.Part.from_text(text=recipe.prompt))
        async with self._connection.answering("model", model.name):
            response = await client.aio.models.generate_content(
                model=model.name,
                contents=types.Content(role="user", parts=parts),
                config=drawing.content_config(model, recipe),
            )
        _usage.note(usage_of(response))
        return drawing.picture_in(response, model.name)

    async def _found(self, recipe: Recipe) -> Model:
        name = recipe.model or self._model
        model = await asyncio.to_thread(drawing.model_of, name)  # its first call reads a file
        if model is None:
            known = tuple(drawing.known())
            near = nearest(name, known) or known[:3]
            why = f" {drawing.NO_IMAGEN}." if name.startswith(drawing.IMAGEN) else ""
            raise ModelMissing(f"{SERVICE} draws nothing with {name!r}.{why} It has {', '.join(near)}.", known)
        return model


def _misfit(model: Model, recipe: Recipe) -> str | None:
    """Why that model does not draw the recipe."""
    if recipe.task not in TASKS:
        return f"{model.title} does {' and '.join(TASKS)}, and not {recipe.task}."
    for name, words in NOT_HERE.items():
        if getattr(recipe, name):
            return f"{model.title} knows nothing of {words}."
    return None


def _roles(inputs: Mapping[str, Media]) -> list[str]:
    """What is shown to it: the picture to be edited first."""
    references = sorted(role for role in inputs if role.startswith("reference_"))
    return (["source"] if "source" in inputs else []) + references


def _small(picture: Media) -> Media:
    data, media_type, *_ = images.preview(picture.data, MAX_EDGE, MAX_PICTURE)
    return Media(data=data, media_type=media_type)


def _picture(content: bytes, model: str) -> tuple[Media, int, int]:
    """As PNG, with its size. Raises RenderFailed."""
    try:
        picture = images.decode(content)
    except images.BadPicture as error:
        raise RenderFailed(f"{SERVICE} ({model}) gave something that is no picture: {error}.") from error
    data = content if images.sniff(content) == "image/png" else images.encode_png(picture)
    return Media(data=data, media_type="image/png"), picture.width, picture.height


def _asked_for(model: Model, recipe: Recipe, inputs: Mapping[str, Media]) -> str:
    """A hash of the request."""
    parts = [model.name, recipe.prompt, recipe.seed, recipe.width, recipe.height]
    parts += [f"{role} {images.sha256(media.data)}" for role, media in sorted(inputs.items())]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
