"""One measured figure: ours beside the bare path of the same run, as a ratio where both are known."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`ours` and `bare` in `unit`; `aim` says in words what we want of the ratio or of `ours`."""

    name: str
    ours: float
    bare: float | None
    unit: str
    aim: str

    @property
    def ratio(self) -> float | None:
        return self.ours / self.bare if self.bare else None
