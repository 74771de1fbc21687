"""Write one experiment down in MLflow: a run with its parameters, metrics, tags and artifacts.

Synchronous and safe from any thread: nothing of MLflow's "active run" is used. MLflow loads with the first run, which
takes seconds; it says nothing on stdout and reports nothing of its use to its makers.
"""

from __future__ import annotations

import json
import math
import os
import posixpath
import re
import shutil
import tempfile
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Literal

MOST_PARAMETER, MOST_TAG, MOST_KEY = 6000, 5000, 250
"""Characters that MLflow takes of a parameter, a tag (5000 before its version 2.19) and a key."""
MOST_AT_ONCE, MOST_BYTES_AT_ONCE = 100, 500_000
"""Parameters or tags in one call, and their bytes: half of what MLflow takes, as JSON may add to them."""
CUT = "... (cut)"
LEFT_OUT = "metrics_left_out"
"""Tag that names the metrics which were no finite number."""

Status = Literal["FINISHED", "FAILED", "KILLED"]
Metric = float | Sequence[float]

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_ALLOW_FILE_STORE": "true",
}
"""MLflow is set up by its environment alone. A folder as tracking URI wants the last one since MLflow 3.13."""


class MlflowMissing(ImportError):
    """MLflow is not installed."""

    def __init__(self) -> None:
        super().__init__("Logging experiments needs the extra 'mlflow': pip install 'atelier-mcp[mlflow]'.")


class NotLogged(RuntimeError):
    """The run could not be written: the server does not answer or refuses, the disk is full, the URI is wrong."""

    def __init__(self, why: str, unreachable: bool = False) -> None:
        super().__init__(f"MLflow did not take the run: {why}")
        self.unreachable = unreachable
        """Whether no server answered at all, so that the same run may be taken later."""


def log_experiment(
    parameters: Mapping[str, object] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    *,
    artifacts: Mapping[str, bytes | str | Path] | None = None,
    tags: Mapping[str, object] | None = None,
    experiment: str = "atelier",
    run_name: str | None = None,
    tracking_uri: str | Path | None = None,
    status: Status = "FINISHED",
    patience: int | None = None,
) -> str:
    """Log one run in the experiment of that name, which is made when it is not there; the answer is the run's id.

    A metric may be a sequence: its values are steps 0, 1, ... Artifacts are bytes, or files by path, under the names
    they shall have. Keys are cleaned of what MLflow does not take, long values are cut with a mark; metrics that are no
    finite number are left out and named in the tag metrics_left_out. `tracking_uri` None: MLflow's own default.
    `patience`: seconds that each call to a server may take, and no retries (None: MLflow's own, minutes).
    Raises MlflowMissing, NotLogged.
    """
    with _environment(patience):
        client = _client(tracking_uri)
        with _troubles():
            run_id: str = client.create_run(_experiment_id(client, experiment), run_name=run_name).info.run_id
            try:
                _log_values(client, run_id, parameters or {}, metrics or {}, tags or {})
                _log_artifacts(client, run_id, artifacts or {})
            except BaseException:
                _close_half_written(client, run_id)
                raise
            client.set_terminated(run_id, status)
            return run_id


def cleaned_keys(keys: Iterable[str]) -> dict[str, str]:
    """MLflow's form of each key: letters, digits and "_-. /", no empty or dotted part, at most 250 characters.

    Keys that would become the same are told apart by a number. Where one would be the folder of another (MLflow keeps
    keys as files), the slashes of all become dots.
    """
    clean = {key: _clean(key) for key in dict.fromkeys(keys)}
    if any(f"{name}/" == other[: len(name) + 1] for name in clean.values() for other in clean.values()):
        clean = {key: name.replace("/", ".") for key, name in clean.items()}
    taken: set[str] = set()
    for key, name in clean.items():
        number = 1
        while clean[key] in taken:
            number += 1
            clean[key] = f"{name[: MOST_KEY - 1 - len(str(number))]}_{number}"
        taken.add(clean[key])
    return clean


def _clean(key: str) -> str:
    parts = (part.strip() for part in re.sub(r"[^\w\-./ ]", "_", key).split("/"))
    kept = "/".join("_" if set(part) == {"."} else part for part in parts if part)
    return kept[:MOST_KEY].rstrip("/ ") or "_"


def cut(text: str, most: int) -> str:
    """The text, or its beginning with a mark that the rest is missing."""
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


_users = 0
_replaced: dict[str, str | None] = {}
_environment_lock = Lock()
_experiment_lock = Lock()


@contextmanager
def _environment(patience: int | None) -> Generator[None]:
    """MLflow's settings while we use it. What the owner has set himself stays; afterwards all is as it was.

    Of several threads the first one's patience holds until the last has ended.
    """
    global _users
    with _environment_lock:
        if not _users:
            wanted = _QUIET | _patient(patience)
            _replaced.update({name: os.environ.get(name) for name in wanted if not os.environ.get(name)})
            os.environ.update({name: wanted[name] for name in _replaced})
        _users += 1
    try:
        yield
    finally:
        with _environment_lock:
            _users -= 1
            if not _users:
                for name, before in _replaced.items():
                    if before is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = before
                _replaced.clear()


def _patient(seconds: int | None) -> dict[str, str]:
    if seconds is None:
        return {}
    return {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(seconds, 1)),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }


def _client(tracking_uri: str | Path | None) -> Any:
    try:
        from mlflow import MlflowClient
    except ImportError as missing:
        raise MlflowMissing from missing
    uri = tracking_uri.absolute().as_uri() if isinstance(tracking_uri, Path) else tracking_uri
    with _troubles():
        return MlflowClient(tracking_uri=uri)


@contextmanager
def _troubles() -> Generator[None]:
    """What goes wrong in MLflow and below it, as NotLogged. requests' errors are OSErrors, JSON's are ValueErrors."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError, RuntimeError, ValueError, LookupError, TypeError, ImportError) as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NotLogged(cut(told, 300), _unreachable(error)) from error


def _unreachable(error: BaseException | None) -> bool:
    from requests.exceptions import ConnectionError, Timeout

    return error is not None and (
        isinstance(error, (ConnectionError, Timeout)) or _unreachable(error.__cause__ or error.__context__)
    )


def _experiment_id(client: Any, name: str) -> str:
    from mlflow.exceptions import MlflowException

    with _experiment_lock:  # a folder as a store would take the same name from two threads
        found = client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        try:
            return client.create_experiment(name)
        except MlflowException:  # another process has made it at the same moment
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id


def _log_values(
    client: Any,
    run_id: str,
    parameters: Mapping[str, object],
    metrics: Mapping[str, Metric],
    tags: Mapping[str, object],
) -> None:
    from mlflow.entities import Metric as Measured
    from mlflow.entities import Param, RunTag

    moment = int(time.time() * 1000)
    values, left_out = _finite(metrics)
    measured = [Measured(key, value, moment, step) for key, value, step in values]
    said = dict(tags) | ({LEFT_OUT: ", ".join(left_out)} if left_out else {})
    for some in portions(_texts(parameters, MOST_PARAMETER)):
        client.log_batch(run_id, params=[Param(key, value) for key, value in some])
    for some in portions(_texts(said, MOST_TAG)):
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in some])
    for start in range(0, len(measured), MOST_AT_ONCE):
        client.log_batch(run_id, metrics=measured[start : start + MOST_AT_ONCE])


def _finite(metrics: Mapping[str, Metric]) -> tuple[list[tuple[str, float, int]], list[str]]:
    """(key, value, step) of each finite number, and the keys of the others."""
    names, found, left_out = cleaned_keys(metrics), list[tuple[str, float, int]](), list[str]()
    for key, given in metrics.items():
        values = [float(value) for value in (given if isinstance(given, Sequence) else (given,))]
        found += [(names[key], value, step) for step, value in enumerate(values) if math.isfinite(value)]
        left_out += [] if all(map(math.isfinite, values)) else [key]
    return found, left_out


def _texts(values: Mapping[str, object], most: int) -> list[tuple[str, str]]:
    names = cleaned_keys(values)
    return [(names[key], cut(_text(value), most)) for key, value in values.items()]


def _text(value: object) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def portions(values: Sequence[tuple[str, str]]) -> Generator[list[tuple[str, str]]]:
    """As many at once as one call takes."""
    some: list[tuple[str, str]] = []
    size = 0
    for key, value in values:
        more = len(json.dumps((key, value)))
        if some and (len(some) == MOST_AT_ONCE or size + more > MOST_BYTES_AT_ONCE):
            yield some
            some, size = [], 0
        some, size = [*some, (key, value)], size + more
    if some:
        yield some


def _log_artifacts(client: Any, run_id: str, artifacts: Mapping[str, bytes | str | Path]) -> None:
    names = cleaned_keys(artifacts)
    for key, content in artifacts.items():
        folder, name = posixpath.split(re.sub(r"[^A-Za-z0-9_\-./]", "_", names[key]))
        with tempfile.TemporaryDirectory() as room:
            path = Path(room) / name
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                shutil.copyfile(content, path)
            client.log_artifact(run_id, str(path), folder or None)


def _close_half_written(client: Any, run_id: str) -> None:
    """So that the run does not look as if it were still going on; the trouble itself is told by whoever calls."""
    try:
        client.set_terminated(run_id, "FAILED")
    except Exception:  # noqa: BLE001 - the same trouble again
        return
