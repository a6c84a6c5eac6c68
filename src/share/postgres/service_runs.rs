//! Runs of rules that the replicas of a service share.

use jiff::Timestamp;
use tokio_postgres::Row;

use crate::share::postgres::runs::shared_run;
use crate::share::postgres::{DatabaseError, PostgresShare, SharedRun, parameters, statements};
use crate::share::{RunKey, RunWork, ShareError};

/// Maximum number of runs of one look.
const PAGE: i64 = 1_000;

/// Adds a run that waits, with the unit that starts it. Parameters: id, digest, program, work, purpose, cause, rule,
/// slot, time of the request, worker.
const ADD: &str = "WITH added AS ( \
         INSERT INTO image_syncer.runs \
             (id, digest, program, work, purpose, cause, rule, slot, state, requested, owner, units) \
         VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7, $8, 'queued', $9, $10, 1) \
         ON CONFLICT DO NOTHING \
         RETURNING id \
     ) \
     INSERT INTO image_syncer.units (run, id, key, weight, kind, spec) \
     SELECT id, 1, 'start', 9223372036854775807, 'start', '{\"kind\": \"start\"}' FROM added";

/// Returns a row if the run is that of this worker. Parameters: id, worker.
const IS_ADDED: &str = "SELECT FROM image_syncer.runs WHERE id = $1 AND owner = $2";

/// One transaction at a time starts runs, so that the limit holds.
const LOCK_START: &str = "SELECT pg_advisory_xact_lock(7310029447265617003)";

/// Starts the first run that may start: a rule never overlaps itself. Parameter: maximum number of runs at a time.
const START: &str = "UPDATE image_syncer.runs \
     SET state = 'running', started = clock_timestamp(), changed = nextval('image_syncer.changes') \
     WHERE id = ( \
         SELECT waiting.id FROM image_syncer.runs AS waiting \
         WHERE waiting.state = 'queued' AND waiting.rule IS NOT NULL \
         AND NOT EXISTS ( \
             SELECT FROM image_syncer.runs AS other \
             WHERE other.state = 'running' AND other.rule = waiting.rule \
         ) \
         AND $1 > (SELECT count(*) FROM image_syncer.runs WHERE state = 'running' AND rule IS NOT NULL) \
         ORDER BY waiting.id LIMIT 1 \
     ) \
     RETURNING id";

/// Returns the runs of rules that are not over, or ended within a number of seconds. Parameters: seconds, limit.
const RUNS: &str = "SELECT id, digest, program, work::text, cause, rule, slot, state, failure, \
     requested, started, ended, owner, units, finished FROM image_syncer.runs \
     WHERE rule IS NOT NULL AND (state IN ('queued', 'running') \
     OR ended > clock_timestamp() - make_interval(secs => $1)) ORDER BY id LIMIT $2";

/// Lets one replica report the end of a run. Parameters: run, worker.
const ANNOUNCE: &str = "UPDATE image_syncer.runs SET announced = $2 \
     WHERE id = $1 AND COALESCE(announced, $2) = $2 RETURNING id";

/// Returns the workers that were seen lately, with the number of their units. Parameters: seconds, digest.
const WORKERS: &str = "SELECT worker.id, worker.host, worker.version, worker.digest = $2, worker.started, worker.seen, \
         count(unit.run) \
     FROM image_syncer.workers AS worker \
     LEFT JOIN image_syncer.units AS unit ON unit.owner = worker.id AND unit.state = 'running' \
     WHERE NOT worker.has_left AND worker.seen > clock_timestamp() - make_interval(secs => $1) \
     GROUP BY worker.id ORDER BY worker.started, worker.id LIMIT 1000";

/// A worker that was seen lately.
#[derive(Clone, Debug)]
pub(crate) struct ServiceWorker {
    /// Its id.
    pub(crate) id: String,
    /// Its machine.
    pub(crate) host: String,
    /// Version of its program.
    pub(crate) version: String,
    /// True if it has the rules of this worker.
    pub(crate) same_rules: bool,
    /// Time of its start.
    pub(crate) started: Timestamp,
    /// Time at which it was seen.
    pub(crate) seen: Timestamp,
    /// Number of units that it carries out.
    pub(crate) units: i64,
}

impl ServiceWorker {
    fn from_row(row: &Row) -> Option<Self> {
        Some(Self {
            id: row.try_get(0).ok()?,
            host: row.try_get(1).ok()?,
            version: row.try_get(2).ok()?,
            same_rules: row.try_get(3).ok()?,
            started: row.try_get(4).ok()?,
            seen: row.try_get(5).ok()?,
            units: row.try_get(6).ok()?,
        })
    }
}

/// A run of a rule, as a replica requests it.
#[derive(Clone, Debug)]
pub(crate) struct ServiceRun {
    /// The run.
    pub(crate) run: RunKey,
    /// Its rule.
    pub(crate) rule: String,
    /// Its work.
    pub(crate) work: RunWork,
    /// Reason for it.
    pub(crate) cause: String,
    /// Time in the schedule, for which there is one run.
    pub(crate) slot: Option<Timestamp>,
    /// Time of the request.
    pub(crate) requested: Timestamp,
}

impl PostgresShare {
    /// Adds a run that waits. Returns false if another process has the run of its slot, or its id. May be repeated.
    ///
    /// # Errors
    /// The server refuses, or is away.
    pub(crate) async fn add_service_run(&self, run: &ServiceRun) -> Result<bool, DatabaseError> {
        let (id, digest, program) = (run.run.0, self.digest(), env!("CARGO_PKG_VERSION"));
        let work = serde_json::to_string(&run.work).unwrap_or_default();
        let purpose = serde_json::to_value(run.work.intent).unwrap_or_default();
        let purpose = purpose.as_str().unwrap_or_default();
        let (cause, rule, slot, requested) = (&run.cause, &run.rule, &run.slot, &run.requested);
        let owner = &self.worker.id;
        let add = parameters!(
            id: i64, digest: String, program: &str, work: String, purpose: &str, cause: String, rule: String,
            slot: Option<Timestamp>, requested: Timestamp, owner: String,
        );
        let added = parameters!(id: i64, owner: String);
        let rows = self
            .database
            .work
            .batch(&[(ADD, &add), (IS_ADDED, &added), (statements::NOTIFY, &[])])
            .await?;
        Ok(rows.get(1).is_some_and(|rows| !rows.is_empty()))
    }

    /// Starts the runs of rules that may start, at most `limit` at a time.
    ///
    /// # Errors
    /// The server refuses, or is away.
    pub(crate) async fn start_service_runs(&self, limit: i64) -> Result<(), DatabaseError> {
        let values = parameters!(limit: i64);
        loop {
            let statements = [
                (LOCK_START, &[][..]),
                (START, &values[..]),
                (statements::NOTIFY, &[]),
            ];
            let rows = self.database.work.batch(&statements).await?;
            if rows.get(1).is_none_or(Vec::is_empty) {
                return Ok(());
            }
        }
    }

    /// Returns the runs of rules that are not over, and those that ended in the last seconds, the first one first.
    ///
    /// # Errors
    /// The server refuses, or is away.
    pub(crate) async fn service_runs(&self, seconds: f64) -> Result<Vec<SharedRun>, DatabaseError> {
        let values = parameters!(seconds: f64, PAGE: i64);
        let rows = self.database.work.query(RUNS, &values).await?;
        Ok(rows.iter().filter_map(shared_run).collect())
    }

    /// Returns the workers that were seen within a lease.
    ///
    /// # Errors
    /// The server refuses, or is away.
    pub(crate) async fn service_workers(&self) -> Result<Vec<ServiceWorker>, DatabaseError> {
        let (seconds, digest) = (self.lease.as_secs_f64(), self.digest());
        let values = parameters!(seconds: f64, digest: String);
        let rows = self.database.work.query(WORKERS, &values).await?;
        Ok(rows.iter().filter_map(ServiceWorker::from_row).collect())
    }

    /// Returns true for one of the replicas that call this: it reports the end of a run.
    ///
    /// # Errors
    /// The server refuses, or is away for too long.
    pub(crate) async fn announces(&self, run: RunKey) -> Result<bool, ShareError> {
        let (run, worker) = (run.0, &self.worker.id);
        let values = parameters!(run: i64, worker: String);
        Ok(!self.read(ANNOUNCE, &values).await?.is_empty())
    }
}
