"""A HuggingFace image classifier as a measure of how much a picture shows that it should not."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import Any

from utils.hub import in_hub_cache, local_files_without_hub
from utils.images import BadPicture, decode
from utils.torch_threads import threads_for

USUAL = "Falconsai/nsfw_image_detection"
"""ViT-B/16 with the labels normal and nsfw, Apache-2.0."""
OFF = "off"
NEEDED = ("config.json", "preprocessor_config.json", "model.safetensors")
"""What of a repository has to be in the cache for a classifier to load without the Hub."""
BATCH = 8
"""Pictures classified at once: the network sees 224 to 448 pixels a side, so that memory is no matter."""
ASK_AGAIN_SECONDS = 60.0
"""Weights that could not be had are not asked for again sooner."""

SAFE = frozenset(
    "safe sfw normal neutral general drawing drawings nonnude notnsfw none clean animepicture everyone".split()
)
MILD = frozenset("low sexy sensitive suggestive enticingorsensual sensual mild racy".split())
UNSAFE = frozenset(
    "unsafe nsfw medium high porn pornography hentai explicit questionable nude nudity sexual adult xxx erotic".split()
)
"""Labels of the usual classifiers in small letters without signs: nsfw and normal, unsafe and safe; the levels neutral,
low, medium, high; the kinds drawings, hentai, neutral, porn, sexy; the ratings general to explicit."""


class ClassifierUnavailable(RuntimeError):
    """The classifier cannot be had, cannot be understood, or broke; the text says why."""


class NoClassifier(RuntimeError):
    """Nobody chose a classifier, and the usual one is not on this machine; or it was switched off."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Shares from 0 to 1 of what a classifier sees in a picture."""

    unsafe: float
    suggestive: float
    """The unsafe share and the mild ones."""
    graded: bool
    """Whether the classifier has more than two labels."""


class PictureClassifier:
    """An image classifier that loads with its first use, once, and takes part in one call at a time.

    `model` is a HuggingFace id or a folder with a configuration whose labels are known (see SAFE, MILD, UNSAFE) and
    weights in safetensors. `device` None: CUDA, then Apple's, then the CPU.
    """

    def __init__(self, model: str | Path = USUAL, *, device: str | None = None) -> None:
        self.model = str(model)
        self._device = device
        self._pipeline: Any = None
        self._levels: Mapping[str, frozenset[str]] = {}
        self._unavailable: ClassifierUnavailable | None = None
        self._asked = 0.0
        self._lock = RLock()

    @property
    def loaded(self) -> bool:
        return self._pipeline is not None

    def exposures(self, pictures: Sequence[bytes]) -> list[Exposure]:
        """What each picture shows, in their order. Raises ClassifierUnavailable, also for what is no picture."""
        with self._lock:
            pipeline = self._ready()
            with _told(self.model):
                images = [_on_white(picture) for picture in pictures]
                with threads_for(pipeline.model.num_parameters()):
                    rows: list[list[dict[str, Any]]] = pipeline(images, top_k=None, batch_size=BATCH) if images else []
            return [self._exposure({entry["label"]: float(entry["score"]) for entry in row}) for row in rows]

    def unload(self) -> None:
        """Free the memory; the next picture loads again."""
        with self._lock:
            pipeline, self._pipeline = self._pipeline, None
            if pipeline is not None and pipeline.device.type == "cuda":
                import torch

                del pipeline
                torch.cuda.empty_cache()

    def _exposure(self, shares: Mapping[str, float]) -> Exposure:
        unsafe = sum(shares[label] for label in self._levels["unsafe"])
        mild = sum(shares[label] for label in self._levels["mild"])
        if not isfinite(unsafe + mild):
            raise ClassifierUnavailable(f"The image classifier {self.model!r} gives no numbers: damaged weights.")
        return Exposure(unsafe=min(unsafe, 1.0), suggestive=min(unsafe + mild, 1.0), graded=len(shares) > 2)

    def _ready(self) -> Any:
        if self._unavailable is not None and monotonic() - self._asked < ASK_AGAIN_SECONDS:
            raise self._unavailable
        if self._pipeline is None:
            try:
                pipeline = _loaded(self.model, self._device)
                self._levels = levels_of(self.model, list(pipeline.model.config.id2label.values()))
                self._pipeline = pipeline
            except ClassifierUnavailable as error:
                self._unavailable, self._asked = error, monotonic()
                raise
        return self._pipeline


def classifier_for(setting: str | None) -> PictureClassifier:
    """The classifier that a setting names: an id or a folder; "off"; None: the usual one when its weights are here.

    Touches no network. Raises NoClassifier with the reason.
    """
    if setting is not None and setting.strip().lower() == OFF:
        raise NoClassifier("ATELIER_CONTENT_MODEL is off.")
    if setting:
        return PictureClassifier(setting)
    folder = _cached(USUAL)
    if folder is None:
        raise NoClassifier(
            f"no picture classifier is on this machine; to have one set ATELIER_CONTENT_MODEL, for instance to {USUAL}."
        )
    return PictureClassifier(folder)


def classifier_expected(setting: str | None) -> bool:
    """Whether `classifier_for` is likely to find one: a look at names alone, so that it costs nothing at a start."""
    if setting:
        return setting.strip().lower() != OFF
    return in_hub_cache(USUAL)


def levels_of(model: str, labels: Sequence[str]) -> dict[str, frozenset[str]]:
    """The labels that are unsafe and those that are mild. Raises ClassifierUnavailable for labels that are unknown."""
    plain = {label: re.sub(r"[^a-z]", "", label.lower()) for label in labels}
    unknown = [label for label, word in plain.items() if word not in SAFE | MILD | UNSAFE]
    unsafe = frozenset(label for label, word in plain.items() if word in UNSAFE)
    mild = frozenset(label for label, word in plain.items() if word in MILD)
    if unknown or not unsafe or len(unsafe | mild) == len(labels):
        raise ClassifierUnavailable(
            f"The image classifier {model!r} has the labels {', '.join(labels)}: which are unsafe is not known. "
            "Set ATELIER_CONTENT_MODEL to one with labels such as nsfw and normal, unsafe and safe, "
            "or neutral, low, medium and high."
        )
    return {"unsafe": unsafe, "mild": mild}


def _cached(model: str) -> Path | None:
    """The folder of the Hub's local cache that holds all that the model needs."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = [try_to_load_from_cache(model, name) for name in NEEDED]
    return Path(found[0]).parent if isinstance(found[0], str) and all(isinstance(path, str) for path in found) else None


def _loaded(model: str, device: str | None) -> Any:
    try:
        import torch
        from transformers import pipeline
        from transformers.utils import logging as quiet
    except ImportError as missing:
        raise ClassifierUnavailable(
            "Checking pictures needs the extra 'local': pip install 'atelier-mcp[local]'."
        ) from missing
    quiet.disable_progress_bar()
    with _told(model), nullcontext() if Path(model).is_dir() else local_files_without_hub():
        made: Any = pipeline(
            "image-classification",
            model=model,
            device=device or _best_device(torch),
            model_kwargs={"use_safetensors": True},  # a pickle from elsewhere could run anything
        )
        return made


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@contextmanager
def _told(model: str) -> Generator[None]:
    """Whatever a classifier breaks with, as one kind of error: what cannot be checked must not be shown."""
    try:
        yield
    except BadPicture as error:
        raise ClassifierUnavailable(f"What was drawn cannot be read: {error}.") from error
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise ClassifierUnavailable(
            f"The image classifier {model!r} cannot be used: {text} Set ATELIER_CONTENT_MODEL to a HuggingFace id or a "
            "folder of an image classifier with safetensors weights."
        ) from error


def _on_white(picture: bytes) -> Any:
    """The picture as RGB; transparent parts are laid on white, as a page shows them."""
    from PIL import Image

    opened = decode(picture)
    if "A" not in opened.getbands():
        return opened.convert("RGB")
    page = Image.new("RGBA", opened.size, "white")
    page.alpha_composite(opened.convert("RGBA"))
    return page.convert("RGB")
