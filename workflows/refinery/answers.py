"""What is told about a refinement: the one mapping that tools, command line and Python callers see."""

from __future__ import annotations

from collections.abc import Mapping

from workflows.answers import NEXT_WAIT, Answer, shortened
from workflows.errors import NotFound
from workflows.gallery import Gallery
from workflows.types import Progress, Refinement, Round

STATUS: Mapping[str, str] = {"succeeded": "success", "waiting": "queued"}
MOST_TEXT = 600
"""Characters of an evaluation; the ledger and a batch's folder have all of it."""


async def refinement_answer(refinement: Refinement, gallery: Gallery, progress: Progress | None = None) -> Answer:
    """The answer of refine_image for a refinement in any state; keys that do not apply are absent."""
    answer: Answer = {"status": STATUS.get(refinement.state, refinement.state), "job_id": refinement.id}
    if refinement.run_id:
        answer |= {"run_id": refinement.run_id, "prompt_id": refinement.brief.id}
    rows = [await round_row(one, gallery) for one in refinement.rounds]
    best = next((row for row in rows if row["iteration"] == refinement.best and "path" in row), None)
    if best is not None:
        answer |= {name: best[name] for name in ("image_id", "path", "url")}
        answer["best"] = {name: best[name] for name in ("iteration", "image_id", "path", "url", "prompt")}
        chosen = refinement.chosen
        answer["passed"] = chosen.evaluation.passed if chosen and chosen.evaluation else None
    answer |= {"iterations": rows, "most_iterations": refinement.iterations, "evaluator": refinement.evaluator}
    if refinement.state in {"waiting", "running"} and progress is not None:
        answer["progress"] = progress.model_dump(exclude_none=True)
    if refinement.fault:
        answer["warning" if refinement.state == "succeeded" else "error"] = refinement.fault
    answer["next"] = _next_step(refinement, answer)
    return answer


def stopped_refinement(before: Refinement, after: Refinement) -> Answer:
    """What a cancel did, as of a job."""
    stopped = not before.ended and after.state == "cancelled"
    kept = sum(one.image_id is not None for one in after.rounds)
    stay = f" {kept} of {after.iterations} rounds have a picture, which stays in the gallery." if kept else ""
    told = (
        f"It was {before.state} and is stopped.{stay}" if stopped else f"Nothing to stop: it had ended ({after.state})."
    )
    return {"job_id": after.id, "status": after.state, "stopped": stopped, "message": told}


async def round_row(one: Round, gallery: Gallery) -> Answer:
    """One iteration."""
    row: Answer = {"iteration": one.number, "prompt": one.prompt, "stage": one.stage}
    row |= {name: value for name in ("negative", "job_id", "image_id") if (value := getattr(one, name))}
    row |= await _place(one, gallery)
    if one.evaluation is not None:
        told = one.evaluation
        row |= {"evaluation": shortened(told.text, MOST_TEXT), "evaluated_by": told.by}
        row |= {"score": told.score, "passed": told.passed, "missing": list(told.missing)}
    row |= {name: value for name in ("refined", "refined_by", "why") if (value := getattr(one, name))}
    return row | {"seconds": one.seconds}


async def _place(one: Round, gallery: Gallery) -> Answer:
    if one.image_id is None:
        return {}
    try:
        location = await gallery.locate(await gallery.find(one.image_id))
    except NotFound:
        return {}
    return {"path": location.path, "url": location.url}


def _next_step(refinement: Refinement, answer: Answer) -> str:
    if refinement.state in {"waiting", "running"}:
        return NEXT_WAIT.format(id=refinement.id)
    if refinement.state == "interrupted":
        again = "atelier batch --resume goes on with it." if refinement.run_id else "A server started now goes on."
        return f"It was interrupted, and nothing that was made is lost. {again}"
    if "image_id" not in answer:
        return "Mend what the error says and ask again." if refinement.fault else "Ask again when it is wanted."
    if answer.get("passed") is True:
        return f"get_image(image_id='{answer['image_id']}') shows the best one; the evaluator accepts it."
    return "No round was accepted: look at the best with get_image, say more in the prompt, or ask for more iterations."
