"""What CivitAI's JSON says of a model version, as plain values. Reads answers and side-cars; asks nobody.

Shapes: developer.civitai.com (/models, /models/{id}, /model-versions/{id} and by-hash), which `.civitai.info` side-cars
hold too. Any field may be missing, null or of another type: it is passed over then, and nothing here raises.
"""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from statistics import median
from typing import Any, cast

from utils.strangers_text import text_of, without_controls

SITE = "https://civitai.com"
MOST_DESCRIPTION = 2_000
MOST_TRIGGERS = 24
MOST_TAGS = 40
MOST_PICTURES = 200
ENOUGH = 3
"""Pictures that have to tell a setting before it counts; fewer are one person's whim."""
SAFE_LEVELS = 1 | 2
"""PG and PG13 of nsfwLevel's bits; 4, 8 and 16 are R, X and XXX, 32 is blocked."""
ADULT_LEVELS = 4 | 8 | 16
BLOCKED_LEVEL = 32
WEIGHT_SUFFIXES = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin", ".onnx", ".zip")
NO_WEIGHTS = frozenset({"training data", "config", "workflow", "workflows", "archive"})
"""Types of files that are no weights, lower case."""
PARTS_OF_OTHERS = frozenset({"vae", "negative", "text encoder"})
"""Types of files that stand beside the weights of a version of another type."""

SAMPLERS = frozenset(
    """euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 dpm_2 dpm_2_ancestral lms dpm_fast
    dpm_adaptive dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde
    dpmpp_2m_sde_heun dpmpp_3m_sde ddpm lcm ipndm ipndm_v deis res_multistep res_multistep_cfg_pp
    res_multistep_ancestral res_multistep_ancestral_cfg_pp gradient_estimation gradient_estimation_cfg_pp er_sde
    seeds_2 seeds_3 sa_solver sa_solver_pece ddim uni_pc uni_pc_bh2""".split()
)
"""ComfyUI's, as its KSampler lists them (0.33), without those that only differ in where the noise is made."""
SCHEDULES: Mapping[str, str] = {
    "karras": "karras",
    "exponential": "exponential",
    "sgm uniform": "sgm_uniform",
    "sgmuniform": "sgm_uniform",
    "uniform": "normal",
    "normal": "normal",
    "simple": "simple",
    "beta": "beta",
    "ddim": "ddim_uniform",
    "ddim uniform": "ddim_uniform",
    "kl optimal": "kl_optimal",
    "linear quadratic": "linear_quadratic",
}
"""A1111's names of schedules (modules/sd_schedulers.py) and ComfyUI's own, as ComfyUI's."""
OWN_SCHEDULES: Mapping[str, str] = {
    "dpm_2": "karras",
    "dpm_2_ancestral": "karras",
    "dpmpp_2m": "karras",
    "dpmpp_sde": "karras",
    "dpmpp_2s_ancestral": "karras",
    "dpmpp_2m_sde": "exponential",
    "dpmpp_2m_sde_heun": "exponential",
    "dpmpp_3m_sde": "exponential",
    "ddim": "ddim_uniform",
    "lcm": "sgm_uniform",
}
"""What A1111's schedule "Automatic" means for a sampler (modules/sd_samplers_kdiffusion.py)."""
_NOISE_MODELS = re.compile(r"sd ?[12]|sdxl|pony$|illustrious|noobai|playground|kolors", re.IGNORECASE)
"""Base models whose sampling has the schedules of A1111; the others flow, and take their family's own."""


def version_facts(version: Mapping[str, Any], model: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What is known of a version, by the names of ModelFacts' fields; what is not told is left out.

    `version`: a model-version object; `model`: the object of /models that it is from, which knows more than the few
    fields of `version["model"]`. Counts are the model's where they are told, else the version's.
    """
    parent = table_of(version.get("model")) | {
        name: value for name, value in (model or {}).items() if value is not None
    }
    adult, minor, real_person = is_adult(version, parent), _is_said(parent.get("minor")), _is_said(parent.get("poi"))
    facts: dict[str, Any] = {
        "title": _title(version, parent),
        "base_model": text_of(version.get("baseModel"), 100),
        "kind": text_of(parent.get("type"), 60),
        "triggers": triggers_of(version.get("trainedWords")),
        "tags": _tags(parent.get("tags")),
        "description": _description(version, parent),
        "downloads": _downloads(version, parent),
        "rating": _rating(parent.get("stats"), version.get("stats")),
        "defaults": picture_defaults(version, lora=is_lora(parent.get("type"))),
        "nsfw": adult,
        "real_person": real_person,
        "minor": minor,
        "licence": licence_words(parent),
        "preview_url": preview_of(version, adult=adult and not (minor or real_person)),
        "sha256": sha256_of(weight_file(version)),
    }
    return {name: value for name, value in facts.items() if value or _is_number(value)} | _whence(version, parent)


def sampler_words(name: str, schedule: str = "") -> tuple[str, str] | None:
    """ComfyUI's sampler and scheduler for A1111's names (or its own); None for a sampler that it has not.

    A schedule may be part of the name (DPM++ 2M Karras). The scheduler is "" where neither names one and the sampler
    has none of its own: the model family's is meant then.
    """
    words = _plain(name).replace("++", "pp").removeprefix("k ")
    suffix = next((key for key in sorted(SCHEDULES, key=len, reverse=True) if words.endswith(f" {key}")), "")
    words = words.removesuffix(suffix).strip().removesuffix(" gpu")
    words = re.sub(r" a$", " ancestral", words).replace("dpm2", "dpm 2").replace("unipc", "uni pc")
    sampler = words.replace(" ", "_")
    if sampler not in SAMPLERS:
        return None
    told = SCHEDULES.get(_plain(schedule)) or SCHEDULES.get(suffix)
    return sampler, told or OWN_SCHEDULES.get(sampler, "")


def weight_file(version: Mapping[str, Any]) -> dict[str, Any] | None:
    """The file that the version is for: safetensors before pickles, then the primary one; None when it has none."""
    files = [row for row in rows_of(version.get("files")) if _is_weight(row)]
    return min(files, key=_order, default=None)


def is_safetensors(file: Mapping[str, Any]) -> bool:
    """By its name; where that is missing by what the site says of its format."""
    name = text_of(file.get("name")).lower()
    stated = text_of(table_of(file.get("metadata")).get("format")).lower() == "safetensor"
    return name.endswith((".safetensors", ".sft")) if name.endswith(WEIGHT_SUFFIXES) else stated


def sha256_of(file: Mapping[str, Any] | None) -> str:
    """Of a row of `files`: lower-case hex, or ""."""
    told = text_of(table_of((file or {}).get("hashes")).get("SHA256")).lower()
    return told if re.fullmatch(r"[0-9a-f]{64}", told) else ""


def is_adult(version: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    """Whether it was made for adult pictures: its maker says so, or not one of its pictures is safe.

    A level is the sum of its pictures' levels. As on the site, a model with safe pictures too is not an adult one.
    """
    if _is_said(model.get("nsfw")):
        return True
    level = count_of(model.get("nsfwLevel")) or count_of(version.get("nsfwLevel")) or 0
    return bool(level & BLOCKED_LEVEL) or bool(level & ADULT_LEVELS and not level & SAFE_LEVELS)


def is_lora(kind: object) -> bool:
    return text_of(kind).lower() in {"lora", "locon", "dora", "lycoris"}


# What the words say


def triggers_of(words: object) -> tuple[str, ...]:
    """The trigger words in `trainedWords`: single ones, cleaned of markup, LoRA tags and weights, without doubles."""
    found: dict[str, str] = {}
    for entry in _strings(words):
        text = re.sub(r"<(?:lora|lyco|hypernet):[^<>]*>", ",", entry[:5_000], flags=re.IGNORECASE)
        text = html.unescape(re.sub(r"</?[a-zA-Z][^<>]*>", ",", text))
        for part in re.split(r"[,\n\r，、]+", text):
            word = _trigger(part)
            found.setdefault(word.casefold(), word)
    found.pop("", None)
    return tuple(found.values())[:MOST_TRIGGERS]


_NO_TRIGGER = re.compile(
    r"(none|null|undefined|n/?a|no|nothing|tbd|todo|(no|not|without)\b.*\b(need|needed|required|necessary|trigger)\b.*"
    r"|no triggers?( words?)?|trigger( words?)?|https?://.*|www\..*|\d?\.\d+|[^\w]*)",
    re.IGNORECASE,
)


def _trigger(part: str) -> str:
    """One word or phrase, or "" for what wakes nothing."""
    word = " ".join(without_controls(part).split()).strip("\"'`“”‘’*• ")
    word = re.sub(r"^(?:trigger(?: words?)?|activation)\s*[:=]\s*", "", word, flags=re.IGNORECASE)
    word = re.sub(r"(?<=[\w)]):\s*-?\d+(?:\.\d+)?(?=\s*\)*$)", "", word)
    if re.match(r"\(.*(?<!\\)\)$|[^)]*$|[^(]*$", word):  # emphasis around all of it, or half of one
        word = re.sub(r"(?<!\\)[()]", "", word)
    word = word.strip().rstrip(".")
    return "" if len(word) > 100 or _NO_TRIGGER.fullmatch(word) else word


_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*+)[^<>]*+>")
_BLOCKS = frozenset("p div br li ul ol h1 h2 h3 h4 h5 h6 tr table blockquote pre hr".split())
_SILENT = {"<!--": "-->", "<script": "</script>", "<style": "</style>"}


def plain_text(markup: str, most: int = MOST_DESCRIPTION) -> str:
    """HTML as plain text of at most that many characters, cut at a word and then ended by "…".

    In time that grows with its length alone; the standard library's parser takes minutes for some hostile texts.
    """
    markup = markup[:100_000]
    for start, end in _SILENT.items():
        markup = _without(markup, start, end)
    spoken = without_controls(html.unescape(_TAG.sub(_break, " ".join(markup.split()))))
    lines = (" ".join(line.split()) for line in spoken.split("\n"))
    text = "\n".join(line for line in lines if line not in {"", "-"})
    return text if len(text) <= most else f"{text[: most - 1].rsplit(maxsplit=1)[0]}…"


def _without(text: str, start: str, end: str) -> str:
    kept: list[str] = []
    at = 0
    while (begin := text.find(start, at)) >= 0:
        kept.append(text[at:begin])
        stop = text.find(end, begin)
        at = stop + len(end) if stop >= 0 else len(text)
    return "".join([*kept, text[at:]])


def _break(tag: re.Match[str]) -> str:
    name = tag[1].lower()
    return ("\n- " if name == "li" and tag[0][1] != "/" else "\n") if name in _BLOCKS else ""


def _description(version: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    told = [row.get("description") for row in (model, version)]
    texts = dict.fromkeys(plain_text(text) for text in told if isinstance(text, str))
    return plain_text("<p>".join(html.escape(text).replace("\n", "<br>") for text in texts if text))


def _title(version: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    return " - ".join(filter(None, (text_of(row.get("name"), 200) for row in (model, version))))


def _tags(tags: object) -> tuple[str, ...]:
    named = [text_of(row.get("name")) for row in rows_of(tags)]
    told = (" ".join(without_controls(text[:500]).split()).lower() for text in [*_strings(tags), *named])
    return tuple(dict.fromkeys(text for text in told if 0 < len(text) <= 60))[:MOST_TAGS]


COMMERCIAL = {
    "Image": "selling pictures",
    "RentCivit": "generation services on CivitAI",
    "Rent": "generation services",
    "Sell": "selling the model",
}
"""What allowCommercialUse's words allow. Before 2024 it was one word that included those before it."""


def licence_words(model: Mapping[str, Any]) -> str:
    """The permissions of a model object in a sentence; "" where it holds none."""
    said: list[str] = []
    if (commercial := _commercial(model.get("allowCommercialUse"))) is not None:
        said.append(f"commercial use: {', '.join(commercial)}" if commercial else "no commercial use")
    refused = {
        "allowNoCredit": "credit its creator",
        "allowDerivatives": "no merges or other derivatives",
        "allowDifferentLicense": "derivatives under the same permissions",
    }
    said += [words for name, words in refused.items() if model.get(name) is False]
    return "; ".join(said)


def _commercial(told: object) -> list[str] | None:
    """What is allowed, in words; None when that is not told. A list, "Sell", or "{Image,RentCivit}"."""
    if isinstance(told, str) and not told.startswith("{"):
        order = ["Image", "Rent", "Sell"]
        names = order[: order.index(told) + 1] if told in order else [told]
    elif isinstance(told, str):
        names = told.strip("{}").split(",")
    elif isinstance(told, list):
        names = list(_strings(cast(object, told)))
    else:
        return None
    return [COMMERCIAL[name] for name in COMMERCIAL if name in {name.strip() for name in names}]


# What the numbers say


def _downloads(version: Mapping[str, Any], model: Mapping[str, Any]) -> int | None:
    told = (count_of(table_of(row.get("stats")).get("downloadCount")) for row in (model, version))
    return next((count for count in told if count is not None), None)


def _rating(*stats: object) -> float | None:
    """Share of the votes that were for it, or the old stars of five; None where nobody voted."""
    for told in map(table_of, stats):
        up, down = count_of(told.get("thumbsUpCount")), count_of(told.get("thumbsDownCount"))
        if up is not None and down is not None and up + down:
            return round(up / (up + down), 4)
    for told in map(table_of, stats):
        stars = number_of(told.get("rating"))
        if stars is not None and 0 < stars <= 5 and count_of(told.get("ratingCount")) != 0:
            return round(stars / 5, 4)
    return None


# What the pictures say


def picture_defaults(version: Mapping[str, Any], *, lora: bool = False) -> dict[str, Any]:
    """The settings that the version's pictures were made with, by the names of ModelDefaults' fields.

    The median of numbers and the commonest of words, each only where at least `ENOUGH` pictures tell (and for words
    agree); `lora`: its strength as well.
    """
    images = rows_of(version.get("images"))[:MOST_PICTURES]
    metas = [meta for meta in (table_of(row.get("meta")) for row in images) if meta]
    base = text_of(version.get("baseModel"))
    found: dict[str, Any] = {
        "steps": _middle((_steps(meta) for meta in metas), 0),
        "cfg": _middle((_cfg(meta, base) for meta in metas), 1),
        "clip_skip": _commonest(_clip_skip(meta) for meta in metas),
        "strength": _strength(metas, version) if lora else None,
    }
    found["sampler"], found["scheduler"] = _commonest(_sampler(meta, base) for meta in metas) or (None, None)
    found["width"], found["height"] = _commonest(_size(meta) for meta in metas) or (None, None)
    return {name: value for name, value in found.items() if value or _is_number(value)}


def _middle(values: Iterable[float | None], digits: int) -> float | int | None:
    told = [value for value in values if value is not None]
    if len(told) < ENOUGH:
        return None
    return round(median(told), digits) if digits else round(median(told))


def _commonest(values: Iterable[Any]) -> Any:
    [(value, times)] = Counter(value for value in values if value is not None).most_common(1) or [(None, 0)]
    return value if times >= ENOUGH else None


def _steps(meta: Mapping[str, Any]) -> float | None:
    return _within(meta.get("steps"), 1, 150)


def _cfg(meta: Mapping[str, Any], base: str) -> float | None:
    """The guidance. Flux has its own, and a cfg of 1 beside it that says nothing."""
    distilled = _within(meta.get("Distilled CFG Scale"), 0.1, 30)
    told = _within(meta.get("cfgScale"), 0.1, 30)
    if base.lower().startswith("flux.1"):
        return distilled or (told if told and told > 1 else None)
    return told


def _clip_skip(meta: Mapping[str, Any]) -> int | None:
    told = _within(meta.get("clipSkip", meta.get("Clip skip")), 1, 12)
    return None if told is None else int(told)


def _sampler(meta: Mapping[str, Any], base: str) -> tuple[str, str] | None:
    schedule = text_of(meta.get("Schedule type") or meta.get("scheduler"), 60)
    name = text_of(meta.get("sampler"), 60)
    found = sampler_words(name, schedule)
    told = _plain(schedule) in SCHEDULES or any(_plain(name).endswith(f" {key}") for key in SCHEDULES)
    return (found[0], "") if found and not told and not _NOISE_MODELS.match(base) else found


def _size(meta: Mapping[str, Any]) -> tuple[int, int] | None:
    found = re.fullmatch(r"\s*(\d{2,5})\s*[xX×]\s*(\d{2,5})\s*", text_of(meta.get("Size")))
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (64 <= width <= 4096 and 64 <= height <= 4096):
        return None
    return (width, height) if width % 8 == 0 and height % 8 == 0 else None


def _strength(metas: Iterable[Mapping[str, Any]], version: Mapping[str, Any]) -> float | int | None:
    names, hashes = _own_names(version)
    found = _middle((_weight(meta, names, hashes, version.get("id")) for meta in metas), 2)
    return None if found is None or abs(found) < 0.05 else found


def _own_names(version: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """File names without suffix, and hashes of every kind, by which a picture may name this version."""
    files = rows_of(version.get("files"))
    hashes = {text_of(told).lower() for file in files for told in table_of(file.get("hashes")).values()}
    return {PurePosixPath(text_of(file.get("name"))).stem.lower() for file in files} - {""}, hashes - {""}


def _weight(meta: Mapping[str, Any], names: set[str], hashes: set[str], version_id: object) -> float | None:
    """This LoRA's strength in one picture."""
    for row in rows_of(meta.get("civitaiResources")):
        if version_id is not None and row.get("modelVersionId") == version_id:
            return _sane(row.get("weight"))
    for row in rows_of(meta.get("resources")):
        told = text_of(row.get("hash")).lower()
        if (len(told) >= 8 and any(one.startswith(told) for one in hashes)) or _name(row.get("name")) in names:
            return _sane(row.get("weight"))
    tags = re.findall(r"<lora:([^<>:]{1,200}):(-?[\d.]{1,6})", text_of(meta.get("prompt"), 20_000))
    return next((_sane(weight) for name, weight in tags if _name(name) in names), None)


def _name(told: object) -> str:
    return text_of(told).lower().removesuffix(".safetensors")


def _sane(weight: object) -> float | None:
    told = _within(weight, -4, 4)
    return told or None


def preview_of(version: Mapping[str, Any], *, adult: bool = False) -> str:
    """The address of a still picture that is safe to show; for an adult model the tamest that there is."""
    stills = [row for row in rows_of(version.get("images")) if text_of(row.get("type")) in {"", "image"}]
    rated = [(_picture_level(row), text_of(row.get("url"), 1_000)) for row in stills]
    shown = [(level, url) for level, url in rated if url.startswith(("https://", "http://"))]
    tamest = min(shown, key=lambda pair: pair[0], default=(BLOCKED_LEVEL, ""))
    return tamest[1] if tamest[0] <= (BLOCKED_LEVEL - 1 if adult else SAFE_LEVELS) else ""


def _picture_level(image: Mapping[str, Any]) -> int:
    """Its level as bits; older answers have words instead, and one that tells nothing passes for R."""
    level = count_of(image.get("nsfwLevel"))
    word = text_of(image.get("nsfw") or image.get("nsfwLevel")).lower()
    return level or {"none": 1, "soft": 2, "mature": 4, "x": 8}.get(word, 4)


# Files and places


def _is_weight(file: Mapping[str, Any]) -> bool:
    return bool(text_of(file.get("name"))) and text_of(file.get("type")).lower() not in NO_WEIGHTS


def _order(file: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """The file to take comes first."""
    beside = text_of(file.get("type")).lower() in PARTS_OF_OTHERS
    return beside and file.get("primary") is not True, not is_safetensors(file), file.get("primary") is not True


def _whence(version: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, str]:
    """Where it is from, as far as the ids are told."""
    model_id = count_of(version.get("modelId")) or count_of(model.get("id"))
    version_id = count_of(version.get("id"))
    if not (model_id and version_id):
        return {"source": "civitai"} if version_id else {}
    page = f"{SITE}/models/{model_id}?modelVersionId={version_id}"
    return {"source": "civitai", "reference": f"civitai:{model_id}@{version_id}", "page_url": page}


# Values of any type


def table_of(value: object) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def rows_of(value: object) -> list[dict[str, Any]]:
    """The objects in a list, whatever else it holds."""
    rows = cast(list[object], value) if isinstance(value, list) else []
    return [cast(dict[str, Any], row) for row in rows if isinstance(row, dict)]


def number_of(value: object) -> float | None:
    """A finite number, which may be written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def count_of(value: object) -> int | None:
    number = number_of(value)
    return int(number) if number is not None and number >= 0 else None


def _within(value: object, least: float, most: float) -> float | None:
    number = number_of(value)
    return number if number is not None and least <= number <= most else None


def _is_said(value: object) -> bool:
    """Other tools write a true value as a number or a word."""
    return value == 1 if isinstance(value, int) else text_of(value, 10).lower() in {"true", "yes", "1"}


def _strings(value: object) -> list[str]:
    rows = cast(list[object], value) if isinstance(value, list) else [value]
    return [row for row in rows if isinstance(row, str)]


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name.lower()).strip()
