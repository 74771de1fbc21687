"""A workflow with its caller's values, as the job that runs it: the recipe, and what goes in by role."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from workflows.errors import BadRecipe, GraphRejected, Refused, nearest
from workflows.flows.kinds import ANY_SEED, FILES, value_of
from workflows.flows.rules import FILE, PREFIXES, borrowed
from workflows.flows.understanding import Flow, at_work, faults
from workflows.flows.words import check_words
from workflows.graph import Graph
from workflows.inputs import Given, argument_of
from workflows.types import MAX_FILES, MAX_PROMPT, MAX_SEED, Acceptance, FlowInfo, FlowInput, Media, Recipe
from workflows.types.values import now

if TYPE_CHECKING:
    from workflows.content import ContentRules

UNNAMED = "workflow"
"""What a graph is called that came without a name."""
TOLD = 5
"""Reasons or faults that an error tells of."""
FIELDS: Mapping[str, str] = {
    "width": "width",
    "height": "height",
    "frames": "frames",
    "fps": "fps",
    "seed": "seed",
    "steps": "steps",
    "cfg": "cfg",
    "sampler": "sampler",
    "scheduler": "scheduler",
    "denoise": "denoise",
    "model": "model",
}
"""Fields of the recipe by the roles of the inputs that they are read from."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A workflow ready to be submitted. `pictures`: workflow (the graph as JSON), file_1, file_2, ..."""

    recipe: Recipe
    pictures: Mapping[str, Given]
    info: FlowInfo
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Inputs by the roles of the files that were given for them."""

    @property
    def told(self) -> str:
        """The notes as one text; of many the first."""
        return _told(self.notes)

    def named(self, error: BadRecipe) -> BadRecipe:
        """What is wrong with a file, by the name of the input that it was given for."""
        for role, name in self.files.items():
            if error.argument == argument_of(role):
                return BadRecipe(name, self.pictures[role], error.allowed)
        return error


@dataclass(frozen=True)
class _Filled:
    graph: Graph
    files: Mapping[str, Given]
    """By the names of the inputs."""
    notes: tuple[str, ...]


def prepared(flow: Flow, info: FlowInfo, given: Mapping[str, object], rules: ContentRules) -> Prepared:
    """The job of this flow with these values. Takes milliseconds to a second: call on a thread.

    Raises BadRecipe that names an input, Refused by the owner's rules on nodes or by the content rules, GraphRejected
    with the problems that are left.
    """
    if flow.refusals:
        raise Refused(_told(flow.refused), f"workflow.{flow.refusals[0].rule}")
    if flow.graph is None:
        raise _rejected(flow.problems)
    filled = _filled(flow, given)
    working = at_work(filled.graph, flow.inventory)
    if problems := faults(working, flow.inventory, flow.models):
        raise _rejected(problems)
    if foreign := borrowed(working, flow.inventory):
        raise GraphRejected(f"These inputs read files that are neither given nor on the server: {', '.join(foreign)}.")
    recipe = _recipe(flow, working, info.name)
    check_words(rules, working, flow.inventory, recipe.cfg, recipe.model)
    graph = _renamed(working)
    text = json.dumps(graph.as_prompt(), ensure_ascii=False, allow_nan=False)
    files = {f"file_{number}": name for number, name in enumerate(filled.files, 1)}
    pictures: dict[str, Given] = {role: filled.files[name] for role, name in files.items()}
    pictures["workflow"] = Media(data=text.encode(), media_type="application/json")
    notes = (*filled.notes, *flow.notes)
    return Prepared(recipe=recipe, pictures=pictures, info=info, notes=notes, files=files)


def _rejected(problems: Sequence[Any]) -> GraphRejected:
    messages = tuple(dict.fromkeys(one.message for one in problems))
    return GraphRejected(f"The workflow cannot run: {_told(messages)}", problems)


def _told(reasons: Sequence[str]) -> str:
    more = f" And {len(reasons) - TOLD} more; validate_workflow tells all." if len(reasons) > TOLD else ""
    return " ".join(reasons[:TOLD]) + more


# ------------------------------------------------------------------ values


def _filled(flow: Flow, given: Mapping[str, object]) -> _Filled:
    """The graph with the values in their places; seeds of -1 drawn, files as what stands for them."""
    assert flow.graph is not None
    known = {one.name: one for one in flow.inputs}
    _check_names(given, known)
    graph, files, notes = flow.graph, dict[str, Given](), list[str]()
    for one in flow.inputs:
        if one.name not in given or given[one.name] is None:
            notes += _kept(one)
            continue
        value = value_of(one, given[one.name])
        if one.kind in FILES:
            files[one.name] = value
            value = f"{FILE}file_{len(files)}"
        elif one.role == "seed" and value == ANY_SEED:
            value = secrets.randbelow(MAX_SEED + 1)
            notes.append(f"{one.name} was drawn: {value}.")
        for node, place in one.spots:
            graph = graph.but(node, **{place: value})
    if len(files) > MAX_FILES:
        raise BadRecipe("inputs", f"{len(files)} files", f"a workflow reads at most {MAX_FILES}")
    return _Filled(graph, files, tuple(notes))


def _check_names(given: Mapping[str, object], known: Mapping[str, FlowInput]) -> None:
    for name in given:
        if name not in known:
            near = nearest(str(name), known, 1)
            meant = f"did you mean {near[0]}? " if near else ""
            takes = ", ".join(known) or "none"
            raise BadRecipe("inputs", name, f"{meant}This workflow's inputs are: {takes}")
    missing = [one for one in known.values() if one.required and given.get(one.name) is None]
    if missing:
        named = ", ".join(f"{one.name} ({one.kind})" for one in missing)
        raise BadRecipe(missing[0].name, None, f"the workflow needs {named}; its author's own is not on the server")


def _kept(one: FlowInput) -> list[str]:
    """What is told of an input that was not given."""
    if one.role == "seed":
        return [f"{one.name} stayed {one.default}, as the workflow has it; {ANY_SEED} draws another."]
    return [f"{one.name} stayed {one.default!r}, which is on the server."] if one.kind in FILES else []


def _renamed(graph: Graph) -> Graph:
    """Every name of what is saved replaced by ours, whoever gives it."""
    name = f"atelier/{now():%Y-%m-%d}/{uuid4().hex[:12]}"
    for node, body in graph.nodes.items():
        ours = {field: name for field in body.inputs if field in PREFIXES}
        graph = graph.but(node, **ours) if ours else graph
    return graph


# ------------------------------------------------------------------ the recipe


def _recipe(flow: Flow, graph: Graph, name: str) -> Recipe:
    """What of the graph, as it will run, a recipe can say."""
    recipe = Recipe(
        task="workflow",
        prompt=_words(flow, graph, "prompt"),
        negative=_words(flow, graph, "negative_prompt"),
        workflow_name=None if name == UNNAMED else name[:200],
        acceptance=Acceptance(auto_retry=False),
    )
    for role, named in FIELDS.items():
        one = next((one for one in flow.inputs if one.role == role), None)
        if one is not None:
            recipe = _with(recipe, named, _value(one, graph))
    return recipe


def _words(flow: Flow, graph: Graph, role: str) -> str:
    found = (_value(one, graph) for one in flow.inputs if one.role == role)
    return "\n".join(dict.fromkeys(text for text in found if isinstance(text, str) and text.strip()))[:MAX_PROMPT]


def _value(one: FlowInput, graph: Graph) -> Any:
    node, field = one.spots[0]
    return graph[node].inputs.get(field) if node in graph else None


def _with(recipe: Recipe, field: str, value: object) -> Recipe:
    """A number that recipes do not have, such as a seed of 64 bits, is only in the graph."""
    try:
        return recipe.but(**{field: value})
    except BadRecipe:
        return recipe


def of_item(ready: Prepared, item_id: str) -> Prepared:
    """The same, made from a gallery item."""
    return replace(ready, recipe=ready.recipe.but(source_item=item_id))
