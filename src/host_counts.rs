//! Counters of requests, retries and pauses for each registry.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use image_syncer_registry::transport::{Observer, PauseReason, RequestRecord};

use crate::lock::lock;

/// Maximum number of registries that are counted by name. Files name a few hundred at most. All others are counted
/// together, so that memory stays bounded.
const NAMED: usize = 1_000;

/// Counts requests, retries and pauses. Requests to the storage and the token server of a registry count for the
/// registry.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    hosts: HashMap<String, HostCounts>,
    others: HostCounts,
}

/// Counters of one registry, or of several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostCounts {
    /// Requests that were tried, answered or not, including those for tokens and redirects.
    pub(crate) requests: u64,
    /// Requests that failed and were tried again. Images that wait for the same host share its tries.
    pub(crate) retries: u64,
    /// Pauses because of a rate limit.
    pub(crate) rate_limit_pauses: u64,
    /// Total time of these pauses.
    pub(crate) rate_limit_wait: Duration,
    /// Pauses because the registry was overloaded.
    pub(crate) overload_pauses: u64,
    /// Total time of these pauses.
    pub(crate) overload_wait: Duration,
}

impl AddAssign for HostCounts {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.retries += other.retries;
        self.rate_limit_pauses += other.rate_limit_pauses;
        self.rate_limit_wait += other.rate_limit_wait;
        self.overload_pauses += other.overload_pauses;
        self.overload_wait += other.overload_wait;
    }
}

impl Counts {
    /// Creates counters that are zero.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Returns the counters of all registries together.
    pub(crate) fn totals(&self) -> HostCounts {
        let state = self.lock();
        let mut totals = state.others;
        for counts in state.hosts.values() {
            totals += *counts;
        }
        totals
    }

    /// Returns the counters of each registry, the busiest first. Registries beyond the first thousand come last, together
    /// and without a name.
    pub(crate) fn by_host(&self) -> Vec<(Option<String>, HostCounts)> {
        let state = self.lock();
        let named = state.hosts.iter();
        let mut all: Vec<_> = named.map(|(host, c)| (Some(host.clone()), *c)).collect();
        all.sort_by(|(a, x), (b, y)| y.requests.cmp(&x.requests).then_with(|| a.cmp(b)));
        if state.others != HostCounts::default() {
            all.push((None, state.others));
        }
        all
    }

    fn count(&self, host: &str, what: impl FnOnce(&mut HostCounts)) {
        let mut state = self.lock();
        if let Some(counts) = state.hosts.get_mut(host) {
            what(counts);
        } else if state.hosts.len() < NAMED {
            what(state.hosts.entry(host.to_owned()).or_default());
        } else {
            what(&mut state.others);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Observer for Counts {
    fn request(&self, record: &RequestRecord<'_>) {
        self.count(record.registry, |counts| counts.requests += 1);
    }

    fn retry(&self, registry: &str, _error: &str, _tries: u32, _delay: Duration) {
        self.count(registry, |counts| counts.retries += 1);
    }

    fn pause(&self, host: &str, delay: Duration, why: PauseReason) {
        self.count(host, |counts| match why {
            PauseReason::RateLimit => {
                counts.rate_limit_pauses += 1;
                counts.rate_limit_wait += delay;
            }
            PauseReason::Overload => {
                counts.overload_pauses += 1;
                counts.overload_wait += delay;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_busiest_comes_first() {
        let counts = Counts::new();
        counts.retry("b.example", "", 1, SECOND);
        counts.count("c.example", |counts| counts.requests = 2);
        counts.pause("a.example", SECOND, PauseReason::RateLimit);
        counts.pause("a.example", 2 * SECOND, PauseReason::RateLimit);
        counts.pause("a.example", SECOND, PauseReason::Overload);
        let hosts: Vec<_> = counts.by_host().into_iter().map(|(host, _)| host).collect();
        let named = |host: &str| Some(host.to_owned());
        assert_eq!(hosts, ["c.example", "a.example", "b.example"].map(named));
        assert_eq!(
            counts.totals(),
            HostCounts {
                requests: 2,
                retries: 1,
                rate_limit_pauses: 2,
                rate_limit_wait: 3 * SECOND,
                overload_pauses: 1,
                overload_wait: SECOND,
            }
        );
    }

    #[test]
    fn hosts_beyond_the_bound_are_counted_together() {
        let counts = Counts::new();
        for number in 0..NAMED + 5 {
            counts.count(&format!("{number}.example"), |counts| counts.requests += 1);
        }
        let hosts = counts.by_host();
        assert_eq!(hosts.len(), NAMED + 1);
        let (name, others) = hosts.last().cloned().unwrap_or_default();
        assert_eq!((name, others.requests), (None, 5));
        assert_eq!(counts.totals().requests, NAMED as u64 + 5);
    }
}
