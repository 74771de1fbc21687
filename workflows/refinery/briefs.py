"""Briefs: the prompts of a batch, from JSON or YAML, with every fault named by its place. Nothing is drawn here.

The form is in prompts.schema.json (JSON Schema, draft 2020-12); options are read by the code that reads the arguments
of generate_image. YAML is data alone: no tag makes an object, and aliases cannot blow a file up.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from utils.small_files import read_small
from workflows.errors import BadRecipe
from workflows.refinery.places import Places, json_places, yaml_places
from workflows.refinery.wishes import checked
from workflows.types import Brief

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

MOST_BYTES = 8 << 20
MOST_TOLD = 50
"""Faults that are told of one file."""
SCHEMA = Path(__file__).with_name("prompts.schema.json")

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong at one place: `prompts[3].options.steps`, and its line, from 1, if that is known."""

    place: str
    what: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.place}{f' (line {self.line})' if self.line else ''}: {self.what}"


class BadBriefs(BadRecipe):
    """A file of prompts that cannot be used; `faults` are all that were found, in the order of the file."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        count = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
        shown = "\n".join(f"  {fault}" for fault in faults[:MOST_TOLD])
        more = f"\n  and {len(faults) - MOST_TOLD} more" if len(faults) > MOST_TOLD else ""
        super().__init__("prompts", name, f"it has {count}:\n{shown}{more}\nMend the file and run it again")


def read_briefs(path: Path) -> tuple[Brief, ...]:
    """The briefs of a file, .yaml and .yml as YAML, all else as JSON. Blocking. Raises BadBriefs, BadRecipe."""
    try:
        raw = read_small(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BadRecipe("input_file", str(path), f"it cannot be read: {why}") from error
    return briefs_of(raw, path.name)


def briefs_of(raw: bytes, name: str) -> tuple[Brief, ...]:
    """As `read_briefs`, from the bytes of a file of that name."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadBriefs(name, [Fault(place=name, what=f"it is no UTF-8 text (byte {error.start})")]) from error
    try:
        as_yaml = name.lower().endswith((".yaml", ".yml"))
        value, places = yaml_places(text) if as_yaml else json_places(text)
    except ValueError as error:
        raise BadBriefs(name, [Fault(place=name, what=str(error))]) from error
    faults = list(_faults_of_form(value, places))
    if not faults:
        briefs, faults = _briefs(value, places)
        if not faults:
            return briefs
    raise BadBriefs(name, sorted(faults, key=lambda fault: fault.line or 0))


# The form


@lru_cache(maxsize=1)
def schema() -> Mapping[str, Any]:
    """The JSON Schema of a file of prompts."""
    return cast(Mapping[str, Any], json.loads(SCHEMA.read_text(encoding="utf-8")))


def _faults_of_form(value: object, places: Places) -> Iterator[Fault]:
    from jsonschema import Draft202012Validator

    form = schema()
    wanted = form["oneOf"][0 if isinstance(value, list) else 1]  # a fault is told of the form that was meant
    if not isinstance(value, list | dict):
        yield Fault(place="prompts", what="it is a list of prompts, or an object with such a list under 'prompts'")
        return
    validator = Draft202012Validator({**wanted, "$defs": form["$defs"]})
    for error in validator.iter_errors(cast(Any, value)):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        yield from _told(cast("ValidationError", error), isinstance(value, list), places)


def _told(error: ValidationError, bare: bool, places: Places) -> Iterator[Fault]:
    where = tuple(error.absolute_path)
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        known = list(cast(Mapping[str, Any], error.schema)["properties"])
        for name in instance:
            if name not in known:
                what = f"there is no such field; the fields are {', '.join(one for one in known if one[0] != '$')}"
                yield _fault((*where, name), what, bare, places)
        return
    yield _fault(where, _what(error), bare, places)


def _what(error: ValidationError) -> str:
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            return f"{_shown(error.instance)} is not of type {limit}"
        case "anyOf":
            return "it needs a prompt, or a scene"
        case "required":
            return error.message
        case "maxLength":
            return f"it has {len(cast(str, error.instance))} characters, and may have {limit}"
        case "minItems":
            return "the list is empty"
        case "pattern" if error.schema.get("maxLength"):  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
            return "it may not hold the character U+0000"
        case "pattern":
            return (
                f"{_shown(error.instance)} cannot be a folder's name: letters, digits, dots, dashes and underscores, "
                "a letter or digit first, at most 100"
            )
        case _:
            return error.message[:200]


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fault(where: Path_, what: str, bare: bool, places: Places) -> Fault:
    return Fault(place=place_of(("prompts", *where) if bare else where), what=what, line=places.line(where))


def place_of(where: Path_) -> str:
    """("prompts", 3, "options", "steps") -> prompts[3].options.steps, counted from 0 as in the file's own list."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.removeprefix(".") or "the file"


# What it says


def _briefs(value: object, places: Places) -> tuple[tuple[Brief, ...], list[Fault]]:
    bare = isinstance(value, list)
    whole = cast(Mapping[str, Any], value)
    entries = cast(list[dict[str, Any]], value if bare else whole["prompts"])
    defaults: Mapping[str, Any] = {} if bare else whole.get("defaults", {})
    before: Path_ = () if bare else ("prompts",)
    briefs, faults, taken = list[Brief](), list[Fault](), dict[str, int]()
    explicit = {str(entry["id"]).casefold() for entry in entries if entry.get("id")}
    for number, entry in enumerate(entries):
        name = str(entry.get("id") or _own_id(entry, {*explicit, *taken}))
        first = taken.setdefault(name.casefold(), number)
        if first != number:
            what = f"{name!r} is the id of prompts[{first}] already; ids are told apart whatever their case"
            faults.append(_fault((*before, number, "id"), what, bare, places))
            continue
        try:
            options = {**defaults, **entry.get("options", {})}
            briefs.append(checked(Brief.checked(**{**entry, "id": name, "options": options})))
        except BadRecipe as error:
            where, what = _of_entry(error, entry)
            faults.append(_fault((*before, number, *where), what, bare, places))
    return tuple(briefs), faults


def _of_entry(error: BadRecipe, entry: Mapping[str, Any]) -> tuple[Path_, str]:
    """Where in the entry the fault lies: in a field of its own, or in an option by the option's name."""
    said = str(error)
    named = error.argument
    if named == "options":
        value = re.match(r"options cannot be '([^']*)'", said)
        return ("options", value[1] if value else ""), f"there is no such argument; {error.allowed}"
    if named in Brief.model_fields:
        return (named,), said
    field, _, number = named.rpartition(" ")
    if number.isdigit():  # "strength of lora 2"
        part, _, kind = field.rpartition(" of ")
        names = {"lora": "loras"}
        return ("options", names.get(kind, kind), int(number) - 1, *([part] if part else [])), said
    aliases = {"acceptance.positive_threshold": "positive_threshold", "negative": "negative_prompt"}
    return ("options", aliases.get(named, named)), said


def _own_id(entry: Mapping[str, Any], taken: set[str]) -> str:
    """From the title; without one from the words themselves, so that the same prompt has the same id in the next
    file."""
    words = str(entry.get("prompt") or entry.get("scene") or "")
    digest = hashlib.sha256(words.encode()).hexdigest()[:8]
    plain = unicodedata.normalize("NFKD", str(entry.get("title", ""))).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80] or f"prompt-{digest}"
    if name in taken:
        name = f"{name}-{digest}"
    number = 2
    while name in taken:
        name, number = f"{name.removesuffix(f'-{number - 1}')}-{number}", number + 1
    return name
