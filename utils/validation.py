"""Does a picture show what a text says? Raw CLIP cosine similarities, never rescaled, with a plain pass or fail.

Many pictures are scored in one forward, a text or picture seen lately costs nothing, and every set of weights has its
own passing score (`ClipScorer.threshold`). Synchronous: a caller with an event loop puts these calls on a thread. The
libraries load with the first score.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

from utils.clip_encoder import ClipEncoder, JudgesMissing, WeightsUnavailable, split_text
from utils.images import sha256
from utils.opening import as_picture, opened
from utils.reading.atoms import spoken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from utils.opening import Picture

    Scores: TypeAlias = NDArray[np.float32]

__all__ = [
    "ClipScorer",
    "JudgesMissing",
    "ValidationResult",
    "WeightsUnavailable",
    "judged",
    "own_threshold",
    "shared_scorer",
    "split_text",
    "validate_image",
]

DEFAULT_MODEL = "ViT-B-32"
DEFAULT_WEIGHTS = "laion2b_s34b_b79k"
DEFAULT_THRESHOLD = 0.25
"""Of the default weights: LAION's own filters kept pairs from 0.28 to 0.30, pictures by models score a little lower."""
THRESHOLDS = {
    r"siglip": 0.06,
    r"vit-l.*openai": 0.20,
    r"openai": 0.24,
    r"dfn|datacomp|commonpool": 0.23,
    r"(vit-h|vit-g|bigg).*laion": 0.26,
}
"""Passing cosines by open_clip's names, the first that fits. Each is 0.02 below the lowest score of matching pairs
that is reported for such weights (SigLIP 0.08 to 0.18, OpenAI's L/14 0.22 to 0.30 and B/32 0.26 to 0.35, DFN and
DataComp 0.25 to 0.40, LAION-2B's H/14 and bigG 0.28 to 0.40), as 0.25 is for LAION-2B's B/32 (0.27 to 0.38).
None but that of the demo's own weights is measured here."""
PASSED = "Image passed validation"
ASK_AGAIN_SECONDS = 60.0
"""Weights that could not be had are not asked for again sooner: a download that fails takes seconds."""
REMEMBERED_TEXTS = 256
"""Text embeddings kept: a retry asks for the same text again."""
REMEMBERED_PICTURES = 64
"""Picture embeddings kept: several judges may ask for the same one."""


@dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """Scores are cosine similarities from -1 to 1; the negative ones are None without a negative prompt."""

    passed: bool
    positive_score: float
    negative_score: float | None
    score_delta: float | None
    """positive_score - negative_score."""
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def validate_image(
    image: Picture,
    positive_prompt: str,
    negative_prompt: str | None = None,
    positive_threshold: float = 0.25,
    delta_threshold: float | None = None,
    *,
    scorer: ClipScorer | None = None,
) -> ValidationResult:
    """Pass when picture and prompt are at least `positive_threshold` alike.

    The negative score is only reported, unless `delta_threshold` asks the positive one to exceed it by that much.
    `scorer` None: one ViT-B-32 for the whole process. Raises ValueError for a blank prompt, for a delta without a
    negative prompt and for bytes that are no picture; TypeError (as_picture); JudgesMissing; WeightsUnavailable.
    """
    if not positive_prompt.strip():
        raise ValueError("positive_prompt is blank: there is nothing to compare the picture with.")
    negative = (negative_prompt or "").strip()
    if delta_threshold is not None and not negative:
        raise ValueError("delta_threshold needs a negative_prompt to measure against.")
    texts = [positive_prompt, negative] if negative else [positive_prompt]
    row = [float(score) for score in (scorer or shared_scorer()).scores([image], texts)[0]]
    return judged(row[0], row[1] if negative else None, positive_threshold, delta_threshold)


def judged(
    positive: float, negative: float | None, positive_threshold: float, delta_threshold: float | None
) -> ValidationResult:
    """The verdict on scores already measured."""
    delta = None if negative is None else positive - negative
    if positive < positive_threshold:
        reason = f"Low positive CLIP score: {positive:.3f} < {positive_threshold}"
    elif delta_threshold is not None and (delta is None or delta < delta_threshold):
        shown = round(delta or 0.0, 3) + 0.0  # no "-0.000"
        reason = f"Low CLIP score delta: {shown:.3f} < {delta_threshold}"
    else:
        reason = PASSED
    return ValidationResult(
        passed=reason == PASSED, positive_score=positive, negative_score=negative, score_delta=delta, reason=reason
    )


@cache
def shared_scorer(model: str = DEFAULT_MODEL, pretrained: str = DEFAULT_WEIGHTS) -> ClipScorer:
    """The process's one scorer with these weights."""
    return ClipScorer(model, pretrained)


class ClipScorer:
    """An open_clip model that loads with its first use, once, and takes part in one call at a time.

    `model` is an open_clip name with `pretrained` as its tag, or a folder in open_clip's own form
    (open_clip_config.json and open_clip_model.safetensors, with bpe.txt.gz where it has its own words).
    `device` None: CUDA, then Apple's, then the CPU.
    """

    def __init__(
        self, model: str | Path = DEFAULT_MODEL, pretrained: str = DEFAULT_WEIGHTS, *, device: str | None = None
    ) -> None:
        self.model = str(model)
        self.pretrained = pretrained
        self._device = device
        self._encoder: ClipEncoder | None = None
        self._unavailable: WeightsUnavailable | None = None
        self._asked = 0.0
        self._texts = _Remembered(REMEMBERED_TEXTS)
        self._pictures = _Remembered(REMEMBERED_PICTURES)
        self._lock = RLock()

    @property
    def loaded(self) -> bool:
        return self._encoder is not None

    @property
    def threshold(self) -> float:
        """The cosine from which a picture shows a text, for these weights; needs no loading."""
        return own_threshold(self.model, self.pretrained)

    @property
    def scale(self) -> float:
        """What makes a cosine of this model a logit; loads it. Raises as `scores`."""
        with self._lock:
            return self._ready().scale

    def scores(self, images: Sequence[Picture], texts: Sequence[str]) -> Scores:
        """Cosine similarities, one row for each picture and one column for each text.

        Emphasis brackets and LoRA tags are read over. Texts may be longer than the encoder's context (ClipEncoder).
        Raises JudgesMissing, WeightsUnavailable, ValueError for bytes that are no picture, and TypeError (as_picture).
        """
        import numpy as np

        with self._lock:
            if not images or not texts:
                return np.zeros((len(images), len(texts)), np.float32)
            return self.embed_images(images) @ self.embed_texts(texts).T

    def embed_images(self, images: Sequence[Picture]) -> Scores:
        """Unit vectors, one row for each picture. Those of encoded pictures (bytes) are kept a while.

        Raises as `scores`.
        """
        pictures = [as_picture(image) for image in images]
        keys = [sha256(image) if isinstance(image, bytes) else None for image in pictures]
        with self._lock:
            encoder = self._ready()
            return self._pictures.rows(pictures, keys, lambda new: encoder.embed_images(map(opened, new)))

    def embed_texts(self, texts: Sequence[str]) -> Scores:
        """Unit vectors, one row for each text, as `scores` reads it. Raises JudgesMissing, WeightsUnavailable."""
        said = [spoken(text) for text in texts]
        with self._lock:
            return self._texts.rows(said, said, self._ready().embed_texts)

    def unload(self) -> None:
        """Free the memory; the next score loads again."""
        with self._lock:
            encoder, self._encoder = self._encoder, None
            self._texts.clear()
            self._pictures.clear()
            if encoder is not None:
                encoder.free()

    def _ready(self) -> ClipEncoder:
        if self._unavailable is not None and monotonic() - self._asked < ASK_AGAIN_SECONDS:
            raise self._unavailable
        if self._encoder is None:
            try:
                self._encoder = ClipEncoder(self.model, self.pretrained, self._device)
            except WeightsUnavailable as error:
                self._unavailable, self._asked = error, monotonic()
                raise
        return self._encoder


class _Remembered:
    """The vectors of what was last embedded, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: OrderedDict[str, Any] = OrderedDict()

    def rows(
        self, things: Sequence[Any], keys: Sequence[str | None], embed: Callable[[Sequence[Any]], Scores]
    ) -> Scores:
        """A row for each thing: the kept one, or one made with all others that are new; what has no key is not kept."""
        import numpy as np

        if not things:
            return np.zeros((0, 0), np.float32)
        found = {key: self._rows[key] for key in keys if key in self._rows}
        new = {key or place: place for place, key in enumerate(keys) if key not in found}
        made = dict(zip(new, embed([things[place] for place in new.values()]), strict=True)) if new else {}
        for key in dict.fromkeys(key for key in keys if key):
            self._rows[key] = found[key] if key in found else made[key]
            self._rows.move_to_end(key)
        while len(self._rows) > self._most:
            self._rows.popitem(last=False)
        return np.stack([found[key] if key in found else made[key or place] for place, key in enumerate(keys)])

    def clear(self) -> None:
        self._rows.clear()


def own_threshold(model: str, pretrained: str) -> float:
    """The passing cosine of an open_clip model: what its folder's atelier.json says, or by the table of THRESHOLDS."""
    folder = Path(model)
    if (folder / "atelier.json").is_file():
        told = json.loads((folder / "atelier.json").read_text(encoding="utf-8"))
        return float(told.get("positive_threshold", DEFAULT_THRESHOLD))
    name = folder.absolute().name.lower() if folder.is_dir() else f"{model} {pretrained}".lower()
    return next((value for pattern, value in THRESHOLDS.items() if re.search(pattern, name)), DEFAULT_THRESHOLD)
