"""Words: presets and what is picked of them, written prompts and why they read as they do, conversations, history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from workflows.types.recipe import MAX_PROMPT, Prompt
from workflows.types.values import Value, new_id, now

FlatKind = Literal["style", "artist", "composition", "lighting"]
PresetKind = Literal["style", "artist", "composition", "lighting", "category", "type", "option"]
Mode = Literal["build", "oneshot", "chat"]
Role = Literal["system", "user", "assistant"]

ID = r"^[a-z0-9][a-z0-9-]{0,59}$"
MAX_DESCRIPTORS = 1000
MAX_MESSAGE = 8000
"""Characters of one message of a conversation."""
LAST_MESSAGES = 20
"""Of a conversation, those that a language model is shown besides the system prompt."""


class Preset(Value):
    """One thing to pick: what it adds to a prompt, and what it rules out.

    `id` is unique among its siblings; `path` is its whole address, such as style:cinematic,
    photography/portrait/irving-penn or mood:epic.
    """

    id: str = Field(pattern=ID)
    name: str = Field(min_length=1, max_length=80)
    kind: PresetKind
    path: str = ""
    text: str = Field(default="", max_length=MAX_DESCRIPTORS)
    """Descriptors with commas, which every model understands: no names of artists, no quality words, no weights."""
    negative: str = Field(default="", max_length=MAX_DESCRIPTORS)
    hint: str = Field(default="", max_length=60)
    """The style that a model is chosen by: realistic, anime, artistic, 3d, illustration, pixel art; "": any."""
    artist: str = Field(default="", max_length=80)
    """The name that models which know artists may be told; "" for living artists: their look goes by descriptors."""
    dates: str = Field(default="", max_length=40)
    adult: bool = False
    own: bool = False
    """The user's, from the ledger or from ATELIER_PRESETS; the former can be removed."""


class OptionGroup(Value):
    """Options of one question, such as mood; each is a preset of kind option."""

    id: str = Field(pattern=ID)
    name: str = Field(min_length=1, max_length=80)
    several: bool = False
    """More than one may be picked."""
    options: tuple[Preset, ...]


class ArtistNode(Value):
    """Level 3: an artist of a type, with the technical options (level 4) and scene specifics (level 5) there are."""

    preset: Preset
    technical: tuple[OptionGroup, ...] = ()
    specifics: tuple[OptionGroup, ...] = ()


class TypeNode(Value):
    """Level 2: a type of a category."""

    preset: Preset
    artists: tuple[ArtistNode, ...]


class CategoryNode(Value):
    """Level 1."""

    preset: Preset
    types: tuple[TypeNode, ...]


class Pack(Value):
    """A quick start: several presets that go together, by their paths."""

    id: str = Field(pattern=ID)
    name: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=300)
    presets: tuple[str, ...] = Field(min_length=1, max_length=20)
    adult: bool = False


class Wish(Value):
    """What somebody wants to see: their own words, and what they picked."""

    words: Prompt
    """The user's own; judges score the picture by them."""
    negative: Prompt = ""
    presets: tuple[Preset, ...] = Field(default=(), max_length=40)
    style: str = Field(default="", max_length=60)
    """realistic, anime, artistic, 3d, ... where it was said."""


class Change(Value):
    """One thing that was done to the user's words, and why, in a few words each."""

    what: str
    why: str


class Written(Value):
    """A prompt as a model family wants it."""

    prompt: Prompt
    """What is drawn from: the user's words and what was added, in the family's order."""
    negative: Prompt = ""
    """Empty where the family reads none."""
    words: Prompt
    """The user's own words as they were given: what judges score."""
    added: tuple[str, ...] = ()
    """The parts of `prompt` that are not the user's."""
    changes: tuple[Change, ...] = ()
    family: str
    model: str = ""
    """The model's file, where one was named or chosen."""
    tokens: int = 0
    """Estimated; see utils.tokens."""
    budget: int | None = None
    """Tokens that the family's encoder reads well; None: no bound worth a word."""
    presets: tuple[str, ...] = ()
    """Paths of what was picked."""
    by: str = "rules"
    """Who wrote it: rules, or the language model's name."""
    notes: tuple[str, ...] = ()
    """What to know, such as why the language model did not write it."""


class Negative(Value):
    """A negative prompt for a family."""

    negative: str
    family: str
    used: bool
    """False: the family reads none, and `negative` is empty."""
    why: str


class PromptReport(Value):
    """What a prompt says, and what could be better about it for a family."""

    family: str
    subject: str = ""
    style: str = ""
    content_type: str = ""
    kind: Literal["tags", "sentences", "mixed"] = "sentences"
    has: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Phrases of the prompt by what they are about: medium, setting, composition, lighting, colour, mood, quality,
    text."""
    missing: tuple[str, ...] = ()
    """Of these, what the prompt leaves to the model."""
    problems: tuple[Change, ...] = ()
    """What is wrong for this family (`what`), and what to do (`why`)."""
    tokens: int = 0
    budget: int | None = None
    suggestions: tuple[str, ...] = ()
    """Paths of presets that would fill what is missing."""


class Message(Value):
    """One message of a conversation."""

    role: Role
    content: str = Field(max_length=MAX_PROMPT)
    created: datetime = Field(default_factory=now)


class Conversation(Value):
    """A prompt being talked over. `words` is the wish as the user's messages made it, without anything of ours."""

    id: str = Field(default_factory=new_id)
    family: str
    model: str = ""
    words: Prompt = ""
    prompt: Prompt = ""
    """As it was written last."""
    negative: Prompt = ""
    presets: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    """Without the system prompt, oldest first; the ledger gives the last LAST_MESSAGES."""
    turns: int = 0
    """Messages of the user in all."""
    created: datetime = Field(default_factory=now)
    updated: datetime = Field(default_factory=now)


class Spoken(Value):
    """One turn of a conversation, answered."""

    conversation_id: str
    written: Written
    reply: str
    """What was said to the user; the prompt itself where there is nothing else to say."""
    turn: int
    reset: str = ""
    """Why the conversation began anew, if it did: asked, or the family changed."""


class HistoryEntry(Value):
    """A prompt that was written or refined, or that could not be: then `output` is empty and `fault` says why."""

    id: str = Field(default_factory=new_id)
    created: datetime = Field(default_factory=now)
    input: Prompt
    output: Prompt = ""
    negative: Prompt = ""
    family: str = ""
    model: str = ""
    presets: tuple[str, ...] = ()
    mode: Mode = "oneshot"
    by: str = "rules"
    conversation_id: str | None = None
    fault: str = ""

    @classmethod
    def of(cls, written: Written, mode: Mode, **more: object) -> Self:
        """The entry for a prompt that was written."""
        same = {name: getattr(written, name) for name in ("negative", "family", "model", "presets", "by")}
        return cls.checked(**{"input": written.words, "output": written.prompt, "mode": mode} | same | more)


class HistoryQuery(Value):
    """A search in the history, newest first. Cursors come from a page and are opaque."""

    query: str = Field(default="", max_length=500)
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=200)


class HistoryPage(Value):
    """Some entries and, when there are more, the cursor to go on with."""

    entries: tuple[HistoryEntry, ...]
    cursor: str | None = None
    total: int
    """Entries that match; under a query exact up to 1,000."""
