"""Commands about the ComfyUI servers of the pool: how they are, and which of them gets no new work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from clients.cli.console import DONE, Json, Parts, out, perform, print_json, safe
from workflows.answers import Answer
from workflows.app import App

Url = Annotated[str, typer.Argument(help="The server's address, as `atelier servers list` shows it.")]


def list_command(parts: Parts) -> Callable[..., None]:
    def servers_list(as_json: Json = False) -> None:
        async def work(app: App) -> int:
            rows = await app.servers()
            if as_json:
                print_json({"servers": rows})
                return DONE
            for row in rows:
                out.print(_line(row))
            if not rows:
                out.print("[yellow]No ComfyUI server is named: COMFYUI_URL says where one is.[/yellow]")
            return DONE

        perform(parts, work)

    return servers_list


def drain_command(parts: Parts) -> Callable[..., None]:
    def servers_drain(url: Url, as_json: Json = False) -> None:
        async def work(app: App) -> int:
            return _told(await app.drain(url), "It gets no new work; what it has it ends.", as_json)

        perform(parts, work)

    return servers_drain


def resume_command(parts: Parts) -> Callable[..., None]:
    def servers_resume(url: Url, as_json: Json = False) -> None:
        async def work(app: App) -> int:
            return _told(await app.resume(url), "It gets work again.", as_json)

        perform(parts, work)

    return servers_resume


def _told(draining: Iterable[str], words: str, as_json: bool) -> int:
    urls = sorted(draining)
    if as_json:
        print_json({"draining": urls})
    else:
        out.print(safe(words))
        out.print(f"[dim]Draining now: {safe(', '.join(urls) or 'none')}.[/dim]")
    return DONE


def _line(row: Answer) -> str:
    mark = "[green]✓[/green]" if row["available"] else "[red]✗[/red]"
    busy = f"; {row['running']} running, {row['pending']} waiting" if row["available"] else ""
    draining = "; [yellow]draining[/yellow]" if row["draining"] else ""
    return f"{mark} {safe(row['url'])}: {safe(row['detail'])}{busy}{draining}"
