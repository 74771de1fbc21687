"""Kinds of weight files and ComfyUI's folders for them."""

from __future__ import annotations

from typing import get_args

import pytest

from workflows.folders import ALIASES, FOLDERS, OTHER_FOLDERS, kind_of_folder, plain_folder
from workflows.types.models import ModelKind


def test_every_kind_but_other_has_a_folder_of_its_own() -> None:
    assert set(FOLDERS) == set(get_args(ModelKind)) - {"other"}
    assert len(set(FOLDERS.values())) == len(FOLDERS)


@pytest.mark.parametrize("kind", sorted(FOLDERS))
def test_a_folder_tells_the_kind_that_belongs_there(kind: str) -> None:
    assert kind_of_folder(FOLDERS[kind]) == kind


@pytest.mark.parametrize(
    ("old", "folder", "kind"),
    [
        ("unet", "diffusion_models", "diffusion_model"),
        ("clip", "text_encoders", "text_encoder"),
        ("t2i_adapter", "controlnet", "controlnet"),
        ("UNet", "diffusion_models", "diffusion_model"),
    ],
)
def test_older_names_mean_the_folders_of_today(old: str, folder: str, kind: str) -> None:
    assert (plain_folder(old), kind_of_folder(old)) == (folder, kind)


def test_folders_without_a_kind_hold_other_weights_and_strange_ones_none() -> None:
    assert {kind_of_folder(folder) for folder in OTHER_FOLDERS} == {"other"}
    assert [kind_of_folder(folder) for folder in ("configs", "wildcards", "", "loras/style")] == [None] * 4


def test_an_alias_is_no_folder_of_today_and_means_one() -> None:
    assert not set(ALIASES) & set(FOLDERS.values())
    assert set(ALIASES.values()) <= set(FOLDERS.values())
