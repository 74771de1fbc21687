"""From the arguments that every face takes, by their contract names, to a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.types import Acceptance, Recipe

ANY_SEED = -1
OWN_MODEL = ("auto", "", None)
ACCEPTANCE = ("auto_retry", "retry_limit", "positive_threshold", "checks")


def recipe_from(given: Mapping[str, Any], **fixed: Any) -> Recipe:
    """The recipe that these arguments ask for; what is neither a recipe's nor an acceptance's is passed over.

    `seed` -1 and `model` "auto" mean "choose for me", as None does for the rest. Raises BadRecipe that names the
    argument.
    """
    wanted = {name: given[name] for name in ACCEPTANCE if given.get(name) is not None}
    same = {name: value for name, value in given.items() if name in Recipe.model_fields}
    same |= {
        "negative": given.get("negative_prompt", ""),
        "model": None if given.get("model") in OWN_MODEL else given["model"],
        "seed": None if given.get("seed") == ANY_SEED else given.get("seed"),
        "acceptance": Acceptance.checked(validate=given.get("validate", True), **wanted),
    }
    return Recipe.checked(**same | fixed)
