"""Lives of an engine, and commands: programs in processes of their own, in which the imports are made already.

`ended(PROGRAM, WORD, ...)` does what `python -c PROGRAM WORD ...` does, but for most of a second of imports: it is
forked off a process that every worker of the tests has, which imports what an engine or a command needs and does
nothing else. `typed(WORD, ...)` does so what `python -m cockpit WORD ...` does.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import NamedTemporaryFile

from loop.run import bench
from loop.run.interpreter import Interpreter, look
from store.trail import Trail

LONGEST_SECONDS = 300  # of a life: one that hangs is a fault of its own
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(
    ["tests.lives", "loop.engine", "loop.obey", "loop.propose.context", "cockpit.cli", "cockpit.batch", "moocore"]
)
COMMAND = "import runpy; runpy.run_module('cockpit', run_name='__main__', alter_sys=True)"
OBEY = """
import asyncio, sys
from pathlib import Path
from loop.obey import obey
from store.place import find
asyncio.run(obey(find(Path(sys.argv[1]))))
"""
Known = dict[tuple[str, ...], Interpreter]


class Asked:
    """In the place of `interpreter.look`: what a bare Python has is asked once, for nothing is ever installed for it.

    It takes longer than all else that an engine does before its first run.
    """

    def __init__(self, bare: str, known: Known) -> None:
        self.bare = bare
        self.known = known

    async def __call__(
        self, python: Path, needed: Iterable[str], variables: dict[str, str], trail: Trail
    ) -> Interpreter:
        key = (str(python), *sorted(needed))
        if key not in self.known:
            found = await look(python, key[1:], variables, trail)
            if key[0] != self.bare:
                return found
            self.known[key] = found
        return self.known[key]


def begun(
    program: str,
    *words: object,
    said: str = os.devnull,
    errors: str = os.devnull,
    more: Mapping[str, str] = {},
) -> ForkServerProcess:
    """A life that has begun; `said` and `errors` are the files that take what it prints, and what it complains of."""
    look_now = vars(bench)["look"]
    asked = look_now if isinstance(look_now, Asked) else None
    given = (program, list(map(str, words)), {**os.environ, **more}, Path.cwd(), said, errors, asked)
    life = FORKS.Process(target=_live, args=given)
    life.start()
    return life


def ended(program: str, *words: object) -> tuple[int | None, str]:
    """A life, to its end: the exit status, below zero where a signal was its end, and what it complained of."""
    done = _done(program, *words)
    return done.returncode, done.stderr


def typed(*words: str, **more: str) -> CompletedProcess[str]:
    """The command, to its end, with more variables."""
    return _done(COMMAND, *words, more=more)


def _done(program: str, *words: object, more: Mapping[str, str] = {}) -> CompletedProcess[str]:
    with NamedTemporaryFile("r") as said, NamedTemporaryFile("r") as errors:
        life = begun(program, *words, said=said.name, errors=errors.name, more=more)
        life.join(LONGEST_SECONDS)
        if life.is_alive():
            life.kill()
            life.join()
            raise AssertionError(f"it did not end in {LONGEST_SECONDS} s: {errors.read()}")
        status = life.exitcode
        life.close()
        assert status is not None
        return CompletedProcess(list(map(str, words)), status, said.read(), errors.read())


def _live(
    program: str,
    words: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
    said: str,
    errors: str,
    asked: Asked | None,
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, name in ((1, said), (2, errors)):
        with Path(name).open("a") as file:
            os.dup2(file.fileno(), number)
    encoding = variables.get("PYTHONIOENCODING", "utf-8")
    for stream, wrong in ((sys.stdout, "strict"), (sys.stderr, "backslashreplace")):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(encoding=encoding, errors=wrong, line_buffering=stream is sys.stderr)
    sys.argv[:] = ["-c", *words]
    if asked is not None:
        vars(bench)["look"] = asked
    exec(compile(program, "<life>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's own
