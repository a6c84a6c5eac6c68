//! The two ends of a copy: registries today, layouts and archives later.
//!
//! A [`Store`] is one repository at one end. The interface is narrow. A feature that only some stores have (mounting)
//! is requested, not assumed.

#[allow(dead_code, reason = "only its tests use it until layouts are stores")]
pub(crate) mod layout;
#[cfg(test)]
pub(crate) mod memory;
mod read_only;
mod registry_store;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use image_syncer_registry::{
    BlobSource, BlobStream, Descriptor, Digest, Error, IndexedReferrers, Manifest, ManifestHead,
    ManifestPresence, Presence, Repository, Tag, Target,
};

pub(crate) use read_only::ReadOnlyStores;
pub use registry_store::RegistryStores;

/// One repository at one end of a copy.
pub trait Store: Send + Sync {
    /// Returns the repository.
    fn repository(&self) -> &Repository;
    /// Resolves `target`, which should exist, at a source.
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>>;
    /// Resolves `target`, which may be missing, at a source: an answer that it is missing is believed at once.
    fn probe<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>>;
    /// Resolves `target` at a destination, as far as the store reveals it.
    fn resolve_for_push<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<ManifestPresence, Error>>;
    /// Fetches a manifest.
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Manifest, Error>>;
    /// Fetches a whole small blob.
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, Result<Bytes, Error>>;
    /// Opens a stream of a blob's bytes from `offset` on.
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>>;
    /// Checks whether the blob is present with the right size.
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Presence, Error>>;
    /// Returns the size of a blob: that of its descriptor, or, for layers of schema 1 without one, that of the store;
    /// `None` if the store does not state one either.
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Option<u64>, Error>>;
    /// Requests the blob: mounts it from `from`, a repository of the same registry, or finds it present (`None`), or
    /// opens a session for its bytes.
    fn open_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        from: Option<&'a Repository>,
    ) -> BoxFuture<'a, Result<Opened, Error>>;
    /// Opens a session for the blob's bytes without a check or mount: for a blob that was found missing or damaged, so
    /// that the store's answers about it are not believed.
    fn open_session<'a>(
        &'a self,
        blob: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Error>>;
    /// Pushes a manifest, byte for byte.
    fn put_manifest<'a>(
        &'a self,
        target: &'a Target,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<(), Error>>;
    /// Returns the referrers of `subject` at a source. Where a store has no referrers API, they are listed under a tag,
    /// which `tag` describes. The list is empty if nothing refers to `subject` or it does not exist.
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        tag: FallbackTag,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>>;
    /// Returns the referrers of `subject` at a destination.
    fn referrers_for_push<'a>(
        &'a self,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>>;
    /// Lists `referrers`, which were pushed and name `subject`, as its referrers. Called once for each subject, after
    /// all of its referrers; may be repeated.
    fn update_referrers_index<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, Result<IndexedReferrers, Error>>;
    /// Returns the tags, one page at a time.
    fn tags(&self) -> Box<dyn Tags>;
    /// Returns the tags of a destination, one page at a time. A repository that does not exist yet may be an error or
    /// an empty list.
    fn tags_for_push(&self) -> Box<dyn Tags> {
        self.tags()
    }
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

/// Result of opening an upload.
pub enum Opened {
    /// The blob is present.
    Present {
        /// Mounted from another repository, not present before.
        mounted: bool,
    },
    /// A session for its bytes is open.
    Session(Box<dyn Session>),
}

/// An open upload.
pub trait Session: Send {
    /// Returns whether the store opened it instead of a mount that it could have made. If no mount was requested, or it
    /// was impossible for another reason, the session says nothing about mounts.
    fn is_instead_of_mount(&self) -> bool;
    /// Waits for one of the store's upload slots, and holds it until the bytes were sent.
    fn reserve(&mut self) -> BoxFuture<'_, Result<(), Error>>;
    /// Sends the bytes. An error of the source is returned unchanged. Fails if the store was found to have the blob with
    /// another length, and still has it after the upload.
    fn send<'a>(self: Box<Self>, source: &'a dyn BlobSource) -> BoxFuture<'a, Result<(), Error>>
    where
        Self: 'a;
}

/// Pages of tags.
pub trait Tags: Send {
    /// Returns the next page, or `None` at the end.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<Tag>>, Error>>;
}

/// Factory for the stores of repositories.
pub trait Stores: Send + Sync {
    /// Returns the store of `repository`.
    fn store(&self, repository: &Repository) -> Arc<dyn Store>;
}

/// Checks for `blob` at `destination`. If its size there differs from its descriptor, the source is checked as well,
/// since descriptors may be wrong: a size that both ends have is the right one.
pub(crate) async fn head_copied_blob(
    destination: &dyn Store,
    source: &dyn Store,
    blob: &Descriptor,
) -> Result<Presence, Error> {
    let found = destination.head_blob(blob).await?;
    if let Presence::WrongSize(_) = found
        && let Ok(at_source) = source.head_blob(blob).await
        && at_source == found
    {
        return Ok(Presence::Present);
    }
    Ok(found)
}
