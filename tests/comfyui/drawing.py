"""Pictures as a graph asks for them: their size, number and colour read off the graph, with its text chunks. Pure."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from PIL import Image, PngImagePlugin

from tests.comfyui import clips

Json = Mapping[str, Any]
Colour = tuple[int, int, int]
Open = Callable[[str], bytes]
"""The bytes of a file as LoadImage names it."""

UPSCALE_MODEL = 2
"""By how much every upscale model enlarges."""
SCALES = ("ImageScaleBy", "LatentUpscaleBy")
SIZES = ("width", "height")
PREFERRED = ("latent_image", "samples", "latent", "pixels", "images", "image", "frames", "video", "destination")
"""Inputs through which a picture comes."""


def pictures(graph: Json, node: str, open_file: Open) -> list[Image.Image]:
    """What arrives at an output node: pictures whose colour comes from the seed or the colour, and from their place."""
    size, alpha = measured(graph, node, open_file)
    seed = next(_values(graph, node, ("seed", "noise_seed", "color")), 0)
    return [
        Image.new("RGBA" if alpha else "RGB", size, _colour(seed + (place << 16)))
        for place in places(graph, node, open_file)
    ]


def places(graph: Json, node: str, open_file: Open) -> list[int]:
    """Which places of a batch a node gives, as the sampler would make noise for them; of a video, its frames."""
    inputs, class_type = graph[node].get("inputs", {}), graph[node]["class_type"]
    if class_type == "LoadVideo":
        return list(range(clips.size_of(open_file(inputs["file"]))[1]))
    if isinstance(inputs.get("length"), int) and class_type != "LatentFromBatch":
        return list(range(inputs["length"]))
    if isinstance(inputs.get("batch_size"), int):
        return list(range(inputs["batch_size"]))
    links = dict(_links(graph, node))
    source = next((links[name] for name in PREFERRED if name in links), None)
    came = places(graph, source, open_file) if source else [0]
    if isinstance(inputs.get("multiplier"), int):  # frames between frames
        return list(range((len(came) - 1) * inputs["multiplier"] + 1))
    if class_type == "RepeatLatentBatch":
        return list(range(len(came) * inputs["amount"]))
    if class_type == "LatentFromBatch":
        return came[inputs["batch_index"] :][: inputs["length"]]
    return list(range(len(came))) if class_type.startswith("VAEEncode") else came


def png(picture: Image.Image, graph: Json, extra: Json) -> bytes:
    """With the graph and every key of extra_pnginfo as text chunks, as SaveImage writes them."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("prompt", json.dumps(graph))
    for key, value in extra.items():
        texts.add_text(key, json.dumps(value))
    return encoded(picture, "PNG", pnginfo=texts)


def encoded(picture: Image.Image, kind: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **more)
    return buffer.getvalue()


def measured(graph: Json, node: str, open_file: Open) -> tuple[tuple[int, int], bool]:
    """Width and height of what a node gives, and whether it has alpha."""
    inputs, class_type = graph[node].get("inputs", {}), graph[node]["class_type"]
    if class_type in {"LoadImage", "LoadImageMask"}:
        return Image.open(io.BytesIO(open_file(inputs["image"]))).size, False
    if class_type == "LoadVideo":
        return clips.size_of(open_file(inputs["file"]))[0], False
    if all(isinstance(inputs.get(edge), int) for edge in SIZES):
        return (inputs["width"], inputs["height"]), False
    (width, height), alpha = _source(graph, node, open_file)
    if class_type in SCALES:
        scale = float(inputs["scale_by"])
        return (round(width * scale), round(height * scale)), alpha
    if class_type == "ImageUpscaleWithModel":
        return (width * UPSCALE_MODEL, height * UPSCALE_MODEL), alpha
    if class_type == "ImagePadForOutpaint":
        return (width + inputs["left"] + inputs["right"], height + inputs["top"] + inputs["bottom"]), alpha
    return (width, height), alpha or class_type == "JoinImageWithAlpha"


def _source(graph: Json, node: str, open_file: Open) -> tuple[tuple[int, int], bool]:
    links = dict(_links(graph, node))
    for name in (*(name for name in PREFERRED if name in links), *links):
        found = measured(graph, links[name], open_file)
        if found[0] != (64, 64):
            return found
    return (64, 64), False


def _links(graph: Json, node: str) -> Iterator[tuple[str, str]]:
    for name, value in graph[node].get("inputs", {}).items():
        if isinstance(value, list) and value and value[0] in graph:
            yield name, value[0]


def _values(graph: Json, node: str, names: tuple[str, ...]) -> Iterator[int]:
    """Integers under these names, the nearest upstream first."""
    seen: set[str] = set()
    pending = [node]
    while pending:
        current = pending.pop(0)
        if current not in seen:
            seen.add(current)
            inputs = graph[current].get("inputs", {})
            yield from (inputs[name] for name in names if isinstance(inputs.get(name), int))
            pending.extend(source for _, source in _links(graph, current))


def _colour(seed: int) -> Colour:
    return (seed >> 16) & 255, (seed >> 8) & 255, seed & 255
