"""How many CPU threads torch uses: one for a small network, torch's own choice for a large one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

SMALL = 20_000_000
"""Parameters. Below this the threads of a 2-core machine gain a tenth when it is idle, and when it is not they wait
for each other in busy loops: measured, a render of 0.36 s on one thread took 2 to 28 s on two."""


@contextmanager
def threads_for(parameters: int) -> Generator[None]:
    """Run the block's torch operations of this thread on the right number of threads."""
    import torch

    usual = _usual()
    torch.set_num_threads(1 if parameters < SMALL else usual)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


@cache
def _usual() -> int:
    import torch

    return torch.get_num_threads()
