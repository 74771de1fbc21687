"""Commands of refinement: a batch in rounds, its two parts alone, and what services were asked and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from clients.cli.console import DONE, FAILED, NOT_ACCEPTED, Json, Parts, err, out, perform, print_json, safe
from clients.logs import log_file
from workflows.app import App
from workflows.errors import BadRecipe
from workflows.spending import Budget

if TYPE_CHECKING:
    from collections.abc import Generator

    from workflows.refinery.batch import Ended, Step

Evaluator = Annotated[str, typer.Option(help="Who looks: gemini, ollama (a local vision model), clip; auto.")]
SHORT = 60


def batch_command(parts: Parts) -> Callable[..., None]:
    def batch(
        input_file: Annotated[Path, typer.Option(help="Prompts as JSON or YAML: id, title, scene, mood, prompt, ...")],
        output_dir: Annotated[Path, typer.Option(help="Folder for results, one of its own for each run.")] = Path(
            "out"
        ),
        batch_size: Annotated[int, typer.Option(help="Prompts in work at once.")] = 5,
        iterations: Annotated[int, typer.Option(help="Rounds of each prompt, at most.")] = 3,
        evaluator: Evaluator = "auto",
        resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
        run_id: Annotated[str, typer.Option(help="The run's name; RUN_ID, or by its time.")] = "",
        max_cost: Annotated[float | None, typer.Option(help="US dollars that may be spent, at most.", min=0)] = None,
        max_calls: Annotated[int | None, typer.Option(help="Calls to services, at most.", min=0)] = None,
        as_json: Json = False,
    ) -> None:
        given = {"batch_size": batch_size, "iterations": iterations, "evaluator": evaluator}
        budget = Budget(max_cost=max_cost, max_calls=max_calls)

        async def work(app: App) -> int:
            return await _batch(app, input_file, output_dir, given, budget, resume=resume, run_id=run_id, quiet=as_json)

        perform(parts, work)

    return batch


def evaluate_command(parts: Parts) -> Callable[..., None]:
    def evaluate(
        image: Annotated[str, typer.Argument(help="Picture: gallery id, path or URL.")],
        prompt: Annotated[
            str | None, typer.Option(help="What it was to show; of the gallery's own its prompt.")
        ] = None,
        evaluator: Evaluator = "auto",
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            given = await asyncio.to_thread(_content, image)
            found = await app.refinery.evaluate(given, prompt, evaluator)
            if as_json:
                print_json(found.model_dump(mode="json", exclude_defaults=True))
            else:
                out.print(safe(found.text))
                score = "" if found.score is None else f"score {found.score:.3g}, "
                out.print(f"[dim]{score}by {safe(found.by)}, {found.seconds:.1f} s[/dim]")
                for lack in found.missing:
                    out.print(f"[yellow]missing:[/yellow] {safe(lack)}")
            return NOT_ACCEPTED if found.passed is False else DONE

        perform(parts, work)

    return evaluate


def refine_command(parts: Parts) -> Callable[..., None]:
    def refine(
        prompt: Annotated[str, typer.Argument(help="The prompt that was drawn.")],
        evaluation: Annotated[str, typer.Option(help="What is seen, and what is wrong with it.")],
        model: Annotated[str, typer.Option(help="Who rewords: auto, rules, or a language model's name.")] = "auto",
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            found = await app.refinery.refine(prompt, evaluation, model)
            if as_json:
                print_json({"prompt": found.prompt, "negative": found.negative, "why": found.why, "by": found.by})
            else:
                out.print(safe(found.prompt))
                out.print(f"[dim]{safe(found.why)} (by {safe(found.by)})[/dim]")
            return DONE

        perform(parts, work)

    return refine


def stats_command(parts: Parts) -> Callable[..., None]:
    def stats(
        run_id: Annotated[str, typer.Option(help="Of one batch alone.")] = "",
        days: Annotated[float | None, typer.Option(help="Of the last so many days alone.", min=0)] = None,
        failures: Annotated[int, typer.Option(help="Latest failed calls to list.", min=0)] = 5,
        as_json: Json = False,
    ) -> None:
        since = None if days is None else datetime.now(UTC) - timedelta(days=days)

        async def work(app: App) -> int:
            answer = await app.statistics(since, run_id, failures)
            print_json(answer) if as_json else _tell_stats(answer)
            return DONE

        perform(parts, work)

    return stats


# ------------------------------------------------------------------ a batch


async def _batch(
    app: App,
    prompts: Path,
    output: Path,
    given: Mapping[str, Any],
    budget: Budget,
    *,
    resume: bool,
    run_id: str,
    quiet: bool,
) -> int:
    from workflows.refinery.batch import Batch
    from workflows.refinery.briefs import read_briefs

    briefs = await asyncio.to_thread(read_briefs, prompts)
    named = run_id or app.run_id
    with _shown(len(briefs), quiet) as show:
        run = Batch(refinery=app.refinery, output=output, run_id=named, budget=budget, report=show, **given)
        stack = ExitStack()
        try:
            run.check(briefs)
            log = log_file(Path(app.places["home"]) / "logs", await run.named(resume=resume), app.log_level)
            await asyncio.to_thread(stack.enter_context, log)
            await app.forget_errors()
            ended = await run.run(briefs, resume=resume)
        except asyncio.CancelledError:
            err.print(f"Stopped; what was done is kept. Go on: --output-dir {safe(output)} --resume")
            raise
        finally:
            await asyncio.shield(asyncio.to_thread(stack.close))
    if quiet:
        print_json({"output": str(output), **ended.summary})
    else:
        _tell_batch(ended, output)
    return _code(ended)


def _code(ended: Ended) -> int:
    states = [one.state for one in ended.refinements]
    if ended.stopped or any(state != "succeeded" for state in states):
        return FAILED
    return DONE if ended.summary["accepted"] == len(states) else NOT_ACCEPTED


@contextmanager
def _shown(total: int, quiet: bool) -> Generator[Callable[[Step], None]]:
    """Bars for the batch and for every prompt in work; without a terminal one line for each prompt that ends."""
    if quiet or not err.is_terminal:
        yield (lambda step: None) if quiet else _one_line()
        return
    board = Board(total, tell=lambda line: err.print(safe(line)))
    with Live(board.shown, console=err, transient=True, refresh_per_second=8):
        yield board.show


def _one_line() -> Callable[[Step], None]:
    told: set[str] = set()

    def show(step: Step) -> None:
        if step.refinement.ended and step.refinement.id not in told:
            told.add(step.refinement.id)
            err.print(f"{step.done} of {step.total}: {safe(_line(step))}")

    return show


def _line(step: Step) -> str:
    one = step.refinement
    chosen = one.chosen
    seen = chosen.evaluation if chosen else None
    score = f", score {seen.score:.3g}" if seen and seen.score is not None else ""
    rounds = "1 round" if len(one.rounds) == 1 else f"{len(one.rounds)} rounds"
    return f"{one.brief.id} {one.state} after {rounds}{score}{f': {one.fault}' if one.fault else ''}"


@dataclass
class Board:
    """The bars of a batch: one for all, one for each prompt in work with its iteration."""

    total: int
    tell: Callable[[str], object]
    """Hears a line for each prompt that has ended."""
    whole: Progress = field(init=False)
    each: Progress = field(init=False)
    lines: dict[str, TaskID] = field(default_factory=dict[str, TaskID], init=False)

    def __post_init__(self) -> None:
        self.whole = Progress(TextColumn("Batch"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.each = Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20))
        self.task = self.whole.add_task("Batch", total=self.total)

    @property
    def shown(self) -> Group:
        return Group(self.whole, self.each)

    def show(self, step: Step) -> None:
        """How far the batch is, and the prompt that moved."""
        self.whole.update(self.task, completed=step.done)
        one = step.refinement
        if one.ended:
            if (line := self.lines.pop(one.id, None)) is not None:
                self.each.remove_task(line)
            self.tell(_line(step))
            return
        if one.id not in self.lines:
            self.lines[one.id] = self.each.add_task("", total=1.0)
        words = f"{one.brief.id[:24]}: {step.progress.message}"[: SHORT + 24]
        self.each.update(self.lines[one.id], completed=step.progress.fraction, description=safe(words))


def _tell_batch(ended: Ended, output: Path) -> None:
    summary = ended.summary
    table = Table(show_header=True, box=None, pad_edge=False)
    for name in ("prompt", "state", "rounds", "score", "accepted"):
        table.add_column(name)
    for row in summary["results"]:
        score = "" if row["score"] is None else f"{row['score']:.3g}"
        accepted = {True: "[green]✓[/green]", False: "[yellow]✗[/yellow]"}.get(row["passed"], "·")
        table.add_row(safe(row["prompt_id"]), row["state"], str(row["rounds"]), score, accepted)
    out.print(table)
    cost = f", ${summary['cost']:.4g}" if summary.get("cost") is not None else ""
    out.print(
        f"{summary['accepted']} of {summary['prompts']} accepted, {summary['pictures']} pictures, "
        f"{summary['rounds']} rounds, {summary.get('calls', 0)} calls{cost}, {summary['seconds']:.1f} s of work"
    )
    for row in summary["results"]:
        if row["fault"]:
            err.print(f"[red]{safe(row['prompt_id'])}:[/red] {safe(row['fault'])}")
    if ended.stopped:
        err.print(f"[yellow]Stopped:[/yellow] {safe(ended.stopped)} Change that, then go on by --resume.")
    out.print(f"[bold]{safe(output)}[/bold]")


# ------------------------------------------------------------------ the others


def _content(image: str) -> str | bytes:
    """A file is read as the user who typed its name; anything else is a reference."""
    if image.startswith("data:") or not Path(image).is_file():
        if "://" not in image and Path(image).suffix and not image.startswith("data:"):
            raise BadRecipe("image", image, f"there is no such file in {Path.cwd()}, and the gallery's have no ending")
        return image
    return Path(image).read_bytes()


def _tell_stats(answer: Mapping[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("service", "operation", "model", "calls", "failed", "median", "slowest", "cost"):
        words = name in {"service", "operation", "model"}
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    for row in answer["services"]:
        cost = "" if row["cost"] is None else f"${row['cost']:.4g}"
        seconds = (f"{row['median_seconds']:.2f} s", f"{row['slowest_seconds']:.2f} s")
        names = (safe(row["service"]), safe(row["operation"]), safe(row["model"]))
        table.add_row(*names, str(row["calls"]), str(row["failed"]), *seconds, cost)
    out.print(table if answer["services"] else "No service was asked for anything yet.")
    for run in answer["runs"]:
        states = ", ".join(f"{count} {state}" for state, count in run["states"].items())
        cost = "" if run["cost"] is None else f", ${run['cost']:.4g}"
        out.print(
            f"run {safe(run['run_id'])}: {run['briefs']} prompts ({states}), {run['rounds']} rounds, "
            f"{run['accepted']} accepted, {run['calls']} calls{cost}"
        )
    for call in answer["failures"]:
        err.print(f"[red]{safe(call['created'])}[/red] {safe(call['service'])}: {safe(call['error'])}")
