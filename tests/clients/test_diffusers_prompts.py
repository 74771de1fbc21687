"""A prompt encoded ahead is the prompt as the pipeline itself encodes it: flow models in small, with random weights."""

from __future__ import annotations

from typing import Any

import pytest

from clients.diffusers_engine.drawing import for_each
from clients.diffusers_engine.prompts import prompt_arguments
from tests.clients.tiny_models import VAE_BLOCKS, library, tiny_text_encoder, tiny_tokenizer

SETTINGS: dict[str, Any] = {
    "width": 64,
    "height": 64,
    "num_inference_steps": 2,
    "guidance_scale": 4.0,
    "output_type": "np",
}


def tiny_t5() -> tuple[Any, Any]:
    """Tokenizer of a few words and encoder."""
    tokenizers, transformers = library("tokenizers"), library("transformers")
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "red": 3, "car": 4}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=16
    )
    config = transformers.T5Config(vocab_size=8, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4)
    return fast, transformers.T5EncoderModel(config).eval()


def tiny_vae_16() -> Any:
    return library("diffusers").AutoencoderKL(
        block_out_channels=(8,) * VAE_BLOCKS,
        down_block_types=("DownEncoderBlock2D",) * VAE_BLOCKS,
        up_block_types=("UpDecoderBlock2D",) * VAE_BLOCKS,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=16,
        shift_factor=0.06,
        scaling_factor=1.5,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def tiny_sd3() -> Any:
    diffusers, (tokenizer, encoder) = library("diffusers"), tiny_t5()
    return diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=8,
            in_channels=16,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=32,
            caption_projection_dim=32,
            pooled_projection_dim=32,
            pos_embed_max_size=16,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=tiny_vae_16(),
        text_encoder=tiny_text_encoder(16, "CLIPTextModelWithProjection"),
        tokenizer=tiny_tokenizer(),
        text_encoder_2=tiny_text_encoder(16, "CLIPTextModelWithProjection"),
        tokenizer_2=tiny_tokenizer(),
        text_encoder_3=encoder,
        tokenizer_3=tokenizer,
    )


def tiny_flux() -> Any:
    diffusers, (tokenizer, encoder) = library("diffusers"), tiny_t5()
    return diffusers.FluxPipeline(
        transformer=diffusers.FluxTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=16,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=tiny_vae_16(),
        text_encoder=tiny_text_encoder(16),
        tokenizer=tiny_tokenizer(),
        text_encoder_2=encoder,
        tokenizer_2=tokenizer,
    )


def pixels(pipe: Any, *seeds: int, **words: Any) -> Any:
    torch = library("torch")
    chance = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    return pipe(**SETTINGS, **words, generator=chance if len(chance) > 1 else chance[0]).images


@pytest.mark.models
@pytest.mark.parametrize(("make", "negative"), [(tiny_sd3, "blurry"), (tiny_sd3, ""), (tiny_flux, "")])
def test_words_encoded_ahead_draw_the_same_without_the_encoders(make: Any, negative: str) -> None:
    torch, runs = library("torch"), list[str]()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = make()
    pipe.set_progress_bar_config(disable=True)
    bare = pixels(pipe, 1, prompt="red car", **({"negative_prompt": negative} if negative else {}))
    arguments, _ = prompt_arguments(pipe, "red car", negative, weights=False)

    def ran(*_: object) -> None:
        runs.append("ran")

    for name in ("text_encoder", "text_encoder_2", "text_encoder_3"):
        if encoder := getattr(pipe, name, None):
            encoder.register_forward_hook(ran)
    assert (pixels(pipe, 1, **arguments) == bare).all()
    batch = pixels(pipe, 1, 2, **for_each(arguments, 2))
    alone = [pixels(pipe, seed, **arguments)[0] for seed in (1, 2)]
    assert max(abs(one - other).max() for one, other in zip(batch, alone, strict=True)) < 1e-4
    assert abs(batch[0] - batch[1]).max() > 1e-2
    assert runs == []
