//! Lets one request at a time probe a registry for its authentication challenge.
//!
//! Before the first answer it is unknown whether a registry requires a login: a hundred images that start together
//! would receive a hundred 401 answers with the same challenge. Therefore one request goes first and the others wait
//! for its answer. Reading and writing are probed separately because many registries allow anonymous reads.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::Method;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::auth::logins::LoginGuard;
use crate::lock::lock;

/// Maximum time that a request waits for the answer to the first one. A registry that hangs must not be probed by one
/// request after the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kind of access that registries permit or deny separately to anonymous clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AccessMode {
    Read,
    Write,
}

/// State of the probe for one kind of connection to a registry.
#[derive(Debug, Default)]
pub(super) struct ChallengeProbe {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// A probing request is in flight.
    is_probing: bool,
    /// The requirements for reading, and for writing, are known.
    reads: bool,
    writes: bool,
}

/// Permission to send a request, given if the registry's requirements are known or if this request is the probe. It is
/// held until the answer was recorded, by [`ProbeGuard::record_success`] or by
/// [`refused`](crate::auth::Authenticator::refused). If it is dropped earlier, the next request becomes the probe.
#[derive(Debug)]
pub struct ProbeGuard {
    probe: Arc<ChallengeProbe>,
    mode: AccessMode,
    first: bool,
    /// Guard of a login that was not accepted yet.
    pub(super) login: Option<LoginGuard>,
}

impl ChallengeProbe {
    /// Waits until a request with `method` may be sent.
    pub(super) async fn acquire(self: &Arc<Self>, method: &Method) -> ProbeGuard {
        let mode = if matches!(*method, Method::GET | Method::HEAD) {
            AccessMode::Read
        } else {
            AccessMode::Write
        };
        let first = self.is_first(mode).await;
        ProbeGuard {
            probe: Arc::clone(self),
            mode,
            first,
            login: None,
        }
    }
    /// Waits until a request may be sent. Returns true if it is the probe.
    async fn is_first(&self, mode: AccessMode) -> bool {
        if self.state().knows(mode) {
            return false;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the look at the state, so that no change falls between the two.
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.knows(mode) {
                    return false;
                }
                if !state.is_probing {
                    state.is_probing = true;
                    return true;
                }
            }
            if timeout_at(deadline, changed).await.is_err() {
                return false;
            }
        }
    }
    /// Records that the challenge is known.
    pub(super) fn open(&self) {
        let mut state = self.state();
        if !(state.reads && state.writes) {
            (state.reads, state.writes) = (true, true);
            drop(state);
            self.changed.notify_waiters();
        }
    }
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn knows(&self, mode: AccessMode) -> bool {
        match mode {
            AccessMode::Read => self.reads,
            AccessMode::Write => self.writes,
        }
    }
}

impl ProbeGuard {
    /// Returns true if the requirements are unknown, and the holder is to learn them.
    pub(super) fn is_first(&self) -> bool {
        self.first
    }
    /// Records that the registry accepted the request. Other requests of its kind no longer wait.
    pub fn record_success(&self) {
        let mut state = self.probe.state();
        if state.knows(self.mode) {
            return;
        }
        match self.mode {
            AccessMode::Read => state.reads = true,
            // Where anybody may write, anybody may read.
            AccessMode::Write => (state.reads, state.writes) = (true, true),
        }
        drop(state);
        self.probe.changed.notify_waiters();
    }
}

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        if self.first {
            self.probe.state().is_probing = false;
            self.probe.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Returns `Some` if a request with `method` is sent at once, with true if it is the probe.
    fn goes(probe: &Arc<ChallengeProbe>, method: &Method) -> Option<bool> {
        probe.acquire(method).now_or_never().map(|turn| turn.first)
    }

    #[tokio::test]
    async fn one_asks_and_the_others_wait_for_its_answer() {
        let probe = Arc::new(ChallengeProbe::default());
        let first = probe.acquire(&Method::GET).await;
        assert!(first.first);
        assert_eq!(goes(&probe, &Method::HEAD), None);
        assert_eq!(goes(&probe, &Method::PUT), None);
        let waiting = probe.acquire(&Method::GET);
        first.record_success();
        assert!(!waiting.await.first);
        assert_eq!(goes(&probe, &Method::HEAD), Some(false));
    }

    #[tokio::test]
    async fn writing_is_found_out_apart_and_holds_up_no_reader() {
        let probe = Arc::new(ChallengeProbe::default());
        probe.acquire(&Method::GET).await.record_success();
        let writer = probe.acquire(&Method::POST).await;
        assert!(writer.first);
        assert_eq!(goes(&probe, &Method::PUT), None);
        assert_eq!(goes(&probe, &Method::GET), Some(false));
        probe.open();
        assert_eq!(goes(&probe, &Method::PUT), Some(false));
    }

    #[tokio::test]
    async fn where_anybody_may_write_anybody_may_read() {
        let probe = Arc::new(ChallengeProbe::default());
        probe.acquire(&Method::POST).await.record_success();
        assert_eq!(goes(&probe, &Method::GET), Some(false));
    }

    #[tokio::test]
    async fn the_next_one_goes_ahead_when_the_first_gives_up() {
        let probe = Arc::new(ChallengeProbe::default());
        let first = probe.acquire(&Method::GET).await;
        let (next, ()) = tokio::join!(probe.acquire(&Method::GET), async { drop(first) });
        assert!(next.first);
        assert_eq!(goes(&probe, &Method::GET), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_one_that_hangs_does_not_hold_up_the_others_for_good() {
        let probe = Arc::new(ChallengeProbe::default());
        let first = probe.acquire(&Method::GET).await;
        assert!(!probe.acquire(&Method::GET).await.first);
        drop(first);
        assert_eq!(goes(&probe, &Method::GET), Some(true));
    }
}
