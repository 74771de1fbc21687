"""A loaded open_clip model: pictures and texts in, unit vectors out. What they are alike by is in utils.validation."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from utils.hub import local_files_without_hub
from utils.torch_threads import threads_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]

PICTURES_AT_ONCE = 32
"""Pictures in one forward: 32 of 1024 x 1024 are 100 MB decoded, and a larger batch is no faster on a CPU."""
TEXTS_AT_ONCE = 64


class JudgesMissing(ImportError):
    """The packages that judge are not installed."""

    def __init__(self) -> None:
        super().__init__("Judging pictures needs the extra 'judges': pip install 'atelier-mcp[judges]'.")


class WeightsUnavailable(RuntimeError):
    """The CLIP weights cannot be had: unknown name, no network and not in the cache, or a damaged file."""


class ClipEncoder:
    """A loaded open_clip model with its preparation of pictures and its tokenizer.

    `scale` and `bias` make a cosine the model's own logit: exp(4.6) = 100 and none for a CLIP; a SigLIP, which was
    trained on single pairs, has both.
    """

    def __init__(self, model: str, pretrained: str, device: str | None) -> None:
        try:
            import open_clip
            import torch
        except ImportError as missing:
            raise JudgesMissing from missing
        self._torch: Any = torch
        self.device = device or _best_device(torch)
        with _weights_problems(model, pretrained), _quiet():
            name, options = _names(model)
            tag = pretrained if name == model else None
            with nullcontext() if tag is None else local_files_without_hub():
                made: Any = open_clip.create_model_and_transforms(
                    name, pretrained=tag, device=self.device, require_pretrained=True
                )
                self._tokenizer: Any = open_clip.get_tokenizer(name, **options)
        self._network: Any = made[0].eval()
        self._prepare: Any = made[2]
        self._parameters = sum(weight.numel() for weight in self._network.parameters())
        self.scale = float(self._network.logit_scale.detach().exp())
        bias: Any = getattr(self._network, "logit_bias", None)
        self.bias = 0.0 if bias is None else float(bias.detach())

    def embed_images(self, pictures: Iterable[Any]) -> Vectors:
        """Unit vectors of RGB pictures, a row each; the pictures are taken a few at a time."""
        torch = self._torch
        with threads_for(self._parameters), torch.inference_mode():
            rows = [
                self._network.encode_image(torch.stack(batch).to(self.device), normalize=True)
                for batch in _batches(map(self._prepare, pictures), PICTURES_AT_ONCE)
            ]
            return torch.cat(rows).float().cpu().numpy()

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of texts of any length, a row each.

        A text longer than the context is split at sentences, commas or words; its vector is the mean of its parts'
        unit vectors, weighted by their tokens, made unit again.
        """
        torch = self._torch
        parts = [split_text(text, self.length, self._tokenizer.context_length) for text in texts]
        with threads_for(self._parameters), torch.inference_mode():
            rows = [
                self._network.encode_text(self._tokenizer(batch).to(self.device), normalize=True)
                for batch in _batches((part for pieces in parts for part in pieces), TEXTS_AT_ONCE)
            ]
            vectors = iter(torch.cat(rows).split([len(pieces) for pieces in parts]))
            whole = [self._joined(next(vectors), pieces) for pieces in parts]
            return torch.stack(whole).float().cpu().numpy()

    def _joined(self, vectors: Any, pieces: Sequence[str]) -> Any:
        if len(pieces) == 1:
            return vectors[0]
        weights = self._torch.tensor([[float(self.length(piece))] for piece in pieces], device=self.device)
        return self._torch.nn.functional.normalize((vectors * weights).sum(0), dim=0)

    def length(self, text: str) -> int:
        """Tokens of the text with the encoder's own markers."""
        encode = getattr(self._tokenizer, "encode", None)
        return len(encode(text)) + 2 if encode else len(self._tokenizer.tokenizer(text)["input_ids"])

    def free(self) -> None:
        self._network = None
        if self.device == "cuda":
            self._torch.cuda.empty_cache()


def _batches(things: Iterable[Any], size: int) -> Generator[list[Any]]:
    """Lists of at most `size`, made as they are asked for."""
    batch: list[Any] = []
    for thing in things:
        batch.append(thing)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def split_text(text: str, length: Callable[[str], int], most: int) -> list[str]:
    """Parts of at most `most` tokens: split after sentences, else after commas, else at words, else inside one."""
    if length(text) <= most or len(text) < 2:
        return [text]
    for cut in (r"(?<=[.!?;\n])\s+", r"(?<=,)\s*", r"\s+"):
        pieces = [piece for piece in re.split(cut, text.strip()) if piece]
        if len(pieces) > 1:
            whole = [part for piece in pieces for part in split_text(piece, length, most)]
            return _packed(whole, length, most)
    half = len(text) // 2
    return split_text(text[:half], length, most) + split_text(text[half:], length, most)


def _packed(pieces: Sequence[str], length: Callable[[str], int], most: int) -> list[str]:
    """Neighbouring pieces joined as long as they fit."""
    parts = [pieces[0]]
    for piece in pieces[1:]:
        joined = f"{parts[-1]} {piece}"
        if length(joined) <= most:
            parts[-1] = joined
        else:
            parts.append(piece)
    return parts


def _names(model: str) -> tuple[str, dict[str, Any]]:
    """The name for open_clip (its own scheme for a local folder) and the folder's vocabulary where it has one."""
    folder = Path(model)
    if not folder.is_dir():
        return model, {}
    words = folder / "bpe.txt.gz"
    return f"local-dir:{folder.absolute()}", {"bpe_path": str(words)} if words.is_file() else {}


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@contextmanager
def _quiet() -> Generator[None]:
    """Keep what open_clip logs through the root logger off stderr: it is raised as well.

    The handler keeps the logging module from setting up one of its own at the first such line.
    """
    root, silent = logging.getLogger(), logging.NullHandler()
    root.addHandler(silent)
    root.addFilter(_from_others)
    try:
        yield
    finally:
        root.removeFilter(_from_others)
        root.removeHandler(silent)


def _from_others(record: logging.LogRecord) -> bool:
    return "open_clip" not in Path(record.pathname).parts


@contextmanager
def _weights_problems(model: str, pretrained: str) -> Generator[None]:
    from pickle import UnpicklingError

    from safetensors import SafetensorError

    damaged: tuple[type[Exception], ...] = (SafetensorError, UnpicklingError, EOFError)
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, *damaged) as error:
        remedy = f" {_delete_it()}" if isinstance(error, damaged) else ""
        raise WeightsUnavailable(
            f"The CLIP weights {model!r} ({pretrained}) cannot be loaded: {_first_line(error)}{remedy} They are "
            "fetched from the Hugging Face Hub once; connect for the first use, or set ATELIER_CLIP_MODEL and "
            "ATELIER_CLIP_WEIGHTS to an open_clip model in the cache, or ATELIER_CLIP_MODEL to a folder that holds "
            "an open_clip_config.json with its weights."
        ) from error


def _delete_it() -> str:
    from huggingface_hub import constants

    return f"The file is damaged: delete it (a downloaded one is in {constants.HF_HUB_CACHE}) and try again."


def _first_line(error: BaseException) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return text if text.endswith(".") else f"{text}."
