//! Requests and bytes of the workers of a run.
//!
//! A worker counts for its whole session. What it requested since the last end of a unit counts for the run of the unit
//! that ends next: so the sums are right, and those of single runs if the worker has one at a time. The row of a worker
//! has the sums since its start, so that writing it again changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_registry::transport::Observer;
use serde::{Deserialize, Serialize};

use crate::host_counts::{Counts, HostCounts};
use crate::lock::lock;
use crate::run_summary::Traffic;
use crate::share::postgres::gatherer::without_nul;
use crate::share::postgres::{PostgresShare, parameters, statements};
use crate::share::{RunKey, ShareError};

/// Maximum number of runs whose sums a worker keeps. Of older ones, further requests count for the latest run.
const RUNS: usize = 64;

/// Requests and bytes of a run, of all workers together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunUsage {
    /// Counters of each registry, the busiest first.
    pub(crate) hosts: Vec<(Option<String>, HostCounts)>,
    /// Bytes of blobs.
    pub(crate) traffic: Traffic,
}

/// Counts what a worker requests and moves.
#[derive(Default)]
pub(super) struct UsageCounter {
    counts: Arc<Counts>,
    state: Mutex<UsageState>,
}

#[derive(Default)]
struct UsageState {
    /// Sum of everything that counts for a run.
    counted: Usage,
    runs: BTreeMap<RunKey, Usage>,
    last: Option<RunKey>,
}

/// Sums, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Usage {
    /// By registry. Those beyond a bound are together, without a name.
    hosts: BTreeMap<String, StoredCounts>,
    fetched: u64,
    sent: u64,
}

/// Counters of one registry, as they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct StoredCounts {
    requests: u64,
    retries: u64,
    rate_limit_pauses: u64,
    rate_limit_ms: u64,
    overload_pauses: u64,
    overload_ms: u64,
}

impl StoredCounts {
    fn combine(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            requests: with(self.requests, other.requests),
            retries: with(self.retries, other.retries),
            rate_limit_pauses: with(self.rate_limit_pauses, other.rate_limit_pauses),
            rate_limit_ms: with(self.rate_limit_ms, other.rate_limit_ms),
            overload_pauses: with(self.overload_pauses, other.overload_pauses),
            overload_ms: with(self.overload_ms, other.overload_ms),
        }
    }
}

impl From<HostCounts> for StoredCounts {
    fn from(counts: HostCounts) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            requests: counts.requests,
            retries: counts.retries,
            rate_limit_pauses: counts.rate_limit_pauses,
            rate_limit_ms: milliseconds(counts.rate_limit_wait),
            overload_pauses: counts.overload_pauses,
            overload_ms: milliseconds(counts.overload_wait),
        }
    }
}

impl From<StoredCounts> for HostCounts {
    fn from(counts: StoredCounts) -> Self {
        Self {
            requests: counts.requests,
            retries: counts.retries,
            rate_limit_pauses: counts.rate_limit_pauses,
            rate_limit_wait: Duration::from_millis(counts.rate_limit_ms),
            overload_pauses: counts.overload_pauses,
            overload_wait: Duration::from_millis(counts.overload_ms),
        }
    }
}

impl Usage {
    /// Changes each number by that of `other`.
    fn change(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        for (host, counts) in &other.hosts {
            let own = self.hosts.entry(host.clone()).or_default();
            *own = own.combine(*counts, &with);
        }
        self.fetched = with(self.fetched, other.fetched);
        self.sent = with(self.sent, other.sent);
    }

    fn into_run(self) -> RunUsage {
        let hosts = self.hosts.into_iter();
        let hosts = hosts.map(|(host, counts)| {
            let name = Some(host).filter(|host| !host.is_empty());
            (name, HostCounts::from(counts))
        });
        let mut hosts: Vec<_> = hosts.collect();
        hosts.sort_by(|(a, x), (b, y)| {
            let order = (a.is_none(), y.requests).cmp(&(b.is_none(), x.requests));
            order.then_with(|| a.cmp(b))
        });
        RunUsage {
            hosts,
            traffic: Traffic {
                fetched: self.fetched,
                sent: self.sent,
            },
        }
    }
}

impl UsageCounter {
    /// Returns the observer that counts requests.
    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        self.counts.clone()
    }

    /// Counts everything since the last call for `run`, with `traffic`, the bytes since the start. Returns the sums of the
    /// run as JSON.
    pub(super) fn count_for(&self, run: RunKey, traffic: Traffic) -> String {
        let hosts = self.counts.by_host().into_iter();
        let mut news = Usage {
            hosts: hosts
                .map(|(host, counts)| (host.unwrap_or_default(), counts.into()))
                .collect(),
            fetched: traffic.fetched,
            sent: traffic.sent,
        };
        let mut state = lock(&self.state);
        news.change(&state.counted, u64::saturating_sub);
        state.counted.change(&news, u64::saturating_add);
        state.last = Some(run);
        let sums = state.runs.entry(run).or_default();
        sums.change(&news, u64::saturating_add);
        let json = serde_json::to_string(sums).unwrap_or_else(|_| "{}".to_owned());
        if state.runs.len() > RUNS {
            state.runs.pop_first();
        }
        without_nul(&json)
    }

    /// Returns the run of the last unit that ended.
    pub(super) fn last_run(&self) -> Option<RunKey> {
        lock(&self.state).last
    }
}

impl PostgresShare {
    /// Returns the observer that counts the requests of this worker.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.usage.observer()
    }

    /// Returns the requests and bytes of a run.
    ///
    /// # Errors
    /// The server refuses, or is away for too long.
    pub(crate) async fn run_usage(&self, run: RunKey) -> Result<RunUsage, ShareError> {
        let run = run.0;
        let rows = self
            .read(statements::RUN_USAGE, &parameters!(run: i64))
            .await?;
        let mut sums = Usage::default();
        for row in rows {
            let text: Option<String> = row.try_get(0).ok();
            let usage = text.and_then(|text| serde_json::from_str(&text).ok());
            sums.change(&usage.unwrap_or_default(), u64::saturating_add);
        }
        Ok(sums.into_run())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image_syncer_registry::transport::PauseReason;

    use super::*;

    fn traffic(fetched: u64, sent: u64) -> Traffic {
        Traffic { fetched, sent }
    }

    fn read(json: &str) -> RunUsage {
        let usage: Usage = serde_json::from_str(json).unwrap();
        usage.into_run()
    }

    #[test]
    fn what_happened_since_the_last_unit_counts_for_the_run_of_the_next() {
        let usage = UsageCounter::default();
        let counts = usage.observer();
        let second = Duration::from_secs(1);
        counts.retry("a.example", "", 1, second);
        let one = read(&usage.count_for(RunKey(1), traffic(5, 9)));
        assert_eq!(one.traffic, traffic(5, 9));
        counts.retry("a.example", "", 1, second);
        counts.pause("b.example", second, PauseReason::RateLimit);
        let two = read(&usage.count_for(RunKey(2), traffic(7, 10)));
        assert_eq!(two.traffic, traffic(2, 1));
        let named = |host: &str| Some(host.to_owned());
        let retries = |usage: &RunUsage| usage.hosts.iter().map(|it| it.1.retries).sum::<u64>();
        assert_eq!((retries(&one), retries(&two)), (1, 1));
        assert_eq!(two.hosts.last().unwrap().0, named("b.example"));
        assert_eq!(two.hosts.last().unwrap().1.rate_limit_wait, second);
        counts.retry("a.example", "", 1, second);
        let one = read(&usage.count_for(RunKey(1), traffic(7, 10)));
        assert_eq!((retries(&one), one.traffic), (2, traffic(5, 9)));
        assert_eq!(usage.last_run(), Some(RunKey(1)));
    }

    #[test]
    fn the_busiest_registry_comes_first_and_those_without_a_name_last() {
        let json =
            r#"{"hosts": {"": {"requests": 9}, "a": {"requests": 1}, "b": {"requests": 2}}}"#;
        let hosts = read(json).hosts.into_iter().map(|(host, _)| host);
        let named = |host: &str| Some(host.to_owned());
        assert_eq!(hosts.collect::<Vec<_>>(), [named("b"), named("a"), None]);
    }
}
