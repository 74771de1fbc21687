"""The tools for words, over MCP: shapes, progress, errors, completions; conversations that do not mix."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp_types import PromptReference

from clients.llm_client import LLMClient
from tests.fake_llm import FakeLLM
from tests.mcp.desk import ERAS, Era, desk

both_eras = pytest.mark.parametrize("era", ERAS)
FOX = "two red foxes in the snow"


@both_eras
async def test_a_prompt_is_enhanced_and_the_users_words_stay_told_apart(era: Era, tmp_path: Path) -> None:
    async with desk(tmp_path, era) as at:
        answer = await at.ask("enhance_prompt", prompt=FOX, model="pony", preset="cinematic, mood:epic")
    assert answer["prompt"].startswith("score_9") and answer["words"] == FOX and answer["by"] == "rules"
    assert answer["family"] == "pony" and answer["negative_prompt"]
    assert {"style:cinematic", "mood:epic"} <= set(answer["presets"])
    assert all({"what", "why"} == set(change) for change in answer["changes"])


async def test_a_prompt_is_built_refined_searched_and_forgotten(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        built = await at.ask("build_prompt", subject="a fox", setting="a forest", lighting="golden hour", model="flux")
        first = await at.ask("refine_prompt", message="a lighthouse", model="sdxl")
        second = await at.ask("refine_prompt", message="add a boat", conversation_id=first["conversation_id"])
        found = await at.ask("prompt_history", query="boat")
        gone = await at.ask("prompt_history", delete=found["prompts"][0]["id"])
        after = await at.ask("prompt_history")
        twice = await at.refused("prompt_history", delete=found["prompts"][0]["id"])
    assert built["words"] == "a fox in a forest"
    assert second["turn"] == 2 and "boat" in second["prompt"] and second["reply"]
    assert [row["input"] for row in found["prompts"]] == ["add a boat"] and gone["deleted"]["input"] == "add a boat"
    assert [row["mode"] for row in after["prompts"]] == ["chat", "build"]
    assert "There is no prompt" in twice


async def test_the_words_of_a_language_model_come_as_progress(tmp_path: Path) -> None:
    told: list[str | None] = []
    heard = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)
        heard.set()

    async with FakeLLM() as fake, LLMClient(fake.url, "qwen3:4b", dialect="ollama") as model:
        gate = fake.hold(after=4)
        fake.say('{"prompt": "Two red foxes cross the deep snow.", "negative": "", "said": ""}')
        async with desk(tmp_path, writers=[model]) as at:
            arguments: dict[str, Any] = {"prompt": FOX, "model": "flux"}
            call = asyncio.create_task(at.client.call_tool("enhance_prompt", arguments, progress_callback=hear))
            await gate.reached.wait()
            await heard.wait()
            gate.go.set()
            answer = (await call).structured_content
    assert answer is not None and answer["by"] == "qwen3:4b"
    assert told[0] and answer["prompt"].startswith(told[0])


async def test_negatives_and_findings_follow_the_family(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        read = await at.ask("suggest_negative")
        unread = await at.ask("suggest_negative", model_type="flux")
        findings = await at.ask("analyze_prompt", prompt="(masterpiece:1.4), a fox, no people", model="flux")
        wrong = await at.refused("suggest_negative", model_type="pnoy")
    assert read["used"] and read["negative_prompt"] and read["family"] == "sd15"
    assert not unread["used"] and unread["negative_prompt"] == "" and unread["why"]
    assert findings["family"] == "flux-dev" and len(findings["problems"]) >= 2
    assert "Did you mean pony" in wrong


async def test_presets_are_listed_level_by_level(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        every = await at.ask("list_presets")
        styles = await at.ask("list_presets", category="style")
        types = await at.ask("list_presets", category="photography")
        artists = await at.ask("list_presets", category="photography", type="portrait")
        packs = await at.ask("list_presets", category="packs")
        wrong = await at.refused("list_presets", category="photograhpy")
    assert every["total"] >= 80 and len(every["packs"]) >= 9 and "adult" not in every["categories"]
    assert styles["total"] == len(every["style"]) and styles["presets"][0]["text"]
    assert types["total"] >= 3 and artists["total"] >= 3 and artists["artists"][0]["technical"]
    assert packs["packs"][0]["path"].startswith("pack:")
    assert "photography" in wrong


async def test_a_picture_is_made_with_a_preset_and_says_how_it_was_worded(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        made = await at.ask("generate_image", prompt=FOX, preset="watercolor", enhance=True)
        info = await at.ask("get_image_info", image_name=made["image_id"])
        wrong = await at.refused("generate_image", prompt=FOX, preset="watercolr-like")
    assert "watercolo" in made["wording"]["prompt"].lower() and made["wording"]["changes"]
    assert info["prompt"] == FOX
    assert "There is no preset" in wrong


async def test_presets_artists_and_styles_are_completed_as_one_types(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        said: dict[str, list[str]] = {}
        for name, typed in (("style", "Cin"), ("preset", "mood:"), ("artist", "ansel"), ("model", "aut")):
            ref = PromptReference(type="ref/prompt", name="write_prompt")
            found = await at.client.complete(ref, {"name": name, "value": typed})
            said[name] = list(found.completion.values)
        for name, typed in (("preset", "style:anime, wat"), ("artist", "leib"), ("preset", "epic"), ("model", "flux-")):
            ref = PromptReference(type="ref/prompt", name="write_prompt")
            found = await at.client.complete(ref, {"name": name, "value": typed})
            said[typed] = list(found.completion.values)
        prompt = await at.client.get_prompt("write_prompt", {"subject": "a fox", "style": "cinematic"})
    assert "Cinematic" in said["style"] and "mood:epic" in said["preset"]
    assert said["artist"] == ["Ansel Adams"] and said["model"] == ["auto"]
    assert "style:anime, Watercolor" in said["style:anime, wat"] and said["leib"] == ["Annie Leibovitz"]
    assert "mood:epic" in said["epic"] and "flux-dev" in said["flux-"]
    assert "style='cinematic'" in str(prompt.messages[0])


async def test_presets_are_listed_under_the_names_that_people_write(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        asked = {
            name: await at.ask("list_presets", category=name)
            for name in (
                "style",
                "Styles",
                "Mood",
                "Option",
                "Photography/Portrait",
                "photography/portrait/irving-penn",
            )
        }
        penn = await at.ask("list_presets", category="photography", type="portrait/Irving Penn")
        none = await at.refused("list_presets", category="all")
        alone = await at.refused("list_presets", type="portrait")
        wrong = await at.refused("list_presets", category="style", type="portrait")
    assert asked["Styles"] == asked["style"] and asked["Option"]["total"] >= 6
    assert [group["id"] for group in asked["Mood"]["groups"]] == ["mood"]
    assert asked["Photography/Portrait"]["type"]["path"] == "photography/portrait"
    assert penn == asked["photography/portrait/irving-penn"]
    assert penn["groups"][0]["options"][0]["path"].startswith("photography/portrait/irving-penn/")
    assert "There are: style, artist, composition, lighting, options, packs, anime" in none
    assert "There is no category 'portrait'" in alone
    assert wrong == "type cannot be 'portrait': style has no types: leave it out."


async def test_a_picture_made_again_tells_the_wording_that_it_is_drawn_from(tmp_path: Path) -> None:
    many = ", ".join(["watercolor"] * 21)
    async with desk(tmp_path) as at:
        made = await at.ask("generate_image", prompt=FOX, preset=many)
        again = await at.ask("regenerate", image_id=made["image_id"])
        styles = (await at.ask("list_presets"))["style"][:21]
        wrong = await at.refused("generate_image", prompt=FOX, preset=",".join(styles))
    assert again["wording"] == {name: made["wording"].get(name) for name in again["wording"]}
    assert again["wording"]["prompt"] == made["wording"]["prompt"]
    assert wrong == "preset cannot be '21 presets': at most 20 go together; a few say more."


async def test_a_negative_prompt_is_suggested_for_a_long_prompt_too(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        answer = await at.ask("suggest_negative", model_type="sdxl", prompt=f"{FOX}, {'very ' * 200}quiet")
    assert answer["used"] and answer["negative_prompt"]
