"""A prompt in, a picture out: nothing technical to decide.

    python examples/intelligent_pipeline.py                                  # models of a ComfyUI on this machine
    python examples/intelligent_pipeline.py --models /data/models            # or of a folder laid out like ComfyUI's
    python examples/intelligent_pipeline.py "a knight in the rain" --style realistic --quality high

Where no model is found the demo model draws, which knows coloured shapes and figures only.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workflows.intelligent import IntelligentPipelineBuilder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

KINDS = {"checkpoint": "checkpoints", "lora": "loras", "vae": "vae"}


def builder_for(models: Path | None, home: Path | None, ollama: bool) -> IntelligentPipelineBuilder:
    """Models of that folder alone, or of whatever ComfyUI is found."""
    settings: dict[str, Any] = {"atelier_home": home} if home else {}
    if models is None:
        return IntelligentPipelineBuilder.from_comfyui_auto(enable_ollama=ollama, **settings)
    folders = {kind: [models / folder] for kind, folder in KINDS.items()}
    return IntelligentPipelineBuilder.from_paths(folders, enable_ollama=ollama, **settings)


def main(arguments: Sequence[str] | None = None) -> list[Path]:
    """Draw, save, and give the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt", nargs="?", default="a red circle on a white background")
    parser.add_argument("--style", help="realistic, anime, artistic, 3d, ...")
    parser.add_argument("--quality", default="balanced", help="fast, balanced, high or ultra")
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--models", type=Path, help="folder with checkpoints, loras and vae")
    parser.add_argument("--ollama", action="store_true", help="let a language model read the prompt")
    parser.add_argument("--home", type=Path, help="where Atelier keeps gallery and database")
    parser.add_argument("--output", type=Path, default=Path("picture.png"))
    given = parser.parse_args(arguments)
    with builder_for(given.models, given.home, given.ollama) as builder:
        drawn = builder.generate(
            given.prompt, style=given.style, quality=given.quality, num_images=given.images, seed=given.seed
        )
        stats = builder.get_stats()
    paths = saved(drawn if isinstance(drawn, list) else [drawn], given.output)
    sys.stdout.write(f"{', '.join(map(str, paths))}\n{json.dumps(stats, indent=2)}\n")
    return paths


def saved(pictures: Sequence[Image], output: Path) -> list[Path]:
    """Write the pictures; several get numbered names."""
    several = len(pictures) > 1
    paths = [output.with_stem(f"{output.stem}-{n}") if several else output for n in range(1, len(pictures) + 1)]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    return paths


if __name__ == "__main__":
    main()
