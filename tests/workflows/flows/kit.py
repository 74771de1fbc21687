"""Graphs and servers for the tests of workflows: a picture by one sampler, and what recorded servers have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from tests.comfyui.shelves import recorded
from tests.workflows.editor.drawn import link, workflow
from tests.workflows.editor.drawn import node as drawn
from workflows.drawing.inventory import Inventory
from workflows.errors import EngineUnavailable, NotFound

Json = dict[str, Any]
CHECKPOINT = "sd_xl_base_1.0.safetensors"
PRIMITIVES: Json = {
    name: {"input": {"required": {"value": [kind, options]}}, "output": [kind], "output_node": False}
    for name, kind, options in (
        ("PrimitiveInt", "INT", {"default": 0}),
        ("PrimitiveFloat", "FLOAT", {"default": 0.0}),
        ("PrimitiveBoolean", "BOOLEAN", {"default": False}),
        ("PrimitiveStringMultiline", "STRING", {"multiline": True}),
    )
}
STRINGS: Json = {
    "StringConcatenate": {
        "input": {"required": {name: ["STRING", {}] for name in ("string_a", "string_b", "delimiter")}},
        "output": ["STRING"],
    },
    "KlingTextToVideoNode": {
        "input": {"required": {"prompt": ["STRING", {}]}},
        "output": ["VIDEO"],
        "api_node": True,
    },
    "Innocent Looking": {
        "input": {"required": {"prompt": ["STRING", {}]}},
        "output": ["IMAGE"],
        "category": "api node/image",
    },
    "Sparkle": {
        "input": {"required": {"image": ["IMAGE"], "amount": ["FLOAT", {"default": 1.0}], "place": ["STRING", {}]}},
        "output": ["IMAGE"],
        "python_module": "custom_nodes.sparkle",
    },
}
"""As a server tells of them, cut down to what is read."""


@cache
def server(era: str = "b") -> Inventory:
    """A recorded server, with some nodes more."""
    return Inventory.read(recorded(f"nodes_{era}", f"nodes_video_{era}") | PRIMITIVES | STRINGS)


def having(**files: Sequence[str]) -> Inventory:
    """The server with these choices: LoadImage_image=["mine.png"]."""
    found = server()
    classes = dict(found.classes)
    for spot, names in files.items():
        kind, _, name = spot.partition("_")
        given = replace(classes[kind].inputs[name], choices=tuple(names))
        classes[kind] = replace(classes[kind], inputs={**classes[kind].inputs, name: given})
    return replace(found, classes=classes)


def node(kind: str, title: str = "", /, **inputs: Any) -> Json:
    return {"class_type": kind, "inputs": inputs} | ({"_meta": {"title": title}} if title else {})


def portrait(**more: Any) -> Json:
    """Text to picture by one sampler, in API format; `more` are nodes besides, or in place of these."""
    return {
        "loader": node("CheckpointLoaderSimple", ckpt_name=CHECKPOINT),
        "good": node("CLIPTextEncode", text="a red fox in the snow", clip=["loader", 1]),
        "bad": node("CLIPTextEncode", text="blurry", clip=["loader", 1]),
        "latent": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "sampler": node(
            "KSampler",
            model=["loader", 0],
            seed=7,
            steps=20,
            cfg=6.5,
            sampler_name="euler",
            scheduler="normal",
            positive=["good", 0],
            negative=["bad", 0],
            latent_image=["latent", 0],
            denoise=1.0,
        ),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["loader", 2]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="ComfyUI"),
    } | more


def drawn_portrait(*more: Json, checkpoint: str = CHECKPOINT, url: str = "") -> Json:
    """The same as the editor keeps it; `url`: where it says that its checkpoint is to be had."""
    needs = {"properties": {"models": [{"name": checkpoint, "url": url, "directory": "checkpoints"}]}} if url else {}
    reads = {"model:MODEL": 1, "positive:CONDITIONING": 4, "negative:CONDITIONING": 5, "latent_image:LATENT": 6}
    return workflow(
        drawn(1, "CheckpointLoaderSimple", checkpoint, gives="MODEL CLIP VAE", **needs),
        drawn(2, "CLIPTextEncode", "a red fox", reads={"clip:CLIP": 2}, gives="CONDITIONING", title="@prompt"),
        drawn(3, "CLIPTextEncode", "blurry", reads={"clip:CLIP": 3}, gives="CONDITIONING"),
        drawn(4, "EmptyLatentImage", 512, 768, 1, gives="LATENT"),
        drawn(5, "KSampler", 7, "randomize", 20, 6.5, "euler", "normal", 1.0, reads=reads, gives="LATENT"),
        drawn(6, "VAEDecode", reads={"samples:LATENT": 7, "vae:VAE": 8}, gives="IMAGE"),
        drawn(7, "SaveImage", "ComfyUI", reads={"images:IMAGE": 9}),
        *more,
        *(link(1, 1, 0, 5, 0, "MODEL"), link(2, 1, 1, 2, 0, "CLIP"), link(3, 1, 1, 3, 0, "CLIP")),
        *(link(4, 2, 0, 5, 1, "CONDITIONING"), link(5, 3, 0, 5, 2, "CONDITIONING"), link(6, 4, 0, 5, 3, "LATENT")),
        *(link(7, 5, 0, 6, 0, "LATENT"), link(8, 1, 2, 6, 1, "VAE"), link(9, 6, 0, 7, 0, "IMAGE")),
    )


def changed(graph: Json, spot: str, value: Any) -> Json:
    """The graph with one input changed: changed(portrait(), "sampler.seed", 8)."""
    name, _, field_ = spot.partition(".")
    return graph | {name: graph[name] | {"inputs": graph[name]["inputs"] | {field_: value}}}


def retouch(name: str = "picture.png") -> Json:
    """A picture, made over."""
    return changed(
        portrait(photo=node("LoadImage", image=name), encode=node("VAEEncode", pixels=["photo", 0], vae=["loader", 2])),
        "sampler.latent_image",
        ["encode", 0],
    )


@dataclass
class FakeWorkshop:
    """Servers with these inventories, and an editor's library."""

    servers: Sequence[Inventory] = field(default_factory=lambda: [server()])
    library: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]])
    asked: list[str] = field(default_factory=list[str])

    async def inventories(self) -> Sequence[Inventory]:
        if not self.servers:
            raise EngineUnavailable("no server answers")
        return self.servers

    async def saved(self) -> Sequence[str]:
        return list(self.library)

    async def saved_workflow(self, name: str) -> Mapping[str, object]:
        self.asked.append(name)
        if name not in self.library:
            raise NotFound("workflow", name, self.library)
        return self.library[name]
