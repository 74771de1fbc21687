"""Which model is proposed to begin with."""

from __future__ import annotations

import pytest

from workflows.errors import NotFound
from workflows.families import families
from workflows.starters import Machine, for_video, propose, starter, starters

LAPTOP = Machine(ram_gb=16, disk_gb=100)
GAMER = Machine(gpu="RTX", gpu_gb=16, ram_gb=32, disk_gb=200)
STATION = Machine(gpu="H100", gpu_gb=80, ram_gb=128, disk_gb=1000)


@pytest.mark.parametrize(
    ("machine", "engine", "first"),
    [
        (LAPTOP, "diffusers", "sd15"),
        (LAPTOP, "comfyui", "sd15-comfyui"),
        (GAMER, "diffusers", "sdxl"),
        (GAMER, "comfyui", "z-image-turbo"),
        (STATION, "diffusers", "flux-schnell"),
    ],
)
def test_the_best_model_that_fits_comes_first(machine: Machine, engine: str, first: str) -> None:
    proposals = propose(machine, {engine})

    assert (proposals[0].starter.name, proposals[0].fits) == (first, True)


def test_what_does_not_fit_comes_last_with_its_reasons() -> None:
    small = Machine(ram_gb=4, disk_gb=3)

    proposals = propose(small, {"diffusers"})

    assert not any(one.fits for one in proposals)
    assert starter("sd15") == proposals[-1].starter
    assert proposals[-1].against == (
        "it wants 6 GB of memory, here are 4",
        "it takes 2.8 GB of the disk, 3 GB are free",
    )


def test_no_engine_means_no_proposal() -> None:
    assert propose(STATION, ()) == []


def test_a_name_that_is_none_is_refused_with_the_near_ones() -> None:
    with pytest.raises(NotFound, match="sd15"):
        starter("sd-15")


def test_every_starter_is_of_a_known_family_and_drawn_by_its_engine() -> None:
    for one in starters():
        known = families()[one.family]
        drawn = (
            bool(known.pipelines)
            if one.engine == "diffusers"
            else bool(known.comfyui.checkpoint or known.comfyui.split)
        )
        assert drawn, one.name
        assert all(reference.startswith("hf:") for reference in one.references)


def test_a_video_model_is_proposed_from_the_very_memory_that_it_wants() -> None:
    films = [one for one in starters() if one.video]
    best = films[0]
    assert for_video(best.gpu_gb) is best
    assert for_video(best.gpu_gb - 0.1).gpu_gb < best.gpu_gb
    assert for_video(None) is for_video(0.5) is min(films, key=lambda one: one.gpu_gb)
