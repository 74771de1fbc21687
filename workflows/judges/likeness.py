"""The Embedder on our CLIP: what pictures look like, as vectors, with the model that the judge has in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from utils.likeness import vector
from utils.validation import ClipScorer, JudgesMissing, WeightsUnavailable
from workflows.errors import ExtraMissing, ServiceUnavailable
from workflows.judges.resting import Resting
from workflows.types import Media

WEIGHTS = "open_clip_model.safetensors"
TOLD_BYTES = 1_000_000
"""Of a weight file, from its end: with its size they tell two files apart."""


class ClipEmbedder:
    """Pictures into the vectors of one CLIP. `resting` is the judge's, so that the model rests for both at once."""

    def __init__(self, scorer: ClipScorer, resting: Resting[ClipScorer]) -> None:
        self._scorer = scorer
        self._resting = resting

    @property
    def name(self) -> str:
        """open_clip's name and tag; of a folder its name and a sum over its weights. Reads a file the first time."""
        return self._name

    @cached_property
    def _name(self) -> str:
        folder = Path(self._scorer.model)
        if not folder.is_dir():
            return f"{self._scorer.model} {self._scorer.pretrained}"
        return f"{folder.absolute().name} {_sum(folder / WEIGHTS)}"

    async def embed(self, pictures: Sequence[Media]) -> Sequence[bytes]:
        """Raises ExtraMissing, ServiceUnavailable where the weights cannot be had, BadPicture."""
        if not pictures:
            return []
        try:
            async with self._resting.awake(self._scorer):
                return await asyncio.to_thread(self._embed, pictures)
        except JudgesMissing as missing:
            raise ExtraMissing("judges", "Finding pictures that look alike") from missing
        except WeightsUnavailable as missing:
            raise ServiceUnavailable(str(missing)) from missing

    def _embed(self, pictures: Sequence[Media]) -> list[bytes]:
        return [vector(row) for row in self._scorer.embed_images([picture.data for picture in pictures])]


def _sum(weights: Path) -> str:
    if not weights.is_file():
        return "without weights"
    size = weights.stat().st_size
    with weights.open("rb") as file:
        file.seek(max(0, size - TOLD_BYTES))
        return sha256(str(size).encode() + file.read()).hexdigest()[:12]
