//! What happens on the wire, counted for each registry.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use image_syncer_registry::transport::{Observer, PauseReason, RequestRecord};

/// Registries that are counted by name. Files name a few hundred at most; what comes beyond that is counted together,
/// so that memory stays bounded.
const NAMED: usize = 1_000;

/// Counts requests, retries and pauses. What a registry leads to (storage, token services) counts for the registry.
#[derive(Debug, Default)]
pub struct Counts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    hosts: HashMap<String, HostCounts>,
    others: HostCounts,
}

/// What was counted at one registry, or at several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounts {
    /// Requests that were tried, answered or not, those for tokens and redirects included.
    pub requests: u64,
    /// Requests that failed and were tried again. Images that wait for the same host share its tries.
    pub retries: u64,
    /// How often it was left alone as what it allows in a time was used up.
    pub rate_limit_pauses: u64,
    /// For how long it asked for that, in all.
    pub rate_limit_wait: Duration,
    /// How often it was left alone as it had too much to do.
    pub overload_pauses: u64,
    /// For how long, in all.
    pub overload_wait: Duration,
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
    /// Nothing was counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was counted so far, at all registries together.
    pub fn totals(&self) -> HostCounts {
        let state = self.lock();
        let mut totals = state.others;
        for counts in state.hosts.values() {
            totals += *counts;
        }
        totals
    }

    /// What was counted so far: each registry, the busiest first; at last those beyond the first thousand, together
    /// and without a name.
    pub fn by_host(&self) -> Vec<(Option<String>, HostCounts)> {
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
