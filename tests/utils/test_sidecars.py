"""What side-cars and metadata say: every tool's own spelling, broken ones, and who is believed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from utils.sidecars import MOST_BYTES, known_facts, metadata_facts, read_sidecars

HASH = "ab" * 32


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "ink style v1.2.safetensors"
    path.write_bytes(b"x" * 2048)
    return path


def put(model: Path, suffix: str, said: Any, age: int = 0) -> None:
    path = model.with_name(model.stem + suffix)
    path.write_text(said if isinstance(said, str) else json.dumps(said), encoding="utf-8")
    os.utime(path, (1_000_000 - age, 1_000_000 - age))


VERSION: dict[str, Any] = {
    "id": 22,
    "modelId": 11,
    "name": "v2",
    "baseModel": "Illustrious",
    "trainedWords": ["inkstyle, bold lines"],
    "model": {"name": "Ink", "type": "LORA", "nsfw": False, "poi": False, "tags": ["Ink"]},
    "stats": {"downloadCount": 50, "thumbsUpCount": 9, "thumbsDownCount": 1},
    "files": [
        {"name": "other.safetensors", "sizeKB": 900, "primary": True, "hashes": {"SHA256": "CD" * 32}},
        {"name": "mine.safetensors", "sizeKB": 2, "hashes": {"SHA256": HASH.upper()}},
    ],
}


def test_lora_managers_own_fields_stand_above_those_of_the_version_in_it(model: Path) -> None:
    tips = json.dumps({"strength": 0.75, "clip_skip": 2})
    own = {"model_name": "My ink", "base_model": "Pony", "tags": ["Sumi-E", 7], "usage_tips": tips, "sha256": "ee" * 32}
    put(model, ".metadata.json", own | {"modelDescription": "<p>Black<br>and <b>white</b></p>", "civitai": VERSION})

    facts = read_sidecars(model)
    assert {name: facts[name] for name in ("title", "base_model", "tags", "triggers", "defaults", "sha256")} == {
        "title": "My ink",
        "base_model": "Pony",
        "tags": ("sumi-e",),
        "triggers": ("inkstyle", "bold lines"),
        "defaults": {"strength": 0.75, "clip_skip": 2},
        "sha256": "ee" * 32,
    }
    assert facts["description"] == "Black\nand white"
    assert (facts["downloads"], facts["rating"], facts["reference"]) == (50, 0.9, "civitai:11@22")
    assert facts["told"] == ("ink style v1.2.metadata.json",)


def test_a_hash_that_lora_manager_took_of_a_file_of_another_size_is_not_believed(model: Path) -> None:
    put(model, ".metadata.json", {"model_name": "Ink", "sha256": HASH, "size": 5})
    assert "sha256" not in read_sidecars(model)
    put(model, ".metadata.json", {"model_name": "Ink", "sha256": HASH, "size": 2048})
    assert read_sidecars(model)["sha256"] == HASH


def test_a_versions_hash_is_that_of_the_file_that_lies_here(model: Path) -> None:
    put(model, ".civitai.info", VERSION)
    assert read_sidecars(model)["sha256"] == HASH
    model.write_bytes(b"x" * 9000)
    assert "sha256" not in read_sidecars(model)


def test_stability_matrix_spells_in_pascal_case(model: Path) -> None:
    said = {"ModelId": 1, "VersionId": 2, "ModelName": "Ink", "VersionName": "v1", "ModelType": "LORA", "Nsfw": True}
    said |= {"BaseModel": "SDXL 1.0", "TrainedWords": ["ink"], "Tags": ["Style"], "Hashes": {"SHA256": HASH}}
    put(model, ".cm-info.json", said | {"Stats": {"DownloadCount": 3}, "ThumbnailImageUrl": "https://x.test/a.png"})

    assert read_sidecars(model) == {
        "title": "Ink",
        "kind": "LORA",
        "base_model": "SDXL 1.0",
        "triggers": ("ink",),
        "tags": ("style",),
        "downloads": 3,
        "nsfw": True,
        "sha256": HASH,
        "preview_url": "https://x.test/a.png",
        "source": "civitai",
        "reference": "civitai:1@2",
        "page_url": "https://civitai.com/models/1?modelVersionId=2",
        "told": ("ink style v1.2.cm-info.json",),
    }


def test_a1111_and_a_file_of_trigger_words(model: Path) -> None:
    put(
        model, ".json", {"description": "lines", "sd version": "SDXL", "preferred weight": 0.6, "activation text": None}
    )
    put(model, ".txt", "inkstyle, bold lines\n", age=5)

    facts = read_sidecars(model)
    assert facts.pop("told") == ("ink style v1.2.json", "ink style v1.2.txt")
    assert facts == {
        "description": "lines",
        "base_model": "SDXL 1.0",
        "defaults": {"strength": 0.6},
        "triggers": ("inkstyle", "bold lines"),
    }


def test_a_letter_to_the_reader_holds_no_trigger_words(model: Path) -> None:
    put(model, ".txt", "Thank you for downloading. " * 200)
    assert read_sidecars(model) == {}


def test_a_workflow_of_the_same_name_says_nothing(model: Path) -> None:
    put(model, ".json", {"nodes": [], "links": []})
    put(model, ".civitai.info", {"error": "Model not found"}, age=1)
    assert read_sidecars(model) == {}


def test_of_two_side_cars_the_newer_one_is_believed_field_by_field(model: Path) -> None:
    put(model, ".metadata.json", {"model_name": "Old", "base_model": "Pony", "usage_tips": '{"strength": 0.5}'}, age=9)
    put(model, ".cm-info.json", {"ModelName": "New", "BaseModel": None}, age=1)

    facts = read_sidecars(model)
    assert (facts["title"], facts["base_model"], facts["defaults"]) == ("New", "Pony", {"strength": 0.5})
    put(model, ".metadata.json", {"model_name": "Newest"})
    assert read_sidecars(model)["title"] == "Newest"


@pytest.mark.parametrize("said", ["{broken", "[" * 100_000, "\x00\x01", "x" * (MOST_BYTES + 1)])
def test_a_side_car_that_cannot_be_read_is_passed_over_with_a_note(model: Path, said: str) -> None:
    put(model, ".metadata.json", said)
    put(model, ".txt", "inkstyle", age=3)

    facts = read_sidecars(model)
    assert facts["triggers"] == ("inkstyle",)
    assert facts["notes"][0].startswith("ink style v1.2.metadata.json was passed over: ")


@pytest.mark.parametrize("wrong", [None, 7, "x", [], [None, 3], {"a": None}, True])
def test_a_field_of_another_type_is_passed_over(model: Path, wrong: Any) -> None:
    own = ["model_name", "tags", "usage_tips", "sha256", "modelDescription", "civitai", "preview_url"]
    put(model, ".metadata.json", dict.fromkeys(own, wrong) | {"base_model": "Pony"})
    put(model, ".civitai.info", dict.fromkeys(VERSION, wrong), age=1)
    put(model, ".cm-info.json", dict.fromkeys(["ModelName", "Stats", "Hashes", "Tags", "Nsfw"], wrong), age=2)
    put(model, ".json", dict.fromkeys(["description", "sd version", "preferred weight"], wrong), age=3)

    facts = read_sidecars(model)
    assert facts["base_model"] == "Pony"
    assert "notes" not in facts


METADATA = {
    "ss_output_name": "ink",
    "ss_tag_frequency": json.dumps({"10_a": {"inkwash": 19, "1girl": 20, "tree": 4}, "5_b": {"inkwash": 1}}),
    "modelspec.resolution": "1024x768",
    "modelspec.license": "CC0",
    "ss_clip_skip": "2",
}


def test_words_of_nearly_all_training_pictures_are_taken_for_trigger_words() -> None:
    assert metadata_facts(METADATA) == {
        "title": "ink",
        "triggers": ("inkwash",),
        "tags": ("inkwash", "1girl", "tree"),
        "licence": "CC0",
        "defaults": {"width": 1024, "height": 768, "clip_skip": 2},
    }
    many = {"ss_dataset_dirs": json.dumps({"10_a": {"img_count": 40}})}
    assert "triggers" not in metadata_facts(METADATA | many)


def test_what_the_maker_wrote_stands_above_what_was_counted() -> None:
    spec = {"modelspec.trigger_phrase": "ink lines", "modelspec.title": "Ink", "modelspec.tags": "Style, ink"}
    facts = metadata_facts(METADATA | spec)
    assert (facts["title"], facts["triggers"], facts["tags"]) == ("Ink", ("ink lines",), ("style", "ink"))


@pytest.mark.parametrize("counts", ["", "nonsense", "[]", '{"a": 3}', '{"a": {"x": "y"}}', "[" * 100_000])
def test_metadata_that_makes_no_sense_says_nothing(counts: str) -> None:
    assert metadata_facts({"ss_tag_frequency": counts, "modelspec.resolution": "big", "ss_clip_skip": "None"}) == {}


def test_a_side_car_that_tells_of_the_model_and_of_no_trigger_means_that_there_is_none(model: Path) -> None:
    assert known_facts(model, METADATA)["triggers"] == ("inkwash",)
    put(model, ".civitai.info", VERSION | {"trainedWords": []})
    facts = known_facts(model, METADATA)
    assert "triggers" not in facts
    assert (facts["title"], facts["licence"], facts["tags"]) == ("Ink - v2", "CC0", ("ink",))


def test_a_table_of_tags_beyond_any_real_one_is_passed_over() -> None:
    tags = ", ".join(f'"word {number}": 1' for number in range(MOST_BYTES // 12))
    assert metadata_facts({"ss_tag_frequency": f'{{"one": {{{tags}}}}}'}) == {}


@pytest.mark.parametrize(("level", "shown"), [(1, True), (2, True), (None, True), (4, False), (16, False), (32, False)])
def test_a_preview_that_lora_manager_marks_as_unsafe_is_not_told(model: Path, level: int | None, shown: bool) -> None:
    said = {"model_name": "Ink", "preview_url": "https://x.test/a.png", "preview_nsfw_level": level}
    put(model, ".metadata.json", said)
    assert ("preview_url" in read_sidecars(model)) is shown
