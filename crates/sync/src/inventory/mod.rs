//! What is known to be where: facts only, each no more than a hint.
//!
//! A shelf for each registry maps content to the repositories that hold it, in few bytes a pair; `mounting` keeps
//! how the registry answers mounts. All of that is in memory, behind one lock that is held for a look-up. Behind it
//! stand the [`records`], where there are any: what earlier runs and other processes learnt.

mod mounting;
pub mod records;
mod referrers_checks;
mod registry_facts;
mod repository_set;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Descriptor, Digest, Registry, Repository, Tag};

use crate::lock::lock;
use crate::rule::{Parts, PlatformFilter};
pub(crate) use mounting::{MountCapability, MountConfidence};
use records::{BlobRepositories, RecordUpdate, RecordedCopy, Records};
use registry_facts::{DigestKey, RegistryFacts};

/// Maximum number of blobs whose sizes are remembered because manifests are wrong about them.
const MAX_SIZES: usize = 4096;

/// What is known of a blob and a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It is in this repository.
    Here,
    /// It is in these other repositories of the same registry; the first is the best to mount from. Never empty,
    /// and no more than a few where many are known.
    Elsewhere(Vec<Repository>),
    /// Nothing.
    Unknown,
}

/// The facts of a run, shared by all tasks.
#[derive(Default)]
pub struct Inventory {
    shelves: Mutex<HashMap<Registry, RegistryFacts>>,
    /// Sizes of blobs of which manifests state others.
    sizes: Mutex<HashMap<Digest, u64>>,
    memory: Option<RecordedFacts>,
}

/// What is remembered between runs.
struct RecordedFacts {
    records: Arc<Records>,
    /// Whether what is learnt is written down as well.
    writes: bool,
    /// Which platform filter this run goes by; what was copied by another one tells nothing of it.
    filter: i64,
    /// Destinations, and whether the records knew of copies there before this run told them of any.
    earlier: Mutex<HashMap<Repository, bool>>,
}

/// Everything known that bears on bringing a blob to a repository.
#[derive(Debug, Default)]
pub(crate) struct BlobKnowledge {
    /// It is there.
    pub(crate) here: bool,
    /// The records say that it is there, and have not been wrong of that repository too often.
    pub(crate) recorded: bool,
    /// It is not there as it should be, whatever the registry says when it is asked.
    pub(crate) missing: bool,
    /// Where else in the registry it is, the best to mount from first.
    pub(crate) elsewhere: Vec<MountCandidate>,
    /// How the registry answers mounts.
    pub(crate) mounting: MountCapability,
}

/// A repository that a blob might be mounted from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountCandidate {
    /// Which.
    pub(crate) repository: Repository,
    /// What speaks for it.
    pub(crate) standing: MountConfidence,
}

impl Inventory {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
    }
    /// Nothing known but what `records` tell; what is learnt is written down there. `platforms` and `parts` are the filter of
    /// this run.
    pub fn with_records(records: Arc<Records>, platforms: &PlatformFilter, parts: Parts) -> Self {
        Self::remembering(records, platforms, parts, true)
    }
    /// The same, of which nothing is written down.
    pub fn reading(records: Arc<Records>, platforms: &PlatformFilter, parts: Parts) -> Self {
        Self::remembering(records, platforms, parts, false)
    }
    fn remembering(
        records: Arc<Records>,
        platforms: &PlatformFilter,
        parts: Parts,
        writes: bool,
    ) -> Self {
        Self {
            memory: Some(RecordedFacts {
                records,
                writes,
                filter: fingerprint(platforms, parts),
                earlier: Mutex::default(),
            }),
            ..Self::default()
        }
    }
    /// What is known of `digest` for `repository`.
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
    /// The blob is in the repository.
    pub fn blob_is_in(&self, repository: &Repository, digest: &Digest) {
        let blob = DigestKey::from_digest(digest);
        self.write(repository, |shelf| shelf.add_blob(repository, blob, false));
    }
    /// This run brought the blob to the repository: sent it, or had it mounted.
    pub(crate) fn record_upload(&self, repository: &Repository, digest: &Digest) {
        let blob = DigestKey::from_digest(digest);
        self.write(repository, |shelf| shelf.record_upload(repository, blob));
    }
    /// Whether this run brought the blob to the repository.
    pub(crate) fn was_uploaded(&self, repository: &Repository, digest: &Digest) -> bool {
        let blob = DigestKey::from_digest(digest);
        lock(&self.shelves)
            .get(repository.registry())
            .is_some_and(|shelf| shelf.was_uploaded(repository, blob))
    }
    /// A list of the repository's tags had none, or the registry said that there is no such repository.
    ///
    /// What uploads left there that were never committed is not known by that: at most what was under way when a first
    /// run was killed before it finished a single image.
    pub(crate) fn note_empty(&self, repository: &Repository) {
        self.write(repository, |shelf| shelf.note_empty(repository));
    }
    /// Whether the repository had nothing before this run.
    pub(crate) fn was_empty(&self, repository: &Repository) -> bool {
        lock(&self.shelves)
            .get(repository.registry())
            .is_some_and(|shelf| shelf.was_empty(repository))
    }
    /// The blob is not in the repository as it should be: the registry refused a manifest for want of it, or holds
    /// something else under its digest. What the registry says of it is not believed until it was sent.
    pub fn blob_is_missing(&self, repository: &Repository, digest: &Digest) {
        let blob = DigestKey::from_digest(digest);
        self.write(repository, |shelf| shelf.miss_blob(repository, blob));
        self.queue_update(|| RecordUpdate::Gone(repository.clone(), blob));
    }
    /// The blobs are in the repository, and a manifest that names them stands there: from now on they can be mounted
    /// from there even where a registry mounts only what a manifest names.
    pub fn blobs_are_committed<'a>(
        &self,
        repository: &Repository,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) {
        let mut blobs: Vec<DigestKey> = digests.into_iter().map(DigestKey::from_digest).collect();
        self.write(repository, |shelf| {
            blobs.retain(|blob| shelf.add_blob(repository, *blob, true));
        });
        if !blobs.is_empty() {
            self.queue_update(|| RecordUpdate::Holds(repository.clone(), blobs));
        }
    }
    /// Whether the manifest is known to be in the repository with everything below it.
    pub fn has_manifest(&self, repository: &Repository, digest: &Digest) -> bool {
        let manifest = DigestKey::from_digest(digest);
        lock(&self.shelves)
            .get(repository.registry())
            .is_some_and(|shelf| shelf.has_manifest(repository, manifest))
    }
    /// The manifest is in the repository with everything below it. Which blobs that makes known is for the caller to
    /// say, who has read it: [`Inventory::blobs_are_committed`].
    pub fn manifest_is_in(&self, repository: &Repository, digest: &Digest) {
        let manifest = DigestKey::from_digest(digest);
        self.write(repository, |shelf| shelf.add_manifest(repository, manifest));
    }
    /// The same, for the first who says so: whether it was news.
    pub(crate) fn claim_manifest(&self, repository: &Repository, digest: &Digest) -> bool {
        let manifest = DigestKey::from_digest(digest);
        self.write(repository, |shelf| {
            let is_news = !shelf.has_manifest(repository, manifest);
            shelf.add_manifest(repository, manifest);
            is_news
        })
    }
    /// The destination contradicted a fact: nothing is believed of the repository any more.
    pub fn forget(&self, repository: &Repository) {
        if let Some(shelf) = lock(&self.shelves).get_mut(repository.registry()) {
            shelf.forget(repository);
        }
        self.queue_update(|| RecordUpdate::Forget(repository.clone()));
    }
    /// Looks up what the records tell of these blobs, for a repository that lacks them as far as this run knows.
    pub(crate) async fn recall(&self, repository: &Repository, blobs: &[Descriptor]) {
        let Some(memory) = &self.memory else { return };
        let blobs: Vec<DigestKey> = blobs
            .iter()
            .map(|blob| DigestKey::from_digest(&blob.digest))
            .collect();
        let (records, place) = (Arc::clone(&memory.records), repository.clone());
        // Microseconds a blob, but an image may have thousands, and the disk may be slow.
        let look_up = move || -> Vec<(DigestKey, BlobRepositories)> {
            let places = |blob: DigestKey| Some((blob, records.places(&place, blob)?));
            blobs.into_iter().filter_map(places).collect()
        };
        let Ok(found) = tokio::task::spawn_blocking(look_up).await else {
            return;
        };
        if !found.is_empty() {
            tracing::trace!("the records know where {} of its blobs are", found.len());
        }
        self.write(repository, |shelf| {
            for (blob, places) in found {
                for place in &places {
                    shelf.add_recorded(place, blob);
                }
            }
        });
    }
    /// The registry was asked whether the repository has the blob that the records place there; `None` where it did
    /// not say.
    pub(crate) fn record_lookup(
        &self,
        repository: &Repository,
        digest: &Digest,
        found: Option<bool>,
    ) {
        let blob = DigestKey::from_digest(digest);
        let is_there = found == Some(true);
        self.write(repository, |shelf| {
            shelf.record_lookup(repository, is_there);
            if is_there {
                shelf.add_blob(repository, blob, false);
            } else {
                shelf.refute(repository, blob);
            }
        });
        if found == Some(false) {
            self.queue_update(|| RecordUpdate::Gone(repository.clone(), blob));
        }
    }
    /// The blob was read and has this size, which is another one than a manifest states.
    pub(crate) fn has_size(&self, digest: &Digest, size: u64) {
        let mut sizes = lock(&self.sizes);
        if sizes.len() < MAX_SIZES {
            sizes.insert(digest.clone(), size);
        }
    }
    /// Returns the size of a blob of which a manifest was found to state another one.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        lock(&self.sizes).get(digest).copied()
    }
    /// Everything that bears on bringing `digest` to `repository`.
    pub(crate) fn knowledge(&self, repository: &Repository, digest: &Digest) -> BlobKnowledge {
        let blob = DigestKey::from_digest(digest);
        lock(&self.shelves)
            .get(repository.registry())
            .map(|shelf| shelf.blob(repository, blob))
            .unwrap_or_default()
    }
    /// The registry answered a mount of the blob: took it, or opened a session instead.
    pub(crate) fn mount_answered(&self, from: &MountCandidate, digest: &Digest, taken: bool) {
        let blob = DigestKey::from_digest(digest);
        let is_recorded = from.standing == MountConfidence::Recorded;
        let is_gone = self.write(&from.repository, |shelf| {
            if taken {
                shelf.mounting.record_success(from.standing);
                return false;
            }
            shelf.mounting.declined(from.standing);
            // Nobody else is led there. But a registry that mounts nothing tells nothing of what it has.
            if is_recorded {
                shelf.refute(&from.repository, blob);
            }
            shelf.mounting.is_known_to_mount()
        });
        if is_recorded && taken {
            self.queue_update(|| RecordUpdate::Holds(from.repository.clone(), vec![blob]));
        } else if is_recorded && is_gone {
            self.queue_update(|| RecordUpdate::Gone(from.repository.clone(), blob));
        }
    }
    /// The first request of an upload told that the repository has the blob.
    pub(crate) fn record_unrequested_hit(&self, repository: &Repository) {
        self.write(repository, |shelf| shelf.mounting.record_unrequested_hit());
    }
    /// Which digest the records say was last copied from `source:tag` to `place:place_tag`, or found there, by the
    /// platform filter of this run; `None` where something else was copied there since. A hint: whoever goes by it
    /// without asking the registry does so because the user said that the tag does not move.
    ///
    /// Takes microseconds, and waits for nobody who writes.
    pub fn last_copied(
        &self,
        source: &Repository,
        tag: &Tag,
        place: &Repository,
        place_tag: &Tag,
    ) -> Option<Digest> {
        let memory = self.memory.as_ref()?;
        let copy = memory.records.copy_at(place, place_tag)?;
        let is_this =
            copy.source == *source && copy.source_tag == *tag && copy.filter == memory.filter;
        is_this.then_some(copy.digest)
    }
    /// `digest` was copied from `source:tag` to `place:place_tag`, or found there. Goes to the records and is not held
    /// in memory; waits for nothing.
    pub fn copied(
        &self,
        source: &Repository,
        tag: &Tag,
        place: &Repository,
        place_tag: &Tag,
        digest: &Digest,
    ) {
        let Some(memory) = self.memory.as_ref().filter(|memory| memory.writes) else {
            return;
        };
        // What is asked later is what was known before.
        memory.has_copies_in(place);
        let copy = RecordedCopy {
            source: source.clone(),
            source_tag: tag.clone(),
            filter: memory.filter,
            digest: digest.clone(),
        };
        let note = RecordUpdate::Copied(place.clone(), place_tag.clone(), copy);
        memory.records.queue_update(note);
    }
    /// Whether the records know of images in that destination repository from an earlier run.
    pub fn was_copied_to(&self, repository: &Repository) -> bool {
        let memory = self.memory.as_ref();
        memory.is_some_and(|memory| memory.has_copies_in(repository))
    }
    fn queue_update(&self, note: impl FnOnce() -> RecordUpdate) {
        if let Some(memory) = self.memory.as_ref().filter(|memory| memory.writes) {
            memory.records.queue_update(note());
        }
    }
    fn write<T>(&self, repository: &Repository, write: impl FnOnce(&mut RegistryFacts) -> T) -> T {
        let mut shelves = lock(&self.shelves);
        write(shelves.entry(repository.registry().clone()).or_default())
    }
}

impl RecordedFacts {
    fn has_copies_in(&self, place: &Repository) -> bool {
        let mut earlier = lock(&self.earlier);
        if let Some(knew) = earlier.get(place) {
            return *knew;
        }
        let knew = self.records.has_copies_in(place);
        earlier.insert(place.clone(), knew);
        knew
    }
}

/// A number that tells filters apart; 0 is no filter.
fn fingerprint(platforms: &PlatformFilter, parts: Parts) -> i64 {
    if platforms.is_empty() && parts == Parts::default() {
        return 0;
    }
    let mut text = platforms.to_string();
    if parts != Parts::default() {
        text = format!("{text} {parts}");
    }
    let digest = Digest::sha256(text.as_bytes());
    let bytes = DigestKey::from_digest(&digest)
        .as_bytes()
        .first_chunk()
        .copied();
    bytes.map_or(0, i64::from_be_bytes)
}

#[cfg(test)]
mod tests;
