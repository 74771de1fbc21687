"""FalEngine: pictures and videos drawn by FAL.ai, through its own SDK (extra `fal`). Costs money; needs a key."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from clients import _usage
from clients._fal import models as endpoints
from clients._fal.downloads import Downloads
from clients._fal.models import Endpoint, Model, is_id
from clients._fal.payload import Payload, loras_refusal, payload_for
from clients._fal.queue import FINISHED, PURPOSE, REQUESTED, Place, Queue
from clients._fal.replies import SETTING, Unreadable, made_in
from clients._fal.schemas import Schemas
from clients._fal.tickets import Sent, Tickets
from utils import images
from workflows.errors import (
    AccessDenied,
    ExtraMissing,
    ModelMissing,
    RenderFailed,
    ServiceUnavailable,
    StudioError,
    nearest,
)
from workflows.ports import Report
from workflows.types import Artifact, EngineStatus, FamilyProfile, Media, ModelInfo, Recipe, RenderStep, Ticket

if TYPE_CHECKING:
    from fal_client import AsyncRequestHandle

MOST_PICTURE = 100_000_000
MOST_VIDEO = 500_000_000
"""Bytes of a file that is fetched."""
STEPS = 100
"""What a render is counted in where the recipe has no steps."""
ALLOW = "ATELIER_CLOUD"
CLOUD = "cloud"
"""Kind of its models: none is a file, so that none is chosen for being the best file for a prompt."""
NOT_HERE: Mapping[str, str] = {
    "controls": "control pictures",
    "mask_text": "masks by words; give mask_image",
    "transparent": "transparent backgrounds",
    "hires": "a second pass",
    "extend": "extending a picture",
}
"""Fields of a recipe that none of its endpoints here is told of."""


class FalEngine:
    """The Engine port on FAL's queue.

    `home`: Atelier's folder; which request belongs to which render is kept there. `allowed`: whether engine auto may
    take it. `model`: what draws when a recipe names none. One picture is asked for at a time.
    """

    name = "fal"

    def __init__(
        self,
        *,
        api_key: str | None,
        home: Path,
        allowed: bool = False,
        model: str = endpoints.DEFAULT,
        queue: Queue | None = None,
        schemas: Schemas | None = None,
        downloads: Downloads | None = None,
    ) -> None:
        self._key = api_key
        self._allowed = allowed
        self._model = model
        self._tickets = Tickets(folder=home / "fal")
        self._queue = queue or Queue(api_key)
        self._schemas = schemas or Schemas(api_key)
        self._downloads = downloads or Downloads()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the next render opens new ones."""
        await self._queue.aclose()

    async def model_of(self, recipe: Recipe) -> str:
        """The endpoint that the recipe would be drawn with, as far as it is known without asking FAL."""
        name = recipe.model or self._model
        model = await asyncio.to_thread(endpoints.model_of, name)  # its first call reads files
        return model.endpoints[recipe.task].id if model and recipe.task in model.endpoints else name

    async def price(self, model: str) -> tuple[str, float] | None:
        """What FAL says that a model costs: unit and US dollars; asked once."""
        return await self._schemas.price(model)

    def passes(self, error: StudioError) -> bool:
        """Whether it may be gone in a moment; what was sent is taken up then, and not paid again."""
        return isinstance(error, ServiceUnavailable)

    async def refusal(self, recipe: Recipe) -> str | None:
        if recipe.engine == "auto" and not self._allowed:
            return f'FAL costs money: ask for engine "{self.name}", or set {ALLOW}=true to let auto choose it.'
        if not self._key:
            no_key = AccessDenied(f"{PURPOSE} needs a key: set {SETTING}.", SETTING)
            if recipe.engine == self.name:
                raise no_key
            return str(no_key)
        if find_spec("fal_client") is None:
            return str(ExtraMissing("fal", PURPOSE))
        try:
            model = await self._found(recipe)
        except StudioError as error:
            return str(error)
        return _misfit(model, recipe)

    async def profile(self, recipe: Recipe) -> FamilyProfile:
        model = await self._found(recipe)
        return await asyncio.to_thread(lambda: model.profile)

    async def models(self, kind: str = "all") -> Sequence[ModelInfo]:
        """Those that are known here, where there is a key; any other is drawn with by its id."""
        if not self._key or kind not in {"all", CLOUD}:
            return ()
        return [
            ModelInfo(
                name=model.id,
                kind=CLOUD,
                family=model.family,
                engine=self.name,
                description=f"{model.title} at FAL.ai ({', '.join(model.endpoints)})",
            )
            for model in (await asyncio.to_thread(endpoints.known)).values()
        ]

    async def status(self) -> EngineStatus:
        if not self._key:
            return EngineStatus(name=self.name, available=False, set_up=False, detail=f"It needs a key: set {SETTING}.")
        if find_spec("fal_client") is None:
            return EngineStatus(name=self.name, available=False, detail=str(ExtraMissing("fal", PURPOSE)))
        auto = "may choose it" if self._allowed else f"does not choose it ({ALLOW})"
        detail = f"FAL.ai draws with {self._model} unless a recipe names another; engine auto {auto}."
        return EngineStatus(name=self.name, available=True, detail=detail, loaded=self._model)

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        """One picture or video. Raises ServiceError and its kinds, RenderFailed, Refused, StorageError, ExtraMissing.

        A request that was sent under this ticket before is taken up, also when it is finished, for a week.
        """
        started = time.perf_counter()
        model = await self._found(recipe)
        unfit = _misfit(model, recipe)
        if unfit:
            raise RenderFailed(unfit)
        work = _Work(recipe=recipe, endpoint=model.endpoints[recipe.task], report=report, ticket=ticket)
        result, metrics = await self._result(work, inputs)
        artifact = await self._artifact(work, result)
        _usage.note(_units(artifact, metrics), work.endpoint.id)
        return [replace(artifact, facts={"seconds": round(time.perf_counter() - started, 3)} | artifact.facts)]

    # ------------------------------------------------------------------ asking

    async def _result(self, work: _Work, inputs: Mapping[str, Media]) -> tuple[object, Mapping[str, Any]]:
        """What FAL made, and its metrics: of the request that this ticket stands for already, else of a new one."""
        asked = await asyncio.to_thread(_asked_for, work, inputs)
        before = await asyncio.to_thread(self._tickets.find, work.ticket.id) if work.ticket.again else None
        if before is not None and before.asked == asked:
            result, metrics = await self._taken_up(work, before)
            if result is not None:
                return result, metrics
        return await self._asked_anew(work, inputs, asked)

    async def _taken_up(self, work: _Work, before: Sent) -> tuple[object | None, Mapping[str, Any]]:
        """The result of a request that was sent before; None when FAL no longer has it."""
        handle = await self._queue.found(before.endpoint, before.request_id)
        try:
            return await self._followed(work, handle)
        except ModelMissing:
            await asyncio.to_thread(self._tickets.drop, work.ticket.id)
            return None, {}

    async def _asked_anew(
        self, work: _Work, inputs: Mapping[str, Media], asked: str
    ) -> tuple[object, Mapping[str, Any]]:
        work.tell(0, "Sent to FAL")
        wanted = {role: media for role, media in inputs.items() if role in {"source", "mask"} or "reference" in role}
        links = {role: await self._queue.upload(work.endpoint.id, media) for role, media in wanted.items()}
        plan = payload_for(work.endpoint, work.recipe, links)
        handle = await self._submitted(work, plan, asked)
        return await self._followed(work, handle)

    async def _submitted(self, work: _Work, plan: Payload, asked: str) -> AsyncRequestHandle:
        """Sent and written down; a cancel in between waits for both, so that nothing runs there unknown."""

        async def send() -> AsyncRequestHandle:
            handle = await self._queue.submit(work.endpoint.id, plan.arguments)
            sent = Sent(endpoint=work.endpoint.id, request_id=handle.request_id, asked=asked)
            await asyncio.to_thread(self._tickets.keep, work.ticket.id, sent)
            return handle

        sending = asyncio.create_task(send(), name=f"fal submit {work.ticket.id}")
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait({sending})
            if sending.exception() is None:
                raise asyncio.CancelledError(await self._stopped(work, sending.result(), None)) from None
            raise

    async def _followed(self, work: _Work, handle: AsyncRequestHandle) -> tuple[object, Mapping[str, Any]]:
        last: list[Place] = []

        def heard(place: Place) -> None:
            last[:] = [place]
            work.hear(place)

        try:
            return await self._queue.follow(work.endpoint.id, handle, heard)
        except asyncio.CancelledError:
            stopping = asyncio.create_task(self._stopped(work, handle, last[0] if last else None))
            await asyncio.wait({stopping})
            raise asyncio.CancelledError(stopping.result()) from None

    async def _stopped(self, work: _Work, handle: AsyncRequestHandle, place: Place | None) -> str:
        """Tell the queue to stop; what the user should know of that, "" when it had not begun."""
        said = await self._queue.cancel(handle)
        if said == FINISHED:
            return "FAL had finished it already, so that it is charged for."
        if said != REQUESTED:
            return "FAL could not be told to stop: it may finish the render and charge for it."
        await asyncio.to_thread(self._tickets.drop, work.ticket.id)
        begun = place is not None and place.begun
        return "FAL had begun with it: it was told to stop, and may charge for what it did." if begun else ""

    # ------------------------------------------------------------------ what came of it

    async def _artifact(self, work: _Work, result: object) -> Artifact:
        plan = payload_for(work.endpoint, work.recipe, {})
        try:
            made = made_in(result)
        except Unreadable as error:
            raise RenderFailed(f"FAL's {work.endpoint.id} gave a result that could not be used: {error}.") from error
        if not made.urls:
            raise RenderFailed(f"FAL's {work.endpoint.id} made nothing.")
        work.tell(1, "Fetching what FAL made")
        content = await self._downloads.fetch(made.urls[0], MOST_VIDEO if made.video else MOST_PICTURE)
        finish = _video if made.video else _picture
        media, width, height, facts = await asyncio.to_thread(finish, content, work)
        seed = made.seed if made.seed is not None else plan.arguments.get("seed", work.recipe.seed)
        return Artifact(
            media=media,
            seed=int(seed or 0),
            width=width,
            height=height,
            model=work.endpoint.id,
            facts=facts | _settings(plan) | ({"notes": plan.notes} if plan.notes else {}),
        )

    async def _found(self, recipe: Recipe) -> Model:
        """The model that draws the recipe. Raises ModelMissing for one that FAL cannot have."""
        name = recipe.model or self._model
        model = await asyncio.to_thread(endpoints.model_of, name)
        if model is not None:
            return model
        known = tuple(endpoints.known())
        if not is_id(name):
            near = nearest(name, known)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise ModelMissing(
                f"{name!r} is no model of FAL's: those are named owner/name, such as {endpoints.DEFAULT}.{hint}", known
            )
        try:
            return await self._schemas.model(name)
        except ValueError as error:
            raise ModelMissing(f"{error}. Its models: fal.ai/models", known) from error
        except ModelMissing as error:
            near = nearest(name, known)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise ModelMissing(f"{error}{hint}", known) from error


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One render on its way."""

    recipe: Recipe
    endpoint: Endpoint
    report: Report
    ticket: Ticket

    @property
    def steps(self) -> int:
        return self.recipe.steps or STEPS

    def tell(self, share: float, words: str, ahead: int | None = None) -> None:
        step = round(share * self.steps)
        self.report(RenderStep(step=step, steps=self.steps, message=words, node=self.endpoint.id, ahead=ahead))

    def hear(self, place: Place) -> None:
        if place.ahead is not None:
            self.tell(0, f"Waiting at FAL, {place.ahead} before this", place.ahead)
        else:
            self.tell(place.share or 0, f"FAL draws{f': {place.words}' if place.words else ''}")


def _misfit(model: Model, recipe: Recipe) -> str | None:
    """Why that model does not draw the recipe."""
    if recipe.task not in model.endpoints:
        able = ", ".join(model.endpoints)
        return f"FAL's {model.id} does {able}, and not {recipe.task}. Name another model of fal.ai/models."
    endpoint = model.endpoints[recipe.task]
    for name, words in NOT_HERE.items():
        if getattr(recipe, name):
            return f"{model.id} is not told of {words} here."
    if recipe.references and "image_urls" not in endpoint.inputs:
        return f"FAL's {endpoint.id} takes no reference pictures."
    if recipe.loras and "loras" not in endpoint.inputs:
        return f"FAL's {endpoint.id} takes no LoRAs; fal-ai/flux-lora and fal-ai/fast-sdxl do."
    return loras_refusal(recipe.loras)


def _asked_for(work: _Work, inputs: Mapping[str, Media]) -> str:
    """A hash of the request, whatever address its pictures get."""
    arguments = payload_for(work.endpoint, work.recipe, {}).arguments
    pictures = {role: images.sha256(media.data) for role, media in inputs.items()}
    text = json.dumps([work.endpoint.id, arguments, pictures], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _picture(content: bytes, work: _Work) -> tuple[Media, int, int, dict[str, Any]]:
    """The picture as PNG, in the recipe's size where something is pasted from it. Raises RenderFailed."""
    try:
        picture = images.decode(content)
    except images.BadPicture as error:
        raise RenderFailed(f"FAL's {work.endpoint.id} gave something that is no picture: {error}.") from error
    recipe = work.recipe
    wanted = (recipe.width or picture.width, recipe.height or picture.height)
    if recipe.task == "inpaint" and picture.size != wanted:
        picture = picture.resize(wanted)
    whole = images.sniff(content) == "image/png" and recipe.task != "inpaint"
    data = content if whole else images.encode_png(picture)
    return Media(data=data, media_type="image/png"), picture.width, picture.height, {}


def _video(content: bytes, work: _Work) -> tuple[Media, int, int, dict[str, Any]]:
    """The video as MP4, with what is known of it. Raises RenderFailed, ExtraMissing."""
    from utils import video

    try:
        whole = video.as_mp4(content)
        clip = video.probe(whole)
    except video.PyAvMissing as error:
        raise ExtraMissing("video", "Reading the video that FAL made") from error
    except video.BadVideo as error:
        raise RenderFailed(f"FAL's {work.endpoint.id} gave something that is no video: {error}.") from error
    facts = {"frames": clip.frames, "fps": clip.fps, "seconds": clip.seconds}
    return Media(data=whole, media_type="video/mp4"), clip.width, clip.height, facts


def _settings(plan: Payload) -> dict[str, Any]:
    """What it was drawn with, as facts."""
    names = {"num_inference_steps": "steps", "guidance_scale": "cfg", "strength": "denoise"}
    told = {fact: plan.arguments[name] for name, fact in names.items() if name in plan.arguments}
    return {fact: int(value) if isinstance(value, str) and value.isdecimal() else value for fact, value in told.items()}


def _units(artifact: Artifact, metrics: Mapping[str, Any]) -> dict[str, float]:
    units: dict[str, float] = {"requests": 1.0}
    if artifact.media.media_type == "video/mp4":
        units |= {"videos": 1.0, "seconds": float(artifact.facts["seconds"])}
    else:
        units |= {"images": 1.0, "megapixels": artifact.width * artifact.height / 1e6}
    inference = metrics.get("inference_time")
    return units | ({"inference_seconds": float(inference)} if isinstance(inference, (int, float)) else {})
