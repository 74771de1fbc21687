"""MlflowRecorder: every job that has ended as a run in MLflow, written by a thread of its own.

A tracking server that is down, slow or refusing costs a warning and some lines of the log, never a job.
"""

from __future__ import annotations

import asyncio
import json
import logging
import mimetypes
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, Self
from urllib.parse import urlsplit

from utils.mlflow_logger import Metric, MlflowMissing, NotLogged, Status, log_experiment
from workflows.types import Attempt, Job, Media

log = logging.getLogger("atelier.mlflow")

PATIENCE = 10
"""Seconds that one call to the server may take."""
PAUSE = 60.0
"""Seconds after a failure before the server is tried again."""
TRIES = 2
"""How often a job is tried that a server which answers does not take: it must not hold up the others."""
MOST_WAITING, MOST_WAITING_BYTES = 200, 200_000_000
"""Jobs that wait to be written, and the bytes of their pictures; beyond that the oldest are given up."""
STATUS: Mapping[str, Status] = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}


@dataclass(kw_only=True)
class _Entry:
    job: Job
    pictures: Mapping[str, Media]
    tries: int = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = sum(len(picture.data) for picture in self.pictures.values())


class MlflowRecorder:
    """The Recorder port on MLflow, as an async context manager.

    `tracking_uri`: a server (http, https) or a folder, as MLflow takes it. `patience`: seconds that one call to the
    server may take. `pause`: seconds after a failure until the next try, while up to `most_waiting` jobs wait. Leaving
    the block waits at most `closing` seconds for what is not yet written, and says how many jobs were lost.
    """

    def __init__(
        self,
        tracking_uri: str,
        *,
        experiment: str = "atelier",
        patience: int = PATIENCE,
        pause: float = PAUSE,
        closing: float = 10.0,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._uri = tracking_uri
        self._experiment = experiment
        self._patience = patience
        self._pause = pause
        self._closing = closing
        self._most_waiting = most_waiting
        self._waiting: deque[_Entry] = deque()
        self._bell: SimpleQueue[bool] = SimpleQueue()  # False: go home
        self._thread = Thread(target=self._work, name="mlflow", daemon=True)
        self._given_up = 0
        self._refused = 0
        self._down = False
        self._leaving = False

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving = True
        self._bell.put(False)
        await asyncio.to_thread(self._thread.join, self._closing)
        lost = self._given_up + self._refused + self.waiting
        if lost:
            log.warning("%d job(s) were not logged in MLflow at %s", lost, shown(self._uri))

    @property
    def waiting(self) -> int:
        """Jobs that are not yet written, the one in work included."""
        return len(self._waiting)

    def record(self, job: Job, pictures: Mapping[str, Media]) -> None:
        """Put the job on the list and return at once. What the content rules refused is written nowhere."""
        if self._leaving or (job.fault is not None and job.fault.code == "refused"):
            return
        self._waiting.append(_Entry(job=job, pictures=dict(pictures)))
        while self._is_full():
            self._waiting.popleft()
            self._given_up += 1
        self._bell.put(True)

    def _is_full(self) -> bool:
        size = sum(entry.size for entry in tuple(self._waiting))
        return len(self._waiting) > 1 and (len(self._waiting) > self._most_waiting or size > MOST_WAITING_BYTES)

    # ------------------------------------------------------------------ the thread

    def _work(self) -> None:
        while self._bell.get() and self._write_all():
            pass

    def _write_all(self) -> bool:
        """Write what waits, the oldest first; False when it is time to go home."""
        while self._waiting:
            entry = self._waiting[0]
            written = self._write(entry)
            if (written or entry.tries >= TRIES) and self._waiting and self._waiting[0] is entry:
                self._waiting.popleft()
                self._refused += not written
            if not written and not self._rest():
                return False
        return True

    def _rest(self) -> bool:
        """Wait out the pause; False when the recorder is closed meanwhile."""
        until = monotonic() + self._pause
        while (left := until - monotonic()) > 0:
            try:
                if not self._bell.get(timeout=left):
                    return False
            except Empty:
                return True
        return True

    def _write(self, entry: _Entry) -> bool:
        try:
            log_experiment(
                **described(entry.job, entry.pictures),
                experiment=self._experiment,
                tracking_uri=self._uri,
                patience=self._patience,
            )
        except (NotLogged, MlflowMissing) as error:
            entry.tries += not (isinstance(error, NotLogged) and error.unreachable)
            self._complain(str(error))
            return False
        except Exception:  # the top of the thread: the next job may fare better
            entry.tries = TRIES
            log.exception("job %s could not be logged in MLflow", entry.job.id)
            return False
        if self._down:
            log.info("MLflow at %s takes jobs again", shown(self._uri))
        self._down = False
        return True

    def _complain(self, why: str) -> None:
        """Once for every time that the server goes away, not once a job."""
        if not self._down and not self._leaving:
            log.warning("MLflow at %s: %s (trying again every %g s)", shown(self._uri), why, self._pause)
        self._down = True


def described(job: Job, pictures: Mapping[str, Media]) -> dict[str, Any]:
    """The job in log_experiment's words. A metric has one step for each picture of the job."""
    chosen = [outcome.chosen for outcome in job.outcomes]
    recipe = job.recipe.model_dump(mode="json", exclude_none=True)
    acceptance = recipe.pop("acceptance", {})
    return {
        "parameters": {name: value for name, value in recipe.items() if value not in ("", [])} | acceptance,
        "metrics": _metrics(job, chosen),
        "artifacts": _artifacts(job, pictures),
        "tags": _tags(job, chosen),
        "run_name": job.id,
        "status": STATUS.get(job.state, "FAILED"),
    }


def _metrics(job: Job, chosen: Sequence[Attempt]) -> dict[str, Metric]:
    attempts = [outcome.attempts for outcome in job.outcomes]
    found: dict[str, list[float]] = {}
    for attempt in chosen:
        for verdict in attempt.verdicts:
            values = {"score": verdict.score, "merit": verdict.merit, "passed": verdict.passed} | verdict.measures
            for name, value in values.items():
                if value is not None:
                    found.setdefault(f"{verdict.judge}.{name}", []).append(float(value))
    totals: dict[str, Metric] = {"pictures": float(len(job.item_ids))}
    if attempts:
        totals["attempts"] = [float(len(some)) for some in attempts]
        totals["seconds"] = [round(sum(attempt.seconds for attempt in some), 3) for some in attempts]
    return totals | found


def _artifacts(job: Job, pictures: Mapping[str, Media]) -> dict[str, bytes]:
    said = [
        [_told(attempt, attempt.number == outcome.best) for attempt in outcome.attempts] for outcome in job.outcomes
    ]
    texts = {"recipe.json": job.recipe.model_dump(mode="json"), "verdicts.json": said}
    files = {name: json.dumps(value, ensure_ascii=False, indent=1).encode() for name, value in texts.items()}
    return files | {f"pictures/{name}{_ending(picture)}": picture.data for name, picture in pictures.items()}


def _told(attempt: Attempt, best: bool) -> dict[str, Any]:
    verdicts = [verdict.model_dump(mode="json") for verdict in attempt.verdicts]
    return {"attempt": attempt.number, "best": best, "seed": attempt.recipe.seed, "verdicts": verdicts}


def _ending(picture: Media) -> str:
    return mimetypes.guess_extension(picture.media_type) or ""


def _tags(job: Job, chosen: Sequence[Attempt]) -> dict[str, str]:
    accepted = [outcome.accepted for outcome in job.outcomes]
    tags = {
        "job_id": job.id,
        "state": job.state,
        "task": job.recipe.task,
        "engine": job.engine,
        "model": chosen[0].model if chosen else job.recipe.model,
        "accepted": _in_a_word(accepted),
        "fault": job.fault.code if job.fault else None,
    }
    return {f"atelier.{name}": value for name, value in tags.items() if value}


def _in_a_word(accepted: Sequence[bool | None]) -> str | None:
    """no as soon as one picture was not accepted, unjudged when one was not judged."""
    if not accepted:
        return None
    return "no" if False in accepted else "unjudged" if None in accepted else "yes"


def shown(uri: str) -> str:
    """The address without user and password."""
    parts = urlsplit(uri)
    return uri if not parts.netloc else parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
