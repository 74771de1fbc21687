"""Commands about models: what is here, what suits, what could be had, and getting it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from clients.cli.console import DONE, FAILED, Json, Parts, err, out, perform, print_json, safe
from workflows.answers import Answer
from workflows.app import App
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
        async def work(app: App) -> int:
            if works_with:
                answer = await lora_list(app.catalog, compatible_with=works_with, query=query, limit=limit)
            else:
                answer = await model_list(app.catalog, kind=kind, query=query, family=family, limit=limit)
            return _told(answer, answer.get("models", answer.get("loras", [])), as_json)

        perform(parts, work)

    return models_list


def info_command(parts: Parts) -> Callable[..., None]:
    def models_info(name: Name, as_json: Json = False) -> None:
        async def work(app: App) -> int:
            answer = await model_details(app.catalog, name)
            print_json(answer) if as_json else _tell_facts(answer)
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
            for row in answer["loras" if loras else "models"]:
                shown = ", ".join(f"{name} {value:+g}" for name, value in row["parts"].items())
                out.print(f"[bold]{row['score']:5.1f}[/bold]  {safe(row['name'])}  [dim]{safe(shown)}[/dim]")
            out.print(f"[dim]{safe(answer['next'])}[/dim]")
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
            return _told(answer, answer["results"], as_json, "reference")

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
            return await fetch(app, reference, version, destination, yes=yes, as_json=as_json)

        perform(parts, work)

    return models_download


async def fetch(
    app: App, reference: str, version: str | None = None, destination: str = "auto", *, yes: bool, as_json: bool
) -> int:
    """Download with a bar on a terminal; a large file is asked about first. Ctrl-C stops it; it goes on when asked
    for again."""
    downloads = app.catalog.downloads
    if downloads is None:
        raise BadRecipe("reference", reference, "downloads are switched off here (ATELIER_DOWNLOADS)")
    plan = await downloads.plan(reference, version, destination)
    if plan.needs_consent and not yes and not await _agreed(plan.question):
        print_json(planned_answer(plan)) if as_json else out.print(safe(plan.question))
        err.print("Nothing was downloaded: say yes, or give --yes.")
        return FAILED
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    hidden = as_json or not err.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=err, disable=hidden, transient=True) as bar:
        line = bar.add_task(safe(plan.offer.name), total=plan.offer.size)
        download = await downloads.start(plan)
        try:
            ended = await _watched(app, download, lambda received: bar.update(line, completed=received))
        except asyncio.CancelledError:
            await downloads.cancel(download.id)
            raise
    return _told_of(ended, as_json)


async def _watched(app: App, download: Download, show: Callable[[int], None]) -> Download:
    downloads = app.catalog.downloads
    assert downloads is not None

    def heard(_: object) -> None:
        known = downloads.known(download.id)
        if known is not None:
            show(known.received)

    return await downloads.wait(download.id, WAIT_SECONDS, heard)


def _told_of(ended: Download, as_json: bool) -> int:
    answer = download_answer(ended)
    if as_json:
        print_json(answer)
    elif ended.state == "succeeded":
        out.print(f"[bold]{safe(ended.path or ended.offer.name)}[/bold]")
        out.print(f"[dim]{safe(answer['next'])}[/dim]")
    else:
        err.print(f"[red]Error:[/red] {safe(ended.fault or ended.state)}")
    return DONE if ended.state == "succeeded" else FAILED


async def _agreed(question: str) -> bool:
    if not err.is_terminal:
        return False
    return await asyncio.to_thread(typer.confirm, question, err=True)


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
            print_json(row) if as_json else out.print(_line(row, "name"))
            return DONE

        perform(parts, work)

    return models_set


def _told(answer: Answer, rows: Sequence[Answer], as_json: bool, key: str = "name") -> int:
    if as_json:
        print_json(answer)
        return DONE
    for row in rows:
        out.print(_line(row, key))
    more = answer["total"] - len(rows)
    if more > 0:
        out.print(f"[dim]{more} more: --limit shows them.[/dim]")
    if not rows:
        out.print("[yellow]None.[/yellow]")
    return DONE


def _line(row: Answer, key: str) -> str:
    size = f"{row['size_gb']:.2f} GB" if "size_gb" in row else ""
    family = f"{row['family']}{' (a guess)' if row.get('guessed') else ''}"
    facts = [row["kind"], family, size, row.get("name") if key != "name" else row.get("title"), row.get("licence")]
    triggers = _listed("wakes to ", row.get("triggers", []))
    return f"[bold]{safe(row[key])}[/bold]  {safe('  '.join(str(fact) for fact in (*facts, triggers) if fact))}"


def _listed(words: str, entries: Iterable[Any]) -> str:
    named = ", ".join(str(entry) for entry in entries)
    return f"{words}{named}" if named else ""


def _tell_facts(answer: Answer) -> None:
    for name, value in answer.items():
        if isinstance(value, dict):
            out.print(f"{safe(name)}:")
            for inner, fact in cast(Answer, value).items():
                out.print(f"  {safe(inner)}: {safe(fact)}")
        else:
            out.print(f"{safe(name)}: {safe(value)}")
