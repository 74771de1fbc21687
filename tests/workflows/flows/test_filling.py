"""A workflow with its caller's values: checked, put in their places, and made into a job."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.workflows.flows.kit import CHECKPOINT, FakeWorkshop, Json, changed, having, node, portrait, retouch
from workflows.content import ContentRules
from workflows.errors import BadRecipe, GraphRejected, Refused
from workflows.flows import Prepared
from workflows.library import Library
from workflows.types import MAX_SEED, Acceptance, Media, Recipe


async def filled(graph: Json, **inputs: object) -> Prepared:
    return await Library(workshop=FakeWorkshop()).prepare(graph, inputs)


def sent(ready: Prepared) -> Json:
    """The graph that the job holds."""
    graph = ready.pictures["workflow"]
    assert isinstance(graph, Media)
    assert graph.media_type == "application/json"
    return json.loads(graph.data)


def value(ready: Prepared, spot: str) -> Any:
    name, _, field = spot.partition(".")
    return sent(ready)[name]["inputs"][field]


async def test_a_workflow_without_values_runs_as_it_stands() -> None:
    ready = await filled(portrait())
    assert ready.recipe == Recipe(
        task="workflow",
        prompt="a red fox in the snow",
        negative="blurry",
        width=512,
        height=768,
        seed=7,
        steps=20,
        cfg=6.5,
        sampler="euler",
        scheduler="normal",
        denoise=1.0,
        model=CHECKPOINT,
        acceptance=Acceptance(auto_retry=False),
    )
    prefix = value(ready, "save.filename_prefix")
    assert changed(sent(ready), "save.filename_prefix", "ComfyUI") == portrait()
    assert re.fullmatch(r"atelier/\d{4}-\d\d-\d\d/[0-9a-f]{12}", prefix)
    assert ready.notes == ("seed stayed 7, as the workflow has it; -1 draws another.",)


async def test_values_go_where_they_belong_and_into_the_recipe() -> None:
    ready = await filled(portrait(), prompt="an owl", steps=8, width=640, cfg=2, sampler="HEUN", model="anything-v5")
    told = ("an owl", 8, 640, 2, "heun", "anything-v5.safetensors")
    spots = ("good.text", "sampler.steps", "latent.width", "sampler.cfg", "sampler.sampler_name", "loader.ckpt_name")
    assert tuple(value(ready, spot) for spot in spots) == told
    recipe = ready.recipe
    assert (recipe.prompt, recipe.steps, recipe.width, recipe.cfg, recipe.sampler, recipe.model) == told


async def test_words_and_numbers_written_as_text_are_taken() -> None:
    ready = await filled(portrait(), steps="8", cfg="2.5", seed="11", width=640.0)
    spots = ("sampler.steps", "sampler.cfg", "sampler.seed", "latent.width")
    assert [value(ready, spot) for spot in spots] == [8, 2.5, 11, 640]


async def test_what_a_recipe_cannot_hold_is_only_in_the_graph() -> None:
    ready = await filled(portrait(), seed=2**40, width=514)
    assert (ready.recipe.seed, ready.recipe.width) == (None, None)
    assert (value(ready, "sampler.seed"), value(ready, "latent.width")) == (2**40, 514)


async def test_a_seed_of_minus_one_is_drawn_anew_each_time() -> None:
    drawn = [await filled(portrait(), seed=-1) for _ in range(4)]
    seeds = [ready.recipe.seed for ready in drawn]
    assert len({*seeds, 7}) == 5
    assert all(seed is not None and 0 <= seed <= MAX_SEED for seed in seeds)
    assert drawn[0].notes == (f"seed was drawn: {seeds[0]}.",)
    assert value(drawn[0], "sampler.seed") == seeds[0]


async def test_a_value_of_none_is_not_given() -> None:
    assert (await filled(portrait(), prompt=None, seed=None)).recipe.prompt == "a red fox in the snow"


WRONG: Mapping[str, tuple[str, object, str]] = {
    "no whole number": ("steps", 2.5, "steps cannot be 2.5: it takes a whole number from 1 to 1000"),
    "too many": ("steps", 1001, "steps cannot be 1001: it takes a whole number from 1 to 1000"),
    "too few": ("width", 8, "it takes a whole number from 16 to 16384"),
    "words for a number": ("cfg", "high", "cfg cannot be 'high': it takes a number from 0 to 100"),
    "not a number": ("cfg", float("nan"), "it takes a number"),
    "a truth for a number": ("steps", True, "it takes a whole number"),
    "a negative seed": ("seed", -2, "it takes a whole number from 0, or -1 for any"),
    "a giant seed": ("seed", 2**64, "it takes a whole number from 0"),
    "a number for words": ("prompt", 7, "it takes text of at most 20,000 letters"),
    "words without end": ("prompt", "a" * 20_001, "it takes text of at most 20,000 letters"),
    "a NUL": ("prompt", "a\0", "it takes text"),
    "an unknown sampler": ("sampler", "euler_ancestor", "it is one of euler_ancestral"),
    "an unknown model": ("model", "sd_xl_bass_1.0", "it is one of sd_xl_base_1.0.safetensors"),
    "a path for a model": ("model", "../../x.safetensors", "it is one of"),
    "a table for a choice": ("sampler", {"a": 1}, "it is one of"),
    "an unknown name": ("promt", "x", "did you mean prompt? This workflow's inputs are: prompt, negative_prompt, wi"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_value_is_told_with_what_is_allowed(case: str) -> None:
    name, given, told = WRONG[case]
    with pytest.raises(BadRecipe) as caught:
        await filled(portrait(), **{name: given})
    assert told in str(caught.value)
    assert caught.value.argument == (name if name != "promt" else "inputs")


# ------------------------------------------------------------------ files


async def test_files_become_roles_and_stand_for_themselves_in_the_graph() -> None:
    graph = retouch("stranger.png") | {"second": node("LoadImage", image="mask.png")}
    graph |= {"out": node("PreviewImage", images=["second", 0])}
    png = Media(data=b"png", media_type="image/png")
    ready = await filled(graph, image="abc-123", image_2=png)
    assert {role: given for role, given in ready.pictures.items() if role != "workflow"} == {
        "file_1": "abc-123",
        "file_2": png,
    }
    assert (value(ready, "photo.image"), value(ready, "second.image")) == ("atelier://file_1", "atelier://file_2")


async def test_a_picture_of_the_servers_own_stays_and_is_told_of() -> None:
    ready = await filled(retouch("picture.png"))
    assert value(ready, "photo.image") == "picture.png"
    assert "image stayed 'picture.png', which is on the server." in ready.notes
    assert list(ready.pictures) == ["workflow"]


async def test_a_picture_that_nobody_has_is_asked_for_by_name() -> None:
    with pytest.raises(BadRecipe, match=r"image cannot be None: the workflow needs image \(image\)"):
        await filled(retouch("stranger.png"), prompt="an owl")


@pytest.mark.parametrize("given", ["", "  ", 7, ["a.png"], "x" * 2_000_001])
async def test_a_file_is_given_by_reference(given: object) -> None:
    with pytest.raises(BadRecipe, match="it takes an image: a gallery id, a path or a URL"):
        await filled(retouch(), image=given)


async def test_more_files_than_a_job_holds_are_refused() -> None:
    graph = portrait()
    for number in range(17):
        graph |= {f"in{number}": node("LoadImage", image="mask.png")}
        graph |= {f"out{number}": node("PreviewImage", images=[f"in{number}", 0])}
    names = ["image", *(f"image_{number}" for number in range(2, 18))]
    with pytest.raises(BadRecipe, match="at most 16"):
        await filled(graph, **dict.fromkeys(names, "abc"))


# ------------------------------------------------------------------ what is saved, and where it runs


@pytest.mark.parametrize(
    "prefix", ["/etc/cron.d/x", "../../x", "C:\\x", "%date:yyyy%/x", "~/x", "http://x", "a/b/../../../c", 7, None]
)
async def test_names_of_what_is_saved_are_ours_whatever_they_were(prefix: object) -> None:
    ready = await filled(changed(portrait(), "save.filename_prefix", prefix))
    assert value(ready, "save.filename_prefix").startswith("atelier/20")


async def test_a_name_of_what_is_saved_cannot_come_from_another_node() -> None:
    graph = portrait(name=node("PrimitiveStringMultiline", value="away"))
    ready = await filled(changed(graph, "save.filename_prefix", ["name", 0]))
    assert value(ready, "save.filename_prefix").startswith("atelier/20")


async def test_what_no_output_needs_is_not_sent() -> None:
    assert "loose" not in sent(await filled(portrait(loose=node("LoadImage", image="stranger.png"))))


async def test_the_first_server_that_takes_it_is_prepared_for() -> None:
    poor = having(CheckpointLoaderSimple_ckpt_name=["other.safetensors"])
    library = Library(workshop=FakeWorkshop([poor, *FakeWorkshop().servers]))
    assert (await library.prepare(portrait(), {})).recipe.model == CHECKPOINT
    assert (await library.prepare(portrait(), {"model": "other"})).recipe.model == "other.safetensors"
    with pytest.raises(BadRecipe, match="it is one of"):
        await library.prepare(portrait(), {"model": "nobodys"})


async def test_what_is_left_wrong_is_told_with_its_problems() -> None:
    graph = changed(portrait(), "loader.ckpt_name", "mine.safetensors")
    with pytest.raises(GraphRejected, match=r"The workflow cannot run: loader.ckpt_name cannot be") as caught:
        await filled(graph)
    assert [(one.node, one.input) for one in caught.value.problems] == [("loader", "ckpt_name")]
    assert (await filled(graph, model=CHECKPOINT)).recipe.model == CHECKPOINT


# ------------------------------------------------------------------ words

FORBIDDEN = "a nude child"


async def said(graph: Json, adult: bool = False, **inputs: object) -> Prepared:
    return await Library(workshop=FakeWorkshop(), rules=ContentRules(adult=adult)).prepare(graph, inputs)


@pytest.mark.parametrize("spot", ["good.text", "guest.place", "bad.text", "guest.more"])
async def test_forbidden_words_are_found_wherever_they_stand(spot: str) -> None:
    graph = portrait(guest=node("Sparkle", image=["decode", 0], amount=1.0, place="snow"))
    graph = changed(graph, "save.images", ["guest", 0])
    await said(graph)
    with pytest.raises(Refused, match="minor"):
        await said(changed(graph, spot, {"__value__": [FORBIDDEN]} if spot == "guest.more" else FORBIDDEN), adult=True)


async def test_forbidden_words_that_a_caller_gives_are_refused() -> None:
    with pytest.raises(Refused, match="minor"):
        await said(portrait(), adult=True, prompt=FORBIDDEN)


async def test_words_in_two_nodes_count_together() -> None:
    graph = portrait(
        joined=node("StringConcatenate", string_a="a child,", string_b="nude", delimiter=" "),
    )
    with pytest.raises(Refused, match="minor"):
        await said(changed(graph, "good.text", ["joined", 0]), adult=True)


async def test_what_is_drawn_away_from_may_be_named() -> None:
    graph = changed(portrait(), "bad.text", "nsfw, nude")
    assert (await said(graph)).recipe.negative == "nsfw, nude"
    with pytest.raises(Refused, match="adult"):
        await said(changed(graph, "sampler.positive", ["bad", 0]))


async def test_a_negative_that_is_also_read_otherwise_is_drawn() -> None:
    graph = changed(portrait(), "bad.text", "nsfw, nude")
    graph |= {"other": node("KSampler", **graph["sampler"]["inputs"] | {"positive": ["bad", 0]})}
    graph |= {"d2": node("VAEDecode", samples=["other", 0], vae=["loader", 2])}
    graph |= {"s2": node("SaveImage", images=["d2", 0], filename_prefix="x")}
    with pytest.raises(Refused, match="adult"):
        await said(graph)


async def test_a_graph_that_reads_a_picture_undresses_nobody() -> None:
    graph = changed(retouch(), "good.text", "take off her clothes")
    with pytest.raises(Refused, match=r"edit\."):
        await said(graph, adult=True)


async def test_what_never_runs_is_not_read() -> None:
    await said(portrait(loose=node("CLIPTextEncode", text=FORBIDDEN, clip=["loader", 1])))


async def test_a_borrowed_file_beyond_the_inputs_that_are_told_of_does_not_run() -> None:
    graph = retouch("stranger.png")
    for number in range(100):
        graph |= {f"n{number}": node("PrimitiveInt", f"@n{number}", value=number)}
        graph |= {f"o{number}": node("PreviewAny", source=[f"n{number}", 0])}
    with pytest.raises(GraphRejected, match=r"neither given nor on the server: photo\.image"):
        await filled(graph)
