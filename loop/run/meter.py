"""The meter: what of a run can be measured here, and by what. Of GPUs that is found out by doing, at each start."""

import asyncio
import json
import os
import sys
from contextlib import suppress

from msgspec import Struct

from loop.run import nvml
from loop.run.devices import VISIBLE, chosen, gpus, usable
from store.trail import NOWHERE, Trail

ORDER, BY_BUS = "CUDA_DEVICE_ORDER", "PCI_BUS_ID"
OF_PROCESSES = "pss 4 Hz, maxrss"
ENERGY, DEVICE_MEMORY = "energy_joules", "peak_device_memory_bytes"
PROBE_SECONDS = 30.0  # a driver that nobody has used yet is loaded first


class Meter(Struct, frozen=True):
    """Why energy and memory of GPUs are not measured; nothing where they are."""

    no_energy: str = ""
    no_memory: str = ""
    memory_by: str = ""  # process: of the run's own; device: of all, above what was used when the stage began
    gpus: tuple[str, ...] = ()  # that a run may use, as the user has named them; all where they have not

    def __str__(self) -> str:
        """As the record names it."""
        memory = "" if self.no_memory else f"; GPU memory by {self.memory_by}"
        return OF_PROCESSES + memory + ("" if self.no_energy else "; energy by GPU counter")

    def lacks(self, quantity: str) -> str:
        """Why a quantity of GPUs cannot be measured; nothing where it can."""
        return {ENERGY: self.no_energy, DEVICE_MEMORY: self.no_memory}.get(quantity, "")

    @property
    def asked(self) -> dict[str, object] | None:
        """What a supervisor is to ask of GPUs; None where there is nothing to be told."""
        return None if self.no_energy and self.no_memory else {"named": self.gpus, "memory_by": self.memory_by}


NO_GPU = "takes an NVIDIA GPU, and there is none here that a run may use"
WITHOUT_GPU = Meter(NO_GPU, NO_GPU)


async def look(trail: Trail = NOWHERE) -> Meter:
    """What can be measured on this machine."""
    if not usable():
        return WITHOUT_GPU
    named = chosen()
    if any(map(str.isdecimal, named)) and len(set(gpus())) > 1 and os.environ.get(ORDER) != BY_BUS:
        lack = (
            "cannot be measured here: these GPUs differ, and a number means the same to CUDA and to the driver only "
            f"with {ORDER}={BY_BUS}; set that, or name them in ${VISIBLE} by UUID"
        )
        return Meter(lack, lack, gpus=tuple(named))
    said, why = await _probed(json.dumps(named), trail)
    if said is None:
        lack = f"cannot be measured here: asking the driver {why}"
        return Meter(lack, lack, gpus=tuple(named))
    lacks = {key: f"cannot be measured here: {said[key]}" if said[key] else "" for key in ("no_energy", "no_memory")}
    return Meter(**lacks, memory_by=said["memory_by"], gpus=tuple(named))


async def _probed(named: str, trail: Trail) -> tuple[dict[str, str] | None, str]:
    """What a probe says; or None, and why it says nothing. One that hangs in the driver is left behind."""
    words = [sys.executable, "-P", "-E", "-S", nvml.__file__, "probe", named]
    with trail.running(words, "/", purpose="what the driver tells of GPUs", reads=True) as ran:
        process = await asyncio.create_subprocess_exec(
            *words, cwd="/", env={**os.environ}, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            out, _ = await asyncio.wait_for(process.communicate(), PROBE_SECONDS)
        except TimeoutError:
            process.kill()
            with suppress(TimeoutError):  # what the kernel holds in the driver does not end
                await asyncio.wait_for(process.wait(), 1.0)
            ran.ended(process.returncode, late := f"took more than {PROBE_SECONDS:.0f} s")
            return None, late
        ran.ended(process.returncode)
    try:
        said: dict[str, str] = json.loads(out)
    except ValueError:
        return None, f"ended with status {process.returncode}"
    return said, ""
