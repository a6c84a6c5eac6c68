//! Contents of a registry.

mod repository;
mod session;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use bytes::Bytes;

pub(crate) use repository::Repository;
pub(crate) use session::{Session, Uploads};

use crate::blob::Blob;
use crate::image::{Image, Manifest};
use crate::lock::lock;

/// The contents of a registry, to inspect and to change without a request. A clone has the same contents.
#[derive(Clone, Default)]
pub struct State {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
pub(crate) struct Inner {
    /// Blobs by digest; repositories have links, like real registries.
    pub(crate) blobs: HashMap<String, Blob>,
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) sessions: HashMap<String, Arc<Mutex<Session>>>,
    /// Number of the next upload session.
    pub(crate) next_session: u64,
    /// Manifest GETs that counted against the pull limit.
    pub(crate) pulls: u64,
}

impl State {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Returns true if the repository has the blob.
    pub fn has_blob(&self, repository: &str, digest: &str) -> bool {
        self.lock().blob(repository, digest).is_some()
    }

    /// Returns the content of a blob of a repository, or `None` if it is missing or its bytes were discarded.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        let blob = self.lock().blob(repository, digest)?;
        blob.bytes()
    }

    /// Returns the digests of all blobs of a repository, sorted.
    pub fn blobs(&self, repository: &str) -> Vec<String> {
        let inner = self.lock();
        let links = inner.repositories.get(repository).map(|r| &r.blobs);
        links.into_iter().flatten().cloned().collect()
    }

    /// Returns the media type and the bytes of a manifest, by tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Bytes)> {
        let inner = self.lock();
        let manifest = inner.repositories.get(repository)?.manifest(reference)?;
        Some((manifest.media_type.clone(), manifest.bytes.clone()))
    }

    /// Returns the digests of all manifests of a repository, sorted.
    pub fn manifests(&self, repository: &str) -> Vec<String> {
        let inner = self.lock();
        let manifests = inner
            .repositories
            .get(repository)
            .map(|r| r.manifests.keys());
        manifests.into_iter().flatten().cloned().collect()
    }

    /// Returns the digest of a tag.
    pub fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        let inner = self.lock();
        inner
            .repositories
            .get(repository)?
            .tag(tag)
            .map(str::to_owned)
    }

    /// Returns the tags of a repository, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let inner = self.lock();
        let mut tags: Vec<String> = inner
            .repositories
            .get(repository)
            .map(|r| r.tags().map(|(tag, _)| tag.to_owned()).collect())
            .unwrap_or_default();
        tags.sort();
        tags
    }

    /// Returns the names of all repositories, sorted.
    pub fn repositories(&self) -> Vec<String> {
        self.lock().repositories.keys().cloned().collect()
    }

    /// Number of open upload sessions in all repositories.
    pub fn open_uploads(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Creates an empty repository (for registries where repositories must exist before a push).
    pub fn create_repository(&self, name: &str) {
        let mut inner = self.lock();
        inner.create_repository(name);
        if let Some((namespace, _)) = name.split_once('/') {
            inner.namespaces.insert(namespace.to_owned());
        }
    }

    /// Creates a namespace (organisation, project): the first component of names.
    pub fn create_namespace(&self, name: &str) {
        self.lock().namespaces.insert(name.to_owned());
    }

    /// Stores a blob.
    pub fn put_blob(&self, repository: &str, blob: &Blob) {
        self.create_repository(repository);
        self.lock().put_blob(repository, blob.clone());
    }

    /// Stores a manifest, with a tag if one is given. Nothing is checked.
    pub fn put_manifest(&self, repository: &str, tag: Option<&str>, manifest: &Manifest) {
        self.create_repository(repository);
        let mut inner = self.lock();
        let repository = inner.create_repository(repository);
        repository.put_manifest(manifest.clone());
        if let Some(tag) = tag {
            repository.set_tag(tag, &manifest.digest);
        }
    }

    /// Stores an image without HTTP. Returns the digest of its root.
    pub fn put_image(&self, repository: &str, tag: Option<&str>, image: &Image) -> String {
        for blob in image.blobs() {
            self.put_blob(repository, blob);
        }
        for manifest in image.manifests() {
            self.put_manifest(repository, None, manifest);
        }
        self.put_manifest(repository, tag, image.root());
        image.digest().to_owned()
    }

    /// Sets a tag to a manifest, which need not exist.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        self.create_repository(repository);
        self.lock()
            .create_repository(repository)
            .set_tag(tag, digest);
    }

    /// Sets the push time of a tag, which listing APIs name; otherwise it is 14 November 2023, 22:13:20 UTC.
    pub fn set_pushed(&self, repository: &str, tag: &str, time: SystemTime) {
        self.create_repository(repository);
        self.lock()
            .create_repository(repository)
            .set_pushed(tag, time);
    }

    /// Removes a tag. Returns true if it existed.
    pub fn untag(&self, repository: &str, tag: &str) -> bool {
        let mut inner = self.lock();
        let repository = inner.repositories.get_mut(repository);
        repository.is_some_and(|r| r.untag(tag))
    }

    /// Removes a blob from a repository, like garbage collection. Returns true if it existed.
    pub fn remove_blob(&self, repository: &str, digest: &str) -> bool {
        let mut inner = self.lock();
        let repository = inner.repositories.get_mut(repository);
        repository.is_some_and(|r| r.blobs.remove(digest))
    }

    /// Removes a manifest from a repository, with its tags. Returns true if it existed.
    pub fn remove_manifest(&self, repository: &str, digest: &str) -> bool {
        let mut inner = self.lock();
        let repository = inner.repositories.get_mut(repository);
        repository.is_some_and(|r| r.remove_manifest(digest))
    }

    /// Removes a whole repository. Returns true if it existed.
    pub fn remove_repository(&self, name: &str) -> bool {
        self.lock().repositories.remove(name).is_some()
    }

    /// Removes every blob that no manifest of its repository names. Returns their number.
    pub fn collect_garbage(&self) -> usize {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut collected = 0;
        for repository in inner.repositories.values_mut() {
            let named = repository.named_blobs();
            let before = repository.blobs.len();
            repository.blobs.retain(|digest| named.contains(digest));
            collected += before - repository.blobs.len();
        }
        let repositories = &inner.repositories;
        inner.blobs.retain(|digest, _| {
            repositories
                .values()
                .any(|repository| repository.blobs.contains(digest))
        });
        collected
    }

    /// Cancels every upload session, like a registry that restarts without its storage. Returns their number.
    pub fn cancel_uploads(&self) -> usize {
        self.lock().sessions.drain().count()
    }
}

impl Inner {
    pub(crate) fn create_repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    pub(crate) fn blob(&self, repository: &str, digest: &str) -> Option<Blob> {
        self.repositories
            .get(repository)?
            .blobs
            .get(digest)
            .and_then(|digest| self.blobs.get(digest))
            .cloned()
    }

    pub(crate) fn put_blob(&mut self, repository: &str, blob: Blob) {
        let digest = blob.digest().to_owned();
        self.create_repository(repository)
            .blobs
            .insert(digest.clone());
        self.blobs.entry(digest).or_insert(blob);
    }

    /// Returns a name for an upload session that looks like a real UUID and is the same in every run.
    pub(crate) fn new_session_name(&mut self) -> String {
        self.next_session += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.next_session)
    }
}
