"""The server as a desktop client starts it: a process on a pipe."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from mcp import Client

from tests.fakes import fake_app
from tests.mcp.desk import ERAS, Era, pictures, told
from tests.mcp.process import INITIALIZE, INITIALIZED, PROMPT, SERVER, Pipe, call, environment, over_stdio, piped
from workflows.types import Job


@pytest.mark.models
@pytest.mark.parametrize("era", ERAS)
async def test_a_real_process_draws_a_judged_picture(era: Era, tmp_path: Path) -> None:
    async with Client(over_stdio(tmp_path), mode=era) as client:
        result = await client.call_tool("generate_image", {"prompt": PROMPT})
        while told(result)["status"] in {"queued", "running"}:
            result = await client.call_tool("get_progress", {"job_id": told(result)["job_id"], "wait_seconds": 40})
    answer = told(result)
    assert answer["status"] == "success"
    assert isinstance(answer["validation"]["positive_score"], float)
    assert pictures(result)[0].startswith((b"\x89PNG", b"\xff\xd8\xff"))


async def test_nothing_but_json_rpc_reaches_the_client(tmp_path: Path) -> None:
    async with piped(tmp_path) as pipe:
        pipe.send(INITIALIZE, INITIALIZED, call(2, "get_queue"))
        assert (await pipe.answer(1))["result"]["serverInfo"]["name"] == "atelier"
        assert (await pipe.answer(2))["result"]["structuredContent"] == {"running": [], "waiting": []}
        assert pipe.process.stdin and pipe.process.stdout
        pipe.process.stdin.close()
        rest = await pipe.process.stdout.read()
        assert [json.loads(line)["jsonrpc"] for line in rest.splitlines()] == ["2.0"] * len(rest.splitlines())
        assert await pipe.ended() == 0


async def test_a_print_during_an_import_does_not_reach_the_client(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOISE, encoding="utf-8")
    async with piped(tmp_path, SERVER, PYTHONPATH=str(tmp_path)) as pipe:
        pipe.send(INITIALIZE)
        assert (await pipe.answer(1))["id"] == 1


NOISE = """
import sys


class Noise:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("mcp", "pydantic")):
            print("noise", name, flush=True)
        return None


sys.meta_path.insert(0, Noise())
"""


async def test_rubbish_on_the_pipe_is_survived(tmp_path: Path) -> None:
    async with piped(tmp_path) as pipe:
        assert pipe.process.stdin
        pipe.process.stdin.write(b"\xff\xfe\n{\n[]\n" + b"[" * 100_000 + b"\n\n")
        pipe.send(INITIALIZE, INITIALIZED, call(2, "get_queue"))
        assert "result" in await pipe.answer(2)


@pytest.mark.models
@pytest.mark.parametrize("end", ["eof", "sigterm"])
async def test_the_end_of_the_server_leaves_its_jobs_resumable(end: str, tmp_path: Path) -> None:
    async with piped(tmp_path) as pipe:
        await _begin_a_long_job(pipe)
        _end(pipe, end)
        assert await pipe.ended() == 0
    assert [job.state for job in await _jobs(tmp_path)] == ["interrupted"]


@pytest.mark.models
async def test_a_killed_server_loses_no_job_and_the_next_one_takes_it_up(tmp_path: Path) -> None:
    async with piped(tmp_path) as pipe:
        await _begin_a_long_job(pipe)
        pipe.process.kill()
        await pipe.ended()
    async with piped(tmp_path) as pipe:
        pipe.send(INITIALIZE, INITIALIZED, call(2, "get_history"))
        jobs = (await pipe.answer(2))["result"]["structuredContent"]["jobs"]
    assert [job["status"] for job in jobs] in (["queued"], ["running"])


@pytest.mark.parametrize("end", ["eof", "sigterm", "sigint"])
async def test_an_idle_server_ends_cleanly(end: str, tmp_path: Path) -> None:
    async with piped(tmp_path) as pipe:
        pipe.send(INITIALIZE, INITIALIZED, call(2, "get_queue"))
        await pipe.answer(2)
        _end(pipe, end)
        assert await pipe.ended() == 0


def _end(pipe: Pipe, how: str) -> None:
    assert pipe.process.stdin
    if how == "eof":
        pipe.process.stdin.close()
    else:
        pipe.process.send_signal(signal.SIGTERM if how == "sigterm" else signal.SIGINT)


async def _begin_a_long_job(pipe: Pipe) -> None:
    """A call that is still waiting when the server ends; the queue says that its job runs."""
    pipe.send(INITIALIZE, INITIALIZED, call(2, "generate_image", prompt=PROMPT, count=8, steps=200))
    number = 2
    while True:
        number += 1
        pipe.send(call(number, "get_queue"))
        queue = (await pipe.answer(number))["result"]["structuredContent"]
        if queue["running"]:
            return
        await asyncio.sleep(0.1)


async def _jobs(home: Path) -> list[Job]:
    async with fake_app(home) as app:
        return await app.studio.history(5)


async def test_faulty_settings_are_all_named_and_end_in_a_usage_error(tmp_path: Path) -> None:
    settings = environment(tmp_path, ATELIER_INLINE_IMAGES="sometimes", ATELIER_IDLE_UNLOAD="soon")
    process = await asyncio.create_subprocess_exec(
        sys.executable, SERVER, env=settings, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"ATELIER_INLINE_IMAGES" in errors and b"ATELIER_IDLE_UNLOAD" in errors
