"""What is answered: the shape of every answer, from which the description is made. Keys beside these may come."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel


class Answer(BaseModel):
    """Keys without anything in them are left out, but for those that have no default."""

    model_config = ConfigDict(extra="allow")


class PresetRow(Answer):
    """One preset."""

    path: str = Field(description="What picks it, in `presets`")
    id: str
    name: str
    kind: str
    text: str
    negative: str = ""
    dates: str = ""
    adult: bool = False
    own: bool = False


class PresetsAnswer(Answer):
    """The flat presets: texts by names. "None" is no preset."""

    styles: dict[str, str]
    artists: dict[str, str]
    composition: dict[str, str]
    lighting: dict[str, str]
    own: list[PresetRow] = Field([], description="Those of them that are the user's own and can be deleted")
    faults: list[str] = Field([], description="Preset files that could not be read, each with what is wrong")


class CategoryRow(PresetRow):
    types: int = Field(description="How many it has")


class CategoriesAnswer(Answer):
    categories: list[CategoryRow]


class TypeRow(PresetRow):
    artists: int = Field(description="How many it has")


class TypesAnswer(Answer):
    category: PresetRow
    types: list[TypeRow]


class ArtistRow(PresetRow):
    technical: list[str] = Field(description="Ids of its groups of technical options")
    specifics: list[str] = Field(description="Ids of its groups of scene specifics")


class ArtistsAnswer(Answer):
    category: PresetRow
    type: PresetRow
    artists: list[ArtistRow]


class GroupRow(Answer):
    """Options of one question."""

    id: str
    name: str
    several: bool
    options: list[PresetRow]


class TechnicalAnswer(Answer):
    artist: PresetRow
    technical: list[GroupRow]


class SpecificsAnswer(Answer):
    artist: PresetRow
    specifics: list[GroupRow]


class PackRow(Answer):
    """Presets that go together; `path` among `presets` picks them all."""

    id: str
    name: str
    description: str = ""
    presets: list[str]
    path: str


class PacksAnswer(Answer):
    packs: list[PackRow]


class OptionsAnswer(Answer):
    options: list[GroupRow]


class FamilyRow(Answer):
    name: str
    title: str


class ModelsAnswer(Answer):
    models: list[str] = Field(description="Language models that could be asked")
    writer: str = Field(description="The one that is asked first, or rules")
    families: list[FamilyRow] = Field(description="Model families that prompts can be written for")


class ChangeRow(Answer):
    what: str
    why: str


class Generated(Answer):
    """A prompt."""

    result: str
    model: str = Field(description="The model it is for, by its file or else by its family")
    negative_prompt: str = Field(description="Empty where the family reads none")
    words: str = Field(description="The user's own")
    family: str
    by: str = Field(description="Who wrote it: rules, or a language model's name")
    added: list[str] = Field([], description="What in `result` is not the user's")
    changes: list[ChangeRow] = []
    tokens: int = 0
    budget: int | None = None
    presets: list[str] = []
    notes: list[str] = []


class Talked(Generated):
    """A prompt, and what was said about it."""

    conversation_id: str
    reply: str = ""
    turn: int
    reset: str = Field("", description="Why the conversation began anew, if it did")


class Token(BaseModel):
    """An event: the prompt goes on."""

    model_config = ConfigDict(extra="forbid")

    token: str


class Restart(BaseModel):
    """An event: the prompt begins anew, what came before is void."""

    model_config = ConfigDict(extra="forbid")

    restart: Literal[True]


class Done(Answer):
    """The last event, with the whole answer."""

    done: Literal[True]


class ResetAnswer(Answer):
    reset: bool = Field(description="Whether there was a conversation")
    conversation_id: str | None = None


class HistoryRow(Answer):
    """A prompt that was written, or with `fault` one that could not be."""

    id: str
    created: str
    input: str
    output: str
    mode: str
    model: str = Field(description="The model it is for, by its file or else by its family")
    negative_prompt: str = ""
    family: str = ""
    presets: list[str] = []
    by: str = ""
    conversation_id: str | None = None
    fault: str = ""


class HistoryAnswer(Answer):
    prompts: list[HistoryRow]
    total: int
    cursor: str | None = Field(None, description="For the next page, where there is one")


class Forgotten(Answer):
    deleted: HistoryRow


class PresetRemoved(Answer):
    deleted: str = Field(description="The path that it had")


class Description(RootModel[dict[str, Any]]):
    """An OpenAPI document."""
