"""Studio: takes recipes in, routes them to engines, and answers for the jobs that come of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Self

from workflows import selection
from workflows.bench import Wordsmith, Workbench
from workflows.changes import Changes
from workflows.choosing import Chooser
from workflows.completion import complete, frames_told
from workflows.content import ContentRules
from workflows.errors import AccessDenied, BadRecipe, EngineUnavailable, NotFound, StorageError, StudioError
from workflows.gallery import TRASH, Finder
from workflows.inputs import Given, Inlet, InputPicture, check_pictures
from workflows.judges.panel import Panel
from workflows.kinds import ending_of
from workflows.ports import Engine, Graphs, Items, Jobs, Judge, Presence, Recorder, Signer, Sources, Store
from workflows.run import WAITING, Run, ticket_ids
from workflows.steps import COMFYUI_STEP
from workflows.types import (
    VIDEOS,
    WORDLESS,
    Acceptance,
    Choice,
    FamilyProfile,
    Fault,
    Item,
    Job,
    Media,
    Progress,
    Recipe,
    Task,
    new_id,
    now,
)

MAX_WAITING = 100
"""Jobs that may wait at once; more is a runaway caller."""
MAX_RUNS = 3
"""Starts of one job before it is given up: one that takes the process down would do so for ever."""
MAX_RECOVERED = 1000
"""Unfinished jobs looked at when a process starts."""
POLL_SECONDS = 0.5
"""How often a job that another process runs is looked up while someone waits for it."""
NEAR_JOBS = 50
"""How many of the latest jobs are compared with a name that is none of an open job."""
NO_PICTURES: Mapping[str, Given] = MappingProxyType({})
MOTION = "motion"
"""The check that every video is put to without being named; it says nothing of pictures."""
OPTIONAL_CHECKS: Mapping[str, str] = {"vision": "vision needs a vision language model: set ATELIER_VISION_MODEL"}
"""Checks that are only there when the owner set something, with what to set."""
FROM_WORDS: Mapping[Task, Task] = {"txt2img": "img2img", "txt2vid": "img2vid"}
"""What a task becomes when there is a picture to begin with."""
UNFINISHED = ("queued", "running", "interrupted")


@dataclass(kw_only=True)
class Studio:
    """Enter it to work, leave it to stop; jobs that still run are left in the ledger as interrupted."""

    engines: Sequence[Engine]
    judges: Mapping[str, Judge]
    """By name, cheapest first: in this order they are asked."""
    store: Store
    jobs: Jobs
    items: Items
    sources: Sources
    presence: Presence
    graphs: Graphs | None = None
    """Who finds things in pictures by their names (mask_text), where anyone can."""
    rules: ContentRules = field(default_factory=ContentRules)
    gate: Judge | None = None
    """Asked of every picture: what it bars is neither shown nor kept."""
    chooser: Chooser | None = None
    """Fills in what recipes leave open; without one the engines choose."""
    words: Wordsmith | None = None
    """Who writes for recipes with presets or `enhance`; without one there are none."""
    recorder: Recorder | None = None
    """Where every job is logged, if anywhere."""
    signer: Signer | None = None
    """Who signs what is filed, if anyone."""
    changes: Changes = field(default_factory=Changes)
    """Told of every step of a job of this process, and of the pictures that they file."""
    _runs: dict[str, Run] = field(default_factory=dict[str, Run], init=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        runs = list(self._runs.values())
        for run in runs:
            run.interrupt()
        await asyncio.gather(*(run.ended.wait() for run in runs))

    async def submit(
        self,
        recipe: Recipe,
        pictures: Mapping[str, Given] = NO_PICTURES,
        *,
        as_it_is: bool = False,
        job_id: str | None = None,
        note: str = "",
    ) -> Job:
        """Choose model, LoRAs and engine, complete the recipe, write the job to the ledger, start it.

        `pictures` by role: source, mask, control_1, ..., reference_1, ..., workflow, file_1, ...; each a reference that
        the gallery or the sources may open, or the bytes themselves. `as_it_is`: nothing is chosen for it that an
        engine would not choose. `job_id`: a name (UUID) that the caller wrote down before; of an interrupted job it
        takes that up again. `note`: what its caller should be told. Raises BadRecipe for what cannot be drawn,
        EngineUnavailable with every engine's reason, Refused by the content rules: nothing of that is kept.
        """
        if job_id is not None and await self.jobs.get(job_id) is not None:
            return await self.resume(job_id)
        self._admit(recipe)
        await asyncio.to_thread(self.rules.check, recipe)
        if self.words is not None:
            checked = await self.words.check(recipe)
            recipe = recipe if as_it_is else checked
        if "source" in pictures and recipe.task in FROM_WORDS:
            recipe = recipe.but(task=FROM_WORDS[recipe.task])
        check_pictures(recipe, pictures)
        as_it_is = as_it_is or recipe.task == "workflow"
        opened = await self._opened(recipe, pictures)
        job_id = job_id or new_id()
        keys = {role: f"{job_id}/input/{role}.{ending_of(one.media.media_type)}" for role, one in opened.items()}
        recipe = _with_origin(recipe.with_pictures(keys), opened)
        recipe, choice, engine, profile = await self._fitted(recipe, as_it_is)
        mask = opened["mask"].media if "mask" in opened else None
        asked, recipe = recipe, await asyncio.to_thread(complete, recipe, profile, opened.get("source"), mask)
        for role, key in keys.items():
            await self.store.put(key, opened[role].media)
        job = Job(
            id=job_id,
            recipe=recipe,
            state="running",
            engine=engine.name,
            progress=WAITING,
            owner=self.presence.owner,
            runs=1,
            choice=choice,
            note=" ".join(filter(None, (note, profile.note, frames_told(asked, recipe, profile)))) or None,
        )
        self._start(job, engine, profile, await self.jobs.add(job))
        return job

    async def resume(self, job_id: str, *, patient: bool = False) -> Job:
        """Take up a job whose process is gone; another stays as it is. `patient`: however often that happened, because
        somebody saw it happen. Raises NotFound."""
        job = await self.find(job_id)
        return await self._adopt(job, True, patient) if job.state == "interrupted" else job

    async def regenerate(self, name: str, **overrides: Any) -> Job:
        """Make a picture of the gallery again, as its child; `overrides` are fields of the recipe.

        Without any it is the same recipe on the same engine: judged, and not tried again, because other pixels are not
        wanted. Another prompt is a new wish, with the attempts that the first one had. Raises NotFound, BadRecipe.
        """
        item = await Finder(self.items, self.store).find(name)
        recipe = again(item, overrides)
        pictures = {role: await self._input_of(item, key) for role, key in recipe.pictures.items()}
        model = recipe.model or (item.model if recipe.task != "workflow" else None) or None
        pinned = recipe.but(engine=item.engine, model=model)
        takes = next((engine for engine in self.engines if engine.name == item.engine), None)
        await self._look(pinned)
        same = takes is not None and await _takes(takes, pinned)
        return await self.submit(pinned if same else recipe, pictures, as_it_is="model" not in overrides)

    async def wait(self, job_id: str, seconds: float, listener: Callable[[Progress], None] | None = None) -> Job:
        """The job at its end, or as it is after `seconds`. Giving up the wait does not touch the job."""
        job = await self.find(job_id)
        run = self._runs.get(job.id)
        if run is not None:
            return await run.watch(seconds, listener)
        deadline = asyncio.get_running_loop().time() + seconds
        while job.state in {"queued", "running"} and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            job = await self.find(job.id)
        return job

    async def find(self, job_id: str) -> Job:
        """By the job's id, or the ticket of one of its renders. Raises NotFound with the ids that are most like it."""
        run = self._runs.get(job_id)
        if run is not None:
            return run.job
        job = await self.jobs.get(job_id) or await self._of_ticket(job_id)
        return await self._as_it_is(job)

    async def cancel(self, job_id: str) -> Job:
        """Stop the job, whatever it is doing; a job that has ended stays as it is."""
        job = await self.find(job_id)
        run = self._runs.get(job.id)
        if run is not None:
            await run.cancel()
            return run.job
        if job.ended:
            return job
        if job.state != "interrupted":
            raise BadRecipe("job_id", job_id, "another Atelier process on this machine is running it; cancel it there")
        cancelled = job.but(state="cancelled", updated=now())
        await self.jobs.save(cancelled, await self.jobs.claim(job.id))
        return cancelled

    def active(self) -> list[Job]:
        """Jobs of this process that wait or run, in the order in which they were asked for."""
        return [run.job for run in self._runs.values()]

    def runs(self, job_id: str) -> bool:
        """Whether this process has the job in hand."""
        return job_id in self._runs

    async def history(self, limit: int) -> list[Job]:
        """The latest jobs, newest first."""
        return [await self._as_it_is(job) for job in await self.jobs.recent(limit)]

    def preview(self, job_id: str) -> Media | None:
        """The latest glimpse of a picture that is being drawn."""
        run = self._runs.get(job_id)
        return run.glimpse if run else None

    async def recover(self, resume: bool, states: Sequence[str] = UNFINISHED) -> list[Job]:
        """Take over the unfinished jobs of processes that are gone: run them again, or mark them interrupted."""
        orphans = [job for job in await self.jobs.recent(MAX_RECOVERED, states) if await self._orphaned(job)]
        return [await self._adopt(job, resume) for job in reversed(orphans)]

    # ------------------------------------------------------------------ steps

    def _admit(self, recipe: Recipe) -> None:
        if len(self._runs) >= MAX_WAITING:
            raise EngineUnavailable(f"{MAX_WAITING} jobs wait already: cancel some (get_queue, cancel) or wait.")
        check_acceptance(recipe.acceptance, self.judges)
        if recipe.mask_text and self.graphs is None:
            raise EngineUnavailable(f"mask_text needs ComfyUI, which finds things in pictures: {COMFYUI_STEP}")

    async def _opened(self, recipe: Recipe, pictures: Mapping[str, Given]) -> dict[str, InputPicture]:
        """What goes in, by role. Raises Refused for what says that it was made from words that are not drawn here."""
        inlet = Inlet(items=self.items, store=self.store, sources=self.sources)
        opened = await inlet.open(pictures, recipe.task)
        texts = [text for picture in opened.values() for text in (*picture.texts, picture.words)]
        await asyncio.to_thread(self.rules.check, recipe, texts)
        return opened

    async def _input_of(self, item: Item, key: str) -> Media:
        for place in (key, TRASH + key):  # another picture of its job, which was deleted since, may be its input
            with suppress(NotFound):
                return await self.store.get(place)
        raise StorageError(
            f"The image {item.id} cannot be made again: its input picture {key} is gone. Give it anew, with "
            f"{item.recipe.task}."
        )

    async def _of_ticket(self, ticket_id: str) -> Job:
        known = await self.jobs.recent(NEAR_JOBS)
        found = next((job for job in known if ticket_id in ticket_ids(job)), None)
        if found is None:
            raise NotFound("job", ticket_id, [job.id for job in known], "get_history lists the latest jobs.")
        return found

    async def _fitted(self, recipe: Recipe, as_it_is: bool) -> tuple[Recipe, Choice | None, Engine, FamilyProfile]:
        """The recipe with what was chosen for it, who draws it, and what its model's family needs."""
        recipe, choice = (recipe, None) if as_it_is else await self._chosen(recipe)
        engine = await self._choose(recipe)
        profile = await engine.profile(recipe)
        recipe, choice = (recipe, None) if as_it_is else await self._tuned(recipe, choice, profile, engine)
        return recipe, choice, engine, profile

    async def _chosen(self, recipe: Recipe) -> tuple[Recipe, Choice | None]:
        """The recipe with what was chosen for it. Its new names and words have to pass the rules too."""
        if self.chooser is None:
            return recipe, None
        filled, choice = await self.chooser.choose(recipe, self.engines)
        if filled != recipe:
            await asyncio.to_thread(self.rules.check, filled)
        return filled, choice

    async def _tuned(
        self, recipe: Recipe, choice: Choice | None, profile: FamilyProfile, engine: Engine
    ) -> tuple[Recipe, Choice | None]:
        if self.chooser is None:
            return recipe, choice
        recipe, notes = await self.chooser.tuned(recipe, profile, engine, choice.analysis if choice else None)
        return recipe, choice.but(notes=(*choice.notes, *notes)) if choice else None

    async def _look(self, recipe: Recipe) -> None:
        """Know the files of this machine before an engine is asked: it takes the owner's word for what they are.

        Raises Refused when one that the recipe names may not be used for it.
        """
        if self.chooser is not None and recipe.task not in WORDLESS:
            await self.chooser.catalog.stand()
            await self.chooser.admit(recipe)

    async def _choose(self, recipe: Recipe) -> Engine:
        """The named engine, or the first that does not refuse."""
        await self._look(recipe)
        named = [engine for engine in self.engines if recipe.engine in {"auto", engine.name}]
        if not named:
            raise NotFound("engine", recipe.engine, ["auto", *(engine.name for engine in self.engines)])
        reasons: list[str] = []
        for engine in named:
            reason = await engine.refusal(recipe)
            if reason is None:
                return engine
            reasons.append(f"{engine.name}: {reason}")
        hint = f" To have it: {COMFYUI_STEP}." if self.graphs is None and "ComfyUI" in " ".join(reasons) else ""
        raise EngineUnavailable(f"No engine takes this. {' '.join(reasons)}{hint}")

    def _start(self, job: Job, engine: Engine, profile: FamilyProfile, token: str = "") -> None:
        bench = Workbench(
            store=self.store,
            jobs=self.jobs,
            items=self.items,
            engine=engine,
            panel=self._panel(job.recipe),
            permit=partial(self._permitted, profile),
            graphs=self.graphs,
            recorder=self.recorder,
            words=self.words,
            signer=self.signer,
            catalog=self.chooser.catalog if self.chooser else None,
        )
        run = Run(job=job, profile=profile, bench=bench, token=token, on_step=lambda: self.changes.tell("jobs"))
        self._runs[job.id] = run
        run.start(on_end=lambda: self._end(job.id))
        self.changes.tell("jobs")

    def _end(self, job_id: str) -> None:
        run = self._runs.pop(job_id)
        self.changes.tell("jobs")
        if run.job.item_ids:
            self.changes.tell("images")

    def _permitted(self, profile: FamilyProfile, recipe: Recipe) -> Recipe:
        """What is drawn for the recipe: the same with the words that wake its LoRAs, and with words against what may
        not be shown. Raises Refused."""
        awake = recipe.but(prompt=selection.with_triggers(recipe.prompt, recipe.loras)) if recipe.loras else recipe
        self.rules.check(awake)
        return self.rules.safeguarded(awake, profile)

    def _panel(self, recipe: Recipe) -> Panel:
        asked = {*recipe.acceptance.checks, MOTION}
        wanted = [judge for name, judge in self.judges.items() if name in asked]
        return Panel(judges=wanted, gate=self.gate)

    async def _orphaned(self, job: Job) -> bool:
        return job.owner is None or not await self.presence.alive(job.owner)

    async def _as_it_is(self, job: Job) -> Job:
        """A job that runs here is ahead of its row; one whose process is gone does not run, whatever its row says."""
        if job.id in self._runs:
            return self._runs[job.id].job
        stale = job.state in {"queued", "running"} and await self._orphaned(job)
        return job.but(state="interrupted") if stale else job

    async def _adopt(self, job: Job, resume: bool, patient: bool = False) -> Job:
        if not resume:
            return await self._settle(job.but(state="interrupted"))
        if job.runs >= MAX_RUNS and not patient:
            message = f"Given up after {job.runs} starts: the process ended each time while this job ran."
            return await self._settle(job.but(state="failed", fault=Fault(code="interrupted", message=message)))
        mine = job.but(state="queued", owner=self.presence.owner, updated=now())
        try:
            engine = await self._choose(mine.recipe.but(engine=mine.engine or "auto"))
            self._start(mine, engine, await engine.profile(mine.recipe))
        except (EngineUnavailable, AccessDenied) as error:  # a server is not up, a key not set: the next start tries
            return await self._settle(job.but(state="interrupted", note=str(error)))
        except StudioError as error:
            return await self._settle(mine.but(state="failed", fault=Fault(code=error.code, message=str(error))))
        return mine

    async def _settle(self, job: Job) -> Job:
        settled = job.but(updated=now())
        await self.jobs.save(settled, await self.jobs.claim(job.id))
        return settled


async def _takes(engine: Engine, recipe: Recipe) -> bool:
    try:
        return await engine.refusal(recipe) is None
    except AccessDenied:
        return False


def check_acceptance(acceptance: Acceptance, judges: Collection[str]) -> None:
    """Whether these judges can be asked for what is wanted of them. Raises BadRecipe."""
    unknown = next((check for check in acceptance.checks if check not in judges), None)
    if unknown is not None:
        missing = f"; {OPTIONAL_CHECKS[unknown]}" if unknown in OPTIONAL_CHECKS else ""
        raise BadRecipe("checks", unknown, f"the checks are: {', '.join(judges)}{missing}")
    if acceptance.best_of > 1 and not (acceptance.validate_ and acceptance.checks):
        raise BadRecipe("best_of", acceptance.best_of, "it needs validate and a check: the judges do the choosing")


def _with_origin(recipe: Recipe, opened: Mapping[str, InputPicture]) -> Recipe:
    """The recipe with its parent, and for a task without words the words of the picture it works on."""
    files = (opened.get(f"file_{number}") for number in range(1, len(recipe.files) + 1))
    source = opened.get("source")
    parent = next((one.item_id for one in (source, *files) if one and one.item_id), recipe.source_item)
    if recipe.task not in WORDLESS or (recipe.task == "workflow" and recipe.prompt):
        return recipe.but(source_item=parent)
    words = recipe.prompt or (source.words if source else "")
    # Nothing to judge against: the prompt only lets the gallery find it.
    return recipe.but(source_item=parent, prompt=words, acceptance=recipe.acceptance.but(validate_=False))


def again(item: Item, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe that makes the item's picture again, with some fields changed.

    Another model is asked in its own way: steps, guidance and sampler of the old one do not go along. Raises BadRecipe.
    """
    _check_repeatable(item)
    if item.rendered.task == "workflow":
        return _workflow_again(item, overrides)
    reworded = overrides.get("prompt", item.recipe.prompt) != item.recipe.prompt
    kept: dict[str, Any] = {"count": 1, "seed": item.seed, "source_item": item.id, "engine": "auto"}
    if overrides.get("model") not in {None, item.model, item.rendered.model}:
        kept |= dict.fromkeys(("steps", "cfg", "sampler", "scheduler", "wording"))
    if reworded:
        fresh = {"acceptance": item.recipe.acceptance.but(best_of=1), "wording": None}
        return item.recipe.but(**kept | fresh | dict(overrides))
    if overrides.get("seed", item.seed) != item.seed:
        kept["batch_index"] = None
    once = item.recipe.acceptance.but(auto_retry=False, best_of=1)
    if item.recipe.wording is not None:  # what was drawn is drawn again, and judged by the person's own words
        against = _ruled_out(item, overrides.get("negative", item.recipe.negative))
        told = item.recipe.wording.but(prompt=item.rendered.prompt, negative=against)
        own = {name: getattr(item.recipe, name) for name in ("prompt", "negative", "presets", "enhance")}
        kept = {"wording": told} | own | kept
    elif item.rendered.prompt == selection.with_triggers(item.recipe.prompt, item.recipe.loras):
        kept["prompt"] = item.recipe.prompt  # in the person's own words; those for the LoRAs come to them again
    return item.rendered.but(**kept | {"acceptance": once} | dict(overrides))


def _check_repeatable(item: Item) -> None:
    """Raises BadRecipe for what came from elsewhere and does not bring all that it was made of."""
    task = item.rendered.task
    step = "use it as input_image of img2img, or call generate_image with a prompt"
    if item.kind == "video":
        if task not in {*VIDEOS, "workflow"}:
            why = "it is a video from elsewhere, and its file does not say how it was made here"
            raise BadRecipe("image_id", item.id, f"{why}; call generate_video with its prompt")
        step = "use it as input_video of extend_video, or call generate_video with a prompt"
    if item.source and task == "workflow" and item.rendered.workflow is None:
        raise BadRecipe("image_id", item.id, "it was made by a workflow elsewhere; call run_workflow with that")
    if item.source and item.rendered.source is None and task not in {*FROM_WORDS, "unknown", "workflow"}:
        why = f"it was made from another picture ({task}), which is not in its file"
        raise BadRecipe("image_id", item.id, f"{why}; {step}")
    if task == "unknown":
        raise BadRecipe("image_id", item.id, f"its file does not say how it was made; {step}")


def _workflow_again(item: Item, overrides: Mapping[str, Any]) -> Recipe:
    """The same graph with the same files. Raises BadRecipe for overrides: its values stand in the graph."""
    name, value = next(((name, value) for name, value in overrides.items() if name != "count"), ("", None))
    if name:
        way = "it was made by a workflow, whose values stand in its graph; call run_workflow with this input"
        raise BadRecipe(name, value, way)
    return item.recipe.but(seed=item.recipe.seed, source_item=item.id, engine="auto")


def _ruled_out(item: Item, negative: str) -> str:
    """What was ruled out when the item was drawn, with this in place of the person's own part of it."""
    from workflows.prompts.negatives import joined, merged, parts_of

    if negative == item.recipe.negative:
        return item.rendered.negative
    theirs = {part.lower() for part in parts_of(item.recipe.negative)}
    ours = [part for part in parts_of(item.rendered.negative) if part.lower() not in theirs]
    return joined(merged(parts_of(negative), ours))
