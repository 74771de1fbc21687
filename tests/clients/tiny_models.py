"""Tiny Stable Diffusion models with random weights, as diffusers folders and as the single files of old.

They draw noise; what they prove is that weights, words and pictures go where they belong.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clients

TOKENIZER = Path(clients.__file__).parent / "demo" / "t2i" / "tokenizer"
LAYERS = 1
"""Residual layers of one block; the input and output blocks of the original layout are counted with it."""
VAE_BLOCKS = 4


def library(name: str) -> Any:
    """A model library without the types that it only half has."""
    import importlib

    return importlib.import_module(name)


def unet_settings(text_width: int) -> dict[str, Any]:
    return {
        "sample_size": 8,
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": LAYERS,
        "norm_num_groups": 4,
        "attention_head_dim": 4,
        "cross_attention_dim": text_width,
    }


def tiny_vae() -> Any:
    """Shrinks eightfold, as the real one; its last layer is loud, so that small differences reach the pixels."""
    diffusers, torch = library("diffusers"), library("torch")
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8,) * VAE_BLOCKS,
        down_block_types=("DownEncoderBlock2D",) * VAE_BLOCKS,
        up_block_types=("UpDecoderBlock2D",) * VAE_BLOCKS,
        layers_per_block=LAYERS,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=64,
    )
    with torch.no_grad():
        vae.decoder.conv_out.weight.mul_(4)
    return vae


def tiny_text_encoder(width: int, kind: str = "CLIPTextModel") -> Any:
    transformers, tokenizer = library("transformers"), tiny_tokenizer()
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=32,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return getattr(transformers, kind)(config).eval()


def tiny_tokenizer(**changes: Any) -> Any:
    return library("transformers").CLIPTokenizer.from_pretrained(str(TOKENIZER), **changes)


def save_tiny_sd(folder: Path) -> Path:
    """Stable Diffusion 1.5 in small: its text width, by which it is known, and its scheduler."""
    diffusers, torch = library("diffusers"), library("torch")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        pipe = diffusers.StableDiffusionPipeline(
            vae=tiny_vae(),
            text_encoder=tiny_text_encoder(768),
            tokenizer=tiny_tokenizer(),
            unet=diffusers.UNet2DConditionModel(**unet_settings(768)),
            scheduler=diffusers.DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1, clip_sample=False),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipe.save_pretrained(str(folder))
    return folder


def save_tiny_sdxl(folder: Path) -> Path:
    """Stable Diffusion XL in small: two text encoders, the second with another padding and a pooled output."""
    diffusers, torch = library("diffusers"), library("torch")
    with torch.random.fork_rng():
        torch.manual_seed(2)
        pipe = diffusers.StableDiffusionXLPipeline(
            vae=tiny_vae(),
            text_encoder=tiny_text_encoder(32),
            text_encoder_2=tiny_text_encoder(48, "CLIPTextModelWithProjection"),
            tokenizer=tiny_tokenizer(),
            tokenizer_2=tiny_tokenizer(pad_token="!"),
            unet=diffusers.UNet2DConditionModel(
                **unet_settings(32 + 48),
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=6 * 8 + 48,
                use_linear_projection=True,
            ),
            scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear"),
            add_watermarker=False,
        )
    pipe.save_pretrained(str(folder))
    return folder


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


def save_single_file(folder: Path, file: Path) -> Path:
    """The weights of a `save_tiny_sd` folder in the layout of the original Stable Diffusion 1 checkpoints.

    With two of the tensors that the originals hold besides and that no pipeline takes.
    """
    torch, files = library("torch"), library("safetensors.torch")
    weights: dict[str, Any] = {
        "alphas_cumprod": torch.ones(1000),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(32)[None],
    }
    for part, prefix, names in (
        ("unet", "model.diffusion_model.", original_unet_name),
        ("vae", "first_stage_model.", original_vae_name),
        ("text_encoder", "cond_stage_model.transformer.", original_text_name),
    ):
        [found] = (folder / part).glob("*.safetensors")
        for name, tensor in files.load_file(found).items():
            attention = part == "vae" and re.search(r"mid_block\.attentions\.0\.to_.*weight", name)
            weights[prefix + names(name)] = tensor[:, :, None, None].contiguous() if attention else tensor
    files.save_file(weights, file)
    return file


RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def original_unet_name(name: str) -> str:
    """Every residual layer, and every change of size in the way down, is a block of its own there."""
    stem, leaf = name.rsplit(".", 1)
    if stem in UNET_ENDS:
        return f"{UNET_ENDS[stem]}.{leaf}"
    kind, block, part, number, rest = re.fullmatch(
        r"(down|up|mid)_blocks?\.?(\d*)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", stem
    ).groups()  # pyright: ignore[reportOptionalMemberAccess]
    rest = RESNET.get(rest, rest) if part == "resnets" else rest
    if kind == "mid":
        return f"middle_block.{1 if part == 'attentions' else 2 * int(number)}.{rest}.{leaf}"
    first = int(block) * (LAYERS + 1)
    if part == "downsamplers":
        return f"input_blocks.{first + LAYERS + 1}.0.op.{leaf}"
    if part == "upsamplers":  # behind the block's last residual layer; no attention stands between them here
        return f"output_blocks.{first + LAYERS}.1.conv.{leaf}"
    side, at = ("input", first + 1) if kind == "down" else ("output", first)
    return f"{side}_blocks.{at + int(number)}.{0 if part == 'resnets' else 1}.{rest}.{leaf}"


def original_vae_name(name: str) -> str:
    """The way up is counted from its end there."""
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    if found := re.fullmatch(r"(.*)mid_block\.attentions\.0\.(.*)\.(\w+)", name):
        return f"{found[1]}mid.attn_1.{VAE_ATTENTION[found[2]]}.{found[3]}"
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = re.sub(r"up_blocks\.(\d)", lambda m: f"up.{VAE_BLOCKS - 1 - int(m[1])}", name)
    name = re.sub(r"(down|up)samplers\.0", r"\1sample", name.replace("down_blocks", "down"))
    return name.replace("resnets", "block")


def original_text_name(name: str) -> str:
    return f"text_model.{name.removeprefix('text_model.')}"


LORA_LAYERS = (".to_q", ".to_k", ".to_v", ".to_out.0", ".q_proj", ".k_proj", ".v_proj", ".out_proj", ".fc1")
"""The layers that trainers reach: attention of all networks, and the text encoders' own."""


def save_tiny_lora(folder: Path, file: Path, seed: int = 0, parts: tuple[str, ...] = (), scale: float = 0.3) -> Path:
    """A LoRA as kohya's trainer writes it, for the networks of that pipeline's folder; `parts`: only these of them."""
    torch, files = library("torch"), library("safetensors.torch")
    chance, weights = torch.Generator().manual_seed(seed), dict[str, Any]()
    for part, name, module in _lora_layers(folder):
        if parts and part not in parts:
            continue
        shapes = {"lora_down": (4, module.in_features), "lora_up": (module.out_features, 4)}
        for kind, shape in shapes.items():
            weights[f"{name}.{kind}.weight"] = torch.randn(shape, generator=chance) * scale
        weights[f"{name}.alpha"] = torch.tensor(4.0)
    file.parent.mkdir(parents=True, exist_ok=True)
    files.save_file(weights, file)
    return file


def _lora_layers(folder: Path) -> Iterator[tuple[str, str, Any]]:
    """Network, kohya's name of the layer, and the layer."""
    pipe = library("diffusers").DiffusionPipeline.from_pretrained(str(folder), local_files_only=True)
    second = getattr(pipe, "text_encoder_2", None)
    encoders = {"text_encoder": "te1" if second else "te", "text_encoder_2": "te2"}
    for part, short in ({"unet": "unet"} | encoders).items():
        for name, module in pipe.components[part].named_modules() if part in pipe.components else ():
            if name.endswith(LORA_LAYERS):
                inside = name if part == "unet" or name.startswith("text_model") else f"text_model.{name}"
                yield part, f"lora_{short}_{inside.replace('.', '_')}", module


def keep_configuration_only(folder: Path) -> Path:
    """What must lie beside a single file: everything but weights."""
    for weights in folder.rglob("*.safetensors"):
        weights.unlink()
    assert json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["_class_name"]
    return folder


def save_tiny_wan(folder: Path, **settings: Any) -> Path:
    """Wan 2.1 in small: frames of 4n+1, which its autoencoder shrinks eightfold and in time fourfold."""
    diffusers, torch, (tokenizer, encoder) = library("diffusers"), library("torch"), tiny_t5()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        pipe = diffusers.WanPipeline(
            tokenizer=tokenizer,
            text_encoder=encoder,
            vae=diffusers.AutoencoderKLWan(
                base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
            ),
            transformer=diffusers.WanTransformer3DModel(
                patch_size=(1, 2, 2),
                num_attention_heads=12,
                attention_head_dim=12,
                text_dim=32,
                freq_dim=32,
                ffn_dim=32,
                num_layers=1,
                rope_max_seq_len=32,
            ),
            scheduler=diffusers.UniPCMultistepScheduler(
                prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
            ),
            **settings,
        )
    pipe.save_pretrained(str(folder))
    return folder


def save_tiny_ltx(folder: Path) -> Path:
    """LTX-Video in small: one set of weights that begins with words or with a picture."""
    diffusers, torch, (tokenizer, encoder) = library("diffusers"), library("torch"), tiny_t5()
    with torch.random.fork_rng():
        torch.manual_seed(4)
        vae = diffusers.AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=(8,) * 4,
            decoder_block_out_channels=(8,) * 4,
            layers_per_block=(1,) * 5,
            decoder_layers_per_block=(1,) * 5,
            spatio_temporal_scaling=(True, True, False, False),
            decoder_spatio_temporal_scaling=(True, True, False, False),
            decoder_inject_noise=(False,) * 5,
            upsample_residual=(False,) * 4,
            upsample_factor=(1,) * 4,
            patch_size=1,
        )
        pipe = diffusers.LTXPipeline(
            tokenizer=tokenizer,
            text_encoder=encoder,
            vae=vae,
            transformer=diffusers.LTXVideoTransformer3DModel(
                in_channels=8,
                out_channels=8,
                num_attention_heads=4,
                attention_head_dim=8,
                cross_attention_dim=32,
                num_layers=1,
                caption_channels=32,
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        )
    pipe.save_pretrained(str(folder))
    return folder
