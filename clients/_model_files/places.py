"""Where weight files lie on this machine: ComfyUI installations, model roots in ComfyUI's layout, given folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clients._model_files.extra_paths import ExtraFolder, extra_folders
from workflows.folders import FOLDERS, kind_of_folder, plain_folder

EXTRA_PATHS = "extra_model_paths.yaml"
DESKTOP_PATHS = "extra_models_config.yaml"
"""What ComfyUI's desktop app keeps instead, in its own settings folder."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder of weight files of one kind, with all that is below it."""

    folder: Path
    kind: str
    root: Path
    """What is missing as a whole when its disk is not there."""
    default: bool = False


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Every place, and the roots that new files may go to, the one to prefer first."""

    places: tuple[Place, ...] = ()
    roots: tuple[Path, ...] = ()
    installations: tuple[Path, ...] = ()
    """Of ComfyUI; the models of each are a root too, where files can be written there."""
    present: tuple[Path, ...] = ()
    """Folders that are there and not empty: what was known below them and is not found any more is gone."""
    searched: tuple[Path, ...] = ()
    """All that was looked for, present or not."""
    blocked: tuple[Path, ...] = ()
    """Links that lead nowhere now, so that nothing can be said of what is below them."""
    notes: tuple[str, ...] = ()


@dataclass
class _Found:
    places: dict[tuple[Path, str], Place] = field(default_factory=dict[tuple[Path, str], Place])
    searched: list[Path] = field(default_factory=list[Path])
    present: list[Path] = field(default_factory=list[Path])
    blocked: list[Path] = field(default_factory=list[Path])
    notes: list[str] = field(default_factory=list[str])

    def add(self, place: Place) -> None:
        """The same folder under another name is the same place."""
        if place.folder.is_dir():
            self.places.setdefault((place.folder.resolve(), place.kind), place)


def layout(
    roots: Sequence[Path],
    comfyui: Sequence[Path] | None,
    folders: Mapping[str, Sequence[Path]],
    home: Path | None = None,
) -> Layout:
    """Look where things are now. Blocking. `comfyui` None: in the usual places of `home` (None: this user's)."""
    found = _Found()
    roots = [root.absolute() for root in roots]
    installations = find_comfyui(comfyui, home)
    models = [installation / "models" for installation in installations]
    for root in (*models, *roots):
        _look_at(root, found)
    for installation in installations:
        _look_at_extra(installation / EXTRA_PATHS, found)
    if comfyui is None:
        for settings in desktop_settings(home or Path.home()):
            _look_at_extra(settings / DESKTOP_PATHS, found)
    for kind, given in folders.items():
        for folder in (one.absolute() for one in given):
            _add_folder(Place(folder=folder, kind=kind, root=folder), found)
    writable = [root for root in models if os.access(root, os.W_OK)]
    return Layout(
        places=tuple(found.places.values()),
        roots=tuple(dict.fromkeys([*writable, *roots])),
        installations=tuple(root.parent for root in writable),
        present=tuple(found.present),
        searched=tuple(found.searched),
        blocked=tuple(found.blocked),
        notes=tuple(found.notes),
    )


def _look_at(root: Path, found: _Found) -> None:
    found.searched.append(root)
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        found.notes.append(f"{root} cannot be looked through: {error.strerror or error}")
        return
    if entries:
        found.present.append(root)
    for entry in entries:
        kind = kind_of_folder(entry.name)
        if kind is None or kind == "other":
            continue
        if entry.is_dir():
            found.add(Place(folder=root / entry.name, kind=kind, root=root))
        elif entry.is_symlink():
            found.blocked.append(root / entry.name)


def _look_at_extra(file: Path, found: _Found) -> None:
    named, notes = extra_folders(file)
    found.notes.extend(notes)
    for extra in named:
        _add_folder(_place(extra), found)


def _place(extra: ExtraFolder) -> Place:
    kind = kind_of_folder(extra.shelf) or "other"
    return Place(folder=extra.folder, kind=kind, root=extra.folder, default=extra.default)


def _add_folder(place: Place, found: _Found) -> None:
    found.searched.append(place.folder)
    try:
        with os.scandir(place.folder) as entries:
            if any(entries):
                found.present.append(place.folder)
        found.add(place)
    except FileNotFoundError:
        return
    except OSError as error:
        found.notes.append(f"{place.folder} cannot be looked through: {error.strerror or error}")


def kind_named(name: str) -> str | None:
    """The kind that a person means by its own name or that of its folder; None for another word."""
    plain = plain_folder(name)
    return plain if plain in FOLDERS else next((kind for kind, folder in FOLDERS.items() if folder == plain), None)


# ComfyUI on this machine


def find_comfyui(search: Sequence[Path] | None = None, home: Path | None = None) -> list[Path]:
    """ComfyUI installations, each once: those that `search` names or holds, or those in the usual places.

    A path may be an installation or a folder that holds some. An empty `search` finds none.
    """
    candidates = usual_places(home or Path.home(), sys.platform, Path.cwd()) if search is None else search
    found: dict[Path, Path] = {}
    for candidate in candidates:
        for folder in _installations(candidate.expanduser().absolute()):
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def usual_places(home: Path, platform: str, current: Path) -> list[Path]:
    """Where people have ComfyUI: their own folders, the desktop app's, and the roots of machines that are rented."""
    names = ("ComfyUI", "comfyui", "ComfyUI_windows_portable/ComfyUI")
    own = [folder / name for folder in (home, home / "Documents", current) for name in names]
    if platform == "win32":
        drives = [Path(f"{drive}:/{name}") for drive in "CDE" for name in names]
        return [current, *own, *drives, home / "AppData/Local/Programs/ComfyUI"]
    rented = [Path(folder) for folder in ("/opt/ComfyUI", "/workspace/ComfyUI", "/ComfyUI")]
    return [current, *own, *rented]


def desktop_settings(home: Path) -> list[Path]:
    """The settings folder of ComfyUI's desktop app, on each platform."""
    places = ("AppData/Roaming/ComfyUI", "Library/Application Support/ComfyUI", ".config/ComfyUI")
    return [home / place for place in places]


def _installations(folder: Path) -> Iterator[Path]:
    try:
        if is_installation(folder):
            yield folder
            return
        below = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return
    yield from (folder / name for name in below if is_installation(folder / name))


def is_installation(folder: Path) -> bool:
    """models/ beside ComfyUI's own files; the desktop app keeps those elsewhere and has custom_nodes/ beside it."""
    signs = ("main.py", "comfy", "folder_paths.py", "custom_nodes")
    return (folder / "models").is_dir() and any((folder / sign).exists() for sign in signs)
