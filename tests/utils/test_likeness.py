"""Fingerprints of pixels and vectors of models: what is alike is near, and what is not is far."""

from __future__ import annotations

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from tests.fakes import png
from utils.images import BadPicture
from utils.likeness import cosine, distance, fingerprint, vector

NEAR = 6
"""Bits by which the gallery calls pictures duplicates."""


def scene(seed: int, size: tuple[int, int] = (512, 384)) -> Image.Image:
    """A picture with soft structure everywhere, another for each seed, the same at any size."""
    import random

    grid = Image.new("RGB", (8, 6))
    chance = random.Random(seed)
    grid.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(48)])
    return grid.resize(size, Image.Resampling.BICUBIC)


def saved(picture: Image.Image, form: str = "PNG", **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def circle(colour: str, ground: str = "white", mode: str = "RGB") -> Image.Image:
    picture = Image.new(mode, (256, 256), ground)
    ImageDraw.Draw(picture).ellipse((60, 60, 196, 196), fill=colour)
    return picture


@pytest.mark.parametrize("seed", range(20))
def test_another_encoding_size_or_sharpness_leaves_the_fingerprint_near(seed: int) -> None:
    original = fingerprint(saved(scene(seed)))
    copies = {
        "jpeg": saved(scene(seed), "JPEG", quality=60),
        "webp": saved(scene(seed), "WEBP", quality=50),
        "smaller": saved(scene(seed).resize((200, 150))),
        "larger": saved(scene(seed).resize((1024, 768)), "JPEG", quality=80),
        "softer": saved(scene(seed).filter(ImageFilter.GaussianBlur(2))),
    }

    assert {name: distance(original, fingerprint(copy)) <= NEAR for name, copy in copies.items()} == dict.fromkeys(
        copies, True
    )


def test_different_pictures_are_far_apart() -> None:
    prints = [fingerprint(saved(scene(seed))) for seed in range(20)]
    apart = [distance(a, b) for place, a in enumerate(prints) for b in prints[:place]]

    assert min(apart) > NEAR
    assert sum(apart) / len(apart) > 20


@pytest.mark.parametrize("other", ["green", "blue", "black"])
def test_the_same_shape_in_another_colour_is_another_picture(other: str) -> None:
    assert distance(fingerprint(saved(circle("red"))), fingerprint(saved(circle(other)))) > NEAR


def test_an_even_picture_gives_no_bits_before_and_after_jpeg() -> None:
    even = Image.new("RGB", (300, 200), (90, 120, 200))

    assert fingerprint(saved(even)) == fingerprint(saved(even, "JPEG", quality=30)) == "0" * 16


def test_transparent_pixels_count_as_neutral_ground_whatever_colour_they_hide() -> None:
    hidden = circle("#ff0000ff", ground="#00ff0000", mode="RGBA")
    black = circle("#ff0000ff", ground="#00000000", mode="RGBA")
    shown = circle("#ff0000", ground="#808080")

    assert fingerprint(saved(hidden)) == fingerprint(saved(black)) == fingerprint(saved(shown))
    assert distance(fingerprint(saved(hidden)), fingerprint(saved(circle("red", ground="black")))) > 0


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(BadPicture, match="not a PNG, JPEG or WebP"):
        fingerprint(b"hello")


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 3)])
def test_the_smallest_pictures_have_a_fingerprint(size: tuple[int, int]) -> None:
    assert fingerprint(png(*size)) == "0" * 16


@given(a=st.integers(0, 2**64 - 1), b=st.integers(0, 2**64 - 1))
def test_the_distance_is_the_number_of_bits_that_differ(a: int, b: int) -> None:
    assert distance(f"{a:016x}", f"{b:016x}") == bin(a ^ b).count("1") == distance(f"{b:016x}", f"{a:016x}")


@pytest.mark.parametrize("text", ["", "12", "g" * 16, "0" * 17])
def test_the_distance_of_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fingerprint|invalid literal"):
        distance(text, "0" * 16)


numbers = st.floats(-100, 100).filter(lambda value: value == 0 or abs(value) > 0.01)


@given(pairs=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=64))
def test_the_cosine_of_two_vectors_is_theirs_to_two_digits_and_they_have_length_one(
    pairs: list[tuple[float, float]],
) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    if not any(one) or not any(other):
        return
    exact = sum(a * b for a, b in pairs) / (math.hypot(*one) * math.hypot(*other))

    assert cosine(vector(one), vector(other)) == pytest.approx(exact, abs=0.01)
    assert cosine(vector(one), vector(one)) == pytest.approx(1, abs=0.005)
    assert cosine(vector(one), vector([-a for a in one])) == pytest.approx(-1, abs=0.005)


def test_a_vector_is_float16_little_endian() -> None:
    assert vector([3.0, 4.0]) == b"\xcd\x38\x66\x3a"


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [math.inf, 1.0], [math.nan]])
def test_values_without_a_direction_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="no direction"):
        vector(values)


def test_vectors_of_two_models_are_not_compared() -> None:
    with pytest.raises(ValueError, match="2 and 3 values"):
        cosine(vector([1, 0]), vector([1, 0, 0]))
