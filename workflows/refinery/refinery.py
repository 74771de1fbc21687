"""Refinery: takes briefs in, carries out their refinements, and answers for them, also after a restart."""

from __future__ import annotations

import asyncio
import platform
import random
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from utils.images import BadPicture, decode
from workflows.answers import Answer
from workflows.errors import BadRecipe, NotFound, StudioError
from workflows.gallery import Gallery
from workflows.gallery.finding import has_picture
from workflows.ports import Calls, Refinements
from workflows.prompts.writing import AUTO, Scribe
from workflows.refinery.answers import refinement_answer
from workflows.refinery.course import Course, Workshop, profile_of
from workflows.refinery.evaluating import Evaluating, Evaluator
from workflows.refinery.refining import Draft, Refined, refined
from workflows.refinery.wishes import checked, recipe_of
from workflows.stamp import own_version
from workflows.studio import Studio
from workflows.types import Brief, Evaluation, Media, Progress, Refinement, now

POLL_SECONDS = 0.5
"""How often a refinement that another process runs is looked up while someone waits for it."""
LOOKS = 3
LOOK_SECONDS = 0.03
"""How often, and how far apart, a process is looked for before it counts as alive."""
NEAR = 50
REMEMBERED = 200
"""Refinements that ended in this process and whose end is still told without the ledger."""
UNFINISHED = ("waiting", "running", "interrupted")
MOST_BYTES = 64 << 20


@dataclass(kw_only=True)
class Refinery:
    """Enter it to work, before leaving the studio leave it; refinements that still run are left as interrupted."""

    studio: Studio
    gallery: Gallery
    refinements: Refinements
    evaluators: Mapping[str, Evaluator]
    """By the names they are asked for by: gemini, ollama, clip."""
    on_request: Collection[str] = ()
    """Of these, the ones that auto leaves alone, because they cost money."""
    scribe: Scribe = field(default_factory=Scribe)
    """Who rewords prompts: PromptDesk.scribe."""
    calls: Calls | None = None
    """Where calls to services are counted; for the statistics of a batch."""
    grace: float = 3.0
    """Seconds that answers which are on their way are waited for when it is left."""
    unfinished: bool = field(default=False, init=False)
    """Whether work was left over when it was left."""
    _courses: dict[str, Course] = field(default_factory=dict[str, Course], init=False)
    _ended: OrderedDict[str, Course] = field(default_factory=OrderedDict[str, Course], init=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        courses = list(self._courses.values())
        self.unfinished = bool(courses)
        await asyncio.gather(*(course.interrupt() for course in courses))

    # ------------------------------------------------------------------ each part alone

    @cached_property
    def evaluating(self) -> Evaluating:
        return Evaluating(self.evaluators, self.on_request)

    async def evaluate(self, image: str | Path | bytes, prompt: str | None = None, evaluator: str = AUTO) -> Evaluation:
        """A picture put into words: one of the gallery by its name, a file, an https URL, or the bytes.

        `prompt` None: of the gallery's pictures their own, of others none, and only what is seen is told. Raises
        NotFound, BadRecipe, and what the evaluator raises: ServiceError, ExtraMissing.
        """
        self.evaluating.check(evaluator)
        item = await self.gallery.items.get(image) if isinstance(image, str) else None
        if item is not None:
            if not has_picture(item):
                raise BadRecipe("image", item.id, "there is nothing to see of it")
            words = item.recipe.prompt if prompt is None else prompt
            picture, profile = await self.gallery.picture(item), await profile_of(self.studio, item)
            return await self.evaluating.evaluate(evaluator, picture, words, profile)
        from workflows.families import family

        picture = await self._opened(image)
        profile = (await asyncio.to_thread(family, "unknown")).profile
        return await self.evaluating.evaluate(evaluator, picture, prompt or "", profile)

    async def refine(self, prompt: str, evaluation: str, model: str = AUTO) -> Refined:
        """The prompt reworded by what an evaluation says. `model`: auto, rules, model, or a configured one's name.

        Raises BadRecipe, Refused; what asking the language model raises where the rules may not step in.
        """
        if not prompt.strip():
            raise BadRecipe("prompt", prompt, "it says what the picture shows")
        return await refined(Draft(prompt=prompt, seen=evaluation), self.scribe, model)

    # ------------------------------------------------------------------ refinements

    async def start(
        self,
        brief: Brief,
        iterations: int = 3,
        evaluator: str = AUTO,
        run_id: str = "",
        refinement_id: str | None = None,
    ) -> Refinement:
        """Write the refinement down and begin with it, anew where there is one with that id. What is spent is on the
        account of whoever calls this.

        Raises BadRecipe for what cannot be drawn or evaluated, Refused.
        """
        self.evaluating.check(evaluator)
        brief = await asyncio.to_thread(checked, brief)
        await asyncio.to_thread(self.studio.rules.check, recipe_of(brief))
        before = await self.refinements.get(refinement_id) if refinement_id else None
        if before is not None:
            await self._not_elsewhere(before)
        named = {"id": refinement_id} if refinement_id else {}
        fresh = Refinement.checked(
            brief=brief,
            iterations=iterations,
            evaluator=evaluator,
            run_id=run_id,
            owner=self.studio.presence.owner,
            versions=await asyncio.to_thread(self._versions, evaluator),
            **named,
        )
        await self.refinements.save(fresh)
        self._begin(fresh)
        return fresh

    async def resume(self, refinement: Refinement, iterations: int | None = None) -> Refinement:
        """Go on with it where it is: nothing that was drawn, seen or reworded is asked for again. One that failed tries
        again what failed; `iterations`: how many there shall be now.

        Raises BadRecipe when another process is running it.
        """
        if refinement.id in self._courses:
            return self._courses[refinement.id].refinement
        await self._not_elsewhere(refinement)
        mine = taken_up(refinement, iterations or refinement.iterations)
        mine = mine.but(owner=self.studio.presence.owner, updated=now())
        await self.refinements.save(mine)
        self._begin(mine)
        return mine

    async def wait(
        self, refinement_id: str, seconds: float, listener: Callable[[Progress], None] | None = None
    ) -> Refinement:
        """The refinement at its end, or as it is after `seconds`. Giving up the wait does not touch it."""
        course = self._course(refinement_id)
        if course is not None:
            return await course.watch(seconds, listener)
        refinement = await self.find(refinement_id)
        deadline = asyncio.get_running_loop().time() + seconds
        while refinement.state in {"waiting", "running"} and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            refinement = await self.find(refinement_id)
        return refinement

    async def find(self, refinement_id: str) -> Refinement:
        """Raises NotFound with the ids that are most like it."""
        course = self._course(refinement_id)
        if course is not None:
            return course.refinement
        found = await self.refinements.get(refinement_id)
        if found is None:
            known = [one.id for one in await self.refinements.recent(NEAR)]
            raise NotFound("refinement", refinement_id, known, "refine_image begins one.")
        stale = found.state in {"waiting", "running"} and not await self._alive(found)
        return found.but(state="interrupted") if stale else found

    async def known(self, refinement_id: str) -> bool:
        """Whether there is such a refinement, here or in the ledger."""
        return self._course(refinement_id) is not None or await self.refinements.get(refinement_id) is not None

    async def cancel(self, refinement_id: str) -> Refinement:
        """Stop it, whatever it is doing; one that has ended stays as it is. Raises NotFound, BadRecipe."""
        if (course := self._courses.get(refinement_id)) is not None:
            await course.cancel()
            return course.refinement
        refinement = await self.find(refinement_id)
        if refinement.ended:
            return refinement
        await self._not_elsewhere(refinement)
        cancelled = refinement.but(state="cancelled", updated=now())
        await self.refinements.save(cancelled)
        return cancelled

    async def interrupt(self, refinement_id: str) -> None:
        """Stop it for now, if it runs here: it can be resumed."""
        if (course := self._courses.get(refinement_id)) is not None:
            await course.interrupt()

    def active(self) -> list[Refinement]:
        """Those that run in this process, in the order in which they were begun."""
        return [course.refinement for course in self._courses.values()]

    def progress(self, refinement_id: str) -> Progress | None:
        """How far one of this process is."""
        course = self._course(refinement_id)
        return course.progress if course else None

    def stopped_by(self, refinement_id: str) -> StudioError | None:
        """What ended one of this process before its time, such as a spent budget."""
        course = self._course(refinement_id)
        return course.stopped_by if course else None

    async def recover(self, resume: bool) -> list[Refinement]:
        """Take over the unfinished ones of processes that are gone: go on with them, or mark them interrupted.

        Those of a batch are only marked: a batch has a budget and a folder, and goes on by its own command.
        """
        left = [one for one in await self.refinements.recent(1000, UNFINISHED) if not await self._alive(one)]
        recovered: list[Refinement] = []
        for one in reversed(left):
            if resume and not one.run_id:
                recovered.append(await self.resume(one))
            elif one.state != "interrupted":
                recovered.append(one.but(state="interrupted", updated=now()))
                await self.refinements.save(recovered[-1])
        return recovered

    async def answer(self, refinement: Refinement) -> Answer:
        """What refine_image tells of it."""
        return await refinement_answer(refinement, self.gallery, self.progress(refinement.id))

    # ------------------------------------------------------------------ steps

    def _begin(self, refinement: Refinement) -> None:
        shop = Workshop(
            studio=self.studio,
            gallery=self.gallery,
            refinements=self.refinements,
            evaluating=self.evaluating,
            scribe=self.scribe,
        )
        course = Course(refinement=refinement, shop=shop, grace=self.grace)
        self._ended.pop(refinement.id, None)
        self._courses[refinement.id] = course
        course.start(lambda: self._end(refinement.id))

    def _end(self, refinement_id: str) -> None:
        self._ended[refinement_id] = self._courses.pop(refinement_id)
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _course(self, refinement_id: str) -> Course | None:
        return self._courses.get(refinement_id) or self._ended.get(refinement_id)

    async def _alive(self, refinement: Refinement) -> bool:
        """Whether a process has it in hand: of this one's own those that run."""
        presence = self.studio.presence
        if refinement.owner in {None, presence.owner}:
            return refinement.id in self._courses
        for _ in range(LOOKS):  # whoever looks may hold the owner's lock for a moment, and so look like the owner
            if not await presence.alive(refinement.owner or ""):
                return False
            await asyncio.sleep(random.uniform(0.5, 1.5) * LOOK_SECONDS)
        return True

    async def _not_elsewhere(self, refinement: Refinement) -> None:
        if refinement.state in {"waiting", "running"} and await self._alive(refinement):
            step = "another Atelier process is running it; wait for it, or stop it there"
            raise BadRecipe("refinement", refinement.id, step)

    async def _opened(self, image: str | Path | bytes) -> Media:
        """The picture of a file, a URL or bytes. Raises BadRecipe."""
        if isinstance(image, bytes):
            picture = Media(data=image, media_type="application/octet-stream")
        else:
            picture = await self.studio.sources.open(str(image))
        try:
            await asyncio.to_thread(decode, picture.data)
        except BadPicture as error:
            raise BadRecipe("image", picture.media_type, f"it must be a whole PNG, JPEG or WebP ({error})") from error
        return picture

    def _versions(self, evaluator: str) -> dict[str, str]:
        asked: Sequence[str] = self.evaluating.names if evaluator == AUTO else (evaluator,)
        writers = ", ".join(self.scribe.writers.names) or "rules"
        told = {
            "evaluator": ", ".join(asked),
            "refiner": writers,
            "engines": ", ".join(e.name for e in self.studio.engines),
        }
        return {"atelier": own_version(), "python": platform.python_version(), **told}


def taken_up(refinement: Refinement, iterations: int) -> Refinement:
    """The refinement as it goes on: without rounds at its end that failed, and with the rewording that was left out
    because there were to be no more."""
    rounds = list(refinement.rounds)
    while rounds and rounds[-1].stage == "done" and not rounds[-1].image_id:
        rounds.pop()
    last = rounds[-1] if rounds else None
    if last and last.stage == "done" and last.refined is None and last.evaluation and last.number < iterations:
        rounds[-1] = last if last.evaluation.passed else last.but(stage="refining")
    return refinement.but(rounds=tuple(rounds), iterations=max(iterations, len(rounds), 1), state="waiting", fault="")
