"""Git: the only place that runs it, and only in a way that can run nothing of the repository's own.

Configuration and hooks of a repository can start programs (hooks, fsmonitor, filters, external diffs, signing). Each
call here has a clean environment, and blanks what can be blanked; GIT_DIR and GIT_WORK_TREE are its caller's to say.

A plain subprocess and no library: the environment has to be ours alone, and GitPython can add to the inherited one but
not take from it (a GIT_DIR or GIT_INDEX_FILE of a hook that called us would reach git).
"""

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress

from store.trail import NOWHERE, Trail

SAFE = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.untrackedCache": "false",
    "core.splitIndex": "false",
    "core.commitGraph": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "log.showSignature": "false",
    "diff.external": "",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
READS = {  # the commands that change nothing, with the words with which they are run here
    "config", "rev-parse", "for-each-ref", "ls-tree", "ls-files", "cat-file", "diff-tree", "status", "merge-file",
    "worktree", "merge-base", "symbolic-ref", "log", "check-ignore",
}  # fmt: skip
NOBODY = {  # what cockpit commits, cockpit signs
    "GIT_AUTHOR_NAME": "cockpit",
    "GIT_AUTHOR_EMAIL": "cockpit@localhost",
    "GIT_COMMITTER_NAME": "cockpit",
    "GIT_COMMITTER_EMAIL": "cockpit@localhost",
}


class GitError(Exception):
    """A git command failed. The message holds the command and what git said."""


def environment() -> dict[str, str]:
    """The variables of every call: of the user's own, those without which git or its libraries cannot be found."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {
        **kept,
        **NOBODY,
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
    }


async def run(
    words: list[str],
    variables: Mapping[str, str],
    settings: Mapping[str, str] = SAFE,
    stdin: bytes = b"",
    most: int | None = None,
    trail: Trail = NOWHERE,
    purpose: str = "",
) -> bytes:
    """Run git with these words, hardened, and return what it prints. Raises GitError.

    With `most`, one byte more than so many are enough: git is ended once it has printed them. The `purpose` is what its
    words do not say.

    Settings go by the environment (git-config(1), GIT_CONFIG_COUNT): in words, a name that holds a `=` is cut short.
    """
    if (git := shutil.which("git")) is None:
        raise GitError("git is not on PATH: install it")
    given = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        given |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    argv = [git, "--no-pager", *words]
    where = variables["GIT_WORK_TREE"]  # and not the caller's: from a subfolder git would see a part of the tree
    with trail.running(argv, where, purpose=purpose, reads=words[0] in READS) as ran:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=where,
            env={**environment(), **given, **variables},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C at the terminal is for cockpit, not for a commit under way
        )
        try:
            out, errors = await (process.communicate(stdin) if most is None else _first(process, stdin, most))
        except BaseException:  # nobody waits for it any more
            with suppress(ProcessLookupError):  # it has just ended
                process.terminate()  # and not kill: it takes its lock files away
            await process.communicate()
            ran.ended(process.returncode, "nobody waited for it any more", asked=True)
            raise
        enough = most is not None and len(out) > most
        ran.ended(process.returncode, "what was read is enough" if enough else errors, asked=enough)
    if process.returncode and not enough:
        said = errors.decode(errors="replace").strip() or f"exit status {process.returncode}"
        raise GitError(f"git {' '.join(words)}: {said}")
    return out


async def _first(process: asyncio.subprocess.Process, stdin: bytes, most: int) -> tuple[bytes, bytes]:
    """The first bytes that it prints, at most one more than so many, and its errors. It has ended."""
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(stdin)
    process.stdin.close()

    async def begin(out: asyncio.StreamReader) -> bytes:
        try:
            begun = await out.readexactly(most + 1)
        except asyncio.IncompleteReadError as all_there_is:
            return all_there_is.partial
        with suppress(ProcessLookupError):  # it has just ended
            process.kill()
        while await out.read(1 << 16):  # what is in the pipe
            pass
        return begun

    found = await asyncio.gather(begin(process.stdout), process.stderr.read())
    await process.wait()
    return found[0], found[1]
