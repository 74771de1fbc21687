"""The user's own presets, from folders and from the ledger: they stand above ours, and the content rules are theirs
too."""

from pathlib import Path

import pytest

from tests.workflows.presets.kit import flat, group, put, style
from workflows.errors import BadRecipe, NotFound, Refused
from workflows.presets import Presets, acceptable
from workflows.types import ArtistNode, Preset, TypeNode

NUDITY = "Nudity is switched off on this server."
NEVER = "Sexual content with minors is never made."
OURS = Presets().shelf()


def own(name: str = "Fog", text: str = "thick fog", **more: object) -> Preset:
    return Preset.checked(**{"id": name.lower().replace(" ", "-"), "name": name, "kind": "style", "text": text} | more)


def test_a_users_preset_takes_the_place_of_ours(tmp_path: Path) -> None:
    put(tmp_path, "mine.json", flat(style("Cinematic", "my own film look")))
    shelf = Presets([tmp_path]).shelf()
    mine = own("Cinematic", "my own film look", path="style:cinematic", own=True)
    assert shelf.find("cinematic") == (mine,)
    assert [preset.id for preset in shelf.flat["style"]] == [preset.id for preset in OURS.flat["style"]]
    assert [preset for preset in shelf.flat["style"] if preset != mine] == list(OURS.flat["style"][1:])


def test_a_later_folder_stands_above_an_earlier_one_and_the_ledger_above_all(tmp_path: Path) -> None:
    put(tmp_path / "a", "z.json", flat(style(text="first"), style("Rain", "fine rain")))
    put(tmp_path / "b", "a.json", flat(style(text="second")))
    presets = Presets([tmp_path / "a", tmp_path / "b"])
    assert [presets.shelf().find(name)[0].text for name in ("fog", "rain")] == ["second", "fine rain"]
    assert presets.shelf([own(text="third")]).find("fog") == (own(text="third", path="style:fog", own=True),)
    assert presets.shelf().find("fog")[0].text == "second"


def test_a_users_category_adds_to_ours_by_id(tmp_path: Path) -> None:
    artist = style("Mia Berg", "cold harbour light")
    changed = style("Irving Penn", "my words for it")
    types = [style("Portrait", "", artists=[artist, changed]), style("Harbour", "old harbour", artists=[artist])]
    lens = [group("lens", "Pinhole")]
    put(tmp_path, "photo.json", style("Photography", "", kind="category", types=types, technical=lens))
    shelf, category = Presets([tmp_path]).shelf(), OURS.category("photography")
    mine = shelf.category("photography")
    assert mine.preset == category.preset
    assert [type_.preset.id for type_ in mine.types] == [*(one.preset.id for one in category.types), "harbour"]
    before = OURS.type("photography", "portrait")
    portrait = shelf.type("photography", "portrait")
    assert portrait.preset == before.preset
    assert {one.preset.id: one.preset.text for one in portrait.artists} == {
        one.preset.id: one.preset.text for one in before.artists
    } | {"irving-penn": "my words for it", "mia-berg": "cold harbour light"}
    assert shelf.find("photography/harbour/mia-berg/lens/pinhole")[-1] == Preset(
        id="pinhole",
        name="Pinhole",
        kind="option",
        path="photography/harbour/mia-berg/lens/pinhole",
        text="Pinhole text",
        own=True,
    )
    assert [one.preset.id for one in portrait.artists if one.preset.own] == ["irving-penn", "mia-berg"]


def test_a_category_and_universal_options_and_packs_of_ones_own(tmp_path: Path) -> None:
    put(tmp_path, "sea.json", style("Sea", "open sea", kind="category", types=[style("Storm", "a storm")]))
    put(tmp_path, "more.json", {"kind": "universal", "groups": [group("mood", "Salty"), group("tide", "low")]})
    pack = {"id": "a", "name": "A", "presets": ["sea/storm", "mood:salty", "tide:low", "style:mine"]}
    broken = {"id": "b", "name": "B", "presets": ["mood:salty", "sea/calm"]}
    put(tmp_path, "packs.json", {"kind": "packs", "packs": [pack, broken]})
    shelf = Presets([tmp_path]).shelf([own("Mine")])
    sea = Preset(id="sea", name="Sea", kind="category", path="category:sea", text="open sea", own=True)
    storm = Preset(id="storm", name="Storm", kind="type", path="sea/storm", text="a storm", own=True)
    assert shelf.category("sea").types == (TypeNode(preset=storm, artists=()),)
    assert [preset.path for preset in shelf.find("pack:a")] == [
        "category:sea",
        "sea/storm",
        "mood:salty",
        "tide:low",
        "style:mine",
    ]
    assert shelf.find("sea") == (sea,)
    assert len(shelf.universal[0].options) == len(OURS.universal[0].options) + 1
    assert shelf.faults == ("pack b is left out: there is no preset sea/calm",)


def test_a_pack_holds_no_pack(tmp_path: Path) -> None:
    packs = [{"id": name, "name": name, "presets": ["pack:a"]} for name in ("a", "b")]
    put(tmp_path, "packs.json", {"kind": "packs", "packs": packs})
    faults = tuple(f"pack {name} is left out: there is no preset pack:a" for name in ("a", "b"))
    shelf = Presets([tmp_path]).shelf()
    assert (shelf.packs, shelf.faults) == (OURS.packs, faults)


def test_what_the_content_rules_refuse_is_left_out_and_named(tmp_path: Path) -> None:
    artists = [style("Mia Berg", "a nude woman"), style("Bo Ek", "dark quays")]
    options = group("pose", "sitting")
    options["options"].append(style("Bare", "completely nude"))
    types = [style("Harbour", "a harbour", artists=artists, specifics=[options])]
    put(tmp_path, "a.json", flat(style("Bare", "a nude woman"), style()))
    put(tmp_path, "b.json", style("Sea", "open sea", kind="category", types=types))
    shelf = Presets([tmp_path]).shelf()
    assert shelf.faults == (
        f"{tmp_path.name}/a.json: style bare is left out: {NUDITY}",
        f"{tmp_path.name}/b.json: artist mia-berg is left out: {NUDITY}",
        f"{tmp_path.name}/b.json: option bare is left out: {NUDITY}",
    )
    assert shelf.has("style:fog")
    assert [artist.preset.id for artist in shelf.type("sea", "harbour").artists] == ["bo-ek"]
    assert shelf.has("sea/harbour/bo-ek/pose/sitting")
    assert not shelf.has("sea/harbour/bo-ek/pose/bare")


def test_where_adult_presets_are_allowed_the_users_are_marked_and_some_things_never_are(tmp_path: Path) -> None:
    never = style("Never", "a nude child")
    put(tmp_path, "a.json", flat(style("Bare", "a nude woman"), style(), style("Night", adult=True), never))
    shelf = Presets([tmp_path], adult=True).shelf()
    adult = {name: shelf.find(f"style:{name}")[0].adult for name in ("bare", "fog", "night")}
    assert adult == {"bare": True, "fog": False, "night": True}
    assert shelf.faults == (f"{tmp_path.name}/a.json: style never is left out: {NEVER}",)


def test_adult_presets_of_the_user_are_passed_over_where_they_are_not_allowed(tmp_path: Path) -> None:
    put(tmp_path, "a.json", flat(style(adult=True)))
    put(tmp_path, "b.json", style("Sea", "open sea", kind="category", adult=True, types=[style("Storm", "a storm")]))
    packs = [{"id": "a", "name": "A", "presets": ["style:fog"], "adult": True}]
    put(tmp_path, "c.json", {"kind": "packs", "packs": packs})
    shelf = Presets([tmp_path]).shelf([own("Rain", adult=True)])
    assert (shelf.references(), shelf.faults) == (OURS.references(), ())
    allowed = Presets([tmp_path], adult=True).shelf([own("Rain", adult=True)])
    assert all(preset.adult for name in ("sea/storm", "pack:a", "rain") for preset in allowed.find(name))


def test_what_hangs_from_an_adult_category_is_adult(tmp_path: Path) -> None:
    artist = style("Mia Berg", "soft light", technical=[group("lens", "long")])
    added = style("Sea", "", kind="category", types=[style("Storm", "", artists=[artist])])
    put(tmp_path, "a.json", style("Sea", "open sea", kind="category", adult=True, types=[style("Storm", "a storm")]))
    put(tmp_path, "b.json", added)
    assert [preset.adult for preset in Presets([tmp_path], adult=True).shelf().find("sea/storm/mia-berg")] == [True] * 3


def test_what_the_ledger_holds_and_cannot_be_used_is_named() -> None:
    kept = [own("Bare", "a nude woman"), own("Weights", "(fog:1.2)"), own("Mood", kind="option"), own()]
    shelf = Presets().shelf(kept)
    assert [preset.id for preset in shelf.flat["style"] if preset.own] == ["fog"]
    rule = "it is one line of plain words, without brackets, weights, backslashes and hidden characters"
    assert shelf.faults == (
        f"style bare is left out: Refused (adult.nudity): {NUDITY}",
        f"style weights is left out: text cannot be '(fog:1.2)': {rule}.",
        "option mood is left out: kind cannot be 'option': it is style, artist, composition or lighting.",
    )


def test_a_preset_may_be_kept_with_its_path_and_its_mark() -> None:
    assert acceptable(own(path="anything")) == own(path="style:fog", own=True)
    bare = own("Bare", "a nude woman")
    assert acceptable(bare, adult=True) == bare.but(path="style:bare", own=True, adult=True)
    with pytest.raises(Refused, match="Nudity is switched off"):
        acceptable(bare)
    with pytest.raises(BadRecipe, match="adult presets are switched off"):
        acceptable(own(adult=True))
    with pytest.raises(BadRecipe, match="hint cannot be 'oil': it is"):
        acceptable(own(hint="oil"))
    with pytest.raises(BadRecipe, match="text cannot be '': String should have at least 1 character"):
        acceptable(own(text=""))


def test_negatives_that_rule_clothing_out_are_refused_with_people(tmp_path: Path) -> None:
    put(tmp_path, "a.json", flat(style(negative="clothes, dress, shirt")))
    assert not Presets([tmp_path]).shelf().has("style:fog")


def test_an_artist_without_options_has_none(tmp_path: Path) -> None:
    put(tmp_path, "a.json", style("Sea", "open sea", kind="category", types=[style("A", "b", artists=[style("C")])]))
    shelf = Presets([tmp_path]).shelf()
    preset = Preset(id="c", name="C", kind="artist", path="sea/a/c", text="thick fog", own=True)
    assert shelf.artist("sea", "a", "c") == ArtistNode(preset=preset)
    with pytest.raises(NotFound):
        shelf.find("sea/a/c/lens/wide")
