"""read_recipe: files of other programs become recipes that can be run here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workflows.importing import foreign_files as made
from utils.metadata import Stamp, read, stamped
from workflows.importing import Foreign, read_recipe
from workflows.types import Item, LoraUse, Recipe


def found(content: bytes) -> Foreign:
    foreign = read_recipe(read(content))
    assert foreign is not None
    return foreign


CASTLE = Recipe(
    prompt="a castle on a hill, (golden hour:1.2)",
    negative="blurry, lowres",
    model="juggernautXL_v9",
    width=832,
    height=1216,
    steps=30,
    cfg=7.0,
    sampler="dpmpp_2m",
    scheduler="karras",
    clip_skip=2,
    seed=1234567890,
    loras=(LoraUse(name="detail_tweaker", strength=0.6),),
)


@pytest.mark.parametrize(
    "content",
    [
        made.png({"parameters": made.A1111}),
        made.with_exif("JPEG", comment=made.A1111),
        made.with_exif("WEBP", comment=made.A1111),
    ],
    ids=["png", "jpeg", "webp"],
)
def test_a_picture_of_a1111_is_read_in_every_format(content: bytes) -> None:
    assert found(content) == Foreign(
        program="A1111", recipe=CASTLE, model="juggernautXL_v9", model_hash="67ab2fd8ec", notes=()
    )


def test_forge_draws_flux_with_its_distilled_guidance_and_a_second_pass_has_the_size_of_the_end() -> None:
    foreign = found(made.png({"parameters": made.FORGE}))

    assert foreign.program == "Forge"
    assert foreign.recipe == Recipe(
        prompt="a lighthouse in a storm",
        model="flux1-dev-bnb-nf4-v2",
        width=1344,
        height=1728,
        steps=20,
        cfg=3.5,
        sampler="euler",
        scheduler="simple",
        seed=5,
        hires=True,
    )


def test_civitais_list_of_resources_names_model_and_loras() -> None:
    foreign = found(made.png({"parameters": made.CIVITAI}))

    assert (foreign.program, foreign.recipe.model) == ("CivitAI", "Juggernaut XL")
    assert foreign.recipe.loras == (LoraUse(name="Add More Details", strength=0.8),)
    assert foreign.notes == (
        "Its model is CivitAI's version 357609: Juggernaut XL V9.",
        "The LoRA Add More Details is CivitAI's version 87153.",
    )


CAT = Recipe(
    prompt="a cat",
    negative="unrealistic",
    model="juggernautXL_v8Rundiffusion",
    width=1152,
    height=896,
    steps=30,
    cfg=4.0,
    sampler="dpmpp_2m_sde",
    scheduler="karras",
)


def test_fooocus_is_read_in_both_of_its_schemes() -> None:
    own = found(made.png({"parameters": json.dumps(made.FOOOCUS), "fooocus_scheme": "fooocus"}))
    other = found(made.png({"parameters": made.FOOOCUS_A1111, "fooocus_scheme": "a1111"}))

    lora = LoraUse(name="sd_xl_offset_example-lora_1.0", strength=0.1)
    seed = 8412345678901234567 % 2**32
    assert own.recipe == CAT.but(loras=(lora,), clip_skip=2, seed=seed)
    assert other.recipe == CAT.but(seed=77)
    assert {own.program, other.program} == {"Fooocus"}
    assert {own.model_hash, other.model_hash} == {"aeb7e9e689"}
    assert own.notes[0].startswith("Its seed 8412345678901234567 is larger than seeds are here")


def test_fooocus_tells_loras_and_styles_in_every_form() -> None:
    listed = found(made.png({"parameters": json.dumps(made.FOOOCUS | {"styles": ["Fooocus V2", "Sharp"]})}))
    weights = made.FOOOCUS_A1111.replace(
        "Styles:", 'Lora hashes: "ink: ab, b: cd", Lora weights: "ink: 0.4, b: 1.0", Styles:'
    )
    lines = found(made.png({"parameters": weights, "fooocus_scheme": "a1111"}))

    assert "Fooocus wrote its styles into the prompt: Fooocus V2, Sharp. They are not taken over." in listed.notes
    assert lines.recipe.loras == (LoraUse(name="ink", strength=0.4), LoraUse(name="b"))
    assert "Not taken over: Styles." in lines.notes


def test_swarmui_keeps_loras_apart_from_the_prompt() -> None:
    foreign = found(made.png({"parameters": json.dumps(made.SWARM)}))

    assert foreign.program == "SwarmUI"
    assert foreign.recipe == Recipe(
        prompt="a cabin by a lake",
        negative="people",
        model="OfficialStableDiffusion/sd_xl_base_1.0",
        width=1024,
        height=1024,
        steps=25,
        cfg=6.5,
        sampler="euler_ancestral",
        scheduler="karras",
        clip_skip=2,
        seed=2042464333,
        loras=(LoraUse(name="styles/inkwash", strength=0.75),),
    )


def test_invokeai_is_read_as_it_writes_now_and_as_it_wrote_before_version_3() -> None:
    now = found(made.png({"invokeai_metadata": json.dumps(made.INVOKE)}))
    before = found(made.png({"sd-metadata": json.dumps(made.OLD_INVOKE)}))

    assert now.recipe == Recipe(
        prompt="a harbour at dawn",
        negative="fog",
        model="Juggernaut XL v9",
        width=1024,
        height=768,
        steps=28,
        cfg=5.5,
        sampler="dpmpp_2m",
        scheduler="karras",
        clip_skip=2,
        seed=3735928559,
        loras=(LoraUse(name="ink", strength=0.5),),
    )
    assert before.recipe == Recipe(
        prompt="a bridge in autumn",
        negative="people, cars",
        model="stable-diffusion-1.5",
        width=768,
        height=512,
        steps=50,
        cfg=7.5,
        sampler="euler_ancestral",
        seed=99,
    )
    assert (now.model_hash, before.model_hash) == (None, "cc6cb27103")


def test_novelai_draw_things_and_easy_diffusion_are_read() -> None:
    novel = found(made.png(made.NOVELAI))
    things = found(made.png({"XML:com.adobe.xmp": made.DRAW_THINGS_XMP}))
    easy = [found(made.png(made.EASY)), found(made.with_exif("JPEG", comment=json.dumps(made.EASY)))]

    assert (novel.program, novel.recipe.prompt, novel.recipe.model) == (
        "NovelAI",
        "a street, rain, 1girl, umbrella",
        None,
    )
    assert (novel.recipe.sampler, novel.recipe.scheduler) == ("euler_ancestral", "karras")
    assert (things.program, things.recipe.prompt, things.recipe.width) == ("Draw Things", "a & b", 768)
    assert things.recipe.loras == (LoraUse(name="ink.ckpt", strength=0.6),)
    for one in easy:
        assert one.program == "Easy Diffusion"
        assert (one.recipe.prompt, one.recipe.steps, one.recipe.seed, one.recipe.clip_skip) == (
            "a windmill",
            25,
            314,
            2,
        )
        assert one.recipe.loras == (LoraUse(name="ink", strength=0.4),)


def test_our_own_stamp_gives_both_recipes_back_exactly() -> None:
    recipe = Recipe(prompt="Ein Bär, 熊", negative="x", seed=4, model="demo", presets=("mood:epic",), steps=7)
    rendered = recipe.but(prompt="a bear", presets=(), cfg=3.5, width=64, height=64)
    item = Item(
        job_id="j", key="j/1/a.png", media_type="image/png", width=64, height=64, size=1, sha256="",
        prompt=recipe.prompt, model="demo", engine="diffusers", seed=4,
        recipe=recipe, rendered=rendered, model_hash="0123456789",
    )  # fmt: skip
    content = stamped(
        made.png({}),
        "image/png",
        parameters="a bear\nSteps: 7, Sampler: Euler, Seed: 4",
        record=item.model_dump(mode="json"),
        source_type=None,
    )

    foreign = found(content)
    assert (foreign.program, foreign.recipe, foreign.rendered) == ("Atelier", recipe, rendered)
    assert (foreign.model, foreign.model_hash, foreign.record["id"]) == ("demo", "0123456789", item.id)


def test_a_record_of_a_later_layout_gives_way_to_the_text_beside_it() -> None:
    stamp = Stamp(parameters=made.FORGE, record={"schema": 9, "recipe": {"prompt": "x", "unheard": 1}}, texts={})

    foreign = read_recipe(stamp)
    assert foreign is not None and foreign.recipe.prompt == "a lighthouse in a storm"


def test_a_file_without_a_word_tells_nothing_and_a_description_is_no_recipe() -> None:
    assert read_recipe(read(made.png({}))) is None
    assert found(made.png({"Description": "my cat"})).recipe == Recipe(task="unknown", prompt="my cat")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Steps: 20, Sampler: Frobnicate, Seed: 1", "Its sampler Frobnicate is not known here"),
        ("Steps: 9000, Seed: 1", "Its steps of 9000 is outside 1 to 200"),
        ("Steps: 20, Size: 833x1001", "Its size 833 x 1001 becomes 832 x 1000"),
        ("Steps: 20, CFG scale: 45", "Its cfg of 45 is outside 0 to 30"),
        ("Steps: 20, Denoising strength: 0.4", "It was made from another picture (img2img)"),
        ("Steps: 20, ADetailer model: face_yolov8n.pt", "Not taken over: ADetailer model"),
        ("Steps: 20, Sampler: Euler, Schedule type: Align Your Steps", "Its schedule Align Your Steps is not known"),
    ],
)
def test_what_cannot_be_used_here_is_a_note_and_no_error(line: str, told: str) -> None:
    foreign = found(made.png({"parameters": f"a cat\n{line}"}))

    assert foreign.recipe.prompt == "a cat"
    assert any(note.startswith(told) for note in foreign.notes), foreign.notes


@pytest.mark.parametrize(
    ("written", "recipe"),
    [
        ("<lora:a:0.5>a cat", {"prompt": "a cat", "loras": (("a", 0.5, None),)}),
        ("a cat, <lora:b:0.3:0.7>, dog", {"prompt": "a cat, dog", "loras": (("b", 0.7, 0.3),)}),
        ("a <lora:c>cat <lora:z:9>", {"prompt": "a cat", "loras": (("c", 1.0, None),)}),
        ("<lora:one:1> <lora:One.safetensors:0.2> x", {"prompt": "x", "loras": (("One.safetensors", 0.2, None),)}),
        ("<lora:a:0>x", {"prompt": "x", "loras": ()}),
    ],
)
def test_the_tags_of_loras_are_used_and_taken_out(written: str, recipe: dict[str, Any]) -> None:
    told = found(made.png({"parameters": f"{written}\nSteps: 20, Seed: 1"})).recipe

    assert told.prompt == recipe["prompt"]
    assert tuple((one.name, one.strength, one.clip_strength) for one in told.loras) == recipe["loras"]


def test_settings_hold_quotes_commas_and_json_and_the_prompt_may_have_lines() -> None:
    text = (
        'first line, "quoted"\nsecond: line\nNegative prompt: bad\nworse\n'
        'Steps: 12, Sampler: Euler a, Model: "a, b: c", Hashes: {"model": "00aa11bb22", "x": "1, 2"}, Seed: 8\n'
        "Template: first"
    )
    foreign = found(made.png({"parameters": text}))

    assert foreign.recipe.prompt == 'first line, "quoted"\nsecond: line'
    assert (foreign.recipe.negative, foreign.model, foreign.model_hash) == ("bad\nworse", "a, b: c", "00aa11bb22")
    assert (foreign.recipe.steps, foreign.recipe.seed, foreign.recipe.sampler) == (12, 8, "euler_ancestral")


@pytest.mark.parametrize(
    "text",
    [
        '{"3": {"class_type": "KSam',
        '{"1": {"class_type": "A"}, "x": "' + "a" * 8_000_000 + '"}',
        "[" * 5000,
        '{"a":' * 5000,
        '[{"a": 1',
    ],
    ids=["cut short", "too long", "lists", "objects", "list of objects"],
)
def test_a_document_that_cannot_be_read_is_no_description(text: str) -> None:
    for name in ("prompt", "UserComment", "Description"):
        assert read_recipe(Stamp(texts={name: text})) is None
    words = read_recipe(Stamp(texts={"prompt": text, "Description": "{red|blue} [[door]]"}))
    assert words is not None
    assert words.recipe.prompt == "{red|blue} [[door]]"


def test_what_other_programs_do_beside_the_picture_is_told() -> None:
    line = "a\nSteps: 5, Sampler: Euler, Seed: 1, Size: 64x64, {}, Version: v1.9.4"
    parts = {
        "RP Active: True": "Not taken over: RP Active.",
        "Refiner: xl [7440042bbd]": "Not taken over: Refiner.",
    }
    for setting, note in parts.items():
        assert found(made.png({"parameters": line.format(setting)})).notes == (note,)
    assert found(made.png({"parameters": line.format("Refiner: None")})).notes == ()
    refined = made.SWARM["sui_image_params"] | {"refinermodel": "xl_refiner"}
    assert (
        "Its refiner xl_refiner is not taken over."
        in found(made.png({"parameters": json.dumps({"sui_image_params": refined})})).notes
    )


def test_easy_diffusions_lists_in_a_png_are_read() -> None:
    texts = {"prompt": "a cat", "num_inference_steps": "25", "use_lora_model": "['a', 'b']", "lora_alpha": "[0.5, 0.3]"}

    assert found(made.png(texts)).recipe.loras == (LoraUse(name="a", strength=0.5), LoraUse(name="b", strength=0.3))
