//! Facts about one registry.

use std::collections::{HashMap, HashSet};

use image_syncer_registry::Digest;

use crate::Repository;
use crate::inventory::mounting::{MountCapability, MountConfidence};
use crate::inventory::repository_set::{Epoch, KnownRepository, MAX_REPOSITORIES, RepositorySet};
use crate::inventory::{BlobKnowledge, ManifestScope, MountCandidate};

/// Maximum number of repositories that a blob is offered to be mounted from. One is tried; the list is for users.
const MAX_CANDIDATES: usize = 3;

/// Maximum number of blobs that are remembered as missing, and as wrongly recorded; beyond it the registry is asked
/// again.
const MAX_MISSING: usize = 65_536;

/// Digest in 32 bytes: its own bytes if it is SHA-256, otherwise the SHA-256 of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DigestKey([u8; 32]);

/// Facts about one registry.
#[derive(Default)]
pub(super) struct RegistryFacts {
    /// By id; `None` once the repository was forgotten. Ids are never reused, so that forgetting is cheap: facts with a
    /// forgotten id are skipped.
    repositories: Vec<Option<Repository>>,
    ids: HashMap<Repository, u32>,
    blobs: HashMap<DigestKey, RepositorySet>,
    manifests: HashMap<DigestKey, RepositorySet>,
    /// Blobs that a repository lacks or has damaged, and that were not sent since.
    missing: HashSet<(u32, DigestKey)>,
    /// Recorded facts that turned out to be wrong. The records may repeat them, as they are corrected asynchronously.
    refuted: HashSet<(u32, DigestKey)>,
    /// Numbers of right and wrong recorded facts, by repository.
    lookups: HashMap<u32, LookupStats>,
    /// Repositories without tags, and the epoch in which this was found.
    empty: HashMap<u32, Epoch>,
    /// Epoch of new facts.
    pub(super) now: Epoch,
    /// Mount behavior of the registry.
    pub(super) mounting: MountCapability,
}

/// Results of checks for blobs that the records place in a repository.
#[derive(Default)]
struct LookupStats {
    hits: u32,
    misses: u32,
}

/// Surplus of wrong recorded facts about a repository after which the records are ignored for it.
const MAX_MISSES: u32 = 2;

impl LookupStats {
    /// Returns whether another check is worth its request: a repository that was wiped lacks everything that is
    /// recorded.
    fn are_reliable(&self) -> bool {
        self.misses <= self.hits.saturating_add(MAX_MISSES)
    }
}

impl DigestKey {
    /// Returns the key of `digest`.
    pub fn from_digest(digest: &Digest) -> Self {
        Self::sha256(digest)
            .or_else(|| Self::sha256(&Digest::sha256(digest.as_str().as_bytes())))
            // A SHA-256 digest always decodes; otherwise all digests would share one key, which is a wrong hint only.
            .unwrap_or(Self([0; 32]))
    }
    /// Returns the key of a manifest that is known as far as `scope` goes.
    pub(super) fn for_manifest(digest: &Digest, scope: ManifestScope) -> Self {
        let mut key = Self::from_digest(digest);
        for (byte, scoped) in key.0.iter_mut().zip(scope.to_bytes()) {
            *byte ^= scoped;
        }
        key
    }
    /// Returns the digest's own bytes if it is a SHA-256.
    pub(super) fn sha256(digest: &Digest) -> Option<Self> {
        digest.to_sha256().map(Self)
    }
    /// Returns the key of a SHA-256 of these bytes.
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl RegistryFacts {
    /// Returns the facts about the blob for `repository`, as far as a run that began at `since` may believe them.
    pub(super) fn blob(
        &self,
        repository: &Repository,
        blob: DigestKey,
        since: Epoch,
    ) -> BlobKnowledge {
        let id = self.ids.get(repository).copied();
        let locations = self.blobs.get(&blob);
        let missing = id.is_some_and(|id| self.missing.contains(&(id, blob)));
        let location = id
            .zip(locations)
            .and_then(|(n, locations)| locations.get(n));
        let location = location.filter(|_| !missing);
        let here = location.is_some_and(|location| !location.is_hint(since));
        let recorded = location.is_some_and(|location| {
            let lookups = self.lookups.get(&location.repository());
            location.is_hint(since) && lookups.is_none_or(LookupStats::are_reliable)
        });
        let elsewhere = locations
            .filter(|_| !here)
            .map(|locations| self.candidates(locations, id, since))
            .unwrap_or_default();
        BlobKnowledge {
            here,
            recorded,
            missing,
            elsewhere,
            mounting: self.mounting,
        }
    }
    /// Returns the best of `locations` to mount from, without the repository `itself`: the committed ones first, the
    /// hints last.
    fn candidates(
        &self,
        locations: &RepositorySet,
        itself: Option<u32>,
        since: Epoch,
    ) -> Vec<MountCandidate> {
        let of = |confidence: MountConfidence| {
            let locations = locations.as_slice().iter().filter(move |location| {
                mount_confidence(**location, since) == confidence
                    && Some(location.repository()) != itself
            });
            locations.filter_map(move |location| {
                Some(MountCandidate {
                    repository: self.repository(location.repository())?.clone(),
                    confidence,
                })
            })
        };
        of(MountConfidence::Committed)
            .chain(of(MountConfidence::Uncommitted))
            .chain(of(MountConfidence::Recorded))
            .take(MAX_CANDIDATES)
            .collect()
    }
    /// Notes that the blob is in the repository; `committed` if a manifest there names it. Returns whether this was
    /// new.
    pub(super) fn add_blob(
        &mut self,
        repository: &Repository,
        blob: DigestKey,
        committed: bool,
    ) -> bool {
        let now = self.now;
        self.add_location(repository, blob, |id| {
            KnownRepository::new(id, committed, now)
        })
    }
    /// Notes that a run uploaded the blob to the repository.
    pub(super) fn record_upload(&mut self, repository: &Repository, blob: DigestKey) {
        let now = self.now;
        self.add_location(repository, blob, |id| KnownRepository::uploaded(id, now));
    }
    /// Returns whether a run uploaded the blob to the repository after `since`.
    pub(super) fn was_uploaded(
        &self,
        repository: &Repository,
        blob: DigestKey,
        since: Epoch,
    ) -> bool {
        let id = self.ids.get(repository).copied();
        let location = id.zip(self.blobs.get(&blob));
        location.is_some_and(|(id, locations)| {
            let location = locations.get(id);
            location.is_some_and(|location| location.is_uploaded(since))
        })
    }
    /// Notes that the repository has no tags.
    pub(super) fn note_empty(&mut self, repository: &Repository) {
        if let Some(id) = self.id(repository) {
            self.empty.insert(id, self.now);
        }
    }
    /// Returns whether the repository was found without tags after `since`.
    pub(super) fn was_empty(&self, repository: &Repository, since: Epoch) -> bool {
        let found = self.ids.get(repository).and_then(|id| self.empty.get(id));
        found.is_some_and(|found| *found >= since)
    }
    fn add_location(
        &mut self,
        repository: &Repository,
        blob: DigestKey,
        location: impl FnOnce(u32) -> KnownRepository,
    ) -> bool {
        let Some(id) = self.id(repository) else {
            return true;
        };
        self.missing.remove(&(id, blob));
        let location = location(id);
        let known = self
            .blobs
            .get(&blob)
            .and_then(|locations| locations.get(id));
        add(&mut self.blobs, blob, location, &self.repositories);
        known.is_none_or(|known| known != location && !known.is_committed())
    }
    /// Notes that the records place the blob in the repository.
    pub(super) fn add_recorded(&mut self, repository: &Repository, blob: DigestKey) {
        if let Some(id) = self.id(repository)
            && !self.refuted.contains(&(id, blob))
        {
            let location = KnownRepository::recorded(id, self.now);
            add(&mut self.blobs, blob, location, &self.repositories);
        }
    }
    /// Notes that the records, or a run before `since`, are wrong about the blob and the repository.
    pub(super) fn refute(&mut self, repository: &Repository, blob: DigestKey, since: Epoch) {
        let Some(id) = self.id(repository) else {
            return;
        };
        if self.refuted.len() < MAX_MISSING {
            self.refuted.insert((id, blob));
        }
        if let Some(locations) = self.blobs.get(&blob) {
            match locations.without_hint(id, since) {
                Some(rest) => self.blobs.insert(blob, rest),
                None => self.blobs.remove(&blob),
            };
        }
    }
    /// Counts a check of a recorded fact.
    pub(super) fn record_lookup(&mut self, repository: &Repository, hits: bool) {
        if let Some(id) = self.id(repository) {
            let lookups = self.lookups.entry(id).or_default();
            let count = if hits {
                &mut lookups.hits
            } else {
                &mut lookups.misses
            };
            *count = count.saturating_add(1);
        }
    }
    /// Notes that the repository lacks the blob.
    pub(super) fn miss_blob(&mut self, repository: &Repository, blob: DigestKey) {
        if self.missing.len() < MAX_MISSING
            && let Some(id) = self.id(repository)
        {
            self.missing.insert((id, blob));
        }
    }
    /// Returns whether the manifest was found or pushed in the repository after `since`.
    pub(super) fn has_manifest(
        &self,
        repository: &Repository,
        manifest: DigestKey,
        since: Epoch,
    ) -> bool {
        let id = self.ids.get(repository).copied();
        let locations = self.manifests.get(&manifest);
        id.zip(locations)
            .is_some_and(|(id, locations)| locations.contains(id, since))
    }
    /// Notes that the manifest is in the repository.
    pub(super) fn add_manifest(&mut self, repository: &Repository, manifest: DigestKey) {
        if let Some(id) = self.id(repository) {
            let location = KnownRepository::new(id, true, self.now);
            add(&mut self.manifests, manifest, location, &self.repositories);
        }
    }
    /// Drops all facts about the repository.
    pub(super) fn forget(&mut self, repository: &Repository) {
        if let Some(id) = self.ids.remove(repository)
            && let Some(slot) = self.repositories.get_mut(id as usize)
        {
            *slot = None;
        }
    }
    /// Returns the number of entries of all kinds.
    pub(super) fn len(&self) -> usize {
        let sets = self.blobs.len() + self.manifests.len();
        let marks = self.missing.len() + self.refuted.len() + self.lookups.len() + self.empty.len();
        self.repositories.len() + sets + marks
    }
    fn repository(&self, id: u32) -> Option<&Repository> {
        self.repositories.get(id as usize)?.as_ref()
    }
    /// Returns the repository's id, a new one for a new repository; `None` if no ids are left (the fact is lost then,
    /// which costs one request).
    fn id(&mut self, repository: &Repository) -> Option<u32> {
        if let Some(id) = self.ids.get(repository) {
            return Some(*id);
        }
        let id = u32::try_from(self.repositories.len())
            .ok()
            .filter(|id| *id < MAX_REPOSITORIES)?;
        self.repositories.push(Some(repository.clone()));
        self.ids.insert(repository.clone(), id);
        Some(id)
    }
}

fn mount_confidence(location: KnownRepository, since: Epoch) -> MountConfidence {
    match (location.is_committed(), location.is_hint(since)) {
        (_, true) => MountConfidence::Recorded,
        (true, false) => MountConfidence::Committed,
        (false, false) => MountConfidence::Uncommitted,
    }
}

fn add(
    facts: &mut HashMap<DigestKey, RepositorySet>,
    key: DigestKey,
    location: KnownRepository,
    repositories: &[Option<Repository>],
) {
    let is_known =
        |id: u32| matches!(repositories.get(id as usize), Some(repository) if repository.is_some());
    facts
        .entry(key)
        .and_modify(|locations| locations.add(location, is_known))
        .or_insert(RepositorySet::One(location));
}
