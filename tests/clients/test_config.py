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


def test_comfyui_is_looked_for_where_it_usually_is_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMFYUI_URL", raising=False)
    found: dict[str, tuple[tuple[str, ...], bool]] = {}
    for url in ("", "off", "OFF", "gpu:8188/", "https://user:word@gpu.example/comfy"):
        settings = load_settings(comfyui_url=url or None)
        found[url] = (settings.comfyui_servers, settings.comfyui_is_named)
    assert found == {
        "": (("http://127.0.0.1:8188",), False),
        "off": ((), False),
        "OFF": ((), False),
        "gpu:8188/": (("http://gpu:8188",), True),
        "https://user:word@gpu.example/comfy": (("https://user:word@gpu.example/comfy",), True),
    }


def test_several_servers_are_one_list_and_comfyui_host_is_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMFYUI_URL", raising=False)
    monkeypatch.setenv("COMFYUI_HOST", "one:8188")
    monkeypatch.setenv("COMFYUI_URLS", "http://two:8188, http://ONE:8188/,three:80")
    assert load_settings().comfyui_servers == ("http://one:8188", "http://two:8188", "http://three:80")


def test_servers_may_be_named_in_dotenv_and_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMFYUI_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "atelier.toml").write_text('comfyui_urls = ["http://two", "http://three"]\n', encoding="utf-8")
    (tmp_path / ".env").write_text("COMFYUI_HOST=one\n", encoding="utf-8")
    assert load_settings().comfyui_servers == ("http://one", "http://two", "http://three")


def test_faulty_servers_are_all_named_and_no_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_URL", "ftp://user:hunter2@host")
    monkeypatch.setenv("COMFYUI_URLS", "http://user:hunter2@localhost:8188, http://127.0.0.1:8188")
    monkeypatch.setenv("COMFYUI_TOKEN", "hunter2")
    with pytest.raises(BadSettings) as caught:
        load_settings()
    text = str(caught.value)
    assert "COMFYUI_URL: Value error, a ComfyUI server is reached by http or https, not ftp" in text
    assert "COMFYUI_URLS: Value error, http://127.0.0.1:8188 is named twice" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("url", ["http://", "http://host:0", "http://host:99999", "a b", "http://a,http://b"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match="COMFYUI_URL: "):
        load_settings(comfyui_url=url)
