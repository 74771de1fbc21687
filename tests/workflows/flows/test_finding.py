"""The inputs of a workflow: found by following the links, or named by its author."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from tests.workflows.flows.kit import CHECKPOINT, Json, changed, having, node, portrait, retouch, server
from workflows.flows import Flow, understood
from workflows.types import FlowInput


def flow(graph: Json) -> Flow:
    found = understood(graph, server())
    assert found.graph is not None
    return found


def names(graph: Json) -> dict[str, object]:
    return {one.name: one.default for one in flow(graph).inputs}


def one(graph: Json, name: str) -> FlowInput:
    return next(one for one in flow(graph).inputs if one.name == name)


def test_the_inputs_of_a_picture_are_found_in_the_order_in_which_people_ask() -> None:
    assert names(portrait()) == {
        "prompt": "a red fox in the snow",
        "negative_prompt": "blurry",
        "width": 512,
        "height": 768,
        "batch": 1,
        "seed": 7,
        "steps": 20,
        "cfg": 6.5,
        "sampler": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
        "model": CHECKPOINT,
    }


def test_an_input_knows_its_limits_and_its_places() -> None:
    assert one(portrait(), "steps") == FlowInput(
        name="steps",
        kind="integer",
        role="steps",
        default=20,
        least=1,
        most=1000,
        about="steps of KSampler",
        spots=(("sampler", "steps"),),
    )
    model = one(portrait(), "model")
    assert (model.kind, model.choices) == ("model", server().choices("CheckpointLoaderSimple", "ckpt_name"))
    assert (one(portrait(), "seed").least, one(portrait(), "sampler").kind) == (-1, "choice")


def test_a_picture_of_the_authors_has_to_be_given_unless_the_server_has_it() -> None:
    assert one(retouch("picture.png"), "image") == FlowInput(
        name="image",
        kind="image",
        role="image",
        default="picture.png",
        about="image of LoadImage",
        spots=(("photo", "image"),),
    )
    strange = one(retouch("clipspace/mine.png [input]"), "image")
    assert (strange.required, strange.default) == (True, None)


def test_pictures_masks_videos_and_sounds_are_told_apart() -> None:
    graph = retouch() | {
        "second": node("LoadImage", image="mask.png"),
        "mask": node("LoadImageMask", image="mask.png", channel="red"),
        "clip": node("LoadVideo", file="a.mp4"),
        "sound": node("LoadAudio", audio="a.wav"),
    }
    for number, name in enumerate(("second", "mask", "clip", "sound")):
        graph[f"out{number}"] = node("PreviewAny", source=[name, 0])
    found = {one.name: one.kind for one in flow(graph).inputs if one.kind in {"image", "video", "audio"}}
    assert found == {"image": "image", "image_2": "image", "mask": "image", "video": "video", "audio": "audio"}


def test_two_samplers_that_differ_have_inputs_of_their_own() -> None:
    again = portrait()["sampler"]["inputs"] | {"seed": 8, "latent_image": ["sampler", 0], "steps": 20}
    graph = changed(portrait(second=node("KSampler", **again)), "decode.samples", ["second", 0])
    assert one(graph, "seed").spots == (("sampler", "seed"),)
    assert one(graph, "seed_2").spots == (("second", "seed"),)
    assert one(graph, "steps").spots == (("sampler", "steps"), ("second", "steps"))


def test_values_that_other_nodes_hold_are_found_with_the_readers_limits() -> None:
    graph = changed(portrait(wide=node("PrimitiveInt", value=640)), "latent.width", ["wide", 0])
    graph = changed(graph | {"text": node("PrimitiveStringMultiline", value="an owl")}, "good.text", ["text", 0])
    width, prompt = one(graph, "width"), one(graph, "prompt")
    assert (width.default, width.least, width.most, width.spots) == (640, 16, 16384, (("wide", "value"),))
    assert (prompt.default, prompt.spots) == ("an owl", (("text", "value"),))


def test_a_prompt_put_together_from_parts_is_found_in_its_parts() -> None:
    graph = portrait(
        joined=node("StringConcatenate", string_a=["text", 0], string_b=", oil on canvas", delimiter=" "),
        text=node("PrimitiveStringMultiline", value="an owl"),
    )
    found = names(changed(graph, "good.text", ["joined", 0]))
    assert (found["prompt"], found["prompt_2"]) == ("an owl", ", oil on canvas")


def test_loras_are_numbered_with_their_strengths() -> None:
    graph = portrait(
        ink=node("LoraLoaderModelOnly", model=["loader", 0], lora_name="plain.safetensors", strength_model=0.8),
        film=node("LoraLoaderModelOnly", model=["ink", 0], lora_name="flux_film.safetensors", strength_model=0.5),
    )
    found = names(changed(graph, "sampler.model", ["film", 0]))
    told = {name: value for name, value in found.items() if name.startswith("lora")}
    assert told == {
        "lora_1": "plain.safetensors",
        "lora_2": "flux_film.safetensors",
        "lora_strength_1": 0.8,
        "lora_strength_2": 0.5,
    }


def test_sampling_by_parts_is_followed_to_its_numbers() -> None:
    graph = {name: body for name, body in portrait().items() if name != "sampler"} | {
        "noise": node("RandomNoise", noise_seed=5),
        "guider": node("CFGGuider", model=["loader", 0], positive=["good", 0], negative=["bad", 0], cfg=3.0),
        "names": node("KSamplerSelect", sampler_name="heun"),
        "sigmas": node("BasicScheduler", model=["loader", 0], scheduler="karras", steps=9, denoise=0.7),
        "sampler": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["names", 0],
            sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        ),
    }
    found = names(graph)
    wanted = ("prompt", "negative_prompt", "seed", "cfg", "sampler", "scheduler", "steps", "denoise", "width")
    told = ("a red fox in the snow", "blurry", 5, 3.0, "heun", "karras", 9, 0.7, 512)
    assert tuple(found[name] for name in wanted) == told


def test_a_videos_frames_and_rate_are_inputs() -> None:
    graph = portrait(
        latent=node("EmptyHunyuanLatentVideo", width=848, height=480, length=25, batch_size=1),
        save=node("SaveWEBM", images=["decode", 0], filename_prefix="x", codec="vp9", fps=16.0, crf=32.0),
    )
    found = flow(graph)
    told = {one.name: (one.default, one.most) for one in found.inputs if one.name in {"frames", "fps"}}
    assert told == {"frames": (25, 1025), "fps": (16.0, 1000.0)}
    assert found.outputs == ("video",)


# ------------------------------------------------------------------ named by the author


def titled(graph: Json, name: str, title: str) -> Json:
    return graph | {name: graph[name] | {"_meta": {"title": title}}}


def test_a_title_names_an_input_and_puts_it_first() -> None:
    graph = titled(titled(portrait(), "good", "@Was soll es sein?"), "sampler", "@seed")
    found = list(names(graph))
    assert found[:2] == ["was", "seed"]
    assert one(graph, "was").role == "prompt"
    assert one(graph, "seed").spots == (("sampler", "seed"),)


def test_several_places_of_one_name_are_one_input() -> None:
    graph = portrait(more=node("CLIPTextEncode", "@style", text="ink", clip=["loader", 1]))
    graph = changed(titled(graph, "good", "@style"), "sampler.negative", ["more", 0])
    assert one(graph, "style").spots == (("good", "text"), ("more", "text"))


def test_a_name_that_fits_nothing_is_told_of() -> None:
    graph = portrait(text=node("PrimitiveStringMultiline", value="an owl"))
    found = flow(titled(changed(graph, "good.text", ["text", 0]), "good", "@words"))
    assert found.inputs[0].name == "prompt"
    assert found.notes == ("The title '@words' of node good names no input that has a value of its own.",)


@pytest.mark.parametrize("title", ["@filename_prefix", "@images", "@"])
def test_a_title_cannot_name_what_is_saved_nor_a_link(title: str) -> None:
    assert list(names(titled(portrait(), "save", title))) == list(names(portrait()))


def test_titles_that_would_take_a_tools_own_arguments_get_a_number() -> None:
    graph = titled(titled(portrait(), "good", "@workflow"), "bad", "@wait_seconds")
    assert list(names(graph))[:2] == ["workflow_2", "wait_seconds_2"]


def test_what_no_output_is_made_from_is_no_input() -> None:
    assert names(portrait(loose=node("LoadImage", image="stranger.png"))) == names(portrait())


def test_choices_are_those_of_the_server_that_is_asked() -> None:
    body = retouch("mine.png")
    found = understood(body, having(LoadImage_image=["mine.png"]))
    assert [one.required for one in found.inputs if one.name == "image"] == [False]


# ------------------------------------------------------------------ the editor's own files


def official(name: str) -> Json:
    path = files("comfyui_workflow_templates_json").joinpath("templates", f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (
            "text_to_video_wan",
            ["prompt", "negative_prompt", "width", "height", "frames", "fps", "seed", "model", "vae"],
        ),
        ("image_z_image_turbo", ["prompt", "width", "height", "seed", "steps", "cfg", "model", "text_encoder"]),
        ("image_to_video_wan", ["prompt", "negative_prompt", "image", "width", "height", "frames", "clip_vision"]),
    ],
)
def test_an_official_template_of_the_editor_is_understood(template: str, wanted: list[str]) -> None:
    found = understood(official(template), server())
    assert found.graph is not None
    assert found.refusals == ()
    told = [one.name for one in found.inputs]
    assert [name for name in told if name in wanted] == wanted


def test_a_template_of_paid_nodes_is_refused_even_where_the_server_lacks_them() -> None:
    paid = {"nodes": [{"id": 4, "type": "KlingTextToVideoWithAudio"}], "links": []}
    found = understood(paid, server())
    assert [one.rule for one in found.refusals] == ["spends"]
    assert found.graph is None
