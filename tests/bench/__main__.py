"""python -m tests.bench [NAME ...]: runs the benchmarks and prints a table. Nothing is asserted."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.figure import Figure


def main(wanted: list[str]) -> None:
    logging.basicConfig(level=logging.ERROR)
    names = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    table = Table("what", "ours", "bare", "ratio", "aim", box=None)
    for name in [name for name in names if not wanted or name in wanted]:
        for figure in asyncio.run(importlib.import_module(f"tests.bench.bench_{name}").figures()):
            table.add_row(*_cells(figure))
    Console().print(table)


def _cells(figure: Figure) -> tuple[str, ...]:
    bare = "" if figure.bare is None else f"{figure.bare:.4g} {figure.unit}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    return figure.name, f"{figure.ours:.4g} {figure.unit}", bare, ratio, figure.aim


if __name__ == "__main__":
    main(sys.argv[1:])
