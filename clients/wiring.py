"""Wiring: the one module that knows every adapter. It builds them, yields the App, and closes them all."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from clients.config import Settings, load_settings
from clients.presence import LockedPresence, anyone_left
from utils.validation import ClipScorer
from workflows.app import App, use_app
from workflows.judges import ClipJudge
from workflows.stamp import own_version
from workflows.types import FamilyProfile

DEMO = Path(__file__).parent / "demo"


def has_unfinished(settings: Settings) -> bool:
    """Whether an earlier process may have left work behind. Cheap: reads no database."""
    return anyone_left(_processes(settings))


@asynccontextmanager
async def open_app(settings: Settings | None = None, *, resume: bool = False) -> AsyncGenerator[App]:
    """Open everything that the settings ask for; on leaving, jobs that run are left resumable.

    `resume`: take up the unfinished jobs of processes that are gone (servers do); else they are only marked.
    Raises BadSettings, StorageError.
    """
    await asyncio.to_thread(_import_adapters)
    from clients.diffusers_engine import DiffusersEngine
    from clients.input_pictures import InputPictures
    from clients.ledger import open_ledger
    from clients.local_store import LocalStore
    from workflows.gallery import Gallery
    from workflows.studio import Studio

    settings = settings or await asyncio.to_thread(load_settings)
    home = settings.atelier_home
    places = {"home": str(home), "database": str(home / "atelier.db"), "pictures": str(home / "pictures")}
    async with AsyncExitStack() as stack:
        presence = await stack.enter_async_context(LockedPresence(_processes(settings)))
        ledger = await stack.enter_async_context(open_ledger(home / "atelier.db"))
        store = LocalStore(home / "pictures")
        engine = await stack.enter_async_context(
            DiffusersEngine(settings.atelier_local_model, DEMO / "t2i", idle_unload=settings.atelier_idle_unload)
        )
        studio = await stack.enter_async_context(
            Studio(
                engines=[engine],
                judges={"clip": _clip_judge(settings)},
                store=store,
                jobs=ledger.jobs,
                items=ledger.items,
                sources=InputPictures(settings.atelier_allowed_roots),
                presence=presence,
            )
        )
        stack.callback(lambda: setattr(presence, "unfinished", bool(studio.active())))
        app = App(
            studio=studio,
            gallery=Gallery(ledger.items, store),
            notices=tuple(_notices(settings)),
            version=await asyncio.to_thread(own_version),
            places=places,
            memory=_memory,
        )
        await studio.recover(resume)
        if resume:
            await presence.forget_the_dead()
        stack.enter_context(use_app(app))
        yield app


def _import_adapters() -> None:
    """Off the event loop: the first import of the database library takes most of a second."""
    for name in ("sqlalchemy.ext.asyncio", "clients.ledger", "clients.diffusers_engine", "workflows.gallery"):
        importlib.import_module(name)


def _clip_judge(settings: Settings) -> ClipJudge:
    """The demo model is judged by the demo CLIP, which knows its world; everything else by the configured one."""
    demo = ClipScorer(str(DEMO / "clip"))
    real = ClipScorer(settings.atelier_clip_model, settings.atelier_clip_weights)

    def choose(profile: FamilyProfile) -> ClipScorer:
        return demo if profile.name == "demo" else real

    return ClipJudge(choose, settings.atelier_idle_unload)


def _notices(settings: Settings) -> list[str]:
    """Optional parts that are missing, each with its next step."""
    notices: list[str] = []
    if find_spec("diffusers") is None:
        notices.append("The in-process engine is not installed: pip install 'atelier-mcp[local]'.")
    if find_spec("open_clip") is None:
        notices.append("The judges are not installed, pictures are not checked: pip install 'atelier-mcp[judges]'.")
    if settings.atelier_local_model is None:
        notices.append(
            "The demo model draws (coloured shapes and figures only). Set ATELIER_LOCAL_MODEL to a HuggingFace id, "
            "a diffusers folder or a .safetensors file for a real one."
        )
    return notices


def _processes(settings: Settings) -> Path:
    return settings.atelier_home / "processes"


def _memory() -> dict[str, float]:
    import psutil

    machine = psutil.virtual_memory()
    sizes = {"total": machine.total, "available": machine.available, "process": psutil.Process().memory_info().rss}
    return {name: round(size / 1e9, 2) for name, size in sizes.items()}
