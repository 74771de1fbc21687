"""The description of the routes: whole, and held to by the server whatever is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from clients.web.openapi import described
from clients.web.operations import Operation
from clients.web.table import OPERATIONS
from tests.web.served import ScriptedDesk, browser
from workflows.errors import ServiceFailed, ServiceTimedOut, ServiceUnavailable
from workflows.types import HistoryEntry, HistoryPage

ADDRESS = "/api/openapi.json"
ENDLESS = "GET /api/events"
WORDED = ("POST /api/jobs", "POST /api/images", "POST /api/images/{id}/regenerate", "PATCH /api/images/{id}")
WELL_TOLD = ["2xx", "4xx", 503]
SETTINGS: dict[str, Any] = {
    "seed": 1,
    "generation": {"max-examples": 5, "deterministic": True, "no-shrink": True, "database": "none"},
    "phases": {"stateful": {"enabled": False}},
    "suppress-health-check": ["all"],
    "warnings": False,
    "operations": [
        {"include-path": "/api/events", "enabled": False},  # it has no end
        # Which arguments go together is told in words: a mask without a picture, say, is refused with 400.
        {"include-name": [*WORDED], "checks": {"positive_data_acceptance": {"enabled": False}}},
        # What looks alike is not known here, as where the extra is not installed; and no made-up cursor is ours.
        {
            "include-name": "GET /api/images",
            "checks": {
                "not_a_server_error": {"expected-statuses": WELL_TOLD},
                "positive_data_acceptance": {"enabled": False},
            },
        },
    ],
}
Tried = dict[str, set[int]]


def tried_and_strayed(url: str) -> tuple[Tried, list[str]]:
    """Which statuses each operation answered with, and where the server did not hold to its description.

    Bodies, queries and paths as described, at the limits of it and against it; methods that are not described.
    """
    schema = schemathesis.openapi.from_url(f"{url}{ADDRESS}", config=SchemathesisConfig.from_dict(SETTINGS))
    tried: Tried = {}
    strayed: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, FatalError | NonFatalError):
            strayed.append(f"{type(event).__name__} {event}")
        if not isinstance(event, ScenarioFinished):
            continue
        for sent in event.recorder.interactions.values():
            if sent.response is not None:
                tried.setdefault(str(event.label), set()).add(sent.response.status_code)
        for case, checks in event.recorder.checks.items():
            failed = [check for check in checks if check.status is Status.FAILURE]
            told = event.recorder.cases[case].value.as_curl_command()
            strayed += [f"{check.name} {check.failure_info and check.failure_info.failure}: {told}" for check in failed]
    return tried, strayed


async def test_the_server_holds_to_its_description_whatever_is_sent(tmp_path: Path) -> None:
    entry = HistoryEntry(input="a fox", output="a red fox", family="sdxl")
    desk = ScriptedDesk(writer_names=("qwen3:4b",), page=HistoryPage(entries=(entry,), total=1))
    async with browser(tmp_path, desk) as client:
        tried, strayed = await asyncio.to_thread(tried_and_strayed, str(client.base_url))
    assert strayed == []
    assert {label for label in tried if label != f"GET {ADDRESS}"} == labels(*OPERATIONS) - {f"GET {ADDRESS}", ENDLESS}
    written = labels(*(operation for operation in OPERATIONS if operation.body is not None))
    assert {label for label in written if not tried[label] >= {400}} == set()
    never = {label for label in tried if not tried[label] & {200, 201, 202}}
    assert {label for label in never if "{" not in label} == set()  # ids that are there are hard to guess


async def test_the_description_is_of_every_route_with_the_answers_that_it_gives(tmp_path: Path) -> None:
    async with browser(tmp_path, ScriptedDesk()) as client:
        document = (await client.get(ADDRESS)).json()
    assert document == described(OPERATIONS)
    assert document["openapi"] == "3.1.0"
    told = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert told == labels(*OPERATIONS)
    names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names)
    picked = document["components"]["schemas"]["GenerateBody"]["properties"]["options"]
    assert picked["additionalProperties"] is False  # names that do not fit the pattern are refused, and said to be
    assert all(one["summary"] for methods in document["paths"].values() for one in methods.values())


async def test_errors_of_a_language_model_are_described_too(tmp_path: Path) -> None:
    for error in (ServiceFailed("It broke off."), ServiceUnavailable("Nobody."), ServiceTimedOut("Late.")):
        desk = ScriptedDesk(writer_names=("qwen3:4b",), script=(error,))
        async with browser(tmp_path, desk) as client:
            document = (await client.get(ADDRESS)).json()
            for method, path, body in (
                ("get", "/api/models", None),
                ("post", "/api/generate", {"input": "a fox"}),
                ("post", "/api/chat-stream", {"message": "a fox"}),
            ):
                answer = await client.request(method, path, json=body)
                described_as = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]
                assert answer.status_code >= 500
                assert described_as == {"application/json": {"schema": {"$ref": "#/components/schemas/Fault"}}}
                assert set(answer.json()) == set(document["components"]["schemas"]["Fault"]["required"])


def labels(*operations: Operation) -> set[str]:
    return {f"{operation.method} /api{operation.path}" for operation in operations}
