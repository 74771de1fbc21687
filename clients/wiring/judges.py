"""Which judges there are, in what order they are asked, and which models they look with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clients.config import Settings
from clients.wiring.language import viewer
from utils.aesthetics import AestheticPredictor
from utils.content_validator import classifier_expected, classifier_for
from utils.hub import hub_cache
from utils.pose_validation import PoseDetector
from utils.validation import ClipScorer
from workflows.content import ContentRules
from workflows.judges import ClipJudge, ContentJudge, MotionJudge, QualityJudge, VisionJudge, body_judges
from workflows.judges.likeness import ClipEmbedder
from workflows.types import FamilyProfile

if TYPE_CHECKING:
    from clients.limits import Limits
    from workflows.ports import Embedder, Judge

JUDGE_GB = 2.0
"""Free memory of a GPU with which a judge loads without asking: ViT-B-32 has 0.6 GB of weights in full precision, the
others less, CUDA itself takes about as much, and the rest is for the work; our estimate."""

M = TypeVar("M")
MakeRoom = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class JudgeBench:
    """The judges by name, cheapest first; the content rules, and who looks at every picture."""

    judges: dict[str, Judge]
    rules: ContentRules
    gate: Judge | None
    embedder: Embedder
    """Tells which pictures are alike, with the judge's CLIP."""


@asynccontextmanager
async def open_judges(
    settings: Settings,
    demo: Path,
    limits: Limits,
    make_room: MakeRoom | None = None,
    gpu_is_full: Callable[[], bool] | None = None,
) -> AsyncGenerator[JudgeBench]:
    """The judges that these settings give. What the demo model draws is looked at by the demo's own models in `demo`.

    `make_room`: asks whoever else keeps models in this machine's GPU to let go of them, before a judge loads into a
    full one. Loads and fetches nothing.
    """

    async def before_load(model: object) -> None:
        tiny = model is demo_scorer or model is demo_detector
        if make_room is not None and not tiny and await asyncio.to_thread(gpu_is_full or _gpu_is_full):
            await make_room()

    idle = settings.atelier_idle_unload
    scorer = ClipScorer(settings.atelier_clip_model, settings.atelier_clip_weights)
    demo_scorer = ClipScorer(demo / "clip")
    detector = PoseDetector(settings.atelier_pose_model)
    demo_detector = PoseDetector(demo / "pose" / "demo-pose.pt", draws=True)
    predictor = _predictor(settings, scorer)
    rules = ContentRules(adult=settings.atelier_adult)
    look = _by_family(demo_detector, detector)
    content = ContentJudge(partial(classifier_for, settings.atelier_content_model), rules, idle, before_load)
    clip = ClipJudge(_by_family(demo_scorer, scorer), idle, before_load)
    judges: list[Judge] = [
        QualityJudge(_by_family(None, predictor), idle, before_load),
        MotionJudge(),
        *body_judges(look, idle, before_load),
        clip,
        content,
    ]
    async with AsyncExitStack() as stack:
        judges += await _vision(settings, stack, limits)
        watched = await asyncio.to_thread(classifier_expected, settings.atelier_content_model)
        known = demo_scorer if not await asyncio.to_thread(_is_here, settings) else scorer
        yield JudgeBench(
            judges={judge.name: judge for judge in judges},
            rules=rules,
            gate=content if watched else None,
            embedder=ClipEmbedder(known, clip.resting),
        )


def _by_family(demo: M, real: M) -> Callable[[FamilyProfile], M]:
    """The demo's own model for what the demo model draws: it knows that world, and the real one does not."""
    return lambda profile: demo if profile.name == "demo" else real


def _is_here(settings: Settings) -> bool:
    """Whether the judge's weights are on this machine: nobody fetches 600 MB to search for what looks alike."""
    if Path(settings.atelier_clip_model).is_dir():
        return True
    tag, cache = _plain(settings.atelier_clip_weights), hub_cache()
    return cache.is_dir() and any(tag in _plain(folder.name) for folder in cache.glob("models--*"))


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


def _predictor(settings: Settings, scorer: ClipScorer) -> AestheticPredictor | None:
    weights = settings.atelier_aesthetic_weights
    return AestheticPredictor(weights, scorer) if weights else None


async def _vision(settings: Settings, stack: AsyncExitStack, limits: Limits) -> list[Judge]:
    """The judge that asks a vision language model, where one is named."""
    model = settings.atelier_vision_model
    if model is None:
        return []
    client = await viewer(settings, stack, model, limits)
    return [VisionJudge(client, client.at_once)]


def _gpu_is_full() -> bool:
    """Whether a judge would load into a GPU that has no room for it. Imports torch, as the judge is about to do."""
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available() and torch.cuda.mem_get_info(0)[0] < JUDGE_GB * 1e9
