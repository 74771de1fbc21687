"""A workflow of the user's own on fake servers over real sockets: who runs it, and what comes of it."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from clients.comfyui_client import ComfyUIClient
from clients.comfyui_engine import ComfyUIEngine
from tests.clients.test_comfyui_engine import OOM, QUICK, engine_on, silent, ticket
from tests.comfyui import clips
from tests.fake_comfyui import FakeComfyUI, recorded
from tests.fakes import png
from tests.live.graphs import node
from utils.images import decode, sha256
from workflows.errors import BadRecipe, EngineUnavailable, GraphRejected, OutOfMemory, RenderFailed, StudioError
from workflows.types import Artifact, Media, Recipe, RenderStep, Ticket

RECIPE = Recipe(task="workflow", workflow="job/input/workflow.json", workflow_name="mine", seed=5)
FRAMES = node("EmptyImage", width=64, height=48, batch_size=4, color=0x102030)
SAVE = node("SaveImage", images=["1", 0], filename_prefix="mine/p")
PICTURES = {"1": FRAMES, "2": SAVE}
ODD: dict[str, Any] = {"input": {"required": {}}, "output": [], "output_name": [], "output_node": True, "name": "Odd"}
"""A class of somebody's pack; what it gives is in the fake's worker.gives."""


def fake(**more: Any) -> FakeComfyUI:
    nodes = {**recorded("nodes_a", "nodes_video_a"), "Odd": ODD}
    return FakeComfyUI(nodes=nodes, models={"checkpoints": {"tiny.safetensors": 1000}}, **more)


def given(graph: Any, **files: Media) -> dict[str, Media]:
    return {"workflow": Media(data=json.dumps(graph).encode(), media_type="application/json"), **files}


async def run(engine: ComfyUIEngine, graph: Any, **files: Media) -> list[Artifact]:
    return list(await engine.render(RECIPE, given(graph, **files), silent, ticket()))


def briefly(artifacts: list[Artifact]) -> list[tuple[str, str, str, int, int]]:
    return [(one.facts["node"], one.facts["output"], one.media.media_type, one.width, one.height) for one in artifacts]


def classes(comfy: FakeComfyUI) -> list[str]:
    return [path for method, path in comfy.requests if method == "POST"]


# ------------------------------------------------------------------ what comes out


async def test_every_output_is_an_artifact_of_its_own_kind(tmp_path: Path) -> None:
    graph = {
        "1": FRAMES,
        "v": node("CreateVideo", images=["1", 0], fps=8.0),
        "mp4": node("SaveVideo", video=["v", 0], filename_prefix="mine/v", format="auto", codec="auto"),
        "webm": node("SaveWEBM", images=["1", 0], filename_prefix="mine/w", codec="vp9", fps=8.0, crf=32.0),
        "a": node("EmptyAudio", duration=0.5, sample_rate=8000, channels=1),
        "flac": node("SaveAudio", audio=["a", 0], filename_prefix="mine/a"),
        "text": node("PreviewAny", source="a red fox"),
        "png": node("SaveImage", images=["1", 0], filename_prefix="mine/p"),
        "shown": node("PreviewImage", images=["1", 0]),
    }
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        artifacts = await run(engine, graph)
    assert briefly(artifacts) == [
        ("mp4", "images", "video/mp4", 64, 48),
        ("webm", "images", "video/webm", 64, 48),
        ("flac", "audio", "audio/flac", 0, 0),
        *[("png", "images", "image/png", 64, 48)] * 4,
        ("text", "text", "text/plain", 0, 0),
    ]
    film = artifacts[0].facts
    assert (film["frames"], film["fps"], film["seconds"]) == (4, 8.0, 0.5)
    assert artifacts[-1].media.data == b"a red fox"


async def test_an_artifact_tells_which_node_made_it_and_of_which_graph(tmp_path: Path) -> None:
    titled = SAVE | {"_meta": {"title": "The end"}}
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        mine = ticket()
        artifact, *_ = await engine.render(RECIPE, given({"1": FRAMES, "2": titled}), silent, mine)
    facts = dict(artifact.facts)
    assert (artifact.seed, artifact.model) == (5, "")
    assert 0 < facts.pop("seconds") < 10
    assert facts == {
        "node": "2",
        "node_title": "The end",
        "output": "images",
        "prompt_id": mine.id,
        "server": comfy.url,
        "graph": {"1": FRAMES, "2": titled},
    }


async def test_what_was_only_shown_counts_where_nothing_was_saved(tmp_path: Path) -> None:
    graph = {"1": FRAMES, "2": node("PreviewImage", images=["1", 0]), "3": node("PreviewAny", source="said")}
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        artifacts = await run(engine, graph)
    assert [one.facts["node"] for one in artifacts] == ["2", "2", "2", "2", "3"]


async def test_pictures_that_come_over_the_socket_are_outputs_too(tmp_path: Path) -> None:
    graph = {"1": FRAMES, "ws": node("SaveImageWebsocket", images=["1", 0]), "3": node("PreviewImage", images=["1", 0])}
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        artifacts = await run(engine, graph)
    assert briefly(artifacts) == [("ws", "images", "image/png", 64, 48)] * 4


async def test_lists_of_any_name_are_looked_through_and_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    film = clips.video([decode(png(64, 48))] * 3, 8, "mp4")
    rows = {
        "gifs": [{"filename": "v_1.mp4", "subfolder": "", "type": "output", "frame_rate": 8, "fullpath": "/srv/v.mp4"}],
        "3d": [{"filename": "x.glb", "subfolder": "mesh", "type": "output"}],
        "result": ["mesh/x.glb", None, 3, ["deep"], {"filename": 7}, {"filename": "x.glb", "subfolder": "mesh"}],
        "images": [{"filename": "source.png", "subfolder": "", "type": "input"}],
        "text": [["one", "two"], 3, "", {"no": "text"}],
        "animated": [True],
        "odd": {"filename": "never.png"},
    }
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.files["output", "", "v_1.mp4"] = film
        comfy.files["output", "mesh", "x.glb"] = b"glTF" + bytes(20)
        comfy.worker.gives["Odd"] = rows
        artifacts = await run(engine, {"1": node("Odd")})
    assert briefly(artifacts) == [
        ("1", "gifs", "video/mp4", 64, 48),
        ("1", "3d", "model/gltf-binary", 0, 0),
        *[("1", "text", "text/plain", 0, 0)] * 3,
    ]
    assert [one.media.data for one in artifacts[2:]] == [b"one", b"two", b"3"]


async def test_a_kind_is_believed_by_the_bytes_and_never_one_that_a_browser_would_run(tmp_path: Path) -> None:
    files = {
        "page.html": b"<script>alert(1)</script>",
        "film.mp4": b"<html>",
        "mesh.obj": b"v 0 0 0",
        "fine.png": b"\xff\xd8\xff" + b"\0" * 8 + b"\xff\xd9",
        "sound.png": b"RIFF\x24\0\0\0WAVE" + bytes(40),
    }
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.worker.gives["Odd"] = {"files": [{"filename": name} for name in files]}
        comfy.files.update({("output", "", name): content for name, content in files.items()})
        artifacts = await run(engine, {"1": node("Odd")})
    assert [one.media.media_type for one in artifacts] == [
        "application/octet-stream",
        "application/octet-stream",
        "model/obj",
    ]
    notes = artifacts[0].facts["notes"]
    assert [note.split()[0] for note in notes] == ["fine.png", "sound.png"]


async def test_more_than_the_most_files_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    graph = {"1": FRAMES | {"inputs": FRAMES["inputs"] | {"batch_size": 70}}, "2": SAVE}
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        artifacts = await run(engine, graph)
    assert len(artifacts) == 64
    assert artifacts[0].facts["notes"] == ["The workflow gave 70 outputs; 64 of them are kept, which is the most."]


async def test_bytes_beyond_the_most_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.comfyui_engine.outputs.MOST_BYTES", 3000)
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.files["output", "", "a.bin"] = bytes(2000)
        comfy.files["output", "", "b.bin"] = bytes(2000)
        comfy.files["output", "", "c.bin"] = bytes(900)
        comfy.worker.gives["Odd"] = {"files": [{"filename": f"{name}.bin"} for name in "abc"]}
        artifacts = await run(engine, {"1": node("Odd")})
    assert [len(one.media.data) for one in artifacts] == [2000, 900]
    (note,) = artifacts[0].facts["notes"]
    assert note.startswith("b.bin is not kept: the outputs have more than")


async def test_what_a_node_gives_may_be_no_object_at_all(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        odd: Any = ["no object"]
        comfy.worker.gives["Odd"] = odd
        artifacts = await run(engine, PICTURES | {"3": node("Odd")})
    assert len(artifacts) == 4


async def test_a_workflow_that_leaves_nothing_says_which_outputs_it_has(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.files["input", "", "source.png"] = png(64, 64)
        comfy.worker.gives["Odd"] = {"done": [True], "images": [{"filename": "source.png", "type": "input"}]}
        with pytest.raises(RenderFailed, match=r"Its output nodes: 7 \(Odd\)"):
            await run(engine, {"7": node("Odd")})


async def test_files_of_the_cache_that_are_gone_are_saved_again_under_another_name(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        await run(engine, PICTURES)
        comfy.files.clear()
        mine = ticket()
        artifacts = await engine.render(RECIPE, given(PICTURES), silent, mine)
    assert [body["prompt"]["2"]["inputs"]["filename_prefix"] for body in comfy.prompts] == [
        "mine/p",
        "mine/p",
        "mine/p-again",
    ]
    assert len(artifacts) == 4
    assert artifacts[0].facts["prompt_id"] == str(uuid5(UUID(mine.id), "again"))


async def test_what_was_shown_and_is_gone_is_drawn_anew(tmp_path: Path) -> None:
    graph = {"1": FRAMES, "2": node("PreviewImage", images=["1", 0])}
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        await run(engine, graph)
        comfy.files.clear()
        assert len(await run(engine, graph)) == 4
    assert len(comfy.freed) == 1


async def test_one_file_that_is_named_and_not_there_costs_the_others_nothing(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.files["output", "", "a.bin"] = b"kept"
        comfy.worker.gives["Odd"] = {"files": [{"filename": "a.bin"}, {"filename": "/etc/passwd"}]}
        (artifact,) = await run(engine, {"1": node("Odd")})
    assert artifact.facts["notes"] == ["/etc/passwd is not kept: the server names it, and has it not."]
    assert len(comfy.prompts) == 1


# ------------------------------------------------------------------ what goes in


async def test_files_are_uploaded_under_their_content_and_named_wherever_they_stand(tmp_path: Path) -> None:
    film = clips.video([decode(png(64, 48))] * 2, 8, "mp4")
    picture = png(72, 40)
    graph = {
        "1": node("LoadImage", image="atelier://file_1"),
        "2": node("PreviewImage", images=["1", 0]),
        "3": node("LoadVideo", file="atelier://file_2"),
        "4": node("SaveVideo", video=["3", 0], filename_prefix="v", format="auto", codec="auto"),
        "5": node("Odd", deep={"__value__": [{"name": "atelier://file_1"}, "not atelier://file_1"]}),
    }
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.worker.gives["Odd"] = {}
        files = {"file_1": Media(data=picture, media_type=""), "file_2": Media(data=film, media_type="video/mp4")}
        (artifact,) = await run(engine, graph, **files)
        sent = comfy.prompts[0]["prompt"]
    first, second = f"atelier/{sha256(picture)[:32]}.png", f"atelier/{sha256(film)[:32]}.mp4"
    assert (sent["1"]["inputs"], sent["3"]["inputs"]) == ({"image": first}, {"file": second})
    assert sent["5"]["inputs"]["deep"] == {"__value__": [{"name": first}, "not atelier://file_1"]}
    assert artifact.facts["graph"] == sent
    assert classes(comfy).count("/upload/image") == 2


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"GIF89a", ".gif"),
        (b"\x1a\x45\xdf\xa3 webm", ".webm"),
        (b"RIFF1234WAVE", ".wav"),
        (b"ID3", ".mp3"),
        (b"fLaC", ".flac"),
        (b"OggS", ".ogg"),
        (b"\0\0\0\x20ftypisom", ".mp4"),
        (b"glTF", ".glb"),
        (b"what", ".bin"),
    ],
)
async def test_an_upload_has_the_ending_by_which_nodes_choose_their_readers(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    graph = {"1": node("Odd", file="atelier://file_1")}
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.worker.gives["Odd"] = {"text": ["done"]}
        await run(engine, graph, file_1=Media(data=content, media_type="application/octet-stream"))
        assert comfy.prompts[0]["prompt"]["1"]["inputs"]["file"] == f"atelier/{sha256(content)[:32]}{suffix}"


async def test_a_file_that_was_not_given_is_asked_for(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        with pytest.raises(BadRecipe, match="atelier://file_2"):
            await run(engine, PICTURES | {"3": node("LoadImage", image="atelier://file_2")})
    assert comfy.prompts == []


@pytest.mark.parametrize("workflow", [b"no json", b"[" * 100_000, b"[]", b'{"nodes": [1], "links": []}', b'{"1": {}}'])
async def test_what_is_no_graph_is_refused_in_our_words(tmp_path: Path, workflow: bytes) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        inputs = {"workflow": Media(data=workflow, media_type="application/json")}
        with pytest.raises(GraphRejected):
            await engine.render(RECIPE, inputs, silent, ticket())
    assert comfy.prompts == []


# ------------------------------------------------------------------ who runs it


async def test_whether_anybody_runs_workflows_is_known_before_and_no_family_is_claimed(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        assert await engine.refusal(RECIPE) is None
        assert (await engine.profile(RECIPE)).name == "unknown"
        await engine.drain(comfy.url)
        refused = await engine.refusal(RECIPE)
    assert refused is not None
    assert "draining" in refused
    async with engine_on(tmp_path, comfy.url) as engine:  # the server is gone
        assert "refuses the connection" in (await engine.refusal(RECIPE) or "")
        with pytest.raises(EngineUnavailable, match="refuses the connection"):
            await run(engine, PICTURES)


async def two(stack: AsyncExitStack, tmp_path: Path) -> tuple[FakeComfyUI, FakeComfyUI, ComfyUIEngine]:
    one, other = [await stack.enter_async_context(fake()) for _ in range(2)]
    return one, other, await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))


async def test_the_server_that_has_its_nodes_runs_it(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other, engine = await two(stack, tmp_path)
        del one.nodes["SaveImage"]
        artifacts = await run(engine, PICTURES)
    assert artifacts[0].facts["server"] == other.url


async def test_the_least_busy_of_those_that_can_runs_it(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other, engine = await two(stack, tmp_path)
        hold = one.hold("EmptyImage")
        first = asyncio.create_task(run(engine, PICTURES))
        await hold.reached.wait()
        async with asyncio.timeout(10):
            assert (await run(engine, PICTURES))[0].facts["server"] == other.url
        hold.release()
        assert (await first)[0].facts["server"] == one.url


async def test_where_none_can_the_faults_of_the_best_one_are_told(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other, engine = await two(stack, tmp_path)
        del one.nodes["SaveImage"], one.nodes["EmptyImage"], other.nodes["SaveImage"]
        with pytest.raises(GraphRejected) as told:
            await run(engine, PICTURES)
    assert [problem.class_type for problem in told.value.problems] == ["SaveImage"]
    assert other.url in str(told.value)
    assert one.prompts + other.prompts == []


async def test_a_node_that_was_just_installed_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.comfyui_engine.stock.JUST_READ", 0.0)
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        known = comfy.nodes.pop("SaveImage")
        with pytest.raises(GraphRejected):
            await run(engine, PICTURES)
        comfy.nodes["SaveImage"] = known
        assert len(await run(engine, PICTURES)) == 4


async def test_a_draining_server_gets_no_workflow(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other, engine = await two(stack, tmp_path)
        await engine.drain(one.url)
        assert (await run(engine, PICTURES))[0].facts["server"] == other.url
        await engine.drain(other.url)
        with pytest.raises(EngineUnavailable, match="draining"):
            await run(engine, PICTURES)


async def test_a_workflow_whose_server_dies_is_run_on_another_under_the_same_id(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other, engine = await two(stack, tmp_path)
        hold, mine = one.hold("SaveImage"), ticket()
        running = asyncio.create_task(engine.render(RECIPE, given(PICTURES), silent, mine))
        await hold.reached.wait()
        await one.stop()
        artifact, *_ = await running
    assert (artifact.facts["server"], artifact.facts["prompt_id"]) == (other.url, mine.id)
    assert artifact.facts["notes"] == [f"{one.url} was lost in the middle; drawn anew on {other.url}."]


async def test_a_stopped_workflow_is_stopped_at_its_server(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        hold = comfy.hold("SaveImage")
        running = asyncio.create_task(run(engine, PICTURES))
        await hold.reached.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await comfy.until(lambda: comfy.history)
        (entry,) = comfy.history.values()
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"


async def test_a_workflow_that_an_earlier_process_asked_for_is_joined(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        _, other, engine = await two(stack, tmp_path)
        earlier = await stack.enter_async_context(ComfyUIClient(other.url, pace=QUICK))
        hold, mine = other.hold("SaveImage"), ticket()
        await earlier.prompt(PICTURES, prompt_id=mine.id)
        await hold.reached.wait()
        again = Ticket(id=mine.id, again=True)
        joining = asyncio.create_task(engine.render(RECIPE, given(PICTURES), silent, again))
        await other.until(lambda: ("GET", f"/history/{mine.id}") in other.requests)
        hold.release()
        artifact, *_ = await joining
    assert (len(other.prompts), artifact.facts["server"]) == (1, other.url)


async def test_a_full_memory_is_told_with_what_its_author_can_do(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("EmptyImage", *OOM)
        with pytest.raises(OutOfMemory, match="VAEDecodeTiled"):
            await run(engine, PICTURES)
    assert len(comfy.prompts) == 1


async def test_a_node_that_breaks_is_named(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("EmptyImage", "ValueError", "no such thing")
        with pytest.raises(RenderFailed, match=r"node 1 \(EmptyImage\): ValueError: no such thing"):
            await run(engine, PICTURES)


async def test_progress_counts_nodes_where_nothing_samples(tmp_path: Path) -> None:
    steps: list[RenderStep] = []
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        await engine.render(RECIPE, given(PICTURES), steps.append, ticket())
    assert {step.steps for step in steps} == {2}
    assert [step.step for step in steps] == sorted(step.step for step in steps)
    assert steps[-1].step == 2


# ------------------------------------------------------------------ the editor's library


def library(*names: str) -> dict[str, bytes]:
    return {f"{name}.json": json.dumps({"nodes": [], "name": name}).encode() for name in names}


async def test_saved_workflows_of_all_servers_are_listed_once_and_read_as_they_are(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other, engine = await two(stack, tmp_path)
        one.saved = library("wan", "video/50%20 a+b?#")
        other.saved = library("wan", "ünï code/flux")
        names = await engine.saved()
        read = [await engine.saved_workflow(name) for name in names]
        assert await engine.saved_workflow("wan.json") == {"nodes": [], "name": "wan"}
    assert list(names) == ["video/50%20 a+b?#", "wan", "ünï code/flux"]
    assert [one["name"] for one in read] == list(names)


async def test_a_server_without_a_library_has_none(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        assert list(await engine.saved()) == []
        comfy.answer("/userdata", 500)  # each user has one of their own
        assert list(await engine.saved()) == []
        comfy.saved = library("wan2.2")
        with pytest.raises(StudioError, match=r"no saved workflow 'wan2.1'. Did you mean wan2.2"):
            await engine.saved_workflow("wan2.1")


@pytest.mark.parametrize("name", ["../secret", "a/../../b", ".hidden", "/etc/passwd", "a\\b", "a\nb", "", "x" * 300])
async def test_a_name_that_leads_elsewhere_is_not_asked_for(tmp_path: Path, name: str) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        with pytest.raises(StudioError, match="no saved workflow"):
            await engine.saved_workflow(name)
    assert not [path for _, path in comfy.requests if path.startswith("/userdata/")]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{", "no JSON"), (b"[1]", "no JSON"), (b"[" * 100_000, "no JSON"), (b" " * (6 * 2**20), "more than 5 MB")],
)
async def test_a_saved_workflow_that_is_none_is_told_as_such(tmp_path: Path, content: bytes, words: str) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.saved = {"bad.json": content}
        with pytest.raises(GraphRejected, match=words):
            await engine.saved_workflow("bad")


async def test_a_long_or_odd_list_is_held_to_bounds(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.saved = library(*(f"{number:04}" for number in range(600)), "../out", ".hid", "a" * 300)
        comfy.saved |= {"notes.txt": b"", "big.json": b" " * (6 * 2**20)}
        names = list(await engine.saved())
    assert names == [f"{number:04}" for number in range(500)]


async def test_the_node_classes_of_every_server_that_answers_are_given(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other, engine = await two(stack, tmp_path)
        del one.nodes["SaveImage"]
        assert [inventory.has("SaveImage") for inventory in await engine.inventories()] == [False, True]
        await one.stop()
        await other.stop()
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        with pytest.raises(EngineUnavailable, match="refuses the connection"):
            await engine.inventories()
