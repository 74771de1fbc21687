"""FAL's endpoints as data: what each takes and makes, from models.toml or from its OpenAPI schema. Asks nobody."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

from workflows.families import families
from workflows.types import FamilyProfile, Task

DEFAULT = "fal-ai/fast-lightning-sdxl"
UNKNOWN = "unknown"
ID = re.compile(r"[a-z0-9][\w.-]*(/[\w.-]+){1,6}", re.IGNORECASE)
"""owner/app, with a path where the app has several endpoints."""
FILES = re.compile(r"\.(safetensors|ckpt|pt|pth|bin|gguf|sft)$", re.IGNORECASE)
"""A path that ends so is a file of this machine, and no endpoint."""
OTHERS: tuple[Literal["img2img", "inpaint", "img2vid"], ...] = ("img2img", "inpaint", "img2vid")
COMMON = "prompt image_size num_inference_steps guidance_scale seed num_images negative_prompt image_url strength"
"""What most endpoints take: for one whose schema cannot be had."""
SEVERAL = ("images", "image", "video")
"""Where results stand, in the order in which they are looked for."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """What one input allows: a list, or a range; None: no bound."""

    choices: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One address of FAL's, with the inputs that it takes. `guessed`: nobody said what it takes."""

    id: str
    inputs: Mapping[str, Input]
    makes: Literal["image", "video"] = "image"
    guessed: bool = False


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is named in a recipe: the endpoints that do the tasks, and its family."""

    id: str
    title: str
    family: str
    endpoints: Mapping[Task, Endpoint]
    steps: int | None = None
    cfg: float | None = None
    note: str = ""

    @property
    def profile(self) -> FamilyProfile:
        """The family's needs, with what this endpoint has of its own."""
        endpoint = next(iter(self.endpoints.values()))
        changes: dict[str, Any] = {
            "title": self.title,
            "negatives": any("negative_prompt" in one.inputs for one in self.endpoints.values()),
            "note": self.note,
        }
        if self.steps is not None:
            changes["steps"] = self.steps
        if self.cfg is not None:
            changes["cfg"] = self.cfg
        most = endpoint.inputs["num_frames"].most if "num_frames" in endpoint.inputs else None
        if most is not None:
            changes["most_frames"] = int(most)
        return families()[self.family].profile.but(**changes)


@cache
def known() -> Mapping[str, Model]:
    """The models of models.toml by their ids."""
    text = files("clients._fal").joinpath("models.toml").read_text(encoding="utf-8")
    return {name: _model(name, table) for name, table in tomllib.loads(text).items()}


def model_of(name: str) -> Model | None:
    """The known model of that id, also when it is called by the endpoint of one of its tasks."""
    if name in known():
        return known()[name]
    for model in known().values():
        mine = {task: endpoint for task, endpoint in model.endpoints.items() if endpoint.id == name}
        if mine:
            return replace(model, id=name, endpoints=mine)
    return None


def is_id(name: str) -> bool:
    """Whether it is written as FAL's ids are."""
    return ID.fullmatch(name) is not None and FILES.search(name) is None


def guessed(name: str) -> Model:
    """A model of which nothing could be learned."""
    video = "video" in name
    base: Task = "img2vid" if "image-to-video" in name else "txt2vid" if video else "txt2img"
    endpoint = Endpoint(
        id=name, inputs={one: Input() for one in COMMON.split()}, makes="video" if video else "image", guessed=True
    )
    tasks: tuple[Task, ...] = (base,) if video else (base, "img2img")
    return Model(id=name, title=name, family=UNKNOWN, endpoints=dict.fromkeys(tasks, endpoint))


def learned(name: str, schema: Mapping[str, Any]) -> Model:
    """A model by its endpoint's OpenAPI schema. Raises ValueError for one that draws nothing, KeyError and TypeError
    for what is no such schema."""
    schemas = cast("Mapping[str, Any]", schema["components"]["schemas"])
    title = str(schema.get("info", {}).get("title") or name)
    body, answer = _operations(schema, schemas)
    required = frozenset(cast("Sequence[str]", body.get("required", ())))
    inputs = {key: _input(key, value, required, schemas) for key, value in body["properties"].items()}
    result = cast("Mapping[str, Any]", answer.get("properties", {}))
    if not any(place in result for place in SEVERAL):
        raise ValueError(f"FAL's {name} makes neither pictures nor a video (it answers with {', '.join(result)})")
    makes = "image" if "images" in result or "image" in result else "video"
    endpoint = Endpoint(id=name, inputs=inputs, makes=makes)
    tasks = _tasks(endpoint)
    if not tasks:
        raise ValueError(f"FAL's {name} takes no prompt and no picture that could be given to it")
    return Model(id=name, title=title, family=UNKNOWN, endpoints=dict.fromkeys(tasks, endpoint))


def _operations(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What goes in by POST, and what comes out: of a GET for queue schemas, else of the POST."""
    body: Mapping[str, Any] = {}
    answer: Mapping[str, Any] = {}
    for path, methods in schema["paths"].items():
        if "post" in methods and "requestBody" in methods["post"]:
            body = _resolved(methods["post"]["requestBody"]["content"]["application/json"]["schema"], schemas)
        for method in ("get", "post"):
            found = methods.get(method, {}).get("responses", {}).get("200", {}).get("content", {})
            shape = _resolved(found.get("application/json", {}).get("schema", {}), schemas)
            status = path.endswith(("/status", "/cancel")) or "request_id" in shape.get("properties", {})
            if shape and not status:
                answer = shape
    return body, answer


def _resolved(shape: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = str(shape.get("$ref", ""))
    return cast("Mapping[str, Any]", schemas[reference.rpartition("/")[2]]) if reference else shape


def _input(name: str, shape: Mapping[str, Any], required: frozenset[str], schemas: Mapping[str, Any]) -> Input:
    options = [shape, *(_resolved(one, schemas) for key in ("anyOf", "allOf", "oneOf") for one in shape.get(key, ()))]
    choices = next(
        (tuple(one["enum"]) for one in map(lambda one: _resolved(one, schemas), options) if "enum" in one), ()
    )
    # A list of names beside an object of width and height, such as image_size, is no bound on what may be given.
    free = any(one.get("type") == "object" or "properties" in one for one in options)
    least = next((float(one["minimum"]) for one in options if "minimum" in one), None)
    most = next((float(one["maximum"]) for one in options if "maximum" in one), None)
    return Input(choices=() if free else choices, least=least, most=most, required=name in required)


def _tasks(endpoint: Endpoint) -> list[Task]:
    """What an endpoint can do, by its inputs."""
    inputs, video = endpoint.inputs, endpoint.makes == "video"
    picture = next((inputs[name] for name in ("image_url", "image_urls") if name in inputs), None)
    tasks: list[Task] = []
    if "prompt" in inputs and (picture is None or not picture.required):
        tasks.append("txt2vid" if video else "txt2img")
    masked = "mask_url" in inputs and not video
    if picture is not None and not (masked and inputs["mask_url"].required):
        tasks.append("img2vid" if video else "img2img")
    if picture is not None and masked:
        tasks.append("inpaint")
    strange = [name for name, one in inputs.items() if one.required and name not in FILLED]
    return [] if strange else tasks


FILLED = frozenset({*COMMON.split(), "mask_url", "image_urls", "loras", "num_frames", "frames_per_second", "fps"}) | {
    "duration",
    "aspect_ratio",
    "resolution",
    "width",
    "height",
    "output_format",
    "format",
}
"""Inputs that a recipe can fill."""


def _model(name: str, table: Mapping[str, Any]) -> Model:
    limits = {key: _limit(value) for key, value in table.get("limits", {}).items()}
    inputs = str(table["inputs"]).split()
    makes: Literal["image", "video"] = table.get("makes", "image")
    base: Task = "txt2vid" if makes == "video" else "txt2img"
    endpoints: dict[Task, Endpoint] = {base: _endpoint(name, inputs, limits, makes)}
    for task in OTHERS:
        if task in table:
            other = table[task]
            less = str(other.get("without", "")).split()
            names = [one for one in inputs if one not in less] + str(other["inputs"]).split()
            endpoints[task] = _endpoint(other["endpoint"], names, limits, makes)
    return Model(
        id=name,
        title=table["title"],
        family=table["family"],
        endpoints=endpoints,
        steps=table.get("steps"),
        cfg=table.get("cfg"),
        note=table.get("note", ""),
    )


def _endpoint(
    name: str, inputs: Sequence[str], limits: Mapping[str, Input], makes: Literal["image", "video"]
) -> Endpoint:
    return Endpoint(id=name, inputs={one: limits.get(one, Input()) for one in inputs}, makes=makes)


def _limit(table: Mapping[str, Any]) -> Input:
    return Input(choices=tuple(table.get("choices", ())), least=table.get("least"), most=table.get("most"))
