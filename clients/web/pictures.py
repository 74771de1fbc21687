"""The gallery over HTTP: found, shown, marked, thrown away, brought in and made again."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from clients.web.asked import ChangeBody, FileAsked, ImagesAsked, Overrides, PreviewAsked
from clients.web.faults import BadRequest
from clients.web.jobs import begun
from clients.web.media import Sent
from clients.web.operations import Call
from clients.web.rows import DeletedRow, FacetsAnswer, ImageInfo, ImageRow, ImagesAnswer, JobStarted, here
from clients.web.uploads import Upload
from workflows.answers import item_info, item_row, page_answer
from workflows.app import App
from workflows.asking import overrides_from
from workflows.types import Item, Media


async def images(call: Call, query: ImagesAsked) -> ImagesAnswer:
    """Pictures, a page at a time. Those of the next page are there whatever is filed meanwhile."""
    answer = await page_answer((await call.app()).gallery, query.item_query())
    return ImagesAnswer.model_validate(answer | {"images": [here(row) for row in answer["images"]]})


async def facets(call: Call) -> FacetsAnswer:
    """What pictures can be filtered by."""
    return FacetsAnswer.model_validate((await (await call.app()).gallery.facets()).model_dump())


async def image(call: Call, id: str) -> ImageInfo:
    """All that is known about a picture."""
    gallery = (await call.app()).gallery
    return ImageInfo.model_validate(here(await item_info(gallery, await gallery.find(id))))


async def preview(call: Call, id: str, query: PreviewAsked) -> Sent:
    """A picture small enough for a list."""
    gallery = (await call.app()).gallery
    item = await gallery.find(id)

    async def load() -> Media:
        return await gallery.preview(item.id, query.edge)

    return Sent(load=load, etag=f"{item.sha256[:32]}-{query.edge}")


async def file(call: Call, id: str, query: FileAsked) -> Sent:
    """The file as it was filed, with everything that is written in it."""
    gallery = (await call.app()).gallery
    item = await gallery.find(id)

    async def load() -> Media:
        return await gallery.original(item.id)

    return Sent(load=load, etag=item.sha256[:32], name=saved_as(item) if query.download else "")


async def change(call: Call, id: str, body: ChangeBody) -> ImageRow:
    """Make a picture a favourite or not one, give it tags, take some away."""
    app = await call.app()
    item = await app.gallery.tag(id, body.add_tags, body.remove_tags, body.favourite)
    return ImageRow.model_validate(await _row(app, item))


async def remove(call: Call, id: str) -> DeletedRow:
    """Throw a picture into the trash, from which it can be restored for a while."""
    app = await call.app()
    item = await app.gallery.delete(id)
    row = await _row(app, item)
    if item.deleted is not None:  # else the trash keeps nothing, and it is gone
        row["until"] = (item.deleted + timedelta(days=app.gallery.trash_days)).isoformat()
    return DeletedRow.model_validate(row)


async def restore(call: Call, id: str) -> ImageRow:
    """Take a picture out of the trash."""
    app = await call.app()
    return ImageRow.model_validate(await _row(app, await app.gallery.restore(id)))


async def regenerate(call: Call, id: str, body: Overrides) -> JobStarted:
    """Make a picture again, with some of its settings changed."""
    studio = (await call.app()).studio
    overrides = overrides_from(body.model_dump())
    return await begun(studio.regenerate(id, **overrides))


async def take_in(call: Call, upload: Upload) -> ImageRow:
    """Bring a picture in: the body is the file, its name in X-Filename (percent-encoded). One that is there already is
    not brought in twice."""
    if not upload.content:
        raise BadRequest("The body is empty: it has to be the picture's file.")
    app = await call.app()
    item = await app.imports.take(Media(data=upload.content, media_type=upload.media_type), upload.name)
    return ImageRow.model_validate(await _row(app, item))


def saved_as(item: Item) -> str:
    """A name for the saved file: what it shows, in plain letters, and its id."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", item.prompt)[:60].strip("-")
    return f"{words or 'atelier'}-{item.id[:8]}{PurePosixPath(item.key).suffix}"


async def _row(app: App, item: Item) -> dict[str, Any]:
    """The row of a picture that has just changed."""
    return here(item_row(item, await app.gallery.locate(item)))
