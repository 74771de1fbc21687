"""Jobs in MLflow: in a folder, on a real tracking server, and against servers that are gone, hang or talk nonsense."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from clients.mlflow_recorder import MlflowRecorder, described, shown
from tests.fakes import png
from workflows.ports import Recorder
from workflows.types import Acceptance, Attempt, Fault, Job, Media, Outcome, Recipe, Verdict

PICTURE = Media(data=png(8, 8), media_type="image/png")
WISH = Recipe(prompt="two blue squares", seed=7, width=64, height=64, acceptance=Acceptance(retry_limit=2))
START_SECONDS = 200


def attempt(number: int, *verdicts: Verdict) -> Attempt:
    return Attempt(
        number=number, recipe=WISH.but(seed=6 + number), key=f"{number}.png", media_type="image/png",
        width=64, height=64, model="tiny", seconds=1.5, verdicts=verdicts,
    )  # fmt: skip


def finished(**changes: Any) -> Job:
    """A job of two rounds, of which the second was taken."""
    low = Verdict(judge="clip", passed=False, score=0.2, merit=0.4, reason="Low", measures={"positive_score": 0.2})
    good = Verdict(judge="clip", passed=True, score=0.3, merit=0.6, reason="Good", measures={"positive_score": 0.3})
    outcome = Outcome(attempts=(attempt(1, low), attempt(2, good)), best=2, accepted=True)
    values: dict[str, Any] = {
        "recipe": WISH,
        "state": "succeeded",
        "engine": "demo",
        "outcomes": (outcome,),
        "item_ids": ("item-1",),
    }
    return Job.checked(**(values | changes))


@contextmanager
def reading(uri: str) -> Generator[Any]:
    """MLflow's own client."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        yield MlflowClient(tracking_uri=uri)


def runs(uri: str, experiment: str = "atelier") -> list[Any]:
    """The runs of an experiment, the oldest first."""
    with reading(uri) as client:
        found = client.get_experiment_by_name(experiment)
        return [] if found is None else list(client.search_runs([found.experiment_id], order_by=["start_time ASC"]))


def artifact(uri: str, run_id: str, name: str, room: Path) -> bytes:
    with reading(uri) as client:
        return Path(client.download_artifacts(run_id, name, str(room))).read_bytes()


def warnings(log: pytest.LogCaptureFixture) -> list[str]:
    return [
        entry.getMessage()
        for entry in log.records
        if entry.name == "atelier.mlflow" and entry.levelno >= logging.WARNING
    ]


async def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - another thread's doing
            await asyncio.sleep(0.05)


# ------------------------------------------------------------------ what is written


def test_a_job_is_described_by_its_recipe_its_verdicts_and_its_pictures() -> None:
    job = finished()
    told = described(job, {"item-1": PICTURE})
    verdicts = json.loads(told["artifacts"].pop("verdicts.json"))
    assert Recipe.model_validate_json(told["artifacts"].pop("recipe.json")) == WISH
    assert {name: told["parameters"][name] for name in ("prompt", "seed", "width", "retry_limit")} == {
        "prompt": "two blue squares",
        "seed": 7,
        "width": 64,
        "retry_limit": 2,
    }
    assert {name: told[name] for name in ("metrics", "artifacts", "tags", "run_name", "status")} == {
        "metrics": {
            "pictures": 1.0,
            "attempts": [2.0],
            "seconds": [3.0],
            "clip.score": [0.3],
            "clip.merit": [0.6],
            "clip.passed": [1.0],
            "clip.positive_score": [0.3],
        },
        "artifacts": {"pictures/item-1.png": PICTURE.data},
        "tags": {
            "atelier.job_id": job.id,
            "atelier.state": "succeeded",
            "atelier.task": "txt2img",
            "atelier.engine": "demo",
            "atelier.model": "tiny",
            "atelier.accepted": "yes",
        },
        "run_name": job.id,
        "status": "FINISHED",
    }
    assert [(one["attempt"], one["best"], one["verdicts"][0]["reason"]) for one in verdicts[0]] == [
        (1, False, "Low"),
        (2, True, "Good"),
    ]


def test_a_job_that_failed_tells_its_fault_and_has_no_scores() -> None:
    told = described(
        finished(state="failed", outcomes=(), item_ids=(), fault=Fault(code="out_of_memory", message="x")), {}
    )
    assert (told["status"], told["metrics"]) == ("FAILED", {"pictures": 0.0})
    assert told["tags"]["atelier.fault"] == "out_of_memory"
    assert "atelier.accepted" not in told["tags"]


def test_one_picture_that_was_not_accepted_marks_the_job() -> None:
    outcomes = finished().outcomes
    told = described(finished(outcomes=(*outcomes, outcomes[0].but(accepted=False))), {})
    assert told["tags"]["atelier.accepted"] == "no"
    assert told["metrics"]["attempts"] == [2.0, 2.0]


def test_a_password_in_the_address_is_not_shown() -> None:
    assert shown("https://me:secret@host:5000/path") == "https://host:5000/path"
    assert shown("/some/folder") == "/some/folder"


# ------------------------------------------------------------------ a folder


async def test_a_job_is_logged_in_a_folder_before_the_recorder_closes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = (tmp_path / "runs").as_uri()
    job = finished()
    async with MlflowRecorder(uri, closing=120) as recorder:
        port: Recorder = recorder
        port.record(job, {"item-1": PICTURE})
    [run] = await asyncio.to_thread(runs, uri)
    assert (run.data.tags["atelier.job_id"], run.data.params["prompt"]) == (job.id, "two blue squares")
    assert run.data.metrics["clip.score"] == 0.3
    stored = await asyncio.to_thread(artifact, uri, run.info.run_id, "pictures/item-1.png", tmp_path)
    assert (stored, warnings(caplog)) == (PICTURE.data, [])


async def test_recording_returns_at_once_and_jobs_are_logged_in_their_order(tmp_path: Path) -> None:
    uri = (tmp_path / "runs").as_uri()
    jobs = [finished() for _ in range(5)]
    async with MlflowRecorder(uri, closing=120) as recorder:
        started = time.perf_counter()
        for job in jobs:
            recorder.record(job, {})
        assert time.perf_counter() - started < 0.5
    assert [run.data.tags["atelier.job_id"] for run in await asyncio.to_thread(runs, uri)] == [job.id for job in jobs]


async def test_what_the_content_rules_refused_is_written_nowhere(tmp_path: Path) -> None:
    async with MlflowRecorder((tmp_path / "runs").as_uri(), closing=120) as recorder:
        recorder.record(finished(state="failed", outcomes=(), fault=Fault(code="refused", message="no")), {})
    assert not (tmp_path / "runs").exists()


async def test_a_recorder_without_jobs_never_loads_mlflow(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from clients.mlflow_recorder import MlflowRecorder\n"
        "async def main():\n"
        "    async with MlflowRecorder('http://127.0.0.1:1'): pass\n"
        "asyncio.run(main()); assert 'mlflow' not in sys.modules"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0


async def test_a_folder_that_cannot_be_written_costs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with MlflowRecorder("/proc/nowhere/runs", closing=120) as recorder:
        recorder.record(finished(), {})
        await until(lambda: warnings(caplog))
    first, last = warnings(caplog)
    assert first.startswith("MLflow at /proc/nowhere/runs: MLflow did not take the run: ")
    assert last == "1 job(s) were not logged in MLflow at /proc/nowhere/runs"


async def test_what_waits_is_bounded_and_the_oldest_are_given_up(caplog: pytest.LogCaptureFixture) -> None:
    with hanging() as (uri, met):
        async with MlflowRecorder(uri, patience=30, closing=0.1, most_waiting=3) as recorder:
            for _ in range(10):
                recorder.record(finished(), {})
            assert recorder.waiting == 3
            await until(met)
    assert warnings(caplog) == [f"10 job(s) were not logged in MLflow at {uri}"]


# ------------------------------------------------------------------ servers that are no help


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Generator[tuple[str, Callable[[], int]]]:
    """A server that does `answer` with every connection; its address, and how many have come."""
    came: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            came.append(connection)
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", lambda: len(came)
        listener.shutdown(socket.SHUT_RDWR)
        for connection in came:
            connection.close()


def hanging() -> Any:
    """Takes connections and never says a word."""
    return answering(lambda connection: None)


def said(text: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(text)
        connection.close()

    return answer


ANSWERS = {
    "half a line": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "other JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n[]",
    "forbidden": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
    "broken": b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_server_that_talks_nonsense_costs_one_warning(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with answering(said(ANSWERS[kind])) as (uri, met):
        async with MlflowRecorder(uri, patience=2, pause=0.05, closing=120) as recorder:
            recorder.record(finished(), {})
            recorder.record(finished(), {})
            await until(lambda: met() >= 3)
    first, last = warnings(caplog)
    assert first.startswith(f"MLflow at {uri}: MLflow did not take the run: ")
    assert last == f"2 job(s) were not logged in MLflow at {uri}"


async def test_a_port_where_nobody_listens_costs_one_warning_and_closing_does_not_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    async with MlflowRecorder(uri, patience=2, pause=600, closing=60) as recorder:
        recorder.record(finished(), {})
        await until(lambda: warnings(caplog))
        recorder.record(finished(), {})
        started = time.perf_counter()
    assert time.perf_counter() - started < 10
    assert len(warnings(caplog)) == 2
    assert warnings(caplog)[1] == f"2 job(s) were not logged in MLflow at {uri}"


async def test_a_server_that_hangs_is_given_up_after_its_patience(caplog: pytest.LogCaptureFixture) -> None:
    with hanging() as (uri, met):
        async with MlflowRecorder(uri, patience=1, pause=600, closing=60) as recorder:
            recorder.record(finished(), {})
            await until(lambda: warnings(caplog))
        assert met()
    assert "MLflow did not take the run" in warnings(caplog)[0]


async def test_closing_waits_no_longer_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    with hanging() as (uri, met):
        async with MlflowRecorder(uri, patience=30, closing=0.2) as recorder:
            recorder.record(finished(), {})
            await until(met)
            started = time.perf_counter()
        assert time.perf_counter() - started < 5
    assert warnings(caplog) == [f"1 job(s) were not logged in MLflow at {uri}"]


# ------------------------------------------------------------------ a real tracking server


class Server:
    """`mlflow server` with SQLite and served artifacts, in a folder of its own."""

    def __init__(self, room: Path) -> None:
        self._room = room
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self._room}/runs.db",
            "--artifacts-destination", str(self._room / "art"),
        ]  # fmt: skip
        with (self._room / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self._room,
                env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline, self._log()
            time.sleep(0.2)

    def stop(self) -> None:
        """Kill it with all its workers, at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        self._tell(signal.SIGSTOP)

    def thaw(self) -> None:
        self._tell(signal.SIGCONT)

    def _tell(self, what: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, what)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _log(self) -> str:
        return (self._room / "server.log").read_text(encoding="utf-8", errors="replace")[-3000:]


@pytest.fixture(scope="session")
def tracking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("mlflow"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def quick_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own client does not wait for minutes either."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("quick_reader")
async def test_a_job_is_logged_on_a_real_tracking_server(tracking_server: Server, tmp_path: Path) -> None:
    uri, job = tracking_server.uri, finished()
    async with MlflowRecorder(uri, experiment="real", closing=120) as recorder:
        recorder.record(job, {"item-1": PICTURE})
    [run] = await asyncio.to_thread(runs, uri, "real")
    assert (run.info.status, run.info.run_name) == ("FINISHED", job.id)
    assert (run.data.params["prompt"], run.data.metrics["clip.score"]) == ("two blue squares", 0.3)
    assert run.data.tags["atelier.accepted"] == "yes"
    stored = await asyncio.to_thread(artifact, uri, run.info.run_id, "pictures/item-1.png", tmp_path)
    assert stored == PICTURE.data
    verdicts = await asyncio.to_thread(artifact, uri, run.info.run_id, "verdicts.json", tmp_path)
    assert json.loads(verdicts)[0][1]["verdicts"][0]["score"] == 0.3


@pytest.mark.usefixtures("quick_reader")
async def test_a_server_that_is_gone_for_a_while_gets_the_jobs_of_meanwhile(
    tracking_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    uri, jobs = tracking_server.uri, [finished() for _ in range(3)]
    caplog.set_level(logging.INFO, "atelier.mlflow")
    async with MlflowRecorder(uri, experiment="back", patience=2, pause=0.1, closing=120) as recorder:
        tracking_server.freeze()
        try:
            recorder.record(jobs[0], {"item-1": PICTURE})
            recorder.record(jobs[1], {"item-1": PICTURE})
            await until(lambda: warnings(caplog))
        finally:
            tracking_server.thaw()
        recorder.record(jobs[2], {})
        await until(lambda: not recorder.waiting)
    logged = [run.data.tags["atelier.job_id"] for run in await asyncio.to_thread(runs, uri, "back")]
    assert logged == [job.id for job in jobs]
    assert len(warnings(caplog)) == 1
    assert f"MLflow at {uri} takes jobs again" in [entry.getMessage() for entry in caplog.records]


async def test_a_server_killed_while_it_is_written_to_costs_the_rest_and_no_more(
    tracking_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The last test on the server: it does not come back."""
    uri = tracking_server.uri
    async with MlflowRecorder(uri, experiment="killed", patience=5, pause=600, closing=60) as recorder:
        for _ in range(20):
            recorder.record(finished(), {"item-1": PICTURE})
        await until(lambda: recorder.waiting < 20)
        await asyncio.to_thread(tracking_server.stop)
        await until(lambda: warnings(caplog))
        left, started = recorder.waiting, time.perf_counter()
    assert time.perf_counter() - started < 10
    assert 0 < left < 20
    assert warnings(caplog)[-1] == f"{left} job(s) were not logged in MLflow at {uri}"
