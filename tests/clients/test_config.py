"""Settings: where they come from, which wins, and how faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.config import BadSettings, load_settings


def test_the_environment_wins_over_dotenv_and_dotenv_over_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "atelier.toml").write_text(
        'atelier_clip_model = "toml"\natelier_clip_weights = "toml"\natelier_local_model = "toml"\n', encoding="utf-8"
    )
    (tmp_path / ".env").write_text("ATELIER_CLIP_MODEL=dotenv\nATELIER_CLIP_WEIGHTS=dotenv\n", encoding="utf-8")
    monkeypatch.setenv("ATELIER_CLIP_MODEL", "environment")
    settings = load_settings()
    assert (settings.atelier_clip_model, settings.atelier_clip_weights, settings.atelier_local_model) == (
        "environment",
        "dotenv",
        "toml",
    )


def test_lists_are_split_at_commas_and_paths_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATELIER_ALLOWED_ROOTS", f"pictures, {tmp_path}/more")
    monkeypatch.setenv("ATELIER_ALLOWED_HOSTS", "a.example, b.example:8765")
    settings = load_settings()
    assert settings.atelier_allowed_roots == (tmp_path / "pictures", tmp_path / "more")
    assert settings.atelier_allowed_hosts == ("a.example", "b.example:8765")


def test_all_faults_are_named_at_once_and_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_INLINE_IMAGES", "sometimes")
    monkeypatch.setenv("ATELIER_IDLE_UNLOAD", "-1")
    monkeypatch.setenv("ATELIER_TOKEN", "hunter2")
    with pytest.raises(BadSettings) as caught:
        load_settings()
    text = str(caught.value)
    assert "ATELIER_INLINE_IMAGES" in text
    assert "ATELIER_IDLE_UNLOAD" in text
    assert "hunter2" not in text
    assert "hunter2" not in repr(load_settings(atelier_inline_images="auto", atelier_idle_unload=1.0))
