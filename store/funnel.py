"""What became of the proposals on the way from a thought to trunk: how many came through each step, and what was lost.

Each is counted once: where it came to an end, or where it stands. What was lost by the agent (a proposer, or the code
that it made) is kept apart from what was lost by the infrastructure (the machine, the line, the server), and both from
what the judge or the user said no to. What a loss has taken is the ledger's; what mending it would buy is that, at what
one measured experiment has taken.
"""

import json
from collections import Counter
from enum import StrEnum

from msgspec import Struct

from store.database import Database
from store.records import ENDED, MERGE, SEED, SYNC, WANTED_ENDS, CallOutcome, Ended, Ledger, Outcome, State
from store.views import STANDING, UP_WORDS

TOKENS, MODEL_SECONDS = "tokens", "model_seconds"
OWN_FAULT = (  # of a model, in a call: it answers, and not as it should; or its context is too short for what is asked
    CallOutcome.MALFORMED,
    CallOutcome.CUT_OFF,
    CallOutcome.TOO_LONG,
    CallOutcome.TRUNCATED,
)
DIED = (Ended.DIED.value, Ended.MACHINE_FAILED.value)  # an engine, and nobody wanted it
INTERRUPTED, DOWN, CUT_SHORT, FAILED = str(Outcome.INTERRUPTED), "down", "cut short", "failed: "


class By(StrEnum):
    """Who keeps a proposal from the next step."""

    AGENT = "agent"  # what proposed, or the code that it made
    INFRASTRUCTURE = "infrastructure"  # the machine, the line, the server
    JUDGE = "judge"  # its verdict is no confirmed gain
    USER = "user"  # who rejected it, merged it unconfirmed, or set the end that cut it short
    WAITING = "waiting"  # nobody: it is under way, or waits to be decided


STEPS = ("proposed", "admitted", "ran", "measured", "confirmed", "merged")
PROPOSED, ADMITTED, RAN, MEASURED, CONFIRMED, MERGED = range(len(STEPS))


class Stop(Struct, frozen=True):
    """So many came no farther than this, and why."""

    by: By
    reason: str
    number: int


class Step(Struct, frozen=True):
    """How many came so far, and what kept others of the step before from it, the most frequent first."""

    name: str
    number: int
    stops: tuple[Stop, ...] = ()

    def lost(self, by: By) -> int:
        """How many one of them has kept from it."""
        return sum(stop.number for stop in self.stops if stop.by is by)


class Loss(Struct, frozen=True):
    """A kind of loss: how often, what it has taken, and how much more there would be at most if it were mended."""

    by: By
    reason: str  # an outcome of the ledger
    number: int  # of proposals, calls, runs or engines
    seconds: float  # of devices, or of the slot where there is none
    tokens: float
    model_seconds: float
    measured: float | None  # experiments that it would buy; None before one that took the same is measured
    confirmed: float | None  # of those, at the share that was confirmed


class Funnel(Struct, frozen=True):
    """From proposed to merged; and the losses, the dearest first."""

    steps: tuple[Step, ...]
    losses: tuple[Loss, ...] = ()
    unconfirmed: int = 0  # merged, and not in the last step, for they were not confirmed

    def losses_by(self, by: By) -> list[Loss]:
        """Those of one kind."""
        return [one for one in self.losses if one.by is by]


# The verdict of a merged one is that of its decision; of any other the newest, on whatever bench.
EXPERIMENTS = f"""
    WITH said AS (
        SELECT number AS experiment, word, asks, evidence = 'confirmed' AND word IN {UP_WORDS} AS confirmed
        FROM experiments JOIN verdicts ON verdicts.id = coalesce(
            CASE state WHEN 'merged' THEN (
                SELECT verdict FROM decisions WHERE experiment = number AND verb = 'merge' AND {STANDING}
                ORDER BY id DESC LIMIT 1
            ) END,
            (SELECT max(id) FROM verdicts WHERE experiment = number)
        )
    ), ended AS (
        SELECT experiment, max(runs.outcome = 'ok' AND runs.tree = experiments.tree) AS good,
               max(runs.outcome <> 'interrupted') AS ran
        FROM runs JOIN experiments ON number = experiment
        WHERE runs.outcome IS NOT NULL AND purpose <> 'rerun' GROUP BY 1
    )
    SELECT state, CASE detail WHEN '{ENDED}' THEN 'ended' ELSE failure END AS failure,
           coalesce(good, 0) AS good, coalesce(ran, 0) AS ran, word, coalesce(asks, 0) AS asks,
           coalesce(confirmed, 0) AS confirmed, operator IN ('{MERGE}', '{SYNC}') AS together, count(*) AS number
    FROM proposals JOIN experiments ON experiments.number = proposals.experiment
    LEFT JOIN said ON said.experiment = number LEFT JOIN ended ON ended.experiment = number
    WHERE operator <> '{SEED}'
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
# A thought is a chain of calls, from the one that reasons on; where that was broken off it is asked again. Every answer
# that can be read becomes a proposal. So a thought that came to none and whose last call was answered was cut short: by
# a budget, by an engine that has ended, or by one that died. NULL where it goes on, or the next call is about to begin.
THOUGHT = f"""
    WITH begun AS (
        SELECT asked.id, at, asked.ended_at, held_seconds, proposal, outcome, prompt_tokens, answer_tokens,
               engines.ended_at IS NULL AS lives,
               sum(purpose = 'reason' AND (before_purpose, before) IS NOT ('reason', 'broken off'))
                   OVER (ORDER BY asked.id) AS thought,
               CASE
                   WHEN outcome NOT IN ('ok', 'interrupted') THEN outcome
                   WHEN ended_by IN {DIED} THEN 'interrupted'
                   WHEN outcome IS NOT NULL THEN '{CUT_SHORT}'
               END AS came
        FROM (
            SELECT id, at, ended_at, held_seconds, proposal, outcome, prompt_tokens, answer_tokens, purpose,
                   lag(outcome) OVER (ORDER BY id) AS before, lag(purpose) OVER (ORDER BY id) AS before_purpose,
                   (SELECT id FROM engines WHERE started_at <= at ORDER BY id DESC LIMIT 1) AS engine
            FROM calls
        ) AS asked LEFT JOIN engines ON engines.id = engine
    ), whole AS (
        SELECT thought, max(id) AS last, max(proposal) AS proposal FROM begun GROUP BY thought
    ), thoughts AS (
        SELECT thought, whole.proposal, CASE
            WHEN outcome = 'ok' AND lives AND last = (SELECT max(id) FROM calls) THEN NULL ELSE came
        END AS ended FROM whole JOIN begun USING (thought) WHERE id = last
    )
"""
THOUGHTS = f"{THOUGHT} SELECT ended, count(*) AS number FROM thoughts WHERE proposal IS NULL GROUP BY 1"
# The calls that came to nothing: those of such a thought are lost for the reason for which the thought is.
CALLS = f"""
    {THOUGHT}, lost AS (
        SELECT begun.*, CASE WHEN thoughts.proposal IS NULL THEN ended WHEN begun.proposal IS NULL OR outcome <> 'ok'
               THEN came END AS why
        FROM begun JOIN thoughts USING (thought) WHERE outcome IS NOT NULL
    )
    SELECT why, count(*) AS number,
           coalesce(sum(coalesce(prompt_tokens, 0) + coalesce(answer_tokens, 0)), 0.0) AS tokens,
           sum(max(0.0, ended_at - at - held_seconds)) AS model_seconds
    FROM lost WHERE why <> '{CUT_SHORT}' GROUP BY 1
"""


async def read(database: Database, ledger: Ledger) -> Funnel:
    """The funnel of a study, whose ledger is this."""
    at: list[Counter[tuple[By, str]]] = [Counter() for _ in STEPS]  # who did not reach a step, and why
    merged = unconfirmed = 0
    for row in await database.rows(THOUGHTS):
        at[ADMITTED][_thought(row["ended"])] += row["number"]
    for row in await database.rows(REFUSALS):
        at[ADMITTED][By.AGENT, row["refusal"]] += row["number"]
    for row in await database.rows(EXPERIMENTS):
        where = _experiment(
            row["state"], row["failure"], row["word"], good=row["good"], ran=row["ran"], asks=row["asks"],
            confirmed=row["confirmed"], together=row["together"],
        )  # fmt: skip
        if where is None:
            merged += row["number"]
            continue
        step, by, reason = where
        at[step][by, reason] += row["number"]
        surprises = row["state"] == State.MERGED and not row["confirmed"] and not row["together"]
        unconfirmed += row["number"] if surprises else 0
    counts, steps = merged, list[Step]()
    for name, stops in reversed(list(zip(STEPS, at, strict=True))):
        kept = sorted(stops.items(), key=lambda one: (-one[1], one[0]))
        steps.append(Step(name, counts, tuple(Stop(by, reason, number) for (by, reason), number in kept if number)))
        counts += stops.total()
    steps.reverse()
    return Funnel(tuple(steps), tuple(await _losses(database, ledger, steps)), unconfirmed)


def _thought(outcome: str | None) -> tuple[By, str]:
    """What keeps a thought from being a proposal, by its last call."""
    if outcome is None:
        return By.WAITING, "under way"
    if outcome == CUT_SHORT:
        return By.USER, CUT_SHORT
    return (By.AGENT if outcome in OWN_FAULT else By.INFRASTRUCTURE), f"call {outcome}"


def _experiment(
    state: str,
    failure: str | None,
    word: str | None,
    *,
    good: bool,
    ran: bool,
    asks: bool,
    confirmed: bool,
    together: bool,
) -> tuple[int, By, str] | None:
    """The step that an experiment has not reached, and why; None where it is merged and confirmed.

    What is several `together` is trunk before it is run, and nobody has merged it unconfirmed.
    """
    merged = state == State.MERGED
    waits = {State.RUNNING: "under way", State.JUDGED: "offered", State.MEASURED: "waits for a verdict"}
    under_way = waits.get(State(state), "waits for its run" if merged else state)
    if failure == "ended":
        return RAN, By.USER, failure
    if failure is not None:
        step = RAN if failure == Outcome.INTERRUPTED and not ran else MEASURED
        by = By.INFRASTRUCTURE if failure == Outcome.INTERRUPTED else By.AGENT
        return step, by, "merged, and failed since" if merged else failure
    step = MERGED if confirmed else CONFIRMED
    if not good and state == State.JUDGED:
        return MEASURED, By.JUDGE, str(Outcome.STOPPED_EARLY)
    if not good:
        step = MEASURED if ran else RAN
    elif merged and confirmed:
        return None
    if state == State.REJECTED:
        return step, By.USER, "rejected"
    if merged and not together:
        return step, By.USER, "merged unconfirmed"
    if not good or confirmed or state in (State.QUEUED, State.RUNNING):
        return step, By.WAITING, under_way
    if word is None:
        return step, By.WAITING, "waits for a verdict"
    return step, *((By.WAITING, "more seeds asked for") if asks else (By.JUDGE, word))


# --- what was lost ---------------------------------------------------------------------------------------------------

REFUSALS = f"""
    SELECT refusal, count(*) AS number FROM proposals WHERE refusal IS NOT NULL AND operator <> '{SEED}' GROUP BY 1
"""
# Neither those that were to end, nor what is nobody's proposal: a baseline that fails, a challenger's seed, the change
# of a hard-coded one, which the engine offers.
RUNS = f"""
    SELECT runs.outcome, count(DISTINCT runs.id) AS number,
           coalesce(sum(max(1, devices) * (spans.ended_at - spans.began_at)), 0.0) AS seconds
    FROM runs LEFT JOIN spans ON spans.run = runs.id
    WHERE runs.outcome IS NOT NULL AND CASE runs.outcome
        WHEN 'ok' THEN 0
        WHEN 'stopped early' THEN 0
        WHEN 'interrupted' THEN NOT EXISTS (
            SELECT 1 FROM json_each('{json.dumps(WANTED_ENDS)}') WHERE runs.detail LIKE '%' || value
        ) OR (
            SELECT ended_by FROM engines WHERE started_at <= runs.started_at ORDER BY id DESC LIMIT 1
        ) = '{Ended.MACHINE_FAILED}'
        ELSE experiment > 0 AND purpose <> 'challenge'
             AND NOT EXISTS (
                 SELECT 1 FROM proposals WHERE operator = '{SEED}' AND proposals.experiment = runs.experiment
             )
    END GROUP BY 1
"""
# The time after an engine that nobody has ended: of each slot's devices, until the next one began.
DOWNS = f"""
    SELECT count(DISTINCT life) AS number, coalesce(sum(seconds), 0.0) AS seconds FROM (
        SELECT (ended_at - began_at) * max(1, coalesce(
                   (SELECT devices FROM runs WHERE slot = lane ORDER BY id DESC LIMIT 1), 1
               )) AS seconds,
               (SELECT max(id) FROM engines WHERE started_at < spans.ended_at) AS life
        FROM spans WHERE kind = '{DOWN}' AND lane <> 'model'
    ) JOIN engines ON engines.id = life WHERE ended_by IN {DIED}
"""
# What those that were measured have taken; and how many of them a model has thought of.
TAKEN = """
    WITH reached AS (
        SELECT number FROM experiments WHERE number > 0 AND failure IS NULL AND EXISTS (
            SELECT 1 FROM runs WHERE experiment = number AND outcome = 'ok' AND runs.tree = experiments.tree
        )
    ), asked AS (
        SELECT calls.* FROM calls JOIN proposals ON proposals.id = calls.proposal
        WHERE calls.outcome = 'ok' AND proposals.experiment IN reached
    )
    SELECT (
        SELECT coalesce(sum(max(1, devices) * (spans.ended_at - spans.began_at)), 0.0)
        FROM runs JOIN spans ON spans.run = runs.id
        WHERE runs.outcome = 'ok' AND experiment IN reached AND purpose NOT IN ('baseline', 'challenge')
    ) AS seconds,
    coalesce(sum(coalesce(prompt_tokens, 0) + coalesce(answer_tokens, 0)), 0.0) AS tokens,
    coalesce(sum(max(0.0, ended_at - at - held_seconds)), 0.0) AS model_seconds,
    count(DISTINCT proposal) AS thought_of FROM asked
"""


async def _losses(database: Database, ledger: Ledger, steps: list[Step]) -> list[Loss]:
    """The losses that there are."""
    (taken,) = await database.rows(TAKEN)
    (down,) = await database.rows(DOWNS)
    measured, confirmed, thought_of = steps[MEASURED].number, steps[CONFIRMED].number, taken["thought_of"]
    judged = measured - steps[CONFIRMED].lost(By.WAITING)  # to the end
    share = confirmed / judged if judged else None

    def loss(reason: str, number: int, seconds: float, tokens: float, model_seconds: float) -> Loss:
        bought = [
            (seconds, taken["seconds"], measured), (tokens, taken["tokens"], thought_of),
            (model_seconds, taken["model_seconds"], thought_of),
        ]  # fmt: skip
        known = [amount * of / all_of_them for amount, all_of_them, of in bought if amount and all_of_them and of]
        more = max(known, default=0.0) if len(known) == sum(amount > 0 for amount, _, _ in bought) else None
        gains = None if more is None or share is None else more * share
        return Loss(_by(reason), reason, number, seconds, tokens, model_seconds, more, gains)

    def thought(reason: str) -> tuple[float, float]:
        booked = ledger.by_outcome.get(reason, {})
        return booked.get(TOKENS, 0.0), booked.get(MODEL_SECONDS, 0.0)

    found = list[Loss]()
    for row in await database.rows(REFUSALS):
        reason = f"refused: {row['refusal']}"
        found.append(loss(reason, row["number"], 0.0, *thought(reason)))
    runs = {f"{FAILED}{row['outcome']}": row for row in await database.rows(RUNS)}
    for reason in dict.fromkeys([*runs, *(name for name in ledger.by_outcome if name.startswith(FAILED))]):
        number, seconds = (runs[reason]["number"], runs[reason]["seconds"]) if reason in runs else (0, 0.0)
        took = thought(reason)  # what a model had thought of an experiment that failed is lost with it
        if number or any(took):
            name = INTERRUPTED if reason == FAILED + INTERRUPTED else reason
            found.append(loss(name, number, seconds, *took))
    for row in await database.rows(CALLS):
        found.append(loss(f"call failed: {row['why']}", row["number"], 0.0, row["tokens"], row["model_seconds"]))
    found += [loss(DOWN, down["number"], down["seconds"], 0.0, 0.0)] if down["number"] else []
    return sorted(found, key=lambda one: (-(one.measured or 0.0), -one.seconds, -one.tokens, -one.model_seconds))


def _by(reason: str) -> By:
    """Who lost what is booked so."""
    word = reason.removeprefix("call failed: ")
    agents = reason.startswith((FAILED, "refused: ")) or word in OWN_FAULT
    return By.AGENT if agents else By.INFRASTRUCTURE
