"""What a downloaded file may be called, what it may be, and the folder it goes to. Blocking; it fetches nothing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from utils.safetensors_header import BadHeader, header_bytes_needed, read_header
from workflows.errors import BadRecipe, StorageError
from workflows.folders import FOLDERS, kind_of_folder
from workflows.types import Offer

if TYPE_CHECKING:
    from workflows.recognition import Recognised

SAFE = frozenset({".safetensors", ".sft"})
GGUF = ".gguf"
PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin"})
"""Files that run code when they are opened."""
LONGEST_NAME = 180
"""Bytes: file systems take 255, and the part file and side-cars have longer names."""
RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{number}" for number in range(10)), *(f"lpt{number}" for number in range(10))}
)
"""Names that Windows keeps for devices, with any suffix."""
PICKLE_STEP = "look for a .safetensors version, or have the owner set ATELIER_PICKLES=true"
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("lora", "locon", "dora", "lycoris", "enhancement lora"), "lora"),
    **dict.fromkeys(("checkpoint", "model", "pruned model", "checkpoint merge"), "checkpoint"),
    **dict.fromkeys(("textualinversion", "textual_inversion", "embedding", "negative"), "embedding"),
    **dict.fromkeys(("unet", "diffusion model"), "diffusion_model"),
    **dict.fromkeys(("text encoder", "clip"), "text_encoder"),
}
"""How sources spell kinds, besides our own words and the names of the folders."""

_STRANGE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_ENCODER = re.compile(
    r"t5|umt5|clip|text.?enc|gemma|llama|byt5|mistral|qwen.?(2\.?5|3).?vl|qwen.?3.?\d+b", re.IGNORECASE
)


def check_name(name: str, pickles: bool) -> str:
    """The name, when it is a plain file name of a model file that is allowed. Raises BadRecipe."""
    stem, suffix = name.partition(".")[0].strip().lower(), Path(name).suffix.lower()
    faults = {
        "it has characters that file names have not": _STRANGE.search(name) is not None,
        "it begins or ends with a dot or a space": name != name.strip(" .") or not name,
        "Windows keeps that name for a device": stem in RESERVED,
        f"it has more than {LONGEST_NAME} bytes": len(name.encode()) > LONGEST_NAME,
    }
    fault = next((words for words, found in faults.items() if found), None)
    if fault is not None:
        raise BadRecipe("reference", name, f"{fault}; choose another file of this model")
    if suffix in PICKLES and not pickles:
        raise BadRecipe("reference", name, f"{suffix} files can run code when they are opened: {PICKLE_STEP}")
    if suffix not in SAFE | PICKLES | {GGUF}:
        raise BadRecipe("reference", name, "model files end in .safetensors or .gguf; choose another file of it")
    return name


def check_first(name: str, first: bytes, pickles: bool) -> None:
    """Whether a file that begins so is what its name says. `first`: 16 bytes. Raises BadRecipe."""
    suffix = Path(name).suffix.lower()
    if _is_pickle(first):
        if suffix in PICKLES and pickles:
            return
        raise BadRecipe("reference", name, f"its content can run code when it is opened: {PICKLE_STEP}")
    if (suffix == GGUF) != first.startswith(b"GGUF"):
        raise BadRecipe("reference", name, "its content is not what its suffix says; choose another file of it")
    if suffix == GGUF:
        return
    try:
        header_bytes_needed(first[:8])
    except BadHeader as error:
        raise BadRecipe("reference", name, f"it is no safetensors file: {error}") from error
    if first[8:9] not in {b"{", b""}:
        raise BadRecipe("reference", name, "it is no safetensors file: its header is no JSON object")


def _is_pickle(first: bytes) -> bool:
    """A zip, as torch saves, or a bare pickle of protocol 2 to 5. The length of a safetensors header may begin like
    one; the header then follows, and is read before the file gets its place."""
    bare = first[:1] == b"\x80" and first[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}
    header = first[4:8] == bytes(4) and first[8:9] == b"{"
    return first.startswith(b"PK\x03\x04") or (bare and not header)


def told_kind(offer: Offer) -> str:
    """The kind of ours that the source's word stands for; "other" where it stands for none."""
    word = offer.kind.strip().lower()
    if word in FOLDERS:
        return word
    return KINDS.get(word) or kind_of_folder(word) or "other"


def likely_kind(offer: Offer) -> str:
    """Where to put a file before its header is here."""
    kind = told_kind(offer)
    if Path(offer.name).suffix.lower() == GGUF:
        return gguf_kind(offer.name)
    return "checkpoint" if kind == "other" else kind


def gguf_kind(name: str) -> str:
    """A quantised text encoder says so in its name; all else is a denoiser."""
    return "text_encoder" if _ENCODER.search(name) else "diffusion_model"


def recognised(path: Path, name: str) -> Recognised | None:
    """What the header says; None for formats without one of safetensors. Raises BadRecipe for a damaged one."""
    from workflows.recognition import recognise

    if Path(name).suffix.lower() not in SAFE:
        return None
    try:
        return recognise(read_header(path), name, path.stat().st_size)
    except BadHeader as error:
        raise BadRecipe("reference", name, f"it is no sound safetensors file: {error}; it was thrown away") from error


def kind_of(found: Recognised | None, offer: Offer) -> str:
    """The header's word, then the source's."""
    if found is not None and found.kind in FOLDERS:
        return found.kind
    return likely_kind(offer)


def quarantine(folder: Path, offer: Offer) -> Path:
    """Where the file lies until it was looked at: under a suffix that nobody takes for a model, and one for each
    reference."""
    key = hashlib.sha256(offer.reference.encode()).hexdigest()[:10]
    return folder / f"{offer.name}.{key}.unchecked"


def other_name(name: str, sha256: str) -> str:
    """Another name for a file whose own is taken."""
    path = Path(name)
    return f"{path.stem}-{sha256[:8]}{path.suffix}"


def place(source: Path, folder: Path, name: str, sha256: str) -> tuple[Path, bool]:
    """Give the file its place in the folder; never over another. (Where it is, whether it was there already.)

    Raises StorageError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        near = _brought_near(source, folder)
        for candidate in (folder / name, folder / other_name(name, sha256)):
            if _moved(near, candidate):
                return candidate, False
            if same_file(candidate, sha256):
                near.unlink()
                return candidate, True
    except OSError as error:
        raise StorageError(
            f"{name} cannot be put into {folder} ({error.strerror or error}): make it writable."
        ) from error
    raise StorageError(f"{folder / name} and its other name are taken by other files: move them, and ask again.")


def _brought_near(source: Path, folder: Path) -> Path:
    """The file on the disk of that folder: a name is given at once only there."""
    if source.stat().st_dev == folder.stat().st_dev:
        return source
    near = folder / source.name
    shutil.copyfile(source, near)
    source.unlink()
    return near


def _moved(source: Path, target: Path) -> bool:
    """False when something is there. A link is made first, because a rename would go over it."""
    if os.path.lexists(target):
        return False
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:  # a disk without links
        source.rename(target)
    else:
        source.unlink()
    return True


def same_file(path: Path, sha256: str) -> bool:
    """Whether a file with that content is there. Reads all of it."""
    if not sha256 or not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256.lower()


def write_side_car(model: Path, text: str) -> None:
    """What the source said, beside the file; what is there already stays."""
    path = model.with_suffix(".civitai.info")
    if text and not path.exists():
        path.write_text(text, encoding="utf-8")


def room(folder: Path) -> int:
    """Free bytes on the disk of a folder that may not be there yet."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(there).free
