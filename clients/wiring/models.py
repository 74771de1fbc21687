"""The catalogue of models: files on this machine, sources in the world, who reads prompts, who chooses."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from clients.config import BadSettings, Settings, secret
from utils.hub import hub_cache
from utils.resources import ResourceMonitor
from workflows.catalog import Catalog, LookedUp, Report
from workflows.choosing import Chooser
from workflows.families import families
from workflows.folders import ALIASES, FOLDERS, kind_of_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clients.doctor import Models
    from clients.model_files import InstalledModels
    from workflows.content import ContentRules
    from workflows.downloads import Downloads
    from workflows.ports import Engine, ModelRows, ModelSource, TextModel


def installed_models(settings: Settings, rows: ModelRows) -> InstalledModels:
    """The index of the weight files on this machine; it looks at no disk before the first question."""
    from clients.model_files import InstalledModels

    return InstalledModels(
        rows,
        roots=settings.model_roots,
        comfyui=settings.comfyui_paths,
        folders=settings.model_folders,
        hub_cache=hub_cache(),
    )


def model_places(settings: Settings) -> Models:
    """Where weight files are looked for, for the doctor. Blocking; looks at the names of folders alone."""
    from clients.doctor import Models
    from clients.model_files import find_comfyui

    installations = find_comfyui(settings.comfyui_paths)
    roots = [*(one / "models" for one in installations), *settings.model_roots]
    shelves = [*FOLDERS.items(), *((kind_of_folder(alias) or "other", alias) for alias in ALIASES)]
    found = [(kind, root / folder) for root in roots for kind, folder in shelves]
    found += [(kind, folder) for kind, folders in settings.model_folders.items() for folder in folders]
    return Models(installations=installations, folders=[pair for pair in found if pair[1].is_dir()])


async def open_chooser(
    settings: Settings,
    stack: AsyncExitStack,
    engines: Sequence[Engine],
    files: InstalledModels,
    rows: ModelRows,
    rules: ContentRules,
    reader: TextModel | None,
) -> Chooser:
    """Who chooses models, with the catalogue that he chooses from. Nothing is asked of the world before a search."""
    device = await asyncio.to_thread(_device)
    on = settings.atelier_downloads == "on"
    sources = await _sources(settings, stack, half=device.gpu) if on else {}
    pinned = {"diffusers": settings.atelier_local_model} if settings.atelier_local_model else {}
    catalog = Catalog(engines=engines, files=files, rows=rows, sources=sources, pinned=pinned, adult=rules.adult)
    if on:
        catalog.lookup = partial(_looked_up, settings)
        catalog.downloads = await _downloads(settings, stack, catalog, files)
    return Chooser(catalog=catalog, rules=rules, text_model=reader, device_gb=device.gigabytes)


HALVED = 0.5
"""On a CPU weights are held in full precision, twice what most files take."""


@dataclass(frozen=True)
class Device:
    """What draws in this process: a GPU or the CPU, and its memory."""

    gpu: bool
    gigabytes: float


def _device() -> Device:
    """Reads the disk: the driver's library, and the table of families, which is needed as soon as anything is."""
    families()
    monitor = ResourceMonitor()
    stats = monitor.get_current_stats()
    gpu = stats.get_primary_gpu()
    if gpu is None or monitor.recommend_device().device == "cpu":
        return Device(gpu=False, gigabytes=stats.ram.total_gb * HALVED)
    return Device(gpu=True, gigabytes=gpu.memory_total_gb or stats.ram.total_gb)


async def _sources(settings: Settings, stack: AsyncExitStack, *, half: bool) -> dict[str, ModelSource]:
    """`half`: whether pipelines are fetched in half precision. The in-process engine draws in full precision on a CPU,
    and would fetch such weights a second time."""
    from clients.civitai_client import CivitAIClient
    from clients.hf_client import HuggingFaceClient

    try:
        civitai = CivitAIClient(settings.civitai_url, secret(settings.civitai_api_key))
    except ValueError as error:
        raise BadSettings(f"These settings cannot be used:\n  CIVITAI_URL: {error}") from error
    hub = HuggingFaceClient(token=secret(settings.hf_token), endpoint=settings.hf_endpoint, half=half)
    return {one.name: one for one in (await stack.enter_async_context(civitai), hub)}


async def _downloads(settings: Settings, stack: AsyncExitStack, catalog: Catalog, files: InstalledModels) -> Downloads:
    from clients.downloader import Downloader
    from workflows.downloads import Downloads

    downloads = Downloads(
        sources=catalog.sources,
        fetch=Downloader(),
        files=files,
        journal=settings.atelier_home / "downloads",
        pickles=settings.atelier_pickles,
        adult=settings.atelier_adult,
        changed=catalog.forget,
    )
    return await stack.enter_async_context(downloads)


async def _looked_up(settings: Settings, folder: Path, report: Report) -> LookedUp:
    """Side-cars from what CivitAI knows of the files in a folder, by their hashes and without a key."""
    from clients.civitai_client import MetadataFetcher

    cache, hours = settings.atelier_home / "metadata", settings.atelier_metadata_hours
    async with MetadataFetcher(cache, settings.civitai_url, hours) as fetcher:
        done = await fetcher.aupdate_directory(folder, report=report)
    return LookedUp(written=done.written, kept=done.kept, unknown=done.unknown, failures=dict(done.failures))
