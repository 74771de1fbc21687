"""What can be picked to go with a prompt: styles, artists, compositions, lightings, categories, options and packs.

They are JSON files here and in the user's own folders, read again when they change. What becomes of a preset's words
in a prompt is for `workflows.prompts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path
from threading import Lock

from workflows.presets.own import acceptable, sheet_of_own
from workflows.presets.sheet import Limb, merged_groups, merged_limbs, merged_packs, merged_presets, sheet_of
from workflows.presets.shelf import KINDS, Shelf
from workflows.presets.tree import category_node
from workflows.presets.watching import Folder
from workflows.types import OptionGroup, Pack, Preset

__all__ = ["Presets", "Shelf", "acceptable"]


class Presets:
    """Our presets and those of the user's folders, as the files are now. Safe to use from several threads.

    `folders`: the user's own, a later one above an earlier one; one that is missing is empty. `adult`: whether the
    owner of the server allows adult presets, else they are not there at all.
    """

    def __init__(self, folders: Sequence[Path] = (), *, adult: bool = False) -> None:
        self._adult = adult
        ours = Path(str(resources.files("workflows.presets")))
        self._folders = [self._folder(ours, own=False), *(self._folder(path, own=True) for path in folders)]
        self._lock = Lock()
        self._shelf: Shelf | None = None
        self._own: tuple[Preset, ...] = ()

    def shelf(self, own: Sequence[Preset] = ()) -> Shelf:
        """Everything there is now; `own`, the user's from the ledger, above all files. It raises nothing: what is
        broken is in the shelf's `faults`.

        It blocks: every call looks at the files' times, and reads those that changed.
        """
        with self._lock:
            changed = [folder.look() for folder in self._folders]
            if self._shelf is None or any(changed) or self._own != tuple(own):
                self._own = tuple(own)
                self._shelf = self._made()
            return self._shelf

    def _folder(self, path: Path, *, own: bool) -> Folder:
        return Folder(path, partial(sheet_of, own=own, adult=self._adult))

    def _made(self) -> Shelf:
        flat: tuple[Preset, ...] = ()
        limbs: tuple[Limb, ...] = ()
        universal: tuple[OptionGroup, ...] = ()
        packs: tuple[Pack, ...] = ()
        own = sheet_of_own(self._own, adult=self._adult)
        for sheet in [*(sheet for folder in self._folders for sheet in folder.sheets), own]:
            flat = merged_presets(flat, sheet.flat)
            limbs = merged_limbs(limbs, sheet.categories)
            universal = merged_groups(universal, sheet.universal)
            packs = merged_packs(packs, sheet.packs)
        shelf = Shelf(
            flat={kind: tuple(preset for preset in flat if preset.kind == kind) for kind in KINDS},
            categories=tuple(category_node(limb) for limb in limbs),
            universal=universal,
            faults=(*(fault for folder in self._folders for fault in folder.faults), *own.faults),
        )
        return _with_packs(shelf, packs)


def _with_packs(shelf: Shelf, packs: Iterable[Pack]) -> Shelf:
    """The shelf with those packs of which everything is there."""
    missing = {pack.id: [one for one in pack.presets if not shelf.has(one)] for pack in packs}
    faults = [f"pack {name} is left out: there is no preset {gone[0]}" for name, gone in missing.items() if gone]
    whole = tuple(pack for pack in packs if not missing[pack.id])
    return replace(shelf, packs=whole, faults=(*shelf.faults, *faults))
