"""What a study may spend, and whether the next thing fits: spent, reserved and forecast are within the limit.

Each thing is asked for before it starts, so a budget is overrun at most by what was in flight, where that takes more
than was to be expected of it. Of what was never done yet nothing is expected: it starts while anything is left.

    experiments   bound what is proposed; what is proposed is run, and confirmed, to its end
    tokens        so, once a thought or a call of a model's does not fit: then nothing more is proposed
    runs, time, device_hours, joules, money    bound what is run: once a run does not fit, the study ends

Money is hours of devices, or of the machine where it has none, at the price of `[prices]`.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from loop.run.meter import Meter
from loop.study import Budget, ConfigError, Revision
from store import budgets
from store.database import Database
from store.records import Ended, Limit
from store.where import where

ENDS = {
    "experiments": Ended.EXPERIMENTS,
    "runs": Ended.RUNS,
    "tokens": Ended.TOKENS,
    "time": Ended.TIME,
    "device_hours": Ended.DEVICE_HOURS,
    "joules": Ended.JOULES,
    "money": Ended.MONEY,
}
ALMOST = 1e-9  # of a limit


def asked(budget: Budget) -> dict[str, float]:
    """The budgets that a file sets. Time is in seconds."""
    return {name: float(most) for name in ENDS if (most := getattr(budget, name)) is not None}


def check(file: Path, revision: Revision, devices: int, meter: Meter) -> None:
    """Raises ConfigError where a budget counts what this machine does not have, or cannot measure."""
    if revision.settings.budget.device_hours is not None and not devices:
        raise ConfigError(
            f"{where(file, revision.text, ('budget', 'device_hours'))}: `[budget] device_hours`: this machine has no "
            "GPU whose hours could be counted; take it out, `time` and `runs` bound what a CPU does"
        )
    if revision.settings.budget.joules is not None and meter.no_energy:
        raise ConfigError(
            f"{where(file, revision.text, ('budget', 'joules'))}: `[budget] joules` {meter.no_energy}; take it out, "
            f"`{'device_hours' if devices else 'time'}` and `runs` bound what is run"
        )


def run(seconds: float | None, devices: int, joules: float | None = None) -> dict[str, float]:
    """What a run is expected to take; how long is not known before there was one."""
    return {
        "runs": 1.0,
        "time": seconds or 0.0,
        **({"device_hours": (seconds or 0.0) * devices / 3600} if devices else {}),
        "joules": joules or 0.0,
        "money": (seconds or 0.0) * max(1, devices) / 3600,  # hours, of which a budget knows the price
    }


def lacking(limits: Iterable[Limit], takes: Mapping[str, float], now: float) -> Ended | None:
    """The reason to end, where a budget has no room for what would take so much of each; None where all have."""
    for limit in limits:
        left = limit.left(now)
        if limit.budget in takes and (left <= 0 or takes[limit.budget] * limit.price > left + ALMOST * limit.most):
            return ENDS[limit.budget]
    return None


async def for_run(database: Database, purpose: str, fidelity: str, devices: int) -> Ended | None:
    """Whether a run may start: None, or the reason to end. A full one takes longer than a quick one."""
    seconds = await budgets.run_seconds(database, purpose, fidelity)
    joules = await budgets.run_joules(database, purpose, fidelity)
    takes = run(seconds, devices, joules)
    return lacking(await budgets.read(database), takes, time.time())


async def for_thought(database: Database) -> Ended | None:
    """Whether a model may begin to think of an experiment: None, or the reason to end."""
    takes = {"tokens": await budgets.thought_tokens(database) or 0.0}
    return lacking(await budgets.read(database), takes, time.time())


async def for_call(database: Database, purpose: str) -> Ended | None:
    """Whether a model may be asked: None, or the reason why not."""
    takes = {"tokens": await budgets.call_tokens(database, purpose) or 0.0}
    return lacking(await budgets.read(database), takes, time.time())
