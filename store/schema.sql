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
