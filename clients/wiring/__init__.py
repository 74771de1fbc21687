"""Wiring: the one place that knows every adapter. It builds them, yields the App, and closes them all."""

from __future__ import annotations

import asyncio
import gc
import importlib
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clients.config import BadSettings, Settings, load_settings, secret
from clients.presence import LockedPresence, anyone_left
from utils.collecting import no_collecting
from workflows import selection
from workflows.app import App, use_app
from workflows.errors import nearest
from workflows.stamp import own_version
from workflows.starters import Machine
from workflows.tasks import called_off
from workflows.types import EngineStatus, ServerStatus

if TYPE_CHECKING:
    from clients.comfyui_engine import ComfyUIEngine
    from clients.diffusers_engine.models import Known
    from clients.ledger import Ledger
    from clients.limits import Limits
    from clients.model_files import InstalledModels
    from clients.wiring.judges import JudgeBench
    from workflows.choosing import Chooser
    from workflows.gallery import Gallery as Gallery
    from workflows.importing import Imports as Imports
    from workflows.ports import Engine, Presence, Recorder, Store
    from workflows.prompts.desk import PromptDesk
    from workflows.studio import Studio

USUAL_READER = "llama3.2"
"""The language model that reads prompts when one is wanted and none is named: 2 GB, the commonest of Ollama's."""
DEMO = Path(__file__).parents[1] / "demo"


def has_unfinished(settings: Settings) -> bool:
    """Whether an earlier process may have left work behind. Cheap: reads no database."""
    return settings.is_shared or anyone_left(_processes(settings))


@asynccontextmanager
async def open_app(settings: Settings | None = None, *, resume: bool = False) -> AsyncGenerator[App]:
    """Open everything that the settings ask for; on leaving, jobs that run are left resumable.

    `resume`: take up jobs of processes that are gone (servers do), else mark them. Raises BadSettings, StorageError.
    """
    settings = settings or await asyncio.to_thread(load_settings)
    await asyncio.to_thread(_import_adapters, settings)
    from clients.ledger import open_ledger
    from clients.wiring.refining import open_refinery
    from clients.wiring.storage import gallery_rooms, open_signer, open_vault

    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(open_ledger(settings.ledger))
        presence = ledger.presence or LockedPresence(_processes(settings))
        await stack.enter_async_context(presence)
        vault = await open_vault(settings, stack)
        crew = await _crew(settings, stack, ledger)
        studio = _studio(settings, crew, ledger, vault.store, presence)
        studio.recorder = await _recorder(settings, stack)
        studio.signer = await asyncio.to_thread(open_signer, settings)
        await stack.enter_async_context(studio)
        rooms = gallery_rooms(settings, ledger, vault, crew.bench, studio.changes)
        refinery = await open_refinery(settings, stack, ledger, studio, rooms["gallery"], crew.desk, crew.limits)
        stack.callback(lambda: setattr(presence, "unfinished", bool(studio.active() or refinery.active())))
        app = App(
            studio=studio,
            **rooms,
            chooser=crew.chooser,
            prompts=crew.desk,
            refinery=refinery,
            calls=ledger.calls,
            version=await asyncio.to_thread(own_version),
            **_told(settings),
            **_graphs_of(settings, crew, ledger),
        )
        await _recover(app, resume)
        if resume:
            await presence.forget_the_dead()
            _keep_what_is_imported(stack)
            _look_ahead(app, stack)
        stack.enter_context(use_app(app))
        yield app


def _studio(settings: Settings, crew: Crew, ledger: Ledger, store: Store, presence: Presence) -> Studio:
    from clients.input_pictures import InputPictures
    from workflows.studio import Studio

    return Studio(
        engines=crew.engines,
        judges=crew.bench.judges,
        rules=crew.bench.rules,
        gate=crew.bench.gate,
        store=store,
        jobs=ledger.jobs,
        items=ledger.items,
        sources=InputPictures(settings.atelier_allowed_roots),
        presence=presence,
        graphs=crew.comfyui,
        chooser=crew.chooser,
        words=crew.desk,
    )


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Who draws, who judges, who chooses, and who writes."""

    comfyui: ComfyUIEngine | None
    engines: Sequence[Engine]
    """In the order in which they are asked."""
    bench: JudgeBench
    limits: Limits
    chooser: Chooser
    desk: PromptDesk


async def _crew(settings: Settings, stack: AsyncExitStack, ledger: Ledger) -> Crew:
    from clients.wiring.cloud import cloud_engines, open_limits
    from clients.wiring.judges import open_judges
    from clients.wiring.models import installed_models, open_chooser
    from clients.wiring.words import open_writers, prompt_desk

    rows = ledger.models
    files = installed_models(settings, rows)
    limits = await open_limits(settings, ledger.calls)
    comfyui, engines = await _engines(settings, stack, files)
    engines = [*engines, *await cloud_engines(settings, stack, limits)]
    bench = await stack.enter_async_context(open_judges(settings, DEMO, limits, comfyui.make_room if comfyui else None))
    writers = await open_writers(settings, stack, comfyui, limits)
    reader = writers if writers.models else None
    chooser = await open_chooser(settings, stack, engines, files, rows, bench.rules, reader)
    desk = prompt_desk(settings, ledger, chooser, engines, writers)
    return Crew(comfyui=comfyui, engines=engines, bench=bench, limits=limits, chooser=chooser, desk=desk)


def _look_ahead(app: App, stack: AsyncExitStack) -> None:
    """For a process that serves: the first look at large model folders takes seconds, so it is taken ahead; what was
    left half done in the gallery is completed; and jobs are taken over whose process dies while this one lives."""
    from clients.wiring.refining import keep_forgetting
    from workflows.gallery.housekeeping import keep_tidy
    from workflows.orphans import keep_taking_over

    looking = asyncio.create_task(app.catalog.look_ahead(), name="first look at the models")
    tidying = asyncio.create_task(keep_tidy(app.gallery), name="the gallery's housekeeping")
    taking_over = asyncio.create_task(keep_taking_over(app.studio), name="jobs of processes that are gone")
    forgetting = asyncio.create_task(keep_forgetting(app), name="old records of failed calls")
    stack.push_async_callback(called_off, [looking, tidying, taking_over, forgetting])


async def _recover(app: App, resume: bool) -> None:
    """Take up what earlier processes left behind, or mark it."""
    await app.studio.recover(resume)
    if app.catalog.downloads is not None:
        await app.catalog.downloads.recover(resume)
    await app.refinery.recover(resume)


@asynccontextmanager
async def open_with(*, enable_ollama: bool | None = None, **overrides: Any) -> AsyncGenerator[App]:
    """An App with some settings given here instead of by the environment: what scripts open.

    `enable_ollama`: whether a language model reads prompts; True without OLLAMA_MODEL means the usual one. Raises
    BadSettings, StorageError.
    """
    unknown = next((name for name in overrides if name not in {*Settings.model_fields, "comfyui_host"}), None)
    if unknown is not None:
        near = nearest(unknown, Settings.model_fields)
        raise BadSettings(f"There is no setting {unknown!r}; nearest: {', '.join(near) or 'none'}.")
    settings = await asyncio.to_thread(load_settings, **overrides)
    if enable_ollama is not None:
        reader = (settings.ollama_model or (USUAL_READER,)) if enable_ollama else ()
        settings = settings.model_copy(update={"ollama_model": reader})
    async with open_app(settings) as app:
        yield app


async def _recorder(settings: Settings, stack: AsyncExitStack) -> Recorder | None:
    if settings.mlflow_tracking_uri is None:
        return None
    from clients.mlflow_recorder import MlflowRecorder

    return await stack.enter_async_context(MlflowRecorder(settings.mlflow_tracking_uri))


def _graphs_of(settings: Settings, crew: Crew, ledger: Ledger) -> dict[str, Any]:
    """What the app can do with ComfyUI besides drawing."""
    from workflows.library import Library

    comfyui = crew.comfyui
    if comfyui is None:
        return {}

    async def item_graph(name: str) -> Mapping[str, Any] | None:
        item = await ledger.items.get(name)
        return item.facts.get("graph") if item is not None and item.deleted is None else None

    library = Library(
        comfyui,
        comfyui,
        folders=settings.workflow_folders,
        allowed=settings.atelier_workflow_nodes,
        published=settings.atelier_workflow_tools,
        rules=crew.bench.rules,
        item_graph=item_graph,
    )
    return {"library": library, "drain": comfyui.drain, "resume": comfyui.resume}


def _told(settings: Settings) -> dict[str, Any]:
    """What the app can tell of this machine and its settings."""
    home = settings.atelier_home
    bucket = f"{settings.minio_endpoint}/{settings.minio_bucket}" if settings.minio_endpoint else None
    places = {
        "home": str(home),
        "database": "PostgreSQL" if settings.is_shared else str(settings.ledger),
        "pictures": bucket or str(home / "pictures"),
    }
    notices, remarks = tuple(_notices(settings)), partial(_remarks, settings)
    facts = {"memory": _memory, "machine_facts": partial(_machine, home)}
    facts |= {"run_id": settings.run_id or "", "log_level": settings.atelier_log_level}
    facts |= {"error_days": settings.atelier_error_days}
    return {"notices": notices, "remarks": remarks, "places": places, **facts}


def _keep_what_is_imported(stack: AsyncExitStack) -> None:
    """For a process that serves: a full garbage collection over all the libraries holds up every call for 0.1 s."""
    gc.freeze()
    stack.callback(gc.unfreeze)


async def _engines(
    settings: Settings, stack: AsyncExitStack, files: InstalledModels
) -> tuple[ComfyUIEngine | None, list[Engine]]:
    """The ComfyUI engine where there is one, and all engines in the order in which they are asked."""
    from clients.diffusers_engine import DiffusersEngine

    comfyui = None
    if settings.comfyui_servers:
        comfyui = await stack.enter_async_context(comfyui_engine(settings, files.family_of))
    local = await stack.enter_async_context(
        DiffusersEngine(
            settings.atelier_local_model,
            DEMO / "t2i",
            idle_unload=settings.atelier_idle_unload,
            library=partial(_known, files),
            hub=settings.atelier_downloads == "on",
        )
    )
    return comfyui, [comfyui, local] if comfyui else [local]


def comfyui_engine(settings: Settings, known: Callable[[str, str], str | None] | None = None) -> ComfyUIEngine:
    """The engine on the ComfyUI servers of the settings; it asks nothing of them before the first question.

    `known`: what the catalogue of this machine says of a file's family, by kind and name.
    """
    from clients.comfyui_engine import ComfyUIEngine

    token = secret(settings.comfyui_token)
    return ComfyUIEngine(settings.comfyui_servers, settings.atelier_home, token, known=known)


async def comfyui_servers(settings: Settings) -> Sequence[ServerStatus]:
    """How the ComfyUI servers of the settings are now."""
    if not settings.comfyui_servers:
        return ()
    async with comfyui_engine(settings) as engine:
        return (await engine.status()).servers


def _import_adapters(settings: Settings) -> None:
    """Off the event loop: the first import of the database library takes most of a second."""
    names = ["clients.ledger", "clients.diffusers_engine", "clients.wiring.judges", "workflows.gallery"]
    names += [
        "clients.wiring.storage",
        "workflows.importing",
        "workflows.exporting",
        "clients.wiring.models",
        "clients.wiring.words",
        "clients.wiring.cloud",
        "clients.wiring.refining",
        "clients.fal_client",
        "clients.gemini_engine",
        "workflows.prompts.desk",
        "workflows.library",
        "workflows.refinery",
        "clients.model_files",
        *(f"workflows.selection.{one}" for one in selection.PARTS),
    ]
    if settings.atelier_downloads == "on":
        names += ["clients.civitai_client", "clients.hf_client", "clients.downloader", "workflows.downloads"]
    with no_collecting():
        for name in [*names, *(["clients.comfyui_engine"] if settings.comfyui_servers else [])]:
            importlib.import_module(name)


def _notices(settings: Settings) -> list[str]:
    """Optional parts that are missing, each with its next step."""
    notices: list[str] = []
    if find_spec("diffusers") is None:
        notices.append("The in-process engine is not installed: pip install 'atelier-mcp[local]'.")
    if find_spec("open_clip") is None:
        notices.append("The judges are not installed, pictures are not checked: pip install 'atelier-mcp[judges]'.")
    beauty = settings.atelier_aesthetic_weights
    if beauty and not beauty.is_file():
        notices.append(f"ATELIER_AESTHETIC_WEIGHTS names {beauty}, which is no file: beauty is not judged.")
    if settings.mlflow_tracking_uri and find_spec("mlflow") is None:
        notices.append("MLFLOW_TRACKING_URI is set, but MLflow is not installed: pip install 'atelier-mcp[mlflow]'.")
    return notices


def _remarks(settings: Settings, engines: Sequence[EngineStatus]) -> list[str]:
    """What the engines' state asks of the owner."""
    servers = [server for engine in engines for server in engine.servers]
    notices = [f"ComfyUI at {one.url} does not answer: {one.detail}" for one in servers if not one.available]
    notices = notices if settings.comfyui_is_named else []
    notices += [f"ComfyUI at {one.url}: {warning}" for one in servers for warning in one.warnings]
    drawing = any(server.available for server in servers)
    if settings.atelier_local_model is None and not drawing:
        notices.append(
            "The demo model draws (coloured shapes and figures only), unless a real one is found here: atelier setup "
            "gets one. Or set ATELIER_LOCAL_MODEL to a HuggingFace id, a diffusers folder or a .safetensors file, or "
            "COMFYUI_URL to a ComfyUI."
        )
    return notices


def _processes(settings: Settings) -> Path:
    return settings.atelier_home / "processes"


def _machine(home: Path) -> Machine:
    from utils.resources import ResourceMonitor

    stats = ResourceMonitor().get_current_stats()
    gpu = stats.get_primary_gpu()
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    return Machine(
        gpu=gpu.name if gpu else "",
        gpu_gb=gpu.memory_total_gb if gpu else None,
        ram_gb=stats.ram.total_gb,
        disk_gb=shutil.disk_usage(there).free / 1e9,
    )


def _known(files: InstalledModels, name: str, kind: str) -> Known | None:
    """What the in-process engine is told of a file of the model folders."""
    from clients.diffusers_engine.models import Known

    path = files.path_of(name, kind)
    return Known(path=path, family=files.family_of(kind, name)) if path else None


def _memory() -> dict[str, float]:
    import psutil

    machine = psutil.virtual_memory()
    sizes = {"total": machine.total, "available": machine.available, "process": psutil.Process().memory_info().rss}
    return {name: round(size / 1e9, 2) for name, size in sizes.items()}
