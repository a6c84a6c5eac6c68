//! Content of an image at its source: root, children, blobs. It is fetched once for all destinations, bounded, and
//! narrowed by the platform filter.
//!
//! # Requests
//!
//! A tag is resolved once: by HEAD, which is free where a GET costs quota (Docker Hub), or by the GET of the root, if a
//! destination is known to lack the tag and the root is needed anyway. Everything else is fetched by digest, so that a
//! tag that moves cannot mix versions, and only when its content is needed: a child that every destination has is never
//! fetched. The destinations of the image share all fetched content, and the images of the run share it through
//! [`ManifestCache`].

mod caching_source;
mod contents;
mod created;
mod embedded;
mod filter;
mod manifests;
mod measure;
mod sparse;
mod subject_referrers;
mod summary;
mod walk;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use image_syncer_registry::manifest::{ManifestError, ManifestView};
use image_syncer_registry::{
    Cause, Descriptor, Digest, Error, ErrorKind, Manifest, ManifestHead, Target, clean_text,
};
use tokio::sync::OnceCell;

use crate::failure::Failure;
use crate::inventory::ManifestScope;
use crate::lock::lock;
use crate::rule::{Parts, PlatformFilter};
use crate::store::ListedDigest;
use crate::store::{Source, StoreError};

use caching_source::CachingSource;
pub(crate) use filter::IMAGE_CONFIGS;
pub(crate) use manifests::ManifestCache;
pub(crate) use sparse::WANTS_ALL_CHILDREN;
pub(crate) use subject_referrers::{ReferrerQueries, SubjectReferrers, may_list_referrers};
pub use summary::{ImageKind, ImageSummary, PlatformSummary};
pub(crate) use walk::ImageContent;
pub(crate) use walk::{FoundEntry, names_blob, names_manifest};

/// Maximum nesting depth of indexes. Real ones have a depth of two.
pub(crate) const MAX_DEPTH: usize = 8;

/// Maximum number of manifests of one image. The largest in public use have some hundreds.
pub(crate) const MAX_MANIFESTS: usize = 10_000;

/// Maximum number of bytes of manifests held for one image. Hundreds of images may be in flight.
const MAX_HELD_BYTES: u64 = 16 * 1024 * 1024;

/// Maximum number of blobs of one image. Real images have some hundreds, large models some thousands.
const MAX_BLOBS: usize = 20_000;

/// Maximum number of characters of a platform in an error.
const LONGEST_PLATFORM: usize = 100;

/// Maximum number of concurrent manifest fetches of one image.
const FETCHES: usize = 8;

/// One image at its source, shared by all of its destinations that get the same content. They share failures as well: a
/// request that failed for one destination is not repeated for another.
pub(crate) struct SourceImage {
    store: Arc<dyn Source>,
    target: Target,
    filter: Arc<PlatformFilter>,
    parts: Parts,
    manifests: Arc<ManifestCache>,
    /// True if the root is needed in any case, so that its GET replaces the HEAD.
    needed: bool,
    /// Digest of the tag in a list of the source.
    listed: Option<ListedDigest>,
    /// Digest that is fetched, even if the tag has moved.
    pinned: Option<Digest>,
    resolution: Arc<TargetResolution>,
    root: OnceCell<Result<Root, Failure>>,
    held: Mutex<SeenManifests>,
}

/// Manifest that a target names. It is resolved once, so that all destinations of an image get the same version,
/// also if they get different parts of it.
#[derive(Default)]
struct TargetResolution {
    head: OnceCell<Result<ManifestHead, Failure>>,
    /// Manifest that the tag names after it was moved and the first manifest was deleted.
    moved: OnceCell<Result<ManifestHead, Failure>>,
}

/// Root of an image, after the filter.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    /// The manifest as the source has it.
    Whole(Arc<Manifest>),
    /// An index of the entries that pass the filter, with another digest than at the source.
    Filtered(Arc<Manifest>),
    /// Nothing passes.
    Nothing {
        /// Reason, as a clause.
        why: String,
    },
}

/// Manifests read so far for this image.
#[derive(Default)]
struct SeenManifests {
    manifests: HashMap<Digest, Result<Arc<Manifest>, Failure>>,
    bytes: u64,
    /// Filtered versions of nested indexes.
    narrowed: HashMap<Digest, filter::FilteredIndex>,
    /// Entries of a sparse image.
    sparse: sparse::SparseContent,
}

impl SourceImage {
    /// Returns the image that `target` names in `store`, narrowed by `filter`. Sends no request yet.
    pub(crate) fn new(
        store: Arc<dyn Source>,
        target: Target,
        filter: Arc<PlatformFilter>,
        manifests: Arc<ManifestCache>,
    ) -> Self {
        let store = Arc::new(CachingSource::new(store, Arc::clone(&manifests)));
        Self {
            store,
            target,
            filter,
            parts: Parts::default(),
            manifests,
            needed: false,
            listed: None,
            pinned: None,
            resolution: Arc::default(),
            root: OnceCell::new(),
            held: Mutex::default(),
        }
    }
    /// Returns the tag or digest that is fetched.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }
    /// Marks the root as needed: no HEAD precedes its GET.
    ///
    /// Without effect where pulls are limited: tags often share a digest, so that the HEAD saves a GET, and only a GET
    /// counts as a pull.
    #[must_use]
    pub(crate) fn needed(mut self) -> Self {
        self.needed = !self.store.capabilities().limits_pulls;
        self
    }
    /// Sets the digest of the tag in a list of the source.
    #[must_use]
    pub(crate) fn with_listed_digest(mut self, listed: Option<ListedDigest>) -> Self {
        self.listed = listed;
        self
    }
    /// Sets the digest that is fetched, even if the tag has moved, so that a tag that moves cannot bypass a check of
    /// its digest.
    #[must_use]
    pub(crate) fn pinned(self, digest: Option<Digest>) -> Self {
        Self {
            pinned: digest,
            ..self
        }
    }
    /// Returns the digest that the target or a pin fixes.
    fn fixed_digest(&self) -> Option<&Digest> {
        match &self.target {
            Target::Digest(digest) => Some(digest),
            Target::Tag(_) => self.pinned.as_ref(),
        }
    }
    /// Returns the digest of the tag in a recent list of the source, as long as the tag was not resolved. It may prove that
    /// a destination has the image. It is never fetched, since the tag may have moved.
    pub(crate) fn listed_digest(&self) -> Option<&Digest> {
        let is_resolved = self.resolution.head.initialized();
        self.listed.as_ref().filter(|_| !is_resolved)?.recent()
    }
    /// Returns true if a recent list of the source states that no other manifest refers to `digest`, which the tag names.
    pub(crate) fn is_listed_without_referrers(&self, digest: &Digest) -> bool {
        let listed = self.listed.as_ref();
        listed.is_some_and(|listed| listed.is_without_referrers(digest))
    }
    /// Sets the parts of the image that are copied.
    #[must_use]
    pub(crate) fn with_parts(mut self, parts: Parts) -> Self {
        self.parts = parts;
        self
    }
    /// Returns the same image, narrowed by another `filter` and to other `parts`. Both resolve the target and read blobs
    /// once.
    #[must_use]
    pub(crate) fn narrowed(&self, filter: Arc<PlatformFilter>, parts: Parts) -> Self {
        Self {
            store: Arc::clone(&self.store),
            target: self.target.clone(),
            filter,
            parts,
            manifests: Arc::clone(&self.manifests),
            needed: self.needed,
            listed: self.listed.clone(),
            pinned: self.pinned.clone(),
            resolution: Arc::clone(&self.resolution),
            root: OnceCell::new(),
            held: Mutex::default(),
        }
    }
    /// Returns the scope in which manifests of a copy of the image are known, given the other options of the copy.
    pub(crate) fn scope(&self, force: bool, verify: bool) -> ManifestScope {
        ManifestScope::new(&self.filter, self.parts, force, verify)
    }
    /// Returns the store of the source.
    pub(crate) fn store(&self) -> &Arc<dyn Source> {
        &self.store
    }
    /// Returns true if a filter may change the image.
    pub(crate) fn is_filtered(&self) -> bool {
        !self.filter.is_empty() || self.parts.strip_attestations
    }
    /// Returns true if the root with this digest is an index that the filter wrote.
    pub(crate) fn wrote(&self, digest: &Digest) -> bool {
        let root = self.root.get().and_then(|root| root.as_ref().ok());
        matches!(root, Some(Root::Filtered(root)) if root.digest() == digest)
    }
    /// Resolves the target: one HEAD, or one GET of the root, for all callers; no request for a digest or a pinned tag.
    pub(crate) async fn head(&self) -> Result<ManifestHead, Failure> {
        if let Some(digest) = self.fixed_digest() {
            return Ok(ManifestHead {
                digest: digest.clone(),
                media_type: None,
                size: None,
            });
        }
        if let Some(Ok(moved)) = self.resolution.moved.get() {
            return Ok(moved.clone());
        }
        let head = self.resolution.head.get_or_init(|| self.resolve());
        head.await.clone()
    }
    /// Returns the root, after the filter: one GET by digest for all callers, unless [`SourceImage::head`] has it
    /// already, plus the manifests that the filter needs.
    pub(crate) async fn root(&self) -> Result<Root, Failure> {
        let root = || async {
            let whole = self.unfiltered_root().await?;
            if self.is_filtered() {
                self.narrow(whole).await
            } else {
                Ok(Root::Whole(whole))
            }
        };
        // Boxed, since most callers find the root.
        self.root.get_or_init(|| Box::pin(root())).await.clone()
    }

    async fn resolve(&self) -> Result<ManifestHead, Failure> {
        let head = if self.needed {
            Box::pin(self.resolve_by_root()).await?
        } else {
            let head = self.store.resolve(&self.target).await;
            head?
        };
        head.ok_or_else(|| self.missing())
    }

    /// Returns the failure of an image that the source does not have.
    pub(crate) fn missing(&self) -> Failure {
        let repository = self.store.repository();
        let is_registry = repository.endpoint().registry().is_some();
        let action = match (repository.path(), &self.target) {
            ("", target) => format!("find {target}"),
            (path, Target::Tag(tag)) => format!("find {path}:{tag}"),
            (path, Target::Digest(digest)) => format!("find {path}@{digest}"),
        };
        let missing = if is_registry {
            "the registry does not have it"
        } else {
            "it is not there"
        };
        Failure {
            status: is_registry.then_some(404),
            ..self.failure(ErrorKind::NotFound, action, missing)
        }
    }
    /// Returns the root before the filter: one GET by digest for all callers, unless [`SourceImage::head`] has it
    /// already.
    ///
    /// If the tag was moved and the manifest that it named before is deleted, the tag is read again, once. Then
    /// [`SourceImage::head`] has the new digest.
    pub(crate) async fn unfiltered_root(&self) -> Result<Arc<Manifest>, Failure> {
        let head = self.head().await?;
        let gone = match self.manifest(&head.digest).await {
            Err(failure) if failure.kind == Some(ErrorKind::NotFound) => failure,
            root => return root,
        };
        if self.fixed_digest().is_some() {
            return Err(gone);
        }
        let moved = async { self.resolve_by_root().await?.ok_or(gone) };
        let moved = self.resolution.moved.get_or_init(|| moved).await.clone()?;
        self.manifest(&moved.digest).await
    }

    async fn resolve_by_root(&self) -> Result<Option<ManifestHead>, Failure> {
        let root = match self.manifests.fetch(&*self.store, &self.target).await {
            Ok(root) => root,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let head = ManifestHead {
            digest: root.digest().clone(),
            media_type: Some(root.media_type().to_owned()),
            size: Some(root.size()),
        };
        self.keep_manifest(&head.digest, Ok(root))?;
        Ok(Some(head))
    }

    /// Returns the manifest of this digest: one GET for all callers.
    pub(crate) async fn manifest(&self, digest: &Digest) -> Result<Arc<Manifest>, Failure> {
        if let Some(held) = self.seen_manifests().manifests.get(digest) {
            return held.clone();
        }
        let manifest = self.manifests.get(&*self.store, digest).await;
        self.keep_manifest(digest, manifest.clone())?;
        manifest
    }
    /// Keeps a manifest until the image ends, wherever it was read.
    pub(crate) fn keep_manifest(
        &self,
        digest: &Digest,
        manifest: Result<Arc<Manifest>, Failure>,
    ) -> Result<(), Failure> {
        if let Ok(manifest) = &manifest {
            self.manifests.embedded().keep(manifest);
        }
        let mut held = self.seen_manifests();
        let size = manifest.as_ref().map_or(0, |manifest| manifest.size());
        if held.manifests.insert(digest.clone(), manifest).is_none() {
            held.bytes += size;
        }
        if held.manifests.len() > MAX_MANIFESTS || held.bytes > MAX_HELD_BYTES {
            return Err(self.too_much(&format!(
                "it consists of more than {MAX_MANIFESTS} manifests, or of more than {} MiB of them",
                MAX_HELD_BYTES / 1024 / 1024
            )));
        }
        Ok(())
    }
    fn seen_manifests(&self) -> MutexGuard<'_, SeenManifests> {
        lock(&self.held)
    }

    /// Parses a manifest of this image.
    fn view(&self, manifest: &Manifest) -> Result<ManifestView, Failure> {
        let view = manifest.view();
        let view = view.map_err(|error| self.unreadable(manifest, &error))?;
        match &view {
            ManifestView::Index(index) if index.manifests.len() > MAX_MANIFESTS => {
                Err(self.too_many_children())
            }
            _ => Ok(view),
        }
    }
    fn unreadable(&self, manifest: &Manifest, error: &ManifestError) -> Failure {
        let path = self.store.repository().path();
        let action = format!("read manifest {path}@{}", manifest.digest());
        Failure {
            cause: Cause::ManifestInvalid,
            ..self.failure(ErrorKind::Protocol, action, &error.to_string())
        }
    }
    /// Adds the platform of the entry to the `failure` of its fetch. If the source lacks the entry, the image is
    /// incomplete there.
    fn child_failure(entry: &Descriptor, failure: Failure) -> Failure {
        if failure.cause != Cause::NotFound {
            return failure;
        }
        let platform = entry.platform.as_ref().map(|platform| {
            let platform = clean_text(&platform.to_string(), LONGEST_PLATFORM);
            format!(" for {platform}")
        });
        Failure {
            reason: format!(
                "{}; an index of the image lists it{}",
                failure.reason,
                platform.unwrap_or_default()
            ),
            cause: Cause::ContentMissing,
            ..failure
        }
    }
    fn too_deep(&self) -> Failure {
        self.too_much(&format!(
            "indexes lie more than {MAX_DEPTH} deep within each other"
        ))
    }
    fn too_many_children(&self) -> Failure {
        self.too_much(&format!(
            "its indexes name more than {MAX_MANIFESTS} children"
        ))
    }
    fn too_many_blobs(&self) -> Failure {
        self.too_much(&format!("it names more than {MAX_BLOBS} blobs"))
    }
    fn too_much(&self, what: &str) -> Failure {
        let path = self.store.repository().path();
        let action = format!("walk through {path}, {}", self.target);
        self.failure(ErrorKind::Protocol, action, what)
    }
    fn failure(&self, kind: ErrorKind, action: String, message: &str) -> Failure {
        let repository = self.store.repository();
        let host = repository.endpoint().to_string();
        let error = Error::new(kind, action, host, message);
        let error = match repository.in_registry() {
            Some(repository) => error.with_repository(&repository),
            None => error,
        };
        StoreError::source(error).into()
    }
}

#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
