"""What a tool accepts and answers: strict schemas from its signature, and faults in words that a model can act on."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, cast, get_args, get_type_hints

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, create_model

from workflows.errors import BadRecipe, nearest

Schema = dict[str, Any]
MAX_FAULTS = 5
"""Faults told at once; more of them say nothing new."""
MAX_NAME = 80
"""Characters of an unknown argument's name that are repeated."""


class Arguments(ArgModelBase):
    """The arguments of one tool; names that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class BadArguments(ValueError):
    """Arguments that cannot be used; the text says which, why, and what is allowed."""


class Signature:
    """The argument model of a plain function, with its JSON schema.

    Of a tool that takes what another spells out too (`**also`), the whole is only made at its first call: a server has
    to have every tool's schema before it says a word.
    """

    def __init__(self, function: Callable[..., Awaitable[Any]]) -> None:
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
        self._name = function.__name__
        self._listed = hints.get(ALSO) if ALSO in parameters else None
        self._own = {name: (hints[name], _default(parameters[name])) for name in parameters if name != ALSO}
        self.model = _model(self._name, self._own)
        """Of what the tool spells out."""
        schema = compact(self.model.model_json_schema(by_alias=True))
        # Without the ban on other arguments: we refuse those ourselves, in words.
        self.shown = brief({key: part for key, part in schema.items() if key != "additionalProperties"})
        """What clients are shown; `schema` has every argument with every limit, for our own words."""

    @cached_property
    def schema(self) -> Schema:
        return compact(self._whole.model_json_schema(by_alias=True))

    @cached_property
    def _also(self) -> dict[str, Any]:
        return _also(self._listed) if self._listed is not None else {}

    @cached_property
    def _whole(self) -> type[Arguments]:
        return _model(self._name, self._own | {name: (hint, None) for name, hint in self._also.items()})

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The checked arguments, defaults filled in but for those of `also`. "512" is taken as 512. Raises
        BadArguments."""
        faults = [f"{name} {fault}." for name, value in given.items() if (fault := _bad_text(value))]
        if faults:
            raise BadArguments(_told(faults))
        try:
            model = self._whole.model_validate({name: self._unwrapped(name, value) for name, value in given.items()})
        except ValidationError as error:
            raise BadArguments(_told([self._fault(cast(Mapping[str, Any], e)) for e in error.errors()])) from error
        values = model.model_dump_one_level()
        return {name: value for name, value in values.items() if name in given or name not in self._also}

    def _unwrapped(self, name: str, value: Any) -> Any:
        """Lists that a client sent as JSON text, or as their only entry, as some do."""
        schema = self.schema["properties"].get(name, {})
        if schema.get("type") != "array":
            return value
        if isinstance(value, str):
            value = _listed(value, of_objects=schema["items"].get("type") == "object")
        return [value] if isinstance(value, dict) else value

    def _fault(self, error: Mapping[str, Any]) -> str:
        name = str(error["loc"][0])
        properties: Schema = self.schema["properties"]
        if error["type"] == "extra_forbidden":
            return unknown_argument(name, list(properties))
        own_words = error.get("ctx", {}).get("error")
        allowed = str(own_words or f"must be {in_words(properties[name])}")
        if error["type"] == "missing":
            return f"{name} is missing: it {allowed}."
        return str(BadRecipe(name, error["input"], allowed))


def _model(name: str, fields: Mapping[str, tuple[Any, Any]]) -> type[Arguments]:
    """Types and defaults by argument. Fields are prefixed: an argument may be called like a method of the model."""
    whole: dict[str, Any] = {
        f"arg_{field}": (hint, Field(default=default, alias=field)) for field, (hint, default) in fields.items()
    }
    return create_model(f"{name}_arguments", __base__=Arguments, **whole)


def _also(listed: Any) -> dict[str, Any]:
    """The arguments of a `**also: Unpack[...]`, with their types."""
    (typed,) = get_args(listed)
    return get_type_hints(typed, include_extras=True)


def _listed(text: str, *, of_objects: bool) -> Any:
    """JSON text as what it says, else the names between its commas; what has no commas between entries stays whole."""
    if not text.startswith(("[", "{")):
        return [text] if of_objects else [part.strip() for part in text.split(",")]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def output_schema(function: Callable[..., Awaitable[Any]]) -> Schema:
    """The keys that the function's answer always has. Their types are plain when seen, and the list of tools is read by
    a model at every turn."""
    whole = TypeAdapter(get_type_hints(function, include_extras=True)["return"]).json_schema()
    return {"type": "object", "required": whole["required"]}


def compact(schema: Any, is_names: bool = False) -> Any:
    """The schema without what tells nothing: titles, JSON Schema's own defaults, null for an argument left out."""
    if isinstance(schema, list):
        return [compact(part) for part in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    whole = cast(Schema, schema)
    if is_names:
        return {name: compact(part) for name, part in whole.items()}
    kept = {
        key: compact(part, is_names=key in {"properties", "$defs"})
        for key, part in whole.items()
        if key != "title" and (key, part) not in (("default", None), ("additionalProperties", True))
    }
    return _without_null(kept) if "default" in whole else kept


ALSO = "also"
"""Names the arguments that a tool takes without spelling them out, as another tool does: `**also`."""
UNTOLD = frozenset({"maxLength", "minLength", "maxItems"})
"""Limits that no sane call meets: enforced and told when they are broken, but not read by a model at every turn."""
BEYOND = 1_000_000
"""A maximum above this tells nothing either."""


def brief(schema: Any, is_names: bool = False) -> Any:
    """The schema with what a caller has to know."""
    if not isinstance(schema, dict):
        return schema
    whole = cast(Schema, schema)
    if is_names:
        return {name: brief(part) for name, part in whole.items()}
    return {
        key: brief(part, is_names=key == "properties")
        for key, part in whole.items()
        if key not in UNTOLD and not (key == "maximum" and part > BEYOND) and (key != "type" or "enum" not in whole)
    }


def _without_null(schema: Schema) -> Schema:
    branches = [branch for branch in schema.get("anyOf", []) if branch != {"type": "null"}]
    if len(branches) != 1:
        return schema
    return {key: part for key, part in schema.items() if key != "anyOf"} | branches[0]


def in_words(schema: Schema) -> str:
    """What a property allows: "a whole number from 64 to 4096 and a multiple of 8"."""
    if "enum" in schema:
        return f"one of {', '.join(str(value) for value in schema['enum'])}"
    kind = (
        "a list of objects" if schema.get("items", {}).get("type") == "object" else _KINDS.get(str(schema.get("type")))
    )
    return f"{kind or 'of the right type'}{_bounds(schema)}"


_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list of names",
}


def _bounds(schema: Schema) -> str:
    parts: list[str] = []
    if "minimum" in schema and "maximum" in schema:
        parts.append(f" from {_plain(schema['minimum'])} to {_plain(schema['maximum'])}")
    if "exclusiveMinimum" in schema:
        parts.append(f" above {schema['exclusiveMinimum']}, at most {_plain(schema['maximum'])}")
    if "multipleOf" in schema:
        parts.append(f" and a multiple of {schema['multipleOf']}")
    if "maxLength" in schema:
        parts.append(f" of {schema.get('minLength', 0)} to {schema['maxLength']} characters")
    if "maxItems" in schema:
        parts.append(f", at most {schema['maxItems']}")
    if schema.get("format") == "date-time":
        parts.append(" such as 2026-01-31T12:00:00Z")
    return "".join(parts)


def _plain(number: float) -> str:
    """Without the fraction that a whole number does not need."""
    return str(int(number)) if number == int(number) else str(number)


def _default(parameter: inspect.Parameter) -> Any:
    return ... if parameter.default is inspect.Parameter.empty else parameter.default


def unknown_argument(name: str, known: list[str]) -> str:
    """What is said of an argument that there is not."""
    near = nearest(name[:MAX_NAME], known)
    meant = f"Did you mean {', '.join(near)}?" if near else f"The arguments are: {', '.join(known) or 'none'}."
    return f"There is no argument {name[:MAX_NAME]!r}. {meant}"


def _bad_text(value: Any) -> str | None:
    """What is wrong with characters that no prompt, name or path needs and that storage cannot keep."""
    for text in _texts(value):
        if "\x00" in text:
            return "must not contain NUL characters"
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            return "must be valid Unicode text"
    return None


def _texts(value: Any) -> Iterator[str]:
    """Every text within the value, the names of keys included; not by recursion, so that no depth is too much."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            pending += [side for pair in cast(dict[Any, Any], part).items() for side in pair]
        elif isinstance(part, list):
            pending += cast(list[Any], part)


def _told(faults: list[str]) -> str:
    more = len(faults) - MAX_FAULTS
    return "\n".join(faults[:MAX_FAULTS] + ([f"... and {more} more."] if more > 0 else []))
