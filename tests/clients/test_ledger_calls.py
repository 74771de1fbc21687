"""The ledger's record of requests to services: real files and a real server."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from clients._ledger.calls import AT_ONCE
from clients.ledger import Ledger, open_ledger
from tests.clients.ledger_kit import START, Where, change, rows
from workflows.types import Brief, Call, Evaluation, Refinement, Round, RunStats, ServiceStats


def call(number: int, **changes: Any) -> Call:
    facts: dict[str, Any] = {
        "id": f"{number:04d}",
        "created": START + timedelta(hours=number),
        "service": "fal",
        "operation": "render",
        "seconds": float(number),
    }
    return Call(**facts | changes)


def record(ledger: Ledger, *calls: Call) -> None:
    for one in calls:
        ledger.calls.record(one)


async def test_calls_are_added_up_by_service_operation_and_model(ledger: Ledger) -> None:
    record(
        ledger,
        call(1, cost=0.5),
        call(2, tries=3, status="failed", code="service_failed"),
        call(7, cost=0.25),
        call(4, status="refused"),
        call(3, service="gemini", operation="answer", model="flash"),
        call(5, service="gemini", operation="answer", model="flash"),
        call(9, service="gemini", operation="answer", model="pro", status="cancelled", run_id="run"),
    )

    assert await ledger.calls.stats() == [
        ServiceStats(
            service="fal", operation="render", calls=4, failed=2, tries=6, median_seconds=3.0, slowest_seconds=7.0,
            cost=0.75, priced=2,
        ),
        ServiceStats(
            service="gemini", operation="answer", model="flash", calls=2, failed=0, tries=2, median_seconds=4.0,
            slowest_seconds=5.0,
        ),
        ServiceStats(
            service="gemini", operation="answer", model="pro", calls=1, failed=0, tries=1, median_seconds=9.0,
            slowest_seconds=9.0,
        ),
    ]  # fmt: skip
    assert [one.calls for one in await ledger.calls.stats(START + timedelta(hours=5))] == [1, 1, 1]
    assert [one.model for one in await ledger.calls.stats(run_id="run")] == ["pro"]


@pytest.mark.parametrize(
    ("seconds", "median"), [([4.0], 4.0), ([9.0, 1.0], 5.0), ([3.0, 1.0, 2.0], 2.0), ([5.0, 5.0, 1.0, 7.0, 8.0], 5.0)]
)
async def test_the_median_is_that_of_the_middle(ledger: Ledger, seconds: list[float], median: float) -> None:
    record(ledger, *(call(number, seconds=one) for number, one in enumerate(seconds)))
    assert [one.median_seconds for one in await ledger.calls.stats()] == [median]


async def test_failures_come_newest_first_and_go_by_their_age_alone(ledger: Ledger) -> None:
    failed = [call(number, status="failed", error=f"no {number}") for number in (5, 1, 3)]
    record(ledger, *failed, call(2), call(4, status="refused"), call(6, status="cancelled"), call(0))

    assert [one.id for one in await ledger.calls.failures(9)] == ["0005", "0004", "0003", "0001"]
    assert (await ledger.calls.failures(1, START + timedelta(hours=1)))[0] == failed[0]
    assert await ledger.calls.prune(START + timedelta(hours=4)) == 2
    assert [one.id for one in await ledger.calls.failures(9)] == ["0005", "0004"]
    assert [one.calls for one in await ledger.calls.stats()] == [5]


async def test_runs_say_what_became_of_them(ledger: Ledger) -> None:
    def one(number: int, run: str, **changes: Any) -> Refinement:
        brief, began = Brief(id=f"b{number}", prompt="x"), START + timedelta(hours=number)
        return Refinement(id=f"{run}-{number}", run_id=run, brief=brief, created=began).but(**changes)

    done = Round(number=1, prompt="x", image_id="i", evaluation=Evaluation(by="clip", text="x", passed=True))
    for saved in (
        one(1, "old", state="succeeded", rounds=(done.but(evaluation=None), done.but(number=2)), best=2),
        one(2, "old", state="failed", rounds=(done.but(image_id=None),)),
        one(3, "new"),
        one(4, ""),
    ):
        await ledger.refinements.save(saved)
    record(ledger, call(1, run_id="old", cost=0.5), call(2, run_id="old"), call(3))

    assert await ledger.calls.runs(9) == [
        RunStats(
            run_id="new", created=START + timedelta(hours=3), briefs=1, states={"waiting": 1}, rounds=0, pictures=0,
            accepted=0, calls=0,
        ),
        RunStats(
            run_id="old", created=START + timedelta(hours=1), briefs=2, states={"succeeded": 1, "failed": 1}, rounds=3,
            pictures=2, accepted=1, calls=2, cost=0.5,
        ),
    ]  # fmt: skip
    assert [run.run_id for run in await ledger.calls.runs(1)] == ["new"]


async def test_recording_does_not_wait_and_leaving_writes_what_is_left(where: Where) -> None:
    many = [call(number) for number in range(AT_ONCE + 3)]
    async with open_ledger(where) as ledger:
        record(ledger, *many, many[0])
        await asyncio.to_thread(ledger.calls.record, call(9999))
        assert rows(where, "SELECT count(*) FROM calls") == [(0,)]
    assert rows(where, "SELECT count(*) FROM calls") == [(len(many) + 1,)]


async def test_a_ledger_that_cannot_be_written_harms_no_call_and_gets_it_later(
    where: Where, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_ledger(where) as ledger:
        await asyncio.to_thread(change, where, "ALTER TABLE calls RENAME TO hidden")
        record(ledger, call(1), call(2))
        with caplog.at_level(logging.WARNING):
            await asyncio.gather(*(one for one in asyncio.all_tasks() if one.get_name() == "calls to the ledger"))
        assert "2 call(s) are not written down yet" in caplog.text
        await asyncio.to_thread(change, where, "ALTER TABLE hidden RENAME TO calls")
        record(ledger, call(3))
    assert [row[0] for row in rows(where, "SELECT id FROM calls ORDER BY seq")] == ["0001", "0002", "0003"]
