//! Tags that are being looked at in a repository: what they name is known there in a moment.
//!
//! A further tag on a digest that is there costs one push, if it is known that the digest is there. Who is about to
//! push for a new tag waits for those who ask about the others, which takes no longer than a question does.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::Repository;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::lock::lock;

/// How long anybody waits: what is learnt spares some requests, and no more.
const MOMENT: Duration = Duration::from_secs(1);

/// The looks under way, each with the sign of its end.
#[derive(Default)]
pub(super) struct InFlightTagChecks {
    table: Mutex<HashMap<Repository, Vec<CancellationToken>>>,
}

/// A look under way; over when it is dropped.
pub(super) struct TagCheckGuard<'a> {
    looks: &'a InFlightTagChecks,
    repository: &'a Repository,
    end: CancellationToken,
}

impl InFlightTagChecks {
    /// A tag of `repository` is being looked at.
    pub(super) fn begin<'a>(&'a self, repository: &'a Repository) -> TagCheckGuard<'a> {
        let end = CancellationToken::new();
        let mut table = lock(&self.table);
        table
            .entry(repository.clone())
            .or_default()
            .push(end.clone());
        TagCheckGuard {
            looks: self,
            repository,
            end,
        }
    }
    /// Waits until those are over that are under way in `repository`, but for a moment at most.
    pub(super) async fn wait_for_checks(&self, repository: &Repository) {
        let looks = lock(&self.table).get(repository).cloned();
        let ends = looks.iter().flatten().map(CancellationToken::cancelled);
        let _ = timeout(MOMENT, join_all(ends)).await;
    }
}

impl Drop for TagCheckGuard<'_> {
    fn drop(&mut self) {
        self.end.cancel();
        let mut table = lock(&self.looks.table);
        if let Some(looks) = table.get_mut(self.repository) {
            looks.retain(|look| !look.is_cancelled());
            if looks.is_empty() {
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
    async fn those_under_way_are_waited_for_and_nothing_stays_behind() {
        let looks = InFlightTagChecks::default();
        let (here, there) = (repository("dst.example/a"), repository("dst.example/b"));
        assert!(looks.wait_for_checks(&here).now_or_never().is_some());
        let (one, two) = (looks.begin(&here), looks.begin(&here));
        assert!(looks.wait_for_checks(&there).now_or_never().is_some());
        let mut settled = std::pin::pin!(looks.wait_for_checks(&here));
        assert!(settled.as_mut().now_or_never().is_none());
        drop(one);
        assert!(settled.as_mut().now_or_never().is_none());
        drop(two);
        assert!(settled.now_or_never().is_some());
        assert!(lock(&looks.table).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_end_holds_nobody_up_for_long() {
        let looks = InFlightTagChecks::default();
        let here = repository("dst.example/a");
        let _look = looks.begin(&here);
        looks.wait_for_checks(&here).await;
    }
}
