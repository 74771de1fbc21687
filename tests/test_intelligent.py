"""A prompt in, a PIL picture out: the builder for scripts, on the demo model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL.Image import Image

from examples.intelligent_pipeline import main
from workflows.errors import BadRecipe
from workflows.intelligent import IntelligentPipelineBuilder


@pytest.fixture
def comfyui(tmp_path: Path) -> Path:
    """An installation of ComfyUI with a LoRA in it."""
    root = tmp_path / "ComfyUI"
    (root / "models" / "loras").mkdir(parents=True)
    (root / "main.py").write_text("", encoding="utf-8")
    header = json.dumps(
        {"lora_unet_down_blocks_0.lora_down.weight": {"dtype": "F16", "shape": [4, 4], "data_offsets": [0, 32]}}
    )
    body = len(header).to_bytes(8, "little") + header.encode() + bytes(32)
    (root / "models" / "loras" / "ink.safetensors").write_bytes(body)
    return root


@pytest.mark.models
def test_a_script_draws_saves_and_asks_for_the_figures(tmp_path: Path, comfyui: Path) -> None:
    builder = IntelligentPipelineBuilder.from_comfyui_auto([comfyui], atelier_home=tmp_path / "home", comfyui_url="off")
    with builder:
        one = builder.generate("a red circle on a white background", seed=1, steps=4, sampler="DPM++ 2M Karras")
        several = builder.generate("two blue squares", num_images=2, seed=2, quality="fast", validate=False)
        stats = builder.get_stats()

    assert isinstance(one, Image) and one.size == (128, 128)
    assert isinstance(several, list) and len(several) == 2
    assert several[0].tobytes() != several[1].tobytes()
    assert stats["orchestrator"] == {"total_models": 2, "by_type": {"checkpoint": 1, "lora": 1}}
    assert (stats["device"], stats["ollama_enabled"]) == ("cpu", False)
    assert stats["resources"]["ram_gb"] > 0


def test_what_cannot_be_drawn_is_refused_and_the_builder_lives_on(tmp_path: Path) -> None:
    with IntelligentPipelineBuilder.from_paths({}, atelier_home=tmp_path) as builder:
        with pytest.raises(BadRecipe, match="width"):
            builder.generate("a red circle", width=100_000)
        assert builder.get_stats()["orchestrator"]["by_type"] == {"checkpoint": 1}


def test_folders_are_given_by_kind(tmp_path: Path, comfyui: Path) -> None:
    loras = comfyui / "models" / "loras"
    with IntelligentPipelineBuilder.from_paths(
        {"lora": [loras], "vae": loras / "none"}, atelier_home=tmp_path
    ) as builder:
        assert builder.get_stats()["orchestrator"]["by_type"] == {"checkpoint": 1, "lora": 1}


@pytest.mark.models
def test_the_example_draws_what_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_URL", "off")
    monkeypatch.setenv("COMFYUI_PATH", "off")
    output = tmp_path / "circle.png"

    assert main(["a red circle", "--home", str(tmp_path / "home"), "--output", str(output)]) == [output]
    assert output.read_bytes().startswith(b"\x89PNG")
