"""Which family a model is, and what it needs."""

import pytest

from workflows.errors import NotFound
from workflows.families import families, family, family_of_header, family_of_pipeline


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
    assert [name for name, found in families().items() if found.flow] == ["sd35", "flux-dev", "flux-schnell"]
    assert not any(found.profile.weights for found in families().values() if found.flow)
    assert family("demo").profile.weights


def test_a_family_at_another_size_keeps_the_rest() -> None:
    sized = family("sd21").sized(512)
    assert (sized.profile.width, sized.profile.height) == (512, 512)
    assert sized.profile.but(width=768, height=768) == family("sd21").profile


def test_an_unknown_family_is_not_found_with_near_names() -> None:
    with pytest.raises(NotFound, match="Did you mean sd15"):
        family("sd1.5")
