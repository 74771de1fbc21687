"""What a person pastes into a client's configuration, with the real paths of this installation."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

SCRIPT = "atelier-mcp"
PASSED_ON = (
    "ATELIER_HOME",
    "ATELIER_LOCAL_MODEL",
    "ATELIER_INLINE_IMAGES",
    "ATELIER_ALLOWED_ROOTS",
    "COMFYUI_URL",
    "COMFYUI_URLS",
)
"""Settings that a client would not inherit. An address with a password in it is a secret, and is left out."""


def snippet(client: str, server_file: Path) -> str:
    """The text for one of CLIENTS; `server_file` is used where no installed command lies beside the interpreter."""
    command, arguments = launch_command(server_file)
    return CLIENTS[client](command, arguments, _environment())


def launch_command(server_file: Path) -> tuple[str, list[str]]:
    """How to start this very installation from anywhere."""
    folder = Path(sys.executable).parent
    for name in (SCRIPT, f"{SCRIPT}.exe"):
        if (folder / name).is_file():
            return str(folder / name), []
    return sys.executable, [str(server_file.resolve())]


def _environment() -> dict[str, str]:
    given = {name: os.environ.get(name, "") for name in PASSED_ON}
    return {name: value for name, value in given.items() if value and not ("://" in value and "@" in value)}


def _in_json(key: str, extra: dict[str, str]) -> Callable[[str, list[str], dict[str, str]], str]:
    def write(command: str, arguments: list[str], environment: dict[str, str]) -> str:
        entry: dict[str, object] = {**extra, "command": command, "args": arguments}
        if environment:
            entry["env"] = environment
        return json.dumps({key: {"atelier": entry}}, indent=2)

    return write


def _claude_code(command: str, arguments: list[str], environment: dict[str, str]) -> str:
    settings = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    return shlex.join(["claude", "mcp", "add", "atelier", *settings, "--", command, *arguments])


CLIENTS: dict[str, Callable[[str, list[str], dict[str, str]], str]] = {
    "claude-desktop": _in_json("mcpServers", {}),
    "claude-code": _claude_code,
    "cursor": _in_json("mcpServers", {}),
    "vscode": _in_json("servers", {"type": "stdio"}),
}
