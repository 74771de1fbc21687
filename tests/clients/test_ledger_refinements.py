"""The ledger's refinements: real files and a real server."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from clients.ledger import Ledger, open_ledger
from tests.clients.ledger_kit import START, Where, rows, with_unknown_field
from workflows.errors import StorageError
from workflows.types import Brief, Evaluation, Refinement, Round, Verdict

SEEN = Evaluation(by="gemini", text="A red circle.", score=6.5, passed=False, missing=("a hat",))


def refinement(number: int, **changes: Any) -> Refinement:
    facts: dict[str, Any] = {
        "id": f"{number:04d}",
        "brief": Brief(id=f"brief-{number}", prompt="a red circle in a hat", options={"steps": 3, "loras": ["a:0.5"]}),
        "created": START,
        "updated": START,
    }
    return Refinement(**facts | changes)


def drawn(number: int, **changes: Any) -> Round:
    facts: dict[str, Any] = {"number": number, "prompt": "a red circle", "job_id": f"job-{number}", "created": START}
    return Round(**facts | changes)


async def test_a_refinement_comes_back_as_it_was_saved_last(ledger: Ledger) -> None:
    first = refinement(1, run_id="run", rounds=(drawn(1),))
    verdict = Verdict(judge="clip", passed=False, score=float("nan"), reason="low")
    done = drawn(1, stage="done", image_id="x", evaluation=SEEN.but(verdicts=(verdict,)), refined="a hat", why="asked")
    last = first.but(state="succeeded", rounds=(done, drawn(2)), best=1, versions={"atelier": "1", "python": "3.11"})
    await ledger.refinements.save(first)
    await ledger.refinements.save(last)

    found = await ledger.refinements.get("0001")
    assert found is not None and found.model_dump_json() == last.model_dump_json()
    assert await ledger.refinements.get("0002") is None


async def test_its_parts_lie_in_tables_of_their_own(where: Where, ledger: Ledger) -> None:
    done = drawn(
        1, stage="done", image_id="x", evaluation=SEEN, refined="now a hat", refined_by="qwen", why="it lacked"
    )
    begun = refinement(1, rounds=(done, drawn(2, prompt="now a hat")), best=1, versions={"python": "3.11"})
    await ledger.refinements.save(begun)
    await ledger.refinements.save(begun.but(versions={"python": "3.12"}))

    assert rows(where, "SELECT version, number, prompt, stage, job_id, image_id FROM iterations ORDER BY number") == [
        (1, 1, "a red circle", "done", "job-1", "x"),
        (1, 2, "now a hat", "drawing", "job-2", None),
    ]
    assert rows(where, "SELECT number, score, text FROM evaluations") == [(1, 6.5, "A red circle.")]
    assert rows(where, "SELECT number, prompt, refined_prompts.by, why FROM refined_prompts") == [
        (1, "now a hat", "qwen", "it lacked")
    ]
    assert rows(where, "SELECT tool, version FROM tool_versions") == [("python", "3.12")]
    assert [bool(row[0]) for row in rows(where, "SELECT accepted FROM refinements")] == [False]


async def test_another_brief_is_another_version_and_the_rounds_of_the_first_stay(where: Where, ledger: Ledger) -> None:
    first = refinement(1, rounds=(drawn(1, image_id="x", stage="done"),))
    other = first.but(brief=first.brief.but(prompt="a blue square"), rounds=(drawn(1, prompt="a blue square"),))
    for one in (first, first, other, other):
        await ledger.refinements.save(one)

    assert rows(where, "SELECT version, prompt FROM prompts ORDER BY version") == [
        (1, "a red circle in a hat"),
        (2, "a blue square"),
    ]
    assert rows(where, "SELECT version, number, image_id FROM iterations ORDER BY version") == [
        (1, 1, "x"),
        (2, 1, None),
    ]


async def test_those_of_a_run_come_in_their_order_and_the_latest_newest_first(ledger: Ledger) -> None:
    saved = [
        refinement(3, run_id="run"),
        refinement(1, run_id="run", state="failed"),
        refinement(2),
        refinement(4, run_id="other", state="running"),
    ]
    for one in saved:
        await ledger.refinements.save(one)
    await ledger.refinements.save(saved[0].but(state="running"))

    assert [one.id for one in await ledger.refinements.of_run("run")] == ["0003", "0001"]
    assert [one.id for one in await ledger.refinements.recent(3)] == ["0004", "0002", "0001"]
    assert [one.id for one in await ledger.refinements.recent(9, ("running", "failed"))] == ["0004", "0001", "0003"]


async def test_one_that_cannot_be_read_hides_no_other_but_a_run_does_not_pass_it_over(
    where: Where, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        await ledger.refinements.save(refinement(number, run_id="run"))
    with_unknown_field(where, "refinements", "id = '0001'")

    with caplog.at_level(logging.WARNING):
        assert [one.id for one in await ledger.refinements.recent(9)] == ["0002"]
    assert "holograms" in caplog.text
    for asked in (ledger.refinements.get("0001"), ledger.refinements.of_run("run")):
        with pytest.raises(StorageError, match="refinement 0001 is in the ledger, but this version"):
            await asked


async def test_it_outlives_the_process(where: Where) -> None:
    async with open_ledger(where) as ledger:
        await ledger.refinements.save(refinement(1))
    async with open_ledger(where) as ledger:
        assert await ledger.refinements.get("0001") == refinement(1)
