"""The house keeps its own rules: light imports, small rooms, a README that is true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clients.config import Settings
from clients.tools.server import TOOLS

ROOT = Path(__file__).parents[1]
ROOMS = ("clients", "workflows", "utils", "tests", "examples")
HEAVY = (
    *("torch", "diffusers", "ultralytics", "open_clip", "transformers", "mlflow", "google.genai", "fal_client"),
    *("psycopg", "av", "c2pa"),
)
MOST_LINES = 500
MOST_FUNCTION_LINES = 50


def sources() -> list[Path]:
    rooms = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [*rooms, ROOT / "mcp_server.py", ROOT / "generate.py"]


def modules() -> list[str]:
    ours = [path for path in sources() if path.relative_to(ROOT).parts[0] in {"clients", "workflows", "utils"}]
    ours = [path for path in ours if "migrations" not in path.parts and path.name != "__main__.py"]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ours]
    return [name.removesuffix(".__init__") for name in names] + ["mcp_server", "generate"]


def test_importing_anything_pulls_in_no_heavy_library() -> None:
    program = (
        "import importlib, sys\n"
        f"for name in {modules()!r}: importlib.import_module(name)\n"
        f"print([heavy for heavy in {HEAVY!r} if heavy in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_server_answers_before_what_only_a_call_needs_is_loaded() -> None:
    later = (
        "workflows.selection.analysis",
        "workflows.downloads",
        "clients.model_files",
        "sqlalchemy",
        "yaml",
    )
    program = (
        "import sys, mcp_server\n"
        "from clients.config import Settings\n"
        "mcp_server.production_server(Settings())\n"
        f"print([name for name in {later!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_works_without_mcp() -> None:
    program = "import sys, generate; print([name for name in sys.modules if name.split('.')[0] == 'mcp'])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_import_lines_hold() -> None:
    from utils.validation import validate_image

    assert callable(validate_image)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_and_no_function_is_too_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {node.name: lines for node in functions if (lines := length(node)) > MOST_FUNCTION_LINES}
    assert long == {}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_the_readme_lists_every_setting_tool_and_make_verb() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    settings = {name.upper() for name in Settings.model_fields}
    tools = {tool.name for tool in TOOLS}
    verbs = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for name in settings if f"`{name}`" not in readme} == set()
    assert {name for name in tools if f"`{name}`" not in readme} == set()
    assert {verb for verb in verbs if f"make {verb}" not in readme} == set()


def test_the_readme_names_no_setting_that_does_not_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(ATELIER_[A-Z_]+)`", readme))
    assert named <= {name.upper() for name in Settings.model_fields}


def test_the_makefile_and_package_name_no_address_of_a_registry() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in pinned
    assert re.findall(r"^(?!#)(?!.+==.+$).+$", pinned, re.MULTILINE) == []
