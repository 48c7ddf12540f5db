"""The Python that runs the code under test: which one it is, what it has, and what Accelerate's launcher would set."""

import ast
import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from loop.propose.literals import parsed
from loop.propose.scalar import Unreadable
from loop.run.devices import cores, gpus
from store.trail import NOWHERE, Trail

WITH_VALUE = ("-W", "-X")  # options of Python that take the next word
# Runs in the study's interpreter, which may be older than ours.
LOOK = """
import importlib.metadata, importlib.util, json, platform, sys, urllib.parse
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except Exception:
        return False
found = list(importlib.metadata.distributions())
packages = {said["Name"]: said["Version"] for said in (d.metadata for d in found) if said["Name"]}
def source(distribution):  # of an editable install (PEP 610), which import hooks find without any sys.path
    said = json.loads(distribution.read_text("direct_url.json") or "{}")
    editable = said.get("dir_info", {}).get("editable")
    return [urllib.parse.unquote(urllib.parse.urlparse(said["url"]).path)] if editable else []
print(json.dumps({
    "version": platform.python_version(),
    "packages": packages,
    "prefixes": [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix],
    "paths": [p for p in sys.path if p] + [p for d in found for p in source(d)],
    "missing": [name for name in json.loads(sys.argv[1]) if not there(name)],
}))
"""
# For one process the launcher does nothing but set variables; asking it once saves its seconds of imports in each run.
# The function is private to Accelerate: a test pins it, and where it is gone the launcher itself is used.
ASK_ACCELERATE = """
import json, os, sys
from accelerate.commands.launch import launch_command_parser
from accelerate.utils.launch import prepare_simple_launcher_cmd_env
arguments = launch_command_parser().parse_args(json.loads(sys.argv[1]) + ["train.py"])
_, variables = prepare_simple_launcher_cmd_env(arguments)
print(json.dumps({name: value for name, value in variables.items() if os.environ.get(name) != value}))
"""


ANSWER_SECONDS = 120.0


class Unusable(Exception):
    """The study's interpreter is not there, does not start, or lacks what is needed. The message says the mend."""

    def __init__(self, message: str, missing: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)  # modules


class Failed(Exception):
    """A command has no answer. The message says what it does instead: `does not work: ...`."""


class Interpreter(Struct, frozen=True):
    """A Python and what is installed for it."""

    python: Path
    version: str
    packages: dict[str, str]
    prefixes: tuple[Path, ...] = ()  # where it is
    paths: tuple[Path, ...] = ()  # where it finds what it imports

    @property
    def digest(self) -> str:
        """Names the version and all packages: two interpreters of one digest give the same results."""
        return hashlib.sha256(json.dumps([self.version, sorted(self.packages.items())]).encode()).hexdigest()

    @property
    def accelerate(self) -> bool:
        """Whether it has Accelerate."""
        return "accelerate" in self.packages


def chosen(root: Path, named: str | None) -> Path:
    """The study's interpreter: the one the file names, else `.venv`, else the active environment's, else ours."""
    if named is not None:
        return root / named
    environments = [
        root / ".venv",
        *(Path(os.environ[name]) for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if os.environ.get(name)),
    ]
    found = (environment / "bin" / "python" for environment in environments)
    return next((python for python in found if python.exists()), Path(sys.executable))


async def look(python: Path, needed: Iterable[str], variables: dict[str, str], trail: Trail = NOWHERE) -> Interpreter:
    """Start the interpreter and ask what it has. Raises Unusable, also where one of the `needed` modules is missing."""
    interpreter, missing = await lacking(python, needed, variables, trail)
    if missing:
        has, them = ("has no", "it") if len(missing) == 1 else ("lacks", "them")
        raise Unusable(
            f"{python} {has} {', '.join(missing)}, which the study's scripts import. Install {them}:\n"
            f"  {python} -m pip install {' '.join(missing)}\n"
            "or name another interpreter with `python = ...` in [run]",
            missing,
        )
    return interpreter


async def lacking(
    python: Path, needed: Iterable[str], variables: dict[str, str], trail: Trail = NOWHERE
) -> tuple[Interpreter, tuple[str, ...]]:
    """Start the interpreter, and ask what it has and which of the `needed` modules are missing. Raises Unusable."""
    said = await _ask(python, LOOK, json.dumps(sorted(needed)), variables, trail, "what the interpreter has")
    places = (tuple(map(Path, said[key])) for key in ("prefixes", "paths"))
    return Interpreter(python, said["version"], said["packages"], *places), tuple(said["missing"])


async def launcher_variables(
    interpreter: Interpreter, variables: dict[str, str], trail: Trail = NOWHERE
) -> dict[str, str]:
    """What `accelerate launch` sets for a script in one process on this machine. Takes seconds. Raises Unusable."""
    options, purpose = json.dumps(launcher_options()), "what accelerate launch would set"
    return dict(await _ask(interpreter.python, ASK_ACCELERATE, options, variables, trail, purpose))


def launcher_options() -> list[str]:
    """Every option of the launcher that the user's own Accelerate configuration could otherwise decide."""
    return [
        *([] if gpus() else ["--cpu"]),
        *("--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
        *("--num_cpu_threads_per_process", str(cores())),
    ]


async def _ask(
    python: Path, script: str, argument: str, variables: dict[str, str], trail: Trail, purpose: str
) -> dict[str, Any]:
    try:
        said: dict[str, Any] = await answer([str(python), "-c", script, argument], variables, trail, purpose)
    except OSError as error:
        raise Unusable(
            f"{python} cannot be started: {error.strerror}; name an interpreter with `python = ...` in [run]"
        ) from error
    except Failed as why:
        raise Unusable(f"{python} {why}") from None
    except (ValueError, IndexError):
        raise Unusable(f"{python} is no Python; name one with `python = ...` in [run]") from None
    return said


async def answer(
    words: list[str],
    variables: dict[str, str],
    trail: Trail,
    purpose: str,
    patience_seconds: float = ANSWER_SECONDS,
) -> Any:
    """What a command prints on its last line, in JSON.

    Raises OSError where it cannot be started, Failed, and ValueError or IndexError where what it prints is no JSON.
    """
    with trail.running(words, "/", purpose=purpose, reads=True) as ran:
        process = await asyncio.create_subprocess_exec(
            *words, cwd="/", env=variables, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C at the terminal is for cockpit: a half-asked question has no answer
        )  # fmt: skip
        try:
            out, errors = await asyncio.wait_for(process.communicate(), patience_seconds)
        except TimeoutError:
            process.kill()
            ran.ended(await process.wait(), late := f"did not answer within {patience_seconds:.0f} s")
            raise Failed(late) from None
        except asyncio.CancelledError:  # nobody wants to know any more
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        ran.ended(process.returncode, errors)
    if process.returncode:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {process.returncode}"]
        raise Failed(f"does not work: {last[0]}")
    return json.loads(out.decode().splitlines()[-1])


def imports(source: bytes) -> set[str]:
    """The top-level modules that a script imports unconditionally; none where it is no Python."""
    try:
        body = parsed(source).body
    except Unreadable:
        return set()
    names = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in body if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in names}


def script_of(words: Sequence[str]) -> int | None:
    """Which word of a command, whose first is a Python, is the script, or the module after `-m`; None without one."""
    skip = False
    for number, word in enumerate(words[1:], 1):
        if skip:
            skip = False
        elif word == "-m":
            return number + 1 if number + 1 < len(words) else None
        elif not word.startswith("-"):
            return number
        elif word == "-c":
            return None
        else:
            skip = word in WITH_VALUE
    return None
