"""Moving a gallery: verified, resumable, and nothing is removed that was not seen in its new place."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner

from clients.bucket_store import StraightStore
from clients.cli.console import Parts
from clients.cli.moving import migrate_command
from clients.local_store import LocalStore
from tests.services.s3 import BOTH, S3Server, named
from workflows.app import App
from workflows.errors import BadRecipe, NotFound, StorageError
from workflows.moving import Migration, Moved, moved
from workflows.types import Location, Media

KEYS = [f"{job}/1/{number}.png" for job in ("0b9c", "trash/1f2e") for number in range(3)]


def media(text: str) -> Media:
    return Media(data=text.encode(), media_type="image/png")


class Shelf:
    """A Store in memory that can refuse, and damage, what it is given."""

    def __init__(self, *keys: str) -> None:
        self.files = {key: media(key) for key in keys}
        self.refused: Callable[[str], bool] = lambda key: False
        self.damaged: set[str] = set()
        self.written: list[str] = []

    async def put(self, key: str, media: Media) -> None:
        if self.refused(key):
            raise StorageError(f"{key} is not taken.")
        self.written.append(key)
        self.files[key] = Media(data=b"?", media_type="image/png") if key in self.damaged else media

    async def get(self, key: str) -> Media:
        if key not in self.files:
            raise NotFound("file", key)
        return self.files[key]

    async def delete(self, key: str) -> None:
        self.files.pop(key, None)

    async def locate(self, key: str) -> Location:
        return Location(path=None, url=f"shelf:{key}")

    async def keys(self, prefix: str) -> Sequence[str]:
        return sorted(key for key in self.files if key.startswith(prefix))


async def test_everything_is_copied_and_the_source_stays() -> None:
    source, target, heard = Shelf(*KEYS), Shelf(), list[tuple[int, int]]()
    told = await moved(source, target, KEYS, report=lambda done, total, _: heard.append((done, total)))

    size = sum(len(key) for key in KEYS)
    assert told == Moved(total=6, copied=6, bytes=size) and told.whole
    assert target.files == source.files == {key: media(key) for key in KEYS}
    assert heard == [(number, 6) for number in range(1, 7)]


async def test_what_is_there_is_passed_over_and_what_differs_is_written_anew() -> None:
    source, target = Shelf(*KEYS), Shelf(*KEYS[:4])
    target.files[KEYS[0]] = media("half")
    told = await moved(source, target, KEYS, remove=True)

    assert sorted(target.written) == sorted([KEYS[0], *KEYS[4:]])
    assert (told.copied, told.there, told.removed, source.files) == (3, 3, 6, {})
    assert target.files == {key: media(key) for key in KEYS}


async def test_nothing_is_removed_that_did_not_arrive_whole() -> None:
    source, target = Shelf(*KEYS), Shelf()
    target.damaged, target.refused = {KEYS[0]}, lambda key: key == KEYS[1]
    told = await moved(source, target, [*KEYS, "gone/1.png"], remove=True)

    assert told.failures == {
        KEYS[0]: f"{KEYS[0]} is not the same in the target after it was copied; try again.",
        KEYS[1]: f"{KEYS[1]} is not taken.",
        "gone/1.png": "There is no file 'gone/1.png'.",
    }
    assert sorted(source.files) == sorted(KEYS[:2])
    assert (told.copied, told.removed, told.whole) == (4, 4, False)


async def test_a_target_that_takes_nothing_ends_the_move_and_the_next_run_goes_on() -> None:
    keys = [f"a/{number:03}.png" for number in range(60)]
    source, target = Shelf(*keys), Shelf()
    target.refused = lambda key: len(target.files) >= 20
    first = await moved(source, target, keys)
    assert first.copied == 20 and first.untried > 0
    assert first.copied + len(first.failures) + first.untried == 60

    target.refused = lambda key: False
    second = await moved(source, target, keys)
    assert (second.there, second.copied, second.whole, len(target.files)) == (20, 40, True, 60)


@pytest.fixture(params=BOTH)
def server(request: pytest.FixtureRequest) -> S3Server:
    return named(request.param)


async def test_a_local_gallery_goes_into_a_bucket_and_back(server: S3Server, tmp_path: Path) -> None:
    here, back = LocalStore(tmp_path / "pictures"), LocalStore(tmp_path / "back")
    for key in KEYS:
        await here.put(key, media(key * 1000))
    async with server.client() as client:
        there = StraightStore(client)
        await client.put(KEYS[0], b"of somebody else", "image/png")
        told = await moved(here, there, await here.keys(""), remove=True)
        assert (told.copied, told.removed, await here.keys("")) == (6, 6, [])
        again = await moved(there, there, await there.keys(""))
        assert (again.there, again.copied) == (6, 0)

        await moved(there, back, await there.keys(""), remove=True)
        assert await there.keys("") == []
    assert [(await back.get(key)).data for key in KEYS] == [(key * 1000).encode() for key in KEYS]


def command(migration: Callable[[str], Migration]) -> typer.Typer:
    """The command line with this one command, on an app that can do no more than that."""

    @asynccontextmanager
    async def open_app() -> AsyncGenerator[App]:
        yield cast(App, SimpleNamespace(migration=migration))

    opened = cast(Callable[[], AbstractAsyncContextManager[App]], open_app)
    parts = Parts(open_app=opened, examine=list, serve=lambda words: None, version="0")
    cli = typer.Typer()
    cli.command()(migrate_command(parts))
    return cli


def run(source: Shelf, target: Shelf, *words: str) -> tuple[int, str, str]:
    plan = Migration(source=source, target=target, source_name="this machine", target_name="http://s3/comfy-gen")
    done = CliRunner().invoke(command(lambda to: plan), ["--to", "s3", *words])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_tells_what_was_copied() -> None:
    source, target = Shelf(*KEYS), Shelf(KEYS[0])

    assert run(source, target, "--remove") == (
        0,
        "5 of 6 files copied from this machine to http://s3/comfy-gen (0.0 MB), 1 were there\n"
        "6 removed from this machine\n",
        "",
    )
    assert source.files == {}


def test_the_command_names_failures_and_fails() -> None:
    target = Shelf()
    target.refused = lambda key: key == KEYS[1]
    code, _, words = run(Shelf(*KEYS), target)
    assert (code, words) == (
        1,
        f"{KEYS[1]}: {KEYS[1]} is not taken.\n1 failed. The same command goes on after what is done.\n",
    )

    code, answer, _ = run(Shelf(*KEYS), target, "--json")
    told: dict[str, Any] = json.loads(answer)
    assert (code, told["failures"], told["there"], told["to"]) == (
        1,
        {KEYS[1]: f"{KEYS[1]} is not taken."},
        5,
        "http://s3/comfy-gen",
    )


def test_without_an_object_store_the_command_says_which_setting_is_missing() -> None:
    def none(to: str) -> Migration:
        raise BadRecipe("to", to, "set MINIO_ENDPOINT first")

    done = CliRunner().invoke(command(none), ["--to", "s3"])
    assert (done.exit_code, done.stderr) == (2, "Error: to cannot be 's3': set MINIO_ENDPOINT first.\n")
