"""DiffusersEngine drawing several at once, encoding a prompt once, and painting part of a picture. Tiny models."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from clients.diffusers_engine import DiffusersEngine
from clients.diffusers_engine.batches import at_once
from clients.diffusers_engine.drawing import Stopped, Watch, draw
from clients.diffusers_engine.loading import Loaded, load, locate
from clients.diffusers_engine.models import Shelf
from clients.diffusers_engine.prompts import KEPT, Wordings
from tests.clients.tiny_models import save_tiny_sd, save_tiny_sdxl
from tests.fakes import TICKET, mask_png
from workflows.errors import BadRecipe
from workflows.types import MAX_CANDIDATES, Artifact, Media, Recipe, RenderStep

NO_DEMO = Path("no-demo-model-here")
CAR = Recipe(prompt="red car on a road", negative="blurry", seed=3, width=64, height=64, steps=3, cfg=7.0)
PLENTY = 100 * 2**30
GIB = 2**30


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    save = save_tiny_sd if request.param == "sd" else save_tiny_sdxl
    folder = save(tmp_path_factory.mktemp(request.param) / "tiny")
    shelf = Shelf(str(folder), NO_DEMO)
    return load(locate(shelf.find(None), shelf, offline=True), shelf)


def drawn(loaded: Loaded, recipe: Recipe, free: int = 0, inputs: Mapping[str, Media] | None = None) -> list[Artifact]:
    return draw(loaded, recipe, inputs or {}, Watch(tell=lambda step: None), free)


def opened(artifact: Artifact) -> Image.Image:
    return Image.open(io.BytesIO(artifact.media.data)).convert("RGB")


def apart(one: Artifact, other: Artifact) -> int:
    """The largest difference of any channel, of 255."""
    return max(ImageChops.difference(opened(one), opened(other)).tobytes())


# ------------------------------------------------------------------ several at once


@pytest.mark.models
@pytest.mark.parametrize("sampler", [None, "euler_a", "dpmpp_2m_sde"])
def test_every_picture_of_a_batch_is_what_its_seed_alone_gives(loaded: Loaded, sampler: str | None) -> None:
    recipe = CAR.but(sampler=sampler, count=3)
    batch = drawn(loaded, recipe, PLENTY)
    alone = [drawn(loaded, recipe.but(count=1, seed=seed))[0] for seed in (3, 4, 5)]
    assert [one.seed for one in batch] == [3, 4, 5]
    assert max(map(apart, batch, alone)) <= 1 < apart(batch[0], batch[1])


@pytest.mark.models
@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_a_batch_begins_with_its_source_once_for_each_picture(loaded: Loaded, task: str) -> None:
    mask = {"mask": Media(data=mask_png(64, 64, (0, 0, 32, 64)), media_type="image/png")} if task == "inpaint" else {}
    inputs = {"source": drawn(loaded, CAR)[0].media} | mask
    recipe = CAR.but(task=task, source="s", mask="m" if mask else None, denoise=0.7)
    batch = drawn(loaded, recipe.but(count=2), PLENTY, inputs)
    alone = [drawn(loaded, recipe.but(seed=seed), inputs=inputs)[0] for seed in (3, 4)]
    assert max(map(apart, batch, alone)) <= 1 < apart(batch[0], batch[1])


@pytest.mark.models
def test_without_room_one_is_drawn_and_who_wants_more_asks_again(loaded: Loaded) -> None:
    [one] = drawn(loaded, CAR.but(count=4), 0)
    assert one.media.data == drawn(loaded, CAR)[0].media.data


@pytest.mark.models
def test_what_the_memory_does_not_hold_is_halved_until_it_does_and_remembered(loaded: Loaded) -> None:
    steps: list[RenderStep] = []
    recipe = CAR.but(count=8, steps=1)
    with narrow(loaded, most=2) as tried:
        made = draw(loaded, recipe, {}, Watch(tell=steps.append), PLENTY)
        again = drawn(loaded, recipe, PLENTY)
    assert (tried, len(made), len(again)) == ([8, 4, 2, 2], 2, 2)
    assert "Out of memory; drawing 2 at once" in [step.message for step in steps]


@pytest.mark.models
def test_one_alone_that_does_not_fit_is_out_of_memory(loaded: Loaded) -> None:
    import torch

    with narrow(loaded, most=0), pytest.raises(torch.OutOfMemoryError):
        drawn(loaded, CAR.but(count=2), PLENTY)


@contextmanager
def narrow(loaded: Loaded, most: int) -> Generator[list[int]]:
    """A GPU that holds `most` pictures at once; gives how many were tried."""
    import torch

    tried: list[int] = []

    def check(_: Any, given: tuple[Any, ...]) -> None:
        tried.append(given[0].shape[0] // 2)  # with guidance every picture is there twice
        if tried[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB")

    hook = loaded.pipe.unet.register_forward_pre_hook(check)
    loaded.most = MAX_CANDIDATES
    try:
        yield tried
    finally:
        hook.remove()
        loaded.most = MAX_CANDIDATES


@pytest.mark.models
def test_a_batch_stops_between_steps(loaded: Loaded) -> None:
    stop = threading.Event()
    watch = Watch(tell=lambda step: stop.set(), stop=stop)
    with pytest.raises(Stopped):
        draw(loaded, CAR.but(count=2), {}, watch, PLENTY)


@pytest.mark.parametrize(
    ("count", "edge", "free", "fits"),
    [(4, 1024, 0, 1), (4, 1024, 3 * GIB, 1), (4, 1024, 6 * GIB, 2), (4, 512, 3 * GIB, 4), (2, 1024, 80 * GIB, 2)],
)
def test_as_many_as_fit_the_free_memory(count: int, edge: int, free: int, fits: int) -> None:
    assert at_once(count, edge * edge, free) == fits


# ------------------------------------------------------------------ a prompt is encoded once


@pytest.mark.models
def test_another_seed_runs_no_text_encoder_and_other_words_do(loaded: Loaded) -> None:
    loaded.words = Wordings()
    with Counted(loaded) as runs:
        drawn(loaded, CAR)
        first = runs()
        drawn(loaded, CAR.but(seed=4))
        assert runs() == first > 0
        drawn(loaded, CAR.but(negative="dark"))
        assert runs() > first


@pytest.mark.models
def test_weighted_words_are_encoded_once_too(loaded: Loaded) -> None:
    loaded.words = Wordings()
    recipe = CAR.but(prompt="(red:1.3) car on a road")
    with Counted(loaded) as runs:
        one = drawn(loaded, recipe)
        first = runs()
        drawn(loaded, recipe.but(seed=4))
        assert (runs(), drawn(loaded, recipe)[0].media.data) == (first, one[0].media.data)


@pytest.mark.models
def test_only_the_prompts_asked_for_last_are_kept(loaded: Loaded) -> None:
    words = Wordings()

    def ask(number: int) -> None:
        words.arguments(loaded.pipe, f"car {number}", "", weights=True)

    with Counted(loaded) as runs:
        for number in (*range(KEPT), 0, KEPT):
            ask(number)
        before = runs()
        ask(0)
        assert runs() == before
        ask(1)
        assert runs() > before


@pytest.mark.models
@pytest.mark.parametrize(("negative", "cfg"), [("blurry", 7.0), ("", 7.0), ("", 1.0)])
def test_embeddings_draw_the_bare_pipelines_pixels(loaded: Loaded, negative: str, cfg: float) -> None:
    import torch

    [ours] = drawn(loaded, CAR.but(negative=negative, cfg=cfg))
    bare = loaded.pipe(
        CAR.prompt,
        negative_prompt=negative or None,
        width=64,
        height=64,
        num_inference_steps=3,
        guidance_scale=cfg,
        generator=torch.Generator("cpu").manual_seed(3),
    ).images[0]
    assert opened(ours).tobytes() == bare.convert("RGB").tobytes()


def test_a_pipeline_that_is_not_known_gets_the_words_themselves() -> None:
    assert Wordings().arguments(object(), "a fox", "", weights=False) == (
        {"prompt": "a fox", "negative_prompt": None},
        [],
    )


class Counted:
    """Counts the runs of the text encoders inside the block."""

    def __init__(self, loaded: Loaded) -> None:
        found = (getattr(loaded.pipe, name, None) for name in ("text_encoder", "text_encoder_2"))
        self._encoders: Sequence[Any] = [encoder for encoder in found if encoder is not None]
        self._runs = 0

    def __enter__(self) -> Any:
        self._hooks = [encoder.register_forward_hook(self._count) for encoder in self._encoders]
        return lambda: self._runs

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _count(self, *_: object) -> None:
        self._runs += 1


# ------------------------------------------------------------------ part of a picture anew


@pytest.mark.models
def test_what_is_masked_is_drawn_anew(loaded: Loaded) -> None:
    source = drawn(loaded, CAR)[0].media
    recipe = CAR.but(task="inpaint", source="s", mask="m", seed=8)
    masks = [Media(data=mask_png(64, 64, box), media_type="image/png") for box in ((0, 0, 24, 64), (40, 0, 64, 64))]
    left, right = (drawn(loaded, recipe, inputs={"source": source, "mask": mask})[0] for mask in masks)
    assert (left.width, left.height) == (64, 64)
    sides = [changed(left, right, box) for box in ((0, 0, 16, 64), (48, 0, 64, 64))]
    assert min(sides) > 0
    assert left.facts["pipeline"].endswith("InpaintPipeline")


def changed(one: Artifact, other: Artifact, box: tuple[int, int, int, int]) -> int:
    return max(ImageChops.difference(opened(one), opened(other)).crop(box).tobytes())


@pytest.mark.models
def test_inpaint_without_its_pictures_says_so(loaded: Loaded) -> None:
    recipe = CAR.but(task="inpaint", source="s", mask="m")
    with pytest.raises(BadRecipe, match="inpaint needs an input picture"):
        drawn(loaded, recipe)
    with pytest.raises(BadRecipe, match="inpaint needs a mask"):
        drawn(loaded, recipe, inputs={"source": drawn(loaded, CAR)[0].media})


@pytest.mark.models
async def test_an_engine_paints_a_part_with_the_families_it_was_tried_with(tmp_path: Path) -> None:
    recipe = CAR.but(task="inpaint", source="s", mask="m")
    folder = await asyncio.to_thread(save_tiny_sd, tmp_path / "tiny")
    async with DiffusersEngine(str(folder), NO_DEMO, offline=True) as engine:
        assert await engine.refusal(recipe) is None
        [source] = await engine.render(CAR, {}, lambda step: None, TICKET)
        inputs = {"source": source.media, "mask": Media(data=mask_png(64, 64, (0, 0, 64, 64)), media_type="image/png")}
        [made] = await engine.render(recipe, inputs, lambda step: None, TICKET)
        refused = await engine.refusal(recipe.but(model="someone/stable-diffusion-3.5"))
    assert apart(source, made) > 0
    assert refused == "This engine does not do inpaint with Stable Diffusion 3.5; ComfyUI does."
