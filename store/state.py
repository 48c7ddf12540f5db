"""Where an experiment is in its life: it follows from what a person decided or ended, from its runs and its verdict."""

from store.database import Change
from store.records import ENDED, Outcome, State
from store.views.parts import ENDS

DECIDED = {"merge": State.MERGED, "reject": State.REJECTED}


async def settle(change: Change, number: int, bench: str) -> None:
    """Bring an experiment's state up to date, as its runs on this bench have it."""
    row = (
        await change.rows(
            f"""
            WITH own AS (
                SELECT runs.* FROM runs JOIN experiments ON number = experiment
                WHERE experiment = ?1 AND bench = ?2 AND runs.tree = experiments.tree AND purpose <> 'rerun'
            ), decided AS (
                SELECT id, verb FROM decisions WHERE experiment = ?1
                UNION SELECT id, verb FROM taken JOIN decisions ON id = decision WHERE taken.experiment = ?1
            ), bad AS (
                SELECT outcome, detail FROM own
                WHERE outcome NOT IN ('ok', 'interrupted', 'stopped early') AND purpose <> 'challenge' AND NOT EXISTS (
                    SELECT 1 FROM own AS again
                    WHERE again.outcome = 'ok'
                    AND (again.seed, again.purpose, again.fidelity) = (own.seed, own.purpose, own.fidelity)
                ) ORDER BY id DESC LIMIT 1
            )
            SELECT
                (SELECT verb FROM decided WHERE verb <> 'undo'
                    AND NOT EXISTS (SELECT 1 FROM decisions AS later WHERE later.undoes = decided.id)
                    ORDER BY id DESC LIMIT 1) AS decided,
                EXISTS (SELECT 1 FROM runs WHERE experiment = ?1 AND outcome IS NULL) AS running,
                (SELECT outcome FROM own WHERE outcome IN ('ok', 'stopped early') ORDER BY id DESC LIMIT 1) AS newest,
                (SELECT outcome FROM bad) AS failure,
                (SELECT detail FROM bad) AS detail,
                EXISTS (
                    SELECT 1 FROM commands WHERE {ENDS} AND json_extract(arguments, '$.experiment') = ?1
                ) AS ended,
                (SELECT count(*) FROM own WHERE outcome = 'ok') AS measured,
                (SELECT runs FROM verdicts WHERE experiment = ?1 AND bench = ?2 ORDER BY id DESC LIMIT 1) AS judged
            """,
            number,
            bench,
        )
    )[0]
    failure, detail = None, ""
    if row["decided"]:
        state = DECIDED[row["decided"]]
        if state is State.MERGED and row["failure"]:  # it stays what trunk is, and that it fails is said
            failure, detail = row["failure"], row["detail"]
    elif row["running"]:
        state = State.RUNNING
    elif row["failure"]:
        state, failure, detail = State.FAILED, row["failure"], row["detail"]
    elif row["newest"] == Outcome.STOPPED_EARLY:  # its verdict came with it
        state = State.JUDGED
    elif row["measured"]:
        state = State.JUDGED if row["judged"] == row["measured"] else State.MEASURED
    elif row["ended"]:
        state, failure, detail = State.FAILED, Outcome.INTERRUPTED, ENDED
    else:
        state = State.QUEUED
    await change.execute(
        "UPDATE experiments SET state = ?, failure = ?, detail = ? WHERE number = ?", state, failure, detail, number
    )
