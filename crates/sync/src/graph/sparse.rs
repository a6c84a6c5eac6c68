//! Sparse images: an unchanged index that is copied without some of its children.
//!
//! Its digest does not tell which children a destination has: an index that was copied for another platform has the
//! same digest.

use std::collections::{HashMap, HashSet};

use image_syncer_registry::{Cause, Descriptor, Digest};

use crate::failure::Failure;
use crate::graph::SourceImage;

/// Hint for a registry that refuses an index without some of its children.
pub(crate) const WANTS_ALL_CHILDREN: &str = "--sparse omits some children of the index, and this registry accepts \
                                             only complete indexes: without --sparse, an index of the others \
                                             is written, with another digest";

/// Entries of a sparse image.
#[derive(Default)]
pub(super) struct SparseContent {
    /// Excluded entries, unless another index includes them.
    left_out: HashSet<Digest>,
    /// Included entries, with true for an index.
    wanted: HashMap<Digest, bool>,
}

impl SparseContent {
    /// Includes an entry.
    pub(super) fn include(&mut self, entry: &Descriptor) {
        self.wanted.insert(entry.digest.clone(), entry.is_index());
    }
    /// Excludes an entry.
    pub(super) fn exclude(&mut self, entry: &Descriptor) {
        self.left_out.insert(entry.digest.clone());
    }
    fn leaves_out(&self, digest: &Digest) -> bool {
        self.left_out.contains(digest) && !self.wanted.contains_key(digest)
    }
}

impl SourceImage {
    /// Returns the children of a sparse image that a destination must have, each with true for an index; `None` if the
    /// digest alone is sufficient.
    pub(crate) fn required_children(&self) -> Option<Vec<(Digest, bool)>> {
        if !self.parts.sparse {
            return None;
        }
        let held = self.seen_manifests();
        let wanted = held.sparse.wanted.iter();
        let mut wanted: Vec<_> = wanted
            .map(|(digest, index)| (digest.clone(), *index))
            .collect();
        wanted.sort();
        (!wanted.is_empty()).then_some(wanted)
    }
    /// Returns true if the child is excluded.
    pub(super) fn leaves_out(&self, child: &Digest) -> bool {
        self.parts.sparse && self.seen_manifests().sparse.leaves_out(child)
    }
    /// Returns true if a child of an unchanged index is excluded.
    pub(crate) fn is_sparse(&self) -> bool {
        let held = self.seen_manifests();
        held.sparse
            .left_out
            .iter()
            .any(|child| held.sparse.leaves_out(child))
    }
    /// Returns the failure of an image if `missing`, which a destination reports to lack, was excluded.
    pub(crate) fn demanded(&self, missing: &[Digest], failure: &Failure) -> Option<Failure> {
        let demanded = missing.iter().any(|digest| self.leaves_out(digest));
        demanded.then(|| sparse_refused(failure.clone()))
    }
    /// Adds the hint about sparse indexes to `failure`, if a destination refused the image without naming the missing
    /// content.
    pub(crate) fn given_up(&self, failure: Failure) -> Failure {
        if self.is_sparse() {
            sparse_refused(failure)
        } else {
            failure
        }
    }
}

fn sparse_refused(failure: Failure) -> Failure {
    Failure {
        reason: format!("{}; {WANTS_ALL_CHILDREN}", failure.reason),
        cause: Cause::SparseRefused,
        ..failure
    }
}
