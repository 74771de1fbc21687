"""CLIP similarity with the shipped demo CLIP: real scores, real verdicts."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import clients
from utils.clip_encoder import ClipEncoder
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
def test_the_parts_of_a_long_text_count_by_their_tokens(scorer: ClipScorer) -> None:
    import numpy as np

    encoder = ClipEncoder(str(DEMO), "", None)
    long, short = " and ".join([RED_CIRCLE] * 3) + ".", "two blue squares on a black background."
    parts = split_text(f"{long} {short}", encoder.length, 32)
    assert len(parts) == 2
    weighted = [encoder.length(part) * scorer.embed_texts([part])[0] for part in parts]
    expected = np.sum(weighted, axis=0) / np.linalg.norm(np.sum(weighted, axis=0))
    assert scorer.embed_texts([f"{long} {short}"])[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.models
def test_what_open_clip_logs_of_a_failure_is_told_once_and_others_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(WeightsUnavailable):
        ClipScorer("ViT-B-32", "nobody").scores([drawing()], [RED_CIRCLE])
    assert [record for record in caplog.records if record.name == "root"] == []
    logging.getLogger().warning("something else")
    assert [record.message for record in caplog.records if record.name == "root"] == ["something else"]


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
def test_embeddings_are_unit_vectors_whose_products_are_the_scores(scorer: ClipScorer) -> None:
    import numpy as np

    pictures, texts = scorer.embed_images([drawing(), drawing("blue")]), scorer.embed_texts([RED_CIRCLE])
    assert (pictures.shape, texts.shape) == ((2, 128), (1, 128))
    assert np.linalg.norm(pictures, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert pictures @ texts.T == pytest.approx(scorer.scores([drawing(), drawing("blue")], [RED_CIRCLE]), abs=1e-6)


@pytest.mark.models
def test_more_pictures_than_one_batch_are_scored_in_their_order(scorer: ClipScorer) -> None:
    kinds = [drawing("red"), drawing("blue"), drawing("green")]
    many = scorer.scores([kinds[number % 3] for number in range(70)], [RED_CIRCLE])
    few = scorer.scores(kinds, [RED_CIRCLE])
    assert many == pytest.approx(few[[number % 3 for number in range(70)]], abs=1e-5)


class Counting(ClipScorer):
    """Counts what really goes through the encoder."""

    def __init__(self) -> None:
        super().__init__(DEMO)
        self.seen: list[int] = []
        self.read: list[str] = []

    def _ready(self) -> Any:
        encoder = super()._ready()
        return Watched(encoder, self)


class Watched:
    def __init__(self, encoder: Any, counts: Counting) -> None:
        self.encoder, self.counts, self.scale = encoder, counts, encoder.scale

    def embed_images(self, pictures: Any) -> Any:
        shown = list(pictures)
        self.counts.seen.append(len(shown))
        return self.encoder.embed_images(shown)

    def embed_texts(self, texts: Any) -> Any:
        self.counts.read += texts
        return self.encoder.embed_texts(texts)


@pytest.mark.models
def test_what_was_seen_lately_is_not_looked_at_again_until_memory_is_freed() -> None:
    counting = Counting()
    first, second = png(drawing()), png(drawing("blue"))
    rows = counting.scores([first, second, first], [RED_CIRCLE, "a blue circle", RED_CIRCLE])
    again = counting.scores([second, first], ["a blue circle"])
    assert (counting.seen, counting.read) == ([2], [RED_CIRCLE, "a blue circle"])
    assert rows[0].tolist() == rows[2].tolist()
    assert again[:, 0].tolist() == pytest.approx([rows[1][1], rows[0][1]], abs=1e-6)
    counting.unload()
    counting.scores([first], [RED_CIRCLE])
    assert counting.seen == [2, 1]


@pytest.mark.models
def test_lora_tags_do_not_change_a_score(scorer: ClipScorer) -> None:
    [[plain, tagged]] = scorer.scores([drawing()], [RED_CIRCLE, f"{RED_CIRCLE} <lora:blue squares:0.8>"])
    assert plain == pytest.approx(tagged, abs=1e-5)


@pytest.mark.models
def test_a_folder_without_weights_is_never_judged_with_random_ones(tmp_path: Path) -> None:
    for name in ("open_clip_config.json", "bpe.txt.gz"):
        (tmp_path / name).write_bytes((DEMO / name).read_bytes())
    with pytest.raises(WeightsUnavailable):
        ClipScorer(tmp_path).scores([drawing()], [RED_CIRCLE])


@pytest.mark.models
def test_damaged_weights_say_that_they_are_and_are_not_tried_again_at_once(tmp_path: Path) -> None:
    for name in ("open_clip_config.json", "bpe.txt.gz", "open_clip_model.safetensors"):
        (tmp_path / name).write_bytes((DEMO / name).read_bytes()[:50_000])
    damaged = ClipScorer(tmp_path)
    with pytest.raises(WeightsUnavailable, match="The file is damaged: delete it") as first:
        damaged.scores([drawing()], [RED_CIRCLE])
    (tmp_path / "open_clip_model.safetensors").write_bytes((DEMO / "open_clip_model.safetensors").read_bytes())
    with pytest.raises(WeightsUnavailable) as second:
        damaged.scores([drawing()], [RED_CIRCLE])
    assert second.value is first.value


@pytest.mark.parametrize(
    ("model", "pretrained", "threshold"),
    [
        (str(DEMO), "", 0.25),
        ("ViT-B-32", "laion2b_s34b_b79k", 0.25),
        ("ViT-B-32", "openai", 0.24),
        ("ViT-L-14-336", "openai", 0.20),
        ("ViT-H-14", "laion2b_s32b_b79k", 0.26),
        ("ViT-bigG-14", "laion2b_s39b_b160k", 0.26),
        ("ViT-B-16", "dfn2b", 0.23),
        ("ViT-B-32", "datacomp_xl_s13b_b90k", 0.23),
        ("ViT-B-16-SigLIP", "webli", 0.06),
        ("hf-hub:timm/ViT-SO400M-14-SigLIP2", "laion2b_s34b_b79k", 0.06),
        ("some-new-model", "somewhere", 0.25),
    ],
)
def test_every_kind_of_weights_has_its_own_threshold(model: str, pretrained: str, threshold: float) -> None:
    assert ClipScorer(model, pretrained).threshold == threshold


def test_a_folder_may_state_its_threshold_or_be_known_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "my-SigLIP"
    folder.mkdir()
    assert ClipScorer(folder).threshold == 0.06
    (folder / "atelier.json").write_text('{"positive_threshold": 0.11}', encoding="utf-8")
    assert ClipScorer(folder).threshold == 0.11


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


@pytest.mark.models
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_bytes_may_come_in_any_of_their_kinds(kind: type[bytearray], scorer: ClipScorer) -> None:
    whole = png(drawing())
    assert scorer.scores([kind(whole)], [RED_CIRCLE]) == scorer.scores([whole], [RED_CIRCLE])


@pytest.mark.parametrize(
    ("thing", "kind"), [(np.zeros((8, 8, 3), np.uint8), "ndarray"), (io.BytesIO(), "BytesIO"), (None, "NoneType")]
)
def test_what_is_no_kind_of_picture_is_named_before_anything_loads(thing: Any, kind: str) -> None:
    scorer = ClipScorer(DEMO)
    with pytest.raises(TypeError, match=f"A picture is a path, bytes or a Pillow image, not {kind}"):
        validate_image(thing, RED_CIRCLE, scorer=scorer)
    assert not scorer.loaded


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
