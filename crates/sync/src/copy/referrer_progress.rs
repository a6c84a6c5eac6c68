//! Completed steps of a run, so that tags with the same digest cost nothing twice.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use image_syncer_registry::Digest;

use crate::Repository;
use crate::inventory::DigestKey;
use crate::lock::lock;
use crate::rule::ReferrerChecks;

/// Completed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Repositories of a step. A step is complete for equal options only.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct StepScope {
    source: Repository,
    destination: Repository,
    checks: ReferrerChecks,
}

/// Steps of a run.
#[derive(Default)]
pub(super) struct ReferrerProgress(Mutex<HashMap<StepScope, HashSet<(CompletedStep, DigestKey)>>>);

impl StepScope {
    /// Returns the scope of copies from `source` to `destination` with these options.
    pub(super) fn new(
        source: &Repository,
        destination: &Repository,
        checks: ReferrerChecks,
    ) -> Self {
        Self {
            source: source.clone(),
            destination: destination.clone(),
            checks,
        }
    }
    /// Returns the scope of warnings about images of `source`, for all destinations.
    pub(super) fn at_source(source: &Repository) -> Self {
        Self::new(source, source, ReferrerChecks::default())
    }
}

impl ReferrerProgress {
    /// Returns true if the step is complete for `digest` in `scope`.
    pub(super) fn has(&self, step: CompletedStep, scope: &StepScope, digest: &Digest) -> bool {
        let steps = lock(&self.0);
        let key = (step, DigestKey::from_digest(digest));
        steps.get(scope).is_some_and(|steps| steps.contains(&key))
    }
    /// Records a completed step. Returns false if it was recorded before.
    pub(super) fn set(&self, step: CompletedStep, scope: StepScope, digest: &Digest) -> bool {
        let key = (step, DigestKey::from_digest(digest));
        lock(&self.0).entry(scope).or_default().insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::CopyOptions;
    use crate::store::memory::repository;

    #[test]
    fn each_step_is_recorded_separately() {
        let progress = ReferrerProgress::default();
        let (here, there) = (repository("src.example/a"), repository("dst.example/a"));
        let (one, two) = (Digest::sha256(b"one"), Digest::sha256(b"two"));
        let checks = |force| {
            let options = CopyOptions {
                force,
                ..CopyOptions::default()
            };
            options.referrer_checks()
        };
        let scope = || StepScope::new(&here, &there, checks(false));
        assert!(progress.set(CompletedStep::Subject, scope(), &one));
        assert!(!progress.set(CompletedStep::Subject, scope(), &one));
        assert!(progress.has(CompletedStep::Subject, &scope(), &one));
        assert!(!progress.has(CompletedStep::Whole, &scope(), &one));
        assert!(!progress.has(CompletedStep::Subject, &scope(), &two));
        for other in [
            StepScope::new(&there, &here, checks(false)),
            StepScope::new(&here, &there, checks(true)),
            StepScope::at_source(&here),
        ] {
            assert!(!progress.has(CompletedStep::Subject, &other, &one));
        }
    }
}
