"""Setup: everything that one server has for one recipe, each name as that server spells it. `fitting` finds it,
`drafting` draws it; both are pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflows.families import Family
    from workflows.template import Template
    from workflows.types import LoraUse


@dataclass(frozen=True, kw_only=True)
class Thrift:
    """How far down the ladder against a full memory a render stands; the plain one first."""

    tiled: bool = False
    """Encode and decode the picture in tiles."""
    small_weights: bool = False
    """The same model in a smaller number format."""
    encoder_on_cpu: bool = False
    """Read the prompt on the CPU, where the loader of the text encoders can be told so."""
    shrink: float = 1.0
    """Draw at this share of each edge and enlarge at the end."""


@dataclass(frozen=True, kw_only=True)
class Guide:
    """How one control or reference picture enters the graph: files and node classes by part.

    For example {"control_net": "diffusers_xl_canny.safetensors", "preprocessor": "Canny", "union_type": ""}.
    """

    role: str
    """The picture's role in the recipe: control_1, reference_1, ..."""
    kind: str
    """controlnet, redux, kontext, ... : which way of guiding it is."""
    parts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What `workflows.drawing.drafting.draft` needs besides the recipe."""

    template: Template
    family: Family
    model: str
    """The model file, as the loader lists it."""
    components: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further files by slot name: clip_1, clip_2, vae, ..."""
    sampler: str = ""
    scheduler: str = ""
    loras: tuple[LoraUse, ...] = ()
    loras_2: tuple[LoraUse, ...] = ()
    """Those of the second model of a pair, where two draw one after the other."""
    guides: tuple[Guide, ...] = ()
    finish: Mapping[str, str] = field(default_factory=dict[str, str])
    """Files and classes of what happens to the drawn picture: upscaler, background, face, mask_finder, ..."""
    pictures: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names under which the input pictures were uploaded, by role."""
    thrift: Thrift = Thrift()
    prefix: str = "atelier/picture"
    """filename_prefix of what is saved."""
    notes: tuple[str, ...] = ()
    """What the user should know of the choices, such as a guessed family."""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON facts to file with the picture: family, components, ..."""
