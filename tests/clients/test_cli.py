"""The command line on a fake engine: what it prints, what it returns, what it leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clients.cli import Parts, run
from clients.config import load_settings
from clients.doctor import Finding
from clients.wiring import open_app
from tests.fakes import FakeEngine, FakeGraphs, FakeJudge, fake_app, mask_png, png
from workflows.errors import OutOfMemory
from workflows.types import LoraUse, Problem, ServerStatus, TemplateInfo

Command = Callable[..., int]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def command(
    home: Path, engine: FakeEngine | None = None, judge: FakeJudge | None = None, graphs: FakeGraphs | None = None
) -> Command:
    served: list[str] = []
    parts = Parts(
        open_app=lambda: fake_app(home, engine=engine, judge=judge, graphs=graphs),
        examine=lambda: [Finding(name="Disk", ok=False, detail="full", next_step="Free some space.")],
        serve=served.extend,
        version="1.2.3",
    )
    return lambda *arguments: run(arguments, parts)


def test_a_prompt_alone_makes_a_judged_picture(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(home)("a red circle") == 0
    shown = capsys.readouterr().out
    assert "Image passed validation" in shown
    [picture] = home.rglob("*.png")
    assert str(picture) in shown


def test_json_is_the_answer_of_the_tool_and_nothing_else(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(home)("a red circle", "--json", "--seed", "7") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["metadata"]["seed"], answer["validation"]["passed"]) == ("success", 7, True)


def test_options_may_stand_before_the_prompt(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(home)("--no-validate", "--json", "a red circle") == 0
    assert "validation" not in json.loads(capsys.readouterr().out)


def test_a_picture_the_judge_refused_is_code_three_and_still_delivered(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "circle.png"
    assert command(home, judge=FakeJudge(scores=[0.1]))("a circle", "--output", str(target)) == 3
    assert target.read_bytes().startswith(b"\x89PNG")


def test_a_preset_tells_what_was_drawn_and_why(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = FakeEngine()
    assert command(home, engine)("a lighthouse", "--preset", "watercolor", "--preset", "mood:epic") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert engine.recipes[0].prompt.split(",")[0].split(".")[0] in shown.partition("drawn as: ")[2]
    assert "took up Watercolor" in shown and "took up Epic" in shown
    assert command(home)("a lighthouse", "--preset", "watercolour-ish") == 1


def test_several_pictures_get_numbered_copies(home: Path, tmp_path: Path) -> None:
    assert command(home)("a circle", "--count", "2", "-o", str(tmp_path / "c.png")) == 0
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["c-2.png", "c.png"]


def test_a_file_of_the_user_can_be_the_input(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.png").write_bytes(png(128, 64))
    (tmp_path / "text.png").write_bytes(b"not a picture")
    assert command(home)("blue", "--image", str(tmp_path / "mine.png"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["denoise"] == 0.7
    assert command(home)("blue", "--image", str(tmp_path / "text.png")) == 2
    assert "input_image" in capsys.readouterr().err


def test_a_failed_render_is_code_one_with_the_engines_words(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(home, FakeEngine(errors=[OutOfMemory("needs 9 GB")]))("a circle") == 1
    assert "needs 9 GB" in capsys.readouterr().err


def test_an_error_is_json_where_json_was_asked_for(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(home)("a circle", "--model", "m", "--engine", "nobody", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["error"]["code"]) == ("failed", "not_found")
    assert "nobody" in answer["error"]["message"]


@pytest.mark.parametrize("arguments", [("x", "--width", "513"), ("x", "--nonsense"), ("x", "--quality", "best")])
def test_wrong_arguments_are_code_two_and_named(
    arguments: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(home)(*arguments) == 2
    assert arguments[1].removeprefix("--") in capsys.readouterr().err


def test_markup_in_a_prompt_is_shown_as_text(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(home)("[red]boo[/nothing]") == 0
    assert command(home)("gallery", "list") == 0
    assert "[red]boo[/nothing]" in capsys.readouterr().out


def test_the_gallery_lists_shows_and_deletes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atelier = command(home)
    atelier("a red circle", "--json")
    identity = json.loads(capsys.readouterr().out)["image_id"]
    assert atelier("gallery", "list", "circle") == 0
    assert identity in capsys.readouterr().out
    assert atelier("gallery", "show", identity, "--json") == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["prompt"] == "a red circle"
    assert atelier("gallery", "delete", identity, "--for-good", "--yes") == 0
    assert list(home.rglob("*.png")) == []
    assert atelier("gallery", "show", identity) == 1
    told = capsys.readouterr().err
    assert "There is no" in told and "`atelier gallery list` shows" in told


def test_status_and_doctor_tell_the_next_step(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atelier = command(home)
    assert atelier("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["engines"][0]["name"] == "fake"
    assert atelier("status") == 0
    assert atelier("doctor") == 1
    assert "Free some space." in capsys.readouterr().out


def test_a_doctor_whose_settings_cannot_be_used_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    def examine() -> list[Finding]:
        load_settings(minio_endpoint="127.0.0.1:1", minio_access_key="alone")
        return []

    parts = Parts(open_app=open_app, examine=examine, serve=lambda arguments: None, version="0")
    assert run(["doctor"], parts) == 2
    assert "MINIO_ACCESS_KEY and MINIO_SECRET_KEY are needed both" in capsys.readouterr().err
    assert run(["doctor", "--json"], parts) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "bad_settings"


def test_help_and_version(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atelier = command(home)
    assert atelier() == 0
    assert "doctor" in capsys.readouterr().out
    assert atelier("--version") == 0
    assert "1.2.3" in capsys.readouterr().out
    assert atelier("a", "--help") == 0
    assert "--retry-limit" in capsys.readouterr().out


def test_loras_controls_and_references_reach_the_engine(home: Path, tmp_path: Path) -> None:
    engine = FakeEngine()
    for name in ("edges.png", "look.png"):
        (tmp_path / name).write_bytes(png(64, 64))
    given = ["--lora", "ink:0.5", "--lora", "detail", "--control", f"canny={tmp_path / 'edges.png'}"]
    given += ["--reference", str(tmp_path / "look.png"), "--scheduler", "karras", "--hires", "--transparent"]
    assert command(home, engine)("a cat", *given) == 0
    recipe = engine.recipes[0]
    assert recipe.loras == (LoraUse(name="ink", strength=0.5), LoraUse(name="detail"))
    assert (recipe.controls[0].kind, recipe.scheduler, recipe.hires, recipe.transparent) == (
        "canny",
        "karras",
        True,
        True,
    )
    assert engine.inputs[0].keys() == {"control_1", "reference_1"}


def test_a_control_without_a_kind_is_a_usage_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(home)("a cat", "--control", "edges.png") == 2
    assert "such as canny=edges.png" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_a_usage_error(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(home)("upscale", "cat.png") == 2
    assert " ".join(capsys.readouterr().err.split()).startswith(
        "Error: input_image cannot be 'cat.png': there is no such file in"
    )


def test_pictures_are_edited_from_files_of_the_user(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, mask = tmp_path / "mine.png", tmp_path / "mask.png"
    source.write_bytes(png(96, 64))
    mask.write_bytes(mask_png(96, 64, (30, 20, 60, 40)))
    calls = {
        (96, 64): ("inpaint", str(source), "a hat", "--mask", str(mask)),
        (128, 64): ("outpaint", str(source), "a wide sea", "--right", "32"),
        (192, 128): ("upscale", str(source), "--scale", "2"),
    }
    for size, arguments in calls.items():
        assert command(home)(*arguments, "--json") == 0
        made = json.loads(capsys.readouterr().out)["metadata"]
        assert (made["width"], made["height"]) == size
    assert command(home)("face-restore", str(source), "--output", str(tmp_path / "face.png")) == 0
    assert command(home)("remove-background", str(source), "--output", str(tmp_path / "cut.png")) == 0
    assert (tmp_path / "face.png").is_file() and (tmp_path / "cut.png").is_file()
    assert command(home)("inpaint", str(source), "a hat") == 2
    assert "mask_image" in capsys.readouterr().err


def test_a_picture_is_made_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = FakeEngine()
    atelier = command(home, engine)
    atelier("a red circle", "--seed", "7", "--json")
    identity = json.loads(capsys.readouterr().out)["image_id"]
    assert atelier("regenerate", identity) == 0
    assert atelier("regenerate", identity, "--seed", "8", "--prompt", "a blue circle") == 0
    assert [(recipe.seed, recipe.prompt) for recipe in engine.recipes[1:]] == [
        (7, "a red circle"),
        (8, "a blue circle"),
    ]


def test_workflows_are_listed_and_checked(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lacking = TemplateInfo(name="flux", title="Flux", about="", tasks=("txt2img",), usable=False, missing=("node X",))
    graph = tmp_path / "graph.json"
    graph.write_text('{"1": {"class_type": "X", "inputs": {}}}', encoding="utf-8")
    atelier = command(home, graphs=FakeGraphs(infos=(lacking,)))
    assert atelier("workflows", "list") == 0
    assert "node X" in capsys.readouterr().out
    assert atelier("workflows", "check", str(graph)) == 0
    assert atelier("workflows", "check", "--model", "m.safetensors") == 0
    assert "m.safetensors" in capsys.readouterr().out
    assert atelier("workflows", "check", "flux") == 1
    fault = Problem(node="1", class_type="X", input="size", message="too small", valid=("16",))
    assert command(home, graphs=FakeGraphs(faults=(fault,)))("workflows", "check", str(graph)) == 1
    assert "1 X size too small (allowed: 16)" in capsys.readouterr().out
    assert command(home)("workflows", "list") == 0
    assert "COMFYUI_URL" in capsys.readouterr().out


def test_status_shows_each_server(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = ServerStatus(
        url="http://a:8188", available=True, detail="answers", running=1, pending=3, ours=2, draining=True
    )
    assert command(home, FakeEngine(servers=(server,)))("status") == 0
    assert "http://a:8188: answers; draining; 1 running, 3 waiting, 2 of them ours" in capsys.readouterr().out


def pool(home: Path, *urls: str) -> Command:
    """The command line as it is wired for use, on servers that need not be there."""
    settings = load_settings(atelier_home=home, comfyui_url=None if urls else "off", comfyui_urls=urls)
    parts = Parts(open_app=lambda: open_app(settings), examine=lambda: [], serve=lambda arguments: None, version="0")
    return lambda *arguments: run(arguments, parts)


def test_servers_are_drained_and_resumed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atelier = pool(home, "http://127.0.0.1:1", "http://127.0.0.1:2")
    assert atelier("servers", "drain", "127.0.0.1:1/", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"draining": ["http://127.0.0.1:1"]}
    assert atelier("servers", "list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["servers"]
    assert [(row["url"], row["available"], row["draining"]) for row in rows] == [
        ("http://127.0.0.1:1", False, True),
        ("http://127.0.0.1:2", False, False),
    ]
    assert atelier("servers", "list") == 0
    assert "✗ http://127.0.0.1:1: ComfyUI at http://127.0.0.1:1 refuses the connection" in capsys.readouterr().out
    assert atelier("servers", "resume", "http://127.0.0.1:1") == 0
    assert "Draining now: none." in capsys.readouterr().out


def test_only_servers_that_are_named_can_be_drained(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pool(home, "http://127.0.0.1:1")("servers", "drain", "http://127.0.0.1:3") == 1
    assert "The servers are: http://127.0.0.1:1." in capsys.readouterr().err
    assert pool(home)("servers", "resume", "http://127.0.0.1:3") == 1
    assert "set COMFYUI_URL" in capsys.readouterr().err
    assert pool(home)("servers", "list") == 0
    assert "No ComfyUI server is named" in capsys.readouterr().out


def test_notes_about_a_picture_are_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(home, FakeEngine(facts={"notes": ["Drawn smaller, for want of memory."]}))("a cat") == 0
    assert "Drawn smaller" in capsys.readouterr().out


ENDLESS = """
import asyncio, sys
from pathlib import Path
from clients.cli import Parts, run
from tests.fakes import FakeEngine, fake_app

class Endless(FakeEngine):
    async def render(self, recipe, inputs, report, ticket):
        print("drawing", flush=True)
        await asyncio.Event().wait()

parts = Parts(open_app=lambda: fake_app(Path(sys.argv[1]), engine=Endless()), examine=list, serve=print, version="0")
sys.exit(run(["a red circle"], parts))
"""


async def test_ctrl_c_cancels_the_job_and_is_code_130(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS, str(home)], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "drawing\n"
        command.send_signal(signal.SIGINT)
        assert command.wait(30) == 130
    async with fake_app(home) as app:
        [job] = await app.studio.history(5)
        assert job.state == "cancelled"
