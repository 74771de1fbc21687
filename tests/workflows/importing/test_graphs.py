"""ComfyUI's graphs as recipes: walked from what was saved back to what it was drawn with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.importing import foreign_files as made
from utils.metadata import read
from workflows.importing import Foreign, read_recipe
from workflows.types import LoraUse, Recipe


def of(graph: dict[str, Any] | None = None, workflow: dict[str, Any] | None = None) -> Foreign:
    """What is read from a PNG as SaveImage writes it."""
    texts = {"prompt": graph, "workflow": workflow}
    foreign = read_recipe(read(made.png({name: json.dumps(body) for name, body in texts.items() if body})))
    assert foreign is not None
    return foreign


BOTTLE = Recipe(
    prompt="a glass bottle",
    negative="text, watermark",
    model="sd_xl_base_1.0.safetensors",
    width=1024,
    height=768,
    steps=20,
    cfg=8.0,
    sampler="dpmpp_2m",
    scheduler="karras",
    clip_skip=2,
    seed=156680208700286 % 2**32,
    loras=(
        LoraUse(name="ink.safetensors", strength=0.8, clip_strength=0.5),
        LoraUse(name="detail.safetensors", strength=0.4),
    ),
)
BOAT = Recipe(
    prompt="a paper boat, on a puddle",
    model="flux1-dev.safetensors",
    width=1216,
    height=832,
    steps=28,
    cfg=3.5,
    sampler="euler",
    scheduler="simple",
    seed=219670278747233 % 2**32,
)


def test_the_default_graph_with_loras_in_a_chain_is_read_and_kept() -> None:
    graph = made.ksampler()
    foreign = of(graph, made.EDITOR)

    assert (foreign.program, foreign.recipe, foreign.model) == ("ComfyUI", BOTTLE, "sd_xl_base_1.0.safetensors")
    assert (foreign.graph, foreign.workflow) == (graph, made.EDITOR)


def test_flux_with_guider_noise_sampler_and_sigmas_of_their_own_is_read() -> None:
    assert of(made.FLUX).recipe == BOAT


def test_graphs_in_the_exif_of_a_webp_are_found() -> None:
    content = made.with_exif(
        "WEBP", {0x0110: f"prompt:{json.dumps(made.FLUX)}", 0x010F: f"workflow:{json.dumps(made.EDITOR)}"}
    )
    foreign = read_recipe(read(content))

    assert foreign is not None
    assert (foreign.recipe, foreign.graph, foreign.workflow) == (BOAT, made.FLUX, made.EDITOR)


def test_the_editors_graph_alone_is_read_past_bypassed_nodes_and_reroutes() -> None:
    assert of(workflow=made.EDITOR).recipe == Recipe(
        prompt="a red door",
        negative="rust",
        model="dream.safetensors",
        width=640,
        height=512,
        steps=24,
        cfg=6.5,
        sampler="euler_ancestral",
        scheduler="normal",
        seed=77,
    )


def test_a_lora_that_is_not_bypassed_counts_and_a_muted_one_ends_the_chain() -> None:
    nodes = [node | {"mode": 0} if node["id"] == 2 else node for node in made.EDITOR["nodes"]]
    assert of(workflow=made.EDITOR | {"nodes": nodes}).recipe.loras == (LoraUse(name="bypassed.safetensors"),)

    nodes = [node | {"mode": 2} if node["id"] == 2 else node for node in made.EDITOR["nodes"]]
    muted = of(workflow=made.EDITOR | {"nodes": nodes}).recipe
    assert (muted.loras, muted.model, muted.prompt) == ((), None, "a red door")


def test_a_subgraph_is_opened() -> None:
    inner = {
        "id": "5c0d-uuid",
        "name": "words",
        "inputs": [{"name": "clip", "type": "CLIP"}],
        "outputs": [{"name": "CONDITIONING", "type": "CONDITIONING"}],
        "nodes": [
            {
                "id": 30,
                "type": "CLIPTextEncode",
                "inputs": [{"name": "clip", "type": "CLIP", "link": 1}],
                "widgets_values": ["from within"],
            }
        ],
        "links": [
            {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 30, "target_slot": 0, "type": "CLIP"},
            {"id": 2, "origin_id": 30, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "CONDITIONING"},
        ],
    }
    nodes = [node | {"type": "5c0d-uuid"} if node["id"] == 3 else node for node in made.EDITOR["nodes"]]
    recipe = of(workflow=made.EDITOR | {"nodes": nodes, "definitions": {"subgraphs": [inner]}}).recipe

    assert (recipe.prompt, recipe.negative, recipe.steps) == ("from within", "rust", 24)


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def sampler(**inputs: Any) -> dict[str, Any]:
    return node("KSampler", **{**made.ksampler()["3"]["inputs"], **inputs})


def test_words_that_are_combined_stand_side_by_side_each_once() -> None:
    graph = made.ksampler(
        **{
            "3": sampler(positive=["20", 0]),
            "20": node("ConditioningCombine", conditioning_1=["21", 0], conditioning_2=["6", 0]),
            "21": node("ConditioningConcat", conditioning_to=["6", 0], conditioning_from=["22", 0]),
            "22": node("CLIPTextEncodeSDXL", clip=["12", 0], text_g="on a table", text_l="on a table"),
        }
    )
    assert of(graph).recipe.prompt == "a glass bottle, on a table"


def test_a_control_net_is_passed_with_a_note_and_zeroed_words_are_none() -> None:
    graph = made.ksampler(
        **{
            "3": sampler(positive=["20", 0], negative=["20", 1]),
            "20": node("ControlNetApplyAdvanced", positive=["6", 0], negative=["21", 0], control_net=["23", 0]),
            "21": node("ConditioningZeroOut", conditioning=["6", 0]),
            "23": node("ControlNetLoader", control_net_name="canny.safetensors"),
        }
    )
    foreign = of(graph)

    assert (foreign.recipe.prompt, foreign.recipe.negative) == ("a glass bottle", "")
    assert foreign.recipe.task == "txt2img"
    assert "It followed a control picture, which is not in the file." in foreign.notes


def test_a_loaded_picture_makes_it_img2img_and_a_mask_an_inpaint() -> None:
    pictures = {"20": node("LoadImage", image="a.png"), "21": node("VAEEncode", pixels=["20", 0], vae=["4", 2])}
    drawn = of(made.ksampler(**{"3": sampler(latent_image=["21", 0], denoise=0.55)}, **pictures)).recipe
    masked = {"22": node("SetLatentNoiseMask", samples=["21", 0], mask=["20", 1])}
    painted = of(made.ksampler(**{"3": sampler(latent_image=["22", 0], denoise=0.8)}, **pictures, **masked))

    assert (drawn.task, drawn.denoise, drawn.width) == ("img2img", 0.55, None)
    assert (painted.recipe.task, painted.recipe.denoise) == ("inpaint", 0.8)
    assert (
        "It was made from another picture (inpaint); that input picture and mask are not in the file." in painted.notes
    )


@pytest.mark.parametrize(
    ("between", "told"),
    [
        (node("LatentUpscaleBy", samples=["3", 0], upscale_method="nearest", scale_by=1.5), (True, 1536, 1152)),
        (node("LatentUpscale", samples=["3", 0], width=1600, height=1200, crop="disabled"), (True, 1600, 1200)),
        (node("VAEEncode", pixels=["31", 0]), (True, 2048, 1536)),
        (node("RepeatLatentBatch", samples=["3", 0], amount=1), (False, 1024, 768)),
    ],
)
def test_a_second_pass_at_another_size_is_hires(between: dict[str, Any], told: tuple[bool, int, int]) -> None:
    graph = made.ksampler(
        **{
            "8": node("VAEDecode", samples=["30", 0], vae=["4", 2]),
            "30": sampler(latent_image=["29", 0], seed=9, steps=8, denoise=0.5),
            "29": between,
            "31": node("ImageScaleBy", image=["32", 0], scale_by=2.0),
            "32": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        }
    )
    recipe = of(graph).recipe

    assert (recipe.hires, recipe.width, recipe.height) == told
    assert (recipe.seed, recipe.steps, recipe.denoise) == (BOTTLE.seed, 20, None)


def test_rows_of_loras_and_values_of_primitive_nodes_are_read() -> None:
    graph = made.ksampler(
        **{
            "3": sampler(model=["20", 0], seed=["21", 0], cfg=["22", 0]),
            "20": node(
                "Power Lora Loader (rgthree)",
                lora_1={"on": True, "lora": "a.safetensors", "strength": 0.3},
                lora_2={"on": False, "lora": "b.safetensors", "strength": 1},
                model=["4", 0],
            ),
            "21": node("Seed (rgthree)", seed=12),
            "22": node("PrimitiveFloat", value=4.5),
        }
    )
    recipe = of(graph).recipe

    assert recipe.loras == (LoraUse(name="a.safetensors", strength=0.3),)
    assert (recipe.seed, recipe.cfg) == (12, 4.5)


def efficient(**inputs: Any) -> dict[str, Any]:
    """The efficiency nodes: one loads everything, one draws and decodes."""
    loader = {
        "ckpt_name": "a.safetensors",
        "clip_skip": -2,
        "lora_name": "None",
        "lora_model_strength": 1.0,
        "lora_clip_strength": 1.0,
        "positive": "a boat",
        "negative": "fog",
        "empty_latent_width": 512,
        "empty_latent_height": 768,
    }
    drawing = made.ksampler()["3"]["inputs"] | {"model": ["1", 0], "positive": ["1", 1], "negative": ["1", 2]}
    return {
        "1": node("Efficient Loader", **loader | inputs),
        "2": node("KSampler (Efficient)", **drawing | {"latent_image": ["1", 3]}),
        "3": node("SaveImage", images=["2", 5]),
    }


def test_a_loader_of_everything_tells_model_lora_words_and_size() -> None:
    graph = efficient(lora_name="x.safetensors", lora_model_strength=0.6, lora_clip_strength=0.5)
    recipe = of(graph).recipe

    assert (recipe.model, recipe.prompt, recipe.negative, recipe.clip_skip) == ("a.safetensors", "a boat", "fog", 2)
    assert (recipe.width, recipe.height) == (512, 768)
    assert recipe.loras == (LoraUse(name="x.safetensors", strength=0.6, clip_strength=0.5),)


@pytest.mark.parametrize(
    "stack",
    [
        node("LoRA Stacker", lora_count=1, lora_name_1="a.pt", lora_wt_1=0.5, lora_name_2="b.pt", lora_wt_2=1.0),
        node(
            "CR LoRA Stack",
            **{"switch_1": "On", "lora_name_1": "a.pt", "model_weight_1": 0.5},
            **{"switch_2": "Off", "lora_name_2": "b.pt", "model_weight_2": 1.0},
        ),
    ],
)
def test_of_a_stack_of_loras_those_count_that_are_switched_on(stack: dict[str, Any]) -> None:
    beside = {
        "3": sampler(model=["20", 0]),
        "20": node("CR Apply LoRA Stack", model=["4", 0], clip=["4", 1], lora_stack=["21", 0]),
        "21": stack,
    }
    within = efficient(lora_stack=["21", 0]) | {"21": stack}

    for graph in (made.ksampler(**beside), within):
        assert of(graph).recipe.loras == (LoraUse(name="a.pt", strength=0.5),)


def test_words_that_a_node_swaps_are_the_new_ones() -> None:
    graph = made.ksampler(
        **{
            "6": node("CLIPTextEncode", text=["20", 0], clip=["4", 1]),
            "20": node("StringConcatenate", string_a="a cat", string_b=["21", 0], delimiter=" on "),
            "21": node("StringReplace", string="the mat", find="mat", replace="hat"),
        }
    )
    assert of(graph).recipe.prompt == "a cat on the hat"


def test_what_went_over_the_finished_picture_is_told() -> None:
    over = node("UltimateSDUpscale", image=["8", 0], model=["4", 0], upscale_by=2.0, seed=5, steps=9, denoise=0.2)
    foreign = of(made.ksampler(**{"9": node("SaveImage", images=["40", 0]), "40": over}))

    assert (foreign.recipe.steps, foreign.recipe.seed) == (BOTTLE.steps, BOTTLE.seed)
    assert foreign.notes[:1] == ("What went over the finished picture is not taken over: UltimateSDUpscale.",)


def test_a_graph_that_only_enlarges_is_an_upscale_and_one_of_unknown_nodes_is_unknown() -> None:
    enlarging = {
        "1": node("LoadImage", image="a.png"),
        "2": node("UpscaleModelLoader", model_name="4x.pth"),
        "3": node("ImageUpscaleWithModel", upscale_model=["2", 0], image=["1", 0]),
        "4": node("SaveImage", images=["3", 0]),
    }
    assert of(enlarging).recipe == Recipe(task="upscale")
    assert of({"1": node("Mystery", a=1)}).recipe == Recipe(task="unknown")


def test_civitais_generator_tells_the_words_and_the_versions_beside_its_graph() -> None:
    extra = {
        "prompt": "a fox",
        "negativePrompt": "dog",
        "steps": 31,
        "cfgScale": 4.5,
        "sampler": "Euler a",
        "seed": 6,
        "resources": [{"modelVersionId": 128078, "strength": 1}],
    }
    graph: dict[str, Any] = made.ksampler() | {"extra": {"airs": []}, "extraMetadata": json.dumps(extra)}
    foreign = read_recipe(read(made.with_exif("JPEG", comment=json.dumps(graph))))

    assert foreign is not None
    assert (foreign.program, foreign.recipe) == (
        "CivitAI",
        BOTTLE.but(prompt="a fox", negative="dog", steps=31, cfg=4.5, sampler="euler_ancestral", seed=6),
    )
    assert "CivitAI's versions of what it was drawn with: 128078." in foreign.notes


def test_a_text_beside_a_graph_counts_and_the_graph_fills_in_what_it_leaves_open() -> None:
    texts = {"prompt": json.dumps(made.ksampler()), "parameters": "said so\nSteps: 33, Sampler: Euler, Seed: 2"}
    foreign = read_recipe(read(made.png(texts)))

    assert foreign is not None
    assert (foreign.program, foreign.recipe.prompt, foreign.recipe.steps) == ("ComfyUI", "said so", 33)
    assert (foreign.recipe.sampler, foreign.recipe.cfg, foreign.recipe.loras) == ("euler", 8.0, BOTTLE.loras)


OUR_GRAPHS = sorted((Path(__file__).parents[1] / "drawing" / "graphs").glob("draft_*.json"))


@pytest.mark.parametrize("path", OUR_GRAPHS, ids=lambda path: path.stem)
def test_every_graph_that_we_send_ourselves_is_read_back(path: Path) -> None:
    """Thirteen families, each from words, from a picture, painted over, enlarged, with LoRAs."""
    variants: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    tasks: set[str] = set()
    for name, graph in variants.items():
        recipe = of(graph).recipe
        assert (recipe.prompt, recipe.steps, recipe.seed) == ("a red fox", 10, 7), name
        assert recipe.model and recipe.sampler and recipe.scheduler and recipe.cfg is not None, name
        assert recipe.width and recipe.height, name
        assert (recipe.denoise is not None) == (recipe.task != "txt2img"), name
        tasks.add("hires" if recipe.hires else recipe.task)
    assert tasks >= {"txt2img", "img2img", "inpaint"}
    if "hires" in " ".join(variants):
        assert "hires" in tasks
