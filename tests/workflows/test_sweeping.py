"""Sweeps: every combination once, all else the same, and a grid at the end whatever happened."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeEngine, FakeJudge, fake_app, png
from utils.images import decode
from workflows.errors import BadRecipe, EngineUnavailable, OutOfMemory
from workflows.sweeping import MOST_CELLS, Axis, axes_from, fixed, planned, swept
from workflows.types import ItemQuery, LoraUse, Media, Recipe

BASE = Recipe(prompt="a red circle", seed=7)
CFG, STEPS = Axis("cfg", ("3", "5", "7")), Axis("steps", ("2", "4"))


def test_axes_are_read_from_what_people_write() -> None:
    told: dict[str, Any] = {"cfg": "3, 5,7", "steps": ["2", "4"], "sampler": None, "seed": "9"}

    assert axes_from(told) == (CFG, STEPS)
    assert fixed({"prompt": "a red circle"}, told).seed == 9


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"cfg": "3"}, "two values"),
        ({}, "two values"),
        ({"cfg": "3,3"}, "each value once"),
        ({"colour": "red,blue"}, "axis cannot be 'colour'"),
        ({"steps": ",".join(map(str, range(1, 30)))}, "at most 20"),
    ],
)
def test_axes_that_are_none_are_refused(told: dict[str, str], says: str) -> None:
    with pytest.raises(BadRecipe, match=says):
        axes_from(told)


def test_every_combination_is_planned_once_with_one_seed_and_one_attempt() -> None:
    cells = planned(Recipe(prompt="a"), [CFG, STEPS])

    assert [(cell.recipe.cfg, cell.recipe.steps) for cell in cells] == [
        (3.0, 2), (3.0, 4), (5.0, 2), (5.0, 4), (7.0, 2), (7.0, 4),
    ]  # fmt: skip
    assert len({cell.recipe.seed for cell in cells}) == 1 and cells[0].recipe.seed is not None
    assert {cell.recipe.acceptance.attempts for cell in cells} == {1}


def test_seeds_models_and_loras_can_be_axes() -> None:
    base = Recipe(prompt="a", loras=(LoraUse(name="always"),))
    axes = [Axis("seed", ("1", "2")), Axis("model", ("m", "n")), Axis("lora", ("none", "ink:0.5"))]
    first, *_, last = planned(base, axes)

    assert (first.recipe.seed, first.recipe.model, first.recipe.loras) == (1, "m", base.loras)
    assert (last.recipe.seed, last.recipe.model) == (2, "n")
    assert last.recipe.loras == (*base.loras, LoraUse(name="ink", strength=0.5))


@pytest.mark.parametrize(
    ("axis", "says"),
    [
        (Axis("steps", ("2", "many")), "steps cannot be 'many': it is a whole number"),
        (Axis("cfg", ("2", "99")), "cfg cannot be 99"),
        (Axis("width", ("64", "65")), "width cannot be 65"),
        (Axis("seed", tuple(map(str, range(MOST_CELLS + 1)))), "at most 100"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_before_anything_is_drawn(axis: Axis, says: str) -> None:
    with pytest.raises(BadRecipe, match=says):
        planned(BASE, [axis])


async def test_each_cell_is_a_judged_picture_of_the_gallery_with_the_sweeps_tag(tmp_path: Path) -> None:
    engine, steps = FakeEngine(), list[tuple[int, int]]()
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1, 0.3])) as app:
        done = await swept(
            app, planned(BASE, [CFG, STEPS]), [CFG, STEPS], report=lambda done, total: steps.append((done, total))
        )
        tagged = (await app.gallery.search(ItemQuery(tag=done.tag))).items

        assert [cell.values for cell in done.cells] == [(c, s) for c in ("3", "5", "7") for s in ("2", "4")]
        drawn = [cell.item for cell in done.cells if cell.item]
        assert {item.id for item in drawn} == {item.id for item in tagged} and len(drawn) == 6
        assert [(i.rendered.cfg, i.rendered.steps, i.seed) for i in drawn] == [
            (cfg, step, 7) for cfg in (3.0, 5.0, 7.0) for step in (2, 4)
        ]
        assert len(engine.recipes) == 6
        assert sorted(item.passed for item in drawn if item.passed is not None) == [False, *[True] * 5]
    assert steps == [(number, 6) for number in range(1, 7)]
    assert list(done.grids) == [""]
    assert decode(done.grids[""]).width > 3 * 180


async def test_a_third_axis_gives_a_grid_for_each_of_its_values(tmp_path: Path) -> None:
    axes = [Axis("cfg", ("3", "5")), STEPS, Axis("seed", ("1", "2"))]
    async with fake_app(tmp_path) as app:
        done = await swept(app, planned(BASE, axes), axes)

    assert list(done.grids) == ["seed 1", "seed 2"]
    assert done.grids["seed 1"] != done.grids["seed 2"]


async def test_a_cell_that_fails_is_told_in_its_place_and_the_others_are_drawn(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(errors=[OutOfMemory("needs 9 GB")])) as app:
        done = await swept(app, planned(BASE, [CFG]), [CFG])

    assert [cell.fault for cell in done.cells] == ["needs 9 GB", "", ""]
    assert [cell.item is None for cell in done.cells] == [True, False, False]


async def test_what_no_engine_draws_ends_the_sweep_at_once_with_the_reason(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(refuses="no such model")) as app:
        with pytest.raises(EngineUnavailable, match="no such model"):
            await swept(app, planned(BASE, [CFG]), [CFG])


async def test_cells_can_start_from_a_picture(tmp_path: Path) -> None:
    engine, axis = FakeEngine(), Axis("denoise", ("0.3", "0.9"))
    cells = planned(BASE.but(task="img2img"), [axis])
    async with fake_app(tmp_path, engine=engine) as app:
        await swept(app, cells, [axis], pictures={"source": Media(data=png(), media_type="image/png")})

    assert sorted(recipe.denoise or 0 for recipe in engine.recipes) == [0.3, 0.9]


async def test_stopping_a_sweep_stops_every_job_of_it(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), held_from=2)
    async with fake_app(tmp_path, engine=engine) as app:
        axis = Axis("seed", tuple(map(str, range(12))))
        task = asyncio.ensure_future(swept(app, planned(BASE, [axis]), [axis]))
        await asyncio.wait_for(engine.started.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert app.studio.active() == []
        states = [job.state for job in await app.studio.history(20)]
        assert states.count("succeeded") == 1 and set(states) == {"succeeded", "cancelled"}
