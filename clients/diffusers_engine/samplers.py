"""Sampler names as the field writes them, and the diffusers scheduler that each one is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from workflows.errors import BadRecipe, nearest
from workflows.families import family
from workflows.types import Recipe


@dataclass(frozen=True)
class Sampler:
    """A scheduler class of diffusers with the settings that make it the sampler of that name."""

    scheduler: str
    settings: tuple[tuple[str, Any], ...] = ()
    karras: bool = True
    """Whether it also comes with Karras' noise levels."""
    needs: str | None = None
    """A package outside our extras that diffusers asks for."""
    demo: bool = True
    """Whether it draws well with v-prediction from zero signal, as the demo model wants (tried, CLIP score kept)."""


_SDE = (("algorithm_type", "sde-dpmsolver++"),)
NOISE = {
    "euler": Sampler("EulerDiscreteScheduler"),
    "euler_a": Sampler("EulerAncestralDiscreteScheduler", karras=False),
    "heun": Sampler("HeunDiscreteScheduler"),
    "dpm2": Sampler("KDPM2DiscreteScheduler"),
    "dpm2_a": Sampler("KDPM2AncestralDiscreteScheduler"),
    "dpmpp_2m": Sampler("DPMSolverMultistepScheduler"),
    "dpmpp_2m_sde": Sampler("DPMSolverMultistepScheduler", _SDE),
    "dpmpp_2s": Sampler("DPMSolverSinglestepScheduler"),
    "dpmpp_sde": Sampler("DPMSolverSDEScheduler", needs="torchsde", demo=False),
    "ddim": Sampler("DDIMScheduler", karras=False),
    "ddpm": Sampler("DDPMScheduler", karras=False),
    "unipc": Sampler("UniPCMultistepScheduler"),
    "deis": Sampler("DEISMultistepScheduler"),
    "pndm": Sampler("PNDMScheduler", karras=False, demo=False),
    "lms": Sampler("LMSDiscreteScheduler", needs="scipy", demo=False),
    "lcm": Sampler("LCMScheduler", karras=False, demo=False),
}
"""For families that predict noise or velocity along a noise schedule."""
FLOW = {
    "euler": Sampler("FlowMatchEulerDiscreteScheduler", karras=False),
    "heun": Sampler("FlowMatchHeunDiscreteScheduler", karras=False),
}
"""For flow-matching families (SD 3.5, FLUX)."""
ALIASES = {
    "euler_ancestral": "euler_a",
    "uni_pc": "unipc",
    "uni_pc_bh2": "unipc",
    "dpm_2": "dpm2",
    "dpm_2_ancestral": "dpm2_a",
    "dpm2_ancestral": "dpm2_a",
    "plms": "pndm",
}
"""ComfyUI's and A1111's spellings where they are not ours."""
_KARRAS = "_karras"
SPACINGS: Mapping[str, Mapping[str, Any]] = {
    "exponential": {"use_exponential_sigmas": True},
    "sgm_uniform": {"timestep_spacing": "trailing"},
    "simple": {"timestep_spacing": "trailing"},
    "ddim_uniform": {"timestep_spacing": "leading"},
}
"""ComfyUI's names of noise levels, and what diffusers has for them. The last three are ComfyUI's but for one step of
the thousand that a model was trained on."""
SCHEDULERS = ("normal", "karras", *SPACINGS)
"""ComfyUI's names of the noise levels that there are here: a sampler's own, Karras', and others."""
OF_FLOW = frozenset({"simple", "sgm_uniform"})
"""What ComfyUI calls the noise levels that flow-matching families have of their own."""


def sampler_names(family_name: str) -> tuple[str, ...]:
    """Every sampler name that the family takes, without the `_karras` forms."""
    table = FLOW if family(family_name).flow else NOISE
    return tuple(name for name, sampler in table.items() if sampler.demo or family_name != "demo")


def canonical(name: str) -> str:
    """'DPM++ 2M Karras' as 'dpmpp_2m_karras', 'euler_ancestral' as 'euler_a'."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.strip().lower().replace("++", "pp")).strip("_").removesuffix("_gpu")
    stem, tail = (plain.removesuffix(_KARRAS), _KARRAS) if plain.endswith(_KARRAS) else (plain, "")
    return ALIASES.get(stem, stem) + tail


def sampler_of(recipe: Recipe) -> str | None:
    """The sampler that a recipe's sampler and scheduler come to here. Raises BadRecipe for a scheduler of others."""
    if recipe.scheduler not in {None, *SCHEDULERS}:
        raise BadRecipe("scheduler", recipe.scheduler, f"this engine has {', '.join(SCHEDULERS)}; ComfyUI has more")
    if recipe.scheduler != "karras":
        return recipe.sampler
    if not recipe.sampler:
        raise BadRecipe("scheduler", "karras", "here it needs a sampler besides, such as dpmpp_2m")
    return canonical(recipe.sampler).removesuffix(_KARRAS) + _KARRAS


def find_sampler(name: str, family_name: str) -> tuple[str, Sampler]:
    """The canonical name and what it stands for. Raises BadRecipe with the nearest names."""
    wanted = canonical(name)
    stem = wanted.removesuffix(_KARRAS)
    takes = sampler_names(family_name)
    sampler = (FLOW if family(family_name).flow else NOISE).get(stem)
    if sampler is None or stem not in takes:
        near = nearest(stem, takes)
        hint = f"nearest: {', '.join(near)}; " if near else ""
        raise BadRecipe("sampler", name, f"{hint}{family(family_name).profile.title} takes {', '.join(takes)}")
    if stem != wanted and not sampler.karras:
        raise BadRecipe("sampler", name, f"{stem} has no Karras form; use {stem}")
    if sampler.needs and find_spec(sampler.needs) is None:
        raise BadRecipe("sampler", name, f"it needs a further package: pip install {sampler.needs}")
    return wanted, sampler


def spacing_of(recipe: Recipe, family_name: str) -> Mapping[str, Any]:
    """How the recipe's scheduler changes that of its sampler, beside Karras' form. Raises BadRecipe."""
    name, found = recipe.scheduler or "normal", family(family_name)
    if name not in SPACINGS or (found.flow and name in OF_FLOW):
        return {}
    if found.flow or family_name == "demo":
        raise BadRecipe("scheduler", name, f"{found.profile.title} takes normal{'' if found.flow else ' and karras'}")
    if not recipe.sampler:
        raise BadRecipe("scheduler", name, "here it needs a sampler besides, such as dpmpp_2m")
    stem = canonical(recipe.sampler).removesuffix(_KARRAS)
    if name == "exponential" and stem in NOISE and not NOISE[stem].karras:
        raise BadRecipe("scheduler", name, f"{stem} has no exponential form; leave it out")
    return SPACINGS[name]


def build_scheduler(
    name: str, family_name: str, config: Any, spacing: Mapping[str, Any] = MappingProxyType({})
) -> tuple[str, Any]:
    """The canonical name and the scheduler, made from the pipeline's own scheduler configuration. Raises BadRecipe."""
    import diffusers

    wanted, sampler = find_sampler(name, family_name)
    settings = dict(sampler.settings) | dict(spacing)
    if wanted.endswith(_KARRAS):
        settings["use_karras_sigmas"] = True
    kind: Any = getattr(diffusers, sampler.scheduler)
    return wanted, kind.from_config(config, **settings)
