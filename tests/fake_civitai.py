"""A CivitAI on a real port of 127.0.0.1: search, models, versions, hashes, and downloads from another host name.

    async with FakeCivitAI() as fake:
        added = fake.add("Neon Style", type="LORA", base_model="SDXL 1.0", data=weights({...}))
        async with CivitAIClient(fake.url) as client: ...
        assert fake.asked[-1].path == "/api/v1/models"

    with in_thread(FakeCivitAI()) as fake: ...      for code that runs a loop of its own

A download answers 307 to localhost, the same port under another name, where the bytes lie; as the real storage does,
that host answers 400 to a request with Authorization, and 403 to a link that has run out. What it should do wrong is
said before:

    fake.answer("/api/v1/models", 429, {"error": "..."}, {"Retry-After": "0"}, times=2)
    fake.answer("/api/v1/models", 200, "<html>")         a page instead of JSON; status 0: the connection breaks
    fake.cut(1000)                                        the next transfer breaks off after so many bytes
    fake.wrong.add(version_id)                            bytes that are not those of the stated hash
    fake.walled.add(version_id)                           a log-in page instead of the file
    fake.early.add(version_id)                            403: early access
    fake.locked = True                                    downloads need the key; without one: the log-in page
    fake.rangeless = True                                 the storage sends whole files only
    fake.expire()                                         links that were given out work no more
    gate = fake.hold(1000)                                a transfer stops there: gate.reached.wait(), gate.go.set()
    fake.pace(block=1024, seconds=0.01)                   a slow line

Shapes and error texts are those of developer.civitai.com and of the site's own handlers as they were read for this
project. Nothing here was compared with the live service.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import threading
import zlib
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, cast

from aiohttp import web

from tests.civitai_shapes import SORTS, a_file, a_model, a_version, fault_of, weights

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = "0123456789abcdef0123456789abcdef"
LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Civitai</title></head><body>Sign in</body></html>"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    host: str
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Added:
    """What was put up: the objects as the API gives them (change them in place), and the file."""

    model: Json
    version: Json
    data: bytes

    @property
    def model_id(self) -> int:
        return self.model["id"]

    @property
    def version_id(self) -> int:
        return self.version["id"]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def reference(self) -> str:
        return f"civitai:{self.model_id}@{self.version_id}"


@dataclass(eq=False)
class Gate:
    """`after` so many bytes of a transfer."""

    after: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Scripted:
    path: str
    status: int
    body: object
    headers: Mapping[str, str]
    times: int


class FakeCivitAI:
    """See the module. `key`: the one that a request with Authorization must show."""

    def __init__(self, *, key: str = KEY) -> None:
        self.key = key
        self.added: list[Added] = []
        self.asked: list[Asked] = []
        self.wrong: set[int] = set()
        self.walled: set[int] = set()
        self.early: set[int] = set()
        self.locked = False
        self.rangeless = False
        self.leaks = False
        """A search with nsfw=false lets through what only its levels tell, as the real one does."""
        self._scripted: list[Scripted] = []
        self._cuts: list[int] = []
        self._gate: Gate | None = None
        self._pace: tuple[int, float] = (1 << 16, 0.0)
        self._links = 0
        self._oldest_link = 0
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def of(self, path: str) -> list[Asked]:
        """The requests whose path begins so."""
        return [asked for asked in self.asked if asked.path.startswith(path)]

    def add(
        self,
        name: str,
        *,
        type: str = "LORA",
        base_model: str = "SDXL 1.0",
        data: bytes | None = None,
        file: str = "",
        file_fields: Mapping[str, Any] | None = None,
        version: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Added:
        """Put up a model with one version and one file; `fields` are the model's, `version` those of its version."""
        number = len(self.added) + 1
        data = weights(seed=number) if data is None else data
        file = file or f"{name.lower().replace(' ', '_')}.safetensors"
        rows = [a_file(number, file, data) | dict(file_fields or {})]
        made = a_version(number, base_model, rows) | dict(version or {})
        model = a_model(number, name, type) | fields
        self.added.append(Added(model=model, version=made, data=data))
        return self.added[-1]

    def answer(
        self,
        path: str,
        status: int,
        body: object = "",
        headers: Mapping[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """What the next requests below that path get instead."""
        self._scripted.append(Scripted(path, status, body, headers or {}, times))

    def cut(self, *after: int) -> None:
        """The next transfers, one for each number, break off after so many bytes of theirs."""
        self._cuts.extend(after)

    def hold(self, after: int = 0) -> Gate:
        self._gate = Gate(after)
        return self._gate

    def pace(self, *, block: int, seconds: float) -> None:
        """So many bytes at a time, with a rest after each."""
        self._pace = block, seconds

    def expire(self) -> None:
        self._oldest_link = self._links + 1

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application(middlewares=[self._door])
        app.router.add_get("/api/v1/models", self._search, allow_head=False)
        app.router.add_get("/api/v1/models/{id}", self._one_model, allow_head=False)
        app.router.add_get("/api/v1/model-versions/{id}", self._one_version, allow_head=False)
        app.router.add_get("/api/v1/model-versions/by-hash/{hash}", self._by_hash, allow_head=False)
        app.router.add_post("/api/v1/model-versions/by-hash", self._by_hashes)
        app.router.add_route("*", "/api/download/models/{id}", self._download)
        app.router.add_get("/storage/{id}", self._storage, allow_head=False)
        app.router.add_get("/login", self._login, allow_head=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @web.middleware
    async def _door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        query = {name: tuple(request.query.getall(name)) for name in request.query}
        headers = dict(request.headers)
        self.asked.append(
            Asked(method=request.method, path=request.path, host=request.host, query=query, headers=headers)
        )
        for scripted in self._scripted:
            if request.path.startswith(scripted.path) and scripted.times > 0:
                scripted.times -= 1
                return _scripted(request, scripted)
        if request.headers.get("User-Agent", "").startswith(("Python-urllib", "python-httpx")):
            return web.Response(status=403, text="error code: 1010")
        told = request.headers.get("Authorization")
        if told is not None and request.path.startswith("/api") and told != f"Bearer {self.key}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        return await handler(request)

    # Search, models, versions

    async def _search(self, request: web.Request) -> web.Response:
        query = request.query
        if fault := fault_of(request):
            return fault
        found = [added for added in self.added if self._wanted(added, request)]
        key = SORTS[query.get("sort", "Highest Rated")]
        if key:
            found.sort(key=lambda added: -int(cast(Json, added.model["stats"] or {}).get(key, 0)))
        elif query.get("sort") == "Newest":
            found.reverse()
        limit, start = int(query.get("limit", 100)), int(query.get("cursor", "0").partition("|")[0])
        metadata: Json = {"currentPage": 1, "pageSize": limit}
        if start + limit < len(found):
            cursor = f"{start + limit}|1795000000000"
            metadata |= {"nextCursor": cursor, "nextPage": f"{self.url}/api/v1/models?cursor={cursor}"}
        items = [self._whole(added) for added in found[start : start + limit]]
        return web.json_response({"items": items, "metadata": metadata})

    def _wanted(self, added: Added, request: web.Request) -> bool:
        query, model = request.query, added.model
        words = f"{model['name']} {' '.join(model['tags'] or ())}".lower()
        checks: Mapping[str, Callable[[list[str]], bool]] = {
            "query": lambda asked: all(word in words for word in asked[0].lower().split()),
            "types": lambda asked: model["type"] in asked,
            "baseModels": lambda asked: added.version["baseModel"] in asked,
            "tag": lambda asked: asked[0] in (model["tags"] or ()),
            "nsfw": lambda asked: asked[0] == "true" or not (model["nsfw"] or self._level(added) & 28),
        }
        return all(check(query.getall(name)) for name, check in checks.items() if name in query)

    def _level(self, added: Added) -> int:
        return 0 if self.leaks else int(added.model["nsfwLevel"] or 0)

    def _whole(self, added: Added) -> Json:
        """A row of /models: its versions hold neither their model nor their model's id."""
        version = {name: value for name, value in self._linked(added).items() if name not in {"model", "modelId"}}
        return added.model | {"modelVersions": [version]}

    def _alone(self, added: Added) -> Json:
        parent = {name: added.model[name] for name in ("name", "type", "nsfw", "poi")}
        return self._linked(added) | {"model": parent}

    def _linked(self, added: Added) -> Json:
        """The version, with addresses on this server in the place of {site}."""
        return cast(Json, json.loads(json.dumps(added.version).replace("{site}", self.url)))

    async def _one_model(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        found = next((added for added in self.added if str(added.model_id) == wanted), None)
        if found is None:
            return web.json_response({"error": f"No model with id {wanted}"}, status=404)
        return web.json_response(self._whole(found))

    async def _one_version(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        found = next((added for added in self.added if str(added.version_id) == wanted), None)
        if found is None:
            return web.json_response({"error": f"No model version with id {wanted}"}, status=404)
        return web.json_response(self._alone(found))

    async def _by_hash(self, request: web.Request) -> web.Response:
        found = self._with_hash(request.match_info["hash"])
        if found is None:
            return web.json_response({"error": "Model not found"}, status=404)
        return web.json_response(self._alone(found))

    async def _by_hashes(self, request: web.Request) -> web.Response:
        asked = cast(object, await request.json())
        hashes = cast(list[object], asked) if isinstance(asked, list) else []
        if not hashes or len(hashes) > 100 or not all(isinstance(one, str) for one in hashes):
            return web.json_response({"error": {"issues": [{"code": "invalid_type"}], "name": "ZodError"}}, status=400)
        found = [self._with_hash(str(one)) for one in hashes]
        return web.json_response([self._alone(added) for added in found if added])

    def _with_hash(self, told: str) -> Added | None:
        for added in self.added:
            for row in cast(list[Json], added.version["files"] or []):
                if told.upper() in cast(Json, row.get("hashes") or {}).values():
                    return added
        return None

    # Downloads

    async def _download(self, request: web.Request) -> web.StreamResponse:
        wanted = request.match_info["id"]
        found = next((added for added in self.added if str(added.version_id) == wanted), None)
        if request.method != "GET":
            return web.json_response({"error": "Unauthorized"}, status=401)
        if found is None:
            return web.json_response({"error": "Model version not found"}, status=404)
        if found.version_id in self.early:
            text = "The creator of this asset has this model in Early Access. Please use the site to purchase it."
            return web.json_response({"error": "Forbidden", "message": text}, status=403)
        if found.version_id in self.walled or (self.locked and "Authorization" not in request.headers):
            return web.Response(status=307, headers={"Location": f"{self.url}/login?reason=download-auth"})
        self._links += 1
        name = found.version["files"][0]["name"]
        return web.Response(status=307, headers={"Location": self._link(found.version_id, name)})

    def _link(self, version_id: int, name: str) -> str:
        return f"http://localhost:{self._port}/storage/{version_id}?name={name}&link={self._links}"

    async def _login(self, _: web.Request) -> web.Response:
        return web.Response(text=LOGIN_PAGE, content_type="text/html")

    async def _storage(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            text = "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>"
            return web.Response(status=400, text=text, content_type="application/xml")
        if int(request.query["link"]) < self._oldest_link:
            text = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
            return web.Response(status=403, text=text, content_type="application/xml")
        found = next(added for added in self.added if str(added.version_id) == request.match_info["id"])
        data = found.data
        if found.version_id in self.wrong:
            data = data[:-8] + bytes(255 - one for one in data[-8:])
        return await self._sent(request, data, f'"{zlib.crc32(data):x}"')

    async def _sent(self, request: web.Request, data: bytes, tag: str) -> web.StreamResponse:
        begin = 0 if self.rangeless else (request.http_range.start or 0)
        if request.headers.get("If-Range", tag) != tag:
            begin = 0
        if begin >= len(data) and begin:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
        partly = "Range" in request.headers and not self.rangeless and request.headers.get("If-Range", tag) == tag
        headers = {"ETag": tag, "Content-Type": "binary/octet-stream"}
        headers |= {} if self.rangeless else {"Accept-Ranges": "bytes"}
        headers |= {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"} if partly else {}
        response = web.StreamResponse(status=206 if partly else 200, headers=headers)
        response.content_length = len(data) - begin
        await response.prepare(request)
        await self._flow(request, response, data[begin:])
        return response

    async def _flow(self, request: web.Request, response: web.StreamResponse, data: bytes) -> None:
        end = min(self._cuts.pop(0), len(data)) if self._cuts else len(data)
        gate, self._gate = self._gate, None
        block, seconds = self._pace
        stops: set[int] = {*range(0, end, block), end}
        if gate:
            stops.add(min(gate.after, end))
        for start, stop in itertools.pairwise(sorted(stops)):
            if gate and gate.after == start:
                gate.reached.set()
                await gate.go.wait()
            await response.write(data[start:stop])
            await asyncio.sleep(seconds)
        if end < len(data):
            cast(asyncio.Transport, request.transport).close()


def _scripted(request: web.Request, scripted: Scripted) -> web.Response:
    if not scripted.status:
        cast(asyncio.Transport, request.transport).abort()
        return web.Response(status=500)
    if isinstance(scripted.body, str):
        kind = "text/html" if scripted.body.startswith("<") else "text/plain"
        return web.Response(status=scripted.status, text=scripted.body, headers=scripted.headers, content_type=kind)
    return web.json_response(scripted.body, status=scripted.status, headers=scripted.headers)


@contextmanager
def in_thread(fake: FakeCivitAI) -> Generator[FakeCivitAI]:
    """The fake on a loop of its own, for synchronous tests; its gates are for tests on its loop only."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fake-civitai", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(fake.start(), loop).result(20)
        yield fake
    finally:
        asyncio.run_coroutine_threadsafe(fake.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
