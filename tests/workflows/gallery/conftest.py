"""What the gallery's tests stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.workflows.gallery.kit import Filed, open_filed


@pytest.fixture
async def filed(tmp_path: Path) -> AsyncIterator[Filed]:
    async with open_filed(tmp_path) as filed:
        yield filed
