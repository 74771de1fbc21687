"""Control nets: which installed one follows this kind of structure with this family, and how it enters the graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workflows.drawing.grafting import needed, picture_of, put_behind, read_by, shown
from workflows.drawing.inventory import plain
from workflows.drawing.maps import facts, fit_map, with_map
from workflows.drawing.setup import Guide
from workflows.errors import EngineUnavailable

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.drawing.setup import Setup
    from workflows.families import Family
    from workflows.graph import Graph, Link
    from workflows.template import Template
    from workflows.types import Control, Recipe

WITH_VAE = frozenset({"sd3", "flux", "qwen"})
"""Lines whose nets read the map as latents, so that they need the VAE."""


def line_of(family: Family) -> str:
    """The family's line: the families that share its control nets and adapters. "" when none are known for it."""
    lines: Mapping[str, str] = facts()["lines"]
    return next((line for sign, line in lines.items() if family.kin.startswith(sign)), "")


# ------------------------------------------------------------------ fitting


def fit_control(role: str, control: Control, family: Family, inventory: Inventory) -> tuple[Guide, tuple[str, ...]]:
    """The net, its union type and the preprocessor for one control. Raises EngineUnavailable in words."""
    kind, line = control.kind, line_of(family)
    folder, net, notes = _net(kind, line, family, inventory)
    parts = {"control_net": net, "union_type": _union_type(net, kind, line, inventory)} | _way(folder, line, inventory)
    if parts.get("patch_node") and (control.start > 0 or control.end < 1):
        notes = (*notes, f"{net} works over all steps: start and end of the {kind} control have no effect.")
    if control.preprocess:
        parts |= fit_map(kind, inventory)
    return Guide(role=role, kind="model_patch" if "patch_node" in parts else "controlnet", parts=parts), notes


def _net(kind: str, line: str, family: Family, inventory: Inventory) -> tuple[str, str, tuple[str, ...]]:
    """Folder and file of the best net: made for the kind, a union, one of unknown family, the only one there is."""
    offered = {folder: inventory.loaders.get(folder, ()) for folder in ("controlnet", "model_patches")}
    for ours in dict.fromkeys((line, "")):
        for folder, names in offered.items():
            of_line = [name for name in names if _line_of_file(name) == ours]
            exact = [name for name in of_line if _names(name, kind) and not _union(name, line)]
            found = exact or [name for name in of_line if kind in _union(name, line)]
            if found:
                guess = f"{found[0]} does not say which models it is for; it was taken for {family.profile.title}."
                return folder, found[0], () if ours else (guess,)
    nets = offered["controlnet"]
    if len(nets) == 1 and not _line_of_file(nets[0]) and not _kinds(nets[0]):
        return "controlnet", nets[0], (f"{nets[0]} is the only control net here, so it was used for {kind}.",)
    raise EngineUnavailable(_missing(kind, line, family, [name for names in offered.values() for name in names]))


def _line_of_file(name: str) -> str:
    signs: Mapping[str, str] = facts()["signs"]
    whole = name.replace("\\", "/").lower()
    return next((line for line, sign in signs.items() if re.search(sign, whole)), "")


def _kinds(name: str) -> list[str]:
    kinds: Mapping[str, str] = facts()["kinds"]
    return [kind for kind, sign in kinds.items() if re.search(sign, plain(name))]


def _names(name: str, kind: str) -> bool:
    return kind in _kinds(name)


def _union(name: str, line: str) -> Mapping[str, str]:
    """The kinds that a union net knows, with its word for each; empty for a net that is none."""
    whole = name.replace("\\", "/").lower()
    entries: list[dict[str, Any]] = facts()["unions"]
    found = [entry["types"] for entry in entries if entry["line"] == line and re.search(entry["sign"], whole)]
    return found[0] if found else {}


def _union_type(net: str, kind: str, line: str, inventory: Inventory) -> str:
    """The choice of SetUnionControlNetType, as the server spells it; "" when the net needs none."""
    word = _union(net, line).get(kind, "")
    if not word:
        return ""
    needed(inventory, f"The union control net {net}", "SetUnionControlNetType")
    offered = [choice for choice in inventory.choices("SetUnionControlNetType", "type") if choice != "auto"]
    if word.isdigit():
        return offered[int(word)] if int(word) < len(offered) else "auto"
    return next((choice for choice in offered if word in choice.split("/")), "auto")


def _way(folder: str, line: str, inventory: Inventory) -> dict[str, str]:
    """The classes that load and apply it: conditioning is changed, or for a patch the model."""
    if folder == "controlnet":
        needed(inventory, "A control picture", "ControlNetLoader", "ControlNetApplyAdvanced", "ImageScale")
        return {"with_vae": "yes"} if line in WITH_VAE else {}
    node = "ZImageFunControlnet" if line == "z_image" and inventory.has("ZImageFunControlnet") else ""
    node = node or "QwenImageDiffsynthControlnet"
    needed(inventory, "This control net", "ModelPatchLoader", node)
    return {"patch_node": node}


def _missing(kind: str, line: str, family: Family, installed: list[str]) -> str:
    """Why there is no net, which one to get and where it goes, and what is there."""
    title = family.profile.title
    get: Mapping[str, str] = facts()["get"].get(line, {})
    file = get.get(kind) or get.get("any")
    reason = f"No control net for {kind} with {title} is installed on this ComfyUI"
    if file:
        advice = f"put {file} ({get['from']} on Hugging Face) into models/{get['folder']}"
    else:
        known = [one for one in facts()["kinds"] if one in get]
        advice = f"{title} has control nets for {', '.join(known)} only" if known else f"none is known for {title}"
        advice += "; use a Stable Diffusion XL or 1.5 model, or another control"
    return f"{reason}: {advice}. Installed: {shown(installed)}."


# ------------------------------------------------------------------ drafting


def with_control(graph: Graph, template: Template, recipe: Recipe, setup: Setup, guide: Guide) -> Graph:
    """The picture loaded, brought to the drawn size, made a map, and followed."""
    control = recipe.controls[int(guide.role.rpartition("_")[2]) - 1]
    width, height = _drawn(recipe, setup)
    graph = graph.plus(guide.role, "LoadImage", f"Control: {control.kind}", image=picture_of(setup, guide.role))
    scaled = f"{guide.role}_scaled"
    graph = graph.plus(
        scaled, "ImageScale", image=(guide.role, 0), upscale_method="lanczos", width=width, height=height, crop="center"
    )
    graph, image = with_map(graph, guide, (scaled, 0), min(width, height))
    graft = _with_patch if guide.kind == "model_patch" else _with_net
    return graft(graph, template, control, guide, image)


def _drawn(recipe: Recipe, setup: Setup) -> tuple[int, int]:
    profile = setup.family.profile
    return recipe.width or profile.width, recipe.height or profile.height


def _with_net(graph: Graph, template: Template, control: Control, guide: Guide, image: Link) -> Graph:
    net, apply = f"{guide.role}_net", f"{guide.role}_apply"
    graph = graph.plus(net, "ControlNetLoader", control_net_name=guide.parts["control_net"])
    if union_type := guide.parts.get("union_type"):
        graph = graph.plus(f"{net}_type", "SetUnionControlNetType", control_net=(net, 0), type=union_type)
        net = f"{net}_type"
    positive = read_by(graph, *template.ports["positive"])
    # A guider without a negative side still needs the node, which wants both; the second answer is then unread.
    negative = read_by(graph, *template.ports["negative"]) if "negative" in template.ports else positive
    coder: dict[str, Any] = {"vae": template.sources["vae"]} if "with_vae" in guide.parts else {}
    graph = graph.plus(
        apply,
        "ControlNetApplyAdvanced",
        positive=positive,
        negative=negative,
        control_net=(net, 0),
        image=image,
        strength=control.strength,
        start_percent=control.start,
        end_percent=control.end,
        **coder,
    )
    graph = put_behind(graph, positive, (apply, 0))
    return graph if negative == positive else put_behind(graph, negative, (apply, 1))


def _with_patch(graph: Graph, template: Template, control: Control, guide: Guide, image: Link) -> Graph:
    net, apply = f"{guide.role}_net", f"{guide.role}_apply"
    model = read_by(graph, *template.ports["model"])
    graph = graph.plus(net, "ModelPatchLoader", name=guide.parts["control_net"]).plus(
        apply,
        guide.parts["patch_node"],
        model=model,
        model_patch=(net, 0),
        vae=template.sources["vae"],
        image=image,
        strength=control.strength,
    )
    return put_behind(graph, model, (apply, 0))
