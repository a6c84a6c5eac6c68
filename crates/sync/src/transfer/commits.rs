//! Blobs that images of this run will commit soon.
//!
//! Some registries mount only blobs that a manifest names (ECR). There, an image that needs a blob in a second
//! repository waits for the end of the image that brings it to the first one. An image waits only for images that began
//! before it, so that waits cannot form a circle, and the oldest image waits for none.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use image_syncer_registry::Digest;
use tokio::sync::watch;

use crate::Repository;
use crate::lock::lock;
use crate::transfer::completion::{Completion, CompletionResult};

/// Images in progress, in the order in which they began.
#[derive(Default)]
pub(super) struct PendingCommits(Mutex<CommitTable>);

#[derive(Default)]
struct CommitTable {
    next: u64,
    images: BTreeMap<u64, PendingImage>,
}

struct PendingImage {
    repository: Repository,
    blobs: HashSet<Digest>,
    end: Completion,
}

/// An image on its way to a repository. Drop it when the image is committed and the inventory knows it, or when it will
/// not be committed.
pub(crate) struct CommitGuard {
    commits: Arc<PendingCommits>,
    number: u64,
    /// Dropped with the guard, which ends the wait of other images.
    _end: watch::Sender<Option<CompletionResult>>,
}

impl PendingCommits {
    /// Registers an image that will commit `blobs` in `repository`.
    pub(super) fn register(
        self: &Arc<Self>,
        repository: &Repository,
        blobs: HashSet<Digest>,
    ) -> CommitGuard {
        let (end, ended) = watch::channel(None);
        let mut table = lock(&self.0);
        let number = table.next;
        table.next = table.next.wrapping_add(1);
        let image = PendingImage {
            repository: repository.clone(),
            blobs,
            end: Completion::new(ended),
        };
        table.images.insert(number, image);
        CommitGuard {
            commits: Arc::clone(self),
            number,
            _end: end,
        }
    }
    /// Returns the end of the oldest image that will commit `blob` in another repository of the registry of
    /// `destination`, if it began before those that will commit it in `destination` itself.
    pub(super) fn earlier_commit(
        &self,
        destination: &Repository,
        blob: &Digest,
    ) -> Option<Completion> {
        let table = lock(&self.0);
        let registry = destination.endpoint();
        let first = table
            .images
            .values()
            .find(|image| image.repository.endpoint() == registry && image.blobs.contains(blob))?;
        let wanted = || {
            let images = table.images.values();
            images.filter(|image| image.repository == *destination)
        };
        let is_wanted = wanted().any(|image| image.blobs.contains(blob));
        (is_wanted && first.repository != *destination).then(|| first.end.clone())
    }
}

impl Drop for CommitGuard {
    fn drop(&mut self) {
        lock(&self.commits.0).images.remove(&self.number);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::store::memory::repository;

    fn register(commits: &Arc<PendingCommits>, name: &str, blobs: &[&[u8]]) -> CommitGuard {
        let blobs = blobs.iter().map(|blob| Digest::sha256(blob)).collect();
        commits.register(&repository(name), blobs)
    }

    #[tokio::test]
    async fn images_wait_for_the_oldest_one_with_the_blob_in_another_repository() {
        let commits = Arc::<PendingCommits>::default();
        let blob = Digest::sha256(b"shared");
        let before = |name: &str| commits.earlier_commit(&repository(name), &blob);
        let first = register(&commits, "dst.example/a", &[b"shared", b"own"]);
        let _second = register(&commits, "dst.example/b", &[b"shared"]);
        let _other = register(&commits, "dst.example/c", &[b"other"]);
        let _elsewhere = register(&commits, "other.example/c", &[b"shared"]);
        assert!(before("dst.example/a").is_none());
        assert!(before("other.example/c").is_none());
        // No image will commit it there.
        assert!(before("dst.example/c").is_none());
        let end = before("dst.example/b").unwrap();
        let mut waiting = std::pin::pin!(end.ended());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        assert!(matches!(waiting.await, CompletionResult::Released));
        // This is the oldest image now.
        assert!(before("dst.example/b").is_none());
    }
}
