"""`atelier batch` as a person runs it: processes of its own, FAL and Gemini through their own SDKs, stand-ins on
loopback. Killed, out of budget, and gone on with: every call that costs money is made once."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests import fake_fal, fake_gemini
from tests.fake_fal import FakeFal, Work
from tests.fake_gemini import DRAWERS, MODELS, FakeGemini, Json
from tests.mcp.process import ROOT, environment
from utils.images import decode

KILLS = 3
PROMPTS = """
defaults: {engine: fal, validate: false, width: 64, height: 64}
prompts:
  - {id: fox, title: The fox, prompt: a fox in snow}
  - {id: owl, prompt: an owl at night}
"""
SEEN = {"q1": "A red field.", "q2": "the snow", "q3": "4", "q4": "no"}


@dataclass
class Killer:
    """Ends the process that runs at the `nth` thing that a service is asked for from now on."""

    process: asyncio.subprocess.Process | None = None
    nth: int = 0

    def heard(self) -> None:
        self.nth -= 1
        if self.nth == 0 and self.process is not None:
            self.process.send_signal(signal.SIGKILL)


class Fal(FakeFal):
    """What is asked after a submit may be the last thing that a process does."""

    def __init__(self, killer: Killer) -> None:
        super().__init__()
        self.killer = killer

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.method == "GET":
            self.killer.heard()
        return await super()._door(request, handler)


@dataclass
class Services:
    """Both stand-ins, and what Gemini was asked in words: looks, and prompts to reword."""

    fal: Fal
    gemini: FakeGemini
    killer: Killer
    asked: Counter[str] = field(default_factory=Counter[str])

    @property
    def paid(self) -> int:
        return len(self.fal.requests) + sum(self.asked.values())

    def answer(self, body: Json) -> str:
        """A look is never content, and every rewording says more."""
        parts: list[Json] = body["contents"][0]["parts"]
        words = str(parts[-1]["text"])
        if any("inlineData" in part for part in parts):
            self.asked["look"] += 1
            return json.dumps(SEEN)
        drawn = words.split("The prompt that was drawn:\n<<<")[1].partition(">>>")[0]
        self.asked[f"reword {drawn}"] += 1
        return json.dumps({"prompt": f"{drawn}, more", "negative": "", "said": "more"})


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    killer = Killer()
    async with Fal(killer) as fal, FakeGemini({**MODELS, **DRAWERS}) as gemini:
        here = Services(fal, gemini, killer)
        gemini.answers = here.answer
        fal.plan(*[Work(queue=(), logs=())] * 9)
        yield here


@asynccontextmanager
async def atelier(
    services: Services, home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    services.fal.environment(monkeypatch, home)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "generate.py"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(
            home / "home",
            COMFYUI_URL="off",
            FAL_KEY=fake_fal.KEY,
            GEMINI_API_KEY=fake_gemini.KEY,
            GOOGLE_GEMINI_BASE_URL=services.gemini.url,
            ATELIER_VISION_MODEL="gemini-3-flash",
            OLLAMA_MODEL="gemini-3-flash",
            LOG_LEVEL="DEBUG",
        ),
        cwd=home,
    )
    services.killer.process = process
    yield process
    if process.returncode is None:
        process.kill()
    await process.wait()


async def batch(services: Services, home: Path, monkeypatch: pytest.MonkeyPatch, *further: str) -> tuple[int, str]:
    """Its exit code, and what it told."""
    options = ("--input-file", "prompts.yaml", "--batch-size", "1", "--iterations", "2", "--evaluator", "gemini")
    async with atelier(services, home, monkeypatch, "batch", *options, "--run-id", "night", *further) as process:
        told = await process.communicate()
        assert process.returncode is not None
        return process.returncode, b"".join(told).decode()


async def test_a_batch_in_the_cloud_survives_kills_and_a_spent_budget_and_pays_once(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prompts.yaml").write_text(PROMPTS, encoding="utf-8")
    chance = random.Random(8)
    code, told = await batch(services, tmp_path, monkeypatch, "--max-calls", "2")
    assert (code, services.paid) == (1, 2), told
    assert "at most 2 may be made" in told
    for _ in range(KILLS):
        services.killer.nth = chance.randint(1, 6)
        code, told = await batch(services, tmp_path, monkeypatch, "--resume")
        assert code == -signal.SIGKILL, told
    services.killer.nth = 0
    code, told = await batch(services, tmp_path, monkeypatch, "--resume")
    assert code == 3, told

    prompts = ["a fox in snow", "a fox in snow, more", "an owl at night", "an owl at night, more"]
    assert sorted(one.arguments["prompt"] for one in services.fal.requests.values()) == sorted(prompts)
    assert services.asked == {"look": 4, "reword a fox in snow": 1, "reword an owl at night": 1}
    check_folder(tmp_path / "out")
    check_log(tmp_path / "home/logs/night.log")


def check_folder(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_bytes())
    assert (summary["states"], summary["pictures"], summary["accepted"]) == ({"succeeded": 2}, 4, 0)
    assert {(one["service"], one["operation"]) for one in summary["services"]} == {
        ("fal", "render"),
        ("gemini", "answer"),
        ("gemini", "chat"),
    }
    assert decode((out / "results/owl/iteration_2.png").read_bytes()).size == (64, 64)
    assert decode((out / "contact_sheet.png").read_bytes()).width > 100
    assert not list(out.rglob("*.part"))


def check_log(log: Path) -> None:
    """Every line is JSON of this run, and no key is in it."""
    text = log.read_text(encoding="utf-8")
    assert fake_fal.KEY not in text and fake_gemini.KEY not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["run_id"] for line in lines} == {"night"}
    assert {"called fal", "called gemini", "round 2: refining done", "batch ended"} & {line["event"] for line in lines}
