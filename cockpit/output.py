"""What the commands print: the one writer, and with `--json` the keys for scripts.

The keys are a contract (docs/json.md). Numbers for scripts are whole.
"""

import errno
import json
import os
import shlex
import shutil
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from cockpit.text import Clean, clean
from store.records import (
    Agreement,
    Call,
    Ended,
    Engine,
    Event,
    Experiment,
    Frontier,
    Keeps,
    Ledger,
    Limit,
    Measurement,
    Progress,
    Reference,
    Rerun,
    Returns,
    Revision,
    Run,
    State,
    Study,
    name_of,
    offers,
)


class ReaderGone(Exception):
    """Nobody reads the output any more: `cockpit … | head`, or a terminal that was closed."""


class Complaints(TextIOWrapper):
    """Standard error, on which whatever is written is cleaned: also what Python, Textual or a parser of words says."""

    def write(self, text: str) -> int:
        """Write it without what a terminal would obey. A traceback has the words of its error as they are."""
        super().write(clean(text))
        return len(text)


def line(text: str) -> None:
    """One line or more for people, clean. Raises ReaderGone."""
    _write(clean(text))


def columns() -> int | None:
    """How wide the terminal is that is written to; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(text: str) -> None:
    """Lines that belong under one another: on a terminal each is cut where it would wrap. Raises ReaderGone."""
    shown = clean(text)
    if (width := columns()) is not None:
        shown = Clean("\n".join(_cut(line, width) for line in shown.split("\n")))
    _write(shown)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…" if width > 0 else ""


def document(value: dict[str, Any]) -> None:
    """One JSON object, on one line. Raises ReaderGone."""
    _write(json.dumps(value, ensure_ascii=True))


def command(directory: Path, *words: str) -> str:
    """A command about the study of a folder, as it can be typed here: this program may not be on the PATH."""
    called = Path(sys.argv[0])
    program = ["cockpit"] if shutil.which("cockpit") == str(called) else [str(called)]
    if called.name == "__main__.py":
        program = [sys.executable, "-m", "cockpit"]
    folder = str(directory)
    if not words and os.sep not in folder:  # it may be called as a command is
        folder = f".{os.sep}{folder}"
    return shlex.join([*program, *words, folder])


def to_a_person() -> bool:
    """Whether what is printed comes to a terminal, and not to a script or a file."""
    return sys.stdout.isatty()


def no_screen() -> str:
    """Why there can be no screen here; nothing where there can."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return "there is no terminal here"
    return f"this terminal (TERM={os.environ.get('TERM', '')}) cannot show a screen" if _dumb() else ""


def _dumb() -> bool:
    """Whether a terminal here knows nothing but lines."""
    return os.environ.get("TERM", "dumb") in ("dumb", "unknown", "")


class Foot:
    """The last line of a terminal, which says how far something is: what is printed comes above it. For any thread."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted and sys.stdout.isatty() and not _dumb()
        self._writing = threading.Lock()
        self._text = ""
        self._there = False

    def draw(self, text: str) -> None:
        """Write the line, unless it is there already. Raises ReaderGone and OSError."""
        with self._writing:
            if text != self._text:
                self._text = text
                self._draw()

    def above(self, write: Callable[[], None]) -> None:
        """Write something else above the line. Raises ReaderGone and OSError."""
        with self._writing:
            self._erase()
            write()
            self._draw()

    def end(self) -> None:
        """Take the line away. Raises ReaderGone and OSError."""
        with self._writing:
            self._text = ""
            self._erase()

    def _draw(self) -> None:
        if self._text and self.wanted and self._ours():
            columns = os.get_terminal_size(sys.stdout.fileno()).columns or 80  # what a shell has exported may be old
            self._there = True
            _write(f"\r{_cut(clean(self._text), columns - 1)}\x1b[K", end="")

    def _erase(self) -> None:
        there, self._there = self._there, False
        if there and self._ours():
            _write("\r\x1b[K", end="")

    def _ours(self) -> bool:
        """Whether the terminal is this job's, and not that of one in the foreground."""
        try:
            return os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
        except OSError:
            return False


def _write(text: str, end: str = "\n") -> None:
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        if error.errno != errno.EPIPE and not (error.errno == errno.EIO and _is_terminal()):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
        raise ReaderGone from error


def _is_terminal() -> bool:
    """Whether it is one, be it hung up."""
    return stat.S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode)


def patch(text: str) -> None:
    """A diff, clean; with colours where they can be seen and are wanted (no-color.org). Raises ReaderGone."""
    shown = clean(text)
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not _dumb():
        shown = Clean("\n".join(_coloured(line) for line in shown.split("\n")))
    _write(shown)


def _coloured(line: str) -> str:
    bold, cyan, green, red = "\x1b[1m", "\x1b[36m", "\x1b[32m", "\x1b[31m"
    marks = {"diff ": bold, "index ": bold, "--- ": bold, "+++ ": bold, "@@": cyan, "+": green, "-": red}
    colour = next((marks[mark] for mark in marks if line.startswith(mark)), None)
    return f"{colour}{line}\x1b[m" if colour else line


def asked(text: str) -> str:
    """What is typed on a terminal after a text; nothing where the line is empty or has ended. Raises ReaderGone."""
    _write(clean(text), end="")
    return sys.stdin.readline().rstrip("\n") if sys.stdin.isatty() else ""


def error(text: str) -> None:
    """What went wrong, on standard error."""
    print(f"cockpit: {clean(text)}", file=sys.stderr, flush=True)


def complain_cleanly() -> None:
    """From now on nothing is written on standard error as it is. Only for a process of ours."""
    if type(sys.stderr) is TextIOWrapper:
        sys.stderr.flush()
        sys.stderr = Complaints(
            sys.stderr.buffer, encoding=sys.stderr.encoding, errors="backslashreplace", line_buffering=True
        )


def time_of(seconds: float) -> str:
    """A moment, for scripts: ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


# --- for scripts -----------------------------------------------------------------------------------------------------


def event_keys(event: Event) -> dict[str, Any]:
    """A line of `--batch --json`."""
    return {"event": event.kind, "at": time_of(event.at), "seq": event.seq, "text": event.text, **event.data}


def measurement_keys(measurements: Iterable[Measurement]) -> dict[str, Any]:
    """The measurements of an experiment, by objective."""
    return {
        m.objective: {
            "mean": m.value,
            "n": m.n,
            "source": m.source,
            "selected": m.selected or None,
            "fidelity": m.fidelity,
        }
        for m in measurements
    }


def experiment_keys(experiment: Experiment, incumbent: int) -> dict[str, Any]:
    """An experiment. Verdict, evidence and sentence are null until it is judged."""
    said = experiment.verdict
    return {
        "id": experiment.id,
        "slug": experiment.slug,
        "state": experiment.state,
        "failure": experiment.failure,
        "detail": experiment.detail,
        "parent": None if experiment.parent is None else name_of(experiment.parent),
        "parents": [name_of(number) for number in experiment.parents],
        "root": None if experiment.root is None else name_of(experiment.root),
        "stale": experiment.stale(incumbent),
        "verification": experiment.verification if experiment.number == incumbent else None,
        "proposer": experiment.proposer,
        "operator": experiment.operator,
        "hypothesis": experiment.hypothesis,
        "knobs": dict(experiment.knobs),
        "branch": experiment.branch,
        "commit": experiment.commit,
        "tree": experiment.tree,
        "verdict": said.word if said else None,
        "evidence": said.evidence if said else None,
        "sentence": said.sentence if said else None,
        "explanation": said.explanation or None if said else None,
        "against": name_of(said.incumbent) if said else None,
        "fidelity": said.fidelity if said else None,
        "figures": dict(said.figures) if said else None,
        "worth": said.worth if said else None,
        "created_at": time_of(experiment.created_at),
        "measurements": measurement_keys(experiment.measurements),
        "measurements_in_full": measurement_keys(experiment.full),
    }


def run_keys(run: Run, study: Path) -> dict[str, Any]:
    """A run of an experiment's tree, with its stages; `study` is the study's folder, in which its files are."""
    return {
        "id": run.id,
        "seed": run.seed,
        "purpose": run.purpose,
        "fidelity": run.fidelity,
        "attempt": run.attempt,
        "outcome": run.outcome,
        "detail": run.detail,
        "tree": run.tree,
        "bench": run.bench,
        "slot": run.slot,
        "wall": run.wall,
        "meter": run.meter,
        "launch": run.launch,
        "started_at": time_of(run.started_at),
        "ended_at": None if run.ended_at is None else time_of(run.ended_at),
        "measurements": {m.objective: m.value for m in run.measurements},
        "folder": str(study / run.folder),
        "output": str(study / run.folder / "output"),
        "stages": [
            {
                "name": stage.name,
                "outcome": stage.outcome,
                "detail": stage.detail,
                "exit_status": stage.exit_status,
                "started_at": time_of(stage.started_at),
                "wall_seconds": stage.wall_seconds,
                "cpu_seconds": stage.cpu_seconds,
                "peak_memory_bytes": stage.peak_bytes,
                "energy_joules": stage.energy_joules,
                "peak_device_memory_bytes": stage.peak_device_bytes,
                "log": str(study / stage.log),
            }
            for stage in run.stages
        ],
    }


def status_keys(
    name: str,
    study: Study | None,
    engine: Engine | None,
    pid: int | None,
    experiments: list[Experiment],
    incumbent: int,
    counted: Keeps | None,
    paused: bool = False,
    limits: Iterable[Limit] = (),
    pinned: int | None = None,
    revision: Revision | None = None,
    agreement: Sequence[Agreement] = (),
    notes: Sequence[str] = (),
    reruns: Iterable[Rerun] = (),
) -> dict[str, Any]:
    """Where a study stands. `notes` are what its runs have shown since the engine began.

    `pid` is the engine's that runs now; one that went without a word has died.
    """
    undecided = [one.verdict for one in experiments if one.verdict and one.state is State.JUDGED]
    ended_by = None if engine is None or pid is not None else engine.ended_by or Ended.DIED
    offered = [one.id for one in offers(experiments)]
    goes_on = "paused" if paused and engine is not None and engine.pid == pid else "running"
    return {
        "study": name,
        "state": goes_on if pid is not None else "new" if engine is None else "ended",
        "trunk": study.trunk if study else None,
        "incumbent": name_of(incumbent) if experiments else None,
        "verification": experiments[incumbent].verification if experiments else None,
        "pinned": None if pinned is None else name_of(pinned),
        "promising": sum(verdict.promising for verdict in undecided),
        "engine": None if pid is None else {"pid": pid},
        "experiments": len(experiments),
        "offers": len(offered),
        "offered": offered,
        **keeps_keys(counted),
        "agreement": agreement_keys(agreement),
        "ended_by": ended_by,
        "because": engine.because or None if engine is not None and pid is None else None,
        "budgets": budget_keys(limits, going_on=pid is not None),
        "wall": engine.facts["wall"] if engine else None,
        "no_wall": engine.facts.get("no_wall") or None if engine else None,
        "revision": None if revision is None else revision_keys(revision),
        "left_out": engine.facts["left_out"] if engine else None,
        "with_changes": engine.facts.get("with_changes", []) if engine else None,
        "doubts": list(dict.fromkeys([*(engine.facts.get("doubts") or ()), *notes])) if engine else [],
        "reruns": [{"id": name_of(one.experiment), "seed": one.seed} for one in reruns],
        "meter": engine.facts["meter"] if engine else None,
        "evaluation_reads": engine.facts.get("evaluation_reads", {}) if engine else {},
        "model": engine.facts["model"] if engine else None,
        "model_host": engine.facts.get("model_host") if engine else None,
        "model_why": engine.facts.get("model_why") if engine else None,
    }


def revision_keys(revision: Revision) -> dict[str, Any]:
    """What `cockpit.toml` says, since when, and what was said to follow."""
    return {"digest": revision.digest, "at": time_of(revision.at), "text": revision.said}


def keeps_keys(counted: Keeps | None) -> dict[str, Any]:
    """How far what is confirmed can be trusted. Null where nothing is judged yet, or no objective has noise."""
    if counted is None:
        return {"screened": 0, "confirmed": 0, "expected_false_keeps": None, "keep_if_better": None}
    other = {key: getattr(counted, key) for key in ("objective", "kept", "refuted", "once")}
    return {
        "screened": counted.screened,
        "confirmed": counted.confirmed,
        "expected_false_keeps": counted.expected_false,
        "keep_if_better": other if counted.objective else None,
    }


def agreement_keys(found: Sequence[Agreement]) -> dict[str, Any] | None:
    """How far quick runs rank experiments as full ones do; null where it is not known."""
    if not found:
        return None
    return {
        "experiments": max(one.experiments for one in found),
        "tau": {one.objective: one.tau for one in found},
        "poor": [one.objective for one in found if one.poor],
    }


def frontier_keys(frontier: Frontier, reference: list[Reference], experiments: Iterable[Experiment]) -> dict[str, Any]:
    """The frontier. Evidence is null for what is not judged, as the baseline; a probability before noise is known."""
    by_number = {experiment.number: experiment for experiment in experiments}
    return {
        "points": [
            {
                "id": name_of(point.experiment),
                "values": {m.objective: m.value for m in by_number[point.experiment].measurements},
                "runs": min((m.n for m in by_number[point.experiment].measurements), default=0),
                "evidence": said.evidence if (said := by_number[point.experiment].verdict) else None,
                "verdict": said.word if said else None,
                "fidelity": next((m.fidelity for m in by_number[point.experiment].measurements), None),
                "probability": point.probability,
                "balanced": point.balanced,
            }
            for point in frontier.points
        ],
        "reference": {one.objective: one.value for one in reference},
        "baseline": {one.objective: one.base for one in reference},
        "hypervolume": frontier.hypervolume,
        "optimistic": frontier.optimistic,
    }


def returns_keys(lately: Returns | None) -> dict[str, Any] | None:
    """What the last while has bought; null before a verdict."""
    return None if lately is None else asdict(lately)


def progress_keys(grown: Iterable[Progress]) -> list[dict[str, Any]]:
    """How the frontier grew, against what was spent by then, oldest first."""
    return [{**asdict(one), "at": time_of(one.at)} for one in grown]


def budget_keys(limits: Iterable[Limit], *, going_on: bool = False) -> list[dict[str, Any]]:
    """The budgets. When one is used up is null where that is not known, or no engine goes on."""
    units = {"time": "seconds", "device_hours": "hours"}
    return [
        {
            "budget": one.budget,
            "unit": units.get(one.budget, one.budget),
            "limit": one.most,
            "spent": one.spent,
            "reserved": one.reserved,
            "per_hour": one.rate,
            "ends_at": None if one.ends_at is None or not going_on else time_of(one.ends_at),
            "at": time_of(one.at),
        }
        for one in limits
    ]


def ledger_keys(
    ledger: Ledger,
    limits: Iterable[Limit] = (),
    spend: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
    *,
    going_on: bool = False,
) -> dict[str, Any]:
    """What was spent: the outcomes add up to the total."""
    spend = spend or {}
    by = {f"by_{group}": spend.get(group, {}) for group in ("stage", "operator", "model")}
    return {
        "total": ledger.total,
        "by_outcome": ledger.by_outcome,
        "proposals": {"admitted": sum(ledger.admitted.values()), "refused": ledger.refusals},
        "by_proposer": {
            proposer: {
                "admitted": ledger.admitted.get(proposer, 0),
                "refused": ledger.refused.get(proposer, {}),
                "spend": spend.get("proposer", {}).get(proposer, {}),
            }
            for proposer in sorted({*ledger.admitted, *ledger.refused, *spend.get("proposer", {})})
        },
        **by,
        "budgets": budget_keys(limits, going_on=going_on),
    }


def call_keys(call: Call) -> dict[str, Any]:
    """A call to a model. What the server has not said is null."""
    return {
        "purpose": call.purpose,
        "operator": call.operator,
        "model": call.model,
        "host": call.host,
        "num_ctx": call.num_ctx,
        "outcome": call.outcome,
        "detail": call.detail,
        "prompt_tokens": call.prompt_tokens,
        "answer_tokens": call.answer_tokens,
        "load_seconds": call.load_seconds,
        "prompt_seconds": call.prompt_seconds,
        "answer_seconds": call.answer_seconds,
        "held_seconds": call.held_seconds,
        "wall_seconds": None if call.ended_at is None else call.ended_at - call.at,
        "at": time_of(call.at),
        "sections": call.prompt.get("sections", []),
        "answer": call.answer,
    }
