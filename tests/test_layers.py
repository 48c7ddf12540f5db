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
NUMERIC = {"frontier.py", "gains.py", "lift.py", "optimiser.py"}  # of the judge, and the estimator


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
                own = ("cli.py", "home.py", "batch.py", "before.py", "opening.py", "setting_up.py")
                assert file.name in own, f"{file.name} imports {name}"
                assert lazy, f"{file.name} imports {name} at its top"


def test_the_screen_loads_nothing_heavy() -> None:
    heavy = sorted(HEAVY | LATE | {"ollama", "pydantic", "typer"})
    imports = "import sys, cockpit.opening, cockpit.app, loop.branches"
    look = f"{imports}; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_first_picture_does_without_what_draws_the_screen() -> None:
    look = "import sys, cockpit.opening, cockpit.first; print(any(one.startswith('textual') for one in sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


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


STARTS = {
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
    "subprocess": {"Popen", "run", "call", "check_call", "check_output"},
    "os": {"fork", "system", "posix_spawn", "execv", "execvp", "execve"},
}
BESIDE = {  # what starts processes, and adds none to a trail itself
    "supervisor.py",  # it imports nothing of ours: the engine does, by what it had told it
    "nvml.py",
    "weights.py",  # it brings a model to this machine, for no study
}


def test_whoever_starts_a_process_adds_it_to_the_trail() -> None:
    found = set[str]()
    for file in (file for storey in STOREYS for file in files(storey) if file.name not in BESIDE):
        for outer in ast.walk(ast.parse(file.read_text())):
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
                used = [node for node in ast.walk(outer) if isinstance(node, ast.Attribute)]
                if any(isinstance(one.value, ast.Name) and one.attr in STARTS.get(one.value.id, ()) for one in used):
                    found.add(file.name)
                    assert {"running", "goes_on"} & {one.attr for one in used}, f"{file.name}: {outer.name}"
    assert {"git.py", "launch.py", "spawn.py", "outside.py", "embedded.py"} <= found


# What brings a text to the terminal as it is given, and the rooms of the screen that may: there it is cleaned.
DRAWS = {
    "rich.console": {"first.py", "themes.py"},  # which only ask it how many colours there are
    "rich.segment": {"line.py", "terminal.py"},
    "rich.text": {"palette.py"},
    "textual.content": {"sheets.py"},
    "textual.drivers.linux_driver": {"terminal.py"},
    "textual.filter": {"deciding.py", "terminal.py"},
    "textual.strip": {"panel.py"},
    "textual.widgets.Input": {"looking.py", "search.py", "sheets.py"},
}
DRAWS_NOTHING = {
    *("rich.cells", "rich.color", "rich.color_triplet", "rich.style", "rich.terminal_theme", "rich.theme"),
    *("textual", "textual.app", "textual.binding", "textual.color", "textual.command", "textual.containers"),
    *("textual.css.query", "textual.driver", "textual.events", "textual.geometry", "textual.keys", "textual.message"),
    *("textual.reactive", "textual.screen", "textual.scroll_view", "textual.theme", "textual.widget"),
}
PUTS = {  # names that do so when they are called, set or defined
    "print": {"output.py"},
    "stdout": {"first.py", "opening.py", "output.py"},
    "stderr": {"output.py"},
    "__stdout__": {"terminal.py"},
    "Clean": {"text.py", "line.py", "output.py"},
    "Line": {"line.py"},
    "border_title": {"sheets.py"},
    "render": {"line.py"},
    "render_line": {"panel.py"},
    "render_lines": {"panel.py"},
    **{name: set[str]() for name in ("border_subtitle", "tooltip", "sub_title", "notify", "panic", "echo", "secho")},
    **{name: set[str]() for name in ("from_markup", "from_ansi", "__stderr__")},
}


def shown_as_it_is(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    """What in a module draws, and the modules that may."""
    for node in ast.walk(tree):
        names = list[str]()
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for name in [one for one in names if one.partition(".")[0] in ("rich", "textual")]:
                every = [f"{name}.{one.name}" for one in node.names] if name == "textual.widgets" else [name]
                yield from ((one, DRAWS.get(one, set())) for one in every if one not in DRAWS_NOTHING)
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in PUTS and (
                node.args or node.keywords
            ):
                yield f"{name}(…)", PUTS[name]
            case ast.Call(func=ast.Attribute(attr="exit"), keywords=[*words]) if "message" in {
                one.arg for one in words
            }:
                yield "exit(message=…)", set()
            case ast.Attribute(attr=name) if name in PUTS and name != "Line":
                yield f".{name}", PUTS[name]
            case ast.FunctionDef(name=name) if name in PUTS:
                yield f"def {name}", PUTS[name]


def test_what_is_foreign_is_drawn_where_it_is_cleaned_and_nowhere_else() -> None:
    """A view has Lines for the screen and `output` for a pipe. Nothing else that comes to a terminal is at its hand."""
    allowed = set[str]()
    for file in files("cockpit"):
        for what, where in shown_as_it_is(ast.parse(file.read_text())):
            assert file.name in where, f"{file.relative_to(ROOT)} has {what}: a text comes to the terminal by a Line"
            allowed.add(what)
    assert {"rich.segment", "print(…)", "Clean(…)", "Line(…)", ".border_title", "def render_line"} <= allowed
