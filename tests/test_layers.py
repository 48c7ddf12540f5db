"""The storeys of the house: imports only go down."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STOREYS = ("store", "loop", "cockpit")
HEAVY = {"torch", "accelerate"}
LATE = {"optuna", "moocore", "numpy"}  # only when they are needed
NUMERIC = {"frontier.py", "gains.py", "lift.py"}  # of the judge


def imported(file: Path) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports, each with whether that is only done inside a function or for types."""
    tree = ast.parse(file.read_text())
    lazy = {
        node
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.If)
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            yield name, node in lazy


def files(storey: str) -> list[Path]:
    return sorted((ROOT / storey).rglob("*.py"))


@pytest.mark.parametrize("storey", STOREYS)
def test_imports_only_go_down(storey: str) -> None:
    above = STOREYS[STOREYS.index(storey) + 1 :]
    for file in files(storey):
        for name, _ in imported(file):
            assert name.partition(".")[0] not in above, f"{file.relative_to(ROOT)} imports {name}"


def test_only_the_command_line_and_the_batch_reach_the_research_and_only_when_they_need_it() -> None:
    for file in files("cockpit"):
        for name, lazy in imported(file):
            if name.partition(".")[0] == "loop":
                assert file.name in ("cli.py", "batch.py"), f"{file.name} imports {name}"
                assert lazy, f"{file.name} imports {name} at its top"


def test_the_screen_loads_nothing_heavy() -> None:
    heavy = sorted(HEAVY | LATE | {"ollama", "pydantic"})
    look = f"import sys, cockpit.cli, cockpit.app, loop.branches; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("storey", STOREYS)
def test_nothing_heavy_is_imported_by_cockpit_itself(storey: str) -> None:
    for file in files(storey):
        assert not HEAVY & {name.partition(".")[0] for name, _ in imported(file)}, file
        for name, lazy in imported(file):
            assert lazy or name.partition(".")[0] not in LATE, f"{file.name} imports {name} at its top"
            assert name.partition(".")[0] != "numpy" or file.name in NUMERIC, f"{file.name} imports {name}"


@pytest.mark.parametrize("file", ["supervisor.py", "nvml.py"])
def test_what_stands_beside_a_run_needs_the_standard_library_alone(file: str) -> None:
    for name, _ in imported(ROOT / "loop/run" / file):
        assert name.partition(".")[0] in sys.stdlib_module_names
