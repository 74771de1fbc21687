"""The one list of what can be asked over HTTP: routes and their description both come from it."""

from __future__ import annotations

from clients.web import shelves, writing
from clients.web.answers import Description
from clients.web.openapi import described
from clients.web.operations import Call, Operation


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
    Operation("GET", "/openapi.json", description),
)
