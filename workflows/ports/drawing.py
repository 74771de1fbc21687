"""Who draws, judges and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from workflows.types import (
    Artifact,
    DraftedGraph,
    EngineStatus,
    FamilyProfile,
    Media,
    Message,
    ModelInfo,
    Problem,
    Recipe,
    RenderStep,
    TemplateInfo,
    Ticket,
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
        """Why this engine will not take the recipe, or None when it will.

        Raises AccessDenied where the recipe names this engine, and its key is not set.
        """
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
