"""Templates are checked when they are loaded, and the anatomy of any graph is found by its links."""

import json
from typing import Any

import pytest

from workflows.errors import NotFound
from workflows.graph import Graph
from workflows.template import Anatomy, SamplerParts, read_template, template, templates, trace

FILE: dict[str, Any] = {
    "title": "T",
    "about": "A.",
    "tasks": ["txt2img"],
    "slots": {"positive": ["good.text"], "negative": ["bad.text"], "seed": ["sampler.seed"]},
    "sources": {"image": "sampler:0"},
    "ports": {"positive": "sampler.positive"},
    "graph": {
        "good": {"class_type": "CLIPTextEncode", "inputs": {"text": ""}},
        "bad": {"class_type": "CLIPTextEncode", "inputs": {"text": ""}},
        "sampler": {
            "class_type": "KSampler",
            "inputs": {"seed": 0, "steps": 1, "positive": ["good", 0], "negative": ["bad", 0]},
        },
        "save": {"class_type": "SaveImage", "inputs": {"images": ["sampler", 0]}},
    },
}


def file_with(**changes: Any) -> str:
    return json.dumps(FILE | changes)


def graph_with(**nodes: Any) -> dict[str, Any]:
    return {"graph": FILE["graph"] | nodes}


def test_every_template_of_the_folder_loads() -> None:
    assert {
        "checkpoint", "checkpoint_sd3", "sd3", "flux_checkpoint", "flux", "flux2", "flux2_klein", "qwen_image",
        "z_image", "z_image_turbo", "chroma", "hidream",
    } <= set(templates())  # fmt: skip
    with pytest.raises(NotFound, match="Did you mean flux2"):
        template("flux22")


def test_filling_puts_each_value_in_its_places_and_leaves_the_template() -> None:
    read = read_template("t", file_with())
    filled = read.fill({"positive": "fox", "negative": "blur", "seed": 5})
    assert [
        filled[node].inputs.get("text", filled[node].inputs.get("seed")) for node in ("good", "bad", "sampler")
    ] == [
        "fox",
        "blur",
        5,
    ]
    assert read.graph["sampler"].inputs["seed"] == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"positive": "", "seed": 1}, "needs values for negative"),
        ({"positive": "", "negative": "", "seed": 1, "sead": 1}, "has no slots sead"),
    ],
)
def test_unknown_and_missing_values_are_mistakes(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_template("t", file_with()).fill(values)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slots": {"seed": ["sampler.sead"]}}, r"there is no input sampler\.sead"),
        ({"slots": {"seed": ["smapler.seed"]}}, r"there is no input smapler\.seed"),
        ({"ports": {"positive": "sampler.pos"}}, r"there is no input sampler\.pos"),
        ({"sources": {"image": "nobody:0"}}, "there is no node nobody"),
        (graph_with(save={"class_type": "SaveImage", "inputs": {"images": ["nobody", 0]}}), "save reads nobody"),
        (
            graph_with(more={"class_type": "PreviewImage", "inputs": {"images": ["sampler", 0]}}),
            "one node, not in save, more",
        ),
        (
            graph_with(good={"class_type": "CLIPTextEncode", "inputs": {"text": "", "x": ["save", 0]}}),
            "in a circle: good -> save -> sampler -> good",
        ),
        ({"slots": {"positive": ["bad.text"]}}, r"bad\.text is not what sampler takes as its positive"),
        ({"slots": {"negative": ["good.text"]}}, r"good\.text is not what sampler takes as its negative"),
        (
            graph_with(
                sampler={
                    "class_type": "KSampler",
                    "inputs": {"seed": 0, "steps": 1, "positive": ["good", 0], "negative": ["good", 0]},
                },
                save={"class_type": "SaveImage", "inputs": {"images": ["sampler", 0], "x": ["bad", 0]}},
            ),
            r"good\.text is not what sampler takes as its positive",
        ),
    ],
)
def test_a_wrong_template_says_what_is_wrong(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"template t: .*{words}"):
        read_template("t", file_with(**changes))


def test_another_number_of_encoders_takes_the_loader_made_for_it() -> None:
    three = template("sd3")
    assert three.encoders == 3
    assert three.with_encoders(3) is three
    two, one = three.with_encoders(2), three.with_encoders(1)
    assert (two.graph["clip"].class_type, one.graph["clip"].class_type) == ("DualCLIPLoader", "CLIPLoader")
    assert {slot: two.slots[slot] for slot in two.slots if slot.startswith("clip")} == {
        "clip_1": (("clip", "clip_name1"),),
        "clip_2": (("clip", "clip_name2"),),
        "clip_type": (("clip", "type"),),
    }
    assert one.slots["clip_1"] == (("clip", "clip_name"),)
    assert template("checkpoint").encoders == 0


# ------------------------------------------------------------------ anatomy


def someones() -> Graph:
    """As people build them: words from a primitive, a control net between words and sampler, guider and noise apart."""
    return Graph.read({
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x"}},
        "2": {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "clip": ["1", 1], "lora_name": "y"}},
        "3": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a fox"}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"text": ["3", 0], "clip": ["2", 1]}},
        "5": {"class_type": "CLIPTextEncodeSDXL", "inputs": {"text_g": "bad", "text_l": "worse", "clip": ["2", 1]}},
        "6": {"class_type": "LoadImage", "inputs": {"image": "pose.png"}},
        "7": {
            "class_type": "ControlNetApplyAdvanced",
            "inputs": {"positive": ["4", 0], "negative": ["5", 0], "image": ["6", 0], "strength": 1.0},
        },
        "8": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["7", 0], "guidance": 3.5}},
        "9": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 96, "batch_size": 1}},
        "10": {"class_type": "CFGGuider", "inputs": {"model": ["2", 0], "positive": ["8", 0], "negative": ["7", 1]}},
        "11": {"class_type": "PrimitiveInt", "inputs": {"value": 4}},
        "12": {"class_type": "RandomNoise", "inputs": {"noise_seed": ["11", 0]}},
        "13": {"class_type": "BasicScheduler", "inputs": {"model": ["2", 0], "steps": 9, "scheduler": "beta"}},
        "14": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {"noise": ["12", 0], "guider": ["10", 0], "sigmas": ["13", 0], "latent_image": ["9", 0]},
        },
        "15": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["4", 0]}},
        "16": {
            "class_type": "KSampler",
            "inputs": {"model": ["1", 0], "seed": 8, "steps": 3, "positive": ["4", 0], "negative": ["15", 0],
                       "latent_image": ["14", 0]},
        },
        "17": {"class_type": "SaveImage", "inputs": {"images": ["16", 0]}},
    })  # fmt: skip


def test_the_anatomy_of_somebodys_graph_is_found_by_its_links() -> None:
    assert trace(someones()) == Anatomy(
        samplers=(
            SamplerParts(
                node="14",
                positive=(("3", "value"),),
                negative=(("5", "text_g"), ("5", "text_l")),
                seed=("11", "value"),
                steps=("13", "steps"),
                size="9",
                loader="1",
            ),
            SamplerParts(
                node="16", positive=(("3", "value"),), seed=("16", "seed"), steps=("16", "steps"), size="9", loader="1"
            ),
        ),
        outputs=("17",),
    )
    assert trace(someones()).seeds == (("11", "value"), ("16", "seed"))


def test_a_graph_without_a_sampler_has_only_outputs() -> None:
    graph = Graph({}).plus("1", "EmptyImage", width=8, height=8).plus("2", "SaveImage", images=("1", 0))
    assert trace(graph) == Anatomy(samplers=(), outputs=("2",))


def test_broken_links_and_loops_do_not_stop_the_tracing() -> None:
    graph = someones().but("4", text=("nobody", 0)).but("9", width=("11", 0), x=("14", 0)).but("2", model=("2", 0))
    first = trace(graph).samplers[0]
    assert (first.positive, first.size, first.loader) == ((("4", "text"),), "9", "2")
