"""The server under contract: the fake in an ordinary run, a real one where ATELIER_TEST_COMFYUI names it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from clients.comfyui_client import ComfyUIClient, Pace
from tests.conftest import LIVE_SERVER
from tests.fake_comfyui import FakeComfyUI, recorded

REAL = os.environ.get(LIVE_SERVER, "")
HASTY = Pace(first=0.05, silence=0.1, blind=0.02, apart=0.1)
MODELS = {
    "checkpoints": ["tiny.safetensors"],
    "diffusion_models": [
        "wan2.1_t2v_1.3B_tiny.safetensors",
        "wan2.2_i2v_high_noise_14B_tiny.safetensors",
        "wan2.2_i2v_low_noise_14B_tiny.safetensors",
    ],
    "text_encoders": ["umt5_xxl_tiny.safetensors"],
    "vae": ["wan_2.1_vae.safetensors"],
}

if REAL:

    @pytest.fixture(autouse=True)
    def only_loopback() -> None:
        """The server under test may be elsewhere."""


@pytest.fixture(params=["real"] if REAL else ["A", "B"])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A server's address."""
    if REAL:
        yield REAL
        return
    era = request.param.lower()
    nodes = recorded(f"nodes_{era}", f"nodes_video_{era}")
    async with FakeComfyUI(era=request.param, nodes=nodes, models=MODELS) as fake:
        fake.worker.step_seconds = 0.02
        yield fake.url


@pytest.fixture
async def client(url: str) -> AsyncIterator[ComfyUIClient]:
    async with ComfyUIClient(url, pace=Pace() if REAL else HASTY) as client:
        yield client
