"""The presets that come with Atelier: enough of them, fit for every model, and nothing that may not be shown."""

import re
import subprocess
import sys
from collections import Counter
from itertools import chain

import pytest

from utils.content_validator import check_texts
from workflows.presets import Presets, Shelf
from workflows.presets.shelf import folded
from workflows.types import CategoryNode, OptionGroup, Preset

BOOSTERS = (
    "masterpiece, best quality, high quality, highly detailed, ultra detailed, hyperdetailed, intricate details, 4k, "
    "8k, hdr, uhd, award-winning, trending, artstation, professional, stunning, breathtaking, "
    "gorgeous, amazing, in the style of"
).split(", ")
BEINGS = (
    r"\b(?:woman|women|man|men|girl|boy|maiden|child|children|people|person|crowds?|figures?|hero|heroes|warriors?|knights?|"
    r"riders?|pirates?|soldiers?|dragons?|monsters?|beasts?|creatures?|demons?|ghosts?|goblins?|skeletons?|skulls?|angels?|"
    r"robots?|cyborgs?|dinosaurs?|horses?|animals?|birds?)\b(?!')"
)
CATEGORIES = {"photography", "comics", "anime", "fantasy", "horror", "scifi"}


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Presets().shelf()


@pytest.fixture(scope="module")
def all_of_it() -> Shelf:
    return Presets(adult=True).shelf()


def options(groups: tuple[OptionGroup, ...]) -> list[Preset]:
    return [option for group in groups for option in group.options]


def below(category: CategoryNode) -> list[Preset]:
    artists = [artist for type_ in category.types for artist in type_.artists]
    groups = chain.from_iterable(options((*artist.technical, *artist.specifics)) for artist in artists)
    shared = {option.path: option for option in groups}
    types = [type_.preset for type_ in category.types]
    return [category.preset, *types, *(artist.preset for artist in artists), *shared.values()]


def everything(shelf: Shelf) -> list[Preset]:
    flat = chain.from_iterable(shelf.flat.values())
    return [*flat, *options(shelf.universal), *chain.from_iterable(map(below, shelf.categories))]


def last_names(shelf: Shelf) -> set[str]:
    """As they are written, with a capital: some are words of their own."""
    artists = [preset for preset in everything(shelf) if preset.kind == "artist"]
    return {(preset.artist or preset.name).split()[-1] for preset in artists}


def test_no_file_of_ours_is_broken_and_no_pack_lacks_anything(shelf: Shelf, all_of_it: Shelf) -> None:
    assert shelf.faults == all_of_it.faults == ()
    assert [len(all_of_it.pick(pack.presets)) > 1 for pack in all_of_it.packs] == [True] * len(all_of_it.packs)


def test_there_is_enough_to_choose_from(shelf: Shelf, all_of_it: Shelf) -> None:
    least = {"style": 30, "artist": 24, "composition": 21, "lighting": 20}
    assert {kind for kind, presets in shelf.flat.items() if len(presets) < least[kind]} == set()
    assert sum(map(len, all_of_it.flat.values())) >= 180
    assert {group.id: group.several for group in shelf.universal} == {
        "mood": True,
        "time-of-day": False,
        "light": False,
        "weather": False,
        "colour-palette": False,
        "camera-effects": True,
    }
    assert all(8 <= len(group.options) <= 16 for group in shelf.universal)
    assert (len(shelf.packs), len(all_of_it.packs)) == (17, 21)


def test_the_categories_are_there_and_the_adult_one_only_where_it_is_allowed(shelf: Shelf, all_of_it: Shelf) -> None:
    assert {category.preset.id for category in shelf.categories} == CATEGORIES
    assert {category.preset.id for category in all_of_it.categories} == CATEGORIES | {"adult"}
    assert all(preset.adult for preset in below(all_of_it.category("adult")))


@pytest.mark.parametrize(
    "name",
    [
        *["Cinematic", "Anime", "Photorealistic", "Oil Painting", "Digital Art", "Watercolor", "Cyberpunk"],
        *["Fantasy Art", "Comic Book", "Minimalist", "Surreal", "Vintage", "3D Render", "Pencil Sketch", "Pixel Art"],
        *["Ansel Adams", "Annie Leibovitz", "Alphonse Mucha", "H.R. Giger", "Moebius", "Zdzisław Beksiński"],
        *["Rule of Thirds", "Bird's Eye View", "Dutch Angle", "Golden Hour", "Volumetric", "Candlelight"],
    ],
)
def test_what_people_ask_for_by_name_is_one_preset(shelf: Shelf, name: str) -> None:
    (found,) = shelf.find(name)
    assert folded(found.name) == folded(name)


def test_adult_presets_are_there_only_where_they_are_allowed(shelf: Shelf, all_of_it: Shelf) -> None:
    assert not any(preset.adult for preset in everything(shelf))
    adult = Counter(preset.kind for preset in chain.from_iterable(all_of_it.flat.values()) if preset.adult)
    assert adult == {"style": 5, "artist": 6, "composition": 5, "lighting": 5}
    assert [pack.name for pack in all_of_it.packs if pack.adult] == [
        "Newton Bold Fashion",
        "Vintage Pin-Up Classic",
        "Artistic Figure Study",
        "Playful Boudoir",
    ]


def test_every_path_is_its_own_and_leads_back(all_of_it: Shelf) -> None:
    references = all_of_it.references()
    assert max(Counter(references).values()) == 1
    for preset in everything(all_of_it):
        assert all_of_it.find(preset.path)[-1] == preset
    wrong = [path for path in references if ":" not in path and all_of_it.find(path)[-1].path != path]
    assert wrong == []


def test_texts_describe_and_do_not_praise_or_name_artists(all_of_it: Shelf) -> None:
    names = {name for name in last_names(all_of_it) if name[0].isupper()}
    assert len(names) > 100
    for preset in everything(all_of_it):
        text = preset.text.lower()
        assert [word for word in BOOSTERS if re.search(rf"\b{re.escape(word)}\b", text)] == [], preset.path
        assert names.isdisjoint(re.findall(r"\w+", preset.text)), preset.path
        assert len(text) >= 12, preset.path


def test_the_look_of_an_artist_or_style_puts_nobody_into_a_picture(shelf: Shelf) -> None:
    """A landscape by Mucha has no woman in it, unless somebody asks for one."""
    worlds = [shelf.category(name) for name in ("fantasy", "horror", "scifi")]
    artists = [artist.preset for world in worlds for type_ in world.types for artist in type_.artists]
    about = {"style:claymation"}  # the clay figure is its medium
    found = {
        preset.path: beings
        for preset in [*shelf.flat["artist"], *shelf.flat["style"], *shelf.flat["lighting"], *artists]
        if preset.path not in about and (beings := re.findall(BEINGS, preset.text))
    }
    assert found == {}


def test_flat_texts_say_what_is_there_and_rule_out_nothing_of_it(all_of_it: Shelf) -> None:
    for preset in [*chain.from_iterable(all_of_it.flat.values()), *options(all_of_it.universal)]:
        assert re.findall(r"\b(?:no|not|without|never)\b", preset.text) == [], preset.path
        both = {part for part in preset.negative.split(", ") if f"-{folded(part)}-" in f"-{folded(preset.text)}-"}
        assert both <= {""}, preset.path


def test_models_are_told_only_the_names_of_artists_who_have_died(all_of_it: Shelf) -> None:
    for preset in everything(all_of_it):
        alive = re.match(r"b\.|living|since", preset.dates)
        assert not (preset.artist and alive), preset.path
        assert not preset.artist or re.search(r"\d{4}", preset.dates), preset.path


def test_the_content_rules_have_nothing_against_what_is_not_adult(shelf: Shelf) -> None:
    refused = {
        preset.path: found.rule
        for preset in everything(shelf)
        if (found := check_texts(f"a person, {preset.name}, {preset.text}", preset.negative, adult=False))
    }
    assert refused == {}


def test_the_content_rules_have_nothing_against_adult_presets_where_they_are_allowed(all_of_it: Shelf) -> None:
    refused = {
        preset.path: found.rule
        for preset in everything(all_of_it)
        if (found := check_texts(f"a woman of thirty, {preset.name}, {preset.text}", preset.negative, adult=True))
    }
    assert refused == {}


def test_importing_presets_reads_no_file() -> None:
    program = (
        "import sys\nopened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "import workflows.presets\n"
        "print([path for path in opened if path.endswith('.json') and 'presets' in path])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
