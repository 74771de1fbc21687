"""The commands for workflows of one's own: listed, looked over and run, by name and from files of every kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clients.cli import Parts, run
from clients.cli.carrying import deliver
from tests.clients.test_cli import Command
from tests.fakes import FakeEngine, fake_app
from tests.workflows.flows.kit import FakeWorkshop, drawn_portrait, node, portrait, retouch
from tests.workflows.flows.test_shelf import png
from workflows.library import Library
from workflows.types import Artifact, Media, Recipe, Ticket


@dataclass(kw_only=True)
class Composer(FakeEngine):
    """Gives a sound and a text, and no picture."""

    async def render(self, recipe: Recipe, inputs: Mapping[str, Media], report: Any, ticket: Ticket) -> list[Artifact]:
        self.inputs.append(inputs)
        given = ((b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"), (b"a poem", "text/plain"))
        return [
            Artifact(media=Media(data=data, media_type=kind), seed=0, width=0, height=0, model="")
            for data, kind in given
        ]


def command(home: Path, engine: FakeEngine | None = None, **graphs: object) -> Command:
    """`graphs`: files of the folder by name."""
    folder = home / "workflows"
    folder.mkdir(parents=True, exist_ok=True)
    for name, graph in graphs.items():
        (folder / f"{name}.json").write_text(json.dumps(graph), encoding="utf-8")
    library = Library(None, FakeWorkshop(library={"mine.json": portrait()}), folders=[folder])
    parts = Parts(
        open_app=lambda: fake_app(home, engine=engine, library=library),
        examine=lambda: [],
        serve=lambda _: None,
        version="0",
    )
    return lambda *arguments: run(arguments, parts)


def test_ones_own_are_listed_with_their_inputs_and_what_keeps_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paid = portrait(guest=node("KlingTextToVideoNode", prompt="x"))
    atelier = command(tmp_path, fox=portrait(), retouch=retouch("nobody.png"), paid=paid)
    assert atelier("workflows", "list") == 0
    shown = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert {"✓ fox yours: image", "prompt text a red fox in the snow", "image image, needed"} <= {*lines}
    assert "✓ mine saved in ComfyUI: image" in lines
    assert "costs money" in " ".join(lines)


@pytest.mark.parametrize("name", ["graph.json", "drawn.json", "picture.png", "no_ending"])
def test_a_file_with_a_graph_is_looked_over_and_run(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = drawn_portrait() if name == "drawn.json" else portrait()
    path, engine = tmp_path / name, FakeEngine()
    text = json.dumps(graph)
    path.write_bytes(png(prompt=text) if name == "picture.png" else text.encode())
    atelier = command(tmp_path / "home", engine)
    assert atelier("workflows", "check", str(path)) == 0
    assert "It would be taken as it is." in capsys.readouterr().out
    assert atelier("workflows", "run", str(path), "--set", "prompt=an owl", "--set", "seed=-1") == 0
    sent: dict[str, Any] = json.loads(engine.inputs[0]["workflow"].data)
    assert "an owl" in [body["inputs"].get("text") for body in sent.values()]
    assert "seed was drawn" in capsys.readouterr().out


def test_what_cannot_be_run_says_what_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atelier = command(tmp_path, fox=portrait(), retouch=retouch("nobody.png"))
    told = {
        ("fox", "--set", "promt=x"): "did you mean prompt?",
        ("fox", "--set", "prompt"): "name=value",
        ("fox", "--set", "steps=many"): "whole number from 1",
        ("fx",): "Did you mean fox?",
        ("retouch", "--set", "image=gone.png"): "there is no such file",
        ("retouch",): "the workflow needs image (image)",
        (__file__,): "a file of",
    }
    for arguments, said in told.items():
        assert atelier("workflows", "run", *arguments) in {1, 2}
        assert said in " ".join(capsys.readouterr().err.split())


def test_what_is_no_picture_is_copied_and_its_text_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atelier = command(tmp_path / "home", Composer(), fox=portrait())
    assert atelier("workflows", "run", "fox", "--output", str(tmp_path / "out")) == 0
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".txt", ".wav"]
    assert "a poem" in capsys.readouterr().out


def test_several_files_get_names_of_one_stem_with_their_own_endings(tmp_path: Path) -> None:
    for name in ("1.png", "2.flac"):
        (tmp_path / name).write_bytes(name.encode())
    answer: dict[str, Any] = {
        **{"path": str(tmp_path / "1.png"), "image_id": "a"},
        "outputs": [{"id": "b", "path": str(tmp_path / "2.flac")}],
    }
    deliver(answer, tmp_path / "out.png")
    assert answer["output"] == [str(tmp_path / "out.png"), str(tmp_path / "out-2.flac")]
    assert (tmp_path / "out-2.flac").read_bytes() == b"2.flac"
