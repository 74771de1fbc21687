"""What a language model's reply is read as, whole and while it is being written."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clients._llm.dialects import is_strict
from utils.prompt_enhancer import MOST_NEGATIVE, MOST_PROMPT, MOST_SAID, SCHEMA, PromptStream, Reply, read_reply

FOX = "A red fox sits in the snow at dawn."


def test_the_schema_is_strict() -> None:
    assert is_strict(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"prompt": FOX, "negative": "blurry", "said": "Done."}),
        "```json\n" + json.dumps({"prompt": FOX, "negative": "blurry", "said": "Done."}, indent=2) + "\n```",
        "<think>The user wants {a fox}</think>" + json.dumps({"said": "Done.", "negative": "blurry", "prompt": FOX}),
        "hm, a fox </think> " + json.dumps({"prompt": f'"{FOX}"', "negative_prompt": "blurry", "reply": "Done."}),
        "Sure! " + json.dumps({"prompt": FOX, "negative": "blurry", "said": "Done."}) + " I hope you like it.",
        json.dumps(json.dumps({"prompt": FOX, "negative": "blurry", "said": "Done."})),
        json.dumps({"result": {"Prompt": FOX, "negative": ["blurry"], "said": "Done."}}),
        f'{{"prompt": "**Prompt:** {FOX}", "negative": "blurry", "said": "Done."}}{{"prompt": "a dog"}}',
        f'{{"prompt": "{FOX[:5]}\n{FOX[5:]}\u200b", "negative": "blurry", "said": "Done."}}',
        f'{{"prompt": "{FOX}", "negative": "blurry", "said": "Done."',
        "<|channel|>analysis<|message|>fox<|end|><|channel|>final<|message|>"
        + json.dumps({"prompt": FOX, "negative": "blurry", "said": "Done."}),
    ],
)
def test_json_is_read_in_every_dress(text: str) -> None:
    assert read_reply(text) == Reply(FOX, "blurry", "Done.")


@pytest.mark.parametrize(
    "text",
    [
        FOX,
        f'"{FOX}"',
        f"<think>fox?</think>\n\n{FOX}",
        f"Here is your prompt:\n\n{FOX}",
        f"Sure! Here's an enhanced version of it: {FOX}",
        f"**Enhanced Prompt:** {FOX}",
        f"### Prompt\n{FOX}",
        f"```\n{FOX}\n```",
        f"Okay, I have changed that. {FOX}",
        f"{{'prompt': '{FOX}', 'negative': ''}}",
    ],
)
def test_plain_text_is_read_without_what_stands_around_it(text: str) -> None:
    assert read_reply(text) == Reply(FOX)


def test_what_is_said_about_a_prompt_is_no_part_of_it() -> None:
    assert read_reply(f"{FOX}\n\nLet me know if it should be night.") == Reply(
        FOX, "", "Let me know if it should be night."
    )


def test_a_picture_s_parameters_are_read() -> None:
    text = "masterpiece, 1girl, solo\nNegative prompt: lowres, bad hands\nSteps: 20, Sampler: Euler a, CFG scale: 7"
    assert read_reply(text) == Reply("masterpiece, 1girl, solo", "lowres, bad hands")


def test_a_list_is_joined_and_of_options_the_first_is_taken() -> None:
    assert read_reply("- a red fox\n- snow\n- dawn light") == Reply("a red fox, snow, dawn light")
    first, second = (
        "A fox in the snow at dawn, pines all around, mist.",
        "A fox on a hill at night under a moon, quiet.",
    )
    assert read_reply(f"1. {first * 2}\n2. {second * 2}") == Reply(first * 2)


def test_a_prompt_that_is_no_text_is_made_one() -> None:
    assert read_reply('{"prompt": ["a cat", "a hat"]}') == Reply("a cat, a hat")
    assert read_reply('{"prompt": {"scene": "a park", "subjects": ["a dog", "a boy"]}}') == Reply(
        "a park, a dog, a boy"
    )


def test_loose_quotes_in_json_are_text() -> None:
    text = '{"prompt": "a sign says "OPEN" in red", "negative": "blur", "said": ""}'
    assert read_reply(text) == Reply('a sign says "OPEN" in red', "blur")


def test_a_reply_that_broke_off_keeps_its_whole_sentences() -> None:
    assert read_reply(f'{{"prompt": "{FOX} The light is wa') == Reply(FOX)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "{}",
        '{"prompt": ""}',
        '{"prompt": "..."}',
        '{"prompt": "string"}',
        '{"prompt": null, "said": "x"}',
        "<think>I think of a fox and",
        "I'm sorry, but I can't help with that.",
        "I cannot create that picture.",
        json.dumps({"prompt": "I'm sorry, I can't do that.", "negative": "", "said": ""}),
        "What kind of dog would you like?",
        "{" * 20_000,
        '{"a":' * 5_000,
    ],
)
def test_a_refusal_a_question_and_nothing_are_no_prompt(text: str) -> None:
    assert read_reply(text) is None


def test_lengths_are_bounded_at_a_sentence() -> None:
    reply = read_reply(json.dumps({"prompt": f"{FOX} " * 400, "negative": "blurry, " * 400, "said": "So. " * 900}))
    assert reply is not None
    assert MOST_PROMPT - len(FOX) - 1 <= len(reply.prompt) <= MOST_PROMPT
    assert reply.prompt.endswith("dawn.")
    assert len(reply.negative) <= MOST_NEGATIVE
    assert len(reply.said) <= MOST_SAID


def test_control_characters_markdown_and_a_chat_s_own_marks_are_taken_out() -> None:
    text = json.dumps({"prompt": "a \x07**red** `fox`\n\t in\u202e snow <br/> at dawn<|im_end|>", "negative": "none"})
    assert read_reply(text) == Reply("a red fox in snow at dawn")


def test_names_with_underscores_and_weights_stay() -> None:
    assert read_reply('{"prompt": "score_9, (red fox:1.2), long_hair"}') == Reply("score_9, (red fox:1.2), long_hair")


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(ends)]


@example(prompt="a\bb\fc", negative="", escaped=True, thoughts="", places=[1])
@given(
    prompt=st.text(max_size=120)
    | st.lists(st.sampled_from(['"', "\\", "**", "a", "\n", ". ", "😀", "é"])).map("".join),
    negative=st.text(max_size=20),
    escaped=st.booleans(),
    thoughts=st.sampled_from(["", "<think>a {fox}\n</think>\n", "Here it is: ", "```json\n"]),
    places=st.lists(st.integers(0, 2000), max_size=60),
)
def test_a_stream_ends_with_what_is_read_and_only_grows(
    prompt: str, negative: str, escaped: bool, thoughts: str, places: list[int]
) -> None:
    reply = {"prompt": prompt, "negative": negative, "said": '"prompt": "x"'}
    text = thoughts + json.dumps(reply, ensure_ascii=escaped)
    stream, read = PromptStream(), read_reply(text)
    shown = [stream.feed(piece) for piece in cut(text, places)]
    final = read.prompt if read else ""
    assert shown[-1] == final
    assert [one for one in shown if not final.startswith(one)] == []


def test_a_stream_shows_a_long_prompt_as_it_grows() -> None:
    text = json.dumps({"prompt": f"{FOX} " * 400, "negative": "", "said": ""})
    stream, read = PromptStream(), read_reply(text)
    shown = [stream.feed(letter) for letter in text]
    assert read is not None
    assert shown[100] == read.prompt[: len(shown[100])] != ""
    assert [one for one in shown if not read.prompt.startswith(one)] == []
    assert shown[-1] == read.prompt


def test_a_stream_of_plain_text_hides_thoughts_preambles_and_the_negative() -> None:
    text = f"<think>A fox.</think>Here is the prompt:\n{FOX}\nNegative prompt: blurry"
    stream = PromptStream()
    shown = [stream.feed(letter) for letter in text]
    assert [one for one in shown if not FOX.startswith(one)] == []
    assert shown[-1] == FOX


def test_a_stream_begins_anew_after_a_thought_that_had_no_beginning() -> None:
    stream = PromptStream()
    assert stream.feed("The user wants a fox, so I write of a fox in the snow, with much light") != ""
    assert stream.feed("</thi") != ""
    assert stream.feed("nk>") == ""
    assert stream.feed(FOX) == FOX


def test_a_stream_of_a_refusal_shows_nothing() -> None:
    stream = PromptStream()
    assert {stream.feed(letter) for letter in '{"prompt": "I\'m sorry, I can\'t draw that.", "said": ""}'} == {""}


@pytest.mark.parametrize("reply", ['["a red circle"]', "5", "true", "[1, 2]", "null"])
def test_json_that_is_neither_a_prompt_nor_a_text_is_no_answer(reply: str) -> None:
    assert read_reply(reply) is None
