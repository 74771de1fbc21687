"""The command that moves the gallery's files between this machine and an object store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

from clients.cli.console import DONE, FAILED, Json, Parts, err, out, perform, print_json, safe
from workflows.app import App
from workflows.moving import Migration, Moved, summary

SHOWN = 10
"""Failures that are named one by one; --json names them all."""


def migrate_command(parts: Parts) -> Callable[..., None]:
    def gallery_migrate(
        to: Annotated[str, typer.Option("--to", help="s3: into the bucket of MINIO_ENDPOINT; local: back.")],
        remove: Annotated[
            bool, typer.Option("--remove", help="Take each file out of the old place once it is verified in the new.")
        ] = False,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            migration = app.migration(to)
            told = await _move(migration, remove, as_json)
            if as_json:
                print_json(summary(told, migration))
            else:
                _tell(told, migration, remove)
            return DONE if told.whole else FAILED

        perform(parts, work)

    return gallery_migrate


async def _move(migration: Migration, remove: bool, quiet: bool) -> Moved:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total}"))
    hidden = quiet or not err.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=err, disable=hidden, transient=True) as bar:
        line = bar.add_task(f"To {safe(migration.target_name)}", total=None)
        try:
            return await migration.run(
                remove=remove, report=lambda done, total, _: bar.update(line, completed=done, total=total)
            )
        except asyncio.CancelledError:
            err.print("What was copied stays there: the same command goes on after it.")
            raise


def _tell(told: Moved, migration: Migration, remove: bool) -> None:
    where = f"{safe(migration.source_name)} to {safe(migration.target_name)}"
    out.print(f"{told.copied} of {told.total} files copied from {where} ({told.bytes / 1e6:.1f} MB), "
              f"{told.there} were there")  # fmt: skip
    if remove:
        out.print(f"{told.removed} removed from {safe(migration.source_name)}")
    for key, fault in list(told.failures.items())[:SHOWN]:
        err.print(f"[yellow]{safe(key)}: {safe(fault)}[/yellow]")
    if len(told.failures) > SHOWN:
        err.print(f"[yellow]and {len(told.failures) - SHOWN} more; --json names them all[/yellow]")
    if not told.whole:
        left = f", {told.untried} were not tried" if told.untried else ""
        err.print(f"[red]{len(told.failures)} failed{left}.[/red] The same command goes on after what is done.")
