"""Files as other programs write them, made here by their documented formats; no file of anybody's is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

Graph = dict[str, Any]


def png(
    texts: Mapping[str, str], size: tuple[int, int] = (64, 48), colour: tuple[int, int, int] = (30, 90, 160)
) -> bytes:
    """A PNG with text chunks: tEXt, and iTXt where the text is not Latin-1, as Pillow and A1111 choose."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    buffer = BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def with_exif(form: str, tags: Mapping[int, str] | None = None, comment: str | None = None) -> bytes:
    """A JPEG or WebP with EXIF texts; the UserComment as A1111 writes it, in UTF-16 with the high byte first."""
    exif = Image.Exif()
    for tag, text in (tags or {}).items():
        exif[tag] = text
    if comment is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + comment.encode("utf-16-be")
    buffer = BytesIO()
    Image.new("RGB", (64, 48), (160, 90, 30)).save(buffer, form, exif=exif)
    return buffer.getvalue()


A1111 = (
    "a castle on a hill, <lora:detail_tweaker:0.6>, (golden hour:1.2)\n"
    "Negative prompt: blurry, lowres\n"
    "Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1234567890, Size: 832x1216, "
    "Model hash: 67ab2fd8ec, Model: juggernautXL_v9, VAE hash: 235745af8d, VAE: sdxl_vae.safetensors, Clip skip: 2, "
    'Lora hashes: "detail_tweaker: 7c6bad76eb54", Version: v1.10.1, '
    'Hashes: {"vae": "235745af8d", "lora:detail_tweaker": "7c6bad76eb54", "model": "67ab2fd8ec"}'
)
FORGE = (
    "a lighthouse in a storm\n"
    "Steps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 5, "
    "Size: 896x1152, Model hash: 0011223344, Model: flux1-dev-bnb-nf4-v2, Hires upscale: 1.5, Hires steps: 10, "
    "Hires upscaler: 4x-UltraSharp, Denoising strength: 0.4, Version: f2.0.1v1.10.1-previous-313-g8a042934"
)
CIVITAI = (
    "a fox in the snow\nNegative prompt: easynegative\n"
    "Steps: 25, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 832x1216, Clip skip: 2, "
    "Created Date: 2024-11-02T10:20:30.1234567Z, "
    'Civitai resources: [{"type":"checkpoint","modelVersionId":357609,"modelName":"Juggernaut XL",'
    '"modelVersionName":"V9"},{"type":"lora","weight":0.8,"modelVersionId":87153,"modelName":"Add More Details"}], '
    "Civitai metadata: {}"
)
FOOOCUS: Graph = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8Rundiffusion",
    "base_model_hash": "aeb7e9e689",
    "clip_skip": 2,
    "full_negative_prompt": ["ugly"],
    "full_prompt": ["cinematic still a cat . emotional, harmonious"],
    "guidance_scale": 4.0,
    "loras": [["sd_xl_offset_example-lora_1.0", 0.1, "4852686128"]],
    "lora_combined_1": "sd_xl_offset_example-lora_1.0.safetensors : 0.1",
    "metadata_scheme": "fooocus",
    "negative_prompt": "unrealistic",
    "performance": "Speed",
    "prompt": "a cat",
    "refiner_model": "None",
    "refiner_switch": 0.5,
    "resolution": "(1152, 896)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "8412345678901234567",
    "sharpness": 2.0,
    "steps": 30,
    "styles": "['Fooocus V2', 'Fooocus Enhance']",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}
FOOOCUS_A1111 = (
    "a cat\nNegative prompt: unrealistic\n"
    "Steps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 77, Size: 1152x896, CFG scale: 4.0, Sharpness: 2.0, "
    'ADM Guidance: "(1.5, 0.8, 0.3)", Model: juggernautXL_v8Rundiffusion, Model hash: aeb7e9e689, Performance: Speed, '
    "Scheduler: karras, VAE: Default (model), Styles: \"['Fooocus V2']\", Version: Fooocus v2.5.5"
)
SWARM: Graph = {
    "sui_image_params": {
        "prompt": "a cabin by a lake",
        "negativeprompt": "people",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "images": 1,
        "seed": 2042464333,
        "steps": 25,
        "cfgscale": 6.5,
        "aspectratio": "1:1",
        "width": 1024,
        "height": 1024,
        "sampler": "euler_ancestral",
        "scheduler": "karras",
        "clipstopatlayer": -2,
        "loras": ["styles/inkwash"],
        "loraweights": ["0.75"],
        "swarm_version": "0.9.7.0",
    },
    "sui_extra_data": {"date": "2025-03-04", "generation_time": "0.00 (prep) and 5.31 (gen) seconds"},
    "sui_models": [{"name": "sd_xl_base_1.0.safetensors", "param": "model", "hash": "0x" + "be9edd61" * 8}],
}
INVOKE: Graph = {
    "app_version": "5.4.2",
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "a harbour at dawn",
    "negative_prompt": "fog",
    "width": 1024,
    "height": 768,
    "seed": 3735928559,
    "rand_device": "cpu",
    "cfg_scale": 5.5,
    "cfg_rescale_multiplier": 0,
    "steps": 28,
    "scheduler": "dpmpp_2m_k",
    "clip_skip": 1,
    "model": {
        "key": "0e3a1a4c",
        "hash": "blake3:7cdd4e6c",
        "name": "Juggernaut XL v9",
        "base": "sdxl",
        "type": "main",
    },
    "loras": [
        {"model": {"key": "k", "hash": "blake3:1", "name": "ink", "base": "sdxl", "type": "lora"}, "weight": 0.5}
    ],
    "positive_style_prompt": "",
    "negative_style_prompt": "",
}
OLD_INVOKE: Graph = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.5",
    "model_hash": "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516",
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "2.3.5",
    "image": {
        "prompt": [{"prompt": "a bridge in autumn [people, cars]", "weight": 1}],
        "steps": 50,
        "cfg_scale": 7.5,
        "threshold": 0,
        "perlin": 0,
        "height": 512,
        "width": 768,
        "seed": 99,
        "type": "txt2img",
        "postprocessing": None,
        "sampler": "k_euler_a",
        "variations": [],
    },
}
NOVELAI = {
    "Title": "NovelAI generated image",
    "Description": "1girl, rain",
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4.5 4BDE2A90",
    "Comment": json.dumps(
        {
            "prompt": "1girl, rain",
            "steps": 28,
            "height": 1216,
            "width": 832,
            "scale": 5.0,
            "uncond_scale": 0.0,
            "seed": 1234,
            "n_samples": 1,
            "noise_schedule": "karras",
            "sampler": "k_euler_ancestral",
            "uc": "lowres",
            "request_type": "PromptGenerateRequest",
            "v4_prompt": {
                "caption": {"base_caption": "a street, rain", "char_captions": [{"char_caption": "1girl, umbrella"}]}
            },
        }
    ),
}
DRAW_THINGS_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/"><exif:UserComment><rdf:Alt>'
    '<rdf:li xml:lang="x-default">{&quot;c&quot;:&quot;a &amp; b&quot;,&quot;uc&quot;:&quot;bad&quot;,'
    "&quot;model&quot;:&quot;sd_xl_base_1.0_f16.ckpt&quot;,&quot;sampler&quot;:&quot;DPM++ 2M Karras&quot;,"
    "&quot;scale&quot;:7,&quot;seed&quot;:11,&quot;size&quot;:&quot;768x1024&quot;,&quot;steps&quot;:22,"
    "&quot;strength&quot;:1,&quot;lora&quot;:[{&quot;model&quot;:&quot;ink.ckpt&quot;,&quot;weight&quot;:0.6}]}"
    "</rdf:li></rdf:Alt></exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>"
)
EASY = {
    "prompt": "a windmill",
    "negative_prompt": "ugly",
    "seed": "314",
    "use_stable_diffusion_model": "sd-v1-5",
    "clip_skip": "True",
    "sampler_name": "dpmpp_2m",
    "width": "512",
    "height": "640",
    "num_inference_steps": "25",
    "guidance_scale": "7.5",
    "use_lora_model": "ink",
    "lora_alpha": "0.4",
}


def ksampler(**changes: Any) -> Graph:
    """ComfyUI's default graph, with two LoRAs and a skipped layer, as SaveImage writes it."""
    graph: Graph = {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 156680208700286,
                "steps": 20,
                "cfg": 8.0,
                "sampler_name": "dpmpp_2m",
                "scheduler": "karras",
                "denoise": 1.0,
                "model": ["11", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base_1.0.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 768, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a glass bottle", "clip": ["12", 0]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark", "clip": ["12", 0]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
        "10": {
            "class_type": "LoraLoader",
            "inputs": {
                "lora_name": "ink.safetensors",
                "strength_model": 0.8,
                "strength_clip": 0.5,
                "model": ["4", 0],
                "clip": ["4", 1],
            },
        },
        "11": {
            "class_type": "LoraLoaderModelOnly",
            "inputs": {"lora_name": "detail.safetensors", "strength_model": 0.4, "model": ["10", 0]},
        },
        "12": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["10", 1]}},
    }
    return graph | changes


FLUX: Graph = {
    "5": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1216, "height": 832, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["40", 0], "clip": ["11", 0]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["13", 0], "vae": ["10", 0]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "f", "images": ["8", 0]}},
    "10": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
    "11": {
        "class_type": "DualCLIPLoader",
        "inputs": {"clip_name1": "t5xxl_fp16.safetensors", "clip_name2": "clip_l.safetensors", "type": "flux"},
    },
    "12": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"}},
    "13": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {
            "noise": ["25", 0],
            "guider": ["22", 0],
            "sampler": ["16", 0],
            "sigmas": ["17", 0],
            "latent_image": ["5", 0],
        },
    },
    "16": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "17": {
        "class_type": "BasicScheduler",
        "inputs": {"scheduler": "simple", "steps": ["41", 0], "denoise": 1.0, "model": ["30", 0]},
    },
    "22": {"class_type": "BasicGuider", "inputs": {"model": ["30", 0], "conditioning": ["26", 0]}},
    "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 219670278747233}},
    "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["6", 0]}},
    "30": {
        "class_type": "ModelSamplingFlux",
        "inputs": {"max_shift": 1.15, "base_shift": 0.5, "width": 1216, "height": 832, "model": ["12", 0]},
    },
    "40": {
        "class_type": "StringConcatenate",
        "inputs": {"string_a": "a paper boat", "string_b": ["42", 0], "delimiter": ", "},
    },
    "41": {"class_type": "PrimitiveInt", "inputs": {"value": 28}},
    "42": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "on a puddle"}},
}

EDITOR: Graph = {
    "version": 0.4,
    "nodes": [
        {
            "id": 1,
            "type": "CheckpointLoaderSimple",
            "mode": 0,
            "inputs": [],
            "outputs": [{"type": "MODEL"}, {"type": "CLIP"}, {"type": "VAE"}],
            "widgets_values": ["dream.safetensors"],
        },
        {
            "id": 2,
            "type": "LoraLoader",
            "mode": 4,
            "inputs": [{"name": "model", "type": "MODEL", "link": 1}, {"name": "clip", "type": "CLIP", "link": 2}],
            "outputs": [{"type": "MODEL"}, {"type": "CLIP"}],
            "widgets_values": ["bypassed.safetensors", 1, 1],
        },
        {
            "id": 3,
            "type": "CLIPTextEncode",
            "mode": 0,
            "inputs": [{"name": "clip", "type": "CLIP", "link": 3}],
            "outputs": [{"type": "CONDITIONING"}],
            "widgets_values": ["a red door"],
        },
        {
            "id": 4,
            "type": "CLIPTextEncode",
            "mode": 0,
            "inputs": [{"name": "clip", "type": "CLIP", "link": 4}],
            "outputs": [{"type": "CONDITIONING"}],
            "widgets_values": ["rust"],
        },
        {"id": 5, "type": "EmptyLatentImage", "mode": 0, "inputs": [], "widgets_values": [640, 512, 1]},
        {
            "id": 6,
            "type": "KSampler",
            "mode": 0,
            "inputs": [
                {"name": "model", "type": "MODEL", "link": 5},
                {"name": "positive", "type": "CONDITIONING", "link": 6},
                {"name": "negative", "type": "CONDITIONING", "link": 7},
                {"name": "latent_image", "type": "LATENT", "link": 8},
            ],
            "outputs": [{"type": "LATENT"}],
            "widgets_values": [77, "randomize", 24, 6.5, "euler_ancestral", "normal", 1],
        },
        {"id": 7, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 9}], "outputs": [{"type": "LATENT"}]},
        {"id": 8, "type": "VAEDecode", "mode": 0, "inputs": [{"name": "samples", "type": "LATENT", "link": 10}]},
        {
            "id": 9,
            "type": "SaveImage",
            "mode": 0,
            "inputs": [{"name": "images", "type": "IMAGE", "link": 11}],
            "widgets_values": ["x"],
        },
    ],
    "links": [
        [1, 1, 0, 2, 0, "MODEL"],
        [2, 1, 1, 2, 1, "CLIP"],
        [3, 2, 1, 3, 0, "CLIP"],
        [4, 2, 1, 4, 0, "CLIP"],
        [5, 2, 0, 6, 0, "MODEL"],
        [6, 3, 0, 6, 1, "CONDITIONING"],
        [7, 4, 0, 6, 2, "CONDITIONING"],
        [8, 5, 0, 6, 3, "LATENT"],
        [9, 6, 0, 7, 0, "LATENT"],
        [10, 7, 0, 8, 0, "LATENT"],
        [11, 8, 0, 9, 0, "IMAGE"],
    ],
}
