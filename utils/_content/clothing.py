"""Whether a negative prompt leaves somebody with nothing to wear, or only means another choice of clothes.

"jeans, trousers" for a girl in a dress is a choice. Ruled out is being dressed: by a word for clothing as such; by
every piece that could cover half of a body while the prompt names nothing else for it; by underwear where nothing
shows that bareness is not wanted. With a minor it is a choice only as one piece, or one kind of pieces under something
that covers, and nowhere that little is worn anyway.
"""

from __future__ import annotations

from utils._content.lexicon import lexicon
from utils._content.signals import Signals

CARE = ("explicit", "nude", "suggestive")
"""Signs in a negative prompt that it is bareness that is not wanted."""
FEW = 2
"""Pieces of underwear that nobody rules out just to get others."""


def undressing(positive: Signals, against: Signals, minor: bool) -> bool:
    """Whether what is ruled out leaves somebody in the picture undressed."""
    if against.has("only clothing"):
        return True
    if not against.bare:
        return False
    kinds = {kind for kind in ("upper", "lower", "whole") if against.bare & lexicon().wear[kind]}
    if _without_underwear(against, bool(kinds)):
        return True
    return _bares_minor(positive, against, kinds) if minor else _bares(positive, against, kinds)


def _without_underwear(against: Signals, outer: bool) -> bool:
    under = against.bare & lexicon().wear["under"]
    named = against.parts.get("only underthing", set[int]())
    careful = any(against.parts.get(kind, set[int]()) - named for kind in CARE)
    return len(under) >= (1 if outer else FEW) and not careful


def _bares(positive: Signals, against: Signals, kinds: set[str]) -> bool:
    """Half of a body is left without anything that could cover it, or several pieces are gone where little is worn."""
    if kinds == {"upper", "lower", "whole"} or (len(kinds) > 1 and against.has("only underthing")):
        return True
    if len(against.bare - lexicon().sets["underthing"]) > 1 and _worn(positive, "secluded"):
        return not _left(positive, against, "cover")
    half = kinds - {"whole"}
    return "whole" in kinds and bool(half) and not _left(positive, against, "cover", *half)


def _bares_minor(positive: Signals, against: Signals, kinds: set[str]) -> bool:
    wear, pieces = lexicon().wear, against.bare - lexicon().sets["underthing"]
    if not pieces:
        return False
    if "whole" in kinds or len(kinds) > 1 or against.has("only underthing"):
        return True
    if _worn(positive, "secluded", "seaside") or positive.has("intimate", "skin", "undress", "removal"):
        return True
    if kinds and "uniform" in pieces:
        return not _left(positive, against, "cover")
    plain = not positive.has("told minor") and not _worn(positive, "older")
    one_choice = len(pieces) == 1 and (plain or pieces <= wear["choice"])
    return not (one_choice or _left(positive, against, "cover"))


def _worn(positive: Signals, *kinds: str) -> bool:
    return any(positive.wear & lexicon().wear[kind] for kind in kinds)


def _left(positive: Signals, against: Signals, *kinds: str) -> bool:
    """Whether the prompt names something of these kinds to wear that is not ruled out."""
    left = positive.wear - against.bare
    denied = positive.has("undress", "removal") or _worn(positive, "denied")
    return not denied and any(left & lexicon().wear[kind] for kind in kinds)
