"""Commands that bring pictures into the gallery and take them out: import, export, contact sheet, comparison."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clients.cli.console import DONE, FAILED, Json, Parts, err, out, perform, print_json, safe
from utils.video import BadVideo, PyAvMissing, sampled
from workflows.answers import shortened
from workflows.app import App
from workflows.errors import BadRecipe, ExtraMissing, NotFound, StorageError, StudioError
from workflows.exporting import every
from workflows.gallery import has_picture, why_no_picture
from workflows.importing.wholeness import largest
from workflows.sheets import MOST_TILES, Tile, comparison, contact_sheet
from workflows.types import Item, ItemQuery, Media

Command = Callable[..., None]
VIDEOS = (".mp4", ".m4v", ".mov", ".webm", ".mkv")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", *VIDEOS})
"""What is looked for in folders; a file that is named itself is tried whatever it is called."""
IN_HAND = 4
"""Files at once: one is read while another is filed."""
SHOWN_REFUSALS = 20
FRAMES = 12
"""Of a video that has a sheet to itself."""

Paths = Annotated[list[Path], typer.Argument(help="Files and folders; folders with all that lies below.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids or file names; without any, all that the filters find.")]
Query = Annotated[str, typer.Option("--query", "-q", help="Words of the prompt.")]
Model = Annotated[str | None, typer.Option(help="Only of this model.")]
Lora = Annotated[str | None, typer.Option(help="Only with this LoRA.")]
Engine = Annotated[str | None, typer.Option(help="Only of this engine.")]
Tag = Annotated[str | None, typer.Option(help="Only with this tag.")]
Least = Annotated[float | None, typer.Option(help="Only with at least this score.")]
Since = Annotated[datetime | None, typer.Option(help="Only from this day on (UTC), such as 2026-11-01.")]
Until = Annotated[datetime | None, typer.Option(help="Only before this day (UTC).")]
Favourite = Annotated[bool | None, typer.Option("--favourite/--no-favourite", help="Only favourites, or the others.")]
Kind = Annotated[str | None, typer.Option(help="image, video, audio or file.")]
Sort = Annotated[str, typer.Option(help="newest, oldest or best.")]
FILTERS = ("query", "model", "lora", "engine", "tag", "min_score", "since", "until", "favourite", "kind", "sort")


@dataclass
class Taken:
    """What became of the files of an import."""

    imported: list[tuple[Path, Item]] = field(default_factory=list[tuple[Path, Item]])
    there: list[tuple[Path, Item]] = field(default_factory=list[tuple[Path, Item]])
    refused: list[tuple[Path, str]] = field(default_factory=list[tuple[Path, str]])


def import_command(parts: Parts) -> Command:
    def gallery_import(
        paths: Paths,
        tag: Annotated[list[str] | None, typer.Option("--tag", help="For what is new; several times.")] = None,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            files = await asyncio.to_thread(lambda: list(_files(paths)))
            taken = await _take_all(app, files, tuple(tag or ()), as_json)
            _tell_taken(taken, as_json)
            return FAILED if taken.refused and not (taken.imported or taken.there) else DONE

        perform(parts, work)

    return gallery_import


def export_command(parts: Parts) -> Command:
    def gallery_export(
        target: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The zip to write.")],
        names: Ids = None,
        query: Query = "",
        model: Model = None,
        lora: Lora = None,
        engine: Engine = None,
        tag: Tag = None,
        min_score: Least = None,
        since: Since = None,
        until: Until = None,
        favourite: Favourite = None,
        kind: Kind = None,
        sort: Sort = "newest",
        form: Annotated[str, typer.Option("--format", help="stored (as it is), png, jpeg or webp.")] = "stored",
        strip: Annotated[
            bool, typer.Option("--strip", help="To share: without prompts and settings; the mark of AI stays.")
        ] = False,
        as_json: Json = False,
    ) -> None:
        given = dict(locals())

        async def work(app: App) -> int:
            wanted = names or _query(given)
            with _bar(as_json) as bar:
                line = bar.add_task("Packing", total=None)
                done = await app.exports.zip(
                    wanted,
                    target,
                    form=form,  # pyright: ignore[reportArgumentType] - it checks it itself, and says what is allowed
                    strip=strip,
                    report=lambda done, total: bar.update(line, completed=done, total=total),
                )
            told = {"path": str(done.path), "pictures": len(done.files), "size": done.size}
            if as_json:
                print_json({**told, "files": dict(done.files), "skipped": dict(done.skipped)})
                return FAILED if done.skipped else DONE
            _tell_missing(done.skipped)
            out.print(f"{_pictures(len(done.files))}, {done.size / 1e6:.1f} MB: [bold]{safe(done.path)}[/bold]")
            return FAILED if done.skipped else DONE

        perform(parts, work)

    return gallery_export


def sheet_command(parts: Parts) -> Command:
    def gallery_sheet(
        target: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write.")],
        names: Ids = None,
        query: Query = "",
        model: Model = None,
        lora: Lora = None,
        engine: Engine = None,
        tag: Tag = None,
        min_score: Least = None,
        since: Since = None,
        until: Until = None,
        favourite: Favourite = None,
        kind: Kind = "image",
        sort: Sort = "newest",
        limit: Annotated[int, typer.Option(help=f"Pictures at most, up to {MOST_TILES}.")] = 60,
        columns: Annotated[int | None, typer.Option(min=1, max=40, help="Pictures in a row.")] = None,
        edge: Annotated[int, typer.Option(min=96, max=1024, help="Pixels of a picture's longer edge.")] = 256,
        title: Annotated[str, typer.Option(help="Words at the top.")] = "",
        as_json: Json = False,
    ) -> None:
        given = dict(locals())

        async def work(app: App) -> int:
            items = await _items(app, names, given, limit)
            missing: dict[str, str] = {}
            with _bar(as_json) as bar:
                line = bar.add_task("Laying out", total=len(items))
                if len(items) == 1 and items[0].kind == "video":
                    tiles = await _frames(app, items[0])
                else:
                    tiles = [await _tile(app, item, missing, lambda: bar.advance(line)) for item in items]
            if len(missing) == len(items):  # a sheet of nothing must not replace one of pictures
                raise StorageError(f"None of the pictures could be read. {next(iter(missing.values()))}")
            heading = title or _pictures(len(items))
            sheet = await asyncio.to_thread(contact_sheet, tiles, title=heading, columns=columns, edge=edge)
            await asyncio.to_thread(written, target, sheet)
            told = {"path": str(target), "pictures": len(items)}
            if as_json:
                print_json({**told, "skipped": missing})
            else:
                _tell_missing(missing)
                out.print(f"[bold]{safe(target)}[/bold]")
            return FAILED if missing else DONE

        perform(parts, work)

    return gallery_sheet


def compare_command(parts: Parts) -> Command:
    def gallery_compare(
        before: Annotated[str, typer.Argument(help="Id or file name of the first picture.")],
        after: Annotated[str, typer.Argument(help="Id or file name of the second.")],
        target: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write.")],
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            items = [await app.gallery.find(name) for name in (before, after)]
            unseen = next((item for item in items if not has_picture(item)), None)
            if unseen is not None:
                raise BadRecipe("image", unseen.id, why_no_picture(unseen))
            missing: dict[str, str] = {}
            tiles = [await _tile(app, item, missing) for item in items]
            if missing:
                raise StorageError(next(iter(missing.values())))
            labels = f"before  {items[0].id[:8]}", f"after  {items[1].id[:8]}"
            picture, apart = await asyncio.to_thread(comparison, tiles[0], tiles[1], labels=labels)
            await asyncio.to_thread(written, target, picture)
            told = {"path": str(target), "mean_difference": apart.mean, "changed": apart.changed}
            print_json(told) if as_json else out.print(f"{apart.line}\n[bold]{safe(target)}[/bold]")
            return DONE

        perform(parts, work)

    return gallery_compare


def written(target: Path, picture: bytes) -> None:
    """Write the file whole or not at all. Raises BadRecipe for no place to write to, StorageError."""
    if target.is_dir() or not target.parent.is_dir():
        raise BadRecipe("path", str(target), "name a file in a folder that is there")
    unfinished = target.with_name(f".{target.name[:80]}.part")
    try:
        unfinished.write_bytes(picture)
        unfinished.replace(target)
    except OSError as error:
        raise StorageError(f"{target} could not be written: {error.strerror or error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


# The import


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files named, and those of the folders named that look like pictures and videos, in their order."""
    seen: set[Path] = set()
    for path in paths:
        below = sorted(one for one in path.rglob("*") if _looked_for(one, path)) if path.is_dir() else [path]
        for one in below:
            if one.resolve() not in seen:
                seen.add(one.resolve())
                yield one


def _looked_for(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.suffix.lower() in SUFFIXES and not hidden and file.is_file()


async def _take_all(app: App, files: Sequence[Path], tags: tuple[str, ...], quiet: bool) -> Taken:
    taken, waiting = Taken(), iter(files)
    with _bar(quiet) as bar:
        line = bar.add_task("Importing", total=len(files))

        async def worker() -> None:
            for file in waiting:
                await _take(app, file, tags, taken)
                bar.advance(line)

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(IN_HAND, len(files))):
                workers.create_task(worker())
    return taken


async def _take(app: App, file: Path, tags: tuple[str, ...], taken: Taken) -> None:
    """One file; whatever is wrong with it is told, and the others go on."""
    try:
        media = await asyncio.to_thread(_media, file)
        item, new = await app.imports.taken(media, file.name, tags=tags)
    except OSError as error:
        taken.refused.append((file, f"it cannot be read: {error.strerror or error}."))
    except StudioError as error:
        taken.refused.append((file, str(error)))
    else:
        (taken.imported if new else taken.there).append((file, item))


def _media(file: Path) -> Media:
    size, most = file.stat().st_size, largest(file.name)
    if size > most:
        raise BadRecipe("file", file.name, f"it has {size:,} bytes; at most {most:,} are read")
    return Media(data=file.read_bytes(), media_type="application/octet-stream")


def _tell_taken(taken: Taken, as_json: bool) -> None:
    if as_json:
        rows = [(file, item, True) for file, item in taken.imported] + [(f, i, False) for f, i in taken.there]
        print_json(
            {
                "imported": len(taken.imported),
                "already_there": len(taken.there),
                "refused": [{"file": str(file), "reason": why} for file, why in taken.refused],
                "images": [_taken_row(file, item, new) for file, item, new in rows],
            }
        )
        return
    for file, item in taken.imported:
        out.print(
            f"{item.id}  [dim]{safe(item.source or '')}[/dim]  {safe(file.name)}  {safe(shortened(item.prompt, 80))}"
        )
    for file, why in taken.refused[:SHOWN_REFUSALS]:
        err.print(f"[yellow]✗[/yellow] {safe(file)}: {safe(why)}")
    if (more := len(taken.refused) - SHOWN_REFUSALS) > 0:
        err.print(f"[yellow]✗[/yellow] and {more} more; --json names them all")
    out.print(f"{len(taken.imported)} imported, {len(taken.there)} already there, {len(taken.refused)} refused")


def _taken_row(file: Path, item: Item, new: bool) -> dict[str, Any]:
    row = {"file": str(file), "image_id": item.id, "new": new, "source": item.source, "model": item.model}
    return row | {"prompt": shortened(item.prompt), "notes": item.facts.get("notes", [])}


# What several commands need


def _query(given: dict[str, Any]) -> ItemQuery:
    """The filters as a query; times are UTC, as they are shown everywhere."""
    wanted = {name: given[name] for name in FILTERS}
    for name in ("since", "until"):
        if wanted[name] is not None:
            wanted[name] = wanted[name].replace(tzinfo=UTC)
    return ItemQuery.checked(**wanted)


async def _items(app: App, names: Sequence[str] | None, given: dict[str, Any], limit: int) -> list[Item]:
    if names:
        return [await app.gallery.find(name) for name in names]
    if not 1 <= limit <= MOST_TILES:
        raise BadRecipe("limit", limit, f"it is 1 to {MOST_TILES}")
    items = (await every(app.gallery, _query(given)))[:limit]
    if not items:
        raise BadRecipe("query", given["query"], "the gallery has no such picture")
    return items


async def _frames(app: App, video: Item) -> list[Tile]:
    """Frames of one video, evenly spread, each with its moment. Raises ExtraMissing, StorageError."""
    media = await app.gallery.original(video.id)
    try:
        frames = await asyncio.to_thread(sampled, media.data, FRAMES)
    except PyAvMissing as error:
        raise ExtraMissing("video", "A sheet of a video's frames") from error
    except BadVideo as error:
        raise StorageError(f"The video {video.id} cannot be read: {error}") from error
    length = float(video.facts.get("seconds") or 0.0)
    last = max(1, len(frames) - 1)
    return [Tile(picture=one, lines=(f"{length * place / last:.1f} s",)) for place, one in enumerate(frames)]


async def _tile(app: App, item: Item, missing: dict[str, str], done: Callable[[], object] = lambda: None) -> Tile:
    """The item with its words; of a video it is the first frame. What has no picture leaves its place empty, and
    so does a file that cannot be read: that is told."""
    picture = None
    if has_picture(item):
        try:
            picture = (await app.gallery.picture(item)).data
        except (StorageError, NotFound) as error:
            missing[item.id] = str(error)
    score = "" if item.score is None else f", score {item.score:.3f}"
    lines = (shortened(item.prompt, 300) or "(no prompt)", f"seed {item.seed}{score}")
    done()
    return Tile(
        picture=picture, lines=lines, mark="passed" if item.passed else "failed" if item.passed is False else ""
    )


def _tell_missing(missing: Mapping[str, str]) -> None:
    """Pictures that could not be read, a line for each reason."""
    for why in dict.fromkeys(missing.values()):
        names = [name for name, reason in missing.items() if reason == why]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        err.print(f"[yellow]{safe(names[0])}{more} left out:[/yellow] {safe(why)}")


def _pictures(number: int) -> str:
    return f"{number} picture{'' if number == 1 else 's'}"


def _bar(quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, disable=quiet or not err.is_terminal, transient=True)
