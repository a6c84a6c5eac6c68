//! Shared permit of a download among the transfers of the run.

use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// Permit of one download: acquired when the first of its uploads needs it, released when the last has ended.
pub(super) struct SharedPermit {
    /// One permit for each transfer of the run; `None` if their number is not limited.
    slots: Option<Arc<Semaphore>>,
    held: Mutex<Weak<TransferPermit>>,
}

/// Held while a transfer runs.
pub(super) struct TransferPermit(
    #[allow(dead_code, reason = "held to be dropped")] Option<OwnedSemaphorePermit>,
);

impl SharedPermit {
    pub(super) fn new(slots: Option<Arc<Semaphore>>) -> Self {
        Self {
            slots,
            held: Mutex::new(Weak::new()),
        }
    }
    /// Waits for the permit, or shares it.
    pub(super) async fn acquire(&self) -> Arc<TransferPermit> {
        let mut held = self.held.lock().await;
        if let Some(turn) = held.upgrade() {
            return turn;
        }
        let permit = match &self.slots {
            // The semaphore is never closed; if it were, there would be no limit.
            Some(slots) => Arc::clone(slots).acquire_owned().await.ok(),
            None => None,
        };
        let turn = Arc::new(TransferPermit(permit));
        *held = Arc::downgrade(&turn);
        turn
    }
}
