"""utils.metadata on PNG, and the A1111 text: what is stamped is what is read, by us and by others."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tests.utils.metadata_kit import GRAPH, PIXELS, PNG, WORKFLOW
from utils.images import BadPicture, decode
from utils.metadata import SourceType, parameters_text, read_parameters, read_png, stamp_png, stamped

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
single_lines = texts.map(lambda text: text.replace("\n", " ").strip())


def text_of(**changes: Any) -> str:
    facts: dict[str, Any] = {
        "prompt": "a red circle",
        "negative": "blur",
        "steps": 30,
        "sampler": "DPM++ 2M",
        "cfg": 7.0,
        "seed": 42,
        "width": 832,
        "height": 1216,
        "model": "demo",
        "model_hash": "67ab2fd8ec",
        "version": "0.1.0",
    }
    return parameters_text(**facts | changes)


def as_webui_reads(text: str) -> dict[str, str]:
    """By the documented rules of A1111: the last line, when it has three settings or more, is split at commas that
    stand outside of quotes; what is before is prompt, from "Negative prompt:" on the negative one."""
    *lines, last = text.strip().split("\n")
    pieces = re.findall(r'(?:[^,"]|"(?:\\.|[^"\\])*")+', last)
    found = {name.strip(): value.strip() for name, _, value in (piece.partition(":") for piece in pieces)}
    assert len(found) >= 3
    prompt, _, negative = "\n".join(lines).partition("\nNegative prompt:")
    unquoted = {name: json.loads(value) if value.startswith('"') else value for name, value in found.items()}
    return {"Prompt": prompt, "Negative prompt": negative.strip(), **unquoted}


def test_the_parameters_text_has_the_exact_a1111_form() -> None:
    assert text_of(denoise=0.7, further={"Clip skip": 2}) == (
        "a red circle\nNegative prompt: blur\nSteps: 30, Sampler: DPM++ 2M, CFG scale: 7, Seed: 42, Size: 832x1216, "
        "Model hash: 67ab2fd8ec, Model: demo, Denoising strength: 0.7, Clip skip: 2, Version: atelier 0.1.0, "
        'Hashes: {"model": "67ab2fd8ec"}'
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("dpmpp_2m", "DPM++ 2M"),
        ("dpmpp_2m_karras", "DPM++ 2M Karras"),
        ("euler_ancestral", "Euler a"),
        ("DPM++ 2M", "DPM++ 2M"),
        ("res_multistep", "res_multistep"),
        ("my_karras", "my_karras"),
    ],
)
def test_samplers_have_the_names_that_a1111_takes_up(name: str, shown: str) -> None:
    assert read_parameters(text_of(sampler=name))["Sampler"] == shown


def test_what_is_unknown_is_left_out_of_the_parameters_text() -> None:
    assert text_of(negative="", sampler=None, cfg=None, model_hash=None) == (
        "a red circle\nSteps: 30, Seed: 42, Size: 832x1216, Model: demo, Version: atelier 0.1.0"
    )


def test_loras_stand_where_a1111_and_civitai_look_for_them() -> None:
    loras = [("styles/ink.safetensors", 0.5, None), ("v1.5 line<art>", 1.0, 1.0), ("both", 0.8, 0.25)]
    text = text_of(loras=loras, lora_hashes={"styles/ink.safetensors": "1234567890ab", "both": "no hash"})

    read = as_webui_reads(text.replace(', Hashes: {"model": "67ab2fd8ec", "lora:ink": "1234567890ab"}', ""))
    assert read["Prompt"] == "a red circle <lora:ink:0.5> <lora:v1.5 line_art_:1> <lora:both:0.8:0.25>"
    assert read["Lora hashes"] == "ink: 1234567890ab"
    # CivitAI's own form: bare JSON after a comma.
    found = re.search(r", Hashes:\s*({[^}]+})", text)
    assert found is not None
    assert json.loads(found[1]) == {"model": "67ab2fd8ec", "lora:ink": "1234567890ab"}
    assert json.loads(read_parameters(text)["Hashes"]) == json.loads(found[1])


def test_a_value_with_commas_and_colons_is_quoted_and_read_back() -> None:
    text = text_of(model='C:\\models\\"best", v2', further={"Lora hashes": "a: 12, b: 34"})

    assert ', Model: "C:\\\\models\\\\\\"best\\", v2", Lora hashes: "a: 12, b: 34", ' in text
    assert read_parameters(text)["Model"] == 'C:\\models\\"best", v2'
    assert read_parameters(text)["Lora hashes"] == "a: 12, b: 34"


def test_a_text_of_another_tool_is_read() -> None:
    text = (
        "car, <lora:x:0.8>\nsecond line\nNegative prompt: two cars,\nextra car\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 6.5, Seed: 1, Size: 512x512, "
        'Hashes: "{\\"model\\": \\"1\\"}", Civitai resources: [{"type": "lora", "modelVersionId": 7}], Version: v1.10.1'
    )

    assert read_parameters(text) == {
        "prompt": "car, <lora:x:0.8>\nsecond line",
        "negative_prompt": "two cars,\nextra car",
        "Steps": "20",
        "Sampler": "Euler a",
        "CFG scale": "6.5",
        "Seed": "1",
        "Size": "512x512",
        "Hashes": '{"model": "1"}',
        "Civitai resources": '[{"type": "lora", "modelVersionId": 7}]',
        "Version": "v1.10.1",
    }


def test_a_text_without_settings_is_all_prompt() -> None:
    assert read_parameters("just: this, and\nthat") == {"prompt": "just: this, and\nthat", "negative_prompt": ""}


@settings(max_examples=200, deadline=None)
@given(prompt=texts, negative=texts, model=single_lines, sampler=single_lines)
def test_prompt_negative_and_names_survive_the_round_trip(prompt: str, negative: str, model: str, sampler: str) -> None:
    read = read_parameters(text_of(prompt="x" + prompt, negative=negative, model=model, sampler=sampler))

    assert read["prompt"] == ("x" + prompt).strip()
    assert read["negative_prompt"] == negative.strip()
    assert (read["Model"], read["Sampler"]) == (model, sampler)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"]), max_size=60)


@settings(max_examples=200, deadline=None)
@given(prompt=words, negative=words, model=words.map(str.strip), seed=st.integers(0, 2**32 - 1))
def test_a_reader_written_from_a1111s_rules_reads_the_same(prompt: str, negative: str, model: str, seed: int) -> None:
    read = as_webui_reads(text_of(prompt="x" + prompt, negative=negative, model=model, seed=seed, model_hash=None))

    assert (read["Prompt"], read["Negative prompt"]) == (("x" + prompt).strip(), negative.strip())
    assert (read["Model"], read["Seed"], read["Size"]) == (model, str(seed), "832x1216")


@settings(max_examples=150, deadline=None)
@given(parameters=texts, record=st.dictionaries(texts.filter(lambda key: key != "schema"), values, max_size=4))
def test_a_stamp_is_read_back_whole_and_changes_no_pixel(parameters: str, record: dict[str, Any]) -> None:
    content = stamp_png(PNG, parameters, record)
    stamp = read_png(content)

    assert stamp.parameters == parameters
    assert stamp.record == {"schema": 1, **record}
    assert decode(content).tobytes() == PIXELS.tobytes()


def test_pillow_reads_both_texts_in_their_own_chunk_types() -> None:
    plain = Image.open(io.BytesIO(stamp_png(PNG, "a café\nSteps: 1", {"id": "猫"})))
    wide = Image.open(io.BytesIO(stamp_png(PNG, "猫\nSteps: 1", {})))

    assert plain.info["parameters"] == "a café\nSteps: 1"
    assert not isinstance(plain.info["parameters"], PngImagePlugin.iTXt)
    assert plain.info["atelier"] == '{"schema":1,"id":"猫"}'
    assert isinstance(wide.info["parameters"], PngImagePlugin.iTXt)
    assert wide.info["parameters"] == "猫\nSteps: 1"


def test_the_graphs_stand_in_a_png_as_comfyui_itself_writes_them() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", json.dumps(GRAPH))
    info.add_text("workflow", json.dumps(WORKFLOW))
    buffer = io.BytesIO()
    PIXELS.save(buffer, "PNG", pnginfo=info)

    ours = stamped(
        PNG, "image/png", parameters="p", record={}, source_type=SourceType.TRAINED, graph=GRAPH, workflow=WORKFLOW
    )

    def text_chunks(png: bytes) -> list[bytes]:
        return re.findall(rb"tEXt(?:prompt|workflow)\0[ -~]*....", png, re.DOTALL)

    assert len(text_chunks(ours)) == 2
    assert text_chunks(ours) == text_chunks(buffer.getvalue())


def test_a_second_stamp_replaces_ours_and_keeps_what_others_wrote() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", '{"nodes": []}', zip=True)
    info.add_itxt("Title", "Häuser", zip=True)
    buffer = io.BytesIO()
    PIXELS.save(buffer, "PNG", pnginfo=info, dpi=(300, 300))

    stamp = read_png(twice := stamp_png(stamp_png(buffer.getvalue(), "old", {"id": 1}), "new", {"id": 2}))

    assert stamp.texts == {
        "workflow": '{"nodes": []}',
        "Title": "Häuser",
        "parameters": "new",
        "atelier": '{"schema":1,"id":2}',
    }
    assert twice.count(b"atelier\0") == 1
    assert b"pHYs" in twice


def test_a_picture_that_says_nothing_gives_an_empty_stamp() -> None:
    stamp = read_png(PNG)

    assert (stamp.parameters, stamp.record, stamp.texts, stamp.source_type) == (None, None, {}, None)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0", PNG[:-20], PNG[:60] + b"?" + PNG[61:]])
def test_what_is_no_whole_png_is_refused(content: bytes) -> None:
    with pytest.raises(BadPicture):
        stamp_png(content, "x", {})
    with pytest.raises(BadPicture):
        read_png(content)


def test_python_m_utils_names_the_modules_and_their_functions() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "utils"], capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout

    assert "utils.metadata.files: What a picture or video says of itself" in shown
    assert "    stamp_png(png, parameters, record): The same PNG" in shown
