//! Requests that wait until a test lets them go on.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Holds requests back, each before the registry looks at it, until it is opened; see
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
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            reached: Mutex::new(0),
            more: Condvar::new(),
            open: watch::Sender::new(false),
        }))
    }

    /// Blocks until this many requests have come to the gate; says how many have. Not for use within a runtime.
    ///
    /// # Errors
    /// How many have, where fewer have within `patience`.
    pub fn wait(&self, requests: u64, patience: Duration) -> Result<u64, u64> {
        let reached = self
            .0
            .reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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

    /// Lets all requests go on, now and from now on.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// A request comes to the gate and waits.
    pub(crate) async fn pass(&self) {
        *self
            .0
            .reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += 1;
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
