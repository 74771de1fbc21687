"""The judge: open_clip's CLIP in a very small size, its loading, narrowing and saving."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from common import library, replace_folder
from tokenizer import CONTEXT, grown_embedding, read_merges
from torch.nn import functional

THRESHOLD = 0.25  # the cosine at which a caption is as likely true as false
VISION_WIDTH, TEXT_WIDTH, EMBEDDING, PICTURE = 12, 128, 128, 64
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
Weights = dict[str, torch.Tensor]


def model_config(vocabulary: int) -> dict[str, Any]:
    """The arguments of open_clip.CLIP."""
    return {
        "embed_dim": EMBEDDING,
        "vision_cfg": {"image_size": PICTURE, "layers": [1, 1, 1, 1], "width": VISION_WIDTH, "head_width": 64},
        "text_cfg": {"context_length": CONTEXT, "vocab_size": vocabulary, "width": TEXT_WIDTH, "heads": 4, "layers": 3},
        "init_logit_scale": math.log(20),
        "init_logit_bias": -THRESHOLD * 20,
    }


def new_judge(vocabulary: int) -> Any:
    return library("open_clip").CLIP(**model_config(vocabulary))


def continued_judge(folder: Path, bpe: Path) -> Any:
    """A judge with the weights of another one, which may be wider or know fewer words."""
    old, new = read_merges(folder / "bpe.txt.gz"), read_merges(bpe)
    stored: Weights = library("safetensors.torch").load_file(folder / "open_clip_model.safetensors")
    weights = {key: value.float() if value.is_floating_point() else value for key, value in stored.items()}
    if len(new) > len(old):
        weights["token_embedding.weight"] = grown_embedding(weights["token_embedding.weight"], old, new)
    width = weights["visual.conv1.weight"].shape[0] * 2
    if width > VISION_WIDTH:
        weights |= narrowed({k: v for k, v in weights.items() if k.startswith("visual.")}, VISION_WIDTH / width)
    model = new_judge(514 + len(new))
    model.load_state_dict(weights)
    return model


def narrowed(weights: Mapping[str, torch.Tensor], share: float) -> Weights:
    """A ResNet tower with only the strongest `share` of its channels; it needs more training afterwards."""
    out = dict(weights)
    kept = torch.arange(3)
    for i in (1, 2, 3):
        kept = _narrow_conv(out, f"visual.conv{i}", [f"visual.bn{i}"], kept, share)
    for stage in (1, 2, 3, 4):
        block = f"visual.layer{stage}.0."
        inner = kept
        for i in (1, 2):
            inner = _narrow_conv(out, f"{block}conv{i}", [f"{block}bn{i}"], inner, share)
        norms = [f"{block}bn3", f"{block}downsample.1"]
        strongest = _strongest(out, norms, share)
        _cut_conv(out, f"{block}conv3", norms[:1], inner, strongest)
        _cut_conv(out, f"{block}downsample.0", norms[1:], kept, strongest)
        kept = strongest
    _narrow_pool(out, kept, share)
    return out


def _strongest(weights: Weights, norms: list[str], share: float) -> torch.Tensor:
    power = torch.stack([weights[f"{norm}.weight"].abs() for norm in norms]).sum(0)
    return power.topk(round(len(power) * share)).indices.sort().values


def _narrow_conv(weights: Weights, conv: str, norms: list[str], inputs: torch.Tensor, share: float) -> torch.Tensor:
    outputs = _strongest(weights, norms, share)
    _cut_conv(weights, conv, norms, inputs, outputs)
    return outputs


def _cut_conv(weights: Weights, conv: str, norms: list[str], inputs: torch.Tensor, outputs: torch.Tensor) -> None:
    weights[f"{conv}.weight"] = weights[f"{conv}.weight"][outputs][:, inputs]
    for norm in norms:
        for part in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{norm}.{part}"] = weights[f"{norm}.{part}"][outputs]


def _narrow_pool(weights: Weights, inputs: torch.Tensor, share: float, head: int = 64) -> None:
    """Cut the attention pool: whole heads, those whose way out is strongest."""
    way_out = weights["visual.attnpool.c_proj.weight"]
    power = way_out.abs().sum(0).view(-1, head).sum(1)
    heads = power.topk(round(len(power) * share)).indices.sort().values
    rows = (heads[:, None] * head + torch.arange(head)).flatten()
    for name in ("q_proj", "k_proj", "v_proj"):
        weights[f"visual.attnpool.{name}.weight"] = weights[f"visual.attnpool.{name}.weight"][rows][:, inputs]
        weights[f"visual.attnpool.{name}.bias"] = weights[f"visual.attnpool.{name}.bias"][rows]
    weights["visual.attnpool.c_proj.weight"] = way_out[:, rows]
    pos = "visual.attnpool.positional_embedding"
    weights[pos] = weights[pos][:, inputs]


def text_features(model: Any, tokens: torch.Tensor, chunks: int = 6) -> torch.Tensor:
    """What `model.encode_text(normalize=True)` gives, computed on captions sorted by length to save time."""
    lengths = tokens.argmax(1) + 1
    out = torch.empty(len(tokens), EMBEDDING)
    for part in lengths.argsort().chunk(chunks):
        length = int(lengths[part].max())
        short = tokens[part][:, :length]
        hidden = model.token_embedding(short) + model.positional_embedding[:length]
        hidden = model.ln_final(model.transformer(hidden, attn_mask=model.attn_mask[:length, :length]))
        out[part] = (hidden[torch.arange(len(short)), short.argmax(-1)] @ model.text_projection).float()
    return functional.normalize(out, dim=-1)


def save_judge(model: Any, bpe: Path, target: Path) -> None:
    """Write the judge as an open_clip 'local-dir:' folder in half precision, atomically."""
    made = target.with_name(target.name + ".new")
    safetensors = library("safetensors.torch")
    made.mkdir(parents=True, exist_ok=True)
    weights = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in model.state_dict().items()}
    weights["logit_bias"] = -THRESHOLD * weights["logit_scale"].exp()
    safetensors.save_file(weights, made / "open_clip_model.safetensors")
    config = {"model_cfg": model_config(model.vocab_size), "preprocess_cfg": PREPROCESS}
    (made / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(bpe, made / "bpe.txt.gz")
    replace_folder(made, target)
