"""Told: what the model files of one server say of themselves, kept in a file so that nothing is asked twice.

Of the metadata only what matters is kept: the few keys that tell a family, and ModelFacts' fields. A LoRA's own can be
megabytes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from utils.sidecars import metadata_facts
from workflows.types import ModelFacts

log = logging.getLogger("atelier.comfyui")

FOLDER = "servers"
FORMAT = 1
"""Of the file; another one is not read."""
FAMILY_KEYS = (
    "modelspec.architecture",
    "modelspec.implementation",
    "modelspec.prediction_type",
    "modelspec.title",
    "ss_base_model_version",
    "ss_network_module",
    "ss_sd_model_name",
    "ss_v2",
)
"""What families.family_of_file and its kin read."""
MOST_TEXT = 300
"""Characters of a value or a tag that are kept: a server's files are anybody's. The rest metadata_facts bounds."""
MOST_BYTES = 256 * 2**20
"""A larger file is not ours."""

File = tuple[str, str, int]
"""Folder, name and bytes (0 where the server does not tell): what tells one file of a server from another."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """What one file says; empty when it says nothing, which is remembered too."""

    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: ModelFacts = field(default_factory=ModelFacts)


SILENT = Words()


def words_of(metadata: Mapping[str, Any]) -> Words:
    """What matters of a file's safetensors metadata."""
    texts = {key: value for key, value in metadata.items() if isinstance(value, str)}
    kept = {key: texts[key][:MOST_TEXT] for key in FAMILY_KEYS if texts.get(key)}
    facts = _facts(metadata_facts(texts))
    return Words(metadata=kept, facts=facts.model_copy(update={"tags": tuple(tag[:MOST_TEXT] for tag in facts.tags)}))


class Told:
    """What the files of one server said, by File. Read it before the first question, save it now and then."""

    def __init__(self, home: Path, url: str) -> None:
        self.url = url
        self._path = home / FOLDER / f"{_slug(url)}.jsonl"
        self._words: dict[File, Words] = {}
        self._unsaved = False
        self._stamp: tuple[int, int] | None = None
        self._saving = asyncio.Lock()

    def __contains__(self, file: File) -> bool:
        return file in self._words

    def __len__(self) -> int:
        return len(self._words)

    def words(self, file: File) -> Words:
        return self._words.get(file, SILENT)

    def add(self, said: Mapping[File, Words]) -> None:
        self._words |= said
        self._unsaved = self._unsaved or bool(said)

    async def read(self) -> None:
        """What was kept, here or by another process; what is not readable is asked anew."""
        self._words = await asyncio.to_thread(self._read) | self._words

    async def save(self, there: Collection[File] = ()) -> None:
        """Keep it, with what other processes have added; `there`: forget all files but these.

        A folder that cannot be written costs no more than the same questions at the next start.
        """
        async with self._saving:
            if not self._unsaved:
                return
            self._unsaved = False
            try:
                await asyncio.to_thread(self._write, dict(self._words), frozenset(there))
            except OSError as error:
                log.info("%s cannot be written (%s): its files are asked anew next time", self._path, error)

    def _read(self) -> dict[File, Words]:
        """What is kept, unless it is what this process read or wrote last."""
        try:
            stamp = _stamp(self._path)
            if stamp == self._stamp:
                return {}
            self._stamp = stamp
            return _kept(self._path) if stamp[1] <= MOST_BYTES else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.info("%s cannot be read (%s): its server is asked anew", self._path, error)
            return {}

    def _write(self, words: Mapping[File, Words], there: Collection[File]) -> None:
        """A line for each file: a whole list at once would hold up the event loop's thread."""
        every = {**self._read(), **words}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(f".{os.getpid()}.tmp")
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.write(f"{json.dumps({'format': FORMAT, 'server': self.url})}\n")
            for file, said in every.items():
                if not there or file in there:
                    stream.write(f"{json.dumps(_row(file, said), ensure_ascii=False)}\n")
        unfinished.replace(self._path)
        self._stamp = _stamp(self._path)


def _slug(url: str) -> str:
    """A file name of an address: readable, and no two addresses alike."""
    readable = re.sub(r"[^a-z0-9.-]+", "_", url.partition("://")[2].lower())[:60]
    return f"{readable}-{sha256(url.encode()).hexdigest()[:8]}"


def _row(file: File, said: Words) -> list[Any]:
    if said == SILENT:
        return [*file]
    return [*file, dict(said.metadata), said.facts.model_dump(mode="json", exclude_defaults=True)]


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _kept(path: Path) -> dict[File, Words]:
    with path.open(encoding="utf-8") as lines:
        if json.loads(next(lines, "{}"))["format"] != FORMAT:
            return {}
        return dict(_said(json.loads(line)) for line in lines)


def _said(row: list[Any]) -> tuple[File, Words]:
    folder, name, size, *more = row
    file = str(folder), str(name), int(size)
    if not more:
        return file, SILENT
    metadata, facts = cast("list[dict[str, Any]]", more)
    return file, Words(metadata=metadata, facts=_facts(facts))


def _facts(found: Mapping[str, Any]) -> ModelFacts:
    known = {key: value for key, value in found.items() if key in ModelFacts.model_fields}
    try:
        return ModelFacts.model_validate(known)
    except ValidationError as error:
        log.debug("odd metadata: %s", error)
        return ModelFacts()
