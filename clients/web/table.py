"""The one list of what can be asked over HTTP: routes and their description both come from it."""

from __future__ import annotations

from clients.web import jobs, live, pictures, shelves, writing
from clients.web.answers import Description
from clients.web.media import SHOWN
from clients.web.openapi import described
from clients.web.operations import Call, Operation
from clients.web.rows import ImagesEvent, JobDone, JobsEvent, PreviewEvent, ProgressEvent
from clients.web.uploads import KINDS

PICTURES = ("image/png", "image/jpeg", "image/webp")


async def description(call: Call) -> Description:
    """What can be asked here: this document."""
    return Description(described(OPERATIONS))


OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/presets", shelves.flat_presets),
    Operation("POST", "/presets", shelves.add_preset, status=201),
    Operation("DELETE", "/presets/{kind}/{id}", shelves.remove_preset),
    Operation("GET", "/categories", shelves.categories),
    Operation("GET", "/categories/{id}/types", shelves.types),
    Operation("GET", "/categories/{cat}/types/{type}/artists", shelves.artists),
    Operation("GET", "/artists/{cat}/{type}/{artist}/technical", shelves.technical),
    Operation("GET", "/artists/{cat}/{type}/{artist}/specifics", shelves.specifics),
    Operation("GET", "/preset-packs", shelves.packs),
    Operation("GET", "/universal-options", shelves.universal_options),
    Operation("GET", "/models", writing.models, asks=True),
    Operation("POST", "/generate", writing.generate, asks=True),
    Operation("POST", "/generate-stream", writing.generate, asks=True, streams=True),
    Operation("POST", "/chat", writing.chat, asks=True),
    Operation("POST", "/chat-stream", writing.chat, asks=True, streams=True),
    Operation("POST", "/reset", writing.reset),
    Operation("GET", "/history", writing.history),
    Operation("DELETE", "/history/{id}", writing.forget),
    Operation("GET", "/images", pictures.images, asks=True),
    Operation("POST", "/images", pictures.take_in, uploads=KINDS),
    Operation("GET", "/images/facets", pictures.facets),
    Operation("GET", "/images/{id}", pictures.image),
    Operation("PATCH", "/images/{id}", pictures.change),
    Operation("DELETE", "/images/{id}", pictures.remove),
    Operation("GET", "/images/{id}/preview", pictures.preview, files=PICTURES),
    Operation("GET", "/images/{id}/file", pictures.file, files=SHOWN),
    Operation("POST", "/images/{id}/restore", pictures.restore),
    Operation("POST", "/images/{id}/regenerate", pictures.regenerate, status=202, asks=True),
    Operation("POST", "/jobs", jobs.start, status=202, asks=True),
    Operation("GET", "/jobs", jobs.listed),
    Operation("GET", "/jobs/{id}", jobs.one),
    Operation("DELETE", "/jobs/{id}", jobs.stop),
    Operation("GET", "/jobs/{id}/events", live.job_events, events=(ProgressEvent, PreviewEvent, JobDone)),
    Operation("GET", "/jobs/{id}/preview", jobs.glimpse, files=PICTURES),
    Operation("GET", "/events", live.events, events=(JobsEvent, ImagesEvent)),
    Operation("GET", "/status", jobs.status),
    Operation("GET", "/openapi.json", description),
)
