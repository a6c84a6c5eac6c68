//! Request to end a run, and the deadline of the work in flight.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;

/// Request to end a run before everything is done.
#[derive(Debug, Default)]
pub(crate) struct ShutdownState(Mutex<Option<Until>>);

#[derive(Clone, Copy, Debug)]
enum Until {
    /// The work in flight may go on until then.
    Then(Instant),
    /// The work in flight is dropped.
    Now,
}

/// Rest of the work in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum State {
    /// It may go on for this time.
    GoesOn(Duration),
    /// It is dropped.
    Dropped,
}

impl ShutdownState {
    /// Starts no more images. Those in flight may go on for `grace`.
    pub(crate) fn begin_with_grace(&self, grace: Duration) {
        self.set(if grace.is_zero() {
            Until::Now
        } else {
            Until::Then(Instant::now() + grace)
        });
    }

    /// Drops the work in flight.
    pub(crate) fn now(&self) {
        self.set(Until::Now);
    }

    /// Returns the state, if the run was requested to end.
    pub(super) fn state(&self, now: Instant) -> Option<State> {
        let until = *lock(&self.0);
        Some(match until? {
            Until::Then(then) if then > now => State::GoesOn(then - now),
            Until::Then(_) | Until::Now => State::Dropped,
        })
    }

    fn set(&self, until: Until) {
        *lock(&self.0) = Some(until);
    }
}
