"""Sampler and scheduler by the names that people write, as one server spells them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from utils.civitai import sampler_words
from workflows.errors import BadRecipe, nearest

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.families import Family
    from workflows.types import Recipe

SAMPLER_ALIASES = {
    "dpmpp_2s": "dpmpp_2s_ancestral",
    "ddimscheduler": "ddim",
    "ddpmscheduler": "ddpm",
    "deismultistepscheduler": "deis",
    "dpmsolvermultistepscheduler": "dpmpp_2m",
    "dpmsolversdescheduler": "dpmpp_sde",
    "dpmsolversinglestepscheduler": "dpmpp_2s_ancestral",
    "eulerancestraldiscretescheduler": "euler_ancestral",
    "eulerdiscretescheduler": "euler",
    "flowmatcheulerdiscretescheduler": "euler",
    "flowmatchheundiscretescheduler": "heun",
    "heundiscretescheduler": "heun",
    "kdpm2ancestraldiscretescheduler": "dpm_2_ancestral",
    "kdpm2discretescheduler": "dpm_2",
    "lcmscheduler": "lcm",
    "lmsdiscretescheduler": "lms",
    "unipcmultistepscheduler": "uni_pc",
}
"""diffusers' and the in-process engine's spellings where they are not ComfyUI's."""
SCHEDULER_ALIASES = {"uniform": "normal", "sgm": "sgm_uniform", "ddim": "ddim_uniform", "kl": "kl_optimal"}
AS_THE_FAMILY = {"", "auto", "automatic"}
SAFE_SAMPLER, SAFE_SCHEDULER = "euler", "normal"
"""What every ComfyUI has."""


def sampling_for(recipe: Recipe, family: Family, inventory: Inventory) -> tuple[str, str, tuple[str, ...]]:
    """Sampler, scheduler, and what the user should know of them. Raises BadRecipe with the nearest names first.

    'DPM++ 2M Karras' names both; a scheduler given on its own wins over one in the sampler's name.
    """
    samplers = inventory.choices("KSampler", "sampler_name")
    schedulers = inventory.choices("KSampler", "scheduler")
    sampler, told = family.comfyui.sampler, ""
    if _plain(recipe.sampler or "") not in AS_THE_FAMILY:
        sampler, told = _sampler(recipe.sampler or "", samplers, schedulers)
    scheduler = told or family.comfyui.scheduler
    if _plain(recipe.scheduler or "") not in AS_THE_FAMILY:
        scheduler = _scheduler(recipe.scheduler or "", schedulers)
    notes: list[str] = []
    if samplers and sampler not in samplers:
        notes.append(f"This ComfyUI has no sampler {sampler}, which {family.profile.title} wants; took {SAFE_SAMPLER}.")
        sampler = SAFE_SAMPLER
    if schedulers and scheduler not in schedulers:
        notes.append(f"This ComfyUI has no scheduler {scheduler}; took {SAFE_SCHEDULER}.")
        scheduler = SAFE_SCHEDULER
    return sampler, scheduler, tuple(notes)


def _sampler(written: str, samplers: tuple[str, ...], schedulers: tuple[str, ...]) -> tuple[str, str]:
    """The sampler, and the scheduler where the name ends in one."""
    wanted = _plain(written)
    if wanted in samplers:
        return wanted, ""
    tails = {_plain(name): name for name in schedulers}
    tail = next((one for one in tails if wanted.endswith(f"_{one}")), "")
    stem = wanted.removesuffix(f"_{tail}") if tail else wanted
    stem = stem if stem in samplers else SAMPLER_ALIASES.get(stem) or _as_a1111(stem)
    if stem not in samplers:
        raise BadRecipe("sampler", written, _offered(stem, samplers))
    return stem, tails.get(tail, "")


def _as_a1111(stem: str) -> str:
    """What A1111 calls a sampler, as ComfyUI does. The schedule that A1111 would take for it is not asked for: where
    nobody names one, the family's own is meant."""
    words = sampler_words(stem)
    return words[0] if words else stem


def _scheduler(written: str, schedulers: tuple[str, ...]) -> str:
    wanted = _plain(written)
    wanted = wanted if wanted in schedulers else SCHEDULER_ALIASES.get(wanted, wanted)
    if wanted not in schedulers:
        raise BadRecipe("scheduler", written, _offered(wanted, schedulers))
    return wanted


def _offered(wanted: str, names: tuple[str, ...]) -> str:
    near = nearest(wanted, names)
    rest = [name for name in names if name not in near]
    return f"{'nearest: ' + ', '.join(near) + '; ' if near else ''}this ComfyUI offers {', '.join([*near, *rest])}"


def _plain(written: str) -> str:
    """'DPM++ 2M Karras' as 'dpmpp_2m_karras'."""
    return re.sub(r"[^a-z0-9]+", "_", written.strip().lower().replace("++", "pp")).strip("_")
