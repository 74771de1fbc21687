"""Library: the graph templates that can be used here, and whether a graph would be taken. Runs nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from workflows.errors import BadRecipe, EngineUnavailable, GraphRejected, NotFound
from workflows.graph import Graph
from workflows.ports import Graphs
from workflows.types import Problem, Recipe, TemplateInfo

Answer = dict[str, Any]

COMFYUI_STEP = "start ComfyUI, or set COMFYUI_URL to the address of one that runs"
NO_GRAPHS = f"Workflows are graphs for ComfyUI, and none is in use here: {COMFYUI_STEP}."
VALID_STEP = "It would be taken as it is."
INVALID_STEP = "Mend what the problems say and ask again; list_workflows tells what can be used here."


@dataclass(frozen=True)
class Library:
    """What faces may ask of graphs; None: no engine here runs any."""

    graphs: Graphs | None = None

    async def list(self) -> Answer:
        """Every template, usable ones first, each with what is missing for it."""
        if self.graphs is None:
            return {"workflows": [], "usable": 0, "note": NO_GRAPHS}
        found = sorted(await self.graphs.templates(), key=lambda info: (not info.usable, info.name))
        rows = [info.model_dump(mode="json", exclude_defaults=True) | {"usable": info.usable} for info in found]
        return {"workflows": rows, "usable": sum(info.usable for info in found)}

    async def validate(
        self,
        workflow: object = None,
        model: str | None = None,
        prompt: str = "test prompt",
        width: int | None = None,
        height: int | None = None,
    ) -> Answer:
        """Whether a server would take it, and every fault that it would find.

        `workflow` is a graph in API format, as an object or as JSON text, or the name of a template; None is the graph
        that a picture of these words by `model` would become. Raises BadRecipe, NotFound, EngineError.
        """
        if self.graphs is None:
            raise EngineUnavailable(NO_GRAPHS)
        given = _bare(_parsed(workflow))
        if given is None or given == "":
            return await self._drafted(Recipe.checked(prompt=prompt, model=model, width=width, height=height, seed=0))
        if isinstance(given, str):
            return await self._template(given)
        return await self._graph(given, {})

    async def _graph(self, graph: object, about: Answer) -> Answer:
        assert self.graphs is not None
        try:
            prompt = Graph.read(graph).as_prompt()
        except GraphRejected as error:
            return _verdict([Problem(node="", message=str(error))], about)
        return _verdict(await self.graphs.problems(prompt), about | {"nodes": len(prompt)})

    async def _drafted(self, recipe: Recipe) -> Answer:
        assert self.graphs is not None
        drafted = await self.graphs.draft(recipe)
        about = drafted.model_dump(mode="json", exclude={"graph", "template"}, exclude_defaults=True)
        return await self._graph(drafted.graph, {"workflow": drafted.template} | about)

    async def _template(self, name: str) -> Answer:
        assert self.graphs is not None
        known = {info.name: info for info in await self.graphs.templates()}
        if name not in known:
            raise NotFound("workflow", name, known, "list_workflows shows them; a graph is given in API format.")
        info = known[name]
        return _verdict([_lack(info, lack) for lack in info.missing], {"workflow": name}, valid=info.usable)


def _lack(info: TemplateInfo, lack: str) -> Problem:
    return Problem(node="", message=f"{info.title or info.name} needs: {lack}")


def _verdict(problems: Sequence[Problem], about: Answer, *, valid: bool | None = None) -> Answer:
    rows = [problem.model_dump(mode="json", exclude_defaults=True) for problem in problems]
    good = not rows if valid is None else valid
    return {"valid": good, "problems": rows, **about, "next": VALID_STEP if good else INVALID_STEP}


def _bare(given: object) -> object:
    """The graph out of the body of a POST /prompt, which is how programs keep graphs."""
    body = cast(dict[str, object], given) if isinstance(given, dict) else {}
    inner = body.get("prompt")
    return cast(object, inner) if isinstance(inner, dict) and "class_type" not in inner else cast(object, given)


def _parsed(workflow: object) -> object:
    """JSON text as what it says; everything else as it is. Raises BadRecipe."""
    if workflow is not None and not isinstance(workflow, str | dict):
        raise BadRecipe("workflow", workflow, "it is a graph (an object in API format) or a workflow's name")
    if not isinstance(workflow, str) or not workflow.lstrip().startswith(("{", "[")):
        return cast(object, workflow)
    try:
        return cast(object, json.loads(workflow))
    except (ValueError, RecursionError) as error:
        raise BadRecipe("workflow", workflow, f"it is no JSON ({error}); export it with 'Export (API)'") from error
