"""The client's single calls: how it gets in, what it makes of odd answers, files. Against the fake."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from clients.comfyui_client import ComfyUIClient, OutputFile, Pace, ServerJob, UploadedFile
from tests.fake_comfyui import FakeComfyUI
from tests.fakes import png
from tests.live import graphs
from workflows.errors import AccessDenied, EngineUnavailable, GraphRejected, NotFound, RenderFailed
from workflows.types import Media, Problem, new_id

HASTY = Pace(silence=0.1, first=0.05, blind=0.02, apart=0.1, reopen=0.02)
TINY = {"checkpoints": {"tiny.safetensors": 300, "big.safetensors": 7000}}
FILE = OutputFile(filename="a.png", subfolder="s")


@pytest.fixture
async def fake() -> AsyncIterator[FakeComfyUI]:
    async with FakeComfyUI(models=TINY, metadata={"tiny.safetensors": {"modelspec.title": "Tiny"}}) as fake:
        fake.files["output", "s", "a.png"] = png()
        yield fake


@pytest.fixture
async def client(fake: FakeComfyUI) -> AsyncIterator[ComfyUIClient]:
    async with ComfyUIClient(fake.url, pace=HASTY) as client:
        yield client


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188"),
        (" http://gpu:8188/ ", "http://gpu:8188"),
        ("https://user:pass@host.example/comfy/", "https://host.example/comfy"),
        ("http://[::1]:8188", "http://[::1]:8188"),
    ],
)
def test_an_address_is_shown_without_credentials(given: str, url: str) -> None:
    assert ComfyUIClient(given).url == url


@pytest.mark.parametrize("given", ["", "ftp://host", "http://", "http://user:secret@host:port", "http://host/?x=1"])
def test_what_is_no_address_is_refused_without_its_secrets(given: str) -> None:
    with pytest.raises(ValueError, match="looks like http") as caught:
        ComfyUIClient(given)
    assert "secret" not in str(caught.value)


async def test_basic_auth_and_a_prefix_open_every_door() -> None:
    async with FakeComfyUI(basic=("us er", "p@ss"), prefix="/comfy") as fake:
        place = fake.url.removeprefix("http://")
        async with ComfyUIClient(f"http://us%20er:p%40ss@{place}/") as client:
            finished = await client.run(graphs.saved())
            assert (await client.view(finished.files[0])).media_type == "image/png"
            assert "p@ss" not in repr(client) + client.url
            assert (fake.sockets != {}, await client.history(finished.prompt_id)) == (True, finished)


async def test_a_token_goes_as_bearer_and_a_wrong_one_is_named() -> None:
    async with FakeComfyUI(bearer="right") as fake:
        async with ComfyUIClient(fake.url, token="right") as client:
            await client.run(graphs.saved())
        async with ComfyUIClient(fake.url, token="wrong") as client:
            with pytest.raises(AccessDenied, match="set COMFYUI_TOKEN") as caught:
                await client.run(graphs.saved())
            assert (caught.value.setting, "wrong" in str(caught.value)) == ("COMFYUI_TOKEN", False)


async def test_a_proxy_of_the_environment_does_not_stand_before_loopback(
    fake: FakeComfyUI, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "WS_PROXY", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with ComfyUIClient(fake.url, pace=HASTY) as client:
        await client.run(graphs.saved())
    assert [path for _, path in fake.requests] == ["/ws", "/prompt"]


async def test_a_server_that_is_not_there_is_named_with_the_next_step() -> None:
    async with FakeComfyUI() as fake:
        url = fake.url
    async with ComfyUIClient(url) as client:
        with pytest.raises(EngineUnavailable) as caught:
            await client.system_stats()
    text = f"ComfyUI at {url} refuses the connection; is a ComfyUI running at {url}? COMFYUI_URL says where it is."
    assert (str(caught.value), caught.value.code) == (text, "engine_unavailable")


async def test_a_server_that_is_something_else_is_found_out(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    for path, call in (("/system_stats", client.system_stats), ("/queue", client.queue), ("/models", client.models)):
        fake.answer(path, 200)
        with pytest.raises(EngineUnavailable, match="not like a ComfyUI"):
            await call()
        fake.answer(path, 404)
        with pytest.raises(EngineUnavailable, match="answered 404"):
            await call()


async def test_a_closed_client_says_so(fake: FakeComfyUI) -> None:
    with pytest.raises(EngineUnavailable, match="async with"):
        await ComfyUIClient(fake.url).queue()


async def test_a_picture_cut_short_is_not_handed_over(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.short = 20
    with pytest.raises(EngineUnavailable, match="broke off"):
        await client.view(FILE)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "it is empty"), (png()[:-20], "its end is missing"), (b"<html>no</html>", "it is no PNG")],
)
async def test_a_damaged_picture_is_not_handed_over(
    fake: FakeComfyUI, client: ComfyUIClient, content: bytes, said: str
) -> None:
    fake.files["output", "s", "a.png"] = content
    with pytest.raises(RenderFailed, match=said):
        await client.view(FILE)


async def test_a_whole_picture_is_handed_over_and_what_is_gone_is_not_found(
    fake: FakeComfyUI, client: ComfyUIClient
) -> None:
    assert await client.view(FILE) == Media(data=png(), media_type="image/png")
    fake.files.clear()
    with pytest.raises(NotFound, match=r"s/a\.png"):
        await client.view(FILE)


async def test_an_upload_keeps_the_servers_name(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    await client.upload("a.png", b"0")
    first = await client.upload("C:\\pictures\\a.png", b"1")
    same = await client.upload("a.png", b"2", overwrite=False)
    other = await client.upload("a.png", b"3", kind="output", subfolder="x/y")
    assert [first, same, other] == [
        UploadedFile(name="a.png"),
        UploadedFile(name="a (1).png"),
        UploadedFile(name="a.png", subfolder="x/y", type="output"),
    ]
    assert [one.reference for one in (first, same, other)] == ["a.png", "a (1).png", "x/y/a.png [output]"]
    assert fake.files["input", "", "a.png"] == b"1"


async def test_an_upload_that_is_not_taken_says_why(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    with pytest.raises(GraphRejected, match=r"in folder '\.\./up'"):
        await client.upload("a.png", b"1", subfolder="../up")
    fake.answer("/upload/image", 413)
    with pytest.raises(GraphRejected, match="more than it accepts"):
        await client.upload("a.png", b"1")


async def test_a_mask_for_a_picture_that_is_not_there_is_found_out(client: ComfyUIClient) -> None:
    with pytest.raises(NotFound, match=r"never\.png"):
        await client.upload_mask(png(), OutputFile(filename="never.png"))


async def test_node_classes_are_asked_once_until_the_server_restarts(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    def times() -> int:
        return fake.requests.count(("GET", "/object_info"))

    await client.run(graphs.saved())
    for _ in range(3):
        assert "KSampler" in await client.object_info("KSampler") or times() == 0
        await client.object_info()
    assert times() == 1
    await fake.restart()
    await client.run(graphs.saved())
    await client.object_info()
    await client.object_info()
    assert times() == 2
    client.forget()
    await client.object_info()
    assert times() == 3


async def test_one_class_does_not_need_them_all(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    assert list(await client.object_info("KSampler")) == ["KSampler"]
    assert await client.object_info("No/Such") == {}
    assert fake.requests == [("GET", "/object_info/KSampler"), ("GET", "/object_info/No/Such")]


async def test_what_the_server_has(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    assert await client.models("checkpoints") == ["tiny.safetensors", "big.safetensors"]
    assert await client.model_sizes("checkpoints") == TINY["checkpoints"]
    assert await client.view_metadata("checkpoints", "tiny.safetensors") == {"modelspec.title": "Tiny"}
    with pytest.raises(NotFound, match="Did you mean checkpoints"):
        await client.models("checkpoint")


@pytest.mark.parametrize(("version", "warned"), [("0.3.64", True), ("0.27.9", True), ("0.28.0", False), ("", False)])
async def test_a_version_with_published_vulnerabilities_is_warned_of(version: str, warned: bool) -> None:
    async with FakeComfyUI(version=version or "x") as fake, ComfyUIClient(fake.url) as client:
        warnings = await client.warnings()
        assert bool(warnings) == warned
        assert all(version in warning and "0.28" in warning for warning in warnings)


@pytest.mark.parametrize("era", ["A", "B"])
async def test_jobs_of_every_state_are_listed_newest_first(era: str) -> None:
    names = [new_id() for _ in range(4)]
    async with FakeComfyUI(era=era) as fake, ComfyUIClient(fake.url, pace=HASTY) as client:
        await client.run(graphs.saved(), prompt_id=names[0])
        fake.fail("SaveImage", "ValueError", "no")
        with pytest.raises(RenderFailed):
            await client.run(graphs.saved(), prompt_id=names[1])
        hold = fake.hold("SaveImage")
        for name in names[2:]:
            await client.prompt(graphs.saved(), prompt_id=name)
        await hold.reached.wait()
        assert await client.jobs() == [
            ServerJob(prompt_id=names[3], state="pending", number=3.0),
            ServerJob(prompt_id=names[2], state="running", number=2.0),
            ServerJob(prompt_id=names[1], state="error", number=1.0),
            ServerJob(prompt_id=names[0], state="success", number=0.0),
        ]
        assert len(await client.jobs(2)) == 2
        hold.release()


async def test_a_prompt_says_who_sent_it_and_carries_what_it_is_given(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold, name, graph = fake.hold("EmptyImage"), new_id(), graphs.saved()
    await client.prompt(graphs.saved())
    await client.prompt(graphs.saved())
    accepted = await client.prompt(graph, prompt_id=name, extra_data={"x": 1}, front=True)
    sent = {"prompt": graph, "prompt_id": name, "client_id": client.client_id, "extra_data": {"x": 1}, "front": True}
    assert (fake.prompts[2], accepted.prompt_id) == (sent, name)
    queue = await client.queue()
    assert queue.pending[0].prompt_id == name
    assert {one.client_id for one in (*queue.running, *queue.pending)} == {client.client_id}
    hold.release()


async def test_the_queue_is_in_the_order_in_which_it_will_run(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    hold = fake.hold("EmptyImage")
    names = [(await client.prompt(graphs.saved())).prompt_id for _ in range(5)]
    await hold.reached.wait()
    queue = await client.queue()
    assert [queue.ahead(name) for name in names] == [0, 1, 2, 3, 4]
    assert queue.ahead(new_id()) is None
    hold.release()


async def test_a_question_is_asked_again_when_the_connection_broke(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.answer("/queue", 0)
    assert (await client.queue()).pending == ()
    fake.answer("/queue", 0, 0)
    with pytest.raises(EngineUnavailable, match="broke off"):
        await client.queue()


async def test_only_the_outputs_asked_for_are_made(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    graph = graphs.saved() | {"3": graphs.node("PreviewImage", images=["1", 0])}
    await client.prompt(graph, partial_execution_targets=["3"])
    await fake.until(lambda: fake.history)
    assert list(next(iter(fake.history.values()))["outputs"]) == ["3"]


async def test_a_long_list_of_choices_is_looked_up(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.models["checkpoints"] = {f"model-{number:02}.safetensors": 1 for number in range(30)}
    with pytest.raises(GraphRejected) as caught:
        await client.run(graphs.drawn("model-077.safetensors"))
    (problem,) = caught.value.problems
    assert (problem.input, problem.value, problem.valid[0]) == (
        "ckpt_name",
        "model-077.safetensors",
        "model-07.safetensors",
    )
    assert len(problem.valid) == 6


async def test_every_unknown_class_is_named_not_only_the_first(client: ComfyUIClient) -> None:
    graph = {"1": graphs.node("EmptyImag"), "2": graphs.node("SavImage", images=["1", 0])}
    with pytest.raises(GraphRejected) as caught:
        await client.run(graph)
    assert [(one.node, one.valid[0]) for one in caught.value.problems] == [("1", "EmptyImage"), ("2", "SaveImage")]


async def test_nothing_installed_is_said_as_such(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    fake.models["checkpoints"] = {}
    with pytest.raises(GraphRejected) as caught:
        await client.run(graphs.drawn("a.safetensors"))
    text = "ckpt_name cannot be 'a.safetensors': nothing is installed for it"
    problem = Problem(
        node="4", class_type="CheckpointLoaderSimple", input="ckpt_name", value="a.safetensors", message=text
    )
    assert caught.value.problems == (problem,)
    assert str(caught.value) == f"ComfyUI does not take the graph: node 4 (CheckpointLoaderSimple): {text}."


async def test_memory_is_freed_on_request(fake: FakeComfyUI, client: ComfyUIClient) -> None:
    await client.free()
    await client.free(unload_models=False)
    assert fake.freed == [
        {"unload_models": True, "free_memory": True},
        {"unload_models": False, "free_memory": True},
    ]


def test_the_header_of_basic_auth_is_the_standard_one() -> None:
    from clients._comfyui.address import Address

    address = Address.read("http://user:pass@host")
    assert address.headers == {"Authorization": f"Basic {base64.b64encode(b'user:pass').decode()}"}
    assert "Basic" not in repr(address)
    assert address.socket("a b/c") == "ws://host/ws?clientId=a%20b%2Fc"
    assert Address.read("https://host/x").socket("a") == "wss://host/x/ws?clientId=a"
