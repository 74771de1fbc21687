"""The ledger on a real PostgreSQL server: what goes wrong there, several machines, and the same meaning of a search."""

from __future__ import annotations

import asyncio
import sys
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from clients._ledger.heartbeats import ServerPresence
from clients._ledger.postgres import server_url
from clients.ledger import open_ledger
from tests.clients.ledger_kit import RECIPE, emptied, file_items, found, item, rows
from tests.services.postgres import PASSWORD, USER, Server
from workflows.errors import StorageError
from workflows.types import Item, ItemQuery, Job


@pytest.fixture
def url(shared_database: str) -> str:
    return emptied(shared_database)


async def opened(url: str) -> str:
    """What is said when the ledger cannot be opened."""
    with pytest.raises(StorageError) as raised:
        async with open_ledger(url):
            pass
    told = "".join(traceback.format_exception(raised.value))
    assert PASSWORD not in told and "w%3Ard" not in told
    return str(raised.value)


# servers that cannot be used


async def test_a_wrong_password_is_told_without_saying_it(postgres: Server) -> None:
    said = await opened(postgres.url("postgres", USER, "another"))

    assert 'password authentication failed for user "somebody"' in said
    assert "Check the user and the password in DATABASE_URL" in said


async def test_a_database_that_is_not_there_is_to_be_made_first(postgres: Server) -> None:
    said = await opened(postgres.url("nothing", USER, PASSWORD))

    assert 'database "nothing" does not exist. Make the database first (createdb' in said


async def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    said = await opened(f"postgres://somebody:s3cr3t-p%40ss%2Fw%3Ard@/atelier?host={tmp_path}")

    assert said.startswith("The ledger postgresql://somebody@")
    assert "Check that the server runs and can be reached" in said


@pytest.mark.parametrize(
    "url", ["postgresql://me:s3cr3t-p@ss/w:rd@host/x", "postgresql://me:x@host:s3cr3t-p@ss/w:rd/x"]
)
async def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    said = await opened(url)

    assert "s3cr3t" not in said


async def test_a_user_without_rights_is_told_what_to_grant(postgres: Server) -> None:
    url = sa.make_url(postgres.new_database()).set(username=USER, password=PASSWORD)
    said = await opened(url.render_as_string(hide_password=False))

    assert "permission denied for schema public. Give this user the right to make" in said


async def test_a_read_only_server_is_told(postgres: Server) -> None:
    url = postgres.new_database()
    name = str(sa.make_url(url).database)
    postgres.do(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    assert "The database is read-only. Name the primary server" in await opened(url)


async def test_a_database_that_does_not_hold_unicode_is_refused(postgres: Server) -> None:
    assert "holds LATIN1, not UTF-8" in await opened(postgres.new_database(encoding="LATIN1", locale="C"))


async def test_too_many_connections_are_told(postgres: Server) -> None:
    postgres.do(f"ALTER ROLE {USER} CONNECTION LIMIT 0")
    try:
        said = await opened(postgres.url("postgres", USER, PASSWORD))
    finally:
        postgres.do(f"ALTER ROLE {USER} CONNECTION LIMIT -1")

    assert "too many connections" in said and "raise its max_connections" in said


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TABLE mine (x int)", "no ledger of Atelier"),
        (
            "CREATE TABLE jobs (x int); CREATE TABLE alembic_version (version_num text)",
            r"newer Atelier \(revision None",
        ),
    ],
)
async def test_a_foreign_database_is_refused_and_not_changed(postgres: Server, statement: str, words: str) -> None:
    url = postgres.new_database()
    postgres.do(statement, str(sa.make_url(url).database))
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    before = rows(url, tables)

    with pytest.raises(StorageError, match=words):
        async with open_ledger(url):
            pass
    assert rows(url, tables) == before


# going down and coming back


async def test_connections_that_the_server_ends_are_made_anew(postgres: Server, url: str) -> None:
    async with open_ledger(url) as ledger:
        await file_items(ledger, item(1))
        postgres.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'atelier'")

        assert await found(ledger) == [1]
        await ledger.filing.add([item(2)])
        assert await found(ledger, query="picture") == [2, 1]


async def test_work_goes_on_when_a_killed_server_is_back(postgres: Server, url: str) -> None:
    async with open_ledger(url) as ledger:
        job = Job(recipe=RECIPE)
        token = await ledger.jobs.add(job)
        await asyncio.to_thread(postgres.kill)
        waiting = asyncio.create_task(ledger.jobs.save(job.but(state="succeeded"), token, [item(1)]))
        await asyncio.to_thread(postgres.start)

        assert await waiting
        assert await ledger.jobs.get(job.id) == job.but(state="succeeded")
        assert await found(ledger) == [1]


async def test_a_transaction_that_is_cut_off_is_done_again_whole(postgres: Server, url: str) -> None:
    async with open_ledger(url) as ledger:
        await ledger.filing.add([item(1)])
        calls: list[int] = []

        def cut_off_once(_: Item) -> Item:
            calls.append(1)
            if len(calls) == 1:
                postgres.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'atelier'")
            return item(1, favourite=True)

        changed = await ledger.filing.change("0001-item", cut_off_once)
        assert (changed, len(calls)) == (item(1, favourite=True), 2)
        assert await ledger.items.get("0001-item") == changed


# several processes

WRITER = """
import asyncio, sys
from clients.ledger import open_ledger
from workflows.types import Job, Recipe

async def main():
    async with open_ledger(sys.argv[1]) as ledger:
        for number in range(10):
            job = Job(recipe=Recipe(prompt=f"job {number}"))
            await ledger.jobs.add(job)
            assert await ledger.jobs.save(job.but(state="succeeded"), await ledger.jobs.claim(job.id))

asyncio.run(main())
"""


async def test_two_processes_can_make_and_fill_one_database_at_once(postgres: Server) -> None:
    url = postgres.new_database()
    program = [sys.executable, "-c", WRITER, url]
    processes = [await asyncio.create_subprocess_exec(*program) for _ in range(2)]

    assert [await asyncio.wait_for(process.wait(), 60) for process in processes] == [0, 0]
    async with open_ledger(url) as ledger:
        assert len(await ledger.jobs.recent(100, ["succeeded"])) == 20


async def test_of_fifty_claims_at_once_the_last_alone_may_save(url: str) -> None:
    async with open_ledger(url) as mine, open_ledger(url) as theirs:
        job = Job(recipe=RECIPE)
        await mine.jobs.add(job)
        tokens = await asyncio.gather(*((mine, theirs)[place % 2].jobs.claim(job.id) for place in range(50)))
        ended = job.but(state="succeeded")
        saved = await asyncio.gather(
            *((mine, theirs)[place % 2].jobs.save(ended, token, [item(place)]) for place, token in enumerate(tokens))
        )

        assert saved.count(True) == 1
        assert await found(mine) == [saved.index(True)]
        assert rows(url, "SELECT claims FROM jobs") == [(51,)]
        assert len(set(tokens)) == 50


async def test_a_picture_filed_by_many_at_once_is_there_once(url: str) -> None:
    async with open_ledger(url) as mine, open_ledger(url) as theirs:
        tries = [(mine, theirs)[place % 2].filing.add([item(1, tags=("sea",))]) for place in range(20)]
        done = await asyncio.gather(*tries, return_exceptions=True)

        assert [one for one in done if not isinstance(one, StorageError)] == [None]
        assert (await mine.items.facets()).tags == (("sea", 1),)


# who is alive


async def test_processes_see_each_other_come_and_go(url: str) -> None:
    async with open_ledger(url) as ledger:
        assert isinstance(ledger.presence, ServerPresence)
    async with ledger.presence as mine:
        assert not await mine.alive("nobody")
        async with ServerPresence(server_url(url)) as other:
            assert [await mine.alive(one) for one in (mine.owner, other.owner)] == [True, True]
        assert not await mine.alive(other.owner)
        assert rows(url, "SELECT owner FROM processes") == [(mine.owner,)]


async def test_a_process_that_leaves_work_behind_leaves_its_sign_until_it_is_forgotten(url: str) -> None:
    async with ServerPresence(server_url(url)) as mine:
        async with ServerPresence(server_url(url)) as other:
            other.unfinished = True
        assert not await mine.alive(other.owner)
        assert len(rows(url, "SELECT owner FROM processes")) == 2
        await mine.forget_the_dead()
        assert rows(url, "SELECT owner FROM processes") == [(mine.owner,)]


async def test_a_process_that_cannot_beat_is_taken_for_dead_and_knows_it(url: str) -> None:
    async with ServerPresence(server_url(url), beat=3600, alive=0.0) as frozen:
        async with ServerPresence(server_url(url), alive=0.0) as other:
            assert not await other.alive(frozen.owner)
        assert frozen.lapsed
    async with ServerPresence(server_url(url)) as lively:
        assert not lively.lapsed


async def test_a_file_has_no_presence_of_its_own(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.presence is None


# the same searches on both

ALPHABET = "aAbBéÉÅñçßşİøł żž 赤い猫カー고양이𠮷 яйЁ 12²½ -_.,:'\"()*/&|!<>\\"


async def test_a_search_means_the_same_on_both(url: str, tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger.db") as file, open_ledger(url) as server:

        async def both(prompts: list[str], text: str) -> tuple[list[int], list[int]]:
            items = [item(number, prompt=prompt or "x") for number, prompt in enumerate(prompts)]
            await asyncio.gather(file.filing.add(items), server.filing.add(items))
            query = ItemQuery(query=text)
            pages = [await ledger.items.search(query) for ledger in (file, server)]
            for one in items:
                await asyncio.gather(file.filing.remove(one.id), server.filing.remove(one.id))
            return [one.seed for one in pages[0].items], [one.seed for one in pages[1].items]

        texts = st.text(st.sampled_from(ALPHABET), max_size=14)

        @settings(max_examples=40, deadline=None)
        @given(prompts=st.lists(texts, min_size=1, max_size=4), text=texts, piece=st.integers(0, 12))
        def compare(prompts: list[str], text: str, piece: int) -> None:
            for wanted in (text, prompts[0][piece:][:4]):
                of_file, of_server = asyncio.run_coroutine_threadsafe(both(prompts, wanted), loop).result(30)
                assert of_file == of_server

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(compare)


async def test_what_sqlite_can_hold_the_server_can_too(url: str) -> None:
    odd = item(1, prompt="nul \0 in a prompt", score=float("nan"), facts={"nan": float("nan"), "nul": "\0"})
    async with open_ledger(url) as ledger:
        await file_items(ledger, odd)

        assert await found(ledger, query="nul prompt") == [1]
        assert await ledger.items.get("\0") is None
