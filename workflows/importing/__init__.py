"""Pictures and videos from elsewhere: what other programs wrote into them, and their way into the gallery."""

from workflows.importing.draft import Foreign
from workflows.importing.reading import read_recipe
from workflows.importing.taking import Imports

__all__ = ["Foreign", "Imports", "read_recipe"]
