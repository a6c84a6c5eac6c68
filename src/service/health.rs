//! Health: it follows progress, so that a service that hangs is restarted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::service::runs::Runs;
use crate::service::schedule::Schedules;

/// Maximum time between two looks of the scheduler at the clock.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// Stall timeouts after which a run whose transfers do not move is taken to hang. One of them ends a transfer.
const STALLS: u32 = 3;

/// Health of the service.
pub(crate) struct Health {
    schedules: Schedules,
    runs: Runs,
    is_ready: AtomicBool,
    /// Maximum time for which the transfers of a run may stand still.
    max_standstill: Duration,
}

impl Health {
    /// Creates the health of a service that is not ready yet. `stall` is the stall timeout of transfers.
    pub(crate) fn new(schedules: Schedules, runs: Runs, stall: Duration) -> Self {
        Self {
            schedules,
            runs,
            is_ready: AtomicBool::new(false),
            max_standstill: stall.saturating_mul(STALLS),
        }
    }

    /// Declares the service ready: the files are read, the history is open, and the listeners are up.
    pub(crate) fn set_ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// Checks that the service can be used.
    ///
    /// # Errors
    /// The reason as a sentence.
    pub(crate) fn ready(&self) -> Result<(), String> {
        if self.runs.is_stopping() {
            Err("the service is stopping".to_owned())
        } else if self.is_ready.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("the service is starting".to_owned())
        }
    }

    /// Checks that the service makes progress.
    ///
    /// # Errors
    /// The reason as a sentence.
    pub(crate) fn live(&self) -> Result<(), String> {
        let looked = self.schedules.looked();
        if looked.is_some_and(|looked| looked.elapsed() > MAX_SILENCE) {
            let seconds = MAX_SILENCE.as_secs();
            return Err(format!(
                "the scheduler has not looked at the clock for {seconds} s"
            ));
        }
        match self.runs.standing_still(self.max_standstill) {
            Some(run) => Err(format!(
                "the run {run} has transfers in flight, and nothing has moved for {} s",
                self.max_standstill.as_secs()
            )),
            None => Ok(()),
        }
    }
}
