"""What a video takes of a memory: its frames count, its number does not."""

import pytest

from workflows.families import family
from workflows.memory import GB, Device, decoding_bytes, need_of, plan, sampling_bytes
from workflows.types import Recipe

CARD = Device(total_gb=24.0, free_gb=24.0, ram_free_gb=64.0, streaming="dynamic", encoder_on_cpu=True)


def film(name: str, **more: object) -> Recipe:
    return Recipe.checked(**({"prompt": "a fox", "task": "txt2vid"} | more))


@pytest.mark.parametrize(
    ("name", "frames", "counted"),
    [("wan21-14b", None, 81), ("wan21-14b", 33, 33), ("wan21-14b", 30, 29), ("wan22-5b", None, 121), ("svd", 14, 14)],
)
def test_a_video_needs_room_for_the_frames_that_are_drawn(name: str, frames: int | None, counted: int) -> None:
    need = need_of(None, family(name), film(name, frames=frames))
    assert (need.frames, need.batch) == (counted, 1)


def test_a_picture_is_one_frame_and_videos_are_made_one_by_one() -> None:
    assert need_of(None, family("sdxl"), Recipe(prompt="x", count=4)).frames == 1
    assert need_of(None, family("sdxl"), Recipe(prompt="x", count=4)).batch == 4
    assert need_of(None, family("wan21-14b"), film("wan21-14b", count=4)).batch == 1


@pytest.mark.parametrize(
    "name", ["wan21-1.3b", "wan22-14b", "wan22-5b", "ltx-video", "ltx2", "hunyuan-video-15", "svd"]
)
def test_a_longer_video_takes_more_to_sample(name: str) -> None:
    profile = family(name).profile
    short, long = (need_of(None, family(name), film(name, frames=n)) for n in (9, profile.frames))
    assert sampling_bytes(long, CARD, pair=False) > 1.5 * sampling_bytes(short, CARD, pair=False)
    assert decoding_bytes(long, CARD, tiled=True) <= decoding_bytes(long, CARD)


def test_wan_samples_as_comfyui_estimates_it() -> None:
    need = need_of(None, family("wan21-14b"), film("wan21-14b"))
    latent_frames, cells = 21, 104 * 60
    assert sampling_bytes(need, CARD, pair=False) == round(cells * latent_frames * 2 * 0.01 * 2.3 * 2**20)


@pytest.mark.parametrize(
    ("name", "size", "gib", "fits"),
    [
        ("wan21-1.3b", 2.84, 6, True),
        ("wan22-5b", 10.0, 8, True),
        ("wan22-14b", 14.3, 16, True),
        ("wan22-14b", 14.3, 24, True),
        ("wan22-14b", 14.3, 4, False),
    ],
)
def test_what_runs_in_practice_fits_on_a_server_that_streams(name: str, size: float, gib: int, fits: bool) -> None:
    device = Device(total_gb=gib * 1.0737, ram_free_gb=64.0, streaming="dynamic", encoder_on_cpu=True)
    need = need_of(round(size * GB), family(name), film(name), precision="fp8" if "14b" in name else "fp16")
    planned = plan(need, device, engine="comfyui")
    assert (planned.peak_gb <= (planned.available_gb or 0)) is fits, planned


def test_a_short_memory_decodes_a_video_in_tiles() -> None:
    need = need_of(round(10 * GB), family("wan22-5b"), film("wan22-5b"), precision="fp16")
    planned = plan(need, Device(total_gb=8.6, ram_free_gb=64.0, streaming="dynamic"), engine="comfyui")
    assert "vae_tiled" in planned.levers
