"""Videos for judges that look at still pictures: some frames of each, and one verdict made of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

from utils.video import BadVideo, PyAvMissing, sampled, sniff_video
from workflows.errors import ExtraMissing
from workflows.ports import Judge
from workflows.scenes import scenes
from workflows.types import FamilyProfile, Media, Recipe, Verdict

SAMPLED = 8
"""Frames taken of a video, the first and the last among them."""
EACH_SCENE, MOST_SAMPLED = 3, 24
"""So many for each scene of the prompt, where that is more: a short scene must not fall between two frames."""
FEWER = 4
"""Of these for judges that take long: a pose or vision model, or all pixels."""
AT_ONCE = frozenset({"clip", "content"})
"""Judges that look at all frames that were taken: a batch of theirs takes little more than one picture, and what may
not be shown must not hide between two frames."""

FramesJudge = Callable[[Sequence[Sequence[Media]], Recipe, FamilyProfile], Awaitable[Sequence[Verdict]]]
Frames = Sequence[Media] | str
"""A video's frames, or why there are none."""


def is_video(media: Media) -> bool:
    """Whether it moves: a video, or an animated GIF or WebP."""
    if media.media_type in {"image/gif", "image/webp"}:
        return sniff_video(media.data) is not None
    return media.media_type.startswith("video/")


def is_seen(media: Media) -> bool:
    """Whether there is something to look at: neither sound nor text."""
    return media.media_type.startswith(("image/", "video/"))


async def frames_of(video: Media, prompt: str = "") -> Frames:
    """SAMPLED frames of the video, more where the prompt has many scenes, or as many as it has; or why it cannot be
    looked at."""
    count = min(MOST_SAMPLED, max(SAMPLED, EACH_SCENE * len(scenes(prompt))))
    try:
        pngs = await asyncio.to_thread(sampled, video.data, count)
    except PyAvMissing:
        return str(ExtraMissing("video", "Judging videos"))
    except BadVideo as error:
        return f"the video cannot be read: {error}"
    return [Media(data=png, media_type="image/png") for png in pngs]


async def judged(judge: Judge, videos: Sequence[Frames], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
    """One verdict for each video. The judge may make it itself (`judge_frames`); else it is made of its verdicts on the
    frames. A video that cannot be read is not judged, in words."""
    shown = {place: _some(judge.name, video) for place, video in enumerate(videos) if not isinstance(video, str)}
    own = cast("FramesJudge | None", getattr(judge, "judge_frames", None))
    if not shown:
        found: Sequence[Verdict] = []
    elif own is not None:
        found = await own(list(shown.values()), recipe, profile)
    else:
        every = [frame for frames in shown.values() for frame in frames]
        found = _merged(judge.name, await judge.judge(every, recipe, profile), shown)
    told = dict(zip(shown, found, strict=True))
    return [
        told[place] if place in told else Verdict(judge=judge.name, passed=None, reason=f"Not judged: {video}")
        for place, video in enumerate(videos)
    ]


def _some(judge: str, frames: Sequence[Media]) -> Sequence[Media]:
    if judge in AT_ONCE or len(frames) <= FEWER:
        return frames
    return [frames[round(number * (len(frames) - 1) / (FEWER - 1))] for number in range(FEWER)]


def _merged(judge: str, verdicts: Sequence[Verdict], shown: Mapping[int, Sequence[Media]]) -> list[Verdict]:
    merged: list[Verdict] = []
    place = 0
    for frames in shown.values():
        merged.append(of_frames(judge, verdicts[place : place + len(frames)]))
        place += len(frames)
    return merged


def of_frames(judge: str, verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a video of those on its frames: the middle one, and of what bars the worst.

    The middle, as a frame in motion is often blurred, or hides a limb or a person for a moment: one such frame must not
    fail a good video, nor one lucky frame pass a bad one. A hard no must hold for more than half of the frames. What
    may not be shown may not be shown for a moment.
    """
    known = [verdict for verdict in verdicts if verdict.passed is not None]
    barred = [verdict for verdict in known if verdict.barred]
    if barred:
        return _told(barred[0], f"In {len(barred)} of {len(verdicts)} frames: {barred[0].reason}", known)
    if not known or (judge == "content" and len(known) < len(verdicts)):
        return next(verdict for verdict in verdicts if verdict.passed is None)
    ranked = sorted(known, key=_rank)
    middle = ranked[0] if judge == "content" else ranked[(len(ranked) - 1) // 2]
    alike = sum(verdict.passed == middle.passed for verdict in known)
    reason = middle.reason if alike == len(verdicts) else f"In {alike} of {len(verdicts)} frames: {middle.reason}"
    hard = sum(verdict.hard for verdict in known) * 2 > len(verdicts)
    return _told(middle, reason, known).but(hard=hard)


def _rank(verdict: Verdict) -> tuple[bool, float]:
    return bool(verdict.passed), verdict.merit if verdict.merit is not None else verdict.score or 0.0


def _told(verdict: Verdict, reason: str, known: Sequence[Verdict]) -> Verdict:
    """With the share of the frames that pass and the worst score; a part of one frame cannot be painted anew."""
    scores = [one.score for one in known if one.score is not None]
    measures = dict(verdict.measures) | {
        "frames": float(len(known)),
        "frames_passed": sum(bool(one.passed) for one in known) / len(known),
    }
    if scores:
        measures |= {"lowest_score": min(scores), "highest_score": max(scores)}
    advice = tuple(one.but(repair=()) for one in verdict.advice)
    return verdict.but(reason=reason, measures=measures, advice=advice)
