"""What is told when something fails, and which requests are not taken at all."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from clients.web.bodies import MAX_BODY
from clients.web.table import OPERATIONS
from tests.web.served import ScriptedDesk, browser
from workflows.errors import (
    AccessDenied,
    BadRecipe,
    EngineUnavailable,
    ExtraMissing,
    ModelMissing,
    NotFound,
    RateLimited,
    Refused,
    RenderFailed,
    ServiceError,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
    StorageError,
)

POST, JSON = "/api/generate", {"content-type": "application/json"}
SECRET = "/home/owner/atelier.db"


ERRORS: tuple[tuple[Exception, int, str, str], ...] = (
    (BadRecipe("model", "x", "it is a family"), 400, "bad_recipe", "Bad request"),
    (Refused("not that"), 400, "refused", "Refused"),
    (NotFound("model", "x"), 404, "not_found", "Not found"),
    (ModelMissing("There is no qwen3:4b; there is llama3.2."), 404, "model_missing", "Model not installed"),
    (ServiceFailed("It broke off."), 502, "service_failed", "Service failed"),
    (AccessDenied("It wants a key.", "GEMINI_API_KEY"), 502, "access_denied", "Access denied"),
    (ServiceError("It did not."), 502, "service_error", "Service failed"),
    (RenderFailed("The node broke."), 502, "render_failed", "Service failed"),
    (ServiceUnavailable("Nobody answers."), 503, "service_unavailable", "Cannot connect"),
    (RateLimited("Wait.", 2.5), 503, "rate_limited", "Too many requests"),
    (EngineUnavailable("No engine."), 503, "engine_unavailable", "Cannot connect"),
    (ExtraMissing("gemini", "Gemini"), 503, "extra_missing", "Not installed"),
    (ServiceTimedOut("120 s are over."), 504, "service_timed_out", "Timed out"),
)


async def test_each_error_has_its_status_its_kind_and_its_own_words(tmp_path: Path) -> None:
    desk = ScriptedDesk()
    async with browser(tmp_path, desk) as client:
        for error, status, kind, name in ERRORS:
            desk.script = (error,)
            answer = await client.post(POST, json={"input": "a fox"})
            assert answer.status_code == status
            assert answer.json() == {"error": name, "message": str(error), "status": status, "type": kind}
            waits = "3" if isinstance(error, RateLimited) else "5" if status == 503 else None
            assert answer.headers.get("retry-after") == waits
            assert answer.headers["cache-control"] == "no-store"


async def test_what_was_not_foreseen_is_logged_and_tells_nothing_of_the_inside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = ScriptedDesk()
    unforeseen = (RuntimeError(SECRET), "internal_error"), (StorageError(f"{SECRET} is full."), "storage_error")
    async with browser(tmp_path, desk) as client:
        for error, kind in unforeseen:
            desk.script = (error,)
            with caplog.at_level(logging.ERROR):
                answer = await client.post(POST, json={"input": "a fox"})
            assert (answer.status_code, answer.json()["type"]) == (500, kind)
            assert SECRET not in answer.text
            assert SECRET in caplog.text
            caplog.clear()


BODIES = (
    (b"", "no JSON"),
    (b"{", "no JSON"),
    (b"\xff", "no JSON"),
    (b"[" * 100_000, "no JSON"),
    (b"[]", "The body cannot be []"),
    (b"{}", "input is missing"),
    (b'{"input": 5}', "input cannot be 5"),
    (b'{"input": " "}', "input cannot be ' ': it has words"),
    (b'{"input": "a\\u0000"}', "input cannot be"),
    (b'{"input": "\\ud800"}', "no JSON"),
    (b'{"input": "a fox", "stile": "Anime"}', "There is no field 'stile'. Did you mean style?"),
    (b'{"inptu": "a fox"}', "There is no field 'inptu'. Did you mean input?"),
    (b'{"input": "a fox", "presets": "anime"}', "presets cannot be 'anime'"),
    (b'{"input": "a fox", "options": {"mood": "epic"}}', "options.mood cannot be 'epic'"),
    (json.dumps({"input": "x" * 8001}).encode(), "at most 8000"),
    (json.dumps({"input": "x" * MAX_BODY}).encode(), f"at most {MAX_BODY} bytes"),
)


async def test_a_body_that_cannot_be_used_is_told_what_is_wrong(tmp_path: Path) -> None:
    desk = ScriptedDesk()
    async with browser(tmp_path, desk) as client:
        for body, said in BODIES:
            for path in (POST, "/api/generate-stream"):
                answer = await client.post(path, content=body, headers=JSON)
                assert (answer.status_code, answer.json()["type"]) == (400, "bad_request"), body[:80]
                assert said in answer.json()["message"]
                assert len(answer.json()["message"]) < 400
    assert desk.asked == []


async def test_forms_and_plain_text_are_refused_wherever_a_body_is_taken(tmp_path: Path) -> None:
    desk = ScriptedDesk(talks={"mine"})
    posts = [operation for operation in OPERATIONS if operation.body is not None]
    assert len(posts) == 9
    async with browser(tmp_path, desk) as client:
        for operation in posts:
            for form in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
                content = b'{"input": "a fox", "message": "a fox", "conversation_id": "mine"}'
                headers = {"content-type": form}
                answer = await client.request(
                    operation.method, f"/api{operation.path}", content=content, headers=headers
                )
                assert (answer.status_code, answer.json()["status"]) == (400, 400)
                assert "application/json" in answer.json()["message"]
    assert desk.asked == []


QUERIES = (
    ("limit=0", "at least 1"),
    ("limit=many", "limit cannot be 'many': it is a whole number."),
    ("limt=5", "Did you mean limit?"),
    ("q=a&q=b", "q is given twice"),
    ("q=" + "x" * 501, "q cannot be"),
)


async def test_a_query_that_cannot_be_used_is_told_what_is_wrong(tmp_path: Path) -> None:
    async with browser(tmp_path, ScriptedDesk()) as client:
        for query, said in QUERIES:
            answer = await client.get(f"/api/history?{query}")
            assert answer.status_code == 400
            assert said in answer.json()["message"]


async def test_a_refusal_at_the_door_is_told_in_the_same_form(tmp_path: Path) -> None:
    right = {"authorization": "Bearer secret"}
    async with browser(tmp_path, ScriptedDesk(), token="secret") as client:
        answers = [
            await client.get("/api/presets", headers=headers)
            for headers in ({}, right | {"host": "evil.example"}, right | {"origin": "https://evil.example"})
        ]
    told = [answer.json() for answer in answers]
    assert all(set(one) == {"error", "message", "status", "type"} for one in told)
    assert [one["status"] for one in told] == [answer.status_code for answer in answers] == [401, 421, 403]
    assert [one["type"] for one in told] == ["unauthorised", "wrong_host", "wrong_origin"]


async def test_other_methods_and_addresses_are_answered_in_the_same_form(tmp_path: Path) -> None:
    async with browser(tmp_path, ScriptedDesk()) as client:
        wrong = await client.put("/api/presets", json={})
        nowhere = [
            await client.get(path) for path in ("/api", "/api/", "/api/nothing/here", "/api/a%0Ab", "/api/presets/")
        ]
        options = await client.options("/api/presets")
        head = await client.head("/api/presets")
        whole = await client.get("/api/presets")
        no_head = await client.head("/api/generate")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert wrong.json()["type"] == "method_not_allowed"
    assert [(answer.status_code, answer.json()["type"]) for answer in nowhere] == [(404, "not_found")] * 5
    assert (options.status_code, options.headers["allow"], options.content) == (204, "GET, HEAD, OPTIONS, POST", b"")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.content))
    assert no_head.status_code == 405


async def test_every_route_asks_for_the_token_and_refuses_other_sites_and_hosts(tmp_path: Path) -> None:
    desk = ScriptedDesk(talks={"x"})
    right = {"authorization": "Bearer secret"}
    async with browser(tmp_path, desk, token="secret") as client:
        for operation in OPERATIONS:
            if operation.events:  # they are told, once somebody is let in, until he leaves
                continue
            path = f"/api{operation.path}".replace("{", "").replace("}", "")
            body: dict[str, Any] = {"json": {"input": "a"}} if operation.body else {}

            async def status(path: str = path, method: str = operation.method, body: Any = body, **headers: str) -> int:
                return (await client.request(method, path, headers=headers, **body)).status_code

            assert await status() == 401
            assert await status(authorization="bearer  secret") != 401
            assert await status(authorization="Bearer wrong") == 401
            assert await status(**right, host="evil.example") == 421
            assert await status(**right, origin="https://evil.example") == 403
            assert await status(**right, origin="null") == 403
            assert await status(**right, origin=str(client.base_url).rstrip("/")) not in {401, 403, 421}
