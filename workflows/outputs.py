"""Outputs: a workflow of the user's own carried out once, and every file that it makes kept for itself.

The second, smaller way through a job, beside the loop: nothing is tried again or chosen from. What the judges say of
its pictures and videos is told, where a prompt is known; what may not be shown is not kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from utils import video
from utils.images import BadPicture, decode, encode_png, sniff
from utils.sounds import sniff_sound
from utils.video import BadVideo
from workflows.bench import Workbench
from workflows.clips import Film, with_pyav
from workflows.errors import ExtraMissing, Refused, RenderFailed, ServiceUnavailable, StorageError, StudioError
from workflows.kinds import GIF, MP4, PICTURES, PNG, ending_of, kind_of, plain
from workflows.loop import BARRED, UNCHECKED
from workflows.stamp import poster_key
from workflows.types import (
    Artifact,
    Attempt,
    FamilyProfile,
    Item,
    Job,
    Media,
    Outcome,
    Progress,
    RenderStep,
    Ticket,
    Verdict,
)

log = logging.getLogger("atelier.outputs")

MOST_TEXT = 2_000
"""Characters of a text that are told with the answer; all of it is in the gallery."""
TEXT_FACT = "text"
"""Fact of a text output: how it begins."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What came of a workflow, in the order of its outputs; `notes`: what became of those that are missing."""

    outcomes: tuple[Outcome, ...]
    filed: Mapping[str, tuple[Item, Media]]
    notes: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Order:
    """One workflow, to be run once. `job.recipe` is complete, `inputs` are its graph and files by role."""

    job: Job
    profile: FamilyProfile
    bench: Workbench
    inputs: Mapping[str, Media]
    ticket: Ticket
    report: Callable[[Progress, Media | None], None]
    notes: list[str] = field(default_factory=list[str], init=False)

    async def carried_out(self) -> Delivery:
        """Run it, judge and keep what it makes. Raises EngineError, Refused and ServiceUnavailable as the loop does,
        StorageError when nothing could be kept."""
        recipe = await asyncio.to_thread(self.bench.permit, self.job.recipe)
        started = time.perf_counter()
        artifacts = await self.bench.engine.render(recipe, self.inputs, self._tell, self.ticket)
        if not artifacts:
            raise RenderFailed(f"The engine {self.bench.engine.name!r} ended the workflow without any output.")
        seconds = round(time.perf_counter() - started, 3)
        usable = await self._usable(artifacts)
        said = await self._judged([artifact.media for artifact in usable.values()])
        attempts = [
            self._attempt(number, artifact, verdicts, seconds)
            for (number, artifact), verdicts in zip(usable.items(), said, strict=True)
        ]
        self._check_shown(attempts)
        return await self._filed([one for one in attempts if not one.barred], usable)

    # ------------------------------------------------------------------ what came

    async def _usable(self, artifacts: Sequence[Artifact]) -> dict[int, Artifact]:
        """By number, from 1, what can be kept, as it will be kept."""
        usable: dict[int, Artifact] = {}
        for number, artifact in enumerate(artifacts, start=1):
            try:
                usable[number] = await asyncio.to_thread(ready, artifact)
            except StudioError as error:
                self.notes.append(f"Output {number} ({artifact.media.media_type}) is not kept: {_sentence(error)}")
        if not usable:
            raise RenderFailed(" ".join(self.notes))
        return usable

    async def _judged(self, outputs: Sequence[Media]) -> list[tuple[Verdict, ...]]:
        """What the judges say of pictures and videos; of the rest nobody says anything."""
        said: list[tuple[Verdict, ...]] = [()] * len(outputs)
        seen = [place for place, media in enumerate(outputs) if kind_of(media.media_type) in {"image", "video"}]
        panel, recipe = self.bench.panel, self.job.recipe
        if not seen or not panel.hears(recipe):
            return said
        self.report(Progress(fraction=0.99, message=f"Judging {len(seen)} outputs"), None)
        found = await panel.verdicts([outputs[place] for place in seen], recipe, self.profile)
        for place, verdicts in zip(seen, found, strict=True):
            said[place] = verdicts
        return said

    def _check_shown(self, attempts: Sequence[Attempt]) -> None:
        barred = [one for one in attempts if one.barred]
        if len(barred) < len(attempts):
            places = (one.picture + 1 for one in barred)
            self.notes += [f"Output {place} may not be shown (content rules), and is not kept." for place in places]
            return
        unchecked = barred[-1].unchecked
        raise ServiceUnavailable(f"{unchecked} {UNCHECKED}") if unchecked else Refused(BARRED)

    def _attempt(self, number: int, artifact: Artifact, verdicts: tuple[Verdict, ...], seconds: float) -> Attempt:
        return Attempt(
            number=1,
            picture=number - 1,
            recipe=self.job.recipe.but(seed=artifact.seed, count=1),
            key=f"{self.job.id}/1/{number}.{ending_of(artifact.media.media_type)}",
            media_type=artifact.media.media_type,
            width=artifact.width,
            height=artifact.height,
            model=artifact.model,
            model_hash=artifact.model_hash,
            facts=artifact.facts,
            verdicts=verdicts,
            seconds=seconds,
        )

    # ------------------------------------------------------------------ keeping

    async def _filed(self, attempts: Sequence[Attempt], usable: Mapping[int, Artifact]) -> Delivery:
        """Each stored for itself: one that cannot be costs none of the others. Nothing stays of what is not listed."""
        filed: dict[str, tuple[Item, Media]] = {}
        outcomes: list[Outcome] = []
        try:
            for attempt in attempts:
                raw = usable[attempt.picture + 1].media
                try:
                    item, media = await self.bench.kept(self.job, self.job.recipe, attempt, raw)
                except (StorageError, BadPicture) as error:
                    self.notes.append(f"Output {attempt.picture + 1} could not be kept: {_sentence(error)}")
                    continue
                filed[item.id] = (item, media)
                outcomes.append(_outcome(attempt))
        except BaseException:
            await self._let_go(attempts)
            raise
        if not filed:
            await self._let_go(attempts)
            raise StorageError(" ".join(self.notes))
        return Delivery(outcomes=tuple(outcomes), filed=filed, notes=tuple(self.notes))

    async def _let_go(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            for key in (attempt.key, poster_key(attempt.key)):
                with suppress(StorageError):
                    await self.bench.store.delete(key)

    def _tell(self, step: RenderStep) -> None:
        share = step.step / max(step.steps, 1)
        progress = Progress(
            fraction=min(share, 1.0) * 0.98,
            message=step.message or f"step {step.step} of {step.steps}",
            step=step.step,
            steps=step.steps,
            node=step.node,
            ahead=step.ahead,
        )
        self.report(progress, step.preview if self.bench.panel.gate is None else None)


def ready(artifact: Artifact) -> Artifact:
    """The output as it is kept: still pictures as PNG, what moves as MP4, the rest untouched.

    What it is, its content says where that is known. Raises RenderFailed for a damaged picture or video.
    """
    content = artifact.media.data
    if not content:
        raise RenderFailed("it is empty.")
    moving = video.sniff_video(content)
    told = moving or sniff(content) or sniff_sound(content) or plain(artifact.media.media_type)
    try:
        if moving or told == MP4:
            return _as_video(artifact, told)
        if told in PICTURES or told == GIF:
            return _as_picture(artifact, told)
    except BadPicture as error:
        raise RenderFailed(f"it is damaged: {error}.") from error
    facts = artifact.facts | ({TEXT_FACT: _beginning(content)} if told.startswith("text/") else {})
    return _with(artifact, Media(data=content, media_type=told), (0, 0), facts)


def _as_video(artifact: Artifact, told: str) -> Artifact:
    try:
        finished = Film().finish(artifact)
    except ExtraMissing as error:  # it plays all the same
        return _noted(
            _with(artifact, Media(data=artifact.media.data, media_type=told), (0, 0), artifact.facts), str(error)
        )
    return finished if told == MP4 else _noted(finished, f"It was {told}, and is kept as MP4.")


def _as_picture(artifact: Artifact, told: str) -> Artifact:
    content = artifact.media.data
    if told == GIF:  # one that does not move
        try:
            with with_pyav("Reading a GIF"):
                content = video.frame(content, 0)
        except (BadVideo, IndexError) as error:
            raise BadPicture(str(error)) from error
    image = decode(content)
    if told != PNG:
        content = encode_png(image)
    png = _with(artifact, Media(data=content, media_type=PNG), image.size, artifact.facts)
    return png if told == PNG else _noted(png, f"It was {told}, and is kept as PNG.")


def _with(artifact: Artifact, media: Media, size: tuple[int, int], facts: Mapping[str, object]) -> Artifact:
    return replace(artifact, media=media, width=size[0], height=size[1], facts=dict(facts))


def _noted(artifact: Artifact, note: str) -> Artifact:
    notes = [*(artifact.facts.get("notes") or ()), note]
    return replace(artifact, facts=artifact.facts | {"notes": notes})


def _sentence(error: Exception) -> str:
    return f"{str(error).rstrip('.')}."


def _beginning(content: bytes) -> str:
    """The first characters of a text, without what JSON or a database cannot hold."""
    return content[: 4 * MOST_TEXT].decode("utf-8", "replace").replace("\0", "")[:MOST_TEXT]


def _outcome(attempt: Attempt) -> Outcome:
    return Outcome(attempts=(attempt,), best=attempt.number, accepted=attempt.passed)
