"""Keeps one run: starts its stages one after another, measures them from outside, and leaves nothing of them behind.

    python -P -E -S -c PROGRAM FOLDER_OF_THIS_FILE RUN_FOLDER LOCK_DESCRIPTOR

Standard library only, and imported alone (PROGRAM), so that nothing of ours is imported beside the code under test. Of
the library it takes as little as it can: a run waits until this stands. It is a process of its own session and outlives
the engine that started it. What it is told stands in `spec.json`; what it did stands in `status.json`, replaced as a
whole at each step; a lock, inherited from the engine, is held for as long as it lives.

Every process of a stage is a descendant of this one: it is a *child subreaper* (prctl(2)), so that one which daemonises
becomes its child, and it ends a stage by killing all its descendants until there is none. That is also why the CPU
seconds are right where a process was killed: it is this process that waits for it (wait4(2)).

What a stage uses while it runs stands in `now.json`, for whoever watches; it decides nothing.

What GPUs have used it never asks of their driver itself, which may hang: `nvml.py`, beside it, does.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False  # and not from `typing`, which takes as long to import as `ctypes`
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO, Any

# Imported and not run by its path: so it is compiled once, and not by each run.
PROGRAM = "import sys; sys.path.append(sys.argv.pop(1)); import supervisor; supervisor.main()"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)
WITH_GRACE, AT_ONCE = signal.SIGTERM, signal.SIGINT  # two signals: the same one sent twice may arrive once
SIGNALS = range(1, signal.NSIG)
WAKING = {signal.SIGCHLD, WITH_GRACE, AT_ONCE}
GRACE_SECONDS = 3.0  # between the request to end and the end
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
FIRST_SAMPLE_SECONDS, SAMPLE_SECONDS = 0.02, 0.25
DRIVER_SECONDS = 20.0  # for its first word; several GPUs that nobody has used yet take a while
ANSWER_SECONDS = 2.0
MOST_FILES = 5000  # of an artifact, for a record that anybody reads
TELL_SECONDS = 1.0  # between two words about what a stage uses


class Supervisor:
    """One run, from the first stage to the last that can be reached."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        with open(os.path.join(folder, "spec.json")) as file:
            self.spec = json.load(file)
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot_id = file.read().strip()
        self.status: dict[str, Any] = {
            "pid": os.getpid(),
            "start_ticks": start_ticks(os.getpid()),
            "boot_id": boot_id,
            "stages": [],
            "ended": False,
        }
        self.gpus = Gpus(self.spec["gpus"]) if self.spec.get("gpus") else None
        self.asked = False  # to end the run, with a grace
        self.at_once = False  # and without one

    def run(self) -> None:
        """All stages in their order, until one does not end well."""
        self.write()
        if self.gpus:
            self.gpus.now()  # the driver is ready before the first stage begins
        for stage in self.spec["stages"]:
            record = {"name": stage["name"], "started_at": time.time()}
            self.status["stages"].append(record)
            self.write()
            record.update(self.stage(stage))
            self.write()
            if record["ended_by"] != "itself" or record["exit_status"] != 0:
                break
        with suppress(OSError):
            os.unlink(os.path.join(self.folder, "now.json"))
        self.status["ended"] = True
        self.write()

    def tell(self, costs: Costs) -> None:
        """Replace `now.json`: what the stage under way uses. Nothing depends on it, so no disk is waited for."""
        path = os.path.join(self.folder, "now.json")
        said = {"stage": self.status["stages"][-1]["name"], "at": time.time(), **costs.now()}
        with suppress(OSError):
            with anew(path + ".new") as file:
                json.dump(said, file)
            os.replace(path + ".new", path)

    def write(self) -> None:
        """Replace `status.json`: a reader sees the old one or the new one, whole."""
        path = os.path.join(self.folder, "status.json")
        with anew(path + ".new") as file:
            json.dump(self.status, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)

    def stage(self, stage: dict[str, Any]) -> dict[str, Any]:
        """Run one command to its end, or to the end of its time. What it was and what it cost."""
        costs = Costs(OnGpus(self.gpus) if self.gpus else None)
        since = time.time()
        began = time.monotonic()
        with anew(os.path.join(self.folder, stage["log"]), "wb") as log:
            try:
                if stage["reads"]:
                    refuse_traps(stage["reads"])
                asked, answers = open_pipes(stage, log)
                child = subprocess.Popen(
                    stage["argv"], cwd=stage["cwd"], env=stage["env"], stdin=asked, stdout=answers, stderr=log,
                    start_new_session=True, preexec_fn=prepare_child,
                )  # fmt: skip
            except Tampering as error:
                log.write(f"{error}\n".encode(errors="backslashreplace"))
                ended_by, exit_status = "tampering", 126
            except (OSError, ValueError) as error:
                log.write(f"cockpit could not start {stage['argv'][0]}: {error}\n".encode())
                ended_by, exit_status = "itself", 127
            else:
                deadline = began + stage["timeout_seconds"]
                ended_by, exit_status = self.watch(child, stage["walled"], [log, answers], deadline, costs)
                if stage["walled"] and exit_status - 128 in SIGNALS:
                    exit_status = 128 - exit_status  # which is how bwrap says that a signal ended what is inside
            wall_seconds = time.monotonic() - began
            if costs.on_gpus:
                costs.on_gpus.end()
            costs.add(sweep())
        named = stage.get("artifact")
        left = left_files(named, since) if named else []
        whole = left_bytes(stage["leaves"]) if stage.get("leaves") and not named else None
        return {
            "ended_by": ended_by,
            "exit_status": exit_status,
            "wall_seconds": wall_seconds,
            "cpu_seconds": costs.cpu_seconds,
            "peak_bytes": costs.peak_bytes,
            "energy_joules": costs.on_gpus.energy_joules if costs.on_gpus else None,
            "peak_device_bytes": costs.on_gpus.peak_bytes if costs.on_gpus else None,
            "device_busy_share": costs.on_gpus.busy_share if costs.on_gpus else None,
            "left_bytes": sum(facts.st_size for _, facts in left) if left else whole,
            "left_files": [[path, facts.st_ctime_ns] for path, facts in left],
        }

    def watch(
        self, child: subprocess.Popen[bytes], walled: bool, logs: list[IO[bytes]], deadline: float, costs: Costs
    ) -> tuple[str, int]:
        """Wait for a stage's process and measure it meanwhile. What ended it, and its exit status."""
        ended_by, kill_at = "itself", 0.0
        interval = FIRST_SAMPLE_SECONDS
        next_sample = time.monotonic() + interval
        next_word = next_sample
        while True:
            due = min(next_sample, kill_at or deadline)
            came = signal.sigtimedwait(WAKING, max(due - time.monotonic(), 0.01))
            if came and came.si_signo != signal.SIGCHLD:
                self.asked = True
                self.at_once = self.at_once or came.si_signo == AT_ONCE
            for pid, status, usage in reap():
                costs.add([usage])
                if pid == child.pid:
                    child.returncode = os.waitstatus_to_exitcode(status)  # it is waited for: Popen must not try
            flooded = max(os.fstat(one.fileno()).st_size for one in logs) > self.spec["log_limit_bytes"]
            if child.returncode is not None:
                return "log" if flooded and ended_by == "itself" else ended_by, child.returncode

            now = time.monotonic()
            if now >= next_sample:
                costs.sample(descendants())
                interval = min(interval * 2, SAMPLE_SECONDS)
                next_sample = time.monotonic() + interval
                if now >= next_word:
                    self.tell(costs)
                    next_word = now + TELL_SECONDS
            if not kill_at:
                ended_by = "log" if flooded else "request" if self.asked else "timeout" if now >= deadline else "itself"
                if ended_by != "itself":
                    kill_at = now + (0 if flooded else GRACE_SECONDS)
                    # Not the wall: its end is the end of all that is inside, at once.
                    asked = (pid for pid in descendants() if not (walled and pid == child.pid))
                    send([] if flooded or self.at_once else asked, signal.SIGTERM)
            if kill_at and (now >= kill_at or self.at_once):
                last = descendants()
                costs.sample(last)
                send(last, signal.SIGKILL)


def anew(path: str, mode: str = "w") -> IO[Any]:
    """Open a file to write that nobody else has made, at whose end each writes. Raises OSError.

    Behind no wall, the code under test can lay something in its way: a pipe that nobody reads, or a link to what is not
    to be written.
    """
    with suppress(OSError):
        os.unlink(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NONBLOCK
    return open(os.open(path, flags, 0o666), mode)


def open_pipes(stage: dict[str, Any], log: IO[bytes]) -> tuple[IO[bytes] | int, IO[bytes]]:
    """What a stage reads, and where what it says goes: nothing and its log, unless it answers questions."""
    if not stage.get("asked"):
        return subprocess.DEVNULL, log
    questions, answers = stage["asked"]
    return open(os.open(questions, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb"), anew(answers, "wb")


class Tampering(Exception):
    """What the code under test has left is not data alone. The message says what of it."""


def refuse_traps(folder: str) -> None:
    """Raises Tampering where something would lead a reader of this folder out of it, as a link to the labels does.

    What cannot be looked at, or followed to its end, is not trusted either. Names are the code's own: they are quoted.
    """
    inside = os.path.realpath(folder)
    if inside != os.path.abspath(folder):
        raise Tampering(f"{folder} is a link to {inside!a}")
    ahead = [inside]
    while ahead:
        where = ahead.pop()
        try:
            with os.scandir(where) as found:
                for one in found:
                    if one.is_dir(follow_symlinks=False):
                        ahead.append(one.path)
                    elif one.is_symlink():
                        to = os.readlink(one.path)
                        # An absolute one by way of /proc would mean another place to who reads it.
                        stays = not os.path.isabs(to) or to.startswith(inside + os.sep)
                        if not stays or not os.path.realpath(one.path, strict=True).startswith(inside + os.sep):
                            raise Tampering(f"{one.path!a} is a link out of the run's output, to {to!a}")
        except OSError as error:
            raise Tampering(f"{where[:200]!a} holds what cannot be looked at: {error.strerror}") from None


def left_bytes(folder: str) -> int | None:
    """The size of the files in a folder, each counted once whatever it is called; None where there is none.

    And None where not all can be looked at: what is hidden is not nothing. A link leads elsewhere and is no file.
    """
    if os.path.islink(folder):
        return None
    try:
        found = files(folder)
    except OSError:
        return None
    return sum(facts.st_size for _, facts in found) if found else None


def files(folder: str) -> list[tuple[str, os.stat_result]]:
    """The files in a folder, each once whatever it is called. Raises OSError where not all can be looked at."""
    seen: dict[int, tuple[str, os.stat_result]] = {}
    ahead = [folder]
    while ahead:
        with os.scandir(ahead.pop()) as found:
            for one in found:
                if one.is_dir(follow_symlinks=False):
                    ahead.append(one.path)
                elif one.is_file(follow_symlinks=False):
                    seen.setdefault(one.inode(), (one.path, one.stat(follow_symlinks=False)))
    return list(seen.values())


def left_files(places: list[tuple[str, str]], since: float) -> list[tuple[str, os.stat_result]]:
    """The files that a name stands for, or that lie in a folder of that name, in the first place that has some.

    A place is a folder and the name in it, in which `*` is a part of a name. What was there before `since`, as a file
    that is committed, was not left by the stage; nor was what a link leads to. Nothing where not all can be looked at.
    """
    from glob import glob

    for folder, name in places:
        inside = os.path.realpath(folder)
        found: dict[int, tuple[str, os.stat_result]] = {}
        for match in [] if os.path.islink(folder) else sorted(glob(name, root_dir=inside)):
            path = os.path.normpath(os.path.join(inside, match))
            if os.path.realpath(path) == path:
                try:
                    there = files(path) if os.path.isdir(path) else [(path, os.lstat(path))]
                except OSError:
                    return []
                regular = (one for one in there if stat.S_ISREG(one[1].st_mode) and one[1].st_ctime >= since)
                for one in regular:
                    found.setdefault(one[1].st_ino, one)
        if found:
            return list(found.values()) if len(found) <= MOST_FILES else []
    return []


def asks_gpus(named: Iterable[str]) -> list[str]:
    """The words that start who asks the driver of these GPUs."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nvml.py")
    return [sys.executable, "-P", "-E", "-S", program, "answer", json.dumps(named)]


class Gpus:
    """Who asks the driver what the GPUs have used. What is not told in time is not told any more."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.memory_by = spec["memory_by"]
        self.pipes: tuple[int, int] | None = None  # to read and to write, while there is somebody to ask
        self.patience_seconds = DRIVER_SECONDS
        self.waiting = False  # for an answer
        with suppress(OSError):
            # It leaves at once a child of its own, which is no descendant of ours: no sweep waits for a hanging driver.
            process = subprocess.Popen(
                asks_gpus(spec["named"]),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            assert process.stdin and process.stdout
            self.pipes = os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno())
            process.stdin.close()
            process.stdout.close()
            process.wait()

    def ask(self) -> None:
        """Ask what they have used until now."""
        if self.pipes and not self.waiting:
            try:
                os.write(self.pipes[1], b"\n")
                self.waiting = True
            except OSError:
                self.leave()

    def answer(self, patience_seconds: float = 0.0) -> dict[str, Any] | None:
        """What was asked for; None where it is not told (yet)."""
        if not self.pipes or not self.waiting:
            return None
        line, deadline = b"", time.monotonic() + patience_seconds
        while not line.endswith(b"\n"):
            # A line is written whole: where there is some of it, the rest is near.
            left = max(0.0, deadline - time.monotonic()) if not line else ANSWER_SECONDS
            if not select.select([self.pipes[0]], [], [], left)[0]:
                if line:
                    self.leave()
                return None
            if not (part := os.read(self.pipes[0], 65536)):
                self.leave()
                return None
            line += part
        self.waiting = False
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:  # a driver that writes there too
            self.leave()
            return None
        return said

    def now(self) -> dict[str, Any] | None:
        """What they have used until now; None where that is not told."""
        self.ask()
        said = self.answer(self.patience_seconds)
        self.patience_seconds = ANSWER_SECONDS
        if said is None:
            self.leave()
        return said

    def leave(self) -> None:
        """Ask no more. Whoever was asked sees that, once the driver lets it."""
        for pipe in self.pipes or ():
            os.close(pipe)
        self.pipes = None


class OnGpus:
    """What a stage has used of the GPUs. It is None where one of the answers of which it is made was not told."""

    def __init__(self, gpus: Gpus) -> None:
        self.gpus = gpus
        self.pids: set[int] = set()  # of the stage, when it was last asked
        self.energy_joules: float | None = None
        self.peak_bytes: int | None = 0
        self.held_bytes: int | None = None  # when it was last told
        self.joules: float | None = None  # until then
        self.busy: list[float] = []  # of the moments before each answer
        self.began = gpus.now()

    def sample(self, pids: Iterable[int]) -> None:
        """Take what was told since, and ask for more. It does not wait."""
        pids = set(pids)
        self._take(self.gpus.answer(), pids | self.pids)
        self.pids = pids
        self.gpus.ask()

    def end(self) -> None:
        """The stage has ended: what it has used."""
        self._take(self.gpus.answer(ANSWER_SECONDS), self.pids)
        ended = self.gpus.now()
        self._take(ended, self.pids)
        if not self.began or not ended:
            self.peak_bytes = None
        else:
            self.energy_joules = self._energy(ended)

    @property
    def busy_share(self) -> float | None:
        """The share of its time in which they were at work; None where that was never told."""
        return sum(self.busy) / len(self.busy) if self.busy else None

    def _take(self, said: dict[str, Any] | None, pids: set[int]) -> None:
        """The memory that it holds by now, and whether they are at work, where it was told."""
        if said is not None and said.get("busy_share") is not None:
            self.busy.append(said["busy_share"])
        if said is not None and self.peak_bytes is not None:
            held = self._of_processes(said, pids) if self.gpus.memory_by == "process" else self._of_device(said)
            self.peak_bytes = None if held is None else max(self.peak_bytes, held)
            self.held_bytes, self.joules = held, self._energy(said)

    def _energy(self, said: dict[str, Any]) -> float | None:
        """Since the stage began, where it was told."""
        before, after = (self.began or {}).get("millijoules"), said["millijoules"]
        return None if None in (before, after) or after < before else float(after - before) / 1000

    def _of_processes(self, said: dict[str, Any], pids: set[int]) -> int | None:
        """Of the stage's own processes together."""
        if said["processes"] is None:
            return None
        own = [held for pid, held in said["processes"].items() if int(pid) in pids]
        return None if None in own else sum(own)

    def _of_device(self, said: dict[str, Any]) -> int | None:
        """Of whomever, above what was used when the stage began."""
        if not self.began or None in (before := self.began["used_bytes"], now := said["used_bytes"]):
            return None
        return max(0, int(now) - int(before))


class Costs:
    """What the processes of a stage used."""

    def __init__(self, on_gpus: OnGpus | None = None) -> None:
        self.on_gpus = on_gpus
        self.waited_seconds = 0.0  # of processes that were waited for
        self.cpu_seconds = 0.0
        self.peak_bytes: int | None = None
        self.held_bytes: int | None = None  # at the last sample
        self._told = time.monotonic(), 0.0  # when it was last said what is used, and the CPU seconds until then

    def now(self) -> dict[str, Any]:
        """What is used now. `cores`: how many were at work since this was said last, of so many that there are."""
        (before, seconds), now = self._told, time.monotonic()
        self._told = now, self.cpu_seconds
        return {
            "bytes": self.held_bytes,
            "peak_bytes": self.peak_bytes,
            "cores": (self.cpu_seconds - seconds) / (now - before) if now > before else None,
            "of_cores": len(os.sched_getaffinity(0)),
            "device_bytes": self.on_gpus.held_bytes if self.on_gpus else None,
            "joules": self.on_gpus.joules if self.on_gpus else None,
        }

    def add(self, used: Iterable[resource.struct_rusage]) -> None:
        """Processes that have ended. The largest one counts for memory: no sample may have met it."""
        for usage in used:
            self.waited_seconds += usage.ru_utime + usage.ru_stime
            self.peak_bytes = max(self.peak_bytes or 0, usage.ru_maxrss * 1024)
        self.cpu_seconds = max(self.cpu_seconds, self.waited_seconds)

    def sample(self, pids: Iterable[int]) -> None:
        """Processes that live, all together, with those that they have waited for.

        What the end of a wall kills nobody waits for: of that, what was seen last counts. A process comes before its
        children, so that none that ends meanwhile is counted twice.
        """
        pids = list(pids)
        if self.on_gpus:
            self.on_gpus.sample(pids)
        ticks = sum(sum(map(int, words[11:15])) for words in map(fields, pids) if words)  # proc(5): utime to cstime
        self.cpu_seconds = max(self.cpu_seconds, self.waited_seconds + ticks / TICKS_A_SECOND)
        self.held_bytes = total = proportional_bytes(pids)
        if total is not None:
            self.peak_bytes = max(self.peak_bytes or 0, total)


def prepare_child() -> None:
    """In the child before its program starts: no signal stays blocked, and it dies with this supervisor.

    Where memory runs out, the kernel takes it before the engine, or whatever else is at work on this machine (proc(5)).
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def reap() -> Iterator[tuple[int, int, resource.struct_rusage]]:
    """Every child that has ended, with what it and its waited-for children used."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status, usage


def sweep() -> list[resource.struct_rusage]:
    """Kill and wait for descendants until there is none. What they used."""
    used: list[resource.struct_rusage] = []
    while True:
        send(descendants(), signal.SIGKILL)
        used += [usage for _, _, usage in reap()]
        if not descendants():
            return used
        signal.sigtimedwait({signal.SIGCHLD}, 0.05)


def descendants() -> list[int]:
    """The processes below this one, those that have ended and are not waited for left out."""
    found: list[int] = []
    new = [os.getpid()]
    while new:
        new = [child for pid in new for child in children(pid)]
        found += new
    return [pid for pid in found if state(pid) not in ("Z", "X", None)]


def children(pid: int) -> list[int]:
    """The children of all threads of a process."""
    found: list[int] = []
    with suppress(OSError):  # it has ended meanwhile
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    return found


def fields(pid: int) -> list[str] | None:
    """What `/proc/PID/stat` says after the program's name, or None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def state(pid: int) -> str | None:
    """The state letter of a process, or None."""
    words = fields(pid)
    return words[0] if words else None


def start_ticks(pid: int) -> int | None:
    """When a process began, in clock ticks since boot: with the pid it names a process for good."""
    words = fields(pid)
    return int(words[19]) if words else None


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def proportional_bytes(pids: Iterable[int]) -> int | None:
    """The memory of processes, a page that several share counted once (PSS, proc(5)); None where none could be read."""
    total: int | None = None
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    if line.startswith("Pss:"):
                        total = (total or 0) + int(line.split()[1]) * 1024
                        break
        except OSError:
            continue  # it has ended meanwhile
    return total


def main() -> None:
    """Take the lock for ourselves alone, then keep the run."""
    folder, lock = sys.argv[1], int(sys.argv[2])
    # The first act: code under test that inherited the descriptor could unlock it, and the run would be taken for dead.
    os.set_inheritable(lock, False)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKING)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor = Supervisor(folder)  # what it starts to ask GPUs leaves it before it takes the orphans
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        supervisor.run()
    finally:  # also when the disk is full and `status.json` cannot be written
        sweep()
