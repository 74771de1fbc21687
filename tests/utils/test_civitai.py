"""CivitAI's JSON read as facts: whole versions, words, numbers, pictures, and whatever is missing or wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.civitai import (
    licence_words,
    picture_defaults,
    plain_text,
    preview_of,
    sampler_words,
    triggers_of,
    version_facts,
    weight_file,
)
from workflows.types import ModelDefaults, ModelFacts

SHA = "AB" * 32


def picture(**meta: Any) -> dict[str, Any]:
    return {"url": "https://image/1.png", "type": "image", "nsfwLevel": 1, "meta": meta}


VERSION: dict[str, Any] = {
    "id": 456,
    "modelId": 123,
    "name": "v2",
    "baseModel": "Illustrious",
    "description": "<p>Second <i>version</i>.</p>",
    "trainedWords": ["neon style, glowing"],
    "stats": {"downloadCount": 70, "thumbsUpCount": 7},
    "model": {"name": "Neon", "type": "LORA", "nsfw": False, "poi": False},
    "files": [{"name": "neon.safetensors", "primary": True, "hashes": {"SHA256": SHA, "AutoV2": SHA[:10]}}],
    "images": [
        picture(steps=steps, cfgScale=5, sampler="Euler a", clipSkip=2, Size="832x1216", prompt=f"<lora:neon:{weight}>")
        for steps, weight in [(24, 0.6), (28, 0.8), (30, 0.8)]
    ],
}
MODEL: dict[str, Any] = {
    "id": 123,
    "name": "Neon",
    "type": "LORA",
    "description": "<h1>Neon</h1><ul><li>bright</li></ul>",
    "tags": ["Style", "neon", "style"],
    "nsfw": True,
    "poi": True,
    "minor": False,
    "allowCommercialUse": ["Image"],
    "allowNoCredit": False,
    "stats": {"downloadCount": 900, "thumbsUpCount": 95, "thumbsDownCount": 5},
}


def test_a_version_with_its_model_is_read_whole() -> None:
    assert version_facts(VERSION, MODEL) == {
        "title": "Neon - v2",
        "base_model": "Illustrious",
        "kind": "LORA",
        "triggers": ("neon style", "glowing"),
        "tags": ("style", "neon"),
        "description": "Neon\n- bright\nSecond version.",
        "downloads": 900,
        "rating": 0.95,
        "defaults": {
            "steps": 28,
            "cfg": 5.0,
            "clip_skip": 2,
            "strength": 0.8,
            "sampler": "euler_ancestral",
            "width": 832,
            "height": 1216,
        },
        "nsfw": True,
        "real_person": True,
        "licence": "commercial use: selling pictures; credit its creator",
        "preview_url": "https://image/1.png",
        "sha256": SHA.lower(),
        "source": "civitai",
        "reference": "civitai:123@456",
        "page_url": "https://civitai.com/models/123?modelVersionId=456",
    }


def test_a_version_alone_tells_what_it_can() -> None:
    facts = version_facts(VERSION)
    assert (facts["title"], facts["kind"], facts["downloads"]) == ("Neon - v2", "LORA", 70)
    assert "rating" not in facts  # votes against are not told
    assert version_facts({}) == {}


def test_no_downloads_are_told_as_none_and_not_as_unknown() -> None:
    assert version_facts({"stats": {"downloadCount": 0}}) == {"downloads": 0}


@pytest.mark.parametrize("nothing", [None, "", 0, [], {}, "x", -1, 1e400, True, [None, 3, "a"], {"a": None}])
def test_fields_of_any_type_are_passed_over(nothing: object) -> None:
    for whole in (VERSION, MODEL):
        for name in whole:
            facts = version_facts(VERSION | {name: nothing}, MODEL | {name: nothing})
            ModelFacts(**facts)
    deep = json.loads(json.dumps(VERSION))
    deep["images"] = [
        nothing,
        {"meta": nothing},
        {"url": nothing, "meta": dict.fromkeys(deep["images"][0]["meta"], nothing)},
    ]
    deep["files"] = [nothing, {"name": nothing, "hashes": nothing, "type": nothing}]
    ModelFacts(**version_facts(deep))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10**6) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*VERSION, *MODEL]), inner, max_size=6),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(sorted({*VERSION, *MODEL})), JSON))
def test_no_answer_breaks_the_reading(said: dict[str, Any]) -> None:
    ModelFacts(**version_facts(said, said))


# Words


@pytest.mark.parametrize(
    ("words", "triggers"),
    [
        (["neon style"], ("neon style",)),
        (["a, b", "B", " c ,", "d\ne"], ("a", "b", "c", "d", "e")),
        (["<lora:neon:0.8> neon", "<p>glow &amp; haze</p>"], ("neon", "glow & haze")),
        (["(blue hair:1.2), ((big)), (red, green:1.1)"], ("blue hair", "big", "red", "green")),
        (["miku (vocaloid), miku \\(vocaloid\\)"], ("miku (vocaloid)", "miku \\(vocaloid\\)")),
        (["none", "N/A", "no trigger words needed", "https://x.y", "...", "-", "0.8", ":)"], ()),
        (["trigger word: neon", '"quoted"', "score_9", ":3"], ("neon", "quoted", "score_9", ":3")),
        (["x" * 200, None, 3, {"a": 1}], ()),
        ("alone", ("alone",)),
        (None, ()),
        ([f"word{number}" for number in range(99)], tuple(f"word{number}" for number in range(24))),
    ],
)
def test_triggers_are_single_clean_words(words: object, triggers: tuple[str, ...]) -> None:
    assert triggers_of(words) == triggers


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One <b>two</b>\nthree</p><p>four</p>", "One two three\nfour"),
        ("<ul><li>a</li><li></li><li>b</li></ul>", "- a\n- b"),
        ("1 &lt; 2 <3 &#x27;x&#x27;<br/>z", "1 < 2 <3 'x'\nz"),
        ("a<!-- <b>no</b> -->b<script>alert('<p>')</script>c<style>p {}", "abc"),
        ("<a href='https://x' title=\"y\">link</a>", "link"),
        ("", ""),
    ],
)
def test_markup_becomes_plain_text(markup: str, text: str) -> None:
    assert plain_text(markup) == text


def test_a_long_text_is_cut_at_a_word() -> None:
    text = plain_text("word " * 1000)
    assert len(text) <= 2000
    assert text.endswith("word…")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("part", ["<a ", "<!--", "<", "</", "<script", "<li", "&", "<a b='"])
def test_markup_that_is_made_to_be_slow_is_not(part: str) -> None:
    assert len(plain_text(part * 60_000)) <= 2000


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"allowCommercialUse": []}, "no commercial use"),
        ({"allowCommercialUse": "None"}, "no commercial use"),
        ({"allowCommercialUse": "Rent"}, "commercial use: selling pictures, generation services"),
        ({"allowCommercialUse": "{Image,Sell}"}, "commercial use: selling pictures, selling the model"),
        (
            {"allowDerivatives": False, "allowDifferentLicense": False},
            "no merges or other derivatives; derivatives under the same permissions",
        ),
        ({"allowCommercialUse": None, "allowNoCredit": True}, ""),
    ],
)
def test_permissions_are_told_in_words(model: dict[str, Any], words: str) -> None:
    assert licence_words(model) == words


@pytest.mark.parametrize(
    ("stats", "rating"),
    [
        ({"thumbsUpCount": 9, "thumbsDownCount": 1}, 0.9),
        ({"thumbsUpCount": 0, "thumbsDownCount": 4}, 0.0),
        ({"thumbsUpCount": 0, "thumbsDownCount": 0}, None),
        ({"thumbsUpCount": 9}, None),
        ({"rating": 4.5, "ratingCount": 8}, 0.9),
        ({"rating": 0, "ratingCount": 0}, None),
        ({"rating": 99, "ratingCount": 8}, None),
    ],
)
def test_a_rating_is_the_share_of_the_votes_for_it(stats: dict[str, Any], rating: float | None) -> None:
    assert version_facts({}, {"stats": stats}).get("rating") == rating


# Adult and safe


@pytest.mark.parametrize(
    ("model", "nsfw"),
    [
        ({"nsfw": True, "nsfwLevel": 1}, True),
        ({"nsfw": False, "nsfwLevel": 4 | 8}, True),
        ({"nsfw": False, "nsfwLevel": 1 | 2 | 4 | 8 | 16}, False),
        ({"nsfw": False, "nsfwLevel": 1 | 32}, True),
        ({"nsfw": None, "nsfwLevel": None}, False),
    ],
)
def test_a_model_is_adult_by_word_or_when_nothing_of_it_is_safe(model: dict[str, Any], nsfw: bool) -> None:
    assert version_facts({}, model).get("nsfw", False) is nsfw


def shot(url: str, level: object, kind: str = "image") -> dict[str, Any]:
    return {"url": url, "nsfwLevel": level, "type": kind}


@pytest.mark.parametrize(
    ("images", "adult", "url"),
    [
        ([shot("https://r", 4), shot("https://v", 1, "video"), shot("https://pg13", 2)], False, "https://pg13"),
        ([shot("https://x", 8), shot("https://r", 4)], False, ""),
        ([shot("https://x", 8), shot("https://r", 4)], True, "https://r"),
        ([shot("https://blocked", 32)], True, ""),
        ([shot("https://old", "Soft")], False, "https://old"),
        ([shot("https://silent", None)], False, ""),
        ([shot("javascript:alert(1)", 1)], False, ""),
    ],
)
def test_a_preview_is_the_tamest_still_that_may_be_shown(images: list[Any], adult: bool, url: str) -> None:
    assert preview_of({"images": images}, adult=adult) == url


@pytest.mark.parametrize("told", [{"minor": True}, {"poi": True}, {"minor": "true"}, {"poi": 1}])
def test_no_adult_preview_is_shown_of_a_minor_or_of_somebody_real(told: dict[str, Any]) -> None:
    version = VERSION | {"images": [{"url": "https://image/r.png", "type": "image", "nsfwLevel": 4}]}
    assert version_facts(version, {"nsfw": "yes"})["preview_url"] == "https://image/r.png"
    facts = version_facts(version, {"nsfw": True} | told)
    assert (facts.get("preview_url", ""), facts["nsfw"]) == ("", True)
    assert (facts.get("minor", False), facts.get("real_person", False)) == ("minor" in told, "poi" in told)


def test_a_text_that_steers_a_terminal_is_told_without_what_steers_it() -> None:
    hostile = "Ne\x1b[31mon\n\x9b2J\u202e"
    facts = version_facts(VERSION | {"name": "v2", "trainedWords": [hostile]}, {"name": hostile, "tags": [hostile]})
    assert facts["title"] == "Ne [31mon  2J - v2"
    assert (facts["triggers"], facts["tags"]) == (("Ne [31mon", "2J"), ("ne [31mon 2j",))


# Pictures' own settings


def test_two_pictures_are_no_rule_and_absurd_values_do_not_count() -> None:
    told = [picture(steps=20, cfgScale=7)] * 2 + [
        picture(steps=9000, cfgScale=-3),
        picture(steps="many", cfgScale=True),
    ]
    assert picture_defaults({"images": told}) == {}
    assert picture_defaults({"images": [*told, picture(steps="22", cfgScale=6.5)]}) == {"steps": 20, "cfg": 7.0}


def test_words_count_only_where_three_pictures_agree() -> None:
    names = ["DPM++ 2M", "DPM++ 2M Karras", "Euler a", "dpmpp_2m", "Restart"]
    images = [picture(sampler=name, Size=size) for name, size in zip(names, ["512x512"] * 2 + ["9x9"] * 3, strict=True)]
    images[3]["meta"]["scheduler"] = "karras"
    version = {"baseModel": "SD 1.5", "images": images}
    assert picture_defaults(version) == {"sampler": "dpmpp_2m", "scheduler": "karras"}


def test_models_that_flow_keep_their_familys_schedule_unless_told() -> None:
    silent = {"baseModel": "Flux.1 D", "images": [picture(sampler="DPM++ 2M", **{"Schedule type": "Automatic"})] * 3}
    told = {"baseModel": "Flux.1 D", "images": [picture(sampler="DPM++ 2M", **{"Schedule type": "Beta"})] * 3}
    assert picture_defaults(silent) == {"sampler": "dpmpp_2m"}
    assert picture_defaults(told) == {"sampler": "dpmpp_2m", "scheduler": "beta"}


def test_the_guidance_of_flux_is_the_distilled_one() -> None:
    forge = [picture(cfgScale=1, **{"Distilled CFG Scale": 3.5})] * 3
    assert picture_defaults({"baseModel": "Flux.1 D", "images": forge}) == {"cfg": 3.5}
    assert picture_defaults({"baseModel": "Flux.1 D", "images": [picture(cfgScale=1)] * 3}) == {}
    assert picture_defaults({"baseModel": "SDXL Turbo", "images": [picture(cfgScale=1)] * 3}) == {"cfg": 1.0}


@pytest.mark.parametrize(
    ("meta", "strength"),
    [
        ({"civitaiResources": [{"modelVersionId": 9, "weight": 3}, {"modelVersionId": 456, "weight": 0.7}]}, 0.7),
        ({"resources": [{"type": "lora", "name": "NEON", "weight": 0.9}]}, 0.9),
        ({"resources": [{"type": "lora", "name": "x", "hash": SHA[:10].lower(), "weight": -1}]}, -1.0),
        ({"prompt": "a cat <lora:neon:0.65> <lora:other:2>"}, 0.65),
        ({"resources": [{"type": "lora", "name": "other", "hash": "12345678", "weight": 0.9}]}, None),
        ({"prompt": "<lora:neon:99>"}, None),
        ({"prompt": "<lora:neon:0>"}, None),
    ],
)
def test_a_loras_strength_is_its_own_in_the_pictures(meta: dict[str, Any], strength: float | None) -> None:
    version = {"id": 456, "files": VERSION["files"], "images": [picture(**meta)] * 3}
    assert picture_defaults(version, lora=True).get("strength") == strength
    assert "strength" not in picture_defaults(version)


def test_pictures_that_switch_a_lora_off_say_nothing_of_its_strength() -> None:
    images = [picture(resources=[{"name": "neon", "weight": weight}]) for weight in (0, 0, 0.5, 0.7, 0.9)]
    assert picture_defaults({"files": VERSION["files"], "images": images}, lora=True) == {"strength": 0.7}


def test_defaults_are_always_ones_that_a_recipe_takes() -> None:
    wild = [picture(steps=150, cfgScale=30, clipSkip=12, Size="4096x64", sampler="uni_pc_bh2")] * 3
    ModelDefaults(**picture_defaults({"images": wild}))


@pytest.mark.parametrize(
    ("name", "schedule", "words"),
    [
        ("Euler a", "", ("euler_ancestral", "")),
        ("DPM++ 2M", "", ("dpmpp_2m", "karras")),
        ("DPM++ 2M Karras", "", ("dpmpp_2m", "karras")),
        ("DPM++ 2M", "SGM Uniform", ("dpmpp_2m", "sgm_uniform")),
        ("DPM++ 2M SDE", "Automatic", ("dpmpp_2m_sde", "exponential")),
        ("DPM++ 2M SDE Heun Exponential", "", ("dpmpp_2m_sde_heun", "exponential")),
        ("DPM2 a Karras", "", ("dpm_2_ancestral", "karras")),
        ("DPM++ 2S a", "Karras", ("dpmpp_2s_ancestral", "karras")),
        ("UniPC", "", ("uni_pc", "")),
        ("DDIM", "", ("ddim", "ddim_uniform")),
        ("LCM", "", ("lcm", "sgm_uniform")),
        ("Heun", "Uniform", ("heun", "normal")),
        ("dpmpp_2m_sde_gpu", "karras", ("dpmpp_2m_sde", "karras")),
        ("euler_ancestral_karras", "", ("euler_ancestral", "karras")),
        ("k_euler_a", "", ("euler_ancestral", "")),
        ("Restart", "", None),
        ("", "", None),
    ],
)
def test_samplers_are_named_as_comfyui_has_them(name: str, schedule: str, words: tuple[str, str] | None) -> None:
    assert sampler_words(name, schedule) == words


# Files


def file(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": "Model", "primary": False} | fields


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ([file("a.ckpt", primary=True), file("a.safetensors")], "a.safetensors"),
        ([file("small.safetensors"), file("main.safetensors", primary=True)], "main.safetensors"),
        ([file("vae.safetensors", type="VAE"), file("m.ckpt")], "m.ckpt"),
        ([file("vae.safetensors", type="VAE", primary=True)], "vae.safetensors"),
        ([file("t.zip", type="Training Data", primary=True), file("m.pt")], "m.pt"),
        ([file("noname", metadata={"format": "SafeTensor"}), file("m.ckpt", primary=True)], "noname"),
        ([file("c.yaml", type="Config")], None),
        (None, None),
    ],
)
def test_the_file_of_a_version_is_its_safe_and_primary_weights(files: Any, name: str | None) -> None:
    found = weight_file({"files": files})
    assert (found and found["name"]) == name
