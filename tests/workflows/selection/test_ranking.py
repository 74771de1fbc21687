"""Models by their scores: what counts, what never is chosen, and what comes last."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflows.selection.library import model, models, record
from workflows.families import families
from workflows.selection import Library, analyse, rank_models
from workflows.types import ModelFacts, ModelInfo, PromptAnalysis, Ranked, TrackRecord

PHOTO = analyse("photo of a man at a desk")


def best(library: Library, prompt: str = "a cat", **more: object) -> str:
    return rank_models(library, analyse(prompt), **more)[0].name  # pyright: ignore[reportArgumentType]


def test_a_score_is_the_sum_of_its_parts() -> None:
    info = model("realLook.safetensors", title="Real Look", tags=("photorealistic",), downloads=999, rating=1.0)
    assert rank_models(Library([info]), PHOTO) == [
        Ranked(
            name="realLook.safetensors",
            family="sdxl",
            engine="comfyui",
            score=62.2,
            parts={"family": 29.2, "style": 20.0, "concepts": 0.0, "popularity": 5.0, "record": 8.0, "fit": 0.0},
        )
    ]


@pytest.mark.parametrize("quality", ["fast", "balanced", "high", "ultra"])
def test_every_score_is_between_0_and_100_and_adds_up(quality: str) -> None:
    ranked = rank_models(Library(models()), PHOTO, quality=quality, memory_gb=6, adult=True, most=99)
    assert len(ranked) == len(models())
    for one in ranked:
        assert 0 <= one.score <= 100
        assert one.score == pytest.approx(sum(one.parts.values()), abs=0.06)


def test_the_order_does_not_depend_on_the_order_of_the_files() -> None:
    there, back = Library(models()), Library(models()[::-1])
    assert rank_models(there, PHOTO, most=99) == rank_models(back, PHOTO, most=99)
    twins = [model("b.safetensors"), model("a.safetensors")]
    assert [one.name for one in rank_models(Library(twins), PHOTO)] == ["a.safetensors", "b.safetensors"]


def test_a_quick_picture_is_drawn_by_a_quick_model_and_a_fine_one_by_a_large_one() -> None:
    library = Library(models())
    quick = rank_models(library, analyse("a cat"), quality="fast")[0]
    fine = rank_models(library, analyse("a cat"), quality="ultra")[0]
    assert families()[quick.family].profile.steps <= 12 < families()[fine.family].profile.steps


def test_a_hasty_model_is_for_those_in_a_hurry_however_many_use_it() -> None:
    calm = model("calm", title="Dreamshaper art", downloads=10_000)
    hasty = model("hasty", family="sdxl-lightning", title="Dreamshaper art", downloads=900_000)
    chosen = [best(Library([calm, hasty]), "an oil painting", quality=word) for word in ("fast", "balanced", "ultra")]
    assert chosen == ["hasty", "calm", "calm"]


def test_a_model_for_one_thing_is_for_that_thing_alone() -> None:
    rooms = model("rooms", title="Rooms", tags=("realistic", "interior", "architecture"), downloads=900_000)
    library = Library([rooms, model("all", title="All", tags=("realistic",), downloads=90_000)])
    assert best(library, "photo of a wolf") == "all"
    assert best(library, "photo of an interior with a fireplace") == "rooms"


def test_without_a_style_what_was_trained_for_photographs_or_art_does_better_than_for_drawings() -> None:
    marked = [model(name, tags=(name,)) for name in ("anime", "photorealistic", "painting")]
    ranked = rank_models(Library(marked), PHOTO.model_copy(update={"style": ""}))
    assert {one.name: one.parts["style"] for one in ranked} == {"photorealistic": 10.0, "painting": 10.0, "anime": 2.0}


def test_lettering_is_drawn_by_a_family_that_can_write_more_than_by_one_that_draws_the_style() -> None:
    library = Library([model("writes", family="qwen-image"), model("draws", family="sd15")])
    parts = {
        kind: {one.name: one.parts["family"] for one in rank_models(library, PHOTO.model_copy(update=asked))}
        for kind, asked in {"letters": {"content_type": "text"}, "plain": {}}.items()
    }
    assert parts["letters"]["writes"] - parts["letters"]["draws"] > parts["plain"]["writes"] - parts["plain"]["draws"]
    assert parts["letters"]["writes"] > 20


def test_a_file_trained_for_a_style_does_better_in_it_than_its_family() -> None:
    lens, plain = model("lens", family="pony", tags=("photorealistic",)), model("plain", family="pony")
    first, second = rank_models(Library([plain, lens]), PHOTO)
    assert first.name == "lens" and first.parts["family"] > second.parts["family"] + 5


def test_an_unknown_family_costs_and_says_so() -> None:
    assert rank_models(Library([model("x", family="unknown")]), PHOTO)[0].parts["fit"] == -14.0


def test_models_made_for_one_task_for_films_or_to_show_off_come_last() -> None:
    names = {one.name: one.score for one in rank_models(Library(models()), PHOTO, most=99)}
    last = [
        "sd_xl_refiner_1.0", "juggernautXL_inpainting", "sd-v1-5-inpainting", "flux1-fill-dev",
        "flux1-dev-kontext_fp8_scaled", "wan2.2_t2v_high_noise_14B_fp8",
    ]  # fmt: skip
    least = {name: names.pop(f"{name}.safetensors") for name in last}
    assert max(least.values()) < 6 <= min(names.values())
    demo = ModelInfo(name="demo", family="demo", engine="diffusers")
    poor = model("strange.safetensors", family="unknown", size=90 * 10**9)
    ranked = rank_models(Library([demo, poor]), analyse("three red stars"), memory_gb=4)
    assert [one.name for one in ranked] == ["strange.safetensors", "demo"]


@pytest.mark.parametrize("family", ["sdxl-refiner", "flux-control", "qwen-image-edit", "flux-fill", "ltx2", "demo"])
def test_a_family_for_one_task_is_known_whatever_its_file_is_called(family: str) -> None:
    assert rank_models(Library([model("x", family=family)]), PHOTO)[0].score < 6


def test_an_inpainting_model_may_be_chosen_to_inpaint() -> None:
    library = Library([info for info in models() if info.family.startswith("flux")])
    assert best(library, "a cat", recipe_task="txt2img") != "flux1-fill-dev.safetensors"
    scores = {one.name: one.score for one in rank_models(library, PHOTO, recipe_task="inpaint")}
    assert scores["flux1-fill-dev.safetensors"] > 40


@pytest.mark.parametrize("prompt", ["photo of a cat", "1girl, solo, absurdres", "三只猫", "", "naked woman"])
def test_the_only_model_is_the_choice(prompt: str) -> None:
    demo = ModelInfo(name="demo", family="demo", engine="diffusers")
    assert best(Library([demo]), prompt) == "demo"


def test_nothing_to_choose_from_is_no_choice() -> None:
    unusable = model("x.safetensors").but(engine="")
    assert rank_models(Library([]), PHOTO) == []
    assert rank_models(Library([unusable, model("y").but(kind="vae"), model("z").but(kind="lora")]), PHOTO) == []


def test_models_of_unknown_family_are_better_than_none_and_worse_than_known_ones() -> None:
    strange = [model(f"strange{n}.safetensors", family="unknown", downloads=5_000_000) for n in range(3)]
    assert len(rank_models(Library(strange), PHOTO)) == 3
    assert best(Library([*strange, model("plain.safetensors")]), "a cat") == "plain.safetensors"


@pytest.mark.parametrize("name", ["hentaiMix.safetensors", "beauty_NSFW_v3.safetensors", "nude-photos.safetensors"])
def test_a_model_made_for_adult_pictures_is_never_chosen_where_they_are_not_allowed(name: str) -> None:
    by_name, by_mark = model(name, downloads=9_000_000), model("quiet.safetensors", nsfw=True)
    plain = model("plain.safetensors", family="sd15")
    for prompt in ("a cat", "naked woman, explicit"):
        found = rank_models(Library([by_name, by_mark, plain]), analyse(prompt), adult=False)
        assert [one.name for one in found] == ["plain.safetensors"]


def test_where_they_are_allowed_it_is_chosen_only_when_they_are_wished() -> None:
    made, plain = model("made.safetensors", nsfw=True, downloads=100), model("plain.safetensors", downloads=100)
    library = Library([made, plain])
    assert best(library, "a cat on a chair", adult=True) == "plain.safetensors"
    assert best(library, "naked woman, explicit", adult=True) == "made.safetensors"


def test_what_does_not_fit_into_the_memory_loses_to_what_does() -> None:
    large, small = model("large", family="flux-dev", size=24 * 10**9), model("small", family="sdxl", size=7 * 10**9)
    library = Library([large, small])
    assert [best(library, memory_gb=memory) for memory in (None, 80, 12)] == ["large", "large", "small"]
    assert best(Library([large]), memory_gb=4) == "large"


def test_a_guessed_family_is_told_and_counts_a_little_less() -> None:
    told, guessed = model("told.safetensors"), model("guessed.safetensors").but(guessed=True)
    first, second = rank_models(Library([guessed, told]), PHOTO)
    assert (first.name, first.guessed, second.name, second.guessed) == (
        "told.safetensors", False, "guessed.safetensors", True,
    )  # fmt: skip
    assert round(first.score - second.score, 1) == 3.0


def test_verdicts_move_the_choice_once_there_are_enough_of_them() -> None:
    """Between a model a little better by its popularity and one whose pictures were all accepted, or all refused."""

    def chosen(judged: int, accepted: int) -> str:
        known, new = model("known", downloads=300_000), model("new", downloads=20_000)
        return best(Library([known, new], {"new": record(judged, accepted), "known": record(50, 35)}))

    assert [chosen(judged, judged) for judged in (0, 1, 2, 10, 40)] == ["known", "known", "known", "new", "new"]
    assert chosen(40, 0) == "known"


def test_a_record_is_found_whatever_the_case_of_the_name() -> None:
    library = Library([model("Aa"), model("aB")], {"AB": record(40, 40)})
    assert best(library) == "aB"


def test_one_bad_picture_does_not_bury_a_model_and_many_do() -> None:
    def score(judged: int) -> float:
        return rank_models(Library([model("a")], {"a": record(judged, 0)}), PHOTO)[0].score

    fresh = rank_models(Library([model("a")]), PHOTO)[0].score
    assert fresh - 3 < score(1) < fresh
    assert score(400) <= score(60) <= score(20) < score(5) < score(1)


def test_records_of_models_that_are_gone_and_empty_ones_do_no_harm() -> None:
    made = {"gone": record(10, 0), "a": TrackRecord(judged=0, accepted=0)}
    assert rank_models(Library([model("a")], made), PHOTO)[0].parts["record"] == 8.0


ANY_INFO = st.builds(
    ModelInfo,
    name=st.text(min_size=1, max_size=20),
    family=st.sampled_from([*families(), "no such family"]),
    kind=st.sampled_from(["checkpoint", "diffusion_model", "lora", "vae"]),
    engine=st.just("comfyui"),
    size=st.none() | st.integers(0, 10**12),
    facts=st.builds(
        ModelFacts,
        nsfw=st.booleans(),
        downloads=st.none() | st.integers(0, 10**9),
        title=st.text(max_size=20),
        tags=st.tuples(st.sampled_from(["anime", "photo", "cat"])),
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ANY_INFO, max_size=12),
    st.sampled_from(["", "anime", "realistic", "3d", "no such style"]),
    st.sampled_from(["", "SDXL", "Pony", "Flux.1", "nonsense"]),
    st.sampled_from(["fast", "balanced", "ultra"]),
)
def test_any_library_is_ranked_without_failing(found: list[ModelInfo], style: str, base: str, quality: str) -> None:
    wish = PromptAnalysis(style=style, suggested_base_model=base, key_concepts=("cat", "猫"))
    ranked = rank_models(Library(found), wish, quality=quality, memory_gb=8, most=99)
    usable = [info for info in found if info.kind in {"checkpoint", "diffusion_model"} and not info.facts.nsfw]
    assert len(ranked) <= len(usable)
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    assert all(0 <= one.score <= 100 for one in ranked)
