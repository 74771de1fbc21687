"""The ledger's table of weight files: kept, corrected, shared by processes; and what the judges said by model."""

from __future__ import annotations

import asyncio

from clients.ledger import Ledger, open_ledger
from tests.clients.ledger_kit import RECIPE, Where, item, rows, with_unknown_field
from workflows.types import (
    Attempt,
    Item,
    Job,
    ModelDefaults,
    ModelFacts,
    ModelInfo,
    ModelRow,
    Outcome,
    TrackRecord,
    Verdict,
)


def row(name: str, signature: str = "1") -> ModelRow:
    facts = ModelFacts(triggers=("猫", "cat"), defaults=ModelDefaults(strength=0.8), downloads=0, rating=0.5)
    info = ModelInfo(
        name=f"{name}.safetensors", kind="lora", family="sdxl", engine="", parts=("model",), size=9, facts=facts
    )
    return ModelRow(path=f"/models/{name}.safetensors", signature=signature, info=info)


def said(*rows: ModelRow) -> dict[str, tuple[str, dict[str, str]]]:
    return {one.info.plain_name: (one.signature, one.corrections) for one in rows}


async def test_rows_come_back_whole_in_another_process(where: Where) -> None:
    async with open_ledger(where) as first:
        await first.models.replace([row("a"), row("b")], [])
    async with open_ledger(where) as second:
        assert list(await second.models.all()) == [row("a"), row("b")]


async def test_what_one_process_writes_the_other_sees_at_its_next_look(where: Where) -> None:
    async with open_ledger(where) as mine, open_ledger(where) as theirs:
        await mine.models.replace([row("a"), row("b"), row("c")], [])
        assert len(await theirs.models.all()) == 3
        await mine.models.replace([row("a", "2"), row("d")], ["/models/b.safetensors"])
        await mine.models.correct("/models/c.safetensors", {"family": "pony"})

        expected: dict[str, tuple[str, dict[str, str]]] = {
            "a": ("2", {}),
            "c": ("1", {"family": "pony"}),
            "d": ("1", {}),
        }
        assert said(*await theirs.models.all()) == expected
        assert said(*await mine.models.all()) == expected


async def test_one_row_for_another_is_noticed_though_the_number_stays(where: Where) -> None:
    async with open_ledger(where) as mine, open_ledger(where) as theirs:
        await mine.models.replace([row("a")], [])
        assert said(*await theirs.models.all()) == {"a": ("1", {})}
        await mine.models.replace([], ["/models/a.safetensors"])
        await mine.models.replace([row("b")], [])
        assert said(*await theirs.models.all()) == {"b": ("1", {})}


async def test_a_correction_outlives_a_new_reading_and_a_time_without_the_file(ledger: Ledger) -> None:
    await ledger.models.replace([row("a")], [])
    await ledger.models.correct("/models/a.safetensors", {"family": "pony", "title": "Mine"})
    await ledger.models.replace([row("a", "2")], [])
    assert said(*await ledger.models.all()) == {"a": ("2", {"family": "pony", "title": "Mine"})}

    await ledger.models.replace([], ["/models/a.safetensors"])
    assert await ledger.models.all() == []
    assert await ledger.models.correct("/models/a.safetensors", {"family": "sdxl"}) is None
    await ledger.models.replace([row("a", "3")], [])
    assert said(*await ledger.models.all()) == {"a": ("3", {"family": "pony", "title": "Mine"})}


async def test_a_correction_is_taken_back_with_an_empty_word(ledger: Ledger) -> None:
    await ledger.models.replace([row("a")], [])
    first = await ledger.models.correct("/models/a.safetensors", {"family": "pony", "kind": "vae"})
    then = await ledger.models.correct("/models/a.safetensors", {"family": ""})
    assert first is not None and then is not None
    assert (first.corrections, then.corrections) == ({"family": "pony", "kind": "vae"}, {"kind": "vae"})
    assert then == (await ledger.models.all())[0]
    assert await ledger.models.correct("/models/none", {"family": "pony"}) is None


async def test_a_file_that_is_gone_leaves_no_row_when_nobody_said_anything_of_it(ledger: Ledger, where: Where) -> None:
    await ledger.models.replace([row("a"), row("b")], [])
    await ledger.models.correct("/models/b.safetensors", {"family": "pony"})
    await ledger.models.replace([], ["/models/a.safetensors", "/models/b.safetensors", "/models/never"])
    left = await asyncio.to_thread(rows, where, "SELECT path, body FROM models")
    assert left == [("/models/b.safetensors", "")]


async def test_a_row_of_another_version_is_left_out_and_hides_no_other(where: Where) -> None:
    async with open_ledger(where) as ledger:
        await ledger.models.replace([row("a"), row("b")], [])
    await asyncio.to_thread(with_unknown_field, where, "models", "path = '/models/a.safetensors'")
    async with open_ledger(where) as later:
        assert said(*await later.models.all()) == {"b": ("1", {})}
        await later.models.replace([row("a", "2")], [])
        assert said(*await later.models.all()) == {"a": ("2", {}), "b": ("1", {})}


# what the judges said


def attempt(number: int, passed: bool | None) -> Attempt:
    return Attempt(
        number=number,
        recipe=RECIPE,
        key=f"{number}.png",
        media_type="image/png",
        width=64,
        height=64,
        model="",
        verdicts=() if passed is None else (Verdict(judge="clip", passed=passed, score=0.2, reason="r"),),
    )


async def judged(ledger: Ledger, verdicts: list[bool | None], *items: Item) -> None:
    attempts = tuple(attempt(number, passed) for number, passed in enumerate(verdicts, 1))
    job = Job(recipe=RECIPE, outcomes=(Outcome(attempts=attempts, best=1, accepted=None),))
    await ledger.jobs.add(job)
    filed = [one.but(job_id=job.id) for one in items]
    assert await ledger.jobs.save(job, await ledger.jobs.claim(job.id), filed)


async def test_records_count_judged_attempts_and_average_what_was_kept(ledger: Ledger) -> None:
    assert await ledger.models.records() == {}
    await judged(ledger, [False, True, None], item(1, model="Ink.safetensors", score=0.3))
    await judged(ledger, [True], item(2, model="ink.safetensors", score=0.2), item(3, model="ink.safetensors"))
    await judged(ledger, [None], item(4, model="Other"))
    await judged(ledger, [False])

    assert await ledger.models.records() == {
        "ink.safetensors": TrackRecord(judged=3, accepted=2, score=0.25),
    }


async def test_records_follow_the_gallery(ledger: Ledger) -> None:
    await judged(ledger, [True], item(1, model="a", score=0.3))
    assert (await ledger.models.records())["a"].judged == 1
    await judged(ledger, [False], item(2, model="a", score=0.1))
    assert await ledger.models.records() == {"a": TrackRecord(judged=2, accepted=1, score=0.2)}
    await ledger.filing.remove(item(2).id)
    assert await ledger.models.records() == {"a": TrackRecord(judged=1, accepted=1, score=0.3)}
