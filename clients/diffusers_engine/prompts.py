"""Prompts as a pipeline takes them: its own embeddings where they are enough, weighted ones where they are not.

Brackets and texts longer than the encoder's context go through compel, from pieces that we parsed: compel's own
prompt language reads '+', '-' and quotes as operators, which people's prompts contain by accident.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from utils.emphasis import Part, emphasis

KEPT = 8
"""Prompts whose embeddings are kept; those of a T5 encoder are a few megabytes each."""
PAIR = ("prompt_embeds", "negative_prompt_embeds")
POOLED = (*PAIR, "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
EMBEDDINGS = {
    "StableDiffusionPipeline": PAIR,
    "StableDiffusionXLPipeline": POOLED,
    "StableDiffusion3Pipeline": POOLED,
    "FluxPipeline": ("prompt_embeds", "pooled_prompt_embeds"),
}
"""What `encode_prompt` of a pipeline gives, in its order, by the names under which the pipeline takes it."""


class Wordings:
    """What the latest prompts came to: a picture that differs in its seed alone runs no text encoder.

    It holds embeddings on the model's device and lives and dies with the model.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[dict[str, Any], list[str]]] = OrderedDict()

    def arguments(self, pipe: Any, prompt: str, negative: str, *, weights: bool) -> tuple[dict[str, Any], list[str]]:
        """As `prompt_arguments`."""
        if (prompt, negative) not in self._kept:
            self._kept[prompt, negative] = prompt_arguments(pipe, prompt, negative, weights=weights)
        self._kept.move_to_end((prompt, negative))
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        arguments, notes = self._kept[prompt, negative]
        return dict(arguments), list(notes)


def prompt_arguments(pipe: Any, prompt: str, negative: str, *, weights: bool) -> tuple[dict[str, Any], list[str]]:
    """What to call the pipeline with, and what to tell the user about it.

    Without emphasis, and within the encoder's context, the embeddings are the pipeline's own, so that the pixels are
    those of the bare pipeline; a pipeline that is not known here gets the text itself. Otherwise weights are applied to
    the embeddings, and longer text is encoded in parts of the encoder's context that follow each other (the shorter
    prompt is filled up with empty parts).
    """
    if not weights:
        return _plain(pipe, prompt, negative), []
    wanted, unwanted = emphasis(prompt), emphasis(negative)
    lengths = [_length(pipe, parts) for parts in (wanted, unwanted)]
    context = int(pipe.tokenizer.model_max_length)
    weighted = any(part.weight != 1.0 for part in (*wanted, *unwanted))
    if not weighted and max(lengths) <= context:
        return _plain(pipe, _text(wanted), _text(unwanted)), []
    return _embeddings(pipe, wanted, unwanted), _notes(lengths, context)


def _plain(pipe: Any, prompt: str, negative: str) -> dict[str, Any]:
    """The pipeline's own embeddings of both texts, always for guidance; without any the negative one is not read."""
    import torch

    given: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative or None}
    names = EMBEDDINGS.get(type(pipe).__name__.replace("Img2Img", "").replace("Inpaint", ""))
    if names is None:
        return given
    given |= {"prompt_2": None, "prompt_3": None, "device": pipe.device}
    given |= {"num_images_per_prompt": 1, "do_classifier_free_guidance": True}
    taken = inspect.signature(pipe.encode_prompt).parameters
    with torch.no_grad():
        encoded = pipe.encode_prompt(**{name: value for name, value in given.items() if name in taken})
    return dict(zip(names, encoded, strict=False))  # Flux gives the positions of its tokens besides


def _notes(lengths: list[int], context: int) -> list[str]:
    return [
        f"The {name} has {length} tokens, the text encoder takes {context} at a time: it was encoded in parts."
        for name, length in zip(("prompt", "negative prompt"), lengths, strict=True)
        if length > context
    ]


def _text(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts)


def _length(pipe: Any, parts: Sequence[Part]) -> int:
    """Tokens of the text, markers included."""
    return len(pipe.tokenizer(_text(parts), truncation=False)["input_ids"])


def _embeddings(pipe: Any, wanted: Sequence[Part], unwanted: Sequence[Part]) -> dict[str, Any]:
    import torch

    with torch.no_grad():
        if getattr(pipe, "text_encoder_2", None) is None:
            positive, negative = _encode(_compel(pipe.tokenizer, pipe.text_encoder), wanted, unwanted)
            return {"prompt_embeds": positive, "negative_prompt_embeds": negative}
        return _xl_embeddings(pipe, wanted, unwanted)


def _xl_embeddings(pipe: Any, wanted: Sequence[Part], unwanted: Sequence[Part]) -> dict[str, Any]:
    """SDXL joins two encoders' penultimate layers and takes the second one's pooled output besides.

    Where the model's configuration says so (the base model's does), no negative prompt is all zeros, as in the pipeline
    itself: a bracket in the prompt must change nothing else.
    """
    import torch

    small = _compel(pipe.tokenizer, pipe.text_encoder, penultimate=True)
    large = _compel(pipe.tokenizer_2, pipe.text_encoder_2, penultimate=True)
    pairs = zip(_encode(small, wanted, unwanted), _encode(large, wanted, unwanted), strict=True)
    positive, negative = (torch.cat(pair, dim=-1) for pair in pairs)
    provider = large.conditioning_provider
    pooled, unpooled = (
        provider.get_pooled_embeddings([_text(parts)], device=large.device) for parts in (wanted, unwanted)
    )
    if not _text(unwanted) and pipe.config.get("force_zeros_for_empty_prompt"):
        negative, unpooled = torch.zeros_like(negative), torch.zeros_like(unpooled)
    return {
        "prompt_embeds": positive,
        "negative_prompt_embeds": negative,
        "pooled_prompt_embeds": pooled,
        "negative_pooled_prompt_embeds": unpooled,
    }


def _compel(tokenizer: Any, encoder: Any, *, penultimate: bool = False) -> Any:
    from compel import Compel, ReturnedEmbeddingsType

    layer = (
        ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
        if penultimate
        else ReturnedEmbeddingsType.LAST_HIDDEN_STATES_NORMALIZED
    )
    return Compel(
        tokenizer=tokenizer, text_encoder=encoder, truncate_long_prompts=False, returned_embeddings_type=layer
    )


def _encode(compel: Any, wanted: Sequence[Part], unwanted: Sequence[Part]) -> tuple[Any, Any]:
    """Both prompts' embeddings, 1 x tokens x width, made equally long."""
    from compel.prompt_parser import Conjunction, FlattenedPrompt

    tensors = [
        compel.build_conditioning_tensor_for_conjunction(
            Conjunction([FlattenedPrompt([(part.text, part.weight) for part in parts] or [("", 1.0)])])
        )[0]
        for parts in (wanted, unwanted)
    ]
    positive, negative = compel.pad_conditioning_tensors_to_same_length(tensors)
    return positive, negative
