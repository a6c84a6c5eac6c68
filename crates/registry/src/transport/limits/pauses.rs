//! Times without requests to a registry.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::shutdown_deadline::{DeadlineExceeded, ShutdownDeadline};

/// Number of answers of 503 in a row that concern the host, not a request.
const OVERLOADED: u32 = 3;

/// All pauses of a run.
#[derive(Default)]
pub(in crate::transport) struct Pauses {
    until: Mutex<HashMap<Registry, Instant>>,
    /// Number of 503s in a row among the last answers.
    overloads: Mutex<HashMap<Registry, u32>>,
}

impl Pauses {
    /// Pauses `registry` for `delay`. Returns true if it was not paused before.
    pub(in crate::transport) fn pause(&self, registry: &Registry, delay: Duration) -> bool {
        let now = Instant::now();
        let Some(until) = now.checked_add(delay) else {
            return false;
        };
        let mut pauses = lock(&self.until);
        match pauses.entry(registry.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(until);
                true
            }
            Entry::Occupied(mut entry) => {
                let known = *entry.get();
                let news = known <= now;
                entry.insert(known.max(until));
                news
            }
        }
    }
    /// Records an answer for `registry`.
    pub(in crate::transport) fn record_answer(&self, registry: &Registry, status: StatusCode) {
        let mut overloads = lock(&self.overloads);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let count = overloads.entry(registry.clone()).or_default();
            *count = count.saturating_add(1);
        } else if !overloads.is_empty() {
            overloads.remove(registry);
        }
    }
    /// Returns true if `registry` only answers 503 at the moment.
    pub(in crate::transport) fn is_overloaded(&self, registry: &Registry) -> bool {
        let overloads = lock(&self.overloads);
        overloads
            .get(registry)
            .is_some_and(|count| *count >= OVERLOADED)
    }
    /// Waits until `registry` is not paused, within the deadline `shutdown`.
    pub(in crate::transport) async fn resumed(
        &self,
        registry: &Registry,
        shutdown: &ShutdownDeadline,
    ) -> Result<(), DeadlineExceeded> {
        while let Some(until) = self.paused_until(registry) {
            shutdown.until(until).await?;
        }
        Ok(())
    }
    /// Returns true if `registry` is paused now.
    pub(in crate::transport) fn is_paused(&self, registry: &Registry) -> bool {
        self.paused_until(registry).is_some()
    }
    /// Returns true if `registry` is paused for longer than `time`.
    pub(in crate::transport) fn is_paused_beyond(
        &self,
        registry: &Registry,
        time: Duration,
    ) -> bool {
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        let until = self.paused_until(registry);
        until.is_some_and(|until| left(until) > time)
    }
    /// Returns the end of the pause of `registry`, if it is paused.
    fn paused_until(&self, registry: &Registry) -> Option<Instant> {
        let mut pauses = lock(&self.until);
        let until = *pauses.get(registry)?;
        if until > Instant::now() {
            return Some(until);
        }
        pauses.remove(registry);
        None
    }
}
