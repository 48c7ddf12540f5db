"""What there is to run on, as its drivers tell it without a library: the kind of the device, and how many cores."""

import os
from itertools import takewhile
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpus() -> list[str]:
    """The names of the NVIDIA GPUs that the driver knows."""
    names = []
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = dict(line.partition(":")[::2] for line in information.read_text().splitlines())
        names.append(lines.get("Model", "NVIDIA GPU").strip())
    return names


def usable() -> int:
    """How many of them a run may use: all, or those that $CUDA_VISIBLE_DEVICES names, which is handed to it."""
    return min(len(gpus()), len(chosen() if VISIBLE in os.environ else gpus()))


def chosen() -> list[str]:
    """Those that $CUDA_VISIBLE_DEVICES names, by index or UUID; none where it is not set, and all may be used."""
    named = (one.strip() for one in os.environ.get(VISIBLE, "").split(","))
    return list(takewhile(lambda one: one not in ("", "-1"), named))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def kind() -> str:
    """What the runs of a study run on: runs on different kinds are never compared."""
    if names := gpus():
        return f"{len(names)} x {names[0]}" if len(names) > 1 else names[0]
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{cores()} cores of {models[0] if models else os.uname().machine}"
