"""The commands that make videos, on a fake engine that draws real small ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from clients.cli import Parts, run
from clients.doctor import Finding
from tests.fakes import FakeJudge, fake_app, png
from tests.utils import films
from tests.video_kit import FilmEngine, film
from utils.images import decode
from utils.video import probe

Command = Callable[..., int]


def command(home: Path, engine: FilmEngine, judge: FakeJudge | None = None) -> Command:
    parts = Parts(
        open_app=lambda: fake_app(home, engine=engine, judge=judge),
        examine=list[Finding],
        serve=unserved,
        version="1",
    )
    return lambda *arguments: run(arguments, parts)


def unserved(_: Sequence[str]) -> None:
    raise AssertionError("nothing is served here")


def answered(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_each_command_makes_its_video_and_copies_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine, out = FilmEngine(), tmp_path / "out.mp4"
    atelier = command(tmp_path / "home", engine)
    still, clip, gif = tmp_path / "still.png", tmp_path / "clip.mp4", tmp_path / "clip.gif"
    still.write_bytes(png())
    clip.write_bytes(film())
    gif.write_bytes(films.animated("GIF", [100] * 4))
    for line, task, frames in (
        (("video", "a cat", "--frames", "9", "--fps", "8", "--seed", "3"), "txt2vid", 9),
        (("animate", str(still), "it moves", "--motion", "0.5", "--frames", "5"), "img2vid", 5),
        (("extend-video", str(clip), "on it goes", "--frames", "5"), "extend_video", 9),
        (("extend-video", str(gif), "on it goes", "--frames", "5"), "extend_video", 9),
        (("interpolate", str(clip), "--fps", "24"), "interpolate", 10),
    ):
        assert atelier(*line, "-o", str(out), "--json") == 0
        answer = answered(capsys)
        assert (answer["kind"], answer["metadata"]["task"], answer["output"]) == ("video", task, str(out))
        assert probe(out.read_bytes()).frames == frames
    assert (engine.recipes[0].seed, engine.recipes[1].motion, engine.recipes[4].fps) == (3, 0.5, 24.0)


def test_what_is_told_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = FilmEngine(facts={"notes": ["Drawn by a fake."]})
    atelier = command(tmp_path, engine, FakeJudge(scores=[0.1]))
    assert atelier("video", "a cat") == 3
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("Drawn by a fake.") == 1
    assert "Not tried again: retry_limit is 1" in told
    assert "Max retries" not in told


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("animate", "no-such.png", "it moves"), "there is no such file"),
        (("extend-video", "no-such.mp4", "on"), "there is no such file"),
        (("interpolate", "STILL"), "it must be a video"),
        (("video", "a cat", "--frames", "100000"), "frames"),
        (("video", "a cat", "--fps", "0"), "fps"),
    ],
)
def test_what_cannot_be_is_said_in_words(
    line: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = tmp_path / "still.png"
    still.write_bytes(png())
    engine = FilmEngine()
    assert command(tmp_path / "home", engine)(*(str(still) if part == "STILL" else part for part in line)) != 0
    shown = capsys.readouterr()
    assert says in " ".join((shown.err + shown.out).split())
    assert engine.recipes == []


def test_videos_made_elsewhere_come_in_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(films.plain(8))
    (folder / "b.gif").write_bytes(films.animated("GIF", [100] * 4))
    (folder / "c.webm").write_bytes(films.timed([0, 100, 200]))
    (folder / "cut.mkv").write_bytes(films.timed([0, 100], "matroska")[:200])
    atelier = command(tmp_path / "home", FilmEngine())
    atelier("gallery", "import", str(folder), "--json")
    answer = answered(capsys)
    assert (answer["imported"], [Path(one["file"]).name for one in answer["refused"]]) == (3, ["cut.mkv"])
    assert atelier("gallery", "list", "--kind", "video", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_the_sheet_of_one_video_shows_its_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atelier = command(tmp_path / "home", FilmEngine())
    sheet, wall = tmp_path / "frames.png", tmp_path / "wall.png"
    names: list[str] = []
    for seed in ("1", "2"):
        assert atelier("video", "a cat", "--frames", "13", "--seed", seed, "--json") == 0
        names.append(answered(capsys)["image_id"])
    assert atelier("gallery", "sheet", str(sheet), names[0], "--columns", "6", "--edge", "96") == 0
    assert atelier("gallery", "sheet", str(wall), *names, "--columns", "6", "--edge", "96") == 0
    assert decode(sheet.read_bytes()).height > decode(wall.read_bytes()).height  # two rows of frames, one of posters
