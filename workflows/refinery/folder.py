"""Folder: a batch's output as files, each written whole or not at all. The ledger and the gallery are what counts:
every file can be written anew from them, and is when it is missing or damaged.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from utils.images import sha256
from utils.small_files import PART, read_small, write_whole
from workflows.errors import BadRecipe, NotFound, StorageError
from workflows.gallery import Gallery
from workflows.gallery.finding import has_picture
from workflows.sheets import MOST_TILES, Mark, Tile, contact_sheet
from workflows.types import Item, Refinement, Round

RUN, SUMMARY, SHEET, RESULTS = "run.json", "summary.json", "contact_sheet.png", "results"
MOST_BYTES = 16 << 20
"""Of a file of ours that is read again."""


class Folder:
    """results/<prompt_id>/iteration_1.png, iteration_1_results.json and .yaml, iteration_1_evaluation.json, ...,
    summary.json; and for the run run.json, summary.json, contact_sheet.png."""

    def __init__(self, path: Path, gallery: Gallery) -> None:
        self.path = path
        self._gallery = gallery

    # ------------------------------------------------------------------ the run

    def open(self) -> None:
        """Make it, and clear away what a killed process left half written. Raises BadRecipe."""
        try:
            (self.path / RESULTS).mkdir(parents=True, exist_ok=True)
            for left in [*self.path.glob(f".*{PART}"), *self.path.glob(f"{RESULTS}/*/.*{PART}")]:
                left.unlink(missing_ok=True)
        except OSError as error:
            raise BadRecipe("output_dir", str(self.path), f"it cannot be written: {error.strerror}") from error

    def run(self) -> Mapping[str, Any]:
        """What run.json says; where that is damaged, what the run's summary says; empty where there is neither."""
        for name in (RUN, SUMMARY):
            try:
                told = json.loads(read_small(self.path / name, MOST_BYTES))
            except (OSError, ValueError):
                continue
            if isinstance(told, dict) and isinstance(told.get("run_id"), str):  # pyright: ignore[reportUnknownMemberType]
                return cast(Mapping[str, Any], told)
        return {}

    def keep_run(self, told: Mapping[str, Any]) -> None:
        self._put(self.path / RUN, as_json(told))

    def keep_summary(self, told: Mapping[str, Any]) -> None:
        self._put(self.path / SUMMARY, as_json(told))

    # ------------------------------------------------------------------ one refinement

    async def keep(self, refinement: Refinement) -> None:
        """Bring the files of one refinement up to date; those that are right are left alone. Raises StorageError."""
        items = {one.number: await self._item(one) for one in refinement.rounds}
        for one in refinement.rounds:
            await self._keep_picture(refinement, one, items[one.number])
            await asyncio.to_thread(self._keep_round, refinement, one, items[one.number])
        summary = summary_of(refinement, {number: self._name(number, item) for number, item in items.items() if item})
        await asyncio.to_thread(self._put, self._place(refinement, SUMMARY), as_json(summary))

    async def _item(self, one: Round) -> Item | None:
        if one.image_id is None:
            return None
        try:
            return await self._gallery.find(one.image_id)
        except NotFound:  # erased since: what was made of it is told all the same
            return None

    async def _keep_picture(self, refinement: Refinement, one: Round, item: Item | None) -> None:
        if item is None:
            return
        path = self._place(refinement, self._name(one.number, item))
        if await asyncio.to_thread(_is_whole, path, item):
            return
        media = await self._gallery.file(item)
        await asyncio.to_thread(self._put, path, media.data)

    def _keep_round(self, refinement: Refinement, one: Round, item: Item | None) -> None:
        told = results_of(refinement, one, item, self._name(one.number, item) if item else None)
        stem = f"iteration_{one.number}"
        self._put(self._place(refinement, f"{stem}_results.json"), as_json(told))
        self._put(self._place(refinement, f"{stem}_results.yaml"), as_yaml(told))
        if one.evaluation is not None:
            seen = one.evaluation.model_dump(mode="json")
            self._put(self._place(refinement, f"{stem}_evaluation.json"), as_json(seen))

    # ------------------------------------------------------------------ the sheet

    async def keep_sheet(self, refinements: Sequence[Refinement], title: str) -> None:
        """The best picture of each brief, at most 400, with its id and score."""
        tiles = [await self._tile(one) for one in refinements[:MOST_TILES]]
        if tiles:
            sheet = await asyncio.to_thread(contact_sheet, tiles, title=title)
            await asyncio.to_thread(self._put, self.path / SHEET, sheet)

    async def _tile(self, refinement: Refinement) -> Tile:
        chosen = refinement.chosen
        item = await self._item(chosen) if chosen else None
        line, mark = _verdict(refinement)
        picture = None
        if item is not None and has_picture(item):
            try:
                picture = (await self._gallery.preview(item.id, 384)).data
            except (NotFound, StorageError) as error:
                line, mark = str(error), "broken"
        return Tile(picture=picture, lines=(refinement.brief.title or refinement.brief.id, line), mark=mark)

    # ------------------------------------------------------------------ files

    def _place(self, refinement: Refinement, name: str) -> Path:
        return self.path / RESULTS / refinement.brief.id / name

    def _name(self, number: int, item: Item | None) -> str:
        ending = Path(item.key).suffix if item else ""
        return f"iteration_{number}{ending or '.png'}"

    def _put(self, path: Path, content: bytes) -> None:
        """Whole or not at all, and on the disk before it has its name; one that is right already is left alone."""
        try:
            if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
                return
            write_whole(path, content)
        except OSError as error:
            step = "free the disk or mend the folder, then go on with --resume"
            raise StorageError(f"{path} cannot be written ({error.strerror}): {step}.") from error


def _is_whole(path: Path, item: Item) -> bool:
    try:
        return path.stat().st_size == item.size and sha256(path.read_bytes()) == item.sha256
    except OSError:
        return False


def as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def as_yaml(value: Mapping[str, Any]) -> bytes:
    import yaml

    return yaml.safe_dump(dict(value), allow_unicode=True, sort_keys=False, width=120).encode()


def results_of(refinement: Refinement, one: Round, item: Item | None, file: str | None) -> dict[str, Any]:
    """What came of one round."""
    seen = one.evaluation
    told: dict[str, Any] = {
        "run_id": refinement.run_id,
        "prompt_id": refinement.brief.id,
        "title": refinement.brief.title,
        "iteration": one.number,
        "stage": one.stage,
        "wish": refinement.brief.prompt,
        "prompt": one.prompt,
        "negative": one.negative,
        "image": file,
        "image_id": one.image_id,
        "job_id": one.job_id,
        "score": seen.score if seen else None,
        "passed": seen.passed if seen else None,
        "evaluated_by": seen.by if seen else None,
        "missing": list(seen.missing) if seen else [],
        "refined_prompt": one.refined,
        "refined_by": one.refined_by,
        "why": one.why,
        "created": one.created.isoformat(),
        "seconds": one.seconds,
    }
    if item is None:
        return told
    made = {"seed": item.seed, "model": item.model, "engine": item.engine, "width": item.width, "height": item.height}
    return told | made


def summary_of(refinement: Refinement, files: Mapping[int, str]) -> dict[str, Any]:
    """One brief: how far it is, all its rounds in a line each, and the best of them."""
    chosen = refinement.chosen
    return {
        "run_id": refinement.run_id,
        "refinement_id": refinement.id,
        "prompt_id": refinement.brief.id,
        "brief": refinement.brief.model_dump(mode="json"),
        "state": refinement.state,
        "fault": refinement.fault,
        "iterations": refinement.iterations,
        "evaluator": refinement.evaluator,
        "best": refinement.best,
        "image": files.get(refinement.best or 0),
        "prompt": chosen.prompt if chosen else None,
        "rounds": [
            {
                "iteration": one.number,
                "image": files.get(one.number),
                "score": one.evaluation.score if one.evaluation else None,
                "passed": one.evaluation.passed if one.evaluation else None,
                "prompt": one.prompt,
            }
            for one in refinement.rounds
        ],
        "versions": refinement.versions,
        "created": refinement.created.isoformat(),
        "updated": refinement.updated.isoformat(),
    }


def _verdict(refinement: Refinement) -> tuple[str, Mark]:
    chosen = refinement.chosen
    if chosen is None:
        return refinement.fault or refinement.state, "broken" if refinement.fault else ""
    seen = chosen.evaluation
    if seen is None:
        return "not evaluated", ""
    score = f" {seen.score:.3g}" if seen.score is not None else ""
    told = {True: "accepted", False: "not accepted", None: "no verdict"}[seen.passed]
    mark: Mark = "passed" if seen.passed else "failed" if seen.passed is False else ""
    return f"{told},{score} ({seen.by}), iteration {chosen.number}".replace(", (", " ("), mark
