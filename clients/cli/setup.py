"""`atelier setup`: from the demo model to a real one in one command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from clients.cli.carrying import make
from clients.cli.console import DONE, FAILED, Json, Parts, agreed, err, out, perform, print_json, safe
from clients.cli.models import downloads_of, fetch, tell_download
from workflows.app import App
from workflows.catalog import DRAWABLE
from workflows.errors import EngineUnavailable
from workflows.model_rows import download_answer
from workflows.starters import Machine, Proposal, propose, starter, starters
from workflows.types import Download

FIRST_PROMPT = "a lighthouse on a cliff at sunset, waves below, warm light"


def setup_command(parts: Parts) -> Callable[..., None]:
    def setup(
        model: Annotated[str | None, typer.Option(help="Take this one, as --show names it.")] = None,
        show: Annotated[bool, typer.Option("--show", help="Only show what could be taken.")] = False,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        prompt: Annotated[str, typer.Option(help="The first picture.")] = FIRST_PROMPT,
        output: Annotated[Path | None, typer.Option("--output", "-o", help="Copy it to this file or folder.")] = None,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            machine = await app.machine()
            await asyncio.to_thread(starters)  # read from a file the first time
            proposals = propose(machine, await _engines(app))
            if show:
                return _shown(machine, proposals, as_json)
            downloads = downloads_of(app)
            wanted = _wanted(proposals, model)
            if not as_json:
                _tell(machine, [wanted])
            if not yes and not agreed(_question(wanted)):
                err.print("Nothing was downloaded: say yes, or give --yes; --show tells what else could be taken.")
                return FAILED
            fetched: list[Download] = []
            for reference in wanted.starter.references:
                ended = await fetch(app, await downloads.plan(reference), quiet=as_json)
                if ended.state != "succeeded":
                    print_json(download_answer(ended)) if as_json else await tell_download(app, ended)
                    return FAILED
                fetched.append(ended)
            name = _drawn_with(fetched)
            if not as_json:
                out.print(f"{safe(wanted.starter.title)} is here, as {safe(name or wanted.starter.name)}.")
            given = {"prompt": prompt, "engine": wanted.starter.engine, "output": output, "as_json": as_json}
            return await make(app, given | {"model": name}, "txt2img")

        perform(parts, work)

    return setup


async def _engines(app: App) -> set[str]:
    """The engines that can draw with what is downloaded here: not a ComfyUI whose folders are elsewhere."""
    ready = {engine.name for engine in await app.engines() if engine.available}
    files = app.catalog.files
    folder = await asyncio.to_thread(files.folder_for, "checkpoint") if files else app.places["home"]
    return ready - {"comfyui"} if Path(folder).is_relative_to(app.places["home"]) else ready


def _wanted(proposals: Sequence[Proposal], model: str | None) -> Proposal:
    """The one that was named, or the best that fits. Raises NotFound, EngineUnavailable."""
    if model is not None:
        named = starter(model)
        return next((one for one in proposals if one.starter == named), Proposal(starter=named))
    if not proposals:
        raise EngineUnavailable("No engine can draw here: `atelier doctor` tells what is missing.")
    if not proposals[0].fits:
        against = "; ".join(f"{one.starter.title}: {', '.join(one.against)}" for one in proposals)
        raise EngineUnavailable(
            f"None of the usual models fits this machine. {against}. --model takes one all the same."
        )
    return proposals[0]


def _drawn_with(fetched: Sequence[Download]) -> str | None:
    """The name under which the engine knows what was downloaded."""
    infos = [one.info for one in fetched]
    return next((info.name for info in infos if info and info.kind in DRAWABLE), None)


def _shown(machine: Machine, proposals: Sequence[Proposal], as_json: bool) -> int:
    if as_json:
        print_json({"machine": vars(machine), "proposals": [one.model_dump(mode="json") for one in proposals]})
    else:
        _tell(machine, proposals)
    return DONE


def _tell(machine: Machine, proposals: Sequence[Proposal]) -> None:
    gpu = f"{machine.gpu} with {machine.gpu_gb:.0f} GB" if machine.gpu_gb else "no GPU"
    out.print(f"This machine: {safe(gpu)}, {machine.ram_gb:.0f} GB of memory, {machine.disk_gb:.0f} GB of disk free.")
    for proposal in proposals:
        one = proposal.starter
        sold = "pictures may be sold" if one.commercial else "not for commercial use"
        out.print(f"[bold]{safe(one.title)}[/bold] ({one.name}, {one.engine}): {safe(one.about)}")
        out.print(f"  {one.size_gb:g} GB, about {one.minutes} min at 100 Mbit/s; {safe(one.licence)}, {sold}")
        for reason in proposal.against:
            out.print(f"  [yellow]{safe(reason)}[/yellow]")
    if not proposals:
        out.print("[yellow]No engine can draw here: see atelier doctor.[/yellow]")


def _question(wanted: Proposal) -> str:
    return f"Download {wanted.starter.title} ({wanted.starter.size_gb:g} GB) and draw with it?"
