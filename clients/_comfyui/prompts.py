"""Prompts on one server: sent once, found again, stopped for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from clients._comfyui.answers import history_jobs, read_finished, read_jobs, read_queue
from clients._comfyui.library import Library
from clients._comfyui.rejections import names_unknown_class, problems, rejection, unlisted
from clients._comfyui.socket import Pace, Socket
from clients._comfyui.values import Accepted, Finished, Queue, ServerJob, Stopped
from clients._comfyui.web import Unheard, Web
from workflows.errors import GraphRejected
from workflows.types import new_id

Json = Mapping[str, Any]

FIRST_LOOK, MOST_BETWEEN_LOOKS = 0.03, 0.5
"""Seconds between looks at a prompt that was told to stop."""


class Prompts:
    """The calls about prompts, which are sent under the socket's client id of the moment."""

    def __init__(self, web: Web, library: Library, socket: Socket, pace: Pace) -> None:
        self._web = web
        self._library = library
        self._pace = pace
        self._socket = socket
        self._has_jobs: bool | None = None

    async def prompt(
        self,
        graph: Json,
        *,
        prompt_id: str | None = None,
        extra_data: Json | None = None,
        front: bool = False,
        partial_execution_targets: Sequence[str] | None = None,
    ) -> Accepted:
        body: dict[str, Any] = {
            "prompt": graph,
            "client_id": self._socket.client_id,
            "prompt_id": prompt_id or new_id(),
        }
        if extra_data:
            body["extra_data"] = dict(extra_data)
        if front:
            body["front"] = True
        if partial_execution_targets is not None:
            body["partial_execution_targets"] = list(partial_execution_targets)
        return await self._submit(body, graph, may_repeat=True)

    async def history(self, prompt_id: str) -> Finished | None:
        return read_finished(prompt_id, await self._web.object(f"/history/{quote(prompt_id, safe='')}"))

    async def forget(self, prompt_id: str) -> None:
        """Take an ended prompt out of the history, so that its id can be used again."""
        await self._web.post("/history", json={"delete": [prompt_id]})

    async def queue(self) -> Queue:
        return read_queue(await self._web.object("/queue"))

    async def jobs(self, limit: int) -> list[ServerJob]:
        if await self.has_jobs():
            return read_jobs(await self._web.object("/api/jobs", limit=limit))
        queue = await self.queue()
        ended = history_jobs(await self._web.object("/history", max_items=limit))
        waiting = [ServerJob(prompt_id=one.prompt_id, state="pending", number=one.number) for one in queue.pending]
        running = [ServerJob(prompt_id=one.prompt_id, state="running", number=one.number) for one in queue.running]
        return [*reversed(waiting), *running, *reversed(ended)][:limit]

    async def has_jobs(self) -> bool:
        """Whether the server has /api/jobs; asked once."""
        if self._has_jobs is None:
            response = await self._web.get("/api/jobs", limit=1)
            self._has_jobs = response.status_code == 200 and b'"jobs"' in response.content
        return self._has_jobs

    async def delete(self, prompt_ids: Sequence[str]) -> None:
        if prompt_ids:
            await self._web.post("/queue", json={"delete": list(prompt_ids)})

    async def interrupt(self, prompt_id: str) -> bool:
        if not prompt_id or not (await self.queue()).runs(prompt_id):
            return False
        await self._interrupt(prompt_id)
        return await self._stopped(prompt_id, self._pace.stop, told=True) == "running"

    async def cancel(self, prompt_id: str, patience: float | None = None) -> Stopped:
        stopped = await self._cancel(prompt_id, patience)
        if stopped == "pending":
            self._socket.tell_of_removal(prompt_id)
        return stopped

    async def _cancel(self, prompt_id: str, patience: float | None) -> Stopped:
        bound = self._pace.stop if patience is None else patience
        if await self.has_jobs():
            response = await self._web.post(f"/api/jobs/{quote(prompt_id, safe='')}/cancel")
            if response.status_code == 200:
                stopped = bool(self._web.json(response).get("cancelled"))
                return await self._stopped(prompt_id, bound, told=True) if stopped else await self._left(prompt_id)
        if (await self.queue()).ahead(prompt_id) is None:
            return await self._left(prompt_id)
        return await self._stopped(prompt_id, bound, told=False)

    async def where(self, prompt_id: str) -> Finished | int | None:
        """Its end, how many are ahead of it (0: it runs), or None: the server does not know it.

        The history is asked once more after the queue, because a prompt goes from the one into the other.
        """
        if finished := await self.history(prompt_id):
            return finished
        ahead = (await self.queue()).ahead(prompt_id)
        return await self.history(prompt_id) if ahead is None else ahead

    async def _submit(self, body: dict[str, Any], graph: Json, may_repeat: bool) -> Accepted:
        prompt_id = str(body["prompt_id"])
        try:
            response = await self._web.post("/prompt", json=body)
        except Unheard as error:
            # It may have been queued all the same: a second time would draw it twice.
            if error.sent and await self._known(prompt_id):
                return Accepted(prompt_id=prompt_id, number=0.0)
            if error.status == 500 and may_repeat:
                return await self._submit(body, graph, may_repeat=False)
            raise
        if response.status_code == 400:
            raise await self._rejection(response.json(), graph)
        answer = self._web.json(response)
        if answer.get("node_errors"):
            # The good outputs alone would run, and the history would call it a success.
            await self.cancel(prompt_id)
            raise await self._rejection(answer, graph)
        return Accepted(prompt_id=str(answer.get("prompt_id") or prompt_id), number=float(answer.get("number") or 0))

    async def _known(self, prompt_id: str) -> bool:
        return await self.where(prompt_id) is not None

    async def _rejection(self, body: Json, graph: Json) -> GraphRejected:
        classes: dict[str, Any] = {}
        if names_unknown_class(body):
            classes = dict(await self._library.object_info())
        for name in unlisted(body):
            classes |= await self._library.object_info(name, fresh=True)
        self._library.forget()  # what the server has may have changed since we looked
        return rejection(problems(body, graph, classes))

    async def _interrupt(self, prompt_id: str) -> None:
        if not prompt_id:
            raise ValueError("an interrupt without an id would stop somebody else's prompt")
        await self._web.post("/interrupt", json={"prompt_id": prompt_id})

    async def _left(self, prompt_id: str) -> Stopped:
        return "unknown" if await self.history(prompt_id) is None else "ended"

    async def _stopped(self, prompt_id: str, patience: float, *, told: bool) -> Stopped:
        """Delete it while it waits, interrupt it once it runs, and look until it is gone."""
        pause = FIRST_LOOK
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            where = await self.where(prompt_id)
            if isinstance(where, Finished):
                return "running" if where.status == "interrupted" else "ended"
            if where is None:
                return "pending"
            if where:
                await self.delete([prompt_id])
            elif not told:
                await self._interrupt(prompt_id)
                told = True
            if asyncio.get_running_loop().time() > deadline:
                return "stopping"
            await asyncio.sleep(pause)
            pause = min(pause * 2, MOST_BETWEEN_LOOKS)
