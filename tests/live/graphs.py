"""Small graphs of nodes that every ComfyUI has. Each is new: a colour or a seed that was not there before."""

from __future__ import annotations

import random
from typing import Any

from workflows.types import new_id

Graph = dict[str, Any]


def colour() -> int:
    return random.randrange(2**24)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def saved(width: int = 64, height: int = 64, count: int = 1) -> Graph:
    """One plain picture, written under a prefix of its own."""
    empty = node("EmptyImage", width=width, height=height, batch_size=count, color=colour())
    return {"1": empty, "2": node("SaveImage", images=["1", 0], filename_prefix=f"atelier-test/{new_id()[:8]}")}


def previewed() -> Graph:
    return {"1": saved()["1"], "2": node("PreviewImage", images=["1", 0])}


def slow(blurs: int = 12, edge: int = 1200) -> Graph:
    """A chain of blurs that takes seconds on a CPU; the server can be interrupted between them."""
    graph: Graph = {"0": node("EmptyImage", width=edge, height=edge, batch_size=1, color=colour())}
    for step in range(1, blurs + 1):
        graph[str(step)] = node("ImageBlur", image=[str(step - 1), 0], blur_radius=12, sigma=1.0 + step / 100)
    return graph | {"save": node("PreviewImage", images=[str(blurs), 0])}


def loaded(reference: str) -> Graph:
    """An uploaded picture, inverted, written."""
    save = node("SaveImage", images=["2", 0], filename_prefix=f"atelier-test/{new_id()[:8]}")
    return {"1": node("LoadImage", image=reference), "2": node("ImageInvert", image=["1", 0]), "3": save}


def circle() -> Graph:
    save = node("SaveImage", images=["2", 0], filename_prefix="atelier-test/never")
    return {"1": node("ImageInvert", image=["2", 0]), "2": node("ImageInvert", image=["1", 0]), "3": save}


def drawn(checkpoint: str, steps: int = 2, edge: int = 64, count: int = 1) -> Graph:
    """txt2img from a checkpoint."""
    return {
        "4": node("CheckpointLoaderSimple", ckpt_name=checkpoint),
        "5": node("EmptyLatentImage", width=edge, height=edge, batch_size=count),
        "6": node("CLIPTextEncode", text="a red square", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="", clip=["4", 1]),
        "3": node(
            "KSampler",
            model=["4", 0],
            seed=colour(),
            steps=steps,
            cfg=4.0,
            sampler_name="euler",
            scheduler="normal",
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
            denoise=1.0,
        ),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", images=["8", 0], filename_prefix=f"atelier-test/{new_id()[:8]}"),
    }
