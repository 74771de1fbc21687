"""Controls and references: what is chosen for them, how they enter the graph, and what is said when they cannot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.workflows.drawing.golden import golden
from tests.workflows.drawing.guide_kit import MODELS, server
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft
from workflows.drawing.fitting import fit
from workflows.drawing.setup import Guide, Setup
from workflows.errors import BadRecipe, EngineUnavailable
from workflows.graph import Graph
from workflows.template import trace
from workflows.types import Control, ControlKind, Recipe, Reference

SD15, SDXL, SD35 = MODELS["checkpoints"]
FLUX, KONTEXT, FLUX2, KLEIN, QWEN, QWEN_EDIT, QWEN_2511, Z_IMAGE, CHROMA = MODELS["diffusion_models"]
ADAPTER = ("IPAdapterUnifiedLoader", "IPAdapterAdvanced")
VISION_H, VISION_SIG = "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors", "sigclip_vision_patch14_384.safetensors"
CANNY_15 = {"controlnet": ["control_v11p_sd15_canny_fp16.safetensors"]}


def controls(*kinds: str, **more: Any) -> tuple[Control, ...]:
    return tuple(Control(kind=cast(ControlKind, kind), image="k", **more) for kind in kinds)


def references(count: int, **more: Any) -> tuple[Reference, ...]:
    return (Reference(image="k", **more),) * count


Case = tuple[str, Mapping[str, Any], Sequence[str], Mapping[str, Sequence[str]]]
"""Model, what the recipe asks, classes of node packs, files."""
CONTROLS: dict[str, Case] = {
    "canny": (SD15, {"controls": controls("canny", strength=0.6, start=0.1, end=0.9)}, (), CANNY_15),
    "canny again": (SD15, {"controls": controls("canny", "canny"), "hires": True}, (), CANNY_15),
    "ready map": (SD15, {"controls": controls("canny", preprocess=False)}, (), CANNY_15),
    "depth": (
        SD15,
        {"controls": controls("depth")},
        ("DepthAnythingV2Preprocessor",),
        {"controlnet": ["control_v11f1p_sd15_depth.pth"]},
    ),
    "depth of its own": (
        SD15,
        {"controls": controls("depth")},
        ("DepthAnythingV2Preprocessor",),
        {
            "controlnet": ["control_v11f1p_sd15_depth.pth"],
            "LoadDA3Model.model_name": ["moge_2_vitl.safetensors", "depth_anything_3_small.safetensors"],
        },
    ),
    "pose": (
        SD15,
        {"controls": controls("openpose")},
        ("DWPreprocessor", "OpenposePreprocessor"),
        {"controlnet": ["control_v11p_sd15_openpose.pth"]},
    ),
    "pose of its own": (
        SD15,
        {"controls": controls("openpose")},
        (),
        {"controlnet": ["control_v11p_sd15_openpose.pth"], "checkpoints": [SD15, "sdpose_wholebody_fp16.safetensors"]},
    ),
    "union": (
        SDXL,
        {"controls": controls("canny", "tile")},
        (),
        {"controlnet": ["xinsir\\controlnet-union-sdxl-promax.safetensors"]},
    ),
    "sd3.5": (SD35, {"controls": controls("canny")}, (), {"controlnet": ["sd3.5_large_controlnet_canny.safetensors"]}),
    "flux union": (FLUX, {"controls": controls("canny")}, (), {"controlnet": ["flux-union-pro.safetensors"]}),
    "flux union 2": (FLUX, {"controls": controls("canny")}, (), {"controlnet": ["flux-union-pro-2.0.safetensors"]}),
    "qwen union": (
        QWEN,
        {"controls": controls("canny")},
        (),
        {"controlnet": ["Qwen-Image-InstantX-ControlNet-Union.safetensors"]},
    ),
    "qwen patch": (
        QWEN,
        {"controls": controls("canny")},
        (),
        {"model_patches": ["qwen_image_canny_diffsynth_controlnet.safetensors"]},
    ),
    "z-image patch": (
        Z_IMAGE,
        {"controls": controls("canny")},
        (),
        {"model_patches": ["Z-Image-Turbo-Fun-Controlnet-Union.safetensors"]},
    ),
    "inpaint": (SD15, {"controls": controls("canny"), "task": "inpaint", "source": "s", "mask": "m"}, (), CANNY_15),
}
REFERENCES: dict[str, Case] = {
    "redux": (
        FLUX,
        {"references": references(2, strength=0.5)},
        (),
        {"style_models": ["flux1-redux-dev.safetensors"], "clip_vision": [VISION_H, VISION_SIG]},
    ),
    "kontext": (KONTEXT, {"references": references(2)}, (), {}),
    "flux2": (FLUX2, {"references": references(2)}, (), {}),
    "klein": (KLEIN, {"references": references(1)}, (), {}),
    "qwen edit": (QWEN_EDIT, {"references": references(1)}, (), {}),
    "qwen edit 2511": (QWEN_2511, {"references": references(3)}, (), {}),
    "ip-adapter": (
        SDXL,
        {"references": (Reference(image="a", strength=0.9), Reference(image="b", mode="style"))},
        ADAPTER,
        {"clip_vision": [VISION_H], "ipadapter": ["ip-adapter-plus_sdxl_vit-h.safetensors"]},
    ),
}


def drafted(case: Case, era: str = "b") -> tuple[Setup, Graph, list[Any]]:
    model, asked, packs, files = case
    inventory = server(era, packs, {**MODELS, **files})
    words: dict[str, Any] = {"prompt": "a red fox", "negative": "blurry", "width": 768, "height": 512}
    words |= {"model": model, "seed": 7, "steps": 10, **asked}
    recipe = Recipe(**words)
    setup = replace(fit(recipe, inventory), pictures={role: f"atelier/{role}.png" for role in recipe.pictures})
    graph = draft(recipe, setup)
    return setup, graph, problems(graph, inventory)


@pytest.mark.parametrize(("name", "cases"), [("guides_controls", CONTROLS), ("guides_references", REFERENCES)])
def test_guides_draft_the_graphs_that_were_looked_at(name: str, cases: dict[str, Case]) -> None:
    graphs = {label: drafted(case)[1].as_prompt() for label, case in cases.items()}
    assert golden(name, graphs) == graphs


@pytest.mark.parametrize("case", [*CONTROLS.values(), *REFERENCES.values()], ids=[*CONTROLS, *REFERENCES])
def test_a_guided_graph_has_no_problem_and_its_words_stay_on_their_sides(case: Case) -> None:
    setup, graph, found = drafted(case)
    assert found == []
    for sampler in trace(graph).samplers:
        assert [graph[node].inputs[name] for node, name in sampler.positive] == ["a red fox"]
        said = [graph[node].inputs[name] for node, name in sampler.negative]
        assert said == (["blurry"] if setup.family.profile.negatives else [])


@pytest.mark.parametrize("label", ["canny", "union", "sd3.5", "qwen patch", "inpaint"])
def test_an_older_comfyui_draws_the_same_controls(label: str) -> None:
    _, graph, found = drafted(CONTROLS[label], era="a")
    assert (graph.as_prompt(), found) == (drafted(CONTROLS[label])[1].as_prompt(), [])


def test_a_z_image_patch_goes_through_the_node_that_an_older_comfyui_has() -> None:
    inventory = server("b", (), {**MODELS, **CONTROLS["z-image patch"][3]})
    older = replace(inventory, classes={n: c for n, c in inventory.classes.items() if n != "ZImageFunControlnet"})
    (guide,) = fit(Recipe(prompt="x", model=Z_IMAGE, controls=controls("canny")), older).guides
    assert guide.parts["patch_node"] == "QwenImageDiffsynthControlnet"


NETS = [
    # The kind's own net before the union, and never one of another family.
    (SDXL, "canny", ["union-canny-tile-sdxl.safetensors", "diffusers_xl_canny.safetensors"], 1, ""),
    (SDXL, "canny", ["control_v11p_sd15_canny.pth", "union-sdxl.safetensors", "diffusers_xl_canny.safetensors"], 2, ""),
    (
        SDXL,
        "softedge",
        ["diffusers_xl_canny.safetensors", "controlnet-union-sdxl-1.0.safetensors"],
        1,
        "hed/pidi/scribble/ted",
    ),
    (SDXL, "segment", ["controlnet-union-sdxl-1.0.safetensors"], 0, "segment"),
    (SD15, "scribble", ["v11/control_v11p_sd15_scribble.pth"], 0, ""),
    (SD15, "softedge", ["control_v11p_sd15_scheduled_canny.pth", "control_sd15_hed.pth"], 1, ""),
    (SD15, "lineart", ["control_v11p_sd15s2_lineart_anime.pth"], 0, ""),
    (SD15, "segment", ["control_v11p_sd15_seg.pth"], 0, ""),
    (FLUX, "tile", ["Flux.1-dev-Controlnet-Upscaler.safetensors"], 0, ""),
    # Flux's unions count their modes in another order; the choice of that place carries the number.
    (FLUX, "depth", ["FLUX.1-dev-Controlnet-Union.safetensors"], 0, "hed/pidi/scribble/ted"),
]


@pytest.mark.parametrize(("model", "kind", "nets", "place", "union_type"), NETS)
def test_a_control_net_is_told_by_its_name(model: str, kind: str, nets: list[str], place: int, union_type: str) -> None:
    recipe = Recipe(prompt="x", model=model, controls=controls(kind, preprocess=False))
    setup = fit(recipe, server(files={**MODELS, "controlnet": nets}))
    vae = {"with_vae": "yes"} if model == FLUX else {}
    parts = {"control_net": nets[place], "union_type": union_type} | vae
    assert setup.guides == (Guide(role="control_1", kind="controlnet", parts=parts),)


def test_a_net_that_says_nothing_is_used_when_it_is_alone_and_the_user_is_told() -> None:
    alone = fit(
        Recipe(prompt="x", model=SD15, controls=controls("canny")),
        server(files={**MODELS, "controlnet": ["mine.safetensors"]}),
    )
    named = fit(
        Recipe(prompt="x", model=SD15, controls=controls("canny")),
        server(files={**MODELS, "controlnet": ["mine.safetensors", "my_canny.safetensors"]}),
    )
    assert [setup.guides[0].parts["control_net"] for setup in (alone, named)] == [
        "mine.safetensors",
        "my_canny.safetensors",
    ]
    assert alone.notes == ("mine.safetensors is the only control net here, so it was used for canny.",)
    assert named.notes == (
        "my_canny.safetensors does not say which models it is for; it was taken for Stable Diffusion 1.5.",
    )


def test_of_several_nets_that_say_nothing_none_is_guessed() -> None:
    with pytest.raises(EngineUnavailable, match=r"Installed: mine\.safetensors, other\.safetensors\."):
        fit(
            Recipe(prompt="x", model=SD15, controls=controls("canny")),
            server(files={**MODELS, "controlnet": ["mine.safetensors", "other.safetensors"]}),
        )


def test_a_map_is_made_at_the_shorter_edge_of_what_is_drawn() -> None:
    model, asked, packs, files = CONTROLS["pose"]
    _, graph, _ = drafted((model, {**asked, "width": 1024, "height": 360}, packs, files))
    assert graph["control_1_map"].inputs["resolution"] == 320


def test_strength_and_range_that_a_way_does_not_take_are_said() -> None:
    model, _, packs, files = CONTROLS["qwen patch"]
    inventory = server("b", packs, {**MODELS, **files})
    patched = fit(Recipe(prompt="x", model=model, controls=controls("canny", end=0.5)), inventory)
    edited = fit(Recipe(prompt="x", model=KONTEXT, references=references(1, strength=0.2, mode="style")), inventory)
    assert patched.notes == (
        "qwen_image_canny_diffsynth_controlnet.safetensors works over all steps: start and end of the canny control "
        "have no effect.",
    )
    assert edited.notes == (
        "FLUX.1 Kontext has no style adapter here; it reads the reference as a picture to edit.",
        "FLUX.1 Kontext reads a reference picture whole: its strength has no effect, say it in the prompt.",
    )


REFUSALS: list[tuple[str, Mapping[str, Any], Sequence[str], Mapping[str, Sequence[str]], str]] = [
    (
        SDXL,
        {"controls": controls("canny")},
        (),
        {"controlnet": ["control_v11p_sd15_canny.pth", "qwen-union.safetensors"]},
        "No control net for canny with Stable Diffusion XL is installed on this ComfyUI: put "
        "diffusion_pytorch_model_promax.safetensors, saved as controlnet-union-sdxl-promax.safetensors "
        "(xinsir/controlnet-union-sdxl-1.0 on Hugging Face) into models/controlnet. Installed: "
        "control_v11p_sd15_canny.pth, qwen-union.safetensors.",
    ),
    (
        SDXL,
        {"controls": controls("tile")},
        (),
        {"controlnet": ["controlnet-union-sdxl-1.0.safetensors"]},
        "No control net for tile with Stable Diffusion XL is installed on this ComfyUI: put "
        "diffusion_pytorch_model_promax.safetensors, saved as controlnet-union-sdxl-promax.safetensors "
        "(xinsir/controlnet-union-sdxl-1.0 on Hugging Face) into models/controlnet. Installed: "
        "controlnet-union-sdxl-1.0.safetensors.",
    ),
    (
        SD35,
        {"controls": controls("openpose")},
        (),
        {},
        "No control net for openpose with Stable Diffusion 3.5 Large is installed on this ComfyUI: Stable "
        "Diffusion 3.5 "
        "Large has control nets for canny, depth, tile only; use a Stable Diffusion XL or 1.5 model, or another "
        "control. Installed: nothing.",
    ),
    (
        CHROMA,
        {"controls": controls("canny")},
        (),
        {},
        "No control net for canny with Chroma is installed on this ComfyUI: none is known for Chroma; use a Stable "
        "Diffusion XL or 1.5 model, or another control. Installed: nothing.",
    ),
    (
        SD15,
        {"controls": controls("lineart")},
        (),
        {"controlnet": ["control_v11p_sd15_lineart.pth"]},
        "To make a lineart map from a picture this ComfyUI lacks a preprocessor: install the node pack "
        "comfyui_controlnet_aux (Fannovel16/comfyui_controlnet_aux), which has LineArtPreprocessor. Without it, give a "
        "finished lineart map with preprocess=false, or use the control canny, which needs nothing more.",
    ),
    (
        SD15,
        {"controls": controls("openpose")},
        (),
        {"controlnet": ["control_v11p_sd15_openpose.pth"]},
        "To make an openpose map from a picture this ComfyUI lacks a preprocessor: install the node pack "
        "comfyui_controlnet_aux (Fannovel16/comfyui_controlnet_aux), which has DWPreprocessor, or update ComfyUI "
        "and put "
        "an SDPose checkpoint (Comfy-Org/SDPose on Hugging Face) in models/checkpoints. Without it, give a finished "
        "openpose map with preprocess=false, or use the control canny, which needs nothing more.",
    ),
    (
        SDXL,
        {"references": references(1)},
        (),
        {},
        "A reference picture with this model needs the node pack ComfyUI_IPAdapter_plus (cubiq/ComfyUI_IPAdapter_plus) "
        "and ip-adapter-plus_sdxl_vit-h.safetensors in models/ipadapter with "
        "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors in models/clip_vision (both h94/IP-Adapter on Hugging "
        "Face); or use "
        "a model that reads pictures itself. Such models here: flux1-dev-kontext_fp8_scaled.safetensors, "
        "flux2_dev_fp8mixed.safetensors, flux-2-klein-base-4b.safetensors, qwen_image_edit_fp8_e4m3fn.safetensors, "
        "qwen_image_edit_2511_bf16.safetensors.",
    ),
    (
        SD15,
        {"references": references(1)},
        ADAPTER,
        {"clip_vision": [VISION_H], "ipadapter": ["ip-adapter-plus_sdxl_vit-h.safetensors"]},
        "The node pack ComfyUI_IPAdapter_plus (cubiq/ComfyUI_IPAdapter_plus) is installed, but not what it reads: "
        "ip-adapter-plus_sd15.safetensors in models/ipadapter with CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors in "
        "models/clip_vision (both h94/IP-Adapter on Hugging Face). Installed: ip-adapter-plus_sdxl_vit-h.safetensors, "
        "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors.",
    ),
    (
        FLUX,
        {"references": references(1)},
        (),
        {"style_models": ["flux1-redux-dev.safetensors"]},
        "A style reference with Flux.1 needs sigclip_vision_patch14_384.safetensors (Comfy-Org/sigclip_vision_384) in "
        "models/clip_vision, from Hugging Face; installed there: flux1-redux-dev.safetensors.",
    ),
    (
        SD15,
        {"references": references(1, mode="edit")},
        ADAPTER,
        {"diffusion_models": []},
        "Stable Diffusion 1.5 cannot edit a reference picture: use mode=style or img2img, or a model that can. None is "
        "installed (Flux.1 Kontext, Flux.2, Qwen-Image-Edit).",
    ),
    (
        Z_IMAGE,
        {"references": references(1)},
        (),
        {"diffusion_models": [Z_IMAGE]},
        "Z-Image Turbo takes no reference picture here: use img2img, or a model that reads pictures. None is installed "
        "(Flux.1 Kontext, Flux.2, Qwen-Image-Edit).",
    ),
]


@pytest.mark.parametrize(("model", "asked", "packs", "files", "said"), REFUSALS)
def test_what_is_missing_is_named_with_its_folder_and_its_source(
    model: str, asked: Mapping[str, Any], packs: Sequence[str], files: Mapping[str, Sequence[str]], said: str
) -> None:
    with pytest.raises(EngineUnavailable) as refusal:
        fit(Recipe(prompt="x", model=model, **asked), server("b", packs, {**MODELS, **files}))
    assert str(refusal.value) == said


def test_more_references_than_the_model_was_trained_on_are_refused() -> None:
    with pytest.raises(BadRecipe) as refusal:
        fit(Recipe(prompt="x", model=QWEN_EDIT, references=references(2)), server(files=MODELS))
    assert str(refusal.value) == (
        "reference cannot be '2 pictures': this Qwen-Image-Edit takes 1 (2509 and 2511 take 3)."
    )


def test_a_style_reference_takes_the_adapter_where_a_model_could_also_edit() -> None:
    files = {**MODELS, "style_models": ["flux1-redux-dev.safetensors"], "clip_vision": [VISION_SIG]}
    kinds = {
        mode: fit(Recipe(prompt="x", model=KONTEXT, references=references(1, mode=mode)), server(files=files))
        .guides[0]
        .kind
        for mode in ("auto", "style", "edit")
    }
    assert kinds == {"auto": "kontext", "style": "redux", "edit": "kontext"}
