//! Units that this worker holds, and their leases.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_sync::session::Lease;
use tokio_util::sync::CancellationToken;

use crate::lock::lock;
use crate::share::postgres::clock;
use crate::share::postgres::gatherer::Gatherer;
use crate::share::{ClaimedUnit, RunKey};

/// Longest time before the end of a lease in which it is not used any more: a request that began before may take as
/// long.
const MARGIN: Duration = Duration::from_secs(5);

/// Identity of one attempt at a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    /// The run.
    pub(super) run: RunKey,
    /// Number of the unit in its run.
    pub(super) id: i64,
    /// Number of the attempt.
    pub(super) number: i32,
}

impl From<&ClaimedUnit> for Attempt {
    fn from(unit: &ClaimedUnit) -> Self {
        Self {
            run: unit.run,
            id: unit.id,
            number: unit.attempt,
        }
    }
}

/// Lease of a unit.
#[derive(Debug)]
pub(super) struct UnitLease {
    /// Milliseconds of the local clock until which nobody else can have the unit; 0 once it is lost.
    until: AtomicU64,
    length: Duration,
}

impl UnitLease {
    /// Creates a lease of this length that a statement gave, which was sent at `sent` of the local clock.
    fn new(sent: Duration, length: Duration) -> Self {
        let lease = Self {
            until: AtomicU64::new(0),
            length,
        };
        lease.renew(sent);
        lease
    }

    fn renew(&self, sent: Duration) {
        let margin = MARGIN.min(self.length / 6);
        let until = sent + self.length.saturating_sub(margin);
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.until.store(until, Ordering::SeqCst);
    }
}

impl Lease for UnitLease {
    fn is_held(&self) -> bool {
        clock::now().as_millis() < u128::from(self.until.load(Ordering::SeqCst))
    }
}

/// A unit that this worker holds.
#[derive(Clone)]
pub(super) struct HeldUnit {
    /// Lease, which is renewed.
    pub(super) lease: Arc<UnitLease>,
    /// Cancelled when the unit is lost, or its run is over.
    pub(super) ended: CancellationToken,
    /// Its events.
    pub(super) gatherer: Arc<Gatherer>,
    /// True once its end is being stored. A renewal that comes later finds no lease.
    is_ending: Arc<AtomicBool>,
}

/// Units that this worker holds.
#[derive(Default)]
pub(super) struct HeldUnits(Mutex<HashMap<Attempt, HeldUnit>>);

impl HeldUnits {
    /// Adds a unit that was claimed by a statement sent at `sent`.
    pub(super) fn add(
        &self,
        attempt: Attempt,
        gatherer: Arc<Gatherer>,
        (sent, length): (Duration, Duration),
    ) -> HeldUnit {
        let unit = HeldUnit {
            lease: Arc::new(UnitLease::new(sent, length)),
            ended: CancellationToken::new(),
            gatherer,
            is_ending: Arc::default(),
        };
        lock(&self.0).insert(attempt, unit.clone());
        unit
    }

    /// Returns a unit whose end is to be stored.
    pub(super) fn ending(&self, attempt: Attempt) -> Option<HeldUnit> {
        let unit = lock(&self.0).get(&attempt).cloned()?;
        unit.is_ending.store(true, Ordering::SeqCst);
        Some(unit)
    }

    /// Removes a unit that ended.
    pub(super) fn remove(&self, attempt: Attempt) {
        lock(&self.0).remove(&attempt);
    }

    /// Returns true without units.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    /// Returns the attempts.
    pub(super) fn attempts(&self) -> Vec<Attempt> {
        lock(&self.0).keys().copied().collect()
    }

    /// Records the end of a lease that the server has given to another worker, or of a run. Returns false if that is
    /// known, or this worker ends the unit itself.
    pub(super) fn lose(&self, attempt: Attempt) -> bool {
        let units = lock(&self.0);
        let Some(unit) = units.get(&attempt) else {
            return false;
        };
        if unit.is_ending.load(Ordering::SeqCst) {
            return false;
        }
        unit.lease.until.store(0, Ordering::SeqCst);
        let is_news = !unit.ended.is_cancelled();
        unit.ended.cancel();
        is_news
    }

    /// Records that a run is to be cancelled. Its units still have their leases.
    pub(super) fn cancel(&self, attempt: Attempt) {
        if let Some(unit) = lock(&self.0).get(&attempt) {
            unit.ended.cancel();
        }
    }

    /// Records a renewal by a statement that was sent at `sent`.
    pub(super) fn renew(&self, attempt: Attempt, sent: Duration) {
        if let Some(unit) = lock(&self.0).get(&attempt) {
            unit.lease.renew(sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_before_the_server_may_give_the_unit_to_another_worker() {
        let is_held = |length: u64, age: u64| {
            let sent = clock::now().saturating_sub(Duration::from_millis(age));
            UnitLease::new(sent, Duration::from_millis(length)).is_held()
        };
        assert!(is_held(60_000, 0));
        assert!(is_held(60_000, 54_000));
        assert!(!is_held(60_000, 55_000));
        assert!(!is_held(3_000, 2_500));
    }
}
