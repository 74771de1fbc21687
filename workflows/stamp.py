"""The kept picture with what made it written into it, and its row for the gallery."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from utils.images import decode, encode_png, sha256
from utils.metadata import parameters_text, stamp_png
from workflows.types import Attempt, Item, Job, Media, Recipe

PNG = "image/png"


def stamped_item(raw: Media, job: Job, recipe: Recipe, attempt: Attempt, engine: str) -> tuple[Item, Media]:
    """The gallery's row and the stamped PNG. `recipe` is the user's own for this picture, completed."""
    item = Item(
        job_id=job.id,
        key=attempt.key,
        media_type=PNG,
        width=attempt.width,
        height=attempt.height,
        size=0,
        sha256="",
        prompt=recipe.prompt,
        negative=recipe.negative,
        model=attempt.model,
        model_hash=attempt.model_hash,
        engine=engine,
        seed=attempt.recipe.seed or 0,
        attempt=attempt.number,
        score=attempt.score,
        passed=attempt.passed,
        parent_id=recipe.source_item,
        recipe=recipe,
        rendered=attempt.recipe,
        verdicts=attempt.verdicts,
        facts=attempt.facts | ({"change": attempt.change} if attempt.change else {}),
    )
    png = raw.data if raw.media_type == PNG else encode_png(decode(raw.data))
    stamped = stamp_png(png, _parameters(item), _record(item))
    return item.but(size=len(stamped), sha256=sha256(stamped)), Media(data=stamped, media_type=PNG)


def _parameters(item: Item) -> str:
    """The A1111 text: what was really rendered, for the tools that read it."""
    rendered = item.rendered
    return parameters_text(
        prompt=rendered.prompt,
        negative=rendered.negative,
        steps=rendered.steps or 0,
        sampler=item.facts.get("sampler") or rendered.sampler,
        cfg=rendered.cfg,
        seed=item.seed,
        width=item.width,
        height=item.height,
        model=item.model,
        model_hash=item.model_hash,
        version=own_version(),
        denoise=rendered.denoise,
        further=_further(item),
    )


def _further(item: Item) -> dict[str, str | float]:
    """What A1111 has no fixed place for: task, scheduler, LoRAs as it writes them in prompts."""
    rendered = item.rendered
    loras = " ".join(f"<lora:{lora.name}:{lora.strength:g}>" for lora in rendered.loras)
    told = {
        "Schedule type": str(item.facts.get("scheduler") or rendered.scheduler or ""),
        "Loras": loras,
        "Task": "" if rendered.task in {"txt2img", "img2img"} else rendered.task,
    }
    return {name: value for name, value in told.items() if value}


def _record(item: Item) -> dict[str, object]:
    """Our own record: the whole row but for what depends on the stamped bytes themselves."""
    return item.model_dump(mode="json", exclude={"size", "sha256", "favourite", "key"})


def own_version() -> str:
    """The version of the installed distribution; "0" in a tree that was never installed."""
    try:
        return version("atelier-mcp")
    except PackageNotFoundError:
        return "0"
