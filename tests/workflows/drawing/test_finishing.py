"""What is done to pictures (transparency, enlarging, faces, backgrounds, masks by words): chosen, drawn and refused."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.workflows.drawing.golden import golden
from tests.workflows.drawing.guide_kit import MODELS, server
from workflows.drawing import finishing
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft
from workflows.drawing.fitting import fit
from workflows.drawing.inventory import Inventory, NodeClass
from workflows.drawing.setup import Setup, Thrift
from workflows.drawing.upscaling import factor_of
from workflows.errors import BadRecipe, EngineUnavailable, NotFound
from workflows.graph import Graph
from workflows.types import Recipe

SD15, SDXL, _ = MODELS["checkpoints"]
FLUX2 = "flux2_dev_fp8mixed.safetensors"
LAYERS = ("LayeredDiffusionApply", "LayeredDiffusionDecodeRGBA")
BIREFNET = {"background_removal": ["lucida.safetensors", "birefnet.safetensors"]}
ESRGAN = {"upscale_models": ["RealESRGAN_x4plus_anime_6B.pth", "4x-UltraSharp.pth", "RealESRGAN_x2plus.pth"]}
DETAILER = ("FaceDetailer", "UltralyticsDetectorProvider")
FACES = {"UltralyticsDetectorProvider.model_name": ["bbox/hand_yolov8s.pt", "bbox/face_yolov8m.pt"]}
LANDMARKER = {"LoadMediaPipeFaceLandmarker.model_name": ["rtdetr.safetensors", "mediapipe_face_fp32.safetensors"]}
CODEFORMER = {"FaceRestoreModelLoader.model_name": ["GFPGANv1.4.pth", "codeformer.pth"]}
REACTOR = {"ReActorRestoreFace.model": ["none", "GFPGANv1.4.pth"]}
DINO = (
    "SAMModelLoader (segment anything)",
    "GroundingDinoModelLoader (segment anything)",
    "GroundingDinoSAMSegment (segment anything)",
)

Case = tuple[Mapping[str, Any], Sequence[str], Mapping[str, Sequence[str]]]
"""What the recipe asks, classes of node packs, files."""
DRAWN: dict[str, Case] = {
    "layer diffuse sdxl": ({"model": SDXL, "transparent": True}, LAYERS, {}),
    "layer diffuse sd15": (
        {"model": SD15, "transparent": True, "hires": True, "width": 1024, "height": 1024},
        LAYERS,
        {},
    ),
    "cut out": ({"model": SDXL, "transparent": True}, (), BIREFNET),
    "cut out, edges no multiples of 64": ({"model": SDXL, "transparent": True, "height": 520}, LAYERS, BIREFNET),
    "cut out by a pack": ({"model": FLUX2, "transparent": True, "height": 512}, ("RMBG",), {}),
}
EDITS: dict[str, Case] = {
    "upscale x4": ({"task": "upscale", "scale": 4.0}, (), ESRGAN),
    "upscale x8": ({"task": "upscale", "scale": 8.0}, (), ESRGAN),
    "upscale x2 named": ({"task": "upscale", "scale": 2.0, "model": "realesrgan_x2plus"}, (), ESRGAN),
    "redrawn in tiles": ({"task": "upscale", "scale": 4.0, "method": "diffusion", "model": SD15}, (), {}),
    "redrawn small": ({"task": "upscale", "scale": 1.5, "method": "diffusion", "model": SD15}, (), ESRGAN),
    "redrawn by flux2": (
        {"task": "upscale", "scale": 4.0, "method": "diffusion", "model": FLUX2},
        ("UltimateSDUpscaleNoUpscale",),
        {},
    ),
    "redrawn by a pack": (
        {"task": "upscale", "scale": 4.0, "method": "diffusion", "model": SDXL, "prompt": "a fox", "denoise": 0.2},
        ("UltimateSDUpscaleNoUpscale",),
        ESRGAN,
    ),
    "faces detailed": ({"task": "face_restore", "strength": 0.6, "model": SDXL}, DETAILER, FACES),
    "faces by codeformer": (
        {"task": "face_restore", "strength": 0.6},
        ("FaceRestoreModelLoader", "FaceRestoreCFWithModel"),
        CODEFORMER,
    ),
    "faces by reactor": ({"task": "face_restore"}, ("ReActorRestoreFace",), REACTOR),
    "faces of its own": ({"task": "face_restore", "model": SDXL}, (), LANDMARKER),
    "background": ({"task": "remove_background"}, (), BIREFNET),
    "background by rmbg": ({"task": "remove_background"}, ("RMBG", "InspyrenetRembg"), {}),
    "background by birefnet": ({"task": "remove_background"}, ("BiRefNetRMBG",), {}),
    "background by inspyrenet": ({"task": "remove_background"}, ("InspyrenetRembg",), {}),
    "background by rembg": ({"task": "remove_background"}, ("Image Remove Background (rembg)",), {}),
}
FINDERS: dict[str, Case] = {
    "sam3": ({}, DINO, {"checkpoints": [SD15, "sam3.1_multiplex_fp16.safetensors"]}),
    "dino": ({}, DINO, {}),
    "sam3 of a pack": ({}, ("SAM3Segment", "SegmentV2"), {}),
    "dino of a pack": ({}, ("SegmentV2",), {}),
    "clipseg": ({}, ("CLIPSeg",), {}),
}
SOURCE = (301, 200)


def recipe_of(asked: Mapping[str, Any]) -> Recipe:
    words: dict[str, Any] = {} if "task" in asked else {"prompt": "a red fox", "width": 768, "height": 512}
    words |= {"seed": 7, "steps": 10, **asked}
    return Recipe(**words)


def drafted(
    case: Case, era: str = "b", thrift: Thrift | None = None, source: tuple[int, int] = SOURCE
) -> tuple[Setup, Graph, list[Any]]:
    asked, packs, files = case
    inventory = server(era, packs, {**MODELS, **files})
    if asked:
        recipe = recipe_of(asked)
        setup, drawn = fit(recipe, inventory, thrift=thrift or Thrift()), draft
    else:
        recipe = Recipe(task="inpaint", prompt="x", mask_text="the hat, shoes")
        setup, drawn = finishing.fit_mask_finder(inventory), finishing.draft_mask
    facts = {**setup.facts, "source_size": source}
    setup = replace(setup, pictures={"source": "atelier/source.png"}, facts=facts)
    graph = drawn(recipe, setup)
    return setup, graph, problems(graph, inventory)


@pytest.mark.parametrize(
    ("name", "cases"), [("finish_drawn", DRAWN), ("finish_edits", EDITS), ("finish_masks", FINDERS)]
)
def test_finishing_drafts_the_graphs_that_were_looked_at(name: str, cases: dict[str, Case]) -> None:
    graphs = {label: drafted(case)[1].as_prompt() for label, case in cases.items()}
    assert golden(name, graphs) == graphs


@pytest.mark.parametrize("case", [*DRAWN.values(), *EDITS.values(), *FINDERS.values()], ids=[*DRAWN, *EDITS, *FINDERS])
def test_a_finishing_graph_has_no_problem_and_one_output(case: Case) -> None:
    _, graph, found = drafted(case)
    assert (found, [graph[name].class_type for name in graph.ends()]) == ([], ["SaveImage"])


@pytest.mark.parametrize("label", ["upscale x4", "redrawn by a pack", "faces detailed", "faces by codeformer"])
def test_an_older_comfyui_does_the_same_edits(label: str) -> None:
    _, graph, found = drafted(EDITS[label], era="a")
    assert (graph.as_prompt(), found) == (drafted(EDITS[label])[1].as_prompt(), [])


# ------------------------------------------------------------------ sizes


def saved_size(graph: Graph) -> tuple[int, int]:
    """Of the node that gives the saved picture its size, looking back from the end."""
    name = "save"
    while "width" not in graph[name].inputs and "final_width" not in graph[name].inputs:
        inputs = graph[name].inputs
        field = next(
            field for field in ("images", "image", "image_list", "samples", "latent_image", "pixels") if field in inputs
        )
        name = (graph.link(name, field) or ("", 0))[0]
    inputs = graph[name].inputs
    return inputs.get("width", inputs.get("final_width")), inputs.get("height", inputs.get("final_height"))


@pytest.mark.parametrize("scale", [1.5, 2.0, 3.0, 4.0, 7.3])
def test_an_upscale_by_model_is_exactly_the_source_times_the_scale(scale: float) -> None:
    _, graph, _ = drafted(({"task": "upscale", "scale": scale}, (), ESRGAN))
    assert saved_size(graph) == (round(301 * scale), round(200 * scale))


@pytest.mark.parametrize("packs", [(), ("UltimateSDUpscaleNoUpscale",)])
@pytest.mark.parametrize("era", ["a", "b"])
@pytest.mark.parametrize("thrift", [Thrift(), Thrift(tiled=True, shrink=0.5)], ids=["plain", "thrifty"])
def test_a_redrawn_upscale_is_exactly_the_source_times_the_scale(
    era: str, packs: Sequence[str], thrift: Thrift
) -> None:
    asked = {"task": "upscale", "scale": 5.0, "method": "diffusion", "model": SDXL}
    _, graph, found = drafted((asked, packs, {}), era, thrift)
    assert (saved_size(graph), found) == ((1505, 1000), [])


def test_tiles_are_merged_at_the_size_at_which_they_were_drawn() -> None:
    asked = {"task": "upscale", "scale": 6.0, "method": "diffusion", "model": SDXL}
    _, graph, _ = drafted((asked, (), {}), thrift=Thrift(shrink=0.8))
    drawn = {field: graph["source_size"].inputs[field] for field in ("width", "height")}
    merged = graph["merged"].inputs
    assert drawn == {"width": merged["final_width"], "height": merged["final_height"]}
    assert graph["tiles"].inputs["tile_width"] == 1024


def test_without_tiles_the_picture_is_encoded_in_tiles_and_the_user_is_told() -> None:
    asked = {"task": "upscale", "scale": 4.0, "method": "diffusion", "model": SD15}
    setup, graph, found = drafted((asked, (), {}), era="a")
    coders = [graph[name].class_type for name in graph.of_class("VAEEncodeTiled", "VAEDecodeTiled")]
    assert (sorted(coders), found) == (["VAEDecodeTiled", "VAEEncodeTiled"], [])
    assert any("cannot draw in tiles" in note for note in setup.notes)


def test_tiles_of_a_pack_are_brought_to_the_exact_size_since_it_rounds() -> None:
    _, graph, _ = drafted(EDITS["redrawn by a pack"], source=(256, 256))
    assert (graph.link("save", "images"), saved_size(graph)) == (("exact", 0), (1024, 1024))


def test_one_picture_is_enlarged_once_whatever_the_count() -> None:
    asked = {"task": "upscale", "scale": 2.0, "method": "diffusion", "model": SD15, "count": 3}
    _, graph, _ = drafted((asked, (), {}))
    assert list(graph.of_class("RepeatLatentBatch")) == []


@pytest.mark.parametrize(("source", "size"), [((6000, 3000), (2048, 1024)), ((512, 256), (1448, 728))])
def test_faces_are_drawn_no_smaller_than_the_model_likes_and_no_larger(
    source: tuple[int, int], size: tuple[int, int]
) -> None:
    _, graph, _ = drafted(EDITS["faces of its own"], source=source)
    drawn, own = graph["source_size"].inputs, graph["own_size"].inputs
    assert (drawn["width"], drawn["height"], own["width"], own["height"]) == (*size, *source)


def test_a_scale_beyond_what_can_be_made_names_one_that_can() -> None:
    with pytest.raises(BadRecipe) as drawn:
        large(8.0, "diffusion", (1000, 500))
    with pytest.raises(BadRecipe) as model:
        large(8.0, "model", (4096, 64))
    assert str(drawn.value) == (
        "scale cannot be 8.0: 8000x4000 is too large, diffusion makes edges of at most 4096: a scale of 4.09 is "
        "possible."
    )
    assert str(model.value) == (
        "scale cannot be 8.0: 32768x512 is too large, ComfyUI makes edges of at most 16384: a scale of 4 is possible."
    )


def large(scale: float, method: str, size: tuple[int, int]) -> Graph:
    recipe = recipe_of(
        {"task": "upscale", "scale": scale, "method": method} | ({"model": SD15} if method == "diffusion" else {})
    )
    setup = fit(recipe, server(files={**MODELS, **ESRGAN}))
    return draft(recipe, replace(setup, facts={"source_size": size}))


# ------------------------------------------------------------------ choices


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("4x-UltraSharp.pth", 4),
        ("RealESRGAN_x2plus.pth", 2),
        ("random-2x-esrgan.safetensors", 2),
        ("1xDeNoise_realplksr.pth", 1),
        ("8x_NMKD-Superscale.pth", 8),
        ("esrgan\\4x_foolhardy_Remacri.pth", 4),
        ("4xNomos2_hq_dat2.safetensors", 4),
        ("BSRGAN.pth", 0),
        ("swinir_14x14.pth", 0),
    ],
)
def test_how_much_an_upscale_model_enlarges_is_told_by_its_name(name: str, factor: int) -> None:
    assert factor_of(name) == factor


@pytest.mark.parametrize(
    ("asked", "files", "chosen"),
    [
        ({"scale": 4.0}, ESRGAN, "4x-UltraSharp.pth"),
        (
            {"scale": 2.0},
            {"upscale_models": ["RealESRGAN_x4plus.pth", "RealESRGAN_x2plus.pth"]},
            "RealESRGAN_x2plus.pth",
        ),
        ({"scale": 2.0}, {"upscale_models": ["RealESRGAN_x4plus_anime_6B.pth", "mine.pth"]}, "mine.pth"),
        ({"method": "model", "model": "RealESRGAN_x2plus"}, ESRGAN, "RealESRGAN_x2plus.pth"),
        ({"model": SDXL}, ESRGAN, SDXL),
        ({}, {"upscale_models": []}, SD15),
    ],
)
def test_an_upscale_takes_the_model_that_suits(
    asked: Mapping[str, Any], files: dict[str, list[str]], chosen: str
) -> None:
    setup = fit(Recipe(task="upscale", **asked), server(files={**MODELS, **files}))
    assert setup.model == chosen


def test_a_model_that_does_not_say_how_much_it_enlarges_is_noted() -> None:
    setup = fit(Recipe(task="upscale"), server(files={"upscale_models": ["mine.pth"]}))
    assert setup.notes == ("mine.pth does not say how much it enlarges; it was taken for a fourfold one.",)


def test_faces_take_the_detailer_then_a_network_then_comfyuis_own() -> None:
    network = ("FaceRestoreModelLoader", "FaceRestoreCFWithModel")
    files = {**MODELS, **FACES, **CODEFORMER, **LANDMARKER}

    def chosen(*packs: str, without: tuple[str, ...] = ()) -> str:
        there = {
            key: names for key, names in files.items() if key not in without and key.split(".")[0] in {*packs, *OWN}
        }
        return fit(Recipe(task="face_restore"), server("b", packs, there)).finish["faces"]

    assert [chosen(*DETAILER, *network), chosen(*network), chosen()] == ["detailer", "network", "landmarks"]
    assert chosen(*DETAILER, *network, without=("UltralyticsDetectorProvider.model_name",)) == "network"


OWN = {"checkpoints", "diffusion_models", "LoadMediaPipeFaceLandmarker"}


def test_a_model_that_samples_in_another_way_is_not_given_to_the_detailer() -> None:
    files = {**MODELS, **FACES, **LANDMARKER}
    klein = Recipe(task="face_restore", model="flux-2-klein-base-4b.safetensors")
    assert fit(klein, server("b", DETAILER, files)).finish["faces"] == "landmarks"


def test_an_older_layer_diffuse_is_told_only_what_it_knows() -> None:
    inventory = server("b", LAYERS, MODELS)
    older = {name: _without(inventory, name, "config", "sd_version") for name in LAYERS}
    known = replace(inventory, classes={**inventory.classes, **older})
    parts, _ = finishing.fit_finish(
        Recipe(prompt="x", transparent=True), fit(Recipe(prompt="x", model=SDXL), known).family, known
    )
    assert parts == {
        "transparent": "layer_diffuse",
        "apply_settings": '{"weight": 1.0}',
        "decode_settings": '{"sub_batch_size": 16}',
    }


def _without(inventory: Inventory, name: str, *fields: str) -> NodeClass:
    known = inventory.classes[name]
    return replace(known, inputs={field: given for field, given in known.inputs.items() if field not in fields})


def test_strength_becomes_what_each_way_of_restoring_takes() -> None:
    strong, weak = ({"task": "face_restore", "strength": strength} for strength in (1.0, 0.0))
    detailed = [drafted(({**asked, "model": SDXL}, DETAILER, FACES))[1]["faces"].inputs for asked in (strong, weak)]
    network = ("FaceRestoreModelLoader", "FaceRestoreCFWithModel")
    restored = [drafted((asked, network, CODEFORMER))[1]["faces"].inputs for asked in (strong, weak)]
    assert [inputs["denoise"] for inputs in detailed] == [0.5, 0.1]
    assert [inputs["codeformer_fidelity"] for inputs in restored] == [0.0, 1.0]
    assert drafted(EDITS["faces by reactor"])[0].notes == (
        "GFPGANv1.4.pth restores faces wholly: strength has no effect.",
    )


def test_a_background_is_what_becomes_transparent() -> None:
    """The removal gives the foreground, and joining with alpha takes what is to be clear: one inversion between "
    "them."""
    graph = drafted(EDITS["background"])[1]
    assert graph["remover"].inputs["bg_removal_name"] == "birefnet.safetensors"
    assert graph["cut"].inputs == {"image": ("source", 0), "alpha": ("background", 0)}
    assert (graph["background"].class_type, graph.link("background", "mask")) == ("InvertMask", ("foreground", 0))


# ------------------------------------------------------------------ refusals

NO_BACKGROUND = (
    "it needs a newer ComfyUI (0.27 has the nodes) with birefnet.safetensors (Comfy-Org/BiRefNet on Hugging Face) in "
    "models/background_removal, or the node pack ComfyUI-RMBG (1038lab/ComfyUI-RMBG), or the node pack "
    "ComfyUI-Inspyrenet-Rembg (john-mnz/ComfyUI-Inspyrenet-Rembg)."
)
REFUSALS: list[tuple[str, Mapping[str, Any], Sequence[str], Mapping[str, Sequence[str]], str]] = [
    (
        "a",
        {"task": "remove_background"},
        (),
        {},
        f"Removing a background cannot be done on this ComfyUI: {NO_BACKGROUND}",
    ),
    (
        "b",
        {"task": "remove_background"},
        (),
        {},
        "Removing a background cannot be done on this ComfyUI: its nodes are installed, but not what they read: put "
        "birefnet.safetensors (Comfy-Org/BiRefNet on Hugging Face) in models/background_removal.",
    ),
    (
        "a",
        {"prompt": "x", "transparent": True, "model": SDXL, "width": 512, "height": 520},
        LAYERS,
        {},
        f"A transparent picture cannot be done on this ComfyUI: {NO_BACKGROUND} LayerDiffuse is installed, but "
        "needs edges "
        "that are multiples of 64.",
    ),
    (
        "a",
        {"task": "face_restore"},
        (),
        {},
        "Faces cannot be restored on this ComfyUI: it needs the node pack facerestore_cf "
        "(mav-rik/facerestore_cf) with codeformer.pth (sczhou/CodeFormer on GitHub) in models/facerestore_models, or "
        "the node pack ComfyUI-ReActor (Gourieff/ComfyUI-ReActor) with codeformer-v0.1.0.pth in "
        "models/facerestore_models.",
    ),
    (
        "a",
        {"task": "face_restore"},
        ("ReActorRestoreFace",),
        {},
        "Faces cannot be restored on this ComfyUI: its nodes are installed, but not what they read: put "
        "codeformer-v0.1.0.pth in models/facerestore_models.",
    ),
    (
        "b",
        {"task": "face_restore"},
        ("FaceDetailer",),
        {},
        "Faces cannot be restored on this ComfyUI: it needs the node pack facerestore_cf "
        "(mav-rik/facerestore_cf) with codeformer.pth (sczhou/CodeFormer on GitHub) in models/facerestore_models, or "
        "the node pack ComfyUI-ReActor (Gourieff/ComfyUI-ReActor) with codeformer-v0.1.0.pth in "
        "models/facerestore_models, or FaceDetailer, which is installed, with "
        "UltralyticsDetectorProvider (ltdrdata/ComfyUI-Impact-Subpack), face_yolov8m.pt (Bingsu/adetailer on "
        "Hugging Face) "
        "in models/ultralytics/bbox, and a checkpoint, or ComfyUI's own MediaPipe nodes, which are there, with "
        "mediapipe_face_fp32.safetensors (Comfy-Org/mediapipe on Hugging Face) in models/detection and a checkpoint.",
    ),
    (
        "b",
        {"task": "upscale", "method": "model"},
        (),
        {},
        "No upscale model is installed on this ComfyUI: put 4x-UltraSharp.pth (Kim2091/UltraSharp on Hugging Face) or "
        "RealESRGAN_x4plus.pth (xinntao/Real-ESRGAN on GitHub) into models/upscale_models; method=diffusion "
        "needs none.",
    ),
]


@pytest.mark.parametrize(("era", "asked", "packs", "files", "said"), REFUSALS)
def test_what_is_missing_is_named_with_its_folder_and_its_source(
    era: str, asked: Mapping[str, Any], packs: Sequence[str], files: Mapping[str, Sequence[str]], said: str
) -> None:
    with pytest.raises(EngineUnavailable) as refusal:
        fit(Recipe(**asked), server(era, packs, {**MODELS, "upscale_models": [], **files}))
    assert str(refusal.value) == said


def test_plain_resizing_is_no_upscale() -> None:
    nothing = server(files={"upscale_models": [], "checkpoints": [], "diffusion_models": []})
    with pytest.raises(EngineUnavailable) as refusal:
        fit(Recipe(task="upscale"), nothing)
    assert str(refusal.value).startswith("No upscale model is installed on this ComfyUI: put 4x-UltraSharp.pth")
    assert "Nor can a model draw it larger: This ComfyUI has no model to draw with." in str(refusal.value)


def test_an_upscale_model_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(NotFound) as refusal:
        fit(Recipe(task="upscale", method="model", model="4x-UltraSharpV2.pth"), server(files=ESRGAN))
    assert str(refusal.value) == (
        "There is no upscale model '4x-UltraSharpV2.pth'. Did you mean 4x-UltraSharp.pth? models/upscale_models has "
        "RealESRGAN_x4plus_anime_6B.pth, 4x-UltraSharp.pth, RealESRGAN_x2plus.pth."
    )


def test_without_a_mask_finder_a_mask_is_asked_for() -> None:
    with pytest.raises(EngineUnavailable) as refusal:
        finishing.fit_mask_finder(server("b"))
    assert str(refusal.value) == (
        "Masking by words cannot be done on this ComfyUI: its nodes are installed, but not what they read: put "
        "sam3.1_multiplex_fp16.safetensors (Comfy-Org/sam3.1 on Hugging Face) in models/checkpoints. Without it, give "
        "mask_image: white is painted anew."
    )


def test_a_template_tells_which_file_it_lacks() -> None:
    names = ("upscale_model", "find_mask_sam3", "remove_background", "remove_background_rmbg", "checkpoint")
    bare = server("b", ("RMBG",), {**MODELS, "upscale_models": []})
    whole = server("b", ("RMBG",), {**MODELS, **ESRGAN, **BIREFNET})
    sam3 = "sam3.1_multiplex_fp16.safetensors (Comfy-Org/sam3.1 on Hugging Face) in models/checkpoints"
    assert [finishing.lacks(name, whole) for name in names] == [None, sam3, None, None, None]
    assert [finishing.lacks(name, bare) for name in names] == [
        "4x-UltraSharp.pth (Kim2091/UltraSharp on Hugging Face) or RealESRGAN_x4plus.pth (xinntao/Real-ESRGAN on "
        "GitHub), in models/upscale_models",
        sam3,
        "birefnet.safetensors (Comfy-Org/BiRefNet on Hugging Face) in models/background_removal",
        None,
        None,
    ]


def test_words_for_sam3_say_how_many_may_be_found() -> None:
    graph = drafted(FINDERS["sam3"])[1]
    assert graph["words"].inputs["text"] == "the hat:20, shoes:20"
