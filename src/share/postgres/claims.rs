//! Claims of units.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use image_syncer_sync::Listener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Row;

use crate::share::postgres::gatherer::Gatherer;
use crate::share::postgres::held::Attempt;
use crate::share::postgres::patience::Patience;
use crate::share::postgres::{DatabaseError, LOSSES, PostgresShare, clock, parameters, statements};
use crate::share::{ClaimedUnit, NewUnit, RunKey, Share, ShareError, UnitCost, UnitEnd};

/// Pauses between looks at an empty queue, from the shortest to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// Units that a claim gave, or `None` if none will follow.
type Claimed = Result<Option<Vec<ClaimedUnit>>, ShareError>;

/// Claims units of one run, or of all.
pub(super) struct RunShare {
    claims: Arc<Claims>,
    /// The claim in progress. It outlives the future of the caller, which may be dropped at any time: the units that it
    /// gets then belong to the next caller.
    pending: Mutex<Option<JoinHandle<Claimed>>>,
}

/// Settings of claims.
pub(super) struct Claims {
    pub(super) share: Arc<PostgresShare>,
    /// Identity of the rules.
    pub(super) digest: String,
    /// The only run. `None` for all.
    pub(super) run: Option<RunKey>,
    /// Time without units after which none is claimed any more.
    pub(super) idle: Option<Duration>,
    /// Receives the events as they happen.
    pub(super) listener: Option<Arc<dyn Listener>>,
}

impl RunShare {
    /// Claims units with these settings.
    pub(super) fn new(claims: Claims) -> Self {
        Self {
            claims: Arc::new(claims),
            pending: Mutex::default(),
        }
    }
}

impl Share for RunShare {
    fn claim(&self, free: usize) -> BoxFuture<'_, Claimed> {
        async move {
            let mut pending = self.pending.lock().await;
            let task = pending.get_or_insert_with(|| {
                let claims = Arc::clone(&self.claims);
                tokio::spawn(async move { claims.wait_for_units(free).await })
            });
            let claimed = task.await;
            *pending = None;
            claimed.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Ok(None),
            })
        }
        .boxed()
    }

    fn add<'a>(
        &'a self,
        unit: &'a ClaimedUnit,
        units: Vec<NewUnit>,
    ) -> BoxFuture<'a, Result<bool, ShareError>> {
        async move { self.claims.share.add_units(unit.into(), &units).await }.boxed()
    }

    fn parts<'a>(
        &'a self,
        unit: &'a ClaimedUnit,
    ) -> BoxFuture<'a, Result<HashSet<String>, ShareError>> {
        async move { self.claims.share.parts_of(unit).await }.boxed()
    }

    fn costs<'a>(
        &'a self,
        unit: &'a ClaimedUnit,
        keys: Vec<String>,
    ) -> BoxFuture<'a, HashMap<String, UnitCost>> {
        async move { self.claims.share.former_costs(unit.run, keys).await }.boxed()
    }

    fn end<'a>(
        &'a self,
        unit: &'a ClaimedUnit,
        end: UnitEnd,
    ) -> BoxFuture<'a, Result<bool, ShareError>> {
        async move { self.claims.share.end_unit(unit.into(), &end).await }.boxed()
    }
}

impl Claims {
    async fn wait_for_units(&self, free: usize) -> Claimed {
        let share = &self.share;
        let mut patience = Patience::new(&share.database.work, share.timeout);
        let mut pause = PAUSES.0;
        loop {
            let hint = share.hints.units();
            let closing = share.closing.lock().await;
            if *closing {
                return Ok(None);
            }
            let claimed = self.try_claim(free).await;
            drop(closing);
            let (units, state) = match claimed {
                Ok(claimed) => claimed,
                Err(error) => {
                    patience.wait(error).await?;
                    continue;
                }
            };
            patience.reset();
            if !units.is_empty() {
                share.touch();
                return Ok(Some(units));
            }
            if state.is_some_and(|state| state != "queued" && state != "running") {
                return Ok(None);
            }
            let mut wait = pause;
            if let Some(idle) = self.idle.filter(|_| share.held.is_empty()) {
                let left = idle.saturating_sub(share.idle_time());
                if left.is_zero() {
                    return Ok(None);
                }
                wait = wait.min(left);
            }
            // Sooner, if the server says that there are units.
            let _ = timeout(wait, hint).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Returns claimed units, and the state of the run.
    async fn try_claim(
        &self,
        free: usize,
    ) -> Result<(Vec<ClaimedUnit>, Option<String>), DatabaseError> {
        let share = &self.share;
        let digest = &self.digest;
        let run = self.run.map(|run| run.0);
        let free = i64::try_from(free).unwrap_or(i64::MAX);
        let owner = &share.worker.id;
        let lease = share.lease.as_secs_f64();
        let claim = parameters!(
            digest: String, run: Option<i64>, free: i64, owner: String, lease: f64, LOSSES: i32,
        );
        let state = parameters!(run: Option<i64>);
        let sent = clock::now();
        let mut rows = share
            .database
            .work
            .batch(&[(statements::CLAIM, &claim), (statements::RUN_STATE, &state)])
            .await?
            .into_iter();
        let (claimed, state) = (
            rows.next().unwrap_or_default(),
            rows.next().unwrap_or_default(),
        );
        let mut units = Vec::new();
        for row in claimed {
            match self.unit(&row, sent) {
                Ok(unit) => units.push(unit),
                Err(error) => share.report_error(&error),
            }
        }
        let state = state.first().and_then(|row| row.try_get(0).ok());
        Ok((units, state))
    }

    fn unit(&self, row: &Row, sent: Duration) -> Result<ClaimedUnit, ShareError> {
        let unreadable = |why: &dyn std::fmt::Display| {
            ShareError::new(format!(
                "cannot read a unit of a shared run: {why}. Run the same version of image-syncer everywhere."
            ))
        };
        let text = |column| {
            row.try_get::<_, &str>(column)
                .map_err(|error| unreadable(&error))
        };
        let run = RunKey(row.try_get(0).map_err(|error| unreadable(&error))?);
        let id = row.try_get(1).map_err(|error| unreadable(&error))?;
        let attempt = row.try_get(2).map_err(|error| unreadable(&error))?;
        let spec = serde_json::from_str(text(3)?).map_err(|error| unreadable(&error))?;
        let work = serde_json::from_str(text(4)?).map_err(|error| unreadable(&error))?;
        let gatherer = Arc::new(Gatherer::new(self.listener.clone()));
        let identity = Attempt {
            run,
            id,
            number: attempt,
        };
        let lease = (sent, self.share.lease);
        let held = self.share.held.add(identity, Arc::clone(&gatherer), lease);
        Ok(ClaimedUnit {
            run,
            id,
            attempt,
            work: Arc::new(work),
            spec,
            lease: Some(held.lease),
            ended: held.ended,
            listener: gatherer,
        })
    }
}
