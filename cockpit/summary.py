"""The end of a batch: the frontier, the spend by outcome and the best diff; for people, for scripts, for a web page."""

import os
import re
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from msgspec import Struct

from cockpit import account, output, pages
from cockpit.besides import quiet, recorded
from cockpit.glyphs import promising
from cockpit.text import clean
from store import account as accounts
from store import budgets, views
from store.account import Account
from store.database import Database
from store.records import (
    UP,
    Agreement,
    Decision,
    Ended,
    Experiment,
    Frontier,
    Keeps,
    Ledger,
    Limit,
    Reference,
    Returns,
    State,
    Study,
    agreed_on,
    name_of,
    offers,
)

PAGE = "GITHUB_STEP_SUMMARY"  # the file for a page in Markdown: docs.github.com, "Workflow commands"
MOST_CHARACTERS = 100_000  # of a diff on that page, which has room for 1 MiB
RAISE = "more of `[budget] {}`, and the same command goes on from here"
NOTHING_YET = "no gain is shown yet"
WHY = {
    Ended.EXPERIMENTS: "the number of experiments asked for is reached",
    Ended.TIME: f"the time is used up, or too short for a run; {RAISE.format('time')}",
    Ended.RUNS: f"the runs are used up; {RAISE.format('runs')}",
    Ended.TOKENS: f"no tokens are left for a model to think; {RAISE.format('tokens')}",
    Ended.MONEY: f"the money is spent, or what is left too little for a run; {RAISE.format('money')}",
    Ended.DEVICE_HOURS: f"the device hours are used up, or too few for a run; {RAISE.format('device_hours')}",
    Ended.JOULES: f"the joules are used up, or too few for a run; {RAISE.format('joules')}",
    Ended.RETURNS: "a confirmed gain has become as unlikely as `[study] stop_when` says",
    Ended.NO_PROPOSER: "nothing is left to propose: no knob has an untried value, and no model has anything new",
    Ended.BASELINE_FAILED: "the baseline failed: the code that all is compared with gave no measurement",
    Ended.MACHINE_FAILED: "the machine failed: no room, no git, no record, runs ended from outside, or cockpit itself",
    Ended.CONFIGURATION: "cockpit.toml cannot be meant so; what to change is said below",
    Ended.STOPPED: "stopped, as asked for; the same command goes on from here",
    Ended.RERUN: "one run was made again, and nothing else was to be done",
    Ended.INTERRUPTED: "interrupted; the same command goes on from here",
}


class Summary(Struct, frozen=True):
    """What there is to know of a study at the end of an engine's life."""

    study: Study | None
    ended_by: Ended
    experiments: list[Experiment]
    runs: int
    frontier: Frontier
    keeps: Keeps | None
    returns: Returns | None
    reference: list[Reference]
    account: Account
    limits: list[Limit]
    incumbent: int
    decision: Decision | None  # the last that stands
    best: Experiment | None  # that a person is to look at first, of the frontier
    diff: str = ""  # what the best one changes
    lack: str = ""  # why there is no diff of it
    agreement: Sequence[Agreement] = ()  # of quick and full runs
    quiet: Sequence[str] = ()  # what is recorded and does not steer
    beside: Sequence[str] = ()  # what the best one costs of that, or brings

    @property
    def spent(self) -> Ledger:
        """What was spent."""
        return self.account.ledger

    @property
    def morning(self) -> list[str]:
        """What was lost and by whom, and what is asked of whoever reads this."""
        return [*account.lost(self.account.funnel), account.asked(self.account.review)]

    @property
    def counts(self) -> str:
        """How many there are."""
        failed = sum(one.state is State.FAILED for one in self.experiments)
        return f"{pages.count(len(self.experiments), 'experiment')}, {failed} failed, {pages.count(self.runs, 'run')}"

    @property
    def why(self) -> str:
        """Why it has ended."""
        if self.ended_by is Ended.BASELINE_FAILED and self.incumbent:
            merged = self.experiments[self.incumbent]
            return f"{merged.id}, which was merged, has failed: `cockpit undo` goes back from it"
        return WHY[self.ended_by]

    @property
    def doubt(self) -> str:
        """What is not known of trunk, or speaks against it."""
        return pages.verified(self.experiments, self.incumbent, self.decision)

    @property
    def which(self) -> str:
        """What the best one is, or why there is none."""
        if self.best is None:
            picked = self.experiments[self.balanced] if self.balanced else None
            if picked is None or picked.over:
                return "no diff to look at first: nothing undecided on the frontier is offered or promising"
            how = f"{picked.verdict.word}, {picked.verdict.evidence}" if picked.verdict else "without a verdict"
            return f"no diff to look at first: the balanced pick, {picked.id}, is {how}; {NOTHING_YET}"
        said, balanced = self.best.verdict, ["the balanced pick"] if self.best.number == self.balanced else []
        known = [f"{said.evidence}"] if said else []
        shown = self.best.offered or promising(self.best)
        return ", ".join([*balanced, *known, self.best.id]) + ("" if shown else f"; {NOTHING_YET}")

    @property
    def balanced(self) -> int:
        """The number of the balanced pick."""
        return next((point.experiment for point in self.frontier.points if point.balanced), 0)


async def read(database: Database, why: Ended) -> Summary:
    """The study as its record has it now, without the diff."""
    rows, (drawn, reference) = await views.experiments(database), await views.frontier(database)
    chosen = best(rows, drawn)
    return Summary(
        study=await views.study(database),
        ended_by=why,
        experiments=rows,
        runs=await views.run_count(database),
        frontier=drawn,
        keeps=await views.keeps(database),
        returns=await views.returns(database),
        agreement=await views.agreement(database),
        reference=reference,
        account=await accounts.read(database),
        limits=await budgets.read(database),
        incumbent=await views.incumbent(database),
        decision=await views.last_decision(database),
        best=chosen,
        quiet=await quiet(database),
        beside=[one.text for one in await recorded(database, chosen)] if chosen else [],
    )


def best(rows: list[Experiment], frontier: Frontier) -> Experiment | None:
    """The one of the front that is the surest, the balanced pick before others; none that a person has decided.

    What is offered, at the user's rates the one of most worth, else the newest; then the balanced pick all the same,
    where it looks better in something; then what is promising.
    """
    order = sorted(frontier.points, key=lambda point: (point.balanced, point.experiment))
    on = [rows[point.experiment] for point in order]
    offered = offers(on)
    weighed = [one for one in offered if one.verdict and one.verdict.worth is not None]
    picked = [rows[point.experiment] for point in frontier.points if point.balanced]
    up = [one for one in picked if one.state is State.JUDGED and one.verdict and one.verdict.word in UP]
    hopeful = up + [one for one in on if promising(one)][::-1]
    return next(iter(weighed + [one for one in on if one.offered][::-1] + hopeful), None)


def say(summary: Summary) -> None:
    """For people. Raises ReaderGone."""
    output.line(f"\n{summary.counts}\n")
    if summary.doubt:
        output.line(f"{summary.doubt}\n")
    told = (summary.frontier, summary.reference, summary.experiments, summary.keeps, summary.returns, summary.agreement)
    output.table(pages.frontier_page(*told, summary.quiet) + "\n")
    output.table(pages.ledger_page(summary.spent, summary.limits) + "\n")
    output.line("\n".join(summary.morning) + "\n")
    if summary.best is not None:
        output.line(
            "\n".join(
                [
                    *(f"{summary.best.id} besides: {text}" for text in summary.beside),
                    f"{summary.which}: {summary.lack}".rstrip(),
                ]
            )
        )
        output.patch(summary.diff)
    elif summary.reference:
        output.line(f"{summary.which}\n")
    output.line(f"ended: {summary.why}")


def keys(summary: Summary) -> dict[str, Any]:
    """For scripts: the last line of `--batch --json`."""
    best = summary.best
    return {
        "event": "summary",
        "at": output.time_of(time.time()),
        "ended_by": summary.ended_by,
        "study": summary.study.name if summary.study else None,
        "trunk": summary.study.trunk if summary.study else None,
        "incumbent": name_of(summary.incumbent) if summary.experiments else None,
        "verification": summary.experiments[summary.incumbent].verification if summary.experiments else None,
        "experiments": [output.experiment_keys(row, summary.incumbent) for row in summary.experiments],
        "runs": summary.runs,
        "spend": summary.spent.total,
        "spend_by_outcome": summary.spent.by_outcome,
        "losses": account.loss_keys(summary.account.funnel.losses),
        "budgets": output.budget_keys(summary.limits),
        "frontier": output.frontier_keys(summary.frontier, summary.reference, summary.experiments),
        "returns": output.returns_keys(summary.returns),
        **output.keeps_keys(summary.keeps),
        "agreement": output.agreement_keys(summary.agreement),
        "best": None if best is None else {"id": best.id, "diff": summary.diff or None},
    }


def markdown(summary: Summary) -> str:
    """For a web page, in GitHub's Markdown."""
    name = summary.study.name if summary.study else "a study"
    parts = [f"## cockpit: {_plain(name)}", f"{_plain(summary.counts)}. Ended: {_plain(summary.why)}."]
    if summary.doubt:
        parts.append(f"**{_plain(summary.doubt)}**")
    elif summary.ended_by is Ended.BASELINE_FAILED:
        failed = summary.experiments[summary.incumbent]
        parts += [_plain(f"{failed.id} failed: {failed.failure}: {failed.detail}")] if failed.failure else []
    if summary.reference:
        drawn = pages.frontier_columns(summary.frontier, summary.reference, summary.experiments)
        parts += ["### Frontier", _plain(pages.frontier_head(summary.frontier, summary.experiments)), _table(drawn)]
        parts.append(_plain(pages.frontier_foot(summary.frontier)))
        agreed = filter(None, [agreed_on(summary.agreement)])
        lines = [
            *pages.decides_nothing(summary.quiet),
            *pages.trust(summary.keeps),
            *agreed,
            *pages.bought(summary.returns, summary.frontier),
        ]
        parts.append("\n".join(f"- {_plain(line)}" for line in lines))
    if summary.spent.total:
        parts += ["### Spend", _table(pages.ledger_columns(summary.spent))]
        parts.append("\n".join(f"- {_plain(line)}" for line in [*pages.proposals(summary.spent), *summary.morning]))
        parts += [_table(pages.budget_columns(summary.limits))] if summary.limits else []
    if summary.best is not None:
        parts += [f"### Diff: {summary.which}", *(f"Besides: {_plain(text)}." for text in summary.beside)]
        parts += [_plain(summary.lack) or _fenced(clean(summary.diff))]
    elif summary.reference:
        parts.append(_plain(summary.which))
    return "\n\n".join(filter(None, parts)) + "\n"


def _plain(text: str) -> str:
    """A text that Markdown takes for nothing else."""
    return re.sub(r"([\\`*_{}\[\]<>|~#&$])", r"\\\1", clean(text).replace("\n", " "))


def _table(columns: list[list[str]]) -> str:
    """Columns side by side, numbers to the right: those of a column that has a title, as on a terminal."""
    head, *rows = zip(*columns, strict=True)
    rule = ["---:" if title else "---" for title in head]
    return "\n".join(
        f"| {' | '.join(cells)} |" for cells in [map(_plain, head), rule, *(map(_plain, row) for row in rows)]
    )


def _fenced(text: str) -> str:
    """A diff as it is; a very long one is cut, and said to be."""
    lines = text.rstrip("\n").split("\n")
    lengths = accumulate(len(line) + 1 for line in lines)
    room = sum(length <= MOST_CHARACTERS for length in lengths)
    if room < len(lines):
        lines[room:] = [f"… {pages.count(len(lines) - room, 'line')} more"]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return "\n".join([f"{fence}diff", *lines, fence])


def publish(summary: Summary) -> None:
    """Add the page to the file that GitHub Actions shows with a job, where there is one. Raises OSError."""
    if name := os.environ.get(PAGE):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(markdown(summary))
