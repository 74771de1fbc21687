"""Are there as many people as the prompt asks for, and are their bodies whole?

Both judges ask one pose model, which looks at a picture once for both. A wrong number that is beyond doubt ends a
picture's hearing; a fault of a body never does, because some poses hide a limb.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from utils.body_plausibility import Box, Fault
from utils.pose_validation import PoseDetector, Seen, body_check, count_check, mean_clarity
from utils.reading.people import PeopleAsked, framing_asked, people_asked, stylised
from utils.validation import JudgesMissing, WeightsUnavailable
from workflows.judges.resting import Resting, nothing
from workflows.types import Advice, FamilyProfile, Media, Recipe, Region, Verdict

DetectorChoice = Callable[[FamilyProfile], PoseDetector]
"""Which pose model looks at what a family draws: the demo's own for the demo model, the configured one else."""
BeforeLoad = Callable[[PoseDetector], Awaitable[None]]
"""Called before a detector comes into memory, so that others can make room."""

NO_PEOPLE = "The prompt asks for no people"
TOO_MANY = ("duplicate", "extra people", "crowd")
MALFORMED = ("bad anatomy", "missing limbs", "malformed limbs", "deformed body")
WHOLE = "the whole body in the frame, from head to feet"


def body_judges(
    choose: DetectorChoice, idle_unload: float = 0.0, before_load: BeforeLoad = nothing
) -> tuple[PeopleJudge, PoseJudge]:
    """Both judges with one rest for the models that they share."""
    people, pose = PeopleJudge(choose, idle_unload, before_load), PoseJudge(choose, idle_unload, before_load)
    pose.look = people.look
    return people, pose


class PeopleJudge:
    """The number of people against the number that the prompt asks for. A prompt that asks for none passes unseen.

    The score is how near the number is, 0 to 1.
    """

    name = "people"

    def __init__(self, choose: DetectorChoice, idle_unload: float = 0.0, before_load: BeforeLoad = nothing) -> None:
        """`idle_unload`: seconds after the last verdict until the detector leaves memory; 0: never."""
        self.look = _Look(choose, idle_unload, before_load)

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        asked = people_asked(recipe.prompt)
        if asked is None:
            return [Verdict(judge=self.name, passed=True, reason=NO_PEOPLE)] * len(pictures)
        drawn = stylised(recipe.prompt) and not self.look.draws(profile)
        seen = await self.look.at(pictures, profile)
        return [
            not_judged(self.name, one) if isinstance(one, Exception) else people_verdict(one, asked, drawn)
            for one in seen
        ]


class PoseJudge:
    """The bodies of the people in a picture, whether the prompt asks for people or not.

    The score is the share of people without a fault, 0 to 1.
    """

    name = "pose"

    def __init__(self, choose: DetectorChoice, idle_unload: float = 0.0, before_load: BeforeLoad = nothing) -> None:
        """`idle_unload`: seconds after the last verdict until the detector leaves memory; 0: never."""
        self.look = _Look(choose, idle_unload, before_load)

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        seen = await self.look.at(pictures, profile)
        return [
            not_judged(self.name, one) if isinstance(one, Exception) else pose_verdict(one, recipe.prompt)
            for one in seen
        ]


def people_verdict(seen: Seen, asked: PeopleAsked, drawn: bool) -> Verdict:
    """The verdict on a number of people; `drawn`: the picture is no photograph and the detector knows only these."""
    check = count_check(seen, asked, stylised=drawn)
    measures = {"people": float(len(seen.persons)), "least": float(asked.least)}
    if asked.most is not None:
        measures["most"] = float(asked.most)
    if check.score is None:
        return Verdict(judge=PeopleJudge.name, passed=None, reason=check.reason, measures=measures)
    return Verdict(
        judge=PeopleJudge.name,
        passed=check.passed,
        score=check.score,
        merit=_merit(check.passed, check.score, _certainty(seen)),
        reason=check.reason,
        measures=measures,
        atoms={asked.words: check.score},
        advice=() if check.passed else (_count_advice(len(seen.persons), asked),),
        hard=check.certain and not drawn,
    )


def pose_verdict(seen: Seen, prompt: str) -> Verdict:
    """The verdict on the bodies in a picture made for this prompt.

    Whole bodies that nobody asked for are no merit: else a detector that sees people in stars would choose those.
    """
    check = body_check(seen, framing_asked(prompt))
    asked = people_asked(prompt)
    nobody = asked is None or asked.allows(0)
    if check.score is None:
        return Verdict(judge=PoseJudge.name, passed=True if nobody else None, reason=check.reason)
    clear = mean_clarity(seen.persons)
    return Verdict(
        judge=PoseJudge.name,
        passed=check.passed,
        score=check.score,
        merit=None if check.passed and nobody else _merit(check.passed, check.score, clear),
        reason=check.reason,
        measures={"people": float(len(seen.persons)), "clarity": round(clear, 4), "faults": float(len(check.faults))},
        advice=_body_advice(check.faults),
    )


def not_judged(name: str, error: Exception) -> Verdict:
    return Verdict(judge=name, passed=None, reason=f"Not judged: {error}")


def _merit(passed: bool | None, score: float, sure: float) -> float:
    """Above 0.5 with a pass, the clearer the more; below with a fault, the less is right the lower."""
    return round(0.5 + 0.5 * sure if passed else 0.5 * min(score, 0.9), 4)


def _certainty(seen: Seen) -> float:
    """How far all detections are from being counted the other way, 0 to 1."""
    counted = [person.confidence for person in seen.persons]
    doubtful = [1 - person.confidence for person in seen.found if person not in seen.persons]
    return min([*counted, *doubtful], default=1.0)


def _count_advice(people: int, asked: PeopleAsked) -> Advice:
    too_many = asked.most is not None and people > asked.most
    if asked.most == 0:
        return Advice(cause="count", say=("an empty scene",), avoid=("people", "person", "crowd"))
    return Advice(cause="count", say=(asked.meaning,), avoid=TOO_MANY if too_many else ())


def _body_advice(faults: Sequence[Fault]) -> tuple[Advice, ...]:
    """One piece for what can be painted anew, one for what needs a wider frame."""
    malformed = [fault for fault in faults if fault.kind != "cut off"]
    regions = tuple(dict.fromkeys(_region(fault.region) for fault in malformed if fault.region is not None))
    advice: list[Advice] = []
    if malformed:
        advice.append(Advice(cause="anatomy", avoid=MALFORMED, repair=regions))
    if len(malformed) < len(faults):
        advice.append(Advice(cause="anatomy", say=(WHOLE,), avoid=("cropped", "out of frame")))
    return tuple(advice)


def _region(box: Box) -> Region:
    return Region(left=box.left, top=box.top, right=box.right, bottom=box.bottom)


class _Look:
    """The look at pictures through the detector of their family, on a thread."""

    def __init__(self, choose: DetectorChoice, idle_unload: float, before_load: BeforeLoad) -> None:
        self._choose = choose
        self._resting = Resting[PoseDetector](idle_unload, before_load)

    def draws(self, profile: FamilyProfile) -> bool:
        """Whether the detector of this family finds people in drawings too."""
        return self._choose(profile).draws

    async def at(self, pictures: Sequence[Media], profile: FamilyProfile) -> Sequence[Seen | Exception]:
        """What is seen in each picture, or why it could not be looked at."""
        detector = self._choose(profile)
        try:
            async with self._resting.awake(detector):
                return await asyncio.to_thread(_seen, pictures, detector)
        except (JudgesMissing, WeightsUnavailable) as missing:
            return [missing] * len(pictures)


def _seen(pictures: Sequence[Media], detector: PoseDetector) -> Sequence[Seen | Exception]:
    """All pictures in one call; where one of them is no picture, each alone."""
    try:
        return detector.detect([picture.data for picture in pictures])
    except ValueError as error:
        if len(pictures) == 1:
            return [error]
        return [_seen([picture], detector)[0] for picture in pictures]
