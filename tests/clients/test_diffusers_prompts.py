"""A prompt encoded ahead is the prompt as the pipeline itself encodes it: flow models in small, with random weights."""

from __future__ import annotations

from typing import Any

import pytest

from clients.diffusers_engine.drawing import for_each
from clients.diffusers_engine.prompts import prompt_arguments
from tests.clients.tiny_models import library, tiny_flux, tiny_sd3

SETTINGS: dict[str, Any] = {
    "width": 64,
    "height": 64,
    "num_inference_steps": 2,
    "guidance_scale": 4.0,
    "output_type": "np",
}


def pixels(pipe: Any, *seeds: int, **words: Any) -> Any:
    torch = library("torch")
    chance = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    return pipe(**SETTINGS, **words, generator=chance if len(chance) > 1 else chance[0]).images


@pytest.mark.models
@pytest.mark.parametrize(("make", "negative"), [(tiny_sd3, "blurry"), (tiny_sd3, ""), (tiny_flux, "")])
def test_words_encoded_ahead_draw_the_same_without_the_encoders(make: Any, negative: str) -> None:
    torch, runs = library("torch"), list[str]()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = make()
    pipe.set_progress_bar_config(disable=True)
    bare = pixels(pipe, 1, prompt="red car", **({"negative_prompt": negative} if negative else {}))
    arguments, _ = prompt_arguments(pipe, "red car", negative, weights=False)

    def ran(*_: object) -> None:
        runs.append("ran")

    for name in ("text_encoder", "text_encoder_2", "text_encoder_3"):
        if encoder := getattr(pipe, name, None):
            encoder.register_forward_hook(ran)
    assert (pixels(pipe, 1, **arguments) == bare).all()
    batch = pixels(pipe, 1, 2, **for_each(arguments, 2))
    alone = [pixels(pipe, seed, **arguments)[0] for seed in (1, 2)]
    assert max(abs(one - other).max() for one, other in zip(batch, alone, strict=True)) < 1e-4
    assert abs(batch[0] - batch[1]).max() > 1e-2
    assert runs == []
