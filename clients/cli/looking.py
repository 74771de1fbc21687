"""Commands that look: status and doctor; and the one that serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer

from clients.cli.console import DONE, FAILED, Json, Parts, out, perform, print_json, safe, tell_error
from workflows.app import App


def status_command(parts: Parts) -> Callable[..., None]:
    def status(as_json: Json = False) -> None:
        async def work(app: App) -> int:
            state = await app.status()
            if as_json:
                print_json(state)
                return DONE
            for engine in state["engines"]:
                out.print(engine_line(engine))
                for server in engine["servers"]:
                    out.print(f"  {_server_line(server)}")
            out.print(f"pictures {state['pictures']}, memory {state['memory_gb']}")
            for name, place in state["places"].items():
                out.print(f"{name} {safe(place)}")
            for notice in state["notices"]:
                out.print(f"[yellow]{safe(notice)}[/yellow]")
            return DONE

        perform(parts, work)

    return status


def engine_line(engine: Mapping[str, Any]) -> str:
    """One engine; of those that nobody has set up only in passing."""
    told = f"engine {engine['name']}: {safe(engine['detail'])}"
    if not engine["set_up"]:
        return f"[dim]· {told}[/dim]"
    return f"[green]✓[/green] {told}" if engine["available"] else f"[red]✗[/red] {told}"


def _server_line(server: Mapping[str, Any]) -> str:
    """One ComfyUI server: whether it answers, how busy it is, and what to know of it."""
    mark = "[green]✓[/green]" if server["available"] else "[red]✗[/red]"
    facts = [server["version"], server["device"], server["loaded"], "draining" if server["draining"] else ""]
    busy = f"{server['running']} running, {server['pending']} waiting, {server['ours']} of them ours"
    about = "; ".join(str(fact) for fact in (server["detail"], *facts, busy, *server["warnings"]) if fact)
    return f"{mark} {safe(server['url'])}: {safe(about)}"


def doctor_command(parts: Parts) -> Callable[..., None]:
    def doctor(as_json: Json = False) -> None:
        try:
            findings = parts.examine()
        except ValueError as error:  # settings that cannot be used
            raise typer.Exit(tell_error(error, as_json)) from error
        if as_json:
            fields = ("name", "ok", "detail", "next_step")
            print_json([{field: getattr(finding, field) for field in fields} for finding in findings])
        else:
            for finding in findings:
                mark = "[green]✓[/green]" if finding.ok else "[red]✗[/red]"
                out.print(f"{mark} {finding.name:<18} {safe(finding.detail)}")
                if finding.next_step:
                    out.print(f"  {'':<18} [yellow]{safe(finding.next_step)}[/yellow]")
        raise typer.Exit(DONE if all(finding.ok for finding in findings) else FAILED)

    return doctor


def serve_command(parts: Parts) -> Callable[..., None]:
    def serve(context: typer.Context) -> None:
        parts.serve(context.args)

    return serve
