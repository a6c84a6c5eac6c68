WITH holder AS (
    SELECT unit.run
    FROM image_syncer.units AS unit JOIN image_syncer.runs AS run ON run.id = unit.run
    WHERE unit.run = $1 AND unit.id = $2 AND unit.owner = $3 AND unit.attempt = $4
        AND unit.state = 'running' AND run.state = 'running'
),
added AS (
    INSERT INTO image_syncer.units (run, id, key, weight, kind, spec)
    SELECT
        holder.run,
        (SELECT COALESCE(max(id), 0) FROM image_syncer.units WHERE run = $1) + given.place,
        given.key, given.weight, given.kind, given.spec::jsonb
    FROM holder
    CROSS JOIN unnest($5, $6, $7, $8) WITH ORDINALITY AS given (key, weight, kind, spec, place)
    ON CONFLICT (run, key) DO NOTHING
    RETURNING 1
)
UPDATE image_syncer.runs AS run
SET units = run.units + (SELECT count(*) FROM added)
FROM holder
WHERE run.id = holder.run
RETURNING run.id
