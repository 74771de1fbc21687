"""Put trained parts together into the folders that are shipped.

    python assemble.py --t2i T2I_DIR --vae VAE_DIR --clip CLIP_DIR --out clients/demo

The UNet and text encoder come from the pipeline, the autoencoder from its own folder; everything is stored in half
precision. README.md files already in the target stay. Readers of the target see the old folders or the new ones.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from common import library, log, replace_folder, start
from judge_model import THRESHOLD

SETTINGS = {
    "name": "Atelier demo shapes", "family": "demo", "size": 128, "steps": 20, "cfg": 2.0, "guidance_rescale": 0.6,
}  # fmt: skip


def assemble_pipeline(t2i: Path, vae: Path, target: Path) -> None:
    """Write the pipeline folder with its settings."""
    diffusers = library("diffusers")

    pipe = diffusers.StableDiffusionPipeline.from_pretrained(str(t2i), dtype=torch.float16, local_files_only=True)
    pipe.register_modules(vae=diffusers.AutoencoderTiny.from_pretrained(str(vae), torch_dtype=torch.float16))
    made = target.with_name(target.name + ".new")
    pipe.save_pretrained(made)
    for path in made.rglob("*.json"):
        clean_config(path)
    (made / "atelier.json").write_text(json.dumps(SETTINGS, indent=2) + "\n", encoding="utf-8")
    finish(made, target)


def assemble_judge(clip: Path, target: Path) -> None:
    """Copy the judge's folder and add its settings."""
    made = target.with_name(target.name + ".new")
    shutil.copytree(clip, made)
    settings = {"name": "Atelier demo judge", "positive_threshold": THRESHOLD}
    (made / "atelier.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    finish(made, target)


def clean_config(path: Path) -> None:
    """Take out where the parts lay when they were put together."""
    text = path.read_text(encoding="utf-8")
    if path.name != "tokenizer.json":
        config = {k: v for k, v in json.loads(text).items() if k not in ("_name_or_path", "name_or_path")}
        text = json.dumps(config, indent=2) + "\n"
    path.write_text(text, encoding="utf-8")


def finish(made: Path, target: Path) -> None:
    """Keep the model card and swap the folders."""
    card = target / "README.md"
    if card.exists():
        shutil.copyfile(card, made / "README.md")
    replace_folder(made, target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    log.info("%s: %.2f MB", target, size / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--t2i", type=Path)
    parser.add_argument("--vae", type=Path)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    start(0, 1)
    if args.t2i is not None:
        assemble_pipeline(args.t2i, args.vae, args.out / "t2i")
    if args.clip is not None:
        assemble_judge(args.clip, args.out / "clip")


if __name__ == "__main__":
    main()
