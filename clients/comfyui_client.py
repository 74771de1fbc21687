"""ComfyUI's HTTP and WebSocket API in ComfyUI's own words. What is drawn, and how, is the engine's affair.

    async with ComfyUIClient("http://127.0.0.1:8188") as client:
        finished = await client.run(graph)
        picture = await client.view(finished.files[0])

Every call raises EngineUnavailable when the server cannot be reached, answers 5xx or is no ComfyUI, and AccessDenied
when it does not let us in. What a call raises besides is said there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

from clients._comfyui.address import Address
from clients._comfyui.files import Files
from clients._comfyui.library import Library, version_warnings
from clients._comfyui.messages import (
    Cached,
    Event,
    NodeDone,
    NodeProgress,
    NodeStarted,
    NodeText,
    Preview,
    Started,
    Waiting,
)
from clients._comfyui.prompts import Prompts
from clients._comfyui.running import Run
from clients._comfyui.socket import Pace, Socket
from clients._comfyui.user_files import MOST_NAMES, UserFiles
from clients._comfyui.values import (
    Accepted,
    Ending,
    Failure,
    FileTooLarge,
    Finished,
    OutputFile,
    Queue,
    QueuedPrompt,
    ServerJob,
    Stopped,
    UploadedFile,
)
from clients._comfyui.web import Web
from workflows.types import Media, new_id

__all__ = [
    "MOST_NAMES",
    "Accepted",
    "Cached",
    "ComfyUIClient",
    "Ending",
    "Event",
    "Failure",
    "FileTooLarge",
    "Finished",
    "NodeDone",
    "NodeProgress",
    "NodeStarted",
    "NodeText",
    "OutputFile",
    "Pace",
    "Preview",
    "Queue",
    "QueuedPrompt",
    "ServerJob",
    "Started",
    "Stopped",
    "UploadedFile",
    "Waiting",
]

SOCKET_OPEN_SECONDS = 10.0
MOST_BYTES = 2**30
"""Of a file that is fetched."""


class ComfyUIClient:
    """One server. Any number of calls and runs at once; the socket is opened with the first run.

    `url` may hold user:password@ and a path prefix, and needs no scheme; `token` goes as a Bearer header, and wins over
    a password. Proxies of the environment are used, but not for loopback. Raises ValueError for what is no address.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        client_id: str | None = None,
        pace: Pace | None = None,
    ) -> None:
        address = Address.read(url, token)
        pace = pace or Pace()
        self.url = address.url
        """Without credentials."""
        self._pace = pace
        self._web = Web(address, timeout)
        self._socket = Socket(address, min(timeout, SOCKET_OPEN_SECONDS), pace, client_id)
        self._library = Library(self._web, self._opening)
        self._prompts = Prompts(self._web, self._library, self._socket, pace)
        self._files = Files(self._web)
        self._user_files = UserFiles(self._web)

    async def __aenter__(self) -> Self:
        await self._web.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()
        await self._web.close()

    @property
    def client_id(self) -> str:
        """The name under which prompts are sent now; a new connection may have a new one."""
        return self._socket.client_id

    async def run(
        self,
        graph: Mapping[str, Any],
        *,
        prompt_id: str | None = None,
        on_event: Callable[[Event], None] | None = None,
        again: bool = False,
        extra_data: Mapping[str, Any] | None = None,
    ) -> Finished:
        """Send a graph and wait for its end; the one way a prompt is carried out.

        `again`: it may have been sent before under this id, so it is looked for first, and joined when found.
        `on_event` is called on the event loop. Cancelling the task that waits stops the prompt at the server.
        Raises GraphRejected, RenderFailed, OutOfMemory; JobCancelled when somebody else stopped it; RenderLost when the
        server died, was restarted, or no longer knows the prompt.
        """
        run = Run(self._prompts, self._socket, self._pace, graph, prompt_id or new_id(), on_event)
        return await run.carried_out(again, extra_data)

    async def prompt(
        self,
        graph: Mapping[str, Any],
        *,
        prompt_id: str | None = None,
        extra_data: Mapping[str, Any] | None = None,
        front: bool = False,
        partial_execution_targets: Sequence[str] | None = None,
    ) -> Accepted:
        """Put a graph into the queue, under an id of our own, a lowercase UUID. Raises GraphRejected.

        Also when the server would run it in part: it is taken out again then.
        """
        return await self._prompts.prompt(
            graph,
            prompt_id=prompt_id,
            extra_data=extra_data,
            front=front,
            partial_execution_targets=partial_execution_targets,
        )

    async def history(self, prompt_id: str) -> Finished | None:
        """How a prompt ended; None while it has not, or when the server does not know it."""
        return await self._prompts.history(prompt_id)

    async def jobs(self, limit: int = 100) -> list[ServerJob]:
        """The newest prompts of everyone, whatever their state."""
        return await self._prompts.jobs(limit)

    async def queue(self) -> Queue:
        return await self._prompts.queue()

    async def delete(self, prompt_ids: Sequence[str]) -> None:
        """Take prompts out of the queue; those that run or have ended stay as they are."""
        await self._prompts.delete(prompt_ids)

    async def interrupt(self, prompt_id: str) -> bool:
        """Stop a prompt that runs; True once it has stopped. Takes as long as the node at work does not look."""
        return await self._prompts.interrupt(prompt_id)

    async def cancel(self, prompt_id: str) -> Stopped:
        """Stop a prompt wherever it is, and say what was really stopped. Other prompts go on."""
        return await self._prompts.cancel(prompt_id)

    async def view(self, file: OutputFile, *, most: int = MOST_BYTES) -> Media:
        """A file's bytes, whole. Raises NotFound when it is gone, RenderFailed when it is damaged, and its kind
        FileTooLarge when it has more than `most` bytes."""
        return await self._files.view(file, most)

    async def upload(
        self,
        name: str,
        content: bytes,
        *,
        kind: Literal["input", "temp", "output"] = "input",
        subfolder: str = "",
        overwrite: bool = True,
    ) -> UploadedFile:
        """Store a file at the server, which may give it another name. Raises GraphRejected when it will not take it."""
        return await self._files.upload(name, content, kind, subfolder, overwrite)

    async def upload_mask(self, content: bytes, original: OutputFile, *, name: str = "mask.png") -> UploadedFile:
        """The original with the alpha of a mask (a PNG of the same size). Raises GraphRejected, NotFound."""
        return await self._files.upload_mask(content, original, name)

    async def object_info(self, node_class: str | None = None) -> Mapping[str, Any]:
        """The node classes, or one of them ({} when the server has it not).

        The whole is kept until the server restarts, a graph is rejected, or `forget` is called.
        """
        return await self._library.object_info(node_class)

    def forget(self) -> None:
        """Ask for the node classes anew next time: files were added to the server's folders."""
        self._library.forget()

    async def models(self, folder: str | None = None) -> list[str]:
        """The model folders, or the files in one of them as they are now. Raises NotFound."""
        return await self._library.models(folder)

    async def model_sizes(self, folder: str) -> dict[str, int]:
        """Bytes by file; {} where the server does not tell."""
        return await self._library.model_sizes(folder)

    async def embeddings(self) -> list[str]:
        return await self._library.embeddings()

    async def view_metadata(self, folder: str, filename: str) -> dict[str, Any]:
        """What a safetensors file says of itself; {} when it says nothing, is broken or is not there."""
        return await self._library.view_metadata(folder, filename)

    async def saved_workflows(self) -> list[str]:
        """Names in the library of ComfyUI's editor, with folders, without .json; [] where the server keeps none."""
        return await self._user_files.names()

    async def saved_workflow(self, name: str) -> dict[str, Any]:
        """One of them, as the editor wrote it. Raises NotFound, and GraphRejected for what cannot be read."""
        return await self._user_files.read(name)

    async def system_stats(self) -> dict[str, Any]:
        """The server's own words: system and devices, memory in bytes."""
        return await self._library.system_stats()

    async def features(self) -> dict[str, Any]:
        return await self._library.features()

    async def version(self) -> str:
        return await self._library.version()

    async def warnings(self) -> tuple[str, ...]:
        """What the user should know of this server, such as a version with published vulnerabilities."""
        return version_warnings(await self._library.version())

    async def free(self, *, unload_models: bool = True, free_memory: bool = True) -> None:
        """Ask the server to let go of models, and of what it keeps of earlier runs, once it is idle."""
        await self._web.post("/free", json={"unload_models": unload_models, "free_memory": free_memory})

    def _opening(self) -> int | None:
        return self._socket.openings if self._socket.connected else None
