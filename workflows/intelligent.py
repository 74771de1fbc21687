"""IntelligentPipelineBuilder: a prompt in, a PIL picture out, for scripts that know nothing of async, jobs or models.

A thin face on the App: it opens one on a thread of its own, asks it for pictures, and gives them back as PIL has them.
What it makes is judged and filed in the gallery like everything else.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from pkgutil import resolve_name
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from utils.civitai import OWN_SCHEDULES, sampler_words
from workflows.asking import recipe_from
from workflows.errors import BadRecipe, JobCancelled, NotFound, nearest, revived
from workflows.folders import FOLDERS, kind_of_folder

if TYPE_CHECKING:
    from PIL.Image import Image

    from workflows.app import App

T = TypeVar("T")
OPENER = "clients.wiring:open_with"
"""Who builds the App. By name, because the core knows no adapter."""
FURTHER = (
    "aspect auto_retry best_of checks clip_skip engine hires keep loras model positive_threshold retry_limit "
    "retry_strategy scheduler transparent validate"
).split()
"""Arguments of the tool generate_image that are taken besides those that `generate` spells out."""
OWN = "style quality num_images seed steps cfg_scale sampler width height negative_prompt".split()
WAIT_SECONDS = 24 * 3600.0
"""A script waits for its picture; a day is the bound that every wait has."""


class IntelligentPipelineBuilder:
    """Opens at the first picture and stays open until `close()`, the end of a `with` block, or of the process.

        builder = IntelligentPipelineBuilder.from_comfyui_auto()
        builder.generate("a beautiful sunset").save("sunset.png")

    Keyword arguments of the constructor are settings under their names in lower case, such as `atelier_home`; those
    that are not given come from the environment as everywhere. `enable_ollama` False leaves the reading of prompts to
    keywords. Not for use inside a running event loop: there, `open_app` and the App do the same.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._context: AbstractAsyncContextManager[App] | None = None
        self._app: App | None = None
        self._opening = threading.Lock()

    @classmethod
    def from_comfyui_auto(
        cls, search_paths: str | Path | Sequence[str | Path] | None = None, enable_ollama: bool = False, **settings: Any
    ) -> Self:
        """Models of the ComfyUI installations on this machine: those at `search_paths`, or in the usual places.

        A ComfyUI server that runs draws; otherwise this process does. `enable_ollama`: a language model reads the
        prompts (the one that OLLAMA_MODEL names, else llama3.2). Raises NotFound for a search path that is not there.
        """
        if search_paths is not None:
            settings["comfyui_path"] = tuple(map(_installation, _several(search_paths))) or ("off",)
        return cls(enable_ollama=enable_ollama, **settings)

    @classmethod
    def from_paths(
        cls,
        model_paths: Mapping[str, str | Path | Sequence[str | Path]],
        enable_ollama: bool = False,
        **settings: Any,
    ) -> Self:
        """Models of these folders, by kind: {"checkpoint": ["/models/checkpoints"], "lora": [...], "vae": [...]}.

        A kind may be spelled as ComfyUI's folder for it: checkpoints, loras, unet. Only these: no ComfyUI is looked
        for, on disk or running, unless a setting names one.
        """
        settings["atelier_models"] = tuple(
            f"{_kind(kind)}={path}" for kind, paths in model_paths.items() for path in _several(paths)
        )
        settings.setdefault("comfyui_path", ("off",))
        settings.setdefault("comfyui_url", "off")
        return cls(enable_ollama=enable_ollama, **settings)

    def generate(
        self,
        prompt: str,
        style: str | None = None,
        quality: str = "balanced",
        num_images: int = 1,
        seed: int | None = None,
        steps: int | None = None,
        cfg_scale: float | None = None,
        sampler: str | None = None,
        width: int | None = None,
        height: int | None = None,
        negative_prompt: str = "",
        **further: Any,
    ) -> Image | list[Image]:
        """A picture, or a list of them when `num_images` is above 1.

        `sampler` in ComfyUI's words or A1111's ("DPM++ 2M Karras"). `further`: any other argument of the tool
        generate_image by its name that takes no picture, such as model, loras, checks, best_of. What is left out is
        chosen. Raises what the tool would: BadRecipe, Refused, EngineError, ...
        """
        _check_names(further)
        words = _sampler(sampler)
        given = further | {
            "prompt": prompt,
            "style": style,
            "quality": quality,
            "count": num_images,
            "seed": -1 if seed is None else seed,
            "steps": steps,
            "cfg": cfg_scale,
            "sampler": words[0],
            "scheduler": further.get("scheduler") or words[1],
            "width": width,
            "height": height,
            "negative_prompt": negative_prompt,
        }
        pictures = self._call(lambda app: _drawn(app, given))
        return pictures if num_images > 1 else pictures[0]

    def get_stats(self) -> dict[str, Any]:
        """Device, whether a language model reads, the models by kind, and the memory of this machine."""
        return self._call(_stats)

    def close(self) -> None:
        """Close the App; jobs that run are left resumable. The next picture opens another one."""
        with self._opening:
            loop, thread, context = self._loop, self._thread, self._context
            self._loop = self._thread = self._context = self._app = None
        if loop is None or thread is None or context is None:
            return
        asyncio.run_coroutine_threadsafe(_left(context), loop).result()
        _stop(loop, thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, work: Callable[[App], Awaitable[T]]) -> T:
        """Carry out `work` on the App's own loop and wait; Ctrl-C cancels it."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("The builder waits for its own thread, so it cannot be called there: await the App.")
        app, loop = self._opened()

        async def whole() -> T:
            return await work(app)

        future = asyncio.run_coroutine_threadsafe(whole(), loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _opened(self) -> tuple[App, asyncio.AbstractEventLoop]:
        with self._opening:
            if self._app is None or self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="atelier", daemon=True)
                thread.start()
                context = resolve_name(OPENER)(**self._settings)
                try:
                    self._app = asyncio.run_coroutine_threadsafe(_entered(context), loop).result()
                except BaseException:
                    _stop(loop, thread)
                    raise
                self._loop, self._thread, self._context = loop, thread, context
                _close_at_exit(self)
            return self._app, self._loop


def _close_at_exit(builder: IntelligentPipelineBuilder) -> None:
    """Before the interpreter takes the threads away that closing needs, which the public atexit is too late for."""
    import atexit

    known = weakref.ref(builder)

    def close() -> None:
        if (left := known()) is not None:
            left.close()

    getattr(threading, "_register_atexit", atexit.register)(close)


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _several(paths: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return [paths] if isinstance(paths, str | Path) else paths


def _installation(path: str | Path) -> str:
    """Where ComfyUI lies, for a path to it or to its folder of models. Raises NotFound."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise NotFound("folder", str(path), hint="search_paths are folders of ComfyUI, or that hold some.")
    above = folder.resolve().parent
    return str(above if folder.resolve().name == "models" and (above / "main.py").is_file() else folder)


def _kind(name: str) -> str:
    return name if name in FOLDERS else kind_of_folder(name) or name


def _sampler(name: str | None) -> tuple[str | None, str | None]:
    """ComfyUI's sampler, and its scheduler where the name says it: what A1111 would add by itself is the engine's to
    choose."""
    words = sampler_words(name) if name else None
    if name is None or words is None:
        return name, None
    said = words[0] not in OWN_SCHEDULES or OWN_SCHEDULES[words[0]].replace("_", " ") in name.lower().replace("_", " ")
    return words[0], (words[1] or None) if said else None


def _check_names(further: Mapping[str, Any]) -> None:
    """Raises BadRecipe for an argument that is none."""
    for name, value in further.items():
        if name not in FURTHER:
            near = nearest(name, [*FURTHER, *OWN])
            meant = f"did you mean {', '.join(near)}? " if near else ""
            raise BadRecipe("argument", name, f"{meant}generate takes {', '.join(FURTHER)} besides its own")
        if name == "model" and isinstance(value, Path):
            raise BadRecipe("model", str(value), "it is a name; folders with models are given to from_paths")


async def _entered(context: AbstractAsyncContextManager[App]) -> App:
    return await context.__aenter__()


async def _left(context: AbstractAsyncContextManager[App]) -> None:
    await context.__aexit__(None, None, None)


async def _drawn(app: App, given: Mapping[str, Any]) -> list[Image]:
    job = await app.studio.submit(recipe_from(given))
    try:
        job = await app.studio.wait(job.id, WAIT_SECONDS)
    except asyncio.CancelledError:
        await app.studio.cancel(job.id)
        raise
    if job.fault is not None:
        raise revived(job.fault.code, job.fault.message)
    if not job.item_ids:
        raise JobCancelled(f"There is no picture: the builder was closed, or the job cancelled. (job {job.id})")
    return [await _picture(app, item_id) for item_id in job.item_ids]


async def _picture(app: App, item_id: str) -> Image:
    from utils.opening import opened

    media = await app.gallery.original(item_id)
    return await asyncio.to_thread(opened, media.data)


async def _stats(app: App) -> dict[str, Any]:
    by_kind: dict[str, int] = {}
    for info in await app.catalog.models():
        by_kind[info.kind] = by_kind.get(info.kind, 0) + 1
    engines, machine = await app.engines(), await app.machine()
    known = "cuda" if machine.gpu_gb else "cpu"
    return {
        "device": next((status.device for status in engines if status.available and status.device), known),
        "ollama_enabled": app.chooser.text_model is not None,
        "orchestrator": {"total_models": sum(by_kind.values()), "by_type": by_kind},
        "resources": {"gpu_memory_gb": machine.gpu_gb, "ram_gb": round(machine.ram_gb, 1)},
    }
