"""How pleasing people find a picture, by a predictor on its CLIP embedding in the form that LAION published.

The weights are not shipped. They belong to the one CLIP that they were trained on; another gives numbers without sense.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock
from typing import TYPE_CHECKING, Any

from utils.validation import ClipScorer, JudgesMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from utils.opening import Picture

LEAST, MOST = 1.0, 10.0
"""The scale of the people whose ratings LAION's predictors learned (AVA, SAC and LAION-Logos: 1 to 10)."""


class AestheticsUnavailable(RuntimeError):
    """The predictor cannot be used: no such file, no such network, or made for another CLIP."""


class AestheticPredictor:
    """Rates pictures from 1 to 10. Loads with its first use; safe from any thread.

    `weights`: a state dict as .safetensors or .pth of one linear layer (laion/aesthetic-predictor) or of several
    (improved-aesthetic-predictor), on unit embeddings of 512, 768 or 1024 numbers. `encoder`: the CLIP that it was
    trained on, ViT-L-14 of OpenAI for nearly all published ones.
    """

    def __init__(self, weights: Path, encoder: ClipScorer) -> None:
        self.weights = weights
        self.encoder = encoder
        self._lock = Lock()

    def ratings(self, images: Sequence[Picture]) -> list[float]:
        """1 to 10 for each picture. Raises AestheticsUnavailable, JudgesMissing, WeightsUnavailable, ValueError."""
        with self._lock:
            layers = self._layers
        values = self.encoder.embed_images(images)
        wanted = layers[0][0].shape[1]
        if values.shape[-1] != wanted:
            raise AestheticsUnavailable(
                f"{self.weights.name} rates embeddings of {wanted} numbers, but {self.encoder.model} gives "
                f"{values.shape[-1]}: set ATELIER_CLIP_MODEL and ATELIER_CLIP_WEIGHTS to the CLIP that it was trained "
                "on (768: ViT-L-14 of openai, 512: ViT-B-32 or ViT-B-16, 1024: ViT-H-14), or use another file."
            )
        for weight, bias, rectified in layers:
            values = values @ weight.T + bias
            values = values.clip(min=0.0) if rectified else values
        return [min(max(float(value), LEAST), MOST) for value in values[:, 0]]

    @cached_property
    def _layers(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32], bool]]:
        """(weight, bias, whether a ReLU follows) of each layer, in order.

        Only the numbers of the layers are in such a file. In the published networks dropout alone stands between two
        layers (their numbers are two apart) or ReLU and dropout (three apart); none stands after the last but one.
        """
        tensors = _read(self.weights)
        names = sorted((name for name in tensors if name.endswith("weight")), key=_place)
        layers: list[tuple[Any, Any, bool]] = []
        for name, following in zip(names, [*names[1:], None], strict=True):
            rectified = following is not None and _place(following) - _place(name) >= 3
            layers.append((tensors[name], tensors.get(f"{name.removesuffix('weight')}bias", 0.0), rectified))
        if not _fits([layer[0].shape for layer in layers]):
            shapes = ", ".join(f"{name} {tuple(tensors[name].shape)}" for name in names) or "no layer"
            raise AestheticsUnavailable(
                f"{self.weights.name} holds {shapes}: not the layers of an aesthetic predictor, which lead from one "
                "embedding to one number."
            )
        return layers


def _place(name: str) -> int:
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else 0


def _fits(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether each layer takes what the one before it gives, and the last gives one number."""
    if not shapes or any(len(shape) != 2 for shape in shapes) or shapes[-1][0] != 1:
        return False
    return all(after[1] == before[0] for before, after in pairwise(shapes))


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        import safetensors.torch
        import torch
    except ImportError as missing:
        raise JudgesMissing from missing
    library: Any = torch
    reader: Any = safetensors.torch
    broken = (OSError, RuntimeError, ValueError, KeyError, EOFError, AttributeError, TypeError, UnpicklingError)
    try:
        if path.suffix == ".safetensors":
            state: dict[str, Any] = reader.load_file(path)
        else:
            state = library.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.float().numpy() for name, tensor in state.items()}
    except (*broken, safetensors.SafetensorError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise AestheticsUnavailable(
            f"The aesthetic weights {path} cannot be read ({told}): give a state dict as .safetensors or .pth in "
            "ATELIER_AESTHETIC_WEIGHTS."
        ) from error
