"""A study that never was, with an experiment of each kind, for what draws one."""

import math
from typing import Any

from msgspec.structs import replace

from cockpit.feed import Snapshot
from store.account import NOTHING, Account
from store.calls import Became, Told
from store.funnel import By, Funnel, Loss, Step, Stop
from store.lanes import devices
from store.records import (
    Call,
    CallOutcome,
    Decision,
    Engine,
    Event,
    Evidence,
    Experiment,
    Frontier,
    Keeps,
    Ledger,
    Limit,
    Measurement,
    Outcome,
    Point,
    Proposal,
    Reference,
    Refusal,
    Run,
    Source,
    Stage,
    State,
    Study,
    Verdict,
    Word,
)
from store.review import Review
from store.yields import Kind, Lift, Yield, Yields

NOW = 1_700_000_000.0
OBJECTIVES = {
    "nll": {"direction": "minimize", "label": None, "unit": None, "kind": "quality", "steers": True},
    "predict_us_per_item": {"direction": "minimize", "label": None, "unit": "us", "kind": "time", "steers": True},
    "parameters": {"direction": "minimize", "label": None, "unit": None, "kind": "count", "steers": True},
    "accuracy": {"direction": "maximize", "label": None, "unit": None, "kind": "quality", "steers": False},
}
FACTS: dict[str, Any] = {
    "study": "digits",
    "objectives": OBJECTIVES,
    "steering": ["nll", "predict_us_per_item", "parameters"],
    "seeds": 3,
    "limits": {"experiments": 20, "seconds": None},
    "goal": "Lower the nll",
    "knobs": {"model.py:WIDTH": "8..256 log", "train.py:EPOCHS": "2..40 log"},
    "model": "qwen2.5-coder:7b",
    "model_host": "http://127.0.0.1:11434",
    "model_why": "",
    "wall": "bwrap",
    "no_wall": "",
    "meter": "pss 4 Hz, maxrss",
    "bench": "37242fc0",
}


def figure(
    change: float, margin: float, moved: str, *, smallest: float = 0.01, deterministic: bool = False
) -> dict[str, Any]:
    """What a verdict says of an objective of which less is better."""
    gain = -math.log1p(change) if change > -1 else 9.0
    return {
        "change": change, "gain": gain, "margin": margin, "low": gain - margin, "high": gain + margin, "moved": moved,
        "smallest": smallest, "deterministic": deterministic, "better": 0.5, "not_worse": 0.5, "n": 3, "n_incumbent": 3,
    }  # fmt: skip


def verdict(number: int, word: Word, evidence: Evidence, sentence: str, **figures: Any) -> Verdict:
    """A verdict against the baseline."""
    runs = {Evidence.SCREENED: 1, Evidence.PROMISING: 3}.get(evidence, 7)
    return Verdict(number, "37242fc0", 0, runs, "rule", word, evidence, False, sentence, figures, NOW - 60, id=number)


def measured(nll: float, predict: float, parameters: float, n: int = 1) -> tuple[Measurement, ...]:
    """Values of all objectives."""
    values = {"nll": nll, "predict_us_per_item": predict, "parameters": parameters, "accuracy": 1 - nll}
    return tuple(Measurement(name, value, Source.SCORED, n) for name, value in values.items())


def experiment(number: int, slug: str, state: State, **more: Any) -> Experiment:
    """One, that began so many minutes before the next."""
    more.setdefault("parent", 0 if number else None)
    more.setdefault("root", more["parent"])
    more.setdefault("proposer", "optimiser" if number else None)
    more.setdefault("hypothesis", f"KNOB {number} → {number + 1}" if number else "")
    branch, at = f"cockpit/digits/e{number:04}", NOW - 60 * (60 - number)
    return Experiment(number, slug, state, f"tree{number}", f"commit{number}", branch, at, **more)


FASTER = "predict 38 % faster (P > .999), parameters 62 % lower, nll 2.7 % worse (P = .99)"


def judged(
    number: int, slug: str, values: tuple[Measurement, ...], word: Word, said: str, figures: dict[str, Any],
    state: State = State.JUDGED,
) -> Experiment:  # fmt: skip
    """An experiment with a verdict; one that has run on several seeds is promising."""
    evidence = Evidence.PROMISING if values[0].n > 1 else Evidence.SCREENED
    sentence = f"{said}; {values[0].n} seeds"
    return experiment(
        number, slug, state, measurements=values, verdict=verdict(number, word, evidence, sentence, **figures)
    )


FUNNEL = Funnel(
    (
        Step("proposed", 10),
        Step("admitted", 8, (Stop(By.AGENT, "duplicate", 1), Stop(By.INFRASTRUCTURE, "call timeout", 1))),
        Step("ran", 6, (Stop(By.WAITING, "queued", 1), Stop(By.WAITING, "under way", 1))),
        Step("measured", 5, (Stop(By.AGENT, "out of memory", 1),)),
        Step(
            "confirmed",
            2,
            (Stop(By.JUDGE, "worse", 1), Stop(By.JUDGE, "inconclusive", 1), Stop(By.USER, "rejected", 1)),
        ),
        Step("merged", 1, (Stop(By.WAITING, "offered", 1),)),
    ),
    (
        Loss(By.AGENT, "refused: duplicate", 1, 0.0, 800.0, 24.0, 0.51, 0.2),
        Loss(By.AGENT, "failed: out of memory", 1, 9.0, 0.0, 0.0, 0.37, 0.15),
        Loss(By.INFRASTRUCTURE, "interrupted", 1, 4.0, 0.0, 0.0, 0.16, 0.07),
        Loss(By.INFRASTRUCTURE, "call failed: timeout", 1, 0.0, 0.0, 30.0, 0.0, 0.0),
    ),
)
YIELDS = Yields(
    Yield("", 7, 2, 0.42, 245.0, 5690.0, 140.0),
    (Yield("optimiser", 5, 2, 0.42, 180.0, 0.0, 0.0), Yield("model", 2, 0, 0.0, 30.0, 5690.0, 140.0)),
    (Yield("qwen2.5-coder:7b", 2, 0, 0.0, 30.0, 5690.0, 140.0),),
    (
        Yield("knobs", 5, 2, 0.42, 180.0, 0.0, 0.0, "optimiser"),
        Yield("rewrite", 2, 0, 0.0, 30.0, 5690.0, 140.0, "model"),
    ),
    (Lift("model", "optimiser", 2, 5, Kind.TOO_FEW),),
)


def every_kind() -> Snapshot:
    """A study in the middle of its night."""
    trade = {
        "nll": figure(0.0266, 0.008, "down"),
        "predict_us_per_item": figure(-0.38, 0.02, "up", smallest=0.05),
        "parameters": figure(-0.62, 0.0, "up", deterministic=True),
    }
    level = {
        "nll": figure(0.004, 0.02, "open"),
        "predict_us_per_item": figure(0.01, 0.06, "open", smallest=0.05),
        "parameters": figure(0.0, 0.0, "equal", deterministic=True),
    }
    worse = level | {"nll": figure(0.58, 0.05, "down")}
    rows = (
        experiment(0, "baseline", State.MEASURED, measurements=measured(0.1268, 4.1, 26_100, 3)),
        judged(1, "drop-second-layer", measured(0.1302, 2.54, 9_870, 3), Word.TRADE_OFF, FASTER, trade),
        judged(2, "wider-192", measured(0.1201, 5.3, 51_000), Word.INCONCLUSIVE, "nll 5.3 % better (P = .88)", level),
        experiment(3, "depth-9", State.FAILED, failure=Outcome.OUT_OF_MEMORY, detail="9.1 of 8 GB"),
        judged(4, "lr-8e-3", measured(0.2, 4.0, 26_100), Word.WORSE, "nll 58 % worse (P > .999)", worse),
        judged(5, "prune-30", measured(0.125, 3.2, 18_000, 3), Word.BETTER, "predict 22 % faster", trade, State.MERGED),
        judged(6, "sgd-nesterov", measured(0.14, 4.2, 26_100), Word.WORSE, "nll 10 % worse", level, State.REJECTED),
        experiment(7, "gelu-activation", State.RUNNING),
        experiment(8, "batch-64", State.QUEUED),
    )
    trained = Stage("train", Outcome.OK, 0, NOW - 9, 6.0, 6.0, None, "train.log")
    run = Run(
        12, 7, "rev", "tree7", "37242fc0", 169504, "screen", "full", 1, "slot0", "bwrap", "pss", "variables", NOW - 9,
        stages=(trained,),
    )  # fmt: skip
    spent = {
        "frontier": {"seconds": 102.0, "tokens": 3130.0, "model_seconds": 80.0},
        "worse": {"seconds": 83.0, "tokens": 1760.0, "model_seconds": 36.0},
        "baseline": {"seconds": 35.0},
        "failed: out of memory": {"seconds": 9.0},
        "refused: duplicate": {"tokens": 800.0, "model_seconds": 24.0},
        "interrupted": {"seconds": 4.0},
        "trade-off not offered": {"seconds": 12.0},
        "overhead": {"seconds": 3.0},
        "idle: waiting for a proposal": {"seconds": 0.7},
        "idle: engine": {"seconds": 0.3},
        "idle: not its turn": {"model_seconds": 94.0},
    }
    total = {
        name: sum(amounts.get(name, 0.0) for amounts in spent.values())
        for name in ("seconds", "tokens", "model_seconds")
    }
    spending = Ledger(total, spent, {"optimiser": 6, "model": 2}, {"model": {Refusal.DUPLICATE: 1}})
    return Snapshot(
        study=Study("digits", "Lower the nll", 0, "3f9a1c2" + "0" * 33, NOW - 3600),
        engine=Engine(1, 4711, NOW - 3600, None, None, FACTS),
        pid=4711,
        paused=False,
        experiments=rows,
        incumbent=0,
        decision=Decision("reject", 6, "", None, "a", "a", id=2),
        frontier=Frontier(
            (Point(0, False, 0.61), Point(1, True, 1.0), Point(2, False, 0.087), Point(5, False, 0.955)), 1.0, 1.42, 6
        ),
        keeps=Keeps(9, 0, 0.027, "nll", False, 3, 2, 1),
        reference=(Reference("nll", "minimize", 0.1268, 0.139, 3),),
        account=Account(spending, FUNNEL, YIELDS, devices(spending), Review(2, 3600.0, 1, 14, 0)),
        limits=(
            Limit("experiments", 20, NOW - 3, 9, 0, 9.0, NOW + 4400),
            Limit("tokens", 50_000, NOW - 3, 5690, 1200, 5690.0, NOW + 28_000),
            Limit("time", 36_000, NOW - 3, 3597, 0, 3600.0, NOW + 32_400),
        ),
        seconds={0: 35.0, 1: 34.0, 2: 12.0, 3: 9.0, 4: 11.0, 5: 36.0, 6: 11.0},
        running=(run,),
        events=(
            Event(1, NOW - 9, "running", 7, 12, "e0007 running: screen, seed 169504"),
            Event(2, NOW - 3, "stage", 7, 12, "e0007 train: ok after 6.0 s"),
        ),
    )  # fmt: skip


def unbegun() -> Snapshot:
    """A study of which nothing is recorded."""
    return replace(
        every_kind(), study=None, engine=None, pid=None, experiments=(), decision=None, frontier=Frontier(),
        keeps=None, reference=(), account=NOTHING, limits=(), seconds={}, running=(), events=(),
    )  # fmt: skip


def call(number: int, purpose: str = "reason", tried: int = 18, **more: Any) -> Call:
    """A call of the study's night. Of 47 lines about what was tried only so many were sent."""
    given = {
        "goal": ["Lower the nll"],
        "knobs": ["WIDTH: a whole number in 8..256 log; now 64", "DEPTH: a whole number in 1..4; now 2"],
        "notes": [],
        "tried": [f"WIDTH 64 → {number}: worse" for number in range(tried)],
    }
    texts = [f"The {name}:\n" + "".join(f"- {one}\n" for one in lines) for name, lines in given.items() if lines]
    sections: list[dict[str, Any]] = [
        {"name": name, "tokens": 20 * len(lines), "lines": len(lines), "of": len(lines)}
        for name, lines in given.items()
    ]
    if tried < 47:
        sections[-1] |= {"of": 47, "cut": "to fit 1500 tokens"}
    sections += [{"name": name, "tokens": 10, "lines": 1, "of": 1} for name in ("system", "question")]
    messages = [
        {"role": "system", "content": "You improve a training script."},
        {"role": "user", "content": "\n".join(texts) + "\nWhich knob next?\n\nIn two sentences."},
    ]
    if purpose != "reason":
        messages += [
            {"role": "assistant", "content": "A wider net."},
            {"role": "user", "content": "Write that as JSON."},
        ]
    said: dict[str, Any] = {
        "ended_at": NOW - 548, "outcome": CallOutcome.OK, "answer": "A wider net should fit better.", "num_ctx": 8192,
        "prompt_tokens": 500, "answer_tokens": 41, "answer_seconds": 12.0, "prompt_seconds": 8.0, "held_seconds": 5.0,
        **more,
    }  # fmt: skip
    prompt = {"messages": messages, "sections": sections if purpose == "reason" else []}
    return Call("qwen2.5-coder:7b", "embedded", "knobs", purpose, prompt=prompt, at=NOW - 600, id=number, **said)


def told(one: Call, experiment: int | None = 7, refusal: Refusal | None = None, **more: Any) -> Told:
    """A call as it is looked at, that came to an experiment or a refusal; or to no proposal, with None."""
    change = {"knobs": {"train.py:WIDTH": 96, "train.py:DEPTH": 3}}
    proposal = Proposal("model", "knobs", 0, "WIDTH 64 → 96, DEPTH 2 → 3", change, NOW - 540, refusal=refusal, **more)
    number = None if refusal else experiment
    became = Became(proposal, number, State.RUNNING if number else None) if refusal or number else None
    sections = one.prompt["sections"] or call(1).prompt["sections"]
    return Told(one, tuple(sections), became, 94)


def offered(*worths: float | None) -> list[Experiment]:
    """The baseline, and so many offers, each worth so much at the user's rates; None where they do not say."""
    rows = [every_kind().experiments[0]]
    for number, worth in enumerate(worths, 1):
        figures = {"nll": {**figure(-0.1, 0.01, "up"), "worth": worth}}
        said = verdict(number, Word.BETTER, Evidence.CONFIRMED, "nll 10 % better; 7 seeds", **figures)
        rows.append(experiment(number, "better", State.JUDGED, measurements=measured(0.11, 4.1, 26_100), verdict=said))
    return rows
