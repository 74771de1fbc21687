"""Where weight files lie: ComfyUI installations, extra_model_paths.yaml, given folders, the hub's cache."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients._model_files.extra_paths import MOST_BYTES, extra_folders
from clients._model_files.places import DESKTOP_PATHS, EXTRA_PATHS, desktop_settings, layout, usual_places
from clients.ledger import Ledger, open_ledger
from clients.model_files import InstalledModels, find_comfyui
from tests.weight_files import shapes, write_weights
from workflows.errors import BadRecipe
from workflows.types import ModelInfo


def installation(folder: Path, sign: str = "main.py") -> Path:
    (folder / "models" / "loras").mkdir(parents=True)
    (folder / sign).touch()
    return folder


@pytest.mark.parametrize("sign", ["main.py", "comfy", "folder_paths.py", "custom_nodes"])
def test_an_installation_is_told_by_its_models_and_a_file_of_its_own(tmp_path: Path, sign: str) -> None:
    (tmp_path / "photos" / "models").mkdir(parents=True)
    found = installation(tmp_path / "ComfyUI", sign)
    assert find_comfyui([found]) == [found]
    assert find_comfyui([tmp_path]) == [found]
    assert find_comfyui([tmp_path / "photos"]) == []
    assert find_comfyui([tmp_path / "nowhere"]) == []
    assert find_comfyui([]) == []


def test_the_same_installation_is_found_once(tmp_path: Path) -> None:
    found = installation(tmp_path / "ComfyUI")
    (tmp_path / "link").symlink_to(found)
    assert find_comfyui([found, tmp_path, tmp_path / "link"]) == [found]


@pytest.mark.parametrize("place", ["ComfyUI", "Documents/ComfyUI", "ComfyUI_windows_portable/ComfyUI"])
def test_without_a_search_the_usual_places_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found = installation(tmp_path / "home" / place)
    assert found in find_comfyui(None, tmp_path / "home")


def test_the_usual_places_of_windows_are_on_its_drives() -> None:
    places = [path.as_posix() for path in usual_places(Path("C:/Users/a"), "win32", Path("C:/here"))]
    assert {"C:/ComfyUI", "D:/ComfyUI_windows_portable/ComfyUI", "C:/Users/a/Documents/ComfyUI", "C:/here"} <= {*places}


PATHS = """
mine:
    base_path: ../shared
    is_default: true
    checkpoints: models/Stable-diffusion
    loras: |
        models/Lora
        models/LyCORIS
    unet: /abs/unet
    clip: models/text
    configs: models/configs
    custom_nodes: nodes
other:
    vae: near/vae
empty:
"""


def test_extra_paths_are_read_as_comfyui_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "ComfyUI" / EXTRA_PATHS
    file.parent.mkdir()
    file.write_text(PATHS, encoding="utf-8")
    found, notes = extra_folders(file)
    shared = tmp_path / "shared" / "models"
    assert [(one.shelf, one.folder, one.default) for one in found] == [
        ("checkpoints", shared / "Stable-diffusion", True),
        ("loras", shared / "Lora", True),
        ("loras", shared / "LyCORIS", True),
        ("diffusion_models", Path("/abs/unet"), True),
        ("text_encoders", shared / "text", True),
        ("vae", tmp_path / "ComfyUI" / "near" / "vae", False),
    ]
    assert notes == []


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "!!python/object/apply:os.system ['touch {folder}/ran']",
        "\x00",
        "[" * 5_000,
        "a: " + "x" * MOST_BYTES,
        "&a [*a]" * 3,
        "a0: &a0 {x: 1}\n" + "".join(f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 9)}]}}\n" for n in range(9)),
    ],
)
def test_a_broken_or_hostile_file_is_passed_over_with_a_note(tmp_path: Path, text: str) -> None:
    file = tmp_path / EXTRA_PATHS
    file.write_text(text.replace("{folder}", str(tmp_path)), encoding="utf-8")
    found, notes = extra_folders(file)
    assert found == []
    assert len(notes) == 1
    assert notes[0].startswith(f"{file} was passed over: ")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["", "7", "- a", "a: 7", "a: [x]", "1: {loras: x}", "a: {loras: [x], 3: y, vae: }"])
def test_values_of_other_types_name_no_folder(tmp_path: Path, text: str) -> None:
    (tmp_path / EXTRA_PATHS).write_text(text, encoding="utf-8")
    assert extra_folders(tmp_path / EXTRA_PATHS) == ([], [])


@pytest.mark.parametrize(
    "text", ["a: {loras: /}", "a: {base_path: /, loras: .}", 'a: {loras: "x\\0y"}', "a: {loras: '', vae: ' '}"]
)
def test_a_whole_disk_is_no_folder_of_models(tmp_path: Path, text: str) -> None:
    (tmp_path / EXTRA_PATHS).write_text(text, encoding="utf-8")
    assert extra_folders(tmp_path / EXTRA_PATHS) == ([], [])


def test_a_layout_joins_installations_extra_paths_own_roots_and_given_folders(tmp_path: Path) -> None:
    comfyui = installation(tmp_path / "ComfyUI")
    (comfyui / "models" / "unet").mkdir()
    (comfyui / "models" / "configs").mkdir()
    extra = tmp_path / "extra"
    extra.mkdir()
    (comfyui / EXTRA_PATHS).write_text(
        f"a: {{is_default: 'true', vae: {extra}, loras: models/loras}}", encoding="utf-8"
    )
    own = tmp_path / "own"
    (own / "CLIP").mkdir(parents=True)
    there = layout([own], [comfyui], {"embedding": [tmp_path / "words"]})

    assert [(place.kind, place.folder, place.default) for place in there.places] == [
        ("lora", comfyui / "models" / "loras", False),
        ("diffusion_model", comfyui / "models" / "unet", False),
        ("text_encoder", own / "CLIP", False),
        ("vae", extra, True),
    ]
    assert (there.roots, there.installations) == ((comfyui / "models", own), (comfyui,))


def test_the_desktop_apps_own_file_is_read_when_the_usual_places_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base" / "models" / "loras").mkdir(parents=True)
    for settings in desktop_settings(tmp_path)[:1]:
        settings.mkdir(parents=True)
        said = f"comfyui_desktop:\n  base_path: {tmp_path / 'base'}\n  is_default: 'true'\n  loras: models/loras/\n"
        (settings / DESKTOP_PATHS).write_text(said, encoding="utf-8")
    named = [place.folder for place in layout([], None, {}, tmp_path).places]
    assert tmp_path / "base" / "models" / "loras" in named
    assert layout([], [], {}, tmp_path).places == ()


# through the index


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(tmp_path / "ledger.db") as opened:
        yield opened


async def shown(files: InstalledModels) -> dict[str, ModelInfo]:
    return {info.name.replace(os.sep, "/"): info for info in await files.all()}


async def test_folders_are_given_by_kind_or_by_comfyuis_word_for_it(ledger: Ledger, tmp_path: Path) -> None:
    write_weights(tmp_path / "a" / "ink.safetensors", shapes("lora", "sdxl", light=True))
    write_weights(tmp_path / "b" / "xl.safetensors", shapes("checkpoint", "sdxl", light=True))
    folders = {"lora": [tmp_path / "a"], "checkpoints": [tmp_path / "b"]}
    files = InstalledModels(ledger.models, [tmp_path / "own"], comfyui=(), folders=folders)
    assert {name: info.kind for name, info in (await shown(files)).items()} == {
        "ink.safetensors": "lora",
        "xl.safetensors": "checkpoint",
    }
    with pytest.raises(BadRecipe, match="folders cannot be 'pictures'"):
        InstalledModels(ledger.models, [], folders={"pictures": [tmp_path]})


async def test_a_default_extra_folder_takes_new_files(ledger: Ledger, tmp_path: Path) -> None:
    comfyui = installation(tmp_path / "ComfyUI")
    (tmp_path / "big disk").mkdir()
    said = f"a:\n  is_default: true\n  loras: {tmp_path / 'big disk'}\n"
    (comfyui / EXTRA_PATHS).write_text(said, encoding="utf-8")
    files = InstalledModels(ledger.models, [tmp_path / "own"], comfyui=[comfyui])
    await files.scan()
    assert files.folder_for("lora") == str(tmp_path / "big disk")
    assert files.folder_for("vae") == str(comfyui / "models" / "vae")


async def test_a_broken_extra_file_is_told_by_the_scan(ledger: Ledger, tmp_path: Path) -> None:
    comfyui = installation(tmp_path / "ComfyUI")
    (comfyui / EXTRA_PATHS).write_text("a: [", encoding="utf-8")
    scanned = await InstalledModels(ledger.models, [tmp_path / "own"], comfyui=[comfyui]).scan()
    assert [note.partition(":")[0] for note in scanned.unreadable] == [f"{comfyui / EXTRA_PATHS} was passed over"]


def hub_repository(cache: Path, name: str, revision: str = "abc") -> Path:
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(revision, encoding="utf-8")
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    return snapshot


async def test_the_hubs_cache_is_listed_by_its_pipelines_and_single_files(ledger: Ledger, tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    pipeline = hub_repository(cache, "maker/plain-xl")
    index = {"_class_name": "StableDiffusionXLPipeline", "unet": ["d", "U"], "vae": ["d", "A"], "text_encoder": []}
    (pipeline / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    write_weights(pipeline / "unet" / "model.safetensors", shapes("vae", "sdxl", light=True))
    single = hub_repository(cache, "maker/files")
    ink = write_weights(single / "split" / "ink.safetensors", shapes("lora", "sdxl", light=True))
    judge = hub_repository(cache, "maker/judge")
    (judge / "config.json").write_text("{}", encoding="utf-8")
    write_weights(judge / "model.safetensors", shapes("vae", "sdxl", light=True))
    write_weights(judge / "dense" / "model.safetensors", shapes("vae", "sdxl", light=True))

    files = InstalledModels(ledger.models, [tmp_path / "own"], comfyui=(), hub_cache=cache, patience=0.0)
    found = await shown(files)
    size = (pipeline / "unet" / "model.safetensors").stat().st_size
    assert {name: (info.kind, info.family, info.path, info.size) for name, info in found.items()} == {
        "maker/plain-xl": ("checkpoint", "sdxl", str(pipeline), size),
        "maker/files/split/ink.safetensors": ("lora", "sdxl", str(ink), ink.stat().st_size),
    }
    assert found["maker/plain-xl"].parts == ("model", "text_encoder", "vae")
    newer = hub_repository(cache, "maker/plain-xl", "def")
    (newer / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    assert (await shown(files))["maker/plain-xl"].path == str(newer)
    (cache / "models--maker--plain-xl" / "refs" / "main").write_text("abc", encoding="utf-8")
    assert (await shown(files))["maker/plain-xl"].path == str(pipeline)
