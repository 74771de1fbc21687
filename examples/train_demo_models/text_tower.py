"""The judge's text tower and the generator's text encoder are the same network in two notations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from common import library
from tokenizer import CONTEXT, grown_embedding, read_merges

Weights = dict[str, torch.Tensor]


def _text_config(vocabulary: int, width: int, layers: int, heads: int) -> Any:
    return library("transformers").CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=CONTEXT, hidden_act="gelu", projection_dim=width,
        bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1,
    )  # fmt: skip


def converted_text_encoder(clip: Path) -> Any:
    """A transformers text encoder with the weights of the judge's text tower."""
    config = json.loads((clip / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
    model = library("transformers").CLIPTextModel(
        _text_config(config["vocab_size"], config["width"], config["layers"], config["heads"])
    )
    weights = converted(library("safetensors.torch").load_file(clip / "open_clip_model.safetensors"), config["layers"])
    prefix = "text_model." if any(key.startswith("text_model.") for key in model.state_dict()) else ""
    missing, unexpected = model.load_state_dict({prefix + k: v for k, v in weights.items()}, strict=False)
    if unexpected or any("position_ids" not in key for key in missing):
        raise ValueError(f"the text tower does not fit: missing {missing}, unexpected {unexpected}")
    return model


def converted(weights: Mapping[str, torch.Tensor], layers: int) -> Weights:
    """The text tower's weights under the names transformers uses."""
    out = {
        "embeddings.token_embedding.weight": weights["token_embedding.weight"],
        "embeddings.position_embedding.weight": weights["positional_embedding"],
        "final_layer_norm.weight": weights["ln_final.weight"],
        "final_layer_norm.bias": weights["ln_final.bias"],
    }
    parts = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2",
             "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}  # fmt: skip
    for layer in range(layers):
        source, target = f"transformer.resblocks.{layer}.", f"encoder.layers.{layer}."
        for kind in ("weight", "bias"):
            joint = weights[f"{source}attn.in_proj_{kind}"].chunk(3)
            out |= {f"{target}self_attn.{n}_proj.{kind}": part for n, part in zip("qkv", joint, strict=True)}
            out |= {f"{target}{new}.{kind}": weights[f"{source}{old}.{kind}"] for new, old in parts.items()}
    return {key: value.float() for key, value in out.items()}


def continued_text_encoder(pipeline: Path, old_bpe: Path, bpe: Path) -> Any:
    """The text encoder of a pipeline folder, grown to a vocabulary that extends its own."""
    model = library("transformers").CLIPTextModel.from_pretrained(
        pipeline, subfolder="text_encoder", dtype=torch.float32
    )
    old, new = read_merges(old_bpe), read_merges(bpe)
    if len(new) == len(old):
        return model
    known = model.config
    config = _text_config(514 + len(new), known.hidden_size, known.num_hidden_layers, known.num_attention_heads)
    grown = library("transformers").CLIPTextModel(config)
    weights = dict(model.state_dict())
    for key in weights:
        if key.endswith("token_embedding.weight"):
            weights[key] = grown_embedding(weights[key], old, new)
    grown.load_state_dict(weights)
    return grown
