UPDATE image_syncer.runs AS run
SET finished = run.finished + 1, state = next.state,
    ended = CASE next.state WHEN 'running' THEN run.ended ELSE clock_timestamp() END,
    changed = CASE next.state WHEN 'running' THEN run.changed ELSE nextval('image_syncer.changes') END
FROM image_syncer.units AS unit
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN EXISTS (
            SELECT FROM image_syncer.units AS other WHERE other.run = $1 AND other.state = 'running'
        ) THEN 'running'
        WHEN (SELECT cancel FROM image_syncer.runs WHERE id = $1) AND EXISTS (
            SELECT FROM image_syncer.units AS other
            WHERE other.run = $1 AND other.state IN ('queued', 'interrupted')
        ) THEN 'cancelled'
        WHEN (SELECT units = finished + 1 FROM image_syncer.runs WHERE id = $1) THEN 'done'
        ELSE 'running'
    END AS state
) AS next
WHERE run.id = $1 AND unit.run = $1 AND unit.id = $2 AND unit.seq = run.finished + 1
