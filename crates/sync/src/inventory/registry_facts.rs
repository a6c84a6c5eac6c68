//! Facts about one registry.

use std::collections::{HashMap, HashSet};

use image_syncer_registry::{Digest, Repository};

use crate::inventory::mounting::{MountCapability, MountConfidence};
use crate::inventory::repository_set::{KnownRepository, MAX_REPOSITORIES, RepositorySet};
use crate::inventory::{BlobKnowledge, MountCandidate};

/// Maximum number of repositories that a blob is offered to be mounted from. One is tried; the list is for users.
const MAX_CANDIDATES: usize = 3;

/// Maximum number of blobs that are remembered as missing, and as wrongly recorded; beyond it the registry is asked
/// again.
const MAX_MISSING: usize = 65_536;

/// Digest in 32 bytes: its own bytes if it is SHA-256, otherwise the SHA-256 of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DigestKey([u8; 32]);

/// Facts about one registry.
#[derive(Default)]
pub(super) struct RegistryFacts {
    /// By id; `None` once the repository was forgotten. Ids are never reused, so that forgetting is cheap: facts with a
    /// forgotten id are skipped.
    repositories: Vec<Option<Repository>>,
    numbers: HashMap<Repository, u32>,
    blobs: HashMap<DigestKey, RepositorySet>,
    manifests: HashMap<DigestKey, RepositorySet>,
    /// Blobs that a repository lacks or has damaged, and that were not sent since.
    missing: HashSet<(u32, DigestKey)>,
    /// Recorded facts that turned out to be wrong. The records may repeat them, as they are corrected asynchronously.
    refuted: HashSet<(u32, DigestKey)>,
    /// Numbers of right and wrong recorded facts, by repository.
    looks: HashMap<u32, LookupStats>,
    /// Repositories without tags.
    empty: HashSet<u32>,
    /// Mount behavior of the registry.
    pub(super) mounting: MountCapability,
}

/// Results of checks for blobs that the records place in a repository.
#[derive(Default)]
struct LookupStats {
    found: u32,
    missed: u32,
}

/// Surplus of wrong recorded facts about a repository after which the records are ignored for it.
const MAX_MISSED: u32 = 2;

impl LookupStats {
    /// Returns whether another check is worth its request: a repository that was wiped lacks everything that is
    /// recorded.
    fn are_worth_it(&self) -> bool {
        self.missed <= self.found.saturating_add(MAX_MISSED)
    }
}

impl DigestKey {
    pub(super) fn from_digest(digest: &Digest) -> Self {
        Self::sha256(digest)
            .or_else(|| Self::sha256(&Digest::sha256(digest.as_str().as_bytes())))
            // A SHA-256 digest always decodes; otherwise all digests would share one key, which is a wrong hint only.
            .unwrap_or(Self([0; 32]))
    }
    /// Returns the digest's own bytes if it is a SHA-256.
    pub(super) fn sha256(digest: &Digest) -> Option<Self> {
        let hex = digest.as_str().strip_prefix("sha256:")?.as_bytes();
        let mut key = [0; 32];
        if hex.len() != 2 * key.len() {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(key))
    }
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl RegistryFacts {
    /// Returns the facts about the blob for `repository`.
    pub(super) fn blob(&self, repository: &Repository, blob: DigestKey) -> BlobKnowledge {
        let number = self.numbers.get(repository).copied();
        let places = self.blobs.get(&blob);
        let missing = number.is_some_and(|number| self.missing.contains(&(number, blob)));
        let place = number.zip(places).and_then(|(n, places)| places.get(n));
        let place = place.filter(|_| !missing);
        let here = place.is_some_and(|place| !place.is_recorded());
        let recorded = place.is_some_and(|place| {
            let looks = self.looks.get(&place.repository());
            place.is_recorded() && looks.is_none_or(LookupStats::are_worth_it)
        });
        let elsewhere = places
            .filter(|_| !here)
            .map(|places| self.candidates(places, number))
            .unwrap_or_default();
        BlobKnowledge {
            here,
            recorded,
            missing,
            elsewhere,
            mounting: self.mounting,
        }
    }
    /// Returns the best of `places` to mount from, without the repository `itself`: the committed ones first, the
    /// recorded ones last.
    fn candidates(&self, places: &RepositorySet, itself: Option<u32>) -> Vec<MountCandidate> {
        let of = |standing: MountConfidence| {
            let places = places.as_slice().iter().filter(move |place| {
                mount_confidence(**place) == standing && Some(place.repository()) != itself
            });
            places.filter_map(move |place| {
                Some(MountCandidate {
                    repository: self.repository(place.repository())?.clone(),
                    standing,
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
        self.place_blob(repository, blob, |number| {
            KnownRepository::new(number, committed)
        })
    }
    /// Notes that this run brought the blob to the repository.
    pub(super) fn record_upload(&mut self, repository: &Repository, blob: DigestKey) {
        self.place_blob(repository, blob, KnownRepository::uploaded);
    }
    /// Returns whether this run brought the blob to the repository.
    pub(super) fn was_uploaded(&self, repository: &Repository, blob: DigestKey) -> bool {
        let number = self.numbers.get(repository).copied();
        let place = number.zip(self.blobs.get(&blob));
        place.is_some_and(|(number, places)| {
            places.get(number).is_some_and(KnownRepository::is_uploaded)
        })
    }
    /// Notes that the repository has no tags.
    pub(super) fn note_empty(&mut self, repository: &Repository) {
        if let Some(number) = self.number(repository) {
            self.empty.insert(number);
        }
    }
    /// Returns whether the repository had no tags.
    pub(super) fn was_empty(&self, repository: &Repository) -> bool {
        let number = self.numbers.get(repository);
        number.is_some_and(|number| self.empty.contains(number))
    }
    fn place_blob(
        &mut self,
        repository: &Repository,
        blob: DigestKey,
        place: impl FnOnce(u32) -> KnownRepository,
    ) -> bool {
        let Some(number) = self.number(repository) else {
            return true;
        };
        self.missing.remove(&(number, blob));
        let place = place(number);
        let known = self.blobs.get(&blob).and_then(|places| places.get(number));
        add(&mut self.blobs, blob, place, &self.repositories);
        known.is_none_or(|known| known != place && !known.is_committed())
    }
    /// Notes that the records place the blob in the repository.
    pub(super) fn add_recorded(&mut self, repository: &Repository, blob: DigestKey) {
        if let Some(number) = self.number(repository)
            && !self.refuted.contains(&(number, blob))
        {
            let place = KnownRepository::recorded(number);
            add(&mut self.blobs, blob, place, &self.repositories);
        }
    }
    /// Notes that the records are wrong about the blob and the repository.
    pub(super) fn refute(&mut self, repository: &Repository, blob: DigestKey) {
        let Some(number) = self.number(repository) else {
            return;
        };
        if self.refuted.len() < MAX_MISSING {
            self.refuted.insert((number, blob));
        }
        if let Some(places) = self.blobs.get(&blob) {
            match places.without_recorded(number) {
                Some(rest) => self.blobs.insert(blob, rest),
                None => self.blobs.remove(&blob),
            };
        }
    }
    /// Counts a check of a recorded fact.
    pub(super) fn record_lookup(&mut self, repository: &Repository, found: bool) {
        if let Some(number) = self.number(repository) {
            let looks = self.looks.entry(number).or_default();
            let count = if found {
                &mut looks.found
            } else {
                &mut looks.missed
            };
            *count = count.saturating_add(1);
        }
    }
    /// Notes that the repository lacks the blob.
    pub(super) fn miss_blob(&mut self, repository: &Repository, blob: DigestKey) {
        if self.missing.len() < MAX_MISSING
            && let Some(number) = self.number(repository)
        {
            self.missing.insert((number, blob));
        }
    }
    /// Returns whether the manifest is in the repository.
    pub(super) fn has_manifest(&self, repository: &Repository, manifest: DigestKey) -> bool {
        let number = self.numbers.get(repository).copied();
        let places = self.manifests.get(&manifest);
        number.zip(places).is_some_and(|(n, p)| p.contains(n))
    }
    /// Notes that the manifest is in the repository.
    pub(super) fn add_manifest(&mut self, repository: &Repository, manifest: DigestKey) {
        if let Some(number) = self.number(repository) {
            let place = KnownRepository::new(number, true);
            add(&mut self.manifests, manifest, place, &self.repositories);
        }
    }
    /// Drops all facts about the repository.
    pub(super) fn forget(&mut self, repository: &Repository) {
        if let Some(number) = self.numbers.remove(repository)
            && let Some(slot) = self.repositories.get_mut(number as usize)
        {
            *slot = None;
        }
    }
    fn repository(&self, number: u32) -> Option<&Repository> {
        self.repositories.get(number as usize)?.as_ref()
    }
    /// Returns the repository's id, a new one for a new repository; `None` if no ids are left (the fact is lost then,
    /// which costs one request).
    fn number(&mut self, repository: &Repository) -> Option<u32> {
        if let Some(number) = self.numbers.get(repository) {
            return Some(*number);
        }
        let number = u32::try_from(self.repositories.len())
            .ok()
            .filter(|number| *number < MAX_REPOSITORIES)?;
        self.repositories.push(Some(repository.clone()));
        self.numbers.insert(repository.clone(), number);
        Some(number)
    }
}

fn mount_confidence(place: KnownRepository) -> MountConfidence {
    match (place.is_committed(), place.is_recorded()) {
        (_, true) => MountConfidence::Recorded,
        (true, false) => MountConfidence::Committed,
        (false, false) => MountConfidence::Uncommitted,
    }
}

fn add(
    facts: &mut HashMap<DigestKey, RepositorySet>,
    key: DigestKey,
    place: KnownRepository,
    repositories: &[Option<Repository>],
) {
    let alive = |number: u32| matches!(repositories.get(number as usize), Some(repository) if repository.is_some());
    facts
        .entry(key)
        .and_modify(|places| places.add(place, alive))
        .or_insert(RepositorySet::One(place));
}
