"""What the files beside a weight file, and the metadata in it, say of it. Plain values; it judges no family.

Side-cars of `model.safetensors`, by the tool that writes them:

    model.metadata.json     ComfyUI-Lora-Manager
    model.civitai.info      Civitai-Helper: a model-version of CivitAI's API
    model.cm-info.json      Stability Matrix
    model.json              A1111's user metadata
    model.txt               trigger words

Any field may be missing, null or of another type: it is passed over then, and nothing here raises.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

from utils.civitai import (
    SAFE_LEVELS,
    count_of,
    number_of,
    plain_text,
    rows_of,
    sha256_of,
    table_of,
    text_of,
    triggers_of,
    version_facts,
)
from utils.small_files import read_small

Facts = dict[str, Any]

MOST_TAG = 60
"""Characters of a tag."""
MOST_BYTES = 4 * 1024 * 1024
"""Of a side-car, or a table in the metadata; a whole version object with its pictures has some 100 KB."""
MOST_WORDS_FILE = 2_000
"""Characters of a .txt that can be trigger words; a longer one is a letter to the reader."""
MOST_TAGS = 12
IN_NEARLY_ALL = 0.8
"""Share of the training pictures from which on a word is taken to wake the LoRA."""
GENERAL_TAGS = frozenset(
    """1girl 1boy 1other solo 2girls 2boys multiple_girls multiple_boys looking_at_viewer simple_background
    white_background breasts long_hair short_hair smile blush open_mouth closed_mouth standing sitting upper_body
    full_body cowboy_shot outdoors indoors day night no_humans realistic photo photo_(medium) highres absurdres
    masterpiece best_quality woman man girl boy person portrait""".split()
)
"""Tags that most pictures have, so that they name nothing; spelled with underscores."""
A1111_BASES = {"sd1": "SD 1.5", "sd2": "SD 2.1", "sdxl": "SDXL 1.0", "sd3": "SD 3"}


def side_car_names(stem: str) -> tuple[str, ...]:
    """The names that side-cars of a weight file with this stem may have."""
    return tuple(f"{stem}{suffix}" for suffix in _READERS)


def read_sidecars(model: Path, beside: Collection[str] | None = None) -> Facts:
    """What the side-cars say, by the names of ModelFacts' fields; only what is known.

    Of two that tell the same field the newer file is believed. `told`: the names of the files that told anything,
    newest first; `notes`: what was wrong with a file that could not be read. `beside`: names known to lie in the
    folder; None looks for them.
    """
    names = [name for name in side_car_names(model.stem) if beside is None or name in beside]
    dated = sorted(((_changed(model.with_name(name)), name) for name in names), reverse=True)
    facts: Facts = {}
    told: list[str] = []
    notes: list[str] = []
    for changed, name in dated:
        found = _read(model, name, notes) if changed else {}
        if found:
            told.append(name)
            facts = merged(facts, found)
    more: Facts = {"told": tuple(told)} if told else {}
    return facts | more | ({"notes": tuple(notes)} if notes else {})


def merged(first: Facts, second: Facts) -> Facts:
    """Both, the first one above the second; the settings in `defaults` one by one."""
    defaults = table_of(second.get("defaults")) | table_of(first.get("defaults"))
    return second | first | ({"defaults": defaults} if defaults else {})


def known_facts(model: Path, metadata: Mapping[str, str], beside: Collection[str] | None = None) -> Facts:
    """Side-cars first, then the metadata in the file. Words counted in the training pictures are taken for trigger
    words only where no side-car tells of the model at all."""
    said = read_sidecars(model, beside)
    inside = metadata_facts(metadata)
    if "told" in said and not metadata.get("modelspec.trigger_phrase"):
        inside.pop("triggers", None)
    return merged(said, inside)


def metadata_facts(metadata: Mapping[str, str]) -> Facts:
    """What a safetensors file's own metadata says: modelspec.* (Stability AI's ModelSpec), ss_* (kohya's trainer)."""
    counted, pictures = _tag_counts(metadata)
    phrase = triggers_of(metadata.get("modelspec.trigger_phrase"))
    said_tags = _tags(metadata.get("modelspec.tags", "").split(","))
    resolution = metadata.get("modelspec.resolution", "").lower().partition("x")
    clip_skip = metadata.get("modelspec.encoder_layer") or metadata.get("ss_clip_skip")
    facts: Facts = {
        "title": text_of(metadata.get("modelspec.title") or metadata.get("ss_output_name"), 200),
        "triggers": phrase or _usual(counted, pictures),
        "tags": (said_tags or tuple(tag for tag, _ in counted.most_common(MOST_TAGS)))[:MOST_TAGS],
        "description": plain_text(metadata.get("modelspec.description", "")),
        "licence": text_of(metadata.get("modelspec.license"), 200),
        "defaults": _settings(width=resolution[0], height=resolution[2], clip_skip=clip_skip),
    }
    return _known(facts)


# One reader for each tool


def _of_lora_manager(said: Facts, model: Path) -> Facts:
    version = table_of(said.get("civitai"))
    tips = _json_table(text_of(said.get("usage_tips"), 10_000))
    level = count_of(said.get("preview_nsfw_level")) or 0
    same_file = count_of(said.get("size")) in {None, _size(model)}
    facts: Facts = {
        "title": text_of(said.get("model_name"), 200),
        "base_model": _base(said.get("base_model")),
        "triggers": triggers_of(said.get("trainedWords")),
        "tags": _tags(said.get("tags")),
        "description": plain_text(text_of(said.get("modelDescription"), 100_000)),
        "preview_url": "" if level > SAFE_LEVELS else _address(said.get("preview_url")),
        "sha256": sha256_of({"hashes": {"SHA256": said.get("sha256")}}) if same_file else "",
        "defaults": _settings(strength=tips.get("strength"), clip_skip=tips.get("clip_skip")),
    }
    return merged(_known(facts), _of_version(version, model))


def _of_version(version: Facts, model: Path) -> Facts:
    """A version's facts, with the hash of this very file: a version may have several."""
    if not any(name in version for name in ("id", "modelId", "baseModel", "trainedWords", "model")):
        return {}
    facts = version_facts(version)
    facts.pop("sha256", None)
    return facts | _known({"sha256": sha256_of(_own_file(version, model))})


def _own_file(version: Facts, model: Path) -> Facts | None:
    size = _size(model)
    files = rows_of(version.get("files"))
    by_size = [row for row in files if abs((number_of(row.get("sizeKB")) or 0) * 1024 - size) < 1024]
    named = [row for row in files if text_of(row.get("name")) == model.name]
    return next(iter(by_size or named), None)


def _of_stability_matrix(said: Facts, model: Path) -> Facts:
    """Its fields are CivitAI's in Pascal case."""
    stats = table_of(said.get("Stats"))
    version = {
        "id": said.get("VersionId"),
        "modelId": said.get("ModelId"),
        "baseModel": said.get("BaseModel"),
        "trainedWords": said.get("TrainedWords"),
        "stats": {f"{name[:1].lower()}{name[1:]}": value for name, value in stats.items()},
        "model": {
            "name": said.get("UserTitle") or said.get("ModelName"),
            "type": said.get("ModelType"),
            "nsfw": said.get("Nsfw"),
            "tags": said.get("Tags"),
            "description": said.get("ModelDescription"),
        },
    }
    more: Facts = {
        "preview_url": _address(said.get("ThumbnailImageUrl")),
        "sha256": sha256_of({"hashes": said.get("Hashes")}),
    }
    return version_facts(version) | _known(more) if {"ModelName", "BaseModel", "ModelType"} & said.keys() else {}


def _of_a1111(said: Facts, model: Path) -> Facts:
    facts: Facts = {
        "description": plain_text(text_of(said.get("description"), 100_000)),
        "base_model": A1111_BASES.get(text_of(said.get("sd version")).lower(), ""),
        "triggers": triggers_of(said.get("activation text")),
        "defaults": _settings(strength=said.get("preferred weight") or None),
    }
    return _known(facts)


_READERS: Mapping[str, Callable[[Facts, Path], Facts] | None] = {
    ".metadata.json": _of_lora_manager,
    ".civitai.info": _of_version,
    ".cm-info.json": _of_stability_matrix,
    ".json": _of_a1111,
    ".txt": None,
}


def _read(model: Path, name: str, notes: list[str]) -> Facts:
    try:
        text = read_small(model.with_name(name), MOST_BYTES).decode("utf-8-sig")
        reader = _READERS[name.removeprefix(model.stem)]
        return _words(text) if reader is None else reader(table_of(json.loads(text)), model)
    except (OSError, ValueError, RecursionError) as error:
        notes.append(f"{name} was passed over: {getattr(error, 'strerror', None) or error}")
        return {}


def _words(text: str) -> Facts:
    return _known({"triggers": triggers_of(text)}) if len(text) <= MOST_WORDS_FILE else {}


# Values of any type


def _known(facts: Facts) -> Facts:
    return {name: value for name, value in facts.items() if value}


def _base(told: object) -> str:
    base = text_of(told, 100)
    return "" if base.lower() in {"unknown", "other"} else base


def _tags(told: object) -> tuple[str, ...]:
    rows = cast(list[object], told) if isinstance(told, list) else []
    texts = (text_of(row, MOST_TAG).lower() for row in rows)
    return tuple(dict.fromkeys(text for text in texts if text))[:40]


def _address(told: object) -> str:
    address = text_of(told, 1_000)
    return address if address.startswith(("https://", "http://")) else ""


def _settings(
    strength: object = None, clip_skip: object = None, width: object = None, height: object = None
) -> dict[str, Any]:
    """Those of the values that are numbers within what makes sense, by the names of ModelDefaults' fields."""
    limits = {"strength": (-4.0, 4.0), "clip_skip": (1, 12), "width": (64, 4096), "height": (64, 4096)}
    given = {"strength": strength, "clip_skip": clip_skip, "width": width, "height": height}
    numbers = {name: number_of(value) for name, value in given.items()}
    fit = {
        name: number if name == "strength" else int(number)
        for name, number in numbers.items()
        if number is not None and limits[name][0] <= number <= limits[name][1]
    }
    if ("width" in fit) != ("height" in fit):
        fit = {name: number for name, number in fit.items() if name not in {"width", "height"}}
    return fit


def _json_table(text: str) -> dict[str, Any]:
    try:
        return table_of(json.loads(text)) if 0 < len(text) <= MOST_BYTES else {}
    except (ValueError, RecursionError):
        return {}


def _tag_counts(metadata: Mapping[str, str]) -> tuple[Counter[str], int]:
    """How many training pictures have each tag, and how many there are (at least as many as the commonest tag)."""
    counted: Counter[str] = Counter()
    for tags in _json_table(metadata.get("ss_tag_frequency", "")).values():
        for tag, count in table_of(tags).items():
            if (word := text_of(" ".join(tag.split()), MOST_TAG)) and (times := count_of(count)):
                counted[word] += times
    sets = _json_table(metadata.get("ss_dataset_dirs", "")).values()
    pictures = sum(count_of(table_of(row).get("img_count")) or 0 for row in sets)
    return counted, max(pictures, max(counted.values(), default=0))


def _usual(counted: Counter[str], pictures: int) -> tuple[str, ...]:
    """The tags of nearly all pictures that are not everyone's; at most two."""
    least = max(2.0, IN_NEARLY_ALL * pictures)
    usual = [tag for tag, count in counted.most_common(20) if count > least]
    return tuple(tag for tag in usual if tag.lower().replace(" ", "_") not in GENERAL_TAGS)[:2]


def _changed(path: Path) -> int:
    """Nanoseconds of its last change; 0 when it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
