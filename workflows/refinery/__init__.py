"""Refinement in rounds: draw, put the picture into words, reword the prompt, and again, with the user's own wish as
the measure throughout. `from workflows.refinery import Refinery`.

`evaluating` and `refining` are each of use alone; `course` carries out one refinement, `refinery` all of a process.
`batch` runs many from a file (`briefs`) into a folder (`folder`). None of them knows a service.
"""

from workflows.refinery.evaluating import ClipEvaluator, Evaluator, VisionEvaluator
from workflows.refinery.refinery import Refinery
from workflows.refinery.refining import Refined

__all__ = ["ClipEvaluator", "Evaluator", "Refined", "Refinery", "VisionEvaluator"]
