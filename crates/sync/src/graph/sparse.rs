//! Sparse images: an index that stays what it is while some of its children stay behind.
//!
//! Its digest says nothing of which children a destination has: one that was copied for another platform has the same.

use std::collections::{HashMap, HashSet};

use image_syncer_registry::{Cause, Descriptor, Digest};

use crate::failure::Failure;
use crate::graph::SourceImage;

/// What to say where a registry refuses an index of which some children stayed behind.
pub(crate) const WANTS_ALL_CHILDREN: &str = "--sparse left some children of the index behind, and this registry takes \
                                             no index without all of them: without --sparse, an index of the others \
                                             is written, with another digest";

/// What a sparse image consists of.
#[derive(Default)]
pub(super) struct SparseContent {
    /// What stays behind, unless it is wanted elsewhere.
    left_out: HashSet<Digest>,
    /// What comes along, and whether it is an index.
    wanted: HashMap<Digest, bool>,
}

impl SparseContent {
    /// An entry comes along.
    pub(super) fn include(&mut self, entry: &Descriptor) {
        self.wanted.insert(entry.digest.clone(), entry.is_index());
    }
    /// An entry stays behind.
    pub(super) fn exclude(&mut self, entry: &Descriptor) {
        self.left_out.insert(entry.digest.clone());
    }
    fn leaves_out(&self, digest: &Digest) -> bool {
        self.left_out.contains(digest) && !self.wanted.contains_key(digest)
    }
}

impl SourceImage {
    /// The children that a destination must have of a sparse image, each with whether it is an index; `None` where a
    /// digest tells it all.
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
    /// Whether a child stays behind.
    pub(super) fn leaves_out(&self, child: &Digest) -> bool {
        self.parts.sparse && self.seen_manifests().sparse.leaves_out(child)
    }
    /// Whether anything stays behind of an index that is kept.
    pub(crate) fn is_sparse(&self) -> bool {
        let held = self.seen_manifests();
        held.sparse
            .left_out
            .iter()
            .any(|child| held.sparse.leaves_out(child))
    }
    /// The end of an image of which a destination says that it lacks `missing`, where that is what stays behind.
    pub(crate) fn demanded(&self, missing: &[Digest], failure: &Failure) -> Option<Failure> {
        let demanded = missing.iter().any(|digest| self.leaves_out(digest));
        demanded.then(|| sparse_refused(failure.clone()))
    }
    /// `failure`, the end of an image that a destination refused for want of something that it did not name.
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
