"""Downloads with real transfers on loopback into real folders; sources and the index are fakes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.downloader import Downloader
from workflows.downloads import Downloads
from workflows.downloads.fetching import Arrived, Report
from workflows.errors import BadRecipe, StorageError
from workflows.folders import FOLDERS
from workflows.types import Download, FoundModel, ModelFacts, ModelInfo, ModelQuery, Offer, Scanned


def safetensors(shapes: Mapping[str, Sequence[int]], padding: int = 0) -> bytes:
    """A sound file of zeros in half precision; `padding` bytes of a further tensor make it larger."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in {**shapes, **({"padding": [padding // 2]} if padding else {})}.items():
        count = 2
        for edge in shape:
            count *= edge
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + count]}
        end += count
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(end)


ATTENTION = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
LORA = safetensors({f"{ATTENTION}.lora_down.weight": [4, 2048], f"{ATTENTION}.lora_up.weight": [64, 4]})
DIT = safetensors({
    "double_blocks.0.img_attn.norm.key_norm.scale": [128],
    "double_blocks.0.img_attn.qkv.weight": [96, 32],
    "single_blocks.0.linear1.weight": [8, 8],
    "img_in.weight": [32, 64],
    "txt_in.weight": [32, 4096],
    "final_layer.linear.weight": [64, 32],
})  # fmt: skip
LARGE = safetensors({f"{ATTENTION}.lora_down.weight": [4, 2048], f"{ATTENTION}.lora_up.weight": [64, 4]}, 3_000_000)


@dataclass
class Source:
    """A catalogue of given offers; `asked` counts."""

    offers: dict[str, Offer]
    name: str = "civitai"
    asked: list[str] = field(default_factory=list[str])

    async def search(self, query: ModelQuery) -> Sequence[FoundModel]:
        return []

    async def offer(self, reference: str, version: str | None = None) -> Offer:
        self.asked.append(f"{reference}@{version}" if version else reference)
        return self.offers[reference]

    async def headers(self, offer: Offer) -> Mapping[str, str]:
        return {}


@dataclass
class Hub(Source):
    """A source with whole pipelines."""

    cache: Path = Path()

    async def snapshot(self, offer: Offer, report: Report) -> Path:
        report(Arrived(received=500, size=offer.size, speed=100.0))
        folder = self.cache / "snapshots" / "abc"
        await asyncio.to_thread(folder.mkdir, parents=True)
        return folder


@dataclass
class Folders:
    """The index: knows every file below its root by its folder."""

    root: Path
    scans: int = 0
    broken: bool = False

    def folder_for(self, kind: str, destination: str = "auto") -> str:
        root = self.root if destination == "auto" else Path(destination)
        if not root.is_relative_to(self.root):
            raise BadRecipe("destination", destination, f"it is auto or {self.root}")
        return str(root / FOLDERS[kind])

    async def scan(self, report: Callable[[int, int], None] | None = None, *, anew: bool = False) -> Scanned:
        self.scans += 1
        if self.broken:
            raise StorageError("The index is locked.")
        return Scanned(folders=(str(self.root),), files=0)

    async def all(self) -> Sequence[ModelInfo]:
        return await asyncio.to_thread(self._all)

    def _all(self) -> list[ModelInfo]:
        paths = [path for path in self.root.rglob("*") if path.suffix in {".safetensors", ".gguf", ".ckpt"}]
        return [self._info(path) for path in sorted(paths)]

    def _info(self, path: Path) -> ModelInfo:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        facts = ModelFacts(sha256=sha256)
        return ModelInfo(name=path.name, kind=path.parent.name, family="any", engine="", path=str(path), facts=facts)

    async def correct(self, path: str, corrections: Mapping[str, str]) -> ModelInfo:
        raise NotImplementedError


@dataclass
class Desk:
    """Downloads with all that they work with."""

    root: Path
    source: Source
    files: Folders
    downloads: Downloads

    def here(self) -> dict[str, bytes]:
        """What lies in the model folders."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}

    async def fetched(self, reference: str = "civitai:1", **other: Any) -> Download:
        download = await self.downloads.start(await self.downloads.plan(reference, **other))
        return await self.downloads.wait(download.id, 60)


async def at_once(_: float) -> None:
    pass


def plenty(_: Path) -> int:
    return 1 << 50


def twenty(_: Path) -> int:
    return 20_000_000_000


def offer(url: str, content: bytes, name: str = "neon.safetensors", **other: Any) -> Offer:
    sha256 = hashlib.sha256(content).hexdigest()
    told: dict[str, Any] = {"kind": "LORA", "size": len(content), "sha256": sha256, "reference": "civitai:1@1"}
    return Offer.checked(**told | {"source": "civitai", "name": name, "url": url} | other)


def desk(tmp_path: Path, *offers: Offer, **settings: Any) -> Desk:
    """The n-th offer is civitai:n."""
    source = Source({f"civitai:{number}": one for number, one in enumerate(offers, 1)})
    files = Folders(tmp_path / "models")
    told: dict[str, Any] = {"fetch": Downloader(pause=at_once, free=plenty)}
    journal = tmp_path / "home" / "downloads"
    downloads = Downloads(sources={"civitai": source}, files=files, journal=journal, **told | settings)
    return Desk(tmp_path / "models", source, files, downloads)
