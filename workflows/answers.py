"""What is told about jobs and pictures: the one mapping that tools, command line and Python callers see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.gallery import Gallery
from workflows.model_rows import choice_row
from workflows.outputs import TEXT_FACT
from workflows.types import (
    VIDEOS,
    WORDLESS,
    Attempt,
    Item,
    ItemQuery,
    Job,
    Location,
    Outcome,
    Verdict,
    Written,
)

Answer = dict[str, Any]

SEEN = frozenset({"image", "video"})
"""Kinds of items that are told as images; the others are told as outputs."""
CLIP = ("frames", "fps", "seconds", "added")
"""Facts of a video: its measures, and how many frames were added to the one that it goes on from."""

NEXT_WAIT = "get_progress(job_id='{id}', wait_seconds=40)"
STATUS: Mapping[str, str] = {"succeeded": "success"}
"""Job states under another name in answers; the others are told as they are."""
APART = frozenset({"graph", "notes", "prompt_id", TEXT_FACT})
"""Facts that are told elsewhere than in the metadata."""


async def job_answer(gallery: Gallery, job: Job) -> Answer:
    """The answer of generate_image for a job in any state; keys that do not apply are absent.

    `images` are pictures and videos, `outputs` what else a workflow made.
    """
    answer: Answer = {"status": STATUS.get(job.state, job.state), "job_id": job.id, "prompt_id": job.id}
    found = [await gallery.items.get(item_id) for item_id in job.item_ids]
    items = [item for item in found if item is not None and item.deleted is None]
    seen = [item for item in items if item.kind in SEEN]
    shown = [await _picture(gallery, item) for item in seen]
    if job.outcomes and shown:
        answer |= shown[0] | _verdict_part(job, _outcome_of(job, seen[0]))
        if len(shown) > 1:
            answer["images"] = [row | _place(job, item) for row, item in zip(shown, seen, strict=True)]
    if len(seen) < len(items):
        answer["outputs"] = [await _output(gallery, item) for item in items if item.kind not in SEEN]
    if job.state in {"queued", "running"}:
        answer["progress"] = progress(job)
    if job.fault is not None:
        answer["error"] = job.fault.model_dump()
    if job.written:
        answer["wording"] = wording(job.written)
    elif job.recipe.wording:  # of the picture that is made again
        told = job.recipe.wording.model_dump(mode="json")
        answer["wording"] = {name: value for name, value in told.items() if value}
    if job.choice:
        answer["choice"] = choice_row(job.choice)
    if job.note:
        answer["note"] = job.note
    answer["next"] = _next_step(job, answer)
    return answer


def _outcome_of(job: Job, item: Item) -> Outcome:
    """The first; of a workflow's many the one that the item came of."""
    if job.recipe.task != "workflow":
        return job.outcomes[0]
    return next((one for one in job.outcomes if one.chosen.key == item.key), job.outcomes[0])


def _verdict_part(job: Job, outcome: Outcome) -> Answer:
    facts = outcome.chosen.facts
    part: Answer = {"attempt": outcome.best, "metadata": metadata(job, outcome.chosen)}
    if facts.get("prompt_id"):
        part["prompt_id"] = facts["prompt_id"]
    notes = [note for one in job.outcomes for note in one.chosen.facts.get("notes") or ()]
    if notes:
        part["notes"] = list(dict.fromkeys(notes))
    if job.recipe.acceptance.validate_:
        part["validation"] = validation(outcome)
    if outcome.warning:
        part["warning"] = outcome.warning
    part["attempts"] = [_attempt_row(attempt, job) for attempt in outcome.attempts]
    return part


def wording(written: Written) -> Answer:
    """What presets and enhance made of the prompt, and why. The judges score the user's own words."""
    told = written.model_dump(mode="json", include={"prompt", "negative", "added", "changes", "by", "notes"})
    return {name: value for name, value in told.items() if value}


def progress(job: Job) -> Answer:
    """How far a job is; what is not known is left out."""
    told = job.progress.model_dump(exclude_none=True)
    return {name: value for name, value in told.items() if name != "node" or value}


def validation(outcome: Outcome) -> Answer:
    """The verdict on the chosen picture: its scores, what it lacks, or why it was skipped."""
    verdicts = outcome.chosen.verdicts
    judged = [verdict for verdict in verdicts if verdict.passed is not None]
    if not judged:
        return {"skipped": " ".join(verdict.reason for verdict in verdicts) or "No check was asked for."}
    failed = [verdict for verdict in judged if verdict.passed is False]
    clip = next((verdict for verdict in judged if verdict.judge == "clip"), (failed or judged)[0])
    decisive = failed[0] if failed else clip
    answer: Answer = {"passed": all(verdict.passed for verdict in judged)}
    answer |= _scores(clip)
    answer["reason"] = decisive.reason
    if outcome.warning:
        answer["warning"] = outcome.warning
    unheard = {verdict.judge: verdict.reason for verdict in verdicts if verdict.passed is None}
    if unheard:  # asked, and could not say: a pass is not theirs
        answer["not_judged"] = unheard
    if clip.atoms:
        answer["atoms"] = rounded(clip.atoms)
    if len(verdicts) > 1 or decisive is not clip:
        answer["checks"] = {verdict.judge: check_row(verdict) for verdict in verdicts}
    return answer


def check_row(verdict: Verdict) -> Answer:
    """One judge's answer with its own measures."""
    row: Answer = {"passed": verdict.passed, "score": _rounded(verdict.score), "reason": verdict.reason}
    told = {} if verdict.judge == "clip" else {"measures": verdict.measures, "atoms": verdict.atoms}
    return row | {name: rounded(part) for name, part in told.items() if part}  # those of clip are told beside it


def rounded(measures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in measures.items()}


def _scores(verdict: Verdict) -> Answer:
    measures = rounded(verdict.measures) if verdict.judge == "clip" else {}
    return {"positive_score": None, "negative_score": None, "score_delta": None} | measures


def _attempt_row(attempt: Attempt, job: Job) -> Answer:
    seed = attempt.facts.get("seed", attempt.recipe.seed)
    row: Answer = {"attempt": attempt.number, "seed": seed, "seconds": attempt.seconds}
    if attempt.passed is not None:
        row |= {"passed": attempt.passed, "score": _rounded(attempt.score)}
        row["reason"] = "; ".join(verdict.reason for verdict in attempt.verdicts if verdict.passed is not None)
    if len(attempt.verdicts) > 1:
        row["checks"] = {one.judge: {"passed": one.passed, "score": _rounded(one.score)} for one in attempt.verdicts}
    if attempt.change:
        row["change"] = attempt.change
    if attempt.recipe.prompt != job.recipe.prompt:
        row["prompt"] = attempt.recipe.prompt
    return row


def metadata(job: Job, attempt: Attempt) -> Answer:
    """What the picture was made with, so that it can be made again."""
    recipe = attempt.recipe
    made: Answer = {
        "task": recipe.task,
        "seed": recipe.seed,
        "model": attempt.model,
        "model_hash": attempt.model_hash,
        "engine": job.engine,
        "width": attempt.width,
        "height": attempt.height,
        "prompt": recipe.prompt,
        "negative_prompt": recipe.negative,
        "denoise": recipe.denoise,
        "scale": recipe.scale,
        "strength": recipe.strength,
        "motion_strength": recipe.motion,
        "workflow": recipe.workflow_name,
        "loras": [f"{lora.name}:{lora.strength:g}" for lora in recipe.loras],
    }
    made |= {"steps": recipe.steps, "cfg": recipe.cfg}
    # A picture enlarged or cut out by a model alone was not drawn in steps, whatever the recipe was completed with.
    sampled = recipe.task not in WORDLESS or "sampler" in attempt.facts
    hidden = APART if sampled else APART | {"steps", "cfg", "denoise"}
    told = made | attempt.facts
    return {name: value for name, value in told.items() if name not in hidden and value not in (None, "", [])}


async def _picture(gallery: Gallery, item: Item) -> Answer:
    location = await gallery.locate(item)
    picture: Answer = {"image_id": item.id, "path": location.path, "url": location.url}
    picture["seed"] = item.facts.get("seed", item.seed)  # a workflow's may be larger than a recipe takes
    moving = {"kind": item.kind, "media_type": item.media_type} if item.kind != "image" else {}
    return picture | moving | {"passed": item.passed, "score": _rounded(item.score)}


async def _output(gallery: Gallery, item: Item) -> Answer:
    """What a workflow made that is neither picture nor video; of a text its beginning."""
    location = await gallery.locate(item)
    row: Answer = {"id": item.id, "kind": item.kind, "media_type": item.media_type, "size": item.size}
    row |= {"path": location.path, "url": location.url}
    return row | ({"text": item.facts[TEXT_FACT]} if item.facts.get(TEXT_FACT) else {})


def _place(job: Job, item: Item) -> Answer:
    """Which picture of the job it is for, which attempt it was, and whether the judges chose it."""
    for number, outcome in enumerate(job.outcomes, start=1):
        for attempt in outcome.attempts:
            if item.key == attempt.key:
                return {"picture": number, "attempt": attempt.number, "chosen": attempt.number == outcome.best}
    return {}


def _next_step(job: Job, answer: Answer) -> str:
    """What the caller does now, as a call."""
    if job.state in {"queued", "running"}:
        return NEXT_WAIT.format(id=job.id)
    if job.state == "interrupted":
        return "The process that ran it is gone. A server that is started now takes it up again."
    if job.state != "succeeded":
        return "Mend what the error says and ask again." if job.fault else "Ask again when it is wanted."
    if "image_id" not in answer:
        if "outputs" in answer:
            return "It made no picture: outputs lists what it made."
        return "Its picture was deleted from the gallery."
    if answer.get("validation", {}).get("passed") is False:
        return "The judges did not accept it: look at it with get_image, reword the prompt, or ask for more attempts."
    if answer.get("kind") == "video":
        return _after_a_video(job, answer["image_id"])
    return f"get_image(image_id='{answer['image_id']}') shows it again; img2img takes the same id."


def _after_a_video(job: Job, item_id: str) -> str:
    smoother = f"interpolate_frames(input_video='{item_id}', target_fps=...) makes it smoother"
    longer = f"extend_video(input_video='{item_id}', prompt=...) lets it go on"
    shows = f"get_image(image_id='{item_id}') shows its first frame"
    steps = [shows, longer] if job.recipe.task == "interpolate" else [shows, longer, smoother]
    return f"{'; '.join(steps)}."


def job_row(job: Job) -> Answer:
    """One line of a list of jobs."""
    row: Answer = {"job_id": job.id, "status": STATUS.get(job.state, job.state), "task": job.recipe.task}
    row |= {"prompt": shortened(job.recipe.prompt), "engine": job.engine, "created": job.created.isoformat()}
    row |= {"fraction": round(job.progress.fraction, 3), "message": job.progress.message}
    known = {"ahead": job.progress.ahead, "seconds_left": job.progress.seconds_left}
    row |= {name: value for name, value in known.items() if value is not None and not job.ended}
    row["image_ids"] = list(job.item_ids)
    if job.outcomes:
        best = job.outcomes[0].chosen
        row |= {"passed": best.passed, "score": _rounded(best.score)}
    if job.fault:
        row["error"] = job.fault.message
    return row


def stopped_job(before: Job, after: Job) -> Answer:
    """What a cancel did: where the job stood, and what stays."""
    stopped = not before.ended and after.state == "cancelled"
    told = _stop_told(before, after, stopped)
    return {"job_id": after.id, "status": after.state, "stopped": stopped, "message": told}


def _stop_told(before: Job, after: Job, stopped: bool) -> str:
    if not stopped:
        return f"Nothing to stop: it had ended ({after.state})."
    at = f" ({before.progress.message})" if before.progress.message else ""
    kept = len(after.item_ids)
    noun = "videos" if after.recipe.task in VIDEOS else "pictures"
    stay = f" {kept} of {after.recipe.count} {noun} were done and stay in the gallery." if kept else ""
    still = f" {after.note}" if after.note and after.note != before.note else ""
    return f"It was {before.state}{at} and is stopped.{still}{stay}"


async def page_answer(gallery: Gallery, query: ItemQuery) -> Answer:
    """One page of the gallery; where likeness was asked for, each row has its own. Raises what the search raises."""
    page = await gallery.search(query)
    rows = [item_row(item, await gallery.locate(item)) for item in page.items]
    for row, likeness in zip(rows, page.likeness, strict=False):
        row["likeness"] = round(likeness, 4)
    answer: Answer = {"images": rows, "total": page.total}
    return answer | ({"cursor": page.cursor} if page.cursor is not None else {})


def deleted_answer(gallery: Gallery, item: Item) -> Answer:
    """What became of a picture that was deleted, and how it comes back."""
    answer: Answer = {"deleted": True, "image_id": item.id, "prompt": item.prompt}
    until = gallery.until(item)
    if until is None:
        return answer
    return answer | {"until": until.isoformat(), "next": f"Until then 'atelier gallery restore {item.id}' undoes it."}


def item_row(item: Item, location: Location) -> Answer:
    """One line of a list of pictures. What most pictures are not is left out: waiting, imported, in the trash."""
    rare = {name: item.facts.get(name) for name in CLIP if item.kind == "video"} | {
        "source": item.source,
        "waiting": location.waiting,
        "deleted": item.deleted.isoformat() if item.deleted else None,
    }
    return {
        "image_id": item.id,
        "kind": item.kind,
        "prompt": shortened(item.prompt),
        "model": item.model,
        "engine": item.engine,
        "seed": item.seed,
        "width": item.width,
        "height": item.height,
        "score": _rounded(item.score),
        "passed": item.passed,
        "favourite": item.favourite,
        "tags": list(item.tags),
        "created": item.created.isoformat(),
        "media_type": item.media_type,
        "path": location.path,
        "url": location.url,
    } | {name: value for name, value in rare.items() if value}


async def item_info(gallery: Gallery, item: Item) -> Answer:
    """All that is known about a picture: how it was made, what the judges said, where it comes from."""
    parents, children = await gallery.lineage(item)
    info = item_row(item, await gallery.locate(item))
    info["prompt"] = item.prompt
    info |= {"negative_prompt": item.negative, "model_hash": item.model_hash, "job_id": item.job_id}
    info |= {"attempt": item.attempt, "file_size": item.size, "sha256": item.sha256}
    info["recipe"] = item.recipe.model_dump(mode="json", exclude_none=True)
    info["rendered"] = item.rendered.model_dump(mode="json", exclude_none=True, exclude={"acceptance"})
    info["verdicts"] = [verdict.model_dump(mode="json") for verdict in item.verdicts]
    info["facts"] = {name: fact for name, fact in item.facts.items() if name != "graph"}
    if "graph" in item.facts:
        info["workflow"] = item.facts["graph"]
    info["parents"] = [parent.id for parent in parents]
    info["children"] = [child.id for child in children]
    info["tree"] = (await gallery.tree(item)).model_dump(mode="json", exclude_none=True)
    return info


def shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
