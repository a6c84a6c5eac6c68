//! The two ends of a copy. A [`Source`] or [`Destination`] is one repository at one end: of a registry, or in a file.
//!
//! The interfaces are narrow, and say nothing about tokens, vendors or requests. Differences between kinds of stores are
//! [capabilities](SourceCapabilities), or answers: a store that cannot mount opens a session for the bytes. Errors carry
//! the side of the copy ([`StoreError`]).

pub(crate) mod archive;
mod endpoints;
mod error;
mod file_path;
pub(crate) mod layout;
mod layout_format;
mod lease;
mod leased;
mod listed_digest;
#[cfg(test)]
pub(crate) mod memory;
mod pushed;
#[cfg(test)]
mod pushed_tests;
mod read_only;
mod registry_store;
mod repository;
mod repository_scope;
mod stored_root;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::transport::RequestGuard;
use image_syncer_registry::{
    BlobSource, BlobStream, Descriptor, Digest, IndexedReferrers, ListedTag, Manifest,
    ManifestHead, ManifestPresence, Presence, Target,
};

pub use archive::{ArchiveOptions, Archives};
pub use endpoints::EndpointStores;
pub use error::StoreError;
pub use file_path::FilePath;
pub(crate) use layout::{LayoutNames, read_names as layout_names};
pub(crate) use layout_format::split_path as split_layout_path;
pub use lease::Lease;
pub(crate) use leased::LeasedStores;
pub(crate) use listed_digest::ListedDigest;
pub(crate) use pushed::PushedStores;
pub use pushed::PushedTags;
pub(crate) use read_only::ReadOnlyStores;
pub use registry_store::RegistryStores;
pub(crate) use repository::FileKind;
pub use repository::{ArchiveFormat, Endpoint, Repository};
pub use repository_scope::RepositoryScope;
pub use stored_root::StoredRoot;

/// Result of a call to a store.
pub type StoreResult<T> = Result<T, StoreError>;

/// A repository that images are copied from.
pub trait Source: Send + Sync {
    /// Returns the repository.
    fn repository(&self) -> &Repository;
    /// Returns the properties of the store that decide on the cheapest way to read it.
    fn capabilities(&self) -> SourceCapabilities {
        SourceCapabilities::default()
    }
    /// Resolves `target`, which should exist.
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>>;
    /// Resolves `target`, which may be missing: an answer that it is missing is believed at once.
    fn probe<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>>;
    /// Fetches a manifest.
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>>;
    /// Fetches a whole small blob.
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, StoreResult<Bytes>>;
    /// Opens a stream of a blob's bytes from `offset` on.
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, StoreResult<BlobStream>>;
    /// Checks whether the blob is present with the right size.
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>>;
    /// Returns the size of a blob: that of its descriptor, or, for layers of schema 1 without one, that of the store;
    /// `None` if the store does not state one either.
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Option<u64>>>;
    /// Returns the referrers of `subject`. Where a store has no list of its own, they are listed under a tag, which `tag`
    /// describes. The list is empty if nothing refers to `subject` or it does not exist.
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        tag: FallbackTag,
    ) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>>;
    /// Returns true if the store is known to list tags with digests. With `may_probe`, it may send a request to find out,
    /// once for each endpoint; without it, it sends none.
    fn lists_digests(&self, may_probe: bool) -> BoxFuture<'_, bool> {
        let _ = may_probe;
        std::future::ready(false).boxed()
    }
    /// Returns the tags with `detail`, one page at a time.
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags>;
}

/// A repository that images are copied to.
pub trait Destination: Send + Sync {
    /// Returns the repository.
    fn repository(&self) -> &Repository;
    /// Prepares for requests that will follow, as long as they cost no more than without.
    fn prepare(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
    /// Resolves `target`, as far as the store reveals it.
    fn resolve<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<ManifestPresence>>;
    /// Fetches a manifest.
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>>;
    /// Checks whether the blob is present with the right size.
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>>;
    /// Starts the upload of a blob in the way that `start` says.
    fn start_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        start: UploadStart<'a>,
    ) -> BoxFuture<'a, StoreResult<StartedUpload>>;
    /// Checks that the store can hold an image with a tag, before anything of it is sent. Costs no request.
    fn accept(&self, root: &Manifest) -> StoreResult<()> {
        let _ = root;
        Ok(())
    }
    /// Pushes a manifest, byte for byte.
    fn put_manifest<'a>(
        &'a self,
        target: &'a Target,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, StoreResult<()>>;
    /// Returns the referrers of `subject`.
    fn referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>>;
    /// Lists `referrers`, which were pushed and name `subject`, as its referrers. Called once for each subject, after
    /// all of its referrers; may be repeated.
    fn update_referrers_index<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, StoreResult<IndexedReferrers>>;
    /// Deletes a tag, or a manifest by its digest, with all of its tags. Blobs stay, for the store's own garbage
    /// collection. Fails if the target is missing, or the store does not delete.
    fn delete<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<()>>;
    /// Returns the same destination, whose requests that move tags need the permission of `guard`, also those that the
    /// store sends later or again. `None` for a store that writes when it is called: the caller checks before the call.
    fn guarding_tags(&self, guard: Arc<dyn RequestGuard>) -> Option<Arc<dyn Destination>> {
        let _ = guard;
        None
    }
    /// Like [`Source::lists_digests`]. Also false where a tag is resolved without a request.
    fn lists_digests(&self, may_probe: bool) -> BoxFuture<'_, bool> {
        let _ = may_probe;
        std::future::ready(false).boxed()
    }
    /// Returns the tags with `detail`, one page at a time. A repository that does not exist yet may be an error or an
    /// empty list.
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags>;
}

/// Factory for the stores of repositories.
pub trait Stores: Send + Sync {
    /// Opens `repository` for reading. Fails if its endpoint cannot be read.
    fn source<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Source>>>;
    /// Opens `repository` for writing. Fails if its endpoint cannot be written to.
    fn destination<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Destination>>>;
    /// Returns the repositories of `endpoint` in `scope`, one page at a time. A store may return others as well.
    fn repositories<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        scope: &'a RepositoryScope,
    ) -> BoxFuture<'a, StoreResult<Box<dyn RepositoryPages>>>;
    /// Returns the images of `endpoint`, those without a name included. `None` for an endpoint that finds images by their
    /// repository only.
    fn roots<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, StoreResult<Option<Vec<StoredRoot>>>> {
        let _ = endpoint;
        std::future::ready(Ok(None)).boxed()
    }
    /// Completes the files that a run has written, at its end. Those that are written as a whole are not if the run was
    /// `stopped`: the next run goes on. Returns the endpoints that are not complete.
    fn finish(&self, stopped: bool) -> BoxFuture<'_, Vec<UnfinishedEndpoint>> {
        let _ = stopped;
        std::future::ready(Vec::new()).boxed()
    }
}

/// An endpoint that was written to and could not be completed. Images that were reported as copied may be missing there.
#[derive(Clone, Debug)]
pub struct UnfinishedEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The error, which names the images.
    pub error: StoreError,
}

/// Properties of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceCapabilities {
    /// Fetched manifests count against a limit of the account, and resolved ones do not, as at Docker Hub.
    pub limits_pulls: bool,
}

/// Way to start an upload.
#[derive(Clone, Copy, Debug)]
pub enum UploadStart<'a> {
    /// Unless the blob is present.
    UnlessPresent,
    /// With a mount from this repository of the same endpoint.
    Mount(&'a Repository),
    /// Without a check or a mount: the blob was found missing or damaged, so that the store's answers about it are not
    /// believed.
    Unchecked,
}

/// Result of starting an upload.
pub enum StartedUpload {
    /// The blob is present.
    Present {
        /// Mounted from another repository, not present before.
        mounted: bool,
    },
    /// A session for its bytes is open.
    Session(Box<dyn UploadSession>),
}

/// Knowledge about the tag that may list referrers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackTag {
    /// Nothing is known: the tag is read where the store has no referrers API.
    Unknown,
    /// The tag does not exist.
    Absent,
    /// The tag exists: it is read, and its list is added to the store's own.
    Present,
}

/// An open upload.
pub trait UploadSession: Send {
    /// Returns whether the store opened it instead of a mount that it could have made. If no mount was requested, or it
    /// was impossible for another reason, the session says nothing about mounts.
    fn is_instead_of_mount(&self) -> bool;
    /// Waits for one of the store's upload slots, and holds it until the bytes were sent.
    fn reserve(&mut self) -> BoxFuture<'_, StoreResult<()>>;
    /// Sends the bytes. An error of the source is returned unchanged. Fails if the store was found to have the blob with
    /// another length, and still has it after the upload.
    fn send<'a>(self: Box<Self>, source: &'a dyn BlobSource) -> BoxFuture<'a, StoreResult<()>>
    where
        Self: 'a;
}

/// Content of a list of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagDetail {
    /// Names, in the cheapest way.
    Names,
    /// Digests and times of pushes as well, where the store has a list with them; elsewhere names.
    Digests,
}

/// Pages of tags.
pub trait Tags: Send {
    /// Returns the next page, or `None` at the end.
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<Vec<ListedTag>>>>;
}

/// Pages of repositories.
pub trait RepositoryPages: Send {
    /// Returns the next page, or `None` at the end.
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<RepositoryPage>>>;
}

/// Page of a list of repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryPage {
    /// The repositories.
    pub repositories: Vec<Repository>,
    /// Number of repositories in the whole list, if the store states it.
    pub total: Option<u64>,
}

/// Checks for `blob` at `destination`. If its size there differs from its descriptor, the source is checked as well,
/// since descriptors may be wrong: a size that both ends have is the right one.
pub(crate) async fn head_copied_blob(
    destination: &dyn Destination,
    source: &dyn Source,
    blob: &Descriptor,
) -> StoreResult<Presence> {
    let found = destination.head_blob(blob).await?;
    if let Presence::WrongSize(_) = found
        && let Ok(at_source) = source.head_blob(blob).await
        && at_source == found
    {
        return Ok(Presence::Present);
    }
    Ok(found)
}
