"""The study's interpreter: which one, what it lacks, and what Accelerate sets."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from loop.run.devices import cores
from loop.run.interpreter import Unusable, answer, chosen, imports, launcher_variables, look
from loop.run.stages import environment
from store.trail import NOWHERE


def test_the_nearest_interpreter_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    assert chosen(tmp_path, None) == Path(sys.executable)
    for name in ("conda", "venv", "study/.venv"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "python").touch()
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    assert chosen(tmp_path, None) == tmp_path / "conda" / "bin" / "python"
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    assert chosen(tmp_path, None) == tmp_path / "venv" / "bin" / "python"
    assert chosen(tmp_path / "study", None) == tmp_path / "study" / ".venv" / "bin" / "python"
    assert chosen(tmp_path / "study", "mine/python") == tmp_path / "study" / "mine" / "python"


async def test_what_is_missing_is_named_with_the_command_that_mends_it(tmp_path: Path, bare_python: Path) -> None:
    with pytest.raises(Unusable) as caught:
        await look(bare_python, ["json", "torch", "accelerate"], environment(tmp_path, "tree"))
    assert f"{bare_python} lacks accelerate, torch, which the study's scripts import" in str(caught.value)
    assert f"{bare_python} -m pip install accelerate torch" in str(caught.value)


async def test_an_interpreter_that_is_not_there_or_no_python_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"cannot be started: No such file.*python = "):
        await look(tmp_path / "python", [], environment(tmp_path, "tree"))
    (tmp_path / "python").write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(Unusable, match="does not work: broken"):
        await look(tmp_path / "python", [], environment(tmp_path, "tree"))


async def test_two_interpreters_with_the_same_packages_are_one_to_a_bench(tmp_path: Path, bare_python: Path) -> None:
    one = await look(bare_python, [], environment(tmp_path, "tree"))
    other = await look(Path(sys.executable), [], environment(tmp_path, "tree"))
    assert one.digest != other.digest
    assert (await look(bare_python, ["json"], environment(tmp_path, "tree"))).digest == one.digest


async def test_accelerate_tells_what_its_launcher_sets(tmp_path: Path) -> None:
    """Pins a function that is private to Accelerate: where this fails, runs fall back to the launcher itself."""
    interpreter = await look(Path(sys.executable), ["accelerate"], environment(tmp_path, "tree"))
    variables = await launcher_variables(interpreter, environment(tmp_path, "tree"))
    assert variables["ACCELERATE_MIXED_PRECISION"] == "no"
    assert variables["ACCELERATE_DYNAMO_BACKEND"] == "NO"
    assert {**environment(tmp_path, "tree"), **variables}["OMP_NUM_THREADS"] == str(cores())


async def test_a_ctrl_c_at_the_terminal_does_not_reach_the_interpreter_that_is_asked(tmp_path: Path) -> None:
    """It would be taken for an Accelerate without its function, and the launcher would be used for good."""
    (tmp_path / "python").write_text("#!/bin/sh\nps -o pgid= -p $$ >&2; exit 1\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(Unusable) as caught:
        await look(tmp_path / "python", [], environment(tmp_path, "tree"))
    assert str(os.getpgrp()) != str(caught.value).split()[-1]


async def test_what_nobody_waits_for_any_more_is_not_left_running(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    words = [sys.executable, "-c", f"import os, time; open({str(said)!r}, 'w').write(str(os.getpid())); time.sleep(60)"]
    asking = asyncio.create_task(answer(words, {}, NOWHERE, "a question"))
    while not (said.exists() and said.read_text()):
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.read_text()), 0)


def test_only_what_a_script_surely_imports_is_asked_for() -> None:
    source = b"""
import os, torch.nn as nn
from accelerate.utils import set_seed
from . import near
from .near import it
try:
    import wandb
except ImportError:
    wandb = None
def late():
    import matplotlib
"""
    assert imports(source) == {"os", "torch", "accelerate"}
    assert imports(b"not python (") == set()
    assert imports(b"\0") == set()


def test_the_environment_is_made_anew(tmp_path: Path) -> None:
    assert environment(tmp_path, "tree")["PATH"] == os.environ["PATH"]
    assert "PYTEST_CURRENT_TEST" not in environment(tmp_path, "tree")
