"""Settings: the environment, `.env` and `atelier.toml`, in that order, read once at the root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from workflows.types import ModelKind

TOML_NAME = "atelier.toml"
OFF = "off"
LISTS = (
    "atelier_allowed_hosts",
    "atelier_allowed_roots",
    "atelier_models",
    "atelier_presets",
    "atelier_workflow_nodes",
    "atelier_workflow_tools",
    "atelier_workflows",
    "comfyui_path",
    "comfyui_urls",
    "ollama_model",
)
"""Settings that are lists with commas."""
DATABASES = ("postgresql", "postgres", "sqlite")
"""Schemes that DATABASE_URL can have."""
USUAL_COMFYUI = "http://127.0.0.1:8188"
"""Where a ComfyUI on this machine listens when nobody said otherwise."""


def default_home() -> Path:
    """The platform's user data folder for Atelier."""
    return Path(platformdirs.user_data_dir("atelier", appauthor=False))


class BadSettings(ValueError):
    """One or more settings cannot be used; the text names them all."""


class Settings(BaseSettings):
    """Every setting, with its default. Field names are the settings' names in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    atelier_home: Path = Field(default_factory=default_home)
    """Database and pictures; nothing of ours is written elsewhere."""
    atelier_token: SecretStr | None = None
    """Bearer token; needed for any HTTP bind but loopback."""
    atelier_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Host names (comma-separated) under which a non-loopback HTTP server is reached."""
    atelier_local_model: str | None = None
    """HuggingFace id, diffusers folder or .safetensors file for the in-process engine; unset: the demo model."""
    atelier_inline_images: Literal["auto", "never"] = "auto"
    """never: no picture bytes in any MCP answer, only paths and links."""
    atelier_allowed_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders (comma-separated) that input pictures may be read from, besides the gallery."""
    atelier_models: Annotated[tuple[str, ...], NoDecode] = ()
    """Folders (comma-separated) with model files: each laid out as ComfyUI's models folder, or kind=folder such as
    lora=/data/loras. Downloads go to the first of the former; unset: models in ATELIER_HOME, or the ComfyUI below."""
    atelier_downloads: Literal["on", "off"] = "on"
    """off: nobody can download models or name Hugging Face ids that are not here yet."""
    atelier_pickles: bool = False
    """Whether model files that can run code when opened (.ckpt, .pt, .bin) may be downloaded."""
    atelier_clip_model: str = "ViT-B-32"
    """open_clip model that judges what real models draw (the demo model has its own)."""
    atelier_clip_weights: str = "laion2b_s34b_b79k"
    """Its pretrained weights: an open_clip tag."""
    atelier_pose_model: str = "Ultralytics/YOLOv8/yolov8n-pose.pt"
    """YOLO pose weights that find people: repository/file of the HuggingFace Hub, or a file on this machine."""
    atelier_aesthetic_weights: Path | None = None
    """Aesthetic predictor on the embeddings of ATELIER_CLIP_MODEL (.safetensors or .pth); unset: not judged."""
    atelier_vision_model: str | None = None
    """Vision language model that answers questions about pictures (check vision): one of OLLAMA_HOST or
    OPENAI_BASE_URL, or gemini-... with GEMINI_API_KEY; unset: nobody is asked."""
    atelier_adult: bool = False
    """Whether adult content may be asked for. No argument of any tool can switch this."""
    atelier_content_model: str | None = None
    """HuggingFace image classifier that every picture has to pass before it is listed; unset: the usual one, if its
    weights are on this machine; off: none."""
    atelier_idle_unload: float = Field(default=600.0, ge=0.0)
    """Seconds after the last render until the in-process models leave memory; 0: never."""
    atelier_trash_days: float = Field(default=30.0, ge=0.0)
    """Days that deleted pictures can be restored; 0: they are gone at once."""
    atelier_c2pa_cert: Path | None = None
    """Certificate chain (PEM) with which every picture is signed (C2PA); unset: none is."""
    atelier_c2pa_key: Path | None = None
    """Its private key (PEM)."""
    minio_endpoint: str | None = None
    """Any S3 server (host:port or URL) where the pictures lie; unset: in ATELIER_HOME."""
    minio_public_endpoint: str | None = None
    """How browsers and clients reach it, for links; unset: as MINIO_ENDPOINT."""
    minio_access_key: SecretStr | None = None
    minio_secret_key: SecretStr | None = None
    minio_bucket: str = "comfy-gen"
    """Made on first use; never made public."""
    minio_secure: bool | None = None
    """Whether it speaks TLS; unset: as the URL says, or no."""
    minio_region: str | None = None
    database_url: SecretStr | None = None
    """postgresql://user:password@host/name, for several machines; unset: SQLite in ATELIER_HOME."""
    comfyui_url: str | None = Field(default=None, validation_alias=AliasChoices("comfyui_url", "comfyui_host"))
    """One ComfyUI server; unset: the one on 127.0.0.1:8188 when it answers; off: none, not even that one."""
    comfyui_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """Several ComfyUI servers (comma-separated) that share the work."""
    comfyui_token: SecretStr | None = None
    """Bearer token for ComfyUI servers that want one."""
    comfyui_path: Annotated[tuple[str, ...], NoDecode] = ()
    """ComfyUI installations on this machine (comma-separated), whose model files are read; unset: the usual places are
    looked at; off: none."""
    ollama_host: str = "http://127.0.0.1:11434"
    """Where Ollama listens."""
    ollama_model: Annotated[tuple[str, ...], NoDecode] = ()
    """Language model that writes prompts and reads them to choose models: of OLLAMA_HOST or OPENAI_BASE_URL,
    gemini-..., or comfyui/FILE for ComfyUI's text generation. Further ones after commas step in when it fails. Unset:
    rules do."""
    ollama_keep_alive: str = "0"
    """How long Ollama keeps a language model in memory after a reply (0, 30s, 5m, -1: for ever)."""
    atelier_presets: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders (comma-separated) with preset files of one's own; presets in ATELIER_HOME is looked at too."""
    atelier_workflows: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders (comma-separated) with workflows of one's own, in the editor's format or the API's; workflows in
    ATELIER_HOME is looked at too."""
    atelier_workflow_tools: Annotated[tuple[str, ...], NoDecode] = ()
    """Which of them are MCP tools of their own: their names (comma-separated), or all."""
    atelier_workflow_nodes: Annotated[tuple[str, ...], NoDecode] = ()
    """Node classes (comma-separated) that may run although they are refused otherwise, such as paid ones."""
    atelier_cloud: bool = False
    """Whether engine auto may choose an engine that costs money; named, they draw anyway."""
    fal_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("fal_key", "fal_ai_api_key"))
    """For FAL.ai."""
    atelier_prices: Path | None = None
    """File (TOML) with prices of one's own for calls to services, above those that are known."""
    atelier_error_days: float = Field(default=30.0, ge=0.0)
    """Days for which failed calls to services are remembered."""
    run_id: str | None = Field(default=None, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """What the next batch is called; unset: by its time."""
    openai_base_url: str | None = None
    """Any endpoint that speaks OpenAI's API, instead of Ollama."""
    openai_api_key: SecretStr | None = None
    gemini_api_key: SecretStr | None = None
    civitai_url: str = "https://civitai.com"
    """Where CivitAI is reached; some regions need a mirror."""
    civitai_api_key: SecretStr | None = None
    """For downloads from CivitAI, nearly all of which need one."""
    hf_endpoint: str | None = None
    """Another address of the Hugging Face Hub."""
    hf_token: SecretStr | None = None
    """For gated models on the Hugging Face Hub."""
    atelier_metadata_hours: float = Field(default=24.0, ge=0.0)
    """How long what CivitAI says of a file is believed before it is asked again."""
    mlflow_tracking_uri: str | None = None
    """MLflow server or folder in which every job is logged; unset: none."""
    atelier_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", validation_alias=AliasChoices("atelier_log_level", "log_level")
    )
    """What goes to stderr."""

    @property
    def ledger(self) -> Path | str:
        """Where the ledger is: a file, or the URL of a PostgreSQL database."""
        return secret(self.database_url) or self.atelier_home / "atelier.db"

    @property
    def is_shared(self) -> bool:
        """Whether several machines may have the ledger open."""
        return (secret(self.database_url) or "").startswith("postgres")

    @property
    def comfyui_servers(self) -> tuple[str, ...]:
        """The ComfyUI servers to use, in the order given and each once; empty when ComfyUI is off."""
        if self.comfyui_url == OFF:
            return ()
        named = (*((self.comfyui_url,) if self.comfyui_url else ()), *self.comfyui_urls)
        once: dict[tuple[str, ...], str] = {}
        for url in named or (USUAL_COMFYUI,):
            once.setdefault(_same_server(url), url)
        return tuple(once.values())

    @property
    def comfyui_is_named(self) -> bool:
        """Whether somebody said which ComfyUI to use, so that its silence is worth a word."""
        return self.comfyui_url != OFF and bool(self.comfyui_url or self.comfyui_urls)

    @field_validator("database_url", mode="after")
    @classmethod
    def _database(cls, value: SecretStr | None) -> SecretStr | None:
        scheme, mark, rest = (secret(value) or "").partition("://")
        if value is not None and (scheme not in DATABASES or not mark or not rest):
            raise ValueError(f"write it as postgresql://user:password@host/name; known are {', '.join(DATABASES)}")
        return value

    @field_validator("minio_endpoint", "minio_public_endpoint", mode="after")
    @classmethod
    def _object_store(cls, value: str | None) -> str | None:
        parts = urlsplit(value if "://" in (value or "") else f"//{value}") if value else None
        if parts and (parts.scheme not in {"", "http", "https"} or not parts.hostname or parts.path.strip("/")):
            raise ValueError("write it as host:port, or as http://host:port; the bucket has a setting of its own")
        return value

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        for one, other in (("minio_access_key", "minio_secret_key"), ("atelier_c2pa_cert", "atelier_c2pa_key")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{one.upper()} and {other.upper()} are needed both, or neither")
        return self

    @field_validator("comfyui_url", mode="after")
    @classmethod
    def _server(cls, value: str | None) -> str | None:
        return value if value is None else OFF if value.strip().lower() == OFF else _server_url(value)

    @field_validator("comfyui_urls", mode="after")
    @classmethod
    def _servers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        urls = tuple(_server_url(url) for url in value)
        seen: set[tuple[str, ...]] = set()
        for url in urls:
            if _same_server(url) in seen:
                raise ValueError(f"{_shown(url)} is named twice; name each server once")
            seen.add(_same_server(url))
        return urls

    @property
    def model_roots(self) -> tuple[Path, ...]:
        """The folders of ATELIER_MODELS that are laid out as ComfyUI's, with our own at their end."""
        named = (folder for folder in self.atelier_models if "=" not in folder)
        return (*(_folder(folder) for folder in named), self.atelier_home / "models")

    @property
    def model_folders(self) -> dict[str, tuple[Path, ...]]:
        """The folders of ATELIER_MODELS that hold one kind each."""
        found: dict[str, tuple[Path, ...]] = {}
        for entry in self.atelier_models:
            kind, equals, folder = entry.partition("=")
            if equals:
                found[kind.strip()] = (*found.get(kind.strip(), ()), _folder(folder.strip()))
        return found

    @property
    def preset_folders(self) -> tuple[Path, ...]:
        """Where the user's own preset files are looked for; later ones win."""
        return (self.atelier_home / "presets", *self.atelier_presets)

    @property
    def workflow_folders(self) -> tuple[Path, ...]:
        """Where the user's own workflows are looked for; of two with one name the later wins."""
        return (self.atelier_home / "workflows", *self.atelier_workflows)

    @property
    def comfyui_paths(self) -> tuple[Path, ...] | None:
        """The ComfyUI installations that were named; None: look for them, (): there is none."""
        if self.comfyui_path == (OFF,):
            return ()
        return tuple(_folder(path) for path in self.comfyui_path) or None

    @field_validator("atelier_models", mode="after")
    @classmethod
    def _kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        kinds = get_args(ModelKind)
        for entry in value:
            kind, equals, folder = entry.partition("=")
            if equals and (kind.strip() not in kinds or not folder.strip()):
                raise ValueError(
                    f"{entry!r} is no folder of a kind; write kind=folder, with kind one of {', '.join(kinds)}"
                )
        return value

    @field_validator(*LISTS, mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator(
        "atelier_home",
        "atelier_allowed_roots",
        "atelier_presets",
        "atelier_workflows",
        "atelier_prices",
        "atelier_c2pa_cert",
        "atelier_c2pa_key",
        mode="after",
    )
    @classmethod
    def _absolute(cls, value: Any) -> Any:
        if value is None:
            return value
        if isinstance(value, Path):
            return value.expanduser().absolute()
        return tuple(path.expanduser().absolute() for path in value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, toml_file=[default_home() / TOML_NAME, Path(TOML_NAME)])
        return init_settings, env_settings, dotenv_settings, toml


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. Raises BadSettings that names every fault at once."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        faults = [f"{_where(fault['loc'])}{fault['msg']}" for fault in error.errors(include_url=False)]
        raise BadSettings("These settings cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults)) from error


def _where(place: tuple[int | str, ...]) -> str:
    return f"{str(place[0]).upper()}: " if place else ""


def secret(value: SecretStr | None) -> str | None:
    """The text of a secret setting."""
    return value.get_secret_value() if value else None


def _server_url(given: str) -> str:
    """The address with a scheme and without a slash at its end. Raises ValueError; never repeats a password."""
    text = given.strip()
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"a ComfyUI server is reached by http or https, not {parts.scheme}")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError("the port is a number from 1 to 65535") from error
    if not parts.hostname or port == 0 or any(mark.isspace() for mark in text):
        raise ValueError(f"write it like {USUAL_COMFYUI}, or several of them with commas in COMFYUI_URLS")
    if parts.query or parts.fragment or "," in text:
        raise ValueError("one address alone, such as https://host/comfy; several belong into COMFYUI_URLS")
    return url.rstrip("/")


def _folder(given: str) -> Path:
    return Path(given).expanduser().absolute()


def _same_server(url: str) -> tuple[str, ...]:
    """Equal for two spellings of one server's address."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return host, str(port), parts.path


def _shown(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
