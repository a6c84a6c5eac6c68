//! Renewal of leases, and the care for runs that nobody works on.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_postgres::Row;

use crate::share::postgres::connection::Hints;
use crate::share::postgres::gatherer::json_text;
use crate::share::postgres::held::Attempt;
use crate::share::postgres::units::Ending;
use crate::share::postgres::{DatabaseError, LOSSES, PostgresShare, clock, parameters, statements};
use crate::share::{RunKey, UnitCost};

/// Renewals in the time of a lease.
const RENEWALS: u32 = 4;
/// Renewals between two deletions of old runs: an hour of them.
const PRUNINGS: u32 = 240;
/// Days for which runs are kept after their end.
const KEPT_DAYS: i32 = 30;
/// Number of leases after which a run without workers is abandoned.
const ABANDONED: u32 = 5;
/// Shortest interval of renewals, if hints arrive more often.
const SHORTEST: Duration = Duration::from_millis(100);

/// Renews the leases until the share is dropped.
pub(super) async fn keep(share: Weak<PostgresShare>, hints: Arc<Hints>) {
    let mut foreign = HashSet::new();
    let mut round = 0_u32;
    loop {
        let begun = Instant::now();
        let hint = hints.runs();
        let next = {
            let Some(share) = share.upgrade() else {
                return;
            };
            // While the server is away, the leases end by themselves.
            let _ = share.renew().await;
            if round.is_multiple_of(RENEWALS) {
                let _ = share.tidy(&mut foreign).await;
            }
            if round.is_multiple_of(PRUNINGS) {
                let share = Arc::clone(&share);
                // Many rows may go, and no renewal waits for that.
                tokio::spawn(async move { share.prune(KEPT_DAYS).await });
            }
            begun + share.lease / RENEWALS
        };
        round = round.wrapping_add(1);
        // A hint may mean that a run was cancelled.
        let _ = timeout_at(next, hint).await;
        sleep_until(next.min(Instant::now() + SHORTEST)).await;
    }
}

impl PostgresShare {
    /// Renews the leases of all units, and records that this worker lives.
    pub(super) async fn renew(&self) -> Result<(), DatabaseError> {
        let held = self.held.attempts();
        let runs: Vec<i64> = held.iter().map(|it| it.run.0).collect();
        let ids: Vec<i64> = held.iter().map(|it| it.id).collect();
        let attempts: Vec<i32> = held.iter().map(|it| it.number).collect();
        let worker = &self.worker;
        let (id, host, version) = (&worker.id, &worker.host, env!("CARGO_PKG_VERSION"));
        let digest = self.digest();
        let progress = self.progress_text();
        let lease = self.lease.as_secs_f64();
        let values = parameters!(
            id: String, host: String, version: &str, digest: String, progress: String, lease: f64,
            runs: Vec<i64>, ids: Vec<i64>, attempts: Vec<i32>,
        );
        let sent = clock::now();
        let rows = self
            .database
            .control
            .query(statements::RENEW, &values)
            .await?;
        let mut renewed = HashSet::new();
        for (attempt, is_running, is_cancelled) in rows.iter().filter_map(renewal) {
            if !is_running {
                continue;
            }
            renewed.insert(attempt);
            self.held.renew(attempt, sent);
            if is_cancelled {
                self.held.cancel(attempt);
            }
        }
        for attempt in held.into_iter().filter(|it| !renewed.contains(it)) {
            if self.held.lose(attempt) {
                let Attempt { run, id, .. } = attempt;
                self.report_line(&format!(
                    "unit {id} of the run {} was given to another worker, since this one did not renew its lease in \
                     time; or its run is over",
                    run.0
                ));
            }
        }
        Ok(())
    }

    /// Ends runs and units that nobody works on.
    pub(super) async fn tidy(&self, foreign: &mut HashSet<i64>) -> Result<(), DatabaseError> {
        let without = (self.lease * ABANDONED).as_secs_f64();
        let reason = format!(
            "no worker with the rules of this run was seen for {without} seconds. Start `image-syncer work` with the \
             same files, or the run again."
        );
        let abandon = parameters!(without: f64, reason: String);
        let all: Option<i64> = None;
        let close = parameters!(all: Option<i64>);
        let hopeless = parameters!(LOSSES: i32);
        let digest = self.digest();
        let others = parameters!(digest: String);
        let rows = self
            .database
            .control
            .batch(&[
                (statements::CLOSE_CANCELLED, &close),
                (statements::ABANDON, &abandon),
                (statements::FORGET_WORKERS, &[]),
                (statements::HOPELESS, &hopeless),
                (statements::FOREIGN_RUNS, &others),
            ])
            .await?;
        for row in rows.get(3).into_iter().flatten() {
            self.give_up(row).await?;
        }
        for row in rows.get(4).into_iter().flatten() {
            let run = row.try_get::<_, i64>(0);
            let other = (row.try_get(1).ok(), row.try_get(2).ok());
            if let (Ok(run), (Some(program), Some(theirs))) = (run, other)
                && foreign.insert(run)
            {
                self.report_line(&foreign_run(run, program, (theirs, &digest)));
            }
        }
        Ok(())
    }

    /// Ends a unit that too many workers were lost with.
    async fn give_up(&self, row: &Row) -> Result<(), DatabaseError> {
        let values = (
            row.try_get(0),
            row.try_get(1),
            row.try_get(2),
            row.try_get(3),
        );
        let (Ok(run), Ok(id), Ok(owner), Ok(attempt)) = values else {
            return Ok(());
        };
        let reason = format!(
            "{} workers were lost while they worked on this, the last one {owner}. Look for the reason there, such as \
             too little memory.",
            LOSSES + 1
        );
        let ending = Ending {
            attempt: Attempt {
                run: RunKey(run),
                id,
                number: attempt,
            },
            owner,
            state: "failed",
            result: json_text(&reason),
            cost: UnitCost::default(),
            usage: None,
            only_if_cancelled: false,
        };
        ending.try_once(&self.database.control, false).await?;
        Ok(())
    }
}

/// Returns a renewed attempt, true if its run is not over, and true if its run is to be cancelled.
fn renewal(row: &Row) -> Option<(Attempt, bool, bool)> {
    let attempt = Attempt {
        run: RunKey(row.try_get(0).ok()?),
        id: row.try_get(1).ok()?,
        number: row.try_get(2).ok()?,
    };
    Some((attempt, row.try_get(3).ok()?, row.try_get(4).ok()?))
}

/// Returns a sentence about a run that a worker with other rules, or of another version, cannot join.
fn foreign_run(run: i64, program: &str, (theirs, own): (&str, &str)) -> String {
    let version = env!("CARGO_PKG_VERSION");
    if program != version {
        return format!(
            "this worker does not join the run {run}: image-syncer {program} began it, and this is image-syncer \
             {version}. Use the same version for all workers of a run."
        );
    }
    let short = |digest: &str| digest.chars().take(19).collect::<String>();
    format!(
        "this worker does not join the run {run}: its rules are others ({}, and {} here). Use the same files and flags \
         for all workers of a run.",
        short(theirs),
        short(own)
    )
}
