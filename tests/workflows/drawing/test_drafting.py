"""What a recipe becomes: whole graphs, compared with golden ones, and each part found where it belongs by tracing."""

from dataclasses import replace
from typing import Any

import pytest

from tests.workflows.drawing.golden import golden, inventory
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft, sampler_steps
from workflows.drawing.edits import drawn_size
from workflows.drawing.fitting import fit
from workflows.drawing.setup import Setup, Thrift
from workflows.graph import Graph
from workflows.template import trace
from workflows.types import LoraUse, Recipe

MODELS = {
    "checkpoint": "v1-5-pruned-emaonly.safetensors",
    "checkpoint_sd3": "sd3.5_large_fp8_scaled.safetensors",
    "sd3": "sd3.5_medium.safetensors",
    "flux_checkpoint": "flux1-dev-fp8.safetensors",
    "flux": "flux1-dev.safetensors",
    "flux2": "flux2_dev_fp8mixed.safetensors",
    "flux2_klein": "flux-2-klein-base-4b.safetensors",
    "qwen_image": "qwen_image_fp8_e4m3fn.safetensors",
    "z_image": "z_image_bf16.safetensors",
    "z_image_turbo": "z_image_turbo_bf16.safetensors",
    "chroma": "Chroma1-HD.safetensors",
    "hidream": "hidream_i1_full_fp8.safetensors",
}
ONLY_NEW = {"flux2", "flux2_klein"}
"""Templates whose nodes ComfyUI 0.3.64 does not have."""
LORAS = (LoraUse(name="plain.safetensors", strength=0.5), LoraUse(name="plain", strength=1.0, clip_strength=0.0))
VARIANTS: dict[str, dict[str, Any]] = {
    "txt2img": {},
    "img2img": {"task": "img2img", "source": "s", "denoise": 0.6},
    "inpaint": {"task": "inpaint", "source": "s", "mask": "m"},
    "outpaint": {"task": "outpaint", "source": "s", "mask": "m", "denoise": 0.9},
    "lora": {"loras": LORAS},
    "hires": {"hires": True, "width": 2048, "height": 2048},
    "batch": {"task": "img2img", "source": "s", "count": 2},
    "drawn_batch": {"count": 3},
    "place": {"task": "inpaint", "source": "s", "mask": "m", "batch_index": 2},
    "place_hires": {"hires": True, "width": 2048, "height": 2048, "batch_index": 2},
    "tiled": {"task": "img2img", "source": "s"},
    "shrink": {},
}
THRIFT = {"tiled": Thrift(tiled=True), "shrink": Thrift(shrink=0.5)}
PICTURES = {"source": "atelier/source.png", "mask": "atelier/mask.png"}


def drafted(template: str, variant: str, era: str = "b") -> tuple[Recipe, Setup, Graph]:
    asked = {"prompt": "a red fox", "negative": "blurry", "width": 768, "height": 512, "seed": 7, "steps": 10}
    recipe = Recipe.checked(**(asked | {"model": MODELS[template]} | VARIANTS[variant]))
    setup = fit(recipe, inventory(era), thrift=THRIFT.get(variant, Thrift()))
    setup = replace(setup, pictures=PICTURES, components={**setup.components, "hires_upscaler": ""})
    return recipe, setup, draft(recipe, setup)


CASES = [(template, variant) for template in MODELS for variant in VARIANTS]


@pytest.mark.parametrize("template", MODELS)
def test_every_template_drafts_the_graphs_that_were_looked_at(template: str) -> None:
    graphs = {variant: drafted(template, variant)[2].as_prompt() for variant in VARIANTS}
    assert golden(f"draft_{template}", graphs) == graphs


@pytest.mark.parametrize(("template", "variant"), CASES)
def test_words_seed_size_and_model_land_where_the_sampler_reads_them(template: str, variant: str) -> None:
    recipe, setup, graph = drafted(template, variant)
    anatomy = trace(graph)
    assert setup.template.name == template
    assert anatomy.outputs == ("save",)
    assert {graph[node].inputs[name] for node, name in anatomy.seeds} == {7}
    for sampler in anatomy.samplers:
        assert [graph[node].inputs[name] for node, name in sampler.positive] == ["a red fox"]
        said = [graph[node].inputs[name] for node, name in sampler.negative]
        assert said == (["blurry"] if setup.family.profile.negatives else [])
        assert setup.model in graph[sampler.loader or ""].inputs.values()
    first = graph[anatomy.samplers[0].size or ""].inputs
    assert (first["width"], first["height"]) == drawn_size(recipe, setup)
    assert _made(graph) == (recipe.width, recipe.height)


def _made(graph: Graph) -> tuple[int, int]:
    """Size of the saved picture: of the nearest node upstream that sets one."""
    pending = ["save"]
    while pending:
        inputs = graph[pending[0]].inputs
        if "width" in inputs and "height" in inputs and graph[pending[0]].class_type != "Flux2Scheduler":
            return inputs["width"], inputs["height"]
        pending = [*pending[1:], *(source for source, _ in graph[pending[0]].links().values())]
    raise AssertionError("no size")


@pytest.mark.parametrize("era", ["a", "b"])
@pytest.mark.parametrize(("template", "variant"), CASES)
def test_the_server_would_take_every_graph(template: str, variant: str, era: str) -> None:
    if era == "a" and template in ONLY_NEW:
        return
    *_, graph = drafted(template, variant, era)
    assert problems(graph, inventory(era)) == []


def test_a_second_pass_goes_through_an_upscale_model_where_one_is_installed() -> None:
    recipe = Recipe(prompt="x", model=MODELS["checkpoint"], hires=True, width=1024, height=1024, negative="n")
    graph = draft(recipe, fit(recipe, inventory()))
    assert graph["upscaler"].inputs == {"model_name": "4x-UltraSharp.pth"}
    assert graph["sampler_2"].inputs["denoise"] == 0.45
    assert graph["sampler_2"].inputs["positive"] == graph["sampler"].inputs["positive"]
    assert sampler_steps(graph) == {"sampler": 25, "sampler_2": 25}


def test_hires_at_the_familys_own_size_is_one_pass() -> None:
    recipe = Recipe(prompt="x", model=MODELS["checkpoint"], hires=True)
    assert list(sampler_steps(draft(recipe, fit(recipe, inventory())))) == ["sampler"]


def test_steps_are_counted_through_split_noise_levels() -> None:
    *_, graph = drafted("flux2", "img2img")
    assert sampler_steps(graph) == {"sampler": 6}
    assert sampler_steps(drafted("flux", "img2img")[2]) == {"sampler": 10}
    staged = Graph({}).plus("a", "KSamplerAdvanced", steps=20, sampler_name="euler", start_at_step=5, end_at_step=10000)
    assert sampler_steps(staged) == {"a": 15}


def test_a_model_made_to_inpaint_sees_the_mask_itself() -> None:
    for model, sides in (("v1-5-inpainting", 2), ("flux1-fill-dev", 2)):
        recipe = Recipe(prompt="a red fox", task="inpaint", source="s", mask="m", model=model)
        graph = draft(recipe, fit(recipe, inventory()))
        assert graph["masked"].class_type == "InpaintModelConditioning"
        reads = [graph.link("sampler", name) for name in ("positive", "negative", "latent_image")]
        assert reads[:sides] == [("masked", 0), ("masked", 1)]
        assert reads[2] == ("masked", 2)
        assert problems(graph, inventory()) == []


@pytest.mark.parametrize(
    ("model", "clip_skip", "layer"),
    [
        ("v1-5-pruned-emaonly", None, None),
        ("v1-5-pruned-emaonly", 1, None),
        ("v1-5-pruned-emaonly", 2, -2),
        ("anything-v5", None, -2),
        ("anything-v5", 1, None),
        ("anything-v5", 3, -3),
        ("ponyDiffusionV6XL", 1, None),
        ("ponyDiffusionV6XL", 2, None),
        ("ponyDiffusionV6XL", 3, -3),
        ("flux1-dev", 2, None),
    ],
)
def test_the_recipes_clip_skip_goes_before_the_familys(model: str, clip_skip: int | None, layer: int | None) -> None:
    recipe = Recipe(prompt="a fox", model=model, clip_skip=clip_skip)
    nodes = draft(recipe, fit(recipe, inventory())).as_prompt().values()
    layers = [node["inputs"]["stop_at_clip_layer"] for node in nodes if node["class_type"] == "CLIPSetLastLayer"]
    assert layers == ([] if layer is None else [layer])


def test_families_bring_their_own_edits() -> None:
    recipe = Recipe(prompt="x", loras=(LORAS[0],))
    anime = draft(recipe.but(model="anything-v5"), fit(recipe.but(model="anything-v5"), inventory()))
    assert anime["clip_skip"].inputs == {"clip": ("lora_1", 1), "stop_at_clip_layer": -2}
    assert anime.link("positive", "clip") == anime.link("negative", "clip") == ("clip_skip", 0)
    noob = draft(recipe.but(model="noobaiXL-vpred-v1"), fit(recipe.but(model="noobaiXL-vpred-v1"), inventory()))
    assert noob["rescale"].inputs == {"model": ("lora_1", 0), "multiplier": 0.7}
    assert noob.link("sampler", "model") == ("rescale", 0)


@pytest.mark.parametrize(("cfg", "sent"), [(0.0, 1.0), (0.5, 1.0), (4.0, 4.0)])
def test_no_guidance_is_one_to_comfyui(cfg: float, sent: float) -> None:
    recipe = Recipe(prompt="x", model="v1-5-pruned-emaonly", cfg=cfg)
    assert draft(recipe, fit(recipe, inventory()))["sampler"].inputs["cfg"] == sent


def test_distilled_guidance_goes_to_its_node_and_cfg_stays_one() -> None:
    recipe = Recipe(prompt="x", model="flux1-dev.safetensors", cfg=2.5)
    graph = draft(recipe, fit(recipe, inventory()))
    assert (graph["guidance"].inputs["guidance"], graph["sampler"].inputs["cfg"]) == (2.5, 1.0)


def test_a_model_that_takes_no_negative_prompt_gets_none() -> None:
    recipe = Recipe(prompt="x", negative="blurry", model="flux-2-klein-4b")
    assert draft(recipe, fit(recipe, inventory()))["negative"].inputs["text"] == ""


def test_weights_cast_while_loading_are_asked_for_at_the_loader() -> None:
    recipe = Recipe(prompt="x", model="z_image_bf16")
    graph = draft(recipe, fit(recipe, inventory(), thrift=Thrift(small_weights=True)))
    assert graph["loader"].inputs == {"unet_name": "z_image_bf16.safetensors", "weight_dtype": "fp8_e4m3fn"}


def test_only_one_picture_alone_can_be_at_another_place_than_the_first() -> None:
    recipe = Recipe(prompt="x", model=MODELS["checkpoint"])
    setup = fit(recipe, inventory())
    assert draft(recipe.but(batch_index=0), setup) == draft(recipe, setup)
    assert draft(recipe.but(batch_index=3, count=2), setup) == draft(recipe.but(count=2), setup)


def test_what_the_recipe_leaves_open_is_the_familys_own() -> None:
    recipe = Recipe(prompt="x", model="z_image_turbo_bf16", aspect="16:9")
    graph = draft(recipe, fit(recipe, inventory()))
    sampler = graph["sampler"].inputs
    assert (sampler["steps"], sampler["sampler_name"], sampler["scheduler"]) == (8, "res_multistep", "simple")
    assert graph["latent"].inputs == {"width": 1360, "height": 768, "batch_size": 1}
