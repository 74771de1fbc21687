"""An animation by a picture model: stills whose noise, words or share of a source change little by little.

It is not a video model, and nothing here pretends so: no still knows of the one before.

Where a prompt says what follows what ("a red circle -> a blue square": workflows.scenes), the words' embeddings go from
scene to scene; else the words stay, and the noise goes round in a circle, so that the last still leads to the first.
What moves most is the noise's coarsest part, of which the layout comes. An animation that begins with a picture draws
it anew by a rising share.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from clients.diffusers_engine import clips
from clients.diffusers_engine.batches import at_once, empty_cache, free_memory, ran_out
from clients.diffusers_engine.drawing import Render, Watch, for_each, prepared, size_notes, words_for
from clients.diffusers_engine.films import ANIMATION, DRAWING
from clients.diffusers_engine.loading import Loaded
from clients.diffusers_engine.loras import LoraFile
from utils.images import encode_png
from workflows.errors import BadRecipe
from workflows.scenes import scenes
from workflows.types import Artifact, Media, Recipe, RenderStep

SWAY, SWAY_BETWEEN = 0.4, 0.2
"""Share of the coarse noise that goes round, for one scene and between several. Tried on the demo model: with 0.25 its
circle hardly moves, with 0.6 it jumps."""
COARSE = 2
"""Cells of the coarse noise along an edge."""
DEEPEST = 0.65
"""Share of a source that is drawn anew in the last frame, with motion 1."""
DRAWN_STEPS = 8
"""Denoising steps of each still that begins with a picture; how deep they go is set by how many there would be."""
SMALL = 256 * 256
"""Pixels of a still up to which a CPU gains by drawing several at once (16 at 128x128, 15 steps: 2.7 s against 4 s)."""
BATCH = 4
CLOSEST = 6
"""Stills are never nearer on the way than so many times closer than even: a jump is a jump."""
THUMB = (32, 32)

Place = float
"""Where on the way from the first still to the last: 0 to 1."""


def animate(
    loaded: Loaded,
    recipe: Recipe,
    inputs: Mapping[str, Media],
    watch: Watch,
    loras: Sequence[LoraFile] = (),
) -> list[Artifact]:
    """One video of the recipe. Deterministic by its seed. Raises BadRecipe, BadPicture, Stopped, ExtraMissing."""
    if type(loaded.pipe).__name__ not in DRAWING:
        title = loaded.family.profile.title
        raise BadRecipe("model", recipe.model, f"this engine cannot animate pictures by {title}; ComfyUI draws videos")
    source = clips.source_of(recipe, inputs)
    profile = loaded.family.profile
    frames, fps = clips.length(recipe, profile.but(frames=max(profile.frames, 16), fps=profile.fps or 8.0))
    width, height = clips.size_of(recipe, profile, source)
    seed = random.getrandbits(32) if recipe.seed is None else recipe.seed
    told = scenes(recipe.prompt)
    task = "img2img" if source else "txt2img"
    still = recipe.but(task=task, prompt=told[0], width=width, height=height, seed=seed, denoise=None)
    render = prepared(loaded, still, inputs, loras)
    words = [words_for(loaded, still.but(prompt=scene), render.voice, []) for scene in told]
    reel = _Reel(frames, watch, _most(loaded, render))
    if source:
        picture, _ = clips.fitted(source, (width, height))
        reel.keep(0.0, picture)
        draw = partial(_from_picture, render, words, seed, recipe.motion, watch)
    else:
        draw = partial(_from_noise, render, words, seed, recipe.motion, watch)
    reel.fill(draw, closed=source is None and len(told) == 1)
    facts = render.facts | {"notes": [ANIMATION, *render.notes, *size_notes(loaded, render.size)], "scenes": len(told)}
    return [clips.made(reel.pictures(), fps, facts, seed=seed, model=loaded.source.name, model_hash=loaded.model_hash)]


class _Reel:
    """The stills of an animation, by their place on the way, and how many are drawn at once."""

    def __init__(self, frames: int, watch: Watch, most: int) -> None:
        self._frames = frames
        self._watch = watch
        self._most = most
        self._kept: dict[Place, tuple[bytes, Any]] = {}

    def keep(self, place: Place, picture: Any) -> None:
        """As PNG: a thousand large pictures would be gigabytes."""
        import numpy as np

        self._kept[place] = encode_png(picture), np.asarray(picture.resize(THUMB), float)

    def pictures(self) -> Any:
        """In their order."""
        from PIL import Image

        return (Image.open(io.BytesIO(self._kept[place][0])) for place in sorted(self._kept))

    def fill(self, draw: Callable[[Sequence[Place]], Sequence[Any]], *, closed: bool) -> None:
        """Half of the stills evenly, the others where two neighbours differ most: so it moves at an even pace."""
        coarse = max(2, (self._frames + 1) // 2)
        last = coarse if closed else coarse - 1
        self._draw(draw, [number / last for number in range(coarse)])
        while len(self._kept) < self._frames:
            self._draw(draw, self._widest(min(BATCH, self._frames - len(self._kept))))

    def _draw(self, draw: Callable[[Sequence[Place]], Sequence[Any]], places: Sequence[Place]) -> None:
        left = [place for place in places if place not in self._kept]
        while left:
            self._watch.check()
            now = left[: self._most]
            try:
                drawn = draw(now)
            except RuntimeError as error:
                if len(now) == 1 or not ran_out(error):
                    raise
                drawn = None
            if drawn is None:  # outside the except block, whose traceback holds the tensors
                empty_cache()
                self._most = max(1, len(now) // 2)
                continue
            left = left[len(now) :]
            for place, picture in zip(now, drawn, strict=True):
                self.keep(place, picture)
            self._tell(drawn[-1])

    def _widest(self, count: int) -> list[Place]:
        """The middles of the intervals whose ends differ most."""
        places = sorted(self._kept)
        least = 1 / (CLOSEST * self._frames)
        gaps = [
            (-self._difference(one, other) if other - one > least else one - other, (one + other) / 2)
            for one, other in pairwise(places)
        ]
        return [middle for _, middle in sorted(gaps)[:count]]

    def _difference(self, one: Place, other: Place) -> float:
        """Mean levels between two stills; above 1 even where nothing is seen to change, so that no gap is left out."""
        return 1 + float(abs(self._kept[one][1] - self._kept[other][1]).mean())

    def _tell(self, picture: Any) -> None:
        done = len(self._kept)
        buffer = io.BytesIO()
        small = picture.copy()
        small.thumbnail((96, 96))
        small.save(buffer, "JPEG", quality=80)
        preview = Media(data=buffer.getvalue(), media_type="image/jpeg")
        message = f"Frame {done} of {self._frames}"
        self._watch.tell(RenderStep(step=done, steps=self._frames, message=message, preview=preview))


def _most(loaded: Loaded, render: Render) -> int:
    """Stills at once. On a CPU their pixels do not depend on it but by rounding; small ones gain."""
    pixels = math.prod(render.size)
    if loaded.device == "cpu":
        return BATCH if pixels <= SMALL else 1
    return at_once(min(BATCH, loaded.most), pixels, free_memory(loaded.device))


def _from_noise(
    render: Render,
    words: Sequence[Mapping[str, Any]],
    seed: int,
    motion: float | None,
    watch: Watch,
    places: Sequence[Place],
) -> Sequence[Any]:
    import torch

    base = SWAY if len(words) == 1 else SWAY_BETWEEN
    sway = base * (1.0 if motion is None else motion)
    arc = 2 * math.pi if len(words) == 1 else math.pi
    fine, (one, other) = _noises(render, seed)
    noises = [
        (fine + sway * (math.cos(arc * place) * one + math.sin(arc * place) * other)) / math.sqrt(1 + sway * sway)
        for place in places
    ]
    arguments = _worded(render, words, places)
    return _drawn(render, arguments | {"latents": torch.cat(noises)}, seed, len(places), watch)


def _from_picture(
    render: Render,
    words: Sequence[Mapping[str, Any]],
    seed: int,
    motion: float | None,
    watch: Watch,
    places: Sequence[Place],
) -> Sequence[Any]:
    """One by one, as each goes on from another depth: the last DRAWN_STEPS of so many steps as that depth makes."""
    deepest = min(0.95, DEEPEST * (1.0 if motion is None else motion))
    drawn: list[Any] = []
    for place in places:
        depth = max(0.02, deepest * place)
        steps = max(DRAWN_STEPS, math.ceil(DRAWN_STEPS / depth))
        arguments = _worded(render, words, [place])
        # A hair more than the share, which the pipeline rounds down to whole steps.
        arguments |= {"num_inference_steps": steps, "strength": min(1.0, (DRAWN_STEPS + 0.5) / steps)}
        drawn += _drawn(render, arguments, seed, 1, watch)
    return drawn


def _drawn(render: Render, arguments: Mapping[str, Any], seed: int, count: int, watch: Watch) -> Sequence[Any]:
    """The same chance for all: what a sampler adds on its way must not flicker."""
    import torch

    def step(_pipe: Any, _index: int, _time: Any, values: dict[str, Any]) -> dict[str, Any]:
        watch.check()
        return values

    chance = [torch.Generator("cpu").manual_seed(seed) for _ in range(count)]
    generator = chance if count > 1 else chance[0]
    return render.pipe(**arguments, generator=generator, callback_on_step_end=step, output_type="pil").images


def _worded(render: Render, words: Sequence[Mapping[str, Any]], places: Sequence[Place]) -> dict[str, Any]:
    """The pipeline's arguments for these places: the words between two scenes are between their embeddings."""
    import torch

    arguments = for_each(render.arguments, len(places)) if len(places) > 1 else dict(render.arguments)
    if len(words) == 1:
        return arguments
    between = [_between(words, place) for place in places]
    for name in between[0].keys() & arguments.keys():
        values = [one[name] for one in between]
        if isinstance(values[0], torch.Tensor):
            if len({value.shape for value in values}) == 1:
                arguments[name] = torch.cat(values)
        elif values[0] is not None:
            arguments[name] = values if len(places) > 1 else values[0]
    return arguments


def _between(words: Sequence[Mapping[str, Any]], place: Place) -> Mapping[str, Any]:
    import torch

    far = min(place, 1.0) * (len(words) - 1)
    number = min(int(far), len(words) - 2)
    one, other, share = words[number], words[number + 1], far - number

    def mixed(name: str) -> Any:
        ends = one[name], other[name]
        if all(isinstance(end, torch.Tensor) for end in ends) and ends[0].shape == ends[1].shape:
            return slerp(*ends, share)
        return ends[round(share)]

    return {name: mixed(name) for name in one.keys() & other.keys()}


def slerp(one: Any, other: Any, share: float) -> Any:
    """Between two tensors along the arc between their last axes' directions; straight where these are the same."""
    import torch

    cosine = torch.nn.functional.cosine_similarity(one.float(), other.float(), dim=-1).clamp(-1, 1).unsqueeze(-1)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    flat = sine < 1e-3
    safe = torch.where(flat, torch.ones_like(sine), sine)
    weights = torch.sin((1 - share) * angle) / safe, torch.sin(share * angle) / safe
    first = torch.where(flat, torch.full_like(sine, 1 - share), weights[0])
    second = torch.where(flat, torch.full_like(sine, share), weights[1])
    return (first * one.float() + second * other.float()).to(one.dtype)


def _noises(render: Render, seed: int) -> tuple[Any, tuple[Any, Any]]:
    """A seed's own noise, and two coarse ones that it is mixed with; as the pipeline takes its latents."""
    import torch

    pipe, (width, height) = render.pipe, render.size
    flux = type(pipe).__name__.startswith("Flux")
    network = getattr(pipe, "transformer", None) or pipe.unet
    channels = network.config.in_channels // 4 if flux else network.config.in_channels
    rows, columns = height // pipe.vae_scale_factor, width // pipe.vae_scale_factor
    chance = torch.Generator("cpu").manual_seed(seed)

    def noise(cells: tuple[int, int]) -> Any:
        drawn = torch.randn((1, channels, *cells), generator=chance)
        if cells != (rows, columns):
            drawn = torch.nn.functional.interpolate(drawn, size=(rows, columns), mode="bicubic")
            drawn = drawn / drawn.std()
        given = drawn.to(pipe._execution_device, network.dtype)
        return pipe._pack_latents(given, 1, channels, rows, columns) if flux else given

    fine = noise((rows, columns))
    return fine, (noise((COARSE, COARSE)), noise((COARSE, COARSE)))
