"""What the fake ComfyUI has on its shelves: node classes, model files, pictures; and the routes that show them."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import mimetypes
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from aiohttp import web
from PIL import Image

from tests.comfyui.worker import File, named

Json = Mapping[str, Any]
Models = Mapping[str, Iterable[str] | Mapping[str, int]]
Metadata = Mapping[str, Mapping[str, str]]

RECORDED: Mapping[str, Json] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in Path(__file__).parent.glob("nodes_*.json")
}
"""Read at import, because a test's loop must not wait for a disk."""
MAX_UPLOAD = 104857600
FOLDERS = ("checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision", "style_models",
           "embeddings", "diffusers", "vae_approx", "controlnet", "gligen", "upscale_models", "custom_nodes",
           "hypernetworks", "photomaker", "classifiers", "model_patches", "audio_encoders")  # fmt: skip
"""Of 0.3.64."""
LATER_FOLDERS = ("latent_upscale_models", "background_removal", "frame_interpolation", "geometry_estimation",
                 "optical_flow", "detection")  # fmt: skip
"""What 0.33.0 has besides."""
INPUT_FOLDERS = {
    "ckpt_name": "checkpoints",
    "lora_name": "loras",
    "vae_name": "vae",
    "unet_name": "diffusion_models",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "text_encoder": "text_encoders",
    "control_net_name": "controlnet",
    "style_model_name": "style_models",
}
"""Which folder an input's choices come from."""
UPLOADS = ("image_upload", "video_upload", "audio_upload")
CLASS_FOLDERS = {
    "UpscaleModelLoader": "upscale_models",
    "CLIPVisionLoader": "clip_vision",
    "ModelPatchLoader": "model_patches",
    "FrameInterpolationModelLoader": "frame_interpolation",
    "LatentUpscaleModelLoader": "latent_upscale_models",
}


OWN_CHOICES = frozenset({"RIFE VFI", "FILM VFI"})
"""Classes of packs that fetch their files themselves: they offer the same whatever is there."""


def recorded(*names: str) -> dict[str, Any]:
    """Node classes of a real server, cut down to facts: the JSON files of this folder, later ones on top."""
    nodes: dict[str, Any] = {}
    for name in names:
        nodes |= RECORDED[name]
    return nodes


class Shelves:
    """The part of the fake that changes nothing but files."""

    def __init__(self, nodes: Json, models: Models | None, metadata: Metadata | None, folders: Iterable[str]) -> None:
        self.nodes: dict[str, Any] = dict(nodes)
        self.models: dict[str, dict[str, int]] = {folder: {} for folder in folders}
        for folder, found in (models or {}).items():
            self.models[folder] = _sized(found)
        self.metadata = dict(metadata or {})
        self.broken: set[str] = set()
        """Files over whose headers it stumbles."""
        self.shadowed: dict[str, dict[str, int]] = {}
        """Files that a file of the same name in an earlier place hides, by folder."""
        self.told_of: list[tuple[str, str]] = []
        """Folder and file of every question for metadata."""
        self.most_read_at_once = self._being_read = 0
        self.files: dict[File, bytes] = {}
        """What lies on its disk, by (type, subfolder, name)."""
        self.saved: dict[str, bytes] = {}
        """What the editor's users saved below userdata/workflows, by path."""
        self.short = 0
        self.version = ""
        self.device = ""
        self.vram = self.vram_free = 0

    async def _view(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        name = query.get("filename", "")
        if name.startswith("/") or ".." in name:
            return web.Response(status=400)
        data = self.files.get((query.get("type", "output"), query.get("subfolder", ""), name.rpartition("/")[2]))
        if data is None:
            return web.Response(status=404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if not self.short or request.method == "HEAD":
            return web.Response(body=data, content_type=kind)
        response = web.StreamResponse(headers={"Content-Type": kind, "Content-Length": str(len(data))})
        await response.prepare(request)
        await response.write(data[: -self.short])
        cast(Any, request.transport).close()
        return response

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        field = form.get("image")
        if not isinstance(field, web.FileField):
            return web.Response(status=400)
        name, kind, subfolder = field.filename, str(form.get("type", "input")), str(form.get("subfolder", ""))
        if ".." in name or ".." in subfolder:
            return web.Response(status=400)
        if "/" in name or kind not in {"input", "output", "temp"}:
            return web.Response(status=500)
        content = field.file.read()
        if form.get("overwrite") not in {"true", "1"}:
            name = self._free_name(kind, subfolder, name, content)
        self.files[kind, subfolder, name] = content
        return web.json_response({"name": name, "subfolder": subfolder, "type": kind})

    async def _upload_mask(self, request: web.Request) -> web.Response:
        form = await request.post()
        field = form["image"]
        assert isinstance(field, web.FileField)
        original = json.loads(str(form["original_ref"]))
        subfolder, kind = str(form.get("subfolder", "")), str(form.get("type", "input"))
        found = self.files.get((original["type"], original["subfolder"], original["filename"]))
        if found is not None:
            picture, mask = Image.open(io.BytesIO(found)).convert("RGBA"), Image.open(field.file).convert("RGBA")
            if picture.size != mask.size:
                return web.Response(status=500)
            picture.putalpha(mask.getchannel("A"))
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            self.files[kind, subfolder, field.filename] = buffer.getvalue()
        return web.json_response({"name": field.filename, "subfolder": subfolder, "type": kind})

    async def _object_info(self, request: web.Request) -> web.Response:
        name, nodes = request.match_info.get("name"), self._known_nodes()
        if name is None:
            return web.json_response(nodes)
        return web.json_response({name: nodes[name]} if name in nodes else {})

    async def _models(self, request: web.Request) -> web.Response:
        folder = request.match_info.get("folder")
        if folder is None:
            return web.json_response(list(self.models))
        return web.json_response(list(self.models[folder])) if folder in self.models else web.Response(status=404)

    async def _sizes(self, request: web.Request) -> web.Response:
        files = self.models.get(request.match_info["folder"])
        if files is None:
            return web.Response(status=404)
        shelves = enumerate([files, self.shadowed.get(request.match_info["folder"], {})])
        rows = [{"name": name, "pathIndex": n, "size": size} for n, found in shelves for name, size in found.items()]
        return web.json_response(rows)

    async def _metadata(self, request: web.Request) -> web.Response:
        folder, name = request.match_info["folder"], request.query.get("filename", "")
        self.told_of.append((folder, name))
        self._being_read += 1
        self.most_read_at_once = max(self.most_read_at_once, self._being_read)
        for _ in range(10):  # a real one reads a disk meanwhile
            await asyncio.sleep(0)
        self._being_read -= 1
        if name in self.broken:
            return web.Response(status=500)
        found = self.metadata.get(name)
        there = name in self.models.get(folder, {}) and name.endswith(".safetensors")
        return web.json_response(found) if found is not None and there else web.Response(status=404)

    async def _saved(self, request: web.Request) -> web.Response:
        """404 before anything was saved, as it is with a real one."""
        if not self.saved or request.query.get("dir") != "workflows":
            return web.Response(status=404, text="Directory not found")
        return web.json_response([{"path": path, "size": len(content)} for path, content in self.saved.items()])

    async def _saved_file(self, request: web.Request) -> web.Response:
        """A path with a % in it is decoded a second time."""
        path = request.match_info["file"]
        path = unquote(path) if "%" in path else path
        if ".." in path:
            return web.Response(status=403)
        name = path.removeprefix("workflows/")
        if request.method == "POST":
            self.saved[name] = await request.read()
            return web.json_response(path)
        content = self.saved.get(name) if path.startswith("workflows/") else None
        return web.Response(status=404) if content is None else web.Response(body=content)

    async def _embeddings(self, _: web.Request) -> web.Response:
        return web.json_response([name.rpartition(".")[0] for name in self.models["embeddings"]])

    async def _stats(self, _: web.Request) -> web.Response:
        memory = {"vram_total": self.vram, "vram_free": self.vram_free, "torch_vram_total": 0, "torch_vram_free": 0}
        device = {"name": self.device, "type": self.device.partition(":")[0], "index": 0, **memory}
        system = {"os": "posix", "ram_total": 2**35, "ram_free": 2**34, "comfyui_version": self.version}
        return web.json_response({"system": system, "devices": [device]})

    async def _features(self, _: web.Request) -> web.Response:
        return web.json_response(self._own_features())

    def _own_features(self) -> Json:
        return {"supports_preview_metadata": True, "max_upload_size": MAX_UPLOAD}

    def _known_nodes(self) -> dict[str, Any]:
        """Node classes whose choices are the models and files that are there."""
        nodes: dict[str, Any] = copy.deepcopy(self.nodes)
        uploads = sorted(name for kind, subfolder, name in self.files if kind == "input" and not subfolder)
        for class_type in nodes.keys() - OWN_CHOICES:
            groups: list[Json] = list(nodes[class_type]["input"].values())
            for group in groups:
                for name, config in group.items():
                    folder = CLASS_FOLDERS.get(class_type) or INPUT_FOLDERS.get(name)
                    if folder is not None and _is_choice(config):
                        _offer(config, sorted(self.models.get(folder, {})))
                    elif _is_choice(config) and len(config) > 1 and any(config[1].get(one) for one in UPLOADS):
                        _offer(config, uploads)
        return nodes

    def _exists(self, name: str) -> bool:
        return named(name) in self.files

    def _free_name(self, kind: str, subfolder: str, name: str, content: bytes) -> str:
        stem, dot, ending = name.rpartition(".")
        tried, count = name, 0
        while self.files.get((kind, subfolder, tried), content) != content:
            count += 1
            tried = f"{stem} ({count}){dot}{ending}"
        return tried


def _is_choice(config: Any) -> bool:
    spec = cast("list[Any]", config) if isinstance(config, list) else [None]
    return isinstance(spec[0], list) or spec[0] == "COMBO"


def _offer(config: list[Any], choices: list[str]) -> None:
    """Into either of the two forms of an input with choices."""
    if isinstance(config[0], list):
        config[0] = choices
    elif config[0] == "COMBO":
        config[1]["options"] = choices


def _sized(found: Iterable[str] | Mapping[str, int]) -> dict[str, int]:
    if isinstance(found, Mapping):
        return {**cast("Mapping[str, int]", found)}
    return dict.fromkeys(found, 1000)
