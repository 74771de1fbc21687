"""File locks that tell a living process from a dead one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients.presence import LockedPresence, anyone_left
from workflows.errors import StorageError

HOLD = """
import asyncio, sys
from pathlib import Path
import pytest

from clients.presence import LockedPresence

async def main():
    async with LockedPresence(Path(sys.argv[1])) as presence:
        print(presence.owner, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_process_is_alive_until_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        owner = holder.stdout.readline().strip()
        async with LockedPresence(tmp_path) as here:
            assert await here.alive(owner)
            assert await here.alive(here.owner)
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
            assert not await here.alive(owner)
            assert await asyncio.to_thread(anyone_left, tmp_path)
            await here.forget_the_dead()
            assert await here.alive(here.owner)
    assert not await asyncio.to_thread(anyone_left, tmp_path)


async def test_work_left_over_leaves_a_sign(tmp_path: Path) -> None:
    async with LockedPresence(tmp_path) as presence:
        presence.unfinished = True
    assert await asyncio.to_thread(anyone_left, tmp_path)


async def test_a_name_that_is_no_owner_is_never_alive(tmp_path: Path) -> None:
    async with LockedPresence(tmp_path) as presence:
        assert not await presence.alive("../../etc/passwd")


async def test_a_home_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    with pytest.raises(StorageError, match="set ATELIER_HOME"):
        async with LockedPresence(tmp_path / "file" / "processes"):
            pass
