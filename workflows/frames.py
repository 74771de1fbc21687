"""How many frames a video family draws: the nearest number that it allows, and the words about it."""

from __future__ import annotations

from workflows.types import FamilyProfile


def allowed_frames(profile: FamilyProfile, asked: int) -> int:
    """The number of frames nearest to `asked` that the family draws: n * frame_step + 1, at most most_frames.

    Of two equally near the larger one. A family that draws pictures has one frame.
    """
    step = profile.frame_step
    most = max(1, profile.most_frames)
    times = (max(1, asked) - 1 + step // 2) // step
    least = 0 if most < 1 + step else 1
    return 1 + step * min(max(times, least), (most - 1) // step)


def frames_note(asked: int, got: int, profile: FamilyProfile) -> str:
    """Why `got` frames are drawn where `asked` were wished for; empty where they are equal."""
    if asked == got:
        return ""
    said = f"{got} frames instead of {asked}: {profile.title} draws"
    rule = f" {profile.frame_step}n+1 frames" if profile.frame_step > 1 else ""
    if asked > profile.most_frames:
        return (
            f"{said} at most {profile.most_frames}{f' ({rule.strip()})' if rule else ''} in one go; extend_video adds."
        )
    return f"{said}{rule or ' at least 2'}."
