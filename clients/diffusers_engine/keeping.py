"""The one model that the engine holds in memory: loaded by plan, kept while it serves, replaced when it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from clients.diffusers_engine.batches import empty_cache
from clients.diffusers_engine.fitting import covers, ease, harsher, measure, need_for, planned, said
from clients.diffusers_engine.loading import Loaded, Located, load, locate
from clients.diffusers_engine.models import Shelf
from workflows.errors import OutOfMemory
from workflows.memory import Device, Need
from workflows.types import MemoryPlan, Recipe

Measure = Callable[[str], Device]
"""cuda, mps or cpu -> the device as it is now."""


class Keeper:
    """Only the worker thread calls it."""

    def __init__(self, shelf: Shelf, *, offline: bool, measure: Measure = measure) -> None:
        self._shelf = shelf
        self._offline = offline
        self._measure = measure
        self.loaded: Loaded | None = None
        self._tried: tuple[Located, MemoryPlan | None] | None = None
        """What was loaded last, whether or not it fitted."""

    def ready(self, recipe: Recipe, tell: Callable[[str], None]) -> Loaded:
        """The recipe's model, in memory and fitted to what the recipe needs; `tell` hears of a load.

        A model that lies in a tighter way than it would have to is used as it is; where the picture needs more room
        than the model leaves, it is loaded anew.
        """
        source = self._shelf.find(recipe.model)
        if self.loaded is None or self.loaded.source != source:
            self.forget()
            tell(f"Loading {source.name}")
            located = locate(source, self._shelf, offline=self._offline)
            return self._load(located, self._plan(located, recipe))
        located = self.loaded.located
        plan = self._plan(located, recipe)
        if plan and self.loaded.plan and not covers(self.loaded.plan, plan, recipe):
            tell(f"Loading {source.name} anew: this picture needs more room")
            return self._load(located, plan)
        return _eased(self.loaded, plan)

    def harsher(self, recipe: Recipe) -> tuple[str, ...]:
        """After it ran out of memory: load the model anew in the next tighter way; its levers, or none where none is.

        Either way the one that ran out is forgotten. Raises as `load`.
        """
        self.forget()
        located, plan = self._tried or (None, None)
        if located is None or plan is None:
            return ()
        tighter = harsher(self._need(located, recipe), self._measure(located.device), recipe, plan)
        if tighter is None:
            return ()
        self._load(located, tighter).forced = True
        return tighter.levers

    def forget(self) -> None:
        """Give the memory back."""
        held, self.loaded = self.loaded, None
        if held is not None:
            del held
            empty_cache()

    def _load(self, located: Located, plan: MemoryPlan | None) -> Loaded:
        """Raises OutOfMemory for what is larger than the whole machine: loading it would take the process down."""
        self.forget()
        self._tried = located, plan
        total = self._measure("cpu").total_gb if plan and located.device == "cpu" else None
        if plan and total and plan.peak_gb > total:
            raise OutOfMemory(f"Out of memory: {plan.reason} The machine has {total:.0f} GB in all.")
        self.loaded = load(located, self._shelf, plan, offline=self._offline)
        return _eased(self.loaded, plan)

    def _plan(self, located: Located, recipe: Recipe) -> MemoryPlan | None:
        """None for the demo model, which fits everywhere."""
        if located.source.kind == "demo":
            return None
        device = self._measure(located.device)
        own = self.loaded.resident if self.loaded else 0.0
        if device.kind == "cpu" and device.ram_free_gb is not None:
            device = replace(device, ram_free_gb=device.ram_free_gb + own)
        elif device.free_gb is not None:
            device = replace(device, free_gb=device.free_gb + own)
        return planned(self._need(located, recipe), device, recipe)

    def _need(self, located: Located, recipe: Recipe) -> Need:
        return need_for(located.weights, located.family, recipe, located.held)


def _eased(loaded: Loaded, plan: MemoryPlan | None) -> Loaded:
    """With the levers that this picture needs, and those without which an earlier one ran out of memory."""
    if plan:
        levers = (*plan.levers, *(loaded.plan.levers if loaded.forced and loaded.plan else ()))
        loaded.eased = ease(loaded.pipe, levers, loaded.eased)
        loaded.asked = plan
    return loaded


def told(loaded: Loaded) -> dict[str, Any] | None:
    """The plan that a picture was drawn by, with the levers that were really applied; None: nothing was planned."""
    plan = loaded.asked
    if plan is None:
        return None
    facts = plan.model_dump(mode="json", include={"level", "need_gb", "peak_gb", "available_gb", "reason"})
    facts["levers"] = [*loaded.eased, *loaded.placed]
    if loaded.plan and set(facts["levers"]) - set(plan.levers):
        facts |= {"level": loaded.plan.level, "peak_gb": min(plan.peak_gb, loaded.plan.peak_gb)}
        facts["reason"] = f"{plan.reason} It is held with {said(facts['levers'])} since an earlier picture."
    return facts
