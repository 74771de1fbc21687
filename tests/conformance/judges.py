"""The outside judges, as npm packages under .cache at exact versions, and how to run one."""

from __future__ import annotations

import asyncio
import filecmp
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "conformance"
MODULES = CACHE / "node_modules"
MANIFEST = Path(__file__).with_name("package.json")
SUITE = MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
NEXT_SUITE = MODULES / "conformance-next" / "dist" / "index.js"
INSPECTOR = MODULES / ".bin" / "mcp-inspector"
LIMIT_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def tail(self) -> str:
        return "\n".join((self.out + self.err).splitlines()[-25:])


def environment(home: Path) -> dict[str, str]:
    """Node 22 first in the path, and nothing written outside `home` and the cache."""
    bins = f"{MODULES / '.bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    npm = {
        "npm_config_cache": str(CACHE / "npm"),
        "npm_config_update_notifier": "false",
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_package_lock": "false",
    }
    return {
        **os.environ,
        **npm,
        "PATH": bins,
        "HOME": str(home),
        "ATELIER_HOME": str(home / "atelier"),
        "COMFYUI_URL": "off",
    }


async def install(home: Path) -> None:
    """Bring the judges of package.json into the cache, unless they are there. Raises RuntimeError."""
    installed = CACHE / "package.json"
    if SUITE.exists() and NEXT_SUITE.exists() and filecmp.cmp(installed, MANIFEST, shallow=False):
        return
    if shutil.which("npm") is None:
        raise RuntimeError("npm is needed to install the conformance suite (any Node from 18 on brings it).")
    CACHE.mkdir(parents=True, exist_ok=True)
    shutil.copy(MANIFEST, installed)
    done = await run("npm", "install", "--no-package-lock", home=home, folder=CACHE)
    if done.code != 0:
        installed.unlink()
        raise RuntimeError(f"npm install failed:\n{done.tail}")


async def run(*command: str, home: Path, folder: Path | None = None) -> Finished:
    """Run to the end, within LIMIT_SECONDS. Raises TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder or home,
        env=environment(home),
    )
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Finished(code=process.returncode or 0, out=out.decode(errors="replace"), err=err.decode(errors="replace"))
