"""Lines about the gallery: rows, a family as a tree, groups of duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clients.cli.console import out, safe
from workflows.answers import Answer, shortened
from workflows.gallery import Node, Tree
from workflows.types import Item


def print_rows(rows: Sequence[Answer], total: int, cursor: str | None) -> None:
    for row in rows:
        mark = {True: "green", False: "yellow"}.get(row["passed"], "dim")
        score = "  –  " if row["score"] is None else f"{row['score']:.3f}"
        parts = [row["image_id"], f"[{mark}]{score}[/{mark}]"]
        parts += [f"alike {row['likeness']:.3f}"] if "likeness" in row else []
        parts += [f"{row['width']}x{row['height']}", safe(row["model"])]
        parts += ["[yellow]★[/yellow]"] if row.get("favourite") else []
        parts += [f"[cyan]{safe(', '.join(row['tags']))}[/cyan]"] if row.get("tags") else []
        parts += [f"[dim]deleted {row['deleted'][:10]}[/dim]"] if row.get("deleted") else []
        out.print("  ".join([*parts, safe(row["prompt"])]))
    out.print(f"[dim]{len(rows)} of {total}[/dim]" + (f"[dim]; more: --cursor {cursor}[/dim]" if cursor else ""))


def tree_lines(tree: Tree, shown: str) -> Iterator[str]:
    """A family, a line each, children below their parent; the one that is shown is marked."""
    children: dict[str | None, list[Node]] = {}
    for node in tree.nodes:
        children.setdefault(node.parent_id, []).append(node)
    waiting = [(node, "", "") for node in reversed(children.get(None, []))]
    while waiting:
        node, before, branch = waiting.pop()
        yield before + branch + _node(node, shown)
        below = before + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        last = (children.get(node.image_id) or [None])[-1]
        waiting += [(one, below, "└─ " if one is last else "├─ ") for one in reversed(children.get(node.image_id, []))]


def _node(node: Node, shown: str) -> str:
    name = f"[bold]{node.image_id}[/bold]" if node.image_id == shown else node.image_id
    deleted = "  [dim](in the trash)[/dim]" if node.deleted else ""
    return f"{name}  {safe(node.change or node.task)}{deleted}"


def print_duplicates(groups: Sequence[Sequence[Item]]) -> None:
    """Each group with the one worth keeping first, and how the others are deleted."""
    for group in groups:
        for place, item in enumerate(group):
            mark = "[green]keep[/green] " if place == 0 else "     "
            score = "  –  " if item.score is None else f"{item.score:.3f}"
            star = "[yellow]★[/yellow] " if item.favourite else ""
            size = f"{item.width}x{item.height}  {item.size:,} bytes"
            out.print(f"{mark}{item.id}  {score}  {size}  {star}{safe(shortened(item.prompt, 60))}")
        out.print(f"[dim]atelier gallery delete {' '.join(item.id for item in group[1:])}[/dim]")
    told = "1 group" if len(groups) == 1 else f"{len(groups)} groups"
    out.print(f"[dim]{told} of pictures that are nearly the same[/dim]")
