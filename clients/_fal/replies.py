"""What FAL's results and errors mean, in our words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from workflows.errors import (
    AccessDenied,
    ModelMissing,
    RateLimited,
    Refused,
    RenderFailed,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
    StudioError,
    nearest,
)
from workflows.types import MAX_SEED

SETTING = "FAL_KEY"
BILLING = "fal.ai/dashboard/billing"
POLICY = "content_policy_violation"
NSFW = "FAL's safety checker held the picture back; nothing of it was kept. Ask for something else."
BALANCE = ("balance", "locked", "top up", "payment")
_STEP = re.compile(r"(?<![\d.])(\d{1,4})\s*/\s*(\d{1,4})(?![\d.])")
ARGUMENTS: Mapping[str, str] = {
    "image_size": "width and height",
    "num_inference_steps": "steps",
    "guidance_scale": "cfg",
    "negative_prompt": "negative_prompt",
    "strength": "denoise",
    "image_url": "input_image",
    "image_urls": "input_image",
    "mask_url": "mask_image",
    "num_frames": "frames",
    "frames_per_second": "fps",
}
"""What an endpoint's inputs are called by those who ask us."""
TIMEOUTS = frozenset({"request_timeout", "startup_timeout", "generation_timeout", "runner_connection_timeout"})


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a result says was made: where it lies, and its seed."""

    urls: tuple[str, ...]
    seed: int | None
    video: bool


class Unreadable(ValueError):
    """A result that is none."""


def made_in(result: object) -> Made:
    """The pictures or the video of a result. Raises Refused when the safety checker held them back, Unreadable."""
    if not isinstance(result, Mapping):
        raise Unreadable("the result is no object")
    found = cast("Mapping[str, Any]", result)
    flags = found.get("has_nsfw_concepts")
    if isinstance(flags, Sequence) and flags and all(flag is True for flag in cast("Sequence[Any]", flags)):
        raise Refused(NSFW)
    barred = list(cast("Sequence[Any]", flags)) if isinstance(flags, Sequence) else []
    seed = found.get("seed")
    whole = seed if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= MAX_SEED else None
    if isinstance(found.get("video"), Mapping):
        return Made(urls=(_url(found["video"]),), seed=whole, video=True)
    listed = found.get("images", [found["image"]] if "image" in found else None)
    if not isinstance(listed, list) or not listed:
        raise Unreadable(f"it holds no pictures, but {', '.join(map(str, found)) or 'nothing'}")
    pictures = cast("list[Any]", listed)
    kept = [one for place, one in enumerate(pictures) if not (place < len(barred) and barred[place] is True)]
    return Made(urls=tuple(map(_url, kept)), seed=whole, video=False)


def _url(file: object) -> str:
    url = cast("Mapping[str, Any]", file).get("url") if isinstance(file, Mapping) else file
    if not isinstance(url, str) or not url:
        raise Unreadable("a file of it has no url")
    return url


def step_in(logs: Sequence[Mapping[str, Any]] | None) -> tuple[float | None, str]:
    """How far a render is by its last logs (0 to 1, None: they do not say), and their last line."""
    lines = [str(one.get("message", "")).strip() for one in logs or ()]
    lines = [line for line in lines if line]
    for line in reversed(lines):
        done = _STEP.findall(line)
        if done and int(done[-1][1]) > 0 and int(done[-1][0]) <= int(done[-1][1]):
            return int(done[-1][0]) / int(done[-1][1]), lines[-1][-200:]
    return None, lines[-1][-200:] if lines else ""


def error_of(
    status: int, detail: object, kind: str, headers: Mapping[str, str], model: str, known: Sequence[str]
) -> StudioError:
    """FAL's answer to a request as an error of ours. `kind`: its error_type."""
    faults = _faults(detail)
    said = _said(detail, faults)
    if any(fault.get("type") == POLICY for fault in faults) or kind == POLICY:
        return Refused("FAL's content rules say no to this request. Ask for something else.")
    if status == 402 or (status == 403 and any(word in said.lower() for word in BALANCE)):
        return AccessDenied(f"FAL does not draw on this account ({said}). Top it up at {BILLING}.", SETTING)
    if status in {401, 403}:
        return AccessDenied(f"FAL does not take the key ({said}). Set {SETTING} to one that works.", SETTING)
    if status == 404:
        near = nearest(model, known)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        return ModelMissing(f"FAL has no model {model!r} ({said}).{hint} Its models: fal.ai/models", known)
    if status == 429:
        return limited(headers, said)
    if kind in TIMEOUTS or status in {408, 504}:
        return ServiceTimedOut(f"FAL did not finish {model} in time ({said or kind}). Try again later.")
    if status in {400, 413, 422}:
        return RenderFailed(f"FAL's {model} does not take this: {_named(faults) or said}.")
    if status >= 500:
        return ServiceFailed(f"FAL answered {status} for {model}: {said or 'nothing more'}. Try again later.")
    return ServiceUnavailable(f"FAL answered {status} for {model}: {said or 'nothing more'}.")


def limited(headers: Mapping[str, str], said: str = "") -> RateLimited:
    """That FAL wants fewer requests, and when it may be asked again as far as it says so."""
    written = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    wait = float(written) if re.fullmatch(r"\d+(\.\d+)?", written) else None
    when = f"in {wait:g} s" if wait is not None else "later"
    why = f" ({said})" if said else ""
    return RateLimited(f"FAL wants fewer requests{why}. Try again {when}.", retry_after=wait)


def _faults(detail: object) -> list[Mapping[str, Any]]:
    rows = cast("list[Any]", detail) if isinstance(detail, list) else []
    return [cast("Mapping[str, Any]", row) for row in rows if isinstance(row, Mapping)]


def _said(detail: object, faults: Sequence[Mapping[str, Any]]) -> str:
    text = "; ".join(str(fault.get("msg", "")) for fault in faults) if faults else str(detail or "")
    return " ".join(text.split())[:200].rstrip(". ")


def _named(faults: Sequence[Mapping[str, Any]]) -> str:
    """Each fault with the argument that it is about."""
    parts: list[str] = []
    for fault in faults[:4]:
        where = [str(part) for part in cast("Sequence[Any]", fault.get("loc") or ()) if part != "body"]
        name = ARGUMENTS.get(where[0], where[0]) if where else ""
        text = " ".join(str(fault.get("msg", "")).split())[:200].rstrip(". ")
        parts.append(f"{name}: {text}" if name else text)
    return "; ".join(part for part in parts if part)
