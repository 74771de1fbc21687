"""`atelier batch`, `evaluate`, `refine`, `stats`: what a person reads, what a program reads, and the exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from clients.cli import Parts, run
from clients.cli.looking import engine_line
from clients.cli.refining import Board
from clients.ledger import open_ledger
from tests.fakes import FakeEngine, FakeJudge, fake_app, png
from workflows.errors import OutOfMemory
from workflows.refinery.batch import Step
from workflows.types import Brief, Call, Progress, Refinement, now

Command = Callable[..., int]
Shown = pytest.CaptureFixture[str]
TWO = "- {id: fox, title: The fox, prompt: a fox}\n- {id: owl, prompt: an owl}\n"


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.yaml"
    path.write_text(TWO, encoding="utf-8")
    return path


def command(home: Path, engine: FakeEngine | None = None, judge: FakeJudge | None = None) -> Command:
    parts = Parts(
        open_app=lambda: fake_app(home / "home", engine=engine, judge=judge),
        examine=lambda: [],
        serve=lambda arguments: None,
        version="1.2.3",
    )
    return lambda *arguments: run(arguments, parts)


def batch(home: Path, prompts: Path, *further: str, **fakes: object) -> int:
    given = ("--input-file", str(prompts), "--output-dir", str(home / "out"), *further)
    return command(home, **fakes)("batch", *given)  # pyright: ignore[reportArgumentType]


def test_a_batch_tells_each_prompt_and_what_came_of_all(prompts: Path, tmp_path: Path, capsys: Shown) -> None:
    assert batch(tmp_path, prompts, "--batch-size", "1") == 0
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        "1 of 2: fox succeeded after 1 round, score 0.3",
        "2 of 2: owl succeeded after 1 round, score 0.3",
    ]
    assert "2 of 2 accepted, 2 pictures, 2 rounds, 0 calls" in shown.out
    assert (tmp_path / "out/results/fox/iteration_1.png").is_file()


def test_a_batch_in_json_is_its_summary_alone(prompts: Path, tmp_path: Path, capsys: Shown) -> None:
    judge = FakeJudge(scores=[0.1])
    assert batch(tmp_path, prompts, "--json", "--iterations", "2", "--run-id", "night", judge=judge) == 3
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["run_id"], told["accepted"], told["states"]) == ("night", 0, {"succeeded": 2})
    assert shown.err == ""


def test_a_second_run_needs_resume_and_repeats_nothing(prompts: Path, tmp_path: Path, capsys: Shown) -> None:
    assert batch(tmp_path, prompts) == 0
    assert batch(tmp_path, prompts) == 2
    assert "go on with that by --resume" in capsys.readouterr().err
    (tmp_path / "out/results/fox/iteration_1.png").write_bytes(b"damaged")
    (tmp_path / "out/summary.json").unlink()
    engine = FakeEngine()
    assert batch(tmp_path, prompts, "--resume", engine=engine) == 0
    assert engine.recipes == []
    assert (tmp_path / "out/results/fox/iteration_1.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "out/summary.json").is_file()


def test_a_prompt_that_fails_is_code_one_and_told_with_its_reason(prompts: Path, tmp_path: Path, capsys: Shown) -> None:
    engine = FakeEngine(errors=[OutOfMemory("needs 9 GB")] * 9)
    assert batch(tmp_path, prompts, engine=engine) == 1
    assert "owl: needs 9 GB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[{", "it is no YAML of plain values"),
        ("- {id: a, prompt: x, options: {stepz: 3}}", "there is no such argument; did you mean steps"),
        ("- {id: a, prompt: x}\n- {id: A, prompt: y}", "is the id of prompts[0] already"),
        ("- {id: ../a, prompt: 5}", "cannot be a folder's name"),
    ],
)
def test_faults_of_the_file_are_named_before_anything_is_drawn(
    text: str, words: str, tmp_path: Path, capsys: Shown
) -> None:
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    engine = FakeEngine()
    assert batch(tmp_path, tmp_path / "bad.yaml", engine=engine) == 2
    assert words in capsys.readouterr().err
    assert engine.recipes == [] and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (("--evaluator", "gemini"), "gemini needs GEMINI_API_KEY"),
        (("--batch-size", "0"), "batch_size cannot be 0"),
        (("--iterations", "99"), "iterations cannot be 99"),
        (("--run-id", "../x"), "run_id cannot be '../x'"),
    ],
)
def test_what_cannot_be_begun_is_told_and_leaves_nothing(
    further: tuple[str, ...], words: str, prompts: Path, tmp_path: Path, capsys: Shown
) -> None:
    assert batch(tmp_path, prompts, *further) == 2
    assert words in capsys.readouterr().err
    assert list((tmp_path / "home").rglob("*.log")) == []


def test_the_log_of_a_run_has_a_line_of_json_for_each_step(prompts: Path, tmp_path: Path) -> None:
    assert batch(tmp_path, prompts, "--run-id", "night", "--batch-size", "1") == 0
    lines = [json.loads(line) for line in (tmp_path / "home/logs/night.log").read_text("utf-8").splitlines()]
    assert [line["event"] for line in lines if line.get("brief_id") in {None, "fox"}] == [
        "batch of 2 begins",
        "round 1: drawing done",
        "round 1: evaluating done",
        "fox succeeded",
        "batch ended",
    ]
    assert {line["run_id"] for line in lines} == {"night"}


CONTROL_C = """
import os, signal, sys
from pathlib import Path
from clients.cli import Parts, run
from tests.fakes import FakeEngine, fake_app

class Engine(FakeEngine):
    async def render(self, *given):
        if len(self.recipes) == 1 and len(sys.argv) > 2:
            os.kill(os.getpid(), signal.SIGINT)
        return await super().render(*given)

home = Path(sys.argv[1])
open_app = lambda: fake_app(home / "home", engine=Engine())
given = ["batch", "--input-file", str(home / "prompts.yaml"), "--output-dir", str(home / "out"), "--batch-size", "1"]
parts = Parts(open_app=open_app, examine=lambda: [], serve=lambda given: None, version="1")
sys.exit(run(given, parts))
"""


def test_control_c_is_code_130_and_says_how_to_go_on(prompts: Path, tmp_path: Path, capsys: Shown) -> None:
    program = [sys.executable, "-c", CONTROL_C, str(tmp_path), "stop"]
    stopped = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (stopped.returncode, signal.SIGINT) == (130, 2), stopped.stderr
    assert f"Go on: --output-dir {tmp_path / 'out'} --resume" in stopped.stderr
    states = json.loads((tmp_path / "out/summary.json").read_bytes())["states"]
    assert states == {"succeeded": 1, "interrupted": 1}
    assert batch(tmp_path, prompts, "--resume") == 0


def test_bars_show_the_prompts_in_work_and_each_end_once(tmp_path: Path) -> None:
    seen = list[str]()
    board = Board(2, tell=seen.append)
    fox = Refinement.checked(brief=Brief(id="fox", prompt="a fox"), state="running")
    board.show(Step(done=0, total=2, refinement=fox, progress=Progress(fraction=0.2, message="Iteration 1 of 3")))
    assert [task.description for task in board.each.tasks] == ["fox: Iteration 1 of 3"]
    board.show(Step(done=1, total=2, refinement=fox.but(state="succeeded"), progress=Progress(fraction=1)))
    assert (board.each.tasks, board.whole.tasks[0].completed, seen) == ([], 1, ["fox succeeded after 0 rounds"])


# the parts alone


def test_a_picture_is_put_into_words(tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "cat.png").write_bytes(png(64, 64))
    picture = str(tmp_path / "cat.png")
    assert command(tmp_path)("evaluate", picture, "--prompt", "a cat") == 0
    assert "by clip" in capsys.readouterr().out
    low = command(tmp_path, judge=FakeJudge(scores=[0.1]))
    assert low("evaluate", picture, "--prompt", "a cat", "--json") == 3
    assert json.loads(capsys.readouterr().out)["passed"] is False


def test_what_is_no_picture_is_told(tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "text.png").write_bytes(b"text")
    assert command(tmp_path)("evaluate", str(tmp_path / "text.png")) == 2
    assert command(tmp_path)("evaluate", "nothere.png") == 2
    said = capsys.readouterr().err
    assert "must be a whole PNG" in said and "there is no such file" in said


def test_a_prompt_is_reworded_by_what_was_seen(tmp_path: Path, capsys: Shown) -> None:
    assert command(tmp_path)("refine", "a dog", "--evaluation", "the ball is missing") == 0
    assert capsys.readouterr().out.splitlines()[0] == "a dog. The picture clearly shows ball."
    assert command(tmp_path)("refine", "a dog", "--evaluation", "x", "--model", "nobody") == 2


async def calls_in(home: Path) -> None:
    async with open_ledger(home / "atelier.db") as ledger:
        ledger.calls.record(Call(service="fal", operation="render", model="m", seconds=2, cost=0.02))
        failed = Call(service="fal", operation="render", model="m", status="failed", error="[red]No.", seconds=4)
        ledger.calls.record(failed)
        ledger.calls.record(failed.but(id="old", error="Old.", created=now() - timedelta(days=40)))
        await ledger.calls.stats()  # which knows what was recorded before


def test_statistics_tell_services_runs_and_failures(tmp_path: Path, capsys: Shown) -> None:
    import asyncio

    assert command(tmp_path)("stats") == 0
    assert "No service was asked" in capsys.readouterr().out
    asyncio.run(calls_in(tmp_path / "home"))
    assert command(tmp_path)("stats", "--days", "7") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1].split() == ["fal", "render", "m", "2", "1", "3.00", "s", "4.00", "s", "$0.02"]
    assert "[red]No." in shown.err and "Old." not in shown.err
    assert command(tmp_path)("stats", "--json", "--failures", "9") == 0
    assert len(json.loads(capsys.readouterr().out)["failures"]) == 2


def test_a_batch_forgets_failed_calls_that_are_older_than_a_month(prompts: Path, tmp_path: Path, capsys: Shown) -> None:
    import asyncio

    asyncio.run(calls_in(tmp_path / "home"))
    assert batch(tmp_path, prompts) == 0
    assert command(tmp_path)("stats", "--json", "--failures", "9") == 0
    told = capsys.readouterr().out
    assert [one["error"] for one in json.loads(told[told.index("{") :])["failures"]] == ["[red]No."]


def test_status_tells_in_passing_of_an_engine_that_nobody_set_up() -> None:
    engine = {"name": "fal", "detail": "It needs a key.", "available": False, "set_up": False}
    assert engine_line(engine) == "[dim]· engine fal: It needs a key.[/dim]"
    assert engine_line(engine | {"set_up": True}) == "[red]✗[/red] engine fal: It needs a key."
