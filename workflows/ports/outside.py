"""What comes in from outside: models, input files, other processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from workflows.types import (
    FoundModel,
    Media,
    ModelInfo,
    ModelQuery,
    Offer,
    Scanned,
)

SourceKind = Literal["image", "video", "any"]


class ModelFiles(Protocol):
    """The weight files on this machine, indexed. Raises StorageError."""

    async def all(self) -> Sequence[ModelInfo]:
        """Every file, with the owner's corrections; reads what changed since the last look, at most every few
        seconds."""
        ...

    async def scan(self, report: Callable[[int, int], None] | None = None, *, anew: bool = False) -> Scanned:
        """Look at every folder now; `report` hears (files read, files to read). `anew`: read unchanged files too."""
        ...

    async def correct(self, path: str, corrections: Mapping[str, str]) -> ModelInfo:
        """Put the owner's word above what was read (see ModelRow.corrections); "" takes a correction back.

        Raises NotFound.
        """
        ...

    def folder_for(self, kind: str, destination: str = "auto") -> str:
        """The folder on this machine where a file of that kind belongs; `destination`: auto, or one of the model
        roots by its path. Raises BadRecipe for a place outside of them."""
        ...


class ModelSource(Protocol):
    """A catalogue of the world. Raises ServiceError, NotFound, BadRecipe."""

    @property
    def name(self) -> str: ...

    async def search(self, query: ModelQuery) -> Sequence[FoundModel]: ...

    async def offer(self, reference: str, version: str | None = None) -> Offer:
        """The file that a reference of this source means: the primary safetensors file unless it names one."""
        ...

    async def headers(self, offer: Offer) -> Mapping[str, str]:
        """HTTP headers for fetching it (a token); never sent on to another host."""
        ...


class Sources(Protocol):
    """Input files by reference: gallery ids are resolved by the studio, everything else here."""

    async def open(self, reference: str, kind: SourceKind = "image") -> Media:
        """A path below an allowed root, an https URL or a data URI, as it is: a whole PNG, JPEG or WebP; a video (MP4,
        WebM, GIF) for "video"; for "any" these, sounds and JSON, by their content and never by their name.

        Raises BadRecipe for what may not be read, ServiceError when a URL does not answer.
        """
        ...


class Presence(Protocol):
    """Which processes are alive, so that a job of a dead one can be told from a job of a neighbour."""

    @property
    def owner(self) -> str:
        """The name of this process, written into the jobs it runs."""
        ...

    async def alive(self, owner: str) -> bool: ...
