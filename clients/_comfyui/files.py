"""Files to and from a server: view, upload, masks."""

from __future__ import annotations

import json
import mimetypes
from pathlib import PurePosixPath
from typing import Any

from clients._comfyui.answers import file_fault
from clients._comfyui.values import FileTooLarge, OutputFile, UploadedFile
from clients._comfyui.web import TooLarge, Unheard, Web
from utils.images import sniff
from workflows.errors import GraphRejected, NotFound, RenderFailed
from workflows.types import Media


class Files:
    """The calls that carry bytes."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def view(self, file: OutputFile, most: int) -> Media:
        name = _path(file)
        where = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        try:
            response, content = await self._web.bounded("/view", most, **where)
        except TooLarge as error:
            text = f"ComfyUI's file {name} has more than the {most / 1e6:.0f} MB that are left to fetch."
            raise FileTooLarge(text, node=file.node or None) from error
        if response.status_code in {400, 403, 404}:
            hint = "The server's cache may name a file that was deleted: render again under another file name."
            raise NotFound("file at the ComfyUI server", name, hint=hint)
        told = str(response.headers.get("content-type") or "").partition(";")[0].strip()
        # Other people's nodes give a picture the ending of another kind; only what is none at all is broken.
        media = Media(data=content, media_type=sniff(content) or told or _guessed(file.filename))
        if fault := file_fault(media):
            raise RenderFailed(f"ComfyUI's file {name} cannot be used: {fault}. Render again.", node=file.node or None)
        return media

    async def upload(self, name: str, content: bytes, kind: str, subfolder: str, overwrite: bool) -> UploadedFile:
        fields = {"type": kind, "subfolder": subfolder, "overwrite": str(overwrite).lower()}
        return await self._send("/upload/image", _flat(name), content, fields)

    async def upload_mask(self, content: bytes, original: OutputFile, name: str) -> UploadedFile:
        reference = {"filename": original.filename, "subfolder": original.subfolder, "type": original.type}
        fields = {"type": "input", "subfolder": "clipspace", "original_ref": json.dumps(reference)}
        try:
            written = await self._send("/upload/mask", _flat(name), content, fields)
        except Unheard as error:
            if error.status != 500:
                raise
            step = "a mask is a PNG with alpha, of the size of its picture"
            raise GraphRejected(f"ComfyUI does not take the mask for {_path(original)}: {step}.") from error
        # The server answers the same when the original is not there, and writes nothing.
        there = await self._web.head("/view", filename=written.name, subfolder=written.subfolder, type=written.type)
        if there.status_code != 200:
            raise NotFound("picture at the ComfyUI server", _path(original))
        return written

    async def _send(self, path: str, name: str, content: bytes, fields: dict[str, str]) -> UploadedFile:
        response = await self._web.post(path, files={"image": (name, content, _guessed(name))}, data=fields)
        if response.status_code == 413:
            size = f"{len(content) / 2**20:.0f} MB"
            raise GraphRejected(f"ComfyUI does not take {name}: {size} is more than it accepts. Send a smaller file.")
        if response.status_code == 400:
            raise GraphRejected(f"ComfyUI does not take a file named {name!r} in folder {fields['subfolder']!r}.")
        answer: dict[str, Any] = self._web.json(response)
        return UploadedFile(
            name=str(answer["name"]),
            subfolder=str(answer.get("subfolder") or ""),
            type=str(answer.get("type") or "input"),
        )


def _path(file: OutputFile) -> str:
    return f"{file.subfolder}/{file.filename}" if file.subfolder else file.filename


def _flat(name: str) -> str:
    """The last part of a name: the server fails at one with a slash."""
    return PurePosixPath(name.replace("\\", "/")).name or "upload.png"


def _guessed(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
