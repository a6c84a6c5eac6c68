//! Windows per host and lane, and pauses.
//!
//! A window is how many requests of one kind may be at a host at a time; a pause is a time during which nobody talks
//! to a registry. Callers see a [`Permit`] and no more, so that how wide a window is remains this file's business.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::reference::Registry;
use crate::transport::Lane;
use crate::transport::patience::{Patience, TooLate};

/// So many answers of 503 without another in between mean the host, not a request.
const OVERLOADED: u32 = 3;

/// Leave to make one request; given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _slot: Option<OwnedSemaphorePermit>,
}

/// All windows and pauses of a run.
pub(super) struct Limits {
    calls: usize,
    transfers: usize,
    windows: Mutex<HashMap<(String, Lane), Arc<Semaphore>>>,
    pauses: Mutex<HashMap<Registry, Instant>>,
    /// How many of the last answers were 503, with none in between.
    overloads: Mutex<HashMap<Registry, u32>>,
}

impl Limits {
    pub(super) fn new(calls: usize, transfers: usize) -> Self {
        Self {
            calls,
            transfers,
            windows: Mutex::default(),
            pauses: Mutex::default(),
            overloads: Mutex::default(),
        }
    }
    /// Waits for a place in the window of `host` (with its port) and `lane`, first come, first served.
    pub(super) async fn acquire(&self, host: String, lane: Lane) -> Permit {
        let window = self.window(host, lane);
        Permit {
            // A semaphore that is never closed always grants.
            _slot: window.acquire_owned().await.ok(),
        }
    }
    /// A place that is free at once, and that nobody waits for.
    pub(super) fn try_acquire(&self, host: String, lane: Lane) -> Option<Permit> {
        let slot = self.window(host, lane).try_acquire_owned().ok()?;
        Some(Permit { _slot: Some(slot) })
    }
    fn window(&self, host: String, lane: Lane) -> Arc<Semaphore> {
        let size = match lane {
            Lane::Calls => self.calls,
            Lane::Downloads | Lane::Uploads => self.transfers,
        };
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows
            .entry((host, lane))
            .or_insert_with(|| Arc::new(Semaphore::new(size.clamp(1, Semaphore::MAX_PERMITS))))
            .clone()
    }
    /// Lets nobody talk to `registry` for `delay`; whether that is longer than was known already.
    pub(super) fn pause(&self, registry: &Registry, delay: Duration) -> bool {
        let now = Instant::now();
        let Some(until) = now.checked_add(delay) else {
            return false;
        };
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
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
    /// Takes note of an answer for the sake of `registry`.
    pub(super) fn answered(&self, registry: &Registry, status: StatusCode) {
        let mut overloads = self
            .overloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let count = overloads.entry(registry.clone()).or_default();
            *count = count.saturating_add(1);
        } else if !overloads.is_empty() {
            overloads.remove(registry);
        }
    }
    /// Whether `registry` answers nothing but 503 at the moment.
    pub(super) fn is_overloaded(&self, registry: &Registry) -> bool {
        let overloads = self
            .overloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        overloads
            .get(registry)
            .is_some_and(|count| *count >= OVERLOADED)
    }
    /// Waits until nothing pauses `registry`, as far as `patience` reaches.
    pub(super) async fn resumed(
        &self,
        registry: &Registry,
        patience: &Patience,
    ) -> Result<(), TooLate> {
        while let Some(until) = self.paused_until(registry) {
            patience.until(until).await?;
        }
        Ok(())
    }
    /// Whether something pauses `registry` now.
    pub(super) fn is_paused(&self, registry: &Registry) -> bool {
        self.paused_until(registry).is_some()
    }
    fn paused_until(&self, registry: &Registry) -> Option<Instant> {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let until = *pauses.get(registry)?;
        if until > Instant::now() {
            return Some(until);
        }
        pauses.remove(registry);
        None
    }
}
