"""Each thing that the editor's format can say, in a workflow of a few nodes."""

from __future__ import annotations

import pytest

from tests.workflows.editor.drawn import EMPTY, Json, convert, empty, link, node, prompt, save, subgraph
from workflows.editor import StatedModel
from workflows.errors import GraphRejected


def test_values_get_the_names_of_the_servers_class_and_the_word_beside_a_seed_goes() -> None:
    made = prompt(node(3, "KSampler", 7, "randomize", 20, 8, "euler", "normal", 1), save(9, None))

    assert made["3"] == {
        **{"seed": 7, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1},
    }


@pytest.mark.parametrize("row", [[7, 20, 8, "euler", "normal", 1], [7, False, 20, 8, "euler", "normal", 1]])
def test_the_word_beside_a_seed_may_be_missing_or_a_yes_or_no_as_in_old_files(row: list[object]) -> None:
    made = convert(node(3, "KSampler", *row))
    sampler = made.graph["3"].inputs

    assert (sampler["seed"], sampler["steps"], sampler["denoise"], made.notes) == (7, 20, 1, ())


def test_a_file_whose_row_was_changed_alone_is_told_of() -> None:
    named = {"width": 64, "height": 32, "batch_size": 1}
    same, other = (convert(node(1, "EmptyLatentImage", *row, gives="LATENT", widgets_values_named=named), save(2, None))
                   for row in ((64, 32, 1), (128, 32, 1)))  # fmt: skip
    told = "The file has two values of 1 (EmptyLatentImage) for width: those with a name stand, not the row's."
    assert (told in same.notes, told in other.notes) == (False, True)
    assert other.graph["1"].inputs["width"] == 64


def test_values_may_stand_under_their_names() -> None:
    named = {"seed": 7, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}

    assert prompt(node(3, "KSampler", widgets_values=named))["3"] == named
    assert prompt(node(3, "KSampler", 1, 1, widgets_values_named=named))["3"] == named


def test_what_stands_for_the_button_beside_a_file_is_left_out() -> None:
    assert prompt(node(1, "LoadImage", "a.png", "image"))["1"] == {"image": "a.png"}


def test_a_choice_brings_its_own_inputs_under_its_name() -> None:
    row = ("scale dimensions", 640, 512, "center", "lanczos")

    assert prompt(node(1, "ResizeImageMaskNode", *row))["1"] == {
        "resize_type": "scale dimensions",
        "resize_type.width": 640,
        "resize_type.height": 512,
        "resize_type.crop": "center",
        "scale_method": "lanczos",
    }


def test_a_list_that_is_a_value_is_wrapped() -> None:
    boxes = [{"x": 1, "y": 2, "width": 3, "height": 4}]

    assert prompt(node(1, "CreateBoundingBoxes", 896, 1152, boxes, []))["1"]["editor_state"] == {"__value__": boxes}


def test_values_that_the_file_lacks_are_the_servers_defaults_and_said_so() -> None:
    made = convert(node(3, "KSampler", 7, "fixed", 20))

    assert made.graph["3"].inputs == {
        **{"seed": 7, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0},
    }
    assert made.notes == (
        "The file has no value that fits 3 (KSampler) for some inputs; the defaults stand: "
        "cfg '8.0', sampler_name 'euler', scheduler 'simple', denoise '1.0'.",
    )


def test_a_row_of_another_version_is_placed_where_it_fits_and_said_so() -> None:
    made = convert(node(3, "KSampler", 7, "fixed", "new in 2027", 20, 6.5, "euler", "normal", 0.5))

    assert made.graph["3"].inputs == {
        **{"seed": 7, "steps": 20, "cfg": 6.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 0.5},
    }
    assert "do not fit" in made.notes[0]


def test_a_value_of_another_kind_gives_way_to_the_default_and_that_is_said() -> None:
    made = convert(node(1, "CreateVideo", widgets_values={"fps": 25, "bit_depth": "auto"}))

    assert made.graph["1"].inputs == {"fps": 25, "bit_depth": 8}
    assert made.notes == (
        "The file has no value that fits 1 (CreateVideo) for some inputs; the defaults stand: bit_depth '8'.",
    )


def test_values_that_a_node_only_shows_are_passed_over() -> None:
    made = convert(node(1, "EmptyImage", 64, 64, 1, 0, "what it showed", None))

    assert (made.graph["1"].inputs, made.notes) == (EMPTY, ())


def test_an_input_that_can_only_be_linked_has_no_value() -> None:
    assert prompt(node(1, "SAM3_Detect", 0.5, 2, True))["1"] == {
        **{"threshold": 0.5, "refine_iterations": 2, "individual_masks": True},
    }


def test_links_lead_past_reroutes_and_set_words() -> None:
    made = prompt(
        *(empty(1), link(1, 1, 0, 2, 0), node(2, "Reroute", reads={"": 1}, gives="*")),
        *(link(2, 2, 0, 3, 0), node(3, "SetNode", "picture", reads={"IMAGE": 2}, gives="*")),
        *(node(4, "GetNode", "picture", gives="IMAGE"), link(3, 4, 0, 5, 0), save(5, 3)),
        node(6, "MarkdownNote", "# how to use it"),
    )
    assert made == {"1": EMPTY, "5": {"filename_prefix": "x", "images": ["1", 0]}}


def test_a_primitive_gives_its_value_to_all_that_read_it() -> None:
    reads = {"width:INT": 1, "height:INT": 2}
    made = prompt(
        *(node(7, "PrimitiveNode", 96, "fixed", gives="INT"), link(1, 7, 0, 1, 0), link(2, 7, 0, 1, 1)),
        node(1, "EmptyImage", 64, 64, 1, 0, reads=reads),
    )
    assert made == {"1": {**EMPTY, "width": 96, "height": 96}}


def test_a_muted_node_gives_nothing_and_what_needs_it_is_left_out() -> None:
    made = convert(
        *(empty(1, mode=2), link(1, 1, 0, 2, 0), save(2, 1)),
        *(empty(3), link(2, 3, 0, 4, 0), save(4, 2)),
    )
    assert list(made.graph.nodes) == ["3", "4"]
    assert made.notes == (
        "Nodes that are muted and left out: 1 (EmptyImage).",
        "Left out, since what they need is muted or bypassed: 2 (SaveImage).",
    )


def test_all_behind_a_muted_node_is_left_out_but_not_what_was_never_joined() -> None:
    made = convert(
        *(empty(1, mode=2), link(1, 1, 0, 2, 0), node(2, "ImageInvert", reads={"image:IMAGE": 1}, gives="IMAGE")),
        *(link(2, 2, 0, 3, 0), save(3, 2), save(4, None), empty(5), link(3, 5, 0, 6, 0), save(6, 3)),
    )
    assert list(made.graph.nodes) == ["4", "5", "6"]


def test_a_bypassed_node_hands_on_the_input_of_its_outputs_type() -> None:
    lora: Json = {"model:MODEL": 1, "clip:CLIP": 2}
    made = prompt(
        node(1, "CheckpointLoaderSimple", "a.safetensors", gives="MODEL CLIP VAE"),
        *(link(1, 1, 0, 2, 0, "MODEL"), link(2, 1, 1, 2, 1, "CLIP")),
        node(2, "LoraLoader", "b.safetensors", 1, 1, reads=lora, gives="MODEL CLIP", mode=4),
        *(link(3, 2, 1, 3, 0, "CLIP"), node(3, "CLIPTextEncode", "a cat", reads={"clip:CLIP": 3}, gives="X")),
    )
    assert made["3"] == {"text": "a cat", "clip": ["1", 1]}
    assert "2" not in made


def test_of_several_fitting_inputs_a_bypassed_node_hands_on_that_of_the_same_place() -> None:
    two: Json = {"image1:IMAGE": 1, "image2:IMAGE": 2}
    made = prompt(
        *(empty(1), empty(2), link(1, 1, 0, 3, 0), link(2, 2, 0, 3, 1)),
        *(node(3, "Whatever", reads=two, gives="IMAGE IMAGE", mode=4), link(3, 3, 1, 4, 0), save(4, 3)),
        *(link(4, 3, 0, 5, 0), save(5, 4)),
    )
    assert (made["4"]["images"], made["5"]["images"]) == (["2", 0], ["1", 0])


def test_a_word_that_was_set_outside_is_known_within_a_subgraph() -> None:
    inner = subgraph("saves", "", "", node(1, "GetNode", "it", gives="IMAGE"), link(1, 1, 0, 2, 0), save(2, 1))
    made = prompt(
        *(empty(1), link(1, 1, 0, 2, 0), node(2, "SetNode", "it", reads={"IMAGE": 1}), node(3, "saves")),
        subgraphs=(inner,),
    )
    assert made["3:2"]["images"] == ["1", 0]


INNER = subgraph(
    *("inner-id", "text:STRING clip:CLIP", "CONDITIONING:CONDITIONING"),
    node(8, "CLIPTextEncode", "from within", reads={"clip:CLIP": 1, "text:STRING": 2}, gives="CONDITIONING"),
    *(link(1, -10, 1, 8, 0), link(2, -10, 0, 8, 1), link(3, 8, 0, -20, 0)),
)
INNER["nodes"][0]["inputs"][1]["widget"] = {"name": "text"}
LOADER = node(1, "CheckpointLoaderSimple", "a.safetensors", gives="MODEL CLIP VAE")
SAMPLED = (link(9, 57, 0, 3, 0), node(3, "ConditioningZeroOut", reads={"conditioning:CONDITIONING": 9}))


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (node(57, "inner-id", reads={"clip:CLIP": 5}), "from within"),
        (node(57, "inner-id", "from without", reads={"clip:CLIP": 5}), "from without"),
        (node(57, "inner-id", "x", reads={"clip:CLIP": 5}, widgets_values_named={"text": "by name"}), "by name"),
        (node(57, "inner-id", "own", reads={"clip:CLIP": 5}, properties={"proxyWidgets": [["-1", "text"]]}), "own"),
        (node(57, "inner-id", "its", reads={"clip:CLIP": 5}, properties={"proxyWidgets": [["8", "text"]]}), "its"),
        (
            node(
                57,
                "inner-id",
                "own",
                "of another",
                reads={"clip:CLIP": 5},
                properties={"proxyWidgets": [["-1", "text"], ["77", "text"]]},
            ),
            "own",
        ),
    ],
)
def test_a_subgraphs_nodes_are_called_after_their_host_and_take_the_values_that_it_shows(host: Json, text: str) -> None:
    made = prompt(LOADER, link(5, 1, 1, 57, 0), host, *SAMPLED, subgraphs=(INNER,))

    assert made["57:8"] == {"text": text, "clip": ["1", 1]}
    assert made["3"] == {"conditioning": ["57:8", 0]}


def test_only_inputs_with_a_widget_have_a_value_on_the_host() -> None:
    swapped = {**INNER, "inputs": INNER["inputs"][::-1]}
    swapped["links"] = [{**one, "origin_slot": 1 - one["origin_slot"]} if one["origin_id"] == -10 else one
                        for one in INNER["links"]]  # fmt: skip
    host = node(57, "inner-id", "from without", reads={"clip:CLIP": 5})
    made = prompt(LOADER, link(5, 1, 1, 57, 0), host, *SAMPLED, subgraphs=(swapped,))

    assert made["57:8"] == {"text": "from without", "clip": ["1", 1]}


def test_the_first_of_several_inputs_behind_one_of_a_subgraph_lends_its_value_to_the_others() -> None:
    edge = {"width:INT": 1}
    twice = subgraph(
        *("twice", "width:INT", ""),
        node(1, "EmptyImage", 96, 64, 1, 0, reads=edge, gives="IMAGE"),
        *(link(1, -10, 0, 1, 0), link(2, -10, 0, 2, 0)),
        node(2, "EmptyImage", 32, 64, 1, 0, reads={"width:INT": 2}, gives="IMAGE"),
    )
    twice["nodes"][0]["inputs"][0]["widget"] = {"name": "width"}
    made = prompt(node(9, "twice"), subgraphs=(twice,))

    assert (made["9:1"]["width"], made["9:2"]["width"]) == (96, 96)


def test_subgraphs_within_subgraphs_are_opened_and_a_bypassed_one_hands_on() -> None:
    outer = subgraph(
        *("outer-id", "clip:CLIP", "CONDITIONING:CONDITIONING"),
        node(5, "inner-id", reads={"clip:CLIP": 1}, gives="CONDITIONING"),
        *(link(1, -10, 0, 5, 0), link(2, 5, 0, -20, 0)),
        definitions={"subgraphs": [INNER]},
    )
    made = prompt(LOADER, link(5, 1, 1, 57, 0), node(57, "outer-id", reads={"clip:CLIP": 5}), *SAMPLED,
                  subgraphs=(outer,))  # fmt: skip
    passing = node(58, "outer-id", reads={"conditioning:CONDITIONING": 9}, gives="CONDITIONING", mode=4)
    past = prompt(LOADER, link(5, 1, 1, 57, 0), node(57, "outer-id", reads={"clip:CLIP": 5}),
                  *(link(9, 57, 0, 58, 0), passing, link(10, 58, 0, 3, 0)),
                  node(3, "ConditioningZeroOut", reads={"conditioning:CONDITIONING": 10}),
                  subgraphs=(outer,))  # fmt: skip

    assert made["57:5:8"] == {"text": "from within", "clip": ["1", 1]}
    assert past == made


def test_an_older_group_node_is_opened_with_its_own_values() -> None:
    group = {
        "nodes": [
            node(1, "EmptyImage", 64, 64, 1, 0, gives="IMAGE"),
            node(2, "ImageScaleBy", "lanczos", 2, reads={"image:IMAGE": 1}, gives="IMAGE"),
            node(3, "ImageBlend", 0.5, "normal", reads={"image1:IMAGE": 2, "image2:IMAGE": None}, gives="IMAGE"),
        ],
        "links": [[0, 0, 1, 0, 1, "IMAGE"], [1, 0, 2, 0, 2, "IMAGE"]],
    }
    values = (32, 48, 1, 0, "area", 3, 0.25, "screen")
    made = prompt(
        *(empty(7), link(1, 7, 0, 5, 0)),
        node(5, "workflow>mine", *values, reads={"image2:IMAGE": 1}, gives="IMAGE"),
        *(link(2, 5, 0, 6, 0), save(6, 2)),
        extra={"groupNodes": {"mine": group}},
    )
    assert made == {
        "7": EMPTY,
        "5:0": {"width": 32, "height": 48, "batch_size": 1, "color": 0},
        "5:1": {"upscale_method": "area", "scale_by": 3, "image": ["5:0", 0]},
        "5:2": {"blend_factor": 0.25, "blend_mode": "screen", "image1": ["5:1", 0], "image2": ["7", 0]},
        "6": {"filename_prefix": "x", "images": ["5:2", 0]},
    }


def test_links_that_a_pack_draws_by_itself_are_followed() -> None:
    seen = {"downstream": 2, "downstream_slot": 0, "upstream": "1", "upstream_slot": 0, "type": "IMAGE"}

    assert prompt(empty(1), save(2, None), extra={"ue_links": [seen]})["2"]["images"] == ["1", 0]


def test_what_the_author_named_is_told_with_all_its_spots() -> None:
    encoders = [node(n, "CLIPTextEncode", "a cat", title=title) for n, title in ((4, "@prompt"), (5, "the @negative"))]
    seed = node(7, "PrimitiveNode", 5, "randomize", gives="INT", title="@seed")
    samplers = [node(n, "KSampler", 1, "fixed", 20, 8, "euler", "normal", 1, reads={"seed:INT": n}) for n in (2, 3)]
    made = convert(
        *encoders,
        *(seed, *samplers, link(2, 7, 0, 2, 0), link(3, 7, 0, 3, 0)),
        node(6, "EmptyLatentImage", 512, 512, 1, title="@width and @height"),
        node(8, "LoadImage", "a.png", title="mail me@home.org"),
    )
    assert made.named == {
        "prompt": (("4", "text"),),
        "negative": (("5", "text"),),
        "width": (("6", "width"),),
        "height": (("6", "height"),),
        "seed": (("2", "seed"), ("3", "seed")),
    }
    assert made.titles["5"] == made.graph["5"].title == "the @negative"


def test_an_input_of_a_subgraph_that_is_labelled_names_the_input_within() -> None:
    labelled = {**INNER, "inputs": [{**INNER["inputs"][0], "label": "@prompt"}, INNER["inputs"][1]]}
    made = convert(LOADER, link(5, 1, 1, 57, 0), node(57, "inner-id", reads={"clip:CLIP": 5}), subgraphs=(labelled,))

    assert made.named == {"prompt": (("57:8", "text"),)}


def test_a_labelled_input_that_another_node_fills_is_not_named() -> None:
    labelled = node(2, "CLIPTextEncode", "a cat", reads={"text:STRING": 1})
    labelled["inputs"][0]["label"] = "@prompt"
    giver = node(1, "PrimitiveString", "a dog", gives="STRING")

    assert convert(giver, link(1, 1, 0, 2, 0), labelled).named == {}
    assert convert(giver, labelled).named == {"prompt": (("2", "text"),)}


def test_a_title_that_names_nothing_is_told() -> None:
    made = convert(node(1, "EmptyLatentImage", 512, 512, 1, title="@width @colour"))

    assert made.named == {"width": (("1", "width"),)}
    assert made.notes == ("The title '@width @colour' of node 1 names no input that has a value of its own.",)


def test_models_are_told_once_with_where_they_are_to_be_had() -> None:
    told = [{"name": "a.safetensors", "url": "https://example.org/a", "directory": "checkpoints"}] * 2
    wrong = [{"name": "b.safetensors", "url": "file:///etc/passwd", "directory": "vae"}, {"url": "x"}, "y"]

    assert convert(empty(1, properties={"models": [*told, *wrong]})).models == (
        StatedModel("a.safetensors", "https://example.org/a", "checkpoints", "1"),
        StatedModel("b.safetensors", "", "vae", "1"),
    )


def test_a_file_is_called_as_the_server_spells_it() -> None:
    offered = "random-sd15.safetensors"
    made = prompt(node(1, "CheckpointLoaderSimple", f"SD15\\{offered.upper()}"))

    assert made["1"]["ckpt_name"] == offered


def test_classes_that_the_server_lacks_are_named_with_the_pack_they_are_of() -> None:
    with pytest.raises(GraphRejected) as caught:
        convert(
            node(1, "KSamplr", properties={"cnr_id": "a-pack", "aux_id": "someone/a-pack"}),
            *(node(2, "Newer", properties={"cnr_id": "comfy-core", "ver": "9.9"}), node(3, "Newer"), node(4, "Who")),
        )
    messages = [problem.message for problem in caught.value.problems]

    assert "KSamplr, Newer, Who" in str(caught.value)
    assert [problem.class_type for problem in caught.value.problems] == ["KSamplr", "Newer", "Who"]
    assert "KSampler" in caught.value.problems[0].valid
    assert "the pack a-pack (github.com/someone/a-pack)" in messages[0]
    assert "(node 2, 3); it is one of ComfyUI's own since 9.9 or earlier: update the server." in messages[1]
    assert "does not say what pack" in messages[2]


def test_a_workflow_in_which_nothing_is_at_work_is_refused() -> None:
    with pytest.raises(GraphRejected, match="Nothing is at work"):
        convert(empty(1, mode=2), node(2, "Note", "x"))
