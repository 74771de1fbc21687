"""Reference pictures: by which way this model on this server takes up the look or the content of a picture.

Models that were trained to edit read the picture itself (Kontext, Flux.2, Qwen-Image-Edit); the others take its style
through an adapter (Redux, IP-Adapter).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from workflows.drawing.controls import line_of
from workflows.drawing.grafting import needed, packed, picture_of, put_behind, read_by, settings, shown, unpacked
from workflows.drawing.inventory import plain
from workflows.drawing.maps import facts
from workflows.drawing.setup import Guide
from workflows.errors import BadRecipe, EngineUnavailable

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.drawing.setup import Setup
    from workflows.families import Family
    from workflows.graph import Graph, Link
    from workflows.template import Template
    from workflows.types import Recipe, Reference

EDITORS = r"kontext|qwen.*edit|flux[-_. ]?2"
"""Signs of models that read pictures."""
ADAPTER_PACK = "ComfyUI_IPAdapter_plus (cubiq/ComfyUI_IPAdapter_plus)"


# ------------------------------------------------------------------ fitting


def fit_reference(
    role: str, reference: Reference, recipe: Recipe, family: Family, inventory: Inventory
) -> tuple[Guide, tuple[str, ...]]:
    """The way of one reference. Raises EngineUnavailable when this model has none here, BadRecipe for one too many."""
    line, name = line_of(family), f"{family.profile.name} {plain(recipe.model or '')}"
    editor = _editor(line, name)
    styler = {"flux": _redux, "sdxl": _adapter, "sd15": _adapter}.get(line)
    if editor and (reference.mode != "style" or not styler or not _styled(line, inventory)):
        guide = _fit_editor(role, editor, name, recipe, inventory)
        return guide, _editor_notes(reference, family)
    if styler and reference.mode != "edit":
        return Guide(role=role, kind="redux" if line == "flux" else "ip_adapter", parts=styler(line, inventory)), ()
    raise EngineUnavailable(_refusal(reference, family, inventory))


def _editor(line: str, name: str) -> str:
    """The way in which an editing model reads a picture; "" for other models."""
    if line == "flux2":
        return "flux2"
    if line == "flux" and "kontext" in name:
        return "kontext"
    return "qwen_edit" if line == "qwen" and "edit" in name else ""


def _styled(line: str, inventory: Inventory) -> bool:
    """Whether the server has the adapter of this line, whatever files it lacks."""
    return bool(_redux_model(inventory)) if line == "flux" else "IPAdapterUnifiedLoader" in inventory.classes


def _editor_notes(reference: Reference, family: Family) -> tuple[str, ...]:
    notes = [f"{family.profile.title} has no style adapter here; it reads the reference as a picture to edit."]
    strength = (
        f"{family.profile.title} reads a reference picture whole: its strength has no effect, say it in the prompt."
    )
    return tuple((notes if reference.mode == "style" else []) + ([strength] if reference.strength != 0.7 else []))


def _fit_editor(role: str, kind: str, name: str, recipe: Recipe, inventory: Inventory) -> Guide:
    if kind == "qwen_edit":
        return Guide(role=role, kind=kind, parts=_qwen_parts(name, len(recipe.references), inventory))
    scaler = "FluxKontextImageScale" if kind == "kontext" else "ImageScaleToTotalPixels"
    needed(inventory, "A reference picture with this model", scaler, "VAEEncode", "ReferenceLatent")
    told = {"upscale_method": "lanczos", "megapixels": 1.0} if kind == "flux2" else {}
    return Guide(
        role=role, kind=kind, parts={"scaler": scaler, "scaler_settings": packed(settings(inventory, scaler, **told))}
    )


def _qwen_parts(name: str, count: int, inventory: Inventory) -> dict[str, str]:
    """The first Qwen-Image-Edit was trained on one picture, those of 2509 and later on up to three."""
    several = bool(re.search(r"25\d\d|26\d\d|plus", name))
    most = 3 if several else 1
    if count > most:
        raise BadRecipe("reference", f"{count} pictures", f"this Qwen-Image-Edit takes {most} (2509 and 2511 take 3)")
    encoder = "TextEncodeQwenImageEditPlus" if several else "TextEncodeQwenImageEdit"
    needed(inventory, "Qwen-Image-Edit", encoder)
    methods = inventory.choices("FluxKontextMultiReferenceLatentMethod", "reference_latents_method")
    parts = {"encoder": encoder}
    # The 2511 model was trained with references at time zero; its official template sets it.
    return parts | ({"method": "index_timestep_zero"} if "2511" in name and "index_timestep_zero" in methods else {})


def _redux_model(inventory: Inventory) -> str | None:
    return next(
        (name for name in inventory.choices("StyleModelLoader", "style_model_name") if "redux" in plain(name)), None
    )


def _redux(line: str, inventory: Inventory) -> dict[str, str]:
    needed(
        inventory, "A style reference", "StyleModelLoader", "CLIPVisionLoader", "CLIPVisionEncode", "StyleModelApply"
    )
    model = _redux_model(inventory)
    offered = inventory.choices("CLIPVisionLoader", "clip_name")
    vision = next((name for name in offered if re.search("sigclip|siglip", plain(name))), None)
    lacking = {
        "flux1-redux-dev.safetensors (black-forest-labs/FLUX.1-Redux-dev) in models/style_models": model,
        "sigclip_vision_patch14_384.safetensors (Comfy-Org/sigclip_vision_384) in models/clip_vision": vision,
    }
    if model is None or vision is None:
        wanted = " and ".join(name for name, found in lacking.items() if found is None)
        raise EngineUnavailable(
            f"A style reference with Flux.1 needs {wanted}, from Hugging Face; installed there: "
            f"{shown((*inventory.choices('StyleModelLoader', 'style_model_name'), *offered))}."
        )
    applied = settings(inventory, "StyleModelApply", strength_type="multiply")
    return {"style_model": model, "clip_vision": vision, "applied_settings": packed(applied)}


def _adapter(line: str, inventory: Inventory) -> dict[str, str]:
    """IP-Adapter's loader finds its files by preset; the first preset is taken whose files are there."""
    apply = next((name for name in ("IPAdapterAdvanced", "IPAdapter") if name in inventory.classes), None)
    if apply is None or "IPAdapterUnifiedLoader" not in inventory.classes:
        raise EngineUnavailable(
            f"A reference picture with this model needs the node pack {ADAPTER_PACK} and {_adapter_files(line)}; "
            f"or use a model that reads pictures itself. {_installed_editors(inventory)}"
        )
    offered = inventory.choices("IPAdapterUnifiedLoader", "preset")
    known = [entry for entry in facts()["adapters"] if entry["line"] == line and entry["preset"] in offered]
    ready = [entry["preset"] for entry in known if _has_files(entry, inventory)]
    if not ready:
        raise EngineUnavailable(
            f"The node pack {ADAPTER_PACK} is installed, but not what it reads: {_adapter_files(line)}. Installed: "
            f"{shown((*inventory.folder('ipadapter'), *inventory.choices('CLIPVisionLoader', 'clip_name')))}."
        )
    return {"preset": ready[0], "apply": apply, "apply_settings": packed(settings(inventory, apply))}


def _adapter_files(line: str) -> str:
    adapter = "ip-adapter-plus_sdxl_vit-h.safetensors" if line == "sdxl" else "ip-adapter-plus_sd15.safetensors"
    return (
        f"{adapter} in models/ipadapter with CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors in models/clip_vision "
        "(both h94/IP-Adapter on Hugging Face)"
    )


def _has_files(entry: dict[str, str], inventory: Inventory) -> bool:
    """Whether adapter and vision model are there, as far as the server lists their folders."""
    adapters = inventory.files.get("ipadapter")
    there = adapters is None or any(re.search(entry["adapter"], name, re.IGNORECASE) for name in adapters)
    visions = inventory.choices("CLIPVisionLoader", "clip_name")
    return there and any(re.search(entry["vision"], name, re.IGNORECASE) for name in visions)


def _installed_editors(inventory: Inventory) -> str:
    names = (*inventory.loaders.get("diffusion_models", ()), *inventory.loaders.get("checkpoints", ()))
    found = [name for name in names if re.search(EDITORS, plain(name))]
    return (
        f"Such models here: {shown(found)}."
        if found
        else "None is installed (Flux.1 Kontext, Flux.2, Qwen-Image-Edit)."
    )


def _refusal(reference: Reference, family: Family, inventory: Inventory) -> str:
    title, editors = family.profile.title, _installed_editors(inventory)
    if reference.mode == "edit":
        return f"{title} cannot edit a reference picture: use mode=style or img2img, or a model that can. {editors}"
    return f"{title} takes no reference picture here: use img2img, or a model that reads pictures. {editors}"


# ------------------------------------------------------------------ drafting


def with_reference(graph: Graph, template: Template, recipe: Recipe, setup: Setup, guide: Guide) -> Graph:
    """The picture loaded and read in the guide's way."""
    reference = recipe.references[int(guide.role.rpartition("_")[2]) - 1]
    graph = graph.plus(guide.role, "LoadImage", "Reference", image=picture_of(setup, guide.role))
    if guide.kind == "redux":
        return _with_redux(graph, template, reference, guide)
    if guide.kind == "ip_adapter":
        return _with_adapter(graph, template, reference, guide)
    if guide.kind == "qwen_edit":
        return _with_encoders(graph, template, guide)
    return _with_latent(graph, template, guide)


def _with_redux(graph: Graph, template: Template, reference: Reference, guide: Guide) -> Graph:
    role, positive = guide.role, read_by(graph, *template.ports["positive"])
    graph = graph.plus(f"{role}_vision", "CLIPVisionLoader", clip_name=guide.parts["clip_vision"])
    graph = graph.plus(f"{role}_style", "StyleModelLoader", style_model_name=guide.parts["style_model"])
    graph = graph.plus(
        f"{role}_seen", "CLIPVisionEncode", clip_vision=(f"{role}_vision", 0), image=(role, 0), crop="none"
    )
    told: dict[str, Any] = unpacked(guide.parts, "applied_settings") | {"strength": reference.strength}
    graph = graph.plus(
        f"{role}_apply",
        "StyleModelApply",
        conditioning=positive,
        style_model=(f"{role}_style", 0),
        clip_vision_output=(f"{role}_seen", 0),
        **told,
    )
    return put_behind(graph, positive, (f"{role}_apply", 0))


def _with_adapter(graph: Graph, template: Template, reference: Reference, guide: Guide) -> Graph:
    """One loader serves all references; it passes the model on."""
    loader, apply = "ip_adapter", f"{guide.role}_apply"
    if loader not in graph:
        model = read_by(graph, *template.ports["model"])
        graph = graph.plus(loader, "IPAdapterUnifiedLoader", model=model, preset=guide.parts["preset"])
        graph = put_behind(graph, model, (loader, 0))
    model = read_by(graph, *template.ports["model"])
    told: dict[str, Any] = unpacked(guide.parts, "apply_settings") | {"weight": reference.strength}
    if reference.mode == "style":
        told["weight_type"] = "style transfer"
    graph = graph.plus(apply, guide.parts["apply"], model=model, ipadapter=(loader, 1), image=(guide.role, 0), **told)
    return put_behind(graph, model, (apply, 0))


def _with_latent(graph: Graph, template: Template, guide: Guide) -> Graph:
    """Encoded and added to both sides, so that guidance pulls on the words and not on the picture."""
    role, parts = guide.role, guide.parts
    graph = graph.plus(f"{role}_scaled", parts["scaler"], image=(role, 0), **unpacked(parts, "scaler_settings"))
    graph = graph.plus(f"{role}_latent", "VAEEncode", pixels=(f"{role}_scaled", 0), vae=template.sources["vae"])
    sides = ("positive", "negative") if guide.kind == "flux2" else ("positive",)
    for side in (one for one in sides if one in template.ports):
        read, name = read_by(graph, *template.ports[side]), f"{role}_{side}"
        graph = graph.plus(name, "ReferenceLatent", conditioning=read, latent=(f"{role}_latent", 0))
        graph = put_behind(graph, read, (name, 0))
    return graph


def _with_encoders(graph: Graph, template: Template, guide: Guide) -> Graph:
    """The text encoders give way to the ones that read pictures; a further picture joins them."""
    encoder, plus = guide.parts["encoder"], guide.parts["encoder"].endswith("Plus")
    number = guide.role.rpartition("_")[2]
    picture: dict[str, Link] = {f"image{number}" if plus else "image": (guide.role, 0)}
    for side in ("positive", "negative"):
        for node, field in template.slots.get(side, ()):
            if graph[node].class_type == encoder:
                graph = graph.but(node, **picture)
                continue
            told: dict[str, Any] = {"prompt": graph[node].inputs[field], "clip": read_by(graph, node, "clip")}
            graph = graph.swapped(node, encoder, **told, vae=template.sources["vae"], **picture)
    if (method := guide.parts.get("method")) and guide.role == "reference_1":
        graph = _with_method(graph, template, method)
    return graph


def _with_method(graph: Graph, template: Template, method: str) -> Graph:
    for side in ("positive", "negative"):
        if side in template.ports:
            read, name = read_by(graph, *template.ports[side]), f"{side}_method"
            told: dict[str, Any] = {"conditioning": read, "reference_latents_method": method}
            graph = graph.plus(name, "FluxKontextMultiReferenceLatentMethod", **told)
            graph = put_behind(graph, read, (name, 0))
    return graph
