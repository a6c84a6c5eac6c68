//! Blobs in flight: the table of all uploads of the run.
//!
//! A task that brings a blob to a repository holds an [`UploadLease`] on the pair. Another task that needs the same
//! blob there gets its [`Completion`] and waits without holding anything, so that waits cannot form a circle. A lease
//! that is dropped, by cancellation or by a panic, is released, and the waiting tasks decide again. Lasting facts are
//! in the inventory; an entry here lives only as long as its leases.
//!
//! An entry also knows the group that reads the blob, so that uploads to other destinations, for any image, share its
//! download.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use image_syncer_registry::{Digest, Registry, Repository};
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

/// Total time of waits for commits at a registry that is not known to mount anything.
const PATIENCE: Duration = Duration::from_secs(2);

/// All leases of a run.
pub(super) struct InFlightBlobs {
    entries: Mutex<HashMap<Digest, InFlightBlob>>,
    hall: SharedLimits,
    /// Blobs that images will commit.
    pub(super) commits: Arc<PendingCommits>,
    registries: Mutex<HashMap<Registry, MountDiscovery>>,
}

/// State of the discovery of a registry's mount behavior.
#[derive(Default)]
struct MountDiscovery {
    /// Completion of the first mount of a blob that no manifest names.
    answer: Option<Completion>,
    /// Deadline for waits for commits that may be in vain.
    patience: Option<Instant>,
}

/// A blob with uploads in flight.
#[derive(Default)]
struct InFlightBlob {
    coming: Vec<ActiveUpload>,
    /// The group that reads it, which further uploads join.
    group: Weak<FanOutGroup>,
}

/// An upload of a blob to a repository.
struct ActiveUpload {
    repository: Repository,
    arrival: Completion,
}

/// Decision for a blob that a repository lacks.
pub(super) enum UploadDecision {
    /// Nothing to do: the blob is present.
    Present,
    /// Wait, until the deadline at most, and decide again.
    Await(Completion, Option<Instant>),
    /// Bring it with this strategy, sharing a download if bytes are needed, and report the result to the lease.
    Claimed(UploadLease, UploadStrategy, FanOutReader),
}

/// Strategy for bringing a blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UploadStrategy {
    /// Check whether it is present, as the records say; if not, decide again.
    Look,
    /// Mount it from a repository of the same registry; send the bytes if that is refused.
    Mount(MountCandidate),
    /// Send the bytes, whatever the registry says.
    Send,
    /// Send the bytes, unless the registry has them.
    Bring,
}

/// Exclusive permission, and duty, to bring a blob to a repository.
pub(super) struct UploadLease {
    flights: Arc<InFlightBlobs>,
    digest: Digest,
    repository: Repository,
    end: watch::Sender<Option<CompletionResult>>,
    released: bool,
    asking: Option<MountProbe>,
}

/// The first mount of a blob that no manifest names; dropped when the inventory knows the answer.
pub(super) struct MountProbe(
    #[allow(dead_code, reason = "held to be dropped")] watch::Sender<Option<CompletionResult>>,
);

impl InFlightBlobs {
    /// Creates a table for transfers, of which `slots` run at the same time.
    pub(super) fn new(slots: Option<Arc<Semaphore>>) -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::default(),
            hall: SharedLimits {
                slots,
                gates: Arc::default(),
            },
            commits: Arc::default(),
            registries: Mutex::default(),
        })
    }
    /// Decides for each of `destinations`, which lack the blob of `download`, and takes leases for those that are to
    /// get it. Decision and lease are one step for all of them: one of many tasks brings the blob, and leases that are
    /// taken together share one download.
    pub(super) fn claim_destinations(
        self: &Arc<Self>,
        download: &BlobDownload,
        destinations: &[&Repository],
        inventory: &Inventory,
    ) -> Vec<UploadDecision> {
        let mut entries = lock(&self.entries);
        let digest = &download.blob.digest;
        let entry = entries.entry(digest.clone()).or_default();
        let answer = |destination| self.answer(entry, download, destination, inventory);
        let answers = destinations.iter().copied().map(answer).collect();
        if entries.get(digest).is_some_and(|e| e.coming.is_empty()) {
            entries.remove(digest);
        }
        answers
    }
    fn answer(
        self: &Arc<Self>,
        entry: &mut InFlightBlob,
        download: &BlobDownload,
        destination: &Repository,
        inventory: &Inventory,
    ) -> UploadDecision {
        let is_here = |coming: &&ActiveUpload| coming.repository == *destination;
        let is_near = |coming: &&ActiveUpload| is_near(&coming.repository, destination);
        let here = entry.coming.iter().find(is_here);
        let near = entry.coming.iter().find(is_near);
        // A lease is released after its fact was written, so the facts must be read under the lock of the table.
        let known = knowledge(download, destination, inventory);
        let mounting = known.mounting;
        let mut registries = lock(&self.registries);
        let asked = registries.entry(destination.registry().clone());
        let asked = asked.or_default();
        let digest = &download.blob.digest;
        let commit = (mounting.is_commit_worth_awaiting() && asked.is_patient(mounting))
            .then(|| self.commits.before(destination, digest))
            .flatten();
        let answer = asked.answer.clone().filter(Completion::is_open);
        let decision = decide(Situation {
            known,
            coming_here: here.is_some(),
            coming_near: near.is_some(),
            asking: answer.is_some(),
            committing_near: commit.is_some(),
        });
        let awaited = match decision {
            Decision::AwaitHere => here.map(|coming| (coming.arrival.clone(), None)),
            Decision::AwaitNear => near.map(|coming| (coming.arrival.clone(), None)),
            Decision::AwaitAnswer => answer.map(|answer| (answer, None)),
            Decision::AwaitCommit => commit.map(|commit| (commit, asked.patience(mounting))),
            _ => None,
        };
        if let Some((arrival, until)) = awaited {
            return UploadDecision::Await(arrival, until);
        }
        let mut asks = None;
        let road = match decision {
            Decision::Present => return UploadDecision::Present,
            Decision::Look => UploadStrategy::Look,
            Decision::Mount(from) => {
                let is_first = from.standing == MountConfidence::Uncommitted;
                if is_first && !mounting.is_tried(MountConfidence::Uncommitted) {
                    let (sender, answer) = watch::channel(None);
                    asked.answer = Some(Completion::new(answer));
                    asks = Some(MountProbe(sender));
                }
                UploadStrategy::Mount(from)
            }
            Decision::Send => UploadStrategy::Send,
            _ => UploadStrategy::Bring,
        };
        let (claim, member) = self.claim(entry, download, destination, asks);
        UploadDecision::Claimed(claim, road, member)
    }
    /// Takes the lease for `destination`, which joins the group of `entry`.
    fn claim(
        self: &Arc<Self>,
        entry: &mut InFlightBlob,
        download: &BlobDownload,
        destination: &Repository,
        asking: Option<MountProbe>,
    ) -> (UploadLease, FanOutReader) {
        let (end, arrival) = watch::channel(None);
        entry.coming.push(ActiveUpload {
            repository: destination.clone(),
            arrival: Completion::new(arrival),
        });
        let member = entry.enlist(download, &self.hall);
        let claim = UploadLease {
            flights: Arc::clone(self),
            digest: download.blob.digest.clone(),
            repository: destination.clone(),
            end,
            released: false,
            asking,
        };
        (claim, member)
    }
    /// Returns the number of blobs in flight.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.entries).len()
    }
}

impl InFlightBlob {
    /// Joins the group of the blob, or creates it.
    fn enlist(&mut self, download: &BlobDownload, hall: &SharedLimits) -> FanOutReader {
        if let Some(group) = self.group.upgrade() {
            return group.add_reader(download);
        }
        let (group, member) = FanOutGroup::found(download, hall);
        self.group = group;
        member
    }
}

/// Returns whether content of `repository` could be mounted in `destination`.
fn is_near(repository: &Repository, destination: &Repository) -> bool {
    repository.registry() == destination.registry() && repository != destination
}

/// Returns the facts about the blob for `destination`, including the source's own repository.
fn knowledge(
    download: &BlobDownload,
    destination: &Repository,
    inventory: &Inventory,
) -> BlobKnowledge {
    let source = download.source.repository();
    let mut known = inventory.knowledge(destination, &download.blob.digest);
    known.here |= source == destination && !known.missing;
    if is_near(source, destination) {
        known.elsewhere.retain(|from| from.repository != *source);
        let from = MountCandidate {
            repository: source.clone(),
            standing: MountConfidence::Source,
        };
        known.elsewhere.insert(0, from);
    }
    known
}

impl MountDiscovery {
    /// Returns whether a commit may be waited for. At a registry that is not known to mount, this ends a short time
    /// after the first wait.
    fn is_patient(&self, mounting: MountCapability) -> bool {
        mounting.is_tried(MountConfidence::Committed)
            || self.patience.is_none_or(|until| Instant::now() < until)
    }
    /// Returns the deadline for waiting for a commit.
    fn patience(&mut self, mounting: MountCapability) -> Option<Instant> {
        let until = || Instant::now() + PATIENCE;
        (!mounting.is_tried(MountConfidence::Committed))
            .then(|| *self.patience.get_or_insert_with(until))
    }
}

impl UploadLease {
    /// Returns the guard that ends the other tasks' wait for the answer to a mount.
    pub(super) fn asking(&mut self) -> Option<MountProbe> {
        self.asking.take()
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
        let mut entries = lock(&self.flights.entries);
        if let Some(entry) = entries.get_mut(&self.digest) {
            let others = |coming: &ActiveUpload| coming.repository != self.repository;
            entry.coming.retain(others);
            if entry.coming.is_empty() {
                entries.remove(&self.digest);
            }
        }
    }
}

impl Drop for UploadLease {
    fn drop(&mut self) {
        self.release();
    }
}
