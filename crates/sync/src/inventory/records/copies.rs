//! Recorded copies to the tags of one repository, read at once.

use image_syncer_registry::{Digest, Tag};

use crate::Repository;
use crate::inventory::registry_facts::DigestKey;

/// Maximum number of copies that are read: twelve megabytes. Copies to further tags are unknown, which costs requests.
pub(super) const MAX_COPIES: i64 = 100_000;

/// Last copies to the tags of one repository, as of the time when they were read.
#[derive(Debug, Default)]
pub(crate) struct RecordedCopies {
    /// Repositories that the copies came from.
    pub(super) sources: Vec<Repository>,
    /// Sorted by tag.
    pub(super) copies: Vec<RecordedTag>,
}

/// Last copy to a tag.
#[derive(Debug)]
pub(super) struct RecordedTag {
    pub(super) tag: Tag,
    /// Position of the repository that it came from.
    pub(super) source: usize,
    /// `None` if it is the same tag.
    pub(super) source_tag: Option<Tag>,
    /// Fingerprint of the platform filter; 0 is none.
    pub(super) filter: i64,
    pub(super) digest: RecordedDigest,
    /// The record is so recent that it need not be written again.
    pub(super) is_recent: bool,
}

/// Digest in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordedDigest {
    /// A SHA-256.
    Sha256(DigestKey),
    /// Any other.
    Other(Digest),
}

/// Record of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownCopy<'a> {
    /// Digest that was copied, or found equal.
    pub(crate) digest: &'a RecordedDigest,
    /// The record is so recent that it need not be written again.
    pub(crate) is_recent: bool,
}

impl RecordedCopies {
    /// Returns true if nothing is known to have been copied there.
    pub(crate) fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }
    /// Returns the last copy to `destination_tag`, if it came from `source:tag` with a filter of this fingerprint.
    pub(crate) fn find(
        &self,
        (source, tag): (&Repository, &Tag),
        destination_tag: &Tag,
        filter: i64,
    ) -> Option<KnownCopy<'_>> {
        let position = self
            .copies
            .binary_search_by(|copy| copy.tag.as_str().cmp(destination_tag.as_str()));
        let copy = self.copies.get(position.ok()?)?;
        let is_this = copy.filter == filter
            && copy.source_tag.as_ref().unwrap_or(&copy.tag) == tag
            && self.sources.get(copy.source) == Some(source);
        is_this.then_some(KnownCopy {
            digest: &copy.digest,
            is_recent: copy.is_recent,
        })
    }
}

impl RecordedDigest {
    /// Returns true if this is `digest`.
    pub(crate) fn is(&self, digest: &Digest) -> bool {
        match self {
            Self::Sha256(key) => DigestKey::sha256(digest).as_ref() == Some(key),
            Self::Other(other) => other == digest,
        }
    }
    /// Returns the digest.
    pub(crate) fn to_digest(&self) -> Digest {
        match self {
            Self::Sha256(key) => Digest::from_sha256(key.as_bytes()),
            Self::Other(other) => other.clone(),
        }
    }
}
