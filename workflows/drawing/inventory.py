"""What one ComfyUI server has: its node classes with their inputs, and its model files by folder. A plain value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, cast

from workflows.errors import nearest
from workflows.types import ModelFacts

Presence = Literal["required", "optional"]
DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
"""ComfyUI's word for a choice that brings inputs of its own."""
Known = Callable[[str, str], str | None]
"""(kind, name) of a model file -> its family by a surer source than its server, or None. Called often and from any
thread."""


@dataclass(frozen=True, kw_only=True)
class NodeInput:
    """One input of a node class. `choices` None: not a choice; `type` is ComfyUI's word, such as INT or MODEL."""

    type: str
    required: bool = True
    choices: tuple[str, ...] | None = None
    default: Any = None
    least: float | None = None
    most: float | None = None
    upload: bool = False
    """Takes the name of an uploaded file, which need not be among the choices."""
    forced: bool = False
    """Can only be linked: the editor shows no widget for it, whatever its type."""
    widget: str = ""
    """The widget that the editor shows for it, where the type does not say it: FLOAT for FLOAT,INT."""
    control: bool = False
    """The editor keeps a word beside its value that says how it changes after a run."""
    branches: Mapping[str, Mapping[str, NodeInput]] = field(
        default_factory=dict[str, Mapping[str, "NodeInput"]], compare=False, repr=False
    )
    """Of a choice that brings inputs of its own: those inputs by choice; in a graph they are written name.inner."""


@dataclass(frozen=True, kw_only=True)
class NodeClass:
    """A node class: inputs in order, output types, and whether it ends a graph."""

    inputs: Mapping[str, NodeInput]
    outputs: tuple[str, ...] = ()
    is_output: bool = False
    module: str = ""
    """Where its code lies, such as nodes, comfy_extras.nodes_video or custom_nodes.some-pack; "" when not told."""
    paid: bool = False
    """Whether it asks a service for money: a partner's node."""


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Node classes from /object_info, model files from /models; names are the server's own, backslashes and all."""

    classes: Mapping[str, NodeClass]
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Model files by folder: checkpoints, diffusion_models, loras, ..."""
    sizes: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """Bytes by (folder, file), where the server tells."""
    metadata: Mapping[tuple[str, str], Mapping[str, str]] = field(
        default_factory=dict[tuple[str, str], Mapping[str, str]]
    )
    """safetensors metadata by (folder, file), where it was asked for."""
    facts: Mapping[tuple[str, str], ModelFacts] = field(default_factory=dict[tuple[str, str], ModelFacts])
    """What the files say of themselves besides, by (folder, file)."""
    known: Known | None = field(default=None, compare=False)
    """The owner's corrections, and what this machine's own files say."""

    @classmethod
    def read(cls, object_info: Mapping[str, Any], **more: Any) -> Inventory:
        """From the server's own JSON; `more` are the other fields."""
        classes = {name: _class(body) for name, body in object_info.items()}
        for name, inner in OPEN_CHOICES:
            if name in classes and inner in classes[name].inputs:
                open_ = replace(classes[name].inputs[inner], choices=None)
                classes[name] = replace(classes[name], inputs={**classes[name].inputs, inner: open_})
        return cls(classes=classes, **more)

    def has(self, *classes: str) -> bool:
        return all(name in self.classes for name in classes)

    def choices(self, class_type: str, name: str) -> tuple[str, ...]:
        """What an input of choices offers; empty for a class or input that is not there."""
        node = self.classes.get(class_type)
        given = node.inputs.get(name) if node else None
        return given.choices or () if given else ()

    def folder(self, *names: str) -> tuple[str, ...]:
        """The model files of a folder under any of its names."""
        return tuple(file for name in names for file in self.files.get(name, ()))

    def listed(self, folder: str) -> tuple[str, ...]:
        """The files that lie in a folder; where the server lists it not, what its loader offers."""
        return self.files[folder] if folder in self.files else self.loaders.get(folder, ())

    @cached_property
    def loaders(self) -> Mapping[str, tuple[str, ...]]:
        """Files by what the loaders offer: the truth for what a graph may name."""
        return {folder: self.choices(*spot) or self.files.get(folder, ()) for folder, spot in LOADERS.items()}


LOADERS: Mapping[str, tuple[str, str]] = {
    "checkpoints": ("CheckpointLoaderSimple", "ckpt_name"),
    "diffusion_models": ("UNETLoader", "unet_name"),
    "text_encoders": ("CLIPLoader", "clip_name"),
    "vae": ("VAELoader", "vae_name"),
    "loras": ("LoraLoader", "lora_name"),
    "controlnet": ("ControlNetLoader", "control_net_name"),
    "upscale_models": ("UpscaleModelLoader", "model_name"),
    "clip_vision": ("CLIPVisionLoader", "clip_name"),
    "style_models": ("StyleModelLoader", "style_model_name"),
    "model_patches": ("ModelPatchLoader", "name"),
    "background_removal": ("LoadBackgroundRemovalModel", "bg_removal_name"),
}
"""Which node offers which folder's files."""


OPEN_CHOICES = (("CustomCombo", "choice"),)
"""Choices that the editor makes up for each node; the server takes any."""

UPLOADS = ("image_upload", "video_upload", "audio_upload", "file_upload", "image_folder", "remote")
"""Options by which a choice says that it also takes a file that was just uploaded, or a list from elsewhere."""


def plain(name: str) -> str:
    """A file's name without folders, suffix and case, whichever way its slashes lean."""
    return name.replace("\\", "/").rpartition("/")[2].rsplit(".", 1)[0].lower()


def spelled(wanted: str, offered: tuple[str, ...]) -> str | None:
    """The server's spelling of a file: exact, else with the other slashes, else by its plain name when that is one."""
    if wanted in offered:
        return wanted
    same = [name for name in offered if name.replace("\\", "/").lower() == wanted.replace("\\", "/").lower()]
    same = same or [name for name in offered if plain(name) in {plain(wanted), wanted.lower()}]
    same = same or [name for name in offered if name.replace("\\", "/").rpartition("/")[2].lower() == wanted.lower()]
    return same[0] if len(same) == 1 else None


def near(wanted: str, offered: tuple[str, ...]) -> tuple[str, ...]:
    """The offered names most like the one that is not there."""
    by_plain = {plain(name): name for name in offered}
    return tuple(by_plain[name] for name in nearest(plain(wanted), by_plain))


def _class(body: Mapping[str, Any]) -> NodeClass:
    inputs = _inputs(cast(Mapping[str, Mapping[str, Any]], body.get("input", {})))
    outputs = tuple(name if isinstance(name, str) else "COMBO" for name in body.get("output", ()))
    return NodeClass(
        inputs=inputs,
        outputs=outputs,
        is_output=bool(body.get("output_node")),
        module=str(body.get("python_module") or ""),
        paid=bool(body.get("api_node")) or str(body.get("category") or "").startswith(("api node", "partner/")),
    )


def _inputs(given: Mapping[str, Mapping[str, Any]]) -> dict[str, NodeInput]:
    return {
        name: _input(spec, required=presence == "required")
        for presence in ("required", "optional")
        for name, spec in (given.get(presence) or {}).items()
    }


def _input(spec: Any, *, required: bool) -> NodeInput:
    """Both spellings of a choice: [["a", "b"], {...}] and ["COMBO", {"options": [...]}]."""
    parts: list[Any] = cast("list[Any]", spec) if isinstance(spec, list) else [spec]
    kind: object = parts[0] if parts else "*"
    options = cast("Mapping[str, Any]", parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {})
    choices = _choices(options.get("options") if kind == "COMBO" else kind)
    return NodeInput(
        type="COMBO" if choices is not None else str(kind),
        required=required,
        choices=choices,
        default=options.get("default"),
        least=options.get("min"),
        most=options.get("max"),
        upload=any(options.get(sign) for sign in UPLOADS),
        forced=bool(options.get("forceInput")),
        widget=str(options.get("widgetType") or ""),
        control=bool(options.get("control_after_generate")),
        branches=_branches(options.get("options")) if kind == DYNAMIC else {},
    )


def _branches(listed: object) -> dict[str, Mapping[str, NodeInput]]:
    options = cast("list[Mapping[str, Any]]", listed if isinstance(listed, list) else [])
    return {str(one["key"]): _inputs(one.get("inputs") or {}) for one in options if "key" in one}


def _choices(listed: object) -> tuple[str, ...] | None:
    return tuple(str(choice) for choice in cast("list[Any]", listed)) if isinstance(listed, list) else None
