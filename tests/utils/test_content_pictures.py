"""The classifier of pictures, with tiny networks; and what picture files say of the wish that they were made from."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.fakes import png
from tests.local_hub import LocalHub
from tests.utils.classifiers import alarmed, calm, make_classifier
from utils.content_validator import (
    ClassifierUnavailable,
    Exposure,
    NoClassifier,
    PictureClassifier,
    classifier_for,
    embedded_texts,
)

USUAL = "Falconsai/nsfw_image_detection"
LOOK = """
import sys
from utils.content_validator import PictureClassifier, classifier_for
classifier = classifier_for(sys.argv[1] or None)
print([round(seen.unsafe, 3) for seen in classifier.exposures([open(sys.argv[2], "rb").read()])])
"""


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_two_labels_give_one_share(tmp_path: Path) -> None:
    seen = PictureClassifier(alarmed(tmp_path), device="cpu").exposures([png(), png(300, 20), png(8, 8, (0, 0, 0, 0))])
    share = seen[0].unsafe
    assert share == pytest.approx(sigmoid(5.0), abs=1e-5)
    assert seen == [Exposure(unsafe=share, suggestive=share, graded=False)] * 3
    assert PictureClassifier(tmp_path, device="cpu").exposures([]) == []


@pytest.mark.parametrize(
    ("labels", "unsafe", "suggestive"),
    [
        (["neutral", "low", "medium", "high"], 0.5, 0.75),
        (["drawings", "hentai", "neutral", "porn", "sexy"], 0.4, 0.6),
        (["general", "sensitive", "questionable", "explicit"], 0.5, 0.75),
        (["Anime Picture", "Enticing or Sensual", "Hentai", "Normal", "Pornography"], 0.4, 0.6),
        (["SFW", "NSFW"], 0.5, 0.5),
        (["safe", "unsafe"], 0.5, 0.5),
    ],
)
def test_the_usual_sets_of_labels_are_understood(
    tmp_path: Path, labels: list[str], unsafe: float, suggestive: float
) -> None:
    classifier = PictureClassifier(make_classifier(tmp_path, labels, [0.0] * len(labels)), device="cpu")
    [seen] = classifier.exposures([png()])
    assert (seen.unsafe, seen.suggestive) == (pytest.approx(unsafe), pytest.approx(suggestive))
    assert seen.graded is (len(labels) > 2)


@pytest.mark.parametrize("labels", [["LABEL_0", "LABEL_1"], ["cat", "nsfw"], ["nsfw", "porn"], ["normal", "neutral"]])
def test_labels_that_nobody_knows_are_refused_by_name(tmp_path: Path, labels: list[str]) -> None:
    classifier = PictureClassifier(make_classifier(tmp_path, labels, [0.0, 0.0]), device="cpu")
    with pytest.raises(ClassifierUnavailable, match=f"has the labels {', '.join(labels)}: which are unsafe"):
        classifier.exposures([png()])


def test_what_cannot_be_loaded_or_read_is_one_kind_of_error(tmp_path: Path) -> None:
    with pytest.raises(ClassifierUnavailable, match="ATELIER_CONTENT_MODEL"):
        PictureClassifier(tmp_path).exposures([png()])
    with pytest.raises(ClassifierUnavailable, match="ATELIER_CONTENT_MODEL"):
        PictureClassifier("nobody/nothing").exposures([png()])
    with pytest.raises(ClassifierUnavailable, match="cannot be read"):
        PictureClassifier(calm(tmp_path)).exposures([png(), b"no picture"])


def test_weights_that_give_no_numbers_are_no_answer(tmp_path: Path) -> None:
    broken = make_classifier(tmp_path, ["normal", "nsfw"], [math.nan, 0.0])
    with pytest.raises(ClassifierUnavailable, match="gives no numbers"):
        PictureClassifier(broken, device="cpu").exposures([png()])


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    calm(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ClassifierUnavailable):
        PictureClassifier(tmp_path, device="cpu").exposures([png()])


def test_it_leaves_memory_and_comes_back(tmp_path: Path) -> None:
    classifier = PictureClassifier(calm(tmp_path), device="cpu")
    assert not classifier.loaded
    first = classifier.exposures([png()])
    assert classifier.loaded
    classifier.unload()
    assert not classifier.loaded
    assert classifier.exposures([png()]) == first


def test_the_setting_chooses() -> None:
    assert classifier_for("owner/name").model == "owner/name"
    with pytest.raises(NoClassifier, match="is off"):
        classifier_for("OFF")


def looked(hub: LocalHub, home: Path, setting: str) -> subprocess.CompletedProcess[str]:
    picture = home / "picture.png"
    home.mkdir(exist_ok=True)
    picture.write_bytes(png())
    command = [sys.executable, "-c", LOOK, setting, str(picture)]
    return subprocess.run(command, env=hub.environment(home), capture_output=True, text=True, timeout=150, check=False)


def test_the_usual_one_is_used_when_it_is_here_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in alarmed(tmp_path / "made").iterdir()}
    with LocalHub({USUAL: files}) as hub:
        without = looked(hub, tmp_path / "home", "")
        assert (without.returncode, hub.asked) == (1, [])
        assert without.stderr.strip().splitlines()[-1].startswith("utils._content.pictures.NoClassifier: no picture")
        named = looked(hub, tmp_path / "home", USUAL)
        assert (named.stdout, hub.asked != []) == ("[0.993]\n", True), named.stderr
        hub.asked.clear()
        found = looked(hub, tmp_path / "home", "")
        assert (found.stdout, hub.asked) == ("[0.993]\n", []), found.stderr


# ---------------------------------------------------------------------- what files say


def test_the_prompt_of_an_a1111_picture_is_read_without_its_negative() -> None:
    written = "a castle on a hill\nNegative prompt: nsfw, child\nSteps: 20, Sampler: Euler, Seed: 1"
    assert embedded_texts(with_texts({"parameters": written})) == ("a castle on a hill",)


def test_the_texts_that_a_comfyui_graph_draws_are_read_and_no_others() -> None:
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "waiNSFW.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": ["5", 0], "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "nsfw, child", "clip": ["1", 1]}},
        "4": {"class_type": "KSampler", "inputs": {"positive": ["6", 0], "negative": ["3", 0], "model": ["1", 0]}},
        "5": {"class_type": "PrimitiveString", "inputs": {"value": "a castle"}},
        "6": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["7", 0], "guidance": 3.5}},
        "7": {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["2", 0], "negative": ["3", 0]}},
    }
    assert embedded_texts(with_texts({"prompt": json.dumps(graph)})) == ("a castle",)
    guided = graph | {"4": {"class_type": "BasicGuider", "inputs": {"conditioning": ["6", 0], "model": ["1", 0]}}}
    assert embedded_texts(with_texts({"prompt": json.dumps(guided)})) == ("a castle",)


def test_a_graph_that_bites_its_tail_ends() -> None:
    graph: dict[str, object] = {
        "1": {"class_type": "X", "inputs": {"positive": ["1", 0], "text": "a castle"}},
        "2": 3,
        "3": {"inputs": []},
    }
    assert embedded_texts(with_texts({"prompt": json.dumps(graph)})) == ("a castle",)


def test_other_programs_documents_are_read() -> None:
    novel = {
        "prompt": "a castle",
        "uc": "child",
        "v4_negative_prompt": {"caption": "nsfw"},
        "v4_prompt": {"caption": "ivy"},
    }
    texts = {"Description": "a castle at dusk", "Comment": json.dumps(novel), "Software": "NovelAI"}
    assert embedded_texts(with_texts(texts)) == ("a castle at dusk", "a castle", "ivy")


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + "a castle\nSteps: 20, Seed: 1".encode("utf-16-be"),
        b"UNICODE\0" + "a castle\nSteps: 20, Seed: 1".encode("utf-16-le"),
        b"ASCII\0\0\0a castle",
        b"a castle",
        json.dumps({"prompt": "a castle"}).encode(),
    ],
)
def test_exif_comments_are_read_in_their_encodings(format_: str, comment: bytes) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    assert embedded_texts(with_exif(format_, exif)) == ("a castle",)


@pytest.mark.parametrize("format_", ["JPEG", "WEBP"])
def test_exif_descriptions_and_comfyuis_webp_are_read(format_: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a castle"
    graph = {
        "1": {"class_type": "X", "inputs": {"positive": ["2", 0]}},
        "2": {"class_type": "Y", "inputs": {"text": "ivy"}},
    }
    exif[0x0110] = f"prompt:{json.dumps(graph)}"
    assert embedded_texts(with_exif(format_, exif)) == ("a castle", "ivy")


def test_what_a_file_says_is_bounded() -> None:
    many = {"prompt": "x" * 50_000} | {f"n{number}": {"prompt": str(number)} for number in range(40)}
    texts = embedded_texts(with_texts({"Comment": json.dumps(many)}))
    assert (len(texts), max(map(len, texts))) == (16, 10_000)


def test_a_camera_says_nothing_of_a_wish() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS 5D"
    assert embedded_texts(with_exif("JPEG", exif)) == ()
    assert embedded_texts(png()) == ()


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_it_raise(noise: bytes, place: int) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a castle"
    whole = with_exif("JPEG", exif)
    embedded_texts(noise)
    embedded_texts(whole[:place] + noise + whole[place + len(noise) :])
    embedded_texts(with_texts({"parameters": noise.decode("latin-1")}))


def with_texts(texts: dict[str, str]) -> bytes:
    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    return saved("PNG", pnginfo=info)


def with_exif(format_: str, exif: Image.Exif) -> bytes:
    return saved(format_, exif=exif.tobytes())


def saved(format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (1, 2, 3)).save(buffer, format_, **options)
    return buffer.getvalue()
