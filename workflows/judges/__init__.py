"""Numbers -> verdicts. The measures themselves are in utils; which judges there are is said in clients.wiring."""

from workflows.judges.bodies import PeopleJudge, PoseJudge, body_judges
from workflows.judges.clip import ClipJudge
from workflows.judges.content import ContentJudge
from workflows.judges.likeness import ClipEmbedder
from workflows.judges.motion import MotionJudge
from workflows.judges.quality import QualityJudge
from workflows.judges.vision import VisionJudge

__all__ = [
    "ClipEmbedder",
    "ClipJudge",
    "ContentJudge",
    "MotionJudge",
    "PeopleJudge",
    "PoseJudge",
    "QualityJudge",
    "VisionJudge",
    "body_judges",
]
