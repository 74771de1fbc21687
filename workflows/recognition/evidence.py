"""From a header, its metadata and the file's name to what the file is; each piece of evidence says only what it can."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from utils.safetensors_header import Header, Tensor
from workflows.drawing.inventory import plain
from workflows.families import families, family_of_base_model, family_of_file, sized_as_sd15
from workflows.recognition.adapters import family_rule, spelling
from workflows.recognition.precision import by_type, precision_of, weights_of
from workflows.recognition.rules import Names, Rule, first, present
from workflows.types.models import ModelKind, ToldBy

MODEL_PREFIXES = ("model.diffusion_model.", "net.", "diffusion_model.", "model.model.", "model.", "")
ADDITION_PREFIXES = ("control_model.", "adapter.", "")
COMPONENT_PREFIXES = (
    "",
    "vision_model.",
    "text_model.",
    "transformer.text_model.",
    "first_stage_model.",
    "vae.",
    "model.",
    "model.language_model.",
    "language_model.model.",
    "params_ema.",
    "params.",
)
ENCODERS = ("text_encoders.", "cond_stage_model.", "conditioner.", "text_encoder.")
VAES = ("first_stage_model.", "vae.")


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a weight file is. `family`: a key of families.toml, "unknown" for what serves many or is not known."""

    kind: ModelKind
    family: str
    parts: tuple[str, ...]
    """What is in it: model, text_encoder, vae; of a model's file."""
    precision: str
    """Of most of its weights, of the denoiser's in a checkpoint: fp32, fp16, bf16, fp8, int8, nf4, nvfp4, ..."""
    parameters: int
    """Number of weights in the file."""
    guessed: bool
    told_by: ToldBy
    """What told the family; of a file that serves many, what told its kind."""
    variant: str = ""
    """What is special about it, such as inpaint, i2v, high-noise, clip-l."""
    adapter: str = ""
    """How a LoRA is made: lora, dora, loha, lokr, oft, glora, ia3, full."""


def recognise(header: Header, name: str = "", size: int | None = None) -> Recognised:
    """What the file of that header is.

    `name`: the file's own, with or without folders; it decides only what header and metadata leave open. `size`: bytes
    of the file; it counts for a file without any tensors to look at, such as a pickle.
    """
    names = Names(header.tensors)
    rule, prefix, adapter = _rule(names)
    if rule is None or (rule.family == "unknown" and adapter):
        family, told_by, guessed = _without_signs(header.metadata, name)
        if family == "unknown" and not header.tensors and sized_as_sd15(size):
            family, told_by = "sd15", "size"
        kind, variant = _kind_without_signs(header.metadata, adapter), ""
        parts: tuple[str, ...] = ()
    else:
        family, told_by, guessed = _flavour(rule, header.metadata, name)
        parts = _parts(rule, names)
        kind = _kind(rule, parts)
        variant = _variant(rule, family, names, prefix, header.metadata, name)
    weights = by_type(header.tensors.values())
    of_model = by_type(_beginning(header.tensors, prefix)) if kind == "checkpoint" and prefix else weights
    return Recognised(
        kind=kind,
        family=family,
        parts=parts,
        precision=precision_of(of_model, names),
        parameters=weights_of(weights, names),
        guessed=guessed,
        told_by=told_by,
        variant=variant,
        adapter=adapter,
    )


def _rule(names: Names) -> tuple[Rule | None, str, str]:
    """The rule that holds, the prefix under which it does, and how an adapter is made."""
    found = first("additions", names, present(names, ADDITION_PREFIXES))
    if found is None and (adapter := spelling(names)):
        return family_rule(names) or Rule("unknown", "lora"), "", adapter
    found = found or first("models", names, present(names, MODEL_PREFIXES))
    found = found or first("components", names, present(names, COMPONENT_PREFIXES))
    return (*found, "") if found else (None, "", "")


def _parts(rule: Rule, names: Names) -> tuple[str, ...]:
    if rule.kind:
        return ()
    if rule.parts:
        return rule.parts
    encoder = any(map(names.begins, ENCODERS))
    vae = any(map(names.begins, VAES))
    return ("model", *(("text_encoder",) if encoder else ()), *(("vae",) if vae else ()))


def _kind(rule: Rule, parts: tuple[str, ...]) -> ModelKind:
    if rule.kind:
        return _KINDS[rule.kind]
    return "diffusion_model" if parts == ("model",) else "checkpoint"


_KINDS: Mapping[str, ModelKind] = {
    "lora": "lora",
    "vae": "vae",
    "text_encoder": "text_encoder",
    "controlnet": "controlnet",
    "upscaler": "upscaler",
    "embedding": "embedding",
    "clip_vision": "clip_vision",
    "style_model": "style_model",
    "model_patch": "model_patch",
    "other": "other",
}


def _beginning(tensors: Mapping[str, Tensor], prefix: str) -> Iterable[Tensor]:
    return (tensor for name, tensor in tensors.items() if name.startswith(prefix))


# ------------------------------------------------------------------ which of the families that look alike


def _flavour(rule: Rule, metadata: Mapping[str, str], name: str) -> tuple[str, ToldBy, bool]:
    """The family, what told it, and whether it is a guess."""
    if rule.flavours:
        if told := _told_flavour(rule, metadata):
            return told, "metadata", False
        if named := _named(rule.flavours, plain(name)):
            return named, "name", True
    return rule.family, "header", rule.guess


def _told_flavour(rule: Rule, metadata: Mapping[str, str]) -> str | None:
    words = " ".join(metadata.get(key, "") for key in ("modelspec.title", "ss_sd_model_name")).lower()
    if named := _named(rule.flavours, plain(words) if "." in words else words):
        return named
    if "noobai-vpred" in rule.flavours and metadata.get("modelspec.prediction_type", "") in {"v", "v_prediction"}:
        return "noobai-vpred"
    if "pony" in rule.flavours and "score_9" in metadata.get("ss_tag_frequency", ""):
        return "pony"
    return _built_as(rule, _architecture(metadata))


def _named(flavours: Iterable[str], words: str) -> str | None:
    """The first of them that a pattern of its name finds in the words."""
    known = families()
    return next(
        (
            flavour
            for flavour in flavours
            if words and any(re.search(pattern, words) for pattern in known[flavour].comfyui.names)
        ),
        None,
    )


def _built_as(rule: Rule, architecture: str) -> str | None:
    """The flavour that alone has this architecture."""
    known = families()
    if not architecture or architecture in known[rule.family].comfyui.architectures:
        return None
    meant = [flavour for flavour in rule.flavours if architecture in known[flavour].comfyui.architectures]
    if not meant and (labelled := family_of_base_model(architecture)) in rule.flavours:
        return labelled
    return meant[0] if len(meant) == 1 else None


def _architecture(metadata: Mapping[str, str]) -> str:
    told = metadata.get("modelspec.architecture", "") or metadata.get("ss_base_model_version", "")
    return told.strip().lower().partition("/")[0]


# ------------------------------------------------------------------ what is special about it

_NOISE: Mapping[str, re.Pattern[str]] = {
    "high-noise": re.compile(r"high[-_ ]?noise|(?<![a-z0-9])h(?![a-z0-9])|(?<![a-z])hn(?![a-z])"),
    "low-noise": re.compile(r"low[-_ ]?noise|(?<![a-z0-9])l(?![a-z0-9])|(?<![a-z])ln(?![a-z])"),
}
"""Wan 2.2 has two models (and LoRAs for each) that nothing but their names tells apart."""


def _variant(rule: Rule, family: str, names: Names, prefix: str, metadata: Mapping[str, str], name: str) -> str:
    words = [rule.variant_of(names, prefix)]
    if family == "wan22-14b" and rule.kind in {"", "lora"}:
        words += [noise for noise, pattern in _NOISE.items() if pattern.search(plain(name))][:1]
    if family == "sd21" and rule.kind == "" and not words[0] and _is_v_prediction(metadata):
        words = ["v-prediction"]
    if family == "noobai-vpred" and not words[0]:
        words = ["v-prediction"]
    return " ".join(filter(None, words))


def _is_v_prediction(metadata: Mapping[str, str]) -> bool:
    told = metadata.get("modelspec.prediction_type", "")
    return told in {"v", "v_prediction"} or _architecture(metadata) in {"stable-diffusion-v2-768-v", "sd_v2_v"}


# ------------------------------------------------------------------ files without a known sign


def _without_signs(metadata: Mapping[str, str], name: str) -> tuple[str, ToldBy, bool]:
    """By the metadata, else by the name; "unknown" where nothing says anything."""
    if architecture := _architecture(metadata):
        found, _ = family_of_file("diffusion_models", "", metadata=metadata)
        told = found.profile.name
        if told == "unknown":
            told = family_of_base_model(architecture) or "unknown"
        if told != "unknown":
            return told, "metadata", False
    found, _ = family_of_file("diffusion_models", name)
    return (found.profile.name, "name", True) if found.profile.name != "unknown" else ("unknown", "", True)


def _kind_without_signs(metadata: Mapping[str, str], adapter: str) -> ModelKind:
    suffix = metadata.get("modelspec.architecture", "").lower().partition("/")[2]
    if adapter or suffix == "lora":
        return "lora"
    return "embedding" if suffix == "textual-inversion" else "other"
