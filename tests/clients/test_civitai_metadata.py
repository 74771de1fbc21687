"""MetadataFetcher: facts of files by hash, from a stand-in and from the cache; side-cars for whole folders."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.civitai_client import MetadataFetcher, Updated
from tests.fake_civitai import Added, FakeCivitAI, in_thread, weights
from workflows.errors import BadRecipe, NotFound, RateLimited, ServiceUnavailable
from workflows.types import ModelDefaults, ModelFacts

HASHES = "/api/v1/model-versions/by-hash/"
DAY = 24 * 3600.0
NOBODY = "0" * 64


@dataclass
class Clock:
    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def fake() -> Iterator[FakeCivitAI]:
    with in_thread(FakeCivitAI()) as fake:
        yield fake


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fetcher(fake: FakeCivitAI, tmp_path: Path, clock: Clock) -> MetadataFetcher:
    return fetcher_of(fake, tmp_path, clock)


def fetcher_of(fake: FakeCivitAI, tmp_path: Path, clock: Clock | None = None) -> MetadataFetcher:
    return MetadataFetcher(tmp_path / "cache", fake.url, min_interval=0, backoff=0, clock=clock or Clock())


def neon(fake: FakeCivitAI, name: str = "Neon") -> Added:
    meta = {"steps": 24, "cfgScale": 5, "sampler": "Euler a", "Size": "832x1216"}
    images = [{"url": "https://image/1", "nsfwLevel": 1, "type": "image", "meta": meta}] * 3
    return fake.add(name, base_model="Illustrious", version={"trainedWords": ["neon"], "images": images})


def placed(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_file_is_described_by_its_hash_without_a_key(
    fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path
) -> None:
    added = neon(fake)
    found = fetcher.fetch_for_file(placed(tmp_path, "mine.safetensors", added.data))
    assert found is not None
    assert (found.name, found.base_model, found.trigger_words) == ("Neon - v1.0", "Illustrious", ("neon",))
    assert (found.tags, found.downloads, found.rating, found.sha256) == (("style",), 100, 0.9, added.sha256)
    assert found.best_parameters == ModelDefaults(steps=24, cfg=5.0, sampler="euler_ancestral", width=832, height=1216)
    assert (found.description, found.note) == ("Neon by a friend.", "")
    assert [asked.path for asked in fake.asked] == [f"{HASHES}{added.sha256.upper()}", "/api/v1/models/101"]
    assert all("Authorization" not in asked.headers and not asked.query for asked in fake.asked)


def test_an_answer_is_asked_for_once_a_day(
    fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path, clock: Clock
) -> None:
    added = neon(fake)
    first = fetcher.fetch_by_hash(added.sha256.upper())
    clock.now += DAY - 1
    assert fetcher_of(fake, tmp_path, clock).fetch_by_hash(added.sha256) == first
    assert len(fake.of(HASHES)) == 1
    clock.now += 2
    again = fetcher.fetch_by_hash(added.sha256)
    assert len(fake.of(HASHES)) == 2
    assert first is not None
    assert again is not None
    assert (again.asked - first.asked).total_seconds() == DAY + 1


def test_that_it_is_unknown_is_remembered_too(fake: FakeCivitAI, fetcher: MetadataFetcher, clock: Clock) -> None:
    assert fetcher.fetch_by_hash(NOBODY) is None
    assert fetcher.fetch_by_hash(NOBODY) is None
    assert len(fake.asked) == 1
    clock.now += DAY + 1
    assert fetcher.fetch_by_hash(NOBODY) is None
    assert len(fake.asked) == 2


def test_an_old_answer_is_better_than_none(fake: FakeCivitAI, fetcher: MetadataFetcher, clock: Clock) -> None:
    added = neon(fake)
    fetcher.fetch_by_hash(added.sha256)
    clock.now += DAY * 2
    fake.answer(HASHES, 503, {"error": "down"}, times=99)
    found = fetcher.fetch_by_hash(added.sha256)
    assert found is not None
    assert found.title == "Neon - v1.0"
    assert found.note.startswith("As it was on 2026-11-18, since there is no answer now: CivitAI (127.0.0.1:")
    with pytest.raises(ServiceUnavailable, match="answered 503"):
        fetcher.fetch_by_hash(NOBODY)


def test_a_service_that_wants_rest_is_given_it_and_then_told_of(fake: FakeCivitAI, fetcher: MetadataFetcher) -> None:
    added = neon(fake)
    fake.answer(HASHES, 429, {"error": "slow"}, {"Retry-After": "0"}, times=2)
    assert fetcher.fetch_by_hash(added.sha256) is not None
    fake.answer(HASHES, 429, {"error": "slow"}, {"Retry-After": "900"})
    with pytest.raises(RateLimited, match="in 900 s"):
        fetcher.fetch_by_hash(NOBODY)


OTHER = '{"sha256": "x", "asked": 1795000000, "version": null}'


@pytest.mark.parametrize("damage", ["", "{", "[]", OTHER, '{"asked": "never"}', "\x00\xff"])
def test_a_damaged_cache_is_no_cache(fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path, damage: str) -> None:
    added = neon(fake)
    whole = fetcher.fetch_by_hash(added.sha256)
    kept = tmp_path / "cache" / f"{added.sha256}.json"
    kept.write_text(damage, encoding="utf-8")
    assert fetcher.fetch_by_hash(added.sha256) == whole
    assert len(fake.of(HASHES)) == 2
    assert json.loads(kept.read_text(encoding="utf-8"))["sha256"] == added.sha256


def test_a_file_is_hashed_again_only_when_it_has_changed(
    fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path
) -> None:
    old, new = neon(fake, "Old"), neon(fake, "New")
    path = placed(tmp_path, "m.safetensors", old.data)
    assert (found := fetcher.fetch_for_file(path)) and found.title == "Old - v1.0"
    state = path.stat()
    path.write_bytes(new.data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # as if untouched: the bytes are not read
    assert (found := fetcher.fetch_for_file(path)) and found.title == "Old - v1.0"
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert (found := fetcher.fetch_for_file(path)) and found.title == "New - v1.0"


def test_a_blob_of_the_hugging_face_cache_is_named_by_its_hash(
    fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path
) -> None:
    added = neon(fake)
    blob = placed(tmp_path / "hub" / "blobs", added.sha256, b"not read")
    link = tmp_path / "hub" / "snapshots" / "model.safetensors"
    link.parent.mkdir()
    link.symlink_to(blob)
    assert (found := fetcher.fetch_for_file(link)) and found.title == "Neon - v1.0"


def test_what_cannot_be_asked_for_is_told(fetcher: MetadataFetcher, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        fetcher.fetch_for_file(tmp_path / "nothing.safetensors")
    with pytest.raises(NotFound, match="no folder"):
        fetcher.update_directory(tmp_path / "nowhere")
    with pytest.raises(BadRecipe, match="sha256 cannot be 'abc': it is the SHA-256 of a file"):
        fetcher.fetch_by_hash("abc")


def test_a_folder_gets_side_cars_and_everything_else_is_told(
    fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path
) -> None:
    one, two, three = neon(fake, "One"), neon(fake, "Two"), neon(fake, "Three")
    loras = tmp_path / "loras"
    first = placed(loras, "one.v1.safetensors", one.data)
    below = placed(loras / "deep", "two.ckpt", two.data)
    described = placed(loras, "three.safetensors", three.data)
    placed(loras, "three.metadata.json", b"{}")
    stranger = placed(loras, "stranger.pt", b"who knows")
    placed(loras, "notes.txt", b"")
    placed(loras / ".hidden", "x.safetensors", one.data)
    heard: list[tuple[int, int]] = []
    said = fetcher.update_directory(loras, report=lambda done, total: heard.append((done, total)))
    beside = [first.with_name("one.v1.civitai.info"), below.with_name("two.civitai.info")]
    assert said == Updated(written=(str(beside[1]), str(beside[0])), kept=1, unknown=(str(stranger),))
    assert heard == [(1, 3), (2, 3), (3, 3)]
    whole = json.loads(beside[0].read_text(encoding="utf-8"))
    assert (whole["id"], whole["modelId"], whole["model"]["tags"]) == (one.version_id, one.model_id, ["style"])
    assert not described.with_name("three.civitai.info").exists()
    asked = len(fake.asked)
    assert fetcher.update_directory(loras) == Updated(kept=3, unknown=(str(stranger),))
    assert len(fake.asked) == asked


def test_a_folder_alone_leaves_those_below_it(fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path) -> None:
    placed(tmp_path / "loras" / "deep", "m.safetensors", neon(fake).data)
    assert fetcher.update_directory(tmp_path / "loras", recursive=False) == Updated()


def test_a_folder_that_links_to_itself_ends(fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path) -> None:
    placed(tmp_path / "loras", "m.safetensors", neon(fake).data)
    (tmp_path / "loras" / "loop").symlink_to(tmp_path / "loras")
    assert len(fetcher.update_directory(tmp_path / "loras").written) == 1


def test_failures_here_and_there_stop_nothing(fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path) -> None:
    good = neon(fake, "Good")
    placed(tmp_path / "loras", "c.safetensors", good.data)
    for number, letter in enumerate("abde"):
        bad = placed(tmp_path / "loras", f"{letter}.safetensors", weights(seed=100 + number)).read_bytes()
        path = f"{HASHES}{hashlib.sha256(bad).hexdigest().upper()}"
        fake.answer(path, 500, {"error": "oops"}, times=3)
    said = fetcher.update_directory(tmp_path / "loras")
    assert [Path(path).name for path in said.written] == ["c.civitai.info"]
    assert [Path(path).stem for path in said.failures] == ["a", "b", "d", "e"]
    assert all("answered 500" in why for why in said.failures.values())


def test_a_service_that_is_down_is_not_asked_for_each_file_of_a_library(
    fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path
) -> None:
    for number in range(9):
        placed(tmp_path / "loras", f"{number}.safetensors", weights(seed=100 + number))
    fake.answer(HASHES, 500, {"error": "down"}, times=999)
    said = fetcher.update_directory(tmp_path / "loras")
    assert len(said.failures) == 9
    assert [why.startswith("Not asked for") for why in said.failures.values()] == [False] * 3 + [True] * 6
    assert len(fake.asked) == 9  # three tries for each of three files


async def test_on_a_loop_it_is_awaited_and_the_other_form_says_so(
    fake: FakeCivitAI, fetcher: MetadataFetcher, tmp_path: Path
) -> None:
    added = neon(fake)
    path = placed(tmp_path / "loras", "m.safetensors", added.data)
    async with fetcher:
        found = await fetcher.afetch_for_file(path)
        assert found == await fetcher.afetch_by_hash(added.sha256)
        assert len((await fetcher.aupdate_directory(tmp_path / "loras")).written) == 1
        with pytest.raises(RuntimeError, match=r"await afetch_by_hash there"):
            fetcher.fetch_by_hash(added.sha256)
        assert await asyncio.to_thread(fetcher.fetch_by_hash, added.sha256) == found


async def test_a_catalogue_gets_the_facts_alone(fake: FakeCivitAI, fetcher: MetadataFetcher) -> None:
    added = neon(fake)
    async with fetcher:
        facts = await fetcher.facts_by_hash(added.sha256)
        assert await fetcher.facts_by_hash(NOBODY) is None
    assert type(facts) is ModelFacts
    assert facts.reference == added.reference


def test_threads_without_a_loop_may_ask_at_the_same_time(fake: FakeCivitAI, fetcher: MetadataFetcher) -> None:
    added = [neon(fake, f"Neon {number}") for number in range(4)]
    titles: list[str] = []

    def ask(sha256: str) -> None:
        found = fetcher.fetch_by_hash(sha256)
        titles.append(found.title if found else "")

    threads = [threading.Thread(target=ask, args=(one.sha256,)) for one in added]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(titles) == [f"Neon {number} - v1.0" for number in range(4)]
