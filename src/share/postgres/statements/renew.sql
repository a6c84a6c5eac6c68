WITH me AS (
    INSERT INTO image_syncer.workers (id, host, version, digest, progress)
    VALUES ($1, $2, $3, $4, $5::jsonb)
    ON CONFLICT (id) DO UPDATE
    SET seen = clock_timestamp(), progress = EXCLUDED.progress, has_left = false
),
renewed AS (
    UPDATE image_syncer.units AS unit
    SET lease_until = clock_timestamp() + make_interval(secs => $6)
    FROM unnest($7, $8, $9) AS held (run, id, attempt)
    WHERE unit.run = held.run AND unit.id = held.id AND unit.attempt = held.attempt
        AND unit.owner = $1 AND unit.state = 'running'
    RETURNING unit.run, unit.id, unit.attempt
)
SELECT renewed.run, renewed.id, renewed.attempt, run.state = 'running', run.cancel
FROM renewed JOIN image_syncer.runs AS run ON run.id = renewed.run
