"""What the core needs from outside. Adapters do not inherit these; the type checker holds them to it in wiring.

Each port promises one family of errors: engines raise EngineError (and ExtraMissing), stores and the ledger
StorageError, judges none but ExtraMissing and ServiceError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from workflows.types import (
    Artifact,
    Call,
    Conversation,
    DraftedGraph,
    EngineStatus,
    Facets,
    FamilyProfile,
    FoundModel,
    HistoryEntry,
    HistoryPage,
    HistoryQuery,
    Item,
    ItemQuery,
    Job,
    Location,
    Media,
    Message,
    ModelInfo,
    ModelQuery,
    ModelRow,
    Offer,
    Page,
    Preset,
    Problem,
    Recipe,
    Refinement,
    RenderStep,
    RunStats,
    Scanned,
    ServiceStats,
    TemplateInfo,
    Ticket,
    TrackRecord,
    Verdict,
)

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory

Report = Callable[[RenderStep], None]
"""Called on the event loop as a render goes on."""


class Engine(Protocol):
    """Something that draws. Cancelling the task that awaits `render` is the cancel.

    An engine that cannot stop at once says so in the CancelledError that it lets go on; the user is told.
    """

    @property
    def name(self) -> str: ...

    async def refusal(self, recipe: Recipe) -> str | None:
        """Why this engine will not take the recipe, or None when it will."""
        ...

    async def profile(self, recipe: Recipe) -> FamilyProfile:
        """What the model that would draw this recipe needs."""
        ...

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        """Draw a completed recipe (steps, cfg and seed set; size too unless the task keeps the source's).

        `count` above 1 asks for that many at once, from following seeds; an engine gives as many as fit its memory or
        its ways, at least one, each with the seed (and the place in its batch, facts["batch_index"]) that makes it
        again alone.

        `inputs` holds the recipe's pictures by role (Recipe.pictures). For inpaint and outpaint source and mask have
        the recipe's size, and the core pastes what comes back into the original.
        """
        ...

    async def models(self, kind: str = "all") -> Sequence[ModelInfo]: ...

    async def status(self) -> EngineStatus: ...


class Graphs(Protocol):
    """What an engine that runs graphs can tell of them, without running any."""

    async def templates(self) -> Sequence[TemplateInfo]: ...

    async def draft(self, recipe: Recipe) -> DraftedGraph:
        """The graph that this recipe would become. Raises what a render would be refused with."""
        ...

    async def problems(self, graph: Mapping[str, object]) -> Sequence[Problem]:
        """What a server would say against a graph in API format; empty when it would take it."""
        ...

    async def find_mask(self, source: Media, words: str) -> Media:
        """The mask (white where it is) of what the words name in the picture; all black when there is no such thing."""
        ...


class Workshop(Protocol):
    """What servers that run graphs know and keep, for graphs that are not ours. Raises EngineUnavailable."""

    async def inventories(self) -> Sequence[Inventory]:
        """Node classes and files of every server that answers, at least one."""
        ...

    async def saved(self) -> Sequence[str]:
        """Names of the workflows in the editor's own library (ComfyUI's user data), each once."""
        ...

    async def saved_workflow(self, name: str) -> Mapping[str, object]:
        """One of them, as the editor wrote it. Raises NotFound."""
        ...


class Judge(Protocol):
    """One kind of check. `recipe` is the user's own, never the reworded one."""

    @property
    def name(self) -> str: ...

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        """A verdict for each picture, in their order; they are candidates for the same wish.

        Off the event loop. What it cannot judge it says in a verdict (`passed` None), and raises nothing.
        """
        ...


class VisionModel(Protocol):
    """A model that looks at pictures. Raises ServiceError, ExtraMissing."""

    @property
    def name(self) -> str: ...

    async def answer(self, picture: Media, questions: Sequence[str]) -> Sequence[str]:
        """A short answer to each question, in their order."""
        ...

    async def describe(self, picture: Media) -> str:
        """What the picture shows, in a few sentences."""
        ...


class TextModel(Protocol):
    """A language model that reads and writes words. Raises ServiceError, ExtraMissing."""

    @property
    def name(self) -> str: ...

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        """Its reply to the prompt; with a JSON schema the reply is JSON text that is meant to fit it, unchecked."""
        ...


class ChatModel(TextModel, Protocol):
    """A TextModel that also holds conversations and can be listened to while it writes.

    Raises besides ServiceError: ServiceUnavailable (nobody answers), ServiceTimedOut, ModelMissing, ServiceFailed (an
    error of the API, a reply that broke off or is none), RateLimited, AccessDenied; ExtraMissing.
    """

    async def chat(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listener: Callable[[str], None] | None = None,
    ) -> str:
        """Its reply to a conversation, a system message first where there is one; as `complete` otherwise.

        `listener` hears the reply piece by piece as it is written, thoughts included, on the event loop; a reply that
        breaks off after its first piece is not asked for again.
        """
        ...

    async def installed(self) -> Sequence[str]:
        """The names of the models that could be asked there. Raises ServiceError."""
        ...


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


class Embedder(Protocol):
    """Turns pictures into vectors that lie near each other when the pictures are alike. Raises ExtraMissing."""

    @property
    def name(self) -> str:
        """Of the model and its weights: vectors of two names cannot be compared."""
        ...

    async def embed(self, pictures: Sequence[Media]) -> Sequence[bytes]:
        """A vector for each, as Likenesses keeps them. Off the event loop."""
        ...


class Signer(Protocol):
    """Signs a finished file with a certificate (C2PA). Blocking."""

    def sign(self, media: Media, source_type: str, title: str) -> Media:
        """The same picture with a signed manifest in it. `source_type`: an IPTC digital source type's URI."""
        ...


SourceKind = Literal["image", "video", "any"]


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
