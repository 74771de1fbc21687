"""Which family a model is, and what it needs."""

import pytest

from workflows.errors import NotFound
from workflows.families import (
    families,
    family,
    family_of_file,
    family_of_header,
    family_of_lora,
    family_of_pipeline,
)
from workflows.template import templates


@pytest.mark.parametrize(
    ("pipeline", "facts", "name"),
    [
        ("StableDiffusionPipeline", {"text_width": 768}, "sd15"),
        ("StableDiffusionPipeline", {"text_width": 1024}, "sd21"),
        ("StableDiffusionXLPipeline", {"text_width": 2048}, "sdxl"),
        ("StableDiffusion3Pipeline", {}, "sd35"),
        ("FluxPipeline", {"guidance_embeds": True}, "flux-dev"),
        ("FluxPipeline", {"guidance_embeds": False}, "flux-schnell"),
        ("StableDiffusionPipeline", {"text_width": 128}, "unknown"),
        ("SomethingNewPipeline", {}, "unknown"),
    ],
)
def test_a_diffusers_folder_gives_its_family_away(pipeline: str, facts: dict[str, int | bool], name: str) -> None:
    text_width, guidance = facts.get("text_width"), facts.get("guidance_embeds")
    found = family_of_pipeline(
        pipeline, text_width=text_width, guidance_embeds=guidance if isinstance(guidance, bool) else None
    )
    assert found.profile.name == name


@pytest.mark.parametrize(
    ("tensors", "name"),
    [
        (["cond_stage_model.transformer.text_model.embeddings.position_ids"], "sd15"),
        (["cond_stage_model.model.transformer.resblocks.0.ln_1.weight"], "sd21"),
        (["conditioner.embedders.1.model.ln_final.weight", "cond_stage_model.transformer.x"], "sdxl"),
        (["model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight"], "sd35"),
        (["double_blocks.0.img_attn.proj.weight", "guidance_in.in_layer.weight"], "flux-dev"),
        (["double_blocks.0.img_attn.proj.weight"], "flux-schnell"),
        (["lora_unet_down_blocks_0.lora_up.weight"], "unknown"),
        ([], "unknown"),
    ],
)
def test_a_checkpoints_tensor_names_give_its_family_away(tensors: list[str], name: str) -> None:
    assert family_of_header(tensors).profile.name == name


def test_every_family_draws_at_a_size_that_it_accepts() -> None:
    for name, found in families().items():
        profile = found.profile
        assert profile.name == name
        assert profile.width % profile.multiple == profile.height % profile.multiple == 0
        assert max(profile.width, profile.height) <= found.largest


def test_flow_matching_families_take_no_bracket_weights() -> None:
    assert {"sd35", "flux-dev", "flux-schnell"} <= {name for name, found in families().items() if found.flow}
    assert not any(found.profile.weights for found in families().values() if found.flow)
    assert family("demo").profile.weights


def test_a_family_at_another_size_keeps_the_rest() -> None:
    sized = family("sd21").sized(512)
    assert (sized.profile.width, sized.profile.height) == (512, 512)
    assert sized.profile.but(width=768, height=768) == family("sd21").profile


def test_an_unknown_family_is_not_found_with_near_names() -> None:
    with pytest.raises(NotFound, match="Did you mean sd15"):
        family("sd1.5")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("random-tiny-sd15", "sd15"),
        ("v1-5-pruned-emaonly-fp16", "sd15"),
        ("dreamshaper_8", "sd15"),
        ("Counterfeit-V3.0", "sd15-anime"),
        ("v2-1_768-ema-pruned", "sd21"),
        ("sd_xl_base_1.0", "sdxl"),
        ("XL/dreamshaperXL_v21", "sdxl"),
        ("animagineXL40", "sdxl"),
        ("dreamshaperXL_v21TurboDPMSDE", "sdxl-lightning"),
        ("sdxl_lightning_4step", "sdxl-lightning"),
        ("sd_xl_turbo_1.0_fp16", "sdxl-turbo"),
        ("ponyDiffusionV6XL_v6StartWithThisOne", "pony"),
        ("waiNSFWIllustrious_v140", "illustrious"),
        ("Illustrious-XL-v2.0", "illustrious"),
        ("noobaiXLNAIXL_epsilonPred11", "noobai"),
        ("noobaiXLNAIXL_vPred10Version", "noobai-vpred"),
        ("random-tiny-sd3", "sd35"),
        ("sd3_medium_incl_clips", "sd35"),
        ("sd3.5_large_fp8_scaled", "sd35-large"),
        ("sd3.5_large_turbo", "sd35-turbo"),
        ("sd3.5_medium", "sd35-medium"),
        ("flux1-dev-fp8", "flux-dev"),
        ("flux1-schnell", "flux-schnell"),
        ("flux1-krea-dev_fp8_scaled", "flux-krea"),
        ("flux1-fill-dev", "flux-fill"),
        ("flux1-dev-kontext_fp8_scaled", "flux-kontext"),
        ("flux2_dev_fp8mixed", "flux2-dev"),
        ("flux-2-klein-4b-fp8", "flux2-klein"),
        ("flux2_klein", "flux2-klein"),
        ("flux-2-klein-base-4b", "flux2-klein-base"),
        ("flux-2-klein-9b", "flux2-klein-9b"),
        ("flux-2-klein-base-9b", "flux2-klein-base-9b"),
        ("qwen_image_2512_bf16", "qwen-image"),
        ("qwen_image_edit_2511_fp8mixed", "qwen-image-edit"),
        ("z_image_turbo_bf16", "z-image-turbo"),
        ("Z-Image-bf16", "z-image"),
        ("Chroma1-HD", "chroma"),
        ("hidream_i1_fast_fp8", "hidream-fast"),
        ("hidream_i1_dev_fp8", "hidream-dev"),
        ("hidream_i1_full_fp8", "hidream-full"),
        ("wan2.2_t2v_high_noise_14B_fp8_scaled", "unknown"),
        ("krea2_turbo_fp8", "unknown"),
        ("sd_xl_refiner_1.0", "unknown"),
        ("qwen_image_2.1_int8", "unknown"),
    ],
)
def test_a_files_name_gives_its_family_away(file: str, name: str) -> None:
    found, guessed = family_of_file("checkpoints", f"{file}.safetensors")
    assert (found.profile.name, guessed) == (name, False)


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"modelspec.architecture": "stable-diffusion-v1"}, "sd15"),
        ({"modelspec.architecture": "stable-diffusion-xl-v1-base"}, "sdxl"),
        (
            {"modelspec.architecture": "stable-diffusion-xl-v1-base", "modelspec.title": "My Illustrious mix"},
            "illustrious",
        ),
        (
            {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora", "ss_sd_model_name": "noobai.safetensors"},
            "noobai",
        ),
        ({"modelspec.architecture": "flux-1-dev"}, "flux-dev"),
        ({"modelspec.architecture": "flux-1-schnell"}, "flux-schnell"),
        ({"ss_base_model_version": "sd_v1"}, "sd15"),
    ],
)
def test_metadata_tells_more_than_a_name(metadata: dict[str, str], name: str) -> None:
    found, guessed = family_of_file("checkpoints", "z_image_by_its_name.safetensors", metadata=metadata)
    assert (found.profile.name, guessed) == (name, False)


@pytest.mark.parametrize(
    ("folder", "size", "name"),
    [
        ("checkpoints", 2_132_625_894, "sd15"),
        ("checkpoints", 4_265_380_512, "sd15"),
        ("checkpoints", 6_938_040_682, "sdxl"),
        ("checkpoints", None, "sdxl"),
        ("diffusion_models", 6_938_040_682, "unknown"),
    ],
)
def test_a_file_that_tells_nothing_is_guessed_by_its_size(folder: str, size: int | None, name: str) -> None:
    found, guessed = family_of_file(folder, "finalMix_v3.safetensors", size=size)
    assert (found.profile.name, guessed) == (name, True)


def test_a_lora_belongs_to_a_family_only_where_something_says_so() -> None:
    assert family_of_lora("detail.safetensors") is None
    known = family_of_lora("detail.safetensors", {"ss_base_model_version": "sdxl_base_v1-0"})
    assert known is not None
    assert known.kin == family("pony").kin == "sdxl"


def test_every_family_that_comfyui_draws_has_what_its_template_asks_for() -> None:
    for name, found in families().items():
        comfy = found.comfyui
        for template in filter(None, (comfy.checkpoint, comfy.split)):
            slots = templates()[template].slots
            assert ("shift" in slots) <= (comfy.shift > 0), name
        if comfy.split:
            assert templates()[comfy.split].encoders == len(comfy.clips), name
            wanted = {f"clip_{number}" for number, _ in enumerate(comfy.clips, 1)} | {"vae", "model"}
            assert wanted <= set(comfy.get), name
            assert comfy.vae, name


@pytest.mark.parametrize("name", ["sam3.1_multiplex_fp16.safetensors", "SAM3.pt", "sdpose_wholebody_fp16.safetensors"])
def test_a_checkpoint_that_finds_things_is_not_taken_for_one_that_draws(name: str) -> None:
    found, guessed = family_of_file("checkpoints", name, size=2_000_000_000)
    assert (found.profile.name, guessed) == ("unknown", False)


@pytest.mark.parametrize("name", ["samaritan_3d_xl.safetensors", "islam3nia_xl.safetensors"])
def test_a_name_that_only_looks_alike_still_draws(name: str) -> None:
    assert family_of_file("checkpoints", name)[0].profile.name == "sdxl"
