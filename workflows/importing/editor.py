"""The graph as ComfyUI's editor keeps it, as nodes with named inputs: bypassed, muted, rerouted and grouped ones too.

The editor keeps the values of widgets without their names; those of ComfyUI's own nodes are known here, and newer
files name them. It is for reading a recipe without a server, not for running: values of other nodes may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.editor.flattening import Flat, FlatNode, Given, Like, flattened, forced
from workflows.editor.promoting import CONTROLS
from workflows.editor.reading import EditorNode, is_editors
from workflows.errors import GraphRejected
from workflows.graph import Node

WIDGETS: Mapping[str, tuple[str, ...]] = {
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "RandomNoise": ("noise_seed",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "KarrasScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": ("width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "EmptyFlux2LatentImage": ("width", "height", "batch_size"),
    "EmptyHunyuanLatentVideo": ("width", "height", "length", "batch_size"),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "ImageScale": ("upscale_method", "width", "height", "crop"),
    "ImageScaleBy": ("upscale_method", "scale_by"),
    "LoadImage": ("image",),
    "SaveImage": ("filename_prefix",),
    "PrimitiveNode": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveFloat": ("value",),
    "StringConcatenate": ("string_a", "string_b", "delimiter"),
}


def nodes_of_editor(workflow: Mapping[str, Any]) -> dict[str, Node]:
    """The nodes by id, those of subgraphs as "57:3"; links lead past what is bypassed, muted or rerouted. None for a
    graph that is beyond the bounds or leads into itself."""
    try:
        flat = flattened(workflow) if is_editors(workflow) else None
    except GraphRejected:
        flat = None
    return {name: _node(one, flat) for name, one in flat.nodes.items()} if flat else {}


def _node(one: FlatNode, flat: Flat) -> Node:
    inputs = _values(one.node) | dict(one.forced)
    for name, source in one.reads.items():
        if isinstance(source, tuple):
            inputs[name] = list(source)
        elif (value := _literal(source, flat)) is not None:
            inputs[name] = value
    return Node(one.node.kind, inputs)


def _literal(source: Given | Like, flat: Flat) -> Any:
    if isinstance(source, Given):
        return source.value if not isinstance(source.value, list | dict) else None
    place = flat.places.get(source.node)
    return (_values(place.node) | forced(place)).get(source.input) if place else None


def _values(node: EditorNode) -> dict[str, Any]:
    """The widgets' values by name: as the node's kind has them, else as the file names them."""
    if node.named:
        return dict(node.named)
    values = [one for one in node.values if not (isinstance(one, str) and one in CONTROLS)]
    names = WIDGETS.get(node.kind) or [slot.name for slot in node.inputs if slot.widget]
    return {name: value for name, value in zip(names, values, strict=False) if not isinstance(value, list | dict)}
