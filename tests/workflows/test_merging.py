"""One list out of what the engines have and what lies on this machine."""

from __future__ import annotations

import pytest

from workflows.merging import merged
from workflows.types import ModelFacts, ModelInfo

ON_DISK = ModelInfo(
    name="anime/Wai-v14.safetensors",
    family="illustrious",
    engine="",
    size=6_900_000_000,
    path="/models/checkpoints/anime/Wai-v14.safetensors",
    told_by="side-car",
    parts=("model", "text_encoder", "vae"),
    precision="fp16",
    facts=ModelFacts(title="WAI", tags=("anime",)),
)
LISTED = ModelInfo(name="anime\\wai-v14.safetensors", family="sdxl", engine="comfyui", guessed=True)
SDXL = ON_DISK.but(name="base.safetensors", family="sdxl", path="/models/checkpoints/base.safetensors")
LORA = ModelInfo(name="ink.safetensors", kind="lora", family="sdxl", engine="", path="/models/loras/ink.safetensors")
BOTH = ("comfyui", "diffusers")


def test_a_servers_file_is_known_by_what_the_same_file_here_tells() -> None:
    [row] = merged([LISTED], [ON_DISK], BOTH)

    assert row == ON_DISK.but(name="anime\\wai-v14.safetensors", engine="comfyui")


def test_files_of_one_name_and_two_sizes_are_two() -> None:
    rows = merged([LISTED.but(size=2_000_000_000)], [ON_DISK], ())

    assert [(row.engine, row.family, row.size) for row in rows] == [
        ("comfyui", "sdxl", 2_000_000_000),
        ("", "illustrious", 6_900_000_000),
    ]


def test_a_guess_from_the_disk_does_not_stand_above_what_the_server_knows() -> None:
    [row] = merged([LISTED.but(guessed=False, told_by="metadata")], [ON_DISK.but(guessed=True, told_by="name")], BOTH)

    assert (row.family, row.guessed, row.told_by, row.facts.title) == ("sdxl", False, "metadata", "WAI")


def test_two_files_of_one_name_in_two_folders_are_not_taken_for_the_one_on_the_server() -> None:
    copies = [ON_DISK, ON_DISK.but(name="old/Wai-v14.safetensors", path="/old")]

    rows = merged([LISTED.but(name="elsewhere/wai-v14.safetensors")], copies, ())

    assert [row.engine for row in rows] == ["comfyui", "", ""]


def test_what_no_server_has_is_drawn_with_in_process_where_that_is_possible() -> None:
    pickle = SDXL.but(name="old.ckpt", path="/models/checkpoints/old.ckpt")
    bare = SDXL.but(name="unet.safetensors", path="/models/unet.safetensors", parts=("model",))
    exotic = SDXL.but(name="x.safetensors", path="/models/x.safetensors", family="unknown")

    rows = merged([], [SDXL, LORA, pickle, bare, exotic], BOTH)

    assert {row.name: row.engine for row in rows} == {
        "base.safetensors": "diffusers",
        "ink.safetensors": "diffusers",
        "old.ckpt": "",
        "unet.safetensors": "",
        "x.safetensors": "",
    }
    assert [row.engine for row in merged([], [SDXL], ("comfyui",))] == [""]


def test_a_name_that_an_engine_has_is_told_once() -> None:
    own = ModelInfo(name="base.safetensors", family="sdxl", engine="diffusers", size=1)

    assert merged([own], [SDXL], BOTH) == [own]


@pytest.mark.parametrize(
    ("family", "engine"),
    [
        ("pony", "diffusers"),
        ("sd15-anime", "diffusers"),
        ("sdxl-lightning", "diffusers"),
        ("sdxl-refiner", ""),
        ("flux-kontext", ""),
    ],
)
def test_a_file_is_drawn_in_process_with_the_pipelines_of_its_kin(family: str, engine: str) -> None:
    [row] = merged([], [SDXL.but(family=family)], BOTH)

    assert row.engine == engine
