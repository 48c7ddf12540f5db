"""Why a run of unchanged code has failed, in a sentence, and what to do: a user's first experience is often that."""

import re
import sys
from pathlib import Path

from loop.run.stages import OUT_OF_MEMORY
from loop.study import Settings
from store.records import Outcome, Stage

NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
NETWORK = re.compile(
    r"name resolution|Network is unreachable|Name or service not known|Max retries exceeded|getaddrinfo|URLError|"
    r"OfflineModeIsEnabled|LocalEntryNotFound|offline mode|HF_HUB_OFFLINE|TRANSFORMERS_OFFLINE|couldn't connect to",
    re.IGNORECASE,
)
ASKS = re.compile(r"EOFError|EOF when reading|Inappropriate ioctl for device|not a tty", re.IGNORECASE)
MISSING = re.compile(r"(?:No such file or directory|FileNotFoundError)[^'\"]*['\"]([^'\"\n]{1,300})['\"]")
NO_ARGUMENT = re.compile(r"error: (unrecognized arguments: .*|the following arguments are required: .*)")
NO_GPU = re.compile(r"no NVIDIA driver|Torch not compiled with CUDA|CUDA driver version|No CUDA GPUs are available")


def advice(stage: Stage, log: str, python: Path, settings: Settings, *, network: bool) -> str:
    """What has happened, and the next step."""
    if stage.outcome is Outcome.TIMEOUT:
        return (
            f"it was not done after {settings.run.timeout:g} s: let it do less for the probe (fewer steps or epochs), "
            "or give it longer with `--timeout`"
        )
    if stage.outcome is Outcome.INTERRUPTED:
        return "it was ended before it was done"
    if match := NO_MODULE.search(log):
        return (
            f"{python} has no module {match[1]}: {brought(python)}, commit it if it is your "
            "own, or begin the command with the Python that has it"
        )
    if stage.outcome is Outcome.OUT_OF_MEMORY or stage.exit_status == -9 or OUT_OF_MEMORY.search(log):
        return (
            "out of memory: let it take less (a smaller batch or model), or end what else takes memory of this "
            "machine or its devices"
        )
    if ASKS.search(log):
        return "it waits for an answer at a terminal, and a run has none: give that on its command line"
    if not network and NETWORK.search(log):
        return (
            "it asks for the network, and behind the wall there is none: `cockpit probe --network -- …` gives it for "
            "the probe; a study has none, so what it downloads must be there before, in a cache or in `[data] read`"
        )
    if match := NO_ARGUMENT.search(log):
        return f"its command line is not what it takes: {match[1]}"
    if NO_GPU.search(log):
        return "it wants a GPU that it cannot have here: name another device on its command line"
    if match := MISSING.search(log):
        return f"{match[1]} is not there: it is neither committed nor in your working tree where the script looks"
    if stage.exit_status == 127:
        return "its command could not be started"
    return f"it has failed: {stage.detail}"


def brought(python: Path, modules: str = "") -> str:
    """How an interpreter comes to have modules. Cockpit's own environment is nobody's to install into."""
    if python.parent == Path(sys.executable).parent:
        return f"`python3 -m venv .venv && .venv/bin/python -m pip install {modules or '…'}`"
    return f"`{python} -m pip install {modules}`" if modules else f"`{python} -m pip install` what brings it"
