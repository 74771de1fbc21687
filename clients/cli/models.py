"""Commands about models: what is here, what suits, what could be had, and getting it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from clients.cli.console import (
    DONE,
    FAILED,
    Json,
    Parts,
    agreed,
    err,
    in_commands,
    out,
    perform,
    print_json,
    safe,
)
from clients.cli.model_lines import model_line, tell_facts, tell_found, tell_models, tell_ranked, use
from workflows.answers import Answer
from workflows.app import App
from workflows.catalog import SOURCES_OFF
from workflows.errors import BadRecipe
from workflows.model_answers import (
    lora_list,
    model_details,
    model_list,
    search_answer,
    suggested_loras,
    suggested_models,
)
from workflows.model_rows import download_answer, model_row, planned_answer
from workflows.types import Download, ModelQuery

if TYPE_CHECKING:
    from workflows.downloads import Downloads, Plan

WAIT_SECONDS = 7 * 24 * 3600.0
"""A command waits for its download; a week is the bound that every wait has."""

Words = Annotated[str, typer.Argument(help="Words of the name, title or tags.")]
Kind = Annotated[str, typer.Option(help="checkpoint, diffusion_model, lora, vae, ... or all.")]
Limit = Annotated[int, typer.Option("--limit", "-l", help="Rows.")]
Name = Annotated[str, typer.Argument(help="Name of a model, as `atelier models list` shows it.")]


def list_command(parts: Parts) -> Callable[..., None]:
    def models_list(
        query: Words = "",
        kind: Kind = "all",
        family: Annotated[str | None, typer.Option(help="Only of this family.")] = None,
        works_with: Annotated[str | None, typer.Option(help="Only LoRAs that work with this model.")] = None,
        limit: Limit = 50,
        as_json: Json = False,
    ) -> None:
        narrowed = bool(query or works_with or family) or kind != "all"

        async def work(app: App) -> int:
            if works_with:
                answer = await lora_list(app.catalog, compatible_with=works_with, query=query, limit=limit)
            else:
                answer = await model_list(app.catalog, kind=kind, query=query, family=family, limit=limit)
            if as_json:
                print_json(answer)
            else:
                tell_models(answer, answer.get("models", answer.get("loras", [])), narrowed)
            return DONE

        perform(parts, work)

    return models_list


def info_command(parts: Parts) -> Callable[..., None]:
    def models_info(name: Name, as_json: Json = False) -> None:
        async def work(app: App) -> int:
            answer = await model_details(app.catalog, name)
            print_json(answer) if as_json else tell_facts(answer)
            return DONE

        perform(parts, work)

    return models_info


def suggest_command(parts: Parts) -> Callable[..., None]:
    def models_suggest(
        prompt: Annotated[str, typer.Argument(help="What is to be made.")],
        style: Annotated[str | None, typer.Option(help="realistic, anime, artistic, 3d, ...")] = None,
        loras: Annotated[bool, typer.Option("--loras", help="LoRAs for it instead of models.")] = False,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            asked = suggested_loras(app.chooser, prompt) if loras else suggested_models(app.chooser, prompt, style)
            answer = await asked
            if as_json:
                print_json(answer)
                return DONE
            rows = answer["loras" if loras else "models"]
            tell_ranked(answer, rows)
            told = _suggested(rows, answer["model"] or "none" if loras else "")
            out.print(f"[dim]{safe(told)}[/dim]")
            return DONE

        perform(parts, work)

    return models_suggest


def search_command(parts: Parts) -> Callable[..., None]:
    def models_search(
        query: Words,
        source: Annotated[str, typer.Option(help="civitai, huggingface or all.")] = "all",
        kind: Kind = "all",
        base_model: Annotated[str | None, typer.Option(help="Such as SDXL 1.0 or a family.")] = None,
        sort: Annotated[str, typer.Option(help="Most Downloaded, Highest Rated, Newest.")] = "Most Downloaded",
        nsfw: Annotated[bool, typer.Option("--nsfw", help="Adult ones too, where ATELIER_ADULT allows.")] = False,
        limit: Limit = 10,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            query_ = ModelQuery.checked(
                query=query, model_type=kind, base_model=base_model, sort=sort, nsfw=nsfw, limit=limit
            )
            answer = await search_answer(app.catalog, query_, source)
            for name, fault in answer.get("unanswered", {}).items():
                err.print(f"[yellow]{safe(name)}: {safe(fault)}[/yellow]")
            print_json(answer) if as_json else tell_found(answer)
            return DONE

        perform(parts, work)

    return models_search


def download_command(parts: Parts) -> Callable[..., None]:
    def models_download(
        reference: Annotated[str, typer.Argument(help="As `atelier models search` gave it, or a page's URL.")],
        version: Annotated[str | None, typer.Option(help="Another version.")] = None,
        destination: Annotated[str, typer.Option(help="A model folder; auto: by what it is.")] = "auto",
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, however large it is.")] = False,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            plan = await downloads_of(app).plan(reference, version, destination)
            if plan.needs_consent and not yes and not agreed(plan.question):
                if as_json:
                    print_json(planned_answer(plan))
                err.print("Nothing was downloaded: say yes, or give --yes.")
                return FAILED
            ended = await fetch(app, plan, quiet=as_json)
            print_json(download_answer(ended)) if as_json else await tell_download(app, ended)
            return DONE if ended.state == "succeeded" else FAILED

        perform(parts, work)

    return models_download


def downloads_of(app: App) -> Downloads:
    """Raises BadRecipe where they are off."""
    if app.catalog.downloads is None:
        raise BadRecipe("reference", "", SOURCES_OFF)
    return app.catalog.downloads


async def fetch(app: App, plan: Plan, *, quiet: bool) -> Download:
    """Download what was agreed to, with a bar on a terminal. Ctrl-C stops it; asked for again, it goes on."""
    downloads = downloads_of(app)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    hidden = quiet or not err.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=err, disable=hidden, transient=True) as bar:
        line = bar.add_task(safe(plan.offer.name), total=plan.offer.size)
        download = await downloads.start(plan)

        def heard(_: object) -> None:
            known = downloads.known(download.id)
            bar.update(line, completed=known.received if known else 0)

        try:
            return await downloads.wait(download.id, WAIT_SECONDS, heard)
        except asyncio.CancelledError:
            err.print(await _stopped(downloads, download.id))
            raise


async def _stopped(downloads: Downloads, download_id: str) -> str:
    try:
        await downloads.cancel(download_id)
    except BadRecipe:
        return "Another Atelier process is at it, and goes on."
    return "What arrived is kept: the same command goes on there."


async def tell_download(app: App, ended: Download) -> None:
    """Where the file lies, what it is, and what to do with it; or what went wrong."""
    if ended.state != "succeeded":
        err.print(f"[red]Error:[/red] {safe(in_commands(ended.fault or ended.state))}")
        return
    out.print(f"[bold]{safe(ended.path or ended.offer.name)}[/bold]")
    if ended.note:
        out.print(f"[yellow]{safe(ended.note)}[/yellow]")
    if ended.info is not None:
        row = model_row(await app.catalog.known(ended.info.name, {ended.info.kind}) or ended.info)
        out.print(model_line(row))
        out.print(f"[dim]{safe(use(row))}[/dim]")


def _suggested(rows: Sequence[Answer], for_model: str) -> str:
    """What to type. `for_model`: the model that LoRAs were looked for."""
    if rows and all(row["family"] == "demo" for row in rows):
        return "Only the demo model is here, which draws a few shapes: `atelier setup` gets a real one."
    if rows:
        return use(rows[0] | {"kind": "lora" if for_model else "checkpoint"})
    if for_model:
        words = "`atelier models search WORDS --kind lora` finds more"
        return f"None of the LoRAs here fits this prompt and the model {for_model}: {words}."
    return "No model is here that draws: `atelier setup` gets one that suits this machine."


def scan_command(parts: Parts) -> Callable[..., None]:
    def models_scan(
        anew: Annotated[bool, typer.Option("--anew", help="Read unchanged files too.")] = False,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            scanned = await app.catalog.scan(anew)
            if as_json:
                print_json(scanned.model_dump(mode="json"))
                return DONE
            changes = f"{scanned.added} new, {scanned.changed} changed, {scanned.gone} gone"
            out.print(f"{scanned.files} files in {scanned.seconds:.2f} s: {changes}")
            for folder in scanned.folders:
                out.print(f"[dim]{safe(folder)}[/dim]")
            if not scanned.folders and app.catalog.files is not None:
                place = Path(await asyncio.to_thread(app.catalog.files.folder_for, "checkpoint")).parent
                told = f"No model folder is here yet. Downloads go to {place}; ATELIER_MODELS names other folders."
                out.print(f"[dim]{safe(told)}[/dim]")
            for fault in scanned.unreadable:
                err.print(f"[yellow]{safe(fault)}[/yellow]")
            return DONE

        perform(parts, work)

    return models_scan


def lookup_command(parts: Parts) -> Callable[..., None]:
    def models_lookup(
        folder: Annotated[
            list[Path] | None, typer.Argument(help="Folders to look through; all model folders when none is given.")
        ] = None,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            folders = folder or [Path(place) for place in (await app.catalog.scan()).folders]
            for place in folder or ():
                if not await asyncio.to_thread(place.is_dir):
                    raise BadRecipe("folder", str(place), "it is a folder with model files")
            there = [place for place in folders if await asyncio.to_thread(place.is_dir)]
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total}"))
            with Progress(*columns, console=err, disable=as_json or not err.is_terminal, transient=True) as bar:
                line = bar.add_task("Asking CivitAI", total=None)
                done = await app.catalog.look_up(there, lambda n, of: bar.update(line, completed=n, total=of))
            if as_json:
                print_json(asdict(done))
            else:
                out.print(f"{len(done.written)} new side-cars, {done.kept} were there, {len(done.unknown)} unknown")
                for path, fault in done.failures.items():
                    err.print(f"[yellow]{safe(path)}: {safe(fault)}[/yellow]")
            return FAILED if done.failures else DONE

        perform(parts, work)

    return models_lookup


def set_command(parts: Parts) -> Callable[..., None]:
    def models_set(
        name: Name,
        family: Annotated[str | None, typer.Option(help="What it really is; '' takes the correction back.")] = None,
        kind: Annotated[str | None, typer.Option(help="checkpoint, lora, ...")] = None,
        title: Annotated[str | None, typer.Option(help="What to call it.")] = None,
        triggers: Annotated[str | None, typer.Option(help="Words that wake it, with commas.")] = None,
        as_json: Json = False,
    ) -> None:
        given = {"family": family, "kind": kind, "title": title, "triggers": triggers}
        corrections = {field: value for field, value in given.items() if value is not None}

        async def work(app: App) -> int:
            if not corrections:
                raise BadRecipe("corrections", "", "give at least one of --family, --kind, --title, --triggers")
            row = model_row(await app.catalog.correct(name, corrections))
            print_json(row) if as_json else out.print(model_line(row))
            return DONE

        perform(parts, work)

    return models_set
