"""What a weight file is: its header, its metadata, its side-cars, its name, in that order; the owner's word above all.

Pickles (.ckpt, .pt, .pth, .bin) are never opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import ValidationError

from clients._model_files.headers import Headers
from clients._model_files.walking import Found, file_part, size_of
from utils.safetensors_header import BadHeader, Header
from utils.sidecars import known_facts
from utils.small_files import read_small
from workflows.families import families, family_of_base_model, family_of_pipeline
from workflows.folders import FOLDERS
from workflows.recognition import Recognised, recognise
from workflows.types import ModelFacts, ModelInfo, ModelKind, ModelRow, ToldBy

WITH_HEADERS = (".safetensors", ".sft")
NO_HEADER = Header(tensors={}, metadata={}, data_bytes=0)
FAULT = "Its header cannot be read: "
KINDS: tuple[str, ...] = get_args(ModelKind)
CORRECTABLE = ("family", "kind", "title", "triggers")
MOST_INDEX = 1024 * 1024
"""Bytes of a model_index.json."""


def read(found: Found, headers: Headers, before: ModelRow | None = None) -> ModelRow:
    """The row of a file. `before`: how it was known, whose hash still holds when the file itself is the same."""
    info = _pipeline(found) if found.pipeline else _weights(found, headers)
    same = before is not None and file_part(before.signature) == file_part(found.signature)
    if before is not None and same and before.info.facts.sha256 and not info.facts.sha256:
        info = info.model_copy(update={"facts": info.facts.but(sha256=before.info.facts.sha256)})
    return ModelRow(path=found.path, signature=found.signature, info=info)


def corrected(row: ModelRow) -> ModelInfo:
    """The file as it is shown: what was read, with the owner's corrections."""
    said = row.corrections
    if not said:
        return row.info
    facts: dict[str, Any] = {}
    if "title" in said:
        facts["title"] = said["title"]
    if "triggers" in said:
        facts["triggers"] = tuple(word.strip() for word in said["triggers"].split(",") if word.strip())
    changes: dict[str, Any] = {name: said[name] for name in ("family", "kind") if name in said}
    if "family" in said:
        changes |= {"guessed": False, "told_by": "owner"}
    return row.info.model_copy(update=changes | {"facts": row.info.facts.model_copy(update=facts)})


def fault_of(info: ModelInfo) -> str:
    """Why its header could not be read; "" for a file that is sound, or has none."""
    return info.description.removeprefix(FAULT) if info.description.startswith(FAULT) else ""


def _weights(found: Found, headers: Headers) -> ModelInfo:
    path = Path(found.path)
    header, fault = _header(path, headers)
    facts = known_facts(path, header.metadata, found.beside)
    seen = recognise(header, found.name, found.size)
    family, told_by, guessed = _family(seen, facts.get("base_model", ""))
    kind = seen.kind if header.tensors and seen.kind != "other" else found.kind
    notes = [f"{FAULT}{fault}." if fault else "", _misplaced(found.kind, kind), *facts.get("notes", ())]
    return ModelInfo(
        name=found.name,
        kind=kind,
        family=family,
        engine="",
        size=found.size,
        description=" ".join(filter(None, notes)),
        path=found.path,
        guessed=guessed,
        told_by=told_by,
        parts=seen.parts,
        precision=seen.precision,
        facts=model_facts(facts),
    )


def _header(path: Path, headers: Headers) -> tuple[Header, str]:
    if path.suffix.lower() not in WITH_HEADERS:
        return NO_HEADER, ""
    try:
        return headers.read(path), ""
    except BadHeader as error:
        return NO_HEADER, str(error)
    except OSError as error:
        return NO_HEADER, error.strerror or str(error)


def _family(seen: Recognised, base_model: str) -> tuple[str, ToldBy, bool]:
    """The family, what told it, and whether it is a guess.

    A side-car stands above a name. What the header or the metadata told it only refines: among the families that share
    LoRAs (SDXL, Pony, Illustrious) no header tells which one it is. It does not gainsay a family that has no label of
    its own in the catalogues, such as the v-prediction of NoobAI, whose files are all labelled NoobAI.
    """
    said = family_of_base_model(base_model) if base_model else None
    told = seen.family, seen.told_by, seen.guessed
    if said is None or said == "unknown":
        return told
    if said == seen.family:
        return (said, "side-car", False) if seen.guessed else told
    if seen.family == "unknown":
        return said, "side-car", False
    if _kin(seen.family) == _kin(said):
        open_still = seen.family == _kin(said) or (seen.guessed and _has_label(seen.family))
        return (said, "side-car", False) if open_still else told
    return (said, "side-car", False) if seen.told_by in {"", "name", "size"} else told


def _has_label(family: str) -> bool:
    return family in families() and bool(families()[family].base_models)


def _kin(family: str) -> str:
    return families()[family].kin if family in families() else family


def _misplaced(folder_kind: str, kind: str) -> str:
    """ComfyUI lists a file under the folder that it lies in, whatever it is."""
    if kind == folder_kind or kind not in FOLDERS or folder_kind not in FOLDERS:
        return ""
    return f"It lies in {FOLDERS[folder_kind]}, but what it is belongs in {FOLDERS[kind]}."


def _pipeline(found: Found) -> ModelInfo:
    """A folder in diffusers' layout."""
    folder = Path(found.path)
    index = _json(folder / "model_index.json")
    parts = {"transformer": "model", "unet": "model", "text_encoder": "text_encoder", "vae": "vae"}
    unet = _json(folder / "unet" / "config.json")
    transformer = _json(folder / "transformer" / "config.json")
    family = family_of_pipeline(
        str(index.get("_class_name", "")),
        text_width=_whole(unet.get("cross_attention_dim")),
        guidance_embeds=bool(transformer["guidance_embeds"]) if "guidance_embeds" in transformer else None,
    )
    return ModelInfo(
        name=found.name,
        kind="checkpoint",
        family=family.profile.name,
        engine="",
        size=size_of(folder),
        path=found.path,
        told_by="metadata",
        parts=tuple(dict.fromkeys(part for name, part in parts.items() if name in index)),
        facts=ModelFacts(source="huggingface" if "/" in found.name else ""),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found: object = json.loads(read_small(path, MOST_INDEX))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def model_facts(facts: Mapping[str, Any]) -> ModelFacts:
    """The facts as a value; those that it cannot take are left out, and half letters (which no text may hold) too."""
    kept = {name: _text(value) for name, value in facts.items() if name in ModelFacts.model_fields}
    try:
        return ModelFacts(**kept)
    except ValidationError as error:
        faulty = {fault["loc"][:2] for fault in error.errors(include_url=False)}
    sound: dict[str, Any] = {name: value for name, value in kept.items() if all(place[0] != name for place in faulty)}
    if "defaults" in kept and isinstance(kept["defaults"], dict):
        settings = cast(dict[str, Any], kept["defaults"])
        sound["defaults"] = {name: value for name, value in settings.items() if ("defaults", name) not in faulty}
    return ModelFacts.model_validate(sound)


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, tuple):
        return tuple(_text(one) for one in cast(tuple[Any, ...], value))
    return value
