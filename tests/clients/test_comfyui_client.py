"""Runs that go wrong on the way: broken sockets, restarts, silence, errors, cancels. Against the fake."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from clients.comfyui_client import (
    ComfyUIClient,
    Event,
    Finished,
    NodeProgress,
    NodeStarted,
    Pace,
    Preview,
    Started,
    Waiting,
)
from tests.fake_comfyui import FakeComfyUI
from tests.live import graphs
from workflows.errors import (
    EngineUnavailable,
    JobCancelled,
    NotFound,
    OutOfMemory,
    RenderFailed,
    RenderLost,
)
from workflows.types import new_id

HASTY = Pace(
    silence=0.1, first=0.05, blind=0.02, apart=0.1, refused=0.2, unreachable=0.4, stop=2.0, call_off=2.0, reopen=0.02
)
CHECKPOINT = "tiny.safetensors"


@pytest.fixture(params=["A", "B"])
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeComfyUI]:
    async with FakeComfyUI(era=request.param, models={"checkpoints": [CHECKPOINT]}) as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeComfyUI) -> AsyncIterator[ComfyUIClient]:
    async with ComfyUIClient(fake.url, pace=HASTY) as client:
        yield client


def streamed(count: int = 2) -> graphs.Graph:
    empty = graphs.node("EmptyImage", width=64, height=64, batch_size=count, color=graphs.colour())
    return {"1": empty, "2": graphs.node("SaveImageWebsocket", images=["1", 0])}


def asked(fake: FakeComfyUI, method: str, path: str) -> int:
    return sum(request == (method, path) for request in fake.requests)


async def test_an_undisturbed_run_needs_no_history(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    await client.run(graphs.saved())
    assert [path for _, path in fake.requests] == ["/ws", "/prompt"]


async def test_a_success_without_any_output_is_looked_up_in_the_history(
    fake: FakeComfyUI, client: ComfyUIClient
) -> None:
    fake.mute.add("executed")
    finished = await client.run(graphs.saved())
    assert (len(finished.files), finished) == (1, await client.history(finished.prompt_id))
    assert [path for _, path in fake.requests][:3] == ["/ws", "/prompt", f"/history/{finished.prompt_id}"]


async def test_an_end_whose_success_was_never_told_is_looked_up_at_once(fake: FakeComfyUI) -> None:
    fake.mute.add("execution_success")
    async with ComfyUIClient(fake.url, pace=replace(HASTY, silence=30.0)) as client:
        finished = await asyncio.wait_for(client.run(graphs.saved()), 5)
    assert [path for _, path in fake.requests] == ["/ws", "/prompt", f"/history/{finished.prompt_id}"]


async def test_a_question_that_is_not_answered_in_time_is_asked_once(fake: FakeComfyUI) -> None:
    hold = fake.hold_request("/queue")
    async with ComfyUIClient(fake.url, timeout=0.2) as client:
        with pytest.raises(EngineUnavailable, match="did not answer within"):
            await client.queue()
    assert asked(fake, "GET", "/queue") == 1
    hold.release()


async def test_a_server_that_hangs_is_given_up_when_the_bound_is_over_counted_from_the_first_question(
    fake: FakeComfyUI,
) -> None:
    hold, name = fake.hold("SaveImage"), new_id()
    pace = replace(HASTY, unreachable=0.7)
    async with ComfyUIClient(fake.url, timeout=0.4, pace=pace) as client:
        running = asyncio.create_task(client.run(graphs.saved(), prompt_id=name))
        await hold.reached.wait()
        questions = fake.hold_request(f"/history/{name}")
        with pytest.raises(RenderLost, match="did not answer within"):
            await running
    assert asked(fake, "GET", f"/history/{name}") == 2
    questions.release()
    hold.release()


async def test_a_socket_cut_in_the_middle_loses_nothing(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold, events = fake.hold("SaveImage"), list[Event]()
    running = asyncio.create_task(client.run(graphs.saved(), on_event=events.append))
    await hold.reached.wait()
    await fake.cut()
    hold.release()
    finished = await running
    assert len(finished.files) == 1
    assert len(fake.prompts) == 1
    assert await client.history(finished.prompt_id) == finished


async def test_what_ends_while_the_socket_is_away_is_found_in_the_history(
    fake: FakeComfyUI, client: ComfyUIClient
) -> None:
    hold = fake.hold("SaveImage")
    running = asyncio.create_task(client.run(graphs.saved()))
    await hold.reached.wait()
    fake.answer("/ws", *[500] * 50)
    await fake.cut()
    hold.release()
    assert (await running).status == "success"


async def test_a_socket_that_says_nothing_is_not_believed(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.deaf = True
    assert (await client.run(graphs.saved())).status == "success"


async def test_a_server_without_a_socket_is_asked_instead(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.answer("/ws", *[500] * 100)
    assert len((await client.run(graphs.saved())).files) == 1


async def test_a_new_connection_has_a_new_id_unless_somebody_listens(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    await client.run(graphs.saved())
    first = client.client_id
    await fake.cut()
    await fake.until(lambda: fake.sockets)
    await client.run(graphs.saved())
    second = client.client_id
    hold = fake.hold("SaveImage")
    running = asyncio.create_task(client.run(graphs.saved()))
    await hold.reached.wait()
    await fake.cut()
    await fake.until(lambda: second in fake.sockets)
    hold.release()
    await running
    await client.run(graphs.saved())
    assert len({first, second, client.client_id}) == 3
    assert list(fake.sockets) == [client.client_id]


async def test_events_go_on_after_a_cut(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold, events = fake.hold("KSampler", step=1), list[Event]()
    running = asyncio.create_task(client.run(graphs.drawn(CHECKPOINT, steps=3), on_event=events.append))
    await hold.reached.wait()
    await fake.cut()
    await fake.until(lambda: fake.sockets)
    looks = asked(fake, "GET", "/queue")
    await fake.until(lambda: asked(fake, "GET", "/queue") > looks + 1)
    hold.release()
    await running
    assert [event.value for event in events if isinstance(event, NodeProgress)][-1] == 3.0
    assert (events.count(Started()), events.count(NodeStarted(node="3"))) == (1, 1)


async def test_a_restart_in_the_middle_loses_the_render_and_says_so(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold = fake.hold("SaveImage")
    running = asyncio.create_task(client.run(graphs.saved()))
    await hold.reached.wait()
    await fake.restart()
    with pytest.raises(RenderLost, match="restarted") as caught:
        await running
    assert (caught.value.restarted, caught.value.code) == (True, "render_lost")
    hold.release()
    assert (await client.run(graphs.saved())).status == "success"


async def test_a_server_that_dies_in_the_middle_loses_the_render(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold = fake.hold("SaveImage")
    running = asyncio.create_task(client.run(graphs.saved()))
    await hold.reached.wait()
    await fake.stop()
    with pytest.raises(RenderLost, match="refuses the connection"):
        await running
    with pytest.raises(EngineUnavailable, match="is a ComfyUI running at"):
        await client.run(graphs.saved())


async def test_a_job_deleted_by_somebody_else_is_not_waited_for(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold, name, events = fake.hold("SaveImage"), new_id(), list[Event]()
    first = asyncio.create_task(client.run(graphs.saved()))
    await hold.reached.wait()
    second = asyncio.create_task(client.run(graphs.saved(), prompt_id=name, on_event=events.append))
    await fake.until(lambda: len(fake.prompts) == 2)
    await client.delete([name])
    with pytest.raises(RenderLost, match="deleted from its queue") as caught:
        await second
    assert caught.value.restarted is False
    hold.release()
    await first


async def test_who_waits_knows_how_many_are_ahead(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold, events = fake.hold("SaveImage"), list[Event]()
    runs = [asyncio.create_task(client.run(graphs.saved(), on_event=events.append)) for _ in range(3)]
    await fake.until(lambda: asked(fake, "GET", "/queue") >= 6)
    assert {event for event in events if isinstance(event, Waiting)} == {Waiting(ahead=1), Waiting(ahead=2)}
    hold.release()
    await asyncio.gather(*runs)


async def test_running_out_of_memory_is_its_own_error(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.fail("VAEDecode", "torch.OutOfMemoryError", "Allocation on device 0 would exceed allowed memory.\nMore.")
    fake.fail("KSampler", "RuntimeError", "CUDA error: out of memory")
    for node in ("3 (KSampler)", "8 (VAEDecode)"):
        with pytest.raises(OutOfMemory, match=f"in node {node}".replace("(", r"\(").replace(")", r"\)")):
            await client.run(graphs.drawn(CHECKPOINT))
    assert (await client.run(graphs.drawn(CHECKPOINT))).status == "success"


async def test_an_error_that_the_socket_did_not_tell_is_read_from_the_history(
    fake: FakeComfyUI, client: ComfyUIClient
) -> None:
    fake.deaf = True
    fake.fail("SaveImage", "builtins.OSError", "No space left on '/mnt/disk/out/a.png' or 'C:\\ComfyUI\\out\\b.png'")
    with pytest.raises(RenderFailed) as caught:
        await client.run(graphs.saved())
    text = "ComfyUI failed in node 2 (SaveImage): OSError: No space left on 'a.png' or 'b.png'."
    assert (str(caught.value), caught.value.node) == (text, "2")


async def test_somebody_elses_interrupt_is_a_cancel(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold = fake.hold("SaveImage")
    running = asyncio.create_task(client.run(graphs.saved()))
    await hold.reached.wait()
    fake.worker.interrupt()
    with pytest.raises(JobCancelled):
        await running


async def test_a_500_that_queued_the_prompt_is_not_sent_again(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.answer("/prompt", 500, queued=True)
    assert (await client.run(graphs.saved())).status == "success"
    assert len(fake.prompts) == 1


async def test_a_500_that_did_not_is_sent_once_more(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.answer("/prompt", 500)
    assert (await client.run(graphs.saved())).status == "success"
    fake.answer("/prompt", 500, 500, 500)
    with pytest.raises(EngineUnavailable, match="answered 500 to /prompt") as caught:
        await client.run(graphs.saved())
    assert (caught.value.code, asked(fake, "POST", "/prompt"), len(fake.prompts)) == ("engine_unavailable", 4, 1)


async def test_a_request_that_broke_off_is_not_sent_twice(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.answer("/prompt", 0, queued=True)
    assert (await client.run(graphs.saved())).status == "success"
    fake.answer("/prompt", 0)
    with pytest.raises(EngineUnavailable, match="broke off"):
        await client.run(graphs.saved())
    assert (asked(fake, "POST", "/prompt"), len(fake.prompts)) == (2, 1)


async def test_a_cancel_while_it_is_being_sent_reaches_the_prompt(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    sending, hold = fake.hold_request("/prompt"), fake.hold("SaveImage")
    running = asyncio.create_task(client.run(graphs.saved()))
    await sending.reached.wait()
    running.cancel()
    await asyncio.wait({running}, timeout=0.1)  # the request is still on its way
    sending.release()
    with pytest.raises(asyncio.CancelledError):
        await running
    await fake.until(lambda: fake.prompts and not fake.worker.remaining)
    hold.release()


async def test_a_listener_that_breaks_ends_the_run_and_the_prompt(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    def broken(event: Event) -> None:
        if isinstance(event, NodeStarted):
            raise ZeroDivisionError

    fake.hold("EmptyImage")
    with pytest.raises(ZeroDivisionError):
        await client.run(graphs.saved(), on_event=broken)
    assert fake.worker.remaining == 0


async def test_a_node_that_does_not_notice_is_reported_as_stopping(fake: FakeComfyUI) -> None:
    async with ComfyUIClient(fake.url, pace=Pace(stop=0.1, call_off=0.1)) as client:
        hold, name = fake.hold("SaveImage"), new_id()
        fake.worker.stubborn = True
        running = asyncio.create_task(client.run(graphs.saved(), prompt_id=name))
        await hold.reached.wait()
        assert await client.cancel(name) == "stopping"
        hold.release()
        with pytest.raises(JobCancelled):
            await running


async def test_a_run_given_up_says_when_the_server_goes_on_with_it(fake: FakeComfyUI) -> None:
    async with ComfyUIClient(fake.url, pace=Pace(stop=0.1, call_off=0.1)) as client:
        hold = fake.hold("SaveImage")
        fake.worker.stubborn = True
        running = asyncio.create_task(client.run(graphs.saved()))
        await hold.reached.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError, match="until the node at work looks up"):
            await running
        hold.release()


async def test_pictures_sent_over_the_socket_are_outputs(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    events = list[Event]()
    finished = await client.run(streamed(2), on_event=events.append)
    assert [Image.open(io.BytesIO(frame.data)).size for frame in finished.frames] == [(64, 64)] * 2
    assert (finished.files, [event for event in events if isinstance(event, Preview)]) == ((), [])


async def test_pictures_lost_with_the_socket_are_not_passed_over(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold = fake.hold("SaveImageWebsocket")
    running = asyncio.create_task(client.run(streamed()))
    await hold.reached.wait()
    await fake.cut()
    hold.release()
    with pytest.raises(RenderLost, match="connection that broke"):
        await running


async def test_pictures_for_a_socket_that_never_opened_are_not_passed_over(
    fake: FakeComfyUI, client: ComfyUIClient
) -> None:
    fake.answer("/ws", *[500] * 100)
    with pytest.raises(RenderLost, match="connection that broke"):
        await client.run(streamed())


async def test_a_client_that_comes_back_with_its_old_name_misses_no_output(fake: FakeComfyUI) -> None:
    hold, name = fake.hold("PreviewImage"), new_id()
    graph = graphs.saved() | {"3": graphs.node("PreviewImage", images=["1", 0])}
    async with ComfyUIClient(fake.url, client_id="me") as earlier:
        await earlier.prompt(graph, prompt_id=name)
        await hold.reached.wait()
    async with ComfyUIClient(fake.url, client_id="me", pace=HASTY) as client:
        running = asyncio.create_task(client.run(graph, prompt_id=name, again=True))
        await fake.until(lambda: asked(fake, "GET", "/queue"))
        hold.release()
        assert {file.node for file in (await running).files} == {"2", "3"}


async def test_what_ends_while_it_is_looked_for_is_found(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold, looking, name, graph = fake.hold("SaveImage"), fake.hold_request("/queue"), new_id(), graphs.saved()
    await client.prompt(graph, prompt_id=name)
    await hold.reached.wait()
    running = asyncio.create_task(client.run(graph, prompt_id=name, again=True))
    await looking.reached.wait()
    hold.release()
    await fake.until(lambda: fake.history)
    looking.release()
    assert ((await running).status, len(fake.prompts)) == ("success", 1)


async def test_a_client_that_comes_back_joins_what_runs(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold, name, graph = fake.hold("SaveImage"), new_id(), graphs.saved()
    async with ComfyUIClient(fake.url, pace=HASTY) as earlier:
        await earlier.prompt(graph, prompt_id=name)
        await hold.reached.wait()
    running = asyncio.create_task(client.run(graph, prompt_id=name, again=True))
    await fake.until(lambda: asked(fake, "GET", "/queue"))
    hold.release()
    finished = await running
    assert (finished, len(fake.prompts)) == (await client.history(name), 1)


async def test_a_client_that_comes_back_sends_what_was_interrupted_or_never_came(
    fake: FakeComfyUI, client: ComfyUIClient
) -> None:
    hold, name, graph = fake.hold("SaveImage"), new_id(), graphs.saved()
    running = asyncio.create_task(client.run(graph, prompt_id=name))
    await hold.reached.wait()
    running.cancel()
    await asyncio.wait({running})
    hold.release()
    assert (await client.run(graph, prompt_id=name, again=True)).status == "success"
    assert (await client.run(graphs.saved(), prompt_id=new_id(), again=True)).status == "success"
    assert len(fake.prompts) == 3


async def test_a_client_that_comes_back_learns_how_it_broke(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    name, graph = new_id(), graphs.saved()
    fake.fail("SaveImage", "builtins.ValueError", "no")
    for again in (False, True):
        with pytest.raises(RenderFailed, match="ValueError: no"):
            await client.run(graph, prompt_id=name, again=again)
    assert len(fake.prompts) == 1


async def test_a_cached_file_that_is_gone_is_not_found_and_another_prefix_helps(
    fake: FakeComfyUI, client: ComfyUIClient
) -> None:
    graph: dict[str, Any] = graphs.saved()
    await client.run(graph)
    fake.files.clear()
    cached = await client.run(graph)
    assert cached.cached
    with pytest.raises(NotFound, match="another file name"):
        await client.view(cached.files[0])
    graph["2"]["inputs"]["filename_prefix"] += "b"
    assert (await client.view((await client.run(graph)).files[0])).media_type == "image/png"


async def test_a_run_with_nothing_new_is_a_success(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    graph = {"1": graphs.saved()["1"], "2": graphs.node("PreviewAny", source=["1", 0])}
    first, second = await client.run(graph), await client.run(graph)
    assert (first.texts, second.texts, second.files) == (first.texts, first.texts, ())


async def test_events_of_prompts_without_a_client_are_nobodys(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    events = list[Event]()
    await client.run(graphs.saved())
    from clients._comfyui.web import Web  # a bare request: our client always says who it is

    web = Web(client._web.address, 5.0)  # pyright: ignore[reportPrivateUsage]
    await web.open()
    hold = fake.hold("EmptyImage")
    await web.post("/prompt", json={"prompt": streamed()})
    await hold.reached.wait()
    running = asyncio.create_task(client.run(graphs.saved(), on_event=events.append))
    await fake.until(lambda: len(fake.prompts) == 3)
    hold.release()
    finished: Finished = await running
    assert (finished.frames, [type(one).__name__ for one in events if isinstance(one, Preview)]) == ((), [])
    await web.close()
