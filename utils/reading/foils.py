"""What else could this picture be? A prompt's cosine beside those of prompts that differ in one fact.

A raw cosine is good or bad only for its own weights; that a picture is more like "three red stars" than like "two red
stars" holds for all. CLIP reads a text nearly as a bag of words, so how things stand to another is told, not decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from utils.reading.atoms import Atom, Swap, atoms_of, general_foils, gist, swaps_of

BEATEN_BY = 2.0
"""Nats by which a foil must beat the prompt for the picture to be wrong: the foil is then e^2 = 7 times as likely.

Measured with the demo's weights on 1000 pictures of its world: with right captions no foil wins by more than 1.7. At
2.0 no right picture is lost and 3 of the 24 wrong captions that pass the cosine's threshold are found out; at 0 it is 5
of 24, for 17 right pictures lost."""
FOILS_ALONE = 4
"""Foils of an atom that is compared by its own text."""
MOST_ALONE = 4
"""Atoms compared by their own text: each costs FOILS_ALONE + 1 texts."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """How a picture's likeness to its prompt compares to that of the foils. Cosines are of the model's own scale."""

    prompt: float
    """Cosine with the gist of the prompt."""
    rival: Swap | None
    """The prompt with one fact exchanged that the picture is most like; None when no fact was understood."""
    best: float
    """Cosine with that rival, or with the best of the general foils where there is none."""
    rank: int
    """Place of the prompt among all foils, from 1."""
    share: float
    """Softmax of the model's logits over prompt and foils: the prompt's part, 0 to 1."""
    scale: float
    atoms: dict[Atom, float] = field(default_factory=dict[Atom, float])
    """For each fact the prompt's part against the foils with that fact exchanged, 0 to 1; 0.5 and more: it is met."""

    @property
    def margin(self) -> float:
        """prompt - best."""
        return self.prompt - self.best

    @property
    def nats(self) -> float:
        """The margin in the model's logits, comparable between models."""
        return self.margin * self.scale

    @property
    def beaten(self) -> bool:
        """Whether the picture shows the rival rather than the prompt."""
        return self.rival is not None and self.nats < -BEATEN_BY


@dataclass(frozen=True)
class Foils:
    """A prompt's foils, and the texts to score for them: each picture's cosines with `texts` go into `read`."""

    swaps: tuple[Swap, ...]
    alone: tuple[Atom, ...]
    """Atoms without a swap of their own."""
    general: tuple[str, ...]
    texts: tuple[str, ...]
    """The gist first."""

    def read(self, cosines: Sequence[float], scale: float) -> Contrast:
        """`scale` makes a cosine a logit (ClipScorer.scale)."""
        said = {text: float(cosine) for text, cosine in zip(self.texts, cosines, strict=True)}
        prompt = said[self.texts[0]]
        rivals = {swap: said[swap.text] for swap in self.swaps}
        general = [said[text] for text in self.general]
        rival = max(rivals, key=lambda swap: rivals[swap], default=None)
        foils = [*rivals.values(), *general]
        return Contrast(
            prompt=prompt,
            rival=rival,
            best=max(general) if rival is None else rivals[rival],
            rank=1 + sum(foil > prompt for foil in foils),
            share=share(prompt, foils, scale),
            scale=scale,
            atoms=self._atoms(prompt, said, scale),
        )

    def _atoms(self, prompt: float, said: dict[str, float], scale: float) -> dict[Atom, float]:
        grouped: dict[Atom, list[float]] = {}
        for swap in self.swaps:
            grouped.setdefault(swap.atom, []).append(said[swap.text])
        found = {atom: share(prompt, foils, scale) for atom, foils in grouped.items()}
        for atom in self.alone:
            found[atom] = share(said[atom.text], [said[foil] for foil in atom.foils[:FOILS_ALONE]], scale)
        return found


@lru_cache(maxsize=64)
def foils(prompt: str) -> Foils:
    """The foils of a prompt. The first call takes a second (see utils.reading.atoms)."""
    swaps = swaps_of(prompt)
    exchanged = {swap.atom for swap in swaps}
    alone = tuple(atom for atom in atoms_of(prompt) if atom.foils and atom not in exchanged)[:MOST_ALONE]
    general = general_foils(prompt)
    own = [text for atom in alone for text in (atom.text, *atom.foils[:FOILS_ALONE])]
    texts = (gist(prompt), *(swap.text for swap in swaps), *general, *own)
    return Foils(swaps, alone, general, tuple(dict.fromkeys(texts)))


def share(prompt: float, foils: Sequence[float], scale: float) -> float:
    """exp(scale * prompt) / the sum of the same over prompt and foils."""
    return 1 / (1 + sum(math.exp(min(scale * (foil - prompt), 700.0)) for foil in foils))
