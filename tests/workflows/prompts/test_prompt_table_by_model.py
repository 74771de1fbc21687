"""The same prompts, written by language models that do not keep to what they were told: what holds all the same."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import pytest

from tests.workflows.prompts.table import PROMPTS
from utils.content_validator import check_texts
from utils.emphasis import emphasis
from workflows.families import family
from workflows.prompts.asking import enhance_messages
from workflows.prompts.dialects import boosters, dialect_of
from workflows.prompts.keeping import lost
from workflows.prompts.writers import Writers
from workflows.prompts.writing import MODEL, Order, Scribe, Target
from workflows.types import Message, Wish, Written

SENTENCES = ("flux-dev", "qwen-image", "z-image-turbo")
TAGS = ("sdxl", "illustrious", "pony")
SCORES = "score_9, score_8_up, score_7_up, score_6_up, score_5_up, score_4_up, "


def sloppy(words: str) -> str:
    """All that was asked for, in a form that no family wants."""
    return f"masterpiece, best quality, 8k, score_9, {words}, (soft light:1.4), soft light, highly detailed"


def forgetful(_: str) -> str:
    """Nothing of what was asked for."""
    return "Warm evening light falls softly across the whole scene, and long shadows lead into the distance."


def endless(words: str) -> str:
    return f"{words}, " + ", ".join(f"a faint glow on surface number {number}" for number in range(60))


@dataclass(frozen=True)
class Unruly:
    """The ChatModel port, whose every reply has a negative prompt and is made of the user's words."""

    words: str
    says: Callable[[str], str]
    name: str = "unruly"

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        return await self.chat([Message(role="user", content=prompt)], schema)

    async def chat(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listener: Callable[[str], None] | None = None,
    ) -> str:
        reply = {"prompt": self.says(self.words), "negative": "ugly, blurry", "said": "Here you are."}
        return f"<think>Hm.</think>\n```json\n{json.dumps(reply)}\n```"

    async def installed(self) -> Sequence[str]:
        return [self.name]


@cache
def written(name: str, kind: str, says: Callable[[str], str]) -> Written:
    wish, model = Wish(words=PROMPTS[name]), family(kind)
    scribe = Scribe(writers=Writers(models=[Unruly(PROMPTS[name], says)]))
    order = Order(writer=MODEL)
    return asyncio.run(scribe.write(wish, Target(family=model), order, lambda: enhance_messages(wish, model)))


def each(*kinds: str) -> pytest.MarkDecorator:
    cases = [(name, kind, says) for kind in kinds for says in (sloppy, forgetful, endless) for name in PROMPTS]
    return pytest.mark.parametrize(("name", "kind", "says"), cases)


@each(*SENTENCES, *TAGS)
def test_the_users_things_are_kept_and_the_words_told_apart(name: str, kind: str, says: Callable[[str], str]) -> None:
    found = written(name, kind, says)
    assert (found.by, found.words) == ("unruly", PROMPTS[name])
    assert lost(PROMPTS[name], f"{found.prompt}, {found.negative}") == ()


@each(*SENTENCES)
def test_sentences_have_no_weights_and_no_words_of_quality(name: str, kind: str, says: Callable[[str], str]) -> None:
    plain = re.sub(r"\"[^\"]*\"", "", written(name, kind, says).prompt)
    assert all(part.weight == 1.0 for part in emphasis(plain) if "fate" not in part.text)
    own = {word.lower().strip(" .") for last in dialect_of(kind).last for word in last.split(",")}
    assert {part.strip(" .").lower() for part in re.split(r"[,.]", plain)} & boosters() <= own
    assert "score_" not in plain


@each("pony")
def test_pony_begins_with_its_score_tags_once(name: str, kind: str, says: Callable[[str], str]) -> None:
    prompt = written(name, kind, says).prompt
    assert prompt.startswith(SCORES) and prompt.count("score_9") == 1
    assert not {"masterpiece", "best quality"} & set(prompt.split(", "))


@each(*SENTENCES, *TAGS)
def test_the_budget_is_kept_unless_the_users_own_words_exceed_it(
    name: str, kind: str, says: Callable[[str], str]
) -> None:
    found = written(name, kind, says)
    assert found.tokens <= (found.budget or 0) or name == "long"


@each(*SENTENCES, *TAGS)
def test_a_negative_prompt_is_there_where_it_is_read(name: str, kind: str, says: Callable[[str], str]) -> None:
    found = written(name, kind, says)
    assert bool(found.negative) == family(kind).profile.negatives
    assert check_texts(found.prompt, found.negative) is None
