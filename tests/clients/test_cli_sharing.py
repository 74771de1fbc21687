"""Import, export, sheets, comparisons and sweeps from the command line."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from clients.cli.console import Parts
from clients.cli.sharing import compare_command, export_command, import_command, sheet_command
from clients.cli.sweeping import sweep_command
from tests.fakes import FakeEngine, fake_app, png
from tests.workflows.importing import foreign_files as made
from utils.images import decode
from utils.metadata import read

Run = Callable[..., int]


def command(home: Path, engine: FakeEngine | None = None) -> Run:
    """The commands of this part, bound to an app on a fake engine."""
    parts = Parts(open_app=lambda: fake_app(home, engine=engine), examine=lambda: [], serve=lambda _: None, version="0")
    cli = typer.Typer(pretty_exceptions_enable=False)
    for name, build in {
        "import": import_command,
        "export": export_command,
        "sheet": sheet_command,
        "compare": compare_command,
        "sweep": sweep_command,
    }.items():
        cli.command(name)(build(parts))

    def run(*arguments: object) -> int:
        with pytest.raises(SystemExit) as left:
            cli([str(argument) for argument in arguments])
        assert isinstance(left.value.code, int)
        return left.value.code

    return run


@pytest.fixture
def atelier(tmp_path: Path) -> Run:
    return command(tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of three programs, one twice, one without a word, and files that are none."""
    below = tmp_path / "mine" / "deep er"
    below.mkdir(parents=True)
    (tmp_path / "mine" / "castle.png").write_bytes(made.png({"parameters": made.A1111}))
    (below / "castle copy.PNG").write_bytes(made.png({"parameters": made.A1111}))
    (below / "boat.webp").write_bytes(made.with_exif("WEBP", {0x0110: f"prompt:{json.dumps(made.FLUX)}"}))
    (below / "кот.jpg").write_bytes(made.with_exif("JPEG", comment=made.CIVITAI))
    (below / "plain.png").write_bytes(png(20, 20))
    (below / "broken.png").write_bytes(png(20, 20)[:50])
    (below / "notes.txt").write_text("no picture", encoding="utf-8")
    (below / ".hidden.png").write_bytes(png(21, 21))
    return tmp_path / "mine"


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_folder_is_imported_with_all_below_and_bad_files_are_told(
    atelier: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert atelier("import", folder, "--tag", "Old", "--json") == 0
    told = answer(capsys)
    assert (told["imported"], told["already_there"]) == (4, 1)
    assert [Path(one["file"]).name for one in told["refused"]] == ["broken.png"]
    assert "cut short" in told["refused"][0]["reason"]
    assert {row["source"] for row in told["images"]} == {"A1111", "ComfyUI", "CivitAI", "file"}

    assert atelier("import", folder) == 0
    shown = capsys.readouterr()
    assert "0 imported, 5 already there, 1 refused" in shown.out and "broken.png" in shown.err


def test_an_import_of_nothing_but_bad_files_fails_and_a_missing_one_is_named(
    atelier: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    assert atelier("import", tmp_path / "a.gif", tmp_path / "gone.png") == 1
    shown = capsys.readouterr()
    assert "0 imported, 0 already there, 2 refused" in shown.out
    assert "it cannot be read: No such file" in shown.err and "PNG, JPEG, WebP, MP4, WebM or animated GIF" in shown.err


def test_what_was_exported_comes_in_again_elsewhere(
    atelier: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atelier("import", folder, "--tag", "old")
    capsys.readouterr()
    target = tmp_path / "out.zip"
    assert atelier("export", target, "--tag", "old", "--query", "castle", "--json") == 0
    assert answer(capsys)["pictures"] == 1
    assert atelier("export", target) == 0
    assert "4 pictures" in capsys.readouterr().out
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path / "there")
    assert command(tmp_path / "other")("import", tmp_path / "there", "--json") == 0
    assert {row["source"] for row in answer(capsys)["images"]} == {"A1111", "ComfyUI", "CivitAI", "file"}


def test_an_export_to_share_says_nothing_of_how_it_was_made(
    atelier: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atelier("import", folder / "castle.png", "--json")
    name = answer(capsys)["images"][0]["image_id"]
    assert atelier("export", tmp_path / "out.zip", name, "--strip", "--format", "jpeg") == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        [only] = archive.namelist()
        assert only.endswith(".jpg") and read(archive.read(only)).texts.keys() <= {"XML:com.adobe.xmp"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("export", "OUT/x.zip", "nobody"), 1, "nobody"),
        (("export", "OUT/x.zip", "--format", "gif"), 2, "stored, png, jpeg, webp"),
        (("export", "OUT/x.zip"), 2, "the gallery has no such picture"),
        (("sheet", "OUT/x.png"), 2, "no such picture"),
        (("sheet", "OUT/x.png", "--limit", "0"), 2, "1 to 400"),
        (("sweep", "a", "--cfg", "3"), 2, "two values"),
        (("sweep", "a", "--cfg", "3,x"), 2, "it is a number"),
        (("sweep", "a", "--denoise", "0.3,0.5"), 2, "--image"),
        (("sweep", "a", "--seed", ",".join(map(str, range(20))), "--cfg", "3,4"), 2, "--yes"),
    ],
)
def test_wrong_wishes_are_told_and_leave_nothing(
    arguments: tuple[str, ...], code: int, says: str, atelier: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert atelier(*(word.replace("OUT", str(tmp_path)) for word in arguments)) == code
    assert says in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} <= {"home"}


def test_a_sheet_and_a_comparison_are_written(
    atelier: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atelier("import", folder, "--json")
    names = [row["image_id"] for row in answer(capsys)["images"][:2]]
    assert atelier("sheet", tmp_path / "all.png", "--columns", "2", "--title", "Кот 猫") == 0
    assert atelier("sheet", tmp_path / "two.png", *names, "--json") == 0
    assert json.loads(capsys.readouterr().out.partition("\n")[2])["pictures"] == 2
    assert decode((tmp_path / "all.png").read_bytes()).height > decode((tmp_path / "two.png").read_bytes()).height

    assert atelier("compare", *names, tmp_path / "apart.png", "--json") == 0
    told = answer(capsys)
    assert (told["changed"], told["path"]) == (1.0, str(tmp_path / "apart.png"))
    assert decode((tmp_path / "apart.png").read_bytes()).width > 300
    assert atelier("compare", names[0], names[0], tmp_path / "same.png") == 0
    assert "Not one pixel differs." in capsys.readouterr().out


def test_files_that_are_gone_are_told_and_not_taken_for_pictures(
    atelier: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atelier("import", folder / "deep er" / "plain.png", "--json")
    gone = answer(capsys)["images"][0]["image_id"]
    atelier("import", folder / "castle.png", "--json")
    there = answer(capsys)["images"][0]["image_id"]
    [file] = (tmp_path / "home" / "pictures").rglob("plain.png")
    file.unlink()
    target = tmp_path / "out.png"
    assert atelier("compare", gone, there, target) == 1
    assert f"The file of image {gone} is gone" in capsys.readouterr().err
    assert atelier("sheet", target, gone) == 1
    assert "None of the pictures could be read" in capsys.readouterr().err and not target.exists()
    assert atelier("sheet", target, gone, there, "--json") == 1
    told = answer(capsys)
    assert (told["pictures"], list(told["skipped"])) == (2, [gone]) and target.exists()


def test_days_are_utc_as_they_are_shown(
    atelier: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    began = datetime.now(UTC)
    atelier("import", folder / "deep er" / "plain.png")
    monkeypatch.setenv("TZ", "Pacific/Pago_Pago")  # 11 hours behind UTC
    time.tzset()
    try:
        assert atelier("export", tmp_path / "a.zip", "--since", f"{began:%Y-%m-%dT%H:%M:%S}") == 0
        assert "1 picture," in capsys.readouterr().out
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_sweep_draws_every_cell_with_one_seed_and_writes_the_grid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine()
    run = command(tmp_path / "home", engine)
    target = tmp_path / "grid.png"
    assert run("sweep", "a red circle", "--cfg", "3,5,7", "--steps", "2,4", "-o", target, "--json") == 0
    told = answer(capsys)

    assert told["axes"] == {"cfg": ["3", "5", "7"], "steps": ["2", "4"]}
    assert [cell["values"] for cell in told["cells"]] == [
        {"cfg": cfg, "steps": steps} for cfg in ("3", "5", "7") for steps in ("2", "4")
    ]
    assert all(cell["score"] == 0.3 and cell["passed"] for cell in told["cells"])
    assert len({recipe.seed for recipe in engine.recipes}) == 1 and len(engine.recipes) == 6
    assert told["grids"] == [{"path": str(target), "of": ""}] and decode(target.read_bytes()).width > 600

    assert run("sheet", tmp_path / "sheet.png", "--tag", told["tag"], "--json") == 0
    assert answer(capsys)["pictures"] == 6


def test_a_sweep_of_three_axes_numbers_its_grids_and_keeps_what_is_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine()
    run = command(tmp_path / "home", engine)
    several = ("--cfg", "3,5", "--steps", "2,4", "--seed", "1,2", "--sampler", "euler", "--negative", "fog")
    assert run("sweep", "a circle", *several, "-o", tmp_path / "g.png") == 0

    assert {(recipe.sampler, recipe.negative) for recipe in engine.recipes} == {("euler", "fog")}
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["g-2.png", "g.png"]
    assert "atelier gallery list --tag sweep:" in capsys.readouterr().out
