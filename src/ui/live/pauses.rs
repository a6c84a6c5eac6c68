//! Hosts that are paused at this moment.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use image_syncer_registry::transport::{Observer, PauseReason};

use crate::lock::lock;

/// Maximum number of hosts that are remembered. Files name a few hundred at most.
const MOST: usize = 100;

/// Observer that remembers paused hosts and the ends of their pauses.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<HashMap<String, (Instant, PauseReason)>>);

/// Paused host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ui) struct Pause {
    pub(in crate::ui) host: String,
    pub(in crate::ui) left: Duration,
    pub(in crate::ui) why: PauseReason,
}

impl Pauses {
    /// Returns the paused hosts, the longest pause first.
    pub(super) fn current(&self, now: Instant) -> Vec<Pause> {
        let mut hosts = self.lock();
        if hosts.is_empty() {
            return Vec::new();
        }
        hosts.retain(|_, (until, _)| *until > now);
        let pause = |(host, (until, why)): (&String, &(Instant, PauseReason))| Pause {
            host: host.clone(),
            left: *until - now,
            why: *why,
        };
        let mut all: Vec<Pause> = hosts.iter().map(pause).collect();
        all.sort_by(|a, b| b.left.cmp(&a.left).then_with(|| a.host.cmp(&b.host)));
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, PauseReason)>> {
        lock(&self.0)
    }
}

impl Observer for Pauses {
    fn pause(&self, host: &str, delay: Duration, why: PauseReason) {
        let now = Instant::now();
        let Some(until) = now.checked_add(delay) else {
            return;
        };
        let mut hosts = self.lock();
        if hosts.len() >= MOST {
            hosts.retain(|_, (until, _)| *until > now);
        }
        if hosts.len() < MOST || hosts.contains_key(host) {
            hosts.insert(host.to_owned(), (until, why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_shown_until_it_is_over_and_a_newer_one_replaces_it() {
        let pauses = Pauses::default();
        let second = Duration::from_secs(1);
        pauses.pause("a.example", 5 * second, PauseReason::RateLimit);
        pauses.pause("b.example", 30 * second, PauseReason::Overload);
        pauses.pause("a.example", 60 * second, PauseReason::RateLimit);
        let names = |seconds| {
            let then = Instant::now() + seconds * second;
            let current = pauses.current(then).into_iter();
            current.map(|pause| pause.host).collect::<Vec<_>>()
        };
        assert_eq!(names(0), ["a.example", "b.example"]);
        assert_eq!(names(40), ["a.example"]);
        assert!(names(61).is_empty());
    }

    #[test]
    fn the_number_of_remembered_hosts_is_bounded() {
        let pauses = Pauses::default();
        for number in 0..2 * MOST {
            let host = format!("{number}.example");
            pauses.pause(&host, Duration::from_secs(60), PauseReason::RateLimit);
        }
        assert_eq!(pauses.current(Instant::now()).len(), MOST);
    }
}
