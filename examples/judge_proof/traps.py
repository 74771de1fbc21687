"""The labelled set: pictures with prompts, and for every judge whether it ought to object. No model took part.

A `Pair` is one picture and one prompt. Truth is known because the picture was drawn from symbols, and the prompt was
written from the same symbols (right) or from such with one of them changed (a trap). Half of the pictures are crisp,
half are what the demo model's decoder makes of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import looks
from figures_drawn import close_up, cut_off, maimed, people_apart
from world import captions, scenes

if TYPE_CHECKING:
    from looks import Image

JUDGES = ("clip", "people", "pose", "quality")
RIGHT = "right"
SEED = 20_041
SCENES, PEOPLE_SCENES = 150, 90
SPECIMENS = 40
"""Pictures of every trap that has pictures of its own."""
HOLDING = captions.JUDGE_WORDING
PEOPLE_ONLY = scenes.Mix(shapes=(0.0,) * scenes.PERSON + (1.0,), single=0.65, sizes=(0.0, 0.45, 0.55))
THINGS_ONLY = scenes.Mix(shapes=(1.0,) * scenes.PERSON + (0.0,))

Truth = Mapping[str, bool | None]


@dataclass(frozen=True)
class Pair:
    """One picture and what was asked for.

    `truth`: for every judge True where it has nothing to object to, False where something is wrong that it is for,
    None where nobody can say or it is not its matter. `inside`: the prompt keeps to what the demo CLIP ever learned.
    """

    trap: str
    prompt: str
    truth: Truth
    look: str
    picture: Image = field(compare=False, repr=False)
    caption: captions.Caption | None = None
    inside: bool = True

    @property
    def right(self) -> bool | None:
        """Whether no judge has a reason to object; None where nobody can say if the prompt is met."""
        if any(said is False for said in self.truth.values()):
            return False
        return self.truth["clip"]


@dataclass(frozen=True)
class Drawn:
    """A scene and its picture, in its final look."""

    scene: scenes.Scene
    picture: Image = field(compare=False, repr=False)
    look: str = "crisp"


def labelled(seed: int = SEED, share: float = 1.0) -> list[Pair]:
    """The whole set, or a smaller one of the same make; the same seed gives the same pairs."""
    rng = random.Random(seed)
    return [*_wordings(rng, share), *_figures(rng, share), *_two_kinds(rng, share)]


def truth(facts: scenes.Facts, caption: captions.Caption) -> Truth:
    """What the judges ought to say of an undamaged picture with these facts."""
    is_true, is_open = captions.judge([facts.symbols()], [caption])
    shown = None if is_open[0, 0] else bool(is_true[0, 0])
    return {"clip": shown, "people": _people_right(facts, caption), "pose": True, "quality": True}


def _people_right(facts: scenes.Facts, caption: captions.Caption) -> bool | None:
    """Whether as many people are there as were asked for; None where people are there that nobody asked for."""
    there = facts.count if facts.shape == scenes.PERSON else 0
    if caption.true[captions.SHAPE] != captions.bits(scenes.PERSON):
        return None if there else True
    return bool(caption.true[captions.COUNT] >> there & 1)


# ------------------------------------------------------------------------- prompts for pictures of the world


def _wordings(rng: random.Random, share: float) -> Iterator[Pair]:
    """Right prompts in several wordings, wrong ones with one fact changed, and damage, on the same pictures."""
    shown = [scenes.sample_scene(rng, THINGS_ONLY) for _ in range(round(SCENES * share))]
    shown += [scenes.sample_scene(rng, PEOPLE_ONLY) for _ in range(round(PEOPLE_SCENES * share))]
    drawn = _in_both_looks(shown, [scenes.render(scene, rng) for scene in shown])
    for number, one in enumerate(drawn):
        right = [_unseen(one.scene.facts, rng) for _ in range(2)]
        yield from (_pair(RIGHT, one, caption) for caption in right)
        yield from (_pair(trap, one, caption) for trap, caption in _wrong(one.scene.facts, rng))
        yield from _damaged(one, right[0], rng, number)


def _unseen(facts: scenes.Facts, rng: random.Random) -> captions.Caption:
    return captions.held_out_caption(facts, rng, HOLDING)


def _pair(trap: str, drawn: Drawn, caption: captions.Caption) -> Pair:
    found = truth(drawn.scene.facts, caption)
    return Pair(trap, caption.text, found, drawn.look, drawn.picture, caption)


SWAPS = {
    "shape": "right colour, wrong shape", "colour": "right shape, wrong colour", "background": "wrong background",
    "size": "wrong size", "place": "wrong place", "pose": "wrong arms",
}  # fmt: skip


def _wrong(facts: scenes.Facts, rng: random.Random) -> Iterator[tuple[str, captions.Caption]]:
    """Three prompts, each wrong in one fact."""
    fields = ["shape", "colour", "background", "binding", "count"]
    fields += ["count"] if facts.count > 1 else []
    fields += ["size"] if facts.size != scenes.MEDIUM and facts.shape != scenes.PERSON else []
    fields += ["place"] if facts.count == 1 and facts.size != scenes.LARGE else []
    fields += ["pose"] if facts.shape == scenes.PERSON else []
    for fact in rng.sample(fields, 3):
        if fact == "count":
            yield _miscounted(facts, rng)
        elif fact == "binding":
            yield "colours of thing and background swapped", _crossed(facts, rng)
        else:
            yield SWAPS[fact], _falsified(facts, rng, fact)


def _falsified(facts: scenes.Facts, rng: random.Random, what: str) -> captions.Caption:
    """A held-out caption of the facts with one of them changed, false of the picture."""
    while True:
        caption, _ = captions.hard_negative(facts, rng, HOLDING, what)
        if captions.held_out(caption.text):
            return caption


def _told(facts: scenes.Facts, rng: random.Random, wording: captions.Wording, shown: scenes.Facts) -> captions.Caption:
    """A held-out caption of `facts` that is false of a picture that shows `shown`."""
    while True:
        caption = captions.held_out_caption(facts, rng, wording)
        if truth(shown, caption)["clip"] is False:
            return caption


def _miscounted(facts: scenes.Facts, rng: random.Random) -> tuple[str, captions.Caption]:
    """One more or one fewer asked for than there are."""
    asked = {1: 2, 2: 1, 3: rng.choice((2, 4))}[facts.count]
    trap = "one too many" if facts.count > asked else "one too few"
    wording = replace(HOLDING, vague_count=0.0, place=0.0)
    return trap, _told(replace(facts, count=asked), rng, wording, facts)


def _crossed(facts: scenes.Facts, rng: random.Random) -> captions.Caption:
    swapped = replace(facts, colour=facts.background, background=facts.colour)
    wording = replace(HOLDING, colour=2.0, white_background=2.0, other_background=2.0)
    return _told(swapped, rng, wording, facts)


def _damaged(drawn: Drawn, caption: captions.Caption, rng: random.Random, number: int) -> Iterator[Pair]:
    """Damage to every picture in turn: one of the six kinds, and to every fifth a frame that broke."""
    kinds = list(looks.DAMAGED.items())
    trap, look = kinds[number // 2 % len(kinds)]
    blind: Truth = {"clip": None, "people": None, "pose": None, "quality": False}
    yield Pair(trap, caption.text, blind, drawn.look, look(drawn.picture, rng))
    if number % 5 == 0:
        broken = list(looks.BROKEN.items())
        trap, look = broken[number // 5 % len(broken)]
        asked = caption.true[captions.SHAPE] == captions.bits(scenes.PERSON)
        nothing: Truth = {"clip": False, "people": False if asked else None, "pose": None, "quality": False}
        yield Pair(trap, caption.text, nothing, drawn.look, look(drawn.picture, rng))


def _in_both_looks(shown: Sequence[scenes.Scene], pictures: Sequence[Image]) -> list[Drawn]:
    """Every second picture as the demo model draws."""
    redrawn = iter(looks.as_the_model_draws(pictures[1::2]))
    return [
        Drawn(scene, next(redrawn), "model's") if number % 2 else Drawn(scene, picture)
        for number, (scene, picture) in enumerate(zip(shown, pictures, strict=True))
    ]


# ------------------------------------------------------------------------------------------------ figures


def _figures(rng: random.Random, share: float) -> Iterator[Pair]:
    """Figures with something missing, cut off, close up; several, or nobody, where one was asked for."""
    count = round(SPECIMENS * share)
    whole: Truth = {"clip": True, "people": True, "pose": True, "quality": True}
    hurt = whole | {"clip": None, "pose": False}
    for trap, draw, plain, found in (
        ("an arm missing", lambda: maimed(rng, "arm"), True, hurt),
        ("a leg missing", lambda: maimed(rng, "leg"), True, hurt),
        ("cut off, asked for in full", lambda: cut_off(rng), False, hurt),
        ("whole, asked for in full", lambda: people_apart(rng, 1), False, whole),
        ("cut off, not asked for in full", lambda: close_up(rng), True, whole | {"clip": None}),
    ):
        made = [draw() for _ in range(count)]
        for one in _in_both_looks([scene for scene, _ in made], [picture for _, picture in made]):
            caption = _unseen(one.scene.facts, rng)
            prompt = caption.text if plain else _in_full(one.scene.facts, rng)
            yield Pair(trap, prompt, found, one.look, one.picture, inside=plain)
    yield from _wrong_number(rng, count)


def _in_full(facts: scenes.Facts, rng: random.Random) -> str:
    """A prompt for the whole figure: words that the demo CLIP never learned."""
    bare = replace(HOLDING, style=0.0, place=0.0, white_background=0.0, other_background=0.0)
    text = captions.write_caption(facts, rng, bare).text.rstrip(".")
    clause = rng.choice(("full body", "full body shot", "head to toe", "full-length"))
    return f"{text}, {clause}, {scenes.COLOUR_NAMES[facts.background]} background"


def _wrong_number(rng: random.Random, count: int) -> Iterator[Pair]:
    """Prompts for one person, and pictures with two or with nobody."""
    twice = [people_apart(rng, 2) for _ in range(count)]
    for one in _in_both_looks([scene for scene, _ in twice], [picture for _, picture in twice]):
        asked = replace(one.scene.facts, count=1)
        wording = replace(HOLDING, place=0.0)
        yield _pair("two figures, one asked for", one, _told(asked, rng, wording, one.scene.facts))
    things = [scenes.sample_scene(rng, THINGS_ONLY) for _ in range(count)]
    for one in _in_both_looks(things, [scenes.render(scene, rng) for scene in things]):
        facts = one.scene.facts
        asked = replace(facts, count=1, shape=scenes.PERSON, size=scenes.MEDIUM, pose=rng.randrange(3))
        yield _pair("nobody, one asked for", one, _told(asked, rng, HOLDING, facts))


# -------------------------------------------------------------- two different things: outside the demo's world


def _two_kinds(rng: random.Random, share: float) -> Iterator[Pair]:
    """Two things of different kind and colour, side by side: told right, mirrored, and with colours swapped."""
    made = [_side_by_side(rng) for _ in range(round(SPECIMENS * share))]
    for one in _in_both_looks(made, [scenes.render(scene, rng) for scene in made]):
        left, right = one.scene.things
        ground = f" on a {scenes.COLOUR_NAMES[one.scene.facts.background]} background"
        relation = rng.choice(("{} to the left of {}", "{} on the left and {} on the right"))
        first, second = _named(left, left), _named(right, right)
        for trap, prompt, correct in (
            ("two kinds, told right", relation.format(first, second) + ground, True),
            ("mirrored relation", relation.format(second, first) + ground, False),
            ("two kinds, told right", f"{first} and {second}{ground}", True),
            ("colours of two kinds swapped", f"{_named(left, right)} and {_named(right, left)}{ground}", False),
        ):
            found: Truth = {"clip": correct, "people": True, "pose": True, "quality": True}
            yield Pair(trap, prompt, found, one.look, one.picture, inside=False)


def _named(thing: scenes.Thing, coloured: scenes.Thing) -> str:
    """The kind of one thing in the colour of another."""
    return captions.with_article(f"{scenes.COLOUR_NAMES[coloured.colour]} {scenes.SHAPES[thing.shape]}")


def _side_by_side(rng: random.Random) -> scenes.Scene:
    background = scenes.WHITE if rng.random() < 0.5 else rng.randrange(len(scenes.COLOURS))
    shapes = rng.sample(range(scenes.PERSON), 2)
    colours = rng.sample([c for c in range(len(scenes.COLOURS)) if c != background], 2)
    things = tuple(
        scenes.Thing(shape, colour, x + rng.uniform(-1, 1), scenes.UNITS / 2 + rng.uniform(-2, 2), rng.uniform(10, 13))
        for shape, colour, x in zip(shapes, colours, (16.0, 48.0), strict=True)
    )
    return scenes.Scene(scenes.Facts(scenes.MIXED, shapes[0], colours[0], scenes.MEDIUM, 0, background), things)
