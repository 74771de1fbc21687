"""What a picture file says of the wish that it was made from: the texts that were drawn, not those against it.

Read are the forms in which A1111, ComfyUI, NovelAI, InvokeAI and Atelier itself write, in PNG texts and in EXIF.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from utils.images import FORMATS, MAX_BYTES, BadPicture, chunks
from utils.metadata import PARAMETERS, VIDEO, read, read_parameters, read_png
from utils.metadata.files import media_type_of

MOST_TEXTS = 16
MOST_LETTERS = 10_000
"""Of each text: half of the longest prompt that is taken, and longer than any encoder reads."""
MOST_DOCUMENT = 4_000_000
"""Characters of a JSON text that is read."""
MOST_NODES = 2_000
_PROMPTS = frozenset({"prompt", "positive", "positive_prompt", "positive prompt", "caption", "description", "text"})
"""Names under which documents keep what was to be drawn."""
_PLAIN = frozenset({"description", "title", "caption", "subject", "imagedescription"})
_AGAINST = frozenset(
    {"negative", "negative_prompt", "uc", "model", "clip", "vae", "image", "pixels", "samples", "latent"}
)
"""Inputs of a graph's nodes that lead to something else than what is drawn."""
_EXIF_TEXTS = {0x010E: "imagedescription", 0x010F: "make", 0x0110: "model", 0x9C9B: "title", 0x9C9C: "comment"}
_EXIF_FOLDER, _USER_COMMENT = 0x8769, 0x9286
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, ZeroDivisionError)


def embedded_texts(picture: bytes) -> tuple[str, ...]:
    """The prompts in a PNG, JPEG, WebP or MP4, each cut at 10,000 letters, at most 16. Never raises."""
    texts: dict[str, None] = {}
    for name, text in _written(picture):
        for prompt in _prompts(name.lower(), text):
            if prompt.strip():
                texts[prompt.strip()[:MOST_LETTERS]] = None
            if len(texts) >= MOST_TEXTS:
                return tuple(texts)
    return tuple(texts)


def _written(picture: bytes) -> Iterator[tuple[str, str]]:
    """Every text of the file with its name."""
    kind = media_type_of(picture)
    if kind is None or len(picture) > MAX_BYTES:
        return
    try:
        if kind == "image/png":
            yield from read_png(picture).texts.items()
            yield from (found for kind, body in chunks(picture) if kind == b"eXIf" for found in _exif_texts(body))
        elif kind == VIDEO:
            yield from read(picture).texts.items()
        else:
            yield from _opened_texts(picture)
    except (BadPicture, UserWarning, *_BROKEN):
        return


def _opened_texts(picture: bytes) -> Iterator[tuple[str, str]]:
    """The texts of a JPEG or WebP; no pixel is unpacked."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture), formats=FORMATS) as opened:
            said = opened.info
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadPicture(str(error)) from error
    yield from _exif_texts(said.get("exif", b""))
    if said.get("comment"):
        yield "comment", _decoded(said["comment"])


def _exif_texts(body: bytes) -> Iterator[tuple[str, str]]:
    from PIL import Image

    exif = Image.Exif()
    exif.load(body if body.startswith(b"Exif\0\0") else b"Exif\0\0" + body)
    found = [(name, exif.get(tag)) for tag, name in _EXIF_TEXTS.items()]
    found.append(("comment", exif.get_ifd(_EXIF_FOLDER).get(_USER_COMMENT)))
    yield from ((name, _decoded(value)) for name, value in found if value)


def _decoded(value: Any) -> str:
    """An EXIF text; a UserComment names its encoding in its first eight bytes."""
    if not isinstance(value, bytes):
        return str(value)[:MOST_DOCUMENT]
    value = value[:MOST_DOCUMENT]
    if value.startswith(b"UNICODE\0"):
        body = value[8:]
        # A1111 writes the high byte first; others the low one, which then has its zeros at the odd places.
        return body.decode("utf-16-le" if body[1::2].count(0) > body[0::2].count(0) else "utf-16-be", "replace")
    if value.startswith(b"ASCII\0\0\0"):
        value = value[8:]
    return value.decode("utf-16-le" if value[1::2].count(0) > len(value) // 4 else "utf-8", "replace").strip("\0")


def _prompts(name: str, text: str) -> Iterator[str]:
    document = _document(text)
    if document is not None:
        yield from _graph_prompts(document) if _is_graph(document) else _said(document)
    elif name == PARAMETERS or "Steps:" in text:
        yield read_parameters(text)["prompt"]
    elif name in _PLAIN or name == "comment":
        yield text


def _document(text: str) -> dict[str, Any] | None:
    """The JSON object that the text is; ComfyUI's WebP has "prompt:" before it."""
    start = text[:20].find("{")
    if start < 0 or len(text) > MOST_DOCUMENT:
        return None
    try:
        document: Any = json.loads(text[start:].rstrip("\0 \n"))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None


def _said(document: Mapping[str, Any], depth: int = 3) -> Iterator[str]:
    """What a document keeps under the names of prompts, a few levels deep."""
    for name, value in document.items():
        if isinstance(value, str) and name.lower() in _PROMPTS:
            yield value
        elif isinstance(value, dict) and depth and "negative" not in name.lower():
            yield from _said(cast("dict[str, Any]", value), depth - 1)


def _is_graph(document: Mapping[str, Any]) -> bool:
    return any(isinstance(node, dict) and "class_type" in node for node in document.values())


def _graph_prompts(graph: Mapping[str, Any]) -> Iterator[str]:
    """The texts that lead to an input named positive (or to a guider's conditioning) in a ComfyUI graph."""
    pending = [link for node in graph.values() for name, link in _inputs(node) if _draws(node, name)]
    seen: set[str] = set()
    while pending and len(seen) < MOST_NODES:
        link = pending.pop()
        place = str(cast("list[object]", link)[0]) if isinstance(link, list) and link else ""
        if not place or place in seen:
            continue
        seen.add(place)
        for name, value in _inputs(graph.get(place)):
            if isinstance(value, str) and not name.endswith("_name"):
                yield value
            elif name not in _AGAINST:
                pending.append(value)


def _draws(node: dict[str, Any], name: str) -> bool:
    return name == "positive" or (name == "conditioning" and "Guider" in str(node.get("class_type")))


def _inputs(node: Any) -> list[tuple[str, Any]]:
    inputs: Any = cast("dict[str, Any]", node).get("inputs") if isinstance(node, dict) else None
    return list(cast("dict[str, Any]", inputs).items()) if isinstance(inputs, dict) else []
