"""workflows.stamp: the row and the file of a kept picture agree, and tell truly how much of it a machine made."""

from __future__ import annotations

import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.utils.certificates import pair
from tests.utils.metadata_kit import GRAPH, PIXELS, PNG, WORKFLOW, encoded, shown, video
from utils.images import decode, sha256
from utils.likeness import distance, fingerprint
from utils.metadata import SourceType, media_type_of, read, read_parameters, stamped
from utils.signing import C2paSigner, NotSigned, manifest_of
from workflows.errors import BadRecipe
from workflows.stamp import as_format, own_version, source_type_of, stamped_item, with_hashes
from workflows.types import Attempt, Item, Job, LoraUse, Media, Recipe, Reference

WISH = Recipe(prompt="a red circle", negative="blur", seed=5, steps=4, cfg=6.5, width=64, height=64)
FACTS: dict[str, Any] = {"sampler": "Euler a", "scheduler": "karras", "graph": GRAPH, "workflow": WORKFLOW}
EDIT = WISH.but(task="img2img", source="inputs/a.png", denoise=0.6)


SHAPE: dict[str, Any] = {"number": 1, "key": "job/1/0.png", "media_type": "image/png", "width": 32, "height": 24}


def made(
    raw: Media | None = None, recipe: Recipe = WISH, drawn: Recipe | None = None, **given: Any
) -> tuple[Item, Media]:
    facts = given.pop("facts", FACTS)
    attempt = Attempt(
        **SHAPE,
        recipe=drawn or recipe,
        model="demo",
        model_hash="67ab2fd8ec",
        facts=facts,
        change="another seed",
    )
    raw = raw or Media(data=PNG, media_type="image/png")
    return stamped_item(raw, Job(recipe=recipe), recipe, attempt, "fake", **given)


def test_the_row_and_the_file_agree() -> None:
    item, media = made()
    stamp = read(media.data)

    assert (item.size, item.sha256, item.media_type, item.kind) == (
        len(media.data),
        sha256(media.data),
        "image/png",
        "image",
    )
    assert item.fingerprint == fingerprint(PNG)
    assert item.facts == FACTS | {"change": "another seed"}
    assert stamp.record is not None
    assert stamp.record["schema"] == 1
    told = {name: value for name, value in stamp.record.items() if name != "schema"}
    assert Item.model_validate(told | {name: getattr(item, name) for name in ("size", "sha256", "key")}) == item
    assert stamp.source_type == SourceType.TRAINED
    assert shown(media.data) == shown(PNG)
    assert f"<xmp:CreatorTool>Atelier {own_version()}</xmp:CreatorTool>" in stamp.texts["XML:com.adobe.xmp"]


def test_the_graphs_that_the_engine_ran_open_in_comfyui() -> None:
    texts = read(made()[1].data).texts

    assert (texts["prompt"], texts["workflow"]) == (json.dumps(GRAPH), json.dumps(WORKFLOW))
    assert not {"prompt", "workflow"} & read(made(facts={})[1].data).texts.keys()


def test_the_a1111_text_tells_what_was_drawn_with_what_civitai_looks_for() -> None:
    drawn = WISH.but(
        prompt="a (red:1.2) circle",
        seed=9,
        clip_skip=2,
        loras=(LoraUse(name="x/ink.safetensors", strength=0.5), LoraUse(name="both", clip_strength=0.2)),
    )
    facts = FACTS | {"vae": "vae-ft-mse", "lora_hashes": {"x/ink.safetensors": "0123456789ab"}}
    _, media = made(drawn=drawn, facts=facts)

    assert read_parameters(read(media.data).parameters or "") == {
        "prompt": "a (red:1.2) circle <lora:ink:0.5> <lora:both:1:0.2>",
        "negative_prompt": "blur",
        "Steps": "4",
        "Sampler": "Euler a",
        "CFG scale": "6.5",
        "Seed": "9",
        "Size": "32x24",
        "Model hash": "67ab2fd8ec",
        "Model": "demo",
        "Schedule type": "karras",
        "Clip skip": "2",
        "VAE": "vae-ft-mse",
        "Lora hashes": "ink: 0123456789ab",
        "Version": f"atelier {own_version()}",
        "Hashes": '{"model": "67ab2fd8ec", "lora:ink": "0123456789ab"}',
    }


def test_hashes_are_those_of_the_engine_and_where_it_tells_none_those_that_are_known() -> None:
    known = {
        ("ink.safetensors", "lora"): "aaaaaaaaaa",
        ("b", "lora"): "bbbbbbbbbb",
        ("demo", "checkpoint"): "67ab2fd8ec",
    }

    def hash_of(name: str, kinds: Collection[str]) -> str | None:
        return next((known[name, kind] for kind in kinds if (name, kind) in known), None)

    uses = (LoraUse(name="ink.safetensors"), LoraUse(name="b"), LoraUse(name="nobody's"))
    silent = Attempt(**SHAPE, recipe=WISH.but(loras=uses), model="demo", facts={"steps": 4})
    telling = silent.but(model_hash="0011223344", facts={"lora_hashes": {"b": "engine's"}})

    assert with_hashes(silent, hash_of) == silent.but(
        model_hash="67ab2fd8ec",
        facts={"steps": 4, "lora_hashes": {"ink.safetensors": "aaaaaaaaaa", "b": "bbbbbbbbbb"}},
    )
    assert with_hashes(telling, hash_of) == telling.but(
        facts={"lora_hashes": {"ink.safetensors": "aaaaaaaaaa", "b": "engine's"}}
    )
    unknown = silent.but(recipe=WISH, model="another")
    assert with_hashes(unknown, hash_of) == unknown


def test_the_class_that_drew_is_no_schedule() -> None:
    _, media = made(facts={"sampler": "euler_a", "scheduler": "EulerAncestralDiscreteScheduler"})
    settings = read_parameters(read(media.data).parameters or "")

    assert settings["Sampler"] == "Euler a"
    assert "Schedule type" not in settings


def imported(**facts: Any) -> Item:
    return made()[0].but(source="A1111", facts=facts)


OWN = made()[0]
COMPOSITE = made(recipe=EDIT)[0]
ENHANCED = made(recipe=WISH.but(task="upscale", source="inputs/a.png"))[0]


@pytest.mark.parametrize(
    ("recipe", "parent", "expected"),
    [
        (WISH, None, SourceType.TRAINED),
        (EDIT, None, SourceType.COMPOSITE),
        (EDIT, OWN, SourceType.TRAINED),
        (EDIT, COMPOSITE, SourceType.COMPOSITE),
        (EDIT, ENHANCED, SourceType.COMPOSITE),
        (EDIT, imported(), SourceType.COMPOSITE),
        (EDIT.but(task="inpaint"), imported(), SourceType.COMPOSITE),
        (EDIT.but(task="outpaint"), None, SourceType.COMPOSITE),
        (EDIT.but(task="upscale"), None, SourceType.ENHANCED),
        (EDIT.but(task="face_restore"), imported(), SourceType.ENHANCED),
        (EDIT.but(task="remove_background"), ENHANCED, SourceType.ENHANCED),
        (EDIT.but(task="upscale"), OWN, SourceType.TRAINED),
        (EDIT.but(task="upscale"), COMPOSITE, SourceType.COMPOSITE),
        (WISH.but(references=(Reference(image="a", mode="edit"),)), None, SourceType.COMPOSITE),
        (WISH.but(references=(Reference(image="a", mode="style"),)), None, SourceType.TRAINED),
    ],
)
def test_what_the_picture_was_made_from_decides_its_source_type(
    recipe: Recipe, parent: Item | None, expected: str
) -> None:
    item, media = made(recipe=recipe, parent=parent)

    assert source_type_of(recipe, parent) == expected
    assert read(media.data).source_type == expected
    assert item.facts.get("digital_source_type", SourceType.TRAINED) == expected


def test_a_repair_of_our_own_picture_is_no_edit_of_anothers() -> None:
    assert read(made(drawn=EDIT.but(task="inpaint"))[1].data).source_type == SourceType.TRAINED


def test_what_comfyui_made_of_another_type_becomes_a_png() -> None:
    item, media = made(Media(data=encoded("WEBP", lossless=True), media_type="image/webp"))

    assert (item.media_type, media.media_type, media_type_of(media.data)) == ("image/png",) * 3
    assert decode(media.data).tobytes() == PIXELS.tobytes()


def test_a_video_stays_as_it_is_and_says_what_made_it(tmp_path: Path) -> None:
    raw = Media(data=video(tmp_path, "libx264"), media_type="video/mp4")
    item, media = made(raw)

    assert (item.kind, item.media_type, item.fingerprint is not None) == ("video", "video/mp4", True)
    assert shown(media.data) == shown(raw.data)
    stamp = read(media.data)
    assert (stamp.record or {})["id"] == item.id
    assert stamp.texts["prompt"] == json.dumps(GRAPH)


def test_with_a_certificate_the_file_is_signed_last(tmp_path: Path) -> None:
    files = pair(tmp_path)
    item, media = made(signer=C2paSigner(files.cert, files.key), recipe=EDIT)
    manifest = manifest_of(media.data)

    assert manifest is not None
    assert (manifest.valid, manifest.title) == (True, f"{item.id}.png")
    assert {*manifest.source_types} == {SourceType.COMPOSITE}
    assert (item.size, item.sha256) == (len(media.data), sha256(media.data))


class Unwilling:
    """A signer whose certificate ran out since it was opened."""

    def sign(self, media: Media, source_type: str, title: str) -> Media:
        raise NotSigned("the certificate ran out")


def test_a_picture_that_cannot_be_signed_is_kept_and_says_so() -> None:
    item, media = made(signer=Unwilling(), facts={"notes": ["Drawn smaller."]})

    assert item.facts["notes"] == ["Drawn smaller.", "It is not signed (C2PA): the certificate ran out."]
    assert shown(media.data) == shown(PNG)
    assert not read(media.data).signed


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/webp"])
def test_a_copy_in_another_format_looks_the_same_and_tells_the_same(media_type: str) -> None:
    item, media = made(recipe=EDIT)
    copy = as_format(item, media, media_type)

    assert (copy.media_type, media_type_of(copy.data)) == (media_type, media_type)
    assert distance(fingerprint(copy.data), fingerprint(media.data)) <= 2
    before, after = read(media.data), read(copy.data)
    assert (after.parameters, after.record, after.source_type) == (before.parameters, before.record, before.source_type)
    assert after.texts["prompt"] == json.dumps(GRAPH)


def test_what_is_transparent_stays_so_in_webp_and_lies_on_white_in_jpeg() -> None:
    pane = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    pane.paste((0, 0, 255, 255), (0, 0, 32, 64))
    media = Media(data=encoded("PNG", pane), media_type="image/png")

    webp = decode(as_format(OWN, media, "image/webp").data)
    jpeg = decode(as_format(OWN, media, "image/jpeg").data)
    assert (webp.mode, webp.getchannel("A").getpixel((60, 30)), webp.getchannel("A").getpixel((4, 30))) == (
        "RGBA",
        0,
        255,
    )
    assert jpeg.getpixel((60, 30)) == (255, 255, 255)


def test_the_colours_of_a_profile_stay_what_they_are() -> None:
    media = Media(data=encoded("PNG", icc_profile=b"a profile of 24 bytes..."), media_type="image/png")

    with Image.open(io.BytesIO(as_format(OWN, media, "image/webp").data)) as opened:
        assert opened.info["icc_profile"] == b"a profile of 24 bytes..."


def test_the_same_format_is_the_same_file_and_a_video_has_no_other() -> None:
    _, media = made()

    assert as_format(OWN, media, "image/png") is media
    with pytest.raises(BadRecipe, match="image/gif"):
        as_format(OWN, media, "image/gif")
    with pytest.raises(BadRecipe, match="is a video"):
        as_format(OWN.but(kind="video"), Media(data=b"", media_type="video/mp4"), "image/webp")
    with pytest.raises(BadRecipe, match="cannot be converted"):
        as_format(
            OWN,
            Media(
                data=stamped(PNG, "image/png", parameters="", record={}, source_type=None)[:90], media_type="image/png"
            ),
            "image/webp",
        )
