"""The quick look at the Hub."""

from __future__ import annotations

import socket

import pytest

from utils.hub import hub_answers, local_files_without_hub


@pytest.fixture
def port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


def test_a_hub_that_listens_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert hub_answers(f"http://127.0.0.1:{server.getsockname()[1]}")


def test_a_hub_that_does_not_listen_is_known_at_once(port: int) -> None:
    assert not hub_answers(f"http://127.0.0.1:{port}")


def test_behind_a_proxy_only_the_proxy_knows(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    assert hub_answers(f"http://127.0.0.1:{port}")


def test_a_hub_that_the_proxy_is_not_for_is_asked_itself(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert not hub_answers(f"http://127.0.0.1:{port}")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    assert not hub_answers(f"http://127.0.0.1:{port}")


def test_without_a_hub_the_libraries_look_at_local_files_alone(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with local_files_without_hub():
        assert constants.is_offline_mode()
    assert not constants.is_offline_mode()


def test_what_is_missing_without_a_hub_is_said_in_one_sentence(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(OSError, match="the Hub does not answer"), local_files_without_hub():
        raise FileNotFoundError("a long story")
    assert not constants.is_offline_mode()
