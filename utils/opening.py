"""A picture in whatever form a caller has it, opened for a measure: RGB, transparent parts on white."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from utils.images import decode

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture: TypeAlias = str | Path | bytes | bytearray | memoryview | Image


def as_picture(image: object) -> str | Path | bytes | Image:
    """What was given as a picture, unread; a bytearray or memoryview as bytes. Raises TypeError for anything else."""
    from PIL import Image

    if isinstance(image, bytearray):
        return bytes(image)
    if isinstance(image, memoryview):
        return image.tobytes()
    if isinstance(image, (str, Path, bytes, Image.Image)):
        return image
    kind = type(image).__name__
    raise TypeError(f"A picture is a path, bytes or a Pillow image, not {kind}. For an array: PIL.Image.fromarray.")


def opened(image: object) -> Image:
    """The picture as RGB of 8 bits; transparent parts are laid on white, as a page shows them.

    Raises TypeError for what is no picture's form, ValueError (BadPicture) for bytes that are none, and OSError.
    """
    from PIL import Image

    given = as_picture(image)
    if isinstance(given, (str, Path)):
        given = Path(given).read_bytes()
    picture = decode(given) if isinstance(given, bytes) else given
    if picture.mode.startswith("I"):  # 16 bits of grey, which convert() would clip at 255
        picture = picture.convert("I").point(lambda level: level * (1 / 257)).convert("L")
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    page = Image.new("RGBA", picture.size, "white")
    page.alpha_composite(picture.convert("RGBA"))
    return page.convert("RGB")
