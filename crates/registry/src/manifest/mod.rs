//! Manifests and indexes: raw bytes, and views that read them (image-spec;
//! docs/protocol.md#documents).

mod descriptor;
mod edit;
mod embedded;
mod lenient;
pub mod media_type;
mod names;
mod platform;
mod referrer;
mod schema1;
mod shape;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use bytes::Bytes;

use crate::digest::Digest;

pub use descriptor::Descriptor;
pub(crate) use names::folds_to;
pub use platform::Platform;
pub use schema1::digested_bytes;
pub(crate) use view::ReferrerList;
pub use view::{ImageView, IndexView, ManifestError, ManifestView, Schema1View};

/// The most bytes of one manifest that are read. Registries enforce 4 MiB, Gitea 10 MiB.
pub const MAX_MANIFEST_BYTES: u64 = 8 * 1024 * 1024;

/// A manifest or an index exactly as a registry sent it.
#[derive(Clone, Debug)]
pub struct Manifest {
    bytes: Bytes,
    media_type: Arc<str>,
    digest: Digest,
}

impl Manifest {
    /// A manifest from its parts. `media_type` is the `Content-Type` that came with it, parameters and all; the
    /// document's own `mediaType` wins where it has one, since that is what a registry compares on push. `digest` is
    /// the caller's to verify, over what [`digested_bytes`] answers.
    ///
    /// # Errors
    /// If the document is of no known shape or says two things at once (`manifests` and `layers`).
    pub fn new(
        bytes: Bytes,
        content_type: Option<&str>,
        digest: Digest,
    ) -> Result<Self, ManifestError> {
        let media_type = shape::media_type_of(&bytes, content_type)?;
        Ok(Self {
            bytes,
            media_type: Arc::from(media_type),
            digest,
        })
    }
    /// The bytes that were sent, untouched.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// The media type to push it with.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }
    /// The digest; of the bytes, but for signed schema 1 (see [`digested_bytes`]).
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
    /// The length in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
    /// Reads the document.
    pub fn view(&self) -> Result<ManifestView, ManifestError> {
        view::read(&self.bytes, &self.media_type)
    }
    /// For an index: the same document with only the entries that `keep` wants, every other field and the order of
    /// fields kept; a new document with a digest of its own (sha256), written without blanks. Besides
    /// [lists of referrers](Manifest::append) the only document ever written by us. Where every entry is kept, the document stays what it is, byte for byte.
    ///
    /// # Errors
    /// If the document is no index, or cannot be read.
    pub fn retain(
        &self,
        keep: impl FnMut(usize, &Descriptor) -> bool,
    ) -> Result<Self, ManifestError> {
        edit::retain(self, keep)
    }
    /// For an index: the same document with the descriptors at the given positions replaced by one that names
    /// `replacement` (digest and size), for an index of filtered indexes. Their other fields stay, but for embedded
    /// content (`data`).
    ///
    /// # Errors
    /// If the document is no index, cannot be read, or has no entry at a position.
    pub fn replace(&self, replacements: &[(usize, Manifest)]) -> Result<Self, ManifestError> {
        edit::replace(self, replacements)
    }
    /// For an index: the same document with further descriptors at its end, those whose digests it does not list yet;
    /// every entry and every other field kept. For the fallback tags of registries without a referrers API. Where
    /// nothing is to be added, the document stays what it is, byte for byte.
    ///
    /// # Errors
    /// If the document is no OCI index, or cannot be read.
    pub fn append(&self, descriptors: &[Descriptor]) -> Result<Self, ManifestError> {
        edit::append(self, descriptors)
    }
    /// A new OCI index of these descriptors, each digest once.
    ///
    /// # Errors
    /// None that can be met: writing JSON into memory does not fail.
    pub fn index_of(descriptors: &[Descriptor]) -> Result<Self, ManifestError> {
        edit::index_of_descriptors(descriptors)
    }
    /// The config and the layers of at most `size` bytes that stand in their descriptors (`data`), where they are what
    /// digest and size promise; others are fetched as if nothing stood there.
    pub fn embedded(&self, size: u64) -> Vec<(Digest, Bytes)> {
        embedded::read(&self.bytes, size)
    }
    /// For an index: what it lists, as a list of referrers.
    ///
    /// # Errors
    /// If the document is no index, or cannot be read.
    pub(crate) fn referrer_list(&self) -> Result<ReferrerList, ManifestError> {
        match shape::Shape::from_document(&self.bytes, &self.media_type)? {
            shape::Shape::Index => view::read_referrers(&self.bytes),
            _ => Err(ManifestError("the document is not an index".to_owned())),
        }
    }
    /// The descriptor that a list of referrers has of this manifest: with its artifact type (its own, else the media
    /// type of its config; of an index only its own) and a copy of its annotations.
    ///
    /// # Errors
    /// If the document cannot be read.
    pub fn referrer_descriptor(&self) -> Result<Descriptor, ManifestError> {
        referrer::describe(self)
    }
}
