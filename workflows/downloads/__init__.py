"""Downloads: models on their way here, as jobs that outlive the process. No bytes are moved here: see `fetching`."""

from workflows.downloads.desk import CONSENT_ABOVE, PIPELINE, Downloads, Plan
from workflows.downloads.fetching import Arrived, Check, Fetcher, Report, Snapshots, Speed

__all__ = [
    "CONSENT_ABOVE",
    "PIPELINE",
    "Arrived",
    "Check",
    "Downloads",
    "Fetcher",
    "Plan",
    "Report",
    "Snapshots",
    "Speed",
]
