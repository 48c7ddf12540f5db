"""The embedded model: a process that the engine starts when it first asks, holds while a timed stage runs, and ends.

It is killed by the kernel when the engine is gone (`llama.py`), also while it is held.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from loop.run.devices import cores
from store.trail import NOWHERE, Started, Trail

LOG = "model.log"  # in the study's folder
LAST_CHARACTERS = 200


class NotStarted(Exception):
    """The process has ended before it could answer."""


@dataclass
class Embedded:
    """A GGUF file, and the process that serves it while there is one."""

    file: Path
    num_ctx: int
    log: Path
    trail: Trail = NOWHERE
    stands: bool = False  # there is a process, which can be held
    _process: asyncio.subprocess.Process | None = None
    _ran: Started | None = None  # until it has been seen to end
    _held: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _host: str = ""

    @property
    def name(self) -> str:
        """What the process calls its model."""
        return self.file.stem

    async def host(self) -> str:
        """Its address; the process is started where none runs. Raises NotStarted."""
        async with self._turn:
            if self._process is None or self._process.returncode is not None or not self._host:
                await self.stop()  # one whose start was broken off
                await self._start()
            return self._host

    async def _start(self) -> None:
        threads, self._host, self.stands = max(1, cores() - 1), "", False
        words = [sys.executable, "-P", "-E", "-m", "loop.propose.llama", str(self.file), str(self.num_ctx)]
        words += [str(threads), str(os.getpid())]
        with await asyncio.to_thread(self.log.open, "wb") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._ran = self.trail.goes_on(words, "", process.pid, purpose="the embedded model")
        assert process.stdout is not None
        # Its first word: from here on it ends with this process, and can be held.
        self.stands = bool(await process.stdout.readline())
        self.hold(self._held)
        line = (await process.stdout.readline()).strip()
        if not line.isdigit():
            await process.wait()
            raise NotStarted(f"the embedded model has ended, status {process.returncode}: {self._last_words()}")
        self._host = f"http://127.0.0.1:{line.decode()}"

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:LAST_CHARACTERS] if lines else f"{self.log} is empty"

    def hold(self, held: bool) -> None:
        """Stop it where it stands, or let it go on."""
        self._held = held
        if self.stands and self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGSTOP if held else signal.SIGCONT)

    async def stop(self) -> None:
        """End the process; the next question starts another."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            if self._ran is not None:
                self._ran.ended(self._process.returncode, "it is not needed now", asked=True)
        elif self._ran is not None and self._process is not None:
            self._ran.ended(self._process.returncode, self._last_words())
        self._ran = None
        self.stands = False
