"""Runs a script as Python itself would; at its end, says from which files its modules were loaded.

    python loaded.py WHERE_TO_SAY_IT script.py WORDS…
    python loaded.py WHERE_TO_SAY_IT -m module WORDS…

Standard library only, run by its path in the study's interpreter, which may be older than ours. The script is
`__main__`, with its own `sys.argv` and `sys.path[0]`; of this file it sees a frame at the top of a traceback, no more.
"""

import atexit
import json
import os
import sys
import types


def say(where: str, process: int) -> None:
    """Write the file of each module that is loaded by now; not in a process that was forked off."""
    if os.getpid() != process:
        return
    found = {}
    for name, module in list(sys.modules.items()):
        # Without asking the module itself: one that loads lazily would load.
        file = vars(module).get("__file__") if isinstance(module, types.ModuleType) else None
        if isinstance(file, str):
            found[name] = os.path.realpath(file)
    with open(where, "w") as said:
        json.dump(found, said)


def run(words: list, own: types.ModuleType = sys.modules["__main__"]) -> None:  # type: ignore[type-arg]
    """Become the script. Its `__main__` takes the place of this module, which `own` keeps alive."""
    main = types.ModuleType("__main__")
    if "__annotations__" in vars(own):  # as this Python makes it
        main.__annotations__ = {}
    sys.modules["__main__"] = main
    safe = getattr(sys.flags, "safe_path", False) or sys.flags.isolated  # then Python puts nothing before the rest
    if words[0] == "-m":
        import runpy

        if not safe:
            sys.path[0] = os.getcwd()
        sys.argv = ["-m", *words[2:]]
        runpy._run_module_as_main(words[1])  # type: ignore[attr-defined]  # as `python -m` does
        return
    sys.argv = list(words)
    if not safe:
        sys.path[0] = os.path.dirname(os.path.realpath(words[0]))
    file = os.path.abspath(words[0]) if sys.version_info >= (3, 9) else words[0]
    with open(file, "rb") as text:
        code = compile(text.read(), file, "exec", 0, True)
    from importlib.machinery import SourceFileLoader

    main.__dict__.update(
        __file__=file, __cached__=None, __loader__=SourceFileLoader("__main__", file), __builtins__=__builtins__
    )
    exec(code, main.__dict__)


if __name__ == "__main__":
    atexit.register(say, os.path.abspath(sys.argv[1]), os.getpid())
    run(sys.argv[2:])
