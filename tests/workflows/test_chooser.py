"""What is chosen for a recipe that leaves it open, and what is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.fake_models import FakeFiles, FakeReader, checkpoint, lora
from tests.fakes import PROFILE, FakeEngine, fake_app
from utils.metadata import read
from workflows.answers import job_answer
from workflows.asking import recipe_from
from workflows.catalog import Catalog
from workflows.choosing import Chooser
from workflows.content import ContentRules
from workflows.errors import EngineUnavailable, Refused, ServiceUnavailable
from workflows.families import family
from workflows.ports import Engine
from workflows.types import LoraUse, ModelDefaults, ModelInfo, Recipe

ANIME = checkpoint("anime-wonder", "illustrious", engine="fake", tags=("anime", "girls"), downloads=90_000)
OLD = checkpoint("old", "sd15", engine="fake")
PHOTO = checkpoint("photo-real", "sdxl", engine="fake", tags=("photo", "realistic"), downloads=90_000)
NEON = lora(
    "neon-city",
    "sdxl",
    engine="fake",
    title="Neon City",
    tags=("cyberpunk", "neon lights", "city"),
    triggers=("neonpunk style",),
    downloads=40_000,
)
WISH = Recipe(prompt="photo of a cyberpunk city at night, neon lights, 35mm film", auto_loras=True)


class Shelf(FakeEngine):
    """An engine that lists what it is given, and refuses some of it."""

    def __init__(self, *infos: ModelInfo, refuses: Sequence[str] = ()) -> None:
        super().__init__()
        self.infos = infos
        self.never = set(refuses)

    async def models(self, kind: str = "all") -> list[ModelInfo]:
        return list(self.infos)

    async def refusal(self, recipe: Recipe) -> str | None:
        asked = {recipe.model, recipe.sampler, *(use.name for use in recipe.loras)}
        return "not this one" if asked & self.never else None


class Silent(FakeReader):
    """Never answers."""

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        self.asked.append(prompt)
        await asyncio.Event().wait()
        return ""


def chooser_for(engine: Engine, *, adult: bool = False, reader: FakeReader | None = None) -> Chooser:
    return Chooser(
        catalog=Catalog(engines=[engine], files=FakeFiles()), rules=ContentRules(adult=adult), text_model=reader
    )


async def test_the_model_that_suits_the_prompt_is_named_with_its_score_and_the_others() -> None:
    engine = Shelf(ANIME, PHOTO, NEON)

    recipe, choice = await chooser_for(engine).choose(WISH, [engine])

    assert choice is not None and choice.model is not None
    assert (recipe.model, recipe.engine) == ("photo-real.safetensors", "fake")
    assert choice.model.name == recipe.model
    assert round(sum(choice.model.parts.values()), 3) == round(choice.model.score, 3)
    assert [one.name for one in choice.others] == ["anime-wonder.safetensors"]
    assert (choice.analysis.by, choice.analysis.style) == ("keywords", "realistic")


async def test_another_prompt_gets_another_model() -> None:
    engine = Shelf(ANIME, PHOTO, NEON)

    recipe, _ = await chooser_for(engine).choose(Recipe(prompt="1girl, solo, pink hair, anime key visual"), [engine])

    assert recipe.model == "anime-wonder.safetensors"


async def test_a_lora_that_clearly_fits_is_taken_with_the_words_that_wake_it() -> None:
    engine = Shelf(ANIME, PHOTO, NEON)

    recipe, choice = await chooser_for(engine).choose(WISH, [engine])
    left, _ = await chooser_for(engine).choose(WISH.but(auto_loras=False), [engine])

    [use] = recipe.loras
    assert (use.name, use.triggers) == ("neon-city.safetensors", ("neonpunk style",))
    assert choice is not None and [one.name for one in choice.loras] == ["neon-city.safetensors"]
    assert left.loras == ()


async def test_a_model_that_the_engine_refuses_is_passed_over() -> None:
    engine = Shelf(ANIME, PHOTO, refuses=["photo-real.safetensors"])

    recipe, choice = await chooser_for(engine).choose(WISH, [engine])

    assert recipe.model == "anime-wonder.safetensors"
    assert choice is not None and choice.others == ()
    assert choice.notes == ("photo-real.safetensors would suit better, but cannot be drawn with: not this one",)


async def test_a_model_is_found_below_dozens_that_cannot_be_drawn() -> None:
    lacking = [checkpoint(f"photo-{n}", "sdxl", engine="fake", tags=("photo", "realistic")) for n in range(40)]
    engine = Shelf(ANIME, *lacking, refuses=[info.name for info in lacking])

    recipe, choice = await chooser_for(engine).choose(WISH, [engine])

    assert recipe.model == "anime-wonder.safetensors"
    assert choice is not None and choice.notes[0].endswith("not this one Nor with 39 more that suit.")


async def test_a_lora_that_the_engine_cannot_put_on_the_model_is_left_out() -> None:
    engine = Shelf(ANIME, PHOTO, NEON, refuses=["neon-city.safetensors"])

    recipe, choice = await chooser_for(engine).choose(WISH, [engine])

    assert (recipe.model, recipe.loras, recipe.auto_loras) == ("photo-real.safetensors", (), False)
    assert choice is not None and choice.loras == ()


async def test_a_named_lora_gets_a_model_that_it_works_with() -> None:
    engine = Shelf(ANIME, PHOTO, lora("old-ink", "sd15", engine="fake"), OLD)
    named = WISH.but(loras=(LoraUse(name="old-ink"),))

    recipe, choice = await chooser_for(engine).choose(named, [engine])

    assert recipe.model == "old.safetensors"
    assert choice is not None
    assert choice.notes == ("photo-real.safetensors would suit better, but not together with old-ink.",)


async def test_an_engine_that_takes_none_of_its_models_leaves_the_choice_open() -> None:
    engine = Shelf(ANIME, PHOTO, refuses=["photo-real.safetensors", "anime-wonder.safetensors"])

    assert await chooser_for(engine).choose(WISH, [engine]) == (WISH, None)


@pytest.mark.parametrize(
    "recipe",
    [
        WISH.but(model="anime-wonder.safetensors"),
        Recipe(task="upscale", source="k"),
        Recipe(prompt="a hat", task="inpaint", mask="m", source="s"),
        Recipe(prompt="a city", engine="elsewhere"),
    ],
)
async def test_what_was_named_or_is_an_engines_to_choose_is_left_alone(recipe: Recipe) -> None:
    engine = Shelf(ANIME, PHOTO, NEON)

    assert await chooser_for(engine).choose(recipe, [engine]) == (recipe, None)


async def test_named_loras_get_their_trigger_words_and_keep_their_strength() -> None:
    engine = Shelf(PHOTO, NEON)
    named = Recipe(prompt="a city", model="photo-real", loras=(LoraUse(name="neon-city", strength=0.4),))

    recipe, _ = await chooser_for(engine).choose(named, [engine])

    assert recipe.loras == (LoraUse(name="neon-city", strength=0.4, triggers=("neonpunk style",)),)


SPICY = lora("spicy", "sdxl", engine="fake", nsfw=True)
NAMED = Recipe(prompt="a city", model="photo-real", loras=(LoraUse(name="spicy"),))


async def test_what_was_made_for_adult_pictures_is_refused_where_the_owner_has_not_allowed_it() -> None:
    engine = Shelf(PHOTO, SPICY)

    with pytest.raises(Refused, match="not switched on"):
        await chooser_for(engine).admit(NAMED)
    await chooser_for(engine, adult=True).admit(NAMED)
    with pytest.raises(Refused, match="minor"):
        await chooser_for(engine, adult=True).admit(NAMED.but(prompt="a child blowing a dandelion"))


@pytest.mark.parametrize(
    "facts", [{"minor": True}, {"real_person": True}, {"tags": ("loli",)}, {"title": "Child slider"}]
)
async def test_nobody_is_undressed_whom_a_lora_was_made_of(facts: dict[str, object]) -> None:
    engine = Shelf(PHOTO, lora("somebody", "sdxl", engine="fake", **facts))
    wish = Recipe(prompt="a nude woman on a bed", model="photo-real", loras=(LoraUse(name="somebody"),))

    with pytest.raises(Refused):
        await chooser_for(engine, adult=True).admit(wish)
    await chooser_for(engine, adult=True).admit(wish.but(prompt="a woman in a park"))


async def test_no_minor_is_drawn_with_a_model_made_for_adult_pictures() -> None:
    engine = Shelf(PHOTO.but(facts=PHOTO.facts.but(nsfw=True)))
    wish = Recipe(prompt="a child on a swing", model="photo-real")

    with pytest.raises(Refused, match="minor"):
        await chooser_for(engine, adult=True).admit(wish)
    await chooser_for(engine).admit(wish.but(prompt="a swing"))


async def test_what_became_forbidden_is_not_drawn_again_or_taken_up(tmp_path: Path) -> None:
    engine = Shelf(PHOTO, SPICY.but(facts=SPICY.facts.but(nsfw=False)))
    chooser = chooser_for(engine)
    async with fake_app(tmp_path, engine=engine, chooser=chooser) as app:
        made = await app.studio.wait((await app.studio.submit(NAMED)).id, 30)
        engine.infos = (PHOTO, SPICY)
        chooser.catalog.forget()
        with pytest.raises(Refused, match="not switched on"):
            await app.studio.regenerate(made.item_ids[0])


async def test_a_language_model_reads_the_prompt_where_there_is_one() -> None:
    engine = Shelf(ANIME, PHOTO)
    reader = FakeReader(
        reply={
            "style": "anime",
            "content_type": "character",
            "suggested_base_model": "Illustrious",
            "key_concepts": ["hero"],
            "recommended_lora_tags": [],
            "suggested_steps": None,
            "suggested_cfg": None,
        }
    )

    recipe, choice = await chooser_for(engine, reader=reader).choose(Recipe(prompt="a hero"), [engine])

    assert choice is not None
    assert (recipe.model, choice.analysis.by) == ("anime-wonder.safetensors", "fake-llm")
    assert "a hero" in reader.asked[0]


@pytest.mark.parametrize(
    ("reader", "note"),
    [
        (FakeReader(fault=ServiceUnavailable("Ollama is down")), "Ollama is down"),
        (FakeReader(reply="I would rather not"), "gave no analysis"),
    ],
)
async def test_a_language_model_that_cannot_say_is_told_and_keywords_do(reader: FakeReader, note: str) -> None:
    engine = Shelf(ANIME, PHOTO)

    _, choice = await chooser_for(engine, reader=reader).choose(WISH, [engine])

    assert choice is not None
    assert choice.analysis.by == "keywords"
    assert note in choice.notes[0]


async def test_a_language_model_that_takes_too_long_is_left_alone_for_a_while() -> None:
    engine, reader = Shelf(ANIME, PHOTO), Silent()
    chooser = Chooser(catalog=Catalog(engines=[engine]), rules=ContentRules(), text_model=reader, reading_seconds=0.01)

    for _ in range(2):
        _, choice = await chooser.choose(WISH, [engine])
        assert choice is not None
        assert choice.notes == ("fake-llm did not answer within 0.01 s: keywords did.",)

    assert len(reader.asked) == 1


async def test_a_files_own_settings_fill_what_is_open_and_nothing_else() -> None:
    tuned = PHOTO.but(
        facts=PHOTO.facts.but(defaults=ModelDefaults(steps=33, cfg=4.5, sampler="dpmpp_sde", clip_skip=2))
    )
    engine, profile = Shelf(tuned), family("sdxl").profile
    chooser = chooser_for(engine)
    asked = Recipe(prompt="a city", model="photo-real", cfg=7.0)

    recipe, notes = await chooser.tuned(asked, profile, engine)

    assert (recipe.steps, recipe.cfg, recipe.sampler, recipe.clip_skip) == (33, 7.0, "dpmpp_sde", 2)
    assert "own pictures" in notes[0]


async def test_what_was_named_by_its_title_is_drawn_with_by_its_file() -> None:
    engine = Shelf(PHOTO.but(facts=PHOTO.facts.but(title="Photo Real v5")), NEON)
    named = Recipe(prompt="a city", model="photo real V5", loras=(LoraUse(name="Neon City"),))

    recipe, _ = await chooser_for(engine).choose(named, [engine])

    assert (recipe.model, recipe.loras[0].name) == ("photo-real.safetensors", "neon-city.safetensors")


async def test_a_wish_that_no_model_can_meet_is_told_with_the_best_ones_reason() -> None:
    class Strict(Shelf):
        async def refusal(self, recipe: Recipe) -> str | None:
            return f"{recipe.model or 'none'} has no such sampler"

    engine = Strict(ANIME, PHOTO)

    with pytest.raises(EngineUnavailable, match="photo-real"):
        await chooser_for(engine).choose(WISH.but(sampler="exotic"), [engine])


async def test_a_sampler_that_the_engine_has_not_is_left_out() -> None:
    tuned = PHOTO.but(facts=PHOTO.facts.but(defaults=ModelDefaults(steps=33, sampler="exotic")))
    engine = Shelf(tuned, refuses=["exotic"])

    recipe, notes = await chooser_for(engine).tuned(
        Recipe(prompt="a city", model="photo-real"), family("sdxl").profile, engine
    )

    assert (recipe.steps, recipe.sampler) == (33, None)
    assert "sampler" not in notes[0]


async def test_a_job_tells_what_was_chosen_draws_with_the_trigger_words_and_judges_without(tmp_path: Path) -> None:
    engine = Shelf(ANIME, PHOTO, NEON)
    async with fake_app(tmp_path, engine=engine, chooser=chooser_for(engine)) as app:
        job = await app.studio.submit(recipe_from({"prompt": WISH.prompt}))
        answer = await job_answer(app.gallery, await app.studio.wait(job.id, 30))

    assert answer["choice"]["model"]["name"] == "photo-real.safetensors"
    assert answer["choice"]["loras"][0]["triggers"] == ["neonpunk style"]
    assert engine.recipes[0].prompt.endswith("neonpunk style")
    assert answer["metadata"]["loras"] == ["neon-city.safetensors:0.8"]
    assert job.recipe.prompt == WISH.prompt


async def test_making_a_picture_again_chooses_nothing(tmp_path: Path) -> None:
    engine = Shelf(PHOTO)
    files = FakeFiles()
    chooser = Chooser(catalog=Catalog(engines=[engine], files=files), rules=ContentRules())
    async with fake_app(tmp_path, engine=engine, chooser=chooser) as app:
        first = await app.studio.wait((await app.studio.submit(recipe_from({"prompt": WISH.prompt}))).id, 30)
        engine.infos = (PHOTO.but(facts=PHOTO.facts.but(defaults=ModelDefaults(sampler="dpmpp_sde"))), NEON)
        chooser.catalog.forget()
        again = await app.studio.wait((await app.studio.regenerate(first.item_ids[0])).id, 30)

    assert (again.recipe.sampler, again.recipe.loras, again.choice) == (None, (), None)
    assert PROFILE.steps == again.recipe.steps


async def test_a_picture_made_again_keeps_the_persons_own_words(tmp_path: Path) -> None:
    engine = Shelf(ANIME, PHOTO, NEON)
    async with fake_app(tmp_path, engine=engine, chooser=chooser_for(engine)) as app:
        first = await app.studio.wait((await app.studio.submit(recipe_from({"prompt": WISH.prompt}))).id, 30)
        again = await app.studio.wait((await app.studio.regenerate(first.item_ids[0])).id, 30)
        item = await app.gallery.find(again.item_ids[0])

    assert engine.recipes[-1].prompt == engine.recipes[0].prompt == f"{WISH.prompt}, neonpunk style"
    assert (again.recipe.prompt, item.prompt) == (WISH.prompt, WISH.prompt)


async def test_a_filed_picture_tells_the_hashes_that_the_catalogue_knows(tmp_path: Path) -> None:
    engine = Shelf(PHOTO, NEON.but(facts=NEON.facts.but(sha256="ab" * 32)))
    async with fake_app(tmp_path, engine=engine, chooser=chooser_for(engine)) as app:
        made = await app.studio.wait((await app.studio.submit(recipe_from({"prompt": WISH.prompt}))).id, 30)
        item = await app.gallery.find(made.item_ids[0])
        media = await app.gallery.original(item.id)

    assert item.facts["lora_hashes"] == {"neon-city.safetensors": "ab" * 5}
    assert "lora:neon-city" in (read(media.data).parameters or "")
