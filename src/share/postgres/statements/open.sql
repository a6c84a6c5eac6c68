WITH opened AS (
    INSERT INTO image_syncer.runs
        (id, digest, program, work, purpose, cause, slot, state, started, owner, units)
    SELECT
        GREATEST(
            floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1000,
            (SELECT COALESCE(max(id), 0) + 1 FROM image_syncer.runs)
        ),
        $1, $2, $3::jsonb, $4, $5, $6, 'running', clock_timestamp(), $7, cardinality($8)
    ON CONFLICT DO NOTHING
    RETURNING id
),
added AS (
    INSERT INTO image_syncer.units (run, id, key, weight, kind, spec)
    SELECT opened.id, given.place, given.key, given.weight, given.kind, given.spec::jsonb
    FROM opened
    CROSS JOIN unnest($8, $9, $10, $11) WITH ORDINALITY AS given (key, weight, kind, spec, place)
)
SELECT id FROM opened
