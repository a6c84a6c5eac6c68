//! Tag checks in flight: after them, the manifests of a repository are known.
//!
//! A further tag for an existing digest costs one push, if the digest is known to exist. So before a push for a new
//! tag, the checks of other tags in the repository are awaited, which takes no longer than a request.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Repository;
use crate::lock::lock;

/// Maximum wait. A check only saves requests.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Checks in flight by repository, each with a token for its end.
#[derive(Default)]
pub(super) struct InFlightTagChecks {
    table: Mutex<HashMap<Repository, Vec<CancellationToken>>>,
}

/// A check in flight; ends when dropped.
pub(super) struct TagCheckGuard<'a> {
    checks: &'a InFlightTagChecks,
    repository: &'a Repository,
    end: CancellationToken,
}

impl InFlightTagChecks {
    /// Starts the check of a tag of `repository`.
    pub(super) fn begin<'a>(&'a self, repository: &'a Repository) -> TagCheckGuard<'a> {
        let end = CancellationToken::new();
        let mut table = lock(&self.table);
        table
            .entry(repository.clone())
            .or_default()
            .push(end.clone());
        TagCheckGuard {
            checks: self,
            repository,
            end,
        }
    }
    /// Returns the number of repositories with checks in flight.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.table).len()
    }
    /// Waits for the checks in flight in `repository`, for a bounded time.
    pub(super) async fn wait_for_checks(&self, repository: &Repository) {
        let checks = lock(&self.table).get(repository).cloned();
        let ends = checks.iter().flatten().map(CancellationToken::cancelled);
        let _ = timeout(MAX_WAIT, join_all(ends)).await;
    }
}

impl Drop for TagCheckGuard<'_> {
    fn drop(&mut self) {
        self.end.cancel();
        let mut table = lock(&self.checks.table);
        if let Some(checks) = table.get_mut(self.repository) {
            checks.retain(|check| !check.is_cancelled());
            if checks.is_empty() {
                table.remove(self.repository);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::store::memory::repository;

    #[tokio::test]
    async fn checks_in_flight_are_waited_for_and_removed() {
        let checks = InFlightTagChecks::default();
        let (here, there) = (repository("dst.example/a"), repository("dst.example/b"));
        assert!(checks.wait_for_checks(&here).now_or_never().is_some());
        let (one, two) = (checks.begin(&here), checks.begin(&here));
        assert!(checks.wait_for_checks(&there).now_or_never().is_some());
        let mut settled = std::pin::pin!(checks.wait_for_checks(&here));
        assert!(settled.as_mut().now_or_never().is_none());
        drop(one);
        assert!(settled.as_mut().now_or_never().is_none());
        drop(two);
        assert!(settled.now_or_never().is_some());
        assert!(lock(&checks.table).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_check_is_bounded() {
        let checks = InFlightTagChecks::default();
        let here = repository("dst.example/a");
        let _check = checks.begin(&here);
        checks.wait_for_checks(&here).await;
    }
}
