"""What goes into a request: which roles a task needs, and each file opened; pictures and videos are made anew."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from utils.content_validator import embedded_texts
from utils.images import BadPicture, decode, encode_png, sniff
from utils.sounds import sniff_sound
from utils.video import sniff_video
from workflows.canvas import mask_of
from workflows.clips import opened_clip
from workflows.errors import BadRecipe, NotFound
from workflows.kinds import JSON, PICTURES, PNG, called, plain
from workflows.ports import Items, SourceKind, Sources, Store
from workflows.types import FROM_VIDEO, MAX_FILES, Item, Media, Recipe, Task

Given = str | Media
"""A reference that the gallery or the sources may open, or the bytes themselves from a caller who has them."""
ARGUMENTS: Mapping[str, str] = {"source": "input_image", "mask": "mask_image"}
"""Roles by the names of the arguments that bring them; control_1 and its kind are told as "image of control 1"."""
SOURCELESS: frozenset[Task] = frozenset({"txt2img", "txt2vid", "workflow"})
"""Tasks that begin with nothing, or with files of their own."""
VIDEO_TASKS = "extend_video and interpolate_frames take videos"
_SEVERAL = re.compile(r"(control|reference)_([1-9][0-9]?)")
_FILE = re.compile(r"file_[1-9][0-9]?")


@dataclass(frozen=True, kw_only=True)
class InputPicture:
    """A picture, or another file, on its way into a job: its bytes, size in pixels, and gallery id where it has one.

    What has no size, such as a sound, is 0 by 0; `fps` and `seconds` are a video's.
    """

    media: Media
    width: int
    height: int
    item_id: str | None = None
    words: str = ""
    """The prompt of the gallery item."""
    texts: tuple[str, ...] = ()
    """Prompts that the file says it was made from: they went no further than here."""
    fps: float = 0.0
    seconds: float = 0.0


def argument_of(role: str, task: Task = "txt2img") -> str:
    """What the caller calls the picture or file of that role."""
    if role == "source" and task in FROM_VIDEO:
        return "input_video"
    several = _SEVERAL.fullmatch(role)
    return f"image of {several[1]} {several[2]}" if several else ARGUMENTS.get(role, role.replace("_", " "))


def check_pictures(recipe: Recipe, roles: Collection[str]) -> None:
    """Whether the task has the pictures or files it needs, and none that it cannot use. Raises BadRecipe."""
    task, takes = recipe.task, _takes(recipe)
    surplus = next((role for role in roles if role not in takes), None)
    if surplus is not None:
        raise BadRecipe(argument_of(surplus, task), "a picture", f"{task} takes none; it takes {_listed(takes, task)}")
    if task == "workflow" and "workflow" not in roles:
        raise BadRecipe("workflow", None, "run_workflow needs a graph")
    if task not in SOURCELESS and "source" not in roles:
        wanted = "video" if task in FROM_VIDEO else "picture"
        raise BadRecipe(argument_of("source", task), None, f"{task} needs an input {wanted}")
    if task == "inpaint" and "mask" not in roles and not recipe.mask_text:
        raise BadRecipe(
            "mask_image", None, "inpaint needs it (white is painted anew), or mask_text: what to paint over"
        )
    if task == "outpaint" and not _grows(recipe):
        raise BadRecipe("left", 0, "outpaint needs pixels to add on at least one side: left, right, top or bottom")
    missing = next((role for role in _several_roles(recipe) if role not in roles), None)
    if missing is not None:
        raise BadRecipe(argument_of(missing), None, "it needs a picture")


def _takes(recipe: Recipe) -> list[str]:
    if recipe.task == "workflow":
        return ["workflow", *(f"file_{number}" for number in range(1, MAX_FILES + 1))]
    own = {"inpaint": ["source", "mask"], "txt2vid": []}.get(recipe.task, ["source"])
    return [*own, *_several_roles(recipe)]


def _several_roles(recipe: Recipe) -> list[str]:
    controls = [f"control_{number}" for number in range(1, len(recipe.controls) + 1)]
    return controls + [f"reference_{number}" for number in range(1, len(recipe.references) + 1)]


def _listed(roles: Collection[str], task: Task) -> str:
    named = {"files of its own" if _FILE.fullmatch(role) else argument_of(role, task) for role in roles}
    return ", ".join(sorted(named)) or "nothing but words"


def _grows(recipe: Recipe) -> bool:
    return recipe.extend is not None and any(recipe.extend.model_dump().values())


@dataclass(frozen=True, kw_only=True)
class Inlet:
    """Where pictures and files come from: the gallery, or the sources."""

    items: Items
    store: Store
    sources: Sources

    async def open(self, pictures: Mapping[str, Given], task: Task = "txt2img") -> dict[str, InputPicture]:
        """Every picture by its role; a mask in black and white and of the source's size. Raises BadRecipe, NotFound."""
        tasks = {role: asyncio.ensure_future(self._open(role, given, task)) for role, given in pictures.items()}
        try:
            await asyncio.gather(*tasks.values())
        finally:  # one that cannot be opened ends the request, and with it the other downloads
            for opening in tasks.values():
                opening.cancel()
        found = {role: opening.result() for role, opening in tasks.items()}
        if "mask" in found and "source" in found:
            found["mask"] = await asyncio.to_thread(fitted_mask, found["mask"], found["source"])
        return found

    async def _open(self, role: str, given: Given, task: Task) -> InputPicture:
        if role == "workflow":
            return _graph(given)
        item = await self.items.get(given) if isinstance(given, str) else None
        if item is not None and item.deleted is not None:
            raise NotFound("image", item.id, hint=f"It is in the trash: 'atelier gallery restore {item.id}' first.")
        argument, kind = argument_of(role, task), wanted_kind(role, task)
        if item is not None:
            _check_kind(item, kind, argument)
            media = await self.store.get(item.key)
        else:
            media = await self._from_outside(argument, given, kind)
        picture = await asyncio.to_thread(_NORMAL[kind], argument, media)
        return replace(picture, item_id=item.id, words=item.prompt) if item else picture

    async def _from_outside(self, argument: str, given: Given, kind: SourceKind) -> Media:
        if isinstance(given, Media):
            return given
        try:
            return await self.sources.open(given, kind)
        except BadRecipe as error:  # the sources know no roles
            raise BadRecipe(argument, given[:200], error.allowed) from error


def wanted_kind(role: str, task: Task) -> SourceKind:
    """What a role takes."""
    if role == "source" and task in FROM_VIDEO:
        return "video"
    return "any" if _FILE.fullmatch(role) else "image"


def _check_kind(item: Item, kind: SourceKind, argument: str) -> None:
    if kind == "video" and item.kind != "video":
        raise BadRecipe(argument, item.id, f"it is {called(item.kind)}; image_to_video makes a video of a picture")
    if kind == "image" and item.kind != "image":
        way = f"; {VIDEO_TASKS}" if item.kind == "video" else ""
        raise BadRecipe(argument, item.id, f"it is {called(item.kind)}, and a picture is needed{way}")


def _graph(given: Given) -> InputPicture:
    """A graph goes on as it is: who brings it has checked it. Raises BadRecipe."""
    if not isinstance(given, Media) or given.media_type != JSON:
        raise BadRecipe("workflow", str(given)[:80], "it is a graph in API format, as JSON")
    return InputPicture(media=given, width=0, height=0)


def _normal(argument: str, media: Media) -> InputPicture:
    """The picture decoded and encoded anew: nothing but its pixels goes on. Raises BadRecipe."""
    try:
        image = decode(media.data)
    except BadPicture as error:
        allowed = f"it must be a whole PNG, JPEG or WebP ({error})"
        if sniff_video(media.data):
            allowed = f"it is a video, and a picture is needed; {VIDEO_TASKS}"
        raise BadRecipe(argument, media.media_type, allowed) from error
    png = Media(data=encode_png(image), media_type=PNG)
    return InputPicture(media=png, width=image.width, height=image.height, texts=embedded_texts(media.data))


def _clip(argument: str, media: Media) -> InputPicture:
    """The video as MP4. Raises BadRecipe."""
    given = opened_clip(media, argument)
    clip = given.clip
    return InputPicture(
        media=given.media,
        width=clip.width,
        height=clip.height,
        texts=given.texts,
        fps=clip.fps,
        seconds=clip.seconds,
    )


def _anything(argument: str, media: Media) -> InputPicture:
    """A still picture is made anew; what else it may be goes on as it is. Raises BadRecipe."""
    moving = sniff_video(media.data)
    if moving is None and sniff(media.data) in PICTURES:
        return _normal(argument, media)
    told = moving or sniff_sound(media.data) or plain(media.media_type)
    return InputPicture(media=Media(data=media.data, media_type=told), width=0, height=0)


_NORMAL: Mapping[SourceKind, Callable[[str, Media], InputPicture]] = {
    "image": _normal,
    "video": _clip,
    "any": _anything,
}


def fitted_mask(mask: InputPicture, source: InputPicture, argument: str = "mask_image") -> InputPicture:
    """The mask in black and white, at the size of its source. Raises BadRecipe when it paints nothing."""
    size = source.width, source.height
    png = encode_png(mask_of(mask.media, size, argument))
    return InputPicture(media=Media(data=png, media_type="image/png"), width=size[0], height=size[1])


def found_mask(mask: Media, source: Media, words: str) -> InputPicture:
    """The mask that an engine found for `words`. Raises BadRecipe when there was nothing like it."""
    try:
        return fitted_mask(_normal("mask_image", mask), _normal("input_image", source), "mask_text")
    except BadRecipe as error:
        allowed = "nothing like it was found in the picture; use other words, or give mask_image"
        raise BadRecipe("mask_text", words, allowed) from error
