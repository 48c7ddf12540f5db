"""A study of ten thousand experiments to look at: some are grown as they are, the others are copies of these.

It is a repository with a record. Nothing of it was run; one experiment changes a file of 50,000 lines.
"""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loop.branches import new_repository
from loop.git import run as git
from store import views
from store.place import RECORD, Place, find, take_engine_lock
from store.records import Run
from tests.bench.growing import STAGES, TEXT, growing

GROWN = 40  # experiments, of which the others are copies
CHANGED = 1  # the experiment with the large diff
CHANGED_LINES = 50_000
SHA = "printf('%040x', {})"
KNOBS = {"train.py:LEARNING_RATE": 0.0031, "train.py:BATCH_SIZE": 64, "train.py:EPOCHS": 12, "model.py:WIDTH": 96}
HYPOTHESIS = "A smaller step late in training should lower the loss and cost no time when it predicts"
# What is otherwise in the copies of a table's rows: their numbers are so many further on.
COPIED = {
    "experiments": {
        "number": "number + :experiments",
        "tree": SHA.format("number + :experiments"),
        "commit_oid": SHA.format("number + :experiments"),
    }
    | {"branch": "printf('cockpit/large/e%04d-%s', number + :experiments, slug)"},
    "proposals": {
        "id": "id + :experiments",
        "experiment": "experiment + :experiments",
        "change_hash": "change_hash || '-' || :experiments",
    },
    "parents": {"experiment": "experiment + :experiments"},
    "runs": {
        "id": "id + :runs",
        "experiment": "experiment + :experiments",
        "tree": SHA.format("experiment + :experiments"),
    },
    "stages": {"run": "run + :runs"},
    "measurements": {"run": "run + :runs"},
    "spans": {"id": "id + :spans", "run": "run + :runs"},
    "spend": {"span": "span + :spans"},
    "verdicts": {"id": "id + :verdicts", "experiment": "experiment + :experiments"},
}
OF = "(SELECT id FROM runs WHERE experiment BETWEEN 1 AND :most)"
WHICH = {
    "experiments": "number BETWEEN 1 AND :most",
    "stages": f"run IN {OF}",
    "measurements": f"run IN {OF}",
    "spans": f"run IN {OF}",
    "spend": f"span IN (SELECT id FROM spans WHERE run IN {OF})",
}


async def make(root: Path, experiments: int) -> Place:
    """A repository with such a study, in an empty folder that may not be there yet."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "cockpit.toml").write_text(f'[study]\nname = "large"\n{TEXT}')
    source = root / "table.py"
    source.write_text("".join(f"row_{line} = {line}\n" for line in range(CHANGED_LINES)))
    await new_repository(root, "The code as it is")
    source.write_text("".join(f"row_{line} = {line + 1}\n" for line in range(CHANGED_LINES)))
    variables = {"GIT_DIR": str(root / ".git"), "GIT_WORK_TREE": str(root)}
    await git(["commit", "--quiet", "--all", "-m", "All of it otherwise"], variables)
    commits = [(await git(["rev-parse", name], variables)).decode().strip() for name in ("HEAD~1", "HEAD")]
    place = find(root)
    grown = min(GROWN, experiments - 1)
    async with growing(place.folder, place) as study:
        while study.number < grown:
            study.good = float(study.number == 10)
            await study.one_more()
            await study.obey()
    await asyncio.to_thread(_copy, place.folder / RECORD, grown, experiments, commits)
    return place


def _copy(record: Path, grown: int, experiments: int, commits: list[str]) -> None:
    """Make so many experiments of those that were grown, with names and texts as long as real ones."""
    database = sqlite3.connect(record, isolation_level=None)
    database.execute("BEGIN")
    database.execute("UPDATE experiments SET slug = 'learning-rate-and-' || number, knobs = ?", [json.dumps(KNOBS)])
    database.execute(f"UPDATE experiments SET tree = {SHA.format('number')}, commit_oid = {SHA.format('number')}")
    database.execute(f"UPDATE runs SET tree = {SHA.format('experiment')}")
    database.execute("UPDATE proposals SET hypothesis = ?", [HYPOTHESIS])
    steps = {
        name: database.execute(f"SELECT max(id) FROM {name}").fetchone()[0] for name in ("runs", "spans", "verdicts")
    }
    for copy in range(1, -(-experiments // grown)):
        most = min(grown, experiments - 1 - copy * grown)
        for table, changed in COPIED.items():
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            taken = ", ".join(changed.get(column, column) for column in columns)
            which = WHICH.get(table, "experiment BETWEEN 1 AND :most")
            database.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {taken} FROM {table} WHERE {which}",
                {"experiments": copy * grown, **{name: copy * step for name, step in steps.items()}, "most": most},
            )
    for number, commit in ((0, commits[0]), (CHANGED, commits[1])):
        database.execute("UPDATE experiments SET commit_oid = ? WHERE number = ?", [commit, number])
    minute = "? - 60 * (SELECT max(number) FROM experiments) + 60 * number"  # between two of them
    database.execute(f"UPDATE experiments SET created_at = {minute}", [time.time()])
    confirmed = "number IN (SELECT experiment FROM verdicts WHERE evidence = 'confirmed')"
    database.execute(f"UPDATE experiments SET state = 'rejected' WHERE number / ? % 10 AND {confirmed}", [grown])
    database.execute("UPDATE engines SET ended_at = ?, ended_by = 'stopped'", [time.time()])
    database.execute("COMMIT")
    database.close()


# --- one that goes on ------------------------------------------------------------------------------------------------


@contextmanager
def engine(place: Place) -> Iterator[None]:
    """For as long as this lasts the study's engine is this process."""
    lock = take_engine_lock(place.folder)
    try:
        yield
    finally:
        os.close(lock)


async def go_on(place: Place, seconds: float, every: float) -> int:
    """Experiments follow one another for so long, an event at a time. How many there were.

    With each of them the run's log grows by a line, and its supervisor says what it uses.
    """
    with engine(place):
        async with growing(place.folder, place) as study:
            await study.engine(os.getpid())
            await study.stand.catch_up(study.database)
            told, until, next_at = 0, time.monotonic() + seconds, time.monotonic()

            async def wait() -> None:
                nonlocal told, next_at
                for run in await views.unfinished_runs(study.database):
                    await asyncio.to_thread(say, place, run, told)
                told, next_at = told + 1, next_at + every
                await asyncio.sleep(max(0.0, next_at - time.monotonic()))

            study.between = wait
            while time.monotonic() < until:
                await study.one_more()
            return told


def say(place: Place, run: Run, line: int) -> None:
    """What a run under way leaves in its folder."""
    folder = place.folder / run.folder
    folder.mkdir(parents=True, exist_ok=True)
    stage = STAGES[min(len(run.stages), len(STAGES) - 1)]
    spec = {"stages": [{"name": name, "timeout_seconds": 60.0} for name in STAGES]}
    ended = [{"name": one.name, "started_at": one.started_at, "ended_by": "itself"} for one in run.stages]
    status = {"stages": [*ended, {"name": stage, "started_at": time.time()}]}
    now = {"at": time.time(), "stage": stage, "bytes": 400e6 + 1e6 * line, "peak_bytes": 500e6, "cores": 1.0}
    for name, said in (("spec", spec), ("status", status), ("now", {**now, "of_cores": 2.0})):
        (folder / f"{name}.json").write_text(json.dumps(said))
    with (folder / f"{STAGES[0]}.log").open("a") as log:
        log.write(f"epoch: {line} train_loss: {1 + 1 / (1 + line):.4f}\n")
