//! Registries that let nobody in: what a whole set of tries found out, the next need not find out again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::reference::Registry;

/// A registry that answered this recently is there, whatever one operation met with.
const RECENTLY: Duration = Duration::from_secs(60);

/// Which registries answer.
#[derive(Default)]
pub(super) struct Silence(Mutex<HashMap<Registry, State>>);

#[derive(Clone, Copy)]
enum State {
    /// It last answered then.
    Answered(Instant),
    /// No connection came about in a whole set of tries, and no answer has come since.
    Silent,
}

impl Silence {
    /// The registry answered, whatever it said.
    pub(super) fn answered(&self, registry: &Registry) {
        let now = State::Answered(Instant::now());
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match states.get_mut(registry) {
            Some(state) => *state = now,
            None => drop(states.insert(registry.clone(), now)),
        }
    }
    /// An operation used up its tries without a connection.
    pub(super) fn met(&self, registry: &Registry) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recently =
            |state: &State| matches!(state, State::Answered(at) if at.elapsed() < RECENTLY);
        if !states.get(registry).is_some_and(recently) {
            states.insert(registry.clone(), State::Silent);
        }
    }
    /// Whether it is not worth waiting for: no operation got through before.
    pub(super) fn is_known(&self, registry: &Registry) -> bool {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(states.get(registry), Some(State::Silent))
    }
}
