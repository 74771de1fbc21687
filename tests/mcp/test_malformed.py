"""Two hundred calls that no sane client makes; the server answers each, and the next sane one too."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from clients.tools.server import TOOLS
from tests.mcp.desk import ERAS, Era, desk

CALLS = 200


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


STRANGE: list[Any] = [
    None,
    True,
    -1,
    10**400,
    1e308,
    -0.5,
    "",
    "\x00",
    "NaN",
    "../../../etc/passwd",
    "..\\..\\windows\\system32",
    "/etc/passwd",
    "C:\\",
    "file:///etc/passwd",
    "%2e%2e%2f",
    "'; DROP TABLE items; --",
    "%s%n{0}{__class__}",
    "\u202e\u0000\uffff\U0001f600",
    "(" * 5000,
    "x" * 1_000_000,
    [],
    ["\x00"],
    nested(200),
    {},
    {"$ref": "#"},
    {"a": {"b": [1, 2, {"c": None}]}},
]
NAMES = ["prompt", "job_id", "image_id", "image_name", "width", "limit", "cursor", "since", "promt", "__class__", ""]


def malformed() -> Iterator[tuple[str, dict[str, Any]]]:
    """Tool after tool, argument after argument, value after value; the same every time."""
    tools = itertools.cycle([tool.name for tool in TOOLS])
    for number, (value, name) in enumerate(itertools.product(STRANGE, NAMES)):
        arguments = {name: value}
        if number % 3 == 0:
            arguments = {"prompt": "a cat", "wait_seconds": 0} | arguments
        yield next(tools), arguments


@pytest.mark.parametrize("era", ERAS)
async def test_two_hundred_malformed_calls_leave_the_server_answering(era: Era, tmp_path: Path) -> None:
    async with desk(tmp_path, era) as at:
        texts: list[str] = []
        for tool, arguments in itertools.islice(malformed(), CALLS):
            try:
                result = await at.client.call_tool(tool, arguments)
            except MCPError as error:
                texts.append(error.error.message)
            else:
                texts += [getattr(block, "text", "") for block in result.content] if result.is_error else []
        answer = await at.ask("generate_image", prompt="a cat")
    assert answer["status"] == "success"
    assert len(texts) > CALLS // 2
    assert not [text for text in texts if "broke" in text or "validation error" in text or "Traceback" in text]
    assert max(len(text) for text in texts) < 2000


async def test_unknown_methods_and_tools_are_refused_and_the_server_goes_on(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        for name in ("", "../generate_image", "x" * 10_000, "generate_image\x00"):
            assert "There is no tool" in await at.refused(name)
        assert (await at.ask("get_queue"))["running"] == []
