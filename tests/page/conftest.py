"""Fixtures for the page: one browser for all its tests, a studio and a tab for each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.page.kit import Faults, Served, studio, tab
from tests.services.browser import chromium

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On one event loop, which is the browser's."""
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def served(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Served]:
    """A studio with 24 pictures; @pytest.mark.parametrize("served", [{"items": 500}], indirect=True) for another."""
    async with studio(tmp_path, **getattr(request, "param", {})) as one:
        yield one


@pytest.fixture
def faults() -> Faults:
    """What went wrong in the tab. The test fails on what is in it at its end: one that expects a fault clears it."""
    return Faults()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, served: Served, faults: Faults) -> AsyncGenerator[Page]:
    """A tab that shows the page of `served`; it may have no fault at the end."""
    async with tab(browser, served.url) as (opened, found):
        faults.told = found.told
        yield opened
    assert faults.told == []
