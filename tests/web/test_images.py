"""The gallery over HTTP: each route with what it gives and with its failures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.fakes import png
from tests.web.studio import visited
from workflows.types import Item

ROW = {
    "image_id",
    "kind",
    "prompt",
    "model",
    "engine",
    "seed",
    "width",
    "height",
    "score",
    "passed",
    "favourite",
    "tags",
    "created",
    "media_type",
}
NOWHERE = "/api/images/nothing"
PNG = {"content-type": "image/png"}


async def test_pictures_come_newest_first_a_page_at_a_time_and_tell_no_place(tmp_path: Path) -> None:
    async with visited(tmp_path, items=7) as (client, served):
        seen: list[str] = []
        query = "limit=3"
        while query:
            answer = (await client.get(f"/api/images?{query}")).json()
            assert answer["total"] == 7
            assert all(set(row) == ROW for row in answer["images"])
            seen += [row["image_id"] for row in answer["images"]]
            query = f"limit=3&cursor={answer['cursor']}" if "cursor" in answer else ""
    assert seen == [item.id for item in served.items]


FILTERS: tuple[tuple[str, Callable[[Item], bool]], ...] = (
    ("query=fox", lambda item: "fox" in item.prompt),
    ("query=狐", lambda item: "狐" in item.prompt),
    ("model=demo", lambda item: item.model == "demo"),
    ("lora=add-detail-xl", lambda item: bool(item.recipe.loras)),
    ("engine=comfyui", lambda item: item.engine == "comfyui"),
    ("tag=draft", lambda item: "draft" in item.tags),
    ("min_score=0.3", lambda item: (item.score or 0) >= 0.3),
    ("favourite=true", lambda item: item.favourite),
    ("favourite=false", lambda item: not item.favourite),
    ("kind=image", lambda item: True),
    ("kind=video", lambda item: False),
    ("deleted=true", lambda item: False),
    ("query=&model=&cursor=&tag=&similar_to=", lambda item: True),
)


async def test_each_filter_leaves_what_it_says(tmp_path: Path) -> None:
    async with visited(tmp_path, items=20) as (client, served):
        answers = {query: (await client.get(f"/api/images?{query}")).json() for query, _ in FILTERS}
    found = {query: [row["image_id"] for row in answer["images"]] for query, answer in answers.items()}
    assert found == {query: [item.id for item in served.items if wanted(item)] for query, wanted in FILTERS}


async def test_times_are_taken_with_their_zone_and_as_utc_without_one(tmp_path: Path) -> None:
    async with visited(tmp_path, items=6) as (client, served):
        middle = served.items[2].created + timedelta(minutes=1)
        for since in (middle.isoformat(), middle.replace(tzinfo=None).isoformat()):
            newer = (await client.get("/api/images", params={"since": since})).json()
            assert [row["image_id"] for row in newer["images"]] == [item.id for item in served.items[:2]]
        older = (await client.get("/api/images", params={"until": middle.isoformat()})).json()
        best = (await client.get("/api/images", params={"sort": "best"})).json()
    assert [row["image_id"] for row in older["images"]] == [item.id for item in served.items[2:]]
    assert [row["score"] for row in best["images"]] == sorted((row["score"] for row in best["images"]), reverse=True)


WRONG = {
    "limit=0": "at least 1",
    "limit=201": "at most 200",
    "cursor=nonsense": "cursor",
    "sort=oldst": "newest",
    "since=yesterday": "a time such as",
    "since=5": "a time such as",
    "favourite=perhaps": "it is true or false",
    "favorite=true": "Did you mean favourite",
    "min_score=2": "at most 1",
}


async def test_a_search_that_cannot_be_made_is_told_what_is_wrong(tmp_path: Path) -> None:
    async with visited(tmp_path, items=1) as (client, _):
        for query, said in WRONG.items():
            answer = await client.get(f"/api/images?{query}")
            assert (answer.status_code, set(answer.json())) == (400, {"error", "message", "status", "type"})
            assert said in answer.json()["message"]


async def test_facets_count_what_pictures_can_be_filtered_by(tmp_path: Path) -> None:
    async with visited(tmp_path, items=4) as (client, _):
        answer = (await client.get("/api/images/facets")).json()
    assert set(answer) == {"models", "loras", "engines", "tags"}
    assert answer["engines"] == [["comfyui", 2], ["fake", 2]]
    assert answer["loras"] == [["add-detail-xl", 2]]
    assert answer["tags"] == [["portfolio", 1]]


async def test_all_that_is_known_of_a_picture_is_told_with_its_family(tmp_path: Path) -> None:
    async with visited(tmp_path, items=7) as (client, served):
        child = served.items[0]
        answer = (await client.get(f"/api/images/{child.id}")).json()
    assert answer["image_id"] == child.id
    assert answer["recipe"]["task"] == "img2img"
    assert answer["parents"] == [child.parent_id]
    assert answer["workflow"] == {"1": {"class_type": "KSampler", "inputs": {}}}
    assert [node["image_id"] for node in answer["tree"]["nodes"]] == [child.parent_id, child.id]
    assert answer["verdicts"][0]["judge"] == "clip"
    assert not {"path", "url"} & set(answer)


async def test_a_preview_is_small_and_never_asked_for_again(tmp_path: Path) -> None:
    async with visited(tmp_path, items=1) as (client, served):
        address = f"/api/images/{served.items[0].id}/preview"
        answer = await client.get(address, params={"edge": 320})
        again = await client.get(address, params={"edge": 320}, headers={"if-none-match": answer.headers["etag"]})
        other = await client.get(address, params={"edge": 640}, headers={"if-none-match": answer.headers["etag"]})
        wrong = await client.get(address, params={"edge": 321})
    with Image.open(BytesIO(answer.content)) as picture:
        assert max(picture.size) <= 320
    assert answer.headers["content-type"].startswith("image/")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert (again.status_code, again.content) == (304, b"")
    assert other.status_code == 200
    assert (wrong.status_code, wrong.json()["type"]) == (400, "bad_request")


async def test_the_file_is_sent_as_it_was_filed_and_saved_under_a_plain_name(tmp_path: Path) -> None:
    async with visited(tmp_path, items=3) as (client, served):
        item = served.items[2]
        address = f"/api/images/{item.id}/file"
        shown = await client.get(address)
        saved = await client.get(address, params={"download": "1"})
        kept = (await served.app.gallery.original(item.id)).data
    assert shown.content == saved.content == kept
    assert shown.headers["content-type"] == "image/png"
    assert "content-disposition" not in shown.headers
    assert saved.headers["content-disposition"] == f'attachment; filename="a-red-fox-in-the-snow-{item.id[:8]}.png"'


PARTS: tuple[tuple[str, slice, str], ...] = (
    ("bytes=0-9", slice(0, 10), "bytes 0-9/{size}"),
    ("bytes=10-", slice(10, None), "bytes 10-{last}/{size}"),
    ("bytes=-5", slice(-5, None), "bytes {tail}-{last}/{size}"),
    ("bytes=0-99999999", slice(0, None), "bytes 0-{last}/{size}"),
    ("bytes=-99999999", slice(0, None), "bytes 0-{last}/{size}"),
)


async def test_a_player_gets_the_part_of_a_file_that_it_asks_for(tmp_path: Path) -> None:
    async with visited(tmp_path, items=1) as (client, served):
        address = f"/api/images/{served.items[0].id}/file"
        whole = (await served.app.gallery.original(served.items[0].id)).data
        size = len(whole)
        for asked, part, told in PARTS:
            answer = await client.get(address, headers={"range": asked})
            assert (answer.status_code, answer.content) == (206, whole[part]), asked
            assert answer.headers["content-range"] == told.format(size=size, last=size - 1, tail=size - 5)
        for asked in ("bytes=5-2", "bytes=-", "bytes=0-1,4-5", "pages=1-2"):
            answer = await client.get(address, headers={"range": asked})
            assert (answer.status_code, answer.content) == (200, whole), asked
        for asked in ("bytes=99999999-", "bytes=-0"):
            answer = await client.get(address, headers={"range": asked})
            assert (answer.status_code, answer.json()["type"]) == (416, "range_not_satisfiable")
            assert answer.headers["content-range"] == f"bytes */{size}"


async def test_a_part_of_another_file_than_the_one_begun_is_not_sent(tmp_path: Path) -> None:
    async with visited(tmp_path, items=1) as (client, served):
        headers = {"range": "bytes=0-9", "if-range": '"another"'}
        answer = await client.get(f"/api/images/{served.items[0].id}/file", headers=headers)
    assert answer.status_code == 200


async def test_a_picture_is_marked_and_tagged(tmp_path: Path) -> None:
    async with visited(tmp_path, items=2) as (client, served):
        address = f"/api/images/{served.items[0].id}"
        first = await client.patch(address, json={"favourite": True, "add_tags": ["Blue", " sky "]})
        second = await client.patch(address, json={"remove_tags": ["blue"]})
        wrong = await client.patch(address, json={"add_tags": ["a\nb"]})
        found = (await client.get("/api/images", params={"tag": "sky"})).json()
    assert (first.json()["favourite"], first.json()["tags"]) == (True, ["blue", "sky"])
    assert (second.json()["favourite"], second.json()["tags"]) == (True, ["sky"])
    assert (wrong.status_code, wrong.json()["type"]) == (400, "bad_recipe")
    assert [row["image_id"] for row in found["images"]] == [served.items[0].id]


async def test_a_deleted_picture_lies_in_the_trash_until_it_is_restored(tmp_path: Path) -> None:
    async with visited(tmp_path, items=2) as (client, served):
        item = served.items[0]
        deleted = (await client.delete(f"/api/images/{item.id}")).json()
        left = (await client.get("/api/images")).json()
        trash = (await client.get("/api/images", params={"deleted": "true"})).json()
        restored = await client.post(f"/api/images/{item.id}/restore")
        after = (await client.get("/api/images")).json()
    stays = datetime.fromisoformat(deleted["until"]) - datetime.fromisoformat(deleted["deleted"])
    assert (deleted["image_id"], stays.days) == (item.id, 30)
    assert [row["image_id"] for row in left["images"]] == [served.items[1].id]
    assert [row["image_id"] for row in trash["images"]] == [item.id]
    assert (restored.status_code, set(restored.json())) == (200, ROW)
    assert after["total"] == 2


async def test_a_picture_is_made_again_with_other_settings(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, served):
        made = await served.app.studio.wait((await client.post("/api/jobs", json={"prompt": "a"})).json()["job_id"], 5)
        address = f"/api/images/{made.item_ids[0]}/regenerate"
        answer = await client.post(address, json={"steps": 5, "seed": 7})
        job = await served.app.studio.wait(answer.json()["job_id"], 5)
        wrong = await client.post(address, json={"steps": 0})
    assert (answer.status_code, job.state) == (202, "succeeded")
    assert (job.recipe.steps, job.recipe.seed, job.recipe.source_item) == (5, 7, made.item_ids[0])
    assert (wrong.status_code, "steps" in wrong.json()["message"]) == (400, True)


async def test_a_file_is_brought_in_once(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, served):
        headers = PNG | {"x-filename": "..%2FMy%20caf%C3%A9.png"}
        first = await client.post("/api/images", content=png(), headers=headers)
        again = await client.post("/api/images", content=png(), headers=headers)
        kept = await served.app.gallery.find(first.json()["image_id"])
        total = (await client.get("/api/images")).json()["total"]
    assert (first.status_code, first.json()["source"]) == (200, kept.source)
    assert again.json()["image_id"] == first.json()["image_id"]
    assert total == 1
    assert ".." not in kept.key


NO_PICTURES = (
    (b"no picture", "image/png", "cannot be"),
    (b"", "image/png", "empty"),
    (png(), "image/svg+xml", "image/png"),
    (png(), "text/plain", "image/png"),
    (png(), "multipart/form-data; boundary=x", "image/png"),
)


async def test_what_is_no_picture_is_not_brought_in(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, _):
        for content, form, said in NO_PICTURES:
            answer = await client.post("/api/images", content=content, headers={"content-type": form})
            assert (answer.status_code, said in answer.json()["message"]) == (400, True), form
        assert (await client.get("/api/images")).json()["total"] == 0


async def test_an_upload_has_an_end(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, _):
        answer = await client.post("/api/images", content=bytes(64_000_001), headers=PNG)
    assert (answer.status_code, answer.json()["type"]) == (400, "bad_request")
    assert "64000000 bytes" in answer.json()["message"]


async def test_what_is_not_there_is_told_by_every_route(tmp_path: Path) -> None:
    async with visited(tmp_path, items=1) as (client, _):
        answers = [
            await client.get(NOWHERE),
            await client.get(f"{NOWHERE}/preview"),
            await client.get(f"{NOWHERE}/file"),
            await client.patch(NOWHERE, json={}),
            await client.delete(NOWHERE),
            await client.post(f"{NOWHERE}/restore"),
            await client.post(f"{NOWHERE}/regenerate", json={}),
        ]
    assert [(one.status_code, one.json()["type"]) for one in answers] == [(404, "not_found")] * len(answers)


async def test_a_prompt_is_told_as_it_is_and_never_as_a_page(tmp_path: Path) -> None:
    def evil(item: Item) -> bool:
        return "<script>" in item.prompt

    async with visited(tmp_path, items=7) as (client, served):
        (item,) = filter(evil, served.items)
        answer = await client.get(f"/api/images/{item.id}")
        file = await client.get(f"/api/images/{item.id}/file", params={"download": "true"})
    assert answer.json()["prompt"] == item.prompt
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == file.headers["x-content-type-options"] == "nosniff"
    assert set(file.headers["content-disposition"]) & set("<>\r\n'") == set()
