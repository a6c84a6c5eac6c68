//! Limits of the user's: requests and bytes a second, for each registry; and the rates that registries [teach](pacing).
//!
//! Every request on behalf of a registry counts, wherever it goes: each redirect, its token server, its storage. Both
//! buckets lend: a request starts as soon as the earlier ones are paid for, however much it takes, and the next ones
//! wait until it is paid for. Bodies that share a bucket therefore take turns by the chunk.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::limits::pacing::{Accepted, Pacing};

/// Time for which unused capacity is kept: a small burst.
const KEPT: Duration = Duration::from_millis(100);
/// Longest time to pay for a single item. Lower rates are of no use.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A limit for all registries, and others for some.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PerRegistry<T> {
    /// Limit of each registry without its own entry. `None`: no limit.
    pub each: Option<T>,
    /// Limits of single registries.
    pub named: HashMap<Registry, T>,
}

impl<T> Default for PerRegistry<T> {
    fn default() -> Self {
        Self {
            each: None,
            named: HashMap::new(),
        }
    }
}

impl<T> PerRegistry<T> {
    /// Sets the limit of each registry without its own entry.
    #[must_use]
    pub fn with_each(mut self, limit: T) -> Self {
        self.each = Some(limit);
        self
    }
    /// Sets the limit of a single registry.
    #[must_use]
    pub fn with_registry(mut self, registry: Registry, limit: T) -> Self {
        self.named.insert(registry, limit);
        self
    }
    /// Replaces what `other` limits: single registries, and the limit of each registry without its own entry.
    pub fn override_by(&mut self, other: Self) {
        self.named.extend(other.named);
        self.each = other.each.or(self.each.take());
    }
    pub(in crate::transport) fn for_registry(&self, registry: &Registry) -> Option<&T> {
        self.named.get(registry).or(self.each.as_ref())
    }
    pub(in crate::transport) fn is_empty(&self) -> bool {
        self.each.is_none() && self.named.is_empty()
    }
}

/// The buckets of all registries.
pub(in crate::transport) struct Rates {
    /// Requests a second.
    requests: PerRegistry<f64>,
    /// Bytes a second, in both directions together.
    bytes: PerRegistry<u64>,
    buckets: Mutex<HashMap<Registry, Buckets>>,
    /// True if a registry has answered 429: without one, `pacing` is not locked.
    has_refusals: AtomicBool,
    pacing: Mutex<HashMap<Registry, Pacing>>,
}

/// The buckets of one registry.
#[derive(Clone)]
struct Buckets {
    requests: Option<Bucket>,
    bytes: Option<Bucket>,
}

/// A rate and its present debt; shared.
#[derive(Clone, Debug)]
pub(in crate::transport) struct Bucket(Arc<Mutex<Level>>);

#[derive(Debug)]
struct Level {
    each: f64,
    /// Time at which everything taken is paid for.
    paid: Instant,
    /// Time for which unused capacity is kept.
    kept: Duration,
}

impl Rates {
    pub(in crate::transport) fn new(requests: PerRegistry<f64>, bytes: PerRegistry<u64>) -> Self {
        Self {
            requests,
            bytes,
            buckets: Mutex::default(),
            has_refusals: AtomicBool::new(false),
            pacing: Mutex::default(),
        }
    }
    /// Takes one request from the buckets of `registry`: the user's, and that of the rate that it can take. Returns the
    /// time at which it may start, or `None` without a limit.
    pub(in crate::transport) fn admit(&self, registry: &Registry) -> Option<Instant> {
        let paced = self.with_pacing(registry, |pacing| pacing.take(Instant::now()));
        self.request(registry).max(paced)
    }
    /// Returns true if a learned rate limits the requests to `registry`.
    pub(in crate::transport) fn is_paced(&self, registry: &Registry) -> bool {
        let rate = self.with_pacing(registry, |pacing| pacing.rate(Instant::now()));
        rate.is_some()
    }
    /// Returns true if any registry has answered 429.
    pub(in crate::transport) fn has_refusals(&self) -> bool {
        self.has_refusals.load(Ordering::Relaxed)
    }
    /// Returns true if `registry` is paced, and the pause before ended or ends after `time`. `None` is before the first
    /// refusal.
    pub(in crate::transport) fn was_paused_since(
        &self,
        registry: &Registry,
        time: Option<Instant>,
    ) -> bool {
        let is_later = |pacing: &mut Pacing| pacing.resumed(Instant::now()) > time;
        self.with_pacing(registry, |pacing| is_later(pacing).then_some(()))
            .is_some()
    }
    /// Records an answer of 429 for `registry`. `accepted` returns the count of accepted requests, and begins a new one.
    pub(in crate::transport) fn record_refusal(
        &self,
        registry: &Registry,
        accepted: impl FnOnce() -> Accepted,
    ) {
        self.has_refusals.store(true, Ordering::Relaxed);
        let mut all = lock(&self.pacing);
        let pacing = all.entry(registry.clone()).or_default();
        pacing.record_refusal(Instant::now(), accepted);
    }
    /// Records a pause of `registry` after an answer of 429.
    pub(in crate::transport) fn record_pause(&self, registry: &Registry, delay: Duration) {
        self.with_pacing(registry, |pacing| {
            pacing.record_pause(Instant::now(), delay);
            None::<()>
        });
    }
    fn with_pacing<T>(
        &self,
        registry: &Registry,
        get: impl FnOnce(&mut Pacing) -> Option<T>,
    ) -> Option<T> {
        if !self.has_refusals() {
            return None;
        }
        get(lock(&self.pacing).get_mut(registry)?)
    }
    /// Takes one request from the bucket of `registry`. Returns the time at which it may start, or `None` without a
    /// limit.
    pub(in crate::transport) fn request(&self, registry: &Registry) -> Option<Instant> {
        if self.requests.is_empty() {
            return None;
        }
        Some(self.buckets_for(registry).requests?.take(1))
    }
    /// Returns true if requests to `registry` are limited.
    pub(in crate::transport) fn limits_requests(&self, registry: &Registry) -> bool {
        self.requests.for_registry(registry).is_some()
    }
    /// Returns the bucket for the bytes of bodies from and to `registry`.
    pub(in crate::transport) fn bytes(&self, registry: &Registry) -> Option<Bucket> {
        if self.bytes.is_empty() {
            return None;
        }
        self.buckets_for(registry).bytes
    }
    fn buckets_for(&self, registry: &Registry) -> Buckets {
        let mut all = lock(&self.buckets);
        let made = all.entry(registry.clone()).or_insert_with(|| Buckets {
            requests: self
                .requests
                .for_registry(registry)
                .copied()
                .map(Bucket::new),
            #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
            bytes: self
                .bytes
                .for_registry(registry)
                .map(|rate| Bucket::new(*rate as f64)),
        });
        made.clone()
    }
}

impl Bucket {
    /// Returns a bucket with a rate per second.
    pub(super) fn new(rate: f64) -> Self {
        Self(Arc::new(Mutex::new(Level {
            each: 1.0 / rate,
            paid: Instant::now(),
            kept: KEPT,
        })))
    }
    /// Changes the rate of what is taken from now on.
    pub(super) fn set_rate(&self, rate: f64) {
        lock(&self.0).each = 1.0 / rate;
    }
    /// Forgets what was taken after `paid`, and keeps unused capacity for the time `kept`.
    pub(super) fn refill(&self, paid: Instant, kept: Duration) {
        let mut level = lock(&self.0);
        level.paid = paid;
        level.kept = kept.max(KEPT);
    }
    /// Takes `amount`. Returns the time at which the earlier amounts are paid for, which is in the past if there is no
    /// wait.
    pub(in crate::transport) fn take(&self, amount: u64) -> Instant {
        let mut level = lock(&self.0);
        let now = Instant::now();
        let start = match now.checked_sub(level.kept) {
            Some(earliest) => level.paid.max(earliest),
            None => level.paid,
        };
        level.paid = start + level.cost(amount);
        start
    }
    /// Returns the time at which everything taken is paid for.
    pub(super) fn next_free(&self) -> Instant {
        lock(&self.0).paid
    }
}

impl Level {
    fn cost(&self, amount: u64) -> Duration {
        #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let seconds = amount as f64 * self.each;
        Duration::try_from_secs_f64(seconds).map_or(LONGEST, |cost| cost.min(LONGEST))
    }
}

/// Takes the bytes of a body from a bucket, and waits while the bucket is empty. This wait is ours: the body does not
/// blame the peer for it.
#[derive(Debug)]
pub(in crate::transport) struct Throttle {
    bucket: Bucket,
    waits: Option<std::pin::Pin<Box<Sleep>>>,
}

impl Throttle {
    pub(in crate::transport) fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            waits: None,
        }
    }
    /// Records `bytes` that were transferred. The next bytes wait until they are paid for.
    pub(in crate::transport) fn record_bytes(&mut self, bytes: u64) {
        self.bucket.take(bytes);
        let paid = self.bucket.next_free();
        if paid > Instant::now() {
            self.waits = Some(Box::pin(tokio::time::sleep_until(paid)));
        }
    }
    /// Waits until the next bytes may flow.
    pub(in crate::transport) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(waits) = self.waits.as_mut() {
            ready!(waits.as_mut().poll(cx));
            self.waits = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rates(requests: PerRegistry<f64>) -> Rates {
        Rates::new(requests, PerRegistry::default())
    }

    fn registry(name: &str) -> Registry {
        Registry::parse(name).unwrap()
    }

    /// Returns the start of each of `count` requests, in milliseconds from now, or `None` without a limit.
    fn times(rates: &Rates, name: &str, count: usize) -> Vec<Option<u128>> {
        let now = Instant::now();
        let wait = |at: Instant| at.saturating_duration_since(now).as_millis();
        (0..count)
            .map(|_| rates.request(&registry(name)).map(wait))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_go_at_their_rate_after_a_small_burst() {
        let rates = rates(PerRegistry {
            each: Some(10.0),
            named: HashMap::new(),
        });
        let one = times(&rates, "one.example", 4);
        assert_eq!(one, [Some(0), Some(100), Some(200), Some(300)]);
        // Each registry has its own bucket, and unused capacity is kept for a tenth of a second.
        assert_eq!(times(&rates, "two.example", 1), [Some(0)]);
        tokio::time::advance(Duration::from_secs(60)).await;
        let later = times(&rates, "one.example", 4);
        assert_eq!(later, [Some(0), Some(0), Some(100), Some(200)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_is_named_has_its_own_rate() {
        let rates = rates(PerRegistry {
            each: Some(10.0),
            named: HashMap::from([(registry("slow.example:5000"), 0.5)]),
        });
        let slow = times(&rates, "slow.example:5000", 3);
        assert_eq!(slow, [Some(0), Some(2000), Some(4000)]);
        assert_eq!(times(&rates, "slow.example", 2), [Some(0), Some(100)]);
        let named = PerRegistry {
            each: None,
            named: HashMap::from([(Registry::docker_hub(), 1.0)]),
        };
        let rates = self::rates(named);
        assert_eq!(times(&rates, "other.example", 1), [None]);
        assert_eq!(times(&rates, "index.docker.io", 1), [Some(0)]);
        assert_eq!(times(&rates, "docker.io", 1), [Some(1000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_share_a_bucket() {
        let start = Instant::now();
        let bucket = Bucket::new(1000.0);
        let mut bodies = [Throttle::new(bucket.clone()), Throttle::new(bucket)];
        for _ in 0..3 {
            for body in &mut bodies {
                std::future::poll_fn(|cx| body.poll_ready(cx)).await;
                body.record_bytes(500);
            }
        }
        // The next bytes pay for the last ones.
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }
}
