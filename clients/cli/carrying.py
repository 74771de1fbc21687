"""A command's way from its options to a job, with a bar meanwhile, and to the picture where it was wanted."""

from __future__ import annotations

import asyncio
import mimetypes
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from clients.cli.console import DONE, FAILED, NOT_ACCEPTED, err, out, print_json, safe
from workflows import answers
from workflows.answers import Answer
from workflows.app import App
from workflows.asking import pictures_from, recipe_from
from workflows.errors import BadRecipe
from workflows.inputs import argument_of
from workflows.types import Job, Media, Task
from workflows.types import Progress as HowFar

WAIT_SECONDS = 24 * 3600.0
"""A command waits for its job; a day is the bound that every wait has."""


async def make(app: App, given: Mapping[str, Any], task: Task) -> int:
    """Carry out one making command; `given` are its options by their contract names."""
    asked = dict(given) | {"control": [_control(entry) for entry in given.get("control") or ()]}
    recipe = recipe_from(asked, task=task)
    pictures = await asyncio.to_thread(_pictures, pictures_from(asked))
    return await carry_out(app, lambda: app.studio.submit(recipe, pictures), given)


async def carry_out(app: App, start: Callable[[], Awaitable[Job]], given: Mapping[str, Any]) -> int:
    """Start the job, wait for its end, deliver and tell; gives the exit code."""
    as_json: bool = given["as_json"]
    job = await _finished(app, start, quiet=as_json)
    answer = await answers.job_answer(app.gallery, job)
    await asyncio.to_thread(deliver, answer, given["output"])
    print_json(answer) if as_json else tell(answer)
    return exit_code(job)


def _control(entry: str) -> dict[str, str]:
    """ "canny=edges.png" as kind and image. Raises BadRecipe."""
    kind, equals, image = entry.partition("=")
    if not equals:
        raise BadRecipe("control", entry, "it is kind=picture, such as canny=edges.png")
    return {"kind": kind, "image": image}


def _pictures(given: Mapping[str, str]) -> dict[str, str | Media]:
    return {role: file_or_reference(argument_of(role), reference) for role, reference in given.items()}


def file_or_reference(argument: str, given: str) -> str | Media:
    """A file is read as the user who typed its name; anything else is a reference for the studio. Raises BadRecipe."""
    if given.startswith("data:"):
        return given
    if not Path(given).is_file():
        if "://" not in given and Path(given).suffix:
            raise BadRecipe(argument, given, f"there is no such file in {Path.cwd()}")
        return given
    return Media(data=Path(given).read_bytes(), media_type=mimetypes.guess_type(given)[0] or "application/octet-stream")


async def _finished(app: App, start: Callable[[], Awaitable[Job]], *, quiet: bool) -> Job:
    """Submit and wait, with a bar on a terminal; Ctrl-C cancels the job before it leaves."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal, transient=True) as bar:
        line = bar.add_task("Preparing", total=1.0)
        job = await start()

        def show(progress: HowFar) -> None:
            bar.update(line, completed=progress.fraction, description=_described(progress))

        try:
            return await app.studio.wait(job.id, WAIT_SECONDS, show)
        except asyncio.CancelledError:
            await app.studio.cancel(job.id)
            raise


def _described(progress: HowFar) -> str:
    left = f", {progress.seconds_left:.0f} s left" if progress.seconds_left else ""
    return f"{safe(progress.message) or 'Preparing'}{left}"


def deliver(answer: Answer, output: Path | None) -> None:
    """Copy what was made where it was wanted: several get numbered names, other kinds of files their own endings."""
    made = _made(answer)
    if output is None or not made:
        return
    folder = output.is_dir() or not output.suffix
    copies: list[str] = []
    for number, one in enumerate(made, start=1):
        source = Path(one["path"])
        name = f"{one.get('image_id') or one['id']}{source.suffix}"
        single = output if number == 1 else output.with_stem(f"{output.stem}-{number}").with_suffix(source.suffix)
        target = output / name if folder else single
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        copies.append(str(target))
    answer["output"] = copies[0] if len(copies) == 1 else copies


def _made(answer: Answer) -> list[Answer]:
    """Each file with its path: pictures and videos first, then what else a workflow gave."""
    pictures = answer.get("images") or ([answer] if "path" in answer else [])
    return [*pictures, *answer.get("outputs", [])]


def tell(answer: Answer) -> None:
    if "wording" in answer:
        _tell_wording(answer["wording"])
    for row in answer.get("attempts", []):
        mark = {True: "[green]✓[/green]", False: "[yellow]✗[/yellow]"}.get(row.get("passed"), "·")
        reason = safe(row.get("reason", "not judged"))
        out.print(f"{mark} attempt {row['attempt']}  seed {row['seed']}  {row['seconds']:.1f} s  {reason}")
    if "validation" in answer and "skipped" in answer["validation"]:
        out.print(f"[yellow]{safe(answer['validation']['skipped'])}[/yellow]")
    said = [answer[name] for name in ("warning", "note") if name in answer]
    for note in (*said, *answer.get("notes", [])):
        out.print(f"[dim]{safe(note)}[/dim]")
    if "error" in answer:
        err.print(f"[red]Error:[/red] {safe(answer['error']['message'])}")
    for one in answer.get("outputs", []):
        if "text" in one:
            out.print(safe(one["text"]))
    filed = [one["path"] for one in _made(answer)]
    copied = answer.get("output", [])
    for path in [*filed, *([copied] if isinstance(copied, str) else copied)]:
        out.print(f"[bold]{safe(path)}[/bold]")


def _tell_wording(wording: Mapping[str, Any]) -> None:
    """What was drawn instead of the user's own words, and why."""
    changes = [f"{change['what']}: {change['why']}" for change in wording.get("changes", [])]
    for line in (f"drawn as: {wording['prompt']}", *changes, *wording.get("notes", [])):
        out.print(f"[dim]{safe(line)}[/dim]")


def exit_code(job: Job) -> int:
    if job.state != "succeeded":
        return FAILED
    return NOT_ACCEPTED if any(outcome.accepted is False for outcome in job.outcomes) else DONE
