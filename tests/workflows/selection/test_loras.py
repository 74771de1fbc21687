"""LoRAs by their scores: what matches, what never may, and at which strengths they are used."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflows.selection.library import lora, loras, model
from workflows.families import families, lora_fits
from workflows.selection import Library, analyse, automatic_loras, rank_loras, together
from workflows.types import ModelDefaults, ModelFacts, ModelInfo, PromptAnalysis, RankedLora

SDXL = model("plainXL.safetensors")
PIXEL = lora(
    "pixel.safetensors", title="Pixel Art XL", triggers=("pixel art",), tags=("style", "pixel"), downloads=50_000
)
CITY = lora("city.safetensors", title="Cyberpunk City", triggers=("cybercity",), tags=("background",), downloads=900)


def names(prompt: str, *infos: ModelInfo, of: ModelInfo = SDXL, adult: bool = False, least: float = 25.0) -> list[str]:
    found = rank_loras(Library(infos), analyse(prompt), of, adult=adult, least=least, most=9)
    return [one.name.removesuffix(".safetensors") for one in found]


def test_a_lora_whose_trigger_is_in_the_prompt_is_told_with_its_parts() -> None:
    assert rank_loras(Library([PIXEL, CITY]), analyse("pixel art of a ship"), SDXL) == [
        RankedLora(
            name="pixel.safetensors",
            family="sdxl",
            strength=0.8,
            triggers=("pixel art",),
            score=79.0,
            parts={"match": 47.7, "phrase": 14.0, "popularity": 7.3, "style": 10.0},
        )
    ]


def test_rare_words_count_more_than_common_ones() -> None:
    girls = [lora(f"girl{n}", title=f"Pretty girl number {n}", tags=("girl",)) for n in range(40)]
    assert names("a girl with a lute", *girls) == []
    assert names("a girl with a lute", *girls, lora("lute", title="Lute", tags=("object",))) == ["lute"]


def test_words_of_a_phrase_together_tell_more_than_apart() -> None:
    def match(title: str, prompt: str) -> float:
        return rank_loras(Library([lora("x", title=title)]), analyse(prompt), SDXL, least=0)[0].parts["match"]

    assert match("Dark Fantasy", "dark fantasy landscape") > 1.3 * match("Long Hair", "long hair, lady")
    assert (
        names("dark fantasy", lora("bright", title="Bright Fantasy"), lora("dark", title="Dark Fantasy"))[0] == "dark"
    )


def test_singular_and_plural_and_names_run_together_are_the_same_words() -> None:
    assert names("two butterflies", lora("glassButterfly_v2.safetensors")) == ["glassButterfly_v2"]
    assert names("a city of elves", lora("ElfCities.safetensors")) == ["ElfCities"]


def test_kin_is_found_but_not_taken_without_being_asked() -> None:
    neon = lora("neon", title="Neon Glow", tags=("style", "neon", "sci-fi", "urban"), downloads=10**6)
    found = rank_loras(Library([neon]), analyse("a cyberpunk alley"), SDXL, least=5)
    assert [one.name for one in found] == ["neon"]
    assert automatic_loras(found) == ()


@pytest.mark.parametrize(("family", "kept"), [("sdxl", True), ("sd15", False), ("flux-dev", False), ("unknown", False)])
def test_one_of_another_or_of_no_known_family_is_never_chosen(family: str, kept: bool) -> None:
    assert names("pixel art of a ship", PIXEL.but(family=family), least=0) == (["pixel"] if kept else [])


def test_no_lora_is_for_a_model_of_unknown_family() -> None:
    assert names("pixel art", PIXEL, PIXEL.but(family="unknown"), of=model("x", family="unknown"), least=0) == []


def test_one_that_works_in_part_is_chosen_only_where_nothing_better_is_for_the_same() -> None:
    own, strange = lora("own", title="Pixel Art Harbour"), PIXEL.but(name="strange", family="pony")
    assert 0 < lora_fits("pony", "sdxl") < 0.75
    scores = [rank_loras(Library([one]), analyse("pixel art of a ship"), SDXL)[0].score for one in (own, strange)]
    assert scores[0] < scores[1]
    assert names("pixel art of a ship", strange, own) == ["own"]
    assert names("pixel art of a ship", strange) == ["strange"]
    alone = rank_loras(Library([strange]), analyse("pixel art of a ship"), SDXL)
    assert alone[0].parts["fit"] < 0 and automatic_loras(alone) == ()


def test_two_for_the_same_are_not_both_chosen_and_two_for_different_things_are() -> None:
    twin = PIXEL.but(name="twin", facts=PIXEL.facts.but(downloads=40_000))
    dragon = lora("dragon", title="Dragon", triggers=("dragon",), tags=("creature",))
    assert names("pixel art of a dragon", twin, PIXEL, dragon) == ["pixel", "dragon"]


MIKU = lora("miku", title="Hatsune Miku (Vocaloid)", triggers=("hatsune miku, twintails",), tags=("character", "girl"))
EMMA = lora("emma", title="Emma Watson", triggers=("emwts",), tags=("woman",), real_person=True)


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("hatsune miku on a stage", ["miku"]),
        ("a girl with twintails, vocaloid", []),
        ("emma watson reading", ["emma"]),
        ("emma stone, a woman at a window", []),
        ("portrait of a woman", []),
    ],
)
def test_a_character_or_person_is_chosen_only_when_it_is_named(prompt: str, found: list[str]) -> None:
    assert names(prompt, MIKU, EMMA, least=0) == found


def test_a_name_in_a_title_without_tags_must_be_in_the_prompt_too() -> None:
    lucy = lora("lucy_kushinada_cyberpunk_v3.safetensors")
    assert names("a cyberpunk street", lucy) == []
    assert names("lucy kushinada, cyberpunk", lucy) == ["lucy_kushinada_cyberpunk_v3"]
    assert names("a cyberpunk street", lora("cyberpunk_street_xl.safetensors")) == ["cyberpunk_street_xl"]


SHY = lora("shy", title="Leather Coat", triggers=("leather coat",), tags=("clothing",))
BOLD = SHY.but(name="bold", facts=SHY.facts.but(nsfw=True, downloads=10**6))
SLY = SHY.but(name="sly", facts=SHY.facts.but(triggers=("leather coat, nude",), downloads=10**6))


def test_one_made_for_adult_pictures_needs_the_owner_and_the_prompt() -> None:
    plain, adult = "a woman in a leather coat", "a naked woman in a leather coat, explicit"
    for made in (BOLD, SLY):
        assert names(plain, made, SHY) == names(plain, made, SHY, adult=True) == names(adult, made, SHY) == ["shy"]
        assert names(adult, made, adult=True) == [made.name]


def test_nothing_with_minors_or_real_people_goes_with_adult_wishes() -> None:
    wish = "a naked woman in a leather coat, explicit, emma watson"
    young = SHY.but(name="young", facts=SHY.facts.but(minor=True))
    both = SHY.but(name="both", facts=SHY.facts.but(minor=True, nsfw=True))
    assert names(wish, young, both, EMMA, adult=True, least=0) == []


def test_an_anime_lora_is_not_put_on_a_photograph() -> None:
    drawn = lora("drawn", title="Rainy Street anime", tags=("anime", "background"), downloads=100)
    filmed = lora("filmed", title="Rainy Street photo", tags=("photo", "background"), downloads=100)
    assert names("photo of a rainy street", drawn, filmed)[0] == "filmed"
    plain = drawn.but(name="plain", facts=drawn.facts.but(title="Rainy Street", tags=("background",)))
    marked = plain.but(name="marked", facts=plain.facts.but(tags=("background", "anime")))
    assert names("photo of a rainy street", marked, plain)[0] == "plain"
    assert names("anime, a rainy street", drawn, filmed)[0] == "drawn"


def test_strengths_are_the_makers_within_reason_and_sane_together() -> None:
    def strength(own: float | None) -> float:
        info = PIXEL.but(facts=PIXEL.facts.but(defaults=ModelDefaults(strength=own)))
        return rank_loras(Library([info]), analyse("pixel art"), SDXL)[0].strength

    assert [strength(own) for own in (None, 0.6, 3.5, 0.05, -2.0)] == [0.8, 0.6, 1.0, 0.3, 0.3]
    ranked = [RankedLora(name=name, family="sdxl", strength=0.8, score=90) for name in "abc"]
    assert [[one.strength for one in together(ranked[:n])] for n in range(4)] == [
        [], [0.8], [0.7, 0.7], [0.5, 0.5, 0.5],
    ]  # fmt: skip


def test_at_most_two_clear_matches_are_taken_without_being_asked() -> None:
    parts = {"match": 50.0, "phrase": 14.0}

    def one(name: str, score: float = 64.0, **more: float) -> RankedLora:
        return RankedLora(name=name, family="sdxl", strength=0.8, score=score, parts=parts | more)

    ranked = [one("a"), one("vague", 51), one("no phrase", phrase=0.0), one("odd", fit=-20.0), one("b"), one("c")]
    assert [(taken.name, taken.strength) for taken in automatic_loras(ranked)] == [("a", 0.7), ("b", 0.7)]


def test_only_the_first_trigger_and_those_the_prompt_speaks_of_are_told() -> None:
    info = lora(
        "lucy", title="Lucy", triggers=("lucy  cp, white hair", "lucy jacket", "Lucy CP, white hair", "red dress")
    )
    assert rank_loras(Library([info]), analyse("lucy in a red dress"), SDXL)[0].triggers == (
        "lucy cp, white hair", "red dress",
    )  # fmt: skip
    endless = lora("endless", title="Pixel", triggers=(", ".join(f"word{n}" for n in range(90)),))
    assert len(rank_loras(Library([endless]), analyse("pixel"), SDXL)[0].triggers[0].split(", ")) == 12


def test_twenty_thousand_are_chosen_from() -> None:
    library = Library([*loras(20_000), SDXL])
    found = rank_loras(library, analyse("oil painting impasto of an owl"), SDXL)
    assert [one.name.split("_")[0] for one in found] == ["oil", "owl"]


def test_no_loras_and_no_concepts_give_none() -> None:
    assert rank_loras(Library([SDXL]), analyse("pixel art"), SDXL) == []
    assert rank_loras(Library([PIXEL]), PromptAnalysis(), SDXL) == []


WORDS = st.sampled_from("pixel art cyberpunk city dragon girl nude anime photo Emma neon light 猫 v2 xl".split())
ANY_LORA = st.builds(
    ModelInfo,
    name=st.lists(WORDS, min_size=1, max_size=3).map("_".join),
    kind=st.just("lora"),
    family=st.sampled_from([*families(), "no such family"]),
    engine=st.just("comfyui"),
    facts=st.builds(
        ModelFacts,
        title=st.lists(WORDS, max_size=3).map(" ".join),
        tags=st.lists(WORDS, max_size=3).map(tuple),
        triggers=st.lists(WORDS, max_size=3).map(tuple),
        nsfw=st.booleans(),
        minor=st.booleans(),
        real_person=st.booleans(),
        downloads=st.none() | st.integers(0, 10**8),
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(ANY_LORA, max_size=25, unique_by=lambda info: info.name),
    st.sampled_from(list(families())),
    st.lists(WORDS, max_size=5).map(" ".join),
    st.booleans(),
)
def test_in_any_library_the_rules_hold(found: list[ModelInfo], family: str, prompt: str, adult: bool) -> None:
    analysis = analyse(prompt)
    ranked = rank_loras(Library(found), analysis, model("m", family=family), adult=adult, least=0, most=5)
    chosen = [next(info for info in found if info.name == one.name) for one in ranked]
    assert all(lora_fits(info.family, family) > 0 for info in chosen)
    assert not any(info.facts.nsfw and not (adult and analysis.adult) for info in chosen)
    assert not any((info.facts.minor or info.facts.real_person) and analysis.adult for info in chosen)
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    assert all(0.3 <= one.strength <= 1.0 and 0 <= one.score <= 100 for one in ranked)
    stack = automatic_loras(ranked)
    assert len(stack) <= 2 and sum(one.strength for one in stack) <= 1.5
