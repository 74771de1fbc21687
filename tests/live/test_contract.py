"""What the client relies on, asked of the fake in every run and of a real server with `make test-comfyui`."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence

import pytest
from PIL import Image

from clients.comfyui_client import (
    Cached,
    ComfyUIClient,
    Event,
    NodeDone,
    NodeProgress,
    NodeStarted,
    Preview,
    Queue,
    Started,
    UploadedFile,
    Waiting,
)
from tests.fakes import png
from tests.live import graphs
from workflows.errors import GraphRejected, JobCancelled, NotFound, RenderFailed
from workflows.types import new_id

SECONDS = 120.0
"""Longest wait for a server that draws on a CPU."""


class Story:
    """What a run tells, and a way to wait for a part of it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._told = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._told.set()

    @property
    def own(self) -> list[Event]:
        """Without the waiting, which is others' doing."""
        return [event for event in self.events if not isinstance(event, Waiting)]

    async def reach(self, kind: type[Event], count: int = 1) -> None:
        async with asyncio.timeout(SECONDS):
            while sum(isinstance(event, kind) for event in self.events) < count:
                self._told.clear()
                await self._told.wait()


def kinds(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


async def test_a_fresh_run_tells_every_step_and_gives_its_file(client: ComfyUIClient) -> None:
    story, graph = Story(), graphs.saved(width=96, height=64)
    finished = await client.run(graph, on_event=story)
    (file,) = finished.files
    assert story.own == [
        Started(),
        Cached(nodes=()),
        NodeStarted(node="1"),
        NodeStarted(node="2"),
        NodeDone(node="2", output=finished.outputs["2"]),
    ]
    assert (file.node, file.key, file.type, file.subfolder) == ("2", "images", "output", "atelier-test")
    assert await client.history(finished.prompt_id) == finished
    assert not finished.cached
    media = await client.view(file)
    picture = Image.open(io.BytesIO(media.data))
    assert (media.media_type, picture.size, json.loads(picture.info["prompt"])) == ("image/png", (96, 64), graph)


async def test_the_same_graph_again_comes_from_the_cache(client: ComfyUIClient) -> None:
    story, graph = Story(), graphs.saved()
    first = await client.run(graph)
    second = await client.run(graph, on_event=story)
    assert (second.outputs, second.cached) == (first.outputs, True)
    assert kinds(story.own) == ["Started", "Cached", "NodeDone"]
    assert (await client.history(second.prompt_id)) == second


async def test_another_prefix_runs_the_last_node_alone(client: ComfyUIClient) -> None:
    story, graph = Story(), graphs.saved()
    await client.run(graph)
    graph["2"]["inputs"]["filename_prefix"] += "b"
    finished = await client.run(graph, on_event=story)
    assert kinds(story.own) == ["Started", "Cached", "NodeStarted", "NodeDone"]
    assert (story.own[1], finished.cached) == (Cached(nodes=("1",)), False)


async def test_many_runs_at_once_share_one_socket_and_mix_nothing_up(client: ComfyUIClient) -> None:
    finished = await asyncio.gather(*(client.run(graphs.saved(width=64 + 8 * place)) for place in range(6)))
    media = [await client.view(run.files[0]) for run in finished]
    assert [Image.open(io.BytesIO(one.data)).width for one in media] == [64, 72, 80, 88, 96, 104]


async def test_a_batch_gives_all_its_files(client: ComfyUIClient) -> None:
    finished = await client.run(graphs.saved(count=3))
    assert len({file.filename for file in finished.files}) == 3


async def test_a_preview_is_a_temporary_file(client: ComfyUIClient) -> None:
    (file,) = (await client.run(graphs.previewed())).files
    assert (file.type, (await client.view(file)).media_type) == ("temp", "image/png")


async def test_a_prompt_keeps_our_id_and_is_found_again(client: ComfyUIClient) -> None:
    name, graph = new_id(), graphs.saved()
    first = await client.run(graph, prompt_id=name)
    again = await client.run(graph, prompt_id=name, again=True)
    assert (first.prompt_id, again) == (name, first)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ({**graphs.saved(), "1": graphs.node("EmptyImag")}, "node 1 (EmptyImag): the server has no node 'EmptyImag'"),
        ({"1": graphs.saved()["1"]}, "no node of it writes an output"),
        (graphs.circle(), "(ImageInvert) -> "),
        ({"2": graphs.saved()["2"]}, "node 2 (SaveImage): images reads node '1', which is not in the graph"),
        (graphs.saved(width=0), "node 1 (EmptyImage): width cannot be 0: at least 1"),
        (graphs.loaded("nowhere.png"), "node 1 (LoadImage): image - Invalid image file: nowhere.png"),
    ],
    ids=["class", "output", "circle", "link", "limit", "file"],
)
async def test_a_wrong_graph_is_refused_in_words(client: ComfyUIClient, graph: graphs.Graph, said: str) -> None:
    with pytest.raises(GraphRejected) as caught:
        await client.run(graph)
    assert said in str(caught.value)


async def test_a_choice_that_is_not_there_is_answered_with_the_nearest_that_are(client: ComfyUIClient) -> None:
    graph = graphs.drawn("none.safetensors")
    graph["3"]["inputs"]["sampler_name"] = "eulr"
    with pytest.raises(GraphRejected) as caught:
        await client.run(graph)
    problems = {problem.input: problem for problem in caught.value.problems}
    assert problems["sampler_name"].valid[0] == "euler"
    assert (problems["ckpt_name"].node, problems["ckpt_name"].value) == ("4", "none.safetensors")


async def test_a_graph_that_would_run_in_part_does_not_run(client: ComfyUIClient) -> None:
    name = new_id()
    graph = graphs.slow(4) | {f"x{key}": value for key, value in graphs.loaded("nowhere.png").items()}
    graph["x2"]["inputs"]["image"], graph["x3"]["inputs"]["images"] = ["x1", 0], ["x2", 0]
    with pytest.raises(GraphRejected):
        await client.run(graph, prompt_id=name)
    assert await client.cancel(name) in {"unknown", "ended"}
    ended = await client.history(name)
    assert ended is None or ended.status == "interrupted"


async def test_an_upload_can_be_loaded_and_is_named_by_the_server(client: ComfyUIClient) -> None:
    name = f"atelier-{new_id()[:8]}.png"
    uploaded = await client.upload(name, png(80, 48))
    deeper = await client.upload(f"any/where/{name}", png(40, 48), subfolder="atelier-test")
    assert uploaded == UploadedFile(name=name)
    assert (deeper.reference, uploaded.reference) == (f"atelier-test/{name}", name)
    finished = await asyncio.gather(*(client.run(graphs.loaded(one.reference)) for one in (uploaded, deeper)))
    media = [await client.view(run.files[0]) for run in finished]
    assert [Image.open(io.BytesIO(one.data)).width for one in media] == [80, 40]


async def test_what_is_made_can_be_loaded_without_an_upload(client: ComfyUIClient) -> None:
    (file,) = (await client.run(graphs.saved(width=72))).files
    made = UploadedFile(name=file.filename, subfolder=file.subfolder, type=file.type)
    (inverted,) = (await client.run(graphs.loaded(made.reference))).files
    assert Image.open(io.BytesIO((await client.view(inverted)).data)).width == 72


async def test_a_node_that_breaks_is_named_without_the_servers_folders(client: ComfyUIClient) -> None:
    uploaded = await client.upload(f"atelier-{new_id()[:8]}.png", b"no picture")
    with pytest.raises(RenderFailed) as caught:
        await client.run(graphs.loaded(uploaded.reference))
    text = f"UnidentifiedImageError: cannot identify image file '{uploaded.name}'."
    assert (str(caught.value), caught.value.node) == (f"ComfyUI failed in node 1 (LoadImage): {text}", "1")


async def test_a_second_run_waits_and_a_cancel_of_it_leaves_the_first_alone(client: ComfyUIClient) -> None:
    first, second, name = Story(), Story(), new_id()
    running = asyncio.create_task(client.run(graphs.slow(), on_event=first))
    await first.reach(Started)
    waiting = asyncio.create_task(client.run(graphs.slow(), prompt_id=name, on_event=second))
    await second.reach(Waiting)
    queue = await client.queue()
    assert queue.ahead(name) == len(queue.running) + len(queue.pending) - 1
    assert await client.cancel(name) == "pending"
    with pytest.raises(JobCancelled):
        await waiting
    assert second.own == []
    assert (await running).status == "success"


async def test_a_cancel_stops_what_runs_and_says_so(client: ComfyUIClient) -> None:
    story, name = Story(), new_id()
    running = asyncio.create_task(client.run(graphs.slow(), prompt_id=name, on_event=story))
    await story.reach(NodeStarted, 2)
    assert await client.cancel(name) == "running"
    with pytest.raises(JobCancelled):
        await running
    assert [await client.cancel(name), await client.cancel(new_id())] == ["ended", "unknown"]


async def test_an_interrupt_hits_its_own_prompt_alone(client: ComfyUIClient) -> None:
    story, name = Story(), new_id()
    running = asyncio.create_task(client.run(graphs.slow(), prompt_id=name, on_event=story))
    await story.reach(NodeStarted, 2)
    assert [await client.interrupt(new_id()), await client.interrupt("")] == [False, False]
    assert (await client.queue()).runs(name)
    assert await client.interrupt(name)
    with pytest.raises(JobCancelled):
        await running


async def test_who_stops_waiting_stops_the_prompt(client: ComfyUIClient) -> None:
    story, name = Story(), new_id()
    running = asyncio.create_task(client.run(graphs.slow(), prompt_id=name, on_event=story))
    await story.reach(NodeStarted, 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    ended = await client.history(name)
    assert ended is not None
    assert ended.status == "interrupted"
    assert await client.queue() == Queue() or (await client.queue()).ahead(name) is None


async def test_another_client_hears_nothing_of_it_and_loses_nothing(url: str, client: ComfyUIClient) -> None:
    async with ComfyUIClient(url) as other:
        assert other.client_id != client.client_id
        mine, theirs = Story(), Story()
        ended = await asyncio.gather(
            client.run(graphs.saved(width=64), on_event=mine), other.run(graphs.saved(width=128), on_event=theirs)
        )
        widths = [Image.open(io.BytesIO((await client.view(run.files[0])).data)).width for run in ended]
    assert widths == [64, 128]
    assert [kinds(story.own) for story in (mine, theirs)] == [
        ["Started", "Cached", "NodeStarted", "NodeStarted", "NodeDone"]
    ] * 2


async def test_what_the_server_has_can_be_asked(client: ComfyUIClient) -> None:
    whole = await client.object_info()
    assert await client.object_info("SaveImage") == {"SaveImage": whole["SaveImage"]}
    assert await client.object_info("NoSuchNode") == {}
    assert "checkpoints" in await client.models()
    assert list(await client.model_sizes("checkpoints")) == await client.models("checkpoints")
    assert await client.model_sizes("no-such-folder") == {}
    with pytest.raises(NotFound, match="checkpoints"):
        await client.models("checkpoint")
    assert await client.view_metadata("checkpoints", "no-such-file.safetensors") == {}
    assert (await client.features())["max_upload_size"] > 0
    assert (await client.version())[0].isdigit()
    assert (await client.system_stats())["devices"][0]["vram_total"] > 0
    assert isinstance(await client.embeddings(), list)


async def test_the_newest_jobs_come_first(client: ComfyUIClient) -> None:
    names = [(await client.run(graphs.saved())).prompt_id for _ in range(2)]
    jobs = [job for job in await client.jobs(50) if job.prompt_id in names]
    assert [(job.prompt_id, job.state) for job in jobs] == [(name, "success") for name in reversed(names)]


async def test_memory_can_be_freed_and_the_cache_with_it(client: ComfyUIClient) -> None:
    graph = graphs.saved()
    await client.run(graph)
    await client.free()
    deadline = asyncio.get_running_loop().time() + SECONDS
    while (await client.run(graph)).cached:  # it is obeyed when the worker is idle
        assert asyncio.get_running_loop().time() < deadline
        await client.free()


async def test_a_mask_becomes_the_alpha_of_its_picture(client: ComfyUIClient) -> None:
    (file,) = (await client.run(graphs.saved())).files
    buffer = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 90)).save(buffer, "PNG")
    written = await client.upload_mask(buffer.getvalue(), file, name=f"atelier-{new_id()[:8]}.png")
    (loaded,) = (await client.run(graphs.loaded(written.reference))).files
    assert (await client.view(loaded)).media_type == "image/png"
    buffer = io.BytesIO()
    Image.new("RGBA", (32, 64)).save(buffer, "PNG")
    with pytest.raises(GraphRejected, match="of the size of its picture"):
        await client.upload_mask(buffer.getvalue(), file)


async def test_a_file_that_is_not_there_is_not_found(client: ComfyUIClient) -> None:
    (file,) = (await client.run(graphs.saved())).files
    with pytest.raises(NotFound):
        await client.view(type(file)(filename="no-such-file.png", subfolder=file.subfolder))


async def test_a_checkpoint_draws_and_counts_its_steps(client: ComfyUIClient) -> None:
    checkpoints = await client.models("checkpoints")
    if not checkpoints:
        pytest.skip("the server has no checkpoint")
    checkpoint = min(checkpoints, key=(await client.model_sizes("checkpoints")).__getitem__)
    story = Story()
    finished = await client.run(graphs.drawn(checkpoint, steps=3, edge=64, count=2), on_event=story)
    steps = [event for event in story.events if isinstance(event, NodeProgress)]
    assert steps == [NodeProgress(node="3", value=float(step), most=3.0) for step in (1, 2, 3)]
    previews = [event for event in story.events if isinstance(event, Preview)]
    assert all((one.node, one.media.media_type) == ("3", "image/jpeg") for one in previews)
    media = [await client.view(file) for file in finished.files]
    assert [Image.open(io.BytesIO(one.data)).size for one in media] == [(64, 64)] * 2


async def test_pictures_can_come_over_the_socket_alone(client: ComfyUIClient) -> None:
    if not await client.object_info("SaveImageWebsocket"):
        pytest.skip("the server has no SaveImageWebsocket")
    graph = graphs.saved(width=80, count=3)
    graph["2"] = graphs.node("SaveImageWebsocket", images=["1", 0])
    for _ in range(2):  # it is never taken from the cache
        finished = await client.run(graph)
        assert [Image.open(io.BytesIO(frame.data)).size for frame in finished.frames] == [(80, 64)] * 3
        assert (finished.files, finished.cached) == ((), False)
