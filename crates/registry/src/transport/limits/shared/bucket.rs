//! Requests, or bytes, that wait for tokens of a shared limit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::limits::bucket::{Bucket, KEPT, cost};
use crate::transport::limits::shared::driver::Driver;
use crate::transport::limits::shared::supply::Supply;
use crate::transport::limits::shared::{BATCH, Draw, Grant, LimitUnit, SharedLimits};
use crate::transport::shutdown_deadline::{DeadlineExceeded, ShutdownDeadline};

/// Time between draws while the shared limits are unavailable.
const RETRY: Duration = Duration::from_secs(1);

/// A shared limit of one registry.
pub(in crate::transport) struct SharedBucket {
    limits: Arc<dyn SharedLimits>,
    registry: Registry,
    unit: LimitUnit,
    rate: f64,
    state: Mutex<State>,
}

struct State {
    queue: VecDeque<Entry>,
    /// Number of tokens that the entries wait for.
    queued: u64,
    supply: Supply,
    outage: Option<Outage>,
    /// The task that draws, while there are entries.
    driver: Option<AbortHandle>,
}

/// An amount that waits for tokens.
struct Entry {
    rest: u64,
    paid: oneshot::Sender<()>,
    /// True if it was used already, so that it has to be paid for even if nobody waits.
    is_owed: bool,
}

/// A time without shared limits.
struct Outage {
    /// Share of this process.
    local: Bucket,
    /// Time of the next draw.
    retry: Instant,
}

/// An amount that is not paid for yet.
#[derive(Debug)]
pub(in crate::transport) struct Unpaid {
    paid: oneshot::Receiver<()>,
    /// Earliest time at which the amount can be paid for.
    earliest: Instant,
}

impl Unpaid {
    /// Waits until the amount is paid for, within the deadline `shutdown`.
    pub(in crate::transport) async fn wait(
        self,
        shutdown: &ShutdownDeadline,
    ) -> Result<(), DeadlineExceeded> {
        let paid = self.paid.map(drop);
        shutdown.within(self.earliest, paid).await
    }
    /// Waits until the amount is paid for.
    pub(in crate::transport) fn poll_paid(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.paid.poll_unpin(cx).map(drop)
    }
}

impl std::fmt::Debug for SharedBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedBucket")
            .field("registry", &self.registry)
            .field("unit", &self.unit)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

impl SharedBucket {
    pub(in crate::transport::limits) fn new(
        limits: Arc<dyn SharedLimits>,
        registry: Registry,
        unit: LimitUnit,
        rate: f64,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            registry,
            unit,
            rate,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                queued: 0,
                supply: Supply::new(Instant::now()),
                outage: None,
                driver: None,
            }),
        })
    }
    /// Takes `amount`, for something that starts when it is paid for. It costs nothing if nobody waits for it any more.
    pub(in crate::transport) fn take(self: &Arc<Self>, amount: u64) -> Option<Unpaid> {
        self.enqueue(amount, false)
    }
    /// Takes `amount` for something that has happened.
    pub(in crate::transport) fn record(self: &Arc<Self>, amount: u64) -> Option<Unpaid> {
        self.enqueue(amount, true)
    }
    /// Returns `None` if the amount is paid for.
    fn enqueue(self: &Arc<Self>, amount: u64, is_owed: bool) -> Option<Unpaid> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let mut rest = amount;
        if state.queue.is_empty() {
            rest -= state.supply.consume(amount, now);
        }
        if rest == 0 {
            return None;
        }
        state.queued = state.queued.saturating_add(rest);
        // Everything within a batch is paid for at once.
        let before = state.queued.saturating_sub(self.batch());
        let earliest = state.supply.usable().max(now) + cost(before, 1.0 / self.rate);
        // Debts of bodies that are gone become one, however many there are.
        while is_owed
            && let Some(gone) = state.queue.back()
            && gone.is_owed
            && gone.paid.is_closed()
        {
            rest = rest.saturating_add(gone.rest);
            state.queue.pop_back();
        }
        let (sender, paid) = oneshot::channel();
        state.queue.push_back(Entry {
            rest,
            paid: sender,
            is_owed,
        });
        let is_driven = state.driver.as_ref().is_some_and(|it| !it.is_finished());
        if !is_driven {
            let driver = Driver::new(Arc::clone(self));
            state.driver = Some(tokio::spawn(driver.run()).abort_handle());
        }
        Some(Unpaid { paid, earliest })
    }
    /// Pays for entries from the tokens on hand, in their order. Returns the number of tokens that are needed besides,
    /// or `None`, for the end of the driver, if nothing waits.
    pub(super) fn pay(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let state = &mut *state;
        while let Some(entry) = state.queue.front_mut() {
            let is_needed = entry.is_owed || !entry.paid.is_closed();
            let used = if is_needed {
                state.supply.consume(entry.rest, now)
            } else {
                entry.rest
            };
            entry.rest -= used;
            state.queued = state.queued.saturating_sub(used);
            if entry.rest > 0 {
                return Some(state.queued);
            }
            if let Some(entry) = state.queue.pop_front() {
                // Nobody may wait for it any more.
                let _ = entry.paid.send(());
            }
        }
        state.driver = None;
        None
    }
    /// Returns the time at which the tokens on hand may be used.
    pub(super) fn usable(&self) -> Instant {
        lock(&self.state).supply.usable()
    }
    /// Returns the next draw, for `needed` tokens.
    pub(super) fn next_draw(&self, needed: u64) -> (Arc<dyn SharedLimits>, Draw) {
        let processes = self.limits.processes();
        let state = lock(&self.state);
        let now = Instant::now();
        let draw = Draw {
            registry: self.registry.clone(),
            unit: self.unit,
            rate: self.rate,
            kept: KEPT,
            amount: state
                .supply
                .next_amount(needed, self.batch(), processes, now),
        };
        (Arc::clone(&self.limits), draw)
    }
    /// Adds the tokens of `grant` for `draw`, and ends an outage.
    pub(super) fn add(&self, grant: Grant, amount: u64) {
        /// Minimum delay of a draw after one without tokens.
        const LEAST: Duration = Duration::from_millis(10);
        let tokens = grant.tokens.min(amount);
        let delay = if tokens == 0 {
            grant.delay.max(LEAST)
        } else {
            grant.delay
        };
        let mut state = lock(&self.state);
        state.supply.add(tokens, delay, Instant::now());
        if state.outage.take().is_some() {
            tracing::debug!(registry = %self.registry, "the shared limits are available again");
        }
    }
    /// Begins an outage, or goes on with it until the next draw.
    pub(super) fn fail(&self) {
        let retry = Instant::now() + RETRY;
        let rate = self.local_rate();
        let mut state = lock(&self.state);
        match &mut state.outage {
            Some(outage) => {
                outage.retry = retry;
                outage.local.set_rate(rate);
            }
            outage @ None => {
                tracing::debug!(registry = %self.registry, rate, "the shared limits are unavailable");
                let local = Bucket::new(rate);
                *outage = Some(Outage { local, retry });
            }
        }
    }
    /// Returns the time of the next draw during an outage.
    pub(super) fn retry(&self) -> Option<Instant> {
        Some(lock(&self.state).outage.as_ref()?.retry)
    }
    /// Takes at most `needed` tokens from the share of this process during an outage. Returns the time at which they may
    /// be used, and their number.
    pub(super) fn take_locally(&self, needed: u64) -> Option<(Instant, u64)> {
        let processes = self.processes();
        let tokens = needed.min((self.batch() / processes).max(1));
        let state = lock(&self.state);
        let at = state.outage.as_ref()?.local.take(tokens);
        Some((at, tokens))
    }
    /// Adds tokens of the share of this process.
    pub(super) fn add_locally(&self, tokens: u64) {
        let mut state = lock(&self.state);
        state.supply.add(tokens, Duration::ZERO, Instant::now());
    }
    /// Number of tokens in a batch.
    fn batch(&self) -> u64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the rate is greater than zero, and the cast saturates"
        )]
        let batch = (self.rate * BATCH.as_secs_f64()) as u64;
        batch.max(1)
    }
    fn processes(&self) -> u64 {
        let processes = self.limits.processes();
        u64::try_from(processes).unwrap_or(u64::MAX).max(1)
    }
    fn local_rate(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let processes = self.processes() as f64;
        self.rate / processes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::transport::PauseReason;
    use crate::transport::limits::shared::{LimitsUnavailable, RemotePauses};

    /// Grants everything, if it grants at all.
    struct Generous {
        is_silent: bool,
    }

    impl SharedLimits for Generous {
        fn draw(&self, draw: Draw) -> BoxFuture<'_, Result<Grant, LimitsUnavailable>> {
            Box::pin(async move {
                if self.is_silent {
                    std::future::pending::<()>().await;
                }
                Ok(Grant {
                    tokens: draw.amount,
                    delay: Duration::ZERO,
                })
            })
        }
        fn pause(&self, _: &Registry, _: Duration, _: PauseReason) {}
        fn attach(&self, _: RemotePauses) {}
        fn processes(&self) -> usize {
            0
        }
    }

    fn bucket(is_silent: bool) -> Arc<SharedBucket> {
        let limits = Arc::new(Generous { is_silent });
        SharedBucket::new(limits, Registry::docker_hub(), LimitUnit::Bytes, 1000.0)
    }

    #[tokio::test(start_paused = true)]
    async fn debts_of_bodies_that_are_gone_need_one_place() {
        let bucket = bucket(true);
        let waits = bucket.record(1);
        for _ in 0..1000 {
            bucket.record(100);
        }
        let last = bucket.record(100);
        let state = lock(&bucket.state);
        let rests: Vec<_> = state.queue.iter().map(|entry| entry.rest).collect();
        assert_eq!((rests, state.queued), (vec![1, 100_100], 100_101));
        drop(state);
        drop((waits, last));
        // What is owed stays, even if the one that comes next gives up.
        drop(bucket.take(7));
        let state = lock(&bucket.state);
        let rests: Vec<_> = state.queue.iter().map(|entry| entry.rest).collect();
        assert_eq!(rests, [1, 100_100, 7]);
    }

    #[tokio::test(start_paused = true)]
    async fn large_amounts_take_several_draws() {
        let bucket = bucket(false);
        let shutdown = ShutdownDeadline::default();
        bucket.take(2600).unwrap().wait(&shutdown).await.unwrap();
        // The batch of 250 that paid for the last hundred has 150 left.
        assert!(bucket.take(150).is_none());
        assert!(bucket.take(1).is_some());
    }
}
