"""The nouns of a study, as the record keeps them. This file is the glossary."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from math import inf
from typing import Any

from msgspec import Struct, field


class State(StrEnum):
    """Where an experiment is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    MEASURED = "measured"  # and waits for its verdict
    JUDGED = "judged"
    MERGED = "merged"
    REJECTED = "rejected"
    FAILED = "failed"


class Word(StrEnum):
    """What the judge says of an experiment against the incumbent."""

    BETTER = "better"  # up somewhere, nothing lost
    GAIN = "gain"  # up somewhere, the rest not yet shown safe
    TRADE_OFF = "trade-off"  # up somewhere at a known price
    EQUAL = "equal"  # the same to the last digit
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    INFEASIBLE = "infeasible"  # it breaks a bound that must hold


UP = (Word.BETTER, Word.GAIN, Word.TRADE_OFF)  # up somewhere


class Verification(StrEnum):
    """What is known of a merge whose tree nobody had run before: of several changes, or of trunk and the user's own."""

    WAITS = "waits"  # for its first run, or for the verdict on that
    HOLDS = "holds"
    FAILS = "does not hold"  # no measurement, or a bound broken, or worse than what trunk was, or too much lost


QUICK, FULL = "quick", "full"  # fidelities of a run: of a study without `[fidelity]` every one is full
POOR = 0.5  # a rank agreement below this, of quick and full
MERGE = "merge"  # the operator of such an experiment
SYNC = "sync"  # and of one that takes what the user has committed since
SEED = "seed"  # and of one by which a hard-coded seed is read from $COCKPIT_SEED: no gain, and offered all the same
ASKED_TO_END = "asked to end"  # how a run ends, that somebody or a limit has ended; and why one is not begun any more:
REJECTED_SINCE, CHANGED_SINCE = "has been rejected since", "what it was to measure has changed since"
ENDED = "its run was ended, and it is run no more"  # what has no measurement, for its person wants none
WANTED_ENDS = (ASKED_TO_END, REJECTED_SINCE, CHANGED_SINCE)


class Evidence(StrEnum):
    """How far a verdict can be trusted."""

    SCREENED = "screened"  # chosen by the runs that judge it
    PROMISING = "promising"  # and on several seeds
    CONFIRMED = "confirmed"  # on seeds never used for choosing


class Outcome(StrEnum):
    """How a run, or a stage of it, ended. All but OK and the last two are failures of the tree that ran."""

    OK = "ok"
    CRASH = "crash"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out of memory"
    NO_METRICS = "no metrics"
    DIVERGED = "diverged"
    TAMPERING = "tampering"  # what it left for the scorer would lead the scorer elsewhere
    SHADOWED = "shadowed by an editable install"  # an editable file was loaded from elsewhere than the run folder
    STOPPED_EARLY = "stopped early"  # by cockpit, for its curve was worse: no failure, and no value
    INTERRUPTED = "interrupted"  # ended from outside: says nothing of the tree, and is tried again


class Refusal(StrEnum):
    """Why a proposal was not admitted."""

    INVALID = "invalid"  # it cannot be applied, or what it makes is no Python
    DUPLICATE = "duplicate"  # it changes nothing, or makes what was tried already
    OUT_OF_THE_SPACE = "out of the space"  # it touches what it may not, or gives a knob a value it may not have
    UNSAFE = "unsafe"  # it would reach out of the tree: links, git's own files


class CallOutcome(StrEnum):
    """How a call to a model ended. All but OK are failures of the model, of its server, or of the line to it."""

    OK = "ok"
    UNREACHABLE = "unreachable"  # nobody listens there
    NO_MODEL = "no such model"
    BUSY = "busy"
    REFUSED = "refused"  # the server takes no such request
    TOO_LONG = "too long"  # the prompt is longer than the context, and the server says so
    TRUNCATED = "truncated"  # it is longer, and the server has cut it without a word
    SERVER_ERROR = "server error"
    TIMEOUT = "timeout"
    DROPPED = "dropped"  # the line went
    CUT_OFF = "cut off"  # the answer ended without saying that it was whole
    MALFORMED = "malformed"  # it is not what the protocol has
    BROKEN_OFF = "broken off"  # by cockpit, for a timed stage began on the same machine
    INTERRUPTED = "interrupted"  # the engine ended


class Source(StrEnum):
    """Where a measurement comes from, weakest first."""

    REPORTED = "reported"  # said by the code under test
    EVALUATED = "evaluated"  # by a protected file, in a process that also loads the code under test
    SCORED = "scored"  # by the scorer, which sees the outputs of the run as data
    MEASURED = "measured"  # by cockpit, from outside


class Idle(StrEnum):
    """What a lane that is free waits for, a slot or the model. One that is paused or without an engine is not idle."""

    PROPOSAL = "idle: waiting for a proposal"
    ENGINE = "idle: engine"  # which judges, and keeps its books
    STARTING = "idle: engine starting"
    ENDING = "idle: engine ending"
    NOT_ITS_TURN = "idle: not its turn"  # the model's, to propose
    HELD = "idle: held for a timed stage"  # the model, beside which nothing is timed


class Ended(StrEnum):
    """Why the engine ended."""

    EXPERIMENTS = "experiments"  # the budget's number of experiments is reached
    TIME = "time"  # the budget's time is used up, or what is left of it is too short for a run
    RUNS = "runs"  # so for the other budgets
    TOKENS = "tokens"
    DEVICE_HOURS = "device hours"
    JOULES = "joules"
    MONEY = "money"
    NO_PROPOSER = "no proposer"  # nobody is left to propose
    BASELINE_FAILED = "baseline failed"
    RETURNS = "diminishing returns"  # a confirmed gain has become as unlikely as `stop_when` says
    CONFIGURATION = "configuration"  # what was measured shows that cockpit.toml cannot be meant so
    STOPPED = "stopped"  # `cockpit stop`
    INTERRUPTED = "interrupted"  # Ctrl-C, or a signal
    MACHINE_FAILED = "machine failed"  # no room, no git, a record that cannot be written
    RERUN = "rerun"  # it lived for one run alone, which a person wanted to see again
    DIED = "died"  # the engine went without saying so: killed, or the machine went down

    @property
    def words(self) -> str:
        """Why, in a few words."""
        spent = (self.EXPERIMENTS, self.TIME, self.RUNS, self.TOKENS, self.DEVICE_HOURS, self.JOULES, self.MONEY)
        return f"no {self.value} left" if self in spent else self.value


BROKE = (Ended.MACHINE_FAILED, Ended.CONFIGURATION)  # it says of what


class Study(Struct, frozen=True):
    """One question asked of one repository. `trunk` is the commit of its best accepted code."""

    name: str
    goal: str
    seed: int
    trunk: str
    began_at: float


class Revision(Struct, frozen=True):
    """A text that `cockpit.toml` has had, when it was read first, and what was said to follow from it then."""

    digest: str
    text: str
    at: float
    said: str


class Engine(Struct, frozen=True):
    """One life of the engine. `facts` holds what was found out at its start: interpreter, wall, meter, device."""

    id: int
    pid: int
    started_at: float
    ended_at: float | None
    ended_by: Ended | None
    facts: dict[str, Any]
    because: str = ""  # of what it ended, where something broke

    @property
    def why(self) -> str:
        """Why it has ended, in a few words; or what broke."""
        words = (self.ended_by or Ended.DIED).words
        return f"{words}: {self.because}" if self.because else words


class Measurement(Struct, frozen=True):
    """A finite value of one objective, or of what is bounded, from one run, or the mean of `n` runs of one tree."""

    objective: str
    value: float
    source: Source
    n: int = 1
    selected: str = ""  # `min` or `max`, where it is that of a curve: better than what was to be had
    fidelity: str = FULL

    @property
    def said(self) -> str:
        """Its source, and whether it was selected."""
        return f"{self.source}, {self.selected} of its curve: selected" if self.selected else self.source


class Stage(Struct, frozen=True):
    """One process of a run: train, predict or score. What the meter could not measure is None."""

    name: str
    outcome: Outcome
    exit_status: int | None  # minus the signal's number where a signal ended it
    started_at: float
    wall_seconds: float
    cpu_seconds: float | None
    peak_bytes: int | None
    log: str  # relative to the study's folder
    detail: str = ""
    energy_joules: float | None = None  # of the GPUs that its run may use, while it ran
    peak_device_bytes: int | None = None


class Rerun(Struct, frozen=True):
    """A run that was asked for once more, by a command, and is not made yet."""

    command: int
    experiment: int
    seed: int


class Run(Struct, frozen=True):
    """One execution of a tree: one seed, one fidelity, one attempt, on one slot. Unfinished while `outcome` is None."""

    id: int
    experiment: int  # the number of the one for whose sake it was run
    revision: str  # the digest of the cockpit.toml by which it is read
    tree: str
    bench: str
    seed: int
    purpose: str
    fidelity: str
    attempt: int
    slot: str
    wall: str  # what stands between the code under test and the machine
    meter: str  # what measured its memory
    launch: str  # how its stages were started
    started_at: float
    ended_at: float | None = None
    outcome: Outcome | None = None
    detail: str = ""
    stages: tuple[Stage, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    devices: int = 0  # that it holds; none on a CPU

    @property
    def failed(self) -> bool:
        """Whether it has ended by a fault of the tree's own."""
        return self.outcome not in (None, Outcome.OK, Outcome.STOPPED_EARLY, Outcome.INTERRUPTED)

    @property
    def folder(self) -> str:
        """Where its files are, relative to the study's folder."""
        return f"runs/{self.id:06d}"


class Proposal(Struct, frozen=True):
    """A hypothesis in one sentence and a change to a parent. Refused ones are kept too, with the reason."""

    proposer: str
    operator: str
    parent: int  # the number of the experiment that it changes: trunk's, or one that a person has pinned
    hypothesis: str
    change: dict[str, Any]  # as it was proposed: `knobs`, values by key; or `rewrite`, a function's, and the answer
    at: float
    wall_seconds: float = 0.0  # that it took to think of
    refusal: Refusal | None = None
    reason: str = ""
    trunk: int | None = None  # what trunk was then; None is the parent


class Call(Struct, frozen=True):
    """One question to a model. It goes on while `outcome` is None; what the server has not said is None."""

    model: str
    host: str
    operator: str
    purpose: str  # reason; pack or write; repair
    num_ctx: int  # tokens of the context that it was given
    prompt: dict[str, Any]  # `messages`; `sections`, of each its size, what was cut of it, and why
    at: float
    id: int = 0
    ended_at: float | None = None
    outcome: CallOutcome | None = None
    detail: str = ""
    answer: str = ""
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    load_seconds: float | None = None  # of the model, before it could begin
    prompt_seconds: float | None = None
    answer_seconds: float | None = None
    held_seconds: float = 0.0  # it waited for a timed stage to end

    @property
    def line(self) -> str:
        """What came of it, in one line: `model: reason: 812 + 64 tokens, after 5.2 s`."""
        tokens = f"{'?' if self.prompt_tokens is None else self.prompt_tokens} + "
        tokens += f"{'?' if self.answer_tokens is None else self.answer_tokens} tokens"
        held = f", of which it was held {self.held_seconds:.1f} s" if self.held_seconds >= 0.1 else ""
        how = tokens if self.outcome is CallOutcome.OK else f"{self.outcome}, {self.detail}"
        return f"model: {self.purpose}: {how}, after {(self.ended_at or self.at) - self.at:.1f} s{held}"


class Verdict(Struct, frozen=True):
    """What the judge said of an experiment against the incumbent, in one line, from `figures`, an objective each."""

    experiment: int
    bench: str
    incumbent: int  # the number of the experiment that trunk was then
    runs: int  # of the experiment, by which it was chosen or on which it rests
    rule: str
    word: Word
    evidence: Evidence
    asks: bool  # for another run
    sentence: str
    figures: Mapping[str, Any]
    at: float
    explanation: str = ""  # how the rule came to it, in two sentences
    id: int = 0

    @property
    def promising(self) -> bool:
        """Whether it is up somewhere on several seeds, and not confirmed: what a person may want to look at."""
        return self.evidence is Evidence.PROMISING and self.word in UP

    @property
    def confirmed(self) -> bool:
        """Whether it is up somewhere, and that on seeds never used for choosing."""
        return self.evidence is Evidence.CONFIRMED and self.word in UP

    @property
    def barred(self) -> bool:
        """Whether more of something is lost than would be given up for anything."""
        return any(one.get("barred", False) for one in self.figures.values())

    @property
    def fidelity(self) -> str:
        """That of the runs on which it rests, of both sides."""
        return str(next((one["fidelity"] for one in self.figures.values() if "fidelity" in one), FULL))

    @property
    def seeds(self) -> int:
        """On how many seeds it rests: at another fidelity than its own it may have been run on more."""
        return min((one["n"] for one in self.figures.values() if "fidelity" in one), default=self.runs)

    @property
    def worth(self) -> float | None:
        """What it is worth at the user's exchange rates; None where they do not say."""
        parts = [one["worth"] for one in self.figures.values() if one.get("worth") is not None]
        return sum(parts) if parts else None

    @property
    def line(self) -> str:
        """All of it in one line: `better, promising: nll 10 % better (P > .999); 2 seeds`."""
        return f"{self.word}, {self.evidence}: {self.sentence}"


class Command(Struct, frozen=True):
    """What a person asks of the engine. `expected` is what they saw when they asked."""

    uuid: str
    verb: str
    arguments: dict[str, Any]
    expected: dict[str, Any]
    at: float
    id: int = 0
    intent: dict[str, Any] | None = None  # the decision and its answer, once they are made


class Answer(Struct, frozen=True):
    """What came of a command: whether it was done, and a sentence."""

    done: bool
    text: str
    told: Mapping[str, Any] = field(default_factory=dict)  # the same for a script, where it has more to it


class Decision(Struct, frozen=True):
    """*merge*, *reject*, or the *undo* of one. Trunk is where it was before and after.

    What a *redo* brings back is decided once more: a decision with the verb of the first one.
    """

    verb: str
    experiment: int
    reason: str
    verdict: int | None
    trunk_before: str
    trunk_after: str
    undoes: int | None = None
    id: int = 0
    taken: tuple[int, ...] = ()  # of several: those whose changes trunk takes, or that are rejected together

    @property
    def name(self) -> str:
        """What was decided: `merge of e0003`, `rejection of e0003 and e0007`."""
        about = self.taken if self.verb == "reject" and self.taken else [self.experiment]
        return f"{'rejection' if self.verb == 'reject' else self.verb} of {' and '.join(map(name_of, about))}"


# Git references that move: where each stands, and where it is to stand. None is nowhere.
Moves = Mapping[str, tuple[str | None, str | None]]
REFERENCES, START, FAST_FORWARD = "references", "start", "fast-forward"  # kinds of effects


class Wanted(Struct, frozen=True):
    """An effect: something outside of the record that is to be so. `intent` is how to recognise it.

    Of REFERENCES it is `moves`; of a START it is `run`, whose row has the folder, and in `started_at` the mark in it;
    of a FAST_FORWARD the working tree, `root`, its `branch`, and the commits `old` and `new`.
    """

    id: int
    intent: dict[str, Any]


class Value(Struct, frozen=True):
    """A value of one objective from one good run of an experiment's tree."""

    run: int
    experiment: int
    seed: int
    purpose: str
    objective: str
    value: float
    fidelity: str = FULL


class Experiment(Struct, frozen=True):
    """An admitted proposal made into a branch. Number 0 is the baseline, which nobody proposed."""

    number: int
    slug: str
    state: State
    tree: str
    commit: str
    branch: str
    created_at: float
    failure: Outcome | None = None
    detail: str = ""
    measurements: tuple[Measurement, ...] = ()  # at the fidelity of the search, which all have
    full: tuple[Measurement, ...] = ()  # at that of confirmation, where it is another one
    knobs: Mapping[str, Any] = field(default_factory=dict)  # their values in its tree, by key
    lines: int | None = None  # by which its tree differs from e0000's; None where an older cockpit made it
    parent: int | None = None  # what it changes: what trunk was, or one that a person had pinned
    root: int | None = None  # what trunk was, when it was proposed
    parents: tuple[int, ...] = ()  # that one, and those whose changes it takes to it
    proposer: str | None = None
    operator: str | None = None
    hypothesis: str = ""
    verdict: Verdict | None = None  # the newest on the bench of the last engine
    ended: bool = False  # by a person, who has ended a run of it: it is run no more for its own sake

    @property
    def id(self) -> str:
        """The name on screen and in commands: `e0042`."""
        return name_of(self.number)

    def at(self, fidelity: str) -> tuple[Measurement, ...]:
        """Its measurements at a fidelity. Those of the search are what there is of a study with one alone."""
        return self.full if fidelity == FULL and self.full else self.measurements

    def said_at(self, fidelity: str) -> str:
        """Which fidelity, in a sentence about a run of it: ` at quick`; nothing of a study with one alone."""
        return f" at {fidelity}" if QUICK in (fidelity, *(one.fidelity for one in self.measurements)) else ""

    @property
    def over(self) -> bool:
        """Whether it is decided, or has failed."""
        return self.state in (State.MERGED, State.REJECTED, State.FAILED)

    def made_from(self, incumbent: int) -> bool:
        """Whether it is what trunk is, and changes to that, and no more."""
        return incumbent in (self.root, self.parent)

    def stale(self, incumbent: int) -> bool:
        """Whether it is open, and was made from what trunk is no more. That informs, and bars nothing."""
        return not (self.over or self.parent is None or incumbent == self.number or self.made_from(incumbent))

    def bears(self, incumbent: int) -> bool:
        """Whether proposals may start from it, in trunk's place: it is open, is not stale, and has been measured."""
        return bool(self.number and self.measurements) and not self.over and self.made_from(incumbent)

    @property
    def verification(self) -> Verification | None:
        """Whether it holds, where it is trunk; None where it was merged as it had been measured, or is not merged."""
        if self.state is not State.MERGED or self.operator not in (MERGE, SYNC):
            return None
        said = self.verdict
        if self.failure or (said and (said.word in (Word.WORSE, Word.INFEASIBLE) or said.barred)):
            return Verification.FAILS
        return Verification.HOLDS if said else Verification.WAITS

    @property
    def known(self) -> bool:
        """Whether all is measured that a decision on it takes: it is confirmed, or is no gain and not meant to be."""
        said = self.verdict
        if said is None or said.confirmed:
            return said is not None
        return self.operator == SEED and said.word in (Word.EQUAL, Word.INCONCLUSIVE)

    @property
    def offered(self) -> bool:
        """Whether it is put to a person for decision, and not decided yet."""
        return self.state is State.JUDGED and self.known


def offers(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Those that are offered: those of most worth at the user's rates first, the newest of others, no gain last."""

    def order(one: Experiment) -> tuple[bool, float, int]:
        worth = one.verdict.worth if one.verdict else None
        return (one.operator != SEED, -inf if worth is None else worth, one.number)

    return sorted((one for one in experiments if one.offered), key=order, reverse=True)


PERSON = "person"  # who proposes, where it is no program
ENGINE = "engine"  # and where it is none that searches


def by(proposer: str | None) -> str:
    """A proposer, in a sentence."""
    return "a person" if proposer == PERSON else f"the {proposer}"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of some names: `train.py, model.py, …`."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def name_of(number: int) -> str:
    """What an experiment is called: `e0042`."""
    return f"e{number:04d}"


class Reference(Struct, frozen=True):
    """One objective of the reference point of a bench, frozen when the baseline has been run on all its seeds there."""

    objective: str
    direction: str  # minimize or maximize
    base: float  # the baseline's value then
    value: float  # the baseline made worse
    runs: int  # of the baseline, in `base`


class Point(Struct, frozen=True):
    """An experiment on the frontier. `balanced` marks the one pick among them."""

    experiment: int
    balanced: bool
    probability: float | None = None  # that it is on the frontier in truth; None before the noise is known


class Frontier(Struct, frozen=True):
    """The experiments that no other one epsilon-dominates. Hypervolumes are in units of the baseline's own."""

    points: tuple[Point, ...] = ()
    hypervolume: float = 0.0  # of the confirmed
    optimistic: float = 0.0  # of the promising too
    measured: int = 0  # the feasible experiments
    gains: tuple[tuple[int, float], ...] = ()  # what each confirmed one has added to the hypervolume, by number


class Progress(Struct, frozen=True):
    """The frontier's size at a moment, and what had been spent by then."""

    at: float
    experiments: int  # measured, and feasible
    hypervolume: float
    optimistic: float
    seconds: float  # that slots were used
    tokens: float


class Returns(Struct, frozen=True):
    """What the last while has bought, and what as many experiments more promise."""

    seconds: float  # how long a while
    experiments: int  # judged in it
    confirmed: int  # of those
    before: float  # the hypervolume at its start
    chance: float  # of a confirmed gain among as many more


class Keeps(Struct, frozen=True):
    """How far the confirmed experiments can be trusted; and what a rule that keeps what looks better would have merged.

    That rule decides by one run each, on one objective, and keeps what is better than the best so far.
    """

    screened: int
    confirmed: int
    expected_false: float  # of so many screened, by the null rate of the preset
    objective: str  # of the other rule; empty where none has noise
    maximize: bool
    kept: int  # by the other rule
    refuted: int  # of those: on their other seeds no better than what they would have replaced
    once: int  # of those: never run on another seed


class Agreement(Struct, frozen=True):
    """How far the quick runs rank the experiments that have both as the full ones do, by one objective."""

    objective: str
    experiments: int  # that have both, the baseline among them
    tau: float | None  # Kendall's tau-b, -1 to 1; None where one of the two ranks nothing

    @property
    def poor(self) -> bool:
        """Whether what is better at quick is little likelier to be better at full than not."""
        return self.tau is not None and self.tau < POOR


def agreed_on(found: Sequence[Agreement]) -> str:
    """How far quick and full agree, and what to do where that is poor: `… on the order of 5 experiments: loss .80`."""
    if not found:
        return ""
    each = ", ".join(f"{one.objective} {_share(one.tau)}" for one in found)
    of = f"on the order of {max(one.experiments for one in found)} experiments (tau-b): {each}"
    if not any(one.poor for one in found):
        return f"quick and full agree {of}"
    return f"quick and full agree poorly {of}; let quick run longer, for what is better there is often not so in full"


def _share(tau: float | None) -> str:
    """A number between -1 and 1: `.80`, `-.20`."""
    return "not known" if tau is None else f"{tau:.2f}".replace("0.", ".")


class Ledger(Struct, frozen=True):
    """What was spent: an amount a resource, in all and by what came of it; and what became of the proposals."""

    total: dict[str, float]
    by_outcome: dict[str, dict[str, float]]
    admitted: dict[str, int]  # proposals, by proposer
    refused: dict[str, dict[Refusal, int]]  # the same, and why

    @property
    def refusals(self) -> dict[str, int]:
        """How many were refused, by why, whoever proposed."""
        sums: dict[str, int] = {}
        for reasons in self.refused.values():
            for why, number in reasons.items():
                sums[why] = sums.get(why, 0) + number
        return sums


class Limit(Struct, frozen=True):
    """A budget: what may be spent of one thing, and how much of it was, at a moment. Time is in seconds."""

    budget: str  # experiments, runs, tokens, time, device_hours, joules, money
    most: float
    at: float
    spent: float
    reserved: float  # that what is unfinished is expected to take yet
    rate: float | None  # spent in an hour of an engine's life
    ends_at: float | None  # when it is used up at that rate; None where that is not known, or no engine lives
    price: float = 1.0  # of money, of an hour of a device; of all else of itself

    def left(self, now: float) -> float:
        """What is neither spent nor reserved. Time passes, whatever happens."""
        passed = max(0.0, now - self.at) if self.budget == "time" else 0.0
        return self.most - self.spent - passed - self.reserved


class Event(Struct, frozen=True):
    """One line of the journal. `text` is the sentence for a reader; `data` the same for a script."""

    seq: int
    at: float
    kind: str
    experiment: int | None
    run: int | None
    text: str
    data: dict[str, Any] = field(default_factory=dict)
