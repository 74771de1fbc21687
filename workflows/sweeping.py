"""Sweeps: one picture for every combination of some settings, all else the same, and a grid of them at the end."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workflows.asking import NONE, recipe_from
from workflows.errors import BadRecipe, StudioError
from workflows.inputs import Given
from workflows.sheets import Mark, Tile, grid
from workflows.types import MAX_SEED, Item, Job, LoraUse, Recipe, new_id

if TYPE_CHECKING:
    from workflows.app import App

AXES = ("cfg", "steps", "sampler", "scheduler", "seed", "denoise", "model", "lora", "width", "height", "clip_skip")
WHOLE, REAL = frozenset({"steps", "seed", "width", "height", "clip_skip"}), frozenset({"cfg", "denoise"})
MOST_CELLS = 100
MOST_VALUES = 20
UNASKED = 25
"""Cells that are drawn without asking again."""
IN_HAND = 4
"""Jobs of a sweep in the queue at once: the engine never waits, and others get between."""
CELL_SECONDS = 24 * 3600.0
TAG = "sweep:"


@dataclass(frozen=True)
class Axis:
    """A setting with the values that are tried, as texts the way they are shown."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One combination: which value of each axis, and what came of it."""

    values: tuple[str, ...]
    recipe: Recipe
    item: Item | None = None
    job_id: str = ""
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep that has ended. `grids`: PNGs by what they are of; one alone has no words."""

    id: str
    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]
    grids: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)

    @property
    def tag(self) -> str:
        return f"{TAG}{self.id}"


def axes_from(given: Mapping[str, str | Sequence[str] | None]) -> tuple[Axis, ...]:
    """The axes in their order, from "3,5,7" or lists of such. Raises BadRecipe for none, twins, and too many."""
    axes: list[Axis] = []
    for name, told in given.items():
        written = [told] if isinstance(told, str) else list(told or ())
        values = tuple(part.strip() for text in written for part in text.split(",") if part.strip())
        if not values:
            continue
        if name not in AXES:
            raise BadRecipe("axis", name, f"it is one of {', '.join(AXES)}")
        if len(set(values)) < len(values):
            raise BadRecipe(name, ",".join(values), "each value once")
        if len(values) > MOST_VALUES:
            raise BadRecipe(name, ",".join(values), f"at most {MOST_VALUES} values")
        axes.append(Axis(name, values))
    if not any(len(axis.values) > 1 for axis in axes):
        raise BadRecipe("sweep", None, "name two values of something at least, such as --cfg 3,5,7")
    return tuple(axis for axis in axes if len(axis.values) > 1)


def planned(recipe: Recipe, axes: Sequence[Axis]) -> tuple[Cell, ...]:
    """Every combination, the first axis running slowest. All have one seed unless that is an axis, and one attempt.

    Raises BadRecipe for a value that cannot be used, and for more than 100 cells, before anything is drawn.
    """
    count = 1
    for axis in axes:
        count *= len(axis.values)
    if count > MOST_CELLS:
        raise BadRecipe("sweep", f"{count} pictures", f"at most {MOST_CELLS}; leave some values out")
    seed = random.randint(0, MAX_SEED) if recipe.seed is None else recipe.seed
    once = recipe.acceptance.but(auto_retry=False, best_of=1)
    base = recipe.but(seed=seed, count=1, acceptance=once)
    combined = itertools.product(*(axis.values for axis in axes))
    return tuple(Cell(values, _set(base, axes, values)) for values in combined)


def fixed(given: Mapping[str, Any], axes: Mapping[str, str | Sequence[str] | None]) -> Recipe:
    """The recipe that all cells start from: the options that are the same for all, and axes of one value."""
    alone = {name: told for name, told in axes.items() if told}
    swept = {axis.name for axis in axes_from(axes)}
    recipe = recipe_from(given)
    for name, told in alone.items():
        value = told if isinstance(told, str) else ",".join(told)
        if name not in swept:
            recipe = _set(recipe, [Axis(name, (value,))], (value,))
    return recipe


async def swept(
    app: App,
    cells: Sequence[Cell],
    axes: Sequence[Axis],
    *,
    pictures: Mapping[str, Given] | None = None,
    report: Callable[[int, int], object] | None = None,
) -> Sweep:
    """Draw every cell as a job of its own, file and tag them, and lay the grid.

    A cell that fails is told in its place. The first cell chooses the model where nobody names one, and the others
    take it. Cancelling stops all that is in hand. Raises what the first cell is refused with when none can be drawn.
    """
    work = _Work(app, new_id()[:8], dict(pictures or {}), report, len(cells))
    first, chosen = await work.first(cells[0], axes)
    rest = [Cell(cell.values, _pinned(cell.recipe, chosen, axes)) for cell in cells[1:]]
    ended = [first, *await work.all(rest)]
    axes = tuple(axes)
    laid = await asyncio.to_thread(grids, axes, ended, {cell.values: await work.shown(cell) for cell in ended})
    return Sweep(id=work.id, axes=axes, cells=tuple(ended), grids=laid)


@dataclass
class _Work:
    app: App
    id: str
    pictures: Mapping[str, Given]
    report: Callable[[int, int], object] | None
    cells: int
    done: int = 0

    async def first(self, cell: Cell, axes: Sequence[Axis]) -> tuple[Cell, Recipe]:
        """The first cell, and the recipe that the studio completed it to; one that is refused ends the sweep unless an
        axis may be to blame."""
        try:
            job = await self._submitted(cell)
        except StudioError as error:
            if not {"model", "sampler", "scheduler", "lora", "width", "height"} & {axis.name for axis in axes}:
                raise
            self._step()
            return Cell(cell.values, cell.recipe, fault=str(error)), cell.recipe
        return await self._followed(cell, job), job.recipe

    async def all(self, cells: Sequence[Cell]) -> list[Cell]:
        """All cells, a few at once; whoever stops this stops them."""
        turn = asyncio.Semaphore(IN_HAND)

        async def drawn(cell: Cell) -> Cell:
            async with turn:
                return await self._drawn(cell)

        tasks = [asyncio.ensure_future(drawn(cell)) for cell in cells]
        try:
            return list(await asyncio.gather(*tasks))
        except BaseException:
            for task in tasks:
                if not task.cancelling():  # a second cancel would break into what the first one is ending
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def shown(self, cell: Cell) -> bytes | None:
        if cell.item is None:
            return None
        return (await self.app.gallery.original(cell.item.id)).data

    async def _drawn(self, cell: Cell) -> Cell:
        try:
            job = await self._submitted(cell)
        except StudioError as error:
            self._step()
            return Cell(cell.values, cell.recipe, fault=str(error))
        return await self._followed(cell, job)

    async def _submitted(self, cell: Cell) -> Job:
        """The cell's job; one that was just written down when the sweep is stopped is stopped with it."""
        task = asyncio.ensure_future(self.app.studio.submit(cell.recipe, self.pictures))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            if task.exception() is None:
                await self.app.studio.cancel(task.result().id)
            raise

    async def _followed(self, cell: Cell, job: Job) -> Cell:
        """The job at its end; with the task that waits for it the job is stopped, too."""
        try:
            ended = await self.app.studio.wait(job.id, CELL_SECONDS)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(self.app.studio.cancel(job.id)))
            raise
        if ended.state != "succeeded" or not ended.item_ids:
            fault = ended.fault.message if ended.fault else f"it was {ended.state}"
            self._step()
            return Cell(cell.values, cell.recipe, job_id=job.id, fault=fault)
        item = await self.app.gallery.tag(ended.item_ids[0], [f"{TAG}{self.id}"])
        self._step()
        return Cell(cell.values, cell.recipe, item=item, job_id=job.id)

    def _step(self) -> None:
        self.done += 1
        if self.report is not None:
            self.report(self.done, self.cells)


def _set(recipe: Recipe, axes: Sequence[Axis], values: Sequence[str]) -> Recipe:
    """The recipe with these values. Raises BadRecipe."""
    changes: dict[str, Any] = {}
    for axis, value in zip(axes, values, strict=True):
        if axis.name == "lora":
            changes["loras"] = _lora(recipe, value)
            changes["auto_loras"] = False
        else:
            changes[axis.name] = _typed(axis.name, value)
    return recipe.but(**changes)


def _typed(name: str, value: str) -> Any:
    kind = int if name in WHOLE else float if name in REAL else str
    try:
        return kind(value)
    except ValueError as error:
        raise BadRecipe(name, value, "it is a whole number" if kind is int else "it is a number") from error


def _lora(recipe: Recipe, value: str) -> tuple[LoraUse, ...]:
    """This LoRA besides those that all cells have; none: no further one."""
    return recipe.loras if value == NONE else (*recipe.loras, *recipe_from({"prompt": "a", "loras": [value]}).loras)


def _pinned(recipe: Recipe, chosen: Recipe, axes: Sequence[Axis]) -> Recipe:
    """With the model and LoRAs that were chosen for the first cell, so that nothing but the axes differs."""
    names = {axis.name for axis in axes}
    changes: dict[str, Any] = {}
    if recipe.model is None and "model" not in names:
        changes["model"] = chosen.model
    if recipe.auto_loras and "lora" not in names and changes.get("model"):
        changes |= {"loras": chosen.loras, "auto_loras": False}
    return recipe.but(**changes)


# The grids


def grids(
    axes: Sequence[Axis], cells: Sequence[Cell], pictures: Mapping[tuple[str, ...], bytes | None]
) -> dict[str, bytes]:
    """A grid of the first two axes for every combination of the others; the first axis runs across."""
    by_values = {cell.values: cell for cell in cells}
    across, down = axes[0], axes[1] if len(axes) > 1 else Axis("", ("",))
    laid: dict[str, bytes] = {}
    for rest in itertools.product(*(axis.values for axis in axes[2:])):
        name = ", ".join(f"{axis.name} {value}" for axis, value in zip(axes[2:], rest, strict=True))
        rows: list[list[Tile]] = []
        for low in down.values:
            keys = [(high, *((low,) if len(axes) > 1 else ()), *rest) for high in across.values]
            rows.append([_tile(by_values[key], pictures.get(key)) for key in keys])
        title = " · ".join(part for part in (cells[0].recipe.prompt, name) if part)
        laid[name] = grid(
            rows, columns=across.values, rows=down.values, across=across.name, down=down.name, title=title
        )
    return laid


def _tile(cell: Cell, picture: bytes | None) -> Tile:
    item = cell.item
    if item is None:
        return Tile(lines=(cell.fault or "not drawn",), mark="broken")
    told = "not judged" if item.score is None else f"score {item.score:.3f}"
    mark: Mark = "passed" if item.passed else "failed" if item.passed is False else ""
    return Tile(picture=picture, lines=(told,), mark=mark)
