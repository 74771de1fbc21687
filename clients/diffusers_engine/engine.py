"""DiffusersEngine: pictures drawn in this process, one at a time, on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clients.diffusers_engine import loras
from clients.diffusers_engine.animating import animate
from clients.diffusers_engine.clips import PURPOSE as MAKING_VIDEOS
from clients.diffusers_engine.clips import interpolated
from clients.diffusers_engine.drawing import Stopped, Watch, draw
from clients.diffusers_engine.filming import film, is_film
from clients.diffusers_engine.films import animation_profile, film_refusal
from clients.diffusers_engine.fitting import measure, said
from clients.diffusers_engine.keeping import Keeper, Measure, told
from clients.diffusers_engine.loading import PURPOSE, Loaded, first_line, incomplete
from clients.diffusers_engine.models import Library, Shelf, Source, size_refusal
from clients.diffusers_engine.samplers import SCHEDULERS, find_sampler, sampler_of, spacing_of
from clients.diffusers_engine.worker import Worker
from utils.torch_threads import threads_for
from workflows.errors import (
    BadRecipe,
    EngineUnavailable,
    ExtraMissing,
    NotFound,
    OutOfMemory,
    RenderFailed,
    StudioError,
)
from workflows.families import Family
from workflows.ports import Report
from workflows.types import VIDEOS, Artifact, EngineStatus, FamilyProfile, Media, ModelInfo, Recipe, RenderStep, Ticket

log = logging.getLogger("atelier.diffusers")

TASKS = frozenset({"txt2img", "img2img", "inpaint"}) | VIDEOS
INPAINTING = frozenset({"StableDiffusionPipeline", "StableDiffusionXLPipeline"})
"""Pipelines whose inpainting was tried; that of the demo model is the first."""
STOP_PATIENCE = 10.0
"""Seconds that a cancelled render is waited for: a step of a large model on a CPU, not a whole download."""


class DiffusersEngine:
    """The Engine port on a diffusers pipeline.

    `model`: a Hugging Face id, a diffusers folder or a .safetensors file; None draws with the demo model in `demo`.
    The model stays in memory until `idle_unload` seconds after the last render (0: for good), `unload()` or the end of
    the `async with` block. `offline`: never ask the Hub, use what the cache in `hub_cache` (None: the usual one) holds.
    `library`: the weight files in the owner's model folders, which recipes name as checkpoints and LoRAs. `hub` False:
    callers may name no Hugging Face id that is not in the cache. `measure`: what is known of the device before a load.
    """

    name = "diffusers"

    def __init__(
        self,
        model: str | None,
        demo: Path,
        idle_unload: float = 600.0,
        *,
        hub_cache: Path | None = None,
        offline: bool = False,
        library: Library | None = None,
        hub: bool = True,
        measure: Measure = measure,
    ) -> None:
        self._shelf = Shelf(model, demo, hub_cache, library=library, hub=hub)
        self._idle_unload = idle_unload
        self._worker = Worker("diffusers")
        self._keeper = Keeper(self._shelf, offline=offline, measure=measure)
        self._active = 0
        self._idle: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_idling()
        if await self._worker.close(STOP_PATIENCE):
            self._keeper.forget()

    async def refusal(self, recipe: Recipe) -> str | None:
        """Judged from names and small files alone: nothing is loaded or fetched for it."""
        return await asyncio.to_thread(self._refusal, recipe)

    async def profile(self, recipe: Recipe) -> FamilyProfile:
        """Raises BadRecipe, NotFound. A repo that was never fetched is known by its name only."""

        def look() -> FamilyProfile:
            found = self._shelf.family(self._shelf.find(recipe.model))
            if recipe.task == "interpolate":  # no model draws: there is nothing to say of one
                return found.profile.but(note="")
            animated = recipe.task in VIDEOS and not found.video
            return animation_profile(found.profile) if animated else found.profile

        return await asyncio.to_thread(look)

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        """Draw when those who came before have been served; of several pictures as many as fit at once.

        The same recipe gives the same pixels on the same machine. Cancelling stops at the next step; the error goes
        on when the thread has really stopped, or after STOP_PATIENCE. The ticket is of no use here: what a process drew
        is gone with it. Raises EngineError, ExtraMissing, BadRecipe.
        """
        loop = asyncio.get_running_loop()

        def tell(step: RenderStep) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever listened
                loop.call_soon_threadsafe(report, step)

        if self._worker.closed:
            raise EngineUnavailable("The engine was closed; it draws no more.")
        watch = Watch(tell=tell)
        self._stop_idling()
        self._active += 1
        try:
            future = self._worker.submit(lambda: self._render(recipe, inputs, watch))
            return await _stoppable(future, watch)
        finally:
            self._active -= 1
            self._start_idling()

    async def models(self, kind: str = "all") -> Sequence[ModelInfo]:
        """The configured model, the demo model, and the pipelines in the Hugging Face cache."""
        if kind not in {"all", "checkpoint"}:
            return []
        return await asyncio.to_thread(self._shelf.available)

    async def status(self) -> EngineStatus:
        """Cheap: the device is known once a model was loaded."""
        return await asyncio.to_thread(self._status)

    async def unload(self) -> None:
        """Free the model's memory, after the renders that are waiting."""
        await asyncio.wrap_future(self._worker.submit(self._keeper.forget))

    def _refusal(self, recipe: Recipe) -> str | None:
        if why := _refused_at_sight(recipe):
            return why
        if recipe.task == "interpolate":
            return None  # FFmpeg does it, whatever the model
        try:
            source = self._shelf.find(recipe.model)
            found = self._shelf.family(source)
            fault = self._shelf.fault(source)
            spacing_of(recipe, found.profile.name)
            if sampler := sampler_of(recipe):
                find_sampler(sampler, found.profile.name)
        except (BadRecipe, NotFound) as error:
            return str(error)
        if why := fault or loras.refusal(recipe, self._shelf, found):
            return why
        if why := self._film_refusal(recipe, source, found):
            return why
        if recipe.task == "inpaint" and found.profile.name != "demo" and not INPAINTING.intersection(found.pipelines):
            return f"This engine does not do inpaint with {found.profile.title}; ComfyUI does."
        return size_refusal(found, found.profile, recipe.width, recipe.height)

    def _film_refusal(self, recipe: Recipe, source: Source, found: Family) -> str | None:
        if recipe.task in VIDEOS:
            return film_refusal(recipe, found, *self._shelf.film(source))
        return f"{found.profile.title} draws videos, not pictures: use generate_video." if found.video else None

    def _status(self) -> EngineStatus:
        loaded = self._keeper.loaded
        missing = incomplete()
        detail = f"draws with {loaded.source.name}" if loaded else f"{self._default_name()} loads with the first render"
        return EngineStatus(
            name=self.name,
            available=not missing,
            detail=str(ExtraMissing("local", PURPOSE)) if missing else detail,
            device=loaded.device if loaded else None,
            loaded=loaded.source.name if loaded else None,
            waiting=self._worker.waiting,
            memory=_memory(loaded) if loaded else {},
        )

    def _default_name(self) -> str:
        try:
            return self._shelf.find(None).name
        except (BadRecipe, NotFound) as error:
            return f"No model can be used: {error} It"

    def _render(self, recipe: Recipe, inputs: Mapping[str, Media], watch: Watch) -> list[Artifact]:
        """On the worker thread: every failure leaves as one of our errors. Out of memory is tried again, once."""
        try:
            return self._attempt(recipe, inputs, watch)
        except OutOfMemory as error:
            failure = error.with_traceback(None)  # its frames hold the model
        levers = self._tighter(recipe)
        if not levers:
            raise failure
        note = f"The memory was too small for it; it was drawn again with {said(levers)}."
        watch.tell(RenderStep(step=0, steps=recipe.steps or 1, message=note))
        try:
            return [_noted(artifact, note) for artifact in self._attempt(recipe, inputs, watch)]
        except OutOfMemory as error:
            failure = error.with_traceback(None)
        self._keeper.forget()
        raise failure

    def _attempt(self, recipe: Recipe, inputs: Mapping[str, Media], watch: Watch) -> list[Artifact]:
        try:
            return self._drawn(recipe, inputs, watch)
        except (StudioError, Stopped):
            raise
        except Exception as error:
            log.exception("The render broke")
            failure = as_engine_error(error)
        raise failure

    def _drawn(self, recipe: Recipe, inputs: Mapping[str, Media], watch: Watch) -> list[Artifact]:
        def loading(message: str) -> None:
            watch.tell(RenderStep(step=0, steps=recipe.steps or 1, message=message))

        watch.check()
        if recipe.task == "interpolate":
            watch.tell(RenderStep(step=0, steps=1, message="Following the motion"))
            return list(interpolated(recipe, inputs))
        loaded = self._keeper.ready(recipe, loading)
        watch.check()
        files = loras.lora_files(recipe.loras, self._shelf, loaded.family)
        with threads_for(loaded.parameters):
            made = _made(loaded, recipe, inputs, watch, files)
        memory = told(loaded)
        return [replace(one, facts=one.facts | {"memory": memory}) for one in made] if memory else made

    def _tighter(self, recipe: Recipe) -> Sequence[str]:
        """Load the model in a way that takes less memory; the levers, or none where there is none."""
        try:
            return self._keeper.harsher(recipe)
        except StudioError:
            raise
        except Exception as error:
            log.exception("The model could not be loaded in a tighter way")
            raise as_engine_error(error) from None

    def _start_idling(self) -> None:
        self._stop_idling()
        if self._idle_unload and not self._active:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_unload, self._unload_if_idle)

    def _unload_if_idle(self) -> None:
        if not self._active:
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._worker.submit(self._keeper.forget)

    def _stop_idling(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None


def _made(
    loaded: Loaded, recipe: Recipe, inputs: Mapping[str, Media], watch: Watch, files: Sequence[loras.LoraFile]
) -> list[Artifact]:
    if recipe.task not in VIDEOS:
        return draw(loaded, recipe, inputs, watch, loras=files)
    if is_film(loaded.pipe):
        return film(loaded, recipe, inputs, watch)
    return animate(loaded, recipe, inputs, watch, files)


def _refused_at_sight(recipe: Recipe) -> str | None:
    """Why no model of this engine draws the recipe, or None."""
    if recipe.task == "workflow":
        return "This engine runs no workflows; they run on ComfyUI."
    if recipe.task in VIDEOS and find_spec("av") is None:
        return str(ExtraMissing("video", MAKING_VIDEOS))
    if incomplete() and recipe.task != "interpolate":
        return str(ExtraMissing("local", PURPOSE))
    beyond = next(_beyond(recipe), None)
    return f"This engine does not do {beyond}; ComfyUI does." if beyond else None


def _beyond(recipe: Recipe) -> Iterator[str]:
    """What the recipe asks for that plain pipelines do not do, in words."""
    wanted = {
        recipe.task.replace("_", " "): recipe.task not in TASKS,
        "control pictures": recipe.controls,
        "reference pictures": recipe.references,
        "masks by words": recipe.mask_text,
        "transparent pictures": recipe.transparent,
        "the hires second pass": recipe.hires,
        f"the scheduler {recipe.scheduler!r}": recipe.scheduler not in {None, *SCHEDULERS},
    }
    return (words for words, asked in wanted.items() if asked)


def _noted(artifact: Artifact, note: str) -> Artifact:
    return replace(artifact, facts=artifact.facts | {"notes": [note, *artifact.facts.get("notes", [])]})


async def _stoppable(future: Future[list[Artifact]], watch: Watch) -> list[Artifact]:
    """Wait for the worker; when cancelled, tell it and see it stop before the cancellation goes on."""
    waiter = asyncio.wrap_future(future)
    waiter.add_done_callback(lambda done: done.cancelled() or done.exception())  # a late Stopped has no reader
    try:
        return await asyncio.shield(waiter)
    except asyncio.CancelledError:
        watch.stop.set()
        if not future.cancel():  # it has begun
            await asyncio.wait({waiter}, timeout=STOP_PATIENCE)
        raise


def as_engine_error(error: Exception) -> StudioError:
    """A foreign error as OutOfMemory or RenderFailed, with its first line."""
    text = str(error)
    short = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if short or any(sign in text for sign in ("out of memory", "can't allocate memory", "not enough memory")):
        return OutOfMemory(f"Out of memory: {first_line(error)} Draw smaller, or use a smaller model.")
    return RenderFailed(f"The render broke: {type(error).__name__}: {first_line(error)}")


def _memory(loaded: Loaded) -> dict[str, float]:
    """Gigabytes of the device that the model is on."""
    import psutil

    if loaded.device == "cuda":
        free, total = sys.modules["torch"].cuda.mem_get_info()
    else:
        machine: Any = psutil.virtual_memory()
        free, total = machine.available, machine.total
    return {"total": round(total / 1e9, 2), "free": round(free / 1e9, 2), "used": loaded.gigabytes}
