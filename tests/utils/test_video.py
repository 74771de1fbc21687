"""Videos: what is read of them, written, joined and brought to another rate, and what is refused."""

import io
import random
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.utils import films
from utils import video
from utils.video import BadVideo, Clip


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def distance(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def square(picture: Image.Image) -> int:
    """Where the blue square's left edge is; -1 without any."""
    levels = np.asarray(picture, int)[18]
    blue = np.flatnonzero(levels[:, 2] - levels[:, 0] > 60)
    return int(blue[0]) if len(blue) else -1


def middle(picture: Image.Image) -> float:
    """The middle of the blue square."""
    levels = np.asarray(picture, float)[18]
    weights = (levels[:, 2] - levels[:, 0]).clip(0)
    return float((weights * np.arange(len(weights))).sum() / weights.sum())


def all_pictures(made: bytes) -> object:
    return list(video.pictures(made))


def three(made: bytes) -> object:
    return video.sampled(made, 3)


def doubled(made: bytes) -> object:
    return video.joined(made, films.plain(3))


def test_what_was_encoded_is_read_again_with_its_colours() -> None:
    drawn = films.pictures(8)
    made = video.encoded(drawn, 8)
    assert video.probe(made) == Clip(64, 48, 8, 8.0, 1.0, False, "h264")
    assert max(map(distance, video.pictures(made), drawn)) < 3
    flat = video.encoded([np.full((64, 64, 3), (255, 0, 0), np.uint8)] * 2, 8)
    assert distance(next(video.pictures(flat)), Image.new("RGB", (64, 64), (255, 0, 0))) < 1


def test_the_index_of_an_mp4_comes_first_so_that_browsers_begin_at_once() -> None:
    made = films.plain()
    assert made.index(b"moov") < made.index(b"mdat")


@pytest.mark.parametrize(("fps", "seconds"), [(23.976, 10 * 1001 / 24000), (12.5, 0.8), (120, 10 / 120)])
def test_odd_sizes_and_rates_are_kept(fps: float, seconds: float) -> None:
    clip = video.probe(video.encoded(films.pictures(10, (63, 65)), fps))
    assert (clip.width, clip.height, clip.frames) == (64, 66, 10)
    assert clip.seconds == pytest.approx(seconds, abs=0.001)


def test_frames_of_another_size_are_scaled_to_the_first() -> None:
    made = video.encoded([films.pictures(1)[0], films.pictures(1, (128, 96))[0]], 8)
    assert video.probe(made) == Clip(64, 48, 2, 8.0, 0.25, False, "h264")


def test_no_frames_are_no_video() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        video.encoded([], 8)


def test_sampled_frames_are_spread_from_the_first_to_the_last() -> None:
    made = films.plain(9)
    assert [square(opened(png)) for png in video.sampled(made, 5)] == pytest.approx([0, 4, 8, 12, 16], abs=1)
    assert len(video.sampled(made, 20)) == 9
    assert len(video.sampled(made, 1)) == 1


def test_a_frame_is_found_from_both_ends() -> None:
    made = films.plain(9)
    places = [square(opened(video.frame(made, place))) for place in (0, 3, -1, -9)]
    assert places == pytest.approx([0, 6, 16, 0], abs=1)
    with pytest.raises(IndexError):
        video.frame(made, 9)


def test_a_joined_video_leaves_out_what_both_have() -> None:
    whole = video.joined(films.plain(8), films.plain(5), drop=2)
    assert video.probe(whole) == Clip(64, 48, 11, 8.0, 11 / 8, False, "h264")
    places = [square(picture) for picture in video.pictures(whole)]
    assert places == pytest.approx([0, 2, 4, 6, 8, 10, 12, 14, 4, 6, 8], abs=1)
    with pytest.raises(ValueError, match="5 frames; 5 cannot be left out"):
        video.joined(films.plain(8), films.plain(5), drop=5)


def test_the_second_video_takes_the_size_and_the_rate_of_the_first() -> None:
    whole = video.joined(films.plain(8), films.plain(32, 16, (128, 96)), drop=0)
    assert video.probe(whole) == Clip(64, 48, 24, 8.0, 3.0, False, "h264")


@pytest.mark.parametrize(("loud", "expected"), [((1, 0), [0.5, 0.0]), ((0, 1), [0.0, 0.5]), ((1, 1), [0.5, 0.5])])
def test_sound_is_kept_and_silence_stands_for_the_other(loud: tuple[int, int], expected: list[float]) -> None:
    first, second = (films.with_sound(16) if one else films.plain(16) for one in loud)
    whole = video.joined(first, second, drop=0)
    assert video.probe(whole).has_audio
    heard = films.loudness(whole, 8)
    assert [heard[1], heard[6]] == pytest.approx(expected, abs=0.15)


def test_resampling_keeps_length_and_sound_and_draws_what_lies_between() -> None:
    slow = films.with_sound(8)
    fast = video.resampled(slow, 32)
    assert video.probe(fast) == Clip(64, 48, 32, 32.0, 1.0, True, "h264")
    places = [square(picture) for picture in video.pictures(fast)]
    assert places == sorted(places)
    middles = [middle(picture) for picture in video.pictures(fast)]
    assert max(after - before for before, after in pairwise(middles[:29])) < 1.5  # of two pixels a frame
    assert films.loudness(fast, 4)[1] == pytest.approx(0.5, abs=0.15)


def test_a_lower_rate_leaves_frames_out() -> None:
    slow = video.resampled(films.plain(16), 4)
    assert video.probe(slow) == Clip(64, 48, 8, 4.0, 2.0, False, "h264")


@pytest.mark.parametrize("size", [(16, 16), (34, 62)])
def test_tiny_videos_are_resampled_too(size: tuple[int, int]) -> None:
    assert video.probe(video.resampled(films.plain(4, 8, size), 16)).frames == 8
    assert video.probe(video.resampled(films.plain(1, 8, size), 16)).frames == 2


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_animated_pictures_become_videos_at_their_own_pace(form: str) -> None:
    made = films.animated(form, [100, 100, 300, 100, 200, 200])
    assert video.sniff_video(made) == f"image/{form.lower()}"
    clip = video.probe(made)
    assert (clip.frames, clip.seconds, clip.codec) == (6, 1.0, form.lower())
    mp4 = video.as_mp4(made)
    assert video.probe(mp4).seconds == pytest.approx(1.0, abs=0.1)
    assert distance(opened(video.frame(mp4, -1)), films.pictures(6)[-1]) < 12


def test_a_gif_is_read_while_another_thread_is_importing_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", ModuleType("av"))  # as it is halfway through its import
    assert video.probe(films.animated("GIF", [100, 100])).frames == 2


def test_stills_are_no_videos() -> None:
    for form in ("GIF", "WEBP", "PNG"):
        buffer = io.BytesIO()
        films.pictures(1)[0].save(buffer, form)
        assert video.sniff_video(buffer.getvalue()) is None
        with pytest.raises(BadVideo, match="not an MP4"):
            video.probe(buffer.getvalue())


def test_a_webm_without_a_length_is_measured_by_its_frames() -> None:
    live = films.timed([0, 40, 80, 120, 160], live="1")
    assert video.sniff_video(live) == "video/webm"
    clip = video.probe(live)
    assert (clip.frames, clip.codec) == (5, "vp9")
    assert clip.seconds == pytest.approx(0.2, abs=0.01)
    assert video.probe(video.as_mp4(live)) == Clip(64, 48, 5, 25.0, 0.2, False, "h264")


def test_frames_of_uneven_times_are_shown_as_long_as_they_were() -> None:
    uneven = films.timed([0, 100, 200, 600, 700, 800], "mp4", "libx264")
    places = [square(picture) for picture in video.pictures(video.resampled(uneven, 5))]
    assert places[1:3] == pytest.approx([4, 4], abs=2)
    assert video.probe(video.as_mp4(uneven)) is not None


def test_an_mp4_that_all_players_show_stays_as_it_is() -> None:
    made = films.plain()
    assert video.as_mp4(made) is made
    quicktime = made.replace(b"ftypisom", b"ftypqt  ", 1)
    assert video.as_mp4(quicktime) != quicktime


def test_a_turned_video_is_shown_upright() -> None:
    clip = video.probe(films.turned(films.plain()))
    assert (clip.width, clip.height) == (48, 64)
    first = next(video.pictures(films.turned(films.plain())))
    assert distance(first, films.pictures(1)[0].rotate(-90, expand=True)) < 3


def test_a_sheet_shows_frames_in_rows_of_three() -> None:
    page = opened(video.sheet(films.plain(9), 9))
    assert page.size == (3 * 64 + 8, 3 * 48 + 8)
    assert distance(page.crop((136, 104, 200, 152)), films.pictures(9)[-1]) < 4
    assert opened(video.sheet(films.plain(2), 9)).size == (2 * 64 + 4, 48)


def test_more_than_is_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from utils._video import reading

    with pytest.raises(BadVideo, match="longer than 600 seconds"):
        video.probe(films.timed([0, 601_000], "mp4", "libx264"))
    with pytest.raises(BadVideo, match="edges of 1 to 4096"):
        video.encoded([Image.new("RGB", (4098, 16))], 8)
    with pytest.raises(BadVideo, match=r"4160 x 16|damaged"):
        video.probe(films.timed([0, 40], size=(4160, 16)))
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    with pytest.raises(BadVideo, match="at most 1,000 are read"):
        video.probe(films.plain())


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x00\x00\x00\x18ftypmp42" + bytes(64), b"\x1a\x45\xdf\xa3webm", b"GIF89a"]
)
def test_what_is_no_video_is_refused(content: bytes) -> None:
    for use in (video.probe, video.as_mp4, video.sheet, all_pictures):
        with pytest.raises(BadVideo):
            use(content)


def test_a_playlist_in_the_name_of_a_video_opens_no_file(tmp_path: Path) -> None:
    """FFmpeg would read other files for a playlist, were it asked what the bytes are."""
    (tmp_path / "own.mp4").write_bytes(films.plain())
    playlist = f"ffconcat version 1.0\nfile '{tmp_path / 'own.mp4'}'\n".encode()
    for disguise in (playlist, b"\x00\x00\x00\x18ftyp" + playlist, b"#EXTM3U\n" + bytes(tmp_path / "own.mp4")):
        with pytest.raises(BadVideo):
            video.probe(disguise)


def test_a_video_that_was_cut_gives_the_frames_that_are_left() -> None:
    chance = np.random.default_rng(1)
    made = video.encoded((chance.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(20)), 10)
    cut = made[: len(made) * 3 // 4]
    assert 10 < sum(1 for _ in video.pictures(cut)) < 20
    assert len(video.sampled(cut, 4)) == 4


def test_damaged_videos_raise_nothing_but_bad_video() -> None:
    chance = random.Random(8)
    whole = [films.with_sound(6), films.timed([0, 40, 80, 120]), films.animated("GIF", [50] * 4)]
    whole.append(films.animated("WEBP", [50] * 4))
    read = 0
    for number in range(160):
        made = bytearray(whole[number % len(whole)])
        for _ in range(chance.choice((1, 4, 30))):
            made[chance.randrange(len(made))] = chance.randrange(256)
        damaged = bytes(made[: chance.randrange(len(made))] if number % 3 == 0 else made)
        for use in (
            video.probe,
            three,
            video.as_mp4,
            doubled,
        ):
            try:
                use(damaged)
                read += 1
            except BadVideo:
                continue
    assert read > 100  # many damages are borne


def test_long_videos_are_streamed() -> None:
    """120 frames of 640x360 are 83 MB."""
    big = (np.full((360, 640, 3), number % 200, np.uint8) for number in range(120))
    tracemalloc.start()
    try:
        made = video.encoded(big, 30)
        assert video.probe(video.resampled(made, 15)).frames == 60
        assert tracemalloc.get_traced_memory()[1] < 25_000_000
    finally:
        tracemalloc.stop()
