"""The command that tries combinations of settings and lays them out in a grid."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clients.cli import options as o
from clients.cli.console import DONE, FAILED, Json, Parts, agreed, err, out, perform, print_json, safe
from clients.cli.sharing import written
from workflows.app import App
from workflows.errors import BadRecipe
from workflows.sweeping import UNASKED, Sweep, axes_from, fixed, planned, swept
from workflows.types import Media

Several = Annotated[str | None, typer.Option(help="One value, or several with commas: an axis.")]
AXES = ("cfg", "steps", "sampler", "scheduler", "seed", "denoise", "model", "lora", "width", "height")


def sweep_command(parts: Parts) -> Callable[..., None]:
    def sweep(
        prompt: o.Prompt,
        cfg: Several = None,
        steps: Several = None,
        sampler: Several = None,
        scheduler: Several = None,
        seed: Several = None,
        denoise: Several = None,
        model: Several = None,
        lora: Several = None,
        width: Several = None,
        height: Several = None,
        negative_prompt: o.Negative = "",
        engine: o.Engine = "auto",
        quality: o.Quality = "balanced",
        style: o.Style = None,
        aspect: o.Aspect = None,
        input_image: Annotated[
            str | None, typer.Option("--image", "-i", help="Input picture: gallery id, path or URL.")
        ] = None,
        validate: o.Validate = True,
        checks: o.Checks = None,
        target: Annotated[
            Path | None, typer.Option("--out", "-o", help="Where the grid goes; sweep-ID.png by itself.")
        ] = None,
        yes: Annotated[bool, typer.Option("--yes", "-y", help=f"Do not ask above {UNASKED} pictures.")] = False,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        perform(parts, lambda app: _sweep(app, given))

    return sweep


async def _sweep(app: App, given: Mapping[str, Any]) -> int:
    as_json: bool = given["as_json"]
    told: dict[str, str | None] = {name: given[name] for name in AXES}
    axes = axes_from(told)
    same = {name: value for name, value in given.items() if name not in {*AXES, "target", "yes", "as_json"}}
    if told["denoise"] and not given["input_image"]:
        raise BadRecipe("denoise", told["denoise"], "it needs an input picture: --image")
    task = "img2img" if given["input_image"] else "txt2img"
    cells = planned(fixed(same | {"loras": [] if told["lora"] else None}, told).but(task=task), axes)
    question = f"Draw {len(cells)} pictures ({' x '.join(f'{len(axis.values)} {axis.name}' for axis in axes)})?"
    if len(cells) > UNASKED and not given["yes"] and not agreed(question):
        raise BadRecipe("sweep", f"{len(cells)} pictures", f"above {UNASKED} it wants --yes")
    with _bar(as_json) as bar:
        line = bar.add_task("Sweeping", total=len(cells))
        done = await swept(
            app,
            cells,
            axes,
            pictures=await asyncio.to_thread(_pictures, given["input_image"]),
            report=lambda count, total: bar.update(line, completed=count, total=total),
        )
    paths = await asyncio.to_thread(_keep, done, given["target"])
    print_json(_answer(done, paths)) if as_json else _tell(done, paths)
    return FAILED if all(cell.item is None for cell in done.cells) else DONE


def _pictures(given: str | None) -> dict[str, Any]:
    """A file is read as the user who typed its name; anything else is a reference for the studio."""
    if not given:
        return {}
    file = Path(given)
    named = not given.startswith("data:") and file.is_file()
    return {"source": Media(data=file.read_bytes(), media_type="application/octet-stream") if named else given}


def _keep(done: Sweep, target: Path | None) -> list[Path]:
    """The grids as files; several are numbered."""
    first = target or Path(f"sweep-{done.id}.png")
    paths: list[Path] = []
    for number, picture in enumerate(done.grids.values(), start=1):
        path = first if number == 1 else first.with_stem(f"{first.stem}-{number}")
        written(path, picture)
        paths.append(path)
    return paths


def _answer(done: Sweep, paths: list[Path]) -> dict[str, Any]:
    names = [axis.name for axis in done.axes]
    rows: list[dict[str, Any]] = []
    for cell in done.cells:
        row: dict[str, Any] = {"values": dict(zip(names, cell.values, strict=True)), "job_id": cell.job_id}
        if cell.item is None:
            rows.append(row | {"error": cell.fault})
        else:
            rows.append(row | {"image_id": cell.item.id, "score": cell.item.score, "passed": cell.item.passed})
    return {
        "sweep": done.id,
        "tag": done.tag,
        "axes": {axis.name: list(axis.values) for axis in done.axes},
        "cells": rows,
        "grids": [{"path": str(path), "of": name} for path, name in zip(paths, done.grids, strict=True)],
    }


def _tell(done: Sweep, paths: list[Path]) -> None:
    for cell in done.cells:
        setting = ", ".join(f"{axis.name} {value}" for axis, value in zip(done.axes, cell.values, strict=True))
        if cell.item is None:
            out.print(f"[red]✗[/red] {safe(setting)}: {safe(cell.fault)}")
            continue
        mark = "·" if cell.item.passed is None else "[green]✓[/green]" if cell.item.passed else "[yellow]✗[/yellow]"
        score = "" if cell.item.score is None else f"  {cell.item.score:.3f}"
        out.print(f"{mark} {safe(setting)}{score}  [dim]{cell.item.id}[/dim]")
    out.print(f"[dim]In the gallery: atelier gallery list --tag {done.tag}[/dim]")
    for path in paths:
        out.print(f"[bold]{safe(path)}[/bold]")


def _bar(quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, disable=quiet or not err.is_terminal, transient=True)
