"""ComfyUI's events as steps for people: never falling, whatever is drawn again or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clients.comfyui_client import Cached, Event, NodeDone, NodeProgress, NodeStarted, Preview, Started, Waiting
from workflows.types import Media, RenderStep

if TYPE_CHECKING:
    from workflows.graph import Graph
    from workflows.ports import Report

DOING: Mapping[str, str] = {
    "KSampler": "Drawing",
    "SamplerCustom": "Drawing",
    "UltimateSDUpscale": "Drawing in tiles",
    "VAEDecode": "Decoding",
    "VAEEncode": "Encoding the picture",
    "CLIPTextEncode": "Reading the prompt",
    "TextEncode": "Reading the prompt",
    "ImageUpscaleWithModel": "Enlarging",
    "CreateVideo": "Putting the frames together",
    "VHS_VideoCombine": "Encoding the video",
    "SaveVideo": "Encoding the video",
    "SaveWEBM": "Encoding the video",
    "SaveAnimated": "Encoding the video",
    "Save": "Saving",
    "LoadImage": "Opening the picture",
    "LoadVideo": "Opening the video",
    "GetVideoComponents": "Opening the video",
    "FrameInterpolate": "Making frames between",
    "RIFE": "Making frames between",
    "FILM": "Making frames between",
}
"""What a node does, by the start of its class; any other loader is loading a model."""
UNHEARD = " (asked for before a restart: ComfyUI does not tell its steps)"


class Tracker:
    """Turns the events of one render into RenderSteps.

    `steps` counts the samplers' steps and one more for all else; a graph without a sampler counts its nodes. The first
    graph fixes it: what a lower rung of the memory ladder counts is stretched to it.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._steps = 0
        self._step = 0
        self._message = ""
        self._url = ""
        self._graph: Graph | None = None
        self._weights: Mapping[str, int] = {}
        self._done: dict[str, float] = {}
        self._node = ""
        self._heard: tuple[str, float] = ("", 0.0)

    def begin(self, graph: Graph, sampler_steps: Mapping[str, int], url: str) -> None:
        """A graph is about to be sent to the server at `url`."""
        self._graph, self._url, self._node, self._done = graph, url, "", {}
        self._weights = sampler_steps or dict.fromkeys(graph.nodes, 1)
        self._steps = self._steps or sum(self._weights.values()) + bool(sampler_steps)

    def say(self, message: str = "", preview: Media | None = None, ahead: int | None = None) -> None:
        """A word at the step where the render stands; without one, the last word again."""
        self._message = message or self._message
        self._report(
            RenderStep(
                step=self._step,
                steps=max(self._steps, 1),
                message=self._message,
                preview=preview,
                node=self._class_of(self._node),
                ahead=ahead,
            )
        )

    def finish(self) -> None:
        """The pictures are here."""
        self._step = self._steps
        self.say("Drawn")

    def hear(self, event: Event) -> None:
        """One event of the prompt that was sent last."""
        match event:
            case Waiting(ahead=ahead):
                self.say(f"Waiting: {ahead} ahead on {self._url}", ahead=ahead)
            case Started(unheard=unheard):
                self.say(f"{f'At work{UNHEARD}' if unheard else 'Started'} on {self._url}")
            case Cached(nodes=nodes):
                self._end(*nodes)
            case NodeStarted(node=node):
                self._begin_node(node)
            case NodeProgress(node=node, value=value, most=most):
                self._advance(node, value, most)
            case Preview(media=media):
                self.say(preview=media)
            case NodeDone(node=node):
                self._end(node)
            case _:
                pass

    def _begin_node(self, node: str) -> None:
        self._end(self._node)  # nodes run one after the other
        self._node = node
        self.say(self._words())

    def _advance(self, node: str, value: float, most: float) -> None:
        if (node, value) == self._heard:  # told in two kinds of message
            return
        self._heard = (node, value)
        self._node = node
        self._count(node, value / most)
        drawing = self._words() == "Drawing"
        self.say(f"Step {self._step} of {self._steps - 1}" if drawing else f"{self._words()}: {value:g} of {most:g}")

    def _end(self, *nodes: str) -> None:
        for node in nodes:
            self._count(node, 1.0)

    def _count(self, node: str, share: float) -> None:
        """Note how far a node is. The last step of all is `finish`."""
        if node in self._weights:
            self._done[node] = max(self._done.get(node, 0.0), min(share, 1.0))
            part = sum(self._weights[name] * done for name, done in self._done.items()) / sum(self._weights.values())
            self._step = max(self._step, int(part * (self._steps - 1) + 1e-6))

    def _class_of(self, node: str) -> str:
        return self._graph[node].class_type if self._graph is not None and node in self._graph else ""

    def _words(self) -> str:
        """What the node at work does, for people."""
        name = self._class_of(self._node)
        words = next((words for start, words in DOING.items() if name.startswith(start)), "")
        return words or ("Loading the model" if "Loader" in name else f"Running {name or 'on'}")
