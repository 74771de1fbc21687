"""LoRAs and their kin: which spelling a file has, and of which family it is by the layers that it changes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from utils.safetensors_header import Tensor
from workflows.recognition.rules import Names, Rule, rule_of

LORA = (".lora_up.", ".lora_A.", ".lora_down.", ".lora_B.", "lora.up.", "lora.down.", ".lora_linear_layer.")
DORA = (".dora_scale", ".lora_magnitude_vector")
OTHERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loha", (".hada_w1_",)),
    ("lokr", (".lokr_w1",)),
    ("oft", (".oft_blocks", ".oft_diag", ".oft_R.")),
    ("glora", (".b1.weight\n",)),
    ("ia3", (".on_input\n",)),
    ("full", (".diff\n", ".diff_b\n")),
    ("lora", ("\nlora_unet_", "\nlora_te_", "\nlora_te1_", "\nlycoris_")),
)
_ENDING = re.compile(
    r"[._](?:lora[._](?:up|down|A|B|linear_layer|magnitude_vector)|hada_|lokr_|dora_scale|oft_|diff$|diff_b$|alpha$"
    r"|[ab][12]\.weight$|on_input$|weight$)"
)
"""Where the layer's name ends and the adapter's begins."""
DOWN = (".lora_down.weight", ".lora_A.weight", ".lora_A.default.weight", ".lora.down.weight", "_lora.down.weight")
UP = (".lora_up.weight", ".lora_B.weight", ".lora_B.default.weight", ".lora.up.weight", "_lora.up.weight")
MOST_LAYERS = 24
"""Layers that are looked at for their width; the first nearly always tells."""


def spelling(names: Names) -> str:
    """lora, dora, loha, lokr, oft, glora, ia3 or full (whole differences); empty for what is no adapter."""
    if _any_of(LORA, names):
        return "dora" if _any_of(DORA, names) else "lora"
    other = next((word for word, signs in OTHERS if _any_of(signs, names)), "")
    return "dora" if other and _any_of(DORA, names) else other


def _any_of(signs: tuple[str, ...], names: Names) -> bool:
    return any(sign in names.text for sign in signs)


def family_rule(names: Names) -> Rule | None:
    """The first rule of adapters.toml that holds."""
    layers = _Layers(names)
    return next((rule for rule, when, either in _rules() if _holds(layers, when, either)), None)


@dataclass(frozen=True)
class _Sign:
    part: str
    side: str = ""
    widths: frozenset[int] = frozenset()
    negated: bool = False

    def holds(self, layers: _Layers) -> bool:
        found = layers.width(self.part, self.side) in self.widths if self.side else layers.have(self.part)
        return found is not self.negated


class _Layers:
    """The layers of an adapter, ready to be asked; an answer is kept, for many rules ask for the same."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._widths: dict[tuple[str, str], int | None] = {}

    def have(self, part: str) -> bool:
        return part in self._names.flat

    def width(self, part: str, side: str) -> int | None:
        """What the first layer whose name holds the part takes (in) or gives (out); None where no layer tells."""
        key = part, side
        if key not in self._widths:
            told = (layer_width(self._names.tensors, layer, side) for layer in _layers(self._names, part))
            self._widths[key] = next((width for width in told if width is not None), None)
        return self._widths[key]


def _holds(layers: _Layers, when: tuple[_Sign, ...], either: tuple[_Sign, ...]) -> bool:
    return all(sign.holds(layers) for sign in when) and (not either or any(sign.holds(layers) for sign in either))


@cache
def _rules() -> tuple[tuple[Rule, tuple[_Sign, ...], tuple[_Sign, ...]], ...]:
    text = files("workflows.recognition").joinpath("adapters.toml").read_text(encoding="utf-8")
    return tuple(
        (
            rule_of({"kind": "lora"} | {key: row[key] for key in row.keys() - {"when", "either"}}),
            tuple(map(_sign, row.get("when", ()))),
            tuple(map(_sign, row.get("either", ()))),
        )
        for row in tomllib.loads(text)["rule"]
    )


_SIGN = re.compile(r"(?P<no>!?)(?P<part>\w+)(?: (?P<side>in|out) = (?P<widths>[\d|]+))?")


def _sign(text: str) -> _Sign:
    found = _SIGN.fullmatch(text)
    if not found:
        raise ValueError(f"not a condition: {text}")
    widths = frozenset(map(int, found["widths"].split("|"))) if found["widths"] else frozenset[int]()
    return _Sign(found["part"], found["side"] or "", widths, bool(found["no"]))


def _layers(names: Names, part: str) -> Iterator[str]:
    place = -1
    seen = ""
    for _ in range(MOST_LAYERS):
        place = names.flat.find(part, place + 1)
        if place < 0:
            return
        start, end = names.text.rfind("\n", 0, place) + 1, names.text.find("\n", place)
        place = end
        name = names.text[start:end]
        ending = _ENDING.search(name)
        layer = name[: ending.start()] if ending else name
        if layer != seen:
            seen = layer
            yield layer


def layer_width(tensors: Mapping[str, Tensor], layer: str, side: str) -> int | None:
    """The width of the vectors that the layer takes (side "in") or gives ("out"), from its adapter's shapes."""

    def size(dimension: int, *endings: str) -> int | None:
        for ending in endings:
            tensor = tensors.get(layer + ending)
            if tensor is not None and len(tensor.shape) > dimension:
                return tensor.shape[dimension]
        return None

    if side == "in":
        plain = size(1, *DOWN, ".hada_w1_b", ".diff")
        halves = size(1, ".lokr_w1", ".lokr_w1_b"), size(1, ".lokr_w2", ".lokr_w2_b")
    else:
        plain = size(0, *UP, ".hada_w1_a", ".diff")
        halves = size(0, ".lokr_w1", ".lokr_w1_a"), size(0, ".lokr_w2", ".lokr_w2_a")
    if plain is not None:
        return plain
    return halves[0] * halves[1] if halves[0] is not None and halves[1] is not None else None
