"""What may be downloaded, and where it goes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.file_server import FileServer
from tests.workflows.download_kit import LORA, desk, offer, twenty
from workflows.downloads import placing
from workflows.downloads.log import KEPT, DownloadLog, Entry
from workflows.errors import BadRecipe, Refused
from workflows.types import Download, ModelFacts


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../../evil.safetensors", "characters"),
        ("a/b.safetensors", "characters"),
        ("a\\b.safetensors", "characters"),
        ("C:evil.safetensors", "characters"),
        ("nul\0.safetensors", "characters"),
        (".hidden.safetensors", "dot or a space"),
        ("model.safetensors ", "dot or a space"),
        ("", "dot or a space"),
        ("CON.safetensors", "device"),
        ("lpt1.x.safetensors", "device"),
        ("ü" * 100 + ".safetensors", "180 bytes"),
        ("model.exe", r"end in \.safetensors"),
        ("model", r"end in \.safetensors"),
        ("model.ckpt", "can run code"),
        ("model.safetensors.pt", "can run code"),
    ],
)
async def test_names_that_are_no_names_of_models_are_refused_before_anything_is_fetched(
    tmp_path: Path, name: str, words: str
) -> None:
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA, name))
        async with it.downloads:
            with pytest.raises(BadRecipe, match=words):
                await it.downloads.plan("civitai:1")
        assert server.asked == []
    assert it.here() == {}


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"PK\x03\x04" + bytes(100), "a.safetensors", "can run code"),
        (b"\x80\x02}q\x00" + bytes(100), "a.safetensors", "can run code"),
        (b"GGUF" + bytes(100), "a.safetensors", "not what its suffix says"),
        (LORA, "a.gguf", "not what its suffix says"),
        (b"not a model file at all, but text", "a.safetensors", "no safetensors file"),
        ((2**63).to_bytes(8, "little") + b"{}" + bytes(50), "a.safetensors", "no safetensors file"),
        ((50).to_bytes(8, "little") + b"[" + bytes(100), "a.safetensors", "no JSON object"),
        ((50).to_bytes(8, "little") + b"{" + bytes(100), "a.safetensors", "no sound safetensors file"),
        (LORA[:-5], "a.safetensors", "no sound safetensors file"),
    ],
)
async def test_a_file_that_is_not_what_it_says_is_thrown_away(
    tmp_path: Path, content: bytes, name: str, words: str
) -> None:
    async with FileServer(content) as server:
        it = desk(tmp_path, offer(server.url, content, name))
        async with it.downloads:
            done = await it.fetched()
    assert done.state == "failed" and words in done.fault
    assert it.here() == {}


async def test_pickles_are_taken_when_the_owner_allows_them(tmp_path: Path) -> None:
    content = b"PK\x03\x04" + bytes(100)
    async with FileServer(content) as server:
        it = desk(tmp_path, offer(server.url, content, "old.ckpt", kind="Checkpoint"), pickles=True)
        async with it.downloads:
            done = await it.fetched()
    assert done.state == "succeeded" and it.here() == {"checkpoints/old.ckpt": content}


@pytest.mark.parametrize(
    ("facts", "adult", "refused"),
    [
        ({"nsfw": True}, False, True),
        ({"nsfw": True}, True, False),
        ({"nsfw": True, "minor": True}, True, True),
        ({"nsfw": True, "real_person": True}, True, True),
        ({"minor": True}, False, False),
    ],
)
async def test_what_a_model_is_made_for_can_be_a_reason_to_refuse_it(
    tmp_path: Path, facts: dict[str, Any], adult: bool, refused: bool
) -> None:
    it = desk(tmp_path, offer("http://127.0.0.1:9/", LORA, facts=ModelFacts(**facts)), adult=adult)
    async with it.downloads:
        if refused:
            with pytest.raises(Refused):
                await it.downloads.plan("civitai:1")
        else:
            await it.downloads.plan("civitai:1")


@pytest.mark.parametrize(
    ("size", "asks"), [(None, True), (2_000_000_001, True), (2_000_000_000, False), (1_000, False)]
)
async def test_large_files_and_those_of_unknown_size_need_consent(tmp_path: Path, size: int | None, asks: bool) -> None:
    facts = ModelFacts(licence="openrail++")
    it = desk(tmp_path, offer("http://127.0.0.1:9/", LORA, size=size, facts=facts), free=twenty)
    async with it.downloads:
        plan = await it.downloads.plan("civitai:1")
    told = "unknown size" if size is None else f"{size / 1e9:.2f} GB"
    assert plan.needs_consent is asks
    assert plan.question == (
        f"Download neon.safetensors ({told}, licence openrail++) from civitai to {it.root / 'loras'}? "
        "20.0 GB are free there."
    )


@pytest.mark.parametrize("reference", ["", "neon", "https://example.com/a.safetensors", "hf:a/b", "file:///etc/passwd"])
async def test_references_of_nobody_are_refused(tmp_path: Path, reference: str) -> None:
    it = desk(tmp_path)
    async with it.downloads:
        with pytest.raises(BadRecipe, match="search_models gives references"):
            await it.downloads.plan(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "civitai:1",
        "urn:air:sdxl:lora:civitai:1@2",
        "https://civitai.com/models/1",
        "https://civitai.red/models/1?x=y",
        "12345",
    ],
)
async def test_a_reference_goes_to_the_source_that_it_names(tmp_path: Path, reference: str) -> None:
    it = desk(tmp_path, offer("http://127.0.0.1:9/", LORA))
    it.source.offers[reference] = it.source.offers["civitai:1"]
    async with it.downloads:
        await it.downloads.plan(reference, "7")
    assert it.source.asked == [f"{reference}@7"]


def test_old_downloads_are_forgotten_but_not_those_that_can_go_on(tmp_path: Path) -> None:
    kept, one = DownloadLog(tmp_path), offer("http://127.0.0.1:9/", LORA)
    made = [Download(reference=f"civitai:{number}", offer=one, state="succeeded") for number in range(KEPT + 2)]
    waiting = Download(reference="civitai:0", offer=one, state="interrupted", created=made[0].created)
    for download in (waiting, *made):
        kept.write(Entry(download=download))
    assert [entry.download for entry in kept.forget_oldest()] == made[:2]
    assert [entry.download for entry in kept.all()] == [waiting, *made[2:]]


def test_a_damaged_entry_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{ half")
    assert DownloadLog(tmp_path).all() == [] and DownloadLog(tmp_path).read("x") is None


def test_a_file_keeps_its_place_from_another_that_comes_between(tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    for number, content in enumerate((b"one", b"two", b"one")):
        new = tmp_path / f"{number}.unchecked"
        new.write_bytes(content)
        path, was_there = placing.place(new, folder, "a.safetensors", hashlib.sha256(content).hexdigest())
        assert (path.read_bytes(), was_there, new.exists()) == (content, number == 2, False)
    (folder / "b.safetensors").symlink_to(tmp_path / "nowhere")
    new = tmp_path / "b.unchecked"
    new.write_bytes(b"b")
    path, _ = placing.place(new, folder, "b.safetensors", "f" * 64)
    assert path.name == "b-ffffffff.safetensors" and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("length", [0x0280, 0x010480])
def test_a_safetensors_file_whose_length_looks_like_a_pickle_is_none(length: int) -> None:
    first = length.to_bytes(8, "little")
    placing.check_first("a.safetensors", first + b'{"a":1 }', pickles=False)
    with pytest.raises(BadRecipe, match="can run code"):
        placing.check_first("a.safetensors", first + b"}q.....", pickles=False)
