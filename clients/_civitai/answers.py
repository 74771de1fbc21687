"""Questions to CivitAI's search, and its rows as ours: FoundModel and Offer. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode, urlsplit

from utils.civitai import (
    count_of,
    number_of,
    rows_of,
    sha256_of,
    table_of,
    text_of,
    version_facts,
    weight_file,
)
from workflows.errors import BadRecipe, NotFound
from workflows.families import families, family_of_base_model
from workflows.types import FoundModel, ModelFacts, ModelQuery, Offer

SOURCE = "civitai"
SORTS = (
    "Most Downloaded",
    "Highest Rated",
    "Most Liked",
    "Most Discussed",
    "Most Collected",
    "Most Images",
    "Newest",
    "Oldest",
)
TYPES: Mapping[str, tuple[str, ...]] = {
    "checkpoint": ("Checkpoint",),
    "diffusion_model": ("Checkpoint",),
    "lora": ("LORA", "LoCon", "DoRA"),
    "vae": ("VAE",),
    "controlnet": ("Controlnet",),
    "upscaler": ("Upscaler",),
    "embedding": ("TextualInversion",),
    "text_encoder": ("Other",),
    "clip_vision": ("Other",),
    "style_model": ("Other",),
    "model_patch": ("Other",),
    "other": ("Other",),
}
"""Kinds of ours, and CivitAI's types; it files a bare diffusion model under Checkpoint."""
ALL_TYPES = ("Checkpoint", "LORA", "LoCon", "DoRA", "TextualInversion", "VAE", "Controlnet", "Upscaler")
"""What "all" asks for: weights that something here can use, and no workflows, poses or wildcards."""
BARE_TYPES = frozenset({"unet", "diffusion model"})
"""Types of files that are the denoiser alone, lower case."""
_KINDS: Mapping[str, str] = {
    spelled.lower(): kind for kind in ("other", *list(TYPES)[2:7], "checkpoint") for spelled in TYPES[kind]
}


def search_params(query: ModelQuery) -> dict[str, str | Sequence[str]]:
    """The arguments of GET /models. Raises BadRecipe."""
    params: dict[str, str | Sequence[str]] = {
        "types": types_of(query.model_type),
        "sort": _sort(query.sort),
        "nsfw": "true" if query.nsfw else "false",
        "limit": str(query.limit),
    }
    optional = {
        "query": " ".join(query.query.split()),
        "tag": query.tags[0] if query.tags else "",
        "baseModels": base_models(query.base_model) if query.base_model else "",
    }
    return params | {name: value for name, value in optional.items() if value}


def types_of(model_type: str) -> tuple[str, ...]:
    """CivitAI's types for a kind of ours, or for a type as CivitAI has it in whatever case."""
    word = model_type.strip().lower()
    if word in {"all", ""}:
        return ALL_TYPES
    if word in TYPES:
        return TYPES[word]
    own = next((name for names in TYPES.values() for name in names if name.lower() == word), None)
    if own is None:
        raise BadRecipe("model_type", model_type, f"it is one of all, {', '.join(TYPES)}")
    return (own,)


def _sort(sort: str) -> str:
    found = next((known for known in SORTS if known.lower() == sort.strip().lower()), None)
    if found is None:
        raise BadRecipe("sort", sort, f"CivitAI sorts by one of {', '.join(SORTS)}")
    return found


def base_models(wanted: str) -> tuple[str, ...]:
    """CivitAI's spellings of a family of ours, or of a base model in whatever case; what is unknown stays as it is."""
    text = wanted.strip()
    known = {label.lower(): label for one in families().values() for label in one.base_models}
    family = families().get(text.lower())
    if family is None and text.lower() in known:
        return (known[text.lower()],)
    family = family or families().get(family_of_base_model(text) or "")
    labels = family.base_models if family else (text,)
    if not labels:
        raise BadRecipe("base_model", wanted, "CivitAI has no base model of that family: leave it out")
    return labels


def found_models(rows: Sequence[Mapping[str, Any]], query: ModelQuery) -> list[FoundModel]:
    """The rows of a search that can be downloaded and that the query may see.

    With nsfw false, what is marked as adult is dropped here too: the server's own filter lets some of it through.
    """
    wanted = {label.lower() for label in base_models(query.base_model)} if query.base_model else set[str]()
    found = (_found(row, wanted, query) for row in rows)
    return [model for model in found if model is not None]


def _found(model: Mapping[str, Any], wanted: set[str], query: ModelQuery) -> FoundModel | None:
    version = next((one for one in rows_of(model.get("modelVersions")) if _fits(one, wanted)), None)
    if version is None or count_of(model.get("id")) is None or count_of(version.get("id")) is None:
        return None
    facts = facts_of(version, model)
    hidden = facts.nsfw and (facts.minor or not query.nsfw)
    if hidden or not {tag.lower() for tag in query.tags} <= set(facts.tags):
        return None
    file = weight_file(version)
    return FoundModel(
        reference=facts.reference,
        source=SOURCE,
        name=text_of(model.get("name"), 200) or facts.reference,
        version=text_of(version.get("name"), 200),
        kind=kind_of(model, file),
        family=family_of_base_model(facts.base_model) or "unknown",
        size=size_of(file),
        creator=text_of(table_of(model.get("creator")).get("username"), 100),
        facts=facts,
    )


def _fits(version: Mapping[str, Any], wanted: set[str]) -> bool:
    """It has a file, and one of the base models that are asked for."""
    return bool(weight_file(version)) and (not wanted or text_of(version.get("baseModel")).lower() in wanted)


def facts_of(version: Mapping[str, Any], model: Mapping[str, Any] | None = None, **more: Any) -> ModelFacts:
    return ModelFacts(**version_facts(version, model) | more)


def kind_of(model: Mapping[str, Any], file: Mapping[str, Any] | None) -> str:
    kind = _KINDS.get(text_of(model.get("type")).lower(), "other")
    bare = text_of((file or {}).get("type")).lower() in BARE_TYPES
    return "diffusion_model" if kind == "checkpoint" and bare else kind


def size_of(file: Mapping[str, Any] | None) -> int | None:
    """Bytes; CivitAI tells kibibytes with decimals."""
    kibibytes = number_of((file or {}).get("sizeKB"))
    return round(kibibytes * 1024) if kibibytes and 0 < kibibytes < 2**40 else None


# Offers


def newest(model: Mapping[str, Any], name: str | None, shown: str) -> dict[str, Any]:
    """The version of a model that is meant: by its name, else the newest that can be had. Raises NotFound."""
    versions = rows_of(model.get("modelVersions"))
    names = [text_of(version.get("name")) for version in versions]
    if name is not None:
        found = next((one for one in versions if text_of(one.get("name")).lower() == name.strip().lower()), None)
        if found is None:
            raise NotFound(f"version of {shown}", name, names, f"It has {', '.join(names[:8]) or 'none'}.")
        return found
    usable = (version for version in versions if weight_file(version) and not early_access(version))
    return next(usable, None) or (versions[0] if versions else {})


def early_access(version: Mapping[str, Any], moment: datetime | None = None) -> str:
    """Until when only buyers may have it, as it is written; "" when everybody may."""
    ends = text_of(version.get("earlyAccessEndsAt"), 40) or text_of(version.get("earlyAccessDeadline"), 40)
    try:
        until = datetime.fromisoformat(ends) if ends else None
    except ValueError:
        until = None
    if until is None:
        return "some day" if version.get("availability") == "EarlyAccess" else ""
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return ends[:10] if until > (moment or datetime.now(UTC)) else ""


def check_offered(version: Mapping[str, Any], model: Mapping[str, Any], shown: str) -> dict[str, Any]:
    """The file to fetch. Raises NotFound when there is none to be had, with the reason, and BadRecipe for a bad one."""
    file = weight_file(version)
    reasons = {
        "takendown": "CivitAI took it down.",
        "archived": "Its creator archived it.",
        "generation": "Its creator lets it be used on CivitAI only.",
    }
    usage = "generation" if "generation" in text_of(version.get("usageControl")).lower() else ""
    reason = reasons.get(text_of(model.get("mode")).lower()) or reasons.get(usage)
    if reason or file is None:
        reason = reason or "CivitAI lists no file for it; it may have been archived or deleted."
        raise NotFound("file to download for", shown, hint=f"{reason} Choose another version or model.")
    for scan in ("virusScanResult", "pickleScanResult"):
        if text_of(file.get(scan)).lower() == "danger":
            raise BadRecipe("reference", shown, "CivitAI's scan found its file dangerous; choose another model")
    return file


def offer_of(version: Mapping[str, Any], model: Mapping[str, Any], file: Mapping[str, Any], site: str) -> Offer:
    """What is offered; `site`: where this CivitAI is, which the file is asked of whatever host the answer names."""
    facts = facts_of(version, model, sha256=sha256_of(file))
    return Offer(
        reference=facts.reference or f"{SOURCE}:@{version.get('id')}",
        source=SOURCE,
        name=file_name(text_of(file.get("name")), version),
        url=f"{site}{_download_path(version, file)}",
        size=size_of(file),
        sha256=facts.sha256,
        kind=kind_of(model, file),
        family=family_of_base_model(facts.base_model) or "unknown",
        title=facts.title,
        facts=facts,
        side_car=side_car(version, model),
    )


def file_name(told: str, version: Mapping[str, Any]) -> str:
    """A name alone, whatever path was told, of at most 150 characters with its suffix."""
    name = PurePosixPath(told.replace("\\", "/")).name
    name = re.sub(r'[\x00-\x1f\x7f<>:"|?*]+', "_", name).strip().lstrip(".")
    stem, dot, suffix = name.rpartition(".")
    name = f"{stem[: 149 - len(suffix)]}{dot}{suffix}" if stem and len(suffix) <= 12 else name[:150]
    return name or f"civitai_{version.get('id')}"


def _download_path(version: Mapping[str, Any], file: Mapping[str, Any]) -> str:
    """Route and question for this file; a file that is not the first of its version is told by its properties."""
    parts = urlsplit(text_of(file.get("downloadUrl"), 1_000))
    if re.fullmatch(r"/api/download/models/\d+", parts.path):
        return f"{parts.path}{f'?{parts.query}' if parts.query and 'token=' not in parts.query else ''}"
    told = table_of(file.get("metadata"))
    asked = {"type": file.get("type")} | {name: told.get(name) for name in ("format", "size", "fp")}
    words = {name: value for name, value in asked.items() if isinstance(value, str) and value}
    query = urlencode(words) if file.get("primary") is not True else ""
    return f"/api/download/models/{version.get('id')}{f'?{query}' if query else ''}"


def side_car(version: Mapping[str, Any], model: Mapping[str, Any] | None) -> str:
    """What `.civitai.info` beside the file holds: the version with its model, without the model's other versions."""
    parent = table_of(version.get("model")) | dict(model or {})
    parent = {name: value for name, value in parent.items() if name != "modelVersions"}
    whole = dict(version) | {"modelId": version.get("modelId") or parent.get("id"), "model": parent}
    return json.dumps(whole, ensure_ascii=False, indent=2)
