//! What a registry was found to do about referrers.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many fallback tags may be written at a time; two that share a turn merely wait for each other.
const TURNS: usize = 64;

/// Whether there is a referrers API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::client) enum ApiSupport {
    /// Nobody has asked, or the answers were about repositories and subjects, not about the API.
    #[default]
    Unknown,
    /// It answers with lists, of which none had an entry yet.
    Answers,
    /// It was seen to list what was pushed.
    Lists,
    /// There is none, or one that lists nothing.
    Missing,
}

/// What is remembered for the run.
pub(in crate::client) struct ReferrersCapabilities {
    state: Mutex<State>,
    /// Held by the first who asks, so that the others learn from the answer.
    first: tokio::sync::Mutex<()>,
    /// One writer for each fallback tag, in this process.
    turns: Vec<tokio::sync::Mutex<()>>,
    hasher: RandomState,
    /// Writes that depend on `If-Match` were refused although nobody else wrote.
    refuses_conditions: AtomicBool,
    /// One was refused because somebody else wrote.
    heeds_conditions: AtomicBool,
    /// That the registry denies to say whether fallback tags exist was said.
    said_denied: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct State {
    api: ApiSupport,
    /// Somebody had an answer, whatever it was.
    asked: bool,
    /// A push was answered with `OCI-Subject`.
    says_subject: bool,
}

impl Default for ReferrersCapabilities {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            first: tokio::sync::Mutex::default(),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::default()).collect(),
            hasher: RandomState::new(),
            refuses_conditions: AtomicBool::new(false),
            heeds_conditions: AtomicBool::new(false),
            said_denied: AtomicBool::new(false),
        }
    }
}

impl ReferrersCapabilities {
    /// Whether there is a referrers API.
    pub(super) fn api(&self) -> ApiSupport {
        self.state().api
    }
    /// Whether pushes were answered with `OCI-Subject`.
    pub(super) fn says_subject(&self) -> bool {
        self.state().says_subject
    }
    /// Remembers that one was.
    pub(in crate::client) fn said_subject(&self) {
        self.state().says_subject = true;
    }
    /// The turn of the first who asks; `None` for those who come when somebody had an answer.
    pub(super) async fn first(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let is_open = |state: State| state.api == ApiSupport::Unknown && !state.asked;
        if !is_open(*self.state()) {
            return None;
        }
        let turn = self.first.lock().await;
        is_open(*self.state()).then_some(turn)
    }
    /// Remembers that somebody had an answer: nobody waits for another's any more, even if it settled nothing.
    pub(super) fn record_probe(&self) {
        self.state().asked = true;
    }
    /// Remembers that the API answered with a list.
    pub(super) fn record_list(&self, is_empty: bool) {
        let mut state = self.state();
        state.api = match (state.api, is_empty) {
            (ApiSupport::Missing, _) => ApiSupport::Missing,
            (ApiSupport::Unknown | ApiSupport::Answers, true) => ApiSupport::Answers,
            (ApiSupport::Lists, true) | (_, false) => ApiSupport::Lists,
        };
    }
    /// Remembers that there is no API, or one that does not list what is pushed. One that was seen to list is not
    /// given up for a single answer.
    pub(super) fn missing(&self) {
        let mut state = self.state();
        if state.api != ApiSupport::Lists {
            state.api = ApiSupport::Missing;
        }
    }
    /// The turn of one writer of the fallback tag of this name: always one, since there are [`TURNS`] to choose from.
    pub(super) async fn lock_writer(&self, name: &str) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let count = u64::try_from(self.turns.len()).unwrap_or(u64::MAX).max(1);
        let at = usize::try_from(self.hasher.hash_one(name) % count).ok()?;
        Some(self.turns.get(at)?.lock().await)
    }
    /// Whether writes may depend on `If-Match`.
    pub(super) fn takes_conditions(&self) -> bool {
        !self.refuses_conditions.load(Ordering::Relaxed)
    }
    /// Remembers that they may not.
    pub(super) fn no_conditions(&self) {
        self.refuses_conditions.store(true, Ordering::Relaxed);
    }
    /// Whether conditions were seen to hold back a write that would have undone another.
    pub(super) fn honours_conditions(&self) -> bool {
        self.heeds_conditions.load(Ordering::Relaxed)
    }
    /// Remembers that one did.
    pub(super) fn record_honoured_condition(&self) {
        self.heeds_conditions.store(true, Ordering::Relaxed);
    }
    /// Whether it is the first time that this is to be said.
    pub(super) fn is_first_denial(&self) -> bool {
        !self.said_denied.swap(true, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_that_lists_is_not_given_up() {
        let habits = ReferrersCapabilities::default();
        habits.record_list(true);
        assert_eq!(habits.api(), ApiSupport::Answers);
        habits.record_list(false);
        habits.record_list(true);
        habits.missing();
        assert_eq!(habits.api(), ApiSupport::Lists);
    }

    #[test]
    fn an_api_that_lists_nothing_is_given_up_for_good() {
        let habits = ReferrersCapabilities::default();
        habits.record_list(true);
        habits.missing();
        habits.record_list(false);
        assert_eq!(habits.api(), ApiSupport::Missing);
    }
}
