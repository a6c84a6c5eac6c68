//! A download's turn among the transfers of the run.

use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// The turn of one download: taken when the first of those who share it needs it, given back when the last has ended.
pub(super) struct SharedPermit {
    /// One permit a transfer of the run; `None` where their number is not bounded.
    slots: Option<Arc<Semaphore>>,
    held: Mutex<Weak<TransferPermit>>,
}

/// Held while a transfer may flow.
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
    /// Waits for the turn, or takes part in it.
    pub(super) async fn acquire(&self) -> Arc<TransferPermit> {
        let mut held = self.held.lock().await;
        if let Some(turn) = held.upgrade() {
            return turn;
        }
        let permit = match &self.slots {
            // The semaphore is never closed; were it, nothing would be bounded.
            Some(slots) => Arc::clone(slots).acquire_owned().await.ok(),
            None => None,
        };
        let turn = Arc::new(TransferPermit(permit));
        *held = Arc::downgrade(&turn);
        turn
    }
}
