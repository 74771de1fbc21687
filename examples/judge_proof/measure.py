"""Can the judges be trusted? python examples/judge_proof/measure.py [judges|loop|picture] [--json]

`judges`: what each judge says of the labelled set (traps.py), and how often the reader is mistaken on it. `loop`: how
many prompts end with the right picture, by that reader. Without a name: both. Offline, on the demo models alone.
`picture --out traps.png` draws traps with what each judge said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gain
import sheet
import traps
from rates import auc, rates
from verdicts import Heard, heard, judges_of, own_app
from world import reader

Row = dict[str, Any]
Tables = dict[str, list[Row]]


async def judges_tables(share: float = 1.0) -> Tables:
    """Every table on the labelled set."""
    pairs = traps.labelled(share=share)
    async with own_app() as app:
        return tables_of(await heard(pairs, judges_of(app))) | {"reader": reader_rows(pairs)}


def tables_of(said: Sequence[Heard]) -> Tables:
    """Judges, traps, and how well the scores sort right from wrong."""
    inside = [one for one in said if one.pair.inside]
    judges = tuple(said[0].said)
    return {
        "judges": [judge_row(judge, inside) for judge in judges],
        "traps": [trap_row(trap, said, judges) for trap in dict.fromkeys(one.pair.trap for one in said)],
        "composite": [composite_row(inside, look) for look in ("crisp", "model's", "both")],
    }


def judge_row(judge: str, said: Sequence[Heard]) -> Row:
    """How a judge does on the pairs on which its truth is known."""
    known = [one for one in said if one.pair.truth[judge] is not None]
    found = rates((one.pair.truth[judge] is True, one.objected(judge)) for one in known)
    scores = {right: [one.score(judge) for one in known if one.pair.truth[judge] is right] for right in (True, False)}
    return {
        "judge": judge,
        "pairs": len(known),
        "wrong": found.wrong,
        "precision": found.precision,
        "recall": found.recall,
        "false alarms": found.false_alarms,
        "AUC of its score": auc(*([score for score in scores[right] if score is not None] for right in (True, False))),
        "not judged": sum(one.said[judge].passed is None for one in known) / len(known),
    }


def trap_row(trap: str, said: Sequence[Heard], judges: Sequence[str]) -> Row:
    """How often each judge objects: where it should, if there are such pairs, and else where it should not.

    `meant for` names those that should; None: nobody can say what that judge ought to do.
    """
    met = [one for one in said if one.pair.trap == trap]
    meant_for = [judge for judge in judges if any(one.pair.truth[judge] is False for one in met)]
    row: Row = {"trap": trap, "pairs": len(met), "meant for": " ".join(meant_for) or "nobody"}
    for judge in judges:
        wanted = judge not in meant_for
        known = [one.objected(judge) for one in met if one.pair.truth[judge] is wanted]
        row[judge] = sum(known) / len(known) if known else None
    return row | {"any": sum(any(one.objected(judge) for judge in judges) for one in met) / len(met)}


def composite_row(said: Sequence[Heard], look: str) -> Row:
    """How well the merit that candidates are ranked by tells pictures without a fault from those with one."""
    seen = [one for one in said if look in ("both", one.pair.look) and one.merit is not None]
    seen = [one for one in seen if one.pair.right is not None]
    merits = {right: [one.merit or 0.0 for one in seen if one.pair.right is right] for right in (True, False)}
    passed = rates((one.pair.right is True, any(one.objected(judge) for judge in one.said)) for one in seen)
    return {
        "look": look, "right": len(merits[True]), "wrong": len(merits[False]),
        "AUC of the composite": auc(merits[True], merits[False]),
        "precision of any no": passed.precision, "recall of any no": passed.recall,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------- the loop


async def loop_tables(held_out: int = 100) -> Tables:
    """How many prompts end right, each way."""
    rows: list[Row] = []
    async with own_app() as app:
        checks = list(judges_of(app))
        for name, wishes in (("held-out", gain.held_out_wishes(held_out)), ("hard", gain.hard_wishes())):
            for way, settings in gain.WAYS.items():
                rows.append({"prompts": name, "way": way} | gain_row(await gain.endings(wishes, checks, settings)))
    return {"loop": rows}


def gain_row(endings: Sequence[gain.Ending]) -> Row:
    count = len(endings)
    accepted = [one for one in endings if one.accepted]
    return {
        "count": count,
        "right": sum(one.right for one in endings) / count,
        "accepted": len(accepted) / count,
        "accepted but wrong": sum(not one.right for one in accepted) / count,
        "right but refused": sum(one.right and one.accepted is False for one in endings) / count,
        "pictures": sum(one.drawn for one in endings) / count,
        "seconds": sum(one.seconds for one in endings) / count,
    }


def reader_rows(pairs: Sequence[traps.Pair]) -> list[Row]:
    """How often the reader is mistaken where the picture is not damaged."""
    known = [pair for pair in pairs if pair.caption and pair.truth["quality"] and pair.truth["clip"] is not None]
    rows: list[Row] = []
    for look in ("crisp", "model's"):
        read = [(pair, reader.read(pair.picture)) for pair in known if pair.look == look]
        right = [reading.shows(pair.caption) for pair, reading in read if pair.caption and pair.truth["clip"]]
        wrong = [reading.shows(pair.caption) for pair, reading in read if pair.caption and not pair.truth["clip"]]
        rows.append({
            "look": look, "right": len(right), "read as wrong": 1 - sum(right) / len(right),
            "wrong": len(wrong), "read as right": sum(wrong) / len(wrong),
        })  # fmt: skip
    return rows


# ----------------------------------------------------------------------------------------------- the telling


def markdown(rows: Sequence[Row]) -> str:
    """A table; shares with two places, the rest as it is."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([_told(row[name]) for name in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _told(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


MEASURES = ("judges", "loop")


async def measured(what: Sequence[str], held_out: int) -> Tables:
    tables: Tables = {}
    for name in what:
        tables |= await (judges_tables() if name == "judges" else loop_tables(held_out))
    return tables


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=(*MEASURES, "picture"))
    parser.add_argument("--json", action="store_true", help="the same numbers for machines")
    parser.add_argument("--out", type=Path, default=Path("traps.png"), help="where the picture goes")
    parser.add_argument("--held-out", type=int, default=100, help="loop: prompts that no training has seen")
    args = parser.parse_args(arguments)
    if args.what == "picture":
        asyncio.run(sheet.draw_sheet(args.out))
        return
    tables = asyncio.run(measured([args.what] if args.what else MEASURES, args.held_out))
    told = json.dumps(tables, indent=1) if args.json else "\n\n".join(markdown(rows) for rows in tables.values())
    sys.stdout.write(told + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
