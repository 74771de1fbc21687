"""Are there as many people as were asked for, and are their bodies whole? A YOLO pose model finds them.

Synchronous: a caller with an event loop puts these calls on a thread. The libraries load with the first picture,
without a question to the network, a file in the user's home or a word on stdout.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from math import prod
from pathlib import Path
from pickle import UnpicklingError
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from utils.body_plausibility import Box, Fault, Joint, Person, body_faults, clarity, counted
from utils.hub import local_files_without_hub
from utils.images import sha256
from utils.opening import as_picture, opened
from utils.reading.people import Framing, PeopleAsked, number_word
from utils.torch_threads import threads_for
from utils.validation import JudgesMissing, WeightsUnavailable

if TYPE_CHECKING:
    from PIL.Image import Image

    from utils.opening import Picture


DEFAULT_MODEL = "Ultralytics/YOLOv8/yolov8n-pose.pt"
KNOWN_FILES = {"demo-pose.pt": "46df7a1918d7b90a501c7d50d02f094c2a7b47330e549502ae2684b1d81272bf"}
"""SHA-256 of weights that are shipped, by file name: such a file is opened only with this content."""
ASK_AGAIN_SECONDS = 60.0
"""Weights that could not be had are not asked for again sooner: a download that fails takes seconds."""
REMEMBERED_PICTURES = 64
"""Detections kept: several judges ask for the same picture."""
PICTURES_AT_ONCE = 16
"""Pictures in one forward: more is no faster on a CPU."""

GLIMPSE = 0.15
"""Box confidence from which a detection is kept at all."""
COUNTED = 0.4
"""Box confidence from which a person counts."""
SURE = 0.6
"""Box confidence from which a person is there beyond doubt."""
LEAST_AREA = 0.02
"""Share of the picture below which a person is background."""
OVERLAP = 0.85
"""Overlap of boxes above which the library keeps one of them; whether others are one person is seen from the joints."""
_QUIET = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",
}
"""Read by ultralytics when it is imported: no network, no pip, no output, and checkpoints only of known classes."""


@dataclass(frozen=True, kw_only=True)
class PoseResult:
    """What was found. `passed` None: nobody was found, and that settles nothing."""

    passed: bool | None
    people: int
    expected: str | None
    """Such as "exactly two people"; None when no number was expected."""
    score: float | None
    """The share of people without a fault, times how near their number is to the expected one; None with `passed`."""
    faults: tuple[Fault, ...]
    persons: tuple[Person, ...]
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def validate_pose(
    image: Picture,
    expected_people: int | PeopleAsked | None = None,
    *,
    framing: Framing | None = None,
    stylised: bool = False,
    detector: PoseDetector | None = None,
) -> PoseResult:
    """Find the people in a picture, hold their number against the expected one and look at their bodies.

    `framing` "full body" makes a body that the frame cuts off a fault, "close-up" lets it cut a head off. `stylised`:
    the picture is no photograph, so that nobody found says nothing. `detector` None: YOLOv8n-pose, one for the whole
    process. Raises JudgesMissing, WeightsUnavailable, ValueError for bytes that are no picture and for less than no
    people, and TypeError for anything but a picture or a whole number.
    """
    asked = _asked(expected_people)
    (seen,) = (detector or shared_detector()).detect([image])
    number, bodies = count_check(seen, asked, stylised=stylised), body_check(seen, framing)
    told = [check for check in (number, bodies) if check.passed is not None]
    open_ = number.passed is None or (asked is None and not seen.persons)
    faults = (*number.faults, *bodies.faults)
    return PoseResult(
        passed=None if open_ else all(check.passed for check in told),
        people=len(seen.persons),
        expected=asked.meaning if asked else None,
        score=None if open_ else prod(check.score or 0.0 for check in told),
        faults=faults,
        persons=seen.persons,
        reason="; ".join(dict.fromkeys(fault.text for fault in faults)) or number.reason,
    )


@dataclass(frozen=True)
class Seen:
    """A picture's people, each once, the surest first; `merged`: bodies that share a torso; `aspect`: width by height.

    Those too unsure or too small to count are among `found`.
    """

    found: tuple[Person, ...]
    merged: tuple[Fault, ...] = ()
    aspect: float = 1.0

    @property
    def persons(self) -> tuple[Person, ...]:
        """Those who count."""
        return tuple(one for one in self.found if one.confidence >= COUNTED and one.box.area >= LEAST_AREA)

    def number(self, least: float) -> int:
        """How many of more than a speck's size are found with at least this confidence."""
        return sum(one.confidence >= least and one.box.area >= LEAST_AREA for one in self.found)


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one look at the people says. `passed` None: that cannot be said; `score` from 0 to 1."""

    passed: bool | None
    score: float | None
    reason: str
    faults: tuple[Fault, ...] = ()
    certain: bool = False
    """Of a wrong number: whether it stays wrong however the doubtful detections are counted."""


def count_check(seen: Seen, asked: PeopleAsked | None, *, stylised: bool = False) -> Check:
    """The number of people against the number asked for; a pass when none was."""
    people = len(seen.persons)
    if asked is None:
        return Check(passed=True, score=1.0, reason=_found(people))
    if asked.allows(people):
        return Check(passed=True, score=1.0, reason=f"{_found(people)}, as the prompt asks")
    wish = f"the prompt asks for {asked.meaning}"
    if people == 0 and stylised:
        reason = f"{_found(0)} where {wish}, but in a picture that is no photograph that says nothing"
        return Check(passed=None, score=None, reason=reason)
    few = people < asked.least
    nearest = asked.least if few else asked.most or 0
    certain = 0 < seen.number(SURE) == seen.number(GLIMPSE) if few else seen.number(SURE) > nearest
    text = f"{_found(people)}, but {wish}"
    score = min(people, nearest) / max(people, nearest)
    return Check(passed=False, score=score, reason=text, faults=(Fault("count", text),), certain=certain)


def body_check(seen: Seen, framing: Framing | None = None) -> Check:
    """The bodies of those who count; open when nobody does. The score is the share of people without a fault."""
    persons = seen.persons
    if not persons:
        return Check(passed=None, score=None, reason=_found(0))
    faults = (*seen.merged, *body_faults(persons, seen.aspect, framing))
    score = max(0.0, 1.0 - len(faults) / len(persons))
    reason = "; ".join(dict.fromkeys(fault.text for fault in faults)) or f"{_found(len(persons))}, nothing is amiss"
    return Check(passed=not faults, score=score, faults=faults, reason=reason)


def mean_clarity(persons: Sequence[Person]) -> float:
    """How clearly the joints of these people are seen, 0 to 1; 0 without people."""
    return sum(clarity(person) for person in persons) / len(persons) if persons else 0.0


@cache
def shared_detector(model: str = DEFAULT_MODEL) -> PoseDetector:
    """The process's one detector with these weights."""
    return PoseDetector(model)


class PoseDetector:
    """A YOLO pose model that loads with its first use, once, and takes part in one call at a time.

    `model` is repository/file on the Hugging Face Hub or a .pt file on this machine; its checkpoint may hold classes of
    ultralytics and torch alone. `draws`: it was trained on drawings, so that it finds people in them too. `device`
    None: CUDA, then Apple's, then the CPU.
    """

    def __init__(self, model: str | Path = DEFAULT_MODEL, *, draws: bool = False, device: str | None = None) -> None:
        self.model = str(model)
        self.draws = draws
        self._device = device
        self._network: _Network | None = None
        self._unavailable: WeightsUnavailable | None = None
        self._asked = 0.0
        self._remembered: OrderedDict[str, Seen] = OrderedDict()
        self._lock = RLock()

    @property
    def loaded(self) -> bool:
        return self._network is not None

    def detect(self, images: Sequence[Picture]) -> list[Seen]:
        """The people of each picture, all looked at together; those given as bytes are remembered for the next call.

        Raises JudgesMissing, WeightsUnavailable, ValueError for bytes that are no picture, and TypeError (as_picture).
        """
        given = [as_picture(image) for image in images]
        keys = [sha256(image) if isinstance(image, bytes) else None for image in given]
        with self._lock:
            seen = [self._remembered.get(key) if key else None for key in keys]
            fresh = [place for place, known in enumerate(seen) if known is None]
            pictures = [opened(given[place]) for place in fresh]
            found = self._ready().people(pictures) if pictures else []
            for place, people in zip(fresh, found, strict=True):
                seen[place] = people
            self._remember(keys, seen)
            return [people for people in seen if people is not None]

    def unload(self) -> None:
        """Free the memory; the next picture loads again."""
        with self._lock:
            network, self._network = self._network, None
            self._remembered.clear()
            if network is not None:
                network.free()

    def _remember(self, keys: Sequence[str | None], seen: Sequence[Seen | None]) -> None:
        for key, people in zip(keys, seen, strict=True):
            if key and people:
                self._remembered[key] = people
                self._remembered.move_to_end(key)
        while len(self._remembered) > REMEMBERED_PICTURES:
            self._remembered.popitem(last=False)

    def _ready(self) -> _Network:
        if self._unavailable is not None and monotonic() - self._asked < ASK_AGAIN_SECONDS:
            raise self._unavailable
        if self._network is None:
            try:
                self._network = _Network(self.model, self._device)
            except WeightsUnavailable as error:
                self._unavailable, self._asked = error, monotonic()
                raise
        return self._network


class _Network:
    """A loaded pose model."""

    def __init__(self, model: str, device: str | None) -> None:
        yolo = _yolo()
        import torch

        self._torch: Any = torch
        self._device: Any = torch.device(device or _best_device(torch))
        with _weights_problems(model):
            path = _found_file(model)
            _check_content(path)
            with _plainly_named(path) as plain:
                self._model: Any = yolo(plain, task="pose")
            if self._model.task != "pose" or list(self._model.model.kpt_shape) != [17, 3]:
                raise ValueError("it is no pose model with the 17 joints of COCO.")
        self._parameters = sum(weight.numel() for weight in self._model.model.parameters())

    def people(self, pictures: Sequence[Image]) -> list[Seen]:
        """The people of each picture, in batches."""
        found: list[Seen] = []
        for begin in range(0, len(pictures), PICTURES_AT_ONCE):
            with threads_for(self._parameters):
                results = self._model.predict(
                    list(pictures[begin : begin + PICTURES_AT_ONCE]),
                    conf=GLIMPSE,
                    iou=OVERLAP,
                    device=self._device,
                    verbose=False,
                    save=False,
                )
            found += [_read(result) for result in results]
        used = self._model.predictor
        used.batch = used.results = used.dataset = None  # it would keep the pictures until the next call
        return found

    def free(self) -> None:
        self._model = None
        if self._device.type == "cuda":
            self._torch.cuda.empty_cache()


def _read(result: Any) -> Seen:
    """The library's answer for one picture in our words."""
    height, width = result.orig_shape
    boxes: list[list[float]] = result.boxes.xyxyn.cpu().tolist()
    sure: list[float] = result.boxes.conf.cpu().tolist()
    joints: list[list[list[float]]] = result.keypoints.data.cpu().tolist() if boxes else []
    people = [
        Person(Box(*edges), confidence, tuple(Joint(x / width, y / height, seen) for x, y, seen in points))
        for edges, confidence, points in zip(boxes, sure, joints, strict=True)
    ]
    found, merged = counted(people, width / height)
    return Seen(tuple(found), tuple(merged), width / height)


@cache
def _yolo() -> Any:
    """The class of ultralytics, imported so that it says, asks and changes nothing. Raises JudgesMissing."""
    try:
        import torch  # before ultralytics, which would set the number of its threads for the whole process
        from PIL import Image

        changed: Any = (Image, torch)
        reader, writer = Image.open, torch.save
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder, _environment(folder):
            from ultralytics.models import YOLO
    except ImportError as missing:
        raise JudgesMissing from missing
    changed[0].open, changed[1].save = reader, writer
    log = logging.getLogger("ultralytics")
    log.handlers.clear()  # they write to stdout, which may be the channel of an MCP client
    log.propagate = True
    return YOLO


@contextmanager
def _environment(folder: str) -> Generator[None]:
    """The settings that ultralytics reads when it is imported; what the caller has set of them stays."""
    before = dict(os.environ)
    os.environ.update({name: value for name, value in _QUIET.items()} | {"YOLO_CONFIG_DIR": folder})
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _found_file(model: str) -> Path:
    """The weights on this machine; from the Hub when the name is repository/file. Raises OSError, ValueError."""
    path = Path(model).expanduser()
    if path.suffix != ".pt":
        raise ValueError("it is not the name of a .pt file.")
    if path.is_file():
        return path
    named = re.fullmatch(r"([\w.-]+/[\w.-]+)/([\w./-]+)", model)
    if named is None or model.startswith((".", "/")):
        raise FileNotFoundError("there is no such file.")
    import huggingface_hub

    hub: Any = huggingface_hub
    with local_files_without_hub():
        return Path(hub.hf_hub_download(named[1], named[2]))


def _check_content(path: Path) -> None:
    """Weights are a pickle: what we ship is opened only as we made it."""
    known = KNOWN_FILES.get(path.name)
    if known is not None and sha256(path.read_bytes()) != known:
        raise ValueError("its content is not that of the file that is shipped; install the package again.")


@contextmanager
def _plainly_named(path: Path) -> Generator[str]:
    """The path of the file, or of a link to it: ultralytics takes quotes out of paths and then finds nothing."""
    if "'" not in str(path):
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        link = Path(folder) / path.name.replace("'", "")
        link.symlink_to(path.absolute())
        yield str(link)


@contextmanager
def _weights_problems(model: str) -> Generator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError, UnpicklingError) as error:
        raise WeightsUnavailable(
            f"The pose weights {model!r} cannot be loaded: {_first_line(error)} They are fetched from the Hugging Face "
            "Hub once; connect for the first use, or set ATELIER_POSE_MODEL to repository/file.pt on the Hub or to a "
            ".pt file of an ultralytics pose model on this machine."
        ) from error


def _first_line(error: BaseException) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return text if text.endswith(".") else f"{text}."


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _asked(expected: object) -> PeopleAsked | None:
    if expected is None or isinstance(expected, PeopleAsked):
        return expected
    if isinstance(expected, bool) or not isinstance(expected, int):
        raise TypeError(f"expected_people is {expected!r}; give a whole number of people, a PeopleAsked or None.")
    if expected < 0:
        raise ValueError(f"expected_people is {expected}; a number of people is 0 or more.")
    return PeopleAsked(least=expected, most=expected, words=str(expected))


def _found(people: int) -> str:
    return "One person found" if people == 1 else f"{number_word(people).capitalize()} people found"
