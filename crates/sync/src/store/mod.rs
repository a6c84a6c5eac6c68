//! The seam between a copy and its two ends: registries today, layouts and archives tomorrow.
//!
//! A [`Store`] is one repository at one end. The seam is narrow, and what only some stores can do (mounting) is
//! asked for, not assumed.

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
    /// Which repository.
    fn repository(&self) -> &Repository;
    /// Resolves `target`, which ought to exist, at a store that is read from.
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>>;
    /// What `target`, which need not exist, is now, at a store that is read from: that it does not is believed at once.
    fn probe<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>>;
    /// What `target` is now, at a store that will be written to, as far as the store says.
    fn resolve_for_push<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<ManifestPresence, Error>>;
    /// A manifest.
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Manifest, Error>>;
    /// A small blob, whole.
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, Result<Bytes, Error>>;
    /// A blob's bytes from `offset` on.
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>>;
    /// Whether the blob is there, and of the right size.
    fn find_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Presence, Error>>;
    /// The size of a blob: what its descriptor says, or, for layers of schema 1, which does not say any, what the store
    /// says; `None` where that says none either.
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Option<u64>, Error>>;
    /// Asks for the blob to be there: taken from `from`, a repository of the same registry, or there already
    /// (`None`); else a session for its bytes.
    fn open_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        from: Option<&'a Repository>,
    ) -> BoxFuture<'a, Result<Opened, Error>>;
    /// A session for the blob's bytes, without asking for anything: for a blob that was found to be missing or wrong,
    /// so that what the store says of it is not believed.
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
    /// What refers to `subject`, at a store that is read from; where a store has no such lists of its own, they stand
    /// under a tag, of which `tag` tells. What has none, or is not there, has an empty list.
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        tag: FallbackTag,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>>;
    /// What refers to `subject`, at a store that will be written to.
    fn referrers_for_push<'a>(
        &'a self,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>>;
    /// Sees to it that `referrers`, which were pushed and name `subject`, are listed as its referrers. Once for each
    /// subject, after all of its referrers; may be done again.
    fn attach<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, Result<IndexedReferrers, Error>>;
    /// The tags, a page at a time.
    fn tags(&self) -> Box<dyn Tags>;
    /// The tags of a store that will be written to, a page at a time. A repository that does not exist yet may be an
    /// error or an empty list.
    fn tags_for_push(&self) -> Box<dyn Tags> {
        self.tags()
    }
}

/// What is known of the tag under which a list of referrers may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackTag {
    /// Nothing: it is read where the store has no lists of its own.
    Unknown,
    /// There is none.
    Absent,
    /// It is there: it is read, and what it lists is added to what the store lists itself.
    Present,
}

/// What opening an upload led to.
pub enum Opened {
    /// The blob is there.
    Present {
        /// Taken from another repository rather than there before.
        mounted: bool,
    },
    /// A session waits for its bytes.
    Session(Box<dyn Session>),
}

/// An open upload.
pub trait Session: Send {
    /// Whether the store opened it in place of a mount that it was free to make; where it was asked for none, or
    /// something else stood in the way, it tells nothing of mounts.
    fn is_instead_of_mount(&self) -> bool;
    /// Waits for a place among those who send to the store at a time; it is held until the bytes were sent.
    fn reserve(&mut self) -> BoxFuture<'_, Result<(), Error>>;
    /// Sends the bytes; an error of the source comes back as the source gave it.
    fn send<'a>(self: Box<Self>, source: &'a dyn BlobSource) -> BoxFuture<'a, Result<(), Error>>
    where
        Self: 'a;
}

/// Pages of tags.
pub trait Tags: Send {
    /// The next page, or `None` at the end.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<Tag>>, Error>>;
}

/// Gives the store of a repository.
pub trait Stores: Send + Sync {
    /// The store of `repository`.
    fn store(&self, repository: &Repository) -> Arc<dyn Store>;
}

/// Looks for `blob` at `destination`. Where it has another size there than its descriptor states, the source is asked as
/// well, since descriptors may be wrong: what both have is the right one.
pub(crate) async fn find_copied_blob(
    destination: &dyn Store,
    source: &dyn Store,
    blob: &Descriptor,
) -> Result<Presence, Error> {
    let found = destination.find_blob(blob).await?;
    if let Presence::WrongSize(_) = found
        && let Ok(at_source) = source.find_blob(blob).await
        && at_source == found
    {
        return Ok(Presence::Present);
    }
    Ok(found)
}
