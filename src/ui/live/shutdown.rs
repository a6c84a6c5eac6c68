//! That a run was asked to end, and until when it may go on.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether a run was asked to end before all is done.
#[derive(Debug, Default)]
pub(crate) struct ShutdownState(Mutex<Option<Until>>);

#[derive(Clone, Copy, Debug)]
enum Until {
    /// What is under way may go on until then.
    Then(Instant),
    /// What is under way is dropped.
    Now,
}

/// What becomes of what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum State {
    /// It may go on for so long.
    GoesOn(Duration),
    /// It is dropped.
    Dropped,
}

impl ShutdownState {
    /// No further image is begun; those under way may go on for so long.
    pub(crate) fn begin_with_grace(&self, grace: Duration) {
        self.set(if grace.is_zero() {
            Until::Now
        } else {
            Until::Then(Instant::now() + grace)
        });
    }

    /// What is under way is dropped.
    pub(crate) fn now(&self) {
        self.set(Until::Now);
    }

    /// What was asked for, if anything was.
    pub(super) fn state(&self, now: Instant) -> Option<State> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match until? {
            Until::Then(then) if then > now => State::GoesOn(then - now),
            Until::Then(_) | Until::Now => State::Dropped,
        })
    }

    fn set(&self, until: Until) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}
