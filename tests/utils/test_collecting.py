"""The garbage collector is out of the way only as long as somebody asks for it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from utils.collecting import no_collecting


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.enable()
    yield
    (gc.enable if was_on else gc.disable)()


def test_nothing_is_collected_inside_and_everything_as_before_after() -> None:
    with no_collecting():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_of_several_holders_the_last_one_lets_the_collector_run_again() -> None:
    first, second = no_collecting(), no_collecting()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_an_error_inside_leaves_the_collector_running() -> None:
    with pytest.raises(KeyError), no_collecting():
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_the_owner_switched_off_stays_off() -> None:
    gc.disable()
    with no_collecting():
        pass
    assert not gc.isenabled()
