//! Limits on the requests to a host.
//!
//! Each file has one concept: a [`window`] is the number of requests of one kind that may be in flight at a host, and
//! adjusts itself; a [`queue`] orders the waiting requests; a [`gate`] combines the two, one for each host and lane;
//! [`pauses`] are times without requests to a registry; a [`rate`] is a limit of the user's, which several processes may
//! [share](shared); [`pacing`] learns the rate that a registry can take; a [`quota`] is the number of pulls that a
//! registry has left for us.
//!
//! Lanes cannot deadlock: a request that waits for a permit in one lane holds at most a permit of an earlier one in the
//! order uploads, downloads, calls. The one exception, an upload that continues with another request while its source
//! stays open, is admitted [immediately](Limits::acquire).

mod bucket;
mod gate;
mod pacing;
mod pauses;
mod queue;
mod quota;
mod rate;
mod shared;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::Lane;

pub(super) use bucket::Throttle;
use gate::RequestGate;
pub(super) use gate::{Permit, ResponseHead};
use pacing::Accepted;
pub(super) use pauses::Pauses;
pub(super) use quota::{PullRefused, Quotas, declares_quota};
pub use rate::PerRegistry;
pub(super) use rate::Rates;
pub use shared::{Draw, Grant, LimitUnit, LimitsUnavailable, RemotePauses, SharedLimits};

/// Bounds of the number of requests of one kind in flight at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowBounds {
    /// Initial number. It may shrink to one if the host is overloaded.
    pub start: usize,
    /// Maximum number, reached if the host answers quickly.
    pub most: usize,
}

impl WindowBounds {
    /// Returns bounds that begin with `start` and never exceed `most`.
    pub const fn new(start: usize, most: usize) -> Self {
        Self { start, most }
    }
    /// Returns bounds that never exceed `size`.
    pub const fn at_most(size: usize) -> Self {
        Self {
            start: size,
            most: size,
        }
    }
}

/// Urgency of a request for a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// In turn; the larger weight first.
    InLine(u64),
    /// Immediately: the caller holds a permit that others in the queue may be waiting for.
    AtOnce,
}

/// Maximum number of hosts whose idle windows are kept. Redirects and upload locations may name any number of
/// hosts.
const MAX_IDLE: usize = 1024;

/// All windows of a run.
pub(super) struct Limits {
    calls: WindowBounds,
    transfers: WindowBounds,
    /// Limits on the transfers of registries. Each has one window for all hosts that it leads to.
    max_transfers: PerRegistry<usize>,
    gates: Mutex<HashMap<String, HostGates>>,
}

/// Windows of one host.
#[derive(Default)]
struct HostGates {
    calls: Option<Arc<RequestGate>>,
    downloads: Option<Arc<RequestGate>>,
    uploads: Option<Arc<RequestGate>>,
}

impl HostGates {
    fn slot(&mut self, lane: Lane) -> &mut Option<Arc<RequestGate>> {
        match lane {
            Lane::Calls => &mut self.calls,
            Lane::Downloads => &mut self.downloads,
            Lane::Uploads => &mut self.uploads,
        }
    }
    fn is_in_use(&self) -> bool {
        let gates = [&self.calls, &self.downloads, &self.uploads];
        let mut gates = gates.into_iter().flatten();
        gates.any(|gate| Arc::strong_count(gate) > 1)
    }
}

impl Limits {
    pub(super) fn new(
        calls: WindowBounds,
        transfers: WindowBounds,
        max_transfers: PerRegistry<usize>,
    ) -> Self {
        Self {
            calls,
            transfers,
            max_transfers,
            gates: Mutex::default(),
        }
    }
    /// Waits for a permit in the window of `host` (with its port) and `lane`, for a request that is made for `registry`.
    pub(super) async fn acquire(
        &self,
        registry: &Registry,
        host: &str,
        lane: Lane,
        turn: Urgency,
    ) -> Permit {
        let gate = self.gate(registry, host, lane);
        match turn {
            Urgency::InLine(weight) => gate.acquire(weight).await,
            Urgency::AtOnce => gate.acquire_at_once(),
        }
    }
    /// Returns a permit if one is free and nobody waits for it.
    pub(super) fn try_acquire(
        &self,
        registry: &Registry,
        host: &str,
        lane: Lane,
    ) -> Option<Permit> {
        self.gate(registry, host, lane).try_enter()
    }
    /// Returns the number of requests that `host` accepted lately for `registry`, and begins a new count.
    pub(super) fn restart_count(&self, registry: &Registry, host: &str) -> Accepted {
        let [first, others @ ..] = [Lane::Calls, Lane::Downloads, Lane::Uploads]
            .map(|lane| self.gate(registry, host, lane).restart_count());
        others.into_iter().fold(first, Accepted::plus)
    }
    /// Returns the width of the window of `registry` in `lane`, if it had a request.
    pub(super) fn window_size(&self, registry: &Registry, lane: Lane) -> Option<usize> {
        let name = match (lane, self.max_transfers.for_registry(registry)) {
            (Lane::Downloads | Lane::Uploads, Some(_)) => shared_gate(registry),
            (Lane::Calls, _) | (_, None) => {
                let host = registry.api_host().to_ascii_lowercase();
                let port = registry.port();
                port.map_or(host.clone(), |port| format!("{host}:{port}"))
            }
        };
        let mut hosts = lock(&self.gates);
        let gate = hosts.get_mut(&name)?.slot(lane).clone()?;
        drop(hosts);
        Some(gate.window_size())
    }
    fn gate(&self, registry: &Registry, host: &str, lane: Lane) -> Arc<RequestGate> {
        match (lane, self.max_transfers.for_registry(registry)) {
            (Lane::Calls, _) => self.gate_of(host, lane, self.calls),
            (Lane::Downloads | Lane::Uploads, None) => self.gate_of(host, lane, self.transfers),
            (Lane::Downloads | Lane::Uploads, Some(&most)) => {
                let start = self.transfers.start.min(most);
                let bounds = WindowBounds::new(start, most);
                self.gate_of(&shared_gate(registry), lane, bounds)
            }
        }
    }
    fn gate_of(&self, host: &str, lane: Lane, bounds: WindowBounds) -> Arc<RequestGate> {
        let mut hosts = lock(&self.gates);
        if !hosts.contains_key(host) {
            if hosts.len() >= MAX_IDLE {
                // The windows in use are bounded by the number of requests.
                hosts.retain(|_, gates| gates.is_in_use());
            }
            hosts.insert(host.to_owned(), HostGates::default());
        }
        let gate = hosts.get_mut(host).map(|gates| gates.slot(lane));
        let create = || RequestGate::new(lane, bounds);
        gate.map_or_else(create, |gate| gate.get_or_insert_with(create).clone())
    }
}

/// Returns the name of the windows of all hosts that `registry` leads to.
fn shared_gate(registry: &Registry) -> String {
    // No host has a blank in its name.
    format!("all of {registry}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_windows_are_bounded_and_those_in_use_are_kept() {
        let bounds = WindowBounds::at_most(1);
        let limits = Limits::new(bounds, bounds, PerRegistry::default());
        let registry = Registry::docker_hub();
        let busy = || limits.try_acquire(&registry, "busy.example", Lane::Calls);
        let held = busy();
        assert!(held.is_some());
        for number in 0..3 * MAX_IDLE {
            let host = format!("{number}.example");
            let turn = Urgency::InLine(0);
            drop(
                limits
                    .acquire(&registry, &host, Lane::Downloads, turn)
                    .await,
            );
        }
        let kept = limits.gates.lock().map(|gates| gates.len());
        assert!(kept.is_ok_and(|kept| kept <= MAX_IDLE));
        assert!(busy().is_none());
    }

    #[tokio::test]
    async fn a_limit_on_the_transfers_of_a_registry_covers_the_hosts_that_it_leads_to() {
        let bounds = WindowBounds::at_most(8);
        let registry = |name| Registry::parse(name).unwrap();
        let (limited, other) = (registry("limited.example"), registry("other.example"));
        let max_transfers = PerRegistry::default().with_registry(limited.clone(), 2);
        let limits = Limits::new(bounds, bounds, max_transfers);
        let hold = |registry, host: &str, lane, count| -> Vec<Permit> {
            (0..count)
                .map_while(|_| limits.try_acquire(registry, host, lane))
                .collect()
        };
        let own = hold(&limited, "limited.example", Lane::Downloads, 1);
        let storage = hold(&limited, "storage.example", Lane::Downloads, 8);
        assert_eq!((own.len(), storage.len()), (1, 1));
        // Each direction counts for itself, other calls do not count, and other registries do not either.
        assert_eq!(hold(&limited, "limited.example", Lane::Uploads, 8).len(), 2);
        assert_eq!(hold(&limited, "limited.example", Lane::Calls, 9).len(), 8);
        assert_eq!(hold(&other, "storage.example", Lane::Downloads, 9).len(), 8);
        assert_eq!(limits.window_size(&limited, Lane::Downloads), Some(2));
        assert_eq!(limits.window_size(&limited, Lane::Calls), Some(8));
        assert_eq!(limits.window_size(&other, Lane::Downloads), None);
        drop(own);
        assert_eq!(
            hold(&limited, "storage.example", Lane::Downloads, 8).len(),
            1
        );
    }
}
