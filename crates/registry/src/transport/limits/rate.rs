//! Limits of the user's: requests and bytes a second, for each registry; and the rates that registries [teach](pacing).
//!
//! Every request on behalf of a registry counts, wherever it goes: each redirect, its token server, its storage.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::limits::bucket::Bucket;
use crate::transport::limits::pacing::{Accepted, Pacing};
use crate::transport::limits::shared::{LimitUnit, SharedBucket, SharedLimits};
use crate::transport::shutdown_deadline::{DeadlineExceeded, ShutdownDeadline};

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
    /// Returns the limits after a change of each.
    #[must_use]
    pub fn map(self, change: impl Fn(T) -> T) -> Self {
        let named = self.named.into_iter();
        Self {
            each: self.each.map(&change),
            named: named
                .map(|(registry, limit)| (registry, change(limit)))
                .collect(),
        }
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
    /// Place that other processes draw from, too.
    shared: Option<Arc<dyn SharedLimits>>,
    buckets: Mutex<HashMap<Registry, Buckets>>,
    /// True if a registry has answered 429: without one, `pacing` is not locked.
    has_refusals: AtomicBool,
    pacing: Mutex<HashMap<Registry, Pacing>>,
}

/// The buckets of one registry.
#[derive(Clone)]
struct Buckets {
    requests: Option<RateBucket>,
    bytes: Option<RateBucket>,
}

/// A rate of this process, or of several.
#[derive(Clone, Debug)]
pub(in crate::transport) enum RateBucket {
    Own(Bucket),
    Shared(Arc<SharedBucket>),
}

impl RateBucket {
    /// Takes `amount` for something that starts at its turn.
    pub(in crate::transport) fn take(&self, amount: u64) -> Turn {
        match self {
            Self::Own(bucket) => Turn {
                start: Some(bucket.take(amount)),
                shared: None,
            },
            Self::Shared(bucket) => Turn {
                start: None,
                shared: Some((Arc::clone(bucket), amount)),
            },
        }
    }
}

/// Permission to start at a time, or when the shared limits allow it.
#[derive(Debug, Default)]
pub(in crate::transport) struct Turn {
    /// The time. `None`: now.
    start: Option<Instant>,
    /// Amount that is drawn then.
    shared: Option<(Arc<SharedBucket>, u64)>,
}

impl Turn {
    /// Returns true if there is no wait.
    pub(in crate::transport) fn is_now(&self) -> bool {
        self.shared.is_none() && self.start.is_none_or(|start| start <= Instant::now())
    }
    /// Waits for the turn, within the deadline `shutdown`.
    pub(in crate::transport) async fn wait(
        self,
        shutdown: &ShutdownDeadline,
    ) -> Result<(), DeadlineExceeded> {
        if let Some(start) = self.start {
            shutdown.until(start).await?;
        }
        match self.shared.and_then(|(bucket, amount)| bucket.take(amount)) {
            // Boxed, so that the futures of processes with own limits stay small.
            Some(unpaid) => Box::pin(unpaid.wait(shutdown)).await,
            None => Ok(()),
        }
    }
}

impl Rates {
    pub(in crate::transport) fn new(
        requests: PerRegistry<f64>,
        bytes: PerRegistry<u64>,
        shared: Option<Arc<dyn SharedLimits>>,
    ) -> Self {
        Self {
            requests,
            bytes,
            shared,
            buckets: Mutex::default(),
            has_refusals: AtomicBool::new(false),
            pacing: Mutex::default(),
        }
    }
    /// Takes one request from the buckets of `registry`: the user's, and that of the rate that it can take.
    pub(in crate::transport) fn admit(&self, registry: &Registry) -> Turn {
        let paced = self.with_pacing(registry, |pacing| pacing.take(Instant::now()));
        let turn = self.request(registry);
        Turn {
            start: turn.start.max(paced),
            ..turn
        }
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
    /// Takes one request from the bucket of `registry`.
    pub(in crate::transport) fn request(&self, registry: &Registry) -> Turn {
        if self.requests.is_empty() {
            return Turn::default();
        }
        let bucket = self.buckets_for(registry).requests;
        bucket.map_or_else(Turn::default, |bucket| bucket.take(1))
    }
    /// Returns true if requests to `registry` are limited.
    pub(in crate::transport) fn limits_requests(&self, registry: &Registry) -> bool {
        self.requests.for_registry(registry).is_some()
    }
    /// Returns the bucket for the bytes of bodies from and to `registry`.
    pub(in crate::transport) fn bytes(&self, registry: &Registry) -> Option<RateBucket> {
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
                .map(|rate| self.bucket(registry, LimitUnit::Requests, *rate)),
            #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
            bytes: self
                .bytes
                .for_registry(registry)
                .map(|rate| self.bucket(registry, LimitUnit::Bytes, *rate as f64)),
        });
        made.clone()
    }
    fn bucket(&self, registry: &Registry, unit: LimitUnit, rate: f64) -> RateBucket {
        match &self.shared {
            None => RateBucket::Own(Bucket::new(rate)),
            Some(shared) => {
                let shared = Arc::clone(shared);
                RateBucket::Shared(SharedBucket::new(shared, registry.clone(), unit, rate))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rates(requests: PerRegistry<f64>) -> Rates {
        Rates::new(requests, PerRegistry::default(), None)
    }

    fn registry(name: &str) -> Registry {
        Registry::parse(name).unwrap()
    }

    /// Returns the start of each of `count` requests, in milliseconds from now, or `None` without a limit.
    fn times(rates: &Rates, name: &str, count: usize) -> Vec<Option<u128>> {
        let now = Instant::now();
        let wait = |at: Instant| at.saturating_duration_since(now).as_millis();
        (0..count)
            .map(|_| rates.request(&registry(name)).start.map(wait))
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
}
