"""What calls cost: our list, the owner's, and what a service says itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.prices import BadPrices, Price, Prices

OWN = """
# mine
["fal:fal-ai/fast-lightning-sdxl"]
per = "image"
usd = 0.002

["openai"]
per = "million_tokens"
usd = { input = 1, output = 10 }
"""


def own(folder: Path, text: str) -> Path:
    path = folder / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("price", "units", "cost"),
    [
        (Price(per="image", usd=0.04), {"images": 3.0}, 0.12),
        (Price(per="megapixel", usd=0.025), {"megapixels": 1.5}, 0.0375),
        (Price(per="megapixel", usd=0.025, rounded=True), {"megapixels": 1.05}, 0.05),
        (Price(per="second", usd=0.08), {"seconds": 5.0}, 0.4),
        (Price(per="million_tokens", usd=0.3, usd_out=2.5), {"input_tokens": 1e6, "output_tokens": 2e6}, 5.3),
        (Price(per="million_tokens", usd=0.3, usd_out=2.5), {"images": 1.0}, None),
        (Price(per="second", usd=0.08), {"images": 1.0}, None),
        (Price(per="compute second", usd=0.0), {}, 0.0),
    ],
)
def test_a_price_is_for_what_was_used(price: Price, units: dict[str, float], cost: float | None) -> None:
    assert price.of(units) == (cost if cost is None else pytest.approx(cost))


def test_our_list_can_be_read_and_names_its_sources() -> None:
    import tomllib
    from importlib.resources import files

    prices = Prices.read()
    assert prices.of("gemini", "gemini-3.1-flash-image", {"images": 1.0}) == 0.067
    assert prices.of("ollama", "anything", {}) == 0
    assert prices.of("fal", "someone/draws", {"images": 1.0}) is None
    rows = tomllib.loads(files("clients").joinpath("prices.toml").read_text(encoding="utf-8"))
    assert all(row["source"] and row["date"] for row in rows.values())


def test_the_owners_list_stands_above_ours(tmp_path: Path) -> None:
    text = OWN + '["gemini:gemini-3.1-flash-image"]\nper = "image"\nusd = 1.5\n'
    prices = Prices.read(own(tmp_path, text))
    assert prices.of("fal", "fal-ai/fast-lightning-sdxl", {"images": 2.0}) == 0.004
    assert prices.of("openai", "any", {"input_tokens": 1e6, "output_tokens": 0}) == 1
    assert prices.of("gemini", "gemini-3.1-flash-image", {"images": 1.0}) == 1.5
    assert prices.of("gemini", "gemini-2.5-flash", {"input_tokens": 1e6}) == 0.3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["a:b"]\nper = "image"\nusd = oops', r"line 3 is no TOML"),
        ('# x\n["a:b"]\nper = "picture"\nusd = 1', r"line 3: the price of 'a:b' is per 'picture'; it can be per image"),
        ('["a:b"]\nper = "image"\nusd = -1', r"line 3: .+usd = -1; write it like usd = 0\.002"),
        ('["a:b"]\nper = "image"\nusd = nan', r"line 3: "),
        ('["a:b"]\nper = "image"', r"line 1: .+usd = None"),
        ('["a:b"]\nper = "million_tokens"\nusd = 3', r"line 3: .+\{ input = 0\.3"),
        ('["a:b"]\nper = "image"\nusd = 1\ncurrency = "EUR"', r"line 4: .+'currency'; known are"),
        ('["ok"]\nper = "image"\nusd = 1\n["a b"]\nper = "image"\nusd = 1', r"line 4: .+service:model"),
        ("usd = 3", r"line 1: .+per and usd below it"),
    ],
)
def test_a_bad_list_names_the_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadPrices, match=words) as bad:
        Prices.read(own(tmp_path, text))
    assert str(tmp_path) in str(bad.value)


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadPrices, match=r"ATELIER_PRICES: .+none\.toml cannot be read"):
        Prices.read(tmp_path / "none.toml")


def test_what_a_service_says_is_learned_below_the_lists() -> None:
    prices = Prices({"fal:a/known": Price(per="image", usd=1.0)})
    prices.learn("fal", "a/known", "images", 5.0)
    prices.learn("fal", "a/new", "Megapixels", 0.02)
    prices.learn("fal", "a/free", "compute seconds", 0.0)
    prices.learn("fal", "a/strange", "compute seconds", 0.1)
    used = {"images": 1.0, "megapixels": 1.2}
    assert [prices.of("fal", f"a/{name}", used) for name in ("known", "new", "free", "strange")] == [1.0, 0.04, 0, None]
    assert not prices.known("fal", "a/strange")
