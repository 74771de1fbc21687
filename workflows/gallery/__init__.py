"""The gallery: what was made and kept, and all that can be done with it. `from workflows.gallery import Gallery`."""

from workflows.gallery.family import Node, Tree
from workflows.gallery.finding import TRASH, Finder, has_picture, why_no_picture
from workflows.gallery.gallery import PREVIEW_EDGES, Gallery

__all__ = ["PREVIEW_EDGES", "TRASH", "Finder", "Gallery", "Node", "Tree", "has_picture", "why_no_picture"]
