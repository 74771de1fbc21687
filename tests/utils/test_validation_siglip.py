"""SigLIP-style models: another tokenizer, padded to its full length, and a bias in the logits. Tiny, random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from utils.reading.foils import foils
from utils.validation import ClipScorer

pytestmark = pytest.mark.models
WORDS = ["<pad>", "</s>", "<unk>", *"a red blue circle square two three stars on white background the cat".split()]
CONFIG = {
    "model_cfg": {
        "embed_dim": 32,
        "init_logit_scale": 4.7,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
        "text_cfg": {
            "context_length": 64,
            "vocab_size": len(WORDS),
            "hf_tokenizer_name": "its-own-folder",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "width": 32,
            "heads": 2,
            "layers": 1,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
        },
    },
    "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import open_clip
    import safetensors.torch
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    library: Any = open_clip
    files: Any = safetensors.torch
    made: Any = transformers
    place = tmp_path_factory.mktemp("tiny-siglip")
    (place / "open_clip_config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    words: Any = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    wrapped = made.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    )
    wrapped.save_pretrained(place)
    torch.manual_seed(3)
    settings = {name: value for name, value in CONFIG["model_cfg"].items() if name != "custom_text"}
    network = library.CustomTextCLIP(**settings)
    files.save_file(network.state_dict(), place / "open_clip_model.safetensors")
    return place


@pytest.fixture(scope="module")
def scorer(folder: Path) -> ClipScorer:
    return ClipScorer(folder)


def picture(colour: str = "red") -> Image.Image:
    return Image.new("RGB", (40, 32), colour)


def test_its_scores_are_the_raw_cosines_of_open_clip_with_texts_padded_to_64(folder: Path, scorer: ClipScorer) -> None:
    import open_clip
    import torch

    library: Any = open_clip
    network, _, prepare = library.create_model_and_transforms(f"local-dir:{folder}")
    tokens = library.get_tokenizer(f"local-dir:{folder}")(["a red circle", "two stars"])
    with torch.inference_mode():
        rows = network.eval().encode_image(torch.stack([prepare(picture())]), normalize=True)
        bare = (rows @ network.encode_text(tokens, normalize=True).T).numpy()
    assert tokens.shape == (2, 64)
    assert scorer.scores([picture()], ["a red circle", "two stars"]) == pytest.approx(bare, abs=1e-5)


def test_a_text_beyond_its_64_tokens_is_read_in_parts(scorer: ClipScorer) -> None:
    once = "two red stars on a white background"
    long = ", ".join([once] * 12)
    parts = ", ".join([once] * 9) + ","
    [[whole, other]] = scorer.scores([picture()], [long, f"{parts} {'the blue cat ' * 20}"])
    assert whole != pytest.approx(other, abs=1e-4)


def test_its_own_scale_makes_margins_comparable(scorer: ClipScorer) -> None:
    wish = foils("two red stars")
    [row] = scorer.scores([picture()], wish.texts).tolist()
    contrast = wish.read(row, scorer.scale)
    assert scorer.scale == pytest.approx(109.95, abs=0.01)
    assert contrast.nats == pytest.approx(contrast.margin * 109.947, rel=1e-4)


def test_its_threshold_is_far_below_that_of_a_clip(scorer: ClipScorer) -> None:
    assert scorer.threshold == 0.06
