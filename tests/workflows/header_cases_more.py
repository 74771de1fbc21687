"""The rest of the table of `header_cases`: younger picture models, video, LoRAs, and the files around a model."""

from __future__ import annotations

from tests.workflows import headers as made
from tests.workflows.header_cases import GUESS, NAMED, TOLD, Case, bare, checkpoint, lora, other
from tests.workflows.headers import LDM, under, whole

PICTURES = {
    "z-image, turbo or not": bare("z-image-turbo", made.lumina(3840, ("cap_pad_token", (1, 3840))), **GUESS),
    "z-image by its name": bare(
        "z-image", made.lumina(3840), name="z_image_bf16", dtype="BF16", precision="bf16", **NAMED
    ),
    "z-image turbo by its name": bare("z-image-turbo", made.lumina(3840), name="z_image_turbo", **NAMED),
    "z-image omni": bare("z-image-turbo", made.lumina(3840, ("siglip_embedder.0.weight", (1152,))), "omni", **GUESS),
    "lumina 2": checkpoint(
        "lumina2",
        whole(made.lumina(2304), under("text_encoders.gemma2_2b.", {"model.norm.weight": (2304,)}), made.SD15_PARTS[1]),
    ),
    "newbie": bare("newbie", made.lumina(2304, ("clip_text_pooled_proj.0.weight", (1024,)))),
    "qwen-image": bare("qwen-image", made.qwen(), name="qwen_image_2512"),
    "qwen-image-edit by its name": bare("qwen-image-edit", made.qwen(), name="qwen_image_edit_2509", **NAMED),
    "qwen-image-edit 2511 by its mark": bare("qwen-image-edit", made.qwen(("__index_timestep_zero__", (0,))), "2511"),
    "qwen-image-layered": bare(
        "qwen-image-layered", made.qwen(("time_text_embed.addition_t_embedding.weight", (2, 3072)))
    ),
    "qwen-image 2.1": bare(
        "qwen-image-21", {"txt_in.text_norm.weight": (4096,), "transformer_blocks.0.img_mlp.gate_up.weight": (10, 10)}
    ),
    "krea 2": bare("krea2", {"txtfusion.projector.weight": (10, 10), "first.weight": (10, 10)}),
    "ideogram 4": bare("ideogram4", {"embed_image_indicator.weight": (2, 10), "input_proj.weight": (10, 10)}),
    "ernie-image": bare("ernie-image", {"layers.0.mlp.linear_fc2.weight": (10, 10)}),
    "hidream, which of the three is a guess": bare(
        "hidream-full",
        {"caption_projection.0.linear.weight": (2560, 4096), "double_stream_blocks.0.block.ff_i.w1.weight": (10, 10)},
        **GUESS,
    ),
    "hidream fast by its name": bare(
        "hidream-fast", {"caption_projection.0.linear.weight": (2560, 4096)}, name="hidream_i1_fast", **NAMED
    ),
    "hidream-o1": checkpoint(
        "hidream-o1",
        {"t_embedder1.mlp.0.weight": (10, 256), "x_embedder.proj1.weight": (10, 10)},
        parts=("model", "text_encoder"),
    ),
    "hidream dev by its name": bare(
        "hidream-dev", {"caption_projection.0.linear.weight": (2560, 4096)}, name="hidream_i1_dev", **NAMED
    ),
    "hidream-e1 by its name": bare(
        "hidream-e1", {"caption_projection.0.linear.weight": (2560, 4096)}, name="hidream_e1_full", **NAMED
    ),
    "sana": bare("sana", {"t_block.1.weight": (6720, 1120), "attention_y_norm.weight": (2240,)}),
    "boogu": bare("boogu", {"double_stream_layers.0.img_instruct_attn.to_q.weight": (10, 10)}),
    "omnigen2": bare("omnigen2", {"time_caption_embed.timestep_embedder.linear_1.bias": (1024,)}),
    "lens": bare(
        "lens",
        {"transformer_blocks.0.attn.norm_added_q.weight": (64,), "transformer_blocks.0.img_mlp.w1.weight": (10, 10)},
    ),
    "mage-flow": bare("mage-flow", {"txt_norm.weight": (2560,), "proj_out.weight": (128, 3072)}),
    "anima": bare(
        "anima",
        under(
            "net.", {"blocks.0.mlp.layer1.weight": (10, 10), "llm_adapter.blocks.0.cross_attn.q_proj.weight": (10, 10)}
        ),
    ),
    "cosmos predict 2": bare("cosmos", under("net.", {"blocks.0.mlp.layer1.weight": (10, 10)})),
    "auraflow": bare(
        "auraflow", {"double_layers.0.attn.w1q.weight": (3072, 3072), "cond_seq_linear.weight": (3072, 2048)}
    ),
    "pony v7 by its name": bare(
        "pony-v7", {"double_layers.0.attn.w1q.weight": (3072, 3072)}, name="ponyDiffusionV7", **NAMED
    ),
    "pixart sigma": bare("pixart", {"t_block.1.weight": (6912, 1152)}, "sigma"),
    "pixart alpha": bare("pixart", {"t_block.1.weight": (6912, 1152), "ar_embedder.mlp.0.weight": (384, 256)}, "alpha"),
    "hunyuan-dit": bare("hunyuan-dit", {"mlp_t5.0.weight": (8192, 2048)}),
    "kandinsky 5 image": bare(
        "kandinsky5-image",
        {
            "visual_transformer_blocks.0.cross_attention.key_norm.weight": (128,),
            "visual_embeddings.in_layer.weight": (2560, 64),
        },
    ),
}

NVFP4_WAN = made.wan(5120, 16, ("blocks.0.ffn.0.weight", (13824, 2560)), ("blocks.0.ffn.0.weight_scale_2", ()))
VIDEOS = {
    "wan 2.1 1.3b": bare("wan21-1.3b", made.wan(1536, 16), "t2v"),
    "wan 14b t2v, 2.1 or 2.2": bare("wan21-14b", made.wan(5120, 16), "t2v", **GUESS),
    "wan 2.1 14b i2v": bare("wan21-14b", made.wan(5120, 36, ("img_emb.proj.0.bias", (1280,))), "i2v"),
    "wan 2.2 14b i2v, high noise": bare(
        "wan22-14b", made.wan(5120, 36), "i2v high-noise", name="wan2.2_i2v_high_noise_14B_fp8_scaled"
    ),
    "wan 2.2 14b t2v, low noise": bare(
        "wan22-14b", made.wan(5120, 16), "t2v low-noise", name="Wan2.2-T2V-A14B-LowNoise", **NAMED
    ),
    "wan 2.2 5b": bare("wan22-5b", made.wan(3072, 48), "ti2v"),
    "humo of wan 2.1": bare(
        "wan21-14b", made.wan(5120, 36, ("audio_proj.audio_proj_glob_1.layer.bias", (512,))), "humo"
    ),
    "humo, the small one": bare(
        "wan21-1.3b", made.wan(1536, 36, ("audio_proj.audio_proj_glob_1.layer.bias", (512,))), "humo"
    ),
    "scail of wan 2.1": bare(
        "wan21-14b",
        made.wan(5120, 20, ("img_emb.proj.0.bias", (1280,)), ("patch_embedding_pose.weight", (5120, 20, 1, 2, 2))),
        "scail",
    ),
    "wan dancer": bare(
        "wan22-14b",
        made.wan(5120, 36, ("img_emb.proj.0.bias", (1280,)), ("patch_embedding_global.weight", (5120, 36, 1, 2, 2))),
        "wandancer",
    ),
    "hunyuan image, its refiner": bare("hunyuan-image", made.hunyuan((3072, 128, 1, 1, 1)), "refiner"),
    "wan vace": bare("wan21-14b", made.wan(5120, 16, ("vace_patch_embedding.weight", (5120, 96, 1, 2, 2))), "vace"),
    "wan s2v": bare(
        "wan22-14b", made.wan(5120, 16, ("casual_audio_encoder.encoder.final_linear.weight", (10, 10))), "s2v"
    ),
    "wan animate": bare(
        "wan22-14b", made.wan(5120, 36, ("face_adapter.fuser_blocks.0.k_norm.weight", (128,))), "animate"
    ),
    "wan in nvfp4": bare(
        "wan21-14b",
        NVFP4_WAN,
        "t2v",
        dtype="BF16",
        types={"ffn.0.weight": "U8", "weight_scale_2": "F32", "self_attn.q.weight": "F8_E4M3"},
        precision="nvfp4",
        weights=5120 * 16 * 4 + 2 * 5120 + 5120 * 5120 + 13824 * 5120 + 1,
        **GUESS,
    ),
    "ltx-video 2b with its vae": checkpoint(
        "ltx-video",
        whole(made.ltx(28), under("vae.", {"decoder.up_blocks.9.res_blocks.0.conv1.conv.weight": (128, 128, 3, 3, 3)})),
        "2b",
        parts=("model", "vae"),
    ),
    "ltx-video 13b": bare("ltx-video", made.ltx(48), "13b"),
    "ltx-2": bare("ltx2", made.ltx(48, ("audio_adaln_single.linear.weight", (10, 10)))),
    "hunyuanvideo": bare(
        "hunyuan-video", made.hunyuan((3072, 16, 1, 2, 2), ("vector_in.in_layer.weight", (3072, 768))), "t2v"
    ),
    "hunyuanvideo i2v": bare(
        "hunyuan-video", made.hunyuan((3072, 33, 1, 2, 2), ("vector_in.in_layer.weight", (3072, 768))), "i2v"
    ),
    "hunyuanvideo 1.5": bare(
        "hunyuan-video-15", made.hunyuan((2048, 65, 1, 1, 1), ("vision_in.proj.0.weight", (1152,)))
    ),
    "hunyuanimage 2.1": bare("hunyuan-image", made.hunyuan((3584, 64, 1, 1), ("byt5_in.fc1.weight", (2048, 1472)))),
    "kandinsky 5 pro": bare(
        "kandinsky5-video",
        {
            "visual_transformer_blocks.0.cross_attention.key_norm.weight": (128,),
            "visual_embeddings.in_layer.weight": (4096, 64),
        },
        "pro",
    ),
    "minimax-h3": bare("minimax-h3", {"video_patch_proj.weight": (10, 10), "audio_patch_proj.weight": (10, 10)}),
    "cogvideox": bare("cogvideox", {"blocks.0.norm1.linear.weight": (10, 512)}),
    "mochi": bare("mochi", {"t5_yproj.weight": (1536, 4096)}),
    "seedvr2 7b": bare("seedvr2", {"blocks.35.mlp.vid.proj_out.weight": (3072, 12288)}, "7b"),
    "seedvr2 3b": bare("seedvr2", {"blocks.31.mlp.all.proj_in_gate.weight": (6912, 2560)}, "3b"),
}

FLUX_LORA = [("double_blocks_0_img_attn_qkv", 3072, 9216), ("single_blocks_37_linear1", 3072, 21504)]
QWEN_LORA = [
    ("transformer_blocks.0.attn.add_k_proj", 3072, 3072),
    ("transformer_blocks.0.img_mlp.net.0.proj", 3072, 12288),
]
ONLY_TEXT = [("encoder_layers_0_self_attn_q_proj", 768, 768)]
LORAS = {
    "sdxl by kohya": lora("sdxl", made.kohya(made.SDXL_LAYERS)),
    "sdxl of diffusers": lora(
        "sdxl", made.peft([("down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", 2048, 640)], "unet.")
    ),
    "sdxl with both encoders": lora("sdxl", made.kohya(ONLY_TEXT, "lora_te2_text_model_")),
    "pony by the model that it was trained on": lora(
        "pony",
        made.kohya(made.SDXL_LAYERS),
        metadata={"ss_base_model_version": "sdxl_base_v1-0", "ss_sd_model_name": "ponyDiffusionV6XL_v6.safetensors"},
        **TOLD,
    ),
    "pony by its training words": lora(
        "pony",
        made.kohya(made.SDXL_LAYERS),
        metadata={"ss_tag_frequency": '{"set": {"score_9": 30, "1girl": 30}}'},
        **TOLD,
    ),
    "illustrious by its name": lora("illustrious", made.kohya(made.SDXL_LAYERS), name="style_illustrious_v2", **NAMED),
    "sd15 by kohya": lora("sd15", made.kohya(made.SD15_LAYERS)),
    "sd15 as a LoHa": lora("sd15", made.loha(made.SD15_LAYERS), "loha"),
    "sdxl as a LoKr": lora(
        "sdxl", made.lokr([("unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k", 2048, 640)]), "lokr"
    ),
    "sdxl as a DoRA": lora(
        "sdxl",
        {
            **made.kohya(made.SDXL_LAYERS),
            "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.dora_scale": (1, 2048),
        },
        "dora",
    ),
    "sd15 as whole differences": lora(
        "sd15", {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.diff": (320, 768)}, "full"
    ),
    "sd21 by kohya": lora(
        "sd21", made.kohya([("down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 1024, 320)])
    ),
    "sd15, only its text encoder": lora("sd15", made.kohya(ONLY_TEXT, "lora_te_text_model_"), **GUESS),
    "flux by kohya": lora("flux-dev", made.kohya(FLUX_LORA)),
    "flux of diffusers": lora(
        "flux-dev",
        made.peft(
            [
                ("single_transformer_blocks.0.attn.to_q", 3072, 3072),
                ("transformer_blocks.0.attn.add_k_proj", 3072, 3072),
            ]
        ),
    ),
    "flux kontext by its name": lora("flux-kontext", made.kohya(FLUX_LORA), name="kontext_flux_remove", **NAMED),
    "chroma by its metadata": lora(
        "chroma", made.kohya(FLUX_LORA), metadata={"modelspec.architecture": "chroma/lora"}, **TOLD
    ),
    "flux.2 dev": lora("flux2-dev", made.peft([("double_blocks.0.img_attn.qkv", 6144, 18432)], "diffusion_model.")),
    "flux.2 klein 9b": lora(
        "flux2-klein-9b", made.peft([("single_blocks.0.linear1", 4096, 36864)], "diffusion_model.")
    ),
    "flux.2 klein 4b": lora("flux2-klein", made.peft([("single_blocks.0.linear1", 3072, 27648)], "diffusion_model.")),
    "hunyuanvideo": lora("hunyuan-video", made.kohya([("double_blocks_19_img_attn_qkv", 3072, 9216)])),
    "qwen-image": lora("qwen-image", made.peft(QWEN_LORA)),
    "qwen-image-edit by its name": lora(
        "qwen-image-edit", made.peft(QWEN_LORA), name="Qwen-Image-Edit-2511-Lightning-4steps", **NAMED
    ),
    "z-image": lora("z-image-turbo", made.peft([("layers.0.attention.qkv", 3840, 11520)], "diffusion_model."), **GUESS),
    "z-image by its metadata": lora(
        "z-image",
        made.peft([("layers.0.attention.to_q", 3840, 3840)], "diffusion_model."),
        metadata={"ss_base_model_version": "zimage"},
        **TOLD,
    ),
    "lumina 2": lora("lumina2", made.peft([("layers.0.attention.qkv", 2304, 6912)], "diffusion_model.")),
    "wan 14b": lora("wan21-14b", made.peft([("blocks.0.self_attn.q", 5120, 5120)], "diffusion_model.")),
    "wan 2.1 14b i2v": lora(
        "wan21-14b",
        made.peft(
            [("blocks.0.self_attn.q", 5120, 5120), ("blocks.0.cross_attn.k_img", 5120, 5120)], "diffusion_model."
        ),
        variant="i2v",
    ),
    "wan 2.2 14b, high noise": lora(
        "wan22-14b",
        made.peft([("blocks.0.self_attn.q", 5120, 5120)], "diffusion_model."),
        name="wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise",
        variant="high-noise",
        **NAMED,
    ),
    "wan 1.3b": lora("wan21-1.3b", made.kohya([("blocks_0_cross_attn_k", 1536, 1536)])),
    "wan 2.2 5b": lora("wan22-5b", made.peft([("blocks.0.ffn.0", 3072, 14336)], "diffusion_model.")),
    "ltx-video": lora("ltx-video", made.peft([("transformer_blocks.0.attn1.to_q", 2048, 2048)])),
    "ltx-2": lora("ltx2", made.peft([("transformer_blocks.0.audio_attn1.to_q", 2048, 2048)], "diffusion_model.")),
    "sd3.5 large": lora("sd35-large", made.kohya([("joint_blocks_0_x_block_attn_qkv", 2432, 7296)])),
    "sd3.5 medium": lora("sd35-medium", made.kohya([("joint_blocks_0_x_block_attn2_qkv", 1536, 4608)])),
    "auraflow": lora("auraflow", made.peft([("joint_transformer_blocks.0.attn.add_q_proj", 3072, 3072)])),
    "of a model that is not known": lora("unknown", made.peft([("weird.0.thing", 10, 10)]), guessed=True, told_by=""),
    "of a model that only its metadata tells": lora(
        "wan21-14b",
        made.peft([("weird.0.thing", 10, 10)]),
        metadata={"ss_base_model_version": "wan2.1"},
        **TOLD,
    ),
}

CONTROL: made.Made = {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}
ADDITIONS = {
    "textual inversion, sd15": other("embedding", "sd15", {"emb_params": (4, 768)}),
    "textual inversion, sd21": other("embedding", "sd21", {"emb_params": (4, 1024)}),
    "textual inversion, sdxl": other("embedding", "sdxl", {"clip_l": (4, 768), "clip_g": (4, 1280)}),
    "controlnet sd15": other(
        "controlnet",
        "sd15",
        under(
            "control_model.",
            made.sd15_unet() | {"input_hint_block.0.weight": (16, 3, 3, 3), "time_embed.0.weight": (1280, 320)},
        ),
    ),
    "controlnet sd15 of diffusers": other("controlnet", "sd15", CONTROL | made.unet_of_diffusers(768)),
    "controlnet sd21 of diffusers": other("controlnet", "sd21", CONTROL | made.unet_of_diffusers(1024)),
    "controlnet sdxl of diffusers": other("controlnet", "sdxl", CONTROL | made.unet_of_diffusers(2048, 2816)),
    "controlnet sdxl union": other(
        "controlnet",
        "sdxl",
        CONTROL | made.unet_of_diffusers(2048, 2816) | {"control_add_embedding.linear_1.bias": (1280,)},
        "union",
    ),
    "control-lora": other(
        "controlnet", "sdxl", {"lora_controlnet": (0,), "input_blocks.0.0.up": (10, 10)}, "control-lora"
    ),
    "controlnet flux": other("controlnet", "flux-dev", {"controlnet_x_embedder.weight": (3072, 64)}),
    "t2i-adapter": other(
        "controlnet", "sd15", under("adapter.", {"body.0.resnets.0.block1.weight": (320, 320, 3, 3)}), "t2i-adapter"
    ),
    "z-image control patch": other(
        "model_patch", "z-image-turbo", {"control_all_x_embedder.2-1.weight": (3840, 64)}, "controlnet"
    ),
    "redux": other("style_model", "flux-dev", {"redux_up.weight": (12288, 1152)}, "redux"),
    "animatediff": other(
        "other", "unknown", {"down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": (320,)}, "animatediff"
    ),
}

FLUX_VAE: made.Made = {"decoder.conv_in.weight": (512, 16, 3, 3)}
WAN_VAE: made.Made = {"decoder.middle.0.residual.0.gamma": (384, 1, 1, 1), "decoder.conv1.weight": (384, 16, 3, 3, 3)}
COMPONENTS = {
    "sd vae": other("vae", "sd15", made.SD_VAE, **GUESS),
    "sdxl vae by its name": other("vae", "sdxl", made.SD_VAE, name="sdxl_vae", **NAMED),
    "flux vae": other("vae", "flux-dev", FLUX_VAE, name="ae", **GUESS),
    "sd3 vae by its name": other("vae", "sd35", FLUX_VAE, name="sd3_vae", **NAMED),
    "flux.2 vae": other("vae", "flux2-dev", {"decoder.conv_in.weight": (512, 32, 3, 3)}),
    "wan vae": other("vae", "wan21-14b", WAN_VAE),
    "qwen-image vae by its name": other("vae", "qwen-image", WAN_VAE, name="qwen_image_vae", **NAMED),
    "wan 2.2 vae": other("vae", "wan22-5b", WAN_VAE | {"decoder.conv1.weight": (1024, 48, 3, 3, 3)}),
    "hunyuanvideo vae": other("vae", "hunyuan-video", {"decoder.conv_in.conv.weight": (512, 16, 3, 3, 3)}),
    "clip-l": other("text_encoder", "unknown", made.CLIP_L, "clip-l"),
    "t5-xxl in fp8": other("text_encoder", "unknown", made.t5(32128, 4096), "t5-xxl", dtype="F8_E4M3", precision="fp8"),
    "t5-xxl in mxfp8": other(
        "text_encoder",
        "unknown",
        made.t5(32128, 4096) | {"encoder.block.0.layer.0.SelfAttention.k.weight_scale": (4096, 128)},
        "t5-xxl",
        dtype="F8_E4M3",
        types={"weight_scale": "F8_E8M0"},
        precision="mxfp8",
    ),
    "umt5-xxl": other("text_encoder", "unknown", made.t5(256384, 4096), "umt5-xxl"),
    "qwen3 4b": other("text_encoder", "unknown", made.layered(2560, 36), "qwen3-4b"),
    "qwen2.5-vl 7b": other("text_encoder", "unknown", made.layered(3584, 28), "qwen2.5-vl-7b"),
    "qwen3 8b": other("text_encoder", "unknown", made.layered(4096, 36), "qwen3-8b"),
    "llama 3.1 8b": other("text_encoder", "unknown", made.layered(4096, 32), "llama-8b"),
    "mistral 24b": other("text_encoder", "unknown", made.layered(5120, 40), "mistral-24b"),
    "gemma 2 2b": other("text_encoder", "unknown", made.layered(2304, 26), "gemma2-2b"),
    "clip vision h": other(
        "clip_vision",
        "unknown",
        {
            "vision_model.embeddings.patch_embedding.weight": (1280, 3, 14, 14),
            **{f"vision_model.encoder.layers.{n}.layer_norm1.weight": (1280,) for n in range(32)},
        },
        "clip-vit-h",
    ),
    "esrgan": other(
        "upscaler",
        "unknown",
        {"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)},
        "esrgan",
    ),
    "real-esrgan": other(
        "upscaler", "unknown", {"conv_first.weight": (64, 3, 3, 3), "conv_body.weight": (64, 64, 3, 3)}, "esrgan"
    ),
}

UNTOLD = {
    "ace-step, all in one, which has the signs of pixart too": other(
        "other",
        "unknown",
        under(LDM, {"genre_embedder.weight": (1536, 512), "t_block.1.weight": (9216, 1536)}),
        "ace-step",
    ),
    "ace-step 1.5": other(
        "other",
        "unknown",
        under(LDM, {"encoder.lyric_encoder.layers.0.input_layernorm.weight": (2048,)}),
        "ace-step 1.5",
    ),
    "stable audio, all in one": other(
        "other", "unknown", {"model.model.transformer.rotary_pos_emb.inv_freq": (32,)}, "stable-audio"
    ),
    "nothing that is known": other("other", "unknown", {"a.b": (10,)}, guessed=True, told_by=""),
    "nothing but a name": other("other", "flux-dev", {"a.b": (10,)}, name="flux1-dev", **NAMED),
    "nothing but metadata": other(
        "lora", "flux-dev", {"a.b": (10,)}, metadata={"modelspec.architecture": "flux-1-dev/lora"}, **TOLD
    ),
    "no tensors at all": Case(
        shapes={}, is_={"kind": "other", "family": "unknown", "precision": "", "guessed": True, "told_by": ""}
    ),
}
