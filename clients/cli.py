"""The command line as a face: arguments -> App calls -> lines of text and progress bars.

Exit codes: 0 done, 1 failed, 2 usage, 3 made but not accepted by the judges, 130 interrupted.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from workflows import answers
from workflows.answers import Answer
from workflows.app import App
from workflows.asking import recipe_from
from workflows.errors import BadRecipe, StudioError
from workflows.types import ItemQuery, Job, Media, Recipe

DONE, FAILED, USAGE, NOT_ACCEPTED, INTERRUPTED = 0, 1, 2, 3, 130
WAIT_SECONDS = 24 * 3600.0
"""A command waits for its job; a day is the bound that every wait has."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for machines; no progress bar.")]


class Finding(Protocol):
    """One line of `atelier doctor`."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...
    @property
    def next_step(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the root hands to the command line."""

    open_app: Callable[[], AbstractAsyncContextManager[App]]
    examine: Callable[[], Sequence[Finding]]
    serve: Callable[[Sequence[str]], None]
    version: str


def run(arguments: Sequence[str], parts: Parts) -> int:
    """Run one command; returns its exit code. `atelier "PROMPT"` is short for `atelier generate "PROMPT"`."""
    known = {"generate", "gallery", "status", "doctor", "serve", "--help", "--version"}
    given = list(arguments) or ["--help"]
    if given[0] not in known:
        given = ["generate", *given]
    try:
        build(parts)(given, prog_name="atelier")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else DONE
    return DONE


def build(parts: Parts) -> typer.Typer:
    """The commands, bound to what the root handed over."""
    cli = typer.Typer(
        help='Pictures that were checked. atelier "a red circle" renders, judges, retries and files one.',
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    cli.callback(invoke_without_command=True)(_root(parts.version))
    cli.command("generate", help='Render a picture and have it judged (short: atelier "PROMPT").')(_generate(parts))
    cli.command("status", help="Engines, work in hand, pictures, memory.")(_status(parts))
    cli.command("doctor", help="What is installed, reachable and missing, and the next step.")(_doctor(parts))
    passing: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    cli.command("serve", help="Serve MCP; options as of atelier-mcp.", context_settings=passing)(_serve(parts))
    gallery = typer.Typer(help="The pictures that were kept.", no_args_is_help=True)
    gallery.command("list", help="List pictures, newest first.")(_gallery_list(parts))
    gallery.command("show", help="All that is known about a picture.")(_gallery_show(parts))
    gallery.command("delete", help="Delete a picture: file and row.")(_gallery_delete(parts))
    cli.add_typer(gallery, name="gallery")
    return cli


def _root(version: str) -> Callable[..., None]:
    def root(show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
        if show:
            out.print(f"atelier {version}")
            raise typer.Exit(DONE)

    return root


def _perform(parts: Parts, work: Callable[[App], Awaitable[int]]) -> None:
    """Open the app, do the work, leave with its exit code; errors become one line on stderr."""

    async def within() -> int:
        async with parts.open_app() as app:
            return await work(app)

    try:
        code = asyncio.run(within())
    except KeyboardInterrupt:
        err.print("Interrupted.")
        code = INTERRUPTED
    except BadRecipe as error:
        err.print(f"[red]Error:[/red] {_safe(error)}")
        code = USAGE
    except (StudioError, ValueError) as error:
        err.print(f"[red]Error:[/red] {_safe(error)}")
        code = FAILED if isinstance(error, StudioError) else USAGE
    raise typer.Exit(code)


def _safe(text: object) -> str:
    """Text from outside is shown, never read as markup."""
    from rich.markup import escape

    return escape(str(text))


def _print_json(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2, default=str) + "\n")


# ---------------------------------------------------------------------- generate


def _generate(parts: Parts) -> Callable[..., None]:
    def generate(
        prompt: Annotated[str, typer.Argument(help="What the picture shows.")],
        negative_prompt: Annotated[str, typer.Option("--negative", "-n", help="What it must not show.")] = "",
        model: Annotated[str | None, typer.Option(help="Model to draw with.")] = None,
        engine: Annotated[str, typer.Option(help="Engine to draw on.")] = "auto",
        quality: Annotated[str, typer.Option(help="fast, balanced, high or ultra.")] = "balanced",
        width: Annotated[int | None, typer.Option(help="Pixels.")] = None,
        height: Annotated[int | None, typer.Option(help="Pixels.")] = None,
        aspect: Annotated[str | None, typer.Option(help="Such as 16:9, square, portrait.")] = None,
        steps: Annotated[int | None, typer.Option(help="Denoising steps.")] = None,
        cfg: Annotated[float | None, typer.Option(help="Guidance scale.")] = None,
        sampler: Annotated[str | None, typer.Option(help="Sampler name.")] = None,
        seed: Annotated[int, typer.Option("--seed", "-s", help="-1: a new one.")] = -1,
        count: Annotated[int, typer.Option("--count", "-c", help="Pictures to make.")] = 1,
        image: Annotated[
            str | None, typer.Option("--image", "-i", help="Input picture: gallery id, path or URL.")
        ] = None,
        denoise: Annotated[float | None, typer.Option(help="How far to leave the input picture, 0 to 1.")] = None,
        validate: Annotated[bool, typer.Option("--validate/--no-validate", help="Have it judged.")] = True,
        auto_retry: Annotated[
            bool, typer.Option("--retry/--no-retry", help="Try again when the judge says no.")
        ] = True,
        retry_limit: Annotated[int, typer.Option(help="Attempts in all.")] = 3,
        positive_threshold: Annotated[float, typer.Option("--threshold", help="CLIP score that passes.")] = 0.25,
        output: Annotated[Path | None, typer.Option("--output", "-o", help="Copy to this file or folder.")] = None,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())
        _perform(parts, lambda app: _make(app, given))

    return generate


async def _make(app: App, given: Mapping[str, Any]) -> int:
    """Carry out one `generate`; `given` are its options by name."""
    as_json: bool = given["as_json"]
    image = await asyncio.to_thread(_picture, given["image"])
    recipe = recipe_from(given, task="img2img" if image else "txt2img")
    job = await _carry_out(app, recipe, image, quiet=as_json)
    answer = await answers.job_answer(app.gallery, job)
    await asyncio.to_thread(_deliver, answer, given["output"])
    _print_json(answer) if as_json else _tell(answer)
    return _exit_code(job, answer)


def _picture(given: str | None) -> str | Media | None:
    """A file is read as the user who typed its name; anything else is a reference for the studio."""
    if given is None or not Path(given).is_file():
        return given
    return Media(data=Path(given).read_bytes(), media_type=mimetypes.guess_type(given)[0] or "application/octet-stream")


async def _carry_out(app: App, recipe: Recipe, image: str | Media | None, *, quiet: bool) -> Job:
    """Submit and wait, with a bar on a terminal; Ctrl-C cancels the job before it leaves."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal, transient=True) as bar:
        line = bar.add_task("Preparing", total=1.0)
        job = await app.studio.submit(recipe, image)

        def show(progress: Any) -> None:
            bar.update(line, completed=progress.fraction, description=_safe(progress.message) or "Preparing")

        try:
            return await app.studio.wait(job.id, WAIT_SECONDS, show)
        except asyncio.CancelledError:
            await app.studio.cancel(job.id)
            raise


def _deliver(answer: Answer, output: Path | None) -> None:
    """Copy the picture where it was wanted; several get numbered names."""
    if output is None or "path" not in answer:
        return
    pictures = answer.get("images") or [answer]
    folder = output.is_dir() or not output.suffix
    copies: list[str] = []
    for number, picture in enumerate(pictures, start=1):
        source = Path(picture["path"])
        name = f"{picture['image_id']}{source.suffix}"
        single = output if number == 1 else output.with_stem(f"{output.stem}-{number}")
        target = output / name if folder else single
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        copies.append(str(target))
    answer["output"] = copies[0] if len(copies) == 1 else copies


def _tell(answer: Answer) -> None:
    for row in answer.get("attempts", []):
        mark = {True: "[green]✓[/green]", False: "[yellow]✗[/yellow]"}.get(row.get("passed"), "·")
        reason = _safe(row.get("reason", "not judged"))
        out.print(f"{mark} attempt {row['attempt']}  seed {row['seed']}  {row['seconds']:.1f} s  {reason}")
    if "validation" in answer and "skipped" in answer["validation"]:
        out.print(f"[yellow]{_safe(answer['validation']['skipped'])}[/yellow]")
    for name in ("warning", "note"):
        if name in answer:
            out.print(f"[dim]{_safe(answer[name])}[/dim]")
    if "error" in answer:
        err.print(f"[red]Error:[/red] {_safe(answer['error']['message'])}")
    for picture in answer.get("images") or ([answer] if "path" in answer else []):
        out.print(f"[bold]{_safe(picture['path'])}[/bold]")


def _exit_code(job: Job, answer: Answer) -> int:
    if job.state != "succeeded":
        return FAILED
    pictures = answer.get("images") or [answer.get("validation", {})]
    return NOT_ACCEPTED if any(picture.get("passed") is False for picture in pictures) else DONE


# ---------------------------------------------------------------------- looking


def _status(parts: Parts) -> Callable[..., None]:
    def status(as_json: Json = False) -> None:
        async def work(app: App) -> int:
            state = await app.status()
            if as_json:
                _print_json(state)
                return DONE
            for engine in state["engines"]:
                mark = "[green]✓[/green]" if engine["available"] else "[red]✗[/red]"
                out.print(f"{mark} engine {engine['name']}: {_safe(engine['detail'])}")
            out.print(f"pictures {state['pictures']}, memory {state['memory_gb']}")
            out.print(f"kept in {_safe(state['places']['home'])}")
            for notice in state["notices"]:
                out.print(f"[yellow]{_safe(notice)}[/yellow]")
            return DONE

        _perform(parts, work)

    return status


def _doctor(parts: Parts) -> Callable[..., None]:
    def doctor(as_json: Json = False) -> None:
        findings = parts.examine()
        if as_json:
            fields = ("name", "ok", "detail", "next_step")
            _print_json([{field: getattr(finding, field) for field in fields} for finding in findings])
        else:
            for finding in findings:
                mark = "[green]✓[/green]" if finding.ok else "[red]✗[/red]"
                out.print(f"{mark} {finding.name:<18} {_safe(finding.detail)}")
                if finding.next_step:
                    out.print(f"  {'':<18} [yellow]{_safe(finding.next_step)}[/yellow]")
        raise typer.Exit(DONE if all(finding.ok for finding in findings) else FAILED)

    return doctor


def _serve(parts: Parts) -> Callable[..., None]:
    def serve(context: typer.Context) -> None:
        parts.serve(context.args)

    return serve


def _gallery_list(parts: Parts) -> Callable[..., None]:
    def gallery_list(
        query: Annotated[str, typer.Argument(help="Words of the prompt.")] = "",
        limit: Annotated[int, typer.Option(help="Pictures at most.")] = 20,
        cursor: Annotated[str | None, typer.Option(help="Where the last page ended.")] = None,
        model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
        min_score: Annotated[float | None, typer.Option(help="Only with at least this score.")] = None,
        sort: Annotated[str, typer.Option(help="newest, oldest or best.")] = "newest",
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            wanted = ItemQuery.checked(
                query=query, limit=limit, cursor=cursor, model=model, min_score=min_score, sort=sort
            )
            page = await app.gallery.search(wanted)
            rows = [answers.item_row(item, await app.gallery.locate(item)) for item in page.items]
            if as_json:
                _print_json({"items": rows, "cursor": page.cursor, "total": page.total})
            else:
                _print_rows(rows, page.total, page.cursor)
            return DONE

        _perform(parts, work)

    return gallery_list


def _print_rows(rows: Sequence[Answer], total: int, cursor: str | None) -> None:
    for row in rows:
        mark = {True: "green", False: "yellow"}.get(row["passed"], "dim")
        score = "  –  " if row["score"] is None else f"{row['score']:.3f}"
        size = f"{row['width']}x{row['height']}"
        out.print(f"{row['image_id']}  [{mark}]{score}[/{mark}]  {size}  {_safe(row['model'])}  {_safe(row['prompt'])}")
    out.print(f"[dim]{len(rows)} of {total}[/dim]" + (f"[dim]; more: --cursor {cursor}[/dim]" if cursor else ""))


def _gallery_show(parts: Parts) -> Callable[..., None]:
    def gallery_show(name: Annotated[str, typer.Argument(help="Id or file name.")], as_json: Json = False) -> None:
        async def work(app: App) -> int:
            info = await answers.item_info(app.gallery, await app.gallery.find(name))
            if as_json:
                _print_json(info)
                return DONE
            for key, value in info.items():
                shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                out.print(f"[dim]{key:<16}[/dim] {_safe(shown)}")
            return DONE

        _perform(parts, work)

    return gallery_show


def _gallery_delete(parts: Parts) -> Callable[..., None]:
    def gallery_delete(
        name: Annotated[str, typer.Argument(help="Id or file name.")],
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            item = await app.gallery.find(name)
            if not yes and not as_json:
                typer.confirm(f"Delete {item.id} ({answers.shortened(item.prompt, 60)})?", abort=True)
            await app.gallery.delete(item.id)
            _print_json({"deleted": item.id}) if as_json else out.print(f"Deleted {item.id}.")
            return DONE

        _perform(parts, work)

    return gallery_delete
