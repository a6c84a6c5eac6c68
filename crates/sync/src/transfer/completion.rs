//! Completion of another task's work on a blob.

use tokio::sync::watch;

use crate::Repository;
use crate::failure::Failure;

/// Completion of another task's lease.
#[derive(Clone)]
pub(super) struct Completion(watch::Receiver<Option<CompletionResult>>);

/// Result of a lease.
#[derive(Clone, Debug)]
pub(super) enum CompletionResult {
    /// The blob is in the repository, and the inventory knows it.
    Arrived,
    /// The source failed to provide the blob.
    SourceFailed {
        /// The repository that is the source.
        source: Repository,
        /// The failure.
        failure: Failure,
    },
    /// The blob was not copied, for a reason that does not concern other tasks.
    Released,
}

impl Completion {
    /// Completes when the holder of the sender reports a result; a dropped sender is [`CompletionResult::Released`].
    pub(super) fn new(end: watch::Receiver<Option<CompletionResult>>) -> Self {
        Self(end)
    }
    /// Returns whether the lease is still held.
    pub(super) fn is_open(&self) -> bool {
        self.0.has_changed().is_ok() && self.0.borrow().is_none()
    }
    /// Waits for the end of the lease.
    pub(super) async fn ended(mut self) -> CompletionResult {
        match self.0.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(CompletionResult::Released),
            Err(_) => CompletionResult::Released,
        }
    }
}
