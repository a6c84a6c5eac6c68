//! Stores in memory, for tests: they log every call in words, validate what is pushed as a strict registry does, and
//! fail, wait or panic where they are told to.
//!
//! A call reads `put-manifest dst.example/app:v1` or `open-blob src.example/app@base`, where content is called by the
//! name that it was built with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(
    dead_code,
    unused_imports,
    reason = "a fake for all rooms; each uses its part"
)]

mod build;
mod fault;
mod store;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use image_syncer_registry::{
    Descriptor, Digest, Error, ErrorKind, Manifest, Repository, Tag, Target,
};

use crate::store::{Store, Stores};

pub(crate) use build::{attestation, blob_json, entry};
pub(crate) use fault::Gate;

/// All repositories of all registries; clones share them.
#[derive(Clone, Default)]
pub(crate) struct MemoryStores {
    world: Arc<Mutex<World>>,
}

/// How the registries behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// A manifest is refused while something that it names is missing.
    pub(crate) validates: bool,
    /// A refusal says what is missing.
    pub(crate) names_missing: bool,
    /// The opening of an upload tells that the blob is there already.
    pub(crate) tells_present: bool,
    /// Bytes that are sent for a digest under which something stands are dropped.
    pub(crate) keeps_what_it_has: bool,
    /// Blobs are taken from other repositories.
    pub(crate) mounts: bool,
    /// Referrers are listed by the registry itself.
    pub(crate) lists_referrers: bool,
    /// Others are always writing the lists of referrers at the same time.
    pub(crate) contended: bool,
    /// Tags in a page.
    pub(crate) page: usize,
    /// Bytes in a chunk of a blob.
    pub(crate) chunk: usize,
}

#[derive(Default)]
struct World {
    repositories: HashMap<Repository, Content>,
    names: HashMap<Digest, String>,
    calls: Vec<String>,
    faults: Vec<fault::Fault>,
    behaviour: Behaviour,
}

#[derive(Default)]
struct Content {
    tags: BTreeMap<Tag, Digest>,
    manifests: HashMap<Digest, Manifest>,
    blobs: HashMap<Digest, Bytes>,
    /// Referrers that were listed by hand, by their subjects.
    listed: HashMap<Digest, Vec<Descriptor>>,
    /// Blobs that the repository says it has, and has not.
    claimed: HashSet<Digest>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            validates: true,
            names_missing: true,
            tells_present: true,
            keeps_what_it_has: false,
            mounts: true,
            lists_referrers: true,
            contended: false,
            page: 100,
            chunk: 4,
        }
    }
}

impl MemoryStores {
    /// Nothing anywhere.
    pub(crate) fn new() -> Self {
        Self::default()
    }
    /// Changes how the registries behave.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.world().behaviour);
    }
    /// The calls so far, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.world().calls.clone()
    }
    /// The calls so far, sorted, and forgotten: for work whose order is free.
    pub(crate) fn take_sorted(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut self.world().calls);
        calls.sort();
        calls
    }
    /// How many calls start with `prefix`.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        let world = self.world();
        world
            .calls
            .iter()
            .filter(|call| call.starts_with(prefix))
            .count()
    }
    /// The name that `digest` was built with.
    pub(crate) fn name(&self, digest: &Digest) -> String {
        self.world().name(digest)
    }
    /// What the tag names.
    pub(crate) fn tagged(&self, repository: &Repository, tag: &str) -> Option<Digest> {
        let tag = Tag::parse(tag).unwrap();
        self.world()
            .repositories
            .get(repository)?
            .tags
            .get(&tag)
            .cloned()
    }
    /// Whether the manifest is in the repository.
    pub(crate) fn holds_manifest(&self, repository: &Repository, digest: &Digest) -> bool {
        let world = self.world();
        let content = world.repositories.get(repository);
        content.is_some_and(|content| content.manifests.contains_key(digest))
    }
    /// A manifest in the repository.
    pub(crate) fn manifest(&self, repository: &Repository, digest: &Digest) -> Option<Manifest> {
        let world = self.world();
        world
            .repositories
            .get(repository)?
            .manifests
            .get(digest)
            .cloned()
    }
    /// The bytes of a blob in the repository.
    pub(crate) fn blob_bytes(&self, repository: &Repository, digest: &Digest) -> Option<Bytes> {
        self.world()
            .repositories
            .get(repository)?
            .blobs
            .get(digest)
            .cloned()
    }
    /// Lets a repository say that it has a blob which it has not.
    pub(crate) fn claim_blob(&self, repository: &Repository, digest: &Digest) {
        let mut world = self.world();
        world.content(repository).claimed.insert(digest.clone());
    }
    /// Takes a blob away.
    pub(crate) fn remove_blob(&self, repository: &Repository, digest: &Digest) {
        self.world().content(repository).blobs.remove(digest);
    }
    /// Puts other bytes in the place of a blob.
    pub(crate) fn spoil_blob(&self, repository: &Repository, digest: &Digest, bytes: &'static str) {
        let bytes = Bytes::from_static(bytes.as_bytes());
        let mut world = self.world();
        world
            .content(repository)
            .blobs
            .insert(digest.clone(), bytes);
    }
    /// Takes a tag away; what it named stays.
    pub(crate) fn untag(&self, repository: &Repository, tag: &str) {
        let tag = Tag::parse(tag).unwrap();
        self.world().content(repository).tags.remove(&tag);
    }
    /// Takes a manifest away; its tags stay and name nothing.
    pub(crate) fn remove_manifest(&self, repository: &Repository, digest: &Digest) {
        self.world().content(repository).manifests.remove(digest);
    }

    /// Takes a whole repository away.
    pub(crate) fn remove_repository(&self, repository: &Repository) {
        self.world().repositories.remove(repository);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

impl Stores for MemoryStores {
    fn store(&self, repository: &Repository) -> Arc<dyn Store> {
        Arc::new(store::MemoryStore {
            stores: self.clone(),
            repository: repository.clone(),
        })
    }
}

impl World {
    fn content(&mut self, repository: &Repository) -> &mut Content {
        self.repositories.entry(repository.clone()).or_default()
    }
    fn name(&self, digest: &Digest) -> String {
        let name = self.names.get(digest).cloned();
        name.unwrap_or_else(|| digest.to_string())
    }
    fn words(&self, verb: &str, repository: &Repository, target: &Target) -> String {
        match target {
            Target::Tag(tag) => format!("{verb} {repository}:{tag}"),
            Target::Digest(digest) => format!("{verb} {repository}@{}", self.name(digest)),
        }
    }
}

/// An error of `kind` at `host`, as the client would give it.
pub(crate) fn error(kind: ErrorKind, host: &str) -> Error {
    Error::new(kind, "do what was asked", host, "the test says no")
}

/// The repository of that name.
pub(crate) fn repository(name: &str) -> Repository {
    Repository::parse(name).unwrap()
}
