"""The objects that the stand-in of CivitAI gives, and what it says of a search that it does not take."""

from __future__ import annotations

import hashlib
import json
import math
import random
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

Json = dict[str, Any]
TYPES = """Checkpoint TextualInversion Hypernetwork AestheticGradient LORA LoCon DoRA Controlnet Upscaler MotionModule
VAE Poses Wildcards Workflows Detection Other""".split()
SORTS = {
    "Highest Rated": "thumbsUpCount",
    "Most Downloaded": "downloadCount",
    "Most Liked": "thumbsUpCount",
    "Most Discussed": "commentCount",
    "Most Collected": "collectedCount",
    "Most Images": "imageCount",
    "Newest": "",
    "Oldest": "",
}

BASE_MODELS = """SD 1.4|SD 1.5|SD 1.5 LCM|SD 1.5 Hyper|SD 2.0|SD 2.0 768|SD 2.1|SD 2.1 768|SDXL 0.9|SDXL 1.0
SDXL Lightning|SDXL Hyper|SDXL Turbo|Pony|Pony V7|Illustrious|NoobAI|SD 3|SD 3.5|SD 3.5 Medium|SD 3.5 Large
Flux.1 D|Flux.1 S|Flux.1 Krea|Flux.1 Kontext|Flux.2 D|Chroma|HiDream|Qwen|ZImageTurbo|ZImageBase|Wan Video|LTXV|Other"""
"""Some of those that the site knows."""


def weights(
    tensors: Mapping[str, Sequence[int]] | None = None, metadata: Mapping[str, str] | None = None, seed: int = 0
) -> bytes:
    """The bytes of a safetensors file of half precision; a tiny LoRA for SDXL when no tensors are given."""
    block = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    lora = {f"{block}.lora_down.weight": (4, 2048), f"{block}.lora_up.weight": (640, 4), f"{block}.alpha": (1,)}
    header: Json = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, shape in (tensors or lora).items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + random.Random(seed).randbytes(at)


def fault_of(request: web.Request) -> web.Response | None:
    """What the real search says of arguments that it does not take."""
    query = request.query
    limit, page = query.get("limit", "100"), query.get("page", "1")
    if "page" in query and "query" in query:
        return web.json_response({"error": "Cannot use page param with query search. Use cursor instead."}, status=400)
    if page.isdecimal() and limit.isdecimal() and int(page) * int(limit) > 1000:
        text = "You've requested too many pages, please use cursors instead"
        return web.json_response({"error": text}, status=429)
    wrong = [name for name in query.getall("types", []) if name not in TYPES]
    known = BASE_MODELS.replace("\n", "|").split("|")
    wrong += [name for name in query.getall("baseModels", []) if name not in known]
    wrong += [query["sort"]] if query.get("sort", "Newest") not in SORTS else []
    wrong += [limit] if not (limit.isdecimal() and 1 <= int(limit) <= 100) else []
    if wrong:
        issue = {"code": "invalid_value", "message": f"Invalid option: {wrong[0]}"}
        return web.json_response({"error": {"name": "ZodError", "issues": [issue]}}, status=400)
    if "favorites" in query and "Authorization" not in request.headers:
        return web.json_response({"error": "Unauthorized"}, status=401)
    return None


def a_file(number: int, name: str, data: bytes) -> Json:
    sha = hashlib.sha256(data).hexdigest().upper()
    version = 5000 + number
    safe = name.endswith(".safetensors")
    return {
        "id": 9000 + number,
        "sizeKB": len(data) / 1024,
        "name": name,
        "type": "Model",
        "pickleScanResult": "Success",
        "virusScanResult": "Success",
        "scannedAt": "2026-10-01T00:00:00.000Z",
        "metadata": {"format": "SafeTensor" if safe else "PickleTensor", "size": "pruned", "fp": "fp16"},
        "hashes": {"AutoV1": sha[20:28], "AutoV2": sha[:10], "SHA256": sha, "CRC32": f"{zlib.crc32(data):08X}"},
        "downloadUrl": f"{{site}}/api/download/models/{version}",
        "primary": True,
    }


def a_version(number: int, base_model: str, files: list[Json]) -> Json:
    return {
        "id": 5000 + number,
        "modelId": 100 + number,
        "name": "v1.0",
        "baseModel": base_model,
        "baseModelType": "Standard",
        "description": None,
        "publishedAt": "2026-10-01T00:00:00.000Z",
        "status": "Published",
        "availability": "Public",
        "nsfwLevel": 1,
        "earlyAccessEndsAt": None,
        "trainedWords": [],
        "stats": {"downloadCount": 10 * number, "thumbsUpCount": number},
        "air": f"urn:air:sdxl:lora:civitai:{100 + number}@{5000 + number}",
        "files": files,
        "images": [],
        "downloadUrl": f"{{site}}/api/download/models/{5000 + number}",
    }


def a_model(number: int, name: str, type: str) -> Json:
    return {
        "id": 100 + number,
        "name": name,
        "type": type,
        "description": f"<p>{name} by a friend.</p>",
        "nsfw": False,
        "nsfwLevel": 1,
        "poi": False,
        "minor": False,
        "sfwOnly": False,
        "allowNoCredit": True,
        "allowCommercialUse": ["Image", "RentCivit"],
        "allowDerivatives": True,
        "allowDifferentLicense": True,
        "stats": {"downloadCount": 100 * number, "thumbsUpCount": 9, "thumbsDownCount": 1, "commentCount": number},
        "tags": ["style"],
        "creator": {"username": "friend", "image": None},
    }
