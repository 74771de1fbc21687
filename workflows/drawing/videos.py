"""What one server has for one video: model or pair, further files, LoRAs for few steps. Pure; it goes on from where
`workflows.drawing.fitting` ends for pictures, and `drafting` draws both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workflows.drawing.halves import half_of, twin_name, twin_of
from workflows.drawing.inventory import plain, spelled
from workflows.drawing.sampling import sampling_for
from workflows.drawing.setup import Setup
from workflows.errors import BadRecipe, EngineUnavailable
from workflows.families import BEGUN
from workflows.starters import for_video
from workflows.types import LoraUse

if TYPE_CHECKING:
    from workflows.drawing.fitting import Candidate
    from workflows.drawing.inventory import Inventory
    from workflows.drawing.setup import Thrift
    from workflows.families import Family, Speed
    from workflows.template import Spot, Template
    from workflows.types import Recipe

QUICKLY = frozenset({"fast", "balanced"})
"""Qualities for which LoRAs for few steps are taken where they are installed."""
SECOND_PASS = ("enlarger", "quick")
"""Slots of the files that only a second pass, at full size, needs."""
FEW = 8
"""So few steps make a video only with such LoRAs."""
WEBP: Mapping[str, object] = {"lossless": False, "quality": 90, "method": "default"}
_ROLE = re.compile(r"(?<![a-z])(t2v|i2v|ti2v|flf2v)")


def to_get() -> str:
    """What to get where nothing makes videos."""
    small, middle = for_video(6.0), for_video(8.0)
    return (
        f"{middle.title} wants a GPU of {middle.gpu_gb:g} GB, {small.title} one of {small.gpu_gb:g} GB: "
        f"download_model with {', '.join(middle.references)}; it has its place for each."
    )


# ------------------------------------------------------------------ LoRAs for few steps


@dataclass(frozen=True, kw_only=True)
class Quick:
    """LoRAs for few steps, as the server spells them; none where the user names them."""

    speed: Speed
    files: tuple[str, ...] = ()

    def of(self, family: Family) -> Family:
        """The family as it draws with them."""
        comfyui = family.comfyui.model_copy(update={"shift": self.speed.shift or family.comfyui.shift})
        negatives = family.profile.negatives and self.speed.cfg > 1
        profile = family.profile.but(steps=self.speed.steps, cfg=self.speed.cfg, negatives=negatives)
        return family.model_copy(update={"comfyui": comfyui, "profile": profile})


def quick_for(recipe: Recipe, family: Family, inventory: Inventory) -> Quick | None:
    """LoRAs for few steps where the family has some, they are installed, and the recipe is not for the long way.

    Raises EngineUnavailable where the family draws nothing without them.
    """
    from workflows.drawing.fitting import first_of, told_source

    speed = next((one for one in family.comfyui.speeds if recipe.task in one.tasks), None)
    if speed is None:
        return None
    offered = inventory.loaders["loras"]
    named = [plain(spelled(use.name, offered) or use.name) for use in recipe.loras]
    if any(re.search(pattern, name) for name in named for pattern in speed.loras):
        return Quick(speed=speed)
    if not _hurried(recipe, speed) and not speed.needed:
        return None
    files = [file for pattern in speed.loras if (file := first_of([pattern], offered))]
    if len(files) == len(speed.loras):
        return Quick(speed=speed, files=tuple(files))
    if not speed.needed:
        return None
    raise EngineUnavailable(
        f"{family.profile.title} in this form is drawn with a LoRA for few steps, which is not installed. "
        f"Put into the folder loras: {told_source(family.comfyui.get.get('speed_1', ''))}."
    )


def _hurried(recipe: Recipe, speed: Speed) -> bool:
    """Whether few steps will do. Named steps decide, then a named cfg, then the quality: so a recipe says the same
    before and after its steps and cfg are filled in, and when a retry adds some steps."""
    if recipe.steps is not None and recipe.steps <= FEW:
        return True
    if recipe.cfg is not None:
        return recipe.cfg <= speed.cfg
    return recipe.steps is None and recipe.quality in QUICKLY


# ------------------------------------------------------------------ fitting


def fit_video(chosen: Candidate, recipe: Recipe, inventory: Inventory, thrift: Thrift) -> Setup:
    """The setup of a video with this model.

    Raises EngineUnavailable for what is not installed, and for a file that is for another task or lacks its twin;
    BadRecipe for what no video takes.
    """
    from workflows.drawing.fitting import check_nodes, loras_of, model_notes, smaller_of, unheard

    _refuse_guides(recipe)
    _check_role(chosen, recipe, inventory)
    first, second = _halves(chosen, recipe, inventory)
    quick = quick_for(recipe, chosen.family, inventory)
    plain = chosen.family
    chosen = replace(chosen, file=first, family=quick.of(plain) if quick else plain)
    family = chosen.family
    plan, parts, pass_notes = _planned(chosen, recipe, inventory)
    plan, saved_notes = _saved(plan, inventory)
    check_nodes(plan, recipe, chosen, inventory)
    sampler, scheduler, sampling_notes = sampling_for(recipe, family, inventory)
    loras, lora_notes = loras_of(recipe, chosen, inventory)
    stacks, half_notes = _stacks(loras, quick, bool(second), inventory)
    model, smaller = smaller_of(chosen, plan, inventory) if thrift.small_weights else (first, {})
    if second:
        twin = replace(chosen, file=second)
        parts |= {"model_2": smaller_of(twin, plan, inventory)[0] if thrift.small_weights else second}
    notes = (
        *model_notes(chosen, plan, parts),
        *unheard(recipe, plain, plan),
        *sampling_notes,
        *lora_notes,
        *half_notes,
        *(_quick_notes(quick, recipe, plain) if quick else ()),
        *pass_notes,
        *saved_notes,
        *_notes(recipe, family, plan),
    )
    return Setup(
        template=plan,
        family=family,
        model=model,
        components=parts | smaller,
        sampler=sampler,
        scheduler=scheduler,
        loras=stacks[0],
        loras_2=stacks[1],
        thrift=thrift,
        notes=tuple(dict.fromkeys(notes)),
        facts={"family": family.profile.name, "template": plan.name, "components": parts}
        | ({"few_steps": list(quick.files)} if quick and quick.files else {}),
    )


def _refuse_guides(recipe: Recipe) -> None:
    """What no graph of ours does for a video is refused: left out it would be another video than was asked for."""
    asked = {
        "controls": recipe.controls,
        "references": recipe.references,
        "mask": recipe.mask or recipe.mask_text,
        "transparent": recipe.transparent,
    }
    for name, given in asked.items():
        if given:
            raise BadRecipe(name, "given", "videos are made without it; leave it out")


def _check_role(chosen: Candidate, recipe: Recipe, inventory: Inventory) -> None:
    """A file that says that it is for words, or for a picture, is not taken for the other."""
    from workflows.drawing.fitting import candidates, some, source_of

    family = chosen.family
    if not family.comfyui.one_task or not (role := role_of(chosen.file)) or role == "ti2v":
        return
    wanted = "i2v" if recipe.task in BEGUN else "t2v"
    if role == wanted:
        return
    here = [one.file for one in candidates(inventory) if one.family.comfyui.one_task and role_of(one.file) == wanted]
    get = source_of(family.profile.name, "model_image" if wanted == "i2v" else "model")
    takes, asked = ("a first picture", "words alone") if role != "t2v" else ("words alone", "a first picture")
    other = f"Here are {some(here)}" if here else f"Put one into the folder {chosen.folder}: {get}"
    raise EngineUnavailable(
        f"{chosen.file} ({family.profile.title}) makes videos from {takes}, and this one is from {asked}: it wants a "
        f"file named {wanted}. {other}."
    )


def role_of(name: str) -> str:
    """What a model file makes videos from, as its name says: t2v (text), i2v (image), ti2v (either), flf2v, or ""."""
    found = _ROLE.search(plain(name))
    return found[1] if found else ""


def _halves(chosen: Candidate, recipe: Recipe, inventory: Inventory) -> tuple[str, str]:
    """The model, and of a pair the half for low noise; "" where it is one model. Raises EngineUnavailable."""
    if not chosen.family.comfyui.pair:
        return chosen.file, ""
    half, title = half_of(chosen.file), chosen.family.profile.title
    if not half:
        raise EngineUnavailable(
            f"{chosen.file} is taken for {title}, which draws with two files, one for high noise and one for low; its "
            "name says neither high_noise nor low_noise. Rename it, or name another model."
        )
    other = twin_of(chosen.file, inventory.loaders[chosen.folder])
    if other is None:
        from workflows.drawing.fitting import source_of

        slot = ("model" if half == "low" else "model_2") + ("_image" if role_of(chosen.file) == "i2v" else "")
        missing = twin_name(chosen.file.replace("\\", "/").rpartition("/")[2])
        raise EngineUnavailable(
            f"{chosen.file} is one half of {title}; the other half is not installed. Put {missing} into the folder "
            f"{chosen.folder}, such as {source_of(chosen.family.profile.name, slot)}."
        )
    return (chosen.file, other) if half == "high" else (other, chosen.file)


def _planned(
    chosen: Candidate, recipe: Recipe, inventory: Inventory
) -> tuple[Template, dict[str, str], tuple[str, ...]]:
    """The template, the further files, and a note where what a second pass needs is not installed: one is drawn."""
    from workflows.drawing.fitting import files_in, first_of, planned, template_for, told_source

    plan, comfyui = template_for(chosen, recipe), chosen.family.comfyui
    wants = {slot: comfyui.parts[slot] for slot in SECOND_PASS if slot in plan.slots}
    lost = [slot for slot, of in wants.items() if first_of(of[1:], files_in(of[0], inventory)) is None]
    if not lost:
        return *planned(chosen, recipe, inventory), ()
    gets = [f"{told_source(comfyui.get.get(slot, ''))} in the folder {wants[slot][0]}" for slot in lost]
    told = f"Drawn in one pass at full size, with less detail: the second one needs {' and '.join(gets)}."
    return *planned(chosen, recipe, inventory, one_pass(plan)), (told,)


def one_pass(plan: Template) -> Template:
    """A template of two passes without its second: the first draws at full size, and is decoded."""
    graph = plan.graph.but("decode", samples=["apart", 0]).but("heard", samples=["apart", 1])
    if "latent_2" in graph:  # the first picture is held as the last pass would hold it
        graph = graph.but("latent", strength=graph["latent_2"].inputs["strength"])
    graph = graph.trimmed("save")
    slots: dict[str, tuple[Spot, ...]] = {}
    for slot, spots in plan.slots.items():
        name = slot.removeprefix("half_")
        slots[name] = (*slots.get(name, ()), *(spot for spot in spots if spot[0] in graph))
    return replace(plan, graph=graph, slots={slot: spots for slot, spots in slots.items() if spots and slot != "hold"})


def _saved(plan: Template, inventory: Inventory) -> tuple[Template, tuple[str, ...]]:
    """The template; on an old server that cannot write MP4, ending in an animated WebP, without sound."""
    if inventory.has("CreateVideo", "SaveVideo") or not inventory.has("SaveAnimatedWEBP"):
        return plan, ()
    end = plan.graph["save"]
    inputs = {"images": plan.sources["image"], "filename_prefix": end.inputs["filename_prefix"], "fps": 16.0, **WEBP}
    graph = plan.graph.swapped("save", "SaveAnimatedWEBP", **inputs).trimmed("save")
    moved = [("save", "fps") if spot == ("video", "fps") else spot for spot in plan.slots["fps"]]
    slots = {**plan.slots, "fps": tuple(spot for spot in moved if spot[0] in graph)}
    told = "This ComfyUI cannot write MP4 (CreateVideo and SaveVideo are missing): it saves an animated WebP."
    return replace(plan, graph=graph, slots=slots), (told,)


# ------------------------------------------------------------------ LoRAs of both halves


Stacks = tuple[tuple[LoraUse, ...], tuple[LoraUse, ...]]


def _stacks(
    loras: Sequence[LoraUse], quick: Quick | None, paired: bool, inventory: Inventory
) -> tuple[Stacks, list[str]]:
    """The LoRAs of the model, and of a pair those of each half: as their names say, else on both."""
    own = [LoraUse(name=file, strength=quick.speed.strength) for file in quick.files] if quick else []
    if not paired:
        return ((*own, *loras), ()), []
    uses, notes = _with_twins(loras, inventory)
    high = [use for use in (*own, *uses) if half_of(use.name) != "low"]
    low = [use for use in (*own, *uses) if half_of(use.name) != "high"]
    return (tuple(high), tuple(low)), notes


def _with_twins(loras: Sequence[LoraUse], inventory: Inventory) -> tuple[list[LoraUse], list[str]]:
    """Where one half of a pair of LoRAs is named, the other too."""
    uses, notes = list(loras), list[str]()
    named = {use.name for use in loras}
    for use in loras:
        if not half_of(use.name):
            continue
        twin = twin_of(use.name, inventory.loaders["loras"])
        if twin is None:
            notes.append(f"The LoRA {use.name} is for one half of the pair; {twin_name(use.name)} is not installed.")
        elif twin not in named:
            uses.append(use.but(name=twin))
            notes.append(f"With the LoRA {use.name} goes {twin}, for the other half of the pair.")
    return uses, notes


# ------------------------------------------------------------------ notes


def _quick_notes(quick: Quick, recipe: Recipe, plain: Family) -> Iterable[str]:
    if quick.files and not quick.speed.needed:
        yield (
            f"Drawn in few steps with {' and '.join(quick.files)}; quality high or more steps than {FEW} draw without."
        )
    if recipe.negative and plain.profile.negatives and not quick.of(plain).profile.negatives:
        also = "" if quick.speed.needed else "; quality high reads one"
        yield f"In few steps no negative prompt is read: it was left out{also}."


def _notes(recipe: Recipe, family: Family, plan: Template) -> Iterable[str]:
    """What was asked for and does less than one may think."""
    title, profile = family.profile.title, family.profile
    if "positive" not in plan.slots:
        yield f"{title} reads no words: the video comes from the picture alone."
    if recipe.negative and profile.negatives and recipe.cfg is not None and recipe.cfg <= 1:
        yield "At cfg 1 no negative prompt is read."
    if recipe.steps and "steps" not in plan.slots and recipe.steps != profile.steps:
        yield f"{title} has noise levels of its own: steps {recipe.steps} was left out, it takes {profile.steps}."
    if recipe.hires:
        yield "hires changed nothing: videos are drawn in one pass, or in those that the model has of its own."
    if recipe.fps and recipe.fps != profile.fps and plan.slots["fps"] in {(("video", "fps"),), (("save", "fps"),)}:
        yield (
            f"{title} makes {profile.fps:g} frames a second whatever it is told; at {recipe.fps:g} they only play "
            f"{'faster' if recipe.fps > profile.fps else 'slower'}. interpolate_frames brings more frames."
        )
    yield from _motion_note(recipe, family)


def _motion_note(recipe: Recipe, family: Family) -> Iterable[str]:
    if recipe.motion is None:
        return
    title, kind = family.profile.title, family.comfyui.motion
    if recipe.task not in BEGUN:
        yield "motion_strength is for videos that begin with a picture: it had no effect."
    elif not kind and recipe.motion != 1:
        yield f"{title} has no setting for how much moves: motion_strength had no effect. Say the motion in the prompt."
    elif kind == "compression" and recipe.motion != 1:
        how = "more, and so moves more" if recipe.motion > 1 else "less, and so moves less"
        yield f"{title} has no motion setting as such: the first picture was compressed {how}."
