"""The user's folders: what is found in them, and what is not opened."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.workflows.flows.kit import portrait
from workflows.errors import BadRecipe, GraphRejected
from workflows.flows.shelf import MOST_BYTES, Shelf, opened


def keep(folder: Path, name: str, content: object = None) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(portrait() if content is None else content), encoding="utf-8")
    return path


def png(**texts: str) -> bytes:
    """A picture with these texts, as ComfyUI writes them."""
    kept, info = io.BytesIO(), PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", (8, 8)).save(kept, "PNG", pnginfo=info)
    return kept.getvalue()


def body(shelf: Shelf, name: str) -> object:
    found = shelf.find(name)
    assert found is not None
    return opened(found).body


def test_files_are_named_by_their_place_without_the_ending(tmp_path: Path) -> None:
    for name in ("a.json", "sub/b.json", "sub/deep/c.JSON", "sub/deep/deeper/d.json", ".hidden.json", "notes.txt"):
        keep(tmp_path, name)
    keep(tmp_path, ".git/e.json")
    shelf = Shelf([tmp_path, tmp_path / "nowhere"])
    assert list(shelf.files()) == ["a", "sub/b", "sub/deep/c"]
    assert body(shelf, "a") == body(shelf, "a.json") == portrait()
    assert shelf.find("nobody") is None


def test_of_two_files_with_one_name_the_later_folder_counts(tmp_path: Path) -> None:
    keep(tmp_path / "one", "a.json", {"1": {"class_type": "One", "inputs": {}}})
    keep(tmp_path / "two", "a.json", {"prompt": {"2": {"class_type": "Two", "inputs": {}}}})
    assert body(Shelf([tmp_path / "one", tmp_path / "two"]), "a") == {"2": {"class_type": "Two", "inputs": {}}}


def test_the_graph_in_a_picture_is_found(tmp_path: Path) -> None:
    editors = {"nodes": [{"id": 1, "type": "KSampler"}], "links": [], "version": 0.4}
    (tmp_path / "both.png").write_bytes(png(prompt=json.dumps(portrait()), workflow=json.dumps(editors)))
    (tmp_path / "drawn.png").write_bytes(png(workflow=json.dumps(editors)))
    shelf = Shelf([tmp_path])
    assert body(shelf, "both") == portrait()
    assert body(shelf, "drawn") == editors


def test_names_from_outside_lead_nowhere(tmp_path: Path) -> None:
    keep(tmp_path, "secret.json")
    shelf = Shelf([tmp_path / "flows"])
    keep(tmp_path / "flows", "a.json")
    for name in ("../secret", "../secret.json", str(tmp_path / "secret.json"), "a/../../secret", "./a", ""):
        assert shelf.find(name) is None


def test_links_out_of_the_folder_are_listed_and_not_followed(tmp_path: Path) -> None:
    secret, folder = keep(tmp_path, "secret.json"), tmp_path / "flows"
    keep(folder, "a.json")
    (folder / "leak.json").symlink_to(secret)
    (folder / "inner.json").symlink_to(folder / "a.json")
    (folder / "broken.json").symlink_to(tmp_path / "gone.json")
    (folder / "circle.json").symlink_to(folder / "circle.json")
    (folder / "all").symlink_to(tmp_path, target_is_directory=True)
    shelf = Shelf([folder])
    assert {name: bool(one.fault) for name, one in shelf.files().items()} == {
        "a": False,
        "broken": True,
        "circle": True,
        "inner": False,
        "leak": True,
    }
    with pytest.raises(BadRecipe, match="link to a file outside the folder"):
        body(shelf, "leak")


def test_a_link_that_takes_a_files_place_later_is_not_followed(tmp_path: Path) -> None:
    secret, path = keep(tmp_path, "secret.json"), keep(tmp_path / "flows", "a.json")
    seen = Shelf([tmp_path / "flows"]).files()["a"]
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(BadRecipe, match="link to a file outside the folder"):
        opened(seen)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.json", b"{broken", "it is no JSON"),
        ("a.json", b"\xff\xfe\x00", "it is no text in UTF-8"),
        ("a.json", b" " * (MOST_BYTES + 1), "at most 5,000,000 are read"),
        ("a.png", b"no picture", "it cannot be read"),
        ("a.png", png(), "no graph is in it"),
        ("a.png", png(prompt="a cat"), "no graph is in it"),
        ("a.mp4", b"\0\0\0\x18ftypmp42", "it cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRecipe) as caught:
        body(Shelf([tmp_path]), "a")
    assert told in str(caught.value)


def test_a_list_is_no_workflow(tmp_path: Path) -> None:
    keep(tmp_path, "a.json", [1, 2])
    with pytest.raises(GraphRejected, match="A graph is an object"):
        body(Shelf([tmp_path]), "a")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(BadRecipe, match="It is no file"):
        body(Shelf([tmp_path]), "a")
