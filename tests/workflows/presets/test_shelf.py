"""What people call a preset finds it."""

import pytest

from tests.workflows.presets.kit import flat, group, put, style
from workflows.errors import NotFound
from workflows.presets import Presets, Shelf

CATEGORY = style("Fog", "sea fog", kind="category", technical=[group("lens", "wide", "long")]) | {
    "types": [
        style("Harbour", "a harbour")
        | {
            "specifics": [group("boat", "dory")],
            "artists": [
                style("Ada Lund", "pale boats", technical=[group("lens", "long", "soft"), group("film", "slide")]),
                style("Bo Ek", "dark quays"),
            ],
        },
        style("Cliff", "a cliff") | {"artists": [style("Bo Ek", "dark rocks")]},
        style("Beach", ""),
    ],
}
PACK = {
    "id": "sea-day",
    "name": "A Day at Sea",
    "presets": ["fog/harbour/bo-ek", "fog/cliff", "style:fog", "mood:epic"],
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("presets")
    put(folder, "category.json", CATEGORY)
    put(
        folder,
        "style.json",
        flat(
            style(),
            style("Dun") | {"id": "dun-light-grey", "name": "Dün / Light: gray"},
            style("Mist") | {"name": "霧"},
        ),
    )
    put(
        folder, "artist.json", flat(style("Fog"), style("Ida Holm"), style("Per Holm"), style("Jon Roe"), kind="artist")
    )
    put(folder, "packs.json", {"kind": "packs", "packs": [PACK]})
    return Presets([folder]).shelf()


def paths(shelf: Shelf, reference: str) -> list[str]:
    return [preset.path for preset in shelf.find(reference)]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("style:oil-painting", ["style:oil-painting"]),
        (" Style : OIL painting ", ["style:oil-painting"]),
        ("Oil Painting", ["style:oil-painting"]),
        ("oil_painting!", ["style:oil-painting"]),
        ("Bird's Eye View", ["composition:birds-eye-view"]),
        ("Zdzislaw Beksinski", ["artist:zdzislaw-beksinski"]),
        ("mood:epic", ["mood:epic"]),
        ("Color Palette: Warm Tones", ["colour-palette:warm-tones"]),
        ("warm tones", ["colour-palette:warm-tones"]),
        ("Dün / Light: gray", ["style:dun-light-grey"]),
        ("霧", ["style:mist"]),
        ("fog", ["style:fog"]),
        ("artist:fog", ["artist:fog"]),
        ("category:fog", ["category:fog"]),
        ("fog/harbour", ["category:fog", "fog/harbour"]),
        ("category:fog/harbour", ["category:fog", "fog/harbour"]),
        ("FOG / Harbour / Ada Lund", ["category:fog", "fog/harbour", "fog/harbour/ada-lund"]),
        ("cliff", ["category:fog", "fog/cliff"]),
        ("Ada Lund", ["category:fog", "fog/harbour", "fog/harbour/ada-lund"]),
        ("Roe", ["artist:jon-roe"]),
        ("fog/lens/wide", ["category:fog", "fog/lens/wide"]),
        ("fog/harbour/boat/dory", ["category:fog", "fog/harbour", "fog/harbour/boat/dory"]),
        ("golden hour", ["lighting:golden-hour"]),
        ("lighting:neon", ["lighting:neon"]),
        ("lighting:hard light", ["light:hard-light"]),
        ("None", []),
        (" ", []),
    ],
)
def test_a_reference_is_found(shelf: Shelf, reference: str, found: list[str]) -> None:
    assert (paths(shelf, reference), shelf.has(reference)) == (found, True)


def test_options_of_an_artist_are_those_of_all_levels_with_its_own_above_them(shelf: Shelf) -> None:
    ada = shelf.artist("Fog", "harbour", "Ada Lund")
    assert [(one.path, one.text) for group in (*ada.technical, *ada.specifics) for one in group.options] == [
        ("fog/harbour/ada-lund/lens/wide", "wide text"),
        ("fog/harbour/ada-lund/lens/long", "long text"),
        ("fog/harbour/ada-lund/lens/soft", "soft text"),
        ("fog/harbour/ada-lund/film/slide", "slide text"),
        ("fog/harbour/ada-lund/boat/dory", "dory text"),
    ]
    levels = ["category:fog", "fog/harbour", "fog/harbour/ada-lund"]
    assert paths(shelf, "fog/harbour/ada lund/Lens/Soft") == [*levels, "fog/harbour/ada-lund/lens/soft"]
    assert [group.id for group in shelf.artist("fog", "cliff", "bo-ek").specifics] == []


@pytest.mark.parametrize("reference", ["pack:sea-day", "A day at sea", "sea-day"])
def test_a_pack_gives_each_preset_of_its_references_once(shelf: Shelf, reference: str) -> None:
    expected = ["category:fog", "fog/harbour", "fog/harbour/bo-ek", "fog/cliff", "style:fog", "mood:epic"]
    assert paths(shelf, reference) == expected
    assert [preset.path for preset in shelf.pick([reference, "None", "fog/cliff"])] == expected


@pytest.mark.parametrize(
    ("reference", "near"),
    [
        ("oil paintin", "style:oil-painting"),
        ("Bo Ek", "fog/harbour/bo-ek"),
        ("Holm", "artist:ida-holm"),
        ("fog/harbor", "fog/harbour"),
        ("fog/harbour/ada-lund/lens/sof", "fog/harbour/ada-lund/lens/soft"),
        ("mood:epc", "mood:epic"),
        ("pack:sea-dy", "pack:sea-day"),
    ],
)
def test_what_is_not_found_comes_with_references_that_are(shelf: Shelf, reference: str, near: str) -> None:
    with pytest.raises(NotFound) as raised:
        shelf.find(reference)
    assert raised.value.near[0] == near
    assert all(shelf.has(one) for one in raised.value.near)
    assert str(raised.value).startswith(f"There is no preset {reference!r}. Did you mean {near}")


@pytest.mark.parametrize("reference", ["!!!", ":", "/", "style:", "fog//ada-lund", "a/b/c/d/e/f", "x" * 9000])
def test_nonsense_is_not_found(shelf: Shelf, reference: str) -> None:
    assert not shelf.has(reference)
    with pytest.raises(NotFound):
        shelf.find(reference)


def test_nodes_that_are_not_there_are_told_with_near_ids(shelf: Shelf) -> None:
    with pytest.raises(NotFound, match=r"There is no category 'fogg'\. Did you mean fog"):
        shelf.category("fogg")
    with pytest.raises(NotFound, match=r"There is no type of Fog 'clif'\. Did you mean cliff\?"):
        shelf.type("fog", "clif")
    with pytest.raises(NotFound, match=r"There is no artist of fog/cliff 'bo'\. Did you mean bo-ek\?"):
        shelf.artist("fog", "cliff", "bo")


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("a castle at golden hour, oil painting", ["style:oil-painting", "lighting:golden-hour"]),
        ("pen and", ["style:pen-and-ink"]),
        ("lund ada", ["fog/harbour/ada-lund"]),
        ("vint", ["style:vintage"]),
        ("qqq", []),
        ("...", []),
    ],
)
def test_presets_match_words_that_hold_or_begin_their_names(shelf: Shelf, words: str, first: list[str]) -> None:
    assert [preset.path for preset in shelf.matching(words, 2)][: len(first) or 2] == first


def test_paths_of_everything_are_listed_once(shelf: Shelf) -> None:
    references = shelf.references()
    assert {"style:fog", "pack:sea-day", "mood:epic", "category:fog", "fog/beach", "fog/cliff/bo-ek"} <= {*references}
    assert "fog/cliff/bo-ek/lens/wide" in references
    assert len(references) == len(set(references))


def test_an_empty_shelf_has_nothing() -> None:
    assert (Shelf().references(), Shelf().matching("fog"), Shelf().has("fog")) == ((), (), False)
