//! Ages of facts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_registry::Registries;
use tokio::time::Instant;

use crate::inventory::SharedFacts;
use crate::lock::lock;

/// Maximum age of facts when a run begins. Registries delete unused content, people delete images, and a registry may
/// be replaced by a newer version.
pub(super) const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Maximum age of a refused login when a run begins. Each further try counts where accounts are locked.
pub(super) const MAX_REFUSAL_AGE: Duration = Duration::from_secs(5 * 60);

/// Maximum number of facts that a further run begins with; some 100 MB.
const MAX_FACTS: usize = 1_000_000;

/// Facts about destinations, with their age.
pub(super) struct AgingFacts(Mutex<(Arc<SharedFacts>, Instant)>);

/// Clients of registries, with the age of their facts.
pub(super) struct AgingRegistries {
    registries: Arc<Registries>,
    facts: Age,
    refusals: Age,
}

/// Time at which something began to age.
struct Age(Mutex<Instant>);

impl Default for AgingFacts {
    fn default() -> Self {
        Self(Mutex::new((Arc::default(), Instant::now())))
    }
}

impl AgingFacts {
    /// Returns the facts for a further run, without those that are too old or too many. Runs in progress keep theirs.
    pub(super) fn current(&self) -> Arc<SharedFacts> {
        let mut aging = lock(&self.0);
        if aging.1.elapsed() >= MAX_AGE || aging.0.len() > MAX_FACTS {
            *aging = (Arc::default(), Instant::now());
        }
        Arc::clone(&aging.0)
    }

    /// Returns the number of facts.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.0).0.len()
    }
}

impl AgingRegistries {
    pub(super) fn new(registries: Arc<Registries>) -> Self {
        Self {
            registries,
            facts: Age::new(),
            refusals: Age::new(),
        }
    }

    /// Forgets what is too old for a further run, and reads the files with secrets again.
    pub(super) fn renew(&self) {
        if self.facts.is_over(MAX_AGE) {
            self.registries.forget_facts();
        }
        if self.refusals.is_over(MAX_REFUSAL_AGE) {
            self.registries.forget_refusals();
        }
        self.registries.refresh_secret_files();
    }
}

impl Age {
    fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// Returns whether the age is at least `max`. It begins anew then.
    fn is_over(&self, max: Duration) -> bool {
        let mut since = lock(&self.0);
        let is_over = since.elapsed() >= max;
        if is_over {
            *since = Instant::now();
        }
        is_over
    }
}
