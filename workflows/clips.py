"""Clips: what becomes of videos on their way in and out of a job, the same for every engine.

A video that is extended reaches the engine as its last frame, and what comes back is joined to it here. The reading
and writing itself is in utils.video.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from utils import video
from utils.content_validator import embedded_texts
from utils.images import BadPicture
from utils.metadata import stripped
from utils.video import BadVideo, Clip, PyAvMissing
from workflows.errors import BadRecipe, ExtraMissing, RenderFailed
from workflows.kinds import MP4, PNG
from workflows.types import Artifact, Media, Recipe

EXTRA = "video"
LOOKED_AT = 6
"""Frames of a video that the content gate sees."""
SHARED = 1
"""Frames that an added part has in common with the video that it goes on from: the one that it was drawn from."""


@dataclass(frozen=True, kw_only=True)
class GivenClip:
    """A video that came in, as MP4, with what it says of how it was made."""

    media: Media
    clip: Clip
    texts: tuple[str, ...]


@contextmanager
def with_pyav(purpose: str) -> Generator[None]:
    """Where PyAV is not installed, say how it is. Raises ExtraMissing."""
    try:
        yield
    except PyAvMissing as error:
        raise ExtraMissing(EXTRA, purpose) from error


def opened_clip(media: Media, argument: str) -> GivenClip:
    """The video as an MP4 without metadata. Raises BadRecipe for what is none, or cannot be read; ExtraMissing."""
    kind = video.sniff_video(media.data)
    if kind is None:
        allowed = "it must be a video (MP4, WebM, animated GIF or WebP); image_to_video makes one of a picture"
        raise BadRecipe(argument, media.media_type, allowed)
    try:
        with with_pyav("Working on a video"):
            plain = video.as_mp4(media.data)
            clip = video.probe(plain)
    except BadVideo as error:
        raise BadRecipe(argument, media.media_type, f"it must be a whole video ({error})") from error
    return GivenClip(media=Media(data=_bare(plain), media_type=MP4), clip=clip, texts=embedded_texts(media.data))


def _bare(mp4: bytes) -> bytes:
    """Without what it tells of its making; where that cannot be taken out, it is as it was."""
    try:
        return stripped(mp4)
    except BadPicture:
        return mp4


def stills(media: Media, count: int = LOOKED_AT) -> list[Media]:
    """Frames of a video, GIF or WebP that moves, evenly spread; a picture is its own. Raises BadVideo, ExtraMissing."""
    if video.sniff_video(media.data) is None:
        return [media] if media.media_type == PNG else []
    with with_pyav("Looking at a video"):
        return [Media(data=frame, media_type=PNG) for frame in video.sampled(media.data, count)]


def poster_of(media: Media) -> bytes | None:
    """The first frame of a video as PNG; None of anything else, and where it cannot be had."""
    if media.media_type != MP4:
        return None
    try:
        return video.frame(media.data, 0)
    except (BadVideo, IndexError, PyAvMissing):
        return None


def sheet_of(media: Media) -> bytes | None:
    """A sheet of frames of a video, by which it is known again: its first frame may be another's, too. None as for the
    poster."""
    try:
        return video.sheet(media.data) if media.media_type == MP4 else None
    except (BadVideo, PyAvMissing):
        return None


def facts_of(clip: Clip) -> dict[str, float | int]:
    """What the gallery tells of a video: frames, frames a second, seconds."""
    return {"frames": clip.frames, "fps": round(clip.fps, 3), "seconds": round(clip.seconds, 3)}


@dataclass(frozen=True)
class Film:
    """What an engine's video becomes: an MP4 with its measures. `source`: the video that it is added to, if any."""

    source: Media | None = None

    def inputs(self) -> dict[str, Media]:
        """What the engine gets in place of a video that is extended: its last frame. Raises ExtraMissing."""
        if self.source is None:
            return {}
        try:
            with with_pyav("Extending a video"):
                return {"source": Media(data=video.frame(self.source.data, -1), media_type=PNG)}
        except (BadVideo, IndexError) as error:
            raise RenderFailed(f"The last frame of the video cannot be read: {error}.") from error

    def finish(self, artifact: Artifact) -> Artifact:
        """The whole video with its size and measures. Raises RenderFailed for what is no video."""
        try:
            with with_pyav("A video that is not MP4, or goes on from another,"):
                return self._finished(artifact)
        except (BadVideo, ValueError) as error:
            raise RenderFailed(f"The engine gave something that is no usable video: {error}.") from error
        except ExtraMissing:
            if self.source is None and artifact.media.media_type == MP4:
                return artifact  # it can be kept all the same, as the engine tells of it
            raise

    def part(self, finished: Media, drawn: Media) -> Media:
        """Of a finished video, what was drawn: the recipe's words speak of that."""
        return finished if self.source is None else drawn

    def _finished(self, artifact: Artifact) -> Artifact:
        drawn = video.as_mp4(artifact.media.data)
        added: dict[str, int] = {}
        whole = drawn
        if self.source is not None:
            whole = video.joined(self.source.data, drawn, drop=SHARED)
            before = video.probe(self.source.data).frames
            added = {"added": video.probe(whole).frames - before}
        clip = video.probe(whole)
        return replace(
            artifact,
            media=Media(data=whole, media_type=MP4),
            width=clip.width,
            height=clip.height,
            facts={**artifact.facts, **facts_of(clip), **added},
        )


def film_for(recipe: Recipe, inputs: Mapping[str, Media]) -> Film:
    """How the videos of a completed recipe are finished."""
    return Film(source=inputs["source"] if recipe.task == "extend_video" else None)


def spoken(recipe: Recipe) -> str:
    """How long a video is asked for, in words, such as "81 frames, 5.1 s"; empty where nobody said."""
    if recipe.frames is None:
        return ""
    length = f", {recipe.frames / recipe.fps:.1f} s" if recipe.fps else ""
    return f"{recipe.frames} frames{length}"


def looked_over(inputs: Mapping[str, Media]) -> Sequence[Media]:
    """What the content gate sees of what was given: pictures, and frames of videos. Masks, graphs, sounds: nothing.

    Raises BadRecipe for a video that cannot be looked at.
    """
    seen: list[Media] = []
    for role, media in inputs.items():
        if role == "mask":
            continue
        try:
            seen.extend(stills(media))
        except BadVideo as error:
            raise BadRecipe(role, media.media_type, f"it cannot be looked at ({error})") from error
    return seen
