//! What the run has seen to already, so that tags which share a digest cost nothing twice.

use std::collections::HashSet;
use std::sync::Mutex;

use image_syncer_registry::{Digest, Repository};

use crate::lock::lock;

/// What was seen to.
#[derive(Clone, Copy, Debug)]
pub(super) enum CompletedStep {
    /// What refers to that manifest itself is there.
    Subject,
    /// What refers to that unchanged root is there, and all that came with it.
    Unchanged,
    /// The same of the root and of everything below it.
    Whole,
    /// That something of it is left behind was said.
    LeftBehind,
    /// The warning about sizes that its manifests state wrongly was given.
    WrongSizes,
}

/// The marks of a run: 32 bytes each, whatever the names.
#[derive(Default)]
pub(super) struct ReferrerProgress(Mutex<HashSet<[u8; 32]>>);

impl ReferrerProgress {
    /// Whether that was seen to, for `digest` of `source` at `place`.
    pub(super) fn has(
        &self,
        mark: CompletedStep,
        source: &Repository,
        place: &Repository,
        digest: &Digest,
    ) -> bool {
        lock(&self.0).contains(&key(mark, source, place, digest))
    }
    /// It was seen to; says whether that is news.
    pub(super) fn set(
        &self,
        mark: CompletedStep,
        source: &Repository,
        place: &Repository,
        digest: &Digest,
    ) -> bool {
        lock(&self.0).insert(key(mark, source, place, digest))
    }
}

fn key(mark: CompletedStep, source: &Repository, place: &Repository, digest: &Digest) -> [u8; 32] {
    let text = format!("{mark:?} {source} {place} {digest}");
    let digest = Digest::sha256(text.as_bytes());
    let hex = digest.as_str().as_bytes();
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(hex.rchunks_exact(2)) {
        let digits = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::repository;

    #[test]
    fn each_mark_stands_for_itself_alone() {
        let marks = ReferrerProgress::default();
        let (here, there) = (repository("src.example/a"), repository("dst.example/a"));
        let (one, two) = (Digest::sha256(b"one"), Digest::sha256(b"two"));
        assert!(marks.set(CompletedStep::Subject, &here, &there, &one));
        assert!(!marks.set(CompletedStep::Subject, &here, &there, &one));
        assert!(marks.has(CompletedStep::Subject, &here, &there, &one));
        assert!(!marks.has(CompletedStep::Whole, &here, &there, &one));
        assert!(!marks.has(CompletedStep::Subject, &there, &here, &one));
        assert!(!marks.has(CompletedStep::Subject, &here, &there, &two));
    }
}
