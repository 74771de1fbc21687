"""Which templates can be used with what a server has, and what the others lack, file and folder included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clients.comfyui_engine.catalogue import described
from tests.workflows.drawing.guide_kit import MODELS, server
from workflows.template import template

Files = Mapping[str, Sequence[str]]

FOUND: Files = {"background_removal": ["birefnet.safetensors"], "upscale_models": ["x4.pth"]}
NODES = ("FaceRestoreModelLoader", "FaceRestoreCFWithModel", "ReActorRestoreFace")
REACTOR = {"ReActorRestoreFace.model": ["codeformer-v0.1.0.pth"], "FaceRestoreModelLoader.model_name": []}


def missing(name: str, files: Files, packs: Sequence[str] = ()) -> tuple[str, ...]:
    info = described(template(name), [server("b", packs, files)])
    assert info.usable == (not info.missing)
    return info.missing


def test_a_template_whose_file_is_missing_names_it_with_its_folder() -> None:
    bare: Files = {**MODELS, "upscale_models": [], "background_removal": []}
    assert missing("remove_background", bare) == (
        "birefnet.safetensors (Comfy-Org/BiRefNet on Hugging Face) in models/background_removal",
    )
    assert missing("find_mask_sam3", bare) == (
        "sam3.1_multiplex_fp16.safetensors (Comfy-Org/sam3.1 on Hugging Face) in models/checkpoints",
    )
    assert "models/upscale_models" in missing("upscale_model", bare)[0]
    assert missing("remove_background", {**MODELS, **FOUND}) == missing("upscale_model", {**MODELS, **FOUND}) == ()


def test_another_way_of_doing_the_same_does_not_make_a_template_usable() -> None:
    assert missing("face_restore_reactor", REACTOR, NODES) == ()
    assert missing("face_restore_codeformer", REACTOR, NODES) == (
        "codeformer.pth (sczhou/CodeFormer on GitHub) in models/facerestore_models",
    )


def test_a_template_without_a_model_of_its_families_names_one_and_where_it_comes_from() -> None:
    bare: Files = {"checkpoints": [], "diffusion_models": []}
    assert missing("chroma", bare) == (
        "a model of the family chroma, such as Chroma1-HD-fp8mixed.safetensors (from "
        "Comfy-Org/Chroma1-HD_repackaged on Hugging Face) in models/diffusion_models",
    )
    assert missing("flux", bare)[0].startswith("a model of the family flux-krea or ")
    assert missing("flux_checkpoint", bare)[0].endswith(" or flux-schnell in models/checkpoints")
