//! Blobs in flight: the table of all uploads.
//!
//! A task that brings a blob to a repository holds an [`UploadLease`] on the pair. Another task that needs the same
//! blob there gets its [`Completion`] and waits without holding anything for it, so that waits cannot form a circle. A
//! lease that is dropped, by cancellation or by a panic, is released, and the waiting tasks decide again. Lasting facts
//! are in the inventory; an entry here lives only as long as its leases.
//!
//! A task writes its result into the inventory before it ends its lease (`BlobUploadTask::run`), and the facts are read
//! under the lock of the table. So a decision sees the lease or its result, and no blob is sent twice.
//!
//! An entry also knows the group that reads the blob, so that uploads to other destinations, for any image, share its
//! download.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use image_syncer_registry::Digest;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::inventory::{
    BlobKnowledge, Inventory, MountCandidate, MountCapability, MountConfidence,
};
use crate::lock::lock;
use crate::transfer::commits::PendingCommits;
use crate::transfer::completion::{Completion, CompletionResult};
use crate::transfer::decide::{Decision, Situation, decide};
use crate::transfer::fan_out::{BlobDownload, FanOutGroup, FanOutReader, SharedLimits};
use crate::{Endpoint, Repository};

/// Total time of waits for commits at a registry that is not known to mount anything.
const COMMIT_WAIT: Duration = Duration::from_secs(2);

/// All leases.
pub(super) struct InFlightBlobs {
    entries: Mutex<HashMap<Digest, InFlightBlob>>,
    limits: SharedLimits,
    /// Blobs that images will commit.
    pub(super) commits: Arc<PendingCommits>,
    registries: Mutex<HashMap<Endpoint, MountDiscovery>>,
}

/// State of the discovery of a registry's mount behavior.
#[derive(Default)]
struct MountDiscovery {
    /// Completion of the first mount of a blob that no manifest names.
    first_mount: Option<Completion>,
    /// Deadline for waits for commits that may be in vain.
    deadline: Option<Instant>,
}

/// A blob with uploads in flight.
#[derive(Default)]
struct InFlightBlob {
    uploads: Vec<ActiveUpload>,
    /// The group that reads it, which further uploads join.
    group: Weak<FanOutGroup>,
}

/// An upload of a blob to a repository.
struct ActiveUpload {
    repository: Repository,
    completion: Completion,
}

/// Assignment of a task for a blob that a repository may lack.
pub(super) enum Assignment {
    /// Nothing to do: the blob is present.
    Present,
    /// Wait, until the deadline at most, and decide again.
    Await(Completion, Option<Instant>),
    /// Bring it with this strategy, sharing a download if bytes are needed, and report the result to the lease.
    Bring(UploadLease, UploadStrategy, FanOutReader),
}

/// Strategy for bringing a blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UploadStrategy {
    /// Check with a HEAD whether it is present, as the records say; if not, decide again.
    LookUp,
    /// Mount it from a repository of the same registry; send the bytes if that is refused.
    Mount(MountCandidate),
    /// Send the bytes, even if the registry claims to have them.
    SendUnchecked,
    /// Send the bytes, unless the registry has them.
    Upload,
}

/// Exclusive permission, and duty, to bring a blob to a repository.
pub(super) struct UploadLease {
    in_flight: Arc<InFlightBlobs>,
    digest: Digest,
    repository: Repository,
    end: watch::Sender<Option<CompletionResult>>,
    released: bool,
    mount_probe: Option<MountProbe>,
}

/// The first mount of a blob that no manifest names; dropped when the inventory knows the answer.
pub(super) struct MountProbe(
    #[allow(dead_code, reason = "held to be dropped")] watch::Sender<Option<CompletionResult>>,
);

impl InFlightBlobs {
    /// Creates a table for transfers, of which `transfers` run at the same time.
    pub(super) fn new(transfers: Option<Arc<Semaphore>>) -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::default(),
            limits: SharedLimits {
                transfers,
                uploads: Arc::default(),
            },
            commits: Arc::default(),
            registries: Mutex::default(),
        })
    }
    /// Decides for each of `destinations`, which may lack the blob of `download`, and takes leases for those that are
    /// to get it. Decision and lease are one step for all: one of many tasks brings the blob, and leases that are taken
    /// together share one download.
    pub(super) fn lease_destinations(
        self: &Arc<Self>,
        download: &BlobDownload,
        destinations: &[&Repository],
        inventory: &Inventory,
    ) -> Vec<Assignment> {
        let mut entries = lock(&self.entries);
        let digest = &download.blob.digest;
        let entry = entries.entry(digest.clone()).or_default();
        let assignments = destinations
            .iter()
            .map(|destination| self.assign(entry, download, destination, inventory))
            .collect();
        if entries.get(digest).is_some_and(|e| e.uploads.is_empty()) {
            entries.remove(digest);
        }
        assignments
    }
    fn assign(
        self: &Arc<Self>,
        entry: &mut InFlightBlob,
        download: &BlobDownload,
        destination: &Repository,
        inventory: &Inventory,
    ) -> Assignment {
        let is_here = |upload: &&ActiveUpload| upload.repository == *destination;
        let is_to_sibling = |upload: &&ActiveUpload| upload.repository.is_sibling_of(destination);
        let here = entry.uploads.iter().find(is_here);
        let sibling = entry.uploads.iter().find(is_to_sibling);
        // The caller holds the lock of the table. Facts that were read before it could be older than an ended lease.
        let (source, digest) = (download.source.repository(), &download.blob.digest);
        let known = knowledge_with_source(inventory, source, destination, digest);
        let mounting = known.mounting;
        let mut registries = lock(&self.registries);
        let discovery = registries.entry(destination.endpoint().clone());
        let discovery = discovery.or_default();
        let commit = (mounting.is_commit_worth_awaiting()
            && discovery.may_wait_for_commit(mounting))
        .then(|| self.commits.earlier_commit(destination, digest))
        .flatten();
        let first_mount = discovery.first_mount.clone().filter(Completion::is_open);
        let decision = decide(Situation {
            known,
            uploading_here: here.is_some(),
            uploading_to_sibling: sibling.is_some(),
            probing_mount: first_mount.is_some(),
            committing_to_sibling: commit.is_some(),
        });
        let awaited = match decision {
            Decision::AwaitUpload => here.map(|upload| (upload.completion.clone(), None)),
            Decision::AwaitSibling => sibling.map(|upload| (upload.completion.clone(), None)),
            Decision::AwaitMountProbe => first_mount.map(|first| (first, None)),
            Decision::AwaitCommit => {
                commit.map(|commit| (commit, discovery.commit_deadline(mounting)))
            }
            _ => None,
        };
        if let Some((completion, deadline)) = awaited {
            return Assignment::Await(completion, deadline);
        }
        if decision == Decision::Present {
            return Assignment::Present;
        }
        let (strategy, probe) = discovery.strategy(decision, mounting);
        let (lease, reader) = self.acquire_lease(entry, download, destination, probe);
        Assignment::Bring(lease, strategy, reader)
    }
    /// Takes the lease for `destination`, which joins the group of `entry`.
    fn acquire_lease(
        self: &Arc<Self>,
        entry: &mut InFlightBlob,
        download: &BlobDownload,
        destination: &Repository,
        mount_probe: Option<MountProbe>,
    ) -> (UploadLease, FanOutReader) {
        let (end, completion) = watch::channel(None);
        entry.uploads.push(ActiveUpload {
            repository: destination.clone(),
            completion: Completion::new(completion),
        });
        let reader = entry.join_group(download, &self.limits);
        let lease = UploadLease {
            in_flight: Arc::clone(self),
            digest: download.blob.digest.clone(),
            repository: destination.clone(),
            end,
            released: false,
            mount_probe,
        };
        (lease, reader)
    }
    /// Returns the number of blobs in flight.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.entries).len()
    }
}

impl InFlightBlob {
    /// Joins the group of the blob, or creates it.
    fn join_group(&mut self, download: &BlobDownload, limits: &SharedLimits) -> FanOutReader {
        if let Some(group) = self.group.upgrade() {
            return group.add_reader(download);
        }
        let (group, reader) = FanOutGroup::create(download, limits);
        self.group = group;
        reader
    }
}

/// Returns the facts of the inventory about the blob for `destination`, and that the source has it.
pub(crate) fn knowledge_with_source(
    inventory: &Inventory,
    source: &Repository,
    destination: &Repository,
    digest: &Digest,
) -> BlobKnowledge {
    let mut known = inventory.knowledge(destination, digest);
    known.here |= source == destination && !known.missing;
    if source.is_sibling_of(destination) {
        known.elsewhere.retain(|from| from.repository != *source);
        let from = MountCandidate {
            repository: source.clone(),
            confidence: MountConfidence::Source,
        };
        known.elsewhere.insert(0, from);
    }
    known
}

impl MountDiscovery {
    /// Returns the strategy for a decision to bring a blob, with a guard if it is the first mount of a blob that no
    /// manifest names.
    fn strategy(
        &mut self,
        decision: Decision,
        mounting: MountCapability,
    ) -> (UploadStrategy, Option<MountProbe>) {
        match decision {
            Decision::LookUp => (UploadStrategy::LookUp, None),
            Decision::Mount(from) => {
                let is_first = from.confidence == MountConfidence::Uncommitted;
                let probe =
                    (is_first && !mounting.is_tried(MountConfidence::Uncommitted)).then(|| {
                        let (sender, ended) = watch::channel(None);
                        self.first_mount = Some(Completion::new(ended));
                        MountProbe(sender)
                    });
                (UploadStrategy::Mount(from), probe)
            }
            Decision::SendUnchecked => (UploadStrategy::SendUnchecked, None),
            _ => (UploadStrategy::Upload, None),
        }
    }
    /// Returns whether a commit may be waited for. At a registry that is not known to mount, this ends a short time
    /// after the first wait.
    fn may_wait_for_commit(&self, mounting: MountCapability) -> bool {
        mounting.is_tried(MountConfidence::Committed)
            || self
                .deadline
                .is_none_or(|deadline| Instant::now() < deadline)
    }
    /// Returns the deadline for waiting for a commit.
    fn commit_deadline(&mut self, mounting: MountCapability) -> Option<Instant> {
        let deadline = || Instant::now() + COMMIT_WAIT;
        (!mounting.is_tried(MountConfidence::Committed))
            .then(|| *self.deadline.get_or_insert_with(deadline))
    }
}

impl UploadLease {
    /// Returns the guard that ends the other tasks' wait for the answer to a mount.
    pub(super) fn take_mount_probe(&mut self) -> Option<MountProbe> {
        self.mount_probe.take()
    }
    /// Reports that the blob is present and the inventory knows it.
    pub(super) fn arrived(self) {
        self.end(CompletionResult::Arrived);
    }
    /// Reports that the source failed.
    pub(super) fn source_failed(self, source: Repository, failure: Failure) {
        self.end(CompletionResult::SourceFailed { source, failure });
    }
    fn end(mut self, end: CompletionResult) {
        // Tasks that are woken must find the table without this lease.
        self.release();
        self.end.send_replace(Some(end));
    }
    fn release(&mut self) {
        if std::mem::replace(&mut self.released, true) {
            return;
        }
        let mut entries = lock(&self.in_flight.entries);
        if let Some(entry) = entries.get_mut(&self.digest) {
            let others = |upload: &ActiveUpload| upload.repository != self.repository;
            entry.uploads.retain(others);
            if entry.uploads.is_empty() {
                entries.remove(&self.digest);
            }
        }
    }
}

impl Drop for UploadLease {
    fn drop(&mut self) {
        // The sender of the completion is dropped after this, and wakes the waiting tasks.
        self.release();
    }
}
