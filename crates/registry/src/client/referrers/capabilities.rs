//! Observed capabilities of a registry for referrers.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;

/// Time for which a registry without the API is not asked again. It may get the API while a service runs, or a proxy may
/// have answered in its place.
const MISSING_FOR: Duration = Duration::from_secs(60 * 60);

/// Maximum number of repositories whose denials are remembered.
const MAX_REPOSITORIES: usize = 16 * 1024;

/// Number of denials after which a repository is not asked again, as long as the registry has never listed anything.
const MAX_DENIALS: u8 = 3;

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
    /// The API is missing, or does not list pushed referrers.
    Missing,
}

/// Facts that are remembered for the run.
pub(in crate::client) struct ReferrersCapabilities {
    state: Mutex<State>,
    /// Denials (403) by repository. Each may be about the API, about rights, or about a single subject; a warning tells of
    /// the first.
    denials: Mutex<HashMap<String, Denials>>,
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
    /// End of the time for which a missing API is believed; `None` for good.
    missing_until: Option<Instant>,
    /// A push was answered with `OCI-Subject`.
    says_subject: bool,
}

/// Denials in one repository.
struct Denials {
    count: u8,
    until: Instant,
}

impl Default for ReferrersCapabilities {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            denials: Mutex::default(),
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
    /// Records that the API is missing, for an hour. An API that was seen to list is not given up after a single answer.
    pub(super) fn missing(&self) {
        self.give_up(Some(Instant::now() + MISSING_FOR));
    }
    /// Records that the API does not list pushed referrers.
    pub(super) fn lists_nothing(&self) {
        self.give_up(None);
    }
    fn give_up(&self, until: Option<Instant>) {
        let mut state = self.state();
        if state.api != ApiSupport::Lists {
            state.api = ApiSupport::Missing;
            state.missing_until = until;
        }
    }
    /// Records a denial. The repositories that are remembered are dropped at the bound, and cost requests again.
    pub(super) fn record_denial(&self, repository: &str) {
        let mut denials = lock(&self.denials);
        if denials.len() >= MAX_REPOSITORIES && !denials.contains_key(repository) {
            denials.clear();
        }
        let new = || Denials {
            count: 0,
            until: Instant::now() + MISSING_FOR,
        };
        let denials = denials.entry(repository.to_owned()).or_insert_with(new);
        denials.count = denials.count.saturating_add(1);
    }
    /// Returns whether further requests in the repository are likely denied as well.
    pub(super) fn is_denied(&self, repository: &str) -> bool {
        if self.api() != ApiSupport::Unknown {
            return false;
        }
        let mut denials = lock(&self.denials);
        match denials.get(repository) {
            Some(known) if Instant::now() >= known.until => {
                denials.remove(repository);
                false
            }
            Some(known) => known.count >= MAX_DENIALS,
            None => false,
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
        let mut state = lock(&self.state);
        if state.missing_until.is_some_and(|end| Instant::now() >= end) {
            state.api = ApiSupport::Unknown;
            state.asked = false;
            state.missing_until = None;
        }
        state
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
        capabilities.lists_nothing();
        capabilities.record_list(false);
        assert_eq!(capabilities.api(), ApiSupport::Missing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_api_is_requested_again_after_an_hour() {
        let capabilities = ReferrersCapabilities::default();
        capabilities.missing();
        capabilities.record_probe();
        tokio::time::advance(MISSING_FOR.saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(capabilities.api(), ApiSupport::Missing);
        assert!(capabilities.first().await.is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(capabilities.api(), ApiSupport::Unknown);
        assert!(capabilities.first().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_that_lists_nothing_is_not_requested_again() {
        let capabilities = ReferrersCapabilities::default();
        capabilities.lists_nothing();
        tokio::time::advance(MISSING_FOR).await;
        assert_eq!(capabilities.api(), ApiSupport::Missing);
    }

    #[tokio::test(start_paused = true)]
    async fn denials_count_for_their_repository_until_the_registry_lists() {
        let capabilities = ReferrersCapabilities::default();
        for number in 0..MAX_DENIALS {
            assert!(!capabilities.is_denied("a"), "{number}");
            capabilities.record_denial("a");
        }
        assert!(capabilities.is_denied("a") && !capabilities.is_denied("b"));
        tokio::time::advance(MISSING_FOR).await;
        assert!(!capabilities.is_denied("a"));
        for _ in 0..MAX_DENIALS {
            capabilities.record_denial("a");
        }
        capabilities.record_list(true);
        assert!(!capabilities.is_denied("a"));
    }
}
