"""The input pictures of a request: which roles a task needs, and each picture opened, decoded and encoded anew."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from utils.content_validator import embedded_texts
from utils.images import BadPicture, decode, encode_png
from workflows.canvas import mask_of
from workflows.errors import BadRecipe, NotFound
from workflows.ports import Items, Sources, Store
from workflows.types import Media, Recipe

Given = str | Media
"""A reference that the gallery or the sources may open, or the bytes themselves from a caller who has them."""
ARGUMENTS: Mapping[str, str] = {"source": "input_image", "mask": "mask_image"}
"""Roles by the names of the arguments that bring them; control_1 and its kind are told as "image of control 1"."""
_SEVERAL = re.compile(r"(control|reference)_([1-9][0-9]?)")


@dataclass(frozen=True, kw_only=True)
class InputPicture:
    """An input picture on its way into a job: its bytes, size in pixels, and gallery id where it has one."""

    media: Media
    width: int
    height: int
    item_id: str | None = None
    words: str = ""
    """The prompt of the gallery item."""
    texts: tuple[str, ...] = ()
    """Prompts that the file says it was made from: they went no further than here."""


def argument_of(role: str) -> str:
    """What the caller calls the picture of that role."""
    several = _SEVERAL.fullmatch(role)
    return f"image of {several[1]} {several[2]}" if several else ARGUMENTS.get(role, role)


def check_pictures(recipe: Recipe, roles: Collection[str]) -> None:
    """Whether the task has the pictures it needs, and none that it cannot use. Raises BadRecipe."""
    takes = ["source", *_several_roles(recipe), *(["mask"] if recipe.task == "inpaint" else [])]
    surplus = next((role for role in roles if role not in takes), None)
    if surplus is not None:
        raise BadRecipe(argument_of(surplus), "a picture", f"{recipe.task} takes none; it takes {_listed(takes)}")
    if recipe.task != "txt2img" and "source" not in roles:
        raise BadRecipe("input_image", None, f"{recipe.task} needs an input picture")
    if recipe.task == "inpaint" and "mask" not in roles and not recipe.mask_text:
        raise BadRecipe(
            "mask_image", None, "inpaint needs it (white is painted anew), or mask_text: what to paint over"
        )
    if recipe.task == "outpaint" and not _grows(recipe):
        raise BadRecipe("left", 0, "outpaint needs pixels to add on at least one side: left, right, top or bottom")
    missing = next((role for role in _several_roles(recipe) if role not in roles), None)
    if missing is not None:
        raise BadRecipe(argument_of(missing), None, "it needs a picture")


def _several_roles(recipe: Recipe) -> list[str]:
    controls = [f"control_{number}" for number in range(1, len(recipe.controls) + 1)]
    return controls + [f"reference_{number}" for number in range(1, len(recipe.references) + 1)]


def _listed(roles: Collection[str]) -> str:
    return ", ".join(sorted(argument_of(role) for role in roles))


def _grows(recipe: Recipe) -> bool:
    return recipe.extend is not None and any(recipe.extend.model_dump().values())


@dataclass(frozen=True, kw_only=True)
class Inlet:
    """Where input pictures come from: the gallery, or the sources."""

    items: Items
    store: Store
    sources: Sources

    async def open(self, pictures: Mapping[str, Given]) -> dict[str, InputPicture]:
        """Every picture by its role; a mask in black and white and of the source's size. Raises BadRecipe, NotFound."""
        tasks = {role: asyncio.ensure_future(self._open(role, given)) for role, given in pictures.items()}
        try:
            await asyncio.gather(*tasks.values())
        finally:  # one that cannot be opened ends the request, and with it the other downloads
            for task in tasks.values():
                task.cancel()
        found = {role: task.result() for role, task in tasks.items()}
        if "mask" in found and "source" in found:
            found["mask"] = await asyncio.to_thread(fitted_mask, found["mask"], found["source"])
        return found

    async def _open(self, role: str, given: Given) -> InputPicture:
        item = await self.items.get(given) if isinstance(given, str) else None
        if item is not None and item.deleted is not None:
            raise NotFound("image", item.id, hint=f"It is in the trash: 'atelier gallery restore {item.id}' first.")
        if item is not None:
            media = await self.store.get(item.key)
        else:
            media = await self._from_outside(role, given)
        picture = await asyncio.to_thread(_normal, role, media)
        return replace(picture, item_id=item.id, words=item.prompt) if item else picture

    async def _from_outside(self, role: str, given: Given) -> Media:
        if isinstance(given, Media):
            return given
        try:
            return await self.sources.open(given)
        except BadRecipe as error:  # the sources know no roles
            raise BadRecipe(argument_of(role), given[:200], error.allowed) from error


def _normal(role: str, media: Media) -> InputPicture:
    """The picture decoded and encoded anew: nothing but its pixels goes on. Raises BadRecipe."""
    try:
        image = decode(media.data)
    except BadPicture as error:
        allowed = f"it must be a whole PNG, JPEG or WebP ({error})"
        raise BadRecipe(argument_of(role), media.media_type, allowed) from error
    png = Media(data=encode_png(image), media_type="image/png")
    return InputPicture(media=png, width=image.width, height=image.height, texts=embedded_texts(media.data))


def fitted_mask(mask: InputPicture, source: InputPicture, argument: str = "mask_image") -> InputPicture:
    """The mask in black and white, at the size of its source. Raises BadRecipe when it paints nothing."""
    size = source.width, source.height
    png = encode_png(mask_of(mask.media, size, argument))
    return InputPicture(media=Media(data=png, media_type="image/png"), width=size[0], height=size[1])


def found_mask(mask: Media, source: Media, words: str) -> InputPicture:
    """The mask that an engine found for `words`. Raises BadRecipe when there was nothing like it."""
    try:
        return fitted_mask(_normal("mask", mask), _normal("source", source), "mask_text")
    except BadRecipe as error:
        allowed = "nothing like it was found in the picture; use other words, or give mask_image"
        raise BadRecipe("mask_text", words, allowed) from error
