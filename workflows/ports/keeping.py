"""Where pictures, jobs and what is known of them are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from workflows.types import (
    Call,
    Conversation,
    Facets,
    HistoryEntry,
    HistoryPage,
    HistoryQuery,
    Item,
    ItemQuery,
    Job,
    Location,
    Media,
    Message,
    ModelRow,
    Page,
    Preset,
    Refinement,
    RunStats,
    ServiceStats,
    TrackRecord,
)


class Store(Protocol):
    """Where the bytes of pictures lie. `put` is atomic: a key is there whole or not at all."""

    async def put(self, key: str, media: Media) -> None: ...

    async def get(self, key: str) -> Media:
        """Raises NotFound."""
        ...

    async def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""
        ...

    async def locate(self, key: str) -> Location: ...

    async def keys(self, prefix: str) -> Sequence[str]: ...


class Jobs(Protocol):
    """The durable list of jobs. Only the holder of a job's token may write its result."""

    async def add(self, job: Job) -> str:
        """Write a new job down; the answer is the token of its first run, as from `claim`."""
        ...

    async def claim(self, job_id: str) -> str:
        """Take the job for one run: a fresh token, which makes every earlier token worthless."""
        ...

    async def save(self, job: Job, token: str, items: Sequence[Item] = ()) -> bool:
        """Write the job and its new items in one transaction; False when the token is no longer the holder's."""
        ...

    async def get(self, job_id: str) -> Job | None: ...

    async def recent(self, limit: int, states: Sequence[str] = ()) -> Sequence[Job]:
        """Newest first; only those in the given states when any are given."""
        ...


class Items(Protocol):
    """The rows of the gallery."""

    async def get(self, name: str) -> Item | None:
        """By id, or by the file name or key that it is stored under."""
        ...

    async def search(self, query: ItemQuery) -> Page: ...

    async def children(self, item_id: str) -> Sequence[Item]:
        """What was made from it, newest first, the trash apart."""
        ...

    async def of_job(self, job_id: str) -> Sequence[Item]:
        """What one job filed, oldest first, the trash included."""
        ...

    async def facets(self) -> Facets: ...

    async def version(self) -> int:
        """A number that grows with every change to the gallery, whichever process makes it: cheap to ask for."""
        ...


class Filing(Protocol):
    """What changes the rows of the gallery besides jobs. Raises StorageError."""

    async def add(self, items: Sequence[Item]) -> None:
        """File pictures that no job made, all or none."""
        ...

    async def change(self, item_id: str, change: Callable[[Item], Item]) -> Item | None:
        """Write what `change` makes of the row, in one transaction (tags, favourite, deleted); None: no such row.

        `change` is pure and may be called again; what it raises is raised, and nothing is written.
        """
        ...

    async def remove(self, item_id: str) -> bool:
        """Drop the row with all that hangs on it; False when there was none."""
        ...

    async def trashed(self, before: datetime, limit: int) -> Sequence[Item]:
        """What went to the trash before that moment, oldest first."""
        ...


class Likenesses(Protocol):
    """Embeddings and fingerprints of the gallery's pictures. A vector is float16, little-endian, of length 1."""

    async def missing(self, model: str, limit: int) -> Sequence[Item]:
        """Pictures without a vector of this model, newest first, the trash apart."""
        ...

    async def keep(self, model: str, vectors: Mapping[str, bytes]) -> None:
        """By item id; ids that are gone are passed over."""
        ...

    async def vector(self, model: str, item_id: str) -> bytes | None: ...

    async def near(self, model: str, vector: bytes, limit: int) -> Sequence[tuple[str, float]]:
        """(item id, cosine similarity), most alike first, the trash apart."""
        ...

    async def twins(self, distance: int, limit: int) -> Sequence[Sequence[str]]:
        """Groups of item ids, newest first, whose fingerprints differ from the group's first in at most that many
        bits."""
        ...


class History(Protocol):
    """The ledger's table of prompts that were written. Raises StorageError."""

    async def add(self, entry: HistoryEntry) -> None: ...

    async def search(self, query: HistoryQuery) -> HistoryPage:
        """Newest first; every word of the query in input, output, negative, presets or model. Raises BadRecipe
        (cursor)."""
        ...

    async def get(self, entry_id: str) -> HistoryEntry | None: ...

    async def remove(self, entry_id: str) -> bool:
        """Whether there was one."""
        ...


class Conversations(Protocol):
    """The ledger's conversations. Raises StorageError."""

    async def get(self, conversation_id: str) -> Conversation | None:
        """With its last messages."""
        ...

    async def save(self, conversation: Conversation, said: Sequence[Message], turn: int) -> bool:
        """Write the conversation's fields and append these messages, in one transaction; made when it is new.

        False, and nothing is written, when another process has added to it meanwhile: `turn` is how many turns the
        caller knew of.
        """
        ...

    async def reset(self, conversation_id: str) -> bool:
        """Forget its messages, words and prompt, and keep its id; whether there was one."""
        ...

    async def recent(self, limit: int) -> Sequence[Conversation]:
        """Newest first, without their messages."""
        ...


class OwnPresets(Protocol):
    """The user's own flat presets in the ledger. Raises StorageError."""

    async def all(self) -> Sequence[Preset]:
        """In the order in which they were made; cheap when nothing changed."""
        ...

    async def put(self, preset: Preset) -> None:
        """Written, or written over, by kind and id."""
        ...

    async def remove(self, kind: str, preset_id: str) -> bool: ...


class ModelRows(Protocol):
    """The ledger's table of weight files. Raises StorageError."""

    async def all(self) -> Sequence[ModelRow]: ...

    async def replace(self, changed: Sequence[ModelRow], gone: Sequence[str]) -> None:
        """Write rows (by path; the corrections that are there stay) and forget paths, in one transaction."""
        ...

    async def correct(self, path: str, corrections: Mapping[str, str]) -> ModelRow | None:
        """Set (or with "" remove) corrections; None when the path is not there."""
        ...

    async def records(self) -> Mapping[str, TrackRecord]:
        """What the judges said of the pictures in the gallery, by casefolded model name as the engines told it."""
        ...


class Refinements(Protocol):
    """The ledger's refinements, with their prompts, rounds and evaluations. Raises StorageError."""

    async def save(self, refinement: Refinement) -> None:
        """Write it whole, new or known by its id, in one transaction; earlier versions of a brief's prompt stay."""
        ...

    async def get(self, refinement_id: str) -> Refinement | None: ...

    async def of_run(self, run_id: str) -> Sequence[Refinement]:
        """Those of a batch, in the order in which they were added."""
        ...

    async def recent(self, limit: int, states: Sequence[str] = ()) -> Sequence[Refinement]:
        """Newest first; only those in the given states when any are given."""
        ...


class Calls(Protocol):
    """The ledger's record of requests to services. `record` never waits and never raises: a ledger that cannot be
    written harms no call."""

    def record(self, call: Call) -> None: ...

    async def stats(self, since: datetime | None = None, run_id: str = "") -> Sequence[ServiceStats]:
        """By service, operation and model, most calls first. Raises StorageError, as the others do."""
        ...

    async def failures(self, limit: int, since: datetime | None = None) -> Sequence[Call]:
        """Newest first."""
        ...

    async def runs(self, limit: int) -> Sequence[RunStats]:
        """Batches, newest first."""
        ...

    async def prune(self, before: datetime) -> int:
        """Forget failed calls from before that moment; how many there were."""
        ...


class Recorder(Protocol):
    """Writes jobs down in a log of experiments. Never waits, never raises: a log that is down harms no job."""

    def record(self, job: Job, pictures: Mapping[str, Media]) -> None:
        """A job that has ended, with its filed pictures by their item ids."""
        ...
