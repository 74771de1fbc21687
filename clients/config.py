"""Settings: the environment, `.env` and `atelier.toml`, in that order, read once at the root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

TOML_NAME = "atelier.toml"


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
    atelier_clip_model: str = "ViT-B-32"
    """open_clip model that judges what real models draw (the demo model has its own)."""
    atelier_clip_weights: str = "laion2b_s34b_b79k"
    """Its pretrained weights: an open_clip tag."""
    atelier_idle_unload: float = Field(default=600.0, ge=0.0)
    """Seconds after the last render until the in-process models leave memory; 0: never."""
    atelier_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What goes to stderr."""

    @field_validator("atelier_allowed_hosts", "atelier_allowed_roots", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("atelier_home", "atelier_allowed_roots", mode="after")
    @classmethod
    def _absolute(cls, value: Any) -> Any:
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
        faults = [f"{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors(include_url=False)]
        raise BadSettings("These settings cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults)) from error
