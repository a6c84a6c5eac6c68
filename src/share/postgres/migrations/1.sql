-- Counts the changes of runs, so that followers read those that are new.
CREATE SEQUENCE image_syncer.changes;

-- Runs, and their units of work.
CREATE TABLE image_syncer.runs (
    -- Microseconds since 1970 at the request, or the next free number.
    id bigint PRIMARY KEY,
    -- Identity of the rules. Workers with other rules do not join.
    digest text NOT NULL,
    program text NOT NULL,
    work jsonb NOT NULL,
    purpose text NOT NULL,
    cause text NOT NULL,
    -- Rule of the schedule; none for all rules.
    rule text,
    -- Time in the schedule. One run for each.
    slot timestamptz,
    state text NOT NULL
        CHECK (state IN ('queued', 'running', 'done', 'cancelled', 'abandoned')),
    failure text,
    requested timestamptz NOT NULL DEFAULT clock_timestamp(),
    started timestamptz,
    ended timestamptz,
    cancel boolean NOT NULL DEFAULT false,
    -- Worker that opened the run.
    owner text NOT NULL,
    -- Service that sends the notifications.
    announced text,
    changed bigint NOT NULL DEFAULT nextval('image_syncer.changes'),
    -- Number of units that were added, and of those that ended.
    units bigint NOT NULL DEFAULT 0,
    finished bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX runs_slot ON image_syncer.runs (cause, COALESCE(rule, ''), slot)
    WHERE slot IS NOT NULL;
CREATE UNIQUE INDEX runs_one_running ON image_syncer.runs (rule, purpose)
    WHERE state = 'running' AND rule IS NOT NULL;
CREATE INDEX runs_open ON image_syncer.runs (id) WHERE state IN ('queued', 'running');
CREATE INDEX runs_changed ON image_syncer.runs (changed);

CREATE TABLE image_syncer.units (
    run bigint NOT NULL REFERENCES image_syncer.runs ON DELETE CASCADE,
    id bigint NOT NULL,
    kind text NOT NULL,
    -- Bytewise, so that the keys of the parts of a repository follow its own.
    key text COLLATE "C" NOT NULL,
    -- The largest is claimed first.
    weight bigint NOT NULL,
    -- 'failed': no worker can carry it out. 'interrupted': its run was cancelled while it was carried out.
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'interrupted')),
    owner text,
    attempt integer NOT NULL DEFAULT 0,
    -- Number of workers that were lost with it.
    losses integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    spec jsonb NOT NULL,
    -- Events, or the reason as a string.
    result jsonb,
    -- Number of images that ended, bytes that were sent for them, and their time together: the next run begins with
    -- what took long.
    images bigint,
    bytes bigint,
    milliseconds bigint,
    -- Order of completion in the run, without gaps.
    seq bigint,
    PRIMARY KEY (run, id),
    UNIQUE (run, key)
) WITH (fillfactor = 70);
CREATE INDEX units_queued ON image_syncer.units (run, weight DESC, id) WHERE state = 'queued';
-- Without lease_until, so that a renewal touches no index.
CREATE INDEX units_running ON image_syncer.units (run, id) WHERE state = 'running';
CREATE UNIQUE INDEX units_seq ON image_syncer.units (run, seq) WHERE seq IS NOT NULL;

-- Requests by registry, and bytes, of each worker of a run.
CREATE TABLE image_syncer.run_usage (
    run bigint NOT NULL REFERENCES image_syncer.runs ON DELETE CASCADE,
    worker text NOT NULL,
    usage jsonb NOT NULL,
    PRIMARY KEY (run, worker)
) WITH (fillfactor = 50);

CREATE TABLE image_syncer.workers (
    id text PRIMARY KEY,
    host text NOT NULL,
    version text NOT NULL,
    digest text NOT NULL,
    started timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- True after a regular end.
    has_left boolean NOT NULL DEFAULT false,
    progress jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);

-- Rates of requests and bytes, shared by all workers.
CREATE TABLE image_syncer.budgets (
    registry text NOT NULL,
    unit text NOT NULL CHECK (unit IN ('requests', 'bytes')),
    rate double precision NOT NULL,
    -- Time at which everything granted so far is paid for.
    paid_until timestamptz NOT NULL,
    PRIMARY KEY (registry, unit)
) WITH (fillfactor = 50);

-- Registries that asked for a pause.
CREATE TABLE image_syncer.pauses (
    registry text PRIMARY KEY,
    paused_until timestamptz NOT NULL,
    reason text NOT NULL CHECK (reason IN ('rate-limit', 'overload'))
) WITH (fillfactor = 50);

-- Blobs and where they are: hints.
CREATE TABLE image_syncer.facts (
    registry text NOT NULL,
    -- SHA-256.
    digest bytea NOT NULL,
    repository text NOT NULL,
    seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (registry, digest, repository)
);

-- One row for each image and each unit that failed, of the attempts that count.
CREATE VIEW image_syncer.results AS
SELECT
    unit.run,
    unit.id AS unit,
    unit.attempt,
    event -> 'image-finished' -> 'image' ->> 'source' AS source,
    event -> 'image-finished' -> 'image' ->> 'destination' AS destination,
    outcome.key AS outcome,
    COALESCE(outcome.value ->> 'reason', outcome.value ->> 'why', outcome.value ->> 'digest') AS detail,
    (event -> 'image-finished' ->> 'elapsed_ns')::numeric / 1e9 AS seconds,
    outcome.value AS data
FROM image_syncer.units AS unit
CROSS JOIN LATERAL jsonb_array_elements(
    CASE jsonb_typeof(unit.result) WHEN 'array' THEN unit.result ELSE '[]' END
) AS event
CROSS JOIN LATERAL jsonb_each(event -> 'image-finished' -> 'outcome') AS outcome
WHERE event ? 'image-finished'
UNION ALL
SELECT
    unit.run, unit.id, unit.attempt, unit.spec ->> 'repository', NULL, 'failed', unit.result #>> '{}', NULL, NULL
FROM image_syncer.units AS unit
WHERE unit.state = 'failed';
