//! Shared permit of the uploads of a blob, which limits the blobs that are downloaded at a time (`--proc`).

use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// Permit of a group of uploads of a blob: acquired when the first upload needs it, released when the last has ended.
pub(super) struct SharedPermit {
    /// One permit for each group of all runs; `None` if their number is not limited.
    permits: Option<Arc<Semaphore>>,
    held: Mutex<Weak<TransferPermit>>,
}

/// Held while a transfer runs.
pub(super) struct TransferPermit(
    #[allow(dead_code, reason = "held to be dropped")] Option<OwnedSemaphorePermit>,
);

impl SharedPermit {
    pub(super) fn new(permits: Option<Arc<Semaphore>>) -> Self {
        Self {
            permits,
            held: Mutex::new(Weak::new()),
        }
    }
    /// Waits for the permit, or shares it.
    pub(super) async fn acquire(&self) -> Arc<TransferPermit> {
        let mut held = self.held.lock().await;
        if let Some(permit) = held.upgrade() {
            return permit;
        }
        let permit = match &self.permits {
            // The semaphore is never closed; if it were, there would be no limit.
            Some(permits) => Arc::clone(permits).acquire_owned().await.ok(),
            None => None,
        };
        let permit = Arc::new(TransferPermit(permit));
        *held = Arc::downgrade(&permit);
        permit
    }
}
