"""Panel: the judges of one job, asked in their order, until a picture is out or all have spoken."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflows.judges.frames import Frames, frames_of, is_seen, is_video, judged
from workflows.ports import Judge
from workflows.types import VIDEOS, FamilyProfile, Media, Recipe, Verdict

log = logging.getLogger("atelier.judges")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`judges`: cheapest first, asked when the recipe wants its pictures validated.

    `gate` is asked first and of every picture, wanted or not: what it bars is neither shown nor kept. Of a video they
    see some frames (workflows.judges.frames); a judge that has `looks_at_videos` gets the videos themselves, and is
    asked of nothing else. Of sound and text nobody is asked.
    """

    judges: Sequence[Judge] = ()
    gate: Judge | None = None

    def hears(self, recipe: Recipe) -> bool:
        """Whether anyone is asked at all."""
        return bool(self._hearing(recipe, recipe.task in VIDEOS))

    async def verdicts(
        self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile, parts: Sequence[Media] | None = None
    ) -> list[tuple[Verdict, ...]]:
        """What each picture was told, in the order of the pictures; a hard no ends a picture's hearing.

        `parts`: what of the pictures the recipe's words speak of; the gate looks at the whole.
        """
        said: list[tuple[Verdict, ...]] = [()] * len(pictures)
        moving = {place: picture for place, picture in enumerate(pictures) if is_video(picture)}
        films = {place: await frames_of(video, recipe.prompt) for place, video in moving.items()}
        drawn = films if parts is None else {place: await frames_of(parts[place], recipe.prompt) for place in films}
        for judge in self._hearing(recipe, bool(films)):
            standing = [
                place
                for place, verdicts in enumerate(said)
                if not _out(verdicts) and _concerns(judge, pictures[place], place in films)
            ]
            shown, seen = (pictures, films) if parts is None or judge is self.gate else (parts, drawn)
            found = await self._heard(judge, {place: shown[place] for place in standing}, seen, recipe, profile)
            for place, verdict in found.items():
                if self._tells(judge, recipe, verdict):
                    said[place] = (*said[place], verdict)
        return said

    async def _heard(
        self,
        judge: Judge,
        shown: Mapping[int, Media],
        films: Mapping[int, Frames],
        recipe: Recipe,
        profile: FamilyProfile,
    ) -> Mapping[int, Verdict]:
        """A judge that breaks costs no picture; a gate that breaks, or cannot look, lets none through."""
        try:
            return await self._asked(judge, shown, films, recipe, profile)
        except Exception as error:
            log.exception("the judge %s broke", judge.name)
            gate = judge is self.gate
            reason = f"Not {'checked' if gate else 'judged'}: {type(error).__name__}: {error}"[:300]
            broken = Verdict(judge=judge.name, passed=False if gate else None, reason=reason, hard=gate, barred=gate)
            return dict.fromkeys(shown, broken)

    async def _asked(
        self,
        judge: Judge,
        shown: Mapping[int, Media],
        films: Mapping[int, Frames],
        recipe: Recipe,
        profile: FamilyProfile,
    ) -> Mapping[int, Verdict]:
        by_frames = [place for place in shown if place in films and not _looks_at_videos(judge)]
        whole = [place for place in shown if place not in by_frames]
        found: dict[int, Verdict] = {}
        if whole:
            verdicts = await judge.judge([shown[place] for place in whole], recipe, profile)
            found |= zip(whole, verdicts, strict=True)
        if by_frames:
            verdicts = await judged(judge, [films[place] for place in by_frames], recipe, profile)
            found |= zip(by_frames, verdicts, strict=True)
        unseen = [place for place in by_frames if isinstance(films[place], str)] if judge is self.gate else []
        for place in unseen:
            reason = f"Not checked: {films[place]}"
            found[place] = Verdict(judge=judge.name, passed=False, reason=reason, hard=True, barred=True)
        return found

    def _tells(self, judge: Judge, recipe: Recipe, verdict: Verdict) -> bool:
        """A gate that nobody asked for is heard only when it says no."""
        wanted = recipe.acceptance.validate_ and judge in self.judges
        return wanted or verdict.passed is False

    def _hearing(self, recipe: Recipe, films: bool) -> list[Judge]:
        """`films`: there are videos to judge."""
        able = [judge for judge in self.judges if judge is not self.gate and (films or not _looks_at_videos(judge))]
        wanted = able if recipe.acceptance.validate_ else []
        return [self.gate, *wanted] if self.gate else wanted


def _out(verdicts: Sequence[Verdict]) -> bool:
    return any(verdict.hard and verdict.passed is False for verdict in verdicts)


def _concerns(judge: Judge, picture: Media, film: bool) -> bool:
    return film if _looks_at_videos(judge) else is_seen(picture)


def _looks_at_videos(judge: Judge) -> bool:
    return bool(getattr(judge, "looks_at_videos", False))
