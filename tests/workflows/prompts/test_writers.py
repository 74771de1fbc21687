"""Several language models as one: who is asked, who rests, and what is raised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from workflows.errors import ModelMissing, ServiceTimedOut, ServiceUnavailable
from workflows.prompts.writers import FAILURES, REST_SECONDS, Answered, Writers
from workflows.types import Message

HELLO = [Message(role="user", content="a fox")]


@dataclass
class Scripted:
    """The ChatModel port over a list of replies; an error among them is raised."""

    name: str
    replies: list[str | Exception]
    asked: list[Sequence[Message]] = field(default_factory=list[Sequence[Message]])
    models: tuple[str, ...] = ()

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        return await self.chat([Message(role="user", content=prompt)], schema)

    async def chat(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listener: Callable[[str], None] | None = None,
    ) -> str:
        self.asked.append(messages)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if listener is not None:
            for letter in reply:
                listener(letter)
        return reply

    async def installed(self) -> Sequence[str]:
        if not self.models:
            raise ServiceUnavailable(f"{self.name} is down.")
        return self.models


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def down(name: str = "it") -> ServiceUnavailable:
    return ServiceUnavailable(f"{name} is down.")


async def test_the_first_model_that_answers_is_taken_and_the_failures_before_it_are_told() -> None:
    first, second = Scripted("first", [down("first")]), Scripted("second", ["a red fox"])
    answered = await Writers(models=[first, second]).ask(HELLO)
    assert answered == Answered(text="a red fox", by="second", failures=("first is down.",))
    assert first.asked == second.asked == [HELLO]


async def test_when_all_fail_the_error_of_the_first_is_raised() -> None:
    models = [Scripted("first", [ServiceTimedOut("late")]), Scripted("second", [ModelMissing("no second", ["third"])])]
    with pytest.raises(ServiceTimedOut, match="late"):
        await Writers(models=models).ask(HELLO)


async def test_a_model_that_keeps_failing_rests_and_is_asked_again_afterwards() -> None:
    clock = Clock()
    first = Scripted("first", [*(down() for _ in range(FAILURES)), "back again", "and again"])
    writers = Writers(models=[first], clock=clock)
    for _ in range(FAILURES):
        with pytest.raises(ServiceUnavailable, match="is down"):
            await writers.ask(HELLO)
    with pytest.raises(ServiceUnavailable, match=r"failed 3 times and is asked again in 30 s\. The last time: it is"):
        await writers.ask(HELLO)
    assert len(first.asked) == FAILURES
    clock.now = REST_SECONDS
    assert (await writers.ask(HELLO)).text == "back again"
    assert (await writers.ask(HELLO)).text == "and again"


async def test_while_the_first_rests_the_second_answers_at_once() -> None:
    first, second = Scripted("first", [down() for _ in range(FAILURES)]), Scripted("second", ["yes"] * (FAILURES + 1))
    writers = Writers(models=[first, second], clock=Clock())
    said = [await writers.ask(HELLO) for _ in range(FAILURES + 1)]
    assert [one.by for one in said] == ["second"] * (FAILURES + 1)
    assert len(first.asked) == FAILURES and "asked again in" in said[-1].failures[0]


async def test_one_failure_among_answers_sends_nobody_to_rest() -> None:
    replies: list[str | Exception] = [down(), down(), "yes", down(), down(), "yes"]
    first = Scripted("first", replies)
    writers = Writers(models=[first], clock=Clock())
    for reply in list(replies):
        if isinstance(reply, str):
            assert (await writers.ask(HELLO)).text == reply
        else:
            with pytest.raises(ServiceUnavailable):
                await writers.ask(HELLO)


async def test_what_its_owner_has_to_mend_sends_no_model_to_rest() -> None:
    replies: list[str | Exception] = [ModelMissing("ollama pull it")] * (FAILURES + 1)
    first = Scripted("first", [*replies, "there it is"])
    writers = Writers(models=[first], clock=Clock())
    for _ in replies:
        with pytest.raises(ModelMissing):
            await writers.ask(HELLO)
    assert (await writers.ask(HELLO)).text == "there it is"


async def test_a_model_asked_by_name_is_not_replaced() -> None:
    first, second = Scripted("first", ["yes"]), Scripted("second", [down("second")])
    with pytest.raises(ServiceUnavailable, match="second is down"):
        await Writers(models=[first, second]).ask(HELLO, name="second")
    assert first.asked == []


async def test_every_model_has_a_listener_of_its_own() -> None:
    heard: list[list[str]] = []

    def begun() -> Callable[[str], None]:
        heard.append([])
        return heard[-1].append

    await Writers(models=[Scripted("first", [down()]), Scripted("second", ["fox"])]).ask(HELLO, listening=begun)
    assert heard == [[], ["f", "o", "x"]]


async def test_the_models_that_could_be_asked_are_told_the_configured_ones_first() -> None:
    there = Scripted("b", [], models=("a", "b"))
    assert await Writers(models=[Scripted("down", []), there]).installed() == ["b", "a"]
    with pytest.raises(ServiceUnavailable, match="down is down"):
        await Writers(models=[Scripted("down", [])]).installed()
    assert await Writers(models=[]).installed() == []
