"""The log file of a run: one JSON object a line, with the run's name on each, rotated before it grows large."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from copy import copy
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue

from workflows.errors import StorageError
from workflows.spending import account

LARGEST = 5_000_000
"""Bytes of one file."""
KEPT = 3
"""Earlier files beside the one that is written."""
OURS = "atelier"


@contextmanager
def log_file(folder: Path, run_id: str, level: str) -> Generator[Path]:
    """Write what our loggers say meanwhile to `folder`/`run_id`.log, at that level or above.

    Lines have timestamp, level, logger, event, run_id, and where they are known brief_id, job_id, exception and what
    the caller adds. A thread writes them, so that nobody waits for the disk; entering and leaving do. Two processes do
    not share a file: runs have names of their own. Raises StorageError when it cannot be written.
    """
    path = folder / f"{run_id}.log"
    file = _opened(path)
    file.setFormatter(_as_json())
    handler = _Waiting(run_id)
    handler.setLevel(level)
    writing = QueueListener(handler.queue, file)
    writing.start()
    logger, before = logging.getLogger(OURS), logging.getLogger(OURS).level
    logger.addHandler(handler)
    logger.setLevel(min(logging.getLevelNamesMapping()[level], before or logging.WARNING))
    try:
        yield path
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        writing.stop()
        file.close()


class _Waiting(QueueHandler):
    """Puts a record aside with the names under which it was written: the thread that writes does not know them."""

    def __init__(self, run_id: str) -> None:
        super().__init__(SimpleQueue())
        self._run_id = run_id

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        on = account()
        names = {"run_id": on.run_id or self._run_id, "brief_id": on.brief_id, "job_id": on.job_id}
        copied = copy(record)
        copied.__dict__ = {name: value for name, value in names.items() if value} | record.__dict__
        return copied


def _opened(path: Path) -> RotatingFileHandler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFileHandler(path, maxBytes=LARGEST, backupCount=KEPT, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"The log {path} cannot be written: {error.strerror}.") from error


def _as_json() -> logging.Formatter:
    """structlog is imported when a log is opened: it takes a tenth of a second."""
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
