"""Commands that look: status, doctor, the gallery; and the one that serves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from clients.cli.console import DONE, FAILED, Json, Parts, out, perform, print_json, safe
from workflows import answers
from workflows.answers import Answer
from workflows.app import App
from workflows.types import ItemQuery


def status_command(parts: Parts) -> Callable[..., None]:
    def status(as_json: Json = False) -> None:
        async def work(app: App) -> int:
            state = await app.status()
            if as_json:
                print_json(state)
                return DONE
            for engine in state["engines"]:
                mark = "[green]✓[/green]" if engine["available"] else "[red]✗[/red]"
                out.print(f"{mark} engine {engine['name']}: {safe(engine['detail'])}")
                for server in engine["servers"]:
                    out.print(f"  {_server_line(server)}")
            out.print(f"pictures {state['pictures']}, memory {state['memory_gb']}")
            out.print(f"kept in {safe(state['places']['home'])}")
            for notice in state["notices"]:
                out.print(f"[yellow]{safe(notice)}[/yellow]")
            return DONE

        perform(parts, work)

    return status


def _server_line(server: Mapping[str, Any]) -> str:
    """One ComfyUI server: whether it answers, how busy it is, and what to know of it."""
    mark = "[green]✓[/green]" if server["available"] else "[red]✗[/red]"
    facts = [server["version"], server["device"], server["loaded"], "draining" if server["draining"] else ""]
    busy = f"{server['running']} running, {server['pending']} waiting, {server['ours']} of them ours"
    about = "; ".join(str(fact) for fact in (server["detail"], *facts, busy, *server["warnings"]) if fact)
    return f"{mark} {safe(server['url'])}: {safe(about)}"


def doctor_command(parts: Parts) -> Callable[..., None]:
    def doctor(as_json: Json = False) -> None:
        findings = parts.examine()
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


def gallery_list_command(parts: Parts) -> Callable[..., None]:
    def gallery_list(
        query: Annotated[str, typer.Argument(help="Words of the prompt.")] = "",
        limit: Annotated[int, typer.Option(help="Pictures at most.")] = 20,
        cursor: Annotated[str | None, typer.Option(help="Where the last page ended.")] = None,
        model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
        min_score: Annotated[float | None, typer.Option(help="Only with at least this score.")] = None,
        sort: Annotated[str, typer.Option(help="newest, oldest or best.")] = "newest",
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            wanted = ItemQuery.checked(
                query=query, limit=limit, cursor=cursor, model=model, min_score=min_score, sort=sort
            )
            page = await app.gallery.search(wanted)
            rows = [answers.item_row(item, await app.gallery.locate(item)) for item in page.items]
            if as_json:
                print_json({"items": rows, "cursor": page.cursor, "total": page.total})
            else:
                _print_rows(rows, page.total, page.cursor)
            return DONE

        perform(parts, work)

    return gallery_list


def _print_rows(rows: Sequence[Answer], total: int, cursor: str | None) -> None:
    for row in rows:
        mark = {True: "green", False: "yellow"}.get(row["passed"], "dim")
        score = "  –  " if row["score"] is None else f"{row['score']:.3f}"
        size = f"{row['width']}x{row['height']}"
        out.print(f"{row['image_id']}  [{mark}]{score}[/{mark}]  {size}  {safe(row['model'])}  {safe(row['prompt'])}")
    out.print(f"[dim]{len(rows)} of {total}[/dim]" + (f"[dim]; more: --cursor {cursor}[/dim]" if cursor else ""))


def gallery_show_command(parts: Parts) -> Callable[..., None]:
    def gallery_show(name: Annotated[str, typer.Argument(help="Id or file name.")], as_json: Json = False) -> None:
        async def work(app: App) -> int:
            info = await answers.item_info(app.gallery, await app.gallery.find(name))
            if as_json:
                print_json(info)
                return DONE
            for key, value in info.items():
                shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                out.print(f"[dim]{key:<16}[/dim] {safe(shown)}")
            return DONE

        perform(parts, work)

    return gallery_show


def gallery_delete_command(parts: Parts) -> Callable[..., None]:
    def gallery_delete(
        name: Annotated[str, typer.Argument(help="Id or file name.")],
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            item = await app.gallery.find(name)
            if not yes and not as_json:
                typer.confirm(f"Delete {item.id} ({answers.shortened(item.prompt, 60)})?", abort=True)
            await app.gallery.delete(item.id)
            print_json({"deleted": item.id}) if as_json else out.print(f"Deleted {item.id}.")
            return DONE

        perform(parts, work)

    return gallery_delete
