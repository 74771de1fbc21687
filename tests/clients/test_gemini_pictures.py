"""Pictures by Google's models through google-genai itself, against a stand-in on a real socket."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clients import _usage
from clients.gemini_client import GeminiClient
from clients.gemini_engine import GeminiEngine
from tests.fake_gemini import DRAWERS, KEY, MODELS, FakeGemini, gemini_error, picture
from workflows.errors import AccessDenied, ModelMissing, RateLimited, Refused, RenderFailed, ServiceFailed, StudioError
from workflows.ports import Engine
from workflows.types import Artifact, Control, LoraUse, Media, Recipe, Reference, RenderStep, Ticket

FOX = Recipe(prompt="a fox", width=1344, height=768, steps=1, cfg=1.0, seed=2**31 + 5, engine="gemini")
DEFAULT = "gemini-3.1-flash-image"
PRO = "gemini-3-pro-image"
IMAGEN = "imagen-4.0-generate-001"
TICKET = Ticket(id="0b7e1c1e-0000-4000-8000-000000000001")
AGAIN = Ticket(id=TICKET.id, again=True)
SQUARE = Media(data=picture("1:1"), media_type="image/png")
TALL = Media(data=picture("9:16"), media_type="image/png")


@pytest.fixture
async def fake() -> AsyncIterator[FakeGemini]:
    async with FakeGemini({**MODELS, **DRAWERS}) as fake:
        yield fake


def engine_of(fake: FakeGemini, home: Path, key: str | None = KEY, **how: Any) -> GeminiEngine:
    return GeminiEngine(api_key=key, home=home, base_url=fake.url, read_seconds=10, **how)


@pytest.fixture
async def engine(fake: FakeGemini, tmp_path: Path) -> AsyncIterator[GeminiEngine]:
    async with engine_of(fake, tmp_path) as engine:
        yield engine


async def drawn(
    engine: Engine, recipe: Recipe = FOX, inputs: Mapping[str, Media] | None = None, ticket: Ticket = TICKET
) -> Artifact:
    [artifact] = await engine.render(recipe, inputs or {}, lambda _: None, ticket)
    return artifact


async def test_a_picture_is_asked_for_in_the_recipes_shape(fake: FakeGemini, engine: GeminiEngine) -> None:
    steps: list[RenderStep] = []
    [artifact] = await engine.render(FOX, {}, steps.append, TICKET)
    [asked] = fake.asked
    assert asked["contents"] == [{"role": "user", "parts": [{"text": "a fox"}]}]
    assert asked["generationConfig"] == {
        "candidateCount": 1,
        "responseModalities": ["IMAGE"],
        "seed": 5,
        "imageConfig": {"aspectRatio": "16:9", "imageSize": "1K"},
    }
    assert artifact.media == Media(data=picture("16:9"), media_type="image/png")
    assert (artifact.width, artifact.height, artifact.seed, artifact.model) == (128, 72, FOX.seed, DEFAULT)
    assert [(step.step, step.steps) for step in steps] == [(0, 1), (1, 1)]


async def test_a_larger_model_is_asked_for_the_size_that_holds_the_recipes(
    fake: FakeGemini, engine: GeminiEngine
) -> None:
    await drawn(engine, FOX.but(model=PRO, width=2048, height=2048))
    assert fake.asked[0]["generationConfig"]["imageConfig"] == {"aspectRatio": "1:1", "imageSize": "2K"}


async def test_an_edit_shows_the_source_first_and_then_the_references(fake: FakeGemini, engine: GeminiEngine) -> None:
    recipe = FOX.but(task="img2img", source="a", denoise=0.7, references=(Reference(image="b"),))
    await drawn(engine, recipe, {"reference_1": TALL, "source": SQUARE})
    parts = fake.asked[0]["contents"][0]["parts"]
    sent = [base64.urlsafe_b64decode(part["inlineData"]["data"]) for part in parts[:-1]]
    assert sent == [SQUARE.data, TALL.data]
    assert parts[-1] == {"text": "a fox"}


async def test_what_was_used_is_told(fake: FakeGemini, engine: GeminiEngine) -> None:
    with _usage.counting() as usage:
        await drawn(engine)
    assert usage == _usage.Usage(
        units={"requests": 1.0, "input_tokens": 12.0, "output_tokens": 7.0, "images": 1.0}, model=DEFAULT
    )


async def test_words_tell_their_tokens_too(fake: FakeGemini) -> None:
    async with GeminiClient("gemini-3-flash", api_key=KEY, base_url=fake.url) as client:
        with _usage.counting() as usage:
            await client.complete("a fox")
            await client.describe(SQUARE)
    assert usage.units == {"requests": 2.0, "input_tokens": 24.0, "output_tokens": 14.0}


async def test_what_was_drawn_before_a_crash_is_not_paid_again(fake: FakeGemini, tmp_path: Path) -> None:
    async with engine_of(fake, tmp_path) as engine:
        first = await drawn(engine)
    async with engine_of(fake, tmp_path) as engine:
        assert (await drawn(engine, ticket=AGAIN)).media == first.media
        assert len(fake.asked) == 1
        await drawn(engine, FOX.but(prompt="a cat"), ticket=AGAIN)
        await drawn(engine)
    assert len(fake.asked) == 3


async def test_a_stop_says_that_it_may_cost(fake: FakeGemini, engine: GeminiEngine) -> None:
    gate = fake.hold()
    task = asyncio.create_task(drawn(engine))
    async with asyncio.timeout(10):
        await gate.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError, match="may charge"):
            await task
        await gate.gone.wait()


async def test_what_google_will_not_draw_is_refused_without_its_words(fake: FakeGemini, engine: GeminiEngine) -> None:
    fake.draw(block="SAFETY")
    with pytest.raises(Refused, match=r"SAFETY.+Ask for something else") as refused:
        await drawn(engine)
    assert "fox" not in str(refused.value)


@pytest.mark.parametrize("end", ["IMAGE_SAFETY", "SAFETY", "PROHIBITED_CONTENT", "IMAGE_RECITATION"])
async def test_a_picture_that_is_held_back_is_refused(fake: FakeGemini, engine: GeminiEngine, end: str) -> None:
    fake.draw(end=end)
    with pytest.raises(Refused, match=end):
        await drawn(engine)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"text": "I only draw cats."}, r"drew nothing, and said: I only draw cats\."),
        ({"end": "NO_IMAGE"}, r"drew nothing \(NO_IMAGE\)"),
        ({"picture": picture("1:1")[:60]}, "no picture"),
    ],
)
async def test_a_reply_without_a_picture_says_why(
    fake: FakeGemini, engine: GeminiEngine, how: dict[str, Any], words: str
) -> None:
    fake.draw(**how)
    with pytest.raises(RenderFailed, match=words):
        await drawn(engine)


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (503, gemini_error(503, "UNAVAILABLE", "Overloaded."), ServiceFailed, "answered 503"),
        (
            429,
            gemini_error(429, "RESOURCE_EXHAUSTED", "Quota.", {"retryDelay": "17s"}),
            RateLimited,
            "in 17 s",
        ),
        (403, gemini_error(403, "PERMISSION_DENIED", "No."), AccessDenied, "GEMINI_API_KEY"),
    ],
)
async def test_refused_requests_say_what_to_do(
    fake: FakeGemini, engine: GeminiEngine, status: int, body: dict[str, Any], error: type[StudioError], words: str
) -> None:
    fake.refuse(status, body)
    with pytest.raises(error, match=words) as told:
        await drawn(engine)
    assert engine.passes(told.value) is (status == 503)
    assert len(fake.paths) == 1


async def test_a_missing_model_names_those_that_draw(fake: FakeGemini, engine: GeminiEngine) -> None:
    with pytest.raises(ModelMissing, match=r"no model 'gemini-3-pro-images'.+gemini-3-pro-image"):
        await drawn(engine, FOX.but(model="gemini-3-pro-images"))


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (FOX.but(engine="auto"), 'costs money: ask for engine "gemini", or set ATELIER_CLOUD=true'),
        (FOX.but(model="gemini-3-flash"), "draws nothing with 'gemini-3-flash'.+gemini-3.1-flash-image"),
        (FOX.but(model="sdxl.safetensors"), "draws nothing with"),
        (FOX.but(task="txt2vid"), "does txt2img and img2img, and not txt2vid"),
        (FOX.but(model=IMAGEN), "Enterprise platform only"),
        (FOX.but(controls=(Control(kind="canny"),)), "knows nothing of control pictures"),
        (FOX.but(loras=(LoraUse(name="x"),)), "knows nothing of LoRAs"),
    ],
)
async def test_refusals_say_how(engine: GeminiEngine, recipe: Recipe, words: str) -> None:
    reason = await engine.refusal(recipe)
    assert reason is not None
    assert re.search(words, reason), reason


async def test_without_a_key_it_says_so_everywhere(fake: FakeGemini, tmp_path: Path) -> None:
    engine = engine_of(fake, tmp_path, key=None)
    with pytest.raises(AccessDenied, match="set GEMINI_API_KEY"):
        await engine.refusal(FOX)
    assert (await engine.status()).set_up is False
    assert "GEMINI_API_KEY" in (await engine.status()).detail
    assert await engine.models() == ()
    with pytest.raises(AccessDenied) as denied:
        await drawn(engine)
    assert denied.value.setting == "GEMINI_API_KEY"


async def test_the_owner_may_let_auto_choose_it(fake: FakeGemini, tmp_path: Path) -> None:
    async with engine_of(fake, tmp_path, allowed=True) as engine:
        assert await engine.refusal(FOX.but(engine="auto")) is None
        assert "may choose it" in (await engine.status()).detail
        profile = await engine.profile(FOX)
    assert (profile.name, profile.title, profile.negatives) == ("unknown", "Gemini 3.1 Flash Image", False)
    assert {one.kind for one in await engine.models()} == {"cloud"}
