"""Does a picture show what a text says? Raw CLIP cosine similarities, never rescaled, with a plain pass or fail.

Synchronous: a caller with an event loop puts these calls on a thread. The libraries load with the first score.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

from utils.emphasis import without_emphasis
from utils.hub import local_files_without_hub
from utils.images import decode
from utils.torch_threads import threads_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Picture: TypeAlias = str | Path | bytes | Image
    Scores: TypeAlias = NDArray[np.float32]

DEFAULT_MODEL = "ViT-B-32"
DEFAULT_WEIGHTS = "laion2b_s34b_b79k"
PASSED = "Image passed validation"
ASK_AGAIN_SECONDS = 60.0
"""Weights that could not be had are not asked for again sooner: a download that fails takes seconds."""
REMEMBERED_TEXTS = 256
"""Text embeddings kept: a retry asks for the same text again."""


class JudgesMissing(ImportError):
    """The packages that judge are not installed."""

    def __init__(self) -> None:
        super().__init__("Judging pictures needs the extra 'judges': pip install 'atelier-mcp[judges]'.")


class WeightsUnavailable(RuntimeError):
    """The CLIP weights cannot be had: unknown name, no network and not in the cache, or a damaged folder."""


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
    negative prompt and for what is no picture; JudgesMissing; WeightsUnavailable.
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
        self._encoder: _Encoder | None = None
        self._unavailable: WeightsUnavailable | None = None
        self._asked = 0.0
        self._remembered: OrderedDict[str, Any] = OrderedDict()
        self._lock = RLock()

    @property
    def loaded(self) -> bool:
        return self._encoder is not None

    def scores(self, images: Sequence[Picture], texts: Sequence[str]) -> Scores:
        """Cosine similarities, one row for each picture and one column for each text.

        Emphasis brackets are read over. A text longer than the encoder's context is split at sentences, commas or
        words; its embedding is the mean of its parts' unit embeddings, weighted by their tokens, made unit again.
        Raises JudgesMissing, WeightsUnavailable, and ValueError for what is no picture.
        """
        pictures = [_opened(image) for image in images]
        with self._lock:
            encoder = self._ready()
            columns = self._embed_texts(encoder, [without_emphasis(text) for text in texts])
            return encoder.similarities(pictures, columns)

    def unload(self) -> None:
        """Free the memory; the next score loads again."""
        with self._lock:
            encoder, self._encoder = self._encoder, None
            self._remembered.clear()
            if encoder is not None and encoder.device == "cuda":
                encoder.free()

    def _ready(self) -> _Encoder:
        if self._unavailable is not None and monotonic() - self._asked < ASK_AGAIN_SECONDS:
            raise self._unavailable
        if self._encoder is None:
            try:
                self._encoder = _Encoder(self.model, self.pretrained, self._device)
            except WeightsUnavailable as error:
                self._unavailable, self._asked = error, monotonic()
                raise
        return self._encoder

    def _embed_texts(self, encoder: _Encoder, texts: Sequence[str]) -> list[Any]:
        for text in texts:
            if text not in self._remembered:
                self._remembered[text] = encoder.embed_text(text)
            self._remembered.move_to_end(text)
        found = [self._remembered[text] for text in texts]
        while len(self._remembered) > REMEMBERED_TEXTS:
            self._remembered.popitem(last=False)
        return found


class _Encoder:
    """A loaded open_clip model with its preparation of pictures and its tokenizer."""

    def __init__(self, model: str, pretrained: str, device: str | None) -> None:
        try:
            import open_clip
            import torch
        except ImportError as missing:
            raise JudgesMissing from missing
        self._torch: Any = torch
        self.device = device or _best_device(torch)
        with _weights_problems(model, pretrained):
            name, options = _names(model)
            tag = pretrained if name == model else None
            with nullcontext() if tag is None else local_files_without_hub():
                made: Any = open_clip.create_model_and_transforms(name, pretrained=tag, device=self.device)
                self._tokenizer: Any = open_clip.get_tokenizer(name, **options)
        self._network: Any = made[0].eval()
        self._prepare: Any = made[2]
        self._parameters = sum(weight.numel() for weight in self._network.parameters())

    def similarities(self, pictures: Sequence[Any], columns: Sequence[Any]) -> Scores:
        """Rows of pictures, columns of unit text embeddings."""
        torch = self._torch
        with threads_for(self._parameters), torch.inference_mode():
            if not pictures or not columns:
                return torch.zeros(len(pictures), len(columns)).numpy()
            batch = torch.stack([self._prepare(picture) for picture in pictures]).to(self.device)
            rows = self._network.encode_image(batch, normalize=True)
            return (rows @ torch.stack(list(columns)).T).float().cpu().numpy()

    def embed_text(self, text: str) -> Any:
        """The unit embedding of a text of any length."""
        torch = self._torch
        parts = split_text(text, self.length, self._tokenizer.context_length)
        with threads_for(self._parameters), torch.inference_mode():
            vectors = self._network.encode_text(self._tokenizer(parts).to(self.device), normalize=True)
            weights = torch.tensor([[float(self.length(part))] for part in parts], device=self.device)
            return torch.nn.functional.normalize((vectors * weights).sum(0), dim=0) if len(parts) > 1 else vectors[0]

    def length(self, text: str) -> int:
        """Tokens of the text with the encoder's own markers."""
        encode = getattr(self._tokenizer, "encode", None)
        return len(encode(text)) + 2 if encode else len(self._tokenizer.tokenizer(text)["input_ids"])

    def free(self) -> None:
        self._network = None
        self._torch.cuda.empty_cache()


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
def _weights_problems(model: str, pretrained: str) -> Generator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise WeightsUnavailable(
            f"The CLIP weights {model!r} ({pretrained}) cannot be loaded: {_first_line(error)} They are fetched "
            "from the Hugging Face Hub once; connect for the first use, or set ATELIER_CLIP_MODEL and "
            "ATELIER_CLIP_WEIGHTS to an open_clip model in the cache, or ATELIER_CLIP_MODEL to a folder that holds an "
            "open_clip_config.json."
        ) from error


def _first_line(error: BaseException) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return text if text.endswith(".") else f"{text}."


def _opened(image: Picture) -> Any:
    """The picture as RGB; transparent parts are laid on white, as a page shows them."""
    from PIL import Image

    if isinstance(image, (str, Path)):
        image = Path(image).read_bytes()
    opened = decode(image) if isinstance(image, bytes) else image
    if "A" not in opened.getbands():
        return opened.convert("RGB")
    page = Image.new("RGBA", opened.size, "white")
    page.alpha_composite(opened.convert("RGBA"))
    return page.convert("RGB")
