"""Prompts as a pipeline takes them: its own embeddings where they are enough, weighted ones where they are not.

Brackets and texts longer than the encoder's context go through compel, from pieces that we parsed: compel's own
prompt language reads '+', '-' and quotes as operators, which people's prompts contain by accident.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Generator, Hashable, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from utils.emphasis import Part, emphasis
from workflows.errors import BadRecipe
from workflows.families import Family

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
LAYERED = {
    "StableDiffusionPipeline": ("text_encoder",),
    "StableDiffusionXLPipeline": ("text_encoder", "text_encoder_2"),
    "StableDiffusion3Pipeline": ("text_encoder", "text_encoder_2"),
}
"""The encoders whose earlier layers can be read instead of the last one; FLUX takes a summary of the last one alone."""


class Wordings:
    """What the latest prompts came to: a picture that differs in its seed alone runs no text encoder.

    It holds embeddings on the model's device and lives and dies with the model.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[dict[str, Any], list[str]]] = OrderedDict()

    def arguments(
        self, pipe: Any, prompt: str, negative: str, *, weights: bool, skip: int = 0, voice: Hashable = ()
    ) -> tuple[dict[str, Any], list[str]]:
        """As `prompt_arguments`. `voice`: what else changes the encoders, such as LoRAs and their strengths."""
        key = prompt, negative, skip, voice
        if key not in self._kept:
            self._kept[key] = prompt_arguments(pipe, prompt, negative, weights=weights, skip=skip)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        arguments, notes = self._kept[key]
        return dict(arguments), list(notes)


def layers_to_skip(pipe: Any, found: Family, wanted: int | None) -> tuple[int, list[str]]:
    """How many of the encoders' last layers are left out, beyond those that the family leaves out by itself.

    `wanted` as A1111 counts: 1 is the last layer. SD 2, SDXL and SD 3 read the last but one by themselves, so 2 changes
    nothing there; neither does 1, which A1111 leaves unheard for SDXL. Raises BadRecipe where there are fewer layers.
    """
    wanted = wanted or found.comfyui.clip_skip or 1
    kind = _kind(pipe)
    if kind not in LAYERED:
        return 0, [f"{found.profile.title} has no clip skip; it was left out."] if wanted > 1 else []
    own = 1 if kind == "StableDiffusionPipeline" and found.text_width != OPEN_CLIP_WIDTH else 2
    skip = max(0, wanted - own)
    most = min(len(_layers(getattr(pipe, name)).layers) for name in LAYERED[kind]) + own - 1
    if wanted > max(most, own):
        raise BadRecipe("clip_skip", wanted, f"the text encoder of this model allows 1 to {most}")
    return skip, []


OPEN_CLIP_WIDTH = 1024
"""Width of SD 2's text encoder, whose last layer diffusers leaves out."""


def _kind(pipe: Any) -> str:
    return type(pipe).__name__.replace("Img2Img", "").replace("Inpaint", "")


def _layers(encoder: Any) -> Any:
    """What holds the encoder's layers: newer transformers have flattened the text model, older ones have not."""
    return getattr(encoder, "text_model", encoder).encoder


@contextmanager
def _shallower(encoder: Any, skip: int) -> Generator[None]:
    """The encoder without its last layers; its final norm stays, so what comes out is what A1111 calls clip skip."""
    stack = _layers(encoder)
    whole = stack.layers
    stack.layers = whole[: len(whole) - skip]
    try:
        yield
    finally:
        stack.layers = whole


def prompt_arguments(
    pipe: Any, prompt: str, negative: str, *, weights: bool, skip: int = 0
) -> tuple[dict[str, Any], list[str]]:
    """What to call the pipeline with, and what to tell the user about it; `skip`: layers to leave out, both prompts.

    The pooled embeddings stay those of all layers, as in A1111 and ComfyUI.
    """
    arguments, notes = _whole(pipe, prompt, negative, weights=weights)
    if not skip:
        return arguments, notes
    with ExitStack() as shorter:
        for name in LAYERED[_kind(pipe)]:
            shorter.enter_context(_shallower(getattr(pipe, name), skip))
        shallow, _ = _whole(pipe, prompt, negative, weights=weights)
    return arguments | {name: shallow[name] for name in PAIR}, notes


def _whole(pipe: Any, prompt: str, negative: str, *, weights: bool) -> tuple[dict[str, Any], list[str]]:
    """As `prompt_arguments`, from all layers.

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
    names = EMBEDDINGS.get(_kind(pipe))
    if names is None:
        return given
    given |= {"prompt_2": None, "prompt_3": None, "device": _device(pipe)}
    given |= {"num_images_per_prompt": 1, "do_classifier_free_guidance": True}
    taken = inspect.signature(pipe.encode_prompt).parameters
    with torch.no_grad():
        encoded = pipe.encode_prompt(**{name: value for name, value in given.items() if name in taken})
    return dict(zip(names, encoded, strict=False))  # Flux gives the positions of its tokens besides


def _device(pipe: Any) -> Any:
    """Where it computes: with offloading its weights lie elsewhere."""
    return pipe._execution_device


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
            positive, negative = _encode(_compel(pipe, ""), wanted, unwanted)
            return {"prompt_embeds": positive, "negative_prompt_embeds": negative}
        return _xl_embeddings(pipe, wanted, unwanted)


def _xl_embeddings(pipe: Any, wanted: Sequence[Part], unwanted: Sequence[Part]) -> dict[str, Any]:
    """SDXL joins two encoders' penultimate layers and takes the second one's pooled output besides.

    Where the model's configuration says so (the base model's does), no negative prompt is all zeros, as in the pipeline
    itself: a bracket in the prompt must change nothing else.
    """
    import torch

    small = _compel(pipe, "", penultimate=True)
    large = _compel(pipe, "_2", penultimate=True)
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


def _compel(pipe: Any, number: str, *, penultimate: bool = False) -> Any:
    from compel import Compel, ReturnedEmbeddingsType

    layer = (
        ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
        if penultimate
        else ReturnedEmbeddingsType.LAST_HIDDEN_STATES_NORMALIZED
    )
    return Compel(
        tokenizer=getattr(pipe, f"tokenizer{number}"),
        text_encoder=getattr(pipe, f"text_encoder{number}"),
        truncate_long_prompts=False,
        returned_embeddings_type=layer,
        device=_device(pipe),
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
