"""The ledger on a real file: jobs with tokens, items with filters, text search and pages."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients._ledger.search import cursor_after
from clients.ledger import Ledger, open_ledger
from tests.clients.ledger_kit import RECIPE, START, Where, file_items, found, item, rows
from workflows.errors import BadRecipe, NotFound, StorageError
from workflows.types import Attempt, ItemQuery, Job, Outcome, Recipe, Verdict


def outcome(job_id: str) -> Outcome:
    verdict = Verdict(judge="clip", passed=False, score=0.2, reason="Low positive CLIP score: 0.2 < 0.25")
    attempt: dict[str, Any] = {
        "recipe": RECIPE,
        "media_type": "image/png",
        "width": 64,
        "height": 64,
        "model": "demo",
        "seconds": 1.5,
    }
    rounds = [
        Attempt(number=1, key=f"{job_id}/1/1.png", verdicts=(verdict,), **attempt),
        Attempt(number=2, key=f"{job_id}/2/1.png", **attempt),
    ]
    return Outcome(attempts=tuple(rounds), best=2, accepted=None)


# jobs


async def test_a_job_is_kept_whole_across_a_restart(where: Where) -> None:
    job = Job(recipe=Recipe(prompt='猫 "quoted"\nnew line', seed=7), engine="local")
    async with open_ledger(where) as first:
        await first.jobs.add(job)
    async with open_ledger(where if isinstance(where, str) else f"sqlite:///{where}") as second:
        assert await second.jobs.get(job.id) == job
        assert await second.jobs.get("other") is None


async def test_a_claim_sets_the_job_running_and_makes_the_earlier_token_worthless(ledger: Ledger) -> None:
    job = Job(recipe=RECIPE)
    await ledger.jobs.add(job)
    old = await ledger.jobs.claim(job.id)
    new = await ledger.jobs.claim(job.id)

    assert not await ledger.jobs.save(job.but(state="succeeded"), old, [item(1)])
    assert await ledger.items.get("0001-item") is None
    assert (await ledger.jobs.get(job.id)) == job.but(state="running")
    assert await ledger.jobs.save(job.but(state="succeeded"), new, [item(1)])
    assert (await ledger.jobs.get(job.id)) == job.but(state="succeeded")
    assert await ledger.items.get("0001-item") == item(1)


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
async def test_an_ended_job_is_final_even_for_its_own_token(ledger: Ledger, state: str) -> None:
    job = Job(recipe=RECIPE)
    await ledger.jobs.add(job)
    token = await ledger.jobs.claim(job.id)
    ended = job.but(state=state)

    assert await ledger.jobs.save(ended, token)
    assert not await ledger.jobs.save(job.but(state="running"), token)
    with pytest.raises(StorageError, match=f"has already {state}"):
        await ledger.jobs.claim(job.id)
    assert await ledger.jobs.get(job.id) == ended


async def test_claiming_an_unknown_job_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="no job 'nothing'"):
        await ledger.jobs.claim("nothing")


async def test_attempts_with_verdicts_can_be_queried_and_are_not_doubled_by_saving_again(
    ledger: Ledger, where: Where
) -> None:
    job = Job(recipe=RECIPE)
    job = job.but(outcomes=(outcome(job.id),))
    await ledger.jobs.add(job)
    token = await ledger.jobs.claim(job.id)
    for _ in range(2):
        assert await ledger.jobs.save(job, token, [item(1)])

    kept = "SELECT job_id, picture, number, score, passed, seconds, key FROM attempts ORDER BY number"
    assert await asyncio.to_thread(rows, where, kept) == [
        (job.id, 1, 1, 0.2, 0, 1.5, f"{job.id}/1/1.png"),
        (job.id, 1, 2, None, None, 1.5, f"{job.id}/2/1.png"),
    ]
    verdicts = await asyncio.to_thread(rows, where, "SELECT verdicts FROM attempts ORDER BY number")
    judged = [json.loads(told) if isinstance(told, str) else told for (told,) in verdicts]
    assert [[verdict["judge"] for verdict in told] for told in judged] == [["clip"], []]
    assert await found(ledger) == [1]


async def test_a_save_that_fails_half_way_leaves_job_and_items_as_they_were(ledger: Ledger) -> None:
    job = Job(recipe=RECIPE)
    await ledger.jobs.add(job)
    token = await ledger.jobs.claim(job.id)
    twins = [item(1), item(2), item(1)]

    with pytest.raises(StorageError, match="already there"):
        await ledger.jobs.save(job.but(state="succeeded"), token, twins)
    assert await found(ledger) == []
    assert await ledger.jobs.get(job.id) == job.but(state="running")


async def test_recent_jobs_come_newest_first_and_by_state(ledger: Ledger) -> None:
    jobs = [Job(recipe=RECIPE, note=str(number)) for number in range(4)]
    for job in jobs:
        await ledger.jobs.add(job)
    await ledger.jobs.claim(jobs[1].id)

    assert [job.note for job in await ledger.jobs.recent(3)] == ["3", "2", "1"]
    assert [job.note for job in await ledger.jobs.recent(9, ["running", "interrupted"])] == ["1"]


# items


async def test_an_item_is_found_by_id_by_key_and_by_the_newest_file_of_its_name(ledger: Ledger) -> None:
    first, second = item(1, key="a/1/same.png"), item(2, key="b/1/same.png")
    await file_items(ledger, first, second)

    assert await ledger.items.get(first.id) == first
    assert await ledger.items.get("a/1/same.png") == first
    assert await ledger.items.get("same.png") == second
    assert await ledger.items.get("other.png") is None


async def test_removing_drops_the_row_and_its_words(ledger: Ledger) -> None:
    await file_items(ledger, *(item(number, prompt="lighthouse") for number in (1, 2, 3)))

    assert await ledger.filing.remove("0001-item")
    assert not await ledger.filing.remove("0001-item")
    assert await found(ledger, query="lighthouse") == [3, 2]
    assert (await ledger.items.search(ItemQuery(query="lighthouse", limit=1))).total == 2


async def test_children_are_those_of_the_parent_newest_first(ledger: Ledger) -> None:
    await file_items(ledger, item(1), *(item(n, parent_id="0001-item") for n in (2, 3)), item(4, parent_id="0002-item"))

    assert [child.seed for child in await ledger.items.children("0001-item")] == [3, 2]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"sort": "oldest"}, [1, 2, 3, 4, 5]),
        ({"sort": "best"}, [2, 4, 1, 5, 3]),
        ({"model": "OTHER v2"}, [4]),
        ({"model": "other"}, []),
        ({"min_score": 0.3}, [4, 2]),
        ({"min_score": 0.3, "sort": "best"}, [2, 4]),
        ({"since": START + timedelta(hours=4)}, [5, 4]),
        ({"favourite": True}, [3]),
        ({"favourite": False, "sort": "oldest"}, [1, 2, 4, 5]),
        ({"kind": "video"}, [5]),
        ({"prefix": "0003"}, [3]),
        ({"prefix": "0"}, [5, 4, 3, 2, 1]),
        ({"prefix": "%"}, []),
        ({"query": "CARS"}, [4, 2]),
        ({"query": "cars red"}, [4]),
        ({"query": "red ca"}, [4]),
        ({"query": "ca red"}, []),
        ({"query": "cafe"}, [3]),
        ({"query": "blurry"}, [1]),
        ({"query": "other"}, [4]),
        ({"query": "い猫"}, [5]),
        ({"query": "猫"}, [5]),
        ({"query": "犬"}, []),
        ({"query": "cars", "sort": "oldest"}, [2, 4]),
        ({"query": "cars", "sort": "best"}, [2, 4]),
        ({"query": "cars", "model": "Other v2"}, [4]),
        ({"query": "cars", "model": "other"}, []),
        ({"query": "cars", "model": "Other v2", "sort": "best", "min_score": 0.9}, []),
        ({"query": "cars", "prefix": "0002"}, [2]),
    ],
)
async def test_a_search_finds_what_its_filters_say_and_counts_it(
    ledger: Ledger, query: dict[str, Any], numbers: list[int]
) -> None:
    await file_items(
        ledger,
        item(1, prompt="one dog", negative="blurry", score=0.1),
        item(2, prompt="two cars", score=0.5),
        item(3, prompt="a café", favourite=True),
        item(4, prompt="red cars", model="Other v2", score=0.3),
        item(5, prompt="美しい赤い猫の絵", kind="video", score=-0.4),
    )

    assert await found(ledger, **query) == numbers
    assert (await ledger.items.search(ItemQuery.checked(**query, limit=1))).total == len(numbers)


@pytest.mark.parametrize("sort", ["newest", "oldest", "best"])
@pytest.mark.parametrize("text", ["", "picture"])
async def test_pages_join_without_gap_or_repeat_while_items_come_and_go(ledger: Ledger, sort: Any, text: str) -> None:
    await file_items(ledger, *(item(n, score=[0.1, 0.5, None][n % 3]) for n in range(10)))
    everything = await found(ledger, sort=sort, query=text)

    seen: list[int] = []
    page = await ledger.items.search(ItemQuery(limit=3, sort=sort, query=text))
    extra = iter(range(50, 60))
    while page.cursor is not None:
        seen += [found.seed for found in page.items]
        await ledger.filing.remove(page.items[-1 if len(seen) == 6 else 0].id)  # once the very row of the cursor
        if sort != "oldest":
            await file_items(ledger, item(next(extra), score=0.9))
        page = await ledger.items.search(ItemQuery(limit=3, sort=sort, query=text, cursor=page.cursor))
    assert seen + [found.seed for found in page.items] == everything


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "", "!!!", "e30", "W1tbW1tbW1tbW1tbW1tbW1tb" * 8),
        *(cursor_after("oldest", 0.5, 3), cursor_after("newest", 0.5, 2**70), cursor_after("newest", 0.5, True)),
    ],
)
async def test_a_cursor_that_is_not_ours_is_refused(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(BadRecipe, match="cursor of the page before") as refused:
        await ledger.items.search(ItemQuery(cursor=cursor))
    assert refused.value.argument == "cursor"


@pytest.mark.parametrize(
    "text",
    ['"', "a AND", "NOT x", "prompt:", "a*b", "NEAR(a b)", "(", "-x", "^x", "a\0b", "'; DROP TABLE items", "😀", "***"],
)
async def test_signs_of_the_search_language_are_only_text(ledger: Ledger, text: str) -> None:
    await file_items(ledger, item(1))

    assert await found(ledger, query=text) == []


async def test_any_text_at_all_can_be_searched_for(where: Where) -> None:
    async with open_ledger(where) as ledger:
        await file_items(ledger, item(1, prompt="plain"))

        @settings(max_examples=150, deadline=None)
        @given(text=st.text(max_size=30), model=st.none() | st.text(max_size=8))
        def search_texts(text: str, model: str | None) -> None:
            query = ItemQuery(query=text, model=model, sort="best")
            asyncio.run_coroutine_threadsafe(ledger.items.search(query), loop).result(20)

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(search_texts)


async def test_every_piece_of_a_cjk_prompt_finds_it(ledger: Ledger) -> None:
    async def search(name: str, text: str, piece: str) -> list[str]:
        await file_items(ledger, item(1, id=name, key=name, prompt=f"x {text} y"), item(2, id=f"{name}-other", key="o"))
        page = await ledger.items.search(ItemQuery(query=piece))
        await ledger.filing.remove(name)
        await ledger.filing.remove(f"{name}-other")
        return [found.id for found in page.items]

    @settings(max_examples=30, deadline=None)
    @given(text=st.text(st.sampled_from("赤い猫カー고양이𠮷"), min_size=1, max_size=12), cut=st.integers(0, 11))
    def look_for_pieces(text: str, cut: int) -> None:
        piece = text[cut % len(text) :][:3]
        assert asyncio.run_coroutine_threadsafe(search("wanted", text, piece), loop).result(20) == ["wanted"]

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(look_for_pieces)
