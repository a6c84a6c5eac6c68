//! What is known to be where: facts only, each no more than a hint.
//!
//! A shelf for each registry maps content to the repositories that hold it, in few bytes a pair; `mounting` keeps
//! how the registry answers mounts. Everything here is in memory and behind one lock that is held for a look-up, so
//! a records file can stand behind it: filled from it at the start, written behind as facts come.

mod mounting;
mod places;
mod shelf;

use std::collections::HashMap;
use std::sync::Mutex;

use registry::{Digest, Registry, Repository};

use crate::lock::lock;
pub(crate) use mounting::{Mounting, Standing};
use shelf::{Key, Shelf};

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
    shelves: Mutex<HashMap<Registry, Shelf>>,
}

/// Everything known that bears on bringing a blob to a repository.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    /// It is there.
    pub(crate) here: bool,
    /// It is not there as it should be, whatever the registry says when it is asked.
    pub(crate) missing: bool,
    /// Where else in the registry it is, the best to mount from first.
    pub(crate) elsewhere: Vec<Candidate>,
    /// How the registry answers mounts.
    pub(crate) mounting: Mounting,
}

/// A repository that a blob might be mounted from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Which.
    pub(crate) repository: Repository,
    /// What speaks for it.
    pub(crate) standing: Standing,
}

impl Inventory {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
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
        let blob = Key::of(digest);
        self.write(repository, |shelf| shelf.add_blob(repository, blob, false));
    }
    /// The blob is not in the repository as it should be: the registry refused a manifest for want of it, or holds
    /// something else under its digest. What the registry says of it is not believed until it was sent.
    pub fn blob_is_missing(&self, repository: &Repository, digest: &Digest) {
        let blob = Key::of(digest);
        self.write(repository, |shelf| shelf.miss_blob(repository, blob));
    }
    /// The blobs are in the repository, and a manifest that names them stands there: from now on they can be mounted
    /// from there even where a registry mounts only what a manifest names.
    pub fn blobs_are_committed<'a>(
        &self,
        repository: &Repository,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) {
        let blobs: Vec<Key> = digests.into_iter().map(Key::of).collect();
        self.write(repository, |shelf| {
            for blob in blobs {
                shelf.add_blob(repository, blob, true);
            }
        });
    }
    /// Whether the manifest is known to be in the repository with everything below it.
    pub fn has_manifest(&self, repository: &Repository, digest: &Digest) -> bool {
        let manifest = Key::of(digest);
        lock(&self.shelves)
            .get(repository.registry())
            .is_some_and(|shelf| shelf.has_manifest(repository, manifest))
    }
    /// The manifest is in the repository with everything below it. Which blobs that makes known is for the caller to
    /// say, who has read it: [`Inventory::blobs_are_committed`].
    pub fn manifest_is_in(&self, repository: &Repository, digest: &Digest) {
        let manifest = Key::of(digest);
        self.write(repository, |shelf| shelf.add_manifest(repository, manifest));
    }
    /// The destination contradicted a fact: nothing is believed of the repository any more.
    pub fn forget(&self, repository: &Repository) {
        if let Some(shelf) = lock(&self.shelves).get_mut(repository.registry()) {
            shelf.forget(repository);
        }
    }
    /// Everything that bears on bringing `digest` to `repository`.
    pub(crate) fn knowledge(&self, repository: &Repository, digest: &Digest) -> Knowledge {
        let blob = Key::of(digest);
        lock(&self.shelves)
            .get(repository.registry())
            .map(|shelf| shelf.blob(repository, blob))
            .unwrap_or_default()
    }
    /// The registry answered a mount: took it, or opened a session instead.
    pub(crate) fn mount_answered(&self, registry: &Registry, standing: Standing, taken: bool) {
        let mut shelves = lock(&self.shelves);
        let mounting = &mut shelves.entry(registry.clone()).or_default().mounting;
        if taken {
            mounting.taken(standing);
        } else {
            mounting.declined(standing);
        }
    }
    fn write(&self, repository: &Repository, write: impl FnOnce(&mut Shelf)) {
        let mut shelves = lock(&self.shelves);
        write(shelves.entry(repository.registry().clone()).or_default());
    }
}

#[cfg(test)]
mod tests;
