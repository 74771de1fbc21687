"""Reading of the server's answers: queue, history, failures, files. Pure: JSON in, values and errors out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from clients._comfyui.values import Ending, Failure, Finished, Queue, QueuedPrompt, ServerJob, State
from workflows.errors import JobCancelled, OutOfMemory, RenderFailed, StudioError
from workflows.types import Media

Json = Mapping[str, Any]

_PATH = re.compile(r"""(?:(?<=[\s'"(=\[])|^)(?:[A-Za-z]:[\\/]|\\\\|/)(?:[^\s'"<>|*?:\\/]+[\\/])+""")
"""The folders of an absolute path, POSIX or Windows, up to its last part."""
_OUT_OF_MEMORY = re.compile(
    r"out of memory|out_of_memory|not enough (?:gpu |cuda |cpu |video )?memory|allocation on device|memoryerror"
    r"|can't allocate memory|cannot allocate memory|alloc_failed",
    re.IGNORECASE,
)
JOB_STATES: Mapping[str, State] = {
    "pending": "pending",
    "in_progress": "running",
    "completed": "success",
    "failed": "error",
    "cancelled": "interrupted",
}
"""The words of /api/jobs in ours."""


def read_queue(body: Json) -> Queue:
    """From GET /queue. Its pending list is a heap, so it is put into the order of its numbers."""
    pending = sorted(_queued(body.get("queue_pending")), key=lambda prompt: prompt.number)
    return Queue(running=tuple(_queued(body.get("queue_running"))), pending=tuple(pending))


def read_finished(prompt_id: str, body: Json) -> Finished | None:
    """From GET /history/{id}, which is {} for a prompt that is unknown or has not ended."""
    entry = body.get(prompt_id)
    if not isinstance(entry, dict):
        return None
    entry = cast(dict[str, Any], entry)
    status = cast(dict[str, Any], entry.get("status") or {})
    said = {str(kind): cast(Json, fact) for kind, fact in status.get("messages") or ()}
    given = cast(dict[str, object], entry.get("outputs") or {})
    outputs = {node: cast(Json, output) for node, output in given.items() if isinstance(output, dict)}
    failed = said.get("execution_error")
    return Finished(
        prompt_id=prompt_id,
        status=_ending(str(status.get("status_str") or "success"), said),
        outputs=outputs,
        cached=all_cached(outputs, said.get("execution_cached", {}).get("nodes") or ()),
        failure=None if failed is None else read_failure(failed),
    )


def all_cached(outputs: Iterable[str], nodes: Iterable[object]) -> bool:
    """Whether every node that gave an output came from the cache."""
    given = set(outputs)
    return bool(given) and given <= {str(node) for node in nodes}


def read_failure(body: Json) -> Failure:
    """From an execution_error, in the socket or in the history."""
    return Failure(
        node=str(body.get("node_id") or ""),
        class_type=str(body.get("node_type") or ""),
        kind=str(body.get("exception_type") or "").rpartition(".")[2],
        message=redacted(str(body.get("exception_message") or "")).strip()[:1000],
    )


def read_jobs(body: Json) -> list[ServerJob]:
    """From GET /api/jobs. States that we do not know are left out."""
    jobs = cast("list[Json]", body.get("jobs") or [])
    return [
        ServerJob(prompt_id=str(job["id"]), state=state, number=float(job.get("priority") or 0))
        for job in jobs
        if (state := JOB_STATES.get(str(job.get("status")))) is not None
    ]


def history_jobs(body: Json) -> list[ServerJob]:
    """The ended prompts of a whole GET /history, oldest first."""
    ended = ((name, read_finished(name, body), cast(Json, entry)) for name, entry in body.items())
    return [
        ServerJob(prompt_id=name, state=finished.status, number=_number(entry.get("prompt")))
        for name, finished, entry in ended
        if finished is not None
    ]


def error_of(finished: Finished) -> StudioError | None:
    """What a prompt that did not succeed is to be raised as."""
    if finished.status == "success":
        return None
    if finished.status == "interrupted":
        return JobCancelled("The render was stopped at the ComfyUI server.")
    fault = finished.failure or Failure(node="", class_type="", kind="", message="it gave no reason")
    where = f"node {fault.node} ({fault.class_type})" if fault.node else "a node"
    what = f"{fault.kind}: {fault.message}" if fault.kind else fault.message
    if is_out_of_memory(fault):
        step = "Try a smaller picture, fewer at a time, or a smaller model; get_system_status shows the memory."
        return OutOfMemory(f"ComfyUI ran out of memory in {where}: {_first_line(what)}. {step}")
    return RenderFailed(f"ComfyUI failed in {where}: {_first_line(what)}.", node=fault.node or None)


def is_out_of_memory(fault: Failure) -> bool:
    return bool(_OUT_OF_MEMORY.search(fault.message) or fault.kind in {"OutOfMemoryError", "MemoryError"})


def redacted(text: str) -> str:
    """The text with absolute paths cut down to their last part: where a server keeps its files is its own affair."""
    return _PATH.sub("", text)


def file_fault(media: Media) -> str | None:
    """What is wrong with a downloaded file: empty, cut off, or not what its type says. None: nothing found."""
    data, kind = media.data, media.media_type
    if not data:
        return "it is empty"
    match kind:
        case "image/png":
            begins, ends = data.startswith(b"\x89PNG\r\n\x1a\n"), b"IEND" in data[-12:]
        case "image/jpeg":
            begins, ends = data.startswith(b"\xff\xd8"), b"\xff\xd9" in data[-64:]
        case "image/webp":
            begins = data.startswith(b"RIFF")
            ends = len(data) >= 8 + int.from_bytes(data[4:8], "little")
        case _:
            return None
    if not begins:
        return f"it is no {kind.removeprefix('image/').upper()}, whatever the server calls it"
    return None if ends else "its end is missing"


def _queued(entries: object) -> list[QueuedPrompt]:
    rows = cast("list[Sequence[Any]]", entries if isinstance(entries, list) else [])
    return [
        QueuedPrompt(prompt_id=str(row[1]), number=float(row[0]), client_id=_client(row))
        for row in rows
        if len(row) > 1
    ]


def _client(row: Sequence[Any]) -> str:
    extra = row[3] if len(row) > 3 else None
    return str(cast(Json, extra).get("client_id") or "") if isinstance(extra, dict) else ""


def _number(prompt: object) -> float:
    row = cast("list[Any]", prompt) if isinstance(prompt, list) and prompt else [0]
    return float(row[0])


def _ending(status: str, said: Mapping[str, object]) -> Ending:
    """There is no "cancelled" in a history: an interrupted prompt has the status error, and its messages tell."""
    if status == "success":
        return "success"
    return "interrupted" if "execution_interrupted" in said else "error"


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip(". ")[:400]
