"""Everything there is to pick, and how it is found by what people call it. It reads no file: see Presets for that."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain
from typing import TypeVar, get_args

from workflows.errors import NotFound, nearest
from workflows.presets.tree import placed, placed_option
from workflows.types import ArtistNode, CategoryNode, FlatKind, OptionGroup, Pack, Preset, TypeNode

KINDS: tuple[FlatKind, ...] = get_args(FlatKind)
"""In the order in which a name alone is looked up."""
MOST_REFERENCE = 300
"""Characters of a reference that are read."""
NONE = frozenset({"", "none"})
"""What means that nothing was picked."""
ARTIST_LEVELS = 3
"""category/type/artist."""
OPTION_LEVELS = 5
"""category/type/artist/group/option."""
_BETWEEN = re.compile(r"[\W_]+")

T = TypeVar("T")
Node = TypeVar("Node", CategoryNode, TypeNode, ArtistNode)


@lru_cache(maxsize=8192)
def folded(name: str) -> str:
    """A name as it is compared: without case, accents and punctuation, in British spelling; "" for signs alone."""
    letters = unicodedata.normalize("NFKD", name[:MOST_REFERENCE].casefold()).replace("ł", "l")
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _BETWEEN.sub("-", bare).strip("-").replace("color", "colour").replace("gray", "grey")


@dataclass(frozen=True)
class Shelf:
    """What can be picked now. `faults`: files and presets that are broken or left out, each with what is wrong."""

    flat: Mapping[FlatKind, tuple[Preset, ...]] = field(default_factory=dict[FlatKind, tuple[Preset, ...]])
    categories: tuple[CategoryNode, ...] = ()
    packs: tuple[Pack, ...] = ()
    universal: tuple[OptionGroup, ...] = ()
    faults: tuple[str, ...] = ()

    def find(self, reference: str) -> tuple[Preset, ...]:
        """The presets that a reference means: of a path all its levels, the category first; () for "" and "None".

        A reference is a name or id ("Oil Painting", "oil-painting"), a path ("style:oil-painting", "mood:epic",
        "photography/portrait/irving-penn/lens/85mm") or a pack ("pack:leibovitz-portrait"); case, accents and
        punctuation do not count. A name that several have means the style, then the artist, composition, lighting,
        universal option, pack, category, and then the type or artist of a category if only one is called so,
        or an artist by the last name.

        Raises NotFound; its `near` are references that would be found.
        """
        found = self._found(reference)
        if found is None:
            raise self._missing(reference.strip()[:MOST_REFERENCE])
        return found

    def pick(self, references: Iterable[str]) -> tuple[Preset, ...]:
        """What all these references mean, each preset once, in their order. Raises NotFound."""
        return _once(chain.from_iterable(self.find(reference) for reference in references))

    def has(self, reference: str) -> bool:
        """Whether `find` would find it."""
        return self._found(reference) is not None

    def category(self, category_id: str) -> CategoryNode:
        """Raises NotFound."""
        return _one_of("category", category_id, self.categories)

    def type(self, category_id: str, type_id: str) -> TypeNode:
        """Raises NotFound."""
        category = self.category(category_id)
        return _one_of(f"type of {category.preset.name}", type_id, category.types)

    def artist(self, category_id: str, type_id: str, artist_id: str) -> ArtistNode:
        """With its options placed below it. Raises NotFound."""
        above = self.type(category_id, type_id)
        return placed(_one_of(f"artist of {above.preset.path}", artist_id, above.artists))

    def references(self) -> Sequence[str]:
        """Every path that `find` takes: flat presets, packs, universal options, then the categories' levels, and the
        options of artists last."""
        return self._references

    def matching(self, words: str, most: int = 10) -> tuple[Preset, ...]:
        """Presets whose names stand in the words ("a castle at golden hour"), or begin as the words do ("gold"): the
        longest that is said whole first."""
        said = folded(words)
        ranked = sorted(
            (rank, number) for number, (name, _) in enumerate(self._named) if (rank := _rank(name, said)) is not None
        )
        return _once(self._named[number][1] for _, number in ranked)[:most]

    def _found(self, reference: str, packs: bool = True) -> tuple[Preset, ...] | None:
        text = reference.strip()[:MOST_REFERENCE]
        if text.casefold() in NONE:
            return ()
        found = self._qualified(text, packs) if ":" in text else None
        if found is None and "/" in text:
            found = self._walked(text)
        return self._alone(text, packs) if found is None else found

    def _qualified(self, text: str, packs: bool) -> tuple[Preset, ...] | None:
        """kind:name or group:option."""
        head, _, tail = text.partition(":")
        kind = head.strip().lower()
        if kind == "category":
            return self._walked(tail)
        if kind == "pack":
            return self._packed(tail) if packs else None
        tables = (_get(self._by_kind, head), _get(self._groups, head))
        found = next((one for table in tables if table and (one := _get(table, tail))), None)
        return (found,) if found else None

    def _walked(self, path: str) -> tuple[Preset, ...] | None:
        """The presets of all levels of category/type/artist/group/option, or of as many as there are."""
        steps = path.split("/")
        category = _get(_by_name(self.categories), steps[0])
        type_ = _get(_by_name(category.types), steps[1]) if category and steps[1:] else None
        artist = _get(_by_name(type_.artists), steps[2]) if type_ and steps[2:] else None
        nodes = tuple(node.preset for node in (category, type_, artist) if node)
        if not nodes or len(nodes) == len(steps):
            return nodes or None
        if artist and len(steps) == OPTION_LEVELS:
            option = _placed_option(artist, steps[3], steps[4])
        else:
            above = "/".join(node.id for node in nodes)
            option = self._shared.get(f"{above}/{'/'.join(steps[len(nodes) :])}".lower())
        return (*nodes, option) if option else None

    def _alone(self, name: str, packs: bool) -> tuple[Preset, ...] | None:
        for table in (*(self._by_kind[kind] for kind in KINDS), *self._groups.values()):
            if found := _get(table, name):
                return (found,)
        if packs and (packed := self._packed(name)) is not None:
            return packed
        if "/" not in name and (found := self._walked(name)):
            return found
        paths = self._paths_of.get(folded(name), ())
        return self._walked(paths[0]) if len(paths) == 1 else self._by_surname(folded(name))

    def _by_surname(self, name: str) -> tuple[Preset, ...] | None:
        """Artists are called by their last names: the one flat artist whose name ends so."""
        called = [one for one in self.flat.get("artist", ()) if name and folded(one.name).endswith(f"-{name}")]
        return tuple(called) if len(called) == 1 else None

    def _packed(self, name: str) -> tuple[Preset, ...] | None:
        pack = _get(self._packs, name)
        found = [self._found(reference, packs=False) for reference in pack.presets] if pack else [None]
        return None if None in found else _once(chain.from_iterable(one for one in found if one))

    def _missing(self, text: str) -> NotFound:
        if "/" in text:
            near = nearest(text.lower(), self._below(text) or [node.path for node in self._nodes])
        elif ":" in text:
            near = nearest(text.lower(), [path for path in self.references() if ":" in path])
        else:
            known = {name: preset.path for name, preset in self._named}
            close = (known[name] for name in nearest(folded(text), known))
            near = tuple(dict.fromkeys([*(preset.path for preset in self.matching(text, 3)), *close]))[:3]
        error = NotFound("preset", text, hint=f"Did you mean {', '.join(near)}?" if near else "")
        error.near = near
        return error

    def _below(self, path: str) -> Sequence[str]:
        """The paths of an artist's options, where the path leads to one."""
        artist = "/".join(folded(step) for step in path.split("/")[:ARTIST_LEVELS])
        return [one for one in self.references() if one.startswith(f"{artist}/") and one.count("/") > ARTIST_LEVELS]

    @cached_property
    def _by_kind(self) -> Mapping[str, Mapping[str, Preset]]:
        return {kind: _by_preset_name(self.flat.get(kind, ())) for kind in KINDS}

    @cached_property
    def _groups(self) -> Mapping[str, Mapping[str, Preset]]:
        return _groups(self.universal)

    @cached_property
    def _packs(self) -> Mapping[str, Pack]:
        return _lookup((pack.id, pack.name, pack) for pack in self.packs)

    @cached_property
    def _artists(self) -> Sequence[ArtistNode]:
        return [artist for category in self.categories for type_ in category.types for artist in type_.artists]

    @cached_property
    def _nodes(self) -> Sequence[Preset]:
        """Of the three levels, the categories first."""
        types = [type_.preset for category in self.categories for type_ in category.types]
        return [*(one.preset for one in self.categories), *types, *(one.preset for one in self._artists)]

    @cached_property
    def _paths_of(self) -> Mapping[str, Sequence[str]]:
        """Of types and artists, by their names."""
        found: dict[str, list[str]] = {}
        for preset in self._nodes[len(self.categories) :]:
            for name in {folded(preset.id), folded(preset.name)}:
                found.setdefault(name, []).append(preset.path)
        return found

    @cached_property
    def _shared(self) -> Mapping[str, Preset]:
        """Options of categories and types by the paths of these."""
        options = (one for artist in self._artists for one in _options(artist.technical, artist.specifics))
        return {option.path: option for option in options}

    @cached_property
    def _references(self) -> Sequence[str]:
        flat = (preset.path for kind in KINDS for preset in self.flat.get(kind, ()))
        packs = (f"pack:{pack.id}" for pack in self.packs)
        levels = (preset.path for preset in chain(_options(self.universal), self._nodes))
        options = (
            f"{artist.preset.path}/{group.id}/{option.id}"
            for artist in self._artists
            for group in chain(artist.technical, artist.specifics)
            for option in group.options
        )
        return tuple(chain(flat, packs, levels, options))

    @cached_property
    def _named(self) -> Sequence[tuple[str, Preset]]:
        flat = (preset for kind in KINDS for preset in self.flat.get(kind, ()))
        return [(folded(preset.name), preset) for preset in chain(flat, _options(self.universal), self._nodes)]


def _rank(name: str, said: str) -> tuple[int, int] | None:
    """How well a name fits what was said, the best being the least; None: not at all."""
    if not name or not said:
        return None
    if f"-{name}-" in f"-{said}-":
        return 0, -len(name)
    words = f"-{name}"
    if all(f"-{word}" in words for word in said.split("-")):
        return (1 if name.startswith(said) else 2), len(name)
    return None


def _lookup(named: Iterable[tuple[str, str, T]]) -> dict[str, T]:
    """Things by id and by name; an id goes before a name, and the first of a name before others."""
    listed = list(named)
    names: dict[str, T] = {}
    for _, name, thing in listed:
        names.setdefault(folded(name), thing)
    names.pop("", None)  # a name of signs alone
    ids = {id_: thing for id_, _, thing in listed}
    return names | {folded(id_): thing for id_, thing in ids.items()} | ids


def _get(table: Mapping[str, T], said: str) -> T | None:
    """By the id as it is, then by what folds alike."""
    found = table.get(said.strip().lower())
    return table.get(folded(said)) if found is None else found


def _by_name(nodes: Sequence[Node]) -> dict[str, Node]:
    return _lookup((node.preset.id, node.preset.name, node) for node in nodes)


def _by_preset_name(presets: Iterable[Preset]) -> dict[str, Preset]:
    return _lookup((preset.id, preset.name, preset) for preset in presets)


def _groups(groups: Iterable[OptionGroup]) -> dict[str, Mapping[str, Preset]]:
    """Options by the name of their group, then by their own."""
    return _lookup((group.id, group.name, _by_preset_name(group.options)) for group in groups)


def _placed_option(artist: ArtistNode, group_name: str, option_name: str) -> Preset | None:
    groups = _lookup((one.id, one.name, one) for one in chain(artist.technical, artist.specifics))
    group = _get(groups, group_name)
    option = _get(_by_preset_name(group.options), option_name) if group else None
    return placed_option(option, group.id, artist.preset.path) if group and option else None


def _options(*groups: Iterable[OptionGroup]) -> Iterator[Preset]:
    return (option for group in chain(*groups) for option in group.options)


def _one_of(kind: str, name: str, nodes: Sequence[Node]) -> Node:
    found = _get(_by_name(nodes), name)
    if found is None:
        raise NotFound(kind, name, [node.preset.id for node in nodes])
    return found


def _once(presets: Iterable[Preset]) -> tuple[Preset, ...]:
    return tuple({preset.path: preset for preset in presets}.values())
