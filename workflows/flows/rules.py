"""What a stranger's graph may not do: node classes by a list with reasons, and values that lead out of the server.

The list is `node_rules.toml`. A class that no group names is allowed: whoever installed it on the server chose it;
`unknown` tells which of them nobody here has looked at.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from workflows.flows.bounds import leaves
from workflows.graph import as_link
from workflows.template import TEXTS

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory, NodeInput
    from workflows.graph import Graph

FILE = "atelier://"
"""How a file of ours stands in a graph until it is on the server: atelier://file_1."""
PREFIXES = frozenset({"filename_prefix", "output_prefix", "file_prefix", "save_prefix"})
"""Inputs that name what is saved; what they hold is replaced by a name of ours."""
MOST_SHOWN = 80
ALLOWING = "the owner of this server may allow it in ATELIER_WORKFLOW_NODES"
OWN_MODULES = ("nodes", "comfy_extras")
WORDS = frozenset(TEXTS) | {"positive", "negative", "negative_prompt", "positive_prompt", "system_prompt", "caption"}
"""Inputs whose texts are read by an encoder and by nothing else, so that an address in them is only words."""
SIGNS = frozenset({"regex_pattern", "find", "replace", "delimiter", "separator", "substring", "f_string"})
"""Inputs that hold signs to look for or to put between others."""
_PLACE = (
    r"paths?|files?|file_?names?|director(?:y|ies)|dirs?|folders?|folder_name|urls?|uri|endpoint|host|hostname|api_key"
)
_CODE = r"token|command|cmd|shell|script|code|python|source_code"
_PLACES = re.compile(rf"(?:.*[._ -])?(?:{_PLACE}|{_CODE})", re.IGNORECASE)
_CAMEL = re.compile(r".*[a-z](?:Path|File|Filename|Dir|Directory|Folder|Url|URL|Uri|ApiKey|Command|Script|Code)")
"""Names of inputs that say where to read or write, or what to run."""
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,20}://|(?:file|data|javascript|ftp|mailto|urn):|www\.", re.IGNORECASE)
_AWAY = re.compile(r"[/\\]|~[^/\\\s]*[/\\]|[a-z]:[/\\]|\$\{?[a-z_]|%[a-z_]{2,}%", re.IGNORECASE)
"""How a path begins that leads out of every folder; each is looked for at the start of a value."""
_UP = re.compile(r"(?:^|[/\\])\s*\.\.\s*(?:[/\\]|$)")
_ENCODED_UP = re.compile(r"(?:%2e|\.){2}(?:%2f|%5c|[/\\])", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """One reason why a graph may not run: the rule, and a sentence with the node."""

    rule: str
    node: str
    class_type: str
    text: str


@dataclass(frozen=True)
class _Group:
    rule: str
    reason: str
    names: frozenset[str]
    pattern: re.Pattern[str]

    def fits(self, kind: str) -> bool:
        return kind.casefold() in self.names or self.pattern.fullmatch(kind.casefold()) is not None


@dataclass(frozen=True)
class _Rules:
    safe: frozenset[str]
    groups: tuple[_Group, ...]
    files: Mapping[tuple[str, str], str]
    harmless: frozenset[tuple[str, str]]


@cache
def rules() -> _Rules:
    """The list, read once."""
    body = tomllib.loads(files("workflows.flows").joinpath("node_rules.toml").read_text(encoding="utf-8"))
    groups = tuple(_group(one) for one in cast("list[dict[str, Any]]", body["group"]))
    spots = {_spot(spot): kind for spot, kind in body["files"].items()}
    return _Rules(frozenset(body["safe"]), groups, spots, frozenset(map(_spot, body["harmless"])))


def _spot(written: str) -> tuple[str, str]:
    kind, _, field = written.rpartition(".")
    return kind, field


def _group(body: Mapping[str, Any]) -> _Group:
    patterns = "|".join(translate(one.casefold()) for one in body["patterns"])
    names = frozenset(one.casefold() for one in body["names"])
    return _Group(rule=body["rule"], reason=body["reason"], names=names, pattern=re.compile(patterns))


def refusals(graph: Graph, inventory: Inventory, allowed: Collection[str] = ()) -> list[Refusal]:
    """Every reason, in the order of the nodes; none when it may run. `allowed`: classes that the owner lets run."""
    found: list[Refusal] = []
    for name, node in graph.nodes.items():
        if node.class_type in allowed:
            continue
        refused = _class(name, node.class_type, inventory)
        found.extend([refused] if refused else _values(graph, name, inventory))
    return found


def refused_kinds(kinds: Mapping[str, str], inventory: Inventory, allowed: Collection[str] = ()) -> list[Refusal]:
    """The reasons that lie in the classes alone, by node; for what cannot be made a graph."""
    found = (_class(name, kind, inventory) for name, kind in kinds.items() if kind not in allowed)
    return [one for one in found if one is not None]


def unknown(graph: Graph, inventory: Inventory) -> list[str]:
    """Classes of node packs that no rule here names: what they do is not known."""
    kinds = dict.fromkeys(node.class_type for node in graph.nodes.values())
    return [kind for kind in kinds if _foreign(kind, inventory)]


def _foreign(kind: str, inventory: Inventory) -> bool:
    known = inventory.classes.get(kind)
    module = known.module if known else ""
    return bool(module) and module.split(".")[0] not in OWN_MODULES and kind not in rules().safe


def _class(name: str, kind: str, inventory: Inventory) -> Refusal | None:
    known = inventory.classes.get(kind)
    group = next((one for one in rules().groups if one.fits(kind)), None) if kind not in rules().safe else None
    if known is not None and known.paid:
        group = next(one for one in rules().groups if one.rule == "spends")
    if group is None:
        return None
    return Refusal(group.rule, name, kind, f"Node {name} ({kind}) may not run: {group.reason}; {ALLOWING}.")


# ------------------------------------------------------------------ values


def file_kind(kind: str, field: str, inventory: Inventory) -> str | None:
    """What sort of file an input takes from the server's input folder: image, video, audio, file; None for none."""
    if (told := rules().files.get((kind, field))) is not None:
        return told
    known = inventory.classes.get(kind)
    given = known.inputs.get(field) if known else None
    if given is None or not given.upload:
        return None
    named = f"{kind} {field}".lower()
    return next((one for one in ("video", "audio", "image") if one in named), "image" if "mask" in named else "file")


def _values(graph: Graph, name: str, inventory: Inventory) -> Iterator[Refusal]:
    node = graph[name]
    known = inventory.classes.get(node.class_type)
    for field, value in node.inputs.items():
        if field in PREFIXES or (node.class_type, field) in rules().harmless:
            continue
        given = known.inputs.get(field) if known else None
        linked = as_link(value) is not None
        if file_kind(node.class_type, field, inventory):
            reason = _file_reason(value, given)
        elif linked:
            reason = _fed_reason(graph, name, field, inventory)
        else:
            reason = _literal_reason(node.class_type, field, value, given)
        if reason:
            rule, told = reason
            yield Refusal(rule, name, node.class_type, f"{name}.{field} ({node.class_type}): {told}.")


def borrowed(graph: Graph, inventory: Inventory) -> list[str]:
    """Inputs that would read a file which is neither ours nor in the server's list; a graph that runs has none."""
    return [
        f"{name}.{field}"
        for name, node in graph.nodes.items()
        for field, value in node.inputs.items()
        if file_kind(node.class_type, field, inventory) and not _ours(value)
        if value not in inventory.choices(node.class_type, field)
        and not optional(node.class_type, field, value, inventory)
    ]


def optional(kind: str, field: str, value: object, inventory: Inventory) -> bool:
    """Whether an input of a file may stay empty, and is."""
    known = inventory.classes.get(kind)
    given = known.inputs.get(field) if known else None
    return value in {"", None} and given is not None and (not given.required or given.default == "")


def _file_reason(value: object, given: NodeInput | None) -> tuple[str, str] | None:
    if as_link(value) is not None:
        return "file_names", "the name of a file to read may not come out of another node"
    if value is None or not isinstance(value, str):
        return "file_names", "the name of a file is a text"
    if _ours(value) or (given is not None and value in (given.choices or ())):
        return None
    return _leads_away(value)


def _ours(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(rf"{FILE}file_[1-9][0-9]?", value) is not None


def _says_where(field: str) -> bool:
    return bool(_PLACES.fullmatch(field) or _CAMEL.fullmatch(field))


def _fed_reason(graph: Graph, name: str, field: str, inventory: Inventory) -> tuple[str, str] | None:
    """A place to read or write that other nodes put together cannot be looked at."""
    link = graph.link(name, field)
    maker = inventory.classes.get(graph[link[0]].class_type) if link and link[0] in graph else None
    made = maker.outputs[link[1]] if maker and link and 0 <= link[1] < len(maker.outputs) else "STRING"
    if made in {"STRING", "*"} and _says_where(field) and _of_text(graph, name, field, inventory):
        return "places", f"{field} says where to read or write, or what to run, and comes out of another node"
    return None


def _of_text(graph: Graph, name: str, field: str, inventory: Inventory) -> bool:
    known = inventory.classes.get(graph[name].class_type)
    given = known.inputs.get(field) if known else None
    return given is None or given.type in {"STRING", "*", "COMBO"}


def _literal_reason(kind: str, field: str, value: object, given: NodeInput | None) -> tuple[str, str] | None:
    choices = given.choices if given is not None else None
    for one in leaves(value):
        if not isinstance(one, str) or (choices is not None and one in choices):
            continue
        if one.lstrip().startswith(FILE):
            return "file_names", f"{_shown(one)} stands for an upload, and this input takes none"
        if choices is None and _says_where(field) and one.strip():
            return "places", f"{field} says where to read or write, or what to run, and holds {_shown(one)}"
        if not _only_words(field, one) and (reason := _leads_away(one)):
            return reason
    return None


def _only_words(field: str, value: str) -> bool:
    """Texts of encoders are words, whatever they hold; elsewhere whole sentences are."""
    if field in WORDS | SIGNS:
        return True
    return " " in value.strip() and not _AWAY.match(value.strip()) and not _ADDRESS.match(value.strip())


def _leads_away(value: str) -> tuple[str, str] | None:
    bare = value.strip()
    if _ADDRESS.match(bare):
        return "addresses", f"{_shown(value)} is an address, and a workflow may fetch nothing"
    if (_AWAY.match(bare) and len(bare) > 1) or _UP.search(bare) or _ENCODED_UP.search(bare):
        return "paths", f"{_shown(value)} is a path out of the server's own folders"
    return None


def _shown(value: str) -> str:
    return repr(value if len(value) <= MOST_SHOWN else f"{value[: MOST_SHOWN - 3]}...")
