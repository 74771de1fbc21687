"""The user's own presets as the ledger keeps them: what may be one, and the sheet that they make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from pydantic import ValidationError

from workflows.errors import BadRecipe, Refused, StudioError
from workflows.presets.files import FlatEntry, why
from workflows.presets.sheet import Sheet, forbidden, left_out, marked
from workflows.types import FlatKind, Preset

KINDS: tuple[FlatKind, ...] = get_args(FlatKind)
PARTS = tuple(FlatEntry.model_fields)


def acceptable(preset: Preset, *, adult: bool = False) -> Preset:
    """The user's preset as it may be kept: with its path, and marked as what it is. It takes no more than a file does.

    Raises BadRecipe, and Refused where the content rules say no. `adult`: whether the owner of the server allows adult
    presets.
    """
    if preset.kind not in KINDS:
        raise BadRecipe("kind", preset.kind, f"it is {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if preset.adult and not adult:
        raise BadRecipe("adult", True, "adult presets are switched off on this server")
    try:
        FlatEntry.model_validate({name: getattr(preset, name) for name in PARTS})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise BadRecipe(str(fault["loc"][0]), fault["input"], why(dict(fault))) from error
    if found := forbidden(preset, adult=adult):
        raise Refused(found.text, found.rule)
    return marked(preset).model_copy(update={"path": f"{preset.kind}:{preset.id}"})


def sheet_of_own(presets: Iterable[Preset], *, adult: bool) -> Sheet:
    """What the ledger's presets add: adult ones are passed over where they are not allowed, others that cannot be used
    are named."""
    kept: list[Preset] = []
    faults: list[str] = []
    for preset in presets:
        if preset.adult and not adult:
            continue
        try:
            kept.append(acceptable(preset, adult=adult))
        except StudioError as error:
            faults.append(left_out(preset, str(error)))
    return Sheet(flat=tuple(kept), faults=tuple(faults))
