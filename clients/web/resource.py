"""Resource: everything that can be asked of one address. It reads the request, and tells what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clients.web.answers import Talked
from clients.web.bodies import read_body, read_query
from clients.web.cookie import conversation_of, cookie_for
from clients.web.faults import fault_response, stopped_response, wrong_method
from clients.web.media import Sent, sent_response
from clients.web.operations import Call, Operation
from clients.web.sending import NEVER_KEPT, Json, Sending
from clients.web.stream import EventStream, Feed, Listener, farewell, while_there
from clients.web.uploads import read_upload
from utils.sessions import COOKIE as SESSION_COOKIE
from workflows.app import App
from workflows.types import new_id

Run = Callable[[Listener | None], Awaitable[Any]]


class Resource:
    """An ASGI app for one address, whose path is already matched."""

    def __init__(self, operations: Sequence[Operation], app: Callable[[], Awaitable[App]], heartbeat: float) -> None:
        self._operations = {operation.method: operation for operation in operations}
        if "GET" in self._operations:
            self._operations["HEAD"] = self._operations["GET"]
        self._allowed = ", ".join(sorted({*self._operations, "OPTIONS"}))
        self._app = app
        self._heartbeat = heartbeat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        operation = self._operations.get(request.method)
        if operation is None:
            await self._other_method(request.method)(scope, receive, send)
            return
        try:
            arguments = await _arguments(operation, request)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - told to the client, and logged where it was not foreseen
            await fault_response(error)(scope, receive, send)
            return
        sending = Sending(send)
        if await while_there(receive, self._answer(operation, arguments, request, sending)):
            return
        if not sending.begun:
            await stopped_response()(scope, receive, sending)
        elif operation.streams or operation.events:
            await farewell(sending)

    def _other_method(self, method: str) -> Response:
        if method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": self._allowed, **NEVER_KEPT})
        return wrong_method(method, self._allowed)

    async def _answer(self, operation: Operation, arguments: dict[str, Any], request: Request, send: Send) -> None:
        signed_in = SESSION_COOKIE in request.cookies
        call = Call(app=self._app, cookie=conversation_of(request), begins=new_id(), signed_in=signed_in)

        def run(listener: Listener | None = None) -> Awaitable[Any]:
            return operation.run(replace(call, listener=listener), **arguments)

        def headers() -> Mapping[str, str]:
            return cookie_for(call.entered[-1], request) if call.entered else {}

        if operation.events:
            await Feed(operation.run(call, **arguments), self._heartbeat)(request.scope, request.receive, send)
        elif operation.streams:
            await EventStream(run, headers, self._heartbeat)(request.scope, request.receive, send)
        else:
            response = await _response(operation.status, run, request)
            await response(request.scope, request.receive, send)


async def _arguments(operation: Operation, request: Request) -> dict[str, Any]:
    arguments: dict[str, Any] = {name: request.path_params[name] for name in operation.parts}
    if operation.body is not None:
        arguments["body"] = await read_body(operation.body, request)
    if operation.uploads:
        arguments["upload"] = await read_upload(request)
    if operation.query is not None:
        arguments["query"] = read_query(operation.query, request)
    return arguments


async def _response(status: int, run: Run, request: Request) -> Response:
    try:
        answer: BaseModel | Sent = await run(None)
        if isinstance(answer, Sent):
            return await sent_response(answer, request)
    except Exception as error:  # noqa: BLE001 - told to the client, and logged where it was not foreseen
        return fault_response(error)
    headers = cookie_for(answer.conversation_id, request) if isinstance(answer, Talked) else None
    return Json(answer.model_dump(mode="json", exclude_unset=True), status, headers)
