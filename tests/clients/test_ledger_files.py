"""Ledger files: rows and files that cannot be used, migrations, several processes."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from clients import migrations
from clients._ledger.tables import REVISIONS, detail_row, item_row, job_row, metadata
from clients.ledger import Ledger, open_ledger
from tests.clients.ledger_kit import RECIPE, file_items, found, item
from workflows.errors import StorageError
from workflows.types import Facets, HistoryEntry, HistoryQuery, ItemQuery, Job, LoraUse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ledger #1?.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(path) as opened:
        yield opened


# rows and files that cannot be used


async def test_a_row_of_another_version_is_left_out_of_lists_and_named_when_asked_for(
    ledger: Ledger, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job(recipe=RECIPE)
    await ledger.jobs.add(job)
    await file_items(ledger, item(1), item(2))
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, where in (("jobs", f"id = '{job.id}'"), ("item_details", "seq = 2")):
            connection.execute(f"UPDATE {table} SET body = json_set(body, '$.holograms', 3) WHERE {where}")

    with caplog.at_level(logging.WARNING):
        page = await ledger.items.search(ItemQuery())
        recent = await ledger.jobs.recent(10)
    assert [found.seed for found in page.items] == [1]
    assert job.id not in {found.id for found in recent}
    assert "holograms" in caplog.text
    with pytest.raises(StorageError, match="cannot read it"):
        await ledger.items.get("0002-item")
    with pytest.raises(StorageError, match="cannot read it"):
        await ledger.jobs.get(job.id)


def make_text(path: Path) -> None:
    path.write_text("not a database, whatever its name " * 100, encoding="utf-8")


def make_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE mine (x)")


def make_newer(path: Path) -> None:
    asyncio.run(_touch(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def make_damaged(path: Path) -> None:
    asyncio.run(_touch(path))
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * 4000 + content[4100:])


async def _touch(path: Path | str) -> None:
    async with open_ledger(path) as ledger:
        await ledger.jobs.add(Job(recipe=RECIPE))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_text, "not a database.*Move it aside"),
        (make_foreign, "no ledger of Atelier"),
        (make_newer, "newer Atelier.*Update Atelier"),
        (make_damaged, "damaged.*move it aside"),
    ],
)
def test_a_file_that_is_no_usable_ledger_is_named_and_never_changed(tmp_path: Path, make: Any, words: str) -> None:
    path = tmp_path / "ledger.db"
    make(path)
    before = path.read_bytes()

    with pytest.raises(StorageError, match=words) as raised:
        asyncio.run(_touch(path))
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match=r"file/home/ledger\.db could not be opened"):
        await _touch(tmp_path / "file" / "home" / "ledger.db")


async def test_another_database_url_is_refused_in_words() -> None:
    with pytest.raises(StorageError, match="not mysql://"):
        await _touch("mysql://u:secret@host/x")


# migrations and processes


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def test_the_known_revisions_are_the_scripts_in_their_order() -> None:
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    assert tuple(reversed([script.revision for script in scripts])) == REVISIONS


def make_second(path: Path) -> Job:
    """A file as the Atelier before the words left it, with a job and a picture."""
    drawn = RECIPE.but(loras=(LoraUse(name="styles/Ink.safetensors"),))
    job, picture = Job(recipe=RECIPE), item(1, prompt="a lighthouse", engine="ComfyUI", rendered=drawn)
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
    with engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for table, row in (("jobs", job_row(job)), ("items", item_row(picture)), ("item_details", detail_row(picture))):
            there = {column["name"] for column in sa.inspect(connection).get_columns(table)}
            fields = {name: value for name, value in row.items() if name in there}
            fields |= {"seq": 1} if table != "jobs" else {}
            marks = ", ".join(f":{name}" for name in fields)
            connection.execute(sa.text(f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({marks})"), fields)
    engine.dispose()
    return job


async def test_a_file_of_the_revision_before_keeps_its_rows_and_learns_words(path: Path) -> None:
    path.parent.mkdir()
    job = await asyncio.to_thread(make_second, path)

    async with open_ledger(path) as ledger:
        assert await ledger.jobs.get(job.id) == job
        queries: list[dict[str, Any]] = [{"query": "lighthouse"}, {"lora": "ink"}, {"engine": "comfyui"}, {}]
        assert [await found(ledger, **query) for query in queries] == [[1]] * 4
        counted = Facets(models=(("Demo", 1),), loras=(("Ink", 1),), engines=(("ComfyUI", 1),))
        assert await ledger.items.facets() == counted
        assert (await ledger.items.search(ItemQuery(limit=1))).total == 1
        assert (await ledger.history.search(HistoryQuery())).total == 0
        await ledger.history.add(HistoryEntry(input="a lighthouse"))
        assert (await ledger.history.search(HistoryQuery(query="lighthouse"))).total == 1
    async with open_ledger(path) as again:
        assert (await again.history.search(HistoryQuery())).total == 1


async def test_the_newest_revision_can_be_taken_back_and_done_again(path: Path) -> None:
    path.parent.mkdir()
    job = await asyncio.to_thread(make_second, path)
    await _touch(path)

    def back() -> set[str]:
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
        with engine.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.downgrade(config, "0002")
        names = set(sa.inspect(engine).get_table_names())
        engine.dispose()
        return names

    left = await asyncio.to_thread(back)
    assert not {name for name in left if name.startswith(("history", "conversations", "messages", "presets"))}
    async with open_ledger(path) as ledger:
        assert await ledger.jobs.get(job.id) == job


async def test_the_migrated_tables_are_those_the_code_uses(ledger: Ledger, path: Path) -> None:
    def ours(name: str | None, kind: str, *_: object) -> bool:
        return not (kind == "table" and str(name).startswith(("items_fts", "history_fts")))

    def differences() -> list[Any]:
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
            found = compare_metadata(context, metadata)
        engine.dispose()
        return found

    assert await asyncio.to_thread(differences) == []


OPEN_ONLY = """
import asyncio, sys
from clients.ledger import open_ledger
assert not {"sqlalchemy", "alembic"} & set(sys.modules), "importing clients.ledger must stay light"

async def main():
    async with open_ledger(sys.argv[1]) as ledger:
        await ledger.jobs.recent(1)

asyncio.run(main())
sys.stdout.write(str("alembic" in sys.modules))
"""


async def test_a_ledger_that_is_up_to_date_opens_without_alembic(path: Path) -> None:
    await _touch(path)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", OPEN_ONLY, str(path)], capture_output=True, text=True, check=True
    )

    assert done.stdout == "False"


WRITER = """
import asyncio, sys
from clients.ledger import open_ledger
from workflows.types import Job, Recipe

async def main():
    async with open_ledger(sys.argv[1]) as ledger:
        for number in range(25):
            job = Job(recipe=Recipe(prompt=f"job {number}"))
            await ledger.jobs.add(job)
            assert await ledger.jobs.save(job.but(state="succeeded"), await ledger.jobs.claim(job.id))

asyncio.run(main())
"""


async def test_two_processes_can_make_and_fill_one_ledger_at_once(path: Path) -> None:
    program = [sys.executable, "-c", WRITER, str(path)]
    processes = [await asyncio.create_subprocess_exec(*program) for _ in range(2)]

    assert [await asyncio.wait_for(process.wait(), 60) for process in processes] == [0, 0]
    async with open_ledger(path) as ledger:
        assert len(await ledger.jobs.recent(100, ["succeeded"])) == 50


async def test_two_processes_can_migrate_one_ledger_at_once(path: Path) -> None:
    path.parent.mkdir()
    await asyncio.to_thread(make_second, path)
    program = [sys.executable, "-c", WRITER, str(path)]
    processes = [await asyncio.create_subprocess_exec(*program) for _ in range(2)]

    assert [await asyncio.wait_for(process.wait(), 60) for process in processes] == [0, 0]
    async with open_ledger(path) as ledger:
        assert len(await ledger.jobs.recent(100, ["succeeded"])) == 50
        assert await found(ledger) == [1]


async def test_many_readers_and_writers_of_one_process_get_along(ledger: Ledger) -> None:
    async def work(number: int) -> None:
        await file_items(ledger, item(number))
        await ledger.items.search(ItemQuery(query="picture", limit=5))

    await asyncio.gather(*(work(number) for number in range(30)))
    assert (await ledger.items.search(ItemQuery(limit=1))).total == 30


async def test_the_search_index_agrees_with_the_rows_after_all_kinds_of_changes(ledger: Ledger, path: Path) -> None:
    await file_items(ledger, *(item(number) for number in range(6)))
    await ledger.filing.remove("0003-item")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE item_details SET prompt = 'changed' WHERE seq = 1")
        connection.execute("INSERT INTO items_fts(items_fts, rank) VALUES ('integrity-check', 1)")
        assert json.loads(connection.execute("SELECT json_array(count(*)) FROM item_details").fetchone()[0]) == [5]

    assert await found(ledger, query="changed") == [0]


async def test_a_copied_ledger_file_is_a_whole_backup_once_closed(path: Path, tmp_path: Path) -> None:
    async with open_ledger(path) as ledger:
        await file_items(ledger, item(1))
    await asyncio.to_thread(shutil.copy, path, tmp_path / "copy.db")

    async with open_ledger(tmp_path / "copy.db") as copy:
        assert await found(copy) == [1]
