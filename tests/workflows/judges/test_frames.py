"""Videos before judges of still pictures: which frames they see, and the one verdict that comes of it."""

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

import clients
from tests.fakes import PROFILE, FakeJudge, png
from tests.utils import films
from utils.content_validator import Exposure
from utils.validation import ClipScorer
from utils.video import encoded
from workflows.judges import ClipJudge, MotionJudge
from workflows.judges.clip import in_order
from workflows.judges.content import verdict_on
from workflows.judges.frames import of_frames
from workflows.judges.panel import Panel
from workflows.types import Acceptance, Advice, FamilyProfile, Media, Recipe, Region, Verdict

FILM = Media(data=films.plain(12), media_type="video/mp4")
GIF = Media(data=films.animated("GIF", [100] * 12), media_type="image/gif")
STILL = Media(data=png(), media_type="image/png")
SOUND = Media(data=b"RIFF....WAVE", media_type="audio/wav")
BROKEN = Media(data=FILM.data[:300], media_type="video/mp4")
RECIPE = Recipe.checked(task="txt2vid", prompt="a blue square")


class Witness(FakeJudge):
    """A fake that remembers what it was shown."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.shown: list[Media] = []

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        self.shown += pictures
        return await super().judge(pictures, recipe, profile)


class Barring:
    """A gate that lets nothing with much red through."""

    name = "content"

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        shares = [Image.open(io.BytesIO(one.data)).convert("RGB").getpixel((5, 5)) for one in pictures]
        return [verdict_on(Exposure(unsafe=one[0] / 255, suggestive=0, graded=False), False) for one in shares]  # pyright: ignore


async def said(panel: Panel, *shown: Media, recipe: Recipe = RECIPE) -> list[tuple[Verdict, ...]]:
    return await panel.verdicts(shown, recipe, PROFILE)


@pytest.mark.parametrize(("judge", "frames"), [("clip", 8), ("content", 8), ("people", 4), ("vision", 4)])
@pytest.mark.parametrize("film", [FILM, GIF])
async def test_judges_of_pictures_see_frames_the_costly_ones_fewer(judge: str, frames: int, film: Media) -> None:
    witness = Witness(judge)
    [verdicts] = await said(Panel(judges=[witness]), film)
    assert [one.media_type for one in witness.shown] == ["image/png"] * frames
    assert [verdict.judge for verdict in verdicts] == [judge]


async def test_a_video_beside_a_picture_has_one_verdict_as_the_picture_has() -> None:
    quality, motion = Witness("quality"), MotionJudge()
    film, still, sound = await said(Panel(judges=[quality, motion]), FILM, STILL, SOUND)
    assert [verdict.judge for verdict in film] == ["quality", "motion"]
    assert [verdict.judge for verdict in still] == ["quality"]
    assert sound == ()
    assert len(quality.shown) == 5


async def test_the_motion_judge_is_not_asked_of_pictures() -> None:
    panel = Panel(judges=[MotionJudge()])
    picture = Recipe.checked(prompt="a blue square")
    assert (panel.hears(RECIPE), panel.hears(picture)) == (True, False)
    assert not panel.hears(RECIPE.but(acceptance=Acceptance(validate=False)))
    assert await said(panel, STILL, recipe=picture) == [()]


async def test_a_video_that_cannot_be_read_is_not_judged_in_words_and_passes_no_gate() -> None:
    clip, gate = Witness("clip"), Witness("content")
    [[verdict]] = await said(Panel(judges=[clip]), BROKEN)
    assert verdict.passed is None
    assert verdict.reason.startswith("Not judged: the video cannot be read: ")
    [[verdict]] = await said(Panel(judges=[clip], gate=gate), BROKEN)
    assert (verdict.barred, verdict.reason[:13]) == (True, "Not checked: ")
    assert clip.shown == gate.shown == []


async def test_one_barred_frame_bars_the_video() -> None:
    pages = [Image.new("RGB", (64, 48), (250 if number == 3 else 20, 20, 20)) for number in range(8)]
    film = Media(data=await asyncio.to_thread(encoded, pages, 8), media_type="video/mp4")
    clip = Witness("clip")
    [[verdict]] = await said(Panel(judges=[clip], gate=Barring()), film)
    assert (verdict.barred, verdict.hard, verdict.measures["frames_passed"]) == (True, True, 7 / 8)
    assert verdict.reason.startswith("In 1 of 8 frames: Image failed the content check")
    assert clip.shown == []


def frames(*scores: float | None, hard: bool = False) -> list[Verdict]:
    advice = (Advice(cause="anatomy", avoid=("blur",), repair=(Region(left=0, top=0, right=1, bottom=1),)),)
    return [
        Verdict(judge="pose", passed=None, reason="Not judged: no people")
        if score is None
        else Verdict(
            judge="pose",
            passed=score >= 0.5,
            score=score,
            merit=score,
            reason=f"scored {score}",
            advice=() if score >= 0.5 else advice,
            hard=hard and score < 0.5,
        )
        for score in scores
    ]


def test_the_middle_frame_speaks_for_the_video() -> None:
    verdict = of_frames("pose", frames(0.9, 0.2, 0.8, 0.7))
    assert (verdict.passed, verdict.score, verdict.reason) == (True, 0.7, "In 3 of 4 frames: scored 0.7")
    assert (verdict.measures["lowest_score"], verdict.measures["frames_passed"]) == (0.2, 0.75)
    assert of_frames("pose", frames(0.9, 0.9)).reason == "scored 0.9"


def test_a_fault_of_most_frames_is_one_of_the_video_but_no_part_of_it_can_be_painted_anew() -> None:
    verdict = of_frames("pose", frames(0.9, 0.2, 0.3, 0.4, hard=True))
    assert (verdict.passed, verdict.hard, verdict.advice[0].avoid) == (False, True, ("blur",))
    assert verdict.advice[0].repair == ()
    assert not of_frames("pose", frames(0.9, 0.9, 0.3, 0.4, hard=True)).hard


def test_frames_that_cannot_be_judged_are_left_out() -> None:
    assert of_frames("pose", frames(None, 0.9, None, None)).passed is True
    assert of_frames("pose", frames(None, None)).reason == "Not judged: no people"


@pytest.mark.models
async def test_clip_judges_a_video_by_the_mean_of_its_frames() -> None:
    scorer = ClipScorer(Path(clients.__file__).parent / "demo" / "clip")
    pages = [Image.new("RGB", (128, 128), "white") for _ in range(8)]
    for number, page in enumerate(pages):
        place = 40 + 4 * number
        ImageDraw.Draw(page).ellipse((place, 40, place + 40, 80), fill="red" if number < 7 else "blue")
    film = Media(data=await asyncio.to_thread(encoded, pages, 8), media_type="video/mp4")
    recipe = RECIPE.but(prompt="a red circle on a white background")
    panel = Panel(judges=[ClipJudge(lambda profile: scorer)])
    [[right]] = await said(panel, film, recipe=recipe)
    assert (right.passed, right.reason, right.measures["frames"]) == (True, "Image passed validation", 8)
    assert right.score is not None
    assert right.measures["lowest_score"] < right.score < right.measures["highest_score"]
    assert 0 < right.measures["ends_alike"] < 0.99
    [[wrong]] = await said(panel, film, recipe=recipe.but(prompt="two green triangles"))
    assert wrong.passed is False


@pytest.mark.models
async def test_clip_judges_a_prompt_of_scenes_scene_by_scene_in_their_order() -> None:
    scorer = ClipScorer(Path(clients.__file__).parent / "demo" / "clip")
    pages = [Image.new("RGB", (128, 128), "white") for _ in range(8)]
    for number, page in enumerate(pages):
        pen = ImageDraw.Draw(page)
        pen.ellipse((40, 40, 88, 88), fill="red") if number < 4 else pen.rectangle((40, 40, 88, 88), fill="blue")
    film = Media(data=await asyncio.to_thread(encoded, pages, 8), media_type="video/mp4")
    panel = Panel(judges=[ClipJudge(lambda profile: scorer)])
    circle, square = "a red circle on a white background", "a blue square on a white background"
    [[right]] = await said(panel, film, recipe=RECIPE.but(prompt=f"{circle} -> {square}"))
    assert (right.passed, right.reason, right.measures["scenes"]) == (True, "Image passed validation", 2)
    assert right.score == pytest.approx(right.measures["lowest_score"], abs=1e-4)
    assert {"a red circle", "a blue square"} <= right.atoms.keys()
    [[backwards]] = await said(panel, film, recipe=RECIPE.but(prompt=f"{square}, then {circle}"))
    [[lacking]] = await said(panel, film, recipe=RECIPE.but(prompt=f"{circle}, then a green triangle"))
    assert (backwards.passed, lacking.passed) == (False, False)
    assert lacking.reason.startswith("Scene 2 of 2 ('a green triangle'): Low positive CLIP score")
    assert lacking.advice[0].emphasise == ("green triangle",)


def test_frames_stand_in_the_order_of_their_scenes() -> None:
    assert in_order([[0.1, 0.9, 0.2], [0.8, 0.1, 0.7]]) == [1, 2]
    assert in_order([[0.9, 0.1], [0.9, 0.1], [0.1, 0.5]]) == [0, 0, 1]
    assert in_order([[0.3]]) == [0]


async def test_many_scenes_are_looked_for_in_more_frames() -> None:
    witness = Witness("clip")
    await said(Panel(judges=[witness]), FILM, recipe=RECIPE.but(prompt=" -> ".join(["a square"] * 4)))
    assert len(witness.shown) == 12
