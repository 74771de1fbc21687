"""What one server has for one recipe, and how it says what it lacks."""

from dataclasses import replace
from typing import Any

import pytest

from tests.workflows.drawing.golden import inventory
from workflows.drawing.belonging import installed
from workflows.drawing.fitting import fit, fits, named_model
from workflows.drawing.inventory import Inventory, NodeInput
from workflows.drawing.setup import Setup, Thrift
from workflows.errors import BadRecipe, EngineUnavailable, NotFound
from workflows.types import LoraUse, ModelInfo, Recipe

HERE = inventory()


def asked(**more: Any) -> Recipe:
    return Recipe.checked(**({"prompt": "a red fox"} | more))


def offering(given: Inventory, class_type: str, name: str, *choices: str) -> Inventory:
    """The same server with other choices at one input of a node."""
    node = given.classes[class_type]
    changed = NodeInput(type="COMBO", choices=choices, required=node.inputs[name].required)
    return replace(given, classes={**given.classes, class_type: replace(node, inputs={**node.inputs, name: changed})})


def knowing(given: Inventory, kind: str, family: str) -> Inventory:
    """The same server, all files of a kind known to be of one family."""

    def known(asked: str, _: str) -> str | None:
        return family if asked == kind else None

    return replace(given, known=known)


def saying(given: Inventory, lora: str, **metadata: str) -> Inventory:
    return replace(given, metadata={("loras", lora): metadata})


SHARP = offering(HERE, "UpscaleModelLoader", "model_name", "4x-UltraSharp.pth")


def without(given: Inventory, *classes: str) -> Inventory:
    return replace(given, classes={name: node for name, node in given.classes.items() if name not in classes})


def only(*models: str) -> Inventory:
    """A server with these checkpoints and no bare models."""
    return offering(offering(HERE, "CheckpointLoaderSimple", "ckpt_name", *models), "UNETLoader", "unet_name")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("SDXL\\ponyDiffusionV6XL.safetensors", "SDXL\\ponyDiffusionV6XL.safetensors"),
        ("SDXL/ponyDiffusionV6XL.safetensors", "SDXL\\ponyDiffusionV6XL.safetensors"),
        ("ponyDiffusionV6XL", "SDXL\\ponyDiffusionV6XL.safetensors"),
        ("PONYDIFFUSIONV6XL.SAFETENSORS", "SDXL\\ponyDiffusionV6XL.safetensors"),
        ("z_image_bf16", "z_image_bf16.safetensors"),
    ],
)
def test_a_model_is_found_however_its_name_is_written(name: str, file: str) -> None:
    assert named_model(name, HERE).file == file


def test_a_model_that_is_not_there_names_near_ones() -> None:
    with pytest.raises(NotFound, match=r"no model 'sd_xl_bass'\. Did you mean sd_xl_base_1\.0\.safetensors"):
        fit(asked(model="sd_xl_bass"), HERE)


def test_a_well_known_model_that_is_not_there_is_told_with_its_source() -> None:
    with pytest.raises(NotFound) as refusal:
        fit(asked(model="flux1-schnell"), only("dream.safetensors"))
    assert str(refusal.value).endswith(
        " FLUX.1 schnell is flux1-schnell.safetensors (from black-forest-labs/FLUX.1-schnell on Hugging Face), in "
        "models/diffusion_models."
    )


def test_a_file_of_another_kind_is_not_a_model() -> None:
    with pytest.raises(NotFound, match=r"ink_sdxl\.safetensors is in the server's folder loras: nothing draws with it"):
        fit(asked(model="ink_sdxl"), HERE)


def test_everything_found_for_a_model_of_separate_files() -> None:
    setup = fit(asked(model="flux1-dev"), HERE)
    parts = {"clip_1": "clip_l.safetensors", "clip_2": "t5xxl_fp8_e4m3fn_scaled.safetensors", "vae": "ae.safetensors"}
    assert setup == Setup(
        template=setup.template,
        family=setup.family,
        model="flux1-dev.safetensors",
        components=parts,
        sampler="euler",
        scheduler="simple",
        facts={"family": "flux-dev", "template": "flux", "components": parts},
    )
    assert (setup.template.name, setup.family.profile.name) == ("flux", "flux-dev")


def test_missing_components_are_told_with_folder_and_source() -> None:
    bare = offering(offering(HERE, "CLIPLoader", "clip_name", "clip_l.safetensors"), "VAELoader", "vae_name", "sd3_vae")
    with pytest.raises(EngineUnavailable) as refusal:
        fit(asked(model="flux1-dev"), bare)
    assert str(refusal.value) == (
        "flux1-dev.safetensors (FLUX.1 dev) needs files that are not installed. Put into the folder text_encoders: "
        "t5xxl_fp8_e4m3fn_scaled.safetensors (from comfyanonymous/flux_text_encoders on Hugging Face), and into the "
        "folder vae: ae.safetensors (from Comfy-Org/z_image on Hugging Face). Now text_encoders has "
        "clip_l.safetensors; vae has sd3_vae."
    )


@pytest.mark.parametrize(
    ("encoders", "loader"),
    [
        (("clip_g.safetensors", "clip_l.safetensors"), "DualCLIPLoader"),
        (("t5xxl_fp16.safetensors",), "CLIPLoader"),
    ],
)
def test_stable_diffusion_3_makes_do_with_fewer_encoders(encoders: tuple[str, ...], loader: str) -> None:
    setup = fit(asked(model="sd3.5_medium"), offering(HERE, "CLIPLoader", "clip_name", *encoders))
    assert setup.template.graph["clip"].class_type == loader
    assert {file for slot, file in setup.components.items() if slot != "vae"} == set(encoders)
    assert setup.template.slots["clip_type"] == (("clip", "type"),)
    assert "reads the prompt less well" in setup.notes[0]


def test_stable_diffusion_3_does_not_make_do_without_a_vae() -> None:
    bare = offering(offering(HERE, "VAELoader", "vae_name"), "CLIPLoader", "clip_name", "clip_l.safetensors")
    with pytest.raises(
        EngineUnavailable, match=r"Put into the folder vae: .* saved as sd3_vae\.safetensors .* Now vae has nothing"
    ):
        fit(asked(model="sd3.5_medium"), bare)


def test_an_older_server_is_told_to_update() -> None:
    with pytest.raises(EngineUnavailable, match=r"FLUX\.2 dev needs ComfyUI's node EmptyFlux2LatentImage, Flux2Sched"):
        fit(asked(model="flux2_dev_fp8mixed"), inventory("a"))
    old = offering(HERE, "CLIPLoader", "type", "stable_diffusion", "sd3")
    with pytest.raises(EngineUnavailable, match="CLIPLoader knows type qwen_image; this one knows stable_diffusion"):
        fit(asked(model="qwen_image_fp8_e4m3fn"), old)
    with pytest.raises(EngineUnavailable, match="needs ComfyUI's node DifferentialDiffusion"):
        fit(asked(model="anything-v5", task="inpaint", source="s", mask="m"), without(HERE, "DifferentialDiffusion"))


def test_models_that_no_graph_draws_are_refused() -> None:
    with pytest.raises(EngineUnavailable, match=r"no graph for PixArt.* It can draw with: Pony Diffusion"):
        fit(asked(model="PixArt-Sigma"), offering(HERE, "UNETLoader", "unet_name", "PixArt-Sigma.safetensors"))
    with pytest.raises(EngineUnavailable, match=r"wan2\.1_t2v.* makes videos, not pictures\. Name another, or none"):
        fit(asked(model="wan2.1_t2v_1.3B_fp16"), HERE)
    misplaced = offering(HERE, "UNETLoader", "unet_name", "sd_xl_unet.safetensors")
    with pytest.raises(
        EngineUnavailable, match=r"lies in the folder diffusion_models, but Stable Diffusion XL is drawn"
    ):
        fit(asked(model="sd_xl_unet"), misplaced)
    with pytest.raises(EngineUnavailable, match=r"no model to draw with\. Put one into its folder models/checkpoints"):
        fit(asked(), only())


@pytest.mark.parametrize(
    ("sampler", "scheduler", "taken"),
    [
        (None, None, ("dpmpp_2m", "karras")),
        ("DPM++ 2M Karras", None, ("dpmpp_2m", "karras")),
        ("DPM++ 2M SDE Exponential", None, ("dpmpp_2m_sde", "exponential")),
        ("Euler a", None, ("euler_ancestral", "karras")),
        ("euler_a_karras", "SGM Uniform", ("euler_ancestral", "sgm_uniform")),
        ("DPM2 a Karras", None, ("dpm_2_ancestral", "karras")),
        ("DPM++ 2S a", "normal", ("dpmpp_2s_ancestral", "normal")),
        ("UniPC", "uniform", ("uni_pc", "normal")),
        ("ddim", "ddim", ("ddim", "ddim_uniform")),
        ("unipc", "auto", ("uni_pc", "karras")),
        ("UniPC BH2 Karras", None, ("uni_pc_bh2", "karras")),
        ("EulerAncestralDiscreteScheduler", None, ("euler_ancestral", "karras")),
        ("DPMSolverMultistepScheduler", "normal", ("dpmpp_2m", "normal")),
        ("FlowMatchEulerDiscreteScheduler", "simple", ("euler", "simple")),
        ("dpmpp_2m_sde_gpu", "Automatic", ("dpmpp_2m_sde_gpu", "karras")),
    ],
)
def test_samplers_go_by_the_names_that_people_write(
    sampler: str | None, scheduler: str | None, taken: tuple[str, str]
) -> None:
    setup = fit(asked(model="sd_xl_base_1.0", sampler=sampler, scheduler=scheduler), HERE)
    assert (setup.sampler, setup.scheduler) == taken


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sampler": "DPM++ 2N Karras"}, r"sampler cannot be 'DPM\+\+ 2N Karras': nearest: dpmpp_2m, "),
        ({"scheduler": "karas"}, "scheduler cannot be 'karas': nearest: karras; this ComfyUI offers karras, simple,"),
    ],
)
def test_an_unknown_sampler_is_refused_with_the_nearest_first(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRecipe, match=words):
        fit(asked(model="sd_xl_base_1.0", **given), HERE)


def test_an_upscaler_between_two_passes_is_told_only_where_there_are_two() -> None:
    large, small = (fit(asked(model="sd_xl_base_1.0", hires=True, width=edge), SHARP) for edge in (2048, 512))
    assert (large.components, small.components) == ({"hires_upscaler": "4x-UltraSharp.pth"}, {})


def test_a_familys_sampler_that_the_server_lacks_is_replaced_and_told() -> None:
    setup = fit(asked(model="z_image_bf16"), offering(HERE, "KSampler", "sampler_name", "euler", "heun"))
    assert setup.sampler == "euler"
    assert setup.notes == ("This ComfyUI has no sampler res_multistep, which Z-Image wants; took euler.",)


def test_without_a_name_recognised_general_checkpoints_come_first() -> None:
    flux = "flux1-kontext-dev.safetensors"
    models = ("mystery.safetensors", "v1-5-inpainting.safetensors", flux, "anything-v5.safetensors")
    assert fit(asked(), only(*models)).model == "anything-v5.safetensors"
    assert fit(asked(task="inpaint", source="s", mask="m"), only(*models)).model == "v1-5-inpainting.safetensors"
    assert fit(asked(), only(*models[:2])).model == "v1-5-inpainting.safetensors"
    assert fit(asked(), only("mystery.safetensors")).notes == (
        "Nothing tells the family of mystery.safetensors; it was taken for Stable Diffusion XL.",
    )


def test_without_a_name_a_whole_checkpoint_comes_before_separate_files() -> None:
    assert fit(asked(), HERE).model == "v1-5-pruned-emaonly.safetensors"


def test_loras_are_spelled_as_the_server_has_them_and_told_when_they_do_not_belong() -> None:
    setup = fit(asked(model="sd_xl_base_1.0", loras=(LoraUse(name="styles/ink_sdxl", strength=0.6),)), HERE)
    assert (setup.loras, setup.notes) == ((LoraUse(name="styles\\ink_sdxl.safetensors", strength=0.6),), ())
    (note,) = fit(asked(model="ponyDiffusionV6XL", loras=(LoraUse(name="ink_sdxl"), LoraUse(name="plain"))), HERE).notes
    assert note.endswith("is made for Stable Diffusion XL; with Pony Diffusion V6 XL it works only in part.")
    setup = fit(asked(model="sd_xl_base_1.0", loras=(LoraUse(name="flux_film"),)), HERE)
    assert setup.notes == (
        "The LoRA flux_film.safetensors looks made for FLUX.1 dev; with Stable Diffusion XL it does nothing or harm.",
    )
    with pytest.raises(NotFound, match=r"no LoRA 'flux_fill'\. Did you mean flux_film\.safetensors"):
        fit(asked(loras=(LoraUse(name="flux_fill"),)), HERE)


def test_a_lora_whose_metadata_tells_of_another_family_is_refused_with_what_would_fit() -> None:
    told = saying(HERE, "plain.safetensors", ss_base_model_version="sd_v1")
    wish = asked(model="sd_xl_base_1.0", loras=(LoraUse(name="plain"),))
    with pytest.raises(BadRecipe) as refusal:
        fit(wish, told)
    assert str(refusal.value) == (
        "loras cannot be 'plain': it is made for Stable Diffusion 1.5, and the model is Stable Diffusion XL, with "
        "which it does nothing or harm. LoRAs here for Stable Diffusion XL: styles\\ink_sdxl.safetensors; models here "
        "for this LoRA: v1-5-pruned-emaonly.safetensors, v1-5-inpainting.safetensors, anything-v5.safetensors."
    )
    assert fit(wish, knowing(told, "lora", "sdxl")).notes == ()


def test_a_lora_is_only_told_of_while_the_models_family_is_a_guess() -> None:
    wish = asked(loras=(LoraUse(name="plain"),))
    told = saying(only("mystery.safetensors"), "plain.safetensors", ss_base_model_version="sd_v1")
    assert fit(wish, told).notes[-1].startswith("The LoRA plain.safetensors looks made for Stable Diffusion 1.5; with")
    with pytest.raises(BadRecipe, match=r"models here for this LoRA: nothing\.$"):
        fit(wish, knowing(told, "checkpoint", "sdxl"))


def test_a_lora_of_a_related_family_is_taken_with_a_note() -> None:
    (note,) = fit(asked(model="sd_xl_base_1.0", loras=(LoraUse(name="plain"),)), knowing(HERE, "lora", "pony")).notes
    assert note == (
        "The LoRA plain.safetensors is made for Pony Diffusion V6 XL; with Stable Diffusion XL it works only in part."
    )


def test_clip_skip_that_changes_nothing_is_told() -> None:
    assert fit(asked(model="sd_xl_base_1.0", clip_skip=2), HERE).notes == ()
    assert fit(asked(model="sd_xl_base_1.0", clip_skip=1), HERE).notes == (
        "Stable Diffusion XL always reads the last layer but one: clip_skip 1 changes nothing.",
    )
    assert fit(asked(model="flux1-dev", clip_skip=2), HERE).notes == (
        "FLUX.1 dev has no text encoder whose layers could be skipped: clip_skip was left out.",
    )


@pytest.mark.parametrize(
    ("model", "file", "cast"),
    [
        ("flux1-dev.safetensors", "flux1-dev-fp8_e4m3fn.safetensors", None),
        ("flux1-dev-fp8_e4m3fn", "flux1-dev-fp8_e4m3fn.safetensors", None),
        ("z_image_bf16", "z_image_bf16.safetensors", "fp8_e4m3fn"),
        ("sd_xl_base_1.0", "sd_xl_base_1.0.safetensors", None),
    ],
)
def test_thrift_takes_a_smaller_sibling_or_casts_while_loading(model: str, file: str, cast: str | None) -> None:
    setup = fit(asked(model=model), HERE, thrift=Thrift(small_weights=True))
    assert (setup.model, setup.components.get("weight_dtype")) == (file, cast)


def test_hires_that_can_change_nothing_is_told() -> None:
    (note,) = fit(asked(model="sd_xl_base_1.0", hires=True), HERE).notes
    assert note.startswith("hires changed nothing: a second pass pays for pictures of about 1229x1229 and more")
    assert fit(asked(model="sd_xl_base_1.0", hires=True, width=1536, height=1536), HERE).notes == ()


def test_what_cannot_reach_the_model_is_told() -> None:
    setup = fit(asked(model="flux2_dev_fp8mixed", negative="blur", scheduler="karras"), HERE)
    assert setup.notes == (
        "FLUX.2 dev takes no negative prompt: it was left out.",
        "FLUX.2 dev has noise levels of its own: the scheduler karras was left out.",
    )


def test_a_refusal_is_a_reason() -> None:
    assert fits(asked(), HERE) is None
    with pytest.raises(EngineUnavailable) as refusal:
        fit(asked(), only())
    assert fits(asked(), only()) == str(refusal.value)


def test_what_is_installed_is_listed_with_its_family() -> None:
    sized = replace(HERE, sizes={("checkpoints", "mystery.safetensors"): 2_132_625_894})
    rows = installed(sized, "checkpoint")
    assert rows[-1] == ModelInfo(
        name="mystery.safetensors",
        kind="checkpoint",
        family="sd15",
        engine="comfyui",
        size=2_132_625_894,
        guessed=True,
        told_by="size",
    )
    (other,) = (row for row in installed(HERE, "checkpoints") if row.name == "mystery.safetensors")
    assert (other.family, other.guessed, other.told_by) == ("sdxl", True, "")
    other = installed(replace(HERE, sizes={("checkpoints", "mystery.safetensors"): 5}), "checkpoint")[-1]
    assert (other.family, other.guessed, other.told_by) == ("sdxl", True, "")
    families = {
        row.name: row.family for row in installed(sized) if row.kind in {"checkpoint", "diffusion_model", "lora"}
    }
    assert families == {
        "v1-5-pruned-emaonly.safetensors": "sd15",
        "v1-5-inpainting.safetensors": "sd15",
        "anything-v5.safetensors": "sd15-anime",
        "sd_xl_base_1.0.safetensors": "sdxl",
        "SDXL\\ponyDiffusionV6XL.safetensors": "pony",
        "noobaiXL-vpred-v1.safetensors": "noobai-vpred",
        "sd3.5_large_fp8_scaled.safetensors": "sd35-large",
        "flux1-dev-fp8.safetensors": "flux-dev",
        "mystery.safetensors": "sd15",
        "sd3.5_medium.safetensors": "sd35-medium",
        "flux1-dev.safetensors": "flux-dev",
        "flux1-dev-fp8_e4m3fn.safetensors": "flux-dev",
        "flux1-schnell.safetensors": "flux-schnell",
        "flux1-fill-dev.safetensors": "flux-fill",
        "flux2_dev_fp8mixed.safetensors": "flux2-dev",
        "flux-2-klein-4b.safetensors": "flux2-klein",
        "flux-2-klein-base-4b.safetensors": "flux2-klein-base",
        "qwen_image_fp8_e4m3fn.safetensors": "qwen-image",
        "z_image_bf16.safetensors": "z-image",
        "z_image_turbo_bf16.safetensors": "z-image-turbo",
        "Chroma1-HD.safetensors": "chroma",
        "hidream_i1_full_fp8.safetensors": "hidream-full",
        "wan2.1_t2v_1.3B_fp16.safetensors": "wan21-1.3b",
        "detail_sd15.safetensors": "sd15",
        "styles\\ink_sdxl.safetensors": "sdxl",
        "flux_film.safetensors": "flux-dev",
        "plain.safetensors": "unknown",
    }
