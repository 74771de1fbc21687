"""The Engine and Graphs ports on ComfyUI servers, one or a pool of several, and the ChatModel port on their node for
text."""

from clients.comfyui_engine.engine import ComfyUIEngine
from clients.comfyui_engine.writing import ComfyTextModel

__all__ = ["ComfyTextModel", "ComfyUIEngine"]
