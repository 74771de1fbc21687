"""Weight files: what each one is, what is known of it, and what the world offers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from workflows.types.values import Value, new_id, now

ModelKind = Literal[
    "checkpoint",
    "diffusion_model",
    "lora",
    "vae",
    "text_encoder",
    "controlnet",
    "upscaler",
    "embedding",
    "clip_vision",
    "style_model",
    "model_patch",
    "other",
]
"""checkpoint: everything in one file, or a diffusers pipeline; diffusion_model: the denoiser alone."""
ToldBy = Literal["", "header", "metadata", "side-car", "name", "hash", "size", "owner"]
"""What a file's family was told by, the surest last but one; the owner's word stands above all."""
DownloadState = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]


class ModelDefaults(Value):
    """The settings that suit one file best, as its maker or its best pictures say. None: the family's own.

    `sampler` and `scheduler` in ComfyUI's words; `strength` is a LoRA's.
    """

    steps: int | None = Field(default=None, ge=1, le=200)
    cfg: float | None = Field(default=None, ge=0.0, le=30.0)
    sampler: str | None = Field(default=None, max_length=60)
    scheduler: str | None = Field(default=None, max_length=60)
    width: int | None = Field(default=None, ge=64, le=4096)
    height: int | None = Field(default=None, ge=64, le=4096)
    clip_skip: int | None = Field(default=None, ge=1, le=12)
    """As A1111 counts: 1 is the encoder's last layer, 2 the one before it."""
    strength: float | None = Field(default=None, ge=-4.0, le=4.0)


class ModelFacts(Value):
    """What side-cars, metadata and catalogues say of a weight file; empty where they are silent."""

    title: str = ""
    base_model: str = ""
    """As CivitAI spells it, such as SDXL 1.0 or Flux.1 D."""
    kind: str = ""
    """As the source spells it, such as LORA or Checkpoint."""
    triggers: tuple[str, ...] = ()
    """Words that wake a LoRA or embedding."""
    tags: tuple[str, ...] = ()
    description: str = ""
    """Plain text, not HTML."""
    downloads: int | None = None
    rating: float | None = Field(default=None, ge=0.0, le=1.0)
    """Share of the votes that were for it."""
    defaults: ModelDefaults = ModelDefaults()
    nsfw: bool = False
    """Made for adult pictures."""
    real_person: bool = False
    minor: bool = False
    licence: str = ""
    preview_url: str = ""
    sha256: str = ""
    source: str = ""
    """civitai, huggingface, ..."""
    reference: str = ""
    """What download_model takes to get it again, such as civitai:1234@5678."""
    page_url: str = ""


class ModelInfo(Value):
    """A weight file, or a model that an engine can draw with, by the name that the engine knows it under."""

    name: str
    kind: str = "checkpoint"
    family: str
    engine: str
    """Who can use it now: comfyui, diffusers, or "" for a file that no engine of ours has."""
    size: int | None = None
    """Bytes."""
    description: str = ""
    path: str | None = None
    """Where it lies on this machine."""
    guessed: bool = False
    """The family is a guess: `atelier models set` corrects it."""
    told_by: ToldBy = ""
    parts: tuple[str, ...] = ()
    """What is in the file: model, text_encoder, vae."""
    precision: str = ""
    """Of most of its weights: fp32, fp16, bf16, fp8, int8, nf4, nvfp4, ..."""
    facts: ModelFacts = ModelFacts()

    @property
    def plain_name(self) -> str:
        """Without folders and suffix."""
        return self.name.replace("\\", "/").rpartition("/")[2].rsplit(".", 1)[0]


class ModelRow(Value):
    """One file on this machine as the ledger keeps it."""

    path: str
    signature: str
    """Changes when the file or one of its side-cars does."""
    info: ModelInfo
    """As read; without the owner's corrections."""
    corrections: dict[str, str] = Field(default_factory=dict)
    """What the owner said instead: family, kind, title, triggers (comma-separated)."""


class Scanned(Value):
    """What a look at the model folders found."""

    folders: tuple[str, ...]
    files: int
    added: int = 0
    changed: int = 0
    gone: int = 0
    unreadable: tuple[str, ...] = ()
    """Files whose header could not be read, with the reason; listed all the same, by their names."""
    seconds: float = 0.0


class TrackRecord(Value):
    """What the judges said of earlier pictures by one model."""

    judged: int
    accepted: int
    score: float | None = None
    """Mean CLIP score of the pictures that were kept."""


class ModelQuery(Value):
    """A search in the catalogues of the world."""

    query: str = Field(default="", max_length=300)
    model_type: str = "all"
    """A ModelKind, or all."""
    base_model: str | None = Field(default=None, max_length=100)
    """A family of ours or a base model as the source spells it."""
    sort: str = "Most Downloaded"
    nsfw: bool = False
    limit: int = Field(default=10, ge=1, le=100)
    tags: tuple[str, ...] = ()


class FoundModel(Value):
    """A model that could be had: one shape for every source."""

    reference: str
    """What download_model takes: civitai:MODEL@VERSION, hf:OWNER/NAME or hf:OWNER/NAME/FILE."""
    source: str
    name: str
    version: str = ""
    kind: str
    family: str
    """Of ours; unknown where the source's word is not known here."""
    size: int | None = None
    """Bytes of what would be downloaded."""
    creator: str = ""
    facts: ModelFacts = ModelFacts()


class Offer(Value):
    """One file that can be fetched, as its source describes it."""

    reference: str
    source: str
    name: str
    """File name alone, never a path."""
    url: str
    """Where to ask for it. A presigned address behind it may run out, so a retry asks here again."""
    size: int | None = None
    sha256: str = ""
    """Lower-case hex; empty where the source does not say."""
    kind: str = ""
    """What the source says it is; the header of the file decides."""
    family: str = ""
    title: str = ""
    facts: ModelFacts = ModelFacts()
    side_car: str = ""
    """JSON to be written beside the file (name.civitai.info), when the source gave any."""


class Download(Value):
    """A model on its way here: told like a job."""

    id: str = Field(default_factory=new_id)
    reference: str
    destination: str = "auto"
    offer: Offer
    state: DownloadState = "queued"
    received: int = 0
    """Bytes on the disk."""
    speed: float | None = None
    """Bytes a second, lately."""
    seconds_left: float | None = None
    path: str | None = None
    """Where it lies, once it is done."""
    info: ModelInfo | None = None
    """What its header says it is, once it is done."""
    fault: str = ""
    note: str = ""
    created: datetime = Field(default_factory=now)
    updated: datetime = Field(default_factory=now)

    @property
    def ended(self) -> bool:
        return self.state in {"succeeded", "failed", "cancelled"}
