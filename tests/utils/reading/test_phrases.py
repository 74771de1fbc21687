"""One and many of a thing, and what having that read costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = """
import typeguard
checking = typeguard.typechecked
from utils.reading.phrases import plural, singular
assert (plural("star"), singular("foxes")) == ("stars", "fox")
import inflect
assert not [name for name in inflect.engine.plural_noun.__code__.co_names if "check" in name], "checked at every call"
assert typeguard.typechecked is checking
"""


def test_the_library_for_plurals_is_imported_without_its_checks_and_others_keep_theirs() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
