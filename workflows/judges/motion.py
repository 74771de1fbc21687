"""Does the video move, and does it move well? It speaks of videos only; what they show is not its matter."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from utils.motion import Motion, motion_of
from utils.video import BadVideo, PyAvMissing, pictures, probe
from workflows.errors import ExtraMissing
from workflows.types import Advice, FamilyProfile, Media, Recipe, Verdict

FLICKER = 0.02
"""Of lightness, or of all pixels where the lightness stays, on the mean of the steps: five levels there and back again
at each frame, which everybody sees. Of eight of the demo model's animations none came back by more than 0.0001; with
every other frame in other colours, or with its first and last frame by turns, all of them by 0.02 to 0.25."""
STALLED = 0.6
"""Share of the video in one row of still steps from which it stands still more than it moves."""
LIVELY = 8 / 255
"""A mean difference at which a video moves enough for full merit."""
SLIDES_LEAST = 2
"""Jumps that a video may have, however short; and one for each second."""
STILL_WANTED = re.compile(
    r"\b(?:still[- ]life|motionless|(?:perfectly|completely|absolutely)[- ]still|stands? still|(?:nothing|nobody) moves"
    r"|freeze[- ]frame|frozen in time|without (?:any )?(?:movement|motion)|no (?:movement|motion)|still image)\b",
    re.IGNORECASE,
)
"""Prompts for which a video that does not move is right."""
FLICKER_WANTED = re.compile(
    r"\b(?:flicker\w*|flash\w*|strob\w*|lightning|blink\w*|disco|fireworks?|explo\w+|pulsat\w*|glitch\w*)\b",
    re.IGNORECASE,
)
LEAST_MOTION = 0.1
"""A wish for so little motion is a wish for none."""


class MotionJudge:
    """Fails a video in which nothing moves, that stands still for most of its time, flickers, or is a row of slides.

    A still life may be still, and lightning may flicker. What an interpolation made moves as its source did: that is
    measured, not judged.
    """

    name = "motion"
    looks_at_videos = True
    """It is given the videos themselves, and no pictures."""

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        return await asyncio.to_thread(lambda: [self._judge(one, recipe) for one in pictures])

    def _judge(self, video: Media, recipe: Recipe) -> Verdict:
        try:
            seconds = probe(video.data).seconds
            found = motion_of(pictures(video.data))
        except PyAvMissing:
            return self._unjudged(str(ExtraMissing("video", "Judging videos")))
        except (BadVideo, ValueError) as error:
            return self._unjudged(str(error))
        return verdict_on(found, seconds, recipe)

    def _unjudged(self, why: str) -> Verdict:
        return Verdict(judge=self.name, passed=None, reason=f"Not judged: {why}")


def verdict_on(found: Motion, seconds: float, recipe: Recipe) -> Verdict:
    """The verdict that follows from the measures of a video of so many seconds."""
    measures = {name: round(float(value), 5) for name, value in found.as_dict().items()}
    if recipe.task == "interpolate":
        reason = "Not judged: an interpolation moves as its source did"
        return Verdict(judge=MotionJudge.name, passed=None, reason=reason, measures=measures)
    fault = _fault(found, seconds, recipe)
    return Verdict(
        judge=MotionJudge.name,
        passed=fault is None,
        score=round(1 - found.still_share, 4),
        merit=round(_merit(found, seconds, fault is None), 4),
        reason=fault[0] if fault else _praise(found),
        measures=measures,
        advice=(fault[1],) if fault else (),
    )


def _fault(found: Motion, seconds: float, recipe: Recipe) -> tuple[str, Advice] | None:
    """What is wrong, and what the next attempt should do about it; None: nothing."""
    if not _still_wanted(recipe):
        if found.frozen:
            return f"Nothing moves: two frames differ by {found.difference * 255:.2f} of 255 levels", MOVE
        if found.longest_still >= STALLED:
            return f"It stands still for {found.longest_still:.0%} of its time", MOVE
    if _flickers(found) and not FLICKER_WANTED.search(recipe.prompt):
        return _flicker_told(found), STEADY
    if found.jumps > _most_jumps(seconds):
        return f"It jumps {found.jumps} times in {seconds:.1f} s: a row of pictures rather than a video", ONE_SHOT
    return None


def _flickers(found: Motion) -> bool:
    return max(found.flicker, found.back) >= FLICKER


def _flicker_told(found: Motion) -> str:
    if found.flicker >= FLICKER:
        levels = found.flicker * 255
        return f"It flickers: its lightness goes up and down by {levels:.0f} of 255 levels from frame to frame"
    return f"It flickers: its pixels change by {found.back * 255:.0f} of 255 levels and back from frame to frame"


MOVE = Advice(cause="quality", say=("clear, continuous movement",), avoid=("static", "still picture", "motionless"))
STEADY = Advice(cause="quality", say=("steady, even light",), avoid=("flicker", "flashing"))
ONE_SHOT = Advice(cause="quality", say=("one continuous shot",), avoid=("cuts", "scene change"))


def _still_wanted(recipe: Recipe) -> bool:
    return STILL_WANTED.search(recipe.prompt) is not None or (
        recipe.motion is not None and recipe.motion <= LEAST_MOTION
    )


def _most_jumps(seconds: float) -> float:
    return max(SLIDES_LEAST, seconds)


def _praise(found: Motion) -> str:
    if found.frozen:
        return "Nothing moves, as the prompt wishes"
    jumps = f", with {found.jumps} sudden {'jump' if found.jumps == 1 else 'jumps'}" if found.jumps else ""
    return f"It moves and flickers as wished{jumps}" if _flickers(found) else f"It moves without flicker{jumps}"


def _merit(found: Motion, seconds: float, passed: bool) -> float:
    """Above 0.5 the more it moves and the less it flickers and jumps; below, the nearer it is to passing the higher."""
    steady = max(0.0, 1 - max(found.flicker, found.back) / FLICKER)
    calm = steady * max(0.0, 1 - found.jumps / (_most_jumps(seconds) + 1))
    moves = min(1.0, found.difference / LIVELY)
    return 0.5 + 0.5 * moves * calm if passed else 0.25 * moves + 0.2 * calm
