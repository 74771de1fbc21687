"""The settings that suit a model, its file's own or its family's; and what is drawn with LoRAs that must be woken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.completion import FEW_STEPS, steps_for
from workflows.selection.words import told_apart
from workflows.types import MAX_PROMPT, FamilyProfile, LoraUse, ModelInfo, PromptAnalysis, Quality

MOST_WORDS = 600
"""Characters of trigger words that are added to a prompt."""
WORKING = 0.3
"""Strength from which a speed LoRA does its work."""
_SCORE = re.compile(r"score_\d+(?:_up)?$", re.IGNORECASE)
_COUNT = re.compile(r"(?<!\d)(\d{1,2})[-_ ]?steps?(?![a-z])")


@dataclass(frozen=True)
class Speed:
    """A kind of LoRA that makes a model draw in few steps; `cfg` None: as the family has it."""

    pattern: re.Pattern[str]
    steps: int
    cfg: float | None
    sampler: str | None = None
    scheduler: str | None = None


_GAP = r"(?<![a-z])"
SPEEDS = (
    Speed(re.compile(_GAP + r"dmd[-_ ]?2?(?![a-z])"), 4, 1.0, "lcm", "sgm_uniform"),
    Speed(re.compile(_GAP + r"(?:sd|sdxl|xl|ssd)?[-_ ]?lcm(?![a-z])"), 8, 1.5, "lcm", "sgm_uniform"),
    Speed(re.compile(_GAP + r"hyper[-_ ]?(?:sd|flux|sdxl|sd15|sd3)"), 8, None),
    Speed(re.compile(r"lightx2v|lightning|causvid|(?<![a-z])pcm(?![a-z])"), 8, 1.0),
    Speed(
        re.compile(r"(?:flux|sdxl|xl|anima|h3|qwen|sd3|krea)[-_ .\d]*(?:dev)?[-_ ]*turbo|turbo[-_ ]?(?:alpha|lora|\d)"),
        8,
        None,
    ),
    Speed(re.compile(r"(?:distill(?:ed)?[-_ ]?lora|schnell[-_ ]?lora)"), 8, 1.0),
)
"""By their file names (models.md 1.4, end); the steps are those of the commonest one where the name does not say."""
UNET = frozenset(
    {"sd15", "sd15-anime", "sd21", "sdxl", "pony", "illustrious", "noobai", "noobai-vpred", "sdxl-lightning"}
)
"""Families whose speed LoRAs want guidance off and their own sampler."""


def defaults_for(
    info: ModelInfo,
    profile: FamilyProfile,
    quality: Quality = "balanced",
    *,
    loras: Sequence[LoraUse] = (),
    analysis: PromptAnalysis | None = None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Fields of a recipe that suit the model, and why; what was given explicitly is for the caller to keep.

    The file's own settings come first, then the family's; the quality counts on the steps. A speed LoRA among `loras`
    decides steps and cfg. What the prompt suggests (`analysis`) counts only where the file says nothing and the model
    is not distilled. Sampler, scheduler and clip_skip are there only where the file or a LoRA says so.
    """
    if (quick := _speed(loras)) is not None:
        lora, speed = quick
        return _of_speed(speed, lora, profile), (f"Steps and cfg as the LoRA {lora.name} was made for.",)
    own, notes = info.facts.defaults, list[str]()
    cfg = own.cfg if _sane_cfg(own.cfg, profile) else None
    steps = steps_for(own.steps or profile.steps, quality)
    if analysis is not None and own.steps is None and profile.steps > FEW_STEPS:
        cfg = analysis.suggested_cfg if cfg is None else cfg
        if analysis.suggested_steps is not None:
            steps = analysis.suggested_steps
            notes.append("Steps as the prompt asks for.")
    fields: dict[str, Any] = {"steps": steps, "cfg": profile.cfg if cfg is None else cfg}
    fields |= {
        name: value for name in ("sampler", "scheduler", "clip_skip") if (value := getattr(own, name)) is not None
    }
    told = [name for name in ("steps", "cfg", "sampler", "scheduler", "clip_skip") if _told(name, own, cfg)]
    if told:
        notes.insert(0, f"{_listed(told)} as the model's own pictures have them.")
    return fields, tuple(notes)


def with_triggers(prompt: str, loras: Sequence[LoraUse]) -> str:
    """What is drawn: the prompt with the trigger words that it does not say yet, once each.

    Added at its end, Pony's score tags before it. A prompt without words stays so.
    """
    if not prompt.strip():
        return prompt
    first, last = list[str](), list[str]()
    room = min(MOST_WORDS, MAX_PROMPT - len(prompt))
    for part in _missing(prompt, loras):
        room -= len(part) + 2
        if room < 0:
            break
        (first if _SCORE.match(part.replace(" ", "_")) else last).append(part)
    return ", ".join([*first, prompt.rstrip(" ,") if last else prompt, *last])


def _missing(prompt: str, loras: Sequence[LoraUse]) -> Iterable[str]:
    """The parts of all triggers that the prompt does not say, without repeats."""
    said, plain = set[str](), told_apart(prompt)
    for trigger in (trigger for lora in loras if lora.strength for trigger in lora.triggers):
        for part in trigger.split(","):
            text = " ".join(part.split())
            key = told_apart(text)
            if key and key not in said and not _says(plain, key):
                said.add(key)
                yield text


def _says(prompt: str, key: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(key)}(?!\w)", prompt) is not None


def _speed(loras: Iterable[LoraUse]) -> tuple[LoraUse, Speed] | None:
    """The first LoRA of the stack that changes how many steps are drawn."""
    for lora in loras:
        name = lora.name.replace("\\", "/").rpartition("/")[2].lower()
        for speed in SPEEDS:
            if lora.strength >= WORKING and speed.pattern.search(name):
                return lora, speed
    return None


def _of_speed(speed: Speed, lora: LoraUse, profile: FamilyProfile) -> dict[str, Any]:
    said = _COUNT.search(lora.name.lower())
    unet = profile.name in UNET
    cfg = speed.cfg if speed.cfg is not None and not _guided(profile) else 1.0 if unet else profile.cfg
    fields: dict[str, Any] = {"steps": max(1, int(said[1])) if said else speed.steps, "cfg": cfg}
    if unet:
        fields |= {"sampler": speed.sampler or "euler", "scheduler": speed.scheduler or "sgm_uniform"}
    return fields


def _guided(profile: FamilyProfile) -> bool:
    """Whether the family was distilled with its guidance inside (Flux), so that cfg is no classifier-free guidance."""
    return not profile.negatives and profile.cfg > 1


def _sane_cfg(cfg: float | None, profile: FamilyProfile) -> bool:
    """Whether a file's cfg can be meant as ours: pictures of Flux say 1 where the guidance is 3.5, and one of a
    distilled model with the guidance of others was made by mistake."""
    if cfg is None:
        return False
    if _guided(profile):
        return 1.0 < cfg <= 10.0
    return cfg <= 3.0 if profile.cfg <= 1.5 and profile.steps <= FEW_STEPS else cfg > 0


def _told(name: str, own: Any, cfg: float | None) -> bool:
    return getattr(own, name) is not None and (name != "cfg" or cfg == own.cfg)


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
    return text[0].upper() + text[1:]
