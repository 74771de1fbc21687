"""Doctor: what is installed, reachable and missing on this machine, each with the next step. Opens nothing for long."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from clients.config import Settings
from utils.content_validator import classifier_expected
from utils.hub import hub_answers, in_hub_cache
from workflows.types import ServerStatus

MIN_FREE_GB = 1.0
LOOK_SECONDS = 2.0
READER = "Language model"
OLLAMA_PORT = 11434
MOST_TAGS = 4 * 1024 * 1024
"""Bytes of Ollama's list of models."""
PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
WEIGHTS = frozenset({".safetensors", ".sft", ".gguf"}) | PICKLES
SHOWN = 3
HUB_FILE = re.compile(r"[\w.-]+/[\w.-]+/[\w./-]+\.\w+")
"""Repository and file on the Hub."""
JUDGE_PACKAGES = ("torch", "torchvision", "open_clip_torch", "ultralytics", "scikit-image")
VIDEO_PACKAGES = ("av",)
ENGINE_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "compel")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at. `next_step` is empty when nothing has to be done."""

    name: str
    ok: bool
    detail: str
    next_step: str = ""


@dataclass(frozen=True, kw_only=True)
class Models:
    """Where weight files are looked for."""

    installations: Sequence[Path] = ()
    """Of ComfyUI."""
    folders: Sequence[tuple[str, Path]] = ()
    """Kind and folder; only those that are there."""


def examine(
    settings: Settings,
    demo: Path,
    servers: Sequence[ServerStatus] = (),
    models: Models | None = None,
    storage: Mapping[str, str | None] | None = None,
) -> list[Finding]:
    """Look at this machine in the light of the settings. Takes a second or two: it asks torch for its device.

    `servers`: how the ComfyUI servers of the settings are now. `storage`: what the settings name to keep things in or
    to sign them with, each with why it cannot be used.
    """
    models = models or Models()
    return [
        Finding(name="Python", ok=True, detail=f"{platform.python_version()} at {sys.executable}"),
        _home(settings.atelier_home),
        *(_storage(name, fault) for name, fault in (storage or {}).items()),
        _packages("In-process engine", ENGINE_PACKAGES, "local"),
        _packages("Judges", JUDGE_PACKAGES, "judges"),
        _packages("Videos", VIDEO_PACKAGES, "video"),
        *_cloud(settings),
        _device(),
        _model(settings),
        _installations(settings, models.installations),
        _weights(models.folders),
        *_readers(settings),
        *(_comfyui(settings, server) for server in servers),
        _files("Demo model", demo / "t2i" / "model_index.json"),
        _files("Demo CLIP", demo / "clip" / "open_clip_model.safetensors"),
        _files("Demo pose model", demo / "pose" / "demo-pose.pt"),
        *_judge_files(settings),
        _vision(settings),
        _content(settings),
    ]


def _home(home: Path) -> Finding:
    standing = next(folder for folder in [home, *home.parents] if folder.exists())
    free = shutil.disk_usage(standing).free / 1e9
    detail = f"{home}, {free:.0f} GB free"
    if not os.access(standing, os.W_OK):
        return Finding(
            name="Home", ok=False, detail=f"{detail}, not writable", next_step="Set ATELIER_HOME to a folder of yours."
        )
    step = "" if free >= MIN_FREE_GB else "Free some space, or set ATELIER_HOME to a larger disk."
    return Finding(name="Home", ok=not step, detail=detail, next_step=step)


def _storage(name: str, fault: str | None) -> Finding:
    kind, _, where = name.rpartition(" ") if "/" in name else (name, "", "")
    state = "it can be used" if fault is None else "it cannot be used"
    return Finding(name=kind, ok=fault is None, detail=where or state, next_step=fault or "")


def _packages(name: str, packages: tuple[str, ...], extra: str) -> Finding:
    found = {package: _version(package) for package in packages}
    missing = [package for package, number in found.items() if number is None]
    if missing:
        step = f"pip install 'atelier-mcp[{extra}]'"
        return Finding(name=name, ok=False, detail=f"missing: {', '.join(missing)}", next_step=step)
    return Finding(name=name, ok=True, detail=", ".join(f"{package} {number}" for package, number in found.items()))


def _cloud(settings: Settings) -> list[Finding]:
    """The services that draw for money, where a key is set: whether what speaks to them is installed."""
    named = [
        ("FAL.ai", settings.fal_key, "fal-client", "fal"),
        ("Gemini", settings.gemini_api_key, "google-genai", "gemini"),
    ]
    return [_packages(name, (package,), extra) for name, key, package, extra in named if key is not None]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device() -> Finding:
    if find_spec("torch") is None:
        return Finding(
            name="Device", ok=False, detail="torch is not installed", next_step="pip install 'atelier-mcp[local]'"
        )
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.mem_get_info(0)[1] / 1e9
        return Finding(name="Device", ok=True, detail=f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB")
    if torch.backends.mps.is_available():
        return Finding(name="Device", ok=True, detail="Apple GPU (mps)")
    return Finding(
        name="Device", ok=True, detail=f"CPU, {os.cpu_count()} cores: enough for the demo model, slow for large ones"
    )


def _model(settings: Settings) -> Finding:
    if settings.atelier_local_model:
        return Finding(name="Model", ok=True, detail=settings.atelier_local_model)
    step = "Set ATELIER_LOCAL_MODEL to a HuggingFace id, a diffusers folder or a .safetensors file."
    return Finding(name="Model", ok=True, detail="the demo model (coloured shapes and figures)", next_step=step)


def _installations(settings: Settings, found: Sequence[Path]) -> Finding:
    """A path that was named and is none is a fault; that there is none anywhere is not."""
    named = [path for path in settings.comfyui_paths or () if not path.is_dir()]
    if named:
        step = "Set COMFYUI_PATH to folders of ComfyUI, or to off."
        return Finding(name="ComfyUI folders", ok=False, detail=f"{_listed(named)} is not there", next_step=step)
    step = "" if found else "Set COMFYUI_PATH to where ComfyUI lies, when there is one: its models are used."
    return Finding(name="ComfyUI folders", ok=True, detail=_listed(found) or "none found", next_step=step)


def _weights(folders: Sequence[tuple[str, Path]]) -> Finding:
    """How many files there are by kind, by their names alone. Pickles are never opened."""
    counts: Counter[str] = Counter()
    pickles: list[Path] = []
    for kind, folder in folders:
        files = [file for file in folder.rglob("*") if file.suffix.lower() in WEIGHTS]
        usable = [file for file in files if file.suffix.lower() not in PICKLES]
        counts[kind] += len(usable)
        pickles += [file for file in files if file.suffix.lower() in PICKLES]
    detail = ", ".join(f"{kind.replace('_', ' ')}: {number}" for kind, number in counts.items() if number)
    steps = [] if detail else ["atelier setup gets a model; ATELIER_MODELS names folders with models of yours."]
    if pickles:
        detail = f"{detail or 'none'}; {len(pickles)} that can run code when opened and are left alone"
        steps.append(f"Get {_listed([Path(file.name) for file in pickles[:SHOWN]])} as .safetensors.")
    return Finding(name="Model files", ok=True, detail=detail or "none found", next_step=" ".join(steps))


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _readers(settings: Settings) -> list[Finding]:
    """Who writes prompts, and reads them to choose models: the first of those named, then who steps in for it."""
    if not settings.ollama_model:
        step = "Set OLLAMA_MODEL to a model of Ollama, or to gemini-..., to have prompts written and read by one."
        return [Finding(name=READER, ok=True, detail="none: rules write and read the prompts", next_step=step)]
    first, *others = [_reader(settings, model) for model in settings.ollama_model]
    return [first, *(replace(one, detail=f"{one.detail}; steps in when those before it fail") for one in others)]


def _reader(settings: Settings, model: str) -> Finding:
    if model.partition("/")[0] == "comfyui":
        ok = bool(settings.comfyui_servers)
        return Finding(name=READER, ok=ok, detail=model, next_step="" if ok else "Set COMFYUI_URL to a ComfyUI.")
    if model.startswith("gemini-"):
        return _gemini(settings, READER, model)
    where = _server(settings)
    shown = f"{model} at {where.rpartition('@')[2]}"
    if not _answers(where):
        step = "Start it, or set OLLAMA_HOST or OPENAI_BASE_URL to where it listens; rules write prompts till then."
        return Finding(name=READER, ok=False, detail=f"{shown}, which does not answer", next_step=step)
    there = None if settings.openai_base_url else _of_ollama(where)
    if there is None or {model, f"{model}:latest"} & set(there):
        return Finding(name=READER, ok=True, detail=shown)
    step = f"ollama pull {model}, or set OLLAMA_MODEL to one of: {', '.join(there) or 'none is there'}."
    return Finding(name=READER, ok=False, detail=f"{shown}, which has no such model", next_step=step)


def _gemini(settings: Settings, name: str, model: str) -> Finding:
    steps = ["Set GEMINI_API_KEY."] if settings.gemini_api_key is None else []
    steps += ["pip install 'atelier-mcp[gemini]'"] if _version("google-genai") is None else []
    return Finding(name=name, ok=not steps, detail=model, next_step=" ".join(steps))


def _server(settings: Settings) -> str:
    """Where language models listen; OLLAMA_HOST without a scheme means Ollama's own port, as Ollama reads it."""
    host = settings.ollama_host
    if settings.openai_base_url or "://" in host:
        return settings.openai_base_url or host
    bare = host.partition("/")[0].rpartition("@")[2].rpartition("]")[2]
    address = f"http://{host}" if ":" in bare or "/" in host else f"http://{host}:{OLLAMA_PORT}"
    return address.replace("//0.0.0.0", "//127.0.0.1", 1)  # what a server binds to hear everyone is no address to call


def _of_ollama(host: str) -> list[str] | None:
    """The models that an Ollama has; None where it does not say."""
    parts = urlsplit(host if "://" in host else f"http://{host}")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=LOOK_SECONDS)
        with closing(connection):
            connection.request("GET", f"{parts.path.rstrip('/')}/api/tags")
            found = json.loads(connection.getresponse().read(MOST_TAGS))
            return [str(model["name"]) for model in found["models"]]
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return None


def _vision(settings: Settings) -> Finding:
    """Who answers questions about pictures; nobody is asked now, a cold model takes a minute."""
    model = settings.atelier_vision_model
    if model is None:
        step = "Set ATELIER_VISION_MODEL to a vision model of Ollama, or to gemini-..., for the check 'vision'."
        return Finding(name="Vision model", ok=True, detail="none", next_step=step)
    if not model.startswith("gemini-"):
        where = _server(settings)
        answers = _answers(where)
        step = "" if answers else "Start it, or set OLLAMA_HOST or OPENAI_BASE_URL to where it listens."
        detail = f"{model} at {where.rpartition('@')[2]}{'' if answers else ', which does not answer'}"
        return Finding(name="Vision model", ok=answers, detail=detail, next_step=step)
    return _gemini(settings, "Vision model", model)


def _answers(address: str) -> bool:
    """Whether anything listens there."""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "127.0.0.1", port), LOOK_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


def _judge_files(settings: Settings) -> list[Finding]:
    """Weights of judges and the log of experiments that the settings name, where something is wrong with them."""
    findings: list[Finding] = []
    pose, beauty = settings.atelier_pose_model, settings.atelier_aesthetic_weights
    if not Path(pose).is_file() and not HUB_FILE.fullmatch(pose):
        step = "Set ATELIER_POSE_MODEL to owner/repository/file of the Hub, or to a file that is there."
        findings.append(Finding(name="Pose model", ok=False, detail=f"{pose} is no file", next_step=step))
    if beauty and not beauty.is_file():
        step = "Set ATELIER_AESTHETIC_WEIGHTS to a file that is there."
        findings.append(Finding(name="Aesthetic weights", ok=False, detail=f"{beauty} is no file", next_step=step))
    if settings.mlflow_tracking_uri and _version("mlflow-skinny") is None:
        step = "pip install 'atelier-mcp[mlflow]'"
        findings.append(Finding(name="MLflow", ok=False, detail="missing: mlflow-skinny", next_step=step))
    return findings


def _content(settings: Settings) -> Finding:
    """What guards against pictures that may not be shown."""
    adult = "adult content allowed" if settings.atelier_adult else "adult content off"
    named = settings.atelier_content_model
    watched = classifier_expected(named)
    detail = f"{adult}; texts by rules, pictures by {named or 'the usual classifier' if watched else 'nobody'}"
    if watched and named and not (Path(named).is_dir() or in_hub_cache(named)):
        step = "Its weights are fetched with the first picture; until they are there no picture is shown."
        return Finding(name="Content", ok=hub_answers(), detail=f"{detail} (not on this machine yet)", next_step=step)
    step = "" if watched else "Set ATELIER_CONTENT_MODEL to a HuggingFace image classifier to have pictures checked."
    return Finding(name="Content", ok=True, detail=detail, next_step=step)


def _comfyui(settings: Settings, server: ServerStatus) -> Finding:
    """A server that nobody named need not be there; one without a model cannot draw."""
    name = f"ComfyUI {server.url}"
    if not server.available:
        step = "Start it, or set COMFYUI_URL to where one runs (off: none)."
        return Finding(name=name, ok=not settings.comfyui_is_named, detail=server.detail, next_step=step)
    drains = ["It is draining: it gets no new work."] if server.draining else []
    detail = f"version {server.version or 'unknown'}, {server.device or 'unknown device'}; {server.detail}"
    return Finding(name=name, ok=True, detail=detail, next_step=" ".join([*server.warnings, *drains]))


def _files(name: str, path: Path) -> Finding:
    if path.is_file():
        return Finding(name=name, ok=True, detail=path.parent.name)
    return Finding(name=name, ok=False, detail="not in this installation", next_step="Install atelier-mcp again.")
