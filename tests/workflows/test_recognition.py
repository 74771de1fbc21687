"""What a weight file is, by its header, its metadata and its name, in that order."""

import tomllib
from importlib.resources import files
from math import prod
from typing import Any

import pytest

from tests.workflows import headers as made
from tests.workflows.header_cases import EXPECTED, FLUX, STABLE_DIFFUSION, Case
from tests.workflows.header_cases_more import ADDITIONS, COMPONENTS, LORAS, PICTURES, UNTOLD, VIDEOS
from utils.safetensors_header import Header, Tensor, parse_header
from workflows.families import families
from workflows.recognition import Recognised, recognise
from workflows.recognition.rules import condition, rule_of

TABLES = (STABLE_DIFFUSION, FLUX, PICTURES, VIDEOS, ADDITIONS, COMPONENTS, UNTOLD)
CASES = {
    **{label: case for table in TABLES for label, case in table.items()},
    **{f"lora, {label}": case for label, case in LORAS.items()},
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_weight_file_is_known_by_its_header(case: Case) -> None:
    weights = sum(prod(shape) for shape in case.shapes.values()) if case.weights is None else case.weights
    told: dict[str, Any] = {**EXPECTED, **case.is_}
    assert recognise(case.header, f"{case.name}.safetensors") == Recognised(parameters=weights, **told)


@pytest.mark.parametrize("case", [STABLE_DIFFUSION["sdxl"], FLUX["flux dev"], LORAS["sdxl by kohya"]])
def test_a_header_read_from_bytes_is_recognised_like_one_made_here(case: Case) -> None:
    made_here = case.header
    assert recognise(parse_header(made.file_bytes(made_here)), case.name) == recognise(made_here, case.name)


def test_the_order_of_the_names_in_a_file_does_not_matter() -> None:
    for label, case in CASES.items():
        turned = Header(dict(reversed(list(case.header.tensors.items()))), case.metadata, 0)
        assert recognise(turned, case.name) == recognise(case.header, case.name), label


def test_a_pickle_that_only_its_size_tells_of_is_guessed_at() -> None:
    found = recognise(Header({}, {}, 0), "finalMix_v3.ckpt", 2_132_625_894)
    assert (found.family, found.told_by, found.guessed) == ("sd15", "size", True)
    assert recognise(Header({}, {}, 0), "pony_v6.ckpt", 2_132_625_894).told_by == "name"


def test_every_rule_names_families_that_there_are() -> None:
    for table in ("additions", "models", "components", "adapters"):
        text = files("workflows.recognition").joinpath(f"{table}.toml").read_text(encoding="utf-8")
        for row in tomllib.loads(text)["rule"]:
            assert {row["family"], *row.get("flavours", ())} <= families().keys(), row
            assert row.get("when") or row.get("either"), row


def test_every_family_but_the_demo_models_is_some_files_family() -> None:
    assert {case.is_["family"] for case in CASES.values()} == families().keys() - {"demo"}


@pytest.mark.parametrize("text", ["a b", "a[x] = 3", "a[1] = x", "a[1] == 3", ""])
def test_a_condition_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a condition"):
        condition(text)


def test_a_rule_with_a_word_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(ValueError, match="wehn"):
        rule_of({"family": "sdxl", "wehn": ["a"]})


def test_a_tensor_without_the_dimension_that_a_rule_asks_for_does_not_fit() -> None:
    flat = {name: Tensor("F16", ()) for name in STABLE_DIFFUSION["sdxl"].shapes}
    assert recognise(Header(flat, {}, 0)).kind == "other"
