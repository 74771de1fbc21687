"""The text of A1111 and its kin (Forge, CivitAI's generator, Fooocus on demand): prompts, then a line of settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from workflows.importing.draft import Draft
from workflows.importing.values import size, table, tables, text, whole

MOST_LINE = 100_000
MOST_SETTINGS = 300
NEGATIVE = "Negative prompt:"
FIRST_SETTING = re.compile(r"(?:Steps|Seed|Sampler|Size|Model): ")
"""What a line of settings begins with; A1111 writes the steps first, others do not always."""

_BETWEEN = re.compile(r"[\s,]*")
_NAME = re.compile(r"(\w[\w \-/]{0,60}):[ ]?")
_APART = re.compile(
    r"ADetailer|ControlNet|Refiner|Regional|RP |Styles|Tiled|Dynamic thresholding|FreeU|Hypernet|Pad conditioning"
)
"""Settings of parts of A1111 that have no counterpart here."""
_LOADER = json.JSONDecoder()


def is_parameters(written: str) -> bool:
    """Whether the text has a line of settings as A1111 writes it."""
    return bool(re.search(r"(?:^|\n|, )Steps: \d", written))


def read_text(written: str, program: str = "A1111") -> Draft:
    """The recipe in it. `program` is the name where the text itself tells no other."""
    prompt, negative, settings = taken_apart(written)
    draft = Draft(program=_program(settings, program))
    draft.words(prompt, negative)
    draft.steps(settings.get("Steps"))
    draft.cfg(settings.get("Distilled CFG Scale") or settings.get("CFG scale"))
    draft.seed(settings.get("Seed"))
    draft.sampler(settings.get("Sampler"), settings.get("Schedule type") or settings.get("Scheduler"))
    draft.clip_skip(settings.get("Clip skip"))
    draft.size(*(size(settings.get("Size")) or (None, None)))
    draft.model_name(settings.get("Model"), settings.get("Model hash"))
    _resources(draft, settings)
    _passes(draft, settings)
    if apart := [name for name, value in settings.items() if _APART.match(name) and value not in ("None", "[]")]:
        draft.note(f"Not taken over: {', '.join(apart[:12])}.")
    return draft


def taken_apart(written: str) -> tuple[str, str, dict[str, Any]]:
    """(prompt, negative prompt, settings by name). Values in JSON are parsed; all others are texts."""
    lines = written[: 4 * MOST_LINE].replace("\r\n", "\n").split("\n")
    last = next((place for place in range(len(lines) - 1, -1, -1) if FIRST_SETTING.match(lines[place])), None)
    settings: dict[str, Any] = {}
    if last is not None:
        settings = settings_of(lines[last])
        lines = lines[:last]
    start = next((place for place, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    negative = "\n".join(lines[start:]).removeprefix(NEGATIVE)
    return "\n".join(lines[:start]).strip(), negative.strip(), settings


def settings_of(line: str) -> dict[str, Any]:
    """ "Name: value, Name: value", whose values may be plain, quoted, or JSON; the first of a name counts."""
    line = line[:MOST_LINE]
    settings: dict[str, Any] = {}
    place, quoting = 0, True
    while place < len(line) and len(settings) < MOST_SETTINGS:
        between = _BETWEEN.match(line, place)  # on its own, so that no place is looked at twice
        place = between.end() if between else place
        name = _NAME.match(line, place)
        if name is None:
            place = _after(line, place)
            continue
        value, end = _json_value(line, name.end()) if quoting else (None, 0)
        if not end:
            # A quote or bracket that is never closed would be looked for again and again.
            quoting = quoting and line[name.end() : name.end() + 1] not in {'"', "{", "["}
            end = _after(line, name.end())
            value = line[name.end() : end].rstrip(", ").strip()
        settings.setdefault(name[1].strip(), value)
        place = end
    return settings


def _json_value(line: str, start: int) -> tuple[Any, int]:
    """The quoted or bracketed value there and where it ends; an end of 0: there is none."""
    if line[start : start + 1] not in {'"', "{", "["}:
        return None, 0
    try:
        return _LOADER.raw_decode(line, start)
    except (ValueError, RecursionError):
        return None, 0


def _after(line: str, place: int) -> int:
    comma = line.find(",", place)
    return len(line) if comma < 0 else comma + 1


def _program(settings: Mapping[str, Any], program: str) -> str:
    version = text(settings.get("Version"), 100)
    for start, name in (
        ("ComfyUI", "ComfyUI"),
        ("Fooocus", "Fooocus"),
        ("stable-diffusion.cpp", "stable-diffusion.cpp"),
        ("atelier", "Atelier"),
        ("neo", "Forge"),
    ):
        if version.startswith(start):
            return name
    if re.match(r"f\d", version):
        return "Forge"
    if "SD.Next" in text(settings.get("App"), 100):
        return "SD.Next"
    return "CivitAI" if "Civitai resources" in settings and not version else program


def _resources(draft: Draft, settings: Mapping[str, Any]) -> None:
    """Model and LoRAs as their hashes and CivitAI's list name them; what a tag of the prompt said stays."""
    if draft.model_hash is None:
        draft.hash(table(settings.get("Hashes")).get("model"))
    if not draft.loras:  # as our own text has them
        draft.tags(text(settings.get("Loras")))
    for entry in () if draft.loras else text(settings.get("Lora weights")).split(", "):  # Fooocus has no tags
        name, _, strength = entry.rpartition(": ")
        draft.lora(name, strength)
    tagged = set(draft.loras)
    for row in tables(settings.get("Civitai resources")):
        kind, version = text(row.get("type"), 40).lower(), whole(row.get("modelVersionId"))
        name = text(row.get("modelName"), 300)
        if kind in {"checkpoint", "model"} and not draft.model:
            draft.model_name(name or (f"civitai:{version}" if version else None))
            draft.note(f"Its model is CivitAI's version {version}: {_full_name(row)}.")
        elif kind in {"lora", "lycoris", "locon", "dora"} and not tagged:
            draft.lora(name or f"civitai:{version}", row.get("weight", 1.0))
            draft.note(f"The LoRA {name or version} is CivitAI's version {version}.")


def _full_name(row: Mapping[str, Any]) -> str:
    return " ".join(part for part in (text(row.get("modelName"), 200), text(row.get("modelVersionName"), 100)) if part)


def _passes(draft: Draft, settings: Mapping[str, Any]) -> None:
    """A second pass, or a picture to begin with: A1111 has one denoising strength for both."""
    second = any(name.startswith("Hires") for name in settings)
    strength = settings.get("Denoising strength")
    if second:
        draft.enlarged(settings.get("Hires upscale"), size(settings.get("Hires resize")))
    elif strength is not None:
        draft.from_a_picture(strength, mask="Mask blur" in settings or "Inpaint area" in settings)
