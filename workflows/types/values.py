"""What every noun is made of: a frozen value with a JSON form, and bytes with their media type."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from workflows.errors import BadRecipe, allowed_by


class Value(BaseModel):
    """A frozen value that knows its fields and takes no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", defer_build=True)

    def but(self, **changes: Any) -> Self:
        """The same value with some fields changed, checked like a new one. Raises BadRecipe."""
        return self.checked(**{name: getattr(self, name) for name in type(self).model_fields} | changes)

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Build the value; the first fault becomes a BadRecipe that names the argument."""
        try:
            return cls(**values)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"]) or cls.__name__
            raise BadRecipe(where, fault.get("input"), allowed_by(fault)) from error


@dataclass(frozen=True, kw_only=True)
class Media:
    """Bytes with a media type, such as image/png."""

    data: bytes = field(repr=False)
    media_type: str


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return str(uuid4())
