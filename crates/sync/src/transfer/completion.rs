//! The end of what somebody else does for a blob, to wait for.

use image_syncer_registry::Repository;
use tokio::sync::watch;

use crate::failure::Failure;

/// The end of somebody else's claim, to wait for.
#[derive(Clone)]
pub(super) struct Completion(watch::Receiver<Option<CompletionResult>>);

/// How a claim ended.
#[derive(Clone, Debug)]
pub(super) enum CompletionResult {
    /// The blob is in the repository, and the inventory knows it.
    Arrived,
    /// The source could not give it.
    SourceFailed {
        /// Which.
        source: Repository,
        /// Why.
        failure: Failure,
    },
    /// It was not brought, which says nothing to others.
    Released,
}

impl Completion {
    /// Of whoever holds the other end of `end`; one that is dropped without a word is [`CompletionResult::Released`].
    pub(super) fn new(end: watch::Receiver<Option<CompletionResult>>) -> Self {
        Self(end)
    }
    /// Whether it has not ended yet.
    pub(super) fn is_open(&self) -> bool {
        self.0.has_changed().is_ok() && self.0.borrow().is_none()
    }
    /// Waits for the end of the claim.
    pub(super) async fn ended(mut self) -> CompletionResult {
        match self.0.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(CompletionResult::Released),
            Err(_) => CompletionResult::Released,
        }
    }
}
