"""What the categories hold and how their words read; how the files are read is tested elsewhere."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import pytest

from utils.content_validator import check_texts
from workflows.presets import Presets, Shelf
from workflows.types.words import ArtistNode, CategoryNode, OptionGroup, Preset, TypeNode

CATEGORIES = ("photography", "comics", "anime", "fantasy", "horror", "scifi", "adult")
BOOSTING = re.compile(
    r"\b(masterpiece|(best|high|top|amazing) quality|high ?res|absurdres|\d+k|u?hd|"
    r"(ultra|highly|hyper|extremely|insanely)[- ](detailed|realistic)|award[- ]winning|breathtaking|stunning|trending|"
    r"artstation|professional|perfect|gorgeous|exquisite|amazing|awesome|epic|iconic|beautiful|score_\d)\b",
    re.IGNORECASE,
)
OWNED = re.compile(
    r"\b(star wars|star trek|marvel|dc comics|batman|superman|spider-man|x-men|hulk|tintin|asterix|peanuts|disney|"
    r"pixar|ghibli|totoro|gundam|evangelion|dragon ball|naruto|one piece|sailor moon|akira|astro boy|jedi|lightsaber|"
    r"blade runner|godzilla|cthulhu|dracula|frankenstein|conan|tarzan|hobbit|middle-earth|narnia|dungeons and dragons|"
    r"warhammer|barbie|kodak|kodachrome|portra|polaroid 600|leica|hasselblad|nikon|canon|unreal engine|octane)\b",
    re.IGNORECASE,
)
COMMON = set("ray wood woods mark parks bell king bacon brown powers walker crane moor smith beard".split())
"""Surnames that are words as well: as names they are written with a capital."""
SUBJECTS = ("a woman", "an old man", "a girl")


class Path(NamedTuple):
    """An artist with what stands above."""

    category: CategoryNode
    type: TypeNode
    artist: ArtistNode

    @property
    def presets(self) -> tuple[Preset, Preset, Preset]:
        return self.category.preset, self.type.preset, self.artist.preset

    @property
    def groups(self) -> tuple[OptionGroup, ...]:
        return (*self.artist.technical, *self.artist.specifics)

    @property
    def options(self) -> Iterator[Preset]:
        return chain.from_iterable(group.options for group in self.groups)

    @property
    def drawn(self) -> str:
        return ", ".join(preset.text for preset in self.presets)

    @property
    def ruled_out(self) -> str:
        return ", ".join(preset.negative for preset in self.presets if preset.negative)


class Reading(NamedTuple):
    """What a path gives."""

    path: str
    name: str
    text: str


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Presets(adult=True).shelf()


@pytest.fixture(scope="module")
def paths(shelf: Shelf) -> list[Path]:
    return [
        Path(category, one, artist) for category in shelf.categories for one in category.types for artist in one.artists
    ]


def nodes(paths: Iterable[Path]) -> list[Preset]:
    """Every category, type and artist, once."""
    return list({preset.path: preset for path in paths for preset in path.presets}.values())


def everything(paths: Iterable[Path]) -> list[Preset]:
    """Every node and option, options once for each text."""
    options = {(one.id, one.text): one for path in paths for one in path.options}
    return [*nodes(paths), *options.values()]


def reading(preset: Preset) -> Reading:
    return Reading(preset.path, preset.name, preset.text)


def parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def plain(text: str) -> str:
    """In lower case and without accents."""
    letters = unicodedata.normalize("NFKD", text.replace("ł", "l").replace("ø", "o"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).lower()


def test_the_categories_are_there_whole_and_without_faults(shelf: Shelf) -> None:
    assert sorted(one.preset.id for one in shelf.categories) == sorted(CATEGORIES)
    assert shelf.faults == ()
    assert {one.preset.id: len(one.types) for one in shelf.categories if not 4 <= len(one.types) <= 8} == {}


def test_the_adult_category_is_there_only_where_it_was_switched_on(shelf: Shelf) -> None:
    assert {one.preset.id for one in Presets().shelf().categories} == set(CATEGORIES) - {"adult"}
    assert {one.preset.id for one in shelf.categories if one.preset.adult} == {"adult"}


def test_every_type_has_three_to_eight_artists_and_there_are_ninety_and_more(paths: list[Path]) -> None:
    artists = Counter(path.type.preset.path for path in paths)
    assert {name: count for name, count in artists.items() if not 3 <= count <= 8} == {}
    assert len({path.artist.preset.name for path in paths if not path.category.preset.adult}) >= 90


def test_an_artist_stands_in_a_category_once(paths: list[Path]) -> None:
    names = Counter((path.category.preset.id, path.artist.preset.name) for path in paths)
    assert [name for name, count in names.items() if count > 1] == []


def test_every_path_means_one_thing(paths: list[Path]) -> None:
    seen = Counter(one.path for one in {*map(reading, nodes(paths)), *(reading(o) for p in paths for o in p.options)})
    assert [path for path, count in seen.items() if count > 1] == []
    groups = {group.id for path in paths for group in path.groups}
    assert groups & {one.id for one in nodes(paths)} == set()


def test_the_groups_that_an_artist_has_are_told_apart_by_name(paths: list[Path]) -> None:
    again = {p.artist.preset.path: Counter(group.name for group in p.groups) for p in paths}
    assert {path for path, names in again.items() if max(names.values()) > 1} == set()


def test_every_artist_has_technical_options_and_specifics_to_pick(paths: list[Path]) -> None:
    poor = [p.artist.preset.path for p in paths if len(p.artist.technical) < 3 or len(p.artist.specifics) < 2]
    assert poor == []
    sizes = {f"{p.type.preset.path}: {group.id}": len(group.options) for p in paths for group in p.groups}
    assert {name: count for name, count in sizes.items() if not 4 <= count <= 10} == {}


def test_some_artists_have_options_of_their_own(paths: list[Path]) -> None:
    shared = Counter((path.type.preset.path, group.id) for path in paths for group in path.groups)
    own = {p.artist.preset.id for p in paths for group in p.groups if shared[p.type.preset.path, group.id] == 1}
    assert {"ansel-adams", "jack-kirby", "hayao-miyazaki", "frank-frazetta", "h-r-giger", "syd-mead"} <= own


def test_nodes_have_six_to_fourteen_descriptors_and_options_up_to_five(paths: list[Path]) -> None:
    assert [one.path for one in nodes(paths) if not 6 <= len(parts(one.text)) <= 14] == []
    options = [one for path in paths for one in path.options]
    assert {one.path for one in options if len(parts(one.text)) > 5 or len(one.text.split()) < 3} == set()
    assert [one.path for one in everything(paths) if not all(parts(one.text))] == []


def test_no_descriptor_is_long_or_a_sentence(paths: list[Path]) -> None:
    long = [part for one in everything(paths) for part in parts(one.text) if len(part.split()) > 11]
    assert long == []
    assert [one.text for one in everything(paths) if re.search(r"[.;:!?]", one.text)] == []


def test_levels_do_not_repeat_one_another(paths: list[Path]) -> None:
    said = {path.artist.preset.path: Counter(parts(path.drawn)) for path in paths}
    again = {name: [part for part, count in counts.items() if count > 1] for name, counts in said.items()}
    assert {name: twice for name, twice in again.items() if twice} == {}


def test_no_two_artists_read_alike(paths: list[Path]) -> None:
    said = [(path.artist.preset.path, set(parts(path.artist.preset.text))) for path in paths]
    alike = [(a, b) for n, (a, one) in enumerate(said) for b, other in said[n + 1 :] if len(one & other) > 2]
    assert alike == []


def test_no_text_has_quality_words_weights_or_brackets(paths: list[Path]) -> None:
    texts = [text for one in everything(paths) for text in (one.text, one.negative)]
    assert [text for text in texts if BOOSTING.search(text)] == []
    assert [text for text in texts if re.search(r"[()\[\]{}<>|_\\]|:\s*\d", text)] == []


def test_texts_are_spelled_as_the_captions_that_models_learned_from(paths: list[Path]) -> None:
    british = re.compile(r"\b\w*(colour|grey|armour|centre|theatre|jewell|mould|harbour|humour|behaviour|modell)\w*\b")
    texts = [text for one in everything(paths) for text in (one.text, one.negative)]
    assert [text for text in texts if british.search(text)] == []


def test_descriptors_say_what_is_there_and_not_what_is_not(paths: list[Path]) -> None:
    denied = re.compile(r"\b(no|not|none|never|nothing|nobody|without|avoid\w*|lacking)\b")
    assert [one.text for one in everything(paths) if denied.search(one.text)] == []
    assert [one.negative for one in nodes(paths) if denied.search(one.negative)] == []


def test_no_text_names_an_artist_or_what_others_own(paths: list[Path]) -> None:
    names = {path.artist.preset.name for path in paths}
    words = {plain(word) for name in names for word in (name, name.replace(" Sr.", "").split()[-1]) if len(word) > 2}
    told = re.compile(r"\b(" + "|".join(sorted(map(re.escape, words - COMMON), key=len, reverse=True)) + r")\b")
    capital = re.compile(r"\b(" + "|".join(word.title() for word in COMMON) + r")\b")
    texts = [text for one in everything(paths) for text in (one.text, one.negative)]
    assert [(text, found[0]) for text in texts if (found := told.search(plain(text)) or capital.search(text))] == []
    assert [(text, found[0]) for text in texts if (found := OWNED.search(text))] == []


def test_models_are_told_the_names_of_those_alone_who_have_died(paths: list[Path]) -> None:
    artists = [path.artist.preset for path in paths]
    ended = re.compile(r"(?:c\. )?(\d{4})-(\d{4})")
    assert [one.path for one in artists if bool(one.artist) != bool(ended.fullmatch(one.dates))] == []
    assert [one.path for one in artists if one.artist not in one.name] == []
    lives = {one.path: [int(year) for year in found.groups()] for one in artists if (found := ended.match(one.dates))}
    assert {path: (born, died) for path, (born, died) in lives.items() if not 21 < died - born < 106} == {}
    living = {one.dates for one in artists if not one.artist}
    assert [dates for dates in living if not re.fullmatch(r"(b\. 19\d\d|since 19\d\d)?", dates)] == []


def test_an_artist_of_several_categories_has_the_same_dates_in_each(paths: list[Path]) -> None:
    dates: dict[str, set[tuple[str, str]]] = {}
    for path in paths:
        dates.setdefault(path.artist.preset.name, set()).add((path.artist.preset.dates, path.artist.preset.id))
    assert {name: found for name, found in dates.items() if len(found) > 1} == {}


def test_nothing_is_ruled_out_that_is_asked_for(paths: list[Path]) -> None:
    both = {
        path.artist.preset.path: [
            part for part in parts(path.ruled_out) if re.search(rf"\b{re.escape(part)}\b", path.drawn)
        ]
        for path in paths
        if path.ruled_out
    }
    assert {name: found for name, found in both.items() if found} == {}


def test_the_content_rules_allow_every_path_with_plain_subjects(paths: list[Path]) -> None:
    refused = [
        (path.artist.preset.path, subject, found.rule)
        for path in paths
        if not path.category.preset.adult
        for subject in SUBJECTS
        if (found := check_texts(f"{subject}, {path.drawn}", path.ruled_out, adult=False))
    ]
    assert refused == []


def test_the_content_rules_allow_every_option_with_plain_subjects(paths: list[Path]) -> None:
    options = {one.text for path in paths if not path.category.preset.adult for one in path.options}
    refused = [
        (option, subject)
        for option in options
        for subject in SUBJECTS
        if check_texts(f"{subject}, {option}", adult=False)
    ]
    assert refused == []


def test_adult_paths_are_allowed_where_adult_pictures_are(paths: list[Path]) -> None:
    adult = [path for path in paths if path.category.preset.adult]
    refused = [
        (path.artist.preset.path, option.text)
        for path in adult
        for option in path.options
        if check_texts(f"an adult woman, {path.drawn}, {option.text}", path.ruled_out, adult=True)
    ]
    assert refused == []
    by_name = [
        one.path
        for one in (path.artist.preset for path in adult)
        if check_texts(f"an adult woman, {one.text}, in the style of {one.artist or 'nobody'}", adult=True)
    ]
    assert by_name == []


def test_adult_paths_speak_of_adults_and_are_refused_with_minors(paths: list[Path]) -> None:
    adult = [path for path in paths if path.category.preset.adult]
    assert [path.type.preset.path for path in adult if "adult" not in path.type.preset.text] == []
    assert all(part in parts(path.ruled_out) for path in adult for part in ("child", "teenager", "underage"))
    passed = [
        (path.artist.preset.path, subject)
        for path in adult
        for subject in ("a child", "a schoolgirl", "a 14 year old girl", "a teenage boy")
        if not (found := check_texts(f"{subject}, {path.drawn}", path.ruled_out, adult=True))
        or found.rule != "minor.sexual"
    ]
    assert passed == []


def test_no_text_speaks_of_minors_or_of_explicit_things(paths: list[Path]) -> None:
    young = re.compile(r"\b(girls?|boys?|child\w*|kids?|teen\w*|young|youth\w*|baby|schoolgirl\w*|maidens?)\b")
    assert [one.text for one in everything(paths) if one.adult and young.search(one.text)] == []
    explicit = re.compile(r"\b(explicit|genital\w*|nipples?|erotic\w*|porn\w*|sex\w*|naked|topless|breasts?)\b")
    assert [one.text for one in everything(paths) if explicit.search(one.text)] == []
