"""Files are read again when they change; what breaks keeps what it was."""

import os
import time
from functools import partial
from pathlib import Path
from threading import Barrier, Thread

import pytest

from tests.workflows.presets.kit import flat, put, style
from workflows.presets import Presets, Shelf
from workflows.presets import files as preset_files
from workflows.presets.sheet import sheet_of
from workflows.presets.watching import MOST_FILES, Folder

BROKEN = b'{"kind": "style", "presets": [{"id": "fog"'
NOT_JSON = "it is not JSON: EOF while parsing an object at line 1 column 42"


def own_styles(shelf: Shelf) -> dict[str, str]:
    return {preset.id: preset.text for preset in shelf.flat["style"] if preset.own}


def test_a_changed_an_added_and_a_removed_file_are_seen(tmp_path: Path) -> None:
    presets = Presets([tmp_path])
    fog = put(tmp_path, "fog.json", flat(style()))
    assert own_styles(presets.shelf()) == {"fog": "thick fog"}
    put(tmp_path, "fog.json", flat(style(text="thin mist")))
    assert own_styles(presets.shelf()) == {"fog": "thin mist"}
    put(tmp_path, "rain.json", flat(style("Rain", "fine rain")))
    assert own_styles(presets.shelf()) == {"fog": "thin mist", "rain": "fine rain"}
    fog.unlink()
    assert own_styles(presets.shelf()) == {"rain": "fine rain"}


def test_nothing_is_made_anew_while_nothing_changes(tmp_path: Path) -> None:
    put(tmp_path, "fog.json", flat(style()))
    presets = Presets([tmp_path])
    assert presets.shelf() is presets.shelf()


@pytest.mark.parametrize("age", [0, 3600])
def test_a_change_that_leaves_size_and_time_alike_is_seen(tmp_path: Path, age: int) -> None:
    path = put(tmp_path, "fog.json", flat(style(text="thick fog")))
    times = path.stat().st_mtime_ns - age * 10**9
    os.utime(path, ns=(times, times))
    presets = Presets([tmp_path])
    assert own_styles(presets.shelf()) == {"fog": "thick fog"}
    put(tmp_path, "fog.json", flat(style(text="light fog")))
    os.utime(path, ns=(times, times))
    assert own_styles(presets.shelf()) == {"fog": "light fog"}


def test_changes_within_one_tick_of_a_coarse_file_system_are_seen(tmp_path: Path) -> None:
    now = time.time_ns()
    folder = Folder(tmp_path, partial(sheet_of, own=False, adult=False), lambda path: (now, path.stat().st_size))
    for number in (1, 2, 3):
        put(tmp_path, "fog.json", flat(style(text=f"fog {number}")))
        assert (folder.look(), folder.look()) == (True, False)
        assert [sheet.flat[0].text for sheet in folder.sheets] == [f"fog {number}"]


def test_a_file_that_breaks_keeps_its_last_good_version_and_no_other_is_touched(tmp_path: Path) -> None:
    presets = Presets([tmp_path])
    put(tmp_path, "fog.json", flat(style()))
    put(tmp_path, "rain.json", flat(style("Rain", "fine rain")))
    presets.shelf()
    put(tmp_path, "fog.json", BROKEN)
    put(tmp_path, "rain.json", flat(style("Rain", "heavy rain")))
    shelf = presets.shelf()
    assert own_styles(shelf) == {"fog": "thick fog", "rain": "heavy rain"}
    assert shelf.faults == (f"{tmp_path.name}/fog.json: {NOT_JSON}; its last good version is used",)
    put(tmp_path, "fog.json", flat(style()))
    assert presets.shelf().faults == ()


def test_a_file_that_was_never_good_adds_nothing(tmp_path: Path) -> None:
    put(tmp_path, "fog.json", BROKEN)
    shelf = Presets([tmp_path]).shelf()
    assert (own_styles(shelf), shelf.faults) == ({}, (f"{tmp_path.name}/fog.json: {NOT_JSON}",))


def test_what_cannot_be_a_file_of_presets_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "gone.json").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    put(tmp_path, "large.json", b" " * (preset_files.MOST_BYTES + 1))
    faults = Presets([tmp_path]).shelf().faults
    assert [fault.removeprefix(f"{tmp_path.name}/") for fault in faults] == [
        "folder.json: it cannot be read: is a directory",
        "gone.json: it cannot be read: no such file or directory",
        "large.json: it is larger than 1 MB",
        "loop.json: it cannot be read: too many levels of symbolic links",
        "pipe.json: it is not a regular file",
        "zero.json: it is not a regular file",
    ]


def test_names_and_keys_that_steer_a_terminal_are_told_without(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/\x1b\xff.json")).write_bytes(b'{"kind": "style", "\\u001b[2J": 1}')
    (fault, *_) = Presets([tmp_path]).shelf().faults
    assert fault.isprintable()
    assert "there is no such field" in fault


def test_hidden_and_other_files_are_no_presets(tmp_path: Path) -> None:
    for name in (".#fog.json", "._fog.json", "fog.json~", "notes.txt"):
        put(tmp_path, name, BROKEN)
    assert Presets([tmp_path]).shelf().faults == ()


def test_a_folder_is_read_up_to_a_bound(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 3):
        put(tmp_path, f"{number:03}.json", flat(style(f"Fog {number}")))
    shelf = Presets([tmp_path]).shelf()
    assert len(own_styles(shelf)) == MOST_FILES
    assert shelf.faults == (f"the folder {tmp_path.name} has more than 200 files and 4 MB: 3 are not read",)


def test_a_missing_folder_is_no_fault_and_a_file_in_its_place_is(tmp_path: Path) -> None:
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.write_text("not a folder")
    assert Presets([missing, there]).shelf().faults == ("the folder there cannot be read: not a directory",)


def test_several_threads_get_whole_shelves_while_files_change(tmp_path: Path) -> None:
    presets = Presets([tmp_path])
    start, seen = Barrier(5), list[frozenset[str]]()

    def write() -> None:
        start.wait()
        for number in range(40):
            put(tmp_path, "fog.json", flat(*(style(f"{name} {number}") for name in ("Fog", "Rain"))))

    def look() -> None:
        start.wait()
        seen.extend(frozenset(name.split("-")[1] for name in own_styles(presets.shelf())) for _ in range(40))

    threads = [Thread(target=target) for target in (write, look, look, look, look)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 160
    assert all(len(numbers) <= 1 for numbers in seen)
    assert own_styles(presets.shelf()).keys() == {"fog-39", "rain-39"}
