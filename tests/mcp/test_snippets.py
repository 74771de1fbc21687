"""What --print-config prints can be pasted and starts this very installation."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from clients.tools.snippets import launch_command, snippet

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("client", "key"), [("claude-desktop", "mcpServers"), ("cursor", "mcpServers"), ("vscode", "servers")]
)
def test_the_snippet_is_json_with_the_real_command(client: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", "/pictures")
    monkeypatch.setenv("COMFYUI_URL", "http://gpu:8188")
    entry = json.loads(snippet(client, ROOT / "mcp_server.py"))[key]["atelier"]
    assert Path(entry["command"]).is_file()
    assert all(Path(argument).is_file() for argument in entry["args"])
    assert entry["env"] == {"ATELIER_HOME": "/pictures", "COMFYUI_URL": "http://gpu:8188"}


def test_the_claude_code_snippet_is_one_shell_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", "/my pictures")
    words = shlex.split(snippet("claude-code", ROOT / "mcp_server.py"))
    assert words[:4] == ["claude", "mcp", "add", "atelier"]
    assert "ATELIER_HOME=/my pictures" in words
    assert Path(words[words.index("--") + 1]).is_file()


def test_no_secret_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_TOKEN", "hush-hush")
    monkeypatch.setenv("COMFYUI_URL", "http://me:hush-hush@gpu:8188")
    assert "hush-hush" not in snippet("claude-desktop", ROOT / "mcp_server.py")


def test_the_installed_command_is_taken_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    assert launch_command(tmp_path / "mcp_server.py") == (str(python), [str(tmp_path / "mcp_server.py")])
    (tmp_path / "atelier-mcp").touch()
    assert launch_command(tmp_path / "mcp_server.py") == (str(tmp_path / "atelier-mcp"), [])


def test_the_command_line_prints_it() -> None:
    command = [sys.executable, str(ROOT / "mcp_server.py"), "--print-config", "vscode"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(printed)["servers"]["atelier"]["type"] == "stdio"
