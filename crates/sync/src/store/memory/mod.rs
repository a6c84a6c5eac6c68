//! In-memory stores for tests. They log every call in words, validate pushes as a strict registry does, and fail, wait
//! or panic on request.
//!
//! A call reads `put-manifest dst.example/app:v1` or `open-blob src.example/app@base`: content appears under the name
//! that it was built with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(
    dead_code,
    unused_imports,
    reason = "a fake for the tests of all modules; each uses its part"
)]

mod build;
mod fault;
mod list;
mod script;
mod session;
mod store;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::{
    Descriptor, Digest, Error, ErrorKind, Manifest, Registry, Tag, Target,
};

use crate::lock::lock;
use crate::store::{Destination, RepositoryPages, RepositoryScope, Source, StoreResult, Stores};
use crate::{Endpoint, Repository};

pub(crate) use build::{attestation, blob_json, entry};
pub(crate) use fault::Gate;
pub(crate) use script::{Mounts, OpenScript, ReadScript, ReceiveScript, settled};

/// All repositories of all registries; clones share them.
#[derive(Clone, Default)]
pub(crate) struct MemoryStores {
    state: Arc<Mutex<State>>,
}

/// Behavior of the registries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// Refuses a manifest while content that it names is missing.
    pub(crate) validates: bool,
    /// Names the missing content in a refusal.
    pub(crate) names_missing: bool,
    /// Reports a blob as present when an upload is opened.
    pub(crate) tells_present: bool,
    /// Discards bytes that are sent for a digest which is stored already.
    pub(crate) keeps_what_it_has: bool,
    /// Lists referrers itself.
    pub(crate) lists_referrers: bool,
    /// Other clients always write the lists of referrers at the same time.
    pub(crate) contended: bool,
    /// Tags in a page.
    pub(crate) page: usize,
    /// Bytes in a chunk of a blob.
    pub(crate) chunk: usize,
}

/// Digests and times in the lists of a registry.
#[derive(Default)]
struct Listing {
    /// Digests that differ from the real ones, or `None` for a tag without one.
    digests: HashMap<(Repository, Tag), Option<Digest>>,
    times: HashMap<(Repository, Tag), SystemTime>,
    /// A probe is needed to know that digests are listed.
    is_hidden: bool,
    has_failed: bool,
}

#[derive(Default)]
struct State {
    repositories: HashMap<Repository, Content>,
    names: HashMap<Digest, String>,
    calls: Vec<String>,
    faults: Vec<fault::Fault>,
    behaviour: Behaviour,
    scripts: script::Scripts,
    /// Registries whose lists show digests.
    listings: HashMap<Endpoint, Listing>,
}

#[derive(Default)]
struct Content {
    tags: BTreeMap<Tag, Digest>,
    manifests: HashMap<Digest, Manifest>,
    blobs: HashMap<Digest, Bytes>,
    /// Explicitly listed referrers, by subject.
    listed: HashMap<Digest, Vec<Descriptor>>,
    /// Blobs that the repository reports as present although it lacks them.
    claimed: HashSet<Digest>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            validates: true,
            names_missing: true,
            tells_present: true,
            keeps_what_it_has: false,
            lists_referrers: true,
            contended: false,
            page: 100,
            chunk: 4,
        }
    }
}

impl MemoryStores {
    /// Creates stores without content.
    pub(crate) fn new() -> Self {
        Self::default()
    }
    /// Creates stores without content, whose blobs come in chunks of this many bytes.
    pub(crate) fn with_chunk(chunk: usize) -> Self {
        let stores = Self::new();
        stores.behave(|behaviour| behaviour.chunk = chunk);
        stores
    }
    /// Changes the behavior of the registries.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }
    /// Returns the calls so far, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }
    /// Returns the calls so far, sorted, and clears the log: for work in any order.
    pub(crate) fn take_sorted(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut self.state().calls);
        calls.sort();
        calls
    }
    /// Returns the number of calls that start with `prefix`.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        let state = self.state();
        state
            .calls
            .iter()
            .filter(|call| call.starts_with(prefix))
            .count()
    }
    /// Returns the name that `digest` was built with.
    pub(crate) fn name(&self, digest: &Digest) -> String {
        self.state().name(digest)
    }
    /// Returns the digest that the tag names.
    pub(crate) fn tagged(&self, repository: &Repository, tag: &str) -> Option<Digest> {
        let tag = Tag::parse(tag).unwrap();
        self.state()
            .repositories
            .get(repository)?
            .tags
            .get(&tag)
            .cloned()
    }
    /// Returns the references of all tags, sorted.
    pub(crate) fn tagged_references(&self) -> Vec<String> {
        let state = self.state();
        let repositories = state.repositories.iter();
        let references = repositories.flat_map(|(name, content)| {
            let tags = content.tags.keys();
            tags.map(move |tag| format!("{name}:{tag}"))
        });
        let mut references: Vec<String> = references.collect();
        references.sort();
        references
    }
    /// Returns whether the manifest is in the repository.
    pub(crate) fn holds_manifest(&self, repository: &Repository, digest: &Digest) -> bool {
        let state = self.state();
        let content = state.repositories.get(repository);
        content.is_some_and(|content| content.manifests.contains_key(digest))
    }
    /// Returns a manifest of the repository.
    pub(crate) fn manifest(&self, repository: &Repository, digest: &Digest) -> Option<Manifest> {
        let state = self.state();
        state
            .repositories
            .get(repository)?
            .manifests
            .get(digest)
            .cloned()
    }
    /// Returns the bytes of a blob of the repository.
    pub(crate) fn blob_bytes(&self, repository: &Repository, digest: &Digest) -> Option<Bytes> {
        self.state()
            .repositories
            .get(repository)?
            .blobs
            .get(digest)
            .cloned()
    }
    /// Returns whether the repository `name` has the blob.
    pub(crate) fn holds_blob(&self, name: &str, blob: &Descriptor) -> bool {
        self.blob_bytes(&repository(name), &blob.digest).is_some()
    }
    /// Returns the repository as a source.
    pub(crate) fn source_at(&self, repository: &Repository) -> Arc<dyn Source> {
        Arc::new(self.open(repository))
    }
    /// Returns the repository as a destination.
    pub(crate) fn destination_at(&self, repository: &Repository) -> Arc<dyn Destination> {
        Arc::new(self.open(repository))
    }
    fn open(&self, repository: &Repository) -> store::MemoryStore {
        store::MemoryStore {
            stores: self.clone(),
            repository: repository.clone(),
        }
    }
    /// Makes a repository report a blob as present although it lacks it.
    pub(crate) fn claim_blob(&self, repository: &Repository, digest: &Digest) {
        let mut state = self.state();
        state.content(repository).claimed.insert(digest.clone());
    }
    /// Removes a blob.
    pub(crate) fn remove_blob(&self, repository: &Repository, digest: &Digest) {
        self.state().content(repository).blobs.remove(digest);
    }
    /// Replaces the bytes of a blob.
    pub(crate) fn spoil_blob(&self, repository: &Repository, digest: &Digest, bytes: &'static str) {
        let bytes = Bytes::from_static(bytes.as_bytes());
        let mut state = self.state();
        state
            .content(repository)
            .blobs
            .insert(digest.clone(), bytes);
    }
    /// Removes a tag and keeps its manifest.
    pub(crate) fn untag(&self, repository: &Repository, tag: &str) {
        let tag = Tag::parse(tag).unwrap();
        self.state().content(repository).tags.remove(&tag);
    }
    /// Removes a manifest and keeps its tags, which then name nothing.
    pub(crate) fn remove_manifest(&self, repository: &Repository, digest: &Digest) {
        self.state().content(repository).manifests.remove(digest);
    }

    /// Makes the lists of a registry show digests, by calls like `digests src.example/app`. If such a call fails, the names
    /// are listed, as at registries whose own API fails.
    pub(crate) fn list_digests(&self, registry: &str) {
        let registry = Endpoint::Registry(Registry::parse(registry).unwrap());
        self.state().listings.entry(registry).or_default();
    }
    /// Like [`MemoryStores::list_digests`], at a registry that must be probed.
    pub(crate) fn list_digests_after_probe(&self, registry: &str) {
        let registry = Endpoint::Registry(Registry::parse(registry).unwrap());
        let mut state = self.state();
        state.listings.entry(registry).or_default().is_hidden = true;
    }
    /// Makes the list of a repository show another digest, or none, for a tag.
    pub(crate) fn list_digest(&self, name: &str, tag: &str, digest: Option<&Digest>) {
        let repository = repository(name);
        let mut state = self.state();
        let listing = state.listings.entry(repository.endpoint().clone());
        let key = (repository, Tag::parse(tag).unwrap());
        let digests = &mut listing.or_default().digests;
        digests.insert(key, digest.cloned());
    }
    /// Makes the list of a repository show the time of a push.
    pub(crate) fn list_time(&self, name: &str, tag: &str, pushed: SystemTime) {
        let repository = repository(name);
        let mut state = self.state();
        let listing = state.listings.entry(repository.endpoint().clone());
        let key = (repository, Tag::parse(tag).unwrap());
        listing.or_default().times.insert(key, pushed);
    }
    /// Removes a repository.
    pub(crate) fn remove_repository(&self, repository: &Repository) {
        self.state().repositories.remove(repository);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Stores for MemoryStores {
    fn source<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Source>>> {
        std::future::ready(Ok(self.source_at(repository))).boxed()
    }
    fn destination<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Destination>>> {
        std::future::ready(Ok(self.destination_at(repository))).boxed()
    }
    fn repositories<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        scope: &'a RepositoryScope,
    ) -> BoxFuture<'a, StoreResult<Box<dyn RepositoryPages>>> {
        let pages = list::MemoryRepositories::new(self, endpoint, scope.prefix());
        std::future::ready(Ok(Box::new(pages) as Box<dyn RepositoryPages>)).boxed()
    }
}

impl State {
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

/// Returns an error of `kind` at `host`, as the client would.
pub(crate) fn error(kind: ErrorKind, host: &str) -> Error {
    Error::new(kind, "do what was asked", host, "the test says no")
}

/// Parses the name of a repository.
pub(crate) fn repository(name: &str) -> Repository {
    Repository::parse(name).unwrap()
}
