"""Small cuts that guides and finishing share: settings of a node class as data, and nodes put into a link of a graph.

Nothing here knows a task; what is put in, and where, is the callers' business.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

from workflows.errors import EngineUnavailable

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory, NodeInput
    from workflows.drawing.setup import Setup
    from workflows.graph import Graph, Link
    from workflows.template import Template

_EMPTY: Mapping[str, Any] = {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}


def settings(inventory: Inventory, class_type: str, **chosen: Any) -> dict[str, Any]:
    """What a node of this class is told besides its links: `chosen` as far as the class takes it, then its defaults.

    Packs change their inputs from version to version, and some read an optional input without asking whether it is
    there; so everything that has a default is given. Dotted names belong to the input before the dot.
    """
    taken = inventory.classes[class_type].inputs
    own = {name: _default(given) for name, given in taken.items() if name not in chosen}
    wanted = {name: value for name, value in chosen.items() if name.partition(".")[0] in taken}
    return {name: value for name, value in own.items() if value is not None} | wanted


def _default(given: NodeInput) -> Any:
    """The default of a literal input; None for a link and for an optional one without a default."""
    if given.choices is not None:
        first = given.choices[0] if given.choices and given.required else None
        return given.default if given.default in given.choices else first
    if given.type not in _EMPTY:
        # A type of the pack's own that is written, not linked, such as a colour.
        return given.default if isinstance(given.default, str | int | float) else None
    if given.default is None and given.required:
        return given.least if given.least is not None else _EMPTY[given.type]
    return given.default


def packed(values: Mapping[str, Any]) -> str:
    """Settings as one string, since a setup's parts are strings."""
    return json.dumps(values, sort_keys=True)


def unpacked(parts: Mapping[str, str], name: str) -> dict[str, Any]:
    """The settings under that name; none when the part is not there."""
    return cast("dict[str, Any]", json.loads(parts.get(name, "{}")))


def put_behind(graph: Graph, old: Link, new: Link) -> Graph:
    """Whoever read `old` reads `new`, save for what `new` is itself made from: a graph must stay without a loop."""
    return graph.moved(old, new, besides=graph.upstream(new[0]))


def read_by(graph: Graph, node: str, field: str) -> Link:
    """The link in an input that must have one."""
    link = graph.link(node, field)
    if link is None:
        raise ValueError(f"{node}.{field} reads no other node")
    return link


def picture_of(setup: Setup, role: str) -> str:
    """The name of an input picture on the server; one not uploaded yet stands under its role's name."""
    return setup.pictures.get(role, f"{role}.png")


def drawn_plainly(template: Template) -> bool:
    """Whether the template samples with KSampler, whose settings other packs' nodes take as they are."""
    sampler, _ = template.ports["latent"]
    return template.graph[sampler].class_type == "KSampler"


def stretched(graph: Graph) -> Graph:
    """The source brought to the drawn size whole, so that what is drawn can be laid over it again pixel by pixel."""
    return graph.but("source_size", crop="disabled")


def shown(names: Collection[str], most: int = 6) -> str:
    """Some names for a sentence, with how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(listed[:most]) + more) if listed else "nothing"


def needed(inventory: Inventory, purpose: str, *classes: str) -> None:
    """Raises EngineUnavailable when the server lacks one of its own node classes, which only an update brings."""
    missing = [name for name in classes if name not in inventory.classes]
    if missing:
        raise EngineUnavailable(
            f"{purpose} needs ComfyUI's node {' and '.join(missing)}, which this server does not have: update ComfyUI."
        )
