"""What every command shares: the two streams, the exit codes, what the root hands over, and the App around the work."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console

from workflows.app import App
from workflows.errors import BadRecipe, StudioError

DONE, FAILED, USAGE, NOT_ACCEPTED, INTERRUPTED = 0, 1, 2, 3, 130

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

COMMANDS: Mapping[str, str] = {
    "list_images": "atelier gallery list",
    "delete_image": "atelier gallery delete",
    "list_models": "atelier models list",
    "list_loras": "atelier models list --kind lora",
    "search_models": "atelier models search",
    "suggest_model": "atelier models suggest",
    "get_queue": "atelier status",
    "list_presets": "atelier presets list",
    "prompt_history": "atelier prompt history",
    "enhance_prompt": "atelier prompt enhance",
}
"""What a person types where an error names a tool."""

_TOOL = re.compile(rf"\b({'|'.join(COMMANDS)})\b(\(.*?\))?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for machines; no progress bar.")]


class Finding(Protocol):
    """One line of `atelier doctor`."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...
    @property
    def next_step(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the root hands to the command line."""

    open_app: Callable[[], AbstractAsyncContextManager[App]]
    examine: Callable[[], Sequence[Finding]]
    serve: Callable[[Sequence[str]], None]
    version: str
    as_json: bool = False
    """Whether this command line asks for JSON: errors are then told in it too."""


def perform(parts: Parts, work: Callable[[App], Awaitable[int]]) -> None:
    """Open the app, do the work, leave with its exit code; errors become one line on stderr, and JSON where asked."""

    async def within() -> int:
        async with parts.open_app() as app:
            return await work(app)

    try:
        code = asyncio.run(within())
    except KeyboardInterrupt:
        err.print("Interrupted.")
        code = INTERRUPTED
    except (StudioError, ValueError) as error:
        code = tell_error(error, parts.as_json)
    raise typer.Exit(code)


def tell_error(error: StudioError | ValueError, as_json: bool) -> int:
    """One line on stderr, and JSON where asked; the exit code that goes with it."""
    err.print(f"[red]Error:[/red] {safe(in_commands(str(error)))}")
    if as_json:
        code = error.code if isinstance(error, StudioError) else "bad_settings"
        print_json({"status": "failed", "error": {"code": code, "message": str(error)}})
    return FAILED if isinstance(error, StudioError) and not isinstance(error, BadRecipe) else USAGE


def in_commands(text: str) -> str:
    """Words that were written for tools, for someone who types."""
    return _TOOL.sub(lambda found: f"`{COMMANDS[found[1]]}`", text)


def safe(text: object) -> str:
    """Text from outside is shown, never read as markup, nor by the terminal."""
    from rich.markup import escape

    return escape(_CONTROL.sub("", str(text)))


def agreed(question: str) -> bool:
    """A person's yes at a terminal; without one nobody can be asked: the question is told, and it is no.

    It blocks the loop on purpose: on a thread, Ctrl-C would leave it waiting for a line.
    """
    if not (err.is_terminal and sys.stdin.isatty()):
        err.print(safe(question))
        return False
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return typer.confirm(_CONTROL.sub("", question), err=True)
    except typer.Abort:  # Ctrl-C, or the end of the input
        err.print()
        return False
    finally:
        signal.signal(signal.SIGINT, before)


def print_json(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2, default=str) + "\n")
