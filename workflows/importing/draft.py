"""A recipe in the making, from what a foreign file says: whatever cannot be used here becomes a note."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from utils.civitai import SCHEDULES, sampler_words
from workflows.errors import BadRecipe
from workflows.importing.values import number, text, truth, whole
from workflows.types import MAX_EDGE, MAX_PROMPT, MAX_SEED, LoraUse, Recipe, Task

MOST_LORAS = 8
MOST_NOTES = 20
LEAST_EDGE, MULTIPLE = 64, 8

_TAG = re.compile(r"<(lora|lyco):([^<>:]{1,300})((?::[^<>:]{0,40}){0,4})>", re.IGNORECASE)
_OTHER_TAG = re.compile(r"<(hypernet|segment|refiner|random|wildcard|object|region|preset|trigger)[:>][^<>]{0,200}>?")


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """What a file from elsewhere says of how it was made."""

    program: str
    """ComfyUI, A1111, Forge, Fooocus, SwarmUI, InvokeAI, CivitAI, NovelAI, Draw Things, Easy Diffusion, Atelier; "file"
    where only words are known."""
    recipe: Recipe
    """It can be run here as far as it goes; what did not fit stands in the notes."""
    rendered: Recipe | None = None
    """Of our own pictures: what was really drawn, where that is another than the recipe."""
    record: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of our own pictures: the row that they were filed with."""
    model: str | None = None
    model_hash: str | None = None
    """First ten hex digits of the weights' SHA-256, where the file tells one of that kind."""
    notes: tuple[str, ...] = ()
    graph: Mapping[str, Any] | None = None
    """ComfyUI's graph in API format, as it was found."""
    workflow: Mapping[str, Any] | None = None
    """ComfyUI's graph as its editor keeps it, as it was found."""


@dataclass(kw_only=True)
class Draft:
    """Collects the fields of one picture. Every method takes what a stranger wrote and raises nothing."""

    program: str
    task: Task = "txt2img"
    prompt: str = ""
    negative: str = ""
    model: str | None = None
    model_hash: str | None = None
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    loras: dict[str, LoraUse] = field(default_factory=dict[str, LoraUse])
    notes: list[str] = field(default_factory=list[str])

    def note(self, sentence: str) -> None:
        if sentence not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(sentence[:400])

    def words(self, prompt: object, negative: object = "") -> None:
        """Both prompts; the tags of LoRAs in them are taken out and used."""
        self.prompt = self._untagged(_cut(prompt))
        self.negative = self._untagged(_cut(negative))

    def steps(self, value: object) -> None:
        self._within("steps", whole(value), 1, 200)

    def cfg(self, value: object) -> None:
        found = number(value)
        self._within("cfg", None if found is None else round(found, 4), 0.0, 30.0)

    def clip_skip(self, value: object) -> None:
        """As A1111 counts; ComfyUI's negative numbers mean the same without their sign."""
        found = whole(value)
        if found is not None and abs(found) > 1:
            self._within("clip_skip", abs(found), 1, 12)

    def denoise(self, value: object) -> None:
        found = number(value)
        if found is not None and 0.0 < found <= 1.0:
            self.fields["denoise"] = round(found, 4)

    def seed(self, value: object) -> None:
        found = whole(value)
        if found is None or found < 0:
            return
        if found > MAX_SEED:
            self.note(f"Its seed {found} is larger than seeds are here: taken modulo 2^32, so the noise is another.")
        self.fields["seed"] = found % (MAX_SEED + 1)

    def size(self, width: object, height: object) -> None:
        """Both edges to the next multiple of 8 within the limits, with a note where that changes them."""
        edges = whole(width), whole(height)
        if edges[0] is None or edges[1] is None or min(edges[0], edges[1]) < 1:
            return
        wide, high = (_edge(edge) for edge in (edges[0], edges[1]))
        if (wide, high) != edges:
            self.note(f"Its size {edges[0]} x {edges[1]} becomes {wide} x {high}: edges are multiples of 8 up to 4096.")
        self.fields |= {"width": wide, "height": high}

    def sampler(self, name: object, schedule: object = "") -> None:
        """Any program's names as ComfyUI's, which every engine here reads."""
        said, told = text(name, 60), text(schedule, 60)
        if not said and not told:
            return
        found = sampler_words(_plain_sampler(said), _plain_schedule(told))
        if found:
            self.fields["sampler"] = found[0]
            if found[1]:
                self.fields["scheduler"] = found[1]
        elif said:
            self.note(f"Its sampler {said} is not known here; the model family's own is used.")
        if _plain_schedule(told) not in {"", *SCHEDULES}:
            self.note(f"Its schedule {told} is not known here; the model family's own is used.")

    def model_name(self, name: object, digest: object = None) -> None:
        """The model with its hash; only a hash that starts a SHA-256 is kept."""
        told = text(name, 400)
        if told and told.lower() not in {"none", "null"}:
            self.model = told
        self.hash(digest)

    def hash(self, digest: object) -> None:
        found = text(digest, 200).lower().rpartition(":")[2].removeprefix("0x")
        if re.fullmatch(r"[0-9a-f]{10,64}", found):
            self.model_hash = found[:10]

    def lora(self, name: object, strength: object = 1.0, clip_strength: object = None) -> None:
        """One LoRA more, or another strength of one that is there already; those of no strength are left out."""
        told = text(name, 400)
        model, clip = number(strength), number(clip_strength)
        model = 1.0 if model is None else model
        if not told or told.lower() == "none" or not (model or clip):
            return
        if not -4 <= model <= 4 or (clip is not None and not -4 <= clip <= 4):
            self.note(f"The LoRA {told} was used at {model:g}, which is outside -4 to 4; it is left out.")
            return
        key = PurePosixPath(told.replace("\\", "/")).name.lower().removesuffix(".safetensors")
        if len(self.loras) >= MOST_LORAS and key not in self.loras:
            self.note(f"More than {MOST_LORAS} LoRAs; {told} is left out.")
            return
        apart = clip if clip is not None and clip != model else None
        self.loras[key] = LoraUse(name=told, strength=round(model, 4), clip_strength=apart)

    def from_a_picture(self, denoise: object, mask: object = False) -> None:
        """It was drawn from another picture, which no file keeps."""
        self.task = "inpaint" if mask is True or truth(mask) else "img2img"
        self.denoise(denoise)
        missing = "input picture and mask are" if self.task == "inpaint" else "input picture is"
        self.note(f"It was made from another picture ({self.task}); that {missing} not in the file.")

    def enlarged(self, factor: object = None, to: tuple[int, int] | None = None) -> None:
        """A second pass after the first one: the size is that of the end."""
        times = number(factor)
        if to is None and times and 1 < times <= 8 and "width" in self.fields:
            to = round(self.fields["width"] * times), round(self.fields["height"] * times)
        if to is None:
            self.note("It was enlarged and drawn again; how much, the file does not say.")
            return
        self.size(*to)
        self.fields["hires"] = True

    def fill(self, other: Draft) -> None:
        """Take from another reading of the same file what this one does not know."""
        self.prompt = self.prompt or other.prompt
        self.negative = self.negative or other.negative
        self.model, self.model_hash = self.model or other.model, self.model_hash or other.model_hash
        if self.task == "txt2img" and other.task != "txt2img":
            self.task = other.task
        self.fields = other.fields | self.fields
        self.loras = self.loras or other.loras
        for sentence in other.notes:
            self.note(sentence)

    def recipe(self) -> Recipe:
        """The recipe; without words it is of unknown task, and so is one that cannot be put together."""
        task: Task = self.task if self.prompt or self.task == "upscale" else "unknown"
        loras = tuple(self.loras.values())
        try:
            return Recipe.checked(
                task=task, prompt=self.prompt, negative=self.negative, model=self.model, loras=loras, **self.fields
            )
        except BadRecipe as error:
            self.note(f"Its settings cannot be used here: {error}")
            return Recipe(task=task, prompt=self.prompt, negative=self.negative)

    def foreign(self, **further: Any) -> Foreign:
        """The whole, once everything is told."""
        recipe = self.recipe()
        names = {"program": self.program, "model": self.model, "model_hash": self.model_hash}
        return Foreign(recipe=recipe, notes=tuple(self.notes), **names, **further)

    def _within(self, name: str, value: float | None, least: float, most: float) -> None:
        if value is None:
            return
        if least <= value <= most:
            self.fields[name] = value
        else:
            self.note(f"Its {name.replace('_', ' ')} of {value:g} is outside {least:g} to {most:g} and is left out.")

    def tags(self, words: str) -> str:
        """Use the LoRAs that tags in the words name; what is left without the tags."""
        for tag in _TAG.finditer(words):
            strengths = [part.rpartition("=")[2] for part in tag[3].split(":")[1:3]]
            clip, model = (*strengths, None, None)[:2]
            # Two numbers are the text encoder's first, then the denoiser's.
            self.lora(tag[2], model if model is not None else clip, clip if model is not None else None)
        return _TAG.sub("", words)

    def _untagged(self, words: str) -> str:
        """The prompt without the tags of LoRAs, which are used, and of other things, which are told."""
        bare = self.tags(words)
        if others := _OTHER_TAG.findall(bare):
            self.note(
                f"Tags that only {self.program} reads are left out of the prompt: {', '.join(dict.fromkeys(others))}."
            )
            bare = _OTHER_TAG.sub("", bare)
        return _tidied(bare) if bare != words else words


def _tidied(words: str) -> str:
    """No double spaces and no empty places between commas, where a tag stood."""
    lines = (
        re.sub(r"[ \t]{2,}", " ", re.sub(r"(,[ \t]*){2,}", ", ", line)).strip(" \t,") for line in words.split("\n")
    )
    return "\n".join(lines).strip()


def _cut(words: object) -> str:
    return text(words, MAX_PROMPT)


def _edge(pixels: int) -> int:
    return min(MAX_EDGE, max(LEAST_EDGE, (pixels + MULTIPLE // 2) // MULTIPLE * MULTIPLE))


_OWN_WORDS = {"automatic", "auto", "native", "default", "none", ""}
"""Schedules that say: whatever belongs to the sampler."""


def _plain_schedule(schedule: str) -> str:
    plain = schedule.strip().lower().replace("_", " ")
    return "" if plain in _OWN_WORDS else plain


def _plain_sampler(name: str) -> str:
    """InvokeAI's, NovelAI's and Draw Things' spellings on the way to those that `sampler_words` knows."""
    plain = name.strip().lower().replace("_", " ")
    plain = re.sub(r"^k (?=\w)", "", plain).replace("kdpm 2", "dpm 2").replace("dpm2s", "dpm 2s")
    plain = re.sub(r" k$", " karras", plain)
    plain = re.sub(r"^(dpm\+\+|dpmpp) ?2s$", "dpmpp 2s ancestral", plain)
    plain = re.sub(r" trailing$| ays$|^ddim v3$", "", plain) or "ddim"
    return {"unipc": "uni pc", "plms": "lms", "pndm": "lms", "euler ancestral discrete": "euler ancestral"}.get(
        plain, plain
    )
