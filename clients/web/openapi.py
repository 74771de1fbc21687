"""The OpenAPI 3.1 description, made of the operations and of the shapes of what they take and give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from clients.web.answers import Done, Restart, Token
from clients.web.bodies import needed
from clients.web.faults import Fault
from clients.web.operations import ROOT, Operation

Schema = dict[str, Any]

PLACE = "#/components/schemas/{model}"
TITLE = "Atelier's studio"
ABOUT = (
    "Pictures: found, shown, marked, made and made again, and the jobs that make them. "
    "Words for them: presets, prompts for a model family, conversations about them, and their history. "
    "Where a token is set, every request carries it; the Host and Origin headers have to be this server's own."
)
STREAM = (
    "Events, each a line of JSON after `data: `. {token}: the next piece of the prompt. {restart: true}: it begins "
    "anew, what came before is void. The last one is {done: true} with the whole answer, or an error with its status. "
    "Lines that begin with a colon say that it goes on."
)
FEED = (
    "Events, each a line of JSON after `data: `, told as they happen. An error ends them, with its status. "
    "Lines that begin with a colon say that it goes on."
)
EVENTS = (Token, Restart, Done, Fault)
BINARY = {"schema": {"type": "string", "format": "binary"}}
FAULTS = {
    400: "The request cannot be used as it is",
    404: "Nothing has that name",
    416: "The file has no such part",
    500: "Not foreseen",
    502: "The engine, or the language model's server, answered with an error",
    503: "Nobody answers there, or not now",
    504: "The language model took too long",
}
GUARDED = {401: "The token is missing or wrong", 403: "Another site's page asked", 421: "Another host was meant"}


def described(operations: Sequence[Operation]) -> Schema:
    """The document."""
    paths: defaultdict[str, Schema] = defaultdict(dict)
    for operation in operations:
        paths[f"{ROOT}{operation.path}"][operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1", "description": ABOUT},
        "security": [{}, {"token": []}],
        "paths": dict(paths),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(operations),
        },
    }


def _operation(operation: Operation) -> Schema:
    parts = [_parameter("path", part, {"type": "string", "minLength": 1}, required=True) for part in operation.parts]
    told: Schema = {
        "operationId": f"{operation.method.lower()}_{operation.path.strip('/').replace('/', '_').replace('-', '_')}",
        "summary": operation.summary,
        "parameters": [*parts, *_query(operation.query)],
        "responses": _responses(operation),
    }
    told["operationId"] = told["operationId"].replace("{", "").replace("}", "").replace(".", "_")
    if operation.details:
        told["description"] = operation.details
    if operation.body is not None:
        told["requestBody"] = {"required": needed(operation.body), "content": _json(operation.body)}
    if operation.uploads:
        told["requestBody"] = {"required": True, "content": dict.fromkeys(operation.uploads, BINARY)}
    return told


def _query(query: type[BaseModel] | None) -> list[Schema]:
    if query is None:
        return []
    schema = query.model_json_schema()
    return [_parameter("query", name, part) for name, part in schema["properties"].items()]


def _parameter(place: str, name: str, schema: Schema, *, required: bool = False) -> Schema:
    told = {key: value for key, value in schema.items() if key not in {"title", "description"}}
    about = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, "schema": told, **about}


def _responses(operation: Operation) -> Schema:
    told: Schema = {str(operation.status): _done(operation)}
    if operation.files:
        told["304"] = {"description": "The browser's copy is still good"}
        told["206"] = {"description": "The part that was asked for", "content": dict.fromkeys(operation.files, BINARY)}
    for status in _statuses(operation):
        told[str(status)] = {"description": FAULTS[status], "content": _json(Fault)}
    return told | {str(status): {"description": why, "content": _json(Fault)} for status, why in GUARDED.items()}


def _done(operation: Operation) -> Schema:
    if operation.files:
        return {"description": operation.summary, "content": dict.fromkeys(operation.files, BINARY)}
    if operation.events:
        return {"description": FEED, "content": _events([*operation.events, Fault])}
    assert operation.answer is not None
    if operation.streams:
        return {"description": STREAM, "content": {"text/event-stream": {"schema": _event(operation.answer)}}}
    return {"description": operation.answer.__doc__ or operation.summary, "content": _json(operation.answer)}


def _statuses(operation: Operation) -> Iterable[int]:
    """The errors that can come of it."""
    if operation.body or operation.query or operation.uploads:
        yield 400
    if operation.parts or operation.asks:
        yield 404
    if operation.files:
        yield 416
    yield 500
    if operation.asks:
        yield from (502, 503, 504)


def _event(answer: type[BaseModel]) -> Schema:
    """Each event of a stream, as is usual before OpenAPI 3.2: its data is JSON of one of these forms."""
    last = {"allOf": [_ref(answer), _ref(Done)]}
    return _one_of([_ref(Token), _ref(Restart), last, _ref(Fault)])


def _events(models: Sequence[type[BaseModel]]) -> Schema:
    return {"text/event-stream": {"schema": _one_of([_ref(model) for model in models])}}


def _one_of(forms: Sequence[Schema]) -> Schema:
    data = {"anyOf": forms}
    told = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return {"type": "object", "required": ["data"], "properties": {"data": told}}


def _ref(model: type[BaseModel]) -> Schema:
    return {"$ref": PLACE.format(model=model.__name__)}


def _json(model: type[BaseModel]) -> Schema:
    return {"application/json": {"schema": _ref(model)}}


def _schemas(operations: Sequence[Operation]) -> Schema:
    models = [model for one in operations for model in (one.body, one.answer, *one.events) if model is not None]
    inputs = [(model, "validation") for model in dict.fromkeys([*models, *EVENTS])]
    _, document = models_json_schema(inputs, ref_template=PLACE)  # pyright: ignore[reportArgumentType]
    return document["$defs"]
