"""What a client may read, complete and subscribe to besides tools."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from pathlib import Path

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    BlobResourceContents,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    TextContent,
    TextResourceContents,
)

from clients.tools import resources
from clients.tools.door import Door
from clients.tools.server import build_server
from tests.fakes import FakeEngine, fake_app
from tests.mcp.desk import ERAS, Era, desk

deprecated_on_purpose = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
both_eras = pytest.mark.parametrize("era", ERAS)


@both_eras
async def test_a_picture_can_be_read_as_it_was_filed(era: Era, tmp_path: Path) -> None:
    async with desk(tmp_path, era) as at:
        made = await at.ask("generate_image", prompt="a cat")
        contents = (await at.client.read_resource(f"media://images/{made['image_id']}")).contents
    assert isinstance(contents[0], BlobResourceContents)
    assert contents[0].mime_type == "image/png"
    assert base64.b64decode(contents[0].blob) == Path(made["path"]).read_bytes()


async def test_a_job_can_be_read_as_json(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        made = await at.ask("generate_image", prompt="a cat")
        contents = (await at.client.read_resource(f"media://jobs/{made['job_id']}")).contents
    assert isinstance(contents[0], TextResourceContents)
    assert json.loads(contents[0].text) == made


@pytest.mark.parametrize("name", ["nothing", "..%2F..%2Fetc%2Fpasswd", "%00", "a" * 300, "../../etc/passwd"])
@pytest.mark.parametrize("kind", ["images", "jobs"])
async def test_what_is_not_there_is_said_to_be_so(kind: str, name: str, tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        with pytest.raises(MCPError) as caught:
            await at.client.read_resource(f"media://{kind}/{name}")
    assert caught.value.error.code == -32602


async def test_the_newest_pictures_are_listed_first(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        made = [(await at.ask("generate_image", prompt=f"cat {n}"))["image_id"] for n in range(2)]
        listed = (await at.client.list_resources()).resources
        templates = (await at.client.list_resource_templates()).resource_templates
    assert [resource.name for resource in listed] == ["gallery", *made[::-1]]
    assert [template.uri_template for template in templates] == [resources.IMAGES, resources.VIDEOS, resources.JOBS]


async def test_ids_models_and_engines_are_completed(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        made = await at.ask("generate_image", prompt="a cat")

        async def values(ref: PromptReference | ResourceTemplateReference, name: str, start: str) -> list[str]:
            return (await at.client.complete(ref, {"name": name, "value": start})).completion.values

        images = ResourceTemplateReference(uri=resources.IMAGES)
        jobs = ResourceTemplateReference(uri=resources.JOBS)
        prompt = PromptReference(name="make_picture")
        assert await values(images, "id", made["image_id"][:4]) == [made["image_id"]]
        assert await values(jobs, "id", made["job_id"][:4]) == [made["job_id"]]
        assert await values(prompt, "model", "") == ["auto", "fake-model"]
        assert await values(prompt, "engine", "fa") == ["fake"]
        assert await values(prompt, "subject", "c") == []


async def test_the_prompts_fill_in_what_they_are_given(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        names = [prompt.name for prompt in (await at.client.list_prompts()).prompts]
        filled = await at.client.get_prompt("make_picture", {"subject": "a red boat"})
    assert names == ["make_picture", "vary_picture", "write_prompt"]
    assert isinstance(filled.messages[0].content, TextContent)
    assert "a red boat" in filled.messages[0].content.text


async def test_a_picture_too_big_for_an_answer_is_read_as_a_preview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MAX_BLOB", 10)
    async with desk(tmp_path) as at:
        made = await at.ask("generate_image", prompt="a cat")
        contents = (await at.client.read_resource(f"media://images/{made['image_id']}")).contents
    assert isinstance(contents[0], BlobResourceContents)
    assert base64.b64decode(contents[0].blob).startswith((b"\x89PNG", b"\xff\xd8\xff"))
    assert contents[0].mime_type in {"image/png", "image/jpeg"}


@deprecated_on_purpose
async def test_a_subscriber_of_the_handshake_era_is_told_when_the_job_ends(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    told: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            told.put_nowait(message.params.uri)

    server = build_server(Door(lambda: fake_app(tmp_path, engine=engine)))
    async with Client(server, mode="legacy", message_handler=hear) as client:
        started = await client.call_tool("generate_image", {"prompt": "a cat", "wait_seconds": 0})
        assert isinstance(started.content[0], TextContent)
        uri = f"media://jobs/{json.loads(started.content[0].text)['job_id']}"
        await client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated]
        assert engine.gate is not None
        engine.gate.set()
        async with asyncio.timeout(20):
            assert await told.get() == uri
        await client.unsubscribe_resource(uri)  # pyright: ignore[reportDeprecated]


@deprecated_on_purpose
async def test_a_client_of_the_handshake_era_sets_how_much_is_logged(tmp_path: Path) -> None:
    before = logging.getLogger("atelier").level
    try:
        async with desk(tmp_path, "legacy") as at:
            await at.client.set_logging_level("error")  # pyright: ignore[reportDeprecated]
        assert logging.getLogger("atelier").level == logging.ERROR
    finally:
        logging.getLogger("atelier").setLevel(before)
