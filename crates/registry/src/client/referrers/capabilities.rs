//! Observed capabilities of a registry for referrers.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;

/// Number of fallback tags that can be written at a time. Two that share a lock wait for each other.
const TURNS: usize = 64;

/// Support for the referrers API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::client) enum ApiSupport {
    /// Not requested yet, or the answers were about repositories and subjects.
    #[default]
    Unknown,
    /// The API answers with lists, none of which had an entry yet.
    Answers,
    /// The API was seen to list pushed referrers.
    Lists,
    /// The API is missing, or lists nothing.
    Missing,
}

/// Facts that are remembered for the run.
pub(in crate::client) struct ReferrersCapabilities {
    state: Mutex<State>,
    /// Held by the first request, so that others learn from its answer.
    first: tokio::sync::Mutex<()>,
    /// Locks for the writers of fallback tags in this process.
    turns: Vec<tokio::sync::Mutex<()>>,
    hasher: RandomState,
    /// Conditional writes were refused although nobody else wrote.
    refuses_conditions: AtomicBool,
    /// A conditional write was refused because somebody else wrote.
    heeds_conditions: AtomicBool,
    /// A warning about denied fallback tags was reported.
    said_denied: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct State {
    api: ApiSupport,
    /// The API has given any answer.
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
    /// Returns the support for the referrers API.
    pub(super) fn api(&self) -> ApiSupport {
        self.state().api
    }
    /// Returns whether a push was answered with `OCI-Subject`.
    pub(super) fn says_subject(&self) -> bool {
        self.state().says_subject
    }
    /// Records that a push was answered with `OCI-Subject`.
    pub(in crate::client) fn said_subject(&self) {
        self.state().says_subject = true;
    }
    /// Waits for the first request. Returns its lock, or `None` after any answer.
    pub(super) async fn first(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let is_open = |state: State| state.api == ApiSupport::Unknown && !state.asked;
        if !is_open(*self.state()) {
            return None;
        }
        let turn = self.first.lock().await;
        is_open(*self.state()).then_some(turn)
    }
    /// Records an answer: nobody waits for another request any more, even if the answer was unclear.
    pub(super) fn record_probe(&self) {
        self.state().asked = true;
    }
    /// Records that the API answered with a list.
    pub(super) fn record_list(&self, is_empty: bool) {
        let mut state = self.state();
        state.api = match (state.api, is_empty) {
            (ApiSupport::Missing, _) => ApiSupport::Missing,
            (ApiSupport::Unknown | ApiSupport::Answers, true) => ApiSupport::Answers,
            (ApiSupport::Lists, true) | (_, false) => ApiSupport::Lists,
        };
    }
    /// Records that the API is missing, or does not list pushed referrers. An API that was seen to list is not given up
    /// after a single answer.
    pub(super) fn missing(&self) {
        let mut state = self.state();
        if state.api != ApiSupport::Lists {
            state.api = ApiSupport::Missing;
        }
    }
    /// Waits for the lock of the fallback tag with this name, one of [`TURNS`]. Never `None`.
    pub(super) async fn lock_writer(&self, name: &str) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let count = u64::try_from(self.turns.len()).unwrap_or(u64::MAX).max(1);
        let at = usize::try_from(self.hasher.hash_one(name) % count).ok()?;
        Some(self.turns.get(at)?.lock().await)
    }
    /// Returns whether writes may have the condition `If-Match`.
    pub(super) fn takes_conditions(&self) -> bool {
        !self.refuses_conditions.load(Ordering::Relaxed)
    }
    /// Records that conditional writes are refused.
    pub(super) fn no_conditions(&self) {
        self.refuses_conditions.store(true, Ordering::Relaxed);
    }
    /// Returns whether a condition has prevented a write that would have undone another.
    pub(super) fn honours_conditions(&self) -> bool {
        self.heeds_conditions.load(Ordering::Relaxed)
    }
    /// Records that a condition has prevented such a write.
    pub(super) fn record_honoured_condition(&self) {
        self.heeds_conditions.store(true, Ordering::Relaxed);
    }
    /// Returns whether this is the first denial.
    pub(super) fn is_first_denial(&self) -> bool {
        !self.said_denied.swap(true, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_that_lists_is_not_given_up() {
        let capabilities = ReferrersCapabilities::default();
        capabilities.record_list(true);
        assert_eq!(capabilities.api(), ApiSupport::Answers);
        capabilities.record_list(false);
        capabilities.record_list(true);
        capabilities.missing();
        assert_eq!(capabilities.api(), ApiSupport::Lists);
    }

    #[test]
    fn an_api_that_lists_nothing_is_given_up_for_good() {
        let capabilities = ReferrersCapabilities::default();
        capabilities.record_list(true);
        capabilities.missing();
        capabilities.record_list(false);
        assert_eq!(capabilities.api(), ApiSupport::Missing);
    }
}
