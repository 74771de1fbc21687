"""Tiny image classifiers made on the spot, which say the same of every picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

EDGE = 32


def make_classifier(folder: Path, labels: Sequence[str], leaning: Sequence[float]) -> Path:
    """A ViT in transformers' own files whose logits are `leaning`, whatever it sees."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=EDGE,
        patch_size=16,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    network: Any = ViTForImageClassification(config)
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.tensor(list(leaning)))
    network.save_pretrained(folder)
    ViTImageProcessor(size={"height": EDGE, "width": EDGE}).save_pretrained(folder)
    return folder


def alarmed(folder: Path) -> Path:
    """One that takes everything for unsafe."""
    return make_classifier(folder, ["normal", "nsfw"], [0.0, 5.0])


def calm(folder: Path) -> Path:
    """One that takes nothing for unsafe."""
    return make_classifier(folder, ["normal", "nsfw"], [5.0, 0.0])
