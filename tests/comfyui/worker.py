"""The fake's one worker: a serial queue and the order of events of a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from PIL import UnidentifiedImageError

from tests.comfyui import clips, drawing

Json = Mapping[str, Any]
Entry = tuple[float, str, Json, dict[str, Any], list[str]]
"""number, prompt id, graph, extra data, outputs: as GET /queue shows them."""
File = tuple[str, str, str]
"""type, subfolder, name."""
STREAMING = "SaveImageWebsocket"
FILMS = {"SaveVideo": "mp4", "SaveWEBM": "webm", "SaveAnimatedWEBP": "webp", "VHS_VideoCombine": "mp4"}
SOUNDS = {"SaveAudio": "flac", "SaveAudioMP3": "mp3", "PreviewAudio": "flac"}
SERVER_FOLDER = "/srv/ComfyUI"
"""Where the fake pretends to live, for error texts that hold paths."""


class Interrupted(Exception):
    pass


@dataclass(eq=False)
class Hold:
    """Stops the worker at a node: `step` 0 before its work, n after its nth step."""

    classes: tuple[str, ...]
    step: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self.go.set()


@dataclass
class Break:
    """What a node of a class raises, and how often."""

    class_type: str
    kind: str
    message: str
    times: int = 1


class Worker:
    """`send(kind, body, client id or None for everyone)`, `send_picture(bytes, format, metadata, client id)`."""

    def __init__(self, send: Callable[..., Any], send_picture: Callable[..., Any], files: dict[File, bytes]) -> None:
        self.send = send
        self.send_picture = send_picture
        self.files = files
        self.pending: list[Entry] = []
        self.running: Entry | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self.holds: list[Hold] = []
        self.breaks: list[Break] = []
        self.cache: dict[str, Json | None] = {}
        self.says: list[str] = []
        """What TextGenerate writes next; "A red fox." when nothing is said of it."""
        self.texts: dict[str, str] = {}
        """What it wrote, by the node's key."""
        self.gives: dict[str, Json] = {}
        """What nodes of a class give, word for word, such as a custom node's own lists."""
        self.executed: list[str] = []
        """Classes of the nodes that really ran, in order."""
        self.step_seconds = 0.0
        self.stubborn = False
        """An interrupt is noticed at the end of a hold only, like that of a checkpoint being loaded."""
        self.current: tuple[str | None, str | None] = (None, None)
        """Client and node in work, which a client that comes back is told."""
        self._interrupt = asyncio.Event()
        self._work = asyncio.Event()
        self._messages: list[tuple[str, Json]] = []
        self._states: dict[str, dict[str, Any]] = {}

    @property
    def remaining(self) -> int:
        return len(self.pending) + (self.running is not None)

    async def put(self, entry: Entry) -> None:
        self.pending.append(entry)
        self.pending.sort(key=lambda one: one[0])
        self._work.set()
        await self.status()

    async def status(self) -> None:
        await self.send("status", {"status": {"exec_info": {"queue_remaining": self.remaining}}}, None)

    async def delete(self, prompt_ids: list[str]) -> bool:
        kept = [entry for entry in self.pending if entry[1] not in prompt_ids]
        gone = len(kept) != len(self.pending)
        self.pending[:] = kept
        if gone:
            await self.status()
        return gone

    def interrupt(self) -> None:
        self._interrupt.set()

    def forget(self) -> None:
        """What a restart leaves: nothing."""
        self.pending.clear()
        self.history.clear()
        self.cache.clear()
        self.texts.clear()
        self.running = None
        self.current = (None, None)

    async def live(self) -> None:
        while True:
            while not self.pending:
                self._work.clear()
                await self._work.wait()
            self.running = self.pending.pop(0)
            await self.status()
            await self._run(self.running)

    async def _run(self, entry: Entry) -> None:
        number, prompt_id, graph, extra, outputs = entry
        client = extra.get("client_id")
        self._interrupt.clear()
        self._messages, self._states = [], {}
        run = _Prompt(self, prompt_id, graph, extra, client)
        try:
            await run.carry_out(outputs)
            status = {"status_str": "success", "completed": True}
        except Interrupted:
            status = {"status_str": "error", "completed": False}
        except Exception as fault:  # noqa: BLE001 - whatever a node raises
            await run.failed(fault)
            status = {"status_str": "error", "completed": False}
        self.history[prompt_id] = {
            "prompt": [number, prompt_id, graph, extra, outputs],
            "outputs": run.outputs,
            "status": status | {"messages": run.messages},
            "meta": {},
        }
        self.running = None
        self.current = (client, None)
        await self.status()
        if client is not None:
            await self.send("executing", {"node": None, "prompt_id": prompt_id}, client)

    async def hold(self, class_type: str, step: int) -> None:
        """Wait where a test holds the worker; an interrupt wakes it."""
        for hold in [one for one in self.holds if one.step == step and not one.go.is_set()]:
            if not hold.classes or class_type in hold.classes:
                hold.reached.set()
                await self._either(hold.go)
        if self._interrupt.is_set():
            raise Interrupted

    async def pause(self) -> None:
        await asyncio.sleep(self.step_seconds)

    async def _either(self, go: asyncio.Event) -> None:
        events = (go,) if self.stubborn else (go, self._interrupt)
        waits = {asyncio.create_task(event.wait()) for event in events}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


class _Prompt:
    """One prompt on its way through the worker."""

    def __init__(self, worker: Worker, prompt_id: str, graph: Json, extra: Json, client: str | None) -> None:
        self.worker = worker
        self.id = prompt_id
        self.graph = graph
        self.extra = extra
        self.client = client
        self.outputs: dict[str, Json] = {}
        self.messages: list[list[Any]] = []
        self.done: list[str] = []
        self.states: dict[str, dict[str, Any]] = {}
        self.node = ""

    async def carry_out(self, outputs: list[str]) -> None:
        await self._say("execution_start", {})
        known = [name for name in self.graph if self._key(name) in self.worker.cache]
        await self._say("execution_cached", {"nodes": known})
        for output in outputs:
            if output in known:
                await self._from_cache(output)
            else:
                for name in self._order(output, known):
                    await self._execute(name)
        await self._say("execution_success", {})

    async def failed(self, fault: Exception) -> None:
        kind = f"{type(fault).__module__}.{type(fault).__qualname__}" if not isinstance(fault, Failing) else fault.kind
        body: Json = {
            "node_id": self.node,
            "node_type": self.graph[self.node]["class_type"],
            "executed": self.done,
            "exception_message": str(fault),
            "exception_type": kind,
            "traceback": [f'  File "{SERVER_FOLDER}/execution.py", line 496, in execute\n'],
            "current_inputs": {},
            "current_outputs": [],
        }
        await self._say("execution_error", body)

    async def _say(self, kind: str, body: Json) -> None:
        """Said to who asked, and kept for the history."""
        whole = {"prompt_id": self.id, **body, "timestamp": int(time.time() * 1000)}
        self.messages.append([kind, whole])
        if self.client is not None:
            await self.worker.send(kind, whole, self.client)

    async def _state(self, name: str, value: float, most: float, state: str) -> None:
        facts = {"node_id": name, "display_node_id": name, "real_node_id": name, "parent_node_id": None}
        self.states[name] = {"value": value, "max": most, "state": state, "prompt_id": self.id, **facts}
        await self.worker.send("progress_state", {"prompt_id": self.id, "nodes": dict(self.states)}, self.client)

    async def _from_cache(self, name: str) -> None:
        output = self.worker.cache[self._key(name)]
        if output is not None:
            self.outputs[name] = output
            await self._executed(name, output)
        await self._state(name, 1, 1, "finished")

    async def _executed(self, name: str, output: Json) -> None:
        if self.client is not None:
            body = {"node": name, "display_node": name, "output": output, "prompt_id": self.id}
            await self.worker.send("executed", body, self.client)

    async def _execute(self, name: str) -> None:
        class_type = self.graph[name]["class_type"]
        self.node = name
        await self._state(name, 0.0, 1.0, "running")
        if self.client is not None:
            body = {"node": name, "display_node": name, "prompt_id": self.id}
            await self.worker.send("executing", body, self.client)
        self.worker.current = (self.client, name)
        try:
            await self.worker.hold(class_type, 0)
            self._raise_what_is_scripted(class_type)
            output = await self._work(name, class_type)
        except Interrupted:
            facts = {"node_id": name, "node_type": class_type, "executed": self.done}
            body = {"prompt_id": self.id, **facts, "timestamp": int(time.time() * 1000)}
            self.messages.append(["execution_interrupted", body])
            await self.worker.send("execution_interrupted", body, self.client)
            raise
        self.worker.executed.append(class_type)
        self.done.append(name)
        if class_type != STREAMING:
            self.worker.cache[self._key(name)] = output
        if output is not None:
            self.outputs[name] = output
            await self._executed(name, output)
        state = self.states[name]
        most = state["max"] if state["value"] else 1.0
        await self._state(name, most, most, "finished")

    def _raise_what_is_scripted(self, class_type: str) -> None:
        for one in self.worker.breaks:
            if one.class_type == class_type and one.times:
                one.times -= 1
                raise Failing(one.kind, one.message)

    async def _work(self, name: str, class_type: str) -> Json | None:
        await self.worker.pause()
        inputs = self.graph[name].get("inputs", {})
        match class_type:
            case _ if class_type in self.worker.gives:
                return self.worker.gives[class_type]
            case _ if class_type in FILMS:
                return self._filmed(name, class_type)
            case _ if class_type in SOUNDS:
                content = clips.sound(0.5, SOUNDS[class_type])
                return {"audio": [self._kept(name, content, SOUNDS[class_type], class_type == "PreviewAudio")]}
            case "SaveImage" | "PreviewImage":
                return {"images": self._saved(name, class_type == "PreviewImage")}
            case "SaveImageWebsocket":
                await self._stream(name)
            case "TextGenerate":
                self._write(name)
            case "PreviewAny":
                source = inputs.get("source")
                text = self.worker.texts.get(self._key(_source(source))) if _source(source) in self.graph else None
                return {"text": [str(source) if text is None else text]}
            case "LoadImage":
                self._load(str(inputs["image"]))
            case _ if class_type.startswith(("KSampler", "SamplerCustom")) and class_type != "KSamplerSelect":
                await self._sample(name, class_type)
            case _:
                pass
        return None

    async def _sample(self, name: str, class_type: str) -> None:
        steps = next(drawing._values(self.graph, name, ("steps",)), 1)  # pyright: ignore[reportPrivateUsage]
        for step in range(1, steps + 1):
            await self.worker.pause()
            picture = drawing.encoded(drawing.Image.new("RGB", (64, 64), (step % 256, 0, 0)), "JPEG")
            await self._step(name, step, steps, picture, "JPEG")
            await self.worker.hold(class_type, step)

    async def _stream(self, name: str) -> None:
        pictures = drawing.pictures(self.graph, name, self._open)
        for step, picture in enumerate(pictures):
            await self._step(name, step, len(pictures), drawing.encoded(picture, "PNG"), "PNG")

    async def _step(self, name: str, value: int, most: int, picture: bytes, kind: str) -> None:
        """A client that knows preview metadata gets the picture before the step, another after it."""
        facts = {"node_id": name, "prompt_id": self.id, "display_node_id": name, "parent_node_id": None}
        await self._state(name, value, most, "running")
        late = await self.worker.send_picture(picture, kind, {**facts, "real_node_id": name}, self.client)
        body = {"value": value, "max": most, "prompt_id": self.id, "node": name}
        await self.worker.send("progress", body, self.client)
        if late is not None:
            await late()

    def _saved(self, name: str, preview: bool) -> list[Json]:
        extra: Json = self.extra.get("extra_pnginfo") or {}
        pictures = drawing.pictures(self.graph, name, self._open)
        return [self._kept(name, drawing.png(picture, self.graph, extra), "png", preview) for picture in pictures]

    def _filmed(self, name: str, class_type: str) -> Json:
        frames = drawing.pictures(self.graph, name, self._open)
        fps = clips.rate(self.graph, name)
        row = self._kept(name, clips.video(frames, fps, FILMS[class_type]), FILMS[class_type], False)
        if class_type != "VHS_VideoCombine":
            return {"images": [row], "animated": [True]}
        more = {"format": "video/h264-mp4", "frame_rate": fps, "fullpath": f"{SERVER_FOLDER}/output/{row['filename']}"}
        return {"gifs": [{**row, **more}]}

    def _kept(self, name: str, content: bytes, ending: str, preview: bool) -> Json:
        """One file written to its folder, and how the server speaks of it."""
        prefix = "ComfyUI_temp" if preview else str(self.graph[name]["inputs"].get("filename_prefix", "ComfyUI"))
        subfolder, _, stem = prefix.rpartition("/")
        if ".." in subfolder:
            raise Failing("Exception", "**** ERROR: Saving image outside the output folder is not allowed.")
        kind = "temp" if preview else "output"
        taken = sum(1 for file in self.worker.files if file[:2] == (kind, subfolder) and file[2].startswith(stem))
        filename = f"{stem}_{taken + 1:05}_.{ending}"
        self.worker.files[kind, subfolder, filename] = content
        return {"filename": filename, "subfolder": subfolder, "type": kind}

    def _write(self, name: str) -> None:
        """Without the choice that the server takes it for granted that it has, the node itself breaks."""
        if self.graph[name]["inputs"].get("sampling_mode") not in {"on", "off"}:
            text = "TextGenerate.execute() missing 1 required positional argument: 'sampling_mode'\n"
            raise Failing("TypeError", text)
        self.worker.texts[self._key(name)] = self.worker.says.pop(0) if self.worker.says else "A red fox."

    def _load(self, name: str) -> None:
        try:
            drawing.measured({"1": {"class_type": "LoadImage", "inputs": {"image": name}}}, "1", self._open)
        except UnidentifiedImageError:
            text = f"cannot identify image file '{SERVER_FOLDER}/input/{name}'\n"
            raise Failing("PIL.UnidentifiedImageError", text) from None

    def _open(self, name: str) -> bytes:
        return self.worker.files[named(name)]

    def _order(self, output: str, known: list[str]) -> list[str]:
        """What must run for an output, sources first."""
        order: list[str] = []

        def visit(name: str) -> None:
            if name in known or name in order or name in self.done:
                return
            for value in self.graph[name].get("inputs", {}).values():
                if (source := _source(value)) in self.graph:
                    visit(source)
            order.append(name)

        visit(output)
        return order

    def _key(self, name: str) -> str:
        """Equal for nodes of one class with equal inputs all the way up; a loaded file counts by its bytes."""
        node = self.graph[name]
        inputs = {
            field_name: self._key(source) + str(value) if (source := _source(value)) in self.graph else value
            for field_name, value in sorted(node.get("inputs", {}).items())
        }
        loads = {"LoadImage": "image", "LoadVideo": "file", "LoadAudio": "audio"}.get(node["class_type"], "")
        content = hash(self.worker.files.get(named(str(inputs[loads])))) if loads else 0
        return json.dumps([node["class_type"], inputs, content])


def _source(value: Any) -> str:
    """The node that a link reads; empty for a literal."""
    return str(cast("list[Any]", value)[0]) if isinstance(value, list) and value else ""


class Failing(Exception):
    """What a node raises, under any type's name."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def named(name: str) -> File:
    """A file as LoadImage names it: "sub/name.png", or "name.png [output]"."""
    kind = "input"
    for other in ("input", "output", "temp"):
        if name.endswith(f" [{other}]"):
            name, kind = name.removesuffix(f" [{other}]"), other
    subfolder, _, base = name.rpartition("/")
    return kind, subfolder, base


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
