"""Conversations about a prompt: they grow, survive, begin anew, and do not mix."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clients.llm_client import LLMClient
from tests.fake_llm import FakeLLM
from tests.fakes import fake_app
from workflows.errors import NotFound, ServiceFailed
from workflows.types import LAST_MESSAGES, Spoken


async def test_the_rules_change_the_wish_message_by_message(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        first = await app.prompts.converse("a lighthouse on a cliff", model="sdxl")
        second = await app.prompts.converse("add a small boat", conversation_id=first.conversation_id)
        third = await app.prompts.converse("remove the boat", conversation_id=first.conversation_id)
    assert [one.turn for one in (first, second, third)] == [1, 2, 3]
    assert "small boat" in second.written.words and "small boat" in second.written.prompt
    assert "boat" not in third.written.prompt and "lighthouse" in third.written.prompt
    assert {one.written.family for one in (first, second, third)} == {"sdxl"}


async def test_a_conversation_survives_a_restart(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        spoken = await app.prompts.converse("a lighthouse", model="flux", presets=["style:watercolor"])
    async with fake_app(tmp_path) as app:
        after = await app.prompts.converse("add a storm", conversation_id=spoken.conversation_id)
        kept = await app.prompts.conversation(spoken.conversation_id)
    assert after.turn == 2 and after.written.presets == ("style:watercolor",)
    assert [message.content for message in kept.messages if message.role == "user"] == ["a lighthouse", "add a storm"]
    assert kept.prompt == after.written.prompt


async def test_another_family_begins_anew_under_the_same_id(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        first = await app.prompts.converse("a lighthouse", model="sdxl")
        same = await app.prompts.converse("add a boat", conversation_id=first.conversation_id, model="sdxl")
        other = await app.prompts.converse("a castle", conversation_id=first.conversation_id, model="flux")
        asked = await app.prompts.converse("a cave", conversation_id=first.conversation_id, reset=True)
        kept = await app.prompts.conversation(first.conversation_id)
    assert same.reset == "" and "flux-dev" in other.reset and asked.reset == "asked"
    assert (other.turn, other.written.words, asked.turn, asked.written.words) == (1, "a castle", 1, "a cave")
    assert [message.content for message in kept.messages if message.role == "user"] == ["a cave"]


async def test_a_change_for_another_family_is_made_to_the_wish_so_far(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        first = await app.prompts.converse("a lighthouse", model="sdxl")
        other = await app.prompts.converse("add a storm", conversation_id=first.conversation_id, model="flux")
    assert other.reset and other.turn == 1
    assert "lighthouse" in other.written.prompt and "storm" in other.written.prompt


async def test_a_reset_forgets_what_was_said_and_keeps_the_id(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        first = await app.prompts.converse("a lighthouse", model="sdxl")
        assert await app.prompts.reset(first.conversation_id)
        assert not await app.prompts.reset("nobody")
        after = await app.prompts.converse("a cave", conversation_id=first.conversation_id)
    assert (after.turn, after.written.words) == (1, "a cave")


async def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        with pytest.raises(NotFound, match="Leave it out to begin one"):
            await app.prompts.converse("a cave", conversation_id="nobody")


async def test_a_language_model_is_shown_the_last_messages_and_the_prompt(tmp_path: Path) -> None:
    async with FakeLLM() as fake, LLMClient(fake.url, "qwen3:4b", dialect="ollama") as model:
        async with fake_app(tmp_path, writers=[model]) as app:
            fake.say(*(f'{{"prompt": "A lighthouse with {n} gulls.", "negative": "", "said": ""}}' for n in range(20)))
            spoken = await app.prompts.converse("0 gulls")
            for number in range(1, LAST_MESSAGES):
                spoken = await app.prompts.converse(f"{number} gulls", conversation_id=spoken.conversation_id)
        last = fake.asked[-1]
    said = [message for message in last.messages if message["role"] != "system"]
    assert len(said) <= LAST_MESSAGES + 1 and len([one for one in last.messages if one["role"] == "system"]) == 1
    assert "18 gulls" in str(said) and '"0 gulls"' not in str(said)
    assert spoken.written.prompt == "A lighthouse with 19 gulls." and spoken.turn == LAST_MESSAGES


async def test_a_message_that_fails_is_not_added_and_can_be_sent_again(tmp_path: Path) -> None:
    async with (
        FakeLLM() as fake,
        LLMClient(fake.url, "qwen3:4b", dialect="ollama", retry_seconds=()) as model,
        fake_app(tmp_path, writers=[model]) as app,
    ):
        fake.say('{"prompt": "A lighthouse.", "negative": "", "said": ""}')
        first = await app.prompts.converse("a lighthouse", model="flux")
        fake.say("A lighth", end="cut")
        with pytest.raises(ServiceFailed):
            await app.prompts.converse(
                "add a boat",
                conversation_id=first.conversation_id,
                writer="model",
                listener=lambda _: None,
            )
        fake.say('{"prompt": "A lighthouse and a boat.", "negative": "", "said": ""}')
        again = await app.prompts.converse("add a boat", conversation_id=first.conversation_id)
        kept = await app.prompts.conversation(first.conversation_id)
    assert again.turn == 2
    assert [message.content for message in kept.messages][::2] == ["a lighthouse", "add a boat"]


async def test_many_conversations_at_once_do_not_mix(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:

        async def talk(thing: str) -> list[str]:
            first = await app.prompts.converse(f"a {thing}", model="sdxl")
            second = await app.prompts.converse("add a hat", conversation_id=first.conversation_id)
            third = await app.prompts.converse("make it night", conversation_id=first.conversation_id)
            return [second.written.words, third.written.words]

        things = ["lighthouse", "castle", "robot", "teapot"]
        said = await asyncio.gather(*(talk(thing) for thing in things))
    for thing, words in zip(things, said, strict=True):
        assert all(thing in one and "hat" in one for one in words)
        assert not any(other in one for other in things if other != thing for one in words)


async def test_two_messages_of_one_conversation_are_answered_in_turn(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        first = await app.prompts.converse("a lighthouse", model="sdxl")
        hat, boat = await asyncio.gather(
            app.prompts.converse("add a hat", conversation_id=first.conversation_id),
            app.prompts.converse("add a boat", conversation_id=first.conversation_id),
        )
        kept = await app.prompts.conversation(first.conversation_id)
    assert {hat.turn, boat.turn} == {2, 3} and kept.turns == 3
    assert "hat" in kept.words and "boat" in kept.words


async def test_a_message_that_comes_while_one_waits_is_answered_after_it(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        cid = (await app.prompts.converse("a lighthouse", model="sdxl")).conversation_id

        def add(thing: str) -> asyncio.Task[Spoken]:
            return asyncio.create_task(app.prompts.converse(f"add a {thing}", conversation_id=cid))

        hat, boat = add("hat"), add("boat")
        await hat
        cat = add("cat")
        assert ((await boat).turn, (await cat).turn) == (3, 4)
        assert "boat" in (await cat).written.words


async def test_two_processes_answer_one_conversation_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as one, fake_app(tmp_path) as other:
        cid = (await one.prompts.converse("a lighthouse", model="sdxl")).conversation_id
        said = [app.prompts.converse(f"add a {it}", conversation_id=cid) for it, app in (("hat", one), ("boat", other))]
        turns = {spoken.turn for spoken in await asyncio.gather(*said)}
        kept = await one.prompts.conversation(cid)
    assert turns == {2, 3} and "hat" in kept.words and "boat" in kept.words


async def test_presets_stay_until_others_or_none_are_named(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        first = await app.prompts.converse("a lighthouse", model="flux", presets=["style:watercolor"])
        talk = first.conversation_id
        kept = await app.prompts.converse("make it night", conversation_id=talk)
        freed = await app.prompts.converse("add a storm", conversation_id=talk, presets=[])
    assert [one.written.presets for one in (first, kept, freed)] == [("style:watercolor",), ("style:watercolor",), ()]
