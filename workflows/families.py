"""What every model family needs, read from families.toml; and which one a configuration, a name or a label means.

It reads no model: callers hand in what they read. What the header of a weight file says is for `workflows.recognition`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from workflows.drawing.inventory import plain
from workflows.errors import NotFound
from workflows.types import FamilyProfile

BEGUN = frozenset({"img2vid", "extend_video"})
"""Tasks whose video begins with a picture."""


class Speed(BaseModel):
    """LoRAs with which a family draws in few steps: one, or one for each half of a pair, that for high noise first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: tuple[str, ...]
    loras: tuple[str, ...]
    """Patterns of their files."""
    steps: int
    cfg: float = 1.0
    shift: float = 0.0
    strength: float = 1.0
    needed: bool = False
    """Nothing is drawn without."""


class ComfyFamily(BaseModel):
    """How ComfyUI draws a family, and by which names and metadata its files are told. No template: it cannot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    kin: str = ""
    special: bool = False
    checkpoint: str = ""
    split: str = ""
    checkpoint_image: str = ""
    split_image: str = ""
    sampler: str = "euler"
    scheduler: str = "normal"
    shift: float = 0.0
    clip_skip: int = 0
    lora_clip: bool = False
    clip_type: str = ""
    clips: tuple[tuple[str, ...], ...] = ()
    clips_least: int | None = None
    vae: tuple[str, ...] = ()
    parts: Mapping[str, tuple[str, ...]] = {}
    """Further files by slot: the folder first, then patterns."""
    pair: bool = False
    """Two files draw one after the other, the halves of a pair."""
    one_task: bool = False
    """A file draws from words or from a picture, as its name says (t2v, i2v), not both."""
    negative: str = ""
    """What is drawn away from where the user names nothing."""
    motion: str = ""
    """What decides how much moves: compression (of the first picture), bucket (of SVD); nothing does, when empty."""
    values: Mapping[str, Any] = {}
    """What goes into further slots of its templates."""
    speeds: tuple[Speed, ...] = ()
    get: Mapping[str, str] = {}

    def template(self, folder: str, task: str = "") -> str:
        """Name of the template for a model file of that folder; empty when there is none.

        A video that begins with a picture has its own.
        """
        bare = folder == "diffusion_models"
        if task in BEGUN:
            return self.split_image if bare else self.checkpoint_image
        return self.split if bare else self.checkpoint

    @property
    def templates(self) -> frozenset[str]:
        """The names of all its templates."""
        return frozenset({self.checkpoint, self.split, self.checkpoint_image, self.split_image} - {""})


class Form(BaseModel):
    """Files of a family that are drawn otherwise than the others: by their names, what differs of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    profile: Mapping[str, Any] = {}
    comfyui: Mapping[str, Any] = {}

    def of(self, comfyui: ComfyFamily) -> ComfyFamily:
        """How ComfyUI draws files of this form."""
        return ComfyFamily.model_validate({**comfyui.model_dump(), **self.comfyui})


class Family(BaseModel):
    """A family's profile, its limits, and the signs that give its files away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: FamilyProfile
    largest: int
    """Longest edge in pixels."""
    flow: bool = False
    """Flow matching, not noise prediction."""
    pipelines: tuple[str, ...] = ()
    text_width: int | None = None
    guidance_embeds: bool | None = None
    video: bool = False
    """It draws videos."""
    base_models: tuple[str, ...] = ()
    """How CivitAI spells it, the commonest first."""
    licence: str = ""
    style: tuple[str, ...] = ()
    """What it is made for, such as anime; empty: anything."""
    dialect: str = "natural"
    """How it wants its prompt: tags, phrases, danbooru, pony, natural, json, xml."""
    loras: Mapping[str, float] = {}
    """Families whose LoRAs load here, and how well they do: 1 as its own, 0 not at all."""
    comfyui: ComfyFamily = ComfyFamily()
    forms: tuple[Form, ...] = ()

    @property
    def templates(self) -> frozenset[str]:
        """The names of all templates that its files are drawn with; none: it is recognised, not drawn."""
        return self.comfyui.templates.union(*(one.of(self.comfyui).templates for one in self.forms))

    def of_file(self, name: str) -> Family:
        """The family as the file of that name wants it: with what differs for its form."""
        words = plain(name)
        found = next((one for one in self.forms if any(re.search(pattern, words) for pattern in one.names)), None)
        if found is None:
            return self
        profile = self.profile.but(**found.profile)
        return self.model_copy(update={"profile": profile, "comfyui": found.of(self.comfyui)})

    @property
    def kin(self) -> str:
        """The name that it shares with the families whose LoRAs and control nets it takes."""
        return self.comfyui.kin or self.profile.name

    def sized(self, edge: int) -> Family:
        """The same family at another native size, square."""
        return self.model_copy(update={"profile": self.profile.but(width=edge, height=edge)})


@cache
def families() -> Mapping[str, Family]:
    """Every family by its name, in the order in which they are tried."""
    text = files("workflows").joinpath("families.toml").read_text(encoding="utf-8")
    return {name: _family(name, table) for name, table in tomllib.loads(text).items()}


def _family(name: str, table: dict[str, Any]) -> Family:
    of_profile = {key: value for key, value in table.items() if key in FamilyProfile.model_fields}
    rest = {key: value for key, value in table.items() if key not in of_profile}
    return Family(profile=FamilyProfile(name=name, **of_profile), **rest)


def family(name: str) -> Family:
    """The family of that name. Raises NotFound with near names."""
    known = families()
    if name not in known:
        raise NotFound("model family", name, known)
    return known[name]


def family_of_pipeline(pipeline: str, *, text_width: int | None = None, guidance_embeds: bool | None = None) -> Family:
    """The family of a diffusers folder: its pipeline class and, where they are shared, a fact of its configuration."""
    for candidate in families().values():
        fits = (
            pipeline in candidate.pipelines
            and candidate.text_width in {None, text_width}
            and candidate.guidance_embeds in {None, guidance_embeds}
        )
        if fits:
            return candidate
    return family("unknown")


def family_of_base_model(text: str) -> str | None:
    """The family that a catalogue's label means, such as CivitAI's baseModel; None for one that is not known.

    Case, spaces and dots do not count. A label that is new is read like a file's name.
    """
    if found := _labels().get(_letters(text)):
        return found
    words = text.lower()
    named = () if _named("unknown", words) else _names_of(words)
    return named[0] if named else None


@cache
def _labels() -> Mapping[str, str]:
    """Families by label, without anything but letters and digits."""
    own = {_letters(name): name for name in families() if name not in {"unknown", "demo"}}
    return own | {_letters(label): name for name, one in families().items() for label in one.base_models}


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def lora_fits(lora_family: str, model_family: str) -> float:
    """How well LoRAs of one family do with models of another: 1 fully, 0 not at all; families.toml says of which.

    Either may also be the name that a group of families shares, such as flux.
    """
    known = families()
    model, lora = known.get(model_family), known.get(lora_family)
    if "unknown" in {lora_family, model_family} or (model is None and lora is None):
        return 0.0
    if lora_family == model_family:
        return 1.0
    if model is not None and lora_family in model.loras:
        return model.loras[lora_family]
    return 1.0 if (lora.kin if lora else lora_family) == (model.kin if model else model_family) else 0.0


SD15_BYTES = ((1.6e9, 2.4e9), (3.7e9, 4.6e9), (5.3e9, 5.6e9), (7.4e9, 8.0e9))
"""Half and full precision, and both with the averaged weights that training leaves."""


def family_of_file(
    folder: str, name: str, *, metadata: Mapping[str, str] | None = None, size: int | None = None
) -> tuple[Family, bool]:
    """The family of a model file on a server, and whether that is a guess.

    Its metadata first, then its name, then its size in bytes. A checkpoint that says nothing is taken for SDXL, the
    commonest; a bare model that says nothing is of unknown family.
    """
    told = metadata or {}
    words = " ".join([plain(name), told.get("modelspec.title", ""), told.get("ss_sd_model_name", "")]).lower()
    if _named("unknown", plain(name)):
        return family("unknown"), False
    alike = _built_as(told.get("modelspec.architecture", "") or told.get("ss_base_model_version", ""))
    named = _names_of(words)
    if found := next((one for one in named if one in alike or not alike), alike[-1] if alike else None):
        return family(found), False
    if folder != "checkpoints":
        return family("unknown"), True
    return family("sd15" if sized_as_sd15(size) else "sdxl"), True


def sized_as_sd15(size: int | None) -> bool:
    """Whether a whole checkpoint of so many bytes is most likely Stable Diffusion 1.5."""
    return size is not None and any(least <= size <= most for least, most in SD15_BYTES)


def family_of_lora(name: str, metadata: Mapping[str, str] | None = None) -> Family | None:
    """The family that a LoRA was made for, where its metadata or its name tells."""
    found, guessed = family_of_file("loras", name, metadata=metadata)
    return None if guessed or found.profile.name == "unknown" else found


def _built_as(architecture: str) -> list[str]:
    """The families of that architecture, the general one last."""
    plainly = architecture.strip().lower().partition("/")[0]
    return [name for name, one in families().items() if plainly in one.comfyui.architectures]


@lru_cache(maxsize=4096)
def _names_of(words: str) -> tuple[str, ...]:
    """The families whose name patterns fit, the first one first."""
    return tuple(name for name in families() if name != "unknown" and _named(name, words))


def _named(name: str, words: str) -> bool:
    return any(re.search(pattern, words) for pattern in families()[name].comfyui.names)
