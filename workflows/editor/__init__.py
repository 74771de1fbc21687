"""The format of ComfyUI's editor: read, laid flat, and converted to the API format that a server takes."""

from workflows.editor.conversion import Converted, StatedModel, converted
from workflows.editor.naming import Spot, named_spots
from workflows.editor.reading import MOST_NODES, is_editors

__all__ = ["MOST_NODES", "Converted", "Spot", "StatedModel", "converted", "is_editors", "named_spots"]
