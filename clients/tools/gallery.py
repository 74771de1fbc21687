"""Tools that find, show and delete what was made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from clients.tools import arguments as a
from clients.tools.contract import Tool
from clients.tools.results import Deleted, History, ImageInfo, ImageList, Tagged
from workflows.answers import deleted_answer, item_info, item_row, job_row, page_answer
from workflows.app import current_app
from workflows.types import ItemQuery

GALLERY_VIEW = "ui://atelier/gallery.html"
"""The gallery as an MCP App; its pictures come through get_image."""


async def list_images(
    limit: a.Limit = 20,
    cursor: a.Cursor = None,
    query: a.Words = "",
    model: a.ModelFilter = None,
    lora: a.LoraFilter = None,
    engine: a.EngineFilter = None,
    tag: a.TagFilter = None,
    favourite: a.Favourite = None,
    min_score: a.MinScore = None,
    since: a.Since = None,
    until: a.Until = None,
    similar_to: a.SimilarTo = None,
    kind: a.Kind = None,
    deleted: a.Deleted = False,
    sort: a.Sort = "newest",
    prefix: a.Prefix = "",
) -> ImageList:
    """Use this to find pictures made earlier, by words of their prompt, model, tag, score, time or likeness. get_image
    shows one."""
    wanted = {"cursor": cursor or None, "since": _in_utc(since), "until": _in_utc(until)}
    filters = {"lora": lora, "engine": engine, "tag": tag, "favourite": favourite, "similar_to": similar_to}
    plain = {"min_score": min_score, "kind": kind, "deleted": deleted, "sort": sort, "prefix": prefix}
    found = ItemQuery.checked(limit=limit, query=query, model=model, **wanted, **filters, **plain)
    return cast(ImageList, await page_answer(current_app().gallery, found))


async def get_image(image_id: a.ImageId, max_edge: a.PreviewEdge = a.MAX_PREVIEW) -> dict[str, Any]:
    """Use this to look at a picture of the gallery, or to show it to the user again."""
    app = current_app()
    item = await app.gallery.find(image_id)
    return item_row(item, await app.gallery.locate(item))


async def get_image_info(image_name: a.ImageName) -> ImageInfo:
    """Use this to learn how a picture was made: recipe, seed, model, verdicts, parents and children."""
    app = current_app()
    return cast(ImageInfo, await item_info(app.gallery, await app.gallery.find(image_name)))


async def tag_image(
    image_id: a.ImageName, add: a.Tags = None, remove: a.Tags = None, favourite: a.SetFavourite = None
) -> Tagged:
    """Use this to give a picture tags, to take some away, or to make it a favourite."""
    item = await current_app().gallery.tag(image_id, add or (), remove or (), favourite)
    return {"image_id": item.id, "tags": list(item.tags), "favourite": item.favourite}


async def delete_image(image_name: a.ImageName) -> Deleted:
    """Use this only when the user asks to delete a picture. It goes to the trash, from which they can restore it."""
    gallery = current_app().gallery
    return cast(Deleted, deleted_answer(gallery, await gallery.delete(image_name)))


async def get_history(limit: a.Limit = 10) -> History:
    """Use this to see what was asked for lately and how it ended, newest first, failures included."""
    jobs = await current_app().studio.history(limit)
    return cast(History, {"jobs": [job_row(job) for job in jobs]})


def _in_utc(moment: datetime | None) -> datetime | None:
    """A time without a zone is taken as UTC, like the times in our answers."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


TOOLS = (
    Tool(function=list_images, title="List pictures", read_only=True, idempotent=True, view=GALLERY_VIEW),
    Tool(function=get_image, title="Show a picture", shows="picture", read_only=True, idempotent=True),
    Tool(function=get_image_info, title="Tell how a picture was made", read_only=True, idempotent=True),
    Tool(function=tag_image, title="Tag a picture", read_only=False, idempotent=True),
    Tool(function=delete_image, title="Delete a picture", read_only=False, destructive=True),
    Tool(function=get_history, title="List past jobs", read_only=True, idempotent=True),
)
