"""Commands of the gallery: list, show, delete, restore, tag, duplicates, empty-trash."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from clients.cli.console import DONE, FAILED, Json, Parts, agreed, err, in_commands, out, perform, print_json, safe
from clients.cli.gallery_lines import print_duplicates, print_rows, tree_lines
from workflows import answers
from workflows.answers import Answer
from workflows.app import App
from workflows.errors import StudioError
from workflows.types import Item, ItemQuery, Page, Progress

Names = Annotated[list[str], typer.Argument(help="Ids or file names.")]
Name = Annotated[str, typer.Argument(help="Id or file name.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DAYS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]

Words = Annotated[str, typer.Argument(help="Words of the prompt; the last one may be only begun.")]
Limit = Annotated[int, typer.Option(help="Pictures at most, up to 200.")]
Cursor = Annotated[str | None, typer.Option(help="Where the last page ended.")]
Model = Annotated[str | None, typer.Option(help="Only of this model.")]
Lora = Annotated[str | None, typer.Option(help="Only drawn with this LoRA.")]
EngineName = Annotated[str | None, typer.Option(help="Only of this engine.")]
Tag = Annotated[str | None, typer.Option(help="Only with this tag.")]
MinScore = Annotated[float | None, typer.Option(help="Only with at least this score.")]
Since = Annotated[datetime | None, typer.Option(formats=DAYS, help="Only made from this time on (UTC).")]
Until = Annotated[datetime | None, typer.Option(formats=DAYS, help="Only made before this time (UTC).")]
Favourite = Annotated[bool | None, typer.Option("--favourite/--no-favourite", help="Only favourites, or none.")]
Kind = Annotated[str | None, typer.Option(help="image, video, audio or file.")]
SimilarTo = Annotated[str | None, typer.Option(help="The most alike to this picture first (id or file name).")]
InTrash = Annotated[bool, typer.Option("--trash", help="What was deleted and can be restored.")]
Sort = Annotated[str, typer.Option(help="newest, oldest or best.")]


def list_command(parts: Parts) -> Callable[..., None]:
    def gallery_list(
        query: Words = "",
        limit: Limit = 20,
        cursor: Cursor = None,
        model: Model = None,
        lora: Lora = None,
        engine: EngineName = None,
        tag: Tag = None,
        min_score: MinScore = None,
        since: Since = None,
        until: Until = None,
        favourite: Favourite = None,
        kind: Kind = None,
        similar_to: SimilarTo = None,
        trash: InTrash = False,
        sort: Sort = "newest",
        as_json: Json = False,
    ) -> None:
        given = {"query": query, "limit": limit, "cursor": cursor, "model": model, "lora": lora, "engine": engine}
        given |= {"tag": tag, "min_score": min_score, "since": _utc(since), "until": _utc(until), "sort": sort}
        given |= {"favourite": favourite, "kind": kind, "similar_to": similar_to, "deleted": trash}

        async def work(app: App) -> int:
            page = await _searched(app, ItemQuery.checked(**given))
            rows = await _rows(app, page)
            if as_json:
                print_json({"items": rows, "cursor": page.cursor, "total": page.total})
            else:
                print_rows(rows, page.total, page.cursor)
            return DONE

        perform(parts, work)

    return gallery_list


def show_command(parts: Parts) -> Callable[..., None]:
    def show(name: Name, as_json: Json = False) -> None:
        async def work(app: App) -> int:
            item = await app.gallery.find(name)
            info = await answers.item_info(app.gallery, item)
            if as_json:
                print_json(info)
                return DONE
            tree = await app.gallery.tree(item)
            _print_info({key: value for key, value in info.items() if key != "tree"})
            if len(tree.nodes) > 1:
                out.print("[dim]family[/dim]")
                for line in tree_lines(tree, item.id):
                    out.print(f"  {line}")
            return DONE

        perform(parts, work)

    return show


def delete_command(parts: Parts) -> Callable[..., None]:
    def delete(
        names: Names,
        for_good: Annotated[bool, typer.Option("--for-good", help="Erase them now, past the trash.")] = False,
        yes: Yes = False,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            gallery = app.gallery
            erased = for_good or gallery.trash_days <= 0
            if erased and not yes and not agreed(f"Erase {_told(names)} for good? They cannot be restored."):
                err.print("Nothing was deleted: say yes, or give --yes.")
                return FAILED
            done, code = await _each(names, gallery.erase if for_good else gallery.delete)
            until = [moment for item in done if (moment := gallery.until(item)) is not None and not erased]
            if as_json:
                gone = min(until).isoformat() if until else None
                print_json({"deleted": [item.id for item in done], "for_good": erased, "until": gone})
                return code
            for item in done:
                out.print(f"{'Erased' if erased else 'Deleted'} {item.id}.")
            if until:
                out.print(f"[dim]Until {min(until):%Y-%m-%d}: atelier gallery restore {done[0].id}[/dim]")
            return code

        perform(parts, work)

    return delete


def restore_command(parts: Parts) -> Callable[..., None]:
    def restore(names: Names, as_json: Json = False) -> None:
        async def work(app: App) -> int:
            done, code = await _each(names, app.gallery.restore)
            if as_json:
                print_json({"restored": [item.id for item in done]})
            else:
                for item in done:
                    out.print(f"Restored {item.id}.")
            return code

        perform(parts, work)

    return restore


def tag_command(parts: Parts) -> Callable[..., None]:
    def tag(
        name: Name,
        add: Annotated[list[str] | None, typer.Option(help="A tag to add; may be given several times.")] = None,
        remove: Annotated[list[str] | None, typer.Option(help="A tag to take away; several times too.")] = None,
        favourite: Annotated[
            bool | None, typer.Option("--favourite/--no-favourite", help="Make it a favourite, or none.")
        ] = None,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            item = await app.gallery.tag(name, add or (), remove or (), favourite)
            if as_json:
                print_json({"image_id": item.id, "tags": list(item.tags), "favourite": item.favourite})
            else:
                star = " [yellow]★[/yellow]" if item.favourite else ""
                out.print(f"{item.id}{star}  {safe(', '.join(item.tags)) or '[dim]no tags[/dim]'}")
            return DONE

        perform(parts, work)

    return tag


def duplicates_command(parts: Parts) -> Callable[..., None]:
    def duplicates(
        distance: Annotated[int, typer.Option(help="Bits of 64 that may differ, 0 to 16.")] = 6,
        limit: Annotated[int, typer.Option(min=1, max=1000, help="Groups at most.")] = 100,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            groups = await app.gallery.duplicates(distance, limit)
            if as_json:
                print_json({"groups": [await _group(app, group) for group in groups]})
            else:
                print_duplicates(groups)
            return DONE

        perform(parts, work)

    return duplicates


def empty_trash_command(parts: Parts) -> Callable[..., None]:
    def empty_trash(yes: Yes = False, as_json: Json = False) -> None:
        async def work(app: App) -> int:
            there = (await app.gallery.search(ItemQuery(limit=1, deleted=True))).total
            what = "the picture" if there == 1 else f"the {there} pictures"
            question = f"Erase {what} of the trash for good? Nothing erased can be restored."
            if there and not yes and not agreed(question):
                err.print("Nothing was erased: say yes, or give --yes.")
                return FAILED
            erased = await app.gallery.empty_trash()
            told = "1 picture" if erased == 1 else f"{erased} pictures"
            print_json({"erased": erased}) if as_json else out.print(f"Erased {told}.")
            return DONE

        perform(parts, work)

    return empty_trash


async def _searched(app: App, query: ItemQuery) -> Page:
    """The page; while pictures are looked at for the first time, how far that is, on a terminal."""
    with err.status("Searching") as shown:

        def heard(progress: Progress) -> None:
            shown.update(safe(progress.message))

        return await app.gallery.search(query, heard)


async def _rows(app: App, page: Page) -> list[Answer]:
    rows = [answers.item_row(item, await app.gallery.locate(item)) for item in page.items]
    for row, likeness in zip(rows, page.likeness, strict=False):
        row["likeness"] = round(likeness, 4)
    return rows


async def _group(app: App, group: Sequence[Item]) -> Answer:
    rows = [answers.item_row(item, await app.gallery.locate(item)) | {"file_size": item.size} for item in group]
    return {"keep": group[0].id, "images": rows}


async def _each(names: Sequence[str], act: Callable[[str], Awaitable[Item]]) -> tuple[list[Item], int]:
    """What could be done, and the exit code; one that could not keeps no other, unless it is the only one."""
    done: list[Item] = []
    code = DONE
    for name in names:
        try:
            done.append(await act(name))
        except StudioError as error:
            if len(names) == 1:
                raise
            err.print(f"[red]Error:[/red] {safe(in_commands(str(error)))}")
            code = FAILED
    return done, code


def _print_info(info: Mapping[str, Any]) -> None:
    for key, value in info.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        out.print(f"[dim]{key:<16}[/dim] {safe(shown)}")


def _told(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} pictures"


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
