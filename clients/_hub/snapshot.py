"""Fetching a whole pipeline with huggingface_hub's own snapshot_download, with progress and a way to stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from clients._hub.faults import hub_errors
from workflows.downloads.placing import room
from workflows.errors import StorageError

AT_ONCE = 4
"""Files that are fetched at the same time."""


class Stopped(Exception):
    """Somebody asked for the stop."""


class Meter:
    """Adds up what the library's progress bars are told, from whatever thread, and stops it through them."""

    def __init__(self, hear: Callable[[int], None]) -> None:
        self._hear = hear
        self._lock = threading.Lock()
        self._sums: dict[int, int] = {}
        self.stop = threading.Event()

    def add(self, bar: int, count: int) -> None:
        """Raises Stopped, which ends the transfer that tells of itself."""
        if self.stop.is_set():
            raise Stopped
        with self._lock:
            self._sums[bar] = self._sums.get(bar, 0) + count
            most = max(self._sums.values())  # one bar counts what came, one what was written
        self._hear(most)

    def bars(self) -> type:
        """The class that the library makes its bars of; only those that count bytes are heard."""
        meter = self

        class Bar:
            def __init__(self, *_: object, total: float | None = None, unit: str = "", **__: object) -> None:
                self.total, self.n, self.unit = total, 0, unit
                self.format_dict: dict[str, Any] = {}

            def update(self, count: float | None = 1) -> None:
                self.n += int(count or 0)
                if self.unit == "B":
                    meter.add(id(self), int(count or 0))

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def __getattr__(self, name: str) -> Callable[..., None]:
                """Whatever else a bar can do is for the eyes."""
                if name.startswith("_") or name in {"update_transfer", "get_lock", "set_lock"}:
                    raise AttributeError(name)
                return lambda *_, **__: None

        return Bar


def fetch(
    repository: str,
    revision: str,
    files: Sequence[str],
    *,
    cache: Path,
    endpoint: str,
    token: str | None,
    size: int | None,
    meter: Meter,
) -> Path:
    """Have those files in the cache; what lies there already is not fetched again. Blocking: call it from a thread.

    Raises Stopped, ServiceError, NotFound, StorageError.
    """
    import huggingface_hub

    hub: Any = huggingface_hub
    if size is not None and room(cache) < size:
        words = f"{repository} has {size / 1e9:.2f} GB, and the disk of {cache} has {room(cache) / 1e9:.2f} GB free"
        raise StorageError(f"{words}: make room, or set HF_HOME to another disk.")
    with hub_errors(repository):
        told = hub.snapshot_download(
            repository,
            revision=revision,
            cache_dir=cache,
            allow_patterns=[_literal(file) for file in files],
            endpoint=endpoint,
            token=token,
            max_workers=AT_ONCE,
            tqdm_class=meter.bars(),
        )
    return Path(told)


def _literal(path: str) -> str:
    """The pattern that this path alone fits."""
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in path)
