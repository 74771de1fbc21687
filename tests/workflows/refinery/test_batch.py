"""Batches: many briefs, a few at a time, under one budget, into a folder that is rebuilt when it is damaged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clients.ledger_kit import rows
from tests.fakes import FakeEngine
from tests.workflows.refinery.kit import FakeEvaluator, House, Said, brief, house, seen
from utils.images import decode, sha256
from workflows.errors import BadRecipe, BudgetSpent, RenderFailed
from workflows.refinery.batch import Batch, Ended, Step
from workflows.spending import Budget, account
from workflows.types import Brief, Call, Evaluation, FamilyProfile, Media

TWO = (brief(1), brief(2, title="Zwei"))


@dataclass(kw_only=True)
class PaidEvaluator(FakeEvaluator):
    """Each look costs ten cents; counts how many are looked at at once."""

    at_once: int = 0
    most: int = 0
    three: asyncio.Event = field(default_factory=asyncio.Event)
    says: list[Said] = field(default_factory=lambda: list[Said]([seen(5)]))

    async def evaluate(self, picture: Media, prompt: str, profile: FamilyProfile) -> Evaluation:
        budget = account().budget
        if budget is not None:
            budget.reserve("a look", 0.1)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        if self.at_once == 3:
            self.three.set()
        try:
            await asyncio.sleep(0)
            return await super().evaluate(picture, prompt, profile)
        finally:
            self.at_once -= 1


def batch(at: House, home: Path, **changes: Any) -> Batch:
    facts: dict[str, Any] = {"output": home / "out", "iterations": 2, "run_id": "run", "batch_size": 2}
    return Batch(refinery=at.refinery, **facts | changes)


async def run(home: Path, briefs: Sequence[Brief] = TWO, *, resume: bool = False, **changes: Any) -> Ended:
    """A batch in a process of its own."""
    parts: dict[str, Any] = {"evaluators": [FakeEvaluator()]}
    parts |= {name: changes.pop(name) for name in ("engine", "evaluators") if name in changes}
    async with house(home, **parts) as at:
        return await batch(at, home, **changes).run(briefs, resume=resume)


def files(home: Path) -> dict[str, bytes]:
    out = home / "out"
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def read(home: Path, name: str) -> dict[str, Any]:
    return json.loads((home / "out" / name).read_bytes())


async def test_everything_that_came_of_a_batch_lies_in_its_folder(tmp_path: Path) -> None:
    look, steps = FakeEvaluator(says=[seen(4, missing=["the hat"]), seen(6), seen(9, passed=True)]), list[Step]()
    async with house(tmp_path, evaluators=[look]) as at:
        at.ledger.calls.record(Call(service="fal", operation="render", run_id="run", cost=0.25))
        ended = await batch(at, tmp_path, batch_size=1, report=steps.append).run(TWO)
        for one in [one for refinement in ended.refinements for one in refinement.rounds]:
            item = await at.gallery.find(one.image_id or "")
            folder = "brief-1" if one in ended.refinements[0].rounds else "brief-2"
            shown = (tmp_path / "out/results" / folder / f"iteration_{one.number}.png").read_bytes()
            assert sha256(shown) == item.sha256 and decode(shown).size == (item.width, item.height)

    kinds = [".png", "_evaluation.json", "_results.json", "_results.yaml"]
    assert sorted(files(tmp_path)) == sorted(
        [
            "contact_sheet.png",
            "run.json",
            "summary.json",
            *(f"results/brief-1/iteration_{number}{kind}" for number in (1, 2) for kind in kinds),
            *(f"results/brief-2/iteration_1{kind}" for kind in kinds),
            "results/brief-1/summary.json",
            "results/brief-2/summary.json",
        ]
    )
    told = read(tmp_path, "results/brief-1/iteration_1_results.json")
    assert told == yaml.safe_load((tmp_path / "out/results/brief-1/iteration_1_results.yaml").read_text("utf-8"))
    assert (told["score"], told["missing"], told["image"]) == (4.0, ["the hat"], "iteration_1.png")
    assert told["refined_prompt"] == read(tmp_path, "results/brief-1/iteration_2_results.json")["prompt"]
    assert read(tmp_path, "results/brief-1/iteration_1_evaluation.json")["text"] == "It scores 4."
    summary = read(tmp_path, "summary.json")
    assert summary == json.loads(json.dumps(ended.summary))
    names = ("prompts", "states", "accepted", "rounds", "pictures", "calls", "cost", "stopped")
    assert [summary[name] for name in names] == [2, {"succeeded": 2}, 1, 3, 3, 1, 0.25, ""]
    assert decode((tmp_path / "out/contact_sheet.png").read_bytes()).width > 400
    assert set(look.accounts) == {("run", "brief-1"), ("run", "brief-2")}
    assert (steps[-1].done, steps[-1].total, steps[-1].progress.fraction) == (2, 2, 1.0)
    assert any("Iteration 2 of 2: drawing" in step.progress.message for step in steps)


async def test_at_most_so_many_are_in_work_at_once(tmp_path: Path) -> None:
    look, gate = PaidEvaluator(), asyncio.Event()
    look.gate = gate
    async with house(tmp_path, evaluators=[look]) as at:
        running = asyncio.create_task(batch(at, tmp_path, batch_size=3).run([brief(number) for number in range(7)]))
        await look.three.wait()
        assert len(at.refinery.active()) == 3
        gate.set()
        ended = await running
    assert look.most == 3 and [one.state for one in ended.refinements] == ["succeeded"] * 7


async def test_a_spent_budget_stops_before_the_call_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    look, engine = PaidEvaluator(), FakeEngine()
    budget = Budget(max_cost=0.25)
    three = (*TWO, brief(3))
    stopped = await run(tmp_path, three, evaluators=[look], engine=engine, budget=budget, batch_size=1)
    assert "$0.05 of $0.25 are left" in stopped.stopped and stopped.summary["stopped"] == stopped.stopped
    assert len(look.prompts) == 2 and budget.cost == pytest.approx(0.2)  # pyright: ignore[reportUnknownMemberType]
    assert [one.state for one in stopped.refinements] == ["succeeded", "interrupted"]  # the third is not begun
    assert stopped.refinements[0].best is not None and "results/brief-1/iteration_2.png" in files(tmp_path)

    ended = await run(tmp_path, three, resume=True, evaluators=[look], engine=engine, budget=Budget(max_calls=4))
    assert (ended.stopped, [one.state for one in ended.refinements]) == ("", ["succeeded"] * 3)
    assert (len(look.prompts), len(engine.recipes)) == (6, 6)


async def test_a_budget_that_the_engine_spent_is_no_failed_round(tmp_path: Path) -> None:
    engine = FakeEngine(errors=[BudgetSpent("One more picture costs $1.")])
    stopped = await run(tmp_path, [brief()], engine=engine)
    assert (stopped.stopped, stopped.refinements[0].state) == ("One more picture costs $1.", "interrupted")
    assert [(one.stage, one.job_id) for one in stopped.refinements[0].rounds] == [("drawing", None)]
    ended = await run(tmp_path, [brief()], resume=True, engine=engine)
    assert [one.image_id is not None for one in ended.refinements[0].rounds] == [True, True]


async def test_going_on_with_what_is_done_asks_nobody_and_mends_the_files(tmp_path: Path) -> None:
    await run(tmp_path)
    before = files(tmp_path)
    results = tmp_path / "out/results/brief-1"
    (results / "iteration_1.png").write_bytes(before["results/brief-1/iteration_1.png"][:-9] + b"x" * 9)
    (results / "iteration_2.png").unlink()
    (results / "iteration_1_results.json").write_text("{", encoding="utf-8")
    (results / "iteration_2_evaluation.json").unlink()
    (results / ".iteration_1.png.part").write_bytes(b"half")
    (tmp_path / "out/run.json").write_bytes(b"\0")

    engine, look = FakeEngine(), FakeEvaluator()
    await run(tmp_path, resume=True, engine=engine, evaluators=[look], run_id="")
    assert (engine.recipes, look.prompts) == ([], [])
    after = files(tmp_path)
    assert after.pop("run.json") != before.pop("run.json") and after == before


async def test_more_iterations_go_on_from_the_last_one(tmp_path: Path) -> None:
    await run(tmp_path, [brief()])
    engine, look = FakeEngine(), FakeEvaluator(says=[seen(9, passed=True)])
    ended = await run(tmp_path, [brief()], resume=True, engine=engine, evaluators=[look], iterations=4)
    rounds = ended.refinements[0].rounds
    assert ([one.number for one in rounds], len(engine.recipes), ended.refinements[0].best) == ([1, 2, 3], 1, 3)
    assert rounds[1].refined == rounds[2].prompt == engine.recipes[0].prompt


async def test_a_changed_brief_is_a_new_version_a_new_one_is_added_and_the_rest_goes_on(tmp_path: Path) -> None:
    await run(tmp_path)
    engine = FakeEngine()
    changed = (TWO[0], TWO[1].but(prompt="a blue square"), brief(3))
    ended = await run(tmp_path, changed, resume=True, engine=engine)
    drawn = {one.prompt.removeprefix("The picture clearly shows ") for one in engine.recipes}
    assert len(engine.recipes) == 4 and "a blue square" in drawn
    assert [len(one.rounds) for one in ended.refinements] == [2, 2, 2]
    query = "SELECT brief_id, version, prompts.prompt FROM prompts JOIN refinements ON seq = refinement ORDER BY 1, 2"
    assert rows(tmp_path / "atelier.db", query) == [
        ("brief-1", 1, TWO[0].prompt),
        ("brief-2", 1, TWO[1].prompt),
        ("brief-2", 2, "a blue square"),
        ("brief-3", 1, TWO[0].prompt),
    ]


async def test_a_brief_that_fails_ends_no_other_and_tries_again_on_resume(tmp_path: Path) -> None:
    bad = brief(2, prompt="a nude child")
    engine = FakeEngine(errors=[RenderFailed("broken"), RenderFailed("broken")])
    ended = await run(tmp_path, [brief(1), bad, brief(3)], engine=engine, batch_size=1)
    assert [one.state for one in ended.refinements] == ["failed", "failed", "succeeded"]
    assert ended.refinements[0].fault == "broken" and ended.refinements[1].fault.startswith("Refused")
    assert ended.summary["states"] == {"failed": 2, "succeeded": 1}
    again = await run(tmp_path, [brief(1), bad, brief(3)], resume=True)
    assert [one.state for one in again.refinements] == ["succeeded", "failed", "succeeded"]
    assert [one.number for one in again.refinements[0].rounds] == [1, 2]


async def test_a_stop_leaves_all_files_up_to_date_and_all_resumable(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), held_from=2)
    async with house(tmp_path, engine=engine, evaluators=[FakeEvaluator()]) as at:
        running = asyncio.create_task(batch(at, tmp_path, batch_size=1).run(TWO))
        await engine.started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert at.refinery.active() == []
    assert read(tmp_path, "summary.json")["states"] == {"interrupted": 1}
    assert "results/brief-1/iteration_1_evaluation.json" in files(tmp_path)

    again, look = FakeEngine(), FakeEvaluator()
    ended = await run(tmp_path, resume=True, engine=again, evaluators=[look])
    assert [one.state for one in ended.refinements] == ["succeeded"] * 2
    assert (len(again.recipes), len(look.prompts)) == (3, 3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"resume": True, "run_id": ""}, "it holds no run to go on with"),
        ({"batch_size": 0}, "it is 1 to 50"),
        ({"iterations": 11}, "it is 1 to 10"),
        ({"run_id": "../x"}, "letters, digits"),
        ({"evaluator": "gpt"}, "it is auto, fake"),
        ({"briefs": []}, "at least one"),
    ],
)
async def test_what_cannot_be_run_is_said_at_once(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRecipe, match=words):
        await run(tmp_path, **given)


async def test_no_run_is_begun_over_another(tmp_path: Path) -> None:
    await run(tmp_path, [brief()])
    with pytest.raises(BadRecipe, match="it holds the run run; go on with that by --resume"):
        await run(tmp_path, [brief()])
    with pytest.raises(BadRecipe, match="the folder holds the run run"):
        await run(tmp_path, [brief()], resume=True, run_id="other")
    with pytest.raises(BadRecipe, match="there is a run of that name"):
        await run(tmp_path, [brief()], output=tmp_path / "elsewhere")
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(BadRecipe, match="it cannot be written"):
        await run(tmp_path, [brief()], output=tmp_path / "taken", run_id="third")


async def test_a_run_that_another_process_has_in_hand_is_left_to_it(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with house(tmp_path, engine=engine, evaluators=[FakeEvaluator()]) as at:
        running = asyncio.create_task(batch(at, tmp_path).run([brief()]))
        await engine.started.wait()
        with pytest.raises(BadRecipe, match="another Atelier process is running it"):
            await run(tmp_path, [brief()], resume=True)
        running.cancel()
        await asyncio.wait({running})
