"""LoRAs in this process: an effect that can be seen, no trace when they are gone, and refusals in words."""

from __future__ import annotations

import asyncio
import io
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from clients.diffusers_engine import DiffusersEngine
from clients.diffusers_engine.drawing import Watch, draw
from clients.diffusers_engine.loras import lora_files
from clients.diffusers_engine.models import Known, Shelf
from tests.clients.tiny_models import library, save_tiny_lora, save_tiny_sd, save_tiny_sdxl
from tests.fakes import TICKET, mask_png
from workflows.errors import BadRecipe
from workflows.types import Artifact, LoraUse, Media, Recipe

NO_DEMO = Path("no-demo-model-here")
CAR = Recipe(prompt="red car on a road", negative="blurry", seed=3, width=64, height=64, steps=2, cfg=7.0)
pytestmark = pytest.mark.models


class Folder:
    """A model folder with LoRAs, and an engine that draws with a tiny model and knows them by name."""

    def __init__(self, model: Path, files: Path, told: str | None = None) -> None:
        self.model, self.files, self.told = model, files, told
        self.engine = DiffusersEngine(str(model), NO_DEMO, offline=True, library=self.known)

    def known(self, name: str, kind: str) -> Known | None:
        path = self.files / name
        return Known(path, self.told) if kind == "lora" and path.is_file() else None

    async def draws(self, *loras: LoraUse, inputs: Mapping[str, Media] | None = None, **changes: Any) -> list[Artifact]:
        return [*await self.engine.render(CAR.but(loras=loras, **changes), inputs or {}, lambda step: None, TICKET)]

    async def draw(self, *loras: LoraUse, **changes: Any) -> Artifact:
        [made] = await self.draws(*loras, **changes)
        return made

    def batch(self, recipe: Recipe) -> list[Artifact]:
        """All at once, as on a GPU with room."""
        loaded = self.engine._keeper.ready(recipe, lambda message: None)  # pyright: ignore[reportPrivateUsage]
        files = lora_files(recipe.loras, Shelf(str(self.model), NO_DEMO, library=self.known), loaded.family)
        return draw(loaded, recipe, {}, Watch(tell=lambda step: None), 2**40, files)

    async def refusal(self, *loras: LoraUse) -> str:
        return await self.engine.refusal(CAR.but(loras=loras)) or ""


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    save = save_tiny_sd if request.param == "sd" else save_tiny_sdxl
    model = save(tmp_path_factory.mktemp(request.param) / "tiny")
    files = tmp_path_factory.mktemp(f"{request.param}-loras")
    for seed, name in enumerate(("ink", "wool")):
        save_tiny_lora(model, files / f"{name}.safetensors", seed)
    save_tiny_lora(model, files / "words.safetensors", 5, parts=("text_encoder",))
    return Folder(model, files, told="sdxl" if request.param == "sdxl" else None)


def ink(strength: float = 1.0, clip: float | None = None) -> LoraUse:
    return LoraUse(name="ink.safetensors", strength=strength, clip_strength=clip)


WOOL, WORDS = LoraUse(name="wool.safetensors", strength=0.7), LoraUse(name="words.safetensors")


async def test_a_lora_changes_the_picture_and_leaves_no_trace_when_it_is_gone(folder: Folder) -> None:
    before = await folder.draw()
    inked = await folder.draw(ink())
    after = await folder.draw()
    again = await folder.draw(ink())
    assert inked.media.data != before.media.data == after.media.data
    assert again.media.data == inked.media.data


async def test_strengths_are_those_of_the_recipe_for_the_picture_and_for_the_words(folder: Folder) -> None:
    pictures = [await folder.draw(*loras) for loras in ((), (ink(0.4),), (ink(),), (ink(1.0, 0.0),), (ink(0.0, 1.0),))]
    nothing = await folder.draw(ink(0.0))
    both = await folder.draw(ink(1.0, 1.0))
    assert len({picture.media.data for picture in pictures}) == 5
    assert nothing.media.data == pictures[0].media.data
    assert both.media.data == pictures[2].media.data


async def test_two_loras_work_together_and_each_alone_as_before(folder: Folder) -> None:
    alone = [await folder.draw(use) for use in (ink(), WOOL, WORDS)]
    both = await folder.draw(ink(), WOOL)
    anew = [await folder.draw(use) for use in (ink(), WOOL, WORDS)]
    assert [one.media.data for one in anew] == [one.media.data for one in alone]
    assert both.media.data not in [one.media.data for one in alone]


async def test_a_lora_that_is_named_twice_works_with_both_strengths(folder: Folder) -> None:
    twice = await folder.draw(ink(0.25), ink(0.5))
    assert twice.media.data == (await folder.draw(ink(0.75))).media.data


async def test_what_was_used_once_is_not_read_again(folder: Folder, tmp_path: Path) -> None:
    own = Folder(folder.model, tmp_path, folder.told)
    file = save_tiny_lora(folder.model, tmp_path / "ink.safetensors")
    first = await own.draw(ink())
    pipe: Any = own.engine._keeper.loaded.pipe  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
    loads = counted(pipe, "load_lora_weights")
    await own.draw()
    assert (await own.draw(ink())).media.data == first.media.data
    await own.draw(ink(0.3))
    assert loads == []
    save_tiny_lora(folder.model, file, seed=9, scale=0.5)
    assert (await own.draw(ink())).media.data != first.media.data
    assert loads == ["load_lora_weights"]


def counted(thing: Any, name: str) -> list[str]:
    """The calls of a method, from now on."""
    calls, real = list[str](), getattr(thing, name)

    def call(*given: Any, **named: Any) -> Any:
        calls.append(name)
        return real(*given, **named)

    setattr(thing, name, call)
    return calls


async def test_weighted_words_and_a_batch_hear_the_lora_too(folder: Folder) -> None:
    weighted = "(red car:1.4) on a road"
    plain, inked = [await folder.draw(*loras, prompt=weighted) for loras in ((), (WORDS,))]
    assert plain.media.data != inked.media.data


async def test_every_picture_of_a_batch_is_drawn_with_the_lora(folder: Folder) -> None:
    alone = [await folder.draw(ink(), seed=seed) for seed in (3, 4)]
    batch = await asyncio.to_thread(folder.batch, CAR.but(loras=(ink(),), count=2))
    assert [one.seed for one in batch] == [3, 4]
    assert max(map(apart, batch, alone)) <= 1


def apart(one: Artifact, other: Artifact) -> int:
    """The largest difference of any channel, of 255."""
    pictures = [Image.open(io.BytesIO(made.media.data)).convert("RGB") for made in (one, other)]
    return max(ImageChops.difference(*pictures).tobytes())


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
async def test_other_tasks_draw_with_the_lora(folder: Folder, task: str) -> None:
    source = (await folder.draw()).media
    inputs = {"source": source, "mask": Media(data=mask_png(64, 64, (0, 0, 64, 64)), media_type="image/png")}
    changes: dict[str, Any] = {"task": task, "source": "s", "mask": "m" if task == "inpaint" else None, "denoise": 0.9}
    made = [(await folder.draws(*loras, inputs=inputs, **changes))[0] for loras in ((), (ink(),), ())]
    assert made[0].media.data == made[2].media.data != made[1].media.data


# ------------------------------------------------------------------ what does not fit


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    model = save_tiny_sd(tmp_path_factory.mktemp("model") / "tiny")
    return Folder(model, tmp_path_factory.mktemp("loras"))


async def test_more_loras_than_are_kept_still_draw_what_each_draws(sd: Folder, tmp_path: Path) -> None:
    own = Folder(sd.model, tmp_path, sd.told)
    uses: list[LoraUse] = []
    for number in range(10):
        save_tiny_lora(sd.model, tmp_path / f"{number}.safetensors", seed=number)
        uses.append(LoraUse(name=f"{number}.safetensors"))
    first = [(await own.draw(use, steps=1)).media.data for use in uses]
    assert [(await own.draw(use, steps=1)).media.data for use in reversed(uses)] == first[::-1]
    assert len(set(first)) == 10


Weights = dict[str, Any]


def edited(folder: Folder, name: str, edit: Callable[[Weights], Weights]) -> LoraUse:
    """A LoRA of that name, with its tensors changed."""
    files = library("safetensors.torch")
    file = save_tiny_lora(folder.model, folder.files / name)
    files.save_file({key: weight.contiguous() for key, weight in edit(files.load_file(file)).items()}, file)
    return LoraUse(name=name)


def elsewhere(weights: Weights) -> Weights:
    return {
        name.replace("down_blocks_0", "down_blocks_7"): weight for name, weight in weights.items() if "down" in name
    }


def wider(weights: Weights) -> Weights:
    return {name: weight.repeat(1, 2) if "lora_down" in name else weight for name, weight in weights.items()}


def silent(weights: Weights) -> Weights:
    return {name: weight * 0 if "lora_up" in name else weight for name, weight in weights.items()}


MISFITS = {"keys of another network": elsewhere, "matrices of another width": wider, "nothing but zeros": silent}


@pytest.mark.parametrize("edit", MISFITS.values(), ids=MISFITS.keys())
async def test_a_lora_without_effect_is_refused_and_the_pictures_stay_the_same(
    sd: Folder, edit: Callable[[Weights], Weights]
) -> None:
    save_tiny_lora(sd.model, sd.files / "ink.safetensors")
    before, inked = await sd.draw(), await sd.draw(ink())
    use = edited(sd, "misfit.safetensors", edit)
    with pytest.raises(BadRecipe, match=r"loras cannot be 'misfit\.safetensors': it (has no effect|does not fit)"):
        await sd.draw(use)
    assert (await sd.draw()).media.data == before.media.data
    assert (await sd.draw(ink())).media.data == inked.media.data != before.media.data


async def test_a_lora_that_fits_in_part_says_how_much_of_it(sd: Folder) -> None:
    def some(weights: Weights) -> Weights:
        return {
            name.replace("down_blocks_0_attentions_0_transformer_blocks_0_attn1", "down_blocks_9_x"): weight
            for name, weight in weights.items()
        }

    made = await sd.draw(edited(sd, "part.safetensors", some))
    [note] = [note for note in made.facts["notes"] if "parts fit" in note]
    fits, whole = map(int, re.findall(r"\d+", note))
    assert note == f"Of the LoRA part.safetensors {fits} of {whole} parts fit this model; the rest was left out."
    assert 0 < fits == whole - 4


async def test_a_lora_of_another_family_is_refused_with_both_names(sd: Folder, tmp_path: Path) -> None:
    save_tiny_lora(sd.model, tmp_path / "xl.safetensors")
    owners = Folder(sd.model, tmp_path, told="sdxl")
    assert re.search(
        r"'xl\.safetensors': it was made for .*XL.* Stable Diffusion 1\.5",
        await owners.refusal(LoraUse(name="xl.safetensors")),
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("evil.pt", pickle.dumps({"lora_unet": 1}), "can run code when it is opened"),
        ("evil.safetensors", pickle.dumps({"lora_unet": 1}), "not a .safetensors file that can be used"),
        ("cut.safetensors", (2**63).to_bytes(8, "little") + b"{}", "not a .safetensors file that can be used"),
        ("gone.safetensors", None, "no LoRA of that name lies in the model folders"),
        ("../ink.safetensors", None, "no LoRA of that name lies in the model folders"),
        ("/etc/ink.safetensors", None, "no LoRA of that name lies in the model folders"),
    ],
)
async def test_a_file_that_is_no_lora_is_refused(sd: Folder, name: str, content: bytes | None, said: str) -> None:
    if content:
        (sd.files / name).write_bytes(content)
    refused = await sd.refusal(LoraUse(name=name))
    assert refused.startswith(f"loras cannot be '{name}'") or refused.startswith(f"loras cannot be '{Path(name).name}'")
    assert said in refused


async def test_a_checkpoint_is_no_lora(sd: Folder) -> None:
    library("safetensors.torch").save_file(
        {"model.diffusion_model.input_blocks.0.0.weight": library("torch").zeros(320, 4, 3, 3)},
        sd.files / "whole.safetensors",
    )
    assert re.search(r"it is .*, not a LoRA", await sd.refusal(LoraUse(name="whole.safetensors")))


async def test_a_lora_in_a_form_that_diffusers_cannot_use_is_refused_by_its_name(sd: Folder) -> None:
    def hadamard(weights: Weights) -> Weights:
        spelled = {"lora_down.weight": "hada_w1_a", "lora_up.weight": "hada_w1_b"}
        parts = [(*name.split(".", 1), weight) for name, weight in weights.items()]
        return {f"{stem}.{spelled.get(leaf, leaf)}": weight for stem, leaf, weight in parts}

    use = edited(sd, "loha.safetensors", hadamard)
    assert "it is LoHa that this engine cannot use; ComfyUI can" in await sd.refusal(use)


async def test_the_demo_model_takes_no_loras() -> None:
    import clients

    demo = Path(clients.__file__).parent / "demo" / "t2i"
    refused = await DiffusersEngine(None, demo, offline=True).refusal(CAR.but(loras=(ink(),)))
    said = "this engine does not do LoRAs with Atelier's demo model; ComfyUI may."
    assert refused == f"loras cannot be 'ink.safetensors': {said}"
