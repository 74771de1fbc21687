"""All official templates, against what two real servers said of their nodes. Figures: run it with -s."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import pytest

from tests.workflows.editor.recorded import ERAS, inventory, templates
from workflows.drawing.checking import problems
from workflows.editor import converted
from workflows.editor.flattening import VIRTUAL, flattened
from workflows.errors import GraphRejected
from workflows.types import Problem

MODEL_FILES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx")
LEAST_SHARE = 0.95
KNOWN = {"0.3.64": 80, "0.33.0": 220}
"""So many templates at least need only classes that the server has: else the test would prove nothing."""


@dataclass
class Tally:
    accepted: list[str] = field(default_factory=list[str])
    faulty: dict[str, list[Problem]] = field(default_factory=dict[str, list[Problem]])
    refused: int = 0

    def share(self) -> float:
        return len(self.accepted) / (len(self.accepted) + len(self.faulty))


def is_about_a_file(problem: Problem) -> bool:
    """A model that is not installed on the recorded server."""
    return problem.value.lower().endswith(MODEL_FILES)


@pytest.mark.parametrize("version", ERAS)
def test_official_templates_convert_to_graphs_that_the_server_takes(version: str) -> None:
    known = inventory(version)
    tally = Tally()
    for name, workflow in templates():
        needed = {one.node.kind for one in flattened(workflow).nodes.values()} - VIRTUAL
        missing = needed - set(known.classes)
        try:
            graph = converted(workflow, known).graph
        except GraphRejected as refusal:
            assert {problem.class_type for problem in refusal.problems} == missing != set(), name
            tally.refused += 1
            continue
        assert not missing, name
        found = [one for one in problems(graph, known) if not is_about_a_file(one)]
        if found:
            tally.faulty[name] = found
        else:
            tally.accepted.append(name)
    _print(version, tally)

    assert len(tally.accepted) + len(tally.faulty) >= KNOWN[version]
    assert tally.share() >= LEAST_SHARE
    for name, found in tally.faulty.items():
        assert all(one.node and (one.valid or one.input) for one in found), name


def _print(version: str, tally: Tally) -> None:
    known = len(tally.accepted) + len(tally.faulty)
    lines = [
        f"\nComfyUI {version}: {known + tally.refused} templates, {tally.refused} need nodes it lacks, each named;",
        f"  of the {known} others {len(tally.accepted)} are accepted ({tally.share():.1%}); not:",
        *(f"  {name}: {found[0].message}" for name, found in tally.faulty.items()),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
