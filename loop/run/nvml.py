"""What NVIDIA's GPUs have used, as the driver's own library (NVML) tells it.

    python -P -E -S nvml.py answer GPUS    for each line that is read, one that says what they have used until now
    python -P -E -S nvml.py probe GPUS     one line: what can be measured here, and why the rest cannot

GPUS is JSON: indices and `GPU-...` UUIDs, as in $CUDA_VISIBLE_DEVICES; an empty list means all. Standard library only,
run by its path, and always in a process of its own: a driver that hangs hangs nothing else. What the library does not
tell is null, and never 0.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

LIBRARY, CUDA = "libnvidia-ml.so.1", "libcuda.so.1"  # both come with the driver
INSUFFICIENT_SIZE = 7
NOT_AVAILABLE = 2**64 - 1  # in the place of a process's memory
Told = TypeVar("Told")


class Memory(ctypes.Structure):
    """nvmlMemory_t, in bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Utilization(ctypes.Structure):
    """nvmlUtilization_t, in per cent of the driver's last sample period."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Process(ctypes.Structure):
    """nvmlProcessInfo_t, as `..._v3` fills it in: the memory is in bytes."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class Untold(Exception):
    """The library does not tell. The message says why, in its own words."""


class Gpus:
    """The GPUs that a run may use. Every call raises Untold where the library has no answer."""

    def __init__(self, named: list[str]) -> None:
        try:
            self.library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise Untold(f"{LIBRARY} cannot be loaded ({error})") from None
        self._call("nvmlInit_v2")
        self.handles = [self._handle(name) for name in named or map(str, range(self._count()))]

    def millijoules(self) -> int:
        """What all of them together have taken since the driver was loaded."""
        total = 0
        for handle in self.handles:
            one = ctypes.c_ulonglong()
            self._call("nvmlDeviceGetTotalEnergyConsumption", handle, ctypes.byref(one))
            total += one.value
        return total

    def used_bytes(self) -> int:
        """The memory in use on all of them together, by whomever."""
        total = 0
        for handle in self.handles:
            one = Memory()
            self._call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(one))
            total += one.used
        return total

    def busy_share(self) -> float:
        """The share of the last moments in which they were at work, by whomever: the mean over all of them."""
        total = 0
        for handle in self.handles:
            one = Utilization()
            self._call("nvmlDeviceGetUtilizationRates", handle, ctypes.byref(one))
            total += one.gpu
        return total / 100 / len(self.handles)

    def processes(self) -> dict[int, int | None]:
        """The memory of each process that computes on one of them; None where it is not told of a process."""
        found: dict[int, int | None] = {}
        for handle in self.handles:
            for one in self._listed(handle):
                before = found.get(one.pid, 0)
                found[one.pid] = None if before is None or one.used == NOT_AVAILABLE else before + one.used
        return found

    def _listed(self, handle: ctypes.c_void_p) -> list[Process]:
        room = 64
        while True:
            count, list_ = ctypes.c_uint(room), (Process * room)()
            code = self._code("nvmlDeviceGetComputeRunningProcesses_v3", handle, ctypes.byref(count), list_)
            if code != INSUFFICIENT_SIZE:
                self._check(code)
                return list(list_[: count.value])
            room = max(2 * room, 2 * count.value)  # more may come meanwhile

    def _count(self) -> int:
        count = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(count))
        if not count.value:
            raise Untold(f"{LIBRARY} knows of no GPU")
        return count.value

    def _handle(self, name: str) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        try:
            if name.isdecimal():
                self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(int(name)), ctypes.byref(handle))
            else:
                self._call("nvmlDeviceGetHandleByUUID", ctypes.c_char_p(name.encode()), ctypes.byref(handle))
        except Untold as why:
            raise Untold(f"it does not find GPU {name}: {why}") from None
        return handle

    def _call(self, name: str, *words: Any) -> None:
        self._check(self._code(name, *words))

    def _code(self, name: str, *words: Any) -> int:
        try:
            return int(getattr(self.library, name)(*words))
        except AttributeError:
            raise Untold(f"this {LIBRARY} has no {name}: the driver is too old") from None

    def _check(self, code: int) -> None:
        if code:
            say = self.library.nvmlErrorString
            say.restype = ctypes.c_char_p
            raise Untold(f"{LIBRARY} says {say(code).decode(errors='replace')!r}")


def told(ask: Callable[[], Told]) -> Told | None:
    """What is asked, or None where it is not told."""
    try:
        return ask()
    except Untold:
        return None


def answer(named: list[str]) -> None:
    """A line for a line, until there is none more to read. It is orphaned first: who asks ends all that is below it."""
    if os.fork():
        os._exit(0)
    gpus = told(lambda: Gpus(named))
    for _ in sys.stdin:
        said = {
            "millijoules": told(gpus.millijoules) if gpus else None,
            "used_bytes": told(gpus.used_bytes) if gpus else None,
            "processes": told(gpus.processes) if gpus else None,
            "busy_share": told(gpus.busy_share) if gpus else None,
        }
        print(json.dumps(said), flush=True)


def probe(named: list[str]) -> dict[str, str]:
    """Why energy and memory cannot be measured; nothing where they can, and then by what memory is."""
    try:
        gpus = Gpus(named)
    except Untold as why:
        return {"no_energy": str(why), "no_memory": str(why), "memory_by": ""}
    said = {"no_energy": lack(gpus.millijoules), "no_memory": "", "memory_by": "process"}
    if not finds_its_own(gpus):
        said |= {"no_memory": lack(gpus.used_bytes), "memory_by": "device"}
    return said


def lack(ask: Callable[[], object]) -> str:
    """Why something is not told; nothing where it is."""
    try:
        ask()
    except Untold as why:
        return str(why)
    return ""


def finds_its_own(gpus: Gpus) -> bool:
    """Whether a process that uses a GPU, as this one does now, is listed by the pid that it has here, with its memory.

    In a container pids may be another namespace's, and some drivers tell no memory. Where a GPU is full, or another
    process has it for itself, that one serves as well.
    """
    own = [os.getpid()] if holds_a_context() else []
    listed = told(gpus.processes) or {}
    return any(listed[pid] for pid in own or filter(uses_cuda, listed) if pid in listed)


def holds_a_context() -> bool:
    """Whether this process uses a GPU from now on until its end: the first of those that are visible."""
    try:
        cuda = ctypes.CDLL(CUDA)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        failed = cuda.cuInit(ctypes.c_uint(0)) or cuda.cuDeviceGet(ctypes.byref(device), ctypes.c_int(0))
        return not (failed or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    except (OSError, AttributeError):
        return False


def uses_cuda(pid: int) -> bool:
    """Whether the process that has this pid here has loaded CUDA: another one may have the same pid elsewhere."""
    try:
        with open(f"/proc/{pid}/maps") as maps:
            return CUDA.partition(".")[0] in maps.read()
    except OSError:
        return False


def main() -> None:
    """What is asked for on the command line."""
    what, named = sys.argv[1], json.loads(sys.argv[2])
    if what == "probe":
        print(json.dumps(probe(named)))
    else:
        answer(named)


if __name__ == "__main__":
    main()
