"""What a probe has learned of a repository: `<git common dir>/cockpit/probe.json`. Read by `init`, `plan`, the face."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins

from store.place import Place

FILE, FOLDER, VERSION = "probe.json", ".probe", 1  # no study may be called so: its folder is beside theirs


class Ran(Struct, frozen=True):
    """One run of the unchanged code. `metrics` are what it came to, by name; `points` how many values of each."""

    seed: int
    outcome: str
    detail: str
    wall_seconds: float
    whole_seconds: float  # with its folder, and the reading of what it came to
    cpu_seconds: float | None
    peak_bytes: int | None
    peak_device_bytes: int | None
    device_busy_share: float | None  # of the time, that its GPUs were at work, by whomever
    metrics: Mapping[str, float]
    points: Mapping[str, int]


class Spoken(Struct, frozen=True):
    """A metric that was found, and how an objective gets it (`from`)."""

    name: str
    pattern: str | None
    file: str | None
    key: str | None
    direction: str | None
    values: tuple[float, ...]  # of the first good run
    steps: tuple[float | None, ...]


class Seed(Struct, frozen=True):
    """How a seed was handed over, where that is seen, and whether it has changed anything; None where that is open."""

    how: str | None
    evidence: str
    hard_coded: str
    takes_effect: bool | None
    deterministic: bool | None  # whether the same seed gave the same metrics, to the last digit


class Noise(Struct, frozen=True):
    """How much a metric differs between runs of the unchanged code. `relative` is `sd` as a share of the mean.

    `low` and `high` are the ends of the 95 % interval of `relative`; a gain of one run over one other that is less than
    `floor`, a share too, is noise. `of` is what the runs differ in: seeds, or nothing.
    """

    mean: float
    sd: float
    df: int
    relative: float
    low: float
    high: float
    floor: float
    of: str


class Probed(Struct, frozen=True):
    """All of it. `log` is the folder with what the last run printed, `said` the last lines of it where it failed."""

    at: float
    command: tuple[str, ...]
    commit: str
    tree: str
    python: str
    python_version: str
    wall: str
    no_wall: str
    network: bool
    lent: tuple[str, ...]
    dirty: tuple[str, ...]
    device: str
    threads: int
    timeout_seconds: float
    runs: tuple[Ran, ...]
    metrics: tuple[Spoken, ...]
    seed: Seed
    noise: Mapping[str, Noise]
    time_budget: bool  # whether it shows the signs: equal seconds, unequal steps
    tonight: int | None  # experiments in eight hours
    failure: str  # why no run, or not all of them, ended well, and what to do
    said: tuple[str, ...]
    cwd: str = "."  # the folder of the repository in which the command was run

    @property
    def good(self) -> list[Ran]:
        """The runs that ended well."""
        return [one for one in self.runs if one.outcome == "ok"]

    @property
    def seconds(self) -> float | None:
        """That a run takes, in the mean."""
        return sum(one.wall_seconds for one in self.good) / len(self.good) if self.good else None


def place_of(place: Place) -> Path:
    """The file."""
    return place.common_dir / "cockpit" / FILE


def keys(one: Probed) -> dict[str, Any]:
    """It as JSON has it."""
    return {"version": VERSION, **to_builtins(one)}


def write(place: Place, one: Probed) -> None:
    """Put it in the place of what was learned before. Raises OSError."""
    file = place_of(place)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{FILE}.{os.getpid()}")
    new.write_text(json.dumps(keys(one), indent=1) + "\n")
    new.replace(file)


def read(place: Place) -> Probed | None:
    """What was learned last; None where there is nothing that this version can read."""
    try:
        said = json.loads(place_of(place).read_text())
        if said.pop("version") != VERSION:
            return None
        parts: dict[str, Any] = {
            "runs": tuple(Ran(**one) for one in said.pop("runs")),
            "metrics": tuple(
                Spoken(**{**one, "values": tuple(one["values"]), "steps": tuple(one["steps"])})
                for one in said.pop("metrics")
            ),
            "seed": Seed(**said.pop("seed")),
            "noise": {name: Noise(**one) for name, one in said.pop("noise").items()},
        }
        lists: dict[str, Any] = {name: tuple(said.pop(name)) for name in ("command", "lent", "dirty", "said")}
        return Probed(**said, **lists, **parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
