//! Results of copied referrers.

use std::sync::Arc;

use image_syncer_registry::{Digest, Manifest, Tag};

use crate::event::{Copied, Outcome, Volume};

/// Referrers copied with an image, over all levels.
#[derive(Debug, Default)]
pub(in crate::copy) struct CopiedReferrers {
    referrers: u64,
    contended: u64,
    volume: Volume,
}

/// Result for one subject.
#[derive(Default)]
pub(super) struct SubjectOutcome {
    pub(super) copied: CopiedReferrers,
    /// Manifests that may be subjects in turn, each with true if it is new at the destination.
    pub(super) next: Vec<(Digest, bool)>,
    /// Roots that get their tag after their referrers.
    pub(super) names: Vec<(Arc<Manifest>, Tag)>,
}

impl CopiedReferrers {
    /// Adds a copied referrer.
    pub(super) fn one(&mut self, copied: &Copied) {
        self.referrers += 1;
        self.volume += copied.volume;
    }
    /// Records that other clients wrote the list of a subject's referrers at the same time.
    pub(super) fn contended(&mut self) {
        self.contended += 1;
    }
    /// Returns true if that happened.
    pub(super) fn is_contended(&self) -> bool {
        self.contended > 0
    }
    pub(super) fn add(&mut self, other: &Self) {
        self.referrers += other.referrers;
        self.contended += other.contended;
        self.volume += other.volume;
    }
    /// Adds the referrers to the copy of their image.
    pub(in crate::copy) fn with(&self, mut copied: Copied) -> Copied {
        copied.referrers += self.referrers;
        copied.contended += self.contended;
        copied.volume += self.volume;
        copied
    }
    /// Returns the outcome of an image that has the root `digest` and the `outcome` without its referrers.
    pub(super) fn combine_outcome(&self, digest: Digest, outcome: Outcome) -> Outcome {
        let copied = match outcome {
            Outcome::Copied(copied) => copied,
            // Contention must be reported, since the list may be incomplete.
            outcome if self.referrers == 0 && self.contended == 0 => return outcome,
            _ => Copied {
                root_unchanged: true,
                ..Copied::without_transfer(digest)
            },
        };
        Outcome::Copied(self.with(copied))
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::event::Evidence;

    #[test]
    fn contention_is_reported_for_an_unchanged_image() {
        let digest = Digest::sha256(b"root");
        let unchanged = Outcome::Unchanged {
            digest: digest.clone(),
            by: Evidence::Registry,
        };
        let mut copied = CopiedReferrers::default();
        let outcome = copied.combine_outcome(digest.clone(), unchanged.clone());
        assert!(matches!(outcome, Outcome::Unchanged { .. }));
        copied.contended();
        let Outcome::Copied(copied) = copied.combine_outcome(digest, unchanged) else {
            panic!("the contention is lost");
        };
        assert!(copied.root_unchanged);
        assert_eq!((copied.contended, copied.referrers), (1, 0));
    }
}
