//! Completed steps of a run, so that tags with the same digest cost nothing twice.

use std::collections::HashSet;
use std::sync::Mutex;

use image_syncer_registry::Digest;

use crate::Repository;
use crate::lock::lock;

/// Completed step.
#[derive(Clone, Copy, Debug)]
pub(super) enum CompletedStep {
    /// The referrers of the manifest itself exist at the destination.
    Subject,
    /// The referrers of the unchanged root exist there, and those copied with it.
    Unchanged,
    /// The referrers of the root and of everything below it exist there.
    Whole,
    /// The warning about skipped referrers was given.
    LeftBehind,
    /// The warning about wrong sizes in manifests was given.
    WrongSizes,
}

/// Steps of a run, as hashes of 32 bytes.
#[derive(Default)]
pub(super) struct ReferrerProgress(Mutex<HashSet<[u8; 32]>>);

impl ReferrerProgress {
    /// Returns true if the step is complete for `digest` of `source` at `place`. `checks` identifies the options that
    /// select referrers: a step is complete for equal options only.
    pub(super) fn has(
        &self,
        mark: CompletedStep,
        source: &Repository,
        place: &Repository,
        digest: &Digest,
        checks: i64,
    ) -> bool {
        lock(&self.0).contains(&key(mark, source, place, digest, checks))
    }
    /// Records a completed step. Returns false if it was recorded before.
    pub(super) fn set(
        &self,
        mark: CompletedStep,
        source: &Repository,
        place: &Repository,
        digest: &Digest,
        checks: i64,
    ) -> bool {
        lock(&self.0).insert(key(mark, source, place, digest, checks))
    }
}

fn key(
    mark: CompletedStep,
    source: &Repository,
    place: &Repository,
    digest: &Digest,
    checks: i64,
) -> [u8; 32] {
    let text = format!("{mark:?} {source} {place} {digest} {checks}");
    Digest::sha256(text.as_bytes())
        .to_sha256()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::repository;

    #[test]
    fn each_step_is_recorded_separately() {
        let marks = ReferrerProgress::default();
        let (here, there) = (repository("src.example/a"), repository("dst.example/a"));
        let (one, two) = (Digest::sha256(b"one"), Digest::sha256(b"two"));
        assert!(marks.set(CompletedStep::Subject, &here, &there, &one, 1));
        assert!(!marks.set(CompletedStep::Subject, &here, &there, &one, 1));
        assert!(marks.has(CompletedStep::Subject, &here, &there, &one, 1));
        assert!(!marks.has(CompletedStep::Whole, &here, &there, &one, 1));
        assert!(!marks.has(CompletedStep::Subject, &there, &here, &one, 1));
        assert!(!marks.has(CompletedStep::Subject, &here, &there, &two, 1));
        assert!(!marks.has(CompletedStep::Subject, &here, &there, &one, 2));
    }
}
