"""Which model to begin with on a machine: data and arithmetic; it downloads nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from workflows.errors import NotFound
from workflows.families import families
from workflows.types import Value

MBIT_PER_SECOND = 100.0
"""The line that times are told for; the measured speed is told during the download."""
SPARE_GB = 5.0
"""Of the disk, that stays free beside the model."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What this machine has, in gigabytes (10^9 bytes). `gpu_gb` None: no GPU that could draw."""

    gpu: str = ""
    gpu_gb: float | None = None
    ram_gb: float
    disk_gb: float


class Starter(Value):
    """A model to begin with; see starters.toml."""

    name: str
    title: str
    family: str
    engine: str
    references: tuple[str, ...]
    size_gb: float
    gpu_gb: float
    ram_gb: float
    licence: str
    commercial: bool
    about: str

    @property
    def video(self) -> bool:
        """Whether it makes videos, which nobody begins with."""
        return families()[self.family].video

    @property
    def minutes(self) -> int:
        """Of download, by a line of MBIT_PER_SECOND."""
        return max(1, round(self.size_gb * 8000 / MBIT_PER_SECOND / 60))


class Proposal(Value):
    """A starter with what speaks against it on this machine; nothing: it fits."""

    starter: Starter
    against: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return not self.against


@cache
def starters() -> Sequence[Starter]:
    """All of them, the best first."""
    text = files("workflows").joinpath("starters.toml").read_text(encoding="utf-8")
    return tuple(Starter(name=name, **table) for name, table in tomllib.loads(text).items())


def starter(name: str) -> Starter:
    """Raises NotFound."""
    found = next((one for one in starters() if one.name == name), None)
    if found is None:
        names = [one.name for one in starters()]
        raise NotFound("starter model", name, names, f"There are {', '.join(names)}.")
    return found


def for_video(gpu_gb: float | None = None) -> Starter:
    """The best that makes videos on a GPU of so much memory; the least demanding where it has less, or none."""
    films = [one for one in starters() if one.video]
    able = [one for one in films if gpu_gb is not None and one.gpu_gb <= gpu_gb]
    return able[0] if able else min(films, key=lambda one: one.gpu_gb)


def propose(machine: Machine, engines: Collection[str]) -> list[Proposal]:
    """Every starter that one of these engines draws pictures with; those that fit the machine come first."""
    able = [one for one in starters() if one.engine in engines and not one.video]
    found = [Proposal(starter=one, against=_against(one, machine)) for one in able]
    return sorted(found, key=lambda proposal: not proposal.fits)


def _against(starter: Starter, machine: Machine) -> tuple[str, ...]:
    reasons: list[str] = []
    if starter.gpu_gb and (machine.gpu_gb or 0) < starter.gpu_gb:
        has = f"this one has {machine.gpu_gb:.0f} GB" if machine.gpu_gb else "here is none"
        reasons.append(f"it wants a GPU with {starter.gpu_gb:g} GB, {has}")
    if machine.ram_gb < starter.ram_gb:
        reasons.append(f"it wants {starter.ram_gb:g} GB of memory, here are {machine.ram_gb:.0f}")
    if machine.disk_gb < starter.size_gb + SPARE_GB:
        reasons.append(f"it takes {starter.size_gb:g} GB of the disk, {machine.disk_gb:.0f} GB are free")
    return tuple(reasons)
