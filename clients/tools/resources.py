"""What clients may read, complete and start from besides tools: pictures, jobs, argument values, prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import CompletionArgument, PromptReference, Resource, ResourceTemplateReference

from clients.tools.arguments import MAX_PREVIEW, NAME
from clients.tools.registration import small_preview
from workflows import selection
from workflows.answers import job_answer, shortened
from workflows.app import App
from workflows.catalog import DRAWABLE
from workflows.errors import NotFound, StudioError
from workflows.families import families
from workflows.types import ItemQuery, Media

IMAGES = "media://images/{id}"
VIDEOS = "media://videos/{id}"
JOBS = "media://jobs/{id}"
MAX_BLOB = 600_000
"""Bytes of an original that is read as it is: 800 KB in base64, below the bound of an answer."""
NEWEST = 20
"""Pictures in the resource list."""
MAX_VALUES = 100
"""Values in one completion, by the specification."""
SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
"""First bytes of a picture file and its media type."""

Completer = Callable[[App, str], Awaitable[Sequence[str]]]


async def read_image(app: App, name: str) -> bytes:
    """The picture as it was filed; a preview of it where the file is too big for an answer."""
    checked(name)
    try:
        original: Media = await app.gallery.original(name)
    except NotFound as error:
        raise ResourceNotFoundError(str(error)) from error
    if len(original.data) <= MAX_BLOB:
        return original.data
    try:
        return (await small_preview(app, name, MAX_PREVIEW)).data
    except StudioError as error:
        raise ResourceError(str(error)) from error


async def read_video(app: App, name: str) -> bytes:
    """The video as it was filed. One too big for an answer is an error that says where it lies."""
    checked(name)
    try:
        item = await app.gallery.find(name)
        if item.size <= MAX_BLOB:
            return (await app.gallery.original(name)).data
        place = await app.gallery.locate(item)
    except NotFound as error:
        raise ResourceNotFoundError(str(error)) from error
    except StudioError as error:
        raise ResourceError(str(error)) from error
    raise ResourceError(f"The video has {item.size} bytes, too many for an answer; it is at {place.path or place.url}.")


async def read_job(app: App, name: str) -> str:
    """The answer of the job as JSON, whatever its state."""
    checked(name)
    try:
        job = await app.studio.find(name)
    except NotFound as error:
        raise ResourceNotFoundError(str(error)) from error
    return json.dumps(await job_answer(app.gallery, job), ensure_ascii=False)


async def newest_images(app: App) -> list[Resource]:
    """The latest pictures, newest first."""
    page = await app.gallery.search(ItemQuery(limit=NEWEST))
    return [
        Resource(
            uri=(VIDEOS if item.kind == "video" else IMAGES).replace("{id}", item.id),
            name=item.id,
            title=shortened(item.prompt, 80),
            mime_type=item.media_type,
            size=item.size,
        )
        for item in page.items
    ]


def media_type_of(picture: bytes) -> str:
    """Told by the first bytes."""
    if picture[4:8] == b"ftyp":
        return "video/mp4"
    if picture.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm"
    found = (media_type for start, media_type in SIGNATURES.items() if picture.startswith(start))
    return next(found, "application/octet-stream")


def checked(name: str) -> None:
    """Raises ResourceNotFoundError for what cannot be an id, before anything looks for it."""
    if not re.fullmatch(NAME, name):
        raise ResourceNotFoundError(f"There is nothing called {name[:80]!r}.")


async def complete(
    app: App, ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument
) -> list[str]:
    """Values of the argument that begin with what is there, or a word of which does; an empty list for arguments that
    we know nothing of.
    """
    name = argument.name
    if isinstance(ref, ResourceTemplateReference):
        name = {IMAGES: "image_id", VIDEOS: "image_id", JOBS: "job_id"}.get(ref.uri, "")
    completer = COMPLETERS.get(name)
    if completer is None:
        return []
    before, typed = _typed(argument.value) if name == "preset" else ("", argument.value)
    if isinstance(ref, PromptReference) and (ref.name, name) == (write_prompt.__name__, "model"):
        completer = _models_and_families
    values = await completer(app, typed)
    return [f"{before}{value}" for value in _matching(values, typed)][:MAX_VALUES]


def _typed(value: str) -> tuple[str, str]:
    """Of names with commas those that are there, and the last one, which is being typed."""
    before, comma, last = value.rpartition(",")
    return (f"{before}, " if comma else ""), last.lstrip()


def _matching(values: Sequence[str], typed: str) -> list[str]:
    """Those that begin so, then those of which another word does: "leib" is Annie Leibovitz."""
    start = typed.casefold()
    first = [value for value in values if value.casefold().startswith(start)]
    inside = re.compile(rf"[\s:/.-]{re.escape(start)}")
    return list(dict.fromkeys([*first, *(value for value in values if start and inside.search(value.casefold()))]))


async def _image_ids(app: App, start: str) -> list[str]:
    page = await app.gallery.search(ItemQuery.checked(prefix=start[:200], limit=MAX_VALUES))
    return [item.id for item in page.items]


async def _job_ids(app: App, _start: str) -> list[str]:
    return [job.id for job in await app.studio.history(MAX_VALUES)]


async def _models(app: App, _start: str) -> list[str]:
    return ["auto", *(info.name for info in await app.catalog.models() if info.kind in DRAWABLE and info.engine)]


async def _models_and_families(app: App, start: str) -> list[str]:
    return list(dict.fromkeys([*await _models(app, start), *families()]))


async def _loras(app: App, _start: str) -> list[str]:
    return [info.name for info in await app.catalog.models() if info.kind == "lora"]


async def _styles(app: App, _start: str) -> list[str]:
    shelf = await app.prompts.shelf()
    return list(dict.fromkeys([*selection.STYLES, *(preset.name for preset in shelf.flat["style"])]))


async def _presets(app: App, _start: str) -> list[str]:
    """Names of the flat ones, then every reference."""
    shelf = await app.prompts.shelf()
    names = (preset.name for presets in shelf.flat.values() for preset in presets)
    return list(dict.fromkeys([*names, *shelf.references()]))


async def _artists(app: App, _start: str) -> list[str]:
    shelf = await app.prompts.shelf()
    nodes = (node for category in shelf.categories for one in category.types for node in one.artists)
    names = [*(preset.name for preset in shelf.flat["artist"]), *(node.preset.name for node in nodes)]
    return list(dict.fromkeys(names))


async def _compositions(app: App, _start: str) -> list[str]:
    return [preset.name for preset in (await app.prompts.shelf()).flat["composition"]]


async def _lightings(app: App, _start: str) -> list[str]:
    return [preset.name for preset in (await app.prompts.shelf()).flat["lighting"]]


async def _engines(app: App, _start: str) -> list[str]:
    return ["auto", *(engine.name for engine in app.studio.engines)]


COMPLETERS: dict[str, Completer] = {
    "image_id": _image_ids,
    "job_id": _job_ids,
    "model": _models,
    "model_name": _models,
    "loras": _loras,
    "style": _styles,
    "preset": _presets,
    "artist": _artists,
    "composition": _compositions,
    "lighting": _lightings,
    "engine": _engines,
}


def make_picture(subject: str, model: str = "auto") -> str:
    """Make a picture, look at it, and say honestly whether it shows what was asked for."""
    return (
        f"Make a picture of: {subject}\nCall generate_image with model={model!r}. Look at the picture and at the "
        "verdict. If the verdict is a no or you see a flaw, say which, and offer one better wording."
    )


def vary_picture(image_id: str, change: str) -> str:
    """Change one thing in a picture of the gallery."""
    return (
        f"Call get_image_info for {image_id!r}, then img2img with that input_image and the old prompt reworded so that "
        f"it says: {change}. Begin with denoise 0.6 and compare the two pictures."
    )


def write_prompt(subject: str, style: str = "", artist: str = "", preset: str = "", model: str = "auto") -> str:
    """Have a prompt written for a model, look it over together, then make the picture."""
    picks = {"style": style, "artist": artist, "preset": preset}
    given = "".join(f", {name}={value!r}" for name, value in picks.items() if value)
    return (
        f"Call build_prompt with subject={subject!r}, model={model!r}{given}. Show the prompt, with what was added to "
        "the user's words and why. Change it with refine_prompt until the user likes it; then call generate_image with "
        "the user's own words as prompt and the same model and preset, or with the refined prompt."
    )


PROMPTS: tuple[Callable[..., Any], ...] = (make_picture, vary_picture, write_prompt)
