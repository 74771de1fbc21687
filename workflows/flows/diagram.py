"""A graph as a Mermaid flowchart. Titles and names are strangers' text: nothing of them can end a label."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflows.graph import Graph, Node

MOST_NODES = 200
MOST_LABEL = 60
PLAIN = frozenset(" .,_-+")
"""Signs that mean nothing to Mermaid, HTML or Markdown within a quoted label."""


def mermaid(graph: Graph, faulty: Collection[str] = (), refused: Collection[str] = ()) -> str:
    """A flowchart from left to right; nodes with faults and refused ones are marked. At most 200 nodes are drawn."""
    shown = dict(zip(list(graph.nodes)[:MOST_NODES], range(MOST_NODES), strict=False))
    left = len(graph.nodes) - len(shown)
    lines = ["flowchart LR", *(_node(graph[name], number) for name, number in shown.items()), *_arrows(graph, shown)]
    if left > 0:
        lines.append(f'  more["and {left} nodes more"]')
    for style, names, look in (("faulty", faulty, "stroke:#d33"), ("refused", refused, "stroke:#d33,fill:#fdd")):
        marked = [f"n{shown[name]}" for name in shown if name in names]
        if marked:
            lines += [f"  classDef {style} {look}", f"  class {','.join(marked)} {style}"]
    return "\n".join(lines)


def _node(node: Node, number: int) -> str:
    kind = escaped(node.class_type)
    title = escaped(node.title)
    return f'  n{number}["{title}<br/>{kind}"]' if title.strip() and title != kind else f'  n{number}["{kind}"]'


def _arrows(graph: Graph, shown: dict[str, int]) -> Iterator[str]:
    for name, number in shown.items():
        for field, (source, _) in graph[name].links().items():
            if source in shown:
                yield f'  n{shown[source]} -->|"{escaped(field)}"| n{number}'


def escaped(text: str) -> str:
    """Letters and digits as they are, other signs by their numbers, which Mermaid writes as #34;."""
    line = " ".join(text.split())
    line = line if len(line) <= MOST_LABEL else f"{line[: MOST_LABEL - 3]}..."
    return "".join(_sign(letter) for letter in line)


def _sign(letter: str) -> str:
    if letter.isalnum() or letter in PLAIN:
        return letter
    return f"#{ord(letter)};" if letter.isprintable() else ""
