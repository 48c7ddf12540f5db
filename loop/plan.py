"""What a study can answer by morning: from its baseline's runs, or a probe of the same command, and the judge's rule.

The numbers are those of `judge/foresight.py`; here is where they come from and what is to be said of them. What is
known of runs of one fidelity says nothing of another: where there are two, each is foreseen by its own runs.
"""

import math
import re
import shlex
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from loop.judge import foresight
from loop.judge.axis import WORSE, Axis, axis
from loop.judge.foresight import Question
from loop.judge.preset import PRESETS, Preset, preset
from loop.judge.runs import RERUN, Runs
from loop.run import timed
from loop.run.stages import PYTHON as PYTHONS
from loop.run.stages import names
from loop.study import Revision, Settings
from store import planned, probed, views
from store.database import Database, ask
from store.place import Place
from store.planned import Foreseen, Plan
from store.probed import Probed
from store.records import FULL, QUICK, Outcome, Run, Value

HOURS = 8.0  # of a night
TOO_LARGE = WORSE  # a smallest gain beyond it, as a share of the baseline's value, answers hardly any question
PYTHON = re.compile(r"python[0-9.]*")


class Known(Struct, frozen=True):
    """What was measured before: the time and memory of a run, and the noise of objectives, by their axes."""

    where: str = ""  # from
    run_seconds: float | None = None
    peak_bytes: int | None = None
    peak_device_bytes: int | None = None
    axes: Sequence[Axis] = ()  # those whose noise is known, or that have none
    sigmas: Mapping[str, float] = field(default_factory=dict)  # of gains
    df: float = 0.0
    fidelity: str = FULL  # of the runs


NOTHING = Known()


async def of_study(place: Place, revision: Revision, hours: float = HOURS) -> Plan:
    """The plan of a study as its file and its record stand."""
    settings = revision.settings
    nothing: tuple[list[Run], list[Value]] = [], []
    runs, values = await ask(place, recorded, nothing)
    probe = probed.read(place)
    known, full = by_fidelity(settings, runs, values, by_probe(settings, probe))
    why, last = foretold(settings, probe), await ask(place, planned.latest, None)
    why = why or (timed.SEEN if last and timed.NOTE(timed.SEEN) in last.notes else "")
    return replace(foresee(settings, known, hours, full=full), notes=(timed.NOTE(why),) if why else ())


def foretold(settings: Settings, probe: Probed | None) -> str:
    """Why training is taken to work for a given time, before any run; nothing where it is not."""
    if timed.works_for_seconds(settings):
        return timed.GIVEN
    known = probe is not None and probe.time_budget and same_command(settings, probe)
    return timed.PROBED if known else ""


def by_fidelity(settings: Settings, own: Sequence[Run], values: Sequence[Value], probe: Known) -> tuple[Known, Known]:
    """What is known of the runs that search, and of those that confirm where they are others: a probe is of these."""
    if settings.fidelity:
        return by_runs(settings, own, values, QUICK), merged(by_runs(settings, own, values, FULL), probe)
    return merged(by_runs(settings, own, values, FULL), probe), NOTHING


def merged(recorded: Known, probe: Known) -> Known:
    """Times of the record where it has any; its noise is not known yet, so that is the probe's."""
    if not recorded.where:
        return probe
    if recorded.sigmas or not probe.sigmas:
        return recorded
    where = f"{recorded.where}; the noise from {probe.where}"
    return replace(recorded, where=where, axes=probe.axes, sigmas=probe.sigmas, df=probe.df)


async def recorded(database: Database) -> tuple[list[Run], list[Value]]:
    """The baseline's good runs on the newest bench, and all values of it."""
    runs = [run for run in await views.runs(database, 0) if run.outcome is Outcome.OK]
    if not runs:
        return [], []
    bench = runs[-1].bench
    return [run for run in runs if run.bench == bench], await views.values(database, bench)


def by_runs(settings: Settings, own: Sequence[Run], values: Sequence[Value], at: str) -> Known:
    """What runs of the baseline at a fidelity say, and all values of their bench."""
    own = [run for run in own if run.fidelity == at and run.purpose != RERUN]
    if not own:
        return Known(fidelity=at)
    runs = Runs(settings, values, at)
    axes = runs.axes()
    within = {one.name: runs.noise(one.name, one.base).within() for one in axes}
    sigmas = {name: math.sqrt(pool.variance) for name, pool in within.items() if pool.df and pool.variance}
    seconds = [run.ended_at - run.started_at for run in own if run.ended_at is not None]
    return Known(
        f"{len(own)} run{'s' * (len(own) > 1)} of the baseline{_at(settings, at)}",
        math.fsum(seconds) / len(seconds) if seconds else None,
        max((s.peak_bytes for run in own for s in run.stages if s.peak_bytes is not None), default=None),
        max((s.peak_device_bytes for run in own for s in run.stages if s.peak_device_bytes is not None), default=None),
        axes,
        sigmas,
        max((pool.df for pool in within.values()), default=0.0),
        at,
    )


def by_probe(settings: Settings, found: Probed | None) -> Known:
    """What a probe says of full runs, if it was of the same command and has run well, and those are given no more."""
    if found is None or not found.good or not same_command(settings, found):
        return NOTHING
    if settings.fidelity and settings.fidelity.full:
        return NOTHING
    axes: list[Axis] = []
    for name in settings.steering:
        objective = settings.objectives[name]
        if (spoken := _spoken(settings, name, found)) and (noise := found.noise.get(spoken)):
            axes.append(axis(name, objective, noise.mean, noise.relative))
    noises = {one.name: found.noise[str(_spoken(settings, one.name, found))] for one in axes}
    also = f", of {names(settings)[0]} alone" if len(names(settings)) > 1 else ""
    whole = [one.whole_seconds for one in found.good]
    return Known(
        f"a probe of {len(found.good)} runs{also}{_at(settings, FULL)}",
        math.fsum(whole) / len(whole),
        max((one.peak_bytes for one in found.good if one.peak_bytes is not None), default=None),
        max((one.peak_device_bytes for one in found.good if one.peak_device_bytes is not None), default=None),
        axes,
        {name: noise.relative for name, noise in noises.items() if noise.sd},
        float(max((noise.df for noise in noises.values()), default=0)),
    )


def _at(settings: Settings, fidelity: str) -> str:
    return f" at {fidelity}" if settings.fidelity else ""


def same_command(settings: Settings, found: Probed) -> bool:
    """Whether the train command is the one that was probed, whatever else it is told of its output and its knobs."""
    if found.cwd != settings.run.cwd:
        return False
    asked = list(found.command)
    if asked and PYTHON.fullmatch(asked[0].rpartition("/")[2]):
        asked[0] = "python"
    own = shlex.split(settings.run.train)
    if own and own[0] in PYTHONS:
        own[0] = "python"
    knobs = {name for name in settings.space.knobs if name.startswith("--")}
    return _plain(own, knobs) == _plain(asked, knobs)


def _plain(words: Sequence[str], knobs: Collection[str]) -> list[str]:
    """The words of a command but those that give a knob its value, and those that cockpit fills in."""
    kept = list[str]()
    for word, before in zip(words, ["", *words], strict=False):
        value = before in knobs and not re.match(r"-(?![0-9.])", word)
        if word.startswith("{") and re.fullmatch(r"-[^=]+", before):
            kept.pop()  # the flag that it is the value of
        elif word.partition("=")[0] not in knobs and not value and "{" not in word:
            kept.append(word)
    return kept


def _spoken(settings: Settings, name: str, found: Probed) -> str | None:
    """What the probe calls an objective."""
    source = settings.objectives[name].source
    for one in found.metrics:
        if one.name == name:
            return one.name
        if source and ((source.pattern, source.file) == (one.pattern, one.file)) and source.name in (None, one.key):
            return one.name
    return None


# --- what follows ----------------------------------------------------------------------------------------------------


def foresee(
    settings: Settings, known: Known, hours: float = HOURS, experiments: int | None = None, full: Known = NOTHING
) -> Plan:
    """What so many hours can answer, by what is `known` of the runs that search, and of those in `full` beside them.

    `experiments`: no more than that, e0000 left out.
    """
    budget = settings.budget
    bounded_by = _time(hours)
    if budget.time is not None and budget.time < hours * 3600:
        hours, bounded_by = budget.time / 3600, "[budget] time"
    if experiments is None and budget.experiments is not None:
        experiments = budget.experiments - 1

    def room(one: Known) -> int | None:
        there = int(hours * 3600 / one.run_seconds) if one.run_seconds else None
        return budget.runs if there is None or (budget.runs is not None and budget.runs < there) else there

    foreseen, own = list[Foreseen](), preset(settings)
    for one in (known, full) if full.where else (known,):
        if (count := room(one)) is not None:
            noisy, presets = _noisy(settings, one), _presets(settings, one.fidelity)
            foreseen += [_by(chosen, settings, one, noisy, count, experiments) for chosen in presets]
    first = known if known.where or not full.where else full
    runs = room(first) if (searches := room(known)) is None else searches
    bounded_by = "[budget] runs" if runs is not None and runs == budget.runs else bounded_by
    plan = Plan(
        own.name, hours, first.where, first.run_seconds, first.peak_bytes, first.peak_device_bytes, runs, bounded_by,
        tuple(foreseen), (), "",
    )  # fmt: skip
    if searches is None:  # how many runs there is room for by which experiments are chosen is not known
        return plan
    noisy = _noisy(settings, known)
    warning = _warning(plan, noisy, experiments)
    return replace(plan, warning=warning, advice=tuple(_advice(plan, settings, known, noisy, experiments)))


def _noisy(settings: Settings, known: Known) -> list[str]:
    return [name for name in settings.steering if not _certain(settings, known, name)]


def _presets(settings: Settings, fidelity: str) -> list[Preset]:
    """Each preset, the study's own with its numbers of seeds. Where there are two fidelities, full runs confirm."""
    own, found = preset(settings), list[Preset]()
    for one in PRESETS.values():
        if settings.fidelity and fidelity == FULL:
            found.append(own if one.name == own.name else one.apart)
        elif one.name == own.name:
            fresh = one.fresh if settings.fidelity else own.fresh
            found.append(replace(one, fresh=fresh, race_seeds=own.race_seeds))
        else:
            found.append(one)
    return found


def brief(plan: Plan) -> str:
    """It in a sentence."""
    own = plan.own
    if plan.warning or own is None:
        return plan.warning or "what can be answered is not known"
    gains = [f"{name} {100 * gain:.2g} %" for name, gain in own.gains.items() if gain is not None]
    can = f"; the smallest gain that can be confirmed is {', '.join(gains)}" if gains else ""
    if not gains and own.sigmas is not None:
        can = f"; the smallest gain that can be confirmed is {own.sigmas:.1f} times the noise of a run"
    at = f" at {own.fidelity}" if QUICK in {one.fidelity for one in plan.foreseen} else ""
    return f"room for {own.experiments} experiment{'s' * (own.experiments != 1)}{at} in {_time(plan.hours)}{can}"


def _time(hours: float) -> str:
    """`8 h`, `20 min`, `6 s`."""
    if hours >= 1:
        return f"{hours:.2g} h"
    return f"{hours * 60:.2g} min" if hours >= 1 / 60 else f"{hours * 3600:.2g} s"


def _certain(settings: Settings, known: Known, name: str) -> bool:
    """Whether an objective has no noise."""
    return settings.objectives[name].deterministic or any(one.deterministic for one in known.axes if one.name == name)


def _by(
    chosen: Preset, settings: Settings, known: Known, noisy: Sequence[str], runs: int, experiments: int | None
) -> Foreseen:
    axes = {one.name: one for one in known.axes}
    smallest = {name: axes[name].smallest / sigma for name, sigma in known.sigmas.items() if name in noisy}
    asked = Question(
        chosen,
        baseline=settings.seeds.baseline,
        df=max(known.df, settings.seeds.baseline - 1.0),
        noisy=max(1, len(noisy)),
        smallest=min(smallest.values(), default=0.5),
    )
    if not noisy:  # one run says it all
        count = max(0, runs - 1)
        count = count if experiments is None else min(count, experiments)
        return Foreseen(chosen.name, known.fidelity, count, 1.0, 2, None, {})
    said = foresight.answer(asked, runs, 1.0, experiments)
    gains: dict[str, float | None] = {}
    for name in noisy:
        sigma, one = known.sigmas.get(name), axes.get(name)
        if said.smallest_gain is None or sigma is None or one is None:
            gains[name] = None
        else:
            own = foresight.answer(replace(asked, smallest=smallest[name]), runs, sigma, experiments).smallest_gain
            gains[name] = abs(one.change(own, 0.0)) if own is not None and math.isfinite(own) else None
    sigmas = said.smallest_gain if said.smallest_gain is not None and math.isfinite(said.smallest_gain) else None
    return Foreseen(chosen.name, known.fidelity, said.experiments, said.runs_a_null, said.least_runs, sigmas, gains)


def _warning(plan: Plan, noisy: Sequence[str], experiments: int | None) -> str:
    """Why the question cannot be answered, where it cannot."""
    own = plan.own
    if own is None or not noisy:
        return ""
    if plan.runs is not None and own.sigmas is None:
        if experiments == 0:
            return "no experiment is asked for, so nothing can be confirmed"
        return (
            f"no winner can be confirmed: {plan.bounded_by} has room for {plan.runs} "
            f"run{'s' * (plan.runs != 1)}, and one winner takes {own.least_runs} at least"
        )
    known = [gain for gain in own.gains.values() if gain is not None]
    if known and min(known) > TOO_LARGE:
        return f"only gains of more than {100 * min(known):.0f} % can be confirmed: a run is too noisy for less"
    return ""


def _advice(plan: Plan, settings: Settings, known: Known, noisy: Sequence[str], experiments: int | None) -> list[str]:
    """What to change to answer more, each with what that comes to."""
    own, advice = plan.own, list[str]()
    if own is None or plan.runs is None:
        return advice
    mine = next(one for one in _presets(settings, known.fidelity) if one.name == plan.preset)
    if own.sigmas is None or own.experiments < 20:
        then: Foreseen | None = None
        more = replace(known, run_seconds=known.run_seconds / 4) if known.run_seconds else known
        if plan.bounded_by.endswith("runs"):
            advice.append(f"more runs: {4 * max(own.least_runs, 1)} or so in [budget]")
        elif known.run_seconds:
            then = _by(mine, settings, more, noisy, 4 * plan.runs, experiments)
        if then is not None and (
            then.experiments > own.experiments or (own.sigmas is None and then.sigmas is not None)
        ):
            advice.append(f"runs of a quarter of the time (fewer steps, less data): {then.experiments} experiments")
    if plan.preset != "fast" and own.sigmas is None:
        fast = next(one for one in plan.foreseen if one.preset == "fast")
        if fast.sigmas is not None:
            advice.append(f'[study] preset = "fast": one winner takes {fast.least_runs} runs, and luck wins more often')
    if len(noisy) > 1 and own.sigmas is not None:
        alone = _by(mine, settings, known, noisy[:1], plan.runs, experiments)
        if alone.sigmas is not None:
            advice.append(
                f"one objective that steers in place of {len(noisy)}: {alone.sigmas:.1f} standard deviations of a run "
                f"in place of {own.sigmas:.1f}"
            )
    return advice
