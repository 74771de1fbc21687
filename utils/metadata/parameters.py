"""The A1111 text: written so that A1111, CivitAI and most viewers read it, and taken apart again.

The prompt, `Negative prompt: ...`, and a last line `Steps: 30, Sampler: ..., Model: ...` whose values are JSON strings
where they hold a comma, colon or newline. `Hashes` alone is bare JSON: that is how CivitAI finds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

MAX_LINE = 50_000
"""Characters of a settings line that are searched."""

SAMPLERS = {
    "euler": "Euler",
    "euler_a": "Euler a",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "dpm2": "DPM2",
    "dpm_2": "DPM2",
    "dpm2_a": "DPM2 a",
    "dpm_2_ancestral": "DPM2 a",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "lms": "LMS",
    "ddim": "DDIM",
    "unipc": "UniPC",
    "uni_pc": "UniPC",
    "lcm": "LCM",
    "pndm": "PLMS",
}
"""A1111's own names of samplers, by ComfyUI's and ours; it takes up no others."""
_KARRAS = "_karras"
_NEGATIVE = "Negative prompt:"
_SETTING = re.compile(r'\s*(\w[\w \-/]{0,60}):\s*("(?:\\.|[^"\\])*"|\{[^{}]*\}|\[[^\[\]]*\]|[^,]*)(?:,|$)')
_ENDINGS = re.compile(r"\.(?:safetensors|ckpt|pt|pth|bin|gguf)$", re.IGNORECASE)
_HASH = re.compile(r"[0-9A-Fa-f]{8,64}")
_UNTELLABLE = str.maketrans(dict.fromkeys('<>:,"{}', "_"))
"""In the name of a LoRA these would end the tag, or the list of hashes."""


def parameters_text(
    *,
    prompt: str,
    negative: str = "",
    steps: int,
    sampler: str | None,
    cfg: float | None,
    seed: int,
    width: int,
    height: int,
    model: str,
    model_hash: str | None,
    version: str,
    denoise: float | None = None,
    further: Mapping[str, str | float] | None = None,
    loras: Sequence[tuple[str, float, float | None]] = (),
    lora_hashes: Mapping[str, str] | None = None,
) -> str:
    """The A1111 text. `version` is Atelier's own; `further` settings come before it; what is None is left out.

    `loras` (name, strength, strength for the text encoder where it differs) become `<lora:name:0.8>` at the end of the
    prompt, which is the one place where A1111 and CivitAI look for them. `lora_hashes`: by the same names, hex.
    """
    hashes = {_short(name): known for name, known in (lora_hashes or {}).items() if _HASH.fullmatch(known)}
    settings: dict[str, str | float | None] = {
        "Steps": steps,
        "Sampler": None if sampler is None else sampler_name(sampler),
        "CFG scale": cfg,
        "Seed": seed,
        "Size": f"{width}x{height}",
        "Model hash": model_hash,
        "Model": model,
        "Denoising strength": denoise,
        **(further or {}),
        **({"Lora hashes": ", ".join(f"{name}: {known}" for name, known in hashes.items())} if hashes else {}),
        "Version": f"atelier {version}",
    }
    shown = [f"{name}: {_quoted(value)}" for name, value in settings.items() if value is not None]
    every = ({"model": model_hash} if model_hash else {}) | {f"lora:{name}": known for name, known in hashes.items()}
    # Not the first of the line: CivitAI wants a comma before it.
    shown += [f"Hashes: {json.dumps(every, ensure_ascii=False)}"] if every else []
    tags = " ".join(_tag(*lora) for lora in loras)
    words = f"{prompt.strip()} {tags}".strip()
    lines = [words, f"{_NEGATIVE} {negative.strip()}" if negative.strip() else "", ", ".join(shown)]
    return "\n".join(line for line in lines if line)


def read_parameters(text: str) -> dict[str, str]:
    """An A1111 text taken apart: `prompt`, `negative_prompt` and each setting under its own name.

    The format cannot tell a prompt's own line "Negative prompt: ..." from the real one: the first counts, as in
    A1111. Our record (see `read`) has no such doubt. Text without a settings line is all prompt.
    """
    *lines, last = text.strip().split("\n")
    settings = _settings(last)
    if not settings:
        lines.append(last)
    start = next((place for place, line in enumerate(lines) if line.startswith(_NEGATIVE)), len(lines))
    negative = "\n".join(lines[start:]).removeprefix(_NEGATIVE)
    return settings | {"prompt": "\n".join(lines[:start]).strip(), "negative_prompt": negative.strip()}


def sampler_name(name: str) -> str:
    """A sampler's name as A1111 writes it, `DPM++ 2M Karras` for dpmpp_2m_karras; as it is where A1111 has none."""
    base = name.lower().removesuffix(_KARRAS)
    known = SAMPLERS.get(base)
    return name if known is None else known + (" Karras" if base != name.lower() else "")


def _settings(line: str) -> dict[str, str]:
    """The settings of a last line; none when it is not one (or absurdly long, which would be slow to search)."""
    if "Steps:" not in line or len(line) > MAX_LINE:
        return {}
    return {name: _unquoted(value) for name, value in _SETTING.findall(line)}


def _short(name: str) -> str:
    """A LoRA's name as A1111 knows it: its file without folder and ending."""
    return _ENDINGS.sub("", name.replace("\\", "/").rpartition("/")[2]).translate(_UNTELLABLE)


def _tag(name: str, strength: float, for_text: float | None) -> str:
    both = "" if for_text is None or for_text == strength else f":{for_text:g}"
    return f"<lora:{_short(name)}:{strength:g}{both}>"


def _quoted(value: str | float) -> str:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    # A1111 quotes at comma, colon and newline; the others would be lost or misread on the way back.
    plain = shown and shown == shown.strip() and not set(shown) & set(',:"\n\r{[')
    return shown if plain else json.dumps(shown, ensure_ascii=False)


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    try:
        return str(json.loads(value, strict=False))
    except ValueError:
        return value
