-- The record of a study. Each version's part is applied once, in order, in one transaction; a part that was released is
-- never edited. Times are seconds since 1970; JSON columns hold only what no query filters on.

-- version 1

CREATE TABLE study (                -- one row: the question
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    goal TEXT NOT NULL,
    seed INTEGER NOT NULL,
    trunk TEXT NOT NULL,            -- the commit of the best accepted code
    began_at REAL NOT NULL
) STRICT;

CREATE TABLE revisions (            -- each text that cockpit.toml has had
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;

CREATE TABLE benches (              -- what makes runs comparable
    hash TEXT PRIMARY KEY,
    facts TEXT NOT NULL,            -- JSON: what was hashed
    at REAL NOT NULL
) STRICT;

CREATE TABLE engines (              -- each life of the engine
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL,
    ended_by TEXT,
    facts TEXT NOT NULL             -- JSON: interpreter, wall, meter, device
) STRICT;

CREATE TABLE experiments (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    slug TEXT NOT NULL,
    state TEXT NOT NULL,
    tree TEXT NOT NULL,
    commit_oid TEXT NOT NULL,
    branch TEXT NOT NULL UNIQUE,
    failure TEXT,
    detail TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL
) STRICT;
CREATE INDEX experiments_tree ON experiments (tree);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment INTEGER NOT NULL REFERENCES experiments (number),    -- for whose sake it was run, and who is booked
    revision TEXT NOT NULL REFERENCES revisions (digest),           -- the cockpit.toml by which it is read
    tree TEXT NOT NULL,             -- what was run: the measurements are the tree's
    bench TEXT NOT NULL REFERENCES benches (hash),
    seed INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    fidelity TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    slot TEXT NOT NULL,
    wall TEXT NOT NULL,
    meter TEXT NOT NULL,
    launch TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL,
    outcome TEXT,                   -- NULL while unfinished
    detail TEXT NOT NULL DEFAULT '',
    UNIQUE (tree, bench, seed, purpose, fidelity, attempt),
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX runs_slot ON runs (slot) WHERE outcome IS NULL;    -- a slot is busy iff an unfinished run names it
-- What has succeeded is not run again.
CREATE UNIQUE INDEX runs_ok ON runs (tree, bench, seed, purpose, fidelity) WHERE outcome = 'ok';
CREATE INDEX runs_experiment ON runs (experiment);

CREATE TABLE stages (
    run INTEGER NOT NULL REFERENCES runs (id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    outcome TEXT NOT NULL,
    exit_status INTEGER,
    started_at REAL NOT NULL,
    wall_seconds REAL NOT NULL,
    cpu_seconds REAL,
    peak_bytes INTEGER,
    log TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, position)
) STRICT;

CREATE TABLE measurements (
    run INTEGER NOT NULL REFERENCES runs (id),
    objective TEXT NOT NULL,
    value REAL NOT NULL CHECK (abs(value) <= 1.7976931348623157e308),    -- finite
    source TEXT NOT NULL CHECK (source IN ('reported', 'evaluated', 'scored', 'measured')),
    PRIMARY KEY (run, objective)
) STRICT;

CREATE TABLE events (               -- the journal, and the change feed
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    experiment INTEGER,
    run INTEGER,
    text TEXT NOT NULL,
    data TEXT NOT NULL              -- JSON
) STRICT;

-- version 2

CREATE TABLE proposals (            -- admitted or refused
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    proposer TEXT NOT NULL,
    operator TEXT NOT NULL,
    parent INTEGER NOT NULL REFERENCES experiments (number),
    hypothesis TEXT NOT NULL,
    change TEXT NOT NULL,           -- JSON: as it was proposed
    at REAL NOT NULL,
    wall_seconds REAL NOT NULL,     -- that it took to think of
    refusal TEXT,                   -- NULL where it was admitted
    reason TEXT NOT NULL DEFAULT '',
    change_hash TEXT,               -- of the code that it makes; NULL where it makes none
    experiment INTEGER UNIQUE REFERENCES experiments (number),
    CHECK ((refusal IS NULL) = (experiment IS NOT NULL))
) STRICT;
-- What was tried is not tried again.
CREATE UNIQUE INDEX proposals_change ON proposals (change_hash) WHERE refusal IS NULL;

CREATE TABLE parents (
    experiment INTEGER NOT NULL REFERENCES experiments (number),
    parent INTEGER NOT NULL REFERENCES experiments (number),
    PRIMARY KEY (experiment, parent)
) STRICT;

ALTER TABLE experiments ADD COLUMN knobs TEXT NOT NULL DEFAULT '{}';    -- JSON: the values in its tree

CREATE TABLE reference (            -- frozen when the baseline is first measured on a bench
    bench TEXT NOT NULL REFERENCES benches (hash),
    objective TEXT NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('minimize', 'maximize')),
    base REAL NOT NULL,             -- the baseline's value
    value REAL NOT NULL,            -- the reference point's: the baseline made worse
    PRIMARY KEY (bench, objective)
) STRICT;

CREATE TABLE frontier (             -- as it stands now
    experiment INTEGER PRIMARY KEY REFERENCES experiments (number),
    balanced INTEGER NOT NULL CHECK (balanced IN (0, 1))
) STRICT;

CREATE TABLE progress (             -- the frontier's size against what was spent
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    bench TEXT NOT NULL REFERENCES benches (hash),
    experiments INTEGER NOT NULL,   -- measured
    hypervolume REAL NOT NULL,
    seconds REAL NOT NULL           -- of the ledger
) STRICT;

CREATE TABLE lanes (                -- a slot: one thing at a time
    name TEXT PRIMARY KEY,
    since REAL NOT NULL             -- what has passed until then is booked
) STRICT;

CREATE TABLE spans (                -- they tile a lane, from the study's start to `since`
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL REFERENCES lanes (name),
    kind TEXT NOT NULL,             -- a stage, overhead, idle or down
    run INTEGER REFERENCES runs (id),
    began_at REAL NOT NULL,
    ended_at REAL NOT NULL CHECK (ended_at >= began_at)
) STRICT;
CREATE INDEX spans_run ON spans (run);

CREATE TABLE spend (
    span INTEGER NOT NULL REFERENCES spans (id),
    resource TEXT NOT NULL,
    amount REAL NOT NULL,
    PRIMARY KEY (span, resource)
) STRICT;

CREATE TABLE totals (               -- of spend, by what came of it; `total` is all of it
    outcome TEXT NOT NULL,
    resource TEXT NOT NULL,
    amount REAL NOT NULL,
    PRIMARY KEY (outcome, resource)
) STRICT;

-- version 3

ALTER TABLE reference ADD COLUMN runs INTEGER NOT NULL DEFAULT 1;    -- of the baseline, in `base`

CREATE TABLE verdicts (             -- append-only; the newest of an experiment on a bench is the one that stands
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    experiment INTEGER NOT NULL REFERENCES experiments (number),
    bench TEXT NOT NULL REFERENCES benches (hash),
    incumbent INTEGER NOT NULL REFERENCES experiments (number),    -- against which it was judged
    runs INTEGER NOT NULL,          -- of the experiment, on which it rests
    rule TEXT NOT NULL,
    word TEXT NOT NULL,
    evidence TEXT NOT NULL,
    asks INTEGER NOT NULL CHECK (asks IN (0, 1)),                  -- for another run
    sentence TEXT NOT NULL,
    figures TEXT NOT NULL           -- JSON: an objective each
) STRICT;
CREATE INDEX verdicts_experiment ON verdicts (experiment, bench);

CREATE TABLE commands (             -- what a person asks of the engine, in the order of asking
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,      -- the client's: asked twice is asked once
    verb TEXT NOT NULL,
    arguments TEXT NOT NULL,        -- JSON
    expected TEXT NOT NULL,         -- JSON: what they saw
    at REAL NOT NULL,
    begun_at REAL,                  -- from then on it is carried out, whatever happens
    intent TEXT,                    -- JSON: the decision and its answer, before trunk is moved
    answered_at REAL,
    done INTEGER CHECK (done IN (0, 1)),
    answer TEXT,
    CHECK ((answered_at IS NULL) = (done IS NULL) AND (done IS NULL) = (answer IS NULL))
) STRICT;
CREATE INDEX commands_pending ON commands (id) WHERE answered_at IS NULL;

CREATE TABLE decisions (            -- append-only
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    command INTEGER NOT NULL UNIQUE REFERENCES commands (id),
    verb TEXT NOT NULL CHECK (verb IN ('merge', 'reject', 'undo')),
    experiment INTEGER NOT NULL REFERENCES experiments (number),
    reason TEXT NOT NULL,
    verdict INTEGER REFERENCES verdicts (id),                      -- that stood then
    trunk_before TEXT NOT NULL,
    trunk_after TEXT NOT NULL,
    undoes INTEGER UNIQUE REFERENCES decisions (id),
    CHECK ((verb = 'undo') = (undoes IS NOT NULL))
) STRICT;

-- version 4

CREATE TABLE effects (              -- what happens outside of this record: first it is wanted, then it is so
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    intent TEXT NOT NULL,           -- JSON: all that is needed to recognise it in the world
    settled_at REAL,                -- NULL while nobody knows whether it is so
    hindrance TEXT NOT NULL DEFAULT ''    -- why it was undone instead
) STRICT;
CREATE INDEX effects_unsettled ON effects (id) WHERE settled_at IS NULL;

-- version 5

CREATE TABLE calls (                -- what a model was asked, from the asking on
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    proposal INTEGER REFERENCES proposals (id),    -- NULL where none came of it, or none yet
    model TEXT NOT NULL,
    host TEXT NOT NULL,
    operator TEXT NOT NULL,
    purpose TEXT NOT NULL,          -- reason, pack or repair
    num_ctx INTEGER NOT NULL,
    prompt TEXT NOT NULL,           -- JSON: the messages; of each section its size, and what was cut of it and why
    at REAL NOT NULL,
    ended_at REAL,
    outcome TEXT,                   -- NULL while it goes on
    detail TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT '',
    prompt_tokens INTEGER,          -- NULL where the server has not said
    answer_tokens INTEGER,
    load_seconds REAL,              -- of the model, before it could begin
    prompt_seconds REAL,
    answer_seconds REAL,
    held_seconds REAL NOT NULL DEFAULT 0.0,        -- it waited for a timed stage to end
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
) STRICT;
CREATE INDEX calls_proposal ON calls (proposal);

ALTER TABLE spans ADD COLUMN call INTEGER REFERENCES calls (id);

-- version 6

ALTER TABLE verdicts ADD COLUMN explanation TEXT NOT NULL DEFAULT '';    -- how the rule came to it

CREATE TABLE keeps (                -- how far the confirmed ones can be trusted, and what keep-if-better would have done
    bench TEXT PRIMARY KEY REFERENCES benches (hash),
    screened INTEGER NOT NULL,
    confirmed INTEGER NOT NULL,
    expected_false REAL NOT NULL,   -- of so many screened, by the null rate of the preset
    objective TEXT NOT NULL,        -- by which the other rule decides; empty where none has noise
    maximize INTEGER NOT NULL CHECK (maximize IN (0, 1)),
    kept INTEGER NOT NULL,          -- by the other rule, from one run each
    refuted INTEGER NOT NULL,       -- of those: on other seeds no better than what they replaced
    once INTEGER NOT NULL           -- of those: never run on another seed
) STRICT;

-- version 7

ALTER TABLE lanes ADD COLUMN waits TEXT NOT NULL DEFAULT 'idle';       -- what it waits for while it is free
UPDATE lanes SET waits = 'idle: not its turn' WHERE name = 'model';
ALTER TABLE lanes ADD COLUMN used REAL NOT NULL DEFAULT 0.0;           -- seconds of devices, or of the slot without one
UPDATE lanes SET used = (
    SELECT coalesce(sum(ended_at - began_at), 0) FROM spans WHERE lane = name AND run IS NOT NULL
);

-- What came of a span. A run that failed or was broken off is its own outcome, whatever became of its experiment; so is
-- a call that failed, or came to no proposal (or not yet), or to one that was refused.
CREATE VIEW outcomes AS
SELECT spans.id AS span, CASE
    WHEN calls.outcome <> 'ok' THEN 'call failed: ' || calls.outcome
    WHEN spans.call IS NOT NULL AND proposals.id IS NULL THEN 'no proposal'
    WHEN proposals.refusal IS NOT NULL THEN 'refused: ' || proposals.refusal
    WHEN experiments.number IS NULL THEN spans.kind
    WHEN spans.call IS NOT NULL AND experiments.failure IS NOT NULL THEN 'failed: ' || experiments.failure
    WHEN spans.call IS NOT NULL AND experiments.state IN ('queued', 'running') THEN 'running'
    WHEN runs.outcome = 'interrupted' THEN 'interrupted'
    WHEN spans.kind = 'overhead' THEN 'overhead'
    WHEN spans.run IS NOT NULL AND runs.outcome IS NULL THEN 'running'
    WHEN runs.outcome <> 'ok' THEN 'failed: ' || runs.outcome
    WHEN experiments.number = 0 THEN 'baseline'
    WHEN experiments.state IN ('merged', 'rejected') THEN experiments.state
    WHEN frontier.experiment IS NOT NULL THEN 'frontier'
    ELSE coalesce(
        (
            SELECT CASE
                WHEN word = 'trade-off' AND evidence <> 'confirmed' AND NOT asks THEN 'trade-off not offered'
                ELSE word
            END
            FROM verdicts WHERE verdicts.experiment = experiments.number ORDER BY verdicts.id DESC LIMIT 1
        ),
        'measured'
    )
END AS outcome
FROM spans LEFT JOIN runs ON runs.id = spans.run
LEFT JOIN calls ON calls.id = spans.call LEFT JOIN proposals ON proposals.id = calls.proposal
LEFT JOIN experiments ON experiments.number = coalesce(runs.experiment, proposals.experiment)
LEFT JOIN frontier ON frontier.experiment = experiments.number;

ALTER TABLE spans ADD COLUMN outcome TEXT NOT NULL DEFAULT '';         -- as it is booked in `totals`
ALTER TABLE totals ADD COLUMN spans INTEGER NOT NULL DEFAULT 0;        -- how many there are in it
UPDATE spans SET outcome = (SELECT outcomes.outcome FROM outcomes WHERE span = spans.id);
DELETE FROM totals;
INSERT INTO totals SELECT outcome, resource, sum(amount), count(*) FROM spend JOIN spans ON id = span GROUP BY 1, 2;
INSERT INTO totals SELECT 'total', resource, sum(amount), count(*) FROM spend GROUP BY resource;

CREATE INDEX spans_call ON spans (call);
CREATE INDEX calls_open ON calls (at) WHERE outcome IS NULL;
CREATE INDEX runs_good ON runs (bench, experiment) WHERE outcome = 'ok';
CREATE INDEX runs_lately ON runs (purpose) WHERE outcome = 'ok';
CREATE INDEX calls_lately ON calls (purpose) WHERE outcome = 'ok';

ALTER TABLE runs ADD COLUMN devices INTEGER NOT NULL DEFAULT 0;        -- that it holds; none on a CPU

CREATE TABLE limits (               -- what the study may spend, how much of it is spent, and when it will be used up
    budget TEXT PRIMARY KEY,        -- experiments, runs, tokens, time (in seconds), device_hours, money
    most REAL NOT NULL,
    before REAL NOT NULL,           -- spent earlier, and not counted
    price REAL NOT NULL,            -- of one of what is counted: of money an hour, of anything else 1
    at REAL NOT NULL,               -- the moment of what follows
    spent REAL NOT NULL,
    reserved REAL NOT NULL,         -- that what is unfinished is expected to take yet
    rate REAL,                      -- spent in an hour of an engine's life; NULL before anything is
    ends_at REAL                    -- when it is used up, at that rate; NULL where no engine lives
) STRICT;

ALTER TABLE frontier ADD COLUMN probability REAL;    -- of being on it in truth; NULL where the noise is not known
ALTER TABLE progress ADD COLUMN optimistic REAL NOT NULL DEFAULT 0.0;    -- hypervolume with what is promising
ALTER TABLE progress ADD COLUMN tokens REAL NOT NULL DEFAULT 0.0;
CREATE INDEX decisions_experiment ON decisions (experiment);
CREATE INDEX progress_at ON progress (bench, at);
CREATE INDEX spans_gaps ON spans (id) WHERE kind IN ('down', 'paused');

CREATE TABLE returns (              -- what the last while has bought, and what as many experiments more promise
    bench TEXT PRIMARY KEY REFERENCES benches (hash),
    seconds REAL NOT NULL,
    experiments INTEGER NOT NULL,
    confirmed INTEGER NOT NULL,
    before REAL NOT NULL,           -- the hypervolume at its start
    chance REAL NOT NULL            -- of a confirmed gain among as many more
) STRICT;

-- version 8

CREATE TABLE taken (                -- the experiments whose changes a merge of several takes to trunk
    decision INTEGER NOT NULL REFERENCES decisions (id),
    experiment INTEGER NOT NULL REFERENCES experiments (number),
    PRIMARY KEY (decision, experiment)
) STRICT;
CREATE INDEX taken_experiment ON taken (experiment);

CREATE TABLE gains (                -- what each confirmed experiment has added to the hypervolume, as it stands now
    bench TEXT NOT NULL REFERENCES benches (hash),
    experiment INTEGER NOT NULL REFERENCES experiments (number),
    gain REAL NOT NULL CHECK (gain >= 0),    -- in units of the baseline's own
    PRIMARY KEY (bench, experiment)
) STRICT;

CREATE TABLE lifts (                -- what each proposer's device-hours bought, against the numeric floor's
    bench TEXT NOT NULL REFERENCES benches (hash),
    proposer TEXT NOT NULL,
    floor TEXT NOT NULL,            -- the proposer that it is held against
    experiments INTEGER NOT NULL,   -- that it has run
    floor_experiments INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('too few', 'nothing gained', 'ratio', 'difference')),
    value REAL,                     -- NULL of the first two kinds
    low REAL,
    high REAL,                      -- NULL where there is no upper end
    PRIMARY KEY (bench, proposer)
) STRICT;

CREATE TABLE offers (               -- what was put to the user, the first time
    experiment INTEGER PRIMARY KEY REFERENCES experiments (number),
    at REAL NOT NULL,
    lines INTEGER                   -- that its diff changes; NULL while nobody has counted them
) STRICT;
CREATE INDEX verdicts_confirmed ON verdicts (bench, experiment) WHERE evidence = 'confirmed';
INSERT INTO offers SELECT verdicts.experiment, min(verdicts.at), NULL
FROM verdicts JOIN proposals ON proposals.experiment = verdicts.experiment
WHERE evidence = 'confirmed' AND word IN ('better', 'gain', 'trade-off') AND operator <> 'merge'
GROUP BY verdicts.experiment;

ALTER TABLE stages ADD COLUMN energy_joules REAL;                      -- of its run's GPUs; NULL where it was not measured
ALTER TABLE stages ADD COLUMN peak_device_bytes INTEGER;               -- of their memory; NULL where it was not measured

-- version 9

ALTER TABLE proposals ADD COLUMN trunk INTEGER REFERENCES experiments (number);    -- then; NULL is the parent
-- What was ever shown to be better is looked at first, of however many verdicts.
CREATE INDEX verdicts_shown ON verdicts (experiment, word) WHERE evidence <> 'screened';

-- version 10

ALTER TABLE experiments ADD COLUMN lines INTEGER;      -- by which its tree differs from e0000's; NULL where nobody counted
UPDATE experiments SET lines = 0 WHERE number = 0;

-- version 11

-- What has succeeded is not run again, but where a person wants to see it again.
DROP INDEX runs_ok;
CREATE UNIQUE INDEX runs_ok ON runs (tree, bench, seed, purpose, fidelity) WHERE outcome = 'ok' AND purpose <> 'rerun';
-- A run that was stopped early, for its curve was worse, is no failure, and nothing was measured by it.
DROP VIEW outcomes;
CREATE VIEW outcomes AS
SELECT spans.id AS span, CASE
    WHEN calls.outcome <> 'ok' THEN 'call failed: ' || calls.outcome
    WHEN spans.call IS NOT NULL AND proposals.id IS NULL THEN 'no proposal'
    WHEN proposals.refusal IS NOT NULL THEN 'refused: ' || proposals.refusal
    WHEN experiments.number IS NULL THEN spans.kind
    WHEN spans.call IS NOT NULL AND experiments.failure IS NOT NULL THEN 'failed: ' || experiments.failure
    WHEN spans.call IS NOT NULL AND experiments.state IN ('queued', 'running') THEN 'running'
    WHEN runs.outcome = 'interrupted' THEN 'interrupted'
    WHEN runs.purpose = 'rerun' AND runs.outcome = 'ok' THEN 'rerun'
    WHEN spans.kind = 'overhead' THEN 'overhead'
    WHEN spans.run IS NOT NULL AND runs.outcome IS NULL THEN 'running'
    WHEN runs.outcome = 'stopped early' THEN runs.outcome
    WHEN runs.outcome <> 'ok' THEN 'failed: ' || runs.outcome
    WHEN experiments.number = 0 THEN 'baseline'
    WHEN experiments.state IN ('merged', 'rejected') THEN experiments.state
    WHEN frontier.experiment IS NOT NULL THEN 'frontier'
    ELSE coalesce(
        (
            SELECT CASE
                WHEN word = 'trade-off' AND evidence <> 'confirmed' AND NOT asks THEN 'trade-off not offered'
                ELSE word
            END
            FROM verdicts WHERE verdicts.experiment = experiments.number ORDER BY verdicts.id DESC LIMIT 1
        ),
        'measured'
    )
END AS outcome
FROM spans LEFT JOIN runs ON runs.id = spans.run
LEFT JOIN calls ON calls.id = spans.call LEFT JOIN proposals ON proposals.id = calls.proposal
LEFT JOIN experiments ON experiments.number = coalesce(runs.experiment, proposals.experiment)
LEFT JOIN frontier ON frontier.experiment = experiments.number;
CREATE TABLE agreement (            -- how far quick runs rank experiments as full ones do
    bench TEXT NOT NULL REFERENCES benches (hash),
    objective TEXT NOT NULL,
    experiments INTEGER NOT NULL,   -- that have both
    tau REAL,                       -- Kendall's tau-b; NULL where one of the two ranks nothing
    PRIMARY KEY (bench, objective)
) STRICT;
-- version 12
-- Those in work or taken are few, and asked for at every start of a screen.
CREATE INDEX IF NOT EXISTS experiments_in_hand ON experiments (number) WHERE state IN ('queued', 'running', 'merged');
