"""People and their bodies: the demo pose model on drawn figures, and the geometry on joints set by hand."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from PIL import Image, ImageDraw

import clients
from tests.figures import Pictogram, group, picture, png
from utils.body_plausibility import Box, Joint, Person, body_faults, counted
from utils.images import BadPicture
from utils.people_words import Framing, PeopleAsked
from utils.pose_validation import (
    KNOWN_FILES,
    Check,
    PoseDetector,
    PoseResult,
    Seen,
    body_check,
    count_check,
    validate_pose,
)
from utils.validation import JudgesMissing, WeightsUnavailable

ROOT = Path(clients.__file__).parents[1]
DEMO = ROOT / "clients" / "demo" / "pose" / "demo-pose.pt"
TWO = PeopleAsked(least=2, most=2, words="two men")

SPOTS = {
    0: (0.5, 0.2), 1: (0.52, 0.18), 2: (0.48, 0.18), 3: (0.55, 0.2), 4: (0.45, 0.2), 5: (0.58, 0.32), 6: (0.42, 0.32),
    7: (0.62, 0.43), 8: (0.38, 0.43), 9: (0.65, 0.53), 10: (0.35, 0.53), 11: (0.55, 0.55), 12: (0.45, 0.55),
    13: (0.56, 0.7), 14: (0.44, 0.7), 15: (0.57, 0.86), 16: (0.43, 0.86),
}  # fmt: skip
"""Someone who stands before us in a square picture."""


def standing(*gone: int, confidence: float = 0.9, shift: float = 0.0, down: float = 0.0, size: float = 1.0) -> Person:
    """That person moved and sized, without some joints."""
    joints = tuple(
        Joint(0.5 + (x - 0.5) * size + shift, 0.1 + (y - 0.1) * size + down, 0.05 if place in gone else 0.95)
        for place, (x, y) in sorted(SPOTS.items())
    )
    box = Box(0.5 - 0.18 * size + shift, 0.1 + down, 0.5 + 0.18 * size + shift, 0.1 + 0.8 * size + down)
    clipped = Box(max(0.0, box.left), max(0.0, box.top), min(1.0, box.right), min(1.0, box.bottom))
    return Person(clipped, confidence, joints)


def put(person: Person, **joints: tuple[float, float]) -> Person:
    """The person with joints, named j0 to j16, elsewhere."""
    changed = list(person.joints)
    for name, (x, y) in joints.items():
        changed[int(name[1:])] = Joint(x, y, 0.95)
    return replace(person, joints=tuple(changed))


def kinds(*people: Person, framing: Framing | None = None) -> list[str]:
    return [f"{fault.kind}: {fault.text}" for fault in body_faults(people, 1.0, framing)]


@pytest.fixture(scope="module")
def detector() -> Iterator[PoseDetector]:
    shared = PoseDetector(DEMO, draws=True)
    yield shared
    shared.unload()


def star() -> Image.Image:
    image = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(image).regular_polygon((64, 64, 50), 5, fill="blue")
    return image


def cross() -> Image.Image:
    image = Image.new("RGB", (128, 128), "white")
    for box in ((50, 20, 78, 108), (20, 50, 108, 78)):
        ImageDraw.Draw(image).rectangle(box, fill="green")
    return image


@pytest.mark.models
@pytest.mark.parametrize(("people", "arms"), [(1, "down"), (1, "up"), (1, "out"), (2, "down"), (2, "up"), (3, "down")])
def test_whole_people_in_the_right_number_pass(people: int, arms: str, detector: PoseDetector) -> None:
    result = validate_pose(group(people, arms=arms), people, detector=detector)
    assert (result.passed, result.people, result.score, result.faults) == (True, people, 1.0, ())
    assert [len(person.joints) for person in result.persons] == [17] * people


@pytest.mark.models
def test_one_too_many_fails_and_says_so(detector: PoseDetector) -> None:
    result = validate_pose(group(2), 1, detector=detector)
    assert (result.passed, result.people, result.score) == (False, 2, 0.5)
    assert result.reason == "Two people found, but the prompt asks for exactly one person"
    assert [fault.kind for fault in result.faults] == ["count"]


@pytest.mark.models
@pytest.mark.parametrize("arms", ["down", "up", "out"])
@pytest.mark.parametrize("part", ["left arm", "right arm", "left leg", "right leg"])
def test_a_missing_limb_is_named_with_the_place_to_paint_it(part: str, arms: str, detector: PoseDetector) -> None:
    result = validate_pose(picture(Pictogram(arms=arms, without=(part,))), 1, detector=detector)
    assert (result.passed, result.reason) == (False, f"A person's {part} is missing")
    (fault,) = result.faults
    assert fault.region is not None
    left = part.startswith("left")  # the person's own left is on the right of the picture
    assert (fault.region.left + fault.region.right > 1.0) == left


@pytest.mark.models
@pytest.mark.parametrize("arms", ["down", "up", "out"])
def test_a_body_without_a_head_fails(arms: str, detector: PoseDetector) -> None:
    result = validate_pose(picture(Pictogram(arms=arms, without=("head",))), 1, detector=detector)
    assert (result.passed, result.reason) == (False, "A person has no head")


@pytest.mark.models
@pytest.mark.parametrize("image", [star(), cross()], ids=["star", "cross"])
def test_things_are_no_people(image: Image.Image, detector: PoseDetector) -> None:
    assert validate_pose(image, 0, detector=detector).passed is True
    assert validate_pose(image, 1, detector=detector).passed is False
    open_ = validate_pose(image, 1, stylised=True, detector=detector)
    assert (open_.passed, open_.score, open_.people) == (None, None, 0)
    assert validate_pose(image, detector=detector).passed is None


@pytest.mark.models
def test_legs_beyond_the_edge_are_a_fault_only_where_the_full_body_is_asked_for(detector: PoseDetector) -> None:
    cut = picture(Pictogram(top=0.3, height=0.9))
    assert validate_pose(cut, 1, detector=detector).passed is True
    full = validate_pose(cut, 1, framing="full body", detector=detector)
    assert (full.passed, [fault.kind for fault in full.faults]) == (False, ["cut off"])


@pytest.mark.models
@pytest.mark.parametrize("height", [1.5, 1.8])
def test_a_close_up_is_no_fault(height: float, detector: PoseDetector) -> None:
    close = picture(Pictogram(top=0.05, height=height, arms="down"))
    assert validate_pose(close, 1, detector=detector).passed is True


@pytest.mark.models
def test_half_a_body_at_the_side_is_no_fault(detector: PoseDetector) -> None:
    assert validate_pose(picture(Pictogram(x=0.98)), 1, detector=detector).passed is True


@pytest.mark.models
def test_a_head_beyond_the_edge_is_a_fault_except_in_a_close_up(detector: PoseDetector) -> None:
    headless = picture(Pictogram(top=-0.17, height=0.9))
    result = validate_pose(headless, 1, detector=detector)
    assert (result.passed, result.reason) == (False, "A head is cut off at the upper edge")
    assert validate_pose(headless, 1, framing="close-up", detector=detector).passed is True


@pytest.mark.models
def test_a_path_bytes_and_a_picture_give_the_same(detector: PoseDetector, tmp_path: Path) -> None:
    image = group(1)
    path = tmp_path / "one.png"
    path.write_bytes(png(image))
    results = [validate_pose(given, 1, detector=detector) for given in (image, path, str(path), png(image))]
    assert results == [results[0]] * 4


@pytest.mark.models
def test_pictures_seen_lately_are_not_looked_at_again(detector: PoseDetector) -> None:
    one, two = png(group(1)), png(group(2))
    first = detector.detect([one, two, one])
    again = detector.detect([two, one])
    assert [len(seen.persons) for seen in first] == [1, 2, 1]
    assert first[0] is first[2] is again[1] and again[0] is first[1]


@pytest.mark.models
def test_a_batch_of_unlike_sizes_gives_shares_of_each(detector: PoseDetector) -> None:
    large = picture(Pictogram(), size=(512, 512))
    seen = detector.detect([picture(Pictogram()), large, picture(Pictogram(x=0.5), size=(256, 128))])
    assert [len(one.persons) for one in seen] == [1, 1, 1]
    assert seen[1].persons[0].box.left == pytest.approx(seen[0].persons[0].box.left, abs=0.05)  # pyright: ignore
    assert [one.aspect for one in seen] == [1.0, 1.0, 2.0]
    assert detector.detect([]) == []


@pytest.mark.models
def test_many_threads_load_it_once_and_agree(detector: PoseDetector) -> None:
    detector.unload()
    assert not detector.loaded
    image = png(group(2))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detector.detect, [[image]] * 8))
    assert detector.loaded and all(one == found[0] for one in found)


def test_what_is_no_picture_or_no_number_is_refused() -> None:
    with pytest.raises(BadPicture):
        PoseDetector(DEMO).detect([b"no picture"])
    with pytest.raises(ValueError, match="expected_people is -1"):
        validate_pose(group(1), -1)


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("weights.pt", None, "there is no such file"),
        ("weights.onnx", b"", "not the name of a .pt file"),
        ("weights.pt", b"no weights", "cannot be loaded"),
        ("demo-pose.pt", b"not what was shipped", "not that of the file that is shipped"),
    ],
)
def test_weights_that_cannot_be_had_say_what_to_do(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    detector = PoseDetector(tmp_path / name)
    with pytest.raises(WeightsUnavailable, match=words) as first:
        validate_pose(group(1), detector=detector)
    assert "set ATELIER_POSE_MODEL" in str(first.value)
    with pytest.raises(WeightsUnavailable) as second:
        validate_pose(group(1), detector=detector)
    assert second.value is first.value  # not asked for again so soon


@pytest.mark.models
def test_a_checkpoint_with_foreign_classes_is_not_opened(tmp_path: Path) -> None:
    import torch

    told = tmp_path / "told"
    torch.save({"model": Harmful(str(told))}, tmp_path / "harmful.pt")
    with pytest.raises(WeightsUnavailable):
        validate_pose(group(1), detector=PoseDetector(tmp_path / "harmful.pt"))
    assert not told.exists()


class Harmful:
    """What a pickle may do when it is opened."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({self.path!r}, 'w').close()",)


@pytest.mark.models
def test_a_path_with_a_quote_is_found(tmp_path: Path) -> None:
    (tmp_path / "it's").mkdir()
    path = tmp_path / "it's" / DEMO.name
    path.write_bytes(DEMO.read_bytes())
    assert validate_pose(group(1), 1, detector=PoseDetector(path)).passed is True


def test_the_shipped_weights_are_those_that_are_known() -> None:
    assert hashlib.sha256(DEMO.read_bytes()).hexdigest() == KNOWN_FILES[DEMO.name]


def test_missing_packages_name_the_extra() -> None:
    program = (
        "import sys; sys.modules['ultralytics'] = None\n"
        "from utils.pose_validation import validate_pose, JudgesMissing\n"
        "from PIL import Image\n"
        "try: validate_pose(Image.new('RGB', (8, 8)))\n"
        "except JudgesMissing as missing: sys.stdout.write(str(missing))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == str(JudgesMissing())


WATCHED = """
import os, sys
asked, written = [], []
def watch(event, values):
    if event.startswith("socket."):
        asked.append(event)
    if event == "open" and isinstance(values[1], str) and set(values[1]) & set("wax+"):
        written.append(str(values[0]))
    if event in ("os.mkdir", "os.rename", "shutil.copyfile"):
        written.append(str(values[0]))
sys.addaudithook(watch)
before = dict(os.environ)
from PIL import Image
from utils.pose_validation import PoseDetector, validate_pose
opened = Image.open
result = validate_pose(Image.new("RGB", (64, 64)), 1, detector=PoseDetector(sys.argv[1]))
changed = {name for name, value in os.environ.items() if before.get(name) != value}
import json
told = dict(asked=asked, written=written, changed=sorted(changed), people=result.people, same=Image.open is opened)
sys.stderr.write("TOLD" + json.dumps(told))
"""


@pytest.mark.models
def test_it_asks_nobody_says_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Not a socket, not a word on stdout, nothing written but temporary files, no thread count for the process."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO_", "PYTEST_", "OMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(DEMO)],
        cwd=ROOT,
        env=kept | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stderr.partition("TOLD")[2])
    assert done.stdout == ""
    assert (told["asked"], told["people"], told["same"]) == ([], 0, True)
    assert not {"OMP_NUM_THREADS", "YOLO_CONFIG_DIR", "YOLO_OFFLINE"} & set(told["changed"])
    assert list(home.rglob("*")) == []
    assert [path for path in told["written"] if "/torchinductor_" not in path and "/atelier-" not in path] == []


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as a download of one file needs."""

    content = b""
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()
        self.wfile.write(self.content)

    def answer(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        self.send_response(200)
        for name, value in (
            ("Content-Length", str(len(self.content))),
            ("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"'),
            ("X-Repo-Commit", "0" * 40),
        ):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


FETCHED = """
import sys
from PIL import Image
from utils.pose_validation import PoseDetector
seen = PoseDetector("someone/poses/nano/own-pose.pt", draws=True).detect([sys.argv[1]])
sys.stdout.write(str(len(seen[0].persons)))
"""


@pytest.mark.models
def test_weights_are_fetched_from_the_hub_once_and_then_found_without_it(tmp_path: Path) -> None:
    Hub.content, Hub.asked = DEMO.read_bytes(), []
    (tmp_path / "two.png").write_bytes(png(group(2)))
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()} | {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(tmp_path / "hub"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }
        run = [sys.executable, "-c", FETCHED, str(tmp_path / "two.png")]
        first = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        server.shutdown()
    assert (first.stdout, first.returncode) == ("2", 0), first.stderr[-2000:]
    assert "GET /someone/poses/resolve/main/nano/own-pose.pt" in Hub.asked
    again = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (again.stdout, again.returncode) == ("2", 0), again.stderr[-2000:]


def test_one_person_in_two_boxes_is_counted_once() -> None:
    whole = standing()
    half = replace(whole, box=Box(0.32, 0.1, 0.68, 0.58), confidence=0.6)
    assert counted([half, whole], 1.0) == ([whole], [])


def test_boxes_whose_joints_say_nothing_are_one_person_where_they_lie_on_each_other() -> None:
    blurred = standing(*range(17))
    again, beside = replace(blurred, confidence=0.5), standing(*range(17), shift=0.15, confidence=0.6)
    assert counted([blurred, again, beside], 1.0) == ([blurred, beside], [])


def test_two_people_close_together_are_two() -> None:
    people = [standing(), standing(shift=0.12, confidence=0.8)]
    assert counted(people, 1.0) == (people, [])


def test_two_skeletons_on_one_torso_are_one_body_with_a_fault() -> None:
    other = put(replace(standing(), confidence=0.7), j0=(0.7, 0.6), j1=(0.72, 0.6), j9=(0.2, 0.2), j10=(0.8, 0.9))
    people, faults = counted([standing(), other], 1.0)
    assert len(people) == 1
    assert [fault.kind for fault in faults] == ["merged bodies"]
    assert body_check(Seen(tuple(people), tuple(faults))).passed is False


@pytest.mark.parametrize(
    ("gone", "faults"),
    [
        ((), []),
        ((9,), ["missing limb: A person's left forearm is missing"]),
        ((8, 10), ["missing limb: A person's right arm is missing"]),
        (
            (7, 8, 9, 10),
            ["missing limb: A person's left arm is missing", "missing limb: A person's right arm is missing"],
        ),
        ((15,), ["missing limb: A person's left lower leg is missing"]),
        ((14, 16), ["missing limb: A person's right leg is missing"]),
        ((15, 16), []),
        ((13, 14, 15, 16), []),
        ((0, 1, 2), []),
        ((0, 1, 2, 3, 4), ["missing head: A person has no head"]),
    ],
)
def test_what_is_missing_between_seen_joints_is_a_fault(gone: tuple[int, ...], faults: list[str]) -> None:
    """Except both lower legs: a table, water or long clothes hide them. A face may look away."""
    assert kinds(standing(*gone)) == faults


def test_a_limb_behind_another_person_is_no_fault() -> None:
    assert kinds(standing(9), standing(shift=0.2)) == []


def test_a_limb_beyond_an_edge_is_no_fault() -> None:
    assert kinds(standing(8, 10, shift=-0.33)) == []
    assert kinds(standing(7, 9, shift=-0.33)) == ["missing limb: A person's left arm is missing"]
    assert kinds(standing(13, 14, 15, 16, down=0.4)) == []


def test_a_body_from_its_side_may_hide_an_arm() -> None:
    side = {"j5": (0.51, 0.32), "j6": (0.49, 0.32), "j11": (0.51, 0.55), "j12": (0.49, 0.55)}
    assert kinds(put(standing(7, 9), **side)) == []


def test_a_limb_far_too_long_is_a_fault_and_a_short_one_is_not() -> None:
    long = put(standing(), j9=(0.72, 0.9))
    assert [text.partition(" is ")[0] for text in kinds(long)] == ["proportions: A person's left arm"]
    assert kinds(put(standing(), j9=(0.625, 0.45))) == []


def test_doubtful_detections_are_not_looked_at_for_faults() -> None:
    assert kinds(standing(9, confidence=0.45)) == []


def test_the_full_body_is_a_fault_only_where_the_frame_cuts_it() -> None:
    seated = standing(15, 16)
    assert kinds(seated, framing="full body") == []
    cut = replace(standing(15, 16, down=0.1), box=Box(0.3, 0.2, 0.7, 1.0))
    assert kinds(cut, framing="full body") == [
        "cut off: The full body is asked for, but the lower edge cuts the legs off"
    ]


SPECK = replace(standing(), box=Box(0.1, 0.1, 0.2, 0.25))
DOUBTFUL = standing(confidence=0.3, shift=0.2)


@pytest.mark.parametrize(
    ("found", "asked", "check"),
    [
        (
            (standing(), standing(shift=0.3)),
            TWO,
            Check(passed=True, score=1.0, reason="Two people found, as the prompt asks"),
        ),
        ((standing(), SPECK, DOUBTFUL), None, Check(passed=True, score=1.0, reason="One person found")),
    ],
)
def test_specks_and_doubtful_ones_do_not_count(
    found: tuple[Person, ...], asked: PeopleAsked | None, check: Check
) -> None:
    assert count_check(Seen(found), asked) == check


@pytest.mark.parametrize(
    ("found", "certain"),
    [
        ((standing(),), True),
        ((standing(), DOUBTFUL), False),
        ((standing(confidence=0.5),), False),
        ((), False),
        ((standing(), standing(shift=0.3), standing(shift=-0.3)), True),
        ((standing(), standing(shift=0.3), standing(shift=-0.3, confidence=0.5)), False),
    ],
)
def test_a_wrong_number_is_certain_only_when_no_doubtful_one_could_mend_it(
    found: tuple[Person, ...], certain: bool
) -> None:
    check = count_check(Seen(found), TWO)
    assert (check.passed, check.certain) == (False, certain)


def test_the_result_is_plain_values() -> None:
    result = PoseResult(
        passed=None, people=0, expected=None, score=None, faults=(), persons=(), reason="No people found"
    )
    assert result.as_dict() == {
        "passed": None,
        "people": 0,
        "expected": None,
        "score": None,
        "faults": (),
        "persons": (),
        "reason": "No people found",
    }
