"""What of a recipe the content rules look at: every text that reaches an encoder, and what uploaded files say.

The rules themselves are in utils.content_validator. Whether adult content is allowed is said once, where the rules are
made, from the owner's configuration; no recipe and no argument can change it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from utils.content_validator import UNREAD, check_texts, embedded_texts, shows_minor, shows_person
from workflows.errors import Refused
from workflows.types import MAX_PROMPT, WORDLESS, FamilyProfile, ModelFacts, Recipe

__all__ = ["ContentRules", "edits", "embedded_texts"]

log = logging.getLogger("atelier.content")

UNREAL = "demo"
"""The family that draws coloured shapes alone: its words are kept for what it can read."""
A_MINOR = "a child"
SOMEBODY_REAL = "a celebrity"
"""What stands in the rules' texts for what a file's facts say of whom it shows."""
SAFE_WORDS = ("nsfw", "nude")
SAFE_WORDS_WITH_MINORS = (*SAFE_WORDS, "suggestive")


@dataclass(frozen=True)
class ContentRules:
    """What may be drawn here. `adult`: whether the owner of the server allows adult content."""

    adult: bool = False

    def check(self, recipe: Recipe, uploads: Sequence[str] = ()) -> None:
        """Raise Refused when the recipe may not be drawn. Takes milliseconds for the longest texts: call on a thread.

        `uploads`: what the input pictures say of how they were made (`embedded_texts`). Every recipe that is drawn has
        to pass, so a reworded one too. The log gets the rule's name and nothing of the text.
        """
        self._refuse(recipe, (), uploads)

    def check_lora(self, recipe: Recipe, facts: ModelFacts) -> None:
        """Raise Refused when a LoRA of these facts may not be used for the recipe. Call on a thread, as `check`.

        Whom it was made of is in the picture, though no word of the prompt says so. Its tags are those of its training
        pictures: one of them alone does not make it adult, but none may be with a minor.
        """
        minor = facts.minor or shows_minor(facts.title, *facts.tags)
        marks = [*([A_MINOR] if minor else []), *([SOMEBODY_REAL] if facts.real_person else [])]
        tags = facts.tags if minor or self.strict(recipe) else ()
        self._refuse(recipe, [facts.title, *tags, *marks], ())

    def _refuse(self, recipe: Recipe, more: Sequence[str], uploads: Sequence[str]) -> None:
        found = check_texts(
            recipe.prompt,
            recipe.negative,
            [*_of_loras(recipe), *more],
            recipe.cfg,
            self.adult,
            sources=uploads,
            names=[recipe.model] if recipe.model else [],
            edits=edits(recipe),
            masked=recipe.mask_text or "",
        )
        if found is not None:
            log.warning("refused by rule %s", found.rule)
            raise Refused(found.text, found.rule)

    def strict(self, recipe: Recipe) -> bool:
        """Whether the recipe speaks of a minor, so that its picture is looked at more closely."""
        return shows_minor(recipe.prompt, recipe.mask_text or "", *_of_loras(recipe))

    def safeguarded(self, recipe: Recipe, profile: FamilyProfile) -> Recipe:
        """The recipe with words against nudity in its negative prompt, where the family reads one; the prompt stays.

        With a minor always; with other people where adult content is off. Not where guidance is so low that the
        negative prompt is passed over, or is even what is drawn; not for the demo model.
        """
        if profile.name == UNREAL or not profile.negatives or recipe.task in WORDLESS:
            return recipe
        if (profile.cfg if recipe.cfg is None else recipe.cfg) <= UNREAD:
            return recipe
        missing = [word for word in self._safe_words(recipe) if word not in _words(recipe.negative)]
        negative = ", ".join([*missing, recipe.negative] if recipe.negative else missing)
        return recipe.but(negative=negative[:MAX_PROMPT])  # the end of a full field gives way

    def _safe_words(self, recipe: Recipe) -> Sequence[str]:
        if self.strict(recipe):
            return SAFE_WORDS_WITH_MINORS
        return SAFE_WORDS if not self.adult and shows_person(recipe.prompt, *_of_loras(recipe)) else ()


def edits(recipe: Recipe) -> bool:
    """Whether the picture is made from one that was given, so that somebody in it would be changed by the words."""
    return (recipe.task not in {"txt2img", "txt2vid"} and recipe.task not in WORDLESS) or bool(recipe.references)


def _of_loras(recipe: Recipe) -> list[str]:
    """Names, and the words that are drawn with them."""
    return [text for lora in recipe.loras for text in (lora.name, *lora.triggers)]


def _words(negative: str) -> set[str]:
    """The parts of a negative prompt, without brackets and weights."""
    return {part.strip(" ()[]").partition(":")[0] for part in negative.lower().split(",")}
