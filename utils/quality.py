"""How well made is a picture? Technical faults from its pixels, beauty and fit to the prompt where models can be had.

It says nothing of what the picture shows. Synchronous: a caller with an event loop puts these calls on a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import log
from typing import TYPE_CHECKING, Any

from utils.aesthetics import AestheticPredictor, AestheticsUnavailable
from utils.opening import as_picture, opened
from utils.validation import ClipScorer, JudgesMissing, WeightsUnavailable, shared_scorer

if TYPE_CHECKING:
    from PIL.Image import Image

    from utils.opening import Picture

BEST = 10.0
GRADES = (("A", 8.5), ("B", 7.0), ("C", 5.5), ("D", 4.0), ("F", 0.0))
"""Each grade with the least composite that it takes."""
WORST_COUNTS = 0.7
"""Share of the worst term in the technical score: one fault spoils a picture that is faultless else."""
WEIGHTS: Mapping[str, float] = {"technical": 0.5, "aesthetic": 0.25, "adherence": 0.25}
UNRELATED, PERFECT = 0.10, 0.40
"""Cosines of ViT-B-32 on LAION-2B for an unrelated text and for a very good match; 0.25, its passing cosine, is 5."""
BLANK = 8.0
"""Levels: a picture whose lightest and darkest pixels differ by less shows nothing (black, grey, one colour)."""
STATIC_NOISE, STATIC_CORRELATION = 20.0, 0.25
"""Noise of so many levels whose neighbours have nothing to do with each other is no picture. The finest texture of
scikit-image's sample pictures, a lawn, has noise of 8 and a correlation of 0.7."""


@dataclass(frozen=True, kw_only=True)
class QualityScore:
    """All scores from 0 (ruined) to 10 (without a fault); None where it could not be told, and `notes` says why."""

    sharpness: float
    """Is the subject sharp? From the blur effect of Crete et al. (utils.pixels.blur): 10 to 0.40, 0 from 0.90."""
    exposure: float
    """Neither too dark, nor blown out, nor washed out. The worst of: lightest pixel (10 from 0.6, 0 to 0.06, by ratio),
    share of blown content (10 to 0.1, 0 from 0.7), width of the tones (10 from 0.3, 0 to 0.05)."""
    noise: float
    """Noise in luma and in colour, the worse of them (Immerkaer): 10 to 2.5 levels, 0 from 32, by ratio. A fine texture
    without any calm spot, such as a lawn from edge to edge, is taken for noise."""
    artefacts: float
    """What compression and broken decoding leave. The worst of: seams of 8-pixel blocks (10 to 0.4 levels, 0 from 6), a
    mosaic (10 to half of all change in the seams, 0 from 0.9), a lattice (10 to 0.5 levels, 0 from 8), and coarse
    levels (10 to a gap of 2.5 levels, 0 from 40, by ratio), where they are not those of a flat drawing. Of any size and
    place: squares of one colour (10 to 0.55 of all change on a lattice beyond chance, 0 from 0.9; of 560 right drawings
    of the demo's world the highest has 0.51, a chessboard 0.59, 40 made of squares of 8 to 13 pixels at least 0.99).
    On JPEG's own grid: detail that its quantiser took (10 from 0.6 left, 0 to 0.05, by ratio; right drawings have at
    least 0.63, photos of quality 25 0.43, flat drawings of quality 1 to 3 a median of 0.03)."""
    technical: float
    """0.7 of the worst of the four and 0.3 of their mean."""
    aesthetic: float | None
    """The predictor's rating (utils.aesthetics), 1 to 10; most pictures have 4 to 7."""
    adherence: float | None
    """Cosine of picture and prompt: 0 to 0.10, 5 at 0.25, 10 from 0.40, straight between."""
    composite: float
    """The mean of technical (weight 2), aesthetic and adherence (1 each), as far as they are known, and never above
    technical: beauty does not make up for a fault. 0 for a broken picture."""
    grade: str
    """A from 8.5, B from 7, C from 5.5, D from 4, F below."""
    broken: str | None = None
    """Why it is no picture at all: "blank" or "static"."""
    measures: dict[str, float] = field(default_factory=dict[str, float])
    """The raw numbers, as utils.pixels names them."""
    notes: tuple[str, ...] = ()

    @property
    def terms(self) -> dict[str, float]:
        """The four technical terms by name."""
        return {name: getattr(self, name) for name in ("sharpness", "exposure", "noise", "artefacts")}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def score_image(
    image: Picture,
    prompt: str | None = None,
    *,
    scorer: ClipScorer | None = None,
    aesthetics: AestheticPredictor | None = None,
) -> QualityScore:
    """Score one picture: a path, the bytes of a PNG, JPEG or WebP, or a Pillow picture. Transparency lies on white.

    With a prompt, adherence is measured by `scorer` (None: the process's own ViT-B-32). Raises ValueError for what is
    no picture, OSError for a path that cannot be read, JudgesMissing without scikit-image.
    """
    image = as_picture(image)
    pixels = opened(image)
    notes: list[str] = []
    adherence = _adherence(image, prompt, scorer, notes) if prompt and prompt.strip() else None
    rating = _rating(image, aesthetics, notes) if aesthetics else None
    return composed(_measured(pixels), aesthetic=rating, adherence=adherence, notes=tuple(notes))


def composed(
    measures: Mapping[str, float],
    *,
    aesthetic: float | None = None,
    adherence: float | None = None,
    notes: tuple[str, ...] = (),
) -> QualityScore:
    """The scores that follow from measures already taken."""
    terms = {
        "sharpness": _falling(measures["blur"], 0.40, 0.90),
        "exposure": _exposure(measures),
        "noise": _by_ratio(max(measures["luma_noise"], measures["colour_noise"]), 2.5, 32.0),
        "artefacts": _artefacts(measures),
    }
    broken = _broken(measures)
    technical = WORST_COUNTS * min(terms.values()) + (1 - WORST_COUNTS) * sum(terms.values()) / len(terms)
    known = {"technical": technical, "aesthetic": aesthetic, "adherence": adherence}
    weighed = [(WEIGHTS[name], score) for name, score in known.items() if score is not None]
    mean = sum(weight * score for weight, score in weighed) / sum(weight for weight, _ in weighed)
    composite = 0.0 if broken else min(technical, mean)
    return QualityScore(
        **{name: round(score, 2) for name, score in terms.items()},
        technical=0.0 if broken else round(technical, 2),
        aesthetic=None if aesthetic is None else round(aesthetic, 2),
        adherence=None if adherence is None else round(adherence, 2),
        composite=round(composite, 2),
        grade=next(grade for grade, least in GRADES if composite >= least),
        broken=broken,
        measures={name: round(value, 4) for name, value in measures.items()},
        notes=notes,
    )


def _measured(image: Image) -> dict[str, float]:
    try:
        from utils.pixels import Patches, blur, exposure, spread

        patches = Patches(image)
        noise = patches.noise()
        return {
            "blur": blur(image),
            **exposure(image, max(noise.values())),
            "spread": spread(image),
            **noise,
            "correlation": patches.correlation(),
            **patches.grid(),
            "tiles": patches.tiles(),
            "detail": patches.detail(),
            **patches.steps(),
        }
    except ImportError as missing:
        raise JudgesMissing from missing


def _exposure(measures: Mapping[str, float]) -> float:
    dark = BEST - _by_ratio(measures["lightest"], 0.06, 0.6)
    return min(dark, _falling(measures["blown"], 0.1, 0.7), BEST - _falling(measures["tones"], 0.05, 0.3))


def _artefacts(measures: Mapping[str, float]) -> float:
    seamed = _falling(measures["seams"], 0.4, 6.0)
    mosaic = _falling(measures["in_seams"], 0.5, 0.9) if measures["seams"] > 0.4 else BEST
    lattice = _falling(measures["lattice"], 0.5, 8.0)
    tiled = _falling(measures["tiles"], 0.55, 0.9)
    squeezed = BEST - _by_ratio(measures["detail"], 0.05, 0.6)
    drawn = _falling(measures["contours"], 0.03, 0.06)
    coarse = max(_by_ratio(measures["level_gap"], 2.5, 40.0), drawn)
    return min(seamed, mosaic, lattice, tiled, squeezed, coarse)


def _broken(measures: Mapping[str, float]) -> str | None:
    if measures["spread"] < BLANK:
        return "blank"
    noise = max(measures["luma_noise"], measures["colour_noise"])
    return "static" if noise > STATIC_NOISE and measures["correlation"] < STATIC_CORRELATION else None


def _falling(value: float, best: float, worst: float) -> float:
    """10 up to `best`, 0 from `worst`, straight between."""
    return BEST * min(max((worst - value) / (worst - best), 0.0), 1.0)


def _by_ratio(value: float, best: float, worst: float) -> float:
    """10 up to `best`, 0 from `worst`; between them every doubling costs the same."""
    return _falling(log(max(value, best)), log(best), log(worst))


def _adherence(image: Picture, prompt: str, scorer: ClipScorer | None, notes: list[str]) -> float | None:
    try:
        cosine = float((scorer or shared_scorer()).scores([image], [prompt])[0][0])
    except (JudgesMissing, WeightsUnavailable) as missing:
        notes.append(f"Adherence was not measured: {missing}")
        return None
    return BEST - _falling(cosine, UNRELATED, PERFECT)


def _rating(image: Picture, predictor: AestheticPredictor, notes: list[str]) -> float | None:
    try:
        return predictor.ratings([image])[0]
    except (AestheticsUnavailable, JudgesMissing, WeightsUnavailable) as missing:
        notes.append(f"Beauty was not rated: {missing}")
        return None
