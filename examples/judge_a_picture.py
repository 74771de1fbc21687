"""What the measures say of one picture, without a server: python examples/judge_a_picture.py [PICTURE "PROMPT"]

Only the package `utils` is used. Without arguments it draws a picture of the demo models' world, asks for one figure
too many, and judges with the models that are shipped; a picture of your own is judged by ViT-B-32 and YOLOv8n-pose,
whose weights come from the Hugging Face Hub when they are not on this machine.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image

from utils.pose_validation import PoseDetector, shared_detector, validate_pose
from utils.quality import score_image
from utils.reading.atoms import atoms_of
from utils.reading.people import framing_asked, people_asked, stylised
from utils.reading.questions import questions_of
from utils.validation import ClipScorer, JudgesMissing, WeightsUnavailable, shared_scorer, validate_image

DEMO = Path(__file__).resolve().parents[1] / "clients" / "demo"
PROMPT = "three orange people, arms up, on a white background"


def drawn() -> Image.Image:
    """Two orange people with their arms up, from the generator that the demo models learned from."""
    from examples.judge_proof.world import scenes

    person, orange = scenes.PERSON, scenes.COLOUR_NAMES.index("orange")
    facts = scenes.Facts(2, person, orange, scenes.MEDIUM, 0, scenes.WHITE, scenes.POSES.index("arms up"))
    things = tuple(scenes.Thing(person, orange, x, scenes.UNITS / 2, 20.0) for x in (16.5, 47.5))
    return Image.fromarray(scenes.render(scenes.Scene(facts, things), random.Random(4), size=256))


def judged(picture: Path | Image.Image, prompt: str, scorer: ClipScorer, detector: PoseDetector) -> dict[str, str]:
    """A line for each measure."""

    def clip() -> str:
        result = validate_image(picture, prompt, scorer=scorer)
        return f"{result.reason} ({result.positive_score:.3f})"

    def atoms() -> str:
        facts = [atom for atom in atoms_of(prompt) if atom.foils]
        rows = [scorer.scores([picture], [atom.text, *atom.foils])[0] for atom in facts]
        told = [f"{atom.text} {'+' if row[0] >= max(row[1:]) else '-'}" for atom, row in zip(facts, rows, strict=True)]
        return ", ".join(told) or "the prompt states no fact that is understood"

    def people() -> str:
        result = validate_pose(
            picture, people_asked(prompt), framing=framing_asked(prompt), stylised=stylised(prompt), detector=detector
        )
        return f"{result.people} found: {result.reason}"

    def quality() -> str:
        score = score_image(picture)
        return f"{score.composite:.1f} of 10 ({score.grade}); " + ", ".join(
            f"{k} {v:.1f}" for k, v in score.terms.items()
        )

    measures: dict[str, Callable[[], str]] = {"clip": clip, "atoms": atoms, "people": people, "quality": quality}
    lines = {name: or_why_not(measure) for name, measure in measures.items()}
    questions = " ".join(question.text for question in questions_of(prompt))
    return lines | {"to ask a vision model": questions or "nothing"}


def or_why_not(measure: Callable[[], str]) -> str:
    try:
        return measure()
    except (JudgesMissing, WeightsUnavailable) as missing:
        return f"not judged: {missing}"


def main(arguments: list[str]) -> dict[str, str]:
    """Judge what was asked for; prints and returns the lines."""
    if arguments:
        picture, prompt = Path(arguments[0]), arguments[1]
        lines = judged(picture, prompt, shared_scorer(), shared_detector())
    else:
        scorer, detector = ClipScorer(DEMO / "clip"), PoseDetector(DEMO / "pose" / "demo-pose.pt", draws=True)
        prompt = PROMPT
        lines = judged(drawn(), prompt, scorer, detector)
    sys.stdout.write(f"{prompt}\n" + "".join(f"  {name}: {line}\n" for name, line in lines.items()))
    return lines


if __name__ == "__main__":
    if len(sys.argv) not in {1, 3}:
        sys.exit(__doc__)
    main(sys.argv[1:])
