"""Does the picture show what the prompt says, and rather that than something else?"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence

from utils.reading.atoms import SEVERAL, Atom, AtomKind
from utils.reading.foils import BEATEN_BY, Contrast, Foils, foils
from utils.validation import ClipScorer, JudgesMissing, ValidationResult, WeightsUnavailable, judged
from workflows.judges.resting import Resting, nothing
from workflows.scenes import scenes
from workflows.types import OWN_THRESHOLD, Advice, Cause, FamilyProfile, Media, Recipe, Verdict

ScorerChoice = Callable[[FamilyProfile], ClipScorer]
"""Which CLIP judges what a family draws: the demo's own for the demo model, the configured one else."""
BeforeLoad = Callable[[ClipScorer], Awaitable[None]]
"""Called before a scorer comes into memory, so that others can make room."""

MET = 0.5
"""An atom's share from which it counts as met: the prompt is likelier than all that differs in that fact."""
MOST_ADVICE = 3
"""Faults named at a time: when everything is missing, a list of everything helps nobody."""
STEEPNESS = 20.0
"""Of the merit over the cosine: 0.07 above the threshold, where most matching pairs lie, gives 0.8."""
CAUSES: dict[AtomKind, Cause] = {
    "subject": "subject", "count": "count", "colour": "attribute", "relation": "relation",
}  # fmt: skip


class ClipJudge:
    """Does the picture show what the prompt says?

    It passes when its raw cosine similarity with the prompt is at the threshold and no foil (utils.reading.foils) beats
    the prompt. The threshold is the recipe's; where the recipe has the default, the scorer's own.
    """

    name = "clip"

    def __init__(self, choose: ScorerChoice, idle_unload: float = 0.0, before_load: BeforeLoad = nothing) -> None:
        """`idle_unload`: seconds after the last verdict until the scorer leaves memory; 0: never."""
        self._choose = choose
        self.resting = Resting[ClipScorer](idle_unload, before_load)

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        if not recipe.prompt.strip():
            return [self._unjudged("there is no prompt to compare the picture with.")] * len(pictures)
        scorer = self._choose(profile)
        try:
            async with self.resting.awake(scorer):
                return await asyncio.to_thread(self._judge_all, pictures, recipe, scorer)
        except (JudgesMissing, WeightsUnavailable) as missing:
            return [self._unjudged(str(missing))] * len(pictures)

    async def judge_frames(
        self, videos: Sequence[Sequence[Media]], recipe: Recipe, profile: FamilyProfile
    ) -> Sequence[Verdict]:
        """Videos by their frames: judged as pictures are, by the mean of their frames' cosines; one frame that shows
        something else for a moment does not fail a video. The worst frame is in the measures.

        Where the prompt is of several scenes (workflows.scenes), each is looked for by itself, one after the other: it
        is judged by the frame that shows it best, and the video by the scene that is shown worst.
        """
        if not recipe.prompt.strip():
            return [self._unjudged("there is no prompt to compare the video with.")] * len(videos)
        scorer = self._choose(profile)
        try:
            async with self.resting.awake(scorer):
                return await asyncio.to_thread(lambda: [self._judge_film(one, recipe, scorer) for one in videos])
        except (JudgesMissing, WeightsUnavailable) as missing:
            return [self._unjudged(str(missing))] * len(videos)

    def _judge_film(self, frames: Sequence[Media], recipe: Recipe, scorer: ClipScorer) -> Verdict:
        told = scenes(recipe.prompt)
        try:
            verdict = self._scene(frames, recipe, scorer) if len(told) == 1 else self._reel(frames, recipe, scorer)
            ends = scorer.embed_images([frames[0].data, frames[-1].data])
        except ValueError as error:
            return self._unjudged(str(error))
        alike = sum(float(one) * float(other) for one, other in zip(*ends, strict=True))
        of_frames = {"frames": float(len(frames)), "ends_alike": round(alike, 4)}
        return verdict.but(measures=dict(verdict.measures) | of_frames)

    def _scene(self, frames: Sequence[Media], recipe: Recipe, scorer: ClipScorer) -> Verdict:
        """All frames show the same."""
        wish, rows = self._rows(frames, recipe, scorer)
        mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        return _ranged(self._verdict(mean, wish, recipe, scorer), [row[0] for row in rows])

    def _reel(self, frames: Sequence[Media], recipe: Recipe, scorer: ClipScorer) -> Verdict:
        """Each scene by the frame that shows it best, the frames in the order of the scenes."""
        told = scenes(recipe.prompt)
        looked = [self._rows(frames, recipe.but(prompt=scene), scorer) for scene in told]
        places = in_order([[row[0] for row in rows] for _, rows in looked])
        verdicts = [
            self._verdict(rows[place], wish, recipe, scorer) for (wish, rows), place in zip(looked, places, strict=True)
        ]
        number, worst = min(enumerate(verdicts), key=lambda one: (bool(one[1].passed), one[1].merit or 0.0))
        atoms: dict[str, float] = {}
        for text, met in (pair for verdict in verdicts for pair in verdict.atoms.items()):
            atoms[text] = min(met, atoms.get(text, met))
        place = "" if worst.passed else f"Scene {number + 1} of {len(told)} ({told[number]!r}): "
        verdict = _ranged(worst, [verdict.score or 0.0 for verdict in verdicts])
        return verdict.but(
            reason=f"{place}{worst.reason}", atoms=atoms, measures=dict(verdict.measures) | {"scenes": float(len(told))}
        )

    def _judge_all(self, pictures: Sequence[Media], recipe: Recipe, scorer: ClipScorer) -> list[Verdict]:
        """All in one batch; when one of them is no picture, one by one."""
        try:
            return self._judge(pictures, recipe, scorer)
        except ValueError as error:
            if len(pictures) > 1:
                return [self._judge_all([picture], recipe, scorer)[0] for picture in pictures]
            return [self._unjudged(str(error))]

    def _judge(self, pictures: Sequence[Media], recipe: Recipe, scorer: ClipScorer) -> list[Verdict]:
        wish, rows = self._rows(pictures, recipe, scorer)
        return [self._verdict(row, wish, recipe, scorer) for row in rows]

    def _rows(self, pictures: Sequence[Media], recipe: Recipe, scorer: ClipScorer) -> tuple[Foils, list[list[float]]]:
        """What the prompt wishes for, and each picture's cosines with prompt, negative prompt and the wish's texts."""
        wish = foils(recipe.prompt)
        negative = recipe.negative.strip()
        own = [recipe.prompt, negative] if negative else [recipe.prompt]
        rows = scorer.scores([picture.data for picture in pictures], [*own, *wish.texts])
        return wish, [[float(score) for score in row] for row in rows]

    def _verdict(self, row: Sequence[float], wish: Foils, recipe: Recipe, scorer: ClipScorer) -> Verdict:
        asked = recipe.acceptance.positive_threshold
        threshold = scorer.threshold if asked == OWN_THRESHOLD else asked
        return verdict_on(row, bool(recipe.negative.strip()), wish, threshold, scorer)

    def _unjudged(self, why: str) -> Verdict:
        return Verdict(judge=self.name, passed=None, reason=f"Not judged: {why}")


def _ranged(verdict: Verdict, scores: Sequence[float]) -> Verdict:
    """With the range of the scores that it was made of."""
    told = {"lowest_score": round(min(scores), 4), "highest_score": round(max(scores), 4)}
    return verdict.but(measures=dict(verdict.measures) | told)


def in_order(scores: Sequence[Sequence[float]]) -> list[int]:
    """For each scene the place of its frame, none before that of the scene before it, so that their scores are highest
    together. `scores`: of each scene with each frame."""
    totals = list(scores[0])
    ways = [[place] for place in range(len(totals))]
    for row in scores[1:]:
        best = 0
        reached: list[tuple[float, list[int]]] = []
        for place, score in enumerate(row):
            best = place if totals[place] > totals[best] else best
            reached.append((totals[best] + score, [*ways[best], place]))
        totals, ways = [total for total, _ in reached], [way for _, way in reached]
    return ways[max(range(len(totals)), key=totals.__getitem__)]


def verdict_on(row: Sequence[float], negative: bool, wish: Foils, threshold: float, scorer: ClipScorer) -> Verdict:
    """The verdict that follows from a picture's cosines with prompt, negative prompt if any, and the wish's texts."""
    result = judged(row[0], row[1] if negative else None, threshold, None)
    contrast = wish.read(row[1 + negative :], scorer.scale)
    passed = result.passed and not contrast.beaten
    return Verdict(
        judge=ClipJudge.name,
        passed=passed,
        score=result.positive_score,
        merit=round(merit(result.positive_score - threshold, contrast), 4),
        reason=_reason(result, contrast),
        measures=_measures(result, contrast),
        atoms={atom.text: round(met, 4) for atom, met in contrast.atoms.items()},
        advice=() if passed else advice_on(contrast),
    )


def merit(above: float, contrast: Contrast) -> float:
    """0.5 where the picture just passes, rising with the cosine `above` the threshold and with the foils' distance.

    With s = sigmoid(20 * above) and t = sigmoid(nats + 2), where 2 nats is what a foil may win by, a picture that
    passes has 0.5 + 2 (s - 0.5) (t - 0.5); without a foil that tells, t is 1. One that does not pass has the mean of
    both, each cut at 0.5, with s = 0.5 + above: straight, so that bad pictures are told from worse ones.
    """
    t = sigmoid(contrast.nats + BEATEN_BY) if contrast.rival else 1.0
    if above >= 0 and t >= 0.5:
        return 0.5 + 2 * (sigmoid(STEEPNESS * above) - 0.5) * (t - 0.5)
    return (min(max(0.5 + above, 0.0), 0.5) + min(t, 0.5)) / 2


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, value))))


def _reason(result: ValidationResult, contrast: Contrast) -> str:
    if not result.passed or not contrast.beaten or contrast.rival is None:
        return result.reason
    rival = contrast.rival.text
    return f"The picture looks more like {rival!r} than the prompt ({contrast.best:.3f} > {contrast.prompt:.3f})"


def _measures(result: ValidationResult, contrast: Contrast) -> dict[str, float]:
    known = {
        "positive_score": result.positive_score,
        "negative_score": result.negative_score,
        "score_delta": result.score_delta,
        "margin": contrast.margin,
        "rank": contrast.rank,
        "share": contrast.share,
    }
    return {name: float(value) for name, value in known.items() if value is not None}


def advice_on(contrast: Contrast) -> tuple[Advice, ...]:
    """What the picture lacks, worst first. Relations are named only when nothing else is missing: CLIP hardly sees
    them."""
    missing = sorted((met, place) for place, met in enumerate(contrast.atoms.values()) if met < MET)
    lacking = [list(contrast.atoms)[place] for _, place in missing]
    facts = [atom for atom in lacking if atom.kind != "relation"] or lacking
    return tuple(_advice(atom, facts[:place]) for place, atom in enumerate(facts[:MOST_ADVICE]))


def _advice(atom: Atom, before: Iterable[Atom]) -> Advice:
    """A phrase that lies in one already emphasised, or around it, is not emphasised twice."""
    apart = all(atom.phrase not in other.phrase and other.phrase not in atom.phrase for other in before)
    return Advice(cause=CAUSES[atom.kind], emphasise=(atom.phrase,) if apart else (), say=(_said(atom),))


def _said(atom: Atom) -> str:
    if atom.kind == "count":
        return atom.text if atom.value == SEVERAL else f"exactly {atom.text}"
    return f"{atom.text}, clearly visible" if atom.kind == "subject" else atom.text
