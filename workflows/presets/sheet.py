"""One file's presets as they are picked: made from what was read, held to the content rules, merged with others'.

It reads no file. How the levels of a category hang together is for tree.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from utils.content_validator import Finding, check_texts
from workflows.presets.files import (
    Branch,
    CategoryFile,
    FlatEntry,
    FlatFile,
    GroupEntry,
    PacksFile,
    PresetFile,
    TypeEntry,
)
from workflows.types import OptionGroup, Pack, Preset

T = TypeVar("T")

OF_BRANCH = ("id", "name", "text", "negative", "hint", "artist", "dates")
SOMEBODY = "a person"
"""Stands before a preset's words when they are judged: some rules are about people alone."""


@dataclass(frozen=True)
class Limb:
    """A category, type or artist with what hangs from it, and the options that it brings itself."""

    preset: Preset
    technical: tuple[OptionGroup, ...] = ()
    specifics: tuple[OptionGroup, ...] = ()
    limbs: tuple[Limb, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """What one file adds; `faults` names what of it was left out."""

    flat: tuple[Preset, ...] = ()
    categories: tuple[Limb, ...] = ()
    universal: tuple[OptionGroup, ...] = ()
    packs: tuple[Pack, ...] = ()
    faults: tuple[str, ...] = ()


def forbidden(preset: Preset, *, adult: bool) -> Finding | None:
    """What the content rules have against a preset, or None."""
    drawn = ", ".join(part for part in (SOMEBODY, preset.name, preset.text, preset.artist) if part)
    return check_texts(drawn, preset.negative, adult=adult)


def marked(preset: Preset) -> Preset:
    """The user's own preset, adult where it says so or the rules do."""
    adult = preset.adult or forbidden(preset, adult=False) is not None
    return preset.model_copy(update={"own": True, "adult": adult})


def sheet_of(file: PresetFile, *, own: bool, adult: bool) -> Sheet:
    """What a file adds where adult presets are shown or not. Only `own` files are held to the content rules: ours are
    when they are tested."""
    making = _Making(own, adult)
    if isinstance(file, FlatFile):
        presets = (_flat(file.kind, entry) for entry in file.presets)
        return Sheet(flat=making.kept(presets), faults=tuple(making.faults))
    if isinstance(file, CategoryFile):
        limb = making.category(file)
        return Sheet(categories=(limb,) if limb else (), faults=tuple(making.faults))
    if isinstance(file, PacksFile):
        return Sheet(packs=_packs(file, adult))
    return Sheet(universal=making.groups(file.groups), faults=tuple(making.faults))


def _flat(kind: Any, entry: FlatEntry) -> Preset:
    return Preset(kind=kind, path=f"{kind}:{entry.id}", **entry.model_dump())


def _packs(file: PacksFile, adult: bool) -> tuple[Pack, ...]:
    return tuple(Pack(**pack.model_dump()) for pack in file.packs if adult or not pack.adult)


@dataclass
class _Making:
    own: bool
    adult: bool
    all_adult: bool = False
    """Everything below an adult category is."""
    faults: list[str] = field(default_factory=list[str])

    def kept(self, presets: Iterable[Preset]) -> tuple[Preset, ...]:
        return tuple(kept for preset in presets if (kept := self.allowed(preset)))

    def allowed(self, preset: Preset) -> Preset | None:
        if preset.adult and not self.adult:
            return None
        if not self.own:
            return preset
        if found := forbidden(preset, adult=self.adult):
            self.faults.append(left_out(preset, found.text))
            return None
        return marked(preset) if self.adult else preset.model_copy(update={"own": True})

    def groups(self, entries: Sequence[GroupEntry], above: str = "") -> tuple[OptionGroup, ...]:
        """`above`: the path of the level that they belong to; none for universal ones."""
        made: list[OptionGroup] = []
        for entry in entries:
            path = f"{above}/{entry.id}/" if above else f"{entry.id}:"
            options = self.kept(
                Preset(id=one.id, name=one.name, text=one.text, kind="option", path=path + one.id, adult=self.all_adult)
                for one in entry.options
            )
            if options:
                made.append(OptionGroup(id=entry.id, name=entry.name, several=entry.several, options=options))
        return tuple(made)

    def category(self, file: CategoryFile) -> Limb | None:
        self.all_adult = file.adult
        return self.limb(file, "category", file.id)

    def limb(self, branch: Branch, kind: Any, path: str) -> Limb | None:
        same = {name: getattr(branch, name) for name in OF_BRANCH if name in type(branch).model_fields}
        address = f"category:{path}" if kind == "category" else path
        preset = self.allowed(Preset(kind=kind, path=address, adult=self.all_adult, **same))
        if preset is None:
            return None
        below, level = _below(branch)
        limbs = [self.limb(one, level, f"{path}/{one.id}") for one in below]
        technical, specifics = self.groups(branch.technical, path), self.groups(branch.specifics, path)
        return Limb(preset, technical, specifics, tuple(limb for limb in limbs if limb))


def _below(branch: Branch) -> tuple[Sequence[Branch], str]:
    if isinstance(branch, CategoryFile):
        return branch.types, "type"
    return (branch.artists, "artist") if isinstance(branch, TypeEntry) else ((), "")


def left_out(preset: Preset, why: str) -> str:
    return f"{preset.kind} {preset.id} is left out: {why}"


def merged_groups(ours: Sequence[OptionGroup], theirs: Sequence[OptionGroup]) -> tuple[OptionGroup, ...]:
    """Both, by id; in a group that both have, the later options are added and stand in for those of the same id."""
    return _merged(ours, theirs, lambda group: group.id, _merged_group)


def merged_limbs(ours: Sequence[Limb], theirs: Sequence[Limb]) -> tuple[Limb, ...]:
    """Both, by id, at every level; where the later one says nothing of a level that both have, the earlier stays."""
    return _merged(ours, theirs, lambda limb: limb.preset.id, _merged_limb)


def merged_presets(ours: Sequence[Preset], theirs: Sequence[Preset]) -> tuple[Preset, ...]:
    """Both, by kind and id; the later stands in for the earlier."""
    return _merged(ours, theirs, lambda preset: preset.path, _later)


def merged_packs(ours: Sequence[Pack], theirs: Sequence[Pack]) -> tuple[Pack, ...]:
    """Both, by id; the later stands in for the earlier."""
    return _merged(ours, theirs, lambda pack: pack.id, _later)


def _merged_group(ours: OptionGroup, theirs: OptionGroup) -> OptionGroup:
    options = _merged(ours.options, theirs.options, lambda option: option.id, _later)
    return theirs.model_copy(update={"options": options})


def _merged_limb(ours: Limb, theirs: Limb) -> Limb:
    return Limb(
        theirs.preset if theirs.preset.text else ours.preset,
        merged_groups(ours.technical, theirs.technical),
        merged_groups(ours.specifics, theirs.specifics),
        merged_limbs(ours.limbs, theirs.limbs),
    )


def _later(_: T, later: T) -> T:
    return later


def _merged(
    ours: Sequence[T], theirs: Sequence[T], key: Callable[[T], str], both: Callable[[T, T], T]
) -> tuple[T, ...]:
    if not theirs:
        return tuple(ours)
    found = {key(one): one for one in ours}
    for one in theirs:
        name = key(one)
        found[name] = both(found[name], one) if name in found else one
    return tuple(found.values())
