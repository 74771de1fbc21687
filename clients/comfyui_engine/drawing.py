"""Drawing: one recipe on one server, from its inputs to the pictures or the video that came out; down the memory ladder
where it must."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from clients.comfyui_engine.memory import Rung, given_up, ladder, said, told
from clients.comfyui_engine.pictures import Shown, facts_of_source, same_pixels, size_of, video_of
from clients.comfyui_engine.progress import Tracker
from clients.comfyui_engine.weighing import planned
from utils.images import BadPicture
from utils.video import BadVideo
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft, sampler_steps
from workflows.drawing.finishing import draft_mask
from workflows.drawing.fitting import fit
from workflows.drawing.interpolating import rate_note
from workflows.errors import BadRecipe, EngineUnavailable, GraphRejected, NotFound, OutOfMemory, RenderFailed
from workflows.types import VIDEOS, WORDLESS, Artifact, Media, Recipe, Ticket, new_id, now

if TYPE_CHECKING:
    from clients.comfyui_client import Finished, OutputFile
    from clients.comfyui_engine.fleet import Fleet
    from clients.comfyui_engine.server import Server
    from workflows.drawing.inventory import Inventory
    from workflows.drawing.setup import Setup
    from workflows.graph import Graph

FOLDER = "atelier"
"""Of the server's output folder: everything of ours is in it, in one folder a day, because SaveImage reads the whole
folder at every picture."""


NO_FACE = "No face was found in the picture, so it is unchanged."
MOVING = (".mp4", ".webm", ".webp", ".gif", ".mkv", ".mov", ".avi")
"""Endings of the files that a video may come in."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A prompt that was carried out: its graph, its id, how thrifty it was, and its pictures, or its video."""

    graph: Graph
    setup: Setup
    prompt_id: str
    pictures: tuple[Shown, ...]
    memory: Mapping[str, Any] | None = None
    """The plan by which it fitted, and what came of it."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What a setup needs besides what the server has: names under which our pictures lie there."""

    prefix: str
    pictures: Mapping[str, str]
    source: Mapping[str, Any]
    """Facts of the picture or video that it is made from."""

    def into(self, setup: Setup) -> Setup:
        return replace(setup, prefix=self.prefix, pictures=self.pictures, facts={**setup.facts, **self.source})


@dataclass(kw_only=True)
class Drawing:
    """Owns nothing: whoever awaits `artifacts` may be cancelled, and the client then stops the prompt."""

    server: Server
    recipe: Recipe
    setup: Setup
    inputs: Mapping[str, Media]
    ticket: Ticket
    tracker: Tracker
    prompt_id: str = ""
    """Of the prompt that was sent last."""
    notes: list[str] = field(default_factory=list[str])

    @property
    def model(self) -> str:
        """What it loads there."""
        return self.setup.model

    async def artifacts(self) -> list[Artifact]:
        """Raises EngineError; EngineUnavailable means that the server, not the recipe, is at fault."""
        began = time.perf_counter()
        try:
            drawn = await self._down_the_ladder(await self._placed())
        except GraphRejected:
            self.server.forget()  # it has not what we thought it had
            raise
        except RenderFailed as error:
            raise self._with_the_guesses(error) from error
        if drawn.setup.family.profile.name != "unknown":  # an upscaler or another tool draws nothing
            self.server.warm = drawn.setup.model
        if await self._found_no_face(drawn):
            self.notes.append(NO_FACE)
        self.tracker.finish()
        facts = self._facts(drawn, time.perf_counter() - began)
        return [self._artifact(drawn, facts, place, shown) for place, shown in enumerate(drawn.pictures)]

    async def mask(self) -> Media:
        """What a mask finder's setup draws."""
        setup = (await self._placed()).into(self.setup)
        drawn = await self._drawn(setup, draft_mask(self.recipe, setup), 1)
        return drawn.pictures[0].media

    # ------------------------------------------------------------------ steps

    async def _placed(self) -> Placed:
        """The input pictures uploaded, and a name for the output."""
        prefix = f"{FOLDER}/{now():%Y-%m-%d}/{self.ticket.id[:8]}"
        names = {role: await self.server.upload(media) for role, media in self.inputs.items()}
        source = await self._source()
        if self.recipe.task == "interpolate" and (note := rate_note(self.recipe.fps, source.get("source_fps"))):
            self.notes.append(note)
        return Placed(prefix=prefix, pictures=names, source=source)

    async def _source(self) -> Mapping[str, Any]:
        source = self.inputs.get("source")
        try:
            return await asyncio.to_thread(facts_of_source, source.data) if source else {}
        except (BadPicture, BadVideo) as error:
            raise BadRecipe("source", source and source.media_type, f"it cannot be used ({error})") from error

    async def _down_the_ladder(self, placed: Placed) -> Drawn:
        """The first rung that fits into the server's memory, from where the plan begins."""
        tried: list[Rung] = []
        last = OutOfMemory("")
        count = await self.server.at_once(self.recipe, self.setup)
        inventory = await self.server.inventory()
        plan = await planned(self.server, self.recipe.but(count=count), self.setup, inventory)
        for rung, setup, graph in self._rungs(
            ladder(count, plan, shrinking=self.recipe.task not in VIDEOS), placed, inventory
        ):
            if tried:
                self.tracker.say(f"Out of memory; drawing again {rung.words}")
                await self.server.client.free()
            tried.append(rung)
            try:
                drawn = await self._drawn(setup, graph, len(tried))
            except OutOfMemory as error:
                last = error
                self.server.did_not_fit(self.recipe, self.setup, rung.count)
                continue
            self.notes += [said(rung)] if len(tried) > 1 else []
            used = replace(setup.thrift, small_weights=self._is_smaller(setup))
            return replace(drawn, memory=told(plan, used, rung.words if len(tried) > 1 else "")) if plan else drawn
        raise given_up(tried, last, self.server.url, video=self.recipe.task in VIDEOS) from last

    def _rungs(
        self, rungs: Iterable[Rung], placed: Placed, inventory: Inventory
    ) -> Iterator[tuple[Rung, Setup, Graph]]:
        """The rungs that make another graph than the ones before: not every one changes something for every recipe."""
        seen: list[Graph] = []
        for rung in rungs:
            setup = placed.into(self._setup_for(rung, inventory))
            graph = draft(self.recipe.but(count=rung.count), setup)
            if graph not in seen:
                seen.append(graph)
                yield rung, setup, graph

    def _setup_for(self, rung: Rung, inventory: Inventory) -> Setup:
        if rung.thrift.small_weights and self.recipe.task not in WORDLESS:
            return fit(self.recipe.but(model=self.setup.model), inventory, thrift=rung.thrift)
        return replace(self.setup, thrift=rung.thrift)

    def _is_smaller(self, setup: Setup) -> bool:
        """Whether the weights are really in a smaller format: not every server has a way to that."""
        return setup.model != self.setup.model or "weight_dtype" in setup.components

    async def _drawn(self, setup: Setup, graph: Graph, rung: int) -> Drawn:
        """One graph carried out and its pictures fetched; once more, under another name, when its file is gone."""
        finished = await self._run(graph, self._prompt_id(f"rung {rung}" if rung > 1 else ""))
        try:
            pictures = await self._fetched(finished)
        except NotFound:  # an equal prompt was in the server's cache, its file is not there any more
            graph = renamed(graph)
            finished = await self._run(graph, self._prompt_id(f"rung {rung} again"))
            pictures = await self._fetched(finished)
        return Drawn(graph=graph, setup=setup, prompt_id=self.prompt_id, pictures=pictures)

    async def _run(self, graph: Graph, prompt_id: str) -> Finished:
        inventory = await self.server.inventory()
        if faults := problems(graph, inventory):
            raise GraphRejected(f"{self.server.url} would not take this graph: {faults[0].message}", faults)
        self.tracker.begin(graph, sampler_steps(graph), self.server.url)
        self.prompt_id = prompt_id
        return await self.server.client.run(
            graph.as_prompt(), prompt_id=prompt_id, on_event=self.tracker.hear, again=self.ticket.again
        )

    def _prompt_id(self, which: str) -> str:
        """The ticket's own id for the first prompt; what has to be sent besides is named after it."""
        return str(uuid5(UUID(self.ticket.id), which)) if which else self.ticket.id

    async def _fetched(self, finished: Finished) -> tuple[Shown, ...]:
        """What was saved; raises NotFound when a file is gone, RenderFailed when there is none."""
        files = [file for file in finished.files if file.type == "output"] or list(finished.files)
        video = self.recipe.task in VIDEOS
        if video:
            files = [file for file in files if file.filename.lower().endswith(MOVING)] or files
        if not files:
            raise RenderFailed(f"{self.server.url} ended the render without a {'video' if video else 'picture'}.")
        return tuple([await self._shown(file) for file in files])

    async def _shown(self, file: OutputFile) -> Shown:
        """Fetched again once when it comes in pieces."""
        try:
            return await self._whole(file)
        except (RenderFailed, EngineUnavailable):
            return await self._whole(file)

    async def _whole(self, file: OutputFile) -> Shown:
        media = await self.server.client.view(file)
        try:
            if self.recipe.task in VIDEOS:
                return await asyncio.to_thread(video_of, media)
            width, height = await asyncio.to_thread(size_of, media.data)
        except BadVideo as error:
            raise RenderFailed(f"{self.server.url} gave a video that cannot be used: {error}.") from error
        except BadPicture as error:
            raise RenderFailed(f"{self.server.url} gave a picture that cannot be used: {error}.") from error
        return Shown(media=media, width=width, height=height)

    async def _found_no_face(self, drawn: Drawn) -> bool:
        """Whether a face restoration gave back what it got."""
        if self.recipe.task != "face_restore" or "source" not in self.inputs:
            return False
        return await asyncio.to_thread(same_pixels, self.inputs["source"].data, drawn.pictures[0].media.data)

    # ------------------------------------------------------------------ what is told of it

    def _with_the_guesses(self, error: RenderFailed) -> RenderFailed:
        """What was taken for granted before it broke is what the reader may change."""
        notes = (*self.setup.notes, *self.notes)
        return RenderFailed(f"{str(error).rstrip('.')}. Mind: {' '.join(notes)}", node=error.node) if notes else error

    def _facts(self, drawn: Drawn, seconds: float) -> dict[str, Any]:
        setup, recipe = drawn.setup, self.recipe
        told = {
            "prompt_id": drawn.prompt_id,
            "server": self.server.url,
            "family": setup.family.profile.name,
            "template": setup.template.name,
            "steps": recipe.steps,
            "cfg": recipe.cfg,
            "sampler": setup.sampler or None,
            "scheduler": setup.scheduler or None,
            "components": dict(setup.components) or None,
            "loras": {lora.name: lora.strength for lora in (*setup.loras, *setup.loras_2)} or None,
            "few_steps": setup.facts.get("few_steps"),
            "notes": [*setup.notes, *self.notes] or None,
            "memory": drawn.memory,
            "render_seconds" if recipe.task in VIDEOS else "seconds": round(seconds, 3),
            "graph": drawn.graph.as_prompt(),
        }
        return {name: value for name, value in told.items() if value is not None}

    def _artifact(self, drawn: Drawn, facts: dict[str, Any], place: int, shown: Shown) -> Artifact:
        alone = len(drawn.pictures) == 1
        told = self.recipe.batch_index if alone else place
        return Artifact(
            media=shown.media,
            seed=self.recipe.seed or 0,
            width=shown.width,
            height=shown.height,
            model=drawn.setup.model,
            facts=facts | ({} if told is None else {"batch_index": told}) | dict(shown.facts),
        )


@dataclass(frozen=True, kw_only=True)
class Drawings:
    """The Chooser of drawings: the server that has the model, or the best one."""

    fleet: Fleet
    recipe: Recipe
    inputs: Mapping[str, Media]
    ticket: Ticket
    tracker: Tracker

    async def anywhere(self, besides: Collection[str] = ()) -> Drawing:
        return self._drawing(*await self.fleet.pick(self.recipe, besides))

    async def there(self, server: Server) -> Drawing:
        return self._drawing(server, await server.fitted(self.recipe))

    def _drawing(self, server: Server, setup: Setup) -> Drawing:
        return Drawing(
            server=server,
            recipe=self.recipe,
            setup=setup,
            inputs=self.inputs,
            ticket=self.ticket,
            tracker=self.tracker,
        )


def renamed(graph: Graph) -> Graph:
    """The same graph saving under another name, which makes the server save again."""
    for name, node in graph.nodes.items():
        if isinstance(prefix := node.inputs.get("filename_prefix"), str):
            graph = graph.but(name, filename_prefix=f"{prefix}-again")
    return graph


async def found_mask(server: Server, words: str, source: Media, setup: Setup) -> Media:
    """The mask that a server finds, white where the words are."""
    recipe = Recipe(task="inpaint", prompt=words, mask_text=words)
    drawing = Drawing(
        server=server,
        recipe=recipe,
        setup=setup,
        inputs={"source": source},
        ticket=Ticket(id=new_id()),
        tracker=Tracker(lambda step: None),
    )
    return await drawing.mask()
