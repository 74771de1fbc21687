"""The log file of a run."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from clients import logs
from clients.logs import log_file
from workflows.errors import StorageError
from workflows.spending import Account, spending

log = logging.getLogger("atelier.test")


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_line_is_an_object_that_names_its_run_brief_and_job(tmp_path: Path) -> None:
    with log_file(tmp_path / "logs", "night", "INFO") as path:
        log.info("drawn in %s s", 4)
        with spending(Account(run_id="night", brief_id="fox", job_id="7")):
            log.warning("too slow")
        log.debug("not told")
    log.warning("after the end")
    found = [{key: value for key, value in line.items() if key != "timestamp"} for line in lines(path)]
    assert found == [
        {"event": "drawn in 4 s", "level": "info", "logger": "atelier.test", "run_id": "night"},
        {
            "event": "too slow",
            "level": "warning",
            "logger": "atelier.test",
            "run_id": "night",
            "brief_id": "fox",
            "job_id": "7",
        },
    ]


def test_an_exception_is_told_with_its_trace(tmp_path: Path) -> None:
    with log_file(tmp_path, "night", "INFO") as path:
        try:
            raise ValueError("broken")
        except ValueError:
            log.exception("it broke")
    (line,) = lines(path)
    assert "ValueError: broken" in line["exception"]


def test_a_file_that_grows_large_is_rotated_and_only_a_few_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LARGEST", 2_000)
    with log_file(tmp_path, "night", "INFO"):
        for number in range(200):
            log.info("line %s of many", number)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["night.log", "night.log.1", "night.log.2", "night.log.3"]
    assert all(lines(path) for path in tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be written"), log_file(tmp_path / "logs", "night", "INFO"):
        raise AssertionError("nothing is written there")
