//! Gates that hold requests until a test opens them.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::lock::lock;

/// A gate that holds requests before the registry handles them, until it is opened; see
/// [`Action::Hold`](super::Action::Hold). Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    reached: Mutex<u64>,
    more: Condvar,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Returns a closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            reached: Mutex::new(0),
            more: Condvar::new(),
            open: watch::Sender::new(false),
        }))
    }

    /// Blocks until this many requests have arrived at the gate. Returns the number that have. Must not be called in a
    /// runtime.
    ///
    /// # Errors
    /// The number of requests, if fewer arrive within `patience`.
    pub fn wait(&self, requests: u64, patience: Duration) -> Result<u64, u64> {
        let reached = lock(&self.0.reached);
        let waited = self
            .0
            .more
            .wait_timeout_while(reached, patience, |reached| *reached < requests);
        let (reached, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            Err(*reached)
        } else {
            Ok(*reached)
        }
    }

    /// Opens the gate for all requests, present and future.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Waits at the gate, on behalf of a request.
    pub(crate) async fn pass(&self) {
        *lock(&self.0.reached) += 1;
        self.0.more.notify_all();
        let mut open = self.0.open.subscribe();
        // Cannot fail: the sender is held here.
        let _ = open.wait_for(|open| *open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn it_counts_and_holds_until_it_is_opened() {
        let gate = Gate::new();
        assert_eq!(gate.wait(1, Duration::ZERO), Err(0));
        let mut pass = std::pin::pin!(gate.pass());
        assert!(pass.as_mut().now_or_never().is_none());
        assert_eq!(gate.wait(1, Duration::ZERO), Ok(1));
        gate.open();
        assert!(pass.now_or_never().is_some());
        assert!(gate.pass().now_or_never().is_some());
        assert_eq!(gate.wait(2, Duration::ZERO), Ok(2));
    }
}
