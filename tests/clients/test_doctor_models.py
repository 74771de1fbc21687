"""What the doctor says of models and of who reads prompts."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from clients.config import load_settings
from clients.doctor import Finding, examine
from clients.wiring.models import model_places


class Ollama(BaseHTTPRequestHandler):
    """Has one model."""

    def do_GET(self) -> None:
        body = json.dumps({"models": [{"name": "llama3.2:latest"}]}).encode()
        self.send_response(200 if self.path == "/api/tags" else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def ollama() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Ollama) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def finding(name: str, home: Path, **settings: object) -> Finding:
    found = load_settings(atelier_home=home, comfyui_url="off", **{"comfyui_path": ("off",)} | settings)
    return next(one for one in examine(found, home, models=model_places(found)) if one.name == name)


def test_models_are_counted_by_kind_and_pickles_are_named(tmp_path: Path) -> None:
    models = tmp_path / "ComfyUI" / "models"
    (tmp_path / "ComfyUI" / "main.py").parent.mkdir()
    (tmp_path / "ComfyUI" / "main.py").write_text("", encoding="utf-8")
    for file in ("checkpoints/a.safetensors", "checkpoints/old.ckpt", "loras/b.safetensors", "unet/c.gguf"):
        (models / file).parent.mkdir(parents=True, exist_ok=True)
        (models / file).write_bytes(b"")
    path = {"comfyui_path": (str(tmp_path / "ComfyUI"),)}
    assert finding("ComfyUI folders", tmp_path / "home", **path).detail == str(tmp_path / "ComfyUI")
    assert finding("Model files", tmp_path / "home", **path) == Finding(
        name="Model files",
        ok=True,
        detail="checkpoint: 1, lora: 1, diffusion model: 1; 1 that can run code when opened and are left alone",
        next_step="Get old.ckpt as .safetensors.",
    )


def test_a_comfyui_that_is_named_and_not_there_is_a_fault(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert finding("ComfyUI folders", tmp_path, comfyui_path=(gone,)) == Finding(
        name="ComfyUI folders",
        ok=False,
        detail=f"{gone} is not there",
        next_step="Set COMFYUI_PATH to folders of ComfyUI, or to off.",
    )


def test_without_models_the_way_to_one_is_told(tmp_path: Path) -> None:
    said = finding("Model files", tmp_path)
    assert (said.ok, said.detail) == (True, "none found") and said.next_step.startswith("atelier setup gets a model")


def test_a_language_model_is_there_or_what_to_do_is_told(tmp_path: Path, ollama: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        said = [
            finding("Language model", tmp_path, ollama_model=model, ollama_host=host)
            for model, host in (("llama3.2", ollama), ("qwen3", ollama), ("llama3.2", nobody))
        ]
    assert [one.ok for one in said] == [True, False, False]
    assert said[1].next_step == "ollama pull qwen3, or set OLLAMA_MODEL to one of: llama3.2:latest."
    assert said[2].detail.endswith("which does not answer")


def test_each_language_model_that_is_named_is_looked_for(tmp_path: Path, ollama: str) -> None:
    named = ("llama3.2", "qwen3", "gemini-2.5-flash", "comfyui")
    found = load_settings(atelier_home=tmp_path, comfyui_url="off", ollama_model=named, ollama_host=ollama)
    said = [one for one in examine(found, tmp_path) if one.name == "Language model"]
    shown = [(one.ok, one.detail.partition(" ")[0].rstrip(";"), "steps in" in one.detail) for one in said]
    assert shown == [
        (True, "llama3.2", False),
        (False, "qwen3", True),
        (False, "gemini-2.5-flash", True),
        (False, "comfyui", True),
    ]


@pytest.mark.parametrize(("host", "address"), [("localhost", "localhost"), ("0.0.0.0", "127.0.0.1")])
def test_ollama_without_a_port_is_looked_for_at_its_own(tmp_path: Path, host: str, address: str) -> None:
    """Not at a web server's, which is what an address without a port means elsewhere."""
    assert f"http://{address}:11434" in finding("Language model", tmp_path, ollama_model="q", ollama_host=host).detail
