"""ComfyUI's model folders: which kind of weight file lies in which. It knows names only, and looks at no disk."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "checkpoint": "checkpoints",
        "diffusion_model": "diffusion_models",
        "lora": "loras",
        "vae": "vae",
        "text_encoder": "text_encoders",
        "controlnet": "controlnet",
        "upscaler": "upscale_models",
        "embedding": "embeddings",
        "clip_vision": "clip_vision",
        "style_model": "style_models",
        "model_patch": "model_patches",
    }
)
"""Where a new file of each kind belongs. `other` has no folder of its own."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "unet": "diffusion_models",
        "clip": "text_encoders",
        "t2i_adapter": "controlnet",
    }
)
"""Older names that ComfyUI still reads, and the name of today."""

OTHER_FOLDERS = frozenset(
    "latent_upscale_models audio_encoders background_removal frame_interpolation photomaker gligen hypernetworks "
    "vae_approx diffusers".split()
)
"""Folders of weights that no kind of ours stands for."""

_KINDS = {folder: kind for kind, folder in FOLDERS.items()}


def plain_folder(folder: str) -> str:
    """Today's name of a folder, in lower case; a name that ComfyUI does not know is given back."""
    name = folder.strip().lower()
    return ALIASES.get(name, name)


def kind_of_folder(folder: str) -> str | None:
    """The kind of the files in a model folder of that name: "other" for folders without a kind of ours, None for a
    folder that ComfyUI keeps no weights in."""
    name = plain_folder(folder)
    return _KINDS.get(name) or ("other" if name in OTHER_FOLDERS else None)
