//! What is known of one registry.

use std::collections::{HashMap, HashSet};

use image_syncer_registry::{Digest, Repository};

use crate::inventory::mounting::{MountCapability, MountConfidence};
use crate::inventory::repository_set::{KnownRepository, MAX_REPOSITORIES, RepositorySet};
use crate::inventory::{BlobKnowledge, MountCandidate};

/// How many repositories a blob is offered to be mounted from. One is asked; the list is for people.
const MAX_CANDIDATES: usize = 3;

/// How many blobs are remembered as missing, and as wrongly recorded; of what is beyond, the registry is asked again.
const MAX_MISSING: usize = 65_536;

/// A digest in 32 bytes: its own where it is SHA-256, else the SHA-256 of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DigestKey([u8; 32]);

/// The facts on one registry.
#[derive(Default)]
pub(super) struct RegistryFacts {
    /// By number; `None` once it was forgotten. A number is never given twice, so that forgetting costs nothing:
    /// facts with a number of the dead are skipped.
    repositories: Vec<Option<Repository>>,
    numbers: HashMap<Repository, u32>,
    blobs: HashMap<DigestKey, RepositorySet>,
    manifests: HashMap<DigestKey, RepositorySet>,
    /// Blobs that a repository was found to lack, or to hold wrongly, and that nobody has sent since.
    missing: HashSet<(u32, DigestKey)>,
    /// What the records say and is not so; they may say it again, as they are corrected behind the run's back.
    refuted: HashSet<(u32, DigestKey)>,
    /// How often the records were right of a repository, and how often wrong.
    looks: HashMap<u32, LookupStats>,
    /// Repositories that had no tag.
    empty: HashSet<u32>,
    /// How it answers mounts.
    pub(super) mounting: MountCapability,
}

/// What became of looking where the records say that a blob is.
#[derive(Default)]
struct LookupStats {
    found: u32,
    missed: u32,
}

/// How often the records may be wrong of a repository, more than right, before nothing is asked for their sake.
const MAX_MISSED: u32 = 2;

impl LookupStats {
    /// Whether another look is worth its request: a repository that was wiped lacks all that is recorded of it.
    fn are_worth_it(&self) -> bool {
        self.missed <= self.found.saturating_add(MAX_MISSED)
    }
}

impl DigestKey {
    pub(super) fn from_digest(digest: &Digest) -> Self {
        Self::sha256(digest)
            .or_else(|| Self::sha256(&Digest::sha256(digest.as_str().as_bytes())))
            // A SHA-256 digest always decodes; were it not so, one key would stand for all: a wrong hint.
            .unwrap_or(Self([0; 32]))
    }
    /// The digest's own bytes, where it is a SHA-256.
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
    /// What is known of the blob, for `repository`.
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
    /// The best of `places` to mount from, but for the repository of that number itself: the committed ones first,
    /// those that only the records tell of last.
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
    /// The blob is in the repository; `committed` where a manifest there names it. Says whether that is news.
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
    /// This run brought the blob to the repository.
    pub(super) fn record_upload(&mut self, repository: &Repository, blob: DigestKey) {
        self.place_blob(repository, blob, KnownRepository::uploaded);
    }
    /// Whether this run brought the blob to the repository.
    pub(super) fn was_uploaded(&self, repository: &Repository, blob: DigestKey) -> bool {
        let number = self.numbers.get(repository).copied();
        let place = number.zip(self.blobs.get(&blob));
        place.is_some_and(|(number, places)| {
            places.get(number).is_some_and(KnownRepository::is_uploaded)
        })
    }
    /// The repository has no tag.
    pub(super) fn note_empty(&mut self, repository: &Repository) {
        if let Some(number) = self.number(repository) {
            self.empty.insert(number);
        }
    }
    /// Whether the repository had no tag.
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
    /// The records say that the blob is in the repository.
    pub(super) fn add_recorded(&mut self, repository: &Repository, blob: DigestKey) {
        if let Some(number) = self.number(repository)
            && !self.refuted.contains(&(number, blob))
        {
            let place = KnownRepository::recorded(number);
            add(&mut self.blobs, blob, place, &self.repositories);
        }
    }
    /// What the records say of the blob and the repository is not so.
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
    /// It was looked whether the records are right of a blob and the repository.
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
    /// The repository lacks the blob.
    pub(super) fn miss_blob(&mut self, repository: &Repository, blob: DigestKey) {
        if self.missing.len() < MAX_MISSING
            && let Some(number) = self.number(repository)
        {
            self.missing.insert((number, blob));
        }
    }
    /// Whether the manifest is in the repository.
    pub(super) fn has_manifest(&self, repository: &Repository, manifest: DigestKey) -> bool {
        let number = self.numbers.get(repository).copied();
        let places = self.manifests.get(&manifest);
        number.zip(places).is_some_and(|(n, p)| p.contains(n))
    }
    /// The manifest is in the repository.
    pub(super) fn add_manifest(&mut self, repository: &Repository, manifest: DigestKey) {
        if let Some(number) = self.number(repository) {
            let place = KnownRepository::new(number, true);
            add(&mut self.manifests, manifest, place, &self.repositories);
        }
    }
    /// Nothing is believed of the repository any more.
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
    /// The repository's number; a new one for a new repository, `None` when all are used up (then a fact is lost,
    /// which costs a request).
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
