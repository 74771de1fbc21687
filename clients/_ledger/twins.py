"""Near duplicates among hashes of 64 bits, without comparing each with each.

Two hashes that differ in at most 6 bits are equal in two of their eight bytes at least. So they stand together in one
of 28 lists, each sorted by another pair of bytes, and only those that stand together are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

from workflows.errors import ExtraMissing

FEW = 2_000
"""Hashes that are simply compared with each other."""
SURE = 6
"""Bits up to which no twin is missed; of more than FEW hashes that differ in more, some are."""
MOST_COMPARED = 500_000_000
"""Comparisons after which the search ends, some seconds: that many stand together only among empty pictures."""
MOST_PAIRS = 3_000_000
BYTES = 8
_UNSIGNED = 2**64 - 1


def groups(hashes: Iterable[int], distance: int, limit: int) -> list[list[int]]:
    """Groups of places in `hashes`: a first one, and those after it that differ from it in at most `distance` bits.

    In the order of their first ones; each place is in one group at most, each group has two or more. Raises
    ExtraMissing for many different hashes without numpy. Hashes may be signed or not.
    """
    places: dict[int, list[int]] = defaultdict(list)
    for place, one in enumerate(hashes):
        places[one & _UNSIGNED].append(place)
    different = list(places)
    near: dict[int, list[int]] = defaultdict(list)
    for first, second in _pairs(different, distance):
        near[first].append(second)
    taken: set[int] = set()
    found: list[list[int]] = []
    for number, one in enumerate(different):
        if len(found) == limit:
            break
        if number in taken or (number not in near and len(places[one]) == 1):
            continue
        others = [other for other in near[number] if other not in taken]
        taken.update(others)
        members = sorted(place for other in (number, *others) for place in places[different[other]])
        if len(members) > 1:
            found.append(members)
    return found


def _pairs(hashes: Sequence[int], distance: int) -> Iterable[tuple[int, int]]:
    """Places (first, later) of different hashes that are near."""
    if len(hashes) <= FEW:
        numbered = combinations(enumerate(hashes), 2)
        return ((i, j) for (i, one), (j, other) in numbered if (one ^ other).bit_count() <= distance)
    try:
        import numpy as np
    except ImportError as error:  # a light installation
        raise ExtraMissing("judges", f"Finding duplicates among more than {FEW} pictures") from error

    found: list[Any] = []
    left = MOST_COMPARED
    for pairs, compared in _neighbours(np.array(hashes, np.uint64), distance):
        found.append(pairs)
        left -= compared
        if left < 0 or sum(map(len, found)) > MOST_PAIRS:
            break
    whole = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
    return zip((whole // len(hashes)).tolist(), (whole % len(hashes)).tolist(), strict=True)


def _neighbours(hashes: Any, distance: int) -> Iterator[tuple[Any, int]]:
    """Pairs, as first * number of hashes + later, and how many comparisons they took."""
    import numpy as np

    split = hashes.view(np.uint8).reshape(-1, BYTES)
    for one, other in combinations(range(BYTES), 2):
        keys = split[:, one].astype(np.uint16) << 8 | split[:, other]
        order = np.argsort(keys, kind="stable")
        keys, told = keys[order], hashes[order]
        at, step = np.arange(len(keys)), 0
        while at.size:
            step += 1
            at = at[: np.searchsorted(at, len(keys) - step)]
            at = at[keys[at] == keys[at + step]]
            near = at[np.bitwise_count(told[at] ^ told[at + step]) <= distance]
            # Equal keys keep their order, so the first of a pair is the newer one.
            yield order[near] * len(keys) + order[near + step], at.size
