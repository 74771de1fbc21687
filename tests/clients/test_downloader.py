"""The downloader against real servers on loopback that behave as badly as real ones."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clients import downloader
from clients.downloader import Downloader
from tests.file_server import Asked, FileServer
from workflows.downloads.fetching import Arrived
from workflows.errors import (
    AccessDenied,
    BadRecipe,
    NotFound,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
    StorageError,
)
from workflows.types import Offer

ROOT = Path(__file__).parents[2]
CONTENT = random.Random(5).randbytes(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
NOTHING: dict[str, str] = {}
KEY = {"Authorization": "Bearer secret"}


def offer(server: FileServer, **other: object) -> Offer:
    told: dict[str, object] = {"size": len(CONTENT), "sha256": SHA} | other
    return Offer.checked(reference="civitai:1@2", source="civitai", name="m.safetensors", url=server.url, **told)


class Pauses:
    """Stands for sleep: takes no time and remembers."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def roomy(_: Path) -> int:
    return 1 << 50


def narrow(_: Path) -> int:
    return downloader.RESERVE + 100


def fetcher(**other: Any) -> Downloader:
    told: dict[str, Any] = {"pause": Pauses(), "free": roomy}
    return Downloader(**told | other)


def ignored(_: Arrived) -> None:
    pass


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models" / "m.safetensors"


async def test_a_file_arrives_whole_under_its_name_and_nothing_else_stays(path: Path) -> None:
    heard: list[Arrived] = []
    async with FileServer(CONTENT) as server:
        told = await fetcher().fetch(offer(server), {}, path, heard.append)
    assert told == SHA and path.read_bytes() == CONTENT
    assert left(path.parent) == ["m.safetensors"]
    assert heard[-1].received == heard[-1].size == len(CONTENT)
    assert [one.received for one in heard] == sorted(one.received for one in heard) and len(heard) >= 3


async def test_a_cut_download_goes_on_where_it_was(path: Path) -> None:
    async with FileServer(CONTENT, cuts=deque([1_200_000, 700_000])) as server:
        told = await fetcher().fetch(offer(server), {}, path, ignored)
    assert told == SHA and path.read_bytes() == CONTENT
    assert server.asked == [
        Asked("127.0.0.1"),
        Asked("127.0.0.1", "bytes=1200000-", '"one"'),
        Asked("127.0.0.1", "bytes=1900000-", '"one"'),
    ]


async def test_a_silent_connection_is_given_up_and_the_download_goes_on(path: Path) -> None:
    async with FileServer(CONTENT, silences=deque([500_000])) as server:
        told = await fetcher(read_timeout=0.3).fetch(offer(server), {}, path, ignored)
    assert told == SHA
    assert [one.range for one in server.asked] == [None, "bytes=500000-"]


async def test_a_server_that_ignores_ranges_is_read_from_the_beginning(path: Path) -> None:
    async with FileServer(CONTENT, ranges=False, cuts=deque([1_000_000])) as server:
        assert await fetcher().fetch(offer(server), {}, path, ignored) == SHA
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("sha256", [SHA, ""])
async def test_another_version_at_the_server_is_not_sewn_to_the_first(path: Path, sha256: str) -> None:
    old = bytes(len(CONTENT))
    async with FileServer(old, etag='W/"zero"', cuts=deque([1_000_000])) as server:
        pauses = Pauses()

        async def renewed(seconds: float) -> None:
            await pauses(seconds)
            server.content, server.etag = CONTENT, 'W/"one"'

        told = await fetcher(pause=renewed).fetch(offer(server, sha256=sha256), {}, path, ignored)
    assert told == SHA and path.read_bytes() == CONTENT
    assert [one.if_range for one in server.asked] == [None, None, None]


async def test_a_shorter_file_at_the_server_is_fetched_anew(path: Path) -> None:
    async with FileServer(CONTENT + bytes(900), etag="", cuts=deque([3_000_800])) as server:

        async def shortened(_: float) -> None:
            server.content = CONTENT

        told = await fetcher(pause=shortened).fetch(offer(server), {}, path, ignored)
    assert told == SHA
    assert [one.range for one in server.asked] == [None, "bytes=3000800-", None]


async def test_the_key_stays_with_its_host_and_an_address_that_ran_out_is_asked_for_again(path: Path) -> None:
    async with FileServer(CONTENT, elsewhere=True, cuts=deque([1_000_000])) as server:
        assert await fetcher().fetch(offer(server), KEY, path, ignored) == SHA
    assert server.asked == [
        Asked("127.0.0.1", None, None, "Bearer secret"),
        Asked("localhost"),
        Asked("127.0.0.1", "bytes=1000000-", '"one"', "Bearer secret"),
        Asked("localhost", "bytes=1000000-", '"one"'),
    ]


async def test_an_address_that_ran_out_at_once_is_not_taken_for_a_missing_key(path: Path) -> None:
    async with FileServer(CONTENT, elsewhere=True, stale=2) as server:
        assert await fetcher().fetch(offer(server), KEY, path, ignored) == SHA
    assert [one.host for one in server.asked] == ["127.0.0.1", "localhost"] * 3


async def test_the_wrong_hash_is_said_and_nothing_stays(path: Path) -> None:
    async with FileServer(CONTENT) as server:
        with pytest.raises(ServiceError, match=r"SHA-256 of 'm.safetensors' is .* thrown away"):
            await fetcher().fetch(offer(server, sha256="0" * 64), {}, path, ignored)
    assert left(path.parent) == [] and len(server.asked) == 1


async def test_a_part_that_the_disk_spoilt_is_fetched_anew_once(path: Path) -> None:
    async with FileServer(CONTENT, cuts=deque([1_000_000])) as server:
        await interrupted(server, path)
        part = path.with_name("m.safetensors.part")
        part.write_bytes(bytes(part.stat().st_size))
        assert await fetcher().fetch(offer(server), {}, path, ignored) == SHA
    assert [one.range for one in server.asked] == [None, "bytes=1000000-", None]


async def interrupted(server: FileServer, path: Path) -> None:
    """Begin, and be cancelled at the first cut."""

    async def cancelled(_: float) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await fetcher(pause=cancelled).fetch(offer(server), {}, path, ignored)


async def test_a_cancelled_download_keeps_what_it_has_and_can_be_discarded(path: Path) -> None:
    async with FileServer(CONTENT, cuts=deque([1_000_000])) as server:
        await interrupted(server, path)
        assert left(path.parent) == ["m.safetensors.part", "m.safetensors.part.json"]
        assert (path.parent / "m.safetensors.part").read_bytes() == CONTENT[:1_000_000]
        told = json.loads((path.parent / "m.safetensors.part.json").read_text())
        assert told == {
            "reference": "civitai:1@2",
            "url": server.url,
            "size": len(CONTENT),
            "sha256": SHA,
            "etag": '"one"',
        }
    await fetcher().discard(path)
    assert left(path.parent) == []


@pytest.mark.parametrize("changed", [{"sha256": "1" * 64}, {"size": len(CONTENT) - 1}, {"reference": "civitai:9@9"}])
async def test_a_part_of_another_file_is_not_gone_on_with(path: Path, changed: dict[str, object]) -> None:
    async with FileServer(CONTENT, cuts=deque([1_000_000])) as server:
        await interrupted(server, path)
        other = offer(server).but(**changed)
        if "sha256" in changed:
            with pytest.raises(ServiceError):
                await fetcher().fetch(other, {}, path, ignored)
        else:
            await fetcher().fetch(other, {}, path, ignored)
    assert [one.range for one in server.asked] == [None, None]


async def test_a_whole_part_is_only_checked_and_not_asked_for(path: Path) -> None:
    async with FileServer(CONTENT, cuts=deque([1_000_000])) as server:
        await interrupted(server, path)
        path.with_name("m.safetensors.part").write_bytes(CONTENT)
        assert await fetcher().fetch(offer(server), {}, path, ignored) == SHA
        assert len(server.asked) == 1
        path.with_name("m.safetensors.part").write_bytes(CONTENT)
        path.with_name("m.safetensors.part.json").write_text(
            json.dumps({"reference": "civitai:1@2", "sha256": "", "size": None, "etag": ""})
        )
        bare = offer(server, sha256="", size=None)
        assert await fetcher().fetch(bare, {}, path, ignored) == SHA
    assert server.asked[1:] == [Asked("127.0.0.1", f"bytes={len(CONTENT)}-")]


async def test_a_process_killed_in_the_middle_is_gone_on_from(path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from clients.downloader import Downloader
from workflows.types import Offer

offer = Offer.model_validate_json(sys.argv[1])
asyncio.run(Downloader().fetch(offer, {}, Path(sys.argv[2]), lambda arrived: print(arrived.received, flush=True)))
"""
    async with FileServer(CONTENT, silences=deque([2_200_000])) as server:
        wanted = offer(server)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            wanted.model_dump_json(),
            str(path),
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        reached = 0
        while reached < 2_000_000:
            reached = int(await asyncio.wait_for(process.stdout.readline(), 60))
        with pytest.raises(StorageError, match="another Atelier process"):
            await fetcher().fetch(wanted, {}, path, ignored)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        assert await fetcher().fetch(wanted, {}, path, ignored) == SHA
    assert path.read_bytes() == CONTENT
    assert server.asked[1].range == f"bytes={reached}-"
    assert left(path.parent) == ["m.safetensors"]


async def test_a_server_that_brings_nothing_is_given_up_with_longer_and_longer_pauses(path: Path) -> None:
    pauses = Pauses()
    async with FileServer(CONTENT, instead=deque([(503, NOTHING)] * 9)) as server:
        with pytest.raises(ServiceUnavailable, match="answered 503"):
            await fetcher(pause=pauses).fetch(offer(server), {}, path, ignored)
    assert pauses.seconds == [1.0, 2.0, 4.0, 8.0]


async def test_cuts_that_bring_something_are_no_reason_to_give_up(path: Path) -> None:
    async with FileServer(CONTENT, cuts=deque([100_000] * 20)) as server:
        assert await fetcher().fetch(offer(server), {}, path, ignored) == SHA
    assert len(server.asked) == 21


async def test_the_pause_is_as_long_as_the_server_asks_for(path: Path) -> None:
    pauses = Pauses()
    async with FileServer(CONTENT, instead=deque([(429, {"Retry-After": "7"})])) as server:
        assert await fetcher(pause=pauses).fetch(offer(server), {}, path, ignored) == SHA
        server.instead.extend([(429, {"Retry-After": "3600"})] * 9)
        with pytest.raises(RateLimited, match="3600"):
            await fetcher(pause=pauses).fetch(offer(server), {}, path.with_name("n"), ignored)
    assert pauses.seconds == [7.0, 60.0, 60.0, 60.0, 60.0]


async def test_a_server_that_is_not_there_is_said(path: Path) -> None:
    async with FileServer(CONTENT) as server:
        gone = offer(server)
    with pytest.raises(ServiceUnavailable, match="could not be reached"):
        await fetcher().fetch(gone, {}, path, ignored)


@pytest.mark.parametrize(("headers", "words"), [({}, "set CIVITAI_API_KEY"), (KEY, "CIVITAI_API_KEY is not let in")])
@pytest.mark.parametrize("status", [401, 403])
async def test_no_entry_names_the_setting_of_the_key(
    path: Path, status: int, headers: dict[str, str], words: str
) -> None:
    async with FileServer(CONTENT, instead=deque([(status, {"X-Error-Message": "Access is restricted."})])) as server:
        with pytest.raises(AccessDenied, match=rf"Access is restricted\): .*{words}") as caught:
            await fetcher().fetch(offer(server), headers, path, ignored)
    assert caught.value.setting == "CIVITAI_API_KEY"
    assert "secret" not in str(caught.value)


async def test_a_login_page_instead_of_the_file_is_told_as_a_missing_key(path: Path) -> None:
    async with FileServer(b"<html>login</html>", media_type="text/html; charset=utf-8") as server:
        with pytest.raises(AccessDenied, match=r"web page.*set CIVITAI_API_KEY"):
            await fetcher().fetch(offer(server), {}, path, ignored)


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (410, NotFound), (400, ServiceError)])
async def test_other_answers_are_not_tried_again(path: Path, status: int, error: type[Exception]) -> None:
    async with FileServer(CONTENT, instead=deque([(status, {})])) as server:
        with pytest.raises(error):
            await fetcher().fetch(offer(server), {}, path, ignored)
    assert len(server.asked) == 1


@pytest.mark.parametrize("extra", [-5_000, 5_000])
@pytest.mark.parametrize("length", [True, False])
async def test_more_or_fewer_bytes_than_the_catalogue_says_are_refused(path: Path, extra: int, length: bool) -> None:
    async with FileServer(CONTENT, length=length) as server:
        with pytest.raises(ServiceError, match="bytes"):
            await fetcher().fetch(offer(server, size=len(CONTENT) - extra, sha256=""), {}, path, ignored)
    assert not path.exists()


async def test_a_catalogue_that_counts_in_kibibytes_is_believed_roughly(path: Path) -> None:
    async with FileServer(CONTENT) as server:
        assert await fetcher().fetch(offer(server, size=len(CONTENT) + 1000), {}, path, ignored) == SHA


async def test_an_answer_without_length_is_read_to_its_end(path: Path) -> None:
    async with FileServer(CONTENT, length=False) as server:
        assert await fetcher().fetch(offer(server, size=None, sha256=""), {}, path, ignored) == SHA


async def test_a_disk_with_too_little_room_is_said_before_anything_is_asked_for(path: Path) -> None:
    async with FileServer(CONTENT) as server:
        with pytest.raises(StorageError, match=r"needs 0.00 GB more .* has 0.27 GB free"):
            await fetcher(free=narrow).fetch(offer(server), {}, path, ignored)
        assert server.asked == []
        with pytest.raises(StorageError):
            unsaid = offer(server, size=None, sha256="")
            await fetcher(free=narrow).fetch(unsaid, {}, path, ignored)
    assert len(server.asked) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
async def test_a_disk_that_fills_up_is_said_and_the_part_stays(path: Path) -> None:
    path.parent.mkdir()
    part = path.with_name("m.safetensors.part")
    part.symlink_to("/dev/full")
    path.with_name("m.safetensors.part.json").write_text(
        json.dumps({"reference": "civitai:1@2", "sha256": SHA, "size": len(CONTENT)})
    )
    async with FileServer(CONTENT) as server:
        with pytest.raises(StorageError, match=r"is full. What arrived of 'm.safetensors' is kept"):
            await fetcher().fetch(offer(server), {}, path, ignored)
    assert part.is_symlink()


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file, no folder")
    async with FileServer(CONTENT) as server:
        with pytest.raises(StorageError, match="choose another destination"):
            await fetcher().fetch(offer(server), {}, tmp_path / "models" / "m.safetensors", ignored)


async def test_the_first_bytes_decide_whether_the_rest_is_wanted(path: Path) -> None:
    seen: list[bytes] = []

    def unwanted(first: bytes) -> None:
        seen.append(first)
        raise BadRecipe("reference", "m.safetensors", "it is no model")

    async with FileServer(CONTENT) as server:
        with pytest.raises(BadRecipe):
            await fetcher().fetch(offer(server), {}, path, ignored, unwanted)
    assert seen == [CONTENT[:16]] and left(path.parent) == []


async def test_the_speed_is_that_of_the_last_seconds(path: Path) -> None:
    moments = iter([0.0, 1.0, 2.0, 20.0, 21.0, 22.0, 23.0, 24.0])
    heard: list[Arrived] = []
    async with FileServer(CONTENT, cuts=deque([1_000_000, 1_000_000])) as server:
        await fetcher(clock=lambda: next(moments)).fetch(offer(server), {}, path, heard.append)
    assert [(one.received, one.speed, one.seconds_left) for one in heard] == [
        (1_000_000, None, None),
        (2_000_000, 1_000_000.0, 1.0),
        (3_000_000, 1_000_000.0, 0.0),
    ]


class Whole(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield CONTENT


def redirecting(where: str) -> Callable[[], httpx2.AsyncBaseTransport]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "civitai.example":
            return httpx2.Response(307, headers={"Location": where})
        return httpx2.Response(200, stream=Whole())

    return lambda: httpx2.MockTransport(answer)


@pytest.mark.parametrize(
    ("where", "taken"),
    [
        ("https://files.example/m", True),
        ("http://127.0.0.1/m", True),
        ("http://localhost/m", True),
        ("http://files.example/m", False),
        ("http://127.0.0.1.example/m", False),
    ],
)
async def test_a_redirect_away_from_https_is_refused(path: Path, where: str, taken: bool) -> None:
    wanted = Offer(
        reference="civitai:1@2", source="civitai", name="m.safetensors", url="https://civitai.example/m", sha256=SHA
    )
    fetch = fetcher(transport=redirecting(where)).fetch(wanted, {}, path, ignored)
    if taken:
        assert await fetch == SHA
    else:
        with pytest.raises(ServiceError, match="redirects from https to http"):
            await fetch


async def test_endless_redirects_come_to_an_end(path: Path) -> None:
    wanted = Offer(reference="x", source="civitai", name="m.safetensors", url="https://civitai.example/m")
    with pytest.raises(ServiceError, match="more than 10 times"):
        await fetcher(transport=redirecting("https://civitai.example/m")).fetch(wanted, {}, path, ignored)
