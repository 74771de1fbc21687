"""The desk for words: what is written by whom, what is remembered, and what a failing language model costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.llm_client import LLMClient
from tests.fake_llm import FakeLLM
from tests.fake_models import FakeFiles, checkpoint
from tests.fakes import FakeEngine, FakeJudge, fake_app
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
