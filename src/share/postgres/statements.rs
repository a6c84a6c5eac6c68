//! Statements of the queue.
//!
//! A transaction that ends or adds units locks its run first, then its units. A claim locks units alone, and skips those
//! that are locked, so no two transactions wait for each other.

/// Claims units. Parameters: digest, run or none, number of free places, worker, seconds of a lease, limit of losses.
///
/// The run with the fewest units in progress comes first, so that a large run does not keep others
/// waiting. The workers that were seen within a lease divide the units evenly, and claim parts of
/// large repositories one at a time.
pub(super) const CLAIM: &str = include_str!("statements/claim.sql");

/// Returns the state of a run.
pub(super) const RUN_STATE: &str = "SELECT state FROM image_syncer.runs WHERE id = $1";

/// Locks a run.
pub(super) const LOCK_RUN: &str = "SELECT FROM image_syncer.runs WHERE id = $1 FOR UPDATE";

/// Locks a unit that an attempt holds. Parameters: run, unit, worker, attempt.
pub(super) const LOCK_UNIT: &str = "SELECT FROM image_syncer.units \
     WHERE run = $1 AND id = $2 AND owner = $3 AND attempt = $4 AND state = 'running' FOR UPDATE";

/// Ends a unit. Parameters: run, unit, worker, attempt, state, result, true if only for a cancelled run,
/// images, bytes, milliseconds.
pub(super) const FINISH: &str = "UPDATE image_syncer.units AS unit \
     SET state = $5, result = $6::jsonb, lease_until = NULL, seq = run.finished + 1, \
     images = $8, bytes = $9, milliseconds = $10 \
     FROM image_syncer.runs AS run \
     WHERE run.id = $1 AND run.state = 'running' AND (run.cancel OR NOT $7) \
     AND unit.run = $1 AND unit.id = $2 AND unit.owner = $3 AND unit.attempt = $4 AND unit.state = 'running' \
     RETURNING unit.id";

/// Counts a unit that [`FINISH`] ended, and ends the run with its last one. Parameters: run, unit.
pub(super) const COUNT: &str = include_str!("statements/count.sql");

/// Puts a unit back, unless its run is cancelled. Parameters: run, unit, worker, attempt.
pub(super) const REQUEUE: &str = "UPDATE image_syncer.units AS unit \
     SET state = 'queued', owner = NULL, lease_until = NULL \
     FROM image_syncer.runs AS run \
     WHERE run.id = $1 AND NOT run.cancel \
     AND unit.run = $1 AND unit.id = $2 AND unit.owner = $3 AND unit.attempt = $4 AND unit.state = 'running' \
     RETURNING unit.id";

/// Returns a row if an attempt has ended its unit, now or earlier. Parameters: run, unit, worker, attempt.
pub(super) const HAS_FINISHED: &str = "SELECT FROM image_syncer.units \
     WHERE run = $1 AND id = $2 AND owner = $3 AND attempt = $4 AND seq IS NOT NULL";

/// Adds units to the run of one that is held. Parameters: run, unit, worker, attempt, keys, weights, kinds, works.
pub(super) const ADD: &str = include_str!("statements/add.sql");

/// Returns the tags of parts. Parameters: run, first key, key after the last.
pub(super) const PARTS: &str = "SELECT jsonb_array_elements_text(spec -> 'tags') FROM image_syncer.units \
     WHERE run = $1 AND key >= $2 AND key < $3 AND kind = 'part'";

/// Returns what units and their parts cost in the last run with the same work. Parameters: run, keys, first keys of their
/// parts, keys after the last part.
pub(super) const COSTS: &str = include_str!("statements/costs.sql");

/// Stores the sums of a worker. Parameters: run, worker, sums.
pub(super) const STORE_USAGE: &str = "INSERT INTO image_syncer.run_usage (run, worker, usage) \
     SELECT id, $2, $3::jsonb FROM image_syncer.runs WHERE id = $1 \
     ON CONFLICT (run, worker) DO UPDATE SET usage = EXCLUDED.usage";

/// Returns the sums of all workers of a run.
pub(super) const RUN_USAGE: &str = "SELECT usage::text FROM image_syncer.run_usage WHERE run = $1";

/// Opens a run. Parameters: digest, program, work, purpose, cause, slot, worker, keys, weights, kinds, works.
pub(super) const OPEN: &str = include_str!("statements/open.sql");

/// One run is opened at a time, since its number follows the last one.
pub(super) const LOCK_OPEN: &str = "SELECT pg_advisory_xact_lock(7310029447265617002)";

/// Returns the run of a time slot. Parameters: cause, slot.
pub(super) const OPENED: &str = "SELECT id FROM image_syncer.runs \
     WHERE cause = $1 AND slot = $2 AND rule IS NULL";

/// Wakes the workers: there are units.
pub(super) const NOTIFY: &str = "SELECT pg_notify('image_syncer', '')";

/// Wakes the workers: a run is over, or to be cancelled.
pub(super) const NOTIFY_RUN: &str = "SELECT pg_notify('image_syncer', 'run')";

/// As [`NOTIFY_RUN`], if the run is over.
pub(super) const NOTIFY_IF_OVER: &str = "SELECT pg_notify('image_syncer', 'run') \
     FROM image_syncer.runs WHERE id = $1 AND state NOT IN ('queued', 'running')";

/// Records a worker, and renews its leases. Parameters: worker, host, version, digest, progress, seconds of a lease,
/// runs, units, attempts.
pub(super) const RENEW: &str = include_str!("statements/renew.sql");

/// Records that a run is to be cancelled.
pub(super) const CANCEL: &str = "UPDATE image_syncer.runs \
     SET cancel = true, changed = nextval('image_syncer.changes') \
     WHERE id = $1 AND state IN ('queued', 'running') AND NOT cancel RETURNING id";

/// Ends cancelled runs that no worker works on. Parameters: run, or none for all.
pub(super) const CLOSE_CANCELLED: &str = "UPDATE image_syncer.runs AS run \
     SET state = 'cancelled', ended = clock_timestamp(), changed = nextval('image_syncer.changes') \
     WHERE run.state IN ('queued', 'running') AND run.cancel AND ($1::bigint IS NULL OR run.id = $1) \
     AND NOT EXISTS (SELECT FROM image_syncer.units AS unit WHERE unit.run = run.id \
     AND unit.state = 'running' AND unit.lease_until > clock_timestamp()) RETURNING run.id";

/// Ends runs without workers. Parameters: seconds without a worker, reason.
pub(super) const ABANDON: &str = "UPDATE image_syncer.runs AS run \
     SET state = 'abandoned', failure = $2, ended = clock_timestamp(), \
     changed = nextval('image_syncer.changes') \
     WHERE run.state IN ('queued', 'running') \
     AND run.requested < clock_timestamp() - make_interval(secs => $1) \
     AND NOT EXISTS (SELECT FROM image_syncer.workers AS worker WHERE worker.digest = run.digest \
     AND worker.seen > clock_timestamp() - make_interval(secs => $1)) RETURNING run.id";

/// Returns units that too many workers were lost with. Parameters: limit of losses.
pub(super) const HOPELESS: &str = "SELECT unit.run, unit.id, unit.owner, unit.attempt \
     FROM image_syncer.runs AS run JOIN image_syncer.units AS unit ON unit.run = run.id \
     WHERE run.state = 'running' AND unit.state = 'running' \
     AND unit.lease_until < clock_timestamp() AND unit.losses >= $1 LIMIT 100";

/// Returns open runs that workers with these rules cannot join. Parameters: digest.
pub(super) const FOREIGN_RUNS: &str = "SELECT id, program, digest FROM image_syncer.runs \
     WHERE state = 'running' AND digest <> $1 ORDER BY id LIMIT 100";

/// Deletes workers that are gone for a day.
pub(super) const FORGET_WORKERS: &str = "DELETE FROM image_syncer.workers \
     WHERE seen < clock_timestamp() - interval '1 day'";

/// Puts back all units of a worker. Parameters: worker.
pub(super) const RETURN_ALL: &str = "UPDATE image_syncer.units AS unit \
     SET state = 'queued', owner = NULL, lease_until = NULL \
     FROM image_syncer.runs AS run \
     WHERE run.state = 'running' AND unit.run = run.id AND unit.state = 'running' AND unit.owner = $1";

/// Records the regular end of a worker. Parameters: worker.
pub(super) const LEAVE: &str = "UPDATE image_syncer.workers \
     SET has_left = true, seen = clock_timestamp(), progress = '{}' WHERE id = $1";

/// Returns the state of a run, and the number of its finished units.
pub(super) const NEWS_STATE: &str =
    "SELECT state, failure, finished FROM image_syncer.runs WHERE id = $1";

/// Returns finished units in their order. Parameters: run, number of the last known one, limit.
pub(super) const NEWS: &str = "SELECT seq, spec::text, state, result::text FROM image_syncer.units \
     WHERE run = $1 AND seq > $2 ORDER BY seq LIMIT $3";

/// Returns the works of units that were not carried out to their end. Parameters: run.
pub(super) const UNFINISHED: &str = "SELECT spec::text FROM image_syncer.units \
     WHERE run = $1 AND state IN ('queued', 'running', 'interrupted') ORDER BY id LIMIT 200000";

/// Returns runs, the latest first. Parameters: run or none, limit.
pub(super) const RUNS: &str = "SELECT id, digest, program, work::text, cause, rule, slot, state, failure, requested, \
     started, ended, owner, units, finished FROM image_syncer.runs \
     WHERE $1::bigint IS NULL OR id = $1 ORDER BY id DESC LIMIT $2";

/// Deletes finished runs, some at a time. Parameters: days.
pub(super) const PRUNE: &str = "DELETE FROM image_syncer.runs WHERE id IN (SELECT id FROM image_syncer.runs \
     WHERE state NOT IN ('queued', 'running') AND ended < clock_timestamp() - make_interval(days => $1) \
     ORDER BY id LIMIT 20) RETURNING id";
