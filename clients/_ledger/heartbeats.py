"""ServerPresence: which Atelier processes of several machines are alive, told by rows on the server they share.

Each process writes the server's time into its row every few seconds, on a thread of its own, so that a busy event loop
is not taken for a dead one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from typing import Self

import sqlalchemy as sa

from clients._ledger.postgres import engine, storage_errors
from workflows.errors import StorageError
from workflows.types import new_id

log = logging.getLogger("atelier.ledger")

BEAT_SECONDS = 5.0
ALIVE_SECONDS = 30.0
"""A process whose last beat is older is dead to the others."""

_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
_BEAT = sa.text(
    f"INSERT INTO processes (owner, beaten) VALUES (:owner, {_NOW}) "
    "ON CONFLICT (owner) DO UPDATE SET beaten = excluded.beaten"
)
_ALIVE = sa.text(f"SELECT 1 FROM processes WHERE owner = :owner AND beaten > {_NOW} - :span")
_FORGET = sa.text(f"DELETE FROM processes WHERE owner <> :owner AND beaten <= {_NOW} - :span")
_LEFT = sa.text("UPDATE processes SET beaten = 0 WHERE owner = :owner")
_GONE = sa.text("DELETE FROM processes WHERE owner = :owner")


class ServerPresence:
    """Beats from entering to leaving. Raises StorageError where the server cannot be asked."""

    def __init__(self, url: sa.URL, *, beat: float = BEAT_SECONDS, alive: float = ALIVE_SECONDS) -> None:
        self._url = url
        self._beat, self._span = beat, alive
        self._engine = engine(url, 2, isolation_level="AUTOCOMMIT")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, name="ledger-heartbeat", daemon=True)
        self._beaten = 0.0
        self.owner = f"{os.getpid()}-{new_id()}"
        self.unfinished = False
        """Whether work of this process is left over: its row then stays behind as a sign."""

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._execute, _BEAT)
        self._beaten = time.monotonic()
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._leave)

    @property
    def lapsed(self) -> bool:
        """Whether the others take this process for dead by now: its jobs may have been taken over, and its tokens be
        worthless."""
        return time.monotonic() - self._beaten > self._span

    async def alive(self, owner: str) -> bool:
        if owner == self.owner:
            return True
        if "\0" in owner:
            return False
        return await asyncio.to_thread(self._asked, owner)

    async def forget_the_dead(self) -> None:
        """Remove the rows of processes that are gone, once their work was taken over."""
        await asyncio.to_thread(self._execute, _FORGET)

    def _asked(self, owner: str) -> bool:
        with storage_errors(self._url), self._engine.connect() as connection:
            return connection.scalar(_ALIVE, {"owner": owner, "span": self._microseconds}) is not None

    def _execute(self, statement: sa.TextClause) -> None:
        with storage_errors(self._url), self._engine.connect() as connection:
            values = {"owner": self.owner, "span": self._microseconds}
            connection.execute(statement, {name: values[name] for name in statement.compile().params})

    @property
    def _microseconds(self) -> int:
        return round(self._span * 1_000_000)

    def _keep_beating(self) -> None:
        while not self._stop.wait(self._beat):
            try:
                self._execute(_BEAT)
            except StorageError as error:
                log.warning("this process could not tell the others that it is alive: %s", error)
                continue
            if self.lapsed:
                log.warning("this process was taken for dead for a while: its jobs may have been taken over")
            self._beaten = time.monotonic()

    def _leave(self) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self._execute(_LEFT if self.unfinished else _GONE)
        except StorageError as error:  # the row then grows old by itself
            log.warning("this process could not take its leave: %s", error)
        finally:
            self._engine.dispose()
