"""Lives of an engine that are cut short: programs in processes of their own, in which its imports are made already.

`ended(PROGRAM, WORD, ...)` does what `python -c PROGRAM WORD ...` does, but for most of a second of imports: it is
forked off a process that every worker of the tests has, which imports what an engine needs and does nothing else.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import NamedTemporaryFile

LONGEST_SECONDS = 120  # of a life: one that hangs is a fault of its own
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["tests.lives", "loop.engine", "loop.obey", "loop.propose.context"])


def begun(program: str, *words: object, errors: str = os.devnull) -> ForkServerProcess:
    """A life that has begun; `errors` is the file that takes what it complains of."""
    life = FORKS.Process(target=_live, args=(program, list(map(str, words)), dict(os.environ), Path.cwd(), errors))
    life.start()
    return life


def ended(program: str, *words: object) -> tuple[int | None, str]:
    """A life, to its end: the exit status, below zero where a signal was its end, and what it complained of."""
    with NamedTemporaryFile("r") as errors:
        life = begun(program, *words, errors=errors.name)
        life.join(LONGEST_SECONDS)
        if life.is_alive():
            life.kill()
            life.join()
            raise AssertionError(f"it did not end in {LONGEST_SECONDS} s: {errors.read()}")
        status = life.exitcode
        life.close()
        return status, errors.read()


def _live(program: str, words: Sequence[str], variables: Mapping[str, str], folder: Path, errors: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    with Path(errors).open("a") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv[:] = ["-c", *words]
    exec(compile(program, "<life>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's own
