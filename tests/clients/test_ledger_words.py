"""The ledger's history of prompts, its conversations and the user's own presets: real files, several processes."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients._ledger.conversations import MOST_MESSAGES
from clients._ledger.cursors import cursor_of
from clients._ledger.search import cursor_after
from clients.ledger import Ledger, open_ledger
from tests.clients.ledger_kit import START, Where, change, rows, with_unknown_field
from workflows.errors import BadRecipe, StorageError
from workflows.types import LAST_MESSAGES, Conversation, HistoryEntry, HistoryQuery, Message, Preset

# history


def entry(number: int, **changes: Any) -> HistoryEntry:
    facts: dict[str, Any] = {
        "id": f"{number:04d}",
        "created": START + timedelta(hours=number),
        "input": f"words {number}",
        "output": f"written {number}",
        "family": "sdxl",
    }
    return HistoryEntry(**facts | changes)


async def file_entries(ledger: Ledger, *entries: HistoryEntry) -> None:
    for one in entries:
        await ledger.history.add(one)


async def found(ledger: Ledger, **query: Any) -> list[int]:
    """The numbers of the entries on the first page."""
    return [int(one.id) for one in (await ledger.history.search(HistoryQuery(**query))).entries]


async def test_an_entry_comes_back_whole_and_is_gone_when_removed(ledger: Ledger) -> None:
    whole = entry(
        1,
        negative="blurry",
        model="pony.safetensors",
        presets=("style:cinematic", "mood:epic"),
        mode="chat",
        by="qwen3",
        conversation_id="talk",
    )
    failed = entry(2, output="", fault="nobody answered")
    await file_entries(ledger, whole, failed)

    assert await ledger.history.get("0001") == whole
    assert (await ledger.history.search(HistoryQuery())).entries == (failed, whole)
    assert await ledger.history.remove("0001")
    assert not await ledger.history.remove("0001")
    assert await ledger.history.get("0001") is None
    assert await found(ledger, query="blurry") == []
    assert await found(ledger) == [2]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("   ", [5, 4, 3, 2, 1]),
        ("CARS", [4, 2]),
        ("cars red", [4]),
        ("red ca", [4]),
        ("ca red", []),
        ("cafe", [3]),
        ("blurry", [1]),
        ("sunset cars", [2]),
        ("oil-painting", [3]),
        ("photography/portrait", [4]),
        ("pony", [4]),
        ("flux-dev", [5]),
        ("い猫", [5]),
        ("猫", [5]),
        ("犬", []),
    ],
)
async def test_a_search_finds_every_word_wherever_it_stands_and_counts(
    ledger: Ledger, text: str, numbers: list[int]
) -> None:
    await file_entries(
        ledger,
        entry(1, input="one dog", negative="blurry"),
        entry(2, input="two cars", output="two cars at sunset"),
        entry(3, input="a café", presets=("style:oil-painting",)),
        entry(4, input="red cars", model="Pony v6", presets=("photography/portrait",)),
        entry(5, input="美しい赤い猫の絵", family="flux-dev"),
    )

    assert await found(ledger, query=text) == numbers
    assert (await ledger.history.search(HistoryQuery(query=text, limit=1))).total == len(numbers)


@pytest.mark.parametrize("text", ["", "words"])
async def test_pages_join_without_gap_or_repeat_while_entries_come_and_go(ledger: Ledger, text: str) -> None:
    await file_entries(ledger, *(entry(number) for number in range(10)))
    everything = await found(ledger, query=text)

    seen: list[int] = []
    page = await ledger.history.search(HistoryQuery(limit=3, query=text))
    while page.cursor is not None:
        assert page.total == 10
        seen += [int(one.id) for one in page.entries]
        await ledger.history.remove(page.entries[-1 if len(seen) == 6 else 0].id)  # once the very row of the cursor
        await ledger.history.add(entry(50 + len(seen)))
        page = await ledger.history.search(HistoryQuery(limit=3, query=text, cursor=page.cursor))
    assert seen + [int(one.id) for one in page.entries] == everything


@pytest.mark.parametrize("text", ["", "words"])
async def test_the_last_page_has_no_cursor_though_it_is_full_and_the_total_of_all(ledger: Ledger, text: str) -> None:
    await file_entries(ledger, *(entry(number) for number in range(4)))

    first = await ledger.history.search(HistoryQuery(limit=2, query=text))
    last = await ledger.history.search(HistoryQuery(limit=2, query=text, cursor=first.cursor))
    assert [one.id for one in first.entries + last.entries] == ["0003", "0002", "0001", "0000"]
    assert (first.total, last.total, last.cursor) == (4, 4, None)


@pytest.mark.parametrize(
    "cursor", ["", "x", "e30", cursor_after("newest", 0.5, 3), *(cursor_of(["history", n]) for n in (-1, 2**63, True))]
)
async def test_a_cursor_that_is_not_ours_is_refused(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(BadRecipe, match="cursor of the page before") as refused:
        await ledger.history.search(HistoryQuery(cursor=cursor))
    assert refused.value.argument == "cursor"


@pytest.mark.parametrize("text", ['"', "a AND", "NOT x", "input:", "a*b", "NEAR(a b)", "(", "-x", "a\0b", "😀", "***"])
async def test_signs_of_the_search_language_are_only_text(ledger: Ledger, text: str) -> None:
    await file_entries(ledger, entry(1))

    assert await found(ledger, query=text) == []
    assert (await ledger.history.search(HistoryQuery(query=text))).total == 0


async def test_any_text_at_all_can_be_filed_and_searched_for(ledger: Ledger) -> None:
    @settings(max_examples=150, deadline=None)
    @given(text=st.text(max_size=30))
    def search_texts(text: str) -> None:
        written = HistoryEntry(input=text.replace("\0", " "))
        asyncio.run_coroutine_threadsafe(ledger.history.add(written), loop).result(20)
        page = asyncio.run_coroutine_threadsafe(ledger.history.search(HistoryQuery(query=text)), loop).result(20)
        assert written in page.entries or not (text.isascii() and any(map(str.isalnum, text)))

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(search_texts)


async def test_the_index_of_the_history_agrees_with_its_rows_after_all_kinds_of_changes(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger.db") as ledger:
        await file_entries(ledger, *(entry(number) for number in range(6)))
        await ledger.history.remove("0003")
        change(tmp_path / "ledger.db", "UPDATE history SET output = 'changed' WHERE seq = 1")
        change(tmp_path / "ledger.db", "INSERT INTO history_fts(history_fts, rank) VALUES ('integrity-check', 1)")

        assert await found(ledger, query="changed") == [0]


# conversations

HELLO, ANSWER = Message(role="user", content="make it night"), Message(role="assistant", content="a cat at night")


def talk(**changes: Any) -> Conversation:
    facts: dict[str, Any] = {"id": "talk", "family": "sdxl", "created": START, "updated": START}
    return Conversation(**facts | changes)


async def said(ledger: Ledger, conversation_id: str = "talk") -> list[str]:
    known = await ledger.conversations.get(conversation_id)
    return [] if known is None else [message.content for message in known.messages]


async def test_a_conversation_is_taken_up_again_after_a_restart(where: Where) -> None:
    first = talk(words="a cat", prompt="a cat, photo", negative="blurry", presets=("mood:epic",), turns=1)
    async with open_ledger(where) as ledger:
        assert await ledger.conversations.get("talk") is None
        assert await ledger.conversations.save(first, [HELLO, ANSWER], 0)
    async with open_ledger(where) as ledger:
        assert await ledger.conversations.get("talk") == first.but(messages=(HELLO, ANSWER))


async def test_a_save_on_what_another_process_has_changed_meanwhile_writes_nothing(where: Where) -> None:
    async with open_ledger(where) as mine, open_ledger(where) as theirs:
        assert await mine.conversations.save(talk(turns=1, words="mine"), [HELLO], 0)
        assert not await theirs.conversations.save(talk(turns=1, words="theirs"), [ANSWER], 0)
        assert not await theirs.conversations.save(talk(id="never", turns=3), [ANSWER], 2)

        assert await theirs.conversations.get("talk") == talk(turns=1, words="mine", messages=(HELLO,))
        assert await theirs.conversations.get("never") is None
        assert await theirs.conversations.save(talk(turns=2, words="both"), [ANSWER], 1)
        assert await mine.conversations.get("talk") == talk(turns=2, words="both", messages=(HELLO, ANSWER))


async def add_turns(ledger: Ledger, name: str, count: int) -> int:
    """Say `count` things in the conversation that all share, reading it anew when somebody else was first."""
    lost = 0
    for number in range(count):
        while True:
            known = await ledger.conversations.get("talk") or talk()
            words = Message(role="user", content=f"{name} {number}")
            turned = known.but(turns=known.turns + 1, words=f"{known.words}|{words.content}")
            if await ledger.conversations.save(turned, [words], known.turns):
                break
            lost += 1
    return lost


async def test_turns_of_two_ledgers_on_one_file_are_all_there_and_none_is_written_over(where: Where) -> None:
    async with open_ledger(where) as mine, open_ledger(where) as theirs:
        speakers = [(mine, "a"), (theirs, "b"), (mine, "c"), (theirs, "d")]
        await asyncio.gather(*(add_turns(ledger, name, 4) for ledger, name in speakers))

        known = await mine.conversations.get("talk")
    assert known is not None
    heard = [message.content for message in known.messages]
    assert (known.turns, sorted(heard)) == (16, sorted(f"{name} {number}" for name in "abcd" for number in range(4)))
    assert known.words == "|" + "|".join(heard)


SPEAKER = """
import asyncio, sys
from clients.ledger import open_ledger
from tests.clients.test_ledger_words import add_turns

async def main():
    async with open_ledger(sys.argv[1]) as ledger:
        await add_turns(ledger, sys.argv[2], 8)

asyncio.run(main())
"""


async def test_turns_of_two_processes_are_all_there_and_none_is_written_over(where: Where) -> None:
    program = [sys.executable, "-c", SPEAKER, str(where)]
    processes = [await asyncio.create_subprocess_exec(*program, name) for name in "ab"]

    assert [await asyncio.wait_for(process.wait(), 60) for process in processes] == [0, 0]
    async with open_ledger(where) as ledger:
        known = await ledger.conversations.get("talk")
    assert known is not None
    assert known.words == "|" + "|".join(message.content for message in known.messages)
    assert known.turns == 16


async def test_conversations_do_not_hear_each_other(ledger: Ledger) -> None:
    await asyncio.gather(
        *(ledger.conversations.save(talk(id=name, turns=1), [Message(role="user", content=name)], 0) for name in "abc")
    )

    assert [await said(ledger, name) for name in "abc"] == [["a"], ["b"], ["c"]]


async def test_the_last_messages_are_given_and_the_older_ones_kept_up_to_a_bound(ledger: Ledger, where: Where) -> None:
    many = [Message(role="user", content=str(number)) for number in range(MOST_MESSAGES + 5)]
    await ledger.conversations.save(talk(id="other", turns=1), [HELLO], 0)
    await ledger.conversations.save(talk(turns=1), many[:-1], 0)
    await ledger.conversations.save(talk(turns=2), many[-1:], 1)

    assert await said(ledger) == [str(number) for number in range(MOST_MESSAGES + 5)][-LAST_MESSAGES:]
    assert await said(ledger, "other") == [HELLO.content]
    assert await asyncio.to_thread(rows, where, "SELECT count(*) FROM messages") == [(MOST_MESSAGES + 1,)]


async def test_a_reset_forgets_what_was_said_and_keeps_the_id_and_the_family(ledger: Ledger, where: Where) -> None:
    await ledger.conversations.save(talk(turns=1, words="a cat", prompt="p", negative="n", model="m"), [HELLO], 0)

    assert await ledger.conversations.reset("talk")
    assert not await ledger.conversations.reset("never")
    known = await ledger.conversations.get("talk")
    assert known is not None and known.created > START
    assert known == talk(model="m", created=known.created, updated=known.updated)
    assert await asyncio.to_thread(rows, where, "SELECT count(*) FROM messages") == [(0,)]
    assert await ledger.conversations.save(known.but(turns=1, words="a dog"), [ANSWER], 0)
    assert await said(ledger) == [ANSWER.content]


async def test_an_answer_that_was_on_its_way_during_a_reset_does_not_come_back(ledger: Ledger) -> None:
    before = talk(turns=1, words="a cat")
    await ledger.conversations.save(before, [HELLO], 0)
    await ledger.conversations.reset("talk")
    anew = await ledger.conversations.get("talk")
    assert anew is not None
    assert await ledger.conversations.save(anew.but(turns=1, words="a dog"), [HELLO], 0)

    assert not await ledger.conversations.save(before.but(turns=2, words="a cat at night"), [ANSWER], 1)
    assert await ledger.conversations.get("talk") == anew.but(turns=1, words="a dog", messages=(HELLO,))


async def test_whoever_resets_may_go_on_with_the_value_it_knew(ledger: Ledger) -> None:
    before = talk(turns=1, words="a cat")
    await ledger.conversations.save(before, [HELLO], 0)
    await ledger.conversations.reset("talk")

    assert await ledger.conversations.save(before.but(family="pony", words="a dog"), [HELLO], 0)
    known = await ledger.conversations.get("talk")
    assert known is not None and known.created > START
    assert known == before.but(family="pony", words="a dog", messages=(HELLO,), created=known.created)
    assert not await ledger.conversations.save(before.but(turns=2), [ANSWER], 1)
    assert await ledger.conversations.save(known.but(turns=2), [ANSWER], 1)
    assert await said(ledger) == [HELLO.content, ANSWER.content]


async def test_recent_conversations_come_with_the_last_talked_over_first(ledger: Ledger) -> None:
    for number in range(4):
        one = talk(id=str(number), turns=1, updated=START + timedelta(hours=number))
        await ledger.conversations.save(one, [HELLO], 0)
    await ledger.conversations.save(talk(id="1", turns=2, updated=START + timedelta(hours=9)), [], 1)

    recent = await ledger.conversations.recent(3)
    assert [(one.id, one.turns, one.messages) for one in recent] == [("1", 2, ()), ("3", 1, ()), ("2", 1, ())]


# own presets


def preset(name: str, **changes: Any) -> Preset:
    facts: dict[str, Any] = {"id": name, "name": name.title(), "kind": "style", "text": f"{name} light", "own": True}
    return Preset(**facts | changes)


async def test_own_presets_come_in_the_order_they_were_made_in_and_are_written_over_in_place(ledger: Ledger) -> None:
    await ledger.presets.put(preset("a", own=False))
    await ledger.presets.put(preset("b"))
    await ledger.presets.put(preset("a", kind="lighting"))
    assert await ledger.presets.all() == (preset("a"), preset("b"), preset("a", kind="lighting"))

    await ledger.presets.put(preset("a", text="dim"))
    assert await ledger.presets.remove("style", "b")
    assert not await ledger.presets.remove("style", "b")
    assert await ledger.presets.all() == (preset("a", text="dim"), preset("a", kind="lighting"))


async def test_a_preset_is_removed_from_its_kind_only_and_others_see_that_an_old_one_went(where: Where) -> None:
    async with open_ledger(where) as mine, open_ledger(where) as theirs:
        for one in (preset("a", kind="lighting"), preset("a"), preset("b")):
            await mine.presets.put(one)
        assert len(await theirs.presets.all()) == 3
        assert await mine.presets.remove("style", "a")
        assert await theirs.presets.all() == (preset("a", kind="lighting"), preset("b"))


async def test_a_change_is_seen_though_the_clock_was_put_back_since_the_last_one(where: Where) -> None:
    async with open_ledger(where) as mine, open_ledger(where) as theirs:
        for name in ("a", "b"):
            await mine.presets.put(preset(name))
        await asyncio.to_thread(change, where, f"UPDATE presets SET stamp = {2**62} WHERE id = 'b'")
        assert len(await theirs.presets.all()) == 2
        await mine.presets.put(preset("a", text="dim"))
        assert await theirs.presets.all() == (preset("a", text="dim"), preset("b"))


async def test_what_one_process_changes_the_other_sees_at_its_next_look_and_nothing_is_read_twice(where: Where) -> None:
    async with open_ledger(where) as mine, open_ledger(where) as theirs:
        await mine.presets.put(preset("a"))
        await mine.presets.put(preset("b"))
        seen = await theirs.presets.all()
        assert seen == (preset("a"), preset("b"))
        assert await theirs.presets.all() is seen

        await mine.presets.put(preset("a", text="dim"))
        assert await theirs.presets.all() == (preset("a", text="dim"), preset("b"))
        await mine.presets.remove("style", "a")
        assert await theirs.presets.all() == (preset("b"),)
        await mine.presets.remove("style", "b")
        await mine.presets.put(preset("c"))
        assert await theirs.presets.all() == (preset("c"),)


# rows that today's types cannot read


async def test_rows_of_another_version_are_left_out_of_lists_and_named(
    ledger: Ledger, where: Where, caplog: pytest.LogCaptureFixture
) -> None:
    await file_entries(ledger, entry(1), entry(2))
    await ledger.conversations.save(talk(id="a", turns=1), [HELLO, ANSWER], 0)
    await ledger.conversations.save(talk(id="b", turns=1), [], 0)
    await ledger.presets.put(preset("a"))
    await ledger.presets.put(preset("b"))
    for table, which in (("history", "seq = 1"), ("conversations", "id = 'b'"), ("presets", "id = 'b'")):
        await asyncio.to_thread(with_unknown_field, where, table, which)
    await asyncio.to_thread(with_unknown_field, where, "messages", "seq = 1")
    await asyncio.to_thread(change, where, "UPDATE presets SET stamp = stamp + 1")

    with caplog.at_level(logging.WARNING):
        assert await found(ledger) == [2]
        assert [one.id for one in await ledger.conversations.recent(9)] == ["a"]
        assert await said(ledger, "a") == [ANSWER.content]
        assert await ledger.presets.all() == (preset("a"),)
    named = ("history entry 0001", "conversation b", "message 1 of conversation a", "preset style:b")
    assert [name for name in named if name not in caplog.text] == []
    for asked in (ledger.history.get("0001"), ledger.conversations.get("b"), ledger.conversations.reset("b")):
        with pytest.raises(StorageError, match="cannot read it"):
            await asked
