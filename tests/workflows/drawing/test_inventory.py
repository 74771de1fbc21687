"""What a server says of itself, in both spellings of its choices."""

from typing import Any

from workflows.drawing.inventory import Inventory, NodeClass, NodeInput, near, plain, spelled

FILES = ("SDXL\\Juggernaut.safetensors", "sub/other.safetensors", "a.ckpt", "a.safetensors")


def test_both_spellings_of_a_choice_read_alike() -> None:
    entry: dict[str, Any] = {
        "input": {"required": {"mode": [["a", "b"], {"default": "b"}]}},
        "output": ["IMAGE", ["x"]],
    }
    newer = {
        "input": {"required": {"mode": ["COMBO", {"options": ["a", "b"], "default": "b"}]}},
        "output": ["IMAGE", "COMBO"],
    }
    read = Inventory.read({"Older": entry, "Newer": newer}).classes
    mode = NodeInput(type="COMBO", choices=("a", "b"), default="b")
    assert read["Older"] == read["Newer"] == NodeClass(inputs={"mode": mode}, outputs=("IMAGE", "COMBO"))


def test_limits_uploads_and_dynamic_inputs_are_read() -> None:
    entry: dict[str, Any] = {
        "input": {
            "required": {
                "image": [["x.png"], {"image_upload": True}],
                "size": ["INT", {"default": 8, "min": 1, "max": 9, "step": 1}],
                "how": ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "one", "inputs": {}}]}],
            },
            "optional": {"extra": ["MASK"]},
            "hidden": {"prompt": "PROMPT"},
        },
        "output": [],
        "output_node": True,
    }
    assert Inventory.read({"X": entry}).classes["X"] == NodeClass(
        inputs={
            "image": NodeInput(type="COMBO", choices=("x.png",), upload=True),
            "size": NodeInput(type="INT", default=8, least=1, most=9),
            "how": NodeInput(type="COMFY_DYNAMICCOMBO_V3"),
            "extra": NodeInput(type="MASK", required=False),
        },
        is_output=True,
    )


def test_loaders_offer_what_a_graph_may_name() -> None:
    entry: dict[str, Any] = {"input": {"required": {"ckpt_name": [["a.safetensors"]]}}, "output": ["MODEL"]}
    here = Inventory.read({"CheckpointLoaderSimple": entry}, files={"checkpoints": ("b",), "vae": ("v.pt",)})
    assert (here.loaders["checkpoints"], here.loaders["vae"], here.loaders["loras"]) == (
        ("a.safetensors",),
        ("v.pt",),
        (),
    )
    assert here.choices("Nothing", "at_all") == ()
    assert here.has("CheckpointLoaderSimple")
    assert not here.has("CheckpointLoaderSimple", "Nothing")


def test_names_are_compared_without_folders_case_and_suffix() -> None:
    assert plain("SDXL\\Sub/Model.v1.Safetensors") == "model.v1"
    assert spelled("SDXL/juggernaut.safetensors", FILES) == FILES[0]
    assert spelled("juggernaut", FILES) == FILES[0]
    assert spelled("OTHER.safetensors", FILES) == FILES[1]
    assert spelled("a", FILES) is None
    assert spelled("a.ckpt", FILES) == "a.ckpt"
    assert near("jugernaut", FILES) == (FILES[0],)
