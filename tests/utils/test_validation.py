"""CLIP similarity with the shipped demo CLIP: real scores, real verdicts."""

import io
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

import clients
from utils.images import BadPicture
from utils.validation import (
    ClipScorer,
    JudgesMissing,
    ValidationResult,
    WeightsUnavailable,
    judged,
    split_text,
    validate_image,
)

DEMO = Path(clients.__file__).parent / "demo" / "clip"
RED_CIRCLE = "a red circle on a white background"


@pytest.fixture(scope="module")
def scorer() -> Iterator[ClipScorer]:
    shared = ClipScorer(DEMO)
    yield shared
    shared.unload()


def drawing(colour: str = "red", page: str = "white") -> Image.Image:
    picture = Image.new("RGB", (128, 128), page)
    ImageDraw.Draw(picture).ellipse((34, 34, 94, 94), fill=colour)
    return picture


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.models
def test_the_right_caption_passes_and_a_swapped_colour_does_not(scorer: ClipScorer) -> None:
    right = validate_image(drawing(), RED_CIRCLE, scorer=scorer)
    wrong = validate_image(drawing("blue"), RED_CIRCLE, scorer=scorer)
    assert (right.passed, right.reason) == (True, "Image passed validation")
    assert not wrong.passed
    assert wrong.reason == f"Low positive CLIP score: {wrong.positive_score:.3f} < 0.25"


@pytest.mark.models
def test_a_path_bytes_and_a_picture_score_alike(scorer: ClipScorer, tmp_path: Path) -> None:
    path = tmp_path / "circle.png"
    path.write_bytes(png(drawing()))
    forms = [drawing(), png(drawing()), path, str(path)]
    assert len({validate_image(form, RED_CIRCLE, scorer=scorer).positive_score for form in forms}) == 1


@pytest.mark.models
def test_the_negative_prompt_is_reported_and_decides_only_with_a_delta(scorer: ClipScorer) -> None:
    plain = validate_image(drawing(), RED_CIRCLE, RED_CIRCLE, scorer=scorer)
    strict = validate_image(drawing(), RED_CIRCLE, RED_CIRCLE, delta_threshold=0.05, scorer=scorer)
    assert plain.passed and plain.score_delta == pytest.approx(0.0, abs=1e-5)
    assert (strict.passed, strict.reason) == (False, "Low CLIP score delta: 0.000 < 0.05")
    assert validate_image(drawing(), RED_CIRCLE, "a blue square", delta_threshold=0.05, scorer=scorer).passed


@pytest.mark.models
def test_scores_are_the_raw_cosines_of_open_clip(scorer: ClipScorer) -> None:
    texts = [RED_CIRCLE, "two blue squares"]
    ours = scorer.scores([drawing(), drawing("green")], texts)
    assert ours.shape == (2, 2)
    assert abs(ours - bare_scores(texts)).max() < 1e-5


def bare_scores(texts: list[str]) -> Any:
    import open_clip
    import torch

    library: Any = open_clip
    name = f"local-dir:{DEMO}"
    model, _, prepare = library.create_model_and_transforms(name)
    tokenizer = library.get_tokenizer(name, bpe_path=str(DEMO / "bpe.txt.gz"))
    with torch.no_grad():
        pictures = model.eval().encode_image(torch.stack([prepare(drawing()), prepare(drawing("green"))]))
        words = model.encode_text(tokenizer(texts))
        normal = torch.nn.functional.normalize
        return (normal(pictures, dim=-1) @ normal(words, dim=-1).T).numpy()


@pytest.mark.models
def test_a_long_prompt_is_read_to_its_end_and_still_matches(scorer: ClipScorer) -> None:
    long = ", ".join([RED_CIRCLE] * 6)
    [[same, spoiled, short]] = scorer.scores([drawing()], [long, long + ", two blue squares on black" * 4, RED_CIRCLE])
    assert same == pytest.approx(short, abs=0.2) and same > 0.2
    assert spoiled < same


@pytest.mark.models
def test_emphasis_brackets_do_not_change_a_score(scorer: ClipScorer) -> None:
    [[plain, bracketed]] = scorer.scores([drawing()], [RED_CIRCLE, "a (red circle:1.3) on a white background"])
    assert plain == pytest.approx(bracketed, abs=1e-5)


@pytest.mark.models
def test_a_transparent_picture_is_judged_on_white(scorer: ClipScorer) -> None:
    clear = drawing("red", "black")
    clear.putalpha(drawing("white", "black").convert("L"))
    assert validate_image(clear, RED_CIRCLE, scorer=scorer).passed


@pytest.mark.models
def test_many_threads_load_it_once_and_agree(scorer: ClipScorer) -> None:
    scorer.unload()
    assert not scorer.loaded
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(scorer.scores, [[drawing()]] * 8, [[RED_CIRCLE]] * 8))
    assert scorer.loaded and len({row.item() for row in rows}) == 1


@pytest.mark.models
def test_no_pictures_or_no_texts_give_an_empty_table(scorer: ClipScorer) -> None:
    assert scorer.scores([], [RED_CIRCLE]).shape == (0, 1)
    assert scorer.scores([drawing()], []).shape == (1, 0)


@pytest.mark.models
def test_weights_that_cannot_be_had_say_what_to_do() -> None:
    with pytest.raises(WeightsUnavailable, match=r"connect for the first use"):
        validate_image(drawing(), RED_CIRCLE, scorer=ClipScorer("no-such-model", "nobody"))


def test_missing_packages_name_the_extra() -> None:
    program = (
        "import sys; sys.modules['open_clip'] = None\n"
        "from utils.validation import JudgesMissing, validate_image\n"
        "from PIL import Image\n"
        "try: validate_image(Image.new('RGB', (8, 8)), 'a circle')\n"
        "except JudgesMissing as missing: sys.stdout.write(str(missing))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "Judging pictures needs the extra 'judges': pip install 'atelier-mcp[judges]'."
    assert issubclass(JudgesMissing, ImportError)


def test_a_score_below_the_threshold_fails_with_the_exact_words() -> None:
    assert judged(0.218, 0.124, 0.25, None) == ValidationResult(
        passed=False,
        positive_score=0.218,
        negative_score=0.124,
        score_delta=pytest.approx(0.094),  # pyright: ignore[reportArgumentType]
        reason="Low positive CLIP score: 0.218 < 0.25",
    )


def test_a_score_on_the_threshold_passes() -> None:
    assert judged(0.25, None, 0.25, None).as_dict() == {
        "passed": True,
        "positive_score": 0.25,
        "negative_score": None,
        "score_delta": None,
        "reason": "Image passed validation",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("  ",), "positive_prompt is blank"), ((RED_CIRCLE, " ", 0.25, 0.1), "delta_threshold needs a negative_prompt")],
)
def test_what_cannot_be_compared_is_refused(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        validate_image(drawing(), *arguments)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(BadPicture):
        ClipScorer(DEMO).scores([b"no picture"], [RED_CIRCLE])


def words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("one two", ["one two"]),
        ("one two. three four", ["one two.", "three four"]),
        ("one, two, three, four", ["one, two, three,", "four"]),
        ("one two three four five", ["one two three", "four five"]),
        ("", [""]),
    ],
)
def test_long_text_is_split_where_it_breathes(text: str, parts: list[str]) -> None:
    assert split_text(text, words, 3) == parts


def test_a_single_endless_word_is_split_inside() -> None:
    assert split_text("abcdefgh", len, 3) == ["ab", "cd", "ef", "gh"]
