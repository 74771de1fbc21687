"""`atelier metadata show` on files of every kind: what it prints, what it returns, what the copy holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from clients.cli.console import Parts
from clients.cli.metadata import metadata_command
from tests.utils.certificates import pair
from tests.utils.metadata_kit import GRAPH, PNG, WORKFLOW, encoded, shown, video
from utils.metadata import SourceType, media_type_of, parameters_text, read, stamped
from utils.signing import C2paSigner
from workflows.types import Media

TEXT = parameters_text(
    prompt="a [red]cat[/red]",
    negative="blur",
    steps=20,
    sampler="Euler a",
    cfg=7.0,
    seed=42,
    width=512,
    height=512,
    model="dream",
    model_hash="67ab2fd8ec",
    version="1",
    loras=[("ink", 0.5, None)],
)


def no_app() -> None:
    raise AssertionError("the app was opened")


PARTS = Parts(open_app=no_app, examine=list, serve=print, version="1")  # pyright: ignore[reportArgumentType]
Command = Callable[..., int]


@pytest.fixture
def command() -> Command:
    def run(*given: str | Path) -> int:
        cli = typer.Typer()
        cli.command()(metadata_command(replace(PARTS, as_json="--json" in given)))
        with pytest.raises(SystemExit) as leaving:
            cli([str(one) for one in given])
        return int(leaving.value.code or 0)

    return run


def filed(path: Path, content: bytes) -> Path:
    data = stamped(
        content,
        media_type_of(content) or "",
        parameters=TEXT,
        record=None,
        source_type=SourceType.TRAINED,
        graph=GRAPH,
        workflow=WORKFLOW,
    )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "mp4"])
def test_every_format_tells_what_made_it(
    kind: str, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {"png": PNG, "jpg": encoded("JPEG"), "webp": encoded("WEBP"), "mp4": video(tmp_path)}[kind]
    file = filed(tmp_path / f"made.{kind}", content)

    assert command(file, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["media_type"] == media_type_of(content)
    assert told["prompt"].startswith("a [red]cat[/red]")
    assert (told["negative_prompt"], told["model"], told["model_hash"]) == ("blur", "dream", "67ab2fd8ec")
    assert told["loras"] == [{"name": "ink", "strength": 0.5}]
    assert told["settings"].items() >= {"steps": 20, "cfg": 7.0, "seed": 42, "width": 512}.items()
    assert told["parameters"]["Sampler"] == "Euler a"
    assert (told["graph"], told["workflow"], told["c2pa"]) == (True, True, None)
    assert told["digital_source_type"] == SourceType.TRAINED
    assert told["parts"]


def test_a_person_reads_lines_and_no_markup_of_the_prompt(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(filed(tmp_path / "made.png", PNG)) == 0
    lines = {line[:16].strip(): line[17:] for line in capsys.readouterr().out.splitlines()}

    assert lines["prompt"].startswith("a [red]cat[/red]")
    assert lines["source type"] == "trainedAlgorithmicMedia (made by a model)"
    assert lines["ComfyUI"] == "graph, workflow"
    assert "tEXt parameters (" in lines["chunks"]
    assert "C2PA" not in lines


def test_the_copy_to_share_keeps_the_picture_and_the_mark(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    file, copy = filed(tmp_path / "made.png", PNG), tmp_path / "shared.png"
    before = file.read_bytes()

    assert command(file, "--strip", copy, "--json") == 0
    assert json.loads(capsys.readouterr().out)["copy"] == str(copy)
    assert read(copy.read_bytes()).source_type == SourceType.TRAINED
    assert b"cat" not in copy.read_bytes()
    assert shown(copy.read_bytes()) == shown(PNG)
    assert file.read_bytes() == before

    assert command(copy) == 0
    assert "does not say how it was made" in capsys.readouterr().out


def test_a_signature_is_checked(tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    certificate, file = pair(tmp_path), filed(tmp_path / "made.png", PNG)
    signer = C2paSigner(certificate.cert, certificate.key)
    media = Media(data=file.read_bytes(), media_type="image/png")
    signed = signer.sign(media, SourceType.TRAINED, "a title").data
    file.write_bytes(signed)

    assert command(file) == 0
    assert "valid; whether the signer can be trusted is not known; signer Test signer, Tests" in capsys.readouterr().out

    file.write_bytes(stamped_over(signed))
    assert command(file) == 0
    assert "NOT VALID" in capsys.readouterr().out


def stamped_over(signed: bytes) -> bytes:
    """The signed file with another colour in one place."""
    place = signed.index(b"pHYs") if b"pHYs" in signed else signed.index(b"IDAT") - 4
    from utils.images import packed

    return signed[:place] + packed(b"pHYs", b"\0" * 9) + signed[place:]


def test_what_cannot_be_read_is_told_and_fails(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.png"
    text.write_text("no picture", encoding="utf-8")

    assert command(text) == 1
    assert "notes.png cannot be read: the bytes are not a PNG, JPEG, WebP or MP4 file." in capsys.readouterr().err
    assert command(tmp_path / "none.png", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["error"]["code"]) == ("failed", "bad_file")
    assert "No such file" in answer["error"]["message"]


def test_no_file_is_written_over(tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    file = filed(tmp_path / "made.png", PNG)
    before = file.read_bytes()

    assert command(file, "--strip", file) == 1
    assert "is there already" in capsys.readouterr().err
    assert command(file, "--strip", tmp_path) == 1
    assert command(file, "--strip", tmp_path / "none" / "x.png") == 1
    assert "cannot be written" in capsys.readouterr().err
    assert file.read_bytes() == before
