"""The index of weight files: what is read, what is read again, what is kept when a disk is away."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from clients.ledger import Ledger, open_ledger
from clients.model_files import InstalledModels
from tests.library import make_library
from tests.weight_files import shapes, write_weights
from workflows.errors import BadRecipe, NotFound
from workflows.types import ModelInfo, Scanned


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


def index(ledger: Ledger, *roots: Path, comfyui: Sequence[Path] | None = (), patience: float = 0.0) -> InstalledModels:
    return InstalledModels(ledger.models, roots, comfyui, patience=patience)


def lora(root: Path, name: str = "ink", family: str = "sdxl", **metadata: str) -> Path:
    return write_weights(root / "loras" / f"{name}.safetensors", shapes("lora", family, light=True), metadata)


def checkpoint(folder: Path, name: str = "base", family: str = "sdxl") -> Path:
    return write_weights(folder / f"{name}.safetensors", shapes("checkpoint", family, light=True))


def side_car(model: Path, **said: Any) -> None:
    model.with_suffix(".civitai.info").write_text(json.dumps({"id": 1, "modelId": 2} | said), encoding="utf-8")


def only(infos: object) -> ModelInfo:
    assert isinstance(infos, list | tuple)
    assert len(infos) == 1  # pyright: ignore[reportUnknownArgumentType]
    return infos[0]  # pyright: ignore[reportUnknownVariableType]


def counts(scanned: Scanned) -> tuple[int, int, int, int]:
    return scanned.files, scanned.added, scanned.changed, scanned.gone


# what a file is


async def test_a_library_is_known_for_what_its_headers_and_side_cars_say(ledger: Ledger, root: Path) -> None:
    made = await asyncio.to_thread(make_library, root, 45, 80, 12)
    found = {info.name.replace(os.sep, "/"): info for info in await index(ledger, root).all()}

    assert {(one.name, one.kind) for one in made} == {
        (info.name.replace(os.sep, "/"), info.kind) for info in found.values()
    }
    told = [one for number, one in enumerate(made) if one.base_model and number % 10 != 9]
    assert {one.name: one.triggers for one in told} == {one.name: found[one.name].facts.triggers for one in told}
    assert {one.name: one.downloads for one in told} == {one.name: found[one.name].facts.downloads for one in told}
    loras = [one for one in told if one.kind == "lora" and "anime" not in one.name]  # a name that hints at a flavour
    assert {one.name: one.family for one in loras} == {one.name: found[one.name].family for one in loras}
    assert not [found[one.name] for one in loras if found[one.name].guessed]


async def test_a_checkpoint_is_told_with_its_parts_precision_and_place(ledger: Ledger, root: Path) -> None:
    path = checkpoint(root / "checkpoints" / "photo", "plainXL")
    info = only(await index(ledger, root).all())
    assert (info.name, info.kind, info.path) == (f"photo{os.sep}plainXL.safetensors", "checkpoint", str(path))
    assert (info.parts, info.precision, info.size) == (("model", "text_encoder", "vae"), "fp16", path.stat().st_size)
    assert (info.engine, info.description) == ("", "")


@pytest.mark.parametrize(
    ("name", "base_model", "family", "told_by"),
    [
        ("style", "Pony", "pony", "side-car"),
        ("style", "Illustrious", "illustrious", "side-car"),
        ("pony style", "Illustrious", "illustrious", "side-car"),
        ("style", "Flux.1 D", "sdxl", None),
        ("style", "Brand New Model 9", "sdxl", None),
    ],
)
async def test_a_side_car_refines_what_the_header_tells_and_does_not_gainsay_it(
    ledger: Ledger, root: Path, name: str, base_model: str, family: str, told_by: str | None
) -> None:
    side_car(lora(root, name), baseModel=base_model)
    info = only(await index(ledger, root).all())
    assert info.family == family
    assert told_by is None or (info.told_by, info.guessed) == (told_by, False)


async def test_a_label_that_many_families_share_does_not_undo_what_the_header_told(ledger: Ledger, root: Path) -> None:
    path = checkpoint(root / "checkpoints", "noobMeadow_vpred10", "noobai-vpred")
    side_car(path, baseModel="NoobAI")
    assert only(await index(ledger, root).all()).family == "noobai-vpred"


async def test_a_pickle_is_listed_by_its_name_and_never_opened(ledger: Ledger, root: Path) -> None:
    (root / "checkpoints").mkdir(parents=True)
    pickle = root / "checkpoints" / "someponyXL.ckpt"
    pickle.write_bytes(b"\x80\x02}q\x00.")
    pickle.chmod(0)
    info = only(await index(ledger, root).all())
    assert (info.kind, info.family, info.told_by, info.guessed, info.description) == (
        "checkpoint",
        "pony",
        "name",
        True,
        "",
    )


async def test_a_side_car_stands_above_the_name_of_a_pickle(ledger: Ledger, root: Path) -> None:
    (root / "checkpoints").mkdir(parents=True)
    pickle = root / "checkpoints" / "someponyXL.ckpt"
    pickle.write_bytes(b"\x80")
    side_car(pickle, baseModel="SD 1.5")
    info = only(await index(ledger, root).all())
    assert (info.family, info.told_by, info.guessed) == ("sd15", "side-car", False)


async def test_a_file_without_a_sound_header_is_listed_with_the_reason(ledger: Ledger, root: Path) -> None:
    path = lora(root)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 10)
    files = index(ledger, root)
    scanned = await files.scan()
    assert counts(scanned) == (1, 1, 0, 0)
    assert len(scanned.unreadable) == 1
    assert str(path) in scanned.unreadable[0] and "it was cut" in scanned.unreadable[0]
    assert (await files.scan()).unreadable == scanned.unreadable
    info = only(await files.all())
    assert info.kind == "lora"
    assert info.description.startswith("Its header cannot be read: ")


async def test_a_bare_model_among_the_checkpoints_is_told_as_what_it_is(ledger: Ledger, root: Path) -> None:
    tensors = shapes("diffusion_model", "flux-dev", light=True)
    await asyncio.to_thread(write_weights, root / "checkpoints" / "flux1-dev.safetensors", tensors)
    info = only(await index(ledger, root).all())
    assert (info.kind, info.family) == ("diffusion_model", "flux-dev")
    assert info.description == "It lies in checkpoints, but what it is belongs in diffusion_models."


async def test_facts_out_of_any_bounds_are_left_out_one_by_one(ledger: Ledger, root: Path) -> None:
    path = lora(root)
    said = {"model_name": "half \ud83d letter", "usage_tips": '{"strength": 99, "clip_skip": 2}'}
    path.with_suffix(".metadata.json").write_text(json.dumps(said), encoding="utf-8")
    facts = only(await index(ledger, root).all()).facts
    assert (facts.title, facts.defaults.strength, facts.defaults.clip_skip) == ("half ? letter", None, 2)


# looking again


async def test_a_second_scan_reads_only_what_changed(ledger: Ledger, root: Path) -> None:
    first, second = lora(root, "a"), lora(root, "b")
    assert counts(await index(ledger, root).scan()) == (2, 2, 0, 0)

    files = index(ledger, root)
    heard: list[tuple[int, int]] = []

    def hear(read: int, to_read: int) -> None:
        heard.append((read, to_read))

    assert counts(await files.scan(hear)) == (2, 0, 0, 0)
    assert heard == []
    side_car(first, baseModel="Pony")
    lora(root, "c")
    second.unlink()
    assert counts(await files.scan(hear)) == (2, 1, 1, 1)
    assert heard == [(2, 2)]
    assert {info.plain_name: info.facts.base_model for info in await files.all()} == {"a": "Pony", "c": ""}
    side_car(first, baseModel="Illustrious")
    assert {info.plain_name: info.facts.base_model for info in await files.all()} == {"a": "Illustrious", "c": ""}
    assert counts(await files.scan(anew=True)) == (2, 0, 2, 0)


async def test_a_file_is_renamed_when_its_folder_is_given_another_way(ledger: Ledger, root: Path) -> None:
    path = lora(root, "style/ink")
    assert only(await index(ledger, root).all()).name == f"style{os.sep}ink.safetensors"
    nearer = InstalledModels(ledger.models, [], comfyui=(), folders={"lora": [path.parent]})
    assert only(await nearer.all()).name == "ink.safetensors"


async def test_between_two_looks_nothing_is_looked_at(ledger: Ledger, root: Path) -> None:
    lora(root, "a")
    files = index(ledger, root, patience=3600.0)
    assert len(await files.all()) == 1
    lora(root, "b")
    assert len(await files.all()) == 1
    assert counts(await files.scan()) == (2, 1, 0, 0)
    assert len(await files.all()) == 2


async def test_a_cancelled_scan_keeps_what_it_read(ledger: Ledger, root: Path) -> None:
    for number in range(100):
        lora(root, f"lora {number}")
    files = index(ledger, root)

    def stop(read: int, all_of_them: int) -> None:
        scan.cancel()

    scan = asyncio.ensure_future(files.scan(stop))
    with pytest.raises(asyncio.CancelledError):
        await scan
    known = len(await ledger.models.all())
    assert 0 < known < 100
    assert counts(await files.scan()) == (100, 100 - known, 0, 0)


async def test_two_scans_at_once_and_two_processes_agree(ledger: Ledger, root: Path, tmp_path: Path) -> None:
    await asyncio.to_thread(make_library, root, 5, 60, 2)
    async with open_ledger(tmp_path / "ledger.db") as other:
        mine, theirs = index(ledger, root), index(other, root)
        await asyncio.gather(mine.scan(), mine.scan(), theirs.scan(), mine.all(), theirs.all())
        assert list(await mine.all()) == list(await theirs.all())
        assert len(await ledger.models.all()) == 67


# what is away


async def test_a_root_that_is_away_loses_nothing_and_comes_back(ledger: Ledger, root: Path, tmp_path: Path) -> None:
    lora(root)
    own = tmp_path / "own"
    lora(own, "mine")
    files = index(ledger, own, root)
    assert counts(await files.scan()) == (2, 2, 0, 0)
    root.rename(tmp_path / "elsewhere")

    away = await files.scan()
    assert counts(away) == (1, 0, 0, 0)
    assert away.unreadable == (
        f"{root} cannot be looked through now, or a part of it; 1 files known there are kept for later",
    )
    assert [info.plain_name for info in await files.all()] == ["mine"]
    (tmp_path / "elsewhere").rename(root)
    assert counts(await files.scan()) == (2, 0, 0, 0)


async def test_an_empty_mount_point_and_a_link_that_leads_nowhere_lose_nothing(
    ledger: Ledger, root: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    lora(disk)
    checkpoint(root / "checkpoints")
    (root / "loras").symlink_to(disk / "loras")
    files = index(ledger, root)
    assert counts(await files.scan()) == (2, 2, 0, 0)
    disk.rename(tmp_path / "away")
    assert counts(await files.scan()) == (1, 0, 0, 0)
    (tmp_path / "away").rename(disk)
    assert counts(await files.scan()) == (2, 0, 0, 0)

    root.rename(tmp_path / "kept")
    root.mkdir()
    assert counts(await files.scan()) == (0, 0, 0, 0)
    root.rmdir()
    (tmp_path / "kept").rename(root)
    assert counts(await files.scan()) == (2, 0, 0, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
async def test_a_folder_that_is_closed_loses_nothing(ledger: Ledger, root: Path) -> None:
    path = lora(root, "deep/ink")
    files = index(ledger, root)
    await files.scan()
    path.parent.chmod(0)
    closed = await files.scan()
    path.parent.chmod(0o700)
    assert (closed.gone, closed.files) == (0, 0)


async def test_a_kind_of_files_that_is_deleted_with_its_folder_is_gone(ledger: Ledger, root: Path) -> None:
    lora(root)
    checkpoint(root / "checkpoints")
    files = index(ledger, root)
    await files.scan()
    shutil.rmtree(root / "loras")
    assert counts(await files.scan()) == (1, 0, 0, 1)


async def test_links_are_followed_once_and_what_is_hidden_or_unfinished_is_passed_over(
    ledger: Ledger, root: Path, tmp_path: Path
) -> None:
    path = lora(root, "style/ink")
    (root / "loras" / "style" / "again").symlink_to(root / "loras")
    (root / "loras" / "linked.safetensors").symlink_to(path)
    (root / "loras" / "lost.safetensors").symlink_to(tmp_path / "nothing")
    for name in (".hidden/a.safetensors", "b.safetensors.part", "readme.txt", ".c.safetensors"):
        (root / "loras" / name).parent.mkdir(exist_ok=True)
        (root / "loras" / name).write_bytes(b"x")
    names = {info.name for info in await index(ledger, root).all()}
    assert names == {f"style{os.sep}ink.safetensors", "linked.safetensors"}


async def test_pipes_devices_and_links_to_nothing_stop_no_scan(ledger: Ledger, root: Path) -> None:
    ink = lora(root)
    os.mkfifo(root / "loras" / "pipe.safetensors")
    os.mkfifo(ink.with_suffix(".civitai.info"))
    ink.with_suffix(".txt").symlink_to("/dev/zero")
    for name in ("gone", "pipe"):
        (root / "checkpoints" / name).mkdir(parents=True)
    (root / "checkpoints" / "gone" / "model_index.json").symlink_to("nothing")
    os.mkfifo(root / "checkpoints" / "pipe" / "model_index.json")
    plain = checkpoint(root / "checkpoints" / "gone")
    config = root / "checkpoints" / "whole" / "unet" / "config.json"
    config.parent.mkdir(parents=True)
    config.parent.with_name("model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    config.with_name("diffusion_pytorch_model.safetensors").write_bytes(b"x")
    os.mkfifo(config)

    infos = await asyncio.wait_for(index(ledger, root).all(), 20)
    assert {info.path for info in infos} == {str(ink), str(plain), str(config.parent.parent)}


async def test_the_configuration_of_a_single_file_is_no_model(ledger: Ledger, root: Path) -> None:
    plain = checkpoint(root / "checkpoints")
    beside = plain.with_suffix("")
    beside.mkdir()
    (beside / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')

    assert {info.path for info in await index(ledger, root).all()} == {str(plain)}


async def test_names_that_steer_a_terminal_are_left_out_and_such_titles_are_cleaned(ledger: Ledger, root: Path) -> None:
    for name in ("red\x1b[31m", "two\nlines", "csi\x9b2J", "turned\u202egnp"):
        lora(root, name)
    ink = lora(root, "日本 é", **{"modelspec.title": "Ink\x1b]0;x\x07\nof\u202e old", "modelspec.tags": "a\x1b[2J, b"})
    said = {"id": 1, "trainedWords": ["in\x9bky"], "model": {"description": "<p>pla\x9bin</p>"}}
    ink.with_suffix(".civitai.info").write_text(json.dumps(said), encoding="utf-8")

    found = only(await index(ledger, root).all())
    facts = found.facts
    assert (found.name, facts.title, facts.tags) == ("日本 é.safetensors", "Ink ]0;x  of  old", ("a [2j", "b"))
    assert (facts.triggers, facts.description) == (("in ky",), "pla in")


# the owner's word


async def test_the_owner_has_the_last_word_and_can_take_it_back(ledger: Ledger, root: Path) -> None:
    path = lora(root)
    files = index(ledger, root)
    before = only(await files.all())
    said = {"family": "NoobAI", "title": "My ink", "triggers": "ink, lines ,", "kind": "embedding"}
    after = await files.correct(str(path), said)
    assert (after.family, after.told_by, after.guessed, after.kind) == ("noobai", "owner", False, "embedding")
    assert (after.facts.title, after.facts.triggers) == ("My ink", ("ink", "lines"))
    assert only(await index(ledger, root).all()) == after

    side_car(path, baseModel="Pony")
    assert only(await files.all()).family == "noobai"
    path.rename(path.with_suffix(".away"))
    assert await files.all() == []
    path.with_suffix(".away").rename(path)
    assert only(await files.all()).facts.title == "My ink"
    path.with_suffix(".civitai.info").unlink()
    assert await files.correct("ink", dict.fromkeys(said, "")) == before


async def test_a_correction_that_makes_no_sense_is_refused_in_words(ledger: Ledger, root: Path) -> None:
    path = str(lora(root))
    files = index(ledger, root)
    with pytest.raises(NotFound, match="no weight file '/nowhere'"):
        await files.correct("/nowhere", {"title": "x"})
    with pytest.raises(BadRecipe, match="family, kind, title, triggers"):
        await files.correct(path, {"colour": "red"})
    with pytest.raises(BadRecipe, match="kind cannot be 'sculpture'"):
        await files.correct(path, {"kind": "sculpture"})
    with pytest.raises(NotFound, match="no model family 'zzz'"):
        await files.correct(path, {"family": "zzz"})


# names, hashes, places


async def test_a_file_is_found_by_any_of_its_names(ledger: Ledger, root: Path) -> None:
    first, second = lora(root, "a/ink"), lora(root, "b/ink")
    third = checkpoint(root / "checkpoints", "Base")
    files = index(ledger, root)
    assert files.path_of("base") is None
    await files.all()
    asked = {name: files.path_of(name) for name in ("a\\INK.safetensors", "b/ink", "ink", "base", str(second), "x")}
    assert asked == {
        "a\\INK.safetensors": first,
        "b/ink": second,
        "ink": None,
        "base": third,
        str(second): second,
        "x": None,
    }
    assert (files.path_of("base", "checkpoint"), files.path_of("base", "lora")) == (third, None)
    assert (files.family_of("lora", "a/ink.safetensors"), files.family_of("checkpoint", "none")) == ("sdxl", None)


async def test_a_hash_is_computed_once_and_kept_while_the_file_stays(ledger: Ledger, root: Path) -> None:
    path = lora(root)
    files = index(ledger, root)
    await files.all()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert await files.hash_of(path) == digest
    assert only(await files.all()).facts.sha256 == digest
    side_car(path, baseModel="Pony")
    assert only(await index(ledger, root).all()).facts.sha256 == digest

    lora(root, ss_output_name="another")
    assert only(await files.all()).facts.sha256 == ""
    assert await files.hash_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(NotFound, match="cannot be read"):
        await files.hash_of(root / "none.safetensors")


async def test_new_files_go_to_comfyui_when_there_is_one_else_to_our_own_folder(
    ledger: Ledger, root: Path, tmp_path: Path
) -> None:
    comfyui = tmp_path / "ComfyUI"
    (comfyui / "models").mkdir(parents=True)
    (comfyui / "main.py").touch()
    alone, beside = index(ledger, root), index(ledger, root, comfyui=(comfyui,))
    await alone.scan()
    await beside.scan()
    assert alone.folder_for("lora") == str(root / "loras")
    assert beside.folder_for("diffusion_model") == str(comfyui / "models" / "diffusion_models")
    assert beside.folder_for("vae", str(root)) == str(root / "vae")
    assert beside.folder_for("vae", str(comfyui)) == str(comfyui / "models" / "vae")
    assert beside.folder_for("lora", str(root / "loras" / "ink")) == str(root / "loras" / "ink")


@pytest.mark.parametrize(
    "destination", ["/etc", "..", "loras", "{root}/..", "{root}/loras/../../x", "{root}/vae", "~nobody/x"]
)
def test_a_place_outside_of_the_model_folders_is_refused(tmp_path: Path, destination: str) -> None:
    files = InstalledModels(None, [tmp_path / "models"], comfyui=())  # pyright: ignore[reportArgumentType]
    with pytest.raises(BadRecipe, match="destination cannot be"):
        files.folder_for("lora", destination.format(root=tmp_path / "models"))


def test_a_kind_without_a_folder_is_refused(tmp_path: Path) -> None:
    files = InstalledModels(None, [tmp_path], comfyui=())  # pyright: ignore[reportArgumentType]
    with pytest.raises(BadRecipe, match="kind cannot be 'other'"):
        files.folder_for("other")
