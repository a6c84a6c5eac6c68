//! Known locations of content. Each fact is a hint only.
//!
//! A table for each registry maps content to the repositories that hold it, in few bytes a pair; `mounting` records how
//! the registry answers mounts. All of this is in memory, behind one lock that is held for the time of a lookup. The
//! optional [`records`] add facts from earlier runs and from other processes.

mod blob_facts;
mod first_seen;
mod manifest_scope;
mod mounting;
mod recorded_digests;
pub mod records;
mod referrers_checks;
mod registry_facts;
mod repository_set;
mod shared_facts;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use image_syncer_registry::{Descriptor, Digest, Tag};

use crate::Repository;
use crate::rule::CopyOptions;
pub use blob_facts::{BlobFacts, BlobUpdate};
pub use manifest_scope::ManifestScope;
pub(crate) use mounting::{MountCapability, MountConfidence};
use recorded_digests::RecordedDigests;
use records::{
    RecordUpdate, RecordedCopies, RecordedCopy, RecordedSighting, Records, ReferrersChecks,
};
pub use registry_facts::DigestKey;
use registry_facts::RegistryFacts;
use repository_set::Epoch;
pub(crate) use shared_facts::SharedFacts;

/// Knowledge about a blob and a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The blob is in this repository.
    Here,
    /// The blob is in these other repositories of the same registry; the first is the best to mount from. Never empty,
    /// and no more than a few where many are known.
    Elsewhere(Vec<Repository>),
    /// Nothing is known.
    Unknown,
}

/// Facts of a run, shared by all tasks.
#[derive(Default)]
pub struct Inventory {
    facts: Arc<SharedFacts>,
    /// Start of the run. Facts from before are hints.
    since: Epoch,
    recorded: Option<RecordedFacts>,
    distributed: Option<DistributedFacts>,
}

/// Facts that other processes contribute.
struct DistributedFacts {
    facts: Arc<dyn BlobFacts>,
    /// Also gets new facts.
    writes: bool,
}

/// Facts that are kept between runs.
struct RecordedFacts {
    records: Arc<Records>,
    /// Also writes new facts.
    writes: bool,
    /// Names of the registries that earlier runs recorded facts about.
    registries: HashSet<String>,
    /// Times of checks for referrers, in seconds since 1970.
    checks: RecordedDigests<ReferrersChecks, i64>,
    /// Times at which digests were first seen, by their repository at the source.
    seen: RecordedDigests<Repository, RecordedSighting>,
}

/// Facts that decide how a blob gets to a repository.
#[derive(Debug, Default)]
pub(crate) struct BlobKnowledge {
    /// The blob is in the repository.
    pub(crate) here: bool,
    /// The records place the blob in the repository, and have not been wrong about that repository too often.
    pub(crate) recorded: bool,
    /// The blob is missing or damaged, even if the registry claims to have it.
    pub(crate) missing: bool,
    /// Other repositories of the registry that have the blob, the best to mount from first.
    pub(crate) elsewhere: Vec<MountCandidate>,
    /// Mount behavior of the registry.
    pub(crate) mounting: MountCapability,
}

/// Repository that a blob might be mounted from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountCandidate {
    /// The repository.
    pub(crate) repository: Repository,
    /// Evidence that the blob is there.
    pub(crate) confidence: MountConfidence,
}

impl Inventory {
    /// Creates an inventory without facts.
    pub fn new() -> Self {
        Self::default()
    }
    /// Creates an inventory that reads `records` and writes new facts there.
    pub fn with_records(records: Arc<Records>) -> Self {
        Self::remembering(records, true)
    }
    /// Creates an inventory that reads `records` and writes nothing.
    pub fn reading(records: Arc<Records>) -> Self {
        Self::remembering(records, false)
    }
    fn remembering(records: Arc<Records>, writes: bool) -> Self {
        Self {
            recorded: Some(RecordedFacts {
                registries: records.registries(),
                records,
                writes,
                checks: RecordedDigests::default(),
                seen: RecordedDigests::default(),
            }),
            ..Self::default()
        }
    }
    /// Adds the facts of other processes; with `writes`, they get new ones.
    #[must_use]
    pub(crate) fn with_blob_facts(mut self, facts: Arc<dyn BlobFacts>, writes: bool) -> Self {
        self.distributed = Some(DistributedFacts { facts, writes });
        self
    }
    /// Replaces the facts by those that the runs of a session share. A run begins.
    #[must_use]
    pub(crate) fn sharing(mut self, facts: &Arc<SharedFacts>) -> Self {
        self.since = facts.begin_epoch();
        self.facts = Arc::clone(facts);
        self
    }
    /// Returns the knowledge about `digest` for `repository`.
    pub fn blob(&self, repository: &Repository, digest: &Digest) -> Fact {
        let known = self.knowledge(repository, digest);
        if known.here {
            Fact::Here
        } else if known.elsewhere.is_empty() {
            Fact::Unknown
        } else {
            let candidates = known.elsewhere.into_iter();
            Fact::Elsewhere(candidates.map(|candidate| candidate.repository).collect())
        }
    }
    /// Notes that the blob is in the repository.
    pub fn record_present(&self, repository: &Repository, digest: &Digest) {
        let blob = DigestKey::from_digest(digest);
        self.write(repository, |facts| facts.add_blob(repository, blob, false));
    }
    /// Notes that this run uploaded the blob to the repository or mounted it there.
    pub(crate) fn record_upload(&self, repository: &Repository, digest: &Digest) {
        let blob = DigestKey::from_digest(digest);
        self.write(repository, |facts| facts.record_upload(repository, blob));
    }
    /// Returns whether this run uploaded or mounted the blob there.
    pub(crate) fn was_uploaded(&self, repository: &Repository, digest: &Digest) -> bool {
        let blob = DigestKey::from_digest(digest);
        let read = |facts: &RegistryFacts| facts.was_uploaded(repository, blob, self.since);
        self.facts.read(repository, read).unwrap_or_default()
    }
    /// Notes that the repository has no tags, or does not exist.
    ///
    /// It may still hold blobs of uploads that were never committed: at most those of a first run that was killed
    /// before it finished an image.
    pub(crate) fn note_empty(&self, repository: &Repository) {
        self.write(repository, |facts| facts.note_empty(repository));
    }
    /// Returns whether the repository was empty before this run.
    pub(crate) fn was_empty(&self, repository: &Repository) -> bool {
        let read = |facts: &RegistryFacts| facts.was_empty(repository, self.since);
        self.facts.read(repository, read).unwrap_or_default()
    }
    /// Notes that the blob is missing or damaged in the repository: the registry refused a manifest because of it, or
    /// stores other bytes under its digest. Until it is sent again, the registry's answers about it are not believed.
    pub fn record_missing(&self, repository: &Repository, digest: &Digest) {
        let blob = DigestKey::from_digest(digest);
        self.write(repository, |facts| facts.miss_blob(repository, blob));
        self.queue_update(|| BlobUpdate::Gone(repository.clone(), blob));
    }
    /// Notes that the blobs are in the repository, named by a manifest there. From now on they can be mounted from
    /// there, even where a registry mounts only blobs that a manifest names.
    pub fn record_committed<'a>(
        &self,
        repository: &Repository,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) {
        let mut blobs: Vec<DigestKey> = digests.into_iter().map(DigestKey::from_digest).collect();
        self.write(repository, |facts| {
            blobs.retain(|blob| facts.add_blob(repository, *blob, true));
        });
        if !blobs.is_empty() {
            self.queue_update(|| BlobUpdate::Holds(repository.clone(), blobs));
        }
    }
    /// Returns whether the manifest is known to be in the repository with everything below it, as far as `scope` goes.
    pub fn has_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        scope: ManifestScope,
    ) -> bool {
        let manifest = DigestKey::for_manifest(digest, scope);
        let read = |facts: &RegistryFacts| facts.has_manifest(repository, manifest, self.since);
        self.facts.read(repository, read).unwrap_or_default()
    }
    /// Notes that the manifest is in the repository with everything below it, as far as `scope` goes. The caller, which
    /// has read it, reports its blobs: [`Inventory::record_committed`].
    pub fn record_manifest(&self, repository: &Repository, digest: &Digest, scope: ManifestScope) {
        let manifest = DigestKey::for_manifest(digest, scope);
        self.write(repository, |facts| facts.add_manifest(repository, manifest));
    }
    /// Notes the same, and returns whether it was new.
    pub(crate) fn claim_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        scope: ManifestScope,
    ) -> bool {
        let manifest = DigestKey::for_manifest(digest, scope);
        self.write(repository, |facts| {
            let is_news = !facts.has_manifest(repository, manifest, self.since);
            facts.add_manifest(repository, manifest);
            is_news
        })
    }
    /// Drops all facts about the repository, because the destination contradicted one of them.
    pub fn forget(&self, repository: &Repository) {
        self.write(repository, |facts| facts.forget(repository));
        self.queue_update(|| BlobUpdate::Forget(repository.clone()));
    }
    /// Reads where these blobs are from the records and the facts of other processes, for a repository that lacks them as
    /// far as this run knows.
    pub(crate) async fn recall(&self, repository: &Repository, blobs: &[Descriptor]) {
        let recorded = self.recorded_about(repository);
        let recorded = recorded.map(|recorded| &*recorded.records as &dyn BlobFacts);
        let distributed = self.distributed.as_ref().map(|it| &*it.facts);
        let sources: Vec<&dyn BlobFacts> = recorded.into_iter().chain(distributed).collect();
        if sources.is_empty() || blobs.is_empty() {
            return;
        }
        let blobs: Vec<DigestKey> = blobs
            .iter()
            .map(|blob| DigestKey::from_digest(&blob.digest))
            .collect();
        let lookups = sources
            .iter()
            .map(|facts| facts.locations(repository, blobs.clone()));
        let found = join_all(lookups).await.concat();
        if !found.is_empty() {
            tracing::trace!("it is known where {} of its blobs are", found.len());
        }
        self.write(repository, |facts| {
            for (blob, locations) in found {
                for destination in &locations {
                    facts.add_recorded(destination, blob);
                }
            }
        });
    }
    /// Notes the registry's answer to a check for a blob that the records place in the repository; `None` if it did not
    /// answer.
    pub(crate) fn record_lookup(
        &self,
        repository: &Repository,
        digest: &Digest,
        found: Option<bool>,
    ) {
        let blob = DigestKey::from_digest(digest);
        let is_there = found == Some(true);
        self.write(repository, |facts| {
            facts.record_lookup(repository, is_there);
            if is_there {
                facts.add_blob(repository, blob, false);
            } else {
                facts.refute(repository, blob, self.since);
            }
        });
        if found == Some(false) {
            self.queue_update(|| BlobUpdate::Gone(repository.clone(), blob));
        }
    }
    /// Notes the size of a blob that was read, where a manifest states another one.
    pub(crate) fn record_size(&self, digest: &Digest, size: u64) {
        self.facts.set_size(digest, size);
    }
    /// Returns the size of a blob for which a manifest states another one.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        self.facts.size(digest)
    }
    /// Returns all facts that decide how `digest` gets to `repository`.
    pub(crate) fn knowledge(&self, repository: &Repository, digest: &Digest) -> BlobKnowledge {
        let blob = DigestKey::from_digest(digest);
        let read = |facts: &RegistryFacts| facts.blob(repository, blob, self.since);
        self.facts.read(repository, read).unwrap_or_default()
    }
    /// Notes the registry's answer to a mount of the blob: accepted, or a session opened instead.
    pub(crate) fn record_mount_answer(
        &self,
        from: &MountCandidate,
        digest: &Digest,
        accepted: bool,
    ) {
        let blob = DigestKey::from_digest(digest);
        let is_recorded = from.confidence == MountConfidence::Recorded;
        let is_gone = self.write(&from.repository, |facts| {
            if accepted {
                facts.mounting.record_success(from.confidence);
                return false;
            }
            facts.mounting.record_refusal(from.confidence);
            // No other upload is directed there. But a registry that never mounts reveals nothing about its content.
            if is_recorded {
                facts.refute(&from.repository, blob, self.since);
            }
            facts.mounting.is_known_to_mount()
        });
        if is_recorded && accepted {
            self.queue_update(|| BlobUpdate::Holds(from.repository.clone(), vec![blob]));
        } else if is_recorded && is_gone {
            self.queue_update(|| BlobUpdate::Gone(from.repository.clone(), blob));
        }
    }
    /// Notes that the registry reported the blob as present in answer to the first request of an upload.
    pub(crate) fn record_unrequested_hit(&self, repository: &Repository) {
        self.write(repository, |facts| facts.mounting.record_unrequested_hit());
    }
    /// Returns the last copies to the tags of `destination`, as the records have them now. These are hints. A caller that
    /// trusts one without asking the registry does so because the user declared the tag immutable.
    ///
    /// One lookup, on a thread of its own, which never waits for a writer.
    pub(crate) async fn recorded_copies(&self, destination: &Repository) -> RecordedCopies {
        match self.recorded_about(destination) {
            Some(recorded) => recorded.records.copies(destination).await,
            None => RecordedCopies::default(),
        }
    }
    /// Notes that `digest` was copied from `source:tag` to `destination:destination_tag` with `options`, or found there.
    /// Written to the records only, not kept in memory; never waits.
    pub(crate) fn copied(
        &self,
        source: &Repository,
        tag: &Tag,
        destination: &Repository,
        destination_tag: &Tag,
        options: &CopyOptions,
        digest: &Digest,
    ) {
        let Some(recorded) = self.recorded.as_ref().filter(|recorded| recorded.writes) else {
            return;
        };
        let copy = RecordedCopy {
            source: source.clone(),
            source_tag: tag.clone(),
            filter: options.content_fingerprint(),
            digest: digest.clone(),
        };
        let update = RecordUpdate::Copied(destination.clone(), destination_tag.clone(), copy);
        recorded.records.queue_update(update);
    }
    /// Returns the recorded facts, if there are any about the registry of `repository` from earlier runs.
    fn recorded_about(&self, repository: &Repository) -> Option<&RecordedFacts> {
        let name = repository.endpoint().record_name();
        let recorded = self.recorded.as_ref();
        recorded.filter(|recorded| recorded.registries.contains(&*name))
    }
    /// Passes news to the records and to other processes, as far as the run writes.
    fn queue_update(&self, update: impl FnOnce() -> BlobUpdate) {
        let recorded = self.recorded.as_ref().filter(|recorded| recorded.writes);
        let distributed = self.distributed.as_ref().filter(|facts| facts.writes);
        match (recorded, distributed) {
            (None, None) => {}
            (Some(recorded), None) => recorded.records.record(update()),
            (None, Some(distributed)) => distributed.facts.record(update()),
            (Some(recorded), Some(distributed)) => {
                let update = update();
                recorded.records.record(update.clone());
                distributed.facts.record(update);
            }
        }
    }
    fn write<T>(&self, repository: &Repository, write: impl FnOnce(&mut RegistryFacts) -> T) -> T {
        self.facts.write(repository, write)
    }
}

#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
