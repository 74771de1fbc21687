"""What is asked for: the bodies and queries of the routes, and how they are read from bytes."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from clients.web.faults import BadRequest
from workflows.errors import allowed_by, nearest
from workflows.presets.files import Hint
from workflows.types import MAX_MESSAGE, FlatKind

MAX_BODY = 1_000_000
"""Bytes; fifty times the longest prompt."""
DRAINED = 16 * MAX_BODY
"""Bytes of a body too large that are read all the same: a client that still sends does not hear the answer."""
NONE = "None"
"""The name of no preset, as the lists of presets have it."""
TEXT = r"^[^\x00]*$"
SAID = r"^[^\x00]*[^\x00\s][^\x00]*$"
"""Something besides white space."""

PLAIN = {
    "string_type": "it is text",
    "list_type": "it is a list",
    "dict_type": "it is an object",
    "model_type": "it is an object",
    "bool_type": "it is true or false",
    "bool_parsing": "it is true or false",
    "int_parsing": "it is a whole number",
}
"""What is allowed where pydantic says it in the words of a library."""

Name = Annotated[str, Field(max_length=200, pattern=TEXT)]
Names = Annotated[list[Name], Field(max_length=40)]
Pick = Name | None
M = TypeVar("M", bound=BaseModel)


class Asked(BaseModel):
    """No other fields, and no values of other types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Picks(Asked):
    """What goes with the words."""

    model: Pick = Field("auto", description="A model family, or a model's file; auto: what would be chosen")
    style: Pick = Field(NONE, description="A style by its name")
    artist: Pick = NONE
    composition: Pick = NONE
    lighting: Pick = NONE
    presets: Names = Field(default_factory=list, description="Further presets and packs by their paths")
    options: dict[Name, Names] = Field(
        default_factory=dict[str, list[str]],
        max_length=40,
        description="Universal options by their groups",
        json_schema_extra={"additionalProperties": False},  # pydantic describes what has a name of the pattern only
    )
    writer: Name | None = Field(
        None, description="auto, rules, model, or a language model's name; without one: model where one is configured"
    )

    @property
    def names_presets(self) -> bool:
        """Whether anything is said about presets, if only that there are none."""
        return "presets" in self.model_fields_set or bool(self.references())

    def references(self) -> list[str]:
        """Everything that was picked, as the shelf finds it."""
        flat = {"style": self.style, "artist": self.artist, "composition": self.composition, "lighting": self.lighting}
        parts = [(kind, name) for kind, name in flat.items()]
        parts += [(group, name) for group, names in self.options.items() for name in names]
        return [_reference(kind, name) for kind, name in parts if name and _names_one(name)] + self.presets


class GenerateBody(Picks):
    """Write a prompt."""

    input: str = Field(max_length=MAX_MESSAGE, pattern=SAID, description="What the picture shows, in any words")
    negative: str = Field("", max_length=MAX_MESSAGE, pattern=TEXT, description="What it must not show")


class ChatBody(Picks):
    """Say something about a prompt."""

    message: str = Field(max_length=MAX_MESSAGE, pattern=SAID)
    conversation_id: Annotated[str, Field(min_length=1, max_length=64, pattern=TEXT)] | None = Field(
        None, description="Without one: the browser's last, told by its cookie, or else a new one"
    )
    reset: bool = Field(False, description="Begin anew")


class ResetBody(Asked):
    """Forget a conversation."""

    conversation_id: Annotated[str, Field(min_length=1, max_length=64, pattern=TEXT)] | None = Field(
        None, description="Without one: the browser's last"
    )


class PresetBody(Asked):
    """A preset of one's own."""

    kind: FlatKind
    name: str = Field(min_length=1, max_length=80, pattern=SAID)
    text: str = Field(max_length=1000, pattern=SAID, description="What it adds to a prompt: descriptors with commas")
    negative: str = Field("", max_length=1000, pattern=TEXT)
    hint: Hint = Field("", description="The style that models are chosen by")


class HistoryAsked(BaseModel):
    """A search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    q: str = Field("", max_length=500, pattern=TEXT, description="Words that a prompt or its input has")
    search: str = Field("", max_length=500, pattern=TEXT, description="The same, where there is no q")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200, pattern=TEXT, description="From the page before")


async def read_body(model: type[M], request: Request) -> M:
    """Raises BadRequest for anything but JSON of this form, told to be JSON (which no form of a web page can do).

    Nothing at all is an empty object, where that is of this form.
    """
    raw = await read_bytes(request, MAX_BODY)
    if not raw and not needed(model):
        return model()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise BadRequest(f"The body has to come with the header Content-Type: application/json, not {media_type!r}.")
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise BadRequest(_told(model, error)) from error


def read_query(model: type[M], request: Request) -> M:
    """Raises BadRequest."""
    pairs = parse_qsl(request.url.query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) < len(pairs):
        twice = next(name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1)
        raise BadRequest(f"{twice[:80]} is given twice.")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise BadRequest(_told(model, error)) from error


def needed(model: type[BaseModel]) -> bool:
    """Whether there has to be something in it."""
    return any(field.is_required() for field in model.model_fields.values())


async def read_bytes(request: Request, most: int) -> bytes:
    """The body. Raises BadRequest when it has more than `most` bytes."""
    body = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max(most, DRAINED):
            break
        if size <= most:
            body += chunk
    if size > most:
        raise BadRequest(f"The body is too large: it has at most {most} bytes.")
    return bytes(body)


def _told(model: type[BaseModel], error: ValidationError) -> str:
    """The first fault, in words; unknown fields first, because they explain the missing ones."""
    faults = error.errors(include_url=False)
    fault: Any = min(faults, key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(str(part)[:80] for part in fault["loc"])
    if fault["type"] == "json_invalid":
        return f"The body is no JSON: {fault['ctx']['error']}."
    if fault["type"] == "extra_forbidden":
        near = nearest(where, model.model_fields)
        known = f"Did you mean {', '.join(near)}?" if near else f"There are: {', '.join(model.model_fields)}."
        return f"There is no field {where!r}. {known}"
    if fault["type"] == "missing":
        return f"{where} is missing."
    shown = repr(fault["input"])[:80]
    return f"{where or 'The body'} cannot be {shown}: {_allowed(fault)}."


def _allowed(fault: Any) -> str:
    if fault["type"] == "string_pattern_mismatch":
        return "it has words" if fault["ctx"]["pattern"] == SAID else "it has no null characters"
    return PLAIN.get(fault["type"]) or allowed_by(fault)


def _names_one(name: str) -> bool:
    """What a list of choices calls no choice, in any spelling, picks nothing."""
    return name.strip().casefold() not in {NONE.casefold(), ""}


def _reference(kind: str, name: str) -> str:
    """A path is taken as it is."""
    return name if ":" in name else f"{kind}:{name}"
