"""Faces drawn or restored anew in a picture that is there: by Impact Pack's detailer, by a restoration network, or with
ComfyUI's own nodes (a face mask and a light inpaint).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workflows.drawing.grafting import (
    drawn_plainly,
    packed,
    picture_of,
    put_behind,
    read_by,
    settings,
    stretched,
    unpacked,
)
from workflows.drawing.inventory import plain
from workflows.drawing.picture_tools import RESTORERS, drawn_way, fit_way, lacking
from workflows.drawing.setup import Setup
from workflows.errors import EngineError, EngineUnavailable
from workflows.families import family
from workflows.sizes import MIN_EDGE
from workflows.template import template

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.graph import Graph
    from workflows.types import Recipe

STRENGTH = 0.8
"""The tool's own default."""
PROMPT = "a detailed, natural face, sharp eyes"
DETAILER = ("FaceDetailer", "UltralyticsDetectorProvider")
LANDMARKS = ("LoadMediaPipeFaceLandmarker", "MediaPipeFaceLandmarker", "MediaPipeFaceMask")
GROWTH = 24
"""Pixels by which the mask of a face grows, so that hair and chin are drawn with it; half of them fade."""
FACES = 16
"""As many faces as ComfyUI's landmarker finds at most."""


def strength_of(recipe: Recipe) -> float:
    return STRENGTH if recipe.strength is None else recipe.strength


def denoise_of(recipe: Recipe) -> float:
    """Half of the strength: at 0.5 the face is a new one, below 0.1 nothing changes."""
    return max(0.1, round(strength_of(recipe) / 2, 3))


# ------------------------------------------------------------------ fitting


def fit_faces(recipe: Recipe, inventory: Inventory) -> Setup:
    """The detailer, else a restoration network, else ComfyUI's own. Raises EngineUnavailable when there is none."""
    found = [fit(recipe, inventory) for fit in (_by_detailer, _by_network, _by_landmarks)]
    setup = next((one for one in found if one is not None), None)
    if setup is None:
        raise EngineUnavailable(_missing(inventory))
    return setup


def _missing(inventory: Inventory) -> str:
    ways = [lacking(RESTORERS, inventory)]
    if inventory.has("FaceDetailer"):
        ways.append(
            "or FaceDetailer, which is installed, with UltralyticsDetectorProvider (ltdrdata/ComfyUI-Impact-Subpack), "
            "face_yolov8m.pt (Bingsu/adetailer on Hugging Face) in models/ultralytics/bbox, and a checkpoint"
        )
    if inventory.has(*LANDMARKS):
        ways.append(
            "or ComfyUI's own MediaPipe nodes, which are there, with mediapipe_face_fp32.safetensors "
            "(Comfy-Org/mediapipe on Hugging Face) in models/detection and a checkpoint"
        )
    return f"Faces cannot be restored on this ComfyUI: {', '.join(ways)}."


def _by_detailer(recipe: Recipe, inventory: Inventory) -> Setup | None:
    detectors = [name for name in inventory.choices(DETAILER[1], "model_name") if "face" in name.lower()]
    base = _base(recipe, inventory) if detectors and inventory.has(*DETAILER) else None
    if base is None or not {"positive", "negative"} <= set(base.template.ports) or not drawn_plainly(base.template):
        return None
    detector = next((name for name in detectors if name.replace("\\", "/").startswith("bbox/")), detectors[0])
    parts = {"faces": "detailer", "detector": detector, "detailer_settings": packed(settings(inventory, DETAILER[0]))}
    return replace(base, finish={**base.finish, **parts})


def _base(recipe: Recipe, inventory: Inventory) -> Setup | None:
    """The model that draws faces; None when no model here can."""
    # workflows.drawing.fitting asks this module for wordless tasks, so it is met here and not at the top.
    from workflows.drawing.fitting import fit

    try:
        return fit(_drawing(recipe), inventory)
    except EngineError:
        return None


def _drawing(recipe: Recipe, **size: int) -> Recipe:
    words = {"prompt": recipe.prompt or PROMPT, "count": 1, "strength": None, "transparent": False, "hires": False}
    return recipe.but(
        task="img2img", denoise=denoise_of(recipe), aspect=None, **{"width": None, "height": None} | size | words
    )


def _by_network(recipe: Recipe, inventory: Inventory) -> Setup | None:
    """CodeFormer weighs between what it draws (0) and what it was given (1); the others take no such weight."""
    kept = round(1 - strength_of(recipe), 3)
    told = {
        "face_restore_codeformer": {"faces": {"codeformer_fidelity": kept}},
        "face_restore_reactor": {"faces": {"codeformer_weight": kept}},
    }
    parts = fit_way([replace(way, told=told[way.template]) for way in RESTORERS], inventory)
    if parts is None:
        return None
    weighed = "codeformer" in parts["model"].lower()
    notes = () if weighed else (f"{parts['model']} restores faces wholly: strength has no effect.",)
    return Setup(
        template=template(parts["template"]),
        family=family("unknown"),
        model=parts["model"],
        finish={"faces": "network"} | parts,
        notes=notes,
    )


def _by_landmarks(recipe: Recipe, inventory: Inventory) -> Setup | None:
    # The folder holds detectors of other things as well.
    offered = [name for name in inventory.choices(LANDMARKS[0], "model_name") if "face" in plain(name)]
    base = _base(recipe, inventory) if offered and inventory.has(*LANDMARKS) else None
    if base is None:
        return None
    found = settings(inventory, LANDMARKS[1], num_faces=FACES, detector_variant="both")
    parts = {"faces": "landmarks", "landmarker": offered[0], "found_settings": packed(found)}
    return replace(base, finish={**base.finish, **parts})


# ------------------------------------------------------------------ drafting


def draft_faces(recipe: Recipe, setup: Setup) -> Graph:
    """The whole picture again, of its own size, with other faces."""
    if setup.finish["faces"] == "network":
        return drawn_way(setup.finish, {"source": picture_of(setup, "source"), "prefix": setup.prefix})
    return _detailed(recipe, setup) if setup.finish["faces"] == "detailer" else _masked(recipe, setup)


def _detailed(recipe: Recipe, setup: Setup) -> Graph:
    """The detailer reads what the sampler would have read, and the picture as it is."""
    from workflows.drawing.drafting import draft

    graph, save = draft(_drawing(recipe), setup), setup.template.output
    sampler = setup.template.ports["latent"][0]
    graph = graph.plus("detector", DETAILER[1], "Face detector", model_name=setup.finish["detector"])
    edge = setup.family.profile.width
    own = {"guide_size": edge, "max_size": max(1024, edge)}
    told: dict[str, Any] = unpacked(setup.finish, "detailer_settings") | own
    told |= {name: value for name, value in graph[sampler].inputs.items() if name in told}
    reads = {name: read_by(graph, *setup.template.ports[name]) for name in ("model", "positive", "negative")}
    reads |= {name: setup.template.sources[name] for name in ("clip", "vae")}
    source = next(graph.of_class("LoadImage"))
    graph = graph.plus("faces", DETAILER[0], "Faces", image=(source, 0), bbox_detector=("detector", 0), **told | reads)
    return graph.but(save, images=("faces", 0)).trimmed(save)


def _masked(recipe: Recipe, setup: Setup) -> Graph:
    """Only what the face mask covers is drawn anew; everything else stays the source, pixel by pixel."""
    from workflows.drawing.drafting import draft

    size: tuple[int, int] | None = setup.facts.get("source_size")
    graph = stretched(draft(_drawing(recipe, **(_drawn(size, setup) if size else {})), setup))
    graph = _with_face_mask(graph, setup)
    graph = _inside_the_mask(graph, setup)
    return _pasted(graph, setup, size)


def _drawn(size: tuple[int, int], setup: Setup) -> dict[str, int]:
    """The source's shape in the family's multiples: never less than its own area, never a longer edge than it draws."""
    profile, multiple = setup.family.profile, setup.family.profile.multiple
    native = math.sqrt(profile.width * profile.height / math.prod(size))
    share = min(max(1.0, native), setup.family.largest / max(size))
    width, height = (max(MIN_EDGE, round(edge * share / multiple) * multiple) for edge in size)
    return {"width": width, "height": height}


def _with_face_mask(graph: Graph, setup: Setup) -> Graph:
    source = next(graph.of_class("LoadImage"))
    graph = graph.plus("landmarker", LANDMARKS[0], "Face landmarker", model_name=setup.finish["landmarker"])
    told = unpacked(setup.finish, "found_settings")
    graph = graph.plus("landmarks", LANDMARKS[1], face_detection_model=("landmarker", 0), image=(source, 0), **told)
    graph = graph.plus("face_mask", LANDMARKS[2], face_landmarks=("landmarks", 0), regions="all")
    grown: dict[str, Any] = {"expand": GROWTH, "tapered_corners": True}
    graph = graph.plus("grown_mask", "GrowMask", mask=("face_mask", 0), **grown)
    graph = graph.plus("hard_edge", "MaskToImage", mask=("grown_mask", 0))
    graph = graph.plus("soft_edge", "ImageBlur", image=("hard_edge", 0), blur_radius=GROWTH // 2, sigma=GROWTH / 4)
    return graph.plus("faces", "ImageToMask", image=("soft_edge", 0), channel="red")


def _inside_the_mask(graph: Graph, setup: Setup) -> Graph:
    """Noise under the mask alone; the model blends at its border."""
    encoded = next(graph.of_class("VAEEncode", "VAEEncodeTiled"))
    graph = graph.plus("masked", "SetLatentNoiseMask", samples=(encoded, 0), mask=("faces", 0))
    graph = put_behind(graph, (encoded, 0), ("masked", 0))
    model = read_by(graph, *setup.template.ports["model"])
    graph = graph.plus("soft_mask", "DifferentialDiffusion", model=model)
    return put_behind(graph, model, ("soft_mask", 0))


def _pasted(graph: Graph, setup: Setup, size: tuple[int, int] | None) -> Graph:
    source, save = next(graph.of_class("LoadImage")), setup.template.output
    drawn = read_by(graph, save, "images")
    if size is not None:
        how: dict[str, Any] = {"upscale_method": "lanczos", "width": size[0], "height": size[1], "crop": "disabled"}
        graph = graph.plus("own_size", "ImageScale", "The source's size", image=drawn, **how)
        drawn = ("own_size", 0)
    mixed: dict[str, Any] = {"x": 0, "y": 0, "resize_source": False, "mask": ("faces", 0)}
    graph = graph.plus("pasted", "ImageCompositeMasked", "Pasted", destination=(source, 0), source=drawn, **mixed)
    return graph.but(save, images=("pasted", 0))
