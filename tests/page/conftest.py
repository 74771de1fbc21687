"""Fixtures for the page: one browser for all its tests, one studio for those that only look, a tab for each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.page.kit import Faults, Served, studio, tab
from tests.services.browser import chromium

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone(**how): the test changes the studio, and gets one of its own")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On one event loop, which is the browser's."""
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Served]:
    """A studio with 24 pictures, for all tests that only look at them."""
    async with studio(tmp_path_factory.mktemp("shared")) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def served(shared: Served, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Served]:
    """The studio that all share; with @pytest.mark.alone(**how) one of the test's own, made by `studio(**how)`."""
    mark = request.node.get_closest_marker("alone")
    if mark is None:
        yield shared
        return
    async with studio(tmp_path, **mark.kwargs) as one:
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
