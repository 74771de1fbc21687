"""The log file of a run: one JSON object a line, with the run's name on each, rotated before it grows large."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

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

    Lines have timestamp, level, logger, event, run_id, and where they are known brief_id, job_id and exception. Two
    processes do not share a file: runs have names of their own. Raises StorageError when it cannot be written.
    """
    path = folder / f"{run_id}.log"
    handler = _opened(path)
    handler.setLevel(level)
    handler.setFormatter(_as_json(run_id))
    logger, before = logging.getLogger(OURS), logging.getLogger(OURS).level
    logger.addHandler(handler)
    logger.setLevel(min(logging.getLevelNamesMapping()[level], before or logging.WARNING))
    try:
        yield path
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()


def _opened(path: Path) -> RotatingFileHandler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFileHandler(path, maxBytes=LARGEST, backupCount=KEPT, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"The log {path} cannot be written: {error.strerror}.") from error


def _as_json(run_id: str) -> logging.Formatter:
    """structlog is imported when a log is opened: it takes a tenth of a second."""
    import structlog

    def named(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        on = account()
        names = {"run_id": on.run_id or run_id, "brief_id": on.brief_id, "job_id": on.job_id}
        return {**event, **{name: value for name, value in names.items() if value}}

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            named,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
