//! Options of copies.

use std::sync::Arc;

use image_syncer_registry::{Digest, Tag};

use crate::rule::{ConflictPolicy, Immutable, Parts, PlatformFilter, Referrers};

/// Options of the copies of a rule, or of those to one of its destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Platforms to copy.
    pub platforms: Arc<PlatformFilter>,
    /// Parts of images to copy.
    pub parts: Parts,
    /// Referrers that are copied with an image; `None` copies none.
    pub referrers: Option<Arc<Referrers>>,
    /// Tags that never change. Tags that the records know as copied are not requested, unless `force` or `verify` is
    /// set.
    pub immutable: Immutable,
    /// Policy for tags that exist at the destination with another digest. `force` does not override it.
    pub conflict: ConflictPolicy,
    /// Push manifests even if the destination has the same digest.
    pub force: bool,
    /// Look up everything below a root that the destination has already, and copy what is missing.
    pub verify: bool,
}

/// Options that decide which referrers are copied, and how they are checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ReferrerChecks {
    referrers: Option<Arc<Referrers>>,
    platforms: Arc<PlatformFilter>,
    parts: Parts,
    force: bool,
    verify: bool,
}

impl CopyOptions {
    /// Returns true if no fact replaces a request.
    pub(crate) fn distrusts_facts(&self) -> bool {
        self.force || self.verify
    }
    /// Returns true if the records may settle some tags.
    pub(crate) fn has_immutable_tags(&self) -> bool {
        !self.immutable.is_empty() && !self.distrusts_facts()
    }
    /// Returns true if the records may settle `tag`.
    pub(crate) fn is_immutable(&self, tag: &Tag) -> bool {
        self.immutable.matches(tag) && !self.distrusts_facts()
    }
    /// Returns true if a filter may change images.
    pub(crate) fn is_filtered(&self) -> bool {
        !self.platforms.is_empty() || self.parts.strip_attestations
    }
    /// Returns true if equal digests in lists of both ends may prove that an image is unchanged: a filter changes digests.
    pub(crate) fn believes_listed_digests(&self) -> bool {
        !self.distrusts_facts() && !self.is_filtered()
    }
    /// Returns true if both copy the same content of every image, apart from referrers.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        self.parts == other.parts && self.platforms == other.platforms
    }
    /// Returns true if equal digests mean equal content for both. Sparse indexes and images without foreign layers keep
    /// their digests.
    pub(crate) fn same_content_of_digests(&self, other: &Self) -> bool {
        let sparse = self.parts.sparse || other.parts.sparse;
        self.parts.foreign_layers == other.parts.foreign_layers
            && (!sparse || self.same_content(other))
    }
    /// Returns a number that identifies the content of copies, for the records; 0 for whole images.
    pub(crate) fn content_fingerprint(&self) -> i64 {
        if self.platforms.is_empty() && self.parts == Parts::default() {
            return 0;
        }
        let mut text = self.platforms.to_string();
        if self.parts != Parts::default() {
            text = format!("{text} {}", self.parts);
        }
        fingerprint(&text)
    }
    /// Returns a number that identifies the referrers that are copied, by their depth, their types and the content of
    /// their images.
    pub(crate) fn referrers_fingerprint(&self) -> i64 {
        let filter = self.content_fingerprint();
        let Some(wanted) = &self.referrers else {
            return filter;
        };
        let mut types: Vec<&str> = wanted.types.iter().map(String::as_str).collect();
        types.sort_unstable();
        types.dedup();
        fingerprint(&format!("{} {filter}\n{}", wanted.deep, types.join("\n")))
    }
    /// Returns the options that decide which referrers are copied, and how they are checked.
    pub(crate) fn referrer_checks(&self) -> ReferrerChecks {
        ReferrerChecks {
            referrers: self.referrers.clone(),
            platforms: Arc::clone(&self.platforms),
            parts: self.parts,
            force: self.force,
            verify: self.verify,
        }
    }
}

/// Returns a number that identifies `text`.
pub(crate) fn fingerprint(text: &str) -> i64 {
    let digest = Digest::sha256(text.as_bytes()).to_sha256();
    let bytes = digest.and_then(|bytes| bytes.first_chunk().copied());
    bytes.map_or(0, i64::from_be_bytes)
}
