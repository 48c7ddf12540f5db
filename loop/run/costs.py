"""The quantities that cockpit knows by name: who measures each, and what it takes.

    wall_seconds, train_seconds, cpu_seconds, peak_memory_bytes    of the stages, by their supervisor
    device_seconds                                                 those seconds, times the devices that a run is lent
    energy_joules, peak_device_memory_bytes                        of GPUs, as their driver tells the supervisor
    artifact_bytes                                                 of what train leaves, by the supervisor
    parameters                                                     of it, where `[run] artifact` names it: tensors.py
    changed_lines                                                  of the commit against e0000's, from git
    items_per_second, price_per_million_items                      worked out of a printed predict_us_per_item

`predict_us_per_item` and `predict_p95_us` are known to the code under test alone, and so is `parameters` where no
artifact is named: they are printed, as any other metric. What cannot be measured here is an error at the start, and
never a zero.
"""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from math import inf
from pathlib import Path

from loop.run import language, scoring
from loop.run.devices import usable
from loop.run.meter import DEVICE_MEMORY, ENERGY, NO_GPU, Meter
from loop.study import CHANGED_LINES, PRICE, ConfigError, Prices, Revision, Settings
from store.records import Measurement, Source, Stage
from store.where import key, where

ARTIFACT, PARAMETERS = "artifact_bytes", "parameters"
PREDICT, THROUGHPUT = "predict_us_per_item", "items_per_second"
HOUR_SECONDS = 3600.0
TRUST = list(Source)  # the weakest first
# What is measured from outside, whatever a script prints. None where the meter has nothing to say.
MEASURED: dict[str, Callable[[Sequence[Stage]], float | None]] = {
    "train_seconds": lambda stages: next((stage.wall_seconds for stage in stages if stage.name == "train"), None),
    "wall_seconds": lambda stages: sum(stage.wall_seconds for stage in stages),
    "device_seconds": lambda stages: sum(stage.wall_seconds for stage in stages) * usable() or None,
    "cpu_seconds": lambda stages: sum(stage.cpu_seconds or 0.0 for stage in stages),
    "peak_memory_bytes": lambda stages: max(
        (float(s.peak_bytes) for s in stages if s.peak_bytes is not None), default=None
    ),
    ENERGY: lambda stages: _all_told([stage.energy_joules for stage in stages], sum),
    DEVICE_MEMORY: lambda stages: _all_told([stage.peak_device_bytes for stage in stages], max),
}
TOLD = (ARTIFACT, CHANGED_LINES)  # the same, by who makes the run: no stage has it
MADE_OF = {THROUGHPUT: PREDICT, PRICE: PREDICT}  # what is worked out, of what is printed
INSTEAD = {  # what there is on a machine without a GPU, or without a meter of it
    "device_seconds": "wall_seconds",
    DEVICE_MEMORY: "peak_memory_bytes",
    ENERGY: "cpu_seconds",
}


def _all_told(values: Sequence[float | None], together: Callable[[Sequence[float]], float]) -> float | None:
    """Of all stages together; None where one of them was not told, or there is none."""
    told = [value for value in values if value is not None]
    return float(together(told)) if told and len(told) == len(values) else None


def check(file: Path, revision: Revision, meter: Meter) -> None:
    """Raises ConfigError where an objective or a constraint is something that cannot be measured on this machine."""
    asked = [("objectives", name) for name in revision.settings.objectives]
    asked += [("constraints", name) for name in revision.settings.constraints]
    found = [
        f"{where(file, revision.text, path)}: `{key(path)}` {why}; {_instead(asked, path)}"
        for path in asked
        if path[1] in INSTEAD and (why := _lack(path[1], meter))
    ]
    for name, objective in revision.settings.objectives.items():
        path = ("objectives", name, "from")
        if objective.source and (is_measured(name, revision.settings) or name == PRICE):
            found.append(f"{where(file, revision.text, path)}: `{key(path)}`: cockpit finds {name} itself; take it out")
    if found:
        raise ConfigError("\n".join(found))


def _instead(asked: Sequence[tuple[str, str]], path: tuple[str, str]) -> str:
    """What to do about it: another quantity in its place, where that does not stand there already."""
    other = INSTEAD[path[1]]
    return "take it out" if (path[0], other) in asked else f"put `{other}` there, or take it out"


def _lack(name: str, meter: Meter) -> str:
    """Why something about devices cannot be measured here; nothing where it can."""
    return meter.lacks(name) if usable() else NO_GPU


def outside(stages: Sequence[Stage], told: Mapping[str, float]) -> dict[str, float]:
    """All that is measured from outside of a run; `told` is what no stage has."""
    values = {name: measure(stages) for name, measure in MEASURED.items()}
    return {**{name: value for name, value in values.items() if value is not None}, **told}


def worked_out(printed: Mapping[str, Measurement], prices: Prices) -> dict[str, Measurement]:
    """What follows from what was printed, and is trusted as far.

    A throughput that is printed stands, unless it is trusted less; a price never does.
    """
    if PREDICT not in printed:
        return {}
    base = printed[PREDICT]
    values = {THROUGHPUT: 1e6 / base.value if base.value else inf}
    if prices.device_hour is not None:  # so many microseconds an item are as many seconds a million
        values[PRICE] = base.value / HOUR_SECONDS * prices.device_hour * max(1, usable())
    found = {name: Measurement(name, value, base.source) for name, value in values.items()}
    own = printed.get(THROUGHPUT)
    if own and TRUST.index(own.source) >= TRUST.index(base.source):
        found[THROUGHPUT] = own
    return found


def told(settings: Settings) -> tuple[str, ...]:
    """What is measured of a run that no stage has."""
    return (*TOLD, PARAMETERS) if settings.run.artifact else TOLD


def is_measured(name: str, settings: Settings) -> bool:
    """Whether cockpit finds a quantity out itself, and no stage prints it."""
    return name in MEASURED or name in told(settings)


def missing(name: str, settings: Settings) -> str:
    """Why a run has no value of a quantity."""
    if settings.run.artifact and name in (ARTIFACT, PARAMETERS):
        where = "{output} or its checkout that could be looked at"
        return f"train left nothing called {settings.run.artifact} in {where}: mend `[run] artifact`, which names it"
    if name == ARTIFACT:
        return f"train left no file in {{output}} that could be looked at: {ARTIFACT} is the size of those"
    if name in MEASURED or name in TOLD:
        return f"the meter said nothing of {name}"
    names = [MADE_OF[PRICE]] if name == PRICE else [name, MADE_OF[name]] if name in MADE_OF else [name]
    near = get_close_matches(name, [*MEASURED, *TOLD], 1, 0.8)
    hint = f"; cockpit itself measures `{near[0]}`" if near else ""
    if name == PARAMETERS:
        hint = "; `[run] artifact` names the file of the model, of which cockpit counts them"
    if settings.run.scorer:
        says = language.METRICS if settings.run.scorer == "causal_lm" else scoring.METRICS[settings.run.scorer]
        hint += f"; the scorer says {', '.join(says)}"
    return f"no stage printed a line {' or '.join(f'`{one}: value`' for one in names)}{hint}"


def looked_for(settings: Settings) -> list[str]:
    """The names of what is read from logs."""
    return list(dict.fromkeys([*settings.quantities, *(MADE_OF[one] for one in settings.quantities if one in MADE_OF)]))
