"""What each family wants of a prompt."""

from __future__ import annotations

import pytest

from utils.content_validator import check_texts
from workflows.families import families
from workflows.prompts.dialects import dialect_of
from workflows.prompts.reading import tables


@pytest.mark.parametrize("name", families())
def test_every_family_has_a_dialect_that_fits_what_it_reads(name: str) -> None:
    dialect, family = dialect_of(name), families()[name]
    assert dialect.budget is not None
    assert not (dialect.form == "sentences" and (dialect.artists or dialect.boosters))
    if family.profile.weights:
        assert dialect.encoder == "clip"
    if dialect.form in {"tags", "phrases"}:
        assert dialect.encoder == "clip" or name == "anima"


@pytest.mark.parametrize(
    ("name", "form", "encoder", "budget"),
    [
        ("sd15", "tags", "clip", 75),
        ("sdxl", "phrases", "clip", 75),
        ("pony", "tags", "clip", 150),
        ("noobai", "tags", "clip", 150),
        ("flux-dev", "sentences", "t5", 512),
        ("flux-schnell", "sentences", "t5", 256),
        ("sd35", "sentences", "t5", 256),
        ("qwen-image", "sentences", "llm", 512),
        ("hidream-full", "sentences", "llm", 128),
        ("wan22-14b", "sentences", "t5", 512),
        ("demo", "plain", "clip", 75),
    ],
)
def test_forms_encoders_and_budgets(name: str, form: str, encoder: str, budget: int) -> None:
    dialect = dialect_of(name)
    assert (dialect.form, dialect.encoder, dialect.budget) == (form, encoder, budget)


def test_a_family_that_nobody_knows_is_spoken_to_plainly() -> None:
    assert dialect_of("some-new-model") == dialect_of("unknown")
    assert dialect_of("unknown").form == "sentences"


def test_what_dialects_say_by_themselves_passes_the_content_rules() -> None:
    for name in families():
        dialect = dialect_of(name)
        words = ", ".join((*dialect.first, *dialect.last, dialect.rating, dialect.system))
        against = ", ".join(value for value in dialect.negative.model_dump().values() if value)
        assert check_texts(f"a child with a kite, {words}", against) is None


def test_every_addition_is_a_sentence_or_several_between_bars_and_harmless() -> None:
    for row in tables()["row"]:
        for way in row["say"].split("|"):
            assert way.strip()[0].isupper() and way.strip().endswith(".")
        assert check_texts(f"a child, {row['say']}, {row.get('tags', '')}, {row.get('booru', '')}") is None
        assert "," not in row.get("when", ",").split(",")[0]
