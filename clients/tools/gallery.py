"""Tools that find, show and delete what was made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from clients.tools import arguments as a
from clients.tools.contract import Tool
from clients.tools.results import Deleted, History, ImageInfo, ImageList
from workflows.answers import item_info, item_row, job_row
from workflows.app import current_app
from workflows.types import ItemQuery


async def list_images(
    limit: a.Limit = 20,
    cursor: a.Cursor = None,
    query: a.Words = "",
    model: a.ModelFilter = None,
    min_score: a.MinScore = None,
    since: a.Since = None,
    kind: a.Kind = None,
    sort: a.Sort = "newest",
    prefix: a.Prefix = "",
) -> ImageList:
    """Use this to find pictures made earlier, by words of their prompt, model, score or time.

    Gives rows without the pictures themselves: get_image shows one. When there are more, the answer has a cursor.
    """
    app = current_app()
    wanted = ItemQuery.checked(
        limit=limit,
        cursor=cursor or None,
        query=query,
        model=model,
        min_score=min_score,
        since=_in_utc(since),
        kind=kind,
        sort=sort,
        prefix=prefix,
    )
    page = await app.gallery.search(wanted)
    rows = [item_row(item, await app.gallery.locate(item)) for item in page.items]
    answer: dict[str, Any] = {"images": rows, "total": page.total}
    if page.cursor is not None:
        answer["cursor"] = page.cursor
    return cast(ImageList, answer)


async def get_image(image_id: a.ImageId, max_edge: a.PreviewEdge = a.MAX_PREVIEW) -> dict[str, Any]:
    """Use this to look at a picture of the gallery, or to show it to the user again."""
    app = current_app()
    item = await app.gallery.find(image_id)
    return item_row(item, await app.gallery.locate(item))


async def get_image_info(image_name: a.ImageName) -> ImageInfo:
    """Use this to learn how a picture was made: recipe, seed, model, verdicts, parents and children."""
    app = current_app()
    return cast(ImageInfo, await item_info(app.gallery, await app.gallery.find(image_name)))


async def delete_image(image_name: a.ImageName) -> Deleted:
    """Use this only when the user asks to delete a picture: the file and its row are gone for good."""
    item = await current_app().gallery.delete(image_name)
    return {"deleted": True, "image_id": item.id, "prompt": item.prompt}


async def get_history(limit: a.Limit = 10) -> History:
    """Use this to see what was asked for lately and how it ended, newest first, failures included."""
    jobs = await current_app().studio.history(limit)
    return cast(History, {"jobs": [job_row(job) for job in jobs]})


def _in_utc(moment: datetime | None) -> datetime | None:
    """A time without a zone is taken as UTC, like the times in our answers."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


TOOLS = (
    Tool(function=list_images, title="List pictures", read_only=True, idempotent=True),
    Tool(function=get_image, title="Show a picture", shows="picture", read_only=True, idempotent=True),
    Tool(function=get_image_info, title="Tell how a picture was made", read_only=True, idempotent=True),
    Tool(function=delete_image, title="Delete a picture", read_only=False, destructive=True),
    Tool(function=get_history, title="List past jobs", read_only=True, idempotent=True),
)
