"""A process killed with -9 while it deletes, restores or erases: what the next one finds, and mends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflows.gallery.kit import open_filed
from tests.workflows.gallery.test_trash_breaks import AFTER, BEFORE, Act, prepared, seen, settled

DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.workflows.gallery.kit import Breaking, BreakingStore, open_filed

class Deadly(Breaking):
    def breaks(self):
        if super().breaks():
            os.kill(os.getpid(), signal.SIGKILL)
        return False

async def main(home, act, at):
    async with open_filed(Path(home)) as filed:
        gallery = filed.another(store=BreakingStore(filed.store, Deadly(at=int(at))))
        await {"delete": gallery.delete, "restore": gallery.restore}.get(act, gallery.erase)("p")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("act", "at"),
    [("delete", 2), ("delete", 4), ("restore", 2), ("restore", 4), ("erase", 2), ("erase from trash", 3)],
)
async def test_a_killed_process_leaves_the_picture_here_or_there_and_the_rest_is_mended(
    tmp_path: Path, act: Act, at: int
) -> None:
    async with open_filed(tmp_path) as filed:
        await prepared(filed, act, "p")
    call = [sys.executable, "-c", DIES, str(tmp_path), act, str(at)]
    died = await asyncio.to_thread(subprocess.run, call, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr

    async with open_filed(tmp_path) as filed:
        assert await seen(filed, "p") in {BEFORE[act], AFTER[act], "trash"}
        assert await settled(filed, "p") in {AFTER[act], "trash"}
        assert await filed.gallery.mend() == 0
