"""ComfyTextModel: ComfyUI's node TextGenerate as a language model; the text encoders that lie on the servers write.

It writes whole replies: the node tells nothing before its end. It has no roles and no grammar either, so a
conversation goes to it as one text, and a JSON schema as words.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from clients.comfyui_client import Waiting
from clients.comfyui_engine.pool import Candidate, choose
from utils.model_replies import without_thoughts
from workflows.drawing.inventory import near, plain, spelled
from workflows.errors import (
    EngineError,
    EngineUnavailable,
    JobCancelled,
    ModelMissing,
    OutOfMemory,
    ServiceError,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
)
from workflows.graph import Graph
from workflows.types import Message, new_id

if TYPE_CHECKING:
    from clients.comfyui_client import Event
    from clients.comfyui_engine.fleet import Fleet
    from clients.comfyui_engine.server import Server
    from workflows.drawing.inventory import Inventory

NODES = ("CLIPLoader", "TextGenerate", "PreviewAny")
NAME = "comfyui"
"""Of the model, where the file is chosen at the server; else comfyui/FILE, as OLLAMA_MODEL names it."""
SECONDS = 120.0
"""For a reply, the loading of the model and the renders before it included."""
TOKENS = 1024
"""Of a reply: a long prompt with its negative in JSON has 400."""
TEMPERATURE = 0.7
"""ComfyUI's own default for this node (its object_info)."""
WRITERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"qwen_?3[._]?5(?![0-9])",
        r"gemma_?4(?![0-9])",
        r"qwen_?3[._]?vl",
        r"gemma_?3(?![0-9])",
        r"qwen_?3_4b",
        r"ministral_?3|prompt_enhancer",
    )
)
"""Names of the text encoders that ComfyUI can write with, the best first: those of its classes that generate (0.27,
comfy/text_encoders) and whose weights surely have all that it takes; Qwen2.5-VL, T5, CLIP and Llama only read."""
FITS = 12e9
"""Bytes of weights that leave room on a GPU of 16 GB; of one kind the largest of these is the best."""
THINKER = re.compile(r"qwen_?3_[48]b")
"""Qwen3 without vision thinks first, unless it is loaded as Flux.2's encoder, whose template says not to."""
MARKS = re.compile(r"<\|[^|<>\n]{0,40}\|>|<\|?/?(?:(?:start|end)_of_)?turn\|?>|<(?:bos|eos)>", re.IGNORECASE)
"""What the templates of these models divide turns with; in somebody's words they would begin a turn of their own."""
SPEAKERS: Mapping[str, str] = {"user": "User", "assistant": "Assistant"}
DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
"""The type of an input whose choice brings inputs of its own."""
ONLY_READS = "has no attribute 'generate'"
"""What ComfyUI says of an encoder that cannot write."""

Listener = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A server that can write, its file for it, and what its node takes."""

    server: Server
    file: str
    node: Mapping[str, Any]
    types: tuple[str, ...]


class ComfyTextModel:
    """The ChatModel port, for one text encoder or, where none is named, the best one that a server has."""

    def __init__(self, fleet: Fleet, file: str = "", *, seconds: float = SECONDS) -> None:
        self._fleet = fleet
        self._file = file
        self._seconds = seconds

    @property
    def name(self) -> str:
        return named(self._file) if self._file else NAME

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        """Its likeliest reply to the prompt. Raises as `chat` does."""
        return await self._written(asked([("user", prompt)], schema), sampled=False)

    async def chat(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listener: Listener | None = None,
    ) -> str:
        """Its reply to a conversation, without thoughts; `listener` hears it whole, at the end.

        The schema is asked for in words, so that the reply need not fit it. Raises ServiceUnavailable (no server, or
        none with the node), ModelMissing, ServiceTimedOut, ServiceFailed. Cancelling stops its prompt alone.
        """
        text = await self._written(asked([(one.role, one.content) for one in messages], schema), sampled=True)
        if listener is not None:
            listener(text)
        return text

    async def installed(self) -> Sequence[str]:
        """The text encoders of the servers that could write, by their names, the best first. Raises as `chat` does."""
        found: dict[str, int] = {}
        for _, inventory in await self._able():
            found |= {file: inventory.sizes.get(("text_encoders", file), 0) for file in writers(inventory)}
        return [named(file) for file in sorted(found, key=lambda file: rank(file, found[file]))]

    # ------------------------------------------------------------------ steps

    async def _written(self, text: str, *, sampled: bool) -> str:
        """On the least busy server; on the next one when it is lost."""
        desks = await self._desks()
        last: EngineUnavailable | None = None
        waiting = _Waiting()
        try:
            async with asyncio.timeout(self._seconds):
                for desk in _in_turn(desks):
                    try:
                        return await self._on(desk, text, sampled, waiting)
                    except EngineUnavailable as error:
                        desk.server.failed(error)
                        last = error
        except TimeoutError as error:
            raise ServiceTimedOut(_late(self._seconds, waiting)) from error
        raise ServiceUnavailable(f"ComfyUI did not write: {last}") from last

    async def _on(self, desk: Desk, text: str, sampled: bool, waiting: _Waiting) -> str:
        """Raises EngineUnavailable when the server is lost."""
        prompt_id = new_id()
        graph = drawn_up(desk, text, sampled)
        server = desk.server
        try:
            with server.berth(desk.file):
                finished = await server.client.run(graph.as_prompt(), prompt_id=prompt_id, on_event=waiting.hear)
        except asyncio.CancelledError:
            server.abandon(prompt_id)  # a server that hangs was told in vain: it is told again when it answers
            raise
        except EngineUnavailable:
            raise
        except (EngineError, JobCancelled) as error:
            server.forget()  # it may not have what we thought it had
            raise ServiceFailed(_broke(desk, error)) from error
        spoken = without_thoughts("".join(finished.texts))
        if not spoken:
            raise ServiceFailed(f"{server.url}: {desk.file} gave no reply. Ask again, or set OLLAMA_MODEL to another.")
        return spoken

    async def _desks(self) -> list[Desk]:
        """Every server that can write this, with its file. Raises ModelMissing when none has one."""
        able = await self._able()
        if found := await self._seated(able):
            return found
        fresh = [(server, await server.inventory(anew=True)) for server, _ in able]
        if found := await self._seated(fresh):
            return found
        raise self._missing([inventory for _, inventory in fresh])

    async def _seated(self, able: Sequence[tuple[Server, Inventory]]) -> list[Desk]:
        return [
            Desk(
                server=server,
                file=file,
                node=(await server.client.object_info())["TextGenerate"],
                types=inventory.choices("CLIPLoader", "type"),
            )
            for server, inventory in able
            if (file := chosen(self._file, inventory))
        ]

    async def _able(self) -> list[tuple[Server, Inventory]]:
        """The servers that take work and have the nodes. Raises ServiceUnavailable when there is none."""
        servers = await self._fleet.up()
        draining = await self._fleet.drains.urls()
        inventories: list[tuple[Server, Inventory]] = []
        for server in servers:
            with suppress(EngineUnavailable, ServiceError):  # the server remembers why
                inventories.append((server, await server.inventory()))
        if not inventories:
            raise ServiceUnavailable(f"No ComfyUI server answers: {self._fleet.silence()}")
        able = [one for one in inventories if one[1].has(*NODES)]
        if not able:
            urls = ", ".join(server.url for server, _ in inventories)
            raise ServiceUnavailable(f"{urls} has no node TextGenerate, which writes. Update ComfyUI there.")
        if taking := [one for one in able if one[0].url not in draining]:
            return taking
        raise ServiceUnavailable(f"{', '.join(server.url for server, _ in able)} is draining: it gets no new work.")

    def _missing(self, inventories: Sequence[Inventory]) -> ModelMissing:
        known = tuple(dict.fromkeys(file for inventory in inventories for file in writers(inventory)))
        if not self._file:
            step = "Put one such as qwen3.5_4b_bf16.safetensors into its folder models/text_encoders."
            return ModelMissing(f"ComfyUI has no text encoder that can write. {step}")
        shown = near(self._file, known) or known[:5]
        has = f"It has {', '.join(shown)}." if shown else "It has none that can write."
        return ModelMissing(f"ComfyUI has no text encoder {self._file!r}. {has}", tuple(map(named, known)))


class _Waiting:
    """How many prompts were before ours when we last heard of it."""

    ahead = 0

    def hear(self, event: Event) -> None:
        self.ahead = event.ahead if isinstance(event, Waiting) else 0


def named(file: str) -> str:
    """How a text encoder is called among the language models."""
    return f"{NAME}/{file}"


def asked(messages: Sequence[tuple[str, str]], schema: Mapping[str, object] | None) -> str:
    """Roles and texts as one text: the rules, what was said, and the form of the reply."""
    rules = [text for role, text in messages if role == "system"]
    said = [(role, text) for role, text in messages if role != "system"]
    if len(said) == 1:
        talk = [said[0][1]]
    else:
        talk = [f"{SPEAKERS[role]}: {text}" for role, text in said]
        talk.append("Give the next reply of the assistant to the last message, and nothing else.")
    form = []
    if schema:
        shape = json.dumps(schema, ensure_ascii=False)
        form = [f"Reply with one JSON object and nothing before or after it. It fits this JSON schema: {shape}"]
    return "\n\n".join(MARKS.sub(" ", part) for part in (*rules, *talk, *form))


def writers(inventory: Inventory) -> list[str]:
    """The text encoders of a server that can write, the best first."""
    files = [file for file in inventory.loaders["text_encoders"] if _kind(file) < len(WRITERS)]
    return sorted(files, key=lambda file: rank(file, inventory.sizes.get(("text_encoders", file), 0)))


def chosen(wanted: str, inventory: Inventory) -> str | None:
    """The server's spelling of the wanted file, or its best writer where none is wanted; None when it has none."""
    if wanted:
        return spelled(wanted, inventory.loaders["text_encoders"])
    return next(iter(writers(inventory)), None)


def rank(file: str, size: int) -> tuple[int, bool, int, str]:
    """Lower is better: by kind, then the largest that fits well, then by name."""
    large = size > FITS
    return _kind(file), large, size if large else -size, file


def drawn_up(desk: Desk, text: str, sampled: bool) -> Graph:
    """The graph. With samples it has a new seed every time, else the server would give its last reply again."""
    thinks = THINKER.search(plain(desk.file)) is not None
    kind = "flux2" if thinks and "flux2" in desk.types else next(iter(desk.types), "stable_diffusion")
    own = {"clip": ("clip", 0), "prompt": text, "max_length": TOKENS, "thinking": False}
    samples = {"temperature": TEMPERATURE, "seed": secrets.randbits(48)}
    return (
        Graph({})
        .plus("clip", "CLIPLoader", clip_name=desk.file, type=kind)
        .plus("write", "TextGenerate", **_filled(desk.node, own, "on" if sampled else "off", samples))
        .plus("text", "PreviewAny", source=("write", 0))
    )


def _filled(node: Mapping[str, Any], own: Mapping[str, Any], key: str, samples: Mapping[str, Any]) -> dict[str, Any]:
    """Our values where the node takes them, its own defaults where it needs one.

    The inputs of a chosen option are written with the choice's name before theirs: sampling_mode.seed.
    """
    required, optional = _specs(node["input"], "required"), _specs(node["input"], "optional")
    inputs = {name: value for name, value in own.items() if name in required or name in optional}
    for name, spec in required.items():
        if spec[0] == DYNAMIC:
            inner = _specs(next(option["inputs"] for option in spec[1]["options"] if option["key"] == key), "required")
            given = {field: samples.get(field, default) for field, default in _defaults(inner).items()}
            inputs |= {name: key} | {f"{name}.{field}": value for field, value in given.items()}
        elif name not in inputs:
            inputs |= _defaults({name: spec})
    return inputs


def _specs(inputs: Mapping[str, Any], presence: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", inputs.get(presence) or {})


def _defaults(specs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: spec[1]["default"] for name, spec in specs.items() if len(spec) > 1 and "default" in spec[1]}


def _kind(file: str) -> int:
    """The place of the file's kind among the writers; one past the last for what only reads."""
    name = plain(file).replace("-", "_").replace(" ", "_")
    return next((place for place, pattern in enumerate(WRITERS) if pattern.search(name)), len(WRITERS))


def _in_turn(desks: Sequence[Desk]) -> Iterator[Desk]:
    """The least busy first; asked again after each, because a server that was lost changes what is known."""
    left = {desk.server.url: desk for desk in desks}
    while left:
        able = [
            Candidate(url=url, warm=desk.server.is_warm(desk.file), load=desk.server.load) for url, desk in left.items()
        ]
        best = choose(able)
        yield left.pop(best.url if best else next(iter(left)))


def _late(seconds: float, waiting: _Waiting) -> str:
    behind = f" Its prompt waited behind {waiting.ahead} other{'s' * (waiting.ahead > 1)}." if waiting.ahead else ""
    return f"ComfyUI did not write within {seconds:g} s.{behind} Try again later, or set OLLAMA_MODEL to another."


def _broke(desk: Desk, error: Exception) -> str:
    where = f"{desk.server.url}: {desk.file}"
    if ONLY_READS in str(error):
        return f"{where} is a text encoder that only reads. Choose one such as qwen3.5, gemma 4 or qwen3-vl."
    if isinstance(error, OutOfMemory):
        return f"{where} does not fit into its memory. Choose a smaller one."
    return f"{where} did not write: {error}"
