"""Commands about ComfyUI graphs: which can be used, whether one would be taken, and running one."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from clients.cli import options as o
from clients.cli.carrying import carry_out, file_or_reference
from clients.cli.console import DONE, FAILED, Json, Parts, out, perform, print_json, safe
from workflows.answers import Answer
from workflows.app import App
from workflows.errors import BadRecipe
from workflows.types import Media

FILE_OR_NAME = "A workflow's name, or a file with a graph: JSON (API or editor), or a picture or video made with it."
MOST_FILE = 250_000_000
"""Bytes of a picture or video with a graph inside."""
SHOWN = 60
"""Letters of an input's own value."""


def list_command(parts: Parts) -> Callable[..., None]:
    def workflows_list(as_json: Json = False) -> None:
        async def work(app: App) -> int:
            answer = await app.library.list()
            print_json(answer) if as_json else _print_list(answer)
            return DONE

        perform(parts, work)

    return workflows_list


def check_command(parts: Parts) -> Callable[..., None]:
    def workflows_check(
        workflow: Annotated[str | None, typer.Argument(help=FILE_OR_NAME)] = None,
        model: o.Model = None,
        prompt: Annotated[str, typer.Option(help="Words for the graph, when none is given.")] = "test prompt",
        width: Annotated[int, typer.Option(help="Pixels.")] = 512,
        height: Annotated[int, typer.Option(help="Pixels.")] = 512,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            given = await asyncio.to_thread(_graph, workflow)
            answer = await app.library.validate(given, model, prompt, width, height)
            print_json(answer) if as_json else _print_verdict(answer)
            return DONE if answer["valid"] else FAILED

        perform(parts, work)

    return workflows_check


def run_command(parts: Parts) -> Callable[..., None]:
    def workflows_run(
        workflow: Annotated[str, typer.Argument(help=FILE_OR_NAME)],
        settings: Annotated[
            list[str] | None, typer.Option("--set", help="An input: name=value, several times; files by their path.")
        ] = None,
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = {"output": output, "as_json": as_json}

        async def work(app: App) -> int:
            inputs = await asyncio.to_thread(lambda: dict(_setting(entry) for entry in settings or ()))
            graph = await asyncio.to_thread(_graph, workflow)
            return await carry_out(app, lambda: app.begin_workflow(graph, inputs), given)

        perform(parts, work)

    return workflows_run


def _setting(entry: str) -> tuple[str, Any]:
    """ "name=value"; a value that is the path of a file here is that file. Raises BadRecipe."""
    name, equals, value = entry.partition("=")
    if not equals or not name:
        raise BadRecipe("set", entry, "it is name=value, such as prompt='a cat'; list_workflows tells the names")
    is_file = (mimetypes.guess_type(value)[0] or "").startswith(("image/", "video/", "audio/"))
    return name.strip(), file_or_reference(name, value) if is_file else value


def _graph(given: str | None) -> str | Media | None:
    """The file of that name, else the name. Raises BadRecipe."""
    if given is None or given.lstrip().startswith("{") or not Path(given).is_file():
        return given
    if (size := Path(given).stat().st_size) > MOST_FILE:
        raise BadRecipe("workflow", given, f"it has {size:,} bytes; at most {MOST_FILE:,} are read")
    return Media(data=Path(given).read_bytes(), media_type="application/octet-stream")


def _print_list(answer: Answer) -> None:
    for row in answer["workflows"]:
        mark = "[green]✓[/green]" if row["usable"] else "[yellow]✗[/yellow]"
        out.print(
            f"{mark} {safe(row['name']):<28} {safe(_kind(row))}  [dim]{safe(', '.join(row.get('tasks', ())))}[/dim]"
        )
        for one in row.get("inputs", []):
            out.print(f"  {'':<28} {safe(one['name'])} [dim]{safe(_own(one))}[/dim]")
        for lack in row.get("missing", []):
            out.print(f"  {'':<28} [yellow]{safe(lack)}[/yellow]")
        for reason in row.get("refused", []):
            out.print(f"  {'':<28} [red]{safe(reason)}[/red]")
    if "note" in answer:
        out.print(f"[yellow]{safe(answer['note'])}[/yellow]")


def _kind(row: Answer) -> str:
    """A template's title; of the user's own what comes out of it, and whence it is."""
    origin = {"folder": "yours", "saved": "saved in ComfyUI"}.get(row.get("origin", ""))
    made = ", ".join(row.get("outputs", []))
    return f"{origin}{f': {made}' if made else ''}" if origin else str(row["title"])


def _own(one: Answer) -> str:
    """What an input takes, and what it holds."""
    held = " ".join(str(one.get("default", "")).split())
    shown = held if len(held) <= SHOWN else f"{held[: SHOWN - 3]}..."
    return f"{one['kind']}, needed" if one.get("required") else f"{one['kind']} {shown}"


def _print_verdict(answer: Answer) -> None:
    for problem in answer["problems"]:
        place = " ".join(str(problem[key]) for key in ("node", "class_type", "input") if problem.get(key))
        valid = f" (allowed: {', '.join(problem['valid'])})" if problem.get("valid") else ""
        out.print(f"[red]✗[/red] {safe(place)} {safe(problem['message'])}{safe(valid)}")
    for reason in answer.get("refused", []):
        out.print(f"[red]✗[/red] {safe(reason)}")
    for note in answer.get("notes", []):
        out.print(f"[dim]{safe(note)}[/dim]")
    for one in answer.get("inputs", []):
        out.print(f"  {safe(one['name'])} [dim]{safe(_own(one))}[/dim]")
    facts = [str(answer[key]) for key in ("workflow", "model", "family", "server") if answer.get(key)]
    mark = "[green]✓[/green]" if answer["valid"] else "[red]✗[/red]"
    out.print(f"{mark} {safe(answer['next'])} [dim]{safe(', '.join(facts))}[/dim]")
