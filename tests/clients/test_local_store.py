"""LocalStore: whole files or none, and nothing outside the root."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.local_store import LocalStore
from workflows.errors import NotFound, StorageError
from workflows.types import Location, Media

KEY = "jobs/0b9c/1/1.png"
PICTURE = Media(data=b"\x89PNG and so on", media_type="image/png")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "pictures")


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_what_is_put_is_got_and_located(store: LocalStore, tmp_path: Path) -> None:
    await store.put(KEY, PICTURE)

    path = tmp_path / "pictures" / KEY
    assert await store.get(KEY) == PICTURE
    assert await store.locate(KEY) == Location(path=str(path), url=path.as_uri())
    assert files_below(tmp_path / "pictures") == [KEY]


async def test_a_second_put_replaces_the_first(store: LocalStore) -> None:
    await store.put(KEY, PICTURE)
    await store.put(KEY, Media(data=b"new", media_type="image/png"))

    assert (await store.get(KEY)).data == b"new"


async def test_deleting_removes_the_file_and_its_empty_folders_but_no_neighbour(
    store: LocalStore, tmp_path: Path
) -> None:
    await store.put(KEY, PICTURE)
    await store.put("jobs/0b9c/source.png", PICTURE)
    await store.delete(KEY)
    await store.delete(KEY)

    assert await store.keys("") == ["jobs/0b9c/source.png"]
    assert not (tmp_path / "pictures/jobs/0b9c/1").exists()


async def test_keys_are_those_that_start_with_the_prefix(store: LocalStore) -> None:
    for key in ("a/1/1.png", "a/1/2.png", "a/10/1.png", "b/1.png"):
        await store.put(key, PICTURE)

    assert await store.keys("a/1") == ["a/1/1.png", "a/1/2.png", "a/10/1.png"]
    assert await store.keys("a/1/") == ["a/1/1.png", "a/1/2.png"]
    assert await store.keys("../") == []
    assert await store.keys("missing/x") == []


async def test_a_missing_file_is_not_found_and_the_text_says_where_it_was_looked_for(
    store: LocalStore, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match=str(tmp_path / "pictures" / KEY)):
        await store.get(KEY)


@pytest.mark.parametrize(
    "key",
    [
        *("", "/etc/passwd", "..", "../x.png", "a/../../x.png", "a//b.png", "a/./b.png", ".incoming/x.tmp", ".hidden"),
        *("a\\b.png", "C:/x.png", "a/b.png\n", "a\0b", "nul", "a/CON.png", "com1.tar.gz", "end.", "end ", "ü.png"),
        *("a/" * 250 + "x", "x" * 121),
    ],
)
async def test_a_key_that_could_leave_the_root_is_refused_everywhere(store: LocalStore, key: str) -> None:
    for call in (store.put(key, PICTURE), store.get(key), store.delete(key), store.locate(key)):
        with pytest.raises(StorageError, match="cannot be a storage key"):
            await call


@settings(max_examples=200, deadline=None)
@given(key=st.text(alphabet="a.b/\\-_ ~:\0\n", max_size=12))
def test_every_key_stays_below_the_root_or_is_refused(tmp_path_factory: pytest.TempPathFactory, key: str) -> None:
    root = tmp_path_factory.getbasetemp() / "fuzzed"
    try:
        location = asyncio.run(LocalStore(root).locate(key))
    except StorageError:
        return
    assert Path(str(location.path)).resolve().is_relative_to(root.resolve())


@pytest.mark.parametrize("link", ["jobs", "jobs/0b9c/1/1.png"])
async def test_a_symbolic_link_leads_nowhere(store: LocalStore, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside" / "0b9c" / "1"
    outside.mkdir(parents=True)
    (outside / "1.png").write_bytes(b"secret")
    place = tmp_path / "pictures" / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / "outside" if link == "jobs" else outside / "1.png")

    for call in (store.put(KEY, PICTURE), store.get(KEY), store.delete(KEY)):
        with pytest.raises(StorageError, match="symbolic link"):
            await call
    assert (outside / "1.png").read_bytes() == b"secret"


async def test_only_stale_unfinished_files_are_swept_when_the_store_opens(store: LocalStore, tmp_path: Path) -> None:
    incoming = tmp_path / "pictures" / ".incoming"
    incoming.mkdir(parents=True)
    for name, age in (("dead.tmp", 7200), ("alive.tmp", 5)):
        (incoming / name).write_bytes(b"half")
        os.utime(incoming / name, (time.time() - age, time.time() - age))

    assert await store.keys("") == []
    assert files_below(incoming) == ["alive.tmp"]


async def test_a_root_that_cannot_be_made_names_the_path_and_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")

    with pytest.raises(StorageError, match=r"kept in .*file/pictures.*set ATELIER_HOME"):
        await LocalStore(tmp_path / "file" / "pictures").put(KEY, PICTURE)


FULL_DISK = """
import asyncio, pathlib, resource, sys
from clients.local_store import LocalStore
from workflows.errors import StorageError
from workflows.types import Media

async def main():
    store = LocalStore(pathlib.Path(sys.argv[1]))
    await store.put("a/1.png", Media(data=b"old", media_type="image/png"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        await store.put("a/1.png", Media(data=bytes(5000), media_type="image/png"))
    except StorageError as error:
        sys.stdout.write(f"{error}\\n{(await store.get('a/1.png')).data}")

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file size limit")
def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_half_written(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, encoding="utf-8", check=True
    )

    assert "could not be written to" in done.stdout
    assert done.stdout.endswith("b'old'")
    assert files_below(tmp_path) == ["a/1.png"]


async def test_puts_and_deletes_side_by_side_lose_nothing(store: LocalStore) -> None:
    async def put_and_delete(number: int) -> None:
        await store.put(f"shared/{number}.png", PICTURE)
        await store.delete(f"shared/{number}.png")
        await store.put(f"shared/{number}.png", PICTURE)

    await asyncio.gather(*(put_and_delete(number) for number in range(20)))
    assert len(await store.keys("shared/")) == 20
