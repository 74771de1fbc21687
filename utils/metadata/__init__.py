"""What made a picture or video, written into the file and read back: PNG, JPEG, WebP and MP4. Pixels never change."""

from utils.metadata.files import (
    CREATOR,
    MEDIA_TYPES,
    VIDEO,
    carried,
    media_type_of,
    read,
    read_png,
    stamp_png,
    stamped,
    stripped,
)
from utils.metadata.parameters import parameters_text, read_parameters
from utils.metadata.stamps import MAX_TEXT, PARAMETERS, PROMPT, RECORD, SCHEMA, WORKFLOW, XMP, SourceType, Stamp

__all__ = [
    "CREATOR",
    "MAX_TEXT",
    "MEDIA_TYPES",
    "PARAMETERS",
    "PROMPT",
    "RECORD",
    "SCHEMA",
    "VIDEO",
    "WORKFLOW",
    "XMP",
    "SourceType",
    "Stamp",
    "carried",
    "media_type_of",
    "parameters_text",
    "read",
    "read_parameters",
    "read_png",
    "stamp_png",
    "stamped",
    "stripped",
]
