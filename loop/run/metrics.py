"""The values of objectives that say where they stand: `from` in [objectives]. From points to a value, and a curve.

    from = { pattern = "val loss ([0-9.]+)", take = "last" }        in what the stages print
    from = { file = "{output}/log.csv", name = "val_loss" }         in what the code under test has written

What stands in a file is *reported*, whoever has written it: the code under test could have. `take` says which of
several points counts: the last, the smallest, the largest, or the mean of the last few. The smallest or largest of a
curve is better than what a run comes to: it is *selected*, and that is said wherever its source is. A value that is not
finite is never part of a mean: where one is among the last, it is what the run came to.

The engine opens none of these files itself. A process of its own, `python -m loop.run.metrics`, does, with so much
memory and time: a pattern can take forever on a line, and a document all memory there is.
"""

import json
import os
import re
import resource
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import nlargest
from math import fsum, isfinite
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct
from msgspec.structs import asdict

from loop.run import formats
from loop.run.formats import Point, TooLong, Unreadable
from store.trail import opened

CURVES = "curves.json"  # in the run folder
MOST_POINTS = 2_000  # of a curve that is kept
MOST_FILES = 200  # of those that a name with a `*` stands for, the newest
LARGEST = 1e150  # a value beyond it is none that can be drawn
SECONDS = 30.0  # that the reading of a run's metrics may take
MEMORY_BYTES = 2**30
WRITTEN = ("tree", "eval")  # the checkouts in which the code under test works
WANDB = "wandb"  # the folder in which W&B leaves its offline runs

Read = Callable[[BinaryIO], Iterator[Point]]


class Wanted(Struct, frozen=True):
    """Where a metric stands: in lines that match a pattern, or in a file, under a name; and which value counts."""

    name: str
    file: str | None = None
    pattern: str | None = None
    step: str | None = None
    take: str = "last"

    @property
    def window(self) -> int:
        """How many of the last values count."""
        return int(self.take.rpartition(" ")[2]) if self.take.startswith("mean") else 1


@dataclass(slots=True)
class Points:
    """What a source has given until now: what counts, and a sample of the curve, each so many after the last."""

    window: int  # of the last values that count
    last: deque[float] = field(init=False)
    low: float | None = None  # of the finite ones
    high: float | None = None
    curve: list[tuple[float, float]] = field(default_factory=list)
    newest: tuple[float, float] | None = None  # on it
    every: int = 1
    count: int = 0
    on_it: int = 0

    def __post_init__(self) -> None:
        self.last = deque(maxlen=self.window)

    def add(self, step: float | None, value: float) -> None:
        """The next one."""
        self.count += 1
        self.last.append(value)
        if not isfinite(value):
            return
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)
        at = step if step is not None and isfinite(step) else float(self.count)
        if abs(value) <= LARGEST and abs(at) <= LARGEST:
            if self.newest and at < self.newest[0]:  # it begins anew, as in each epoch
                at = self.newest[0] + 1
            self.newest = at, value
            if self.on_it % self.every == 0:
                self.curve.append(self.newest)
            self.on_it += 1
        if len(self.curve) >= MOST_POINTS:
            del self.curve[1::2]
            self.every *= 2

    @property
    def drawn(self) -> list[tuple[float, float]]:
        """The sample, and the newest point in any case."""
        return [*self.curve, *([self.newest] if self.newest and self.curve[-1] != self.newest else [])]

    def value(self, take: str) -> float | None:
        """What counts of them; None where there is none."""
        if not self.last:
            return None
        if take in ("min", "max"):
            best = self.low if take == "min" else self.high
            return self.last[-1] if best is None else best
        wild = [value for value in self.last if not isfinite(value)]
        return wild[-1] if wild else fsum(value / len(self.last) for value in self.last)


class Found(Struct, frozen=True):
    """What became of a source: a value and its curve, or why there is none. `stage` has printed it, where one has.

    It is `wild` where the last value is none that is finite, which is no point of the curve.
    """

    value: float | None = None
    curve: Sequence[tuple[float, float]] = ()
    lack: str = ""
    stage: str | None = None
    wild: bool = False


def read(
    folder: Path, wanted: Mapping[str, Wanted], stages: Sequence[str], since: float, cwd: str = "."
) -> dict[str, Found]:
    """What each of these metrics came to in a run folder, after these stages, which were run in `cwd` of a checkout.

    A file from before `since`, which is when the first stage began, was not written by the run.
    """
    logs = [(stage, folder / f"{stage}.log") for stage in stages]
    return {
        name: _in_logs(logs, one) if one.pattern is not None else _in_files(folder, one, since, cwd)
        for name, one in wanted.items()
    }


def question(
    folder: Path, wanted: Mapping[str, Wanted], stages: Sequence[str], since: float, cwd: str = "."
) -> list[str]:
    """The words that start who answers the same, on one line (`answer`)."""
    said = [str(folder), {name: asdict(one) for name, one in wanted.items()}, list(stages), since, cwd]
    return [sys.executable, "-P", "-E", "-m", "loop.run.metrics", json.dumps(said)]


def answer(said: Any) -> dict[str, Found]:
    """What was answered. Raises KeyError and TypeError where it is no answer."""
    return {name: Found(**{**one, "curve": [(x, y) for x, y in one["curve"]]}) for name, one in said.items()}


def main() -> None:
    """Answer."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
    folder, wanted, stages, since, cwd = json.loads(sys.argv[1])
    found = read(Path(folder), {name: Wanted(**one) for name, one in wanted.items()}, stages, since, cwd)
    sys.stdout.write(json.dumps({name: asdict(one) for name, one in found.items()}) + "\n")


def keep(folder: Path, found: Mapping[str, Found]) -> None:
    """Leave the curves in the run folder, for whoever draws them."""
    if curves := {name: one.curve for name, one in found.items() if len(one.curve) > 1}:
        (folder / CURVES).write_text(json.dumps(curves))


def kept(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """The curves that were left in a run folder; none where there are none that can be read."""
    try:
        said = json.loads((folder / CURVES).read_bytes())
        return {str(name): [(float(x), float(y)) for x, y in curve] for name, curve in said.items() if curve}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _in_logs(logs: Sequence[tuple[str, Path]], source: Wanted) -> Found:
    """What the last stage has printed that prints it."""
    pattern, lack = re.compile(source.pattern or ""), ""
    for stage, log in reversed(logs):
        found = _taken([log], partial(formats.in_lines, pattern=pattern), source)
        if found.value is not None:
            return Found(found.value, found.curve, stage=stage, wild=found.wild)
        lack = lack or (found.lack and f"`{log.name}` {found.lack}")
    return Found(lack=lack or f"no line that a stage printed matches `{source.pattern}`")


def _in_files(folder: Path, source: Wanted, since: float, cwd: str) -> Found:
    """What stands in the newest file of that name, or in all event files beside it."""
    assert source.file is not None
    inside = source.file.removeprefix("{output}/")
    there = [folder / name / cwd for name in WRITTEN] if inside == source.file else [folder / "output"]
    bases = [Path(os.path.realpath(base)) for base in there]
    named = Path(inside)
    pattern = f"{named}/offline-run-*/run-*.wandb" if named.name == WANDB else str(named)
    every = (
        path
        for base in bases
        for path in base.glob(pattern)
        if os.path.realpath(path) == str(path) and path.is_file()  # nothing that a link leads to, itself neither
    )
    newest_of_all = nlargest(MOST_FILES, ((path.stat().st_mtime, path) for path in every))
    written = {path: at for at, path in newest_of_all if at >= since}
    if not written:
        old = " since the run began: what stands there is the repository's own" if newest_of_all else ""
        return Found(lack=f"no file `{source.file}` was written{old}")
    newest = next(iter(written))
    beside = [newest]
    if "tfevents" in newest.name:
        beside = sorted(path for path in written if path.parent == newest.parent)
    found = _taken(beside, _reader(newest, source.name, source.step), source)
    if found.value is None:
        base = next(base for base in bases if newest.is_relative_to(base))
        return Found(lack=f"`{newest.relative_to(base)}` {found.lack or f'has no value of `{source.name}`'}")
    return found


def _reader(path: Path, name: str, step: str | None) -> Read:
    """Who reads a file of this name."""
    if "tfevents" in path.name:
        return partial(formats.in_tensorboard, name=name)
    if path.suffix == ".wandb":
        return partial(formats.in_wandb, name=name)
    if path.suffix == ".json":
        return partial(formats.in_json, name=name, step=step)
    if path.suffix == ".jsonl":
        return partial(formats.in_jsonl, name=name, step=step)
    return partial(formats.in_csv, name=name, step=step, separator="\t" if path.suffix == ".tsv" else ",")


def _taken(files: Iterable[Path], reads: Read, source: Wanted) -> Found:
    """What counts of the points of these files together."""
    points, lack = Points(source.window), ""
    for path in files:
        try:
            with os.fdopen(opened(path), "rb") as file:
                for step, value in reads(file):
                    points.add(step, value)
        except OSError as error:
            lack = f"cannot be read: {error.strerror}"
        except TooLong as why:
            return Found(lack=str(why))
        except Unreadable as why:
            lack = str(why)
        except MemoryError:
            return Found(lack=f"takes more than {MEMORY_BYTES // 2**20} MiB to read")
    counts = points.value(source.take)
    return Found(lack=lack) if counts is None else Found(counts, points.drawn, wild=not isfinite(points.last[-1]))


if __name__ == "__main__":
    main()
