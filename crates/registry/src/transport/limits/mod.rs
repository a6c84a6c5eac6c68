//! How much is asked of a host at a time.
//!
//! One idea a file: a [`window`] is how many requests of one kind may be at a host at a time, and tunes itself; a
//! [`queue`] says who of those who wait goes next; a [`gate`] is the two together, one for each host and lane;
//! [`pauses`] are times during which nobody talks to a registry; a [`rate`] is what the user allows; a
//! [`quota`] is how many pulls a registry has left for us.
//!
//! Lanes cannot block each other in a circle: what waits for a place in one holds at most an earlier one in the order
//! uploads, downloads, calls. The one exception, an upload that goes on with a further request while its source stays
//! open, is let through [at once](Limits::acquire).

mod gate;
mod pauses;
mod queue;
mod quota;
mod rate;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::transport::Lane;

use gate::RequestGate;
pub(super) use gate::{Permit, ResponseHead};
pub(super) use pauses::Pauses;
pub(super) use quota::{PullRefused, Quotas};
pub use rate::PerRegistry;
pub(super) use rate::{Rates, Throttle};

/// How many requests of one kind may be at a host at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowBounds {
    /// How many at first; it may become fewer, down to one, where the host is not happy.
    pub start: usize,
    /// How many at most, where the host answers quickly.
    pub most: usize,
}

impl WindowBounds {
    /// Never more than `size`.
    pub const fn at_most(size: usize) -> Self {
        Self {
            start: size,
            most: size,
        }
    }
}

/// How soon a place is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// When it comes; the larger weight first.
    InLine(u64),
    /// Now: who asks holds what others in the line may be waiting for.
    AtOnce,
}

/// Maximum number of hosts and lanes whose idle windows are kept; redirects and upload locations may name any number of
/// them.
const MAX_IDLE: usize = 1024;

/// All windows of a run.
pub(super) struct Limits {
    calls: WindowBounds,
    transfers: WindowBounds,
    gates: Mutex<HashMap<(String, Lane), Arc<RequestGate>>>,
}

impl Limits {
    pub(super) fn new(calls: WindowBounds, transfers: WindowBounds) -> Self {
        Self {
            calls,
            transfers,
            gates: Mutex::default(),
        }
    }
    /// Waits for a place in the window of `host` (with its port) and `lane`.
    pub(super) async fn acquire(&self, host: String, lane: Lane, turn: Urgency) -> Permit {
        let gate = self.gate(host, lane);
        match turn {
            Urgency::InLine(weight) => gate.acquire(weight).await,
            Urgency::AtOnce => gate.acquire_at_once(),
        }
    }
    /// A place that is free at once, and that nobody waits for.
    pub(super) fn try_acquire(&self, host: String, lane: Lane) -> Option<Permit> {
        self.gate(host, lane).try_enter()
    }
    fn gate(&self, host: String, lane: Lane) -> Arc<RequestGate> {
        let bounds = match lane {
            Lane::Calls => self.calls,
            Lane::Downloads | Lane::Uploads => self.transfers,
        };
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host, lane);
        if gates.len() >= MAX_IDLE && !gates.contains_key(&key) {
            // Those in use are as many as there are requests.
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        gates
            .entry(key)
            .or_insert_with(|| RequestGate::new(lane, bounds))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_windows_are_bounded_and_those_in_use_are_kept() {
        let bounds = WindowBounds::at_most(1);
        let limits = Limits::new(bounds, bounds);
        let busy = || limits.try_acquire("busy.example".to_owned(), Lane::Calls);
        let held = busy();
        assert!(held.is_some());
        for number in 0..3 * MAX_IDLE {
            let host = format!("{number}.example");
            let turn = Urgency::InLine(0);
            drop(limits.acquire(host, Lane::Downloads, turn).await);
        }
        let kept = limits.gates.lock().map(|gates| gates.len());
        assert!(kept.is_ok_and(|kept| kept <= MAX_IDLE));
        assert!(busy().is_none());
    }
}
