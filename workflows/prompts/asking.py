"""What a language model is asked for a prompt: a system prompt from system.toml, and the wish as data. Nobody is asked
here; what comes back is read by `utils.prompt_enhancer`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from utils.prompt_enhancer import MOST_PROMPT
from workflows.families import Family
from workflows.prompts.dialects import dialect_of
from workflows.types import LAST_MESSAGES, Conversation, Message, Preset, Wish

MOST_NEGATIVE = 1000
MOST_PRESET = 400
"""Characters of one preset's descriptors."""
MOST_MESSAGE = 2000
"""Characters of one earlier message."""
MOST_TALK = 8000
"""Characters of all earlier messages together; the oldest are left out first. With the system prompt, the wish and an
answer that is about 4,000 tokens, which language models at home are often started with."""
_UNSAFE = str.maketrans({"<": "\\u003c", "\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"})
"""Signs by which chat templates and thoughts are marked, and line ends that JSON lets stand."""

Task = Literal["write", "talk"]


def enhance_messages(wish: Wish, family: Family) -> list[Message]:
    """What is asked for one prompt: the rules of the family, and the wish between markers."""
    return [_system(family, "write"), _request(_wish(wish))]


def chat_messages(conversation: Conversation, message: str, wish: Wish, family: Family) -> list[Message]:
    """What is asked in a conversation: the rules, its last messages, the prompt as it stands, and the new message.

    The roles alternate and begin with the user's, as some chat templates insist.
    """
    asked = _wish(wish) if not conversation.prompt else _told(wish)
    asked |= {"prompt as it stands": conversation.prompt[:MOST_PROMPT]} if conversation.prompt else {}
    asked |= {"not as it stands": conversation.negative[:MOST_NEGATIVE]} if conversation.negative else {}
    asked["new message"] = message[:MOST_PROMPT]
    return [_system(family, "talk"), *_earlier(conversation.messages), _request(asked)]


def system_prompt(family: Family, task: Task = "write") -> str:
    """What a language model is told of its task and of the family."""
    tables = _tables()
    section = tables["sections"][section_of(family)]
    parts = (
        tables["tasks"][task],
        tables["rules"]["write"],
        section["text"],
        " ".join(filter(None, _reads(family, section))),
        tables["form"][task],
    )
    return "\n\n".join(parts)


def section_of(family: Family) -> str:
    """The section of system.toml that is for a family: by its name, else its dialect, else that it draws videos."""
    sections: Mapping[str, Mapping[str, Any]] = _tables()["sections"]
    named = (name for name, one in sections.items() if family.profile.name in one.get("families", ()))
    moving = (name for name, one in sections.items() if family.video and one.get("video"))
    spoken = (name for name, one in sections.items() if family.dialect in one.get("dialects", ()))
    return next((name for names in (named, moving, spoken) for name in names), "natural")


@cache
def _tables() -> Mapping[str, Any]:
    return tomllib.loads(files("workflows").joinpath("prompts/system.toml").read_text(encoding="utf-8"))


def _system(family: Family, task: Task) -> Message:
    return Message(role="system", content=system_prompt(family, task))


def _reads(family: Family, section: Mapping[str, Any]) -> Iterable[str]:
    """What the family reads and how much, in a few sentences."""
    tables, dialect, profile = _tables(), dialect_of(family.profile.name), family.profile
    least, most = dialect.words
    yield tables["rules"]["any_language" if section.get("languages") else "english"]
    yield tables["reads"]["boosters" if dialect.boosters else "no_boosters"]
    yield tables["reads"]["weights" if profile.weights else "no_weights"]
    yield tables["reads"]["negatives" if profile.negatives else "no_negatives"]
    if most and not section.get("edits"):
        yield tables["reads"]["length" if least else "most"].format(least=least, most=most)


def _wish(wish: Wish) -> dict[str, object]:
    """A wish as data, without what it leaves open."""
    return {"request": wish.words[:MOST_PROMPT]} | _told(wish)


def _told(wish: Wish) -> dict[str, object]:
    """What goes with the words of a wish."""
    told = {"not wanted": wish.negative[:MOST_NEGATIVE], "style": wish.style, "presets": _descriptors(wish.presets)}
    return {name: value for name, value in told.items() if value}


def _descriptors(presets: Sequence[Preset]) -> dict[str, str]:
    """Presets by what they are about. Artists are told by how they draw, never by name."""
    found: dict[str, str] = {}
    for number, preset in enumerate(presets, 1):
        if text := preset.text[:MOST_PRESET].strip():
            found[f"{number} ({preset.kind})"] = text
    return found


def _request(asked: Mapping[str, object]) -> Message:
    content = f"REQUEST\n{_data(asked)}\nREQUEST\nWrite the JSON object with the prompt."
    return Message(role="user", content=content)


def _data(value: object) -> str:
    """JSON in one line, in which no word can end the request or begin another message."""
    return json.dumps(value, ensure_ascii=False).translate(_UNSAFE)


def _earlier(messages: Sequence[Message]) -> list[Message]:
    """The last messages of a conversation as data, beginning with the user's, the roles taking turns."""
    kept: list[Message] = []
    room = MOST_TALK
    for message in reversed([one for one in messages if one.role != "system"][-LAST_MESSAGES:]):
        text = message.content[:MOST_MESSAGE]
        room -= len(text)
        if room < 0:
            break
        kept.insert(0, message.but(content=text))
    while kept and kept[0].role != "user":
        del kept[0]
    return [_as_data(one) for one in _in_turns(kept)]


def _in_turns(messages: Iterable[Message]) -> list[Message]:
    """The messages with those that one side sent one after the other as one."""
    turns: list[Message] = []
    for message in messages:
        if turns and turns[-1].role == message.role:
            turns[-1] = message.but(content=f"{turns[-1].content}\n{message.content}")
        else:
            turns.append(message)
    return turns


def _as_data(message: Message) -> Message:
    """A message as it would have been sent: the user's in a request, the answer in the form that is asked for."""
    if message.role == "user":
        return message.but(content=f"REQUEST\n{_data({'new message': message.content})}\nREQUEST")
    return message.but(content=_data({"prompt": message.content, "negative": "", "said": ""}))
