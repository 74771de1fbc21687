"""The desk for words: what is written by whom, what is remembered, and what a failing language model costs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clients.llm_client import LLMClient
from tests.fake_llm import FakeLLM
from tests.fake_models import FakeFiles, checkpoint
from tests.fakes import FakeEngine, FakeJudge, fake_app
from tests.workflows.prompts.test_writers import Scripted
from workflows.app import App
from workflows.catalog import Catalog
from workflows.choosing import Chooser
from workflows.content import ContentRules
from workflows.errors import BadRecipe, ModelMissing, NotFound, Refused, ServiceFailed, ServiceUnavailable
from workflows.types import HistoryQuery, Preset, Recipe

FOX = "two red foxes in the snow"


async def entries(app: App) -> list[tuple[str, str, str, bool]]:
    page = await app.prompts.history(HistoryQuery())
    return [(one.mode, one.input, one.by, bool(one.fault)) for one in page.entries]


async def test_without_a_language_model_the_rules_write_for_the_family(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        pony = await app.prompts.enhance(FOX, model="pony")
        flux = await app.prompts.enhance(FOX, model="flux", presets=["style:watercolor"])
        assert await entries(app) == [("oneshot", FOX, "rules", False)] * 2
    assert pony.prompt.startswith("score_9") and FOX in pony.prompt and pony.negative
    assert pony.words == flux.words == FOX
    assert "watercolo" in flux.prompt.lower() and flux.prompt.endswith(".") and flux.negative == ""
    assert (pony.family, flux.family, flux.presets) == ("pony", "flux-dev", ("style:watercolor",))
    assert pony.changes and flux.changes


async def test_a_prompt_is_built_from_presets_and_free_words(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        built = await app.prompts.build(
            "a fox", setting="a snowy forest", lighting="golden hour", style="ink on rice paper", model="sdxl"
        )
        with pytest.raises(NotFound, match="no preset"):
            await app.prompts.build("a fox", preset="no such thing")
    assert built.words == "a fox in a snowy forest" and built.prompt.startswith(built.words)
    assert "ink on rice paper" in built.prompt and "lighting:golden-hour" in built.presets


async def test_the_family_follows_from_the_model_that_would_draw_it(tmp_path: Path) -> None:
    engine = FakeEngine()
    files = FakeFiles(infos=[checkpoint("dream", "pony", engine="fake"), checkpoint("plain", "sd15", engine="fake")])
    chooser = Chooser(catalog=Catalog(engines=[engine], files=files), rules=ContentRules())
    async with fake_app(tmp_path, engine=engine, chooser=chooser) as app:
        named = await app.prompts.enhance(FOX, model="dream.safetensors")
        chosen = await app.prompts.enhance(FOX)
        with pytest.raises(NotFound, match=r"Did you mean .*dream"):
            await app.prompts.enhance(FOX, model="dreams.safetensor")
    assert (named.family, named.model) == ("pony", "dream.safetensors")
    assert chosen.family in {"pony", "sd15"} and chosen.model


async def test_a_language_model_writes_and_is_heard_while_it_does(tmp_path: Path) -> None:
    heard: list[str] = []
    async with FakeLLM() as fake, LLMClient(fake.url, "qwen3:4b", dialect="ollama") as model:
        fake.say('{"prompt": "Two red foxes cross deep snow at dusk.", "negative": "", "said": ""}')
        async with fake_app(tmp_path, writers=[model]) as app:
            written = await app.prompts.enhance(FOX, model="flux", listener=heard.append)
            assert await entries(app) == [("oneshot", FOX, "qwen3:4b", False)]
        assert FOX in fake.asked[0].words and FOX not in fake.asked[0].system
    assert written.prompt == "Two red foxes cross deep snow at dusk." and written.by == "qwen3:4b"
    assert written.words == FOX
    assert len(heard) > 2 and all(heard[-1].startswith(text) for text in heard)


async def test_what_a_language_model_left_out_it_is_asked_for_and_then_it_stands_in_front(tmp_path: Path) -> None:
    async with FakeLLM() as fake, LLMClient(fake.url, "qwen3:4b", dialect="ollama") as model:
        for _ in range(2):
            fake.say('{"prompt": "A red animal in the snow.", "negative": "", "said": ""}')
        async with fake_app(tmp_path, writers=[model]) as app:
            written = await app.prompts.enhance(FOX, model="flux")
        assert "fox" in fake.asked[1].words
    assert FOX in written.prompt.lower() and written.by == "qwen3:4b"
    assert any("left out" in note for note in written.notes)


@pytest.mark.parametrize("fault", ["dead", "missing", "error", "no prompt"])
async def test_a_language_model_that_fails_is_told_and_the_rules_write(tmp_path: Path, fault: str) -> None:
    errors = {
        "dead": ServiceUnavailable,
        "missing": ModelMissing,
        "error": ServiceFailed,
        "no prompt": ServiceFailed,
    }
    async with FakeLLM() as fake:
        name = "nobody" if fault == "missing" else "qwen3:4b"
        async with LLMClient(fake.url, name, dialect="ollama", retry_seconds=()) as model:
            if fault == "dead":
                await fake.stop()
            for _ in range(2):
                if fault == "error":
                    fake.refuse(400, {"error": "no"})
                if fault == "no prompt":
                    fake.say("I'm sorry, I can't help with that.")
            async with fake_app(tmp_path, writers=[model]) as app:
                written = await app.prompts.enhance(FOX, model="flux")
                with pytest.raises(errors[fault]):
                    await app.prompts.enhance(FOX, model="flux", writer="model")
                assert await entries(app) == [("oneshot", FOX, "", True), ("oneshot", FOX, "rules", False)]
    assert written.by == "rules" and written.notes[0].startswith("The rules wrote this.")


async def test_what_may_not_be_drawn_is_neither_written_nor_sent_nor_kept(tmp_path: Path) -> None:
    async with (
        FakeLLM() as fake,
        LLMClient(fake.url, "qwen3:4b", dialect="ollama") as model,
        fake_app(tmp_path, writers=[model]) as app,
    ):
        for call in (app.prompts.enhance, app.prompts.converse, app.prompts.analyze):
            with pytest.raises(Refused):
                await call("a nude woman")
        with pytest.raises(Refused):
            await app.prompts.add_preset(Preset(id="x", name="x", kind="style", text="nude woman"))
        assert await entries(app) == []
        fake.say('{"prompt": "A naked woman with two red foxes in the snow.", "negative": "", "said": ""}')
        assert fake.asked == []
        written = await app.prompts.enhance(FOX, model="flux")
    assert written.by == "rules" and "may not be drawn" in written.notes[0]


async def test_a_writer_that_is_none_is_refused_with_those_there_are(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        with pytest.raises(BadRecipe, match="it is auto, rules, model"):
            await app.prompts.enhance(FOX, writer="gpt")
        with pytest.raises(BadRecipe, match="set OLLAMA_MODEL"):
            await app.prompts.enhance(FOX, writer="model")
        with pytest.raises(BadRecipe, match="prompt cannot be"):
            await app.prompts.enhance("  ")


async def test_presets_of_ones_own_are_kept_found_and_removed(tmp_path: Path) -> None:
    mine = Preset(id="blue-ink", name="Blue ink", kind="style", text="blue ink wash, paper grain")
    async with fake_app(tmp_path) as app:
        await app.prompts.add_preset(mine)
        written = await app.prompts.enhance(FOX, model="sdxl", presets=["Blue ink"])
        assert "blue ink wash" in written.prompt and written.presets == ("style:blue-ink",)
        with pytest.raises(BadRecipe, match="kind cannot be 'option'"):
            await app.prompts.add_preset(mine.but(kind="option"))
        assert await app.prompts.remove_preset("style", "blue-ink")
        assert not await app.prompts.remove_preset("style", "blue-ink")
        with pytest.raises(NotFound):
            await app.prompts.enhance(FOX, presets=["Blue ink"])


async def test_an_entry_of_the_history_is_deleted_once(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        await app.prompts.enhance(FOX, model="flux")
        (entry,) = (await app.prompts.history(HistoryQuery(query="foxes"))).entries
        assert await app.prompts.forget(entry.id) == entry
        with pytest.raises(NotFound, match="no prompt"):
            await app.prompts.forget(entry.id)


async def test_a_picture_is_drawn_from_the_wording_and_judged_by_the_users_words(tmp_path: Path) -> None:
    engine, judge = FakeEngine(), FakeJudge(scores=[0.1, 0.9])
    async with fake_app(tmp_path, engine=engine, judge=judge) as app:
        recipe = Recipe(prompt=FOX, presets=("style:watercolor",), enhance=True)
        job = await app.studio.wait((await app.studio.submit(recipe)).id, 20)
        again = await app.studio.wait((await app.studio.regenerate(job.item_ids[0])).id, 20)
        item = await app.gallery.find(job.item_ids[0])
    assert job.state == again.state == "succeeded", job.fault
    assert job.written is not None and job.written.words == FOX
    assert all("watercolo" in drawn.prompt.lower() for drawn in engine.recipes)
    assert set(judge.prompts) == {FOX} and item.prompt == FOX
    assert engine.recipes[1].prompt == engine.recipes[2].prompt  # what was kept is what is drawn again
    assert again.written is None


async def test_a_preset_that_is_none_is_refused_before_there_is_a_job(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        with pytest.raises(NotFound, match="preset"):
            await app.studio.submit(Recipe(prompt=FOX, presets=("watercolr-ish thing",)))
        assert await app.studio.history(5) == []


async def test_a_negative_prompt_given_anew_takes_the_place_of_the_old_one_in_what_is_drawn(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        recipe = Recipe(prompt=FOX, negative="fog, rain", presets=("style:watercolor",))
        first = await app.studio.wait((await app.studio.submit(recipe)).id, 20)
        other = await app.studio.regenerate(first.item_ids[0], negative="hail")
        again = await app.studio.wait(other.id, 20)
    before, after = (drawn.negative.split(", ") for drawn in engine.recipes)
    assert before[:2] == ["fog", "rain"] and after == ["hail", *before[2:]] and len(after) > 1
    assert engine.recipes[0].prompt == engine.recipes[1].prompt and again.recipe.negative == "hail"


async def test_a_preset_that_a_language_model_took_nothing_of_is_added_and_told(tmp_path: Path) -> None:
    async with FakeLLM() as fake, LLMClient(fake.url, "qwen3:4b", dialect="ollama") as model:
        fake.say('{"prompt": "Two red foxes cross deep snow.", "negative": "", "said": ""}')
        fake.say('{"prompt": "two red foxes, snow, transparent watercolor wash, paper grain", "negative": ""}')
        fake.say('{"prompt": "two red foxes, snow, sharp", "negative": "", "said": ""}')
        async with fake_app(tmp_path, writers=[model]) as app:
            told = await app.prompts.enhance(FOX, model="flux", presets=["watercolor"])
            kept = await app.prompts.enhance(FOX, model="sdxl", presets=["watercolor"])
            tags = await app.prompts.enhance(FOX, model="sdxl", presets=["watercolor"])
        assert len(fake.asked) == 3
    assert told.prompt.startswith("Two red foxes cross deep snow. ") and "watercolor" in told.prompt.lower()
    assert told.notes == ("qwen3:4b took up nothing of Watercolor: that was added.",) and told.by == "qwen3:4b"
    assert kept.notes == () and tags.notes == told.notes and "watercolor" in tags.prompt


async def test_a_style_that_names_a_preset_is_taken_up_as_one(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        for style in ("Oil painting", "anime", "no such style"):
            await app.studio.wait((await app.studio.submit(Recipe(prompt=FOX, style=style))).id, 20)
        jobs = await app.studio.history(3)
    assert [job.recipe.presets for job in reversed(jobs)] == [("style:oil-painting",), (), ()]
    assert "oil painting" in engine.recipes[0].prompt and [one.prompt for one in engine.recipes[1:]] == [FOX, FOX]


async def test_free_words_are_told_by_themselves_and_are_no_preset(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        built = await app.prompts.build("a fox", style="ink on rice paper", lighting="golden hour", model="sdxl")
    assert "took up ink on rice paper" in {change.what for change in built.changes}
    assert built.presets == ("lighting:golden-hour",)


@pytest.mark.parametrize("useless", ['{"prompt": "a nude woman"}', "I'm sorry, I can't help with that."])
async def test_when_an_answer_is_of_no_use_the_next_language_model_is_asked(tmp_path: Path, useless: str) -> None:
    async with (
        FakeLLM() as fake,
        LLMClient(fake.url, "qwen3:4b", dialect="ollama") as first,
        LLMClient(fake.url, "llama3.2", dialect="ollama") as second,
        fake_app(tmp_path, writers=[first, second]) as app,
    ):
        fake.answer = lambda asked: useless if asked.model == "qwen3:4b" else f"{FOX}, in soft light"
        written = await app.prompts.enhance(FOX, model="sdxl")
        with pytest.raises(ServiceFailed, match="qwen3"):
            await app.prompts.enhance(FOX, model="sdxl", writer="qwen3:4b")
        fake.answer = lambda asked: useless
        rules = await app.prompts.enhance(FOX, model="sdxl")
    assert written.by == "llama3.2" and "soft light" in written.prompt
    assert len(written.notes) == 1 and written.notes[0].startswith("qwen3:4b ")
    assert rules.by == "rules" and rules.notes[0].startswith("The rules wrote this. qwen3:4b ")


async def test_while_a_prompt_is_written_for_a_picture_its_words_are_told_and_no_empty_ones(
    tmp_path: Path,
) -> None:
    heard: list[str] = []
    async with FakeLLM() as fake, LLMClient(fake.url, "qwen3:4b", dialect="ollama") as model:
        text = '{"prompt": "Two red foxes cross the snow.", "negative": ""}'
        fake.say(text, pieces=['{"pro', 'mpt": "', "Two red foxes", ' cross the snow.", "negative": ""}'])
        async with fake_app(tmp_path, engine=FakeEngine(), writers=[model]) as app:
            gate = fake.hold()
            job = await app.studio.submit(Recipe(prompt=FOX, enhance=True))
            await gate.reached.wait()
            ended = asyncio.create_task(app.studio.wait(job.id, 20, lambda progress: heard.append(progress.message)))
            gate.go.set()
            assert (await ended).state == "succeeded"
    told = [message for message in heard if message.startswith("Writing the prompt")]
    assert told[0] == "Writing the prompt" and told[-1] == "Writing the prompt: Two red foxes cross the snow."


async def test_a_second_try_that_keeps_the_words_is_taken_as_it_is(tmp_path: Path) -> None:
    first = Scripted("first", [ServiceUnavailable("first is down."), '{"prompt": "Two red foxes cross the snow."}'])
    second = Scripted("second", ['{"prompt": "A red animal in the snow."}'])
    async with fake_app(tmp_path, writers=[first, second]) as app:
        written = await app.prompts.enhance(FOX, model="flux")
    assert (written.prompt, written.by) == ("Two red foxes cross the snow.", "first")
    assert not any("left out" in note for note in written.notes)
