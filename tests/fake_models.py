"""Stand-ins for what the catalogue needs: files on this machine, a source of models, a language model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workflows.errors import BadRecipe, NotFound, ServiceError
from workflows.families import family_of_base_model
from workflows.types import FoundModel, ModelFacts, ModelInfo, ModelQuery, Offer, Scanned

GB = 1_000_000_000


def checkpoint(name: str, family: str = "sdxl", *, engine: str = "", size: int = 7 * GB, **facts: object) -> ModelInfo:
    """A whole checkpoint on this machine, as the scan would tell of it."""
    return ModelInfo(
        name=f"{name}.safetensors",
        family=family,
        engine=engine,
        size=size,
        path=f"/models/checkpoints/{name}.safetensors",
        told_by="header",
        parts=("model", "text_encoder", "vae"),
        precision="fp16",
        facts=ModelFacts.model_validate(facts),
    )


def lora(name: str, family: str = "sdxl", *, engine: str = "", **facts: object) -> ModelInfo:
    return ModelInfo(
        name=f"{name}.safetensors",
        kind="lora",
        family=family,
        engine=engine,
        size=200_000_000,
        path=f"/models/loras/{name}.safetensors",
        told_by="metadata",
        facts=ModelFacts.model_validate(facts),
    )


@dataclass(kw_only=True)
class FakeFiles:
    """The ModelFiles port over a list."""

    infos: list[ModelInfo] = field(default_factory=list[ModelInfo])
    scans: int = 0

    async def all(self) -> Sequence[ModelInfo]:
        return tuple(self.infos)

    async def scan(self, report: Callable[[int, int], None] | None = None, *, anew: bool = False) -> Scanned:
        self.scans += 1
        return Scanned(folders=("/models",), files=len(self.infos))

    async def correct(self, path: str, corrections: Mapping[str, str]) -> ModelInfo:
        for place, info in enumerate(self.infos):
            if info.path == path:
                family = family_of_base_model(corrections["family"]) or corrections["family"]
                self.infos[place] = info.but(family=family, told_by="owner", guessed=False)
                return self.infos[place]
        raise NotFound("model file", path)

    def folder_for(self, kind: str, destination: str = "auto") -> str:
        if destination not in {"auto", "/models"}:
            raise BadRecipe("destination", destination, "it is /models")
        return f"/models/{kind}s"


@dataclass(kw_only=True)
class FakeSource:
    """The ModelSource port with an answer that was written before."""

    name: str
    found: Sequence[FoundModel] = ()
    fault: ServiceError | None = None
    asked: list[ModelQuery] = field(default_factory=list[ModelQuery])

    async def search(self, query: ModelQuery) -> Sequence[FoundModel]:
        self.asked.append(query)
        if self.fault is not None:
            raise self.fault
        return self.found

    async def offer(self, reference: str, version: str | None = None) -> Offer:
        raise NotFound("model", reference)

    async def headers(self, offer: Offer) -> Mapping[str, str]:
        return {}


@dataclass(kw_only=True)
class FakeReader:
    """The TextModel port: says what it was told to say."""

    reply: Mapping[str, object] | str = ""
    fault: ServiceError | None = None
    name: str = "fake-llm"
    asked: list[str] = field(default_factory=list[str])

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        self.asked.append(prompt)
        if self.fault is not None:
            raise self.fault
        return self.reply if isinstance(self.reply, str) else json.dumps(self.reply)
