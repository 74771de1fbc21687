"""What one server has for one recipe: template, model, components, sampler, LoRAs. Pure; refusals are in words.

A model is looked for by name (exact, other slashes, plain name). Without a name, the first that can do the recipe is
taken of: recognised before guessed ones, made for the task before general before made for another purpose, whole
checkpoints before separate files, then the server's own order. What a server happens to have in memory does not count:
the same wish gets the same model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workflows.drawing import finishing, guides, videos
from workflows.drawing.belonging import Belonging, belonging
from workflows.drawing.edits import HIRES_LEAST, drawn_size, has_second_pass, made_to_inpaint, plain_clip_skip
from workflows.drawing.inventory import near, plain, spelled
from workflows.drawing.sampling import sampling_for
from workflows.drawing.setup import Setup, Thrift
from workflows.errors import BadRecipe, EngineUnavailable, NotFound, StudioError
from workflows.families import Family, families, family_of_file, lora_fits
from workflows.template import ENCODER_LOADERS, Template, template
from workflows.types import VIDEOS, WORDLESS, LoraUse

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.types import Recipe

MODEL_FOLDERS = ("checkpoints", "diffusion_models")
TASK_CLASSES: Mapping[str, tuple[str, ...]] = {
    "img2img": ("LoadImage", "ImageScale", "VAEEncode"),
    "inpaint": ("LoadImage", "ImageScale", "VAEEncode", "LoadImageMask", "GrowMask", "DifferentialDiffusion"),
}
NO_THRIFT = Thrift()


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model file that could draw."""

    folder: str
    file: str
    family: Family
    guessed: bool


def fit(recipe: Recipe, inventory: Inventory, *, thrift: Thrift = NO_THRIFT) -> Setup:
    """Everything that the server has for the recipe; its input pictures are to be added once they are uploaded.

    Raises EngineUnavailable for what is not installed, NotFound for a name that is not there, BadRecipe for a value
    that nothing here can do; each says what to do about it.
    """
    if recipe.task in WORDLESS:
        return replace(finishing.fit_edit(recipe, inventory), thrift=thrift)
    fit_with = videos.fit_video if recipe.task in VIDEOS else _fit_with
    if recipe.model is not None:
        return fit_with(named_model(recipe.model, inventory), recipe, inventory, thrift)
    refusals: list[StudioError] = []
    for candidate in _suiting(recipe, _in_order(recipe, inventory), inventory):
        try:
            return fit_with(candidate, recipe, inventory, thrift)
        except StudioError as error:
            refusals.append(error)
    raise refusals[0] if refusals else _nothing_to_draw_with(recipe)


def _nothing_to_draw_with(recipe: Recipe) -> EngineUnavailable:
    if recipe.task in VIDEOS:
        return EngineUnavailable(f"This ComfyUI has no model that makes videos. {videos.to_get()}")
    return EngineUnavailable(
        f"This ComfyUI has no model to draw with. Put one into its folder models/checkpoints, "
        f"such as {source_of('sdxl')}, and call again."
    )


def fits(recipe: Recipe, inventory: Inventory) -> str | None:
    """Why this server cannot take the recipe, or None."""
    try:
        fit(recipe, inventory)
    except StudioError as error:
        return str(error)
    return None


def candidates(inventory: Inventory) -> list[Candidate]:
    """Every model that could draw, in the server's order, checkpoints first."""
    return [_candidate(inventory, folder, file) for folder in MODEL_FOLDERS for file in inventory.loaders[folder]]


def named_model(name: str, inventory: Inventory) -> Candidate:
    """The model of that name. Raises NotFound with the nearest that are installed."""
    for folder in MODEL_FOLDERS:
        if file := spelled(name, inventory.loaders[folder]):
            return _candidate(inventory, folder, file)
    for folder, files in inventory.loaders.items():
        if file := spelled(name, files):
            raise NotFound(
                "model", name, hint=f"{file} is in the server's folder {folder}: nothing draws with it alone."
            )
    every = tuple(file for folder in MODEL_FOLDERS for file in inventory.loaders[folder])
    raise _not_found("model", name, every, "checkpoints or diffusion_models", _had_as(name))


def model_family(name: str, inventory: Inventory) -> Family:
    """The family of the model of that name. Raises NotFound."""
    return named_model(name, inventory).family


# ------------------------------------------------------------------ one model


def _fit_with(chosen: Candidate, recipe: Recipe, inventory: Inventory, thrift: Thrift) -> Setup:
    family = chosen.family
    plan, parts = planned(chosen, recipe, inventory)
    check_nodes(plan, recipe, chosen, inventory)
    known = recipe.but(model=chosen.file)
    guided, guide_notes = guides.fit_guides(known, family, inventory)
    finish, finish_notes = finishing.fit_finish(known, family, inventory)
    sampler, scheduler, sampling_notes = sampling_for(recipe, family, inventory)
    loras, lora_notes = loras_of(recipe, chosen, inventory)
    model, smaller = smaller_of(chosen, plan, inventory) if thrift.small_weights else (chosen.file, {})
    notes = (
        *model_notes(chosen, plan, parts),
        *unheard(recipe, family, plan),
        *sampling_notes,
        *lora_notes,
        *guide_notes,
        *finish_notes,
    )
    setup = Setup(
        template=plan,
        family=family,
        model=model,
        components=parts | smaller,
        sampler=sampler,
        scheduler=scheduler,
        loras=loras,
        guides=guided,
        finish=finish,
        thrift=thrift,
        facts={"family": family.profile.name, "template": plan.name, "components": parts},
    )
    upscaler = _hires_upscaler(inventory) if has_second_pass(recipe, setup) else {}
    notes = tuple(dict.fromkeys((*notes, *_hires_notes(recipe, setup))))
    return replace(setup, components={**setup.components, **upscaler}, notes=notes)


def _hires_notes(recipe: Recipe, setup: Setup) -> Iterable[str]:
    if recipe.hires and not has_second_pass(recipe, setup):
        width, height = (round(edge * HIRES_LEAST) for edge in drawn_size(recipe, setup))
        yield (
            f"hires changed nothing: a second pass pays for pictures of about {width}x{height} and more with "
            f"{setup.family.profile.title}, and not for inpaint or outpaint."
        )


def planned(
    chosen: Candidate, recipe: Recipe, inventory: Inventory, plan: Template | None = None
) -> tuple[Template, dict[str, str]]:
    """The template and the further files by slot. Raises EngineUnavailable for a file that is not there."""
    plan = plan or template_for(chosen, recipe)
    parts, missing = _components(plan, chosen.family, inventory)
    if missing:
        raise EngineUnavailable(_lacking(chosen, missing, inventory))
    return plan.with_encoders(len([slot for slot in parts if slot.startswith("clip_")])), parts


def template_for(chosen: Candidate, recipe: Recipe) -> Template:
    """The template that draws this with that model. Raises EngineUnavailable where there is none."""
    family, profile = chosen.family.comfyui, chosen.family.profile
    films = recipe.task in VIDEOS
    if family.templates and chosen.family.video is not films:
        does, other = ("videos", "pictures") if chosen.family.video else ("pictures", "videos")
        raise EngineUnavailable(
            f"{chosen.file} is a model of {profile.title}: it makes {does}, not {other}. Name another, or none."
        )
    if name := family.template(chosen.folder, recipe.task):
        return template(name)
    if not family.templates:
        drawn = [one for one in families().values() if one.templates and one.video is films]
        known = ", ".join(one.profile.title for one in drawn)
        raise EngineUnavailable(f"Atelier has no graph for {chosen.file}. It can draw with: {known}.")
    if recipe.task == "txt2vid" and family.template(chosen.folder, "img2vid"):
        raise EngineUnavailable(
            f"{chosen.file} ({profile.title}) makes videos from a picture only: give it one with image_to_video."
        )
    if family.checkpoint:
        where = "from one file: put a whole checkpoint into the folder checkpoints"
    else:
        where = "from separate files: the model alone belongs in the folder diffusion_models"
    raise EngineUnavailable(
        f"{chosen.file} lies in the folder {chosen.folder}, but {profile.title} is drawn {where}, "
        f"such as {source_of(profile.name)}."
    )


def _components(
    plan: Template, family: Family, inventory: Inventory
) -> tuple[dict[str, str], dict[str, tuple[str, tuple[str, ...]]]]:
    """The further files by slot; and what is missing: (folder, patterns) by slot."""
    clips = enumerate(family.comfyui.clips, 1) if plan.encoders else ()
    wants = {f"clip_{n}": ("text_encoders", patterns) for n, patterns in clips}
    wants |= {"vae": ("vae", family.comfyui.vae)} if "vae" in plan.slots else {}
    wants |= {slot: (of[0], of[1:]) for slot, of in family.comfyui.parts.items() if slot in plan.slots}
    found = {slot: first_of(patterns, files_in(folder, inventory)) for slot, (folder, patterns) in wants.items()}
    missing = {slot: wants[slot] for slot, file in found.items() if file is None}
    encoders = [file for slot, file in found.items() if slot.startswith("clip_") and file]
    least = family.comfyui.clips_least
    if least is not None and len(encoders) >= least:
        missing = {slot: want for slot, want in missing.items() if not slot.startswith("clip_")}
    parts = {f"clip_{n}": file for n, file in enumerate(encoders, 1)}
    return parts | {slot: file for slot, file in found.items() if file and not slot.startswith("clip_")}, missing


MORE_LOADERS: Mapping[str, tuple[str, str]] = {
    "latent_upscale_models": ("LatentUpscaleModelLoader", "model_name"),
    "frame_interpolation": ("FrameInterpolationModelLoader", "model_name"),
}


def files_in(folder: str, inventory: Inventory) -> tuple[str, ...]:
    """The files of a model folder that a graph may name."""
    if folder in inventory.loaders:
        return inventory.loaders[folder]
    return inventory.choices(*MORE_LOADERS[folder]) or inventory.folder(folder)


def first_of(patterns: Iterable[str], files: Sequence[str]) -> str | None:
    return next((file for pattern in patterns for file in files if re.search(pattern, plain(file))), None)


def _lacking(chosen: Candidate, missing: Mapping[str, tuple[str, tuple[str, ...]]], inventory: Inventory) -> str:
    """What to put where, for every missing file at once."""
    get = chosen.family.comfyui.get
    gets = [f"into the folder {folder}: {told_source(get.get(slot, ''))}" for slot, (folder, _) in missing.items()]
    folders = dict.fromkeys(folder for folder, _ in missing.values())
    there = "; ".join(f"{folder} has {some(files_in(folder, inventory))}" for folder in folders)
    return (
        f"{chosen.file} ({chosen.family.profile.title}) needs files that are not installed. "
        f"Put {', and '.join(gets)}. Now {there}."
    )


def source_of(name: str, slot: str = "model") -> str:
    """'clip_l.safetensors (from comfyanonymous/flux_text_encoders on Hugging Face)'."""
    return told_source(families()[name].comfyui.get.get(slot, ""))


def told_source(source: str) -> str:
    """In words, what a family's table says of where a file comes from."""
    repository, _, file = source.partition(": ")
    return f"{file.rpartition('/')[2]} (from {repository} on Hugging Face)" if repository else "a file of that kind"


def folder_of(name: str) -> str:
    """The folder of the model that a family's source names: of a family drawn in both ways it is the bare model."""
    return "diffusion_models" if families()[name].comfyui.split else "checkpoints"


def some(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) if names else "nothing"


def check_nodes(plan: Template, recipe: Recipe, chosen: Candidate, inventory: Inventory) -> None:
    title, kind = chosen.family.profile.title, chosen.family.comfyui.clip_type
    task = TASK_CLASSES["inpaint"] if recipe.task == "outpaint" else TASK_CLASSES.get(recipe.task, ())
    if missing := [name for name in (*plan.classes, *task) if not inventory.has(name)]:
        raise EngineUnavailable(
            f"{title} needs ComfyUI's node {', '.join(missing)}, which this server does not have: update ComfyUI."
        )
    loader = ENCODER_LOADERS.get(plan.encoders, "")
    types = inventory.choices(loader, "type")
    if "clip_type" in plan.slots and types and kind not in types:
        raise EngineUnavailable(
            f"{title} needs a ComfyUI whose {loader} knows type {kind}; this one knows {', '.join(types)}. Update it."
        )


def model_notes(chosen: Candidate, plan: Template, parts: Mapping[str, str]) -> Iterable[str]:
    title = chosen.family.profile.title
    if chosen.guessed:
        yield f"Nothing tells the family of {chosen.file}; it was taken for {title}."
    if chosen.family.profile.note:
        yield chosen.family.profile.note
    wanted = len(chosen.family.comfyui.clips)
    if plan.encoders and plan.encoders < wanted:
        here = ", ".join(file for slot, file in parts.items() if slot != "vae")
        yield f"{title} has {wanted} text encoders; of them only {here} is installed, so it reads the prompt less well."


def unheard(recipe: Recipe, family: Family, plan: Template) -> Iterable[str]:
    """What was asked for and cannot reach this model."""
    if recipe.negative and not family.profile.negatives:
        yield f"{family.profile.title} takes no negative prompt: it was left out."
    if recipe.scheduler and "scheduler" not in plan.slots:
        yield f"{family.profile.title} has noise levels of its own: the scheduler {recipe.scheduler} was left out."
    layers, plainly = recipe.clip_skip, plain_clip_skip(family)
    if layers is not None and plainly is None:
        yield f"{family.profile.title} has no text encoder whose layers could be skipped: clip_skip was left out."
    elif layers is not None and plainly is not None and layers < plainly:
        yield f"{family.profile.title} always reads the last layer but one: clip_skip {layers} changes nothing."


# ------------------------------------------------------------------ which model


def _in_order(recipe: Recipe, inventory: Inventory) -> list[Candidate]:
    films = recipe.task in VIDEOS
    every = [one for one in candidates(inventory) if one.family.video is films]
    paints = recipe.task in {"inpaint", "outpaint"}

    def rank(one: Candidate) -> tuple[bool, bool, int, bool]:
        inpaints = made_to_inpaint(one.file)
        fitness = 0 if paints and inpaints else 1 if not (one.family.comfyui.special or inpaints) else 2
        unknown = not one.family.comfyui.template(one.folder, recipe.task)
        return unknown, one.guessed, fitness, one.folder != "checkpoints"

    return sorted(every, key=rank)


def _suiting(recipe: Recipe, every: Sequence[Candidate], inventory: Inventory) -> Sequence[Candidate]:
    """Those that the recipe's LoRAs do something with; when there are none, the first, to say why.

    What a refusal tells is looked for in long lists, which must not be done once for each model.
    """
    sure = [made_for for use in recipe.loras if (made_for := belonging(inventory, "loras", _lora(use, inventory))).sure]
    able = [one for one in every if one.guessed or all(_share(made_for, one.family) for made_for in sure)]
    return able or every[:1]


def _candidate(inventory: Inventory, folder: str, file: str) -> Candidate:
    belongs = belonging(inventory, folder, file)
    return Candidate(folder=folder, file=file, family=belongs.family.of_file(file), guessed=belongs.guessed)


def _not_found(kind: str, name: str, offered: tuple[str, ...], folder: str, source: str = "") -> NotFound:
    close = near(name, offered)
    meant = f"Did you mean {', '.join(close)}? " if close else ""
    more = f" {source}" if source and not close else ""
    return NotFound(kind, name, hint=f"{meant}The server's folder {folder} has {some(offered)}.{more}")


def _had_as(name: str) -> str:
    """Where to get the model of a well-known name; "" for a name that tells no family."""
    found, guessed = family_of_file("diffusion_models", name)
    known = found.profile.name
    if guessed or "model" not in found.comfyui.get:
        return ""
    return f"{found.profile.title} is {source_of(known)}, in models/{folder_of(known)}."


# ------------------------------------------------------------------ LoRAs, smaller weights, upscaler


def loras_of(recipe: Recipe, chosen: Candidate, inventory: Inventory) -> tuple[tuple[LoraUse, ...], list[str]]:
    """The LoRAs as the server spells them, and notes on those that hardly belong.

    Raises NotFound, and BadRecipe for one that surely does not: a name alone may mislead, so that it makes a note only.
    """
    family = chosen.family
    uses: list[LoraUse] = []
    notes: list[str] = []
    for use in recipe.loras:
        file = _lora(use, inventory)
        uses.append(use.but(name=file))
        made_for = belonging(inventory, "loras", file)
        share = _share(made_for, family)
        title, here = made_for.family.profile.title, family.profile.title
        if not share and made_for.sure and not chosen.guessed:
            raise BadRecipe("loras", use.name, _misfit(file, made_for.family, family, inventory))
        if not share:
            notes.append(f"The LoRA {file} looks made for {title}; with {here} it does nothing or harm.")
        elif share < 1:
            notes.append(f"The LoRA {file} is made for {title}; with {here} it works only in part.")
    return tuple(uses), notes


def _lora(use: LoraUse, inventory: Inventory) -> str:
    offered = inventory.loaders["loras"]
    file = spelled(use.name, offered)
    if file is None:
        raise _not_found("LoRA", use.name, offered, "loras")
    return file


def _share(made_for: Belonging, family: Family) -> float:
    """How well a LoRA does with a model: 0 not at all, 1 as it should. One that tells nothing has the benefit."""
    return lora_fits(made_for.family.profile.name, family.profile.name) if made_for.known else 1.0


LOOKED_AT = 500
"""LoRAs that are looked through for one that fits, the nearest names first."""


def _misfit(file: str, made_for: Family, family: Family, inventory: Inventory) -> str:
    offered = inventory.loaders["loras"]
    belongs = ((name, belonging(inventory, "loras", name)) for name in (*near(file, offered), *offered[:LOOKED_AT]))
    fitting = list(dict.fromkeys(name for name, other in belongs if other.known and _share(other, family) == 1))
    models = [one.file for one in candidates(inventory) if lora_fits(made_for.profile.name, one.family.profile.name)]
    loras = f"LoRAs here for {family.profile.title}: {some(fitting, 3)}"
    return (
        f"it is made for {made_for.profile.title}, and the model is {family.profile.title}, with which it does nothing "
        f"or harm. {loras}; models here for this LoRA: {some(models, 3)}"
    )


PRECISIONS = re.compile(
    r"[-_.]?(?:fp32|bf16|fp16|(?:scaled_)?fp8(?:[-_]?(?:e4m3fn|e5m2|mixed|scaled|fast))*|int8(?:[-_]?\w+)?|q8(?:_0)?|half)"
)
SMALL = re.compile(r"fp8|int8|q8")


def smaller_of(chosen: Candidate, plan: Template, inventory: Inventory) -> tuple[str, dict[str, str]]:
    """The same model in eight bits: a file beside it, else cast while it is loaded, where the loader can."""
    if SMALL.search(plain(chosen.file)):
        return chosen.file, {}
    stem = PRECISIONS.sub("", plain(chosen.file))
    for file in inventory.loaders[chosen.folder]:
        if SMALL.search(plain(file)) and PRECISIONS.sub("", plain(file)) == stem:
            return file, {}
    if "weight_dtype" in plan.slots and "fp8_e4m3fn" in inventory.choices("UNETLoader", "weight_dtype"):
        return chosen.file, {"weight_dtype": "fp8_e4m3fn"}
    return chosen.file, {}


HIRES_UPSCALERS = ("ultrasharp", "realesrgan_x4plus$", "nomos", "remacri", "x4|4x", "x2|2x")
"""Upscale models that are good between two passes, the best first; our judgement."""


def _hires_upscaler(inventory: Inventory) -> dict[str, str]:
    if not inventory.has("UpscaleModelLoader", "ImageUpscaleWithModel"):
        return {}
    file = first_of(HIRES_UPSCALERS, inventory.loaders["upscale_models"])
    return {"hires_upscaler": file} if file else {}
