"""One line about each thing that has to do with models: in lists, suggestions, choices and downloads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from workflows.types import Choice, Download, FoundModel, ModelFacts, ModelInfo, PromptAnalysis, Ranked, RankedLora

if TYPE_CHECKING:
    from workflows.downloads import Plan

Answer = dict[str, Any]
FEW_TAGS = 6
DECLINED = "Nothing was downloaded: the user said no."
STATUS: Mapping[str, str] = {"succeeded": "success"}


def model_row(info: ModelInfo) -> Answer:
    """One line about a model that is here."""
    row: Answer = {"name": info.name, "kind": info.kind, "family": info.family, "engine": info.engine or "none"}
    row |= {"size_gb": _gigabytes(info.size), "guessed": info.guessed or None, "told_by": info.told_by}
    return {key: value for key, value in (row | _facts(info.facts)).items() if value not in (None, "", [])}


def found_row(found: FoundModel, here: Collection[str] = ()) -> Answer:
    """One line about a model that could be had."""
    row: Answer = {"reference": found.reference, "name": found.name, "version": found.version, "source": found.source}
    row |= {"kind": found.kind, "family": found.family, "size_gb": _gigabytes(found.size), "creator": found.creator}
    facts = found.facts
    row |= _facts(facts) | {"licence": facts.licence, "preview": facts.preview_url, "page": facts.page_url}
    row["installed"] = True if facts.sha256 and facts.sha256 in here else None
    return {key: value for key, value in row.items() if value not in (None, "", [])}


def ranked_row(ranked: Ranked) -> Answer:
    """A model with its score and what it is the sum of."""
    row: Answer = {"name": ranked.name, "family": ranked.family, "engine": ranked.engine}
    row |= {"score": round(ranked.score, 1), "parts": _rounded(ranked.parts)}
    return row | ({"guessed": True} if ranked.guessed else {})


def lora_row(ranked: RankedLora) -> Answer:
    row: Answer = {"name": ranked.name, "strength": ranked.strength, "family": ranked.family}
    row |= {"triggers": list(ranked.triggers), "score": round(ranked.score, 1), "parts": _rounded(ranked.parts)}
    return row


def analysis_row(analysis: PromptAnalysis) -> Answer:
    told = analysis.model_dump(mode="json", exclude_none=True)
    return {key: value for key, value in told.items() if value not in ("", [], False)}


def choice_row(choice: Choice) -> Answer:
    """What was chosen for a picture, in brief: the full analysis is suggest_model's to tell."""
    row: Answer = {"read_by": choice.analysis.by}
    if choice.analysis.style:
        row["style"] = choice.analysis.style
    if choice.model:
        row["model"] = ranked_row(choice.model)
    if choice.loras:
        row["loras"] = [lora_row(one) for one in choice.loras]
    if choice.others:
        row["others"] = [f"{one.name} ({one.score:.0f})" for one in choice.others]
    return row | ({"notes": list(choice.notes)} if choice.notes else {})


def _facts(facts: ModelFacts) -> Answer:
    told: Answer = {"title": facts.title, "base_model": facts.base_model, "triggers": list(facts.triggers)}
    told |= {"tags": list(facts.tags[:FEW_TAGS]), "downloads": facts.downloads, "rating": facts.rating}
    return told | {"nsfw": facts.nsfw or None, "real_person": facts.real_person or None}


def _gigabytes(size: int | None) -> float | None:
    return None if size is None else round(size / 1e9, 3)


def _rounded(parts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in parts.items() if round(value, 1)}


# ------------------------------------------------------------------ downloads


def download_row(download: Download) -> Answer:
    """One line about a model on its way here."""
    offer = download.offer
    row: Answer = {"job_id": download.id, "status": STATUS.get(download.state, download.state), "file": offer.name}
    row |= {"reference": download.reference, "source": offer.source}
    row |= {"received_gb": _gigabytes(download.received), "size_gb": _gigabytes(offer.size)}
    if offer.size:
        row["fraction"] = round(min(1.0, download.received / offer.size), 3)
    if not download.ended:
        row["mb_per_second"] = round(download.speed / 1e6, 2) if download.speed else None
        row["seconds_left"] = None if download.seconds_left is None else round(download.seconds_left)
    return {key: value for key, value in row.items() if value is not None}


def download_answer(download: Download) -> Answer:
    """The answer of download_model for a download in any state."""
    answer = download_row(download)
    if download.info is not None:
        row = model_row(download.info)  # the file's own: which engine takes it is the catalogue's to tell
        answer["model"] = {name: value for name, value in row.items() if (name, value) != ("engine", "none")}
    told = {"path": download.path, "error": download.fault, "note": download.note}
    answer |= {name: value for name, value in told.items() if value}
    answer["next"] = _after(download)
    return answer


def planned_answer(plan: Plan, declined: bool = False) -> Answer:
    """What a download would do, for someone who has to agree first."""
    offer = plan.offer
    answer: Answer = {"status": "declined" if declined else "planned", "would": plan.question, "file": offer.name}
    answer |= {"reference": plan.reference, "source": offer.source, "size_gb": _gigabytes(offer.size)}
    answer |= {"folder": plan.folder, "free_gb": _gigabytes(plan.free), "licence": offer.facts.licence}
    answer["next"] = DECLINED if declined else f"Ask the user, then download_model({plan.reference!r}, confirm=true)."
    return {key: value for key, value in answer.items() if value not in (None, "")}


def stopped_download(before: Download, after: Download) -> Answer:
    """What a cancel did."""
    stopped = not before.ended and after.state == "cancelled"
    told = f"The download of {after.offer.name} is stopped." if stopped else f"It had ended ({after.state})."
    return {"job_id": after.id, "status": after.state, "stopped": stopped, "message": told}


def _after(download: Download) -> str:
    if download.state == "succeeded":
        name, kind = (download.info.name, download.info.kind) if download.info else (download.offer.name, "")
        if kind in {"checkpoint", "diffusion_model"}:
            return f"generate_image(prompt=..., model={name!r})"
        return f"generate_image(prompt=..., loras=['{name}:0.8'])" if kind == "lora" else f"get_model_info({name!r})"
    if download.state == "failed":
        return f"Do what the error says, then download_model({download.reference!r}) tries again."
    if download.state in {"interrupted", "cancelled"}:
        return f"download_model({download.reference!r}) goes on where it stopped."
    return f"get_progress(job_id='{download.id}', wait_seconds=40)"
