"""Words in lines of text: prompts with what was added to them, reports, conversations, history, presets."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import chain, groupby
from typing import Any

from rich.live import Live
from rich.text import Text

from clients.cli.console import err, out, safe
from workflows.answers import Answer, shortened
from workflows.types import Conversation, HistoryEntry, HistoryPage, Negative, Preset, PromptReport, Written

Listener = Callable[[str], None]

ADDED = "cyan"
SHOWN = 70
"""Characters that a row shows of a text."""
NO_WRITER = (
    "No language model is configured, so the rules write: OLLAMA_MODEL, OPENAI_BASE_URL or GEMINI_API_KEY say one."
)


@contextmanager
def shown_as_written(quiet: bool) -> Generator[Listener | None]:
    """A listener that shows the prompt while it is written, on a terminal only; what it showed is gone afterwards."""
    if quiet or not err.is_terminal:
        yield None
        return
    with Live(Text("Writing", style="dim"), console=err, transient=True) as live:
        yield lambda prompt: live.update(Text.from_markup(safe(prompt)))


def tell_written(written: Written) -> None:
    """The prompt with the additions coloured, then what was done to it and why, then what to know."""
    out.print(coloured(written.prompt, written.added))
    if written.added and not _shows_colour():
        out.print(f"[dim]added:[/dim] {safe('; '.join(written.added))}")
    if written.negative:
        out.print(f"[dim]without:[/dim] {safe(written.negative)}")
    for change in written.changes:
        out.print(f"  {safe(change.what)}[dim]: {safe(change.why)}[/dim]")
    out.print(f"[dim]{safe(_facts(written))}[/dim]")
    for note in written.notes:
        out.print(f"[dim]{safe(note)}[/dim]")


def coloured(prompt: str, added: Iterable[str]) -> str:
    """The prompt as markup: the parts that are not the user's in colour."""
    ours = [False] * len(prompt)
    for part in sorted(filter(None, added), key=len, reverse=True):
        # As whole words first; in scripts without spaces there are none.
        for found in chain(
            re.finditer(rf"(?<!\w){re.escape(part)}(?!\w)", prompt), re.finditer(re.escape(part), prompt)
        ):
            if not any(ours[found.start() : found.end()]):
                ours[found.start() : found.end()] = [True] * len(part)
                break
    runs = [
        (is_ours, "".join(letter for _, letter in run))
        for is_ours, run in groupby(zip(ours, prompt, strict=True), _first)
    ]
    return "".join(
        f"[{ADDED}]{safe(text)}[/{ADDED}]" if is_ours else f"[bold]{safe(text)}[/bold]" for is_ours, text in runs
    )


def tell_spoken(answer: Written, reply: str, reset: str) -> None:
    """One turn of a conversation; a reply that is only the prompt again is not told twice."""
    if reset:
        out.print(f"[yellow]The conversation began anew: {safe(reset)}.[/yellow]")
    tell_written(answer)
    said = reply.removeprefix(answer.prompt).strip()
    if said:
        out.print(safe(said))


def tell_conversation(talk: Conversation) -> None:
    """What was said last, for somebody who takes it up again."""
    for message in talk.messages:
        who = "[bold]you[/bold]" if message.role == "user" else f"[{ADDED}]prompt[/{ADDED}]"
        out.print(f"{who} {safe(message.content)}")


def tell_negative(negative: Negative) -> None:
    if negative.negative:
        out.print(safe(negative.negative))
    out.print(f"[dim]{safe(negative.family)}: {safe(negative.why)}[/dim]")


def tell_report(report: PromptReport) -> None:
    budget = f" of {report.budget}" if report.budget else ""
    out.print(f"[bold]{safe(report.family)}[/bold]: {report.kind}, {report.tokens}{budget} tokens")
    for name in ("subject", "style", "content_type"):
        if said := getattr(report, name):
            out.print(f"[dim]{name.replace('_', ' '):<12}[/dim] {safe(said)}")
    for name, phrases in report.has.items():
        if phrases:
            out.print(f"[dim]{safe(name):<12}[/dim] {safe(', '.join(phrases))}")
    if report.missing:
        out.print(f"[dim]{'left open':<12}[/dim] {safe(', '.join(report.missing))}")
    for problem in report.problems:
        out.print(f"[yellow]{safe(problem.what)}[/yellow]: {safe(problem.why)}")
    if report.suggestions:
        out.print(f"[dim]{'would fit':<12}[/dim] {safe(', '.join(report.suggestions))}")


def tell_history(page: HistoryPage, narrowed: bool) -> None:
    """`narrowed`: whether words were looked for."""
    for entry in page.entries:
        out.print(_history_line(entry))
    if not page.entries:
        out.print(f"[yellow]{'Nothing with these words.' if narrowed else 'Nothing was written yet.'}[/yellow]")
        return
    more = f"; more: --cursor {page.cursor}" if page.cursor else ""
    out.print(f"[dim]{len(page.entries)} of {page.total}{more}[/dim]")


def tell_writers(names: Sequence[str], configured: Sequence[str]) -> None:
    for name in names:
        out.print(f"[green]✓[/green] {safe(name)}" if name in configured else f"  {safe(name)}")
    if not names:
        out.print(f"[yellow]{NO_WRITER}[/yellow]")


def tell_preset(preset: Preset) -> None:
    """All that is known about one preset."""
    own = " [dim](your own)[/dim]" if preset.own else ""
    out.print(f"[bold]{safe(preset.path or preset.id)}[/bold]  {safe(preset.name)}{own}")
    facts = {"adds": preset.text, "without": preset.negative, "style": preset.hint, "dates": preset.dates}
    for name, value in facts.items():
        if value:
            out.print(f"  [dim]{name:<8}[/dim] {safe(value)}")


def tell_presets(answer: Answer) -> None:
    """One level of what there is to pick: rows where there are rows, names in the overview."""
    if "categories" in answer:
        _tell_overview(answer)
        return
    for group in answer.get("groups", ()):
        several = " [dim](several may be picked)[/dim]" if group["several"] else ""
        out.print(f"[bold]{safe(group['name'])}[/bold]{several}")
        for option in group["options"]:
            _tell_row(option)
    for pack in answer.get("packs", ()):
        out.print(f"[bold]{safe(pack['path'])}[/bold]  {safe(pack['name'])}  [dim]{safe(pack['description'])}[/dim]")
        out.print(f"  {safe(', '.join(pack['presets']))}")
    for row in (*answer.get("presets", ()), *answer.get("types", ()), *answer.get("artists", ())):
        _tell_row(row)


def _tell_overview(answer: Answer) -> None:
    for kind, rows in answer.items():
        if isinstance(rows, dict):
            out.print(f"[bold]{safe(kind)}[/bold]")
            named: dict[str, list[str]] = answer[kind]
            for name, inside in named.items():
                out.print(f"  {safe(name)}[dim]: {safe(', '.join(inside))}[/dim]")
        elif isinstance(rows, list) and kind != "faults":
            names: list[str] = answer[kind]
            out.print(f"[bold]{safe(kind)}[/bold] ({len(names)})[dim]: {safe(', '.join(names))}[/dim]")
    for fault in answer.get("faults", ()):
        err.print(f"[yellow]{safe(fault)}[/yellow]")


def _tell_row(row: Answer) -> None:
    below = {name: row[name] for name in ("types", "artists") if isinstance(row.get(name), int)}
    counted = "".join(f"  {count} {name}" for name, count in below.items())
    own = " (your own)" if row.get("own") else ""
    told = f"  [dim]{_beginning(row['text'])}{safe(counted)}{own}[/dim]"
    out.print(f"[bold]{safe(row['path'])}[/bold]  {safe(row['name'])}{told}")


def _history_line(entry: HistoryEntry) -> str:
    when = f"{entry.created.astimezone():%Y-%m-%d %H:%M}"
    gave = f"[red]{_beginning(entry.fault)}[/red]" if entry.fault else _beginning(entry.output)
    facts = " ".join(filter(None, (entry.mode, entry.family, entry.by)))
    return f"{safe(entry.id)}  {when}  [dim]{safe(facts)}[/dim]  {_beginning(entry.input)} → {gave}"


def _beginning(text: str) -> str:
    """On one line."""
    return safe(shortened(" ".join(text.split()), SHOWN))


def _facts(written: Written) -> str:
    budget = f" of {written.budget}" if written.budget else ""
    tokens = f"{written.tokens}{budget} tokens" if written.tokens else ""
    model = f"{written.family} ({written.model})" if written.model else written.family
    picked = f"with {', '.join(written.presets)}" if written.presets else ""
    return ", ".join(filter(None, (f"for {model}", tokens, picked, f"written by {written.by}")))


def _shows_colour() -> bool:
    return out.is_terminal and not out.no_color


def _first(pair: tuple[bool, Any]) -> bool:
    return pair[0]
