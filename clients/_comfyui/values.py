"""What a ComfyUI server says, as values, and what may be waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from workflows.errors import RenderFailed
from workflows.types import Media

Ending = Literal["success", "error", "interrupted"]
Stopped = Literal["pending", "running", "stopping", "ended", "unknown"]
"""What a cancel did: took it from the queue; stopped it while it ran; told it to stop, and the node at work has not
noticed yet; found it ended; found nothing of that id."""
State = Literal["pending", "running", "success", "error", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A prompt in the server's queue; a lower `number` runs first."""

    prompt_id: str
    number: float


@dataclass(frozen=True, kw_only=True)
class QueuedPrompt:
    """One entry of the queue; `client_id` is empty where none was given."""

    prompt_id: str
    number: float
    client_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """What runs and what waits, everyone's; `pending` in the order in which it will run."""

    running: tuple[QueuedPrompt, ...] = ()
    pending: tuple[QueuedPrompt, ...] = ()

    def runs(self, prompt_id: str) -> bool:
        return any(prompt.prompt_id == prompt_id for prompt in self.running)

    def ahead(self, prompt_id: str) -> int | None:
        """How many prompts end before this one begins; 0 when it runs, None when it is not in the queue."""
        if self.runs(prompt_id):
            return 0
        for place, prompt in enumerate(self.pending):
            if prompt.prompt_id == prompt_id:
                return len(self.running) + place
        return None


@dataclass(frozen=True, kw_only=True)
class ServerJob:
    """One prompt that the server knows of, whatever its state."""

    prompt_id: str
    state: State
    number: float = 0.0


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file that a node wrote, in the server's own words; `key` is the list it stood in, such as images or gifs."""

    filename: str
    subfolder: str = ""
    type: str = "output"
    node: str = ""
    key: str = ""


class FileTooLarge(RenderFailed):
    """A file has more bytes than were wanted."""

    @property
    def code(self) -> str:
        return "render_failed"


@dataclass(frozen=True, kw_only=True)
class UploadedFile:
    """Where an upload lies, as the server named it."""

    name: str
    subfolder: str = ""
    type: str = "input"

    @property
    def reference(self) -> str:
        """What LoadImage takes: "sub/name.png", with " [output]" or " [temp]" for other folders than input."""
        path = f"{self.subfolder}/{self.name}" if self.subfolder else self.name
        return path if self.type == "input" else f"{path} [{self.type}]"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a prompt broke: the node, and the exception's type and text without the server's paths."""

    node: str
    class_type: str
    kind: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A prompt that has ended, with what it made until then."""

    prompt_id: str
    status: Ending = "success"
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """By node and key, as the server gave them; a key holds a list."""
    frames: tuple[Media, ...] = ()
    """Pictures that SaveImageWebsocket sent over the socket; they lie in no file."""
    frame_nodes: tuple[str, ...] = ()
    """The node of each frame; empty where the server did not say whose it was."""
    cached: bool = False
    """Nothing was computed: every output came from the server's cache, and its file may be gone."""
    failure: Failure | None = None

    @property
    def files(self) -> tuple[OutputFile, ...]:
        """Every file in any list of any node."""
        lists = ((node, key, found) for node, output in self.outputs.items() for key, found in output.items())
        return tuple(
            OutputFile(
                filename=entry["filename"],
                subfolder=str(entry.get("subfolder") or ""),
                type=str(entry.get("type") or "output"),
                node=node,
                key=key,
            )
            for node, key, found in lists
            for entry in _objects(found)
            if isinstance(entry.get("filename"), str)
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """What nodes such as PreviewAny said."""
        return tuple(
            entry for output in self.outputs.values() for entry in output.get("text") or () if isinstance(entry, str)
        )


def _objects(found: object) -> list[Mapping[str, Any]]:
    entries = cast("list[Any]", found if isinstance(found, list) else [])
    return [cast("Mapping[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
