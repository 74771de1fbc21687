"""Judge the production server from outside: the MCP conformance suite in both eras, then the Inspector."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.judges import INSPECTOR, NEXT_SUITE, ROOT, SUITE, Finished, environment, install, run

Asking = Callable[..., Awaitable[Finished]]
START_SECONDS = 30
SERVER = str(ROOT / "mcp_server.py")
PROMPT = "a red circle on a white background"
FILE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
TOOL_FAILED = 5
"""Exit code of the Inspector for a tool that answered isError."""


@dataclass
class Report:
    """What was found, line by line."""

    lines: list[str] = field(default_factory=list[str])
    failures: int = 0

    def add(self, name: str, fault: str | None, note: str = "") -> None:
        self.failures += fault is not None
        self.lines.append(f"{'FAIL' if fault else 'ok  '} {name}{f' ({note})' if note else ''}")
        if fault:
            self.lines.append("     " + fault.strip().replace("\n", "\n     "))
        sys.stdout.write("\n".join(self.lines[-2 if fault else -1 :]) + "\n")
        sys.stdout.flush()


@asynccontextmanager
async def production_server(home: Path) -> AsyncGenerator[str]:
    """The HTTP server with the fixtures, in its own process; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = home / "server.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.conformance.served",
            str(port),
            cwd=ROOT,
            env=environment(home),
            stderr=errors,
        )
    try:
        await until_healthy(port, process, log)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def until_healthy(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    """Raises RuntimeError with the server's log when it does not come up."""
    for _ in range(START_SECONDS * 5):
        if process.returncode is None and await asyncio.to_thread(is_healthy, port):
            return
        await asyncio.sleep(0.2)
    raise RuntimeError(f"The server did not come up:\n{log.read_text(encoding='utf-8')}")


def is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


async def judge_suite(report: Report, url: str, home: Path) -> None:
    """Every scenario of both suites; one FAILURE anywhere is a failure."""
    for name, suite, options in (
        ("conformance 0.1.16", SUITE, []),
        ("conformance 0.2.0-alpha.12, 2025-11-25", NEXT_SUITE, ["--spec-version", "2025-11-25"]),
        ("conformance 0.2.0-alpha.12, 2026-07-28", NEXT_SUITE, ["--spec-version", "2026-07-28"]),
    ):
        out = home / name.replace(" ", "-")
        command = ["node", str(suite), "server", "--url", url, "--suite", "all", "-o", str(out), *options]
        done = await run(*command, home=home)
        checks = [(file, check) for file in out.rglob("checks.json") for check in json.loads(file.read_bytes())]
        failed = [f"{file.parent.name}: {told(check)}" for file, check in checks if check["status"] == "FAILURE"]
        fault = "\n".join(failed) or (done.tail if done.code or not checks else None)
        passed = sum(check["status"] == "SUCCESS" for _, check in checks)
        report.add(name, fault, f"{passed} checks passed")


def told(check: dict[str, str]) -> str:
    return f"{check.get('name')}: {check.get('errorMessage') or check.get('description')}"


async def judge_inspector(report: Report, url: str, home: Path) -> None:
    """The same few questions over both transports."""
    for name, target in (
        ("stdio", [sys.executable, SERVER]),
        ("http", [url, "--transport", "http"]),
    ):

        async def ask(*options: str, target: list[str] = target) -> Finished:
            return await run(str(INSPECTOR), "--cli", *target, *options, home=home)

        for era in ("legacy", "modern"):
            done = await ask("--method", "initialize", "--protocol-era", era, "--format", "json", "-q")
            report.add(f"inspector {name}, initialize, {era}", done.tail if done.code else None)
        done = await ask("--method", "tools/list", "--strict", "--format", "json")
        report.add(f"inspector {name}, tools/list --strict", done.tail if done.code else None)
        report.add(f"inspector {name}, a picture", await picture_fault(ask))
        done = await ask("--method", "tools/call", "--tool-name", "get_image", "--tool-arg", "image_id=nothing")
        report.add(
            f"inspector {name}, a failing call", None if done.code == TOOL_FAILED else f"{done.code}: {done.tail}"
        )


async def picture_fault(ask: Asking) -> str | None:
    """Draw something, and look at the bytes that came back."""
    call = json.dumps({"prompt": PROMPT, "seed": 1})
    done = await ask(
        *("--method", "tools/call", "--tool-name", "generate_image", "--tool-args-json", call, "--format", "json")
    )
    if done.code:
        return f"{done.code}: {done.tail}"
    found = [block["data"] for block in find_content(json.loads(done.out)) if block["type"] == "image"]
    pictures = [base64.b64decode(data) for data in found]
    return None if pictures and all(picture.startswith(FILE_STARTS) for picture in pictures) else done.tail


def find_content(answer: Any) -> list[dict[str, str]]:
    """The content blocks, wherever the Inspector's JSON has them."""
    if "content" in answer:
        return answer["content"]
    return next(find_content(part) for part in answer.values() if isinstance(part, dict))


async def main() -> int:
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        await install(home)
        async with production_server(home) as url:
            await judge_suite(report, url, home)
            await judge_inspector(report, url, home)
    sys.stdout.write(f"{report.failures} failures\n")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
