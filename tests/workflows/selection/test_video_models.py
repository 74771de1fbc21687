"""Models that make videos are chosen for videos alone, and only they are."""

import pytest

from tests.fake_models import checkpoint, lora
from tests.workflows.test_chooser import Shelf, chooser_for
from workflows import selection
from workflows.errors import EngineUnavailable
from workflows.selection import Library, rank_models
from workflows.types import ModelInfo, Recipe, Task

PHOTO = checkpoint("photo-real", "sdxl", engine="fake", tags=("photo", "realistic"), downloads=90_000)
ANIME = checkpoint("anime-wonder", "illustrious", engine="fake", downloads=90_000)
WAN22 = checkpoint("wan2.2_t2v_high_noise_14B", "wan22-14b", engine="fake")
WAN5 = checkpoint("wan2.2_ti2v_5B", "wan22-5b", engine="fake")
SMALL = checkpoint("wan2.1_t2v_1.3B", "wan21-1.3b", engine="fake")
LTX = checkpoint("ltx-video-2b", "ltx-video", engine="fake")
NEON = lora("neon", "wan22-14b", engine="fake", tags=("neon", "fox"), triggers=("neonstyle",), downloads=40_000)
EVERY = (PHOTO, WAN5, ANIME, SMALL, WAN22, LTX, NEON)
VIDEO_TASKS: tuple[Task, ...] = ("txt2vid", "img2vid", "extend_video")


def wish(task: Task = "txt2vid", **more: object) -> Recipe:
    source = {} if task == "txt2vid" else {"source": "s"}
    return Recipe.checked(**({"prompt": "photo of a fox at night", "task": task, "auto_loras": True} | source | more))


def ranked(task: str, *infos: ModelInfo, **more: object) -> list[str]:
    analysis = selection.analyse("photo of a fox", None)
    found = rank_models(Library(infos), analysis, recipe_task=task, **more)  # pyright: ignore[reportArgumentType]
    return [one.name.removesuffix(".safetensors") for one in found]


@pytest.mark.parametrize("task", VIDEO_TASKS)
async def test_a_video_is_made_by_a_model_for_videos(task: Task) -> None:
    engine = Shelf(*EVERY)
    recipe, choice = await chooser_for(engine).choose(wish(task), [engine])
    assert choice is not None
    best = WAN22 if task == "txt2vid" else WAN5  # it is for words alone, as its name says
    assert recipe.model == best.name
    families = {one.family for one in choice.others}
    assert families <= {"wan22-5b", "wan21-1.3b", "ltx-video"}
    assert recipe.loras == ()


async def test_a_picture_is_never_drawn_by_a_model_for_videos() -> None:
    engine = Shelf(*EVERY)
    recipe, _ = await chooser_for(engine).choose(wish("txt2img"), [engine])
    assert recipe.model == "photo-real.safetensors"


async def test_one_model_for_videos_among_many_for_pictures_is_the_engines_own_choice() -> None:
    engine = Shelf(PHOTO, ANIME, WAN5)
    assert await chooser_for(engine).choose(wish(), [engine]) == (wish(), None)


def test_a_quick_video_is_made_by_a_quick_family_and_a_fine_one_by_a_slow_one() -> None:
    films = (WAN22, WAN5, SMALL, LTX)
    assert ranked("txt2vid", *films, quality="fast")[0] == "ltx-video-2b"
    assert ranked("txt2vid", *films, quality="high")[0] == "wan2.2_t2v_high_noise_14B"


def test_a_file_that_is_for_words_is_not_ranked_for_a_picture_and_a_pair_counts_once() -> None:
    pair = [
        checkpoint(f"wan2.2_{role}_{half}_noise_14B", "wan22-14b", engine="fake")
        for role in ("t2v", "i2v")
        for half in ("high", "low")
    ]
    assert ranked("txt2vid", *pair, SMALL) == ["wan2.2_t2v_high_noise_14B", "wan2.1_t2v_1.3B"]
    assert ranked("img2vid", *pair, SMALL, WAN5) == ["wan2.2_i2v_high_noise_14B", "wan2.2_ti2v_5B"]
    assert ranked("extend_video", SMALL, pair[1]) == ["wan2.2_t2v_low_noise_14B", "wan2.1_t2v_1.3B"]


def test_what_does_not_fit_into_the_memory_loses() -> None:
    sized = (WAN22.but(size=14_300_000_000), SMALL.but(size=2_900_000_000))
    assert ranked("txt2vid", *sized, memory_gb=6.0)[0] == "wan2.1_t2v_1.3B"
    assert ranked("txt2vid", *sized, memory_gb=24.0)[0] == "wan2.2_t2v_high_noise_14B"


def test_only_models_for_videos_are_ranked_for_a_video_and_they_come_last_for_a_picture() -> None:
    assert set(ranked("txt2vid", *EVERY)) == {one.plain_name for one in (WAN22, WAN5, SMALL, LTX)}
    assert ranked("txt2img", *EVERY)[:2] == ["photo-real", "anime-wonder"]


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        (None, "Good to begin with: Wan 2.1 1.3B"),
        (4.3, r"Good for this GPU \(4 GB\): Wan 2.1 1.3B"),
        (8.6, r"Good for this GPU \(9 GB\): Wan 2.2 5B, by download_model with hf:Comfy-Org/Wan_2.2"),
        (25.8, r"Good for this GPU \(26 GB\): Wan 2.2 14B"),
    ],
)
async def test_where_nothing_makes_videos_it_is_said_what_suits_the_memory(memory: float | None, said: str) -> None:
    class Pictures(Shelf):
        async def refusal(self, recipe: Recipe) -> str | None:
            return "This one draws pictures."

    engine = Pictures(PHOTO, ANIME)
    chooser = chooser_for(engine)
    chooser._memory[engine.name] = (float("inf"), memory)  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(EngineUnavailable, match=f"{said}.* What the engines say: This one draws pictures"):
        await chooser.choose(wish(), [engine])
