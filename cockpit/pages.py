"""What the commands print for people: pages of plain text, with short numbers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain, pairwise, repeat
from pathlib import Path
from typing import Any

from cockpit import figures
from store.records import (
    Agreement,
    Call,
    Decision,
    Experiment,
    Frontier,
    Keeps,
    Ledger,
    Limit,
    Outcome,
    Progress,
    Reference,
    Returns,
    Run,
    State,
    Verification,
    agreed_on,
    by,
    name_of,
    some,
)

FRONTIER_FOOT = "* the balanced pick"
SURE_FOOT = "   P the probability of being on the frontier in truth"
DAY_SECONDS = 86_400
GROWN = 8  # gains that are listed, the last ones
SLUG_COLUMNS = 26  # of a list: what came of it is to be read beside it
SAID = {"down": "down: no engine"}  # an outcome, for people
ARROWS = {"minimize": "▾", "maximize": "▴"}  # which way is better


def clock(seconds: float) -> str:
    """A moment, for people: the local time of day."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S")


def read_at(at: str) -> str:
    """A moment of the record, for people: the local day and time."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M")


def count(number: int, noun: str) -> str:
    """A number of things, for people."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def few(number: float) -> str:
    """A number of things that is small and not whole: `0.07`, `1.3`."""
    return f"{number:.1f}" if number >= 1 else f"{number:.1g}"


def search_space(facts: Mapping[str, Any]) -> str:
    """What a proposal may touch: `10 knobs in model.py, train.py; functions of model.py`."""
    flags = "cockpit.args"  # where those of the train command stand
    files = sorted({flags if key.startswith("--") else key.partition(":")[0] for key in facts["knobs"]})
    parts = [f"{count(len(facts['knobs']), 'knob')} in {', '.join(files)}"] if files else []
    parts += [f"functions of {', '.join(facts['functions'])}"] if facts.get("functions") else []
    return "; ".join(parts)


def measuring(facts: Mapping[str, Any]) -> list[str]:
    """The knobs that what measures reads too, and what follows."""
    read = facts.get("evaluation_reads") or {}
    where = ", ".join(dict.fromkeys(read.values()))
    said = f"read by what measures too ({where}), so no gain by them is offered: {', '.join(read)}"
    return [said] if read else []


def shortened(text: str, columns: int) -> str:
    """A text that takes no more room than this."""
    return text if len(text) <= columns else f"{text[: columns - 1]}…"


def size(bytes_: int | None) -> str:
    """Bytes, for people."""
    return "not measured" if bytes_ is None else f"{bytes_ / 1e6:.0f} MB"


def verified(
    experiments: Sequence[Experiment], incumbent: int, last: Decision | None, how: str = "`cockpit undo`"
) -> str:
    """What is to be said of a merge of several changes that trunk is, while it is not known to hold.

    `last` is the last decision that stands, which alone can be undone.
    """
    one = experiments[incumbent] if incumbent < len(experiments) else None
    if one is None or one.verification in (None, Verification.HOLDS):
        return ""
    if one.verification is Verification.WAITS:
        return f"trunk is {one.id}, which is not verified yet: its first run comes before all else"
    why = f"{one.failure}, {one.detail}" if one.failure else one.verdict.sentence if one.verdict else ""
    first = ""
    if last is not None and (last.verb, last.experiment) != ("merge", incumbent):
        first = f", once it has taken back the {last.name}"
    return f"trunk is {one.id}, which does not hold: {why}. {how} goes back{first}"


def experiments_page(experiments: list[Experiment], incumbent: int = 0) -> str:
    """The experiments, one a line."""
    return "\n".join(
        aligned(
            [
                ["", *(experiment.id for experiment in experiments)],
                ["", *(_state(experiment, incumbent) for experiment in experiments)],
                ["", *(shortened(experiment.slug, SLUG_COLUMNS) for experiment in experiments)],
                ["", *map(_what, experiments)],
            ]
        )[1:]
    )


def _state(experiment: Experiment, incumbent: int) -> str:
    return f"{experiment.state}, stale" if experiment.stale(incumbent) else experiment.state


def _what(experiment: Experiment) -> str:
    if experiment.failure:
        return f"{experiment.failure}: {experiment.detail}" if experiment.detail else experiment.failure
    if said := experiment.verdict:
        return said.line
    return "  ".join(f"{m.objective} {m.value:.5g}" for m in experiment.measurements)


def experiment_page(
    experiment: Experiment,
    runs: Iterable[Run],
    calls: Iterable[Call],
    study: Path,
    incumbent: int = 0,
    compared: Mapping[int, str] = {},
    beside: Iterable[str] = (),
) -> str:
    """An experiment with its measurements, runs and stages, and the calls to a model that it took.

    Its files are in the study's folder, `study`; `compared` is how the runs that were made again compare; `beside` is
    what it costs, or brings, that decides nothing.
    """
    lines = [
        f"{experiment.id} {experiment.slug}   {experiment.state}",
        f"branch  {experiment.branch}",
        f"commit  {experiment.commit}",
    ]
    if experiment.parent is not None:
        lines.append(f"parent  {name_of(experiment.parent)}, proposed by {by(experiment.proposer)}")
        lines.append(f"change  {experiment.hypothesis}")
        others = [name_of(number) for number in experiment.parents if number != experiment.parent]
        lines += [f"merges  {', '.join(others)}"] if others else []
        if experiment.parent != experiment.root:
            lines.append(f"pinned  its parent was, beside trunk, {name_of(experiment.root or 0)}: it has both changes")
        if experiment.stale(incumbent):
            lines.append(f"stale   trunk is {name_of(incumbent)} now")
        if experiment.verification and experiment.number == incumbent:
            lines.append(f"as trunk  {experiment.verification}")
    if experiment.failure:
        lines.append(f"failed  {experiment.failure}: {experiment.detail}")
    if said := experiment.verdict:
        lines.append(f"verdict {said.word}, {said.evidence}, against {name_of(said.incumbent)}")
        lines.append(f"        {said.sentence}")
        heads = chain(["why     "], repeat(" " * 8))
        sentences = re.split(r"(?<=\.) (?=[A-Z])", said.explanation)
        lines += [f"{head}{part}" for head, part in zip(heads, sentences, strict=False) if part]
        lines += [f"worth   {said.worth:+.3g}, at the rates of [study] worth"] if said.worth is not None else []
        lines += [f"besides {text}" for text in beside]
    for m in (*experiment.measurements, *experiment.full):
        at = experiment.said_at(m.fidelity)
        lines.append(f"  {m.objective:24} {m.value:<14.6g} {m.said}, {count(m.n, 'run')}{at}")
    for run in runs:
        how = run.outcome or "running"
        again = f", attempt {run.attempt}" if run.attempt > 1 else ""
        lines.append(
            f"run {run.id}: {run.purpose}{experiment.said_at(run.fidelity)}, seed {run.seed}{again}: {how}   "
            f"wall {run.wall}, memory by {run.meter}"
        )
        lines += [f"  {compared[run.id]}"] if run.id in compared else []
        for stage in run.stages:
            cpu = "not measured" if stage.cpu_seconds is None else f"{stage.cpu_seconds:.2f} s"
            cost = f"{stage.wall_seconds:8.2f} s   cpu {cpu}   memory {size(stage.peak_bytes)}"
            cost += "" if stage.peak_device_bytes is None else f"   of GPUs {size(stage.peak_device_bytes)}"
            cost += "" if stage.energy_joules is None else f"   {stage.energy_joules:,.0f} J"
            lines.append(f"  {stage.name:8} {stage.outcome:12} {cost}")
        lines += [f"  {run.detail}"] if run.outcome is Outcome.OK and run.detail else []
        lines.append(f"  files    {study / run.folder}: output/" + "".join(f", {one.name}.log" for one in run.stages))
    lines += [f"{call.line}   {call.model}, num_ctx {call.num_ctx}" for call in calls]
    return "\n".join(lines)


def status_page(
    keys: dict[str, Any],
    counted: Keeps | None,
    limits: Sequence[Limit] = (),
    doubt: str = "",
    agreement: Sequence[Agreement] = (),
) -> str:
    """Where a study stands, from its keys; its budgets; what there is to doubt of trunk; how far fidelities agree."""
    state = keys["state"] + (f", pid {keys['engine']['pid']}" if keys["engine"] else "")
    lines = [f"study {keys['study']}   {state}" + (f", {keys['ended_by']}" if keys["ended_by"] else "")]
    lines += [keys["because"]] if keys["because"] else []
    counts = [
        count(keys["experiments"], "experiment"),
        f"{keys['promising']} promising",
        ": ".join([count(keys["offers"], "offer"), *([", ".join(keys["offered"])] if keys["offered"] else [])]),
    ]
    lines += [doubt] if doubt else []
    lines.append("   ".join(counts))
    for each in keys["reruns"]:
        said = f"asked to be run again, on seed {each['seed']}"
        lines.append(f"{each['id']} is {said}; `cockpit end {each['id']}` withdraws that")
    lines += [*trust(counted), *filter(None, [agreed_on(agreement)])]
    if keys["trunk"]:
        lines.append(f"trunk {keys['trunk']}, the tree of {keys['incumbent']}")
        if keys["pinned"]:
            lines.append(f"pinned {keys['pinned']}: the next proposals start from it; `cockpit unpin` from trunk again")
        lines.append(f"model {model(keys)}   wall {keys['wall']}   memory by {keys['meter']}")
        lines += [f"no model: {keys['model_why']}"] if keys["model"] == "none" and keys["model_why"] else []
        lines += [f"no wall: {keys['no_wall']}"] if keys["no_wall"] else []
        lines += keys["doubts"]
        lines += measuring(keys)
        lines += uncommitted(keys)
    if (text := keys["revision"]) and "revised" in text["text"]:
        lines.append(f"{text['text']}   ({read_at(text['at'])})")
    elif text:
        lines.append(f"cockpit.toml revision {text['digest'][:7]}, read {read_at(text['at'])}")
    if limits:
        lines += ["", *aligned(budget_columns(limits, going_on=keys["engine"] is not None))]
    return "\n".join(lines)


def uncommitted(facts: Mapping[str, Any]) -> list[str]:
    """What a study has of what is not committed, and what it has not."""
    lines = [f"with what is not committed: {some(taken)}"] if (taken := facts.get("with_changes")) else []
    left_out = facts.get("left_out")
    return lines + ([f"not committed, so not part of the study: {some(left_out)}"] if left_out else [])


def fidelity(sets: Mapping[str, Any]) -> str:
    """What the runs of a fidelity are given: `max_steps = 500`."""
    return ", ".join(f"{name} = {value}" for name, value in sets.items()) or "the code as it stands"


def model(facts: dict[str, Any]) -> str:
    """The model that proposes, and where it is."""
    host = facts.get("model_host")
    return f"{facts['model']}, {host}" if host else str(facts["model"])


def frontier_page(
    frontier: Frontier,
    reference: list[Reference],
    experiments: Iterable[Experiment],
    counted: Keeps | None,
    lately: Returns | None,
    agreement: Sequence[Agreement] = (),
    quiet: Sequence[str] = (),
) -> str:
    """The frontier as a table: each value, and how far it is from the baseline's; then how far it can be trusted.

    `quiet` is what is recorded and does not steer.
    """
    rows = list(experiments)
    if not reference:
        return "no frontier yet: it is drawn when the baseline is measured"
    table = aligned(frontier_columns(frontier, reference, rows))
    told = [*decides_nothing(quiet), *trust(counted), *filter(None, [agreed_on(agreement)]), *bought(lately, frontier)]
    return "\n".join([frontier_head(frontier, rows), *table, frontier_foot(frontier), *told])


def frontier_foot(frontier: Frontier) -> str:
    """What the marks in that table mean."""
    return FRONTIER_FOOT + (SURE_FOOT if any(point.probability is not None for point in frontier.points) else "")


def decides_nothing(quiet: Sequence[str]) -> list[str]:
    """What is recorded, and has no say in what is on the frontier."""
    return [f"recorded, and decides nothing: {', '.join(quiet)}"] if quiet else []


def grown(rows: Sequence[Progress]) -> list[str]:
    """How the hypervolume grew, against what was spent: the beginning, each gain, and now."""
    if not rows:
        return []
    steps = [one for before, one in pairwise(rows) if one.hypervolume != before.hypervolume]
    chosen = [rows[0], *steps[-GROWN:], *([rows[-1]] if rows[-1] not in steps[-1:] and len(rows) > 1 else [])]
    columns = [
        ["hypervolume", *(f"{one.hypervolume:.3g}" for one in chosen)],
        ["promising too", *(f"{one.optimistic:.3g}" for one in chosen)],
        ["experiments", *(str(one.experiments) for one in chosen)],
        ["slot", *(figures.lasted(one.seconds) for one in chosen)],
        ["tokens", *(f"{one.tokens:,.0f}" for one in chosen)],
        ["after", *(figures.lasted(one.at - rows[0].at) for one in chosen)],
    ]
    return ["", *aligned(columns)]


def trust(counted: Keeps | None) -> list[str]:
    """How far what is confirmed can be trusted, and what keeping whatever looks better would have come to."""
    if counted is None:
        return []
    head = f"{counted.confirmed} of {counted.screened} screened {'is' if counted.confirmed == 1 else 'are'} confirmed"
    lines = [f"{head}; were none of them better, {few(counted.expected_false)} would be by luck"]
    if counted.objective:
        rule = f"keep-if-{'higher' if counted.maximize else 'lower'} on {counted.objective}"
        parts = [f"{counted.refuted} did not hold on fresh seeds"] if counted.kept else []
        parts += [f"{counted.once} {'was' if counted.once == 1 else 'were'} not run again"] if counted.once else []
        tail = f"; {', '.join(parts)}" if parts else ""
        lines.append(f"{rule} would have merged {counted.kept or 'none'} of these{tail}")
    return lines


def bought(lately: Returns | None, frontier: Frontier) -> list[str]:
    """What the last while has bought, and what as many experiments more promise."""
    if lately is None:
        return []
    what = f"{count(lately.experiments, 'experiment')} judged, {lately.confirmed} confirmed"
    size = f"hypervolume {lately.before:.3g} to {frontier.hypervolume:.3g}"
    return [
        f"the last {lately.seconds / 3600:g} h: {what}, {size}",
        f"a confirmed gain among as many more: {chance(lately.chance)}",
    ]


def chance(probability: float | None) -> str:
    """A probability for people: `P = .41`, `P < .01`; nothing where it is not known."""
    if probability is None or 0.01 <= probability <= 0.99:
        return "" if probability is None else f"P = {probability:.2f}".replace("0.", ".")
    return "P < .01" if probability < 0.5 else "P > .99"


def frontier_head(frontier: Frontier, experiments: Iterable[Experiment]) -> str:
    """How many are on the frontier, and how much it encloses."""
    measured = [one for one in experiments if one.measurements]
    at = measured[0].said_at(measured[0].measurements[0].fidelity) if measured else ""
    head = f"{count(len(frontier.points), 'experiment')} of {len(measured)} on the frontier{at}   "
    return head + enclosed(frontier)


def enclosed(frontier: Frontier) -> str:
    """How much the frontier encloses of what is confirmed, and what is promising besides."""
    more = f", {frontier.optimistic:.3g} with what is promising" if frontier.optimistic > frontier.hypervolume else ""
    return f"hypervolume {frontier.hypervolume:.3g} confirmed{more}; the baseline's is 1"


def frontier_columns(
    frontier: Frontier, reference: list[Reference], experiments: Iterable[Experiment]
) -> list[list[str]]:
    """The columns of that table, each with its title."""
    by_number = {experiment.number: experiment for experiment in experiments}
    rejected = {number for number, one in by_number.items() if one.state is State.REJECTED}
    picked = {point.experiment for point in frontier.points if point.balanced} - rejected
    names = [name_of(point.experiment) + (" *" if point.experiment in picked else "") for point in frontier.points]
    on = [by_number[point.experiment] for point in frontier.points]
    columns = [["", *names], *(_against(one, on) for one in reference)]
    columns.append(["", *(_stands(one) for one in on)])
    if any(point.probability is not None for point in frontier.points):
        said = (chance(point.probability).removeprefix("P ").removeprefix("= ") for point in frontier.points)
        columns.append(["P", *(one or "-" for one in said)])
    columns.append(["runs", *(str(min((m.n for m in experiment.measurements), default=0)) for experiment in on)])
    columns.append(["", *(experiment.slug for experiment in on)])
    return columns


def ledger_page(
    ledger: Ledger,
    limits: Sequence[Limit] = (),
    spend: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
    *,
    going_on: bool = False,
) -> str:
    """What was spent, by what came of it and by what else is asked for; what was proposed; and the budgets."""
    budgets = ["", *aligned(budget_columns(limits, going_on=going_on))] if limits else []
    if not ledger.total:
        return "\n".join(["nothing spent yet", *budgets])
    lines = [*aligned(ledger_columns(ledger)), *proposals(ledger)]
    for group, amounts in (spend or {}).items():
        if amounts:
            lines += ["", *aligned([["", *amounts], *_resources(ledger, amounts)], title=f"by {group}")]
    return "\n".join([*lines, *budgets])


def ledger_columns(ledger: Ledger) -> list[list[str]]:
    """The columns of that table, each with its title."""
    booked = {**ledger.by_outcome, "total": ledger.total}
    columns = [["", *(SAID.get(name, name) for name in booked)], *_resources(ledger, booked)]
    whole = ledger.total["seconds"] or 1.0
    columns.append(["share", *(f"{amounts.get('seconds', 0.0) / whole:.0%}" for amounts in booked.values())])
    return columns


def _resources(ledger: Ledger, booked: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """A column for each resource that was spent at all."""
    return [
        [name.replace("_", " "), *(_amount(name, amounts.get(name, 0.0)) for amounts in booked.values())]
        for name in sorted(ledger.total, key=lambda name: (name != "seconds", name))
    ]


def _amount(resource: str, amount: float) -> str:
    """So many seconds, or so many tokens."""
    return f"{amount:.1f}" if resource.endswith("seconds") else f"{amount:,.0f}"


def budget_columns(limits: Sequence[Limit], *, going_on: bool = False) -> list[list[str]]:
    """The budgets, each a row: what is spent, of how much. While an engine goes on, also how fast, and until when."""
    columns = [
        ["", *(one.budget.replace("_", " ") for one in limits)],
        ["spent", *(budgeted(one.budget, one.spent) for one in limits)],
        ["reserved", *(budgeted(one.budget, one.reserved) if one.reserved else "" for one in limits)],
        ["limit", *(budgeted(one.budget, one.most) for one in limits)],
    ]
    if going_on:
        rates = [None if one.budget == "time" else one.rate for one in limits]
        columns.append(["an hour", *("" if rate is None else f"{rate:,.3g}" for rate in rates)])
        columns.append(["used up", *("" if one.ends_at is None else moment(one.ends_at, one.at) for one in limits)])
    return columns


def budgeted(budget: str, amount: float) -> str:
    """So much of what a budget counts."""
    if budget == "time":
        return figures.lasted(amount)
    return f"{amount:.2f}" if budget in ("device_hours", "money") else f"{amount:,.0f}"


def moment(at: float, now: float) -> str:
    """When something will be: the time of day, or the date where that is more than a day away."""
    then = datetime.fromtimestamp(at).astimezone()
    return then.strftime("%H:%M") if at - now < DAY_SECONDS else then.strftime("%d %b")


def proposals(ledger: Ledger) -> list[str]:
    """What became of the proposals, a line for each proposer."""
    lines = []
    for proposer in sorted({*ledger.admitted, *ledger.refused}, reverse=True):
        admitted, refused = ledger.admitted.get(proposer, 0), ledger.refused.get(proposer, {})
        why = ", ".join(f"{refusal} {number}" for refusal, number in refused.items())
        line = f"{count(admitted + sum(refused.values()), 'proposal')} of the {proposer}, {admitted} admitted"
        lines.append(line + (f", refused: {why}" if why else ""))
    return lines


def _stands(one: Experiment) -> str:
    """What was said of one on the frontier. What has no verdict is there by its values alone, and that is said."""
    if one.verdict is None:
        return "no verdict" if one.number else ""
    return f"{one.verdict.word}, {one.verdict.evidence}"


def _against(axis: Reference, experiments: Sequence[Experiment]) -> list[str]:
    """A column: the objective, then each value and how far it is from the baseline's."""
    values = [{m.objective: m.value for m in one.measurements}.get(axis.objective) for one in experiments]
    numbers = ["-" if value is None else f"{value:.5g}" for value in values]
    changes = [
        # Against itself the baseline is nothing, whatever its later runs have come to.
        ("=" if _same(one, axis) else _change(value, axis.base)) if one.number else ""
        for one, value in zip(experiments, values, strict=True)
    ]
    widths = [max((len(cell) for cell in cells), default=0) for cells in (numbers, changes)]
    cells = [f"{a.rjust(widths[0])}  {b.rjust(widths[1])}" for a, b in zip(numbers, changes, strict=True)]
    return [f"{axis.objective} {ARROWS[axis.direction]}", *cells]


def _same(one: Experiment, axis: Reference) -> bool:
    """Whether it is to the last digit what the baseline is on its seeds, of which the baseline's mean has more."""
    said = one.verdict
    return said is not None and not said.incumbent and said.figures.get(axis.objective, {}).get("moved") == "equal"


def _change(value: float | None, base: float) -> str:
    if value is None or not base:
        return ""
    return "=" if value == base else f"{(value - base) / abs(base):+.1%}"


def aligned(columns: list[list[str]], title: str = "") -> list[str]:
    """Columns side by side, numbers to the right; those without a title to the left. The table may have one."""
    widths = [max(map(len, column)) for column in columns]
    widths[0] = max(widths[0], len(title))
    lines = []
    for row in zip(*columns, strict=True):
        cells = [
            cell.rjust(width) if column[0] else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    lines[0] = title + lines[0][len(title) :]
    return lines
