//! What came along.

use std::sync::Arc;

use image_syncer_registry::{Digest, Manifest, Tag};

use crate::event::{Copied, Outcome, Volume};

/// What came along with an image, over all levels.
#[derive(Debug, Default)]
pub(in crate::copy) struct CopiedReferrers {
    referrers: u64,
    contended: u64,
    volume: Volume,
}

/// What came of one subject.
#[derive(Default)]
pub(super) struct SubjectOutcome {
    pub(super) brought: CopiedReferrers,
    /// What may be a subject in turn, each with whether it is new at the destination.
    pub(super) next: Vec<(Digest, bool)>,
    /// Roots that get their tag when what refers to them is there.
    pub(super) names: Vec<(Arc<Manifest>, Tag)>,
}

impl CopiedReferrers {
    /// One more came along.
    pub(super) fn one(&mut self, copied: &Copied) {
        self.referrers += 1;
        self.volume += copied.volume;
    }
    /// Others wrote the list of a subject's referrers at the same time.
    pub(super) fn contended(&mut self) {
        self.contended += 1;
    }
    /// Whether that happened.
    pub(super) fn is_contended(&self) -> bool {
        self.contended > 0
    }
    pub(super) fn add(&mut self, other: &Self) {
        self.referrers += other.referrers;
        self.contended += other.contended;
        self.volume += other.volume;
    }
    /// The copy of an image, with what came along.
    pub(in crate::copy) fn with(&self, mut copied: Copied) -> Copied {
        copied.referrers += self.referrers;
        copied.contended += self.contended;
        copied.volume += self.volume;
        copied
    }
    /// How an image ends whose root `digest` stood at the destination and that ended as `outcome` by itself.
    pub(super) fn combine_outcome(&self, digest: Digest, outcome: Outcome) -> Outcome {
        let copied = match outcome {
            Outcome::Copied(copied) => copied,
            // That a list may lack something is not to be lost from the report.
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
    fn a_list_that_others_wrote_is_told_though_all_stood() {
        let digest = Digest::sha256(b"root");
        let unchanged = Outcome::Unchanged {
            digest: digest.clone(),
            by: Evidence::Registry,
        };
        let mut brought = CopiedReferrers::default();
        let outcome = brought.combine_outcome(digest.clone(), unchanged.clone());
        assert!(matches!(outcome, Outcome::Unchanged { .. }));
        brought.contended();
        let Outcome::Copied(copied) = brought.combine_outcome(digest, unchanged) else {
            panic!("the contention is lost");
        };
        assert!(copied.root_unchanged);
        assert_eq!((copied.contended, copied.referrers), (1, 0));
    }
}
