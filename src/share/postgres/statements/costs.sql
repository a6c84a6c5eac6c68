WITH former AS (
    SELECT run.id
    FROM image_syncer.runs AS run JOIN image_syncer.runs AS this ON this.id = $1
    WHERE run.id < this.id AND run.state = 'done' AND run.digest = this.digest AND run.work = this.work
    ORDER BY run.id DESC
    LIMIT 1
)
SELECT
    given.key,
    sum(unit.images)::bigint,
    sum(unit.bytes)::bigint,
    sum(unit.milliseconds)::bigint
FROM former
CROSS JOIN unnest($2, $3, $4) AS given (key, first_part, after_parts)
CROSS JOIN LATERAL (
    SELECT whole.images, whole.bytes, whole.milliseconds
    FROM image_syncer.units AS whole
    WHERE whole.run = former.id AND whole.key = given.key COLLATE "C"
    UNION ALL
    SELECT part.images, part.bytes, part.milliseconds
    FROM image_syncer.units AS part
    WHERE part.run = former.id
        AND part.key >= given.first_part COLLATE "C" AND part.key < given.after_parts COLLATE "C"
) AS unit
GROUP BY given.key
