"""Does the picture show what the prompt states? A vision language model is asked about each fact."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from utils.images import BadPicture, sha256
from utils.reading.atoms import AtomKind
from utils.reading.questions import Finding, Question, questions_of, read_findings, unwanted
from workflows.errors import ExtraMissing, RateLimited, ServiceError
from workflows.ports import VisionModel
from workflows.types import Advice, Cause, FamilyProfile, Media, Recipe, Verdict

SILENCE = 60.0
"""Seconds in which a service that failed is not asked again, so that a render does not wait for it in vain."""
REMEMBERED = 256
"""Pictures whose answers are kept: those of the jobs that are in work."""
HARD: frozenset[AtomKind] = frozenset({"subject", "count", "colour"})
"""What has to be met. Relations count in the score alone: small vision models are poor judges of left and right."""
CAUSES: Mapping[AtomKind, Cause] = {
    "subject": "subject",
    "count": "count",
    "colour": "attribute",
    "relation": "relation",
}


class VisionJudge:
    """Asks a vision language model at most eight questions a picture, all in one call.

    The score is the share of the facts that are met, those left out that it could not tell.
    """

    name = "vision"

    def __init__(
        self,
        model: VisionModel,
        at_once: int = 1,
        silence: float = SILENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`at_once`: pictures that the model looks at at the same time; `silence`: seconds after a failure."""
        self._model = model
        self._places = asyncio.Semaphore(at_once)
        self._silence = silence
        self._clock = clock
        self._silent_until = float("-inf")
        self._fault = ""
        self._answers: OrderedDict[tuple[str, str], Sequence[str]] = OrderedDict()

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        questions, names = await asyncio.to_thread(_prepared, recipe.prompt, pictures)
        if not questions:
            return [self._not_judged("the prompt states nothing that could be asked about")] * len(pictures)
        different = dict(zip(names, pictures, strict=True))
        async with asyncio.TaskGroup() as asked:
            tasks = {
                name: asked.create_task(self._judge_one(name, picture, recipe.prompt, questions))
                for name, picture in different.items()
            }
        return [tasks[name].result() for name in names]

    async def _judge_one(self, name: str, picture: Media, prompt: str, questions: Sequence[Question]) -> Verdict:
        async with self._places:
            try:
                answers = await self._answered(name, picture, prompt, questions)
            except BadPicture as error:
                return self._not_judged(str(error))
            except (ServiceError, ExtraMissing) as error:
                self._hear_no_more(error)
                return self._not_judged(self._fault)
        if answers is None:
            return self._not_judged(f"{self._fault} (not asked again for {self._silent_until - self._clock():.0f} s)")
        # Off the loop: the first reading imports the grammar of plurals.
        return self._verdict(questions, await asyncio.to_thread(read_findings, questions, answers))

    async def _answered(
        self, name: str, picture: Media, prompt: str, questions: Sequence[Question]
    ) -> Sequence[str] | None:
        """The answers, asked for once; None while the service is left alone."""
        known = self._answers.get((name, prompt))
        if known is None:
            if self._clock() < self._silent_until:
                return None
            known = await self._model.answer(picture, [question.text for question in questions])
            self._answers[name, prompt] = known
            while len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        self._answers.move_to_end((name, prompt))
        return known

    def _hear_no_more(self, error: ServiceError | ExtraMissing) -> None:
        wanted = error.retry_after if isinstance(error, RateLimited) else None
        self._silent_until = self._clock() + (self._silence if wanted is None else wanted)
        self._fault = str(error)

    def _not_judged(self, why: str) -> Verdict:
        return Verdict(judge=self.name, passed=None, reason=f"Not judged: {why}")

    def _verdict(self, questions: Sequence[Question], findings: Sequence[Finding]) -> Verdict:
        known = [finding for finding in findings if finding.met is not None]
        met = [finding for finding in known if finding.met]
        if not known:
            return self._not_judged(f"{self._model.name} could not tell ({findings[0].seen})")
        passed = bool(met) and all(finding.met for finding in known if finding.atom.kind in HARD)
        roots = [
            (question, finding)
            for question, finding in zip(questions, findings, strict=True)
            if finding.met is False and not finding.follows
        ]
        return Verdict(
            judge=self.name,
            passed=passed,
            score=round(len(met) / len(known), 4),
            merit=round(0.5 * passed + 0.5 * len(met) / len(findings), 4),
            reason=_reason(passed, findings),
            measures={"asked": len(findings), "met": len(met), "unknown": len(findings) - len(known)},
            atoms={finding.atom.text: float(finding.met or 0) for finding in known},
            advice=tuple(_advice(question, finding) for question, finding in roots),
        )


def _prepared(prompt: str, pictures: Sequence[Media]) -> tuple[Sequence[Question], list[str]]:
    """The questions and a name for each picture, the same for the same bytes. Takes a moment: not for the loop."""
    return questions_of(prompt), [sha256(picture.data) for picture in pictures]


def _advice(question: Question, finding: Finding) -> Advice:
    return Advice(
        cause=CAUSES[finding.atom.kind],
        emphasise=(finding.atom.phrase,),
        say=(question.wish,),
        avoid=unwanted(question, finding),
    )


def _reason(passed: bool, findings: Sequence[Finding]) -> str:
    missed = "; ".join(dict.fromkeys(finding.seen for finding in findings if finding.met is False))
    known = sum(finding.met is not None for finding in findings)
    untold = f" ({len(findings) - known} could not be told)" if known < len(findings) else ""
    if not missed:
        return f"All {known} facts asked about are there{untold}"
    return f"{'There is what was asked for, but' if passed else 'Not as asked:'} {missed}{untold}"
