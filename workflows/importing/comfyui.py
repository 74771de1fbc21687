"""ComfyUI's graph as a recipe: from the node that saved the picture back through the samplers to models and words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workflows.graph import Node
from workflows.importing.draft import Draft
from workflows.importing.editor import nodes_of_editor
from workflows.importing.nodes import Nodes, link_of, nodes_of
from workflows.importing.values import number, rows, size, table, text, truth, whole

SAMPLERS = {"KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"}
SIGMAS = {
    "KarrasScheduler": "karras",
    "ExponentialScheduler": "exponential",
    "BetaSamplingScheduler": "beta",
    "SDTurboScheduler": "sgm_uniform",
    "Flux2Scheduler": "simple",
}
"""Nodes that make one kind of noise levels, by ComfyUI's name of it."""
MODELS = ("ckpt_name", "unet_name", "base_ckpt_name", "model_name", "model_path", "diffusion_name", "checkpoint")
TEXTS = ("text", "prompt", "text_g", "t5xxl", "clip_l", "text_l", "clip_g", "llama", "user_prompt", "string")
NOT_WORDS = {
    "model",
    "clip",
    "vae",
    "image",
    "pixels",
    "latent",
    "samples",
    "mask",
    "control_net",
    "style_model",
    "pipe",
}
NOT_PIXELS = {
    *("model", "clip", "vae", "positive", "negative", "conditioning", "upscale_model", "guider", "sigmas", "sampler"),
    *("noise", "control_net", "mask", "clip_vision", "clip_vision_output", "seed", "width", "height", "steps", "cfg"),
}
MOST_PASSES = 8


def read_graph(graph: Mapping[str, Any] | None, workflow: Mapping[str, Any] | None = None) -> Draft | None:
    """The recipe in a graph in API format, else in the editor's; None when neither has a node."""
    nodes = Nodes(nodes_of(graph) if graph else {})
    if not nodes.by_id and workflow:
        nodes = Nodes(nodes_of_editor(workflow))
    return _Reading(nodes, Draft(program="ComfyUI")).all() if nodes.by_id else None


class _Reading:
    def __init__(self, nodes: Nodes, draft: Draft) -> None:
        self.nodes, self.draft = nodes, draft
        self.guidance: object = None

    def all(self) -> Draft:
        """Samplers from the last to the first; the first is the one that drew, the others went over it."""
        last = self._last_sampler()
        if last is None:
            return self._without_sampler()
        self._afterwards(last)
        first, path = last, list[Node]()
        for _ in range(MOST_PASSES):
            sampler, walked = self._before(first)
            if sampler is None:
                self._canvas(walked)
                break
            first, path = sampler, [*reversed(walked), *path]
        self._sampling(first)
        self._conditioning(first)
        self._model(first)
        if first is not last:
            self._later_passes(last, path)
        return self.draft

    def _last_sampler(self) -> Node | None:
        for end in self.nodes.ends()[:20] or list(self.nodes.by_id)[:1]:
            for _, node in self.nodes.upstream(end):
                if _samples(node):
                    return node
        return next((node for node in self.nodes.by_id.values() if _samples(node)), None)

    def _afterwards(self, sampler: Node) -> None:
        """What went over the finished picture, by the nodes that say so in their names."""
        seen: dict[str, None] = {}
        for end in self.nodes.ends()[:1]:
            for _, node in self.nodes.upstream(end, NOT_PIXELS):
                if node is sampler:
                    break
                if re.search("Upscale|Detailer|FaceRestore|ReActor", node.class_type):
                    seen[node.class_type] = None
        if seen:
            self.draft.note(f"What went over the finished picture is not taken over: {', '.join(seen)}.")

    def _without_sampler(self) -> Draft:
        self.draft.task = "unknown"
        if any("UpscaleWithModel" in node.class_type for node in self.nodes.by_id.values()):
            self.draft.task = "upscale"
        self.draft.note("Its ComfyUI graph has no sampler that is known here; the graph itself is kept.")
        return self.draft

    def _before(self, sampler: Node) -> tuple[Node | None, list[Node]]:
        """The sampler before this one, if any, and the nodes up to it or to where its latents begin, nearest first."""
        link = next((link for name in _LATENTS if (link := link_of(sampler.inputs.get(name)))), None)
        walked: list[Node] = []
        for _, node in self.nodes.upstream(link[0], NOT_PIXELS) if link else ():
            if _samples(node) and node is not sampler:
                return node, walked
            walked.append(node)
        return None, walked

    def _canvas(self, begin: list[Node]) -> None:
        """The size of an empty latent, or the picture that was taken instead."""
        pictures = [node for node in begin if "LoadImage" in node.class_type or "Load Image" in node.class_type]
        masked = any("Inpaint" in node.class_type or "NoiseMask" in node.class_type for node in begin)
        for node in reversed(begin):
            wide, high = (self.nodes.number(node, edge) for edge in ("width", "height"))
            wide, high = (
                known or self.nodes.number(node, f"empty_latent_{edge}")
                for edge, known in (("width", wide), ("height", high))
            )
            told = size(node.inputs.get("resolution") or node.inputs.get("dimensions"))
            if whole(wide) and whole(high):
                self.draft.size(wide, high)
                break
            if told:
                self.draft.size(*told)
                break
        if pictures:
            self.draft.from_a_picture(None, mask=masked)

    def _sampling(self, node: Node) -> None:
        draft, nodes = self.draft, self.nodes
        guider = nodes.reached(node, "guider")
        sigmas, spacing, share = self._sigmas(node)
        noise = nodes.reached(node, "noise")
        select = nodes.reached(node, "sampler")
        seeds = (nodes.number(one, name) for one in (node, noise) for name in ("seed", "noise_seed"))
        draft.seed(next((seed for seed in seeds if seed is not None), None))
        draft.steps(nodes.number(node, "steps") or nodes.number(sigmas, "steps"))
        cfg = nodes.number(node, "cfg")
        self.guidance = cfg if cfg is not None else nodes.number(guider, "cfg")
        name = nodes.number(node, "sampler_name") or nodes.number(select, "sampler_name") or _sampler_class(select)
        draft.sampler(name, nodes.number(node, "scheduler") or spacing)
        strength = number(nodes.number(node, "denoise") or share or nodes.number(sigmas, "denoise"))
        if draft.task != "txt2img" and strength is not None:
            draft.denoise(strength)
        draft.clip_skip(nodes.number(node, "clip_skip"))

    def _sigmas(self, node: Node) -> tuple[Node | None, object, object]:
        """The node that makes the noise levels, ComfyUI's name for them, and the share of them that is used, where
        nodes between split them."""
        found, share = self.nodes.reached(node, "sigmas"), None
        for _ in range(MOST_PASSES):
            if found is None or "sigmas" not in found.inputs:
                break
            share = self.nodes.number(found, "denoise") or share
            found = self.nodes.reached(found, "sigmas")
        told = self.nodes.number(found, "scheduler")
        return found, told or (SIGMAS.get(found.class_type) if found else None), share

    def _conditioning(self, sampler: Node) -> None:
        guider = self.nodes.reached(sampler, "guider")
        source = guider or sampler
        positive = next((name for name in ("positive", "conditioning", "cond1") if name in source.inputs), "positive")
        self.draft.words(self._words(source, positive, "positive"), self._words(source, "negative", "negative"))
        self.draft.cfg(self.guidance)

    def _words(self, node: Node, field: str, role: str) -> str:
        """The texts that an input is made of, each once, in the order in which they are combined."""
        found: dict[str, None] = {}
        link = link_of(node.inputs.get(field))
        pending, seen = ([link] if link else []), set[tuple[str, int]]()
        while pending:
            place = pending.pop()
            source = self.nodes.visited(place[0])
            if source is None or place in seen:
                continue
            seen.add(place)
            said = self._encoded(source, role)
            if said is None:
                pending.extend(reversed(self._further(source, role)))
            elif said:
                found[said] = None
        return ", ".join(found)

    def _encoded(self, node: Node, role: str) -> str | None:
        """What a text encoder encodes; "" where the words are zeroed out; None for a node that encodes none."""
        if role == "positive" and (told := number(self.nodes.number(node, "guidance"))) is not None:
            self.guidance = told
        if "ZeroOut" in node.class_type:
            return ""
        own = node.inputs.get(role)
        if isinstance(own, str):  # loaders that take both prompts
            return text(own)
        if "TextEncode" not in node.class_type and "clip" not in node.inputs:
            return None
        self._clip(node)
        if any(link_of(node.inputs.get(name)) for name in ("image", "image1")) and role == "positive":
            self.draft.note("A reference picture that its words go with is not in the file.")
        said = dict.fromkeys(self.nodes.words(node.inputs[name]) for name in TEXTS if name in node.inputs)
        return ", ".join(one for one in said if one)

    def _further(self, node: Node, role: str) -> list[tuple[str, int]]:
        """Where a node between takes its conditioning from."""
        links = self.nodes.links(node, NOT_WORDS)
        if any(name == role for name, _, _ in links):
            if "control_net" in node.inputs:
                self.draft.note("It followed a control picture, which is not in the file.")
            return [(source, slot) for name, source, slot in links if name == role]
        if "latent" in node.inputs and "Reference" in node.class_type:
            self.draft.note("A reference picture is not in the file.")
        return [(source, slot) for _, source, slot in links]

    def _clip(self, encoder: Node) -> None:
        link = link_of(encoder.inputs.get("clip"))
        for _, node in self.nodes.upstream(link[0], {"model", "vae", "image"}) if link else ():
            if "stop_at_clip_layer" in node.inputs:
                self.draft.clip_skip(self.nodes.number(node, "stop_at_clip_layer"))
                return

    def _model(self, sampler: Node) -> None:
        """The chain of models back to its loader; LoRAs in the order in which they were laid on, those of stacks that
        join the chain too."""
        guider = self.nodes.reached(sampler, "guider")
        source = sampler if "model" in sampler.inputs else guider or sampler
        link = next((one for name in ("model", "MODEL", "pipe") if (one := link_of(source.inputs.get(name)))), None)
        loras: list[tuple[object, object, object]] = []
        for _, node in self.nodes.upstream(link[0], NOT_WORDS - {"model", "pipe"}) if link else ():
            loras += reversed(self._loras(node))
            name = next((told for one in MODELS if isinstance(told := self.nodes.number(node, one), str) and told), "")
            if name and self.draft.model is None and ("lora_name" not in node.inputs or "ckpt_name" in node.inputs):
                self._loaded(name)
                self.draft.clip_skip(self.nodes.number(node, "clip_skip"))
        for name, strength, clip in reversed(loras):
            self.draft.lora(name, strength, clip)

    def _loaded(self, name: str) -> None:
        self.draft.model_name(name)
        if name.startswith("urn:air:"):
            self.draft.note(f"Its model is {name} of CivitAI.")

    def _loras(self, node: Node) -> list[tuple[object, object, object]]:
        """The LoRAs of one node: the plain loader, stacks with numbers, rgthree's rows, LoRA manager's tags."""
        nodes = self.nodes
        if "lora_name" in node.inputs:
            strength = self._first(node, "strength_model", "strength", "lora_model_strength")
            clip = None if "ModelOnly" in node.class_type else self._first(node, "strength_clip", "lora_clip_strength")
            return [(nodes.number(node, "lora_name"), strength, clip)]
        if "lora" not in node.class_type.lower():
            return []
        if isinstance(tags := node.inputs.get("text"), str) and "<lora:" in tags:
            self.draft.tags(tags[:20_000])
        return [row for name, value in node.inputs.items() for row in self._row(node, name, value)]

    def _row(self, node: Node, name: str, value: object) -> list[tuple[object, object, object]]:
        """The LoRA of one input of a node that takes several, where it is switched on."""
        row, place = table(value), re.fullmatch(r"lora_name_(\d{1,2})", name)
        if row and truth(row.get("on", True)):
            return [(row.get("lora"), row.get("strength"), row.get("strengthTwo"))]
        count = number(self.nodes.number(node, "lora_count"))
        if place is None or node.inputs.get(f"switch_{place[1]}") == "Off" or (count and int(place[1]) > count):
            return []
        weight = self._first(node, *(f"{one}_{place[1]}" for one in ("lora_wt", "model_str", "model_weight")))
        return [(value, 1.0 if weight is None else weight, None)]

    def _first(self, node: Node, *names: str) -> object:
        """The first of these inputs that holds a number."""
        values = (self.nodes.number(node, name) for name in names)
        return next((one for one in values if one is not None), None)

    def _later_passes(self, last: Node, path: list[Node]) -> None:
        """A second pass at another size is our hires; one at the same size is a refiner."""
        changed, edges = self._resized(path)
        if changed:
            self.draft.enlarged(None, edges)
            return
        begins = self.nodes.number(last, "start_at_step")
        after = f" from step {begins}" if begins else ""
        self.draft.note(f"It was drawn in more than one pass{after}; only the first is taken over.")

    def _resized(self, path: list[Node]) -> tuple[bool, tuple[int, int] | None]:
        """Whether the nodes between the passes change the size, and to what, where they say it."""
        wide, high = self.draft.fields.get("width"), self.draft.fields.get("height")
        edges: tuple[int, int] | None = (wide, high) if wide and high else None
        changed = False
        for node in path:
            if "Upscale" not in node.class_type and "Scale" not in node.class_type:
                continue
            changed = True
            to = [whole(self.nodes.number(node, edge)) for edge in ("width", "height")]
            times = number(self.nodes.number(node, "scale_by") or self.nodes.number(node, "upscale_by"))
            if to[0] and to[1]:
                edges = to[0], to[1]
            elif times is None:
                edges = None
            elif edges:
                edges = round(edges[0] * times), round(edges[1] * times)
        return changed, edges


_LATENTS = ("latent_image", "latent", "samples", "optional_latent", "image", "pixels")


def _samples(node: Node) -> bool:
    """Whether it is a sampler: ComfyUI's own, or one of the packs' with the same inputs."""
    if node.class_type in SAMPLERS:
        return True
    return "KSampler" in node.class_type and "latent_image" in node.inputs


def _sampler_class(node: Node | None) -> str:
    """ "SamplerDPMPP_2M_SDE" as dpmpp_2m_sde."""
    kind = node.class_type if node else ""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.removeprefix("Sampler")).lower() if kind else ""


def is_graph(found: Mapping[str, Any]) -> bool:
    return any("class_type" in table(body) for body in found.values())


def is_workflow(found: Mapping[str, Any]) -> bool:
    return bool(rows(found.get("nodes"), 1)) and "links" in found
