"""Downloads as jobs: real transfers on loopback into real folders; sources and the index are fakes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.downloader import Downloader
from tests.file_server import FileServer
from tests.workflows.download_kit import DIT, LARGE, LORA, Desk, Folders, Hub, desk, offer, plenty
from workflows.downloads import Downloads
from workflows.downloads.log import DownloadLog, Entry
from workflows.errors import BadRecipe, NotFound, StudioError
from workflows.types import Download, ModelInfo, Offer, Progress

ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------------- what comes of a download


async def test_a_lora_lands_in_its_folder_with_its_side_car_and_is_indexed(tmp_path: Path) -> None:
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA, side_car='{"id": 1}'))
        async with it.downloads:
            done = await it.fetched()
    path = it.root / "loras" / "neon.safetensors"
    assert it.here() == {"loras/neon.safetensors": LORA, "loras/neon.civitai.info": b'{"id": 1}'}
    assert (done.state, done.path, done.received, done.fault, done.note) == (
        "succeeded",
        str(path),
        len(LORA),
        "",
        "",
    )
    assert done.info is not None and done.info.name == "neon.safetensors" and it.files.scans == 1


async def test_the_header_decides_the_folder_and_not_the_catalogue(tmp_path: Path) -> None:
    async with FileServer(DIT) as server:
        it = desk(tmp_path, offer(server.url, DIT, "flux.safetensors", kind="Checkpoint"))
        async with it.downloads:
            plan = await it.downloads.plan("civitai:1")
            done = await it.fetched()
    assert plan.folder == str(it.root / "checkpoints")
    assert it.here() == {"diffusion_models/flux.safetensors": DIT}
    assert done.path == str(it.root / "diffusion_models/flux.safetensors")


@pytest.mark.parametrize(
    ("name", "folder"),
    [("flux1-dev-Q4_K_S.gguf", "diffusion_models"), ("t5-v1_1-xxl-encoder-Q8_0.gguf", "text_encoders")],
)
async def test_gguf_files_go_where_their_names_say(tmp_path: Path, name: str, folder: str) -> None:
    content = b"GGUF" + bytes(500)
    async with FileServer(content) as server:
        it = desk(tmp_path, offer(server.url, content, name, kind="Checkpoint"))
        async with it.downloads:
            await it.fetched()
    assert it.here() == {f"{folder}/{name}": content}


async def test_a_destination_is_one_of_the_model_roots(tmp_path: Path) -> None:
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA))
        async with it.downloads:
            with pytest.raises(BadRecipe, match="destination cannot be"):
                await it.downloads.plan("civitai:1", None, str(tmp_path))
            await it.fetched(destination=str(it.root / "more"))
    assert it.here() == {"more/loras/neon.safetensors": LORA}


async def test_the_same_file_is_not_fetched_twice(tmp_path: Path) -> None:
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA))
        async with it.downloads:
            first = await it.fetched()
            plan = await it.downloads.plan("civitai:1")
            again = await it.fetched()
        assert len(server.asked) == 1
    assert (plan.installed, plan.needs_consent) == (first.path, False)
    assert (again.state, again.path, again.info) == ("succeeded", first.path, first.info)
    assert again.note == "The same file was here already."


async def test_a_file_that_is_there_under_that_name_is_only_checked(tmp_path: Path) -> None:
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA))
        async with it.downloads:
            plan = await it.downloads.plan("civitai:1")
            (it.root / "loras").mkdir(parents=True)
            (it.root / "loras" / "neon.safetensors").write_bytes(LORA)
            done = await it.downloads.wait((await it.downloads.start(plan)).id, 60)
        assert server.asked == []
    assert (done.state, done.note) == ("succeeded", "The same file was here already.")


async def test_another_file_of_that_name_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "loras"
    folder.mkdir(parents=True)
    (folder / "neon.safetensors").write_bytes(b"mine")
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA))
        async with it.downloads:
            done = await it.fetched()
    name = f"neon-{hashlib.sha256(LORA).hexdigest()[:8]}.safetensors"
    assert it.here() == {"loras/neon.safetensors": b"mine", f"loras/{name}": LORA}
    assert done.note == f"Another file had the name neon.safetensors, so this one is {name}."


async def test_an_index_that_is_locked_is_no_reason_to_lose_the_file(tmp_path: Path) -> None:
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA))
        it.files.broken = True
        async with it.downloads:
            done = await it.fetched()
    assert (done.state, done.info, done.note) == ("succeeded", None, "It is not indexed yet: The index is locked.")


async def test_whoever_keeps_a_list_of_models_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA), changed=lambda: told.append(1))
        async with it.downloads:
            await it.fetched()
    assert told == [1]


# ---------------------------------------------------------------------- jobs


async def test_progress_is_told_as_of_a_job(tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with FileServer(LARGE, cuts=deque([1_000_000, 1_000_000])) as server:
        it = desk(tmp_path, offer(server.url, LARGE))
        async with it.downloads:
            started = await it.downloads.start(await it.downloads.plan("civitai:1"))
            await it.downloads.wait(started.id, 60, heard.append)
    shares = [one.fraction for one in heard]
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] == 1.0 and len(set(shares)) >= 3
    assert heard[-1].message == "neon.safetensors: succeeded"


async def test_asking_twice_while_it_runs_is_one_download(tmp_path: Path) -> None:
    async with FileServer(LARGE, silences=deque([1_000_000])) as server:
        it = desk(tmp_path, offer(server.url, LARGE), offer(server.url, LARGE, reference="civitai:other@1"))
        async with it.downloads:
            plan, twin = await it.downloads.plan("civitai:1"), await it.downloads.plan("civitai:2")
            ids = {(await it.downloads.start(one)).id for one in (plan, plan, twin)}
            assert [one.id for one in it.downloads.active()] == [*ids] and len(ids) == 1
        assert len(server.asked) <= 1


async def arrived(it: Desk, download_id: str, least: int) -> None:
    """Wait until so many bytes are here."""
    reached = asyncio.Event()

    def hear(_: Progress) -> None:
        known = it.downloads.known(download_id)
        if known is not None and known.received >= least:
            reached.set()

    waiting = asyncio.create_task(it.downloads.wait(download_id, 60, hear))
    await asyncio.wait_for(reached.wait(), 60)
    waiting.cancel()


async def test_two_run_at_once_and_the_others_wait(tmp_path: Path) -> None:
    async with FileServer(LARGE, silences=deque([1_100_000] * 3)) as server:
        offers = [offer(server.url, LARGE, f"{n}.safetensors", reference=f"civitai:{n}@1", sha256="") for n in range(3)]
        it = desk(tmp_path, *offers)
        async with it.downloads:
            started = [await it.downloads.start(await it.downloads.plan(f"civitai:{n}")) for n in (1, 2, 3)]
            for download in started[:2]:
                await arrived(it, download.id, 1_000_000)
            assert [one.state for one in it.downloads.active()] == ["running", "running", "queued"]
            stopped = await it.downloads.cancel(started[0].id)
            await arrived(it, started[2].id, 1_000_000)
            assert stopped.state == "cancelled"
            assert [one.state for one in it.downloads.active()] == ["running", "running"]


async def test_a_cancelled_download_goes_on_where_it_was_when_it_is_asked_for_again(tmp_path: Path) -> None:
    async with FileServer(LARGE, silences=deque([1_100_000])) as server:
        it = desk(tmp_path, offer(server.url, LARGE))
        async with it.downloads:
            started = await it.downloads.start(await it.downloads.plan("civitai:1"))
            await arrived(it, started.id, 1_000_000)
            stopped = await it.downloads.cancel(started.id)
            assert (stopped.state, it.downloads.active()) == ("cancelled", [])
            assert (await it.downloads.cancel(started.id)).state == "cancelled"
            done = await it.fetched()
        assert done.state == "succeeded" and it.here() == {"loras/neon.safetensors": LARGE}
        assert server.asked[1].range is not None


async def test_what_runs_at_the_end_of_the_process_is_interrupted_and_recovered_under_its_id(tmp_path: Path) -> None:
    async with FileServer(LARGE, silences=deque([1_100_000])) as server:
        it = desk(tmp_path, offer(server.url, LARGE))
        async with it.downloads:
            started = await it.downloads.start(await it.downloads.plan("civitai:1"))
            await arrived(it, started.id, 1_000_000)
        left = desk(tmp_path, offer(server.url, LARGE))
        async with left.downloads:
            known = left.downloads.known(started.id)
            assert known is not None and known.state == "interrupted" and known.received >= 1_000_000
            assert [one.state for one in await left.downloads.recover(resume=False)] == ["interrupted"]
            assert [one.id for one in await left.downloads.recover(resume=True)] == [started.id]
            done = await left.downloads.wait(started.id, 60)
    assert (done.state, done.id, done.created) == ("succeeded", started.id, started.created)
    assert left.here() == {"loras/neon.safetensors": LARGE}


async def test_a_killed_process_leaves_a_download_that_another_goes_on_with(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from tests.workflows.download_kit import desk
from workflows.types import Offer

async def main():
    it = desk(Path(sys.argv[2]), Offer.model_validate_json(sys.argv[1]))
    async with it.downloads:
        started = await it.downloads.start(await it.downloads.plan("civitai:1"))
        heard = lambda _: print(started.id, it.downloads.known(started.id).received, flush=True)
        await it.downloads.wait(started.id, 100, heard)

asyncio.run(main())
"""
    async with FileServer(LARGE, silences=deque([2_200_000])) as server:
        wanted = offer(server.url, LARGE)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, wanted.model_dump_json(), str(tmp_path), cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        told = [b"", b"0"]
        while int(told[1]) < 2_000_000:
            told = (await asyncio.wait_for(process.stdout.readline(), 60)).split()
        download_id = told[0].decode()
        it = desk(tmp_path, wanted)
        async with it.downloads:
            assert await it.downloads.recover(resume=True) == []
            beside = await it.downloads.start(await it.downloads.plan("civitai:1"))
            assert (beside.id, beside.state, it.downloads.active()) == (download_id, "running", [])
            with pytest.raises(BadRecipe, match="another Atelier process"):
                await it.downloads.cancel(download_id)
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
            found = await it.downloads.find(download_id)
            assert found.state == "interrupted" and it.downloads.known(download_id) == found
            done = await it.fetched()
        assert (done.id, done.state) == (download_id, "succeeded")
        assert server.asked[1].range is not None and int(server.asked[1].range[6:-1]) >= 2_000_000
    assert it.here() == {"loras/neon.safetensors": LARGE}


async def test_a_download_that_takes_the_process_down_each_time_is_given_up(tmp_path: Path) -> None:
    async with FileServer(LARGE, silences=deque([1_100_000] * 9)) as server:
        runs = 0
        while True:
            it = desk(tmp_path, offer(server.url, LARGE))
            async with it.downloads:
                if runs == 0:
                    await it.downloads.start(await it.downloads.plan("civitai:1"))
                else:
                    [download] = await it.downloads.recover(resume=True)
                    if download.state == "failed":
                        break
            runs += 1
    assert runs == 5 and "Given up after 5 starts" in download.fault


async def test_a_failed_download_says_why_and_keeps_what_arrived(tmp_path: Path) -> None:
    async with FileServer(LARGE, cuts=deque([1_100_000])) as server:

        async def withdrawn(_: float) -> None:
            server.instead.append((404, {"X-Why": "deleted"}))

        it = desk(tmp_path, offer(server.url, LARGE), fetch=Downloader(pause=withdrawn, free=plenty))
        async with it.downloads:
            failed = await it.fetched()
            assert (failed.state, failed.path) == ("failed", None)
            assert "has it no longer" in failed.fault
            done = await it.fetched()
    assert done.state == "succeeded" and done.id != failed.id
    assert [one.range for one in server.asked] == [None, "bytes=1100000-", "bytes=1100000-"]


async def test_a_download_that_nobody_knows_is_said_with_those_that_are_like_it(tmp_path: Path) -> None:
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA))
        async with it.downloads:
            done = await it.fetched()
            with pytest.raises(NotFound, match=done.id):
                await it.downloads.find(f"{done.id[:-1]}x")
            for name in ("../../etc/passwd", "nothing"):
                with pytest.raises(NotFound):
                    await it.downloads.find(name)
            assert it.downloads.known("nothing") is None


async def test_the_latest_are_listed_newest_first(tmp_path: Path) -> None:
    async with FileServer(LORA) as server:
        offers = [offer(server.url, LORA, f"{n}.safetensors", reference=f"civitai:{n}@1", sha256="") for n in range(3)]
        it = desk(tmp_path, *offers)
        async with it.downloads:
            ids = [(await it.fetched(f"civitai:{n}")).id for n in (1, 2, 3)]
            assert [one.id for one in await it.downloads.recent(2)] == [ids[2], ids[1]]


async def test_a_whole_pipeline_goes_through_its_source(tmp_path: Path) -> None:
    whole = Offer(reference="hf:a/b", source="huggingface", name="b", url="", size=1000, kind="pipeline", family="sdxl")
    hub = Hub({"hf:a/b": whole}, "huggingface", cache=tmp_path / "hub")
    downloads = Downloads(
        sources={"huggingface": hub}, fetch=Downloader(), files=Folders(tmp_path), journal=tmp_path / "home"
    )
    async with downloads:
        plan = await downloads.plan("hf:a/b")
        done = await downloads.wait((await downloads.start(plan)).id, 60)
    assert plan.folder == str(tmp_path / "hub")
    assert (done.state, done.path, done.received) == ("succeeded", str(tmp_path / "hub/snapshots/abc"), 1000)
    assert done.info == ModelInfo(name="a/b", family="sdxl", engine="diffusers", size=1000)


async def test_a_journal_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, no folder")
    async with FileServer(LORA) as server:
        it = desk(tmp_path, offer(server.url, LORA))
        async with it.downloads:
            with pytest.raises(StudioError, match="ATELIER_HOME"):
                await it.downloads.start(await it.downloads.plan("civitai:1"))
            assert it.downloads.active() == []


def test_entries_that_are_written_at_once_do_not_meet(tmp_path: Path) -> None:
    log = DownloadLog(tmp_path)
    entry = Entry(download=Download(reference="civitai:1", offer=offer("http://127.0.0.1:1", b"x")))
    with ThreadPoolExecutor(8) as threads:
        for written in [threads.submit(log.write, entry.but(runs=number)) for number in range(200)]:
            written.result()
    assert log.read(entry.download.id) is not None
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]
