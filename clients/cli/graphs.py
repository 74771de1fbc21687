"""Commands about ComfyUI graphs: which can be used, whether one would be taken, and running one."""

from __future__ import annotations

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

MOST_GRAPH = 5_000_000
"""Bytes of a file with a graph; a picture with one inside may have more, and is read as such."""


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
        workflow: Annotated[
            str | None, typer.Argument(help="File with a graph in API format, or a workflow's name.")
        ] = None,
        model: o.Model = None,
        prompt: Annotated[str, typer.Option(help="Words for the graph, when none is given.")] = "test prompt",
        width: Annotated[int, typer.Option(help="Pixels.")] = 512,
        height: Annotated[int, typer.Option(help="Pixels.")] = 512,
        as_json: Json = False,
    ) -> None:
        given = _graph(workflow)

        async def work(app: App) -> int:
            answer = await app.library.validate(given, model, prompt, width, height)
            print_json(answer) if as_json else _print_verdict(answer)
            return DONE if answer["valid"] else FAILED

        perform(parts, work)

    return workflows_check


def run_command(parts: Parts) -> Callable[..., None]:
    def workflows_run(
        workflow: Annotated[str, typer.Argument(help="A workflow's name, or a file with a graph.")],
        settings: Annotated[
            list[str] | None, typer.Option("--set", help="An input: name=value, several times; files by their path.")
        ] = None,
        output: o.Output = None,
        as_json: Json = False,
    ) -> None:
        given = {"output": output, "as_json": as_json}

        async def work(app: App) -> int:
            inputs = dict(_setting(entry) for entry in settings or ())
            return await carry_out(app, lambda: app.begin_workflow(_graph(workflow), inputs), given)

        perform(parts, work)

    return workflows_run


def _setting(entry: str) -> tuple[str, Any]:
    """ "name=value"; a value that is the path of a file here is that file. Raises BadRecipe."""
    name, equals, value = entry.partition("=")
    if not equals or not name:
        raise BadRecipe("set", entry, "it is name=value, such as prompt='a cat'; list_workflows tells the names")
    is_file = (mimetypes.guess_type(value)[0] or "").startswith(("image/", "video/", "audio/"))
    return name.strip(), file_or_reference(name, value) if is_file else value


def _graph(given: str | None) -> str | None:
    """The text of a file of that name, else the name."""
    if given is None or not Path(given).is_file():
        return given
    return Path(given).read_text(encoding="utf-8", errors="replace")


def _print_list(answer: Answer) -> None:
    for row in answer["workflows"]:
        mark = "[green]✓[/green]" if row["usable"] else "[yellow]✗[/yellow]"
        out.print(f"{mark} {safe(row['name']):<28} {safe(row['title'])}  [dim]{safe(', '.join(row['tasks']))}[/dim]")
        for lack in row.get("missing", []):
            out.print(f"  {'':<28} [yellow]{safe(lack)}[/yellow]")
    if "note" in answer:
        out.print(f"[yellow]{safe(answer['note'])}[/yellow]")


def _print_verdict(answer: Answer) -> None:
    for problem in answer["problems"]:
        place = " ".join(str(problem[key]) for key in ("node", "class_type", "input") if problem.get(key))
        valid = f" (allowed: {', '.join(problem['valid'])})" if problem.get("valid") else ""
        out.print(f"[red]✗[/red] {safe(place)} {safe(problem['message'])}{safe(valid)}")
    facts = [str(answer[key]) for key in ("workflow", "model", "family", "server") if answer.get(key)]
    mark = "[green]✓[/green]" if answer["valid"] else "[red]✗[/red]"
    out.print(f"{mark} {safe(answer['next'])} [dim]{safe(', '.join(facts))}[/dim]")
