//! Limits and pauses of registries, which all workers share.
//!
//! A row has the time at which everything granted so far is paid for. A draw moves it on, and is granted for the time
//! before: so workers queue in their order, each waits for its own grant, and none polls. The rate is exact for
//! any number of workers. All times are the server's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use image_syncer_registry::Registry;
use image_syncer_registry::transport::{
    Draw, Grant, LimitUnit, LimitsUnavailable, PauseReason, RemotePauses, SharedLimits,
};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::Row;

use crate::lock::lock;
use crate::share::postgres::connection::Statement;
use crate::share::postgres::{Database, DatabaseConnection, DatabaseError, parameters};

/// Time between looks at the pauses of other workers. A notification makes it shorter.
const PERIOD: Duration = Duration::from_secs(5);
/// Least time between looks that notifications cause.
const GAP: Duration = Duration::from_secs(1);
/// Pauses that end this much later are no news: a window full of requests is refused at nearly the same time.
const SAME: Duration = Duration::from_secs(1);

/// A draw that is lost with the server costs nothing but itself.
const NO_FLUSH: &str = "SET LOCAL synchronous_commit = off";
/// Grants tokens whose cost is `$4` seconds. Unused capacity of `$5` seconds is kept. A time in the far future comes
/// from a clock that was wrong.
const DRAW: &str = "\
INSERT INTO image_syncer.budgets AS budget (registry, unit, rate, paid_until)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
ON CONFLICT (registry, unit) DO UPDATE SET
    rate = EXCLUDED.rate,
    paid_until = greatest(
        least(budget.paid_until, clock_timestamp() + make_interval(secs => greatest(900, 64 * $4))),
        clock_timestamp() - make_interval(secs => $5)
    ) + make_interval(secs => $4)
RETURNING extract(epoch FROM paid_until - clock_timestamp())::double precision - $4";
/// Pauses a registry for `$2` seconds. Tokens are granted for the time after it.
const PAUSE: &str = "\
WITH pause AS (
    INSERT INTO image_syncer.pauses AS pause (registry, paused_until, reason)
    VALUES ($1, clock_timestamp() + make_interval(secs => $2), $3)
    ON CONFLICT (registry) DO UPDATE SET
        paused_until = greatest(pause.paused_until, EXCLUDED.paused_until),
        reason = EXCLUDED.reason
    RETURNING paused_until
)
UPDATE image_syncer.budgets SET paid_until = greatest(paid_until, paused_until)
FROM pause WHERE registry = $1 AND unit = 'requests'";
const NOTIFY: &str = "SELECT pg_notify('image_syncer', 'pause')";
/// Pauses that are as good as over are left out.
const PAUSES: &str = "\
SELECT registry, reason, extract(epoch FROM paused_until - clock_timestamp())::double precision
FROM image_syncer.pauses WHERE paused_until > clock_timestamp() + interval '100 milliseconds'";
/// Workers renew their rows every 15 seconds.
const WORKERS: &str = "\
SELECT count(*) FROM image_syncer.workers
WHERE NOT has_left AND seen > clock_timestamp() - interval '60 seconds'";

/// Limits and pauses of registries, by a table.
pub(crate) struct Budgets {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    connection: DatabaseConnection,
    state: Mutex<State>,
    /// Number of workers that were seen lately.
    workers: AtomicUsize,
    /// Signals a pause that is not stored yet.
    news: Notify,
}

#[derive(Default)]
struct State {
    transports: Vec<RemotePauses>,
    /// Pauses that this process knows.
    pauses: HashMap<Registry, Pause>,
}

#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    reason: PauseReason,
    is_stored: bool,
}

impl Drop for Budgets {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Budgets {
    /// Starts the task that exchanges pauses.
    pub(crate) fn start(database: &Database) -> Arc<Self> {
        let shared = Arc::new(Shared {
            connection: database.control.clone(),
            state: Mutex::default(),
            workers: AtomicUsize::new(1),
            news: Notify::new(),
        });
        let task = tokio::spawn(Arc::clone(&shared).exchange()).abort_handle();
        Arc::new(Self { shared, task })
    }
}

impl SharedLimits for Budgets {
    fn draw(&self, draw: Draw) -> BoxFuture<'_, Result<Grant, LimitsUnavailable>> {
        Box::pin(async move {
            self.shared.draw(&draw).await.map_err(|error| {
                let registry = draw.registry.as_str();
                tracing::debug!(registry, %error, "no tokens of the shared limit");
                LimitsUnavailable
            })
        })
    }

    fn pause(&self, registry: &Registry, delay: Duration, why: PauseReason) {
        let now = Instant::now();
        let Some(until) = now.checked_add(delay) else {
            return;
        };
        let mut state = lock(&self.shared.state);
        let known = state.pauses.get(registry).map(|pause| pause.until);
        let tolerance = SAME.min(delay / 10);
        if known.is_some_and(|known| known > now && known + tolerance >= until) {
            return;
        }
        let pause = Pause {
            until,
            reason: why,
            is_stored: false,
        };
        state.pauses.insert(registry.clone(), pause);
        drop(state);
        self.shared.news.notify_one();
    }

    fn attach(&self, pauses: RemotePauses) {
        let mut state = lock(&self.shared.state);
        let now = Instant::now();
        // Later ones come with the next look.
        for (registry, pause) in &state.pauses {
            let delay = pause.until.saturating_duration_since(now);
            pauses.pause(registry, delay, pause.reason);
        }
        state.transports.push(pauses);
    }

    fn processes(&self) -> usize {
        self.shared.workers.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn draw(&self, draw: &Draw) -> Result<Grant, DatabaseError> {
        #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let cost = draw.amount as f64 / draw.rate;
        let (registry, rate, kept) = (draw.registry.as_str(), draw.rate, draw.kept.as_secs_f64());
        let unit = match draw.unit {
            LimitUnit::Requests => "requests",
            LimitUnit::Bytes => "bytes",
        };
        let parameters = parameters!(registry: &str, unit: &str, rate: f64, cost: f64, kept: f64);
        let statements: [Statement<'_>; 2] = [(NO_FLUSH, &[]), (DRAW, &parameters)];
        let rows = self.connection.batch(&statements).await?;
        let delay = rows.last().and_then(|rows| rows.first()).map(seconds);
        Ok(Grant {
            tokens: draw.amount,
            delay: delay.unwrap_or_default(),
        })
    }

    /// Stores the pauses of this worker, and reads those of the others, again and again.
    async fn exchange(self: Arc<Self>) {
        let hints = self.connection.hints();
        loop {
            let mut hinted = std::pin::pin!(hints.pauses());
            // Enabled before the look, so that no notification is missed.
            hinted.as_mut().enable();
            let start = Instant::now();
            if let Err(error) = self.look().await {
                tracing::debug!(%error, "pauses of registries are not exchanged");
            }
            let mut next = start + PERIOD;
            let mut is_hinted = false;
            loop {
                tokio::select! {
                    () = self.news.notified() => break,
                    () = &mut hinted, if !is_hinted => {
                        is_hinted = true;
                        next = start + GAP;
                    }
                    () = sleep_until(next) => break,
                }
            }
        }
    }

    async fn look(&self) -> Result<(), DatabaseError> {
        let now = Instant::now();
        let news = self.news(now);
        for (registry, pause) in &news {
            let (registry, reason) = (registry.as_str(), name(pause.reason));
            let delay = pause.until.saturating_duration_since(now).as_secs_f64();
            let parameters = parameters!(registry: &str, delay: f64, reason: &str);
            let statements: [Statement<'_>; 2] = [(PAUSE, &parameters), (NOTIFY, &[])];
            self.connection.batch(&statements).await?;
        }
        for (registry, stored) in &news {
            if let Some(pause) = lock(&self.state).pauses.get_mut(registry) {
                // It may have become longer meanwhile.
                pause.is_stored = pause.until <= stored.until;
            }
        }
        let rows = self
            .connection
            .batch(&[(PAUSES, &[]), (WORKERS, &[])])
            .await?;
        if let [pauses, workers] = rows.as_slice() {
            self.apply(pauses);
            let count = workers.first().and_then(|row| row.try_get(0).ok());
            let count = count.and_then(|count: i64| usize::try_from(count).ok());
            self.workers
                .store(count.unwrap_or_default().max(1), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Returns the pauses that are not stored yet, and forgets those that are over.
    fn news(&self, now: Instant) -> Vec<(Registry, Pause)> {
        let mut state = lock(&self.state);
        state.pauses.retain(|_, pause| pause.until > now);
        let pauses = state.pauses.iter();
        let news = pauses.filter(|(_, pause)| !pause.is_stored);
        news.map(|(registry, pause)| (registry.clone(), *pause))
            .collect()
    }

    /// Applies pauses of the table to the transports of this process.
    fn apply(&self, rows: &[Row]) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        for row in rows {
            let Some((registry, reason)) = stored_pause(row) else {
                continue;
            };
            let delay = row.try_get(2).map_or(Duration::ZERO, positive);
            let Some(until) = now.checked_add(delay) else {
                continue;
            };
            // One of this worker that became longer is not stored yet.
            let pause = state.pauses.entry(registry.clone()).or_insert(Pause {
                until,
                reason,
                is_stored: true,
            });
            pause.until = pause.until.max(until);
            state
                .transports
                .retain(|transport| transport.pause(&registry, delay, reason));
        }
    }
}

fn stored_pause(row: &Row) -> Option<(Registry, PauseReason)> {
    let registry = Registry::parse(row.try_get(0).ok()?).ok()?;
    let reason = match row.try_get(1).ok()? {
        "overload" => PauseReason::Overload,
        _ => PauseReason::RateLimit,
    };
    Some((registry, reason))
}

fn name(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::RateLimit => "rate-limit",
        PauseReason::Overload => "overload",
    }
}

/// Returns the seconds in the first column. Less than zero is none.
fn seconds(row: &Row) -> Duration {
    row.try_get(0).map_or(Duration::ZERO, positive)
}

fn positive(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}
