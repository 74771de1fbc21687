"""Files of prompts: what they may say, and every fault by its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from workflows.errors import BadRecipe
from workflows.refinery.briefs import BadBriefs, briefs_of, read_briefs, schema
from workflows.types import Brief


def faults(text: str, name: str = "prompts.yaml") -> list[str]:
    with pytest.raises(BadBriefs) as found:
        briefs_of(text.encode(), name)
    return [str(fault) for fault in found.value.faults]


def test_json_and_yaml_say_the_same() -> None:
    entries = [
        {"id": "one", "title": "Ein Bär", "scene": "a wood", "mood": "dark", "prompt": "a bear", "negative": "people"},
        {"title": "Zwei Bären!", "prompt": "two bears", "options": {"steps": 4, "loras": ["fur:0.5"], "seed": -1}},
        {"scene": "a lake"},
    ]
    expected = (
        Brief(id="one", title="Ein Bär", scene="a wood", mood="dark", prompt="a bear", negative="people"),
        Brief(id="zwei-baren", title="Zwei Bären!", prompt="two bears", options={"seed": -1, **entries[1]["options"]}),  # pyright: ignore
        Brief(id="prompt-62451a5c", scene="a lake"),
    )
    assert briefs_of(json.dumps(entries).encode(), "p.json") == expected
    assert briefs_of(json.dumps({"prompts": entries}).encode(), "p.json") == expected
    assert briefs_of(yaml.safe_dump(entries, allow_unicode=True).encode(), "p.yml") == expected
    assert briefs_of(b"\xef\xbb\xbf" + json.dumps(entries).encode(), "p.json") == expected


def test_defaults_are_options_of_every_prompt_that_says_nothing_else() -> None:
    text = "defaults: {steps: 4, seed: 1}\nprompts:\n- {prompt: a, id: a}\n- {prompt: b, id: b, options: {seed: 2}}"
    first, second = briefs_of(text.encode(), "p.yaml")
    assert (first.options, second.options) == ({"steps": 4, "seed": 1}, {"steps": 4, "seed": 2})


def test_every_fault_is_named_with_its_place_and_line() -> None:
    text = """prompts:
- id: "no/slash"
  prompt: a
- id: b
  mood: dark
- prompt: [a]
  colour: red
- 7
"""
    assert faults(text) == [
        'prompts[0].id (line 2): "no/slash" cannot be a folder\'s name: letters, digits, dots, dashes and underscores, '
        "a letter or digit first, at most 100",
        "prompts[1] (line 4): it needs a prompt, or a scene",
        'prompts[2].prompt (line 6): ["a"] is not of type string',
        "prompts[2].colour (line 7): there is no such field; the fields are id, title, scene, mood, prompt, negative, "
        "options",
        "prompts[3] (line 8): 7 is not of type object",
    ]


def test_options_are_held_to_what_generate_image_takes() -> None:
    entries = [
        {"prompt": "a", "id": "ok", "options": {"steps": 0}},
        {"prompt": "b", "options": {"stepz": 3}},
        {"prompt": "c", "options": {"loras": ["a", {"name": "x", "strength": 99}]}},
        {"prompt": "d", "options": {"positive_threshold": 4}},
        {"prompt": "e", "id": "OK"},
        {"prompt": "  "},
    ]
    found = faults(json.dumps(entries, indent=1), "p.json")
    assert [one.partition(": ")[0] for one in found] == [
        "prompts[0].options.steps (line 6)",
        "prompts[1].options.stepz (line 12)",
        "prompts[2].options.loras[1].strength (line 22)",
        "prompts[3].options.positive_threshold (line 30)",
        "prompts[4].id (line 35)",
        "prompts[5].prompt (line 38)",
    ]
    assert "did you mean steps" in found[1] and "it is at most 4" in found[2]
    assert "is the id of prompts[0] already" in found[4]


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("[{", "p.json", "line 1, column 3"),
        ('{"prompts": [], "prompts": []}', "p.json", "'prompts' stands twice"),
        ("- prompt: a\n  prompt: b\n", "p.yaml", "'prompt' stands twice (line 2)"),
        ("[]", "p.json", "the list is empty"),
        ("{}", "p.json", "'prompts' is a required property"),
        ("3", "p.json", "it is a list of prompts"),
        ("", "p.yaml", "it is empty"),
        ("- !!python/object/apply:os.system ['true']", "p.yaml", "could not determine a constructor"),
        ("a: b: c", "p.yaml", "line 1, column 5"),
        ("- {prompt: a}\n---\n- {prompt: b}", "p.yaml", "expected a single document"),
        ("[" * 100 + "]" * 100, "p.yaml", "nested deeper than 40"),
        ("[" * 100_000, "p.json", "nested too deeply"),
        ("&a [*a]", "p.yaml", "holds itself"),
        ('[{"prompt": "a\\u0000b"}]', "p.json", "prompts[0].prompt (line 1): it may not hold the character"),
        ('[{"prompt": NaN}]', "p.json", "NaN is no number"),
    ],
)
def test_what_is_no_list_of_prompts_is_said_to_be_none(text: str, name: str, words: str) -> None:
    assert words in "\n".join(faults(text, name))


def test_a_bomb_of_aliases_is_found_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "blow it up" in faults("\n".join(lines))[0]


def test_a_file_that_is_no_file_or_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.json").write_bytes(b" " * (9 << 20))
    (tmp_path / "latin.yaml").write_bytes(b"- prompt: \xe4")
    for name, words in (("big.json", "larger than 8 MB"), ("none.json", "cannot be read"), ("latin.yaml", "no UTF-8")):
        with pytest.raises(BadRecipe, match=words):
            read_briefs(tmp_path / name)


def test_ids_of_the_same_title_differ_and_last() -> None:
    entries = [{"title": "A cat", "prompt": word} for word in ("one", "two", "two")]
    ids = [one.id for one in briefs_of(json.dumps(entries).encode(), "p.json")]
    assert ids == ["a-cat", "a-cat-3fc4ccfe", "a-cat-3fc4ccfe-2"]
    assert briefs_of(json.dumps(entries[:2]).encode(), "p.json")[1].id == ids[1]


def test_the_schema_itself_is_sound_and_agrees() -> None:
    Draft202012Validator.check_schema(schema())
    whole = Draft202012Validator(schema())
    assert whole.is_valid([{"prompt": "a"}]) and whole.is_valid({"prompts": [{"scene": "a"}]})
    assert not whole.is_valid([{"mood": "a"}]) and not whole.is_valid({"prompts": [], "x": 1})
