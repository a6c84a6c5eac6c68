//! The table of the run: who brings which blob where, at this moment.
//!
//! Whoever is to bring a blob to a repository holds a [`UploadLease`] on the pair; whoever wants the same meanwhile gets
//! its [`Completion`] and waits, holding nothing, so that waits cannot form a circle. A claim that is dropped, by
//! cancellation or by a panic, is released: those who wait decide anew. What lasts stands in the inventory; an entry
//! here lives only as long as its claims.
//!
//! An entry also knows the group that reads the blob, so that whoever is to bring it somewhere else, for whichever
//! image, shares a download with those who wait as well.

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

/// How long commits are waited for, in all, at a registry of which it is not known whether it mounts anything.
const PATIENCE: Duration = Duration::from_secs(2);

/// All claims of a run.
pub(super) struct InFlightBlobs {
    entries: Mutex<HashMap<Digest, InFlightBlob>>,
    hall: SharedLimits,
    /// What images will commit.
    pub(super) commits: Arc<PendingCommits>,
    registries: Mutex<HashMap<Registry, MountDiscovery>>,
}

/// How it is found out what a registry mounts.
#[derive(Default)]
struct MountDiscovery {
    /// The answer to the first mount of what no manifest names, under way.
    answer: Option<Completion>,
    /// Until when commits are waited for that may end in nothing.
    patience: Option<Instant>,
}

/// A blob that is on its way somewhere.
#[derive(Default)]
struct InFlightBlob {
    coming: Vec<ActiveUpload>,
    /// The group that reads it: whoever is to bring the blob somewhere joins it.
    group: Weak<FanOutGroup>,
}

/// A blob on its way to a repository.
struct ActiveUpload {
    repository: Repository,
    arrival: Completion,
}

/// What to do about a blob that a repository wants.
pub(super) enum UploadDecision {
    /// Nothing: it is there.
    Present,
    /// Wait, until then at the latest, and ask again.
    Await(Completion, Option<Instant>),
    /// Bring it by this road, taking part in a download where it comes to that, and tell the claim how it ended.
    Claimed(UploadLease, UploadStrategy, FanOutReader),
}

/// How a blob is brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UploadStrategy {
    /// Whether it is there, as the records say; if it is not, the road is chosen anew.
    Look,
    /// From a repository of the same registry; its bytes, if that is declined.
    Mount(MountCandidate),
    /// Its bytes, whatever the registry says.
    Send,
    /// Its bytes, unless the registry has them.
    Bring,
}

/// The right, and the duty, to bring a blob to a repository.
pub(super) struct UploadLease {
    flights: Arc<InFlightBlobs>,
    digest: Digest,
    repository: Repository,
    end: watch::Sender<Option<CompletionResult>>,
    released: bool,
    asking: Option<MountProbe>,
}

/// The first mount of what no manifest names, under way; dropped when the inventory knows the answer.
pub(super) struct MountProbe(
    #[allow(dead_code, reason = "held to be dropped")] watch::Sender<Option<CompletionResult>>,
);

impl InFlightBlobs {
    /// A table for transfers of which `slots` flow at a time.
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
    /// Decides for each of `destinations`, which want the blob of `download`, and claims those that are to be brought
    /// it. Looking and claiming, for all of them, are one step: of many who want the same one brings it, and those who
    /// are claimed together read one download.
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
        // A claim is released after its fact was written: the facts must be read while the table stands still.
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
    /// Claims `destination`, which takes part in the group of `entry` from now on.
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
    /// How many blobs are on their way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.entries).len()
    }
}

impl InFlightBlob {
    /// Joins the group of the blob, or founds it.
    fn enlist(&mut self, download: &BlobDownload, hall: &SharedLimits) -> FanOutReader {
        if let Some(group) = self.group.upgrade() {
            return group.add_reader(download);
        }
        let (group, member) = FanOutGroup::found(download, hall);
        self.group = group;
        member
    }
}

/// Whether what is in `repository` could be mounted in `destination`.
fn is_near(repository: &Repository, destination: &Repository) -> bool {
    repository.registry() == destination.registry() && repository != destination
}

/// What is known of the blob for `destination`, the source's own place included.
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
    /// Whether a commit may be waited for. Where it is not known yet that anything can be mounted after it, that is
    /// so for a short time after the first time.
    fn is_patient(&self, mounting: MountCapability) -> bool {
        mounting.is_tried(MountConfidence::Committed)
            || self.patience.is_none_or(|until| Instant::now() < until)
    }
    /// Until when to wait for a commit.
    fn patience(&mut self, mounting: MountCapability) -> Option<Instant> {
        let until = || Instant::now() + PATIENCE;
        (!mounting.is_tried(MountConfidence::Committed))
            .then(|| *self.patience.get_or_insert_with(until))
    }
}

impl UploadLease {
    /// Takes what others wait for until a mount is answered.
    pub(super) fn asking(&mut self) -> Option<MountProbe> {
        self.asking.take()
    }
    /// The blob is there, and the inventory knows it.
    pub(super) fn arrived(self) {
        self.end(CompletionResult::Arrived);
    }
    /// The source could not give it.
    pub(super) fn source_failed(self, source: Repository, failure: Failure) {
        self.end(CompletionResult::SourceFailed { source, failure });
    }
    fn end(mut self, end: CompletionResult) {
        // Those who are woken must find the table without this claim.
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
