"""What a server would refuse is found before it is asked, and told with names, values and the next step."""

from typing import Any

import pytest

from tests.workflows.drawing.golden import inventory
from workflows.drawing.checking import problems
from workflows.drawing.inventory import Inventory
from workflows.graph import Graph
from workflows.types import Problem

HERE = inventory()


def picture() -> Graph:
    return (
        Graph({})
        .plus("loader", "CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors")
        .plus("good", "CLIPTextEncode", text="fox", clip=("loader", 1))
        .plus("bad", "CLIPTextEncode", text="", clip=("loader", 1))
        .plus("latent", "EmptyLatentImage", width=64, height=64, batch_size=1)
        .plus(
            "sampler",
            "KSampler",
            model=("loader", 0),
            seed=1,
            steps=2,
            cfg=7,
            sampler_name="euler",
            scheduler="normal",
            positive=("good", 0),
            negative=("bad", 0),
            latent_image=("latent", 0),
            denoise=1.0,
        )
        .plus("decode", "VAEDecode", samples=("sampler", 0), vae=("loader", 2))
        .plus("save", "SaveImage", images=("decode", 0), filename_prefix="x")
    )


def told(graph: Graph) -> list[tuple[str, str, str]]:
    return [(one.node, one.input, one.message) for one in problems(graph, HERE)]


def test_a_good_graph_has_no_problems() -> None:
    assert problems(picture(), HERE) == []


def test_a_problem_carries_its_facts() -> None:
    (one,) = problems(picture().but("sampler", sampler_name="eulr"), HERE)
    assert one.but(valid=one.valid[:1], message=one.message[:60]) == Problem(
        node="sampler",
        class_type="KSampler",
        input="sampler_name",
        value="eulr",
        message="sampler.sampler_name cannot be 'eulr': it is one of euler, e",
        valid=("euler",),
    )
    assert one.message.endswith("and 32 more.")


@pytest.mark.parametrize(
    ("graph", "node", "field", "words"),
    [
        (
            picture().swapped("save", "SaveImag", images=("decode", 0)),
            "save",
            "",
            "This server has no node class SaveImag; did you mean SaveImage",
        ),
        (
            picture().but("loader", ckpt_name="sd_xl_bass.safetensors"),
            "loader",
            "ckpt_name",
            "it is one of sd_xl_base_1.0.safetensors, ",
        ),
        (
            picture().but("loader", ckpt_name="nothing like it"),
            "loader",
            "ckpt_name",
            "It belongs in the server's folder checkpoints.",
        ),
        (
            picture().but("sampler", positive=("goood", 0)),
            "sampler",
            "positive",
            "reads node 'goood', which is not in the graph. Did you mean good?",
        ),
        (
            picture().but("decode", vae=("loader", 3)),
            "decode",
            "vae",
            "reads output 3 of loader (CheckpointLoaderSimple), which gives 0 MODEL, 1 CLIP, 2 VAE.",
        ),
        (
            picture().but("decode", vae=("loader", 0)),
            "decode",
            "vae",
            "takes VAE, but output 0 of loader is MODEL. VAE comes from loader:2.",
        ),
        (picture().but("sampler", steps=0), "sampler", "steps", "sampler.steps cannot be 0: the least is 1."),
        (picture().but("sampler", cfg=101.0), "sampler", "cfg", "the most is 100.0."),
        (picture().but("sampler", seed="seven"), "sampler", "seed", "cannot be 'seven': it takes a whole number."),
        (picture().but("sampler", cfg=None), "sampler", "cfg", "cannot be 'None': it takes a number."),
        (
            picture().but("decode", vae=[3, 0]),
            "decode",
            "vae",
            "takes VAE from another node: write [node id, output number]. Node ids are strings.",
        ),
    ],
)
def test_each_fault_is_told_where_it_is(graph: Graph, node: str, field: str, words: str) -> None:
    ((where, spot, message),) = told(graph)
    assert (where, spot) == (node, field)
    assert words in message


def test_a_missing_input_is_told_with_what_it_takes_or_with_its_slip() -> None:
    graph = picture().swapped("latent", "EmptyLatentImage", width=64, hight=64)
    assert told(graph) == [
        ("latent", "height", "latent (EmptyLatentImage) needs the input height. It has 'hight' instead, which the node "
         "does not know."),
        ("latent", "batch_size", "latent (EmptyLatentImage) needs the input batch_size. It takes INT, usually 1."),
    ]  # fmt: skip


def test_a_slip_of_an_optional_input_is_told_and_other_extras_are_not() -> None:
    graph = picture().plus(
        "clip", "CLIPLoader", clip_name="clip_l.safetensors", type="sd3", devise="cpu", upload="image"
    )
    assert told(graph.but("good", clip=("clip", 0))) == [
        ("clip", "devise", "clip (CLIPLoader) has no input devise; did you mean device?")
    ]


def test_a_loop_is_named() -> None:
    graph = picture().but("latent", x=("decode", 0))
    assert told(graph) == [
        ("latent", "", "The links run in a circle: latent reads decode reads sampler reads latent. Cut one of them.")
    ]


def test_a_graph_without_an_output_is_told_how_to_end() -> None:
    assert told(picture().without("save")) == [
        ("", "", "Nothing in the graph is an output: end it in a node such as SaveImage or PreviewImage.")
    ]


def test_only_what_an_output_is_made_from_is_judged_as_the_server_does() -> None:
    assert told(picture().plus("beside", "KSampler", steps=-1)) == []
    assert told(picture().plus("beside", "NoSuchThing"))[0][0] == "beside"


@pytest.mark.parametrize(
    ("inputs", "taken"),
    [
        ({"seed": "7", "steps": "2", "cfg": "7.5"}, True),
        ({"denoise": 1, "steps": 2.7}, True),
        ({"steps": {"__value__": 3}}, True),
        ({"latent_image": ("latent", -1)}, True),
        ({"seed": ("number", 0)}, True),
        ({"cfg": ("number", 0)}, False),
        ({"sampler_name": ("text", 0)}, False),
        ({"sampler_name": ["euler", "heun", "lms"]}, False),
        ({"model": "by hand"}, False),
        ({"seed": 2**64}, False),
    ],
)
def test_values_are_judged_as_both_servers_were_seen_to_judge_them(inputs: dict[str, Any], taken: bool) -> None:
    graph = picture().plus("text", "PrimitiveString", value="euler").plus("number", "PrimitiveInt", value=7)
    spots = [(one.node, one.input) for one in problems(graph.but("sampler", **inputs), HERE)]
    assert spots == ([] if taken else [("sampler", next(iter(inputs)))])


def test_an_upload_into_any_node_is_left_to_the_server() -> None:
    given = {"picture": [["old.png"], {"image_upload": True}], "mode": [["fast"]]}
    custom = Inventory.read({"Framer": {"input": {"required": given}, "output": [], "output_node": True}})
    graph = Graph({}).plus("1", "Framer", picture="new.png", mode="slow")
    assert [one.input for one in problems(graph, custom)] == ["mode"]


def test_uploads_any_types_and_dynamic_inputs_are_left_to_the_server() -> None:
    graph = (
        Graph({})
        .plus("file", "LoadImage", image="atelier/just uploaded.png")
        .plus("mask", "LoadImageMask", image="mask.png [output]", channel="red")
        .plus("size", "ResizeImageMaskNode", input=("file", 0), resize_type="scale dimensions", scale_method="area",
              **{"resize_type.width": 8, "resize_type.height": 8, "resize_type.crop": "center"})
        .plus("many", "BatchImagesNode", **{"images.image0": ("file", 0), "images.image1": ("size", 0)})
        .plus("any", "PreviewAny", source=("mask", 0))
        .plus("save", "SaveImage", images=("many", 0), filename_prefix="x")
    )  # fmt: skip
    assert told(graph) == []
