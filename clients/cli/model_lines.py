"""Models in lines of text: what a person reads of them, and what he may type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any, cast

from clients.cli.console import out, safe
from workflows.answers import Answer
from workflows.catalog import DRAWABLE

NOTHING = "None. `atelier models search WORDS` finds some, `atelier setup` gets one that suits this machine."
NOT_THESE = "None of these. `atelier models list` without options shows all."
USUAL_STRENGTH = 0.8
"""Of a LoRA whose strength nobody said."""


def tell_models(answer: Answer, rows: Sequence[Answer], narrowed: bool) -> None:
    """`narrowed`: whether only some of the models were asked for."""
    for row in rows:
        out.print(model_line(row))
    more = answer["total"] - len(rows)
    if more > 0:
        out.print(f"[dim]{more} more: --limit shows them.[/dim]")
    if not rows:
        out.print(f"[yellow]{safe(NOT_THESE if narrowed else NOTHING)}[/yellow]")


def model_line(row: Answer) -> str:
    family = f"{row['family']}{' (a guess)' if row.get('guessed') else ''}"
    idle = "no engine here draws with it" if row["kind"] in DRAWABLE and row.get("engine") == "none" else ""
    facts = (row["kind"], family, size(row.get("size_gb")), row.get("title"), _wakes(row), idle)
    return f"[bold]{safe(row['name'])}[/bold]  {safe('  '.join(str(fact) for fact in facts if fact))}"


def tell_found(answer: Answer) -> None:
    """What a search found: the reference to type, and what to know before it is fetched."""
    for row in answer["results"]:
        creator = f"by {row['creator']}" if "creator" in row else ""
        called = (row["name"], row.get("version"), creator, "(is here)" if row.get("installed") else "")
        out.print(f"[bold]{safe(row['reference'])}[/bold]  {safe(' '.join(str(word) for word in called if word))}")
        used = f"{row['downloads']:,} downloads" if "downloads" in row else ""
        adult = "adult" if row.get("nsfw") else ""
        facts = (row["kind"], row["family"], size(row.get("size_gb")) or "size unknown", used, adult, _wakes(row))
        out.print(f"  {safe(', '.join(str(fact) for fact in facts if fact))}")
        out.print(f"  [dim]{safe(row.get('licence') or 'licence not told')}[/dim]")
    if answer["results"]:
        out.print("[dim]`atelier models download REFERENCE` fetches one.[/dim]")
    else:
        out.print("[yellow]None. Try other words, or leave out --kind or --base-model.[/yellow]")


def tell_ranked(answer: Answer, rows: Sequence[Answer]) -> None:
    """A suggestion: every score with what it is the sum of."""
    for row in rows:
        shown = ", ".join(f"{name} {value:+g}" for name, value in row["parts"].items())
        strength = f" at {row['strength']:g}" if "strength" in row else ""
        wakes = f"  {_wakes(row)}" if _wakes(row) else ""
        line = f"[bold]{row['score']:5.1f}[/bold]  {safe(row['name'])}{strength}{safe(wakes)}"
        out.print(f"{line}  [dim]{safe(shown)}[/dim]")
    for note in answer.get("notes", []):
        out.print(f"[dim]{safe(note)}[/dim]")


def tell_facts(answer: Answer) -> None:
    """All that is known, each thing once."""
    for name, value in answer.items():
        if isinstance(value, dict):
            inside = {key: fact for key, fact in cast(Answer, value).items() if answer.get(key) != fact}
            if inside:
                out.print(f"{safe(name)}:")
            for key, fact in inside.items():
                out.print(f"  {safe(key)}: {safe(_plain(fact))}")
        else:
            shown = size(value) if name == "size_gb" else _plain(value)
            out.print(f"{'size' if name == 'size_gb' else safe(name)}: {safe(shown)}")


def use(row: Answer) -> str:
    """What to type to draw with a model that is here."""
    name = shlex.quote(row["name"])
    if row["kind"] in DRAWABLE and row.get("engine") == "none":
        return f"`atelier doctor` tells which engines are missing, `atelier models info {name}` more about this."
    if row["kind"] in DRAWABLE:
        return f'atelier "PROMPT" --model {name}'
    if row["kind"] == "lora":
        strong = row.get("strength", USUAL_STRENGTH)
        return f'atelier "PROMPT" --lora {name}:{strong:g}'
    return f"atelier models info {name}"


def size(gigabytes: float | None) -> str:
    """In the unit that a person would say; empty when it is not known."""
    if gigabytes is None:
        return ""
    if gigabytes >= 1:
        return f"{gigabytes:.2f} GB"
    return f"{gigabytes * 1000:.0f} MB" if gigabytes >= 0.001 else "under 1 MB"


def _wakes(row: Answer) -> str:
    return _listed("wakes to ", row.get("triggers", []))


def _listed(words: str, entries: Iterable[Any]) -> str:
    named = ", ".join(str(entry) for entry in entries)
    return f"{words}{named}" if named else ""


def _plain(value: object) -> str:
    if isinstance(value, list):
        return _listed("", cast(list[object], value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
