"""Which model suits a prompt: a score from 0 to 100, in parts, by what is known of files, families and results."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from workflows.drawing.halves import half_of, twin_of
from workflows.drawing.videos import role_of
from workflows.families import BEGUN, families, family_of_base_model, lora_fits
from workflows.selection.library import PLACES, TAG, TITLE, Entry, Library
from workflows.selection.traits import TAGGED, Traits, traits_of
from workflows.selection.vocabulary import vocabulary
from workflows.selection.words import stems, unspaced
from workflows.types import VIDEOS, ModelInfo, PromptAnalysis, Ranked, TrackRecord

FAMILY, STYLE, CONCEPTS, POPULARITY, RECORD = 42.0, 20.0, 12.0, 10.0, 16.0
"""The most that each part gives; they add up to 100. Our judgement: the table of prompts in the tests holds them to
what a practitioner would choose."""
LEAST = 6.0
"""What an ordinary model has at the least, and a last resort at most: it never wins against one."""
PRIOR_SHARE, PRIOR_PICTURES = 0.7, 50
"""What share of the pictures the judges accept when nothing is known yet, and how many pictures that is worth."""
OWN_PRIOR = 20
"""Pictures by one model that weigh as much as the mean of all models: fewer move its score little."""
SWING = 2.5
"""How strongly a share of accepted pictures above or below the mean counts."""
TOO_BIG, UNKNOWN, GUESSED, ADULT_MADE, NO_SCRIPTS, HASTY = 25.0, 14.0, 3.0, 12.0, 18.0, 5.0
"""What is taken off: larger than the memory, of no known family, of a guessed one, made for adult pictures when nobody
asks for any, unable to read the script of the prompt, and made for speed at a price when nobody is in a hurry."""
QUICK, FINE = 0.8, 0.7
"""Traits: from this speed a family is made for it, and below this rank it pays for that."""
NARROW = 14.0
"""Taken off a model whose words all name one thing that is not asked for; less where only some do."""
ACTIVATIONS = 1.15
"""Memory that a model takes beside its weights, as a factor: activations at its own size."""
CLEARLY, MARKED = 0.7, 0.6
"""From this share of its marks a file is taken to be trained for a style, and draws it at least so well, whatever its
family does by itself: Pony is for drawings, and there are good Pony models for photographs."""
_SPECIAL_NAME = re.compile(
    r"inpaint|refiner|kontext|(?<![a-z])(?:fill|edit|redux|canny|depth|ip2p|upscaler?)(?![a-z])|pix2pix|instruct"
)
_VIDEO_NAME = re.compile(r"(?<![a-z])(?:wan[-_ .]?\d|ltx|hunyuan[-_ ]?video|mochi|cogvideo|svd|animatediff|[it]2v)")
_OF_ANY_MODEL = frozenset("base general character style girl boy woman man person".split())
"""Tags that say nothing of what a model was made for."""
MARKS: Mapping[str, frozenset[str]] = {
    "realistic": frozenset(
        "realistic photorealistic photorealism realism real photo photography photographic photoreal realvis "
        "juggernaut epicrealism cyberrealistic absolutereality majicmix lifelike hyperrealistic hyperrealism".split()
    ),
    "anime": frozenset(
        "anime manga animagine counterfeit anything abyssorange aom meina meinamix waifu hentai 2d chibi wai hassaku"
        " pastel nova animelike danbooru otaku".split()
    ),
    "artistic": frozenset(
        "artistic art painting painterly dreamshaper deliberate fantasy watercolor painted surreal oil artwork".split()
    ),
    "illustration": frozenset("illustration comic cartoon vector toon western logo drawing storybook flat".split()),
    "3d": frozenset("3d render pixar cgi blender disney rendered clay".split()),
    "pixel art": frozenset("pixel pixelart sprite 8bit".split()),
}
"""Words in names, titles and tags that say for which style a model was trained."""
CLOSE: Mapping[str, tuple[str, ...]] = {
    "pixel art": ("illustration",),
    "illustration": ("artistic", "anime"),
    "artistic": ("illustration",),
    "3d": ("illustration",),
    "": ("realistic", "artistic"),
}
"""Styles that a model of another one draws fairly."""


def rank_models(
    library: Library,
    analysis: PromptAnalysis,
    *,
    quality: str = "balanced",
    recipe_task: str = "txt2img",
    memory_gb: float | None = None,
    most: int = 8,
    adult: bool = False,
) -> list[Ranked]:
    """The models that can draw now, best first, at most `most`; the parts of a score add up to it.

    `adult`: the owner allows adult content; otherwise models made for it are left out. `memory_gb`: 10^9 bytes of the
    device that draws. Models made for one task, or to show that the program runs, come last; so do those that make
    videos, which are the only ones where a video is asked for.
    """
    wish = _Wish(library, analysis, quality, recipe_task, memory_gb)
    able = [entry for entry in library.checkpoints if adult or not entry.adult]
    if recipe_task in VIDEOS:
        able = _films(able, recipe_task)
    ranked = [_ranked(wish, entry) for entry in able]
    return sorted(ranked, key=lambda one: (-one.score, one.name))[:most]


@dataclass(frozen=True)
class _Wish:
    """What the models are measured against."""

    library: Library
    analysis: PromptAnalysis
    quality: str
    task: str
    memory_gb: float | None

    @cached_property
    def base(self) -> str:
        """The suggested base model as a family; "" when it is none of ours."""
        return family_of_base_model(self.analysis.suggested_base_model) or ""

    @cached_property
    def words(self) -> dict[str, float]:
        """Words of the concepts and, for less, of their kin; those that say a style are weighed elsewhere."""
        marks = frozenset[str]().union(*MARKS.values())
        said = {word: 1.0 for concept in self.analysis.key_concepts for word in stems(concept)}
        kin = {word: 0.4 for tag in self.analysis.recommended_lora_tags for word in stems(tag)}
        return {word: weight for word, weight in (kin | said).items() if word not in marks | vocabulary().filler}

    @cached_property
    def asked(self) -> frozenset[str]:
        """Every word that says what is wished, with style, content and kin."""
        analysis = self.analysis
        texts = (analysis.style, analysis.content_type, *analysis.key_concepts, *analysis.recommended_lora_tags)
        return frozenset(word for text in texts for word in stems(text))

    @cached_property
    def foreign(self) -> bool:
        return any(map(unspaced, self.analysis.key_concepts))

    @cached_property
    def verdicts(self) -> tuple[int, int]:
        """Pictures of all models that were judged, and accepted."""
        records = self.library.records.values()
        return sum(one.judged for one in records), sum(one.accepted for one in records)

    def mean_share(self, without: TrackRecord) -> float:
        """Share of accepted pictures of the other models: a bad one must not lower what it is measured by."""
        judged, accepted = self.verdicts
        prior = PRIOR_SHARE * PRIOR_PICTURES
        return (accepted - without.accepted + prior) / (judged - without.judged + PRIOR_PICTURES)


def _ranked(wish: _Wish, entry: Entry) -> Ranked:
    info, traits = entry.info, traits_of(entry.info.family)
    style = _style(wish.analysis.style, entry)
    parts = {
        "family": FAMILY * _family(wish, info, traits, style >= CLEARLY),
        "style": STYLE * style,
        "concepts": CONCEPTS * _concepts(wish, entry),
        "popularity": POPULARITY * _popularity(info),
        "record": RECORD * _record(wish, wish.library.record(info)),
    }
    parts = {name: round(value, 1) for name, value in parts.items()}
    gross = sum(parts.values())
    net = max(LEAST, gross - _faults(wish, entry, traits))
    if _last(wish, info, traits):
        net = LEAST * gross / 101
    parts["fit"] = round(net - gross, 1)
    return Ranked(
        name=info.name,
        kind=info.kind,
        family=info.family,
        engine=info.engine,
        score=round(sum(parts.values()), 1),
        parts=parts,
        guessed=info.guessed,
    )


def _family(wish: _Wish, info: ModelInfo, traits: Traits, marked: bool) -> float:
    """How well the family draws such a picture at this quality."""
    look = traits.at(wish.analysis.style)
    if marked:
        look = max(look, MARKED)
    if wish.analysis.content_type == "text":
        look = 0.35 * look + 0.65 * traits.text
    grade = _grade(wish.quality, traits)
    if not wish.base:
        return 0.6 * look + 0.4 * grade
    base, reads = _of_base(wish.base, info.family), _reads(wish.base, traits)
    return 0.3 * look + 0.3 * base + 0.15 * reads + 0.25 * grade


def _grade(quality: str, traits: Traits) -> float:
    """Rank and speed as the quality weighs them."""
    if quality == "fast":
        return 0.35 * traits.rank + 0.65 * traits.speed
    if quality == "balanced":
        return 0.75 * traits.rank + 0.25 * traits.speed
    hurried = traits.speed >= QUICK
    return max(0.0, traits.rank - (0.25 if hurried and quality == "ultra" else 0.12 if hurried else 0.0))


def _of_base(base: str, family: str) -> float:
    return 1.0 if family == base else 0.6 * lora_fits(base, family)


def _reads(base: str, traits: Traits) -> float:
    """Whether it reads what was written for the suggested base model."""
    wanted = traits_of(base).words
    if wanted == traits.words:
        return 1.0
    return 0.5 if wanted in TAGGED and traits.words in TAGGED else 0.2 if wanted in TAGGED else 0.4


def _style(style: str, entry: Entry) -> float:
    """Whether the file was trained for the style: its marks say yes, no, or nothing."""
    marked = {name: _marks(entry, words) for name, words in MARKS.items()}
    strongest = max(marked.values())
    if strongest == 0:
        return 0.5 * traits_of(entry.info.family).at(style)
    if not style:
        return 0.5 if marked["realistic"] == strongest or marked["artistic"] == strongest else 0.1
    own = 0.5 * marked.get(style, 0.0) * (1 / strongest + 1 / sum(marked.values()))
    near = max((marked[name] / strongest for name in CLOSE.get(style, ())), default=0.0)
    return max(own, 0.45 * near, 0.1)


def _marks(entry: Entry, words: frozenset[str]) -> float:
    return sum(max(PLACES[place] for place in PLACES if entry.words[word] & place) for word in words & set(entry.words))


def _concepts(wish: _Wish, entry: Entry) -> float:
    """Whether it was made for what the prompt is about; one good match is most of it."""
    rarity = wish.library.model_rarity
    found = sum(weight * rarity(word) for word, weight in wish.words.items() if word in entry.words)
    asked = 0.8 if wish.analysis.adult and entry.adult else 0.0
    return 1 - math.exp(-1.2 * (found + asked))


def _popularity(info: ModelInfo) -> float:
    """How many use it and like it; the middle where nobody counted."""
    if info.facts.downloads is None:
        return 0.5
    rating = 0.85 if info.facts.rating is None else info.facts.rating
    return min(1.0, math.log10(1 + info.facts.downloads) / 6) * rating


def _record(wish: _Wish, record: TrackRecord | None) -> float:
    """What the judges said of its pictures beside those of other models; 0.5 where they said nothing."""
    if record is None or record.judged <= 0:
        return 0.5
    mean = wish.mean_share(without=record)
    share = (record.accepted + mean * OWN_PRIOR) / (record.judged + OWN_PRIOR)
    return min(1.0, max(0.0, 0.5 + SWING * (share - mean)))


def _faults(wish: _Wish, entry: Entry, traits: Traits) -> float:
    """What speaks against a model that could be chosen all the same."""
    info, analysis = entry.info, wish.analysis
    faults = {
        UNKNOWN: info.family not in families() or info.family == "unknown",
        GUESSED: info.guessed,
        ADULT_MADE: entry.adult and not analysis.adult,
        NO_SCRIPTS: wish.foreign and not traits.scripts,
        HASTY: wish.quality != "fast" and traits.speed >= QUICK and traits.rank < FINE,
    }
    there = sum(points for points, there in faults.items() if there)
    return there + _too_big(info, wish.memory_gb) + NARROW * _narrow(wish, entry)


def _narrow(wish: _Wish, entry: Entry) -> float:
    """Which share of its words names one thing; none when the prompt is about any of them."""
    narrow = vocabulary().narrow & set(entry.words)
    if not narrow or narrow & wish.asked:
        return 0.0
    said = [word for word, places in entry.words.items() if places & (TITLE | TAG) and word not in _OF_ANY_MODEL]
    return len(narrow) / len(said)


def _too_big(info: ModelInfo, memory_gb: float | None) -> float:
    """Grows with what does not fit; up to twice the memory it can still be drawn with, slowly."""
    if memory_gb is None or memory_gb <= 0 or not info.size:
        return 0.0
    over = info.size * ACTIVATIONS / (memory_gb * 1e9) - 1
    return TOO_BIG * min(1.0, over + 0.2) if over > 0 else 0.0


def _last(wish: _Wish, info: ModelInfo, traits: Traits) -> bool:
    """Whether it is chosen only when there is nothing else."""
    if traits.use == "last":
        return True
    name = info.plain_name.lower()
    if makes_videos(info):
        return wish.task not in VIDEOS
    special = traits.use == "special" or _SPECIAL_NAME.search(name) is not None
    return special and not _made_for(wish.task, name, info.family)


def _films(entries: Sequence[Entry], task: str) -> Sequence[Entry]:
    """Those that make videos, without the ones that by their names make them from something else, where others are
    left; of a pair for high and low noise the one for high, which brings the other."""
    films = [entry for entry in entries if makes_videos(entry.info)]
    role = "i2v" if task in BEGUN else "t2v"
    suiting = [entry for entry in films if role_of(entry.info.name) in {"", "ti2v", role}] or films
    names = [entry.info.name for entry in suiting]
    return [one for one in suiting if half_of(one.info.name) != "low" or twin_of(one.info.name, names) is None]


def makes_videos(info: ModelInfo) -> bool:
    """Whether a model is for videos, by its family or its name."""
    return traits_of(info.family).use == "video" or _VIDEO_NAME.search(info.plain_name.lower()) is not None


def _made_for(task: str, name: str, family: str) -> bool:
    """Whether a special model is for this task."""
    signs = {"inpaint": ("inpaint", "fill"), "outpaint": ("inpaint", "fill"), "img2img": ("kontext", "edit")}
    return _any_in(signs.get(task, ()), f"{name} {family}")


def _any_in(signs: Iterable[str], text: str) -> bool:
    return any(sign in text for sign in signs)
