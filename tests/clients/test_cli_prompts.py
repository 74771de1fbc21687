"""`atelier prompt`: what a person reads, what a program reads, and the exit codes; the desk is a fake."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from clients.cli.prompt_lines import coloured
from tests.clients.prompt_kit import WRITTEN, House, Shown, answer, lines
from workflows.errors import Refused, ServiceTimedOut
from workflows.prompts.answers import written_answer
from workflows.types import HistoryQuery


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


# prompts


def test_a_built_prompt_is_told_with_what_was_added_and_why(house: House, capsys: Shown) -> None:
    options = ["--style", "ink", "--setting", "a wood", "--preset", "pack:start", "--artist", "penn"]
    options += ["--composition", "wide", "--lighting", "dim", "--option", "mood:epic", "--option", "weather:rain"]
    assert house("prompt", "build", "a fox", *options, "--negative", "people", "--model", "pony") == 0

    given = {"style": "ink", "setting": "a wood", "preset": "pack:start", "artist": "penn", "composition": "wide"}
    given |= {"lighting": "dim", "negative": "people", "model": "pony"}
    assert house.desk.asked == [("build", "a fox", given | {"options": ("mood:epic", "weather:rain")})]
    assert lines(capsys) == [
        "masterpiece, a red [fox], sharp focus",
        "added: masterpiece; sharp focus",
        "without: blurry",
        "  masterpiece first: this family was trained on it",
        "for sdxl (ink.safetensors), 9 of 75 tokens, with style:ink, written by rules",
        "The language model did not answer.",
    ]


def test_what_was_added_is_coloured_and_what_the_user_said_is_not() -> None:
    assert coloured(WRITTEN.prompt, WRITTEN.added) == (
        r"[cyan]masterpiece[/cyan][bold], a red \[fox], [/bold][cyan]sharp focus[/cyan]"
    )
    assert coloured("a bobcat, concatenated, cat", ("cat",)) == "[bold]a bobcat, concatenated, [/bold][cyan]cat[/cyan]"
    assert coloured("赤い猫と夜景", ("夜景",)) == "[bold]赤い猫と[/bold][cyan]夜景[/cyan]"
    assert coloured("an ink drawing, ink", ("ink", "ink drawing")) == (
        "[bold]an [/bold][cyan]ink drawing[/cyan][bold], [/bold][cyan]ink[/cyan]"
    )
    assert coloured("", ("", "gone")) == ""


def test_an_enhanced_prompt_is_told_and_in_json_it_is_the_answer_of_the_tool(house: House, capsys: Shown) -> None:
    options = [
        "--model",
        "flux",
        "--style",
        "anime",
        "-p",
        "ink",
        "-p",
        "mood:epic",
        "-n",
        "people",
        "--writer",
        "rules",
    ]
    assert house("prompt", "enhance", "a fox", *options) == 0
    given = {
        "model": "flux",
        "style": "anime",
        "presets": ("ink", "mood:epic"),
        "negative": "people",
        "writer": "rules",
    }
    assert house.desk.asked == [("enhance", "a fox", given, False)]
    assert lines(capsys)[0] == WRITTEN.prompt

    assert house("prompt", "enhance", "a fox", "--json") == 0
    assert answer(capsys) == json.loads(json.dumps(written_answer(WRITTEN)))


def test_a_negative_and_a_report_are_told(house: House, capsys: Shown) -> None:
    assert house("prompt", "negative", "sd15", "--prompt", "a fox") == 0
    assert lines(capsys) == ["blurry, [text]", "sd15: it reads one"]
    assert house("prompt", "negative", "--json") == 0
    assert answer(capsys)["negative_prompt"] == "blurry, [text]"
    assert house("prompt", "analyze", "a fox", "--model", "flux") == 0
    assert lines(capsys) == [
        "flux-dev: sentences, 7 tokens",
        "subject      fox",
        "medium       photo, film",
        "left open    lighting",
        "weights: leave them out",
    ]
    assert house("prompt", "analyze", "a fox", "--json") == 0
    assert answer(capsys)["missing"] == ["lighting"]
    calls = [("negative", "sd15", "a fox"), ("negative", "sd15", ""), ("analyze", "a fox", "flux")]
    assert house.desk.asked == [*calls, ("analyze", "a fox", "auto")]


def test_the_writers_are_listed_and_the_configured_ones_marked(house: House, capsys: Shown) -> None:
    assert house("prompt", "writers") == 0
    assert lines(capsys) == ["✓ ollama/qwen3", "  ollama/other"]
    assert house("prompt", "writers", "--json") == 0
    assert answer(capsys) == {"writers": ["ollama/qwen3", "ollama/other"], "configured": ["ollama/qwen3"]}


@pytest.mark.parametrize(
    ("fault", "code", "name"),
    [(ServiceTimedOut("no answer within 120 s"), 1, "service_timed_out"), (Refused("not this"), 1, "refused")],
)
def test_what_goes_wrong_is_told_with_its_exit_code(
    house: House, capsys: Shown, fault: Exception, code: int, name: str
) -> None:
    house.desk.fault = fault
    assert house("prompt", "enhance", "a fox") == code
    assert str(fault) in capsys.readouterr().err
    assert house("prompt", "enhance", "a fox", "--json") == code
    assert answer(capsys) == {"status": "failed", "error": {"code": name, "message": str(fault)}}


# conversations


def test_one_message_is_answered_with_the_way_to_go_on(house: House, capsys: Shown) -> None:
    options = ["--conversation", "talk", "--model", "pony", "--preset", "ink", "--reset", "--writer", "model"]
    assert house("prompt", "chat", "make it night", *options) == 0
    given = {"conversation_id": "talk", "model": "pony", "presets": ("ink",), "reset": True, "writer": "model"}
    assert house.desk.asked == [("converse", "make it night", given)]
    shown = lines(capsys)
    assert shown[:2] == ["The conversation began anew: asked.", "prompt of make it night"]
    assert shown[-2:] == ["Shall it [rain]?", "To go on: atelier prompt chat --conversation talk"]

    assert house("prompt", "chat", "make it night", "--json") == 0
    told = answer(capsys)
    assert (told["conversation_id"], told["turn"], told["prompt"]) == ("talk", 3, "prompt of make it night")


def test_a_conversation_is_reset_by_its_id(house: House, capsys: Shown) -> None:
    assert house("prompt", "chat", "--reset", "--conversation", "talk") == 0
    assert "What was said in talk is forgotten" in capsys.readouterr().out
    assert house("prompt", "chat", "--reset", "--conversation", "talk", "--json") == 0
    assert answer(capsys) == {"reset": "talk"}
    assert house("prompt", "chat", "--reset", "--conversation", "never") == 1
    assert house("prompt", "chat", "--reset") == 2


def test_without_a_message_it_needs_a_terminal(house: House, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert house("prompt", "chat") == 2
        assert house("prompt", "chat", "--json") == 2
    assert "needs a terminal" in capsys.readouterr().err
    assert house.desk.asked == []


AT_A_TERMINAL = """
import sys
from pathlib import Path
from tests.clients.prompt_kit import FakeDesk, House

house = House(Path(sys.argv[1]), FakeDesk(pieces=["a red", "a red [fox]"]))
sys.exit(house(*sys.argv[2:]))
"""


def at_a_terminal(home: Path, arguments: Iterable[str], *typed: str) -> tuple[int, str, str]:
    """Exit code, stdout, and what the terminal showed; each of `typed` is typed when it is asked for."""
    ours, theirs = os.openpty()
    program = [sys.executable, "-c", AT_A_TERMINAL, str(home), *arguments]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
    shown = b""
    with subprocess.Popen(program, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        for number, text in enumerate(typed, 1):
            while shown.count(b"> ") < number and (heard := _heard(ours, 30)):
                shown += heard
            process.send_signal(signal.SIGINT) if text == "^C" else os.write(ours, text.encode())
        while heard := _heard(ours, 30):
            shown += heard
        told = process.communicate(timeout=30)[0].decode()
    os.close(ours)
    return process.returncode, told, shown.decode()


def _heard(terminal: int, seconds: float) -> bytes:
    """What it shows next; nothing when that takes too long, or when the program is gone."""
    try:
        return os.read(terminal, 4096) if select.select([terminal], [], [], seconds)[0] else b""
    except OSError:
        return b""


needs_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")


@needs_a_terminal
@pytest.mark.parametrize("end", ["\n", "\x04", "^C"])
def test_a_conversation_at_a_terminal_goes_on_until_it_is_ended(tmp_path: Path, end: str) -> None:
    code, told, shown = at_a_terminal(tmp_path, ["prompt", "chat"], "make it night\n", "bad\n", "add a dog\n", end)

    assert code == 0
    assert [line for line in told.splitlines() if line.startswith(("prompt of", "To go on"))] == [
        "prompt of make it night",
        "prompt of add a dog",
        "To go on: atelier prompt chat --conversation talk",
    ]
    assert "Refused" not in told and "not this" in shown


@needs_a_terminal
def test_a_conversation_that_is_interrupted_in_an_answer_says_how_to_go_on(tmp_path: Path) -> None:
    code, told, shown = at_a_terminal(tmp_path, ["prompt", "chat"], "add a dog\n", "hang\n", "^C")
    assert (code, told.splitlines()[-1]) == (130, "To go on: atelier prompt chat --conversation talk")
    assert "Interrupted." in shown


@needs_a_terminal
def test_a_conversation_that_is_taken_up_again_shows_what_was_said_last(tmp_path: Path) -> None:
    code, told, _ = at_a_terminal(tmp_path, ["prompt", "chat", "--conversation", "talk"], "\n")
    assert (code, told.splitlines()[:2]) == (0, ["you hello [there]", "prompt a fox"])
    code, told, shown = at_a_terminal(tmp_path, ["prompt", "chat", "--conversation", "never"])
    assert (code, told) == (1, "")
    assert "There is no conversation" in shown


@needs_a_terminal
def test_at_a_terminal_the_prompt_is_shown_while_it_is_written(tmp_path: Path) -> None:
    code, told, shown = at_a_terminal(tmp_path, ["prompt", "enhance", "a fox"])
    assert (code, told.splitlines()[0]) == (0, WRITTEN.prompt)
    assert "a red [fox]" in shown


# history


def test_the_history_is_listed_searched_and_paged(house: House, capsys: Shown) -> None:
    assert house("prompt", "history", "red fox", "--limit", "2", "--cursor", "here") == 0
    assert house.desk.asked == [("history", HistoryQuery(query="red fox", limit=2, cursor="here"))]
    first, second, last = lines(capsys)
    assert first.startswith("e2  2026-") and first.endswith("chat sdxl rules  a fox → nobody [answers]")
    assert second.endswith("a fox → a red fox")
    assert last == "2 of 9; more: --cursor next"

    assert house("prompt", "history", "none") == 0
    assert lines(capsys) == ["Nothing with these words."]
    assert house("prompt", "history", "--json") == 0
    told = answer(capsys)
    assert ([row["id"] for row in told["prompts"]], told["cursor"], told["total"]) == (["e2", "e1"], "next", 9)
    assert house("prompt", "history", "--limit", "0") == 2


def test_an_entry_of_the_history_is_deleted_by_its_id(house: House, capsys: Shown) -> None:
    assert house("prompt", "history", "--delete", "e1") == 0
    assert lines(capsys) == ["Deleted e1."]
    assert house("prompt", "history", "--delete", "e1", "--json") == 0
    assert answer(capsys)["deleted"]["id"] == "e1"
    assert house("prompt", "history", "--delete", "e") == 1
    assert "`atelier prompt history` lists them" in capsys.readouterr().err


def test_the_help_needs_neither_the_desk_nor_a_database() -> None:
    program = (
        "import sys\n"
        "from clients.cli import Parts, run\n"
        "parts = Parts(open_app=None, examine=list, serve=print, version='1')\n"
        "assert run(['prompt', '--help'], parts) == run(['presets', 'list', '--help'], parts) == 0\n"
        "later = ('workflows.prompts.desk', 'sqlalchemy', 'inflect')\n"
        "print([name for name in later if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
