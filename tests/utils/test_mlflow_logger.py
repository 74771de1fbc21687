"""One run in MLflow: in a folder, and what MLflow does not take."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from utils.mlflow_logger import CUT, NotLogged, cleaned_keys, cut, log_experiment, portions

ROOT = Path(__file__).parents[2]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow's own client on the folder `runs`."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    yield MlflowClient(tracking_uri=(tmp_path / "runs").as_uri())


def test_a_run_holds_what_it_was_given(reader: Any, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("as it was", encoding="utf-8")
    run_id = log_experiment(
        {"prompt": "a red circle", "steps": 20, "sizes": [128, 128], "loras": ({"name": "ink"},)},
        {"clip.score": 0.31, "seconds": [1.5, 2.5], "accepted": True},
        artifacts={"pictures/one.png": b"\x89PNG", "notes.txt": notes},
        tags={"engine": "demo"},
        experiment="tries",
        run_name="first",
        tracking_uri=tmp_path / "runs",
        status="KILLED",
    )
    run = reader.get_run(run_id)
    assert run.data.params == {
        "prompt": "a red circle",
        "steps": "20",
        "sizes": "[128, 128]",
        "loras": '[{"name": "ink"}]',
    }
    assert run.data.metrics == {"clip.score": 0.31, "seconds": 2.5, "accepted": 1.0}
    assert [(one.step, one.value) for one in reader.get_metric_history(run_id, "seconds")] == [(0, 1.5), (1, 2.5)]
    assert {name: run.data.tags[name] for name in ("engine", "mlflow.runName")} == {
        "engine": "demo",
        "mlflow.runName": "first",
    }
    assert (run.info.status, reader.get_experiment(run.info.experiment_id).name) == ("KILLED", "tries")
    assert content(reader, run_id, "pictures/one.png") == b"\x89PNG"
    assert content(reader, run_id, "notes.txt") == b"as it was"


def content(reader: Any, run_id: str, name: str) -> bytes:
    return Path(reader.download_artifacts(run_id, name)).read_bytes()


def test_a_folder_may_be_given_as_text_as_well(reader: Any, tmp_path: Path) -> None:
    run_id = log_experiment({"a": 1}, tracking_uri=str(tmp_path / "runs"))
    assert reader.get_run(run_id).data.params == {"a": "1"}


def test_what_mlflow_does_not_take_is_cut_cleaned_or_left_out(reader: Any, tmp_path: Path) -> None:
    run_id = log_experiment(
        {"prompt": "ä" * 7000, "a?b*c": 1, "../up": 2, "": 3},
        {"good": 1.0, "bad": float("nan"), "worse": [0.5, float("inf")]},
        artifacts={"../../outside.txt": b"in", "ümlaut #1.txt": b"too"},
        tags={"long": "x" * 9000},
        tracking_uri=tmp_path / "runs",
    )
    run = reader.get_run(run_id)
    assert len(run.data.params["prompt"]) == 6000 and run.data.params["prompt"].endswith(CUT)
    assert {key: run.data.params[key] for key in ("a_b_c", "_.up", "_")} == {"a_b_c": "1", "_.up": "2", "_": "3"}
    assert run.data.metrics == {"good": 1.0, "worse": 0.5}
    assert run.data.tags["metrics_left_out"] == "bad, worse"
    assert len(run.data.tags["long"]) == 5000
    assert content(reader, run_id, "_/_/outside.txt") == b"in"
    assert content(reader, run_id, "_mlaut__1.txt") == b"too"


def test_more_values_than_one_call_takes_are_all_there(reader: Any, tmp_path: Path) -> None:
    parameters = {f"p{number}": "€" * 3000 for number in range(230)}
    metrics = {f"m{number}": float(number) for number in range(230)}
    run_id = log_experiment(parameters, metrics, tracking_uri=tmp_path / "runs")
    run = reader.get_run(run_id)
    assert (run.data.params, run.data.metrics) == (parameters, metrics)


def test_threads_write_their_runs_into_one_experiment(reader: Any, tmp_path: Path) -> None:
    def write(number: int) -> str:
        return log_experiment({"number": number}, tracking_uri=tmp_path / "runs", experiment="together")

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(write, range(8)))
    runs = [reader.get_run(run_id) for run_id in ids]
    assert [run.data.params["number"] for run in runs] == [str(number) for number in range(8)]
    assert len({run.info.experiment_id for run in runs}) == 1


def test_nothing_is_left_behind_in_the_process_and_nothing_is_said(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from utils.mlflow_logger import log_experiment\n"
        "before = {k: v for k, v in os.environ.items() if 'MLFLOW' in k or k == 'DO_NOT_TRACK'}\n"
        f"log_experiment({{'a': 1}}, {{'m': 1.0}}, tracking_uri={str(tmp_path / 'runs')!r}, patience=3)\n"
        "after = {k: v for k, v in os.environ.items() if 'MLFLOW' in k or k == 'DO_NOT_TRACK'}\n"
        "import mlflow, mlflow.telemetry, threading\n"
        "assert before == after, after\n"
        "assert mlflow.telemetry.get_telemetry_client() is None\n"
        "assert mlflow.active_run() is None\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_what_the_owner_has_set_for_mlflow_stays(reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "false")
    with pytest.raises(NotLogged, match="maintenance mode"):
        log_experiment({"a": 1}, tracking_uri=tmp_path / "other")
    assert os.environ["MLFLOW_ALLOW_FILE_STORE"] == "false"


def test_a_missing_file_fails_the_run_and_is_told(reader: Any, tmp_path: Path) -> None:
    with pytest.raises(NotLogged, match=r"gone\.png"):
        log_experiment(artifacts={"a.png": tmp_path / "gone.png"}, tracking_uri=tmp_path / "runs", experiment="bad")
    experiment = reader.get_experiment_by_name("bad")
    [run] = reader.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


@pytest.mark.parametrize("uri", ["no-such-scheme://x", "http://127.0.0.1:1", "/proc/nowhere/runs"])
def test_a_place_that_cannot_be_written_is_told(uri: str) -> None:
    with pytest.raises(NotLogged, match=r"^MLflow did not take the run: "):
        log_experiment({"a": 1}, tracking_uri=uri, patience=1)


def test_a_missing_package_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from utils.mlflow_logger import MlflowMissing, log_experiment\n"
        "try: log_experiment({'a': 1})\n"
        "except MlflowMissing as missing: sys.stdout.write(str(missing))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "Logging experiments needs the extra 'mlflow': pip install 'atelier-mcp[mlflow]'."


@pytest.mark.parametrize(
    ("keys", "clean"),
    [
        (["clip.score", "a b", "x-1", "deep/er"], ["clip.score", "a b", "x-1", "deep/er"]),
        (["a?", "a*", "a_"], ["a_", "a__2", "a__3"]),
        (["/a//b/", "./c", "d/../e"], ["a/b", "_/c", "d/_/e"]),
        (["clip", "clip/score"], ["clip", "clip.score"]),
        (["", "..", "..."], ["_", "__2", "__3"]),
        (["k" * 300, "k" * 301], ["k" * 250, "k" * 248 + "_2"]),
        (["größe"], ["größe"]),
    ],
)
def test_keys_are_cleaned_and_stay_apart(keys: list[str], clean: list[str]) -> None:
    assert list(cleaned_keys(keys).values()) == clean


def test_a_long_text_is_cut_with_a_mark_and_a_short_one_is_not() -> None:
    assert cut("x" * 20, 15) == "x" * 6 + "... (cut)"
    assert cut("x" * 15, 15) == "x" * 15


def test_a_server_is_sent_no_more_than_it_takes_at_once() -> None:
    many = [(f"k{number}", "v") for number in range(230)]
    large = [(f"k{number}", "€" * 6000) for number in range(40)]
    assert [len(some) for some in portions(many)] == [100, 100, 30]
    assert [len(some) for some in portions(large)] == [13, 13, 13, 1]
    assert [pair for some in portions(large) for pair in some] == large
