"""The Engine and Graphs ports on ComfyUI servers: one, or a pool of several."""

from clients.comfyui_engine.engine import ComfyUIEngine

__all__ = ["ComfyUIEngine"]
