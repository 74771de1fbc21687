"""Videos: whole graphs that were looked at, and each family and task as its makers draw it."""

from dataclasses import replace
from typing import Any

import pytest

from tests.workflows.drawing.golden import golden
from tests.workflows.drawing.video_kit import asked, studio
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft, sampler_steps
from workflows.drawing.fitting import fit, fits
from workflows.drawing.setup import Setup, Thrift
from workflows.errors import BadRecipe, EngineUnavailable
from workflows.graph import Graph
from workflows.template import template, templates, trace
from workflows.types import VIDEOS, Control, LoraUse, Reference

HERE = studio()
CASES: dict[str, tuple[str, str]] = {
    "wan": ("wan2.1_t2v_1.3B_fp16", "txt2vid"),
    "wan_image": ("wan2.1_i2v_480p_14B_fp16", "img2vid"),
    "wan22_5b": ("wan2.2_ti2v_5B_fp16", "txt2vid"),
    "wan22_5b_image": ("wan2.2_ti2v_5B_fp16", "img2vid"),
    "wan22": ("wan2.2_t2v_high_noise_14B_fp8_scaled", "txt2vid"),
    "wan22_image": ("wan2.2_i2v_low_noise_14B_fp8_scaled", "img2vid"),
    "ltx_video": ("ltx-video-2b-v0.9.5", "txt2vid"),
    "ltx_video_image": ("ltx-video-2b-v0.9.5", "img2vid"),
    "ltx2": ("ltx-2-19b-dev-fp8", "txt2vid"),
    "ltx2_image": ("ltx-2-19b-dev-fp8", "img2vid"),
    "ltx2_distilled": ("ltx-2.3-22b-dev-fp8", "txt2vid"),
    "ltx2_distilled_image": ("ltx-2-19b-distilled-fp8", "img2vid"),
    "ltx25": ("ltx-2.5-22b-distilled-transformer-comfy-int8-convrot", "txt2vid"),
    "ltx25_image": ("ltx-2.5-22b-distilled-transformer-comfy-int8-convrot", "img2vid"),
    "hunyuan15": ("hunyuanvideo1.5_720p_t2v_fp16", "txt2vid"),
    "hunyuan15_image": ("hunyuanvideo1.5_720p_i2v_fp16", "img2vid"),
    "svd": ("svd_xt", "img2vid"),
}
"""Every template of a drawn video, by a model and a task that lead to it."""
ON_OLD = {
    "wan",
    "wan_image",
    "wan22",
    "wan22_image",
    "wan22_5b",
    "wan22_5b_image",
    "ltx_video",
    "ltx_video_image",
    "svd",
}
"""Those whose nodes ComfyUI 0.3.64 has."""
OWN: dict[str, tuple[int, int, int, float, int, float]] = {
    "wan": (832, 480, 81, 16.0, 30, 6.0),
    "wan_image": (832, 480, 81, 16.0, 20, 6.0),
    "wan22_5b": (1280, 704, 121, 24.0, 20, 5.0),
    "wan22_5b_image": (1280, 704, 121, 24.0, 20, 5.0),
    "wan22": (832, 480, 81, 16.0, 4, 1.0),
    "wan22_image": (832, 480, 81, 16.0, 4, 1.0),
    "ltx_video": (768, 512, 97, 25.0, 30, 3.0),
    "ltx_video_image": (768, 512, 97, 25.0, 30, 3.0),
    "ltx2": (1280, 704, 121, 24.0, 20, 4.0),
    "ltx2_image": (1280, 704, 121, 24.0, 20, 4.0),
    "ltx2_distilled": (1280, 704, 121, 25.0, 8, 1.0),
    "ltx2_distilled_image": (1280, 704, 121, 24.0, 8, 1.0),
    "ltx25": (1280, 704, 121, 24.0, 8, 1.0),
    "ltx25_image": (1280, 704, 121, 24.0, 8, 1.0),
    "hunyuan15": (1280, 720, 121, 24.0, 20, 6.0),
    "hunyuan15_image": (1280, 720, 121, 24.0, 20, 6.0),
    "svd": (1024, 576, 25, 6.0, 20, 2.5),
}
"""Width, height, frames, frames a second, steps and cfg (models.md 1.3, ComfyUI's own templates)."""
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "asked": {"negative": "blurry", "width": 640, "height": 384, "frames": 33, "steps": 12, "motion": 1.5, "fps": 30},
    "lora": {"loras": (LoraUse(name="wan22_grain", strength=0.5),)},
    "tiled": {},
    "shrink": {},
}
THRIFT = {"tiled": Thrift(tiled=True, encoder_on_cpu=True), "shrink": Thrift(shrink=0.5)}


def drafted(name: str, variant: str = "plain", era: str = "b", **more: Any) -> tuple[Setup, Graph]:
    model, task = CASES[name]
    recipe = asked(model=model, task=task, **VARIANTS[variant], **more)
    setup = fit(recipe, studio(era), thrift=THRIFT.get(variant, Thrift()))
    setup = replace(setup, pictures={"source": "atelier/first.png"}, prefix="atelier/x")
    return setup, draft(recipe, setup)


def test_every_template_of_a_video_is_among_the_cases() -> None:
    drawn = {name for name, one in templates().items() if VIDEOS & {*one.tasks} and "interpolate" not in one.tasks}
    assert drawn == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_every_template_drafts_the_graphs_that_were_looked_at(name: str) -> None:
    variants = [one for one in VARIANTS if one != "lora" or name.startswith("wan22")]
    graphs = {variant: drafted(name, variant)[1].as_prompt() for variant in variants}
    assert golden(f"video_{name}", graphs) == graphs


@pytest.mark.parametrize("era", ["a", "b"])
@pytest.mark.parametrize("variant", [one for one in VARIANTS if one != "lora"])
@pytest.mark.parametrize("name", CASES)
def test_the_server_would_take_every_graph(name: str, variant: str, era: str) -> None:
    if era == "a" and name not in ON_OLD:
        with pytest.raises(EngineUnavailable, match=r"which this server does not have: update ComfyUI|Update it"):
            drafted(name, variant, era)
        return
    setup, graph = drafted(name, variant, era)
    assert setup.template.name == name
    assert problems(graph, studio(era)) == []
    assert trace(graph).outputs == ("save",)


@pytest.mark.parametrize("name", CASES)
def test_a_family_draws_by_its_own_measure_where_nothing_is_asked(name: str) -> None:
    setup, _ = drafted(name)
    profile = setup.family.profile
    assert (profile.width, profile.height, profile.frames, profile.fps, profile.steps, profile.cfg) == OWN[name]


@pytest.mark.parametrize("variant", ["plain", "asked", "shrink"])
@pytest.mark.parametrize("name", CASES)
def test_words_seed_size_and_length_land_where_they_are_read(name: str, variant: str) -> None:
    setup, graph = drafted(name, variant)
    anatomy = trace(graph)
    assert {graph[node].inputs[field] for node, field in anatomy.seeds} == {7}
    words = [] if name == "svd" else ["a red fox runs"]
    own = VARIANTS[variant].get("negative") or setup.family.comfyui.negative
    for sampler in anatomy.samplers:
        assert [graph[node].inputs[field] for node, field in sampler.positive] == words
        said = [graph[node].inputs[field] for node, field in sampler.negative]
        assert said == ([own if setup.family.profile.negatives else ""] if words else [])
    asked_for = (640, 384, 33) if variant == "asked" else OWN[name][:3]
    assert _made(graph) == (asked_for if name != "svd" or variant != "asked" else (640, 384, 25))
    assert graph["video"].inputs["fps"] == (30 if variant == "asked" else OWN[name][3])


def _made(graph: Graph) -> tuple[int, int, int]:
    """Width, height and frames of what is saved: LTX-2 draws at half size and enlarges, thrift enlarges at the end."""
    size = graph["empty" if "empty" in graph else "latent"].inputs
    twice = 2 if "enlarged" in graph else 1
    width, height = size["width"] * twice, size["height"] * twice
    if "final_size" in graph:
        width, height = graph["final_size"].inputs["width"], graph["final_size"].inputs["height"]
    return width, height, size.get("length", size.get("video_frames"))


@pytest.mark.parametrize("name", [one for one in CASES if one.endswith("_image") or one == "svd"])
def test_the_first_picture_is_brought_to_the_size_that_is_drawn(name: str) -> None:
    _, graph = drafted(name, "asked")
    assert graph["start"].inputs == {"image": "atelier/first.png"}
    scaled = graph["start_size"].inputs
    assert (scaled["width"], scaled["height"], scaled["crop"]) == (640, 384, "center")


@pytest.mark.parametrize("name", [one for one in CASES if one.endswith("_image") or one == "svd"])
def test_a_video_is_extended_as_its_last_frame_is_set_in_motion(name: str) -> None:
    model, _ = CASES[name]
    graphs = [draft(recipe, fit(recipe, HERE)) for recipe in (_of(model, "img2vid"), _of(model, "extend_video"))]
    assert graphs[0] == graphs[1]


def _of(model: str, task: str) -> Any:
    return asked(model=model, task=task)


# ------------------------------------------------------------------ pairs and LoRAs for few steps


@pytest.mark.parametrize("half", ["high", "low"])
def test_whichever_half_is_named_the_pair_draws(half: str) -> None:
    setup = fit(asked(model=f"wan2.2_t2v_{half}_noise_14B_fp8_scaled"), HERE)
    assert setup.model == "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"
    assert setup.components["model_2"] == "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"


def test_the_steps_of_a_pair_are_shared_between_its_halves() -> None:
    recipe = asked(model="wan2.2_t2v_high_noise_14B_fp8_scaled", quality="high", steps=21)
    graph = draft(recipe, fit(recipe, HERE))
    first, second = graph["sampler"].inputs, graph["sampler_2"].inputs
    assert (first["steps"], first["start_at_step"], first["end_at_step"]) == (21, 0, 11)
    assert (second["steps"], second["start_at_step"], second["end_at_step"]) == (21, 11, 10000)
    assert (first["add_noise"], first["return_with_leftover_noise"]) == ("enable", "enable")
    assert (second["add_noise"], second["return_with_leftover_noise"]) == ("disable", "disable")
    assert sampler_steps(graph) == {"sampler": 11, "sampler_2": 10}


def test_even_one_step_is_shared_by_both_halves() -> None:
    recipe = asked(model="wan2.2_t2v_high_noise_14B_fp8_scaled", steps=1)
    assert sampler_steps(draft(recipe, fit(recipe, HERE))) == {"sampler": 1, "sampler_2": 1}


@pytest.mark.parametrize(
    ("more", "used"),
    [
        ({}, True),
        ({"quality": "fast"}, True),
        ({"quality": "high"}, False),
        ({"quality": "ultra"}, False),
        ({"steps": 4}, True),
        ({"steps": 20}, False),
        ({"quality": "high", "steps": 4}, True),
        ({"cfg": 3.5}, False),
        ({"cfg": 3.5, "steps": 20}, False),
        ({"cfg": 1.0, "steps": 12}, True),
        ({"cfg": 1.0, "quality": "high"}, True),
    ],
)
def test_loras_for_few_steps_are_taken_in_pairs_unless_the_long_way_is_asked_for(
    more: dict[str, Any], used: bool
) -> None:
    recipe = asked(model="wan2.2_t2v_low_noise_14B_fp8_scaled", **more)
    setup = fit(recipe, HERE)
    profile, graph = setup.family.profile, draft(recipe, setup)
    assert (profile.steps, profile.cfg, setup.family.comfyui.shift) == ((4, 1.0, 5.0) if used else (20, 3.5, 8.0))
    loras = {node.title: node.inputs["model"] for node in graph.nodes.values() if "lora_name" in node.inputs}
    names = {"loader": "v1.1_high_noise", "loader_2": "v1.1_low_noise"}
    assert loras == (
        {f"wan2.2_t2v_lightx2v_4steps_lora_{name}.safetensors": (loader, 0) for loader, name in names.items()}
        if used
        else {}
    )


def test_a_recipe_with_its_steps_filled_in_is_drawn_as_it_was_planned() -> None:
    open_, filled = ({}, {"steps": 4, "cfg": 1.0})
    graphs = [draft(one, fit(one, HERE)) for one in (_wan22(**open_), _wan22(**filled))]
    assert graphs[0] == graphs[1]


def _wan22(**more: Any) -> Any:
    return asked(model="wan2.2_t2v_high_noise_14B_fp8_scaled", **more)


def test_without_both_loras_for_few_steps_neither_is_taken() -> None:
    bare = studio(lacking=["wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise.safetensors"])
    setup = fit(_wan22(), bare)
    assert (setup.loras, setup.loras_2, setup.family.profile.steps) == ((), (), 20)


def test_a_lora_of_one_half_brings_its_twin_and_one_that_says_nothing_goes_to_both() -> None:
    loras = (LoraUse(name="wan22_arcane_style_low_noise", strength=0.8), LoraUse(name="wan22_grain"))
    setup = fit(_wan22(quality="high", loras=loras), HERE)
    assert [(use.name, use.strength) for use in setup.loras] == [
        ("wan22_grain.safetensors", 1.0),
        ("wan22_arcane_style_high_noise.safetensors", 0.8),
    ]
    assert [(use.name, use.strength) for use in setup.loras_2] == [
        ("wan22_arcane_style_low_noise.safetensors", 0.8),
        ("wan22_grain.safetensors", 1.0),
    ]
    assert any("goes wan22_arcane_style_high_noise.safetensors" in note for note in setup.notes)


def test_a_lora_whose_twin_is_missing_is_used_alone_and_said_so() -> None:
    alone = studio(lacking=["wan22_arcane_style_high_noise.safetensors"])
    setup = fit(_wan22(quality="high", loras=(LoraUse(name="wan22_arcane_style_low_noise"),)), alone)
    assert (len(setup.loras), len(setup.loras_2)) == (0, 1)
    assert any("wan22_arcane_style_high_noise.safetensors is not installed" in note for note in setup.notes)


def test_a_negative_prompt_that_few_steps_do_not_read_is_told_of_with_the_way_to_have_it_read() -> None:
    told = {
        quality: [note for note in fit(asked(model=CASES["wan22"][0], negative="dogs", quality=quality), HERE).notes]
        for quality in ("fast", "high")
    }
    assert told["fast"][-1] == "In few steps no negative prompt is read: it was left out; quality high reads one."
    assert not any("negative" in note for note in [*told["fast"][:-1], *told["high"]])


def test_named_loras_for_few_steps_are_not_added_a_second_time() -> None:
    use = LoraUse(name="wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise", strength=0.9)
    setup = fit(_wan22(loras=(use,), steps=6), HERE)
    assert [(one.name, one.strength) for one in (*setup.loras, *setup.loras_2)] == [
        ("wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors", 0.9),
        ("wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise.safetensors", 0.9),
    ]
    assert setup.family.profile.cfg == 1.0


def test_ltx_2_3_is_drawn_with_half_of_the_lora_that_makes_it_quick() -> None:
    _, graph = drafted("ltx2_distilled")
    lora = graph["lora_1"].inputs
    assert lora["lora_name"].startswith("ltx_2.3_22b_distilled")
    assert (lora["strength_model"], graph["guider"].inputs["model"], graph["guider_2"].inputs["model"]) == (
        0.5,
        ("lora_1", 0),
        ("lora_1", 0),
    )
    assert sampler_steps(graph) == {"sampler": 8, "sampler_2": 3}


def test_ltx_2_draws_its_second_pass_alone_with_the_distilled_lora() -> None:
    _, graph = drafted("ltx2")
    assert graph["quick"].inputs["lora_name"] == "ltx-2-19b-distilled-lora-384.safetensors"
    assert (graph["guider"].inputs["model"], graph["guider_2"].inputs["model"]) == (("loader", 0), ("quick", 0))
    assert sampler_steps(graph) == {"sampler": 20, "sampler_2": 3}
    assert graph["video"].inputs["audio"] == ("heard", 0)


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("name", "lacking", "said"),
    [
        (
            "wan22",
            "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors",
            r"one half of Wan 2\.2 14B; the other half is not installed\. Put wan2\.2_t2v_low_noise_14B_fp8_scaled",
        ),
        (
            "wan22_image",
            "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors",
            r"Put wan2\.2_i2v_high_noise.* such as wan2\.2_i2v_high_noise.*Wan_2\.2_ComfyUI_Repackaged on Hugging Face",
        ),
        ("wan", "umt5_xxl_fp8_e4m3fn_scaled.safetensors", r"into the folder text_encoders: umt5_xxl_fp8"),
        ("wan", "wan_2.1_vae.safetensors", r"into the folder vae: wan_2\.1_vae.* Now vae has wan2\.2_vae"),
        ("wan_image", "clip_vision_h.safetensors", r"into the folder clip_vision: clip_vision_h"),
        ("hunyuan15_image", "sigclip_vision_patch14_384.safetensors", r"into the folder clip_vision: sigclip"),
        ("hunyuan15", "byt5_small_glyphxl_fp16.safetensors", r"into the folder text_encoders: byt5_small"),
        ("ltx2", "gemma_3_12B_it_fp4_mixed.safetensors", r"into the folder text_encoders: gemma_3_12B_it_fp4_mixed"),
        (
            "ltx2_distilled",
            "ltx_2.3_22b_distilled_1.1_lora_dynamic_fro09_avg_rank_111_bf16.safetensors",
            r"LoRA for few steps, which is not installed\. Put into the folder loras: ltx_2\.3_22b_distilled",
        ),
        ("ltx25", "ltx-2.5-audio-vae-bf16.safetensors", r"into the folder vae: ltx-2\.5-audio-vae-bf16"),
    ],
)
def test_what_is_missing_is_named_with_its_folder_and_source(name: str, lacking: str, said: str) -> None:
    model, task = CASES[name]
    with pytest.raises(EngineUnavailable, match=said):
        fit(asked(model=model, task=task), studio(lacking=[lacking]))


@pytest.mark.parametrize(
    ("model", "task", "said"),
    [
        ("wan2.1_t2v_14B_fp16", "img2vid", r"from words alone.* Here are wan2\.1_i2v_480p_14B"),
        ("wan2.1_i2v_480p_14B_fp16", "txt2vid", r"from a first picture.* Here are wan2\.1_t2v_1\.3B"),
        ("svd_xt", "txt2vid", "makes videos from a picture only"),
        ("sd_xl_base_1.0", "txt2vid", "it makes pictures, not videos"),
        ("wan2.2_ti2v_5B_fp16", "txt2img", "it makes videos, not pictures"),
    ],
)
def test_a_model_for_something_else_is_refused_with_those_that_are_for_this(model: str, task: str, said: str) -> None:
    with pytest.raises(EngineUnavailable, match=said):
        fit(asked(model=model, task=task), HERE)


def test_a_pair_that_does_not_say_which_half_it_is_is_refused() -> None:
    odd = studio(lacking=[])
    unet = odd.classes["UNETLoader"]
    inputs = {**unet.inputs, "unet_name": replace(unet.inputs["unet_name"], choices=("wan2.2_t2v_14B_merge.sft",))}
    odd = replace(odd, classes={**odd.classes, "UNETLoader": replace(unet, inputs=inputs)})
    with pytest.raises(EngineUnavailable, match="neither high_noise nor low_noise"):
        fit(asked(model="wan2.2_t2v_14B_merge"), odd)


@pytest.mark.parametrize(
    "more",
    [
        {"controls": (Control(kind="depth", image="c"),)},
        {"references": (Reference(image="r"),)},
        {"mask": "m"},
        {"transparent": True},
    ],
)
def test_what_no_video_takes_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadRecipe, match="videos are made without it"):
        fit(asked(model="wan2.2_ti2v_5B_fp16", **more), HERE)


@pytest.mark.parametrize(("width", "near"), [(840, "832"), (72, "64")])
def test_a_size_that_the_family_does_not_draw_is_refused_with_the_nearest(width: int, near: str) -> None:
    recipe = asked(model="wan2.2_ti2v_5B_fp16", width=width, height=480)
    with pytest.raises(BadRecipe, match=f"multiples of 32 from 64 to 4096; the nearest is {near}"):
        draft(recipe, fit(recipe, HERE))


# ------------------------------------------------------------------ choice


def test_without_a_name_only_models_for_the_task_are_taken() -> None:
    assert fit(asked(), HERE).family.video
    assert fit(asked(task="img2vid"), HERE).template.tasks == ("img2vid", "extend_video")
    assert fit(asked(task="txt2img"), HERE).model == "sd_xl_base_1.0.safetensors"


def test_where_nothing_makes_videos_it_is_said_what_to_get() -> None:
    from tests.workflows.drawing.golden import inventory
    from tests.workflows.drawing.test_fitting import only

    assert "makes pictures" not in (fits(asked(), only("sd_xl_base_1.0.safetensors")) or "")
    reason = fits(asked(), only("sd_xl_base_1.0.safetensors"))
    assert reason is not None
    assert reason.startswith("This ComfyUI has no model that makes videos. Wan 2.2 5B wants a GPU of 8 GB")
    assert "hf:Comfy-Org/Wan_2.2_ComfyUI_Repackaged/split_files/diffusion_models/wan2.2_ti2v_5B_fp16" in reason
    assert fits(asked(task="txt2img"), inventory()) is None


# ------------------------------------------------------------------ notes, motion, saving


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("wan_image", {"motion": 1.5}, "no setting for how much moves: motion_strength had no effect"),
        ("ltx_video_image", {"motion": 1.5}, "the first picture was compressed more, and so moves more"),
        ("ltx_video_image", {"motion": 0.5}, "the first picture was compressed less, and so moves less"),
        ("wan", {"motion": 1.5}, "motion_strength is for videos that begin with a picture"),
        ("wan", {"fps": 24}, "Wan 2.1 1.3B makes 16 frames a second whatever it is told; at 24 they only play faster"),
        ("wan", {"hires": True}, "hires changed nothing"),
        ("ltx2_distilled", {"steps": 20}, "steps 20 was left out, it takes 8"),
        ("wan", {"negative": "fog", "cfg": 1.0}, "At cfg 1 no negative prompt is read"),
        ("svd", {}, "reads no words: the video comes from the picture alone"),
    ],
)
def test_what_does_less_than_one_may_think_is_said(name: str, more: dict[str, Any], said: str) -> None:
    setup, _ = drafted(name, **more)
    assert any(said in note for note in setup.notes), setup.notes


@pytest.mark.parametrize(
    ("name", "more"), [("wan_image", {"motion": 1.0}), ("ltx_video", {"fps": 30.0}), ("wan", {"fps": 16.0})]
)
def test_nothing_is_said_where_all_was_done(name: str, more: dict[str, Any]) -> None:
    assert drafted(name, **more)[0].notes == ()


@pytest.mark.parametrize(
    ("name", "spot", "values"),
    [
        ("ltx_video_image", ("pressed", "img_compression"), {0.0: 0, 1.0: 35, 2.0: 70}),
        ("ltx2_image", ("pressed", "img_compression"), {0.5: 16, 1.0: 33, 2.0: 66}),
        ("svd", ("latent", "motion_bucket_id"), {0.0: 1, 1.0: 127, 2.0: 254}),
    ],
)
def test_motion_goes_to_what_really_decides_it(name: str, spot: tuple[str, str], values: dict[float, int]) -> None:
    found = {motion: drafted(name, motion=motion)[1][spot[0]].inputs[spot[1]] for motion in values}
    assert found == values


@pytest.mark.parametrize("name", ["wan", "svd", "ltx_video"])
def test_an_old_server_saves_an_animated_webp(name: str) -> None:
    model, task = CASES[name]
    old = studio("a", lacking=["SaveVideo"])
    recipe = asked(model=model, task=task, fps=12)
    setup = fit(recipe, old)
    graph = draft(recipe, setup)
    assert problems(graph, old) == []
    assert (graph["save"].class_type, graph["save"].inputs["fps"]) == ("SaveAnimatedWEBP", 12)
    assert "video" not in graph
    assert any("cannot write MP4" in note for note in setup.notes)


def test_frames_are_brought_to_what_the_family_draws() -> None:
    lengths = {asked_for: drafted("wan", frames=asked_for)[1]["latent"].inputs["length"] for asked_for in (1, 48, 500)}
    assert lengths == {1: 5, 48: 49, 500: 81}


def test_both_halves_of_a_pair_are_taken_smaller_where_memory_is_short() -> None:
    recipe = _wan22()
    big = studio(lacking=[])
    unet = big.classes["UNETLoader"]
    files = [f"wan2.2_t2v_{half}_noise_14B_{kind}.safetensors" for half in ("high", "low") for kind in ("fp16", "fp8")]
    inputs = {**unet.inputs, "unet_name": replace(unet.inputs["unet_name"], choices=tuple(files))}
    big = replace(big, classes={**big.classes, "UNETLoader": replace(unet, inputs=inputs)})
    setup = fit(recipe.but(model="wan2.2_t2v_low_noise_14B_fp16"), big, thrift=Thrift(small_weights=True))
    assert (setup.model, setup.components["model_2"]) == (files[1], files[3])
    plain = fit(recipe.but(model="wan2.2_t2v_low_noise_14B_fp16"), big)
    assert (plain.model, plain.components["model_2"]) == (files[0], files[2])


def test_a_template_of_a_video_names_its_task() -> None:
    assert template("wan22_image").tasks == ("img2vid", "extend_video")
    assert template("wan22").tasks == ("txt2vid",)
