"""Programs that write JSON: Fooocus, SwarmUI, InvokeAI, NovelAI, Draw Things, Easy Diffusion. Each document a draft."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

from workflows.importing.draft import Draft
from workflows.importing.values import document, number, rows, size, table, tables, text, truth, whole

Document = Mapping[str, Any]


def fooocus(found: Document) -> Draft:
    """Fooocus' own scheme. Its styles and expansion made other words of the prompt, which it keeps as full_prompt."""
    draft = Draft(program="Fooocus")
    draft.words(found.get("prompt"), found.get("negative_prompt"))
    draft.steps(found.get("steps"))
    draft.cfg(found.get("guidance_scale"))
    draft.seed(found.get("seed"))
    draft.sampler(found.get("sampler"), found.get("scheduler"))
    draft.clip_skip(found.get("clip_skip"))
    draft.size(*(size(found.get("resolution")) or (None, None)))
    draft.model_name(found.get("base_model"), found.get("base_model_hash"))
    for row in rows(found.get("loras")):
        name, strength = [*rows(row), None, None][:2]
        draft.lora(name, strength)
    for entry in () if rows(found.get("loras")) else (found.get(f"lora_combined_{place}") for place in range(1, 9)):
        name, _, strength = text(entry, 400).rpartition(" : ")
        draft.lora(name, strength)
    styles = ", ".join(text(one, 60) for one in rows(found.get("styles"), 20)) or text(found.get("styles"), 300)
    if styles and styles != "[]":
        draft.note(f"Fooocus wrote its styles into the prompt: {styles}. They are not taken over.")
    refiner = text(found.get("refiner_model"), 200)
    if refiner and refiner.lower() != "none":
        draft.note(f"Its refiner {refiner} is not taken over.")
    return draft


def swarm(found: Document) -> Draft:
    """SwarmUI's sui_image_params."""
    told = table(found.get("sui_image_params"))
    draft = Draft(program="SwarmUI")
    draft.words(told.get("prompt"), told.get("negativeprompt"))
    draft.steps(told.get("steps"))
    draft.cfg(told.get("fluxguidancescale") or told.get("cfgscale"))
    draft.seed(told.get("seed"))
    draft.sampler(told.get("sampler"), told.get("scheduler"))
    draft.clip_skip(told.get("clipstopatlayer"))
    draft.size(told.get("width"), told.get("height"))
    draft.model_name(told.get("model"))  # its hashes are of the tensors alone, which is no file's SHA-256
    weights = _listed(told.get("loraweights"))
    for place, name in enumerate(_listed(told.get("loras"))):
        draft.lora(name, weights[place] if place < len(weights) else 1.0)
    if told.get("initimage") or number(told.get("initimagecreativity")) is not None:
        draft.from_a_picture(told.get("initimagecreativity"), mask=bool(told.get("maskimage")))
    refiner = text(told.get("refinermodel"), 200)
    if refiner and refiner != text(told.get("model"), 200):
        draft.note(f"Its refiner {refiner} is not taken over.")
    if (number(told.get("refinerupscale")) or 1) > 1:
        draft.enlarged(told.get("refinerupscale"))
    return draft


def _listed(value: object) -> list[Any]:
    """A list, or its entries with commas between, as older versions write them."""
    return rows(value) or [part.strip() for part in text(value).split(",") if part.strip()]


def invoke(found: Document) -> Draft:
    """InvokeAI from version 3 on: invokeai_metadata."""
    draft = Draft(program="InvokeAI")
    draft.words(found.get("positive_prompt"), found.get("negative_prompt"))
    draft.steps(found.get("steps"))
    guided = number(found.get("guidance"))
    draft.cfg(guided if guided is not None and "flux" in text(found.get("generation_mode")) else found.get("cfg_scale"))
    draft.seed(found.get("seed"))
    draft.sampler(found.get("scheduler"))
    skipped = whole(found.get("clip_skip"))
    draft.clip_skip(None if not skipped else skipped + 1)  # it counts the layers that are left out
    draft.size(found.get("width"), found.get("height"))
    draft.model_name(*_invoke_model(found.get("model")))
    for row in tables(found.get("loras")):
        draft.lora(_invoke_model(row.get("model") or row.get("lora"))[0], row.get("weight"))
    mode = text(found.get("generation_mode"), 60)
    if any(kind in mode for kind in ("img2img", "inpaint", "outpaint")) or found.get("init_image"):
        draft.from_a_picture(found.get("strength"), mask="paint" in mode)
    if controls := rows(found.get("controlnets")) + rows(found.get("ipAdapters")):
        draft.note(f"{len(controls)} control pictures are not in the file.")
    return draft


def _invoke_model(value: object) -> tuple[str, object]:
    """(name, hash) of a model; InvokeAI's own BLAKE3 hashes are none of weights as others count them."""
    told = table(value)
    name = text(told.get("model_name") or told.get("name") or value, 400)
    digest = text(told.get("hash"), 200)
    return name, digest if digest.startswith("sha256:") else None


def old_invoke(found: Document) -> Draft:
    """InvokeAI before version 3: sd-metadata, whose prompt has what is ruled out in square brackets."""
    image = table(found.get("image"))
    draft = Draft(program="InvokeAI")
    parts = image.get("prompt")
    said = text(parts) or ", ".join(filter(None, (text(row.get("prompt")) for row in tables(parts))))
    draft.words(re.sub(r"\[[^\[\]]*\]", "", said).strip(" ,"), ", ".join(re.findall(r"\[([^\[\]]*)\]", said)))
    draft.steps(image.get("steps"))
    draft.cfg(image.get("cfg_scale"))
    draft.seed(image.get("seed"))
    draft.sampler(image.get("sampler"))
    draft.size(image.get("width"), image.get("height"))
    draft.model_name(found.get("model_weights"), found.get("model_hash"))
    if text(image.get("type")) == "img2img":
        draft.from_a_picture(image.get("strength"))
    return draft


def novelai(found: Document, source: str = "") -> Draft:
    """NovelAI's Comment; its models run nowhere else, so none is named."""
    draft = Draft(program="NovelAI")
    caption = table(table(found.get("v4_prompt")).get("caption"))
    characters = [text(row.get("char_caption")) for row in tables(caption.get("char_captions"))]
    said = [text(caption.get("base_caption")) or text(found.get("prompt")), *characters]
    draft.words(", ".join(filter(None, said)), found.get("uc"))
    draft.steps(found.get("steps"))
    draft.cfg(found.get("scale"))
    draft.seed(found.get("seed"))
    draft.sampler(found.get("sampler"), found.get("noise_schedule"))
    draft.size(found.get("width"), found.get("height"))
    if "Img2Img" in text(found.get("request_type")) or found.get("image") or number(found.get("strength")) is not None:
        draft.from_a_picture(found.get("strength"), mask="Infill" in text(found.get("request_type")))
    draft.note(f"It was drawn by {text(source, 100) or 'a model of NovelAI'}, which runs nowhere else.")
    return draft


def draw_things(found: Document) -> Draft:
    """Draw Things: its short names, and under v2 its whole configuration."""
    whole_ = table(found.get("v2"))
    draft = Draft(program="Draw Things")
    draft.words(found.get("c"), found.get("uc"))
    draft.steps(found.get("steps"))
    draft.cfg(found.get("scale"))
    draft.seed(found.get("seed"))
    draft.sampler(found.get("sampler"))
    draft.clip_skip(whole_.get("clipSkip"))
    draft.size(*(size(found.get("size")) or (whole_.get("width"), whole_.get("height"))))
    draft.model_name(found.get("model"))
    for row in tables(found.get("lora") or whole_.get("loras")):
        draft.lora(row.get("model") or row.get("file"), row.get("weight"))
    strength = number(found.get("strength"))
    if strength is not None and strength < 1:
        draft.from_a_picture(strength)
    return draft


EASY = (
    "use_stable_diffusion_model",
    "num_inference_steps",
    "guidance_scale",
    "Stable Diffusion model",
    "Guidance Scale",
)
"""Names that only Easy Diffusion uses, in its two spellings."""


def easy(found: Document) -> Draft:
    """Easy Diffusion: the names of its requests, or the same as its text files have them."""

    def told(name: str, title: str) -> Any:
        return found.get(name, found.get(title))

    draft = Draft(program="Easy Diffusion")
    draft.words(told("prompt", "Prompt"), told("negative_prompt", "Negative Prompt"))
    draft.steps(told("num_inference_steps", "Steps"))
    draft.cfg(told("guidance_scale", "Guidance Scale"))
    draft.seed(told("seed", "Seed"))
    draft.sampler(told("sampler_name", "Sampler"))
    draft.clip_skip(2 if truth(told("clip_skip", "Clip Skip")) else None)
    draft.size(told("width", "Width"), told("height", "Height"))
    draft.model_name(told("use_stable_diffusion_model", "Stable Diffusion model"))
    names, weights = told("use_lora_model", "LoRA model"), told("lora_alpha", "LoRA Strength")
    strengths = _python_list(weights)
    for place, name in enumerate(_python_list(names)):
        draft.lora(name, strengths[place] if place < len(strengths) else 1.0)
    if strength := number(told("prompt_strength", "Prompt Strength")):
        draft.from_a_picture(strength)
    return draft


def _python_list(value: object) -> list[Any]:
    """A list, or one as Python shows it, which is how it stands in a PNG; another value is a list of itself."""
    shown = text(value)
    inside = shown.startswith("[") and shown.endswith("]")
    parts = [part.strip(" '\"") for part in shown[1:-1].split(",")] if inside else [value]
    return rows(value) or parts


def of_document(found: Document) -> Draft | None:
    """The draft that a document alone makes, by the names that only one program uses."""
    known: tuple[tuple[tuple[str, ...], Callable[[Document], Draft]], ...] = (
        (("sui_image_params",), swarm),
        (("base_model", "metadata_scheme"), fooocus),
        (("positive_prompt", "generation_mode"), invoke),
        (("positive_prompt", "app_version"), invoke),
        (("image", "model_weights"), old_invoke),
        (("uc", "scale", "c"), draw_things),
        (("uc", "scale", "prompt"), novelai),
    )
    for names, read in known:
        if all(name in found for name in names):
            return read(found)
    return easy(found) if any(name in found for name in EASY) else None


def comment_of_xmp(xmp: str) -> dict[str, Any] | None:
    """The JSON that Draw Things keeps as exif:UserComment in XMP."""
    start = xmp.find("exif:UserComment")
    first, last = xmp.find("{", start), xmp.rfind("}", start, start + 2_000_000)
    if start < 0 or first < 0 or last < first:
        return None
    return document(html.unescape(xmp[first : last + 1]))
