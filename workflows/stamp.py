"""The kept picture with what made it written into it, and its row for the gallery; the same in another format."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

from utils.images import BadPicture, decode, encode_png, sha256
from utils.likeness import fingerprint
from utils.metadata import CREATOR, MEDIA_TYPES, SourceType, carried, parameters_text, stamped
from utils.signing import NotSigned
from workflows.catalog import DRAWABLE
from workflows.clips import sheet_of
from workflows.errors import BadRecipe
from workflows.kinds import called, ending_of, kind_of
from workflows.ports import Signer
from workflows.types import Attempt, Item, Job, Media, Recipe
from workflows.types.recipe import WORDLESS

log = logging.getLogger("atelier.stamp")

PNG, JPEG, WEBP = "image/png", "image/jpeg", "image/webp"
QUALITY = 95
"""Of JPEG and WebP copies: what is lost is not seen."""
POSTER = "poster"
"""Fact of a video: the key of its first frame, as PNG."""
ORIGIN = "digital_source_type"
"""Fact of an item that is not wholly a model's work: its IPTC digital source type, which its descendants take over."""

HASHES = "lora_hashes"
"""Fact of an item: the first hex digits of the SHA-256 of its LoRAs' files, by name."""
LORAS = frozenset({"lora"})

_OF_THE_BYTES = {"size", "sha256", "favourite", "tags", "deleted", "key"}
"""Of a row: what depends on the stamped file, or may change after it."""


def stamped_item(
    raw: Media,
    job: Job,
    recipe: Recipe,
    attempt: Attempt,
    engine: str,
    *,
    parent: Item | None = None,
    poster: bytes | None = None,
    signer: Signer | None = None,
) -> tuple[Item, Media]:
    """The gallery's row and the stamped picture or video. `recipe` is the user's own for this picture, completed.

    `parent` is the gallery's row of the picture that it was made from, where that is in the gallery; `poster` a video's
    first frame (PNG), which is kept under `poster_key`. With a `signer` the file is signed; where that fails, the
    picture is kept, and its row says so. Sounds and other files are kept as they are.
    """
    item = _item(job, recipe, attempt, engine, source_type_of(recipe, parent))
    media, kind = raw, kind_of(raw.media_type)
    if kind == "image" and raw.media_type != PNG:
        media = Media(data=encode_png(decode(raw.data)), media_type=PNG)
    shown = media.data if kind == "image" else sheet_of(media)
    facts = item.facts | ({POSTER: poster_key(item.key)} if kind == "video" and poster else {})
    item = item.but(media_type=media.media_type, kind=kind, fingerprint=_fingerprint(shown), facts=facts)
    if media.media_type not in MEDIA_TYPES:
        return item.but(size=len(media.data), sha256=sha256(media.data)), media
    origin = item.facts.get(ORIGIN, SourceType.TRAINED)
    data = stamped(
        media.data,
        media.media_type,
        parameters=_parameters(item),
        record=item.model_dump(mode="json", exclude=_OF_THE_BYTES),
        source_type=origin,
        graph=_mapping(item.facts.get("graph")),
        workflow=_mapping(item.facts.get("workflow")),
        creator=f"{CREATOR} {own_version()}",
    )
    item, media = _signed(item, Media(data=data, media_type=media.media_type), origin, signer)
    return item.but(size=len(media.data), sha256=sha256(media.data)), media


def poster_key(key: str) -> str:
    """Where the poster of the video under that key lies."""
    return f"{key}.poster.png"


def with_hashes(attempt: Attempt, hash_of: Callable[[str, Collection[str]], str | None]) -> Attempt:
    """The attempt with the hashes of its model and LoRAs that `hash_of` (name, kinds) knows, where it tells none."""
    found = {use.name: hash_of(use.name, LORAS) for use in attempt.recipe.loras}
    hashes = {name: known for name, known in found.items() if known} | (_mapping(attempt.facts.get(HASHES)) or {})
    return attempt.but(
        model_hash=attempt.model_hash or hash_of(attempt.model, DRAWABLE),
        facts=attempt.facts | ({HASHES: hashes} if hashes else {}),
    )


def source_type_of(recipe: Recipe, parent: Item | None = None) -> str:
    """The IPTC digital source type of what the recipe makes of its source picture.

    A picture counts as made by a model when it is, and all of its ancestors are, from this gallery: `parent` is its
    row. One that was imported, or is no item at all, is from outside.
    """
    edited = recipe.source is not None or recipe.source_item is not None or bool(recipe.files)
    if not edited:
        edits = any(reference.mode == "edit" for reference in recipe.references)
        return SourceType.COMPOSITE if edits else SourceType.TRAINED
    # Of several files only the first one's origin is known here.
    outside = parent is None or parent.source is not None or len(recipe.files) > 1
    origin = None if outside or parent is None else parent.facts.get(ORIGIN, SourceType.TRAINED)
    if origin in {SourceType.TRAINED, SourceType.COMPOSITE}:
        return str(origin)
    mended = recipe.task in WORDLESS and recipe.task != "workflow"
    return SourceType.ENHANCED if mended else SourceType.COMPOSITE


def as_format(item: Item, media: Media, media_type: str) -> Media:
    """The stored picture as image/png, image/jpeg or image/webp, with all that its file tells of how it was made.

    Quality 95; what is transparent lies on white in a JPEG. Raises BadRecipe for a video and for another format.
    """
    if media_type == media.media_type:
        return media
    if media_type not in {PNG, JPEG, WEBP}:
        raise BadRecipe("format", media_type, f"it must be {PNG}, {JPEG} or {WEBP}")
    if item.kind != "image":
        raise BadRecipe("format", media_type, f"{item.id} is {called(item.kind)}, which is given out as it is")
    try:
        drawn = _encoded(media.data, media_type)
        return Media(data=carried(media.data, drawn, media_type), media_type=media_type)
    except BadPicture as error:
        raise BadRecipe("image", item.id, f"its file cannot be converted ({error})") from error


def _item(job: Job, recipe: Recipe, attempt: Attempt, engine: str, source_type: str) -> Item:
    added = {"change": attempt.change, ORIGIN: "" if source_type == SourceType.TRAINED else source_type}
    return Item(
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
        facts=attempt.facts | {name: value for name, value in added.items() if value},
    )


def _fingerprint(picture: bytes | None) -> str | None:
    """Of a video that of its sheet; None where there is no picture, and for what cannot be decoded."""
    try:
        return fingerprint(picture) if picture else None
    except BadPicture:
        return None


def _signed(item: Item, media: Media, source_type: str, signer: Signer | None) -> tuple[Item, Media]:
    if signer is None:
        return item, media
    try:
        return item, signer.sign(media, source_type, f"{item.id}.{ending_of(media.media_type)}")
    except NotSigned as error:
        log.warning("picture %s is not signed: %s", item.id, error)
        said = f"It is not signed (C2PA): {error}."
        return item.but(facts=item.facts | {"notes": [*item.facts.get("notes", ()), said]}), media


def _encoded(picture: bytes, media_type: str) -> bytes:
    """The pixels in another format, in the colours of the same profile."""
    import io

    from PIL import Image

    image = decode(picture)
    with Image.open(io.BytesIO(picture)) as opened:
        profile = opened.info.get("icc_profile") if opened.mode in {"RGB", "RGBA"} else None
    if media_type == JPEG and image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    image.info.clear()
    buffer = io.BytesIO()
    lossy = {} if media_type == PNG else {"quality": QUALITY}
    image.save(buffer, media_type.removeprefix("image/"), icc_profile=profile, **lossy)
    return buffer.getvalue()


def _mapping(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) and value else None


def _parameters(item: Item) -> str:
    """The A1111 text: what was really rendered, for the tools that read it."""
    rendered, facts = item.rendered, item.facts
    return parameters_text(
        prompt=rendered.prompt,
        negative=rendered.negative,
        steps=rendered.steps or 0,
        sampler=facts.get("sampler") or rendered.sampler,
        cfg=rendered.cfg,
        seed=item.seed,
        width=item.width,
        height=item.height,
        model=item.model,
        model_hash=item.model_hash,
        version=own_version(),
        denoise=rendered.denoise,
        further=_further(item),
        loras=[(lora.name, lora.strength, lora.clip_strength) for lora in rendered.loras],
        lora_hashes=_mapping(facts.get(HASHES)),
    )


def _further(item: Item) -> dict[str, str | float]:
    """What stands in A1111's line when there is something to say: schedule, clip skip, VAE, task."""
    rendered, facts = item.rendered, item.facts
    schedule = str(facts.get("scheduler") or rendered.scheduler or "")
    told = {
        # The in-process engine tells the class that drew, which is no schedule.
        "Schedule type": "" if schedule.endswith("Scheduler") else schedule,
        "Clip skip": rendered.clip_skip or facts.get("clip_skip"),
        "VAE": str(facts.get("vae") or ""),
        "Task": "" if rendered.task in {"txt2img", "img2img"} else rendered.task,
        "Frames": str(facts.get("frames") or "") if item.kind == "video" else "",
        "FPS": f"{facts['fps']:g}" if item.kind == "video" and isinstance(facts.get("fps"), int | float) else "",
    }
    return {name: value for name, value in told.items() if value}


def own_version() -> str:
    """The version of the installed distribution; "0" in a tree that was never installed."""
    try:
        return version("atelier-mcp")
    except PackageNotFoundError:
        return "0"
