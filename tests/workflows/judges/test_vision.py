"""The vision judge over a scripted model: verdicts, advice, silence after a failure, and no question asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from clients.llm_client import LLMClient
from tests.fake_vision import FakeVision
from tests.fakes import PROFILE, png
from workflows.errors import AccessDenied, ExtraMissing, RateLimited, ServiceUnavailable
from workflows.judges.vision import VisionJudge
from workflows.ports import Judge, VisionModel
from workflows.types import Advice, Media, Recipe, Verdict

WISH = Recipe.checked(prompt="three red stars to the left of a cat")
RIGHT = {"stars in": "yes", "How many": "3", "stars red": "yes", "cat in": "yes", "to": "yes"}


def picture(number: int = 0) -> Media:
    return Media(data=png(8, 8, (number, 0, 0)), media_type="image/png")


@dataclass(kw_only=True)
class Model:
    """Answers by the first key that is in a question, pictures of another red by their own; `errors` are raised first.

    `gate` holds every answer until it is set.
    """

    sees: Mapping[str, str] = field(default_factory=dict[str, str])
    others: Mapping[bytes, Mapping[str, str]] = field(default_factory=dict[bytes, Mapping[str, str]])
    errors: list[Exception] = field(default_factory=list[Exception])
    gate: asyncio.Event | None = None
    name: str = "fake-vl"
    calls: list[tuple[bytes, Sequence[str]]] = field(default_factory=list[tuple[bytes, Sequence[str]]])
    at_once: int = 0
    most_at_once: int = 0

    async def answer(self, picture: Media, questions: Sequence[str]) -> Sequence[str]:
        self.calls.append((picture.data, questions))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await (self.gate.wait() if self.gate else asyncio.sleep(0))
        finally:
            self.at_once -= 1
        if self.errors:
            raise self.errors.pop(0)
        sees = self.others.get(picture.data, self.sees)
        return [next((answer for words, answer in sees.items() if words in question), "") for question in questions]

    async def describe(self, picture: Media) -> str:
        return "A picture."


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


async def verdict_of(model: Model, wish: Recipe = WISH) -> Verdict:
    [verdict] = await VisionJudge(model).judge([picture()], wish, PROFILE)
    return verdict


def test_the_ports_fit() -> None:
    model: VisionModel = Model()
    judge: Judge = VisionJudge(model)
    assert judge.name == "vision"


async def test_a_picture_that_shows_all_facts_passes() -> None:
    facts = ("stars", "three stars", "red stars", "a cat")
    verdict = await verdict_of(Model(sees=RIGHT))
    relation = next(atom for atom in verdict.atoms if atom not in facts)
    assert verdict == Verdict(
        judge="vision",
        passed=True,
        score=1.0,
        merit=1.0,
        reason="All 5 facts asked about are there",
        measures={"asked": 5.0, "met": 5.0, "unknown": 0.0},
        atoms=dict.fromkeys((*facts, relation), 1.0),
    )


async def test_what_is_missed_is_named_with_what_was_seen_and_what_to_do() -> None:
    verdict = await verdict_of(Model(sees=RIGHT | {"How many": "There are 2 stars.", "stars red": "No, blue."}))
    assert verdict.passed is False
    assert verdict.reason == "Not as asked: 2 stars instead of 3; blue stars instead of red"
    assert (verdict.score, verdict.merit) == (0.6, 0.3)
    assert verdict.atoms["three stars"] == 0.0
    assert verdict.advice == (
        Advice(cause="count", emphasise=("three red stars",), say=("exactly three stars",)),
        Advice(cause="attribute", emphasise=("red stars",), say=("the stars are red",), avoid=("blue stars",)),
    )


async def test_a_thing_that_is_not_there_gives_one_advice_and_not_one_for_all_its_facts() -> None:
    verdict = await verdict_of(Model(sees=RIGHT | {"stars in": "no", "How many": "0"}))
    assert verdict.reason == "Not as asked: no stars"
    assert verdict.advice == (Advice(cause="subject", emphasise=("red stars",), say=("stars in plain view",)),)
    assert [value for value in verdict.atoms.values()] == [0.0, 0.0, 0.0, 1.0, 0.0]


async def test_a_relation_alone_costs_score_but_not_the_pass() -> None:
    verdict = await verdict_of(Model(sees=RIGHT | {"to": "no, to the right"}))
    assert (verdict.passed, verdict.score, verdict.merit) == (True, 0.8, 0.9)
    assert verdict.reason.startswith("There is what was asked for, but not three red stars to")
    assert [advice.cause for advice in verdict.advice] == ["relation"]


async def test_what_cannot_be_told_is_left_out_of_the_score_and_counts_less_than_what_was_seen() -> None:
    verdict = await verdict_of(Model(sees=RIGHT | {"How many": "I cannot tell"}))
    assert (verdict.passed, verdict.score, verdict.merit) == (True, 1.0, 0.9)
    assert verdict.reason == "All 4 facts asked about are there (1 could not be told)"
    assert "three stars" not in verdict.atoms
    assert verdict.measures["unknown"] == 1


async def test_a_model_that_can_tell_nothing_judges_nothing() -> None:
    verdict = await verdict_of(Model(sees={"": "cannot tell: Gemini blocked the picture (SAFETY)"}))
    assert verdict.passed is None
    assert verdict.score is None
    assert verdict.reason.startswith("Not judged: fake-vl could not tell (")
    assert "SAFETY" in verdict.reason


async def test_only_a_relation_that_is_not_met_is_no_pass() -> None:
    verdict = await verdict_of(Model(sees={"to": "no"}))
    assert verdict.passed is False


async def test_a_prompt_that_states_nothing_is_not_judged() -> None:
    model = Model(sees=RIGHT)
    verdict = await verdict_of(model, Recipe.checked(task="upscale", source="key"))
    assert verdict.reason == "Not judged: the prompt states nothing that could be asked about"
    assert (verdict.passed, model.calls) == (None, [])


@pytest.mark.parametrize(
    "media",
    [Media(data=b"....ftypisom", media_type="video/mp4"), Media(data=b"\x89PNG broken", media_type="image/png")],
)
async def test_what_is_no_picture_is_not_judged_and_harms_no_other(media: Media) -> None:
    async with FakeVision(sees=RIGHT) as fake, LLMClient(fake.url, "gemma3:4b", dialect="ollama") as client:
        broken, whole = await VisionJudge(client).judge([media, picture()], WISH, PROFILE)
    assert broken.passed is None
    assert broken.reason.startswith("Not judged: ")
    assert whole.passed is True


async def test_the_same_picture_and_prompt_are_not_asked_about_twice() -> None:
    model = Model(sees=RIGHT)
    judge = VisionJudge(model, at_once=4)
    first = await judge.judge([picture(1), picture(1), picture(2)], WISH, PROFILE)
    again = await judge.judge([picture(2), picture(1)], WISH, PROFILE)
    assert len(model.calls) == 2
    assert [verdict.passed for verdict in (*first, *again)] == [True] * 5
    await judge.judge([picture(1)], WISH.but(prompt="two red stars"), PROFILE)
    assert len(model.calls) == 3


async def test_each_picture_gets_its_own_verdict_in_order() -> None:
    model = Model(sees=RIGHT, others={picture(2).data: RIGHT | {"How many": "2"}})
    verdicts = await VisionJudge(model, at_once=4).judge([picture(n) for n in (1, 2, 3)], WISH, PROFILE)
    assert [verdict.passed for verdict in verdicts] == [True, False, True]


@pytest.mark.parametrize(("at_once", "most"), [(1, 1), (4, 4)])
async def test_no_more_pictures_are_asked_about_at_once_than_the_model_takes(at_once: int, most: int) -> None:
    model = Model(sees=RIGHT, gate=asyncio.Event())
    judge = VisionJudge(model, at_once=at_once)
    judging = asyncio.create_task(judge.judge([picture(n) for n in range(6)], WISH, PROFILE))
    async with asyncio.timeout(10):
        while model.at_once < most:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert model.gate is not None
    model.gate.set()
    assert [verdict.passed for verdict in await judging] == [True] * 6
    assert model.most_at_once == most


@pytest.mark.parametrize(
    "error",
    [
        ServiceUnavailable("Ollama at http://x could not be reached."),
        AccessDenied("Set GEMINI_API_KEY.", "GEMINI_API_KEY"),
        ExtraMissing("gemini", "The vision model"),
    ],
)
async def test_a_service_that_fails_is_told_and_left_alone_for_a_minute(error: Exception) -> None:
    clock, model = Clock(), Model(sees=RIGHT, errors=[error])
    judge = VisionJudge(model, clock=clock)
    verdicts = await judge.judge([picture(1), picture(2)], WISH, PROFILE)
    assert [verdict.passed for verdict in verdicts] == [None, None]
    assert verdicts[0].reason == f"Not judged: {error}"
    assert verdicts[1].reason == f"Not judged: {error} (not asked again for 60 s)"
    clock.now += 59.9
    [later] = await judge.judge([picture(3)], WISH, PROFILE)
    assert later.passed is None
    assert len(model.calls) == 1
    clock.now += 0.2
    [back] = await judge.judge([picture(3)], WISH, PROFILE)
    assert back.passed is True


async def test_a_service_that_says_when_is_asked_again_then() -> None:
    clock, model = Clock(), Model(sees=RIGHT, errors=[RateLimited("Later.", retry_after=7)])
    judge = VisionJudge(model, clock=clock)
    await judge.judge([picture()], WISH, PROFILE)
    clock.now += 6
    [waiting] = await judge.judge([picture()], WISH, PROFILE)
    clock.now += 1
    [back] = await judge.judge([picture()], WISH, PROFILE)
    assert (waiting.passed, back.passed) == (None, True)


async def test_what_is_known_already_is_told_while_the_service_is_down() -> None:
    model = Model(sees=RIGHT)
    judge = VisionJudge(model)
    await judge.judge([picture(1)], WISH, PROFILE)
    model.errors.append(ServiceUnavailable("Down."))
    await judge.judge([picture(2)], WISH, PROFILE)
    [known] = await judge.judge([picture(1)], WISH, PROFILE)
    assert known.passed is True


async def test_a_cancelled_judgement_ends_the_question_and_is_no_failure_of_the_service() -> None:
    model = Model(sees=RIGHT, gate=asyncio.Event())
    judge = VisionJudge(model)
    judging = asyncio.create_task(judge.judge([picture()], WISH, PROFILE))
    async with asyncio.timeout(10):
        while not model.at_once:  # noqa: ASYNC110
            await asyncio.sleep(0)
    judging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await judging
    assert model.at_once == 0
    model.gate = None
    [verdict] = await judge.judge([picture()], WISH, PROFILE)
    assert verdict.passed is True


async def test_over_a_real_socket_a_batch_is_judged_one_after_another() -> None:
    async with FakeVision(sees=RIGHT) as fake, LLMClient(fake.url, "gemma3:4b", dialect="ollama") as client:
        judge = VisionJudge(client, client.at_once)
        verdicts = await judge.judge([picture(n) for n in range(3)], WISH, PROFILE)
        await fake.stop()
        [down] = await judge.judge([picture(9)], WISH, PROFILE)
    assert [verdict.passed for verdict in verdicts] == [True, True, True]
    assert fake.most_at_once == 1
    assert down.passed is None
    assert "ollama serve" in down.reason
