"""Names for what strangers named."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from workflows.flows.naming import slug, tool_names, unlike


def test_tools_have_names_of_their_own() -> None:
    names = ["Portrait", "portrait", "sub/portrait", "提示", "x" * 100, "y" * 100, "y" * 99]
    assert tool_names(names, taken=["run_workflow", "run_sub_portrait"]) == {
        "Portrait": "run_portrait_2",
        "portrait": "run_portrait",
        "sub/portrait": "run_sub_portrait_2",
        "提示": "run_workflow_2",
        "x" * 100: "run_" + "x" * 56,
        "y" * 100: "run_" + "y" * 56,
        "y" * 99: "run_" + "y" * 54 + "_2",
    }


@given(st.lists(st.text(max_size=80), unique=True, max_size=12), st.sets(st.just("run_workflow")))
def test_every_name_of_a_tool_is_valid_and_nobody_elses(names: list[str], taken: set[str]) -> None:
    given_ = tool_names(names, taken)
    assert list(given_) == names
    assert all(re.fullmatch(r"run_[a-z0-9_]{1,56}", one) for one in given_.values())
    assert len({*given_.values(), *taken}) == len(names) + len(taken)


@given(st.text(max_size=300))
def test_every_slug_is_a_word(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9](?:[a-z0-9_]{0,38}[a-z0-9])?", slug(text))


def test_a_taken_name_gets_the_first_free_number() -> None:
    assert unlike("a", {"a", "a_2"}) == "a_3"
