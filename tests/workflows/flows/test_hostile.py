"""Graphs from strangers that must not run: every variant is refused, and says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.workflows.flows.kit import FakeWorkshop, Json, changed, node, portrait, retouch
from workflows.content import ContentRules
from workflows.errors import BadRecipe, GraphRejected, NotFound, Refused, StudioError
from workflows.library import Library
from workflows.types import Media


def with_node(kind: str, **inputs: Any) -> Json:
    return portrait(guest=node(kind, **inputs))


FETCHING = (
    *("LoadImageFromUrl", "Load Image From Url (mtb)", "DownloadAndLoadFlorence2Model", "HTTP Request", "FetchPage"),
    *("VideoFromURL", "easy loadImageURL", "CivitAI_Lora_Loader", "Web Scraper", "GoogleTranslateTextNode"),
)
RUNNING = (
    *("ExecutePython", "Python Code Node", "KepExecutePython", "AnyNode", "Evaluate Strings", "RunShellCommand"),
    *("SDVN Run Python Code", "JavascriptNode", "Execute Code Block", "EvalExpression", "CodeInterpreter"),
)
READING = (
    *("VHS_LoadVideoPath", "VHS_LoadImagesPath", "LoadImageFromPath", "LoadImagesFromDir //Inspire", "Image Load"),
    *("Load Image Batch", "Load Text File", "LoadTextFromFile", "CR Load Image List", "LoadTrainingDataset"),
)
WRITING = (
    *("Image Save", "Save Text File", "SaveText|pysssss", "Save Image (mtb)", "SaveImageToPath", "DeleteFile"),
    *("JDCN_FileMover", "CheckpointSave", "SaveImageExtended", "SaveImageDataSetToFolder"),
)
SENDING = ("DiscordWebhook", "SaveImageToS3", "UploadToImgur", "Send Email Node", "Telegram Notify", "FTP Put")
SPENDING = (
    *("KlingTextToVideoNode", "OpenAIGPTImage1", "GeminiImageNode", "RunwayImageToVideoNodeGen4", "IdeogramV3"),
    *("FluxKontextProImageNode", "Veo3VideoGenerationNode", "StabilityUpscaleFastNode", "Innocent Looking"),
    *("WanTextToVideoApi", "TripoTextToModelNode", "LumaImageNode", "RecraftTextToImageNode", "Rodin3D_Regular"),
)
ASKING = ("OllamaGenerate", "Ask ChatGPT", "LLM_api_loader", "Griptape Run: Task", "AnthropicVision", "OpenRouter Chat")
INSTALLING = ("Pip Install", "Git Clone Repo", "RestartServerNode", "InstallMissingNodes")
LOOKING = ("LoadImageOutput", "WebcamCapture", "Screen Capture")

CLASSES = [
    (kind, rule)
    for rule, kinds in (
        ("fetches", FETCHING),
        ("runs_code", RUNNING),
        ("reads_files", READING),
        ("writes_files", WRITING),
        ("sends", SENDING),
        ("spends", SPENDING),
        ("asks_models", ASKING),
        ("installs", INSTALLING),
        ("reads_others", LOOKING),
    )
    for kind in kinds
]

UNKNOWN = "Sparkle"
AWAY = (
    *("/etc/passwd", "~/.ssh/id_rsa", "C:\\Windows\\win.ini", "c:/users/me", "\\\\host\\share", "\\Users\\me"),
    *("../../secrets.txt", "..\\..\\secrets.txt", "a/../../b", "models/..", "%2e%2e/%2e%2e/x", "..%2fx", "$HOME/x"),
    *("%APPDATA%\\x", "  /etc/shadow", "/proc/self/environ and more words"),
)
ADDRESSES = (
    *("http://169.254.169.254/latest", "https://example.org/a.png", "file:///etc/passwd", "ftp://host/x"),
    *("HTTPS://EXAMPLE.ORG", "data:text/html,x", "javascript:alert(1)", "www.example.org", "gopher://x", "s3://b/k"),
)


async def refused(workflow: object, error: type[StudioError], reason: str) -> None:
    library = Library(workshop=FakeWorkshop(), rules=ContentRules())
    with pytest.raises(error) as caught:
        await library.prepare(workflow, {})
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize(("kind", "rule"), CLASSES)
async def test_nodes_that_may_harm_do_not_run(kind: str, rule: str) -> None:
    await refused(with_node(kind), Refused, f"(workflow.{rule}): Node guest ({kind}) may not run: it ")


@pytest.mark.parametrize(("kind", "rule"), CLASSES)
async def test_another_case_is_no_other_class(kind: str, rule: str) -> None:
    if kind != "Innocent Looking":  # known by what the server says of it, not by its name
        await refused(with_node(kind.upper()), Refused, f"(workflow.{rule})")


@pytest.mark.parametrize("value", AWAY)
@pytest.mark.parametrize("spot", ["guest.place", "loader.ckpt_name", "photo.image"])
async def test_paths_out_of_the_servers_folders_are_refused(value: str, spot: str) -> None:
    graph = retouch() | {"guest": node(UNKNOWN, image=["decode", 0], amount=1.0, place="there")}
    await refused(changed(graph, spot, value), Refused, "(workflow.paths)")


@pytest.mark.parametrize("value", ADDRESSES)
@pytest.mark.parametrize("spot", ["guest.place", "photo.image", "loader.ckpt_name"])
async def test_addresses_are_refused_where_they_are_not_words(value: str, spot: str) -> None:
    graph = retouch() | {"guest": node(UNKNOWN, image=["decode", 0], amount=1.0, place="there")}
    await refused(changed(graph, spot, value), Refused, "(workflow.addresses)")


@pytest.mark.parametrize(
    "field",
    [
        *("path", "image_path", "directory", "url", "api_key", "command", "python", "folder_name", "base_url"),
        *("imagePath", "model.file", "Save Path", "filename", "fileUrl"),
    ],
)
async def test_inputs_that_say_where_to_read_hold_nothing_and_read_nothing(field: str) -> None:
    told = f"{field} says where to read or write"
    await refused(portrait(guest=node("Anything", **{field: "holiday"})), Refused, told)
    text = node("PrimitiveStringMultiline", value="holiday")
    await refused(portrait(text=text, guest=node("Anything", **{field: ["text", 0]})), Refused, told)


async def test_a_path_hidden_in_a_table_or_list_is_found() -> None:
    hidden = {"__value__": [["fine", {"deep": "/etc/passwd"}]]}
    graph = portrait(guest=node(UNKNOWN, image=["decode", 0], amount=hidden, place="x"))
    await refused(graph, Refused, "'/etc/passwd' is a path")


async def test_a_file_to_read_cannot_come_out_of_another_node() -> None:
    graph = retouch() | {"text": node("PrimitiveStringMultiline", value="../secret.png")}
    await refused(changed(graph, "photo.image", ["text", 0]), Refused, "may not come out of another node")


@pytest.mark.parametrize("value", [7, None, True, {"a": "b"}, ["x"]])
async def test_a_file_to_read_has_a_name(value: object) -> None:
    await refused(changed(retouch(), "photo.image", value), Refused, "the name of a file is a text")


@pytest.mark.parametrize("value", ["atelier://file_1", "atelier://file_99/../x", " atelier://file_1"])
async def test_nobody_else_writes_what_stands_for_an_upload(value: str) -> None:
    await refused(changed(portrait(), "good.text", value), Refused, "stands for an upload")


@pytest.mark.parametrize("value", ["atelier://file_1", "stranger.png", "picture.png [output]"])
async def test_a_file_that_is_not_on_the_server_has_to_be_given(value: str) -> None:
    await refused(changed(retouch(), "photo.image", value), BadRecipe, "the workflow needs image (image)")


# ------------------------------------------------------------------ sizes and shapes

MANY = {str(number): node("EmptyImage", width=64) for number in range(1001)}
LOOPED = changed(portrait(), "latent.width", ["decode", 0])


def deep(levels: int) -> Json:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return changed(portrait(), "good.text", {"__value__": value})


def samplers(count: int) -> Json:
    return portrait() | {f"s{number}": portrait()["sampler"] for number in range(count)}


def nested(levels: int) -> Json:
    """Subgraphs of ten, each in the next: 10 ** levels nodes in a few lines."""
    inner = [{"id": number, "type": "EmptyImage"} for number in range(10)]
    bodies = [{"id": "s0", "nodes": inner, "links": []}]
    for level in range(1, levels):
        nodes = [{"id": number, "type": f"s{level - 1}"} for number in range(10)]
        bodies.append({"id": f"s{level}", "nodes": nodes, "links": []})
    top = [{"id": 1, "type": f"s{levels - 1}"}]
    return {"nodes": top, "links": [], "definitions": {"subgraphs": bodies}}


ITSELF = {
    "nodes": [{"id": 1, "type": "me"}],
    "links": [],
    "definitions": {"subgraphs": [{"id": "me", "nodes": [{"id": 1, "type": "me"}, {"id": 2, "type": "me"}]}]},
}

SHAPES: dict[str, tuple[Callable[[], object], type[StudioError], str]] = {
    "no nodes": (lambda: {}, GraphRejected, "at least one node"),
    "no object": (lambda: "[1, 2]", BadRecipe, "it is a graph"),
    "a number": (lambda: 7, BadRecipe, "it is a graph"),
    "no JSON": (lambda: '{"1": ', BadRecipe, "it is no JSON"),
    "deep text": (lambda: '{"1":' * 100_000, BadRecipe, "it is no JSON"),
    "endless digits": (lambda: '{"1": ' + "9" * 5000 + "}", BadRecipe, "it is no JSON"),
    "a long text": (lambda: json.dumps({"1": "x" * 5_000_001}), BadRecipe, "at most 5,000,000 are read"),
    "a long object": (lambda: {"1": node("EmptyImage", a="x" * 5_000_001)}, BadRecipe, "its size"),
    "many values": (lambda: {"1": node("EmptyImage", a=[0] * 200_001)}, BadRecipe, "its size"),
    "too deep": (lambda: deep(60), BadRecipe, "at most 40 deep"),
    "too many nodes": (lambda: MANY, GraphRejected, "1,001 nodes; at most 1,000"),
    "too many samplers": (lambda: samplers(50), GraphRejected, "samples 51 times; at most 50"),
    "too many inputs": (
        lambda: {"1": node("EmptyImage", **{f"i{number}": 0 for number in range(201)})},
        GraphRejected,
        "more than 200 inputs",
    ),
    "too many links": (
        lambda: {str(n): node("EmptyImage", **{f"i{number}": ["0", 0] for number in range(60)}) for n in range(200)},
        GraphRejected,
        "12,000 links; at most 5,000",
    ),
    "a long class": (lambda: {"1": node("x" * 201)}, GraphRejected, "is no name"),
    "a long id": (lambda: {"1" * 201: node("EmptyImage")}, GraphRejected, "is no name"),
    "an empty id": (lambda: {"": node("EmptyImage")}, GraphRejected, "is no name"),
    "a class of two lines": (lambda: {"1": node("Empty\nImage")}, GraphRejected, "is no name"),
    "an input with a bell": (lambda: {"1": node("EmptyImage", **{"a\a": 1})}, GraphRejected, "is no name"),
    "a node that is none": (lambda: {"1": "EmptyImage"}, GraphRejected, "is no node"),
    "inputs that are none": (lambda: {"1": {"class_type": "X", "inputs": [1]}}, GraphRejected, "is no node"),
    "a class that is none": (lambda: {"1": {"class_type": 7, "inputs": {}}}, GraphRejected, "is no node"),
    "a loop": (lambda: LOOPED, GraphRejected, "The links run in a circle"),
    "itself": (lambda: {"1": node("ImageInvert", image=["1", 0])}, GraphRejected, "Nothing in the graph is an output"),
    "a link to nobody": (lambda: changed(portrait(), "save.images", ["no", 0]), GraphRejected, "not in the graph"),
    "a slot too far": (lambda: changed(portrait(), "save.images", ["decode", 9]), GraphRejected, "reads output 9"),
    "a wrong type": (lambda: changed(portrait(), "save.images", ["sampler", 0]), GraphRejected, "takes IMAGE, but"),
    "an unknown class": (lambda: portrait(decode=node("VAEDecoder")), GraphRejected, "did you mean VAEDecode"),
    "many unknown classes": (
        lambda: {str(number): node(f"Nobody{number}") for number in range(900)},
        GraphRejected,
        "none of these node classes: Nobody0, Nobody1",
    ),
    "not a number": (lambda: changed(portrait(), "sampler.cfg", float("nan")), GraphRejected, "nan is no number"),
    "an infinite number": (lambda: changed(portrait(), "sampler.cfg", float("inf")), GraphRejected, "inf is no number"),
    "NaN in JSON": (
        lambda: json.dumps(changed(portrait(), "sampler.cfg", float("nan"))),
        GraphRejected,
        "nan is no number",
    ),
    "a giant number": (lambda: changed(portrait(), "sampler.seed", 2**64), GraphRejected, "larger than any seed"),
    "a negative size": (lambda: changed(portrait(), "latent.width", -512), GraphRejected, "the least is 16"),
    "a huge picture": (lambda: changed(portrait(), "latent.width", 100_000), GraphRejected, "at most 16384"),
    "a huge batch": (lambda: changed(portrait(), "latent.batch_size", 4096), GraphRejected, "at most 64"),
    "large and many": (
        lambda: portrait(latent=node("EmptyLatentImage", width=4096, height=4096, batch_size=9)),
        GraphRejected,
        "more than 134,217,728 pixels",
    ),
    "large by another node": (
        lambda: portrait(
            wide=node("PrimitiveInt", value=16_000),
            latent=node("EmptyLatentImage", width=["wide", 0], height=16_000, batch_size=1),
        ),
        GraphRejected,
        "more than 134,217,728 pixels",
    ),
    "a long video": (
        lambda: portrait(latent=node("EmptyHunyuanLatentVideo", width=848, height=480, length=9001, batch_size=1)),
        GraphRejected,
        "9001 is too much: at most 1025",
    ),
    "too many steps": (lambda: changed(portrait(), "sampler.steps", 9999), GraphRejected, "9999 is too much"),
    "a long prompt": (lambda: changed(portrait(), "good.text", "a" * 20_001), GraphRejected, "20,001 letters"),
    "many long texts": (
        lambda: changed(portrait(), "good.other", {f"t{number}": "a" * 19_000 for number in range(11)}),
        GraphRejected,
        "200,000 are read",
    ),
    "half a letter": (lambda: changed(portrait(), "good.text", "a \ud800"), GraphRejected, "half a letter"),
    "a NUL": (lambda: changed(portrait(), "good.text", "a\0b"), GraphRejected, "NUL"),
    "subgraphs in subgraphs": (lambda: nested(9), GraphRejected, "more than 1000 nodes with its subgraphs unfolded"),
    "a subgraph in itself": (lambda: ITSELF, GraphRejected, "lies in itself"),
    "a path as a name": (lambda: "../../etc/passwd", BadRecipe, "not a path or an address"),
    "a path from the root": (lambda: "/etc/passwd", BadRecipe, "not a path or an address"),
    "a path on a drive": (lambda: "C:\\flows\\a.json", BadRecipe, "not a path or an address"),
    "a path at home": (lambda: "~/flow.json", BadRecipe, "not a path or an address"),
    "an address": (lambda: "https://example.org/flow.json", BadRecipe, "not a path or an address"),
    "an empty name": (lambda: "  ", BadRecipe, "printable letters"),
    "a long name": (lambda: "a" * 151, BadRecipe, "printable letters"),
    "an unknown name": (lambda: "nobody", NotFound, "There is no workflow 'nobody'"),
}


@pytest.mark.parametrize("case", SHAPES)
async def test_shapes_and_sizes_are_bounded(case: str) -> None:
    workflow, error, reason = SHAPES[case]
    await refused(workflow(), error, reason)


def test_there_are_more_than_a_hundred_variants() -> None:
    assert len(CLASSES) + len(SHAPES) + 3 * len(AWAY) + 3 * len(ADDRESSES) > 200


# ------------------------------------------------------------------ and what is not refused


@pytest.mark.parametrize(
    "text",
    [
        "a sign that says https://example.org, neon",
        "/imagine a fox",
        "C:\\> a retro terminal",
        "../../etc/passwd",
        "~ waves ~",
    ],
)
async def test_words_for_an_encoder_are_only_words(text: str) -> None:
    ready = await Library(workshop=FakeWorkshop()).prepare(changed(portrait(), "good.text", text), {})
    assert ready.recipe.prompt == text


async def test_the_owner_may_allow_a_class() -> None:
    library = Library(workshop=FakeWorkshop(), allowed=("KlingTextToVideoNode",))
    graph = portrait(
        video=node("KlingTextToVideoNode", prompt="a fox"), keep=node("SaveVideo", video=["video", 0], codec="auto")
    )
    graph = changed(changed(graph, "keep.format", "auto"), "keep.filename_prefix", "x")
    sent = (await library.prepare(graph, {})).pictures["workflow"]
    assert isinstance(sent, Media)
    assert b"KlingTextToVideoNode" in sent.data
