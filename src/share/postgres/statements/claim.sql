WITH chosen AS (
    SELECT run.id
    FROM image_syncer.runs AS run
    WHERE run.state = 'running' AND NOT run.cancel AND run.digest = $1
        AND ($2::bigint IS NULL OR run.id = $2)
        AND (
            EXISTS (SELECT FROM image_syncer.units AS unit WHERE unit.run = run.id AND unit.state = 'queued')
            OR EXISTS (
                SELECT FROM image_syncer.units AS unit
                WHERE unit.run = run.id AND unit.state = 'running'
                    AND unit.lease_until < clock_timestamp() AND unit.losses < $6
            )
        )
    ORDER BY (
        SELECT count(*) FROM image_syncer.units AS unit WHERE unit.run = run.id AND unit.state = 'running'
    ), run.id
    LIMIT 1
),
live AS (
    SELECT GREATEST(1, count(*)) AS workers
    FROM image_syncer.workers
    WHERE digest = $1 AND NOT has_left AND seen > clock_timestamp() - make_interval(secs => $5)
),
expired AS (
    SELECT unit.run, unit.id
    FROM image_syncer.units AS unit
    WHERE unit.run = (SELECT id FROM chosen) AND unit.state = 'running'
        AND unit.lease_until < clock_timestamp() AND unit.losses < $6
    ORDER BY unit.weight DESC, unit.id
    LIMIT $3
    FOR UPDATE SKIP LOCKED
),
waiting AS (
    SELECT count(*) FILTER (WHERE queue.kind <> 'part') AS units
    FROM (
        SELECT unit.kind FROM image_syncer.units AS unit
        WHERE unit.run = (SELECT id FROM chosen) AND unit.state = 'queued'
        ORDER BY unit.weight DESC, unit.id
        LIMIT $3 * (SELECT workers FROM live)
    ) AS queue
),
queued AS (
    SELECT unit.run, unit.id
    FROM image_syncer.units AS unit
    WHERE unit.run = (SELECT id FROM chosen) AND unit.state = 'queued'
    ORDER BY unit.weight DESC, unit.id
    LIMIT GREATEST(
        0,
        GREATEST(1, LEAST($3, (SELECT units FROM waiting) / (SELECT workers FROM live)))
            - (SELECT count(*) FROM expired)
    )
    FOR UPDATE SKIP LOCKED
),
claimed AS (
    SELECT run, id FROM expired
    UNION ALL
    SELECT run, id FROM queued
)
UPDATE image_syncer.units AS unit
SET state = 'running', owner = $4, attempt = unit.attempt + 1,
    losses = unit.losses + CASE unit.state WHEN 'running' THEN 1 ELSE 0 END,
    lease_until = clock_timestamp() + make_interval(secs => $5)
FROM claimed JOIN image_syncer.runs AS run ON run.id = claimed.run
WHERE unit.run = claimed.run AND unit.id = claimed.id
RETURNING unit.run, unit.id, unit.attempt, unit.spec::text, run.work::text, unit.weight
