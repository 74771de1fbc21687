"""People and their bodies in pictures: the demo pose model on drawn figures, and how its weights are had."""

from __future__ import annotations

import hashlib
import io
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
from tests.figures import Pictogram, group, picture, png, standing
from utils.body_plausibility import Box, Person
from utils.images import BadPicture
from utils.pose_validation import (
    KNOWN_FILES,
    Check,
    PoseDetector,
    PoseResult,
    Seen,
    count_check,
    validate_pose,
)
from utils.reading.people import PeopleAsked
from utils.validation import JudgesMissing, WeightsUnavailable

ROOT = Path(clients.__file__).parents[1]
DEMO = ROOT / "clients" / "demo" / "pose" / "demo-pose.pt"
TWO = PeopleAsked(least=2, most=2, words="two men")


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


@pytest.mark.parametrize("number", ["2", 2.5, True])
def test_a_number_of_people_is_a_whole_number(number: Any) -> None:
    with pytest.raises(TypeError, match=f"expected_people is {number!r}; give a whole number"):
        validate_pose(group(1), number)


@pytest.mark.parametrize("thing", [None, 3, io.BytesIO()])
def test_what_is_no_kind_of_picture_is_named_before_anything_loads(thing: Any) -> None:
    detector = PoseDetector(DEMO)
    with pytest.raises(TypeError, match=f"a Pillow image, not {type(thing).__name__}"):
        validate_pose(thing, 1, detector=detector)
    assert not detector.loaded


@pytest.mark.models
def test_bytes_may_come_in_any_of_their_kinds(detector: PoseDetector) -> None:
    whole = png(group(1))
    assert detector.detect([bytearray(whole)]) == detector.detect([memoryview(whole)]) == detector.detect([whole])


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
