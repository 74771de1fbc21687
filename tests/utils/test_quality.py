"""Quality scores: pictures without a fault are left alone, and every term falls with its own fault."""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import measure

import clients
from tests.utils.degraded import (
    FOR_PHOTOS,
    SPOILT,
    anime,
    blurred,
    bokeh,
    drawings,
    gained,
    high_key,
    jpeg,
    mosaic,
    night,
    noisy,
    photos,
)
from utils.aesthetics import AestheticPredictor, AestheticsUnavailable
from utils.images import BadPicture
from utils.pixels import blur
from utils.quality import composed, score_image
from utils.validation import ClipScorer

DEMO = Path(clients.__file__).parent / "demo" / "clip"
KINDS = {"night": night, "high key": high_key, "bokeh": bokeh, "anime": anime}
BASES = [*photos(), *drawings()]
CASES = [(base, way) for way in SPOILT for base in BASES if base in photos() or way not in FOR_PHOTOS]
FAULTLESS = {
    "blur": 0.3, "lightest": 1.0, "tones": 0.9, "blown": 0.0, "spread": 250.0, "luma_noise": 0.5, "colour_noise": 0.3,
    "correlation": 0.97, "seams": 0.1, "in_seams": 0.13, "lattice": 0.0, "tiles": 0.0, "detail": 1.0,
    "level_gap": 1.0, "contours": 0.8,
}  # fmt: skip


def base_picture(name: str) -> Image.Image:
    return (photos() | drawings())[name]


def encoded(picture: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize("name", BASES)
def test_photos_and_flat_drawings_without_a_fault_have_none(name: str) -> None:
    score = score_image(base_picture(name))
    assert min(score.terms.values()) >= 9.0
    assert (score.grade, score.broken, score.aesthetic, score.adherence) == ("A", None, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_night_studio_bokeh_and_anime_are_not_taken_for_faults(kind: str) -> None:
    assert score_image(KINDS[kind]()).composite >= 8.5


@pytest.mark.parametrize(("base", "way"), CASES)
def test_each_term_falls_with_its_own_fault_and_the_others_hardly_move(base: str, way: str) -> None:
    term, spoil, strengths = SPOILT[way]
    picture = base_picture(base)
    clean = score_image(picture)
    scores = [clean, *(score_image(spoil(picture, strength)) for strength in strengths)]
    values = [score.terms[term] for score in scores]
    assert all(after <= before for before, after in pairwise(values)), values
    assert values[-1] <= values[0] - (0.4 if way == "jpeg" and base in drawings() else 2.5), values
    colour_blurs = way == "jpeg" and base == "scene 0"  # hue alone tells its subject, and JPEG halves the hue's size
    for name in set(clean.terms) - {term} - ({"sharpness"} if colour_blurs else set()):
        assert min(score.terms[name] for score in scores[:3]) >= clean.terms[name] - 1.5, name


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("cell", [4, 5, 6, 7, 9, 10, 11, 13, 17, 24])
def test_squares_of_any_size_are_a_fault(base: str, cell: int) -> None:
    score = score_image(mosaic(base_picture(base), cell))
    assert (score.artefacts, score.measures["tiles"]) == (0.0, pytest.approx(1.0, abs=0.06))


@pytest.mark.parametrize("few", [10, 12, 13, 15, 22])
@pytest.mark.parametrize("start", [0, 3, 5])
def test_squares_of_broken_size_anywhere_are_a_fault(few: int, start: int) -> None:
    for picture in drawings().values():
        tiled = picture.resize((few, few), Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)
        assert score_image(tiled.crop((start, start + 1, 128, 128))).artefacts < 2


@pytest.mark.parametrize("base", BASES)
def test_the_more_of_a_picture_is_squares_the_lower_the_score(base: str) -> None:
    picture = base_picture(base).resize((128, 128), Image.Resampling.LANCZOS)
    tiled = mosaic(picture, 11).resize((128, 128), Image.Resampling.NEAREST)
    scores = [score_image(Image.blend(picture, tiled, share)) for share in (0, 0.8, 0.9, 1)]
    assert all(after.artefacts <= before.artefacts + 0.2 for before, after in pairwise(scores))
    assert (scores[0].artefacts >= 9, scores[-1].artefacts) == (True, 0.0)


@pytest.mark.parametrize("base", drawings())
def test_jpeg_costs_flat_drawings_the_detail_inside_its_blocks(base: str) -> None:
    picture = base_picture(base)
    clean, little, strong = (score_image(spoilt) for spoilt in (picture, jpeg(picture, 50), jpeg(picture, 98)))
    assert clean.artefacts >= little.artefacts > strong.artefacts
    assert strong.artefacts < 7


def chessboard(edge: int) -> Image.Image:
    fields: Any = np.indices((8 * edge, 8 * edge)) // edge
    return Image.fromarray((fields.sum(0) % 2 * 200 + 20).astype(np.uint8))


def squares(start: int, edge: int, gap: int) -> Image.Image:
    """Three squares, side by side and above, as sharp as pixels are."""
    picture = Image.new("RGB", (128, 128), "white")
    for number, colour in enumerate(("red", "blue", "green")):
        left, top = start + number % 2 * (edge + gap), start + number // 2 * (edge + gap)
        picture.paste(colour, (left, top, left + edge, top + edge))
    return picture


@pytest.mark.parametrize(
    "picture",
    [chessboard(8), chessboard(13), chessboard(16), squares(16, 32, 8), squares(8, 40, 16), squares(11, 30, 10)],
)
def test_boards_and_squares_that_fill_whole_blocks_are_drawings(picture: Image.Image) -> None:
    measures = score_image(picture).measures
    assert (measures["tiles"] < 0.55, measures["detail"] > 0.6) == (True, True)


def test_where_hue_alone_tells_the_subject_its_edges_are_looked_for_there() -> None:
    y, x = np.mgrid[0:128, 0:128]
    inside = Image.fromarray(((x - 60) ** 2 + (y - 60) ** 2 < 900).astype(np.uint8) * 255)
    sharp = Image.composite(
        Image.new("RGB", (128, 128), (140, 118, 130)), Image.new("RGB", (128, 128), (60, 150, 180)), inside
    )
    wobbly = noisy(sharp, 1)
    assert score_image(wobbly).sharpness > 8 > 4 > score_image(blurred(wobbly, 4)).sharpness


@pytest.mark.parametrize("size", [128, 512, 1024, 2048])
def test_blur_and_noise_are_seen_at_every_size(size: int) -> None:
    picture = photos()["coffee"].resize((size, size * 2 // 3), Image.Resampling.LANCZOS)
    small = score_image(picture)
    assert score_image(blurred(picture, size / 64)).sharpness < small.sharpness - 3
    assert score_image(noisy(picture, 20)).noise < small.noise - 3
    assert small.artefacts >= 9


@pytest.mark.parametrize("colour", ["black", "white", "gray", (222, 38, 38)])
def test_one_colour_is_a_broken_picture(colour: Any) -> None:
    score = score_image(noisy(Image.new("RGB", (256, 256), colour), 1))
    assert (score.composite, score.grade, score.broken) == (0.0, "F", "blank")


def test_static_is_a_broken_picture() -> None:
    static = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    score = score_image(Image.fromarray(static))
    assert (score.composite, score.broken) == (0.0, "static")


def test_the_blur_measure_is_scikit_images_own_where_there_is_one_tile() -> None:
    library: Any = measure
    tile = photos()["coffee"].crop((300, 150, 332, 182))
    grey = np.asarray(tile.convert("L"), np.float32) / np.float32(255)
    assert blur(tile) == pytest.approx(float(library.blur_effect(grey)), abs=1e-6)


def test_a_path_bytes_and_a_picture_score_alike(tmp_path: Path) -> None:
    picture = photos()["chelsea"]
    path = tmp_path / "cat.png"
    path.write_bytes(encoded(picture))
    assert len({score_image(form).composite for form in (picture, encoded(picture), path, str(path))}) == 1


def test_a_score_is_a_mapping_of_plain_values() -> None:
    told = score_image(photos()["coffee"]).as_dict()
    assert set(FAULTLESS) == set(told["measures"])
    assert {"sharpness", "exposure", "noise", "artefacts", "technical", "composite", "grade"} < set(told)


# ------------------------------------------------------------------ pictures as they come


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 2), (7, 31), (8, 8), (33, 200), (130, 17)])
def test_the_smallest_and_the_thinnest_pictures_have_a_score(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    score = score_image(Image.fromarray(noise))
    assert all(0 <= value <= 10 for value in (*score.terms.values(), score.composite))


def test_transparent_parts_lie_on_white() -> None:
    clear = drawings()["scene 2"].convert("RGBA")
    clear.putalpha(0)
    assert score_image(clear).broken == "blank"
    assert score_image(encoded(clear)).broken == "blank"


def test_16_bits_grey_and_print_colours_are_read() -> None:
    grey = photos()["coffee"].convert("L")
    deep = Image.fromarray(np.asarray(grey, np.uint16) * 257)
    forms = [grey, deep, encoded(deep), photos()["coffee"].convert("CMYK"), encoded(grey, "JPEG")]
    assert [score_image(form).grade for form in forms] == ["A"] * len(forms)


@pytest.mark.parametrize("broken", [b"", b"no picture", encoded(photos()["coffee"])[:20_000]])
def test_what_is_no_picture_is_refused(broken: bytes) -> None:
    with pytest.raises(BadPicture):
        score_image(broken)
    assert issubclass(BadPicture, ValueError)


# ------------------------------------------------------------------ the formula


def test_one_fault_outweighs_three_faultless_terms() -> None:
    score = composed({**FAULTLESS, "blur": 0.90})
    assert score.terms == {"sharpness": 0.0, "exposure": 10.0, "noise": 10.0, "artefacts": 10.0}
    assert (score.technical, score.composite, score.grade) == (2.25, 2.25, "F")


@pytest.mark.parametrize(
    ("aesthetic", "adherence", "composite", "grade"),
    [(None, None, 10.0, "A"), (6.0, None, 8.67, "A"), (None, 2.0, 7.33, "B"), (6.0, 4.0, 7.5, "B")],
)
def test_the_composite_is_the_weighted_mean_of_what_is_known(
    aesthetic: float | None, adherence: float | None, composite: float, grade: str
) -> None:
    score = composed(FAULTLESS, aesthetic=aesthetic, adherence=adherence)
    assert (score.composite, score.grade) == (composite, grade)


def test_beauty_does_not_make_up_for_a_fault() -> None:
    assert composed({**FAULTLESS, "luma_noise": 40.0}, aesthetic=10.0, adherence=10.0).composite == 2.25


def test_few_levels_are_a_fault_only_where_the_picture_is_not_flat() -> None:
    coarse = {**FAULTLESS, "level_gap": 32.0}
    assert composed(coarse).artefacts < 1 < 10 == composed({**coarse, "contours": 0.02}).artefacts


# ------------------------------------------------------------------ with a CLIP


@pytest.mark.models
def test_the_right_words_adhere_and_wrong_ones_do_not() -> None:
    scorer = ClipScorer(DEMO)
    circle = drawings()["scene 0"]
    cosines = scorer.scores([circle], ["a red circle on a white background", "two blue squares"])[0]
    for text, cosine in zip(("a red circle on a white background", "two blue squares"), cosines, strict=True):
        expected = min(max((float(cosine) - 0.1) / 0.3, 0.0), 1.0) * 10
        assert score_image(circle, text, scorer=scorer).adherence == pytest.approx(expected, abs=0.01)


@pytest.mark.models
def test_weights_that_cannot_be_had_leave_a_note_and_no_number(tmp_path: Path) -> None:
    score = score_image(photos()["coffee"], "a cup of coffee", scorer=ClipScorer(tmp_path))
    assert score.adherence is None
    assert "Adherence was not measured" in score.notes[0]


def test_a_blank_prompt_asks_no_clip() -> None:
    assert score_image(photos()["coffee"], "  ").notes == ()


class Embeds(ClipScorer):
    """Gives the same unit vectors for every picture."""

    width = 512

    def embed_images(self, images: Any) -> Any:
        return np.full((len(images), self.width), self.width**-0.5, np.float32)


def predictor(path: Path, width: int = 512) -> AestheticPredictor:
    encoder = Embeds("ViT-B-32")
    encoder.width = width
    return AestheticPredictor(path, encoder)


def saved(path: Path, *layers: tuple[str, tuple[int, int], float, float]) -> Path:
    """A state dict of layers (name, shape, weight, bias), as .pth or .safetensors."""
    import safetensors.torch
    import torch

    state: dict[str, Any] = {}
    for name, shape, weight, bias in layers:
        state |= {f"{name}weight": torch.full(shape, weight), f"{name}bias": torch.full(shape[:1], bias)}
    library: Any = torch
    writer: Any = safetensors.torch
    library.save(state, path) if path.suffix == ".pth" else writer.save_file(state, path)
    return path


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("width", [512, 768, 1024])
def test_a_linear_predictor_rates_the_unit_embedding(tmp_path: Path, ending: str, width: int) -> None:
    path = saved(tmp_path / f"linear.{ending}", ("", (1, width), 0.1, 4.0))
    expected = 4.0 + 0.1 * width**0.5
    assert predictor(path, width).ratings([photos()["coffee"]] * 2) == pytest.approx([expected] * 2, abs=1e-3)


def test_layers_follow_each_other_and_relu_stands_where_their_numbers_say_so(tmp_path: Path) -> None:
    inner = ((4, 512), -1 / 512**0.5, 0.0)
    plain = saved(tmp_path / "plain.pth", ("layers.0.", *inner), ("layers.2.", (1, 4), -1.0, 2.0))
    relu = saved(tmp_path / "relu.pth", ("layers.0.", *inner), ("layers.3.", (1, 4), -1.0, 2.0))
    [without], [rectified] = (predictor(path).ratings([b"any"]) for path in (plain, relu))
    assert (without, rectified) == (pytest.approx(6.0, abs=1e-4), pytest.approx(2.0, abs=1e-4))


def test_ratings_stay_on_the_scale(tmp_path: Path) -> None:
    high, low = (saved(tmp_path / f"{bias}.pth", ("", (1, 512), 0.0, bias)) for bias in (55.0, -3.0))
    assert [predictor(path).ratings([b"any"]) for path in (high, low)] == [[10.0], [1.0]]


def test_a_rating_comes_into_the_composite(tmp_path: Path) -> None:
    path = saved(tmp_path / "linear.pth", ("", (1, 512), 0.0, 4.0))
    score = score_image(photos()["coffee"], aesthetics=predictor(path))
    assert (score.aesthetic, score.composite) == (4.0, pytest.approx(8.0, abs=0.05))


def test_a_predictor_for_another_clip_says_which(tmp_path: Path) -> None:
    path = saved(tmp_path / "l14.pth", ("", (1, 768), 0.1, 4.0))
    with pytest.raises(AestheticsUnavailable, match=r"rates embeddings of 768 numbers, but ViT-B-32 gives 512"):
        predictor(path).ratings([b"any"])
    score = score_image(photos()["coffee"], aesthetics=predictor(path))
    assert score.aesthetic is None and "ATELIER_CLIP_MODEL" in score.notes[0]


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04broken"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_file_that_holds_no_weights_is_told(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"bad.{ending}"
    path.write_bytes(content)
    with pytest.raises(AestheticsUnavailable, match="cannot be read"):
        predictor(path).ratings([b"any"])
    with pytest.raises(AestheticsUnavailable, match="cannot be read"):
        predictor(tmp_path / f"none.{ending}").ratings([b"any"])


def test_a_pickle_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "trap.pth"
    path.write_bytes(pickle.dumps({"weight": Trap()}, protocol=2))
    with pytest.raises(AestheticsUnavailable):
        predictor(path).ratings([b"any"])
    assert not (tmp_path / "ran").exists()


def test_other_networks_are_not_taken_for_a_predictor(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", ("a.0.", (4, 512), 0.1, 0.0), ("a.1.", (2, 4), 0.1, 0.0))
    with pytest.raises(AestheticsUnavailable, match=r"a\.1\.weight \(2, 4\): not the layers"):
        predictor(path).ratings([b"any"])


def test_missing_packages_name_the_extra() -> None:
    program = (
        "import sys; sys.modules['skimage'] = None\n"
        "from utils.quality import score_image\n"
        "from PIL import Image\n"
        "try: score_image(Image.new('RGB', (8, 8)))\n"
        "except ImportError as missing: sys.stdout.write(str(missing))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "Judging pictures needs the extra 'judges': pip install 'atelier-mcp[judges]'."


def test_a_bright_photo_of_a_dark_thing_is_no_overexposure() -> None:
    assert score_image(gained(night(), 2)).exposure >= 9


def test_a_score_cannot_be_changed() -> None:
    score = composed(FAULTLESS)
    with pytest.raises(AttributeError):
        setattr(score, "composite", 10.0)  # noqa: B010


@pytest.mark.parametrize("given", [None, 5, io.BytesIO(b"x"), np.zeros((8, 8, 3), np.uint8)])
def test_what_is_no_form_of_a_picture_is_refused_in_words(given: Any) -> None:
    with pytest.raises(TypeError, match="a path, bytes or a Pillow image, not"):
        score_image(given)
