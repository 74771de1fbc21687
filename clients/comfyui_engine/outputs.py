"""What a stranger's graph left on a server, of whatever kind: fetched, looked at, named.

A server's words are anybody's, so that numbers and sizes are bounded and a kind is believed by the bytes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from clients.comfyui_client import FileTooLarge
from clients.comfyui_engine.kinds import media_type_of
from clients.comfyui_engine.pictures import size_of, told_of
from utils.images import BadPicture
from utils.video import MAX_BYTES as MOST_LOOKED_INTO
from utils.video import BadVideo, PyAvMissing, probe, sniff_video
from workflows.errors import EngineUnavailable, NotFound, RenderFailed
from workflows.types import Media

if TYPE_CHECKING:
    from clients.comfyui_client import Finished, OutputFile
    from clients.comfyui_engine.server import Server

MOST_FILES = 64
MOST_BYTES = 10**9
"""Of all the outputs of one run."""
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp"})


@dataclass(frozen=True, kw_only=True)
class Output:
    """One thing that came out. `kind` is the list it stood in at the server: images, gifs, audio, text, ..."""

    media: Media
    node: str
    kind: str
    width: int = 0
    height: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class Harvest:
    """What came out, what is to be said of the rest, and the files that are not there any more."""

    outputs: list[Output] = field(default_factory=list[Output])
    notes: list[str] = field(default_factory=list[str])
    missing: list[OutputFile] = field(default_factory=list["OutputFile"])
    left: int = field(default_factory=lambda: MOST_BYTES)
    """Bytes that may still be fetched."""

    @property
    def full(self) -> bool:
        return len(self.outputs) >= MOST_FILES

    def add(self, output: Output) -> None:
        self.outputs.append(output)
        self.left -= len(output.media.data)


async def gathered(server: Server, finished: Finished) -> Harvest:
    """Every output, saved ones before frames of the socket before texts; of temporary files only where nothing lasts.

    Raises EngineUnavailable when the server does not answer any more.
    """
    harvest = Harvest()
    files, frames, texts = saved(finished), list(_frames(finished)), list(_texts(finished))
    for file in files:
        if harvest.full:
            break
        await _fetch(server, file, harvest)
    for output in await asyncio.gather(*(_looked_at(frame) for frame in frames[: MOST_FILES - len(harvest.outputs)])):
        harvest.add(output)
    for text in texts[: MOST_FILES - len(harvest.outputs)]:
        harvest.add(text)
    every = len(files) + len(frames) + len(texts)
    if harvest.full and every > MOST_FILES:
        harvest.notes.append(f"The workflow gave {every} outputs; {MOST_FILES} of them are kept, which is the most.")
    return harvest


def saved(finished: Finished) -> list[OutputFile]:
    """The files that were saved, each once; what was only shown for a while where nothing was saved."""
    files = list({(file.type, file.subfolder, file.filename): file for file in reversed(finished.files)}.values())[::-1]
    lasting = [file for file in files if file.type == "output"]
    return lasting or ([] if finished.frames else [file for file in files if file.type == "temp"])


# ------------------------------------------------------------------ one of them


async def _fetch(server: Server, file: OutputFile, harvest: Harvest) -> None:
    """Fetched again once when it comes in pieces; one that cannot be used costs the others nothing."""
    try:
        try:
            output = await _whole(server, file, harvest.left)
        except FileTooLarge:
            raise
        except (RenderFailed, EngineUnavailable, BadPicture, BadVideo):
            output = await _whole(server, file, harvest.left)
    except NotFound:
        harvest.missing.append(file)
    except FileTooLarge:
        most = f"{MOST_BYTES / 1e9:g} GB"
        harvest.notes.append(f"{file.filename} is not kept: the outputs have more than {most} in all.")
    except RenderFailed as error:
        harvest.notes.append(f"{file.filename} is not kept. {error}")
    except (BadPicture, BadVideo) as error:
        harvest.notes.append(f"{file.filename} is not kept: {error}.")
    else:
        harvest.add(output)


async def _whole(server: Server, file: OutputFile, most: int) -> Output:
    media = await server.client.view(file, most=most)
    kind = media_type_of(media.data, file.filename, media.media_type)
    return await _looked_at(Output(media=Media(data=media.data, media_type=kind), node=file.node, kind=file.key))


async def _looked_at(output: Output) -> Output:
    """With the size of what can be seen, and a video's length. Raises BadPicture, BadVideo."""
    kind, content = output.media.media_type, output.media.data
    moving = kind.startswith("video/") or (kind in {"image/gif", "image/webp"} and sniff_video(content) == kind)
    if moving:
        if len(content) > MOST_LOOKED_INTO:
            return output
        try:
            clip = await asyncio.to_thread(probe, content)
        except PyAvMissing:
            return output
        return replace(output, width=clip.width, height=clip.height, facts=told_of(clip))
    if kind == "image/gif":
        size = [int.from_bytes(content[place : place + 2], "little") for place in (6, 8)]
        return replace(output, width=size[0], height=size[1])
    if kind in PICTURES:
        width, height = await asyncio.to_thread(size_of, content)
        return replace(output, width=width, height=height)
    return output


def _frames(finished: Finished) -> Iterator[Output]:
    for node, frame in zip(finished.frame_nodes, finished.frames, strict=True):
        yield Output(media=frame, node=node, kind="images")


def _texts(finished: Finished) -> Iterator[Output]:
    for node, output in finished.outputs.items():
        for text in _said(output.get("text")):
            yield Output(media=Media(data=text.encode(), media_type="text/plain"), node=node, kind="text")


def _said(found: object) -> list[str]:
    """The strings of a node, some of which give lists in lists. A single string arrives letter by letter."""
    entries = cast("list[object]", found if isinstance(found, list) else [found])
    if len(entries) > 1 and all(isinstance(entry, str) and len(entry) == 1 for entry in entries):
        return ["".join(map(str, entries))]
    texts: list[str] = []
    for entry in entries:
        inner = cast("list[object]", entry if isinstance(entry, list) else [entry])
        texts += [str(one) for one in inner if isinstance(one, str | int | float) and str(one).strip()]
    return texts
