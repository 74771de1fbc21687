"""Which program wrote a file, and its recipe: every form of the field is tried, the surest first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from utils.metadata import Stamp
from workflows.importing import a1111, programs
from workflows.importing.comfyui import is_graph, is_workflow, read_graph
from workflows.importing.draft import Draft, Foreign
from workflows.importing.values import document, table, tables, text, whole
from workflows.types import Recipe

MOST_TEXTS = 200
OWN = "Atelier"
_EXTRA = ("extra", "extraMetadata", "resource-stack")
"""What CivitAI's generator puts among the nodes of a graph."""


def read_recipe(stamp: Stamp) -> Foreign | None:
    """What the file says of how it was made; None when it says nothing of the kind. Raises nothing.

    The texts may be any stranger's. Takes some milliseconds, for the largest graphs a second: call on a thread.
    """
    texts = dict(list(stamp.texts.items())[:MOST_TEXTS])
    if stamp.parameters and stamp.parameters not in texts.values():
        texts["parameters"] = stamp.parameters
    documents = {name: found for name, body in texts.items() if (found := document(body)) is not None}
    graph, workflow = _graphs(documents)
    kept = {"graph": graph, "workflow": workflow}
    if (own := _own(stamp.record)) is not None:
        return replace(own, **kept)
    draft = _draft(texts, documents)
    drawn = _civitai(graph) or read_graph(_bare(graph), workflow)
    if draft is None:
        draft = drawn
    elif drawn is not None:
        draft.fill(drawn)
        draft.program = drawn.program if draft.program == "A1111" else draft.program
    draft = draft or _plain_words(texts)
    return draft.foreign(**kept) if draft else None


def _own(record: Mapping[str, Any] | None) -> Foreign | None:
    """Our own stamp, whose recipes come back as they were; None when it is another's or a later version's."""
    told = table(record)
    try:
        recipe = Recipe.model_validate(told.get("recipe"))
        rendered = Recipe.model_validate(told.get("rendered", told.get("recipe")))
    except (ValidationError, RecursionError):
        return None
    model, digest = text(told.get("model"), 400), text(told.get("model_hash"), 64)
    return Foreign(
        program=OWN, recipe=recipe, rendered=rendered, record=told, model=model or None, model_hash=digest or None
    )


def _graphs(documents: Mapping[str, dict[str, Any]]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """(ComfyUI's graph in API format, the editor's), under whichever names they stand."""
    opened = [found for one in documents.values() for found in (one, *_inside(one))]
    graph = next((one for one in opened if is_graph(one)), None)
    return graph, next((one for one in opened if is_workflow(one)), None)


def _inside(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A video's comment and CivitAI's meta hold both graphs in one document, as objects or as texts."""
    parts = (found.get("prompt"), found.get("workflow"), found.get("comfy"))
    opened = [document(part) if isinstance(part, str) else table(part) for part in parts]
    return [part for part in opened if part]


def _draft(texts: Mapping[str, str], documents: Mapping[str, dict[str, Any]]) -> Draft | None:
    """The recipe as any program but ComfyUI writes it."""
    if "Comment" in documents and "NovelAI" in " ".join((texts.get("Software", ""), texts.get("Source", ""))):
        return programs.novelai(documents["Comment"], texts.get("Source", ""))
    for found in documents.values():
        if (draft := programs.of_document(found)) is not None:
            return draft
    for body in texts.values():
        if "exif:UserComment" in body and (found := programs.comment_of_xmp(body)) is not None:
            if (draft := programs.of_document(found)) is not None:
                return draft
        elif "Steps: " in body and document(body) is None and a1111.is_parameters(body):
            return a1111.read_text(body, "Fooocus" if texts.get("fooocus_scheme") else "A1111")
    return programs.easy(texts) if any(name in texts for name in programs.EASY) else None


def _bare(graph: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return {name: body for name, body in graph.items() if name not in _EXTRA} if graph else None


def _civitai(graph: Mapping[str, Any] | None) -> Draft | None:
    """What CivitAI's generator adds to its graphs: its own words for the same, and its numbers of the models."""
    found = (graph or {}).get("extraMetadata")
    told = document(found) if isinstance(found, str) else table(found)
    if not told:
        return None
    draft = Draft(program="CivitAI")
    draft.words(told.get("prompt"), told.get("negativePrompt"))
    draft.steps(told.get("steps"))
    draft.cfg(told.get("cfgScale"))
    draft.seed(told.get("seed"))
    draft.sampler(told.get("sampler"))
    draft.clip_skip(told.get("clipSkip"))
    draft.size(told.get("width"), told.get("height"))
    versions = [whole(row.get("modelVersionId")) for row in tables(told.get("resources"))]
    if any(versions):
        draft.note(f"CivitAI's versions of what it was drawn with: {', '.join(str(one) for one in versions if one)}.")
    if (drawn := read_graph(_bare(graph))) is not None:
        draft.fill(drawn)
    return draft


_BROKEN = re.compile(r'\s*(?:\{\s*"|\[\s*[{"]|[\[{]{20})')
"""How a document begins that cannot be read: cut short, too long or too deep. It is no description."""
_WORDS = ("prompt", "description", "title", "comment", "imagedescription", "usercomment")


def _plain_words(texts: Mapping[str, str]) -> Draft | None:
    """A description alone: words to find it by, and no recipe."""
    named = {name.lower(): body for name, body in texts.items()}
    told = (named.get(name, "") for name in _WORDS)
    said = next((body for body in told if body.strip() and document(body) is None and not _BROKEN.match(body)), "")
    if not said.strip() or "<?xpacket" in said[:200] or "<x:xmpmeta" in said[:200]:
        return None
    draft = Draft(program="file", task="unknown")
    draft.prompt = text(said)
    draft.note("It holds a description and no settings.")
    return draft
