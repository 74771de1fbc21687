"""Family: what a picture was made from and what was made from it, and what changed from one to the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

from workflows.gallery.finding import is_erasing
from workflows.ports import Items
from workflows.types import Item, Recipe, Value

GENERATIONS = 100
"""How far back lineage goes."""
MOST_NODES = 500
"""Members of a family that are told; a larger one is cut short, the generations next to the oldest first."""
MOST_CHANGES = 4
"""Changes that a node tells; a wholly other recipe is said to be one."""
MOST_TEXT = 60

PLAIN = ("steps", "cfg", "sampler", "scheduler", "denoise", "strength", "scale", "quality", "style", "method")
"""Fields of a recipe that are told by their name and value."""


class Node(Value):
    """A member of a family."""

    image_id: str
    parent_id: str | None = None
    """None for the oldest, and where the parent was erased."""
    task: str
    change: str = ""
    """What is different from the parent, in words; empty for the oldest."""
    created: datetime
    deleted: datetime | None = None


class Tree(Value):
    """A whole family: the oldest ancestor first, a parent always before its children, siblings oldest first."""

    nodes: tuple[Node, ...]


async def lineage(items: Items, item: Item) -> tuple[Sequence[Item], Sequence[Item]]:
    """(parents, nearest first; children, newest first). Erased parents end the line."""
    parents: list[Item] = []
    seen = {item.id}
    parent_id = item.parent_id
    while parent_id is not None and parent_id not in seen and len(parents) < GENERATIONS:
        parent = await items.get(parent_id)
        if parent is None or is_erasing(parent):
            break
        parents.append(parent)
        seen.add(parent.id)
        parent_id = parent.parent_id
    return parents, await items.children(item.id)


async def family(items: Items, item: Item) -> Tree:
    """The oldest ancestor with all descendants; of what is in the trash only the item's own line."""
    parents, _ = await lineage(items, item)
    line = [*reversed(parents), item]  # from the oldest to the item
    after = {one.id: child for one, child in pairwise(line)}
    nodes: list[Node] = []
    seen: set[str] = set()
    waiting: deque[tuple[Item | None, Item]] = deque([(None, line[0])])
    while waiting and len(nodes) < MOST_NODES:
        parent, member = waiting.popleft()
        if member.id in seen:  # a circle ends where it began
            continue
        seen.add(member.id)
        nodes.append(_node(parent, member))
        children = {child.id: child for child in await items.children(member.id)}
        if member.id in after:
            children.setdefault(after[member.id].id, after[member.id])
        waiting += [(member, child) for child in sorted(children.values(), key=lambda child: (child.created, child.id))]
    return Tree(nodes=tuple(nodes))


def _node(parent: Item | None, member: Item) -> Node:
    return Node(
        image_id=member.id,
        parent_id=parent.id if parent else None,
        task=member.rendered.task,
        change=change(parent, member) if parent else "",
        created=member.created,
        deleted=member.deleted,
    )


def change(parent: Item, child: Item) -> str:
    """What is different in the child, in words, such as "another seed (7 to 12); steps 20 to 30"."""
    told = list(islice(_changes(parent, child), MOST_CHANGES + 1))
    if len(told) > MOST_CHANGES:
        told[MOST_CHANGES:] = ["and more"]
    return "; ".join(told) or "the same again"


def _changes(parent: Item, child: Item) -> Iterator[str]:
    before, after = parent.rendered, child.rendered
    if after.task != before.task:
        yield after.task.replace("_", " ")
    if child.prompt != parent.prompt:
        yield f"prompt: {_short(child.prompt)}" if child.prompt else "without a prompt"
    if child.negative != parent.negative:
        yield f"negative: {_short(child.negative)}" if child.negative else "without a negative prompt"
    if child.model != parent.model:
        yield f"model {_short(child.model)}"
    if child.seed != parent.seed:
        yield f"another seed ({parent.seed} to {child.seed})"
    if (child.width, child.height) != (parent.width, parent.height):
        yield f"{parent.width}x{parent.height} to {child.width}x{child.height}"
    yield from _settings(before, after)


def _settings(before: Recipe, after: Recipe) -> Iterator[str]:
    if after.loras != before.loras:
        yield "LoRAs: " + (", ".join(f"{lora.name}:{lora.strength:g}" for lora in after.loras) or "none")
    for name in PLAIN:
        old, new = getattr(before, name, None), getattr(after, name, None)
        if new is not None and new != old:
            yield f"{name} {_value(new)}" if old is None else f"{name} {_value(old)} to {_value(new)}"
    if after.controls != before.controls:
        yield "controls: " + (", ".join(control.kind for control in after.controls) or "none")


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else _short(str(value))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"
